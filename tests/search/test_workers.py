"""Several workers on one study: who trains what, and what a trial is judged by."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from studies import history_of, publish_trial, study_runs, train_trial

from reprise.errors import RepriseError
from reprise.files import read_json
from reprise.search import workers
from reprise.search.asha import AshaPruner
from reprise.search.workers import JournalPruner, take_trials, work
from reprise.training.engine import train
from tiny import write_dataset

RUNS = study_runs(3, 1, 2, training__epochs=6)


@pytest.fixture
def worker(tmp_path):
    """A new worker's judge."""
    return lambda runs=RUNS: JournalPruner(runs, tmp_path / "runs", tmp_path / "studies" / "study.journal")


def test_trials_are_judged_by_what_is_known_then(worker):
    one, other = worker(), worker()
    assert one.stop(RUNS[0], history_of([0.5])) is None  # rung 0: alone
    assert other.stop(RUNS[1], history_of([0.6])) is None  # 0.6 of 0.6, 0.5
    assert one.stop(RUNS[0], history_of([0.5, 0.5])) is None  # rung 1: alone
    assert (
        other.stop(RUNS[1], history_of([0.6, 0.4]))
        == "pruned at rung 1 (epoch 2): 0.4000 is not the best of 2"
    )
    assert one.stop(RUNS[0], history_of([0.5, 0.5, 0.1])) is None  # epoch 3 is no rung
    assert (
        other.stop(RUNS[2], history_of([0.55])) == "pruned at rung 0 (epoch 1): 0.5500 is not the best of 3"
    )


def test_the_pace_decides(worker):
    """One after the other the first trial is never ended; here the second is the first to come to rung 0."""
    one, other = worker(), worker()
    assert other.stop(RUNS[1], history_of([0.6])) is None
    assert one.stop(RUNS[0], history_of([0.5])) == "pruned at rung 0 (epoch 1): 0.5000 is not the best of 2"


def test_finished_trials_count_without_a_journal(worker, tmp_path):
    train_trial(AshaPruner(tmp_path / "runs"), RUNS[0], [0.5] * 6, tmp_path / "runs")
    assert (
        worker().stop(RUNS[1], history_of([0.4])) == "pruned at rung 0 (epoch 1): 0.4000 is not the best of 2"
    )


def test_a_trial_taken_up_again_counts_once(worker):
    worker().stop(RUNS[0], history_of([0.5]))
    assert worker().stop(RUNS[1], history_of([0.6])) is None
    assert (
        worker().stop(RUNS[1], history_of([0.6, 0.6])) is None
    )  # after a restart: another attempt at the same trial
    assert (
        worker().stop(RUNS[2], history_of([0.4])) == "pruned at rung 0 (epoch 1): 0.4000 is not the best of 3"
    )


def test_a_rung_that_was_passed_is_not_judged_again(worker):
    assert worker().stop(RUNS[0], history_of([0.5])) is None
    worker().stop(RUNS[1], history_of([0.6]))
    resumed = worker()
    assert resumed.stop(RUNS[0], history_of([0.5])) is None
    assert resumed.stop(RUNS[0], history_of([0.5, 0.5])) is None
    worker().stop(RUNS[1], history_of([0.6, 0.6]))
    assert worker().stop(RUNS[0], history_of([0.5, 0.5])) is None
    assert worker().stop(RUNS[1], history_of([0.6, 0.6, 0.6, 0.2])) is None  # rung 2: alone
    assert (
        worker().stop(RUNS[0], history_of([0.5, 0.5, 0.5, 0.1]))
        == "pruned at rung 2 (epoch 4): 0.1000 is not the best of 2"
    )


def test_studies_do_not_mix_in_one_journal(worker):
    worker().stop(RUNS[0], history_of([0.9]))
    other = study_runs(1, 1, 3, training__epochs=6)
    assert worker(other).stop(other[0], history_of([0.1])) is None


def test_a_damaged_journal_is_an_error(worker, tmp_path):
    worker().stop(RUNS[0], history_of([0.5]))
    journal = tmp_path / "studies" / "study.journal"
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker')  # killed while it wrote
    with pytest.raises(
        RepriseError,
        match=r"study\.journal: not a journal that Optuna can read .*; stop the workers, delete it and "
        r"start them",
    ):
        worker().stop(RUNS[1], history_of([0.6]))
    journal.unlink()
    assert worker().stop(RUNS[1], history_of([0.6])) is None


def test_a_journal_of_which_one_accuracy_has_changed_is_an_error(worker, tmp_path):
    """Every byte of the accuracies that decide is covered, though each line stays JSON."""
    worker().stop(RUNS[0], history_of([0.5, 0.6]))
    journal = tmp_path / "studies" / "study.journal"
    text = journal.read_text()
    assert "0.5" in text
    journal.write_text(text.replace("0.5", "0.4", 1))
    with pytest.raises(
        RepriseError,
        match=r"study\.journal: not a journal .*its content does not match its own digest.*; stop",
    ):
        worker().stop(RUNS[1], history_of([0.6]))


