"""Two that fetch one file at once, also where a lock keeps nobody out: Lustre, GPFS and some mounts of NFS
grant it to everybody, others to nobody.
"""

import dataclasses
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrors import Server
from reprise import files
from reprise.data import catalog
from reprise.data.catalog import WeightsFacts
from reprise.data.fetch import add_archive, fetch_dataset, fetch_weights
from reprise.download import download, own_part, state_of
from reprise.errors import RepriseError
from reprise.results.cache import RemoteCache

LOCKS = {"granted to everybody": True, "granted to nobody": None}


@pytest.fixture(params=LOCKS)
def no_locks(request, monkeypatch):
    """Locks that lock nothing."""
    monkeypatch.setattr(files, "try_lock", lambda file, shared=False: LOCKS[request.param])
    monkeypatch.setattr(files, "_is_at", lambda file, path: True)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each of several calls that begin together gives, or the error that it raises."""
    results: list[object] = [None] * len(calls)
    together = threading.Barrier(len(calls))

    def run(place: int) -> None:
        together.wait()
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def slowly(body: bytes, *, cut_first: bool = False, resume: bool = True):
    """Sends in pieces, so that all requests are under way together; the first two may break off half-way."""

    def answer(request, number):
        half = len(body) // 2
        start = 0
        wanted = request.headers.get("Range")
        if wanted and resume:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(body) - start))
        request.send_header("ETag", '"one"')
        request.end_headers()
        end = half if cut_first and number < 2 else len(body)
        for place in range(start, end, 1 << 16):
            request.wfile.write(body[place : min(place + (1 << 16), end)])
            time.sleep(0.01)
        request.close_connection = True

    return answer


@pytest.mark.parametrize("resume", [True, False], ids=["that resumes", "that does not"])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "breaks off"])
def test_from_a_server(cut, resume, no_locks, official, server, tmp_path):
    server.answer = slowly(official.bytes, cut_first=cut, resume=resume)
    target = tmp_path / "data" / official.archive.name
    done = at_once(*[lambda: fetch_dataset("cifar100", target, [server.url])] * 3)
    assert done == [target] * 3
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == [target.name]


def test_a_good_file_is_not_touched_by_the_slower_one(no_locks, official, server, tmp_path):
    """Whoever is first renames its file; the other must not write into that one any more."""
    target = tmp_path / "data" / official.archive.name
    first = threading.Event()

    def answer(request, number):
        if number == 0:
            first.wait(20)
        Server.send(request, official.bytes)

    server.answer = answer
    slow = threading.Thread(target=lambda: fetch_dataset("cifar100", target, [server.url]))
    slow.start()
    while not server.ranges:
        time.sleep(0.01)
    fetch_dataset("cifar100", target, [server.url])
    with target.open("rb") as opened:
        first.set()
        slow.join()
        assert opened.read() == official.bytes
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == [target.name]


def test_from_a_folder_and_from_different_places(no_locks, official, server, tmp_path):
    server.answer = slowly(official.bytes)
    target = tmp_path / "data" / official.archive.name
    copy = Path(shutil.copy(official.archive, tmp_path / "renamed.tar.gz"))
    mirrors = [str(official.archive.parent), str(copy), server.url, official.archive.as_uri()]
    done = at_once(*[lambda mirror=mirror: fetch_dataset("cifar100", target, [mirror]) for mirror in mirrors])
    assert done == [target] * 4
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == [target.name]


def test_one_that_fails_harms_nobody(no_locks, official, server, tmp_path):
    bad = tmp_path / "bad" / official.archive.name
    bad.parent.mkdir()
    bad.write_bytes(b"not an archive")
    server.answer = slowly(official.bytes)
    target = tmp_path / "data" / official.archive.name
    done = at_once(
        lambda: fetch_dataset("cifar100", target, [str(bad)]),
        lambda: fetch_dataset("cifar100", target, [server.url]),
    )
    assert done[1] == target
    assert isinstance(done[0], RepriseError)
    assert target.read_bytes() == official.bytes


def test_adding_while_it_is_fetched(no_locks, official, server, tmp_path):
    server.answer = slowly(official.bytes)
    target = tmp_path / "archives" / official.archive.name
    done = at_once(
        lambda: add_archive(official.archive, tmp_path),
        lambda: fetch_dataset("cifar100", target, [server.url]),
        lambda: add_archive(official.archive, tmp_path),
    )
    assert done == [target] * 3
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("local", [False, True], ids=["a server", "a folder"])
def test_weights(local, no_locks, server, tmp_path, monkeypatch):
    content = os.urandom(1 << 19)
    digits = hashlib.sha256(content).hexdigest()[:8]
    facts = WeightsFacts("net", f"net-{digits}.pth", (), digits, 1 << 20)
    monkeypatch.setitem(catalog.WEIGHTS, "net", facts)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / facts.file_name).write_bytes(content)
    server.answer = slowly(content)
    mirror = str(tmp_path / "mirror") if local else server.url
    target = tmp_path / "data" / facts.file_name
    assert at_once(*[lambda: fetch_weights("net", target, [mirror])] * 3) == [target] * 3
    assert target.read_bytes() == content
    assert names(target.parent) == [target.name]


def test_a_run_cache_behind_a_server(no_locks, server, tmp_path):
    content = os.urandom(1 << 18)
    name = f"runs/{'0' * 12}-{'1' * 12}.json.xz"
    sums = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

    def answer(request, number):
        slowly(sums if request.path.endswith("SHA256SUMS") else content)(request, number)

    server.answer = answer
    done = at_once(*[lambda: RemoteCache(server.url, tmp_path).file(name).read_bytes()] * 3)
    assert done == [content] * 3
    (copies,) = tmp_path.iterdir()
    assert names(copies / "runs") == [Path(name).name]


# What an interrupted download has left is gone on with, by one of the next


@pytest.fixture
def interrupted(official, server, tmp_path):
    """Leaves a part of the archive under a name; what was asked for after that is in `server.ranges`."""

    def interrupted(name: str, age: float = 0) -> Path:
        part = tmp_path / "data" / name
        part.parent.mkdir(exist_ok=True)
        server.answer = lambda request, number: Server.send(
            request, official.bytes, cut=50_000 if number == 0 else 0
        )
        with pytest.raises(RepriseError, match="broke off"):
            download(f"{server.url}/{official.archive.name}", part, 1 << 24, show=False)
        os.utime(part, (time.time() - age,) * 2)
        server.ranges.clear()
        server.answer = lambda request, number: Server.send(request, official.bytes)
        return part

    return interrupted


def dead() -> str:
    """The signature of a process of this machine that is no more."""
    host, _, start = files.signature().rsplit("-", 2)
    return f"{host}-{2**22 - 1}-{int(start) + 1}"


OWNERS: dict[str, tuple[Callable[[], str], float, bool]] = {
    "interrupted": (lambda: "", 0, True),
    "killed": (dead, 0, True),
    "killed on another machine": (lambda: "elsewhere-1-1", 25 * 3600, True),
    "at work": (files.signature, 25 * 3600, False),
    "at work on another machine": (lambda: "elsewhere-1-1", 60, False),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_whose_part_is_gone_on_with(owner, interrupted, official, server, tmp_path):
    signature, age, mine = OWNERS[owner]
    archive = official.archive.name
    name = f".{archive}.{signature()}.0123abcd.part" if signature() else f"{archive}.part"
    part = interrupted(name, age)
    target = tmp_path / "data" / archive
    fetch_dataset("cifar100", target, [server.url])
    assert server.ranges == (["bytes=50000-"] if mine else [None])
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == sorted([archive] if mine else [archive, part.name, f"{part.name}.json"])


def test_one_of_two_goes_on_with_it(no_locks, interrupted, official, server, tmp_path):
    interrupted(f"{official.archive.name}.part")
    server.answer = slowly(official.bytes)
    target = tmp_path / "data" / official.archive.name
    assert at_once(*[lambda: fetch_dataset("cifar100", target, [server.url])] * 2) == [target] * 2
    assert sorted(map(str, server.ranges)) == ["None", "bytes=50000-"]
    assert target.read_bytes() == official.bytes
    assert names(target.parent) == [target.name]


def test_parts_of_the_killed_go_once_the_file_is_there(interrupted, official, server, tmp_path):
    interrupted(f".{official.archive.name}.{dead()}.0123abcd.part")
    target = tmp_path / "data" / official.archive.name
    shutil.copy(official.archive, target)
    fetch_dataset("cifar100", target, [server.url])
    assert names(target.parent) == [target.name]
    assert server.ranges == []


def test_a_part_that_is_not_ours_to_move(official, server, tmp_path, monkeypatch):
    """In a shared folder it can be another user's."""
    target = tmp_path / "data" / official.archive.name
    target.parent.mkdir()
    theirs = target.with_name(f"{target.name}.part")
    theirs.write_bytes(b"theirs")
    theirs.with_name(f"{theirs.name}.json").write_bytes(b"{}")
    rename, unlink = Path.rename, Path.unlink

    def refuse(self):
        if self.name.startswith(theirs.name):
            raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "rename", lambda self, to: refuse(self) or rename(self, to))
    monkeypatch.setattr(Path, "unlink", lambda self, **options: refuse(self) or unlink(self, **options))
    server.answer = lambda request, number: Server.send(request, official.bytes)
    fetch_dataset("cifar100", target, [server.url])
    assert target.read_bytes() == official.bytes
    assert theirs.read_bytes() == b"theirs"


def test_each_has_a_part_of_its_own(tmp_path):
    with own_part(tmp_path / "x.tar.gz") as one, own_part(tmp_path / "x.tar.gz") as two:
        assert one != two
        for own in (one, two):
            own.write_bytes(b"-")
            state_of(own).write_bytes(b"{}")
    assert names(tmp_path) == ["x.tar.gz.part", "x.tar.gz.part.json"]


def test_an_archive_that_the_catalog_does_not_know(no_locks, official, tmp_path, monkeypatch):
    """Nothing is left by those that all fail."""
    splits = {
        name: dataclasses.replace(each, digest="0" * 64) for name, each in official.facts.splits.items()
    }
    wrong = dataclasses.replace(official.facts, splits=splits, md5="0")
    monkeypatch.setitem(catalog.OWN_DATASETS, "cifar100", wrong)
    target = tmp_path / "data" / official.archive.name
    done = at_once(*[lambda: fetch_dataset("cifar100", target, [str(official.archive)])] * 2)
    assert [type(each) for each in done] == [RepriseError] * 2
    assert names(target.parent) == []
