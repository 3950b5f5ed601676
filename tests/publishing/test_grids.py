"""Figures of a grid (boxes, heatmap, levels, cube): the numbers drawn are those computed by hand, and nothing
overlaps or is cut off.
"""

import itertools
import json

import drawing
import numpy as np
import pandas as pd
import pytest
from drawing import build_figure, draw_figure
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch, Rectangle
from test_figures import assert_sound, boxes

from reprise.errors import RepriseError
from reprise.publishing.figures import cube, grid
from reprise.publishing.figures.boxes import swarm
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, WIDTHS, style
from reprise.reports.report import Cell
from reprise.reports.run import Run

TWO = {"blocks": [1, 3, 5], "kernel_size": [2, 3, 4, 5]}
THREE = {"alpha": [0.2, 0.5, 0.8], "lambda": [0.001, 0.01, 0.1], "drop_rate": [0.1, 0.3, 0.5]}
SPECS = {
    "boxes": {"kind": "boxes", "runs": "grid", "by": "blocks", "metric": "accuracy"},
    "heatmap": {
        "kind": "heatmap",
        "runs": "grid",
        "rows": "blocks",
        "columns": "kernel_size",
        "metric": "accuracy",
    },
    "levels": {"kind": "levels", "runs": "grid", "metric": "accuracy"},
    "cube": {"kind": "cube", "runs": "grid", "axes": ["alpha", "lambda", "drop_rate"], "metric": "accuracy"},
}
AXES = {"boxes": TWO, "heatmap": TWO, "levels": THREE, "cube": THREE}


def cells(axes, seeds=1):
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [
        Cell("grid", one, None, tuple(Run({**one, "seeds": {"init": seed}}) for seed in range(seeds)))
        for one in combinations
    ]


def results(grid_cells, value):
    """Test accuracies: `value(settings, seed)` in each run; its loss is 1 less that."""
    rows = []
    for cell in grid_cells:
        for seed, run in enumerate(cell.runs):
            number = value(cell.settings, seed)
            rows += [(run, "accuracy", number), (run, "loss", 1 - number), (run, "test_images", 1000.0)]
    tables = Tables.of(final=pd.DataFrame(rows, columns=["run", "metric", "value"]))
    return Sources(lambda _: grid_cells, tables)


def build(kind, value, space=None, seeds=1, scale="full", only=None, **changes):
    grid_cells = [cell for cell in cells(space or AXES[kind], seeds) if only is None or only(cell.settings)]
    spec = {"id": "figure", "caption": "A grid.", **SPECS[kind], **changes}
    with style():
        return build_figure(spec, results(grid_cells, value), scale=scale)


def two(settings, seed=0):
    """0.1 to 0.5, rising with the kernel, and 0.3 more for one block; a hundredth between seeds."""
    return 0.1 * (settings["kernel_size"] - 1) + (0.3 if settings["blocks"] == 1 else 0.0) + 0.01 * seed


def three(settings, seed=0):
    return (
        0.7
        - 0.4 * settings["drop_rate"]
        - 0.02 * np.log10(settings["lambda"])
        - 0.01 * settings["alpha"]
        + 0.001 * seed
    )


VALUES = {"boxes": two, "heatmap": two, "levels": three, "cube": three}


def low_to_high(axes, value):
    """Whether a tick is drawn: those beyond the limits are not."""
    low, high = sorted(axes.yaxis.get_view_interval())
    return low <= value <= high


def said(figure):
    """All visible text, line breaks as spaces."""
    return {text.get_text().replace("\n", " ") for text in boxes(figure)}


# ---- all kinds ----


