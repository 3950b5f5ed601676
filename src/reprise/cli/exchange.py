"""Runs on their way between machines: `export`, `publish`, `import`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reprise.cli.common import dataset_dir, has_results, stamp_evaluated, stamp_trained
from reprise.cli.options import (
    ReportsOptions,
    ResultsAndDataOptions,
    ResultsOptions,
    as_place,
    known_reports,
    several,
)
from reprise.cli.process import end, show
from reprise.errors import RepriseError
from reprise.given import no_folder
from reprise.progress import say
from reprise.reports.layout import EVIDENCE, FINAL, Layout

if TYPE_CHECKING:
    from reprise.results.cache import Caches

Runs = Annotated[
    list[str],
    Parameter(name="RUN...", help="hashes, or slugs of reports for all their finished runs"),
]


# ---- verbs ----


def export(
    runs: Runs,
    out: Annotated[
        str, as_place, Parameter(name="OUT", help="folder to write them to (it becomes a run cache)")
    ],
    /,
    *,
    weights: Annotated[
        bool, Parameter(show_default=False, help="export the weights, too; other runs may start from them")
    ] = False,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Write finished runs as small files, to take them to another machine."""
    from reprise.evaluation.exchange import export_runs
    from reprise.results.cache import folder_to_add_to

    folder = folder_to_add_to(out)
    names = finished_runs(runs, reports, where.layout)
    states = export_runs(where.layout.runs, names, folder, weights=weights)
    show(f"{out}: {len(states)} runs")


def publish(
    runs: Runs,
    cache: Annotated[str, as_place, Parameter(name="CACHE", help="folder of the run cache")],
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Add evaluated runs to a run cache, for everybody who uses it."""
    from reprise.evaluation.exchange import export_runs
    from reprise.results.cache import folder_to_add_to

    folder = folder_to_add_to(cache)
    states = export_runs(where.layout.runs, finished_runs(runs, reports, where.layout), folder)
    for run, state in states.items():
        show(f"{run}: {state}")


def import_(
    places: Annotated[
        list[str],
        as_place,
        Parameter(
            name="PLACE...",
            help="run caches, as export writes them (folders or URLs, tried in order), or the results folder "
            "of someone else",
        ),
    ],
    /,
    *,
    runs: Annotated[
        tuple[str, ...],
        several,
        Parameter(metavar="RUN...", show_default=False, help="only these runs: hashes (default: all)"),
    ] = (),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
) -> None:
    """Verify runs made elsewhere and add them to your results."""
    from reprise.evaluation.exchange import import_entries, import_runs, restore
    from reprise.results.cache import Caches

    layout = where.layout
    options = import_options(layout)
    theirs = runs_of(Path(places[0]), where.scale) if "://" not in places[0] else None
    if len(places) == 1 and not runs and theirs:
        states = import_runs(theirs, layout.runs, **options)
    elif runs:
        states = restore(Caches(places, layout.copies), runs, layout.runs, **options)
    else:
        caches = Caches(places, layout.copies)
        states = import_entries(caches, caches.every(), layout.runs, **options)
    stamp(states, layout)
    for run, state in states.items():
        show(f"{layout.runs / run}: {state}")
    if missing := [run for run in runs if run not in states]:
        end(f"run {', '.join(missing)}: not in any cache that can be used; train it", 1)


def runs_of(place: Path, scale: str) -> Path | None:
    """The folder in `place` that has a folder for each run: that of somebody's results, or what earlier
    versions exported; None where it is a run cache.
    """
    from reprise.evaluation.exchange import is_cache
    from reprise.results.cache import RUNS, holds_runs

    if problem := no_folder(place):
        raise RepriseError(f"{place}: {problem}")
    for folder in (Layout(place, scale).runs, place / RUNS):
        if holds_runs(folder):
            return folder
    return None if is_cache(place) else place


# ---- what they share ----


def open_caches(places: Sequence[str], where: Layout) -> Caches:
    """The run caches; the repository's own one where it is there and none is named."""
    from reprise.results.cache import Caches

    default = [EVIDENCE] if Path(EVIDENCE).is_dir() else []
    return Caches(places or default, where.copies)


def import_cached(caches: Caches, runs: Iterable[str], where: Layout) -> None:
    """Import those of the runs that are not trained here and that the caches hold."""
    wanted = caches.holds(run for run in runs if not has_results(run, where))
    if not wanted:
        return
    from reprise.evaluation.exchange import restore

    states = restore(caches, sorted(wanted), where.runs, **import_options(where))
    stamp(states, where)
    say(f"{len(states)} runs from the cache")


def finished_runs(names: Sequence[str], reports: ReportsOptions, where: Layout) -> list[str]:
    """Hashes, and of reports those of their finished runs."""
    known, found = known_reports(reports.reports), []
    for name in names:
        if name not in known and re.fullmatch("[0-9a-f]{12}", name):
            found.append(name)
            continue
        report = reports.open(name, where.scale)
        of_report = [run for run in report.runs() if has_results(run, where)]
        if not of_report:
            raise RepriseError(
                f"{where.runs}: no finished run of {report.slug} at scale {report.scale}; train it first"
            )
        found += of_report
    return found


def import_options(where: Layout) -> dict[str, Any]:
    """What `reprise.evaluation.exchange.import_runs` is told wherever runs are imported."""
    from reprise.models.meta import network

    def at_hand(name: str, source: str) -> Path | None:
        folder = where.dataset(name, source)
        return dataset_dir(name, source, where) if (folder / "dataset.json").exists() else None

    return {"synthetic": where.scale == "demo", "dataset_of": at_hand, "network_of": network}


def stamp(runs: Sequence[str] | dict[str, str], where: Layout) -> None:
    """Leave the workflow the stamps of imported runs."""
    for run in runs:
        stamp_trained(run, where)
        if (where.runs / run / FINAL).is_file():
            stamp_evaluated(run, where)
