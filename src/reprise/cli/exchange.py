"""Runs on their way between machines: `export`, `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from reprise.cli.common import dataset_dir, has_results, stamp_evaluated, stamp_trained
from reprise.cli.options import ReportsOptions, ResultsAndDataOptions, ResultsOptions
from reprise.cli.process import show
from reprise.errors import RepriseError
from reprise.reports.layout import FINAL


def export(
    runs: Annotated[
        list[str], Parameter(name="RUN...", help="hashes, or a report's slug for all its finished runs")
    ],
    out: Annotated[Path, Parameter(name="OUT", help="folder to copy them to")],
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Copy finished runs, to take them to another machine."""
    from reprise.evaluation.exchange import export_runs
    from reprise.reports.report import report_files

    layout = where.layout
    if len(runs) == 1 and runs[0] in report_files(reports.reports):
        report = reports.open(runs[0], where.scale)
        runs = [run for run in report.runs() if has_results(run, layout)]
        if not runs:
            raise RepriseError(
                f"{layout.runs}: no finished run of {report.slug} at scale {report.scale}; train it first"
            )
    count = export_runs(layout.runs, runs, out)
    show(f"{out}: {count} runs")


def import_(
    folder: Annotated[Path, Parameter(name="FOLDER", help="what export has written")],
    /,
    *,
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
) -> None:
    """Verify runs made elsewhere and add them to the cache."""
    from reprise.evaluation.exchange import import_runs
    from reprise.models.meta import network

    layout = where.layout

    def at_hand(name: str, source: str) -> Path | None:
        folder = layout.dataset(name, source)
        return dataset_dir(name, source, layout) if (folder / "dataset.json").exists() else None

    states = import_runs(
        folder, layout.runs, synthetic=where.scale == "demo", dataset_of=at_hand, network_of=network
    )
    for run in states:
        stamp_trained(run, layout)
        if (layout.runs / run / FINAL).is_file():
            stamp_evaluated(run, layout)
    for run, state in states.items():
        show(f"{layout.runs / run}: {state}")
