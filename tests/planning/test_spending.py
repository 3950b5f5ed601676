"""A budget is spent in the agenda's order and kept: a made-up agenda, a clock and a trainer that are not
real.
"""

import contextlib
from dataclasses import dataclass, replace

import pytest

from reprise.errors import RepriseError
from reprise.planning import Aim, AimStage, Budget, InTime, OutOfTime, Spent, Worked, order, spend
from reprise.planning.pricing import Price
from reprise.training.session import Elsewhere


class Clock:
    """Stands still until somebody works."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@dataclass(frozen=True)
class FakeRun:
    hash: str
    epochs: int
    epoch: float
    """Seconds that an epoch truly takes."""


class FakePrices:
    """Calibrated prices: `calibrated` seconds for each epoch, and one of evaluation."""

    def __init__(self, calibrated, begun):
        self.calibrated, self.begun, self.factor = calibrated, begun, 1.0
        self.known = set()

    def learn(self, runs):
        pass

    def uncalibrated(self, runs):
        return [run for run in runs if run.hash not in self.known]

    def calibrate(self, runs):
        self.known |= {run.hash for run in runs}

    def price(self, run):
        epoch = self.factor * self.calibrated[run.hash]
        begun = self.begun.get(run.hash, 0)
        return Price((run.epochs - begun) * epoch + 1, epoch, 1.0, begun, trained=begun == run.epochs)

    def seconds(self, run, epochs):
        return epochs * self.calibrated[run.hash]


class FakeAgenda:
    """Each run settles a statement of its own, as surely as `shares` says."""

    def __init__(self, runs, calibrated=None, shares=None):
        self.runs = {run.hash: run for run in runs}
        self.shares = shares or {}
        self.done, self.judged = set(), []
        self.begun = {}
        self.prices = FakePrices(calibrated or {run.hash: run.epoch for run in runs}, self.begun)

    def steps(self, possible):
        left = {
            name: price.seconds
            for name, run in self.runs.items()
            if name not in self.done and possible(run, price := self.prices.price(run))
        }
        aims = [Aim(name, (AimStage(frozenset([name]), self.shares.get(name, 1.0)),)) for name in left]
        return order(aims, left, {})

    def judge(self, runs):
        self.judged.append(list(runs))
        self.done |= {*runs}


class Trainer:
    """Trains as the engine does: asks `InTime` after every step, of which an epoch has ten."""

    def __init__(self, agenda, clock):
        self.agenda, self.clock, self.order = agenda, clock, []

    def __call__(self, run, price, budget):
        self.order.append(run.hash)
        watch, begun = InTime(budget), self.agenda.begun.get(run.hash, 0)
        try:
            for epoch in range(begun + 1, run.epochs + 1):
                for step in range(10):
                    self.clock.now += run.epoch / 10
                    watch(epoch, step, None)
                self.agenda.begun[run.hash] = epoch  # what a checkpoint would have
        except OutOfTime:
            return Worked(watch.epochs, watch.seconds, watch.finished, trained=False, evaluated=False)
        worked = Worked(watch.epochs, watch.seconds, run.epochs, trained=True, evaluated=True)
        if price.evaluation > budget.left:
            return replace(worked, evaluated=False)
        self.clock.now += 1
        return worked


def spent_by(agenda, seconds, work=None):
    clock = Clock()
    trainer = Trainer(agenda, clock)
    if work:
        trainer = work(trainer)
    spent, announced = Spent(), []
    spend(agenda, Budget(clock.now, seconds, clock), trainer, spent, announced.append)
    return spent, clock.now - 1000, [run for step in announced for run in step.runs]


def runs(count, epochs=10, epoch=2.0):
    return [FakeRun(f"run{number}", epochs, epoch + number / 100) for number in range(count)]


@pytest.mark.parametrize("seconds", [60, 100, 333, 1000])
@pytest.mark.parametrize("off", [1.0, 0.5, 3.0])
def test_the_budget_is_kept_within_a_tenth(seconds, off):
    """Also where runs take three times as long as the calibration says, or half as long."""
    made = runs(80)
    agenda = FakeAgenda(made, {run.hash: run.epoch / off for run in made})
    spent, took, _ = spent_by(agenda, seconds)
    assert 0.9 * seconds <= took <= 1.1 * seconds
    assert spent.trained == [f"run{number}" for number in range(len(spent.trained))]
    assert spent.evaluated == [name for name in spent.trained if name not in spent.stopped]
    assert len(spent.stopped) <= 1
    assert not spent.failed


def test_it_goes_on_where_it_was_stopped_and_no_epoch_is_lost():
    agenda = FakeAgenda([FakeRun("long", 100, 7.0)])
    epochs, times = [], 0.0
    for _ in range(20):
        spent, took, _ = spent_by(agenda, 60)
        assert took <= 66
        times += took
        epochs.append(agenda.begun["long"])
        if spent.evaluated:
            break
    assert epochs[:3] == [8, 16, 24]  # a ninth would end later than 63 s, with the steps that show it
    assert epochs[-1] == 100
    assert times <= 100 * 7 + 1 + len(epochs) * 0.7  # a step of the next epoch each time


def test_a_run_longer_than_the_whole_budget_is_begun_where_it_is_the_best():
    agenda = FakeAgenda([FakeRun("best", 50, 4.0), FakeRun("doubtful", 50, 4.0)], shares={"doubtful": 0.5})
    spent, took, _ = spent_by(agenda, 100)
    assert (spent.trained, spent.stopped) == ([], {"best": 26})
    assert took <= 110
    assert agenda.begun == {"best": 26}


def test_a_run_of_which_no_epoch_fits_is_left_to_longer_budgets():
    agenda = FakeAgenda([FakeRun("huge", 1, 500.0), FakeRun("small", 10, 2.0)], shares={"small": 0.01})
    spent, took, announced = spent_by(agenda, 100)
    assert announced == ["small"]
    assert spent.evaluated == ["small"]
    assert took == pytest.approx(21)


def test_what_is_left_after_a_stop_goes_to_runs_that_fit_as_a_whole():
    agenda = FakeAgenda(
        [FakeRun("long", 10, 30.0), FakeRun("short", 2, 5.0), FakeRun("long too", 10, 4.0)],
        shares={"short": 0.01, "long too": 0.01},
    )
    spent, took, announced = spent_by(agenda, 100)
    assert announced == ["long", "short"]
    assert (spent.stopped, spent.evaluated) == ({"long": 3}, ["short"])
    assert took <= 110


def test_a_run_that_is_broken_off_within_an_epoch_keeps_those_before():
    """The pace falls to a tenth in the middle of an epoch."""

    def slower(trainer):
        def work(run, price, budget):
            agenda, clock, watch = trainer.agenda, trainer.clock, InTime(budget)
            try:
                for epoch in range(1, 11):
                    for step in range(100):
                        clock.now += 0.1 if epoch < 4 else 1.0
                        watch(epoch, step, None)
                    agenda.begun[run.hash] = epoch
            except OutOfTime:
                return Worked(watch.epochs, watch.seconds, watch.finished, trained=False, evaluated=False)
            raise AssertionError("the budget was not kept")

        return work

    agenda = FakeAgenda([FakeRun("slower", 10, 10.0)])
    spent, took, _ = spent_by(agenda, 60, slower)
    assert took <= 66
    assert spent.stopped == agenda.begun == {"slower": 3}


def test_an_epoch_that_will_not_end_in_time_is_not_waited_for():
    """It was thought to take 10 s, and takes 1000: known after a twentieth of it."""

    def far_slower(trainer):
        def work(run, price, budget):
            if run.hash == "small":
                return trainer(run, price, budget)
            watch = InTime(budget, steps=100)
            with contextlib.suppress(OutOfTime):
                for step in range(100):
                    trainer.clock.now += 10.0
                    watch(1, step, None)
            return Worked(watch.epochs, watch.seconds, watch.finished, trained=False, evaluated=False)

        return work

    made = [FakeRun("slower", 10, 1000.0), FakeRun("small", 10, 0.1)]
    agenda = FakeAgenda(made, {"slower": 10.0, "small": 0.1}, shares={"small": 0.001})
    spent, took, _ = spent_by(agenda, 600, far_slower)
    assert spent.stopped == {"slower": 0}
    assert spent.evaluated == ["small"]
    assert took == pytest.approx(72)
    assert agenda.prices.factor > 10


def test_a_run_in_another_process_and_one_that_fails_are_left_to_the_others():
    def obstructed(trainer):
        def work(run, price, budget):
            if run.hash == "run0":
                raise Elsewhere("another process trains it")
            if run.hash == "run1":
                raise RepriseError("the loss became nan")
            return trainer(run, price, budget)

        return work

    agenda = FakeAgenda(runs(3))
    spent, _, announced = spent_by(agenda, 1000, obstructed)
    assert announced == ["run0", "run1", "run2"]
    assert spent.failed == {"run1": "the loss became nan"}
    assert spent.evaluated == ["run2"]


def test_what_was_measured_corrects_the_calibration():
    """Twice as slow as calibrated: of the runs that seemed to fit as a whole one fewer does."""
    made = runs(5)
    agenda = FakeAgenda(made, {run.hash: run.epoch / 2 for run in made})
    spent_by(agenda, 1000)
    assert agenda.prices.factor == pytest.approx(2.0)
    assert agenda.judged == [[f"run{number}"] for number in range(5)]


def test_a_trained_run_whose_evaluation_does_not_fit_is_evaluated_next_time():
    agenda = FakeAgenda([FakeRun("one", 10, 10.0)])
    agenda.prices.price = lambda run: Price(
        60.0 if agenda.begun.get("one") == 10 else 150.0, 10.0, 50.0, trained=agenda.begun.get("one") == 10
    )
    spent, took, _ = spent_by(agenda, 100)
    assert (spent.trained, spent.evaluated, spent.stopped) == (["one"], [], {"one": 10})
    assert took <= 110
    spent, _, _ = spent_by(agenda, 100)
    assert (spent.trained, spent.evaluated, spent.stopped) == ([], ["one"], {})
