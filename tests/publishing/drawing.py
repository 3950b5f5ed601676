"""Figures and tables of mappings, as a report file holds them, as tests make and measure them."""

from pydantic import TypeAdapter, ValidationError

from reprise.errors import RepriseError
from reprise.publishing import Face, figures
from reprise.publishing.figures import Results
from reprise.publishing.measures import Tables
from reprise.reports.figures import AnyFigure
from reprise.schema import first_violation, key_path

_FIGURE = TypeAdapter(AnyFigure)


def figure(spec):
    """The figure that a mapping says, or a `RepriseError` as a report file makes it."""
    return _checked(_FIGURE, spec)


def _checked(adapter, spec):
    try:
        return adapter.validate_python(spec)
    except ValidationError as error:
        parts, what = first_violation(error, spec)
        raise RepriseError(f"{key_path(parts)}: {what}") from None


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
    results = Results(resolve, tables or Tables.of(), images, layers or {}, meta or {})
    figures.draw_figure(figure(spec), results, Face(slug, scale, notes), out_stem)
