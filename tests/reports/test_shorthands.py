"""What a report file need not write twice: `repeat`, `base`, `figure_defaults`, short forms, names of layers.

What is written short must mean what is written long, and an error must name the place in the file.
"""

import copy
import re

import pytest
import yaml
from test_report import BASE, load

from mini import located
from reprise.checking import check_report
from reprise.errors import RepriseError
from reprise.hints import shown
from reprise.reports.report import Report
from reprise.schema import plain

EXPERIMENTS = {
    "base": {},
    "fast": {"set": {"optimizer.lr": 0.1}},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}}},
}
CURVES = {
    "id": "f",
    "kind": "curves",
    "caption": "Loss.",
    "metric": "loss",
    "splits": ["train"],
    "series": [{"runs": "base"}],
}
CELLS = {"slow": {"runs": "rates/lr=0.1", "label": "Slow"}, "best": {"runs": "rates", "pick": "best"}}


def opened(folder, **sections):
    return load(folder, **{"experiments": EXPERIMENTS, "cells": CELLS, **copy.deepcopy(sections)})


def refusal(folder, place, **sections):
    """What is said of a report, after the line on which `place` stands."""
    with pytest.raises(RepriseError) as error:
        opened(folder, **sections)
    start = located(folder / "mini.yaml", place)
    first, *others = str(error.value).splitlines()
    assert first.startswith(start), (str(error.value), start)
    assert all(line.startswith(f"{folder / 'mini.yaml'}:") for line in others)
    return first.removeprefix(start)


def written(items):
    return [plain(item) for item in items]


# ---- repeat ----


def test_an_entry_is_repeated_for_each_of_its_mappings(tmp_path):
    rows = [{"name": "base", "number": 1, "low": 0.5}, {"name": "fast", "number": 2, "low": 0}]
    repeated = {
        "repeat": rows,
        **CURVES,
        "id": "figure_{number}",
        "caption": "Loss of {name}, figure {number} of {name}.",
        "series": [{"runs": "{name}", "label": "no {name}"}],
        "y_limits": ["{low}", 1],
    }
    last = {**CURVES, "id": "last", "caption": "{name} stays in what is not repeated."}
    report = opened(tmp_path, figures=[repeated, last])
    assert [figure.id for figure in report.figures] == ["figure_1", "figure_2", "last"]
    first, second, third = report.figures
    assert first.caption == "Loss of base, figure 1 of base."
    assert written(second.series) == [{"runs": "fast", "label": "no fast"}]
    assert (first.y_limits, second.y_limits) == ([0.5, 1], [0, 1])  # numbers stay numbers
    assert third.caption == "{name} stays in what is not repeated."


def test_a_whole_value_may_be_a_list_or_a_mapping(tmp_path):
    rows = [{"n": "a", "splits": ["train"], "what": CELLS["slow"]["runs"]}, {"n": "b", "splits": ["test"]}]
    figures = [{"repeat": rows, **CURVES, "id": "{n}", "splits": "{splits}"}]
    report = opened(tmp_path, figures=figures)
    assert [figure.splits for figure in report.figures] == [["train"], ["test"]]


def test_tables_and_statements_are_repeated_too(tmp_path):
    rows = [{"cells": "base", "said": "0.5"}, {"cells": "fast", "said": "0.6"}]
    statement = {"repeat": rows, "number": "{cells}", "reported": "{said}", "measure": "accuracy({cells})"}
    table = {"repeat": rows, "id": "of_{cells}", "kind": "settings", "caption": "c", "runs": "{cells}"}
    table["rows"] = [{"label": "Accuracy", "metric": "accuracy", "reported": "{said}"}]
    report = opened(tmp_path, tables=[table], statements=[statement])
    found = {one.id: (one.reported, one.measure) for one in report.statements}
    assert found == {
        "of_base_accuracy": ("0.5", "accuracy(base)"),
        "of_fast_accuracy": ("0.6", "accuracy(fast)"),
        "base": ("0.5", "accuracy(base)"),
        "fast": ("0.6", "accuracy(fast)"),
    }


