"""Figures: what is on them, what is beside them, and that nothing overlaps or is cut off."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import drawing
import numpy as np
import pandas as pd
import pytest
from drawing import build_figure, draw_figure
from matplotlib.collections import PolyCollection
from matplotlib.image import AxesImage
from matplotlib.text import Annotation, Text
from PIL import Image

from reprise.errors import RepriseError
from reprise.publishing.figures.colors import series_colors
from reprise.publishing.figures.references import read_references
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.style import CONTEXT, DPI, PALETTE, WIDTHS, style, text_width, wrap
from reprise.reports.figures import OWN_FIGURES
from reprise.reports.report import Cell
from reprise.reports.run import Run

SVG = "{http://www.w3.org/2000/svg}"
LONG = (
    "a network with two additional convolutional layers, three dropout layers and as many dense units as "
    "before"
)


def cell(name, seeds=3, **settings):
    members = [Run({"model": {"name": name, **settings}, "seeds": {"init": seed}}) for seed in range(seeds)]
    return Cell(name, settings, None, tuple(members))


def history(cell, epochs=20, top=0.5, splits=("train", "test")):
    """Made-up curves; `epochs` is a number, or one per run."""
    rows = []
    for index, run in enumerate(cell.runs):
        number = epochs[index] if isinstance(epochs, list) else epochs
        epoch = np.arange(1, number + 1)
        for split in splits:
            accuracy = (top + 0.4 * (split == "train")) * (1 - np.exp(-epoch / 4)) + 0.01 * index
            rows.append(
                pd.DataFrame(
                    {
                        "run": run,
                        "epoch": epoch,
                        "split": split,
                        "loss": 3 - 3 * accuracy,
                        "accuracy": accuracy,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def final(cell, epoch):
    return pd.DataFrame({"run": list(cell.runs), "metric": "selected_epoch", "value": float(epoch)})


def spec(**changes):
    series = [{"runs": "adam"}]
    return {
        "id": "figure_02",
        "kind": "curves",
        "caption": "Loss per epoch.",
        "metric": "loss",
        "splits": ["train", "test"],
        "series": series,
    } | changes


def build(spec, cells, epochs=20, scale="full", notes=(), finals=None):
    """The figure of `spec` and what it says, from made-up histories of `cells` (selector → list of cells)."""
    unique = {one.name + str(one.settings): one for found in cells.values() for one in found}
    table = pd.concat([history(one, epochs, 0.3 + 0.05 * index) for index, one in enumerate(unique.values())])
    with style():
        return build_figure(
            spec, Sources(cells.__getitem__, Tables.of(history=table, final=finals)), scale=scale, notes=notes
        )


def write(folder, spec=None, scale="full", notes=(), seeds=3, **more):
    adam = cell("adam", seeds)
    stem = folder / "figures" / "figure_02"
    options = {
        "resolve": lambda selector: [adam],
        "tables": Tables.of(history=history(adam)),
        "scale": scale,
        "notes": notes,
    } | more
    draw_figure(spec or globals()["spec"](), slug="report", out_stem=stem, **options)
    return {suffix: (stem.parent / f"figure_02.{suffix}").read_bytes() for suffix in ("png", "svg", "json")}


def boxes(figure):
    """Extents in pixels of all visible text."""
    hidden = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
    }
    for axes in figure.axes:  # ticks beyond the limits are not drawn
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            hidden -= {label for tick in shown for label in (tick.label1, tick.label2)}
    return {
        text: text.get_window_extent()
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    }


def assert_sound(figure):
    """No text is cut off, and the legend lies outside the axes."""
    width, height = figure.get_size_inches() * DPI
    for text, box in boxes(figure).items():
        assert -0.5 <= box.x0 <= box.x1 <= width + 0.5, text
        assert -0.5 <= box.y0 <= box.y1 <= height + 0.5, text
    for legend in figure.legends:
        for axes in figure.axes:
            assert not legend.get_window_extent().overlaps(axes.get_tightbbox())


def assert_apart(figure):
    """No text covers another."""
    found = [(text, box.padded(-1)) for text, box in boxes(figure).items()]
    for index, (text, box) in enumerate(found):
        for other, area in found[:index]:
            assert not box.overlaps(area), (text, other)


def bands(figure):
    return [item for item in figure.findobj(PolyCollection) if item.get_gid() == "band"]


# ---- files ----


def test_png_has_the_width_of_a_column_or_a_page(tmp_path):
    for width in WIDTHS:
        write(tmp_path, spec(width=width))
        with Image.open(tmp_path / "figures/figure_02.png") as image:
            image.load()
            assert image.format == "PNG"
            assert image.width == round(WIDTHS[width] * DPI)


def test_png_and_svg_carry_alt_text_and_provenance(tmp_path):
    files = write(tmp_path, meta={cell("adam").runs[0]: {"torch": "2.11", "device": "cpu", "seconds": 3.5}})
    record = json.loads(files["json"])
    with Image.open(tmp_path / "figures/figure_02.png") as image:
        embedded = json.loads(image.text["Provenance"])
        assert image.text["Description"] == record["alt"]
    assert embedded["runs"] == record["runs"]
    assert record["runs"] == {run: {} for run in cell("adam").runs} | {
        cell("adam").runs[0]: {"torch": "2.11", "device": "cpu"}
    }
    assert record["spec"] == spec()
    assert set(record["versions"]) >= {"reprise", "matplotlib", "python"}
    svg = ET.fromstring(files["svg"])
    assert svg.get("role") == "img"
    assert svg.find(f"{SVG}title").text == "report, figure_02"
    assert svg.find(f"{SVG}desc").text == record["alt"]
    assert record["alt"].startswith("Loss per epoch. Line plot of")
    assert record["spec_hash"] in files["svg"].decode()


def test_text_of_an_svg_is_text_in_a_font_that_every_machine_has(tmp_path):
    svg = ET.fromstring(write(tmp_path)["svg"])
    texts = {"".join(each.itertext()): each for each in svg.iter(f"{SVG}text")}
    assert {"Epoch", "Cross-entropy loss", "training", "test"} <= set(texts)
    for each in texts.values():
        assert "'DejaVu Sans', 'Verdana'" in each.get("style")
        assert "sans-serif" in each.get("style")


def test_hostile_texts_are_text_in_svg_and_png(tmp_path):
    hostile = (
        "</script></svg><script>alert(1)</script> & &lt; ]]> <!-- \"' $x$ \\input{x} "
        "[x](javascript:alert(1)) `x` %s {x}\n\n=\u202e"
    )
    changed = spec(caption=hostile, series=[{"runs": "adam", "label": hostile}], y_label=hostile)
    files = write(tmp_path, changed, notes=[hostile])
    svg = ET.fromstring(files["svg"])
    assert not [each.tag for each in svg.iter() if each.tag.endswith("script")]
    assert svg.find(f"{SVG}desc").text.startswith("</script></svg><script>alert(1)</script> & &lt; ]]> <!--")
    assert json.loads(files["json"])["spec"] == changed
    with Image.open(tmp_path / "figures/figure_02.png") as image:
        assert json.loads(image.text["Provenance"])["spec"] == changed


def test_json_holds_the_numbers_drawn(tmp_path):
    adam = cell("adam")
    table = history(adam, 4)
    lines = json.loads(write(tmp_path, tables=Tables.of(history=table))["json"])["values"]
    assert [(line["split"], line["epoch"], line["n"]) for line in lines] == [
        (s, [1, 2, 3, 4], [3] * 4) for s in ("train", "test")
    ]
    losses = table[(table.split == "test") & (table.epoch == 2)].loss
    assert lines[1]["mean"][1] == pytest.approx(losses.mean())
    assert lines[1]["sd"][1] == pytest.approx(losses.std(ddof=1))


def test_same_input_gives_the_same_bytes(tmp_path):
    first = write(tmp_path / "a", scale="demo", notes=["Random weights."])
    assert first == write(tmp_path / "b", scale="demo", notes=["Random weights."])


@pytest.mark.slow
def test_a_colour_changes_the_picture_and_not_the_numbers(tmp_path):
    plain = write(tmp_path)
    for own in ("#123456", "green", {"test": "purple"}):
        other = write(tmp_path, spec(series=[{"runs": "adam", "color": own}]))
        assert other["png"] != plain["png"]
        assert json.loads(other["json"])["values"] == json.loads(plain["json"])["values"]


def test_failure_leaves_the_files_of_before(tmp_path):
    before = write(tmp_path)
    with pytest.raises(RepriseError):
        write(tmp_path, spec(metric="los"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == {
        f"figure_02.{suffix}": content for suffix, content in before.items()
    }


def test_user_settings_of_matplotlib_do_not_matter(tmp_path):
    import matplotlib as mpl

    before = write(tmp_path)
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9}):
        assert write(tmp_path) == before
        assert mpl.rcParams["font.size"] == 20


# ---- the face ----


@pytest.mark.parametrize(
    ("scale", "words"),
    [("demo", "DEMO – synthetic data"), ("quick", "QUICK – real data")],
)
def test_small_scales_say_so_above_the_axes(scale, words):
    figure, _ = build(spec(), {"adam": [cell("adam")]}, scale=scale)
    marked = [box for text, box in boxes(figure).items() if text.get_text() == words]
    assert len(marked) == 1
    assert not any(marked[0].overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_full_scale_says_nothing(tmp_path):
    figure, _ = build(spec(), {"adam": [cell("adam")]})
    assert not [text for text in boxes(figure) if "DEMO" in text.get_text() or "QUICK" in text.get_text()]
    assert "DEMO" not in json.loads(write(tmp_path)["json"])["alt"]
    assert json.loads(write(tmp_path, scale="demo")["json"])["alt"].startswith("DEMO – synthetic data. ")


def test_notes_are_printed_whole_and_make_room_for_themselves():
    note = (
        "VGG16 starts from random instead of pretrained weights, because the demonstration works without "
        "a network."
    )
    plain, _ = build(spec(), {"adam": [cell("adam")]}, scale="demo")
    noted, _ = build(spec(), {"adam": [cell("adam")]}, scale="demo", notes=[note])
    assert [text for text in boxes(noted) if text.get_text().replace("\n", " ") == note]
    assert noted.get_figheight() > plain.get_figheight()
    assert_sound(noted)


# ---- curves ----


def two_series(**changes):
    return spec(
        series=[{"runs": "adam", "label": "batch size 16"}, {"runs": "sgd", "label": "batch size 64"}],
        **changes,
    )


TWO = {"adam": [cell("adam")], "sgd": [cell("sgd")]}
GRID = [cell("cnn", batch_size=size, lr=lr) for size in (64, 128) for lr in (0.01, 0.001, 0.0001)]


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize(
    ("item", "cells", "epochs"),
    [
        (spec(), {"adam": [cell("adam")]}, 100),
        (spec(), {"adam": [cell("adam", 1)]}, 1),
        (
            two_series(
                metric="accuracy", reference=[{"value": "0.496"}, {"value": "0.502", "label": "chance"}]
            ),
            TWO,
            4,
        ),
        (
            spec(metric="accuracy", series=[{"runs": "adam", "label": LONG}], y_label=LONG),
            {"adam": [cell("adam")]},
            30,
        ),
        (spec(series=[{"runs": "adam", "label": "x" * 120}]), {"adam": [cell("adam")]}, 3),
        (spec(metric="accuracy"), {"adam": GRID}, 40),
        (spec(metric="gap", splits=["test"]), {"adam": [cell("adam", 2)]}, [5, 9]),
    ],
    ids=["long", "one epoch", "references", "long labels", "long word", "grid", "different lengths"],
)
def test_nothing_overlaps_and_nothing_is_cut_off(item, cells, epochs, scale, width):
    figure, _ = build({**item, "width": width}, cells, epochs, scale)
    assert_sound(figure)


def test_band_needs_two_seeds():
    assert len(bands(build(spec(), {"adam": [cell("adam", 2)]})[0])) == 2
    assert not bands(build(spec(), {"adam": [cell("adam", 1)]})[0])


def test_lines_differ_without_colour():
    figure, _ = build(two_series(), TWO, 20)
    looks = {
        (line.get_linestyle(), line.get_marker(), line.get_markerfacecolor() == "white")
        for line in figure.axes[0].lines
    }
    assert len(looks) == 4
    assert legend(figure) == ["batch size 16", "batch size 64", "training", "test", "mean ± sd of 3 seeds"]


def dashes(line):
    """Whether the line is solid, else its dashes and gaps in points of a line 1 point wide."""
    _, pattern = line._unscaled_dash_pattern
    return tuple(pattern) if pattern else "solid"


def test_series_that_coincide_are_each_seen():
    alike = pd.concat([history(one, 20, 0.5) for one in (cell("adam"), cell("sgd"))])
    results = Sources(TWO.__getitem__, Tables.of(history=alike))
    with style():
        single, _ = build_figure(two_series(splits=["test"]), results)
        several, _ = build_figure(two_series(), results)
    lines = single.axes[0].lines
    assert len({dashes(line) for line in lines}) == 2
    assert dashes(lines[0]) == "solid"  # the first is seen through the gaps of what is drawn over it
    adam, sgd = (
        [line for line in several.axes[0].lines if line.get_color() == each.get_color()] for each in lines
    )
    assert [dashes(line) for line in adam] == [dashes(line) for line in sgd]  # dashes tell the splits
    for under, over in zip(adam, sgd, strict=True):
        assert under.get_linewidth() > over.get_linewidth()
    assert (
        adam[0]._unscaled_dash_pattern[0] != sgd[0]._unscaled_dash_pattern[0]
    )  # one in the gaps of the other


def test_few_epochs_have_markers_and_whole_ticks():
    figure, _ = build(spec(), {"adam": [cell("adam")]}, 4)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "3", "4"]
    assert all(line.get_marker() not in ("", "None") for line in figure.axes[0].lines)
    long, _ = build(spec(), {"adam": [cell("adam")]}, 100)
    assert [label.get_text() for label in long.axes[0].get_xticklabels()] == [
        "1",
        "20",
        "40",
        "60",
        "80",
        "100",
    ]


def test_runs_that_stop_early_leave_the_mean_to_the_others():
    _, drawn = build(spec(splits=["test"]), {"adam": [cell("adam", 2)]}, [2, 3])
    assert drawn.values[0]["n"] == [2, 2, 1]
    assert drawn.values[0]["sd"][2] is None
    assert drawn.values[0]["mean"][2] is not None


def test_a_loss_that_is_not_finite_breaks_the_line():
    adam = cell("adam", 2)
    table = history(adam, 3)
    table.loc[(table.run == adam.runs[0]) & (table.epoch == 2), "loss"] = np.inf
    with style():
        figure, drawn = build_figure(
            spec(), Sources(lambda _: [adam], Tables.of(history=table)), scale="full"
        )
    assert drawn.values[0]["mean"][1] is None
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[1])
    json.dumps(drawn.values, allow_nan=False)


def test_gap_is_training_less_test():
    adam = cell("adam", 1)
    table = pd.DataFrame(
        {
            "run": adam.runs[0],
            "epoch": [1, 1],
            "split": ["train", "test"],
            "loss": 1.0,
            "accuracy": [0.75, 0.5],
        }
    )
    with style():
        figure, drawn = build_figure(
            spec(metric="gap", splits=["test"]),
            Sources(lambda _: [adam], Tables.of(history=table)),
            scale="full",
        )
    assert drawn.values[0]["mean"] == [0.25]
    assert figure.axes[0].get_ylabel() == "Training − test accuracy"


def test_selected_epochs_are_marked_on_their_curve_each_once():
    adam = cell("adam", 3)
    finals = final(adam, 7)
    finals.loc[finals.run == adam.runs[2], "value"] = 9.0
    figure, drawn = build(spec(selected=True), {"adam": [adam]}, 20, finals=finals)
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    mean = dict(zip(drawn.values[1]["epoch"], drawn.values[1]["mean"], strict=True))
    marked = [(float(star.get_xdata()[0]), float(star.get_ydata()[0])) for star in stars]
    assert sorted(marked) == [(7, mean[7]), (9, mean[9])]
    assert sorted(epoch for epoch, _ in drawn.values[1]["selected"]) == [7, 7, 9]
    assert "selected epoch" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_reference_numbers_are_printed_as_the_report_prints_them_and_apart():
    item = spec(
        metric="accuracy",
        reference=[{"value": "0.480"}, {"value": "0.4801"}, {"value": 0.05, "label": "chance"}],
    )
    figure, _ = build(item, {"adam": [cell("adam")]})
    printed = {text.get_text(): box for text, box in boxes(figure).items()}
    assert {"0.480", "0.4801", "0.05", "report", "chance"} <= set(printed)
    assert not printed["0.480"].overlaps(printed["0.4801"])
    axes = figure.axes[0].get_window_extent()
    assert all(printed[number].x0 >= axes.x1 for number in ("0.480", "0.4801", "0.05"))


def test_limits_are_kept():
    figure, _ = build(spec(x_limits=[1, 10], y_limits=[0, 5]), {"adam": [cell("adam")]})
    assert figure.axes[0].get_ylim() == (0, 5)
    assert figure.axes[0].get_xticks()[-1] <= 10


def test_cells_of_a_grid_are_series_named_by_their_settings():
    _, drawn = build(spec(splits=["test"]), {"adam": GRID})
    assert len(drawn.values) == 6
    assert drawn.values[0]["label"] == "batch size 64, learning rate 0.01"
    assert len(drawn.runs) == 18


# ---- panels ----


def panelled(panels, **changes):
    series = [{"runs": f"lr={lr}", "label": f"learning rate {lr}"} for lr in (0.01, 0.001, 0.0001)]
    return spec(series=series, panels=panels) | changes


RATES = {f"lr={lr}": [one for one in GRID if one.settings["lr"] == lr] for lr in (0.01, 0.001, 0.0001)}
READ = {
    reading: [Cell("vit", {}, reading, (Run({"reading": reading, "seed": seed}),)) for seed in range(1)]
    for reading in ("as_run", "as_written")
}


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def legend(figure):
    assert len(figure.legends) == 1
    return [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().strip()]


def test_a_panel_for_each_value_of_an_axis():
    figure, drawn = build(panelled("batch_size", width="wide"), RATES, 20)
    assert titles(figure) == ["batch size 64", "batch size 128"]
    assert [len(axes.lines) for axes in figure.axes] == [6, 6]
    rates = ["learning rate 0.01", "learning rate 0.001", "learning rate 0.0001"]
    assert legend(figure) == [*rates, "training", "test", "mean ± sd of 3 seeds"]
    assert [(line["panel"], line["label"], line["split"]) for line in drawn.values[:4]] == [
        ("batch size 64", "learning rate 0.01", "train"),
        ("batch size 64", "learning rate 0.01", "test"),
        ("batch size 128", "learning rate 0.01", "train"),
        ("batch size 128", "learning rate 0.01", "test"),
    ]
    left, right = ([line.get_color() for line in axes.lines] for axes in figure.axes)
    assert left == right  # a series has one colour in all panels
    assert len(set(left)) == 3
    assert "2 line plots of test cross-entropy loss" in drawn.description
    assert "batch size 128, learning rate 0.001, test (n = 3)" in drawn.description


def test_a_panel_for_each_split():
    figure, drawn = build(panelled("split", series=[{"runs": "lr=0.01"}], width="wide"), RATES, 20)
    assert titles(figure) == ["training", "test"]
    assert [line["split"] for line in drawn.values] == ["train", "train", "test", "test"]
    assert legend(figure) == ["batch size 64", "batch size 128", "mean ± sd of 3 seeds"]
    left, right = ([dashes(line) for line in axes.lines] for axes in figure.axes)
    assert left == right
    assert len(set(left)) == 2  # where splits have panels, dashes tell the series


LOSS = "Cross-entropy loss"


@pytest.mark.parametrize(
    ("labels", "changes", "shown", "beside", "said"),
    [
        ({"test": "validation"}, {}, ["training", "validation"], LOSS, "validation"),
        ({"train": "fit", "test": "held out"}, {}, ["fit", "held out"], LOSS, "held out"),
        (
            {"test": "CV fold 5"},
            {"splits": ["test"], "metric": "accuracy"},
            ["CV fold 5"],
            "CV fold 5 accuracy",
            "CV fold 5",
        ),
        (
            {"train": "Fit", "test": "Dev"},
            {"splits": ["test"], "metric": "gap"},
            ["Dev"],
            "Fit − Dev accuracy",
            "Fit − Dev",
        ),
        ({"test": "test_a < 1 & $x$"}, {"y_label": "y"}, ["training", "test_a < 1 & $x$"], "y", "test_a"),
        ({}, {}, ["training", "test"], LOSS, "test"),
        ({"train": "training", "validation": None}, {}, ["training", "test"], LOSS, "test"),
    ],
)
def test_splits_are_called_what_the_report_calls_them(labels, changes, shown, beside, said):
    figure, drawn = build(spec(split_labels=labels, **changes), {"adam": [cell("adam")]})
    assert legend(figure)[: len(shown)] == shown
    assert figure.axes[0].get_ylabel() == beside
    assert drawn.description.startswith(f"Line plot of {said} ")
    assert {line["split"] for line in drawn.values} <= {"train", "test"}
    assert_sound(figure)
    _, plain = build(spec(**changes), {"adam": [cell("adam")]})
    assert drawn.values == plain.values


def test_labels_of_splits_stand_beside_series_and_over_panels():
    labels = {"train": "fit", "test": "validation"}
    several = {"series": [{"runs": "lr=0.01"}], "split_labels": labels, "width": "wide"}
    figure, drawn = build(panelled("split", **several), RATES, 20)
    assert titles(figure) == ["fit", "validation"]
    assert [line["panel"] for line in drawn.values] == ["fit", "fit", "validation", "validation"]
    figure, drawn = build(panelled("batch_size", split_labels=labels, width="wide"), RATES, 20)
    assert legend(figure)[3:5] == ["fit", "validation"]
    assert "learning rate 0.001, validation (n = 3)" in drawn.description


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        ({"validation": "dev"}, {}, "split_labels: no line is of validation; drawn: train, test"),
        ({"train": "a"}, {"splits": ["test"]}, "split_labels: no line is of train; drawn: test"),
        ({"test": "training"}, {}, "split_labels: two splits are called 'training'; give each a label"),
        ({"train": "a", "test": "a"}, {}, "split_labels: two splits are called 'a'; give each a label"),
        ({"test": "training"}, {"splits": ["test"], "metric": "gap"}, "two splits are called 'training'"),
        ({"tset": "dev"}, {}, r"split_labels\.tset: unknown key; did you mean test\?"),
        ({"test": ""}, {}, r"split_labels\.test: "),
        ("dev", {}, "split_labels: "),
    ],
)
def test_mistakes_with_labels_of_splits(labels, changes, message):
    with pytest.raises(RepriseError, match=message):
        build(spec(split_labels=labels, **changes), {"adam": [cell("adam")]})


def test_panels_of_two_keys_are_rows_and_columns():
    figure, drawn = build(panelled(["batch_size", "split"], width="wide"), RATES, 20)
    assert titles(figure) == [
        f"batch size {size}, {split}" for size in (64, 128) for split in ("training", "test")
    ]
    places = [axes.get_position() for axes in figure.axes]
    assert len({round(place.x0, 3) for place in places}) == len({round(place.y0, 3) for place in places}) == 2
    assert [len(axes.lines) for axes in figure.axes] == [3] * 4
    assert drawn.values[0]["panel"] == "batch size 64, training"
    assert_sound(figure)


def test_a_series_may_stand_in_every_panel_for_comparison():
    cells = {"grid": GRID[::3], "one": GRID[:1]}
    series = [{"runs": "grid", "label": "own"}, {"runs": "one", "label": "of 64", "everywhere": True}]
    figure, drawn = build(panelled("batch_size", series=series, splits=["test"]), cells, 20)
    own, compared = figure.axes
    assert [line.get_color() for line in own.lines] != [CONTEXT]  # not beside itself
    assert [line.get_color() == CONTEXT for line in compared.lines] == [False, True]
    assert compared.lines[1].get_zorder() < compared.lines[0].get_zorder()
    assert len(bands(figure)) == 2  # none for what is there for comparison
    assert [(line["panel"], line["label"]) for line in drawn.values] == [
        ("batch size 64", "own"),
        ("batch size 128", "own"),
        ("batch size 128", "of 64"),
    ]
    assert legend(figure)[:2] == ["own", "of 64"]
    with pytest.raises(
        RepriseError, match="series: each is drawn everywhere, for comparison; name what it is"
    ):
        build(panelled("batch_size", series=series[1:]), cells)


def test_a_panel_for_each_reading():
    series = [{"runs": reading, "label": "one"} for reading in READ]
    figure, drawn = build(panelled("reading", series=series, splits=["test"]), READ, 20)
    assert titles(figure) == ["as run", "as written"]
    assert legend(figure) == ["one, test"]
    assert len(drawn.runs) == 2


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_panels_have_common_axes_and_labels_outside_only(width):
    item = panelled("batch_size", width=width, metric="accuracy", reference=[{"value": "0.63"}])
    figure, _ = build(item, RATES, 20)
    assert (
        len({axes.get_ylim() for axes in figure.axes}) == len({axes.get_xlim() for axes in figure.axes}) == 1
    )
    assert [axes.get_ylabel() for axes in figure.axes] == (
        ["Accuracy", ""] if width == "wide" else ["Accuracy", "Accuracy"]
    )
    assert [axes.get_xlabel() for axes in figure.axes] == (
        ["Epoch", "Epoch"] if width == "wide" else ["", "Epoch"]
    )
    printed = [text for text in boxes(figure) if text.get_text() == "0.63"]
    assert [text.axes for text in printed] == (figure.axes[1:] if width == "wide" else figure.axes)


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize(
    ("item", "cells", "epochs"),
    [
        (
            panelled("batch_size", metric="accuracy", reference=[{"value": "0.63"}, {"value": "0.65"}]),
            RATES,
            4,
        ),
        (panelled("batch_size"), RATES, [33, 60, 100]),
        (panelled("split", series=[{"runs": "grid"}]), {"grid": GRID}, 40),
        (panelled("lr", series=[{"runs": "grid"}], y_label=LONG), {"grid": GRID}, [5, 9, 9]),
    ],
    ids=["references", "different lengths", "split", "three panels"],
)
def test_no_panel_overlaps_another(item, cells, epochs, scale, width):
    figure, _ = build({**item, "width": width}, cells, epochs, scale)
    assert_sound(figure)
    areas = [axes.get_tightbbox().padded(-1) for axes in figure.axes]
    assert not any(one.overlaps(other) for index, one in enumerate(areas) for other in areas[:index])


@pytest.mark.slow
def test_panels_that_are_not_full_leave_no_empty_axes():
    many = [cell("cnn", 1, lr=number) for number in range(5)]
    figure, _ = build(
        panelled("lr", series=[{"runs": "grid", "label": "cnn"}], width="wide"), {"grid": many}, 20
    )
    assert titles(figure) == [f"learning rate {number}" for number in range(5)]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "Epoch", "Epoch", "Epoch"]
    assert_sound(figure)


@pytest.mark.parametrize(
    ("item", "cells", "words"),
    [
        (
            panelled("batch_sise"),
            RATES,
            "panels: cnn/batch_size=64,lr=0.01 has no batch_sise; did you mean batch_size?",
        ),
        (panelled("reading"), RATES, "has no reading; valid: split, batch_size, lr"),
        (
            panelled("seed", series=[{"runs": "as_run"}]),
            READ,
            "panels: vit@as_run has no seed; valid: split, reading",
        ),
        (
            panelled("batch_size", series=[{"runs": "lr=0.01"}, {"runs": "lr=0.001"}]),
            RATES,
            "two series in panel batch size 64 have no label",
        ),
        (
            spec(series=[{"runs": "lr=0.01", "label": "a"}] * 2),
            RATES,
            "two series are called 'a, batch size 64'; give each a label of its own",
        ),
    ],
)
def test_mistakes_with_panels(item, cells, words):
    with pytest.raises(RepriseError) as error:
        build(item, cells)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_line_is_faint_from_where_its_first_seed_has_stopped():
    figure, _ = build(spec(splits=["test"]), {"adam": [cell("adam", 3)]}, [5, 9, 12])
    whole, rest = figure.axes[0].lines
    assert (list(whole.get_xdata()), whole.get_alpha()) == ([1, 2, 3, 4, 5], 1)
    assert list(rest.get_xdata()) == [5, 6, 7, 8, 9, 10, 11, 12]
    assert rest.get_alpha() < 1
    assert rest.get_color() == whole.get_color()
    assert "some seeds stopped" in legend(figure)
    together, _ = build(spec(splits=["test"]), {"adam": [cell("adam", 3)]}, 12)
    assert len(together.axes[0].lines) == 1
    assert "some seeds stopped" not in legend(together)


# ---- several metrics ----


def metrics(*names, **changes):
    return two_series(metric=list(names), **changes)


def test_each_metric_of_a_list_has_a_panel_with_its_own_axis():
    figure, drawn = build(metrics("accuracy", "loss", width="wide"), TWO, 20)
    assert titles(figure) == ["", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["Accuracy", "Cross-entropy loss"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["Epoch", "Epoch"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len({axes.get_ylim() for axes in figure.axes}) == 2
    assert [(line["panel"], line["label"], line["split"]) for line in drawn.values[:4]] == [
        ("accuracy", "batch size 16", "train"),
        ("accuracy", "batch size 16", "test"),
        ("loss", "batch size 16", "train"),
        ("loss", "batch size 16", "test"),
    ]
    accuracy, loss = drawn.values[1], drawn.values[3]
    assert loss["mean"] == pytest.approx(
        [3 - 3 * value for value in accuracy["mean"]]
    )  # as the histories are made up
    assert legend(figure) == ["batch size 16", "batch size 64", "training", "test", "mean ± sd of 3 seeds"]
    looks = [
        [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines]
        for axes in figure.axes
    ]
    assert looks[0] == looks[1]
    assert drawn.description.startswith(
        "2 line plots of test accuracy and test cross-entropy loss per epoch. accuracy, batch size 16, "
        "training"
    )
    assert "loss, batch size 64, test (n = 3): " in drawn.description
    lowest, highest = min(loss["mean"]), max(accuracy["mean"])
    assert f"lowest {lowest:.3f}" in drawn.description
    assert f"highest {highest:.3f}" in drawn.description


@pytest.mark.slow
def test_panels_of_metrics_are_side_by_side_or_one_under_another():
    wide, _ = build(metrics("accuracy", "loss", "gap", width="wide"), TWO, 20)
    assert len({round(axes.get_position().y0, 3) for axes in wide.axes}) == 1
    column, _ = build(metrics("accuracy", "loss", "gap"), TWO, 20)
    assert len({round(axes.get_position().x0, 3) for axes in column.axes}) == 1
    assert [axes.get_xlabel() for axes in column.axes] == ["", "", "Epoch"]


def test_a_gap_beside_other_metrics_has_no_training_line():
    figure, drawn = build(metrics("gap", "accuracy"), TWO, 20)
    assert [(line["panel"], line["split"]) for line in drawn.values[:3]] == [
        ("gap", "test"),
        ("accuracy", "train"),
        ("accuracy", "test"),
    ]
    assert [axes.get_ylabel() for axes in figure.axes] == ["Training − test accuracy", "Accuracy"]
    alone, _ = build(spec(metric=["gap", "accuracy"]), {"adam": [cell("adam")]}, 20)
    assert legend(alone) == ["training", "test", "mean ± sd of 3 seeds"]


@pytest.mark.slow
def test_a_reference_line_stands_in_the_panel_that_it_names():
    item = metrics(
        "accuracy",
        "loss",
        reference=[
            {"value": "0.48", "panel": "accuracy"},
            {"value": 1.5, "panel": "loss", "label": "chance"},
        ],
    )
    for width in WIDTHS:
        figure, _ = build({**item, "width": width}, TWO, 20)
        printed = {text.get_text(): text.axes for text in boxes(figure) if isinstance(text, Annotation)}
        assert printed == {"0.48": figure.axes[0], "1.5": figure.axes[1]}
        lines = [
            [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
            for axes in figure.axes
        ]
        assert lines == [[0.48], [1.5]]
    common, _ = build(
        panelled(
            "batch_size",
            metric="accuracy",
            width="wide",
            reference=[{"value": "0.63", "panel": "batch size 64"}],
        ),
        RATES,
        20,
    )
    assert [text.axes for text in boxes(common) if text.get_text() == "0.63"] == [common.axes[0]]
    single, _ = build(
        two_series(metric="accuracy", reference=[{"value": "0.48", "panel": "accuracy"}]), TWO, 20
    )
    assert "0.48" in [text.get_text() for text in boxes(single)]


def test_a_reference_line_has_the_colour_of_its_series_and_stands_in_the_alt_text():
    lines = [{"value": "48", "series": "batch size 64", "percent": True}, {"value": "0.5"}]
    figure, drawn = build(two_series(metric="accuracy", splits=["test"], reference=lines), TWO, 20)
    found = {line.get_ydata()[0]: line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]}
    assert set(found) == {0.48, 0.5}
    assert found[0.48].get_color() == figure.axes[0].lines[1].get_color()
    assert "48 %" in [text.get_text() for text in boxes(figure)]
    assert "Horizontal lines: report 48 %, report 0.5." in drawn.description
    with pytest.raises(
        RepriseError, match="reference 48: no series 'batch sise 64'; did you mean batch size 64"
    ):
        build(two_series(reference=[{"value": "48", "series": "batch sise 64"}]), TWO, 20)


def test_where_runs_are_missing_the_line_of_a_series_goes_with_it():
    item = two_series(reference=[{"value": 0.4, "series": "batch size 16"}, {"value": 0.5}])
    lines = read_references(drawing.figure(item), {"batch size 64": PALETTE[0]}, partial=True)
    assert [line.value for line in lines] == [0.5]


# ---- chance, and axes that magnify nothing ----


def flat(level, metric="loss", classes=100, spread=0.002):
    """The figure of a cell whose curves scatter about a level, and what it says."""
    adam = cell("adam", 2)
    table = history(adam, 20)
    table[metric] = level + spread * np.cos(np.arange(len(table)))
    with style():
        return build_figure(spec(metric=metric), known(adam, table, classes))


def known(cell, table, classes):
    """Sources of a cell's history that know how many classes there are."""
    names = {run: [str(label) for label in range(classes)] for run in cell.runs}
    return Sources(lambda _: [cell], replace(Tables.of(history=table), class_names=names))


