"""Bring archives and weights into place: mirrors first, then the official addresses; nothing unverified gets
its final name.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from reprise.data.archives import Source, file_hash, identify, member_md5, read_archive, sidecar_of
from reprise.data.catalog import DatasetFacts, WeightsFacts, all_files, dataset_facts, weights_facts
from reprise.data.tar import GET_AGAIN
from reprise.download import discard, download, shown, state_of
from reprise.errors import RepriseError, file_error, printable
from reprise.files import alone, atomic, check_regular
from reprise.progress import say

Facts = DatasetFacts | WeightsFacts
Location = Path | str  # a local file, or an http(s) URL
Check = Callable[
    [Path, Location], None
]  # raises RepriseError when the file, brought from the location, is not what it should be


def fetch_dataset(
    name: str, destination: Path, mirrors: Sequence[str] = (), *, accept: Source = "real"
) -> Path:
    """Bring the archive of data set `name` to the file `destination` and return that path.

    A good file that is already there is kept, without a look at the sources: the `mirrors` in order (folders,
    files, `file:` or http(s) URLs; the archive's name is added where one is a folder), then the official
    addresses. An archive passes when its MD5 is the official one, or when its content is what the catalog
    knows of it (a repacked archive).

    With `accept` `synthetic` or `stand-in` only an archive passes that `write_synthetic` or `write_stand_in`
    made. It is taken from local mirrors, and its sidecar is brought along.

    Raises `RepriseError` when no source gives a file that passes (naming every source and its reason), or the
    disk is full.
    """
    facts = dataset_facts(name)
    locations = [_location(mirror, facts.file_name) for mirror in mirrors]
    if accept == "real":
        return _fetch_real(facts, destination, locations)
    local = [location for location in locations if isinstance(location, Path)]

    def check(file: Path, origin: Location) -> None:
        _verify_made(facts, file, sidecar_of(Path(origin)), accept)

    origin = _fetch(
        facts,
        destination,
        local,
        check,
        f"make the {accept} archive first, in a folder that is given as the mirror",
    )
    with atomic(sidecar_of(destination)) as partial:
        shutil.copyfile(sidecar_of(Path(origin)), partial)
    return destination


def fetch_weights(name: str, destination: Path, mirrors: Sequence[str] = ()) -> Path:
    """Bring the pretrained weights `name` to the file `destination`; sources and errors as in
    `fetch_dataset`.

    The file passes when its SHA-256 begins with the digits in its official name.
    """
    facts = weights_facts(name)
    return _fetch_real(facts, destination, [_location(mirror, facts.file_name) for mirror in mirrors])


def add_archive(path: Path, data_dir: Path) -> Path:
    """Verify a file that the user already has and copy it to where the project looks for it; return that
    place.

    The file is recognised by its name or else by its content; it is left as it is. Anything else is a
    `RepriseError`.
    """
    if not path.exists():
        raise RepriseError(f"{path}: no such file; name an archive that you have")
    check_regular(path)
    path.open("rb").close()  # whether it may be read
    known: list[Facts] = list(all_files())
    candidates = [facts for facts in known if facts.file_name == path.name] or known
    for facts in candidates:
        try:
            verify(facts, path)
        except RepriseError as error:
            reason = error
            continue
        destination = (
            data_dir / ("archives" if isinstance(facts, DatasetFacts) else "weights") / facts.file_name
        )
        if not _is_good(facts, destination):
            with atomic(destination) as partial:
                shutil.copyfile(path, partial)
        return destination
    if len(candidates) > 1:
        raise RepriseError(
            f"{path}: none of {', '.join(facts.file_name for facts in known)}; get an official file"
        )
    difference = _difference(facts, path)
    why = f"not the official {facts.file_name}: {difference}" if difference else _reason(reason, path)
    raise RepriseError(
        f"{path}: {why}; get the official file{f' from {facts.urls[0]}' if facts.urls else ''}"
    )


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
    """Raise `RepriseError`, with what was expected and what was found, unless `file` is the real thing."""
    _check_size(facts, file)
    if isinstance(facts, WeightsFacts):
        found = file_hash(file, "sha256")
        if not found.startswith(facts.sha256_prefix):
            raise RepriseError(f"{file}: SHA-256 is {found}, expected {facts.sha256_prefix}…; {GET_AGAIN}")
        return
    found = file_hash(file, "md5")
    if found == facts.md5:
        return
    if not facts.member_md5 and not all(split.digest for split in facts.splits.values()):
        raise RepriseError(
            f"{file}: not the official file: md5 is {found}, expected {facts.md5}; {GET_AGAIN}"
        )
    try:
        digests, members = ({}, member_md5(facts, file)) if facts.member_md5 else _content(facts, file)
        identify(facts, file, digests, members)
    except RepriseError as error:
        why = _reason(error, file)
        raise RepriseError(
            f"{file}: neither the official file (md5 is {found}, expected {facts.md5}) nor a repacked one "
            f"({why}); {GET_AGAIN}"
        ) from error


def _is_good(facts: Facts, file: Path) -> bool:
    try:
        verify(facts, file)
    except RepriseError:
        return False
    return True


def _check_size(facts: Facts, file: Path) -> None:
    """Raise `RepriseError` for what is no file, or one so large that it need not be read."""
    try:
        size = check_regular(file)
    except OSError as error:
        raise RepriseError(file_error(error, file)) from None
    if size > facts.max_bytes:
        raise RepriseError(f"{file}: {size:,} bytes are far too many for {facts.file_name}; {GET_AGAIN}")


def _verify_made(facts: DatasetFacts, file: Path, sidecar: Path, accept: Source) -> None:
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


def _reason(error: Exception, file: Path) -> str:
    """The gist of an error about `file`, to stand inside another."""
    return str(error).removeprefix(f"{printable(str(file))}: ").partition(f"; {GET_AGAIN}")[0]


# ---- sources ----


def _fetch_real(facts: Facts, destination: Path, mirrors: Sequence[Location]) -> Path:
    if _is_good(facts, destination):
        _remove_leftovers(destination)
        return destination
    remedy = (
        f"get the file another way and run `python -m reprise data add {facts.file_name}`, or set "
        "`mirror` to a folder or URL that holds it"
    )
    # what is absent or bad is replaced once a good file has arrived
    _fetch(facts, destination, [*mirrors, *facts.urls], lambda file, _: verify(facts, file), remedy)
    return destination


def _fetch(
    facts: Facts, destination: Path, locations: Sequence[Location], check: Check, remedy: str
) -> Location:
    """Bring the first of `locations` that passes `check` to `destination`, and return it.

    Of several processes with one `destination` one fetches, and the others wait for it.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _alone(destination) as waited:
        if waited and (there := _passed(destination, locations, check)) is not None:
            return there
        return _fetch_alone(facts, destination, locations, check, remedy)


def _alone(destination: Path) -> contextlib.AbstractContextManager[bool]:
    return alone(
        destination.with_name(f".{destination.name}.lock"),
        lambda: say(f"{destination}: another process fetches it; waiting"),
    )


def _remove_leftovers(destination: Path) -> None:
    """Remove what a process that was killed when it had brought `destination` may have left beside it."""
    part = destination.with_name(destination.name + ".part")
    if any(
        path.exists() for path in (part, state_of(part), destination.with_name(f".{destination.name}.lock"))
    ):
        with contextlib.suppress(OSError), _alone(destination):
            discard(part)


def _passed(destination: Path, locations: Sequence[Location], check: Check) -> Location | None:
    """The location under which `destination` passes as it is."""
    return next((location for location in locations if _passes(check, destination, location)), None)


def _fetch_alone(
    facts: Facts, destination: Path, locations: Sequence[Location], check: Check, remedy: str
) -> Location:
    part = destination.with_name(destination.name + ".part")
    reasons = []
    for location in locations:
        try:
            if _bring(location, part, facts.max_bytes) and not _passes(check, part, location):
                discard(part)  # what an earlier call had left is damaged: all of it, then
                _bring(location, part, facts.max_bytes)
            try:
                check(part, location)
            except RepriseError:
                discard(part)
                raise
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(destination)
            discard(part)
            return location
        except RepriseError as error:
            reasons.append(f"{_shown(location)}: {_reason(error, part)}")
        except OSError as error:
            discard(part)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RepriseError(
                    f"{destination}: no space left on the disk; free some and run the same command again"
                ) from error
            reasons.append(f"{_shown(location)}: {error.strerror} ({error.filename})")
    raise RepriseError(
        f"{facts.file_name}: no source worked ({'; '.join(reasons) or 'none is given'}); {remedy}"
    )


def _passes(check: Check, file: Path, location: Location) -> bool:
    try:
        check(file, location)
    except RepriseError:
        return False
    return True


def _location(mirror: str, file_name: str) -> Location:
    """Where the file `file_name` lies in a mirror, which can be a folder or the file itself."""
    try:
        url = urlsplit(str(mirror))
        if url.scheme in ("http", "https"):
            itself = PurePosixPath(url.path).suffix == PurePosixPath(
                file_name
            ).suffix and not url.path.endswith("/")
            return str(mirror) if itself else f"{str(mirror).rstrip('/')}/{file_name}"
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
    return path / file_name if path.is_dir() else path


def _shown(location: Location) -> str:
    return str(location) if isinstance(location, Path) else shown(location)


def _bring(location: Location, part: Path, max_bytes: int) -> bool:
    """Complete `part`; returns whether what was there before is a part of it."""
    if not isinstance(location, Path):
        return download(location, part, max_bytes)
    try:
        size = check_regular(location)
    except FileNotFoundError:
        raise RepriseError("no such file") from None
    if size > max_bytes:
        raise RepriseError(f"{size:,} bytes are far too many: not the file")
    discard(part)
    shutil.copyfile(location, part)
    return False
