"""What the runs of a made-up world measure on average: the true values of each configuration of a report.

`read_truths` fills them in from the numbers that the report states and the few facts in `<slug>.yaml`
(README.md); `null` and `opposite` make two other worlds of them.
"""

import ast
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from reprise.data.catalog import class_names, dataset_facts
from reprise.publishing.measures import Measure
from reprise.reports.expressions import read_expression
from reprise.reports.report import Cell, Report
from reprise.reports.run import Run
from reprise.reports.settings import EarlyStop
from reprise.reports.statements import Number
from worlds.measuring import Averages, Measures

ACCURACY, CLASS, LOSS = 0.004, 0.012, 0.015
"""Standard deviations over seeds: of accuracies, of one class's accuracy beside the network's own deviation,
and of losses as a share of them."""
SHARED = 0.7
"""Correlation, over seeds, of validation and test accuracy."""
AGREEMENT = 0.5
"""The same, with the other sign, of an accuracy and its loss."""

Key = tuple[str, str | None, str | int | None]
"""Metric, split, place; the names of classes, a layer or a channel stand third."""


# ---- what is known of a configuration ----


@dataclass(frozen=True)
class Conditions:
    """What the settings of a configuration fix, whatever its runs measure."""

    cell: str
    names: Sequence[str]
    labels: str
    validating: str
    select: str
    most_epochs: int
    stop: EarlyStop | None
    trial: int | None
    """Number of the trial in a study that may end it early, else None."""
    rungs: tuple[int, ...]
    train_images: int
    validation_images: int | None
    """None: the test images validate."""
    test_images: int
    normalized: bool

    @classmethod
    def of(cls, cell: Cell) -> "Conditions":
        run: Run = cell.members[0]
        settings, facts = run.settings, dataset_facts(run.settings.dataset.name)
        names = class_names(run)
        sizes = {name: split.images for name, split in facts.splits.items()}
        kept = len(names) / len(facts.classes[settings.dataset.labels])
        limit = settings.dataset.per_class or math.inf
        sizes = {name: int(min(size * kept, limit * len(names))) for name, size in sizes.items()}
        share = settings.split.validation
        if isinstance(share, str):
            held = sizes["validation"] if share == "official" else None
            train = sizes["train"]
        else:
            held = round(sizes["train"] * share)
            train = sizes["train"] - held
        return cls(
            cell=cell.name,
            names=names,
            labels=f"{settings.dataset.name} {settings.dataset.labels}",
            validating=run.validation_split,
            select=settings.training.select,
            most_epochs=settings.training.epochs,
            stop=settings.training.early_stop,
            trial=settings.study.trial if settings.study else None,
            rungs=_rungs(run),
            train_images=train,
            validation_images=held,
            test_images=sizes["test"],
            normalized=settings.preprocess is not None and settings.preprocess.normalize == "train",
        )

    @property
    def chance(self) -> float:
        return 1 / len(self.names)

    @property
    def guessing(self) -> float:
        """The loss of guessing."""
        return math.log(len(self.names))

    @property
    def patience(self) -> int:
        """Epochs after the best one until training stops."""
        if not self.stop:
            return 0
        return self.stop.patience - 1 if self.stop.rule == "window" else self.stop.patience

    def epochs(self, accurate: float, least: float, trained: float | None) -> int:
        """How many epochs are trained where accuracy and loss are best at these epochs; `trained`: of a trial
        that the study may end.
        """
        if self.stop:
            best = round(accurate if self.stop.monitor == "accuracy" else least)
            return min(self.most_epochs, max(self.stop.min_epochs or 1, best + self.patience))
        return min(self.most_epochs, max(1, round(trained or self.most_epochs)))

    def loss(self, accuracy: float) -> float:
        """A loss that goes with an accuracy: that of guessing at chance, none where all is right."""
        return max(0.02, self.guessing * (1 - accuracy) / (1 - self.chance))

    def accuracy(self, loss: float) -> float:
        return min(0.995, max(self.chance, 1 - loss * (1 - self.chance) / self.guessing))


def _rungs(run: Run) -> tuple[int, ...]:
    """Epochs after which a trial of a study may end, the last one first."""
    study, epochs = run.settings.study, run.settings.training.epochs
    found = [epochs]
    rung = study.min_resource if study else epochs
    while study and rung < epochs:
        found.append(rung)
        rung *= study.reduction_factor
    return tuple(found)


@dataclass(frozen=True)
class Curve:
    """An accuracy or a loss by epoch: its best value, at epoch `peak` (None: the last), and how far from it
    (0 or more) it is at the first, the last and some other epochs.

    `wobble` is added to every second loss between those, so that the curve does not settle.
    """

    best: float
    peak: float | None
    first: float
    last: float
    named: tuple[tuple[int, float], ...] = ()
    wobble: float = 0.0

    def distances(self, epochs: int, peak: int | None = None) -> np.ndarray:
        """Distance from the best value at epochs 1, 2, …: (epochs,)."""
        peak = min(epochs, max(1, round(self.peak or epochs)) if peak is None else peak)
        return _distances(self.first, self.last, self.named, self.wobble, epochs, peak)


