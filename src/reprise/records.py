"""Records: small JSON files that say, by their SHA-256, what the files of a step hold, and themselves.

A step writes its record last; whoever reads the step's files compares them with it first. That tells a
damaged, cut, swapped or foreign file from a good one. It is no seal: who can write a file can write its
record too.

SHA-256 and not a faster hash: `sha256sum` computes it too, and 180 MB (CIFAR's arrays) take it 0.1 s, or 0.4
s on a processor without the instructions for it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reprise.errors import DamagedError, gist
from reprise.files import MOST_JSON, check_regular, parse_json, read_bytes, write_json

FILES, DIGEST = "files", "sha256"
"""Keys of a record: file name → SHA-256, and the SHA-256 of the rest of the record."""

MOST_BYTES = 1 << 34
"""Of a file with a digest; the arrays of the largest data set have a tenth of them."""

_digests: dict[Path, tuple[tuple[int, ...], str]] = {}
"""What this process has read, and what the file was like then."""


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file, which is read once in a process for as long as it stays the same file.

    An absent one is a `FileNotFoundError`, one that is no plain file (a folder, a device) a `DamagedError`.
    """
    if check_regular(path) > MOST_BYTES:  # hours for a sparse file that claims terabytes
        raise DamagedError(
            f"{path}: more than {MOST_BYTES:,} bytes, far too many for what it should be", "check the path"
        )
    found = path.stat()
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if _digests.get(path, (None,))[0] != state:
        with path.open("rb") as file:
            _digests[path] = state, hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[path][1]


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Name → SHA-256 of those files of `folder` that are there."""
    return {name: file_digest(folder / name) for name in names if (folder / name).exists()}


def check_file(path: Path, files: Mapping[str, str], remedy: str) -> None:
    """Raise a `DamagedError` for a file that is absent or has another content than the record with these
    `files` says.
    """
    try:
        damaged = file_digest(path) != files.get(path.name)
    except FileNotFoundError:
        raise DamagedError(f"{path}: not found", remedy) from None
    except DamagedError as error:
        raise DamagedError(error.what, remedy) from None
    if damaged:
        raise DamagedError(f"{path}: damaged (its content does not match its record)", remedy)


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` and its digest as JSON, atomically."""
    write_json(path, seal(content))


def read_record(path: Path, remedy: str, *, legacy: bool = False) -> dict[str, Any]:
    """The content of a record; an absent or damaged one is a `DamagedError`.

    `legacy`: records of earlier versions, which have neither a digest nor files, are accepted too.
    """
    try:
        content = parse_json(read_bytes(path, MOST_JSON).decode("utf-8"))
    except FileNotFoundError:
        raise DamagedError(f"{path}: not found", remedy) from None
    except DamagedError as error:
        raise DamagedError(error.what, remedy) from None
    except ValueError as error:
        raise DamagedError(f"{path}: damaged (not valid JSON: {gist(error)})", remedy) from None
    if legacy and isinstance(content, dict) and DIGEST not in content and FILES not in content:
        return content
    try:
        content = unseal(content)
    except ValueError as error:
        raise DamagedError(f"{path}: damaged ({error})", remedy) from None
    if not isinstance(content.get(FILES, {}), dict):
        raise DamagedError(f"{path}: its {FILES} are not a mapping", remedy)
    return content


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content`, which is JSON, with its own digest."""
    return {**content, DIGEST: _digest(content)}


def unseal(sealed: Mapping[str, Any]) -> dict[str, Any]:
    """What `seal` was given; a `ValueError` for something else, and where the digest is absent or of another
    content.
    """
    if not isinstance(sealed, Mapping):
        raise ValueError("not a record")
    content = {key: value for key, value in sealed.items() if key != DIGEST}
    if sealed.get(DIGEST) != _digest(content):
        raise ValueError("its content does not match its own digest")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
