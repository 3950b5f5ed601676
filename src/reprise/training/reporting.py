"""Progress of a list of runs: a bar over all epochs with an estimate on a terminal, a plain line every few
seconds in a log.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from reprise.progress import duration, progress, say
from reprise.reports.run import Run
from reprise.results.selection import HistoryRow
from reprise.supervision import tell

LINE_EVERY_S = 5.0
"""Seconds between two lines in a log."""


class Reporter:
    """Used in a `with`; one `start` … `done` per run, in it `begins` if the run is trained now, one `epoch`
    per finished epoch, `trained` when the run's results are there. What is in hand is told to a supervising
    parent, too.

    Of `runs` only those in `pending` are thought to need training; `names`, by hash, is what the log calls
    them besides.
    """

    def __init__(self, runs: Sequence[Run], pending: Sequence[Run], names: Mapping[str, str]) -> None:
        self._names = names
        self._count = len(runs)
        self._pending = set(pending)
        self._number = 0
        self._epochs = self._left = 0
        self._name = ""
        self._last_line = -LINE_EVERY_S
        self._total_left = sum(run.settings.training.epochs for run in pending)
        self._trained, self._seconds = 0, 0.0
        self._bar = (
            progress(description="training", total=self._total_left, unit="epoch")
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> "Reporter":
        if there := self._count - len(self._pending):
            self.say(f"{there} of {self._count} runs were there already")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, message: str) -> None:
        """One line on standard error, above the bar."""
        say(message)

    def start(self, run: Run) -> None:
        self._number += 1
        self._epochs = run.settings.training.epochs
        self._left = self._epochs if run in self._pending else 0
        self._name = f"run {run.hash} ({self._number}/{self._count})"

    def name(self, run: Run) -> str:
        """What the report calls a run; empty where that is not known."""
        return self._names.get(run.hash, "")

    def begins(self, run: Run, folder: Path, conditions: Mapping[str, Any]) -> None:
        """The run is trained now: said before anything is done for it that could end the process."""
        tell(
            run=run.hash, name=self.name(run), epochs=self._epochs, folder=str(folder), conditions=conditions
        )
        line = f"{self._name} begins" + (f": {self.name(run)}" if self.name(run) else "")
        if self._bar is not None:
            self._bar.set_description_str(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def resumed(self, epoch: int) -> None:
        """The first epoch begins, or the one after `epoch`: those up to it need not be trained again."""
        tell(epoch=epoch)
        if epoch and self._bar is None:
            print(f"{self._name} goes on after epoch {epoch}/{self._epochs}", file=sys.stderr, flush=True)
        self._shrink(epoch)

    def epoch(self, rows: Sequence[HistoryRow], seconds: float) -> None:
        """The rows of the history that a finished epoch has brought."""
        tell(epoch=rows[0]["epoch"])
        self._left -= 1
        self._total_left -= 1
        self._trained += 1
        self._seconds += seconds
        losses = " ".join(
            f"{row['split']} loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}" for row in rows
        )
        line = f"{self._name} epoch {rows[0]['epoch']}/{self._epochs} {losses} {seconds:.1f} s"
        if self._bar is not None:
            self._bar.set_description_str(
                f"{self._name} epoch {rows[0]['epoch']}/{self._epochs}", refresh=False
            )
            self._bar.set_postfix_str(losses, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def trained(self, accuracy: float, selected: int, epochs: int, seconds: float) -> None:
        """The run has ended well: accuracy on the validating part at the selected epoch, number of epochs,
        time that they took.
        """
        self._shrink(self._left)
        if self._bar is None:
            line = (
                f"{self._name} done: accuracy {accuracy:.3f} at epoch {selected}, {epochs} epochs, "
                f"{seconds:.0f} s"
            )
            left = self._total_left * self._seconds / max(self._trained, 1)
            print(
                f"{line}; about {duration(left)} left" if self._total_left else line,
                file=sys.stderr,
                flush=True,
            )

    def done(self) -> None:
        """The run is over, perhaps before its last epoch."""
        tell(run=None)
        self._shrink(self._left)

    def _shrink(self, epochs: int) -> None:
        self._left -= epochs
        self._total_left -= epochs
        if self._bar is not None:
            self._bar.total = (self._bar.total or 0) - epochs
            self._bar.refresh()
