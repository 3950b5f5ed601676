"""Progress of a list of runs: a bar over all epochs with an estimate on a terminal, a plain line every few seconds in a log."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType

from tqdm import tqdm

from reprise.progress import progress
from reprise.spec.run import Run
from reprise.training.selection import Row

LINE_EVERY_S = 5.0
"""Seconds between two lines in a log."""


class Reporter:
    """Used in a `with`; one `start` … `done` per run, one `epoch` per finished epoch."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._count = len(runs)
        self._number = 0
        self._epochs = self._left = 0
        self._name = ""
        self._last_line = -LINE_EVERY_S
        total = sum(run.spec["training"]["epochs"] for run in runs)
        self._bar = progress(description="training", total=total, unit="epoch") if sys.stderr.isatty() else None

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, message: str) -> None:
        """One line on standard error, above the bar."""
        tqdm.write(f"reprise: {message}", file=sys.stderr)
        sys.stderr.flush()

    def start(self, run: Run) -> None:
        self._number += 1
        self._epochs = self._left = run.spec["training"]["epochs"]
        self._name = f"run {run.hash} ({self._number}/{self._count})"

    def resumed(self, epoch: int) -> None:
        """Epochs up to this one need not be trained again."""
        self._shrink(epoch)

    def epoch(self, rows: Sequence[Row], seconds: float) -> None:
        """The rows of the history that a finished epoch has brought."""
        self._left -= 1
        losses = " ".join(f"{row['split']} loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}" for row in rows)
        line = f"{self._name} epoch {rows[0]['epoch']}/{self._epochs} {losses} {seconds:.1f} s"
        if self._bar is not None:
            self._bar.set_description_str(f"{self._name} epoch {rows[0]['epoch']}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(losses, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def done(self) -> None:
        """The run is over, perhaps before its last epoch, or was there already."""
        self._shrink(self._left)

    def _shrink(self, epochs: int) -> None:
        self._left -= epochs
        if self._bar is not None:
            self._bar.total -= epochs
            self._bar.refresh()
