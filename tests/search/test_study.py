"""The table and the leaderboard of studies that are finished, half-way or not begun."""

import fcntl
import math
import random

import pandas as pd
import pytest
import torch
from studies import history_of, publish_trial, rows, study_runs, train_study

from reprise.errors import RepriseError
from reprise.search.asha import AshaPruner
from reprise.search.study import STUDY_COLUMNS, _broken, leaderboard, read_study, write_study
from reprise.training.checkpoint import write_checkpoint
from tiny import tiny_run

RUNS = study_runs(7, 1, 3, training__epochs=10)
AXES = {
    "optimizer": ["adam", "sgd"],
    "lr": [0.0039, 0.01],
    "batch_norm": [True, False],
    "momentum": [0.9, 0.9],
}
SETTINGS = {
    run.hash: {"trial": number, **{axis: values[number % 2] for axis, values in AXES.items()}}
    for number, run in enumerate(RUNS)
}


@pytest.fixture
def half(tmp_path):
    """Seven trials: finished, pruned twice, diverged, stopped early, being trained, not begun."""
    publish_trial(
        tmp_path, RUNS[0], history_of([0.4, 0.5, 0.5, 0.6, 0.7, 0.7, 0.6, 0.6, 0.6, 0.6]), "finished"
    )
    publish_trial(
        tmp_path, RUNS[1], history_of([0.3]), "pruned at rung 0 (epoch 1): 0.3000 is not the best of 2"
    )
    publish_trial(
        tmp_path,
        RUNS[2],
        history_of([0.5, 0.5, 0.4]),
        "pruned at rung 1 (epoch 3): 0.4000 is not the best of 2",
    )
    publish_trial(tmp_path, RUNS[3], [*rows(1, 0.6), *rows(2, 0.9, loss=math.nan)], "diverged")
    publish_trial(tmp_path, RUNS[4], history_of([0.6, 0.6, 0.6, 0.6]), "early stop")
    (tmp_path / RUNS[5].hash).mkdir()
    state = {"seconds": 3.5, "history": history_of([0.7, 0.8]), "model": {"weight": torch.zeros(3)}}
    write_checkpoint(tmp_path / RUNS[5].hash / "checkpoint.pt", {"run": RUNS[5].hash, "state": state})
    with (tmp_path / RUNS[5].hash / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def test_one_row_per_trial(half):
    table = read_study(RUNS[::-1], half, SETTINGS)
    assert list(table.columns) == [
        *STUDY_COLUMNS,
        "optimizer",
        "lr",
        "batch_norm",
    ]  # momentum never varies, the trial has its column
    assert list(table["trial"]) == list(range(7))
    assert list(table["run"]) == [run.hash for run in RUNS]
    assert list(table["state"]) == [
        "finished",
        "pruned",
        "pruned",
        "diverged",
        "early stop",
        "running",
        "waiting",
    ]
    assert list(table["epochs"]) == [10, 1, 3, 2, 4, 2, 0]
    assert list(table["rung"].fillna(-1)) == [2, 0, 1, 0, 1, 0, -1]  # rungs lie at epochs 1, 3, 9
    assert list(table["best_validation_accuracy"].fillna(0)) == [
        0.7,
        0.3,
        0.5,
        0.6,
        0.6,
        0.8,
        0,
    ]  # not what a diverged epoch says
    assert list(table["best_epoch"].fillna(0)) == [5, 1, 1, 1, 1, 2, 0]
    assert list(table["best_training_accuracy"].fillna(0)) == [0.35, 0.15, 0.25, 0.3, 0.3, 0.4, 0]
    assert list(table["seconds"].fillna(0)) == [20, 2, 6, 4, 8, 3.5, 0]
    assert table["stopped"][1] == "pruned at rung 0 (epoch 1): 0.3000 is not the best of 2"
    assert table["stopped"][5:].isna().all()
    assert list(table["lr"][:3]) == [0.0039, 0.01, 0.0039]


def test_leaderboard(half):
    text = leaderboard(read_study(RUNS, half, SETTINGS))
    assert text.splitlines() == [
        "                                   best     at    best                     batch",
        "trial  state       epochs  rung  valid.  epoch   train  optimizer      lr  norm",
        "    5  running       2/10     0  0.8000      2  0.4000  sgd          0.01  false",
        "    0  finished     10/10     2  0.7000      5  0.3500  adam       0.0039  true",
        "    3  diverged      2/10     0  0.6000      1  0.3000  sgd          0.01  false",
        "    4  early stop    4/10     1  0.6000      1  0.3000  adam       0.0039  true",
        "    2  stopped       3/10     1  0.5000      1  0.2500  adam       0.0039  true",
        "    1  stopped       1/10     0  0.3000      1  0.1500  sgd          0.01  false",
        "    6  waiting                                          adam       0.0039  true",
        "",
        "7 trials: 1 finished, 2 stopped, 1 early stop, 1 diverged, 1 running, 1 waiting",
        f"best: trial 5 (run {RUNS[5].hash}), validation accuracy 0.8000 at epoch 2",
        "stopped at rung 0 (epoch 1): 1 of 5 that reached it",
        "stopped at rung 1 (epoch 3): 1 of 3 that reached it",
        "20 of 50 epochs of the trials that have ended: 60 % saved",
    ]


@pytest.mark.parametrize(
    ("word", "longest", "parts"),
    [
        ("optimizer", 9, ["optimizer"]),
        ("optimizer", 8, ["optimiz-", "er"]),
        ("augmentation", 7, ["augmen-", "tation"]),
        ("optimizer.weight", 12, ["optimizer.", "weight"]),
        ("a.b.c", 4, ["a.b.", "c"]),
        ("regularization.parameters", 8, ["regular-", "ization.", "paramet-", "ers"]),
    ],
)
def test_a_long_word_of_a_heading_is_broken_and_loses_nothing(word, longest, parts):
    assert _broken(word, longest) == parts
    assert max(map(len, parts)) <= longest


def test_a_study_that_has_not_begun(tmp_path):
    table = read_study(RUNS, tmp_path, SETTINGS)
    assert set(table["state"]) == {"waiting"}
    assert leaderboard(table).splitlines()[-1] == "7 trials: 7 waiting"


def test_a_checkpoint_without_a_process_waits_for_one(tmp_path):
    (tmp_path / RUNS[0].hash).mkdir()
    write_checkpoint(
        tmp_path / RUNS[0].hash / "checkpoint.pt", {"state": {"seconds": 3.5, "history": history_of([0.7])}}
    )
    (tmp_path / RUNS[0].hash / ".lock").touch()
    (tmp_path / RUNS[1].hash).mkdir()
    (tmp_path / RUNS[1].hash / "checkpoint.pt").write_bytes(b"damaged")
    table = read_study(RUNS, tmp_path, {})
    assert list(table["state"][:2]) == ["waiting", "waiting"]
    assert list(table["epochs"][:2]) == [1, 0]


@pytest.mark.slow
def test_thirty_trials_with_many_settings_stay_within_120_characters(tmp_path):
    generator = random.Random(0)
    runs = study_runs(30, 1, 3, training__epochs=30)
    train_study(AshaPruner(tmp_path), runs, [[generator.random() for _ in range(30)] for _ in runs], tmp_path)
    axes = ("lr", "optimizer", "weight_decay", "dropout", "batch_norm", "xavier", "seed", "augmentation")
    values = [
        (10 ** generator.uniform(-4, -2), "adam", 10 ** generator.uniform(-3, -2), 0.1, True, False, 42, True)
        for _ in runs
    ]
    values[0] = (0.01, "sgd", 0.01, 0.5, False, True, 7, False)
    settings = {
        run.hash: dict(zip(axes, drawn, strict=True)) for run, drawn in zip(runs, values, strict=True)
    }
    table = read_study(runs, tmp_path, settings)
    lines = leaderboard(table).splitlines()
    assert max(map(len, lines)) <= 120
    head = next(place for place, line in enumerate(lines) if line.split()[0].isdigit())
    headings = [word for line in lines[:head] for word in line.split()]
    assert not [word for word in headings if word.endswith(".") and word != "valid."], "a word is cut"
    assert len(lines) == head + 30 + 1 + 2 + len(set(table["rung"][table["state"] == "pruned"])) + 1
    epochs = table["epochs"].sum()
    assert lines[-1] == f"{epochs} of 900 epochs: {round(100 - epochs / 9)} % saved"
    best = table["best_validation_accuracy"].max()
    assert f"{best:.4f}" in lines[head]


def test_a_study_judged_by_several_workers_says_so(tmp_path):
    publish_trial(tmp_path, RUNS[0], history_of([0.4] * 10), "finished", judged_in_order=False)
    table = read_study(RUNS, tmp_path, {})
    assert list(table["judged_in_order"].fillna(True)) == [False] + [True] * 6
    assert leaderboard(table).splitlines()[-1].startswith("judged by several workers: ")


def test_a_setting_never_takes_the_place_of_a_column(tmp_path):
    table = read_study(RUNS, tmp_path, {run.hash: {"epochs": number} for number, run in enumerate(RUNS)})
    assert list(table["epochs"]) == [0] * 7
    assert list(table["epochs (setting)"]) == list(range(7))


def test_csv(half, tmp_path):
    table = read_study(RUNS, half, SETTINGS)
    write_study(table, tmp_path / "tables" / "study.csv")
    again = pd.read_csv(tmp_path / "tables" / "study.csv")
    assert list(again.columns) == list(table.columns)
    assert list(again["best_validation_accuracy"].fillna(0)) == [0.7, 0.3, 0.5, 0.6, 0.6, 0.8, 0]
    assert list(again["state"]) == list(table["state"])


def test_other_runs_are_an_error(tmp_path):
    with pytest.raises(RepriseError, match="is not a trial of a study; name an experiment with asha"):
        read_study([tiny_run()], tmp_path, {})
