"""Sample images with captions, for figures that show data and what is done to them: an intermediate file, so
that pictures need no data set and no torch.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reprise.data.decode import Dataset, Split
from reprise.data.statistics import channel_statistics
from reprise.errors import RepriseError, nearest
from reprise.files import atomic
from reprise.records import FILES, digests, write_record
from reprise.reports.run import digest
from reprise.reports.settings import PreprocessSettings
from reprise.schema import parse


def choose(dataset: Dataset, selection: Mapping[str, Any]) -> np.ndarray:
    """Indices of the images that `selection` names, in stored order within a class.

    `split`: one of the data set's, `train` by default; `where`: kind of label → class that an image must
    have; `by` and `each`: the first `each` images (default 1) of every class of the kind `by`, classes in the
    data set's order, or of those that `classes` names, in its order; without `by`, the first `each` images.
    """
    labels = _split(dataset, selection).labels
    kept = np.ones(len(labels), dtype=bool)
    for kind, name in selection.get("where", {}).items():
        kept &= labels[:, _column(dataset, kind)] == _label(dataset, kind, name, f"images.where.{kind}")
    candidates = np.flatnonzero(kept)
    each = selection.get("each", 1)
    if "by" in selection:
        found = labels[candidates, _column(dataset, selection["by"])]
        groups = [candidates[found == value][:each] for value in _wanted(dataset, selection, found)]
        chosen = np.concatenate(groups) if groups else candidates
    elif "classes" in selection:
        raise RepriseError("images.classes: of which kind of label? name it in images.by")
    else:
        chosen = candidates[:each]
    if not len(chosen):
        raise RepriseError(
            f"images: no image of {dataset.name} fits `where` {dict(selection.get('where', {}))}; widen it"
        )
    return chosen


def write_samples(dataset: Dataset, selection: Mapping[str, Any], path: Path) -> None:
    """Write the chosen images and their captions to the `.npz` at `path`, and beside it its record (`.json`),
    which names the selection.

    `captions` of the selection lists the kinds of label that an image's caption names, one a line. The file
    holds `captions` (N,) and `images` uint8 (N, H, W, 3). With `transforms` it holds, in place of `images`,
    the K transforms' `labels` (K,) and for each of them `images_0` to `images_<K − 1>`, uint8 (N, H, W, 3)
    with an H and W of its own: what `transformed` makes of the images.
    """
    chosen = choose(dataset, selection)
    split = _split(dataset, selection)
    images, labels = split.images[chosen], split.labels[chosen]
    lines = []
    for row in labels:
        named = [(kind, dataset.classes[kind][row[_column(dataset, kind)]]) for kind in selection["captions"]]
        prefix = len(named) > 1
        lines.append(
            "\n".join(
                f"{kind}: {name.replace('_', ' ')}" if prefix else name.replace("_", " ")
                for kind, name in named
            )
        )
    arrays = {"captions": np.array(lines)}
    if transforms := selection.get("transforms"):
        arrays["labels"] = np.array([transform["label"] for transform in transforms])
        for index, pictures in enumerate(transformed(dataset, images, transforms, selection.get("seed", 0))):
            arrays[f"images_{index}"] = pictures.transpose(0, 2, 3, 1)
    else:
        arrays["images"] = images.transpose(0, 2, 3, 1)
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    write_record(
        path.with_suffix(".json"), {"selection": selection, FILES: digests(path.parent, [path.name])}
    )


def transformed(
    dataset: Dataset, images: np.ndarray, transforms: Sequence[Mapping[str, Any]], seed: int
) -> list[np.ndarray]:
    """What each of `transforms` makes of `images` uint8 (N, 3, H, W) of `dataset`: uint8 (N, 3, H', W').

    `preprocess` and `augmentation` of a transform are a run's settings, and act in a run's order; without
    both the images stay as they are. The range that normalised values can have, of all channels together, is
    shown from black to white: clipped at 0 instead, half of them would be black. `normalize: train` takes the
    statistics of all training images. The random numbers of a transform follow from `seed` and its
    augmentation, whatever else is in the list.
    """
    import torch  # seconds that plain samples, of which a report may have twenty figures, need not wait

    from reprise.data.augment import build_augmentation, build_preprocess

    @cache
    def statistics() -> tuple[np.ndarray, np.ndarray]:
        return channel_statistics(dataset.splits["train"].images)

    results = []
    for transform in transforms:
        settings = parse(PreprocessSettings, transform.get("preprocess", {}), "preprocess")
        preprocess = build_preprocess(settings, statistics, torch.device("cpu"))
        steps = transform.get("augmentation") or []
        generator = torch.Generator().manual_seed(int(digest([seed, steps]), 16))
        pixels = build_augmentation(steps)(preprocess.pixels(torch.from_numpy(images)), generator)
        extremes = torch.stack([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)])
        low, high = (each.item() for each in preprocess.normalise(extremes).aminmax())
        shown = (preprocess.normalise(pixels) - low) / (high - low)
        results.append(shown.clamp(0, 1).mul(255).round().to(torch.uint8).numpy())
    return results


def _split(dataset: Dataset, selection: Mapping[str, Any]) -> Split:
    split = selection.get("split", "train")
    if split not in dataset.splits:
        raise RepriseError(
            f"images.split: {dataset.name} has no split {split}{nearest(split, dataset.splits)}"
        )
    return dataset.splits[split]


def _column(dataset: Dataset, kind: str) -> int:
    if kind not in dataset.label_kinds:
        raise RepriseError(
            f"images: {dataset.name} has no labels of kind {kind}{nearest(kind, dataset.label_kinds)}"
        )
    return dataset.label_kinds.index(kind)


def _label(dataset: Dataset, kind: str, name: str, where: str) -> int:
    """The label of the class `name`."""
    classes = dataset.classes[kind]
    if name not in classes:
        raise RepriseError(f"{where}: {dataset.name} has no class {name}{nearest(name, classes)}")
    return classes.index(name)


def _wanted(dataset: Dataset, selection: Mapping[str, Any], found: np.ndarray) -> list[int]:
    """The labels of kind `by` that are shown: those of `classes`, each of which must be among the labels
    `found`, else all found.
    """
    if "classes" not in selection:
        return np.unique(found).tolist()
    wanted = [_label(dataset, selection["by"], name, "images.classes") for name in selection["classes"]]
    for name, label in zip(selection["classes"], wanted, strict=True):
        if label not in found:
            raise RepriseError(
                f"images.classes: no image of {name} fits `where` {dict(selection.get('where', {}))}; leave "
                "the class out"
            )
    return wanted
