"""The trials of a search, the best first; the best and the report's winner are marked."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.publishing.measures import Measure, cell_values
from reprise.publishing.sources import Sources
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import DASH, NOT_RUN, about_seeds, mean_and_sd, sd
from reprise.publishing.words import on_axis, value_of, written
from reprise.reports.report import Cell, text
from reprise.reports.tables import TrialsTable


def build(spec: TrialsTable, sources: Sources) -> Sheet:
    """One row per cell that `runs` names."""
    measure, epoch = Measure.of(spec, spec.runs), Measure("best_epoch", spec.runs)
    cells = sources.named(spec.runs)
    at_hand = {cell.name: cell for cell in sources.resolve(spec.runs)}
    axes = list(dict.fromkeys(axis for cell in cells for axis in cell.settings))
    reported = spec.reported
    for axis in reported or {}:
        if axis not in axes:
            raise RepriseError(f"reported: the search has no axis {axis}{nearest(axis, axes)}")
    rows = []
    for cell in cells:
        part = at_hand.get(cell.name)
        values, epochs = (cell_values(one, sources.tables, part) if part else [] for one in (measure, epoch))
        same = reported is not None and all(
            text(cell.settings.get(axis)) == text(value) for axis, value in reported.items()
        )
        mean = fmean(values or [math.nan])
        rows.append(
            {
                **cell.settings,
                "cell": cell,
                "values": values,
                "mean": mean,
                "epochs": epochs,
                "report": same,
            }
        )
    sign = 1 if measure.better == "smaller" else -1

    def order(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
        """What is not a number comes last, after that what is not there."""
        lost = math.isnan(row["mean"])
        return not row["values"], lost, 0.0 if lost else sign * row["mean"]

    rows.sort(key=order)
    best = rows[0]["mean"] if len(at_hand) == len(cells) else math.nan  # of a part, none is the winner
    where = [name for name in (spec.at, spec.split) if name]
    headings = [
        written(name)
        for name in ("rank", *axes, " ".join([*where, measure.metric]), "selected epoch", "winner of")
    ]
    data, lines, narrow = [], [], []
    for row in rows:
        cell = row["cell"]
        winner = row["mean"] == best
        rank = 1 + sum(order(other) < order(row) for other in rows)
        settings = {axis: row.get(axis) for axis in axes}
        values, epochs = row["values"], row["epochs"]
        numbers = {
            measure.metric: row["mean"] if values else NOT_RUN,
            "sd": sd(values),
            "n": len(values),
            "selected_epoch": fmean(epochs) if epochs else None,
        }
        place = {"rank": rank if values else None}
        data.append({**place, **settings, **numbers, "winner": winner, "reported_winner": row["report"]})
        marks = " and ".join(
            name for name, holds in (("this study", winner), ("the report", row["report"])) if holds
        )
        first = str(rank) if values else DASH
        found = [
            mean_and_sd(values, measure.noise) if values else NOT_RUN,
            mean_and_sd(epochs, epoch.noise) if values else DASH,
            marks,
        ]
        varied = [axis for axis in cell.settings if axis != "trial"]
        trial = [str(cell.settings["trial"])] if "trial" in cell.settings else []
        lines.append(
            [first, *(value_of(cell, axis) if axis in cell.settings else "" for axis in axes), *found]
        )
        narrow.append([first, *trial, ", ".join(on_axis(cell, axis) for axis in varied), *found])
    titles = [heading[:1].upper() + heading[1:] for heading in headings]
    sheet = Rows(list(data[0]), [list(row.values()) for row in data])
    of_search = all("trial" in cell.settings for cell in cells)
    few = ["Rank", *(["Trial"] if of_search else []), "Settings", *titles[-3:]]
    notes = [*([_trials(cells)] if of_search else []), *about_seeds(len(row["values"]) for row in rows)]
    return Sheet(sheet, {"": Rows(titles, lines)}, notes, {"": Rows(few, narrow)})


def _trials(cells: Sequence[Cell]) -> str:
    """How many there are, and how long they are trained."""
    epochs = sorted({run.settings.training.epochs for cell in cells for run in cell.members})
    most = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{epochs[0]}"
    return f"{len(cells)} trials of at most {most} epochs."
