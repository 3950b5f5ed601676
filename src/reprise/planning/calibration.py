"""How fast this machine trains: paces from a short calibration.

The engine itself takes a few steps of every training that differs in pace, on random images of the right
shape. What was measured is kept in a file, by device, way of training and version, so that a second plan
starts at once.
"""

import contextlib
import copy
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reprise import __version__, models
from reprise.data.augment import build_augmentation, build_preprocess, image_shape
from reprise.data.catalog import class_names, dataset_facts
from reprise.data.synthetic import write_noise
from reprise.errors import DamagedError, RepriseError, UnwritableError, file_error
from reprise.models.meta import network
from reprise.planning.load import Load, describe_load
from reprise.planning.work import Work
from reprise.progress import progress, say
from reprise.records import read_record, write_record
from reprise.reports.run import Run, digest, prune
from reprise.schema import plain
from reprise.training.engine import train
from reprise.training.inference import compute_features, evaluate
from reprise.training.parts import EVALUATION_IMAGES, EVALUATION_PIXELS, Part
from reprise.training.precision import choose_precision, place, precision_name
from reprise.training.session import choose_device, device_name, reproducible

BUDGET_S = 30.0
"""Seconds that the calibration of one report may take, shared by its trainings; none is given less than
`LEAST_S` or more than `MOST_S`.
"""
LEAST_S, MOST_S = 0.4, 2.0
WARM_UP = 2
"""Steps before the clock starts."""
CUDA_WARM_UP = 8
"""The same on CUDA, where the step is recorded meanwhile."""
MOST_STEPS = 50


