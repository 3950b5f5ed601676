"""Which images a run sees: classes, number per class, training and validation part."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reprise.data.decode import Dataset
from reprise.errors import RepriseError, nearest

Split = Literal["train", "validation", "test"]


class Subset(NamedTuple):
    """`indices` int64 (n,) into the arrays of a split, ascending; `labels` int64 (n,) from 0 to C - 1; the C
    class names.
    """

    indices: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def subset(
    dataset: Dataset,
    labels: str,
    classes: Sequence[str] | None = None,
    per_class: int | None = None,
    split: Split = "train",
) -> Subset:
    """The images of `split` whose label of kind `labels` is one of `classes` (default: all), at most
    `per_class` of each.

    Labels number the classes in the order given. Of each class the first images in stored order are kept;
    that order is by content hash, so they are an arbitrary but fixed choice. Unknown names, classes without
    images, and validation images of a data set that has none of its own are a `RepriseError`.
    """
    if labels not in dataset.classes:
        raise RepriseError(f"{dataset.name}: no labels {labels!r}{nearest(labels, dataset.classes)}")
    check_split(dataset, split)
    if per_class is not None and per_class < 1:
        raise RepriseError(f"{dataset.name}: {per_class} images per class; keep at least one")
    known = dataset.classes[labels]
    chosen = tuple(known if classes is None else classes)
    for name in chosen:
        if name not in known:
            raise RepriseError(
                f"{dataset.name}: no class {name!r} among its {labels} labels{nearest(name, known)}"
            )
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise RepriseError(
            f"{dataset.name}: classes {', '.join(chosen) or '(none)'}; name at least two, each once"
        )

    column = dataset.splits[split].labels[:, dataset.label_kinds.index(labels)]
    groups = [np.flatnonzero(column == known.index(name))[:per_class] for name in chosen]
    if empty := [name for name, group in zip(chosen, groups, strict=True) if not len(group)]:
        raise RepriseError(
            f"{dataset.name}: no {split} images of {', '.join(empty)}; leave the class out, or use data "
            "that has it"
        )
    indices = np.concatenate(groups)
    remapped = np.repeat(np.arange(len(chosen)), [len(group) for group in groups])
    order = np.argsort(indices)
    return Subset(indices[order], remapped[order], chosen)


def check_split(dataset: Dataset, split: str) -> None:
    """Raise `RepriseError` unless the data set has that split."""
    if split in dataset.splits:
        return
    if split == "validation":
        remedy = "hold out a fraction of its training images, or let the test set validate (test)"
        raise RepriseError(
            f"{dataset.name}: has no validation images of its own (split.validation: official); {remedy}"
        )
    raise RepriseError(f"{dataset.name}: no split {split!r}{nearest(split, dataset.splits)}")


def train_validation(
    indices: np.ndarray, validation: float | Literal["test", "official"], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` (n,) into a training part and a validation part, both in the order of `indices`.

    `validation` is the fraction held out, drawn without regard to class; with `"test"` and `"official"`
    everything trains and the second part is empty (the test set, or the data set's own split `validation`,
    validates). A fraction that leaves either part empty is a `RepriseError`.
    """
    held_out = np.zeros(len(indices), dtype=bool)
    if not isinstance(validation, str):
        count = round(len(indices) * validation)
        if not 0 < count < len(indices):
            raise RepriseError(
                f"validation {validation} of {len(indices)} images leaves an empty part; choose another "
                "fraction between 0 and 1"
            )
        # a permutation from raw bits: NumPy keeps these the same for ever, but not what Generator.permutation
        # makes of them
        held_out[np.argsort(np.random.PCG64(seed).random_raw(len(indices)), kind="stable")[:count]] = True
    return indices[~held_out], indices[held_out]
