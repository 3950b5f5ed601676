"""Measures, one per row, beside what the report says, with the verdict on it. Seeds are pooled over the
configurations of the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing import Resolve
from reprise.publishing.measures import Measure
from reprise.publishing.statements import Judge, NotRun, check_cells
from reprise.publishing.tables.sheet import Rows, Sources, Table
from reprise.publishing.tables.values import configuration, measured
from reprise.reports.report import Cell


@dataclass(frozen=True)
class Row:
    """A row: a measure and what the report says of it."""

    label: str
    measure: Measure
    reported: str
    about: float


def parse_rows(spec: Mapping[str, Any], resolve: Resolve) -> list[Row]:
    """The checked rows of a table of metrics; a mistake is a `RepriseError` that names the row."""
    rows = []
    for row in spec["rows"]:
        where = f"row {row['label']!r}"
        measure = Measure.parse(row["measure"], where)
        check_cells(measure, resolve(measure.runs), where)
        rows.append(Row(row["label"], measure, row.get("reported", ""), float(row.get("about", 0.0))))
    return rows


def build(spec: Mapping[str, Any], sources: Sources) -> Table:
    """One row per measure."""
    rows = parse_rows(spec, sources.resolve)
    judge = Judge([row.measure for row in rows], sources.resolve, sources.tables)
    data, lines, picks = [], [], False
    for row in rows:
        cells, run = sources.resolve(row.measure.runs), None
        try:
            estimate = judge.measured(row.measure)
            if row.measure.pick:
                cell, run = judge.picked(row.measure)
                cells, picks = [cell], True
        except NotRun as missing:
            raise RepriseError(f"row {row.label!r}: {missing}") from None
        found = measured(estimate, row.measure.noise, row.reported, row.about)
        names = " ".join(cell.name for cell in cells)
        data.append((row.label, names, run, found.value, found.sd, found.n, row.reported, found.verdict))
        reported = f"about {row.reported}" if row.about else row.reported
        lines.append(
            (row.label, _configuration(row.measure, cells, run), reported, found.text, found.verdict)
        )
    columns = ["label", "configuration", "run", "value", "sd", "n", "reported", "verdict"]
    shown = Rows(["", "Configuration", "Report", "Measured", "Verdict"], lines)
    notes = (
        ["± is the standard deviation over the seeds."]
        if any(sd is not None for *_, sd, _, _, _ in data)
        else []
    )
    if picks:
        notes.append(
            "A configuration with a seed is the run, of all that were trained for it, with the best "
            "validation accuracy."
        )
    return Table(Rows(columns, data), {"": shown}, notes)


def _configuration(measure: Measure, cells: Sequence[Cell], run: str | None) -> str:
    """The configuration that a row measures, and the seed where one run was picked, in words."""
    if measure.effect:
        return f"effect of {measure.effect.replace('_', ' ')} over {len(cells)} configurations"
    return (
        f"{measure.cells} of {len(cells)} configurations" if len(cells) > 1 else configuration(cells[0], run)
    )
