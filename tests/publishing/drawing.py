"""Figures, tables and statements of mappings, as a report file holds them, as tests make and measure them."""

from dataclasses import replace

from pydantic import BaseModel, TypeAdapter

from reprise.errors import RepriseError
from reprise.publishing import Face, figures, statements, tables
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.reports.expressions import Names
from reprise.reports.figures import AnyFigure
from reprise.reports.statements import AnyStatement
from reprise.reports.table_statements import table_statements
from reprise.reports.tables import AnyTable
from reprise.schema import ValidationError, first_violation, key_path

_FIGURE, _TABLE, _STATEMENT = TypeAdapter(AnyFigure), TypeAdapter(AnyTable), TypeAdapter(AnyStatement)


def figure(spec):
    """The figure that a mapping says, or a `RepriseError` as a report file makes it."""
    return _checked(_FIGURE, spec)


def table(spec):
    """As `figure`, of a table."""
    return _checked(_TABLE, spec)


def statement(spec):
    """As `figure`, of a statement; one that a report has read stays what it is."""
    return spec if isinstance(spec, BaseModel) else _checked(_STATEMENT, spec)


def _checked(adapter, spec):
    try:
        return adapter.validate_python(spec)
    except ValidationError as error:
        parts, what = first_violation(error, spec)
        raise RepriseError(": ".join(filter(None, [key_path(parts), what]))) from None


# ---- figures ----


def build_figure(spec, results, *, scale="full", notes=()):
    """As `figures.build_figure`, and drawn once: only that makes the ticks and their labels. Call it within
    `style.style()`.
    """
    made, drawn = figures.build_figure(figure(spec), results, Face("report", scale, notes))
    made.draw_without_rendering()
    return made, drawn


def draw_figure(
    spec, *, slug, resolve, out_stem, scale="full", tables=None, images=None, layers=None, notes=(), meta=None
):
    """As `figures.draw_figure`, with everything by name."""
    results = Sources(resolve, tables or Tables.of(), images=images, layers=layers or {}, meta=meta or {})
    figures.draw_figure(figure(spec), results, Face(slug, scale, notes), out_stem)


# ---- tables ----


def write_table(spec, *, slug, resolve, out_stem, scale="full", notes=(), tables=None, stated=(), **sources):
    """As `tables.write_table`, with everything by name. Its own statements are judged, and those `stated`
    beside it.
    """
    typed, found = table(spec), Sources(resolve, tables or Tables.of(), **sources)

    def verdict(identifier, value):
        named = {f"picked_{place}": model for place, model in enumerate(getattr(typed, "models", ()))}
        picked = {name: {"runs": model.runs, "pick": "best"} for name, model in named.items() if model.pick}
        known = [
            model.model_copy(update={"runs": name if name in picked else model.runs})
            for name, model in named.items()
        ]
        numbers = table_statements(typed.model_copy(update={"models": known}) if known else typed)
        names = replace(found.names, cells={**found.names.cells, **picked})
        whole = replace(found, resolve=found.named, names=names)
        judged = [*numbers, *map(statement, stated)]
        return statements.jury_of(judged, _named(slug), whole).verdict(identifier, value)

    _write_table(typed, replace(found, verdict=verdict), Face(slug, scale, notes), out_stem)


_write_table = tables.write_table  # whose module's name is an argument above


# ---- statements ----


def parse(specs, where, resolve, names=None):
    """As `statements.parse`; errors start with `where` and the statement."""
    typed = [statement(spec) for spec in specs]
    return statements.parse(typed, _named(where), resolve, _located(names, where))


def judge_statements(specs, where, resolve, tables, names=None):
    """As `statements.judge_statements`; errors start with `where` and the statement."""
    typed = [statement(spec) for spec in specs]
    return statements.judge_statements(typed, _named(where), resolve, tables, _located(names, where))


def write_statements(
    specs, slug, resolve, tables, scale, csv_path, md_path, *, names=None, about=None, notes=(), follows=None
):
    """Judge statements and write them, as the verb does; returns the outcomes."""
    sources = Sources(resolve, tables, names=names or Names())
    jury = statements.jury_of([statement(spec) for spec in specs], _named(slug), sources)
    outcomes = jury.outcomes(follows or {})
    statements.write_statements(jury, outcomes, Face(slug, scale, notes), csv_path, md_path, about)
    return outcomes


def _named(where):
    return lambda spec: f"{where}: statement {spec.id}"


def _located(names, where):
    return replace(names or Names(), where=lambda name: f"{where}: measures.{name}")
