"""A table as a JSON record, for what shows it again (the site): its cells as readers see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reprise.errors import DamagedError
from reprise.publishing.tables.sheet import Sheet
from reprise.records import read_record, seal

REMEDY = "delete it, and make the table again"


def record(table: Sheet, caption: str, said: Sequence[str]) -> dict[str, Any]:
    """The record, sealed: `caption`; `said`, sentences above the table; `parts` with `title`, `columns`,
    `rows` and the places of the `best` values; `notes` below.
    """
    parts = [
        {
            "title": title,
            "columns": list(shown.columns),
            "rows": [[str(cell) for cell in row] for row in shown.rows],
            "best": sorted(map(list, shown.best)),
        }
        for title, shown in table.shown.items()
    ]
    return seal({"caption": caption, "said": list(said), "parts": parts, "notes": list(table.notes)})


def read_sheet(path: Path) -> Mapping[str, Any]:
    """What `record` has made; a damaged one is a `DamagedError`."""
    content = read_record(path, REMEDY)
    if not isinstance(content.get("parts"), list):
        raise DamagedError(f"{path}: no table", REMEDY)
    return content
