"""Which epoch a run keeps and when it stops: functions of its history alone, so a resumed or imported run gives the same answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.spec.check import nearest

Row = dict[str, Any]
"""`epoch` (from 1), `split` (`train` and one of `validation`, `test`), `loss`, `accuracy`: one row of a run's history."""


def monitored(history: Sequence[Row], quantity: str) -> list[float]:
    """`loss` or `accuracy` of the split that validates, by epoch."""
    return [row[quantity] for row in history if row["split"] != "train"]


def _first_best(history: Sequence[Row], quantity: str) -> int:
    values = monitored(history, quantity)
    return values.index(min(values) if quantity == "loss" else max(values)) + 1


WINDOW = 4
"""Epochs that the rules named `window` look back on (report 2's code)."""


def _last_peak(accuracies: Sequence[float]) -> int:
    """The last epoch whose accuracy was the best of the `WINDOW` epochs up to it."""
    peaks = [epoch for epoch in range(1, len(accuracies) + 1) if accuracies[epoch - 1] == max(accuracies[max(0, epoch - WINDOW) : epoch])]
    return peaks[-1]


def selected_epoch(history: Sequence[Row], select: str) -> int:
    """The epoch whose weights are kept.

    `last`; the first that attains the `best_accuracy` or `best_loss` (Keras' `save_best_only`); or `window`, the last one whose accuracy
    was the best of the four epochs up to it (report 2's code saves the weights then).
    """
    rules = {
        "best_accuracy": lambda: _first_best(history, "accuracy"),
        "best_loss": lambda: _first_best(history, "loss"),
        "last": lambda: len(monitored(history, "loss")),
        "window": lambda: _last_peak(monitored(history, "accuracy")),
    }
    if select not in rules:
        raise RepriseError(f"training.select: no rule {select}{nearest(select, rules)}")
    return rules[select]()


def stops_early(history: Sequence[Row], rule: Mapping[str, Any] | None) -> bool:
    """Whether the last `patience` epochs brought no new best of `monitor`; never before `min_epochs` epochs, never without a rule.

    With `rule: window` (report 2's code): whether the best of the last `patience` values is the oldest of them.
    """
    epochs = len(monitored(history, "loss"))
    if not rule or epochs < max(rule.get("min_epochs", 1), 1):
        return False
    if rule["monitor"] not in ("accuracy", "loss"):
        raise RepriseError(f"training.early_stop.monitor: no quantity {rule['monitor']}{nearest(rule['monitor'], ('accuracy', 'loss'))}")
    if rule.get("rule") == "window":
        window = monitored(history, rule["monitor"])[-rule["patience"] :]
        return len(window) == rule["patience"] and window[0] == (min(window) if rule["monitor"] == "loss" else max(window))
    return epochs - _first_best(history, rule["monitor"]) >= rule["patience"]
