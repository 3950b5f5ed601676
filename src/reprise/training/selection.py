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


def selected_epoch(history: Sequence[Row], select: str) -> int:
    """The epoch whose weights are kept: `last`, or the first that attains the `best_accuracy` or `best_loss` (Keras' `save_best_only`)."""
    rules = {
        "best_accuracy": lambda: _first_best(history, "accuracy"),
        "best_loss": lambda: _first_best(history, "loss"),
        "last": lambda: len(monitored(history, "loss")),
    }
    if select not in rules:
        raise RepriseError(f"training.select: no rule {select}{nearest(select, rules)}")
    return rules[select]()


def stops_early(history: Sequence[Row], rule: Mapping[str, Any] | None) -> bool:
    """Whether the last `patience` epochs brought no new best of `monitor`; never before `min_epochs` epochs, never without a rule."""
    epochs = len(monitored(history, "loss"))
    if not rule or epochs < max(rule.get("min_epochs", 1), 1):
        return False
    if rule["monitor"] not in ("accuracy", "loss"):
        raise RepriseError(f"training.early_stop.monitor: no quantity {rule['monitor']}{nearest(rule['monitor'], ('accuracy', 'loss'))}")
    return epochs - _first_best(history, rule["monitor"]) >= rule["patience"]
