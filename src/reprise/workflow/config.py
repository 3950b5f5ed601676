"""The configuration of the workflow: what `config.yaml` and `--config` may say, and what jobs learn of it."""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)
from pydantic_core import ErrorDetails

from reprise import given
from reprise.errors import RepriseError, nearest
from reprise.files import read_bytes
from reprise.reports.file import MOST_BYTES, check_size
from reprise.reports.layout import DEMO_IMAGES, EVIDENCE, Layout
from reprise.reports.report import CHECKED, Report
from reprise.schema import key_path

SOURCE = "config.yaml or --config"
MOST_NAMES = 1000
MOST_STEPS = 10**12
"""Of a shard."""


def _folder(value: str) -> str:
    """A folder that Snakemake can use."""
    if "://" in value:
        raise ValueError("a URL; give a folder")
    if problem := _unusable(value):
        raise ValueError(problem)
    return value


def _own_folder(value: str) -> str:
    if not Path(value).parts:
        raise ValueError("results need a folder of their own; leave it out, or name one")
    return value


def _unusable(path: str) -> str | None:
    """Why Snakemake cannot use a path."""
    if set("{}") & set(path):
        return "Snakemake takes braces in a path for wildcards; use a folder whose path has none"
    if any("\ud800" <= letter <= "\udfff" for letter in path):  # how Python writes bytes that are none
        return "the name is not UTF-8; rename the folder"
    return None


def _shard(value: object) -> str | int:
    if isinstance(value, str) and value in ("experiment", "report"):
        return value
    with contextlib.suppress(ValueError):
        if 1 <= (steps := given.whole(value)) <= MOST_STEPS:
            return steps
    raise ValueError(f"not valid; valid: experiment, report, or 1 to {MOST_STEPS:,} optimiser steps")


ConfigName = Annotated[str, PlainValidator(given.name)]
ConfigFolder = Annotated[str, PlainValidator(given.path), AfterValidator(_folder)]


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[ConfigName], BeforeValidator(_one_or_several), Field(max_length=MOST_NAMES)]
Places = Annotated[
    list[Annotated[str, PlainValidator(given.place)]],
    BeforeValidator(_one_or_several),
    Field(max_length=MOST_NAMES),
]
Whole = Annotated[int, BeforeValidator(given.whole)]


class SyntheticImages(BaseModel):
    """Images drawn for each of the demo's synthetic data sets."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    train: Whole = Field(DEMO_IMAGES["train"], ge=1, le=1_000_000)
    test: Whole = Field(DEMO_IMAGES["test"], ge=1, le=1_000_000)


class Config(BaseModel):
    """The settings of the workflow; `config.yaml` says what each is for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    scale: Literal["full", "quick", "demo"] = "full"
    reports: Names = []
    skip: Names = []
    stand_in: Names = []
    mirror: Places = []
    cache: Places = []
    train: Annotated[bool, BeforeValidator(given.yes_or_no)] = True
    results: Annotated[ConfigFolder, AfterValidator(_own_folder)] = "results"
    data: ConfigFolder = ""
    device: Annotated[str, PlainValidator(given.device)] = "auto"
    threads: Annotated[Whole, Field(ge=1, le=4096)] = 4
    shard: Annotated[str | int, PlainValidator(_shard)] = "experiment"
    synthetic: SyntheticImages = SyntheticImages()


FOLDERS = ("results", "data")
NAMES = ("reports", "skip", "stand_in", "mirror", "cache", *FOLDERS)
"""Keys whose values are names, whatever YAML takes them for."""
MAY_BE_NONE = ("skip", "stand_in", "mirror", "cache", "results", "data", "synthetic")


def read_config(config: Mapping[str, Any], written: Sequence[Mapping[str, Any]] = ()) -> Config:
    """Snakemake's `config`, checked and completed; a `RepriseError` names the key and what is wrong.

    A key without a value has its default. A name that YAML or Snakemake took for something else
    (`results=2025_11_29`, `results=a #1`, `mirror: [yes]`) is the name that was `written`: what `as_written`
    found.
    """
    check_size(config, SOURCE)
    named = {
        key: _named(value, [text[key] for text in written if key in text], several=key not in FOLDERS)
        if key in NAMES
        else value
        for key, value in config.items()
        if key not in Config.model_fields or not _is_nothing(key, value)
    }
    try:
        return Config.model_validate(named)
    except ValidationError as error:
        raise RepriseError(f"{SOURCE}: {_describe(error.errors(include_url=False)[0])}") from None


