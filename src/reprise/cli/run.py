"""A whole report without Snakemake: `run`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from reprise.cli import data as sets
from reprise.cli import publishing
from reprise.cli.common import dataset_dirs, has_results, names_of, stamp_evaluated
from reprise.cli.exchange import import_cached, open_caches
from reprise.cli.options import (
    CachePlaces,
    Mirror,
    ReportName,
    ReportsOptions,
    ResultsAndDataOptions,
    TrainingOptions,
    whole,
)
from reprise.cli.process import show
from reprise.cli.training import train_runs
from reprise.errors import RepriseError
from reprise.progress import progress, say
from reprise.reports.layout import STAND_IN, Layout, stand_in_source
from reprise.supervision import tell

if TYPE_CHECKING:
    from reprise.reports.figures import Figure
    from reprise.reports.report import Report
    from reprise.reports.run import Run
    from reprise.reports.tables import Table


def run(
    report: ReportName,
    /,
    *,
    seeds: Annotated[
        int | None,
        whole(10_000),
        Parameter(help="train only so many seeds of each configuration, the first ones (default: all)"),
    ] = None,
    cache: CachePlaces = (),
    mirror: Mirror = (),
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    training: TrainingOptions = TrainingOptions(),
) -> None:
    """Do a whole report without Snakemake: data, training, evaluation, figures, tables and verdicts.

    The report is checked first, as `check` does. What is finished is not done again. A command that was
    stopped goes on where it was.
    """
    found, layout = checked(report, reports, where.scale), where.layout
    every = found.runs()
    chosen = every if seeds is None else first_seeds(found, every, seeds)
    caches = open_caches(cache, layout)
    trained = {name for name in chosen if has_results(name, layout)}
    import_cached(caches, caches.spares(chosen, trained), layout)

    to_train = [one for name, one in chosen.items() if not layout.trained(name).is_file()]
    to_evaluate = [one for name, one in chosen.items() if not is_evaluated(name, layout)]
    say(
        f"{found.slug} at scale {found.scale}: {len(chosen)} of {len(every)} runs, "
        f"{len(to_train)} to train, {len(to_evaluate)} to evaluate"
    )
    provide_data(found, {*to_train, *to_evaluate}, where, mirror)
    problems: list[str] = []
    if to_train:
        try:
            train_runs(found, to_train, layout, training)
        except RepriseError as error:  # the other runs of the list are trained all the same
            problems.append(str(error))
    evaluate_runs([one for one in to_evaluate if has_results(one.hash, layout)], found, layout, training)

    done = [name for name in every if name in chosen and is_evaluated(name, layout)]
    partial = done if len(done) < len(every) else None
    problems += publish(found, partial, where, mirror)

    from reprise.publishing.closing import closing

    for line in closing([found.slug], layout, notes(seeds, chosen, every)):
        show(line)
    if problems:
        more = f"; {len(problems) - 1} more above" if len(problems) > 1 else ""
        raise RepriseError(f"{problems[0]}{more}")


# ---- the report ----


def checked(name: str, reports: ReportsOptions, scale: str) -> Report:
    """The report of that name, of which `check` finds nothing wrong at this scale; its warnings are said."""
    found = reports.open(name, scale, tolerant=True)

    from reprise.checking import check_report  # with torch, once the file can be read

    for warning in check_report(found):
        say(f"warning: {warning}")
    return found


# ---- runs ----


def first_seeds(report: Report, runs: dict[str, Run], count: int) -> dict[str, Run]:
    """Of the `runs` of a report those of the first `count` seeds of each configuration, and what they
    follow.
    """
    cells = [cell for name in report.experiments for cell in report.all_cells(name) if report.active(cell)]
    waiting = [name for cell in cells for name in cell.runs[:count] if name in runs]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += runs[name].follows
    return {name: one for name, one in runs.items() if name in found}


def is_evaluated(run: str, layout: Layout) -> bool:
    """Whether a run has its stamps and its results: who deletes a stamp has that step done again."""
    from reprise.publishing.partial import runs_at_hand

    stamped = layout.trained(run).is_file() and layout.evaluated(run).is_file()
    return stamped and bool(runs_at_hand(layout.runs, [run]))


def evaluate_runs(runs: list[Run], report: Report, layout: Layout, training: TrainingOptions) -> None:
    """Evaluate trained runs and leave their stamps."""
    if not runs:
        return
    from reprise.evaluation import evaluate

    names = names_of(report, runs)
    evaluate(runs, dataset_dirs(runs, layout), layout.runs, training.device, training.threads, names)
    tell(run=None)
    for one in runs:
        stamp_evaluated(one.hash, layout)


def notes(seeds: int | None, chosen: Collection[str], every: Collection[str]) -> list[str]:
    """What the last line says of a part of the seeds."""
    if seeds is None or len(chosen) == len(every):
        return []
    return ["first seed alone" if seeds == 1 else f"first {seeds} seeds alone"]


# ---- data ----


def provide_data(
    report: Report, runs: Collection[Run], where: ResultsAndDataOptions, mirror: tuple[str, ...]
) -> None:
    """Fetch and decode the data sets of these runs, and fetch the pretrained weights, that are not here."""
    from reprise.data.catalog import weights_facts
    from reprise.reports.run import datasets

    for name, source in datasets(runs):
        provide(name, source, where, mirror)
    for arch in sorted({one.pretrained for one in runs if one.pretrained}):
        if not (where.layout.weights / weights_facts(arch).file_name).is_file():
            sets.fetch_weights(arch, mirror=mirror, where=where)


def provide(name: str, source: str, where: ResultsAndDataOptions, mirror: tuple[str, ...]) -> None:
    """The arrays of a data set, from its archive, which is fetched, drawn or made where it is not here."""
    layout = where.layout
    if (layout.dataset(name, source) / "dataset.json").exists():
        return
    folder = f"{name}{STAND_IN}" if source == "stand-in" else name
    if source == "stand-in":
        if not (layout.archives / f"{folder}.json").exists():
            provide(stand_in_source(name, "stand_in"), "real", where, mirror)
            sets.stand_in(name, where=where)
    else:
        if source == "synthetic" and not (layout.synthetic / f"{name}.json").exists():
            sets.synthesize(name, results=where.results)
        sets.fetch(name, mirror=mirror, where=where)  # which keeps a good archive
    sets.decode(folder, where=where)
    sets.statistics(folder, where=where)


# ---- figures, tables, statements ----


def publish(
    report: Report, only: Collection[str] | None, where: ResultsAndDataOptions, mirror: tuple[str, ...]
) -> list[str]:
    """Make all figures, tables and verdicts of a report, from the runs `only` where some are missing. What
    cannot be made is a line each, and the others are made; the lines are returned, but for what needs runs
    that are not there.
    """
    from reprise.publishing.partial import narrowed

    problems: list[str] = []
    items: list[Figure | Table] = [*report.figures, *report.tables]
    for item in progress(items, description="figures and tables", unit="item"):
        try:
            if missing := [cell for cell in report.needed(item) if not report.active(cell)]:
                say(f"{item.id} is left out: it needs {missing[0].name}, which is skipped")
                continue
            if only is not None:
                try:
                    narrowed(report, item, set(only))
                except RepriseError as error:
                    say(str(error))
                    continue
            publish_item(report, item, only, where, mirror)
        except RepriseError as error:
            problems.append(str(error))
            say(str(error))
    publishing.judge(report, where.layout, only)
    return problems


def publish_item(
    report: Report,
    item: Figure | Table,
    only: Collection[str] | None,
    where: ResultsAndDataOptions,
    mirror: tuple[str, ...],
) -> None:
    """Make a figure or table, and first what it shows of networks and images."""
    from reprise.reports.figures import Samples
    from reprise.reports.report import network_names

    layout = where.layout
    if network_names(item):
        publishing.describe_layers(report, item.id, layout)
    if isinstance(item, Samples):
        name = item.images.dataset
        provide(name, report.source(name), where, mirror)
        publishing.pick_samples(report, item.id, layout)
    make = publishing.draw if item in report.figures else publishing.tabulate
    make(report, item.id, layout, only)
