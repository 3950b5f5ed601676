"""`reprise check` warns of statements that no result could refute, or none confirm."""

import re

import pytest
import yaml

from mini import convolution, mini
from reprise.publishing.pretended import warnings
from reprise.reports.report import Report

CLASSES = [f"class {number}" for number in range(10)]
EXPERIMENTS = {
    "base": {"title": "Base", "seeds": [0, 1, 2]},
    "other": {"title": "Other", "base": "base", "set": {"optimizer.lr": 0.01}},
    "grid": {
        "title": "Grid",
        "base": "base",
        "grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3]}},
    },
    "search": {
        "title": "Search",
        "random": {
            "trials": 4,
            "seed": 0,
            "space": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3, 0.4]}},
        },
    },
}


def said(tmp_path, *statements: dict) -> list[str]:
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(mini(convolution(), EXPERIMENTS, epochs=20, statements=list(statements))))
    report = Report(path, "full")
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    return warnings(report, dict.fromkeys(runs, CLASSES))


@pytest.mark.parametrize(
    "holds",
    [
        "accuracy(base) > accuracy(other)",
        "accuracy(base) - accuracy(other) > 0.03",
        "within(accuracy(base), accuracy(other), 0.02)",
        'within(loss(base, split="train", at="last"), 2.3026, 0.1)',
        'within(loss(base, split="train", at="last"), 2.3026, 0.1) and accuracy(other) > 0.98',
        "at_chance(accuracy(base))",
        "every(accuracy(grid) > accuracy(base))",
        "some(accuracy(grid) > accuracy(base)) and not gap(base) > 0.1",
        "best(accuracy(grid)) > accuracy(base)",
        "share(accuracy(grid) > 0.5) > 0.6",
        'argbest(accuracy(grid)) == "grid/lr=0.1"',
        'effect(accuracy(grid), "lr") > 0.05',
        'rank("class 3", base) <= 2',
        "spread(loss(base)) > spread(loss(other))",
        'loss(base, at="rise") > 0.2 and best_epoch(base) < 10',
        'accuracy(base, at="last") - accuracy(base, at=5) < 0.01',
    ],
)
def test_a_statement_that_results_can_settle(tmp_path, holds):
    assert said(tmp_path, {"claim": "c", "holds": holds}) == []


@pytest.mark.parametrize(
    ("holds", "what"),
    [
        ("accuracy(base) > -0.01", "refute"),
        ("gap(base) < 1.5", "refute"),
        ("loss(base) > -1 and accuracy(base) < 1.1", "refute"),
        ("every(accuracy(grid) <= 1)", "refute"),
        ("accuracy(base) > 0.5 or accuracy(base) < 1.1", "refute"),
        ('rank("class 3", base) <= 10', "refute"),
        ("epochs(base) < 21", "refute"),
        ("share(accuracy(grid) > 0.5) >= 0", "refute"),
        ("accuracy(base) > 1.01", "confirm"),
        ("accuracy(base) > 0.5 and gap(base) < -1.2", "confirm"),
        ("within(accuracy(base), accuracy(other), 0.0005)", "confirm"),
        ("not accuracy(base) > -1", "confirm"),
        ("some(accuracy(grid) > 1)", "confirm"),
        ("epochs(base) > 20", "confirm"),
        ('rank("class 3", base) < 1', "confirm"),
    ],
)
def test_a_statement_that_no_result_could_settle(tmp_path, holds, what):
    (line,) = said(tmp_path, {"claim": "c", "holds": holds})
    assert re.search(r"mini\.yaml:\d+: ", line)
    assert f"statements.c: no result could {what} it" in line


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"reported": "52.1", "measure": "accuracy(base)"}, "no result could agree with 52.1"),
        ({"reported": "52.1", "measure": "100 * accuracy(base)"}, None),
        ({"reported": "25", "measure": "epochs(base)"}, "no result could agree with 25"),
        ({"reported": "12", "measure": "best_epoch(base)"}, None),
        ({"reported": "0.5", "about": 0.6, "measure": "accuracy(base)"}, "no result could differ from 0.5"),
        ({"reported": "0.5", "about": 0.1, "measure": "accuracy(base)"}, None),
    ],
)
def test_numbers(tmp_path, spec, what):
    lines = said(tmp_path, {"number": "n", **spec})
    assert len(lines) == bool(what)
    assert all(what in line for line in lines)


def test_other_readings_are_looked_at_too(tmp_path):
    also = [{"reading": "any", "holds": "accuracy(base) > -1"}]
    (line,) = said(tmp_path, {"claim": "c", "holds": "accuracy(base) > 0.5", "also": also})
    assert "no result could refute it" in line
