"""Trials of a search: one colour per trial, the validation curve bold and the training curve faint, and a
table of all trials, best first.

A search that stops trials early (ASHA) leaves most of them short: a curve of validation ends in a dot, the
dots of trials of one epoch stand side by side, and thin lines mark the rungs, the epochs after which trials
are judged. Options: `runs`, `metric` (`accuracy` or `loss`), `y_limits`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from reprise.errors import RepriseError
from reprise.publishing.figures import curves, references
from reprise.publishing.figures.grid import shown
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import LEADING, MARGIN, SMALL, text_width
from reprise.reports.figures import Trials
from reprise.reports.report import Cell, text

AXES_HEIGHT = {"column": 2.2, "wide": 3.2}
"""Inches."""
FURNITURE = 0.5
"""Inches for the epochs' ticks, their label and the space around."""
FEW = 3
"""So many of the best trials have thick lines and a name where they end."""
BADGE, NEAR = 10.5, 16
"""Points between names one above the other, and between line ends whose names could touch."""
COLOURS, LIGHTEST = "plasma", 0.88
"""Map from the best trial to the worst, as far as it is seen on white."""
LEAST_ROOM = 1
"""A trial takes room in the map by its epochs and so many more, so that short ones are told apart too."""
FAINT = 0.35
ROUND: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 3.4,
    "markeredgecolor": "white",
    "markeredgewidth": 0.3,
}
PITCH, MOST = 3.6, 6
"""Points between dots that stand side by side, and how many do."""
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
    curves.epoch_axis(axes, last, None, page.width)
    curves.value_axis([axes], metric, spec.y_limits)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(curves.METRIC_TITLES[metric])

    legend = [
        Line2D([], [], color=GREY, linewidth=1.6, label=curves.SPLIT_WORDS[trials[0].split]),
        Line2D([], [], color=GREY, linewidth=0.9, alpha=FAINT, label="training"),
        Line2D([], [], color=GREY, label="last epoch", **ROUND),
    ]
    if rungs:
        legend.append(Line2D([], [], label=f"rungs: epochs {', '.join(map(str, rungs))}", **RUNG))
    table = BestValues(trials, looks, page.width, SIZE[width])
    body = AXES_HEIGHT[width] + FURNITURE + table.height
    page.set_height(body)
    below = page.legend([legend])
    page.set_height(body + below, foot=table.height)
    table.draw(page, below + 2 * MARGIN + table.height)
    page.lay_out()
    _side_by_side(axes, trials, looks)
    _name_best(axes, trials[:FEW], looks, last)
    return Drawn(
        _describe(metric, trials, rungs),
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


def _describe(metric: str, trials: Sequence[Trial], rungs: Sequence[int]) -> str:
    lengths = [trial.epochs for trial in trials]
    name = curves.METRIC_TITLES[metric].lower()
    sentences = [
        f"Line plot of {curves.SPLIT_WORDS[trials[0].split]} (bold) and training (faint) {name} per epoch of "
        f"{len(trials)} trials, "
        f"which ran {min(lengths)} to {max(lengths)} epochs, {sum(lengths)} in all."
    ]
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
    """How the trials are drawn: the better, the darker, and above the others. Longer curves stand further
    apart in colour.
    """
    room = np.array([trial.epochs + LEAST_ROOM for trial in trials])
    middles = np.cumsum(room) - room / 2
    shares = (middles - middles[0]) / (np.ptp(middles) or 1)
    return [
        Look(
            to_hex(mpl.colormaps[COLOURS](LIGHTEST * share)),
            *((2.2, "bold") if rank < FEW else (1.2, "normal")),
            3 - rank / len(trials),
        )
        for rank, share in enumerate(shares)
    ]


def _plot(axes: Axes, trial: Trial, look: Look) -> None:
    """Both curves, and the dot where validation ends."""
    axes.plot(
        list(trial.training),
        list(trial.training.values()),
        color=look.color,
        linewidth=0.9,
        alpha=FAINT,
        zorder=look.zorder - 1,
    )
    values = list(trial.validation.values())
    axes.plot(list(trial.validation), values, color=look.color, linewidth=look.linewidth, zorder=look.zorder)
    if trial.end:
        axes.plot(*trial.end, color=look.color, zorder=look.zorder, **ROUND)


def _side_by_side(axes: Axes, trials: Sequence[Trial], looks: Sequence[Look]) -> None:
    """Curves of a single value as dots; where values are near, beside each other, left of their epoch, as far
    as there is room.
    """
    figure = axes.figure
    taken: set[tuple[int, int, float]] = set()
    for kind, strength in (("validation", 1.0), ("training", FAINT)):
        for trial, look in zip(trials, looks, strict=True):
            found = finite(getattr(trial, kind))
            if len(found) != 1:
                continue
            (place,) = found.items()
            height = axes.transData.transform(place)[1] * 72 / figure.dpi
            free = (
                step
                for step in range(MOST)
                if all((place[0], step) != other[:2] or abs(height - other[2]) > PITCH for other in taken)
            )
            step = next(free, 0)
            taken.add((place[0], step, height))
            moved = axes.transData + ScaledTranslation(-step * PITCH / 72, 0, figure.dpi_scale_trans)
            axes.plot(*place, color=look.color, alpha=strength, zorder=look.zorder, transform=moved, **ROUND)
    steps = max((step for epoch, step, _ in taken if epoch == 1), default=0)
    low, high = axes.get_xlim()
    axes.set_xlim(
        low - steps * PITCH * (high - low) / (axes.get_window_extent().width * 72 / figure.dpi), high
    )


def _name_best(axes: Axes, trials: Sequence[Trial], looks: Sequence[Look], last: int) -> None:
    """Where the lines of trials end their names, right of the axes; or the number alone on the line, where
    others go on.

    Those that would touch are moved apart. A trial that is a lone dot is named by the table.
    """
    named = []
    for trial, look in zip(trials, looks, strict=False):
        if end := trial.end:
            across, up = axes.transData.transform(end) * 72 / axes.figure.dpi
            named.append((across, up, end, trial.name, look))
    named.sort(key=lambda entry: entry[0])
    groups: list[list[tuple[float, float, tuple[int, float], str, Look]]] = []
    for entry in named:
        if groups and entry[0] - groups[-1][-1][0] < NEAR:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    for group in groups:
        group.sort(key=lambda entry: entry[1])
        places = references.spread([up for _, up, *_ in group], BADGE)
        for (_, up, end, name, look), place in zip(group, places, strict=True):
            how: dict[str, Any] = {
                "weight": "bold",
                "color": look.color,
                "va": "center",
                "annotation_clip": False,
                "zorder": 5,
            }
            if end[0] == last:
                how |= {"text": f"trial {name}", "xytext": (5, place - up), "size": SMALL}
            else:
                box = {
                    "boxstyle": "round,pad=0.18",
                    "facecolor": "white",
                    "edgecolor": look.color,
                    "linewidth": 0.8,
                }
                how |= {"text": name, "xytext": (0, place - up), "size": 6, "ha": "center", "bbox": box}
            axes.annotate(xy=end, textcoords="offset points", **how)


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