@lru_cache(maxsize=20_000)
def _distances(
    first: float, last: float, named: tuple[tuple[int, float], ...], wobble: float, epochs: int, peak: int
) -> np.ndarray:
    if epochs == 1:
        return np.zeros(1)
    points = {1: first, **{epoch: value for epoch, value in named if epoch < epochs}, epochs: last, peak: 0.0}
    places = sorted(points)
    every = np.arange(1, epochs + 1)
    found = PchipInterpolator(np.log(places), [points[place] for place in places])(np.log(every))
    found = np.maximum(found, 0)
    if wobble:
        found[(every % 2 == 1) & ~np.isin(every, places)] += wobble
    return found


@dataclass(frozen=True)
class Truth:
    """What the runs of a configuration measure on average over seeds.

    `validation` is the accuracy of the part that validates, `train` that of the training images, each with
    its loss. `accuracy` and `loss` are those of the selected weights on the test images, None where these
    validate. `classes`: by how much the accuracy of each class differs from their mean, (classes,); wrong
    predictions go to them by the power `favour` of their accuracy, at 0 to any alike. `epochs`: of a trial
    that a study may end. `scatter`: of the runs over seeds, 1 is the usual one.
    """

    validation: Curve
    validation_loss: Curve
    train: Curve
    train_loss: Curve
    plain_train_accuracy: float
    accuracy: float | None = None
    loss: float | None = None
    epochs: float | None = None
    classes: tuple[float, ...] = ()
    favour: float = 0.0
    scatter: float = 1.0
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Of layers, by their modules; of the whole network under an empty name."""
    channels: Mapping[str, float] = field(default_factory=dict)
    """`channel_mean.red` and so on."""


CURVES = ("validation", "validation_loss", "train", "train_loss")


@dataclass(frozen=True)
class Truths:
    """The true values of every configuration that the statements of a report need.

    `cell_of`: run → the configuration that stands for it; those that share a run share their truth.
    """

    report: Report
    conditions: Mapping[str, Conditions]
    truths: Mapping[str, Truth]
    cell_of: Mapping[str, str]
    runs: Mapping[str, Run]
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Statement → why it cannot be true together with the others."""

    def of(self, run: str) -> tuple[Conditions, Truth]:
        return self.conditions[self.cell_of[run]], self.truths[self.cell_of[run]]

    def epochs(self, cell: str) -> int:
        condition, truth = self.conditions[cell], self.truths[cell]
        return condition.epochs(
            truth.validation.peak or math.inf, truth.validation_loss.peak or math.inf, truth.epochs
        )

    def mapped(self, change: Callable[[str, Truth], Truth]) -> "Truths":
        return replace(self, truths={cell: change(cell, truth) for cell, truth in self.truths.items()})


def value_of(truth: Truth, condition: Conditions, key: Key) -> float | None:
    """The true value of a quantity that follows from curves, NaN at an epoch that is not trained; None for
    other quantities.
    """
    metric, split, at = key
    accurate, least = truth.validation.peak or 1.0, truth.validation_loss.peak or 1.0
    total = condition.epochs(accurate, least, truth.epochs)
    chosen = {"best_loss": least, "last": total}.get(condition.select, accurate)

    def curve(name: str, split: str | None) -> np.ndarray:
        found: Curve = getattr(truth, ("train" if split == "train" else "validation") + name)
        return found.best + (1 if name else -1) * found.distances(total)

    def at_place(values: np.ndarray, best: float) -> float:
        match at:
            case "best":
                return best
            case "last":
                return float(values[-1])
            case int():
                return float(values[at - 1]) if at <= total else math.nan
            case "change":
                return float(np.abs(np.diff(values)).mean())
            case "rise":
                return float(values[-1]) - best
        return float(values[min(total, round(chosen)) - 1])

    match metric:
        case "best_epoch":
            return min(total, round(chosen))
        case "epochs":
            return total
        case "min_loss_epoch":
            return total if split == "train" else min(total, least)
        case "accuracy" if split is None and truth.accuracy is not None:
            return truth.accuracy
        case "loss" if split is None and truth.loss is not None:
            return truth.loss
        case "accuracy" | "loss":
            values = curve("_loss" if metric == "loss" else "", split)
            return at_place(values, float(values.min() if metric == "loss" else values.max()))
        case "gap":
            tested = value_of(truth, condition, ("accuracy", split, at))
            fitted = at_place(curve("", "train"), 0.0)
            return None if tested is None else fitted - tested
    return None


# ---- from facts to truths ----


