"""The report files of this repository: what they publish can be understood at every scale, before anything is
trained.
"""

from pathlib import Path

import pytest

from reprise.publishing.statements import parse
from reprise.publishing.tables.metrics import parse_rows
from reprise.reports.figures import Curves
from reprise.reports.report import SCALES, Report, report_files
from reprise.reports.tables import MetricsTable

FILES = list(report_files(Path(__file__).parents[2] / "workflow/reports").values())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_statements_tables_and_panels_are_understood(file, scale):
    report = Report(file, scale)
    statements = parse(report.statements, report.where, report.cells, report.names)
    assert len(statements) == len(report.statements) > 0
    for table in report.tables:
        if isinstance(table, MetricsTable):
            assert len(parse_rows(table, report.cells, report.names)) == len(table.rows)
    for figure in report.figures:
        if isinstance(figure, Curves) and figure.panels not in (None, "split", "reading"):
            assert all(figure.panels in cell.settings for cell in report.needed(figure)), figure.id


def test_report_2_publishes_every_figure_and_judges_the_code_not_the_text():
    report = Report(next(file for file in FILES if file.stem == "cifar10_architectures"))
    assert {f"figure_{number:02}" for number in range(1, 13)} <= {figure.id for figure in report.figures}
    assert {cell.reading for statement in report.statements for cell in report.needed(statement)} == {
        "as_run"
    }
    assert len(report.cells("cnn")) == 72
    assert {run for cell in report.cells("cnn_readings") for run in cell.runs} < {
        run for cell in report.cells("cnn") for run in cell.runs
    }
