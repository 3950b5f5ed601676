"""What report files ask for: `check`, `runs`, `plan`."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from reprise.cli.common import calibration_of, has_results
from reprise.cli.exchange import open_caches
from reprise.cli.options import (
    REPORTS,
    CachePlaces,
    ComputeOptions,
    ReportName,
    ReportNames,
    ReportsFolder,
    ReportsOptions,
    ResultsAndDataOptions,
    ResultsOptions,
    as_path,
    as_place,
    report_file,
)
from reprise.cli.process import end, show
from reprise.cli.watching import check_whenever_changed
from reprise.progress import say
from reprise.reports.layout import SCALES

SCHEMA = Path("workflow/schemas/report.schema.json")


def check(
    names: Annotated[list[str], as_place, Parameter(name="REPORT...", help="slugs or files")],
    /,
    *,
    watch: Annotated[
        bool,
        Parameter(show_default=False, help="check again whenever a file changes, until you press Ctrl-C"),
    ] = False,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Check report files at every scale, and print how large their networks are."""
    files = [report_or_file(name, reports) for name in names]
    if watch:
        check_whenever_changed(files, lambda: check_files(files))
    else:
        check_files(files)


def report_or_file(name: str, folder: Path) -> Path:
    """The file that is named; what is no path, and not there, is the slug of a report in `folder`."""
    path = Path(name)
    return path if path.exists() or path.suffix else report_file(name, folder)


def check_files(files: Sequence[Path]) -> None:
    """Check report files at every scale, and say all that is wrong with them."""
    from reprise.reports.mistakes import Mistakes
    from reprise.reports.report import Report

    wrong = Mistakes()
    for path in files:
        found = Mistakes()
        for scale in SCALES:
            with found.noting_other_lines():
                report = Report(path, scale, tolerant=True)
                from reprise.checking import check_report  # with torch, once the file can be read

                for warning in check_report(report):
                    say(f"warning: {warning}")
                counts = (
                    f"{len(report.figures)} figures, {len(report.tables)} tables, {len(report.statements)} "
                    "statements"
                )
                show(f"{path}: {scale}: {len(report.runs())} runs, {counts}")
                if scale == "full":
                    from reprise.models.meta import dimensions

                    for name, run in report.trained_networks.items():
                        show(f"{path}: network {name}: {dimensions(run)}")
        wrong.add_all(found)
    wrong.raise_all()


def schema(file: Annotated[Path, as_path, Parameter(name="FILE", help="file to write")] = SCHEMA, /) -> None:
    """Write the JSON Schema of report files. Editors use it to complete and check what you type."""
    from reprise.files import atomic
    from reprise.reports import editor

    with atomic(file) as partial:
        partial.write_text(editor.text(), encoding="utf-8")
    show(f"{file}: the schema of report files")


def runs(
    report: ReportName,
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """List the runs of a report, and which of them are done."""
    found = reports.open(report, where.scale)
    for name in found.experiments:
        for cell in found.all_cells(name):
            if reports.skip and not found.active(cell):
                continue
            for run in cell.members:
                state = (
                    "trained"
                    if has_results(run.hash, where.layout)
                    else "skipped"
                    if not found.active(cell)
                    else "-"
                )
                settings = run.settings
                show(
                    f"{run.hash}  {state:8}  {settings.training.epochs:4} epochs  "
                    f"seed {settings.seeds.init}  {cell.name}"
                )


def plan(
    names: ReportNames = (),
    /,
    *,
    compare: Annotated[
        bool,
        Parameter(show_default=False, help="compare how long finished runs took with what the plan says"),
    ] = False,
    cache: CachePlaces = (),
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    way: ComputeOptions = ComputeOptions(),
) -> None:
    """Say what reports need before anything starts: runs, epochs, images, time and disk space."""
    opened = reports.open_all(names, where.scale)

    from reprise import planning
    from reprise.training.session import Interrupted

    layout = where.layout
    calibration = calibration_of(way, layout)
    try:
        if compare:
            compared = {report: planning.compare(report, layout, calibration) for report in opened}
            for report, rows in compared.items():
                show(planning.describe_comparison(report, rows, calibration.machine))
            if any(row.runs for rows in compared.values() for row in rows):
                every = [run for report in opened for run in report.runs().values()]
                show(planning.describe_loads(calibration.load_seen(every)))
        else:
            runs = {name: run for report in opened for name, run in report.runs().items()}
            cached = open_caches(cache, layout).holds(runs)
            plans = planning.plan(opened, layout, calibration, cached)
            show(planning.describe(plans, calibration.machine, calibration.load_seen(runs.values())))
    except Interrupted as stop:
        name = signal.Signals(stop.status - 128).name
        end(f"stopped by {name}; what was measured is kept, run the same command again to go on", stop.status)