def test_an_axis_of_losses_that_hardly_differ_spans_at_least_half_a_unit():
    low, high = flat(4.607)[0].axes[0].get_ylim()
    assert high - low == pytest.approx(0.5)
    assert low < 4.605 < high


@pytest.mark.parametrize(
    ("metric", "level", "label", "printed"),
    [("loss", np.log(100), "chance (ln 100)", "4.605"), ("accuracy", 0.01, "chance (1/100)", "0.01")],
)
def test_chance_is_drawn_where_curves_lie_at_it(metric, level, label, printed):
    figure, drawn = flat(level + 0.001, metric, spread=0.0005)
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    assert levels == [pytest.approx(level)]
    assert label in legend(figure)
    assert printed in [text.get_text() for text in boxes(figure)]
    assert f"Horizontal lines: {label} {printed}" in drawn.description
    for other in (2 * level, level / 2):
        assert label not in legend(flat(other, metric)[0])


def test_a_curve_that_passes_chance_or_ends_there_does_not_lie_at_it():
    adam = cell("adam", 1)
    table = history(adam, 20)
    table["loss"] = np.log(10) - 1 + table.epoch / 20
    with style():
        figure, _ = build_figure(spec(), known(adam, table, 10))
    assert "chance (ln 10)" not in legend(figure)


