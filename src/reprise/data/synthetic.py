"""Draw archives of every data set in its official format, for the demo and the tests.

A picture shows one patterned shape on a background, with clutter and noise. The superclass decides shape,
pattern and family of colours; the fine class varies hue, orientation and fineness of the pattern. Position,
size, light, background and clutter are chance, and colours of neighbouring classes overlap, so a small
network learns the classes over some epochs and never all of them.
"""

import gzip
import io
import itertools
import math
import pickle
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from reprise.data.archives import RawSplit, sidecar_of
from reprise.data.catalog import (
    CIFAR100_SUPERCLASSES,
    CifarLayout,
    DatasetFacts,
    PngLayout,
    StlLayout,
    dataset_facts,
)
from reprise.data.decode import write_dataset_record
from reprise.errors import RepriseError
from reprise.files import atomic, write_json
from reprise.progress import progress

SHAPES, PATTERNS, VARIANTS = 5, 4, 5
CLUTTER = 2  # blobs in a picture that say nothing about its class
CHUNK = 500  # pictures drawn at a time
DRAWN_SIDE = (
    48  # pixels; larger pictures are drawn with half as many and doubled, which is four times as fast
)
GREY_EVERY = 50  # one picture in so many is grey in a data set that has such files
UNLABELLED = 20  # pictures without labels in a stand-in for STL-10, which has 100,000
FOLDS = 10  # of STL-10's training images


def write_synthetic(name: str, folder: Path, per_class: Mapping[str, int], seed: int = 0) -> Path:
    """Write a stand-in for data set `name` to `folder` under the official archive's name and return that
    path.

    `per_class` maps `train` and `test` to the number of images of each class (of each fine class of
    CIFAR-100); a validation part of the data set's own is as large as the test set. Beside the archive comes
    its sidecar with the content digests, by which `fetch_dataset(accept="synthetic")` and `decode` know it
    for what it is. The same arguments give the same bytes with the same NumPy and Pillow.
    """
    facts = dataset_facts(name)
    rng = np.random.default_rng(seed)
    counts = {split: per_class["train" if split == "train" else "test"] for split in facts.splits}
    splits = {split: _draw_split(facts, split, count, rng) for split, count in counts.items()}
    archive = folder / facts.file_name
    write_archive(archive, facts, splits)
    write_sidecar(archive, facts, splits, source="synthetic")
    return archive


def write_noise(
    folder: Path, name: str, counts: Mapping[str, int], labels: Mapping[str, Sequence[int]] | None = None
) -> Path:
    """Write arrays as `decode` does, of random pixels, which show nothing, to `folder` and return it: for
    measuring how long work takes.

    `counts` maps splits to their images. Labels of each kind go round its classes, or round those that
    `labels` gives for the kind.
    """
    facts, rng = dataset_facts(name), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rounds = {kind: range(len(names)) for kind, names in facts.classes.items()} | dict(labels or {})
    for split, count in counts.items():
        np.save(
            folder / f"{split}_images.npy",
            rng.integers(256, size=(count, *facts.image_shape), dtype=np.uint8),
        )
        np.save(
            folder / f"{split}_labels.npy",
            np.stack([np.resize(known, count) for known in rounds.values()], axis=1).astype(np.uint8),
        )
        (folder / f"{split}_names.txt").write_text("".join(f"{index}.png\n" for index in range(count)))
    classes = {kind: list(names) for kind, names in facts.classes.items()}
    splits = {split: {"images": count, "digest": "0" * 64} for split, count in counts.items()}
    described = {
        "name": name,
        "source": "synthetic",
        "label_kinds": list(classes),
        "classes": classes,
        "splits": splits,
    }
    write_dataset_record(folder, {**described, "image_shape": list(facts.image_shape)})
    return folder


def write_sidecar(archive: Path, facts: DatasetFacts, splits: Mapping[str, RawSplit], **about: Any) -> None:
    """Write beside `archive` what it is (`about`, with its `source`) and what is in it."""
    digests = {split: raw.digest() for split, raw in splits.items()}
    write_json(sidecar_of(archive), {"name": facts.name, "digests": digests, **about})


