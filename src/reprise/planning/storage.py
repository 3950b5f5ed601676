"""What data sets, pretrained weights and runs take of the disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reprise.data.catalog import dataset_facts, weights_facts
from reprise.models.meta import network
from reprise.planning.work import Work, split_sizes
from reprise.reports.layout import Layout
from reprise.reports.run import datasets

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
    settings = work.run.settings.optimizer
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
        arrays = sum(split_sizes(folder, name, source).values()) * int(np.prod(facts.image_shape))
        archive = where.archives / facts.file_name
        data += arrays + (
            archive.stat().st_size if archive.exists() else facts.max_bytes if source == "real" else arrays
        )
        there += arrays * (folder / "dataset.json").exists() + (
            archive.stat().st_size if archive.exists() else 0
        )
    for arch in sorted({work.run.pretrained for work in works if work.run.pretrained}):
        file = where.weights / weights_facts(arch).file_name
        data += file.stat().st_size if file.exists() else weights_facts(arch).max_bytes
        there += file.stat().st_size if file.exists() else 0
    left = [run_bytes(work) for work in works]
    return Disk(data, there, sum(each[0] for each in left), max((each[1] for each in left), default=0))
