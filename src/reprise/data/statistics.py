"""Mean and standard deviation of each channel, exact up to the last rounding.

NumPy's own would round by the order of the images, and make float64 of all of them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from reprise.data.decode import load
from reprise.errors import RepriseError
from reprise.files import keep_json

CHUNK = 1024  # images counted at a time


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation, float64 (C,), of each channel of `images` uint8 (N, C, H, W)
    scaled to [0, 1].

    Sums are exact integers, so neither the order of the images nor the size of the chunks matters. No images
    are a `RepriseError`.
    """
    if not len(images):
        raise RepriseError("statistics of no images; keep at least one for training")
    channels = images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, pixels in enumerate(images[start : start + CHUNK].swapaxes(0, 1)):
            counts[channel] += np.bincount(pixels.ravel(), minlength=256)
    value = np.arange(256)
    n = counts[0].sum()
    first, second = counts @ value, counts @ value**2
    variance = [
        (int(n) * int(b) - int(a) ** 2) / int(n) ** 2 for a, b in zip(first, second, strict=True)
    ]  # integers beyond 64 bits
    return first / n / 255, np.sqrt(variance) / 255


def write_statistics(dataset_dir: Path) -> dict[str, Any]:
    """Write the statistics of all training images to `statistics.json`, which no other step reads: `mean`,
    `std`, `images`, `split`.
    """
    images = load(dataset_dir).splits["train"].images
    mean, std = channel_statistics(images)
    statistics = {"mean": mean.tolist(), "std": std.tolist(), "images": len(images), "split": "train"}
    keep_json(dataset_dir / "statistics.json", statistics)
    return statistics
