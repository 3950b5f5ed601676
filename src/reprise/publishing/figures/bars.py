"""Bars: a pointwise sweep, one horizontal bar for each value that is changed from the base run, grouped by
axis.

The base run is a line through all bars with a band of ± one standard deviation. Colour and hatching tell the
bars that are better than it from those that are worse; the mean and its distance from the base stand right of
each. Options: `runs`, `axes` (default: all), `metric` with `split` and `at`, `y_limits` (of the metric).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS
from reprise.publishing.figures import grid
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.figures.rows import (
    LINE,
    ROW,
    RowName,
    deviation_entry,
    draw_bar,
    print_number,
    set_rows,
)
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, INK, SMALL
from reprise.reports.figures import Bars
from reprise.reports.report import Cell, text

GAP = 0.4
"""Rows between two groups."""
FURNITURE = 0.65
"""Inches for the base run's value, the ticks and the metric's name."""
NAMES = 0.3
"""Share of a column's width that the names of values take at most."""
COLUMNS_OF_WIDTH = {"column": 1, "wide": 2}
FEW = 12
"""Up to so many bars stand in one column."""
LOOKS: dict[str, dict[str, Any]] = {
    "better": {"facecolor": COLORS["sky"], "edgecolor": COLORS["blue"]},
    "worse": {"facecolor": "white", "edgecolor": COLORS["vermillion"], "hatch": "//////"},
    "equal": {"facecolor": "#bbbbbb", "edgecolor": "#666666"},
}
BAND: dict[str, Any] = {"color": INK, "alpha": 0.15, "linewidth": 0}


@dataclass(frozen=True)
class Bar:
    """A configuration: mean of its runs' values and, of two runs or more, their standard deviation (n − 1 in
    the denominator).

    Where a run's value is not finite, neither is the mean, and there is no deviation.
    """

    axis: str
    value: str
    runs: tuple[str, ...]
    mean: float
    sd: float | None

    @classmethod
    def of(cls, axis: str, value: str, cell: Cell, values: Sequence[float]) -> "Bar":
        mean = fmean(values)
        return cls(
            axis,
            value,
            tuple(cell.runs),
            mean,
            stdev(values) if len(values) > 1 and math.isfinite(mean) else None,
        )

    def against(self, base: "Bar", metric: str) -> str:
        """A key of `LOOKS`. Of a metric that is neither good nor bad, more is drawn like better, and the
        legend says above.
        """
        if self.mean == base.mean:
            return "equal"
        return "better" if (self.mean > base.mean) != (METRICS[metric].better == "smaller") else "worse"


def draw(spec: Bars, sources: Sources, page: Page) -> Drawn:
    """Draw the groups one under another, on a wide page in two columns; the base run's line goes through
    all.
    """
    base, groups = _measured(spec, sources)
    bars = [bar for group in groups.values() for bar in group]
    columns = _columns(groups, COLUMNS_OF_WIDTH[spec.width])
    page.figure.set_layout_engine("constrained")
    panels = page.figure.subplots(1, len(columns), sharex=True, squeeze=False)[0]
    heights = []
    for axes, column in zip(panels, columns, strict=True):
        heights.append(_groups(axes, column, base, spec.metric, NAMES * page.width / len(columns)))
        _base(axes, base)
        axes.set_xlabel(grid.title(grid.label(spec)))
    for axes in panels:
        axes.set_ylim(max(heights) / ROW, 0)
    if spec.y_limits:
        panels[0].set_xlim(*spec.y_limits)
    body = max(heights) + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend([_legend(spec, base, bars)]))
    runs = sorted({run for bar in [base, *bars] for run in bar.runs})
    return Drawn(_describe(spec, base, groups), runs, [_values(bar) for bar in [base, *bars]])


def _columns(groups: Mapping[str, list[Bar]], most: int) -> list[dict[str, list[Bar]]]:
    """The groups, in two columns of about the same length where there may be two and they are many bars."""
    if most == 1 or sum(map(len, groups.values())) <= FEW:
        return [dict(groups)]
    names = list(groups)
    lengths = [len(groups[axis]) + 1 + GAP for axis in names]
    cut = min(
        range(1, len(names)), key=lambda cut: max(sum(lengths[:cut]), sum(lengths[cut:])), default=len(names)
    )
    return [{axis: groups[axis] for axis in part} for part in (names[:cut], names[cut:]) if part]


