"""Learning curves: a metric per epoch, the mean of a cell's runs with a band of ± one standard deviation.

Colour and marker tell the series, the line's style and the filling of the markers tell the split, so grey print keeps both apart.
Options: `metric`, `splits`, `series` (`runs`, `label`, `color`), `panels` (small multiples with common axes), `reference` lines,
`selected` marks, limits and the y label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from reprise.errors import RepriseError
from reprise.publishing.figures.page import Drawn, Page, Results
from reprise.publishing.style import INK, LEADING, PALETTE, SMALL, color, wrap
from reprise.spec.check import nearest
from reprise.spec.report import Cell, text

METRICS = {"loss": "Cross-entropy loss", "accuracy": "Accuracy", "gap": "Accuracy gap"}
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
DASHES = {"train": (0, (3.2, 1.6)), "validation": (0, (6, 1.5, 1, 1.5)), "test": "solid"}
MARKERS = "osD^vPX*"
DOTS = ((0, (1, 1.4)), (0, (1, 3)), (0, (4, 2, 1, 2, 1, 2)))
"""Line styles of reference lines, one per label."""
STAR: dict[str, Any] = {"marker": "*", "markersize": 8.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "linestyle": "none"}
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


@dataclass(frozen=True)
class Curve:
    """One line. `table`: epoch → mean, sd (of runs, n − 1 in the denominator; absent for one run), n. `selected`: see `_selected`."""

    panel: str
    label: str
    split: str
    runs: tuple[str, ...]
    look: dict[str, Any]
    table: pd.DataFrame
    selected: list[tuple[int, float]]

    @property
    def name(self) -> str:
        """Series and split."""
        return ", ".join(part for part in (self.label, SPLITS[self.split]) if part)


def draw(spec: Mapping[str, Any], results: Results, page: Page) -> Drawn:
    """Draw the curves of `spec["series"]` and put the legend under the axes."""
    metric, splits = spec["metric"], _splits(spec)
    lines = _curves(spec, metric, splits, results)
    references = _references(spec)
    panels = list(dict.fromkeys(line.panel for line in lines))
    width = spec.get("width", "column")
    columns = min(len(panels), PANELS_IN_A_ROW[width])
    rows = -(-len(panels) // columns)
    grid = page.figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    longest = max(len(line.table) for line in lines)
    step = 1 if longest <= FEW else longest // 6
    height = AXES_HEIGHT[width] if len(panels) == 1 else PANEL_HEIGHT[width]
    for axes, panel in zip(grid.flat, panels, strict=False):
        inside = [line for line in lines if line.panel == panel]
        for index, line in enumerate(inside):
            _plot(axes, line, slice(index * step // len(inside), None, step))
        for reference in references:
            axes.axhline(reference.value, color=reference.color, linestyle=reference.dashes, linewidth=1, zorder=1.5)
        axes.set_title(panel)
    used = list(grid.flat[: len(panels)])
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    _epoch_axis(used[0], max(int(line.table.index.max()) for line in lines), spec.get("x_limits"), page.width / columns)
    _value_axis(used, metric, spec.get("y_limits"))
    for index, axes in enumerate(used):
        if index + columns >= len(used):
            axes.set_xlabel("Epoch")
            axes.tick_params(labelbottom=True)
        if index % columns == 0:
            axes.set_ylabel(wrap(spec.get("y_label", _y_label(spec, splits)), height, 8), linespacing=LEADING)

    page.figure.set_layout_engine("constrained")
    body = rows * height + FURNITURE
    page.set_height(body)
    page.set_height(body + page.legend(_legend(lines, splits, spec.get("panels"), references)))
    for axes in [*used[columns - 1 :: columns], *used[-1:]][:rows]:
        _print_references(axes, references)
    return Drawn(_describe(spec, lines), sorted({run for line in lines for run in line.runs}), [_values(line) for line in lines])


# ---- numbers ----


def _splits(spec: Mapping[str, Any]) -> list[str]:
    """The splits drawn, training first; a gap has the split that is taken from training."""
    metric = spec["metric"]
    if metric not in METRICS:
        raise RepriseError(f"metric {metric!r} is not known{nearest(metric, METRICS)}")
    valid = [split for split in SPLITS if metric != "gap" or split != "train"]
    for split in spec["splits"]:
        if split not in valid:
            raise RepriseError(f"split {split!r} cannot be drawn for {metric}{nearest(split, valid)}")
    return [split for split in valid if split in spec["splits"]]


def _curves(spec: Mapping[str, Any], metric: str, splits: Sequence[str], results: Results) -> list[Curve]:
    """One curve per cell and split. A selector with several cells is several series, told apart by the settings in which they differ."""
    panels = spec.get("panels")
    series = []
    for entry in spec["series"]:
        cells = results.resolve(entry["runs"])
        varied = [axis for axis in _axes(cells) if axis != panels and len({text(cell.settings.get(axis)) for cell in cells}) > 1]
        for cell in cells:
            settings = [_setting(cell, axis) for axis in varied if axis in cell.settings]
            series.append((entry, _panel(panels, cell), ", ".join(filter(None, [entry.get("label"), *settings])), cell))
    labels = list(dict.fromkeys(label for _, _, label, _ in series))
    if len(labels) > len(PALETTE):
        raise RepriseError(f"{len(labels)} series are more than the {len(PALETTE)} that can be told apart; draw fewer of them")
    names = [(panel, label) for _, panel, label, _ in series]
    if len(set(names)) < len(names):
        panel, label = next(name for name in names if names.count(name) > 1)
        raise RepriseError(f"two series are called {label!r}{f' in panel {panel}' if panel else ''}; give each a label of its own")
    lines = []
    for entry, panel, label, cell in series:
        rows = results.rows("history", cell)
        for place, split in enumerate(splits):
            last = split == splits[-1]
            values = _metric_values(rows, metric, split, cell.name)
            table = _mean_and_sd(values)
            alone = len(labels) == 1 and panels != "split"
            look = len(splits) - 1 - place if alone else labels.index(label)
            own = _color(entry, split) or PALETTE[look]
            solid = last or panels == "split"
            lines.append(
                Curve(
                    panel=SPLITS[split] if panels == "split" else panel,
                    label=label,
                    split=split,
                    runs=tuple(cell.runs),
                    look={
                        "color": own,
                        "linestyle": "solid" if solid else DASHES[split],
                        "marker": "" if alone and len(table) > FEW else MARKERS[look],
                        "markerfacecolor": own if solid else "white",
                    },
                    table=table,
                    selected=_selected(results, cell, values) if last and spec.get("selected") else [],
                )
            )
    return sorted(lines, key=lambda line: splits.index(line.split)) if panels == "split" else lines


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


def _color(entry: Mapping[str, Any], split: str) -> str | None:
    """What the report file says of a series' colour, or of that of one of its splits."""
    own = entry.get("color")
    own = own.get(split) if isinstance(own, Mapping) else own
    return None if own is None else color(own)


