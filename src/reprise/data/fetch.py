"""Bring archives and weights into place: mirrors first, then the official addresses; nothing unverified gets
its final name.
"""

import contextlib
import errno
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from reprise.data.archives import (
    LacksError,
    Source,
    file_hash,
    identify,
    member_md5,
    names_read,
    read_archive,
    scan,
    sidecar_of,
)
from reprise.data.catalog import DatasetFacts, WeightsFacts, all_files, dataset_facts, weights_facts
from reprise.data.tar import CHUNK, GET_AGAIN, damage
from reprise.data.wrappings import SUFFIXES, is_archive, is_gzip, pack
from reprise.download import discard, download, own_part, parts_of, shown
from reprise.errors import RepriseError, file_error, printable
from reprise.files import alone, atomic, check_regular
from reprise.folders import listing
from reprise.progress import say

Facts = DatasetFacts | WeightsFacts
Location = Path | str  # a local file, or an http(s) URL
Bring = Callable[[Location], None]
"""Brings a good file from the location to its place; raises `RepriseError` where there is none."""

DEEPEST, MOST_INSIDE = 2, 8
"""Archives inside each other, as Kaggle packs an archive, or a folder with one, as a zip; and those that are
tried in one.
"""
WRAPPED = 4
"""What is wrapped may take so many times `max_bytes` on disk: Kaggle has the archive and its files in one
zip.
"""


def fetch_dataset(
    name: str, destination: Path, mirrors: Sequence[str] = (), *, accept: Source = "real"
) -> Path:
    """Bring the archive of data set `name` to the file `destination` and return that path.

    A good file that is already there is kept, without a look at the sources: the `mirrors` in order (folders,
    files, `file:` or http(s) URLs; the archive's name is added where one is a folder), then the official
    addresses. An archive passes when its MD5 is the official one, or when its content is what the catalog
    knows of it, whatever it is wrapped in: see `wrappings`. What is no .tar.gz is made one.

    With `accept` `synthetic` or `stand-in` only an archive passes that `write_synthetic` or `write_stand_in`
    made. It is taken from local mirrors, and its sidecar is brought along.

    Raises `RepriseError` when no source gives a file that passes (naming every source and its reason), or the
    disk is full.
    """
    facts = dataset_facts(name)
    if accept == "real":
        return _fetch_real(facts, destination, mirrors)
    local = [location for mirror in mirrors if isinstance(location := _location(mirror, facts), Path)]

    def bring(location: Location) -> None:
        archive = Path(location)
        _check_size(facts, archive)
        with atomic(destination) as partial:
            shutil.copyfile(archive, partial)
            try:
                verify_made(facts, partial, sidecar_of(archive), accept)
            except RepriseError as error:
                raise RepriseError(_gist(error, partial)) from error.__cause__
        with atomic(sidecar_of(destination)) as partial:
            shutil.copyfile(sidecar_of(archive), partial)

    def is_there() -> bool:
        """It is whole, and what a mirror has; without a mirror that has it, it is kept."""
        own = sidecar_of(destination)
        mirrored = [sidecar_of(archive) for archive in local if archive.exists()]
        return all(
            any(
                _succeeds(functools.partial(verify_made, facts, destination, each, accept))
                for each in sidecars
            )
            for sidecars in (mirrored or [own], [own])
        )

    if is_there():
        _remove_leftovers(destination)
        return destination
    remedy = f"make the {accept} archive first, in the folder that you give as the mirror"
    _fetch(facts, destination, local, bring, is_there, remedy)
    return destination


def fetch_weights(name: str, destination: Path, mirrors: Sequence[str] = ()) -> Path:
    """Bring the pretrained weights `name` to the file `destination`; sources and errors as in
    `fetch_dataset`.

    The file passes when its SHA-256 begins with the digits in its official name.
    """
    return _fetch_real(weights_facts(name), destination, mirrors)


