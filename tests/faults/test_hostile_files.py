"""Files that are made to harm: input → what must be said. Each is refused in one printable line, in bounded
time and memory.
"""

import contextlib
import ctypes
import errno
import gzip
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel, Field, ValidationError, create_model
from safetensors.torch import load_file, save_file

from reprise import files, parquet
from reprise.cli import main
from reprise.data import archives, tar
from reprise.data.archives import decode_png, read_members
from reprise.data.decode import load
from reprise.data.pickles import safe_unpickle
from reprise.errors import RepriseError, SeveralMistakes, printable
from reprise.evaluation import evaluate, submission
from reprise.files import parse_json, read_json
from reprise.planning import Calibration
from reprise.publishing.expressions import Expressions
from reprise.publishing.figures import samples
from reprise.publishing.measures import lookup
from reprise.publishing.results import read_meta, read_tables
from reprise.records import DIGEST, seal
from reprise.reports import expansion
from reprise.reports.editor import json_schema
from reprise.reports.expressions import Names
from reprise.reports.file import read_yaml
from reprise.reports.layout import DEMO_IMAGES
from reprise.reports.mistakes import MOST_SHOWN
from reprise.reports.report import Report
from reprise.schema import Strict
from reprise.training.checkpoint import MAGIC, read_checkpoint
from reprise.training.engine import train
from reprise.training.results import read_run, read_weights
from reprise.workflow.config import read_config
from tiny import SAFELY, edit_dataset, record_run, tiny_run, write_dataset

ROOT = Path(__file__).parents[2]
MOST_S, MOST_MEMORY = 8.0, 32 << 20
"""For one file: processor time, which counting the memory makes several times what it is, and memory."""


def refused(read: Callable[[], object], message: str, memory: int = MOST_MEMORY) -> str:
    """What is said when `read` refuses, which must fit `message`, in bounded time and memory; each mistake is
    one printable line.
    """
    handler, timer = signal.signal(signal.SIGALRM, _too_long), signal.setitimer(signal.ITIMER_REAL, 60)
    tracemalloc.start()  # and the alarm is for a reader that would never come back
    began = time.process_time()
    try:
        with pytest.raises(RepriseError) as caught:
            read()
        assert time.process_time() - began < MOST_S
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
    said = str(caught.value)
    assert re.search(message, said), said
    lines = caught.value.lines if isinstance(caught.value, SeveralMistakes) else [said]
    assert said == "\n".join(lines)
    assert len(lines) <= MOST_SHOWN + 1
    for line in lines:
        assert line == printable(line)
        assert len(line) <= 4010
    return said


def _too_long(*_: object) -> None:
    raise TimeoutError("it hangs")


# ---- pickles ----


class Reduced:
    """Pickles as a call."""

    def __init__(self, *call: object) -> None:
        self._call = call

    def __reduce__(self) -> tuple:
        return self._call


_RECONSTRUCT = np.empty(0).__reduce__()[0]


def array(
    shape: object, kind: object, content: object, fortran: object = False, version: object = 1
) -> Reduced:
    return Reduced(_RECONSTRUCT, (np.ndarray, (0,), b"b"), (version, shape, kind, fortran, content))


def kind(name: str, *state: object) -> Reduced:
    return Reduced(np.dtype, (name, False, True), state or (3, "|", None, None, None, -1, -1, 0))


