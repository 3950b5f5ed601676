import contextlib
import dataclasses
import errno
import gzip
import io
import os
import pickle
import pickletools
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from reprise.data import archives
from reprise.data.archives import (
    RawSplit,
    Spool,
    content_digest,
    decode_png,
    read_archive,
    read_members,
    safe_unpickle,
)
from reprise.data.catalog import OWN_DATASETS
from reprise.data.synthetic import write_archive
from reprise.errors import RepriseError
from tiny import SAFELY

FACTS = OWN_DATASETS["cifar100"]


def pack(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read(path: Path, limit: int = 2**20) -> dict[str, bytes]:
    return read_members(path, {"a/x": lambda file, where: file.read()}, limit)


def test_members_are_read_and_others_ignored(tmp_path):
    archive = pack(
        tmp_path / "a.tar.gz", special("a", tarfile.DIRTYPE), ("a/readme", b"hello"), ("./a/x", b"data")
    )
    assert read(archive) == {"a/x": b"data"}


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../x", b""), "'../x' points outside"),
        (("a/../../x", b""), "points outside"),
        (("/etc/x", b""), "'/etc/x' points outside"),
        ((r"..\x", b""), "points outside"),
        (special("a/y", tarfile.SYMTYPE, "/etc/passwd"), "'a/y' is a link or a device"),
        (special("a/y", tarfile.LNKTYPE, "a/x"), "is a link or a device"),
        (special("a/y", tarfile.CHRTYPE), "is a link or a device"),
        (special("a/y", tarfile.FIFOTYPE), "is a link or a device"),
        (("./a/x", b"again"), "holds a/x twice"),
    ],
)
def test_unsafe_members_are_refused(tmp_path, member, message):
    archive = pack(tmp_path / "a.tar.gz", ("a/x", b"data"), member)
    with pytest.raises(RepriseError) as caught:
        read(archive)
    assert message in str(caught.value)
    assert str(archive) in str(caught.value)
    assert "fetch it again" in str(caught.value)


def test_a_missing_member_and_a_missing_archive(tmp_path):
    with pytest.raises(RepriseError, match=r"lacks a/x; delete it"):
        read(pack(tmp_path / "a.tar.gz", ("a/y", b"")))
    with pytest.raises(RepriseError, match=r"absent.tar.gz: not found; fetch it first"):
        read(tmp_path / "absent.tar.gz")
    with pytest.raises(RepriseError, match=rf"{tmp_path}: lacks a/x"):
        read(tmp_path)


@pytest.mark.parametrize("pax", [False, True], ids=["a member", "a header"])
def test_a_decompression_bomb_is_refused(tmp_path, pax):
    """Two MiB of zeros in two kB, as an unwanted member or hidden in a header that tarfile itself would read
    into memory.
    """
    if pax:
        info = tarfile.TarInfo("a/x")
        info.pax_headers = {"comment": "0" * 2**21}
        archive = pack(tmp_path / "a.tar.gz", info)
    else:
        archive = pack(tmp_path / "a.tar.gz", ("a/y", bytes(2**21)), ("a/x", b""))
    assert archive.stat().st_size < 2**14
    with pytest.raises(
        RepriseError, match="an extended header claims 2,0" if pax else "unpacks to more than 1,048,576 bytes"
    ):
        read(archive)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_archive(tmp_path, drawn, kept):
    whole = drawn["cifar100"].read_bytes()
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(
        RepriseError,
        match=r"cut.tar.gz: (damaged or cut short|cifar-100-python/t[a-z]+: cannot be unpickled .EOFError: "
        r"Compressed file ended)",
    ):
        read_archive(FACTS, archive)


def test_a_wrong_check_sum(tmp_path):
    """It stands at the end of the file, far behind the last member: only a reader that goes on to the end
    notices.
    """
    archive = pack(tmp_path / "a.tar.gz", ("a/x", b"data"))
    packed = bytearray(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(2**22)))
    archive.write_bytes(packed)
    assert read(archive, limit=2**23) == {"a/x": b"data"}
    packed[-8] ^= 1
    archive.write_bytes(packed)
    with pytest.raises(
        RepriseError,
        match=r"a.tar.gz: damaged or cut short \(Error -3 while decompressing data: incorrect data check",
    ):
        read(archive, limit=2**23)


