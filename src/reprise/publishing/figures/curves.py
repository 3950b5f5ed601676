"""Learning curves: a metric per epoch, the mean of a cell's runs with a band of ± one standard deviation.

Colour and marker tell the series; dashes tell the split where a panel has several, else the series, too. So
grey print keeps all apart, and of curves that coincide each is seen: through the dashes of the next, or
beside it, which is narrower. A configuration has the same colour in all figures of a report (`colors`). Where
curves lie at chance, so does a line.

Options: `metric` (of a list, each has a panel with a y axis of its own), `splits`, `split_labels`, `series`
(`runs`, `label`, `color`, `after`, `everywhere`), `panels` (small multiples with common axes), `reference`
lines, `selected` marks, limits and the y label. A series `after` another cell goes on where the curve of that
cell ends, because its runs start from weights of that cell's; a vertical line marks the seam.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from reprise.publishing.style import (
    CONTEXT,
    INK,
    LEADING,
    PALETTE,
    SMALL,
    color,
    text_width,
    widened,
    wrap,
)
from reprise.publishing.words import setting, written
from reprise.reports.figures import Colors, Curves, Series
from reprise.reports.report import Cell, text

METRIC_TITLES = {"loss": "Cross-entropy loss", "accuracy": "Accuracy", "gap": "Accuracy gap"}
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}
DASHES = {"train": (3.2, 1.6), "validation": (6, 1.5, 1, 1.5), "test": ()}
"""Dashes and gaps of a split that others follow; of the last one the lines are solid."""
SERIES_DASHES: tuple[tuple[float, ...], ...] = (
    *((), (5, 1.5), (1.5, 1.5), (7, 1.5, 1.5, 1.5), (2.5, 1), (9, 3)),
    *((7, 1.5, 1.5, 1.5, 1.5, 1.5), (4, 1.5, 1.5, 1.5)),
)
"""Of series that are alone with their split in a panel, in the order in which they are drawn."""
WIDEST, NARROWEST, THINNER = 2.0, 1.0, 0.75
"""Points that the lines of the first and the last series are wide, where dashes tell the split; and what
share of that those of the other splits are.
"""
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
CHANCE: dict[str, Any] = {"color": CONTEXT, "dashes": (0, (7, 2, 1.5, 2))}
NEAR_CHANCE = {"loss": 0.05, "accuracy": 0.2}
"""A curve that is no further from chance is at it: of a loss so much, of an accuracy such a share of it."""
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
    """One line: the means over its runs. `split_label`: what readers call the split. `selected`: see
    `_selected`. `context`: drawn for comparison.
    """

    panel: str
    metric: str
    label: str
    split: str
    split_label: str
    runs: tuple[str, ...]
    look: dict[str, Any]
    means: Means
    selected: list[tuple[int, float]]
    seam: Seam | None
    context: bool = False

    @property
    def marks(self) -> list[tuple[int, float]]:
        """Where the selected epochs are marked: on the line, each epoch once."""
        mean = dict(zip(self.means.epochs.tolist(), self.means.mean.tolist(), strict=True))
        epochs = dict.fromkeys(epoch for epoch, _ in self.selected)
        return [(epoch, mean[epoch]) for epoch in epochs if math.isfinite(mean[epoch])]

    @property
    def middle(self) -> float:
        """The median of its finite means; not a number where there is none."""
        sound = self.means.mean[np.isfinite(self.means.mean)]
        return float(np.median(sound)) if len(sound) else math.nan

    @property
    def name(self) -> str:
        """Series and split."""
        return ", ".join(part for part in (self.label, self.split_label) if part)


def draw(spec: Curves, sources: Sources, page: Page) -> Drawn:
    """Draw the curves of `spec.series` and put the legend under the axes."""
    metrics = _metrics(spec)
    several = len(metrics) > 1
    splits = _splits(spec, metrics)
    split_labels = _split_labels(spec, metrics)
    lines = _curves(spec, metrics, splits, split_labels, sources)
    panels = {line.panel: line.metric for line in lines}
    colors = {line.label: line.look["color"] for line in lines}
    references = read_references(spec, colors, sources.whole is not None)
    if sources.whole:  # with a panel that is left out go its lines
        references = [one for one in references if one.panel in (None, *panels, *panels.values())]
    _check_panels(references, panels)
    references += _chance(lines, sources)
    width = spec.width
    columns = min(_columns(spec, lines), PANELS_IN_A_ROW[width])
    rows = -(-len(panels) // columns)
    grid = page.figure.subplots(rows, columns, sharex=True, sharey=not several, squeeze=False)
    longest = max(len(line.means) for line in lines)
    step = 1 if longest <= FEW else longest // 6
    height = AXES_HEIGHT[width] if len(panels) == 1 else PANEL_HEIGHT[width]
    by_split = "split" in _panel_keys(spec)
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
            label = spec.y_label or _y_label(metric, splits, split_labels)
            axes.set_ylabel(wrap(label, height, 8), linespacing=LEADING)

    page.figure.set_layout_engine("constrained")
    body = rows * (height + max(map(_height, seams)) / 72) + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend(_legend(lines, splits, by_split, references)))
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
    return Drawn(_describe(lines, split_labels, references), sorted(runs), [_values(line) for line in lines])


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


def _split_labels(spec: Curves, metrics: Sequence[str]) -> dict[str, str]:
    """Split → what readers call it. Only one that the figure names can be called otherwise, and no two are
    called the same.
    """
    own = spec.split_labels.model_dump(exclude_none=True) if spec.split_labels else {}
    taken_from = ["train"] if "gap" in metrics else []
    named = [split for split in SPLIT_WORDS if split in [*spec.splits, *taken_from]]
    for split in own:
        if split not in named:
            raise RepriseError(f"split_labels: no line is of {split}; drawn: {', '.join(spec.splits)}")
    labels = SPLIT_WORDS | own
    shown = [labels[split] for split in named]
    for label in shown:
        if shown.count(label) > 1:
            raise RepriseError(f"split_labels: two splits are called {label!r}; give each a label of its own")
    return labels


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


@dataclass(frozen=True)
class PanelSeries:
    """What a series draws in a panel: a cell. `titles`: of the panel, one for each key of `panels`; None
    where the split is the title.
    """

    entry: Series
    label: str
    cell: Cell
    titles: tuple[str | None, ...]

    def title(self, split_label: str) -> str:
        return ", ".join(split_label if title is None else title for title in self.titles)


def _panel_keys(spec: Curves) -> list[str]:
    """The keys that make panels, rows first."""
    return [spec.panels] if isinstance(spec.panels, str) else list(spec.panels or [])


def parts(spec: Curves, sources: Sources) -> list[PanelSeries]:
    """What is drawn, in the order of `series`. A selector with several cells is several series, told apart by
    settings in which they differ.
    """
    keys = _panel_keys(spec)
    found = []
    for entry in spec.series:
        cells, named = sources.resolve(entry.runs), sources.named(entry.runs)
        varied = [
            axis
            for axis in _axes(named)
            if axis not in keys and len({text(cell.settings.get(axis)) for cell in named}) > 1
        ]
        for cell in cells:
            settings = [_setting(cell, axis) for axis in varied if axis in cell.settings]
            label = ", ".join(filter(None, [entry.label, *settings]))
            titles = () if entry.everywhere else tuple(_title(key, cell) for key in keys)
            found.append(PanelSeries(entry, label, cell, titles))
    names = [(part.titles, part.label) for part in found]
    if len(set(names)) < len(names):
        titles, label = next(name for name in names if names.count(name) > 1)
        panel = ", ".join(filter(None, titles))
        where = f" in panel {panel}" if panel else ""
        what = f"two series are called {label!r}{where}" if label else f"two series{where} have no label"
        raise RepriseError(f"series: {what}; give each a label of its own")
    panels = dict.fromkeys(part.titles for part in found if not part.entry.everywhere)
    if not panels:
        raise RepriseError("series: each is drawn everywhere, for comparison; name what it is compared with")
    own = {(part.titles, part.cell.runs) for part in found}
    return [
        replace(part, titles=titles)
        for part in found
        for titles in (panels if part.entry.everywhere else [part.titles])
        if not part.entry.everywhere or (titles, part.cell.runs) not in own
    ]


def _colors(labels: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Label → colour: those that the report's other figures have, where they are known for all series."""
    found = [known[label] for label in labels if label in known]
    return dict(zip(labels, found if len(set(found)) == len(labels) else PALETTE, strict=False))


