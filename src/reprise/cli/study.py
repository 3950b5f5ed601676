"""Searches with ASHA: `study show`, `study work`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reprise.cli.common import dataset_dirs, has_results, names_of, skipped, stamp_trained
from reprise.cli.options import (
    ReportName,
    ReportsOptions,
    ResultsAndDataOptions,
    ResultsOptions,
    TrainingOptions,
    as_path,
)
from reprise.cli.process import end
from reprise.cli.process import show as print_lines
from reprise.cli.training import engine_options
from reprise.errors import RepriseError, nearest

if TYPE_CHECKING:
    from reprise.reports.report import Report
    from reprise.reports.run import Run

StudyName = Annotated[str, Parameter(help="the experiment, one with asha")]


def trials(report: Report, selector: str) -> tuple[list[Run], dict[str, Mapping[str, Any]]]:
    """The trials of a study, and run → its settings; a selector of something else is a `RepriseError`."""
    cells = report.cells(selector)
    runs = [run for cell in cells for run in cell.members]
    if not all(run.settings.study for run in runs):
        studies = [name for name in report.experiments if report.cells(name)[0].members[0].settings.study]
        raise RepriseError(
            f"{report.path}: {selector} is not a study (it has no asha){nearest(selector, studies)}"
        )
    if not all(report.active(cell) for cell in cells):
        raise skipped(report, f"study {selector}")
    return runs, {run: cell.settings for cell in cells for run in cell.runs}


def show(
    report: ReportName,
    study: StudyName,
    /,
    *,
    csv: Annotated[
        Path | None, as_path, Parameter(metavar="FILE", help="also write the table to this file")
    ] = None,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Show the trials of a study, the best first, and how many epochs were saved."""
    folder = where.layout.runs
    runs, settings = trials(reports.open(report, where.scale), study)

    from reprise.search.asha import check_study
    from reprise.search.study import leaderboard, read_study, write_study

    found = read_study(runs, folder, settings)
    if csv:
        write_study(found, csv)
    print_lines(leaderboard(found))
    check_study(runs, folder)


def work(
    report: ReportName,
    study: StudyName,
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    training: TrainingOptions = TrainingOptions(),
) -> None:
    """Train trials as one of several workers. (What they decide cannot be repeated.)"""
    found, layout = reports.open(report, where.scale), where.layout
    runs, _ = trials(found, study)

    from reprise.search import workers
    from reprise.training.session import Interrupted

    try:
        workers.work(
            runs,
            cache=layout.runs,
            journal=layout.root / "studies" / f"{runs[0].hash}.journal",
            dataset_dirs=dataset_dirs(runs, layout),
            **engine_options(training, layout),
            names=names_of(found, runs),
        )
    except Interrupted as stop:
        end(str(stop), stop.status)
    for run in runs:  # one that was finished when its worker was killed has no stamp
        if has_results(run.hash, layout):
            stamp_trained(run.hash, layout)