def _groups(axes: Axes, groups: Mapping[str, Sequence[Bar]], base: Bar, metric: str, width: float) -> float:
    """Headings and bars from top to bottom. Returns their height in inches."""
    rows: list[RowName] = []
    drawn: list[Bar | None] = []
    for axis, group in groups.items():
        rows += [
            RowName(grid.name(axis), bold=True, gap=GAP if rows else 0),
            *(RowName(bar.value) for bar in group),
        ]
        drawn += [None, *group]
    places, height = set_rows(axes, rows, width)
    for place, bar in zip(places, drawn, strict=True):
        if bar and math.isfinite(bar.mean):
            draw_bar(axes, place, bar.mean, bar.sd, LOOKS[bar.against(base, metric)])
            print_number(axes, place, f"{grid.shown(bar.mean)}  {_difference(bar, base)}")
        elif bar:
            print_number(axes, place, "not finite")
    return height


def _measured(spec: Bars, sources: Sources) -> tuple[Bar, dict[str, list[Bar]]]:
    """The base run, and axis → its changed values."""
    cells = sources.resolve(spec.runs)
    base = next((cell for cell in cells if not cell.settings), None)
    if base is None:
        raise RepriseError(f"runs: {spec.runs} has no base run to compare with; name a whole pointwise sweep")
    changed = [cell for cell in cells if cell.settings]
    for cell in changed:
        if len(cell.settings) > 1:
            raise RepriseError(
                f"runs: {cell.name} changes {len(cell.settings)} values at once; name a pointwise sweep"
            )
    known = list(dict.fromkeys(axis for cell in changed for axis in cell.settings))
    axes = spec.axes or known
    for axis in axes:
        if axis not in known:
            raise RepriseError(f"axes: {spec.runs} has no axis {axis}{nearest(axis, known)}")
    if not axes:
        raise RepriseError(f"runs: {spec.runs} has a base run alone; name a whole pointwise sweep")
    found = Bar.of("", "base run", base, sources.values(spec, base))
    if not math.isfinite(found.mean):
        raise RepriseError(
            f"{base.name}: its {spec.metric} is not finite, so there is nothing to compare with"
        )
    groups: dict[str, list[Bar]] = {axis: [] for axis in axes}
    for cell in changed:
        ((axis, value),) = cell.settings.items()
        if axis in groups:
            groups[axis].append(Bar.of(axis, text(value).replace("_", " "), cell, sources.values(spec, cell)))
    return found, groups


def _base(axes: Axes, base: Bar) -> None:
    """The line of the base run, and its number above the axes."""
    axes.axvline(base.mean, zorder=3, **LINE)
    if base.sd is not None:
        axes.axvspan(base.mean - base.sd, base.mean + base.sd, zorder=1, **BAND)
    printed = f"base run {grid.shown(base.mean)}"
    at: dict[str, Any] = {
        "xycoords": axes.get_xaxis_transform(),
        "xytext": (0, 2),
        "textcoords": "offset points",
    }
    axes.annotate(printed, (base.mean, 1), size=SMALL, ha="center", va="bottom", annotation_clip=False, **at)


def _difference(bar: Bar, base: Bar) -> str:
    """With its sign, and as many digits as the mean."""
    return f"{'−' if bar.mean < base.mean else '+'}{grid.shown(abs(bar.mean - base.mean))}"


def _legend(spec: Bars, base: Bar, bars: Sequence[Bar]) -> list[Artist]:
    looks = {bar.against(base, spec.metric) for bar in bars if math.isfinite(bar.mean)}
    words = {
        "better": "better than the base run",
        "worse": "worse than the base run",
        "equal": "equal to the base run",
    }
    if METRICS[spec.metric].better is None:
        words |= {"better": "above the base run", "worse": "below the base run"}
    handles: list[Artist] = [
        Patch(label=words[look], linewidth=0.8, **LOOKS[look]) for look in LOOKS if look in looks
    ]
    handles.append(Line2D([], [], label="base run", **LINE))
    if any(bar.sd is not None for bar in [base, *bars]):
        handles.append(deviation_entry(len(bar.runs) for bar in [base, *bars]))
    return handles


def _values(bar: Bar) -> dict[str, Any]:
    mean = bar.mean if math.isfinite(bar.mean) else None
    return {
        "axis": bar.axis,
        "value": bar.value,
        "runs": list(bar.runs),
        "mean": mean,
        "sd": bar.sd,
        "n": len(bar.runs),
    }


def _describe(spec: Bars, base: Bar, groups: Mapping[str, Sequence[Bar]]) -> str:
    """The bars in words, each with its distance from the base run."""
    spread = "" if base.sd is None else f" ± {grid.shown(base.sd)}"
    sentences = [
        f"Bar chart of {grid.label(spec)}; base run {grid.shown(base.mean)}{spread} (n = {len(base.runs)})."
    ]
    for axis, group in groups.items():
        said = [
            f"{bar.value} {grid.shown(bar.mean)} ({_difference(bar, base)})"
            if math.isfinite(bar.mean)
            else f"{bar.value} not finite"
            for bar in group
        ]
        sentences.append(f"{grid.title(grid.name(axis))}: {', '.join(said)}.")
    return " ".join(sentences)
