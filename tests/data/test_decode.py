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
from reprise.data.catalog import CIFAR100_SUPERCLASSES, OWN_DATASETS, name_of
from reprise.data.decode import decode, load, mend
from reprise.data.fetch import fetch_dataset
from reprise.data.statistics import channel_statistics, write_statistics
from reprise.data.synthetic import write_archive, write_synthetic
from reprise.errors import DamagedError, RepriseError
from reprise.files import write_json
from tiny import edit_dataset

FILES = [
    "dataset.json",
    "test_images.npy",
    "test_labels.npy",
    "test_names.txt",
    "train_images.npy",
    "train_labels.npy",
    "train_names.txt",
]


@pytest.fixture
def folder(drawn, tmp_path):
    decode("cifar100", drawn["cifar100"], tmp_path / "cifar100")
    return tmp_path / "cifar100"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("cifar10", ("label",)),
        ("cifar100", ("coarse", "fine")),
        ("stl10", ("label",)),
        ("cinic10", ("label",)),
    ],
)
def test_a_stand_in_from_end_to_end(tmp_path, name, kinds):
    archive = write_synthetic(name, tmp_path / "synthetic", {"train": 4, "test": 2})
    fetched = fetch_dataset(
        name, tmp_path / "archives" / archive.name, [str(archive.parent)], accept="synthetic"
    )
    decode(name, fetched, tmp_path / name)
    write_statistics(tmp_path / name)

    dataset = load(tmp_path / name)
    classes = len(OWN_DATASETS[name].classes[kinds[-1]])
    shape = (3, 96, 96) if name == "stl10" else (3, 32, 32)
    counts = {"train": 4, "test": 2} | ({"validation": 2} if name == "cinic10" else {})
    assert (dataset.name, dataset.source, dataset.label_kinds, dataset.image_shape) == (
        name,
        "synthetic",
        kinds,
        shape,
    )
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


@pytest.mark.parametrize("name", OWN_DATASETS)
def test_images_labels_and_names_stay_together(name, drawn, tmp_path):
    decode(name, drawn[name], tmp_path / name)
    raw = read_archive(OWN_DATASETS[name], drawn[name])["test"]
    there = {
        name: (image.tobytes(), tuple(label))
        for name, image, label in zip(raw.names, raw.images[:], raw.labels, strict=True)
    }
    split = load(tmp_path / name).splits["test"]
    here = {
        name: (image.tobytes(), tuple(label))
        for name, image, label in zip(split.names(), split.images, split.labels, strict=True)
    }
    assert here == there


def test_the_order_in_the_archive_does_not_matter(drawn, tmp_path):
    """The same images in another order, two of them equal but for their names: the same files, byte for
    byte.
    """
    facts = OWN_DATASETS["cifar100"]
    splits = {
        split: replace(raw, images=raw.images.copy())
        for split, raw in read_archive(facts, drawn["cifar100"]).items()
    }
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
        write_json(
            sidecar_of(archive),
            {"source": "synthetic", "digests": {split: raw.digest() for split, raw in mixed.items()}},
        )
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
    with pytest.raises(
        RepriseError, match=r"not cifar100: content digest of train is \w{64}, expected \w{64}"
    ):
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
        assert (tmp_path / "again" / "train_images.npy").read_bytes() == (
            tmp_path / "real" / "train_images.npy"
        ).read_bytes()
        return
    with pytest.raises(
        RepriseError,
        match=r"repacked.tar.gz: not cinic10: MD5 of CINIC-10.tar.gz is \w{32}, expected \w{32}; delete it",
    ):
        decode(name, repacked, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("says", [{"source": "real"}, {}, {"source": "synthetic", "digests": {}}, []])
def test_a_sidecar_makes_nothing_real(drawn, tmp_path, says):
    archive = Path(shutil.copy(drawn["cinic10"], tmp_path))
    true = json.loads(sidecar_of(drawn["cinic10"]).read_text())
    write_json(sidecar_of(archive), {"digests": true["digests"], **says} if isinstance(says, dict) else says)
    with pytest.raises(
        RepriseError,
        match=r"neither cinic10 nor what CINIC-10.tar.gz.source.json says; make the stand-in again",
    ):
        decode("cinic10", archive, tmp_path / "cinic10")


@pytest.mark.parametrize("good", [0, 1])
def test_a_full_disk_leaves_the_data_set_as_it_was_or_damaged(folder, drawn, tmp_path, monkeypatch, good):
    """Decoded over other images: the first file cannot be written, or all but the first. Nobody takes a
    mixture for a data set.
    """
    other = write_synthetic("cifar100", tmp_path / "other", {"train": 1, "test": 1}, seed=5)
    before = load(folder).splits["train"].digest
    header, written = module.np.lib.format.write_array_header_1_0, []

    def write(file, facts):
        written.append(facts)
        if len(written) > good:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        header(file, facts)

    monkeypatch.setattr(module.np.lib.format, "write_array_header_1_0", write)
    with pytest.raises(RepriseError, match=r"images.npy: no space left on the disk"):
        decode("cifar100", other, folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    if good:
        with pytest.raises(DamagedError, match=r"train_images.npy: damaged"):
            load(folder)
    else:
        assert load(folder).splits["train"].digest == before


# What load refuses


def test_an_absent_data_set(tmp_path):
    with pytest.raises(
        RepriseError,
        match=r"cifar10: no decoded data set \(no dataset.json\); fetch and decode the archive first",
    ):
        load(tmp_path / "cifar10")


@pytest.mark.parametrize("name", FILES[1:])
def test_an_incomplete_data_set(folder, name):
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=f"{name}: not found; delete the folder and decode"):
        load(folder)


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense" * 100])
def test_a_damaged_file(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(
        DamagedError,
        match=f"{name}: damaged \\(its content does not match its record\\); delete the folder and decode",
    ):
        load(folder)


def test_a_truncated_array(folder):
    path = folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=r"train_images.npy: damaged"):
        load(folder)


def test_a_folder_in_place_of_a_file(folder):
    (folder / "train_labels.npy").unlink()
    (folder / "train_labels.npy").mkdir()
    with pytest.raises(
        RepriseError, match=r"train_labels.npy: a folder where a file is expected; delete the folder"
    ):
        load(folder)


def test_files_that_fit_their_record_but_not_each_other(folder):
    """What no damage does: a record of such files."""
    labels = np.load(folder / "train_labels.npy")
    for wrong, message in (
        (labels[:-1], r"uint8 \(299, 2\), but dataset.json says uint8 \(300, 2\)"),
        (labels.astype(np.int64), "int64"),
        (np.full_like(labels, 20), "a label beyond the last class"),
    ):
        np.save(folder / "train_labels.npy", wrong)
        edit_dataset(folder)
        with pytest.raises(DamagedError, match=f"train_labels.npy: {message}"):
            load(folder)


@pytest.mark.parametrize("content", ["{}", '{"image_shape": 3}'])
def test_a_foreign_dataset_json(folder, content):
    (folder / "dataset.json").write_text(content)
    with pytest.raises(DamagedError, match=r"dataset.json: not what decode writes"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "not a record"),
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"files": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"files": {}}', "its content does not match its own digest"),
    ],
)
def test_a_damaged_dataset_json(folder, content, reason):
    (folder / "dataset.json").write_text(content)
    with pytest.raises(DamagedError, match=rf"dataset.json: damaged \({reason}") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_another_data_set(folder):
    with pytest.raises(
        DamagedError, match=r"cifar100: holds cifar100, not cifar10; delete the folder and decode"
    ):
        load(folder, "cifar10")


