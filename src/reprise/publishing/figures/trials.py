"""Trials of a search: the best ones coloured, the others grey, the validation curve solid and the training
curve dashed, and a table of all trials, best first.

A search that stops trials early (ASHA) leaves most of them short: a curve of validation ends in a dot, a
trial of one epoch is a dot alone, and thin lines mark the rungs, the epochs after which trials are judged.
Options: `runs`, `metric` (`accuracy` or `loss`), `reference` lines, `y_limits`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reprise.errors import RepriseError
from reprise.publishing.figures import curves, references
from reprise.publishing.figures.grid import shown
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import CONTEXT, LEADING, MARGIN, PALETTE, SMALL, text_width
from reprise.reports.figures import Trials
from reprise.reports.report import Cell, text

AXES_HEIGHT = {"column": 2.2, "wide": 3.2}
"""Inches."""
FURNITURE = 0.5
"""Inches for the epochs' ticks, their label and the space around."""
FEW = 3
"""So many of the best trials have a colour, thick lines and a name where they end."""
BADGE, NEAR = 10.5, 16
"""Points between names one above the other, and between line ends whose names could touch."""
THICK, THIN, TRAINING = 2.0, 0.8, 0.5
"""Points that the lines of the best and of the others are wide, and the share of it that those of training
are.
"""
DASHES = (0, curves.DASHES["train"])
ROUND: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 3.4,
    "markeredgecolor": "white",
    "markeredgewidth": 0.3,
}
GREY = "#555555"
RUNG: dict[str, Any] = {"color": "#888888", "linewidth": 0.7, "linestyle": (0, (1, 2))}

HEADINGS = {"validation": ("trial", "val.", "train", "epochs"), "test": ("trial", "test", "train", "epochs")}
"""Columns of the table, by the split that validates."""
SIZE = {"column": 6.0, "wide": SMALL}
"""Points of the table's text."""
SWATCH = 0.22
"""Inches of line before a trial in the table."""
GAPS = 0.06, 0.16
"""Inches between the columns of the table, and between its blocks."""


@dataclass(frozen=True)
class Trial:
    """A trial. `validation`, `training`: epoch, in order → the metric, NaN where it is not finite. `best`: of
    both, over all epochs.
    """

    cell: Cell
    split: str
    validation: Mapping[int, float]
    training: Mapping[int, float]
    best: tuple[float, float]

    @property
    def name(self) -> str:
        return text(self.cell.settings["trial"])

    @property
    def epochs(self) -> int:
        return len(self.validation)

    @property
    def end(self) -> tuple[int, float] | None:
        """Where the line of validation ends: the last epoch with a finite value, and the value. None where
        there is none, or a lone dot.
        """
        found = finite(self.validation)
        return max(found.items()) if len(found) > 1 else None


@dataclass(frozen=True)
class Look:
    """How a trial is drawn; `weight` is that of its text."""

    color: str
    linewidth: float
    weight: str
    zorder: float


