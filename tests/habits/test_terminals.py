"""Output that goes nowhere, or to a terminal that can show little: no verb ends with a traceback."""

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from project import ROOT

from reprise.progress import log, progress, say
from verbs import OPTIONS

DRIVER = """
import io, json, os, sys
import reprise.cli.help, reprise.reports.report, reprise.publishing.summary
state, commands, errors, found = json.loads(sys.argv[1])
statuses = []
for words in commands:
    child = os.fork()
    if not child:
        break
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if child:
    with open(found, "w") as file:
        json.dump(statuses, file)
    sys.exit()

def give(number, file):
    os.dup2(file, number)

give(2, os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
if state == "head":
    reading, writing = os.pipe()
    os.close(reading)
    give(1, writing)
elif state.startswith("full"):
    give(1, os.open("/dev/full", os.O_WRONLY))
    if state == "full, both":
        give(2, os.open("/dev/full", os.O_WRONLY))
else:
    give(1, os.open(os.devnull, os.O_WRONLY))
closed = {"closed": [1], "closed, all": [0, 1, 2], "closed, stdin": [0]}.get(state, [])
for number in closed:
    os.close(number)
encoding = state.partition("encoding ")[2] or "utf-8"
sys.stdin = None if 0 in closed else sys.stdin
sys.stdout = None if 1 in closed else io.TextIOWrapper(io.FileIO(1, "w"), encoding=encoding)
sys.stderr = None if 2 in closed else io.TextIOWrapper(io.FileIO(2, "w"), encoding, "backslashreplace")
sys.argv = ["reprise", *words]
reprise.cli.main()
"""
"""Runs each command in a child of its own, as `python -m reprise` would, without importing anew."""
STATES = [
    "head", "full", "full, both", "closed", "closed, all", "closed, stdin", "encoding ascii",
    "encoding latin-1",
]  # fmt: skip
MISTAKES = {
    "schema": ["/dev/null/x"],
    "data add": ["absent.tar.gz"],
    "data statistics": ["cifar10"],
    "data fetch": ["cifar"],
    "data stand-in": ["cifar"],
    "data synthesize": ["cifar"],
    "data fetch-weights": ["vgg"],
    "data decode": ["cifar10"],
    "study show": ["é", "b"],
    "study work": ["é", "b"],
    "submission": ["é", "a", "b.csv", "--run", "c"],
    "verify": ["cache", "--report", "é"],
    "figure": ["é", "b"],
    "table": ["é", "b"],
    "samples": ["é", "b"],
    "layers": ["é", "b"],
}
"""Verb → words that it refuses; `é` where none stand here."""
LATE = ("import", "export", "publish", "check")
"""Verbs that find such a mistake once torch is there, which takes seconds."""
REPORTS = ["--reports", str(ROOT / "workflow/reports")]


def run(folder: Path, state: str, commands: list[list[str]]) -> tuple[list[int], str]:
    """The exit statuses of commands, and what all of them said on standard error."""
    errors, found = folder / "errors", folder / "statuses"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    given = json.dumps([state, commands, str(errors), str(found)])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, given], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    said = errors.read_text(encoding="utf-8") if errors.exists() else ""
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return json.loads(found.read_text()), said


@pytest.mark.parametrize("state", STATES)
def test_help_and_version(tmp_path: Path, state: str):
    commands = [["--help"], ["data", "--help"], ["train", "--help"], ["--version"]]
    statuses, said = run(tmp_path, state, commands)
    assert set(statuses) == {1 if state.startswith("full") else 0}
    assert said.count("\n") == (len(commands) if state == "full" else 0)
    assert said.count("No space left on device") == said.count("\n")


def test_a_mistake_with_every_verb_is_one_line_in_ascii(tmp_path: Path):
    assert MISTAKES.keys() <= OPTIONS.keys()
    commands = []
    for verb, options in OPTIONS.items():
        words = [*verb.split(), *MISTAKES.get(verb, ["é"]), *(REPORTS if "--reports" in options else [])]
        commands.append([*verb.split(), "--é"] if verb in LATE else words)
    statuses, said = run(tmp_path, "encoding ascii", commands)
    expected = [2 if words[-1] == "--é" else 1 for words in commands]
    assert statuses == expected, list(zip(commands, statuses, strict=True))
    lines = said.splitlines()
    assert len(lines) == len(commands), said
    assert all(line.startswith("reprise: ") for line in lines)


@pytest.mark.parametrize("state", ["head", "full", "closed, all"])
def test_listings_and_what_is_written(tmp_path: Path, state: str):
    """A reader that has seen enough is no failure; what is written is whole wherever the lines go."""
    slug = "cinic10_resnet"
    commands = [
        ["runs", slug, *REPORTS],
        ["summary", slug, *REPORTS],
        ["statements", slug, *REPORTS],
        ["schema", "schema.json"],
        ["data", "synthesize", "cifar10", "--train", "10", "--test", "10", "--results", "ü"],
    ]
    statuses, said = run(tmp_path, state, commands)
    lists, quiet, says = statuses[:2], statuses[2], statuses[3:]
    assert quiet == 0, "it prints nothing, so nothing is lost"
    assert set(lists) == {1 if state.startswith("full") else 0}
    assert set(says) == {1 if state.startswith("full") or state == "head" else 0}
    assert said.count("\n") == {"full": 4, "head": 2}.get(state, 0), said
    assert len((tmp_path / f"results/statements/{slug}.json").read_text()) > 1000
    assert json.loads((tmp_path / "schema.json").read_text())
    assert json.loads((tmp_path / "ü/demo/data/synthetic/cifar10.json").read_text())["name"] == "cifar10"


@pytest.mark.parametrize("columns", [0, 1, 2, 20])
@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb", "NO_COLOR": "1"}, {"COLUMNS": "many"}], ids=str)
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_bars_and_lines_on_a_terminal_that_is_small(
    monkeypatch: pytest.MonkeyPatch, columns: int, environment: dict[str, str], encoding: str
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    reading, writing = os.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 5, columns, 0, 0))
    os.set_blocking(reading, False)
    with open(writing, "w", encoding=encoding, errors="backslashreplace") as terminal:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", terminal)
        for _ in progress(range(3), description="é→ training a run", total=3):
            say("a line about ü")
            log("for logs alone")
        terminal.flush()
        shown = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                shown += os.read(reading, 100_000)
    os.close(reading)
    assert shown.count(b"reprise: a line about") == 3
    assert b"for logs alone" not in shown
