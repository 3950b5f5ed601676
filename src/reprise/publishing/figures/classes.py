"""Class accuracies: for each model the classes that it tells best and those that it tells worst, as
horizontal bars in one panel.

Where the last of the best, or the first of the worst, is as good as others that are not drawn, none of them
is picked: they are one row, `21 classes tied`. Options: `models` (each a panel; `label`, `runs`, `pick`),
`top` and `bottom` (5 each), `mark` (classes that the report names: set off, and drawn between the best and
the worst where they are neither).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reprise.errors import RepriseError, nearest
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
from reprise.publishing.measures import best_run
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, INK, LEADING, wrap
from reprise.reports.figures import ClassAccuracies, Compared
from reprise.reports.report import Cell

GAP = 0.8
"""Rows between the best, the marked and the worst."""
FURNITURE = 0.75
"""Inches for title, ticks and the space around."""
PANELS_IN_A_ROW = {"column": 1, "wide": 2}
NAMES = 0.35
"""Share of a panel's width that the names of classes take at most."""
FEW = 3
"""Up to so many classes that are tied are named."""
PLAIN: dict[str, Any] = {"facecolor": COLORS["sky"], "edgecolor": COLORS["blue"]}
MARKED: dict[str, Any] = {"facecolor": "#fbdcb0", "edgecolor": COLORS["vermillion"], "hatch": "/////"}


@dataclass(frozen=True)
class Score:
    """A class: its rank among all (equally good ones have the same), its accuracy (mean over the runs) and
    their standard deviation (n − 1 in the denominator).
    """

    rank: int
    name: str
    mean: float
    sd: float | None
    marked: bool

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def scores(self) -> tuple["Score", ...]:
        return (self,)


@dataclass(frozen=True)
class Tie:
    """Equally good classes in one row."""

    scores: tuple[Score, ...]
    sd: None = None

    @property
    def mean(self) -> float:
        return self.scores[0].mean

    @property
    def marked(self) -> bool:
        return any(score.marked for score in self.scores)

    @property
    def words(self) -> str:
        """How many; their names where they are few, else those of the marked ones."""
        few = len(self.scores) <= FEW
        names = ", ".join(score.words for score in self.scores if few or score.marked)
        count = f"{len(self.scores)} classes tied"
        return f"{count}: {names}" if names and few else f"{count}, {names} among them" if names else count


@dataclass(frozen=True)
class ModelScores:
    """A panel. `classes`: those with test images, the best first."""

    label: str
    runs: tuple[str, ...]
    classes: Sequence[Score]
    top: int
    bottom: int

    @property
    def parts(self) -> dict[str, Sequence[Score | Tie]]:
        """What is drawn: the best, marked ones between, and the worst; or all classes where there are no more
        than these.
        """
        if self.top + self.bottom >= len(self.classes):
            return {"all classes": self.classes}
        best, worst = self._cut(self.top), self._cut(-self.bottom)
        worst = [row for row in worst if row not in best]  # where nearly all are equally good
        shown = {score for row in (*best, *worst) for score in row.scores}
        between = [score for score in self.classes if score.marked and score not in shown]
        parts: dict[str, Sequence[Score | Tie]] = {
            f"best {self.top}": best,
            "between": between,
            f"worst {self.bottom}": worst,
        }
        return {name: rows for name, rows in parts.items() if rows}

    def _cut(self, number: int) -> list[Score | Tie]:
        """So many of the best or, if negative, of the worst; those at the cut in one row where others are
        equally good.
        """
        chosen, rest = self.classes[:number], self.classes[number:]
        if number < 0:
            chosen, rest = rest, chosen
        edge, beyond = (chosen[-1], rest[0]) if number > 0 else (chosen[0], rest[-1])
        if edge.mean != beyond.mean:
            return list(chosen)
        tie = Tie(tuple(score for score in self.classes if score.mean == edge.mean))
        others: list[Score | Tie] = [score for score in chosen if score.mean != edge.mean]
        return [*others, tie] if number > 0 else [tie, *others]

    @property
    def shown(self) -> list[Score | Tie]:
        return [row for rows in self.parts.values() for row in rows]

    @property
    def mean(self) -> float:
        """Over all classes."""
        return fmean(score.mean for score in self.classes)