def _curves(
    spec: Curves,
    metrics: Sequence[str],
    splits: Sequence[str],
    split_labels: Mapping[str, str],
    sources: Sources,
) -> list[Curve]:
    """A curve per cell, metric and split."""
    keys, series = _panel_keys(spec), parts(spec, sources)
    labels = list(dict.fromkeys(part.label for part in series if not part.entry.everywhere))
    if len(labels) > len(PALETTE):
        raise RepriseError(
            f"{len(labels)} series are more than the {len(PALETTE)} that can be told apart; draw fewer of "
            "them"
        )
    colors = _colors(labels, sources.colors)
    lines = []
    for part in series:
        entry, label = part.entry, part.label
        cell, before = _with_earlier(entry, part.cell, sources)
        for metric, split in itertools.product(metrics, splits):
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
            single = "split" in keys or len(splits) == 1
            plain = len(labels) == 1 and "split" not in keys and len(means) > FEW
            own = _color(entry, split) or (CONTEXT if entry.everywhere else colors[label])
            place = 0 if entry.everywhere else labels.index(label)
            lines.append(
                Curve(
                    panel=metric if len(metrics) > 1 else part.title(split_labels[split]),
                    metric=metric,
                    label=label,
                    split=split,
                    split_label=split_labels[split],
                    runs=tuple(cell.runs),
                    look={
                        "color": own,
                        **_line(split, place, len(labels), single, last),
                        "marker": "" if plain or entry.everywhere else MARKERS[place],
                        "markerfacecolor": own if single or last else "white",
                    },
                    means=means,
                    selected=selected,
                    seam=seam,
                    context=entry.everywhere,
                )
            )
    return sorted(lines, key=lambda line: splits.index(line.split)) if keys[:1] == ["split"] else lines