# ---- colours ----


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [*PALETTE, CONTEXT])
def test_lines_have_a_contrast_of_three_to_one_to_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 3


def curves(identifier, panels=None, **series):
    return drawing.figure(
        {
            "id": identifier,
            "kind": "curves",
            "caption": "c",
            "metric": "loss",
            "splits": ["test"],
            "series": [{"label": label, "runs": runs} for label, runs in series.items()],
            "panels": panels,
        }
    )


def test_a_configuration_has_one_colour_in_all_figures():
    cells = {name: [cell(name)] for name in "abcd"}
    figures = [curves("one", first="a", second="b"), curves("two", now="b", new="c"), curves("alone", it="d")]
    found = series_colors(figures, cells.__getitem__)
    assert found["one"]["second"] == found["two"]["now"]
    shown = [found["one"]["first"], found["one"]["second"], found["two"]["new"], found["alone"]["it"]]
    assert shown == list(PALETTE[:4])  # as few meanings for each colour as the palette allows


def test_series_of_one_figure_differ_even_where_they_share_runs_with_one_of_another():
    one, two = cell("x", v=1), cell("x", v=2)
    cells = {"one": [one], "two": [two], "both": [one, two]}
    figures = [curves("panels", panels="v", both="both"), curves("two", first="one", second="two")]
    found = series_colors(figures, cells.__getitem__)
    assert found["two"]["first"] == found["panels"]["both"] != found["two"]["second"]


