import csv
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import yaml

from reprise.errors import RepriseError
from reprise.publishing import MARKS
from reprise.publishing.measures import COLUMNS as TABLE_COLUMNS
from reprise.publishing.measures import Tables
from reprise.publishing.statements import COLUMNS, judge_statements, parse, write_statements
from reprise.reports.check import kinds, validate
from reprise.reports.report import Report

IMAGES, CLASSES = 2000, 20
Z = 1.959964
ACCURACY = {
    "low": 0.40,
    "close": 0.41,
    "high": 0.50,
    "lost": 1 / CLASSES,
    "search/trial=0": 0.50,
    "search/trial=1": 0.42,
    "search/trial=2": 0.40,
}


@dataclass(frozen=True)
class Cell:
    name: str
    runs: tuple[str, ...]


CELLS = {name: Cell(name, tuple(f"{name}-{seed}" for seed in range(3))) for name in [*ACCURACY, "absent"]}


def resolve(selector):
    found = [cell for name, cell in CELLS.items() if name == selector or name.startswith(selector + "/")]
    if not found:
        raise RepriseError(f"selector '{selector}': no experiment {selector}")
    return found


def make_tables():
    """Three seeds of every cell but `absent`; overfits from epoch 2 of 4 on; three seeds differ by ± 0.5
    points.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    history, final, predictions = [], [], []
    for name, mean in ACCURACY.items():
        for seed, run in enumerate(CELLS[name].runs):
            right = np.zeros(IMAGES, dtype=bool)
            right[rng.choice(IMAGES, round((mean + (seed - 1) * 0.005) * IMAGES), replace=False)] = True
            if name == "lost":
                right = labels == seed
            accuracy = right.mean()
            wrong = (labels + 1) % CLASSES
            predicted = np.full(IMAGES, seed) if name == "lost" else np.where(right, labels, wrong)
            predictions.append(
                pd.DataFrame(
                    {"run": run, "image": np.arange(IMAGES), "label": labels, "predicted": predicted}
                )
            )
            values = {
                "accuracy": accuracy,
                "selected_epoch": 2 + (seed == 2),
                "test_images": IMAGES,
                "gap": 0.1,
                "parameters": 1000,
            }
            final += [(run, metric, value) for metric, value in values.items()]
            for epoch, train, test in ((1, 2.0, 2.1), (2, 1.5, 1.8), (3, 1.0, 2.0), (4, 0.5, 2.5)):
                history.append((run, epoch, "train", train + 0.01 * seed, 0.2 * epoch))
                history.append((run, epoch, "test", test + 0.01 * seed, accuracy - 0.01 * abs(epoch - 2)))
    return Tables(
        pd.DataFrame(history, columns=["run", "epoch", "split", "loss", "accuracy"]),
        pd.DataFrame(final, columns=["run", "metric", "value"]),
        pd.concat(predictions, ignore_index=True),
    )


@pytest.fixture(scope="module")
def tables():
    return make_tables()


def accuracy(runs, **more):
    return {"metric": "accuracy", "runs": runs, **more}


def claim(*holds, **measures):
    return {"id": "c", "kind": "claim", "text": "a claim", "holds": list(holds), "measures": measures}


def measured_number(reported, **more):
    return {"id": "n", "kind": "number", "text": "a number", "reported": reported, **more}


def judged(tables, *statements):
    return [outcome.judgement.verdict for outcome in judge_statements(statements, "report", resolve, tables)]


PAIR = {
    "low": accuracy("low"),
    "high": accuracy("high"),
    "close": accuracy("close"),
    "lost": accuracy("lost"),
    "absent": accuracy("absent"),
}
SEARCH = {"search": accuracy("search")}


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ("high > low", "reproduced"),
        ("low < high", "reproduced"),
        ("low > high", "contradicted"),
        ("high < low", "contradicted"),
        ("close > low", "differs"),
        ("close < low", "differs"),
        ("high > absent", "not run"),
        ("high - low > 0.05", "reproduced"),
        ("high - low > 0.1", "differs"),
        ("high - low > 0.15", "contradicted"),
        ("2 * (high - low) / 4 > 0.02", "reproduced"),
        ("-low > -high", "reproduced"),
        ("high > 0.45", "reproduced"),
        ("low within 0.06 of close", "reproduced"),
        ("low within 0.01 of close", "differs"),
        ("low within 0.05 of high", "contradicted"),
        ("low within 0.05 of absent", "not run"),
        ("lost at chance", "reproduced"),
        ("low at chance", "contradicted"),
        ("absent at chance", "not run"),
        ("spread(high) > spread(low)", "differs"),
        ("spread(absent) > spread(low)", "not run"),
        ("spread(low) < spread(absent)", "not run"),
    ],
)
def test_relations(tables, relation, verdict):
    names = {name: measure for name, measure in PAIR.items() if name in relation}
    assert judged(tables, claim(relation, **names)) == [verdict]


@pytest.mark.parametrize(
    ("relation", "runs", "verdict"),
    [
        ('argmax(a) = "search/trial=0"', "search", "reproduced"),
        ("argmax(a) = 'search/trial=1'", "search", "contradicted"),
        ('argmin(a) = "search/trial=2"', "search", "differs"),
        ('argmin(a) = "search/trial=0"', "search", "contradicted"),
    ],
)
def test_the_best_of_several_cells(tables, relation, runs, verdict):
    assert judged(tables, claim(relation, a=accuracy(runs))) == [verdict]


def test_a_best_with_a_missing_cell_is_not_run(tables, monkeypatch):
    monkeypatch.setitem(CELLS, "search/trial=3", Cell("search/trial=3", ("nowhere",)))
    outcome = judge_statements(
        [claim('argmax(a) = "search/trial=0"', **{"a": accuracy("search")})], "r", resolve, tables
    )[0]
    assert outcome.judgement.verdict == "not run"
    assert "search/trial=3" in outcome.judgement.reason


@pytest.fixture
def shaken(tables):
    """The tables with one seed of `high` collapsed in the last epoch."""
    history = tables.history.copy()
    history.loc[
        (history["run"] == "high-2") & (history["split"] == "test") & (history["epoch"] == 4),
        ["loss", "accuracy"],
    ] = (9.0, 0.05)
    return Tables(history, tables.final, tables.predictions)


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_configuration_whose_seeds_differ(shaken, metric):
    shaky, steady = ({"metric": metric, "at": "last", "runs": runs} for runs in ("high", "search"))
    verdicts = [
        judged(shaken, claim(relation, a=shaky, b=steady))[0]
        for relation in ("spread(a) > spread(b)", "spread(b) < spread(a)")
    ]
    assert verdicts == ["reproduced", "reproduced"]
    assert judged(shaken, claim("spread(a) < spread(b)", a=shaky, b=steady)) == ["contradicted"]
    assert (
        judge_statements([claim("spread(a) > spread(b)", a=shaky, b=steady)], "r", resolve, shaken)[0].n == 3
    )


def test_a_configuration_on_both_sides_of_a_spread_counts_on_the_first(shaken, monkeypatch):
    monkeypatch.setitem(CELLS, "all/high", Cell("all/high", CELLS["high"].runs))
    monkeypatch.setitem(CELLS, "all/low", Cell("all/low", CELLS["low"].runs))
    a, b = ({"metric": "loss", "at": "last", "runs": runs} for runs in ("all/high", "all"))
    outcome = judge_statements([claim("spread(a) > spread(b)", a=a, b=b)], "r", resolve, shaken)[0]
    assert outcome.judgement.verdict == "reproduced"
    assert "(2 and 2 degrees of freedom)" in outcome.judgement.reason


# ---- the best model ----


def with_validation(tables):
    """Validation accuracies that prefer the second seed of `search/trial=1`, whatever the test images say."""
    rows = [
        (run, epoch, "validation", 1.0, 0.6 + 0.2 * (run == "search/trial=1-1"))
        for run in tables.history["run"].unique()
        for epoch in (1, 2, 3, 4)
    ]
    history = tables.history[tables.history["split"] == "train"]
    return Tables(
        pd.concat([history, pd.DataFrame(rows, columns=history.columns)]), tables.final, tables.predictions
    )


@pytest.fixture(scope="module")
def validated(tables):
    return with_validation(tables)


BEST = accuracy("search", pick="best")


@pytest.mark.parametrize(
    ("reported", "verdict"), [("0.420", "reproduced"), ("0.50", "differs"), ("0.36", "differs")]
)
def test_the_number_of_the_best_model_is_that_of_the_picked_run(validated, reported, verdict):
    outcome = judge_statements([measured_number(reported, measure=BEST)], "r", resolve, validated)[0]
    assert (outcome.judgement.verdict, outcome.n, outcome.spread) == (verdict, 1, "")
    assert float(outcome.judgement.measured) == pytest.approx(0.42)
    assert "picked: run search/trial=1-1 of search/trial=1" in outcome.judgement.reason


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [("high > best", "reproduced"), ("best > high", "contradicted"), ("best > close", "differs")],
)
def test_claims_of_the_best_model(validated, relation, verdict):
    measures = {"high": accuracy("high"), "close": accuracy("close"), "best": BEST}
    assert judged(
        validated,
        claim(relation, **{name: measure for name, measure in measures.items() if name in relation}),
    ) == [verdict]


def test_the_noise_of_the_best_model_is_binomial_with_the_stated_default(validated):
    beside = {
        **measured_number("0.5", measure=accuracy("high")),
        "id": "beside",
    }  # three seeds, which would give t = 4.3
    outcome = judge_statements([claim("best > 0.1", best=BEST), beside], "r", resolve, validated)[0]
    assert outcome.judgement.noise == pytest.approx(
        1.959964 * (0.005**2 + 0.42 * 0.58 / IMAGES) ** 0.5, rel=1e-4
    )


def test_the_best_model_is_not_run_until_all_are(validated, monkeypatch):
    monkeypatch.setitem(CELLS, "search/trial=3", Cell("search/trial=3", ("nowhere",)))
    outcome = judge_statements([measured_number("0.42", measure=BEST)], "r", resolve, validated)[0]
    assert outcome.judgement.verdict == "not run"
    assert "not every configuration of search is trained" in outcome.judgement.reason


def test_what_the_best_model_is_picked_from_does_not_enter_the_pool(validated):
    def width(*more):
        loss = {"metric": "loss", "split": "train", "at": "last"}
        statements = [
            measured_number("0.5", measure={**loss, "runs": "high"}),
            *({**measured_number("1", measure=item), "id": "m"} for item in more),
        ]
        return judge_statements(statements, "r", resolve, validated)[0].judgement.noise

    assert width(BEST) == width()
    assert width({**BEST, "pick": None, "cells": "max"}) < width()


def test_conjunctions(tables):
    assert judged(
        tables, claim("high > low", "high > close", **{k: PAIR[k] for k in ("low", "high", "close")})
    ) == ["reproduced"]
    assert judged(
        tables, claim("high > low", "close > low", **{k: PAIR[k] for k in ("low", "high", "close")})
    ) == ["differs"]
    assert judged(
        tables,
        claim("high > low", "low > close", "close > high", **{k: PAIR[k] for k in ("low", "high", "close")}),
    ) == ["contradicted"]
    assert judged(
        tables, claim("high > low", "absent > low", **{k: PAIR[k] for k in ("low", "high", "absent")})
    ) == ["not run"]


@pytest.mark.parametrize(
    ("spec", "verdict"),
    [
        ({"reported": "0.500", "measure": accuracy("high")}, "reproduced"),
        ({"reported": "0.55", "measure": accuracy("high")}, "differs"),
        ({"reported": "0.56", "about": 0.05, "measure": accuracy("high")}, "reproduced"),
        ({"reported": "0.40", "measure": accuracy("absent")}, "not run"),
        ({"reported": "2", "measure": {"metric": "best_epoch", "runs": "high"}}, "reproduced"),
        ({"reported": "9", "measure": {"metric": "best_epoch", "runs": "high"}}, "differs"),
        ({"reported": "0.05", "measure": {"metric": "chance", "runs": "high"}}, "reproduced"),
        ({"reported": "0.01", "measure": {"metric": "chance", "runs": "high"}}, "differs"),
        (
            {
                "reported": "1",
                "value": "p / 1e3",
                "measures": {"p": {"metric": "parameters", "runs": "high"}},
            },
            "reproduced",
        ),
        (
            {
                "reported": "10.0",
                "value": "100 * (h - l)",
                "measures": {"h": accuracy("high"), "l": accuracy("low")},
            },
            "reproduced",
        ),
        (
            {
                "reported": "20.0",
                "value": "100 * (h - l)",
                "measures": {"h": accuracy("high"), "l": accuracy("low")},
            },
            "differs",
        ),
        ({"reported": "0.50", "measure": accuracy("search", cells="max")}, "reproduced"),
        ({"reported": "0.40", "measure": accuracy("search", cells="min")}, "reproduced"),
        ({"reported": "0.44", "measure": accuracy("search", cells="mean")}, "reproduced"),
        ({"reported": "0.50", "measure": accuracy("search", cells="mean")}, "differs"),
        ({"reported": "0.48", "measure": accuracy("high", at={"epoch": 9})}, "not run"),
    ],
)
def test_numbers(tables, spec, verdict):
    assert judged(tables, measured_number(**spec)) == [verdict]


def test_a_curve_that_turns_upward(tables):
    loss = {"metric": "loss", "runs": "high"}
    measures = {
        "first": {**loss, "at": {"epoch": 1}},
        "lowest": {**loss, "at": "best"},
        "last": {**loss, "at": "last"},
    }
    assert judged(tables, claim("last - lowest > 0.3", "first > lowest", **measures)) == ["reproduced"]
    assert judged(tables, claim("last < lowest", last=measures["last"], lowest=measures["lowest"])) == [
        "contradicted"
    ]


def test_some_seeds_missing_means_fewer_seeds(tables, monkeypatch):
    monkeypatch.setitem(CELLS, "high", Cell("high", ("high-0", "high-1", "not trained")))
    outcome = judge_statements([measured_number("0.50", measure=accuracy("high"))], "r", resolve, tables)[0]
    assert (outcome.n, outcome.judgement.verdict, outcome.judgement.measured) == (2, "reproduced", "0.497")


def test_a_diverged_seed_is_a_difference_not_an_error(tables):
    final = tables.final.copy()
    final.loc[(final["run"] == "high-1") & (final["metric"] == "gap"), "value"] = np.nan
    broken = Tables(tables.history, final, tables.predictions)
    gap = {"metric": "gap", "runs": "high"}
    assert judged(broken, measured_number("0.1", measure=gap), claim("g > 0", g=gap)) == [
        "differs",
        "differs",
    ]


def test_seeds_are_pooled_over_every_configuration_that_the_statements_name(tables, monkeypatch):
    def width(*runs):
        statements = [
            {**measured_number("2.5", measure={"metric": "loss", "at": "last", "runs": name}), "id": name}
            for name in runs
        ]
        return judge_statements(statements, "r", resolve, tables)[0].judgement.noise

    assert width("high", "low", "close", "search/trial=1") < width("high")
    monkeypatch.setitem(CELLS, "again", Cell("again", CELLS["high"].runs))
    assert width("high", "again") == width("high")  # the same runs under another name count once


def test_predictions_of_the_same_images_sharpen_a_claim():
    """A network that is right wherever another is, and on 30 of 2000 images more, is better, though two
    binomials could not tell.
    """
    labels = np.arange(IMAGES) % CLASSES
    base = labels.copy()
    base[:1000] = (labels[:1000] + 1) % CLASSES
    better = base.copy()
    better[:30] = labels[:30]
    frames = [
        pd.DataFrame(
            {"run": f"{name}-{seed}", "image": range(IMAGES), "label": labels, "predicted": predicted}
        )
        for name, predicted in (("low", base), ("high", better))
        for seed in range(3)
    ]
    final = [
        (f"{name}-{seed}", m, v)
        for name, a in (("low", 0.5), ("high", 0.515))
        for seed in range(3)
        for m, v in (("accuracy", a), ("test_images", IMAGES))
    ]
    history = pd.DataFrame(columns=["run", "epoch", "split", "loss", "accuracy"])
    paired = Tables(history, pd.DataFrame(final, columns=["run", "metric", "value"]), pd.concat(frames))
    unpaired = Tables(history, paired.final, paired.predictions[:0])
    statement = claim("high > low", high=accuracy("high"), low=accuracy("low"))
    assert judged(paired, statement) == ["reproduced"]
    assert judged(unpaired, statement) == ["differs"]


# ---- mistakes ----


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            claim("high > lwo", high=PAIR["high"], low=PAIR["low"]),
            "report: statement c: 'high > lwo': no measure 'lwo'; did you mean low?",
        ),
        (
            claim("high >= low", high=PAIR["high"], low=PAIR["low"]),
            "'high >= low': expected a measure or a number, found '='",
        ),
        (
            claim("high low", high=PAIR["high"], low=PAIR["low"]),
            "expected '>', '<', 'within' or 'at chance', found 'low'",
        ),
        (
            claim("high > low > 0", high=PAIR["high"], low=PAIR["low"]),
            "unexpected '>'; write further relations as further entries",
        ),
        (claim("high >", high=PAIR["high"]), "expected a measure or a number, found 'the end'"),
        (claim("", high=PAIR["high"]), "expected a measure or a number, found 'the end'"),
        (claim("(high > 1", high=PAIR["high"]), "expected ')', found '>'"),
        (claim("high * low > 1", high=PAIR["high"], low=PAIR["low"]), "multiplied and divided by numbers"),
        (claim("1 / high > 1", high=PAIR["high"]), "multiplied and divided by numbers"),
        (claim("high / 0 > 1", high=PAIR["high"]), "by numbers other than 0"),
        (claim("2 > 1", high=PAIR["high"]), "it names no measure"),
        (
            claim("high within low of 1", high=PAIR["high"], low=PAIR["low"]),
            "expected the margin after 'within', found 'low'",
        ),
        (claim("high within 0.1 low", high=PAIR["high"], low=PAIR["low"]), "expected 'of', found 'low'"),
        (claim("high at last", high=PAIR["high"]), "expected 'chance', found 'last'"),
        (claim("2 * high at chance", high=PAIR["high"]), "takes one measure alone"),
        (
            claim("high at chance", high={"metric": "loss", "runs": "high"}),
            "only an accuracy can be at chance",
        ),
        (claim("__import__ > 1", high=PAIR["high"]), "no measure '__import__'"),
        (claim("high > 0", high=PAIR["high"], low=PAIR["low"]), "measure 'low' is never used"),
        (claim("of > 0", of=PAIR["high"]), "measure 'of' has the name of a relation"),
        (claim("spread > 0", spread=PAIR["high"]), "measure 'spread' has the name of a relation"),
        (claim("spread(high) > 0.1", high=PAIR["high"]), "expected 'spread', found '0.1'"),
        (
            claim("spread(high) within 0.1 of spread(high)", high=PAIR["high"]),
            "expected '>' or '<', found 'within'",
        ),
        (claim("spread high > spread(high)", high=PAIR["high"]), "expected '(', found 'high'"),
        (claim("spread(2) > spread(high)", high=PAIR["high"]), "takes one measure alone"),
        (
            claim("spread(a) > spread(b)", a=accuracy("high"), b=accuracy("low", at="last")),
            "only measures of the same metric, split and epoch",
        ),
        (
            claim("spread(a) > spread(b)", a=accuracy("high"), b=BEST),
            "leave 'cells', 'effect' and 'pick' out of measure 'b'",
        ),
        (
            claim('argmax(a) = "search/trial=0"', a=accuracy("search", cells="max")),
            "leave 'cells', 'effect' and 'pick' out of measure 'a'",
        ),
        (claim("a > 0", a=accuracy("hihg")), "report: statement c: selector 'hihg': no experiment hihg"),
        (
            claim("a > 0", a=accuracy("search")),
            "measure 'a': search names 3 configurations; add cells: mean, max or min, effect: an axis, or "
            "pick: best",
        ),
        (
            claim('argmax(a) = "search/trial=9"', a=accuracy("search")),
            "report: statement c: selector 'search/trial=9'",
        ),
        (claim('argmax(a) = "high"', a=accuracy("search")), "'argmax(a) = \"high\"': high is none of search"),
        (
            claim("argmax(a) = high", a=accuracy("search")),
            "expected the selector of a cell in quotes, found 'high'",
        ),
        (claim('argmax(a + 1) = "high"', a=accuracy("search")), "expected ')', found '+'"),
        (
            measured_number("1", value="a +", measures={"a": accuracy("high")}),
            "report: statement n: 'a +': expected a measure",
        ),
        (measured_number("1", value="a b", measures={"a": accuracy("high")}), "unexpected 'b'"),
        (measured_number("1", value="3", measures={"a": accuracy("high")}), "it names no measure"),
        (
            measured_number("1", measure=accuracy("high", spilt="test")),
            "measure 'measure': metric 'accuracy' takes no 'spilt'; did you mean split?",
        ),
    ],
)
def test_mistakes_name_the_statement_and_the_remedy(statement, message):
    with pytest.raises(RepriseError) as error:
        parse([statement], "report", resolve)
    assert message in str(error.value)
    assert str(error.value).startswith("report: statement ")
    assert "\n" not in str(error.value)


def test_a_mistake_that_only_the_tables_show_names_the_statement(tables):
    with pytest.raises(
        RepriseError, match="report: statement n: run high-0: its history has no split 'validation'"
    ):
        judged(tables, measured_number("1", measure=accuracy("high", split="validation")))


# ---- grids, searches and studies of a report file ----


DEFAULTS = {
    "dataset": {"name": "cifar10", "labels": "label"},
    "split": {"validation": 0.1},
    "model": {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "training": {"epochs": 8, "batch_size": 64, "select": "best_accuracy"},
    "seeds": [0],
}
OPTIMIZERS = {"sgd": {"name": "sgd", "lr": 0.1, "momentum": 0.9}, "adam": {"name": "adam", "lr": 0.1}}
SPACE = {
    "optimizer": {"path": "optimizer", "values": OPTIMIZERS},
    "lr": {"path": "optimizer.lr", "values": [0.0039, 0.01]},
    "weight_decay": {"path": "optimizer.weight_decay", "values": [0.001, 0.002]},
}
GRID = {
    "rate": {"path": "optimizer.weight_decay", "values": [0.1, 0.3, 0.5]},
    "decay": {"path": "optimizer.lr", "values": [0.01, 0.1]},
}


def open_report(folder, **experiment):
    file = folder / "tiny.yaml"
    document = {"slug": "tiny", "title": "Tiny", "defaults": DEFAULTS, "experiments": {"cnn": experiment}}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return Report(file)


def results(report, accuracy, epochs=lambda cell: 8):
    """Results of every run: validation accuracy `accuracy(cell)` at the selected epoch, the first; 100 test
    images, right as often.

    Of the ten classes, labels 0 to 4 are right twice as often as labels 5 to 9.
    """
    history, final, predictions = [], [], []
    labels = np.repeat(np.arange(10), 10)
    for cell in report.cells("cnn"):
        for run in cell.runs:
            for epoch in range(1, epochs(cell) + 1):
                right = accuracy(cell) - 0.01 * (epoch > 1)
                history += [(run, epoch, "train", 1.0, 0.9), (run, epoch, "validation", 1.0, right)]
            values = {
                "selected_epoch": 1,
                "accuracy": accuracy(cell),
                "test_images": 10000,
                "validation_images": 10000,
            }
            values |= {"parameters.1_dense": 30730, "channel_mean.red": 0.4914}
            final += [(run, name, value) for name, value in values.items()]
            share = accuracy(cell) * np.where(labels < 5, 4, 2) / 3
            right = np.tile(np.arange(10), 10) < np.round(10 * share)
            predictions.append(
                pd.DataFrame(
                    {"run": run, "image": range(100), "label": labels, "predicted": (labels + 1 - right) % 10}
                )
            )
    frames = {"history": history, "final": final}
    return Tables(
        **{name: pd.DataFrame(rows, columns=list(TABLE_COLUMNS[name])) for name, rows in frames.items()},
        predictions=pd.concat(predictions),
        class_names={run: list("abcdefghij") for cell in report.cells("cnn") for run in cell.runs},
    )


def outcome(report, tables, statement):
    return judge_statements([statement], "tiny", report.cells, tables)[0]


def effect(axis, **more):
    return {"metric": "accuracy", "split": "validation", "at": "best", "runs": "cnn", "effect": axis, **more}


RATES, DECAYS = {0.1: 0.60, 0.3: 0.56, 0.5: 0.50}, {0.01: 0.01, 0.1: -0.01}


@pytest.fixture(scope="module")
def regularized(tmp_path_factory):
    """A grid of three rates, which cost 10 points, by two decays, which cost 2."""
    report = open_report(tmp_path_factory.mktemp("grid"), grid=GRID)
    return report, results(report, lambda cell: RATES[cell.settings["rate"]] + DECAYS[cell.settings["decay"]])


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ("rate > decay", "reproduced"),
        ("decay > rate", "contradicted"),
        ("rate > 0", "reproduced"),
        ("rate - decay > 0.08", "differs"),
        ("rate within 0.05 of decay", "contradicted"),
    ],
)
def test_how_much_an_axis_matters(regularized, relation, verdict):
    measures = {name: effect(name) for name in ("rate", "decay") if name in relation}
    found = outcome(*regularized, claim(relation, **measures))
    assert found.judgement.verdict == verdict
    if relation == "rate > decay":
        assert found.judgement.measured == "0.1000 > 0.0200"


def test_the_noise_of_an_effect(regularized):
    """Rate: means of two cells each, three levels; decay: means of three, two levels. s = 0.005, one seed;
    10,000 validation images.
    """
    found = outcome(*regularized, claim("rate > decay", rate=effect("rate"), decay=effect("decay")))

    def variance(*cells):
        return sum(0.005**2 + p * (1 - p) / 10000 for p in cells)

    tukey = 3.314493 / (2**0.5 * Z)  # quantile of the studentized range of three means, from a printed table
    rate = tukey**2 * variance(0.61, 0.59, 0.51, 0.49) / 2**2
    decay = variance(0.61, 0.57, 0.51, 0.59, 0.55, 0.49) / 3**2
    assert found.judgement.noise == pytest.approx(Z * (rate + decay) ** 0.5, rel=1e-4)


def test_a_reported_effect_is_a_number(regularized):
    assert (
        outcome(*regularized, measured_number("0.100", measure=effect("rate"))).judgement.verdict
        == "reproduced"
    )
    assert (
        outcome(*regularized, measured_number("0.15", measure=effect("rate"))).judgement.verdict == "differs"
    )


def test_a_diverged_cell_leaves_an_effect_unknown(regularized):
    report, tables = regularized
    history = tables.history.copy()
    history.loc[history["run"] == report.cells("cnn")[0].runs[0], "accuracy"] = np.nan
    broken = Tables(history, tables.final, tables.predictions)
    assert outcome(report, broken, claim("rate > 0", rate=effect("rate"))).judgement.verdict == "differs"


def test_an_effect_needs_a_grid(tmp_path):
    search = {"trials": 6, "seed": 1, "space": SPACE}
    report = open_report(tmp_path, random=search)
    found = outcome(report, results(report, lambda cell: 0.5), claim("a > 0", a=effect("optimizer")))
    assert found.judgement.verdict == "not run"
    assert (
        "no combination of the other axes of cnn was run with every value of optimizer; name a grid"
        in found.judgement.reason
    )
    one = open_report(tmp_path, grid={"rate": {"path": "optimizer.lr", "values": [0.1]}})
    found = outcome(one, results(one, lambda cell: 0.5), claim("a > 0", a=effect("rate")))
    assert (found.judgement.verdict, found.judgement.reason) == (
        "not run",
        "rate has one value in cnn, so its effect is not known.",
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (claim("a > 0", a=effect("rat")), "measure 'a': effect: cnn has no axis rat; did you mean rate?"),
        (claim("a at chance", a=effect("rate")), "only an accuracy can be at chance"),
        (
            claim('argmax(a) = "cnn/rate=0.1"', a=effect("rate")),
            "leave 'cells', 'effect' and 'pick' out of measure 'a'",
        ),
        (
            measured_number("1", measure={"metric": "setting", "setting": "optimizer.lr", "runs": "cnn"}),
            "cnn names 6 configurations; add pick: best",
        ),
        (
            measured_number(
                "1", measure={"metric": "setting", "setting": "optimizer.lrr", "runs": "cnn", "pick": "best"}
            ),
            "measure 'measure': the runs have no setting 'optimizer.lrr'; did you mean optimizer.lr?",
        ),
        (
            claim(
                'argmax(a) = "cnn/rate=0.1"',
                a={"metric": "setting", "setting": "optimizer.lr", "runs": "cnn"},
            ),
            "compares results; measure 'a' is a setting",
        ),
    ],
)
def test_mistakes_in_measures_of_a_grid(regularized, statement, message):
    with pytest.raises(RepriseError) as error:
        parse([statement], "tiny", regularized[0].cells)
    assert str(error.value).startswith("tiny: statement ")
    assert message in str(error.value)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study in which the trials with SGD and the small rate win; half of the others are stopped early."""
    report = open_report(
        tmp_path_factory.mktemp("study"),
        asha={"trials": 16, "seed": 3, "min_resource": 1, "reduction_factor": 2, "space": SPACE},
    )
    kinds = {(cell.settings["optimizer"], cell.settings["lr"]) for cell in report.cells("cnn")}
    assert len(kinds) == 4  # else the seed is a bad one for these tests

    def wins(cell):
        return cell.settings["optimizer"] == "sgd" and cell.settings["lr"] == 0.0039

    stops = {cell.name: 8 if wins(cell) or cell.settings["trial"] % 2 else 2 for cell in report.cells("cnn")}
    return (
        report,
        results(report, lambda cell: 0.7 if wins(cell) else 0.6, lambda cell: stops[cell.name]),
        stops,
    )