def test_not_an_archive(tmp_path):
    archive = tmp_path / "a.tar.gz"
    for content in (b"plain text", gzip.compress(b"no tar" * 1000)):
        archive.write_bytes(content)
        with pytest.raises(RepriseError, match=r"a.tar.gz: damaged or cut short"):
            read(archive)


# Pickles


class Exploit:
    def __reduce__(self):
        return os.system, ("touch exploited",)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Exploit(), f"{os.system.__module__}.system"),
        (OrderedDict(), "collections.OrderedDict"),
        (np.float64(1), "multiarray.scalar"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_forbidden_pickles(tmp_path, monkeypatch, value, name, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepriseError) as caught:
        safe_unpickle(io.BytesIO(pickle.dumps({"data": value}, protocol)), "member")
    assert f"{name}, which is forbidden: do not trust this file" in str(caught.value)
    assert not (tmp_path / "exploited").exists()


def test_a_forbidden_pickle_in_an_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = pack(tmp_path / "a.tar.gz", ("cifar-100-python/meta", pickle.dumps(Exploit(), 2)))
    with pytest.raises(
        RepriseError, match=r"a.tar.gz: cifar-100-python/meta: its pickle calls (posix|nt).system"
    ):
        read_archive(FACTS, archive)
    assert not (tmp_path / "exploited").exists()


def test_malformed_pickles():
    for content in (
        b"\x80\x02nonsense",
        b"\x80\x02(",
        b"cnumpy\nndarray\n(J\xff\xff\xff\xfftR.",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
    ):
        with pytest.raises(RepriseError, match="member: cannot be unpickled"):
            safe_unpickle(io.BytesIO(content), "member")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_arrays_and_texts_of_any_python_come_through(protocol):
    """Python 3 writes bytes as `_codecs.encode` in protocol 2, and today's NumPy names its module
    `numpy._core`.
    """
    value = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2], b"names": [b"\xff"]}
    read = safe_unpickle(io.BytesIO(pickle.dumps(value, protocol)), "member")
    np.testing.assert_array_equal(read["data"], value["data"])
    assert (read["labels"], read[b"names"]) == ([1, 2], [b"\xff"])


# Form of the content


def write(path: Path, **changes: object) -> Path:
    """A CIFAR-100 archive with one image a split, whose training member or class names are changed."""
    split = {
        "data": np.zeros((2, 3072), np.uint8),
        "filenames": [b"a", b"b"],
        "coarse_labels": [0, 1],
        "fine_labels": [0, 99],
    }
    meta = {
        "fine_label_names": list(FACTS.classes["fine"]),
        "coarse_label_names": list(FACTS.classes["coarse"]),
    }
    train = changes.get("whole", {**split, **changes})
    meta.update({key: value for key, value in changes.items() if key in meta})
    members = {"train": train, "test": split, "meta": meta}
    return pack(
        path, *((f"cifar-100-python/{name}", pickle.dumps(value, 2)) for name, value in members.items())
    )


def test_the_right_form_is_read(tmp_path):
    train = read_archive(FACTS, write(tmp_path / "a.tar.gz"))["train"]
    assert train.images.shape == (2, 3072)
    np.testing.assert_array_equal(train.labels, [[0, 0], [1, 99]])
    assert list(train.names) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": [1, 2]}, r"train: data is not a uint8 array of shape \(N, 3072\)"),
        ({"data": np.zeros((2, 3072), np.float32)}, "data is not a uint8 array"),
        ({"data": np.zeros((2, 3, 1024), np.uint8)}, "data is not a uint8 array"),
        ({"data": np.zeros((3, 3072), np.uint8)}, "3 images but 2 labels or file names"),
        ({"filenames": [b"a"]}, "2 images but 1 labels or file names"),
        ({"filenames": [b"a\n", b"b"]}, "filenames: a name holds a control character"),
        ({"filenames": None}, "filenames: not a list of names"),
        ({"fine_labels": [0, 100]}, "fine_labels: not a list of labels from 0 to 99"),
        ({"coarse_labels": [-1, 0]}, "coarse_labels: not a list of labels from 0 to 19"),
        ({"coarse_labels": [0.0, 1.0]}, "coarse_labels: not a list of labels"),
        ({"coarse_labels": None}, "coarse_labels: not a list of labels"),
        (
            {"fine_label_names": list(FACTS.classes["fine"])[::-1]},
            "meta: fine_label_names are not the classes of cifar100",
        ),
        ({"whole": [1]}, "train: holds a list, not a dictionary"),
    ],
)
def test_a_wrong_form_is_refused(tmp_path, changes, message):
    with pytest.raises(RepriseError, match=message):
        read_archive(FACTS, write(tmp_path / "a.tar.gz", **changes))