def draw(spec: ClassAccuracies, sources: Sources, page: Page) -> Drawn:
    """Draw the models' panels, side by side as far as the page is wide."""
    models = [_model(entry, spec, sources) for entry in spec.models]
    known = list(dict.fromkeys(score.name for model in models for score in model.classes))
    for name in spec.mark:
        if name not in known:
            raise RepriseError(f"mark: no class {name}{nearest(name, known)}")
    columns = min(len(models), PANELS_IN_A_ROW[spec.width])
    rows = -(-len(models) // columns)
    page.figure.set_layout_engine("constrained")
    panels = page.figure.subplots(rows, columns, sharex=True, squeeze=False)
    room = page.width / columns
    titles = [wrap(model.label, 0.6 * room, 8) for model in models]
    heights = []
    for axes, model, title in zip(panels.flat, models, titles, strict=False):
        heights.append(_panel(axes, model, NAMES * room))
        axes.set_title(title)
        axes.set_xlabel("Test accuracy")
        axes.tick_params(labelbottom=True)
    for axes in panels.flat[: len(models)]:
        axes.set_ylim(max(heights) / ROW, 0)
    for axes in panels.flat[len(models) :]:
        axes.remove()
    panels.flat[0].set_xlim(0, min(panels.flat[0].get_xlim()[1], 1))
    lines = max(title.count("\n") for title in titles)
    body = rows * (max(heights) + FURNITURE + lines * 8 * LEADING / 72)
    page.set_height(body)
    page.set_height(body + page.legend([_legend(models)]))
    runs = sorted({run for model in models for run in model.runs})
    return Drawn(
        _describe(models),
        runs,
        [_values(model, score) for model in models for row in model.shown for score in row.scores],
    )


def _model(entry: Compared, spec: ClassAccuracies, sources: Sources) -> ModelScores:
    """The class accuracies of a model: of its cell's runs or, with `pick: best`, of the one run that is best
    on the validation images.
    """
    cells = sources.resolve(entry.runs)
    label = entry.label
    runs: tuple[str, ...]
    if entry.pick:
        found = best_run(cells, sources.tables)
        if found is None:
            raise RepriseError(
                f"{label}: not all of {entry.runs} is trained, so the best run is not known; train and "
                "evaluate it first"
            )
        cell, runs, label = found[0], (found[1],), f"{label} (best run)"
    elif len(cells) > 1:
        raise RepriseError(
            f"{label}: {entry.runs} names {len(cells)} cells; name one, e.g. {cells[0].name}, or add "
            "pick: best"
        )
    else:
        cell, runs = cells[0], tuple(cells[0].runs)
    accuracies = [_accuracies(sources, cell, run) for run in runs]
    # rounded, so that means which are equal but for the order of a sum are equal
    means = {name: round(fmean(each[name] for each in accuracies), 9) for name in accuracies[0]}
    deviations = {name: stdev(each[name] for each in accuracies) if len(runs) > 1 else None for name in means}
    ranked = sorted(means, key=lambda name: -means[name])  # stable: equals stay in the order of their labels
    marked = spec.mark
    scores = [
        Score(
            1 + sum(other > means[name] for other in means.values()),
            name,
            means[name],
            deviations[name],
            name in marked,
        )
        for name in ranked
    ]
    return ModelScores(label, runs, scores, spec.top, spec.bottom)


def _accuracies(sources: Sources, cell: Cell, run: str) -> dict[str, float]:
    """Name of a class → share of its test images that the run tells, in the order of the labels."""
    found, names = sources.tables.predicted(run), sources.tables.class_names.get(run)
    if found is None:
        raise RepriseError(f"run {run} of {cell.name} has no predictions; train and evaluate it first")
    if names is None:
        raise RepriseError(
            f"run {run} of {cell.name}: the names of its classes are not known; read the tables with them"
        )
    return {names[label]: accuracy for label, (accuracy, _) in found.classes.items()}


def _panel(axes: Axes, model: ModelScores, width: float) -> float:
    """Bars with names left and numbers right of the axes, rules between the parts. Returns the height of the
    rows in inches.
    """
    rows: list[RowName] = []
    for part, scores in model.parts.items():
        for number, score in enumerate(scores):
            ranked = isinstance(score, Score) and part == "between"
            name = f"{score.words} ({score.scores[0].rank})" if ranked else score.words
            rows.append(RowName(name, bold=score.marked, gap=0 if number or not rows else GAP))
    places, height = set_rows(axes, rows, width)
    for place, score in zip(places, model.shown, strict=True):
        draw_bar(axes, place, score.mean, score.sd, MARKED if score.marked else PLAIN, (0, 1))
        print_number(axes, place, f"{score.mean:.3f}")
    axes.axvline(model.mean, zorder=3, **LINE)
    for above, below, row in zip(places, places[1:], rows[1:], strict=False):
        if row.gap:
            axes.axhline((above + below) / 2, color=INK, linewidth=0.6, zorder=1)
    return height


def _legend(models: Sequence[ModelScores]) -> list[Artist]:
    handles: list[Artist] = []
    if any(score.marked for model in models for score in model.shown):
        ranks = " (rank where between)" if any("between" in model.parts for model in models) else ""
        handles.append(Patch(label=f"named by the report{ranks}", **MARKED))
    handles.append(Line2D([], [], label="mean of all classes", **LINE))
    if any(score.sd is not None for model in models for score in model.shown):
        handles.append(deviation_entry(len(model.runs) for model in models))
    return handles


def _values(model: ModelScores, score: Score) -> dict[str, Any]:
    numbers = {
        "class": score.name,
        "rank": score.rank,
        "mean": score.mean,
        "sd": score.sd,
        "marked": score.marked,
    }
    return {"model": model.label, **numbers, "runs": list(model.runs)}


def _describe(models: Sequence[ModelScores]) -> str:
    """The bars in words."""

    def said(score: Score | Tie, part: str) -> str:
        remarks = [
            *(["marked"] if score.marked else []),
            *([f"rank {score.rank}"] if part == "between" and isinstance(score, Score) else []),
        ]
        return f"{score.words} {score.mean:.3f}" + (f" ({', '.join(remarks)})" if remarks else "")

    sentences = ["Bar chart of class accuracies on the test images."]
    for model in models:
        parts = "; ".join(
            f"{part}: {', '.join(said(score, part) for score in scores)}"
            for part, scores in model.parts.items()
        )
        of = f"n = {len(model.runs)}, mean of all {len(model.classes)} classes {model.mean:.3f}"
        sentences.append(f"{model.label} ({of}): {parts}.")
    return " ".join(sentences)