TRIALS = {"metric": "accuracy", "split": "validation", "at": "best", "runs": "cnn"}


@pytest.mark.parametrize(
    ("winner", "verdict"),
    [
        ("cnn/optimizer=sgd,lr=0.0039", "reproduced"),
        ("cnn/optimizer=sgd,lr=3.9e-3", "reproduced"),
        ("cnn/optimizer=sgd", "reproduced"),
        ("cnn/optimizer=adam", "contradicted"),
        ("cnn/lr=0.01", "contradicted"),
    ],
)
def test_which_settings_a_search_prefers(searched, winner, verdict):
    report, tables, _ = searched
    found = outcome(report, tables, claim(f'argmax(trials) = "{winner}"', trials=TRIALS))
    assert found.judgement.verdict == verdict
    assert found.judgement.measured.startswith("largest is cnn/trial=")


def test_equal_winners_leave_it_open(searched):
    report, tables, _ = searched
    trial = next(cell for cell in report.cells("cnn/optimizer=sgd,lr=0.0039"))
    others = [cell for cell in report.cells("cnn/optimizer=sgd,lr=0.0039") if cell is not trial]
    assert others
    found = outcome(
        report, tables, claim(f'argmax(trials) = "cnn/trial={trial.settings["trial"]}"', trials=TRIALS)
    )
    assert found.judgement.verdict == "differs"


