"""What the figures of a grid share: a metric measured in every run, found by the values of the grid's axes.

The values of an axis stand in the report file's order. A run whose value is not finite is left out, and the
figure says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS
from reprise.publishing.figures.curves import SPLIT_WORDS
from reprise.publishing.sources import Sources
from reprise.publishing.words import written
from reprise.reports.figures import MeasuredFigure
from reprise.reports.report import Cell, text

TESTED = frozenset({"accuracy", "loss", "precision_macro", "recall_macro", "f1_macro"})
"""Metrics that are those of the test images where a figure names neither split nor place."""
WORDS = {"gap": "accuracy gap"} | {
    metric: METRICS[metric].words for metric in ("plain_train_accuracy", "plain_train_loss", "plain_gap")
}
"""What figures call a metric where it is not its name."""


@dataclass(frozen=True)
class Point:
    """One run: the values of its cell's axes as text, and the metric, which is finite."""

    settings: Mapping[str, str]
    run: str
    value: float


@dataclass(frozen=True)
class Grid:
    """The runs of a grid. `levels`: axis → its values. `left_out`: number of runs that have no finite value
    and so no point.
    """

    cells: Sequence[Cell]
    levels: Mapping[str, Sequence[str]]
    points: Sequence[Point]
    left_out: int

    @property
    def runs(self) -> list[str]:
        """Hashes of all runs, those left out too."""
        return sorted({run for cell in self.cells for run in cell.runs})

    def at(self, settings: Mapping[str, str]) -> list[Point]:
        """The points with these values of these axes."""
        return [point for point in self.points if settings.items() <= point.settings.items()]

    def check(self, key: str, axis: str) -> None:
        """An axis that a cell does not have is a `RepriseError`; `key` is what names it in the figure."""
        for cell in self.cells:
            if axis not in cell.settings:
                hint = (
                    "; name the cells of a grid"
                    if axis in self.levels or not self.levels
                    else nearest(axis, self.levels)
                )
                raise RepriseError(f"{key}: {cell.name} has no axis {axis}{hint}")

    def averaged(self, drawn: Sequence[str]) -> str:
        """Over what a mean is taken where the axes `drawn` alone are told apart, e.g. `mean over lr and 3
        seeds`; empty for single runs.
        """
        over = [name(axis) for axis, values in self.levels.items() if axis not in drawn and len(values) > 1]
        seeds = [len(cell.runs) for cell in self.cells]
        least = f"{min(seeds)} to " if min(seeds) < max(seeds) else ""
        over += [f"{least}{max(seeds)} seeds"] if max(seeds) > 1 else []
        return f"mean over {listed(over)}" if over else ""

    def remark(self) -> str:
        """A sentence on the runs left out; nothing where there are none."""
        if not self.left_out:
            return ""
        return f"{self.left_out} run{'s' if self.left_out > 1 else ''} without a finite value left out"


def measure(spec: MeasuredFigure, sources: Sources) -> Grid:
    """The keys `metric`, `split` and `at` of a figure measured in the runs of its cells; not one finite value
    is a `RepriseError`.
    """
    cells = sources.resolve(spec.runs)
    combinations = [_texts(cell) for cell in cells]
    points, left_out = [], 0
    for cell, settings in zip(cells, combinations, strict=True):
        for run, value in zip(cell.runs, sources.values(spec, cell), strict=True):
            if math.isfinite(value):
                points.append(Point(settings, run, value))
            else:
                left_out += 1
    if not points:
        raise RepriseError(f"{spec.runs}: {spec.metric} is not finite in any run; there is nothing to draw")
    named = [_texts(cell) for cell in sources.named(spec.runs)]
    levels = {}
    for axis in dict.fromkeys(axis for settings in combinations for axis in settings):
        there = {settings[axis] for settings in combinations if axis in settings}
        levels[axis] = [value for value in _in_order(axis, named) if value in there]
    return Grid(cells, levels, points, left_out)


def _texts(cell: Cell) -> dict[str, str]:
    """Axis → its value, as text."""
    return {axis: text(value) for axis, value in cell.settings.items()}


def _in_order(axis: str, combinations: Sequence[Mapping[str, str]]) -> list[str]:
    """The values of an axis in the report file's order.

    Cells that differ in this axis alone stand in that order. Of a part of a grid, where they do not settle
    it, it is that of appearance.
    """
    rows: dict[Any, list[str]] = {}
    for settings in combinations:
        if axis in settings:
            others = tuple((other, value) for other, value in settings.items() if other != axis)
            rows.setdefault(others, []).append(settings[axis])
    left = list(dict.fromkeys(settings[axis] for settings in combinations if axis in settings))
    earlier = {
        value: {one for row in rows.values() if value in row for one in row[: row.index(value)]}
        for value in left
    }
    ordered: list[str] = []
    while left:
        ordered.append(next((value for value in left if not earlier[value] & set(left)), left[0]))
        left.remove(ordered[-1])
    return ordered


def best(spec: MeasuredFigure, values: Mapping[Any, float]) -> list[Any]:
    """The keys with the best value: the smallest of a loss or gap, else the largest."""
    found = (min if METRICS[spec.metric].better == "smaller" else max)(values.values())
    return [key for key, value in values.items() if value == found]


# ---- words ----


def name(axis: str) -> str:
    """An axis, or one of its values, in words."""
    return written(axis)


def named(settings: Mapping[str, str]) -> str:
    """Axes and their values in words, e.g. `lr 0.01, batch size 64`."""
    return ", ".join(f"{name(axis)} {name(value)}" for axis, value in settings.items())


def title(words: str) -> str:
    """`words` with a capital at the start."""
    return words[:1].upper() + words[1:]


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])


def label(spec: MeasuredFigure) -> str:
    """The keys `metric`, `split` and `at` of a figure in words, e.g. `best validation accuracy`."""
    metric, split, at = spec.metric, spec.split, spec.at
    words = WORDS.get(metric, metric.replace("_", " "))
    if not split and not at:
        return f"test {words}" if metric in TESTED else words
    words = f"{SPLIT_WORDS[split or 'test']} {words}"
    return f"best {words}" if at == "best" else f"{words} at the {at or 'selected'} epoch"


def shown(value: float) -> str:
    """A measured value as figures print it."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def words_alone(text: str) -> Artist:
    """An entry of a legend without a symbol."""
    return Line2D([], [], linestyle="none", label=text)
