"""Progress of long work: a bar with an estimate on a terminal, a plain line now and then in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from reprise.errors import printable

LINE_EVERY_S = 30.0
"""Seconds between two lines in a log."""


class _Lines(tqdm):
    """tqdm that prints whole lines instead of redrawing one."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        print(str(self) if msg is None else msg, file=self.fp, flush=True)
        return True

    def clear(self, nolock: bool = False) -> None:
        pass

    def close(self) -> None:
        if self.disable:
            return
        self.disable = True
        self._decr_instances(self)
        if self.n != self.last_print_n:
            self.display()


def progress(
    iterable: Iterable[Any] | None = None, *, description: str, total: int | None = None, initial: int = 0, unit: str = "it"
) -> tqdm:
    """A tqdm over `iterable`, or one moved by `update(n)`, written to standard error; use it in a `with` or exhaust it.

    `total` and `initial` count `unit`s; bytes (`unit="B"`) are shown as kB, MB …. `set_postfix_str` adds a word on the state.
    """
    shared = {"desc": printable(description), "total": total, "initial": initial, "unit": unit, "unit_scale": unit == "B"}
    if sys.stderr.isatty():
        return tqdm(iterable, **shared, dynamic_ncols=True)
    layout = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]"
    return _Lines(iterable, **shared, file=sys.stderr, bar_format=layout, mininterval=LINE_EVERY_S, maxinterval=LINE_EVERY_S, miniters=1)