def as_written(files: Iterable[Path | str], words: Iterable[str]) -> list[dict[str, Any]]:
    """Key → its value as text, as configuration files and words of the command line (`results=007`) have it;
    the last first.
    """
    pairs = (word.partition("=") for word in words)
    found: list[dict[str, Any]] = [{key: _unquoted(text)} for key, equals, text in pairs if equals]
    for file in files:
        with contextlib.suppress(OSError, ValueError, RepriseError, yaml.YAMLError, RecursionError):
            content = yaml.load(read_bytes(Path(file), MOST_BYTES), Loader=yaml.BaseLoader)
            found[:0] = [content] if isinstance(content, dict) else []
    return found[::-1]


def _unquoted(text: str) -> str:
    """Snakemake takes quotes around a value away, and one at one end alone too."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _is_nothing(key: str, value: object) -> bool:
    """Whether a key has no value."""
    return (
        value is None
        or value == ""
        or (key in MAY_BE_NONE and isinstance(value, str) and value.lower() in given.NOTHING)
    )


def _named(value: Any, written: Sequence[Any], *, several: bool) -> Any:
    """A name that was taken for something else, or each of `several`, as it was written."""
    if several and isinstance(value, list):
        lists = [each for each in written if isinstance(each, list) and len(each) == len(value)]
        return [
            _named(item, [each[place] for each in lists], several=False) for place, item in enumerate(value)
        ]
    if several and isinstance(value, Mapping):  # `cache={a: b}` is no name, `cache=a: b` is one
        written = [text for text in written if not (isinstance(text, str) and text.lstrip().startswith("{"))]
    for text in written:
        if isinstance(text, str) and (text == value or _is_read_as(text.strip("'\""), value)):
            return text
    return str(value) if type(value) is int or isinstance(value, date) else value


def _is_read_as(text: str, value: object) -> bool:
    """Whether YAML, or Snakemake on its command line, makes `value` of `text`."""
    for read in (int, float, yaml.safe_load, partial(yaml.load, Loader=yaml.BaseLoader)):
        with contextlib.suppress(ValueError, yaml.YAMLError, RecursionError):
            found = read(text)
            if type(found) is type(value) and (found == value or found != found):  # nan, too
                return True
    return False


def _describe(error: ErrorDetails) -> str:
    """One line for what pydantic found."""
    *outer, key = error["loc"]
    where, value = key_path(error["loc"]), error["input"]
    model: Any = Config.model_fields[str(outer[0])].annotation if outer else Config
    if error["type"] in ("extra_forbidden", "invalid_key"):
        return f"{where}: unknown key{nearest(key, model.model_fields)}"
    if error["type"] == "missing":
        return f"{key_path(outer)}: key {key} is missing (found: {', '.join(map(str, value)) or 'nothing'})"
    if error["type"] == "literal_error":
        valid = get_args(model.model_fields[key].annotation)
        return f"{where}: {value!r} is not valid{nearest(value, valid)}"
    if error["type"] == "model_type":
        keys = ", ".join(model.model_fields[key].annotation.model_fields)
        return f"{where}: {value!r}: not a mapping of {keys}"
    ours = error["type"] == "value_error"
    said = error["msg"].removeprefix("Input ").replace("a valid ", "a ")
    reason = str(error["ctx"]["error"]) if ours else said[:1].lower() + said[1:]
    if error["type"] == "list_type":
        reason = "should be a list, such as [a, b]"
    if reason == "must be text" and isinstance(value, bool | int | float):
        reason = "YAML does not read this as text; put it in quotes"
    return f"{where}: {value!r}: {reason}"


def cache_places(config: Config, checkout: Path) -> list[str]:
    """The run caches; a folder that is not there, but in the project's own folder `checkout`, is meant
    there. The default one may be absent: a project of one's own begins without evidence.
    """

    def place(given: str) -> str:
        own = checkout / given
        return str(own) if "://" not in given and not Path(given).exists() and own.is_dir() else given

    found = [place(given) for given in config.cache]
    return [each for each in found if each != EVIDENCE or Path(each).exists()]


def check_checkout(checkout: Path, *, own_python: bool = True) -> None:
    """Raise a `RepriseError` where the jobs could not find the project in the folder `checkout`, or this
    Python. own_python: they run this one, and not that of a conda environment.
    """
    if problem := _unusable(str(checkout)):
        raise RepriseError(f"the folder of the Snakefile: {str(checkout)!r}: {problem}")
    for name, path in (("the folder of the Snakefile", str(checkout)), ("Python", sys.executable)):
        if os.pathsep in path:
            raise RepriseError(
                f"{name}: {path!r}: jobs cannot search a path that holds {os.pathsep!r}; move it to a "
                "folder without"
            )
    beside = Path(sys.executable).parent / "python"
    if own_python and not (beside.exists() and beside.samefile(sys.executable)):
        raise RepriseError(
            f"Python: jobs run {beside}, which is not there or not the {Path(sys.executable).name} that runs "
            "Snakemake; install Snakemake and the project in an environment of their own (python -m venv)"
        )


def check_folders(layout: Layout) -> None:
    """Raise a `RepriseError` where results or data would lie in a file, behind a link to no folder, or where
    this user may not look: Snakemake ends with a traceback there, which does not name the setting.
    """
    for name, folder in (("results", layout.root), ("data", layout.data_dir)):
        if problem := given.no_folder(folder):
            raise RepriseError(f"{name}: {problem}")


def check_remote_paths(config: Config, checkout: Path, overrides: Mapping[str, Any] | None = None) -> None:
    """Raise a `RepriseError` for paths that cannot go to a cluster: Snakemake quotes its jobs' commands as
    Python would, not as a shell. overrides: `--config`, as Snakemake has read it and gives it to its jobs.
    """
    for name in FOLDERS:
        value, text = (overrides or {}).get(name), getattr(config, name)
        if not _is_nothing(name, value) and text not in (str(value), str(Path(str(value)).expanduser())):
            raise RepriseError(
                f"{name}: {text!r}: Snakemake would pass it to a cluster's jobs as {value!r}; write it into "
                "config.yaml instead of --config"
            )
    paths = [
        ("results", config.results),
        ("data", config.data),
        *(("mirror", place) for place in config.mirror),
    ]
    for name, path in (*paths, ("the folder of the Snakefile", str(checkout)), ("Python", sys.executable)):
        if found := re.search(r"[^\w./+,=@~:-]", path):
            raise RepriseError(
                f"{name}: {path!r}: a path that holds {found[0]!r} cannot go to a cluster's jobs; rename "
                "the folder"
            )


def job_environment(config: Config, source: Path, reports: Iterable[Report]) -> None:
    """Set the environment of the jobs, which `reports` are checked for.

    They run this Python and the code in `source`, also where no environment is active (`--sdm conda` puts its
    own Python first), and nothing that lies in the working folder or that the user's environment puts before
    it. Device and mirrors go with them as variables, because they do not change results: as parameters of the
    rules they would make everything again.
    """
    os.environ["REPRISE_DEVICE"] = config.device
    os.environ["REPRISE_MIRROR"] = shlex.join(config.mirror)
    os.environ[CHECKED] = " ".join(report.stamp for report in reports)
    for name in LEFT_OVER:
        os.environ.pop(name, None)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["PYTHONPATH"] = str(source)
    os.environ["PYTHONSAFEPATH"] = "1"


LEFT_OVER = (
    "BASH_ENV",  # a script that bash runs before each job, which may put another Python first in PATH
    "ENV",  # the same for sh
    "BASH_FUNC_python%%",  # a function of that name goes before PATH
    "PYTHONHOME",  # of another Python
    "PYTHONINSPECT",  # a job would wait for its user
)
"""Variables that must not reach a job."""
