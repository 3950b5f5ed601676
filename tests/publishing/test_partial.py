"""Figures, tables and pages while runs are missing: what is left is made, what is missing is said."""

import csv
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from made_up import all_runs, results, write_results
from mini import convolution, mini
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.publishing import Face
from reprise.publishing.figures import build_figure
from reprise.publishing.partial import narrowed, resting_on, runs_at_hand
from reprise.publishing.sources import Sources
from reprise.publishing.statements import jury_of
from reprise.publishing.style import style
from reprise.publishing.tables import build_table
from reprise.reports.report import Report, report_files

REPORTS = report_files(Path(__file__).parents[2] / "workflow/reports")


def sources(report, part, tables):
    return Sources(part.cells, tables, names=report.names, whole=report.cells)


def drawn(report, item, at_hand):
    """What is drawn of a figure with these runs, and what its face says."""
    figure = report.item("figures", item)
    made, part, notes = narrowed(report, figure, at_hand)
    with style():
        shown = build_figure(made, sources(report, part, results(report, at_hand)), Face("mini"))[1]
    return shown, notes


def built(report, item, at_hand):
    """As `drawn`, of a table."""
    made, part, notes = narrowed(report, report.item("tables", item), at_hand)
    found = sources(report, part, results(report, at_hand))
    jury = jury_of(report.statements, report.where, replace(found, resolve=report.cells))
    return build_table(made, replace(found, verdict=jury.verdict)), notes


def refused(report, section, item, at_hand):
    with pytest.raises(RepriseError) as error:
        narrowed(report, report.item(section, item), at_hand)
    return str(error.value)


# ---- the reports of this repository ----


def subsets(report, scale):
    """Runs that could be at hand: few, most, one seed of each cell, some cells, some seeds of some cells."""
    draw = random.Random(f"{report.slug} {scale}")
    runs = list(all_runs(report))
    cells = [cell for name in report.experiments for cell in report.cells(name)]
    yield {run for run in runs if draw.random() < 0.1}
    yield {run for run in runs if draw.random() < 0.75}
    yield {cell.runs[0] for cell in cells}
    yield {run for cell in cells if draw.random() < 0.4 for run in cell.runs}
    yield {run for cell in cells if draw.random() < 0.7 for run in cell.runs[: draw.randint(1, 3)]}


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize("slug", REPORTS)
def test_whatever_runs_are_there_a_figure_or_table_is_made_or_not_run(slug, scale):
    report = Report(REPORTS[slug], scale)
    items = [item for item in [*report.figures, *report.tables] if report.needed(item)]
    made, lines = set(), []
    for number, at_hand in enumerate(subsets(report, scale)):
        tables = results(report, at_hand)
        for item in items:
            needed = {run for cell in report.needed(item) for run in cell.runs}
            there = needed & at_hand
            try:
                part, view, notes = narrowed(report, item, at_hand)
            except RepriseError as error:
                lines.append((str(error), item, len(there), len(needed)))
                continue
            assert there
            more = notes[len(view.notes(part)) :]
            assert len(more) == (there != needed), (item.id, notes)
            assert all(re.search(r"\d (or|to) \d|\d of \d|seed", note) for note in more)
            if item in report.tables:
                sheet = build_table(part, sources(report, view, tables))
                shown = [cell for rows in sheet.shown.values() for row in rows.rows for cell in row]
                whole = {cell.name for cell in report.needed(item) if set(cell.runs) & at_hand}
                gone = len(whole) < len(report.needed(item))
                assert "nan" not in map(str, shown)
                assert ("not run" in map(str, shown)) <= gone
                made.add(item.kind)
            elif item.kind not in made or (number > 2 and (item.kind, number) not in made):
                made |= {item.kind, (item.kind, number)}
                with style():
                    found = build_figure(part, sources(report, view, tables), Face(slug, scale, notes))[1]
                assert set(found.runs) == there
    assert made >= {item.kind for item in items}
    for line, item, there, needed in lines:
        count = (
            f"{there} of its {needed} runs {'is' if there == 1 else 'are'} finished, "
            "too few to show anything yet"
        )
        count = count if there else f"none of its {needed} runs is finished"
        assert line.endswith(f" {item.id}: not run: {count}; train and evaluate some")


