"""Finished runs as files that others can use: export, and import after a check that each run is what it
says.
"""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache as cache_calls
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reprise.errors import DamagedError, RepriseError, UnwritableError, gist
from reprise.evaluation.evaluate import trained_network
from reprise.evaluation.verification import (
    NetworkOf,
    check_images,
    check_labels,
    check_metrics,
    check_network,
    check_sample,
)
from reprise.files import atomic, write_json
from reprise.folders import listing
from reprise.parquet import read_table as read_columns
from reprise.progress import say
from reprise.records import FILES, check_file, file_digest, read_record
from reprise.reports.layout import (
    CHECKPOINT,
    EVALUATION,
    FINAL,
    HISTORY,
    LOCK,
    OTHERS,
    PREDICTIONS,
    RUN,
    WEIGHTS_FILE,
)
from reprise.reports.run import Run, digest
from reprise.results.cache import RUNS, SUMS, Caches, add
from reprise.results.entry import Entry, TestImages
from reprise.results.history import HISTORY_COLUMNS
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
WEIGHTS = "weights"
"""In a run.json without the weights beside it: their SHA-256."""
HASH = r"[0-9a-f]{12}"
"""A run's name."""
GET_AGAIN = "get this run again from its source"

DatasetOf = Callable[[str, str], Path | None]


def entry_of(folder: Path, remedy: str = TRAIN_AGAIN) -> Entry:
    """The run in `folder`, verified, as an entry of a run cache; a `RepriseError` says what is wrong."""
    document = verify(folder, remedy=remedy)
    rows = read_columns(folder / HISTORY, HISTORY_COLUMNS, remedy)
    history = list(zip(*(rows[name] for name in HISTORY_COLUMNS[1:]), strict=True))
    weights = document.get(FILES, {}).get(WEIGHTS_FILE) or document.get(WEIGHTS)
    if weights is None and (folder / WEIGHTS_FILE).is_file():  # of an earlier version, without records
        weights = file_digest(folder / WEIGHTS_FILE)
    run, meta = Run(document["spec"]), document["meta"]
    if not (folder / FINAL).is_file():
        return Entry(run, meta, history, weights=weights)
    final = read_columns(folder / FINAL, ("metric", "value"), remedy)
    seen = read_columns(folder / PREDICTIONS, ("image", "label", "predicted"), remedy)
    tested = TestImages(np.array(seen["image"]), np.array(seen["label"]))
    metrics = dict(zip(final["metric"], final["value"], strict=True))
    return Entry(run, meta, history, metrics, tested, np.array(seen["predicted"]), weights)


def export_runs(
    runs_dir: Path, hashes: Sequence[str], cache: Path, *, weights: bool = False
) -> dict[str, str]:
    """Add finished runs from `runs_dir` to the run cache in the folder `cache`, with their weights if asked
    for; run → state, as `reprise.results.cache.add` gives it.

    All are verified first: one `RepriseError`, and none is added. Without weights a run must be evaluated.
    """
    entries, files = [], {}
    for name in dict.fromkeys(hashes):
        folder = Path(runs_dir) / name
        if Path(name).name != name or not (folder / RUN).is_file():
            raise RepriseError(f"run {name}: no result in {runs_dir}; train it first")
        entry = entry_of(folder)
        if not weights and not entry.evaluated:
            raise RepriseError(f"run {name}: not evaluated; evaluate it first, or export its weights, too")
        if weights and (folder / WEIGHTS_FILE).is_file():
            files[name] = folder / WEIGHTS_FILE
        elif weights:
            say(f"{folder}: its weights were not kept, so it is exported without them")
        entries.append(entry)
    states = add(Path(cache), entries, files)
    compare_results(Caches([str(cache)], Path(cache)), states, Path(runs_dir))
    return states


def unpack_runs(caches: Caches, entries: Iterable[Entry], folder: Path) -> None:
    """Write entries of run caches to `folder/<run>/`, as `import_runs` takes them, with their weights where a
    cache has these.
    """
    for entry in entries:
        target = folder / entry.run.hash
        target.mkdir(parents=True)
        entry.history_table().to_parquet(target / HISTORY, index=False)
        if entry.evaluated:
            entry.predictions_table().to_parquet(target / PREDICTIONS, index=False)
            entry.final_table().to_parquet(target / FINAL, index=False)
        if weights := caches.weights(entry):
            shutil.copyfile(weights, target / WEIGHTS_FILE)
        kept = {WEIGHTS: entry.weights} if entry.weights else {}
        document = {"run": entry.run.hash, "spec": entry.run.spec, "meta": entry.meta, **kept}
        (target / RUN).write_text(json.dumps(document), encoding="utf-8")