def _metric_values(rows: pd.DataFrame, metric: str, split: str, cell: str) -> pd.DataFrame:
    """(run, epoch, value) of a metric on a split."""

    def column(name: str, part: str) -> pd.DataFrame:
        found = rows[rows["split"] == part]
        if found.empty:
            raise RepriseError(f"{cell} has no history of split {part!r}{nearest(part, sorted(set(rows['split'])))}")
        return found[["run", "epoch", name]].rename(columns={name: "value"})

    if metric != "gap":
        return column(metric, split)
    both = column("accuracy", "train").merge(column("accuracy", split), on=["run", "epoch"], suffixes=("_train", ""))
    return both.assign(value=both["value_train"] - both["value"])[["run", "epoch", "value"]]


def _mean_and_sd(values: pd.DataFrame) -> pd.DataFrame:
    """epoch → mean, sd, n over the runs that reached the epoch; a value that is not finite leaves no mean and no sd."""
    wide = values.pivot(index="epoch", columns="run", values="value").sort_index()
    n = values.groupby("epoch").size()
    wide = wide.where(np.isfinite(wide))
    sound = wide.count(axis=1) == n
    return pd.DataFrame({"mean": wide.mean(axis=1).where(sound), "sd": wide.std(axis=1, ddof=1).where(sound), "n": n})


def _selected(results: Results, cell: Cell, values: pd.DataFrame) -> list[tuple[int, float]]:
    """(epoch, value) of each run at the epoch whose weights it kept."""
    final = results.rows("final", cell)
    kept = final.loc[final["metric"] == "selected_epoch", ["run", "value"]].rename(columns={"value": "epoch"})
    found = kept.merge(values, on=["run", "epoch"])
    return [(int(epoch), float(value)) for epoch, value in zip(found["epoch"], found["value"], strict=True)]


