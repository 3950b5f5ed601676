"""Settings of one cell's runs and metrics measured in them, beside what the report says."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing.measures import Measure, cell_values
from reprise.publishing.tables.sheet import Rows, Sources, Table
from reprise.publishing.tables.values import about_seeds, mean_and_sd, sd, settings


def build(spec: Mapping[str, Any], sources: Sources) -> Table:
    """One row per setting or metric of the cell that `runs` names."""
    cells = sources.resolve(spec["runs"])
    if len(cells) != 1:
        raise RepriseError(f"{spec['runs']} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    cell = cells[0]
    rows, lines = [], []
    for row in spec["rows"]:
        reported = str(row.get("reported", ""))
        if "setting" in row:
            value = settings(list(cell.specs.values()), row["setting"])
            rows.append((row["label"], value, None, None, reported))
        else:
            measure = Measure.of(row, spec["runs"])
            values = cell_values(measure, sources.tables, cell)
            value = mean_and_sd(values, measure.noise.count)
            rows.append((row["label"], fmean(values), sd(values), len(values), reported))
        lines.append((row["label"], value, reported))
    shown = Rows(["Setting", "Value", "Report"], lines)
    if not any(reported for *_, reported in lines):
        shown = shown.without("Report")
    return Table(
        Rows(["setting", "value", "sd", "n", "reported"], rows), {"": shown}, about_seeds(len(cell.runs))
    )
