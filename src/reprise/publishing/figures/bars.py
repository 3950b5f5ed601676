"""Bars: a pointwise sweep, one horizontal bar for each value that is changed from the base run, grouped by
axis.

The base run is a line through all bars, with a band for each: how far a seed alone would move it (95 %),
from the scatter over the seeds of these runs and those of `noise`. Bars that end within the band are grey;
colour and hatching tell the others that are better from those that are worse. The mean and its distance from
the base stand right of each. Options: `runs`, `noise`, `axes` (default: all), `metric` with `split` and `at`,
`y_limits` (of the metric).
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
from reprise.publishing.noise import Typical, variance_of
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, INK, SMALL
from reprise.publishing.words import written
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
    "noise": {"facecolor": "#d0d0d0", "edgecolor": "#666666"},
}
BAND: dict[str, Any] = {"color": INK, "alpha": 0.15, "linewidth": 0}


@dataclass(frozen=True)
class Bar:
    """A configuration: mean of its runs' values and, of two runs or more, their standard deviation (n − 1 in
    the denominator). `margin`: how far from the base run its mean could be by its seeds alone.

    Where a run's value is not finite, neither is the mean, and there is no deviation.
    """

    axis: str
    value: str
    runs: tuple[str, ...]
    mean: float
    sd: float | None
    margin: float = 0.0

    @classmethod
    def of(cls, axis: str, value: str, cell: Cell, values: Sequence[float], margin: float = 0.0) -> "Bar":
        mean = fmean(values)
        return cls(
            axis,
            value,
            tuple(cell.runs),
            mean,
            stdev(values) if len(values) > 1 and math.isfinite(mean) else None,
            margin,
        )

    def against(self, base: "Bar", metric: str) -> str:
        """A key of `LOOKS`. Of a metric that is neither good nor bad, more is drawn like better, and the
        legend says above.
        """
        if abs(self.mean - base.mean) <= self.margin:
            return "noise"
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
    band = [run for cell in (sources.resolve(spec.noise) if spec.noise else ()) for run in cell.runs]
    runs = sorted({*band, *(run for bar in [base, *bars] for run in bar.runs)})
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
            limits = METRICS[metric].low, METRICS[metric].high
            draw_bar(axes, place, bar.mean, bar.sd, LOOKS[bar.against(base, metric)], limits)
            if bar.margin:
                left, right = (
                    min(max(base.mean + side * bar.margin, limits[0]), limits[1]) for side in (-1, 1)
                )
                axes.barh(place, right - left, left=left, height=1, zorder=2.5, gid="noise", **BAND)
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
    known_of = [*cells, *(sources.resolve(spec.noise) if spec.noise else [])]
    typical, scale = _noise(spec, known_of, sources, found)
    for cell in changed:
        ((axis, value),) = cell.settings.items()
        if axis in groups:
            margin = scale * typical.margin(len(cell.runs), len(base.runs))
            named = written(text(value))
            groups[axis].append(Bar.of(axis, named, cell, sources.values(spec, cell), margin))
    return found, groups


def _noise(spec: Bars, cells: Sequence[Cell], sources: Sources, base: Bar) -> tuple[Typical, float]:
    """The scatter over seeds that is typical of these cells, each counted once, and the unit that it is in:
    it is judged as in statements.
    """
    metric = METRICS[spec.metric]
    scale = abs(base.mean) if metric.relative else 1.0
    each = {cell.runs: cell for cell in cells}.values()
    samples = [variance_of(sources.values(spec, cell), scale) for cell in each]
    return Typical.of(samples, metric.deviation), scale


def _base(axes: Axes, base: Bar) -> None:
    """The line of the base run, and its number above the axes."""
    axes.axvline(base.mean, zorder=3, **LINE)
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
    margins = sorted({bar.margin for bar in bars})
    said = {
        "better": "better than the base run",
        "worse": "worse than the base run",
        "noise": "no further from the base run than seeds scatter"
        if margins[-1]
        else "equal to the base run",
    }
    if METRICS[spec.metric].better is None:
        said |= {"better": "above the base run", "worse": "below the base run"}
    handles: list[Artist] = [
        Patch(label=said[look], linewidth=0.8, **LOOKS[look]) for look in LOOKS if look in looks
    ]
    handles.append(Line2D([], [], label="base run", **LINE))
    if margins[-1]:
        handles.append(Patch(label=f"scatter of seeds, 95 %: {_margin(margins)}", **BAND))
    if any(bar.sd is not None for bar in [base, *bars]):
        handles.append(deviation_entry(len(bar.runs) for bar in [base, *bars]))
    return handles


def _margin(margins: Sequence[float]) -> str:
    """The margins, which ascend, in words: `±0.012`, or `±0.007 to ±0.012`."""
    ends = dict.fromkeys(f"±{grid.shown(margin)}" for margin in (margins[0], margins[-1]))
    return " to ".join(ends)


def _values(bar: Bar) -> dict[str, Any]:
    mean = bar.mean if math.isfinite(bar.mean) else None
    return {
        "axis": bar.axis,
        "value": bar.value,
        "runs": list(bar.runs),
        "mean": mean,
        "sd": bar.sd,
        "n": len(bar.runs),
        "margin": bar.margin if bar.axis else None,
    }


def _describe(spec: Bars, base: Bar, groups: Mapping[str, Sequence[Bar]]) -> str:
    """The bars in words, each with its distance from the base run."""
    spread = "" if base.sd is None else f" ± {grid.shown(base.sd)}"
    sentences = [
        f"Bar chart of {grid.label(spec)}; base run {grid.shown(base.mean)}{spread} (n = {len(base.runs)})."
    ]
    bars = [bar for group in groups.values() for bar in group]
    margins = sorted({bar.margin for bar in bars})
    if margins[-1]:
        inside = sum(bar.against(base, spec.metric) == "noise" for bar in bars)
        sentences.append(
            f"Seeds alone move a value by {_margin(margins)} (95 %): {inside} of {len(bars)} bars are within."
        )
    for axis, group in groups.items():
        said = [
            f"{bar.value} {grid.shown(bar.mean)} ({_difference(bar, base)})"
            if math.isfinite(bar.mean)
            else f"{bar.value} not finite"
            for bar in group
        ]
        sentences.append(f"{grid.title(grid.name(axis))}: {', '.join(said)}.")
    return " ".join(sentences)