def _line(split: str, place: int, series: int, single: bool, last: bool) -> dict[str, Any]:
    """Style and width of the line of a split of the series at a place among so many. `single`: a panel has
    one split, so that dashes tell the series; else those of different series are shifted against each other,
    and later ones are narrower.
    """
    if single:
        return {"linestyle": (0, SERIES_DASHES[place]) if place else "solid"}
    width = WIDEST + (NARROWEST - WIDEST) * place / (series - 1) if series > 1 else 1.4
    width *= 1 if last else THINNER
    dashes = () if last else DASHES[split]
    shift = sum(dashes) * place / series
    return {"linestyle": (shift, dashes) if dashes else "solid", "linewidth": width}


def _columns(spec: Curves, lines: Sequence[Curve]) -> int:
    """Panels that a row may have: of two keys, as many as the second has values."""
    panels = dict.fromkeys(line.panel for line in lines)
    if len(_panel_keys(spec)) < 2:
        return len(panels)
    return len({panel.rpartition(", ")[2] for panel in panels})


def _chance(lines: Sequence[Curve], sources: Sources) -> list[ReferenceLine]:
    """The level of chance in each panel in which a curve lies at it most of the time: the logarithm of the
    number of classes, or its inverse.
    """
    found: dict[ReferenceLine, None] = {}
    for line in lines:
        classes = len(sources.tables.class_names.get(line.runs[0], ()))
        if line.metric not in NEAR_CHANCE or classes < 2:
            continue
        loss = line.metric == "loss"
        level = math.log(classes) if loss else 1 / classes
        if abs(line.middle - level) <= NEAR_CHANCE[line.metric] * (1 if loss else level):
            printed, formula = (f"{level:.3f}", f"ln {classes}") if loss else (f"{level:g}", f"1/{classes}")
            label, panel = f"chance ({formula})", line.panel or None
            found[ReferenceLine(level, printed, label, **CHANCE, panel=panel)] = None
    return list(found)


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
        return written(cell.experiment)
    differing = [
        _setting(cell, axis) for axis, value in cell.settings.items() if value != other.settings.get(axis)
    ]
    return ", ".join(differing) or cell.name


def _axes(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(axis for cell in cells for axis in cell.settings))


def _setting(cell: Cell, axis: str) -> str:
    return setting(axis, text(cell.settings[axis]))


def _title(key: str, cell: Cell) -> str | None:
    """What a key of `panels` gives to the title of the panel that a cell's curves stand in; None for their
    split.
    """
    if key == "split":
        return None
    if key == "reading" and cell.reading:
        return written(cell.reading)
    if key not in cell.settings:
        valid = ["split", *(["reading"] if cell.reading else []), *cell.settings]
        raise RepriseError(f"panels: {cell.name} has no {key}{nearest(key, valid)}")
    return _setting(cell, key)


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


