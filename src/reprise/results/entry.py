"""An entry of a run cache: one finished run without its weights, as one small file that everybody can use.

It is a JSON document, compressed by xz (`xz -dc FILE | python -m json.tool` shows it): `run`, `spec` and
`meta` as run.json has them; `history`, loss and accuracy of each epoch; `final`, the metrics; `predictions`,
the predicted class of each test image, as bytes; the SHA-256 of its weights, where they were kept, and that
of itself. The test images and their labels are the same for all runs of a data set: they stand once beside
the entries, in a file that is named by its content.

The predictions stand in the order of the labels: those of one class are mostly equal, and so take less room.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import lzma
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reprise.errors import RepriseError, gist
from reprise.files import parse_json
from reprise.parquet import MOST_CLASSES, MOST_EPOCHS, MOST_ROWS
from reprise.records import DIGEST, seal, unseal
from reprise.reports.run import Run, check_record

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
MOST_ENTRY = 1 << 20
"""Bytes of an entry, packed; the largest that the reports give has a fortieth of them."""
MOST_UNPACKED = 1 << 25
TEXT = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]
CLASSES = [{**TEXT[0], "lc": 0, "lp": 0, "pb": 0}]
"""How text is packed, and classes, which say little about the next one. Small dictionaries: large ones take
longer to set up than all else.
"""


@dataclass(frozen=True, eq=False)
class TestImages:
    """What was predicted: the places of the test images in the data set and their labels, whole numbers (N,)
    each.
    """

    __test__ = False  # pytest would take it for tests

    images: np.ndarray
    labels: np.ndarray

    @cached_property
    def name(self) -> str:
        """First 16 hex digits of the SHA-256 of both, as little-endian 32-bit numbers."""
        return hashlib.sha256(_bytes(self.images, "<u4") + _bytes(self.labels, "<u4")).hexdigest()[:16]

    def pack(self) -> bytes:
        steps = np.diff(self.images.astype("<i8"), prepend=0)
        content = {"format": FORMAT, "steps": _text(steps, "<i4"), "labels": _text(self.labels, "<u2")}
        return _packed(seal(content))

    @classmethod
    def unpack(cls, packed: bytes, name: str) -> TestImages:
        """What `pack` has made; a `ValueError` for anything else, and for test images of another name."""
        content = document_of(packed)
        steps, labels = _numbers(content["steps"], "<i4"), _numbers(content["labels"], "<u2")
        found = cls(np.cumsum(steps.astype(np.int64)), labels.astype(np.int64))
        if len(steps) != len(labels) or not len(labels) or found.images.min() < 0:
            raise ValueError("no test images")
        if labels.max() >= MOST_CLASSES:
            raise ValueError(f"label {labels.max()}")
        if found.name != name:
            raise ValueError(f"it holds the test images {found.name}")
        return found


@dataclass(frozen=True, eq=False)
class Entry:
    """A finished run.

    meta: as in run.json. history: rows of epoch, split, loss and accuracy, in the order in which training
    wrote them. final: metric → value. tested and predicted: what its evaluation saw, and the predicted
    classes (N,). A run that was not evaluated has neither final metrics nor predictions. weights: their
    SHA-256.
    """

    run: Run
    meta: Mapping[str, Any]
    history: Sequence[tuple[int, str, float, float]]
    final: Mapping[str, float] = field(default_factory=dict)
    tested: TestImages | None = None
    predicted: np.ndarray | None = None
    weights: str | None = None
    stored: str = field(default="", init=False)
    """Its name in the cache that it is from; a copy with other content (`replace`) has none."""

    @cached_property
    def document(self) -> dict[str, Any]:
        """As it is written, with its SHA-256."""
        splits = list(dict.fromkeys(split for _, split, _, _ in self.history))
        by_split = {
            split: {
                "loss": [_number(loss) for _, of, loss, _ in self.history if of == split],
                "accuracy": [_number(accuracy) for _, of, _, accuracy in self.history if of == split],
            }
            for split in splits
        }
        content: dict[str, Any] = {
            "format": FORMAT,
            "run": self.run.hash,
            "spec": self.run.spec,
            "meta": self.meta,
            "splits": splits,
            "history": by_split,
        }
        if self.tested is not None and self.predicted is not None:
            content["final"] = [[name, _number(value)] for name, value in self.final.items()]
            grouped = self.predicted[np.argsort(self.tested.labels, kind="stable")]
            content["predictions"] = {"test_images": self.tested.name, "predicted": _text(grouped, "<u2")}
        if self.weights:
            content["weights"] = self.weights
        return seal(content)

    @property
    def name(self) -> str:
        """`<run>-<8 hex digits of its SHA-256>`: two results of one run have two names."""
        return self.stored or f"{self.run.hash}-{self.document[DIGEST][:8]}"

    @property
    def evaluated(self) -> bool:
        return self.predicted is not None

    def pack(self) -> bytes:
        return _packed(self.document)

    def same_result(self, other: Entry) -> bool:
        """Whether both have found the same, bit for bit: every epoch's loss and accuracy, every prediction,
        every metric.
        """

        def found(entry: Entry) -> tuple[Any, ...]:
            numbers = [value for row in entry.history for value in row[2:]]
            final = dict(sorted(entry.final.items()))
            return (
                entry.run.hash,
                [row[:2] for row in entry.history],
                np.array([*numbers, *final.values()]).tobytes(),  # where NaN equals itself
                list(final),
                entry.tested and entry.tested.name,
                None if entry.predicted is None else entry.predicted.tolist(),
            )

        return found(self) == found(other)

    def history_table(self) -> pd.DataFrame:
        """`history` as `history.parquet` has it."""
        import pandas as pd

        table = pd.DataFrame(self.history, columns=["epoch", "split", "loss", "accuracy"])
        table.insert(0, "run", self.run.hash)
        return table

    def predictions_table(self) -> pd.DataFrame:
        """The predictions of an evaluated run, as `predictions.parquet` has them."""
        import pandas as pd

        assert self.tested is not None
        columns = {"image": self.tested.images, "label": self.tested.labels, "predicted": self.predicted}
        return pd.DataFrame({"run": self.run.hash, **columns})

    def final_table(self) -> pd.DataFrame:
        """The metrics, as `final.parquet` has them."""
        import pandas as pd

        columns = {"metric": list(self.final), "value": list(self.final.values())}
        return pd.DataFrame({"run": self.run.hash, **columns})


NAME = re.compile(r"(?P<run>[0-9a-f]{12})-(?P<digest>[0-9a-f]{8})")


def tested_by(document: Mapping[str, Any]) -> str | None:
    """The name of the test images that an entry's document needs; a `ValueError` for what is no entry."""
    predictions = document.get("predictions")
    return str(predictions["test_images"]) if predictions else None


