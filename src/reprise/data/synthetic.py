"""Draw stand-ins for CIFAR-10 and CIFAR-100 in their official archive format, for the demo and the tests.

A picture shows one patterned shape on a background, with clutter and noise. The superclass decides shape, pattern and family of
colours; the fine class varies hue, orientation and fineness of the pattern. Position, size, light, background and clutter are chance,
and colours of neighbouring classes overlap, so a small network learns the classes over some epochs and never all of them.
"""

import gzip
import io
import math
import pickle
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reprise.data.archives import RawSplit, sidecar_of
from reprise.data.catalog import CIFAR100_SUPERCLASSES, DatasetFacts, dataset_facts
from reprise.errors import RepriseError
from reprise.files import atomic, write_json

SHAPES, PATTERNS, VARIANTS = 5, 4, 5
CLUTTER = 2  # blobs in a picture that say nothing about its class
CHUNK = 500  # pictures drawn at a time


def write_synthetic(name: str, folder: Path, per_class: Mapping[str, int], seed: int = 0) -> Path:
    """Write a stand-in for data set `name` to `folder` under the official archive's name and return that path.

    `per_class` maps `train` and `test` to the number of images of each class (of each fine class of CIFAR-100). Beside the archive
    comes its sidecar with the content digests, by which `fetch_dataset(synthetic=True)` and `decode` know it for what it is. The same
    arguments give the same bytes with the same NumPy.
    """
    facts = dataset_facts(name)
    rng = np.random.default_rng(seed)
    splits = {split: _draw_split(facts, split, per_class[split], rng) for split in facts.layout.splits}
    archive = folder / facts.file_name
    write_archive(archive, facts, splits)
    write_json(
        sidecar_of(archive), {"name": name, "source": "synthetic", "digests": {split: raw.digest() for split, raw in splits.items()}}
    )
    return archive


def _draw_split(facts: DatasetFacts, split: str, per_class: int, rng: np.random.Generator) -> RawSplit:
    if per_class < 1:
        raise RepriseError(f"synthetic {facts.name}: {per_class} {split} images per class; draw at least one")
    names = facts.classes[facts.label_kinds[-1]]
    last = rng.permutation(np.repeat(np.arange(len(names)), per_class))
    if facts.label_kinds == ("coarse", "fine"):
        groups = list(CIFAR100_SUPERCLASSES.values())
        place = np.array([next((c, group.index(name)) for c, group in enumerate(groups) if name in group) for name in names])
        family, variant = place[last].T
        labels = np.stack([family, last], axis=1)
    else:
        family, variant = last, rng.integers(VARIANTS, size=len(last))
        labels = last[:, None]
    starts = range(0, len(last), CHUNK)
    images = np.concatenate([_draw(family[i : i + CHUNK], variant[i : i + CHUNK], facts.image_shape[-1], rng) for i in starts])
    files = [f"{names[label]}_s_{i:06d}.png" for i, label in enumerate(last)]
    return RawSplit(images.reshape(len(last), -1), labels.astype(np.uint8), files)


# Pictures -----------------------------------------------------------------------------------------------------------------------


def _draw(family: np.ndarray, variant: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Pictures uint8 (n, 3, side, side) of the superclasses `family` (n,) and their fine classes `variant` (n,)."""
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
        blob = ((x - chance(-1, 1)) / chance(0.1, 0.4)) ** 2 + ((y - chance(-1, 1)) / chance(0.1, 0.4)) ** 2 < 1
        picture = np.where(blob[:, None], _rgb(rng.uniform(size=n), rng.uniform(0, 0.8, n), rng.uniform(0.2, 1, n)), picture)
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


# The official format ------------------------------------------------------------------------------------------------------------


def write_archive(path: Path, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> None:
    """Write `splits` to `path` in the official format of the data set."""
    layout = facts.layout
    with (
        atomic(path) as partial,
        partial.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for split, members in layout.splits.items():
            raw = splits[split]
            for k, member in enumerate(members):
                part = slice(k * len(raw.images) // len(members), (k + 1) * len(raw.images) // len(members))
                columns = {key: raw.labels[part, i].tolist() for i, key in enumerate(layout.label_keys.values())}
                batch = f"{split}ing batch {k + 1} of {len(members)}"
                _add(tar, member, {"batch_label": batch, **columns, "data": raw.images[part], "filenames": raw.names[part]})
        _add(tar, layout.meta, {key: list(facts.classes[kind]) for kind, key in layout.class_keys.items()})


def _add(tar: tarfile.TarFile, member: str, value: dict[str, Any]) -> None:
    pickled = io.BytesIO()
    _Python2Pickler(pickled).dump(value)
    info = tarfile.TarInfo(member)
    info.size = pickled.tell()
    pickled.seek(0)
    tar.addfile(info, pickled)


class _Python2Pickler(pickle._Pickler):
    """Pickles as Python 2 did, protocol 2: texts as 8-bit strings, NumPy's function under its old name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=2)

    def _save_string(self, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) if len(data) < 256 else pickle.BINSTRING + struct.pack("<i", len(data)))
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

    dispatch = pickle._Pickler.dispatch | {str: _save_string, bytes: _save_string, type(np.empty(0).__reduce__()[0]): _save_function}