ROWS = [{"name": "base"}, {"name": "fast"}]


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        (
            {"repeat": ROWS, "id": "{nam}"},
            "- name: base",
            "figures[0].repeat[0]: {nam} has no value here; did you mean name?",
        ),
        (
            {"repeat": [*ROWS, {"nme": "x"}], "id": "{name}"},
            "- nme: x",
            "figures[0].repeat[2]: {name} has no",
        ),
        ({"repeat": ROWS, "caption": "{}{name} {n}"}, "- name: base", "figures.f.repeat[0]: {n} has no"),
        ({"repeat": "base"}, "repeat:", "figures.f.repeat: is no list of mappings"),
        ({"repeat": []}, "repeat:", "figures.f.repeat: is no list of mappings"),
        ({"repeat": {"name": "base"}}, "repeat:", "figures.f.repeat: is no list of mappings"),
        ({"repeat": ["base"]}, "repeat:", "figures.f.repeat: is no list of mappings"),
        ({"repeat": None}, "repeat:", "figures.f.repeat: is no list of mappings"),
    ],
)
def test_mistakes_in_repetition(tmp_path, entry, place, message):
    assert refusal(tmp_path, place, figures=[{**entry, **{**CURVES, **entry}}]).startswith(message)


def test_an_entry_may_be_repeated_a_thousand_times_in_all(tmp_path):
    rows = [{"n": number} for number in range(600)]
    figures = [{"repeat": rows, **CURVES, "id": "a{n}"}, {"repeat": rows, **CURVES, "id": "b{n}"}]
    with pytest.raises(RepriseError, match=r":\d+: figures\[1\]: more than 1,000 figures; leave some out"):
        opened(tmp_path, figures=figures)


@pytest.mark.parametrize(
    ("wrong", "place", "message"),
    [
        (
            {"splits": ["trian"]},
            "- trian",
            "figures.wrong.splits[0]: 'trian' is not valid; did you mean train?",
        ),
        (
            {"metrc": "loss"},
            "metrc:",
            "figures.wrong.metrc: unknown key for a figure of kind curves; did you",
        ),
        ({"id": "f_fast"}, "id: f_fast", "figures[2]: f_fast stands twice"),
        (
            {"base": "f_fats"},
            "base: f_fats",
            "figures.wrong.base: no earlier one of the figures is called f_fats; did you mean f_fast?",
        ),
        (
            {"series": [{"runs": "bsae"}]},
            "runs: bsae",
            "figures.wrong.series[0].runs: selector 'bsae': no experiment",
        ),
        (
            {"series": [{"runs": "best"}]},
            "runs: best",
            "figures.wrong.series[0].runs: best is the best run of",
        ),
    ],
)
def test_an_error_after_a_repetition_names_its_own_line(tmp_path, wrong, place, message):
    figures = [
        {"repeat": ROWS, **CURVES, "id": "f_{name}"},
        {"repeat": ROWS, **CURVES, "id": "g_{name}"},
        {"id": "wrong", **{key: value for key, value in CURVES.items() if key != "id"}, **wrong},
    ]
    assert refusal(tmp_path, place, figures=figures).startswith(message)


def test_an_error_inside_a_repetition_names_the_entry(tmp_path):
    figures = [CURVES, {"repeat": ROWS, **CURVES, "id": "f_{name}", "y_label": 5}]
    assert refusal(tmp_path, "y_label: 5", figures=figures).startswith(
        "figures.f_base.y_label: should be a text, not 5"
    )
    statements = [
        {"repeat": [{"n": "a"}, {"n": "b"}], "claim": "{n}", "holds": "accuracy(base) > 0"},
        {"repeat": [{"n": "c"}, {"n": "d"}], "claim": "{n}", "holds": "acuracy(base) > 0"},
    ]
    report = opened(tmp_path, statements=statements)
    with pytest.raises(RepriseError, match=r"statements\.c\.holds: 'acuracy"):
        check_report(report)
    start = located(tmp_path / "mini.yaml", "- n: c")
    entry = int(start.rsplit(":", 2)[1]) - 1  # the entry begins with its key repeat
    assert report.at("statements", 3).endswith(f":{entry}: statements.d")


# ---- base ----