def test_a_winner_that_leaves_no_other_to_compare_is_not_run(tables):
    found = judge_statements([claim('argmax(a) = "high"', a=accuracy("high"))], "r", resolve, tables)[0]
    assert (found.judgement.verdict, found.judgement.reason) == (
        "not run",
        "high is all of high and leaves no other to compare.",
    )


def test_what_a_search_did_not_draw_is_not_run(tmp_path):
    report = open_report(
        tmp_path, asha={"trials": 2, "seed": 3, "min_resource": 1, "reduction_factor": 2, "space": SPACE}
    )
    assert {cell.settings["lr"] for cell in report.cells("cnn")} == {0.01}
    tables = results(report, lambda cell: 0.5)
    statements = [
        claim('argmax(trials) = "cnn/lr=0.0039"', trials=TRIALS),
        claim(
            "drawn > undrawn",
            drawn=accuracy("cnn", cells="mean"),
            undrawn=accuracy("cnn/lr=0.0039", cells="mean"),
        ),
        claim('argmax(a) = "cnn/trial=0"', a=accuracy("cnn/lr=0.0039")),
        claim("spread(a) > spread(b)", a=accuracy("cnn"), b=accuracy("cnn/lr=0.0039")),
        measured_number("0.5", measure=accuracy("cnn/lr=0.0039", pick="best")),
        measured_number(
            "0.0039",
            measure={"metric": "setting", "setting": "optimizer.lr", "runs": "cnn/lr=0.0039", "pick": "best"},
        ),
    ]
    for statement in statements:
        found = outcome(report, tables, statement)
        assert (found.judgement.verdict, found.judgement.reason) == (
            "not run",
            "no trial of cnn at scale full has lr 0.0039.",
        )
    with pytest.raises(RepriseError, match=r"lr is never 0\.1"):
        outcome(report, tables, claim('argmax(trials) = "cnn/lr=0.1"', trials=TRIALS))


