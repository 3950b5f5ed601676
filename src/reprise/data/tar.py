"""The files in a tar archive, packed or not, one after the other, from a source that nobody vouches for.

The standard library's tarfile believes what headers say: some make it read for ever, others take any amount
of memory or time. Here a number in a header is checked against what is left before anything is done with it,
and nothing is read that is not needed (tarfile's `data` filter guards what is extracted; nothing is extracted
here). Headers are parsed by tarfile. Formats: POSIX.1-2001 (pax), ustar, GNU and V7, plain or packed by gzip,
bzip2 or xz; sparse files, links and devices are refused.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from tqdm.utils import CallbackIOWrapper

from reprise.errors import RepriseError, gist
from reprise.files import check_regular, whole_name
from reprise.folders import is_stray
from reprise.progress import progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GET_AGAIN = "delete it and fetch it again"
LARGE = 1 << 24
"""Bytes of an archive from which on reading takes long enough for a progress bar."""
MEMBERS = 1 << 20
"""Headers in an archive: of files, folders and what extends them. CINIC-10 has 270,000 files, perhaps with an
extended header each.
"""
HEADER_BYTES = 1 << 16
"""Of an extended header, which holds little more than a name."""
NAME = 1000
"""Characters of a name."""
CHUNK = 1 << 18
"""Bytes that are skipped at a time."""
PACKED, PARTS = 1 << 16, 1 << 16
"""Bytes of a packed file that are unpacked at a time, and packed parts in it; some programs make one of every
64 kB.
"""
XZ_MEMORY = 1 << 28
"""Bytes that xz may take to unpack; what `xz -9` has made needs a quarter of them."""

_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


class BadArchiveError(Exception):
    """What is wrong with the archive, and what to do about it, where that is not to get it again."""

    def __init__(self, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.remedy = remedy


@contextlib.contextmanager
def damage(archive: Path, again: str) -> Iterator[None]:
    """Turn what reading `files` raises into a `RepriseError`, which ends with the remedy `again`. A missing
    archive is let through.
    """
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise RepriseError(f"{archive}: damaged or cut short ({gist(error)}); {again}") from None
    except BadArchiveError as error:
        raise RepriseError(f"{archive}: {error}; {error.remedy or again}") from None


def files(archive: Path, max_bytes: int) -> Iterator[tuple[str, BinaryIO, int]]:
    """Name, content and size of each file of a tar, plain or packed, in one pass. Content that is not read
    before the next file is skipped, and so are stray files.

    Absolute paths, `..`, links, devices, more than `max_bytes` unpacked, headers that claim more than is
    left, and damage are each an error that `damage` understands.
    """
    with contextlib.ExitStack() as stack:
        size = check_regular(archive)
        packed: BinaryIO = stack.enter_context(archive.open("rb"))
        head = packed.read(6)
        unpacker = next((made for magic, made in UNPACKERS.items() if head.startswith(magic)), None)
        packed.seek(0)
        if size > LARGE:
            bar = stack.enter_context(progress(description=whole_name(archive), total=size, unit="B"))
            packed = CallbackIOWrapper(  # type: ignore[assignment]  # a file by its __getattr__
                bar.update, packed, "read"
            )
        stream = _Stream(_Unpacked(packed, unpacker) if unpacker else packed, max_bytes)
        for header, name in _headers(stream):
            check_name(name)
            stray = is_stray(name)  # an editor's lock is a link, which is nothing to be afraid of
            if header.type not in (*_FILES, tarfile.DIRTYPE) and not stray:
                raise BadArchiveError(f"member {name!r} is a link or a device, do not trust it")
            if header.type in _FILES and stray:
                stream.skip(header.size + -header.size % tarfile.BLOCKSIZE)
            elif header.type in _FILES:
                content = _Content(stream, header.size)
                yield str(PurePosixPath(name)), content, header.size  # type: ignore[misc]  # only ever read
                content.skip()
                stream.skip(-header.size % tarfile.BLOCKSIZE)
        while stream.read(CHUNK):  # to the end, where length and check sum stand
            pass


def check_name(name: str) -> None:
    """Raise a `BadArchiveError` for the name of a member that no good archive has."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise BadArchiveError(f"member {name!r} points outside the archive, do not trust it")
    if len(name) > NAME:
        raise BadArchiveError(f"member {name[:50]!r}… has a name of {len(name):,} characters")


