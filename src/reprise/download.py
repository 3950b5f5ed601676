"""One file over HTTP, from a server that may do anything: stall, drip, send too much, lie about lengths, lead
astray.

Whatever it does ends in a `RepriseError` within a bounded time and with bounded memory, so that the next
source can be tried. A transfer that breaks off goes on where it stopped, also in a later call.

The protocol is that of requests and urllib3, and so are the attempts to connect (`urllib3.Retry`). Their
retries end with the answer's headers: neither they nor pooch resume a body, bound how slow, large or long an
answer may be, or leave the bodies of redirects unread.
"""

import contextlib
import http.client
import io
import os
import re
import secrets
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
import urllib3

from reprise.errors import RepriseError, gist, printable
from reprise.files import OWNER, is_forgotten, read_json, signature, write_json
from reprise.progress import progress

ATTEMPTS = 5
"""Transfers in a row that break off with less than `LEAST_GAIN` new bytes, after which a source is given
up.
"""
LEAST_GAIN = 1 << 16
BACKOFF_S = 0.5
"""The first pause before another attempt, in seconds; each further one is twice as long."""
TIMEOUT_S = (10.0, 60.0)
"""Longest wait for a connection and for the next bytes, in seconds."""
SLOWEST, WINDOW_S = 4096, 60.0
"""A source is given up when it has sent less than `SLOWEST` bytes a second for `WINDOW_S` seconds, or not
even its headers in that time. A modem's 56 kbit/s are 7,000 bytes a second.
"""
REDIRECTS = 10
CHUNK = 1 << 16
HEADER_BYTES = 1 << 20
"""Of headers at most, and of what comes with a file besides its content, in at most `LINES` lines of `LINE`
bytes.
"""
LINE, LINES = 1 << 16, 1 << 20
AGAIN = (429, 500, 502, 503, 504)
"""Status codes of a trouble that may pass."""


class _BrokenError(Exception):
    """A transfer that ended early and is worth another attempt."""


class _StatusError(_BrokenError):
    """So did its beginning."""


def download(
    url: str,
    part: Path,
    max_bytes: int,
    *,
    attempts: int | None = None,
    timeout_s: tuple[float, float] | None = None,
    show: bool = True,
) -> bool:
    """Complete the file `part` from `url`, going on after a broken transfer as long as each attempt brings
    something new. attempts and timeout_s: as `ATTEMPTS` and `TIMEOUT_S`, which they replace. show: a progress
    bar.

    Returns whether what an earlier call had left is a part of it. A file that was refused is removed, one
    that is not complete is kept.
    """
    kept = part.stat().st_size if _start(part, url, _state(part)) else 0
    furthest, failures = kept, 0
    with _session(max_bytes) as session:
        while True:
            try:
                resumed = _transfer(session, url, part, max_bytes, timeout_s or TIMEOUT_S, show)
                return bool(kept and resumed)
            except (
                _BrokenError,
                urllib3.exceptions.HTTPError,
                requests.Timeout,
                requests.ConnectionError,
            ) as error:
                if way := _wrong_way(url, error):
                    raise RepriseError(way) from error
                if isinstance(error, requests.RequestException) and not _may_pass(error):
                    raise RepriseError(
                        f"no connection ({gist(_innermost(error)).rpartition(': ')[2]})"
                    ) from error
                reached = part.stat().st_size if part.exists() else 0
                failures = 0 if reached - furthest >= LEAST_GAIN else failures + 1
                furthest = max(furthest, reached)
                if failures >= (attempts or ATTEMPTS):
                    raise RepriseError(_broken(error)) from error
                time.sleep(BACKOFF_S * 2 ** max(failures - 1, 0))
            except RepriseError:
                raise
            except OSError as error:
                if not isinstance(error, requests.RequestException):
                    raise  # the disk
                if way := _wrong_way(url, error):
                    raise RepriseError(way) from error
                raise RepriseError(f"an answer that makes no sense ({gist(error)})") from error
            except Exception as error:  # whatever headers make of requests, urllib3 and http.client
                if way := _wrong_way(url, error):
                    raise RepriseError(way) from error
                raise RepriseError(f"an answer that makes no sense ({gist(error)})") from error


@contextlib.contextmanager
def own_part(file: Path) -> Iterator[Path]:
    """A partial download of `file` that is this process's alone. What an interrupted download has left,
    `<file>.part`, is taken over, and what is left in the end becomes that again.

    Locks keep processes from fetching the same file twice, but some network file systems grant one lock to
    everybody; and two that write to one file both lose it.
    """
    own = file.with_name(f".{file.name}.{signature()}.{secrets.token_hex(4)}.part")
    for part in parts_of(file):
        if not own.exists():
            _move(part, own)
    try:
        yield own
    finally:
        if own.exists():
            _move(own, file.with_name(file.name + ".part"))
        else:
            discard(own)


