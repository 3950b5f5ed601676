"""The images and labels of runs, on their device."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprise.data.augment import Preprocess, build_preprocess
from reprise.data.decode import Dataset, load
from reprise.data.splits import Split, check_split, subset, train_validation
from reprise.data.statistics import channel_statistics
from reprise.errors import RepriseError
from reprise.reports.run import Run, canonical
from reprise.reports.settings import RunDataset
from reprise.schema import plain

EVALUATION_PIXELS = 2**20
"""Pixels in a batch that is only evaluated: 1024 images of 32 × 32, 20 of 224 × 224."""
EVALUATION_IMAGES = 16
"""Images that such a batch has at least; with fewer a GPU waits for the next kernel most of the time."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the resident images, or of the features computed from them."""

    inputs: Tensor
    """uint8 images (M, 3, H, W) or float features (M, …)."""
    labels: Tensor
    """int64 (M,)."""
    indices: Tensor
    """int64 (N,): the rows of `inputs` and `labels` that belong to the part, in its order."""

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, places: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Inputs and labels at `places` of the part."""
        rows = self.indices[places]
        return self.inputs[rows], self.labels[rows]

    @cached_property
    def truth(self) -> Tensor:
        """The part's own labels (N,)."""
        return self.labels[self.indices]


@dataclass(frozen=True, eq=False)
class RunData:
    """What one run trains, validates and is tested on."""

    train: Part
    validation: Part
    test: Part
    validation_split: str
    """`validation`, held out or the data set's own, or `test` where the test set validates."""
    test_images: np.ndarray
    """Place of each test image in the stored test set."""
    preprocess: Preprocess
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    source: str
    digests: Mapping[str, str]
    """Content digest of each split of the whole data set."""

    @property
    def evaluation_batch(self) -> int:
        """Images in a batch that is only evaluated; the same in training and evaluation, so that both see the
        same numbers.
        """
        return max(EVALUATION_IMAGES, EVALUATION_PIXELS // (self.image_shape[1] * self.image_shape[2]))


@dataclass(frozen=True, eq=False)
class _Resident:
    """One selection of labels and classes of one split, loaded once."""

    rows: np.ndarray
    part: Part
    classes: tuple[str, ...]


def _digests(dataset: Dataset) -> dict[str, str]:
    return {name: split.digest for name, split in dataset.splits.items()}


class Datasets:
    """Data sets by run; each selection of images and labels is loaded once and stays on the device."""

    def __init__(self, dataset_dirs: Mapping[str, Path], device: torch.device) -> None:
        self._dirs = dataset_dirs
        self._device = device
        self._opened: dict[str, Dataset] = {}
        self._residents: dict[str, _Resident] = {}
        self._statistics: dict[str, tuple[Any, Any]] = {}

    def check(self, runs: Iterable[Run]) -> None:
        """Raise the `RepriseError` of `of` for data that is missing or of another source, before any work is
        done.
        """
        for run in runs:
            dataset = self._open(run.settings.dataset)
            if run.settings.split.validation == "official":
                check_split(dataset, "validation")

    def check_trained_on(self, run: Run, meta: Mapping[str, Any]) -> None:
        """Raise a `RepriseError` where the run's data set is there with other images than those that its
        `meta` says it was trained on.
        """
        folder = self._dirs.get(run.settings.dataset.name)
        if (
            "data" in meta
            and folder
            and (folder / "dataset.json").exists()
            and meta["data"] != _digests(self._open(run.settings.dataset))
        ):
            raise RepriseError(
                f"run {run.hash} was trained on other images than those in {folder}; train it again"
            )

    def has(self, run: Run, meta: Mapping[str, Any]) -> bool:
        """Whether the images at hand are those that a run with this `meta` was trained on."""
        return meta.get("data") == _digests(self._open(run.settings.dataset))

    def of(self, run: Run) -> RunData:
        """The data of `run`.

        Raises `RepriseError` where the folder is unknown, holds data of another source (real, synthetic,
        stand-in) than the run names, or lacks the validation images that it names.
        """
        wanted, validation = run.settings.dataset, run.settings.split.validation
        dataset, train, test = (
            self._open(wanted),
            self._resident(wanted, "train"),
            self._resident(wanted, "test"),
        )
        rows, held_out = train_validation(train.rows, validation, run.settings.seeds.split)
        if validation == "official":
            validating = self._resident(wanted, "validation").part
        else:
            validating = test.part if validation == "test" else self._choose(train, held_out)
        selection = canonical([plain(wanted), validation, run.settings.seeds.split])
        preprocess = build_preprocess(
            run.settings.preprocess, self._statistics_of(selection, dataset, rows), self._device
        )
        return RunData(
            train=self._choose(train, rows),
            validation=validating,
            test=test.part,
            validation_split=run.validation_split,
            test_images=test.rows,
            preprocess=preprocess,
            image_shape=preprocess.shape(*train.part.inputs.shape[2:]),
            classes=train.classes,
            source=dataset.source,
            digests=_digests(dataset),
        )

    def _resident(self, wanted: RunDataset, split: Split) -> _Resident:
        key = canonical([plain(wanted), split])
        if key not in self._residents:
            dataset = self._open(wanted)
            rows, labels, classes = subset(dataset, wanted.labels, wanted.classes, wanted.per_class, split)
            self._residents[key] = _Resident(
                rows, self._upload(dataset.splits[split].images, rows, labels), classes
            )
        return self._residents[key]

    def _open(self, wanted: RunDataset) -> Dataset:
        name = wanted.name
        if name not in self._dirs:
            raise RepriseError(
                f"data set {name}: its folder is not given; known: {', '.join(self._dirs) or 'none'}"
            )
        folder = self._dirs[name]
        if name not in self._opened:
            self._opened[name] = load(folder, name)
        dataset = self._opened[name]
        if dataset.source != wanted.source:
            raise RepriseError(
                f"{folder}: holds {dataset.source} images, the run is for {wanted.source} ones; give "
                "that data set's folder"
            )
        return dataset

    def _upload(self, images: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> Part:
        return Part(
            inputs=torch.from_numpy(np.ascontiguousarray(images[rows])).to(self._device),
            labels=torch.from_numpy(labels.astype(np.int64)).to(self._device),
            indices=torch.arange(len(rows), device=self._device),
        )

    def _choose(self, train: _Resident, rows: np.ndarray) -> Part:
        """The resident training images that stand at `rows` of the stored set, which ascend as all that are
        resident do.
        """
        return Part(
            train.part.inputs,
            train.part.labels,
            torch.from_numpy(np.searchsorted(train.rows, rows)).to(self._device),
        )

    def _statistics_of(
        self, selection: str, dataset: Dataset, rows: np.ndarray
    ) -> Callable[[], tuple[Any, Any]]:
        def statistics() -> tuple[Any, Any]:
            if selection not in self._statistics:
                self._statistics[selection] = channel_statistics(dataset.splits["train"].images[rows])
            return self._statistics[selection]

        return statistics
