"""Read the tidy tables of many runs from their folders."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.errors import RepriseError, file_error, gist
from reprise.files import read_json, read_parquet
from reprise.publishing.measures import COLUMNS, Tables
from reprise.spec.run import check_record


def read_tables(
    folder: Path, runs: Iterable[str], names: Iterable[str] = tuple(COLUMNS), class_names: Mapping[str, Sequence[str]] | None = None
) -> Tables:
    """The tables `names` of `runs`, from `<folder>/<run>/<name>.parquet`; tables not named are empty.

    A run without results has no rows: what is drawn or judged says what that means. A damaged file is a `RepriseError`.
    """
    wanted = [run for run in dict.fromkeys(runs) if (folder / run / "run.json").is_file()]
    frames = {name: _read(folder, wanted if name in names else [], name) for name in COLUMNS}
    return Tables(**frames, class_names=class_names or {})


def read_meta(folder: Path, runs: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Run → `meta` of its run.json (device, versions, dates), for the runs that have results. A damaged file is a `RepriseError`."""
    return {run: _meta(folder / run / "run.json") for run in runs if (folder / run / "run.json").is_file()}


def _meta(path: Path) -> Mapping[str, Any]:
    document = read_json(path)
    try:
        check_record(document, path.parent.name)
    except ValueError as error:
        raise RepriseError(f"{path}: damaged ({gist(error)}); delete the folder {path.parent} and train the run again") from None
    return document["meta"]


def _read(folder: Path, runs: Iterable[str], name: str) -> pd.DataFrame:
    frames = [pd.DataFrame(columns=list(COLUMNS[name]))]
    for run in runs:
        path = folder / run / f"{name}.parquet"
        if not path.is_file():
            continue
        try:
            frames.append(read_parquet(path, COLUMNS[name]))
        except OSError as error:  # the system refuses; the file may well be good
            raise RepriseError(file_error(error, path)) from None
        except ValueError as error:
            raise RepriseError(f"{path}: damaged ({gist(error)}); delete the folder {path.parent} and train the run again") from None
    return pd.concat(frames[1:], ignore_index=True) if len(frames) > 1 else frames[0]
