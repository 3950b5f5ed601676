import json
import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from reprise.data.archives import read_archive, sidecar_of
from reprise.data.catalog import DATASETS
from reprise.data.synthetic import write_synthetic
from reprise.errors import RepriseError


def test_repeatable_and_seeded(tmp_path, drawn):
    per_class = {"train": 3, "test": 1}
    same = write_synthetic("cifar100", tmp_path / "same", per_class)
    other = write_synthetic("cifar100", tmp_path / "other", per_class, seed=1)
    assert same.read_bytes() == drawn["cifar100"].read_bytes()
    assert other.read_bytes() != same.read_bytes()


def test_the_sidecar_holds_the_digests(drawn):
    for name, archive in drawn.items():
        sidecar = json.loads(sidecar_of(archive).read_text())
        digests = {split: raw.digest() for split, raw in read_archive(DATASETS[name], archive).items()}
        assert sidecar == {"name": name, "source": "synthetic", "digests": digests}


def test_two_thousand_images_are_drawn_in_seconds(tmp_path):
    start = time.process_time()
    write_synthetic("cifar100", tmp_path, {"train": 18, "test": 2})
    assert time.process_time() - start < 5


def test_at_least_one_image(tmp_path):
    with pytest.raises(RepriseError, match="0 test images per class; draw at least one"):
        write_synthetic("cifar10", tmp_path, {"train": 1, "test": 0})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_classes_can_be_learned_but_not_trivially(name, tmp_path):
    """A linear model on coarse pixels beats chance several times over and stays far from perfect on new pictures."""
    archive = write_synthetic(name, tmp_path, {"train": 10 if name == "cifar100" else 100, "test": 4 if name == "cifar100" else 40})
    splits = read_archive(DATASETS[name], archive)
    pixels = {s: raw.images.reshape(-1, 3, 8, 4, 8, 4).mean(axis=(3, 5)).reshape(len(raw.images), -1) / 255 for s, raw in splits.items()}
    model = LogisticRegression(max_iter=200).fit(pixels["train"], splits["train"].labels[:, 0])
    accuracy = model.score(pixels["test"], splits["test"].labels[:, 0])
    classes = len(DATASETS[name].classes[DATASETS[name].label_kinds[0]])
    assert 3 / classes < accuracy < 0.9


def test_pictures_look_like_photographs_in_light(drawn):
    """Mean and spread near those of the real data, and the whole range in use."""
    images = read_archive(DATASETS["cifar10"], drawn["cifar10"])["train"].images
    assert 0.35 < images.mean() / 255 < 0.6
    assert 0.15 < images.std() / 255 < 0.3
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images, axis=0)) == len(images)
