"""Final metrics of a run, from its predictions and its history."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

COLOURS = ("red", "green", "blue")


def classification_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy and the unweighted means over classes of precision, recall and F1 (0 where a class is never predicted)."""
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    accuracy = accuracy_score(labels, predicted)
    values = {"accuracy": accuracy, "precision_macro": precision, "recall_macro": recall, "f1_macro": f1, "test_images": len(labels)}
    return {name: float(value) for name, value in values.items()}


def training_metrics(history: pd.DataFrame, meta: Mapping[str, Any], test_accuracy: float) -> dict[str, float]:
    """What the selected epoch was, how well it fitted the training images, the generalisation gap, sizes, and the images' statistics.

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
            values |= {f"{statistic}.{colour}": value for colour, value in zip(COLOURS, meta[statistic], strict=True)}
    return {name: float(value) for name, value in values.items()}
