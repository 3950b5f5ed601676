"""Read an archive, or what was unpacked of one, without trusting it: no extraction to disk, no links, bounded
size, pickles through an allow-list.

Each layout of the catalog has its reader. What is small stays in memory, as CIFAR's batches do; larger sets
go image by image into files without a name, so that memory does not grow with the archive.
"""

import contextlib
import errno
import hashlib
import io
import math
import os
import re
import signal
import struct
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, Self

import numpy as np
from PIL import Image

from reprise.data.catalog import CifarLayout, DatasetFacts, PngLayout, StlLayout
from reprise.data.pickles import safe_unpickle
from reprise.data.tar import CHUNK, GET_AGAIN, LARGE, NAME, damage
from reprise.data.wrappings import files
from reprise.errors import RepriseError, file_error, gist, nearest
from reprise.files import check_regular, read_json

Source = Literal["real", "synthetic", "stand-in"]
"""Where images come from: the data set itself; drawn by `synthetic`; real images of another data set, see
`stand_in`.
"""

Reader = Callable[[BinaryIO, str], Any]
"""Makes something of an open member; the text names it in errors."""

ROWS = 256
"""Images that are in memory at a time."""


class Spool:
    """Images uint8 (N, size) in a file without a name, in `folder` (default: the system's): memory holds only
    those that are asked for.

    The file goes with the object, and with the process however that ends.
    """

    def __init__(self, folder: Path | None, size: int) -> None:
        self._folder, self._size, self._count = folder, size, 0
        with self._writing():
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 – closed when the object goes

    def append(self, images: np.ndarray) -> None:
        """Add `images` uint8 (n, size)."""
        with self._writing():
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(images).data)
            self._file.flush()
        self._count += len(images)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        chosen = np.arange(self._count)[places]
        images = np.empty((len(chosen), self._size), np.uint8)
        for image, place in zip(images, chosen, strict=True):
            self._file.seek(int(place) * self._size)
            self._file.readinto(image.data)
        return images

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self._folder or tempfile.gettempdir()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RepriseError(
                    f"{where}: no space left on the disk; free some and run the same command again"
                ) from error
            raise RepriseError(file_error(error, where)) from error


