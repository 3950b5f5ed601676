"""How much of what is asked for has been run: runs, hours, devices and dates, from the records of finished
runs; and results that exist twice.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.files import read_json
from reprise.progress import say
from reprise.publishing.partial import runs_at_hand
from reprise.publishing.results import read_meta, read_tables
from reprise.reports.layout import OTHERS
from reprise.reports.report import Report

GPU = re.compile("NVIDIA|Tesla|GeForce|Quadro|TITAN|AMD Instinct|AMD Radeon", re.IGNORECASE)
"""How the names of devices start that torch calls CUDA; the others are processors."""


@dataclass(frozen=True)
class Evidence:
    """Of `needed` runs, the `done` ones: finished and evaluated.

    core_hours: processor → hours of training times threads. gpu_hours: CUDA device → hours of training.
    first, last: the days on which the first and the last were finished (UTC), where the records say so.
    """

    done: int
    needed: int
    core_hours: Mapping[str, float] = field(default_factory=dict)
    gpu_hours: Mapping[str, float] = field(default_factory=dict)
    first: datetime.date | None = None
    last: datetime.date | None = None

    @classmethod
    def of(cls, runs: Iterable[str], meta: Mapping[str, Mapping[str, Any]]) -> Evidence:
        """That of all these runs, of which `meta` has the records of those done (run → `meta` of its
        run.json).
        """
        needed = set(runs)
        done = {run: record for run, record in meta.items() if run in needed}
        core_hours: dict[str, float] = {}
        gpu_hours: dict[str, float] = {}
        days = []
        for record in done.values():
            device = " ".join(str(record.get("device", "")).split()) or "unknown device"
            on_gpu = GPU.match(device)
            hours = max(float(record.get("seconds", 0)), 0.0) / 3600
            hours *= 1 if on_gpu else max(int(record.get("threads", 1)), 1)
            of_kind = gpu_hours if on_gpu else core_hours
            of_kind[device] = of_kind.get(device, 0.0) + hours
            if day := _day(record.get("finished")):
                days.append(day)
        return cls(
            len(done),
            len(needed),
            dict(sorted(core_hours.items())),
            dict(sorted(gpu_hours.items())),
            min(days, default=None),
            max(days, default=None),
        )

    @property
    def devices(self) -> list[str]:
        """What they were trained on, processors first."""
        return [*self.core_hours, *self.gpu_hours]

    def words(self, of: str = "") -> str:
        """`48 of 483 runs, 12.3 core-hours (AMD EPYC), 2026-11-28 to 2026-11-29`; `of`: which runs."""
        said = [f"{self.done} of {self.needed} runs" + (f" {of}" if of else "")]
        for hours, unit in ((self.core_hours, "core-hours"), (self.gpu_hours, "GPU-hours")):
            if hours:
                total = sum(hours.values())
                amount = f"{total:,.1f}" if total >= 0.05 else "less than 0.1"
                said.append(f"{amount} {unit} ({', '.join(hours)})")
        if self.first and self.last:
            said.append(f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}")
        return ", ".join(said)


def _day(finished: Any) -> datetime.date | None:
    """The day of a time as records have it; None where it is none."""
    try:
        return datetime.datetime.fromisoformat(str(finished)).astimezone(datetime.UTC).date()
    except (ValueError, OverflowError):
        return None


def gather(folder: Path, runs: Iterable[str], only: Collection[str] | None = None) -> Evidence:
    """The evidence that the runs in `<folder>/<run>/` are, those `only` where some are named; a damaged
    record is a `RepriseError`.
    """
    needed = list(dict.fromkeys(runs))
    counted = needed if only is None else [run for run in needed if run in only]
    return Evidence.of(needed, read_meta(folder, runs_at_hand(folder, counted)))


# ---- results that exist twice ----


@dataclass(frozen=True)
class Twin:
    """A run's result, and another one of the same run: test accuracies, devices, and whether both are the
    same bit for bit.
    """

    run: str
    configuration: str
    accuracy: float
    device: str
    other_accuracy: float
    other_device: str
    same: bool


def twins(report: Report, folder: Path) -> list[Twin]:
    """The results of the report's runs of which others are known, in the report's order. What others are
    said to be and cannot be read is left out, and a line on standard error says so.
    """
    runs = report.runs()
    done = runs_at_hand(folder, runs)
    others = {run: found for run in runs if run in done and (found := _others(folder / run))}
    if not others:
        return []
    tables, meta = read_tables(folder, others, ["final"]), read_meta(folder, others)
    listed = []
    for run, results in others.items():
        configuration = f"{report.cell_of(run).name}, seed {runs[run].settings.seeds.init}"
        accuracy = tables.metric(run, "accuracy")
        ours = math.nan if accuracy is None else accuracy, str(meta[run].get("device", ""))
        listed += [
            Twin(run, configuration, *ours, float(other["accuracy"]), other["device"], other["same"])
            for other in results
        ]
    return listed


def _others(folder: Path) -> Sequence[Mapping[str, Any]]:
    """The further results of a run; none where there are none, or what is there is damaged."""
    path = folder / OTHERS
    if not path.exists():
        return []
    try:
        content = read_json(path)
        if not isinstance(content, list) or not all(map(_is_result, content)):
            raise RepriseError(f"{path}: no list of results")
    except (RepriseError, OSError) as error:
        say(f"{error}; further results of this run are left out")
        return []
    return content


def _is_result(value: Any) -> bool:
    match value:
        case {"accuracy": int() | float() as accuracy, "device": str(), "same": bool()}:
            return not isinstance(accuracy, bool) and 0 <= accuracy <= 1
    return False
