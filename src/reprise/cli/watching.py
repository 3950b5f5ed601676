"""Something that is done again whenever files change: `check --watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from reprise.cli.process import show
from reprise.errors import RepriseError, SeveralMistakes
from reprise.progress import say

POLL_S = 0.5
"""Between two looks at the files. A system's own messages do not work on every file system; a look does."""
SETTLED_S = 0.1
"""Editors write a file in several steps: once it has changed, it must stay the same for so long."""

State = dict[Path, tuple[int, int, int]]


def check_whenever_changed(files: Sequence[Path], check: Callable[[], None]) -> None:
    """Call `check` now and after each change of the report files (or folders of them), until Ctrl-C. What it
    finds wrong is printed, and the watch goes on.
    """
    try:
        while True:
            before = state(files)  # so that a change during the check counts
            try:
                check()
            except RepriseError as error:
                for line in error.lines if isinstance(error, SeveralMistakes) else [str(error)]:
                    say(line)
            except SystemExit:  # of a check that has said itself what is wrong
                pass
            show(f"checked at {time.strftime('%H:%M:%S')}; watching for changes; press Ctrl-C to stop")
            wait_for_change(files, before)
    except KeyboardInterrupt:
        return


def wait_for_change(files: Sequence[Path], before: State) -> None:
    """Return when the files are no longer as they were `before`, and have come to rest."""
    while (now := state(files)) == before:
        time.sleep(POLL_S)
    while True:
        time.sleep(SETTLED_S)
        now, last = state(files), now
        if now == last:
            return


def state(files: Sequence[Path]) -> State:
    """Inode, size in bytes and time of change (ns) of each file, and of the files of each folder; those that
    are not there are left out.
    """
    found: State = {}
    for path in files:
        try:
            for file in [path, *sorted(path.iterdir())] if path.is_dir() else [path]:
                facts = file.stat()
                found[file] = facts.st_ino, facts.st_size, facts.st_mtime_ns
        except OSError:  # between two steps of an editor
            continue
    return found
