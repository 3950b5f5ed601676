"""Tables: a kind looked up by name builds one, and CSV, Markdown and LaTeX are written together.

A new kind is one module here with a function `build` (see `sheet.Kind`), its name in `KINDS`, and its keys in
`reprise/reports/publications.schema.yaml`.
"""

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.publishing import MARKS, Resolve
from reprise.publishing.measures import Tables
from reprise.publishing.tables.formats import csv, latex, markdown
from reprise.publishing.tables.sheet import Kind, Rows, Sources, Table
from reprise.reports.check import nearest
from reprise.reports.expressions import Names

KINDS = ("layers", "settings", "comparison", "space", "trials", "metrics", "classes")
"""Each a module of this package, imported when it is asked for."""

__all__ = ["KINDS", "Sources", "Table", "build_table", "write_table"]


def build_table(spec: Mapping[str, Any], sources: Sources) -> Table:
    """The table of `spec`, not yet written."""
    if spec["kind"] not in KINDS:
        raise RepriseError(f"no kind of table is called {spec['kind']!r}{nearest(spec['kind'], KINDS)}")
    kind: Kind = importlib.import_module(f"{__name__}.{spec['kind']}")
    return kind.build(spec, sources)


def write_table(
    spec: Mapping[str, Any],
    *,
    slug: str,
    resolve: Resolve,
    scale: str,
    out_stem: Path,
    tables: Tables | None = None,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    experiment: Mapping[str, Any] | None = None,
    names: Names | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write `<out_stem>.csv`, `.md` and `.tex`: all three or none.

    Parameters
    ----------
    spec: a table of a report (`reprise/reports/publications.schema.yaml`), as `Report.tables` has it.
    slug: the report.
    resolve: selector → cells, e.g. `Report.cells`.
    scale: `full`, or `quick` or `demo`, which each file says.
    tables, layers, experiment, names: see `Sources`.
    notes: sentences above the table, e.g. that weights are random instead of pretrained.

    Raises `RepriseError` naming report and table for an unknown kind, metric, setting or network, and for
    missing runs.
    """
    try:
        if scale not in MARKS:
            raise RepriseError(f"scale {scale!r} is not known{nearest(scale, MARKS)}")
        sources = Sources(resolve, tables or Tables.of(), layers or {}, experiment, names or Names())
        table = build_table(spec, sources)
    except RepriseError as error:
        raise RepriseError(f"{slug}, table {spec['id']}: {error}") from None
    caption, label = " ".join(spec["caption"].split()), f"tab:{slug}:{spec['id']}"
    about = {"scale": scale, **({"notes": "; ".join(notes)} if notes else {})}
    data = Rows([*table.data.columns, *about], [[*row, *about.values()] for row in table.data.rows])
    said = [part for part in (MARKS[scale], *notes) if part]
    contents = {
        "csv": csv(data),
        "md": markdown(table, caption, said),
        "tex": latex(table, caption, said, label),
    }
    folder, stem = out_stem.parent, out_stem.name
    with contextlib.ExitStack() as stack:
        for suffix, content in contents.items():
            stack.enter_context(atomic(folder / f"{stem}.{suffix}")).write_text(content, encoding="utf-8")