def unpack(packed: bytes, name: str, tested: TestImages | None) -> Entry:
    """The entry of that name, checked: whole, of the run that it says, and in agreement with itself; a
    `ValueError` says what is wrong.
    """
    return entry_from(document_of(packed), name, tested)


def entry_from(content: Mapping[str, Any], name: str, tested: TestImages | None) -> Entry:
    """As `unpack`, of the document that `document_of` has given."""
    try:
        found = f"{content['run']}-{content[DIGEST][:8]}"
        if found != name:
            raise ValueError(f"it is {found[:40]}")
        entry = _entry(content, tested)
        object.__setattr__(entry, "stored", name)  # it is frozen
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not an entry ({type(error).__name__}: {gist(error)})") from None
    check_entry(entry)
    return entry


def check_entry(entry: Entry) -> None:
    """Raise a `ValueError` unless history, predictions and metrics agree with each other and with the run's
    settings, as far as that can be computed again without images and network.
    """
    from reprise.results.agreement import find_misfit
    from reprise.results.history import history_fault

    run, meta = entry.run, entry.meta
    check_record({"run": run.hash, "spec": run.spec, "meta": meta}, run.hash)
    try:
        source = run.settings.dataset.source
    except RepriseError as error:
        raise ValueError(str(error)) from None
    if meta.get("source") != source:
        raise ValueError(f"it is for {source} images and was trained on {meta.get('source')} ones")
    history = entry.history_table()
    if fault := history_fault(history, run, meta):
        raise ValueError(f"its history {fault}")
    if entry.evaluated:
        try:
            found = find_misfit(run, meta, history, entry.predictions_table(), entry.final_table())
        except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"does not fit together ({type(error).__name__}: {gist(error)})") from None
        if found:
            raise ValueError(f"its {found[0].partition('.')[0]} {found[1]}")