def _describe(
    lines: Sequence[Curve], split_labels: Mapping[str, str], references: Sequence[ReferenceLine]
) -> str:
    """The curves in words: runs, first, last and best value; and the lines that they are compared with."""
    sentences = []
    for line in lines:
        best, word = (min, "lowest") if line.metric == "loss" else (max, "highest")
        means = zip(line.means.epochs.tolist(), line.means.mean.tolist(), strict=True)
        mean = {epoch: value for epoch, value in means if not math.isnan(value)}
        named = [*line.panel.split(", "), line.label, line.split_label]  # a panel's title may name the split
        name = ", ".join(dict.fromkeys(filter(None, named)))
        if not mean:
            sentences.append(f"{name}: no finite value.")
            continue
        said = {"": min(mean), f"{word} ": best(mean, key=mean.__getitem__), "at the end ": max(mean)}
        values = ", ".join(f"{what}{mean[epoch]:.3f} at epoch {epoch}" for what, epoch in said.items())
        seam = f"; after epoch {line.seam.epoch}, {line.seam.text}" if line.seam else ""
        sentences.append(f"{name} (n = {len(line.runs)}): {values}{seam}.")
    said_of = [
        f"{line.label} {line.printed}{f' ({line.panel})' if line.panel else ''}" for line in references
    ]
    sentences += [f"Horizontal lines: {', '.join(said_of)}."] if references else []
    panels = len({line.panel for line in lines})
    what = "Line plot" if panels == 1 else f"{panels} line plots"
    metrics = dict.fromkeys(line.metric for line in lines)
    shown = " and ".join(_measured(metric, lines[-1].split, split_labels) for metric in metrics)
    return f"{what} of {shown} per epoch. " + " ".join(sentences)


# ---- drawing ----


def _plot(axes: Axes, line: Curve, marked: slice) -> None:
    """Band, line and marks of a curve. `marked`: the epochs that have a marker, so that curves do not have
    theirs at the same ones.

    Where the first seed has stopped the mean is that of fewer, and the line goes on faint.
    """
    above = 2 if line.context else 3
    for means, whole in _stretches(line.means):
        shade, strength = (0.2, 1.0) if whole else (0.1, FAINT)
        epochs, mean, sd = means.epochs, means.mean, means.sd
        if len(means) > 1 and np.isfinite(sd).any() and not line.context:
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
    for epoch, value in line.marks:
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


def _y_label(metric: str, splits: Sequence[str], split_labels: Mapping[str, str]) -> str:
    splits = [split for split in splits if split in _drawable(metric)]
    if len(splits) > 1:
        return METRIC_TITLES[metric]
    words = _measured(metric, splits[0], split_labels)
    return words[:1].upper() + words[1:]


def _measured(metric: str, split: str, split_labels: Mapping[str, str]) -> str:
    """A metric on a split in words."""
    if metric == "gap":
        return f"{split_labels['train']} − {split_labels[split]} accuracy"
    return f"{split_labels[split]} {METRIC_TITLES[metric].lower()}"


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
    low, high = widened(low, high, metric)
    if metric == "accuracy":
        high = min(high, 1 + MARGIN)
    if metric != "gap":
        low = max(low, -MARGIN * high)
    axes.set_ylim(*(limits or (low, high)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _legend(
    lines: Sequence[Curve], splits: Sequence[str], by_split: bool, references: Sequence["ReferenceLine"]
) -> list[list[Artist]]:
    """Groups of handles: the series, the splits, and the rest (band, stars, reference lines)."""

    def handle(label: str, **look: Any) -> Artist:
        return Line2D([], [], label=label, **look)

    labels = list(dict.fromkeys(line.label for line in sorted(lines, key=lambda line: line.context)))
    looks = {(line.label, line.split): line.look for line in lines}
    series = [handle(label, **looks[label, splits[-1]]) for label in labels if label]
    if by_split:
        groups = [series]
    elif len(labels) == 1:
        first = {line.split: line for line in reversed(lines)}
        groups = [[handle(first[split].name, **first[split].look) for split in splits]]
    elif len(splits) == 1:
        groups = [series]
    else:
        faces = {split: GREY if split == splits[-1] else "white" for split in splits}
        styles = {split: looks[labels[0], split]["linestyle"] for split in splits}
        names = {line.split: line.split_label for line in lines}
        marker = "o" if any(line.look["marker"] for line in lines) else ""
        plain = [
            handle(
                names[split],
                color=GREY,
                linestyle=styles[split],
                marker=marker,
                markerfacecolor=faces[split],
            )
            for split in splits
        ]
        groups = [series, plain]
    marks: list[Artist] = []
    if any(np.isfinite(line.means.sd).any() for line in lines):
        counts = {len(line.runs) for line in lines if not line.context}
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
