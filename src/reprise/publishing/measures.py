"""What a statement measures: values of one metric, one per run, read from the tidy result tables."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS, code_behind
from reprise.reports.report import Cell, text

Columns = Mapping[str, Sequence[Any]]
"""A tidy table: name of a column → its values, one per row. A pandas `DataFrame` will do."""

RESULT_COLUMNS = {
    "history": ("run", "epoch", "split", "loss", "accuracy"),
    "final": ("run", "metric", "value"),
    "predictions": ("run", "image", "label", "predicted"),
}


SPLITS = ("train", "validation", "test")
PLACES = ("best", "last", "selected", "change", "rise")
MOST_EPOCHS = 100_000
COLOURS = ("red", "green", "blue")

_CURVE = ("split", "at")


@dataclass(frozen=True)
class Metric:
    """What expressions and the verdict rule have to know about a metric.

    `words` say what it is, to readers. `deviation` is the standard deviation over seeds that is assumed where
    no configuration of the report has two seeds (0: the metric does not depend on the seed); it is a fraction
    of the value where `relative` says that the scatter grows with it. A `count` is a whole number in each
    run. `options` are the keys that a measure of this metric may carry, `needs` the one that it must.
    `several`: the values of several configurations can be made one, by their mean, say. `better` says which
    is: `larger`, `smaller` or neither (None). `low` and `high`: its bounds. `compute` makes the
    value of a metric that no other file holds: labels and predictions of the test images, whole numbers (N,)
    each → a number.
    """

    words: str
    deviation: float
    relative: bool = False
    count: bool = False
    options: tuple[str, ...] = ()
    needs: str = ""
    several: bool = True
    better: str | None = "larger"
    low: float = -math.inf
    high: float = math.inf
    compute: Callable[[np.ndarray, np.ndarray], float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.words, str):
            raise TypeError(f"words: {self.words!r} is no text")
        if not isinstance(self.deviation, (int, float)) or not 0 <= self.deviation < math.inf:
            raise ValueError(f"deviation: {self.deviation!r} is no number from 0")


NEEDED = {
    "classes": "the names of the classes it reads",
    "channel": "red, green or blue",
    "path": "the path of a number in the runs' settings",
}
"""Keys without which some metrics say nothing, in words."""

OWN_METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", 0.005, options=_CURVE, low=0, high=1),
    "precision_macro": Metric("macro precision", 0.005, low=0, high=1),
    "recall_macro": Metric("macro recall", 0.005, low=0, high=1),
    "f1_macro": Metric("macro F1", 0.005, low=0, high=1),
    "loss": Metric("loss", 0.05, relative=True, options=_CURVE, better="smaller", low=0),
    "gap": Metric("generalisation gap", 0.02, options=_CURVE, better="smaller", low=-1, high=1),
    "train_accuracy": Metric("training accuracy", 0.01, low=0, high=1),
    "train_loss": Metric("training loss", 0.05, relative=True, better="smaller", low=0),
    "plain_train_accuracy": Metric("training accuracy on plain images", 0.01, low=0, high=1),
    "plain_train_loss": Metric("training loss on plain images", 0.05, relative=True, better="smaller", low=0),
    "plain_gap": Metric("generalisation gap on plain images", 0.01, better="smaller", low=-1, high=1),
    "best_epoch": Metric("selected epoch", 0.25, relative=True, count=True, better=None, low=1),
    "min_loss_epoch": Metric(
        "epoch of the lowest loss", 0.25, relative=True, count=True, options=("split",), better=None, low=1
    ),
    "epochs": Metric("number of epochs", 0.25, relative=True, count=True, better=None, low=1),
    "stopped_early": Metric(
        "early stop", 0.5, better=None, low=0, high=1
    ),  # the largest that a value of 0 or 1 can have
    "class_accuracy": Metric("accuracy", 0.03, needs="classes", low=0, high=1),
    "rank": Metric("rank", 1.0, count=True, needs="classes", several=False, better=None, low=1),
    "class_deviation": Metric(
        "standard deviation of the class accuracies", 0.1, relative=True, better=None, low=0
    ),
    "class_variance": Metric("variance of the class accuracies", 0.2, relative=True, better=None, low=0),
    "chance": Metric("chance level", 0.0, better=None, low=0, high=1),
    "channel_mean": Metric("channel mean", 0.0002, needs="channel", better=None, low=0, high=1),
    "channel_deviation": Metric("channel deviation", 0.0001, needs="channel", better=None, low=0, high=1),
    "setting": Metric("setting", 0.0, needs="path", several=False, better=None),
    "parameters": Metric("parameters", 0.0, count=True, options=("layer",), better=None, low=0),
    "train_images": Metric("training images", 0.0, count=True, better=None, low=0),
    "validation_images": Metric("validation images", 0.0, count=True, better=None, low=0),
    "test_images": Metric("test images", 0.0, count=True, better=None, low=0),
}
"""The project's own; `reprise.extensions.METRICS` has those of other packages, too. `docs/statements.md`
explains each.
"""

PATHS = {
    "change": Metric("change", 0.25, relative=True, better="smaller", low=0),
    "rise": Metric("rise", 0.05, relative=True, better="smaller", low=0),
}
"""Places `at` that sum up a whole curve instead of reading it at an epoch."""


class NotRun(Exception):
    """A measure has no value; the message says which and why."""


class NotMeasured(NotRun, RepriseError):
    """A run has a result without the metric, by an earlier version: a statement is not run, a figure or table
    refused in one line.
    """


class HasMetric(Protocol):
    """A figure, table or row with one metric, and where a history is read."""

    @property
    def metric(self) -> str | None: ...

    @property
    def split(self) -> str | None: ...

    @property
    def at(self) -> str | None: ...


@dataclass(frozen=True)
class Measure:
    """One metric of the runs that a selector names.

    `at` is `best` (largest accuracy, smallest loss), `last`, `selected` (the epoch whose weights are kept),
    an epoch from 1, `change` (the mean absolute change from one epoch to the next) or `rise` (of a loss: the
    last less the smallest). With neither `split` nor `at` the value is the test result of the selected
    weights. `cells` says how a selector that names several configurations gives one value: their `mean`, or
    the configuration whose mean over seeds is the `max` or `min`; `pick: best` takes one run of them all, see
    `best_run`; `effect` is the axis whose values' means are compared, the largest less the smallest. `layer`
    is what a layer is called, e.g. `9_dense`, `channel` a colour, `path` that of a number in
    the runs' settings.
    """

    metric: str
    runs: str
    split: str | None = None
    at: str | int | None = None
    cells: str | None = None
    classes: tuple[str | int, ...] = ()
    pick: str | None = None
    effect: str | None = None
    layer: str | None = None
    channel: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, spec: Mapping[str, Any], where: str) -> Measure:
        """A measure with these keys, checked for what its metric allows.

        A mistake is a `RepriseError` that starts with `where`.
        """
        metric = spec["metric"]
        if metric not in METRICS:
            raise RepriseError(f"{where}: no metric '{metric}'{nearest(metric, METRICS)}")
        rules = METRICS[metric]
        options = [*filter(None, [rules.needs]), *rules.options]
        for key in spec:
            if key not in ("metric", "runs", "pick", "cells", "effect", *options):
                near = nearest(key, options) if options else "; leave it out"
                raise RepriseError(f"{where}: metric '{metric}' takes no '{key}'{near}")
        if rules.needs and spec.get(rules.needs) in (None, "", [], ()):
            raise RepriseError(f"{where}: metric '{metric}' needs '{rules.needs}', {NEEDED[rules.needs]}")
        classes = spec.get("classes", ())
        measure = cls(**{**spec, "classes": (classes,) if isinstance(classes, str | int) else tuple(classes)})
        measure._check_values(where)
        measure._check(where)
        return measure

    def _check_values(self, where: str) -> None:
        """Refuse values that a key cannot have."""
        epoch = type(self.at) is int and 1 <= self.at <= MOST_EPOCHS
        for key, valid in (("split", SPLITS), ("at", PLACES), ("channel", COLOURS)):
            value = getattr(self, key)
            if value is not None and value not in valid and not (key == "at" and epoch):
                also = " or an epoch from 1" if key == "at" else ""
                raise RepriseError(f"{where}: {key}: {value!r} is not valid{nearest(value, valid)}{also}")
        for key in ("layer", "path"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, str):
                raise RepriseError(f"{where}: {key}: {value!r} is not a text; write it in quotes")
        if any(type(name) not in (str, int) for name in self.classes):
            raise RepriseError(f"{where}: classes: {list(self.classes)!r} are not names of classes")

    def _check(self, where: str) -> None:
        """Refuse keys that do not go together."""
        if self.metric == "gap" and self.split == "train":
            raise RepriseError(
                f"{where}: a gap is the training accuracy minus that of 'test' or 'validation'; write one of "
                "them as 'split'"
            )
        if self.metric == "gap" and self.at in ("best", *PATHS):
            raise RepriseError(
                f"{where}: a gap cannot be read at {self.at}; write last, selected or an epoch"
            )
        if self.metric != "loss" and self.at == "rise":
            raise RepriseError(
                f"{where}: only a loss can be read at rise; of an accuracy, compare best and last"
            )
        if self.metric == "rank" and len(self.classes) != 1:
            raise RepriseError(f"{where}: a rank is that of one class; name one under 'classes'")
        how = self.cells or ("effect" if self.effect else "")
        if how and not METRICS[self.metric].several:
            raise RepriseError(
                f"{where}: a {self.metric} of several configurations has no {how}; name one, or the best run "
                "under cells"
            )
        if how and self.pick:
            raise RepriseError(
                f"{where}: one run of {self.runs} is picked, so there are no configurations to give their "
                f"{how}; leave {how}(…) out"
            )

    @classmethod
    def of(cls, spec: HasMetric, runs: str, pick: str | None = None) -> Measure:
        """What the keys `metric`, `split` and `at` of a figure, table or row measure in `runs`."""
        keys = {"metric": spec.metric, "split": spec.split, "at": spec.at, "pick": pick}
        given = {key: value for key, value in keys.items() if value is not None}
        return cls.parse({**given, "runs": runs}, f"metric {spec.metric}")

    @property
    def noise(self) -> Metric:
        """What the verdict rule has to know about the value; the mean of k classes scatters less than one, by
        √k.
        """
        metric = PATHS.get(str(self.at), METRICS[self.metric])
        several = len(self.classes) > 1
        return (
            replace(metric, deviation=metric.deviation / math.sqrt(len(self.classes))) if several else metric
        )

    @property
    def better(self) -> str | None:
        """Which value is the better one: `larger`, `smaller` or neither (None)."""
        return PATHS.get(str(self.at), METRICS[self.metric]).better

    @property
    def kind(self) -> tuple[str, str | None, str | int | None]:
        """Measures of one kind are comparable."""
        return self.metric, self.split, self.at

    @property
    def asked(self) -> bool:
        """Whether `every`, `some` and `share` ask it of each configuration that it names."""
        return not (self.cells or self.pick or self.effect)

    @property
    def quantity(self) -> Measure:
        """What is measured in each run, whichever the runs: its scatter over seeds is pooled."""
        return replace(self, runs="", cells=None, pick=None, effect=None)

    def words(self, cells: str) -> str:
        """The measure in words, of what readers know as `cells`: `validation loss of tuned at the last
        epoch`.
        """
        words = METRICS[self.metric].words
        split = {"train": "training"}.get(str(self.split), self.split)
        if self.metric in ("accuracy", "loss"):
            words = f"{split or 'test'} {words}"
        elif self.metric == "gap":
            words = f"gap between training and {split or 'test'} accuracy"
        elif self.metric == "min_loss_epoch":
            words = f"epoch of the lowest {split or 'test'} loss"
        match self.at:
            case None | "best" | "change" | "rise":
                when = ""
            case "last" | "selected":
                when = f" at the {self.at} epoch"
            case epoch:
                when = f" at epoch {epoch}"
        if self.at == "best":
            words = f"{'lowest' if self.metric == 'loss' else 'best'} {words}"
        elif self.at in PATHS:
            words = f"{'change per epoch' if self.at == 'change' else 'rise'} of the {words}"
        many = len(self.classes) > 3
        names = f"{len(self.classes)} classes" if many else ", ".join(str(name) for name in self.classes)
        match self.metric:
            case "class_accuracy":
                found = f"accuracy of {cells} on {names}"
            case "rank":
                found = f"rank of {names} among the classes of {cells}"
            case "channel_mean" | "channel_deviation":
                found = f"{self.channel} {words} of {cells}"
            case "setting":
                found = f"{self.path} of {cells}"
            case "parameters" if self.layer:
                found = f"parameters of layer {self.layer} of {cells}"
            case _:
                found = f"{words} of {cells}{when}"
        if self.effect:
            return f"effect of {self.effect.replace('_', ' ')} on the {found}"
        how = {"mean": "mean", "max": "largest", "min": "smallest"}
        return f"{how[self.cells]} {found}" if self.cells else found


@dataclass(frozen=True)
class Reading:
    """A measure's value in one run, and the variance that it owes to the finite number of test images.

    `size` is what a relative scatter is a share of, where that is not the value itself: a rise of a loss
    scatters with the two losses that it is the difference of.
    """

    value: float
    binomial: float = 0.0
    size: float | None = None


@dataclass(frozen=True)
class Predictions:
    """Of one run, in the order of the test images: `image`, `label` and `predicted`, whole numbers (N,)
    each.
    """

    image: np.ndarray
    label: np.ndarray
    predicted: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """1.0 for each image that is classified correctly, else 0.0: (N,)."""
        return (self.label == self.predicted).astype(float)

    @cached_property
    def classes(self) -> dict[int, tuple[float, int]]:
        """Label → share of its images that are classified correctly, and their number; only labels that have
        images.
        """
        labels, place, sizes = np.unique(self.label, return_inverse=True, return_counts=True)
        shares = np.bincount(place, weights=self.right) / sizes
        return dict(zip(labels.tolist(), zip(shares.tolist(), sizes.tolist(), strict=True), strict=True))

    @property
    def accuracies(self) -> np.ndarray:
        """Those of the classes, in their order."""
        return np.array([accuracy for accuracy, _ in self.classes.values()])


@dataclass(frozen=True)
class Tables:
    """The tidy result tables of one report (columns: `RESULT_COLUMNS`) with fast look-ups by run.

    `class_names` gives, by run, the names of the labels 0, 1, …; only measures that name a class need it.
    """

    history: Columns
    final: Columns
    predictions: Columns
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, columns in RESULT_COLUMNS.items():
            missing = [column for column in columns if column not in getattr(self, name)]
            if missing:
                raise RepriseError(
                    f"table {name}: no column {', '.join(missing)}; make the result tables again"
                )

    @classmethod
    def of(
        cls,
        *,
        history: Columns | None = None,
        final: Columns | None = None,
        predictions: Columns | None = None,
    ) -> Tables:
        """The given tables; those not given have no rows."""

        def filled(name: str, table: Columns | None) -> Columns:
            return dict.fromkeys(RESULT_COLUMNS[name], ()) if table is None else table

        return cls(filled("history", history), filled("final", final), filled("predictions", predictions))

    @cached_property
    def _final(self) -> dict[str, dict[str, float]]:
        """Run → metric → value."""
        found: dict[str, dict[str, float]] = {}
        for run, metric, value in zip(
            *(self.final[column] for column in RESULT_COLUMNS["final"]), strict=True
        ):
            found.setdefault(run, {})[metric] = float(value)
        return found

    @cached_property
    def _history(self) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        """Run → split → epoch, in order → `loss` and `accuracy`."""
        found: dict[str, dict[str, dict[int, dict[str, float]]]] = {}
        rows = zip(*(self.history[column] for column in RESULT_COLUMNS["history"]), strict=True)
        for run, epoch, split, loss, accuracy in sorted(rows, key=lambda row: row[1]):
            found.setdefault(run, {}).setdefault(split, {})[int(epoch)] = {
                "loss": float(loss),
                "accuracy": float(accuracy),
            }
        return found

    @cached_property
    def _predictions(self) -> dict[str, Predictions]:
        runs = np.asarray(self.predictions["run"], dtype=object)
        columns = {
            column: np.asarray(self.predictions[column], dtype=int)
            for column in RESULT_COLUMNS["predictions"][1:]
        }
        edges = [0, *(np.flatnonzero(runs[1:] != runs[:-1]) + 1), len(runs)]
        places: dict[str, list[np.ndarray]] = {}
        for start, stop in itertools.pairwise(edges):
            if stop > start:
                places.setdefault(runs[start], []).append(np.arange(start, stop))
        found = {}
        for run, parts in places.items():
            rows = np.concatenate(parts)
            rows = rows[np.argsort(columns["image"][rows], kind="stable")]
            found[run] = Predictions(**{name: values[rows] for name, values in columns.items()})
        return found

    def finals(self, run: str) -> Mapping[str, float]:
        """Metric → final value of a run; empty where the run has no result."""
        return self._final.get(run, {})

    def metric(self, run: str, name: str) -> float | None:
        """A final metric of a run, None where the run has no result."""
        return self.finals(run).get(name)

    def selected_epoch(self, run: str) -> int | None:
        """The epoch whose weights are kept, None where the run has no result or what it has is no epoch."""
        value = self.metric(run, "selected_epoch")
        return int(value) if value is not None and value.is_integer() else None

    def part(self, run: str, metric: str, name: str) -> float | None:
        """The final metric `<metric>.<name>` of a run, e.g. of a layer or a channel; None where the run has
        no result.
        """
        value = self.metric(run, f"{metric}.{name}")
        if value is None and self.metric(run, "selected_epoch") is not None:
            known = [found.partition(".")[2] for found in self.finals(run) if found.startswith(f"{metric}.")]
            if not known:
                raise NotMeasured(f"run {run}: its final metrics lack {metric}.{name}; evaluate it again")
            raise RepriseError(f"run {run}: no {metric} of '{name}'{nearest(name, known)}")
        return value

    def splits(self, run: str) -> list[str]:
        """The splits that the history of a run has; none where it has no history."""
        return sorted(self._history.get(run, {}))

    def curve(self, run: str, split: str, column: str) -> dict[int, float] | None:
        """Epoch, in order → `loss` or `accuracy` of a run; None where the run has no history."""
        parts = self._history.get(run)
        if parts is None:
            return None
        if split not in parts:
            raise RepriseError(
                f"run {run}: no history of split '{split}', only {', '.join(sorted(parts))}; name one "
                "of those"
            )
        return {epoch: values[column] for epoch, values in parts[split].items()}

    def validated(self, run: str) -> float | None:
        """Accuracy at the selected epoch on the split that validates, None where the run has no result."""
        epoch = self.selected_epoch(run)
        for split, values in self._history.get(run, {}).items():
            if split != "train" and epoch in values:
                return values[epoch]["accuracy"]
        return None

    def predicted(self, run: str) -> Predictions | None:
        """The predictions of a run, None where there are none."""
        return self._predictions.get(run)

    def chance(self, run: str) -> tuple[float, int] | None:
        """Accuracy of always answering the commonest class of the test images, and their number."""
        found = self.predicted(run)
        if found is None:
            return None
        images = len(found.label)
        return max(size for _, size in found.classes.values()) / images, images

    def images(self, run: str, split: str) -> float:
        """Number of images that an accuracy on `split` averages over (the test set's where the validation
        part's is not recorded).
        """
        number = self.metric(run, f"{split}_images") or self.metric(run, "test_images")
        if not number:
            raise NotMeasured(f"run {run}: its final metrics lack test_images; evaluate it again")
        return number

    def label(self, run: str, name: str | int) -> int:
        """The label of a class given by its name (or by the label itself)."""
        if isinstance(name, int):
            return name
        names = list(self.class_names.get(run, ()))
        if name not in names:
            raise RepriseError(f"run {run}: no class '{name}'{nearest(name, names)}")
        return names.index(name)


def read(measure: Measure, tables: Tables, cell: Cell, run: str) -> Reading | None:
    """The value of `measure` in one run of a cell; None where the run, or the epoch asked for, has no result.

    A result that lacks the metric, since an earlier version evaluated the run, is a `NotMeasured`: then a
    statement is not run, a figure or table refused. A split that the run's history does not hold, a class
    that its data set or a layer that its network does not have, or a setting that is not a number is a
    `RepriseError`. A setting that the run does not have is not a number (NaN).
    """
    if measure.split or (measure.at is not None):
        return _read_curve(measure, tables, run)
    match measure.metric:
        case "chance":
            chance = tables.chance(run)
            return None if chance is None else Reading(chance[0])
        case "epochs" | "stopped_early":
            trained_curve = tables.curve(run, "train", "accuracy")
            if trained_curve is None:
                return None
            epochs = max(trained_curve)
            if measure.metric == "epochs":
                return Reading(float(epochs))
            return Reading(float(epochs < cell.run(run).settings.training.epochs))
        case "setting":
            trained = tables.metric(run, "selected_epoch") is not None
            return Reading(_number(cell.specs[run], str(measure.path), run)) if trained else None
        case "min_loss_epoch":
            return _read_curve(measure, tables, run)
        case "class_accuracy" | "rank" | "class_deviation" | "class_variance":
            return _read_classes(measure, tables, run)
        case "best_epoch":
            value = tables.metric(run, "selected_epoch")
        case "channel_mean":
            value = tables.part(run, "channel_mean", str(measure.channel))
        case "channel_deviation":
            value = tables.part(run, "channel_std", str(measure.channel))
        case "parameters" if measure.layer:
            value = tables.part(run, "parameters", cell.module(measure.layer))
        case metric if compute := METRICS[metric].compute:
            predictions = tables.predicted(run)
            value = None if predictions is None else _computed(metric, compute, predictions)
        case metric:
            value = tables.metric(run, metric)
            if value is None and tables.metric(run, "selected_epoch") is not None:
                what = f"run {run} of {cell.name} was evaluated before {metric} was measured"
                raise NotMeasured(f"{what}; evaluate it again")
    if value is None:
        return None
    if measure.metric in ("accuracy", "precision_macro", "recall_macro", "f1_macro"):
        return Reading(value, _binomial(value, tables.images(run, "test")))
    accuracy = tables.metric(run, "accuracy")
    if measure.metric in ("gap", "plain_gap") and accuracy is not None:
        return Reading(value, _binomial(accuracy, tables.images(run, "test")))
    return Reading(value)


def _computed(metric: str, compute: Callable[[np.ndarray, np.ndarray], Any], of: Predictions) -> float:
    """What the code of another package makes of predictions; it gets copies, which it may change."""
    with code_behind(compute, f"metric {metric}"):
        return float(compute(of.label.copy(), of.predicted.copy()))


def bounds(measure: Measure, cell: Cell) -> tuple[float, float]:
    """What the value can be at least and at most, in any run of the cell."""
    metric = measure.noise
    high = metric.high
    if measure.metric in ("best_epoch", "min_loss_epoch", "epochs"):
        high = float(max(run.settings.training.epochs for run in cell.members))
    if measure.at == "change" and measure.metric != "loss":
        high = 1.0
    return metric.low, high


def cell_values(measure: Measure, tables: Tables, cell: Cell) -> list[float]:
    """One value per run of the cell; a run without one is a `RepriseError`."""
    found = []
    for run in cell.runs:
        reading = read(measure, tables, cell, run)
        if reading is None:
            raise RepriseError(
                f"run {run} of {cell.name} has no {measure.metric}; train and evaluate it first"
            )
        found.append(reading.value)
    return found


def best_run(cells: Sequence[Cell], tables: Tables) -> tuple[Cell, str] | None:
    """Among all seeds of `cells` the run with the largest validation accuracy at its selected epoch, and its
    cell; of equals the first.

    None where a cell has no evaluated run: the best of some is not the best of all.
    """
    scores: dict[tuple[int, str], float] = {}
    for place, cell in enumerate(cells):
        found = {
            (place, run): score
            for run in cell.runs
            if (score := tables.validated(run)) is not None and math.isfinite(score)
        }
        if not found:
            return None
        scores |= found
    place, run = max(scores, key=scores.__getitem__)
    return cells[place], run


def levels(cells: Sequence[Cell], axis: str) -> dict[str, list[Cell]]:
    """Value of the axis, as text → the cells that have it.

    Of the combinations of the other axes only those count that stand with every value of this one, so that
    nothing else tells the values apart. In a grid those are all; in a search, whose combinations are drawn,
    there is none, and the lists are empty.
    """
    found: dict[str, dict[tuple[tuple[str, str], ...], Cell]] = {}
    for cell in cells:
        if axis in cell.settings:
            others = tuple(
                sorted((other, text(value)) for other, value in cell.settings.items() if other != axis)
            )
            found.setdefault(text(cell.settings[axis]), {})[others] = cell
    shared = set.intersection(*(set(combinations) for combinations in found.values())) if found else set()
    return {
        value: [cell for others, cell in combinations.items() if others in shared]
        for value, combinations in found.items()
    }


def lookup(spec: Mapping[str, Any], path: str) -> list[Any]:
    """Values at a path of a run's spec: dots between keys, `*` for every element of a list that goes on as
    the path does.
    """
    nodes: list[Any] = [spec]
    for part in path.split("."):
        found = []
        for node in nodes:
            if isinstance(node, list):
                found += (
                    node if part == "*" else node[int(part) :][:1] if re.fullmatch("[0-9]{1,6}", part) else []
                )
            elif isinstance(node, Mapping) and part in node:
                found.append(node[part])
        nodes = found
    return nodes


def no_setting(path: str, specs: Sequence[Mapping[str, Any]]) -> RepriseError:
    """The error of a path that leads nowhere in any of `specs`; it names the nearest one."""
    known = dict.fromkeys(found for spec in specs for found in _paths(spec))
    return RepriseError(f"the runs have no setting {path!r}{nearest(path, known)}")


def _paths(node: Any, path: str = "") -> list[str]:
    """Every path of a nested mapping, with `*` for the elements of lists."""
    if isinstance(node, Mapping):
        return [
            found
            for key, value in node.items()
            for found in _paths(value, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(node, list) and node:
        return [found for value in node for found in _paths(value, f"{path}.*")]
    return [path]


def _number(spec: Mapping[str, Any], path: str, run: str) -> float:
    found = lookup(spec, path)
    if not found:
        return math.nan
    if len(found) > 1 or isinstance(found[0], bool) or not isinstance(found[0], int | float):
        shown = ", ".join(text(value) for value in found)
        raise RepriseError(
            f"run {run}: setting {path!r} is {shown}, not one number; name a number, or the configuration "
            "in an argmax"
        )
    return float(found[0])


def _binomial(p: float, images: float) -> float:
    """Variance of an accuracy `p` that is measured on so many images."""
    return p * (1 - p) / images if 0 <= p <= 1 else math.nan


def _read_curve(measure: Measure, tables: Tables, run: str) -> Reading | None:
    split = measure.split or "test"
    column = "loss" if measure.metric in ("loss", "min_loss_epoch") else "accuracy"
    curve = tables.curve(run, split, column)
    if curve is None:
        return None
    finite = {epoch: value for epoch, value in curve.items() if math.isfinite(value)}
    if measure.metric == "min_loss_epoch":
        return Reading(float(min(finite, key=finite.__getitem__)) if finite else math.nan)
    epoch: int | None = None
    match measure.at or "selected":
        case "best":
            if not finite:
                return Reading(math.nan)
            epoch = (min if column == "loss" else max)(finite, key=finite.__getitem__)
        case "change":
            return Reading(float(np.abs(np.diff(list(curve.values()))).mean())) if len(curve) > 1 else None
        case "rise":
            lowest, last = min(finite.values(), default=math.nan), curve[max(curve)]
            return Reading(last - lowest, size=abs(last) + abs(lowest))
        case "last":
            epoch = max(curve)
        case "selected":
            epoch = tables.selected_epoch(run)
        case int(number):
            epoch = number
    if epoch not in curve:
        return None
    value = curve[epoch]
    binomial = (
        _binomial(value, tables.images(run, split)) if column == "accuracy" and split != "train" else 0.0
    )
    if measure.metric == "gap":
        train = tables.curve(run, "train", "accuracy")
        return None if train is None or epoch not in train else Reading(train[epoch] - value, binomial)
    return Reading(value, binomial)


def rank_of(accuracies: np.ndarray, place: int) -> Any:
    """Rank of a class, 1 the most accurate, among the accuracies (classes, …) of all; equals share theirs."""
    others = np.delete(accuracies, place, axis=0)
    return 1.0 + (others > accuracies[place]).sum(axis=0) + (others == accuracies[place]).sum(axis=0) / 2


def _read_classes(measure: Measure, tables: Tables, run: str) -> Reading | None:
    found = tables.predicted(run)
    if found is None:
        return None
    classes = found.classes
    if measure.metric == "class_deviation":
        return Reading(float(np.std(found.accuracies)))
    if measure.metric == "class_variance":
        return Reading(float(np.var(found.accuracies)))
    labels = [tables.label(run, name) for name in measure.classes]
    absent = [label for label in labels if label not in classes]
    if absent:
        raise RepriseError(f"run {run}: no test image has label {absent[0]}; name a class of its data set")
    if measure.metric == "rank":
        return Reading(float(rank_of(found.accuracies, list(classes).index(labels[0]))))
    chosen = [classes[label] for label in labels]
    variance = sum(accuracy * (1 - accuracy) / size for accuracy, size in chosen) / len(chosen) ** 2
    return Reading(sum(accuracy for accuracy, _ in chosen) / len(chosen), variance)