def test_a_network_starts_from_another(tmp_path):
    models = {
        "wide": {"base": "net", "width": 2.0, "title": "Wide"},  # before the one that it starts from, too
        "wider": {"base": "wide", "width": 4.0},
        **BASE["models"],
        "other": {"base": "net", "layers": [{"flatten": True}, {"dense": "classes"}]},
    }
    report = opened(tmp_path, models=models)
    found = {name: plain(network) for name, network in report.file.models.items()}
    assert found["wider"] == {**BASE["models"]["net"], "width": 4.0, "title": "Wide"}
    assert found["other"]["layers"] == models["other"]["layers"]
    assert found["net"] == BASE["models"]["net"]
    assert list(found) == list(models)


@pytest.mark.parametrize(
    ("models", "place", "message"),
    [
        ({"a": {"base": "nte"}}, "base: nte", "models.a.base: no model nte; did you mean net?"),
        ({"a": {"base": "a"}}, "base: a", "models.a.base: goes round in a circle: a → a; break it"),
        (
            {"a": {"base": "b"}, "b": {"base": "c"}, "c": {"base": "a"}},
            "base: a",
            "models.c.base: goes round in a circle: a → b → c → a; break it",
        ),
        ({"a": {"base": ["net"]}}, "base:", "models.a.base: no model ['net']"),
        ({"a": {"base": {}}}, "base: {}", "models.a.base: no model {}"),
        ({"a": {"base": 1}}, "base: 1", "models.a.base: no model 1"),
        (
            {"a": {"base": "net", "name": "vit"}},
            "  a:",
            "models.a: key patch is missing (found: name, layers)",
        ),
        (
            {"a": {"base": "net", "wdith": 2.0}},
            "wdith:",
            "models.a.wdith: unknown key for the family sequential",
        ),
        (
            {f"m{place}": {"base": f"m{place + 1}"} for place in range(200)},
            "base: m52",
            "models.m51.base: more than 50 models start from each other",
        ),
    ],
)
def test_mistakes_in_the_base_of_a_network(tmp_path, models, place, message):
    found = refusal(tmp_path, place, models={**BASE["models"], **models})
    assert found.startswith(message)


@pytest.mark.parametrize("section", ["figures", "tables"])
def test_a_figure_or_table_starts_from_an_earlier_one(tmp_path, section):
    table = {"id": "f", "kind": "trials", "caption": "Trials.", "metric": "loss", "runs": "rates"}
    first = {"figures": {**CURVES, "y_label": "x"}, "tables": {**table, "source": "x"}}[section]
    dropped = "y_label" if section == "figures" else "source"
    items = [
        first,
        {"base": "f", "id": "g", "caption": "Other."},
        {"base": "g", "id": "h", "metric": "accuracy", dropped: None},
    ]
    report = opened(tmp_path, **{section: items})
    _, second, third = getattr(report, section)
    assert (second.id, second.caption, second.metric) == ("g", "Other.", "loss")
    assert (third.caption, third.metric) == ("Other.", "accuracy")
    assert (getattr(second, dropped), getattr(third, dropped)) == ("x", None)  # null takes a key away


@pytest.mark.parametrize("section", ["figures", "tables"])
@pytest.mark.parametrize(
    ("items", "place", "message"),
    [
        (
            [{"base": "g", "id": "a"}],
            "base: g",
            ".a.base: no earlier one of the {section} is called g; valid: f",
        ),
        ([{"base": "a", "id": "a"}], "base: a", ".a.base: no earlier one of the {section} is called a"),
        (
            [{"base": "b", "id": "a"}, {"base": "a", "id": "b"}],
            "base: b",
            ".a.base: no earlier one of the {section} is ",
        ),
        (
            [{"base": ["f"], "id": "a"}],
            "- base:",
            ".a.base: no earlier one of the {section} is called ['f']",
        ),
        ([{"base": "f"}], "base: f", "[1]: f stands twice"),
    ],
)
def test_mistakes_in_the_base_of_a_figure_or_table(tmp_path, section, items, place, message):
    table = {"id": "f", "kind": "trials", "caption": "Trials.", "metric": "loss", "runs": "rates"}
    first = {"figures": CURVES, "tables": table}[section]
    found = refusal(tmp_path, place, **{section: [first, *items]})
    assert found.startswith(f"{section}{message.format(section=section)}")


