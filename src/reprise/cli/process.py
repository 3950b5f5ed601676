"""What concerns the process of a verb and not its work: its end, its log, its garbage."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from reprise.errors import printable


class _Log:
    """Standard error that cannot fail: what cannot be written any more goes nowhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[..., Any], *arguments: str) -> None:
        try:
            action(*arguments)
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def outlasting_its_log() -> Iterator[None]:
    """The work goes on when standard error is closed, a broken pipe or on a full disk."""
    stream = sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = _Log(stream or nowhere)
        try:
            yield
        finally:
            sys.stderr = stream


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Nothing looks for garbage, which costs a process of a second a tenth of its time; what there is goes
    with it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def show(text: str) -> None:
    """Print lines of text, in which names and values from files cannot command the terminal."""
    for line in text.split("\n"):
        print(printable(line))


def end(message: str, status: int) -> NoReturn:
    """One line on standard error, and the exit status."""
    print(f"reprise: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(status)
