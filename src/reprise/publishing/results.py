"""Read the tidy tables of many runs from their folders."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reprise.errors import DamagedError, gist
from reprise.parquet import read_table
from reprise.publishing.measures import RESULT_COLUMNS, Columns, Tables
from reprise.records import FILES, check_file, read_record
from reprise.reports.layout import EVALUATION, RUN
from reprise.reports.run import check_record

RECORDS = {"history": RUN, "predictions": EVALUATION, "final": EVALUATION}
"""Table → the record in a run's folder that says what its file holds."""


def read_tables(
    folder: Path,
    runs: Iterable[str],
    names: Iterable[str] = tuple(RESULT_COLUMNS),
    class_names: Mapping[str, Sequence[str]] | None = None,
) -> Tables:
    """The tables `names` of `runs`, from `<folder>/<run>/<name>.parquet`, compared with their records; tables
    not named are empty.

    A run without results has no rows: what is drawn or judged says what that means. A damaged file is a
    `RepriseError`. Results of earlier versions have no records: their tables must agree with each other and
    with `run.json`.
    """
    wanted = [folder / run for run in dict.fromkeys(runs) if (folder / run / RUN).exists()]
    parts: dict[str, list[Columns]] = {name: [] for name in RESULT_COLUMNS}
    for run in wanted:
        document = _run_record(run)
        files = {RUN: document.get(FILES), EVALUATION: _evaluation_files(run)}
        found = {
            name: table for name in names if (table := _read(run, name, files[RECORDS[name]])) is not None
        }
        if None in files.values() and found.keys() == RESULT_COLUMNS.keys():
            _check_agreement(run, document["meta"], **found)
        for name, table in found.items():
            parts[name].append(table)
    tables = {
        name: {column: [value for part in parts[name] for value in part[column]] for column in columns}
        for name, columns in RESULT_COLUMNS.items()
    }
    return Tables(**tables, class_names=class_names or {})


def read_meta(folder: Path, runs: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Run → `meta` of its run.json (device, versions, dates), for the runs that have results. A damaged file
    is a `RepriseError`.
    """
    return {run: _run_record(folder / run)["meta"] for run in runs if (folder / run / RUN).exists()}


def _run_record(folder: Path) -> Mapping[str, Any]:
    document = read_record(folder / RUN, _train_again(folder), legacy=True)
    try:
        check_record(document, folder.name)
    except ValueError as error:
        raise DamagedError(
            f"{folder / RUN}: is not that of run {folder.name} ({gist(error)})", _train_again(folder)
        ) from None
    return document


def _evaluation_files(folder: Path) -> Mapping[str, str] | None:
    """What the record of the evaluation says of its files; None where there is no record."""
    path = folder / EVALUATION
    if not path.exists():
        return None
    document = read_record(path, _evaluate_again(folder))
    if document.get("run") != folder.name:
        raise DamagedError(f"{path}: is not that of run {folder.name}", _evaluate_again(folder))
    return document.get(FILES, {})


def _read(folder: Path, name: str, files: Mapping[str, str] | None) -> Columns | None:
    path = folder / f"{name}.parquet"
    remedy = _train_again(folder) if name == "history" else _evaluate_again(folder)
    if files is not None:
        check_file(path, files, remedy)
    elif not path.is_file():
        return None
    table = read_table(path, RESULT_COLUMNS[name], remedy)
    if set(table["run"]) - {folder.name}:
        raise DamagedError(f"{path}: has rows of another run", remedy)
    return table


def _check_agreement(
    folder: Path, meta: Mapping[str, Any], history: Columns, final: Columns, predictions: Columns
) -> None:
    """Raise a `DamagedError` unless the tables of one run, which have no record, agree with each other and
    with its `meta`.
    """
    epoch, diverged = meta.get("selected_epoch"), meta.get("stopped") == "diverged"
    if any(map(math.isnan, history["loss"])) and not diverged:
        raise DamagedError(
            f"{folder / 'history.parquet'}: loss is nan, though the run did not diverge", _train_again(folder)
        )
    rows = zip(history["split"], history["epoch"], history["loss"], history["accuracy"], strict=True)
    selected = next(
        ((loss, accuracy) for split, when, loss, accuracy in rows if (split, when) == ("train", epoch)),
        (None, None),
    )
    labels, guesses = predictions["label"], predictions["predicted"]
    expected = {
        "accuracy": sum(map(operator.eq, labels, guesses)) / len(labels) if labels else None,
        "selected_epoch": epoch,
        "train_loss": selected[0],
        "train_accuracy": selected[1],
    }
    stored = dict(zip(final["metric"], final["value"], strict=True))
    for metric, value in expected.items():
        found = stored.get(metric)
        lost = diverged and metric == "train_loss"
        if found is None or value is None or not (abs(found - value) <= 1e-9 or lost):
            what = f"{folder / 'final.parquet'}: {metric} is {found}, the run's other files give {value}"
            raise DamagedError(what, _evaluate_again(folder))
    if math.isnan(stored.get("loss", math.nan)) and not diverged:
        raise DamagedError(
            f"{folder / 'final.parquet'}: loss is {stored.get('loss')}", _evaluate_again(folder)
        )


def _train_again(folder: Path) -> str:
    return f"delete the folder {folder} and train the run again"


def _evaluate_again(folder: Path) -> str:
    return f"delete {folder / 'evaluated.json'} and evaluate the run again"
