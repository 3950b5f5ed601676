"""A process without root's power over files, and folders of another user.

Root may read and write everything, so a test of rights would pass for root whatever is done. `powerless`
takes that power from the thread; where the tests do not run as root there is none to take.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = os.geteuid() == 0
COLLEAGUE = 65_533
"""A user and a group that nobody here is."""
_VERSION = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextlib.contextmanager
def powerless(without: bool = True) -> Iterator[None]:
    """Root's capabilities are not in effect (capset(2)): whose file it is, and its mode, decide. Programs
    that are started get them back. `without` False: those that were given up are in effect again.
    """
    libc, header, data = ctypes.CDLL(None, use_errno=True), _Header(_VERSION, 0), (_Data * 2)()
    assert libc.capget(ctypes.byref(header), data) == 0
    before = [each.effective for each in data]
    for each in data:
        each.effective = 0 if without else each.permitted
    assert libc.capset(ctypes.byref(header), data) == 0
    try:
        yield
    finally:
        for each, effective in zip(data, before, strict=True):
            each.effective = effective
        assert libc.capset(ctypes.byref(header), data) == 0


def give(folder: Path, files: int = 0o644, folders: int = 0o755, group: int = COLLEAGUE) -> None:
    """Make a folder, and all in it, a colleague's, with these modes; without root, one's own that cannot be
    written to: then no owner is named.
    """
    for path in [*folder.rglob("*"), folder]:
        mode = folders if path.is_dir() else files
        path.chmod(mode if ROOT else mode & ~0o222)
        if ROOT:
            os.chown(path, COLLEAGUE, group)


def take_back(folder: Path) -> None:
    """Make a folder one's own again, so that pytest can remove it."""
    for path in [folder, *folder.rglob("*")]:
        if ROOT:
            os.chown(path, 0, 0)
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextlib.contextmanager
def owner(folder: Path) -> Iterator[None]:
    """What the owner of a folder changes, in a test that is powerless."""
    with powerless(False):
        if not ROOT:
            take_back(folder)
        yield
        if not ROOT:
            give(folder)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What a folder holds, by which any writing shows."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path.relative_to(folder)): (each.st_ino, each.st_mtime_ns) for path, each in found.items()}
