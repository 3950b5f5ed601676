"""Files that appear whole or not at all, and files read with care: of the right kind, not too large, whatever
they hold.

Beyond `tempfile` and `json`: partial files of killed processes are removed, and a document's size, depth and
numbers are bounded.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from reprise.errors import DamagedError, RepriseError, UnwritableError, file_error, gist, other_owner

MOST_JSON = 1 << 26
"""Bytes of a JSON file; none that the project writes has a hundredth of them."""
DEEPEST_JSON = 64
"""Lists and mappings inside each other in a JSON file."""
FORGOTTEN_S = 24 * 3600
"""Age from which a partial file of another machine is taken for that of a killed process."""
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system answers where this user may not write."""
UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""What a file system answers to a call that it does not have."""
UNLOCKABLE = (*UNSUPPORTED, errno.ENOLCK, errno.EPERM, errno.EBADF)
"""What a file system without locks answers; EBADF is that of NFS to a file that cannot be written."""
UNSYNCED = (*UNSUPPORTED, errno.EBADF)
"""What one answers that cannot flush a file."""
UNRENAMED = (*UNSUPPORTED, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EEXIST, errno.EBUSY, errno.ETXTBSY)
"""What one answers that does not rename within a folder (union mounts), or not over a file that is there
(object stores, a file that Windows has open, another user's in a folder with the sticky bit).
"""
LONGEST_PART = 40
"""Bytes of a file's name that stand in the name of its partial file, which may not be too long either."""
WAIT_S = 0.2
"""Between two looks at a lock that another process holds."""


# ---- writing ----


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is flushed and renamed to `path`.

    On any error the temporary file is removed and `path` keeps what it had. What a killed process has left in
    the folder is removed by the next one that writes there. What the system refuses is a `RepriseError`, an
    `UnwritableError` where this user may not write.

    A file system that cannot flush or rename is written to all the same: there the file is copied, and a
    process killed at that moment leaves one that its record shows to be damaged.
    """
    path = Path(path)
    partial: Path | None = None
    try:
        _refuse_special(path)
        make_folder(path.parent)
        _remove_forgotten(path.parent)
        partial = _new_partial(path)
        mode = partial.stat().st_mode | _group_rights(path.parent)
        yield partial
        _sync(partial)
        if partial.stat().st_mode != mode:  # a shared folder, or a writer that has made a file of its own
            with contextlib.suppress(OSError):
                partial.chmod(stat.S_IMODE(mode))
        _rename(partial, path)
    except OSError as error:
        named = Path(error.filename or path)
        if named.parent == path.parent and _PARTIAL.fullmatch(named.name):
            error.filename = str(path)  # the other name means nothing to the user
        raise _refusal(error, path) from error
    finally:
        if partial is not None:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def _new_partial(path: Path) -> Path:
    """An empty file beside `path`, with the mode that the umask or the folder's access list gives it: a file
    of `tempfile` can be read by its owner alone, and not every file system changes modes.
    """
    name = os.fsencode(path.name)[:LONGEST_PART].decode(errors="ignore")
    suffix = path.suffix if len(path.suffix) < LONGEST_PART else ""
    partial = path.with_name(f".{name}.{signature()}.{os.urandom(4).hex()}.partial{suffix}")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return partial


def _sync(path: Path) -> None:
    """Have a file's content on the disk, where the file system can say so."""
    with path.open("rb") as written:
        try:
            os.fsync(written.fileno())
        except OSError as error:
            if error.errno not in UNSYNCED:
                raise


def _rename(partial: Path, path: Path) -> None:
    try:
        partial.replace(path)
    except OSError as error:
        if error.errno not in UNRENAMED:
            raise
        import shutil

        with contextlib.suppress(OSError):
            path.unlink()
        shutil.copyfile(partial, path)
        _sync(path)


def _refusal(error: OSError, path: Path) -> RepriseError:
    """What is said where `path` cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RepriseError(f"{path}: no space left on the disk; free some and run the same command again")
    if error.errno in REFUSED and (not error.filename or Path(error.filename) in (path, *path.parents)):
        place = next((each for each in path.parents if _is_there(each)), path.parent)
        if _is_there(path) and (path.is_dir() or os.access(place, os.W_OK, effective_ids=True)):
            place = path  # it is the file that is protected, and not its folder
        owner = other_owner(place)
        why = f"belongs to {owner} and is not writable by you" if owner else "is not writable by you"
        if error.errno == errno.EROFS:
            why = "is on a file system that is read-only"
        return UnwritableError(f"{path}: cannot be written: {'it' if place == path else place} {why}")
    return RepriseError(file_error(error, path))


def _is_there(path: Path) -> bool:
    """Whether there is a file or folder, as far as this user can see."""
    with contextlib.suppress(OSError):
        return path.exists()
    return False


# ---- folders ----


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, as far as they are not there. What the system refuses is a
    `RepriseError`.

    In a folder that a group shares, which has the set-group-ID bit and lets the group write, so do the new
    ones and their files, whatever the umask: the next of the group goes on there.
    """
    try:
        if folder.is_dir():
            return
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # a parallel file system may not show yet what another machine has just made
            time.sleep(WAIT_S)
            if not folder.is_dir():
                raise
        for each in reversed(missing):
            if rights := _group_rights(each.parent):
                with contextlib.suppress(OSError):
                    each.chmod(stat.S_IMODE(each.stat().st_mode) | rights | stat.S_IXGRP)
    except OSError as error:
        raise _refusal(error, folder) from error


def _group_rights(folder: Path) -> int:
    """What the group may do with a file, because the folder is one that it shares."""
    mode = folder.stat().st_mode
    shared = mode & stat.S_ISGID and mode & stat.S_IWGRP
    return stat.S_IRGRP | stat.S_IWGRP if shared else 0


def can_link(folder: Path) -> bool:
    """Whether the folder's file system has symbolic links."""
    link = folder / f".{signature()}.{os.urandom(4).hex()}.partial"
    try:
        link.symlink_to("nowhere")
        link.unlink()
    except OSError as error:
        if error.errno not in (*UNSUPPORTED, errno.EPERM):
            raise _refusal(error, link) from error
        return False
    return True


def check_writable(folder: Path) -> None:
    """Make the folder and a file in it, which goes again: a `RepriseError` before the work, where its result
    could not be written.
    """
    make_folder(folder)
    try:
        probe = _new_partial(folder / "probe")
    except OSError as error:
        error.filename = str(folder)
        raise _refusal(error, folder) from error
    with contextlib.suppress(OSError):
        probe.unlink()


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
    except PermissionError:  # another user's, of which the system may hide all else (hidepid)
        return _start(pid) in (start, "0")
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
        if error.errno == errno.EACCES:  # what CIFS and some NFS say instead
            return False
        if error.errno in UNLOCKABLE:
            return None
        raise
    return True


def open_lock(path: Path) -> IO[bytes]:
    """A lock file, made where there is none, open for `try_lock`; an `UnwritableError` where this user may do
    neither.
    """

    def opened(flags: int) -> IO[bytes]:
        return os.fdopen(os.open(path, flags, 0o666), "rb", buffering=0)

    try:
        file = opened(os.O_RDWR | os.O_CREAT)
    except OSError as refused:
        if refused.errno not in REFUSED:
            raise
        # Linux may refuse to make what is there already (fs.protected_regular), and the file of another user
        # may be one that can only be read, which suffices except on NFS.
        for flags in (os.O_RDWR, os.O_RDONLY):
            with contextlib.suppress(OSError):
                return opened(flags)
        raise _refusal(refused, path) from refused
    with contextlib.suppress(OSError):
        mode = os.fstat(file.fileno()).st_mode
        if rights := _group_rights(path.parent) & ~mode:
            os.fchmod(file.fileno(), stat.S_IMODE(mode) | rights)
    return file


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
            file = stack.enter_context(open_lock(path))
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
                with contextlib.suppress(OSError):
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


def can_map(path: Path) -> bool:
    """Whether the file system can map a file into memory; some network file systems cannot."""
    with path.open("rb") as file:
        try:
            mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ).close()
        except (ValueError, OSError) as error:  # the former for an empty file
            return not isinstance(error, OSError)
    return True


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