def _draw_split(facts: DatasetFacts, split: str, per_class: int, rng: np.random.Generator) -> RawSplit:
    if per_class < 1:
        raise RepriseError(f"synthetic {facts.name}: {per_class} {split} images per class; draw at least one")
    names = facts.classes[facts.label_kinds[-1]]
    last = rng.permutation(np.repeat(np.arange(len(names)), per_class))
    if facts.label_kinds == ("coarse", "fine"):
        groups = list(CIFAR100_SUPERCLASSES.values())
        place = np.array(
            [
                next((c, group.index(name)) for c, group in enumerate(groups) if name in group)
                for name in names
            ]
        )
        family, variant = place[last].T
        labels = np.stack([family, last], axis=1)
    else:
        family, variant = last, rng.integers(VARIANTS, size=len(last))
        labels = last[:, None]
    starts = range(0, len(last), CHUNK)
    side = facts.image_shape[-1]
    scale = 1 if side <= DRAWN_SIDE else 2
    images = np.concatenate(
        [_draw(family[i : i + CHUNK], variant[i : i + CHUNK], side // scale, rng) for i in starts]
    )
    images = images.repeat(scale, axis=2).repeat(scale, axis=3)
    if facts.layout.grey:
        images[::GREY_EVERY] = images[::GREY_EVERY].mean(axis=1, keepdims=True)
    files = [f"{names[label]}_s_{i:06d}.png" for i, label in enumerate(last)]
    return RawSplit(images.reshape(len(last), -1), labels.astype(np.uint8), files)


# ---- pictures ----


def _draw(family: np.ndarray, variant: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Pictures uint8 (n, 3, side, side) of the superclasses `family` (n,) and their fine classes `variant`
    (n,).
    """
    n = len(family)

    def chance(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    axis = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    angle = (variant[:, None, None] * math.pi / VARIANTS + rng.normal(0, 0.15, (n, 1, 1))).astype(np.float32)
    size = chance(0.6, 1.0)
    dx, dy = (x - chance(-0.25, 0.25)) / size, (y - chance(-0.25, 0.25)) / size
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)

    hue = family * 0.618 + (variant - (VARIANTS - 1) / 2) * 0.035 + rng.normal(0, 0.03, n)
    colour = _rgb(hue, rng.uniform(0.55, 1, n), rng.uniform(0.6, 1, n))
    ground = _rgb(rng.uniform(size=n), rng.uniform(0, 0.35, n), rng.uniform(0.15, 0.85, n))

    tilt = chance(0, 2 * math.pi)
    picture = ground * (1 + chance(0, 0.4) * (x * np.cos(tilt) + y * np.sin(tilt)))[:, None]
    for _ in range(CLUTTER):
        blob = ((x - chance(-1, 1)) / chance(0.1, 0.4)) ** 2 + (
            (y - chance(-1, 1)) / chance(0.1, 0.4)
        ) ** 2 < 1
        picture = np.where(
            blob[:, None], _rgb(rng.uniform(size=n), rng.uniform(0, 0.8, n), rng.uniform(0.2, 1, n)), picture
        )
    fineness = (1.2 + 0.3 * variant[:, None, None] + rng.normal(0, 0.1, (n, 1, 1))).astype(np.float32)
    light = 0.55 + 0.45 * _pattern(family // SHAPES % PATTERNS, u * fineness, v * fineness)
    picture = np.where(_shape(family % SHAPES, dx, dy)[:, None], colour * light[:, None], picture)
    picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * chance(0.02, 0.1)[:, None]
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def _shape(kind: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mask (n, side, side) of a disc, square, triangle, ring or cross of radius 1 around x = y = 0."""
    radius = np.hypot(x, y)
    a, b = np.abs(x), np.abs(y)
    square = np.maximum(a, b) < 0.85
    masks = (
        radius < 1,
        square,
        (y > -0.7) & (y + 1.8 * a < 1),
        (radius < 1) & (radius > 0.45),
        (np.minimum(a, b) < 0.32) & (np.maximum(a, b) < 1),
    )
    return np.choose(kind[:, None, None], masks)


def _pattern(kind: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Stripes, chequers, dots or plain, from 0 (dark) to 1 (light), with period 1."""
    wave_u, wave_v = np.sin(2 * math.pi * u), np.sin(2 * math.pi * v)
    patterns = (wave_u > 0, wave_u * wave_v > 0, wave_u + wave_v > 0.7, np.ones_like(u, dtype=bool))
    return np.choose(kind[:, None, None], patterns).astype(np.float32)


def _rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Colours float32 (n, 3, 1, 1) from hue (period 1), saturation and value, each (n,)."""
    k = (np.array([5, 3, 1]) + 6 * hue[:, None]) % 6
    rgb = value[:, None] * (1 - saturation[:, None] * np.clip(np.minimum(k, 4 - k), 0, 1))
    return rgb.astype(np.float32)[:, :, None, None]


# ---- the official format ----


def write_archive(path: Path, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> None:
    """Write `splits` to `path` in the official format of the data set; what else the official archive holds
    is there in small.
    """
    with (
        atomic(path) as partial,
        partial.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in facts.layout.members(facts, splits):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def cifar_members(
    facts: DatasetFacts, layout: CifarLayout, splits: Mapping[str, RawSplit]
) -> Iterator[tuple[str, bytes]]:
    for split, members in layout.splits.items():
        raw = splits[split]
        for k, member in enumerate(members):
            part = slice(k * len(raw.images) // len(members), (k + 1) * len(raw.images) // len(members))
            columns = {key: raw.labels[part, i].tolist() for i, key in enumerate(layout.label_keys.values())}
            batch = f"{split}ing batch {k + 1} of {len(members)}"
            yield (
                member,
                _pickled(
                    {"batch_label": batch, **columns, "data": raw.images[part], "filenames": raw.names[part]}
                ),
            )
    yield layout.meta, _pickled({key: list(facts.classes[kind]) for kind, key in layout.class_keys.items()})


def stl_members(
    facts: DatasetFacts, layout: StlLayout, splits: Mapping[str, RawSplit]
) -> Iterator[tuple[str, bytes]]:
    def stored(raw: RawSplit) -> np.ndarray:
        return np.concatenate(list(raw.blocks())).reshape(-1, *facts.image_shape).transpose(0, 1, 3, 2)

    folder = PurePosixPath(layout.splits["train"][0]).parent
    count = len(splits["train"].labels)
    yield f"{folder}/class_names.txt", "".join(f"{name}\n" for name in facts.classes["label"]).encode()
    yield (
        f"{folder}/fold_indices.txt",
        "".join(" ".join(map(str, range(k, count, FOLDS))) + "\n" for k in range(FOLDS)).encode(),
    )
    yield f"{folder}/unlabeled_X.bin", stored(splits["train"])[:UNLABELLED].tobytes()
    for split, (images, labels) in layout.splits.items():
        yield images, stored(splits[split]).tobytes()
        yield labels, (splits[split].labels[:, 0] + np.uint8(1)).tobytes()


def png_members(
    facts: DatasetFacts, layout: PngLayout, splits: Mapping[str, RawSplit]
) -> Iterator[tuple[str, bytes]]:
    yield "README.md", f"Made by reprise in the format of {facts.name}: not the data set itself.\n".encode()
    yield "imagenet-contributors.csv", b"image_num, cifar_label, synset_id\n"
    yield "synsets-to-cifar-10-classes.txt", "".join(f"{name}\n" for name in facts.classes["label"]).encode()
    for split, folder in layout.splits.items():
        raw = splits[split]
        order = np.argsort(raw.labels[:, 0], kind="stable")
        images = itertools.chain.from_iterable(raw.blocks(order))
        for place, image in zip(
            progress(order, description=f"writing {folder}", unit="image"), images, strict=True
        ):
            label = facts.classes["label"][raw.labels[place, 0]]
            yield f"{folder}/{label}/{raw.names[place]}", _png(image.reshape(facts.image_shape))


def _png(pixels: np.ndarray) -> bytes:
    """A PNG of `pixels` uint8 (3, H, W), greyscale where the channels are equal."""
    grey = (pixels == pixels[0]).all()
    packed = io.BytesIO()
    Image.fromarray(pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(
        packed, "PNG", compress_level=1
    )
    return packed.getvalue()


def _pickled(value: Any) -> bytes:
    pickled = io.BytesIO()
    _Python2Pickler(pickled).dump(value)
    return pickled.getvalue()


_Pickler: Any = pickle._Pickler  # in Python, so that it can be changed; types leave out its methods


class _Python2Pickler(_Pickler):
    """Pickles as Python 2 did, protocol 2: texts as 8-bit strings, NumPy's function under its old name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=2)

    def _save_string(self, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        self.write(
            pickle.SHORT_BINSTRING + bytes([len(data)])
            if len(data) < 256
            else pickle.BINSTRING + struct.pack("<i", len(data))
        )
        self.write(data)
        self.memoize(value)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if getattr(obj, "__name__", None) != "_reconstruct":
            return super().save_global(obj, name)
        self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
        self.memoize(obj)
        return None

    def _save_function(self, obj: Any) -> None:
        self.save_global(obj)

    dispatch = _Pickler.dispatch | {
        str: _save_string,
        bytes: _save_string,
        type(np.empty(0).__reduce__()[0]): _save_function,
    }