def add_archive(path: Path, data_dir: Path) -> Path:
    """Verify a file or a folder that the user already has and copy it to where the project looks for it;
    return that place.

    It is recognised by its name or else by its content, whatever that is wrapped in; it is left as it is.
    Anything else is a `RepriseError`.
    """
    if not path.exists():
        raise RepriseError(f"{path}: no such file; name an archive that you have")
    if not path.is_dir():
        check_regular(path)
        path.open("rb").close()  # whether it may be read
    known: list[Facts] = [facts for facts in all_files() if isinstance(facts, DatasetFacts) or path.is_file()]
    likely = [facts for facts in known if isinstance(facts, DatasetFacts) and _is_called(facts, path.name)]
    candidates = [facts for facts in known if facts.file_name == path.name] or [
        *likely,
        *(facts for facts in known if facts not in likely),
    ]
    reasons: dict[str, RepriseError] = {}
    with _scratch() as scratch:
        for facts in candidates:
            folder = "archives" if isinstance(facts, DatasetFacts) else "weights"
            destination = data_dir / folder / facts.file_name
            try:
                found = _find(facts, path, scratch)
            except RepriseError as error:
                if _is_full(error):
                    raise
                reasons[facts.name] = error
                continue
            if not _is_good(facts, destination):
                _place(facts, found, destination)
            return destination
    # the data set that it is meant to be: it is called so, or it has what that has, but not as it should be
    other = [facts for facts in candidates if not isinstance(reasons[facts.name], LacksError)]
    datasets = [facts for facts in other if isinstance(facts, DatasetFacts)]
    meant = candidates if len(candidates) == 1 else likely or (datasets if len(datasets) == 1 else [])
    if not meant:
        why = _gist(reasons[candidates[0].name], path)
        names = ", ".join(facts.file_name for facts in known)
        raise RepriseError(f"{path}: none of {names} ({why}); get an official file{_how_to_pack()}")
    facts = meant[0]
    difference = _difference(facts, path)
    why = (
        f"not the official {facts.file_name}: {difference}"
        if difference
        else _gist(reasons[facts.name], path)
    )
    packing = _how_to_pack(facts) if isinstance(reasons[facts.name], LacksError) else ""
    raise RepriseError(
        f"{path}: {why}; get the official file{f' from {facts.urls[0]}' if facts.urls else ''}{packing}"
    )


def _how_to_pack(facts: Facts | None = None) -> str:
    """What to do with the files of a data set whose wrapping is not known, as the end of a line."""
    parts = getattr(facts.layout, "parts", ()) if isinstance(facts, DatasetFacts) else ()
    what = f"{', '.join(parts[:-1])} and {parts[-1]} side by side" if parts else "its files as they are"
    return f", or put {what} into a folder, .tar.gz or .zip"


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


# ---- verification ----


def verify(facts: Facts, file: Path) -> None:
    """Raise `RepriseError`, with what was expected and what was found, unless `file` is the real thing: of a
    data set, an archive or a folder in any wrapping.
    """
    if isinstance(facts, WeightsFacts):
        _check_size(facts, file)
        sha256 = file_hash(file, "sha256")
        if not sha256.startswith(facts.sha256_prefix):
            raise RepriseError(f"{file}: SHA-256 is {sha256}, expected {facts.sha256_prefix}…; {GET_AGAIN}")
        return
    md5 = ""
    if file.is_dir():
        what = "not the official files"
    else:
        _check_size(facts, file, 1 if is_gzip(file) else WRAPPED)
        md5 = file_hash(file, "md5")
        if md5 == facts.md5:
            return
        what = f"neither the official file (md5 is {md5}, expected {facts.md5}) nor a repacked one"
    if not facts.content_is_known:
        kind = RepriseError if _has_parts(facts, file) else LacksError
        difference = f": md5 is {md5}, expected {facts.md5}" if md5 else ""
        raise kind(
            f"{file}: not the official file{difference}; {facts.name} is recognised by its archive "
            f"alone, because a repacked or unpacked one cannot be told from an altered one; {GET_AGAIN}"
        )
    try:
        digests, members = ({}, member_md5(facts, file)) if facts.member_md5 else _content(facts, file)
        identify(facts, file, digests, members)
    except RepriseError as error:
        kind = LacksError if isinstance(error, LacksError) else RepriseError
        raise kind(f"{file}: {what} ({_gist(error, file)}); {GET_AGAIN}") from error


