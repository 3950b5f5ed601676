"""`check --watch`: again after each change, until Ctrl-C."""

import os
import time
from pathlib import Path

import pytest

from reprise.cli import main, watching
from reprise.cli import reports as verbs
from reprise.errors import RepriseError


@pytest.fixture
def watch(tmp_path, monkeypatch, capsys):
    """Watch `files` while `steps` happen, one at each look, then Ctrl-C: the number of checks, and what was
    printed. `check` is called with its number.
    """
    monkeypatch.chdir(tmp_path)

    def watch(files, *steps, check=lambda number: None):
        waiting, calls = list(steps), []

        def sleep(seconds):
            if seconds == watching.POLL_S:
                if not waiting:
                    raise KeyboardInterrupt
                waiting.pop(0)()

        def checked(given):
            assert [str(file) for file in given] == [str(file) for file in files]
            calls.append(len(calls))
            check(len(calls))

        monkeypatch.setattr(watching.time, "sleep", sleep)
        monkeypatch.setattr(verbs, "check_files", checked)
        main(["check", "--watch", *map(str, files)])  # returns: exit status 0
        said = capsys.readouterr()
        assert said.out.count("watching for changes; press Ctrl-C to stop\n") == len(calls)
        return len(calls), said.err

    return watch


def write(text, file="a.yaml"):
    return lambda: Path(file).write_text(text)


def replace():
    """As editors save."""
    Path(".a.yaml.swp").write_text("xyz")
    Path(".a.yaml.swp").replace("a.yaml")


def nothing():
    pass


STEPS = {
    "nothing": ((nothing, nothing), 1),
    "written": ((write("longer text"),), 2),
    "three times": ((write("longer text"), nothing, write("b"), write("even longer text")), 4),
    "same size": ((nothing, write("B"),), 2),
    "replaced": ((replace,), 2),
    "removed": ((lambda: Path("a.yaml").unlink(), write("back")), 3),
    "touched": ((lambda: os.utime("a.yaml", ns=(1, 1)),), 2),
    "another file": ((write("longer", "other.yaml"), nothing), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_a_change_is_one_more_check(watch, name):
    steps, expected = STEPS[name]
    Path("a.yaml").write_text("a")
    assert watch(["a.yaml"], *steps)[0] == expected


def test_a_folder_of_files(watch):
    Path("mini").mkdir()
    Path("mini/one.yaml").write_text("a")
    steps = (write("a", "mini/two.yaml"), write("changed", "mini/one.yaml"), Path("mini/two.yaml").unlink)
    assert watch(["mini"], *steps)[0] == 4


def test_one_of_several_files(watch):
    for name in ("a.yaml", "b.yaml"):
        Path(name).write_text("a")
    assert watch(["a.yaml", "b.yaml"], write("changed", "b.yaml"))[0] == 2


@pytest.mark.parametrize("error", [RepriseError("a.yaml, line 3: no such key"), SystemExit(1)])
def test_mistakes_do_not_end_it(watch, error):
    Path("a.yaml").write_text("a")

    def check(number):
        if number == 1:
            raise error

    calls, said = watch(["a.yaml"], write("mended"), check=check)
    assert calls == 2
    assert ("line 3: no such key" in said) == isinstance(error, RepriseError)


def test_a_file_that_is_not_there_yet(watch):
    assert watch(["a.yaml"], nothing, write("here"))[0] == 2


def test_a_change_during_the_check_counts(watch):
    Path("a.yaml").write_text("a")
    assert watch(["a.yaml"], check=lambda number: number == 1 and write("longer")())[0] == 2


def test_half_written_files_are_left_to_come_to_rest(tmp_path, monkeypatch):
    file = tmp_path / "a.yaml"
    file.write_text("a")
    before = watching.state([file])
    parts = ["ab", "abc", "abcd"]
    monkeypatch.setattr(time, "sleep", lambda seconds: parts and file.write_text(parts.pop(0)))
    watching.wait_for_change([file], before)
    assert file.read_text() == "abcd"


def test_ctrl_c_during_a_check(watch):
    def stop(number):
        raise KeyboardInterrupt

    with pytest.raises(AssertionError, match="count"):  # no line was printed, and no error either
        watch(["a.yaml"], check=stop)
