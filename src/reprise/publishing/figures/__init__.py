"""Figures: a kind looked up by name draws one, and PNG, SVG and JSON are written together.

A new kind is one module here with a function `draw` (see `page.Kind`), its name in `KINDS`, and its options
in `reprise/reports/publications.schema.yaml`.
"""

import importlib
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.publishing import MARKS
from reprise.publishing.figures.page import Drawn, Kind, Page, Resolve, Results
from reprise.publishing.measures import Tables
from reprise.publishing.provenance import provenance
from reprise.publishing.style import DPI, WIDTHS, strip, style
from reprise.reports.check import nearest

KINDS = ("curves", "samples", "bars", "classes", "diagram", "boxes", "heatmap", "levels", "cube", "trials")
"""Each a module of this package, imported when it is asked for."""

__all__ = ["KINDS", "Drawn", "Results", "build_figure", "draw_figure"]


def build_figure(
    spec: Mapping[str, Any], results: Results, *, scale: str, notes: Sequence[str] = ()
) -> tuple[Figure, Drawn]:
    """The matplotlib figure of `spec`, laid out and not yet written, and what it shows. Call it within
    `style.style()`.
    """
    if spec["kind"] not in KINDS:
        raise RepriseError(f"no kind of figure is called {spec['kind']!r}{nearest(spec['kind'], KINDS)}")
    if scale not in MARKS:
        raise RepriseError(f"scale {scale!r} is not known{nearest(scale, MARKS)}")
    width = WIDTHS[spec.get("width", "column")]
    figure = Figure(figsize=(width, width), dpi=DPI)
    page = Page(figure, width, strip(scale, notes, width))
    kind: Kind = importlib.import_module(f"{__name__}.{spec['kind']}")
    drawn = kind.draw(spec, results, page)
    page.strip.draw(figure)
    page.lay_out()
    figure.set_layout_engine(
        None
    )  # PNG and SVG keep the same layout, and savefig draws once instead of twice
    return figure, drawn


def draw_figure(
    spec: Mapping[str, Any],
    *,
    slug: str,
    resolve: Resolve,
    scale: str,
    out_stem: Path,
    tables: Tables | None = None,
    images: Path | None = None,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
    meta: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write `<out_stem>.png`, `.svg` and `.json`: all three or none, and the same bytes for the same input.

    Parameters
    ----------
    spec: a figure of a report file (`reprise/reports/publications.schema.yaml`).
    slug: the report.
    resolve: selector → cells, e.g. `Report.cells`.
    scale: `full`, or `quick` or `demo`, which the figure says on its face.
    tables, images, layers: see `Results`.
    notes: sentences printed above the picture, e.g. that weights are random instead of pretrained.
    meta: run hash → `meta` of its run.json.

    Raises `RepriseError` naming report and figure for an unknown kind, metric, split or colour, and for
    missing runs or images.
    """
    try:
        with style():
            figure, drawn = build_figure(
                spec, Results(resolve, tables or Tables.of(), images, layers or {}), scale=scale, notes=notes
            )
            record = provenance(spec, slug=slug, scale=scale, notes=notes, runs=drawn.runs, meta=meta or {})
            alt = " ".join(
                part
                for part in (
                    MARKS[scale] and f"{MARKS[scale]}.",
                    spec["caption"].strip(),
                    drawn.description,
                    *notes,
                )
                if part
            )
            text = json.dumps(record, sort_keys=True, ensure_ascii=False)
            title = f"{slug}, {spec['id']}"
            png = _png(
                figure,
                {
                    "Title": title,
                    "Description": alt,
                    "Software": f"reprise {record['versions']['reprise']}",
                    "Provenance": text,
                },
            )
            svg = _svg(figure, {"Title": title, "Description": alt, "Source": text}, alt)
    except RepriseError as error:
        raise RepriseError(f"{slug}, figure {spec['id']}: {error}") from None
    json_text = (
        json.dumps(
            {**record, "alt": alt, "values": drawn.values}, indent=1, sort_keys=True, ensure_ascii=False
        )
        + "\n"
    )
    folder, stem = out_stem.parent, out_stem.name
    with (
        atomic(folder / f"{stem}.png") as png_file,
        atomic(folder / f"{stem}.svg") as svg_file,
        atomic(folder / f"{stem}.json") as json_file,
    ):
        png_file.write_bytes(png)
        svg_file.write_bytes(svg)
        json_file.write_text(json_text, encoding="utf-8")


def _png(figure: Figure, metadata: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata=dict(metadata))
    return buffer.getvalue()


def _svg(figure: Figure, metadata: Mapping[str, str], alt: str) -> bytes:
    """SVG without a date, with `alt` as its `<desc>`, which screen readers read."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={**metadata, "Date": None})
    svg = buffer.getvalue().decode()
    svg = svg.replace("</title>", f"</title>\n <desc>{escape(alt, quote=False)}</desc>", 1).replace(
        "<svg ", '<svg role="img" ', 1
    )
    return svg.encode()
