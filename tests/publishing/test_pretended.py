"""What a report publishes is checked before anything is trained, on results that are made up
(`reprise.publishing.pretended`).
"""

import copy
import re

import pytest
import yaml

from reprise.errors import RepriseError
from reprise.publishing.pretended import check_expressions, check_publications, named_layers, pretended
from reprise.reports.report import Report

DOCUMENT = {
    "slug": "tiny",
    "title": "Tiny",
    "models": {
        "net": {"name": "sequential", "layers": [{"conv": 6}, {"flatten": True}, {"dense": "classes"}]}
    },
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": 0.1},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 1e-3},
        "training": {"epochs": 30, "batch_size": 64, "select": "best_accuracy"},
        "seeds": [0],
    },
    "experiments": {
        "base": {},
        "official": {"set": {"dataset.name": "cinic10", "split": {"validation": "official"}}},
        "sweep": {"pointwise": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.01]}}},
        "grid": {
            "grid": {
                "lr": {"path": "optimizer.lr", "values": [0.1, 0.01]},
                "batch": {"path": "training.batch_size", "values": [32, 64]},
            }
        },
        "study": {
            "asha": {
                "trials": 9,
                "min_resource": 2,
                "reduction_factor": 3,
                "space": {"lr": {"path": "optimizer.lr", "log_uniform": [1e-4, 1e-2]}},
            }
        },
    },
}
CLASSES = ["airplane", "automobile", "bird"]


def open_report(folder, scale="full", **sections):
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(copy.deepcopy(DOCUMENT) | sections, sort_keys=False))
    return Report(file, scale)


def runs_of(report):
    return report.runs([cell for name in report.experiments for cell in report.all_cells(name)])


def check(folder, scale="full", **sections):
    report = open_report(folder, scale, **sections)
    check_expressions(report)
    check_publications(report, dict.fromkeys(runs_of(report), tuple(CLASSES)))
    report.mistakes.raise_all()


CELLS = {"best": {"runs": "study", "pick": "best"}}


def number(measure, reported="1", **more):
    return {"number": "s", "reported": reported, "measure": measure, **more}


def claim(*holds):
    return {"claim": "s", "holds": list(holds)}


@pytest.fixture
def tables(tmp_path):
    report = open_report(tmp_path)
    return report, pretended(runs_of(report), dict.fromkeys(runs_of(report), CLASSES), ["8_dense", "0_conv"])


def test_the_trials_of_a_study_stop_at_its_rungs(tables):
    report, results = tables
    ends = [len(results.curve(cell.runs[0], "train", "loss")) for cell in report.cells("study")]
    assert ends == [30, 2, 6, 18, 30, 2, 6, 18, 30]  # rungs at 2, 2·3 and 2·3² of 30 epochs
    assert len(results.curve(report.cells("base")[0].runs[0], "validation", "loss")) == 30


def test_every_final_metric_is_there(tables):
    report, results = tables
    (run,) = report.cells("base")[0].runs
    assert all(results.part(run, "parameters", layer) for layer in ("8_dense", "0_conv"))
    assert all(
        results.part(run, statistic, colour)
        for statistic in ("channel_mean", "channel_std")
        for colour in ("red", "green", "blue")
    )
    assert results.curve(report.cells("official")[0].runs[0], "validation", "accuracy") is not None


@pytest.mark.parametrize(
    "statement",
    [
        number('parameters(base, layer="3_dense")'),
        number('channel_mean(base, "green")'),
        number('channel_deviation(base, channel="red")'),
        number('setting(best, "optimizer.lr")', about=0.1),
        number("mean(stopped_early(study))"),
        number('class_accuracy(best, "bird")'),
        number("class_variance(best)"),
        claim('effect(accuracy(grid), "lr") > effect(accuracy(grid), "batch")'),
        claim('argmax(accuracy(study, split="validation", at="best")) == "study/trial=0"'),
        {"claim": "s", "holds": "at_chance(accuracy(base)) and loss(base) < loss(best) < 9"},
    ],
)
def test_every_measure_can_be_checked(tmp_path, statement):
    check(tmp_path, cells=CELLS, statements=[statement])