def import_entries(caches: Caches, entries: Sequence[Entry], cache: Path, **options: Any) -> dict[str, str]:
    """Import entries of run caches as `import_runs` does, whose `options` these are: all are verified first,
    and one that is refused is a `DamagedError`. Messages name the run, and not the folder that is gone then.
    """
    with tempfile.TemporaryDirectory(prefix="reprise-import-") as name:
        unpack_runs(caches, entries, Path(name))
        try:
            states = import_runs(Path(name), cache, **options)
        except UnwritableError:
            raise
        except DamagedError as error:
            raise DamagedError(error.what.replace(f"{name}/", "run "), error.remedy) from None
        except RepriseError as error:
            raise RepriseError(str(error).replace(f"{name}/", "run ")) from None
    compare_results(caches, states, cache)
    return states


def restore(caches: Caches, runs: Iterable[str], cache: Path, **options: Any) -> dict[str, str]:
    """Import those of the runs that the caches hold, evaluated and verified as `import_runs` does; run →
    state. What cannot be used is one line each, and is not tried again.
    """
    found = caches.find(runs)
    if not found:
        return {}
    try:
        states = import_entries(caches, list(found.values()), cache, **options)
    except DamagedError:  # which of them it is shows one by one
        states = {}
        for run, entry in found.items():
            try:
                states |= import_entries(caches, [entry], cache, **options)
            except DamagedError as error:
                what = error.what.rpartition(f"{run}/")[2]
                say(f"run {run}: entry {entry.name} is not used: {what}; the run is trained instead")
                caches.refuse(entry)
    return states


def compare_results(caches: Caches, runs: Iterable[str], runs_dir: Path) -> None:
    """Of each run of which the caches hold several results, write beside the one in `runs_dir/<run>/` what
    the others have found, and whether it is the same, bit for bit: the page of statements compares them.
    """
    for run in runs:
        if caches.count(run) < 2:
            continue
        mine = entry_of(runs_dir / run)
        others = [
            {
                "accuracy": other.final["accuracy"],
                "loss": other.final["loss"],
                "device": str(other.meta.get("device", "")),
                "finished": str(other.meta.get("finished", "")),
                "same": other.same_result(mine),
            }
            for other in caches.results(run)
            if other.evaluated and other.name != mine.name
        ]
        if others and mine.evaluated:
            write_json(runs_dir / run / OTHERS, others)


def is_cache(folder: Path) -> bool:
    """Whether a folder is a run cache, and not what earlier versions exported: a folder for each run."""
    return any((folder / name).exists() for name in (SUMS, RUNS)) or not folder.is_dir()


def import_runs(
    folder: Path,
    cache: Path,
    *,
    synthetic: bool,
    dataset_of: DatasetOf | None = None,
    network_of: NetworkOf | None = None,
) -> dict[str, str]:
    """Copy the runs in `folder/<run>/` to `cache`: all of synthetic images (those of the demo), or none.

    All are verified first, as `verify` says: one `RepriseError`, and none is copied. Runs in training, and
    folders beside the runs that are not named as one (a copy that somebody kept), are left out, and a line
    says so. Runs of earlier versions get their records. `dataset_of` gives the folder of a data set (name,
    source) that is at hand, else None; `network_of` the network of a run.

    Run → `imported`, or where `cache` has the run already, whole, and keeps it, `identical` (the same
    settings and `meta`) or `kept`.
    """
    found = [path for path in listing(Path(folder)) if path.is_dir()] if Path(folder).is_dir() else []
    unfinished = [path for path in found if in_training(path)]
    if unfinished:
        say(f"{folder}: {len(unfinished)} of {len(found)} runs are not finished and are left out")
        found = [path for path in found if path not in unfinished]
    own = [path for path in found if re.fullmatch(HASH, path.name)]
    if own and (others := [path.name for path in found if path not in own]):
        say(f"{folder}: left out, because no run has such a name: {', '.join(others)}")
        found = own
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


def in_training(folder: Path) -> bool:
    """Whether the run of a folder has been begun and is not finished."""
    return not (folder / RUN).exists() and any((folder / name).exists() for name in (LOCK, CHECKPOINT))


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
    weights = document.pop(WEIGHTS, None) or document.get(FILES, {}).get(WEIGHTS_FILE)
    if weights and not (target / WEIGHTS_FILE).exists():
        document[WEIGHTS] = weights
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
        _refuse(folder, f"has neither {WEIGHTS_FILE} nor {PREDICTIONS}, so it is of no use", remedy)
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
        _refuse(path, "is not the record of a run (run, spec, meta)", remedy)
    if not re.fullmatch(HASH, folder.name) or document.get("run") != folder.name:
        _refuse(path, f"is of run {document.get('run')}, its folder is {folder.name}", remedy)
    try:
        found = digest(document["spec"])
    except ValueError as error:
        _refuse(path, f"its settings are not valid ({error})", remedy)
    if found != folder.name:
        _refuse(path, f"its settings are those of run {found}, not of {folder.name}", remedy)
    run = Run(document["spec"])
    try:
        _ = run.settings
    except RepriseError as error:
        _refuse(path, str(error).removeprefix(f"run {run.hash}: "), remedy)
    return run, document["meta"]
