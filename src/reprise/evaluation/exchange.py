"""Finished runs as files that others can use: export, and import after a check that each run is what it says."""

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.metrics import classification_metrics, training_metrics
from reprise.files import atomic, read_json
from reprise.spec.run import digest
from reprise.training.results import FINAL, HISTORY, PREDICTIONS, RUN, WEIGHTS, finished, read_table, read_weights
from reprise.training.selection import diverged, selected_epoch, stops_early

FILES = (HISTORY, WEIGHTS, PREDICTIONS, FINAL, RUN)
"""What is exchanged, where it is there; `run.json` is copied last."""

TOLERANCE = 1e-9
"""Between a stored metric and the same one computed again from the stored predictions and history."""


def export_runs(cache: Path, hashes: Sequence[str], out_dir: Path) -> int:
    """Copy finished runs from `cache` to `out_dir/<run>/`; their number. All are verified first: one `RepriseError`, and none is copied."""
    for name in hashes:
        if not (Path(cache) / name / RUN).is_file():
            raise RepriseError(f"run {name}: no result in {cache}; train it first")
        verify(Path(cache) / name)
    for name in hashes:
        _copy(Path(cache) / name, Path(out_dir) / name)
    return len(hashes)


def import_runs(folder: Path, cache: Path, *, synthetic: bool) -> dict[str, str]:
    """Copy the runs in `folder/<run>/` to `cache`: all of synthetic images (those of the demo), or none.

    All are verified first: one `RepriseError`, and none is copied.

    Run → `imported`, or where `cache` has the run already and keeps it, `identical` (the same `run.json`) or `kept` (another one).
    """
    found = sorted(path for path in Path(folder).glob("*") if path.is_dir())
    if not found:
        raise RepriseError(f"{folder}: holds no exported run; give the folder that export wrote")
    for path in found:
        if not (path / RUN).exists():
            raise RepriseError(f"{path}: holds no exported run (no {RUN}); give the folder that export wrote")
        verify(path)
        theirs = read_json(path / RUN)["spec"]["dataset"]["source"]
        if (theirs == "synthetic") != synthetic:
            scale = "--scale demo" if theirs == "synthetic" else "--scale full or quick"
            raise RepriseError(
                f"{path}: is of {theirs} images, this scale is for {'synthetic' if synthetic else 'real'} ones; import it with {scale}"
            )
    states = {}
    for path in found:
        mine = finished(Path(cache) / path.name)
        if mine is None:
            _copy(path, Path(cache) / path.name)
        states[path.name] = "imported" if mine is None else "identical" if mine == read_json(path / RUN) else "kept"
    return states


def _copy(source: Path, target: Path) -> None:
    for name in FILES:
        if (source / name).is_file():
            with atomic(target / name) as partial:
                shutil.copyfile(source / name, partial)
        elif name in (PREDICTIONS, FINAL, WEIGHTS):
            (target / name).unlink(missing_ok=True)


# ---- verification ----


def verify(folder: Path) -> None:
    """Check that a run folder's files are those of one finished run and agree with each other; a `RepriseError` names file and reason."""
    for name in FILES:
        if (folder / name).is_symlink():
            _refuse(folder / name, "is a link")
    document = read_json(folder / RUN)
    spec, meta = _identity(document, folder)
    try:
        history = _history(folder / HISTORY, spec, meta)
        if (folder / FINAL).exists() or (folder / PREDICTIONS).exists():
            _evaluation(folder, spec, meta, history)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        _refuse(folder, f"its files do not fit together ({type(error).__name__}: {error})")
    if (folder / WEIGHTS).exists():
        read_weights(folder / WEIGHTS)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise RepriseError(f"{path}: {reason}; get this run again from its source")


