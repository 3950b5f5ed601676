"""Finished runs as files that others can use: export, and import after a check that each run is what it
says.
"""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache as cache_calls
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reprise.errors import DamagedError, RepriseError, gist
from reprise.evaluation.evaluate import trained_network
from reprise.evaluation.verification import (
    NetworkOf,
    check_images,
    check_labels,
    check_metrics,
    check_network,
    check_sample,
)
from reprise.files import atomic
from reprise.records import FILES, check_file, read_record
from reprise.reports.layout import EVALUATION, FINAL, HISTORY, PREDICTIONS, RUN, WEIGHTS_FILE
from reprise.reports.run import Run, digest
from reprise.training.parts import Datasets
from reprise.training.results import (
    TRAIN_AGAIN,
    check_evaluation,
    check_history,
    check_own_folder,
    finished,
    read_weights,
    write_evaluation_record,
    write_run_record,
)

EXCHANGED = (HISTORY, WEIGHTS_FILE, PREDICTIONS, FINAL, EVALUATION, RUN)
"""What is exchanged, where it is there; `run.json` is copied last."""
GET_AGAIN = "get this run again from its source"

DatasetOf = Callable[[str, str], Path | None]


def export_runs(cache: Path, hashes: Sequence[str], out_dir: Path) -> int:
    """Copy finished runs from `cache` to `out_dir/<run>/`; their number. All are verified first: one
    `RepriseError`, and none is copied.
    """
    for name in hashes:
        if Path(name).name != name or not (Path(cache) / name / RUN).is_file():
            raise RepriseError(f"run {name}: no result in {cache}; train it first")
        verify(Path(cache) / name, remedy=TRAIN_AGAIN)
    for name in hashes:
        _copy(Path(cache) / name, Path(out_dir) / name)
    return len(hashes)


def import_runs(
    folder: Path,
    cache: Path,
    *,
    synthetic: bool,
    dataset_of: DatasetOf | None = None,
    network_of: NetworkOf | None = None,
) -> dict[str, str]:
    """Copy the runs in `folder/<run>/` to `cache`: all of synthetic images (those of the demo), or none.

    All are verified first, as `verify` says: one `RepriseError`, and none is copied. Runs of earlier versions
    get their records. `dataset_of` gives the folder of a data set (name, source) that is at hand, else None;
    `network_of` the network of a run.

    Run → `imported`, or where `cache` has the run already, whole, and keeps it, `identical` (the same
    settings and `meta`) or `kept`.
    """
    found = sorted(path for path in Path(folder).glob("*") if path.is_dir())
    if not found:
        raise RepriseError(f"{folder}: holds no exported run; give the folder that export wrote")

    @cache_calls
    def images(name: str, source: str) -> Datasets | None:
        at_hand = dataset_of(name, source) if dataset_of else None
        return Datasets({name: at_hand}, torch.device("cpu")) if at_hand else None

    documents = {}
    for path in found:
        if not (path / RUN).exists():
            raise RepriseError(f"{path}: holds no exported run (no {RUN}); give the folder that export wrote")
        documents[path] = verify(path, network_of)
        run = Run(documents[path]["spec"])
        dataset, theirs = run.settings.dataset.name, run.settings.dataset.source
        if (theirs == "synthetic") != synthetic:
            scale = "--scale demo" if theirs == "synthetic" else "--scale full or quick"
            raise RepriseError(
                f"{path}: is of {theirs} images, this scale is for {'synthetic' if synthetic else 'real'} "
                f"ones; import it with {scale}"
            )
        if datasets := images(dataset, theirs):
            verify_with_images(path, run, documents[path]["meta"], datasets)
    states = {}
    for path, document in documents.items():
        mine = finished(Path(cache) / path.name)
        if mine is None:
            check_own_folder(Path(cache) / path.name)
            _copy(path, Path(cache) / path.name)
        same = mine is not None and all(mine[key] == document[key] for key in ("spec", "meta"))
        states[path.name] = "imported" if mine is None else "identical" if same else "kept"
    return states


def _copy(source: Path, target: Path) -> None:
    """Copy a run. `run.json` comes last, with a new record of what the copies hold, which must be what the
    old one, if any, says.
    """
    (target / RUN).unlink(missing_ok=True)
    for name in EXCHANGED[:-1]:
        if (source / name).is_file():
            with atomic(target / name) as partial:
                shutil.copyfile(source / name, partial)
        else:
            (target / name).unlink(missing_ok=True)
    document = read_record(source / RUN, GET_AGAIN, legacy=True)
    for name in (HISTORY, WEIGHTS_FILE):
        if FILES in document and (target / name).exists():
            check_file(target / name, document[FILES], GET_AGAIN)
    if (target / EVALUATION).exists():
        check_evaluation(target)
    elif (target / FINAL).exists():
        write_evaluation_record(target)
    write_run_record(target, document)