class _Gzip:
    """zlib's decompressor with the interface of those of bz2 and lzma: what it has not used it keeps."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)  # with gzip's header, length and check sum

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


UNPACKERS: Mapping[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY),
}
"""First bytes of a file → what unpacks it."""


class _Unpacked:
    """What gzip, bzip2 or xz has packed, in one part or several; Python's own readers take long for many
    parts, and for long names in the headers of gzip.
    """

    def __init__(self, packed: BinaryIO, unpacker: Callable[[], Any]) -> None:
        self._packed, self._unpacker, self._parts = packed, unpacker, 0
        self._part: Any = None
        self._waiting = b""  # read, and not yet given to a part

    def read(self, size: int) -> bytes:
        pieces = []
        while size > 0:
            if not self._waiting and (self._part is None or self._part.needs_input) and not self._fill():
                if self._part is None:
                    break
                raise EOFError("it ends within a packed part")
            if self._part is None:
                self._parts += 1
                if self._parts > PARTS:
                    raise BadArchiveError(f"is packed in more than {PARTS:,} parts")
                self._part = self._unpacker()
            waiting, self._waiting = self._waiting, b""
            try:
                piece = self._part.decompress(waiting, size)
            except (OSError, lzma.LZMAError) as error:  # of bz2, of lzma
                raise tarfile.ReadError(gist(error)) from None
            if self._part.eof:
                self._waiting = self._part.unused_data.lstrip(b"\0")
                self._part = None
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _fill(self) -> bool:
        """Take more of the file; between two parts zeros do not count."""
        while chunk := self._packed.read(PACKED):
            self._waiting = chunk if self._part is not None else chunk.lstrip(b"\0")
            if self._waiting:
                return True
        return False


class _Stream:
    """Reads forward, and refuses to deliver more than `limit` bytes (a decompression bomb)."""

    def __init__(self, file: BinaryIO | _Unpacked, limit: int) -> None:
        self._file, self._limit, self.left = file, limit, limit

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise self.too_much()
        return data

    def too_much(self, why: str = "") -> BadArchiveError:
        return BadArchiveError(f"unpacks to more than {self._limit:,} bytes, far beyond the data set{why}")

    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise EOFError("it ends within a member")
        return data

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, CHUNK)))


class _Content(io.RawIOBase):
    """The bytes of one file, which can be read once."""

    def __init__(self, stream: _Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.exactly(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def skip(self) -> None:
        self._stream.skip(self._left)
        self._left = 0


def _headers(stream: _Stream) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Header and name of each member; whoever takes one has passed the member's content before the next."""
    count, name, size = 0, None, None
    while True:
        block = stream.read(tarfile.BLOCKSIZE)
        if not block and count:
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if len(block) == block.count(0) == tarfile.BLOCKSIZE:
                return
            raise tarfile.ReadError(gist(error)) from None
        count += 1
        if count > MEMBERS:
            raise BadArchiveError(f"has more than {MEMBERS:,} members, far too many for the data set")
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise BadArchiveError(f"member {header.name!r} is a sparse file, which no data set has")
        if header.type not in _EXTENDED:
            if size is not None and header.type in _FILES:
                header.size = size
            if header.size < 0:
                raise BadArchiveError(f"member {header.name!r} claims {header.size:,} bytes")
            if header.size > stream.left:
                raise stream.too_much(f" (member {header.name!r} claims {header.size:,})")
            yield header, header.name if name is None else name
            name, size = None, None
            continue
        if not 0 <= header.size <= HEADER_BYTES:
            raise BadArchiveError(f"an extended header claims {header.size:,} bytes")
        content = stream.exactly(header.size)
        stream.skip(-header.size % tarfile.BLOCKSIZE)
        if header.type == tarfile.GNUTYPE_LONGNAME:
            name = content.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            records = dict(_records(content))
            if any(key.startswith(b"GNU.sparse.") for key in records):
                raise BadArchiveError("a member is a sparse file, which no data set has")
            if b"path" in records:
                name = records[b"path"].decode("utf-8", "surrogateescape").rstrip("/")
            if b"size" in records:
                size = _number(records[b"size"])


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record of a pax header, `<length> <key>=<value>\\n`."""
    place = 0
    while place < len(content) and content[place]:  # some writers fill up with zeros
        space = content.find(b" ", place, place + 10)
        end = place + _number(content[place : max(space, place)])
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end > len(content) or end <= space + 1 or content[end - 1 : end] != b"\n" or not equals:
            raise tarfile.HeaderError("a damaged extended header")
        yield key, value
        place = end


def _number(digits: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", digits):
        raise tarfile.HeaderError("a number in an extended header is none")
    return int(digits)
