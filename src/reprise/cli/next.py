"""An hour of this machine, spent where it settles most statements: `next`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from reprise.cli.common import archive_of, calibration_of, dataset_dir, names_of, stamp_evaluated
from reprise.cli.exchange import import_cached, open_caches
from reprise.cli.options import (
    REPORTS,
    RESULTS,
    CachePlaces,
    ComputeOptions,
    ReportNames,
    ReportsOptions,
    ResultsAndDataOptions,
    TrainingOptions,
    time_span,
)
from reprise.cli.process import end, show
from reprise.cli.training import engine_options
from reprise.errors import RepriseError, UnwritableError
from reprise.progress import duration, say
from reprise.supervision import began, tell

if TYPE_CHECKING:
    from reprise import planning
    from reprise.planning.pricing import Price
    from reprise.reports.layout import Layout
    from reprise.reports.run import Run


def next_(
    names: ReportNames = (),
    /,
    *,
    budget: Annotated[
        float,
        time_span,
        Parameter(show_default=False, help="how much time you have, such as 90m or 2h30m (default: 1h)"),
    ] = 3600.0,
    do: Annotated[
        bool,
        Parameter(show_default=False, help="train and evaluate these runs, and stop when the time is over"),
    ] = False,
    cache: CachePlaces = (),
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    way: ComputeOptions = ComputeOptions(),
) -> None:
    """Find the runs that settle the most statements in a given time, in the order to train them."""
    start = began()
    opened = reports.open_all(names, where.scale)
    runs = [run for report in opened for run in report.runs()]
    try:
        import_cached(open_caches(cache, where.layout), runs, where.layout)
    except UnwritableError as error:
        if do:
            raise
        say(f"{error.what}; runs that only a cache holds count as not trained")

    from reprise import planning
    from reprise.training.session import Interrupted

    layout = where.layout
    calibration = calibration_of(way, layout)
    agenda = planning.Agenda(opened, layout, calibration, lambda run: obstacle(run, where))
    standings = agenda.standings
    settled = sum(one.settled for one in standings)
    try:
        if do:
            publishing = publishing_command(names or [one.slug for one in opened], reports, where)
            spend(agenda, planning.Budget(start, budget), layout, way, publishing)
        else:
            steps = agenda.calibrated_steps(budget)
            show(
                f"{duration(budget)} on {calibration.machine}, one job at a time, scale {where.scale}; "
                f"{settled} of {len(standings)} statements are settled"
            )
            show(planning.describe_steps(agenda, steps, budget))
            if left := planning.describe_left(agenda, budget):
                show(left)
    except Interrupted as stop:
        end(str(stop), stop.status)


def publishing_command(names: Sequence[str], reports: ReportsOptions, where: ResultsAndDataOptions) -> str:
    """The command that writes figures and verdicts from the finished runs of these reports, and trains
    nothing; of reports that Snakemake does not know, the verdicts alone.
    """
    if reports.reports != REPORTS or any(Path(name).parts[1:] for name in names):
        given = {
            "--reports": reports.reports if reports.reports != REPORTS else None,
            "--scale": where.scale if where.scale != "full" else None,
            "--results": where.results if where.results != RESULTS else None,
        }
        options = [word for key, value in given.items() if value is not None for word in (key, str(value))]
        options += ["--stand-in", *reports.stand_in] if reports.stand_in else []
        words = ["python", "-m", "reprise", "statements"]
        return " && ".join(shlex.join([*words, name, "--partial", *options]) for name in names)
    settings = {
        "train": "no",
        "scale": where.scale if where.scale != "full" else None,
        "results": where.results if where.results != RESULTS else None,
        "data": where.data,
        "stand_in": f"[{','.join(reports.stand_in)}]" if reports.stand_in else None,
    }
    config = [f"{key}={value}" for key, value in settings.items() if value is not None]
    return shlex.join(["snakemake", *names, "--cores", "1", "--config", *config])


def spend(
    agenda: planning.Agenda, budget: planning.Budget, layout: Layout, way: ComputeOptions, publishing: str
) -> None:
    """Train and evaluate what the agenda has; what was done is said however it ends. publishing: the command
    that writes figures and verdicts.
    """
    from reprise import planning
    from reprise.training.session import Interrupted

    def announce(step: planning.AgendaStep) -> None:
        for line in planning.describe_step(agenda, step):
            say(line)

    spent = planning.Spent()
    try:
        planning.spend(agenda, budget, Worker(agenda, layout, way), spent, announce)
    except Interrupted:
        agenda.judge(spent.evaluated)
        show(planning.describe_spent(agenda, spent, publishing))
        raise
    show(planning.describe_spent(agenda, spent, publishing))
    if not spent.trained and not spent.evaluated and not spent.stopped and not spent.failed:
        show(planning.describe_left(agenda, budget.seconds) or "nothing is left to do")
    if spent.failed:
        first = next(iter(spent.failed))
        others = f"; {len(spent.failed)} runs failed" if len(spent.failed) > 1 else ""
        raise RepriseError(f"{agenda.name(first)}: {spent.failed[first]}{others}")


class Worker:
    """Trains a run with the engine and evaluates it, as far as the budget lets it."""

    def __init__(self, agenda: planning.Agenda, layout: Layout, way: ComputeOptions) -> None:
        self._agenda, self._layout, self._way = agenda, layout, way

    def __call__(self, run: Run, price: Price, budget: planning.Budget) -> planning.Worked:
        from reprise import planning
        from reprise.evaluation import evaluate
        from reprise.training.engine import train
        from reprise.training.session import Elsewhere

        layout, watch = self._layout, planning.InTime(budget, price.steps)
        folders = {run.settings.dataset.name: decoded(run, layout)}
        names = names_of(self._agenda.report_of(run.hash), [run])
        pruner = None
        if run.settings.study:
            from reprise.search.asha import AshaPruner

            pruner = AshaPruner(layout.runs)
        try:
            train(
                [run],
                dataset_dirs=folders,
                cache=layout.runs,
                **engine_options(TrainingOptions(**vars(self._way)), layout),
                pruner=pruner,
                names=names,
                on_step=watch,
                wait=False,
            )
        except Elsewhere as error:
            say(f"{error}; what does not need it goes on")
            raise
        except planning.OutOfTime:
            tell(run=None)
            return planning.Worked(
                watch.epochs, watch.seconds, watch.finished, trained=False, evaluated=False
            )
        worked = planning.Worked(watch.epochs, watch.seconds, watch.finished, trained=True, evaluated=True)
        if price.evaluation > budget.left:
            return replace(worked, evaluated=False)
        evaluate([run], folders, layout.runs, self._way.device, self._way.threads, names)
        tell(run=None)
        stamp_evaluated(run.hash, layout)
        return worked


# ---- data ----


def decoded(run: Run, layout: Layout) -> Path:
    """The arrays of a run's data set, decoded now where only its archive is there."""
    from reprise.data.decode import decode

    dataset = run.settings.dataset
    folder = layout.dataset(dataset.name, dataset.source)
    if not (folder / "dataset.json").exists():
        say(f"{folder} is decoded")
        decode(dataset.name, archive_of(dataset.name, dataset.source, layout), folder)
    return dataset_dir(dataset.name, dataset.source, layout)


