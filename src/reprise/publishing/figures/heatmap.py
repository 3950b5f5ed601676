"""Heatmap: the mean of a metric at every combination of two axes of a grid, printed and coloured.

Options: `runs`, `rows`, `columns` (axes), `metric` with `split` and `at`. Other axes of the grid are averaged, and the figure says so.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.patches import Patch, Rectangle

from reprise.errors import RepriseError
from reprise.publishing.figures import grid
from reprise.publishing.figures.page import Drawn, Page, Results
from reprise.publishing.style import COLORS, LEADING, SMALL, text_width, wrap

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


def draw(spec: Mapping[str, Any], results: Results, page: Page) -> Drawn:
    """Draw the fields, the best of them framed; a combination without a run is hatched."""
    down, across = spec["rows"], spec["columns"]
    found = grid.measure(spec, results)
    for key in ("rows", "columns"):
        found.check(key, spec[key])
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
    table = pd.DataFrame([[means.get((row, column), np.nan) for column in columns] for row in rows], rows, columns)
    names_down = [wrap(grid.name(row), NAMES, SMALL) for row in rows]
    aside = max(text_width(line, SMALL) for text in names_down for line in text.split("\n"))
    room = (page.width - AROUND - aside) / len(columns)
    widest = max(text_width(grid.shown(mean), SMALL, "bold") for mean in means.values())
    page.figure.set_layout_engine("constrained")  # before the bar of colours, which is placed by it
    axes = page.figure.subplots()
    seaborn.heatmap(
        table,
        ax=axes,
        cmap=COLOURS,
        annot=table.map(grid.shown),
        fmt="",
        annot_kws={"size": SMALL * min(1, 0.9 * room / widest)},
        linewidths=1,
        linecolor="white",
        cbar_kws={"label": wrap(grid.title(grid.label(spec)), _height(spec, rows), 8), "pad": 0.03},
        xticklabels=[wrap(grid.name(column), room, SMALL) for column in columns],
        yticklabels=names_down,
    )
    axes.grid(visible=False)
    axes.collections[0].colorbar.outline.set_visible(False)
    axes.tick_params(length=0, rotation=0)
    for row, column in ((row, column) for row in range(len(rows)) for column in range(len(columns))):
        if (rows[row], columns[column]) not in means:
            axes.add_patch(Rectangle((column, row), 1, 1, **ABSENT))
    for row, column in winners:
        corner = (columns.index(column) + 0.03, rows.index(row) + 0.03)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, **FRAME, zorder=3))
    for written in axes.texts:
        if any(written.get_position() == (columns.index(column) + 0.5, rows.index(row) + 0.5) for row, column in winners):
            written.set_weight("bold")
    axes.set_xlabel(grid.title(grid.name(across)))
    axes.set_ylabel(wrap(grid.title(grid.name(down)), _height(spec, rows), 8), linespacing=LEADING)

    names = [grid.named({down: row, across: column}) for row, column in winners]
    legend = [Patch(label=f"best: {grid.listed(names) if len(names) < 3 else f'{len(names)} fields'}", **FRAME)]
    if len(means) < len(numbers):
        legend.append(Patch(label="no value", **ABSENT))
    legend += [grid.words_alone(words) for words in (found.averaged((down, across)), found.remark()) if words]
    body = _height(spec, rows) + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend([legend]))
    return Drawn(_describe(spec, found, numbers, names), found.runs, numbers)


def _height(spec: Mapping[str, Any], rows: list[str]) -> float:
    """Inches of all fields."""
    return max(FIELD[spec.get("width", "column")] * len(rows), LEAST_HEIGHT)


def _describe(spec: Mapping[str, Any], found: grid.Grid, numbers: list[dict[str, Any]], best: list[str]) -> str:
    down, across = spec["rows"], spec["columns"]
    what = f"Heatmap of {grid.label(spec)} by {grid.name(down)} (rows) and {grid.name(across)} (columns)"
    sentences = [", ".join(part for part in (what, found.averaged((down, across))) if part) + "."]
    for row in found.levels[down]:
        fields = [
            f"{grid.name(field['settings'][across])}: {'no value' if field['mean'] is None else grid.shown(field['mean'])}"
            for field in numbers
            if field["settings"][down] == row
        ]
        sentences.append(f"{grid.named({down: row})}, {grid.name(across)} {', '.join(fields)}.")
    sentences.append(f"Best: {grid.listed(best)}.")
    return " ".join([*sentences, *([f"{found.remark()}."] if found.left_out else [])])
