"""Trials of a study: a pruner may end them, a loss that is not finite is a result, and each follows the trial
before it.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from reprise.errors import RepriseError
from reprise.evaluation import evaluate, export_runs
from reprise.evaluation.exchange import import_entries
from reprise.results.cache import Caches
from reprise.training.engine import train
from reprise.training.preconditions import parents_first
from tiny import everything, record_run, tiny_run, write_dataset

STUDY = {"trial": 0, "min_resource": 1, "reduction_factor": 3}
EXPLODING = {"name": "sgd", "lr": 1.0, "weight_decay": 30.0}
"""Weights are multiplied by −29 in each step, until a float32 holds them no more: in the sixth epoch of five
steps.
"""


def trial(after=None, **changes):
    return tiny_run(**{"study": {**STUDY, **({"after": after.hash, "trial": 1} if after else {})}, **changes})


class StopAfter:
    """A pruner that ends every run after `epochs` epochs and keeps what it was asked."""

    def __init__(self, epochs, in_order=True):
        self.epochs, self.asked, self.in_order = epochs, [], in_order

    def stop(self, run, history):
        self.asked.append((run.hash, [(row["epoch"], row["split"]) for row in history]))
        return f"stopped at rung {self.epochs}" if len(history) // 2 >= self.epochs else None


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture
def go(dirs, tmp_path):
    def go(*runs, pruner=None, cache=tmp_path, **options):
        return train(
            runs, dataset_dirs=dirs, cache=cache, device="cpu", pruner=pruner or StopAfter(100), **options
        )

    return go


def history(folder):
    return pd.read_parquet(folder / "history.parquet")


# ---- the pruner ----


def test_the_judge_is_asked_before_every_epoch_but_the_first(go, tmp_path):
    pruner, run = StopAfter(3), trial(training__epochs=5)
    (outcome,) = go(run, pruner=pruner)
    rows = [(epoch, split) for epoch in (1, 2, 3) for split in ("train", "test")]
    assert pruner.asked == [(run.hash, rows[: 2 * epochs]) for epochs in (1, 2, 3)]
    assert outcome.meta["stopped"] == "stopped at rung 3"
    assert outcome.meta["epochs"] == 3
    assert history(tmp_path / run.hash)["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert not (tmp_path / run.hash / "checkpoint.pt").exists()


@pytest.mark.parametrize("in_order", [True, False])
def test_the_record_says_whether_the_judgement_can_be_repeated(go, in_order):
    judged, free = go(trial(), tiny_run(training__epochs=1), pruner=StopAfter(1, in_order))
    assert judged.meta["judged_in_order"] is in_order
    assert "judged_in_order" not in free.meta


def test_a_judge_that_does_not_stop_changes_nothing_else(go, tmp_path):
    judged, free = trial(), tiny_run()
    outcomes = go(judged, free)
    assert [outcome.meta["stopped"] for outcome in outcomes] == ["finished", "finished"]
    one, other = (history(tmp_path / run.hash).drop(columns="run") for run in (judged, free))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_other_runs_are_not_judged(go):
    pruner = StopAfter(1)
    (outcome,) = go(tiny_run(), pruner=pruner)
    assert not pruner.asked
    assert outcome.meta["stopped"] == "finished"


def test_the_last_epoch_and_early_stop_come_first(go):
    pruner = StopAfter(2)
    (outcome,) = go(trial(training__epochs=2), pruner=pruner)
    assert outcome.meta["stopped"] == "finished"
    assert len(pruner.asked) == 1
    stopping = trial(training__epochs=50, training__early_stop={"monitor": "accuracy", "patience": 1})
    (outcome,) = go(stopping, pruner=StopAfter(100))
    assert outcome.meta["stopped"] == "early stop"


def test_a_resumed_trial_is_judged_by_its_whole_history(dirs, go, tmp_path):
    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 3:
            raise Stop

    run = everything(study=STUDY, training__epochs=6)
    go(run, pruner=StopAfter(4), cache=tmp_path / "whole")
    with pytest.raises(Stop):
        go(run, pruner=StopAfter(4), cache=tmp_path / "stopped", checkpoint_seconds=0, on_step=stop)
    pruner, epochs = StopAfter(4), set()
    (outcome,) = go(
        run, pruner=pruner, cache=tmp_path / "stopped", on_step=lambda epoch, step, loss: epochs.add(epoch)
    )
    assert epochs == {3, 4}
    assert [len(rows) for _, rows in pruner.asked] == [4, 6, 8]
    assert outcome.meta["stopped"] == "stopped at rung 4"
    pd.testing.assert_frame_equal(
        history(tmp_path / "stopped" / run.hash), history(tmp_path / "whole" / run.hash), check_exact=True
    )


def test_a_trial_needs_a_judge(dirs, tmp_path):
    run = trial()
    message = (
        rf"^run {run.hash} is a trial of a study and no pruner is given; train it with python -m "
        r"reprise train$"
    )
    with pytest.raises(RepriseError, match=message):
        train([tiny_run(), run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    assert not (tmp_path / tiny_run().hash).exists(), "nothing was done before"
    train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu", pruner=StopAfter(1))
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    assert not outcome.trained, "a finished one needs none"


def test_an_error_of_the_judge_fails_the_trial_alone(go, tmp_path):
    class Confused:
        in_order = True

        def stop(self, run, history):
            raise RepriseError("no such rung")

    run = trial()
    with pytest.raises(RepriseError, match=rf"^run {run.hash}: no such rung$"):
        go(run, tiny_run(), pruner=Confused())
    assert (tmp_path / tiny_run().hash / "run.json").exists()
    assert not (tmp_path / run.hash / "run.json").exists()


# ---- divergence ----


def test_a_trial_that_diverges_ends_with_that_result(go, tmp_path, capsys):
    run = trial(optimizer=EXPLODING, training__epochs=50, training__select="best_loss")
    pruner = StopAfter(100)
    (outcome,) = go(run, pruner=pruner)
    table = history(tmp_path / run.hash)
    epochs = outcome.meta["epochs"]
    assert outcome.meta["stopped"] == "diverged"
    assert 3 <= epochs < 20
    assert np.isfinite(table["loss"][:-2]).all()
    assert table["loss"][-2:].isna().any()
    assert table["accuracy"].between(0, 1).all()
    assert [len(rows) // 2 for _, rows in pruner.asked] == list(range(1, epochs)), (
        "a trial that diverged is not judged"
    )
    losses = table.query("split == 'test'").set_index("epoch")["loss"]
    assert outcome.meta["selected_epoch"] == losses.idxmin()
    assert all(
        torch.isfinite(item).all() for item in load_file(tmp_path / run.hash / "weights.safetensors").values()
    )
    done = [line for line in capsys.readouterr().err.splitlines() if " done: " in line]
    assert re.fullmatch(
        rf"run {run.hash} \(1/1\) done: accuracy 0\.\d+ at epoch \d, {epochs} epochs, \d+ s", done[0]
    )


def test_a_trial_that_diverges_at_once_is_kept_and_evaluated(go, dirs, tmp_path, capsys):
    run = trial(optimizer={"name": "sgd", "lr": 1e30})
    (outcome,) = go(run)
    assert outcome.meta["stopped"] == "diverged"
    assert outcome.meta["epochs"] == outcome.meta["selected_epoch"] == 1
    assert re.search(
        rf"run {run.hash} \(1/1\) epoch 1/3 train loss nan accuracy 0\.\d+ test loss nan accuracy 0\.\d+",
        capsys.readouterr().err,
    )
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(tmp_path / run.hash / "final.parquet").set_index("metric")["value"]
    assert final[["loss", "train_loss"]].isna().all()
    assert final["accuracy"] == history(tmp_path / run.hash)["accuracy"].iloc[-1]
    assert json.loads((tmp_path / run.hash / "run.json").read_text())["meta"]["stopped"] == "diverged"
    (outcome,) = go(run)
    assert not outcome.trained


def test_a_long_epoch_that_diverges_is_finished(go, monkeypatch):
    monkeypatch.setattr("reprise.training.engine.FINITE_EVERY", 1)
    steps = []
    go(
        trial(optimizer={"name": "sgd", "lr": 1e30}),
        on_step=lambda epoch, step, loss: steps.append((epoch, step)),
    )
    assert steps == [(1, step) for step in range(5)]


def test_a_diverged_trial_that_was_killed_before_its_result_ends_the_same(go, tmp_path, monkeypatch):
    run = trial(optimizer={"name": "sgd", "lr": 1e30})
    with monkeypatch.context() as patch:
        patch.setattr("reprise.training.engine.publish", lambda *arguments: 1 / 0)
        with pytest.raises(RepriseError, match="ZeroDivisionError"):
            go(run, checkpoint_seconds=0)
    steps = []
    (outcome,) = go(run, on_step=lambda epoch, step, loss: steps.append(step))
    assert not steps
    assert outcome.meta["stopped"] == "diverged"


def test_trials_are_exchanged(go, dirs, tmp_path):
    judged, lost, late = (
        trial(),
        trial(optimizer={"name": "sgd", "lr": 1e30}),
        trial(optimizer=EXPLODING, training__epochs=50),
    )
    cache = tmp_path / "runs"
    go(judged, pruner=StopAfter(2), cache=cache)
    go(lost, late, cache=cache)
    runs = [judged, lost, late]
    evaluate(runs, dirs, cache, device="cpu")
    export_runs(cache, [run.hash for run in runs], tmp_path / "out")
    caches = Caches([str(tmp_path / "out")], tmp_path / "copies")
    states = import_entries(caches, caches.every(), tmp_path / "new", synthetic=True)
    assert states == dict.fromkeys((run.hash for run in runs), "imported")


def edit(folder, **meta):
    record_run(folder, lambda document: document["meta"].update(meta))


@pytest.mark.parametrize(
    ("settings", "epochs", "change", "message"),
    [
        ({}, 2, {"stopped": "finished"}, "ends after 2 of 3 epochs without a rule that stops it there"),
        ({}, 2, {"stopped": "early stop"}, "ends after 2 of 3 epochs without a rule that stops it there"),
        (
            {},
            2,
            {"stopped": "diverged"},
            "has losses that do not fit run.json, which says that the run stopped: diverged",
        ),
        (
            {"optimizer": {"name": "sgd", "lr": 1e30}},
            9,
            {"stopped": "at a rung"},
            "has losses that do not fit run.json",
        ),
    ],
)
def test_a_trial_that_does_not_fit_its_record_is_refused(go, tmp_path, settings, epochs, change, message):
    run = trial(**settings)
    go(run, pruner=StopAfter(epochs), cache=tmp_path / "runs")
    edit(tmp_path / "runs" / run.hash, **change)
    with pytest.raises(RepriseError, match=re.escape(message)):
        export_runs(tmp_path / "runs", [run.hash], tmp_path / "out")


@pytest.mark.parametrize("row", [0, 1])
def test_a_loss_that_is_not_finite_before_the_last_epoch_is_refused(go, tmp_path, row):
    run = trial(optimizer=EXPLODING, training__epochs=50)
    go(run, cache=tmp_path / "runs")
    path = tmp_path / "runs" / run.hash / "history.parquet"
    table = pd.read_parquet(path)
    table.loc[row, "loss"] = float("nan")
    table.to_parquet(path, index=False)
    record_run(path.parent)
    with pytest.raises(RepriseError, match=r"history.parquet: loss is nan"):
        export_runs(tmp_path / "runs", [run.hash], tmp_path / "out")


# ---- predecessors ----


BAD = {"optimizer": {"name": "sgd", "lr": 1e30}}


def test_a_run_whose_predecessor_failed_is_not_trained(go, tmp_path, capsys):
    failing = tiny_run(**BAD)  # no trial: diverging is a failure
    first = trial(after=failing)
    second = trial(after=first)
    child = tiny_run(initial_weights={"run": failing.hash})
    other = tiny_run(seeds__init=1)
    trained = []
    with pytest.raises(
        RepriseError, match=rf"^run {failing.hash}: the loss became .*; 4 of 5 runs failed: "
    ) as error:
        go(second, first, child, failing, other, on_finished=lambda run: trained.append(run.hash))
    assert "\n" not in str(error.value)
    assert trained == [other.hash]
    lines = capsys.readouterr().err.splitlines()
    for run, cause in ((first, failing), (second, first), (child, failing)):
        assert (
            f"reprise: run {run.hash}: not trained, because it follows run {cause.hash}, which failed"
            in lines
        )
        assert not (tmp_path / run.hash / "history.parquet").exists()


def test_a_finished_run_stays_though_its_predecessor_fails_now(go, tmp_path):
    def fail(epoch, step, loss):
        raise RuntimeError("no more")

    parent = tiny_run()
    follower = tiny_run(initial_weights={"run": parent.hash}, training__epochs=1)
    go(parent, follower)
    (tmp_path / parent.hash / "run.json").unlink()
    trained = []
    with pytest.raises(RepriseError, match=rf"^run {parent.hash}: RuntimeError: no more$"):
        go(parent, follower, on_step=fail, on_finished=lambda run: trained.append(run.hash))
    assert trained == [follower.hash]


def test_trials_come_after_those_that_they_follow():
    first = trial()
    second = trial(after=first)
    third = trial(after=second, initial_weights={"run": tiny_run().hash})
    ordered = parents_first([third, second, first, tiny_run()])
    places = {run.hash: place for place, run in enumerate(ordered)}
    assert len(ordered) == 4
    assert places[first.hash] < places[second.hash] < places[third.hash]
    assert places[tiny_run().hash] < places[third.hash]


def test_a_study_may_be_long():
    runs = [trial()]
    for _ in range(2000):
        runs.append(trial(after=runs[-1]))
    assert [run.hash for run in parents_first(runs)] == [run.hash for run in runs]