def _entry(content: Mapping[str, Any], tested: TestImages | None) -> Entry:
    check_record(content, str(content["run"]))
    splits, epochs = content["splits"], len(next(iter(content["history"].values()))["loss"])
    if not 1 <= len(splits) <= 3 or not 1 <= epochs <= MOST_EPOCHS:
        raise ValueError(f"a history of {epochs} epochs")
    history = []
    for epoch in range(epochs):
        for split in splits:
            row = content["history"][split]
            history.append(
                (epoch + 1, str(split), _value(row["loss"][epoch]), _value(row["accuracy"][epoch]))
            )
    if any(len(content["history"][split][key]) != epochs for split in splits for key in ("loss", "accuracy")):
        raise ValueError("a history of unequal lengths")
    final, predicted = {}, None
    if predictions := content.get("predictions"):
        if tested is None or predictions["test_images"] != tested.name:
            raise ValueError(f"its test images {predictions['test_images']} are not there")
        final = {str(name): _value(value) for name, value in content["final"]}
        if len(final) < len(content["final"]):
            raise ValueError("a metric twice")
        grouped = _numbers(predictions["predicted"], "<u2").astype(np.int64)
        if len(grouped) != len(tested.labels) or grouped.max() >= MOST_CLASSES:
            raise ValueError(f"{len(grouped)} predictions for {len(tested.labels)} images")
        predicted = np.empty_like(grouped)
        predicted[np.argsort(tested.labels, kind="stable")] = grouped
    weights = content.get("weights")
    if weights is not None and not re.fullmatch("[0-9a-f]{64}", weights):
        raise ValueError("weights are named by their SHA-256")
    return Entry(Run(content["spec"]), content["meta"], history, final, tested, predicted, weights)


# ---- bytes ----


def _number(value: float) -> float | str:
    """JSON has no name for what is not finite."""
    return float(value) if math.isfinite(value) else str(float(value))


def _value(stored: Any) -> float:
    if isinstance(stored, bool) or (isinstance(stored, str) and stored not in ("nan", "inf", "-inf")):
        raise ValueError(f"{stored!r} is no number")
    return float(stored)


def _bytes(numbers: np.ndarray, kind: str) -> bytes:
    return numbers.astype(kind).tobytes()


def _text(numbers: np.ndarray, kind: str) -> str:
    """Whole numbers as text: packed, since a long text of digits takes more."""
    least = np.min_scalar_type(int(numbers.max(initial=0)))
    size = f"<{least.kind}{least.itemsize}" if kind == "<u2" else kind
    packed = lzma.compress(_bytes(numbers, size), lzma.FORMAT_RAW, filters=CLASSES)
    return f"{size[1:]}:{base64.b85encode(packed).decode()}"


def _numbers(text: str, kind: str) -> np.ndarray:
    size, _, packed = text.partition(":")
    if size not in ("u1", kind[1:]):
        raise ValueError(f"numbers of the kind {size[:9]!r}")
    try:
        raw = base64.b85decode(packed)
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=CLASSES)
        found = unpacker.decompress(raw, MOST_ROWS * 4)
    except (lzma.LZMAError, binascii.Error, EOFError) as error:
        raise ValueError(f"numbers that cannot be unpacked ({gist(error)})") from None
    if not unpacker.eof or len(found) % int(size[1:]):
        raise ValueError("numbers that are cut short, or too many")
    return np.frombuffer(found, f"<{size}")


def _packed(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return lzma.compress(text.encode(), filters=TEXT)


def document_of(packed: bytes) -> dict[str, Any]:
    """The document; what is damaged, too large, or none, is a `ValueError`."""
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28)
    try:
        text = unpacker.decompress(packed, MOST_UNPACKED)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"not xz ({gist(error)})") from None
    if not unpacker.eof:
        raise ValueError("cut short" if unpacker.needs_input else "far too large when unpacked")
    if unpacker.unused_data:
        raise ValueError("something follows its end")
    content = parse_json(text.decode("utf-8"))
    if isinstance(content, dict) and content.get("format") != FORMAT and DIGEST in content:
        raise ValueError(f"its format is {content.get('format')!r}, this version reads {FORMAT}")
    unseal(content)
    return content
