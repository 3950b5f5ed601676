"""Every parser of what comes from outside, fed with mutated inputs: it takes them or refuses them in one
line, in bounded time and memory.

A short run by default; `make fuzz FUZZ=100` runs a hundred times as many inputs, `FUZZ_SEED=7` others. Each
input follows from the target's name, the seed and its number, so that a failure can be repeated; it is also
kept in the folder that the failure names.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import random
import re
import resource
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from mirrors import Server
from reprise import download
from reprise.checking import check_report
from reprise.cli import main
from reprise.data import archives
from reprise.data.catalog import OWN_DATASETS
from reprise.data.decode import load
from reprise.data.pickles import safe_unpickle
from reprise.data.synthetic import write_archive
from reprise.errors import RepriseError, SeveralMistakes, printable
from reprise.evaluation import evaluate, exchange, submission
from reprise.files import read_json
from reprise.publishing.expressions import Expressions
from reprise.publishing.figures import samples
from reprise.publishing.results import read_meta, read_tables
from reprise.reports.expressions import Names
from reprise.reports.report import Report
from reprise.training.engine import train
from reprise.training.results import read_run, read_weights
from reprise.workflow.config import read_config
from reprise.workflow.programme import Programme
from tiny import tiny_run, write_dataset

ROOT = Path(__file__).parents[2]
SIZE, SEED = float(os.environ.get("FUZZ", "1")), os.environ.get("FUZZ_SEED", "0")
MOST_S = 5.0
"""For one input. Most take milliseconds."""
MOST_MEMORY = 3 << 30
"""Bytes of address space beyond what the process has before the first input."""

TOKENS = [
    b"\0",
    b"\xff" * 8,
    b"9" * 5000,
    b"1e400",
    b"-1",
    b"18446744073709551616",
    b"NaN",
    b"\n",
    b"\x1b[2J",
    b"\xed\xa0\x80",
    b"[" * 200,
]


# ---- mutations ----


def mutated(content: bytes, chance: random.Random, tokens: list[bytes]) -> bytes:
    """`content` with a few changes: bits, bytes, pieces moved, removed or repeated, numbers and tokens put
    in.
    """
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place, length = chance.randrange(len(data) + 1), chance.choice((1, 2, 4, 8, 64, 512))
        match chance.randrange(8):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1 if place < len(data):
                data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length] * chance.choice((1, 2, 100))
            case 4:
                data[place:place] = chance.choice(tokens)
            case 5:
                token = chance.choice(tokens)
                data[place : place + len(token)] = token
            case 6:
                del data[place:]
            case _:
                other = chance.randrange(len(data) + 1)
                data[place : place + length] = data[other : other + length]
    return bytes(data)


VALUES = [
    *(
        None,
        True,
        -1,
        0,
        2**62,
        2**70,
        1e308,
        5e-324,
        "",
        "x" * 5000,
        "\u202e",
        "a\nb",
        [],
        {},
        [[]],
        "base",
        "1e400",
        "nan",
        "9" * 5000,
    ),
    *(["a"] * 3, {"a": {"b": {"c": 1}}}, "*", "@", "/", "axis=value", "-" * 500, [1, "a", None]),
]


def restructured(document, chance: random.Random):
    """A document of lists and mappings with a few values replaced, removed, moved or renamed."""
    document = json.loads(json.dumps(document))
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = [
            (document, key) for key in (document if isinstance(document, dict) else range(len(document)))
        ]
        for holder, key in places:
            inner = holder[key]
            places += [
                (inner, each)
                for each in (
                    inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
                )
            ]
        if not places:
            return document
        holder, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(["x", "", "a b", "9" * 300, "name", "kind", "base", "experiments"])] = (
                    holder.pop(key)
                )
            case 2:
                other, name = chance.choice(places)
                with contextlib.suppress(LookupError):
                    holder[key] = json.loads(json.dumps(other[name]))
            case _:
                holder[key] = json.loads(json.dumps(chance.choice(VALUES)))
    return document


# ---- targets ----


@dataclass
class Target:
    """`run` takes an input; `seeds` are good ones, `cases` are tried. Some are changed as documents
    (`structured`), not as bytes.
    """

    seeds: list[bytes]
    run: Callable[[bytes], object]
    cases: int
    tokens: list[bytes]
    structured: Callable[[bytes], object] | None = None
    unparsed: Callable[[object], bytes] | None = None


def as_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def run(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return run


MINI = {
    "slug": "mini",
    "title": "Mini",
    "models": {
        "net": {
            "name": "sequential",
            "layers": [{"conv": 4, "activation": "relu"}, {"flatten": True}, {"dense": "classes"}],
        }
    },
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": 0.2},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 1e-3},
        "training": {"epochs": 3, "batch_size": 128, "select": "best_accuracy"},
        "seeds": [0, 1],
    },
    "experiments": {
        "base": {},
        "grid": {
            "grid": {
                "lr": {"path": "optimizer.lr", "values": [0.1, 0.2]},
                "net": {"values": {"a": {"model.layers.0.conv": 8}, "b": {}}},
            }
        },
        "sweep": {
            "base": "base",
            "pointwise": {"batch": {"path": "training.batch_size", "values": [32, 64]}},
        },
        "search": {
            "random": {"trials": 2, "space": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3]}}}
        },
        "study": {
            "seeds": [0],
            "asha": {
                "trials": 3,
                "min_resource": 1,
                "reduction_factor": 2,
                "space": {"lr": {"path": "optimizer.lr", "log_uniform": [0.001, 0.1]}},
            },
        },
        "more": {"set": {"initial_weights": {"from": "base"}}},
        "read": {"readings": {"text": {"training.epochs": 2}, "code": {}}},
    },
    "scales": {"demo": {"seeds": 1, "epochs": {"max": 1}, "experiments": {"search": {"trials": 1}}}},
    "figures": [
        {
            "id": "one",
            "kind": "curves",
            "caption": "C",
            "metric": "loss",
            "splits": ["train"],
            "series": [{"runs": "base"}],
        },
        {
            "id": "two",
            "kind": "samples",
            "caption": "S",
            "images": {"dataset": "cifar10", "captions": ["label"], "by": "label", "each": 1},
        },
    ],
    "cells": {"some": "grid/lr=0.1", "winner": {"runs": "grid", "pick": "best"}},
    "mean_of": 2,
    "follows": {"five": "four"},
    "measures": {"top": 'accuracy(split="validation", at="best")'},
    "tables": [
        {
            "id": "three",
            "kind": "settings",
            "caption": "T",
            "runs": "base",
            "rows": [
                {"label": "lr", "setting": "optimizer.lr"},
                {"label": "loss", "metric": "loss", "reported": "0.1"},
                {"label": "accuracy", "metric": "accuracy", "statement": "four"},
            ],
        },
        {
            "id": "six",
            "kind": "metrics",
            "caption": "M",
            "source": "Table 6",
            "rows": [
                {"label": "a", "statement": "four"},
                {"label": "b", "measure": "top(winner) / 2", "reported": "0.5", "about": 0.1},
            ],
        },
        {
            "id": "seven",
            "kind": "classes",
            "caption": "C",
            "models": [{"label": "W", "runs": "winner"}],
            "reported": {"W": {"cat": "5"}},
        },
        {
            "id": "eight",
            "kind": "classes",
            "caption": "C",
            "models": [{"label": "W", "runs": "winner"}],
            "reported": "seven",
        },
    ],
    "statements": [
        {
            "number": "four",
            "reported": "0.5",
            "measure": "accuracy(base)",
            "says": "half",
            "mean_of": 3,
            "also": [{"reading": "of all", "measure": "best(accuracy(grid)) / 2"}],
        },
        {
            "claim": "five",
            "source": "page 5",
            "reading": "at once",
            "holds": [
                "mean(accuracy(some)) > mean(top('grid/lr=0.2')) > 0",
                "within(mean(accuracy(some)), loss(winner), 0.1) and at_chance(accuracy(base))",
                "every(accuracy(grid) >= accuracy(base)) or not share(top(grid) < 1) <= 0.5",
                'argbest(loss(grid)) == some and rank("cat", winner) <= 5 and some(accuracy(grid) > 0)',
            ],
            "also": [{"reading": "later", "holds": "best(accuracy(grid)) > accuracy(base)"}],
        },
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Good files of all kinds."""
    folder = tmp_path_factory.mktemp("made")
    dirs, run = {"cifar10": write_dataset(folder / "data", train=40, test=12)}, tiny_run(training__epochs=2)
    train([run], dataset_dirs=dirs, cache=folder / "runs", device="cpu")
    evaluate([run], dirs, folder / "runs", device="cpu")
    rng = np.random.default_rng(0)
    splits = {
        name: archives.RawSplit(
            rng.integers(256, size=(3, 3072), dtype=np.uint8), np.zeros((3, 2), np.uint8), ["a", "b", "c"]
        )
        for name in ("train", "test")
    }
    write_archive(folder / "cifar.tar.gz", OWN_DATASETS["cifar100"], splits)
    np.savez_compressed(
        folder / "samples.npz", captions=np.array(["a", "b"]), images=np.zeros((2, 4, 4, 3), np.uint8)
    )
    return folder, folder / "runs" / run.hash


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(256, size=(12, 12, 3), dtype=np.uint8)).save(
        file, "PNG"
    )
    return file.getvalue()


