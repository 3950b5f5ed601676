"""Figures, tables, statements and their verdicts, made from tidy results; no torch in this room."""

from collections.abc import Callable, Sequence

from reprise.reports.report import Cell

MARKS = {
    "full": "",
    "quick": "QUICK – fewer epochs, seeds or images than the report",
    "demo": "DEMO – synthetic data",
}
"""What every figure, table and page of statements says on its face at each scale."""

Resolve = Callable[[str], Sequence[Cell]]
"""A selector's cells, e.g. `Report.cells`."""