@dataclass(frozen=True)
class RawSplit:
    """One split as the archive holds it: `images` uint8 (N, C·H·W), `labels` uint8 (N, K), `names` the N file
    names.

    An image is its planes of red, green and blue, each row by row. `member_md5` holds the MD5 of the members
    that were read, where the catalog knows the data set by these.
    """

    images: np.ndarray | Spool
    labels: np.ndarray
    names: Sequence[str]
    member_md5: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """The content digest of the split."""
        return content_digest(self.hashes())

    def hashes(self) -> list[bytes]:
        """SHA-256 of each image's labels and pixels: `bytes([labels…])`, then the planes of red, green and
        blue, row by row.
        """
        images = (image for block in self.blocks() for image in block)
        return [
            hashlib.sha256(row.tobytes() + image.tobytes()).digest()
            for row, image in zip(self.labels, images, strict=True)
        ]

    def blocks(self, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """The images in `order` (default: as they stand), as many at a time as memory should hold."""
        places = np.arange(len(self.images)) if order is None else order
        for start in range(0, len(places), ROWS):
            yield self.images[places[start : start + ROWS]]


def content_digest(hashes: Sequence[bytes]) -> str:
    """Hex SHA-256 of the sorted hashes of a split's images: the same for the same images in any order,
    archive or compression.
    """
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def file_hash(file: Path, algorithm: str) -> str:
    """Hex digest of a file by hashlib's `algorithm`; one that cannot be read is a `RepriseError`."""
    try:
        check_regular(file)
        with file.open("rb") as opened:
            return hashlib.file_digest(
                opened, lambda: hashlib.new(algorithm, usedforsecurity=False)
            ).hexdigest()
    except OSError as error:
        raise RepriseError(
            f"{file}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None


def sidecar_of(archive: Path) -> Path:
    """The file beside an archive that the project made itself: it says what the archive is, and its content
    digests.
    """
    return archive.with_name(archive.name + ".source.json")


def identify(
    facts: DatasetFacts,
    archive: Path,
    digests: Mapping[str, str],
    member_md5: Mapping[str, str],
    sidecar: Path | None = None,
) -> Source:
    """`real` when the content is the catalog's, what the sidecar says when the content digests are the
    sidecar's, else a `RepriseError`.

    What decides that it is real is the best that the catalog knows: the MD5 of the members that were read,
    the content digests (split → digest), or else the MD5 of the archive.
    """
    expected: Mapping[str, str] = {split: each.digest for split, each in facts.splits.items() if each.digest}
    what = "content digest"
    found: Mapping[str, str] = digests
    if facts.member_md5:
        what, found, expected = "MD5", member_md5, facts.member_md5
    elif not expected:
        what, found, expected = (
            "MD5",
            {facts.file_name: file_hash(archive, "md5")},
            {facts.file_name: facts.md5},
        )
    if found == expected:
        return "real"
    if sidecar is not None and sidecar.exists():
        says = read_json(sidecar)
        if (
            isinstance(says, dict)
            and digests == says.get("digests")
            and says.get("source") in ("synthetic", "stand-in")
        ):
            return says["source"]
        raise RepriseError(
            f"{archive}: its content is neither {facts.name} nor what {sidecar.name} says; make the "
            "stand-in again"
        )
    name = next(name for name in expected if found.get(name) != expected[name])
    raise RepriseError(
        f"{archive}: not {facts.name}: {what} of {name} is {found.get(name)}, expected {expected[name]}; "
        f"{GET_AGAIN}"
    )


def read_archive(
    facts: DatasetFacts, archive: Path, scratch: Path | None = None, workers: int | None = None
) -> dict[str, RawSplit]:
    """All splits of `archive`, a tar, a zip or a folder, checked for form (types, shapes, ranges, class
    names) but not yet for content.

    Images that are too many for memory lie in nameless files in `scratch` (default: the system's temporary
    folder). `workers` processes decode the PNG files of a large archive (default: as many as help, up to the
    number of CPUs); 1 needs none besides this one. Whatever is wrong with the file, a `RepriseError` names
    it: unsafe or missing members, damage, forbidden pickles, wrong shapes.
    """
    return facts.layout.read(facts, archive, scratch, workers)


class LacksError(RepriseError):
    """Files of the data set are not there: it may be another's."""


def read_members(archive: Path, readers: Mapping[str, Reader], max_bytes: int) -> dict[str, Any]:
    """What each member's reader makes of it, by its name in the official archive. Errors as in `scan`;
    members that are missing are a `LacksError`.

    They may lie in another folder than there, or in none, but all together.
    """
    found: dict[str, Any] = {}

    def visit(name: str, file: BinaryIO, size: int) -> None:
        if name in here:
            found[here[name]] = readers[here[name]](file, f"{archive}: {name}")

    here = {name: name for name in readers}
    names = scan(archive, max_bytes, visit)
    if found.keys() != readers.keys() and (moved := _moved(list(readers), names)):
        here = moved
        found.clear()
        scan(archive, max_bytes, visit)
    if missing := sorted(set(readers) - set(found)):
        raise LacksError(f"{archive}: lacks {', '.join(missing)}; {GET_AGAIN}")
    return found


def _moved(wanted: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    """Name there → wanted name, where all that is wanted lies together in another folder; in the uppermost of
    several.
    """
    common = os.path.commonpath([PurePosixPath(name).parent for name in wanted])
    inside = {name: str(PurePosixPath(name).relative_to(common)) for name in wanted}
    there = set(names)
    first = inside[wanted[0]]
    tops = (name.removesuffix(first) for name in there if name == first or name.endswith(f"/{first}"))
    whole = [top for top in tops if all(top + name in there for name in inside.values())]
    top = min(whole, key=lambda each: (each.count("/"), each), default=None)
    return {} if top is None else {top + there_: name for name, there_ in inside.items()}


_opened: ContextVar[set[str] | None] = ContextVar("_opened", default=None)


@contextlib.contextmanager
def names_read() -> Iterator[set[str]]:
    """In the block, the names of the files that the last `scan` has read of its archive."""
    names: set[str] = set()
    token = _opened.set(names)
    try:
        yield names
    finally:
        _opened.reset(token)


def scan(archive: Path, max_bytes: int, visit: Callable[[str, BinaryIO, int], None]) -> list[str]:
    """Call `visit(name, file, size)` for each file of an archive or folder, in one pass; returns their names.
    What `visit` does not read is skipped.

    What `wrappings.files` refuses is a `RepriseError`, and so are a file that is there twice and an archive
    that cannot be read.
    """
    seen: dict[str, None] = {}
    opened = _opened.get()
    if opened is not None:
        opened.clear()
    try:
        with damage(archive, GET_AGAIN):
            for name, file, size in files(archive, max_bytes):
                if name in seen:
                    raise RepriseError(f"{archive}: holds {name} twice; {GET_AGAIN}")
                seen[name] = None
                watched = file if opened is None else _Watched(name, file, opened)
                visit(name, watched, size)  # type: ignore[arg-type]  # only ever read
    except FileNotFoundError:
        raise RepriseError(f"{archive}: not found; fetch it first") from None
    except OSError as error:
        raise RepriseError(
            f"{error.filename or archive}: cannot be read ({error.strerror}); check the path and its "
            "permissions"
        ) from None
    return list(seen)


class _Watched:
    """A file of which is noted that it is read."""

    def __init__(self, name: str, file: BinaryIO, opened: set[str]) -> None:
        self._name, self._file, self._opened = name, file, opened

    def read(self, size: int = -1) -> bytes:
        self._opened.add(self._name)
        return self._file.read(size)


# ---- CIFAR: pickled batches ----


def read_cifar(facts: DatasetFacts, layout: CifarLayout, archive: Path) -> dict[str, RawSplit]:
    wanted = {layout.meta, *(member for members in layout.splits.values() for member in members)}
    members = read_members(
        archive,
        dict.fromkeys(wanted, lambda file, where: _mapping(safe_unpickle(file, where), where)),
        facts.max_bytes,
    )

    for kind, key in layout.class_keys.items():
        found = _texts(members[layout.meta].get(key), f"{archive}: {layout.meta}: {key}")
        if tuple(found) != facts.classes[kind]:
            raise RepriseError(
                f"{archive}: {layout.meta}: {key} are not the classes of {facts.name}; {GET_AGAIN}"
            )
    splits = {}
    for split, names in layout.splits.items():
        parts = [_part(facts, layout, members.pop(member), f"{archive}: {member}") for member in names]
        splits[split] = RawSplit(
            np.concatenate([part.images for part in parts]) if len(parts) > 1 else parts[0].images,
            np.concatenate([part.labels for part in parts]),
            [name for part in parts for name in part.names],
        )
    return splits


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RepriseError(f"{where}: holds a {type(value).__name__}, not a dictionary; {GET_AGAIN}")
    return {
        key.decode("latin-1") if isinstance(key, bytes) else str(key): item for key, item in value.items()
    }


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(
        isinstance(item, bytes | str) and len(item) <= NAME for item in value
    ):
        raise RepriseError(f"{where}: not a list of names; {GET_AGAIN}")
    texts = [item.decode("latin-1") if isinstance(item, bytes) else item for item in value]
    if any(re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text) for text in texts):
        raise RepriseError(f"{where}: a name holds a control character; {GET_AGAIN}")
    return texts


def _part(facts: DatasetFacts, layout: CifarLayout, member: Mapping[str, Any], where: str) -> RawSplit:
    size = math.prod(facts.image_shape)
    images = member.get("data")
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.ndim != 2
        or images.shape[1] != size
    ):
        raise RepriseError(f"{where}: data is not a uint8 array of shape (N, {size}); {GET_AGAIN}")
    names = _texts(member.get("filenames"), f"{where}: filenames")
    columns = [
        _labels(member.get(key), len(facts.classes[kind]), f"{where}: {key}")
        for kind, key in layout.label_keys.items()
    ]
    if lengths := {len(names), *map(len, columns)} - {len(images)}:
        raise RepriseError(
            f"{where}: {len(images)} images but {min(lengths)} labels or file names; {GET_AGAIN}"
        )
    return RawSplit(np.ascontiguousarray(images), np.stack(columns, axis=1), names)


def _labels(value: Any, classes: int, where: str) -> np.ndarray:
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < classes for item in value):
        raise RepriseError(f"{where}: not a list of labels from 0 to {classes - 1}; {GET_AGAIN}")
    return np.array(value, dtype=np.uint8)


