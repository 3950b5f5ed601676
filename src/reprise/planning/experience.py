"""What finished runs say of an estimate: how many times as long as the calibration says they took here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reprise.errors import RepriseError
from reprise.planning.calibration import Calibration
from reprise.planning.work import work_of
from reprise.records import read_record
from reprise.reports.layout import RUN, WEIGHTS_FILE, Layout
from reprise.reports.run import Run, check_record

RECENT = 20
"""Runs of one pace that count, the last ones finished: what a machine does besides changes."""
STRANGE = 10.0
"""A run that took more than so many times as long, or less than that part, was stopped in between, or not
trained here.
"""


@dataclass(frozen=True)
class Experience:
    """factor: how many times as long as the calibration says the `runs` finished runs took, in the middle.
    factors: the same by pace (`Calibration.key`), where runs of that pace are finished.
    """

    runs: int = 0
    factor: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)

    def of(self, key: str) -> float:
        """For runs of a pace: that of finished runs of the same pace, else that of all."""
        return self.factors.get(key, self.factor)


NO_EXPERIENCE = Experience()


@dataclass(frozen=True)
class _Took:
    """A finished run: its pace, when it ended, what the calibration says of its epochs, and what they took
    (s).
    """

    key: str
    finished: str
    expected: float
    seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.expected


def experience(where: Layout, calibration: Calibration) -> Experience:
    """What the finished runs of this scale say that were trained on this machine and whose pace is known."""
    by_pace: dict[str, list[_Took]] = {}
    for took in _finished_here(where, calibration):
        by_pace.setdefault(took.key, []).append(took)
    recent = {key: sorted(each, key=lambda took: took.finished)[-RECENT:] for key, each in by_pace.items()}
    every = [took for each in recent.values() for took in each]
    if not every:
        return NO_EXPERIENCE
    return Experience(len(every), _middle(every), {key: _middle(each) for key, each in recent.items()})


def _finished_here(where: Layout, calibration: Calibration) -> Iterator[_Took]:
    """Damaged records, and runs of other machines, are passed over. An imported run came without weights, or
    its device tells.
    """
    for folder in sorted(where.runs.iterdir()) if where.runs.is_dir() else ():
        if not ((folder / RUN).is_file() and (folder / WEIGHTS_FILE).is_file()):
            continue
        try:
            document = read_record(folder / RUN, "", legacy=True)
            check_record(document, folder.name)
            run, meta = Run(document["spec"]), document["meta"]
            if not calibration.made_here(run, meta) or not calibration.knows(run):
                continue
            expected = calibration.pace(run).seconds(work_of(run, where), meta.get("epochs", 0))
        except (RepriseError, ValueError):
            continue
        took = _Took(calibration.key(run), meta.get("finished", ""), expected, meta.get("seconds", 0))
        if expected > 0 and 1 / STRANGE < took.ratio < STRANGE:
            yield took


def _middle(runs: Iterable[_Took]) -> float:
    """The median of the ratios, in which a run counts by its length: a short one says little."""
    ordered = sorted(runs, key=lambda took: took.ratio)
    half, sum_ = sum(took.expected for took in ordered) / 2, 0.0
    for took in ordered:
        sum_ += took.expected
        if sum_ >= half:
            return took.ratio
    raise ValueError("no run")