@dataclass(frozen=True)
class Pace:
    """Seconds of one training step, of evaluating one image, and of what a frozen part makes of one image,
    once before the first epoch.
    """

    step: float
    evaluation: float
    features: float = 0.0

    def seconds(self, work: Work, epochs: float) -> float:
        """Of a run's `epochs`, as its `meta` counts them: training and validation."""
        batches = -(-work.train_images // work.run.settings.training.batch_size)
        return epochs * (batches * self.step + work.validation_images * self.evaluation)

    def seconds_around(self, work: Work) -> float:
        """Of what comes before the first epoch and after the last: a frozen part's features, and the
        evaluation of test and training images, which sees the whole network.
        """
        evaluated = work.test_images + work.plain_train_images
        images = work.train_images + work.validation_images + evaluated
        return self.features * images + self.evaluation * evaluated


def typical(run: Run) -> Run:
    """A run of the same pace: whatever does not change how long a step takes has one value, so that few runs
    need to be timed.
    """
    settings, model = run.settings, copy.deepcopy(run.settings.model)
    if "weights" in model:
        model["weights"] = "random"
    model.pop("init", None)
    terms = {key: 1e-3 for key in ("weight_decay", "momentum") if settings.optimizer.get(key)}
    dataset, normalize = settings.dataset, settings.preprocess.normalize
    made = {
        "engine": settings.engine,
        "dataset": {**plain(dataset), "per_class": None, "source": "synthetic"},
        "split": {"validation": "test", "augmented": settings.split.augmented},
        "preprocess": {
            **plain(settings.preprocess),
            "normalize": "half" if normalize not in (None, "none") else "none",
        },
        "augmentation": settings.augmentation,
        "model": _plain_rates(model),
        "optimizer": {"name": settings.optimizer["name"], "lr": 1e-5, **terms},
        "training": {
            "epochs": 2,
            "batch_size": settings.training.batch_size,
            "select": "last",
            "keep_originals": settings.training.keep_originals,
        },
        "seeds": dict.fromkeys(("split", "init", "order", "augmentation"), 0),
    }
    return Run(prune(made))


def _plain_rates(node: Any) -> Any:
    """The model with every dropout rate one half, or nothing."""
    if isinstance(node, Mapping):
        drops = ("dropout", "dropout2d")
        return {
            key: (0.5 if value else 0) if key in drops else _plain_rates(value) for key, value in node.items()
        }
    return [_plain_rates(item) for item in node] if isinstance(node, list) else node


@dataclass(frozen=True)
class Way:
    """How runs are trained, as `reprise.training.engine.train` is told."""

    device: torch.device
    threads: int | None = None
    precision: str = "auto"
    cuda_graphs: bool = True

    def precision_of(self, run: Run) -> torch.dtype:
        return choose_precision(self.precision, run.settings.model["name"], self.device)


class Calibration:
    """Paces by run, from `file` or measured now and written there. Those of a damaged file are measured
    again, and a line says so.
    """

    def __init__(
        self, file: Path, device: str, threads: int | None, precision: str = "auto", cuda_graphs: bool = True
    ) -> None:
        self._file, self._way = file, Way(choose_device(device), threads, precision, cuda_graphs)
        self._known, self._kept = _read_calibration(file), True
        self.load = Load.now()
        """That of other work: as long as nothing is measured."""
        self._keys: dict[str, str] = {}
        self._conditions: dict[str, Any] = {
            "device": device_name(self._way.device),
            "threads": threads or torch.get_num_threads(),
            "precision": precision,
            "cuda_graphs": cuda_graphs,
            "torch": torch.__version__,
            "reprise": __version__,
        }

    @cached_property
    def machine(self) -> str:
        """The device's name and, of a CPU, the number of threads."""
        threads = self._conditions["threads"]
        return self._conditions["device"] + (
            f", {threads} thread{'s' * (threads > 1)}" if self._way.device.type == "cpu" else ""
        )

    def made_here(self, run: Run, meta: Mapping[str, Any]) -> bool:
        """Whether a run with this `meta` was trained on a device like this one, in the same precision, with
        no more threads than may be.
        """
        same = meta.get("device") == self._conditions["device"] and meta.get("dtype") == precision_name(
            self._way.precision_of(run)
        )
        return same and (
            self._way.device.type != "cpu" or meta.get("threads", 0) <= self._conditions["threads"]
        )

    def prepare(self, runs: Sequence[Run]) -> None:
        """Measure the paces of `runs` that are not known."""
        wanted = {self.key(run): run for run in runs}
        missing = {key: run for key, run in wanted.items() if key not in self._known}
        if not missing:
            return
        budget = min(MOST_S, max(LEAST_S, BUDGET_S / len(missing)))
        for key, run in progress(
            missing.items(), description="calibrating", total=len(missing), unit="training"
        ):
            self._known[key] = {
                "pace": vars(measure_pace(typical(run), self._way, budget)),
                "load": self.load.average,
                **self._conditions,
            }
            self._keep()

    def _keep(self) -> None:
        """Write the paces. Where that fails, a line says so, once: they are measured again the next time."""
        if self._kept:
            try:
                write_record(self._file, {"paces": self._known})
            except RepriseError as error:
                self._kept = False
                what = error.what if isinstance(error, UnwritableError) else str(error)
                say(f"{what}; the paces of this machine are not kept")

    def knows(self, run: Run) -> bool:
        """Whether the pace of a run is known."""
        return self.key(run) in self._known

    def load_seen(self, runs: Iterable[Run]) -> str:
        """What is said of the load that the paces of these runs were measured at, and of the load now."""
        entries = [self._known[key] for key in {self.key(run) for run in runs} if key in self._known]
        known = [entry["load"] for entry in entries if isinstance(entry.get("load"), int | float)]
        return describe_load(self.load, known, self._conditions["threads"], str(self._file))

    def pace(self, run: Run) -> Pace:
        """The pace of a run that was prepared."""
        return Pace(**self._known[self.key(run)]["pace"])

    def key(self, run: Run) -> str:
        """What names a run's pace: that of all runs whose steps take as long, trained in this way."""
        if run.hash not in self._keys:
            self._keys[run.hash] = digest([typical(run).spec, self._conditions])
        return self._keys[run.hash]


def _read_calibration(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        paces = read_record(file, "")["paces"]
        for entry in paces.values():
            pace = Pace(**entry["pace"])
            if not all(
                isinstance(seconds, int | float) and 0 <= seconds < math.inf
                for seconds in vars(pace).values()
            ):
                raise ValueError
    except DamagedError as error:
        say(f"{error.what}; it is made again")
    except OSError as error:
        say(f"{file_error(error, file)}; the paces are measured")
    except (AttributeError, KeyError, TypeError, ValueError):
        say(f"{file}: not the calibration of a plan; it is made again")
    else:
        return paces
    return {}


class _Enough(BaseException):
    """Enough steps were taken. Not an `Exception`, which the engine would take for a failure of the run."""


@dataclass
class _Stopwatch:
    """Times the steps of an epoch after the warm-up, until `budget` seconds are over."""

    warm_up: int
    steps: int
    """In an epoch."""
    budget: float
    timed: int = 0

    def __call__(self, epoch: int, step: int, loss: Tensor) -> None:
        if step == self.warm_up - 1:
            loss.item()  # waits for the device
            self._began = time.perf_counter()
        if step == self.steps - 1 or (
            step >= self.warm_up and time.perf_counter() - self._began > self.budget
        ):
            loss.item()
            self._ended, self.timed = time.perf_counter(), step + 1 - self.warm_up
            raise _Enough

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return (self._ended - self._began) / self.timed


def measure_pace(run: Run, way: Way, budget: float) -> Pace:
    """The pace of a `typical` run, in about `budget` seconds.

    Where a whole batch takes too long, two smaller ones are timed and the rest is a straight line through
    them.
    """
    batch_size = run.settings.training.batch_size
    first = min(batch_size, 2 if max(image_shape(run)[1:]) > 64 else 8)
    probe = _time_steps(run, first, 2, way, budget / 4)
    second = max(first, min(batch_size, int(first * budget / 4 / probe.step)))
    if second == first:
        slope, then = probe.step / first, probe
    else:
        most = (
            2 if frozen_part(run, network(run)) else MOST_STEPS
        )  # features of all images come before the first step
        then = _time_steps(run, second, most, way, budget / 2)
        share = (
            then.step / second
            # of a line through nothing: as steep as one can be, and none is much flatter but by other work
            # here
        )
        slope = min(share, max(share / 2, (then.step - probe.step) / (second - first)))
    step = then.step + slope * (batch_size - second)
    return Pace(step, *_time_inference(run, way, most=int(budget / 4 * batch_size / step)))


def _time_steps(run: Run, batch_size: int, steps: int, way: Way, budget: float) -> _Stopwatch:
    """The stopwatch after the engine has trained with `batch_size`."""
    spec, classes = copy.deepcopy(dict(run.spec)), class_names(run)
    dataset, kind = run.settings.dataset.name, run.settings.dataset.labels
    known = {kind: [dataset_facts(dataset).classes[kind].index(name) for name in classes]}
    spec["training"]["batch_size"] = batch_size
    warm_up = WARM_UP if way.device.type == "cpu" else CUDA_WARM_UP
    stopwatch = _Stopwatch(warm_up, max(warm_up + steps, -(-len(classes) // batch_size)), budget)
    counts = {"train": stopwatch.steps * batch_size, "test": len(classes)}
    if run.settings.training.keep_originals:
        stopwatch.steps *= 2
    with (
        tempfile.TemporaryDirectory(prefix="reprise-plan-") as name,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        folders = {dataset: write_noise(Path(name) / "images", dataset, counts, known)}
        with contextlib.suppress(_Enough):
            options = {**vars(way), "device": str(way.device)}
            train([Run(spec)], dataset_dirs=folders, cache=Path(name), on_step=stopwatch, **options)
    return stopwatch


def _time_inference(run: Run, way: Way, most: int) -> tuple[float, float]:
    """Seconds of evaluating an image, and of what a frozen part makes of it where the engine computes that
    once; of about `most` images.
    """
    settings, device = run.settings, way.device
    model = models.build(settings.model, len(class_names(run)), image_shape(run))
    place(model, way.precision_of(run), device)
    facts, (_, height, width) = dataset_facts(settings.dataset.name), image_shape(run)
    count = max(EVALUATION_IMAGES, min(most, EVALUATION_PIXELS // (height * width)))
    preprocess = build_preprocess(settings.preprocess, lambda: (facts.mean, facts.std), device)
    augmentation, generator = build_augmentation(settings.augmentation), torch.Generator(device)

    def prepare(pixels: Tensor) -> Tensor:
        pixels = preprocess.pixels(pixels)
        return preprocess.normalise(augmentation(pixels, generator) if settings.split.augmented else pixels)

    def seconds(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(2):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return min(times)

    def part(inputs: Tensor) -> Part:
        return Part(
            inputs,
            torch.zeros(len(inputs), dtype=torch.int64, device=device),
            torch.arange(len(inputs), device=device),
        )

    frozen = frozen_part(run, model)
    images = torch.randint(
        256,
        (count if frozen is None else EVALUATION_IMAGES, *facts.image_shape),
        dtype=torch.uint8,
        device=device,
    )
    with reproducible(device, way.threads):
        if frozen is None:
            return seconds(lambda: evaluate(model, part(images), prepare, count)) / count, 0.0
        features = compute_features(frozen, part(images), preprocess, len(images)).inputs
        whole = part(features[torch.arange(count, device=device) % len(features)])
        evaluation = (
            seconds(lambda: evaluate(model.get_submodule("head"), whole, lambda each: each, count)) / count
        )
        once = seconds(
            lambda: compute_features(frozen, part(images), preprocess, len(images)).inputs.sum().item()
        )
        return evaluation, once / len(images)


def frozen_part(run: Run, model: nn.Module) -> nn.Module | None:
    """The part whose features the engine computes once, before the first step."""
    return None if run.settings.augmentation else getattr(model, "frozen_features", None)
