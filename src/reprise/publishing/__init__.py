"""Figures, tables, statements and their verdicts, made from tidy results; no torch in this package."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reprise.errors import RepriseError, nearest
from reprise.reports.report import Cell

MARKS = {
    "full": "",
    "quick": "QUICK – real data",
    "demo": "DEMO – synthetic data",
}
"""What every figure, table and page of statements says first on its face at each scale."""

Resolve = Callable[[str], Sequence[Cell]]
"""A selector's cells, e.g. `Report.cells`."""


@dataclass(frozen=True)
class Face:
    """What a figure, a table or a page of statements says of itself.

    slug: the report.
    scale: `full`, or `quick` or `demo`, which stands on its face.
    notes: sentences printed with it, e.g. that weights are random instead of pretrained.
    done: what was done of what the report did (`reprise.reports.scaled`), beside the scale.
    """

    slug: str
    scale: str = "full"
    notes: Sequence[str] = ()
    done: str = ""

    def __post_init__(self) -> None:
        if self.scale not in MARKS:
            raise RepriseError(f"scale {self.scale!r} is not known{nearest(self.scale, MARKS)}")

    @property
    def mark(self) -> str:
        """The scale in words, and what was done of what: `QUICK – real data · 8 of 100 epochs`; nothing for
        `full`.
        """
        return " · ".join(filter(None, (MARKS[self.scale], self.done)))