def test_series_are_drawn_in_the_colours_of_the_report():
    sources = Sources(
        TWO.__getitem__,
        Tables.of(history=pd.concat([history(one[0]) for one in TWO.values()])),
        colors={"batch size 16": "#111111", "batch size 64": "#222222"},
    )
    with style():
        figure, _ = build_figure(two_series(splits=["test"]), sources)
    assert [line.get_color() for line in figure.axes[0].lines] == ["#111111", "#222222"]


# ---- seams ----


FROZEN, THAWED = (Cell(name, {}, None, cell(name, 3).members) for name in ("vgg_frozen", "vgg_thawed"))
LINKED = {"frozen": [FROZEN], "thawed": [THAWED]}


def linked(**changes):
    return spec(**{"series": [{"runs": "thawed", "after": "frozen"}], "metric": "accuracy"} | changes)


def draw_linked(item, epochs=(5, 4), kept=(5, 2), cells=LINKED):
    """The figure of `item`; `epochs` and kept epoch of the earlier and the later runs."""
    table = pd.concat([history(FROZEN, epochs[0], 0.2), history(THAWED, epochs[1], 0.5)])
    finals = pd.concat([final(FROZEN, kept[0]), final(THAWED, kept[1])])
    with style():
        return build_figure(
            item, Sources(cells.__getitem__, Tables.of(history=table, final=finals)), scale="full"
        )


