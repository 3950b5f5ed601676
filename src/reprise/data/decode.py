"""Archive to arrays that can be memory-mapped, and back into Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reprise.data.archives import RawSplit, Source, content_digest, identify, read_archive, sidecar_of
from reprise.data.catalog import dataset_facts
from reprise.errors import RepriseError, file_error, gist
from reprise.files import atomic, check_regular, read_bytes, read_json, write_json

DECODE_AGAIN = "delete the folder and decode the archive again"
MOST_NAMES = 1 << 28
"""Bytes of the names of a split."""
HEADER = 1000
"""Characters of the header of an array; ours have 128."""


@dataclass(frozen=True, eq=False)
class Split:
    """`images` uint8 (N, C, H, W), memory-mapped; `labels` uint8 (N, K), one column per kind of label; `digest` of the content."""

    images: np.ndarray
    labels: np.ndarray
    digest: str
    names_file: Path

    def names(self) -> list[str]:
        """The file names that the archive gives the N images."""
        try:
            return read_bytes(self.names_file, MOST_NAMES).decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise RepriseError(f"{self.names_file}: damaged ({error}); {DECODE_AGAIN}") from None


@dataclass(frozen=True, eq=False)
class Dataset:
    """A decoded data set: `classes` maps each kind of label, in column order, to its class names in label order."""

    name: str
    source: Source
    classes: Mapping[str, tuple[str, ...]]
    image_shape: tuple[int, int, int]
    splits: Mapping[str, Split]

    @property
    def label_kinds(self) -> tuple[str, ...]:
        return tuple(self.classes)


def decode(name: str, archive: Path, out_dir: Path, workers: int | None = None) -> None:
    """Write the arrays of data set `name` to `out_dir`, and `dataset.json` last, when all the rest is there.

    Images stand in ascending order of their content hash, so that every archive of the same content gives the same arrays. Content that
    is neither the catalog's (`source` is `real`) nor that of the sidecar beside the archive (`synthetic`, `stand-in`) is a `RepriseError`.
    What is too large for memory lies in nameless files beside `out_dir` meanwhile; `workers` as in `read_archive`.
    """
    facts = dataset_facts(name)
    splits = read_archive(facts, archive, out_dir.parent, workers)
    hashes = {split: raw.hashes() for split, raw in splits.items()}
    digests = {split: content_digest(each) for split, each in hashes.items()}
    member_md5 = {member: md5 for raw in splits.values() for member, md5 in raw.member_md5.items()}
    source = identify(facts, archive, digests, member_md5, sidecar_of(archive))

    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "dataset.json").unlink(missing_ok=True)
    for split, raw in splits.items():
        keys = list(zip(hashes[split], raw.names, strict=True))
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
        _write_images(out_dir / f"{split}_images.npy", raw, order, facts.image_shape)
        with atomic(out_dir / f"{split}_labels.npy") as partial, partial.open("wb") as file:
            np.save(file, raw.labels[order])
        with atomic(out_dir / f"{split}_names.txt") as partial:
            partial.write_text("".join(f"{raw.names[i]}\n" for i in order), encoding="utf-8")
    write_json(
        out_dir / "dataset.json",
        {
            "name": name,
            "source": source,
            "label_kinds": list(facts.label_kinds),
            "classes": {kind: list(names) for kind, names in facts.classes.items()},
            "image_shape": list(facts.image_shape),
            "splits": {split: {"images": len(raw.images), "digest": digests[split]} for split, raw in splits.items()},
        },
    )


def load(dataset_dir: Path) -> Dataset:
    """The data set that `decode` wrote; an absent or incomplete one, or files that do not fit each other, are a `RepriseError`."""
    path = dataset_dir / "dataset.json"
    if not path.exists():
        raise RepriseError(f"{dataset_dir}: no decoded data set (no dataset.json); fetch and decode the archive first")
    facts = read_json(path)
    try:
        if not _is_description(facts):
            raise TypeError("an entry of another type")
        shape = tuple(facts["image_shape"])
        classes = {kind: tuple(facts["classes"][kind]) for kind in facts["label_kinds"]}
        splits = {split: _load_split(dataset_dir, split, each, shape, classes) for split, each in facts["splits"].items()}
        return Dataset(facts["name"], facts["source"], classes, shape, splits)
    except (KeyError, TypeError, AttributeError) as error:
        raise RepriseError(f"{path}: not what decode writes ({type(error).__name__}: {error}); {DECODE_AGAIN}") from None


def _is_description(facts: Any) -> bool:
    """Whether the parts of a dataset.json have the right types."""
    texts = [facts["name"], facts["source"], *facts["label_kinds"], *(name for names in facts["classes"].values() for name in names)]
    texts += [split["digest"] for split in facts["splits"].values()]
    numbers = [*facts["image_shape"], *(split["images"] for split in facts["splits"].values())]
    typed = all(isinstance(each, str) for each in texts) and all(type(each) is int and each >= 0 for each in numbers)
    return typed and {"train", "test"} <= facts["splits"].keys() and len(facts["image_shape"]) == 3


def _load_split(
    folder: Path, split: str, facts: Mapping[str, Any], shape: tuple[int, ...], classes: Mapping[str, tuple[str, ...]]
) -> Split:
    names = folder / f"{split}_names.txt"
    if not names.exists():
        raise RepriseError(f"{names}: not found; {DECODE_AGAIN}")
    images = _read_array(folder / f"{split}_images.npy", (facts["images"], *shape))
    labels = np.array(_read_array(folder / f"{split}_labels.npy", (facts["images"], len(classes))))
    if len(labels) and (labels.max(axis=0) >= [len(each) for each in classes.values()]).any():
        raise RepriseError(f"{folder / f'{split}_labels.npy'}: a label beyond the last class; {DECODE_AGAIN}")
    return Split(images, labels, facts["digest"], names)


def _write_images(path: Path, raw: RawSplit, order: np.ndarray, shape: tuple[int, int, int]) -> None:
    """What `np.save` would write, a block at a time; an array mapped for writing would meet a full disk with a signal, not an error."""
    with atomic(path) as partial, partial.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": (len(order), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in raw.blocks(order):
            file.write(block.data)


def _read_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        check_regular(path)
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):  # whose header has 64 kB at most
                raise ValueError("another version than ours")
        array = np.lib.format.open_memmap(path, mode="r", max_header_size=HEADER)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; {DECODE_AGAIN}") from None
    except RepriseError:
        raise
    except Exception as error:  # a damaged header can make anything of NumPy
        if isinstance(error, OSError) and error.errno:  # the system refuses; the file may well be good
            raise RepriseError(file_error(error, path)) from None
        raise RepriseError(f"{path}: damaged ({gist(error)}); {DECODE_AGAIN}") from None
    if array.dtype != np.uint8 or array.shape != shape:
        raise RepriseError(f"{path}: {array.dtype} {array.shape}, but dataset.json says uint8 {shape}; {DECODE_AGAIN}")
    return array
