"""Read an archive without trusting it: no extraction to disk, no links, bounded size, pickles through an allow-list."""

import gzip
import hashlib
import io
import pickle
import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

import numpy as np

from reprise.data.catalog import DatasetFacts
from reprise.errors import RepriseError
from reprise.files import read_json

Source = Literal["real", "synthetic"]

GET_AGAIN = "delete it and fetch it again"
BLOCK = 1 << 20


@dataclass(frozen=True)
class RawSplit:
    """One split as the archive holds it: `images` uint8 (N, C·H·W), `labels` uint8 (N, K), `names` the N file names."""

    images: np.ndarray
    labels: np.ndarray
    names: Sequence[str]

    def digest(self) -> str:
        """The content digest of the split."""
        return content_digest(self.hashes())

    def hashes(self) -> list[bytes]:
        """SHA-256 of each image's labels and pixels: `bytes([labels…])`, then the planes of red, green and blue, row by row."""
        return [hashlib.sha256(row.tobytes() + image.tobytes()).digest() for row, image in zip(self.labels, self.images, strict=True)]


def content_digest(hashes: Sequence[bytes]) -> str:
    """Hex SHA-256 of the sorted hashes of a split's images: the same for the same images in any order, archive or compression."""
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def sidecar_of(archive: Path) -> Path:
    """The file beside a synthetic archive that holds its content digests."""
    return archive.with_name(archive.name + ".synthetic.json")


def identify(facts: DatasetFacts, archive: Path, digests: Mapping[str, str], sidecar: Path | None) -> Source:
    """`real` when the content digests (split → digest) are those of the catalog, `synthetic` when they are the sidecar's, else an error."""
    expected = {split: each.digest for split, each in facts.splits.items()}
    if digests == expected:
        return "real"
    if sidecar is not None and sidecar.exists():
        if digests == read_json(sidecar).get("digests"):
            return "synthetic"
        raise RepriseError(f"{archive}: its content is neither {facts.name} nor what {sidecar.name} says; draw the stand-in again")
    split = next(split for split in expected if digests[split] != expected[split])
    raise RepriseError(
        f"{archive}: not {facts.name}: content digest of {split} is {digests[split]}, expected {expected[split]}; {GET_AGAIN}"
    )


def read_archive(facts: DatasetFacts, archive: Path) -> dict[str, RawSplit]:
    """All splits of `archive`, checked for form (types, shapes, ranges, class names) but not yet for content.

    Whatever is wrong with the file, a `RepriseError` names it: unsafe or missing members, damage, forbidden pickles, wrong shapes.
    """
    layout = facts.layout
    wanted = {layout.meta, *(member for members in layout.splits.values() for member in members)}
    members = read_members(archive, wanted, facts.max_bytes, lambda file, where: _mapping(safe_unpickle(file, where), where))

    for kind, key in layout.class_keys.items():
        found = _texts(members[layout.meta].get(key), f"{archive}: {layout.meta}: {key}")
        if tuple(found) != facts.classes[kind]:
            raise RepriseError(f"{archive}: {layout.meta}: {key} are not the classes of {facts.name}; {GET_AGAIN}")
    splits = {}
    for split, names in layout.splits.items():
        parts = [_part(facts, members.pop(member), f"{archive}: {member}") for member in names]
        splits[split] = RawSplit(
            np.concatenate([part.images for part in parts]) if len(parts) > 1 else parts[0].images,
            np.concatenate([part.labels for part in parts]),
            [name for part in parts for name in part.names],
        )
    return splits


