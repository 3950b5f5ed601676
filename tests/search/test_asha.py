"""Every decision of a study against answers computed by hand, and by the published rule written down a second
time.
"""

import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from studies import history_of, publish_trial, rows, study_runs, train_study, train_trial

from reprise.errors import RepriseError
from reprise.files import read_json
from reprise.reports.settings import Rungs, rung_epochs
from reprise.search.asha import AshaPruner, Halving, check_study, read_history, trial_order
from reprise.training.engine import train
from tiny import tiny_run, write_dataset

CURVES = [  # accuracy in percent: one line per trial, epochs 1 to 10
    [40, 45, 50, 52, 54, 55, 56, 57, 58, 59],
    [30, 35, 60, 61, 62, 63, 64, 65, 66, 67],
    [50, 48, 46, 51, 52, 53, 54, 55, 56, 57],
    [45, 47, 55, 56, 57, 58, 59, 60, 61, 62],
    [50, 30, 50, 51, 52, 53, 54, 56, 57, 99],
    [49, 48, 48, 53, 54, 55, 55, 56, 90, 91],
    [55, 46, 60, 61, 62, 64, 66, 68, 70, 71],
    [50, 52, 55, 53, 56, 57, 57, 58, 59, 60],
    [51, 47, 60, 52, 61, 63, 65, 67, 69, 70],
    [50, 46, 59, 60, 61, 62, 63, 64, 65, 66],
    [49, 50, 61, 55, 50, 40, 60, 65, 70, 72],
    [20, 40, 60, 62, 63, 64, 66, 68, 69, 70],
]
ACCURACIES = [[value / 100 for value in curve] for curve in CURVES]

BY_HAND = {
    # rung 0, epoch 1, in the order of the trials; of n trials the best n // 3 pass, or the best one while n <
    # 3:
    #   40 alone · 30 < 40 ends · 50 · 45 < 50 ends · 50 equals · of 6 the best two, 50 and 50: 49 ends · 55 ·
    #   50 is second of 8 · of 9 the best three, 55 51 50: 51 · 50 equals the third of 10 · 49 of 11 ends · 20
    #   of 12 ends
    # rung 1, epoch 3: 50 alone · trial 2's 46 < 50 ends, though its best, at epoch 1, was 50 · 50 equals · 60
    # · 55 < 60 (of 5 one) ends ·
    #   60 equals (of 6 two: 60, 60) · 59 of 7 ends
    # rung 2, epoch 9: 58 alone · 57 < 58 ends · 70 · 69 < 70 (of 4 one) ends
    (1, 3): [10, 1, 3, 1, 9, 1, 10, 3, 9, 3, 1, 1],
    # rung 0, epoch 1; the best n // 2: 40 · 30 ends · 50 · 45 is second of 4 · 50 · 49 is third of 6 · 55 ·
    # 50 · 51 · 50 ·
    #   of 11 five, 55 51 50 50 50: 49 ends · 20 ends
    # rung 1, epoch 2: 45 · 48 · 47 < 48 (of 3 one) ends · 30 ends · 48 equals · of 6 three, 48 48 47: 46 ends
    # · 52 ·
    #   47 equals the fourth of 8 · 46 of 9 ends
    # rung 2, epoch 4: 52 · 51 ends · 53 · 53 · of 5 two, 53 53: 52 ends
    # rung 3, epoch 8: 57 · 56 ends · 58
    (1, 2): [10, 1, 4, 2, 2, 8, 2, 10, 4, 2, 1, 1],
    # rung 0, epoch 3: 50 · 60 · 46 ends · 55 ends · 50 ends · of 6 two, 60 55: 48 ends · 60 · 55 of 8 ends ·
    # 60 · 59 of 10 ends · 61 ·
    #   of 12 four, 61 60 60 60: 60 equals
    # rung 1, epoch 9: 58 · 66 · 70 · 69 (of 4 one) ends · 70 equals · of 6 two, 70 70: 69 ends
    (3, 3): [10, 10, 3, 3, 3, 3, 10, 3, 9, 3, 10, 9],
    # rung 0, epoch 3: 50 · 60 · 46 ends · 55 is second of 4 · 50 of 5 ends · 48 ends · 60 · 55 equals the
    # fourth of 8 · 60 · 59 · 61 · 60 rung 1, epoch 6: 55 · 63 · 58 of 3 ends · 64 · 57 ends · 63 equals the
    # third of 6 · 62 of 7 ends · 40 ends · 64
    (3, 2): [10, 10, 3, 6, 3, 3, 10, 6, 10, 6, 6, 10],
}


