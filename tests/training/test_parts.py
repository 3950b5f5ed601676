"""Which images train and which validate a run."""

import numpy as np
import pandas as pd
import pytest
import torch

from reprise.data.decode import read_facts
from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.training.engine import train
from reprise.training.parts import Datasets
from tiny import edit_dataset, tiny_run, write_dataset

VALIDATION = 40


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    """A data set with validation images of its own: those of the test split of another draw, with its labels
    turned round.
    """
    folder, other = (tmp_path_factory.mktemp(name) for name in ("data", "other"))
    write_dataset(folder)
    write_dataset(other, train=10, test=VALIDATION)
    np.save(folder / "validation_images.npy", np.load(other / "test_images.npy"))
    np.save(folder / "validation_labels.npy", np.load(other / "test_labels.npy")[::-1])
    (folder / "validation_names.txt").write_text((other / "test_names.txt").read_text())
    edit_dataset(
        folder,
        splits={**read_facts(folder)["splits"], "validation": {"images": VALIDATION, "digest": "1" * 64}},
    )
    return {"cifar10": folder}


@pytest.fixture
def datasets(dirs):
    return Datasets(dirs, torch.device("cpu"))


def stored(dirs, split):
    return np.load(dirs["cifar10"] / f"{split}_images.npy"), np.load(dirs["cifar10"] / f"{split}_labels.npy")


def test_validation_images_of_the_data_sets_own(dirs, datasets):
    data = datasets.of(tiny_run(split__validation="official"))
    assert data.validation_split == "validation"
    for part, split in ((data.train, "train"), (data.validation, "validation"), (data.test, "test")):
        images, labels = stored(dirs, split)
        inputs, truth = part.batch(slice(None))
        np.testing.assert_array_equal(inputs, images)
        np.testing.assert_array_equal(truth, labels[:, 1])
    assert set(data.digests) == {"train", "validation", "test"}


def test_classes_and_images_per_class_apply_to_it(dirs, datasets):
    wanted = {
        "name": "cifar10",
        "labels": "fine",
        "classes": ["green", "red"],
        "per_class": 3,
        "source": "synthetic",
    }
    data = datasets.of(tiny_run(dataset=wanted, split__validation="official"))
    images, labels = stored(dirs, "validation")
    inputs, truth = data.validation.batch(slice(None))
    expected = sorted([*np.flatnonzero(labels[:, 1] == 3)[:3], *np.flatnonzero(labels[:, 1] == 0)[:3]])
    np.testing.assert_array_equal(inputs, images[expected])
    np.testing.assert_array_equal(truth, [{3: 0, 0: 1}[label] for label in labels[expected, 1]])
    assert data.train.truth.bincount().tolist() == data.test.truth.bincount().tolist() == [3, 3]


def test_statistics_are_those_of_the_whole_training_split(dirs, datasets):
    data = datasets.of(tiny_run(split__validation="official", preprocess={"normalize": "train"}))
    pixels = stored(dirs, "train")[0] / 255
    np.testing.assert_allclose(data.preprocess.mean.flatten(), pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.preprocess.std.flatten(), pixels.std((0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize(("validation", "split", "images"), [(0.2, "validation", 30), ("test", "test", 60)])
def test_it_may_stay_unused_and_is_not_loaded_then(dirs, datasets, monkeypatch, validation, split, images):
    loaded = []
    upload = Datasets._upload
    monkeypatch.setattr(
        Datasets,
        "_upload",
        lambda self, stored, rows, labels: loaded.append(len(rows)) or upload(self, stored, rows, labels),
    )
    data = datasets.of(tiny_run(split__validation=validation))
    assert (data.validation_split, len(data.validation)) == (split, images)
    assert loaded == [150, 60]


def test_each_split_is_loaded_once(datasets):
    first, second = (
        datasets.of(tiny_run(split__validation="official", optimizer__lr=rate)) for rate in (0.1, 0.2)
    )
    held_out = datasets.of(tiny_run(split__validation=0.2))
    assert first.validation is second.validation
    assert first.train.inputs is second.train.inputs is held_out.train.inputs is held_out.validation.inputs
    assert first.test is held_out.test


def test_a_part_held_out_of_some_classes(dirs, datasets):
    """Resident are the images of two classes; the parts stand in stored order and are theirs alone."""
    wanted = {"name": "cifar10", "labels": "fine", "classes": ["blue", "red"], "source": "synthetic"}
    data = datasets.of(tiny_run(dataset=wanted, split__validation=0.25))
    images, labels = stored(dirs, "train")
    names = {image.tobytes(): label for image, label in zip(images, labels[:, 1], strict=True)}
    inputs = [part.batch(slice(None)) for part in (data.train, data.validation)]
    found = [image.tobytes() for part, _ in inputs for image in part.numpy()]
    truth = [int(label) for _, part in inputs for label in part]
    assert len(set(found)) == (np.isin(labels[:, 1], (0, 2))).sum()
    assert truth == [{2: 0, 0: 1}[names[image]] for image in found]


def test_a_data_set_without_validation_images(tmp_path):
    datasets = Datasets({"cifar10": write_dataset(tmp_path)}, torch.device("cpu"))
    run = tiny_run(split__validation="official")
    message = (
        r"^cifar10: has no validation images of its own \(split.validation: official\); hold out a "
        r"fraction .* or let the test set validate"
    )
    for action in (datasets.of, lambda run: datasets.check([run])):
        with pytest.raises(RepriseError, match=message):
            action(run)
    datasets.check([tiny_run(), tiny_run(split__validation=0.5)])


def test_images_of_another_source(tmp_path):
    datasets = Datasets({"cifar10": write_dataset(tmp_path, source="stand-in")}, torch.device("cpu"))
    with pytest.raises(RepriseError, match="holds stand-in images, the run is for real ones"):
        datasets.check([tiny_run(dataset__source="real")])
    assert datasets.of(tiny_run(dataset__source="stand-in")).source == "stand-in"


def test_a_run_that_the_data_sets_own_images_validate(dirs, tmp_path):
    run = tiny_run(split__validation="official")
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    history = pd.read_parquet(tmp_path / run.hash / "history.parquet")
    assert list(history["split"]) == ["train", "validation"] * 3
    assert (outcome.meta["train_images"], outcome.meta["validation_images"]) == (150, VALIDATION)
    counts = history[history["split"] == "validation"]["accuracy"] * VALIDATION
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    evaluate([run], dirs, tmp_path, "cpu")
    assert len(pd.read_parquet(tmp_path / run.hash / "predictions.parquet")) == 60
