"""What a kind of table is given and gives back.

A kind is a function `build(spec, sources) -> Sheet`, which `reprise.reports.tables` names beside its keys;
what it names and is not there is a `RepriseError`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Headings, which may stand twice, and as many cells in each row; None and what is not a number are empty
    cells. `best`: places (row, column) of the best of what is compared.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    best: Collection[tuple[int, int]] = ()

    def column(self, name: str) -> list[Any]:
        """The cells under a heading."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def without(self, *names: str) -> Rows:
        """The columns that are not called so."""
        kept = [place for place, column in enumerate(self.columns) if column not in names]
        return Rows(
            [self.columns[place] for place in kept], [[row[place] for place in kept] for row in self.rows]
        )


@dataclass(frozen=True)
class Sheet:
    """`data`: for CSV, numbers as numbers. `shown`: title → cells as text, for readers. `notes`: sentences
    under the table. `narrow`: as `shown`, parts that are set otherwise where they would not fit on a page.
    """

    data: Rows
    shown: Mapping[str, Rows]
    notes: Sequence[str] = field(default_factory=tuple)
    narrow: Mapping[str, Rows] = field(default_factory=dict)
