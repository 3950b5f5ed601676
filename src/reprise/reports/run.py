"""A run: one training with one seed, named by the hash of its canonical JSON."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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

    `spec` holds, after `prune` (an absent key means none, off, or zero as said here):

    - `engine`: `ENGINE`.
    - `dataset`: `name`; `labels`, the column of labels that is learned; `source`, `real`, `synthetic` or
      `stand-in`; `classes`, the names kept (absent: all); `per_class`, the number of training and test images
      kept of every class (absent: all).
    - `split`: `validation`, either `test` (the test set is used to validate), `official` (the data set's own
      validation part) or the fraction of the training images held out for it (stratified: no; drawn with seed
      `split`); `augmented`: these are augmented like the training images.
    - `preprocess`: `normalize`, one of `none` (pixels in [0, 1]), `train` (mean and deviation of the run's
      own training part), `half` (to [-1, 1]), `imagenet`; `resize`, pixels of the shorter side; `crop`,
      pixels of the central crop after it; `sharpen`, a factor.
    - `augmentation`: a list of one-key mappings, applied to training images in this order.
    - `model`: `name`, the family, and that family's parameters.
    - `initial_weights`: `run`, the hash of the run whose selected weights are loaded first; `drop`, prefixes
      of the names of parameters that stay as initialised.
    - `optimizer`: `name` and the parameters of the torch optimiser of that name.
    - `schedule`: `name` and parameters; absent: constant.
    - `regularization`: `elastic_net` (`alpha`, `lambda`) on the weights of the output layer.
    - `training`: `epochs`, `batch_size`, `select` (`best_accuracy`, `best_loss`, `last` or `window` on the
      validation part), `drop_last`, `keep_originals` (an epoch has every image twice, as it is and
      augmented), `early_stop` (`monitor` `accuracy` or `loss`, `patience`, `min_epochs`, `rule`).
    - `study`: the run is a trial of a search with asynchronous successive halving: `trial`, counted from 0;
      `after`, the hash of the trial before it, so that the identity of a trial covers all that its stopping
      depends on; `min_resource`, `reduction_factor`.
    - `seeds`: `split`, `init`, `order`, `augmentation`.
    """

    spec: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        return digest(self.spec)

    @property
    def parent(self) -> str | None:
        """Hash of the run whose weights this one starts from."""
        return self.spec.get("initial_weights", {}).get("run")

    @property
    def follows(self) -> list[str]:
        """Hashes of the runs that must be finished before this one: its parent, and the trial before it."""
        return [run for run in (self.parent, self.spec.get("study", {}).get("after")) if run]

    @property
    def pretrained(self) -> str | None:
        """The architecture whose weights from ImageNet the network starts with."""
        model = self.spec["model"]
        return model["arch"] if model.get("weights") == "imagenet" else None

    @property
    def validation_split(self) -> str:
        """`test` or `validation`: what the images that validate are called in the history."""
        return "test" if self.spec["split"]["validation"] == "test" else "validation"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


def datasets(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and source of each data set that the runs train on."""
    return sorted({(run.spec["dataset"]["name"], run.spec["dataset"]["source"]) for run in runs})
