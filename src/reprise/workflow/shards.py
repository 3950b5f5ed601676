"""Shards: the runs that one job trains, in one process on one device. They follow from reports and
configuration alone, never from what is finished.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reprise.reports.figures import Figure
from reprise.reports.report import Report
from reprise.reports.run import Run
from reprise.reports.settings import RunTraining
from reprise.reports.statements import Statement
from reprise.reports.tables import Table

CIFAR_IMAGES = 50_000
MOST_RUNS = 100
"""Of a shard of an experiment, so that several jobs can share a large one."""


@dataclass(frozen=True)
class Shard:
    name: str
    slug: str
    runs: Mapping[str, Run]


def deal(reports: Mapping[str, Report], size: str | int) -> list[Shard]:
    """Each run in one shard, after the runs that it follows.

    With `experiment`, runs of an experiment that the same figures, tables and statements need are trained
    together, so asking for one figure trains what it draws (but at most `MOST_RUNS`). With `report`, a report
    is one shard; with a number, shards of at most that many optimiser steps (but a run is not divided). Runs
    that start from the weights of others then have shards of their own. A study is never divided, because its
    trials wait for each other.
    """
    shards: dict[str, Shard] = {}
    placed: set[str] = set()
    for slug, report in reports.items():
        every = report.runs()
        runs = {identifier: run for identifier, run in every.items() if identifier not in placed}
        placed |= runs.keys()
        parts = by_demand(report, runs) if size == "experiment" else by_size(report, runs, every, size)
        for name, part in parts:
            numbered = (name if number == 1 else f"{name}__{number}" for number in itertools.count(1))
            free = next(candidate for candidate in numbered if candidate not in shards)
            shards[free] = Shard(free, slug, part)
    return list(shards.values())


def by_demand(report: Report, runs: Mapping[str, Run]) -> Iterator[tuple[str, dict[str, Run]]]:
    """Names and runs of the shards of experiments."""
    demand = _demand(report)
    groups: dict[tuple[str, ...], dict[str, Run]] = {}
    for identifier, run in runs.items():
        experiment = report.cell_of(identifier).experiment
        key = (experiment, *(() if run.settings.study else demand.get(identifier, ())))
        groups.setdefault(key, {})[identifier] = run
    for (experiment, *_), group in groups.items():
        name = "_".join(re.sub(r"\W", "_", part) for part in (report.slug, experiment))
        items = list(group.items())
        most = len(items) if any(run.settings.study for run in group.values()) else MOST_RUNS
        for start in range(0, len(items), most):
            yield name, dict(items[start : start + most])


def _demand(report: Report) -> dict[str, tuple[str, ...]]:
    """Run → ids of the figures, tables and statements that need it."""
    demand: dict[str, tuple[str, ...]] = {}
    items: list[Figure | Table | Statement] = [*report.figures, *report.tables, *report.statements]
    for item in items:
        for cell in report.needed(item):
            for run in cell.runs:
                demand[run] = (*demand.get(run, ()), item.id)
    return demand


def by_size(
    report: Report, runs: Mapping[str, Run], every: Mapping[str, Run], size: str | int
) -> Iterator[tuple[str, dict[str, Run]]]:
    """Names and runs of the shards of a whole report, or of at most `size` optimiser steps; `every` run tells
    whose weights come first.
    """

    def generation(run: Run) -> int:
        parent = every.get(run.parent) if run.parent else None
        return 1 + generation(parent) if parent else 0

    generations: dict[int, dict[str, Run]] = {}
    for identifier, run in runs.items():
        generations.setdefault(generation(run), {})[identifier] = run
    for group in generations.values():
        for part in divided(report, group, size if isinstance(size, int) else math.inf):
            yield report.slug, part


def divided(report: Report, runs: Mapping[str, Run], steps: float) -> Iterator[dict[str, Run]]:
    """`runs` in their order, in parts of at most `steps` optimiser steps; a run that is longer alone, and a
    study, stay whole.
    """
    units: dict[str, dict[str, Run]] = {}
    for identifier, run in runs.items():
        units.setdefault(report.cell_of(identifier).experiment if run.settings.study else identifier, {})[
            identifier
        ] = run
    part: dict[str, Run] = {}
    taken = 0
    for unit in units.values():
        asked = optimiser_steps(unit.values())
        if part and taken + asked > steps:
            yield part
            part, taken = {}, 0
        part |= unit
        taken += asked
    yield part


def optimiser_steps(runs: Iterable[Run]) -> int:
    """Steps of all epochs, as if every data set had the 50,000 images of CIFAR: CINIC-10 has nearly twice as
    many, STL-10 a tenth.

    Only `reprise.data` knows sizes, which this module does not import; to tell minutes from hours it is near
    enough.
    """

    def steps(training: RunTraining) -> int:
        images = 2 * CIFAR_IMAGES if training.keep_originals else CIFAR_IMAGES
        return training.epochs * images // training.batch_size

    return sum(steps(run.settings.training) for run in runs)
