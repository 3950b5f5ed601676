"""Bring archives and weights into place: mirrors first, then the official addresses; nothing unverified gets its final name."""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import urllib3

from reprise.data.archives import GET_AGAIN, Source, file_hash, identify, member_md5, read_archive, sidecar_of
from reprise.data.catalog import DATASETS, WEIGHTS, DatasetFacts, WeightsFacts, dataset_facts, weights_facts
from reprise.errors import RepriseError
from reprise.files import atomic, read_json, write_json
from reprise.progress import progress

ATTEMPTS = 5
"""Broken transfers in a row, without a byte gained, after which a source is given up."""
BACKOFF_S = 0.5
"""The first pause before another attempt, in seconds; each further one is twice as long."""
TIMEOUT_S = (10, 60)
"""Longest wait for a connection and for the next bytes, in seconds."""
CHUNK = 1 << 18

Facts = DatasetFacts | WeightsFacts
Location = Path | str  # a local file, or an http(s) URL
Check = Callable[[Path, Location], None]  # raises RepriseError when the file, brought from the location, is not what it should be


def fetch_dataset(name: str, destination: Path, mirrors: Sequence[str] = (), *, accept: Source = "real") -> Path:
    """Bring the archive of data set `name` to the file `destination` and return that path.

    A good file that is already there is kept, without a look at the sources: the `mirrors` in order (folders, files, `file:` or http(s)
    URLs; the archive's name is added where one is a folder), then the official addresses. An archive passes when its MD5 is the
    official one, or when its content is what the catalog knows of it (a repacked archive).

    With `accept` `synthetic` or `stand-in` only an archive passes that `write_synthetic` or `write_stand_in` made. It is taken from local
    mirrors, and its sidecar is brought along.

    Raises `RepriseError` when no source gives a file that passes (naming every source and its reason), or the disk is full.
    """
    facts = dataset_facts(name)
    locations = [_location(mirror, facts.file_name) for mirror in mirrors]
    if accept == "real":
        return _fetch_real(facts, destination, locations)
    local = [location for location in locations if isinstance(location, Path)]

    def check(file: Path, origin: Location) -> None:
        _verify_made(facts, file, sidecar_of(Path(origin)), accept)

    origin = _fetch(facts, destination, local, check, f"make the {accept} archive first, in a folder that is given as the mirror")
    with atomic(sidecar_of(destination)) as partial:
        shutil.copyfile(sidecar_of(Path(origin)), partial)
    return destination


def fetch_weights(name: str, destination: Path, mirrors: Sequence[str] = ()) -> Path:
    """Bring the pretrained weights `name` to the file `destination`; sources and errors as in `fetch_dataset`.

    The file passes when its SHA-256 begins with the digits in its official name.
    """
    facts = weights_facts(name)
    return _fetch_real(facts, destination, [_location(mirror, facts.file_name) for mirror in mirrors])


def add_archive(path: Path, data_dir: Path) -> Path:
    """Verify a file that the user already has and copy it to where the project looks for it; return that place.

    The file is recognised by its name or else by its content; it is left as it is. Anything else is a `RepriseError`.
    """
    if not path.is_file():
        raise RepriseError(f"{path}: no such file; name an archive that you have")
    known: list[Facts] = [*DATASETS.values(), *WEIGHTS.values()]
    candidates = [facts for facts in known if facts.file_name == path.name] or known
    for facts in candidates:
        try:
            verify(facts, path)
        except RepriseError as error:
            reason = error
            continue
        destination = data_dir / ("archives" if isinstance(facts, DatasetFacts) else "weights") / facts.file_name
        if not (destination.exists() and destination.samefile(path)):
            with atomic(destination) as partial:
                shutil.copyfile(path, partial)
        return destination
    if len(candidates) > 1:
        raise RepriseError(f"{path}: none of {', '.join(facts.file_name for facts in known)}; get an official file")
    difference = _difference(facts, path)
    why = f"not the official {facts.file_name}: {difference}" if difference else _reason(reason, path)
    raise RepriseError(f"{path}: {why}; get the official file{f' from {facts.urls[0]}' if facts.urls else ''}")


def _difference(facts: Facts, archive: Path) -> str | None:
    """In which images a sound archive differs from the official one; None where it is no such archive."""
    if isinstance(facts, WeightsFacts):
        return None
    try:
        splits = read_archive(facts, archive)
    except RepriseError:
        return None
    names = {"train": "training"}
    found = []
    for name, raw in splits.items():
        expected, images = facts.splits[name], f"{names.get(name, name)} images"
        if len(raw.images) != expected.images:
            found.append(f"{len(raw.images):,} of {expected.images:,} {images}")
        elif expected.digest and raw.digest() != expected.digest:
            found.append(f"the content of its {len(raw.images):,} {images} differs")
    return ", ".join(found)


