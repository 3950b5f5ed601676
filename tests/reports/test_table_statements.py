"""Names under `cells` and `measures`, and the statements that tables make: every fact is written once."""

import re

import pytest
import yaml

from mini import convolution, mini
from reprise.errors import RepriseError
from reprise.publishing.statements import parse
from reprise.reports.report import Report
from reprise.schema import plain
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

EXPERIMENTS = {
    "base": {},
    "tuned": {"set": {"optimizer.lr": 0.01}},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}}},
    "lr_1e-4": {"set": {"optimizer.lr": 1e-4}},
}
CELLS = {"slow": "rates/lr=0.1", "best": {"runs": "rates", "pick": "best"}}
MODELS = [{"label": "Base", "runs": "base"}, {"label": "Best + one", "runs": "best"}]


def write(folder, **sections):
    file = folder / "mini.yaml"
    document = mini(convolution(), EXPERIMENTS, **{"cells": CELLS, **sections})
    file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def opened(folder, **sections):
    return Report(write(folder, **sections))


def refusal(folder, **sections):
    file = write(folder, **sections)
    with pytest.raises(RepriseError) as error:
        Report(file)
    assert all(line.startswith(f"{file}:") for line in str(error.value).splitlines())
    found = re.match(rf"{re.escape(str(file))}:[1-9]\d*: ", str(error.value))
    return str(error.value)[found.end() :]


def table(kind="metrics", **more):
    return {"id": "t", "kind": kind, "caption": "Test accuracies.", **more}


def number(measure="accuracy(base)", **more):
    return {"number": "n", "reported": "0.5", "measure": measure, **more}


def told(report):
    """id → what a reader is told, and the expression."""
    return {
        statement.id: (statement.says, statement.reported, statement.measure)
        for statement in report.statements
    }


# ---- statements of tables ----


def test_each_reported_value_of_a_table_of_metrics_is_a_statement(tmp_path):
    rows = [
        {"label": "Base (α)", "measure": "accuracy(base)", "reported": "0.50", "about": 0.1},
        {"label": "ε", "measure": "accuracy(best)", "reported": "0.60", "says": "half", "source": "p. 3"},
        {"label": "Not reported", "measure": "loss(base)"},
        {"label": "Not judged", "measure": "loss(base)", "reported": "2", "judged": False},
    ]
    report = opened(tmp_path, tables=[table(rows=rows, source="Table 1")])
    assert told(report) == {
        "t_base": ("Test accuracies: Base (α) about 0.50", "0.50", "accuracy(base)"),
        "t_2": ("half", "0.60", "accuracy(best)"),
    }
    first, second = report.statements
    assert (first.kind, first.source, first.about) == ("number", "Table 1", 0.1)
    assert second.source == "p. 3"
    assert [measure.pick for one in parse(report.statements, report.where, report.cells, report.names)
            for measure in one.measures] == [None, "best"]  # fmt: skip


def test_a_comparison_makes_a_statement_of_each_model_and_metric(tmp_path):
    rows = [
        {"label": "Rate", "setting": "optimizer.lr", "reported": {"Base": "1e-3"}},
        {"label": "F1 score", "metric": "f1_macro", "reported": {"Base": "0.5", "Best + one": 0.25}},
        {"label": "Last", "metric": "loss", "split": "test", "at": "last", "reported": {"Best + one": "2"}},
        {"label": "Epoch", "metric": "best_epoch", "reported": {"Base": "4th"}, "judged": False},
    ]
    report = opened(tmp_path, tables=[table("comparison", models=MODELS, rows=rows)])
    assert told(report) == {
        "t_base_f1_score": ("Base: F1 score 0.5", "0.5", "f1_macro(base)"),
        "t_best_one_f1_score": ("Best + one: F1 score 0.25", "0.25", "f1_macro(best)"),
        "t_best_one_last": ("Best + one: Last 2", "2", 'loss(best, split="test", at="last")'),
    }


