"""ASHA, asynchronous successive halving (Li et al. 2018, arXiv:1810.05934), as Ray Tune and Optuna have it:
trials end, they never wait.

A trial is judged at its rungs, the epochs r, r·η, r·η², … (`min_resource` r, `reduction_factor` η; rungs
count from 0, epochs from 1), by the validation accuracy of that very epoch: of the n trials recorded there so
far, itself included, it must be among the best n // η, or the best where n < η; equals pass. A trial that is
pruned keeps its place among those recorded, and so does one that ends for a reason of its own (its last
epoch, its early stop). An epoch whose loss is not finite has no accuracy and is recorded nowhere. Nothing is
decided after a trial's last epoch, but its accuracy counts there.

Optuna's pruner decides. All trials are known beforehand, so its samplers have no part in it.
"""

import importlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from reprise.errors import RepriseError
from reprise.reports.layout import HISTORY, RUN
from reprise.reports.run import Run
from reprise.reports.settings import Rungs, Study, rung_epochs
from reprise.results.history import history_rows
from reprise.results.selection import HistoryRow, monitored, stops_early
from reprise.schema import plain
from reprise.training.results import finished, read_run, read_table


def load_optuna() -> ModuleType:
    """Optuna, silent; where it is not installed, a `RepriseError`."""
    try:
        optuna = importlib.import_module("optuna")
    except ImportError:
        raise RepriseError(
            "the trials of a study are judged by optuna, which is not installed; install it with: pip "
            "install optuna"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


# ---- trials ----


def study_of(run: Run) -> Study:
    """The place of a trial in its study; another run is a `RepriseError`."""
    if run.settings.study is None:
        raise RepriseError(f"run {run.hash} is not a trial of a study; name an experiment with asha")
    return run.settings.study


def trial_order(runs: Sequence[Run]) -> list[Run]:
    """The trials of one study, each once, the first one first; runs that are something else are a
    `RepriseError`.
    """
    ordered = sorted(dict.fromkeys(runs), key=lambda run: study_of(run).trial)
    for number, (before, run) in enumerate(zip([None, *ordered], ordered, strict=False)):
        study = study_of(run)
        if study.trial != number or study.after != (before and before.hash):
            raise RepriseError(
                f"run {run.hash} is not trial {number} of the same study; give all trials of one study, "
                "from trial 0 on"
            )
    return ordered


def accuracies(history: Sequence[HistoryRow]) -> list[float]:
    """Validation accuracy by epoch; NaN where a loss, of either part, is not finite."""
    lost = {row["epoch"] for row in history if not math.isfinite(row["loss"])}
    return [
        math.nan if epoch in lost else value for epoch, value in enumerate(monitored(history, "accuracy"), 1)
    ]


def read_history(folder: Path) -> list[HistoryRow]:
    """The history of a finished run."""
    return history_rows(read_table(folder / HISTORY, ("epoch", "split", "loss", "accuracy")))


def judged_in_order(meta: Mapping[str, Any]) -> bool:
    """Whether a trial was judged by the trials before it, on one worker, which can be repeated (`meta` of its
    `run.json`).
    """
    return meta.get("judged_in_order", True)


# ---- judgement ----


class Halving:
    """Successive halving of trials that come one after the other: `begin` each, then `report` its epochs."""

    def __init__(self, rungs: Rungs) -> None:
        optuna = load_optuna()
        self._rungs = rungs
        self._study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=optuna.pruners.SuccessiveHalvingPruner(
                min_resource=rungs.min_resource,
                reduction_factor=rungs.reduction_factor,
                min_early_stopping_rate=0,
                bootstrap_count=0,
            ),
        )
        self._recorded: Counter[int] = Counter()
        self.epoch = 0
        """Epochs of the present trial that were reported."""

    def begin(self) -> None:
        self._trial = self._study.ask()
        self.epoch = 0

    def report(self, accuracy: float) -> str | None:
        """Why the trial ends after its next epoch, which had this accuracy; None: it goes on."""
        self.epoch += 1
        self._trial.report(accuracy, self.epoch)
        self._recorded[self.epoch] += not math.isnan(accuracy)
        if not self._trial.should_prune():
            return None
        rung = len(rung_epochs(self._rungs, self.epoch)) - 1
        trials = self._recorded[self.epoch]
        best = max(1, trials // self._rungs.reduction_factor)
        missed = f"among the best {best}" if best > 1 else "the best"
        return f"pruned at rung {rung} (epoch {self.epoch}): {accuracy:.4f} is not {missed} of {trials}"


def replay(trials: Sequence[Run], cache: Path) -> Halving:
    """The halving as it stands after `trials`, the first ones of a study, which are all finished.

    A `RepriseError` names a trial that several workers judged, and one that did not end where the trials
    before it end it.
    """
    halving = Halving(study_of(trials[0]))
    for run in trials:
        folder = Path(cache) / run.hash
        meta, rows = read_run(folder)["meta"], read_history(folder)
        values, training = accuracies(rows), run.settings.training
        if not judged_in_order(meta):
            raise RepriseError(
                f"{folder}: trial {study_of(run).trial} was judged by several workers, which cannot be "
                "repeated; go on with several workers, or delete the folders of such trials and train them "
                "again"
            )
        halving.begin()
        for value in values:
            reason = halving.report(value)
            if reason and halving.epoch < len(values):
                raise _inconsistent(
                    run,
                    folder,
                    f"goes on after epoch {halving.epoch}, though the trials before it end it ({reason})",
                )
        early = stops_early(rows, training.early_stop) or math.isnan(values[-1])
        if len(values) < training.epochs and not reason and not early:
            raise _inconsistent(
                run, folder, f"ends after epoch {len(values)}, though the trials before it let it go on"
            )
    return halving


def _inconsistent(run: Run, folder: Path, what: str) -> RepriseError:
    """A trial was changed, or trained with other results of those before it than are here: on another
    machine, say.
    """
    remedy = (
        "delete its folder and those of the trials after it and train them again, or import the whole "
        "study into a results folder that has none of it"
    )
    return RepriseError(f"{folder}: trial {study_of(run).trial} {what}; {remedy}")


def predecessors(run: Run, cache: Path) -> list[Run]:
    """The trials before `run`, the first one first, from their folders in `cache`; one without results is a
    `RepriseError`.
    """
    found = [run]
    while after := (own := study_of(found[-1])).after:
        if not (Path(cache) / after / RUN).exists():
            raise RepriseError(
                f"run {run.hash}: trial {own.trial - 1} (run {after}) has no result in {cache}; train it "
                "first"
            )
        before = Run(read_run(Path(cache) / after)["spec"])
        theirs = before.settings.study
        if theirs is None or {**plain(theirs), "trial": theirs.trial + 1, "after": after} != plain(own):
            raise RepriseError(
                f"run {found[-1].hash} says that run {after} is the trial before it, which it is not; give "
                "both the same study"
            )
        found.append(before)
    return found[:0:-1]


class AshaPruner:
    """Judges the trials of a study in their order, on one worker, so that the same study gives the same
    decisions, bit for bit.

    What earlier trials did is read from their run folders in `cache` when a trial is judged for the first
    time: nothing is remembered that a killed process could lose.
    """

    in_order = True

    def __init__(self, cache: Path) -> None:
        load_optuna()
        self._cache = Path(cache)
        self._run = ""
        self._halving: Halving

    def stop(self, run: Run, history: Sequence[HistoryRow]) -> str | None:
        """Why `run` ends after the last epoch of its `history`; None: it goes on. See
        `reprise.training.engine.Pruner`.
        """
        values = accuracies(history)
        if self._run != run.hash or self._halving.epoch >= len(values):
            before = predecessors(run, self._cache)
            self._halving = replay(before, self._cache) if before else Halving(study_of(run))
            self._halving.begin()
            self._run = run.hash
        reason = None
        for value in values[self._halving.epoch :]:
            if reason:  # a checkpoint that went on: earlier trials are not what they were
                raise _inconsistent(
                    run,
                    self._cache / run.hash,
                    f"goes on after epoch {self._halving.epoch}, where it was {reason}",
                )
            reason = self._halving.report(value)
        return reason


def check_study(runs: Sequence[Run], cache: Path) -> None:
    """Raise a `RepriseError` for a finished trial that did not end where those before it end it.

    Looked at are the trials from the first one on that are finished and were judged in order.
    """
    done: list[Run] = []
    for run in trial_order(runs):
        document = finished(Path(cache) / run.hash)
        if document is None or not judged_in_order(document["meta"]):
            break
        done.append(run)
    if done:
        replay(done, cache)