def test_a_curve_goes_on_from_the_curve_of_the_runs_that_it_starts_from():
    figure, drawn = draw_linked(linked())
    earlier = history(FROZEN, 5, 0.2).query("split == 'test'").groupby("epoch").accuracy.mean()
    later = history(THAWED, 4, 0.5).query("split == 'test'").groupby("epoch").accuracy.mean()
    test = drawn.values[1]
    assert test["epoch"] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert test["mean"] == pytest.approx([*earlier, *later])
    assert (test["seam"], test["after"], test["runs"]) == (5, list(FROZEN.runs), list(THAWED.runs))
    assert drawn.runs == sorted([*FROZEN.runs, *THAWED.runs])
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 9]
    assert len(curves) == 2  # one unbroken line per split
    assert [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]] == [5.5]
    assert "after epoch 5, vgg frozen → vgg thawed" in drawn.description


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("epochs", [(2, 60), (30, 30), (60, 2)])
def test_a_seam_is_named_above_its_line(width, epochs):
    figure, _ = draw_linked(
        linked(width=width, metric=["accuracy", "loss"], reference=[{"value": "0.5", "panel": "accuracy"}]),
        epochs,
    )
    assert_sound(figure)
    for axes in figure.axes:
        (name,) = [
            box
            for text, box in boxes(figure).items()
            if text.get_text() == "vgg frozen → vgg thawed" and text.axes is axes
        ]
        area = axes.get_window_extent()
        assert (
            area.x0 - 1
            <= name.x0
            <= axes.transData.transform((epochs[0] + 0.5, 0))[0]
            <= name.x1
            <= area.x1 + 1
        )
        assert name.y0 >= area.y1


