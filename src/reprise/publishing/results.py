"""Read the tidy tables of many runs from their folders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError, file_error
from reprise.files import read_json
from reprise.publishing.measures import COLUMNS, Columns, Tables

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = ("run", "split", "metric")
WHOLE = ("epoch", "image", "label", "predicted")
"""Columns of text and of whole numbers; the others are of numbers."""


def read_tables(
    folder: Path, runs: Iterable[str], names: Iterable[str] = tuple(COLUMNS), class_names: Mapping[str, Sequence[str]] | None = None
) -> Tables:
    """The tables `names` of `runs`, from `<folder>/<run>/<name>.parquet`; tables not named are empty.

    A run without results has no rows: what is drawn or judged says what that means. A damaged file is a `RepriseError`.
    """
    wanted = [run for run in dict.fromkeys(runs) if (folder / run / "run.json").is_file()]
    tables = {name: _read(folder, wanted if name in names else [], name) for name in COLUMNS}
    return Tables(**tables, class_names=class_names or {})


def read_meta(folder: Path, runs: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Run → `meta` of its run.json (device, versions, dates), for the runs that have results."""
    files = {run: folder / run / "run.json" for run in runs}
    return {run: read_json(file)["meta"] for run, file in files.items() if file.is_file()}


def _read(folder: Path, runs: Iterable[str], name: str) -> Columns:
    """The rows of all these runs that have the table."""
    files = [folder / run / f"{name}.parquet" for run in runs]
    parts = [_read_file(file, COLUMNS[name]) for file in files if file.is_file()]
    return {column: [value for part in parts for value in part[column]] for column in COLUMNS[name]}


def _read_file(path: Path, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Column → its values; a number that is absent, as NaN is written, is not a number."""
    import pyarrow as pa  # a tenth of a second, which figures without runs need not wait
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read(list(columns))
        return {name: _values(table.column(name), name) for name in columns}
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno:  # the system refuses; the file may well be good
            raise RepriseError(file_error(error, path)) from None
        reason = " ".join(str(error).split())
        raise RepriseError(f"{path}: damaged ({reason}); delete the folder {path.parent} and train the run again") from None


def _values(column: pa.ChunkedArray, name: str) -> list[Any]:
    from pyarrow import types

    text = types.is_string(column.type) or types.is_large_string(column.type)
    whole, real = types.is_integer(column.type), types.is_floating(column.type)
    if not (text if name in TEXT else whole if name in WHOLE else whole or real):
        raise ValueError(f"column {name} is of type {column.type}")
    if real:
        return [math.nan if value is None else value for value in column.to_pylist()]
    if column.null_count:
        raise ValueError(f"column {name} has empty fields")
    return column.to_pylist()
