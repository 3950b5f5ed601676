"""What the pages draw themselves: strips of dots, stacked bars, the ladder of a search. Lengths are percents
of a width that the page decides, so that everything fits a phone; styles are in assets/site.css.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprise.publishing.numbers import bound_of, number
from reprise.publishing.style import LEAST_SPAN
from reprise.reports.settings import rung_epochs

MOST_ROWS = 16
"""Rows of a strip; more are counted."""
ROOM = 0.06
"""Empty part of a strip at each end."""


@dataclass(frozen=True)
class Dot:
    """One training: its place in percent, its run and its value as printed."""

    left: float
    run: str
    value: str


@dataclass(frozen=True)
class Row:
    label: str
    dots: Sequence[Dot]
    mean: float
    shown: str
    """The mean as printed, and over how many trainings."""


@dataclass(frozen=True)
class DotStrip:
    """Values of one kind on one axis. reported, low and high: places in percent, None where there is none."""

    rows: Sequence[Row]
    left_end: str
    right_end: str
    reported: float | None = None
    low: float | None = None
    high: float | None = None
    more: int = 0
    """Rows that are left out."""


def strips(entry: Mapping[str, Any]) -> list[DotStrip]:
    """The strips of a statement's record: one for each metric that it measures, since a loss and an epoch
    share no axis.
    """
    found = []
    kinds = dict.fromkeys(row["metric"] for row in entry["measures"])
    for kind in kinds:
        rows = [row for row in entry["measures"] if row["metric"] == kind]
        own = len(kinds) == 1 and entry["alone"]
        found.append(_strip(rows, entry if own else {}))
    return found


def _strip(rows: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> DotStrip:
    reported = float(bound_of(entry["reported"])[1]) if entry.get("reported") else None
    low, high = entry.get("low"), entry.get("high")
    values = [value for row in rows for value in row["values"].values()]
    ends = [*values, *(value for value in (reported, low, high) if value is not None)]
    least, most = min(ends), max(ends)
    width = most - least or abs(most) or 1.0
    start, span = least - ROOM * width, width * (1 + 2 * ROOM)

    def place(value: float) -> float:
        return round(100 * (value - start) / span, 2)

    def row_of(row: Mapping[str, Any]) -> Row:
        of = list(row["values"].values())
        mean = math.fsum(of) / len(of)
        trained = f" (mean of {len(of)})" if len(of) > 1 else ""
        return Row(
            row["label"],
            [Dot(place(value), run, number(value)) for run, value in row["values"].items()],
            place(mean),
            number(mean) + trained,
        )

    def placed(value: float | None) -> float | None:
        return None if value is None else place(value)

    return DotStrip(
        [row_of(row) for row in rows[:MOST_ROWS]],
        number(least),
        number(most),
        placed(reported),
        placed(low),
        placed(high),
        max(0, len(rows) - MOST_ROWS),
    )


# ---- curves ----


def curves(
    record: Mapping[str, Any], histories: Mapping[str, Any], colors: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Of a drawn figure of kind curves: its panels, each with series by label and split, their means by
    epoch, and where it is a loss or an accuracy the curve of each run; and the lines of what
    the report gives. colors: label → colour, as in the figure.
    """
    panels: dict[str, dict[str, Any]] = {}
    metric = record["spec"].get("metric")
    for row in record["values"]:
        column = metric if isinstance(metric, str) else row.get("metric")
        panel = panels.setdefault(row["panel"], _panel(row["panel"], column))
        runs = {}
        if column in ("loss", "accuracy"):
            for run in row["runs"]:
                if values := histories.get(run, {}).get(row["split"], {}).get(column):
                    runs[run] = values
        panel["series"].append(
            {
                "label": row["label"],
                "split": row["split"],
                "color": colors.get(row["label"]),
                "epoch": row["epoch"],
                "mean": row["mean"],
                "n": row["n"],
                "runs": runs,
            }
        )
    for line in record["spec"].get("reference", ()):
        value = float(line["value"]) / (100 if line.get("percent") else 1)
        called = line.get("label") or "report"
        for title, panel in panels.items():
            if line.get("panel") in (None, title, panel["metric"]):
                panel["lines"].append({"label": called, "value": value})
    return list(panels.values())


def _panel(title: str, metric: Any) -> dict[str, Any]:
    least = LEAST_SPAN.get(str(metric), 0.0)
    return {"title": title, "metric": metric, "least": least, "series": [], "lines": []}


def run_curves(history: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, Any]]:
    """Of one run: a panel for its loss and one for its accuracy."""
    return [
        _panel(column, column)
        | {
            "series": [
                {
                    "label": split,
                    "split": split,
                    "color": None,
                    "epoch": list(range(1, len(values[column]) + 1)),
                    "mean": list(values[column]),
                    "n": [1] * len(values[column]),
                    "runs": {},
                }
                for split, values in history.items()
            ],
        }
        for column in ("loss", "accuracy")
    ]


# ---- searches ----


@dataclass(frozen=True)
class TrialBar:
    """A trial of a search: epochs trained of those allowed in percent, and its best validation accuracy."""

    run: str
    epochs: int
    width: float
    accuracy: float | None
    stopped: str
    state: str
    """`finished`, `pruned` or `not run`."""


@dataclass(frozen=True)
class Ladder:
    """A search: its rungs as (epoch, place in percent, trials that reached it), its trials, the longest
    first, and how many epochs the rungs have saved of how many.
    """

    rungs: Sequence[tuple[int, float, int]]
    trials: Sequence[TrialBar]
    saved: int
    asked: int


def ladder(
    trials: Sequence[str],
    settings: Any,
    meta: Mapping[str, Mapping[str, Any]],
    histories: Mapping[str, Any],
) -> Ladder:
    """Of trials, named by their runs, with these settings of the first."""
    most = settings.training.epochs
    found = []
    for run in trials:
        known = meta.get(run)
        epochs = known.get("epochs", 0) if known else 0
        validation = histories.get(run, {}).get("validation", {}).get("accuracy", [])
        stopped = known.get("stopped", "") if known else ""
        state = "not run" if not known else "pruned" if stopped.startswith("pruned") else "finished"
        accuracy = max(filter(math.isfinite, validation), default=None)
        found.append(TrialBar(run, epochs, round(100 * epochs / most, 2), accuracy, stopped, state))
    found.sort(key=lambda trial: (-trial.epochs, -(trial.accuracy or 0.0)))
    done = [trial for trial in found if trial.state != "not run"]
    rungs = [
        (epoch, round(100 * epoch / most, 2), sum(trial.epochs >= epoch for trial in done))
        for epoch in rung_epochs(settings.study, most)
    ]
    return Ladder(rungs, found, most * len(done) - sum(trial.epochs for trial in done), most * len(done))
