"""Heatmap: the mean of a metric at every combination of two axes of a grid, printed and coloured.

Options: `runs`, `rows`, `columns` (axes), `metric` with `split` and `at`. Other axes of the grid are
averaged, and the figure says so.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import Normalize
from matplotlib.patches import Patch, Rectangle

from reprise.errors import RepriseError
from reprise.publishing.figures import grid
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, LEADING, SMALL, text_width, widened, wrap
from reprise.reports.figures import Heatmap

FIELD = {"column": 0.42, "wide": 0.5}
"""Inches that a field is high."""
FURNITURE = 0.5
"""Inches for the ticks, the label of the columns and the space around."""
LEAST_HEIGHT = 1.3
"""Inches: room for the label of the colours."""
AROUND = 0.95
"""Inches that the names of the axis and the bar of colours take left and right of the fields, about."""
NAMES = 0.9
"""Inches that the name of a row has at most."""
COLOURS = "viridis"
FRAME: dict[str, Any] = {"facecolor": "none", "edgecolor": COLORS["vermillion"], "linewidth": 2}
ABSENT: dict[str, Any] = {"facecolor": "white", "edgecolor": "#bbbbbb", "linewidth": 0, "hatch": "////"}


def draw(spec: Heatmap, sources: Sources, page: Page) -> Drawn:
    """Draw the fields, the best of them framed; a combination without a run is hatched."""
    down, across = spec.rows, spec.columns
    found = grid.measure(spec, sources)
    for key in ("rows", "columns"):
        found.check(key, getattr(spec, key))
    if down == across:
        raise RepriseError(f"rows and columns are both {down}; name two axes")
    means, numbers = {}, []
    for row in found.levels[down]:
        for column in found.levels[across]:
            settings = {down: row, across: column}
            values = [point.value for point in found.at(settings)]
            mean = float(np.mean(values)) if values else None
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
            numbers.append({"settings": settings, "n": len(values), "mean": mean, "sd": sd})
            if mean is not None:
                means[row, column] = mean
    winners = grid.best(spec, means)

    rows, columns = found.levels[down], found.levels[across]
    names_down = [wrap(grid.name(row), NAMES, SMALL) for row in rows]
    aside = max(text_width(line, SMALL) for text in names_down for line in text.split("\n"))
    room = (page.width - AROUND - aside) / len(columns)
    widest = max(text_width(grid.shown(mean), SMALL, "bold") for mean in means.values())
    page.figure.set_layout_engine("constrained")  # before the bar of colours, which is placed by it
    axes = page.figure.subplots()
    mesh = axes.pcolormesh(
        np.array([[means.get((row, column), np.nan) for column in columns] for row in rows]),
        cmap=COLOURS,
        norm=scale(list(means.values()), spec.metric),
        edgecolor="white",
        linewidth=1,
    )
    axes.set_ylim(len(rows), 0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = page.figure.colorbar(
        mesh, ax=axes, label=wrap(grid.title(grid.label(spec)), _height(spec, rows), 8), pad=0.03
    )
    bar.outline.set_visible(False)
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, [wrap(grid.name(column), room, SMALL) for column in columns]
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, names_down, va="center")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    fields = mesh.to_rgba(np.array(list(means.values())))[:, :3]
    for (row, column), field in zip(means, fields, strict=True):
        weight = "bold" if (row, column) in winners else "normal"
        place = columns.index(column) + 0.5, rows.index(row) + 0.5
        size = SMALL * min(1, 0.9 * room / widest)
        axes.text(
            *place,
            grid.shown(means[row, column]),
            size=size,
            weight=weight,
            color=ink(field),
            ha="center",
            va="center",
        )
    for y, x in itertools.product(range(len(rows)), range(len(columns))):
        if (rows[y], columns[x]) not in means:
            axes.add_patch(Rectangle((x, y), 1, 1, **ABSENT))
    for row, column in winners:
        corner = (columns.index(column) + 0.03, rows.index(row) + 0.03)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, **FRAME, zorder=3))
    axes.set_xlabel(grid.title(grid.name(across)))
    axes.set_ylabel(wrap(grid.title(grid.name(down)), _height(spec, rows), 8), linespacing=LEADING)

    names = [grid.named({down: row, across: column}) for row, column in winners]
    legend: list[Artist] = [
        Patch(label=f"best: {grid.listed(names) if len(names) < 3 else f'{len(names)} fields'}", **FRAME)
    ]
    if len(means) < len(numbers):
        legend.append(Patch(label="no value", **ABSENT))
    legend += [grid.words_alone(words) for words in (found.averaged((down, across)), found.remark()) if words]
    body = _height(spec, rows) + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend([legend]))
    return Drawn(_describe(spec, found, numbers, names), found.runs, numbers)


def scale(values: Sequence[float], metric: str) -> Normalize:
    """From a value to its place among the colours, which do not tell values apart that hardly differ."""
    return Normalize(*widened(min(values), max(values), metric))


def ink(field: np.ndarray) -> str:
    """Dark or white, whichever is read on a field of this colour (red, green, blue from 0 to 1)."""
    luminance = sum(
        weight * (value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4)
        for weight, value in zip((0.2126, 0.7152, 0.0722), field, strict=True)
    )
    return "0.15" if luminance > 0.408 else "white"


def _height(spec: Heatmap, rows: Sequence[str]) -> float:
    """Inches of all fields."""
    return max(FIELD[spec.width] * len(rows), LEAST_HEIGHT)


def _describe(spec: Heatmap, found: grid.Grid, numbers: list[dict[str, Any]], best: list[str]) -> str:
    down, across = spec.rows, spec.columns
    what = f"Heatmap of {grid.label(spec)} by {grid.name(down)} (rows) and {grid.name(across)} (columns)"
    sentences = [", ".join(part for part in (what, found.averaged((down, across))) if part) + "."]
    for row in found.levels[down]:
        fields = [
            f"{grid.name(field['settings'][across])}: "
            f"{'no value' if field['mean'] is None else grid.shown(field['mean'])}"
            for field in numbers
            if field["settings"][down] == row
        ]
        sentences.append(f"{grid.named({down: row})}, {grid.name(across)} {', '.join(fields)}.")
    sentences.append(f"Best: {grid.listed(best)}.")
    return " ".join([*sentences, *([f"{found.remark()}."] if found.left_out else [])])
