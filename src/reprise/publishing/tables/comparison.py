"""Models side by side: their settings and measured metrics, each beside what the report says, with the
verdict on the metrics.
"""

import math
from collections.abc import Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing.expressions import Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, NotRun, lookup, no_setting
from reprise.publishing.sources import Sources
from reprise.publishing.tables.models import ComparedModel, best_of, check_labels, find_models, lay_out, notes
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import DASH, NOT_RUN, measured, settings
from reprise.reports.table_statements import printed, shown_statements
from reprise.reports.tables import ComparisonRow, ComparisonTable


def build(spec: ComparisonTable, sources: Sources) -> Sheet:
    """One column per model and one row per setting or metric, or the other way round with `transpose`."""
    rows = _checked(spec)
    models = find_models(spec, sources)
    measures = {}
    for row in rows:
        check_labels(row.reported, models, f"row {row.label!r}")
        if row.metric:
            for model in models:
                measures[row.label, model.label] = Measure.of(row, model.selector, model.pick)
    judge, stated = Judge(measures.values(), sources.named, sources.tables), shown_statements(spec)
    data: list[tuple[Any, ...]] = []
    entries: dict[tuple[str, str], tuple[str, str]] = {}
    best: set[tuple[str, str]] = set()
    for row in rows:
        compared: dict[tuple[str, str], float] = {}
        specs = [one for model in models for one in model.specs]
        if row.setting and specs and not any(lookup(one, row.setting) for one in specs):
            raise RepriseError(f"row {row.label!r}: {no_setting(row.setting, specs)}")
        for model in models:
            reported = str(row.reported.get(model.label, ""))
            key = row.label, model.label
            if row.setting:
                value = _setting(model, row.setting)
                entries[key] = value, reported
                data.append((*key, model.configuration, model.run, value, None, None, reported, ""))
            else:
                value_of, statement = Value({measures[key]: 1.0}), stated.get((model.label, row.label))
                try:
                    found = measured(judge, value_of, sources, reported, statement)
                except NotRun as missing:
                    raise RepriseError(f"row {row.label!r}: {missing}") from None
                entries[key] = found.text, found.report
                compared[key] = found.value if isinstance(found.value, float) else math.nan
                data.append(
                    (
                        *key,
                        model.configuration,
                        model.run,
                        found.value,
                        found.sd,
                        found.n,
                        reported,
                        found.verdict,
                    )
                )
        if row.metric:
            best |= best_of(compared, measures[row.label, models[0].label].better)
    columns = ["row", "model", "configuration", "run", "value", "sd", "n", "reported", "verdict"]
    table = Rows(columns, data)
    labels, names = (
        {row.label: row.label for row in rows},
        {model.label: model.label for model in models},
    )
    if spec.transpose:
        turned = {(model, row): entry for (row, model), entry in entries.items()}
        shown = lay_out(names, labels, turned, "Model", {(model, row) for row, model in best})
    else:
        shown = lay_out(labels, names, entries, best=best)
    said = notes(models, any(sd is not None for sd in table.column("sd")), any(table.column("verdict")))
    return Sheet(table, {"": shown}, said)


def _checked(spec: ComparisonTable) -> Sequence[ComparisonRow]:
    """Labels differ, and what is reported of a metric, and judged, is a number."""
    labels = [row.label for row in spec.rows]
    for row in spec.rows:
        if labels.count(row.label) > 1:
            raise RepriseError(f"row {row.label!r} stands twice; make the labels differ")
        if row.metric and _is_judged(row, spec):
            for reported in row.reported.values():
                printed(reported, row.label)
    return spec.rows


def _is_judged(row: ComparisonRow, spec: ComparisonTable) -> bool:
    return row.judged and spec.judged


def _setting(model: ComparedModel, path: str) -> str:
    if model.cell is None:
        return NOT_RUN
    return settings(model.specs, path) if any(lookup(spec, path) for spec in model.specs) else DASH
