"""The files of a finished run: `history.parquet`, `weights.safetensors` and, last, their record
`run.json`.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from reprise.errors import DamagedError, RepriseError, gist
from reprise.files import atomic, can_map, check_regular
from reprise.parquet import read_table as read_columns
from reprise.progress import say
from reprise.records import FILES, check_file, digests, read_record, write_record
from reprise.reports.layout import EVALUATION, FINAL, HISTORY, PREDICTIONS, RUN, WEIGHTS_FILE
from reprise.reports.run import Run, check_record
from reprise.results.history import HISTORY_COLUMNS, history_fault
from reprise.results.selection import HistoryRow

TRAIN_AGAIN = "delete the run's folder and train it again"
EVALUATE_AGAIN = "evaluate the run again"


def read_run(folder: Path) -> dict[str, Any]:
    """The contents of `run.json` (`run`, `spec`, `meta`, `files`) of a finished run, whose history and
    weights are what it says.

    A `RepriseError` says what is missing or damaged. An evaluated run, such as an imported one, may lack its
    weights. A run of an earlier version has no `files`: its history is compared with its `meta`, of its
    weights only the header is read.
    """
    if not (folder / RUN).exists():
        raise RepriseError(f"{folder / RUN}: not found; train the run first")
    document = read_record(folder / RUN, TRAIN_AGAIN, legacy=True)
    try:
        check_record(document, folder.name)
    except ValueError as error:
        raise DamagedError(
            f"{folder / RUN}: is not that of run {folder.name} ({gist(error)})", TRAIN_AGAIN
        ) from None
    files = document.get(FILES)
    if files is None:
        check_history(folder, Run(document["spec"]), document["meta"])
    else:
        check_file(folder / HISTORY, files, TRAIN_AGAIN)
    if (folder / WEIGHTS_FILE).exists() or not evaluated(folder):
        if files is not None and (folder / WEIGHTS_FILE).exists():
            check_file(folder / WEIGHTS_FILE, files, TRAIN_AGAIN)
        check_weights(folder / WEIGHTS_FILE)
    return document


def adopt_run(folder: Path) -> dict[str, Any]:
    """What `read_run` gives; a run of an earlier version gets its record, and a line says so. A folder that
    is read-only stays as it is.
    """
    document = read_run(folder)
    if FILES not in document:
        with contextlib.suppress(RepriseError):
            write_run_record(folder, document)
            say(
                f"{folder}: of an earlier version, accepted as it is; a record of its content is written, "
                "and checked from now on"
            )
    return document


def check_own_folder(folder: Path) -> None:
    """Raise a `RepriseError` where a run's folder is a link to one of another name: what is written there
    would overwrite that run.
    """
    if folder.is_symlink() and folder.resolve().name != folder.name:
        raise RepriseError(
            f"{folder}: a link to {folder.resolve()}, which is not this run's; delete the link"
        )


def finished(folder: Path) -> dict[str, Any] | None:
    """What `read_run` gives, or None where the run is not finished."""
    try:
        return read_run(folder)
    except RepriseError:
        return None


def check_evaluation(folder: Path) -> None:
    """Raise the `RepriseError` of predictions and final metrics that are missing, or not what
    `evaluation.json` says.

    Those of earlier versions have no record: they need only be tables.
    """
    if not (folder / EVALUATION).exists():
        read_table(folder / PREDICTIONS, ("run", "image", "label", "predicted"))
        read_table(folder / FINAL, ("run", "metric", "value"))
        return
    document = read_record(folder / EVALUATION, EVALUATE_AGAIN)
    if document.get("run") != folder.name:
        raise DamagedError(f"{folder / EVALUATION}: is not that of run {folder.name}", EVALUATE_AGAIN)
    for name in (PREDICTIONS, FINAL):
        check_file(folder / name, document.get(FILES, {}), EVALUATE_AGAIN)


def evaluated(folder: Path) -> bool:
    """Whether predictions and final metrics are there, as they were written."""
    try:
        check_evaluation(folder)
    except RepriseError:
        return False
    return True


def publish(
    folder: Path,
    run: Run,
    history: Sequence[HistoryRow],
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Write a run's results, `run.json` last, so that whoever sees it sees them all. An older evaluation goes
    first.
    """
    for stale in (RUN, EVALUATION, PREDICTIONS, FINAL):
        (folder / stale).unlink(missing_ok=True)
    write_table(folder / HISTORY, pd.DataFrame(history).assign(run=run.hash)[list(HISTORY_COLUMNS)])
    with atomic(folder / WEIGHTS_FILE) as partial:
        # not `save_file`, which makes and renames a file of its own that only its owner can read
        tensors = {name: value.cpu().contiguous() for name, value in weights.items()}
        partial.write_bytes(save(tensors, metadata={"run": run.hash}))
    write_run_record(folder, {"run": run.hash, "spec": run.spec, "meta": meta})