def test_a_table_keeps_the_rows_of_all_trials(tmp_path):
    report = Report(REPORTS["cifar10_asha"])
    runs = [run for cell in report.cells("classic") for run in cell.runs]
    whole, _ = built(report, "classic_trials", runs)
    part, notes = built(report, "classic_trials", runs[:8])
    assert notes == ["8 of 30 trials"]
    assert [len(sheet.data.rows) for sheet in (whole, part)] == [30, 30]
    assert part.data.columns == whole.data.columns
    assert part.data.column("accuracy").count("not run") == 22
    assert part.data.column("n").count(0) == part.data.column("rank").count(None) == 22
    assert any(whole.data.column("winner"))
    assert not any(part.data.column("winner"))  # the best of some is not the best of all


# ---- a small report ----

SERIES = [{"runs": "base", "label": "base"}, {"runs": "grid", "label": "grid"}]
LR, BATCH = (
    {"path": path, "values": values}
    for path, values in (("optimizer.lr", [0.1, 0.01]), ("training.batch_size", [32, 64]))
)
EXPERIMENTS = {
    "base": {"seeds": [0, 1, 2]},
    "grid": {"grid": {"lr": LR, "batch": BATCH}, "seeds": [0, 1, 2]},
    "tuned": {"seeds": [0, 1, 2], "set": {"initial_weights": {"from": "base"}}},
    "sweep": {
        "set": {"training.batch_size": 16, "training.epochs": 3},
        "pointwise": {"lr": LR, "batch": BATCH},
    },
    "search": {"set": {"training.epochs": 4}}
    | {"random": {"trials": 3, "seed": 1, "space": {"lr": LR, "batch": BATCH}}},
}
MEASURED = {"metric": "accuracy", "runs": "grid"}
FIGURES = [
    {"id": "all", "kind": "curves", "metric": "loss", "splits": ["train", "test"], "series": SERIES},
    {"id": "one_line", "kind": "curves", "metric": "loss", "splits": ["test"], "series": SERIES},
    {"id": "after", "kind": "curves", "metric": "loss", "splits": ["test"]}
    | {"series": [{"runs": "tuned", "after": "base", "label": "tuned"}]},
    {"id": "panels", "kind": "curves", "metric": "accuracy", "splits": ["test"], "panels": "lr"}
    | {"series": "grid", "reference": [{"value": 0.5, "panel": "lr 0.1"}, {"value": 0.6}]},
    {"id": "bars", "kind": "bars", "runs": "sweep", "metric": "accuracy", "axes": ["batch", "lr"]},
    {"id": "levels", "kind": "levels", **MEASURED, "axes": ["lr", "batch"]},
    {"id": "all_levels", "kind": "levels", **MEASURED},
    {"id": "heatmap", "kind": "heatmap", **MEASURED, "rows": "lr", "columns": "batch"},
    {"id": "classes", "kind": "classes"}
    | {"models": [{"label": "base", "runs": "base"}, {"label": "best", "runs": "search", "pick": "best"}]},
]
TABLES = [
    {"id": "settings", "kind": "settings", "runs": "base"}
    | {"rows": [{"label": "Accuracy", "metric": "accuracy", "reported": "0.5"}]},
    {"id": "comparison", "kind": "comparison", "models": {"base": "base", "tuned": "tuned", "best": "best"}}
    | {
        "rows": [
            {"label": "Rate", "setting": "optimizer.lr"},
            {"label": "Accuracy", "metric": "accuracy", "reported": ["0.5", "0.6", None]},
        ]
    },
    {"id": "metrics", "kind": "metrics"}
    | {
        "rows": [
            {"label": "base", "measure": "accuracy(base)", "reported": "0.5"},
            {"label": "grid", "measure": "best(accuracy(grid))", "reported": "0.5"},
            {"label": "best", "measure": "accuracy(best)", "reported": "0.5"},
        ]
    },
    {"id": "of_classes", "kind": "classes", "models": {"base": "base", "best": "best"}},
    {"id": "space", "kind": "space", "experiment": "search"},
]
STATEMENTS = [
    {"number": "alone", "reported": "0.5", "measure": "accuracy(base)"},
    {"number": "of_grid", "reported": "0.5", "measure": "mean(accuracy(grid))"},
    {"number": "of_search", "reported": "0.5", "measure": 'best(accuracy("search"))'},
    {"number": "of_winner", "reported": "0.5", "measure": "accuracy(best)"},
    {"claim": "steady", "holds": "spread(accuracy(grid)) > spread(accuracy(base))"},
    {"claim": "all_better", "holds": "every(accuracy(grid) > accuracy(base))"},
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    titled = [[{"caption": "Made up.", **item} for item in items] for items in (FIGURES, TABLES)]
    document = mini(convolution(), EXPERIMENTS, figures=titled[0], tables=titled[1], statements=STATEMENTS)
    document["cells"] = {"best": {"runs": "search", "pick": "best"}}
    del document["slug"]
    file = tmp_path_factory.mktemp("reports") / "mini.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return Report(file)


def runs(report, *selectors):
    """The runs of selectors, or of some seeds: `base:0,2`."""
    found = []
    for selector in selectors:
        name, _, seeds = selector.partition(":")
        for cell in report.cells(name):
            found += [cell.runs[int(seed)] for seed in seeds.split(",")] if seeds else cell.runs
    return set(found)


@pytest.mark.parametrize(
    ("selectors", "said"),
    [
        (["base", "grid"], ""),
        (["base:0,1", "grid:0,1"], "seeds 0 and 1 of 3"),
        (["base:2", "grid:2"], "seed 2 of 3"),
        (["base", "grid:0,1"], "2 or 3 of 3 seeds"),
        (["base", "grid:0"], "1 to 3 of 3 seeds"),
        (["base:0", "grid:1"], "1 of 3 seeds"),
        (["base"], "1 of 5 curves"),
        (["grid:0,2"], "4 of 5 curves, seeds 0 and 2 of 3"),
    ],
)
def test_what_a_figure_rests_on(report, selectors, said):
    at_hand = runs(report, *selectors)
    figure = report.item("figures", "one_line")
    assert narrowed(report, figure, at_hand)[2] == [said][: bool(said)]
    several_lines = said.replace("curves", "configurations")
    assert narrowed(report, report.item("figures", "all"), at_hand)[2] == [several_lines][: bool(said)]


def test_cells_with_other_numbers_of_seeds_count_their_runs(report):
    cells = [*report.cells("base"), *report.cells("sweep")]
    at_hand = runs(report, "base:0", "sweep/base", "sweep/lr=0.1")
    assert resting_on(cells, at_hand) == "3 of 6 configurations, 3 of 8 runs"
    assert (
        resting_on(report.cells("search"), [report.cells("search")[0].runs[0]], "trials") == "1 of 3 trials"
    )


def test_a_complete_figure_is_what_it_is_without_the_option(report):
    figure = report.item("figures", "all")
    made, part, notes = narrowed(report, figure, runs(report, "base", "grid"))
    assert made is figure
    assert notes == report.notes(figure) == []
    assert [cell.name for cell in part.cells("grid")] == [cell.name for cell in report.cells("grid")]


@pytest.mark.parametrize("figure", [item["id"] for item in FIGURES])
def test_a_figure_without_runs_is_not_run(report, figure):
    needed = {run for cell in report.needed(report.item("figures", figure)) for run in cell.runs}
    message = f"mini, figure {figure}: not run: none of its {len(needed)} runs is finished"
    assert refused(report, "figures", figure, runs(report)).startswith(message)


def test_a_lone_curve_keeps_the_settings_that_told_it_from_the_others(report):
    found, notes = drawn(report, "one_line", runs(report, "grid/lr=0.01,batch=64:1"))
    assert [curve["label"] for curve in found.values] == ["grid, learning rate 0.01, batch 64"]
    assert notes == ["1 of 5 curves, seed 1 of 3"]


def test_lines_of_the_report_go_with_their_panel(report):
    found, notes = drawn(report, "panels", runs(report, "grid/lr=0.01"))
    assert {curve["panel"] for curve in found.values} == {"learning rate 0.01"}
    assert notes == ["2 of 4 curves"]


def test_a_curve_goes_on_where_the_same_seed_is_there(report):
    found, notes = drawn(report, "after", runs(report, "base:0,2", "tuned:1,2"))
    (curve,) = found.values
    assert (curve["runs"], curve["after"]) == (list(runs(report, "tuned:2")), list(runs(report, "base:2")))
    assert notes == ["seed 2 of 3"]
    lone = refused(report, "figures", "after", runs(report, "base:0", "tuned:1"))
    assert "not run: 2 of its 6 runs are finished, too few to show anything yet" in lone


def test_bars_need_their_base_run_and_levels_two_values(report):
    sweep = "sweep/lr=0.1"
    assert "1 of its 5 runs is finished, too few" in refused(report, "figures", "bars", runs(report, sweep))
    assert "1 of its 5 runs is" in refused(report, "figures", "bars", runs(report, "sweep/base"))
    found, notes = drawn(report, "bars", runs(report, "sweep/base", sweep))
    assert [bar["axis"] for bar in found.values] == ["", "lr"]
    assert notes == ["2 of 5 configurations"]
    for levels in ("levels", "all_levels"):
        found, _ = drawn(report, levels, runs(report, "grid/batch=32:0"))
        assert {row["axis"] for row in found.values} == {"lr"}
        assert "too few to show anything" in refused(
            report, "figures", levels, runs(report, "grid/lr=0.1,batch=32")
        )


def test_values_stand_in_their_order_whatever_is_missing(report):
    found, _ = drawn(report, "heatmap", runs(report, "grid/lr=0.1,batch=64", "grid/lr=0.01,batch=32"))
    order = [tuple(field["settings"].values()) for field in found.values]
    assert order == [("0.1", "32"), ("0.1", "64"), ("0.01", "32"), ("0.01", "64")]
    assert [field["n"] for field in found.values] == [0, 3, 3, 0]


def test_the_best_run_is_known_only_where_all_configurations_have_one(report):
    first = report.cells("search")[0].name
    found, notes = drawn(report, "classes", runs(report, "base", first))
    assert {row["model"] for row in found.values} == {"base"}
    assert notes == ["2 of 4 configurations"]
    found, notes = drawn(report, "classes", runs(report, "base", "search"))
    assert {row["model"] for row in found.values} == {"base", "best (best run)"}
    assert notes == []


# ---- tables ----


def columns(sheet, *names):
    return list(zip(*(sheet.data.column(name) for name in names), strict=True))


def test_rows_of_a_table_that_are_not_run(report):
    sheet, notes = built(
        report, "metrics", runs(report, "base:0,1", "grid/lr=0.1", report.cells("search")[0].name)
    )
    assert notes == ["4 of 8 configurations, 9 of 18 runs"]
    (base, *others) = columns(sheet, "label", "value", "sd", "n", "reported", "verdict")
    assert (base[0], base[3]) == ("base", 2)
    assert base[5] in ("reproduced", "differs")
    assert others == [(row, "not run", None, 0, "0.5", "not run") for row in ("grid", "best")]
    shown = sheet.shown[""].rows
    assert shown[1] == ("grid", "max of 4 configurations", "0.5", "not run", "not run")
    assert shown[2] == ("best", "best of 3 configurations", "0.5", "not run", "not run")


def test_models_of_a_table_that_are_not_run(report):
    sheet, _ = built(report, "comparison", runs(report, "base"))
    found = columns(sheet, "row", "model", "configuration", "value", "n", "verdict")
    rate, accuracy = found[:3], found[3:]
    assert [row[3] for row in rate] == ["0.001", "0.001", "not run"]  # which trial is best is not known
    assert accuracy[1:] == [
        ("Accuracy", "tuned", "tuned", "not run", 0, "not run"),
        ("Accuracy", "best", "not run", "not run", 0, ""),
    ]
    assert sheet.shown[""].rows[1][3:] == ("not run", "0.6 (not run)", "not run")


def test_classes_of_models_that_are_not_run(report):
    sheet, _ = built(report, "of_classes", runs(report, "base:1"))
    found = columns(sheet, "model", "percent", "n")
    assert [row[1:] for row in found if row[0] == "best"] == [("not run", 0)] * 12
    assert all(isinstance(row[1], float) and row[2] == 1 for row in found if row[0] == "base")
    alone, _ = built(report, "of_classes", runs(report, report.cells("search")[0].name))
    assert set(alone.data.column("percent")) == {"not run"}


def test_tables_without_runs(report):
    for table, count in (("settings", 3), ("comparison", 9), ("metrics", 18)):
        message = refused(report, "tables", table, runs(report))
        assert message.startswith(f"mini, table {table}: not run: none of its {count} runs is finished")
    assert narrowed(report, report.item("tables", "space"), ())[2] == []  # it needs none


# ---- the verbs ----


@pytest.fixture
def verb(report, tmp_path, capsys):
    """Does a verb for a report some of whose runs are there; its lines on standard error."""
    write_results(report, tmp_path / "runs", runs(report, "base:0,1", "grid/lr=0.1"))

    def do(*words):
        status = None
        try:
            main([*words, "--reports", str(report.path.parent), "--results", str(tmp_path)])
        except SystemExit as exit_:
            status = exit_.code
        said = capsys.readouterr().err
        assert (status, bool(said)) in ((None, False), (1, True))
        return said

    return do


def test_a_figure_of_the_runs_that_are_there(verb, tmp_path):
    assert "train and evaluate it first" in verb("figure", "mini", "one_line")
    assert not (tmp_path / "figures").exists()
    assert verb("figure", "mini", "one_line", "--partial") == ""
    folder = tmp_path / "figures/mini"
    assert {file.name for file in folder.iterdir()} == {f"one_line.{kind}" for kind in ("png", "svg", "json")}
    document = json.loads((folder / "one_line.json").read_text())
    said = "3 of 5 curves, 2 or 3 of 3 seeds"
    assert document["notes"] == [said]
    assert document["alt"].endswith(said)
    assert len(document["runs"]) == 8


def test_a_complete_figure_or_table_has_the_same_bytes_with_the_option(report, verb, tmp_path):
    write_results(report, tmp_path / "runs", runs(report, "base:2", "grid/lr=0.01"))
    made = {}
    for options in ((), ("--partial",)):
        assert verb("figure", "mini", "all", *options) == ""
        assert verb("table", "mini", "settings", *options) == ""
        files = sorted([*(tmp_path / "figures/mini").iterdir(), *(tmp_path / "tables/mini").iterdir()])
        made[options] = {file: file.read_bytes() for file in files}
    assert made[()] == made["--partial",]


def test_a_run_that_is_not_evaluated_is_not_there(report, verb, tmp_path):
    (run,) = runs(report, "base:0")
    (tmp_path / "runs" / run / "predictions.parquet").unlink()
    assert len(runs_at_hand(tmp_path / "runs", all_runs(report))) == 7
    assert verb("table", "mini", "settings", "--partial") == ""
    page = (tmp_path / "tables/mini/settings.md").read_text()
    assert page.startswith("**seed 1 of 3**\n")


def test_nothing_is_written_where_nothing_is_there(verb, tmp_path):
    what = "not run: none of its 5 runs is finished; train and evaluate some"
    assert verb("figure", "mini", "bars", "--partial") == f"reprise: mini, figure bars: {what}\n"
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    what = "not run: none of its 3 runs is finished; train and evaluate some"
    assert verb("table", "mini", "settings", "--partial") == f"reprise: mini, table settings: {what}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere"}