# ---- STL-10: plain bytes ----


def member_md5(facts: DatasetFacts, archive: Path) -> dict[str, str]:
    """MD5 of each member that the catalog knows by it; errors as in `read_members`."""

    def md5(file: BinaryIO, where: str) -> str:
        hashed = _HashedReader(file)
        while hashed.read(CHUNK):
            pass
        return hashed.md5.hexdigest()

    return read_members(archive, dict.fromkeys(facts.member_md5, md5), facts.max_bytes)


class _HashedReader:
    """Reads a file and hashes what it has read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.md5 = file, hashlib.md5(usedforsecurity=False)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.md5.update(data)
        return data


def read_stl(
    facts: DatasetFacts, layout: StlLayout, archive: Path, scratch: Path | None
) -> dict[str, RawSplit]:
    classes = len(facts.classes["label"])

    def images(file: BinaryIO, where: str) -> tuple[Spool, str]:
        hashed = _HashedReader(file)
        return _byte_images(hashed, facts.image_shape, scratch, where), hashed.md5.hexdigest()

    def labels(file: BinaryIO, where: str) -> tuple[np.ndarray, str]:
        hashed = _HashedReader(file)
        return _byte_labels(hashed, classes, where), hashed.md5.hexdigest()

    readers = {
        member: read
        for members in layout.splits.values()
        for member, read in zip(members, (images, labels), strict=True)
    }
    found = read_members(archive, readers, facts.max_bytes)
    splits = {}
    for split, members in layout.splits.items():
        (pictures, pictures_md5), (numbers, numbers_md5) = (found[member] for member in members)
        if len(pictures) != len(numbers):
            raise RepriseError(
                f"{archive}: {len(pictures)} images in {members[0]}, {len(numbers)} labels in {members[1]}; "
                f"{GET_AGAIN}"
            )
        names = [f"{PurePosixPath(members[0]).name}:{place}" for place in range(len(numbers))]
        splits[split] = RawSplit(
            pictures, numbers[:, None], names, dict(zip(members, (pictures_md5, numbers_md5), strict=True))
        )
    return splits


def _byte_images(file: _HashedReader, shape: tuple[int, int, int], scratch: Path | None, where: str) -> Spool:
    channels, height, width = shape
    size = math.prod(shape)
    spool = Spool(scratch, size)
    while block := file.read(ROWS * size):
        if len(block) % size:
            raise RepriseError(f"{where}: not whole images of {size} bytes; {GET_AGAIN}")
        columns = np.frombuffer(block, np.uint8).reshape(-1, channels, width, height)
        spool.append(columns.transpose(0, 1, 3, 2).reshape(len(columns), size))
    return spool


def _byte_labels(file: _HashedReader, classes: int, where: str) -> np.ndarray:
    labels = np.frombuffer(file.read(1 << 20), np.uint8)
    if len(labels) and not (labels.min() >= 1 and labels.max() <= classes):
        raise RepriseError(f"{where}: not labels from 1 to {classes}; {GET_AGAIN}")
    return labels - np.uint8(1)


# ---- CINIC-10: PNG files ----

PNG_BYTES = 1 << 20
"""No PNG of a small image has as many."""


def decode_png(content: bytes, shape: tuple[int, int, int], where: str, again: str = GET_AGAIN) -> np.ndarray:
    """Pixels uint8 (3, H, W) of a PNG of exactly that `shape`; greyscale becomes RGB. Anything else is a
    `RepriseError`, ending in `again`.

    Its size is read before Pillow sees it, which makes room for all pixels that a header claims.
    """
    wanted = (shape[2], shape[1])
    if len(content) < 24 or not content.startswith(b"\x89PNG\r\n\x1a\n") or content[12:16] != b"IHDR":
        raise RepriseError(f"{where}: not a PNG image; {again}")
    found = struct.unpack(">II", content[16:24])
    if found == wanted:
        try:
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                found = image.size  # of the last header, should there be several
                if found == wanted:
                    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except Exception as error:  # a damaged file can make anything of Pillow
            raise RepriseError(f"{where}: a damaged PNG ({gist(error)}); {again}") from None
    raise RepriseError(f"{where}: {found[0]} × {found[1]} pixels, not {wanted[0]} × {wanted[1]}; {again}")


def _decode_pngs(files: Sequence[tuple[str, bytes]], shape: tuple[int, int, int]) -> np.ndarray:
    """Images uint8 (n, C·H·W) of files, each with what names it in errors."""
    return np.stack([decode_png(content, shape, where).reshape(-1) for where, content in files])


class _PngDecoder:
    """Decodes batches of PNG files into spools, each spool's in the order given; with processes of its own
    where `workers` is above 1.

    Threads do not help: of the 0.15 ms that Pillow takes for a small image it holds Python's lock nearly all
    the time.
    """

    def __init__(self, shape: tuple[int, int, int], workers: int) -> None:
        self._shape, self._most = shape, 2 * workers
        self._pool = ProcessPoolExecutor(workers, initializer=_end_with_parent) if workers > 1 else None
        self._running: deque[tuple[Spool, Future[np.ndarray]]] = deque()

    def add(self, spool: Spool, files: Sequence[tuple[str, bytes]]) -> None:
        if self._pool is None:
            spool.append(_decode_pngs(files, self._shape))
            return
        self._running.append((spool, self._pool.submit(_decode_pngs, files, self._shape)))
        if len(self._running) > self._most:
            self._take()

    def finish(self) -> None:
        """Wait until all is decoded."""
        while self._running:
            self._take()

    def _take(self) -> None:
        spool, future = self._running.popleft()
        spool.append(future.result())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent is killed; a pipeline would else wait
    for this process for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _workers(archive: Path) -> int:
    """Processes that help: this one unpacks about as fast as two decode."""
    if not archive.is_dir() and (not archive.exists() or archive.stat().st_size < LARGE):
        return 1
    return min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def read_pngs(
    facts: DatasetFacts, layout: PngLayout, archive: Path, scratch: Path | None, workers: int | None
) -> dict[str, RawSplit]:
    classes = facts.classes["label"]
    folders = {folder: split for split, folder in layout.splits.items()}
    below = rf"({'|'.join(map(re.escape, folders))})/([^/]+)/([^/.][^/]*(?i:\.png))"
    tree = re.compile(rf"([^/]+/)?{below}", re.DOTALL)
    tops: set[str | None] = set()
    spools = {split: Spool(scratch, math.prod(facts.image_shape)) for split in layout.splits}
    labels: dict[str, list[int]] = {split: [] for split in layout.splits}
    names: dict[str, list[str]] = {split: [] for split in layout.splits}
    waiting: dict[str, list[tuple[str, bytes]]] = {split: [] for split in layout.splits}

    def visit(name: str, file: BinaryIO, size: int) -> None:
        place = tree.fullmatch(name)
        if place is None:
            return
        top, folder, label, file_name = place.groups()
        if not name.isprintable():
            raise RepriseError(f"{archive}: {name!r}: a name holds a control character; {GET_AGAIN}")
        where = f"{archive}: {name}"
        tops.add(top)
        if len(tops) > 1:
            raise RepriseError(f"{where}: belongs to a second tree of images; {GET_AGAIN}")
        if label not in classes:
            raise RepriseError(
                f"{where}: {facts.name} has no class {label!r}{nearest(label, classes)}; {GET_AGAIN}"
            )
        split = folders[folder]
        labels[split].append(classes.index(label))
        names[split].append(file_name)
        if size > PNG_BYTES:
            raise RepriseError(f"{where}: {size:,} bytes are far too many for a small image; {GET_AGAIN}")
        waiting[split].append((where, file.read(size)))
        if len(waiting[split]) == ROWS:
            decoder.add(spools[split], waiting[split])
            waiting[split] = []

    try:
        with _PngDecoder(facts.image_shape, _workers(archive) if workers is None else workers) as decoder:
            there = scan(archive, facts.max_bytes, visit)
            if not any(labels.values()):  # perhaps further down
                deeper = re.compile(rf"(.*/){below}", re.DOTALL)
                found = {place[1] for name in there if (place := deeper.fullmatch(name))}
                if found:
                    top = min(found, key=lambda each: (each.count("/"), each))
                    tree = re.compile(rf"({re.escape(top)}){below}", re.DOTALL)
                    scan(archive, facts.max_bytes, visit)
            for split, files in waiting.items():
                if files:
                    decoder.add(spools[split], files)
            decoder.finish()
    except BrokenProcessPool:
        raise RepriseError(
            f"{archive}: a process that decoded images was killed, perhaps for lack of memory; run it again"
        ) from None
    if missing := [f"{folder}/<class>/<name>.png" for folder, split in folders.items() if not labels[split]]:
        raise LacksError(f"{archive}: lacks {', '.join(missing)}; {GET_AGAIN}")
    return {
        split: RawSplit(spools[split], np.array(labels[split], np.uint8)[:, None], names[split])
        for split in layout.splits
    }