# ---- figure_defaults ----


def test_figures_have_the_defaults_of_their_kind(tmp_path):
    short = {"id": "a", "kind": "curves", "caption": "c", "metric": "loss", "series": "base"}
    figures = [short, {**short, "id": "b", "splits": ["test"]}, {"base": "b", "id": "c", "width": "column"}]
    figures.append({"id": "d", "kind": "trials", "caption": "c", "runs": "rates"})
    defaults = {"curves": {"splits": ["train", "test"], "width": "wide"}, "boxes": {"by": "lr"}}
    report = opened(tmp_path, figure_defaults=defaults, figures=figures)
    assert [figure.splits for figure in report.figures[:3]] == [["train", "test"], ["test"], ["test"]]
    assert [figure.width for figure in report.figures] == ["wide", "wide", "column", "column"]


@pytest.mark.parametrize(
    ("defaults", "place", "message"),
    [
        ({"curvs": {}}, "curvs:", "figure_defaults.curvs: is no kind of figure; did you mean curves?"),
        (
            {"curves": ["loss"]},
            "curves:",
            "figure_defaults.curves: should be a mapping, not ['loss']",
        ),
        ({"curves": None}, "curves: null", "figure_defaults.curves: should be a mapping, not null"),
        (
            {"curves": {"splts": []}},
            "splts:",
            "figure_defaults.curves.splts: unknown key; did you mean splits?",
        ),
        ({"boxes": {"bye": "lr"}}, "bye:", "figure_defaults.boxes.bye: unknown key; did you mean by?"),
        ({"curves": {"id": "f"}}, "id: f", "figure_defaults.curves.id: unknown key"),
        (["curves"], "figure_defaults:", "figure_defaults: should be a mapping, not ['curves']"),
    ],
)
def test_mistakes_in_the_defaults_of_figures(tmp_path, defaults, place, message):
    found = refusal(tmp_path, place, figure_defaults=defaults, figures=[{**CURVES, "kind": "curves"}])
    assert found.startswith(message)


@pytest.mark.parametrize("kind", [["curves"], {"a": 1}, None, 1])
def test_a_figure_without_a_proper_kind_has_no_defaults(tmp_path, kind):
    defaults = {"curves": {"splits": ["train"]}}
    message = refusal(tmp_path, "kind:", figure_defaults=defaults, figures=[{**CURVES, "kind": kind}])
    written = shown(kind)
    assert message.startswith(f"figures.f.kind: {written} is no kind of figure")


# ---- short forms ----


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("fast", [{"runs": "fast"}]),
        (["base", "fast"], [{"runs": "base"}, {"runs": "fast"}]),
        ({"Base": "base", 2: "fast"}, [{"label": "Base", "runs": "base"}, {"label": "2", "runs": "fast"}]),
        (["base", {"runs": "fast", "color": "blue"}], [{"runs": "base"}, {"runs": "fast", "color": "blue"}]),
        ("slow", [{"runs": "rates/lr=0.1", "label": "Slow"}]),
        ([{"runs": "slow", "label": "Own"}], [{"runs": "rates/lr=0.1", "label": "Own"}]),
        ({"Own": "slow"}, [{"runs": "rates/lr=0.1", "label": "Own"}]),
    ],
)
def test_series_can_be_written_short(tmp_path, short, long):
    (figure,) = opened(tmp_path, figures=[{**CURVES, "series": short}]).figures
    assert written(figure.series) == long


@pytest.mark.parametrize("section", ["figures", "tables"])
def test_models_can_be_written_short(tmp_path, section):
    item = {"id": "f", "kind": "classes", "caption": "c", "models": {"Base": "base", "Best": "best"}}
    (made,) = getattr(opened(tmp_path, **{section: [item]}), section)
    assert written(made.models) == [
        {"label": "Base", "runs": "base"},
        {"label": "Best", "runs": "rates", "pick": "best"},
    ]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("0.480", [{"value": "0.480"}]),
        (0.05, [{"value": 0.05}]),
        (["0.5", {"value": 1, "label": "chance"}], [{"value": "0.5"}, {"value": 1, "label": "chance"}]),
        ({"value": 0.5, "color": "grey"}, [{"value": 0.5, "color": "grey"}]),
        ([], []),
    ],
)
def test_references_can_be_written_short(tmp_path, short, long):
    (figure,) = opened(tmp_path, figures=[{**CURVES, "reference": short}]).figures
    assert written(figure.reference) == long


