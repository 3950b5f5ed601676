"""Run caches: folders, or the same folders behind a URL, of entries of finished runs.

`runs/<run>-<digest>.json.xz` the entries, two where a run was made twice; `tests/<name>.json.xz` the test
images that they predict; `weights/<run>.safetensors`, where weights were exported too, and
`weights/<run>-<digest>.safetensors`, those of a further result; and `SHA256SUMS`, the list of all files in
the format of `sha256sum`, which a server needs, since it cannot be asked what it holds.

What is found is checked before it is used. A damaged entry is one line, and the next one, or the next cache,
is tried; a cache that cannot be reached is one line too.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache as remember
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from reprise.errors import DamagedError, RepriseError, UnwritableError, file_error, gist
from reprise.files import alone, atomic, check_writable, make_folder, read_bytes, read_json, write_json
from reprise.folders import is_stray, listing
from reprise.given import no_folder
from reprise.progress import say
from reprise.records import file_digest
from reprise.reports.layout import RUN
from reprise.results.entry import MOST_ENTRY, NAME, Entry, TestImages, document_of, entry_from, tested_by

if TYPE_CHECKING:
    from reprise.reports.run import Run

RUNS, TESTS, WEIGHTS, SUMS = "runs", "tests", "weights", "SHA256SUMS"
SUFFIX = ".json.xz"
MOST_SUMS = 1 << 26
AGAIN = "get it again from its source"
ATTEMPTS, TIMEOUT_S = 2, (5.0, 20.0)
"""For small files a server is given up sooner than for archives."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *]((?:runs|tests|weights)/[0-9A-Za-z._-]{1,80})")


class Cache(Protocol):
    """A run cache, wherever it lies."""

    place: str

    def names(self) -> dict[str, list[str]]:
        """Run → the names of its entries, in order. A cache that cannot be read is a `RepriseError`."""

    def file(self, name: str) -> Path:
        """A file of the cache by its name in it (`runs/….json.xz`), as it should be; a `RepriseError` for one
        that cannot be had.
        """


class FolderCache:
    """A cache in a folder."""

    def __init__(self, folder: Path, place: str | None = None) -> None:
        self.folder, self.place = folder, place or str(folder)

    def names(self) -> dict[str, list[str]]:
        if problem := no_folder(self.folder):
            raise RepriseError(problem)
        if not self.folder.is_dir():
            raise RepriseError("no such folder")
        try:
            found = [path.name for path in (self.folder / RUNS).iterdir() if path.name.endswith(SUFFIX)]
        except FileNotFoundError:
            return {}
        if not found and holds_runs(self.folder / RUNS):
            raise RepriseError(f"a results folder, not a run cache; take its runs with: import {self.folder}")
        return _by_run(f"{RUNS}/{name}" for name in found if not is_stray(name))

    def file(self, name: str) -> Path:
        path = self.folder / name
        if path.is_symlink():
            raise DamagedError(f"{path}: is a link", AGAIN)
        return path


class RemoteCache:
    """A cache behind an http(s) URL; what was asked for is kept in `copies`."""

    def __init__(self, url: str, copies: Path) -> None:
        from reprise.download import shown

        self.url, self.place = url.rstrip("/"), shown(url)
        self.copies = copies / hashlib.sha256(self.url.encode()).hexdigest()[:12]
        self._sums: dict[str, str] | None = None

    def names(self) -> dict[str, list[str]]:
        return _by_run(name for name in self.sums if name.startswith(f"{RUNS}/"))

    @property
    def sums(self) -> Mapping[str, str]:
        """Name → SHA-256 of the files that the cache lists now."""
        if self._sums is None:
            self._make_copies()
            try:
                text = self._get(SUMS, self.copies / SUMS, MOST_SUMS).decode("ascii")
                self._sums = read_sums(text)
            except ValueError as error:
                raise RepriseError(f"{SUMS} is not what sha256sum writes ({gist(error)})") from None
        return self._sums

    def _make_copies(self) -> None:
        """Whoever can only read these results keeps the copies as long as this process lasts."""
        try:
            check_writable(self.copies)
        except UnwritableError:
            self._temporary = tempfile.TemporaryDirectory(prefix="reprise-copies-")
            self.copies = Path(self._temporary.name)

    def file(self, name: str) -> Path:
        if name not in self.sums:
            raise RepriseError(f"{name} is not listed in its {SUMS}")
        path = self.copies / name
        if not path.exists() or file_digest(path) != self.sums[name]:
            make_folder(path.parent)
            most = MOST_ENTRY if not name.startswith(f"{WEIGHTS}/") else 1 << 33
            content = self._get(name, path, most)
            if hashlib.sha256(content).hexdigest() != self.sums[name]:
                raise RepriseError(f"{name} is not what its {SUMS} says: damaged, or changed meanwhile")
            with atomic(path) as partial:
                partial.write_bytes(content)
        return path

    def _get(self, name: str, path: Path, most: int) -> bytes:
        from reprise.download import discard, download, own_part

        lock = path.with_name(f".{path.name}.lock")
        with alone(lock, lambda: None), own_part(path) as part:
            discard(part)  # what was left is small, or of another version
            try:
                url = f"{self.url}/{quote(name)}"
                download(url, part, most, attempts=ATTEMPTS, timeout_s=TIMEOUT_S, show=False)
                return read_bytes(part, most)
            finally:
                discard(part)


