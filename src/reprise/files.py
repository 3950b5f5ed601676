"""Files that appear whole or not at all, and files read with care: of the right kind, not too large, whatever
they hold.

Beyond `tempfile` and `json`: partial files of killed processes are removed, and a document's size, depth and
numbers are bounded.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from reprise.errors import DamagedError, RepriseError, file_error, gist

MOST_JSON = 1 << 26
"""Bytes of a JSON file; none that the project writes has a hundredth of them."""
DEEPEST_JSON = 64
"""Lists and mappings inside each other in a JSON file."""
FORGOTTEN_S = 24 * 3600
"""Age from which a partial file of another machine is taken for that of a killed process."""
UNLOCKABLE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers."""
WAIT_S = 0.2
"""Between two looks at a lock that another process holds."""


# ---- writing ----


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is flushed and renamed to `path`.

    On any error the temporary file is removed and `path` keeps what it had. What a killed process has left in
    the folder is removed by the next one that writes there. What the system refuses is a `RepriseError`.
    """
    import tempfile  # a module that brings many, which --help need not wait for

    path = Path(path)
    partial: Path | None = None
    try:
        _refuse_special(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_forgotten(path.parent)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.{signature()}.", suffix=".partial" + path.suffix, dir=path.parent
        )
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
            raise RepriseError(
                f"{path}: no space left on the disk; free some and run the same command again"
            ) from error
        if error.filename and Path(error.filename).name.startswith(
            f".{path.name}."
        ):  # a name that means nothing to the user
            error.filename = str(path)
        raise RepriseError(file_error(error, path)) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _refuse_special(path: Path) -> None:
    """A device, pipe or socket, or a link to an open file (/dev/stdout), would be replaced by the file."""
    with contextlib.suppress(OSError):  # none there, or one that writing will say more about
        mode = path.stat().st_mode
        kind = "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _kind(mode)
        if not kind and path.is_symlink() and path.readlink().is_relative_to("/proc"):
            kind = "a link to an open file"
        if kind:
            raise RepriseError(f"{path}: {kind} where a file is to be written; give the name of a file")


OWNER = r"(?P<host>[\w-]+)-(?P<pid>[0-9]+)-(?P<start>[0-9]+)"
"""Matches `signature` of any process."""
_PARTIAL = re.compile(rf"\..+?(?:\.{OWNER})?\.[^.]+\.partial(?:\.[^.]*)?", re.ASCII | re.DOTALL)
_seen: set[Path] = set()
"""Folders that this process has looked through for files of killed ones."""


def _host() -> str:
    return re.sub(r"[^\w]", "_", os.uname().nodename, flags=re.ASCII)[:24]


def _start(pid: int) -> str:
    """When a process of this machine started, in ticks; 0 where the system does not say, and where it is dead
    but not yet waited for.

    A number may be given to a process anew.
    """
    try:
        state, *_, start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
    except (OSError, ValueError):
        return "0"
    return "0" if state in "ZX" else start


def signature() -> str:
    """What names this process in the name of a file."""
    return f"{_host()}-{os.getpid()}-{_start(os.getpid())}"


def _alive(pid: int, start: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return _start(pid) == start


def _remove_forgotten(folder: Path) -> None:
    """Remove the partial files of processes that are no more. What cannot be removed does no harm."""
    if folder in _seen:
        return
    _seen.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = _PARTIAL.fullmatch(entry.name)
            if not found:
                continue
            if is_forgotten(found, entry.stat(follow_symlinks=False).st_mtime):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def whole_name(path: Path) -> str:
    """What a file is called; of a partial one, the file that it is to be."""
    found = re.fullmatch(rf"\.(.+)\.{OWNER}\..*", path.name, re.ASCII | re.DOTALL)
    return found[1] if found else path.name


def is_forgotten(owner: re.Match[str], modified: float) -> bool:
    """Whether the process that `OWNER` has found in the name of a file is no more; of one of another machine
    the file's age decides.
    """
    if owner["host"] == _host():
        return not _alive(int(owner["pid"]), owner["start"])
    return time.time() - modified > FORGOTTEN_S


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    with atomic(path) as partial:
        partial.write_text(to_json(value), encoding="utf-8")


def keep_json(path: Path, value: Any) -> None:
    """As `write_json`, but a file that says the same already stays as it is: finished results may lie where
    nothing can be written.
    """
    with contextlib.suppress(OSError, RepriseError, UnicodeDecodeError):
        if read_bytes(path, MOST_JSON).decode("utf-8") == to_json(value):
            return
    write_json(path, value)


def to_json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# ---- locks ----
# flock and not the package filelock: where a file system has no flock, that marks a lock by a file, which a
# killed process leaves behind for ever; and it says nothing while it waits.


def try_lock(file: IO[Any], *, shared: bool = False) -> bool | None:
    """Lock an open file, unless another process holds it: whether it is locked now, None where the file
    system has no locks. The lock goes when the file is closed or its process ends, however it ends.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in UNLOCKABLE:
            return None
        raise
    return True


