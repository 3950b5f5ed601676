"""What reports cost before anything starts: runs, epochs, images, minutes on this machine, disk; and
afterwards how good that was.

Minutes come from a short calibration: the engine itself takes a few steps of every training that differs in
pace, on random images of the right shape. It is kept in a file, by device, way of training and version, so
that a second plan starts at once.
"""

import contextlib
import copy
import io
import math
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise import __version__, models
from reprise.checking import check_validation, network
from reprise.data.augment import build_augmentation, build_preprocess, image_shape
from reprise.data.catalog import class_names, dataset_facts, weights_facts
from reprise.data.decode import read_facts
from reprise.data.synthetic import write_noise
from reprise.errors import DamagedError
from reprise.progress import progress, say
from reprise.publishing.checking import naming
from reprise.records import read_record, write_record
from reprise.reports.layout import STAND_INS, Layout
from reprise.reports.report import Report
from reprise.reports.run import Run, datasets, digest, prune
from reprise.search.asha import Halving
from reprise.training.engine import train
from reprise.training.inference import compute_features, evaluate
from reprise.training.parts import EVALUATION_IMAGES, EVALUATION_PIXELS, Part
from reprise.training.precision import choose_precision, memory_format, precision_name
from reprise.training.results import RUN, finished
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
ORDERS = 20
"""Random orders of a study's trials that its expected epochs are the mean of."""


# ---- what is to be done ----


@dataclass(frozen=True)
class Work:
    """What one run asks for."""

    run: Run
    train_images: int
    """In one epoch; twice those of the training part where originals are kept."""
    validation_images: int
    test_images: int

    @property
    def epochs(self) -> int:
        return self.run.spec["training"]["epochs"]


def work_of(run: Run, where: Layout) -> Work:
    """The images of a run: of its data set if that is there, else as the catalog counts them; classes count
    as equally large.

    A data set without the validation part that the run asks for is a `RepriseError`.
    """
    check_validation(run)
    spec = run.spec
    facts, split = dataset_facts(spec["dataset"]["name"]), spec["split"]["validation"]
    source = spec["dataset"]["source"]
    sizes = _sizes(where.dataset(facts.name, source), facts.name, source)

    def chosen(part: str) -> int:
        kept, known = len(class_names(run)), len(facts.classes[spec["dataset"]["labels"]])
        images = sizes[part] * kept // known
        return min(images, spec["dataset"].get("per_class", images) * kept)

    train, test = chosen("train"), chosen("test")
    held_out = (
        test if split == "test" else chosen("validation") if split == "official" else round(train * split)
    )
    trained = train if split in ("test", "official") else train - held_out
    return Work(run, trained * (2 if spec["training"].get("keep_originals") else 1), held_out, test)


SYNTHETIC = {"train": 400, "test": 200, "validation": 200}
"""Images of each data set that `config.yaml` has the demo draw."""


