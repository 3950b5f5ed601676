"""The verdicts of a report as one JSON document: all that a page, or another program, needs to show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reprise.errors import DamagedError, RepriseError
from reprise.files import atomic
from reprise.publishing import Face
from reprise.publishing.evidence import Evidence, Twin
from reprise.publishing.html import statements_page
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, NotRun, read
from reprise.publishing.statements import CheckedStatement, Jury, Outcome
from reprise.publishing.summary import strength
from reprise.publishing.words import selected, written
from reprise.records import read_record, write_record
from reprise.reports.report import Cell, Report, Undrawn

FORMAT = 2


def write_document(
    path: Path,
    report: Report,
    jury: Jury,
    outcomes: Sequence[Outcome],
    face: Face,
    evidence: Evidence,
    twins: Sequence[Twin] = (),
) -> None:
    """Write the document of a report's outcomes, in their order, as a record with its own SHA-256, and beside
    it a page of HTML.
    """
    known = report.names.cells.items()
    labels = {cells["runs"]: cells.get("label", written(name)) for name, cells in known}
    made_by = {statement.id: getattr(statement, "table", None) or "" for statement in report.statements}
    content = {
        "format": FORMAT,
        "report": face.slug,
        "scale": face.scale,
        "notes": [note for note in (face.mark, *face.notes) if note],
        "about": report.about,
        "evidence": _evidence(evidence),
        "twins": [vars(twin) for twin in twins],
        "statements": [
            {"table": made_by[outcome.statement.id], **_statement(outcome, jury, labels)}
            for outcome in outcomes
        ],
    }
    write_record(path, content)
    with atomic(path.with_suffix(".html")) as partial:
        partial.write_text(statements_page(content), encoding="utf-8")


def read_document(path: Path, remedy: str) -> dict[str, Any]:
    """The document; a damaged one, or one of another version, is a `DamagedError` with this remedy."""
    content = read_record(path, remedy)
    if content.get("format") != FORMAT:
        raise DamagedError(f"{path}: is of another version", remedy)
    return dict(content)


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "done": evidence.done,
        "needed": evidence.needed,
        "core_hours": dict(evidence.core_hours),
        "gpu_hours": dict(evidence.gpu_hours),
        "first": str(evidence.first or ""),
        "last": str(evidence.last or ""),
        "words": evidence.words(),
    }


def _statement(outcome: Outcome, jury: Jury, labels: Mapping[str, str]) -> dict[str, Any]:
    statement = outcome.statement
    judge = jury.judge
    cells, factor = jury.cells(statement), _factor(statement)
    return {
        "id": statement.id,
        "kind": statement.kind,
        "text": statement.text,
        "source": statement.source,
        "reported": statement.reported,
        "about": statement.about,
        "mean_of": statement.mean_of,
        "follows": outcome.follows,
        "rests_on": jury.rests_on(statement),
        "cells": [cell.name for cell in cells],
        "runs": sorted({run for cell in cells for run in cell.runs}),
        "alone": factor is not None,
        "strength": _finite(strength(outcome)),
        "measures": [
            row
            for measure in dict.fromkeys(statement.own_measures)
            for row in _rows(judge, measure, labels, factor or 1.0)
        ],
        **_reading(outcome),
        "also": [_reading(other) for other in outcome.also],
    }


def _reading(outcome: Outcome) -> dict[str, Any]:
    """One way to read a statement, and its verdict."""
    statement, judgement = outcome.statement, outcome.judgement
    return {
        "reading": statement.reading,
        "expression": statement.expression,
        "words": statement.relation.words if statement.relation else statement.value.words,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "measured": judgement.measured,
        "spread": judgement.spread,
        "n": judgement.n,
        "share": _finite(judgement.share),
        "settles": _finite(judgement.settles),
        "claimed": _finite(judgement.claimed),
        "seeds_to_settle": judgement.seeds,
        "distance": _finite(judgement.distance),
        "low": _finite(judgement.low),
        "high": _finite(judgement.high),
        "notes": list(judgement.notes),
        "beyond_images": outcome.beyond_images,
    }


def _factor(statement: CheckedStatement) -> float | None:
    """What a number multiplies its one measure by, as in `100 * accuracy(base)`; None for anything else."""
    value = statement.value
    if statement.relation or value.constant or len(value.terms) != 1:
        return None
    return next(iter(value.terms.values()))


def _rows(judge: Judge, measure: Measure, labels: Mapping[str, str], factor: float) -> list[dict[str, Any]]:
    """What was measured, times a factor: one row per configuration, run → value; rows without values are left
    out.
    """
    try:
        if measure.pick:
            cell, run = judge.picked(measure.runs)
            asked = [(cell, [run])]
        else:
            asked = [(cell, list(cell.runs)) for cell in judge.resolve(measure.runs)]
    except (NotRun, Undrawn):
        return []
    found = []
    for cell, runs in asked:
        found_in = {run: _value(judge, measure, cell, run) for run in runs}
        values = {run: factor * value for run, value in found_in.items() if value is not None}
        if values:
            alone = len(asked) == 1 and not (measure.cells or measure.effect)
            called = (alone and labels.get(measure.runs)) or selected(cell.name)
            words = measure.quantity.words(called)
            found.append({"label": words, "metric": measure.metric, "cell": cell.name, "values": values})
    return found


def _value(judge: Judge, measure: Measure, cell: Cell, run: str) -> float | None:
    try:
        reading = read(measure.quantity, judge.tables, cell, run)
    except (NotRun, RepriseError):
        return None  # the verdict says so
    return None if reading is None else _finite(reading.value)


def _finite(value: float) -> float | None:
    """JSON has no name for other numbers."""
    return float(value) if math.isfinite(value) else None
