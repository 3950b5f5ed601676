"""CINIC-10's stand-in, made here of a drawn CIFAR-10 that the catalog holds to be the real one."""

import dataclasses
import io
import json
import re
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from reprise.data import catalog
from reprise.data.archives import sidecar_of
from reprise.data.decode import Dataset, decode, load
from reprise.data.fetch import fetch_dataset
from reprise.data.stand_in import write_stand_in
from reprise.data.synthetic import write_synthetic
from reprise.errors import RepriseError


@pytest.fixture
def cifar10(adopted, tmp_path) -> Dataset:
    """8 images of each class, 6 of them of the training part, held to be real."""
    decode("cifar10", adopted("cifar10", train=6, test=2).archive, tmp_path / "cifar10")
    return load(tmp_path / "cifar10")


def content(dataset: Dataset, *splits: str) -> list[tuple[int, bytes]]:
    """Label and pixels of each image."""
    chosen = [dataset.splits[split] for split in splits]
    return [
        (int(label[0]), image.tobytes())
        for part in chosen
        for label, image in zip(part.labels, part.images, strict=True)
    ]


def test_a_stand_in_from_end_to_end(cifar10, tmp_path):
    archive = write_stand_in("cinic10", cifar10, tmp_path / "made")
    assert archive.name == "CINIC-10.tar.gz"
    fetched = fetch_dataset(
        "cinic10", tmp_path / "archives" / archive.name, [str(archive.parent)], accept="stand-in"
    )
    decode("cinic10", fetched, tmp_path / "cinic10")
    made = load(tmp_path / "cinic10")
    assert (made.name, made.source) == ("cinic10", "stand-in")
    assert made.classes == cifar10.classes
    for split in ("train", "validation", "test"):
        assert np.bincount(made.splits[split].labels[:, 0]).tolist() == 10 * [2]
    dealt = content(made, "train", "validation", "test")
    assert len(set(dealt)) == 60
    assert set(dealt) < set(content(cifar10, "train", "test"))
    assert set(content(cifar10, "train")) <= set(
        dealt
    )  # 6 of the 8 images of a class are dealt, training images first


def test_it_says_what_it_is(cifar10, tmp_path):
    archive = write_stand_in("cinic10", cifar10, tmp_path)
    sidecar = json.loads(sidecar_of(archive).read_text())
    digests = {split: part.digest for split, part in cifar10.splits.items()}
    assert (sidecar["name"], sidecar["source"]) == ("cinic10", "stand-in")
    assert sidecar["made_from"] == {"name": "cifar10", "digests": digests}
    with tarfile.open(archive) as tar:
        assert "not the data set itself" in tar.extractfile("README.md").read().decode()


def test_names_and_pixels_are_those_of_the_source(cifar10, tmp_path):
    """As in CINIC-10 itself, where CIFAR-10's images are called so; they are counted in stored order."""
    found = 0
    with tarfile.open(write_stand_in("cinic10", cifar10, tmp_path)) as tar:
        for member in tar:
            if place := re.fullmatch(
                r"(train|valid|test)/([a-z]+)/cifar10-(train|test)-(\d+)\.png", member.name
            ):
                part, number = cifar10.splits[place[3]], int(place[4])
                assert cifar10.classes["label"][part.labels[number, 0]] == place[2]
                pixels = np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"))
                np.testing.assert_array_equal(pixels.transpose(2, 0, 1), part.images[number])
                found += 1
    assert found == 60


def test_fewer_images_and_the_same_bytes_again(cifar10, tmp_path):
    one, two, all_ = (
        write_stand_in("cinic10", cifar10, tmp_path / str(k), per_class=each)
        for k, each in enumerate((1, 1, 2))
    )
    assert one.read_bytes() == two.read_bytes() != all_.read_bytes()
    decode("cinic10", one, tmp_path / "few")
    assert [len(part.images) for part in load(tmp_path / "few").splits.values()] == [10, 10, 10]
    for wrong in (0, 3):
        with pytest.raises(
            RepriseError, match=f"{wrong} images of each class in each of 3 parts: cifar10 has enough for 2"
        ):
            write_stand_in("cinic10", cifar10, tmp_path / "wrong", per_class=wrong)
    assert not (tmp_path / "wrong").exists()


def test_nobody_takes_it_for_the_data_set(cifar10, tmp_path, monkeypatch):
    monkeypatch.setitem(
        catalog.OWN_DATASETS, "cinic10", dataclasses.replace(catalog.OWN_DATASETS["cinic10"], urls=())
    )
    archive = write_stand_in("cinic10", cifar10, tmp_path / "made", per_class=1)
    target = tmp_path / "archives" / archive.name
    with pytest.raises(RepriseError, match=r"made/CINIC-10.tar.gz: not the official file: md5 is"):
        fetch_dataset("cinic10", target, [str(archive)])
    with pytest.raises(RepriseError, match=r"a stand-in archive where a synthetic one is expected"):
        fetch_dataset("cinic10", target, [str(archive)], accept="synthetic")
    drawn = write_synthetic("cinic10", tmp_path / "drawn", {"train": 1, "test": 1})
    with pytest.raises(RepriseError, match=r"a synthetic archive where a stand-in one is expected"):
        fetch_dataset("cinic10", target, [str(drawn)], accept="stand-in")
    with pytest.raises(
        RepriseError, match=r"no source worked \(none is given\); make the stand-in archive first"
    ):
        fetch_dataset("cinic10", target, accept="stand-in")
    shutil.copy(archive, target)
    with pytest.raises(RepriseError, match=r"not cinic10: MD5 of CINIC-10.tar.gz is"):
        decode("cinic10", target, tmp_path / "cinic10")


def test_other_pairs_and_other_sources(cifar10, drawn, tmp_path):
    for name in ("stl10", "cifar10"):
        with pytest.raises(
            RepriseError,
            match=f"no stand-in for {name} can be made from cifar10; possible: cinic10 from cifar10",
        ):
            write_stand_in(name, cifar10, tmp_path / "made")
    with pytest.raises(RepriseError, match="unknown data set 'cinic1O'; did you mean cinic10"):
        write_stand_in("cinic1O", cifar10, tmp_path / "made")
    decode("cifar10", drawn["cifar10"], tmp_path / "drawn")
    with pytest.raises(RepriseError, match="is made of real images, and those of cifar10 are synthetic"):
        write_stand_in("cinic10", load(tmp_path / "drawn"), tmp_path / "made")
    assert not (tmp_path / "made").exists()