def obstacle(run: Run, where: ResultsAndDataOptions) -> str:
    """What a run lacks here, with the command that gets it; empty where it lacks nothing."""
    from reprise.data.catalog import weights_facts

    layout, dataset = where.layout, run.settings.dataset
    folder = layout.dataset(dataset.name, dataset.source)
    archive = archive_of(dataset.name, dataset.source, layout)
    if not (folder / "dataset.json").exists() and not archive.exists():
        if dataset.source == "stand-in":
            command = f"python -m reprise data stand-in {dataset.name}{_options(where)}"
        else:
            command = f"python -m reprise data fetch {dataset.name}{_options(where)}"
        if dataset.source == "synthetic":
            results = f" --results {shlex.quote(str(where.results))}" * (where.results != RESULTS)
            command = f"python -m reprise data synthesize {dataset.name}{results} && {command}"
        return f"{folder.name} is not here, get it with: {command}"
    arch = run.pretrained
    if arch and not (layout.weights / weights_facts(arch).file_name).is_file():
        command = f"python -m reprise data fetch-weights {arch}{_options(where)}"
        return f"the weights of {arch} are not here, get them with: {command}"
    return ""


def _options(where: ResultsAndDataOptions) -> str:
    """The options that name the same folders."""
    given = {
        "--scale": where.scale if where.scale != "full" else None,
        "--results": where.results if where.results != RESULTS else None,
        "--data": where.data,
    }
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)