def published_rule(curves, min_resource, reduction_factor):
    """Epochs that each trial is trained, by the rule as Li et al. and Ray Tune state it, without Optuna."""
    recorded, ends = {}, []
    for curve in curves:
        end = len(curve)
        for epoch, accuracy in enumerate(curve[:-1], 1):
            power = round(math.log(epoch / min_resource, reduction_factor)) if epoch >= min_resource else 0
            if epoch != min_resource * reduction_factor**power:
                continue
            rung = recorded.setdefault(epoch, [])
            rung.append(accuracy)
            if sum(other > accuracy for other in rung) >= max(1, len(rung) // reduction_factor):
                end = epoch
                break
        ends.append(end)
    return ends


@pytest.mark.parametrize(("rule", "expected"), BY_HAND.items(), ids=str)
def test_every_decision_equals_the_one_computed_by_hand(tmp_path, rule, expected):
    runs = study_runs(len(CURVES), *rule, training__epochs=10)
    ends = train_study(AshaPruner(tmp_path), runs, ACCURACIES, tmp_path)
    assert [epochs for epochs, _ in ends] == expected
    assert [reason is None for _, reason in ends] == [epochs == 10 for epochs in expected]
    assert published_rule(ACCURACIES, *rule) == expected
    check_study(runs, tmp_path)


def test_the_reason_names_rung_epoch_value_and_competitors(tmp_path):
    runs = study_runs(len(CURVES), 1, 2, training__epochs=10)
    reasons = [reason for _, reason in train_study(AshaPruner(tmp_path), runs, ACCURACIES, tmp_path)]
    assert reasons[0] is None
    assert reasons[1] == "pruned at rung 0 (epoch 1): 0.3000 is not the best of 2"
    assert reasons[8] == "pruned at rung 2 (epoch 4): 0.5200 is not among the best 2 of 5"
    assert reasons[10] == "pruned at rung 0 (epoch 1): 0.4900 is not among the best 5 of 11"


def test_random_studies_equal_the_published_rule(tmp_path):
    generator = random.Random(5)
    for number in range(30):
        rule = generator.randint(1, 3), generator.randint(2, 4)
        epochs = generator.randint(2, 20)
        curves = [
            [generator.randint(0, 12) / 12 for _ in range(epochs)] for _ in range(9)
        ]  # a dozen values: many ties
        halving, ends = Halving(Rungs(min_resource=rule[0], reduction_factor=rule[1])), []
        for curve in curves:
            halving.begin()
            ended = next((epoch for epoch, value in enumerate(curve[:-1], 1) if halving.report(value)), None)
            if ended is None:
                halving.report(curve[-1])
            ends.append(ended or epochs)
        assert ends == published_rule(curves, *rule), (number, rule, curves)


@pytest.mark.parametrize(
    ("rule", "epochs", "expected"),
    [((1, 3), 30, [1, 3, 9, 27]), ((3, 2), 12, [3, 6, 12]), ((4, 4), 3, [])],
    ids=str,
)
def test_epochs_of_the_rungs(rule, epochs, expected):
    assert rung_epochs(Rungs(min_resource=rule[0], reduction_factor=rule[1]), epochs) == expected


def test_a_last_epoch_that_is_a_rung_ends_no_trial_but_counts(tmp_path):
    """Epoch 3 is rung 1 and the last one of the short trials; the fourth trial may train for longer."""
    short, rule = study_runs(3, 1, 3, training__epochs=3), {"min_resource": 1, "reduction_factor": 3}
    assert (
        train_study(
            AshaPruner(tmp_path), short, [[0.5, 0.5, 0.9], [0.6, 0.5, 0.2], [0.7, 0.5, 0.5]], tmp_path
        )
        == [(3, None)] * 3
    )
    long = study_runs(1, training__epochs=9)[0]
    spec = {**long.spec, "study": {"trial": 3, "after": short[-1].hash, **rule}}
    reason = AshaPruner(tmp_path).stop(type(long)(spec), history_of([0.8, 0.8, 0.8]))
    assert reason == "pruned at rung 1 (epoch 3): 0.8000 is not the best of 4"


# ---- other ends of a trial ----


def test_a_trial_that_diverged_counts_at_no_rung_it_diverged_at(tmp_path):
    """Were trial 1 counted at rung 0, trial 3 would be one of four there, and of four the best two pass."""
    runs = study_runs(4, 1, 2, training__epochs=8)
    judge = AshaPruner(tmp_path)
    assert train_trial(judge, runs[0], [0.5] * 8, tmp_path) is None
    publish_trial(tmp_path, runs[1], rows(1, 0.1, loss=math.nan), "diverged")
    assert train_trial(judge, runs[2], [0.6] * 8, tmp_path) is None
    reason = train_trial(judge, runs[3], [0.55] * 8, tmp_path)
    assert reason == "pruned at rung 0 (epoch 1): 0.5500 is not the best of 3"
    check_study(runs, tmp_path)


def test_a_trial_that_diverged_later_counts_at_the_rungs_before(tmp_path):
    runs = study_runs(3, 1, 3, training__epochs=8)
    publish_trial(tmp_path, runs[0], [*rows(1, 0.7), *rows(2, 0.7), *rows(3, 0.9, loss=math.inf)], "diverged")
    assert (
        train_trial(AshaPruner(tmp_path), runs[1], [0.6] * 8, tmp_path)
        == "pruned at rung 0 (epoch 1): 0.6000 is not the best of 2"
    )
    assert (
        train_trial(AshaPruner(tmp_path), runs[2], [0.8, 0.8, 0.2, *[0.8] * 5], tmp_path) is None
    )  # alone at rung 1, epoch 3


def test_a_trial_that_stopped_by_its_own_rule_counts_at_its_rungs(tmp_path):
    rule = {"monitor": "accuracy", "patience": 3}
    runs = study_runs(2, 1, 2, training__epochs=8, training__early_stop=rule)
    publish_trial(tmp_path, runs[0], history_of([0.5, 0.5, 0.5, 0.5]), "early stop")
    assert train_trial(AshaPruner(tmp_path), runs[1], [0.5, 0.5, 0.9, 0.4, 0.9], tmp_path) == (
        "pruned at rung 2 (epoch 4): 0.4000 is not the best of 2"
    )


# ---- repeatable, whatever happens in between ----


@pytest.mark.slow
def test_decisions_are_the_same_with_a_new_judge_for_every_question(tmp_path):
    class Forgetful:
        def stop(self, run, history):
            return AshaPruner(tmp_path).stop(run, history)

    runs = study_runs(len(CURVES), 1, 2, training__epochs=10)
    assert [epochs for epochs, _ in train_study(Forgetful(), runs, ACCURACIES, tmp_path)] == BY_HAND[1, 2]


def test_asked_twice_the_judge_says_the_same(tmp_path):
    runs = study_runs(2, 1, 2, training__epochs=4)
    judge = AshaPruner(tmp_path)
    train_trial(judge, runs[0], [0.5] * 4, tmp_path)
    once = judge.stop(runs[1], history_of([0.4]))
    assert once == "pruned at rung 0 (epoch 1): 0.4000 is not the best of 2"
    assert judge.stop(runs[1], history_of([0.4])) == once
    assert judge.stop(runs[1], history_of([0.5])) is None  # the trial has begun again


def test_a_shorter_search_has_the_same_first_trials():
    assert study_runs(3) == study_runs(5)[:3]


def spoil(cache, run, curve, stopped="finished"):
    publish_trial(cache, run, history_of(curve), stopped)


@pytest.mark.parametrize(
    ("trial", "curve", "stopped", "message"),
    [
        (
            1,
            [0.3] * 4,
            "finished",
            "trial 1 goes on after epoch 1, though the trials before it end it (pruned at rung 0 (epoch 1): "
            "0.3000",
        ),
        (
            2,
            [0.8] * 2,
            "pruned at rung 1",
            "trial 2 ends after epoch 2, though the trials before it let it go on",
        ),
        (0, [0.9] * 4, "finished", "trial 2 goes on after epoch 1, though the trials before it end it"),
    ],
    ids=["went on", "ended", "an earlier one changed"],
)
def test_trials_that_do_not_fit_each_other_are_an_error(tmp_path, trial, curve, stopped, message):
    runs = study_runs(4, 1, 2, training__epochs=4)
    train_study(AshaPruner(tmp_path), runs[:3], [[0.5] * 4, [0.4] * 4, [0.8] * 4], tmp_path)
    spoil(tmp_path, runs[trial], curve, stopped)
    with pytest.raises(RepriseError) as error:
        AshaPruner(tmp_path).stop(runs[3], history_of([0.9]))
    assert message in str(error.value)
    assert "delete its folder and those of the trials after it" in str(error.value)
    with pytest.raises(RepriseError, match=r"^.*: trial \d "):
        check_study(runs, tmp_path)


def test_a_checkpoint_that_went_on_where_the_trial_ends_is_an_error(tmp_path):
    runs = study_runs(2, 1, 2, training__epochs=4)
    train_trial(AshaPruner(tmp_path), runs[0], [0.5] * 4, tmp_path)
    with pytest.raises(RepriseError, match=r"trial 1 goes on after epoch 1, where it was pruned at rung 0"):
        AshaPruner(tmp_path).stop(runs[1], history_of([0.4, 0.6]))


def test_an_unfinished_predecessor_is_an_error(tmp_path):
    runs = study_runs(3)
    with pytest.raises(
        RepriseError,
        match=f"^run {runs[2].hash}: trial 1 \\(run {runs[1].hash}\\) has no result in .*; train it first$",
    ):
        AshaPruner(tmp_path).stop(runs[2], history_of([0.5]))


def test_a_predecessor_of_another_study_is_an_error(tmp_path):
    runs, other = study_runs(2, 1, 2, training__epochs=3), study_runs(1, 1, 3, training__epochs=3)[0]
    train_trial(AshaPruner(tmp_path), other, [0.5] * 3, tmp_path)
    spec = {**runs[1].spec, "study": {**runs[1].spec["study"], "after": other.hash}}
    with pytest.raises(
        RepriseError, match=f"says that run {other.hash} is the trial before it, which it is not"
    ):
        AshaPruner(tmp_path).stop(type(other)(spec), history_of([0.5]))


def test_trials_that_several_workers_judged_are_no_ground_for_repeatable_ones(tmp_path):
    runs = study_runs(2, 1, 2, training__epochs=4)
    train_trial(AshaPruner(tmp_path), runs[0], [0.5] * 4, tmp_path, judged_in_order=False)
    with pytest.raises(
        RepriseError,
        match="trial 0 was judged by several workers, which cannot be repeated; go on with several workers, "
        "or",
    ):
        AshaPruner(tmp_path).stop(runs[1], history_of([0.5]))
    check_study(runs, tmp_path)  # says nothing of such trials


@pytest.mark.parametrize(
    "runs", [study_runs(3)[1:], [*study_runs(2), *study_runs(2, 2)], [*study_runs(2), study_runs(3, 2)[2]]]
)
def test_runs_that_are_not_one_study_are_an_error(runs):
    with pytest.raises(
        RepriseError,
        match=r"is not trial \d of the same study; give all trials of one study, from trial 0 on$",
    ):
        trial_order(runs)


def test_a_run_that_is_no_trial_is_an_error():
    with pytest.raises(RepriseError, match="is not a trial of a study"):
        trial_order([tiny_run()])


def test_without_optuna_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        RepriseError, match=r"judged by optuna, which is not installed; install it with: pip install optuna$"
    ):
        AshaPruner(tmp_path)


