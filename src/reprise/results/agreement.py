"""Whether predictions, metrics and history of a run agree: what can be computed again is."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reprise.reports.layout import FINAL, PREDICTIONS, RUN
from reprise.reports.run import Run
from reprise.results.history import least_loss
from reprise.results.metrics import PLAIN_METRICS, classification_metrics, training_metrics

TOLERANCE = 1e-9
"""Between a stored metric and the same one computed again from the stored predictions and history."""
LOSS_TOLERANCE = 1e-3
"""Between the losses of the same weights on the same images, as a share: training and evaluation may have run
on different devices.
"""


def find_misfit(
    run: Run,
    meta: Mapping[str, Any],
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    final: pd.DataFrame,
) -> tuple[str, str] | None:
    """The file and the reason where predictions (run, image, label, predicted) and final metrics (run,
    metric, value) do not agree with each other, with the history or with `run.json`. `PLAIN_METRICS` may be
    absent, all together.
    """
    for name, table in ((PREDICTIONS, predictions), (FINAL, final)):
        if list(table["run"].unique()) != [run.hash]:
            return (name, "has rows of another run")
    if predictions["image"].duplicated().any():
        return (PREDICTIONS, "has two predictions for one image")
    if final["metric"].duplicated().any():
        return (FINAL, "has a metric twice")
    stored = dict(zip(final["metric"], final["value"], strict=True))
    computed = classification_metrics(predictions["label"].to_numpy(), predictions["predicted"].to_numpy())
    computed |= training_metrics(history, meta, computed["accuracy"])
    for name, value in computed.items():
        found = stored.get(name, math.inf)
        if not (abs(found - value) <= TOLERANCE or (math.isnan(found) and math.isnan(value))):
            return (FINAL, f"{name} is {stored.get(name)}, the predictions and the history give {value}")
    if unknown := [
        name
        for name in stored
        if name not in {*computed, "loss", *PLAIN_METRICS} and not name.startswith("parameters.")
    ]:
        return (FINAL, f"has a metric {unknown[0]} that is not known")
    if fault := _plain_fault(stored, meta, computed["accuracy"]):
        return (FINAL, fault)
    loss = stored.get("loss", math.inf)
    if not _possible_loss(loss, computed["accuracy"], meta):
        return (
            FINAL,
            f"loss is {stored.get('loss')}, which is impossible at an accuracy of {computed['accuracy']}",
        )
    if run.settings.split.validation == "test":
        row = history[(history["split"] == "test") & (history["epoch"] == meta["selected_epoch"])].iloc[0]
        count = len(predictions)
        if count != meta["validation_images"]:
            return (
                PREDICTIONS,
                f"holds {count} images, {RUN} says that {meta['validation_images']} validated",
            )
        if run.settings.split.augmented:  # the history is of augmented images
            return None
        tolerance = (
            max(3, 0.001 * count) / count + TOLERANCE
        )  # training and evaluation may have run on different devices
        if abs(row["accuracy"] - computed["accuracy"]) > tolerance:
            return (
                PREDICTIONS,
                f"gives accuracy {computed['accuracy']}, the history says {row['accuracy']} for the "
                "selected epoch",
            )
        lost = math.isnan(loss) or math.isnan(row["loss"])
        if not lost and not math.isclose(
            loss, row["loss"], rel_tol=LOSS_TOLERANCE, abs_tol=LOSS_TOLERANCE**2
        ):
            return (FINAL, f"loss is {loss}, the history says {row['loss']} for the selected epoch")
    return None


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
        return f"plain_train_accuracy is {accuracy}, which is not a share of {images} training images"
    if not abs(gap - (accuracy - test_accuracy)) <= TOLERANCE:
        return f"plain_gap is {gap}, the two accuracies give {accuracy - test_accuracy}"
    if not _possible_loss(loss, accuracy, meta):
        return f"plain_train_loss is {loss}, which is impossible at an accuracy of {accuracy}"
    return None
