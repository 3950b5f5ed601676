"""Levels: for each axis of a grid, the mean of a metric over all runs at each of its values, with the
interquartile range.

The distance between the largest and the smallest mean, how much the axis matters, stands over its panel.
Options: `runs`, `axes` (default: all that vary), `metric` with `split` and `at`, `y_limits`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reprise.errors import RepriseError
from reprise.publishing.figures import grid
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, LEADING, SMALL, text_width, widened, wrap
from reprise.reports.figures import Levels

PANEL_HEIGHT = {"column": 1.6, "wide": 2.1}
"""Inches, with the title."""
FURNITURE = 0.35
"""Inches for the legend's and the labels' surroundings."""
SIDE = 0.55
"""Inches for the label and ticks of the values."""
LEAST_PANEL = 0.8
"""Inches that a panel is wide at least."""
MEAN: dict[str, Any] = {"color": COLORS["blue"], "marker": "o", "markersize": 4.5, "linewidth": 1.4}
RANGE: dict[str, Any] = {"color": COLORS["sky"], "linewidth": 5, "solid_capstyle": "butt"}
ALL: dict[str, Any] = {"color": "#666666", "linewidth": 0.8, "linestyle": (0, (4, 2))}


def draw(spec: Levels, sources: Sources, page: Page) -> Drawn:
    """Draw a panel for each axis, all with the same scale of values."""
    found = grid.measure(spec, sources)
    drawn = spec.axes or [axis for axis, values in found.levels.items() if len(values) > 1]
    for axis in drawn:
        found.check("axes", axis)
    if not drawn:
        raise RepriseError(f"{spec.runs} has no axis with two values; name the cells of a grid")
    numbers = [_level(found, axis, level) for axis in drawn for level in found.levels[axis]]
    spreads = {
        axis: _spread([row["mean"] for row in numbers if row["axis"] == axis and row["n"]]) for axis in drawn
    }
    overall = float(np.mean([point.value for point in found.points]))

    columns = _columns(found, drawn, page.width)
    rows = -(-len(drawn) // columns)
    panels = page.figure.subplots(rows, columns, sharey=True, squeeze=False)
    room = (page.width - SIDE) / columns - 0.15
    lines = 0
    for index, (axis, panel) in enumerate(zip(drawn, panels.flat, strict=False)):
        levels = found.levels[axis]
        ticks = [wrap(grid.name(level), room / len(levels), SMALL) for level in levels]
        _panel(panel, [row for row in numbers if row["axis"] == axis], overall)
        panel.set_xticks(range(len(levels)), ticks)
        name = wrap(grid.title(grid.name(axis)), room, 8)
        panel.set_title(wrap(f"spread {grid.shown(spreads[axis])}", room, SMALL), size=SMALL)
        panel.set_xlabel(name)
        lines = max(lines, max(tick.count("\n") for tick in ticks) + name.count("\n"))
        if index % columns == 0:
            height = PANEL_HEIGHT[spec.width]
            panel.set_ylabel(wrap(grid.title(grid.label(spec)), height, 8), linespacing=LEADING)
    for panel in panels.flat[len(drawn) :]:
        panel.remove()
    low, high = panels.flat[0].get_ylim()
    panels.flat[0].set_ylim(*(spec.y_limits or widened(low, high, spec.metric)))

    legend: list[Artist] = [
        Line2D([], [], label="mean over all runs with the value", **MEAN),
        Line2D([], [], label="interquartile range", **RANGE),
    ]
    legend += [Line2D([], [], label="mean of all runs", **ALL)]
    legend += [
        grid.words_alone(words) for words in ("spread: largest less smallest mean", found.remark()) if words
    ]
    page.figure.set_layout_engine("constrained")
    body = rows * (PANEL_HEIGHT[spec.width] + FURNITURE + lines * SMALL * LEADING / 72)
    page.set_height(body)
    page.set_height(body + page.legend([legend]))
    return Drawn(
        _describe(spec, found, numbers, spreads, overall), found.runs, [*numbers, *_spreads(spreads)]
    )


def _level(found: grid.Grid, axis: str, level: str) -> dict[str, Any]:
    """Mean and quartiles (linear between ranks) over all runs with this value."""
    values = [point.value for point in found.at({axis: level})]
    row = {"axis": axis, "value": level, "n": len(values)}
    if not values:
        return row
    q1, q3 = (float(value) for value in np.quantile(values, (0.25, 0.75)))
    return {**row, "mean": float(np.mean(values)), "q1": q1, "q3": q3}


def _spread(means: Sequence[float]) -> float:
    return max(means) - min(means)


def _spreads(spreads: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"axis": axis, "spread": spread} for axis, spread in spreads.items()]


def _columns(found: grid.Grid, axes: Sequence[str], width: float) -> int:
    """Panels in a row: as many as have room for their ticks."""
    need = max(
        max(text_width(f" {level} ", SMALL) for level in found.levels[axis]) * len(found.levels[axis])
        for axis in axes
    )
    fit = max(int((width - SIDE) / max(need, LEAST_PANEL)), 1)
    return -(-len(axes) // -(-len(axes) // fit))  # rows of about the same length


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], overall: float) -> None:
    """Means and ranges at 0, 1, …; the means are joined where the values are numbers, whose order means
    something.
    """
    known = [(place, row) for place, row in enumerate(rows) if row["n"]]
    axes.axhline(overall, zorder=1, **ALL)
    for place, row in known:
        axes.plot([place, place], [row["q1"], row["q3"]], zorder=2, **RANGE)
    joined = {} if all(_is_number(row["value"]) for row in rows) else {"linestyle": "none"}
    axes.plot(
        [place for place, _ in known], [row["mean"] for _, row in known], zorder=3, **{**MEAN, **joined}
    )
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.grid(visible=False, axis="x")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _describe(
    spec: Levels,
    found: grid.Grid,
    numbers: Sequence[Mapping[str, Any]],
    spreads: Mapping[str, float],
    overall: float,
) -> str:
    sentences = [
        f"Mean and interquartile range of {grid.label(spec)} at each value of "
        f"{grid.listed([grid.name(axis) for axis in spreads])}."
    ]
    for axis, spread in spreads.items():
        values = []
        for row in numbers:
            if row["axis"] != axis:
                continue
            quartiles = (
                f"{grid.shown(row['mean'])} ({grid.shown(row['q1'])} to {grid.shown(row['q3'])})"
                if row["n"]
                else "no finite value"
            )
            values.append(f"{grid.name(row['value'])}: {quartiles}")
        sentences.append(f"{grid.name(axis)} {', '.join(values)}; spread of the means {grid.shown(spread)}.")
    sentences.append(f"Mean of all {len(found.points)} runs: {grid.shown(overall)}.")
    return " ".join([*sentences, *([f"{found.remark()}."] if found.left_out else [])])
