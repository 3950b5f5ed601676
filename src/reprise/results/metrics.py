"""Final metrics of a run, from its predictions and its history."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

COLOURS = ("red", "green", "blue")
PLAIN_METRICS = ("plain_train_accuracy", "plain_train_loss", "plain_gap")
"""Measured together; evaluations of earlier versions have none of them."""


def classification_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy and the unweighted means over classes of precision, recall and F1.

    `labels` and `predicted` are integers of the same shape (images,). A class counts where either holds it; a
    ratio whose denominator is zero is 0, as that of a class that is never predicted. These are scikit-learn's
    definitions and the tests' oracle; to import it takes longer than to evaluate a run.
    """
    correct = np.bincount(labels[labels == predicted], minlength=1 + max(labels.max(), predicted.max()))
    actual, guessed = (np.bincount(values, minlength=len(correct)) for values in (labels, predicted))
    present = actual + guessed > 0
    correct, actual, guessed = correct[present], actual[present], guessed[present]
    values = {
        "accuracy": np.mean(labels == predicted),
        "precision_macro": np.mean(correct / np.maximum(guessed, 1)),
        "recall_macro": np.mean(correct / np.maximum(actual, 1)),
        "f1_macro": np.mean(2 * correct / (actual + guessed)),
        "test_images": len(labels),
    }
    return {name: float(value) for name, value in values.items()}


def training_metrics(
    history: pd.DataFrame, meta: Mapping[str, Any], test_accuracy: float
) -> dict[str, float]:
    """What the selected epoch was, how well it fitted the training images, the generalisation gap, sizes, and
    the images' statistics.

    Results of older versions have no statistics.
    """
    epoch = meta["selected_epoch"]
    row = history[(history["split"] == "train") & (history["epoch"] == epoch)].iloc[0]
    values = {
        "selected_epoch": epoch,
        "train_loss": row["loss"],
        "train_accuracy": row["accuracy"],
        "gap": row["accuracy"] - test_accuracy,
        "parameters": meta["parameters"],
        "train_images": meta["train_images"],
        "validation_images": meta["validation_images"],
    }
    for statistic in ("channel_mean", "channel_std"):
        if statistic in meta:
            values |= {
                f"{statistic}.{colour}": value for colour, value in zip(COLOURS, meta[statistic], strict=True)
            }
    return {name: float(value) for name, value in values.items()}


def plain_metrics(accuracy: float, loss: float, test_accuracy: float) -> dict[str, float]:
    """`PLAIN_METRICS` of selected weights that have this accuracy and mean cross-entropy on their training
    part, measured as the test images are: in evaluation mode, without augmentation.
    """
    return dict(zip(PLAIN_METRICS, (accuracy, loss, accuracy - test_accuracy), strict=True))