class Facts:
    """Values of quantities of one configuration, some of them."""

    def __init__(self, condition: Conditions) -> None:
        self.condition = condition
        self.scatter = 1.0
        self._values: dict[Key, float] = {}

    def key(self, quantity: Measure) -> Key:
        """Quantities that are the same have one key: there are as many test images of each class, so macro
        recall is accuracy.
        """
        metric, split, at = quantity.metric, quantity.split, quantity.at
        metric = {"class_rank": "rank", "recall_macro": "accuracy"}.get(metric, metric)
        if metric in ("train_accuracy", "train_loss"):
            return metric.removeprefix("train_"), "train", "selected"
        if metric in ("accuracy", "loss", "gap") and (split or at):
            split, at = split or "test", at or "selected"
            if (split, at) == ("test", "selected") and self.condition.validating == "test":
                return metric, None, None
        if metric == "min_loss_epoch":
            split = split or "test"
        (name,) = quantity.classes if len(quantity.classes) == 1 else ("",)
        return metric, split, at or quantity.layer or quantity.channel or name or None

    def can_have(self, quantity: Measure) -> bool:
        """Whether the quantity is one that truths are made of, and does not follow from others."""
        of_one = self.key(quantity)[0] not in ("class_accuracy", "rank") or len(quantity.classes) == 1
        return of_one and self.key(quantity)[0] in _SETTABLE

    def set(self, quantity: Measure, value: float) -> None:
        """Know a value; a quantity that no truth can have is a `ValueError`."""
        key = metric, split, _ = self.key(quantity)
        if not self.can_have(quantity):
            raise ValueError(f"{self.condition.cell}: {metric} follows from other quantities; give those")
        if split not in (None, "train", self.condition.validating):
            raise ValueError(f"{self.condition.cell}: no history of {split}")
        self._values[key] = value

    def get(self, metric: str, split: str | None = None, at: str | int | None = None) -> float | None:
        if metric in ("accuracy", "loss", "gap") and (split, at) == ("test", "selected"):
            return self._values.get((metric, None, None))
        return self._values.get((metric, split, at))

    def every(self, metric: str, split: str | None = None) -> dict[Any, float]:
        """Place → value."""
        return {
            at: value for (name, part, at), value in self._values.items() if (name, part) == (metric, split)
        }

    def check(self, truth: Truth) -> None:
        """A `ValueError` for a fact that is not so in a truth, since others exclude it."""
        for key, value in self._values.items():
            found = value_of(truth, self.condition, key)
            if found is not None and not math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-6):
                what = " ".join(str(part) for part in key if part is not None)
                raise ValueError(
                    f"{self.condition.cell}: {what} is given as {value}, others make it {found:g}"
                )

    @property
    def validated(self) -> float | None:
        """About how accurate the configuration is, as far as anything says it."""
        validating = self.condition.validating
        for split, at in ((validating, "selected"), (validating, "best"), (validating, "last"), (None, None)):
            if (value := self.get("accuracy", split, at)) is not None:
                return value
        losses = [self.get("loss", validating, "last"), self.get("loss", "train", "last")]
        known = [loss for loss in losses if loss is not None]
        return self.condition.accuracy(known[0]) if known else None


_SETTABLE = {
    *("accuracy", "loss", "gap", "plain_train_accuracy", "plain_gap"),
    *("best_epoch", "min_loss_epoch", "epochs"),
    *("class_accuracy", "rank", "class_deviation", "class_variance", "precision_macro", "f1_macro"),
    *("parameters", "channel_mean", "channel_deviation"),
}


