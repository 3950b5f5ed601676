"""Which epoch a run keeps and when it stops: functions of its history alone, so a resumed or imported run
gives the same answer.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from reprise.reports.settings import EarlyStop, Selection

HistoryRow = dict[str, Any]
"""`epoch` (from 1), `split` (`train` and one of `validation`, `test`), `loss`, `accuracy`: one row of a run's
history.
"""


def monitored(history: Sequence[HistoryRow], quantity: str) -> list[float]:
    """`loss` or `accuracy` of the split that validates, by epoch."""
    return [row[quantity] for row in history if row["split"] != "train"]


def diverged(history: Sequence[HistoryRow]) -> bool:
    """Whether the last epoch's loss, on either part, is not finite."""
    return any(not math.isfinite(row["loss"]) for row in history[-2:])


def _usable(history: Sequence[HistoryRow]) -> list[int]:
    """The epochs whose validation loss is finite; all of them where none is."""
    losses = monitored(history, "loss")
    return [epoch for epoch, loss in enumerate(losses, 1) if math.isfinite(loss)] or list(
        range(1, len(losses) + 1)
    )


def _first_best(history: Sequence[HistoryRow], quantity: str) -> int:
    values, best = monitored(history, quantity), min if quantity == "loss" else max
    return best(_usable(history), key=lambda epoch: values[epoch - 1])


WINDOW = 4
"""Epochs that the rules named `window` look back on (report 2's code)."""


def _last_peak(history: Sequence[HistoryRow]) -> int:
    """The last epoch whose accuracy was the best of the `WINDOW` epochs up to it."""
    accuracies, usable = monitored(history, "accuracy"), _usable(history)
    peaks = [
        epoch for epoch in usable if accuracies[epoch - 1] == max(accuracies[max(0, epoch - WINDOW) : epoch])
    ]
    return peaks[-1]


def selected_epoch(history: Sequence[HistoryRow], select: Selection) -> int:
    """The epoch whose weights are kept.

    `last`; the first that attains the `best_accuracy` or `best_loss` (Keras' `save_best_only`); or `window`,
    the last one whose accuracy was the best of the four epochs up to it (report 2's code saves the weights
    then). An epoch whose validation loss is not finite, as the last one of a run that diverged, is never the
    best while there is another.
    """
    rules: dict[Selection, Callable[[], int]] = {
        "best_accuracy": lambda: _first_best(history, "accuracy"),
        "best_loss": lambda: _first_best(history, "loss"),
        "last": lambda: len(monitored(history, "loss")),
        "window": lambda: _last_peak(history),
    }
    return rules[select]()


def stops_early(history: Sequence[HistoryRow], rule: EarlyStop | None) -> bool:
    """Whether the last `patience` epochs brought no new best of `monitor`; never before `min_epochs` epochs,
    never without a rule.

    With `rule: window` (report 2's code): whether the best of the last `patience` values is the oldest of
    them.
    """
    epochs = len(monitored(history, "loss"))
    if not rule or epochs < (rule.min_epochs or 1):
        return False
    if rule.rule == "window":
        window = monitored(history, rule.monitor)[-rule.patience :]
        return len(window) == rule.patience and window[0] == (
            min(window) if rule.monitor == "loss" else max(window)
        )
    return epochs - _first_best(history, rule.monitor) >= rule.patience
