"""What is there. A stamp says that a step has ended; what it stands for may have been deleted since, or lie
where it was copied to without its stamp. Only names are looked up here: content is compared with its record
by whoever reads it (see `reprise.records`).
"""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.files import read_json
from reprise.records import FILES
from reprise.reports.layout import EVALUATION, FINAL, PREDICTIONS, RUN, WEIGHTS_FILE, Layout


def has_trained(layout: Layout, run: str) -> bool:
    """Whether the run has its stamp `trained.json` and every file that the stamp names.

    An evaluated run does without its weights: nothing of what is published reads them.
    """
    stamp = layout.trained(run)
    names = _names(stamp.parent)
    if stamp.name not in names:
        return False
    files = _read(stamp).get(FILES)
    if not isinstance(files, Mapping):  # of an earlier version, whose stamps name no files
        return True
    wanted = {RUN, *files}
    if {PREDICTIONS, FINAL} <= names:
        wanted.discard(WEIGHTS_FILE)
    elif WEIGHTS_FILE not in names:
        return False
    return wanted <= names


def has_evaluated(layout: Layout, run: str) -> bool:
    """Whether the run, which is trained, has its stamp `evaluated.json` and what evaluation writes."""
    stamp = layout.evaluated(run)
    names = _names(stamp.parent)
    if stamp.name not in names:
        return False
    if FILES not in _read(layout.trained(run)):
        return True
    return {EVALUATION, PREDICTIONS, FINAL} <= names


class Arrays(Enum):
    """The decoded arrays of a data set."""

    ABSENT = "absent"
    PARTIAL = "partial"
    """Some of them, or their record, are not there."""
    OTHER = "other"
    """All of them, but of other synthetic images than are asked for."""
    WHOLE = "whole"


def arrays(folder: Path, images: Mapping[str, int] | None = None) -> Arrays:
    """What there is of a data set. images: split → images of all classes together that synthetic ones are to
    have, as the configuration says.
    """
    record = folder / "dataset.json"
    names = _names(folder)
    if not record.is_file():
        return Arrays.PARTIAL if any(name.endswith(".npy") for name in names) else Arrays.ABSENT
    facts = _read(record)
    files = facts.get(FILES)
    if isinstance(files, Mapping) and not set(files) <= names:
        return Arrays.PARTIAL
    if images and not _as_many(facts, images):
        return Arrays.OTHER
    return Arrays.WHOLE


def has_archive(stamp: Path) -> bool:
    """Whether a stamp of an archive, or of weights, is there and the file that it names."""
    if not stamp.is_file():
        return False
    name = _read(stamp).get("file")
    return not isinstance(name, str) or (stamp.parent / name).exists()


def date_now(paths: Iterable[Path]) -> None:
    """Date files that come from the future, of a machine whose clock is ahead, now: Snakemake would take what
    is made from them for damaged and delete it. A file that cannot be dated stays as it is.
    """
    now = time.time()
    for path in paths:
        with contextlib.suppress(OSError):
            if path.stat().st_mtime > now:
                os.utime(path)


def _as_many(facts: Mapping[str, Any], images: Mapping[str, int]) -> bool:
    """Whether synthetic arrays have as many images as are drawn (as many of each class) for such numbers."""
    try:
        classes = max(map(len, facts["classes"].values()))
        return all(
            facts["splits"][split]["images"] == max(1, count // classes) * classes
            for split, count in images.items()
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return True  # nothing that could be compared


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _read(path: Path) -> Mapping[str, Any]:
    """A small JSON file; nothing where it cannot be read."""
    try:
        found = read_json(path)
    except (OSError, RepriseError):
        return {}
    return found if isinstance(found, dict) else {}
