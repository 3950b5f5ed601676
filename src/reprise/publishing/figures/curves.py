"""Learning curves: a metric per epoch, the mean of a cell's runs with a band of ± one standard deviation.

Colour and marker tell the series, the line's style and the filling of the markers tell the split, so grey
print keeps both apart. Options: `metric` (of a list, each has a panel with a y axis of its own), `splits`,
`series` (`runs`, `label`, `color`, `after`), `panels` (small multiples with common axes), `reference` lines,
`selected` marks, limits and the y label. A series `after` another cell goes on where the curve of that cell
ends, because its runs start from weights of that cell's; a vertical line marks the seam.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from reprise.errors import RepriseError, nearest
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.figures.references import (
    ReferenceLine,
    draw_references,
    print_references,
    read_references,
)
from reprise.publishing.partial import matched
from reprise.publishing.sources import Sources
from reprise.publishing.style import INK, LEADING, PALETTE, SMALL, color, text_width, wrap
from reprise.reports.figures import Colors, Curves, Series
from reprise.reports.report import Cell, text

METRIC_TITLES = {"loss": "Cross-entropy loss", "accuracy": "Accuracy", "gap": "Accuracy gap"}
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}
DASHES = {"train": (0, (3.2, 1.6)), "validation": (0, (6, 1.5, 1, 1.5)), "test": "solid"}
MARKERS = "osD^vPX*"
STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 8.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
GREY = "#555555"
AXES_HEIGHT = {"column": 1.95, "wide": 2.7}
"""Inches."""
PANEL_HEIGHT = {"column": 1.5, "wide": 2.1}
"""Inches, with the title."""
PANELS_IN_A_ROW = {"column": 1, "wide": 3}
FURNITURE = 0.5
"""Inches for the epochs' ticks, their label and the space around."""
MARGIN = 0.015
"""Room beyond the values that a metric can have, as a share of the axis: a line at a limit is drawn whole."""
LEAST_SPAN = 0.1
"""Accuracies that differ by less do not fill the axis."""
FAINT = 0.4
"""Strength of a line from where its first seed has stopped."""
FEW = 12
"""Up to so many epochs, each has a marker."""
SIDES = 0.8
"""Inches that a panel needs left and right of its axes, at least nearly: texts over the axes are broken to
what is left.
"""
LINE = SMALL * LEADING
"""Points from one line of text to the next."""


@dataclass(frozen=True)
class Seam:
    """Where a curve passes from runs whose weights were kept to the runs that start from them.

    epoch: the last of the earlier runs; the later ones count on from it.
    text: both cells, the earlier first.
    runs: the earlier runs, in the order of the later ones.
    """

    epoch: int
    text: str
    runs: tuple[str, ...]


Values = Mapping[str, Mapping[int, float]]
"""Run → epoch, in order → a metric on a split."""


@dataclass(frozen=True)
class Means:
    """At each of `epochs`, ascending: `mean` and `sd` (n − 1 in the denominator) over the `n` runs that
    reached it, all (N,).

    Both are not a number where a run's value is not finite, and sd for one run.
    """

    epochs: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    n: np.ndarray

    @classmethod
    def of(cls, values: Values) -> "Means":
        """The means over the runs of `values`."""
        epochs = sorted({epoch for curve in values.values() for epoch in curve})
        wide = [[curve[epoch] for _, curve in sorted(values.items()) if epoch in curve] for epoch in epochs]
        means, deviations = [], []
        for row in wide:
            sound = all(map(math.isfinite, row))
            means.append(float(np.mean(row)) if sound else math.nan)
            deviations.append(float(np.std(row, ddof=1)) if sound and len(row) > 1 else math.nan)
        return cls(
            np.array(epochs), np.array(means), np.array(deviations), np.array([len(row) for row in wide])
        )

    def __len__(self) -> int:
        return len(self.epochs)

    def part(self, start: int, stop: int) -> "Means":
        """From place `start` to before `stop`."""
        return Means(*(values[start:stop] for values in (self.epochs, self.mean, self.sd, self.n)))


@dataclass(frozen=True)
class Curve:
    """One line: the means over its runs. `selected`: see `_selected`."""

    panel: str
    metric: str
    label: str
    split: str
    runs: tuple[str, ...]
    look: dict[str, Any]
    means: Means
    selected: list[tuple[int, float]]
    seam: Seam | None

    @property
    def name(self) -> str:
        """Series and split."""
        return ", ".join(part for part in (self.label, SPLIT_WORDS[self.split]) if part)