def test_a_table_of_classes_makes_a_statement_of_each_class_mean_and_deviation(tmp_path):
    reported = {
        "Base": {"cat": "52.4", "mean": "64.4"},
        "Best + one": {"automobile": "1", "deviation": "10.8"},
    }
    classes = table(
        "classes", models=MODELS, names={"automobile": "car"}, reported=reported, source="Table 4"
    )
    report = opened(tmp_path, tables=[classes])
    assert told(report) == {
        "t_base_cat": ("Base: cat 52.4", "52.4", '100 * class_accuracy(base, "cat")'),
        "t_base_mean": ("Base: mean over the classes 64.4", "64.4", "100 * recall_macro(base)"),
        "t_best_one_car": ("Best + one: car 1", "1", '100 * class_accuracy(best, "automobile")'),
        "t_best_one_deviation": (
            "Best + one: standard deviation over the classes 10.8",
            "10.8",
            "100 * class_deviation(best)",
        ),
    }
    assert {statement.source for statement in report.statements} == {"Table 4"}


def test_a_table_of_settings_makes_statements_of_its_metrics_alone(tmp_path):
    rows = [
        {"label": "Rate", "setting": "optimizer.lr", "reported": "1e-4"},
        {"label": "Accuracy", "metric": "accuracy", "at": "best", "reported": 0.5},
    ]
    report = opened(tmp_path, tables=[table("settings", runs="lr_1e-4", rows=rows)])
    assert told(report) == {
        "t_accuracy": ("Test accuracies: Accuracy 0.5", "0.5", 'accuracy("lr_1e-4", at="best")')
    }
    parse(report.statements, report.where, report.cells, report.names)


@pytest.mark.parametrize("kind", ["metrics", "settings"])
def test_a_row_can_show_what_a_statement_says(tmp_path, kind):
    own = {"metric": "accuracy"} if kind == "settings" else {}
    more = {"runs": "base"} if kind == "settings" else {}
    statements = [number(about=0.1, says="about a half")]
    made = table(kind, rows=[{"label": "a", "statement": "n", **own}], **more)
    report = opened(tmp_path, tables=[made], statements=statements)
    assert [statement.id for statement in report.statements] == ["n"]
    (row,) = report.tables[0].rows
    assert (row.reported, row.about) == ("0.5", 0.1)
    if kind == "metrics":
        assert row.measure == "accuracy(base)"
        again = table(rows=[{"label": "a", "statement": "n", "measure": "accuracy(tuned)"}])
        assert opened(tmp_path, tables=[again], statements=statements).tables[0].rows[0].measure == (
            "accuracy(tuned)"
        )


def test_a_table_of_classes_can_show_the_numbers_of_another(tmp_path):
    first = table("classes", models=MODELS, names={"automobile": "car"},
                  reported={"Base": {"cat": "52.4"}, "Best + one": {"cat": "60"}})  # fmt: skip
    second = {**table("classes", models=MODELS[:1], reported="t"), "id": "u"}
    for tables in ([first, second], [second, first]):
        report = opened(tmp_path, tables=tables)
        assert sorted(told(report)) == ["t_base_cat", "t_best_one_cat"]
        assert report.item("tables", "u").reported == {"Base": {"cat": "52.4"}}
        assert report.item("tables", "u").names == {"automobile": "car"}


def test_tables_come_first_in_the_order_of_the_file(tmp_path):
    row = {"label": "a", "measure": "accuracy(base)", "reported": "0.5"}
    tables = [{**table(rows=[row]), "id": name} for name in ("second", "first")]
    claim = {"claim": "c", "holds": "accuracy(base) > 0"}
    report = opened(tmp_path, tables=tables, statements=[claim, number()])
    assert [statement.id for statement in report.statements] == ["second_a", "first_a", "c", "n"]
    assert report.statements[2].holds == ["accuracy(base) > 0"]