def _values(line: Curve) -> dict[str, Any]:
    """The curve's numbers, JSON-ready."""
    numbers = line.table[["mean", "sd"]].astype(object).where(line.table[["mean", "sd"]].notna(), None)
    return {
        "panel": line.panel,
        "label": line.label,
        "split": line.split,
        "runs": list(line.runs),
        "epoch": [int(epoch) for epoch in line.table.index],
        "mean": list(numbers["mean"]),
        "sd": list(numbers["sd"]),
        "n": [int(n) for n in line.table["n"]],
        "selected": [[epoch, value] for epoch, value in line.selected],
    }


def _describe(spec: Mapping[str, Any], lines: Sequence[Curve]) -> str:
    """The curves in words: runs, first, last and best value."""
    metric = spec["metric"]
    best, word = ("idxmin", "lowest") if metric == "loss" else ("idxmax", "highest")
    sentences = []
    for line in lines:
        mean = line.table["mean"].dropna()
        name = ", ".join(dict.fromkeys(part for part in (line.panel, line.label, SPLITS[line.split]) if part))
        if mean.empty:
            sentences.append(f"{name}: no finite value.")
            continue
        peak = getattr(mean, best)()
        said = {"": mean.index[0], f"{word} ": peak, "at the end ": mean.index[-1]}
        values = ", ".join(f"{what}{mean[epoch]:.3f} at epoch {epoch}" for what, epoch in said.items())
        sentences.append(f"{name} (n = {len(line.runs)}): {values}.")
    panels = len({line.panel for line in lines})
    what = "Line plot" if panels == 1 else f"{panels} line plots"
    return f"{what} of {_y_label(spec, [lines[-1].split]).lower()} per epoch. " + " ".join(sentences)


# ---- drawing ----


def _plot(axes: Axes, line: Curve, marked: slice) -> None:
    """Band, line and marks of a curve. `marked`: the epochs that have a marker, so that curves do not have theirs at the same ones.

    Where the first seed has stopped the mean is that of fewer, and the line goes on faint.
    """
    above = 3 if line.look["linestyle"] == "solid" else 2.5
    whole = line.table[line.table["n"] == line.table["n"].max()]
    rest = line.table.loc[whole.index[-1] :]
    for table, shade, strength in ((whole, 0.2, 1.0), (rest, 0.1, FAINT)):
        epochs, mean, sd = table.index.to_numpy(), table["mean"].to_numpy(), table["sd"].to_numpy()
        if len(table) > 1 and np.isfinite(sd).any():
            axes.fill_between(
                epochs, mean - sd, mean + sd, color=line.look["color"], alpha=shade, linewidth=0, zorder=above - 1, gid="band"
            )
        marks = {"markevery": marked} if strength == 1 else {"marker": ""}
        if table is whole or len(table) > 1:
            axes.plot(epochs, mean, zorder=above, alpha=strength, **{**line.look, **marks})
    for epoch, value in line.selected:
        axes.plot(epoch, value, color=line.look["color"], zorder=5, **STAR)


def _y_label(spec: Mapping[str, Any], splits: Sequence[str]) -> str:
    metric = spec["metric"]
    if metric == "gap":
        return f"Training − {SPLITS[splits[-1]]} accuracy" if len(splits) == 1 else METRICS[metric]
    return METRICS[metric] if len(splits) > 1 else f"{SPLITS[splits[0]]} {METRICS[metric].lower()}".capitalize()


def _epoch_axis(axes: Axes, last: int, limits: Sequence[float] | None, width: float) -> None:
    """Whole epochs, from 1."""
    low, high = limits or (1, last)
    space = 0.02 * (high - low) or 0.5
    axes.set_xlim(low - space, high + space)
    if high - low < FEW:
        ticks = np.arange(np.ceil(low), high + 1)
    else:
        ticks = MaxNLocator(nbins=round(2 * width), integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = np.array([1, *ticks]) if low <= 1 else ticks
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if max(low, 1) <= tick <= high]))
    axes.xaxis.set_major_formatter("{x:.0f}")


def _value_axis(panels: Sequence[Axes], metric: str, limits: Sequence[float] | None) -> None:
    """Limits of the values, common to all panels: the given ones, or what the curves need within what the metric can be."""
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