def test_a_table_says_not_run_in_all_its_formats(verb, tmp_path):
    assert verb("table", "mini", "metrics", "--partial") == ""
    folder = tmp_path / "tables/mini"
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["value"], row["n"], row["verdict"]) for row in rows[1:]] == [("not run", "0", "not run")] * 2
    assert {row["notes"] for row in rows} == {"3 of 8 configurations, 2 or 3 of 3 seeds"}
    assert (
        r"best & best of 3 configurations & 0.5 & not run & not run \\"
        in (folder / "metrics.tex").read_text()
    )
    assert "| not run | not run |" in (folder / "metrics.md").read_text()


def test_a_page_of_the_runs_that_are_there(verb, tmp_path):
    assert verb("statements", "mini", "--partial") == ""
    page = (tmp_path / "statements/mini.md").read_text()
    evidence = "Evidence: 8 of 21 runs that these statements need, 8.0 core-hours (AMD EPYC), 2026-11-28."
    assert page.startswith(f"# mini: numbers and claims\n\n{evidence}\n\n")
    with (tmp_path / "statements/mini.csv").open() as file:
        found = {row["id"]: row for row in csv.DictReader(file)}
    assert found["alone"]["n"] == "2"
    assert found["alone"]["verdict"] != "not run"
    assert page.count("| 2 (seeds 0 and 1 of 3) |") == 4  # its own number, and that of three tables
    missing = {
        "of_grid": (6, 12),
        "of_search": (3, 3),
        "of_winner": (3, 3),
        "steady": (7, 15),
        "all_better": (7, 15),
    }
    for statement, (gone, of) in missing.items():
        assert found[statement]["verdict"] == "not run"
        assert found[statement]["reason"].endswith(f" Missing: {gone} of its {of} runs.")


def test_a_complete_report_says_nothing_of_seeds(report, verb, tmp_path):
    others = set(all_runs(report)) - runs(report, "base:0,1", "grid/lr=0.1")
    write_results(report, tmp_path / "runs", others)
    assert verb("statements", "mini") == ""
    page = (tmp_path / "statements/mini.md").read_text()
    assert "Evidence: 21 of 21 runs that these statements need" in page
    assert "seeds 0" not in page
    assert "not run**" not in page
