"""The files of a finished run: `history.parquet`, `weights.safetensors` and, last, `run.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from reprise.errors import RepriseError, gist
from reprise.files import atomic, check_regular, read_json, read_parquet, write_json
from reprise.spec.run import Run, check_record
from reprise.training.selection import Row

RUN, HISTORY, WEIGHTS, PREDICTIONS, FINAL = "run.json", "history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet"


def read_run(folder: Path) -> dict[str, Any]:
    """The contents of `run.json` (`run`, `spec`, `meta`) of a finished run.

    A `RepriseError` says what is missing or damaged: `run.json`, which must name the folder's own run, the history or the weights (of these
    only the headers are read). An evaluated run, such as an imported one, may lack its weights.
    """
    document = read_json(folder / RUN)
    try:
        check_record(document, folder.name)
    except ValueError as error:
        raise RepriseError(
            f"{folder / RUN}: is not that of run {folder.name} ({gist(error)}); delete the run's folder and train it again"
        ) from None
    check_table(folder / HISTORY)
    if (folder / WEIGHTS).exists() or not evaluated(folder):
        check_weights(folder / WEIGHTS)
    return document


def finished(folder: Path) -> dict[str, Any] | None:
    """What `read_run` gives, or None where the run is not finished."""
    try:
        return read_run(folder)
    except RepriseError:
        return None


def evaluated(folder: Path) -> bool:
    """Whether predictions and final metrics are there and can be read."""
    try:
        for name in (PREDICTIONS, FINAL):
            check_table(folder / name)
    except RepriseError:
        return False
    return True


def publish(folder: Path, run: Run, history: Sequence[Row], weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a run's results, `run.json` last, so that whoever sees it sees them all. An older evaluation goes first."""
    for stale in (RUN, PREDICTIONS, FINAL):
        (folder / stale).unlink(missing_ok=True)
    write_table(folder / HISTORY, pd.DataFrame(history).assign(run=run.hash)[["run", "epoch", "split", "loss", "accuracy"]])
    with atomic(folder / WEIGHTS) as partial:
        try:
            save_file({name: value.cpu().contiguous() for name, value in weights.items()}, partial, metadata={"run": run.hash})
        except SafetensorError as error:  # what it makes of a full disk
            raise RepriseError(f"{folder / WEIGHTS}: cannot be written ({error}); is the disk full?") from None
    write_json(folder / RUN, {"run": run.hash, "spec": run.spec, "meta": meta})


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A table as Parquet, atomically."""
    with atomic(path) as partial:
        table.to_parquet(partial, index=False)


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A Parquet table with these columns; a missing or damaged one is a `RepriseError`."""
    try:
        return read_parquet(path, columns)
    except (OSError, ValueError) as error:
        raise _unreadable_table(path, error, f"a table of {', '.join(columns)}") from None


def check_table(path: Path) -> None:
    """Raise the `RepriseError` of a Parquet table that is missing or cut short; only its end is read."""
    import pyarrow.parquet as pq  # so that the engine can be timed where there is none

    try:
        check_regular(path)
        pq.read_metadata(path)
    except RepriseError:
        raise
    except Exception as error:  # a damaged file can make anything of Arrow
        raise _unreadable_table(path, error, "a table") from None


def _unreadable_table(path: Path, error: Exception, expected: str) -> RepriseError:
    if isinstance(error, FileNotFoundError):
        return RepriseError(f"{path}: not found; train and evaluate the run first")
    _raise_refusal(error, path)
    return RepriseError(f"{path}: not {expected} ({gist(error)}); delete the run's folder and train it again")


def _raise_refusal(error: Exception, path: Path) -> None:
    """Raise what the system refuses (a permission, the disk) as it is: it says nothing of the file, which may be good."""
    if isinstance(error, OSError) and error.errno:
        error.filename = error.filename or str(path)
        raise error
    if isinstance(error, MemoryError):
        raise RepriseError(f"{path}: too little memory to read it; free some and run the same command again") from None


def check_weights(path: Path) -> None:
    """Raise the `RepriseError` of a weights file that is missing, cut short or of another run than its folder; only its header is read."""
    try:
        check_regular(path)
        path.open("rb").close()  # what the system refuses, safetensors cannot tell from damage
        with safe_open(path, framework="pt") as file:
            run = (file.metadata() or {}).get("run")
    except RepriseError:
        raise
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; the run's weights were not kept, delete its folder and train it again") from None
    except Exception as error:  # a damaged file can make anything of safetensors
        raise _unreadable_weights(path, error) from None
    if run != path.parent.name:
        raise RepriseError(f"{path}: is of run {run}, its folder is {path.parent.name}; delete the run's folder and train it again")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by parameter name; what `check_weights` refuses is a `RepriseError`."""
    check_weights(path)
    try:
        return load_file(path)
    except Exception as error:  # what the header does not show
        raise _unreadable_weights(path, error) from None


def _unreadable_weights(path: Path, error: Exception) -> RepriseError:
    _raise_refusal(error, path)
    return RepriseError(f"{path}: not safetensors ({gist(error)}); delete the run's folder and train it again")