NUMBERS = [
    {"number": "loss", "reported": "0.50", "measure": "loss(base)"},
    {"claim": "falls", "holds": "loss(base) < 1"},
]
TABLE = {"id": "t", "kind": "metrics", "caption": "c", "rows": [{"label": "Fast", "measure": "loss(fast)"}]}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("loss", [{"value": "0.50"}]),
        (["0.4", "loss"], [{"value": "0.4"}, {"value": "0.50"}]),
        ({"statement": "loss", "color": "blue"}, [{"value": "0.50", "color": "blue"}]),
        ("t_fast", [{"value": "0.3"}]),
    ],
)
def test_a_line_is_drawn_at_what_a_statement_says_is_reported(tmp_path, short, long):
    """A number of the list, or one that a table makes."""
    rows = [{**TABLE["rows"][0], "reported": "0.3"}]
    sections = {"statements": NUMBERS, "tables": [{**TABLE, "rows": rows}]}
    (figure,) = opened(tmp_path, figures=[{**CURVES, "reference": short}], **sections).figures
    assert written(figure.reference) == long


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("los", "reference: los", "reference: no number los; did you mean loss?"),
        ("falls", "reference: falls", "reference: no number falls"),
        ({"statement": "los"}, "reference:", "reference: no number los; did you mean loss?"),
        (["0.5", {"statement": "los"}], "statement: los", "reference[1]: no number los; did you mean loss?"),
        ({"color": "blue"}, "reference:", "reference: needs a value or a statement"),
        (["0.5", {"statement": "loss", "value": 1}], "statement: loss", "reference[1]: needs a value or"),
    ],
)
def test_a_line_of_no_number(tmp_path, line, place, message):
    found = refusal(tmp_path, place, figures=[{**CURVES, "reference": line}], statements=NUMBERS)
    assert found.startswith(f"figures.f.{message}")


def test_cells_and_what_holds_can_be_written_short(tmp_path):
    claim = {"claim": "c", "holds": "accuracy(fine) > 0"}
    report = opened(tmp_path, cells={"fine": "fast", "same": {"runs": "fast"}}, statements=[claim])
    assert plain(report.file.cells["fine"]) == plain(report.file.cells["same"]) == {"runs": "fast"}
    assert report.statements[0].expressions == ["accuracy(fine) > 0"]


@pytest.mark.parametrize(
    ("item", "place", "message"),
    [
        ({"series": []}, "series: []", "series: has 0 items, and should have at least 1"),
        ({"series": 5}, "series: 5", "series: should be a list, not 5"),
        ({"series": {}}, "series: {}", "series: has 0 items, and should have at least 1"),
        ({"series": {"Base": 5}}, "Base: 5", "series.Base: should be a text, not 5"),
        ({"series": [{"run": "base"}]}, "run: base", "series[0].run: unknown key; did you mean runs?"),
        ({"series": ["base", 5]}, "- 5", "series[1]: should be a mapping, not 5"),
        ({"reference": "half way"}, "reference: half way", "reference"),
        ({"reference": [{"vlaue": 1}]}, "vlaue: 1", "reference[0].vlaue: unknown key; did you mean value?"),
        ({"reference": True}, "reference: true", "reference: "),
    ],
)
def test_mistakes_in_short_forms(tmp_path, item, place, message):
    found = refusal(tmp_path, place, figures=[{**CURVES, **item}])
    assert found.startswith(f"figures.f.{message}")


# ---- layers ----

NAMED = [
    {"conv": 6, "name": "c1"},
    [{"pool": "max"}, [{"dropout": 0.1}, {"conv": 8, "name": "c3"}, {"dropout": 0.2}]],
    {"flatten": True},
    {"dense": 84, "name": "f6", "activation": "relu"},
    {"dense": "classes"},
]
FLAT = [NAMED[0], {"pool": "max"}, {"dropout": 0.1}, NAMED[1][1][1], {"dropout": 0.2}, *NAMED[2:]]


