"""A report that gives a bound, over 70 %, and no number."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from made_up import all_runs, results, write_results
from mini import convolution, mini
from reprise.checking import check_report
from reprise.cli import main
from reprise.publishing.judging import Amount
from reprise.publishing.numbers import bound_of, decimals, half_unit
from reprise.publishing.statements import judge_statements
from reprise.publishing.verdicts import judge_number
from reprise.reports.report import Report
from reprise.site.build import sentence
from reprise.site.charts import strips

MEASURED = 0.7107


def opened(folder, *statements, seeds=1):
    document = mini(convolution(), {"base": {}}, statements=list(statements))
    document["defaults"]["seeds"] = list(range(seeds))
    file = folder / "mini.yaml"
    file.write_text(yaml.safe_dump(document))
    return Report(file)


def number(reported, measure="accuracy(base)", **more):
    return {"number": "n", "reported": reported, "measure": measure, **more}


def judged(folder, reported, measure="accuracy(base)", accuracy=MEASURED, **more):
    """The judgement of a number of one run whose test accuracy is known."""
    report = opened(folder, number(reported, measure, **more))
    tables = results(report, all_runs(report))
    final = {column: list(values) for column, values in tables.final.items()}
    final["value"][final["metric"].index("accuracy")] = accuracy
    tables = replace(tables, final=final)
    (outcome,) = judge_statements(report.statements, report.where, report.cells, tables, report.names)
    return outcome.judgement


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        ("> 0.7", "reproduced"),
        (">0.7", "reproduced"),
        (">= 0.7", "reproduced"),
        ("> 0.71", "reproduced"),
        ("> 0.72", "reproduced"),  # another training could give it
        ("> 0.75", "differs"),
        (">= 0.75", "differs"),
        ("< 0.7", "reproduced"),
        ("< 0.75", "reproduced"),
        ("<= 0.65", "differs"),
        ("< 0.65", "differs"),
        ("0.7", "reproduced"),
        ("0.75", "differs"),
    ],
)
def test_a_bound_is_reproduced_where_the_same_experiment_reaches_it(tmp_path, reported, verdict):
    assert judged(tmp_path, reported).verdict == verdict


def test_the_reason_gives_the_interval_and_the_bound(tmp_path):
    found = judged(tmp_path, "> 0.7")
    assert found.reason == f"{found.low:.3f} to {found.high:.3f} reaches > 0.7."
    assert found.low < MEASURED < found.high
    assert judged(tmp_path, "> 0.9").reason.endswith("does not reach > 0.9.")


def test_a_bound_may_be_in_percent_and_about(tmp_path):
    assert judged(tmp_path, "> 70", "100 * accuracy(base)").verdict == "reproduced"
    assert judged(tmp_path, "> 75", "100 * accuracy(base)").verdict == "differs"
    assert judged(tmp_path, "> 75", "100 * accuracy(base)", about=4).verdict == "reproduced"


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("> 100", "differs"), (">= 100", "reproduced"), ("< 100", "differs"), ("<= 100", "reproduced")],
)
def test_what_nothing_scatters_is_compared_exactly(reported, verdict):
    amount = Amount(100.0, np.full((1, 1), 100.0), n=1)
    found = judge_number(reported, amount, amount)
    assert (found.verdict, found.reason.split(" ")[0]) == (verdict, "100")


@pytest.mark.parametrize(
    ("reported", "parts", "half", "digits"),
    [("> 0.70", (">", "0.70"), 0, 2), (">=.7", (">=", ".7"), 0, 1), ("0.70", ("", "0.70"), 0.005, 2)],
)
def test_parts_of_what_is_reported(reported, parts, half, digits):
    assert bound_of(reported) == parts
    assert half_unit(reported) == pytest.approx(half)
    assert decimals(reported) == digits


def test_tables_pages_figures_and_the_site_show_bounds(tmp_path):
    row = {"label": "Accuracy", "metric": "accuracy", "reported": "> 0.7"}
    table = {"id": "t", "kind": "settings", "caption": "c", "runs": "base", "rows": [row]}
    curves = {"id": "f", "kind": "curves", "caption": "c", "metric": "accuracy", "splits": ["test"]}
    document = mini(
        convolution(),
        {"base": {}},
        statements=[number("> 0.7")],
        tables=[table],
        figures=[{**curves, "series": ["base"], "reference": "n"}],
    )
    file = tmp_path / "mini.yaml"
    file.write_text(yaml.safe_dump(document))
    report = Report(file)
    check_report(report)
    assert report.figures[0].reference[0].value == "0.7"
    write_results(report, tmp_path / "results/runs", all_runs(report))
    main(["statements", "mini", f"--reports={tmp_path}", f"--results={tmp_path / 'results'}"])
    main(["table", "mini", "t", f"--reports={tmp_path}", f"--results={tmp_path / 'results'}"])
    rows = list(csv.DictReader((tmp_path / "results/statements/mini.csv").open(encoding="utf-8")))
    assert [row["reported"] for row in rows] == ["> 0.7", "> 0.7"]
    assert {row["verdict"] for row in rows} == {"differs"}  # made-up results have an accuracy of 0.5
    assert "does not reach" in rows[0]["reason"]
    assert "0.7" in (tmp_path / "results/tables/mini/t.md").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "results/statements/mini.json").read_text(encoding="utf-8"))
    entry = record["statements"][0]
    assert sentence(entry).startswith("The report says > 0.7; 1 seed here gave 0.5")
    assert strips(entry)[0].reported is not None