def draw(spec: Curves, sources: Sources, page: Page) -> Drawn:
    """Draw the curves of `spec.series` and put the legend under the axes."""
    metrics = _metrics(spec)
    several = len(metrics) > 1
    splits = _splits(spec, metrics)
    lines = _curves(spec, metrics, splits, sources)
    panels = {line.panel: line.metric for line in lines}
    references = read_references(spec)
    if sources.whole:  # with a panel that is left out go its lines
        references = [one for one in references if one.panel in (None, *panels, *panels.values())]
    _check_panels(references, panels)
    width = spec.width
    columns = min(len(panels), PANELS_IN_A_ROW[width])
    rows = -(-len(panels) // columns)
    grid = page.figure.subplots(rows, columns, sharex=True, sharey=not several, squeeze=False)
    longest = max(len(line.means) for line in lines)
    step = 1 if longest <= FEW else longest // 6
    height = AXES_HEIGHT[width] if len(panels) == 1 else PANEL_HEIGHT[width]
    seams = [_seams(lines, panel, page.width / columns - SIDES) for panel in panels]
    own = [
        [reference for reference in references if reference.panel in (None, *panel)]
        for panel in panels.items()
    ]
    for axes, panel, marks, numbers in zip(grid.flat, panels, seams, own, strict=False):
        inside = [line for line in lines if line.panel == panel]
        for index, line in enumerate(inside):
            _plot(axes, line, slice(index * step // len(inside), None, step))
        for mark in marks:
            axes.axvline(mark.place, color=mark.color, linewidth=0.8, zorder=1.2)
        draw_references(axes, numbers)
        axes.set_title("" if several else panel, pad=mpl.rcParams["axes.titlepad"] + _height(marks))
    used = list(grid.flat[: len(panels)])
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    epoch_axis(
        used[0], max(int(line.means.epochs[-1]) for line in lines), spec.x_limits, page.width / columns
    )
    for metric, sharing in zip(metrics, [[axes] for axes in used] if several else [used], strict=True):
        value_axis(sharing, metric, spec.y_limits)
    for index, (axes, metric) in enumerate(zip(used, panels.values(), strict=True)):
        if index + columns >= len(used):
            axes.set_xlabel("Epoch")
            axes.tick_params(labelbottom=True)
        if several or index % columns == 0:
            axes.set_ylabel(wrap(spec.y_label or _y_label(metric, splits), height, 8), linespacing=LEADING)

    page.figure.set_layout_engine("constrained")
    body = rows * (height + max(map(_height, seams)) / 72) + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend(_legend(lines, splits, spec.panels, references)))
    if any(seams):
        page.lay_out()
        for axes, marks in zip(used, seams, strict=True):
            _name_seams(axes, marks)
    if references:
        page.lay_out()
    for index, (axes, numbers) in enumerate(zip(used, own, strict=True)):
        ends_row = index % columns == columns - 1 or axes is used[-1]
        print_references(axes, [reference for reference in numbers if ends_row or reference.panel])
    runs = {run for line in lines for run in (*line.runs, *(line.seam.runs if line.seam else ()))}
    return Drawn(_describe(lines), sorted(runs), [_values(line) for line in lines])


# ---- numbers ----


def _metrics(spec: Curves) -> list[str]:
    """The metrics drawn; several have a panel and a y axis each, so what concerns the common ones cannot be
    asked for.
    """
    metrics: list[str] = [spec.metric] if isinstance(spec.metric, str) else list(spec.metric)
    for key in ("panels", "y_limits", "y_label"):
        if len(metrics) > 1 and getattr(spec, key) is not None:
            raise RepriseError(
                f"{key}: each of {' and '.join(metrics)} has a panel and a y axis of its own; leave {key} out"
            )
    return metrics


def _splits(spec: Curves, metrics: Sequence[str]) -> list[str]:
    """The splits drawn, training first. A gap has the split that is taken from training, and is drawn for
    that alone.
    """
    for metric in metrics:
        valid = _drawable(metric)
        found = [split for split in spec.splits if split in valid]
        wrong = [split for split in spec.splits if split not in (valid if len(metrics) == 1 else SPLIT_WORDS)]
        if wrong or not found:
            split = next(iter(wrong or spec.splits))
            raise RepriseError(f"split {split!r} cannot be drawn for {metric}{nearest(split, valid)}")
    return [split for split in SPLIT_WORDS if split in spec.splits]


def _drawable(metric: str) -> list[str]:
    return [split for split in SPLIT_WORDS if metric != "gap" or split != "train"]


def _check_panels(references: Sequence[ReferenceLine], panels: Mapping[str, str]) -> None:
    """Whether there are the panels (title → metric) that reference lines belong to. With several metrics each
    line says its own.
    """
    valid = list(dict.fromkeys([*filter(None, panels), *panels.values()]))
    for reference in references:
        if reference.panel is None and len(set(panels.values())) > 1:
            raise RepriseError(
                f"reference {reference.printed}: say which metric it is of, with panel: "
                f"{' or panel: '.join(valid)}"
            )
        if reference.panel is not None and reference.panel not in valid:
            raise RepriseError(
                f"reference {reference.printed}: no panel "
                f"{reference.panel!r}{nearest(reference.panel, valid)}"
            )


def _curves(spec: Curves, metrics: Sequence[str], splits: Sequence[str], sources: Sources) -> list[Curve]:
    """A curve per cell, metric and split. A selector with several cells is several series, told apart by
    settings in which they differ.
    """
    panels = spec.panels
    series = []
    for entry in spec.series:
        cells, named = sources.resolve(entry.runs), sources.named(entry.runs)
        varied = [
            axis
            for axis in _axes(named)
            if axis != panels and len({text(cell.settings.get(axis)) for cell in named}) > 1
        ]
        for cell in cells:
            settings = [_setting(cell, axis) for axis in varied if axis in cell.settings]
            series.append(
                (entry, _panel(panels, cell), ", ".join(filter(None, [entry.label, *settings])), cell)
            )
    labels = list(dict.fromkeys(label for _, _, label, _ in series))
    if len(labels) > len(PALETTE):
        raise RepriseError(
            f"{len(labels)} series are more than the {len(PALETTE)} that can be told apart; draw fewer of "
            "them"
        )
    names = [(panel, label) for _, panel, label, _ in series]
    if len(set(names)) < len(names):
        panel, label = next(name for name in names if names.count(name) > 1)
        raise RepriseError(
            f"two series are called {label!r}{f' in panel {panel}' if panel else ''}; give each a label of "
            "its own"
        )
    lines = []
    for entry, panel, label, whole in series:
        cell, before = _with_earlier(entry, whole, sources)
        for metric, (place, split) in itertools.product(metrics, enumerate(splits)):
            if split not in _drawable(metric):
                continue
            last = split == splits[-1]
            values = _metric_values(sources, cell, metric, split)
            selected = _selected(sources, cell, values) if last and spec.selected else []
            seam = None
            if before:
                earlier = _metric_values(sources, before, metric, split)
                seam = Seam(
                    max(max(curve) for curve in earlier.values()),
                    f"{_told(before, cell)} → {_told(cell, before)}",
                    tuple(before.runs),
                )
                kept = _selected(sources, before, earlier, all_runs=spec.selected) if last else []
                selected = [*kept, *((epoch + seam.epoch, value) for epoch, value in selected)]
                later = {
                    run: {epoch + seam.epoch: value for epoch, value in curve.items()}
                    for run, curve in values.items()
                }
                values = {**earlier, **later}
            means = Means.of(values)
            alone = len(labels) == 1 and panels != "split"
            look = len(splits) - 1 - place if alone else labels.index(label)
            own = _color(entry, split) or PALETTE[look]
            solid = last or panels == "split"
            lines.append(
                Curve(
                    panel=metric if len(metrics) > 1 else SPLIT_WORDS[split] if panels == "split" else panel,
                    metric=metric,
                    label=label,
                    split=split,
                    runs=tuple(cell.runs),
                    look={
                        "color": own,
                        "linestyle": "solid" if solid else DASHES[split],
                        "marker": "" if alone and len(means) > FEW else MARKERS[look],
                        "markerfacecolor": own if solid else "white",
                    },
                    means=means,
                    selected=selected,
                    seam=seam,
                )
            )
    return sorted(lines, key=lambda line: splits.index(line.split)) if panels == "split" else lines


def _with_earlier(entry: Series, cell: Cell, sources: Sources) -> tuple[Cell, Cell | None]:
    """A cell of a series and the one that the series is drawn `after`: one, with a run for each of `cell`'s,
    matched by place.
    """
    if entry.after is None:
        return cell, None
    cells = sources.named(entry.after)
    if len(cells) > 1:
        raise RepriseError(f"after: {entry.after} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    whole = next(each for each in sources.named(entry.runs) if each.name == cell.name)
    if len(cells[0].runs) != len(whole.runs):
        counts = f"{cells[0].name} and {cell.name} have {len(cells[0].runs)} and {len(whole.runs)} runs"
        raise RepriseError(f"after: {counts}; they are matched by place, so give both the same seeds")
    at_hand = {run for each in sources.resolve(entry.after) for run in each.runs}
    return matched(whole, cells[0], at_hand | {*cell.runs})


def _told(cell: Cell, other: Cell) -> str:
    """What tells a cell from another: its experiment or, in the same one, the settings in which they
    differ.
    """
    if cell.experiment != other.experiment:
        return cell.experiment.replace("_", " ")
    differing = [
        _setting(cell, axis) for axis, value in cell.settings.items() if value != other.settings.get(axis)
    ]
    return ", ".join(differing) or cell.name


def _axes(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(axis for cell in cells for axis in cell.settings))


def _setting(cell: Cell, axis: str) -> str:
    return f"{axis.replace('_', ' ')} {cell.settings[axis]}"


def _panel(panels: str | None, cell: Cell) -> str:
    """Title of the panel that a cell's curves stand in (with `split`, the curve's split decides)."""
    if panels is None or panels == "split":
        return ""
    if panels == "reading" and cell.reading:
        return cell.reading.replace("_", " ")
    if panels not in cell.settings:
        valid = ["split", *(["reading"] if cell.reading else []), *cell.settings]
        raise RepriseError(f"panels: {cell.name} has no {panels}{nearest(panels, valid)}")
    return _setting(cell, panels)


def _color(entry: Series, split: str) -> str | None:
    """What the report file says of a series' colour, or of that of one of its splits."""
    own = getattr(entry.color, split) if isinstance(entry.color, Colors) else entry.color
    return None if own is None else color(own)


def _metric_values(sources: Sources, cell: Cell, metric: str, split: str) -> Values:
    """A metric on a split; the gap is that at the epochs that both splits have."""
    if metric != "gap":
        return sources.curves(cell, split, metric)
    train, other = (sources.curves(cell, part, "accuracy") for part in ("train", split))
    return {
        run: {epoch: train[run][epoch] - value for epoch, value in curve.items() if epoch in train[run]}
        for run, curve in other.items()
        if run in train
    }


def _selected(sources: Sources, cell: Cell, values: Values, all_runs: bool = True) -> list[tuple[int, float]]:
    """(epoch, value) of each run at the epoch whose weights it kept; without `all_runs`, of those that kept
    another than their last.
    """
    kept = {run: int(epoch) for run, epoch in sources.selected(cell).items() if epoch in values.get(run, ())}
    return [
        (epoch, values[run][epoch]) for run, epoch in kept.items() if all_runs or epoch < max(values[run])
    ]


def _values(line: Curve) -> dict[str, Any]:
    """The curve's numbers, JSON-ready."""
    means = line.means
    return {
        "panel": line.panel,
        "label": line.label,
        "split": line.split,
        "runs": list(line.runs),
        "epoch": means.epochs.tolist(),
        "mean": [None if math.isnan(value) else value for value in means.mean.tolist()],
        "sd": [None if math.isnan(value) else value for value in means.sd.tolist()],
        "n": means.n.tolist(),
        "selected": [[epoch, value] for epoch, value in line.selected],
        **({"seam": line.seam.epoch, "after": list(line.seam.runs)} if line.seam else {}),
    }


def _describe(lines: Sequence[Curve]) -> str:
    """The curves in words: runs, first, last and best value."""
    sentences = []
    for line in lines:
        best, word = (min, "lowest") if line.metric == "loss" else (max, "highest")
        means = zip(line.means.epochs.tolist(), line.means.mean.tolist(), strict=True)
        mean = {epoch: value for epoch, value in means if not math.isnan(value)}
        name = ", ".join(
            dict.fromkeys(part for part in (line.panel, line.label, SPLIT_WORDS[line.split]) if part)
        )
        if not mean:
            sentences.append(f"{name}: no finite value.")
            continue
        said = {"": min(mean), f"{word} ": best(mean, key=mean.__getitem__), "at the end ": max(mean)}
        values = ", ".join(f"{what}{mean[epoch]:.3f} at epoch {epoch}" for what, epoch in said.items())
        seam = f"; after epoch {line.seam.epoch}, {line.seam.text}" if line.seam else ""
        sentences.append(f"{name} (n = {len(line.runs)}): {values}{seam}.")
    panels = len({line.panel for line in lines})
    what = "Line plot" if panels == 1 else f"{panels} line plots"
    metrics = dict.fromkeys(line.metric for line in lines)
    shown = " and ".join(_y_label(metric, [lines[-1].split]) for metric in metrics)
    return f"{what} of {shown.lower()} per epoch. " + " ".join(sentences)


# ---- drawing ----


def _plot(axes: Axes, line: Curve, marked: slice) -> None:
    """Band, line and marks of a curve. `marked`: the epochs that have a marker, so that curves do not have
    theirs at the same ones.

    Where the first seed has stopped the mean is that of fewer, and the line goes on faint.
    """
    above = 3 if line.look["linestyle"] == "solid" else 2.5
    for means, whole in _stretches(line.means):
        shade, strength = (0.2, 1.0) if whole else (0.1, FAINT)
        epochs, mean, sd = means.epochs, means.mean, means.sd
        if len(means) > 1 and np.isfinite(sd).any():
            axes.fill_between(
                epochs,
                mean - sd,
                mean + sd,
                color=line.look["color"],
                alpha=shade,
                linewidth=0,
                zorder=above - 1,
                gid="band",
            )
        marks = {"markevery": marked} if whole else {"marker": ""}
        axes.plot(epochs, mean, zorder=above, alpha=strength, **{**line.look, **marks})
    for epoch, value in line.selected:
        axes.plot(epoch, value, color=line.look["color"], zorder=5, **STAR)


def _stretches(means: Means) -> list[tuple[Means, bool]]:
    """The means in stretches of epochs that all runs reached (True) and that only some did, which start and
    end at their neighbours.
    """
    whole = means.n == means.n.max()
    edges = [0, *(np.flatnonzero(whole[1:] != whole[:-1]) + 1), len(means)]
    return [
        (
            means.part(start, stop) if whole[start] else means.part(max(start - 1, 0), stop + 1),
            bool(whole[start]),
        )
        for start, stop in itertools.pairwise(edges)
    ]


def _y_label(metric: str, splits: Sequence[str]) -> str:
    splits = [split for split in splits if split in _drawable(metric)]
    if metric == "gap":
        return f"Training − {SPLIT_WORDS[splits[-1]]} accuracy" if len(splits) == 1 else METRIC_TITLES[metric]
    return (
        METRIC_TITLES[metric]
        if len(splits) > 1
        else f"{SPLIT_WORDS[splits[0]]} {METRIC_TITLES[metric].lower()}".capitalize()
    )


def epoch_axis(axes: Axes, last: int, limits: Sequence[float] | None, width: float) -> None:
    """Whole epochs, from 1."""
    low, high = limits or (1, last)
    space = 0.02 * (high - low) or 0.5
    axes.set_xlim(low - space, high + space)
    if high - low < FEW:
        ticks = np.arange(np.ceil(low), high + 1)
    else:
        locator = MaxNLocator(nbins=round(2 * width), integer=True, steps=[1, 2, 5, 10])
        found = locator.tick_values(low, high)
        ticks = np.array([1, *found] if low <= 1 else found)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if max(low, 1) <= tick <= high]))
    axes.xaxis.set_major_formatter("{x:.0f}")