def write_run_record(folder: Path, document: Mapping[str, Any]) -> None:
    """Write `run.json`: the document and what the history and the weights that lie in `folder` hold."""
    write_record(folder / RUN, {**document, FILES: digests(folder, (HISTORY, WEIGHTS_FILE))})


def write_evaluation_record(folder: Path) -> None:
    """Write `evaluation.json`: what the predictions and the final metrics that lie in `folder` hold."""
    write_record(folder / EVALUATION, {"run": folder.name, FILES: digests(folder, (PREDICTIONS, FINAL))})


# ---- the history ----


def check_history(folder: Path, run: Run, meta: Mapping[str, Any], remedy: str = TRAIN_AGAIN) -> pd.DataFrame:
    """The history, if it is the whole one of `run` and fits its `meta`; else a `DamagedError` says what does
    not.
    """
    path = folder / HISTORY
    table = read_table(path, HISTORY_COLUMNS)
    if fault := history_fault(table, run, meta):
        raise DamagedError(f"{path}: {fault}", remedy)
    return table


# ---- tables ----


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A table as Parquet, atomically."""
    with atomic(path) as partial:
        table.to_parquet(partial, index=False)


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A Parquet table with these columns; a missing or damaged one is a `RepriseError` (see
    `reprise.parquet`).
    """
    return pd.DataFrame(read_columns(path, columns, TRAIN_AGAIN if path.name == HISTORY else EVALUATE_AGAIN))


# ---- weights ----


def check_weights(path: Path) -> None:
    """Raise the `RepriseError` of a weights file that is missing, cut short or of another run than its
    folder; only its header is read.
    """
    try:
        check_regular(path)
        path.open("rb").close()  # what the system refuses, safetensors cannot tell from damage
        with _mappable(path) as mapped, safe_open(mapped, framework="pt") as file:
            run = (file.metadata() or {}).get("run")
    except RepriseError:
        raise
    except FileNotFoundError:
        raise DamagedError(
            f"{path}: not found",
            "the run's weights were not kept, delete its folder and train or import it again",
        ) from None
    except Exception as error:  # a damaged file can make anything of safetensors
        raise _unreadable_weights(path, error) from None
    if run != path.parent.name:
        raise DamagedError(f"{path}: is of run {run}, its folder is {path.parent.name}", TRAIN_AGAIN)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by parameter name, of a run whose files are what `run.json` says; errors as in `read_run`."""
    read_run(path.parent)
    check_weights(path)
    try:
        with _mappable(path) as mapped:
            return load_file(mapped)
    except Exception as error:  # what the header does not show
        raise _unreadable_weights(path, error) from None


@contextlib.contextmanager
def _mappable(path: Path) -> Iterator[Path]:
    """The file, or a copy where its file system has no memory maps, by which safetensors reads."""
    with contextlib.ExitStack() as stack:
        if not can_map(path):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reprise-weights-"))
            path = Path(shutil.copyfile(path, Path(folder) / path.name))
        yield path


def _unreadable_weights(path: Path, error: Exception) -> RepriseError:
    if (
        isinstance(error, OSError) and error.errno
    ):  # what the system refuses says nothing of the file, which may be good
        error.filename = error.filename or str(path)
        raise error
    if isinstance(error, MemoryError):
        return RepriseError(f"{path}: too little memory to read it; free some and run the same command again")
    return DamagedError(f"{path}: not safetensors ({gist(error)})", TRAIN_AGAIN)
