import errno
import json
import shutil

import numpy as np
import pytest

from reprise.data import decode as module
from reprise.data.archives import RawSplit, read_archive, sidecar_of
from reprise.data.catalog import CIFAR100_SUPERCLASSES, DATASETS, name_of
from reprise.data.decode import decode, load
from reprise.data.fetch import fetch_dataset
from reprise.data.statistics import channel_statistics, write_statistics
from reprise.data.synthetic import write_archive, write_synthetic
from reprise.errors import RepriseError
from reprise.files import write_json

FILES = [
    "dataset.json", "test_images.npy", "test_labels.npy", "test_names.txt", "train_images.npy", "train_labels.npy", "train_names.txt",
]  # fmt: skip


@pytest.fixture
def folder(drawn, tmp_path):
    decode("cifar100", drawn["cifar100"], tmp_path / "cifar100")
    return tmp_path / "cifar100"


@pytest.mark.parametrize(("name", "kinds"), [("cifar10", ("label",)), ("cifar100", ("coarse", "fine"))])
def test_a_stand_in_from_end_to_end(tmp_path, name, kinds):
    archive = write_synthetic(name, tmp_path / "synthetic", {"train": 4, "test": 2})
    fetched = fetch_dataset(name, tmp_path / "archives" / archive.name, [str(archive.parent)], synthetic=True)
    decode(name, fetched, tmp_path / name)
    write_statistics(tmp_path / name)

    dataset = load(tmp_path / name)
    classes = len(DATASETS[name].classes[kinds[-1]])
    assert (dataset.name, dataset.source, dataset.label_kinds, dataset.image_shape) == (name, "synthetic", kinds, (3, 32, 32))
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted([*FILES, "statistics.json"])
    for split, each in (("train", 4), ("test", 2)):
        part = dataset.splits[split]
        assert part.images.shape == (classes * each, 3, 32, 32)
        assert isinstance(part.images, np.memmap)
        assert part.labels.shape == (classes * each, len(kinds))
        assert (np.bincount(part.labels[:, -1]) == each).all()
        assert len(set(part.names())) == classes * each
    statistics = json.loads((tmp_path / name / "statistics.json").read_text())
    pixels = dataset.splits["train"].images / 255.0
    np.testing.assert_allclose(statistics["mean"], pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics["std"], pixels.std(axis=(0, 2, 3)), rtol=1e-12)
    assert (statistics["images"], statistics["split"]) == (classes * 4, "train")


def test_coarse_and_fine_labels_agree_with_the_names(folder):
    dataset = load(folder)
    for coarse, fine in dataset.splits["train"].labels:
        assert dataset.classes["fine"][fine] in CIFAR100_SUPERCLASSES[dataset.classes["coarse"][coarse]]


def test_images_labels_and_names_stay_together(folder, drawn):
    raw = read_archive(DATASETS["cifar100"], drawn["cifar100"])["test"]
    there = {name: (image.tobytes(), tuple(label)) for name, image, label in zip(raw.names, raw.images, raw.labels, strict=True)}
    split = load(folder).splits["test"]
    here = {name: (image.tobytes(), tuple(label)) for name, image, label in zip(split.names(), split.images, split.labels, strict=True)}
    assert here == there


def test_the_order_in_the_archive_does_not_matter(drawn, tmp_path):
    """The same images in another order, two of them equal but for their names: the same files, byte for byte."""
    facts = DATASETS["cifar100"]
    splits = read_archive(facts, drawn["cifar100"])
    for raw in splits.values():
        raw.images[1], raw.labels[1] = raw.images[0], raw.labels[0]
    for number in range(2):
        rng = np.random.default_rng(number)
        mixed = {}
        for split, raw in splits.items():
            order = rng.permutation(len(raw.images))
            mixed[split] = RawSplit(raw.images[order], raw.labels[order], [raw.names[i] for i in order])
        archive = tmp_path / f"{number}.tar.gz"
        write_archive(archive, facts, mixed)
        write_json(sidecar_of(archive), {"digests": {split: raw.digest() for split, raw in mixed.items()}})
        decode("cifar100", archive, tmp_path / str(number))
    assert (tmp_path / "0.tar.gz").read_bytes() != (tmp_path / "1.tar.gz").read_bytes()
    for name in FILES:
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_the_source_comes_from_the_content(official, drawn, tmp_path):
    """A sidecar cannot make real data synthetic, nor a name or another's sidecar make anything real."""
    archive = tmp_path / official.archive.name
    shutil.copy(official.archive, archive)
    shutil.copy(sidecar_of(drawn["cifar100"]), sidecar_of(archive))
    decode("cifar100", archive, tmp_path / "real")
    assert load(tmp_path / "real").source == "real"
    shutil.copy(drawn["cifar100"], archive)
    decode("cifar100", archive, tmp_path / "drawn")
    assert load(tmp_path / "drawn").source == "synthetic"
    sidecar_of(archive).unlink()
    with pytest.raises(RepriseError, match=r"not cifar100: content digest of train is \w{64}, expected \w{64}"):
        decode("cifar100", archive, tmp_path / "unknown")
    assert not (tmp_path / "unknown").exists()


