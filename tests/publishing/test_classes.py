"""Class accuracies: which classes are drawn, in what order and with what numbers, and that nothing overlaps
or is cut off.
"""

import json
from dataclasses import replace
from statistics import mean, stdev

import pandas as pd
import pytest
from drawing import build_figure
from test_figures import assert_apart, assert_sound, boxes

from reprise.errors import RepriseError
from reprise.publishing.figures.rows import THICK
from reprise.publishing.measures import RESULT_COLUMNS, Tables
from reprise.publishing.sources import Sources
from reprise.publishing.style import WIDTHS, style
from reprise.reports.report import Cell
from reprise.reports.run import Run

NAMES = [*"abcdefgh", "maple_tree", "lawn_mower", "k", "l"]
EVEN = dict(zip(NAMES, (3, 9, 5, 5, 10, 0, 7, 2, 5, 1, 4, 6), strict=True))
"""Right answers out of ten: e b g l (c d maple_tree, equal) k a h lawn_mower f."""
IMAGES = 10


def cell(name="cnn", seeds=2, **settings):
    return Cell(
        name,
        settings,
        None,
        tuple(Run({"name": name, **settings, "seeds": {"init": seed}}) for seed in range(seeds)),
    )


def tables(hits, validated=None):
    """Predictions with `hits`: run → class → right answers of ten; `validated`: run → validation accuracy of
    its kept epoch.
    """
    rows = []
    for run, right in hits.items():
        for label, name in enumerate(NAMES):
            wrong = (label + 1) % len(NAMES)
            rows += [
                (run, len(NAMES) * image + label, label, label if image < right[name] else wrong)
                for image in range(IMAGES)
                if name in right
            ]
    history = [
        (run, 1, split, 1.0, accuracy)
        for run, accuracy in (validated or {}).items()
        for split in ("train", "validation")
    ]
    final = [(run, "selected_epoch", 1.0) for run in validated or {}]
    frames = {"predictions": rows, "history": history, "final": final}
    filled = {name: pd.DataFrame(rows, columns=list(RESULT_COLUMNS[name])) for name, rows in frames.items()}
    return Tables(**filled, class_names=dict.fromkeys(hits, NAMES))


def spec(**changes):
    models = [{"label": "CNN", "runs": "cnn"}]
    return {
        "id": "figure_16",
        "kind": "classes",
        "caption": "Class accuracies.",
        "models": models,
        "top": 3,
        "bottom": 2,
    } | changes


def build(cells, found, scale="full", **changes):
    """The figure of `spec(**changes)` and what it says; `cells`: selector → cells."""
    with style():
        return build_figure(spec(**changes), Sources(cells.__getitem__, found), scale=scale)


def one(right=EVEN, **changes):
    """One run."""
    cnn = cell(seeds=1)
    return build({"cnn": [cnn]}, tables({cnn.runs[0]: right}), **changes)


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().strip()]


def bars(axes):
    found = [bar for bar in axes.patches if bar.get_height() == pytest.approx(THICK)]
    return sorted(found, key=lambda bar: bar.get_y())


def test_the_best_and_the_worst_classes_in_order():
    figure, drawn = one()
    (axes,) = figure.axes
    assert names(axes) == ["e", "b", "g", "lawn mower", "f"]
    assert [bar.get_width() for bar in bars(axes)] == pytest.approx([1.0, 0.9, 0.7, 0.1, 0.0])
    assert [(row["class"], row["rank"], row["mean"], row["sd"]) for row in drawn.values] == [
        ("e", 1, 1.0, None),
        ("b", 2, 0.9, None),
        ("g", 3, 0.7, None),
        ("lawn_mower", 11, 0.1, None),
        ("f", 12, 0.0, None),
    ]
    assert {"1.000", "0.900", "0.700", "0.100", "0.000"} <= {text.get_text() for text in boxes(figure)}
    rules = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    middle = [bar.get_y() + bar.get_height() / 2 for bar in bars(axes)]
    assert rules == pytest.approx([(middle[2] + middle[3]) / 2])  # between the best and the worst


