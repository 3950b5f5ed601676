import errno
import gzip
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

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


@pytest.mark.parametrize(
    ("name", "kinds"), [("cifar10", ("label",)), ("cifar100", ("coarse", "fine")), ("stl10", ("label",)), ("cinic10", ("label",))]
)
def test_a_stand_in_from_end_to_end(tmp_path, name, kinds):
    archive = write_synthetic(name, tmp_path / "synthetic", {"train": 4, "test": 2})
    fetched = fetch_dataset(name, tmp_path / "archives" / archive.name, [str(archive.parent)], accept="synthetic")
    decode(name, fetched, tmp_path / name)
    write_statistics(tmp_path / name)

    dataset = load(tmp_path / name)
    classes = len(DATASETS[name].classes[kinds[-1]])
    shape = (3, 96, 96) if name == "stl10" else (3, 32, 32)
    counts = {"train": 4, "test": 2} | ({"validation": 2} if name == "cinic10" else {})
    assert (dataset.name, dataset.source, dataset.label_kinds, dataset.image_shape) == (name, "synthetic", kinds, shape)
    files = [f"{split}_{part}" for split in counts for part in ("images.npy", "labels.npy", "names.txt")]
    assert {path.name for path in (tmp_path / name).iterdir()} == {*files, "dataset.json", "statistics.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"archives", "synthetic", name})
    assert dataset.splits.keys() == counts.keys()
    for split, each in counts.items():
        part = dataset.splits[split]
        assert part.images.shape == (classes * each, *shape)
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


@pytest.mark.parametrize("name", DATASETS)
def test_images_labels_and_names_stay_together(name, drawn, tmp_path):
    decode(name, drawn[name], tmp_path / name)
    raw = read_archive(DATASETS[name], drawn[name])["test"]
    there = {name: (image.tobytes(), tuple(label)) for name, image, label in zip(raw.names, raw.images[:], raw.labels, strict=True)}
    split = load(tmp_path / name).splits["test"]
    here = {name: (image.tobytes(), tuple(label)) for name, image, label in zip(split.names(), split.images, split.labels, strict=True)}
    assert here == there


def test_the_order_in_the_archive_does_not_matter(drawn, tmp_path):
    """The same images in another order, two of them equal but for their names: the same files, byte for byte."""
    facts = DATASETS["cifar100"]
    splits = {split: replace(raw, images=raw.images.copy()) for split, raw in read_archive(facts, drawn["cifar100"]).items()}
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
        write_json(sidecar_of(archive), {"source": "synthetic", "digests": {split: raw.digest() for split, raw in mixed.items()}})
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


def test_images_are_written_as_numpy_writes_them(folder):
    for split in ("train", "test"):
        written = (folder / f"{split}_images.npy").read_bytes()
        packed = io.BytesIO()
        np.save(packed, np.load(io.BytesIO(written)))
        assert packed.getvalue() == written


@pytest.mark.parametrize("name", ["stl10", "cinic10"])
def test_real_is_what_the_catalog_knows_best(adopted, tmp_path, name):
    """STL-10 by its members, however they are packed; CINIC-10 by its archive."""
    official = adopted(name)
    decode(name, official.archive, tmp_path / "real")
    assert load(tmp_path / "real").source == "real"
    repacked = tmp_path / "repacked.tar.gz"
    repacked.write_bytes(gzip.compress(gzip.decompress(official.bytes), compresslevel=9))
    if name == "stl10":
        decode(name, repacked, tmp_path / "again")
        assert (tmp_path / "again" / "train_images.npy").read_bytes() == (tmp_path / "real" / "train_images.npy").read_bytes()
        return
    with pytest.raises(RepriseError, match=r"repacked.tar.gz: not cinic10: MD5 of CINIC-10.tar.gz is \w{32}, expected \w{32}; delete it"):
        decode(name, repacked, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("says", [{"source": "real"}, {}, {"source": "synthetic", "digests": {}}, []])
def test_a_sidecar_makes_nothing_real(drawn, tmp_path, says):
    archive = Path(shutil.copy(drawn["cinic10"], tmp_path))
    true = json.loads(sidecar_of(drawn["cinic10"]).read_text())
    write_json(sidecar_of(archive), {"digests": true["digests"], **says} if isinstance(says, dict) else says)
    with pytest.raises(RepriseError, match=r"neither cinic10 nor what CINIC-10.tar.gz.source.json says; make the stand-in again"):
        decode("cinic10", archive, tmp_path / "cinic10")


def test_a_full_disk_leaves_no_data_set(folder, drawn, monkeypatch):
    """Also where a whole one stood before: without dataset.json nobody takes the rest for it."""

    def write(file, header):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.np.lib.format, "write_array_header_1_0", write)
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
    names = ("cifar-10-python.tar.gz", "cifar-100-python.tar.gz", "stl10_binary.tar.gz", "CINIC-10.tar.gz", "vgg16-397923af.pth")
    assert [name_of(name) for name in names] == ["cifar10", "cifar100", "stl10", "cinic10", "vgg16"]
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