def holds_runs(folder: Path) -> bool:
    """Whether it is somebody's folder of runs, one folder for each, and no part of a run cache."""
    return any(re.fullmatch("[0-9a-f]{12}", path.parent.name) for path in folder.glob(f"*/{RUN}"))


def open_cache(place: str, copies: Path) -> Cache:
    """The cache at `place`, a folder, a `file:` URL or an http(s) one; `copies` is the folder for what a
    server sends. What looks like a URL and is none is a `RepriseError`.
    """
    if "://" not in place and not place.startswith("file:"):
        return FolderCache(Path(place))
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise RepriseError(
            f"cache {place}: not a URL ({gist(error)}); correct it, or give a folder"
        ) from None
    if parts.scheme in ("http", "https"):
        return RemoteCache(place, copies)
    if parts.scheme == "file":
        return FolderCache(Path(url2pathname(parts.path)), place)
    return FolderCache(Path(place))


def folder_to_add_to(place: str) -> Path:
    """The folder of a cache that is to be added to; a server's address, another URL and an empty name are a
    `RepriseError`.
    """
    opened = open_cache(place, Path()) if place.startswith("file:") else None
    if isinstance(opened, FolderCache):
        return opened.folder
    if "://" in place or not place:
        what = "a URL" if place else "the name is empty"
        raise RepriseError(f"cache {place!r}: {what}; give a folder (a web server may serve it)")
    if problem := no_folder(Path(place)):
        raise RepriseError(f"cache {place!r}: {problem}")
    return Path(place)


def read_sums(text: str) -> dict[str, str]:
    """Name → SHA-256, of a list as `sha256sum` writes it; a `ValueError` for a line that is none."""
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"line {line[:60]!r}")
        found[match[2]] = match[1]
    return found