def fill(facts: Facts, default: float, epochs: Iterable[int], winner: bool = False) -> Truth:
    """A truth with these facts; what they leave open is filled in plausibly.

    Without any, the configuration reaches the accuracy `default`. `epochs` are made points of every curve.
    The `winner` of a study trains all its epochs; the other trials end at one rung or another.
    Facts that exclude each other are a `ValueError`.
    """
    condition, get = facts.condition, facts.get
    part, chance, guessing = condition.validating, condition.chance, condition.guessing

    def known(*values: float | None) -> float | None:
        return next((value for value in values if value is not None), None)

    def first_of(*values: float | None) -> float:
        return next(value for value in values if value is not None)

    def distance(value: float, best: float, what: str, sign: int) -> float:
        if sign * (best - value) < -1e-9:
            raise ValueError(f"{condition.cell}: {what} is {value}, better than the best, {best}")
        return max(0.0, sign * (best - value))

    # epochs
    selected_epoch = get("best_epoch")
    accurate = selected_epoch if condition.select in ("best_accuracy", "window") else None
    least = known(get("min_loss_epoch", part), selected_epoch if condition.select == "best_loss" else None)
    trained = get("epochs")
    if condition.trial is not None and trained is None:
        trained = condition.most_epochs if winner else condition.rungs[condition.trial % len(condition.rungs)]
    if condition.stop:
        usual = (condition.stop.min_epochs or round(0.5 * condition.most_epochs)) + 8
        best = max(1, min(condition.most_epochs, trained or usual) - condition.patience)
        if condition.stop.monitor == "accuracy":
            accurate = known(accurate, best)
        else:
            least = known(least, best)
    total = condition.epochs(first_of(accurate, 1), first_of(least, 1), trained)
    rise = get("loss", part, "rise")
    accurate = first_of(accurate, max(1, round(0.8 * total)))
    least = first_of(least, max(1, round(0.25 * total)) if (rise or 0) > 0.05 else min(accurate, total))
    selected = {"best_accuracy": accurate, "window": accurate, "best_loss": least, "last": total}[
        condition.select
    ]

    # accuracy of what validates
    at = facts.every("accuracy", part)
    tested = get("accuracy")
    chosen = known(at.get("selected"), tested if part == "test" else None)
    learned = min(1.0, max(0.0, (first_of(facts.validated, default) - chance) / 0.1))
    fall = 0.006 * learned if accurate < total else 0.0
    if "best" in at or (chosen is not None and selected == accurate):
        best = first_of(at.get("best"), chosen)
    elif "last" in at:
        best = at["last"] + fall
    elif chosen is not None:
        best = chosen + (fall if selected == total else 0.002)
    else:
        best = first_of(facts.validated, default)
    last = first_of(at.get("last"), chosen if selected == total else None, best - fall)
    named = {epoch: value for epoch, value in at.items() if isinstance(epoch, int)}
    if chosen is not None and selected not in (accurate, total):
        named[round(selected)] = chosen
    validation = Curve(
        best,
        accurate,
        distance(named.pop(1, best - 0.5 * max(best - chance, 0)), best, "the first accuracy", 1),
        distance(last, best, "the last accuracy", 1),
        tuple((epoch, distance(value, best, "an accuracy", 1)) for epoch, value in named.items()),
    )
    if accurate == total and last != best:
        raise ValueError(f"{condition.cell}: the last epoch is the best, and yet accuracies differ")
    shape = validation.distances(total)
    if tested is None or part == "test":
        tested = best - shape[round(selected) - 1]

    # accuracy of the training images
    at = facts.every("accuracy", "train")
    gaps = {place: value for place, value in facts.every("gap", part).items() if place != "selected"}
    own_gap = known(get("gap", part, "selected"))
    loss_at = facts.every("loss", "train")
    end = first_of(
        at.get("last"),
        at.get("best"),
        gaps["last"] + last if "last" in gaps else None,
        condition.accuracy(loss_at["last"]) if "last" in loss_at else None,
        last + 0.02 * learned,
    )
    named = {epoch: value for epoch, value in at.items() if isinstance(epoch, int)}
    named |= {k: value + best - shape[k - 1] for k, value in gaps.items() if isinstance(k, int)}
    gap = get("gap")
    fitted = known(at.get("selected"), None if gap is None else gap + tested)
    if fitted is None and own_gap is not None:
        fitted = own_gap + best - shape[round(selected) - 1]
    if fitted is not None and selected < total:
        named[round(selected)] = fitted
    elif fitted is not None:
        end = fitted
    train = Curve(
        end,
        None,
        distance(named.pop(1, end - 0.65 * max(end - chance, 0)), end, "the first training accuracy", 1),
        0.0,
        tuple((epoch, distance(value, end, "a training accuracy", 1)) for epoch, value in named.items()),
    )
    fitted = end - train.distances(total)[round(selected) - 1]

    # losses
    at = facts.every("loss", part)
    usual_rise = 0.0 if least == total else (0.02 + max(0.0, end - last - 0.05)) * learned
    chosen = known(at.get("selected"), get("loss") if part == "test" else None)
    if "best" in at or (chosen is not None and round(selected) == round(least)):
        lowest = first_of(at.get("best"), chosen)
    elif "last" in at:
        lowest = at["last"] - first_of(rise, usual_rise)
    else:
        lowest = condition.loss(best)
    named = {epoch: value for epoch, value in at.items() if isinstance(epoch, int)}
    if chosen is not None and round(selected) != round(least):
        named[round(selected)] = chosen
    validation_loss = Curve(
        lowest,
        least,
        distance(named.pop(1, _above(lowest, guessing, 0.5)), lowest, "the first loss", -1),
        distance(first_of(at.get("last"), lowest + first_of(rise, usual_rise)), lowest, "the last loss", -1),
        tuple((epoch, distance(value, lowest, "a loss", -1)) for epoch, value in named.items()),
    )
    final = first_of(loss_at.get("last"), loss_at.get("best"), condition.loss(end))
    named = {epoch: value for epoch, value in loss_at.items() if isinstance(epoch, int)}
    if "selected" in loss_at and selected < total:
        named[round(selected)] = loss_at["selected"]
    train_loss = Curve(
        final,
        None,
        distance(named.pop(1, _above(final, guessing, 0.6)), final, "the first training loss", -1),
        0.0,
        tuple((epoch, distance(value, final, "a training loss", -1)) for epoch, value in named.items()),
    )
    curves = {
        "validation": validation,
        "validation_loss": validation_loss,
        "train": train,
        "train_loss": train_loss,
    }
    curves = {name: _pointed(curve, total, epochs) for name, curve in curves.items()}
    for name, change in (("validation_loss", at.get("change")), ("train_loss", loss_at.get("change"))):
        curves[name] = _wobbling(curves[name], change, total, condition)
    plain_gap = get("plain_gap")
    plain = first_of(
        get("plain_train_accuracy"),
        None if plain_gap is None else tested + plain_gap,
        min(0.995, max(fitted, tested) + 0.01 * learned),
    )
    held = part != "test"
    classes, favour = _classes(facts, tested, learned)
    truth = Truth(
        **curves,
        plain_train_accuracy=plain,
        accuracy=tested if held else None,
        loss=first_of(get("loss"), lowest + validation_loss.distances(total)[round(selected) - 1])
        if held
        else None,
        epochs=trained if condition.trial is not None else None,
        classes=classes,
        favour=favour,
        scatter=facts.scatter,
        parameters={str(layer or ""): value for layer, value in facts.every("parameters").items()},
        channels={
            f"{name}.{colour}": value
            for name, metric in (("channel_mean", "channel_mean"), ("channel_std", "channel_deviation"))
            for colour, value in facts.every(metric).items()
        },
    )
    facts.check(truth)
    return truth