@pytest.mark.parametrize(
    ("measure", "reported", "about", "verdict"),
    [
        ({"metric": "setting", "setting": "optimizer.lr"}, "0.0039", 0, "reproduced"),
        ({"metric": "setting", "setting": "optimizer.lr"}, "0.005", 0, "differs"),
        ({"metric": "setting", "setting": "optimizer.lr"}, "0.005", 0.001, "reproduced"),
        ({"metric": "setting", "setting": "optimizer.momentum"}, "0.9", 0, "reproduced"),
        ({"metric": "setting", "setting": "schedule.gamma"}, "0.5", 0, None),
        ({"metric": "class_accuracy", "classes": ["a", "b"]}, "0.90", 0, "reproduced"),
        ({"metric": "class_accuracy", "classes": ["a"]}, "0.50", 0, "differs"),
        ({"metric": "class_rank", "classes": ["j"]}, "6", 0, "reproduced"),
        ({"metric": "class_rank", "classes": ["j"]}, "1", 0, "differs"),
        ({"metric": "class_deviation"}, "0.20", 0, "reproduced"),
        ({"metric": "class_variance"}, "0.040", 0, "reproduced"),
        ({"metric": "class_variance"}, "0.100", 0, "differs"),
        ({"metric": "parameters", "layer": "1_dense"}, "30730", 0, "reproduced"),
        ({"metric": "parameters", "layer": "1_dense"}, "30731", 0, "differs"),
        ({"metric": "channel_mean", "channel": "red"}, "0.491", 0, "reproduced"),
        ({"metric": "channel_mean", "channel": "red"}, "0.490", 0, "differs"),
    ],
)
def test_what_the_winner_of_a_search_is_like(searched, measure, reported, about, verdict):
    """Its class accuracies are .9 (labels 0 to 4) and .5 (5 to 9): deviation .2."""
    report, tables, _ = searched
    statement = measured_number(
        reported, measure={**measure, "runs": "cnn", "pick": "best"}, **({"about": about} if about else {})
    )
    if verdict is None:
        with pytest.raises(RepriseError, match=r"the runs have no setting 'schedule\.gamma'"):
            outcome(report, tables, statement)
        return
    found = outcome(report, tables, statement)
    assert (found.judgement.verdict, found.n) == (verdict, 1)
    assert "picked: run" in found.judgement.reason or verdict == "reproduced"


