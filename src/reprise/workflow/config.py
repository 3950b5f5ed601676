"""The configuration of the workflow: what `config.yaml` and `--config` may say, and what jobs learn of it."""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

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

from reprise.errors import RepriseError, nearest
from reprise.reports.file import check_size
from reprise.reports.layout import DEMO_IMAGES, EVIDENCE
from reprise.reports.report import CHECKED, Report
from reprise.schema import key_path

SOURCE = "config.yaml or --config"
MOST_NAMES, LONGEST_NAME = 1000, 4096
MOST_STEPS = 10**12
"""Of a shard."""


def _name(value: object) -> str:
    """Text that can be a file's name; pydantic's own strings hold no bytes that are not UTF-8."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"longer than {LONGEST_NAME} characters; shorten it")
    if "\0" in value:
        raise ValueError("no name holds a null character; leave it out")
    return value


def _place(value: str) -> str:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise ValueError("no name that a system can have; mend it") from None
    return value


def _folder(value: str) -> str:
    """A folder that Snakemake can use; `~` becomes the home folder, as Snakemake takes it."""
    try:
        value = str(Path(value).expanduser()) if value.startswith("~") else value
    except RuntimeError:
        raise ValueError("no such home folder; write the path out") from None
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
        return "Snakemake takes braces in a path for wildcards; use a folder without them"
    if any("\ud800" <= letter <= "\udfff" for letter in path):  # how Python writes bytes that are none
        return "the name is not UTF-8; rename the folder"
    return None


def _device(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", value):
        raise ValueError("not valid; valid: auto, cpu, cuda, cuda:1 (the second GPU), …")
    return value


def _whole(value: object) -> object:
    """1e5 on the command line is a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shard(value: object) -> str | int:
    value = _whole(value)
    if value in ("experiment", "report") or (type(value) is int and 1 <= value <= MOST_STEPS):
        return value
    raise ValueError(f"not valid; valid: experiment, report, or 1 to {MOST_STEPS:,} optimiser steps")


ConfigName = Annotated[str, PlainValidator(_name)]
ConfigFolder = Annotated[ConfigName, AfterValidator(_folder)]


def _one_or_several(value: object) -> object:
    if value is None:  # a key without a value
        return []
    return ([value] if value else []) if isinstance(value, str) else value


Names = Annotated[list[ConfigName], BeforeValidator(_one_or_several), Field(max_length=MOST_NAMES)]
Places = Annotated[
    list[Annotated[ConfigName, AfterValidator(_place)]],
    BeforeValidator(_one_or_several),
    Field(max_length=MOST_NAMES),
]


class SyntheticImages(BaseModel):
    """Images drawn for each of the demo's synthetic data sets."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    train: int = Field(DEMO_IMAGES["train"], ge=1, le=1_000_000)
    test: int = Field(DEMO_IMAGES["test"], ge=1, le=1_000_000)


def _yes_or_no(value: object) -> object:
    """YAML's yes and no are true and false, unless they come as text from the command line."""
    words = {"yes": True, "true": True, "no": False, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


class Config(BaseModel):
    """The settings of the workflow; `config.yaml` says what each is for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    scale: Literal["full", "quick", "demo"] = "full"
    reports: Names = []
    skip: Names = []
    stand_in: Names = []
    mirror: Places = []
    cache: Places = []
    train: Annotated[bool, BeforeValidator(_yes_or_no)] = True
    results: Annotated[ConfigFolder, AfterValidator(_own_folder)] = "results"
    data: ConfigFolder = ""
    device: Annotated[str, PlainValidator(_device)] = "auto"
    threads: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=4096)] = 4
    shard: Annotated[str | int, PlainValidator(_shard)] = "experiment"
    synthetic: SyntheticImages = SyntheticImages()


def read_config(config: Mapping[str, Any]) -> Config:
    """Snakemake's `config`, checked and completed; a `RepriseError` names the key and what is wrong."""
    check_size(config, SOURCE)
    try:
        return Config.model_validate(dict(config))
    except ValidationError as error:
        raise RepriseError(f"{SOURCE}: {_describe(error.errors(include_url=False)[0])}") from None


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
    reason = str(error["ctx"]["error"]) if ours else error["msg"][:1].lower() + error["msg"][1:]
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


def check_checkout(checkout: Path) -> None:
    """Raise a `RepriseError` where the jobs could not find the project in the folder `checkout`, or this
    Python.
    """
    if problem := _unusable(str(checkout)):
        raise RepriseError(f"the folder of the Snakefile: {str(checkout)!r}: {problem}")
    for name, path in (("the folder of the Snakefile", str(checkout)), ("Python", sys.executable)):
        if os.pathsep in path:
            raise RepriseError(
                f"{name}: {path!r}: jobs cannot search a path that holds {os.pathsep!r}; move it to a "
                "folder without"
            )


def check_remote_paths(config: Config, checkout: Path) -> None:
    """Raise a `RepriseError` for paths that cannot go to a cluster: Snakemake quotes its jobs' commands as
    Python would, not as a shell.
    """
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
    own Python first). Device and mirrors go with them as variables, because they do not change results: as
    parameters of the rules they would make everything again.
    """
    os.environ["REPRISE_DEVICE"] = config.device
    os.environ["REPRISE_MIRROR"] = shlex.join(config.mirror)
    os.environ[CHECKED] = " ".join(report.stamp for report in reports)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["PYTHONPATH"] = str(source)
