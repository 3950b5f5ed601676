"""Rows of horizontal bars: names at the left, numbers at the right, standard deviations on the bars."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reprise.publishing.style import INK, LEADING, SMALL, wrap

ROW = 0.155
"""Inches from one bar to the next; names of several lines take more."""
THICK = 0.72
"""Height of a bar, in rows."""
DEVIATION: dict[str, Any] = {
    "color": INK,
    "elinewidth": 0.9,
    "capsize": 1.6,
    "capthick": 0.9,
    "linestyle": "none",
}
LINE: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 1.5))}
"""Look of a vertical line that all bars are compared with."""


@dataclass(frozen=True)
class RowName:
    """A name, in bold where it is a heading or set off; `gap`: rows left free above it."""

    name: str
    bold: bool = False
    gap: float = 0.0


def set_rows(axes: Axes, rows: Sequence[RowName], width: float) -> tuple[list[float], float]:
    """Name the rows from top to bottom, broken to `width` inches. Returns the places of their middles, and
    the height of all in inches.
    """
    weights = ["bold" if row.bold else "normal" for row in rows]
    names = [wrap(row.name, width, SMALL, weight) for row, weight in zip(rows, weights, strict=True)]
    places, end = [], 0.0
    for row, name in zip(rows, names, strict=True):
        slot = max(1.0, (name.count("\n") + 1) * SMALL * LEADING / 72 / ROW)
        places.append(end + row.gap + slot / 2)
        end += row.gap + slot
    axes.set_ylim(end, 0)
    axes.set_yticks(places, names)
    for label, weight in zip(axes.get_yticklabels(), weights, strict=True):
        label.set_fontweight(weight)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    return places, end * ROW


def draw_bar(
    axes: Axes,
    place: float,
    mean: float,
    sd: float | None,
    look: dict[str, Any],
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> None:
    """A bar from 0 to `mean`; of two runs or more `sd` is drawn to both sides of its end, as far as `limits`
    let a value go.
    """
    axes.barh(place, mean, height=THICK, linewidth=0.8, zorder=2, **look)
    if sd is not None:
        sides = [[min(sd, mean - limits[0])], [min(sd, limits[1] - mean)]]
        axes.errorbar(mean, place, xerr=sides, zorder=4, **DEVIATION)


def print_number(axes: Axes, place: float, words: str) -> None:
    """`words` right of the axes."""
    at: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "xytext": (4, 0),
        "textcoords": "offset points",
    }
    axes.annotate(words, (1, place), size=SMALL, va="center_baseline", annotation_clip=False, **at)


def deviation_entry(counts: Iterable[int]) -> Artist:
    """The legend's entry for standard deviations over so many runs each."""
    different = set(counts)
    seeds = f" of {different.pop()} seeds" if len(different) == 1 else ""
    return Line2D([], [], color=INK, linewidth=0.9, marker="|", markersize=4, label=f"± sd{seeds}")