def test_cells_of_one_experiment_are_told_apart_by_their_settings():
    frozen, thawed = (
        Cell("vgg", {"layers": layers, "lr": 1}, None, one.members)
        for layers, one in (("frozen", FROZEN), ("all", THAWED))
    )
    figure, _ = draw_linked(linked(), cells={"frozen": [frozen], "thawed": [thawed]})
    assert "layers frozen → layers all" in [text.get_text() for text in boxes(figure)]


def test_an_earlier_epoch_that_was_kept_is_marked_where_it_is_not_the_last():
    def stars(item, kept):
        figure, drawn = draw_linked(item, kept=kept)
        marked = [float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.get_marker() == "*"]
        assert list(dict.fromkeys(epoch for epoch, _ in drawn.values[1]["selected"])) == marked
        assert ("selected epoch" in legend(figure)) == bool(marked)
        return marked

    assert stars(linked(), (5, 2)) == []
    assert stars(linked(), (3, 2)) == [3]
    assert stars(linked(selected=True), (5, 2)) == [5, 7]


def test_earlier_runs_of_different_lengths_end_at_the_seam_of_the_longest():
    figure, drawn = draw_linked(linked(splits=["test"]), ([5, 3, 4], [2, 6, 2]))
    assert drawn.values[0]["seam"] == 5
    assert drawn.values[0]["n"] == [3, 3, 3, 2, 1, 3, 3, 1, 1, 1, 1]
    curves = [line for line in figure.axes[0].lines if list(line.get_ydata()) != [0, 1]]
    assert [(list(line.get_xdata()), line.get_alpha() == 1) for line in curves] == [
        ([1, 2, 3], True),
        ([3, 4, 5, 6], False),
        ([6, 7], True),
        ([7, 8, 9, 10, 11], False),
    ]


