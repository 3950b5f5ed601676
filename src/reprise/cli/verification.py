"""Cached runs trained once more: `verify`."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reprise.cli.common import calibration_of, chosen_runs, dataset_dir, dataset_dirs, names_of, run_name
from reprise.cli.options import (
    REPORTS,
    ChoiceOptions,
    ComputeOptions,
    ReportsFolder,
    ReportsOptions,
    ResultsAndDataOptions,
    StandIn,
    as_place,
    time_span,
    whole,
)
from reprise.cli.process import end, show
from reprise.errors import RepriseError, UnwritableError
from reprise.progress import say
from reprise.records import read_record, write_record
from reprise.reports.layout import RUN, Layout

if TYPE_CHECKING:
    from reprise.planning.sampling import Redone, Sampler
    from reprise.reports.report import Report
    from reprise.reports.run import Run
    from reprise.results.entry import Entry
    from reprise.training.parts import Datasets

SAMPLE = "sample.json"
"""In the scratch folder: what was drawn, so that a verification that was stopped goes on with it."""


def verify(
    cache: Annotated[str, as_place, Parameter(name="CACHE", help="folder or URL of a run cache")],
    /,
    *,
    sample: Annotated[int, whole(10_000), Parameter(help="number of runs to draw")] = 3,
    seed: Annotated[
        int | None, whole(2**31 - 1), Parameter(help="seed of the draw (default: a new one each time)")
    ] = None,
    most: Annotated[
        float | None, time_span, Parameter(help="draw only runs that take at most so long here: 90s, 30m, 2h")
    ] = None,
    report: Annotated[
        str | None,
        as_place,
        Parameter(metavar="REPORT", help="draw only runs of this report: its slug or file"),
    ] = None,
    choice: ChoiceOptions = ChoiceOptions(),
    reports: ReportsFolder = REPORTS,
    stand_in: StandIn = (),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    way: ComputeOptions = ComputeOptions(),
) -> None:
    """Draw runs of a cache at random, train them again, and say whether the results agree."""
    opened = ReportsOptions(reports=reports, stand_in=stand_in).open_all(
        [report] if report else [], where.scale
    )
    asked, names = asked_runs(opened, choice, by_name=report is not None)
    layout = where.layout

    from reprise.planning.sampling import Sampler
    from reprise.progress import duration
    from reprise.results.cache import open_cache
    from reprise.training.session import Interrupted

    calibration = calibration_of(way, layout)
    try:
        sampler = Sampler(
            open_cache(cache, layout.copies), layout, calibration, ImagesHere(layout).at_hand, most
        )
    except RepriseError as error:
        raise RepriseError(f"cache {cache}: {error}; check the place") from None
    held = [run for name, run in asked.items() if name in sampler.names]
    if choice.runs and len(held) < len(asked):
        absent = ", ".join(name for name in asked if name not in sampler.names)
        raise RepriseError(f"cache {cache}: holds no run {absent}; leave it out of --runs")
    if not held:
        raise RepriseError(
            f"cache {cache}: holds none of the {len(asked)} runs that are asked for at scale {where.scale}"
        )

    request = {"cache": cache, "sample": sample, "seed": seed, "most": most, "asked": sorted(asked)}
    with scratch_folder(layout) as scratch:
        try:
            drawn, with_seed = draw(
                sampler, held, sample if not choice.runs else None, seed, scratch, request
            )
            for name, why in sampler.passed_over.items():
                if choice.runs:
                    raise RepriseError(f"run {name}: not trained again: {why}")
            if not drawn:
                why = passed_over(sampler)
                raise RepriseError(
                    f"cache {cache}: none of {len(held)} runs can be trained again here: {why}"
                )
            took = duration(sum(each.seconds for each in drawn))
            how = "" if choice.runs else f", drawn with --seed {with_seed}"
            show(f"{len(drawn)} of {len(held)} runs{how}: about {took} here ({calibration.machine})")
            if len(drawn) < sample and not choice.runs:
                show(f"no other run can be trained again here: {passed_over(sampler)}")
            for each in drawn:
                show(f"run {each.run.hash} ({names[each.run.hash]}): about {duration(each.seconds)}")
            sys.stdout.flush()
            found = {}
            for each in drawn:
                found[each.run.hash] = train_again(each, names, opened, sampler, scratch, layout, way)
        except Interrupted as stop:
            end(str(stop), stop.status)
        (scratch / SAMPLE).unlink(missing_ok=True)
        for name, agrees in found.items():
            if agrees:
                shutil.rmtree(scratch / name, ignore_errors=True)
    bad = [name for name, agrees in found.items() if not agrees]
    if bad:
        kept = ", ".join(str(scratch / name) for name in bad)
        end(f"{len(bad)} of {len(found)} runs do not agree with {cache}; what they gave here: {kept}", 1)


@contextlib.contextmanager
def scratch_folder(where: Layout) -> Iterator[Path]:
    """The folder to train in: `verify` in the results or, where nothing can be written there, a temporary
    one, of which only what disagrees is kept.
    """
    from reprise.files import check_writable

    folder = where.root / "verify"
    try:
        check_writable(folder if folder.exists() else where.root)
    except UnwritableError as error:
        what = error.what
    else:
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="reprise-verify-"))
    say(f"{what}; runs are trained in {folder}; if you stop this, it starts from the beginning again")
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        folder.rmdir()


def asked_runs(
    opened: Sequence[Report], choice: ChoiceOptions, *, by_name: bool
) -> tuple[dict[str, Run], dict[str, str]]:
    """The runs that may be drawn, and what the reports call them."""
    if choice.only and not by_name:
        raise RepriseError("--only names experiments of one report; name that with --report")
    runs: dict[str, Run] = {}
    names: dict[str, str] = {}
    for report in opened:
        found = {name: run for name, run in chosen_runs(report, (), choice.only).items() if name not in runs}
        runs |= found
        names |= names_of(report, found.values())
    if not choice.runs:
        return runs, names
    wanted = [run_name(given) for given in choice.runs]
    for name in wanted:
        if name not in runs:
            reports = ", ".join(report.slug for report in opened)
            hint = "list them with python -m reprise runs REPORT"
            raise RepriseError(f"no run {name} of {reports} at scale {opened[0].scale}; {hint}")
    return {name: runs[name] for name in wanted}, names


def draw(
    sampler: Sampler,
    held: Sequence[Run],
    count: int | None,
    seed: int | None,
    scratch: Path,
    request: Mapping[str, Any],
) -> tuple[list[Redone], int]:
    """The sample, and the seed that it is drawn with: that of the same request, where one was stopped, else
    a new one. count: None takes all.
    """
    by_hash = {run.hash: run for run in held}
    before = sample_before(scratch, request)
    if before and by_hash.keys() >= {*before["drawn"]}:
        found = sampler.draw([by_hash[name] for name in before["drawn"]])
        if len(found) == len(before["drawn"]):
            return found, before["with_seed"]
    with_seed = seed or random.SystemRandom().randint(1, 2**31 - 1)
    order = list(held)
    if count is not None:
        order.sort(key=lambda run: run.hash)
        random.Random(with_seed).shuffle(order)
    found = sampler.draw(order, count)
    for each in found:  # what an earlier verification has left is no new training
        if (scratch / each.run.hash / RUN).exists():
            shutil.rmtree(scratch / each.run.hash)
    if found:
        record = {"request": request, "with_seed": with_seed, "drawn": [each.run.hash for each in found]}
        write_record(scratch / SAMPLE, record)
    return found, with_seed


def sample_before(scratch: Path, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The sample that was drawn for the same request and is not finished; a damaged record is forgotten."""
    try:
        found = read_record(scratch / SAMPLE, "")
    except (RepriseError, OSError):
        return None
    return found if found.get("request") == request else None


