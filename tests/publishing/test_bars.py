"""Bars: the numbers of a pointwise sweep, what tells better from worse, and that nothing overlaps or is cut
off.
"""

import json
import math

import pandas as pd
import pytest
from drawing import build_figure
from scipy import stats
from test_figures import assert_apart, assert_sound, boxes

from reprise.errors import RepriseError
from reprise.publishing.figures.rows import THICK
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.style import WIDTHS, style
from reprise.reports.report import Cell
from reprise.reports.run import Run

BASE = (0.24, 0.26)
MANY = {
    "learning_rate": [0.01, 0.0001],
    "batch_size": [32, 64, 128, 256, 1024],
    "epochs": [10, 50, 200, 500],
    "optimizer": ["SGD", "RMSProp"],
    "weight_decay": [0.8, 0.6, 0.4, 0.2, 0.01],
    "transform": ["flip", "rotation", "colour_jitter", "normalised by the data set's own mean and deviation"],
    "extra_layers": ["added"],
}


def cell(seeds=2, **settings):
    return Cell(
        "sweep",
        settings,
        None,
        tuple(Run({"settings": settings, "seeds": {"init": seed}}) for seed in range(seeds)),
    )


def sweep(base=BASE, **axes):
    """Cells and the values of their runs: the base run, then those of `axes`: axis → value → values."""
    found = [(cell(len(base)), base)]
    return found + [
        (cell(len(numbers), **{axis: value}), numbers)
        for axis, values in axes.items()
        for value, numbers in values.items()
    ]


def many(seeds=2):
    values = {
        axis: {
            value: [0.2 + 0.01 * (3 * place % 7) + 0.01 * seed for seed in range(seeds)]
            for place, value in enumerate(values)
        }
        for axis, values in MANY.items()
    }
    return sweep(BASE[:seeds], **values)


def spec(**changes):
    return {
        "id": "figure_02",
        "kind": "bars",
        "caption": "Tuning.",
        "runs": "sweep",
        "metric": "accuracy",
    } | changes


def build(found, scale="full", notes=(), more=(), **changes):
    """The figure of `spec(**changes)` and what it says, from cells and the values of their runs; `more`:
    those of `noise`.
    """
    item = spec(**changes)
    cells = {"sweep": [one for one, _ in found], "baseline": [one for one, _ in more]}
    found = [*found, *more]
    name = {"best_epoch": "selected_epoch"}.get(item["metric"], item["metric"])
    rows = [(run, name, value) for one, values in found for run, value in zip(one.runs, values, strict=True)]
    rows += [(run, "test_images", 10_000) for one, _ in found for run in one.runs]
    tables = Tables.of(final=pd.DataFrame(rows, columns=["run", "metric", "value"]))
    with style():
        return build_figure(item, Sources(cells.__getitem__, tables), scale=scale, notes=notes)


def bars(figure):
    """(length, hatched, face) of each bar, from the top, column by column."""
    found = [bar for axes in figure.axes for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]
    return [
        (bar.get_width(), bool(bar.get_hatch()), bar.get_facecolor())
        for bar in found
        if bar.get_height() == pytest.approx(THICK)
    ]


def rows(figure):
    """Texts on each line of the figure's one column, from the top, left to right."""
    (axes,) = figure.axes
    ticks = axes.get_xticklabels()
    lines = {}
    for text, box in boxes(figure).items():
        if text not in ticks and text not in figure.legends[0].get_texts():
            lines.setdefault(round((box.y0 + box.y1) / 16), []).append((box.x0, text.get_text()))
    return [[words for _, words in sorted(lines[height])] for height in sorted(lines, reverse=True)]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().strip()]


def test_numbers_are_means_and_deviations_over_the_runs():
    found = sweep(learning_rate={0.01: (0.2, 0.24)}, extra_layers={"two_more": (0.3, 0.3)})
    figure, drawn = build(found)
    assert [(row["axis"], row["value"], row["n"]) for row in drawn.values] == [
        ("", "base run", 2),
        ("learning_rate", "0.01", 2),
        ("extra_layers", "two more", 2),
    ]
    assert [row["mean"] for row in drawn.values] == pytest.approx([0.25, 0.22, 0.3])
    assert [row["sd"] for row in drawn.values] == pytest.approx([0.02 / math.sqrt(2), 0.04 / math.sqrt(2), 0])
    assert [length for length, _, _ in bars(figure)] == pytest.approx([0.22, 0.3])
    assert drawn.runs == sorted(run for one, _ in found for run in one.runs)
    json.dumps(drawn.values, allow_nan=False)