def test_seams_of_several_series_have_their_colours():
    cells = {"frozen": [FROZEN], "thawed": [THAWED], "other": [Cell("other", {}, None, FROZEN.members)]}
    series = [
        {"runs": "thawed", "after": "frozen", "label": "a"},
        {"runs": "thawed", "after": "other", "label": "b"},
    ]
    figure, _ = draw_linked(linked(series=series), cells=cells)
    names = {text.get_text(): text.get_color() for text in boxes(figure) if "→" in text.get_text()}
    curves = [line.get_color() for line in figure.axes[0].lines if len(line.get_xdata()) == 9]
    assert names == {"vgg frozen → vgg thawed": curves[0], "other → vgg thawed": curves[2]}
    assert_sound(figure)
    assert_apart(figure)


def test_series_without_a_seam_say_nothing_of_one():
    _, drawn = draw_linked(linked(series=[{"runs": "thawed"}]))
    assert set(drawn.values[0]) == {"panel", "label", "split", "runs", "epoch", "mean", "sd", "n", "selected"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": ["accuracy", "los"]}, "'los' is not valid; did you mean loss?"),
        ({"metric": ["accuracy", "gap"], "splits": ["train"]}, "split 'train' cannot be drawn for gap"),
        (
            {"metric": ["accuracy", "gap"], "splits": ["tset"]},
            "'tset' is not valid; did you mean test?",
        ),
        (
            {"metric": ["accuracy", "loss"], "panels": "split"},
            "panels: each of accuracy and loss has a panel and a y axis of its own; leave panels out",
        ),
        (
            {"metric": ["accuracy", "loss"], "y_limits": [0, 1]},
            "y_limits: each of accuracy and loss has a panel",
        ),
        (
            {"metric": ["accuracy", "loss"], "reference": [{"value": "0.5"}]},
            "reference 0.5: say which metric it is of, with panel: accuracy or panel: loss",
        ),
        (
            {"reference": [{"value": "0.5", "panel": "acuracy"}]},
            "reference 0.5: no panel 'acuracy'; did you mean accuracy?",
        ),
        (
            {"series": [{"runs": "thawed", "after": "many"}]},
            "after: many names 2 cells; name one, e.g. vgg_frozen",
        ),
        (
            {"series": [{"runs": "thawed", "after": "single"}]},
            "after: adam and vgg_thawed have 1 and 3 runs; they are matched by place, so give both the same "
            "seeds",
        ),
    ],
)
def test_mistakes_with_metrics_and_seams(changes, words):
    with pytest.raises(RepriseError) as error:
        draw_linked(linked(**changes), cells=LINKED | {"many": [FROZEN, THAWED], "single": [cell("adam", 1)]})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# ---- samples ----


def write_images(path, captions, size=32, count=None):
    images = np.random.default_rng(0).integers(
        0, 256, (count or len(captions), size, size, 3), dtype=np.uint8
    )
    np.savez(path, images=images, captions=np.array(captions))
    return images


def samples(**changes):
    return {
        "id": "figure_01",
        "kind": "samples",
        "caption": "One image.",
        "images": {"dataset": "cifar100", "captions": ["coarse", "fine"]},
    } | changes