OBJECTS = kind("V8", 3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
"""A type whose elements are Python objects, and which does not say so: reading one follows an address that
stands in the file.
"""
DEEP = b"(" * 100_000 + b"t" * 100_000


def pickled(value: object) -> bytes:
    return pickle.dumps({"data": value}, 2)


PICKLES: dict[str, tuple[bytes, str]] = {
    "objects at addresses of the file": (
        pickled(array((1,), OBJECTS, b"A" * 8)),
        "arrays of 'V8', not of numbers",
    ),
    "a type of objects": (pickled(array((1,), np.dtype("O"), [1])), "arrays of 'O8', not of numbers"),
    "an object's address": (pickled(array((1,), kind("O8"), b"A" * 8)), "arrays of 'O8', not of numbers"),
    "texts": (pickled(np.array(["a"])), "arrays of 'U1', not of numbers"),
    "a record": (pickled(np.zeros(2, [("a", "u1")])), "arrays of 'V1', not of numbers"),
    "a type with fields": (
        pickled(array((1,), kind("u1", 3, "|", None, ("a",), {}, 8, 1, 0), b"x")),
        "described in an unknown way",
    ),
    "a type with flags": (
        pickled(array((1,), kind("u1", 3, "|", None, None, None, -1, -1, 63), b"x")),
        "described in an unknown way",
    ),
    "a type of a size of its own": (
        pickled(array((1,), kind("u1", 3, "|", None, None, None, 1 << 40, -1, 0), b"x")),
        "unknown way",
    ),
    "an unknown order": (
        pickled(array((1,), kind("u2", 3, "x", None, None, None, -1, -1, 0), b"xx")),
        "unknown way",
    ),
    "too few bytes": (
        pickled(array((10, 3072), kind("u1"), b"x")),
        r"impossible shape|shape \(10, 3072\) "
        r"and "
        r"1 "
        r"bytes",
    ),
    "too many bytes": (pickled(array((1,), kind("u1"), b"xxx")), r"an array of shape \(1,\) and 3 bytes"),
    "a shape of petabytes": (pickled(array((2**31, 2**31), kind("u1"), b"x" * 70_000)), "impossible shape"),
    "a shape of nothing times much": (
        b"}" + pickle.dumps(array((0, 2**40), kind("u1"), b""), 3)[2:],
        "impossible shape",
    ),
    "a negative shape": (pickled(array((-1,), kind("u1"), b"x")), "impossible shape"),
    "a shape of texts": (pickled(array(("a",), kind("u1"), b"x")), "impossible shape"),
    "a shape of truths": (pickled(array((True,), kind("u1"), b"x")), "impossible shape"),
    "a hundred dimensions": (pickled(array((1,) * 100, kind("u1"), b"x")), "impossible shape"),
    "no shape": (pickled(array(5, kind("u1"), b"x")), "unknown way"),
    "a type that is none": (pickled(array((1,), "u1", b"x")), "unknown way"),
    "an unknown version": (pickled(array((1,), kind("u1"), b"x", version=2)), "unknown way"),
    "ndarray called": (b"cnumpy\nndarray\n(I-1\ntR.", "a call that makes no array"),
    "dtype called with a name's address": (b"cnumpy\ndtype\n(I7\ntR.", "a call that makes no array"),
    "dtype's own method": (
        b"\x80\x04\x8c\x05numpy\x8c\x0edtype.fromkeys\x93.",
        r"calls numpy.dtype.fromkeys, which is forbidden",
    ),
    "a name with dots": (
        b"\x80\x04\x8c\x05numpy\x8c\x0bf2py.os.sep\x93.",
        "which is forbidden: do not trust",
    ),
    "a name that is none": (b"\x80\x04K\x01K\x02\x93.", "which is forbidden"),
    "a name that commands the terminal": (b"c\x1b[2J\nx\n.", r"calls \\x1b\[2J.x, which is forbidden"),
    "an attribute for a function": (b"c_codecs\nencode\n}U\x01aK\x01sb.", "described in an unknown way"),
    "attributes for a class": (b"cnumpy\nndarray\nN}U\x07__doc__K\x01s\x86b.", "described in an unknown way"),
    "a state for a dictionary": (b"}}b.", "described in an unknown way"),
    "INST": (b"(ios\nsystem\n.", "INST is not an operation on plain values"),
    "OBJ": (b"(cnumpy\nndarray\no.", "OBJ is not an operation"),
    "NEWOBJ": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ is not an operation"),
    "NEWOBJ_EX": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX is not an operation"),
    "an extension": (b"\x80\x02\x82\x01.", "EXT1 is not an operation"),
    "a persistent name": (b"Pabc\n.", "PERSID is not an operation"),
    "a buffer": (b"\x80\x05\x97.", "NEXT_BUFFER is not an operation"),
    "a byte array of a terabyte": (
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",
        "BYTEARRAY8 is not an operation",
    ),
    "bytes of a terabyte": (b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b".", "it ends too soon"),
    "a text of exabytes": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "it ends too soon"),
    "a string of less than nothing": (b"T\xff\xff\xff\xff.", "it ends too soon"),
    "a frame of exabytes": (b"\x80\x04\x95" + b"\xff" * 8, "it ends too soon"),
    "a long of gigabytes": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4 is not an operation"),
    "a long of 255 bytes": (b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", "a number is too large"),
    "a number of 100,000 digits": (b"L" + b"9" * 100_000 + b"L\n.", "a number is none, or too large"),
    "a hexadecimal number": (b"I0x" + b"f" * 1000 + b"\n.", "a number is none"),
    "value 2^27 to remember": (
        b"\x80\x02}r" + (2**27).to_bytes(4, "little") + b".",
        "value 134,217,728 to remember",
    ),
    "value -1 to remember": (b"}p-1\n.", "value -1 to remember"),
    "value 10^19 to remember": (b"}p9999999999999999999\n.", "to remember"),
    "a value never remembered": (b"h\x05.", "value 5 was never remembered"),
    "nothing to remember": (b"q\x00.", "a value is missing"),
    "texts that multiply": (
        b"c_codecs\nencode\nq\x00X\x10\x27\x00\x00"
        + b"x" * 10_000
        + b"X\x06\x00\x00\x00latin1\x86q\x01R"
        + b"h\x00h\x01R" * 20_000
        + b".",
        "texts that multiply",
    ),
    "another encoding": (
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
        "a call that makes no array",
    ),
    "operations without end": (b"N0" * 1_100_000, "POP is not an operation"),
    "values without end": (b"N" * 1_100_000, "more than 1,048,576 operations"),
    "marks without end": (b"(" * 1_100_000, "more than 1,048,576 operations"),
    "a deep key": (b"}" + DEEP + b"Ns.", "a key that is not a text"),
    "an array as a key": (b"}]Ns.", "a key that is not a text"),
    "no value for a key": (b"}(U\x01au.", "a key without a value"),
    "no mark": (b"}u.", "a mark is missing"),
    "no list": (b"}Na.", "a list is missing"),
    "no dictionary": (b"]U\x01aNs.", "a dict is missing"),
    "below the mark": (b"N(0.", "POP is not an operation"),
    "a stop without a value": (b".", "a value is missing"),
    "protocol 9": (b"\x80\x09N.", "an unknown protocol"),
    "nothing": (b"", "it ends too soon"),
    "half": (pickled(np.zeros(5, np.uint8))[:-10], "it ends too soon"),
    "no UTF-8": (b"X\x01\x00\x00\x00\xff.", "codec can't decode"),
    "a float of 100,000 digits": (b"F" + b"x" * 100_000 + b"\n.", "could not convert"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles(name):
    content, message = PICKLES[name]
    refused(lambda: safe_unpickle(io.BytesIO(content), "member"), message, 40 * max(len(content), 1 << 20))


def test_a_deep_pickle_is_no_batch():
    """Nothing goes down into it."""
    value = safe_unpickle(io.BytesIO(b"]" * 500_000 + b"a" * 499_999 + b"."), "member")
    assert isinstance(value, list)
    with pytest.raises(RepriseError, match="member: holds a list, not a dictionary"):
        archives._mapping(value, "member")


def test_names_that_multiply_are_not_decoded():
    long = b"x" * 1_000_000
    refused(lambda: archives._texts([long] * 100_000, "names"), "not a list of names")
    refused(lambda: archives._texts(["\ud800"], "names"), "a control character")


def test_arrays_are_made_of_what_the_file_holds():
    """Without a copy: the bytes of the file are the bytes of the array, and cannot be written to."""
    value = {
        "a": np.arange(300_000, dtype=">u2").reshape(3, 100_000, order="F"),
        "b": np.zeros((1, 5)),
        "c": np.float32([1.5]),
    }
    for protocol in range(5):
        content = pickle.dumps(value, protocol)
        found = safe_unpickle(io.BytesIO(content), "member")
        for name, expected in value.items():
            np.testing.assert_array_equal(found[name], expected)
            assert found[name].dtype == expected.dtype
    assert not found["a"].flags.writeable


# ---- tar ----


def header(
    name: bytes = b"a/x", size: bytes = b"00000000005\0", type_: bytes = b"0", **fields: bytes
) -> bytes:
    """A ustar header with a right check sum."""
    block = bytearray(512)
    block[0 : len(name)], block[124 : 124 + len(size)], block[156:157] = name, size, type_
    block[100:108], block[257:265] = b"0000644\0", b"ustar\x0000"
    for place, value in (
        (345, fields.get("prefix", b"")),
        (157, fields.get("link", b"")),
        (386, fields.get("sparse", b"")),
    ):
        block[place : place + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def binary(size: int) -> bytes:
    return (b"\x80" + size.to_bytes(11, "big")) if size >= 0 else (2**96 + size).to_bytes(12, "big")


def member(content: bytes = b"12345", **fields) -> bytes:
    return header(**{"size": b"%011o\0" % len(content), **fields}) + content + bytes(-len(content) % 512)


def pax(*records: bytes, type_: bytes = b"x") -> bytes:
    return member(b"".join(records), name=b"pax", type_=type_)


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


END = bytes(1024)
TARS: dict[str, tuple[bytes, str]] = {
    "8 exbibytes": (
        header(size=binary(2**63)) + b"12345",
        r"unpacks to more than .* \(member 'a/x' claims "
        r"9,223,372,036,854,775,808\)",
    ),
    "10 GiB": (header(size=binary(10 * 2**30)) + b"12345", "claims 10,737,418,240"),
    "8 GiB in octal": (header(size=b"77777777777\0") + b"12345", "claims 8,589,934,591"),
    "less than nothing": (header(size=binary(-512)) + b"12345", "claims -512 bytes"),
    "a little more than is left": (
        header(size=b"00000004000\0") + b"12345",
        "damaged or cut short .it ends within a member",
    ),
    "no number": (header(size=b"xxxxxxxxxxx\0"), "damaged or cut short"),
    "8 exbibytes by an extended header": (
        pax(record(b"size", b"9223372036854775808")) + member(),
        "claims 9,223,372,036,854,775,808",
    ),
    "a size of 5,000 digits": (
        pax(record(b"size", b"9" * 5000)) + member(),
        "a number in an extended header is none",
    ),
    "a negative size by an extended header": (
        pax(record(b"size", b"-512")) + member(),
        "a number in an extended header is none",
    ),
    "a sparse file of 10 GiB": (
        header(type_=b"S", sparse=b"0" * 96 + b"\0" + binary(10 * 2**30)) + END,
        "is a sparse file",
    ),
    "a sparse file, GNU 0.0": (
        pax(record(b"GNU.sparse.size", b"10737418240")) + member(),
        "is a sparse file",
    ),
    "a sparse file, GNU 0.1": (
        pax(record(b"GNU.sparse.map", b"0,10737418240")) + member(),
        "is a sparse file",
    ),
    "a sparse file, GNU 1.0": (
        pax(
            record(b"GNU.sparse.major", b"1"),
            record(b"GNU.sparse.minor", b"0"),
            record(b"GNU.sparse.realsize", b"9"),
        )
        + member(b"1\n"),
        "is a sparse file",
    ),
    "an extended header of 10 MB": (
        member(bytes(10**7), type_=b"x"),
        "an extended header claims 10,000,000 bytes",
    ),
    "an extended header of 8 EiB": (
        header(size=binary(2**63), type_=b"x"),
        "an extended header claims 9,223,",
    ),
    "a negative extended header": (header(size=binary(-1), type_=b"L"), "an extended header claims -1 bytes"),
    "a long name of 8 EiB": (header(size=binary(2**63), type_=b"L"), "an extended header claims 9,223,"),
    "a global header of 8 EiB": (header(size=binary(2**63), type_=b"g"), "an extended header claims 9,223,"),
    "an extended header of digits": (pax(b"9" * 60_000) + member(), "damaged or cut short"),
    "a record of 5,000 digits": (pax(b"9" * 5000 + b" a=b\n") + member(), "damaged or cut short"),
    "a record of no length": (pax(b"0 a=b\n") + member(), "damaged or cut short"),
    "a record beyond the header": (pax(b"999999 a=b\n") + member(), "damaged or cut short"),
    "a record without a value": (pax(b"7 abcd\n") + member(), "damaged or cut short"),
    "no header after an extended one": (pax(record(b"path", b"a")), "damaged or cut short|lacks"),
    "a path outside by an extended header": (
        pax(record(b"path", b"../../x")) + member(),
        r"'\.\./\.\./x' points outside",
    ),
    "an absolute path by a long name": (
        member(b"/etc/x\0", type_=b"L") + member(),
        "'/etc/x' points outside",
    ),
    "a path outside by a prefix": (member(name=b"x", prefix=b"../.."), "points outside"),
    "a name of 60,000 characters": (
        pax(record(b"path", b"x" * 60_000)) + member(),
        "has a name of 60,000 characters",
    ),
    "a name with a zero": (pax(record(b"path", b"a\0b")) + member(), "points outside"),
    "a name that commands the terminal": (
        pax(record(b"path", b"../\x1b[2J")) + member(),
        r"member '../\\x1b\[2J' points outside",
    ),
    "a name that is no UTF-8": (pax(record(b"path", b"../\xff\xfe")) + member(), "points outside"),
    "a link": (header(type_=b"2", link=b"/etc/passwd"), "is a link or a device"),
    "a hard link": (header(type_=b"1", link=b"a"), "is a link or a device"),
    "a device": (header(type_=b"3"), "is a link or a device"),
    "a volume of several": (header(type_=b"M"), "is a link or a device"),
    "an unknown type": (header(type_=b"?"), "is a link or a device"),
    "the same file twice": (member() + member(), "holds a/x twice"),
    "a wrong check sum": (header()[:150] + b"\0" + header()[151:], "damaged or cut short"),
    "half a header": (header()[:100], "damaged or cut short"),
    "a header after good ones": (member(name=b"b") + b"x" * 512, "damaged or cut short"),
    "nothing": (b"", "damaged or cut short"),
    "zeros": (bytes(10_240), "lacks a/x"),
}


@pytest.mark.parametrize("name", TARS)
@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
def test_tar_headers(name, packed, tmp_path):
    content, message = TARS[name]
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(content, 1) if packed else content)
    said = refused(lambda: read_members(archive, {"a/x": lambda file, where: file.read()}, 2**20), message)
    assert str(archive) in said
    assert said.endswith("delete it and fetch it again")


def test_good_headers_of_all_formats(tmp_path):
    long = "long/" * 40 + "ünï"
    for format_ in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        archive = tmp_path / f"{format_}.tar.gz"
        with tarfile.open(
            archive,
            "w:gz",
            format=format_,
            pax_headers={"comment": "global"} if format_ == tarfile.PAX_FORMAT else None,
        ) as made:
            for name in ("a/x", long):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = 700, 1.5
                made.addfile(info, io.BytesIO(name.encode().ljust(700)))
        found = read_members(
            archive, {name: lambda file, where: file.read() for name in ("a/x", long)}, 2**20
        )
        assert found == {name: name.encode().ljust(700) for name in ("a/x", long)}
        shutil.unpack_archive(
            archive, tmp_path / str(format_), "gztar", **SAFELY
        )  # as the standard library reads it
        assert (tmp_path / str(format_) / long).read_bytes() == found[long]


def test_many_members_and_extended_headers_that_follow_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(tar, "MEMBERS", 5_000)
    for piece in (
        member(b"", name=b"b", type_=b"5"),
        pax(record(b"path", b"a")),
        pax(record(b"path", b"a"), type_=b"g"),
        member(b"n\0", type_=b"L"),
    ):
        archive = tmp_path / "a.tar.gz"
        archive.write_bytes(gzip.compress(piece * 6_000, 1))
        refused(lambda archive=archive: read_members(archive, {}, 2**26), "more than 5,000 members")


def test_gzip_headers(tmp_path):
    """A name of 30 MB in a header is passed over; parts without end are not. Several parts, and zeros between
    them, are fine.
    """
    archive, content = tmp_path / "a.tar.gz", member() + END
    packed = gzip.compress(content, 1)
    archive.write_bytes(packed[:3] + b"\x08" + packed[4:10] + b"n" * 30_000_000 + b"\0" + packed[10:])
    began = time.process_time()
    assert read_members(archive, {"a/x": lambda file, where: file.read()}, 2**20) == {"a/x": b"12345"}
    assert time.process_time() - began < MOST_S
    archive.write_bytes(gzip.compress(b"") * 500_000)
    refused(lambda: read_members(archive, {}, 2**20), "is packed in more than 65,536 parts")
    archive.write_bytes(
        b"".join(
            gzip.compress(content[place : place + 100]) + bytes(place % 7)
            for place in range(0, len(content), 100)
        )
    )
    assert read_members(archive, {"a/x": lambda file, where: file.read()}, 2**20) == {"a/x": b"12345"}
    for rubbish in (b"rubbish", b"\x1f\x8b\x08", gzip.compress(b"x")[:-9]):
        archive.write_bytes(packed + rubbish)
        refused(
            lambda: read_members(archive, {"a/x": lambda file, where: file.read()}, 2**20),
            "damaged or cut short",
        )
    packed = bytearray(packed)
    for place in (-8, -4):  # check sum, length
        archive.write_bytes(
            packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
            if place != -4
            else packed[:-4] + b"\0\0\0\0"
        )
        refused(
            lambda: read_members(archive, {"a/x": lambda file, where: file.read()}, 2**20),
            "damaged or cut short .*incorrect (data|length)",
        )


def test_a_bomb_is_not_unpacked(tmp_path):
    archive = tmp_path / "a.tar.gz"
    with gzip.open(archive, "wb", 1) as file:
        for number in range(60):
            file.write(member(bytes(2**20), name=b"%d" % number))
    assert archive.stat().st_size < 2**20
    refused(lambda: read_members(archive, {}, 2**24), "unpacks to more than 16,777,216 bytes")


# ---- PNG, zip and npz ----


def chunk(kind_: bytes, content: bytes) -> bytes:
    import zlib

    return len(content).to_bytes(4, "big") + kind_ + content + zlib.crc32(kind_ + content).to_bytes(4, "big")


def ihdr(width: int, height: int) -> bytes:
    return chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0")


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zeros(count: int) -> bytes:
    import zlib

    return zlib.compress(bytes(count), 9)


PNGS = {
    "4 billion pixels a side": (
        png(ihdr(2**32 - 1, 2**32 - 1)),
        "4294967295 × 4294967295 pixels, not 12 × 12",
    ),
    "100,000 pixels a side": (
        png(ihdr(100_000, 100_000), chunk(b"IDAT", zeros(1000))),
        "100000 × 100000 pixels",
    ),
    "a second size": (
        png(ihdr(12, 12), ihdr(30_000, 30_000), chunk(b"IDAT", zeros(1000))),
        "30000 × 30000 pixels|a damaged PNG",
    ),
    "no pixels": (png(ihdr(0, 0)), "0 × 0 pixels"),
    "pixels of a gigabyte": (
        png(ihdr(12, 12), chunk(b"IDAT", zeros(2**27)), chunk(b"IEND", b"")),
        "not a PNG|damaged|ok",
    ),
    "a text of 128 MB": (
        png(ihdr(12, 12), chunk(b"zTXt", b"a\0\0" + zeros(2**27)), chunk(b"IDAT", zeros(12 * 37))),
        "a damaged PNG",
    ),
    "a profile of 128 MB": (
        png(ihdr(12, 12), chunk(b"iCCP", b"a\0\0" + zeros(2**27)), chunk(b"IDAT", zeros(12 * 37))),
        "a damaged PNG|ok",
    ),
    "a chunk of 2 GiB": (png(ihdr(12, 12), b"\x7f\xff\xff\xffIDATxx"), "a damaged PNG"),
    "another format": (b"GIF89a" + bytes(100), "not a PNG image"),
    "no header": (png(chunk(b"IDAT", b"")), "not a PNG image"),
}


@pytest.mark.parametrize("name", PNGS)
@pytest.mark.filterwarnings("error")
def test_pngs(name):
    content, message = PNGS[name]
    if message.endswith("|ok"):  # Pillow takes what it needs and no more
        with contextlib.suppress(RepriseError):
            tracemalloc.start()
            decode_png(content, (3, 12, 12), "x")
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        tracemalloc.stop()
    else:
        refused(lambda: decode_png(content, (3, 12, 12), "x"), message)


def small_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 12)).save(file, "PNG")
    return file.getvalue()


def submitted(archive: Path, count: int = 2) -> list:
    return list(submission._images(archive, count, (12, 12)))


def test_zip_archives(tmp_path):
    path = tmp_path / "x.zip"

    def pack(*members: tuple[str, bytes], flag: int = 0, method: int = 0) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in members:
                made.writestr(name, content)
        if flag or method:
            data = bytearray(path.read_bytes())
            for place in [found.start() for found in re.finditer(b"PK\x01\x02|PK\x03\x04", bytes(data))]:
                offset = 6 if data[place + 2] == 3 else 8
                data[place + offset] |= flag
                if method:
                    data[place + offset + 2] = method
            path.write_bytes(data)

    pack(("1.png", bytes(2**28)))
    refused(lambda: submitted(path), "1.png: more than 1,048,576 bytes")
    pack(("1.png", small_png()), flag=1)
    refused(lambda: submitted(path), r"damaged or cut short \(.*encrypted")
    pack(("1.png", small_png()), method=97)
    refused(lambda: submitted(path), r"damaged or cut short \(.*[Cc]ompression")
    path.write_bytes(b"PK\x05\x06" + bytes(8) + b"\xff" * 10)
    refused(lambda: submitted(path), "damaged or cut short")


def test_a_tar_of_images_that_claims_too_much(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(header(name=b"1.png", size=binary(2**62)))
    refused(lambda: submitted(path), r"unpacks to more than .*; get it again")


def test_a_folder_of_images_with_pipes_and_depth(tmp_path):
    (tmp_path / "1.png").write_bytes(small_png())
    os.mkfifo(tmp_path / "2.png")
    deep = tmp_path
    for _ in range(700):
        deep = deep / "d"
    with contextlib.suppress(OSError):
        deep.mkdir(parents=True)
    refused(lambda: submitted(tmp_path), "lacks 1 of 2 images, the first is 2.png")


def test_sample_images_that_claim_too_much(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, captions=np.array(["a"]), images=np.zeros((1, 1000, 1000, 3), np.uint8))
    monkeypatch.setattr(samples, "MOST_BYTES", 10**6)
    refused(lambda: samples.read(path), "it claims 3,00")
    np.save(tmp_path / "y.npy", np.zeros(3))
    refused(lambda: samples.read(tmp_path / "y.npy"), "not a readable file of sample images")


# ---- YAML, and the reports that are written in it ----

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

YAMLS = {
    "aliases that multiply": (LAUGHS, ":5: more than 50,000 values, with what aliases repeat"),
    "merges that multiply": (MERGES, "more than 50,000 values"),
    "an alias that contains itself": ("a: &a [*a]", r":1: \*a contains itself; write it out"),
    "a mapping that contains itself": ("a: &a\n  b: *a\n", r":2: \*a contains itself"),
    "an alias of nothing": ("a: *b", r":1: undefined alias \*b; a text that begins with \* needs quotes"),
    "200,000 brackets": ("[" * 200_000, "more than 50 lists and mappings inside each other"),
    "200,000 braces": ("{a: " * 200_000, "more than 50 lists and mappings"),
    "100,000 dashes": ("- " * 100_000 + "a", "more than 50 lists and mappings"),
    "100,000 question marks": ("? " * 100_000 + "a", "more than 50 lists and mappings"),
    "levels by lines": (
        "".join(f"{' ' * level}a:\n" for level in range(2_000)),
        "more than 50 lists and mappings",
    ),
    "a list of 2,000": (f"a: [{', '.join(['1'] * 2000)}]", "more than 1,000 items in a list"),
    "100,000 keys": ("".join(f"k{number}: 1\n" for number in range(100_000)), "more than 50,000 values"),
    "10 MB": ("a: " + "x" * 10**7, "more than 4,194,304 bytes"),
    "an integer of 5,000 digits": (
        f"a: {'9' * 5000}",
        ":1: 99999999999999999999… is too large",
    ),
    "an integer of 65 bits": ("a:\n  b: 9223372036854775808", ":2: 9223372036854775808 is too large"),
    "a hexadecimal of 5,000 digits": (f"a: 0x{'f' * 5000}", "is too large or too long"),
    "1e400": ("a: 1e400", "1e400 is too large"),
    "a float of 5,000 digits": (f"a: 0.{'0' * 5000}1", "is too large or too long"),
    "infinity": ("a: -.inf", "is no finite number"),
    "not a number": ("a: .nan", "is no finite number"),
    "a float that is none": ("a: !!float abc", "the value does not fit !!float; leave the tag out"),
    "an integer that is none": ("a: !!int abc", "the value does not fit !!int"),
    "a truth that is none": ("a: !!bool maybe", "the value does not fit !!bool"),
    "an object": ("a: !!python/object/apply:os.system [id]", "is a YAML tag, and none is known here"),
    "a set": ("a: !!set {b}", "is a YAML tag, and none is known here"),
    "binary": ("a: !!binary eA==", "is a YAML tag, and none is known here"),
    "an empty binary int": ("a: !!int ''", "the value does not fit !!int"),
    "a zero": ('a: "x\\0y"', "a control character in a text"),
    "an escape": ('a: "\\e[2J"', "a control character in a text"),
    "a turn of direction": ('a: "\\u202e"', "a control character in a text"),
    "a lone surrogate": ('a: "\\ud800"', "control character|a backslash in double quotes"),
    "a key twice": ("a: 1\na: 2", ":2: key 'a' stands twice"),
    "a list as a key": ("? [a]\n: 1", "a list or mapping in the place of a key"),
    "no UTF-8": ("a: \udcff", "not UTF-8 text"),
    "two documents": ("a: 1\n---\nb: 2", "a second document begins here"),
    "a tab": ("a:\n\t- b", ":2: a tab; indent with spaces"),
}


@pytest.mark.parametrize("name", YAMLS)
def test_yaml(name, tmp_path):
    text, message = YAMLS[name]
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(lambda: read_yaml(path), message, 64 << 20)


def test_dates_and_times_are_texts_and_aliases_are_fine(tmp_path):
    """Numbers in sixties, too: nothing is computed of them."""
    path = tmp_path / "a.yaml"
    path.write_text(
        "a: &a {x: 2001-01-01, y: 2001-13-45, z: 1e-3}\nb: [*a, *a]\nc: {<<: *a, w: 9223372036854775807}\n"
    )
    a = {"x": "2001-01-01", "y": "2001-13-45", "z": 0.001}
    assert read_yaml(path) == {"a": a, "b": [a, a], "c": {**a, "w": 2**63 - 1}}
    for sixties in ("12:30", f"1{':59' * 2000}", f"-1{':59' * 2000}.5"):
        path.write_text(f"a: {sixties}\n")
        assert read_yaml(path) == {"a": sixties}


MINI = {
    "slug": "mini",
    "title": "Mini",
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": 0.2},
        "model": {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]},
        "optimizer": {"name": "adam", "lr": 0.001},
        "training": {"epochs": 3, "batch_size": 128, "select": "best_accuracy"},
        "seeds": [0],
    },
    "scales": {"demo": {}},  # which shrinks nothing: the built-in one would hide what is too much
}


