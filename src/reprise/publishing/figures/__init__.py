"""Figures: a kind looked up by name draws one, and PNG, SVG and JSON are written together.

A new kind is one module here with a function `draw` (see `page`), and a class in `reprise.reports.figures`.
"""

import io
import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from pkgutil import resolve_name

from matplotlib.figure import Figure

from reprise.errors import RepriseError
from reprise.extensions import code_behind
from reprise.files import atomic
from reprise.publishing import Face
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.provenance import provenance
from reprise.publishing.sources import Sources
from reprise.publishing.style import DPI, WIDTHS, strip, style
from reprise.reports.figures import Figure as Spec

__all__ = ["Drawn", "build_figure", "draw_figure"]


def build_figure(spec: Spec, sources: Sources, face: Face) -> tuple[Figure, Drawn]:
    """The matplotlib figure of `spec`, laid out and not yet written, and what it shows. Call it within
    `style.style()`.
    """
    width = WIDTHS[spec.width]
    figure = Figure(figsize=(width, width), dpi=DPI)
    page = Page(figure, width, strip(face, width))
    with code_behind(type(spec), f"kind of figure {spec.kind}"):
        draw: Callable[[Spec, Sources, Page], Drawn] = resolve_name(spec.drawer)
        drawn = draw(spec, sources, page)
        if not isinstance(drawn, Drawn):
            raise TypeError(f"{spec.drawer} returns {type(drawn).__name__}, not Drawn")
        json.dumps(drawn.values)  # as it will be written
    page.strip.draw(figure)
    page.lay_out()
    # PNG and SVG keep the same layout, and savefig draws once instead of twice
    figure.set_layout_engine(None)
    return figure, drawn


def draw_figure(spec: Spec, sources: Sources, face: Face, out_stem: Path) -> None:
    """Write `<out_stem>.png`, `.svg` and `.json`: all three or none, and the same bytes for the same input.

    Raises `RepriseError` naming report and figure for an unknown metric, split or colour, and for missing
    runs or images.
    """
    try:
        with style():
            figure, drawn = build_figure(spec, sources, face)
            record = provenance(spec, face, drawn.runs, sources.meta)
            said = (face.mark and f"{face.mark}.", spec.caption.strip(), drawn.description, *face.notes)
            alt = " ".join(filter(None, said))
            text = json.dumps(record, sort_keys=True, ensure_ascii=False)
            title = f"{face.slug}, {spec.id}"
            software = f"reprise {record['versions']['reprise']}"
            facts = {"Title": title, "Description": alt, "Software": software, "Provenance": text}
            png = _png(figure, facts)
            svg = _svg(figure, {"Title": title, "Description": alt, "Source": text}, alt)
    except RepriseError as error:
        raise RepriseError(f"{face.slug}, figure {spec.id}: {error}") from None
    document = {**record, "alt": alt, "values": drawn.values}
    json_text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
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
