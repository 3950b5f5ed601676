"""Settings of one cell's runs and metrics measured in them, beside what the report says, with the verdict on
the metrics.
"""

from statistics import fmean
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing.expressions import Value
from reprise.publishing.measures import Measure, cell_values
from reprise.publishing.sources import Sources
from reprise.publishing.tables.models import JUDGED
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import about_seeds, mean_and_sd, sd, settings
from reprise.reports.table_statements import printed, shown_statements
from reprise.reports.tables import SettingsTable


def build(spec: SettingsTable, sources: Sources) -> Sheet:
    """One row per setting or metric of the cell that `runs` names."""
    cells = sources.resolve(spec.runs)
    if len(cells) != 1:
        raise RepriseError(f"{spec.runs} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    cell = cells[0]
    measures = [Measure.of(row, spec.runs) if row.metric else None for row in spec.rows]
    stated = shown_statements(spec)
    rows: list[tuple[Any, ...]] = []
    lines = []
    for row, measure in zip(spec.rows, measures, strict=True):
        reported, verdict = str("" if row.reported is None else row.reported), ""
        if measure is None:
            value = settings(list(cell.specs.values()), str(row.setting))
            rows.append((row.label, value, None, None, reported, verdict))
        else:
            values = cell_values(measure, sources.tables, cell)
            value = mean_and_sd(values, measure.noise)
            statement = stated.get((row.label,)) if reported else None
            if reported and row.judged and spec.judged:
                printed(row.reported, row.label)
            verdict = sources.verdict(statement, Value({measure: 1.0})) if statement else ""
            rows.append((row.label, fmean(values), sd(values), len(values), reported, verdict))
        about = "about " if row.about else ""
        lines.append((row.label, value, f"{about}{reported} ({verdict})" if verdict else reported))
    shown = Rows(["Setting", "Value", "Reported"], lines)
    if not any(reported for *_, reported in lines):
        shown = shown.without("Reported")
    data = Rows(["setting", "value", "sd", "n", "reported", "verdict"], rows)
    notes = [*about_seeds([len(cell.runs)]), *([JUDGED] if any(data.column("verdict")) else [])]
    return Sheet(data, {"": shown}, notes)