def tars(format_: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format_) as tar:
        for name in ("a/x", f"a/{'long' * (10 if format_ == tarfile.USTAR_FORMAT else 40)}", "a/ünï"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 600, 1.5 if format_ == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(bytes(600)))
    return file.getvalue()


def target(name: str, made: tuple[Path, Path], folder: Path, server: Server) -> Target:
    data, run = made
    members: dict[str, bytes] = {}
    archives.scan(
        data / "cifar.tar.gz", 1 << 24, lambda name, file, size: members.__setitem__(name, file.read())
    )
    shutil.copytree(run, folder / run.name)
    mine = folder / run.name

    def replaced(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
        return as_file(mine / name, lambda path: read(mine))

    def read_all(path: Path) -> None:
        archives.scan(path, 1 << 20, lambda name, file, size: file.read(1 << 16))

    def in_data(name: str) -> Callable[[bytes], object]:
        shutil.copytree(data / "data", folder / "data", dirs_exist_ok=True)
        return as_file(folder / "data" / name, lambda path: load(folder / "data").splits["train"].names())

    def everything(path: Path) -> None:
        with contextlib.suppress(RepriseError):
            read_run(path)
        with contextlib.suppress(RepriseError):
            read_meta(path.parent, [path.name])
        exchange.verify(path)

    def tables(path: Path) -> None:
        with contextlib.suppress(RepriseError):
            read_tables(path.parent, [path.name])
        exchange.verify(path)

    def report(content: bytes) -> None:
        """Checked as `reprise check` does; the large reports, which takes seconds, are only expanded."""
        slug = re.match(rb'(?:#.*\n|\s)*\{?"?slug"?: "?([a-z0-9_]{1,50})\b', content)
        path = folder / f"{slug[1].decode() if slug else 'mini'}.yaml"
        path.write_bytes(content)
        found = Report(path, "demo")
        if SIZE > 1 and found.slug == "mini":
            check_report(found)

    def configuration(content: bytes) -> None:
        path = folder / "config.yaml"
        path.write_bytes(content)
        try:
            config = yaml.safe_load(content)  # as Snakemake does
        except Exception:
            return
        if not isinstance(config, dict):
            return
        Programme(read_config(config), folder / "reports")

    def answers(content: bytes) -> None:
        def answer(request, number):
            with contextlib.suppress(OSError):
                request.wfile.write(content)
            request.close_connection = True

        server.answer = answer
        part = folder / "x.part"
        download.discard(part)
        download.download(f"{server.url}/x", part, 1 << 16)

    def expression(content: bytes) -> None:
        text = content.decode("utf-8", "replace")[:1000]
        known = Expressions(Names({"a": {"runs": "a", "pick": "best"}}, {"f": 'gap(at="last")'}))
        for way in (known.relation, known.value, lambda text, _: Expressions(Names(measures={"g": text}))):
            with contextlib.suppress(RepriseError):
                way(text, "x")

    def selector(content: bytes) -> None:
        mini.cells(content.decode("utf-8", "replace"))

    def options(content: bytes) -> None:
        text = content.decode("utf-8", "replace").replace("\0", "")
        for option in ("--threads", "--device", "--precision", "--only", "--skip", "--scale"):
            with (
                contextlib.suppress(SystemExit),
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                main(
                    [
                        "train",
                        "mini",
                        option,
                        text,
                        "--reports",
                        str(folder / "reports"),
                        "--results",
                        str(folder / "results"),
                    ]
                )

    def journal(path: Path) -> None:
        from reprise.search.workers import JournalPruner

        JournalPruner(
            [cell.members[0] for cell in Report(folder / "reports" / "mini.yaml").cells("study")],
            folder,
            path,
        )

    (folder / "reports").mkdir()
    (folder / "reports" / "mini.yaml").write_text(yaml.safe_dump(MINI, sort_keys=False))
    mini = Report(folder / "reports" / "mini.yaml")
    written = yaml.safe_dump(MINI, sort_keys=False).encode()
    layers = json.dumps(
        {"net": {"title": "N", "rows": [], "parameters": 5, "image_shape": [3, 4, 4]}}
    ).encode()
    words = [
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!binary ",
        b"!!int x",
        b"!!set {a}",
        b"2001-13-45",
        b"? ",
        b"- - - ",
        b": ",
        b"{",
        b"0x",
        b"1:1:1",
        b"|\n",
    ]
    codes = [
        bytes([code])
        for code in b"(.0N)]}tabesuRdlpqrghjcioVXBCTUIJKLMG"
        b"\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x93\x94\x95\x96"
    ]
    lines = [
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Location: ",
        b"Content-Range: bytes ",
        b"\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 206 P\r\n",
    ]
    headers = [
        b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\nhello',
        b"HTTP/1.1 302 F\r\nLocation: http://[::1]:x/\r\n\r\n",
    ]
    headers += [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 206 P\r\nContent-Range: bytes 0-4/5\r\n\r\nhello",
    ]
    relations = [
        b"accuracy(a) > f(b) + 0.1",
        b"within(loss(a, split='train', at=3), 2 * (loss(b) - 1), 0.05) and f(b) < 1 < f(c)",
        b'argmax(f("grid")) == "grid/lr=0.1"',
        b"spread(f(b)) > spread(f(c))",
        b"at_chance(accuracy(a))",
        b'100 * class_accuracy(a, ["x", "y"]) / -(3) + effect(f(b), "lr") - max(setting(b, "optimizer.lr"))',
        b'gap(split="validation", at="last")',
    ]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("test/1.png", png())
        pack.writestr("test/2.png", png())

    def dumped(document: object) -> bytes:
        return json.dumps(document).encode()

    match name:
        case "report":
            seeds = [
                written,
                *(
                    [file.read_bytes() for file in (ROOT / "workflow/reports").rglob("*.yaml")]
                    if SIZE > 1
                    else []
                ),
            ]
            return Target(seeds, report, 120, words, yaml.safe_load, dumped)
        case "configuration":
            return Target(
                [(ROOT / "config.yaml").read_bytes()], configuration, 60, words, yaml.safe_load, dumped
            )
        case "expression":
            return Target(
                relations,
                expression,
                400,
                [
                    b"(",
                    b")",
                    b"[",
                    b"-",
                    b"*",
                    b"**",
                    b"1e400",
                    b"1e-400",
                    b" and ",
                    b"\xd9\xa1",
                    b"'",
                    b"f(",
                ],
            )
        case "selector":
            return Target(
                [b"grid/lr=0.1,net=a", b"sweep/base", b"read@code", b"search/trial=0"],
                selector,
                400,
                [b"/", b"@", b"=", b",", b"nan"],
            )
        case "options":
            return Target(
                [b"4", b"cpu", b"cuda:1", b"base", b"float32"],
                options,
                20,
                [b"9" * 30, b"-", b"\xd9\xa1", b"cuda:", b"\x1b[2J"],
            )
        case "pickle":
            seeds = [members["cifar-100-python/meta"], members["cifar-100-python/test"]]
            value = {"data": np.zeros((2, 3), np.uint8), "labels": [1, 2.5, None], b"x": ("a", b"b", 2**40)}
            seeds += [pickle.dumps(value, protocol) for protocol in range(5)]
            return Target(seeds, lambda content: safe_unpickle(io.BytesIO(content), "member"), 1200, codes)
        case "batches":

            def run_batches(content: bytes) -> None:
                path = folder / "a.tar.gz"
                with tarfile.open(path, "w:gz", compresslevel=1) as tar:
                    for each, kept in {**members, "cifar-100-python/test": content}.items():
                        info = tarfile.TarInfo(each)
                        info.size = len(kept)
                        tar.addfile(info, io.BytesIO(kept))
                archives.read_archive(OWN_DATASETS["cifar100"], path)

            return Target([members["cifar-100-python/test"]], run_batches, 60, codes)
        case "tar":
            numbers = [
                b"\x80" + b"\0" * 11,
                b"\xff" * 12,
                b"77777777777\0",
                b"00000000000\0",
                b"x",
                b"g",
                b"L",
                b"S",
                b"K",
                b"30 size=99999999999999999999\n",
            ]
            numbers += [b"26 GNU.sparse.realsize=9\n", b"0 a=b\n", b"ustar\x0000", bytes(512), bytes(1024)]
            seeds = [tars(each) for each in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
            return Target(seeds, as_file(folder / "a.tar", read_all), 500, numbers)
        case "tar.gz":
            return Target(
                [gzip.compress(tars(tarfile.GNU_FORMAT), 1)],
                as_file(folder / "a.tar.gz", read_all),
                200,
                TOKENS,
            )
        case "png":
            chunks = [
                b"IHDR",
                b"IDAT",
                b"PLTE",
                b"tRNS",
                b"iCCP",
                b"zTXt",
                b"acTL",
                b"fcTL",
                b"IEND",
                b"\x7f\xff\xff\xff",
            ]
            return Target(
                [png()], lambda content: archives.decode_png(content, (3, 12, 12), "x"), 400, chunks
            )
        case "zip":
            signs = [b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x03\x04", b"\xff" * 4]
            read = as_file(folder / "x.zip", lambda path: list(submission._images(path, 2, (12, 12))))
            return Target([zipped.getvalue()], read, 300, signs)
        case "array":
            header = [
                b"'descr': '|O'",
                b"'shape': (9999999999999999999,)",
                b"'fortran_order': True",
                b"(" * 300,
                b"-" * 300,
                b"\x93NUMPY\x03\x00",
            ]
            return Target(
                [(data / "data" / "train_labels.npy").read_bytes()], in_data("train_labels.npy"), 200, header
            )
        case "dataset.json":
            return Target(
                [(data / "data/dataset.json").read_bytes()],
                in_data("dataset.json"),
                150,
                TOKENS,
                json.loads,
                dumped,
            )
        case "names":
            return Target(
                [(data / "data/train_names.txt").read_bytes()], in_data("train_names.txt"), 30, TOKENS
            )
        case "run.json":
            return Target(
                [(run / "run.json").read_bytes()],
                replaced("run.json", everything),
                150,
                TOKENS,
                json.loads,
                dumped,
            )
        case "json":
            return Target(
                [(run / "run.json").read_bytes(), layers], as_file(folder / "x.json", read_json), 300, TOKENS
            )
        case "history" | "predictions" | "final":
            return Target(
                [(run / f"{name}.parquet").read_bytes()],
                replaced(f"{name}.parquet", tables),
                60,
                [*TOKENS, b"PAR1", b"\xff\xff\xff\x7f"],
            )
        case "weights":
            words = [
                b'"dtype":"F64"',
                b'"BOOL"',
                b'"shape":[9999999999999]',
                b'"data_offsets":[0,99999999]',
                b"{",
                b"\xff" * 7,
            ]
            read = as_file(mine / "weights.safetensors", lambda path: read_weights(path))
            return Target([(run / "weights.safetensors").read_bytes()], read, 200, words)
        case "samples":
            read = as_file(folder / "x.npz", samples.read)
            return Target(
                [(data / "samples.npz").read_bytes()],
                read,
                150,
                [b"PK\x01\x02", b"\xff" * 4, b"<U99999999", b"|O"],
            )
        case "answer":
            return Target(headers, answers, 60, [*lines, *TOKENS])
        case "state":
            state = json.dumps({"url": f"{server.url}/x", "size": 5, "validator": '"x"'}).encode()

            def resumed(content: bytes) -> None:
                server.answer = lambda request, number: server.send(request, b"hello")
                (folder / "x.part").write_bytes(b"he")
                (folder / "x.part.json").write_bytes(content)
                download.download(f"{server.url}/x", folder / "x.part", 1 << 16)
                assert (folder / "x.part").read_bytes() == b"hello"

            return Target([state], resumed, 60, TOKENS, json.loads, dumped)
        case "journal":
            good = folder / "good.journal"
            journal(good)
            return Target(
                [good.read_bytes()],
                as_file(folder / "x.journal", journal),
                30,
                [b'"op_code": 9', b'"op_code": null', *TOKENS],
            )
    raise AssertionError(name)


TARGETS = (
    *(
        "report",
        "configuration",
        "expression",
        "selector",
        "options",
        "pickle",
        "batches",
        "tar",
        "tar.gz",
        "png",
        "zip",
        "array",
    ),
    *(
        "dataset.json",
        "names",
        "run.json",
        "json",
        "history",
        "predictions",
        "final",
        "weights",
        "samples",
        "answer",
        "state",
        "journal",
    ),
)


@pytest.fixture
def bounded_memory():
    """What asks for gigabytes gets a `MemoryError`, which no parser may answer with anything but a
    refusal.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(0 if SIZE > 1 else 120)
def test_mutated_inputs(name, made, tmp_path, server, monkeypatch, bounded_memory):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "TIMEOUT_S", (0.5, 0.5))
    monkeypatch.setattr(download, "REDIRECTS", 2)
    chosen = target(name, made, tmp_path, server)
    for seed in chosen.seeds:
        with contextlib.suppress(SystemExit, *([RepriseError] if name == "answer" else [])):
            chosen.run(seed)  # a good input passes
    for number in range(int(chosen.cases * SIZE)):
        chance = random.Random(f"{name} {SEED} {number}")
        seed = chance.choice(chosen.seeds)
        if chosen.structured and chance.random() < 0.6:
            content = chosen.unparsed(restructured(chosen.structured(seed), chance))
        else:
            content = mutated(seed, chance, [*TOKENS, *chosen.tokens, *chosen.tokens])
        kept = tmp_path / f"{name}-{SEED}-{number}"
        kept.write_bytes(content)
        began, lines = time.monotonic(), [""]
        try:
            chosen.run(content)
        except RepriseError as error:
            lines = error.lines if isinstance(error, SeveralMistakes) else [str(error)]
        except Exception as error:
            raise AssertionError(f"{kept}: {type(error).__name__}: {error}") from error
        assert lines == [printable(line) for line in lines], f"{kept}: {lines}"
        assert time.monotonic() - began < MOST_S, f"{kept}: it took too long"
        kept.unlink()