def test_layers_are_those_that_tables_and_statements_name(tmp_path):
    rows = [{"label": "a", "measure": 'parameters(base, layer="1_conv")', "reported": "1"}]
    table = {"id": "t", "kind": "metrics", "caption": "c", "rows": rows}
    statement = claim('parameters(base, layer="3_dense") / 2 > parameters(base)')
    report = open_report(tmp_path, tables=[table], statements=[statement])
    assert named_layers(report) == ["0_conv", "2_dense"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            number('setting(base, "optimizer.lrr")'),
            "the runs have no setting 'optimizer.lrr'; did you mean optimizer.lr?",
        ),
        (number('setting(base, "optimizer.name")'), "is adam, not one number"),
        (number("channel_mean(base)"), "needs 'channel'"),
        (claim('effect(accuracy(grid), "l") > 0'), "effect: grid has no axis l"),
        (
            claim('effect(accuracy(study), "lr") > 0'),
            "could never be judged, even with every run trained",
        ),
        (
            {
                **claim("accuracy(base) > 0"),
                "also": [{"reading": "later", "holds": 'loss(base, split="train", at=99) > 0'}],
            },
            "base trains 30 epochs, so it has no at=99; write at=30 or less",
        ),
        (
            claim("argmax(accuracy(grid)) == grid"),
            "could never be judged, even with every run trained",
        ),
    ],
)
def test_mistakes_in_measures(tmp_path, statement, message):
    with pytest.raises(RepriseError) as error:
        check(tmp_path, statements=[statement])
    assert re.match(rf"{re.escape(str(tmp_path / 'tiny.yaml'))}:6[4-9]: statements\.s\S*: ", str(error.value))
    assert message in str(error.value)


MODELS = [{"label": "Base", "runs": "base"}, {"label": "Best", "runs": "best"}]


@pytest.mark.parametrize("scale", ["full", "demo"])
def test_every_kind_of_table_can_be_checked(tmp_path, scale):
    rows = [
        {"label": "lr", "setting": "optimizer.lr"},
        {"label": "a", "metric": "accuracy", "reported": {"Best": "0.9"}},
    ]
    tables = [
        {"id": "a", "kind": "comparison", "caption": "c", "models": MODELS, "rows": rows},
        {"id": "b", "kind": "space", "caption": "c", "experiment": "sweep"},
        {
            "id": "c",
            "kind": "space",
            "caption": "c",
            "experiment": "study",
            "rows": [{"axis": "lr", "reported": "1e-4 to 1e-2"}],
        },
        {
            "id": "d",
            "kind": "classes",
            "caption": "c",
            "models": MODELS,
            "reported": {"Best": {"bird": "52.4", "mean": "64.4"}},
        },
        {"id": "e", "kind": "layers", "caption": "c", "networks": ["net"]},
        {
            "id": "f",
            "kind": "trials",
            "caption": "c",
            "runs": "study",
            "metric": "accuracy",
            "split": "validation",
            "at": "best",
        },
    ]
    check(tmp_path, scale, cells=CELLS, tables=tables, scales={"demo": {"trials": 3, "epochs": {"max": 4}}})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "space", "experiment": "swep"}, "no experiment swep; did you mean sweep?"),
        ({"kind": "space", "experiment": "base"}, "experiment base has no axes"),
        (
            {"kind": "classes", "models": MODELS, "names": {"brd": "bird"}},
            "tables.t.names.brd: no class 'brd'; did you mean bird?",
        ),
        (
            {"kind": "comparison", "models": MODELS, "rows": [{"label": "a", "setting": "optimzer.lr"}]},
            "tables.t.rows[0].setting: the runs have no setting",
        ),
        ({"kind": "layers", "networks": ["nett"]}, "no experiment trains a model nett; did you mean net?"),
    ],
)
def test_mistakes_in_tables(tmp_path, table, message):
    with pytest.raises(RepriseError) as error:
        check(tmp_path, cells=CELLS, tables=[{"id": "t", "caption": "c", **table}])
    assert re.match(rf"{re.escape(str(tmp_path / 'tiny.yaml'))}:\d+: tables\.t\S*: ", str(error.value))
    assert message in str(error.value)


def test_a_diagram_is_drawn_with_the_layers_that_it_marks(tmp_path):
    figure = {"id": "f", "kind": "diagram", "caption": "c", "network": "net", "mark": ["1_conv", "3_dense"]}
    check(tmp_path, figures=[figure])
    with pytest.raises(
        RepriseError, match=r"figures\.f\.network: no experiment trains a model nett; did you mean net\?"
    ):
        check(tmp_path, figures=[figure | {"network": "nett"}])


def test_images_of_a_data_set_are_left_out(tmp_path):
    check(
        tmp_path,
        figures=[
            {
                "id": "f",
                "kind": "samples",
                "caption": "c",
                "images": {"dataset": "cifar10", "captions": ["label"]},
            }
        ],
    )
