"""What verbs take: their arguments, and the options that several share, each group as one dataclass.

A verb's signature names the groups that it reads, so it has no option that it ignores.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from cyclopts import ArgumentCollection, Group, Parameter, Token

from reprise import given
from reprise.errors import RepriseError, nearest
from reprise.progress import say
from reprise.reports.layout import EVIDENCE, Layout, Scale

if TYPE_CHECKING:
    from reprise.reports.report import Report

several = Parameter(consume_multiple=1, show_default=False)
"""An option with one value or more, which stand one after the other."""


def _read(read: Callable[[str], Any]) -> Parameter:
    """An argument or option of one value or several, each of which `read` makes of its text."""

    def value(token: Token) -> Any:
        try:
            return read(token.value)
        except ValueError as error:
            raise ValueError(f"{token.value[:100]!r}: {error}") from None

    def convert(kind: Any, tokens: Sequence[Token]) -> Any:
        if get_origin(kind) in (list, tuple):
            return get_origin(kind)(map(value, tokens))
        return value(tokens[-1])

    return Parameter(converter=convert)


as_path = _read(lambda text: Path(given.path(text)))
"""A file or folder."""
as_place = _read(given.place)
"""A file, a folder or a URL."""


def path_or(default: Path | None) -> Parameter:
    """A file or folder; a text without a letter, as of a shell's variable that is not set, is the default."""
    return _read(lambda text: Path(given.path(text)) if text else default)


def whole(most: int, least: int = 1) -> Parameter:
    """A whole number from `least` to `most`."""

    def number(_: Any, tokens: Sequence[Token]) -> int:
        text = tokens[0].value
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text[:20]!r} is not a whole number from {least} to {most:,}")
        return int(text)

    return Parameter(converter=number, metavar="NUMBER")


def places_in(variable: str) -> Parameter:
    """Places, also from a variable of the environment, quoted there as in a shell."""

    def places(_: Any, text: str, **__: Any) -> list[str]:
        try:
            return shlex.split(text)
        except ValueError as error:
            raise RepriseError(f"{variable}: {error}; quote its places as a shell has it") from None

    return Parameter(env_var=variable, env_var_split=places, metavar="PLACE...")


UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
AMOUNT = r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(h|hours?|m|min|minutes?|s|sec|seconds?) ?"
LONGEST_S = 366 * 86400.0


def seconds_of(text: str) -> float:
    """The seconds of `1h`, `90m`, `2h30m`, `45 min` or `3600s`; a `ValueError` for anything else."""
    amounts = re.findall(AMOUNT, text) if re.fullmatch(f"({AMOUNT})+", text) else []
    total = sum(float(number) * UNITS_S[unit[0]] for number, unit in amounts)
    if not 0 < total <= LONGEST_S:
        raise ValueError(f"{text[:20]!r} is not a time such as 1h, 90m, 2h30m, '45 min' or 3600s")
    return total


def _seconds(_: Any, tokens: Sequence[Token]) -> float:
    return seconds_of(tokens[0].value)


time_span = Parameter(converter=_seconds, metavar="TIME")
"""A time in seconds, given with its unit."""


ReportNames = Annotated[
    tuple[str, ...],
    as_place,
    Parameter(name="REPORT...", show_default=False, help="slugs or files (default: all)"),
]
ReportName = Annotated[str, as_place, Parameter(help="the report's slug, or the path of its file")]
Mirror = Annotated[
    tuple[str, ...],
    several,
    as_place,
    places_in("REPRISE_MIRROR"),
    Parameter(help="folders or URLs that hold the files; they are tried first"),
]


CachePlaces = Annotated[
    tuple[str, ...],
    several,
    as_place,
    places_in("REPRISE_CACHE"),
    Parameter(
        help=f"run caches (folders or URLs); runs that they hold are not trained (default: {EVIDENCE})"
    ),
]


# ---- where files lie ----

RESULTS = Path("results")
ResultsFolder = Annotated[Path, path_or(RESULTS), Parameter(help="folder for everything that is made")]
DataFolder = Annotated[
    Path | None,
    path_or(None),
    Parameter(help="folder for archives and arrays (default: data in the results folder)"),
]


def layout_of(results: Path, scale: str, data: Path | None = None) -> Layout:
    """Where files lie; a `RepriseError` where results or data can lie in no such folder."""
    layout = Layout(results, scale, data)
    for option, folder in (("--results", layout.root), ("--data", layout.data_dir)):
        if problem := given.no_folder(folder):
            raise RepriseError(f"{option}: {problem}")
    return layout


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ResultsOptions:
    """Where a verb reads and writes."""

    scale: Annotated[
        Scale,
        Parameter(
            help="full: what the reports did; quick: less training on real images; demo: a little training "
            "on synthetic images"
        ),
    ] = "full"
    results: ResultsFolder = RESULTS

    @property
    def layout(self) -> Layout:
        return layout_of(self.results, self.scale)


@dataclass(frozen=True, kw_only=True)
class ResultsAndDataOptions(ResultsOptions):
    """Where a verb reads and writes, data sets and pretrained weights among that."""

    data: DataFolder = None

    @property
    def layout(self) -> Layout:
        return layout_of(self.results, self.scale, self.data)


