"""A report of one's own: `new`."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from reprise.cli.options import REPORTS, ReportsFolder
from reprise.cli.process import show
from reprise.cli.reports import SCHEMA
from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.given import no_folder

SLUG = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}"
SUFFIXES = (".yaml", ".yml")
SCAFFOLD = """\
# What was trained, and the figures, tables, numbers and claims that came of it. Change what is different in
# your report. `python -m reprise check FILE` finds mistakes; docs/report-files.md explains the keys.
title: "SLUG"                            # the report's title
# authors: A. Author and B. Author
# url: https://example.org/report.pdf    # where it can be read

models:
  net:                                   # a name of your choice, used below
    name: sequential                     # layers in order; or residual, resnet, vit, torchvision
    layers:
      - {conv: 32, padding: same, activation: relu}
      - {pool: max}
      - {flatten: true}
      - {dense: 64, activation: relu}
      - {dense: classes}                 # one output for each class; softmax is part of the loss

defaults:                                # the base run: every experiment starts from it
  dataset: {name: cifar10, labels: label}            # or cifar100, cinic10, stl10
  split: {validation: 0.1}               # this share of the training images; or `test`: the test images
  model: net
  optimizer: {name: adam, lr: 1e-3}
  training: {epochs: 10, batch_size: 64, select: best_accuracy}    # the epoch whose weights are kept
  seeds: [0, 1, 2]                       # one run for each; their scatter decides what can be told

experiments:                             # what was varied; `grid`, `random` and `asha` vary several values
  base: {}
  slow: {set: {optimizer.lr: 1e-4}}

scales:                                  # smaller versions, to try things out
  quick: {seeds: 1, epochs: {max: 3}}    # `--scale quick`: real images, few epochs
  demo: {seeds: 1, epochs: {max: 2}}     # `--scale demo`: images that reprise draws; a minute, no download

figures:
  - {id: curves, kind: curves, caption: Accuracy at each epoch., metric: accuracy,
     splits: [train, validation], series: {lr 0.001: base, lr 0.0001: slow}}

tables:
  - {id: network, kind: layers, caption: "The network, layer by layer.", networks: [net]}

statements:                              # numbers in quotes, as the report prints them: the last digit counts
  - {number: accuracy, reported: "0.70", measure: accuracy(base), says: The network reaches .70}
  - {claim: slow_is_worse, holds: accuracy(slow) < accuracy(base), says: A rate of 0.0001 is too slow}
"""
"""A report file; `SLUG` stands for the report's name."""


def new(
    slug: Annotated[
        str, Parameter(name="SLUG", help="a short name for the report: letters, digits and _ . + -")
    ],
    /,
    *,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Write a report file to start from: it is complete, and its comments say what to change."""
    file = reports / f"{slug}.yaml"
    check_slug(slug, reports)
    if reports == REPORTS and not reports.is_dir():  # one that is named is made
        raise RepriseError(f"{reports}: no such folder; run this in the project's folder, or give --reports")

    if problem := no_folder(reports):
        raise RepriseError(f"--reports: {problem}")

    from reprise.reports.report import report_files

    taken = {path.stem.lower(): path for path in reports.glob("*.yml")}.get(slug.lower())
    if not taken:
        taken = {name.lower(): path for name, path in report_files(reports).items()}.get(slug.lower())
    if taken or file.exists() or file.is_symlink():
        raise RepriseError(f"{taken or file} is there already; choose another name, or delete it first")
    with atomic(file) as partial:
        partial.write_text(scaffold(slug, reports), encoding="utf-8")
    shown = shlex.quote(f"./{file}" if str(file).startswith("-") else str(file))
    option = "" if reports == REPORTS else " " + shlex.quote(f"--reports={reports}")
    show(f"{file}: a report to start from. What to do next:")
    show(f"  python -m reprise check {shown}")
    show(f"  python -m reprise run {slug} --scale demo{option}")


def check_slug(slug: str, reports: Path) -> None:
    """Raise a `RepriseError` for what cannot be a report's name."""
    from reprise.reports.report import FOLDERS, RULES

    if slug.endswith(SUFFIXES):
        stem = slug.rpartition("/")[2].rpartition(".")[0]
        raise RepriseError(f"{slug}: give the report's name without folder and ending, such as {stem}")
    if not re.fullmatch(SLUG, slug):
        words = "use letters, digits and _ . + -, at most 100, with a letter or digit first"
        hint = "; name another folder with --reports" if "/" in slug else ""
        raise RepriseError(f"{slug!r} is not a name for a report: {words}{hint}")
    if slug in (*RULES, *FOLDERS):
        raise RepriseError(f"{slug} is a name that the workflow or the site uses; choose another name")


def scaffold(slug: str, reports: Path) -> str:
    """The text of a new report file in the folder `reports`; where the project's schema is at hand, its first
    line names that for editors.
    """
    text = SCAFFOLD.replace('"SLUG"'.ljust(34), f'"{slug}"'.ljust(34))
    if not SCHEMA.is_file():
        return text
    schema = os.path.relpath(SCHEMA.resolve(), reports.resolve())
    return f"# yaml-language-server: $schema={schema}\n{text}"