def assert_apart(figure):
    """No text touches another."""
    beyond = {
        tick.label2
        for axes in figure.axes
        for tick in axes.yaxis.get_major_ticks()
        if not low_to_high(axes, tick.get_loc())
    }
    areas = [(text.get_text(), box.padded(-0.5)) for text, box in boxes(figure).items() if text not in beyond]
    for (first, one), (second, other) in itertools.combinations(areas, 2):
        assert not one.overlaps(other), (first, second)


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize("kind", SPECS)
def test_nothing_overlaps_and_nothing_is_cut_off(kind, scale, width):
    figure, _ = build(kind, VALUES[kind], seeds=3, scale=scale, width=width)
    assert_sound(figure)
    assert_apart(figure)


@pytest.mark.parametrize("kind", SPECS)
def test_values_that_are_all_equal_are_drawn(kind):
    figure, drawn = build(kind, lambda settings, seed: 0.1)
    assert_sound(figure)
    assert_apart(figure)
    json.dumps(drawn.values, allow_nan=False)


@pytest.mark.parametrize("kind", SPECS)
def test_runs_without_a_finite_value_are_left_out_and_counted(kind):
    first = cells(AXES[kind])[0].settings
    figure, drawn = build(
        kind,
        lambda settings, seed: np.nan if settings == first and seed == 0 else VALUES[kind](settings),
        seeds=2,
    )
    assert "1 run without a finite value left out" in said(figure)
    assert "1 run without a finite value left out." in drawn.description
    assert len(drawn.runs) == 2 * len(cells(AXES[kind]))
    json.dumps(drawn.values, allow_nan=False)
    with pytest.raises(
        RepriseError, match="grid: accuracy is not finite in any run; there is nothing to draw"
    ):
        build(kind, lambda settings, seed: np.inf)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECS)
def test_same_input_gives_the_same_bytes(kind, tmp_path):
    found = results(cells(AXES[kind], 3), VALUES[kind])
    for folder in "ab":
        spec = {"id": "figure", "caption": "A grid.", **SPECS[kind]}
        draw_figure(
            spec,
            slug="report",
            resolve=found.resolve,
            tables=found.tables,
            scale="demo",
            out_stem=tmp_path / folder / "figure",
        )
    for suffix in ("png", "svg", "json"):
        assert (tmp_path / f"a/figure.{suffix}").read_bytes() == (
            tmp_path / f"b/figure.{suffix}"
        ).read_bytes()