def test_each_group_has_a_heading_and_each_bar_its_name_mean_and_distance_from_the_base():
    figure, _ = build(sweep(learning_rate={0.01: (0.2, 0.24)}, extra_layers={"two_more": (0.3, 0.3)}))
    assert rows(figure) == [
        ["base run 0.250"],
        ["learning rate"],
        ["0.01", "0.220  −0.030"],
        ["extra layers"],
        ["two more", "0.300  +0.050"],
        ["Test accuracy"],
    ]
    weights = {label.get_text(): label.get_fontweight() for label in figure.axes[0].get_yticklabels()}
    assert weights == {
        "learning rate": "bold",
        "0.01": "normal",
        "extra layers": "bold",
        "two more": "normal",
    }


def test_runs_that_were_not_measured_yet_are_refused_in_one_line():
    found = sweep(learning_rate={0.01: (0.2, 0.24)})
    runs = [run for one, _ in found for run in one.runs]
    rows = [(run, name, 1) for run in runs for name in ("accuracy", "selected_epoch", "test_images")]
    tables = Tables.of(final=pd.DataFrame(rows, columns=["run", "metric", "value"]))
    with (
        style(),
        pytest.raises(
            RepriseError,
            match=f"^run {runs[0]} of sweep was evaluated before plain_gap was measured; evaluate it",
        ),
    ):
        build_figure(spec(metric="plain_gap"), Sources(lambda _: [one for one, _ in found], tables))


def test_axes_are_drawn_in_the_order_asked_for():
    found = many()
    _, drawn = build(found, axes=["weight_decay", "learning_rate"])
    assert [row["axis"] for row in drawn.values] == ["", *["weight_decay"] * 5, *["learning_rate"] * 2]
    _, everything = build(found)
    assert [row["value"] for row in everything.values[1:8]] == [
        "0.01",
        "0.0001",
        "32",
        "64",
        "128",
        "256",
        "1024",
    ]
    assert len(everything.values) == 1 + sum(map(len, MANY.values()))


def test_better_and_worse_differ_by_more_than_colour_and_what_seeds_scatter_is_neither():
    axis = {1: (0.3, 0.3), 2: (0.2, 0.2), 3: (0.252, 0.252)}
    figure, _ = build(sweep(batch_size=axis))
    better, worse, equal = bars(figure)
    assert [hatched for _, hatched, _ in (better, worse, equal)] == [False, True, False]
    assert len({face for _, _, face in (better, worse, equal)}) == 3
    assert legend(figure)[:3] == [
        "better than the base run",
        "worse than the base run",
        "no further from the base run than seeds scatter",
    ]
    small, _ = build(sweep(batch_size=axis), metric="loss")
    assert [look[1:] for look in bars(small)] == [
        worse[1:],
        better[1:],
        equal[1:],
    ]  # of a loss less is better
    for metric, less_is_better in (
        ("plain_gap", True),
        ("plain_train_loss", True),
        ("plain_train_accuracy", False),
    ):
        drawn, _ = build(sweep(batch_size=axis), metric=metric)
        first = (worse, better) if less_is_better else (better, worse)
        assert [look[1:] for look in bars(drawn)] == [look[1:] for look in (*first, equal)]
        assert "better than the base run" in legend(drawn)
    epochs = sweep(batch_size={1: (70.0, 70.0), 2: (1.0, 1.0)}, base=(9.0, 9.0))
    neutral, _ = build(epochs, metric="best_epoch")
    assert legend(neutral)[:2] == ["above the base run", "below the base run"]


def band(figure):
    """Left and right edge of what seeds scatter about the base run, at each bar."""
    patches = [patch for axes in figure.axes for patch in axes.patches if patch.get_gid() == "noise"]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]