def test_every_pixel_of_a_sample_is_a_square_of_one_colour(tmp_path):
    images = write_images(tmp_path / "one.npz", ["coarse: fish\nfine: shark"])
    draw_figure(
        samples(),
        slug="report",
        resolve=lambda _: [],
        scale="full",
        images=tmp_path / "one.npz",
        out_stem=tmp_path / "figure_01",
    )
    pixels = np.asarray(Image.open(tmp_path / "figure_01.png").convert("RGB"))
    zoom = 12
    left, top = (700 - 32 * zoom) // 2, round(0.06 * DPI)
    shown = pixels[top : top + 32 * zoom, left : left + 32 * zoom]
    assert (shown == images[0].repeat(zoom, 0).repeat(zoom, 1)).all()
    assert "coarse: fish / fine: shark" in json.loads((tmp_path / "figure_01.json").read_text())["alt"]


@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize(("size", "count", "columns"), [(32, 1, 1), (32, 10, 5), (96, 7, 3), (224, 9, 8)])
def test_samples_and_captions_do_not_overlap(tmp_path, size, count, columns, scale):
    write_images(tmp_path / "many.npz", ["large omnivores and herbivores", *["fish"] * (count - 1)], size)
    with style():
        figure, drawn = build_figure(
            samples(columns=columns), Sources(lambda _: [], images=tmp_path / "many.npz"), scale=scale
        )
    assert_sound(figure)
    pictures = figure.findobj(AxesImage)
    areas = [picture.get_window_extent() for picture in pictures] + list(boxes(figure).values())
    areas = [box.padded(-1) for box in areas]
    assert len(pictures) == count == len(drawn.values)
    assert not any(one.overlaps(other) for index, one in enumerate(areas) for other in areas[:index])


def test_missing_or_broken_images_are_errors(tmp_path):
    def message(path):
        with pytest.raises(RepriseError) as error:
            draw_figure(
                samples(),
                slug="report",
                resolve=lambda _: [],
                scale="full",
                images=path,
                out_stem=tmp_path / "figure_01",
            )
        return str(error.value)

    assert "sample images: not found; make it first" in message(None)
    assert "none.npz: not found; make it first" in message(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    assert "text.npz: not a readable file of sample images" in message(tmp_path / "text.npz")
    write_images(tmp_path / "two.npz", ["one"], count=2)
    assert "two.npz: 1 captions and uint8 images (2, 32, 32, 3)" in message(tmp_path / "two.npz")
    assert message(None).startswith("report, figure figure_01: ")


# ---- errors ----


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "curve"}, "kind: 'curve' is no kind of figure; did you mean curves?"),
        ({"metric": "acuracy"}, "'acuracy' is not valid; did you mean accuracy?"),
        ({"splits": ["tests"]}, "'tests' is not valid; did you mean test?"),
        ({"metric": "gap", "splits": ["train"]}, "split 'train' cannot be drawn for gap"),
        ({"splits": ["validation"]}, "adam has no history of split 'validation'; valid: test, train"),
        ({"series": [{"runs": "adam", "color": "bleu"}]}, "colour 'bleu' is unknown"),
        (
            {"reference": [{"value": 0.5, "label": label} for label in "abcd"]},
            "4 labels of reference lines are more than the 3 that",
        ),
    ],
)
def test_what_cannot_be_drawn_is_named_with_the_nearest(tmp_path, changes, words):
    with pytest.raises(RepriseError) as error:
        write(tmp_path, spec(**changes))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_scale_is_an_error(tmp_path):
    with pytest.raises(RepriseError, match="scale 'demos' is not known; did you mean demo"):
        write(tmp_path, scale="demos")


def test_too_many_series_are_an_error():
    many = [cell("cnn", 1, lr=number) for number in range(9)]
    with pytest.raises(RepriseError, match="9 series are more than the 8 that can be told apart; draw fewer"):
        build(spec(), {"adam": many})


def test_missing_runs_are_named(tmp_path):
    adam = cell("adam")
    table = history(adam)
    words = (
        rf"report, figure figure_02: run {adam.runs[1]} of adam has no history \(2 of its 3 runs are "
        r"missing\); train and evaluate it first"
    )
    with pytest.raises(RepriseError, match=words):
        write(tmp_path, tables=Tables.of(history=table[table.run == adam.runs[0]]))
    with pytest.raises(RepriseError, match=f"run {adam.runs[0]} of adam has no final"):
        write(tmp_path, spec(selected=True))


# ---- schema, text, imports ----


def test_every_kind_has_its_closed_options():
    items = {
        "curves": two_series(
            panels="split", reference=[{"value": "0.480"}, {"value": 0.05, "label": "chance"}]
        ),
        "samples": samples(columns=3),
        "diagram": {"network": "lenet", "mark": ["8_dense"]},
        "bars": {
            "runs": "search",
            "axes": ["lr"],
            "metric": "accuracy",
            "split": "test",
            "at": "best",
            "y_limits": [0, 1],
        },
        "classes": {
            "models": [{"label": "CNN", "runs": "search"}],
            "top": 3,
            "bottom": 3,
            "mark": ["road"],
        },
        "boxes": {"runs": "grid", "by": "blocks", "metric": "accuracy"},
        "heatmap": {"runs": "grid", "rows": "blocks", "columns": "kernel", "metric": "accuracy"},
        "levels": {"runs": "grid", "axes": ["blocks"], "metric": "accuracy"},
        "cube": {"runs": "grid", "axes": ["alpha", "lambda", "drop"], "metric": "accuracy"},
        "trials": {"runs": "study", "metric": "loss"},
    }
    items = {
        kind: {"id": "figure_01", "kind": kind, "caption": "What it shows.", **item}
        for kind, item in items.items()
    }
    assert set(items) == set(OWN_FIGURES)
    for kind, item in items.items():
        assert isinstance(drawing.figure(item), OWN_FIGURES[kind])
        with pytest.raises(RepriseError, match=r"^metrc: unknown key"):
            drawing.figure({**item, "metrc": 1})
        with pytest.raises(RepriseError, match=r"^key caption is missing"):
            drawing.figure({key: value for key, value in item.items() if key != "caption"})


def test_wrapped_lines_fit_and_lose_no_word():
    text = f"{LONG} {'y' * 90} end"
    lines = wrap(text, 1.5, 7).split("\n")
    assert all(text_width(line, 7) <= 1.5 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrap("one\ntwo", 3, 7) == "one\ntwo"


@pytest.mark.slow
def test_publishing_never_imports_torch():
    modules = [
        path.stem
        for path in (Path(__file__).parents[2] / "src/reprise/publishing").glob("*.py")
        if path.stem != "__init__"
    ]
    names = [
        "reprise.publishing",
        *(f"reprise.publishing.{name}" for name in modules),
        "reprise.publishing.figures",
    ]
    code = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