@pytest.mark.parametrize("kind", SPECS)
def test_options_are_closed(kind):
    item = {"id": "figure", "caption": "A grid.", **SPECS[kind], "split": "validation", "at": "best"}
    assert drawing.figure(item).at == "best"
    with pytest.raises(RepriseError, match=r"^bye: unknown key"):
        drawing.figure({**item, "bye": "blocks"})
    with pytest.raises(RepriseError, match=r"^key metric is missing"):
        drawing.figure({key: value for key, value in item.items() if key != "metric"})


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("boxes", {"by": "block"}, "by: grid/blocks=1,kernel_size=2 has no axis block; did you mean blocks?"),
        (
            "heatmap",
            {"rows": "kernel"},
            "rows: grid/blocks=1,kernel_size=2 has no axis kernel; did you mean kernel_size?",
        ),
        (
            "heatmap",
            {"columns": "seed"},
            "columns: grid/blocks=1,kernel_size=2 has no axis seed; valid: blocks, kernel_size",
        ),
        ("heatmap", {"columns": "blocks"}, "rows and columns are both blocks; name two axes"),
        ("levels", {"axes": ["droprate"]}, "has no axis droprate; did you mean drop_rate?"),
        ("cube", {"axes": ["alpha", "lamda", "drop_rate"]}, "has no axis lamda; did you mean lambda?"),
        ("boxes", {"metric": "acuracy"}, "metric acuracy: no metric 'acuracy'; did you mean accuracy?"),
        ("boxes", {"metric": "f1_macro"}, r"has no f1_macro; train and evaluate it first"),
    ],
)
def test_mistakes_are_named_with_the_nearest(kind, changes, words):
    with pytest.raises(RepriseError) as error:
        build(kind, VALUES[kind], **changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", SPECS)
def test_cells_that_are_no_grid_are_an_error(kind):
    base = Cell("tuning", {}, None, (Run({"base": 1}),))
    changed = [
        Cell("tuning", {"blocks": blocks, "alpha": 0.2}, None, (Run({"blocks": blocks}),))
        for blocks in (1, 3)
    ]
    with (
        style(),
        pytest.raises(RepriseError, match=r"tuning has no axis (blocks|alpha); name the cells of a grid"),
    ):
        build_figure(
            {"id": "f", "caption": "c", **SPECS[kind]},
            results([*changed, base], lambda *_: 0.5),
            scale="full",
        )
    with style(), pytest.raises(RepriseError, match="name the cells of a grid"):
        build_figure(
            {"id": "f", "caption": "c", **SPECS[kind]}, results([base], lambda *_: 0.5), scale="full"
        )


def test_values_stand_in_the_order_of_the_report_file_and_named_ones_in_words():
    axes = {"optimizer": ["sgd", "cut_out"], "lr": [0.1, 1e-4, 0.01]}
    figure, drawn = build("boxes", lambda *_: 0.5, axes, by="lr")
    assert [row["value"] for row in drawn.values] == ["0.1", "0.0001", "0.01"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.1", "0.0001", "0.01"]
    figure, drawn = build("boxes", lambda *_: 0.5, axes, by="optimizer")
    assert [row["value"] for row in drawn.values] == ["sgd", "cut_out"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["SGD", "Cutout"]


def test_a_part_of_a_grid_keeps_the_order_of_the_whole():
    missing = [(1, 2), (1, 4), (3, 5)]  # so 3 and 5 appear before 2 and 4
    figure, drawn = build(
        "heatmap", two, only=lambda settings: (settings["blocks"], settings["kernel_size"]) not in missing
    )
    assert [row["settings"]["kernel_size"] for row in drawn.values[:4]] == ["2", "3", "4", "5"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2", "3", "4", "5"]
    _, drawn = build(
        "levels",
        two,
        TWO,
        only=lambda settings: settings["kernel_size"] == {1: 5, 3: 2, 5: 4}[settings["blocks"]],
    )
    assert [row["value"] for row in drawn.values if row["axis"] == "kernel_size" and "value" in row] == [
        "5",
        "2",
        "4",
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"metric": "accuracy"}, "test accuracy"),
        ({"metric": "epochs"}, "epochs"),
        ({"metric": "f1_macro"}, "test f1 macro"),
        ({"metric": "gap"}, "accuracy gap"),
        ({"metric": "plain_gap"}, "generalisation gap on plain images"),
        ({"metric": "plain_train_accuracy"}, "training accuracy on plain images"),
        ({"metric": "accuracy", "split": "validation", "at": "best"}, "best validation accuracy"),
        ({"metric": "accuracy", "split": "validation"}, "validation accuracy at the selected epoch"),
        ({"metric": "loss", "split": "train", "at": "last"}, "training loss at the last epoch"),
        ({"metric": "loss", "at": "best"}, "best test loss"),
        ({"metric": "gap", "split": "validation", "at": "last"}, "validation accuracy gap at the last epoch"),
    ],
)
def test_the_metric_is_named_with_its_place(keys, words):
    heads = {"id": "a", "kind": "heatmap", "caption": "a", "runs": "a", "rows": "a", "columns": "b"}
    assert grid.label(drawing.figure(heads | keys)) == words


# ---- boxes ----


def test_boxes_have_the_quartiles_over_all_runs_of_a_value():
    figure, drawn = build("boxes", two)
    first = drawn.values[0]  # one block: 0.4, 0.5, 0.6, 0.7
    assert (first["axis"], first["value"], first["n"]) == ("blocks", "1", 4)
    assert list(first["points"].values()) == pytest.approx([0.4, 0.5, 0.6, 0.7])
    expected = {"min": 0.4, "q1": 0.475, "median": 0.55, "q3": 0.625, "max": 0.7, "mean": 0.55}
    assert {key: first[key] for key in expected} == pytest.approx(expected)
    drawn_boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]
    assert [sorted(set(np.round(box.get_path().vertices[:-1, 1], 6))) for box in drawn_boxes] == [
        [0.475, 0.625],
        [0.175, 0.325],
        [0.175, 0.325],
    ]
    assert (
        "blocks 1 (n = 4): mean 0.550, median 0.550, quartiles 0.475 and 0.625, range 0.400 to 0.700."
        in drawn.description
    )