def test_a_percentage_is_computed(searched):
    report, tables, _ = searched
    measures = {"acc": {"metric": "class_accuracy", "classes": ["a"], "runs": "cnn", "pick": "best"}}
    found = outcome(report, tables, measured_number("90.0", value="100 * acc", measures=measures))
    assert (found.judgement.verdict, found.judgement.measured) == ("reproduced", "90.00")
    variance = {"v": {"metric": "class_variance", "runs": "cnn", "pick": "best"}}
    assert (
        outcome(
            report, tables, measured_number("400", value="10000 * v", measures=variance)
        ).judgement.measured
        == "400.0"
    )


def test_a_winner_without_the_setting_differs(tmp_path):
    report = open_report(tmp_path, grid={"optimizer": SPACE["optimizer"]})
    tables = results(report, lambda cell: 0.7 if cell.settings["optimizer"] == "adam" else 0.6)
    momentum = {"metric": "setting", "setting": "optimizer.momentum", "runs": "cnn", "pick": "best"}
    found = outcome(report, tables, measured_number("0.9", measure=momentum))
    assert found.judgement.verdict == "differs"
    assert "is absent or not finite" in found.judgement.reason
    assert "of cnn/optimizer=adam" in found.judgement.reason
    assert outcome(report, tables, claim("m > 0", m=momentum)).judgement.verdict == "differs"
    alone = {**momentum, "pick": None, "runs": "cnn/optimizer=sgd"}
    assert outcome(report, tables, measured_number("0.9", measure=alone)).judgement.verdict == "reproduced"
    empty = Tables(tables.history[:0], tables.final[:0], tables.predictions[:0])
    assert outcome(report, empty, measured_number("0.9", measure=alone)).judgement.verdict == "not run"


