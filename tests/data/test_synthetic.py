import io
import json
import tarfile
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from reprise.data.archives import read_archive, sidecar_of
from reprise.data.catalog import OWN_DATASETS
from reprise.data.decode import load
from reprise.data.synthetic import write_noise, write_synthetic
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
        digests = {split: raw.digest() for split, raw in read_archive(OWN_DATASETS[name], archive).items()}
        assert sidecar == {"name": name, "source": "synthetic", "digests": digests}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "per_class"), [("cifar100", (18, 2)), ("stl10", (100, 30)), ("cinic10", (100, 30))]
)
def test_a_demo_is_drawn_in_seconds(tmp_path, name, per_class):
    start = time.process_time()
    write_synthetic(name, tmp_path, dict(zip(("train", "test"), per_class, strict=True)))
    assert time.process_time() - start < 5


def test_members_of_the_official_archives(drawn):
    with tarfile.open(drawn["stl10"]) as tar:
        sizes = {member.name.removeprefix("stl10_binary/"): member.size for member in tar}
    assert sizes.pop("class_names.txt") == len("\n".join(OWN_DATASETS["stl10"].classes["label"])) + 1
    assert sizes.pop("fold_indices.txt") > 0
    assert sizes == {
        "unlabeled_X.bin": 20 * 27648,
        "train_X.bin": 30 * 27648,
        "train_y.bin": 30,
        "test_X.bin": 10 * 27648,
        "test_y.bin": 10,
    }

    with tarfile.open(drawn["cinic10"]) as tar:
        images = {
            member.name: Image.open(io.BytesIO(tar.extractfile(member).read()))
            for member in tar
            if member.name.endswith(".png")
        }
        assert {"README.md", "imagenet-contributors.csv", "synsets-to-cifar-10-classes.txt"} == set(
            tar.getnames()
        ) - set(images)
    folders = [tuple(name.split("/")[:2]) for name in images]
    for folder, count in {"train": 3, "valid": 1, "test": 1}.items():
        assert [
            folders.count((folder, label)) for label in OWN_DATASETS["cinic10"].classes["label"]
        ] == 10 * [count]
    assert {image.size for image in images.values()} == {(32, 32)}
    assert sorted(image.mode for image in images.values()) == 3 * ["L"] + 47 * ["RGB"]


def test_noise_is_a_decoded_data_set(tmp_path):
    dataset = load(write_noise(tmp_path / "noise", "cifar100", {"train": 7, "test": 4}, {"fine": [3, 90]}))
    assert (dataset.name, dataset.source, dataset.image_shape, dataset.label_kinds) == (
        "cifar100",
        "synthetic",
        (3, 32, 32),
        ("coarse", "fine"),
    )
    images, labels = dataset.splits["train"].images, dataset.splits["train"].labels
    assert (images.shape, images.dtype, len(np.unique(images))) == ((7, 3, 32, 32), np.uint8, 256)
    assert labels.tolist() == [[index, (3, 90)[index % 2]] for index in range(7)]
    assert len(dataset.splits["test"].names()) == len(dataset.splits["test"].images) == 4


def test_at_least_one_image(tmp_path):
    with pytest.raises(RepriseError, match="0 test images per class; draw at least one"):
        write_synthetic("cifar10", tmp_path, {"train": 1, "test": 0})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_DATASETS)
def test_classes_can_be_learned_but_not_trivially(name, tmp_path):
    """A linear model on coarse pixels beats chance several times over and stays far from perfect on new
    pictures.
    """
    archive = write_synthetic(
        name, tmp_path, {"train": 10 if name == "cifar100" else 100, "test": 4 if name == "cifar100" else 40}
    )
    splits = read_archive(OWN_DATASETS[name], archive)
    side = OWN_DATASETS[name].image_shape[-1] // 8
    blocks = {split: raw.images[:].reshape(-1, 3, 8, side, 8, side) for split, raw in splits.items()}
    pixels = {split: each.mean(axis=(3, 5)).reshape(len(each), -1) / 255 for split, each in blocks.items()}
    model = LogisticRegression(max_iter=200).fit(pixels["train"], splits["train"].labels[:, 0])
    accuracy = model.score(pixels["test"], splits["test"].labels[:, 0])
    classes = len(OWN_DATASETS[name].classes[OWN_DATASETS[name].label_kinds[0]])
    assert 3 / classes < accuracy < 0.9


def test_pictures_look_like_photographs_in_light(drawn):
    """Mean and spread near those of the real data, and the whole range in use."""
    images = read_archive(OWN_DATASETS["cifar10"], drawn["cifar10"])["train"].images
    assert 0.35 < images.mean() / 255 < 0.6
    assert 0.15 < images.std() / 255 < 0.3
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images, axis=0)) == len(images)
