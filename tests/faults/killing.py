"""reprise in processes that die at a given moment: `python killing.py` takes one call a line from standard
input, and answers with its end.

A call has `folder`, `arguments` of reprise, `log`, and perhaps `kill`: `who` dies, and at which `event`: what
changes files in the call's folder (`EVENTS`), as Python's audit hooks tell it. This process has imported all
modules; a call is a fork of it, so that it takes no longer than its work.
"""

import contextlib
import ctypes
import importlib
import json
import os
import re
import resource
import signal
import sys
from dataclasses import replace
from functools import partial
from hashlib import md5
from pathlib import Path

from reprise.cli import main
from reprise.data.catalog import OWN_DATASETS
from reprise.training import engine

EVENTS = {
    "open": 0,
    "os.rename": 1,
    "os.remove": 0,
    "os.mkdir": 0,
    "os.link": 1,
    "os.symlink": 1,
    "os.truncate": 0,
}
"""Event → which of its arguments is the path."""
PR_SET_CHILD_SUBREAPER = 36


def become_mortal(folder: Path, who: str, event: str, died: Path) -> None:
    """Die at an event: `before rename PATTERN`, `after rename PATTERN 2` (the second), `event 7` (of all), or
    once a file has 1000 bytes: `byte 1000`. With `count`, `died` gets a line for each event, and nobody dies.

    `who` is `all`, the process and the one that supervises it, as when the power fails; or `child`, the
    process alone. It happens once.
    """
    words = event.split()
    if words[0] == "byte":  # the system ends who writes further, with SIGXFSZ
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(words[1]),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        return
    seen, armed = 0, words[0] == "event"

    def die() -> None:
        if not died.exists():
            died.touch()
            os.kill(0 if who == "all" else os.getpid(), signal.SIGKILL)

    def hook(name: str, arguments: tuple) -> None:
        nonlocal seen, armed
        if name not in EVENTS:
            return
        path = arguments[EVENTS[name]]
        if isinstance(path, int) or (name == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        path = str(folder / os.fsdecode(path))
        if not path.startswith(f"{folder}/"):
            return
        if words[0] == "count":
            with died.open("a") as file:
                print(name, os.path.relpath(path, folder), file=file)
            return
        if armed and words[0] == "after":
            die()
        if words[0] == "event":
            seen += 1
            if seen == int(words[1]):
                die()
        elif name == (words[1] if words[1] == "open" else f"os.{words[1]}") and re.search(
            words[2], os.path.relpath(path, folder)
        ):
            seen += 1
            if seen == int((words[3:] or ["1"])[0]):
                armed = True
                if words[0] == "before":
                    die()

    sys.addaudithook(hook)


def call(
    folder: str, arguments: list[str], log: str, supervised: bool = False, kill: dict[str, str] | None = None
) -> None:
    """Be `python -m reprise <arguments>` in `folder`, and exit."""
    os.setsid()
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number in (1, 2):
        os.dup2(output, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    if kill:
        become_mortal(Path(folder), **kill, died=Path(f"{log}.died"))
    sys.argv = ["reprise", *arguments]
    status = 0
    try:
        main(None if supervised else arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    os._exit(status)


def prepare() -> None:
    """Checkpoints after every epoch, and small files in the place of official archives."""
    engine.train = partial(engine.train, checkpoint_seconds=0)
    workers = importlib.import_module("reprise.search.workers")
    workers.train, workers.STALE_LOCK_S = engine.train, 1
    OWN_DATASETS["cifar100"] = replace(
        OWN_DATASETS["cifar100"], md5=md5(b"archive" * 1000).hexdigest(), urls=()
    )
    for room in (
        "evaluation.exchange",
        "evaluation.submission",
        "publishing.figures",
        "publishing.statements",
        "publishing.tables",
    ):
        importlib.import_module(f"reprise.{room}")


def adopt() -> None:
    """Become the parent of processes whose own is dead, so that they are waited for as well."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            call(**json.loads(line))
        status = os.waitpid(child, 0)[1]
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    prepare()
    adopt()
    print("ready", flush=True)
    serve()
