"""The hash of every run of every report at every scale: results that others hold hang on it.

Where an experiment truly changes, `python tests/reports/test_run_hashes.py` writes the hashes anew; the
commit says which moved, and why.
"""

from pathlib import Path

import pytest

from reprise.reports.layout import SCALES
from reprise.reports.report import Report, report_files

ROOT = Path(__file__).parents[2]
FILES = report_files(ROOT / "workflow/reports").values()


def golden(file: Path) -> Path:
    return ROOT / "tests/golden/runs" / f"{file.stem}.txt"


def lines(file: Path) -> list[str]:
    """Scale, cell, and the hashes of the cell's runs in the order of their seeds."""
    return [
        " ".join([scale, cell.name, *(run.hash for run in cell.members)])
        for scale in SCALES
        for report in [Report(file, scale)]
        for experiment in report.experiments
        for cell in report.all_cells(experiment)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_run_hash_moved(file):
    expected, found = golden(file).read_text().splitlines(), lines(file)
    assert [line for line in found if line not in set(expected)] == []
    assert [line for line in expected if line not in set(found)] == []


if __name__ == "__main__":
    for file in FILES:
        golden(file).parent.mkdir(exist_ok=True)
        golden(file).write_text("".join(f"{line}\n" for line in lines(file)))