def draw(spec: Trials, sources: Sources, page: Page) -> Drawn:
    """Draw the curves of all trials and, below the axes, the table."""
    metric, width = spec.metric, spec.width
    trials = _trials(sources, spec.runs, metric)
    looks = _looks(trials)
    last = max(trial.epochs for trial in trials)
    rungs = _rungs(trials, last)

    page.figure.set_layout_engine("constrained")
    axes = page.figure.subplots()
    for epoch in rungs:
        axes.axvline(epoch, zorder=1, **RUNG)
    for trial, look in zip(trials, looks, strict=True):
        _plot(axes, trial, look)
    lines = references.read_references(spec, {})
    references.draw_references(axes, lines)
    curves.epoch_axis(axes, last, None, page.width)
    curves.value_axis([axes], metric, spec.y_limits)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(curves.METRIC_TITLES[metric])

    legend = [
        Line2D([], [], color=GREY, linewidth=1.6, label=curves.SPLIT_WORDS[trials[0].split]),
        Line2D([], [], color=GREY, linewidth=0.9, linestyle=DASHES, label="training"),
        Line2D([], [], color=GREY, label="last epoch", **ROUND),
    ]
    if any(len(finite(trial.training)) == 1 for trial in trials):
        hollow = {"markerfacecolor": "white", "markeredgecolor": GREY}
        legend.append(Line2D([], [], label="training of one epoch", **(ROUND | hollow)))
    if rungs:
        legend.append(Line2D([], [], label=f"rungs: epochs {', '.join(map(str, rungs))}", **RUNG))
    for label in dict.fromkeys(line.label for line in lines):
        line = next(line for line in lines if line.label == label)
        legend.append(Line2D([], [], label=label, color=line.color, linestyle=line.dashes, linewidth=1))
    table = BestValues(trials, looks, page.width, SIZE[width])
    body = AXES_HEIGHT[width] + FURNITURE + table.height
    page.set_height(body)
    below = page.legend([legend])
    page.set_height(body + below, foot=table.height)
    table.draw(page, below + 2 * MARGIN + table.height)
    page.lay_out()
    _name_best(axes, trials[:FEW], looks, last, lines)
    return Drawn(
        _describe(metric, trials, rungs, lines),
        sorted(trial.cell.runs[0] for trial in trials),
        [_values(*place) for place in enumerate(trials, 1)],
    )


# ---- numbers ----


def _trials(sources: Sources, selector: str, metric: str) -> list[Trial]:
    """The trials, the best first; those without a finite validation value last."""
    sign = 1 if metric == "loss" else -1
    trials = [_trial(sources, cell, metric) for cell in sources.resolve(selector)]
    if all(np.isnan(trial.best[0]) for trial in trials):
        raise RepriseError(f"runs: no trial of {selector} has a finite {metric}; there is nothing to draw")
    return sorted(trials, key=lambda trial: (np.isnan(trial.best[0]), sign * trial.best[0]))


def _trial(sources: Sources, cell: Cell, metric: str) -> Trial:
    if "trial" not in cell.settings:
        raise RepriseError(f"runs: {cell.name} is not a trial; name the trials of a search")
    if len(cell.runs) > 1:
        raise RepriseError(
            f"runs: {cell.name} has {len(cell.runs)} runs; a trial is one curve, so give the search one seed"
        )
    (splits,) = sources.splits(cell).values()
    split = next((name for name in ("validation", "test") if name in splits), None)
    if split is None or "train" not in splits:
        raise RepriseError(
            f"{cell.name}: its history has {' and '.join(splits)} alone, and trials need training and "
            "validation"
        )
    parts = [sources.curves(cell, part, metric)[cell.runs[0]] for part in (split, "train")]
    validation, training = (
        {epoch: value if math.isfinite(value) else math.nan for epoch, value in part.items()}
        for part in parts
    )
    best = min if metric == "loss" else max
    return Trial(
        cell,
        split,
        validation,
        training,
        (
            best(finite(validation).values(), default=math.nan),
            best(finite(training).values(), default=math.nan),
        ),
    )


def finite(curve: Mapping[int, float]) -> dict[int, float]:
    """The epochs whose value is finite."""
    return {epoch: value for epoch, value in curve.items() if math.isfinite(value)}


def _rungs(trials: Sequence[Trial], last: int) -> list[int]:
    """Epochs up to `last` after which a trial is judged; the end of a whole trial is none of them."""
    settings = trials[0].cell.members[0].settings
    if not settings.study:
        return []
    first, factor = settings.study.min_resource, settings.study.reduction_factor
    epochs = (first * factor**rung for rung in itertools.count())
    return list(itertools.takewhile(lambda epoch: epoch <= last and epoch < settings.training.epochs, epochs))


