"""The history of a run, epoch by epoch, and whether it can be what training has left."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reprise.errors import gist
from reprise.reports.layout import RUN
from reprise.reports.run import Run
from reprise.results.selection import HistoryRow, diverged, selected_epoch, stops_early

HISTORY_COLUMNS = ("run", "epoch", "split", "loss", "accuracy")


def history_fault(table: pd.DataFrame, run: Run, meta: Mapping[str, Any]) -> str | None:
    """Why `table` (`HISTORY_COLUMNS`, a row for each epoch and split) is not the whole history of `run`, or
    does not fit its `meta`; None where it does.
    """
    try:
        return _fault(table, run, meta)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        return f"does not fit {RUN} ({type(error).__name__}: {gist(error)})"


def _fault(table: pd.DataFrame, run: Run, meta: Mapping[str, Any]) -> str | None:
    training, study, epochs = run.settings.training, run.settings.study, meta["epochs"]
    validating = run.validation_split
    if set(table["run"]) != {run.hash}:
        return "has rows of another run"
    expected = ((epoch, split) for epoch in range(1, epochs + 1) for split in ("train", validating))
    if len(table) != 2 * epochs or list(zip(table["epoch"], table["split"], strict=True)) != list(expected):
        return f"is not {epochs} epochs of train and {validating}, as {RUN} says"
    rows = history_rows(table)
    lost = bool(study) and diverged(rows)  # the last epoch of a trial that diverged
    finite = table.head(-2 if lost else len(table))
    if not all(math.isfinite(loss) for loss in finite["loss"]) or not table["accuracy"].between(0, 1).all():
        return "has values that are not finite, or accuracies outside 0 to 1"
    if (finite["loss"] < least_loss(finite["accuracy"])).any():
        return "has losses that are too small for their accuracies"
    if lost != (meta["stopped"] == "diverged"):
        return f"has losses that do not fit {RUN}, which says that the run stopped: {meta['stopped']}"
    selected = selected_epoch(rows, training.select)
    if selected != meta["selected_epoch"]:
        return (
            f"epoch {selected} is the one that {training.select} selects, {RUN} says {meta['selected_epoch']}"
        )
    right = table[table["split"] == validating]["accuracy"] * meta["validation_images"]
    if ((right - right.round()).abs() > 1e-6 * meta["validation_images"]).any():
        return f"has accuracies that are not shares of {meta['validation_images']} images"
    judged = study and meta["stopped"] not in ("finished", "early stop")  # by trials that may not be here
    if epochs != training.epochs and not judged and not stops_early(rows, training.early_stop):
        return f"ends after {epochs} of {training.epochs} epochs without a rule that stops it there"
    return None


def history_rows(table: pd.DataFrame) -> list[HistoryRow]:
    """The rows of a history, each by its columns."""
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]


def least_loss(accuracy: Any) -> Any:
    """The least mean cross-entropy that an accuracy allows: a wrong image has given its label a probability
    of at most one half.

    A rounding less, since loss and accuracy are sums of float32.
    """
    return (1 - accuracy) * math.log(2) * (1 - 1e-3) - 1e-6
