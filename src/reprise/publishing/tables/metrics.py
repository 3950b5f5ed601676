"""Measures, one per row, beside what the report says, with the verdict on it. Seeds are pooled over the
configurations of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reprise.errors import RepriseError
from reprise.publishing import Resolve
from reprise.publishing.expressions import Expressions, Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, Metric, NotRun
from reprise.publishing.sources import Sources
from reprise.publishing.statements import check_value
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import MeasuredValue, configuration, measured
from reprise.reports.expressions import Names
from reprise.reports.report import Cell
from reprise.reports.tables import MetricsTable


@dataclass(frozen=True)
class ParsedRow:
    """A row: what it measures and what the report says of it."""

    label: str
    value: Value
    reported: str
    about: float
    judged: bool

    @property
    def noise(self) -> Metric:
        """How its value is shown: that of its measure, or of the first that it is computed from."""
        first = self.value.measures[0]
        return first.noise if len(self.value.terms) == 1 else Metric("", first.noise.deviation)


def parse_rows(spec: MetricsTable, resolve: Resolve, names: Names) -> list[ParsedRow]:
    """The checked rows of a table of metrics; a mistake is a `RepriseError` that names the row."""
    expressions, rows = Expressions(names), []
    for row in spec.rows:
        where = f"row {row.label!r}"
        measure = str(row.measure)
        value = expressions.value(measure, where)
        check_value(value, resolve, f"{where}: {measure!r}")
        judged = row.judged and spec.judged
        rows.append(ParsedRow(row.label, value, row.reported or "", row.about or 0.0, judged))
    return rows


def build(spec: MetricsTable, sources: Sources) -> Sheet:
    """One row per measure."""
    rows = parse_rows(spec, sources.named, sources.names)
    judge = Judge([measure for row in rows for measure in row.value.measures], sources.named, sources.tables)
    data, lines, picks = [], [], False
    for row in rows:
        try:
            found = measured(judge, row.value, row.noise, row.reported, about=row.about, mean_of=spec.mean_of)
            parts = [_cells(measure, judge, sources) for measure in row.value.measures]
        except NotRun as missing:
            if not sources.whole:
                raise RepriseError(f"row {row.label!r}: {missing}") from None
            found = MeasuredValue.not_run(row.reported)
            parts = [(measure, sources.named(measure.runs), None) for measure in row.value.measures]
        verdict = found.verdict if row.judged else ""
        names = " ".join(dict.fromkeys(cell.name for _, cells, _ in parts for cell in cells))
        runs = [run for _, _, run in parts if run]
        picks = picks or bool(runs)
        data.append(
            (row.label, names, " ".join(runs) or None, found.value, found.sd, found.n, row.reported, verdict)
        )
        reported = f"about {row.reported}" if row.about else row.reported
        shown = "; ".join(dict.fromkeys(_configuration(*part) for part in parts))
        lines.append((row.label, shown, reported, found.text, verdict))
    columns = ["label", "configuration", "run", "value", "sd", "n", "reported", "verdict"]
    table = Rows(["", "Configuration", "Report", "Measured", "Verdict"], lines)
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
    return Sheet(Rows(columns, data), {"": table}, notes)


def _cells(measure: Measure, judge: Judge, sources: Sources) -> tuple[Measure, Sequence[Cell], str | None]:
    """A measure, its cells and, where one run was picked, that run and its cell."""
    if measure.pick:
        cell, run = judge.picked(measure.runs)
        return measure, [cell], run
    return measure, sources.named(measure.runs), None


def _configuration(measure: Measure, cells: Sequence[Cell], run: str | None) -> str:
    """The configuration that a row measures, and the seed where one run was picked, in words."""
    if measure.effect:
        return f"effect of {measure.effect.replace('_', ' ')} over {len(cells)} configurations"
    if len(cells) > 1:
        return f"{measure.cells or measure.pick} of {len(cells)} configurations"
    return configuration(cells[0], run)
