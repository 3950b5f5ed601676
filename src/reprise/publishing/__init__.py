"""Figures, tables, statements and their verdicts, made from tidy results; no torch in this room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reprise.errors import RepriseError, nearest
from reprise.reports.report import Cell

MARKS = {
    "full": "",
    "quick": "QUICK – fewer epochs, seeds or images than the report",
    "demo": "DEMO – synthetic data",
}
"""What every figure, table and page of statements says on its face at each scale."""

Resolve = Callable[[str], Sequence[Cell]]
"""A selector's cells, e.g. `Report.cells`."""


@dataclass(frozen=True)
class Face:
    """What a figure, a table or a page of statements says of itself.

    slug: the report.
    scale: `full`, or `quick` or `demo`, which stands on its face.
    notes: sentences printed with it, e.g. that weights are random instead of pretrained.
    """

    slug: str
    scale: str = "full"
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.scale not in MARKS:
            raise RepriseError(f"scale {self.scale!r} is not known{nearest(self.scale, MARKS)}")

    @property
    def mark(self) -> str:
        """The scale in words; nothing for `full`."""
        return MARKS[self.scale]