def test_equally_good_classes_have_one_rank_and_none_of_them_is_picked():
    figure, drawn = one(top=7, bottom=1)
    assert [row["class"] for row in drawn.values] == ["e", "b", "g", "l", "c", "d", "maple_tree", "f"]
    assert [row["rank"] for row in drawn.values] == [1, 2, 3, 4, 5, 5, 5, 12]
    figure, cut = one(top=5, bottom=1)
    assert names(figure.axes[0]) == ["e", "b", "g", "l", "3 classes tied: c, d,\nmaple tree", "f"]
    assert [row["class"] for row in cut.values] == ["e", "b", "g", "l", "c", "d", "maple_tree", "f"]
    assert "l 0.600, 3 classes tied: c, d, maple tree 0.500; worst 1: f 0.000" in cut.description


def test_many_classes_that_are_tied_are_counted_and_marked_ones_named():
    right = dict(zip(NAMES, (3, 9, 0, 0, 10, 0, 7, 2, 0, 0, 4, 6), strict=True))
    figure, drawn = one(right, top=2, bottom=2, mark=["d", "k"])
    (axes,) = figure.axes
    shown = [name.replace("\n", " ") for name in names(axes)]
    assert shown == ["e", "b", "k (5)", "5 classes tied, d among them"]
    assert [bar.get_width() for bar in bars(axes)] == pytest.approx([1.0, 0.9, 0.4, 0.0])
    assert [row["rank"] for row in drawn.values if row["mean"] == 0] == [8] * 5
    same, _ = one(dict.fromkeys(NAMES, 5), top=2, bottom=2)
    assert [name.replace("\n", " ") for name in names(same.axes[0])] == ["12 classes tied"]
    assert_sound(same)


def test_error_bars_stay_within_what_an_accuracy_can_be():
    cnn = cell(seeds=2)
    runs = [dict.fromkeys(NAMES, 10) | {"a": 0}, dict.fromkeys(NAMES, 3) | {"a": 4}]
    figure, _ = build({"cnn": [cnn]}, tables(dict(zip(cnn.runs, runs, strict=True))), top=11, bottom=1)
    (axes,) = figure.axes
    ends = [x for lines in axes.collections for path in lines.get_segments() for x in path[:, 0]]
    assert (min(ends), max(ends)) == (0, 1)
    assert axes.get_xlim() == (0, 1)


def test_accuracies_are_means_over_the_runs():
    cnn = cell(seeds=3)
    runs = [{name: min(10, right + seed) for name, right in EVEN.items()} for seed in range(3)]
    figure, drawn = build({"cnn": [cnn]}, tables(dict(zip(cnn.runs, runs, strict=True))))
    expected = [right["b"] / IMAGES for right in runs]
    assert (drawn.values[1]["class"], drawn.values[1]["mean"], drawn.values[1]["sd"]) == (
        "b",
        pytest.approx(mean(expected)),
        pytest.approx(stdev(expected)),
    )
    assert drawn.values[0]["sd"] == 0
    assert "± sd of 3 seeds" in legend(figure)
    assert drawn.runs == sorted(cnn.runs)
    assert (
        "CNN (n = 3, mean of all 12 classes 0.564): best 3: e 1.000, b 0.967, g 0.800; worst 2: lawn mower "
        "0.200, f 0.100." in drawn.description
    )
    json.dumps(drawn.values, allow_nan=False)


def test_pick_takes_the_run_with_the_best_validation_accuracy_of_all_cells():
    small, large = cell(width=1), cell(width=2)
    better, worse = EVEN, dict.fromkeys(NAMES, 1)
    hits = dict(zip((*small.runs, *large.runs), (worse, worse, worse, better), strict=True))
    validated = dict(
        zip(hits, (0.5, 0.9, 0.6, 0.8), strict=True)
    )  # the run that validates best is not the best on the test images
    figure, drawn = build(
        {"cnn": [small, large]},
        tables(hits, validated),
        models=[{"label": "CNN", "runs": "cnn", "pick": "best"}],
    )
    assert drawn.runs == [small.runs[1]]
    assert {row["mean"] for row in drawn.values} == {0.1}
    assert figure.axes[0].get_title() == "CNN (best run)"


def test_the_mean_of_all_classes_is_a_line():
    figure, _ = one()
    (line,) = [line for line in figure.axes[0].lines if list(line.get_ydata()) == [0, 1]]
    assert list(line.get_xdata()) == pytest.approx([sum(EVEN.values()) / 120] * 2)
    assert "mean of all classes" in legend(figure)