def axis(count: int) -> dict:
    return {"path": "optimizer.lr", "values": [number / 1000 + 0.001 for number in range(count)]}


def grid(*counts: int) -> dict:
    paths = (
        "optimizer.lr",
        "optimizer.eps",
        "optimizer.weight_decay",
        "training.batch_size",
        "training.epochs",
    )
    return {
        f"a{place}": {"path": path, "values": list(range(1, count + 1))}
        for place, (path, count) in enumerate(zip(paths, counts, strict=False))
    }


class Quoted(str):
    """Written in quotes, as reports write printed numbers."""


yaml.SafeDumper.add_representer(
    Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def number(**keys: object) -> dict:
    return {
        "statements": [
            {
                "number": "a",
                "reported": "1",
                "measure": "accuracy(e)",
                **keys,
            }
        ]
    }


REPORTS: dict[str, tuple[dict, str]] = {
    "a grid of a billion": (
        {"experiments": {"e": {"grid": grid(1000, 1000, 1000)}}},
        "experiments.e: 1,000,000,000 runs, of at most",
    ),
    "grids that are too many together": (
        {"experiments": {f"e{place}": {"grid": grid(20, 20)} for place in range(3)}},
        "experiments.e2: 1,200 runs, of at most 1,000",
    ),
    "a grid of many seeds": (
        {
            "experiments": {"e": {"grid": grid(999)}},
            "defaults": {**MINI["defaults"], "seeds": list(range(1000))},
        },
        "999,000 runs, of at most 1,000",
    ),
    "many readings": (
        {
            "experiments": {
                "e": {
                    "grid": grid(999),
                    "readings": {f"r{place}": {"training.epochs": 1} for place in range(900)},
                }
            }
        },
        "899,100 runs",
    ),
    "a million trials": (
        {"experiments": {"e": {"random": {"trials": 10**6, "space": {"a": axis(10)}}}}},
        "trials: should be less than or equal to 10000, not 1000000",
    ),
    "a billion trials of a study": (
        {
            "experiments": {
                "e": {
                    "asha": {
                        "trials": 10**9,
                        "min_resource": 1,
                        "reduction_factor": 2,
                        "space": {"a": axis(10)},
                    }
                }
            }
        },
        "trials: should be less than or equal to 10000, not 1000000000",
    ),
    "more trials than combinations": (
        {"experiments": {"e": {"random": {"trials": 900, "space": {"a": axis(99)}}}}},
        "900 is more than the 99",
    ),
    "a chain of 500 experiments": (
        {"experiments": {"e0": {}, **{f"e{place}": {"base": f"e{place - 1}"} for place in range(1, 500)}}},
        "more than 50 experiments start from each other",
    ),
    "a chain of 500 initial weights": (
        {
            "experiments": {
                **{
                    f"e{place}": {"set": {"initial_weights": {"from": f"e{place - 1}"}}}
                    for place in range(499, 0, -1)
                },
                "e0": {},
            }
        },
        "more than 50 experiments start from each other",
    ),
    "initial weights in a circle of grids": (
        {
            "experiments": {
                f"e{place}": {
                    "set": {"initial_weights": {"from": f"e{(place + 1) % 40}"}},
                    "grid": grid(20),
                }
                for place in range(40)
            }
        },
        r"initial weights go round in a circle: e0 → e1 → ",
    ),
    "settings without end": (
        {
            "experiments": {
                "e": {
                    "set": {"model.layers": [{"dense": 5}] * 900 + [{"dense": "classes"}]},
                    "grid": grid(99, 9),
                }
            }
        },
        "the settings of all runs have more than 100,000 characters",
    ),
    "settings without end, of many experiments": (
        {
            "defaults": {
                **MINI["defaults"],
                "model": {"name": "sequential", "layers": [{"dense": 5}] * 900 + [{"dense": "classes"}]},
            },
            "experiments": {f"e{place}": {} for place in range(9000)},
        },
        "the settings of all runs have more than 100,000 characters",
    ),
    "mistakes without end": (
        {"experiments": {"e": {"set": {"model.layers": [{"dens": 5}] * 900}, "grid": grid(99, 9)}}},
        "did you mean dense",
    ),
    "mistakes without end, of many experiments": (
        {
            "defaults": {
                **MINI["defaults"],
                "model": {"name": "sequential", "layers": [{"dens": 5}] * 900},
            },
            "experiments": {f"e{place}": {} for place in range(9000)},
        },
        "did you mean dense",
    ),
    "a grid of mistakes": (
        {"experiments": {"e": {"set": {"optimizer.name": "adamm"}, "grid": grid(30, 30)}}},
        "did you mean adam",
    ),
    "a path of 1,000 steps": (
        {"experiments": {"e": {"set": {".".join("a" * 1000): 1}}}},
        "string should have at most (200|1000) characters",
    ),
    "a setting as a float": (
        {"experiments": {"e": {"set": {"training.epochs": 3.0}}}},
        "training.epochs: should be a whole number, not 3.0",
    ),
    "a billion epochs": (
        {"experiments": {"e": {"set": {"training.epochs": 10**9}}}},
        "epochs: should be less than or equal to 100000, not 1000000000",
    ),
    "epochs of another type, shrunk": (
        {
            "experiments": {"e": {"set": {"training.epochs": "many"}}},
            "scales": {"demo": {"epochs": {"max": 1}}},
        },
        "training.epochs: should be a whole number, not 'many'",
    ),
    "no training at all": (
        {"experiments": {"e": {"set": {"training": None}}}, "scales": {"demo": {"epochs": {"max": 1}}}},
        "key training is missing",
    ),
    "no training, and another change": (
        {"experiments": {"e": {"set": {"optimizer.lr": 0.1, "training": None}}}},
        r":29: experiments.e.set.training: key training is missing",
    ),
    "no model": ({"experiments": {"e": {"set": {"model": None}}}}, "key model is missing"),
    "a billion layers": (
        {
            "experiments": {
                "e": {"set": {"model": {"name": "vit", "patch": 4, "dim": 8, "layers": 10**9, "heads": 2}}}
            }
        },
        "should be less than or equal to 1000, not",
    ),
    "channels times 1e300": (
        {
            "experiments": {
                "e": {
                    "set": {
                        "model": {"name": "residual", "blocks": 1, "kernel": 3, "filters": 8, "width": 1e300}
                    }
                }
            }
        },
        "should be less than or equal to 1000, not",
    ),
    "a kind that is a list": (
        {"experiments": {"e": {}}, "figures": [{"id": "a", "kind": ["curves"], "caption": "x"}]},
        r"figures\.a\.kind: \['curves'\] is no kind of figure",
    ),
    "a value that is no mapping": (
        {"experiments": {"e": {"grid": {"n": {"values": {"x": {}}}}, "readings": {"r": {"n=x": 5}}}}},
        "5 is no mapping from paths to values",
    ),
    "a name with a line break": ({"experiments": {"e\n": {}}}, "does not have the form"),
    "a slug with a line break": ({"slug": "mini\n", "experiments": {"e": {}}}, "does not have the form"),
    "an id with a line break": ({"experiments": {"e": {}}, **number(number="a\n")}, "does not have the form"),
    "a number with a line break": (
        {"experiments": {"e": {}}, **number(reported="0.5\n")},
        "does not have the form",
    ),
    "a number with an exponent of a billion": (
        {"experiments": {"e": {}}, **number(reported=Quoted("1e-999999999"))},
        "does not have the form",
    ),
    "a number of 5,000 digits": (
        {"experiments": {"e": {}}, **number(reported=Quoted("0." + "1" * 5000))},
        "reported: .*: string should have at most 40 characters",
    ),
    "a selector of 100,000 characters": (
        {"experiments": {"e": {}}, **number(measure=f'accuracy("e/{"x" * 100_000}")')},
        "string should have at most (200|1000) characters",
    ),
    "a repetition of a repetition": (
        {
            "experiments": {"e": {}},
            "figures": [
                {"repeat": [{"a": [1] * 9}] * 999, "id": "{a}", "kind": "curves", "series": ["{a}"] * 999}
            ],
        },
        ":[0-9]+: figures.0..repeat: makes more than 50,000 values",
    ),
    "a list repeated in a list": (
        {
            "experiments": {"e": {}},
            "figures": [
                {"repeat": [{"a": [0] * 999}] * 9, "id": "f", "kind": "curves", "series": ["{a}"] * 999}
            ],
        },
        "mini.yaml: more than 50,000 values",
    ),
    "a text repeated in a text": (
        {"experiments": {"e": {}}, "figures": [{"repeat": [{"a": "x" * 10**6}] * 99, "id": "{a}" * 10**6}]},
        "figures.0..repeat.0.: the texts made have more than 4,194,304 characters",
    ),
    "a thousand and one figures": (
        {"experiments": {"e": {}}, "figures": [{"repeat": [{"a": 1}] * 501, "id": "{a}"}] * 2},
        "figures.1.: more than 1,000 figures; leave some out",
    ),
    "networks that start from a large one": (
        {
            "experiments": {"e": {}},
            "models": {
                "m": {"name": "sequential", "layers": [{"dense": 5}] * 999},
                **{f"m{place}": {"base": "m"} for place in range(9000)},
            },
        },
        "mini.yaml: more than 50,000 values",
    ),
    "a chain of 99 networks": (
        {"experiments": {"e": {}}, "models": {f"m{place}": {"base": f"m{place + 1}"} for place in range(99)}},
        "models.m51.base: more than 50 models start from each other",
    ),
    "figures that start from a large one": (
        {
            "experiments": {"e": {}},
            "figures": [
                {"id": "f", "kind": "curves", "caption": "x", "metric": "loss", "series": ["e"] * 999},
                *({"base": "f", "id": f"f{place}"} for place in range(900)),
            ],
        },
        "mini.yaml: more than 50,000 values",
    ),
    "defaults of many figures": (
        {
            "experiments": {"e": {}},
            "figure_defaults": {"curves": {"series": ["e"] * 999}},
            "figures": [{"id": f"f{place}", "kind": "curves"} for place in range(900)],
        },
        "mini.yaml: more than 50,000 values",
    ),
    "a path of stars": (
        {"experiments": {"e": {"set": {f"model.layers{'.*' * 90}": 1}}}},
        r"layers\.\*: no element has \*",
    ),
    "an unknown selector": (
        {"experiments": {"e": {}}, **number(measure=f"accuracy({'x' * 900})")},
        "no experiment x",
    ),
}


def write_report(folder: Path, changes: dict) -> Path:
    path = folder / "mini.yaml"
    path.write_text(yaml.safe_dump({**MINI, **changes}, sort_keys=False))
    return path


@pytest.mark.parametrize("name", REPORTS)
def test_reports(name, tmp_path, monkeypatch):
    changes, message = REPORTS[name]
    path = write_report(tmp_path, changes)
    monkeypatch.setattr(expansion, "MOST_RUNS", 1000)
    monkeypatch.setattr(expansion, "MOST_TEXT", 100_000 if "settings" in name else expansion.MOST_TEXT)
    refused(lambda: Report(path, "demo"), message, 96 << 20)


EXPRESSIONS = {
    "400 parentheses": ("(" * 400 + "loss(a)" + ")" * 400 + " > 1", "too many parentheses inside each other"),
    "120 calls inside each other": (
        "mean(" * 120 + "loss(a)" + ")" * 120 + " > 1",
        "more than 100 parts inside",
    ),
    "900 signs": ("-" * 900 + "loss(a) > 1", "more than 100 parts inside each other"),
    "a sum of 490 numbers": ("1+" * 490 + "loss(a) > 1", "more than 100 parts inside each other"),
    "300 open brackets": ("[" * 300, "too many parentheses inside each other"),
    "an open parenthesis": ("loss(a > 1", "'\\(' was never closed"),
    "2,000 characters": ("loss(a) > " + "1" * 2000, "more than 1000 characters"),
    "900 digits": ("loss(a) > " + "1" * 900, "this number is too large"),
    "1e400": ("loss(a) > 1e400 * loss(b)", "column 11: this number is too large"),
    "1e-400 below": ("loss(a) / 1e-400 > loss(b)", "by numbers other than 0 only"),
    "1e-300": ("loss(a) > 1e-300", "this number is too small"),
    "powers that multiply": (
        "loss(a) * 1e99 * 1e99 * 1e99 * 1e99 > 1",
        "the result is too large",
    ),
    "a power tower": ("loss(a) > 9**9**9**9", "'\\*\\*' is not known; write"),
    "a shift": ("loss(a) > 1 << 99999999", "'<<' is not known; write <"),
    "digits of another script": (
        "loss(a) > ١",
        "means nothing here|cannot stand here|write",
    ),
    "a margin of 1e999": ("within(loss(a), loss(b), 1e999)", "this number is too large"),
    "two measures multiplied": ("loss(a) * loss(b) > 1", "multiplied by numbers only"),
    "nothing": ("", "the expression is empty"),
    "blanks": (" \n\t ", "the expression is empty"),
    "a number alone": ("1 > 2", "it measures nothing"),
    "a null byte": ("loss(a\0) > 1", "a character that cannot be read means nothing here"),
    "half a character": ("loss(a) > '\ud800'", "means nothing here; leave it out"),
    "an import": ("__import__('os').system('id') > 1", "a dot after a name means nothing here"),
    "eval": ("eval('1') > 1", "no metric or measure 'eval'"),
    "a lambda": ("(lambda: 1)() > loss(a)", "'lambda' is not known"),
    "a comprehension": ("[loss(a) for a in 'ab'] > 1", "'for' is not known"),
    "a generator": ("max(loss(a) for b in 'ab') > 1", "'for' is not known"),
    "a walrus": ("(a := 9) > loss(a)", "':=' cannot stand in an expression"),
    "an f-string": ("loss(f'{a}') > 1", "an f-string cannot stand in an expression"),
    "bytes": ("loss(b'a') > 1", "is neither a number nor a text"),
    "an imaginary number": ("loss(a) > 1j", "is neither a number nor a text"),
    "an assignment": ("a = loss(a) > 1", "column 3: '=': of two values, write within"),
    "two lines": ("loss(a) > 1\nimport os", "'import' cannot stand here"),
    "an unknown escape": ("loss('\\d') > 1", "a backslash"),
    "await": ("await loss(a) > 1", "means nothing in an expression"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name):
    text, message = EXPRESSIONS[name]
    refused(lambda: Expressions(Names()).relation(text, "x"), message)
    refused(lambda: Expressions(Names()).value(text, "x"), ".")
    refused(lambda: Expressions(Names(measures={"f": text})), ".")


def test_places_in_lists():
    """A place of 5,000 digits, or in another script's, is none."""
    spec = {"layers": [{"dense": 5}, {"dense": 6}]}
    assert lookup(spec, "layers.1.dense") == [6]
    for place in ("9" * 5000, "2", "١", "-1"):
        assert lookup(spec, f"layers.{place}.dense") == []


def test_a_random_search_of_the_whole_space_is_quick(tmp_path):
    """Drawn without repetition; looking for each draw in a list took minutes."""
    path = write_report(
        tmp_path, {"experiments": {"e": {"random": {"trials": 990, "space": {"a": axis(990)}}}}}
    )
    began = time.process_time()
    assert len(Report(path).runs()) == 990
    assert time.process_time() - began < 20


CONFIGS = {
    "threads": (10**30, "less than or equal to 4096"),
    "shard": (1e300, "config.yaml or --config: shard: 1e.300: not valid; valid: experiment, report, or"),
    "results": ("a\0b", r"'a\\x00b': no name holds a null character"),
    "data": ("x" * 5000, "longer than 4096 characters"),
    "device": ("cpu\n", "not valid; valid: auto, cpu, cuda"),
    "mirror": (["x"] * 2000, "config.yaml or --config: mirror: .*at most 1000 items"),
    "reports": (["a", ["b"]], r"reports\[1\]: \['b'\]: must be text"),
    "skip": ({"mlp": 1}, "skip: {'mlp': 1}: should be a list, such as \\[a, b\\]"),
    "synthetic": ({"train": 10**12, "test": 1}, "synthetic.train: 1000000000000: .*less than or equal"),
    "scale": ("full\n", "is not valid; did you mean full?"),
    "thread": (1, "thread: unknown key; did you mean threads?"),
    1: (1, r"\[1\]: unknown key"),
}


def test_a_configuration_whose_aliases_multiply():
    """As Snakemake's own reader gives it: each list stands ten times in the next."""
    value: list = ["x"]
    for _ in range(9):
        value = [value] * 10
    refused(
        lambda: read_config({"mirror": value}),
        "more than 50,000 values, with what aliases",
    )
    loop: dict = {}
    loop["mirror"] = loop
    refused(lambda: read_config(loop), "more than 50,000 values")


@pytest.mark.parametrize("key", CONFIGS)
def test_configurations(key):
    value, message = CONFIGS[key]
    refused(lambda: read_config({key: value}), message)


def test_whole_numbers_of_the_command_line_may_have_exponents():
    config = read_config({"shard": 1e5, "threads": 2.0})
    assert (config.shard, config.threads) == (100_000, 2)
    assert type(config.shard) is type(config.threads) is int


@pytest.mark.parametrize("key", ["shard", "threads"])
@pytest.mark.parametrize("value", [True, 1.5, "one", 0, -1, float("nan")])
def test_what_is_no_number_of_threads_or_steps(key, value):
    refused(lambda: read_config({key: value}), f"config.yaml or --config: {key}: ")


def test_a_part_of_synthetic_leaves_the_other_at_its_default():
    assert read_config({"synthetic": {"train": 1}}).synthetic.model_dump() == DEMO_IMAGES | {"train": 1}
    refused(lambda: read_config({"synthetic": {"train": 1, "tst": 1, "test": 1}}), "did you mean test?")


def patterns(node: object) -> Iterator[str]:
    """The patterns of a JSON schema, of values and of keys."""
    if isinstance(node, dict):
        yield from ([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
        yield from node.get("patternProperties", ())
        node = list(node.values())
    for inner in node if isinstance(node, list) else []:
        yield from patterns(inner)


def test_no_pattern_lets_a_line_break_pass():
    """`$` of Python's `re` matches before one; that of pydantic's engine, which the models use, does not."""
    found = set(patterns(json_schema()))
    assert len(found) > 5
    for pattern in found:
        model = create_model("Model", __base__=Strict, text=(Annotated[str, Field(pattern=pattern)], ...))
        taken = [text for text in ("a", "1", "a.b", "a=1", "https://a") if _takes(model, text)]
        assert taken, pattern
        for text in taken:
            assert not _takes(model, f"{text}\n"), pattern
            assert not _takes(model, f"{text}\nb"), pattern
    for file in (ROOT / "src").rglob("*.py"):
        for line in file.read_text().splitlines():
            assert not re.search(r"""re\.(match|search|compile)\(.*\$["']""", line), f"{file}: {line}"
            assert "regex_engine" not in line, f"{file}: {line}"


def _takes(model: type[BaseModel], text: str) -> bool:
    try:
        return bool(model(text=text))
    except ValidationError:
        return False


BREAKS = {
    "an experiment": {"experiments": {"e\n": {}}},
    "a network": {"models": {"n\n": {"name": "vit", "patch": 4, "dim": 8, "layers": 1, "heads": 2}}},
    "a reading": {"experiments": {"e": {"readings": {"r\n": {}}}}},
    "a path": {"experiments": {"e": {"set": {"training.epochs\n": 1}}}},
    "a meaning": {"experiments": {"e": {"readings": {"r": {"training.epochs\n": 1}}}}},
    "a value's meaning": {"experiments": {"e": {"readings": {"r": {"a=1\n": 1}}}}},
    "an axis": {"experiments": {"e": {"grid": {"a\n": axis(2)}}}},
    "an axis of a study": {
        "experiments": {
            "e": {"asha": {"trials": 1, "min_resource": 1, "reduction_factor": 2, "space": {"a\n": axis(2)}}}
        }
    },
    "an axis' path": {"experiments": {"e": {"grid": {"a": {"path": "optimizer.lr\n", "values": [0.1]}}}}},
    "cells": {"cells": {"a\n": "e"}},
    "a measure": {"measures": {"a\n": "accuracy"}},
    "a claim": {"statements": [{"claim": "c\n", "holds": "accuracy(e) > 0"}]},
    "a figure": {"figures": [{"id": "f\n", "kind": "trials", "caption": "x", "runs": "e"}]},
    "a table": {"tables": [{"id": "t\n", "kind": "trials", "caption": "x", "runs": "e", "metric": "loss"}]},
    "a reference": {
        "figures": [
            {
                "id": "f",
                "kind": "curves",
                "caption": "x",
                "metric": "loss",
                "splits": ["train"],
                "series": "e",
                "reference": "0.5\n",
            }
        ]
    },
}


@pytest.mark.parametrize("name", BREAKS)
def test_no_name_ends_with_a_line_break(name, tmp_path):
    path = write_report(tmp_path, {"experiments": {"e": {}}, **BREAKS[name]})
    refused(lambda: Report(path), "does not have the form")


# ---- JSON ----

JSONS = {
    "deep": (b"[" * 100_000, "nested too deeply"),
    "a little too deep": (b"[" * 65 + b"]" * 65, "nested too deeply"),
    "deep mappings": (b'{"a":' * 100_000, "nested too deeply"),
    "5,000 digits": (b"[" + b"9" * 5000 + b"]", "Exceeds the limit"),
    "65 bits": (b'{"a": 36893488147419103232}', "a number beyond 64 bits"),
    "a lone surrogate": (b'{"a": "\\ud800"}', "surrogates not allowed"),
    "a lone surrogate as a key": (b'{"\\udfff": 1}', "surrogates not allowed"),
    "no UTF-8": (b'"\xff"', "codec can't decode"),
    "nothing": (b"", "Expecting value"),
    "half": (b'{"a": ', "Expecting value"),
    "a mark before": (b"\xef\xbb\xbf{}", "BOM"),
}


@pytest.mark.parametrize("name", JSONS)
def test_json(name, tmp_path):
    content, message = JSONS[name]
    path = tmp_path / "a.json"
    path.write_bytes(content)
    refused(lambda: read_json(path), f"{path}: not valid JSON .*{message}")


def test_a_large_json_is_not_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    refused(lambda: read_json(tmp_path / "a.json"), "more than 67,108,864 bytes")


def test_good_json():
    assert parse_json('{"a": [1.5, NaN, true, null, "ü", -9223372036854775808]}')["a"][0] == 1.5
    assert parse_json("[" * 64 + "]" * 64)


# ---- the files of runs and data sets ----


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    dirs, run = {"cifar10": write_dataset(folder / "data", train=40, test=12)}, tiny_run(training__epochs=2)
    train([run], dataset_dirs=dirs, cache=folder / "runs", device="cpu")
    evaluate([run], dirs, folder / "runs", device="cpu")
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """A data set and a run that can be damaged."""
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def run_folder(folder: Path) -> Path:
    return next((folder / "runs").iterdir())


def edit(**changes: object) -> Callable[[Path], None]:
    """Change `run.json`, with a digest that fits: `meta__epochs=5`, `spec__x=…`, or a whole part."""

    def change(folder: Path) -> None:
        path = folder / "run.json"
        document = json.loads(path.read_text())
        del document[DIGEST]
        for key, value in changes.items():
            *parents, last = key.split("__")
            node = document
            for parent in parents:
                node = node[parent]
            node[last] = value
        path.write_text(json.dumps(seal(document)))

    return change


RECORDS = {
    "a list": (lambda folder: (folder / "run.json").write_text("[]"), "not a record"),
    "no meta": (edit(meta=None), "no record of a run"),
    "meta as a list": (edit(meta=[]), "no record of a run"),
    "spec as a text": (edit(spec="x"), "no record of a run"),
    "another run": (edit(run="0" * 12), "it is of run 000000000000"),
    "a run as a list": (edit(run=[1]), r"it is of run \[1\]"),
    "other settings": (edit(spec__training__epochs=5), "its settings are those of run"),
    "NaN in the settings": (edit(spec__optimizer__lr=float("nan")), "not JSON compliant"),
    "infinity in the settings": (edit(spec__optimizer__lr=float("inf")), "not JSON compliant"),
    "epochs as a text": (edit(meta__epochs="2"), "its meta.epochs is '2'"),
    "epochs as a truth": (edit(meta__epochs=True), "its meta.epochs is True"),
    "epochs as a float": (edit(meta__selected_epoch=1.0), "its meta.selected_epoch is 1.0"),
    "no reason to stop": (edit(meta__stopped=None), "its meta.stopped is None"),
    "seconds as infinity": (edit(meta__seconds=float("inf")), "its meta.seconds is inf"),
    "statistics as a text": (edit(meta__channel_mean="abc"), "its meta.channel_mean is 'abc'"),
    "statistics of texts": (edit(meta__channel_mean=["a"]), r"its meta.channel_mean is \['a'\]"),
    "digests as a list": (edit(meta__data=[]), r"its meta.data is \[\]"),
    "a device that commands the terminal": (
        edit(meta__device=["\x1b[2J"]),
        r"its meta.device is \['\\x1b\[2J'\]",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_of_runs(name, copy):
    change, message = RECORDS[name]
    folder = run_folder(copy)
    change(folder)
    refused(lambda: read_run(folder), message)
    refused(lambda: read_meta(folder.parent, [folder.name]), message)


def rewrite(name: str, **columns: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table = pd.read_parquet(folder / name)
        pq.write_table(
            pa.table(
                {
                    **{column: table[column].to_list() for column in table},
                    **{key: value(table) for key, value in columns.items()},
                }
            ),
            folder / name,
        )

    return change


TABLES = {
    "a text as a loss": (
        rewrite("history.parquet", loss=lambda table: ["x"] * len(table)),
        "history",
        "column loss is of type string",
    ),
    "lists as losses": (
        rewrite("history.parquet", loss=lambda table: [[1.0]] * len(table)),
        "history",
        "column loss is of type list",
    ),
    "a float as an epoch": (
        rewrite("history.parquet", epoch=lambda table: [1.5] * len(table)),
        "history",
        "column epoch is of type double",
    ),
    "a missing epoch": (
        rewrite("history.parquet", epoch=lambda table: [None] + [1] * (len(table) - 1)),
        "history",
        "column epoch has empty fields",
    ),
    "bytes as a split": (
        rewrite("history.parquet", split=lambda table: [b"x"] * len(table)),
        "history",
        "column split is of type binary",
    ),
    "a truth as a value": (
        rewrite("final.parquet", value=lambda table: [True] * len(table)),
        "final",
        "column value is of type bool",
    ),
    "dates as labels": (
        rewrite("predictions.parquet", label=lambda table: [pd.Timestamp(0)] * len(table)),
        "predictions",
        "column label is of type timestamp",
    ),
    "no column": (
        lambda folder: pq.write_table(pa.table({"run": ["a"]}), folder / "final.parquet"),
        "final",
        "final.parquet",
    ),
    "a hostile note of pandas": (
        lambda folder: pq.write_table(
            pq.read_table(folder / "final.parquet")
            .replace_schema_metadata({"pandas": "[" * 100_000})
            .drop_columns("value"),
            folder / "final.parquet",
        ),
        "final",
        "final.parquet",
    ),
    "half": (
        lambda folder: (folder / "final.parquet").write_bytes((folder / "final.parquet").read_bytes()[:300]),
        "final",
        "final.parquet",
    ),
    "a history of too many epochs": (
        lambda folder: pq.write_table(
            pa.table(
                {
                    "run": ["x"] * 200_001,
                    "epoch": [1] * 200_001,
                    "split": ["train"] * 200_001,
                    "loss": [1.0] * 200_001,
                    "accuracy": [0.5] * 200_001,
                }
            ),
            folder / "history.parquet",
        ),
        "history",
        r"\(200,001 rows\)",
    ),
    "another format": (
        lambda folder: (folder / "final.parquet").write_bytes(b"PAR1" * 100),
        "final",
        "final.parquet",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_runs(name, copy):
    """With records that fit: whoever can write a file can write its record."""
    change, table, message = TABLES[name]
    folder = run_folder(copy)
    change(folder)
    record_run(folder)
    refused(
        lambda: read_tables(folder.parent, [folder.name]),
        f"{table}.parquet: not a table of .*{message}|{message}: not a table of",
    )


@pytest.mark.parametrize("column", ["label", "predicted"])
@pytest.mark.parametrize("value", [1000, 2**29, 2**62])
def test_classes_that_are_too_many_are_not_counted(column, value, copy):
    """Their counts would take as many numbers as the largest has."""
    folder = run_folder(copy)
    rewrite("predictions.parquet", **{column: lambda table: [value] * len(table)})(folder)
    record_run(folder)
    refused(
        lambda: read_tables(folder.parent, [folder.name]),
        f"{column} is {value}, no run has more than 1000 classes",
    )


def test_a_table_of_sparse_terabytes_is_not_hashed(copy):
    folder = run_folder(copy)
    os.truncate(folder / "history.parquet", 1 << 42)
    refused(
        lambda: read_tables(folder.parent, [folder.name]),
        "history.parquet: more than 17,179,869,184 bytes, far too many",
    )


def test_a_checkpoint_of_sparse_gigabytes_is_not_read_into_memory(tmp_path):
    with (tmp_path / "checkpoint.pt").open("wb") as file:
        file.write(MAGIC + b"0" * 64 + b"\n")
        file.truncate(1 << 30)
    refused(lambda: read_checkpoint(tmp_path / "checkpoint.pt"), "its content does not match its digest")
    os.truncate(tmp_path / "checkpoint.pt", 1 << 42)
    refused(lambda: read_checkpoint(tmp_path / "checkpoint.pt"), "far too many for a checkpoint")


def test_a_pipe_in_the_place_of_a_record_is_not_an_absent_run(copy):
    folder = run_folder(copy)
    (folder / "run.json").unlink()
    os.mkfifo(folder / "run.json")
    refused(lambda: read_tables(folder.parent, [folder.name]), "run.json: a pipe where a file is expected")
    refused(lambda: read_meta(folder.parent, [folder.name]), "run.json: a pipe where a file is expected")


def test_a_note_of_pandas_is_not_read(copy):
    folder = run_folder(copy)
    expected = read_tables(folder.parent, [folder.name]).final
    table = pq.read_table(folder / "final.parquet").replace_schema_metadata({"pandas": "[" * 100_000})
    pq.write_table(table, folder / "final.parquet")
    record_run(folder)
    assert read_tables(folder.parent, [folder.name]).final == expected


def test_a_table_of_too_many_rows(copy, monkeypatch):
    monkeypatch.setattr(parquet, "MOST_ROWS", 5)
    folder = run_folder(copy)
    refused(lambda: read_tables(folder.parent, [folder.name], ["predictions"]), "12 rows")


def header_of(text: bytes, size: int | None = None) -> Callable[[Path], object]:
    return lambda path: path.write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text)


WEIGHTS = {
    "a header of exabytes": header_of(b"{}", 2**63),
    "a header of 100 MB": header_of(b"{}", 10**8),
    "a deep header": header_of(b'{"a":' * 100_000),
    "an unknown type": header_of(b'{"a":{"dtype":"X99","shape":[1],"data_offsets":[0,1]}}'),
    "offsets beyond the file": header_of(
        b'{"a":{"dtype":"U8","shape":[9999999],"data_offsets":[0,9999999]}}'
    ),
    "a shape that overflows": header_of(
        b'{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'
    ),
    "a number of 5,000 digits": header_of(
        b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}'
    ),
    "no UTF-8": header_of(b"\xff" * 20),
    "nothing": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "another run's": lambda path: save_file(load_file(path), path, metadata={"run": "\x1b[2J"}),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name, copy):
    path = run_folder(copy) / "weights.safetensors"
    WEIGHTS[name](path)
    record_run(path.parent)
    refused(lambda: read_weights(path), "weights.safetensors: (not safetensors|is of run)")


def npy(text: str, version: int = 1, content: bytes = b"") -> bytes:
    body = text.encode("latin-1")
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + len(body).to_bytes(2 if version == 1 else 4, "little")
        + body
        + content
    )


ARRAYS = {
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),
    "a shape of exabytes": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807,)}"),
    "a shape of 60 digits": npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'9' * 60},)}}"),
    "a negative shape": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-5,)}"),
    "900 parentheses": npy("(" * 900),
    "900 signs": npy("-" * 900 + "1"),
    "a header of 60,000 characters": npy("{" + " " * 60_000 + "}"),
    "a header of gigabytes": b"\x93NUMPY\x03\x00\xff\xff\xff\x7f{}",
    "an open text": npy("{'descr': '|u1"),
    "an open bracket over lines": npy("{'descr': (\n\n\n"),
    "code": npy("__import__('os').system('touch exploited')"),
    "a type that is none": npy("{'descr': 5, 'fortran_order': False, 'shape': (2,)}"),
    "version 9": b"\x93NUMPY\x09\x00\x10\x00{}",
    "a zip": b"PK\x03\x04" + bytes(100),
    "a pickle": pickle.dumps([1, 2]),
    "nothing": b"",
    "a record type": npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2,)}"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, copy, monkeypatch):
    monkeypatch.chdir(copy)
    (copy / "data" / "train_images.npy").write_bytes(ARRAYS[name])
    edit_dataset(copy / "data")  # a record that fits
    refused(lambda: load(copy / "data"), "train_images.npy: (damaged|.*but dataset.json says)")
    assert not (copy / "exploited").exists()


