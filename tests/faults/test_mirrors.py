"""Mirrors that misbehave: each fault ends within its bound, in one line, and the next source or the next call
brings the file.

`python -m reprise data fetch` is run in this process, against a server on this machine. The bounds in seconds
and bytes are lowered, so that a test takes one second instead of minutes.
"""

import contextlib
import gzip
import itertools
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from mirrors import Official, Server
from reprise import download
from reprise.cli import main
from reprise.files import alone

MOST_S = 12
"""Of one fetch, with the bounds below and two busy cores."""
MOST_MEMORY = 48 * 2**20
"""The archives of these tests may have 16 MiB."""

Answer = Callable[[BaseHTTPRequestHandler, int, bytes], None]


@pytest.fixture(autouse=True)
def lower_bounds(monkeypatch):
    monkeypatch.setattr(download, "WINDOW_S", 0.5)
    monkeypatch.setattr(download, "TIMEOUT_S", (2.0, 0.4))
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    monkeypatch.setattr(download, "LINES", 20_000)


# ---- faults ----


def raw(*pieces: bytes, pause: float = 0.0) -> Answer:
    """Send these bytes, whatever HTTP says, and hang up."""

    def answer(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
        for piece in pieces:
            request.wfile.write(piece)
            time.sleep(pause)
        request.close_connection = True

    return answer


def forever(first: bytes, piece: bytes, pause: float = 0.0) -> Answer:
    return lambda request, number, body: raw(first, *[piece] * (200 if pause else 100_000), pause=pause)(
        request, number, body
    )


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def replies(*lines: str, status: str = "200 OK", body: bytes | None = None) -> Answer:
    """The file, or `body`, under these headers."""
    return lambda request, number, content: raw(
        head(*lines, status=status), content if body is None else body
    )(request, number, content)


def silent(first: bytes = b"") -> Answer:
    def answer(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
        raw(first)(request, number, body)
        time.sleep(1.0)

    return answer


def reset(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    request.wfile.write(head(f"Content-Length: {len(body)}") + body[:3000])
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def one_byte_each(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    Server.send(request, body, cut=1)


def early(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    Server.send(request, body, cut=1000, resume=False)


def another_range(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    """The second answer begins 10 bytes too early."""
    if number == 0:
        return Server.send(request, body, cut=100_000)
    return replies(
        f"Content-Range: bytes 99990-{len(body) - 1}/{len(body)}",
        status="206 Partial Content",
        body=body[99_990:],
    )(request, 1, body)


def longer_rest(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    """The second answer goes on well and has no end."""
    if number == 0:
        return Server.send(request, body, cut=100_000)
    first = (
        head(f"Content-Range: bytes 100000-{len(body) - 1}/{len(body)}", status="206 Partial Content")
        + body[100_000:]
    )
    return forever(first, bytes(2**16))(request, number, body)


def unknown_total(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    if number == 0:
        return Server.send(request, body, cut=100_000)
    return replies("Content-Range: bytes 100000-/*", status="206 Partial Content", body=body[100_000:])(
        request, number, body
    )


def never_resumes(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    if request.headers.get("Range"):
        return request.send_error(416)
    return Server.send(request, body, cut=1000)


def around(request: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
    raw(head(f"Location: /{number}/x.tar.gz", "Content-Length: 0", status="302 Found"))(request, number, body)


def leads_to(place: str) -> Answer:
    return replies(f"Location: {place}", "Content-Length: 0", status="302 Found", body=b"")


def label(etag: str) -> Answer:
    """An ETag that cannot be sent back, and a body that breaks off."""
    return lambda request, number, body: raw(
        head(f"ETag: {etag}", f"Content-Length: {len(body)}"), body[:1000]
    )(request, number, body)


NINES = "9" * 5000
ESCAPES = "\x1b[2J\x1b]0;title\x07"

FAULTS: dict[str, tuple[Answer, str]] = {
    "no answer": (silent(), "no answer in time"),
    "an answer that stalls": (silent(head("Content-Length: 100000") + b"x" * 10), "no answer in time"),
    "a byte now and then": (
        forever(head("Content-Length: 100000"), b"x", 0.02),
        r"too slow \([0-9]+ bytes in [0-9] s\)",
    ),
    "a byte now and then, without a length": (forever(head(), b"x", 0.02), "too slow"),
    "a byte now and then, in chunks": (
        forever(head("Transfer-Encoding: chunked"), b"1\r\nx\r\n", 0.02),
        "too slow",
    ),
    "headers byte by byte": (forever(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.02), "too slow"),
    "a status byte by byte": (forever(b"HTTP/1.1 200 ", b"K", 0.02), "too slow"),
    "a byte for each request": (one_byte_each, "broke off again and again"),
    "closed early": (early, "broke off again and again"),
    "closed at once": (raw(), "broke off again and again"),
    "reset": (reset, "broke off again and again"),
    "an announcement that is too large": (
        replies("Content-Length: 999999999"),
        "999,999,999 bytes are far too many",
    ),
    "a file without end": (
        forever(head(), bytes(2**16)),
        "far too many: not the file|far too much: not the file",
    ),
    "chunks without end": (
        forever(head("Transfer-Encoding: chunked"), b"10000\r\n" + bytes(2**16) + b"\r\n"),
        "far too m",
    ),
    "a chunk's length without end": (
        forever(head("Transfer-Encoding: chunked"), b"0" * 2**16),
        "headers without end",
    ),
    "a chunk's length that is none": (
        replies("Transfer-Encoding: chunked", body=b"many\r\nx"),
        "broke off again and again",
    ),
    "trailers without end": (
        forever(head("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n", b"X: y\r\n" * 10_000),
        "headers without end",
    ),
    "headers without end": (
        forever(head("X: y")[:-2], b"X: y\r\n" * 10_000),
        "makes no sense|broke off again and again|without end",
    ),
    "a header line without end": (forever(head("X: y")[:-2], b"X" * 2**16), "headers without end"),
    "told to continue without end": (forever(b"", head(status="100 Continue") * 1000), "headers without end"),
    "a shorter length than the file has": (replies("Content-Length: 5000"), "neither the official file"),
    "a negative length": (replies("Content-Length: -1", body=b"x"), "neither the official file"),
    "a length that is no number": (replies("Content-Length: many", body=b"x"), "neither the official file"),
    "a length in superscript": (replies("Content-Length: \xb2", body=b"x"), "neither the official file"),
    "a length of 5,000 digits": (
        replies(f"Content-Length: {NINES}", body=b"x"),
        "neither the official file|makes no sense|broke off",
    ),
    "two lengths": (replies("Content-Length: 5, 6", body=b"x"), "makes no sense|broke off"),
    "the rest of nothing": (
        replies("Content-Range: bytes 0-9/10", status="206 Partial Content"),
        "resumed another file",
    ),
    "another range": (another_range, "resumed another file"),
    "a range of an unknown whole": (unknown_total, "resumed another file"),
    "a range of 5,000 digits": (
        replies(f"Content-Range: bytes 0-{NINES}/{NINES}", status="206 Partial Content"),
        "resumed another file",
    ),
    "a rest without end": (longer_rest, "far too m"),
    "no resuming": (never_resumes, "cannot resume|broke off"),
    "416 always": (replies(status="416 Range Not Satisfiable", body=b""), "cannot resume"),
    "404": (replies(status="404 Not Found", body=b""), "HTTP 404 Not Found"),
    "500 always": (replies(status="500 Internal Server Error", body=b""), "HTTP 500 Internal Server Error"),
    "500 with a body without end": (forever(head(status="500 Oh"), bytes(2**16)), "HTTP 500 Oh"),
    "503 and come back tomorrow": (
        replies("Retry-After: 86400", status="503 Service Unavailable", body=b""),
        "HTTP 503",
    ),
    "429 and come back tomorrow": (
        replies("Retry-After: 86400", status="429 Too Many Requests", body=b""),
        "HTTP 429",
    ),
    "204": (replies(status="204 No Content", body=b""), "HTTP 204"),
    "304": (replies(status="304 Not Modified", body=b""), "HTTP 304"),
    "999": (replies(status="999 What", body=b""), "HTTP 999 What"),
    "a status that is no number": (replies(status="abc OK", body=b""), "broke off again and again"),
    "a page": (
        replies("Content-Type: text/html", body=b"<html>log in first</html>"),
        "neither the official file",
    ),
    "nothing with 200": (replies("Content-Length: 0", body=b""), "neither the official file"),
    "no HTTP at all": (raw(b"SSH-2.0-OpenSSH_9\r\n"), "broke off again and again"),
    "zeros": (forever(b"", bytes(2**16)), "headers without end"),
    "redirects in a circle": (leads_to("/a.tar.gz"), "from one address to the next"),
    "redirects to ever new places": (around, "from one address to the next"),
    "a redirect with a body without end": (
        forever(head("Location: /a.tar.gz", status="302 Found"), bytes(2**16)),
        "from one address",
    ),
    "a redirect to a file": (
        leads_to("file:///etc/passwd"),
        "leads to file:///etc/passwd, which is not an http",
    ),
    "a redirect to ftp": (leads_to("ftp://127.0.0.1/a.tar.gz"), "leads to ftp:"),
    "a redirect to half an address": (leads_to("http://[::1"), "makes no sense"),
    "a redirect to no port": (leads_to("http://127.0.0.1:99999999/"), "makes no sense"),
    "a redirect to a port in letters": (leads_to("http://127.0.0.1:abc/"), "makes no sense"),
    "a redirect to no host": (leads_to("http://"), "from one address"),
    "a redirect to a host with spaces": (leads_to("http://a b c/"), "makes no sense|no connection"),
    "a redirect to bytes": (leads_to("\xff\xfe\x80"), "HTTP|makes no sense|from one address"),
    "a redirect to a long host": (leads_to(f"http://{'a' * 300}.example/"), "broke off again and again"),
    "a redirect to a closed port": (leads_to("http://127.0.0.1:1/"), "no connection"),
    "a reason that commands the terminal": (
        replies(status=f"404 {ESCAPES}", body=b""),
        r"HTTP 404 \\x1b\[2J",
    ),
    "an ETag that cannot be sent": (label('"\x01\x7f"'), "broke off again and again"),
    "an ETag in Latin-1": (label('"\xe9\xff"'), "broke off again and again"),
    "an ETag of 60,000 characters": (label(f'"{"x" * 60_000}"'), "broke off again and again"),
}


@pytest.fixture
def faulty(server: Server, official: Official):
    """Let the server answer with a fault; with None it is cured."""

    def faulty(fault: Answer | None) -> str:
        server.ranges.clear()

        def answer(request: BaseHTTPRequestHandler, number: int) -> None:
            with contextlib.suppress(OSError):  # the client hangs up
                if fault is None:
                    server.send(request, official.bytes)
                else:
                    fault(request, number, official.bytes)
            request.close_connection = True

        server.answer = answer
        return server.url

    return faulty


class Fetch:
    """The documented command."""

    def __init__(self, results: Path, official: Official, capsys: pytest.CaptureFixture[str]) -> None:
        self._results, self._capsys = results, capsys
        self.archive = results / "data" / "archives" / official.archive.name

    def __call__(self, *mirrors: str) -> str:
        """What is wrong, in one line; nothing where the file has come."""
        began, status = time.monotonic(), 0
        tracemalloc.start()
        try:
            main(["data", "fetch", "cifar100", "--results", str(self._results), "--mirror", *mirrors])
        except SystemExit as end:
            status = end.code
        finally:
            memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        said = [line for line in self._capsys.readouterr().err.splitlines() if line.startswith("reprise: ")]
        assert time.monotonic() - began < MOST_S
        assert memory < MOST_MEMORY
        assert status == len(said), said
        assert all(line.isprintable() for line in said)
        return said[0] if said else ""


@pytest.fixture
def fetch(tmp_path, official, capsys) -> Fetch:
    return Fetch(tmp_path / "results", official, capsys)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_the_file_comes_from_the_next_source_or_in_a_later_call(
    name, faulty, fetch, official
):
    fault, message = FAULTS[name]
    said = fetch(faulty(fault))
    assert re.search(
        f"no source worked \\(http://127.0.0.1:[0-9]+/{official.archive.name}: .*({message})", said
    ), said
    assert "data add" in said
    for sources in ([faulty(fault), str(official.archive.parent)], [faulty(None)]):
        assert not fetch.archive.exists()
        assert fetch(*sources) == ""
        assert fetch.archive.read_bytes() == official.bytes
        assert sorted(path.name for path in fetch.archive.parent.iterdir()) == [
            fetch.archive.name,
            "cifar100.json",
        ]
        fetch.archive.unlink()


def test_a_closed_port(fetch, official):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert "no connection (Connection refused)" in fetch(url) or "no connection" in fetch(url)
    assert fetch(url, str(official.archive.parent)) == ""
    assert fetch.archive.read_bytes() == official.bytes


@pytest.mark.parametrize("mirror", ["http://[::1", "http://[x]/", "ftp://host/x"])
def test_mirrors_that_are_no_places(mirror, fetch, official):
    assert f"mirror {mirror}: " in fetch(mirror)
    assert fetch(str(official.archive)) == ""


def test_an_honest_slow_server(faulty, fetch, official, monkeypatch):
    """Twice the slowest pace for several windows."""
    monkeypatch.setattr(download, "WINDOW_S", 0.3)
    monkeypatch.setattr(download, "SLOWEST", len(official.bytes) // 4)

    def slowly(request, number, body):
        step = len(body) // 20
        raw(
            head(f"Content-Length: {len(body)}"),
            *(body[place : place + step] for place in range(0, len(body), step)),
            pause=0.1,
        )(request, number, body)

    assert fetch(faulty(slowly)) == ""
    assert fetch.archive.read_bytes() == official.bytes


# ---- what an earlier call has left ----

KEPT = 100_000


@pytest.fixture
def interrupted(faulty, fetch, official):
    """A download of which `KEPT` bytes are there; its two files."""
    fetch(faulty(lambda request, number, body: Server.send(request, body, cut=KEPT if number == 0 else 0)))
    part = fetch.archive.with_name(fetch.archive.name + ".part")
    assert part.stat().st_size == KEPT
    return part, part.with_name(part.name + ".json")


def test_it_goes_on(interrupted, faulty, fetch, official, server):
    assert fetch(faulty(None)) == ""
    assert server.ranges == [f"bytes={KEPT}-"]
    assert fetch.archive.read_bytes() == official.bytes


DAMAGE = {
    "a flipped byte": lambda part, state: part.write_bytes(b"\0" + part.read_bytes()[1:]),
    "nothing of it": lambda part, state: part.write_bytes(b""),
    "more than the whole": lambda part, state: part.write_bytes(bytes(10**7)),
    "as much as the whole": lambda part, state: part.write_bytes(bytes(fetch_size(state))),
    "another file's": lambda part, state: part.write_bytes(b"<html>" * 5000),
    "no state": lambda part, state: state.unlink(),
    "an empty state": lambda part, state: state.write_text(""),
    "half a state": lambda part, state: state.write_text(state.read_text()[:20]),
    "bytes as a state": lambda part, state: state.write_bytes(b"\xff\xfe\0"),
    "a list as a state": lambda part, state: state.write_text("[]"),
    "a deep state": lambda part, state: state.write_text("[" * 10**5),
    "a text as a size": lambda part, state: state.write_text(
        re.sub(r'"size": \d+', '"size": "x"', state.read_text())
    ),
    "a huge size": lambda part, state: state.write_text(
        re.sub(r'"size": \d+', f'"size": {NINES}', state.read_text())
    ),
    "a negative size": lambda part, state: state.write_text(
        re.sub(r'"size": \d+', '"size": -5', state.read_text())
    ),
    "another size": lambda part, state: state.write_text(
        re.sub(r'"size": \d+', '"size": 123456', state.read_text())
    ),
    "a validator of two lines": lambda part, state: state.write_text(
        re.sub(r'"validator": ".*",?\n?', '"validator": "a\\\\nb"\n', state.read_text())
    ),
    "a validator that is none": lambda part, state: state.write_text(
        re.sub(r'"validator": ".*"', '"validator": 5', state.read_text())
    ),
}


def fetch_size(state: Path) -> int:
    return int(re.search(r'"size": (\d+)', state.read_text())[1])


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("etag", ['"one"', None], ids=["with an ETag", "without"])
def test_a_damaged_part_or_state_heals(name, etag, faulty, fetch, official):
    """The same source, the same call: nothing has to be deleted by hand."""
    fetch(
        faulty(
            lambda request, number, body: Server.send(
                request, body, cut=KEPT if number == 0 else 0, etag=etag
            )
        )
    )
    part = fetch.archive.with_name(fetch.archive.name + ".part")
    DAMAGE[name](part, part.with_name(part.name + ".json"))
    assert fetch(faulty(lambda request, number, body: Server.send(request, body, etag=etag))) == ""
    assert fetch.archive.read_bytes() == official.bytes
    assert sorted(path.name for path in fetch.archive.parent.iterdir()) == [
        fetch.archive.name,
        "cifar100.json",
    ]


# ---- several processes ----

SCRIPT = """
import dataclasses, hashlib, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from reprise import download
from reprise.data import catalog
from reprise.data.archives import read_archive
from reprise.data.catalog import OWN_DATASETS, SplitFacts
from reprise.cli import main
archive, results, mirror = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
facts = OWN_DATASETS["cifar100"]
raws = read_archive(facts, archive)
splits = {{split: SplitFacts(len(raw.images), raw.digest()) for split, raw in raws.items()}}
md5 = hashlib.md5(archive.read_bytes()).hexdigest()
known = dataclasses.replace(facts, splits=splits, md5=md5, urls=(), max_bytes=16 * 2**20)
catalog.OWN_DATASETS["cifar100"] = known
print("ready", flush=True)
sys.stdin.readline()
main(["data", "fetch", "cifar100", "--results", results, "--mirror", mirror])
"""


@pytest.mark.parametrize("local", [False, True], ids=["a server", "a folder"])
def test_processes_on_one_results_folder(local, faulty, fetch, official, server, tmp_path):
    """Three at once: one fetches, all end well. From a server the file goes over the line once."""

    def slowly(request, number, body):
        step = len(body) // 10 + 1
        raw(
            head(f"Content-Length: {len(body)}"),
            *(body[place : place + step] for place in range(0, len(body), step)),
            pause=0.1,
        )(request, number, body)

    mirror = str(official.archive.parent) if local else faulty(slowly)
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]))
    arguments = [sys.executable, "-c", script, str(official.archive), str(tmp_path / "results"), mirror]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(arguments, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    assert fetch.archive.read_bytes() == official.bytes
    assert sorted(path.name for path in fetch.archive.parent.iterdir()) == [
        fetch.archive.name,
        "cifar100.json",
    ]
    if not local:
        assert server.ranges == [None]
        assert sum("another process is fetching it; waiting" in err for _, err in ends) == 2


def test_a_killed_process_leaves_its_lock_free(faulty, fetch, official, tmp_path):
    """And its part is gone on with by the next one."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]))

    def half(request, number, body):
        raw(head(f"Content-Length: {len(body)}", 'ETag: "one"'), body[:KEPT])(request, number, body)
        time.sleep(3)

    url = faulty(half)
    arguments = [sys.executable, "-c", script, str(official.archive), str(tmp_path / "results"), url]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True
    ) as process:
        process.stdin.write("\n")
        process.stdin.flush()
        for _ in itertools.repeat(None, 600):
            if any(part.stat().st_size for part in fetch.archive.parent.glob(".*.part")):
                break
            time.sleep(0.1)
        process.kill()
    assert fetch.archive.with_name(f".{fetch.archive.name}.lock").exists()
    assert fetch(faulty(None)) == ""
    assert fetch.archive.read_bytes() == official.bytes
    assert sorted(path.name for path in fetch.archive.parent.iterdir()) == [
        fetch.archive.name,
        "cifar100.json",
    ]


def test_a_lock_is_waited_for(tmp_path):
    lock, waits = tmp_path / "lock", []
    script = f"""
import time
from pathlib import Path
from reprise.files import alone
with alone(Path({str(lock)!r}), lambda: None) as waited:
    print(waited, flush=True)
    time.sleep(1)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "False\n"
        began = time.monotonic()
        with alone(lock, lambda: waits.append(True)) as waited:
            assert waited
            assert time.monotonic() - began > 0.5
    assert waits == [True]
    assert not lock.exists()


# ---- folders as mirrors ----


def test_a_repacked_file_that_is_labelled_as_packed_twice(faulty, fetch, official):
    """The bytes that are sent are what counts, whatever the label says."""
    packed = gzip.compress(official.bytes)
    said = fetch(faulty(replies("Content-Encoding: gzip", f"Content-Length: {len(packed)}", body=packed)))
    assert "neither the official file" in said
    assert fetch(faulty(replies("Content-Encoding: gzip"))) == ""
    assert fetch.archive.read_bytes() == official.bytes


def test_a_large_file_in_a_folder_is_not_copied(fetch, official, tmp_path):
    large = tmp_path / "large" / official.archive.name
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(10 * 2**40)
    assert "10,995,116,277,760 bytes are far too many" in fetch(str(large.parent))
    assert fetch(str(large.parent), str(official.archive)) == ""


def test_a_full_folder_of_locks_is_left_alone(fetch, official, tmp_path):
    """A lock that nobody holds does no harm."""
    fetch.archive.parent.mkdir(parents=True)
    lock = fetch.archive.with_name(f".{fetch.archive.name}.lock")
    lock.touch()
    assert fetch(str(official.archive)) == ""
    assert not lock.exists()
    shutil.rmtree(fetch.archive.parent)
