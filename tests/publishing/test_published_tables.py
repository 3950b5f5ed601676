"""The tables of the five reports, from made-up results: their verdicts are those of the statements, and each
fits on a page.
"""

import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import pytest
from matplotlib.ft2font import FT2Font

from reprise.data.catalog import class_names
from reprise.publishing.measures import Tables
from reprise.publishing.pretended import _layer_tables, named_layers, pretended
from reprise.publishing.sources import Sources
from reprise.publishing.statements import jury_of
from reprise.publishing.tables import build_table
from reprise.publishing.tables.formats import LINE, latex, layout_of, text_width
from reprise.reports.report import Report, report_files
from reprise.reports.statements import Number
from reprise.reports.table_statements import shown_statements
from reprise.reports.tables import ClassTable, ComparisonTable, SpaceTable

pytestmark = pytest.mark.slow

FILES = report_files(Path(__file__).parents[2] / "workflow/reports")
LABELS = {ClassTable: ("model", "class"), ComparisonTable: ("model", "row")}
"""Kind of table → the columns of its data that name the place of a number; of others the first one does."""


@dataclass(frozen=True)
class Published:
    """The tables of a report: what each is made from, and what it shows."""

    report: Report
    tables: Tables
    sheets: dict


@cache
def published(slug):
    report = Report(FILES[slug])
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    names = {identifier: class_names(run) for identifier, run in runs.items()}
    results = near_what_is_reported(report, pretended(runs, names, named_layers(report)))
    jury = jury_of(report.statements, report.where, Sources(report.cells, results, names=report.names))
    sheets = {}
    for table in report.tables:
        space = isinstance(table, SpaceTable)
        sources = Sources(
            report.cells,
            results,
            names=report.names,
            layers=_layer_tables(report, table),
            experiment=report.file.experiments[table.experiment] if space else None,
            verdict=jury.verdict,
        )
        sheets[table.id] = build_table(table, sources)
    return Published(report, results, sheets)


def near_what_is_reported(report, results):
    """Accuracies between .2 and .95 for all, so that some of what is reported is near them."""
    draws = random.Random(0)
    level = {run: draws.uniform(0.2, 0.95) for run in dict.fromkeys(results.final["run"])}
    value = [
        level[run] if metric == "accuracy" else old
        for run, metric, old in zip(*(results.final[key] for key in ("run", "metric", "value")), strict=True)
    ]
    return Tables(
        results.history, {**results.final, "value": value}, results.predictions, results.class_names
    )


@pytest.mark.parametrize("slug", FILES)
def test_every_verdict_in_a_table_is_that_of_its_statement(slug):
    found = published(slug)
    report = found.report
    wanted = {identifier for table in report.tables for identifier in shown_statements(table).values()}
    numbers = [one for one in report.statements if one.id in wanted]
    sources = Sources(report.cells, found.tables, names=report.names)
    jury = jury_of(report.statements, report.where, sources)
    outcomes = [jury.outcome(one) for one in jury.statements if one.id in wanted]
    verdicts = {one.statement.id: {each.judgement.verdict for each in (one, *one.also)} for one in outcomes}
    assert len(verdicts) == len(numbers) == len(wanted)
    assert all(isinstance(one, Number) for one in numbers)
    seen = set()
    for table in report.tables:
        data, stated = found.sheets[table.id].data, shown_statements(table)
        labels = LABELS.get(type(table), data.columns[:1])
        for row in data.rows if stated else ():
            cells = dict(zip(data.columns, row, strict=True))
            identifier = stated.get(tuple(cells[label] for label in labels))
            if cells["verdict"]:
                assert cells["verdict"] in verdicts[identifier], (table.id, identifier)
                seen.add(identifier)
    made = {one.id for one in report.statements if getattr(one, "table", None)}
    assert made <= seen


def test_made_up_results_are_judged_both_ways():
    found = {
        verdict
        for slug in FILES
        for sheet in published(slug).sheets.values()
        if "verdict" in sheet.data.columns
        for verdict in sheet.data.column("verdict")
    }
    assert {"reproduced", "differs"} <= found


def set_parts(slug):
    """The parts of a report's tables as they are set in LaTeX: table, part, rows, layout."""
    for name, sheet in published(slug).sheets.items():
        for title, shown in sheet.shown.items():
            layout = layout_of(shown)
            if not layout.fits and title in sheet.narrow:
                shown, layout = sheet.narrow[title], layout_of(sheet.narrow[title])
            yield name, title, shown, layout


@pytest.mark.parametrize("slug", FILES)
def test_every_table_fits_on_a_page(slug):
    """By the widths of Computer Modern, which TeX sets, as matplotlib has them."""
    face = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts/ttf/cmr10.ttf"))
    face.set_size(100, 72)

    def width(text, em):
        face.set_text(text.translate(INSTEAD), 0.0)
        return face.get_width_height()[0] / 64 / 100 * em

    for name, title, shown, layout in set_parts(slug):
        where = (slug, name, title)
        assert layout.fits, where
        columns = [
            [str(row[place]) for row in [shown.columns, *shown.rows]] for place in range(len(shown.columns))
        ]
        widths = [float(found) for found in re.findall(r"p\{(\d+)pt\}", layout.columns)]
        if widths:
            words = [[word for text in texts for word in text.split()] for texts in columns]
        else:
            words, widths = columns, [max(width(text, layout.size.em) for text in each) for each in columns]
        assert sum(widths) + 2 * layout.size.space * len(columns) <= LINE + 1, where
        for room, texts in zip(widths, words, strict=True):
            assert all(width(text, layout.size.em) <= room + 1 for text in texts), where


INSTEAD = str.maketrans(
    {"–": "-", "“": '"', "”": '"', "’": "'", "…": "W", "×": "+", "±": "+", "°": "o"}
    | dict.fromkeys("αβγδεηλμσ−→≤≥·", "m")
)
"""Signs that the font lacks → some that are as wide."""


def test_the_widths_of_letters_are_those_of_computer_modern():
    face = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts/ttf/cmr10.ttf"))
    face.set_size(100, 72)
    for text in ("Weight decay", "MobileNet v3 S", "0.4961", "test accuracy, reported", "WMQw"):
        face.set_text(text, 0.0)
        true = face.get_width_height()[0] / 64 / 100
        assert text_width(text, 1.0) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("slug", FILES)
def test_every_table_is_set_by_latex(slug, tmp_path):
    """Without an overfull line, and with nothing that LaTeX does not know."""
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed: the widths are checked by Computer Modern's alone")
    found = published(slug)
    texts = [
        latex(sheet, table.caption, ["DEMO – synthetic data"], f"tab:{table.id}")
        for table, sheet in zip(found.report.tables, found.sheets.values(), strict=True)
    ]
    document = [
        r"\documentclass[a4paper]{article}",
        r"\usepackage[utf8]{inputenc}\usepackage[margin=2.5cm]{geometry}",
        r"\usepackage{array,booktabs,longtable,textcomp}",
        *(r"\begin{document}", "\n\\clearpage\n".join(texts), r"\end{document}"),
    ]
    (tmp_path / "tables.tex").write_text("\n".join(document), encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    log = (tmp_path / "tables.log").read_text(encoding="utf-8", errors="replace")
    assert run.returncode == 0, log[-2000:]
    assert not re.findall(r"Overfull \\hbox.*", log)
    assert not re.findall("Float too large.*", log)
