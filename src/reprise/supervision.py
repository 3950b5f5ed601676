"""What is done about a process that a signal kills while it works.

A fault in a library ends its process at once (SIGSEGV, SIGABRT, SIGBUS …), and so does the system when memory
is full (SIGKILL): such a process says nothing any more. So `supervise` forks. The child works, and tells
through a pipe which run is in hand; the parent, which never imports torch, waits. When the child dies, the
parent says of what and with which run, notes it in the run's folder (`deaths.json`), and lets a new child go
on: with this run once more, and after `MOST_DEATHS` deaths without it. Only deaths that a parent has seen
count: a job that is killed as a whole, or loses its power, leaves no note.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from reprise.errors import RepriseError, file_error
from reprise.records import read_record, write_record

DEATHS = "deaths.json"
"""In a run's folder: `deaths`, each with its `signal`, `epoch` (from 1; 0: before them) of `epochs` and UTC
time `when`, and the `conditions` under which all happened.
"""
MOST_DEATHS = 2
"""A run whose process has died so many times, under the same conditions and without getting further, is not
tried again.
"""
MOST_GIVEN_UP = 10
"""When so many runs have been given up, there is little hope for the others: the parent stops."""

STOPS = (signal.SIGINT, signal.SIGTERM)
"""What ends the work in order, and is handed on to the child."""
DELIBERATE = (*STOPS, signal.SIGHUP, signal.SIGQUIT)
"""A child that ends by one of these did not die of its run."""
CAUSES = {
    "SIGKILL": "unless someone sent this signal, memory was full: give the job more, or run fewer at once",
    "SIGBUS": "a file in use was cut short, or a disk has failed",
}
OTHER_CAUSE = "a fault in torch or another library; the log says where"

PR_SET_PDEATHSIG = 1
_channel: int | None = None
"""In a supervised process the pipe to its parent."""
_began: float | None = None
"""When its parent began, before it."""


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM, by its `number`, in a supervised process that does not hold it back (see
    `training.session.interruptible`).
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


# ---- in the child ----


def began() -> float:
    """When the work began, by `time.monotonic`: that of all children of one parent; now where there is no
    parent.
    """
    return time.monotonic() if _began is None else _began


def tell(**news: Any) -> None:
    """Tell the parent, if there is one, what is in hand: a `run` (None: nothing), or what has changed of it.

    Of a run it understands `name`, what the report calls it; `doing`, such as `evaluated`; and where a death
    is to be noted, `folder`, `conditions`, `epochs`, and `epoch`, the number of those finished, once the
    first has begun.
    """
    if _channel is None:
        return
    try:
        os.write(_channel, json.dumps(news).encode() + b"\n")
    except BrokenPipeError:  # the parent was killed; Linux has ended us by now, other systems do not
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """What is done here is no run of the user's: the parent hears nothing of it."""
    global _channel
    channel, _channel = _channel, None
    try:
        yield
    finally:
        _channel = channel


def check_deaths(folder: Path, conditions: Mapping[str, Any], name: str = "") -> None:
    """Raise the `RepriseError` of a run, called `name`, whose process has died too often under these
    conditions.
    """
    deaths = _read(folder, conditions)
    if len(deaths) >= MOST_DEATHS:
        whose = f"{name}: " if name else ""
        what = (
            f"its process died {len(deaths)} times, the last time of {_manner(deaths[-1])}, and it is "
            "not tried again"
        )
        remedy = (
            f"use another torch, processor, device, memory or number of threads, or delete {folder / DEATHS}"
        )
        raise RepriseError(f"{whose}{what}; to try it again, {remedy}")


def forget_deaths(folder: Path) -> None:
    """The run is finished."""
    (folder / DEATHS).unlink(missing_ok=True)


def _become_child(parent: int, channel: int) -> None:
    global _channel
    _channel = channel
    for number in STOPS:
        signal.signal(number, _stop)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os.kill(os.getpid(), signal.SIGKILL)


