"""Progress of long work: a bar with an estimate on a terminal, a plain line now and then in a log.

The bars are tqdm's, which cannot print plain lines: `Lines` below are its bars, printed whole. tqdm is
imported with the first bar: what only says a line can do without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from reprise.errors import printable

if TYPE_CHECKING:
    from tqdm import tqdm


LINE_EVERY_S = 30.0
"""Seconds between two lines in a log."""


def say(message: str) -> None:
    """One line on standard error, above any bar."""
    tqdm = sys.modules.get("tqdm")
    write = tqdm.tqdm.write if tqdm else print
    write(f"reprise: {printable(message)}", file=sys.stderr)
    sys.stderr.flush()


def log(line: str) -> None:
    """A line in a log; a terminal, where a bar shows what is in hand, does without."""
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@cache
def _lines() -> type[tqdm]:
    """tqdm that prints whole lines instead of redrawing one."""
    from tqdm import tqdm

    class Lines(tqdm):
        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            print(str(self) if msg is None else msg, file=self.fp, flush=True)

        def clear(self, nolock: bool = False) -> None:
            pass

        def close(self) -> None:
            if self.disable:
                return
            self.disable = True
            self._decr_instances(self)  # type: ignore[attr-defined]  # not in its stubs
            if self.n != self.last_print_n:
                self.display()

    return Lines


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    description: str,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
) -> tqdm:
    """A tqdm over `iterable`, or one moved by `update(n)`, written to standard error; use it in a `with` or
    exhaust it.

    `total` and `initial` count `unit`s; bytes (`unit="B"`) are shown as kB, MB …. `set_postfix_str` adds a
    word on the state.
    """
    shared: dict[str, Any] = {
        "desc": printable(description),
        "total": total,
        "initial": initial,
        "unit": unit,
        "unit_scale": unit == "B",
    }
    if sys.stderr.isatty():
        from tqdm import tqdm

        return tqdm(iterable, **shared, dynamic_ncols=True)
    layout = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]"
    return _lines()(
        iterable,
        **shared,
        file=sys.stderr,
        bar_format=layout,
        mininterval=LINE_EVERY_S,
        maxinterval=LINE_EVERY_S,
        miniters=1,
    )