def passed_over(sampler: Sampler) -> str:
    """Why runs of the cache were not drawn, the commonest reason first."""
    reasons = Counter(sampler.passed_over.values()).most_common()
    return "; ".join(f"{why} ({count} run{'s' * (count > 1)})" for why, count in reasons)


class ImagesHere:
    """Whether the images here are those that cached runs were trained on."""

    def __init__(self, where: Layout) -> None:
        self._where = where
        self._opened: dict[tuple[str, str], Datasets] = {}

    def at_hand(self, entry: Entry) -> bool:
        import torch

        from reprise.training.parts import Datasets

        dataset = entry.run.settings.dataset
        key = dataset.name, dataset.source
        if key not in self._opened:
            folder = dataset_dir(*key, self._where)
            self._opened[key] = Datasets({dataset.name: folder}, torch.device("cpu"))
        return self._opened[key].has(entry.run, entry.meta)


def train_again(
    drawn: Redone,
    names: Mapping[str, str],
    opened: Sequence[Report],
    sampler: Sampler,
    scratch: Path,
    where: Layout,
    way: ComputeOptions,
) -> bool:
    """Train and evaluate one run in `scratch`, and print how it compares with each of its entries; whether
    all agree.
    """
    from reprise.evaluation import evaluate
    from reprise.evaluation.exchange import entry_of
    from reprise.planning.sampling import other_seeds
    from reprise.publishing.repetition import compare
    from reprise.training.engine import train

    run = drawn.run
    said = f"run {run.hash} ({names[run.hash]})"
    dirs, how = dataset_dirs([run], where), way_of(drawn, way)
    try:
        train([run], dataset_dirs=dirs, cache=scratch, weights_dir=where.weights, names=names, **how)
        evaluate([run], dirs, scratch, way.device, how["threads"], names)
        here = entry_of(scratch / run.hash)
    except RepriseError as error:
        show(f"{said}: could not be trained again: {error}")
        return False
    cells = [cell for report in opened for name in report.experiments for cell in report.all_cells(name)]
    cell = next(cell for cell in cells if run.hash in cell.runs)
    others = other_seeds(sampler.cache, sampler.names, run.hash, cell.runs)
    compared = [compare(here, there, others) for there in drawn.entries]
    for there, found in zip(drawn.entries, compared, strict=True):
        which = f", entry {there.name}" if len(compared) > 1 else ""
        show(f"{said}{which}: {found.words}")
    sys.stdout.flush()
    return all(found.agrees for found in compared)


def way_of(drawn: Redone, way: ComputeOptions) -> dict[str, Any]:
    """How a run is trained again: on a processor like that of an entry, with its threads and in its
    precision, where nothing else is asked for, so that both can be equal bit for bit.
    """
    import os

    import torch

    from reprise.training.precision import PRECISIONS
    from reprise.training.session import choose_device, device_name

    chosen: dict[str, Any] = {
        "device": way.device,
        "precision": way.precision,
        "cuda_graphs": way.cuda_graphs == "on",
        "threads": way.threads,
    }
    here = (device_name(choose_device(way.device)), torch.__version__)
    for meta in (entry.meta for entry in drawn.entries):
        if (meta.get("device"), meta.get("torch")) == here:
            if way.threads is None and 1 <= meta.get("threads", 0) <= (os.cpu_count() or 1):
                chosen |= {"threads": meta["threads"], "exact_threads": True}
            if way.precision == "auto" and meta.get("dtype") in PRECISIONS:
                chosen["precision"] = meta["dtype"]
            break
    return chosen