def _above(lowest: float, guessing: float, share: float) -> float:
    """A first loss: part of the way up to that of guessing."""
    return lowest + max(0.0005, share * (guessing - lowest))


def _pointed(curve: Curve, total: int, epochs: Iterable[int]) -> Curve:
    """The curve with its values at `epochs` as points of it, so that they have a place in other worlds."""
    flat = curve.distances(total)
    known = dict(curve.named)
    added = {epoch: float(flat[epoch - 1]) for epoch in epochs if 1 < epoch < total and epoch not in known}
    return replace(curve, named=tuple(sorted({**known, **added}.items())))


def _wobbling(curve: Curve, change: float | None, total: int, condition: Conditions) -> Curve:
    """The curve, whose mean absolute change from epoch to epoch is `change`, where that is given."""
    if change is None:
        return curve
    if condition.stop and condition.stop.monitor == "loss":
        raise ValueError(f"{condition.cell}: a loss that stops the training cannot be given a change")
    low, high = 0.0, 4 * change

    def found(wobble: float) -> float:
        return float(np.abs(np.diff(replace(curve, wobble=wobble).distances(total))).mean())

    if not found(low) <= change <= found(high):
        raise ValueError(
            f"{condition.cell}: a change of {change} cannot be; the curve's own is {found(low):.4f}"
        )
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < change else (low, middle)
    return replace(curve, wobble=low)


def _classes(facts: Facts, accuracy: float, learned: float) -> tuple[tuple[float, ...], float]:
    """By how much each class's accuracy differs from `accuracy`: as the facts say, the others by a pattern
    that all configurations share, since some classes are hard for every network. And what `_confusion` gives.
    """
    condition = facts.condition
    names, known = condition.names, facts.every("class_accuracy")
    count = len(names)
    sizes = np.linspace(-1.6, 1.6, count)[::-1] * 0.1 * 4 * accuracy * (1 - accuracy) * learned
    pattern = np.random.default_rng(list(condition.labels.encode())).permutation(count)  # class → its rank
    for name, rank in facts.every("rank").items():
        place, wanted = _label(names, name), round(rank) - 1
        other = int(np.flatnonzero(pattern == wanted)[0])
        pattern[[place, other]] = pattern[[other, place]]
    found = sizes[pattern]
    if known:
        labels = {_label(names, name): value for name, value in known.items()}
        mean = float(np.mean(list(labels.values()))) if len(labels) == count else accuracy
        others = [label for label in range(count) if label not in labels]
        found = found.copy()
        for label, value in labels.items():
            found[label] = value - mean
        if others:
            found[others] += -found.sum() / len(others)
    found = found - found.mean()
    deviation, variance = facts.get("class_deviation"), facts.get("class_variance")
    if deviation is None and variance is not None:
        deviation = math.sqrt(variance)
    free = len(known) < count and found.std() > 0
    if deviation is not None and free:
        found = found * deviation / found.std()
    favour, accuracies = _confusion(facts, accuracy + found, free and deviation is None)
    return tuple(float(value) for value in accuracies - accuracies.mean()), favour