DESCRIPTIONS = {
    "a list": "[]",
    "no splits": '{"name": "x"}',
    "no training part": ("splits", {}),
    "a size as a text": ("image_shape", [3, "12", 12]),
    "a size as a float": ("image_shape", [3, 12.0, 12]),
    "a size below nothing": ("image_shape", [3, -12, 12]),
    "two sizes": ("image_shape", [3, 12]),
    "classes as numbers": ("classes", {"coarse": [1, 2], "fine": [1, 2, 3, 4]}),
    "kinds that are lists": ("label_kinds", [["coarse"]]),
    "a name that is none": ("name", None),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_of_data_sets(name, copy):
    path, change = copy / "data" / "dataset.json", DESCRIPTIONS[name]
    document = json.loads(path.read_text())
    del document[DIGEST]
    path.write_text(
        change if isinstance(change, str) else json.dumps(seal({**document, change[0]: change[1]}))
    )
    refused(lambda: load(copy / "data"), r"dataset.json: (not what decode writes|damaged \(not a record)")


def test_names_that_are_no_text(copy):
    split = load(copy / "data").splits["train"]
    split.names_file.write_bytes(b"\xff\xfe")
    refused(split.names, "train_names.txt: damaged")


CALIBRATIONS = [
    "[]",
    '{"a": 5}',
    '{"a": {"pace": {"step": "1", "evaluation": 1}}}',
    '{"a": {"pace": {"step": NaN, "evaluation": 1}}}',
    '{"a": {"pace": {"step": -1, "evaluation": 1}}}',
    '{"a": {"pace": {"step": 1, "evaluation": 1, "more": 1}}}',
]


@pytest.mark.parametrize("text", CALIBRATIONS)
@pytest.mark.parametrize("sealed", [True, False])
def test_calibrations(text, sealed, tmp_path, capsys):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(seal({"paces": json.loads(text)})) if sealed else text)
    Calibration(path, "cpu", 1)
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"reprise: {path}: (not the calibration of a plan|damaged \(.+\)); it is made again\n", said
    )