def _by_run(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        if match := NAME.fullmatch(name.removeprefix(f"{RUNS}/").removesuffix(SUFFIX)):
            found.setdefault(match["run"], []).append(match[0])
    return found


# ---- reading ----


class Caches:
    """Several caches, which are asked in order."""

    def __init__(self, places: Sequence[str], copies: Path) -> None:
        """copies: folder for what servers send, and for the names of entries that were refused."""
        self.caches = [open_cache(place, copies) for place in places]
        self._refused = copies / "refused.json"
        self._gone: set[str] = set()
        self._names: dict[str, dict[str, list[str]]] = {}

    @property
    def refused(self) -> list[str]:
        """Names of entries that were found wrong when they were to be imported, and are not tried again."""
        try:
            found = read_json(self._refused)
        except (RepriseError, OSError):
            return []
        return [str(name) for name in found] if isinstance(found, list) else []

    def refuse(self, entry: Entry) -> None:
        """Never use this entry again."""
        write_json(self._refused, sorted({*self.refused, entry.name}))

    def names(self, cache: Cache) -> dict[str, list[str]]:
        """Run → names of its entries; of a cache that cannot be read, after one line, none."""
        if cache.place not in self._names:
            try:
                self._names[cache.place] = cache.names()
            except (RepriseError, OSError) as error:
                said = str(error) if isinstance(error, RepriseError) else file_error(error)
                say(f"cache {cache.place}: cannot be used: {said}; its runs are trained instead")
                self._names[cache.place] = {}
        return self._names[cache.place]

    def holds(self, runs: Iterable[str]) -> set[str]:
        """Those of the runs that some cache names, unchecked."""
        named = {run for cache in self.caches for run in self.names(cache)}
        return named & set(runs)

    def count(self, run: str) -> int:
        """How many results of a run the caches name."""
        return len({name for cache in self.caches for name in self.names(cache).get(run, ())})

    def results(self, run: str) -> list[Entry]:
        """All good entries of a run, each once, the one that was finished first to begin with; those that
        cannot be used are one line each.
        """
        found: dict[str, Entry] = {}
        wrong: list[str] = []
        refused = self.refused
        for cache in self.caches:
            for name in self.names(cache).get(run, ()):
                if name in (*found, *refused) or cache.place in self._gone:
                    continue
                try:
                    found[name] = read_entry(cache, name)
                except (RepriseError, OSError, MemoryError) as error:
                    wrong += self._refuse(cache, name, error)
        instead = "another result of the run is used" if found else "the run is trained instead"
        for said in wrong:
            say(f"{said}; {instead}")
        return sorted(found.values(), key=_order)

    def _refuse(self, cache: Cache, name: str, error: Exception) -> list[str]:
        """What is said of an entry that cannot be used; nothing of a server that is given up with it, of
        which a line says so at once.
        """
        said = file_error(error) if isinstance(error, OSError) else gist(error)
        if isinstance(error, DamagedError):
            said = error.what
        elif isinstance(cache, RemoteCache) and not said.startswith(("HTTP 4", RUNS, TESTS)):
            self._gone.add(cache.place)  # the server, and not one file
            say(f"cache {cache.place}: given up: {said}; its runs are trained instead")
            return []
        return [f"cache {cache.place}: entry {name} is not used: {said}"]

    def find(self, runs: Iterable[str], *, evaluated: bool = True) -> dict[str, Entry]:
        """Run → its first good entry, for the runs that have one. evaluated: only those with metrics and
        predictions.
        """
        found = {}
        for run in dict.fromkeys(runs):
            entries = [entry for entry in self.results(run) if entry.evaluated or not evaluated]
            if entries:
                found[run] = entries[0]
        return found

    def spares(self, runs: Mapping[str, Run], trained: Collection[str]) -> set[str]:
        """Those of the runs (hash → run) that need not be trained, because a cache holds them and they are
        not `trained` here. One without weights will not do where a run that is to be trained starts from
        them.
        """
        entries = self.find(self.holds(runs.keys() - set(trained)))
        spared = set(entries)
        while parents := {
            run.parent
            for identifier, run in runs.items()
            if identifier not in (*trained, *spared) and run.parent in spared
        }:
            without = {parent for parent in parents if parent and not self.weights(entries[parent])}
            if not without:
                break
            spared -= without
        return spared

    def every(self) -> list[Entry]:
        """Of each run that the caches hold the entry that was finished first. One that is damaged, or a cache
        that cannot be read, is a `RepriseError`: what was asked for is all.
        """
        found: dict[str, Entry] = {}
        for cache in self.caches:
            try:
                names = cache.names()
            except RepriseError as error:
                raise RepriseError(f"{cache.place}: {error}") from None
            if not names:
                raise RepriseError(f"{cache.place}: holds no exported run; give the folder that export wrote")
            for run, entries in names.items():
                for name in entries:
                    try:
                        entry = read_entry(cache, name)
                    except DamagedError as error:
                        raise DamagedError(f"{cache.place}: entry {name}: {error.what}", AGAIN) from None
                    except RepriseError as error:
                        raise RepriseError(f"{cache.place}: {error}") from None
                    found[run] = min(found.get(run, entry), entry, key=_order)
        return list(found.values())

    def weights(self, entry: Entry) -> Path | None:
        """The file of a run's weights, where a cache has it and it is what the entry says."""
        for cache in self.caches:
            for name in (entry.run.hash, entry.name):
                try:
                    path = cache.file(f"{WEIGHTS}/{name}.safetensors")
                    if entry.weights and path.exists() and file_digest(path) == entry.weights:
                        return path
                except (RepriseError, OSError):
                    continue
        return None


def _order(entry: Entry) -> tuple[bool, float, str]:
    """Of several results of a run the one that was finished first is used; last comes what says no time."""
    try:
        finished = datetime.datetime.fromisoformat(str(entry.meta.get("finished"))).timestamp()
    except (ValueError, OverflowError):
        return True, 0.0, entry.name
    return False, finished, entry.name


def read_entry(cache: Cache, name: str) -> Entry:
    """The entry of that name, checked; a `DamagedError` says what is wrong with it."""
    file = f"{RUNS}/{name}{SUFFIX}"
    try:
        document = document_of(read_bytes(cache.file(file), MOST_ENTRY))
        needs = tested_by(document)
        return entry_from(document, name, _test_images(cache, needs) if needs else None)
    except FileNotFoundError:
        raise DamagedError(f"{file} is not there", AGAIN) from None
    except ValueError as error:
        raise DamagedError(gist(error), AGAIN) from None


@remember
def _read_test_images(path: Path, name: str, changed: int) -> TestImages:
    return TestImages.unpack(read_bytes(path, MOST_ENTRY), name)


def _test_images(cache: Cache, name: str) -> TestImages:
    """The test images of that name, which many entries share."""
    if not re.fullmatch("[0-9a-f]{16}", name):
        raise ValueError("its test images have no name")
    file = f"{TESTS}/{name}{SUFFIX}"
    path = cache.file(file)
    try:
        return _read_test_images(path, name, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ValueError(f"its test images, {file}, are not there") from None
    except ValueError as error:
        raise ValueError(f"its test images, {file}: {gist(error)}") from None


# ---- writing ----


def add(folder: Path, entries: Sequence[Entry], weights: Mapping[str, Path] | None = None) -> dict[str, str]:
    """Add entries to the cache in `folder`, and the files of weights by run.

    Run → `published`, `there already` (this very entry), or `another result`: what was there stays, and both
    are kept. This very entry is written again where it is damaged. The entries appear whole or not at all;
    `SHA256SUMS` is written last, of all that lies there.
    """
    import shutil

    make_folder(folder)
    states = {}
    with alone(folder / ".lock", lambda: say(f"{folder}: another process is adding to it; waiting")):
        before = FolderCache(folder).names()
        for entry in entries:
            run, path = entry.run.hash, folder / RUNS / f"{entry.name}{SUFFIX}"
            if entry.tested is not None:
                _keep(folder / TESTS / f"{entry.tested.name}{SUFFIX}", entry.tested.pack())
            known = [name for name in before.get(run, ()) if name != entry.name]
            there = len(known) < len(before.get(run, ())) and _is_whole(folder, entry.name)
            states[run] = "there already" if there else "another result" if known else "published"
            if not there:
                _keep(path, entry.pack())
            if source := (weights or {}).get(run):
                with atomic(_weights_file(folder, entry, known)) as partial:
                    shutil.copyfile(source, partial)
        write_sums(folder)
    return states


def _is_whole(folder: Path, name: str) -> bool:
    """Whether the entry of that name is what it was when it was added."""
    try:
        read_entry(FolderCache(folder), name)
    except (RepriseError, OSError):
        return False
    return True


def _weights_file(folder: Path, entry: Entry, others: Sequence[str]) -> Path:
    """Where an entry's weights go: not over those of another result of the run, of which `others` are
    the names.
    """
    path = folder / WEIGHTS / f"{entry.run.hash}.safetensors"
    if others and path.exists() and file_digest(path) != entry.weights:
        return path.with_name(f"{entry.name}{path.suffix}")
    return path


def _keep(path: Path, content: bytes) -> None:
    try:
        if read_bytes(path, MOST_ENTRY) == content:
            return
    except (DamagedError, OSError):
        pass
    with atomic(path) as partial:
        partial.write_bytes(content)


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of what lies in a cache."""
    names = []
    for part, suffix in ((RUNS, SUFFIX), (TESTS, SUFFIX), (WEIGHTS, ".safetensors")):
        found = [path.name for path in listing(folder / part)] if (folder / part).is_dir() else []
        names += [
            f"{part}/{name}"
            for name in found
            if name.endswith(suffix) and _LINE.fullmatch(f"{'0' * 64}  {part}/{name}")
        ]
    with atomic(folder / SUMS) as partial:
        lines = [f"{file_digest(folder / name)}  {name}\n" for name in sorted(names)]
        partial.write_text("".join(lines), encoding="ascii")
