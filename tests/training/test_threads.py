"""How many CPU threads a run takes: as many as pay, the same from its first step to its last."""

import sys
import time

import pandas as pd
import pytest
import torch

from reprise.evaluation import evaluate
from reprise.training import threads as thread_choice
from reprise.training.checkpoint import Checkpoint
from reprise.training.engine import train
from reprise.training.inference import predict
from reprise.training.threads import fastest_threads
from tiny import everything, tiny_run, write_dataset


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture(autouse=True)
def threads_of_torch():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("milliseconds", "most", "chosen", "tried"),
    [
        ({1: 4, 2: 30}, 2, 1, [1, 2]),  # a shared machine
        ({1: 4, 2: 3.9}, 2, 1, [1, 2]),  # faster, but not worth a core
        ({1: 4, 2: 2}, 2, 2, [1, 2]),
        ({1: 16, 2: 8, 4: 4}, 4, 4, [1, 2, 4]),
        (
            {1: 16, 2: 8, 4: 7.9, 8: 1},
            8,
            2,
            [1, 2, 4],
        ),  # who stands in the way of four stands in that of eight
        ({1: 16, 2: 8, 3: 5}, 3, 3, [1, 2, 3]),
        ({1: 16, 2: 8, 4: 4, 6: 3}, 6, 6, [1, 2, 4, 6]),
        ({1: 4}, 1, 1, [1]),
    ],
)
def test_the_number_that_pays(milliseconds, most, chosen, tried, monkeypatch):
    clock, threads = [0.0], []

    def step():
        threads.append(torch.get_num_threads())
        clock[0] += milliseconds[threads[-1]] / 1e3

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    found, paces = fastest_threads(step, most)
    assert (found, torch.get_num_threads()) == (chosen, chosen)
    assert list(paces) == list(dict.fromkeys(threads)) == tried
    assert paces == pytest.approx({count: milliseconds[count] / 1e3 for count in tried})


def test_the_first_step_with_each_number_does_not_count(monkeypatch):
    clock, steps = [0.0], []

    def step():
        steps.append(torch.get_num_threads())
        first = steps.count(steps[-1]) == 1
        clock[0] += 5 if first else 0.1 / steps[-1]

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert fastest_threads(step, 2) == (2, pytest.approx({1: 0.1, 2: 0.05}))


@pytest.fixture
def tried(monkeypatch):
    """What the trial answers is in the hand of the test; the list has one entry a trial."""
    answers, trials = [2], []

    def trial(step, most):
        step()
        trials.append(most)
        torch.set_num_threads(answers[0])
        return answers[0], {1: 0.2, 2: 0.1}

    monkeypatch.setattr(thread_choice, "fastest_threads", trial)
    return answers, trials


def go(dirs, cache, runs, **options):
    threads = []
    outcomes = train(
        runs,
        dataset_dirs=dirs,
        cache=cache,
        device="cpu",
        on_step=lambda epoch, step, loss: threads.append(torch.get_num_threads()),
        **options,
    )
    return [outcome.meta["threads"] for outcome in outcomes], set(threads)


@pytest.mark.parametrize("answer", [1, 2])
def test_a_run_takes_what_the_trial_answers_and_says_so(dirs, tmp_path, tried, capsys, answer):
    answers, trials = tried
    answers[0] = answer
    assert go(dirs, tmp_path, [tiny_run()], threads=2) == ([answer], {answer})
    assert trials == [2]
    assert f"{answer} of 2 threads (a step takes 200.0 ms with 1, 100.0 ms with 2)" in capsys.readouterr().err


def test_runs_of_equal_steps_are_tried_once(dirs, tmp_path, tried):
    runs = [tiny_run(seeds__init=seed, optimizer__lr=0.001) for seed in range(3)]
    go(dirs, tmp_path, [*runs, tiny_run(training__batch_size=16)], threads=2)
    assert len(tried[1]) == 2


@pytest.mark.parametrize("options", [{"threads": 2, "exact_threads": True}, {"threads": 1}])
def test_no_trial_where_there_is_no_choice(dirs, tmp_path, tried, options):
    assert go(dirs, tmp_path, [tiny_run()], **options) == ([options["threads"]], {options["threads"]})
    assert tried[1] == []


def test_a_trial_leaves_no_trace_in_the_run(dirs, tmp_path, tried):
    """Batch normalisation, dropout, augmentation and the optimiser's state have been through the trial's
    step.
    """
    tried[0][0] = 1
    histories = []
    for name, threads in (("tried", 2), ("untried", 1)):
        run = everything()
        go(dirs, tmp_path / name, [run], threads=threads)
        histories.append(pd.read_parquet(tmp_path / name / run.hash / "history.parquet"))
    assert tried[1] == [2]
    pd.testing.assert_frame_equal(*histories)


class Enough(BaseException):
    pass


@pytest.mark.parametrize(
    ("begun", "most", "goes_on", "said"),
    [(2, 2, 2, False), (1, 2, 1, False), (2, 1, 1, True), (4, 2, 2, True)],
)
def test_a_resumed_run_goes_on_with_the_threads_that_it_began_with(
    dirs, tmp_path, tried, capsys, begun, most, goes_on, said
):
    answers, trials = tried
    answers[0] = begun

    def stop(epoch, step, loss):
        if epoch == 2:
            raise Enough

    run, options = tiny_run(), {"dataset_dirs": dirs, "cache": tmp_path, "device": "cpu"}
    with pytest.raises(Enough):
        train([run], threads=4, checkpoint_seconds=0, on_step=stop, **options)
    capsys.readouterr()
    trials.clear()
    assert go(dirs, tmp_path, [run], threads=most) == ([goes_on], {goes_on})
    assert trials == []
    assert (f"goes on with {goes_on}" in capsys.readouterr().err) == said


def test_a_checkpoint_that_names_no_threads_is_taken(dirs, tmp_path, tried, monkeypatch):
    """Those of older versions."""
    write = Checkpoint.write

    def as_before(self):
        if self._latest:
            self._latest.pop("threads")
        write(self)

    def stop(epoch, step, loss):
        if epoch == 2:
            raise Enough

    run, options = tiny_run(), {"dataset_dirs": dirs, "cache": tmp_path, "device": "cpu"}
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", as_before)
        with pytest.raises(Enough):
            train([run], threads=2, checkpoint_seconds=0, on_step=stop, **options)
    assert go(dirs, tmp_path, [run], threads=2) == ([2], {2})
    assert len(tried[1]) == 2


def test_evaluation_takes_no_more_threads_than_training(dirs, tmp_path, tried, monkeypatch):
    tried[0][0] = 1
    run, seen = tiny_run(), []
    go(dirs, tmp_path, [run], threads=2)
    module = sys.modules["reprise.evaluation.evaluate"]
    monkeypatch.setattr(
        module, "predict", lambda *arguments: seen.append(torch.get_num_threads()) or predict(*arguments)
    )
    evaluate([run], dirs, tmp_path, device="cpu", threads=2)
    assert seen == [1]