# ---- what is no file ----


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder_(path: Path) -> None:
    path.mkdir()


def socket_(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as made_:
            made_.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def no_terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


KINDS = {"a pipe": pipe, "a folder": folder_, "a socket": socket_, "a device": device}


def command(*arguments: str) -> Callable[[Path], object]:
    """A documented command that fails; `{}` stands for the folder."""

    def run(folder: Path) -> None:
        with pytest.raises(SystemExit) as end:
            main([argument.format(folder) for argument in arguments])
        assert end.value.code == 1
        raise RepriseError("its line is looked at below")

    return run


def made_again(_: object) -> None:
    raise RepriseError("its line is looked at below")


IMPORT = command("import", "{}/made/runs", "--scale", "demo", "--results", "{}/r")


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a report": ("mini.yaml", lambda folder: Report(folder / "mini.yaml")),
    "a report that is checked": ("mini.yaml", command("check", "{}/mini.yaml")),
    "a record": ("made/runs/{run}/run.json", lambda folder: read_run(run_folder(folder / "made"))),
    "a history": ("made/runs/{run}/history.parquet", lambda folder: read_run(run_folder(folder / "made"))),
    "predictions": ("made/runs/{run}/predictions.parquet", IMPORT),
    "final metrics": ("made/runs/{run}/final.parquet", IMPORT),
    "weights": ("made/runs/{run}/weights.safetensors", lambda folder: read_run(run_folder(folder / "made"))),
    "weights that are imported": ("made/runs/{run}/weights.safetensors", IMPORT),
    "images": ("made/data/train_images.npy", lambda folder: load(folder / "made/data")),
    "a description": ("made/data/dataset.json", lambda folder: load(folder / "made/data")),
    "names": ("made/data/train_names.txt", lambda folder: load(folder / "made/data").splits["train"].names()),
    "an archive that is added": (
        "cifar-10-python.tar.gz",
        command("data", "add", "{}/cifar-10-python.tar.gz", "--results", "{}/r"),
    ),
    "an archive of another name that is added": (
        "x.tar.gz",
        command("data", "add", "{}/x.tar.gz", "--results", "{}/r"),
    ),
    "an archive that is read": ("x.tar.gz", lambda folder: read_members(folder / "x.tar.gz", {}, 100)),
    "an archive that is decoded": (
        "r/data/archives/cifar-10-python.tar.gz",
        command("data", "decode", "cifar10", "--results", "{}/r"),
    ),
    "sample images": ("x.npz", lambda folder: samples.read(folder / "x.npz")),
    "a calibration": (
        "calibration.json",
        lambda folder: made_again(Calibration(folder / "calibration.json", "cpu", 1)),
    ),
    "Kaggle's images": ("x.zip", lambda folder: submitted(folder / "x.zip")),
    "Kaggle's images in a tar": ("x.tar", lambda folder: submitted(folder / "x.tar")),
}