def parts_of(file: Path) -> list[Path]:
    """What interrupted downloads of `file` have left, and those whose processes were killed."""
    left = file.with_name(file.name + ".part")
    found = {left: None} if left.exists() or state_of(left).exists() else {}
    name = re.compile(rf"(\.{re.escape(file.name)}\.{OWNER}\.[0-9a-f]+\.part)(?:\.json)?", re.ASCII)
    with contextlib.suppress(OSError):
        for entry in os.scandir(file.parent):
            owner = name.fullmatch(entry.name)
            if owner and is_forgotten(owner, entry.stat().st_mtime):
                found[file.with_name(owner[1])] = None
    return list(found)


def _move(part: Path, to: Path) -> None:
    """Rename a partial download and its state, unless another process was first or it is not ours to move."""
    with contextlib.suppress(OSError):
        state_of(part).rename(state_of(to))  # first: who has it has the part, which is worth nothing without
        part.rename(to)


def discard(part: Path) -> None:
    """Remove a partial download."""
    part.unlink(missing_ok=True)
    state_of(part).unlink(missing_ok=True)


def shown(url: str) -> str:
    """A URL without the user name and password that it can hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _name(url: str) -> str:
    """What a progress bar calls the file."""
    return printable(urlsplit(url).path.rpartition("/")[2])[:60]


def _broken(error: Exception) -> str:
    if isinstance(error, _StatusError):
        return str(error)
    cause = _innermost(error)
    if isinstance(cause, requests.Timeout | urllib3.exceptions.ReadTimeoutError):
        return "no answer in time"
    return f"the transfer broke off again and again ({gist(cause)})"


PROXY_ERRORS = (
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidSchema,  # SOCKS, without the package for it
    requests.exceptions.InvalidURL,
)


def _wrong_way(url: str, error: Exception) -> str | None:
    """What is wrong with the proxy that the environment names for `url`, if that is what failed."""
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if proxy is None or not isinstance(error, PROXY_ERRORS) or not _is_url(url):
        return None
    names = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    variables = [name for low in names for name in (low, low.upper()) if os.environ.get(name)]
    whose = f" of {variables[0]}" if variables else ""
    why = gist(_innermost(error)).rpartition(": ")[2]
    return f"cannot get through the proxy {shown(proxy)}{whose} ({why}); correct or unset that variable"


def _is_url(url: str) -> bool:
    try:
        requests.Request("GET", url).prepare()
    except requests.RequestException:
        return False
    return True


def _may_pass(error: requests.RequestException) -> bool:
    """Whether a connection was there, and broke."""
    never = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(error, requests.ReadTimeout) or not (
        isinstance(
            error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
        )
        or isinstance(_innermost(error), never)
    )


def _innermost(error: BaseException) -> BaseException:
    """The cause behind the wrappings of requests and urllib3."""
    inner = getattr(error, "reason", None) or next(
        (each for each in error.args if isinstance(each, BaseException)), None
    )
    return _innermost(inner) if isinstance(inner, BaseException) else error


# ---- one request ----


def _transfer(
    session: requests.Session,
    url: str,
    part: Path,
    max_bytes: int,
    timeout_s: tuple[float, float],
    show: bool,
) -> bool:
    """One request: the rest of `part` (then it returns true) where it belongs to `url` and the server can
    resume, else everything.
    """
    state = _state(part)
    start = _start(part, url, state)
    if start and start == state["size"]:
        return True  # complete, but never verified
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and state["validator"]:
        headers["If-Range"] = state["validator"]
    with _answer(session, url, headers, timeout_s) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            discard(part)
            raise _BrokenError("the server cannot resume")
        size = _full_size(response, start)
        if response.status_code == requests.codes.partial_content:
            if not start or size != state["size"]:
                discard(part)
                raise _BrokenError("the server resumed another file")
        else:
            start = 0
            discard(part)
            write_json(state_of(part), {"url": shown(url), "validator": _validator(response), "size": size})
        if (size or 0) > max_bytes:
            discard(part)
            raise RepriseError(f"{size:,} bytes are far too many: not the file")
        received = start
        with (
            part.open("ab") as file,
            progress(description=_name(url), total=size, initial=start, unit="B")
            if show
            else contextlib.nullcontext() as bar,
        ):
            # the bytes as they are sent: requests would unpack an archive that a server labels
            # Content-Encoding: gzip
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                received += len(chunk)
                if received > (max_bytes if size is None else size):
                    discard(part)
                    raise RepriseError(
                        f"more than {max_bytes if size is None else size:,} bytes are far too many: not the "
                        "file"
                    )
                file.write(chunk)
                if bar is not None:
                    bar.update(len(chunk))
    if size is not None and received != size:
        raise _BrokenError(f"{received:,} of {size:,} bytes")
    return start > 0


def _answer(
    session: requests.Session, url: str, headers: dict[str, str], timeout_s: tuple[float, float]
) -> requests.Response:
    """The answer at the end of all redirects, none of whose bodies is read."""
    for _ in range(REDIRECTS + 1):
        request = session.prepare_request(requests.Request("GET", url, headers=headers))
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        _check_certificates(url, settings["verify"])
        response = session.get_adapter(request.url or url).send(
            request,
            timeout=timeout_s,
            **settings,  # type: ignore[arg-type]  # merged, `verify` is not None
        )
        target = session.get_redirect_target(response)
        code, reason = response.status_code, str(response.reason or "")[:100]
        if target is None:
            if code in (
                requests.codes.ok,
                requests.codes.partial_content,
                requests.codes.requested_range_not_satisfiable,
            ):
                return response
            response.close()
            raise (_StatusError if code in AGAIN else RepriseError)(f"HTTP {code} {reason}".rstrip())
        response.close()
        url = urljoin(url, target)
        if urlsplit(url).scheme not in ("http", "https"):
            raise RepriseError(f"it leads to {url[:100]}, which is not an http or https URL")
    raise RepriseError(f"it redirects from one address to the next more than {REDIRECTS} times")


def _check_certificates(url: str, verify: object) -> None:
    """Raise a `RepriseError` for certificates that the environment names and that cannot be used."""
    if not isinstance(verify, str) or urlsplit(url).scheme != "https":
        return
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    name = next((name for name in names if os.environ.get(name) == verify), names[0])
    try:
        if not Path(verify).is_dir():
            ssl.create_default_context(cafile=verify)
    except OSError as error:  # ssl.SSLError is one
        reason = "no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise RepriseError(
            f"{name}={verify}: {reason}; correct that variable, or unset it to use the usual certificates"
        ) from None


def _full_size(response: requests.Response, start: int) -> int | None:
    """Size of the whole file in bytes; None when the server does not say, or resumes at another byte than
    `start`.
    """
    if response.status_code == requests.codes.partial_content:
        found = re.fullmatch(
            r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})", response.headers.get("Content-Range", "")
        )
        return int(found[2]) if found and int(found[1]) == start else None
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _validator(response: requests.Response) -> str | None:
    """What identifies this version of the file for If-Range: a strong ETag, else the date of its last
    change.
    """
    etag = response.headers.get("ETag", "")
    found = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    return found if found and _can_be_sent(found) else None


def _can_be_sent(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip() and len(value) <= 500


# ---- what is there already ----


def state_of(part: Path) -> Path:
    """Beside a partial download, what its continuation must agree with: URL, validator (ETag or date), full
    size.
    """
    return part.with_name(part.name + ".json")


def _state(part: Path) -> dict[str, Any]:
    """The state, or an empty one where there is none or it is damaged: then the download starts again."""
    try:
        match read_json(state_of(part)):
            case {"url": str(), "size": int() as size, "validator": None | str() as validator} as state:
                if size > 0 and (validator is None or _can_be_sent(validator)):
                    return state
    except (RepriseError, OSError):
        pass
    return {}


def _start(part: Path, url: str, state: dict[str, Any]) -> int:
    """Bytes of `part` that need not be asked for again."""
    if not part.is_file() or state.get("url") != shown(url) or part.stat().st_size > state["size"]:
        return 0
    return part.stat().st_size


# ---- pace ----


class _Paced(io.RawIOBase):
    """What a server sends, as long as that is neither too slow nor too much."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.allow(HEADER_BYTES)

    def allow(self, most: int) -> None:
        """Let so many bytes more through."""
        self._left = most
        self._begin()

    def _begin(self) -> None:
        self._began, self._count = time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._count += count or 0
        self._left -= count or 0
        if self._left < 0:
            raise RepriseError("it sends far too much: not the file")
        seconds = time.monotonic() - self._began
        if count and seconds >= WINDOW_S:
            if self._count < SLOWEST * seconds:
                raise RepriseError(f"it is too slow ({self._count:,} bytes in {seconds:.0f} s)")
            self._begin()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """Reads no line without end into memory, nor lines (headers, sizes of chunks, trailers) without end."""

    _lines = 0

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(LINE + 1 if size is None or size < 0 else size)
        self._lines += 1
        if len(line) > LINE or self._lines > LINES:
            raise RepriseError("it sends headers without end: not the file")
        return line


def _session(max_bytes: int) -> requests.Session:
    """A session whose every answer is paced, from the first byte of its headers on."""

    class Response(http.client.HTTPResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._pace = _Paced(self.fp.detach())
            self.fp = _Lines(self._pace)

        def begin(self) -> None:
            super().begin()
            self._pace.allow(max_bytes + HEADER_BYTES)

    def paced(pool: Any) -> Any:
        connection = type("Connection", (pool.ConnectionCls,), {"response_class": Response})
        return type("Pool", (pool,), {"ConnectionCls": connection})

    pools = {"http": paced(urllib3.HTTPConnectionPool), "https": paced(urllib3.HTTPSConnectionPool)}

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **options)
            manager.pool_classes_by_scheme = pools
            return manager

    retries = urllib3.Retry(
        total=2,
        connect=2,
        read=0,
        redirect=0,
        status=0,
        other=0,
        backoff_factor=BACKOFF_S,
        respect_retry_after_header=False,
    )
    session = requests.Session()
    session.headers.update({"User-Agent": "reprise", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(max_retries=retries))
    return session
