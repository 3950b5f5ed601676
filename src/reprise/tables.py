"""Tidy tables as Parquet: every read ends in a table whose values are possible, or in one line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reprise.errors import DamagedError, RepriseError

TEXTS = ("run", "split", "metric")
COUNTS = {"epoch": 1, "image": 0, "label": 0, "predicted": 0}
"""Columns of whole numbers, and the least that each holds."""
SHARES = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "train_accuracy")
LOSSES = ("loss", "train_loss")


def read_table(path: Path, columns: Sequence[str], remedy: str) -> pd.DataFrame:
    """A Parquet table with these columns.

    A missing table is a `RepriseError`. One that is no table, or holds what no training gives (an accuracy outside 0 to 1, a negative
    loss, one that is not finite before the last epoch), is a `DamagedError`. What the system refuses is an `OSError`.
    """
    try:
        table = pd.read_parquet(path, columns=list(columns))
        fault = _fault(table)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; train and evaluate the run first") from None
    except Exception as error:  # a damaged file can make anything of the reader
        if isinstance(error, OSError) and error.errno:  # what the system refuses says nothing of the file, which may be good
            error.filename = error.filename or str(path)
            raise
        raise DamagedError(f"{path}: not a table of {', '.join(columns)} ({' '.join(str(error).split())[:120]})", remedy) from None
    if fault:
        raise DamagedError(f"{path}: {fault}", remedy)
    return table


def _fault(table: pd.DataFrame) -> str | None:
    """The first value that cannot be."""
    for name, column in table.items():
        if name in TEXTS:
            if not all(isinstance(value, str) for value in column.unique()):
                return f"column {name} is not text"
        elif column.dtype.kind not in ("iu" if name in COUNTS else "iuf"):
            return f"column {name} is not of {'whole ' if name in COUNTS else ''}numbers, but {column.dtype}"
        elif name in COUNTS and len(column) and column.min() < COUNTS[name]:
            return f"{name} is {column.min()}"
        elif name == "accuracy" and len(bad := column[~column.between(0, 1)]):
            return f"accuracy is {bad.iloc[0]}, which is not from 0 to 1"
        elif name == "loss" and len(bad := column[(column < 0) | ~(np.isfinite(column) | _last(table))]):
            return f"loss is {bad.iloc[0]}"
    if "metric" in table and "value" in table:
        for name, value in zip(table["metric"], table["value"], strict=True):
            if not _possible(name, value):
                return f"{name} is {value}"
    return None


def _last(table: pd.DataFrame) -> pd.Series:
    """Rows of the last epoch: there a diverged trial has no loss."""
    return table["epoch"] == table["epoch"].max() if "epoch" in table else pd.Series(True, table.index)


def _possible(metric: str, value: float) -> bool:
    if metric in SHARES:
        return 0 <= value <= 1
    if metric in LOSSES:
        return not value < 0
    return bool(np.isfinite(value))