def test_every_run_is_a_dot_of_its_own():
    figure, drawn = build("boxes", lambda settings, seed: 0.5, seeds=3)
    clouds = [np.round(cloud.get_offsets(), 6) for cloud in figure.axes[0].collections]
    assert [len({tuple(place) for place in cloud}) for cloud in clouds] == [12, 12, 12]
    assert all((cloud[:, 1] == 0.5).all() for cloud in clouds)
    assert [row["n"] for row in drawn.values] == [12, 12, 12]
    assert len(drawn.runs) == 36


@pytest.mark.parametrize(
    "heights",
    [
        np.zeros(40),
        np.linspace(0, 30, 60),
        np.random.default_rng(0).normal(0, 10, 80),
        np.array([3.0]),
        np.array([]),
    ],
)
def test_dots_of_a_swarm_touch_no_other_and_stand_about_the_middle(heights):
    aside = swarm(heights, 4.0)
    for one, other in itertools.combinations(range(len(heights)), 2):
        assert np.hypot(aside[one] - aside[other], heights[one] - heights[other]) >= 4.0
    alone = [dot for dot in range(len(heights)) if (abs(np.delete(heights, dot) - heights[dot]) >= 4.0).all()]
    assert not aside[alone].any()
    assert abs(aside).max(initial=0) <= 1.1 * 4.0 * max(len(heights) / 2, 1)
    assert len(heights) == 0 or abs(aside.mean()) < 4.0


def test_dots_without_room_share_the_edge():
    figure, _ = build("boxes", lambda settings, seed: 0.5, seeds=40)
    places = np.concatenate([cloud.get_offsets() for cloud in figure.axes[0].collections])
    assert len(places) == 3 * 160
    assert (abs(places[:, 0] - places[:, 0].round()) <= 0.4 + 1e-9).all()


def test_a_value_without_finite_runs_keeps_its_place():
    figure, drawn = build("boxes", lambda settings, seed: np.nan if settings["blocks"] == 3 else 0.5)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "3", "5"]
    assert drawn.values[1] == {"axis": "blocks", "value": "3", "n": 0, "points": {}}
    assert "blocks 3: no finite value." in drawn.description
    assert_sound(figure)


def test_limits_are_kept():
    for kind in ("boxes", "levels"):
        assert build(kind, VALUES[kind], y_limits=[0, 1])[0].axes[0].get_ylim() == (0, 1)


# ---- heatmap ----


def framed(figure):
    """(column, row) of the fields in a frame."""
    frames = [
        patch
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_edgecolor()) == COLORS["vermillion"]
    ]
    return [(int(patch.get_x()), int(patch.get_y())) for patch in frames]


