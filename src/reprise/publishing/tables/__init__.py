"""Tables: a kind looked up by name builds one, and all its formats are written together.

A new kind is one module here with a function `build` (see `sheet`), and a class in `reprise.reports.tables`.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from reprise.errors import RepriseError
from reprise.extensions import code_behind
from reprise.files import atomic, to_json
from reprise.publishing import Face
from reprise.publishing.html import page
from reprise.publishing.sources import Sources
from reprise.publishing.tables.formats import csv, latex, markdown
from reprise.publishing.tables.record import record
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.reports.tables import Table as Spec

__all__ = ["Sheet", "build_table", "write_table"]


def build_table(spec: Spec, sources: Sources) -> Sheet:
    """The table of `spec`, not yet written."""
    with code_behind(type(spec), f"kind of table {spec.kind}"):
        build: Callable[[Spec, Sources], Sheet] = resolve_name(spec.builder)
        table = build(spec, sources)
        if not isinstance(table, Sheet):
            raise TypeError(f"{spec.builder} returns {type(table).__name__}, not Sheet")
    return table


def write_table(spec: Spec, sources: Sources, face: Face, out_stem: Path) -> None:
    """Write `<out_stem>.csv`, `.md`, `.tex`, `.html` and `.json` (see `record`): all or none. Each says the
    scale, and the notes above the table.

    Raises `RepriseError` naming report and table for an unknown metric, setting or network, and for missing
    runs.
    """
    try:
        table = build_table(spec, sources)
    except RepriseError as error:
        raise RepriseError(f"{face.slug}, table {spec.id}: {error}") from None
    caption, label = " ".join(spec.caption.split()), f"tab:{face.slug}:{spec.id}"
    about = {
        "scale": face.scale,
        **({"done": face.done} if face.done else {}),
        **({"notes": "; ".join(face.notes)} if face.notes else {}),
    }
    data = Rows([*table.data.columns, *about], [[*row, *about.values()] for row in table.data.rows])
    said = [part for part in (face.mark, *face.notes) if part]
    as_record = record(table, caption, said)
    contents = {
        "csv": csv(data),
        "md": markdown(table, caption, said),
        "tex": latex(table, caption, said, label),
        "json": to_json(as_record),
        "html": page(as_record),
    }
    folder, stem = out_stem.parent, out_stem.name
    with contextlib.ExitStack() as stack:
        for suffix, content in contents.items():
            stack.enter_context(atomic(folder / f"{stem}.{suffix}")).write_text(content, encoding="utf-8")
