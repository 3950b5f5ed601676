"""Sample images with captions, for figures that show data: an intermediate file, so that pictures need no data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reprise.data.decode import Dataset, Split
from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.spec.check import nearest


def choose(dataset: Dataset, selection: Mapping[str, Any]) -> np.ndarray:
    """Indices of the images that `selection` names, in stored order within a class.

    `split`: `train` (default) or `test`; `where`: kind of label → class that an image must have; `by` and `each`: the first `each` images
    (default 1) of every class of the kind `by`, classes in the data set's order; without `by`, the first `each` images.
    """
    labels = _split(dataset, selection).labels
    kept = np.ones(len(labels), dtype=bool)
    for kind, name in selection.get("where", {}).items():
        column = _column(dataset, kind)
        classes = dataset.classes[kind]
        if name not in classes:
            raise RepriseError(f"images.where.{kind}: {dataset.name} has no class {name}{nearest(name, classes)}")
        kept &= labels[:, column] == classes.index(name)
    candidates = np.flatnonzero(kept)
    each = selection.get("each", 1)
    if "by" in selection:
        column = _column(dataset, selection["by"])
        groups = [candidates[labels[candidates, column] == value] for value in np.unique(labels[candidates, column])]
        chosen = np.concatenate([group[:each] for group in groups]) if groups else candidates
    else:
        chosen = candidates[:each]
    if not len(chosen):
        raise RepriseError(f"images: no image of {dataset.name} fits the selection {dict(selection)}; widen `where`")
    return chosen


def write_samples(dataset: Dataset, selection: Mapping[str, Any], path: Path) -> None:
    """Write `images` uint8 (N, H, W, 3) and `captions` (N,) to the `.npz` at `path`.

    `captions` of the selection lists the kinds of label under each image, one a line.
    """
    chosen = choose(dataset, selection)
    split = _split(dataset, selection)
    images, labels = split.images[chosen].transpose(0, 2, 3, 1), split.labels[chosen]
    lines = []
    for row in labels:
        named = [(kind, dataset.classes[kind][row[_column(dataset, kind)]]) for kind in selection["captions"]]
        prefix = len(named) > 1
        lines.append("\n".join(f"{kind}: {name.replace('_', ' ')}" if prefix else name.replace("_", " ") for kind, name in named))
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, images=images, captions=np.array(lines))


def _split(dataset: Dataset, selection: Mapping[str, Any]) -> Split:
    return dataset.splits[selection.get("split", "train")]


def _column(dataset: Dataset, kind: str) -> int:
    if kind not in dataset.label_kinds:
        raise RepriseError(f"images: {dataset.name} has no labels of kind {kind}{nearest(kind, dataset.label_kinds)}")
    return dataset.label_kinds.index(kind)
