"""Trials of a search: every trial is seen and listed, the best first, and nothing overlaps or is cut off."""

import itertools
import json

import drawing
import numpy as np
import pandas as pd
import pytest
from drawing import build_figure
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.text import Text
from test_figures import assert_sound, boxes

from mini import run_spec
from reprise.errors import RepriseError
from reprise.publishing.figures import trials
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.style import CONTEXT, PALETTE, WIDTHS, style
from reprise.reports.report import Cell
from reprise.reports.run import Run

SPEC = {"id": "figure", "kind": "trials", "runs": "study", "caption": "Thirty trials."}


def trial(number, study=True, runs=1, epochs=30, **settings):
    parts = {
        "optimizer": {"name": "adam", "lr": 0.1 / (1 + number)},
        "training": {"epochs": epochs, "batch_size": 64, "select": "last"},
    }
    if study:
        rungs = {"min_resource": 1, "reduction_factor": 3} | (study if isinstance(study, dict) else {})
        parts["study"] = {"trial": number, **rungs}
    members = tuple(Run(run_spec(seed, **parts)) for seed in range(runs))
    return Cell("study", {"trial": number, **settings}, None, members)


def history(cell, validation, training=None, split="validation"):
    """Accuracies as given, losses 1 less them."""
    rows = []
    for run in cell.runs:
        for name, values in (
            (split, validation),
            ("train", training or [value + 0.1 for value in validation]),
        ):
            rows += [(run, epoch, name, 1 - value, value) for epoch, value in enumerate(values, 1)]
    return pd.DataFrame(rows, columns=["run", "epoch", "split", "loss", "accuracy"])


def build(curves, scale="full", study=True, split="validation", **changes):
    """The figure of made-up curves: one list of validation accuracies per trial, or a pair with the training
    accuracies.
    """
    cells = [trial(number, study) for number in range(len(curves))]
    pairs = [curve if isinstance(curve, tuple) else (curve, None) for curve in curves]
    table = pd.concat([history(cell, *pair, split=split) for cell, pair in zip(cells, pairs, strict=True)])
    with style():
        return build_figure(
            {**SPEC, **changes}, Sources(lambda _: cells, Tables.of(history=table)), scale=scale
        )


