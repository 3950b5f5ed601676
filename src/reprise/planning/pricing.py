"""What is left of single runs on this machine, in seconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from statistics import median

from reprise.data.augment import image_shape
from reprise.models.layers import describe
from reprise.models.meta import network
from reprise.planning.calibration import Calibration, Pace, frozen_part, typical
from reprise.planning.work import Work, work_of
from reprise.reports.layout import CHECKPOINT, RUN, Layout
from reprise.reports.run import Run
from reprise.supervision import untold
from reprise.training.checkpoint import finished_epochs

START_S = 1.0
"""Seconds that each run takes besides: its data are loaded, its files written."""
SPEED = 1e10
"""Multiplications in a second, where no pace is known yet."""
STEP_S = 1e-3
"""Of a step, however small its network is."""


@dataclass(frozen=True)
class Price:
    """Seconds that are left of a run: of all of it, until its next epoch is finished, and of the evaluation.
    begun: epochs that a checkpoint has. trained: whether only the evaluation is left. steps: of an epoch.
    """

    seconds: float
    epoch: float
    evaluation: float
    begun: int = 0
    trained: bool = False
    steps: int = 0


class Prices:
    """Prices by run: paces as calibrated, or guessed from the network's size where they are not.

    shares: run → the share of its epochs that it is expected to train (of a study's trials less than 1).
    factor: how many times as long as calibrated runs take here and now.
    """

    def __init__(self, where: Layout, calibration: Calibration, shares: Mapping[str, float]) -> None:
        self._where, self._calibration, self._shares = where, calibration, shares
        self._works: dict[str, Work] = {}
        self._epochs: dict[tuple[str, int], int] = {}
        self._speed = SPEED
        self.factor = 1.0

    def calibrate(self, runs: Iterable[Run]) -> None:
        """Measure the paces of these runs that are not known."""
        with untold():
            self._calibration.prepare(list(runs))

    def uncalibrated(self, runs: Iterable[Run]) -> list[Run]:
        return [run for run in runs if not self._calibration.knows(run)]

    def learn(self, runs: Iterable[Run]) -> None:
        """Take what is known of the paces of these runs for guessing those of the others."""
        speeds = [
            multiplications(run) * 3 * run.settings.training.batch_size / self._calibration.pace(run).step
            for run in {typical(run).hash: run for run in runs}.values()
            if self._calibration.knows(run) and not frozen_part(run, network(run))
        ]
        self._speed = median(speeds) if speeds else SPEED

    def price(self, run: Run) -> Price:
        """What is left of a run that has no evaluated result."""
        work, pace = self._work(run), self.pace(run)
        around = self.factor * pace.seconds_around(work)
        if (self._where.runs / run.hash / RUN).is_file():
            return Price(START_S + around, START_S + around, around, trained=True)
        begun = self._begun(run)
        epochs = max(1.0, self._shares.get(run.hash, 1.0) * work.epochs - begun)
        epoch = self.factor * pace.seconds(work, 1)
        features = self.factor * pace.features * (work.train_images + work.validation_images)
        steps = -(-work.train_images // run.settings.training.batch_size)
        seconds = START_S + around + epochs * epoch
        return Price(seconds, START_S + features + epoch, around, begun, steps=steps)

    def seconds(self, run: Run, epochs: float) -> float:
        """Of so many epochs, by the calibration alone."""
        return self.pace(run).seconds(self._work(run), epochs)

    def pace(self, run: Run) -> Pace:
        if self._calibration.knows(run):
            return self._calibration.pace(run)
        image = multiplications(run) / self._speed
        if frozen_part(run, network(run)):
            return Pace(STEP_S, 0.0, image)
        return Pace(STEP_S + 3 * image * run.settings.training.batch_size, image)

    def _work(self, run: Run) -> Work:
        if run.hash not in self._works:
            self._works[run.hash] = work_of(run, self._where)
        return self._works[run.hash]

    def _begun(self, run: Run) -> int:
        path = self._where.runs / run.hash / CHECKPOINT
        if not path.is_file():
            return 0
        key = run.hash, path.stat().st_mtime_ns
        if key not in self._epochs:
            self._epochs[key] = finished_epochs(path)
        return self._epochs[key]


def multiplications(run: Run) -> float:
    """What an image costs in inference, about: parameters times the places at which they are used."""
    return _multiplications(network(run), image_shape(run))


@cache
def _multiplications(model: object, shape: tuple[int, int, int]) -> float:
    rows = describe(model, shape)  # type: ignore[arg-type]
    return float(sum(row["parameters"] * _places(row["output_shape"]) for row in rows))


def _places(shape: list[int]) -> int:
    """Of what a layer makes: pixels of a map (C, H, W), tokens of a sequence (T, C), one otherwise."""
    if len(shape) == 3:
        return shape[1] * shape[2]
    return shape[0] if len(shape) == 2 else 1