def _values(rank: int, trial: Trial) -> dict[str, Any]:
    """The trial's numbers, JSON-ready."""

    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "rank": rank,
        "trial": trial.cell.settings["trial"],
        "run": trial.cell.runs[0],
        "best_validation": plain(trial.best[0]),
        "best_training": plain(trial.best[1]),
        "epoch": list(trial.validation),
        "validation": [plain(value) for value in trial.validation.values()],
        "training": [plain(value) for value in trial.training.values()],
    }


def _describe(
    metric: str,
    trials: Sequence[Trial],
    rungs: Sequence[int],
    lines: Sequence[references.ReferenceLine],
) -> str:
    lengths = [trial.epochs for trial in trials]
    name = curves.METRIC_TITLES[metric].lower()
    sentences = [
        f"Line plot of {curves.SPLIT_WORDS[trials[0].split]} (solid) and training (dashed) {name} per epoch "
        f"of {len(trials)} trials, "
        f"which ran {min(lengths)} to {max(lengths)} epochs, {sum(lengths)} in all."
    ]
    if len(trials) > FEW:
        sentences.append(f"The best {FEW} have a colour, the others are grey.")
    if lines:
        said = ", ".join(f"{line.label} {line.printed}" for line in lines)
        sentences.append(f"Horizontal lines: {said}.")
    if rungs:
        sentences.append(f"Trials are judged after {', '.join(map(str, rungs))} epochs.")
    listed = []
    for trial in trials:
        epochs = f"{trial.epochs} epoch{'s' if trial.epochs > 1 else ''}"
        listed.append(
            f"trial {trial.name}: {_number(trial.best[0])}, training {_number(trial.best[1])}, {epochs}"
        )
    sentences.append(
        f"Best {curves.SPLIT_WORDS[trials[0].split]} and training {name} of each, the best trial first: "
        f"{'; '.join(listed)}."
    )
    return " ".join(sentences)


def _number(value: float) -> str:
    return shown(value) if np.isfinite(value) else "–"


# ---- drawing ----


def _looks(trials: Sequence[Trial]) -> list[Look]:
    """How the trials are drawn: the best in colours, and above the others, which are grey."""
    best = [Look(PALETTE[rank], THICK, "bold", 3 - rank / len(trials)) for rank in range(FEW)]
    others = [Look(CONTEXT, THIN, "normal", 3 - rank / len(trials)) for rank in range(FEW, len(trials))]
    return [*best, *others][: len(trials)]


def _plot(axes: Axes, trial: Trial, look: Look) -> None:
    """Both curves, and the dot where validation ends; a lone value is a dot, hollow where it is of
    training.
    """
    for curve, place, how in (
        (trial.training, -1, {"linestyle": DASHES, "linewidth": TRAINING * look.linewidth}),
        (trial.validation, 0, {"linewidth": look.linewidth}),
    ):
        axes.plot(list(curve), list(curve.values()), color=look.color, zorder=look.zorder + place, **how)
        found = finite(curve)
        if len(found) == 1:
            face = {"markerfacecolor": "white", "markeredgecolor": look.color} if place else {}
            ((epoch, value),) = found.items()
            axes.plot(epoch, value, color=look.color, zorder=look.zorder + place, **(ROUND | face))
    if trial.end:
        axes.plot(*trial.end, color=look.color, zorder=look.zorder, **ROUND)


@dataclass(frozen=True)
class LineEnd:
    """What is written where a line ends, at `end` (epoch, value), `across` and `up` in points."""

    across: float
    up: float
    end: tuple[float, float]
    text: str
    color: str
    weight: str = "bold"


