"""Cube: the mean of a metric at every combination of three axes of a grid, as points in space, coloured and
sized by the metric, and beside it (in a column: under it) a heatmap for each value of the third axis, in
which the numbers can be read.

The values of each axis stand evenly spaced, as categories. Options: `runs`, `axes` (x, y and z), `metric`
with `split` and `at`. Other axes of the grid are averaged, and the figure says so.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from reprise.publishing.figures import grid, heatmap
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, INK, LEADING, MARGIN, SMALL, text_width, wrap
from reprise.reports.figures import Cube

ELEVATION, AZIMUTH = np.radians((32, -73))
PROJECTION = np.array(
    [
        (-np.sin(AZIMUTH), np.cos(AZIMUTH), 0),
        (-np.sin(ELEVATION) * np.cos(AZIMUTH), -np.sin(ELEVATION) * np.sin(AZIMUTH), np.cos(ELEVATION)),
    ]
)
"""Space to page without perspective: even steps stay even, and of 3 × 3 × 3 points none comes nearer to
another than 0.22 of an edge, or to a line of the lattice that is not its own than 0.12.
"""
TOWARDS = np.array(
    (np.cos(ELEVATION) * np.cos(AZIMUTH), np.cos(ELEVATION) * np.sin(AZIMUTH), np.sin(ELEVATION))
)
"""Direction to the eye."""
CORNERS = np.array(list(itertools.product((0, 1), repeat=3))) @ PROJECTION.T
EDGE = {"column": 1.3, "wide": 2.2}
"""Inches that an edge has at most."""
NAMES = {"column": 0.5, "wide": 1.2}
"""Inches that a value along y or z is wide at most."""
SIZES = {"column": (18.0, 80.0), "wide": (30.0, 150.0)}
"""Square points of the smallest and the largest value, where there is room."""
MAPS, BESIDE = 0.42, 0.3
"""Share of a wide page that the heatmaps take, and inches between them and the bar of colours."""
FIELD, HEAD, FOOT = 0.24, 0.22, 0.2
"""Inches that a field of a heatmap is high, and that its title and its ticks take."""
CLEAR = 0.16
"""Inches between the lattice and what stands around it."""
BAR, PER_LINE = 0.72, 8 * LEADING / 72
"""Inches that the bar of colours takes, and a line of its label."""
LABEL = {"column": 2.0, "wide": 3.2}
"""Inches that a line of that label is long at most."""
RING: dict[str, Any] = {
    "marker": "o",
    "markerfacecolor": "none",
    "markeredgecolor": COLORS["vermillion"],
    "markeredgewidth": 1.8,
}
LINE = SMALL * LEADING / 72

_Labels = tuple[tuple[int, int, int], tuple[float, float], tuple[float, float], dict[str, Any], float]
"""Of an edge of the cube: a corner, where values and the name stand from it, how they are aligned, and by how
many degrees the name is turned.
"""


def draw(spec: Cube, sources: Sources, page: Page) -> Drawn:
    """Draw the points on a lattice, the best of them ringed and named, and the heatmaps with the values."""
    drawn, width = spec.axes, spec.width
    found = grid.measure(spec, sources)
    for axis in drawn:
        found.check("axes", axis)
    means, numbers = {}, []
    for levels in itertools.product(*(found.levels[axis] for axis in drawn)):
        settings = dict(zip(drawn, levels, strict=True))
        measured = [point.value for point in found.at(settings)]
        if measured:
            means[levels] = float(np.mean(measured))
            sd = float(np.std(measured, ddof=1)) if len(measured) > 1 else None
            numbers.append({"settings": settings, "n": len(measured), "mean": means[levels], "sd": sd})
    winners = grid.best(spec, means)
    names = [grid.named(dict(zip(drawn, levels, strict=True))) for levels in winners]

    label = wrap(grid.title(grid.label(spec)), LABEL[width], 8)
    side = BAR + (label.count("\n") + 1) * PER_LINE
    levels_of = {axis: found.levels[axis] for axis in drawn}
    maps = Maps(levels_of, means, winners, page.width if width == "column" else MAPS * page.width)
    left = page.width if width == "column" else page.width - maps.width - BESIDE
    lattice = Lattice(levels_of, left - side, width)
    best = grid.listed(names) if len(names) < 3 else f"{len(names)} combinations"
    legend: list[Artist] = [Line2D([], [], linestyle="none", markersize=7, label=f"best: {best}", **RING)]
    legend += [grid.words_alone(words) for words in (found.averaged(drawn), found.remark()) if words]
    under = maps.height if width == "column" else 0.0
    body = max(lattice.height, 0.0 if under else maps.height)
    page.set_height(body + under)
    below = page.legend([legend]) + 2 * MARGIN
    page.set_height(body + under + below)
    total = page.figure.get_size_inches()[1]
    bottom = below + under + (body - lattice.height) / 2
    axes = page.figure.add_axes(
        (0, bottom / total, 1, lattice.height / total), xlim=(0, page.width), ylim=(0, lattice.height)
    )
    axes.set_axis_off()
    lattice.draw(axes)

    places, values = np.array([lattice.unit(levels) for levels in means]), np.array(list(means.values()))
    order = np.argsort(places @ TOWARDS, kind="stable")  # the nearest are drawn last
    flat, values = lattice.page(places[order]), values[order]
    nearest = min(
        (np.hypot(*(one - other)) for one, other in itertools.combinations(flat, 2)), default=lattice.edge
    )
    small, large = (min(size, (0.8 * 72 * nearest) ** 2) for size in SIZES[width])
    norm = heatmap.scale(values.tolist(), spec.metric)
    sizes = small + (large - small) * np.asarray(norm(values))
    look: dict[str, Any] = {
        "cmap": heatmap.COLOURS,
        "norm": norm,
        "edgecolors": INK,
        "linewidths": 0.5,
        "zorder": 3,
    }
    points = axes.scatter(flat[:, 0], flat[:, 1], c=values, s=sizes, **look)
    for place, value, size in zip(flat, values, sizes, strict=True):
        radius = size**0.5 / 2
        if value == means[winners[0]]:
            axes.plot(*place, linestyle="none", markersize=2 * radius + 5, zorder=4, **RING)
    box = (
        (left - side + 0.1) / page.width,
        (bottom + 0.12 * lattice.height) / total,
        0.1 / page.width,
        0.8 * lattice.height / total,
    )
    bar = page.figure.colorbar(points, cax=page.figure.add_axes(box))
    bar.set_label(label, linespacing=LEADING)
    bar.ax.grid(visible=False)
    bar.outline.set_visible(False)
    top = below + (under or body - (body - maps.height) / 2)
    maps.draw(page, 0 if under else page.width - maps.width, top, norm)
    return Drawn(_describe(spec, found, numbers, names), found.runs, numbers)


class Maps:
    """Heatmaps one above another, one for each value of the third axis: x across, y down, the values printed,
    the best framed.

    `levels`: axis → values, for x, y and z. `means`: values of the three → what is drawn. `winners`: the best
    of them. `width`, `height`: of all, in inches.
    """

    def __init__(
        self,
        levels: Mapping[str, Sequence[str]],
        means: Mapping[tuple[str, ...], float],
        winners: Sequence[tuple[str, ...]],
        width: float,
    ) -> None:
        self.levels, self.means, self.winners, self.width = levels, means, winners, width
        self.x, self.y, self.z = levels
        across, down = len(levels[self.x]), len(levels[self.y])
        aside = max(text_width(grid.name(value), SMALL) for value in levels[self.y])
        self.left = 2 * MARGIN + LINE + aside + MARGIN
        self.field = (width - self.left - MARGIN) / across
        self.ticks = [wrap(grid.name(value), self.field, SMALL) for value in levels[self.x]]
        self.foot = FOOT + max(tick.count("\n") for tick in self.ticks) * LINE
        self.one = HEAD + down * FIELD
        self.height = len(levels[self.z]) * self.one + self.foot + LINE + 2 * MARGIN

    def draw(self, page: Page, left: float, top: float, norm: Normalize) -> None:
        """Draw them with their upper left corner at `left` and `top`, inches from the left and from below."""
        total = page.figure.get_size_inches()[1]
        for place, value in enumerate(self.levels[self.z]):
            upper = top - place * self.one - HEAD
            lower = upper - FIELD * len(self.levels[self.y])
            box = (left + self.left) / page.width, lower / total
            size = self.field * len(self.levels[self.x]) / page.width, (upper - lower) / total
            axes = page.figure.add_axes((*box, *size))
            self._map(axes, value, norm)
            axes.set_title(grid.named({self.z: value}), size=SMALL, pad=2.5)
            last = place == len(self.levels[self.z]) - 1
            axes.set_xticks(np.arange(len(self.ticks)) + 0.5, self.ticks if last else [])
            if last:
                axes.set_xlabel(grid.title(grid.name(self.x)), size=SMALL, labelpad=2)

    def _map(self, axes: Axes, value: str, norm: Normalize) -> None:
        """The fields at one value of z."""
        x, y = self.levels[self.x], self.levels[self.y]
        fields = np.array([[self.means.get((one, other, value), np.nan) for one in x] for other in y])
        mesh = axes.pcolormesh(fields, cmap=heatmap.COLOURS, norm=norm, edgecolor="white", linewidth=1)
        axes.set_ylim(len(y), 0)
        axes.set_yticks(np.arange(len(y)) + 0.5, [grid.name(other) for other in y], va="center")
        axes.set_ylabel(grid.title(grid.name(self.y)), size=SMALL, labelpad=2)
        axes.grid(visible=False)
        axes.tick_params(length=0, pad=2)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for (row, column), mean in np.ndenumerate(fields):
            corner = column, row
            if np.isnan(mean):
                axes.add_patch(Rectangle(corner, 1, 1, **heatmap.ABSENT))
                continue
            shade = heatmap.ink(mesh.to_rgba(np.array([mean]))[0, :3])
            size = min(SMALL, 0.9 * SMALL * self.field / text_width(grid.shown(mean), SMALL))
            at = column + 0.5, row + 0.5
            axes.text(*at, grid.shown(mean), size=size, color=shade, ha="center", va="center")
            if (x[column], y[row], value) in self.winners:
                axes.add_patch(Rectangle((column + 0.02, row + 0.04), 0.96, 0.92, **heatmap.FRAME, zorder=3))


class Lattice:
    """Lines through all combinations of three axes' values, with the values and the axes' names, in inches
    from the lower left corner.

    `levels`: axis → values, for x, y and z. `room`: inches from left to right. `width`: of the figure,
    `column` or `wide`.
    """

    def __init__(self, levels: Mapping[str, Sequence[str]], room: float, width: str) -> None:
        self.levels = levels
        x, y, z = levels
        self.texts = {
            axis: [wrap(grid.name(value), NAMES[width], SMALL) for value in levels[axis]] for axis in (y, z)
        }
        self.widest = {
            axis: max(text_width(line, SMALL) for text in texts for line in text.split("\n"))
            for axis, texts in self.texts.items()
        }
        left, right = (MARGIN + LINE + self.widest[axis] + 1.5 * CLEAR for axis in (z, y))
        low, high = CORNERS.min(axis=0), CORNERS.max(axis=0)
        self.edge = min((room - left - right) / (high - low)[0], EDGE[width])
        step = self.edge * PROJECTION[0, 0] / max(len(levels[x]) - 1, 1)
        self.texts[x] = [wrap(grid.name(value), 0.95 * step, SMALL) for value in levels[x]]
        self.lines = max(text.count("\n") + 1 for text in self.texts[x])
        spare = room - left - right - self.edge * (high - low)[0]
        bottom = MARGIN + (1 + self.lines) * LINE + 1.25 * CLEAR
        self.origin = np.array((left + spare / 2, bottom)) - self.edge * low
        self.height = bottom + self.edge * (high - low)[1] + CLEAR

    def unit(self, levels: Sequence[str]) -> np.ndarray:
        """Place of a combination in the unit cube; an axis with one value lies in its middle."""
        return np.array(
            [
                _marks(values)[values.index(level)]
                for level, values in zip(levels, self.levels.values(), strict=True)
            ]
        )

    def page(self, places: np.ndarray) -> np.ndarray:
        """Places (…, 3) in the unit cube → inches (…, 2)."""
        return self.origin + self.edge * places @ PROJECTION.T

    def draw(self, axes: Axes) -> None:
        """Draw on axes whose units are inches. Values and names stand at the outer edges: x below, y on the
        right, z on the left.
        """
        marks = [_marks(values) for values in self.levels.values()]
        for along in range(3):
            for fixed in itertools.product(*(places for place, places in enumerate(marks) if place != along)):
                axes.plot(
                    *self.page(np.insert(np.array([fixed, fixed]), along, (0, 1), axis=1)).T,
                    color="#cccccc",
                    linewidth=0.6,
                    zorder=1,
                )
        x, y, z = self.levels
        lower, further = (
            self.edge * PROJECTION[1, 0] / 2,
            self.edge * PROJECTION[0, 1] / 2,
        )  # where the edges end, seen from their middles
        ends: dict[str, _Labels] = {  # the edge's corner, and where the values and the name stand from it
            x: (
                (0, 0, 0),
                (0, -CLEAR),
                (0, lower - 1.1 * CLEAR - self.lines * LINE),
                {"ha": "center", "va": "top"},
                0,
            ),
            y: (
                (1, 0, 0),
                (CLEAR, -0.06),
                (further + 1.5 * CLEAR + self.widest[y], -0.06),
                {"ha": "left", "va": "center"},
                90,
            ),
            z: (
                (0, 0, 0),
                (-CLEAR, 0),
                (-1.5 * CLEAR - self.widest[z], 0),
                {"ha": "right", "va": "center"},
                90,
            ),
        }
        for along, (axis, (corner, beside, beyond, how, turn)) in enumerate(ends.items()):
            for mark, value in zip(marks[along], self.texts[axis], strict=True):
                right, up = self.page(_on_edge(corner, along, mark)) + beside
                axes.text(right, up, value, size=SMALL, linespacing=LEADING, **how)
            right, up = self.page(_on_edge(corner, along, 0.5)) + beyond
            axes.text(right, up, grid.title(grid.name(axis)), size=8, rotation=turn, **how)


def _marks(values: Sequence[str]) -> np.ndarray:
    """Places of an axis' values between 0 and 1."""
    return np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])


def _on_edge(corner: Sequence[int], along: int, place: float) -> np.ndarray:
    """The point so far along the edge that starts in a corner of the unit cube."""
    return np.array(
        [place if index == along else coordinate for index, coordinate in enumerate(corner)], dtype=float
    )


def _describe(spec: Cube, found: grid.Grid, numbers: list[dict[str, Any]], best: list[str]) -> str:
    what = (
        f"Three-dimensional scatter plot of {grid.label(spec)} by "
        f"{grid.listed([grid.name(axis) for axis in spec.axes])}"
    )
    points = [f"{grid.named(row['settings'])}: {grid.shown(row['mean'])}" for row in numbers]
    sentences = [
        ", ".join(part for part in (what, found.averaged(spec.axes)) if part),
        "; ".join(points),
        f"Best: {grid.listed(best)}",
    ]
    return " ".join(
        f"{sentence}." for sentence in [*sentences, *([found.remark()] if found.left_out else [])]
    )