def _stop(number: int, frame: FrameType | None) -> None:
    """Ctrl-C comes twice, from the terminal and from the parent: what is heard first counts."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


# ---- in the parent ----


def supervise(*, retry: bool) -> None:
    """Return in a child process; the parent stays here, and exits with the child's status when the work is
    done.

    SIGINT and SIGTERM are handed on; the parent's own death, even by SIGKILL, ends the child. With `retry` a
    new child goes on where one has died with a run in hand. Otherwise, and where nothing was in hand, the
    parent says so and exits with 128 + the signal's number. To be called before there are threads, and before
    CUDA is used.
    """
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # were it ignored, as some who start us have it, the child's status would be lost
    global _began
    _began = time.monotonic()
    me, child, given_up = os.getpid(), 0, 0
    stopped: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        if child:
            os.kill(child, number)

    while True:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        reading, writing = os.pipe()
        with _held_back():
            if stopped:
                _leave(stopped[0])
            child = os.fork()
            if not child:
                os.close(reading)
                _become_child(me, writing)
                return
            for number in STOPS:
                signal.signal(number, hand_on)
        os.close(writing)
        work = _listen(reading)
        with _held_back():
            _, status = os.waitpid(child, 0)
            child = 0
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            sys.exit(code)
        if stopped or -code in DELIBERATE:
            _leave(stopped[0] if stopped else -code)
        deaths = _lament(-code, work, retry=retry)
        given_up += deaths >= MOST_DEATHS
        if given_up == MOST_GIVEN_UP:
            _say(
                f"{given_up} runs were given up, so the cause is probably not in the runs; run the same "
                "command again to go on with the others"
            )
        if not deaths or given_up == MOST_GIVEN_UP:
            sys.exit(128 - code)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """SIGINT and SIGTERM wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(reading: int) -> dict[str, Any]:
    """What is in hand when the child has ended."""
    work: dict[str, Any] = {}
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):  # cut short by the death
                news = json.loads(line)
                work = news if "run" in news else work | news
    return work


def _leave(number: int) -> NoReturn:
    _say(f"stopped by {_signal(number)}; run the same command again")
    sys.exit(128 + number)


def _lament(number: int, work: Mapping[str, Any], *, retry: bool) -> int:
    """Say, in one line, what the child died of. The number of times that its run has died if a new child is
    to go on, else 0.
    """
    death = {
        "signal": _signal(number),
        "epoch": 0,
        "epochs": 0,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if not work.get("run"):
        _say(
            f"the process died of {_manner(death)}, outside any run; finished runs are kept, run the "
            "same command again"
        )
        return 0
    run = f"run {work['run']}" + (f" ({work['name']})" if work.get("name") else "")
    if not retry or "doing" in work:  # nothing is noted of what is no training
        kept = "what is finished is kept: run the same command again, or without this run (--runs, --only)"
        _say(f"{run}: the process died of {_manner(death)} while it was {work['doing']}; {kept}")
        return 0
    if "epoch" in work:
        death |= {"epoch": min(work["epoch"] + 1, work["epochs"]), "epochs": work["epochs"]}
    what = f"{run}: its process died of {_manner(death)}"
    try:
        count = _note(Path(work["folder"]), death, work["conditions"])
    except (RepriseError, OSError) as error:  # and what is not noted would be tried for ever
        raise RepriseError(
            f"{what}; {error if isinstance(error, RepriseError) else file_error(error)}"
        ) from None
    _say(
        f"{what}; "
        + ("it is tried once more" if count < MOST_DEATHS else "it is given up, the other runs go on")
    )
    return count


def _note(folder: Path, death: Mapping[str, Any], conditions: Mapping[str, Any]) -> int:
    """Add a death to those of the run; their number. Only those count that happened under the same
    conditions, and as far on.
    """
    deaths = _read(folder, conditions)
    if deaths and death["epoch"] > deaths[-1]["epoch"]:
        deaths = []
    deaths.append(dict(death))
    write_record(folder / DEATHS, {"conditions": conditions, "deaths": deaths})
    return len(deaths)


def _read(folder: Path, conditions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The deaths under these conditions; none where the file is absent or damaged: it is only there to
    count.
    """
    try:
        found = read_record(folder / DEATHS, "", legacy=True)
        deaths = [
            {
                **death,
                "signal": str(death["signal"]),
                "epoch": int(death["epoch"]),
                "epochs": int(death["epochs"]),
            }
            for death in found["deaths"]
        ]
        return deaths if found["conditions"] == conditions else []
    except (RepriseError, KeyError, TypeError, ValueError, OverflowError):
        return []


def _manner(death: Mapping[str, Any]) -> str:
    place = f" in epoch {death['epoch']}/{death['epochs']}" if death["epoch"] else ""
    cause = CAUSES.get(death["signal"], OTHER_CAUSE)
    return f"{death['signal']}{place} ({cause})"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the dead child has left its bar there
    print(f"reprise: {line}", file=sys.stderr, flush=True)