def test_marked_classes_are_set_off_and_drawn_where_they_are_neither_best_nor_worst():
    figure, drawn = one(mark=["b", "k", "a"])
    (axes,) = figure.axes
    assert names(axes) == ["e", "b", "g", "k (8)", "a (9)", "lawn mower", "f"]
    assert [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"] == [
        "b",
        "k (8)",
        "a (9)",
    ]
    assert [bool(bar.get_hatch()) for bar in bars(axes)] == [False, True, False, True, True, False, False]
    assert [row["class"] for row in drawn.values if row["marked"]] == ["b", "k", "a"]
    assert "between: k 0.400 (marked, rank 8), a 0.300 (marked, rank 9)" in drawn.description
    assert legend(figure)[0] == "named by the report (rank where between)"
    inside, _ = one(mark=["b"])
    assert legend(inside)[0] == "named by the report"


def test_few_classes_are_all_drawn_without_a_rule():
    few = {name: EVEN[name] for name in "abcd"}
    figure, drawn = one(few)
    assert names(figure.axes[0]) == ["b", "c", "d", "a"]
    assert not [line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    assert "all classes: b 0.900, c 0.500, d 0.500, a 0.300." in drawn.description


def test_a_panel_for_each_model_with_the_same_scale():
    cnn, mlp = cell("cnn", 1), cell("mlp", 1)
    half = {name: right // 2 for name, right in EVEN.items()}
    found = tables({cnn.runs[0]: EVEN, mlp.runs[0]: half})
    models = [{"label": "CNN", "runs": "cnn"}, {"label": "MLP", "runs": "mlp"}]
    figure, drawn = build({"cnn": [cnn], "mlp": [mlp]}, found, models=models, mark=["k"], width="wide")
    assert [axes.get_title() for axes in figure.axes] == ["CNN", "MLP"]
    assert (
        len({axes.get_xlim() for axes in figure.axes}) == len({axes.get_ylim() for axes in figure.axes}) == 1
    )
    assert figure.axes[0].get_xlim()[0] == 0
    assert [row["model"] for row in drawn.values] == ["CNN"] * 6 + ["MLP"] * 7  # two tied worst but one
    assert drawn.runs == sorted([*cnn.runs, *mlp.runs])


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("scale", "seeds"), [("full", 1), ("demo", 2)])
def test_nothing_overlaps_and_nothing_is_cut_off(width, scale, seeds):
    long = [*NAMES[:-2], "a_class_whose_name_takes_more_than_one_line", "lawn_mower_of_the_neighbour"]
    cells = [cell(name, seeds) for name in ("one", "two", "three")]
    hits = {run: EVEN for one in cells for run in one.runs}
    found = replace(tables(hits), class_names=dict.fromkeys(hits, long))
    models = [
        {"label": label, "runs": one.name}
        for label, one in zip(("CNN", "MLP", "a network with a long name " * 3), cells, strict=True)
    ]
    figure, _ = build(
        {one.name: [one] for one in cells},
        found,
        scale,
        models=models,
        mark=[long[-1], long[-2], "e"],
        width=width,
    )
    assert len(figure.axes) == 3
    assert_sound(figure)
    assert_apart(figure)


def test_mistakes():
    cnn, other = cell(seeds=1), cell(seeds=1, width=2)
    found = tables({cnn.runs[0]: EVEN, other.runs[0]: EVEN})

    def message(cells, found, **changes):
        with pytest.raises(RepriseError) as error:
            build({"cnn": cells}, found, **changes)
        return str(error.value)

    assert message([cnn], found, mark=["maple_tre"]) == "mark: no class maple_tre; did you mean maple_tree?"
    assert message([cnn, other], found) == "CNN: cnn names 2 cells; name one, e.g. cnn, or add pick: best"
    assert (
        message([cnn], Tables.of())
        == f"run {cnn.runs[0]} of cnn has no predictions; train and evaluate it first"
    )
    best = [{"label": "CNN", "runs": "cnn", "pick": "best"}]
    words = "CNN: not all of cnn is trained, so the best run is not known; train and evaluate it first"
    assert message([cnn, other], tables({cnn.runs[0]: EVEN}, {cnn.runs[0]: 0.5}), models=best) == words
    nameless = replace(found, class_names={})
    assert (
        message([cnn], nameless)
        == f"run {cnn.runs[0]} of cnn: the names of its classes are not known; read the tables with them"
    )
