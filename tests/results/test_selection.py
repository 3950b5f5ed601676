import math

import pytest

from reprise.reports.settings import EarlyStop
from reprise.results.selection import diverged, selected_epoch, stops_early


def history(accuracies, losses=None):
    rows = []
    for epoch, accuracy in enumerate(accuracies, 1):
        loss = (losses or [1 - value for value in accuracies])[epoch - 1]
        rows += [{"epoch": epoch, "split": "train", "loss": 1 / epoch, "accuracy": epoch / 100}]
        rows += [{"epoch": epoch, "split": "validation", "loss": loss, "accuracy": accuracy}]
    return rows


def test_selected_epoch_is_the_first_best():
    rows = history([0.1, 0.5, 0.3, 0.5], losses=[0.9, 0.8, 0.2, 0.2])
    assert selected_epoch(rows, "best_accuracy") == 2
    assert selected_epoch(rows, "best_loss") == 3
    assert selected_epoch(rows, "last") == 4


def test_window_selects_the_last_epoch_that_is_the_best_of_four():
    assert selected_epoch(history([0.1, 0.5, 0.3, 0.2, 0.25]), "window") == 2
    assert selected_epoch(history([0.1, 0.5, 0.3, 0.2, 0.25, 0.4]), "window") == 6  # 0.5 has left the window


@pytest.mark.parametrize(
    ("accuracies", "losses", "expected"),
    [
        ([0.3, 0.2, 0.9], [0.5, 0.4, math.nan], {"best_accuracy": 1, "best_loss": 2, "window": 1, "last": 3}),
        ([0.3, 0.3], [0.5, math.inf], {"best_accuracy": 1, "best_loss": 1, "window": 1, "last": 2}),
        ([0.1], [math.nan], {"best_accuracy": 1, "best_loss": 1, "window": 1, "last": 1}),
    ],
)
def test_an_epoch_that_diverged_is_selected_only_if_there_is_no_other(accuracies, losses, expected):
    assert {rule: selected_epoch(history(accuracies, losses), rule) for rule in expected} == expected


@pytest.mark.parametrize(
    ("losses", "train_loss", "expected"),
    [([0.5, 0.4], 0.3, False), ([0.5, math.nan], 0.3, True), ([0.5, 0.4], math.inf, True)],
)
def test_diverged_is_about_the_last_epoch_on_both_parts(losses, train_loss, expected):
    rows = history([0.1, 0.2], losses)
    rows[-2]["loss"] = train_loss
    assert diverged(rows) is expected
    assert not diverged([])


@pytest.mark.parametrize(
    ("accuracies", "rule", "stops"),
    [
        ([0.5], {"monitor": "accuracy", "patience": 4, "rule": "window"}, False),  # not yet four
        ([0.5, 0.4, 0.3], {"monitor": "accuracy", "patience": 4, "rule": "window"}, False),
        ([0.5, 0.4, 0.3, 0.2], {"monitor": "accuracy", "patience": 4, "rule": "window"}, True),
        ([0.4, 0.5, 0.3, 0.2], {"monitor": "accuracy", "patience": 4, "rule": "window"}, False),
        (
            [0.6, 0.5, 0.3, 0.2, 0.4],
            {"monitor": "accuracy", "patience": 4, "rule": "window"},
            True,
        ),  # of these four, not of all
        (
            [0.5, 0.4, 0.3, 0.2],
            {"monitor": "accuracy", "patience": 4, "rule": "window", "min_epochs": 5},
            False,
        ),
        ([0.1, 0.3, 0.2], {"monitor": "accuracy", "patience": 2}, False),
        ([0.1, 0.3, 0.2, 0.3], {"monitor": "accuracy", "patience": 2}, True),  # as good is not better
        ([0.1, 0.3, 0.2, 0.31], {"monitor": "accuracy", "patience": 2}, False),
        ([0.1, 0.3, 0.2, 0.1], {"monitor": "accuracy", "patience": 2, "min_epochs": 5}, False),
        ([0.1, 0.3, 0.2, 0.1, 0.2], {"monitor": "accuracy", "patience": 2, "min_epochs": 5}, True),
        ([0.3, 0.2, 0.1], {"monitor": "loss", "patience": 2}, True),
        ([0.3, 0.2, 0.1], None, False),
        ([], {"monitor": "loss", "patience": 2}, False),
    ],
)
def test_early_stop(accuracies, rule, stops):
    assert stops_early(history(accuracies), rule and EarlyStop(**rule)) is stops