def test_the_share_of_trials_that_a_search_stops(searched):
    """Its noise is that of 16 values of 0 or 1, each with s = 0.5."""
    report, tables, stops = searched
    share = sum(epochs < 8 for epochs in stops.values()) / 16
    stopped = {"metric": "stopped_early", "runs": "cnn", "cells": "mean"}
    found = outcome(report, tables, claim("stopped > 0.01", stopped=stopped))
    assert float(found.judgement.measured.split()[0]) == pytest.approx(share, abs=1e-4)
    assert found.judgement.noise == pytest.approx(Z * 0.5 / 4, rel=1e-4)
    assert found.judgement.verdict == ("reproduced" if share - 0.01 > Z / 8 else "differs")
    assert (
        outcome(report, tables, claim("stopped > 0.9", stopped=stopped)).judgement.verdict == "contradicted"
    )
    epochs = {"epochs": {"metric": "epochs", "runs": "cnn", "cells": "mean"}}
    saved = outcome(report, tables, measured_number("0.5", value="1 - epochs / 8", measures=epochs))
    assert float(saved.judgement.measured) == pytest.approx(1 - sum(stops.values()) / 128, abs=0.01)


# ---- output ----

STATEMENTS = [
    {
        "id": "top",
        "kind": "number",
        "text": "a | b",
        "source": "Part 1",
        "reported": "0.500",
        "measure": accuracy("high"),
    },
    {"id": "missing", "kind": "number", "reported": "0.1", "measure": accuracy("absent")},
    claim(
        "high > low", "low within 0.06 of close", **{name: PAIR[name] for name in ("high", "low", "close")}
    ),
]


