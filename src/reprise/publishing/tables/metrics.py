"""Measures, one per row, beside what the report says, with the verdict on it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from reprise.errors import RepriseError
from reprise.publishing import Resolve
from reprise.publishing.expressions import Expressions, Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, NotRun
from reprise.publishing.sources import Sources
from reprise.publishing.statements import check_value
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import ELSEWHERE, measured
from reprise.publishing.words import configuration, written
from reprise.reports.expressions import Names
from reprise.reports.report import Cell
from reprise.reports.table_statements import shown_statements
from reprise.reports.tables import MetricsTable


@dataclass(frozen=True)
class ParsedRow:
    """A row: what it measures, what the report says of it, and the statement of that."""

    label: str
    value: Value
    reported: str
    about: bool
    statement: str | None


def parse_rows(spec: MetricsTable, resolve: Resolve, names: Names) -> list[ParsedRow]:
    """The checked rows of a table of metrics; a mistake is a `RepriseError` that names the row."""
    expressions, stated, rows = Expressions(names), shown_statements(spec), []
    for row in spec.rows:
        where = f"row {row.label!r}"
        measure = str(row.measure)
        value = expressions.value(measure, where)
        check_value(value, resolve, f"{where}: {measure!r}")
        statement = stated.get((row.label,)) if row.reported else None
        rows.append(ParsedRow(row.label, value, row.reported or "", bool(row.about), statement))
    return rows


def build(spec: MetricsTable, sources: Sources) -> Sheet:
    """One row per measure."""
    rows = parse_rows(spec, sources.named, sources.names)
    judge = Judge([measure for row in rows for measure in row.value.measures], sources.named, sources.tables)
    data, lines, picks = [], [], False
    for row in rows:
        try:
            found = measured(judge, row.value, sources, row.reported, row.statement)
        except NotRun as missing:
            raise RepriseError(f"row {row.label!r}: {missing}") from None
        parts = [_cells(measure, judge, sources) for measure in row.value.measures]
        names = " ".join(dict.fromkeys(cell.name for _, cells, _ in parts for cell in cells))
        runs = [run for _, _, run in parts if run]
        picks = picks or bool(runs)
        ran = " ".join(runs) or None
        data.append((row.label, names, ran, found.value, found.sd, found.n, row.reported, found.verdict))
        reported = f"about {row.reported}" if row.about else row.reported
        shown = "; ".join(dict.fromkeys(_configuration(*part) for part in parts))
        lines.append((row.label, shown, reported, found.text, found.verdict))
    columns = ["label", "configuration", "run", "value", "sd", "n", "reported", "verdict"]
    table = Rows(["", "Configuration", "Reported", "Measured", "Verdict"], lines)
    notes = (
        ["± is the standard deviation over the seeds."]
        if any(sd is not None for *_, sd, _, _, _ in data)
        else []
    )
    if picks:
        notes.append(
            "Where a configuration has a seed, it is the run with the best validation accuracy of all runs "
            "of its row."
        )
    if any(row.statement and not line[-1] for row, line in zip(rows, lines, strict=True)):
        notes.append(ELSEWHERE)
    return Sheet(Rows(columns, data), {"": table}, notes)


def _cells(measure: Measure, judge: Judge, sources: Sources) -> tuple[Measure, Sequence[Cell], str | None]:
    """A measure, its cells and, where one run was picked, that run and its cell."""
    if measure.pick:
        with contextlib.suppress(NotRun):
            cell, run = judge.picked(measure.runs)
            return measure, [cell], run
    return measure, sources.named(measure.runs), None


def _configuration(measure: Measure, cells: Sequence[Cell], run: str | None) -> str:
    """The configuration that a row measures, and the seed where one run was picked, in words."""
    if measure.effect:
        return f"effect of {written(measure.effect)} over {len(cells)} configurations"
    if len(cells) > 1:
        return f"{measure.cells or measure.pick} of {len(cells)} configurations"
    return configuration(cells[0], run)
