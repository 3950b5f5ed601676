"""Tidy tables as Parquet: every read ends in columns whose values are possible, or in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import DamagedError, RepriseError, gist
from reprise.files import check_regular

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("run", "split", "metric")
COUNTS = {"epoch": 1, "image": 0, "label": 0, "predicted": 0}
"""Columns of whole numbers, and the least that each holds; columns that are neither these nor texts are of
numbers.
"""
MOST_ROWS, MOST_EPOCHS, MOST_CLASSES = 5_000_000, 100_000, 1000
"""Rows of a table, of which the largest has one for each of 300,000 test images; epochs, each with two rows,
and classes of a run.
"""
SHARES = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "train_accuracy", "plain_train_accuracy")
LOSSES = ("loss", "train_loss", "plain_train_loss")


def read_table(path: Path, columns: Sequence[str], remedy: str) -> dict[str, list[Any]]:
    """Column → its values, of a Parquet table that has these columns; a number that is absent, as NaN is
    written, is NaN.

    A missing table is a `RepriseError`. One that is no table, or holds what no training gives (an accuracy
    outside 0 to 1, a negative loss, one that is not finite before the last epoch), is a `DamagedError`. What
    the system refuses is an `OSError`.
    """
    import pyarrow.parquet as pq  # a tenth of a second, which figures without runs need not wait

    try:
        check_regular(path)
        with path.open("rb") as file:
            parquet = pq.ParquetFile(file)
            if parquet.metadata.num_rows > (2 * MOST_EPOCHS if "epoch" in columns else MOST_ROWS):
                raise ValueError(f"{parquet.metadata.num_rows:,} rows")
            found = parquet.read(list(columns))
        found.validate(full=True)
        table = {name: _values(found.column(name), name) for name in columns}
        fault = _fault(table)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; train and evaluate the run first") from None
    except DamagedError as error:
        raise DamagedError(error.what, remedy) from None
    except MemoryError:
        raise RepriseError(
            f"{path}: too little memory to read it; free some and run the same command again"
        ) from None
    except Exception as error:  # a damaged file can make anything of the reader
        if (
            isinstance(error, OSError) and error.errno
        ):  # what the system refuses says nothing of the file, which may be good
            error.filename = error.filename or str(path)
            raise
        raise DamagedError(f"{path}: not a table of {', '.join(columns)} ({gist(error)})", remedy) from None
    if fault:
        raise DamagedError(f"{path}: {fault}", remedy)
    return table


def _values(column: pa.ChunkedArray, name: str) -> list[Any]:
    from pyarrow import types

    text = types.is_string(column.type) or types.is_large_string(column.type)
    whole, real = types.is_integer(column.type), types.is_floating(column.type)
    if not (text if name in TEXTS else whole if name in COUNTS else whole or real):
        raise ValueError(f"column {name} is of type {column.type}")
    if real:
        return [math.nan if value is None else value for value in column.to_pylist()]
    if column.null_count:
        raise ValueError(f"column {name} has empty fields")
    return column.to_pylist()  # and not to_numpy, which imports pandas


def _fault(table: Mapping[str, Sequence[Any]]) -> str | None:
    """The first value that cannot be."""
    for name, values in table.items():
        if name in COUNTS and values and min(values) < COUNTS[name]:
            return f"{name} is {min(values)}"
        if name in ("label", "predicted") and values and max(values) >= MOST_CLASSES:
            return f"{name} is {max(values)}, no run has more than {MOST_CLASSES} classes"
        if name == "accuracy" and (bad := [value for value in values if not 0 <= value <= 1]):
            return f"accuracy is {bad[0]}, which is not from 0 to 1"
        if name == "loss" and (bad := _impossible_losses(values, table.get("epoch", ()))):
            return f"loss is {bad[0]}"
    if "metric" in table and "value" in table:
        for name, value in zip(table["metric"], table["value"], strict=True):
            if not _possible(name, value):
                return f"{name} is {value}"
    return None


def _impossible_losses(losses: Sequence[float], epochs: Sequence[int]) -> list[float]:
    """Losses that are negative or, but in the last epoch, where a diverged trial has none, not finite."""
    last = max(epochs, default=0)
    early = [epoch < last for epoch in epochs] or [False] * len(losses)
    return [
        loss
        for loss, soon in zip(losses, early, strict=True)
        if loss < 0 or (soon and not math.isfinite(loss))
    ]


def _possible(metric: str, value: float) -> bool:
    if metric in SHARES:
        return 0 <= value <= 1
    if metric in LOSSES:
        return not value < 0
    return math.isfinite(value)