def _identity(document: Any, folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """`spec` and `meta` of a `run.json` that belongs in this folder."""
    path = folder / RUN
    if not isinstance(document, dict) or not all(isinstance(document.get(key), dict) for key in ("spec", "meta")):
        _refuse(path, "is no run (run, spec, meta)")
    if not re.fullmatch(r"[0-9a-f]{12}", folder.name) or document.get("run") != folder.name:
        _refuse(path, f"is of run {document.get('run')}, its folder is {folder.name}")
    try:
        found = digest(document["spec"])
    except ValueError as error:  # not a number, infinity
        _refuse(path, f"its settings are none ({error})")
    if found != folder.name:
        _refuse(path, f"its settings are those of run {found}, not of {folder.name}")
    return document["spec"], document["meta"]


def _history(path: Path, spec: Mapping[str, Any], meta: Mapping[str, Any]) -> pd.DataFrame:
    """The history, if it is that of a whole run with these settings."""
    table = read_table(path, ("run", "epoch", "split", "loss", "accuracy"))
    training, epochs = spec["training"], meta["epochs"]
    validating = "test" if spec["split"]["validation"] == "test" else "validation"
    if set(table["run"]) != {path.parent.name}:
        _refuse(path, "has rows of another run")
    expected = ((epoch, split) for epoch in range(1, epochs + 1) for split in ("train", validating))
    if len(table) != 2 * epochs or list(zip(table["epoch"], table["split"], strict=True)) != list(expected):
        _refuse(path, f"is not {epochs} epochs of train and {validating}, as {RUN} says")
    rows = table.to_dict("records")
    lost = "study" in spec and diverged(rows)  # the last epoch of a trial that diverged
    if not all(math.isfinite(loss) for loss in table["loss"][: -2 if lost else None]) or not table["accuracy"].between(0, 1).all():
        _refuse(path, "has values that are not finite, or accuracies outside 0 to 1")
    if lost != (meta["stopped"] == "diverged"):
        _refuse(path, f"has losses that do not fit {RUN}, which says that the run stopped: {meta['stopped']}")
    selected = selected_epoch(rows, training["select"])
    if selected != meta["selected_epoch"]:
        _refuse(path, f"epoch {selected} is the one that {training['select']} selects, {RUN} says {meta['selected_epoch']}")
    judged = "study" in spec and meta["stopped"] not in ("finished", "early stop")  # by trials that may not be here
    if epochs != training["epochs"] and not judged and not stops_early(rows, training.get("early_stop")):
        _refuse(path, f"ends after {epochs} of {training['epochs']} epochs without a rule that stops it there")
    if meta["source"] != spec["dataset"]["source"]:
        _refuse(path.parent / RUN, f"is for {spec['dataset']['source']} images and was trained on {meta['source']} ones")
    return table


def _evaluation(folder: Path, spec: Mapping[str, Any], meta: Mapping[str, Any], history: pd.DataFrame) -> None:
    """Predictions and final metrics agree with each other, with the history and with `run.json`."""
    predictions = read_table(folder / PREDICTIONS, ("run", "image", "label", "predicted"))
    final = read_table(folder / FINAL, ("run", "metric", "value"))
    for name, table in ((PREDICTIONS, predictions), (FINAL, final)):
        if set(table["run"]) != {folder.name}:
            _refuse(folder / name, "has rows of another run")
    if predictions["image"].duplicated().any():
        _refuse(folder / PREDICTIONS, "has two predictions for one image")
    stored = dict(zip(final["metric"], final["value"], strict=True))
    computed = classification_metrics(predictions["label"].to_numpy(), predictions["predicted"].to_numpy())
    computed |= training_metrics(history, meta, computed["accuracy"])
    for name, value in computed.items():
        found = stored.get(name, math.inf)
        if not (abs(found - value) <= TOLERANCE or (math.isnan(found) and math.isnan(value))):
            _refuse(folder / FINAL, f"{name} is {stored.get(name)}, the predictions and the history give {value}")
    if spec["split"]["validation"] == "test":
        validated = history[(history["split"] == "test") & (history["epoch"] == meta["selected_epoch"])]["accuracy"].iloc[0]
        count = len(predictions)
        tolerance = max(3, 0.001 * count) / count + TOLERANCE  # training and evaluation may have run on different devices
        if abs(validated - computed["accuracy"]) > tolerance:
            _refuse(folder / PREDICTIONS, f"gives accuracy {computed['accuracy']}, the history says {validated} for the selected epoch")
