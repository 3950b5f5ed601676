import io
import sys

import pytest

from reprise import progress as module
from reprise.progress import duration, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_first_and_last_line_only(capsys):
    assert list(progress(range(1000), description="epochs")) == list(range(1000))
    text = capsys.readouterr().err
    first, last = text.splitlines()
    assert first.startswith("epochs: 0/1000 it [00:00<?")
    assert last.startswith("epochs: 1000/1000 it [00:00<00:00")
    assert "\r" not in text


def test_a_log_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    with progress(description="file", total=3_000_000, initial=1_000_000, unit="B") as bar:
        bar.update(1_000_000)
        bar.set_postfix_str("slow", refresh=False)
        bar.update(1_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" [")[0] for line in lines] == [
        "file: 1.00M/3.00M B",
        "file: 2.00M/3.00M B",
        "file: 3.00M/3.00M B",
    ]
    assert "slow" in lines[-1]


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    list(progress(range(10), description="epochs"))
    assert "\repochs: 100%|" in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3.4, "3 s"), (89, "89 s"), (120, "2 min"), (3 * 3600, "3.0 h")]
)
def test_duration(seconds, expected):
    assert duration(seconds) == expected