# ---- verification ----


def verify(folder: Path, network_of: NetworkOf | None = None, remedy: str = GET_AGAIN) -> dict[str, Any]:
    """`run.json` of a run whose files are those of one finished run and agree with each other; a
    `RepriseError` names file and reason.

    The files are compared with their records, where there are some, and what can be is computed again:
    metrics from predictions and history, the selected epoch, where the run stopped. With `network_of`,
    weights and numbers of parameters must be those of the run's network. A run with neither weights nor an
    evaluation is refused.
    """
    for name in EXCHANGED:
        if (folder / name).is_symlink():
            _refuse(folder / name, "is a link", remedy)
    document = read_record(folder / RUN, remedy, legacy=True)
    run, meta = _identity(document, folder, remedy)
    evaluation = any((folder / name).exists() for name in (EVALUATION, PREDICTIONS, FINAL))
    weights = (folder / WEIGHTS_FILE).exists()
    if not weights and not evaluation:
        _refuse(folder, f"has neither {WEIGHTS_FILE} nor {PREDICTIONS}, so nothing can be made of it", remedy)
    with _fitting(folder, remedy):
        for name in (HISTORY, WEIGHTS_FILE) if weights else (HISTORY,):
            if FILES in document:
                check_file(folder / name, document[FILES], remedy)
        history = check_history(folder, run, meta, remedy)
        if meta["source"] != (source := run.settings.dataset.source):
            what = f"is for {source} images and was trained on {meta['source']} ones"
            _refuse(folder / RUN, what, remedy)
        if evaluation:
            check_evaluation(folder)
            check_metrics(folder, run, meta, history, remedy)
        if weights:
            read_weights(folder / WEIGHTS_FILE)
        if network_of is not None:
            check_network(folder, meta, _network(folder, run, network_of, remedy), remedy)
    return document


@contextlib.contextmanager
def _fitting(folder: Path, remedy: str) -> Iterator[None]:
    """What is wrong with a run's files, with the remedy that fits where they come from."""
    try:
        yield
    except DamagedError as error:
        raise DamagedError(error.what, remedy) from None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        _refuse(folder, f"its files do not fit together ({type(error).__name__}: {gist(error)})", remedy)


def _network(folder: Path, run: Run, network_of: NetworkOf, remedy: str) -> nn.Module:
    try:
        return network_of(run)
    except Exception as error:  # whatever torch makes of settings that are none
        raise DamagedError(f"{folder / RUN}: its network cannot be built ({gist(error)})", remedy) from None


def verify_with_images(folder: Path, run: Run, meta: Mapping[str, Any], datasets: Datasets) -> None:
    """Compare a verified run with the images that it was trained on, where they are the ones at hand; what
    differs is a `DamagedError`.

    Numbers of images, the test images and their labels must be those of the run; of an evaluated run with
    weights the predictions of a sample are computed again.
    """
    if not datasets.has(run, meta):
        return
    with _fitting(folder, GET_AGAIN):
        data = datasets.of(run)
        check_images(folder, run, meta, data, GET_AGAIN)
        if (folder / PREDICTIONS).exists():
            predictions = check_labels(folder, data, GET_AGAIN)
            if (folder / WEIGHTS_FILE).exists():
                check_sample(folder, predictions, data, trained_network(run, data, folder), GET_AGAIN)


def _refuse(path: Path, reason: str, remedy: str) -> None:
    raise DamagedError(f"{path}: {reason}", remedy)


def _identity(document: Mapping[str, Any], folder: Path, remedy: str) -> tuple[Run, Mapping[str, Any]]:
    """Run and `meta` of a `run.json` that belongs in this folder."""
    path = folder / RUN
    if not all(isinstance(document.get(key), dict) for key in ("spec", "meta")):
        _refuse(path, "is no run (run, spec, meta)", remedy)
    if not re.fullmatch(r"[0-9a-f]{12}", folder.name) or document.get("run") != folder.name:
        _refuse(path, f"is of run {document.get('run')}, its folder is {folder.name}", remedy)
    try:
        found = digest(document["spec"])
    except ValueError as error:
        _refuse(path, f"its settings are none ({error})", remedy)
    if found != folder.name:
        _refuse(path, f"its settings are those of run {found}, not of {folder.name}", remedy)
    run = Run(document["spec"])
    try:
        _ = run.settings
    except RepriseError as error:
        _refuse(path, str(error).removeprefix(f"run {run.hash}: "), remedy)
    return run, document["meta"]