@cache
def _sizes(folder: Path, name: str, source: str) -> dict[str, int]:
    if (folder / "dataset.json").exists():
        return {split: facts["images"] for split, facts in read_facts(folder)["splits"].items()}
    if source == "synthetic":
        return {split: SYNTHETIC[split] for split in dataset_facts(name).splits}
    if (
        source == "stand-in"
    ):  # all images of the other data set, dealt to equal parts (`reprise.data.stand_in`)
        images = sum(split.images for split in dataset_facts(STAND_INS[name]).splits.values())
        return {split: images // len(dataset_facts(name).splits) for split in dataset_facts(name).splits}
    return {name: split.images for name, split in dataset_facts(name).splits.items()}


@cache
def _expected_share(min_resource: int, reduction_factor: int, trials: int, epochs: int) -> float:
    """The share of a study's epochs that its rule is expected to train: trials in random order, of which a
    better one is always better.
    """
    generator, trained = random.Random(0), 0
    for _ in range(ORDERS):
        halving = Halving({"min_resource": min_resource, "reduction_factor": reduction_factor})
        for _ in range(trials):
            halving.begin()
            accuracy = generator.random()
            while halving.report(accuracy) is None and halving.epoch < epochs:
                pass
            trained += halving.epoch
    return trained / (ORDERS * trials * epochs)


def expected_share(runs: Sequence[Run]) -> float:
    """The share of the epochs of one experiment's runs that is expected to be trained: less than 1 in a study
    with successive halving.

    An early stop is not foreseen.
    """
    study = runs[0].spec.get("study")
    if study is None:
        return 1.0
    return _expected_share(
        study["min_resource"], study["reduction_factor"], len(runs), runs[0].spec["training"]["epochs"]
    )


# ---- calibration ----


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
        batches = -(-work.train_images // work.run.spec["training"]["batch_size"])
        return epochs * (batches * self.step + work.validation_images * self.evaluation)

    def seconds_around(self, work: Work) -> float:
        """Of what comes before the first epoch and after the last: a frozen part's features, and the test,
        which sees the whole network.
        """
        images = work.train_images + work.validation_images + work.test_images
        return self.features * images + work.test_images * self.evaluation


def typical(run: Run) -> Run:
    """A run of the same pace: whatever does not change how long a step takes has one value, so that few runs
    need to be timed.
    """
    spec, model, optimizer = run.spec, copy.deepcopy(run.spec["model"]), run.spec["optimizer"]
    if "weights" in model:
        model["weights"] = "random"
    model.pop("init", None)
    terms = {key: 1e-3 for key in ("weight_decay", "momentum") if optimizer.get(key)}
    dataset = {key: spec["dataset"].get(key) for key in ("name", "labels", "classes")}
    normalize = spec.get("preprocess", {}).get("normalize", "none")
    made = {
        "engine": spec["engine"],
        "dataset": {**dataset, "source": "synthetic"},
        "split": {"validation": "test", "augmented": spec["split"].get("augmented")},
        "preprocess": {**spec.get("preprocess", {}), "normalize": "half" if normalize != "none" else "none"},
        "augmentation": spec.get("augmentation"),
        "model": _plain_rates(model),
        "optimizer": {"name": optimizer["name"], "lr": 1e-5, **terms},
        "training": {
            "epochs": 2,
            "batch_size": spec["training"]["batch_size"],
            "select": "last",
            "keep_originals": spec["training"].get("keep_originals"),
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
        return choose_precision(self.precision, run.spec["model"]["name"], self.device)


class Calibration:
    """Paces by run, from `file` or measured now and written there. Those of a damaged file are measured
    again, and a line says so.
    """

    def __init__(
        self, file: Path, device: str, threads: int | None, precision: str = "auto", cuda_graphs: bool = True
    ) -> None:
        self._file, self._way = file, Way(choose_device(device), threads, precision, cuda_graphs)
        self._known = _read_calibration(file)
        self._conditions = {
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
        wanted = {self._key(run): run for run in runs}
        missing = {key: run for key, run in wanted.items() if key not in self._known}
        if not missing:
            return
        budget = min(MOST_S, max(LEAST_S, BUDGET_S / len(missing)))
        for key, run in progress(
            missing.items(), description="calibrating", total=len(missing), unit="training"
        ):
            self._known[key] = {
                "pace": vars(measure_pace(typical(run), self._way, budget)),
                **self._conditions,
            }
            write_record(self._file, {"paces": self._known})

    def pace(self, run: Run) -> Pace:
        """The pace of a run that was prepared."""
        return Pace(**self._known[self._key(run)]["pace"])

    def _key(self, run: Run) -> str:
        return digest([typical(run).spec, self._conditions])


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
    batch_size = run.spec["training"]["batch_size"]
    first = min(batch_size, 2 if max(image_shape(run)[1:]) > 64 else 8)
    probe = _time_steps(run, first, 2, way, budget / 4)
    second = max(first, min(batch_size, int(first * budget / 4 / probe.step)))
    if second == first:
        slope, then = probe.step / first, probe
    else:
        most = (
            2 if _frozen(run, network(run)) else MOST_STEPS
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
    dataset, kind = spec["dataset"]["name"], spec["dataset"]["labels"]
    known = {kind: [dataset_facts(dataset).classes[kind].index(name) for name in classes]}
    spec["training"]["batch_size"] = batch_size
    warm_up = WARM_UP if way.device.type == "cpu" else CUDA_WARM_UP
    stopwatch = _Stopwatch(warm_up, max(warm_up + steps, -(-len(classes) // batch_size)), budget)
    counts = {"train": stopwatch.steps * batch_size, "test": len(classes)}
    if spec["training"].get("keep_originals"):
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
    spec, device = run.spec, way.device
    model = models.build(spec["model"], len(class_names(run)), image_shape(run))
    model.to(device, memory_format=memory_format(model, way.precision_of(run), device))
    facts, (_, height, width) = dataset_facts(spec["dataset"]["name"]), image_shape(run)
    count = max(EVALUATION_IMAGES, min(most, EVALUATION_PIXELS // (height * width)))
    preprocess = build_preprocess(spec.get("preprocess", {}), lambda: (facts.mean, facts.std), device)
    augmentation, generator = build_augmentation(spec.get("augmentation", [])), torch.Generator(device)

    def prepare(pixels: Tensor) -> Tensor:
        pixels = preprocess.pixels(pixels)
        return preprocess.normalise(
            augmentation(pixels, generator) if spec["split"].get("augmented") else pixels
        )

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

    frozen = _frozen(run, model)
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
        evaluation = seconds(lambda: evaluate(model.head, whole, lambda each: each, count)) / count
        once = seconds(
            lambda: compute_features(frozen, part(images), preprocess, len(images)).inputs.sum().item()
        )
        return evaluation, once / len(images)


def _frozen(run: Run, model: nn.Module) -> nn.Module | None:
    """The part whose features the engine computes once, before the first step."""
    return None if run.spec.get("augmentation") else getattr(model, "frozen_features", None)


# ---- disk ----

HISTORY_BYTES = 10_000
"""Of a run besides its weights and predictions: history, metrics, record."""
PREDICTION_BYTES = 4
"""Of one test image in `predictions.parquet`, about."""


def run_bytes(work: Work) -> tuple[int, int]:
    """What a run leaves behind, and its checkpoint while it trains: the network, the optimiser's state and
    the selected weights.
    """
    model = network(work.run)
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    trained = [item for item in model.parameters() if item.requires_grad]
    settings = work.run.spec["optimizer"]
    moments = {
        "adam": 2,
        "adamw": 2,
        "sgd": bool(settings.get("momentum")),
        "rmsprop": 1 + bool(settings.get("momentum")),
    }
    state = moments[settings["name"]] * sum(item.numel() * item.element_size() for item in trained)
    return weights + HISTORY_BYTES + PREDICTION_BYTES * work.test_images, 2 * weights + state


@dataclass(frozen=True)
class Disk:
    """Bytes: arrays, archives and pretrained weights at most, and how much of them is there; what runs leave;
    the largest checkpoint.
    """

    data: int
    there: int
    runs: int
    checkpoint: int


def disk(works: Sequence[Work], where: Layout) -> Disk:
    """What the data sets and the runs take."""
    data = there = 0
    for name, source in datasets(work.run for work in works):
        facts, folder = dataset_facts(name), where.dataset(name, source)
        arrays = sum(_sizes(folder, name, source).values()) * int(np.prod(facts.image_shape))
        archive = where.archives / facts.file_name
        data += arrays + (
            archive.stat().st_size if archive.exists() else facts.max_bytes if source == "real" else arrays
        )
        there += arrays * (folder / "dataset.json").exists() + (
            archive.stat().st_size if archive.exists() else 0
        )
    for arch in sorted(
        {
            work.run.spec["model"]["arch"]
            for work in works
            if work.run.spec["model"].get("weights") == "imagenet"
        }
    ):
        file = where.weights / weights_facts(arch).file_name
        data += file.stat().st_size if file.exists() else weights_facts(arch).max_bytes
        there += file.stat().st_size if file.exists() else 0
    left = [run_bytes(work) for work in works]
    return Disk(data, there, sum(each[0] for each in left), max((each[1] for each in left), default=0))


# ---- plans ----


@dataclass(frozen=True)
class Row:
    """One experiment. Epochs and images are those of the runs that are left to train, at most and as
    `expected_share` says.
    """

    experiment: str
    runs: int
    left: int
    epochs: int
    expected_epochs: float
    images: float
    expected_images: float
    seconds: float
    """Of training, validation and test, at most."""
    expected_seconds: float


@dataclass(frozen=True)
class Plan:
    """What a report asks for at its scale."""

    report: Report
    rows: Sequence[Row]
    disk: Disk


def plan(reports: Sequence[Report], where: Layout, calibration: Calibration) -> list[Plan]:
    """The plans of reports, whose paces are measured first where they are not known. A run counts in the
    first experiment that has it.
    """
    by_report = {report.slug: _by_experiment(report, where) for report in reports}
    left = {
        slug: {name: _left(works, where) for name, works in groups.items()}
        for slug, groups in by_report.items()
    }
    calibration.prepare([work.run for groups in left.values() for works in groups.values() for work in works])
    plans = []
    for report in reports:
        groups = by_report[report.slug]
        rows = [_row(name, works, left[report.slug][name], calibration) for name, works in groups.items()]
        plans.append(Plan(report, rows, disk([work for works in groups.values() for work in works], where)))
    return plans


def _by_experiment(report: Report, where: Layout) -> dict[str, list[Work]]:
    groups: dict[str, list[Work]] = {}
    for identifier, run in report.runs().items():
        cell = report.cell_of(identifier)
        with naming(report, f"experiments: {cell.name}"):
            groups.setdefault(cell.experiment, []).append(work_of(run, where))
    return groups


def _left(works: Sequence[Work], where: Layout) -> list[Work]:
    return [work for work in works if not (where.runs / work.run.hash / RUN).is_file()]


def _row(name: str, works: Sequence[Work], left: Sequence[Work], calibration: Calibration) -> Row:
    share = expected_share([work.run for work in works])
    row = dict.fromkeys(
        ("epochs", "expected_epochs", "images", "expected_images", "seconds", "expected_seconds"), 0.0
    )
    for work in left:
        pace = calibration.pace(work.run)
        for prefix, epochs in (("", work.epochs), ("expected_", share * work.epochs)):
            row[f"{prefix}epochs"] += epochs
            row[f"{prefix}images"] += epochs * work.train_images
            row[f"{prefix}seconds"] += pace.seconds(work, epochs) + pace.seconds_around(work)
    return Row(name, len(works), len(left), **row)


@dataclass(frozen=True)
class Comparison:
    """Finished runs of one experiment that were trained on a machine like this one: their time as estimated
    and as it was.
    """

    experiment: str
    runs: int
    elsewhere: int
    """Finished runs of other machines, which are not compared."""
    epochs: int
    estimated_seconds: float
    seconds: float


def compare(report: Report, where: Layout, calibration: Calibration) -> list[Comparison]:
    """What the calibration says of the epochs that finished runs have trained, beside what these took
    (`seconds` in their `meta`).
    """
    found: dict[str, list[tuple[Work, Mapping[str, Any]]]] = {}
    for name, works in _by_experiment(report, where).items():
        documents = [(work, finished(where.runs / work.run.hash)) for work in works]
        found[name] = [(work, document["meta"]) for work, document in documents if document]
    here = {
        name: [(work, meta) for work, meta in each if calibration.made_here(work.run, meta)]
        for name, each in found.items()
    }
    calibration.prepare([work.run for each in here.values() for work, _ in each])
    return [
        Comparison(
            name,
            runs=len(here[name]),
            elsewhere=len(each) - len(here[name]),
            epochs=sum(meta["epochs"] for _, meta in here[name]),
            estimated_seconds=sum(
                calibration.pace(work.run).seconds(work, meta["epochs"]) for work, meta in here[name]
            ),
            seconds=sum(meta["seconds"] for _, meta in here[name]),
        )
        for name, each in found.items()
        if each
    ]


# ---- in words ----


def describe(plans: Sequence[Plan], machine: str) -> str:
    """A table for each report, and the sum of all."""
    head = ("experiment", "runs", "to train", "epochs", "expected", "images", "expected", "time", "expected")
    parts = []
    for each in plans:
        rows = [_cells(row) for row in each.rows]
        total = _sum([*each.rows])
        title = f"{each.report.slug}, scale {each.report.scale}, on {machine}, one job at a time"
        parts.append("\n".join([title, *_aligned([head, *rows, _cells(total)]), _disk(each.disk)]))
    if len(plans) > 1:
        total = _sum([row for each in plans for row in each.rows])
        parts.append("\n".join(["all reports", *_aligned([head, _cells(total)])]))
    return "\n\n".join(parts)


def describe_comparison(report: Report, rows: Sequence[Comparison], machine: str) -> str:
    """A table of estimated and true times of the runs that are there."""
    if not rows:
        return f"{report.slug}, scale {report.scale}: no finished run to compare with"
    head = ("experiment", "runs", "of other machines", "epochs", "estimated", "took", "took / estimated")
    cells = [
        (
            row.experiment,
            f"{row.runs}",
            f"{row.elsewhere}",
            f"{row.epochs:,}",
            duration(row.estimated_seconds),
            duration(row.seconds),
            f"{row.seconds / row.estimated_seconds:.2f}" if row.runs else "",
        )
        for row in rows
    ]
    return "\n".join([f"{report.slug}, scale {report.scale}, on {machine}", *_aligned([head, *cells])])


def _sum(rows: Sequence[Row]) -> Row:
    return Row(
        "all",
        **{
            name: sum(getattr(row, name) for row in rows)
            for name in Row.__dataclass_fields__
            if name != "experiment"
        },
    )


def _cells(row: Row) -> tuple[str, ...]:
    epochs = [f"{value:,.0f}" for value in (row.epochs, row.expected_epochs)]
    images = [f"{value / 1e6:,.2f} M" for value in (row.images, row.expected_images)]
    times = [duration(value) for value in (row.seconds, row.expected_seconds)]
    asked = [*epochs, *images, *times] if row.left else [""] * 6
    return (row.experiment, f"{row.runs}", f"{row.left}", *asked)


def _disk(found: Disk) -> str:
    parts = (
        f"data and pretrained weights at most {size(found.data)} ({size(found.there)} are there), "
        f"results {size(found.runs)}"
    )
    return f"disk: {parts}, a checkpoint at most {size(found.checkpoint)} for each job that trains"


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """`830 kB`, `12 MB` or `3.4 GB`."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns, the first one flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
