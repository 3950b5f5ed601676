"""What reports cost, and how good that estimate was."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprise.planning.calibration import Calibration
from reprise.planning.experience import NO_EXPERIENCE, Experience, experience
from reprise.planning.storage import Disk, disk
from reprise.planning.work import Work, expected_share, work_of
from reprise.publishing.pretended import naming
from reprise.reports.layout import RUN, Layout
from reprise.reports.report import Report
from reprise.training.results import finished


@dataclass(frozen=True)
class PlanRow:
    """One experiment. Epochs and images are those of the runs that are left to train, at most and as
    `expected_share` says.
    """

    experiment: str
    runs: int
    left: int
    epochs: int
    expected_epochs: float
    images: float
    expected_images: float
    seconds: float
    """Of training, validation and evaluation, at most."""
    expected_seconds: float


@dataclass(frozen=True)
class Plan:
    """What a report asks for at its scale."""

    report: Report
    rows: Sequence[PlanRow]
    disk: Disk
    experience: Experience = NO_EXPERIENCE
    """By which the times are corrected."""


def plan(
    reports: Sequence[Report],
    where: Layout,
    calibration: Calibration,
    cached: Collection[str] = (),
) -> list[Plan]:
    """The plans of reports, whose paces are measured first where they are not known; times are corrected by
    what finished runs took. A run counts in the first experiment that has it; those that are `cached` are not
    left to train.
    """
    by_report = {report.slug: _by_experiment(report, where) for report in reports}
    left = {
        slug: {name: _left(works, where, cached) for name, works in groups.items()}
        for slug, groups in by_report.items()
    }
    calibration.prepare([work.run for groups in left.values() for works in groups.values() for work in works])
    known = experience(where, calibration)
    plans = []
    for report in reports:
        groups = by_report[report.slug]
        rows = [
            _row(name, works, left[report.slug][name], calibration, known) for name, works in groups.items()
        ]
        works = [work for works in groups.values() for work in works]
        plans.append(Plan(report, rows, disk(works, where), known))
    return plans


def _by_experiment(report: Report, where: Layout) -> dict[str, list[Work]]:
    groups: dict[str, list[Work]] = {}
    for identifier, run in report.runs().items():
        cell = report.cell_of(identifier)
        with naming(report, cell):
            groups.setdefault(cell.experiment, []).append(work_of(run, where))
    return groups


def _left(works: Sequence[Work], where: Layout, cached: Collection[str]) -> list[Work]:
    there = {work.run.hash for work in works if (where.runs / work.run.hash / RUN).is_file()}
    return [work for work in works if work.run.hash not in there.union(cached)]


def _row(
    name: str, works: Sequence[Work], left: Sequence[Work], calibration: Calibration, known: Experience
) -> PlanRow:
    share = expected_share([work.run for work in works])
    paced = [(work, calibration.pace(work.run), known.of(calibration.key(work.run))) for work in left]

    return PlanRow(
        name,
        runs=len(works),
        left=len(left),
        epochs=sum(work.epochs for work in left),
        expected_epochs=sum(share * work.epochs for work in left),
        images=sum(work.epochs * work.train_images for work in left),
        expected_images=sum(share * work.epochs * work.train_images for work in left),
        seconds=sum(
            factor * (pace.seconds(work, work.epochs) + pace.seconds_around(work))
            for work, pace, factor in paced
        ),
        expected_seconds=sum(
            factor * (pace.seconds(work, share * work.epochs) + pace.seconds_around(work))
            for work, pace, factor in paced
        ),
    )


@dataclass(frozen=True)
class TimeComparison:
    """Finished runs of one experiment that were trained on a machine like this one: their time as estimated
    and as it was.
    """

    experiment: str
    runs: int
    elsewhere: int
    """Finished runs of other machines, which are not compared."""
    epochs: int
    estimated_seconds: float
    seconds: float


def compare(report: Report, where: Layout, calibration: Calibration) -> list[TimeComparison]:
    """What the calibration says of the epochs that finished runs have trained, beside what these took
    (`seconds` in their `meta`).
    """
    found: dict[str, list[tuple[Work, Mapping[str, Any]]]] = {}
    for name, works in _by_experiment(report, where).items():
        documents = [(work, finished(where.runs / work.run.hash)) for work in works]
        found[name] = [(work, document["meta"]) for work, document in documents if document]
    here = {
        name: [(work, meta) for work, meta in each if calibration.made_here(work.run, meta)]
        for name, each in found.items()
    }
    calibration.prepare([work.run for each in here.values() for work, _ in each])
    return [
        TimeComparison(
            name,
            runs=len(here[name]),
            elsewhere=len(each) - len(here[name]),
            epochs=sum(meta["epochs"] for _, meta in here[name]),
            estimated_seconds=sum(
                calibration.pace(work.run).seconds(work, meta["epochs"]) for work, meta in here[name]
            ),
            seconds=sum(meta["seconds"] for _, meta in here[name]),
        )
        for name, each in found.items()
        if each
    ]
