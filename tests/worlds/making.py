"""Makes worlds: finished runs whose true values are known, as the tables that verdicts are made from, or as
the folders that training and evaluation write.

    truths = read_truths(Report("workflow/reports/cifar100_superclass.yaml"))
    tables = make_tables(truths, seed=0)                       # in memory
    make_folders(opposite(truths), Path("results"), seed=0)    # results/runs/<run>/…
    reported(truths, seed=1)                                   # what other authors would have reported
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reprise.data.catalog import class_names
from reprise.errors import RepriseError
from reprise.extensions import METRICS
from reprise.publishing.measures import RESULT_COLUMNS, Tables
from reprise.records import FILES, digests, seal
from reprise.reports.layout import EVALUATION, FINAL, HISTORY, PREDICTIONS, RUN, Layout
from reprise.reports.run import ENGINE, Run
from reprise.reports.statements import Number
from reprise.results.selection import selected_epoch
from worlds.measuring import Averages
from worlds.truths import ACCURACY, AGREEMENT, CLASS, LOSS, SHARED, Conditions, Curve, Truth, Truths

JITTER = {"accuracy": 0.001, "loss": 0.003}
"""From epoch to epoch, beside what a run's epochs have in common; of losses as a share of them."""
ALIKE = 0.7
"""Correlation, over images, of how hard two networks find them: whether they are right then correlates by
about .5 where half of the images are."""
LEAST = np.log(2)
"""The least loss that a wrong image has."""


