"""Time spent where it settles most: runs in the order of an `Agenda`, until the budget is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from reprise.errors import RepriseError
from reprise.planning.agenda import Agenda
from reprise.planning.pricing import Price
from reprise.planning.priority import AgendaStep
from reprise.reports.run import Run
from reprise.training.session import Elsewhere

LATE, LATEST = 0.05, 0.08
"""Shares of the budget: how much later than its end an epoch may be expected to end, and how much later what
is in hand is broken off.
"""
ENOUGH = 20
"""After this part of an epoch its end can be foreseen."""
CALIBRATION = 0.15
"""Share of the budget after which runs that are not calibrated are taken at their guessed price."""
MEASURED_S = 5.0
"""Seconds of training from which on the calibration is corrected by what was measured."""


class OutOfTime(BaseException):
    """The time is over. Not an `Exception`, which the engine would take for a failure of the run."""


@dataclass(frozen=True)
class Budget:
    """So many seconds from `began` on, by `clock`."""

    began: float
    seconds: float
    clock: Callable[[], float] = time.monotonic

    @property
    def left(self) -> float:
        """Seconds in which something that is begun now should end."""
        return self.began + (1 + LATE) * self.seconds - self.clock()

    @property
    def latest(self) -> float:
        """When what is in hand has to be broken off."""
        return self.began + (1 + LATEST) * self.seconds

    @property
    def calibrating(self) -> bool:
        return self.clock() < self.began + CALIBRATION * self.seconds


@dataclass
class InTime:
    """Called after each step of a training (`reprise.training.engine.OnStep`): ends it by `OutOfTime` after
    an epoch that leaves no time for another one, so that nothing of it is lost; and in the middle of one that
    will not end in time all the same.

    steps: of an epoch, as far as that is known (else 0).
    """

    budget: Budget
    steps: int = 0
    epochs: float = 0.0
    """Of the epochs trained here, those that are finished and the share of the one that was broken off."""
    seconds: float = 0.0
    """That they took."""
    finished: int = 0
    """Epochs that the run has behind it."""
    _began: float | None = None

    def __call__(self, epoch: int, step: int, loss: Tensor) -> None:
        now, began = self.budget.clock(), self._began
        if step == 0:
            self._began, self.finished = now, epoch - 1
            if began is not None:
                self._count(1, now - began)
                if now - began > self.budget.left:
                    raise OutOfTime
        elif began is not None and step * ENOUGH > self.steps > step:
            rest = (now - began) / step * (self.steps - step)
            if now + rest > self.budget.latest:
                self._count(step / self.steps, now - began)
                raise OutOfTime
        if now > self.budget.latest:
            raise OutOfTime

    def _count(self, epochs: float, seconds: float) -> None:
        self.epochs += epochs
        self.seconds += seconds


@dataclass(frozen=True)
class Worked:
    """What was done for a run: `epochs` trained now, in so many `seconds`; the epochs `finished` in all;
    whether it is trained to its end, and evaluated.
    """

    epochs: float
    seconds: float
    finished: int
    trained: bool
    evaluated: bool


class TrainAndEvaluate(Protocol):
    """Trains a run and evaluates it, as far as the budget lets it."""

    def __call__(self, run: Run, price: Price, budget: Budget) -> Worked: ...


@dataclass
class Spent:
    """What was done in the time: runs that were trained, and evaluated; the run that was stopped, and its
    finished epochs; run → why it failed.
    """

    trained: list[str] = field(default_factory=list)
    evaluated: list[str] = field(default_factory=list)
    stopped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def spend(
    agenda: Agenda,
    budget: Budget,
    work: TrainAndEvaluate,
    spent: Spent,
    announce: Callable[[AgendaStep], None],
) -> None:
    """Do what the agenda has, step by step, and judge again after each; `spent` is filled as it goes on.

    A run is begun if its next epoch fits in what is left of the budget, even where the whole does not. Once
    one was stopped for lack of time, only runs that fit as a whole are begun. A run that another process
    trains, or that fails, is left to the others.
    """
    closed: set[str] = set()
    measured = expected = 0.0

    def possible(run: Run, price: Price) -> bool:
        whole = bool(spent.stopped)
        return run.hash not in closed and (price.seconds if whole else price.epoch) <= budget.left

    agenda.prices.learn(agenda.runs.values())
    while step := _first(agenda, budget, possible):
        announce(step)
        done = []
        for name in step.runs:
            run = agenda.runs[name]
            price = agenda.prices.price(run)
            if not possible(run, price):
                break
            try:
                worked = work(run, price, budget)
            except Elsewhere:
                closed.add(name)
                break
            except RepriseError as error:
                spent.failed[name] = str(error)
                closed.add(name)
                break
            measured += worked.seconds
            expected += agenda.prices.seconds(run, worked.epochs)
            if measured > MEASURED_S and expected:
                agenda.prices.factor = measured / expected
            if worked.trained and not price.trained:
                spent.trained.append(name)
            if not worked.evaluated:
                spent.stopped[name] = worked.finished
                closed.add(name)
                break
            spent.evaluated.append(name)
            done.append(name)
        agenda.judge(done)


def _first(agenda: Agenda, budget: Budget, possible: Callable[[Run, Price], bool]) -> AgendaStep | None:
    """The first step of the agenda, whose runs are calibrated as long as there is time for that."""
    while step := next(agenda.steps(possible), None):
        guessed = agenda.prices.uncalibrated(agenda.runs[run] for run in step.runs)
        if not guessed or not budget.calibrating:
            return step
        agenda.prices.calibrate(guessed)
        agenda.prices.learn(agenda.runs.values())
    return None
