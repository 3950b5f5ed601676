"""Entries of run caches: what they hold comes back, bit for bit, and what was changed is refused."""

import json
import lzma
import math

import numpy as np
import pytest

from reprise.records import seal
from reprise.reports.run import Run
from reprise.results import entry as entries
from reprise.results.entry import Entry, TestImages, unpack
from tiny import tiny_run

IMAGES = 60


def made(run: Run | None = None, seed: int = 0, classes: int = 4, images: int = IMAGES, **meta) -> Entry:
    """An evaluated run as training could have left it."""
    run = run or tiny_run()
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    predicted = np.where(rng.random(images) < 0.6, labels, rng.integers(classes, size=images))
    right = int((labels == predicted).sum())
    history = []
    for epoch in range(1, 4):
        for split, count in (("train", 150), ("test", images)):
            share = (right if split == "test" else 90) - (3 - epoch)
            history.append((epoch, split, 1.5 - epoch / 10 + rng.random() / 100, share / count))
    history[-1] = (3, "test", history[-1][2], right / images)
    facts = {
        "epochs": 3,
        "selected_epoch": 3,
        "stopped": "finished",
        "source": "synthetic",
        "parameters": 516,
        "train_images": 150,
        "validation_images": images,
        "seconds": 1.5,
        "device": "test",
        "finished": "2026-11-28T12:00:00+00:00",
    }
    entry = Entry(run, {**facts, **meta}, history)
    tested = TestImages(np.arange(images), labels)
    from reprise.results.metrics import classification_metrics, training_metrics

    final = classification_metrics(labels, predicted)
    final |= training_metrics(entry.history_table(), entry.meta, final["accuracy"])
    final |= {"loss": history[-1][2]}
    return Entry(run, entry.meta, history, final, tested, predicted)


def forged(entry: Entry, change) -> bytes:
    """The entry with another content, whose author has written its digest anew."""
    document = json.loads(lzma.decompress(entry.pack()))
    document.pop("sha256")
    change(document)
    return entries._packed(seal(document))


def claim(**metrics):
    """Changes a document's metrics."""

    def change(document):
        document["final"] = list({**dict(document["final"]), **metrics}.items())

    return change


def name_of(packed: bytes) -> str:
    document = json.loads(lzma.decompress(packed))
    return f"{document['run']}-{document['sha256'][:8]}"


def test_an_entry_comes_back_bit_for_bit():
    entry = made()
    again = unpack(entry.pack(), entry.name, entry.tested)
    assert again.document == entry.document
    assert again.same_result(entry)
    assert again.history == entry.history
    assert again.final == entry.final
    assert (again.predicted == entry.predicted).all()
    assert TestImages.unpack(entry.tested.pack(), entry.tested.name).name == entry.tested.name
    assert entry.pack() == made().pack()


def test_losses_that_are_not_finite_come_back():
    run = tiny_run(
        training__epochs=1, study={"id": "s", "trial": 0, "min_resource": 1, "reduction_factor": 2}
    )
    entry = Entry(run, {}, [(1, "train", math.inf, 0.25), (1, "test", math.nan, 0.25)])
    content = json.loads(lzma.decompress(entry.pack()))
    again = entries._entry(content, None)
    assert again.history[0][2] == math.inf
    assert math.isnan(again.history[1][2])
    assert again.same_result(entry)
    assert not again.same_result(Entry(run, {}, [(1, "train", math.inf, 0.25), (1, "test", 1.0, 0.25)]))


@pytest.mark.parametrize(("classes", "images"), [(10, 10_000), (100, 10_000), (10, 90_000)])
@pytest.mark.parametrize("skill", [0.3, 0.6, 0.9])
def test_an_entry_is_small(classes, images, skill):
    """At most 16 kB, with a hundred epochs of numbers that nothing compresses; CINIC-10 has nine times as
    many test images as the others.
    """
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(classes, size=images))
    predicted = np.where(rng.random(images) < skill, labels, rng.integers(classes, size=images))
    history = [
        (epoch, split, float(rng.random()), int(rng.integers(50_000)) / 50_000)
        for epoch in range(1, 101)
        for split in ("train", "test")
    ]
    final = {f"parameters.{layer}": float(rng.integers(1 << 20)) for layer in range(60)}
    entry = Entry(
        tiny_run(),
        {"learning_rates": [0.1] * 100},
        history,
        final,
        TestImages(np.arange(images), labels),
        predicted,
    )
    assert len(entry.pack()) <= (16_384 if images == 10_000 else 3 * 16_384)