@dataclass(frozen=True)
class MadeRun:
    """A finished run: its history by epoch (epochs,), its predictions (images,), its final metrics."""

    run: Run
    conditions: Conditions
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    final: Mapping[str, float]
    channels: Mapping[str, list[float]]

    @property
    def epochs(self) -> int:
        return len(self.loss)

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Table → column → values."""
        history: dict[str, Any] = {
            "epoch": np.repeat(np.arange(1, self.epochs + 1), 2).tolist(),
            "split": ["train", self.conditions.validating] * self.epochs,
            "loss": np.stack([self.train_loss, self.loss], axis=1).ravel().tolist(),
            "accuracy": np.stack([self.train_accuracy, self.accuracy], axis=1).ravel().tolist(),
        }
        predictions: dict[str, Any] = {
            "image": np.arange(len(self.labels)),
            "label": self.labels,
            "predicted": self.predicted,
        }
        final: dict[str, Any] = {"metric": list(self.final), "value": list(self.final.values())}
        return {
            name: {"run": [self.run.hash] * len(next(iter(columns.values()))), **columns}
            for name, columns in (("history", history), ("final", final), ("predictions", predictions))
        }


# ---- worlds ----


def make_runs(truths: Truths, seed: int, images: int | None = None) -> Iterable[MadeRun]:
    """Every run that the statements need. A run depends on the truth of its configuration, on `seed` and on
    nothing else.

    `images`: test images of every run, rounded down to as many of each class (default: all that the data set
    has).
    """
    for identifier, run in truths.runs.items():
        yield make_run(run, *truths.of(identifier), seed, images)


def make_tables(truths: Truths, seed: int, images: int | None = None) -> Tables:
    """A world as the tables that are read from its folders."""
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in RESULT_COLUMNS}
    for made in make_runs(truths, seed, images):
        for name, columns in made.columns.items():
            parts[name].append(columns)

    def joined(name: str, column: str) -> Any:
        values = [part[column] for part in parts[name]]
        if isinstance(values[0], np.ndarray):
            return np.concatenate(values)
        return [value for part in values for value in part]

    tables = {name: {column: joined(name, column) for column in RESULT_COLUMNS[name]} for name in parts}
    names = {identifier: class_names(run) for identifier, run in truths.runs.items()}
    return Tables(**tables, class_names=names)


def make_folders(truths: Truths, results: Path, seed: int, images: int | None = None) -> Path:
    """A world as run folders under `results`, with their records; without weights, as imported runs are.

    `python -m reprise statements <slug> --results <results>` judges it. Returns the folder of the runs.
    """
    root = Layout(results, truths.report.scale).runs
    for made in make_runs(truths, seed, images):
        write_run(made, root / made.run.hash)
    return root


def reported(truths: Truths, seed: int, of: int | None = None, images: int | None = None) -> dict[str, str]:
    """What authors in the same world would have reported: statement → number, printed as the report prints
    it.

    Each is measured in trainings of their own: the mean of the first `of` of each configuration (default: as
    many as the statement's `mean_of` says, else one); the best run of a search is that of another search of
    the same size. Give it another `seed` than the world that is judged.
    """
    tables = make_tables(truths, seed, images)
    theirs: dict[int, Averages] = {}
    found = {}
    for statement in truths.report.statements:
        if isinstance(statement, Number):
            trainings = of or getattr(statement, "mean_of", None) or 1
            if trainings not in theirs:
                theirs[trainings] = Averages(truths.report, [tables], trainings)
            digits, _, power = statement.reported.lower().partition("e")
            value = theirs[trainings].number(statement.measure) / 10 ** int(power or 0)
            printed = f"{value:.{len(digits.partition('.')[2])}f}"
            found[statement.id] = f"{printed}e{power}" if power else printed
    return found


# ---- a run ----


def make_run(run: Run, conditions: Conditions, truth: Truth, seed: int, images: int | None = None) -> MadeRun:
    """One training: the truth, and how its seed made it differ."""
    rng = np.random.default_rng([seed, int(run.hash, 16)])
    count = (images or conditions.test_images) // len(conditions.names) * len(conditions.names)
    if not count:
        raise RepriseError(f"{images} test images are too few for {len(conditions.names)} classes")
    validated = conditions.validation_images or count
    peaks = {
        name: _peak(getattr(truth, name), truth, conditions, name, rng)
        for name in ("validation", "validation_loss")
    }
    epochs = conditions.epochs(peaks["validation"], peaks["validation_loss"], truth.epochs)
    own = truth.scatter * rng.standard_normal(7)
    own[1] = SHARED * own[0] + np.sqrt(1 - SHARED**2) * own[1]  # test and validation accuracy
    own[2] = -AGREEMENT * own[0] + np.sqrt(1 - AGREEMENT**2) * own[2]  # validation loss
    own[3] = SHARED * own[2] + np.sqrt(1 - SHARED**2) * own[3]  # test and validation loss

    stop = conditions.stop.monitor if conditions.stop else None
    best = _bounded(truth.validation.best, own[0])
    off = _jittered(
        truth.validation, epochs, peaks["validation"], JITTER["accuracy"], stop == "accuracy", rng
    )
    right = _counts(best - off, validated, min(peaks["validation"], epochs), stop == "accuracy")
    accuracy = right / validated
    peak, strict = peaks["validation_loss"], stop == "loss"
    loss = _losses(truth.validation_loss, epochs, peak, own[2], accuracy, strict, rng)
    best = _bounded(truth.train.best, own[4])
    off = _jittered(truth.train, epochs, epochs, JITTER["accuracy"], False, rng)
    train_accuracy = np.round((best - off).clip(0, 1) * conditions.train_images) / conditions.train_images
    train_loss = _losses(truth.train_loss, epochs, epochs, own[5], train_accuracy, False, rng)

    rows = [
        {"split": conditions.validating, "loss": lost, "accuracy": share}
        for lost, share in zip(loss.tolist(), accuracy.tolist(), strict=True)
    ]
    selected = selected_epoch(rows, run.settings.training.select)
    if truth.accuracy is None:
        hits, tested = int(right[selected - 1]), float(loss[selected - 1])
    else:
        hits = round(_bounded(truth.accuracy, own[1]) * count)
        tested = max((truth.loss or 0) * (1 + LOSS * own[3]), LEAST * (1 - hits / count))
    labels, predicted = _predictions(run, conditions, truth, hits, count, seed, rng)
    channels = _channels(conditions, truth, rng)
    final = {
        **_classified(labels, predicted, len(conditions.names)),
        "loss": tested,
        "selected_epoch": float(selected),
        "train_loss": float(train_loss[selected - 1]),
        "train_accuracy": float(train_accuracy[selected - 1]),
        "gap": float(train_accuracy[selected - 1]) - hits / count,
        "parameters": truth.parameters.get("", 100_000.0),
        "train_images": float(conditions.train_images),
        "validation_images": float(validated),
        **{
            f"{name}.{colour}": value
            for name, values in channels.items()
            for colour, value in zip(_COLOURS, values, strict=True)
        },
        **{f"parameters.{layer}": value for layer, value in truth.parameters.items() if layer},
    }
    if "plain_train_accuracy" in METRICS:
        fitted = round(_bounded(truth.plain_train_accuracy, own[6]) * conditions.train_images)
        plain = fitted / conditions.train_images
        final |= {
            "plain_train_accuracy": plain,
            "plain_train_loss": max(conditions.loss(plain), LEAST * (1 - plain)),
            "plain_gap": plain - hits / count,
        }
    return MadeRun(
        run, conditions, train_loss, train_accuracy, loss, accuracy, labels, predicted, final, channels
    )


def _peak(curve: Curve, truth: Truth, conditions: Conditions, name: str, rng: np.random.Generator) -> int:
    """The epoch at which this run is best: near the true one, and on the same side of every named epoch."""
    stops = conditions.stop and conditions.stop.monitor == ("loss" if name.endswith("loss") else "accuracy")
    peak = round(curve.peak or 1)
    end = conditions.most_epochs - conditions.patience if stops else conditions.epochs(1, 1, truth.epochs)
    room = min(abs(peak - point) - 1 for point in (1, end, *(epoch for epoch, _ in curve.named)))
    reach = min(room, max(1, round(0.1 * peak)))
    return max(1, peak + (int(rng.binomial(2 * reach, 0.5)) - reach if reach > 0 else 0))


def _bounded(value: float, deviations: float) -> float:
    """An accuracy so many deviations away; near 0 and 1 these are smaller."""
    room = min(1.0, value / (3 * ACCURACY), (1 - value) / (3 * ACCURACY))
    return min(1.0, max(0.0, value + ACCURACY * room * deviations))


def _jittered(
    curve: Curve, epochs: int, peak: int, size: float, strict: bool, rng: np.random.Generator
) -> np.ndarray:
    """Distances from the best value, each a little off, none but that at the peak 0.

    `strict`: they fall up to the peak and rise after it, as where an early stop watches the curve.
    """
    peak = min(peak, epochs)
    off = curve.distances(epochs, peak)
    width = np.minimum(size, off / 4)
    off = off + width * rng.standard_normal(epochs).clip(-2, 2)
    if strict:
        inside = {peak - 1, *(epoch - 1 for epoch, _ in curve.named if epoch < epochs)}
        points = sorted({0, *inside, epochs - 1})
        for start, end in itertools.pairwise(points):
            low, high = sorted((off[start], off[end]))
            ordered = np.sort(off[start + 1 : end].clip(low, high))
            off[start + 1 : end] = ordered[::-1] if end < peak else ordered
    off += 1e-6 * np.abs(np.arange(1, epochs + 1) - peak)
    off[peak - 1] = 0.0
    return off


def _counts(accuracy: np.ndarray, images: int, peak: int, strict: bool) -> np.ndarray:
    """Accuracies as numbers of images, the largest at the peak alone; `strict` as in `_jittered`."""
    found = np.round(accuracy.clip(0, 1) * images).astype(int)
    top = max(found[peak - 1], 1)
    steps = np.abs(np.arange(1, len(found) + 1) - peak) if strict else np.ones(len(found), int)
    if strict:
        before = np.minimum.accumulate((found + steps)[peak - 1 :: -1])[::-1] - steps[:peak]
        after = np.minimum.accumulate((found + steps)[peak - 1 :]) - steps[peak - 1 :]
        found = np.concatenate([before, after[1:]])
    else:
        found = np.minimum(found, top - 1)
    found[peak - 1] = top
    return found.clip(0, images)


def _losses(
    curve: Curve,
    epochs: int,
    peak: int,
    deviations: float,
    accuracy: np.ndarray,
    strict: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Losses by epoch, none less than its accuracy allows."""
    off = _jittered(curve, epochs, peak, JITTER["loss"] * curve.best, strict, rng)
    return np.maximum((curve.best + off) * max(0.2, 1 + LOSS * deviations), LEAST * (1 - accuracy))


# ---- predictions ----


def _predictions(
    run: Run,
    conditions: Conditions,
    truth: Truth,
    hits: int,
    count: int,
    seed: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions (count,): `hits` right ones, mostly on images that are easy for all networks; as
    many of each class as its drawn accuracy says. Wrong ones go to other classes at random.
    """
    classes = len(conditions.names)
    each = count // classes
    wanted = (hits / count + np.asarray(truth.classes)).clip(0, 1)
    own = CLASS * truth.scatter * 4 * wanted * (1 - wanted) * rng.standard_normal(classes)
    wanted = wanted + own - own.mean()
    right = _shared_out(wanted * each, hits, each)
    hard = np.sqrt(ALIKE) * _difficulty(run.settings.dataset.name, count, seed)
    hard = (hard + np.sqrt(1 - ALIKE) * rng.standard_normal(count)).reshape(classes, each)
    easy_first = np.argsort(hard, axis=1)
    hit = np.empty((classes, each), bool)
    np.put_along_axis(hit, easy_first, np.arange(each)[None] < right[:, None], axis=1)
    labels, hit = np.repeat(np.arange(classes), each), hit.ravel()
    if not truth.favour:
        return labels, np.where(hit, labels, (labels + 1 + rng.integers(classes - 1, size=count)) % classes)
    # As many into each class as the weights say: scatter would raise macro precision.
    weights = (np.maximum(right, 0.5) / each) ** truth.favour
    wrong = labels[~hit]
    many = _shared_out(weights / weights.sum() * wrong.size, wrong.size, count)
    into = rng.permutation(np.repeat(np.arange(classes), many))
    while (own_label := np.flatnonzero(into == wrong)).size:
        for one, other in zip(own_label, rng.integers(wrong.size, size=own_label.size), strict=True):
            into[[one, other]] = into[[other, one]]
    predicted = labels.copy()
    predicted[~hit] = into
    return labels, predicted


@lru_cache(maxsize=8)
def _difficulty(dataset: str, count: int, seed: int) -> np.ndarray:
    """Of each test image of a data set, for every network."""
    return np.random.default_rng([seed, *dataset.encode()]).standard_normal(count)


def _shared_out(wanted: np.ndarray, total: int, most: int) -> np.ndarray:
    """Whole numbers from 0 to `most`, near those wanted, that add up to `total`."""
    wanted = wanted.clip(0, most)
    found = np.floor(wanted).astype(int)
    order = np.argsort(found - wanted, kind="stable")
    while (missing := total - found.sum()) != 0:
        step = 1 if missing > 0 else -1
        free = [place for place in (order if step > 0 else order[::-1]) if 0 <= found[place] + step <= most]
        found[free[: abs(missing)]] += step
    return found


def _classified(labels: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, float]:
    """What `reprise.results.metrics.classification_metrics` gives, without its imports."""
    right = np.bincount(labels[labels == predicted], minlength=classes)
    actual, guessed = np.bincount(labels, minlength=classes), np.bincount(predicted, minlength=classes)
    return {
        "accuracy": float(np.mean(labels == predicted)),
        "precision_macro": float(np.mean(right / np.maximum(guessed, 1))),
        "recall_macro": float(np.mean(right / actual)),
        "f1_macro": float(np.mean(2 * right / (actual + guessed))),
        "test_images": float(len(labels)),
    }


_COLOURS = ("red", "green", "blue")
_USUAL = {"channel_mean": 0.48, "channel_std": 0.25}
_SCATTER = {"channel_mean": 0.0002, "channel_std": 0.0001}


def _channels(conditions: Conditions, truth: Truth, rng: np.random.Generator) -> dict[str, list[float]]:
    """Channel statistics of the run's own training part, where its images are normalised with them."""
    if not conditions.normalized:
        return {}
    return {
        name: [
            truth.channels.get(f"{name}.{colour}", usual) + _SCATTER[name] * float(rng.standard_normal())
            for colour in _COLOURS
        ]
        for name, usual in _USUAL.items()
    }


# ---- folders ----


def write_run(made: MadeRun, folder: Path) -> None:
    """The files of a finished and evaluated run, and their records."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"history": HISTORY, "final": FINAL, "predictions": PREDICTIONS}
    for name, columns in made.columns.items():
        pq.write_table(pa.table(columns), folder / names[name])
    run = {"run": made.run.hash, "spec": made.run.spec, "meta": _meta(made)}
    _record(folder / RUN, {**run, FILES: digests(folder, (HISTORY,))})
    _record(folder / EVALUATION, {"run": made.run.hash, FILES: digests(folder, (PREDICTIONS, FINAL))})


def _record(path: Path, content: Mapping[str, Any]) -> None:
    """As `write_record` does, without its flush to the disk."""
    path.write_text(json.dumps(seal(content), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _meta(made: MadeRun) -> dict[str, Any]:
    training = made.run.settings.training
    stopped = "finished" if made.epochs == training.epochs else "early stop"
    if made.conditions.trial is not None and stopped == "early stop":
        stopped = f"pruned at epoch {made.epochs}"
    return {
        "engine": ENGINE,
        "reprise": "a made-up world",
        "torch": "none",
        "device": "a made-up world",
        "dtype": "float32",
        "threads": 1,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:00:00+00:00",
        "seconds": 0.0,
        "seconds_per_epoch": 0.0,
        "epochs": made.epochs,
        "selected_epoch": int(made.final["selected_epoch"]),
        "stopped": stopped,
        "parameters": int(made.final["parameters"]),
        "train_images": int(made.final["train_images"]),
        "validation_images": int(made.final["validation_images"]),
        "learning_rates": [made.run.settings.optimizer["lr"]] * made.epochs,
        "source": "real",
        "data": {},
        **made.channels,
        **({"judged_in_order": True} if made.conditions.trial is not None else {}),
    }