def unnamed(layers):
    return [{key: value for key, value in layer.items() if key != "name"} for layer in layers]


def layers(folder, experiments, **sections):
    models = {"net": {"name": "sequential", "layers": NAMED}}
    return opened(folder, models=models, experiments=experiments, cells={}, **sections)


def network_of(report, selector):
    (cell,) = report.cells(selector)
    return cell.members[0].spec["model"]["layers"]


def test_lists_inside_lists_of_layers_are_laid_flat_and_names_change_no_run(tmp_path):
    report = layers(tmp_path, {"base": {}})
    assert network_of(report, "base") == unnamed(FLAT)
    block = [{"conv": 4}, {"pool": "max"}]
    text = yaml.safe_dump(
        {**BASE, "models": {"net": {"name": "sequential", "layers": [block, block, *FLAT[5:]]}}}
    )
    assert "&id001" in text  # a block written once
    (tmp_path / "mini.yaml").write_text(text)
    assert network_of(Report(tmp_path / "mini.yaml"), "base") == [*block, *block, *unnamed(FLAT[5:])]
    head = [[{"flatten": True}], [[{"dense": "classes"}]]]
    models = {"net": {"name": "torchvision", "arch": "vgg16", "weights": "random", "head": head}}
    report = opened(tmp_path, models=models)
    assert report.cells("base")[0].members[0].spec["model"]["head"] == [
        {"flatten": True},
        {"dense": "classes"},
    ]


def test_a_mistake_in_a_list_inside_a_list_is_refused(tmp_path):
    broken = {
        "name": "sequential",
        "layers": [{"flatten": True}, [{"conv": 4}, [{"cnv": 5}]], {"dense": "classes"}],
    }
    message = refusal(tmp_path, "cnv: 5", models={"net": broken})
    assert message.startswith(
        "models.net.layers[1][1][0].cnv: unknown key for a layer without a kind; did you"
    )
    broken = {"name": "sequential", "layers": [[{"conv": 4}, {"pool": "max"}], {"dense": "clases"}]}
    message = refusal(tmp_path, "dense: clases", models={**BASE["models"], "other": broken})
    assert message.startswith("models.other.layers[1].dense: should be classes")


def test_a_path_names_a_layer(tmp_path):
    by_name = layers(tmp_path, {"e": {"set": {"model.layers.c3.kernel": 5, "model.layers.f6.dense": 10}}})
    changed = network_of(by_name, "e")
    by_place = layers(tmp_path, {"e": {"set": {"model.layers.3.kernel": 5, "model.layers.6.dense": 10}}})
    assert changed == network_of(by_place, "e")
    assert (changed[3], changed[6]["dense"]) == ({"conv": 8, "kernel": 5}, 10)
    grid = {"units": {"path": "model.layers.f6.dense", "values": [10, 20]}}
    report = layers(tmp_path, {"e": {"grid": grid}})
    assert [network_of(report, f"e/units={units}")[6]["dense"] for units in (10, 20)] == [10, 20]
    copied = [{"conv": 3, "name": "last"}, {"flatten": True}, {"dense": "classes"}]
    report = layers(tmp_path, {"e": {"set": {"model.layers": copied, "model.layers.last.conv": 7}}})
    assert network_of(report, "e")[0] == {"conv": 7}