def read_members(archive: Path, wanted: Collection[str], max_bytes: int, read: Callable[[BinaryIO, str], Any]) -> dict[str, Any]:
    """`read(file, where)` of each wanted member of a tar.gz, in one pass; every member is checked, wanted or not.

    Absolute paths, `..`, links, devices, duplicates, more than `max_bytes` unpacked, damage and missing members are each a `RepriseError`.
    """
    found: dict[str, Any] = {}
    seen: set[str] = set()
    try:
        with gzip.open(archive) as unpacked:
            stream = _Bounded(unpacked, archive, max_bytes)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as tar:
                for member in tar:
                    name = _safe_name(member, archive)
                    if name in seen:
                        raise RepriseError(f"{archive}: holds {name} twice; {GET_AGAIN}")
                    seen.add(name)
                    if name in wanted and member.isfile():
                        found[name] = read(tar.extractfile(member), f"{archive}: {name}")
            while stream.read(BLOCK):  # to the end, where gzip checks length and CRC
                pass
    except FileNotFoundError:
        raise RepriseError(f"{archive}: not found; fetch it first") from None
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RepriseError(f"{archive}: damaged or cut short ({error}); {GET_AGAIN}") from None
    except OSError as error:
        raise RepriseError(f"{archive}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if missing := sorted(set(wanted) - set(found)):
        raise RepriseError(f"{archive}: lacks {', '.join(missing)}; {GET_AGAIN}")
    return found


class _Bounded(io.RawIOBase):
    """A forward-only reader that refuses to deliver more than `limit` bytes (a decompression bomb)."""

    def __init__(self, file: BinaryIO, archive: Path, limit: int) -> None:
        self._file, self._archive, self._limit, self._left = file, archive, limit, limit

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise RepriseError(f"{self._archive}: unpacks to more than {self._limit:,} bytes, far beyond the data set; {GET_AGAIN}")
        return data


def _safe_name(member: tarfile.TarInfo, archive: Path) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise RepriseError(f"{archive}: member {member.name!r} points outside the archive; {GET_AGAIN}, from a source that you trust")
    if not (member.isfile() or member.isdir()):
        raise RepriseError(f"{archive}: member {member.name!r} is a link or a device; {GET_AGAIN}, from a source that you trust")
    return str(path)


# Pickles ------------------------------------------------------------------------------------------------------------------------


def _encode(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does in a pickle by Python 3: the bytes behind a Latin-1 text, and nothing else."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin-1")


_RECONSTRUCT = np.empty(0).__reduce__()[0]  # its module's name differs between NumPy 1 and 2
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds plain values and NumPy arrays; any other class or function is refused before it is imported."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        super().__init__(file, encoding="bytes")
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise RepriseError(f"{self._where}: its pickle calls {module}.{name}, which is forbidden: do not trust this file") from None


def safe_unpickle(file: BinaryIO, where: str) -> Any:
    """The pickled value in `file`, made of plain values and NumPy arrays only; `where` names it in errors."""
    try:
        return _ArrayUnpickler(file, where).load()
    except RepriseError:
        raise
    except Exception as error:  # a malformed pickle can raise anything, and so can the damaged archive around it
        raise RepriseError(f"{where}: cannot be unpickled ({type(error).__name__}: {error}); {GET_AGAIN}") from None


# Form of the content ------------------------------------------------------------------------------------------------------------


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RepriseError(f"{where}: holds a {type(value).__name__}, not a dictionary; {GET_AGAIN}")
    return {key.decode("latin-1") if isinstance(key, bytes) else str(key): item for key, item in value.items()}


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, bytes | str) for item in value):
        raise RepriseError(f"{where}: not a list of names; {GET_AGAIN}")
    texts = [item.decode("latin-1") if isinstance(item, bytes) else item for item in value]
    if any(re.search(r"[\x00-\x1f\x7f-\x9f]", text) for text in texts):
        raise RepriseError(f"{where}: a name holds a control character; {GET_AGAIN}")
    return texts


def _part(facts: DatasetFacts, member: Mapping[str, Any], where: str) -> RawSplit:
    size = int(np.prod(facts.image_shape))
    images = member.get("data")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != size:
        raise RepriseError(f"{where}: data is not a uint8 array of shape (N, {size}); {GET_AGAIN}")
    names = _texts(member.get("filenames"), f"{where}: filenames")
    columns = [_labels(member.get(key), len(facts.classes[kind]), f"{where}: {key}") for kind, key in facts.layout.label_keys.items()]
    if lengths := {len(names), *map(len, columns)} - {len(images)}:
        raise RepriseError(f"{where}: {len(images)} images but {min(lengths)} labels or file names; {GET_AGAIN}")
    return RawSplit(np.ascontiguousarray(images), np.stack(columns, axis=1), names)


def _labels(value: Any, classes: int, where: str) -> np.ndarray:
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < classes for item in value):
        raise RepriseError(f"{where}: not a list of labels from 0 to {classes - 1}; {GET_AGAIN}")
    return np.array(value, dtype=np.uint8)