def asha(count, epochs, seed=0):
    """Curves under asynchronous successive halving: rungs 1, 3, 9, …, each keeps the best third of those seen
    there.
    """
    generator, rungs, curves = np.random.default_rng(seed), {}, []
    for _ in range(count):
        top, pace = 0.1 + 0.6 * generator.beta(2, 1.5), generator.uniform(1, 8)
        curve = list(
            0.1
            + (top - 0.1) * (1 - np.exp(-np.arange(1, epochs + 1) / pace))
            + generator.normal(0, 0.01, epochs)
        )
        for epoch in (3**rung for rung in range(10) if 3**rung < epochs):
            seen = rungs.setdefault(epoch, [])
            seen.append(curve[epoch - 1])
            if curve[epoch - 1] < sorted(seen)[-max(len(seen) // 3, 1)]:
                curve = curve[:epoch]
                break
        curves.append(curve)
    return curves


THIRTY = asha(30, 30)
HEADINGS = ("trial", "val.", "test", "train", "epochs")


def table(figure):
    """Rows of the table below the axes: (trial, validation, training, epochs) as printed, block by block from
    top to bottom.
    """
    written = [text for text in figure.texts if text.get_text() not in HEADINGS]
    written = [text for text in written if text.get_ha() == "right"]
    return [
        tuple(text.get_text() for text in written[start : start + 4]) for start in range(0, len(written), 4)
    ]


def dots(axes):
    """Pixels of every dot."""
    found = [line for line in axes.lines if line.get_marker() == "o"]
    return {line: line.get_transform().transform(np.column_stack(line.get_data()))[0] for line in found}


def test_the_curves_are_those_of_a_search_that_stops_most_trials():
    lengths = sorted(len(curve) for curve in THIRTY)
    assert lengths[-1] == 30
    assert lengths.count(1) >= 15
    assert set(lengths) <= {1, 3, 9, 27, 30}


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("curves", "changes"),
    [
        (THIRTY, {}),
        (THIRTY, {"metric": "loss", "scale": "demo"}),
        (asha(10, 50, 3), {"scale": "quick"}),
        (asha(4, 4, 1), {"scale": "demo"}),
        ([[0.5]], {}),
    ],
    ids=["thirty", "loss", "ten", "four", "one"],
)
def test_nothing_overlaps_and_nothing_is_cut_off(curves, changes, width):
    figure, _ = build(curves, width=width, **changes)
    assert_sound(figure)
    areas = [(text.get_text(), box.padded(-0.5)) for text, box in boxes(figure).items()]
    for (first, one), (second, other) in itertools.combinations(areas, 2):
        assert not one.overlaps(other), (first, second)
    below = figure.axes[0].get_tightbbox().y0
    rows = [text.get_window_extent() for text in figure.texts if text.get_ha() == "right"]
    assert all(row.y1 < below for row in rows)
    assert all(row.y0 > figure.legends[0].get_window_extent().y1 for row in rows)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6


def test_every_trial_is_listed_with_its_best_values_and_the_best_first():
    curves = [([0.2, 0.5, 0.4], [0.3, 0.6, 0.9]), ([0.31], [0.25]), ([0.1, 0.8], [0.2, 0.7])]
    figure, drawn = build(curves)
    assert table(figure) == [
        ("2", "0.800", "0.700", "2"),
        ("0", "0.500", "0.900", "3"),
        ("1", "0.310", "0.250", "1"),
    ]
    assert [(row["rank"], row["trial"], row["best_validation"]) for row in drawn.values] == [
        (1, 2, 0.8),
        (2, 0, 0.5),
        (3, 1, 0.31),
    ]
    assert (drawn.values[1]["epoch"], drawn.values[1]["validation"]) == ([1, 2, 3], [0.2, 0.5, 0.4])
    assert "3 trials, which ran 1 to 3 epochs, 6 in all" in drawn.description
    assert (
        "trial 2: 0.800, training 0.700, 2 epochs; trial 0: 0.500, training 0.900, 3 epochs"
        in drawn.description
    )
    assert "trial 1: 0.310, training 0.250, 1 epoch." in drawn.description
    assert len(drawn.runs) == 3


def test_of_a_loss_the_smallest_is_best():
    figure, drawn = build([([0.2, 0.5], [0.3, 0.6]), ([0.9], [0.4])], metric="loss")
    assert table(figure) == [("1", "0.100", "0.600", "1"), ("0", "0.500", "0.400", "2")]
    assert figure.axes[0].get_ylabel() == "Cross-entropy loss"
    assert "validation (solid) and training (dashed) cross-entropy loss" in drawn.description


@pytest.mark.parametrize("width", WIDTHS)
def test_thirty_trials_are_all_in_the_table_whose_numbers_stand_in_columns(width):
    figure, drawn = build(THIRTY, width=width)
    rows = table(figure)
    assert [row[0] for row in rows] == [str(value["trial"]) for value in drawn.values]
    assert len({row[0] for row in rows}) == 30
    written = [text for text in figure.texts if text.get_ha() == "right" and text.get_text() not in HEADINGS]
    ends = {round(text.get_window_extent().x1) for text in written}
    assert len(ends) <= 4 * (3 if width == "wide" else 2) * 2  # a pixel to either side of a column's edge
    assert len([text for text in figure.texts if text.get_text() == "val."]) == (3 if width == "wide" else 2)


def test_validation_is_solid_and_training_dashed_in_the_colour_of_the_table():
    figure, _ = build([[0.2, 0.5, 0.6], [0.1, 0.3, 0.4]])
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    swatches = [artist.get_color() for artist in figure.artists if isinstance(artist, Line2D)]
    for training, validation, swatch in zip(lines[::2], lines[1::2], swatches, strict=True):
        assert to_hex(training.get_color()) == to_hex(validation.get_color()) == to_hex(swatch)
        assert (training.get_linestyle(), validation.get_linestyle()) == ("--", "-")
        assert training.get_linewidth() < validation.get_linewidth()


@pytest.mark.slow
def test_the_best_are_coloured_thick_and_named_and_the_others_grey():
    figure, drawn = build(THIRTY)
    lines = figure.axes[0].lines
    validation = {
        line.get_zorder(): line for line in lines if line.get_zorder() > 2 and line.get_marker() == "None"
    }
    ranked = [validation[order] for order in sorted(validation, reverse=True)]
    assert [line.get_color() for line in ranked] == [*PALETTE[:3], *[CONTEXT] * 27]
    assert len({line.get_linewidth() for line in ranked[:3]}) == 1
    assert all(line.get_linewidth() < ranked[0].get_linewidth() / 2 for line in ranked[3:])
    assert "The best 3 have a colour, the others are grey." in drawn.description
    best = {str(value["trial"]): value for value in drawn.values[:3]}
    names = {text.get_text().removeprefix("trial "): text for text in figure.axes[0].texts}
    assert set(names) == {name for name, value in best.items() if len(value["epoch"]) > 1}
    for name, text in names.items():
        assert text.xy == pytest.approx((best[name]["epoch"][-1], best[name]["validation"][-1]))


def test_names_of_lines_that_end_together_stand_apart():
    figure, _ = build([[0.1, 0.5], [0.1, 0.501], [0.1, 0.502], [0.1, 0.2]])
    names = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert set(names) == {"trial 0", "trial 1", "trial 2"}
    assert not any(one.overlaps(other) for one, other in itertools.combinations(names.values(), 2))
    assert names["trial 0"].y0 < names["trial 1"].y0 < names["trial 2"].y0


def test_trials_of_one_epoch_are_dots_at_it_and_nothing_lies_before():
    figure, _ = build([[0.1, 0.3, 0.4], *([0.1 + 0.001 * number] for number in range(5))])
    axes = figure.axes[0]
    single = {line: place for line, place in dots(axes).items() if line.get_xdata()[0] == 1}
    assert len(single) == 10  # validation and training
    filled = [line.get_ydata()[0] for line in single if line.get_markerfacecolor() != "white"]
    assert sorted(filled) == pytest.approx([0.1, 0.101, 0.102, 0.103, 0.104])
    first = axes.transData.transform((1, 0))[0]
    assert {round(x - first, 3) for x, _ in single.values()} == {0}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert "training of one epoch" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_what_the_report_has_is_a_line_whose_number_stands_apart_from_the_names():
    figure, drawn = build(
        [[0.1, 0.5], [0.1, 0.501], [0.1, 0.45]], reference={"value": "50.2", "percent": True, "label": "best"}
    )
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    assert levels == [pytest.approx(0.502)]
    names = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert set(names) == {"trial 0", "trial 1", "trial 2", "50.2 %"}
    assert not any(one.overlaps(other) for one, other in itertools.combinations(names.values(), 2))
    assert "best" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Horizontal lines: best 50.2 %." in drawn.description
    assert_sound(figure)


def test_a_trial_that_diverges_keeps_what_is_finite():
    nan = float("nan")
    figure, drawn = build([[0.1, 0.4, nan], [0.3, nan], [nan], [0.1, 0.2]])
    assert [(row["trial"], row["best_validation"]) for row in drawn.values] == [
        (0, 0.4),
        (1, 0.3),
        (3, 0.2),
        (2, None),
    ]
    assert table(figure)[-1] == ("2", "–", "–", "1")
    assert drawn.values[0]["validation"] == [0.1, 0.4, None]
    assert "trial 2: –, training –, 1 epoch" in drawn.description
    ends = sorted(
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in dots(figure.axes[0])
        if line.get_markerfacecolor() != "white"  # of training
    )
    assert ends == [(1, 0.3), (2, 0.2), (2, 0.4)]
    json.dumps(drawn.values, allow_nan=False)
    assert_sound(figure)
    with pytest.raises(
        RepriseError, match="runs: no trial of study has a finite loss; there is nothing to draw"
    ):
        build([[nan], [nan, nan]], metric="loss")


@pytest.mark.parametrize(
    ("study", "length", "expected"),
    [
        (True, 30, [1, 3, 9, 27]),
        ({"min_resource": 3, "reduction_factor": 2}, 30, [3, 6, 12, 24]),
        ({"min_resource": 15, "reduction_factor": 2}, 30, [15]),  # at 30 a trial is through and not judged
        (True, 8, [1, 3]),
        (None, 30, []),
    ],
)
def test_rungs_are_marked(study, length, expected):
    figure, drawn = build([[0.01 * epoch for epoch in range(1, length + 1)], [0.1]], study=study)
    dotted = [
        line.get_xdata()[0] for line in figure.axes[0].lines if line.get_color() == trials.RUNG["color"]
    ]
    assert dotted == expected
    words = [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().startswith("rungs")]
    assert words == ([f"rungs: epochs {', '.join(map(str, expected))}"] if expected else [])
    assert ("Trials are judged after" in drawn.description) == bool(expected)


def test_a_search_that_validates_on_the_test_set():
    figure, drawn = build([[0.1, 0.3]], split="test", study=None)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test", "training", "last epoch"]
    assert "test (solid)" in drawn.description
    assert [text.get_text() for text in figure.texts[:4]] == ["trial", "test", "train", "epochs"]


def test_limits_are_kept():
    assert build(THIRTY[:3], y_limits=[0, 0.9])[0].axes[0].get_ylim() == (0, 0.9)


def test_options_are_closed():
    assert drawing.figure({**SPEC, "metric": "loss", "y_limits": [0, 3], "width": "wide"}).width == "wide"
    with pytest.raises(RepriseError, match=r"^metric: 'gap' is not valid; valid: accuracy, loss$"):
        drawing.figure({**SPEC, "metric": "gap"})
    with pytest.raises(RepriseError, match=r"^top: unknown key"):
        drawing.figure({**SPEC, "top": 3})


def test_mistakes_are_named():
    def message(cells, table):
        with style(), pytest.raises(RepriseError) as error:
            build_figure(SPEC, Sources(lambda _: cells, Tables.of(history=table)), scale="full")
        assert "\n" not in str(error.value)
        return str(error.value)

    one, two = trial(0), trial(1)
    both = pd.concat([history(one, [0.1]), history(two, [0.2])])
    missing = (
        f"run {two.runs[0]} of study/trial=1 has no history (1 of its 1 runs are missing); train and "
        "evaluate it first"
    )
    assert message([one, two], history(one, [0.1])) == missing
    grid = Cell("grid", {"lr": 0.1}, None, one.members)
    assert message([grid], both) == "runs: grid/lr=0.1 is not a trial; name the trials of a search"
    several = trial(0, runs=3)
    assert "study/trial=0 has 3 runs; a trial is one curve, so give the search one seed" in message(
        [several], history(several, [0.1])
    )
    assert "study/trial=0: its history has train alone" in message([one], both[both["split"] == "train"])
    assert "study/trial=0: its history has validation alone" in message(
        [one], both[both["split"] == "validation"]
    )