def value_axis(panels: Sequence[Axes], metric: str, limits: Sequence[float] | None) -> None:
    """Limits of the values, common to all panels: the given ones, or what the curves need within what the
    metric can be.
    """
    axes = panels[0]
    low, high = axes.get_ylim()
    if metric == "gap" and low < 0 < high:
        for panel in panels:
            panel.axhline(0, color="#666666", linewidth=0.6, zorder=1)
    if metric != "loss" and high - low < LEAST_SPAN:
        low, high = (low + high - LEAST_SPAN) / 2, (low + high + LEAST_SPAN) / 2
    if metric == "accuracy":
        high = min(high, 1 + MARGIN)
    if metric != "gap":
        low = max(low, -MARGIN * high)
    axes.set_ylim(*(limits or (low, high)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _legend(
    lines: Sequence[Curve], splits: Sequence[str], panels: str | None, references: Sequence["ReferenceLine"]
) -> list[list[Artist]]:
    """Groups of handles: the series, the splits, and the rest (band, stars, reference lines)."""

    def handle(label: str, **look: Any) -> Artist:
        return Line2D([], [], label=label, **look)

    labels = list(dict.fromkeys(line.label for line in lines))
    looks = {(line.label, line.split): line.look for line in lines}
    series = [handle(label, **looks[label, splits[-1]]) for label in labels if label]
    if panels == "split":
        groups = [series]
    elif len(labels) == 1:
        first = {line.split: line for line in reversed(lines)}
        groups = [[handle(first[split].name, **first[split].look) for split in splits]]
    elif len(splits) == 1:
        groups = [series]
    else:
        faces = {split: GREY if split == splits[-1] else "white" for split in splits}
        styles = {split: looks[labels[0], split]["linestyle"] for split in splits}
        plain = [
            handle(
                SPLIT_WORDS[split],
                color=GREY,
                linestyle=styles[split],
                marker="o",
                markerfacecolor=faces[split],
            )
            for split in splits
        ]
        groups = [series, plain]
    marks: list[Artist] = []
    if any(np.isfinite(line.means.sd).any() for line in lines):
        counts = {len(line.runs) for line in lines}
        seeds = f" of {counts.pop()} seeds" if len(counts) == 1 else ""
        marks.append(Patch(color=GREY, alpha=0.3, linewidth=0, label=f"mean ± sd{seeds}"))
    if any(len(set(line.means.n.tolist())) > 1 for line in lines):
        marks.append(handle("some seeds stopped", color=GREY, alpha=FAINT))
    if any(line.selected for line in lines):
        marks.append(handle("selected epoch", color=GREY, **STAR))
    for label in dict.fromkeys(reference.label for reference in references):
        same = [reference for reference in references if reference.label == label]
        shade = same[0].color if len({reference.color for reference in same}) == 1 else INK
        marks.append(handle(label, color=shade, linestyle=same[0].dashes, linewidth=1))
    return [group for group in [*groups, marks] if group]


# ---- seams ----


@dataclass(frozen=True)
class Mark:
    """A seam as a vertical line at `place` (between two epochs), named by `lines` over the axes."""

    place: float
    lines: tuple[str, ...]
    color: str


def _seams(lines: Sequence[Curve], panel: str, room: float) -> list[Mark]:
    """The seams in a panel, each once, their texts broken to `room` inches. If the figure has several, each
    has its curve's colour.
    """
    several = len({(line.seam.epoch, line.seam.text) for line in lines if line.seam}) > 1
    found: dict[tuple[int, str], Mark] = {}
    for line in lines:
        if line.panel == panel and line.seam:
            words = tuple(wrap(line.seam.text, room, SMALL).split("\n"))
            shade = line.look["color"] if several else GREY
            found.setdefault((line.seam.epoch, line.seam.text), Mark(line.seam.epoch + 0.5, words, shade))
    return list(found.values())


def _height(marks: Sequence[Mark]) -> float:
    """Points that the names of the seams take over the axes."""
    return LINE * sum(len(mark.lines) for mark in marks)


def _name_seams(axes: Axes, marks: Sequence[Mark]) -> None:
    """The names of the seams over their lines, or as near as the width of the axes, which are laid out, lets
    them stand.
    """
    low, high = axes.get_xlim()
    width = axes.get_window_extent().width / axes.figure.dpi
    above = 2.0
    for mark in marks:
        at = width * (mark.place - low) / (high - low)
        if not 0 <= at <= width:
            continue
        half = max(text_width(words, SMALL) for words in mark.lines) / 2
        for words in reversed(mark.lines):
            axes.annotate(
                words,
                (mark.place, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(72 * (max(min(at, width - half), half) - at), above),
                textcoords="offset points",
                size=SMALL,
                color=INK if mark.color == GREY else mark.color,
                ha="center",
                va="bottom",
                annotation_clip=False,
            )
            above += LINE