def test_fields_are_means_over_the_runs_and_the_best_is_framed():
    figure, drawn = build("heatmap", two, seeds=2)
    assert [row["settings"] for row in drawn.values[:2]] == [
        {"blocks": "1", "kernel_size": size} for size in "23"
    ]
    assert {row["n"] for row in drawn.values} == {2}
    assert [row["mean"] for row in drawn.values] == pytest.approx(
        [0.405, 0.505, 0.605, 0.705, *[0.105, 0.205, 0.305, 0.405] * 2]
    )
    assert drawn.values[0]["sd"] == pytest.approx(0.01 / 2**0.5)
    printed = {text.get_position(): text for text in figure.axes[0].texts}
    assert printed[0.5, 0.5].get_text() == "0.405"
    assert printed[3.5, 2.5].get_text() == "0.405"
    assert framed(figure) == [(3, 0)]
    assert [place for place, text in printed.items() if text.get_fontweight() == "bold"] == [(3.5, 0.5)]
    assert {"best: blocks 1, kernel size 5", "mean over 2 seeds", "Test accuracy"} <= said(figure)
    assert "blocks 1, kernel size 2: 0.405, 3: 0.505, 4: 0.605, 5: 0.705." in drawn.description
    assert drawn.description.endswith("Best: blocks 1, kernel size 5.")


def test_numbers_are_read_on_their_fields():
    """White on dark fields, dark on light ones."""
    figure, _ = build("heatmap", two)
    inks = {text.get_position(): text.get_color() for text in figure.axes[0].texts}
    assert inks[3.5, 0.5] == "0.15"  # the largest: yellow
    assert inks[0.5, 1.5] == "white"  # the smallest: violet


def test_of_a_loss_the_smallest_is_best():
    figure, _ = build("heatmap", lambda settings, seed: 1 - two(settings), metric="loss")
    assert framed(figure) == [(0, 1), (0, 2)]
    assert "best: blocks 3, kernel size 2 and blocks 5, kernel size 2" in said(figure)


def test_other_axes_are_averaged_and_said_so():
    figure, drawn = build("heatmap", three, THREE, seeds=3, rows="lambda", columns="drop_rate")
    assert "mean over alpha and 3 seeds" in said(figure)
    assert "by lambda (rows) and drop rate (columns), mean over alpha and 3 seeds." in drawn.description
    assert drawn.values[0]["n"] == 9
    assert drawn.values[0]["mean"] == pytest.approx(0.7 - 0.04 + 0.06 - 0.005 + 0.001)
    assert not [text for text in said(build("heatmap", two)[0]) if text.startswith("mean over")]


def test_combinations_without_a_run_are_hatched():
    figure, drawn = build(
        "heatmap", two, only=lambda settings: settings["blocks"] + settings["kernel_size"] != 5
    )
    assert [tuple(row["settings"].values()) for row in drawn.values if row["mean"] is None] == [
        ("1", "4"),
        ("3", "2"),
    ]
    assert [(patch.get_x(), patch.get_y()) for patch in figure.axes[0].patches if patch.get_hatch()] == [
        (2, 0),
        (0, 1),
    ]
    assert "no value" in said(figure)
    assert "kernel size 2: no value" in drawn.description
    assert len([text for text in figure.axes[0].texts if text.get_text()]) == 10


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_stay_inside_their_fields(width):
    axes = {"blocks": [1, 3, 5], "kernel_size": [2, 3, 4, 5, 6, 7, 8, 9]}
    figure, _ = build("heatmap", lambda settings, seed: 0.1 * settings["kernel_size"], axes, width=width)
    drawn_on = figure.axes[0]
    side = drawn_on.get_window_extent().width / 8
    assert all(text.get_window_extent().width < side for text in drawn_on.texts)


# ---- levels ----


