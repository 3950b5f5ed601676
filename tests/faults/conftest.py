from collections import Counter
from pathlib import Path
from typing import Any

from counting import table


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of faults where this folder was asked for."""
    passed, failed = (
        Counter(
            Path(report.fspath).name for state in states for report in terminalreporter.stats.get(state, [])
        )
        for states in (["passed"], ["failed", "error"])
    )
    terminalreporter.write_sep("-", "the table of docs/reliability.md")
    for line in table(passed, failed):
        terminalreporter.write_line(line)