ROW = {"label": "a", "measure": "accuracy(base)", "reported": "0.5"}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"tables": [table(rows=[ROW, ROW | {"label": "A!"}])]},
            "tables.t: two values make the statement t_a; make their labels differ",
        ),
        (
            {"tables": [table(rows=[ROW])], "statements": [number() | {"number": "t_a"}]},
            "statements.t_a: t_a stands twice",
        ),
        (
            {"tables": [table(rows=[{"label": "a", "statement": "m"}])], "statements": [number()]},
            "tables.t.rows[0].statement: no statement of a number is called 'm'; valid: n",
        ),
        (
            {
                "tables": [table(rows=[{"label": "a", "statement": "c"}])],
                "statements": [{"claim": "c", "holds": "accuracy(base) > 0"}],
            },
            "no statement of a number is called 'c'",
        ),
        (
            {"tables": [table(rows=[ROW | {"statement": "n"}])], "statements": [number()]},
            "tables.t.rows[0]: reported is that of the statement; leave it or the statement out",
        ),
        (
            {"tables": [table("settings", runs="base", rows=[
                {"label": "a", "metric": "accuracy", "reported": "half"}])]},
            "tables.t.rows[0].reported: 'half', reported beside a metric, is no number; write it as printed",
        ),
        (
            {"tables": [table("comparison", models=MODELS, rows=[
                {"label": "a", "metric": "accuracy", "reported": {"Base": "nan"}}])]},
            "'nan', reported beside a metric, is no number",
        ),
        (
            {"tables": [table("classes", models=MODELS, reported="u")]},
            "reported: no other table of classes with numbers is called 'u'",
        ),
        (
            {"tables": [table("classes", models=MODELS, reported="t")]},
            "no other table of classes with numbers is called 't'",
        ),
        (
            {"tables": [table("classes", models=MODELS, reported="u"),
                        {**table("classes", models=MODELS, reported="t"), "id": "u"}]},
            "no other table of classes with numbers is called 'u'",
        ),
        ({"tables": [table(rows=[ROW | {"about": 0.1, "reported": None}])]}, "reported"),
        ({"tables": [table(rows=[ROW | {"jugded": False}])]}, "jugded: unknown key; did you mean judged?"),
    ],
)  # fmt: skip
def test_mistakes_in_tables_that_make_statements(tmp_path, sections, message):
    assert message in refusal(tmp_path, **sections)


def test_a_mistake_in_a_statement_of_a_table_names_both(tmp_path):
    rows = [{"label": "a", "metric": "acuracy", "reported": "0.5"}]
    report = opened(tmp_path, tables=[table("settings", runs="base", rows=rows)])
    with pytest.raises(
        RepriseError,
        match=r"mini\.yaml:\d+: tables\.t\.rows\[0\] \(statement t_a\): 'acuracy\(base\)': column 1: no met",
    ):
        parse(report.statements, report.where, report.cells, report.names)


# ---- names ----