def test_the_lock_of_a_killed_worker_is_broken(tmp_path, monkeypatch):
    """Also where the journal's path is relative: the lock is a link, and Optuna waits for ever if it points
    nowhere.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "STALE_LOCK_S", 3)
    JournalPruner(RUNS, Path("runs"), Path("study.journal"))
    (tmp_path / "study.journal.lock").symlink_to(tmp_path / "study.journal")
    assert JournalPruner(RUNS, Path("runs"), Path("study.journal")).stop(RUNS[0], history_of([0.5])) is None
    assert not (tmp_path / "study.journal.lock").is_symlink()


# ---- who trains what ----


def test_trials_are_taken_in_order_and_held(tmp_path):
    publish_trial(tmp_path, RUNS[0], history_of([0.5] * 6), "finished")
    one, other = take_trials(RUNS, tmp_path), take_trials(RUNS, tmp_path)
    assert next(one) == RUNS[1]
    assert next(other) == RUNS[2]
    assert list(take_trials(RUNS, tmp_path)) == []  # a third worker has nothing to do
    publish_trial(tmp_path, RUNS[2], history_of([0.5] * 6), "finished")
    assert list(other) == []
    one.close()  # its worker ends, with trial 1 unfinished
    assert list(take_trials(RUNS, tmp_path)) == [RUNS[1]]


def test_without_locks_there_are_no_workers(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(
        RepriseError,
        match=r"this file system has no locks, so workers cannot share a study; train it with one$",
    ):
        next(take_trials(RUNS, tmp_path))


def test_a_trial_that_fails_stops_no_other(tmp_path, monkeypatch):
    trained = []

    def fail(runs, **options):
        trained.extend(runs)
        if runs == [RUNS[1]]:
            raise RepriseError("run 1: no")
        return runs

    monkeypatch.setattr(workers, "train", fail)
    with pytest.raises(RepriseError, match=r"^run 1: no$"):
        work(RUNS, cache=tmp_path / "runs", journal=tmp_path / "study.journal")
    assert trained == RUNS


WORK = """
import sys, time
from pathlib import Path
from reprise.search.workers import work
from studies import study_runs

data, cache, journal = map(Path, sys.argv[1:4])

def tell(epoch, step, loss):
    print(epoch, step, flush=True)
    if sys.argv[4] == "hang" and epoch == 3:
        time.sleep(100)

work(study_runs(6, 1, 2, training__epochs=6), cache=cache, journal=journal, dataset_dirs={"cifar10": data},
     device="cpu", threads=1, checkpoint_seconds=0, on_step=tell,
     on_finished=lambda run: print("done", run.hash, flush=True))
"""


class Lenient:
    in_order = True

    def stop(self, run, history):
        return None


@pytest.mark.slow
def test_two_workers_one_of_them_killed(tmp_path):
    data, cache, free = write_dataset(tmp_path / "data"), tmp_path / "runs", tmp_path / "free"
    runs = study_runs(6, 1, 2, training__epochs=6)
    paths = [
        str(Path(__file__).parent),
        str(Path(__file__).parents[1]),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    command = [sys.executable, "-c", WORK, str(data), str(cache), str(tmp_path / "study.journal")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen([*command, "hang"], stdout=subprocess.PIPE, text=True, env=environment) as doomed:
        while doomed.stdout.readline().split() != ["3", "0"]:  # it has taken trial 0
            assert doomed.poll() is None
        with subprocess.Popen(
            [*command, "go"], stdout=subprocess.PIPE, text=True, env=environment
        ) as survivor:
            first = survivor.stdout.readline()
            doomed.send_signal(signal.SIGKILL)
            lines = [first, *survivor.stdout]
    assert (doomed.returncode, survivor.returncode) == (-9, 0)
    trained, epochs = {}, []
    for word, value in map(str.split, lines):
        if word == "done":
            trained[value], epochs = epochs, []
        else:
            epochs.append(int(word))
    assert next(iter(trained)) == runs[1].hash  # it has not waited for trial 0
    assert trained.keys() == {run.hash for run in runs}
    assert (trained[runs[1].hash][0], trained[runs[0].hash][0]) == (
        1,
        3,
    )  # trial 0 taken over, with its finished epochs

    train(runs, dataset_dirs={"cifar10": data}, cache=free, device="cpu", pruner=Lenient())
    ends = []
    for run in runs:
        meta = read_json(cache / run.hash / "run.json")["meta"]
        assert meta["judged_in_order"] is False
        ends.append(meta["stopped"].split()[0])
        found, uncut = (pd.read_parquet(folder / run.hash / "history.parquet") for folder in (cache, free))
        pd.testing.assert_frame_equal(
            found, uncut.head(len(found)), check_exact=True
        )  # ended somewhere, but else the same
    assert set(ends) == {"finished", "pruned"}
    with pytest.raises(RepriseError, match="trial 0 was judged by several workers"):
        AshaPruner(cache).stop(runs[1], history_of([0.5]))
