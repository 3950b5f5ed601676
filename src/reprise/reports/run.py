"""A run: one training with one seed, named by the hash of its canonical JSON."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reprise.schema import parse

if TYPE_CHECKING:
    from reprise.reports.settings import RunSettings

ENGINE = 1
"""Meaning of a run's settings. Raise it only when the same settings give other results (the golden losses in
`tests/golden/` move): every run then gets a new hash and is trained again."""


def prune(value: Any) -> Any:
    """`value` without nulls and empty containers, so that a setting added later leaves older hashes alone."""
    if isinstance(value, Mapping):
        kept = {key: prune(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item != {} and item != []}
    if isinstance(value, list | tuple):
        return [
            item for item in map(prune, value) if item != {}
        ]  # such as {jitter: {}}, which changes nothing
    return value


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; numbers that are equal are written the same (1 and 1.0, 1e-3 and
    0.001).
    """

    def plain(item: Any) -> Any:
        if isinstance(item, str | int):  # most are; abstract types are slow to ask for
            return item
        if isinstance(item, Mapping):
            return {str(key): plain(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [plain(inner) for inner in item]
        if isinstance(item, float) and item.is_integer():
            return int(item)
        return item

    return _JSON.encode(plain(value))


def digest(value: Any) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


_META: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        ("epochs", "selected_epoch", "threads", "parameters", "train_images", "validation_images"), int
    ),
    **dict.fromkeys(("stopped", "source", "device", "torch", "dtype", "started", "finished"), str),
    **dict.fromkeys(("channel_mean", "channel_std", "learning_rates"), list),
    "seconds": (int, float),
    "data": dict,
    "judged_in_order": bool,
}
"""Key of `meta` in a run.json → its type, where it is there."""


def check_record(document: Any, run: str) -> None:
    """Raise a `ValueError` unless `document` is the run.json of `run`: its `spec`, which has that hash, and a
    `meta` of the right types.
    """
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), dict) for key in ("spec", "meta")
    ):
        raise ValueError("no record of a run")
    if document.get("run") != run:
        raise ValueError(f"it is of run {document.get('run')}")
    if digest(document["spec"]) != run:
        raise ValueError(f"its settings are those of run {digest(document['spec'])}")
    for key, kind in _META.items():
        value = document["meta"].get(key)
        if key in document["meta"] and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            raise ValueError(f"its meta.{key} is {value!r}")
        numbers = value if isinstance(value, list) else [value] if kind is int or key == "seconds" else []
        if not all(
            each is None or (isinstance(each, int | float) and math.isfinite(each)) for each in numbers
        ):
            raise ValueError(f"its meta.{key} is {value!r}")


@dataclass(frozen=True, eq=False)
class Run:
    """One training with one seed.

    `spec`, after `prune`, is what is hashed, recorded in run.json and compared; `settings` is how it is read.
    The meaning of each key stands in `reprise.reports.settings`.
    """

    spec: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        return digest(self.spec)

    @cached_property
    def settings(self) -> "RunSettings":
        """`spec`, typed. One that is no run's, as a foreign run.json may hold, is a `RepriseError`."""
        from reprise.reports.settings import RunSettings  # which imports what other packages add

        return parse(RunSettings, self.spec, f"run {self.hash}")

    @property
    def parent(self) -> str | None:
        """Hash of the run whose weights this one starts from."""
        return self.settings.initial_weights.run if self.settings.initial_weights else None

    @property
    def follows(self) -> list[str]:
        """Hashes of the runs that must be finished before this one: its parent, and the trial before it."""
        study = self.settings.study
        return [run for run in (self.parent, study and study.after) if run]

    @property
    def pretrained(self) -> str | None:
        """The architecture whose weights from ImageNet the network starts with."""
        model = self.settings.model
        return model.get("arch") if model.get("weights") == "imagenet" else None

    @property
    def validation_split(self) -> str:
        """`test` or `validation`: what the images that validate are called in the history."""
        return "test" if self.settings.split.validation == "test" else "validation"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


def datasets(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and source of each data set that the runs train on."""
    return sorted({(run.settings.dataset.name, run.settings.dataset.source) for run in runs})
