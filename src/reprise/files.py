"""Files that appear whole or not at all."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, file_error


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is flushed and renamed to `path`.

    On any error the temporary file is removed and `path` keeps what it had. What the system refuses is a `RepriseError`.
    """
    import tempfile  # a module that brings many, which --help need not wait for

    path = Path(path)
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial" + path.suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        partial.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RepriseError(f"{path}: no space left on the disk; free some and run the same command again") from error
        if error.filename and Path(error.filename).name.startswith(f".{path.name}."):  # a name that means nothing to the user
            error.filename = str(path)
        raise RepriseError(file_error(error, path)) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file that another step wrote; a missing or damaged one is a `RepriseError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; make it first (the step before this one writes it)") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid JSON ({error}); delete it and run the step that writes it again") from None
