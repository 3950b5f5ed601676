"""Files that appear whole or not at all, and what killed processes leave."""

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reprise import files
from reprise.errors import DamagedError, RepriseError
from reprise.files import atomic, check_regular, keep_json, read_bytes, write_json

KILLED = """
import os, signal, sys
from pathlib import Path
from reprise.files import atomic
with atomic(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    print(partial.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """A process looks through a folder once."""
    monkeypatch.setattr(files, "_seen", set())


def killed(path: Path) -> Path:
    """The partial file that a killed process has left of `path`."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    return path.parent / done.stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name", ["run.json", "weights.safetensors", "train_names.txt", "noext", "a.b.c", ".hidden"]
)
def test_the_next_process_removes_what_a_killed_one_has_left(tmp_path, name):
    partial = killed(tmp_path / name)
    assert names(tmp_path) == [partial.name]
    write_json(tmp_path / "other.json", {})
    assert names(tmp_path) == ["other.json"]


def test_what_a_living_process_writes_stays(tmp_path):
    with atomic(tmp_path / "a") as mine:
        mine.write_text("x")
        script = f"from reprise.files import write_json; write_json({str(tmp_path / 'b.json')!r}, 1)"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert mine.exists()
    assert names(tmp_path) == ["a", "b.json"]


def test_a_number_that_another_process_has_got_since(tmp_path):
    """This process is alive, and has not written that file: it started at another time."""
    old = tmp_path / f".a.json.{files._host()}-{os.getpid()}-1.abcdefgh.partial.json"
    old.touch()
    write_json(tmp_path / "b.json", 1)
    assert names(tmp_path) == ["b.json"]


@pytest.mark.parametrize(
    "name", [".a.json.elsewhere-5-7.abcdefgh.partial.json", ".a.json.abcdefgh.partial.json"]
)
def test_files_of_other_machines_and_versions_go_after_a_day(tmp_path, name):
    (tmp_path / name).touch()
    write_json(tmp_path / "b.json", 1)
    assert names(tmp_path) == [name, "b.json"]
    day = time.time() - files.FORGOTTEN_S - 1
    os.utime(tmp_path / name, (day, day))
    files._seen.clear()
    write_json(tmp_path / "b.json", 1)
    assert names(tmp_path) == ["b.json"]


@pytest.mark.parametrize(
    "name", ["a.partial", ".partial", "partial.json", ".a.partialx", "run.json", ".lock"]
)
def test_other_files_stay(tmp_path, name):
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    write_json(tmp_path / "b.json", 1)
    assert name in names(tmp_path)


def test_partial_files_can_be_told(tmp_path):
    with atomic(tmp_path / "a.json") as partial:
        found = files._PARTIAL.fullmatch(partial.name)
        assert (found["host"], int(found["pid"])) == (files._host(), os.getpid())
        assert re.fullmatch(r"[\w]{1,24}", found["host"])
        partial.touch()


def test_a_file_that_says_the_same_is_kept(tmp_path):
    path = tmp_path / "a.json"
    keep_json(path, {"a": 1})
    os.utime(path, (1, 1))
    keep_json(path, {"a": 1})
    assert path.stat().st_mtime == 1
    keep_json(path, {"a": 2})
    assert path.read_text() == '{\n "a": 2\n}\n'
    path.write_bytes(b"\xff")
    keep_json(path, {"a": 2})
    assert path.read_text() == '{\n "a": 2\n}\n'


def test_reading_is_bounded(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path, 10) == b"x" * 10
    with pytest.raises(RepriseError, match="a: more than 9 bytes, far too many"):
        read_bytes(path, 9)
    with pytest.raises(FileNotFoundError):
        check_regular(tmp_path / "absent")
    with pytest.raises(RepriseError, match="a folder where a file is expected"):
        check_regular(tmp_path)


def test_an_error_comes_from_another_process_as_it_is():
    error = pickle.loads(pickle.dumps(DamagedError("a: damaged", "make it again")))
    assert (str(error), error.what, error.remedy) == (
        "a: damaged; make it again",
        "a: damaged",
        "make it again",
    )


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link to a device", "link to an open file"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    """Also for root, who may rename a file over /dev/null."""
    path, terminal = tmp_path / "x", os.openpty()
    with socket.socket(socket.AF_UNIX) as server, (tmp_path / "open").open("w") as opened:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(str(path))
        elif kind == "device":
            path = Path(os.ttyname(terminal[1]))
        elif kind == "link to a device":
            path.symlink_to("/dev/null")
        else:
            path.symlink_to(f"/proc/self/fd/{opened.fileno()}")
        before = path.lstat()
        with (
            pytest.raises(RepriseError, match=rf"^{path}: a .* where a file is to be written; give the name"),
            atomic(path) as partial,
        ):
            partial.write_text("new")
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    for end in terminal:
        os.close(end)


def test_a_link_to_nothing_is_written(tmp_path):
    (tmp_path / "x").symlink_to("nowhere")
    with atomic(tmp_path / "x") as partial:
        partial.write_text("new")
    assert (tmp_path / "x").read_text() == "new"
