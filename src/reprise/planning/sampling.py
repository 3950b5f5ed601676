"""Cached runs that are trained once more to see whether they agree: which can be, which are drawn, and how
long they take here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reprise.errors import RepriseError
from reprise.planning.calibration import Calibration
from reprise.planning.work import work_of
from reprise.reports.layout import Layout
from reprise.reports.run import Run, datasets
from reprise.results.cache import Cache, read_entry
from reprise.results.entry import Entry
from reprise.training.preconditions import check_pretrained


@dataclass(frozen=True)
class Redone:
    """A run to train again, its entries in the cache, and the seconds that it takes here, as estimated."""

    run: Run
    entries: Sequence[Entry]
    seconds: float


def obstacle(run: Run, where: Layout) -> str | None:
    """Why a run cannot be trained here, alone; None: it can."""
    if run.settings.study:
        return "it is a trial of a search, which ends by comparison with other trials"
    if run.parent:
        return "it starts from the weights of another run"
    ((name, source),) = datasets([run])
    if not (where.dataset(name, source) / "dataset.json").exists():
        return f"its data set {name} is not at hand; fetch and decode it"
    try:
        check_pretrained([run], where.weights)
    except RepriseError:
        return f"pretrained weights of {run.pretrained} are not at hand; fetch them"
    return None


def entries_of(cache: Cache, names: Sequence[str]) -> list[Entry]:
    """The evaluated entries of these names; a damaged one is a `RepriseError`."""
    found = []
    for name in names:
        try:
            found.append(read_entry(cache, name))
        except RepriseError as error:
            raise RepriseError(f"cache {cache.place}: entry {name}: {error}") from None
    return [entry for entry in found if entry.evaluated]


class Sampler:
    """Draws runs of a cache.

    at_hand: whether the images here are those that an entry's run was trained on. most: seconds that a run
    may take; None: any.
    """

    def __init__(
        self,
        cache: Cache,
        where: Layout,
        calibration: Calibration,
        at_hand: Callable[[Entry], bool],
        most: float | None = None,
    ) -> None:
        self.cache, self._where, self._calibration = cache, where, calibration
        self._at_hand, self._most = at_hand, most
        self.names = cache.names()
        self.passed_over: dict[str, str] = {}
        """Run → why it was not drawn."""

    def draw(self, runs: Sequence[Run], count: int | None = None) -> list[Redone]:
        """The first `count` of the runs, or all, that can be trained here; `passed_over` says why others
        were not drawn.

        A damaged entry is a `RepriseError`: whoever checks a cache wants to know.
        """
        self.passed_over.clear()
        possible = [run for run in runs if not self._passed(run, obstacle(run, self._where))]
        if self._most is not None:
            self._calibration.prepare(possible)
        found: list[Redone] = []
        for run in possible:
            if len(found) == count:
                break
            entries = entries_of(self.cache, self.names[run.hash])
            if not self._passed(run, self._fault(entries)):
                self._calibration.prepare([run])
                work, pace = work_of(run, self._where), self._calibration.pace(run)
                epochs = max(entry.meta["epochs"] for entry in entries)
                seconds = pace.seconds(work, epochs) + pace.seconds_around(work)
                if self._most is None or seconds <= self._most:
                    found.append(Redone(run, entries, seconds))
                else:
                    self._passed(run, "it takes longer than --most")
        return found

    def _fault(self, entries: Sequence[Entry]) -> str | None:
        if not entries:
            return "it was not evaluated"
        if not all(map(self._at_hand, entries)):
            return "it was trained on other images than those at hand"
        return None

    def _passed(self, run: Run, why: str | None) -> bool:
        """Note why a run is passed over, if it is."""
        if why:
            self.passed_over[run.hash] = why
        return bool(why)


def other_seeds(
    cache: Cache, names: Mapping[str, Sequence[str]], run: str, members: Sequence[str]
) -> list[float]:
    """Test accuracies that the cache has of the other seeds of a configuration, whose runs are `members`;
    what cannot be used is left out.
    """
    found = []
    for other in members:
        if other == run or other not in names:
            continue
        with contextlib.suppress(RepriseError):
            entries = entries_of(cache, names[other])
            found += [entry.final["accuracy"] for entry in entries[:1]]
    return found