def test_a_full_disk_leaves_no_data_set(folder, drawn, monkeypatch):
    """Also where a whole one stood before: without dataset.json nobody takes the rest for it."""

    def save(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.np, "save", save)
    with pytest.raises(RepriseError, match=r"train_images.npy: no space left on the disk"):
        decode("cifar100", drawn["cifar100"], folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES[1:]
    with pytest.raises(RepriseError, match="no decoded data set"):
        load(folder)


# What load refuses


def test_an_absent_data_set(tmp_path):
    with pytest.raises(RepriseError, match=r"cifar10: no decoded data set \(no dataset.json\); fetch and decode the archive first"):
        load(tmp_path / "cifar10")


@pytest.mark.parametrize("name", FILES[1:])
def test_an_incomplete_data_set(folder, name):
    (folder / name).unlink()
    with pytest.raises(RepriseError, match=f"{name}: not found; delete the folder and decode"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense" * 100])
def test_a_damaged_array(folder, content):
    (folder / "train_images.npy").write_bytes(content)
    with pytest.raises(RepriseError, match=r"train_images.npy: damaged"):
        load(folder)


def test_a_truncated_array(folder):
    path = folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RepriseError, match=r"train_images.npy: damaged"):
        load(folder)


def test_files_that_do_not_fit_each_other(folder):
    labels = np.load(folder / "train_labels.npy")
    np.save(folder / "train_labels.npy", labels[:-1])
    with pytest.raises(RepriseError, match=r"train_labels.npy: uint8 \(299, 2\), but dataset.json says uint8 \(300, 2\)"):
        load(folder)
    np.save(folder / "train_labels.npy", labels.astype(np.int64))
    with pytest.raises(RepriseError, match="int64"):
        load(folder)
    labels[0, 0] = 20
    np.save(folder / "train_labels.npy", labels)
    with pytest.raises(RepriseError, match=r"train_labels.npy: a label beyond the last class"):
        load(folder)


@pytest.mark.parametrize("content", ["{}", "[]", '{"image_shape": 3}'])
def test_a_foreign_dataset_json(folder, content):
    (folder / "dataset.json").write_text(content)
    with pytest.raises(RepriseError, match=r"dataset.json: not what decode writes"):
        load(folder)


def test_names_of_files():
    assert [name_of(name) for name in ("cifar-10-python.tar.gz", "cifar-100-python.tar.gz", "vgg16-397923af.pth")] == [
        "cifar10",
        "cifar100",
        "vgg16",
    ]
    with pytest.raises(RepriseError, match=r"x.zip: not the file of a known data set"):
        name_of("x.zip")


# Statistics


@pytest.mark.parametrize("count", [1, 1023, 1024, 2049])
def test_statistics_equal_those_of_numpy(count):
    images = np.random.default_rng(count).integers(0, 256, (count, 3, 5, 7), dtype=np.uint8)
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)
    for other, same in zip(channel_statistics(images[::-1]), (mean, std), strict=True):
        np.testing.assert_array_equal(other, same)


def test_statistics_of_constant_and_of_no_images():
    mean, std = channel_statistics(np.full((10, 3, 4, 4), 255, np.uint8))
    np.testing.assert_array_equal(mean, 1)
    np.testing.assert_array_equal(std, 0)
    with pytest.raises(RepriseError, match="statistics of no images"):
        channel_statistics(np.empty((0, 3, 4, 4), np.uint8))