def test_cells_have_names_in_statements_tables_and_figures_alike(tmp_path):
    curves = {"id": "f", "kind": "curves", "caption": "c", "metric": "loss", "splits": ["train"],
              "series": [{"runs": "slow", "after": "slow"}]}  # fmt: skip
    models = [{"label": "Best", "runs": "best"}, {"label": "Slow", "runs": "slow"}]
    figures = [curves, {"id": "g", "kind": "classes", "caption": "c", "models": models}]
    tables = [
        table("trials", runs="slow", metric="accuracy"),
        {**table(rows=[{"label": "a", "measure": "loss(slow) - loss(best)"}]), "id": "u"},
    ]
    report = opened(tmp_path, figures=figures, tables=tables, statements=[number("accuracy(slow)")])
    assert [plain(one) for one in report.figures[0].series] == [
        {"runs": "rates/lr=0.1", "after": "rates/lr=0.1"}
    ]
    assert [plain(one) for one in report.figures[1].models] == [
        {"label": "Best", "runs": "rates", "pick": "best"},
        {"label": "Slow", "runs": "rates/lr=0.1"},
    ]
    assert report.tables[0].runs == "rates/lr=0.1"
    slow = [cell.name for cell in report.cells("slow")]
    assert slow == ["rates/lr=0.1"]
    assert [cell.name for cell in report.cells("best")] == ["rates/lr=0.1", "rates/lr=0.2"]
    assert [[cell.name for cell in report.needed(item)] for item in report.statements] == [slow]
    assert len(report.needed(report.figures[1])) == len(report.needed(report.tables[1])) == 2


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"cells": {"base": "rates"}}, "cells.base: an experiment has this name; choose another"),
        (
            {"cells": {"a": "rates"}, "measures": {"a": "accuracy"}},
            "cells.a: a measure has this name; choose another",
        ),
        ({"cells": {"lambda": "rates"}}, "cells.lambda: lambda is a word of the expressions' grammar"),
        ({"cells": {"a": "rates/lr=0.3"}}, "cells.a: selector 'rates/lr=0.3': lr is never 0.3"),
        ({"cells": {"a": "rate"}}, "cells.a: selector 'rate': no experiment rate; did you mean rates?"),
        ({"cells": {"a": "b", "b": "rates"}}, "cells.a: b is itself a name under cells; write its selector"),
        ({"cells": {"a": "a"}}, "cells.a: a is itself a name under cells"),
        (
            {"cells": {"a": {"runs": "b", "pick": "best"}, "b": {"runs": "a", "pick": "best"}}},
            "cells.a: b is",
        ),
        ({"cells": {"a": {"pick": "best"}}}, "cells.a: key runs is missing (found: pick)"),
        (
            {"cells": {"a": {"runs": "rates", "pick": "worst"}}},
            "cells.a.pick: 'worst' is not valid; valid: best",
        ),
        ({"cells": {"1a": "rates"}}, "cells.1a: '1a' does not have the form"),
        ({"measures": {"a-b": "accuracy"}}, "measures.a-b: 'a-b' does not have the form"),
        ({"measures": {"a": 1}}, "measures.a: should be a text, not 1"),
        (
            {"statements": [number("accuracy(solw)")]},
            "statements.n.measure: 'accuracy(solw)': column 10: selector 'solw': no experiment solw",
        ),
        (
            {"tables": [table(rows=[{"label": "a", "measure": "loss(slow) - loss(bast)"}])]},
            "tables.t.rows[0].measure: 'loss(slow) - loss(bast)': column 19: "
            "selector 'bast': no experiment bast; did you mean best?",
        ),
        (
            {"statements": [number("accuracy(slow")]},
            "statements.n.measure: 'accuracy(slow': column 9: '(' was",
        ),
        (
            {"statements": [{"claim": "c", "holds": ["accuracy(base) > 0", 'loss("rates/l=1") > 0']}]},
            "statements.c.holds[1]: 'loss(\"rates/l=1\") > 0': column 6: selector 'rates/l=1': rates has no",
        ),
        (
            {"tables": [table("trials", runs="solw", metric="accuracy")]},
            "no experiment solw; did you mean slow?",
        ),
        (
            {"tables": [table("trials", runs="best", metric="accuracy")]},
            "tables.t.runs: best is the best run of rates, and whole cells stand here",
        ),
        (
            {"statements": [{"nubmer": "n"}]},
            "statements[0].nubmer: 'nubmer' is no kind of statement (begin it with number: or claim:); did ",
        ),
        (
            {"statements": [{}]},
            "statements[0]: is no kind of statement (begin it with number: or claim:); valid: number, claim",
        ),
        ({"statements": [number(), number()]}, "statements[1]: n stands twice"),
    ],
)
def test_mistakes_in_names_and_expressions(tmp_path, sections, message):
    assert message in refusal(tmp_path, **sections)


def test_an_edited_name_makes_what_uses_it_again(tmp_path):
    """The parameters that Snakemake compares hold what the names mean."""

    def parameters(**changes):
        write(tmp_path, measures={"peak": 'accuracy(at="best")'}, statements=[number("peak(slow)")],
              tables=[table(rows=[{"label": "a", "measure": "peak(slow)"}]),
                      {**table("layers", networks=["net"]), "id": "u"}], **changes)  # fmt: skip
        made = Programme(Config(), tmp_path)
        items = [made.item_params("tables", "mini", name) for name in ("t", "u")]
        return [made.statement_params("mini"), *items]

    first = parameters()
    unused = parameters(cells=CELLS | {"more": "base"})
    assert unused == first
    other = parameters(cells=CELLS | {"slow": "rates/lr=0.2"})
    assert [ours == theirs for ours, theirs in zip(first, other, strict=True)] == [False, False, True]