def test_the_digest_ignores_order_and_nothing_else(drawn):
    raw = read_archive(FACTS, drawn["cifar100"])["train"]
    order = np.random.default_rng(0).permutation(len(raw.images))
    shuffled = RawSplit(raw.images[order], raw.labels[order], raw.names)
    assert shuffled.hashes() != raw.hashes()
    assert shuffled.digest() == raw.digest() == content_digest(raw.hashes())
    for change in ("images", "labels"):
        array = getattr(raw, change).copy()
        array[5, 0] ^= 1
        assert dataclasses.replace(raw, **{change: array}).digest() != raw.digest()


def test_stand_ins_are_pickled_as_the_official_files_are(tmp_path, drawn):
    """Protocol 2, 8-bit strings, NumPy's old module name: what Python 2 wrote."""
    with tarfile.open(drawn["cifar100"]) as tar:
        assert sorted(tar.getnames()) == [
            "cifar-100-python/meta",
            "cifar-100-python/test",
            "cifar-100-python/train",
        ]
        content = tar.extractfile("cifar-100-python/train").read()
    operations = list(pickletools.genops(content))
    assert {argument for operation, argument, _ in operations if operation.name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    assert operations[0][1] == 2
    assert not {"BINUNICODE", "UNICODE", "BINBYTES", "SHORT_BINBYTES"} & {
        operation.name for operation, _, _ in operations
    }


def test_an_archive_that_is_written_reads_back(tmp_path, drawn):
    for name, archive in drawn.items():
        splits = read_archive(OWN_DATASETS[name], archive)
        write_archive(tmp_path / "again.tar.gz", OWN_DATASETS[name], splits)
        assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


# STL-10

STL = OWN_DATASETS["stl10"]
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 27648), dtype=np.uint8)


def stl(path: Path, **changes: bytes | None) -> Path:
    """A small STL-10 archive, whose members are changed or, with None, left out."""
    members = {
        "test_X": PICTURES[:2].tobytes(),
        "test_y": bytes([1, 10]),
        "train_X": PICTURES.tobytes(),
        "train_y": bytes([2, 3, 4]),
    }
    return pack(
        path,
        *(
            (f"stl10_binary/{name}.bin", content)
            for name, content in {**members, **changes}.items()
            if content is not None
        ),
    )


def test_stl10_is_read_as_torchvision_reads_it(drawn, tmp_path, monkeypatch):
    with tarfile.open(drawn["stl10"]) as tar:
        tar.extractall(tmp_path, **SAFELY)
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    ours = read_archive(STL, drawn["stl10"])
    for split, raw in ours.items():
        theirs = torchvision.datasets.STL10(tmp_path, split)
        np.testing.assert_array_equal(raw.images[:].reshape(-1, 3, 96, 96), theirs.data)
        np.testing.assert_array_equal(raw.labels[:, 0], theirs.labels)
        assert tuple(theirs.classes) == STL.classes["label"]
    assert torchvision.datasets.STL10(tmp_path, "unlabeled").data.shape == (20, 3, 96, 96)
    folds = [torchvision.datasets.STL10(tmp_path, "train", folds=fold).labels for fold in range(10)]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.sort(ours["train"].labels[:, 0]))


