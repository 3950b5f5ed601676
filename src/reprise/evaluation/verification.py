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
from reprise.reports.layout import FINAL, PREDICTIONS, RUN, WEIGHTS_FILE
from reprise.reports.run import Run
from reprise.results.agreement import LOSS_TOLERANCE, find_misfit
from reprise.training.inference import forward
from reprise.training.parts import Part, RunData
from reprise.training.results import read_table, read_weights

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
    with `run.json`.
    """
    predictions = read_table(folder / PREDICTIONS, ("run", "image", "label", "predicted"))
    final = read_table(folder / FINAL, ("run", "metric", "value"))
    if misfit := find_misfit(run, meta, history, predictions, final):
        name, reason = misfit
        raise DamagedError(f"{folder / name}: {reason}", remedy)


def check_network(folder: Path, meta: Mapping[str, Any], network: nn.Module, remedy: str) -> None:
    """Raise a `DamagedError` unless weights and numbers of parameters, where they are there, are those of the
    run's `network`.
    """
    if meta["parameters"] != models.parameter_count(network):
        what = (
            f"{folder / RUN}: says that its network has {meta['parameters']} parameters; it has "
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
        raise DamagedError(f"{folder / PREDICTIONS}: predicts a class that does not exist", remedy)
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
                f"{folder / WEIGHTS_FILE}: gives values that are not finite, though the loss is {loss}",
                remedy,
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