def _name_best(
    axes: Axes,
    trials: Sequence[Trial],
    looks: Sequence[Look],
    last: int,
    lines: Sequence[references.ReferenceLine],
) -> None:
    """Where the lines of trials end their names, right of the axes, and so the numbers of reference lines; or
    the number of a trial alone on its line, where others go on.

    Those that would touch are moved apart. A trial that is a lone dot is named by the table.
    """

    def name(end: tuple[float, float], text: str, color: str, weight: str = "bold") -> LineEnd:
        across, up = axes.transData.transform(end) * 72 / axes.figure.dpi
        return LineEnd(across, up, end, text, color, weight)

    low, high = axes.get_ylim()
    named = [
        name(trial.end, f"trial {trial.name}" if trial.end[0] == last else trial.name, look.color)
        for trial, look in zip(trials, looks, strict=False)
        if trial.end
    ]
    named += [
        name((last, line.value), line.printed, line.color, "normal")
        for line in lines
        if low <= line.value <= high
    ]
    named.sort(key=lambda entry: entry.across)
    groups: list[list[LineEnd]] = []
    for entry in named:
        if groups and entry.across - groups[-1][-1].across < NEAR:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    for group in groups:
        group.sort(key=lambda entry: entry.up)
        places = references.spread([entry.up for entry in group], BADGE)
        for entry, place in zip(group, places, strict=True):
            how: dict[str, Any] = {
                "weight": entry.weight,
                "color": entry.color,
                "va": "center",
                "annotation_clip": False,
                "zorder": 5,
            }
            if entry.end[0] == last:
                how |= {"xytext": (5, place - entry.up), "size": SMALL}
            else:
                box = {
                    "boxstyle": "round,pad=0.18",
                    "facecolor": "white",
                    "edgecolor": entry.color,
                    "linewidth": 0.8,
                }
                how |= {"xytext": (0, place - entry.up), "size": 6, "ha": "center", "bbox": box}
            axes.annotate(entry.text, xy=entry.end, textcoords="offset points", **how)


class BestValues:
    """All trials with their best values, in as few rows as `width` inches allow; `height` in inches."""

    def __init__(self, trials: Sequence[Trial], looks: Sequence[Look], width: float, size: float) -> None:
        self.size, self.line = size, size * LEADING / 72
        self.rows = [
            ((trial.name, *map(_number, trial.best), str(trial.epochs)), look)
            for trial, look in zip(trials, looks, strict=True)
        ]
        self.headings = HEADINGS[trials[0].split]
        columns = zip(self.headings, *(texts for texts, _ in self.rows), strict=True)
        widths = [
            max(text_width(written, size, "bold" if row else "normal") for row, written in enumerate(column))
            + GAPS[0]
            for column in columns
        ]
        self.rights = list(itertools.accumulate(widths, initial=SWATCH))[1:]
        block = self.rights[-1] + GAPS[1]
        blocks = max(int((width - 2 * MARGIN + GAPS[1]) / block), 1)
        self.deep = -(-len(trials) // blocks)
        blocks = -(-len(trials) // self.deep)
        self.lefts = [(width - blocks * block + GAPS[1]) / 2 + number * block for number in range(blocks)]
        self.height = (self.deep + 1) * self.line + MARGIN

    def draw(self, page: Page, top: float) -> None:
        """Draw it below `top`, in inches from the lower edge."""
        total = page.figure.get_size_inches()[1]

        def write(x: float, line: int, written: str, **look: Any) -> None:
            y = (top - (line + 0.5) * self.line) / total
            page.figure.text(
                x / page.width, y, written, size=self.size, ha="right", va="center_baseline", **look
            )

        for left in self.lefts:
            for right, heading in zip(self.rights, self.headings, strict=True):
                write(left + right, 0, heading, color=GREY)
        for index, (texts, look) in enumerate(self.rows):
            block, line = divmod(index, self.deep)
            left, y = self.lefts[block], top - (line + 1.5) * self.line
            ends = np.array((left, left + SWATCH)) / page.width
            page.figure.add_artist(
                Line2D(ends, (y / total, y / total), color=look.color, linewidth=look.linewidth)
            )
            for right, written in zip(self.rights, texts, strict=True):
                write(left + right, line + 1, written, weight=look.weight)
