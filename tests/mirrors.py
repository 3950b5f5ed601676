"""A small catalog whose data sets are drawn here, and an HTTP server that misbehaves on demand."""

import dataclasses
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reprise import download
from reprise.data import catalog, fetch
from reprise.data.archives import read_archive
from reprise.data.catalog import OWN_DATASETS, DatasetFacts, SplitFacts
from reprise.data.synthetic import write_synthetic


@dataclass
class Official:
    """A drawn archive that the catalog, for the time of a test, holds to be the official one."""

    facts: DatasetFacts
    archive: Path

    @property
    def bytes(self) -> bytes:
        return self.archive.read_bytes()


def adopt(monkeypatch: pytest.MonkeyPatch, name: str, archive: Path) -> Official:
    """Put the content of `archive` into the catalog as data set `name`, without any official address."""
    facts = OWN_DATASETS[name]
    found = read_archive(facts, archive)
    known = facts.splits["train"].digest is not None
    splits = {
        split: SplitFacts(len(raw.images), raw.digest() if known else None) for split, raw in found.items()
    }
    members = {member: md5 for raw in found.values() for member, md5 in raw.member_md5.items()}
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    facts = dataclasses.replace(
        facts, splits=splits, md5=md5, member_md5=members, urls=(), max_bytes=16 * 2**20
    )
    monkeypatch.setitem(catalog.OWN_DATASETS, name, facts)
    return Official(facts, archive)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of a data set → a stand-in archive with its sidecar; not to be written to."""
    folder = tmp_path_factory.mktemp("drawn")
    return {name: write_synthetic(name, folder, {"train": 3, "test": 1}) for name in OWN_DATASETS}


@pytest.fixture
def adopted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Official]:
    """Draws the data set of a name as its official archive of this test, without a sidecar."""

    def adopted(name: str, train: int = 3, test: int = 2) -> Official:
        archive = write_synthetic(name, tmp_path / "official", {"train": train, "test": test}, seed=7)
        fetch.sidecar_of(archive).unlink()
        return adopt(monkeypatch, name, archive)

    return adopted


@pytest.fixture(scope="session")
def drawn_official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic("cifar100", tmp_path_factory.mktemp("official"), {"train": 2, "test": 1}, seed=7)


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drawn_official: Path) -> Official:
    """CIFAR-100 of this test: a drawn archive without a sidecar."""
    (tmp_path / "official").mkdir()
    return adopt(monkeypatch, "cifar100", Path(shutil.copy(drawn_official, tmp_path / "official")))


@dataclass
class Server:
    """`answer(request, number)` handles request `number`, from 0; `ranges` are the Range headers seen (None:
    absent).
    """

    url: str = ""
    answer: Callable[[BaseHTTPRequestHandler, int], None] | None = None
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @staticmethod
    def send(
        request: BaseHTTPRequestHandler,
        body: bytes,
        *,
        cut: int | None = None,
        etag: str | None = '"one"',
        resume: bool = True,
    ) -> None:
        """Answer with `body`, honouring Range (and If-Range) when `resume`; break off after `cut` bytes of
        what is due.
        """
        start, wanted = 0, request.headers.get("Range")
        if wanted and resume and request.headers.get("If-Range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        due = body[start:]
        request.send_header("Content-Length", str(len(due)))
        if etag:
            request.send_header("ETag", etag)
        request.end_headers()
        request.wfile.write(due if cut is None else due[:cut])
        request.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            state.paths.append(self.path)
            assert state.answer is not None
            state.answer(self, len(state.ranges) - 1)

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setattr(download, "BACKOFF_S", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        http.shutdown()
        thread.join()