def _has_parts(facts: DatasetFacts, file: Path) -> bool:
    """Whether an archive or a folder looks like the data set, by the names in it."""
    names = [f"/{name}" for name in scan(file, facts.max_bytes, lambda name, file, size: None)]
    return all(any(f"/{part}" in name for name in names) for part in getattr(facts.layout, "parts", ()))


def _is_good(facts: Facts, file: Path) -> bool:
    return _succeeds(lambda: verify(facts, file))


def _succeeds(check: Callable[[], None]) -> bool:
    try:
        check()
    except RepriseError:
        return False
    return True


def _check_size(facts: Facts, file: Path, times: int = 1) -> None:
    """Raise `RepriseError` for what is no file, or one so large that it need not be read."""
    try:
        size = check_regular(file)
    except FileNotFoundError:
        raise RepriseError("no such file") from None
    except OSError as error:
        raise RepriseError(file_error(error, file)) from None
    if size > times * facts.max_bytes:
        raise RepriseError(f"{file}: {size:,} bytes are far too many for {facts.file_name}; {GET_AGAIN}")


def verify_made(facts: DatasetFacts, file: Path, sidecar: Path, accept: Source) -> None:
    """Raise `RepriseError` unless `file` is what its sidecar says, and that is what is accepted."""
    source = identify(facts, file, *_content(facts, file, file.parent), sidecar)
    if source != accept:
        what = f"the real {facts.name}" if source == "real" else f"a {source} archive"
        raise RepriseError(
            f"{file}: {what} where a {accept} one is expected; make that one first, or use another scale"
        )


