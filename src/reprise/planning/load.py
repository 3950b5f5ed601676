"""How busy this machine is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

SPARE = 0.5
"""Of a core: less is not called busy."""


@dataclass(frozen=True)
class Load:
    """average: processes that ran or waited to, over the last minute; None where the system does not say.
    cores: those that this process may use.
    """

    average: float | None
    cores: int

    @classmethod
    def now(cls) -> Load:
        try:
            average = round(os.getloadavg()[0], 2)
        except OSError:
            average = None
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return cls(average, usable or 1)

    def busy(self, threads: int = 1) -> bool:
        """Whether a job of so many threads has to share its cores with other work."""
        return self.average is not None and self.average + min(threads, self.cores) > self.cores + SPARE


def describe_load(now: Load, measured: Iterable[float | None], threads: int, file: str) -> str:
    """What the load was when paces were `measured`, and is `now`: one line, with what to do where it was
    another one. file: where the paces are kept.
    """
    known = [average for average in measured if average is not None]
    seen = f"{min(known):.1f}" if known else "unknown"
    if known and f"{max(known):.1f}" != seen:
        seen += f" to {max(known):.1f}"
    here = "unknown" if now.average is None else f"{now.average:.1f}"
    core = f"{now.cores} core{'s' * (now.cores > 1)}"
    said = f"load: {seen} when the paces were measured, {here} now, on {core}"
    then_busy = bool(known) and Load(max(known), now.cores).busy(threads)
    if now.busy(threads) and not then_busy:
        return f"{said}; other work keeps this machine busy, so runs take longer"
    if now.busy(threads):
        return f"{said}; other work kept this machine busy then, and still does"
    if then_busy:
        return f"{said}; other work slowed the measurement: delete {file} to measure again"
    return said