# Verification -------------------------------------------------------------------------------------------------------------------


def verify(facts: Facts, file: Path) -> None:
    """Raise `RepriseError`, with what was expected and what was found, unless `file` is the real thing."""
    if isinstance(facts, WeightsFacts):
        found = file_hash(file, "sha256")
        if not found.startswith(facts.sha256_prefix):
            raise RepriseError(f"{file}: SHA-256 is {found}, expected {facts.sha256_prefix}…; {GET_AGAIN}")
        return
    found = file_hash(file, "md5")
    if found == facts.md5:
        return
    if not facts.member_md5 and not all(split.digest for split in facts.splits.values()):
        raise RepriseError(f"{file}: not the official file: md5 is {found}, expected {facts.md5}; {GET_AGAIN}")
    try:
        digests, members = ({}, member_md5(facts, file)) if facts.member_md5 else _content(facts, file)
        identify(facts, file, digests, members)
    except RepriseError as error:
        why = _reason(error, file)
        raise RepriseError(
            f"{file}: neither the official file (md5 is {found}, expected {facts.md5}) nor a repacked one ({why}); {GET_AGAIN}"
        ) from error


def _verify_made(facts: DatasetFacts, file: Path, sidecar: Path, accept: Source) -> None:
    """Raise `RepriseError` unless `file` is what its sidecar says, and that is what is accepted."""
    source = identify(facts, file, *_content(facts, file, file.parent), sidecar)
    if source != accept:
        what = f"the real {facts.name}" if source == "real" else f"a {source} archive"
        raise RepriseError(f"{file}: {what} where a {accept} one is expected; make that one first, or use another scale")


def _content(facts: DatasetFacts, file: Path, scratch: Path | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Content digest of each split; MD5 of each member, where the catalog knows these."""
    splits = read_archive(facts, file, scratch)
    members = {member: md5 for raw in splits.values() for member, md5 in raw.member_md5.items()}
    return {split: raw.digest() for split, raw in splits.items()}, members


def _reason(error: Exception, file: Path) -> str:
    """The gist of an error about `file`, to stand inside another."""
    return str(error).removeprefix(f"{file}: ").partition(f"; {GET_AGAIN}")[0]


# Sources ------------------------------------------------------------------------------------------------------------------------


def _fetch_real(facts: Facts, destination: Path, mirrors: Sequence[Location]) -> Path:
    try:
        verify(facts, destination)
    except RepriseError:  # absent, or replaced once a good file has arrived
        remedy = (
            f"get the file another way and run `python -m reprise data add {facts.file_name}`, "
            "or set `mirror` to a folder or URL that holds it"
        )
        _fetch(facts, destination, [*mirrors, *facts.urls], lambda file, _: verify(facts, file), remedy)
    return destination


def _fetch(facts: Facts, destination: Path, locations: Sequence[Location], check: Check, remedy: str) -> Location:
    """Bring the first of `locations` that passes `check` to `destination`, and return it."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    reasons = []
    for location in locations:
        try:
            _bring(location, part, facts.max_bytes)
            try:
                check(part, location)
            except RepriseError:
                _discard(part)
                raise
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(destination)
            _discard(part)
            return location
        except RepriseError as error:
            reasons.append(f"{_shown(location)}: {_reason(error, part)}")
        except OSError as error:
            _discard(part)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RepriseError(f"{destination}: no space left on the disk; free some and run the same command again") from error
            reasons.append(f"{_shown(location)}: {error.strerror} ({error.filename})")
    raise RepriseError(f"{facts.file_name}: no source worked ({'; '.join(reasons) or 'none is given'}); {remedy}")


def _location(mirror: str, file_name: str) -> Location:
    """Where the file `file_name` lies in a mirror, which can be a folder or the file itself."""
    url = urlsplit(str(mirror))
    if url.scheme in ("http", "https"):
        itself = PurePosixPath(url.path).suffix == PurePosixPath(file_name).suffix and not url.path.endswith("/")
        return str(mirror) if itself else f"{str(mirror).rstrip('/')}/{file_name}"
    if url.scheme != "file" and "://" in str(mirror):
        raise RepriseError(f"mirror {_shown(str(mirror))}: {url.scheme}: is not supported; give a folder, or a file:, http: or https: URL")
    path = Path(url2pathname(url.path)) if url.scheme == "file" else Path(mirror).expanduser()
    return path / file_name if path.is_dir() else path


def _shown(location: Location) -> str:
    """A location without the user name and password that a URL can hold."""
    if isinstance(location, Path):
        return str(location)
    url = urlsplit(location)
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))