def _legend(lines: Sequence[Curve], splits: Sequence[str], panels: str | None, references: Sequence["Reference"]) -> list[list[Artist]]:
    """Groups of handles: the series, the splits, and the rest (band, stars, reference lines)."""

    def handle(label: str, **look: Any) -> Artist:
        return Line2D([], [], label=label, **look)

    labels = list(dict.fromkeys(line.label for line in lines))
    looks = {(line.label, line.split): line.look for line in lines}
    series = [handle(label, **looks[label, splits[-1]]) for label in labels if label]
    if panels == "split":
        groups = [series]
    elif len(labels) == 1:
        groups = [[handle(line.name, **line.look) for line in lines[: len(splits)]]]
    elif len(splits) == 1:
        groups = [series]
    else:
        faces = {split: GREY if split == splits[-1] else "white" for split in splits}
        styles = {split: looks[labels[0], split]["linestyle"] for split in splits}
        plain = [handle(SPLITS[split], color=GREY, linestyle=styles[split], marker="o", markerfacecolor=faces[split]) for split in splits]
        groups = [series, plain]
    marks: list[Artist] = []
    if any(line.table["sd"].notna().any() for line in lines):
        counts = {len(line.runs) for line in lines}
        seeds = f" of {counts.pop()} seeds" if len(counts) == 1 else ""
        marks.append(Patch(color=GREY, alpha=0.3, linewidth=0, label=f"mean ± sd{seeds}"))
    if any(line.table["n"].nunique() > 1 for line in lines):
        marks.append(handle("some seeds stopped", color=GREY, alpha=FAINT))
    if any(line.selected for line in lines):
        marks.append(handle("selected epoch", color=GREY, **STAR))
    for label in dict.fromkeys(reference.label for reference in references):
        same = [reference for reference in references if reference.label == label]
        shade = same[0].color if len({reference.color for reference in same}) == 1 else INK
        marks.append(handle(label, color=shade, linestyle=same[0].dashes, linewidth=1))
    return [group for group in [*groups, marks] if group]


# ---- reference lines ----


@dataclass(frozen=True)
class Reference:
    """A number of the report as a horizontal line; `printed` stands beside the axes."""

    value: float
    printed: str
    label: str
    color: str
    dashes: Any


def _references(spec: Mapping[str, Any]) -> list[Reference]:
    entries = spec.get("reference", [])
    labels = list(dict.fromkeys(entry.get("label", "report") for entry in entries))
    if len(labels) > len(DOTS):
        raise RepriseError(
            f"{len(labels)} labels of reference lines are more than the {len(DOTS)} that can be told apart; draw fewer of them"
        )
    found = []
    for entry in entries:
        label = entry.get("label", "report")
        printed = entry["value"] if isinstance(entry["value"], str) else f"{entry['value']:g}"
        own = color(entry["color"]) if "color" in entry else INK
        found.append(Reference(float(entry["value"]), printed, label, own, DOTS[labels.index(label)]))
    return found


def _print_references(axes: Axes, references: Sequence[Reference]) -> None:
    """The numbers right of the axes, at the height of their lines or as near as there is room."""
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    shown = sorted((reference for reference in references if low <= reference.value <= high), key=lambda reference: reference.value)
    to_points = 72 / axes.figure.dpi
    at = [axes.transData.transform((0, reference.value))[1] * to_points for reference in shown]
    for reference, height, place in zip(shown, at, _spread(at, SMALL * 1.15), strict=True):
        axes.annotate(
            reference.printed,
            (1, reference.value),
            xycoords=axes.get_yaxis_transform(),
            xytext=(3, place - height),
            textcoords="offset points",
            size=SMALL,
            color=reference.color,
            va="center",
            annotation_clip=False,
        )


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending `places`, moved as little as needed to stand `gap` apart: neighbours too near share the room around their mean."""
    groups: list[list[float]] = []

    def span(group: Sequence[float]) -> tuple[float, float]:
        middle, half = sum(group) / len(group), gap * (len(group) - 1) / 2
        return middle - half, middle + half

    for place in places:
        group = [place]
        while groups and span(groups[-1])[1] + gap > span(group)[0]:
            group = groups.pop() + group
        groups.append(group)
    return [span(group)[0] + gap * index for group in groups for index in range(len(group))]
