"""Predictions of trained networks: `evaluate`, `submission`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from reprise.cli.common import chosen_runs, dataset_dirs, names_of, stamp_evaluated
from reprise.cli.options import (
    ChoiceOptions,
    DeviceOptions,
    ReportName,
    ReportsOptions,
    ResultsAndDataOptions,
    as_path,
    exactly_one,
    whole,
)
from reprise.cli.process import show
from reprise.supervision import tell

_choice = Group("Which run (one of these is required)", sort_key=1, validator=exactly_one)


def evaluate(
    report: ReportName,
    /,
    *,
    choice: ChoiceOptions = ChoiceOptions(),
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    on: DeviceOptions = DeviceOptions(),
) -> None:
    """Evaluate trained runs on the test images, with the weights that each selected."""
    found, layout = reports.open(report, where.scale), where.layout
    runs = chosen_runs(found, choice.runs, choice.only)
    names = names_of(found, runs.values())

    from reprise.evaluation import evaluate as evaluate_runs

    evaluate_runs(
        list(runs.values()), dataset_dirs(runs.values(), layout), layout.runs, on.device, on.threads, names
    )
    for identifier in runs:
        stamp_evaluated(identifier, layout)


def submission(
    report: ReportName,
    archive: Annotated[
        Path,
        as_path,
        Parameter(name="ARCHIVE", help="folder, .zip, .tar, .tar.gz or .7z of 1.png, 2.png, …"),
    ],
    out: Annotated[Path, as_path, Parameter(name="OUT.csv", help="file to write")],
    /,
    *,
    run: Annotated[
        str | None, Parameter(group=_choice, metavar="RUN", help="hash of the run that labels the images")
    ] = None,
    only: Annotated[
        str | None,
        Parameter(
            group=_choice,
            metavar="SELECTOR",
            help="label with the best of these runs on the validation images",
        ),
    ] = None,
    images: Annotated[
        int, whole(10_000_000), Parameter(help="number of images in the archive (Kaggle's has 300000)")
    ] = 300_000,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    on: DeviceOptions = DeviceOptions(),
) -> None:
    """Label the CIFAR-10 test images of Kaggle's challenge, and write the file to submit."""
    found, layout = reports.open(report, where.scale), where.layout
    runs = chosen_runs(found, [run] if run is not None else [], [only] if only is not None else [])

    from reprise.evaluation.submission import best_run, write_submission
    from reprise.progress import log

    best = best_run(list(runs.values()), layout.runs)
    name = names_of(found, [best])[best.hash]
    tell(run=best.hash, name=name, doing="used for predictions")
    log(f"run {best.hash} predicts: {name}")
    write_submission(
        best,
        archive,
        out,
        dataset_dirs=dataset_dirs([best], layout),
        cache=layout.runs,
        images=images,
        device=on.device,
        threads=on.threads,
    )
    show(
        f"{out}: {images:,} labels by run {best.hash} ({name}), the best of {len(runs)} on the validation "
        "images"
    )
