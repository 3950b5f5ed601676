"""The files of a data set in whatever they are wrapped: a tar, plain or packed, a zip, or a folder; and a
tar.gz made of them.

People do not only have the official archive: Safari unpacks a .gz while it loads it, others unpack all of it,
and Kaggle packs the files anew. What is in it decides, and what is in it is as little trusted as in `tar`.
"""

import contextlib
import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from reprise.data.tar import MEMBERS, BadArchiveError, check_name
from reprise.data.tar import files as tar_files
from reprise.errors import gist
from reprise.files import check_regular
from reprise.folders import is_stray

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".zip")
"""What names of archives end in that can be read."""
DIRECTORY = 1 << 26
"""Bytes of a zip's list of its files; that of CINIC-10 has 30 MB."""
_UNPACK = "unpack it and give the folder, or pack its files as .tar.gz or .zip"
_GET = "it is not the archive itself: get that"
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive, which cannot be read here", _UNPACK),
    b"Rar!": ("a RAR archive, which cannot be read here", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("packed by zstd, which cannot be read here", _UNPACK),
    b"\x1f\x9d": ("packed by compress, which cannot be read here", _UNPACK),
    b"version https://git-lfs": ("a pointer of Git LFS", "run git lfs pull, or get the archive itself"),
    b"<!doctype html": ("a web page, perhaps of a login or an error", _GET),
    b"<html": ("a web page, perhaps of a login or an error", _GET),
    b"<?xml": ("an XML document, perhaps of an error", _GET),
}
"""First bytes of a file in lower case → what it is instead of an archive, and what to do."""


def is_archive(name: str) -> bool:
    """Whether a file is called as archives are."""
    return name.lower().endswith(SUFFIXES)


def is_gzip(file: Path) -> bool:
    """Whether a file is packed as official archives are, by its first bytes."""
    return file.is_file() and _head(file).startswith(b"\x1f\x8b")


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(tarfile.BLOCKSIZE)


def files(wrapping: Path, max_bytes: int) -> Iterator[tuple[str, BinaryIO, int]]:
    """Name, content and size of each file in an archive or a folder, without stray ones. Content can be read
    once, and before the next file is asked for.

    A zip may hold `max_bytes` in what is read of it, a tar in all. In a folder, links to files are followed,
    those to folders are not. Else as `tar.files`, and so are errors, which `tar.damage` understands.
    """
    if wrapping.is_dir():
        return _folder(wrapping, max_bytes)
    check_regular(wrapping)
    head = _head(wrapping)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(wrapping, max_bytes)
    for magic, (what, remedy) in _OTHERS.items():
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(magic.lower()):
            raise BadArchiveError(f"is {what}", remedy)
    return tar_files(wrapping, max_bytes)


_METHODS = {9: "Deflate64, as Windows packs what is large", 14: "LZMA", 93: "zstd"}


class _Budget:
    """How much may still be read."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def take(self, name: str, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise BadArchiveError(
                f"unpacks to more than {self._most:,} bytes, far beyond the data set (member {name!r} claims "
                f"{size:,})"
            )


class _Later(io.RawIOBase):
    """A file that is opened when it is read: `size` bytes, not less, and no more of it."""

    def __init__(self, name: str, size: int, budget: _Budget, open_: Callable[[], Any]) -> None:
        self._name, self._left, self._budget, self._open = name, size, budget, open_
        self._file: Any = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        with _damaged():
            if self._file is None:
                self._budget.take(self._name, self._left)
                self._file = self._open()
            data = self._file.read(wanted)
        if len(data) < wanted:
            raise EOFError(f"it ends within {self._name!r}")
        self._left -= wanted
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def _folder(folder: Path, max_bytes: int) -> Iterator[tuple[str, BinaryIO, int]]:
    budget, count, waiting = _Budget(max_bytes), 0, [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            named = {entry.name: entry for entry in entries if not is_stray(entry.name)}
        for _, entry in sorted(named.items()):
            count += 1
            if count > MEMBERS:
                raise BadArchiveError(
                    f"holds more than {MEMBERS:,} files and folders",
                    "give the folder that holds the data set's files alone",
                )
            name = inside + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
            elif entry.is_file():  # a pipe could block for ever
                size = entry.stat().st_size
                with contextlib.closing(_Later(name, size, budget, _opener(entry.path))) as content:
                    yield name, content, size  # type: ignore[misc]  # only ever read


def _opener(path: str) -> Callable[[], Any]:
    return lambda: Path(path).open("rb")


class _ZipFile(io.FileIO):
    """Delivers no list of files that is too long: zipfile reads it whole, when it opens a zip."""

    opened = False

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > DIRECTORY and not self.opened:
            raise BadArchiveError(f"its list of files claims {size:,} bytes")
        return super().read(-1 if size is None else size) or b""


def _zip(archive: Path, max_bytes: int) -> Iterator[tuple[str, BinaryIO, int]]:
    budget = _Budget(max_bytes)
    with _ZipFile(archive) as opened, contextlib.ExitStack() as stack:
        with _damaged():
            unpacked = stack.enter_context(zipfile.ZipFile(opened))
        opened.opened = True
        members = unpacked.infolist()
        if len(members) > MEMBERS:
            raise BadArchiveError(f"has more than {MEMBERS:,} members, far too many for the data set")
        for member in members:
            name = member.filename.replace("\\", "/")  # as some Windows programs write it
            check_name(name)
            if name.endswith("/") or is_stray(name):
                continue
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise BadArchiveError(f"member {name!r} is a link or a device, do not trust it")
            name = str(PurePosixPath(name))
            opener = _member_opener(unpacked, member)
            with contextlib.closing(_Later(name, member.file_size, budget, opener)) as content:
                yield name, content, member.file_size  # type: ignore[misc]  # only ever read


def _member_opener(unpacked: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], Any]:
    def opened() -> Any:
        if member.flag_bits & 1:
            raise BadArchiveError(f"member {member.filename!r} is locked by a password", _UNPACK)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
            method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise BadArchiveError(
                f"member {member.filename!r} is packed by {method}, which cannot be read here", _UNPACK
            )
        return unpacked.open(member)

    return opened


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except (BadArchiveError, EOFError):
        raise
    except Exception as error:  # a damaged file can make anything of zipfile and the libraries below it
        if isinstance(error, OSError) and error.errno:  # the system's, which says nothing of the archive
            raise
        raise tarfile.ReadError(gist(error)) from None


# ---- packing ----


def pack(wrapping: Path, names: Collection[str], max_bytes: int, out: Path) -> None:
    """Write the files `names` of an archive or a folder to `out`, a tar.gz, under the same names."""
    with (
        out.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content, size in files(wrapping, max_bytes):
            if name in names:
                header = tarfile.TarInfo(name)
                header.size = size
                tar.addfile(header, content)
