"""Boxes: the distribution of a metric over all runs of a grid that share a value of one axis, every run a
dot.

Options: `runs`, `by` (the axis), `metric` with `split` and `at`, `y_limits`.
"""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reprise.publishing.figures import grid
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, INK, LEADING, SMALL, widened, wrap
from reprise.reports.figures import Boxes

AXES_HEIGHT = {"column": 1.95, "wide": 2.7}
"""Inches."""
FURNITURE = 0.4
"""Inches for the label of the axis and the space around."""
BOX = "#dbe9f4"
EDGE = 0.4
"""How far dots stand from the middle at most, where neighbouring boxes are 1 apart."""
MEAN: dict[str, Any] = {
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "linestyle": "none",
}
DOT: dict[str, Any] = {
    "marker": "o",
    "markersize": 3.6,
    "markerfacecolor": COLORS["blue"],
    "markeredgecolor": "white",
    "markeredgewidth": 0.4,
}


def draw(spec: Boxes, sources: Sources, page: Page) -> Drawn:
    """Draw a box for each value of `spec.by`: median, quartiles (linear between ranks), range, mean, and a
    dot for each run.
    """
    axis = spec.by
    found = grid.measure(spec, sources)
    found.check("by", axis)
    levels = found.levels[axis]
    points = {level: found.at({axis: level}) for level in levels}
    values = {level: np.array([point.value for point in points[level]]) for level in levels}

    axes = page.figure.subplots()
    data = list(values.values())
    thin = {"color": INK, "linewidth": 0.8}
    axes.boxplot(
        data,
        positions=range(len(levels)),
        widths=0.6,
        whis=(0, 100),
        patch_artist=True,
        boxprops={"facecolor": BOX, "edgecolor": INK, "linewidth": 0.8},
        medianprops={"color": INK, "linewidth": 1.4},
        whiskerprops=thin,
        capprops=thin,
        showmeans=True,
        meanprops={**MEAN, "zorder": 4},
    )
    clouds = [_dots(axes, place, of) for place, of in enumerate(data)]
    axes.set_xlim(-0.5, len(levels) - 0.5)
    room = (page.width - 0.7) / len(levels) * 0.95
    ticks = [wrap(grid.name(level), room, SMALL) for level in levels]
    axes.set_xticks(range(len(levels)), ticks)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(grid.title(grid.name(axis)))
    height = AXES_HEIGHT[spec.width]
    axes.set_ylabel(wrap(grid.title(grid.label(spec)), height, 8), linespacing=LEADING)
    axes.set_ylim(*(spec.y_limits or widened(*axes.get_ylim(), spec.metric)))

    legend: list[Artist] = [
        Patch(facecolor=BOX, edgecolor=INK, linewidth=0.8, label="median, quartiles, range")
    ]
    legend += [Line2D([], [], label="mean", **MEAN), Line2D([], [], linestyle="none", label="one run", **DOT)]
    legend += [grid.words_alone(found.remark())] if found.left_out else []
    page.figure.set_layout_engine("constrained")
    body = height + FURNITURE + max(tick.count("\n") + 1 for tick in ticks) * SMALL * LEADING / 72
    page.set_height(body)
    page.set_height(body + page.legend([legend]))
    page.lay_out()  # only now is it known how near the dots stand to each other
    for cloud in clouds:
        _set_apart(axes, cloud)

    numbers = []
    for level in levels:
        numbers.append(
            {
                "axis": axis,
                "value": level,
                "n": len(values[level]),
                "points": {point.run: point.value for point in points[level]},
            }
        )
        if len(values[level]):
            low, q1, median, q3, high = (
                float(value) for value in np.quantile(values[level], (0, 0.25, 0.5, 0.75, 1))
            )
            mean = float(values[level].mean())
            numbers[-1] |= {"mean": mean, "min": low, "q1": q1, "median": median, "q3": q3, "max": high}
    return Drawn(_describe(spec, found, numbers), found.runs, numbers)


# ---- dots ----


def _dots(axes: Axes, middle: float, values: np.ndarray) -> PathCollection:
    """A dot for each value, all at `middle`."""
    look = {
        "color": DOT["markerfacecolor"],
        "edgecolor": DOT["markeredgecolor"],
        "linewidth": DOT["markeredgewidth"],
    }
    return axes.scatter(np.full(len(values), middle), values, s=DOT["markersize"] ** 2, zorder=3, **look)


def _set_apart(axes: Axes, cloud: PathCollection) -> None:
    """Move dots to both sides of the middle, so that none hides another; those that find no room share the
    edge.
    """
    places, to_pixels = np.array(cloud.get_offsets()), axes.transData
    if not len(places):
        return
    size = (DOT["markersize"] + DOT["markeredgewidth"]) * axes.figure.dpi / 72
    (left, _), (right, _) = to_pixels.transform([(0, 0), (1, 0)])
    places[:, 0] += (swarm(to_pixels.transform(places)[:, 1], size) / (right - left)).clip(-EDGE, EDGE)
    cloud.set_offsets(places)


def swarm(heights: np.ndarray, size: float) -> np.ndarray:
    """How far each of the dots at `heights` (N,), of diameter `size` in the same unit, stands beside the
    middle, so that none overlap.

    They are placed from the lowest to the highest, each as near to the middle as it is free.
    """
    aside = np.zeros(len(heights))
    order = np.argsort(heights)
    for number, dot in enumerate(order):
        below = order[:number]
        near = below[heights[dot] - heights[below] < size]
        rise = heights[dot] - heights[near]
        step = 1.05 * np.sqrt(size**2 - rise**2)
        beside = np.stack([aside[near] - step, aside[near] + step], axis=1)
        beside[1::2] = beside[
            1::2, ::-1
        ]  # of two equally near places now the left one, now the right one comes first
        places = np.append(0.0, beside)
        free = places[(np.hypot(places[:, None] - aside[near], rise) >= size).all(axis=1)]
        aside[dot] = min(free, key=abs)
    return aside


def _describe(spec: Boxes, found: grid.Grid, numbers: list[dict[str, Any]]) -> str:
    sentences = [f"Box plot of {grid.label(spec)} by {grid.name(spec.by)}, every run a dot."]
    for row in numbers:
        level = grid.named({row["axis"]: row["value"]})
        if not row["n"]:
            sentences.append(f"{level}: no finite value.")
            continue
        said = {key: grid.shown(row[key]) for key in ("mean", "min", "q1", "median", "q3", "max")}
        sentences.append(
            f"{level} (n = {row['n']}): mean {said['mean']}, median {said['median']}, quartiles "
            f"{said['q1']} and {said['q3']}, "
            f"range {said['min']} to {said['max']}."
        )
    return " ".join([*sentences, *([f"{found.remark()}."] if found.left_out else [])])
