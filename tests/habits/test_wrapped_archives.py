"""The data sets in what people have of them: what browsers, Kaggle, other libraries and they themselves have
made of the official archive.
"""

import bz2
import gzip
import io
import lzma
import os
import pickle
import resource
import shutil
import signal
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from mirrors import Official, Server, adopt
from reprise.cli import main
from reprise.data import wrappings
from reprise.data.archives import read_archive, read_members, scan
from reprise.data.fetch import add_archive, fetch_dataset
from reprise.errors import RepriseError

Files = Mapping[str, bytes]
"""Name in the official archive → content."""
NAMES = ("cifar10", "cifar100", "stl10")
STRAY = {
    "__MACOSX/._x": b"\0\5\x16\7",
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf",
    "desktop.ini": b"[.ShellClassInfo]",
    "@eaDir/x@SynoEAStream": b"-",
}


@pytest.fixture
def official(monkeypatch, tmp_path, drawn) -> Callable[[str], Official]:
    """Makes a drawn archive the official one of this test."""

    def official(name: str) -> Official:
        (tmp_path / "official").mkdir()
        return adopt(monkeypatch, name, Path(shutil.copy(drawn[name], tmp_path / "official")))

    return official


@pytest.fixture(autouse=True)
def leaves_nothing_behind(tmp_path, monkeypatch):
    """What is unpacked on the way is removed, whatever happens."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield
    assert list((tmp_path / "tmp").iterdir()) == []


def content(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def tar(path: Path, files: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in files:
            made.writestr(name, data)
    return path


def unpacked(folder: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    for name, data in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def below(files: Files, top: str) -> list[tuple[str, bytes]]:
    """The files in another top folder, or in none."""
    return [(top + name.partition("/")[2], data) for name, data in files.items()]


def with_apple_doubles(files: Files) -> list[tuple[str, bytes]]:
    made = list(STRAY.items())
    for name, data in files.items():
        double = str(Path(name).with_name(f"._{Path(name).name}"))
        made += [(f"__MACOSX/{double}", b"\0\5\x16\7"), (double, b"-"), (name, data)]
    return made


def parts(data: bytes, pack: Callable[[bytes], bytes], between: bytes = b"") -> bytes:
    """Packed in parts, as pbzip2 and pixz do."""
    return between.join(pack(data[place : place + 100_000]) for place in range(0, len(data), 100_000))


def linked(folder: Path, files: Files) -> Path:
    """As the cache of the Hugging Face Hub: links to files that are called by their hash."""
    for number, (name, data) in enumerate(files.items()):
        unpacked(folder / "blobs", [(str(number), data)])
        link = folder / "snapshots" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder / "blobs" / str(number))
    return folder / "snapshots"


def in_use(folder: Path, files: Files) -> Path:
    """Somebody has a look at it with Emacs, Vim, Jupyter, the Finder and Windows."""
    unpacked(folder, [*with_apple_doubles(files), (".ipynb_checkpoints/x-checkpoint", b"-")])
    for name in files:
        (folder / name).with_name(f".#{Path(name).name}").symlink_to("someone@host.1234:5678")
        (folder / name).with_name(f"{Path(name).name}~").write_bytes(b"old")
        (folder / name).with_name(f".{Path(name).name}.swp").write_bytes(b"old")
    return folder


def lock_in_a_tar(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w:gz") as made:
        link = tarfile.TarInfo(f"{next(iter(files))[:4]}/.#notes")
        link.type, link.linkname = tarfile.SYMTYPE, "someone@host.1234:5678"
        made.addfile(link)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


WRAPPINGS: dict[str, Callable[[Path, Files, Official], Path]] = {
    # one file
    "unpacked by Safari": lambda to, files, _: tar(to / "x.tar", files.items()),
    "the same under the official name": lambda to, files, of: tar(to / of.archive.name, files.items()),
    "a .tgz": lambda to, files, _: tar(to / "x.tgz", files.items(), "w:gz"),
    "a .tar.bz2": lambda to, files, _: tar(to / "x.tar.bz2", files.items(), "w:bz2"),
    "a .tar.xz": lambda to, files, _: tar(to / "x.tar.xz", files.items(), "w:xz"),
    "by pbzip2": lambda to, files, of: write(
        to / "x.tar.bz2", parts(gzip.decompress(of.bytes), bz2.compress)
    ),
    "by pixz, padded": lambda to, files, of: write(
        to / "x.tar.xz", parts(gzip.decompress(of.bytes), lzma.compress, bytes(8)) + bytes(4)
    ),
    "named by Keras": lambda to, files, of: write(to / "cifar-10-batches-py-target_archive", of.bytes),
    "./ before each name": lambda to, files, _: tar(
        to / "x.tar.gz", ((f"./{n}", d) for n, d in files.items()), "w:gz"
    ),
    "another top folder": lambda to, files, _: tar(to / "x.tar.gz", below(files, "my data/"), "w:gz"),
    "no top folder": lambda to, files, _: tar(to / "x.tar.gz", below(files, ""), "w:gz"),
    "an editor's lock in it": lambda to, files, _: lock_in_a_tar(to / "x.tar.gz", files),
    "a .zip": lambda to, files, _: zipped(to / "x.zip", files.items()),
    "a .zip, not packed": lambda to, files, _: zipped(to / "x.zip", files.items(), zipfile.ZIP_STORED),
    "a .zip by bzip2": lambda to, files, _: zipped(to / "x.zip", files.items(), zipfile.ZIP_BZIP2),
    "a .zip of the official name": lambda to, files, of: zipped(to / of.archive.name, files.items()),
    "by PowerShell 5": lambda to, files, _: zipped(
        to / "x.zip", ((n.replace("/", "\\"), d) for n, d in files.items())
    ),
    "by the Finder": lambda to, files, _: zipped(to / "x.zip", with_apple_doubles(files)),
    "Kaggle, the files themselves": lambda to, files, _: zipped(to / "archive.zip", below(files, "")),
    "Kaggle, some folders": lambda to, files, _: zipped(to / "archive (1).zip", below(files, "a/b c/ü/")),
    # an archive in it
    "Kaggle, the archive": lambda to, files, of: zipped(to / "archive.zip", [(of.archive.name, of.bytes)]),
    "Kaggle, the archive beside others": lambda to, files, of: zipped(
        to / "archive.zip",
        [("a.zip", b"PK\3\4 no"), ("b.tar.gz", b"-"), (f"data/{of.archive.name}", of.bytes)],
    ),
    "Kaggle, the archive and its files": lambda to, files, of: zipped(
        to / "archive.zip", [(of.archive.name, of.bytes), *files.items()]
    ),
    "a .zip in a .zip": lambda to, files, of: zipped(
        to / "x.zip", [("y/archive.zip", zipped(to / "inner.zip", below(files, "")).read_bytes())]
    ),
    "a .tar in a .tar.gz": lambda to, files, of: tar(
        to / "x.tar.gz", [("y.tar", gzip.decompress(of.bytes))], "w:gz"
    ),
    "a .tar.gz in a .zip in a folder": lambda to, files, of: (
        zipped(
            (to / "down").mkdir() or to / "down" / f"{of.facts.name}.zip", [(of.archive.name, of.bytes)]
        ).parent
    ),
    # a folder
    "the folder in it": lambda to, files, _: (
        unpacked(to, files.items()) / next(iter(files)).partition("/")[0]
    ),
    "the folder around it": lambda to, files, _: unpacked(to, files.items()),
    "a folder with much else": lambda to, files, of: unpacked(
        to, [*files.items(), ("MNIST/raw/x-ubyte", b"-"), ("notes.txt", b"-"), ("z.csv", b"-")]
    ),
    "Keras 3": lambda to, files, _: unpacked(to / "cifar-10-batches-py-target", files.items()),
    "a folder in use": lambda to, files, _: in_use(to, files),
    "a cache of links": lambda to, files, _: linked(to, files),
    "a folder of torchvision": lambda to, files, of: unpacked(
        to, [*files.items(), (of.archive.name, of.bytes)]
    ),
    "a folder that holds the archive": lambda to, files, of: unpacked(to, [(of.archive.name, of.bytes)]),
    "a link to the folder": lambda to, files, _: link_to(to / "link", unpacked(to / "real", files.items())),
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def link_to(link: Path, folder: Path) -> Path:
    link.symlink_to(folder)
    return link


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_content_counts(wrapping, official, tmp_path, capsys):
    """Added and as a mirror; what is kept is a .tar.gz that holds the same images."""
    number = list(WRAPPINGS).index(wrapping)
    name = "cifar10" if "Keras" in wrapping else NAMES[number % len(NAMES)]
    known = official(name)
    (tmp_path / "given").mkdir()
    given = WRAPPINGS[wrapping](tmp_path / "given", content(known.archive), known)
    before = sorted((path, os.lstat(path).st_size) for path in (tmp_path / "given").rglob("*"))

    main(["data", "add", str(given), "--results", str(tmp_path / "results")])
    kept = tmp_path / "results/data/archives" / known.archive.name
    assert f"{kept}: {name}, verified" in capsys.readouterr().out
    mirrored = fetch_dataset(name, tmp_path / "mirrored" / known.archive.name, [str(given)])
    wanted = {split: raw.digest() for split, raw in read_archive(known.facts, known.archive).items()}
    for archive in (kept, mirrored):
        assert archive.read_bytes()[:2] == b"\x1f\x8b"
        assert tarfile.is_tarfile(archive)
        assert {split: raw.digest() for split, raw in read_archive(known.facts, archive).items()} == wanted
        assert {path.suffix for path in archive.parent.iterdir()} <= {".gz", ".json"}
    assert sorted((path, os.lstat(path).st_size) for path in (tmp_path / "given").rglob("*")) == before
    main(["data", "decode", name, "--results", str(tmp_path / "results")])


def test_only_what_belongs_to_the_data_set_is_packed(official, tmp_path):
    """The unlabelled images of STL-10 are most of it, and are not read."""
    known = official("stl10")
    files = content(known.archive)
    assert "stl10_binary/unlabeled_X.bin" in files
    kept = add_archive(zipped(tmp_path / "x.zip", [*files.items(), ("else", b"-")]), tmp_path / "data")
    assert set(content(kept)) == {name for name in files if name.rpartition("/")[2][:5] in ("train", "test_")}
    assert all(content(kept)[name] == files[name] for name in content(kept))


def test_a_large_member_of_a_zip_and_a_long_list(tmp_path, monkeypatch):
    """What bounds the list of files, which zipfile reads whole, must not bound the files: the training images
    of CIFAR-100 are one of 155 MB.
    """
    monkeypatch.setattr(wrappings, "DIRECTORY", 2_000)
    reader = {"a/x": lambda file, where: file.read()}
    large = zipped(tmp_path / "large.zip", [("a/x", bytes(10_000))], zipfile.ZIP_STORED)
    assert read_members(large, reader, 2**20) == {"a/x": bytes(10_000)}
    many = zipped(tmp_path / "many.zip", [("a/x", b""), *((f"a/{n}", b"") for n in range(100))])
    with pytest.raises(RepriseError, match=r"many.zip: its list of files claims [0-9],[0-9]+ bytes"):
        read_members(many, reader, 2**20)
    monkeypatch.undo()
    monkeypatch.setattr(wrappings, "MEMBERS", 50)
    with pytest.raises(RepriseError, match=r"many.zip: has more than 50 members"):
        read_members(many, reader, 2**20)
    unpacked(tmp_path / "many", [(f"a/{n}", b"") for n in range(100)])
    with pytest.raises(RepriseError, match=r"many: holds more than 50 files and folders; give the folder"):
        read_members(tmp_path / "many", reader, 2**20)


# CINIC-10 is known by its archive alone.


@pytest.mark.parametrize("wrapping", ["Kaggle, the archive", "a .tar.gz in a .zip in a folder"])
def test_the_archive_of_cinic10_in_another(wrapping, official, tmp_path):
    known = official("cinic10")
    (tmp_path / "given").mkdir()
    given = WRAPPINGS[wrapping](tmp_path / "given", content(known.archive), known)
    assert add_archive(given, tmp_path / "data").read_bytes() == known.bytes


@pytest.mark.parametrize("wrapping", ["unpacked by Safari", "by the Finder", "the folder around it"])
def test_what_cannot_be_told_from_another_is_refused(wrapping, official, tmp_path):
    known = official("cinic10")
    (tmp_path / "cinic-10").mkdir()
    given = WRAPPINGS[wrapping](tmp_path / "cinic-10", content(known.archive), known)
    given = given.rename(tmp_path / f"CINIC-10{given.suffix}")
    with pytest.raises(
        RepriseError, match=r"cinic10 is recognised by its archive alone, .*get the official file"
    ):
        add_archive(given, tmp_path / "data")
    assert not (tmp_path / "data").exists()


# Refused, with one line that says what it is and what to do


class Exploit:
    def __reduce__(self):
        return os.system, ("touch exploited",)


def changed(files: Files, part: str, new: bytes | None) -> list[tuple[str, bytes]]:
    found = [(name, new if name.endswith(part) else data) for name, data in files.items()]
    return [(name, data) for name, data in found if data is not None]


def repainted(files: Files) -> list[tuple[str, bytes]]:
    name = "cifar-10-batches-py/test_batch"
    batch = pickle.loads(files[name], encoding="latin-1")
    batch["data"] = batch["data"] ^ np.uint8(1)
    return changed(files, "test_batch", pickle.dumps(batch, 2))


def patched(archive: Path, place: int, value: int) -> Path:
    """A zip with a number of two bytes changed in both headers of each member."""
    data = bytearray(archive.read_bytes())
    for magic, offset in ((b"PK\3\4", place), (b"PK\1\2", place + 2)):
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            data[start + offset : start + offset + 2] = struct.pack("<H", value)
    archive.write_bytes(data)
    return archive


def linking(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            if name.endswith("test_batch"):
                info.external_attr, data = (stat.S_IFLNK | 0o777) << 16, b"/etc/passwd"
            made.writestr(info, data)
    return path


def claims(path: Path, files: Files, size: int) -> Path:
    """A zip whose members claim to be larger than they are."""
    zipped(path, files.items())
    data = bytearray(path.read_bytes())
    start = -1
    while (start := data.find(b"PK\1\2", start + 1)) >= 0:
        data[start + 24 : start + 28] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


LACKING = (
    "lacks .*; get the official file, or put data_batch_1, data_batch_2, data_batch_3, data_batch_4, "
    "data_batch_5, test_batch and batches.meta side by side into a folder, .tar.gz or .zip"
)
REFUSED: dict[str, tuple[Callable[[Path, Files], Path], str]] = {
    # not an archive that can be read
    "7-Zip": (
        lambda to, _: write(to / "cifar10.7z", b"7z\xbc\xaf\x27\x1c" + bytes(99)),
        "a 7-Zip archive.*unpack",
    ),
    "RAR": (
        lambda to, _: write(to / "cifar10.rar", b"Rar!\x1a\7\1\0" + bytes(99)),
        "a RAR archive.*unpack it",
    ),
    "zstd": (
        lambda to, _: write(to / "cifar10.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(99)),
        "by zstd.*unpack it",
    ),
    "a login page": (
        lambda to, _: write(to / "cifar-10-python.tar.gz", b"\r\n<!DOCTYPE html><html>"),
        "a web page, perhaps of a login",
    ),
    "an error page": (lambda to, _: write(to / "cifar10.zip", b"<HTML><head>"), "a web page"),
    "a pointer of Git LFS": (
        lambda to, _: write(to / "cifar10.zip", b"version https://git-lfs.github.com/spec/v1\noid"),
        "a pointer of Git LFS; run git lfs pull",
    ),
    "nothing": (lambda to, _: write(to / "cifar-10-python.tar.gz", b""), "damaged or cut short"),
    "half a .zip": (
        lambda to, files: write(to / "cifar10.zip", zipped(to / "x.zip", files.items()).read_bytes()[:9000]),
        "damaged or cut short",
    ),
    "half a .tar.xz": (
        lambda to, files: write(
            to / "cifar10.tar.xz", tar(to / "x", files.items(), "w:xz").read_bytes()[:9000]
        ),
        "damaged or cut short",
    ),
    "half a .tar.bz2": (
        lambda to, files: write(
            to / "cifar10.tar.bz2", tar(to / "x", files.items(), "w:bz2").read_bytes()[:9000]
        ),
        "damaged or cut short",
    ),
    "a bad byte in a .tar.bz2": (
        lambda to, files: write(
            to / "cifar10.tar.bz2",
            (lambda data: data[:3000] + bytes([data[3000] ^ 255]) + data[3001:])(
                tar(to / "x", files.items(), "w:bz2").read_bytes()
            ),
        ),
        "damaged or cut short",
    ),
    "by Windows, large": (
        lambda to, files: patched(zipped(to / "cifar10.zip", files.items()), 8, 9),
        "by Deflate64, as Windows packs what is large.*unpack it and give the folder",
    ),
    "locked by a password": (
        lambda to, files: patched(zipped(to / "cifar10.zip", files.items()), 6, 1),
        "is locked by a password.*unpack it",
    ),
    # unsafe
    "a link in a .zip": (lambda to, files: linking(to / "cifar10.zip", files), "is a link or a device"),
    "a path outside": (
        lambda to, files: zipped(to / "cifar10.zip", [("../../x", b""), *files.items()]),
        "points outside the archive",
    ),
    "an absolute path": (
        lambda to, files: zipped(to / "cifar10.zip", [("/etc/x", b""), *files.items()]),
        "points outside the archive",
    ),
    "a path outside, by Windows": (
        lambda to, files: zipped(to / "cifar10.zip", [("..\\x", b""), *files.items()]),
        "points outside the archive",
    ),
    "a bomb": (
        lambda to, files: zipped(to / "cifar10.zip", changed(files, "test_batch", bytes(2**25))),
        "unpacks to more than 16,777,216 bytes",
    ),
    "a bomb in a .tar.xz": (
        lambda to, files: tar(to / "cifar10.tar.xz", changed(files, "test_batch", bytes(2**25)), "w:xz"),
        "unpacks to more than 16,777,216 bytes",
    ),
    "a bomb inside": (
        lambda to, files: zipped(to / "cifar10.zip", [("x.tar.gz", gzip.compress(bytes(2**25)))]),
        "x.tar.gz.* damaged or cut short|x.tar.gz.*unpacks to more",
    ),
    "claims": (lambda to, files: claims(to / "cifar10.zip", files, 2**31), "unpacks to more than"),
    "claims a little": (lambda to, files: claims(to / "cifar10.zip", files, 2**20), "damaged or cut short"),
    "a forbidden pickle": (
        lambda to, files: zipped(
            to / "cifar10.zip", changed(files, "test_batch", pickle.dumps(Exploit(), 2))
        ),
        "calls posix.system, which is forbidden",
    ),
    "the same file twice": (
        lambda to, files: zipped(to / "cifar10.zip", [*files.items(), next(iter(files.items()))]),
        "twice",
    ),
    # other content
    "other images": (
        lambda to, files: zipped(to / "cifar10.zip", repainted(files)),
        "the content of its 10 test images differs",
    ),
    "a batch is missing": (
        lambda to, files: zipped(to / "cifar10.zip", changed(files, "data_batch_3", None)),
        LACKING,
    ),
    "the binary version": (
        lambda to, _: tar(
            to / "cifar-10-binary.tar.gz", [("cifar-10-batches-bin/data_batch_1.bin", b"-")], "w:gz"
        ),
        LACKING,
    ),
    "the MATLAB version": (
        lambda to, _: tar(
            to / "cifar-10-matlab.tar.gz", [("cifar-10-batches-mat/test_batch.mat", b"-")], "w:gz"
        ),
        LACKING,
    ),
    "Kaggle's tables": (lambda to, _: zipped(to / "cifar10.zip", [("train.csv", b"0,1")]), LACKING),
    "Kaggle's competition": (
        lambda to, _: zipped(to / "cifar-10.zip", [("train.7z", b"7z"), ("trainLabels.csv", b"id,label")]),
        LACKING,
    ),
    "pictures in folders": (
        lambda to, _: unpacked(to / "cifar10", [("train/cat/1.png", b"-"), ("test/cat/1.png", b"-")]),
        LACKING,
    ),
    "Parquet": (
        lambda to, _: unpacked(to / "cifar10", [("plain_text/train-00000-of-00001.parquet", b"PAR1")]),
        LACKING,
    ),
    "an empty .zip": (lambda to, _: zipped(to / "cifar10.zip", []), LACKING),
    "an empty folder": (lambda to, _: (to / "cifar10").mkdir() or to / "cifar10", LACKING),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, official, tmp_path, monkeypatch):
    known = official("cifar10")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    make, message = REFUSED[name]
    given = make(tmp_path / "given", content(known.archive))
    with pytest.raises(RepriseError, match=message) as caught:
        add_archive(given, tmp_path / "data")
    said = str(caught.value)
    assert said.startswith(f"{given}: ")
    assert "\n" not in said
    assert "delete it" not in said
    with pytest.raises(RepriseError) as caught:
        fetch_dataset("cifar10", tmp_path / "data" / known.archive.name, [str(given)])
    assert str(given) in str(caught.value)
    assert not (tmp_path / "exploited").exists()
    assert not (tmp_path / "data/archives").exists()
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("form", ["zip", "stored zip", "bzip2 zip", "tar.bz2", "tar.xz", "tar"])
def test_mutated_wrappings(form, tmp_path):
    """Whatever a file holds, reading it ends with all or with one line."""
    rng = np.random.default_rng(0)
    files = [("a/x", bytes(rng.integers(0, 9, 3000, np.uint8))), ("a/y", b"yes" * 100), ("b", b"")]
    methods = {"zip": zipfile.ZIP_DEFLATED, "stored zip": zipfile.ZIP_STORED, "bzip2 zip": zipfile.ZIP_BZIP2}
    archive = tmp_path / "x"
    if form in methods:
        zipped(archive, files, methods[form])
    else:
        tar(archive, files, "w:" + form.removeprefix("tar").removeprefix("."))
    good, read = archive.read_bytes(), {}
    whole, refused = 0, []
    for _ in range(200):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(len(data)))
            match rng.integers(4):
                case 0:
                    data[place] ^= 1 << int(rng.integers(8))
                case 1:
                    del data[place : place + int(rng.integers(1, 60))]
                case 2:
                    data[place:place] = bytes(rng.integers(0, 256, 7, np.uint8))
                case _:
                    data[place : place + 4] = b"\xff\xff\xff\x7f"
        archive.write_bytes(data)
        read.clear()
        try:
            scan(archive, 2**16, lambda name, file, size: read.update({name: file.read()}))
            whole += 1
        except RepriseError as error:
            refused.append(str(error))
    assert all(said.startswith(f"{archive}: ") and "\n" not in said for said in refused)
    assert len(refused) > 100
    assert whole or form in ("tar.bz2", "tar.xz")  # whose check sums cover all of it


def test_a_file_that_is_nothing_known_is_told_how_to_come(official, tmp_path):
    official("cifar10")
    given = zipped(tmp_path / "pets.zip", [("cat.jpg", b"-")])
    with pytest.raises(
        RepriseError, match=r"pets.zip: none of cifar-10-python.tar.gz, .*lacks .*, or put its"
    ):
        add_archive(given, tmp_path / "data")


# A folder as a mirror


@pytest.mark.parametrize(
    "wrapping",
    [
        "unpacked by Safari",
        "a .tar.xz",
        "by the Finder",
        "Kaggle, the files themselves",
        "Kaggle, some folders",
    ],
)
def test_a_mirror_that_holds_it_under_its_usual_names(wrapping, official, tmp_path):
    known = official("cifar10")
    folder = unpacked(tmp_path / "mirror", [("cifar-100-python/train", b"-"), (".DS_Store", b"-")])
    given = WRAPPINGS[wrapping](folder, content(known.archive), known)
    if not given.name.startswith("archive"):
        given.rename(folder / f"CIFAR-10_python{''.join(given.suffixes)}")
    target = tmp_path / "data" / known.archive.name
    fetch_dataset("cifar10", target, [folder.as_uri()])
    assert read_archive(known.facts, target)["test"].digest() == known.facts.splits["test"].digest


@pytest.mark.parametrize("name", NAMES)
def test_a_mirror_in_which_it_was_unpacked(name, official, tmp_path):
    """Beside other data sets, or as the folder itself; an official archive that is damaged is passed over."""
    known = official(name)
    folder = unpacked(tmp_path / "mirror", content(known.archive).items())
    inside = folder / next(iter(content(known.archive))).partition("/")[0]
    (folder / known.archive.name).write_bytes(b"damaged")
    for number, mirror in enumerate((folder, inside)):
        target = tmp_path / str(number) / known.archive.name
        fetch_dataset(name, target, [str(mirror)])
        assert read_archive(known.facts, target)["test"].digest() == (
            read_archive(known.facts, known.archive)["test"].digest()
        )


@pytest.mark.parametrize("wrapping", ["a .zip", "a .tar.bz2", "Kaggle, the archive"])
def test_a_server_that_has_it_in_another_wrapping(wrapping, official, tmp_path, server):
    known = official("cifar10")
    (tmp_path / "given").mkdir()
    given = WRAPPINGS[wrapping](tmp_path / "given", content(known.archive), known)
    server.answer = lambda request, number: Server.send(
        request, given.read_bytes(), cut=5000 if number == 0 else None
    )
    target = tmp_path / "data" / known.archive.name
    fetch_dataset("cifar10", target, [f"{server.url}/files/{given.name}?download=1"])
    assert server.paths[0] == f"/files/{given.name}?download=1"
    assert target.read_bytes()[:2] == b"\x1f\x8b"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_no_room_to_unpack(official, tmp_path):
    """The system ends writing at a size, which is the nearest to a full disk."""
    known = official("cifar10")
    given = zipped(tmp_path / "x.zip", [(known.archive.name, known.bytes)])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(RepriseError, match=r"no room to unpack .*File too large.*set TMPDIR"):
            add_archive(given, tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, former)
    assert not (tmp_path / "data").exists()


def test_a_file_that_the_user_may_not_read(official, tmp_path, monkeypatch):
    known = official("cifar10")
    folder = unpacked(tmp_path / "cifar-10-batches-py", below(content(known.archive), ""))
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self.name == "data_batch_2":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RepriseError, match=r"data_batch_2: cannot be read \(Permission denied\)"):
        add_archive(folder, tmp_path / "data")
