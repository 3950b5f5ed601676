"""What several verbs do: choose runs, find their data, leave the workflow its stamps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError, UnwritableError
from reprise.files import keep_json, read_json
from reprise.progress import say
from reprise.reports.layout import FINAL, RUN, STAND_IN, Layout

if TYPE_CHECKING:
    from reprise.cli.options import ComputeOptions
    from reprise.planning import Calibration
    from reprise.reports.report import Report
    from reprise.reports.run import Run


def chosen_runs(report: Report, runs: Sequence[str], only: Sequence[str]) -> dict[str, Run]:
    """The runs of `--runs` or of the selectors of `--only`, or all that the report asks for."""
    if runs:
        cells = [cell for name in report.experiments for cell in report.all_cells(name)]
        every, active = report.runs(cells), report.runs([cell for cell in cells if report.active(cell)])
        wanted = [run_name(given) for given in runs]
        for identifier in wanted:
            if identifier not in every:
                hint = f"list them with: python -m reprise runs {report.slug} --scale {report.scale}"
                raise RepriseError(f"{report.path}: no run {identifier} at scale {report.scale}; {hint}")
            if identifier not in active:
                raise skipped(report, f"run {identifier} of {report.cell_of(identifier).name}")
        return {identifier: every[identifier] for identifier in wanted}
    chosen: dict[str, Run] = {}
    for selector in only:
        found = report.runs([cell for cell in report.cells(selector) if report.active(cell)])
        if not found:
            raise skipped(report, f"selector {selector!r}")
        chosen |= found
    return chosen if only else report.runs()


def run_name(given: str) -> str:
    """The hash that is given to `--runs`; a path is that of a file in the run's folder."""
    return Path(given).parent.name if Path(given).suffix else given


def skipped(report: Report, what: str) -> RepriseError:
    return RepriseError(
        f"{report.path}: {what} is skipped at scale {report.scale}; leave out --skip or use another scale"
    )


def names_of(report: Report, runs: Iterable[Run]) -> dict[str, str]:
    """Run → what the log calls it."""
    return {
        run.hash: f"{report.slug}/{report.cell_of(run.hash).name}, seed {run.settings.seeds.init}"
        for run in runs
    }


# ---- paces ----


def calibration_of(way: ComputeOptions, where: Layout) -> Calibration:
    """The paces of this machine, kept in the results folder."""
    from reprise.planning import Calibration

    file = where.results / "calibration.json"
    return Calibration(file, way.device, way.threads, way.precision, way.cuda_graphs == "on")


# ---- data sets ----


def named_dataset(folder: str) -> tuple[str, str]:
    """Name and source of a data set by the name of its folder."""
    return folder.removesuffix(STAND_IN), "stand-in" if folder.endswith(STAND_IN) else "real"


def archive_of(name: str, source: str, where: Layout) -> Path:
    """Where a data set's archive lies, or that of its stand-in."""
    from reprise.data.catalog import dataset_facts

    folder = where.archives / f"{name}{STAND_IN}" if source == "stand-in" else where.archives
    return folder / dataset_facts(name).file_name


def dataset_dir(name: str, source: str, where: Layout) -> Path:
    """The folder of a data set's arrays; damaged ones are decoded again where the archive is at hand."""
    from reprise.data.decode import mend

    return mend(name, archive_of(name, source, where), where.dataset(name, source))


def dataset_dirs(runs: Iterable[Run], where: Layout) -> dict[str, Path]:
    from reprise.reports.run import datasets

    return {name: dataset_dir(name, source, where) for name, source in datasets(runs)}


# ---- results ----


def has_results(run: str, where: Layout) -> bool:
    return (where.runs / run / RUN).is_file()


def stamp_trained(run: str, where: Layout) -> None:
    """The workflow's sign that a run is trained: a copy of its record."""
    _stamp(where.trained(run), read_json(where.runs / run / RUN))


def stamp_evaluated(run: str, where: Layout) -> None:
    """The workflow's sign that a run is evaluated: its final metrics."""
    from reprise.training.results import read_table

    final = read_table(where.runs / run / FINAL, ("metric", "value"))
    _stamp(
        where.evaluated(run), {"run": run, "final": dict(zip(final["metric"], final["value"], strict=True))}
    )


def _stamp(path: Path, content: Any) -> None:
    """Where nothing can be written, a finished run is one all the same."""
    try:
        keep_json(path, content)
    except UnwritableError as error:
        say(f"{error.what}; the run is finished, but Snakemake cannot know that")
