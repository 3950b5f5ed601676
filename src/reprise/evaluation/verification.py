"""What a run's evaluation must be, computed again from the run's other files and, where they are at hand, its
network and its images.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from reprise import models
from reprise.errors import DamagedError
from reprise.evaluation.metrics import PLAIN_METRICS, classification_metrics, training_metrics
from reprise.reports.layout import FINAL, PREDICTIONS, RUN, WEIGHTS_FILE
from reprise.reports.run import Run
from reprise.training.inference import forward
from reprise.training.parts import Part, RunData
from reprise.training.results import least_loss, read_table, read_weights

TOLERANCE = 1e-9
"""Between a stored metric and the same one computed again from the stored predictions and history."""
LOSS_TOLERANCE = 1e-3
"""Between the losses of the same weights on the same images, as a share: training and evaluation may have run
on different devices.
"""
LOGIT_TOLERANCE = 0.01
"""By how much, as a share of the largest, the logit of a stored prediction may be below the largest one: a
tie on another device.
"""
SAMPLE = 64
"""Test images that are predicted again at most; fewer where they are large."""

NetworkOf = Callable[[Run], nn.Module]
"""The network of a run, whose weights have shapes and no values."""


def check_metrics(
    folder: Path, run: Run, meta: Mapping[str, Any], history: pd.DataFrame, remedy: str
) -> None:
    """Raise a `DamagedError` unless predictions and final metrics agree with each other, with the history and
    with `run.json`. `PLAIN_METRICS` may be absent, all together.
    """
    predictions = read_table(folder / PREDICTIONS, ("run", "image", "label", "predicted"))
    final = read_table(folder / FINAL, ("run", "metric", "value"))

    def refuse(name: str, reason: str) -> None:
        raise DamagedError(f"{folder / name}: {reason}", remedy)

    for name, table in ((PREDICTIONS, predictions), (FINAL, final)):
        if set(table["run"]) != {folder.name}:
            refuse(name, "has rows of another run")
    if predictions["image"].duplicated().any():
        refuse(PREDICTIONS, "has two predictions for one image")
    if final["metric"].duplicated().any():
        refuse(FINAL, "has a metric twice")
    stored = dict(zip(final["metric"], final["value"], strict=True))
    computed = classification_metrics(predictions["label"].to_numpy(), predictions["predicted"].to_numpy())
    computed |= training_metrics(history, meta, computed["accuracy"])
    for name, value in computed.items():
        found = stored.get(name, math.inf)
        if not (abs(found - value) <= TOLERANCE or (math.isnan(found) and math.isnan(value))):
            refuse(FINAL, f"{name} is {stored.get(name)}, the predictions and the history give {value}")
    if unknown := [
        name
        for name in stored
        if name not in {*computed, "loss", *PLAIN_METRICS} and not name.startswith("parameters.")
    ]:
        refuse(FINAL, f"has a metric {unknown[0]}, which nothing gives")
    if fault := _plain_fault(stored, meta, computed["accuracy"]):
        refuse(FINAL, fault)
    loss = stored.get("loss", math.inf)
    if not _possible_loss(loss, computed["accuracy"], meta):
        refuse(
            FINAL, f"loss is {stored.get('loss')}, which is no loss at an accuracy of {computed['accuracy']}"
        )
    if run.settings.split.validation == "test":
        row = history[(history["split"] == "test") & (history["epoch"] == meta["selected_epoch"])].iloc[0]
        count = len(predictions)
        if count != meta["validation_images"]:
            refuse(
                PREDICTIONS, f"holds {count} images, {RUN} says that {meta['validation_images']} validated"
            )
        if run.settings.split.augmented:  # the history is of augmented images
            return
        tolerance = (
            max(3, 0.001 * count) / count + TOLERANCE
        )  # training and evaluation may have run on different devices
        if abs(row["accuracy"] - computed["accuracy"]) > tolerance:
            refuse(
                PREDICTIONS,
                f"gives accuracy {computed['accuracy']}, the history says {row['accuracy']} for the "
                "selected epoch",
            )
        lost = math.isnan(loss) or math.isnan(row["loss"])
        if not lost and not math.isclose(
            loss, row["loss"], rel_tol=LOSS_TOLERANCE, abs_tol=LOSS_TOLERANCE**2
        ):
            refuse(FINAL, f"loss is {loss}, the history says {row['loss']} for the selected epoch")


def _possible_loss(loss: float, accuracy: float, meta: Mapping[str, Any]) -> bool:
    """Whether images of which this share is classified correctly can have this loss; only in a run that
    diverged may it not be finite.
    """
    lost = meta["stopped"] == "diverged"
    return least_loss(accuracy) <= loss < math.inf or (lost and not math.isfinite(loss))


def _plain_fault(stored: Mapping[str, float], meta: Mapping[str, Any], test_accuracy: float) -> str | None:
    """What is wrong with the `PLAIN_METRICS` of an evaluation that has them."""
    missing = [name for name in PLAIN_METRICS if name not in stored]
    if missing == list(PLAIN_METRICS):
        return None
    if missing:
        return f"lacks {missing[0]}, which is measured with others that it has"
    accuracy, loss, gap = (stored[name] for name in PLAIN_METRICS)
    images = meta["train_images"]
    right = accuracy * images
    if abs(right - round(right)) > TOLERANCE * images:
        return f"plain_train_accuracy is {accuracy}, which is no share of {images} training images"
    if not abs(gap - (accuracy - test_accuracy)) <= TOLERANCE:
        return f"plain_gap is {gap}, the two accuracies give {accuracy - test_accuracy}"
    if not _possible_loss(loss, accuracy, meta):
        return f"plain_train_loss is {loss}, which is no loss at an accuracy of {accuracy}"
    return None


def check_network(folder: Path, meta: Mapping[str, Any], network: nn.Module, remedy: str) -> None:
    """Raise a `DamagedError` unless weights and numbers of parameters, where they are there, are those of the
    run's `network`.
    """
    if meta["parameters"] != models.parameter_count(network):
        what = (
            f"{folder / RUN}: says that its network has {meta['parameters']} parameters, which has "
            f"{models.parameter_count(network)}"
        )
        raise DamagedError(what, remedy)
    if (folder / FINAL).exists():
        final = read_table(folder / FINAL, ("metric", "value"))
        layers = {f"parameters.{layer}": count for layer, count in models.layer_parameters(network).items()}
        stored = {
            name: value
            for name, value in zip(final["metric"], final["value"], strict=True)
            if name.startswith("parameters.")
        }
        if stored and stored != layers:
            raise DamagedError(
                f"{folder / FINAL}: its numbers of parameters are not those of the run's network", remedy
            )
    if (folder / WEIGHTS_FILE).exists():
        expected = {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}
        found = {
            name: (tuple(value.shape), value.dtype)
            for name, value in read_weights(folder / WEIGHTS_FILE).items()
        }
        for name in [*expected, *found]:
            if expected.get(name) != found.get(name):
                here, there = (_described(each.get(name)) for each in (found, expected))
                raise DamagedError(
                    f"{folder / WEIGHTS_FILE}: {name} is {here}, in the run's network it is {there}", remedy
                )


def _described(found: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return "absent" if found is None else f"{str(found[1]).removeprefix('torch.')} {found[0]}"


def check_images(folder: Path, run: Run, meta: Mapping[str, Any], data: RunData, remedy: str) -> None:
    """Raise a `DamagedError` unless the run's numbers of images and their statistics are those of the images
    at hand.
    """
    known: dict[str, Any] = {"train_images": len(data.train), "validation_images": len(data.validation)}
    for name, count in known.items():
        if meta.get(name) != count:
            raise DamagedError(
                f"{folder / RUN}: says {name} {meta.get(name)}, the data set at hand gives {count}", remedy
            )
    own = run.settings.preprocess.normalize == "train"
    for name, value in (("channel_mean", data.preprocess.mean), ("channel_std", data.preprocess.std)):
        if name in meta and (
            not own
            or value is None
            or not np.allclose(meta[name], value.flatten().tolist(), rtol=1e-5, atol=0)
        ):
            raise DamagedError(
                f"{folder / RUN}: its {name} is not that of the training images at hand", remedy
            )


def check_labels(folder: Path, data: RunData, remedy: str) -> pd.DataFrame:
    """The predictions, if they are of the test images at hand, with their labels; else a `DamagedError`."""
    predictions = read_table(folder / PREDICTIONS, ("image", "label", "predicted"))
    expected = {"image": data.test_images, "label": data.test.truth.cpu().numpy()}
    ordered = predictions.sort_values("image")
    if not all(np.array_equal(ordered[name], values) for name, values in expected.items()):
        raise DamagedError(
            f"{folder / PREDICTIONS}: its images and labels are not those of the test images at hand", remedy
        )
    if len(predictions) and predictions["predicted"].max() >= len(data.classes):
        raise DamagedError(f"{folder / PREDICTIONS}: predicts a class that there is not", remedy)
    return predictions


def check_sample(
    folder: Path, predictions: pd.DataFrame, data: RunData, network: nn.Module, remedy: str
) -> None:
    """Raise a `DamagedError` unless the network with the run's weights predicts, for a sample of the test
    images, what is stored.

    The sample alone may not have more cross-entropy than the stored loss, a mean over all test images,
    allows.
    """
    final = read_table(folder / FINAL, ("metric", "value"))
    loss = dict(zip(final["metric"], final["value"], strict=True))["loss"]
    count = min(SAMPLE, data.evaluation_batch, len(data.test))
    places = torch.linspace(0, len(data.test) - 1, count).round().long()
    sample = Part(data.test.inputs, data.test.labels, data.test.indices[places])
    logits = forward(network, sample, data.preprocess, data.evaluation_batch)
    if not logits.isfinite().all():
        if math.isfinite(loss):
            raise DamagedError(
                f"{folder / WEIGHTS_FILE}: predicts what is not finite, though the loss is {loss}", remedy
            )
        return
    stored = torch.from_numpy(
        predictions.sort_values("image")["predicted"].to_numpy()[places.numpy()].astype(np.int64)
    )
    largest, best = logits.max(1)
    missing = largest - logits.gather(1, stored[:, None])[:, 0]
    wrong = (stored != best) & (missing >= LOGIT_TOLERANCE * logits.abs().max(1).values)
    if wrong.any():
        image = data.test_images[places[wrong][0]]
        raise DamagedError(
            f"{folder / PREDICTIONS}: the weights do not predict what it says, for image {image} to begin "
            "with",
            remedy,
        )
    least = functional.cross_entropy(logits.double(), sample.truth, reduction="sum").item() / len(data.test)
    tolerance = LOSS_TOLERANCE * (loss + LOSS_TOLERANCE)
    if least > loss + tolerance or (count == len(data.test) and least < loss - tolerance):
        raise DamagedError(
            f"{folder / FINAL}: loss is {loss}, the weights give {least} on {count} of the test images alone",
            remedy,
        )
