"""What can be made while runs are missing: a figure or table narrowed to the runs at hand, and the words that
say so on its face.

Parts of a figure of which no run is at hand (series, panels, models, bars, levels) are left out, so that a
kind draws as if the report had no other runs. A table keeps its rows, and says `not run` in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from reprise.errors import RepriseError
from reprise.reports.figures import Bars, Compared, Curves, Figure, Levels, Series
from reprise.reports.layout import FINAL, HISTORY, PREDICTIONS, RUN
from reprise.reports.report import Cell, Report, text
from reprise.reports.tables import Table

RESULTS = (RUN, HISTORY, FINAL, PREDICTIONS)
"""Files of a run that is finished and evaluated."""
SEEDS = ("init", "order", "augmentation", "split")
"""Seeds of a run; the first that differs within a cell tells its runs apart."""


def runs_at_hand(folder: Path, runs: Iterable[str]) -> frozenset[str]:
    """Those of the runs that are finished and evaluated in `<folder>/<run>/`."""
    return frozenset(run for run in runs if all((folder / run / name).exists() for name in RESULTS))


def narrowed(report: Report, item: Figure | Table, at_hand: Collection[str]) -> tuple[Any, Report, list[str]]:
    """The figure or table as far as these runs allow, the report as if it had no others, and what the face
    says: the report's notes, and what the item rests on where something is missing.

    An item that needs runs is a `RepriseError`, *not run*, where none of them is at hand, or where those that
    are would show nothing.
    """
    runs = {run for cell in report.needed(item) for run in cell.runs}
    part = report.of_runs(at_hand)
    if runs <= set(at_hand):
        return item, part, part.notes(item)
    made = _pruned(item, report, part) if isinstance(item, Figure) else item
    finished = len(runs & set(at_hand))
    if not finished or made is None:
        what = "figure" if isinstance(item, Figure) else "table"
        count = f"none of its {len(runs)} runs is finished"
        if finished:
            are = "is" if finished == 1 else "are"
            count = f"{finished} of its {len(runs)} runs {are} finished, too few to show anything yet"
        raise RepriseError(f"{report.slug}, {what} {item.id}: not run: {count}; train and evaluate some")
    return made, part, [*part.notes(made), _said(item, report, at_hand)]


# ---- what is left of a figure ----


def _pruned(figure: Figure, report: Report, part: Report) -> Figure | None:
    """The figure without entries that no run is at hand for; None where nothing is left, or what is left has
    no meaning.
    """
    left: dict[str, Any] = {}
    for name in type(figure).model_fields:
        value = getattr(figure, name)
        if name == "runs" and not part.cells(value):
            return None
        if isinstance(value, list) and any(
            isinstance(entry, BaseModel) and hasattr(entry, "runs") for entry in value
        ):
            left[name] = [entry for entry in value if _is_there(entry, report, part)]
            if all(getattr(entry, "everywhere", False) for entry in left[name]):
                return None  # nothing, or only what others would be compared with
    if isinstance(figure, Bars | Levels):
        axes = _axes(figure, part)
        if not axes:
            return None
        left |= {"axes": axes} if figure.axes else {}
    return figure.model_copy(update=left)


def _is_there(entry: Any, report: Report, part: Report) -> bool:
    """Whether a run is at hand for a series or model; the best run is known only where each configuration
    has one.
    """
    cells = part.cells(entry.runs)
    if isinstance(entry, Compared) and entry.pick:
        return len(cells) == len(report.cells(entry.runs))
    if isinstance(entry, Series) and entry.after:
        return any(cell.members for cell in _after(entry, report, part))
    return bool(cells)


def _axes(figure: Bars | Levels, part: Report) -> list[str]:
    """The axes that can be drawn: of bars, with a changed value beside the base run; of levels, with two
    values.
    """
    cells = part.cells(figure.runs)
    values: dict[str, set[str]] = {}
    for cell in cells:
        for axis, value in cell.settings.items():
            values.setdefault(axis, set()).add(text(value))
    if isinstance(figure, Bars) and all(cell.settings for cell in cells):
        return []
    least = 1 if isinstance(figure, Bars) else 2
    return [axis for axis in figure.axes or values if len(values.get(axis, ())) >= least]


def _after(series: Series, report: Report, part: Report) -> list[Cell]:
    """The cells of a series that starts from other runs, with the runs whose other one is at hand, too."""
    (before,) = report.cells(str(series.after))
    there = {
        run for after in (series.runs, str(series.after)) for cell in part.cells(after) for run in cell.runs
    }
    return [matched(cell, before, there)[0] for cell in report.cells(series.runs)]


def matched(cell: Cell, before: Cell, at_hand: Collection[str]) -> tuple[Cell, Cell]:
    """A cell and the one whose weights it starts from, which have the same seeds in the same order: with the
    runs of which both are at hand.
    """
    pairs = [pair for pair in zip(cell.runs, before.runs, strict=True) if {*pair} <= set(at_hand)]
    return cell.of_runs([run for run, _ in pairs]), before.of_runs([run for _, run in pairs])


# ---- what it says of itself ----


def _said(item: Figure | Table, report: Report, at_hand: Collection[str]) -> str:
    """What the item rests on."""
    cells, noun = report.needed(item), "configurations"
    if isinstance(item, Curves):
        part = report.of_runs(at_hand)
        shown = {cell.name: cell for series in item.series for cell in report.cells(series.runs)}
        cells = list(shown.values())
        for series in item.series:
            if series.after:
                matching = {run for cell in _after(series, report, part) for run in cell.runs}
                lone = {run for cell in report.cells(series.runs) for run in cell.runs} - matching
                at_hand = set(at_hand) - lone
        one_line = isinstance(item.metric, str) and len(item.splits) == 1
        noun = "curves" if one_line else noun
    if all("trial" in cell.settings for cell in cells):
        noun = "trials"
    return resting_on(cells, at_hand, noun)


def resting_on(cells: Sequence[Cell], at_hand: Collection[str], noun: str = "configurations") -> str:
    """What is made from these cells rests on, as far as runs are missing: `8 of 11 curves, seeds 0 and 1 of
    3`; nothing where none is.
    """
    runs = {run for cell in cells for run in cell.runs}
    there = [cell for cell in cells if any(run in at_hand for run in cell.runs)]
    said = [f"{len(there)} of {len(cells)} {noun}"] if len(there) < len(cells) else []
    if any(run not in at_hand for cell in there for run in cell.runs):
        alike = len({len(cell.runs) for cell in there}) == 1
        said.append(_seeds(there, at_hand) if alike else f"{len(runs & {*at_hand})} of {len(runs)} runs")
    return ", ".join(said)


def _seeds(cells: Sequence[Cell], at_hand: Collection[str]) -> str:
    """Of cells with as many runs each: which seeds are at hand where that is the same in all, else how
    many.
    """
    asked = len(cells[0].runs)
    numbered = all(sorted(seeds_of(cell).values()) == list(range(asked)) for cell in cells)
    known = {tuple(seed for run, seed in seeds_of(cell).items() if run in at_hand) for cell in cells}
    if len(known) == 1 and numbered:  # seed 7 of 3 would be strange
        *first, last = map(str, known.pop())
        return f"seeds {', '.join(first)} and {last} of {asked}" if first else f"seed {last} of {asked}"
    least, most = min(map(len, known)), max(map(len, known))
    between = {0: "", 1: f"{least} or "}.get(most - least, f"{least} to ")
    return f"{between}{most} of {asked} seeds"


def seeds_of(cell: Cell) -> dict[str, int]:
    """Run → its seed."""
    seeds = {run.hash: run.settings.seeds for run in cell.members}
    differing = (name for name in SEEDS if len({getattr(each, name) for each in seeds.values()}) > 1)
    name = next(differing, SEEDS[0])
    return {run: getattr(each, name) for run, each in seeds.items()}