@pytest.mark.filterwarnings("error")
def test_optuna_is_silent(tmp_path, capfd):
    train_study(
        AshaPruner(tmp_path), study_runs(3, training__epochs=3), [[0.5] * 3, [0.4] * 3, [0.6] * 3], tmp_path
    )
    assert capfd.readouterr() == ("", "")


# ---- with the engine ----

TRAIN = """
import sys, time
from pathlib import Path
from reprise.search.asha import AshaPruner
from reprise.training.engine import train
from studies import study_runs

def slowly(epoch, step, loss):
    print(epoch, step, flush=True)
    time.sleep(0.02)

cache = Path(sys.argv[2])
train(study_runs(5, 1, 2, training__epochs=6), dataset_dirs={"cifar10": Path(sys.argv[1])}, cache=cache,
      device="cpu", threads=1, checkpoint_seconds=0, pruner=AshaPruner(cache), on_step=slowly)
"""


def engine_study(data, cache, runs, **options):
    return train(
        runs, dataset_dirs={"cifar10": data}, cache=cache, device="cpu", pruner=AshaPruner(cache), **options
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_a_study_killed_and_resumed_equals_one_that_was_not(data, tmp_path):
    runs, whole, trial, epoch = study_runs(5, 1, 2, training__epochs=6), tmp_path / "whole", 2, 3
    engine_study(data, whole, runs)
    paths = [
        str(Path(__file__).parent),
        str(Path(__file__).parents[1]),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    command = [sys.executable, "-c", TRAIN, str(data), str(tmp_path / "killed")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    ) as process:
        begun = -1
        for line in process.stdout:
            begun += line.split() == ["1", "0"]
            if begun == trial and line.split() == [str(epoch), "2"]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -9
    killed = tmp_path / "killed"
    assert [(killed / run.hash / "run.json").exists() for run in runs] == [True, True, False, False, False]

    epochs = []
    engine_study(data, killed, runs, on_step=lambda epoch, step, loss: epochs.append(epoch))
    assert epochs[0] == epoch  # the finished ones are not trained again
    ends = set()
    for run in runs:
        one, other = (pd.read_parquet(folder / run.hash / "history.parquet") for folder in (killed, whole))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        one, other = (
            read_json(folder / run.hash / "run.json")["meta"]["stopped"] for folder in (killed, whole)
        )
        assert one == other
        ends.add(one.split()[0])
    assert ends == {"finished", "pruned"}
    check_study(runs, killed)


def test_the_engine_trains_what_the_published_rule_says(data, tmp_path):
    """The accuracies that the trials would have had are those of the same runs with a judge that ends
    none.
    """
    runs = study_runs(6, 1, 2, training__epochs=5)

    class Lenient:
        in_order = True

        def stop(self, run, history):
            return None

    free, judged = tmp_path / "free", tmp_path / "judged"
    train(runs, dataset_dirs={"cifar10": data}, cache=free, device="cpu", pruner=Lenient())
    curves = [
        [row["accuracy"] for row in read_history(free / run.hash) if row["split"] == "validation"]
        for run in runs
    ]
    engine_study(data, judged, runs)
    assert {len(curve) for curve in curves} == {5}
    assert 1 in published_rule(curves, 1, 2)
    assert [len(read_history(judged / run.hash)) // 2 for run in runs] == published_rule(curves, 1, 2)


def test_a_trial_that_diverges_in_the_engine_is_a_result(data, tmp_path):
    runs = study_runs(2, 1, 2, training__epochs=3, optimizer__name="sgd", optimizer__lr=1e30)
    engine_study(data, tmp_path / "runs", runs)
    ends = [read_json(tmp_path / "runs" / run.hash / "run.json")["meta"]["stopped"] for run in runs]
    assert ends == ["diverged", "diverged"]
    check_study(runs, tmp_path / "runs")