def _confusion(facts: Facts, classes: np.ndarray, free: bool) -> tuple[float, np.ndarray]:
    """How much wrong predictions favour the classes that are often right, and the accuracies of the classes,
    spread wider or less where they are `free`, so that macro precision and F1 are what the facts say.
    """
    wanted = {
        name: value for name in ("precision_macro", "f1_macro") if (value := facts.get(name)) is not None
    }
    if not wanted:
        return 0.0, classes

    def spread(scale: float) -> np.ndarray:
        found = classes.mean() + math.exp(scale) * (classes - classes.mean())
        for _ in range(20):  # those that would be below 0 stay above it, at the cost of the others
            found = found.clip(0.02, 0.98)
            found += classes.mean() - found.mean()
        return found

    def missed(values: np.ndarray) -> float:
        accuracies = spread(values[1]) if free else classes
        weights = accuracies ** values[0]
        into = weights[None] / (weights.sum() - weights)[:, None]
        np.fill_diagonal(into, 0)
        wrong = (1 - accuracies) @ into
        measured = {
            "precision_macro": np.mean(accuracies / (accuracies + wrong)),
            "f1_macro": np.mean(2 * accuracies / (1 + accuracies + wrong)),
        }
        return float(sum((measured[name] - value) ** 2 for name, value in wanted.items()))

    simplex = [[0.8, -0.2], [1.2, -0.2], [1.0, 0.3]] if free else [[0.8], [1.2]]
    exact = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-12}
    found = minimize(missed, simplex[0], method="Nelder-Mead", options=exact).x
    return float(found[0]), spread(found[1]) if free else classes


def _label(names: Sequence[str], name: Any) -> int:
    return name if isinstance(name, int) else list(names).index(name)


# ---- from a report to facts ----


def read_truths(report: Report, file: Path | None = None) -> Truths:
    """The truths under which the report's numbers, and with `<slug>.yaml` beside this module (or `file`) its
    claims, are exactly right.
    """
    file = file or Path(__file__).parent / f"{report.slug}.yaml"
    given = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    unknown = set(given) - {"winners", "cells", "exceptions"}
    if unknown:
        raise ValueError(f"{file}: no key {unknown.pop()}; valid: winners, cells, exceptions")
    exceptions = given.get("exceptions") or {}
    strange = set(exceptions) - {statement.id for statement in report.statements}
    if strange:
        raise ValueError(f"{file}: exceptions: {report.slug} has no statement {strange.pop()}")
    needed = {cell.name: cell for statement in report.statements for cell in report.needed(statement)}
    return _Deriving(report, needed, given, exceptions).truths()