@contextlib.contextmanager
def alone(
    path: Path,
    say: Callable[[], None],
    *,
    keep: bool = False,
    check: Callable[[], None] = lambda: None,
    unlockable: Callable[[], None] = lambda: None,
) -> Iterator[bool]:
    """Hold the lock file `path`; yields whether another process had to be waited for.

    Parameters
    ----------
    say: called once, before waiting for another process.
    keep: leave the file there; else it is there as long as somebody holds it.
    check: called now and then while waiting, which it may end by an exception.
    unlockable: called where the file system has no locks, so that there is none.
    """
    waiting = False
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("a"))
            locked = try_lock(file)
            if locked is None:
                unlockable()
                break
            if locked and _is_at(file, path):
                break
            stack.pop_all().close()  # its last holder has removed the file meanwhile, or somebody holds it
            if not locked:
                if not waiting:
                    say()
                waiting = True
                time.sleep(WAIT_S)
                check()
        try:
            yield waiting
        finally:
            if not keep:
                path.unlink(missing_ok=True)


def _is_at(file: IO[Any], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


# ---- reading ----


def check_regular(path: Path | str) -> int:
    """Size of a file in bytes; what is no file (a folder, pipe, socket or device, which could block for ever)
    is a `DamagedError`.

    A missing one is a `FileNotFoundError`.
    """
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise DamagedError(f"{path}: {_kind(found.st_mode)} where a file is expected", "check the path")
    return found.st_size


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read_bytes(path: Path | str, most: int) -> bytes:
    """The content of a file of at most `most` bytes; a larger one, and what is no file, is a
    `DamagedError`.
    """
    size = check_regular(path)
    content = b""
    if size <= most:
        with Path(path).open("rb") as file:
            content = file.read(size + 1)
    if max(size, len(content)) > most:
        raise DamagedError(
            f"{path}: more than {most:,} bytes, far too many for what it should be", "check the path"
        )
    return content


def read_json(path: Path | str) -> Any:
    """Read a JSON file that another step wrote; a missing or damaged one is a `RepriseError`.

    What is read has no lone surrogates, no integers beyond 64 bits and at most `DEEPEST_JSON` levels.
    """
    try:
        return parse_json(read_bytes(path, MOST_JSON).decode("utf-8"))
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; make it first (the step before this one writes it)") from None
    except ValueError as error:
        raise RepriseError(
            f"{path}: not valid JSON ({gist(error)}); delete it and run the step that writes it again"
        ) from None


def parse_json(text: str) -> Any:
    """The value that a JSON text holds; whatever is wrong with it is a `ValueError`."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value]
    for _ in range(DEEPEST_JSON):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each
                inner += each.values()
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str):
                each.encode("utf-8")  # not so with a lone surrogate
            elif isinstance(each, int) and not -(2**63) <= each < 2**64:
                raise ValueError("a number beyond 64 bits")
        if not inner:
            return value
        level = inner
    raise ValueError("nested too deeply")