def test_levels_are_means_and_quartiles_over_all_runs_and_the_spread_is_printed():
    figure, drawn = build("levels", three)
    rates = [row for row in drawn.values if row["axis"] == "drop_rate" and "value" in row]
    around = 0.7 + 0.04 - 0.005
    assert [row["value"] for row in rates] == ["0.1", "0.3", "0.5"]
    assert [row["mean"] for row in rates] == pytest.approx([around - 0.04, around - 0.12, around - 0.2])
    nine = sorted(
        0.7 - 0.04 - 0.02 * decade - 0.01 * alpha for decade in (-3, -2, -1) for alpha in (0.2, 0.5, 0.8)
    )
    assert (rates[0]["n"], rates[0]["q1"], rates[0]["q3"]) == (
        9,
        pytest.approx(nine[2]),
        pytest.approx(nine[6]),
    )
    spreads = {row["axis"]: row["spread"] for row in drawn.values if "spread" in row}
    assert spreads == pytest.approx({"alpha": 0.006, "lambda": 0.04, "drop_rate": 0.16})
    assert [axes.get_title() for axes in figure.axes] == ["spread 0.006", "spread 0.040", "spread 0.160"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["Alpha", "Lambda", "Drop rate"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "spread of the means 0.160" in drawn.description


def test_a_mean_may_lie_outside_the_quartiles():
    figure, drawn = build(
        "levels", lambda settings, seed: 0.9 if settings["kernel_size"] == 5 else 0.1, TWO, axes=["blocks"]
    )
    level = drawn.values[0]
    assert (level["mean"], level["q1"], level["q3"]) == pytest.approx((0.3, 0.1, 0.3))
    figure, drawn = build(
        "levels", lambda settings, seed: 0.9 if seed == 9 else 0.1, {"lr": [1, 2]}, seeds=10
    )
    level = drawn.values[0]
    assert level["mean"] == pytest.approx(0.18)
    assert level["q3"] == pytest.approx(0.1)
    assert_sound(figure)


def test_only_axes_that_vary_have_a_panel_and_chosen_ones_stand_in_their_order():
    figure, _ = build("levels", three, only=lambda settings: settings["alpha"] == 0.5)
    assert [axes.get_xlabel() for axes in figure.axes] == ["Lambda", "Drop rate"]
    figure, _ = build("levels", three, axes=["drop_rate", "alpha"])
    assert [axes.get_xlabel() for axes in figure.axes] == ["Drop rate", "Alpha"]
    with pytest.raises(RepriseError, match="grid has no axis with two values; name the cells of a grid"):
        build("levels", lambda *_: 0.5, {"lr": [0.1]})


def test_means_are_joined_where_the_values_are_numbers():
    figure, _ = build("levels", lambda *_: 0.5, {"lr": [0.1, 0.01], "optimizer": ["adam", "sgd"]})
    joined = [
        [line.get_linestyle() for line in axes.lines if line.get_marker() == "o"] for axes in figure.axes
    ]
    assert joined == [["-"], ["None"]]


# ---- cube ----


def test_points_are_means_and_the_best_is_ringed_and_named():
    figure, drawn = build("cube", three, seeds=2)
    assert len(drawn.values) == 27
    assert drawn.values[5] == {
        "settings": {"alpha": "0.2", "lambda": "0.01", "drop_rate": "0.5"},
        "n": 2,
        "mean": pytest.approx(0.7 - 0.2 + 0.04 - 0.002 + 0.0005),
        "sd": pytest.approx(0.001 / 2**0.5),
    }
    assert "best: alpha 0.2, lambda 0.001, drop rate 0.1" in said(figure)
    assert drawn.description.endswith("Best: alpha 0.2, lambda 0.001, drop rate 0.1.")
    assert "alpha 0.8, lambda 0.1, drop rate 0.5: 0.512" in drawn.description
    axes = figure.axes[0]
    points = axes.collections[0]
    places, values, sizes = points.get_offsets(), points.get_array(), points.get_sizes()
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(rings) == 1
    assert np.allclose(places[values.argmax()], [rings[0].get_xdata()[0], rings[0].get_ydata()[0]])
    assert (np.argsort(values, kind="stable") == np.argsort(sizes, kind="stable")).all()
    assert values.max() == pytest.approx(0.7 - 0.04 + 0.06 - 0.002 + 0.0005)


def test_values_are_evenly_spaced_whatever_their_size_and_no_point_hides_another():
    figure, _ = build("cube", three)
    places = np.asarray(figure.axes[0].collections[0].get_offsets())
    by_value = dict(zip(np.round(figure.axes[0].collections[0].get_array(), 9), places, strict=True))

    def place(alpha, decay, rate):
        return by_value[np.round(three({"alpha": alpha, "lambda": decay, "drop_rate": rate}), 9)]

    steps = [place(0.2, one, 0.1) - place(0.2, other, 0.1) for one, other in ((0.01, 0.001), (0.1, 0.01))]
    assert np.allclose(*steps)
    nearest = min(np.hypot(*(one - other)) for one, other in itertools.combinations(places, 2))
    edge = np.hypot(*(place(0.2, 0.001, 0.5) - place(0.2, 0.001, 0.1))) / np.cos(cube.ELEVATION)
    assert nearest > 0.22 * edge
    assert 72 * nearest > np.sqrt(figure.axes[0].collections[0].get_sizes().max())  # inches, points


@pytest.mark.parametrize("width", WIDTHS)
def test_a_heatmap_for_each_value_of_the_third_axis_has_the_numbers(width):
    figure, drawn = build("cube", three, width=width)
    maps = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(maps) == ["drop rate 0.1", "drop rate 0.3", "drop rate 0.5"]
    for rate, axes in zip(("0.1", "0.3", "0.5"), maps.values(), strict=True):
        here = [row for row in drawn.values if row["settings"]["drop_rate"] == rate]
        numbers = [
            [row["mean"] for row in here if row["settings"]["lambda"] == decay]
            for decay in ("0.001", "0.01", "0.1")
        ]
        assert np.allclose(axes.collections[0].get_array(), numbers)
        printed = {text.get_text() for text in axes.texts}
        assert printed == {f"{row['mean']:.3f}" for row in here}
        assert axes.collections[0].norm.vmin == figure.axes[0].collections[0].norm.vmin
    framed = [
        axes.get_title() for axes in maps.values() for patch in axes.patches if isinstance(patch, Rectangle)
    ]
    assert framed == ["drop rate 0.1"]
    places = {axes.get_position().x0 > figure.axes[0].get_position().x1 / 2 for axes in maps.values()}
    assert places == {width == "wide"}
    assert_sound(figure)
    assert_apart(figure)


@pytest.mark.parametrize("kind", ["heatmap", "cube"])
def test_colours_do_not_tell_apart_what_hardly_differs(kind):
    figure, _ = build(kind, lambda settings, seed: 0.5 + 0.001 * (settings[next(iter(settings))] == 3))
    norm = next(
        each.norm for axes in figure.axes for each in axes.collections if each.get_array() is not None
    )
    assert norm.vmax - norm.vmin == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["boxes", "levels"])
def test_accuracies_that_hardly_differ_do_not_fill_the_axis(kind):
    figure, _ = build(kind, lambda settings, seed: 0.5 + 0.001 * seed, seeds=2)
    low, high = figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)
    free, _ = build(kind, lambda settings, seed: 0.5 + 0.001 * seed, seeds=2, y_limits=[0.49, 0.51])
    assert free.axes[0].get_ylim() == (0.49, 0.51)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cube_need_not_be_one(width):
    axes = {
        "optimizer": ["adam", "sgd with momentum"],
        "lr": [1e-5, 1e-4, 1e-3, 1e-2],
        "augmentation": ["none"],
        "seed": [1, 2],
    }
    figure, drawn = build(
        "cube",
        lambda settings, seed: settings["lr"],
        axes,
        width=width,
        axes=["optimizer", "lr", "augmentation"],
    )
    assert len(drawn.values) == 8
    assert {"mean over seed", "Optimizer", "Learning rate", "Augmentation", "none"} <= said(figure)
    assert_sound(figure)
    assert_apart(figure)


def test_combinations_without_a_run_have_no_point():
    figure, drawn = build(
        "cube", three, only=lambda settings: settings["alpha"] == 0.2 or settings["drop_rate"] == 0.3
    )
    assert len(drawn.values) == len(figure.axes[0].collections[0].get_offsets()) == 15