def test_an_stl10_image_stands_column_by_column(tmp_path):
    train = read_archive(STL, stl(tmp_path / "a.tar.gz"))["train"]
    stored = PICTURES[1].reshape(3, 96, 96)  # channel, column, row
    assert train.images[1:2].reshape(3, 96, 96)[2, 5, 90] == stored[2, 90, 5]
    assert train.labels.tolist() == [[1], [2], [3]]
    assert list(train.names) == ["train_X.bin:0", "train_X.bin:1", "train_X.bin:2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_y": bytes([2, 3, 0])}, "stl10_binary/train_y.bin: not labels from 1 to 10"),
        ({"train_y": bytes([2, 3, 11])}, "stl10_binary/train_y.bin: not labels from 1 to 10"),
        (
            {"train_y": bytes([2, 3])},
            "3 images in stl10_binary/train_X.bin, 2 labels in stl10_binary/train_y.bin",
        ),
        ({"test_X": PICTURES.tobytes()[:-1]}, "stl10_binary/test_X.bin: not whole images of 27648 bytes"),
        ({"test_X": None, "train_y": None}, "lacks stl10_binary/test_X.bin, stl10_binary/train_y.bin"),
    ],
)
def test_a_wrong_stl10_is_refused(tmp_path, changes, message):
    with pytest.raises(RepriseError, match=f"a.tar.gz: {message}; delete it"):
        read_archive(STL, stl(tmp_path / "a.tar.gz", **changes))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_archive(tmp_path):
    """The unlabelled images are skipped, and the others are in memory by blocks of 7 MB."""
    images = bytes(1500 * 27648)
    archive = stl(tmp_path / "a.tar.gz", unlabeled_X=bytes(2**26), train_X=images, train_y=bytes([1]) * 1500)
    del images
    tracemalloc.start()
    try:
        train = read_archive(STL, archive, tmp_path)["train"]
        train.digest()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(train.images) == 1500
    assert peak < 30e6
    assert list(tmp_path.iterdir()) == [archive]


# CINIC-10

CINIC = OWN_DATASETS["cinic10"]


def png(mode: str = "RGB", size: tuple[int, int] = (32, 32), seed: int = 0) -> bytes:
    packed = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(packed, "PNG")
    return packed.getvalue()


TREE = {
    "train/airplane/n1.png": png(),
    "train/truck/n2.png": png("L", seed=1),
    "train/cat/cifar10-train-7.png": png("P", seed=2),
    "valid/dog/n3.PNG": png("RGBA", seed=3),
    "test/bird/n1.png": png("LA", seed=4),
    "test/airplane/n1.png": png("1", seed=5),
}
OTHERS = {
    "README": b"text",
    "imagenet-contributors.csv": b"a,b",
    "train/list.png": b"-",
    "train/airplane/._n1.png": b"-",
    "a/b/train/cat/1.png": b"-",
}


@pytest.mark.parametrize("prefix", ["", "./", "CINIC-10/"])
def test_cinic10_is_read_as_an_image_folder_is(tmp_path, prefix):
    archive = pack(
        tmp_path / "a.tar.gz", *((prefix + name, content) for name, content in {**OTHERS, **TREE}.items())
    )
    ours = read_archive(CINIC, archive)
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.name.removeprefix(prefix) in TREE]
        tar.extractall(tmp_path, members, **SAFELY)
    assert list(ours) == ["train", "validation", "test"]
    for split, folder in {"train": "train", "validation": "valid", "test": "test"}.items():
        theirs = torchvision.datasets.ImageFolder(tmp_path / prefix / folder, allow_empty=True)
        raw, there = ours[split], {}
        for (image, label), (path, _) in zip(theirs, theirs.imgs, strict=True):
            there[theirs.classes[label], Path(path).name] = np.asarray(image).transpose(2, 0, 1).tobytes()
        classes = [CINIC.classes["label"][label] for label in raw.labels[:, 0]]
        assert {
            place: image.tobytes()
            for place, image in zip(zip(classes, raw.names, strict=True), raw.images[:], strict=True)
        } == there


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train/cat/n4.png": png()[:-300]}, "train/cat/n4.png: a damaged PNG .image file is truncated.*"),
        (
            {"train/cat/n4.png": png()[:200] + bytes(9) + png()[209:]},
            "train/cat/n4.png: a damaged PNG .broken data stream.*",
        ),
        ({"train/cat/n4.png": b""}, "train/cat/n4.png: not a PNG image"),
        ({"train/cat/n4.png": b"GIF89a"}, "train/cat/n4.png: not a PNG image"),
        ({"valid/cat/n4.png": png(size=(32, 31))}, "valid/cat/n4.png: 32 × 31 pixels, not 32 × 32"),
        ({"valid/cat/n4.png": png(size=(300, 300))}, "valid/cat/n4.png: 300 × 300 pixels, not 32 × 32"),
        (
            {"valid/cat/n4.png": bytes(2**20 + 1)},
            "valid/cat/n4.png: 1,048,577 bytes are far too many for a small image",
        ),
        ({"test/dogs/n4.png": png()}, "test/dogs/n4.png: cinic10 has no class 'dogs'; did you mean dog[?]"),
        ({"other/test/dog/n4.png": png()}, "other/test/dog/n4.png: belongs to a second tree of images"),
        ({"test/dog/a\nb.png": png()}, r"'test/dog/a\\nb.png': a name holds a control character"),
        ({"valid/dog/n3.PNG": None}, "lacks valid/<class>/<name>.png"),
        (
            dict.fromkeys(TREE),
            "lacks train/<class>/<name>.png, valid/<class>/<name>.png, test/<class>/<name>.png",
        ),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_wrong_cinic10_is_refused(tmp_path, changes, message, workers):
    archive = pack(
        tmp_path / "a.tar.gz", *(item for item in {**TREE, **changes}.items() if item[1] is not None)
    )
    with pytest.raises(RepriseError, match=f"a.tar.gz: {message}; delete it and fetch it again$") as caught:
        read_archive(CINIC, archive, workers=workers)
    assert "\n" not in str(caught.value)


