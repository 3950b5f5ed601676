"""Studies with made-up learning curves: their trials as runs, and a loop that trains them without a
network.
"""

import copy

import torch

from reprise.reports.run import Run, prune
from reprise.search.asha import read_history
from reprise.training.results import publish
from tiny import SPEC

RATES = (0.01, 0.0003, 0.02, 0.003, 0.0001, 0.03)


def study_runs(trials, min_resource=1, reduction_factor=3, **changes):
    """The chained runs of a study; `training__epochs=10` replaces one setting in all of them."""
    runs, before = [], None
    for number in range(trials):
        spec = copy.deepcopy(SPEC)
        spec["split"] = {"validation": 0.2}
        spec["optimizer"]["lr"] = RATES[number % len(RATES)]
        for path, value in changes.items():
            part, _, key = path.partition("__")
            spec[part][key] = value
        spec["study"] = {
            "trial": number,
            "after": before,
            "min_resource": min_resource,
            "reduction_factor": reduction_factor,
        }
        runs.append(Run(prune(spec)))
        before = runs[-1].hash
    return runs


def rows(epoch, accuracy, loss=1.0):
    train = {"epoch": epoch, "split": "train", "loss": loss, "accuracy": accuracy / 2}
    return [train, {"epoch": epoch, "split": "validation", "loss": loss, "accuracy": accuracy}]


def history_of(accuracies):
    return [row for epoch, accuracy in enumerate(accuracies, 1) for row in rows(epoch, accuracy)]


def publish_trial(cache, run, history, stopped, **meta):
    epochs = history[-1]["epoch"]
    facts = {"epochs": epochs, "selected_epoch": 1, "stopped": stopped, "seconds": 2.0 * epochs, **meta}
    publish(cache / run.hash, run, history, {"weight": torch.zeros(1)}, facts)


def train_trial(judge, run, curve, cache, **meta):
    """What the engine does: the judge is asked before every epoch but the first. The reason why the trial
    ended.
    """
    history = []
    for epoch, accuracy in enumerate(curve[: run.settings.training.epochs], 1):
        reason = judge.stop(run, history) if history else None
        if reason:
            break
        history += rows(epoch, accuracy)
    publish_trial(cache, run, history, reason or "finished", **meta)
    return reason


def train_study(judge, runs, curves, cache):
    """Epochs and reason of each trial."""
    ends = []
    for run, curve in zip(runs, curves, strict=True):
        reason = train_trial(judge, run, curve, cache)
        ends.append((len(read_history(cache / run.hash)) // 2, reason))
    return ends
