"""What figures, tables and statements are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.publishing import Resolve
from reprise.publishing.expressions import Value
from reprise.publishing.measures import Measure, Tables, cell_values
from reprise.reports.experiments import Experiment
from reprise.reports.expressions import Names
from reprise.reports.figures import MeasuredFigure
from reprise.reports.report import Cell


@dataclass(frozen=True)
class Sources:
    """What figures, tables and statements are made from; each kind says what it needs.

    resolve: selector → cells, with the runs at hand.
    tables: tidy results of the runs; `predictions` and class names only for kinds that show classes.
    names: what expressions can name.
    images: the `.npz` of sample images that `reprise.data` wrote for a figure.
    layers: name of a network → its layer table (`title` if it has one, `rows`, `parameters`; see
        `reprise.models.layers`).
    experiment: the experiment that a table of kind `space` names.
    meta: run hash → `meta` of its run.json.
    colors: label of a series of the figure → its colour, that of its configuration in the whole report.
    verdict: of tables: a statement of the report, and what a number in the table measures → the verdict on
        the statement, where that is what it measures (`Jury.verdict`); by default none is known.
    whole: where runs may be missing, selector → cells with all their runs; those of `resolve` are then the
        ones at hand, maybe none.
    """

    resolve: Resolve
    tables: Tables = field(default_factory=Tables.of)
    names: Names = field(default_factory=Names, kw_only=True)
    images: Path | None = field(default=None, kw_only=True)
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)
    experiment: Experiment | None = field(default=None, kw_only=True)
    meta: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)
    colors: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    verdict: Callable[[str, Value], str] = field(default=lambda identifier, value: "", kw_only=True)
    whole: Resolve | None = field(default=None, kw_only=True)

    def named(self, selector: str) -> Sequence[Cell]:
        """The cells that a selector names, with all their runs, at hand or not."""
        return (self.whole or self.resolve)(selector)

    def splits(self, cell: Cell) -> dict[str, list[str]]:
        """Run → the splits of its history, for the cell's runs; one without a history is a `RepriseError`."""
        found = {run: self.tables.splits(run) for run in cell.runs}
        _check(cell, "history", found)
        return found

    def curves(self, cell: Cell, split: str, column: str) -> dict[str, dict[int, float]]:
        """Run → epoch, in order → `loss` or `accuracy`, of the cell's runs that have the split.

        A run without a history, or a split that no run has, is a `RepriseError`.
        """
        splits = self.splits(cell)
        found = {
            run: self.tables.curve(run, split, column) or {} for run in cell.runs if split in splits[run]
        }
        if not found:
            known = sorted({name for names in splits.values() for name in names})
            raise RepriseError(f"{cell.name} has no history of split {split!r}{nearest(split, known)}")
        return found

    def selected(self, cell: Cell) -> dict[str, float]:
        """Run → the epoch whose weights it kept, for the cell's runs; one without final metrics is a
        `RepriseError`.
        """
        finals = {run: self.tables.finals(run) for run in cell.runs}
        _check(cell, "final", finals)
        return {run: values["selected_epoch"] for run, values in finals.items() if "selected_epoch" in values}

    def values(self, spec: MeasuredFigure, cell: Cell) -> list[float]:
        """What the keys `metric`, `split` and `at` of a figure measure in the cell, one value per run."""
        return cell_values(Measure.of(spec, cell.name), self.tables, cell)


def _check(cell: Cell, table: str, found: Mapping[str, Any]) -> None:
    """Raise a `RepriseError` where one of the cell's runs has found nothing in a table."""
    missing = [run for run in cell.runs if not found[run]]
    if missing:
        raise RepriseError(
            f"run {missing[0]} of {cell.name} has no {table} ({len(missing)} of its {len(cell.runs)} runs "
            "are missing); "
            "train and evaluate it first"
        )