def test_base_run_is_a_line_through_all_bars_and_each_has_the_band_of_what_seeds_scatter():
    figure, drawn = build(sweep(batch_size={1: (0.3, 0.3)}))
    axes = figure.axes[0]
    (line,) = [line for line in axes.lines if list(line.get_xdata()) == [0.25, 0.25]]
    assert list(line.get_ydata()) == [0, 1]  # of the axes' height
    # the stated variance counts as four degrees of freedom, that of the base run as one: those that do not
    # scatter say nothing of the others
    variance = (4 * 0.005**2 + 1 * 0.02**2 / 2) / 5
    margin = stats.t.ppf(0.975, 5) * math.sqrt(variance * (1 / 2 + 1 / 2))
    assert band(figure) == [pytest.approx((0.25 - margin, 0.25 + margin), abs=2e-5)]
    assert f"scatter of seeds, 95 %: ±{margin:.3f}" in legend(figure)
    assert drawn.values[1]["margin"] == pytest.approx(margin, abs=2e-5)
    assert "± sd of 2 seeds" in legend(figure)
    single, _ = build(many(seeds=1))
    assert "± sd" not in " ".join(legend(single))


def test_runs_of_single_seeds_learn_from_others_how_far_a_seed_moves_the_metric():
    found = sweep((0.25,), batch_size={1: (0.262,), 2: (0.4,)})
    others = (cell(3, of="baseline"), (0.2, 0.25, 0.3))
    alone, _ = build(found)
    taught, _ = build(found, more=[others], noise="baseline")
    narrow, wide = (right - left for left, right in (band(alone)[0], band(taught)[0]))
    assert wide > 2 * narrow
    grey, better = (face for _, _, face in bars(alone))  # of an accuracy, 0.012 may be the seed, 0.15 not
    assert grey != better
    assert [face for _, _, face in bars(taught)] == [grey, better]


def test_what_no_seed_moves_has_no_band():
    figure, _ = build(sweep(batch_size={1: (5.0,), 2: (7.0,)}, base=(5.0,)), metric="test_images")
    assert not band(figure)
    assert "equal to the base run" in legend(figure)


def test_error_bars_stay_within_what_an_accuracy_can_be():
    figure, _ = build(sweep((0.5, 0.5), batch_size={1: (0.9, 1.0), 2: (0.0, 0.1)}))
    ends = [
        point for each in figure.axes[0].collections for path in each.get_segments() for point in path[:, 0]
    ]
    assert min(ends) == 0
    assert max(ends) == 1


def test_runs_of_one_cell_may_stand_on_two_axes():
    same = Cell("sweep", {"decay": "none"}, None, cell(2, batch_size=1).members)
    _, drawn = build([*sweep(batch_size={1: (0.3, 0.3)}), (same, (0.3, 0.3))])
    assert [row["mean"] for row in drawn.values] == pytest.approx([0.25, 0.3, 0.3])
    assert len(drawn.runs) == 4


def test_a_value_that_is_not_finite_is_said_and_not_drawn():
    figure, drawn = build(sweep(batch_size={1: (0.3, math.nan), 2: (0.2, 0.4)}), metric="loss")
    assert (drawn.values[1]["mean"], drawn.values[1]["sd"]) == (None, None)
    assert len(bars(figure)) == 1
    assert ["1", "not finite"] in rows(figure)
    assert "1 not finite" in drawn.description
    assert "equal to the base run" not in legend(figure)


def test_split_place_and_limits():
    base, changed = cell(1), cell(1, batch_size=1)
    history = pd.DataFrame(
        [
            (run, epoch, "test", 1.0, accuracy)
            for one, values in ((base, (0.1, 0.5, 0.4)), (changed, (0.6, 0.2, 0.3)))
            for run in one.runs
            for epoch, accuracy in enumerate(values, 1)
        ],
        columns=["run", "epoch", "split", "loss", "accuracy"],
    )
    images = pd.DataFrame(
        [(run, "test_images", 100.0) for run in (*base.runs, *changed.runs)],
        columns=["run", "metric", "value"],
    )
    with style():
        results = Sources(lambda _: [base, changed], Tables.of(history=history, final=images))
        figure, drawn = build_figure(
            spec(split="test", at="best", y_limits=[0.25, 0.75]), results, scale="full"
        )
    assert [row["mean"] for row in drawn.values] == [0.5, 0.6]
    assert figure.axes[0].get_xlim() == (0.25, 0.75)
    assert figure.axes[0].get_xlabel() == "Best test accuracy"