def test_a_star_is_every_element_that_has_the_key(tmp_path):
    report = layers(tmp_path, {"e": {"set": {"model.layers.*.dropout": 0.5}}})
    dropped = [layer["dropout"] for layer in network_of(report, "e") if "dropout" in layer]
    assert dropped == [0.5, 0.5]
    values = {"some": {"model.layers.*.dropout": 0.3}, "none": {"model.layers.*.dropout": 0}}
    report = layers(tmp_path, {"e": {"grid": {"rate": {"values": values}}}})
    assert network_of(report, "e/rate=some")[4] == {"dropout": 0.3}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.layers.*", "model.layers.*: what of every element? add a key, e.g. model.layers.*.dropout"),
        ("model.layers.*.dropot", "model.layers.*: no element has dropot; did you mean dropout?"),
        (
            "model.layers.f7.dense",
            "model.layers.f7: no element f7; the list has 8, counted from 0; valid: c1, c3, f6",
        ),
        ("model.layers.8.dense", "model.layers.8: no element 8; the list has 8, counted from 0"),
        ("training.epochs.f6", "training.epochs: 30 has no settings inside; shorten the path"),
    ],
)
def test_mistakes_in_paths(tmp_path, path, message):
    with pytest.raises(RepriseError) as error:
        layers(tmp_path, {"base": {}, "e": {"set": {path: 1}}})
    assert str(error.value) == f"{located(tmp_path / 'mini.yaml', path)}experiments.e.set.{path}: {message}"


def test_a_misspelt_key_after_a_layer_is_refused(tmp_path):
    with pytest.raises(
        RepriseError, match=r"experiments\.e\.set.*: model\.layers\[6\]\.dens: unknown key for a layer of"
    ):
        layers(tmp_path, {"e": {"set": {"model.layers.f6.dens": 1}}})


def test_weights_are_dropped_by_the_names_of_layers(tmp_path):
    def tuned(*drop):
        settings = {"initial_weights": {"from": "base", "drop": list(drop)}, "dataset.labels": "label"}
        report = layers(tmp_path, {"base": {}, "tuned": {"set": settings}})
        check_report(report)
        return report.cells("tuned")[0].members[0].spec["initial_weights"]["drop"]

    assert tuned("f6", "c3") == tuned("6_dense", "3_conv") == ["6_dense", "3_conv"]
    with pytest.raises(RepriseError, match=r"initial_weights\.drop: no parameter starts with 'f7'"):
        tuned("f7")


def test_diagrams_mark_layers_by_their_names(tmp_path):
    figure = {"id": "f", "kind": "diagram", "caption": "c", "network": "net", "mark": ["f6", "1_conv"]}
    report = layers(tmp_path, {"base": {}}, figures=[figure])
    assert report.figures[0].mark == ["6_dense", "0_conv"]
    check_report(report)
    report = layers(tmp_path, {"base": {}}, figures=[{**figure, "mark": ["f7"]}])
    with pytest.raises(
        RepriseError,
        match="figures\\.f\\.mark\\[0\\]: the network has no layer f7; valid: 1_conv \\(c1\\), 2_pool",
    ):
        check_report(report)


def test_statements_count_the_parameters_of_a_layer_by_its_name(tmp_path):
    def number(layer):
        return {"number": "n", "reported": "1", "measure": f'parameters(base, layer="{layer}")'}

    for layer in ("f6", "7_dense"):
        check_report(layers(tmp_path, {"base": {}}, statements=[number(layer)]))
    report = layers(tmp_path, {"base": {}}, statements=[number("f7")])
    with pytest.raises(
        RepriseError,
        match="statements\\.n\\.measure: the network has no layer f7; valid: 1_conv \\(c1\\), 2_pool",
    ):
        check_report(report)


# ---- what only the program fills in ----


@pytest.mark.parametrize(
    ("section", "item", "key"),
    [
        ("statements", {"number": "n", "reported": "1", "measure": "accuracy(base)"}, "table"),
        ("tables", {"id": "t", "kind": "classes", "caption": "c", "models": {"Base": "base"}}, "shared"),
    ],
)
def test_what_is_filled_in_later_cannot_be_written(tmp_path, section, item, key):
    message = refusal(tmp_path, f"{key}: t", **{section: [{**item, key: "t"}]})
    assert message.startswith(f"{section}.{item.get('id', 'n')}.{key}: unknown key")


def test_the_label_of_named_cells_is_what_readers_see(tmp_path):
    claim = {"claim": "c", "holds": "accuracy(slow) > 0"}
    report = opened(tmp_path, statements=[claim])
    from reprise.publishing.statements import parse

    (statement,) = parse(report.statements, report.where, report.cells, report.names)
    assert statement.relation.words == "test accuracy of Slow > 0"


# ---- means of trainings, other readings, what follows ----