def test_what_differs_is_another_result():
    entry, other = made(), made(seed=1)
    assert not entry.same_result(other)
    slower = made(seconds=99.0, device="another")
    assert slower.same_result(entry)
    assert slower.name != entry.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (claim(accuracy=0.99), "its final accuracy is 0.99"),
        (lambda document: document["final"].append(["accuracy", 0.5]), "a metric twice"),
        (claim(luck=1.0), "its final has a metric luck"),
        (lambda document: document["meta"].update(selected_epoch=1), "its history epoch 3 is the one that"),
        (lambda document: document["meta"].update(source="real"), "was trained on real ones"),
        (lambda document: document["meta"].update(epochs="3"), "meta.epochs is '3'"),
        (lambda document: document["spec"]["optimizer"].update(lr=0.1), "its settings are those of run"),
        (lambda document: document["history"]["test"]["accuracy"].__setitem__(1, 0.31), "not shares of 60"),
        (
            lambda document: document["history"]["test"]["loss"].pop(),
            "a history of unequal lengths|IndexError",
        ),
        (lambda document: document["history"]["train"]["loss"].__setitem__(0, "nan"), "not finite"),
        (lambda document: document["history"]["train"]["loss"].__setitem__(0, "huge"), "'huge' is no number"),
        (lambda document: document.pop("history"), "not an entry .KeyError"),
        (lambda document: document.update(format=2), "its format is 2, this version reads 1"),
        (lambda document: document["predictions"].update(predicted="u1:!!"), "cannot be unpacked"),
        (lambda document: document["predictions"].update(test_images="0" * 16), "its test images 0+ are not"),
        (lambda document: document.update(weights="../../weights"), "weights are named by their SHA-256"),
        (lambda document: document.pop("predictions") and document.pop("final") and None, None),
    ],
)
def test_a_forged_entry_is_refused(change, message):
    """Its author has made its own digest right."""
    entry = made()
    packed = forged(entry, change)
    if message is None:  # a run that was not evaluated is one all the same
        assert not unpack(packed, name_of(packed), entry.tested).evaluated
        return
    with pytest.raises(ValueError, match=message):
        unpack(packed, name_of(packed), entry.tested)


def test_other_predictions_are_refused():
    entry = made()
    other = np.roll(entry.predicted, 1)
    packed = Entry(entry.run, entry.meta, entry.history, entry.final, entry.tested, other).pack()
    with pytest.raises(ValueError, match="its final accuracy is"):
        unpack(packed, name_of(packed), entry.tested)


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_truncated_entry_is_refused(cut):
    entry = made()
    with pytest.raises(ValueError, match=r"cut short|not xz"):
        unpack(entry.pack()[:cut], entry.name, entry.tested)


def test_each_flipped_byte_is_found():
    entry = made()
    packed = entry.pack()
    for place in range(0, len(packed), max(1, len(packed) // 50)):
        damaged = bytes([*packed[:place], packed[place] ^ 1, *packed[place + 1 :]])
        with pytest.raises(ValueError, match=r"."):
            unpack(damaged, entry.name, entry.tested)


def test_a_foreign_entry_is_refused():
    """That of another run under this run's name; and what is no entry at all."""
    entry, other = made(), made(tiny_run(optimizer__lr=0.01))
    with pytest.raises(ValueError, match=f"it is {other.run.hash}-"):
        unpack(other.pack(), entry.name, entry.tested)
    for content in ([], {}, {"run": 1}, "text"):
        with pytest.raises(ValueError, match=r"."):
            unpack(entries._packed(content), entry.name, entry.tested)


def test_a_bomb_is_not_unpacked():
    bomb = lzma.compress(b" " * (1 << 26))
    with pytest.raises(ValueError, match="far too large when unpacked"):
        unpack(bomb, made().name, None)


def test_test_images_are_named_by_their_content():
    tested = made().tested
    other = TestImages(tested.images, np.roll(tested.labels, 1))
    with pytest.raises(ValueError, match=f"it holds the test images {other.name}"):
        TestImages.unpack(other.pack(), tested.name)
    for change in ({"labels": "u1:!!"}, {"labels": entries._text(np.array([1]), "<u2")}):
        content = json.loads(lzma.decompress(tested.pack()))
        content.pop("sha256")
        with pytest.raises(ValueError, match=r"no test images|cannot be unpacked"):
            TestImages.unpack(entries._packed(seal({**content, **change})), tested.name)