# ---- reports and runs ----

REPORTS = Path("workflow/reports")
ReportsFolder = Annotated[Path, path_or(REPORTS), Parameter(help="folder of report files")]
StandIn = Annotated[
    tuple[str, ...],
    several,
    Parameter(
        metavar="DATASET...", help="use a stand-in for these, made from other real images (see data stand-in)"
    ),
]


def known_reports(folder: Path) -> dict[str, Path]:
    """Slug → report, of a folder; a `RepriseError` where that is no folder or may not be looked into."""
    from reprise.reports.report import report_files

    if problem := given.no_folder(folder):
        raise RepriseError(f"--reports: {problem}")
    return report_files(folder)


def report_file(name: str, folder: Path) -> Path:
    """The file of a report named by slug or by path."""
    path = Path(name)
    if path.suffix == ".yaml" or path.parent != Path():
        if not path.exists():
            raise RepriseError(f"no report {name}; check the path")
        return path
    known = known_reports(folder)
    if name not in known:
        hint = nearest(name, known) or "; give the folder of the reports with --reports"
        raise RepriseError(f"no report {name} in {folder}{hint}")
    return known[name]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportsOptions:
    """Where report files lie, and what is not done as they say."""

    reports: ReportsFolder = REPORTS
    skip: Annotated[
        tuple[str, ...],
        several,
        Parameter(
            metavar="EXPERIMENT...",
            help="experiments to leave out; report/experiment leaves it out of one report alone",
        ),
    ] = ()
    stand_in: StandIn = ()

    def open(self, name: str, scale: str, *, tolerant: bool = False) -> Report:
        """The report named by slug or by path; `tolerant` as in `Report`."""
        from reprise.reports.report import Report

        path = report_file(name, self.reports)
        slug = path.stem if path.suffix == ".yaml" else path.name
        parts = [entry.rpartition("/") for entry in self.skip]
        for other in {report for report, _, _ in parts} - {"", slug}:
            known = known_reports(self.reports)
            if other not in known:
                raise RepriseError(f"skip: no report {other} in {self.reports}{nearest(other, known)}")
        skip = [experiment for report, _, experiment in parts if report in ("", slug)]
        return Report(path, scale, skip, self.stand_in, tolerant=tolerant)

    def open_all(self, names: Sequence[str], scale: str) -> list[Report]:
        """These reports, or without names all that are there and can be read; the others are named."""
        from reprise.reports.mistakes import Mistakes

        named = bool(names)
        names = names or tuple(known_reports(self.reports))
        if not names:
            raise RepriseError(
                f"{self.reports}: no report files (*.yaml) there; give their folder with --reports"
            )
        if named:
            return [self.open(name, scale) for name in dict.fromkeys(names)]
        opened = []
        broken = Mistakes()
        for name in names:
            with broken.noting():
                opened.append(self.open(name, scale))
        if not opened:
            broken.raise_all()
        for line in broken.lines:
            say(line)
        if broken.lines:
            say("the reports above are left out; the others go on")
        return opened


Partial = Annotated[
    bool, Parameter(show_default=False, help="use the runs that are finished, and say what is missing")
]


def at_most_one(arguments: ArgumentCollection) -> None:
    """Of options that exclude each other."""
    given = [argument.name for argument in arguments if argument.has_tokens]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")


def exactly_one(arguments: ArgumentCollection) -> None:
    """Of options that exclude each other, none of which is the default."""
    at_most_one(arguments)
    if not any(argument.has_tokens for argument in arguments):
        raise ValueError(f"{' or '.join(argument.name for argument in arguments)} is required")


_choice = Group("Which runs (default: all)", sort_key=1, validator=at_most_one)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """Which of a report's runs."""

    runs: Annotated[
        tuple[str, ...],
        several,
        Parameter(group=_choice, metavar="RUN...", help="only these runs: hashes, or files in their folders"),
    ] = ()
    only: Annotated[
        tuple[str, ...],
        several,
        Parameter(group=_choice, metavar="SELECTOR...", help="only the runs of these experiments or cells"),
    ] = ()


# ---- how networks are computed ----


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """What computes."""

    device: Annotated[
        str,
        _read(given.device),
        Parameter(
            env_var="REPRISE_DEVICE", metavar="DEVICE", help="where to compute: auto, cpu, cuda, cuda:1, …"
        ),
    ] = "auto"
    threads: Annotated[
        int | None, whole(4096), Parameter(help="most CPU threads to use (default: as many as torch uses)")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(DeviceOptions):
    """What computes a training, and how fast."""

    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Parameter(
            env_var="REPRISE_PRECISION",
            help="precision of matrix products and convolutions; auto: bfloat16 for large networks on CUDA",
        ),
    ] = "auto"
    cuda_graphs: Annotated[
        Literal["on", "off"],
        Parameter(
            env_var="REPRISE_CUDA_GRAPHS",
            help="on: record a training step on CUDA once and replay it, which is faster",
        ),
    ] = "on"


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(ComputeOptions):
    """How runs are trained."""

    exact_threads: Annotated[
        bool,
        Parameter(
            show_default=False,
            help="use exactly as many threads as --threads says (default: fewer if more are not faster; the "
            "record of a run says how many it used)",
        ),
    ] = False
