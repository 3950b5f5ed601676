"""The last lines of a command that makes results: where they lie, and how many statements have which
verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing import MARKS
from reprise.publishing.statement_records import read_document
from reprise.publishing.summary import TALLY
from reprise.publishing.verdicts import counted
from reprise.reports.layout import Layout

REMEDY = "delete it and run the same command again"
Counts = Counter[tuple[str, str]]
"""(kind, verdict) → statements."""


def closing(slugs: Iterable[str], layout: Layout, notes: Sequence[str] = ()) -> list[str]:
    """The lines for these reports, of which the last begins with `results are in`. Of several reports each
    has a line of its own. Statements that follow from others are not counted, as in every tally.

    notes: what stands beside the scale, such as `seed 0 alone`. A report whose statements are not written has
    no line; of a damaged one the line says so.
    """
    pages, lines = {}, []
    for slug in slugs:
        table = layout.statements(slug)
        if table.with_suffix(".json").exists():
            try:
                pages[table.with_suffix(".md")] = _counts(read_document(table.with_suffix(".json"), REMEDY))
            except RepriseError as error:
                lines.append(str(error))
    if len(pages) == 1:
        lines += [f"verdicts one by one: {page}" for page in pages]
    else:
        lines += [f"{page}: {tally(counts)}" for page, counts in pages.items()]
    said = "; ".join(filter(None, (MARKS[layout.scale], *notes)))
    last = f"results are in {layout.root}" + (f" ({said})" if said else "")
    return [*lines, f"{last}: {tally(sum(pages.values(), Counter()))}" if pages else last]


def _counts(document: Mapping[str, Any]) -> Counts:
    return Counter((one["kind"], one["verdict"]) for one in document["statements"] if not one["follows"])


def tally(counts: Counts) -> str:
    """`numbers: 4 reproduced, 2 differ; claims: 0 reproduced, 1 undecided`: of each kind that there is the
    reproduced ones, and the other verdicts that occur.
    """
    parts = []
    for kind, verdicts in TALLY.items():
        found = {verdict: counts[kind, verdict] for verdict in verdicts}
        if any(found.values()):
            said = [
                counted(verdict, count)
                for verdict, count in found.items()
                if count or verdict == "reproduced"
            ]
            parts.append(f"{kind}s: {', '.join(said)}")
    return "; ".join(parts) or "no statements"