@pytest.mark.parametrize("scale", ["full", "quick", "demo"])
def test_csv_and_page(tables, tmp_path, scale):
    write_statements(STATEMENTS, "report", resolve, tables, scale, tmp_path / "a.csv", tmp_path / "a.md")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert (
        tuple(reader.fieldnames)
        == COLUMNS
        == ("report", "id", "kind", "text", "reported", "measured", "spread", "n", "scale", "verdict")
    )
    assert rows[0] == {
        "report": "report", "id": "top", "kind": "number", "text": "a | b", "reported": "0.500", "measured": "0.5000", "spread": "0.0050",
        "n": "3", "scale": scale, "verdict": "reproduced",
    }  # fmt: skip
    assert [rows[1][key] for key in ("measured", "spread", "n", "verdict")] == ["", "", "0", "not run"]
    assert rows[2]["reported"] == "high > low; low within 0.06 of close"
    assert rows[2]["measured"] == "0.5000 > 0.4000; 0.4000 and 0.4100 differ by 0.0100"
    assert (rows[2]["kind"], rows[2]["n"], rows[2]["verdict"]) == ("claim", "3", "reproduced")
    assert all(0 < float(noise) < 0.05 for noise in rows[2]["spread"].split("; "))
    page = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert "2 reproduced, 0 differs, 0 contradicted, 1 not run, of 3 statements." in page
    assert "a \\| b (Part 1)" in page
    assert "0.500 lies inside" in page
    assert "absent has no accuracy to measure" in page
    assert (f"> **{MARKS['demo']}.** Only verdicts at scale full judge the report." in page) == (
        scale == "demo"
    )
    assert (f"> **{MARKS['quick']}.** Only verdicts at scale full judge the report." in page) == (
        scale == "quick"
    )
    assert {line.count("|") - line.count("\\|") for line in page.splitlines() if line.startswith("|")} == {8}