class _Deriving:
    def __init__(
        self,
        report: Report,
        needed: Mapping[str, Cell],
        given: Mapping[str, Any],
        exceptions: Mapping[str, str],
    ) -> None:
        self.report, self.reading = report, Measures(report)
        self.exceptions = exceptions
        self.winners: Mapping[str, str] = given.get("winners") or {}
        self.cells: Mapping[str, Mapping[str, float]] = given.get("cells") or {}
        self.cell_of: dict[str, str] = {}
        for cell in needed.values():
            found = {self.cell_of[run] for run in cell.runs if run in self.cell_of}
            first = min(found, default=cell.name, key=list(needed).index)
            for run, other in list(self.cell_of.items()):
                if other in found:
                    self.cell_of[run] = first
            self.cell_of |= dict.fromkeys(cell.runs, first)
        self.runs = {run.hash: run for cell in needed.values() for run in cell.members}
        self.needed = {name: needed[name] for name in dict.fromkeys(self.cell_of.values())}
        self.facts = {name: Facts(Conditions.of(cell)) for name, cell in self.needed.items()}
        self.expressions = [text for statement in report.statements for text in statement.expressions]
        self.picks = {
            measure.runs: self._winner(measure)
            for text in self.expressions
            for measure in self.reading.measures(text)
            if measure.pick
        }

    def truths(self) -> Truths:
        self._numbers(over_cells=True)
        self._file()
        self._numbers(over_cells=False)
        ats = {measure.at for text in self.expressions for measure in self.reading.measures(text)}
        epochs = sorted(at for at in ats if isinstance(at, int))
        defaults = self._defaults()
        winners = {self.cell_of[cell.runs[0]] for cell in self.picks.values()}
        truths = {
            name: fill(facts, defaults[name], epochs, name in winners) for name, facts in self.facts.items()
        }
        conditions = {name: facts.condition for name, facts in self.facts.items()}
        return Truths(self.report, conditions, truths, self.cell_of, self.runs, self.exceptions)

    def _of(self, cell: Cell) -> Facts:
        return self.facts[self.cell_of[cell.runs[0]]]

    def _winner(self, measure: Measure) -> Cell:
        """The configuration that is to hold the best run of those that a measure names."""
        cells = self.report.cells(measure.runs)
        named = {
            name: wanted
            for name, wanted in self.winners.items()
            if self.report.names.cells[name]["runs"] == measure.runs
        }
        wanted = self.report.cells(next(iter(named.values()))) if named else cells[:1]
        if len(wanted) != 1 or wanted[0].name not in {cell.name for cell in cells}:
            raise ValueError(f"{self.report.slug}: winners: {named} names no one of {measure.runs}")
        return wanted[0]

    def _numbers(self, over_cells: bool) -> None:
        """Facts from the numbers that the report states: those over several cells, or those of one."""
        for statement in self.report.statements:
            if not isinstance(statement, Number) or statement.id in self.exceptions:
                continue
            tree = read_expression(statement.measure).tree
            calls = [node for node in ast.walk(tree) if self.reading.is_measure(node)]
            functions = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node not in calls
            }
            if len(calls) != 1 or functions - {"mean"} or bool(functions) != over_cells:
                continue
            (call,) = calls
            measure = self.reading.measure(call)  # type: ignore[arg-type]
            constant, factor = _linear(self.report, tree)
            value = (float(statement.reported) - constant) / factor
            self._set(measure, value)

    def _set(self, measure: Measure, value: float) -> None:
        """What a number says of one configuration, or of each of several; nothing where it follows."""
        cells = [self.picks[measure.runs]] if measure.pick else self.report.cells(measure.runs)
        for cell in cells:
            facts = self._of(cell)
            quantity = measure.quantity
            if quantity.metric == "parameters":
                value = round(value)
                quantity = replace(quantity, layer=quantity.layer and cell.module(quantity.layer))
            if not facts.can_have(quantity):
                continue
            facts.set(
                quantity, value - _flattery(facts, quantity, value, len(cell.runs)) if measure.pick else value
            )

    def _file(self) -> None:
        for selector, quantities in self.cells.items():
            for cell in self.report.cells(selector):
                if cell.runs[0] not in self.cell_of:
                    continue
                for text, value in quantities.items():
                    facts = self._of(cell)
                    if text == "scatter":
                        facts.scatter = float(value)
                    else:
                        facts.set(self.reading.quantity(text), float(value))

    def _defaults(self) -> dict[str, float]:
        """About how accurate each configuration is of which nothing is known: as others of its experiment
        are, and less so than the winner where it takes part in a search.
        """
        known = {name: facts.validated for name, facts in self.facts.items()}
        found = {}
        for name, cell in self.needed.items():
            alike = [
                value
                for other, value in known.items()
                if value is not None and self.needed[other].experiment == cell.experiment
            ] or [value for value in known.values() if value is not None]
            found[name] = float(np.mean(alike)) if alike else 0.5
        for selector, winner in self.picks.items():
            best = known[self.cell_of[winner.runs[0]]]
            rivals = dict.fromkeys(self.cell_of[cell.runs[0]] for cell in self.report.cells(selector))
            silent = [name for name in rivals if known[name] is None]
            if best is not None:
                chance = self.facts[self.cell_of[winner.runs[0]]].condition.chance
                for place, name in enumerate(silent, 1):
                    found[name] = max(chance, best - 0.03 - 0.12 * place / len(silent))
        return found


def _linear(report: Report, tree: ast.expr) -> tuple[float, float]:
    """The constant and the factor of an expression of one measure."""

    class Of(Averages):
        measured = 0.0

        def _called(self, node: ast.Call, chosen: Mapping[str, Cell]) -> float:
            return self.measured

    at = Of(report, [])
    constant = at._value(tree, {})
    at.measured = 1.0
    return constant, at._value(tree, {}) - constant


def _flattery(facts: Facts, quantity: Measure, value: float, runs: int) -> float:
    """By how much the run that is best in validation exceeds the mean of its configuration on average."""
    lead = largest(runs)
    metric, split, _ = facts.key(quantity)
    if metric in ("accuracy", "class_accuracy"):
        return lead * ACCURACY * (1 if split or facts.condition.validating == "test" else SHARED)
    if metric == "loss":
        share = lead * LOSS * AGREEMENT
        return -value * share / (1 - share)
    return 0.0