@pytest.mark.parametrize("kind_", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file(name, kind_, copy, tmp_path, capsys):
    place, read = READERS[name]
    path = tmp_path / place.format(run=run_folder(copy).name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.unlink()
    KINDS[kind_](path)
    if name.startswith(("Kaggle", "an archive")) and kind_ == "a folder":
        return  # which is another way to give them
    said = refused(lambda: read(tmp_path), "", 96 << 20) + capsys.readouterr().err
    assert re.search(f"{kind_} where a file is expected|is a link|no such file|no report files", said), said
    assert path.lstat(), "it is still there"
    assert stat.S_ISFIFO(path.lstat().st_mode) == (kind_ == "a pipe")


@pytest.mark.parametrize("kind_", ["a pipe", "a socket", "a device"])
def test_a_mirror_that_holds_no_file(kind_, official, tmp_path, capsys):
    bad = tmp_path / "bad" / official.archive.name
    bad.parent.mkdir()
    KINDS[kind_](bad)
    main(
        [
            "data",
            "fetch",
            "cifar100",
            "--results",
            str(tmp_path / "r"),
            "--mirror",
            str(bad.parent),
            str(official.archive.parent),
        ]
    )
    assert (tmp_path / "r/data/archives" / official.archive.name).read_bytes() == official.bytes
    with pytest.raises(SystemExit):
        main(["data", "fetch", "cifar100", "--results", str(tmp_path / "other"), "--mirror", str(bad.parent)])
    assert f"{kind_} where a file is expected" in capsys.readouterr().err


# ---- what is printed ----

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`reports/mini.yaml` and `results`, made with documented commands: a data set and an evaluated run."""
    place = tmp_path_factory.mktemp("place")
    (place / "reports").mkdir()
    document = {**MINI, "experiments": {"e": {}}}
    document["defaults"] = {
        **MINI["defaults"],
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": "test"},
    }
    (place / "reports" / "mini.yaml").write_text(yaml.safe_dump(document))
    data, options = ["--results", str(place / "results")], options_of(place)
    main(["data", "synthesize", "cifar10", "--train", "50", "--test", "20", *data])
    for arguments in (["data", "fetch"], ["data", "decode"]):
        main([*arguments, "cifar10", "--scale", "demo", *data])
    for verb in ("train", "evaluate"):
        main([verb, "mini", "--device", "cpu", *options])
    return place


def options_of(place: Path) -> list[str]:
    return ["--reports", str(place / "reports"), "--results", str(place / "results"), "--scale", "demo"]


def test_a_name_or_value_cannot_command_the_terminal(place, tmp_path, capfd):
    """From a folder's name, through standard error and standard output."""
    evil = tmp_path / f"e{ESCAPE}"
    shutil.copytree(place / "results" / "demo" / "runs", evil / "runs")
    with pytest.raises(SystemExit):
        main(["data", "add", str(evil / "absent.tar.gz"), "--results", str(evil)])
    with pytest.raises(SystemExit):
        main(["check", str(evil / "absent.yaml")])
    with pytest.raises(SystemExit):
        main(["train", "mini", "--threads", ESCAPE])
    main(["import", str(evil / "runs"), "--scale", "demo", "--results", str(evil / "results")])
    output = capfd.readouterr()
    assert "imported" in output.out
    for text in (output.out, output.err):
        assert not set(text) & {"\x1b", "\x07", "\r", "\u202e"}
        assert r"\x1b]0;owned\x07\x1b[2J\u202e" in text


def test_a_record_cannot_command_the_terminal(copy, tmp_path, capsys):
    edit(run=ESCAPE)(run_folder(copy))
    with pytest.raises(SystemExit):
        main(["import", str(copy / "runs"), "--scale", "demo", "--results", str(tmp_path / "r")])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


def test_messages():
    assert (
        str(RepriseError("a\nb\x1b[0m\ud800\u2028c\xa0d\u202f"))
        == r"a\nb\x1b[0m\ud800\u2028c" + "\xa0d\u202f"
    )
    long = str(RepriseError("a" * 10_000 + "; do this"))
    assert len(long) < 4010
    assert long.endswith("; do this")


# ---- options ----

OPTIONS = {
    "threads of 5,000 digits": (
        ["train", "mini", "--threads", "9" * 5000],
        2,
        "'99999999999999999999' is not a whole number from 1 to 4,096",
    ),
    "a million threads": (
        ["train", "mini", "--threads", "1000000"],
        2,
        "is not a whole number from 1 to 4,096",
    ),
    "threads of another script": (["train", "mini", "--threads", "١"], 2, "is not a whole number"),
    "a billion images": (
        ["data", "synthesize", "cifar10", "--train", "1000000000"],
        2,
        "from 1 to 1,000,000",
    ),
    "no images": (["data", "synthesize", "cifar10", "--test", "0"], 2, "from 1 to 1,000,000"),
    "a trillion images": (
        ["submission", "mini", "--only", "e", "a", "b", "--images", "1000000000000"],
        2,
        "from 1 to 10,000,000",
    ),
    "a data set of 100,000 letters": (["data", "fetch", "x" * 100_000], 1, "unknown data set"),
    "a report of 100,000 letters": (
        ["runs", "x" * 100_000],
        2,
        "runs: REPORT: 'x+': longer than 4096 characters; shorten it",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, status, message = OPTIONS[name]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == status
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert said.count("\n") == 1


def test_an_environment_that_is_not_quoted_well(capsys, monkeypatch):
    monkeypatch.setenv("REPRISE_MIRROR", "'")
    with pytest.raises(SystemExit) as end:
        main(["data", "fetch", "cifar10"])
    assert end.value.code == 1
    assert "REPRISE_MIRROR: No closing quotation" in capsys.readouterr().err


# ---- advice ----


@pytest.mark.parametrize("number_", [errno.EACCES, errno.EMFILE, errno.EIO, errno.ENOMEM])
def test_what_the_system_refuses_is_no_reason_to_delete(number_, copy, monkeypatch, tmp_path):
    """The files are good: nobody is told to delete, to train or to decode again."""
    folder = run_folder(copy)
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(member() + END))
    readers = [
        lambda: read_run(folder),
        lambda: read_weights(folder / "weights.safetensors"),
        lambda: read_tables(folder.parent, [folder.name]),
        lambda: load(copy / "data"),
        lambda: read_json(folder / "run.json"),
        lambda: read_members(archive, {}, 2**20),
        lambda: archives.file_hash(archive, "md5"),
    ]

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number_, os.strerror(number_))

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", refuse)
        patched.setattr(pq, "ParquetFile", refuse)
        patched.setattr(pq, "read_metadata", refuse)
        patched.setattr(Path, "open", refuse)
        for read in readers:
            with pytest.raises((RepriseError, OSError)) as caught:
                read()
            assert not re.search(
                "delete|train it again|decode the archive again|fetch it again", str(caught.value)
            ), caught.value
            assert os.strerror(number_) in str(caught.value)


# ---- a results folder that cannot be written to ----

READ_ONLY = """
import os, sys
from pathlib import Path
from reprise.cli import main
for arguments in {commands!r}:
    try:
        main(arguments)
    except SystemExit as end:
        sys.exit(f"{{arguments}}: {{end.code}}")
"""


def without_privilege() -> None:
    """Root may write everywhere, unless it gives that up: CAP_DAC_OVERRIDE, out of the set that the next
    program can have.
    """
    if os.getuid() == 0:
        assert ctypes.CDLL(None, use_errno=True).prctl(24, 1, 0, 0, 0) == 0


def test_a_read_only_results_folder_serves_what_is_finished(place, tmp_path):
    place = Path(shutil.copytree(place, tmp_path / "place"))
    options = options_of(place)
    commands = [
        ["train", "mini", "--device", "cpu", *options],
        ["evaluate", "mini", "--device", "cpu", *options],
    ]
    (place / "copy").mkdir()
    runs = place / "results" / "demo" / "runs"
    shutil.copytree(runs, place / "copy" / "runs", ignore=shutil.ignore_patterns("*ed.json", ".lock"))
    try:
        commands += [["import", str(place / "copy" / "runs"), *options[2:]], ["runs", "mini", *options]]
        before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
        for path in [place, *place.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        environment = {
            **os.environ,
            "HOME": "/",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
        }
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY.format(commands=commands)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=280,
            preexec_fn=without_privilege,
        )
        assert done.returncode == 0, done.stderr
        assert before == {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    finally:
        for path in [place, *place.rglob("*")]:
            path.chmod(0o755)


def test_a_read_only_data_folder_serves_what_is_there(official, tmp_path, monkeypatch, capsys):
    results = tmp_path / "r"
    fetch = ["data", "fetch", "cifar100", "--results", str(results), "--mirror", str(official.archive.parent)]
    main(fetch)
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    for name in ("atomic", "alone"):
        monkeypatch.setattr(files, name, None)  # whoever writes fails
    main(fetch)
    main(["data", "add", str(official.archive), "--results", str(results)])
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*")}