def test_alt_text_says_every_number():
    _, drawn = build(sweep(learning_rate={0.01: (0.2, 0.24)}, extra_layers={"two_more": (0.3, 0.3)}))
    assert drawn.description == (
        "Bar chart of test accuracy; base run 0.250 ± 0.014 (n = 2). "
        "Seeds alone move a value by ±0.033 (95 %): 1 of 2 bars are within. "
        "Learning rate: 0.01 0.220 (−0.030). Extra layers: two more 0.300 (+0.050)."
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("scale", "seeds"), [("full", 1), ("demo", 2)])
def test_nothing_overlaps_and_nothing_is_cut_off(width, scale, seeds):
    figure, _ = build(many(seeds), scale, ["A note."], width=width)
    assert_sound(figure)
    assert_apart(figure)
    assert figure.get_figheight() < {"column": 7, "wide": 4.5}[width]
    assert len(figure.axes) == {"column": 1, "wide": 2}[width]


def test_many_bars_stand_in_two_columns_of_a_wide_page_with_the_same_scale():
    figure, drawn = build(many(), width="wide")
    left, right = (
        [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"]
        for axes in figure.axes
    )
    assert left + right == [axis.replace("_", " ") for axis in MANY]
    assert left
    assert right
    assert (
        len({axes.get_xlim() for axes in figure.axes}) == len({axes.get_ylim() for axes in figure.axes}) == 1
    )
    assert [length for length, _, _ in bars(figure)] == pytest.approx(
        [row["mean"] for row in drawn.values[1:]]
    )
    few, _ = build(many(), width="wide", axes=["batch_size", "epochs"])
    assert len(few.axes) == 1


@pytest.mark.parametrize("base", [(0.001, 0.001), (0.9, 0.9)])
def test_a_base_run_at_the_edge_keeps_its_number_whole(base):
    figure, _ = build(sweep(base, b={1: (0.5, 0.5)}))
    assert_sound(figure)
    assert_apart(figure)


@pytest.mark.parametrize(
    ("found", "changes", "words"),
    [
        (
            sweep(batch_size={1: BASE})[1:],
            {},
            "runs: sweep has no base run to compare with; name a whole pointwise sweep",
        ),
        (sweep(), {}, "runs: sweep has a base run alone; name a whole pointwise sweep"),
        (
            [*sweep(), (cell(batch_size=1, lr=2), BASE)],
            {},
            "runs: sweep/batch_size=1,lr=2 changes 2 values at once; name a pointwise sweep",
        ),
        (
            sweep(batch_size={1: BASE}),
            {"axes": ["batch_sise"]},
            "axes: sweep has no axis batch_sise; did you mean batch_size?",
        ),
        (
            sweep((math.inf, 1.0), batch_size={1: BASE}),
            {"metric": "loss"},
            "sweep: its loss is not finite, so there is nothing to compare with",
        ),
        (
            sweep(batch_size={1: BASE}),
            {"metric": "acuracy"},
            "metric acuracy: no metric 'acuracy'; did you mean accuracy?",
        ),
    ],
)
def test_mistakes(found, changes, words):
    with pytest.raises(RepriseError) as error:
        build(found, **changes)
    assert str(error.value) == words


def test_a_run_without_a_result_is_named():
    base, changed = cell(1), cell(1, batch_size=1)
    final = pd.DataFrame(
        [(base.runs[0], "accuracy", 0.5), (base.runs[0], "test_images", 100)],
        columns=["run", "metric", "value"],
    )
    with (
        style(),
        pytest.raises(
            RepriseError,
            match=f"run {changed.runs[0]} of sweep/batch_size=1 has no accuracy; train and evaluate it first",
        ),
    ):
        build_figure(spec(), Sources(lambda _: [base, changed], Tables.of(final=final)), scale="full")
