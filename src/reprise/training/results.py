"""The files of a finished run: `history.parquet`, `weights.safetensors` and, last, `run.json`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reprise.errors import RepriseError
from reprise.files import atomic, write_json
from reprise.spec.run import Run, digest
from reprise.training.selection import Row

RUN, HISTORY, WEIGHTS, PREDICTIONS, FINAL = "run.json", "history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet"


def finished(folder: Path) -> dict[str, Any] | None:
    """The contents of `run.json` (`run`, `spec`, `meta`) where it is there and names the folder's own run, else None."""
    try:
        document = json.loads((folder / RUN).read_text(encoding="utf-8"))
        valid = document["run"] == folder.name == digest(document["spec"]) and isinstance(document["meta"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if valid else None


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
        return pd.read_parquet(path, columns=list(columns))
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; train and evaluate the run first") from None
    except (OSError, ValueError) as error:
        raise RepriseError(f"{path}: not a table of {', '.join(columns)} ({' '.join(str(error).split())[:120]})") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by parameter name; a missing or damaged file is a `RepriseError`."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; the run's weights were not kept, delete its folder and train it again") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise RepriseError(f"{path}: not safetensors ({error}); delete the run's folder and train it again") from None