NUMBER = {"number": "n", "reported": "0.5", "measure": "accuracy(base)"}
METRICS_TABLE = {
    "id": "t",
    "kind": "metrics",
    "caption": "c",
    "rows": [{"label": "Base", "measure": "accuracy(base)", "reported": "0.4"}],
}


def means(report):
    return {statement.id: statement.mean_of for statement in report.statements}


def test_how_many_trainings_a_report_averages_holds_unless_a_statement_or_table_says_otherwise(tmp_path):
    own = {**NUMBER, "number": "own", "mean_of": 5}
    assert means(opened(tmp_path, statements=[NUMBER, own])) == {"n": None, "own": 5}
    report = opened(tmp_path, mean_of=3, statements=[NUMBER, own], tables=[METRICS_TABLE])
    assert means(report) == {"t_base": 3, "n": 3, "own": 5}
    report = opened(tmp_path, mean_of=3, tables=[{**METRICS_TABLE, "mean_of": 2}])
    assert means(report) == {"t_base": 2}
    assert report.tables[0].mean_of == 2


@pytest.mark.parametrize(
    ("value", "message"), [(0, "mean_of"), (101, "mean_of"), (1.5, "mean_of"), ("x", "mean_of")]
)
def test_a_number_of_trainings_is_a_whole_number_from_1(tmp_path, value, message):
    assert message in refusal(tmp_path, f"mean_of: {value}", mean_of=value)
    assert message in refusal(tmp_path, f"mean_of: {value}", statements=[{**NUMBER, "mean_of": value}])


def test_a_claim_has_no_number_of_trainings(tmp_path):
    claim = {"claim": "c", "holds": "accuracy(base) > 0", "mean_of": 3}
    assert "mean_of: unknown key for a claim" in refusal(tmp_path, "mean_of: 3", statements=[claim])


def test_other_readings_are_checked_like_the_first(tmp_path):
    fine = {**NUMBER, "also": [{"reading": "the fast one", "measure": "accuracy(fast)"}]}
    (statement,) = opened(tmp_path, statements=[fine]).statements
    assert statement.expressions == ["accuracy(base)", "accuracy(fast)"]
    claim = {
        "claim": "c",
        "holds": "accuracy(base) > 0",
        "also": [{"reading": "all", "holds": ["accuracy(fast) > 1"]}],
    }
    (statement,) = opened(tmp_path, statements=[claim]).statements
    assert statement.expressions == ["accuracy(base) > 0", "accuracy(fast) > 1"]
    for also, message in (
        ({"measure": "accuracy(fast)"}, "key reading is missing"),
        ({"reading": "r"}, "key measure is missing"),
        ({"reading": "r", "holds": "accuracy(fast) > 0"}, "holds: unknown key"),
        ({"reading": "r", "measure": "accuracy(fsat)"}, "no experiment fsat; did you mean fast?"),
        ({"reading": "r", "measure": "accuracy(fast"}, "'(' was never closed"),
    ):
        with pytest.raises(RepriseError) as error:
            opened(tmp_path, statements=[{**NUMBER, "also": [also]}])
        assert message in str(error.value)
        assert re.search(r"mini\.yaml:\d+: ", str(error.value))
        assert "\n" not in str(error.value)


def test_what_follows_names_two_statements(tmp_path):
    others = [NUMBER, {**NUMBER, "number": "recall"}]
    report = opened(
        tmp_path, statements=others, tables=[METRICS_TABLE], follows={"recall": "n", "t_base": "n"}
    )
    assert report.file.follows == {"recall": "n", "t_base": "n"}
    for follows, message in (
        ({"recal": "n"}, "no statement is called 'recal'; did you mean recall?"),
        ({"recall": "m"}, "no statement is called 'm'"),
        ({"recall": "recall"}, "recall cannot follow from itself; name the one that settles it"),
        ({"recall": "n", "n": "t_base"}, "n follows from another itself; name that one"),
    ):
        with pytest.raises(RepriseError) as error:
            opened(tmp_path, statements=others, tables=[METRICS_TABLE], follows=follows)
        assert message in str(error.value)
        assert re.search(r"mini\.yaml:\d+: ", str(error.value))
        assert "\n" not in str(error.value)
