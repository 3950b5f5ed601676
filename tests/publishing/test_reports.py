"""The report files of this repository: what they publish can be understood at every scale, before anything is
trained.
"""

from collections import Counter
from pathlib import Path

import pytest

from reprise.publishing.figures.colors import series_colors
from reprise.publishing.figures.curves import parts
from reprise.publishing.figures.references import read_references
from reprise.publishing.sources import Sources
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
        if not isinstance(figure, Curves):
            continue
        drawn = parts(figure, Sources(report.cells))
        labels = {part.label: "#000000" for part in drawn}
        metrics = [figure.metric] if isinstance(figure.metric, str) else figure.metric
        valid = {None, *metrics, *(part.title(split) for part in drawn for split in figure.splits)}
        assert {line.panel for line in read_references(figure, labels)} <= valid, figure.id


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reference_line_stands_where_what_its_statement_measures_is_drawn(file):
    report = Report(file)
    statements = {statement.id: statement for statement in report.statements}
    for index, figure in enumerate(report.figures):
        if not isinstance(figure, Curves) or figure.id.startswith("readings"):
            continue  # both readings are held to the report's one number
        raw = report._source.document["figures"][index].get("reference") or []
        drawn = parts(figure, Sources(report.cells))
        for said, line in zip(raw if isinstance(raw, list) else [raw], figure.reference, strict=True):
            name = said["statement"] if isinstance(said, dict) else said
            measured = {run for cell in report.needed(statements[name]) for run in cell.runs}
            meant = [part for part in drawn if measured & {*part.cell.runs}]
            panels, every = ({part.title(figure.splits[-1]) for part in group} for group in (meant, drawn))
            assert panels, (figure.id, name)
            assert panels == ({line.panel} if line.panel in every else every), (figure.id, name)
            if line.series:
                assert line.series in {part.label for part in meant}, (figure.id, name)
            else:
                assert len({part.label for part in drawn}) in (1, len({part.label for part in meant}))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_configuration_keeps_its_colour_in_all_figures_of_a_report(file):
    report = Report(file)
    colors = series_colors(report.figures, report.cells)
    known = {}
    for figure in report.figures:
        if isinstance(figure, Curves):
            drawn = [part for part in parts(figure, Sources(report.cells)) if not part.entry.everywhere]
            own, of = {part.label: part.cell.runs for part in drawn}, colors[figure.id]
            assert of.keys() == own.keys()
            assert len(set(of.values())) == len(own)
            for label, runs in own.items() if not figure.panels else ():
                assert known.setdefault(runs, of[label]) == of[label]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_panel_has_no_more_than_four_bands(file):
    report = Report(file)
    for figure in report.figures:
        if isinstance(figure, Curves):
            drawn = [part for part in parts(figure, Sources(report.cells)) if not part.entry.everywhere]
            panels = Counter(part.title(split) for part in drawn for split in figure.splits)
            assert max(panels.values()) <= 4, figure.id


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