def test_processes_decode_as_one_does(tmp_path, monkeypatch):
    """Splits mixed, and more batches than may wait."""
    monkeypatch.setattr(archives, "ROWS", 4)
    names = [
        f"{folder}/{label}/{i}.png"
        for i in range(20)
        for label in ("cat", "dog")
        for folder in ("train", "valid", "test")
    ]
    archive = pack(tmp_path / "a.tar.gz", *((name, png(seed=seed)) for seed, name in enumerate(names)))
    one, two = (read_archive(CINIC, archive, tmp_path, workers) for workers in (1, 2))
    for split, raw in one.items():
        assert len(raw.images) == 40
        np.testing.assert_array_equal(raw.images[:], two[split].images[:])
        np.testing.assert_array_equal(raw.labels, two[split].labels)
        assert raw.names == two[split].names
        assert raw.digest() == two[split].digest()


def test_a_worker_that_is_killed_is_one_line(tmp_path, monkeypatch):
    archive = pack(tmp_path / "a.tar.gz", *TREE.items())
    monkeypatch.setattr(archives, "_decode_pngs", die)
    with pytest.raises(
        RepriseError,
        match=r"a.tar.gz: a process that decoded images was killed, perhaps for lack of memory; run it again",
    ):
        read_archive(CINIC, archive, workers=2)


def die(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ORPHANS = """
import os, signal, sys
from reprise.data.archives import Spool, _PngDecoder
decoder = _PngDecoder((3, 32, 32), 2)
content = bytes.fromhex(sys.argv[1])
for _ in range(4):
    decoder.add(Spool(None, 3072), [("here", content)])
print(*decoder._pool._processes, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_their_parent_is_killed():
    """They hold its output: a pipeline would wait for them for ever, as `communicate` does here until they
    are gone.
    """
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANS, png().hex()], stdout=subprocess.PIPE, text=True
    ) as parent:
        output, _ = parent.communicate(timeout=280)
    assert parent.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in output.split()]
    assert workers
    deadline = time.monotonic() + 10
    while any(map(alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but is not yet collected does not."""
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def test_a_png_alone():
    assert decode_png(png("L"), (3, 32, 32), "here").shape == (3, 32, 32)
    with pytest.raises(RepriseError, match=r"^here: 32 × 32 pixels, not 16 × 32"):
        decode_png(png(), (3, 32, 16), "here")


# Images on disk


def test_a_spool_gives_back_what_it_was_given(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 12), dtype=np.uint8)
    spool = Spool(tmp_path / "new", 12)
    spool.append(images[:20])
    np.testing.assert_array_equal(spool[5:7], images[5:7])
    spool.append(images[20:].reshape(30, 3, 4).transpose(0, 2, 1).transpose(0, 2, 1))
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(spool[order], images[order])
    assert len(spool) == 50
    assert list((tmp_path / "new").iterdir()) == []


def test_a_disk_without_space_is_one_line(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(RepriseError, match=f"^{tmp_path}: no space left on the disk; free some"):
        read_archive(STL, stl(tmp_path / "a.tar.gz"), tmp_path)
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(RepriseError, match=r"file: File exists; check the path"):
        Spool(tmp_path / "file", 12)