def test_a_report_without_statements(tables, tmp_path):
    assert (
        write_statements([], "report", resolve, tables, "full", tmp_path / "a.csv", tmp_path / "a.md") == []
    )
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"


def test_nothing_is_written_on_a_mistake(tables, tmp_path):
    with pytest.raises(RepriseError, match="scale 'ful' is not known; did you mean full"):
        write_statements(STATEMENTS, "report", resolve, tables, "ful", tmp_path / "a.csv", tmp_path / "a.md")
    with pytest.raises(RepriseError, match="no measure 'x'"):
        write_statements(
            [claim("x > 1", a=accuracy("high"))],
            "report",
            resolve,
            tables,
            "full",
            tmp_path / "a.csv",
            tmp_path / "a.md",
        )
    assert list(tmp_path.iterdir()) == []


# ---- schema ----


@pytest.mark.parametrize(
    "statement",
    [
        *STATEMENTS,
        measured_number("2.5", value="a / 1e6", measures={"a": accuracy("x", cells="max")}, about=0.1),
        measured_number("0.42", measure=BEST),
        claim(
            "spread(a) > spread(b)",
            "a > b",
            a={"metric": "loss", "runs": "x", "at": "change"},
            b={"metric": "loss", "runs": "y", "at": "rise"},
        ),
    ],
)
def test_the_schema_takes_valid_statements(statement):
    validate(statement, kinds("statements")[statement["kind"]], "report.yaml")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (measured_number(0.48, measure=accuracy("a")), "reported"),
        (measured_number("0,48", measure=accuracy("a")), "reported"),
        (measured_number("0.48"), "measure"),
        (
            measured_number("0.48", measure=accuracy("a"), value="a", measures={"a": accuracy("a")}),
            "valid under each of",
        ),
        (measured_number("0.48", measures={"a": accuracy("a")}), "value"),
        (
            measured_number("0.48", measure=accuracy("a"), abuot=0.1),
            "abuot: unknown key; did you mean about?",
        ),
        (
            measured_number("0.48", measure=accuracy("a", spilt="test")),
            "measure.spilt: unknown key; did you mean split?",
        ),
        (measured_number("0.48", measure=accuracy("a", at={"epoch": 0})), "measure.at"),
        (measured_number("0.48", measure=accuracy("a", at="lats")), "measure.at"),
        (
            measured_number("0.48", measure=accuracy("a", split="tset")),
            "measure.split: 'tset' is not valid; did you mean test?",
        ),
        (measured_number("0.48", measure=accuracy("a", cells="median")), "measure.cells"),
        (measured_number("0.48", measure=accuracy("a", pick="bets")), "measure.pick"),
        (
            measured_number("0.48", measure=accuracy("a", pik="best")),
            "measure.pik: unknown key; did you mean pick?",
        ),
        (measured_number("0.48", measure={"metric": "accuracy"}), "measure: key runs is missing"),
        (claim(a=accuracy("a")), "holds"),
        (claim("a > 1"), "measures"),
        (claim("A > 1", A=accuracy("a")), "measures"),
    ],
)
def test_the_schema_rejects_mistakes(statement, message):
    with pytest.raises(RepriseError) as error:
        validate(statement, kinds("statements")[statement["kind"]], "report.yaml")
    assert str(error.value).startswith("report.yaml: ")
    assert message in str(error.value)


def test_the_page_shows_what_the_report_is_and_how_it_is_read(tmp_path):
    about = {
        "title": "A title",
        "framework": "Keras",
        "summary": "What it does.",
        "assumptions": ["Padding is | same."],
    }
    about["notes"] = ["vgg16 with random instead of pretrained weights"]
    empty = Tables(*(pd.DataFrame(columns=list(columns)) for columns in TABLE_COLUMNS.values()))
    write_statements(
        [], "slug", lambda selector: [], empty, "full", tmp_path / "a.csv", tmp_path / "a.md", about=about
    )
    page = (tmp_path / "a.md").read_text()
    for text in ("*A title* (Keras)", "What it does.", "## Assumptions", "- Padding is | same."):
        assert text in page
    assert page.startswith(
        "# slug: numbers and claims\n\n> **Vgg16 with random instead of pretrained weights.**\n\n*A title*"
    )