# Arrays of versions before records


@pytest.fixture
def old(folder):
    facts = json.loads((folder / "dataset.json").read_text())
    write_json(
        folder / "dataset.json",
        {key: value for key, value in facts.items() if key not in ("files", "sha256")},
    )
    return folder


def test_arrays_without_a_record_are_compared_with_their_content_digests(old):
    dataset = load(old)
    assert dataset.source == "synthetic"
    assert dataset.splits["train"].images.shape == (300, 3, 32, 32)


@pytest.mark.parametrize(
    "name", ["train_images.npy", "test_images.npy", "train_labels.npy", "test_labels.npy"]
)
@pytest.mark.parametrize("change", ["bit", "order"])
def test_damaged_arrays_without_a_record(old, name, change):
    path = old / name
    if change == "bit":
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
    else:
        np.save(path, np.roll(np.load(path), 1, axis=0))
    with pytest.raises(DamagedError, match=rf"its {name[:-11]} images or labels are damaged"):
        load(old)


def test_reordered_arrays_without_a_record(old):
    """The same images with their labels, in another order: another training."""
    for part in ("images", "labels"):
        path = old / f"train_{part}.npy"
        np.save(path, np.roll(np.load(path), 1, axis=0))
    with pytest.raises(DamagedError, match=r"its train images or labels are damaged"):
        load(old)


def test_a_damaged_dataset_json_without_a_record(old):
    path = old / "dataset.json"
    text = path.read_text()
    path.write_text(text.replace('"bear"', '"beer"'))
    with pytest.raises(DamagedError, match=r"dataset.json: has not the classes and images of cifar100"):
        load(old)
    digest = json.loads(text)["splits"]["test"]["digest"]
    path.write_text(text.replace(digest, digest[:-1] + "g"))
    with pytest.raises(DamagedError, match=r"its test images or labels are damaged"):
        load(old)


# Mending


def test_damaged_arrays_are_decoded_again(folder, drawn, capsys):
    before = {name: (folder / name).read_bytes() for name in FILES}
    assert mend("cifar100", drawn["cifar100"], folder) == folder
    assert capsys.readouterr().err == ""
    (folder / "train_labels.npy").write_bytes(b"")
    mend("cifar100", drawn["cifar100"], folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == before
    says = (
        f"{folder / 'train_labels.npy'}: damaged (its content does not match its record); decoding "
        f"{drawn['cifar100']} again"
    )
    assert capsys.readouterr().err == f"reprise: {says}\n"


def test_damaged_arrays_without_their_archive(folder, tmp_path):
    (folder / "train_labels.npy").write_bytes(b"")
    with pytest.raises(
        DamagedError,
        match=r"damaged .*; get its archive again, which is not there \(.*no.tar.gz\), and run python",
    ):
        mend("cifar100", tmp_path / "no.tar.gz", folder)


def test_absent_arrays_are_no_damage(tmp_path):
    assert mend("cifar100", tmp_path / "no.tar.gz", tmp_path / "none") == tmp_path / "none"


def test_names_of_files():
    names = (
        "cifar-10-python.tar.gz",
        "cifar-100-python.tar.gz",
        "stl10_binary.tar.gz",
        "CINIC-10.tar.gz",
        "vgg16-397923af.pth",
    )
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