def largest(count: int) -> float:
    """Expectation of the largest of `count` standard normal numbers."""
    x = np.linspace(-8, 8, 4001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = np.cumsum(density) * (x[1] - x[0])
    return float(np.sum(x * count * density * below ** (count - 1)) * (x[1] - x[0])) if count > 1 else 0.0


# ---- other worlds ----


def null(truths: Truths) -> Truths:
    """A world in which nothing makes a difference: every configuration has the same truth, the mean of all,
    and so has every class; only seeds scatter.

    What settings fix stays: epochs that are trained, numbers of classes, parameters. After its best epoch an
    accuracy is what it is at the end, so that 20 epochs and 100 give the same.
    """
    mean = {
        key: float(np.mean([own[key] for own in map(_coordinates, truths.truths.values()) if key in own]))
        for key in {key for truth in truths.truths.values() for key in _coordinates(truth)}
    }
    short = max(1, round(0.75 * min(map(truths.epochs, truths.truths))))

    def same(cell: str, truth: Truth) -> Truth:
        own = {key: mean[key] for key in _coordinates(truth)}
        for name in ("validation", "validation_loss"):
            own[name, "peak"] = float(min(round(mean[name, "peak"]), short))
        for curve, place in own:
            if isinstance(place, int):
                late = place >= own.get((curve, "peak"), math.inf)
                own[curve, place] = own[curve, "last"] if late else own[curve, place]
        return replace(
            _moved(truth, own, truths.conditions[cell]), classes=(0.0,) * len(truth.classes), scatter=1.0
        )

    return truths.mapped(same)


def opposite(truths: Truths) -> Truths:
    """A world in which what the report says is turned round: each quantity t of a configuration becomes
    (largest + smallest) − t, over all configurations of the report, and the order of classes is reversed.

    Quantities are the best values of the curves of accuracy and loss, their epochs, the distances from them
    at the first, the last and named epochs, and what is measured on test images. Whatever is a sum of them (a
    last value, a gap, a rise) changes sign when two configurations are compared, so claims of order, of size
    ("falls by more than 0.1") and of rank are exchanged. Epochs are mirrored and squeezed into the shortest
    training. What scatters more than usual scatters less.

    It cannot: turn a claim that holds of all configurations alike (accuracies within 0.05 stay so), one on
    what settings fix (epochs trained, parameters), one whose sides are at a bound (accuracies stay within 0
    and 1, which can hide a difference), or one that joins a difference of quantities with another metric.
    """
    every = [_coordinates(truth) for truth in truths.truths.values()]
    ranges = {
        key: (min(values), max(values))
        for key in {key for own in every for key in own}
        if (values := [own[key] for own in every if key in own])
    }
    spreads = [float(np.std(truth.classes)) for truth in truths.truths.values()]
    shortest = min(map(truths.epochs, truths.truths))

    def turned(cell: str, truth: Truth) -> Truth:
        own = {}
        for key, value in _coordinates(truth).items():
            low, high = ranges[key]
            own[key] = high + low - value
            if key[1] == "peak" and high > low:
                own[key] = low + (high - value) / (high - low) * max(0.0, min(high, shortest) - low)
        spread = float(np.std(truth.classes))
        wanted = max(spreads) + min(spreads) - spread
        classes = tuple(-value * wanted / spread if spread else 0.0 for value in truth.classes)
        moved = _moved(truth, own, truths.conditions[cell])
        return replace(moved, classes=classes, scatter=1 / max(1.0, truth.scatter))

    return truths.mapped(turned)


WORLDS: Mapping[str, Callable[[Truths], Truths]] = {
    "ideal": lambda truths: truths,
    "null": null,
    "opposite": opposite,
}


def _coordinates(truth: Truth) -> dict[tuple[str, str | int], float]:
    """The numbers that configurations are compared by; distances are 0 or more, and free of each other."""
    found: dict[tuple[str, str | int], float] = {}
    for name in CURVES:
        curve: Curve = getattr(truth, name)
        found |= {(name, key): getattr(curve, key) for key in ("best", "first", "last", "wobble")}
        found |= {(name, epoch): value for epoch, value in curve.named}
        if curve.peak is not None:
            found[name, "peak"] = curve.peak
    for key in ("accuracy", "loss", "epochs", "plain_train_accuracy"):
        if getattr(truth, key) is not None:
            found["", key] = getattr(truth, key)
    return found


def _moved(truth: Truth, own: Mapping[tuple[str, str | int], float], condition: Conditions) -> Truth:
    """The truth with these coordinates, which are kept within their bounds."""
    curves = {}
    for name in CURVES:
        curve: Curve = getattr(truth, name)
        loss = name.endswith("loss")
        best = max(own[name, "best"], 0.02) if loss else min(max(own[name, "best"], 0.005), 0.995)
        most = math.inf if loss else best - 0.002

        def off(key: str | int, name: str = name, most: float = most) -> float:
            return min(max(own[name, key], 0.0), most)

        curves[name] = Curve(
            best,
            own.get((name, "peak")),
            off("first"),
            0.0 if curve.peak is None else off("last"),
            tuple((epoch, off(epoch)) for epoch, _ in curve.named),
            off("wobble") if loss else 0.0,
        )
    accuracy, loss_value = own.get(("", "accuracy")), own.get(("", "loss"))
    epochs = own.get(("", "epochs"))
    return replace(
        truth,
        **curves,  # type: ignore[arg-type]
        accuracy=None if accuracy is None else min(max(accuracy, 0.005), 0.995),
        loss=None if loss_value is None else max(loss_value, 0.02),
        plain_train_accuracy=min(max(own["", "plain_train_accuracy"], 0.005), 0.999),
        epochs=None if epochs is None else min(max(epochs, 1.0), float(condition.most_epochs)),
    )
