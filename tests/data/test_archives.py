import dataclasses
import gzip
import io
import os
import pickle
import pickletools
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from reprise.data.archives import RawSplit, content_digest, read_archive, read_members, safe_unpickle
from reprise.data.catalog import DATASETS
from reprise.data.synthetic import write_archive
from reprise.errors import RepriseError

FACTS = DATASETS["cifar100"]


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
    return read_members(path, {"a/x"}, limit, lambda file, where: file.read())


def test_members_are_read_and_others_ignored(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", special("a", tarfile.DIRTYPE), ("a/readme", b"hello"), ("./a/x", b"data"))
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
    with pytest.raises(RepriseError, match=r"cannot be read \(Is a directory\)"):
        read(tmp_path)


@pytest.mark.parametrize("pax", [False, True], ids=["a member", "a header"])
def test_a_decompression_bomb_is_refused(tmp_path, pax):
    """Two MiB of zeros in two kB, as an unwanted member or hidden in a header that tarfile itself would read into memory."""
    if pax:
        info = tarfile.TarInfo("a/x")
        info.pax_headers = {"comment": "0" * 2**21}
        archive = pack(tmp_path / "a.tar.gz", info)
    else:
        archive = pack(tmp_path / "a.tar.gz", ("a/y", bytes(2**21)), ("a/x", b""))
    assert archive.stat().st_size < 2**14
    with pytest.raises(RepriseError, match="unpacks to more than 1,048,576 bytes"):
        read(archive)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_archive(tmp_path, drawn, kept):
    whole = drawn["cifar100"].read_bytes()
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(
        RepriseError,
        match=r"cut.tar.gz: (damaged or cut short|cifar-100-python/t[a-z]+: cannot be unpickled .EOFError: Compressed file ended)",
    ):
        read_archive(FACTS, archive)


def test_a_wrong_check_sum(tmp_path):
    """It stands at the end of the file, far behind the last member: only a reader that goes on to the end notices."""
    archive = pack(tmp_path / "a.tar.gz", ("a/x", b"data"))
    packed = bytearray(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(2**22)))
    archive.write_bytes(packed)
    assert read(archive, limit=2**23) == {"a/x": b"data"}
    packed[-8] ^= 1
    archive.write_bytes(packed)
    with pytest.raises(RepriseError, match=r"a.tar.gz: damaged or cut short \(CRC check failed"):
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
    [(Exploit(), f"{os.system.__module__}.system"), (OrderedDict(), "collections.OrderedDict"), (np.float64(1), "multiarray.scalar")],
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
    with pytest.raises(RepriseError, match=r"a.tar.gz: cifar-100-python/meta: its pickle calls (posix|nt).system"):
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
    """Python 3 writes bytes as `_codecs.encode` in protocol 2, and today's NumPy names its module `numpy._core`."""
    value = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2], b"names": [b"\xff"]}
    read = safe_unpickle(io.BytesIO(pickle.dumps(value, protocol)), "member")
    np.testing.assert_array_equal(read["data"], value["data"])
    assert (read["labels"], read[b"names"]) == ([1, 2], [b"\xff"])


# Form of the content


def write(path: Path, **changes: object) -> Path:
    """A CIFAR-100 archive with one image a split, whose training member or class names are changed."""
    split = {"data": np.zeros((2, 3072), np.uint8), "filenames": [b"a", b"b"], "coarse_labels": [0, 1], "fine_labels": [0, 99]}
    meta = {"fine_label_names": list(FACTS.classes["fine"]), "coarse_label_names": list(FACTS.classes["coarse"])}
    train = changes.get("whole", {**split, **changes})
    meta.update({key: value for key, value in changes.items() if key in meta})
    members = {"train": train, "test": split, "meta": meta}
    return pack(path, *((f"cifar-100-python/{name}", pickle.dumps(value, 2)) for name, value in members.items()))


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
        ({"fine_label_names": list(FACTS.classes["fine"])[::-1]}, "meta: fine_label_names are not the classes of cifar100"),
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
        assert sorted(tar.getnames()) == ["cifar-100-python/meta", "cifar-100-python/test", "cifar-100-python/train"]
        content = tar.extractfile("cifar-100-python/train").read()
    operations = list(pickletools.genops(content))
    assert {argument for operation, argument, _ in operations if operation.name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    assert operations[0][1] == 2
    assert not {"BINUNICODE", "UNICODE", "BINBYTES", "SHORT_BINBYTES"} & {operation.name for operation, _, _ in operations}


def test_an_archive_that_is_written_reads_back(tmp_path, drawn):
    for name, archive in drawn.items():
        splits = read_archive(DATASETS[name], archive)
        write_archive(tmp_path / "again.tar.gz", DATASETS[name], splits)
        assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()