def _bring(location: Location, part: Path, max_bytes: int) -> None:
    if isinstance(location, Path):
        if not location.is_file():
            raise RepriseError("no such file")
        _discard(part)
        shutil.copyfile(location, part)
    else:
        with _session() as session:
            _download(session, location, part, max_bytes)


# HTTP ---------------------------------------------------------------------------------------------------------------------------


class _BrokenError(Exception):
    """A transfer that ended early and is worth another attempt."""


def _state_of(part: Path) -> Path:
    """Beside a partial download, what its continuation must agree with: URL, validator (ETag or date), full size."""
    return part.with_name(part.name + ".json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_of(part).unlink(missing_ok=True)


def _session() -> requests.Session:
    retries = urllib3.Retry(
        total=4, connect=2, backoff_factor=BACKOFF_S, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False,
        respect_retry_after_header=False,
    )  # fmt: skip
    session = requests.Session()
    session.headers.update({"User-Agent": "reprise", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retries))
    return session


def _download(session: requests.Session, url: str, part: Path, max_bytes: int) -> None:
    """Complete `part` from `url`, going on after a broken transfer for as long as each attempt brings something new."""
    furthest, failures = 0, 0
    while True:
        try:
            return _transfer(session, url, part, max_bytes)
        except (_BrokenError, urllib3.exceptions.HTTPError) as error:
            reached = part.stat().st_size if part.exists() else 0
            failures = 0 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures >= ATTEMPTS:
                raise RepriseError(f"the transfer broke off again and again ({error})") from error
            time.sleep(BACKOFF_S * 2**failures)
        except RepriseError:
            _discard(part)
            raise
        except requests.HTTPError as error:
            raise RepriseError(f"HTTP {error.response.status_code} {error.response.reason}") from error
        except requests.Timeout as error:
            raise RepriseError("no answer in time") from error
        except requests.RequestException as error:
            raise RepriseError(f"no connection ({str(_innermost(error)).rpartition(': ')[2]})") from error


def _innermost(error: BaseException) -> BaseException:
    """The cause behind the wrappings of requests and urllib3."""
    inner = getattr(error, "reason", None) or next((each for each in error.args if isinstance(each, BaseException)), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


def _transfer(session: requests.Session, url: str, part: Path, max_bytes: int) -> None:
    """One request: the rest of `part` where it belongs to `url` and the server can resume, else everything."""
    state = read_json(_state_of(part)) if part.exists() and _state_of(part).exists() else {}
    start = part.stat().st_size if state.get("url") == _shown(url) and state.get("size") else 0
    if start and start == state["size"]:
        return  # complete, but never verified
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and state.get("validator"):
        headers["If-Range"] = state["validator"]
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            _discard(part)
            raise _BrokenError("the server cannot resume")
        response.raise_for_status()
        size = _full_size(response, start)
        if response.status_code == requests.codes.partial_content:
            if size is None or size != state["size"]:
                _discard(part)
                raise _BrokenError("the server resumed another file")
        else:
            start = 0
            part.unlink(missing_ok=True)
            write_json(_state_of(part), {"url": _shown(url), "validator": _validator(response), "size": size})
        if (size or 0) > max_bytes:
            raise RepriseError(f"{size:,} bytes are far too many: not the file")
        received = start
        with part.open("ab") as file, progress(description=part.stem, total=size, initial=start, unit="B") as bar:
            # the bytes as they are sent: requests would unpack an archive that a server labels Content-Encoding: gzip
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                if received > max_bytes:
                    raise RepriseError(f"more than {max_bytes:,} bytes are far too many: not the file")
    if size is not None and received != size:
        raise _BrokenError(f"{received:,} of {size:,} bytes")


def _full_size(response: requests.Response, start: int) -> int | None:
    """Size of the whole file in bytes; None when the server does not say, or resumes at another byte than `start`."""
    if response.status_code == requests.codes.partial_content:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        return int(found[2]) if found and int(found[1]) == start else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    """What identifies this version of the file for If-Range: a strong ETag, else the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