def _content(
    facts: DatasetFacts, file: Path, scratch: Path | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Content digest of each split; MD5 of each member, where the catalog knows these."""
    splits = read_archive(facts, file, scratch)
    members = {member: md5 for raw in splits.values() for member, md5 in raw.member_md5.items()}
    return {split: raw.digest() for split, raw in splits.items()}, members


def _gist(error: Exception, file: Path) -> str:
    """The gist of an error about `file`, to stand inside another."""
    return str(error).removeprefix(f"{printable(str(file))}: ").partition(f"; {GET_AGAIN}")[0]


# ---- what is wrapped ----


@dataclass(frozen=True)
class _Found:
    """A good archive or folder, and which of its files make the data set; None where it is to be taken as it
    is.
    """

    path: Path
    names: frozenset[str] | None


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="reprise-") as folder:
        yield Path(folder)


def _find(facts: Facts, path: Path, scratch: Path, deep: int = DEEPEST) -> _Found:
    """What `verify` accepts: `path`, or an archive inside it, which is unpacked into the folder `scratch`.

    The `RepriseError` is that of `path`; or, where it lacks the data set, of the first archive inside it.
    """
    try:
        with names_read() as names:
            verify(facts, path)
        return _Found(path, None if is_gzip(path) or not names else frozenset(names))
    except RepriseError as error:
        reason = error
    for name in _archives_in(facts, path) if deep else ():
        inner = scratch / str(deep) / PurePosixPath(name).name[-100:]
        try:
            _copy_out(facts, path, name, inner)
            return _find(facts, inner, scratch, deep - 1)
        except RepriseError as error:
            if _is_full(error):
                raise
            if isinstance(reason, LacksError):
                reason = RepriseError(f"{path}: {name}: {_gist(error, inner)}; {GET_AGAIN}")
        inner.unlink(missing_ok=True)
    raise reason


def _archives_in(facts: Facts, path: Path) -> list[str]:
    """Names of the files that are archives, the official name first; none where `path` is no archive."""
    if isinstance(facts, WeightsFacts):
        return []
    try:
        names = scan(path, facts.max_bytes, lambda name, file, size: None)
    except RepriseError:
        return []
    found = [name for name in names if is_archive(name)]
    return sorted(found, key=lambda name: PurePosixPath(name).name != facts.file_name)[:MOST_INSIDE]


def _copy_out(facts: Facts, path: Path, wanted: str, out: Path) -> None:
    """Write the file `wanted` of an archive or folder to `out`."""

    def visit(name: str, file: BinaryIO, size: int) -> None:
        if name != wanted:
            return
        out.parent.mkdir(exist_ok=True)
        with out.open("wb") as opened:
            while block := file.read(CHUNK):
                try:
                    opened.write(block)
                    opened.flush()
                except OSError as error:
                    why = f"no room to unpack {wanted} ({error.strerror}); set TMPDIR to a larger disk"
                    raise RepriseError(f"{out.parent}: {why}") from error

    scan(path, facts.max_bytes, visit)


def _place(facts: Facts, found: _Found, destination: Path) -> None:
    """Copy what was found to `destination`, or pack its files anew, and verify that."""
    with atomic(destination) as partial:
        if found.names is None:
            shutil.copyfile(found.path, partial)
        else:
            with damage(found.path, GET_AGAIN):
                pack(found.path, found.names, facts.max_bytes, partial)
        verify(facts, partial)


def _is_full(error: Exception) -> bool:
    """Whether it is a full disk that is to blame."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)


# ---- sources ----


def _fetch_real(facts: Facts, destination: Path, mirrors: Sequence[str]) -> Path:
    locations = [location for mirror in mirrors for location in _locations(mirror, facts)]
    if _is_good(facts, destination):
        _remove_leftovers(destination)
        return destination
    remedy = (
        f"get the file another way and run `python -m reprise data add {facts.file_name}`, or set "
        "`mirror` to a folder or URL that holds it"
    )

    def bring(location: Location) -> None:
        with _scratch() as scratch:
            if isinstance(location, Path):
                if not location.exists():
                    raise RepriseError("no such file")
                _place(facts, _find(facts, location, scratch), destination)
            else:
                _bring_from_server(facts, location, destination, scratch)

    # what is absent or bad is replaced once a good file has arrived
    _fetch(facts, destination, [*locations, *facts.urls], bring, lambda: _is_good(facts, destination), remedy)
    return destination


def _bring_from_server(facts: Facts, url: str, destination: Path, scratch: Path) -> None:
    with own_part(destination) as part:
        try:
            if download(url, part, facts.max_bytes) and not _is_good(facts, part):
                discard(part)  # what an earlier call had left is damaged: all of it, then
                download(url, part, facts.max_bytes)
        except RepriseError:
            raise  # what is there may be gone on with
        except OSError:  # the disk
            discard(part)
            raise
        try:
            found = _find(facts, part, scratch)
            if found == _Found(part, None):
                with part.open("rb") as written:
                    os.fsync(written.fileno())
                part.replace(destination)
            else:
                _place(facts, found, destination)
        except (RepriseError, OSError) as error:
            discard(part)
            if isinstance(error, RepriseError) and not _is_full(error):
                raise RepriseError(_gist(error, part)) from None
            raise
        discard(part)
    _remove_parts(destination)


def _fetch(
    facts: Facts,
    destination: Path,
    locations: Sequence[Location],
    bring: Bring,
    is_there: Callable[[], bool],
    remedy: str,
) -> None:
    """Bring the first of `locations` that has a good file to `destination`.

    Of several processes with one `destination` one fetches, and the others wait for it.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _alone(destination) as waited:
        if waited and is_there():
            return
        reasons = []
        for location in locations:
            try:
                bring(location)
                return
            except RepriseError as error:
                if _is_full(error):
                    raise
                reasons.append(f"{_shown(location)}: {_gist(error, Path(location))}")
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise RepriseError(
                        f"{destination}: no space left on the disk; free some and run the same command again"
                    ) from error
                reasons.append(f"{_shown(location)}: {error.strerror} ({error.filename})")
        raise RepriseError(
            f"{facts.file_name}: no source worked ({'; '.join(reasons) or 'none is given'}); {remedy}"
        )


def _alone(destination: Path) -> contextlib.AbstractContextManager[bool]:
    return alone(
        destination.with_name(f".{destination.name}.lock"),
        lambda: say(f"{destination}: another process is fetching it; waiting"),
    )


def _remove_leftovers(destination: Path) -> None:
    """Remove what a process that was killed when it had brought `destination` may have left beside it."""
    with contextlib.suppress(OSError):
        lock = destination.with_name(f".{destination.name}.lock")
        if lock.exists() or parts_of(destination):
            with _alone(destination):
                _remove_parts(destination)


def _remove_parts(destination: Path) -> None:
    for part in parts_of(destination):
        with contextlib.suppress(OSError):  # another user's
            discard(part)


def _locations(mirror: str, facts: Facts) -> list[Location]:
    """Where the file of `facts` may lie in a mirror, which can be a folder or the file itself.

    In a folder it has its official name, or is what that name says in another wrapping; or the folder is the
    unpacked archive itself.
    """
    place = _parse(mirror, facts)
    if isinstance(place, str) or not place.is_dir():
        return [place]
    official = place / facts.file_name
    if isinstance(facts, WeightsFacts):
        return [official]
    parts = getattr(facts.layout, "parts", ())
    found = [place] if parts and all((place / part).exists() for part in parts) else []
    with contextlib.suppress(OSError):  # a folder that may not be listed can still hold the file
        found += [
            path
            for path in listing(place)
            if path != official
            and (_KAGGLE.fullmatch(path.name) or _is_called(facts, path.name))
            and (is_archive(path.name) or path.is_dir())
        ]
    return [official, *found] if official.exists() or not found else [*found]


_KAGGLE = re.compile(r"archive( ?\([0-9]+\))?\.zip")
"""What a browser calls Kaggle's downloads."""


def _is_called(facts: DatasetFacts, name: str) -> bool:
    """Whether a file or folder is called like the data set, as cifar10.zip and cifar-10-batches-py are."""
    said, plain = (re.sub("[^a-z0-9]", "", text.lower()) for text in (facts.name, name))
    return bool(re.match(rf"{said}(?![0-9])", plain)) if said else False


def _location(mirror: str, facts: Facts) -> Location:
    """The file of `facts` under its official name in a mirror, or the mirror, if that is a file."""
    place = _parse(mirror, facts)
    return place / facts.file_name if isinstance(place, Path) and place.is_dir() else place


def _parse(mirror: str, facts: Facts) -> Location:
    """A mirror as a path, or as the URL of the file."""
    try:
        url = urlsplit(str(mirror))
        if url.scheme in ("http", "https"):
            wrapped = SUFFIXES if isinstance(facts, DatasetFacts) else ()
            if url.path.endswith((PurePosixPath(facts.file_name).suffix, *wrapped)):
                return str(mirror)
            return f"{str(mirror).rstrip('/')}/{facts.file_name}"
        if url.scheme != "file" and "://" in str(mirror):
            raise RepriseError(
                f"mirror {_shown(str(mirror))}: {url.scheme}: is not supported; give a folder, or a file:, "
                "http: or https: URL"
            )
        path = Path(url2pathname(url.path)) if url.scheme == "file" else Path(mirror).expanduser()
        if "\0" in str(path):
            raise ValueError("a character that no path has")
    except (ValueError, RuntimeError) as error:  # of a URL, of a home that is not known
        raise RepriseError(
            f"mirror {mirror}: neither a path nor a URL ({error}); give a folder, or a file:, http: or "
            "https: URL"
        ) from None
    return path


def _shown(location: Location) -> str:
    return str(location) if isinstance(location, Path) else shown(location)
