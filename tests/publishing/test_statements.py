import csv
import re
from pathlib import Path

import drawing
import numpy as np
import pandas as pd
import pytest
import yaml
from drawing import judge_statements, parse, write_statements
from ground import Cell

from reprise.errors import RepriseError
from reprise.publishing import MARKS
from reprise.publishing.expressions import Expressions
from reprise.publishing.measures import RESULT_COLUMNS as TABLE_COLUMNS
from reprise.publishing.measures import Tables
from reprise.publishing.statements import STATEMENT_COLUMNS, Jury
from reprise.reports.expressions import Names
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


NAMES = Names(
    cells={"best": {"runs": "search", "pick": "best"}, "trials": {"runs": "search"}},
    measures={
        "acc": "accuracy",
        "last": 'accuracy(at="last")',
        **{f"{name}_loss": f'loss(at="{name}")' for name in ("best", "last")},
    },
)


def claim(*holds):
    return {"claim": "c", "says": "a claim", "holds": list(holds)}


def measured_number(reported, measure="accuracy(high)", **more):
    return {"number": "n", "says": "a number", "reported": reported, "measure": measure, **more}


def judge(tables, *statements):
    return judge_statements(statements, "report", resolve, tables, NAMES)


def judged(tables, *statements):
    return [outcome.judgement.verdict for outcome in judge(tables, *statements)]


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ("acc(high) > acc(low)", "reproduced"),
        ("acc(low) < acc(high)", "reproduced"),
        ("acc(low) > acc(high)", "contradicted"),
        ("acc(high) < acc(low)", "contradicted"),
        ("acc(close) > acc(low)", "reproduced"),
        ("acc(close) < acc(low)", "contradicted"),
        ("acc(high) > acc(absent)", "not run"),
        ("acc(high) - acc(low) > 0.05", "reproduced"),
        ("acc(high) - acc(low) > 0.1", "undecided"),
        ("acc(high) - acc(low) > 0.15", "contradicted"),
        ("0.05 < acc(high) - acc(low)", "reproduced"),
        ("2 * (acc(high) - acc(low)) / 4 > 0.02", "reproduced"),
        ("-acc(low) > -acc(high)", "reproduced"),
        ("+acc(high) > 0.45", "reproduced"),
        ("within(acc(low), acc(close), 0.06)", "reproduced"),
        ("within(acc(low), acc(close), 0.01)", "undecided"),
        ("within(acc(low), acc(high), 0.05)", "contradicted"),
        ("within(acc(high), 0.5, 5e-2)", "reproduced"),
        ("within(acc(low), acc(absent), 0.05)", "not run"),
        ("at_chance(accuracy(lost))", "reproduced"),
        ("at_chance(accuracy(low))", "contradicted"),
        ("at_chance(accuracy(absent))", "not run"),
        ("spread(acc(high)) > spread(acc(low))", "undecided"),
        ("spread(acc(absent)) > spread(acc(low))", "not run"),
        ("spread(acc(low)) < spread(acc(absent))", "not run"),
        ('mean(acc(search)) < max(acc("search"))', "reproduced"),
        ("mean(acc(trials)) > min(acc(trials))", "reproduced"),
        ("acc(low) < acc(high) and acc(high) > acc(close)", "reproduced"),
        ("acc(low) < acc(high) and acc(close) > acc(high)", "contradicted"),
        ("acc(low) < acc(high) > acc(close)", "reproduced"),
        ("acc(low) < acc(close) < acc(high)", "reproduced"),
        ("acc(close) < acc(low) or acc(high) > acc(low)", "reproduced"),
        ("acc(close) < acc(low) or acc(high) < acc(low)", "contradicted"),
        ("not acc(close) < acc(low)", "reproduced"),
        ("not (acc(close) > acc(low) and acc(high) > acc(low))", "contradicted"),
        ("acc(high) >= acc(low) <= acc(close)", "reproduced"),
        ("accuracy(high) <= accuracy(low)", "contradicted"),
        ("acc(high) > acc(low) or acc(absent) > acc(low)", "reproduced"),
        ("acc(high) < acc(low) and acc(absent) > acc(low)", "contradicted"),
        ("not acc(absent) > acc(low)", "not run"),
        ("best(acc(trials)) > acc(close)", "reproduced"),
        ("best(last_loss(trials)) < 3", "reproduced"),
        ("best(acc(search)) < acc(close)", "contradicted"),
        ("every(acc(trials) > acc(lost))", "reproduced"),
        ("every(acc(search) > acc(high) - 0.02)", "contradicted"),
        ("some(acc(trials) > acc(close))", "reproduced"),
        ("some(acc(trials) > 0.9)", "contradicted"),
        ("every(acc(trials) > acc(absent))", "not run"),
        ("share(acc(trials) > 0.46) > 0.2", "reproduced"),
        ("share(acc(trials) > 0.46) < 0.3", "contradicted"),
        ("share(acc(absent) > 0.46) < 0.3", "not run"),
        ("share(acc(trials) > 0.3) >= 1", "reproduced"),
        ("every(within(acc(trials), 0.45, 0.1))", "reproduced"),
        ("every(at_chance(acc(trials)))", "contradicted"),
        ("every(acc(trials) < max(acc(trials)) + 0.03)", "reproduced"),
        ("rank(3, low) <= 15 and rank(0, lost) > 1", "undecided"),
        ("0.3 < acc(low) < 0.45 < acc(high)", "reproduced"),
        ("acc(high) > acc(low) > acc(absent)", "not run"),
    ],
)
def test_relations(tables, relation, verdict):
    assert judged(tables, claim(relation)) == [verdict]


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ('argbest(acc(trials)) == "search/trial=0"', "reproduced"),
        ('not argbest(acc(trials)) == "search/trial=0"', "contradicted"),
        ("argbest(last_loss(trials)) == 'search/trial=0'", "undecided"),
        ('argmax(accuracy(search)) == "search/trial=0"', "reproduced"),
        ("argmax(acc(trials)) == 'search/trial=1'", "contradicted"),
        ('argmin(accuracy(search)) == "search/trial=2"', "reproduced"),
        ('argmin(accuracy("search")) == "search/trial=0"', "contradicted"),
    ],
)
def test_the_best_of_several_cells(tables, relation, verdict):
    assert judged(tables, claim(relation)) == [verdict]


def test_the_cells_that_should_be_best_can_be_named(tables):
    names = Names(cells={"first": {"runs": "search/trial=0"}})
    statement = claim("argmax(accuracy(search)) == first")
    outcome = judge_statements([statement], "r", resolve, tables, names)[0]
    assert outcome.judgement.verdict == "reproduced"


def test_a_best_with_a_missing_cell_is_not_run(tables, monkeypatch):
    monkeypatch.setitem(CELLS, "search/trial=3", Cell("search/trial=3", ("nowhere",)))
    outcome = judge(tables, claim('argmax(accuracy(search)) == "search/trial=0"'))[0]
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


@pytest.mark.parametrize("metric", ["last_loss", "last"])
def test_a_configuration_whose_seeds_differ(shaken, metric):
    shaky, steady = (f"spread({metric}({runs}))" for runs in ("high", "search"))
    assert judged(shaken, claim(f"{shaky} > {steady}")) == ["reproduced"]
    assert judged(shaken, claim(f"{steady} < {shaky}")) == ["reproduced"]
    assert judged(shaken, claim(f"{shaky} < {steady}")) == ["contradicted"]
    assert judge(shaken, claim(f"{shaky} > {steady}"))[0].judgement.n == 3


def test_a_configuration_on_both_sides_of_a_spread_counts_on_the_first(shaken, monkeypatch):
    monkeypatch.setitem(CELLS, "all/high", Cell("all/high", CELLS["high"].runs))
    monkeypatch.setitem(CELLS, "all/low", Cell("all/low", CELLS["low"].runs))
    outcome = judge(shaken, claim('spread(last_loss("all/high")) > spread(last_loss("all"))'))[0]
    low, high = (float(value) for value in outcome.judgement.measured.split()[1::2])
    assert outcome.judgement.verdict == "reproduced"
    assert low > 50 * high  # with itself on the other side it would be √2 of it


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


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("0.420", "reproduced"), ("0.50", "differs"), ("0.36", "differs"), ("0.55", "differs")],
)
def test_the_number_of_the_best_model_is_that_of_another_winner(validated, reported, verdict):
    """Of nine runs in three configurations, which are not drawn: all are trained again."""
    outcome = judge(validated, measured_number(reported, "accuracy(best)"))[0]
    assert (outcome.judgement.verdict, outcome.judgement.n, outcome.judgement.spread) == (verdict, 1, "")
    assert float(outcome.judgement.measured) == pytest.approx(0.42)
    (note,) = outcome.judgement.notes
    assert note.startswith("Measured in run search/trial=1-1 of search/trial=1, the best of 9 by validation")


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ("acc(best) > acc(lost)", "reproduced"),
        ("acc(best) > 0.6", "contradicted"),
        ("acc(best) > acc(close)", "undecided"),
    ],
)
def test_claims_of_the_best_model(validated, relation, verdict):
    assert judged(validated, claim(relation)) == [verdict]


def test_the_best_model_is_not_run_until_all_are(validated, monkeypatch):
    monkeypatch.setitem(CELLS, "search/trial=3", Cell("search/trial=3", ("nowhere",)))
    outcome = judge(validated, measured_number("0.42", "accuracy(best)"))[0]
    assert outcome.judgement.verdict == "not run"
    assert "not every configuration of search is trained" in outcome.judgement.reason


def test_what_the_best_model_is_picked_from_does_not_say_what_is_typical(validated):
    def width(*more):
        statements = [
            measured_number("0.5", 'loss(high, split="train", at="last")'),
            *({**measured_number("1", measure), "number": "m"} for measure in more),
        ]
        return judge(validated, *statements)[0].judgement.settles

    assert width("accuracy(best)") == width()
    assert width("max(accuracy(search))") < width()


@pytest.mark.parametrize("join", [list, lambda parts: [" and ".join(parts)]])
@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        (["acc(high) > acc(low)", "acc(high) > acc(close)"], "reproduced"),
        (["acc(high) > acc(low)", "acc(high) - acc(low) > 0.1"], "undecided"),
        (["acc(high) > acc(low)", "acc(low) > acc(close)", "acc(close) > acc(high)"], "contradicted"),
        (["acc(high) > acc(low)", "acc(absent) > acc(low)"], "not run"),
    ],
)
def test_conjunctions(tables, parts, verdict, join):
    assert judged(tables, claim(*join(parts))) == [verdict]


@pytest.mark.parametrize(
    ("spec", "verdict"),
    [
        ({"reported": "0.500", "measure": "accuracy(high)"}, "reproduced"),
        ({"reported": "0.55", "measure": "accuracy(high)"}, "differs"),
        ({"reported": "0.56", "about": 0.05, "measure": "accuracy(high)"}, "reproduced"),
        ({"reported": "0.40", "measure": "accuracy(absent)"}, "not run"),
        ({"reported": "2", "measure": "best_epoch(high)"}, "reproduced"),
        ({"reported": "9", "measure": "best_epoch(high)"}, "differs"),
        ({"reported": "0.05", "measure": "chance(high)"}, "reproduced"),
        ({"reported": "0.01", "measure": "chance(high)"}, "differs"),
        ({"reported": "1", "measure": "parameters(high) / 1e3"}, "reproduced"),
        ({"reported": "3", "measure": "(parameters(high) + 2 * 1000) / 1000"}, "reproduced"),
        ({"reported": "10.0", "measure": "100 * (acc(high) - acc(low))"}, "reproduced"),
        ({"reported": "20.0", "measure": "100 * (acc(high) - acc(low))"}, "differs"),
        ({"reported": "0.50", "measure": "max(accuracy(search))"}, "reproduced"),
        ({"reported": "0.40", "measure": "min(accuracy(search))"}, "reproduced"),
        ({"reported": "0.44", "measure": "mean(accuracy(search))"}, "reproduced"),
        ({"reported": "0.50", "measure": "mean(accuracy(search))"}, "differs"),
        ({"reported": "0.50", "measure": "best(accuracy(search))"}, "reproduced"),
        ({"reported": "0.33", "measure": "share(accuracy(search) > 0.46)"}, "reproduced"),
        ({"reported": "67", "measure": "100 * share(accuracy(search) > 0.46)"}, "differs"),
        ({"reported": "0.512", "measure": "accuracy(high)"}, "reproduced"),
        ({"reported": "0.512", "measure": "accuracy(high)", "mean_of": 3}, "differs"),
        ({"reported": "0.48", "measure": "accuracy(high, at=9)"}, "not run"),
    ],
)
def test_numbers(tables, spec, verdict):
    assert judged(tables, measured_number(**spec)) == [verdict]


def test_a_curve_that_turns_upward(tables):
    turns = claim("last_loss(high) - best_loss(high) > 0.3", "loss(high, at=1) > best_loss(high)")
    assert judged(tables, turns) == ["reproduced"]
    assert judged(tables, claim("last_loss(high) < best_loss(high)")) == ["contradicted"]


def test_some_seeds_missing_means_fewer_seeds(tables, monkeypatch):
    monkeypatch.setitem(CELLS, "high", Cell("high", ("high-0", "high-1", "not trained")))
    outcome = judge(tables, measured_number("0.50"))[0]
    found = outcome.judgement
    assert (found.n, found.verdict, found.measured) == (2, "reproduced", "0.4975")


def test_a_diverged_seed_is_a_result_not_an_error(tables):
    history = tables.history.copy()
    history.loc[(history["run"] == "high-1") & (history["epoch"] == 4), "loss"] = np.nan
    broken = Tables(history, tables.final, tables.predictions)
    statements = measured_number("2.51", "last_loss(high)"), claim("last_loss(high) > last_loss(low)")
    number, order = judge(broken, *statements)
    assert (number.judgement.verdict, number.judgement.measured) == ("reproduced", "diverged")
    assert (order.judgement.verdict, order.judgement.measured) == ("undecided", "diverged > 2.5100")


def test_what_scatter_is_typical_is_learnt_from_every_configuration_that_the_statements_name(
    tables, monkeypatch
):
    def width(*runs):
        statements = [
            {**measured_number("2.5", f'loss("{name}", at="last")'), "number": f"n{place}"}
            for place, name in enumerate(runs)
        ]
        return judge(tables, *statements)[0].judgement.settles

    assert width("high", "low", "close", "search/trial=1") < width("high")
    monkeypatch.setitem(CELLS, "again", Cell("again", CELLS["high"].runs))
    assert width("high", "again") == width("high")  # the same runs under another name count once


def paired_tables(better):
    """Three seeds each: of 2000 images `low` is right on the last 1000, `high` on those of `better` (N,)."""
    labels = np.arange(IMAGES) % CLASSES
    hits = {"low": np.arange(IMAGES) >= 1000, "high": better}
    wrong = (labels + 1) % CLASSES
    frames, final = [], []
    for name, right in hits.items():
        for seed in range(3):
            predicted = np.where(right, labels, wrong)
            rows = {"run": f"{name}-{seed}", "image": range(IMAGES), "label": labels, "predicted": predicted}
            frames.append(pd.DataFrame(rows))
            facts = {"accuracy": right.mean() + 0.002 * (seed - 1), "test_images": IMAGES}
            final += [(f"{name}-{seed}", metric, value) for metric, value in facts.items()]
    history = pd.DataFrame(columns=["run", "epoch", "split", "loss", "accuracy"])
    return Tables(history, pd.DataFrame(final, columns=["run", "metric", "value"]), pd.concat(frames))


def test_other_images_are_the_same_for_both_networks():
    """A network that is right wherever another is, and on 30 of 2000 images more, is better on other images,
    too; one that is right on other images than the other is not surely so.
    """
    everywhere = np.arange(IMAGES) >= 970
    elsewhere = np.arange(IMAGES) < 1030
    statement = claim("accuracy(high) > accuracy(low)")
    found = [judge(paired_tables(right), statement)[0] for right in (everywhere, elsewhere)]
    assert [one.judgement.verdict for one in found] == ["reproduced", "reproduced"]
    assert [one.beyond_images for one in found] == ["reproduced", "undecided"]


def test_other_images_move_the_winner_of_a_search(validated):
    """It is one run, so they move it as the binomial says."""
    judge_of = Jury(parse([claim("acc(best) > 0.3")], "report", resolve, NAMES), resolve, validated).judge
    value = Expressions(NAMES).value("accuracy(best)", "")
    own, others = (float(np.std(judge_of.amount(value, images=images).total)) for images in (False, True))
    assert others**2 - own**2 == pytest.approx(0.42 * 0.58 / IMAGES, rel=0.3)


def test_a_spread_over_seeds_is_not_asked_of_other_images(shaken):
    text = "spread(last(high)) > spread(last(search))"
    assert judge(shaken, claim(text))[0].beyond_images == ""
    assert judge(shaken, claim(f"{text} and accuracy(high) > 0.1"))[0].beyond_images == "reproduced"


def test_other_images_are_not_asked_where_none_matter(tables):
    (found,) = judge(tables, claim("parameters(high) > 1"))
    assert (found.judgement.verdict, found.beyond_images) == ("reproduced", "")
    (found,) = judge(tables, measured_number("0.5"))
    assert found.beyond_images == ""


# ---- other readings, what follows, what is claimed ----


def test_other_readings_are_judged_beside(tables):
    statement = {
        **claim("best(acc(trials)) > acc(close)"),
        "reading": "the best rate",
        "also": [{"reading": "every rate", "holds": "every(acc(trials) > 0.45)"}],
    }
    (found,) = judge(tables, statement)
    assert (found.judgement.verdict, found.statement.reading) == ("reproduced", "the best rate")
    (other,) = found.also
    assert (other.judgement.verdict, other.statement.reading) == ("contradicted", "every rate")
    number = measured_number("0.5", also=[{"reading": "of low", "measure": "accuracy(low)"}], mean_of=3)
    (found,) = judge(tables, number)
    assert [found.judgement.verdict, found.also[0].judgement.verdict] == ["reproduced", "differs"]
    assert found.also[0].statement.mean_of == 3


def test_a_mistake_in_another_reading_is_one_line():
    also = [{"reading": "every rate", "holds": ["acc(high) > 0", "every(acc(trails) > 0)"]}]
    with pytest.raises(RepriseError, match=r"statement c: 'every.acc.trails. > 0.': .* no experiment trails"):
        parse([{**claim("acc(high) > 0"), "also": also}], "report", resolve, NAMES)


def test_the_difference_that_the_report_claims(tables):
    numbers = [
        {**measured_number(value, f"acc({name})"), "number": name}
        for name, value in (("high", "0.480"), ("low", "0.470"))
    ]
    claims = [
        claim("acc(high) > acc(low)"),
        {**claim("acc(high) - acc(low) > 0.1"), "claim": "d"},
        {**claim("100 * acc(high) < 100 * acc(low)"), "claim": "e"},
        {**claim("acc(high) > acc(close)"), "claim": "f"},
    ]
    found = judge(tables, *numbers, *claims)[2:]
    assert [one.judgement.claimed for one in found] == [
        pytest.approx(0.01),
        pytest.approx(-0.09),
        pytest.approx(1.0),
        pytest.approx(float("nan"), nan_ok=True),
    ]


# ---- mistakes ----


ONE = "accuracy(high)"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (claim(f"{ONE} > acuracy(low)"), "column 18: no metric or measure 'acuracy'; did you mean accuracy?"),
        (claim(f"{ONE} > lats(low)"), "no metric or measure 'lats'; did you mean last?"),
        (claim(f"{ONE} > low"), "column 18: 'low' is not a value; measure it, e.g. accuracy(low)"),
        (claim(f"{ONE} != accuracy(low)"), "'!=' is not known"),
        (claim(f"not {ONE}"), "column 5: 'accuracy(high)' is a value, not a comparison; compare it"),
        (claim(f"{ONE} > 1 or accuracy(low)"), "column 23: 'accuracy(low)' is a value, not a comparison"),
        (claim(f"{ONE} > 1 or acuracy(low) > 1"), "no metric or measure 'acuracy'; did you mean accuracy?"),
        (claim(f"{ONE} > (not 1)"), "a value cannot contain a relation"),
        (claim(f"{ONE} > {ONE}"), "column 1: both sides measure the same"),
        (claim(f"2 * {ONE} - {ONE} >= {ONE} + 0.1"), "both sides measure the same"),
        (claim(f"within({ONE}, {ONE} + 1, 2)"), "both sides measure the same"),
        (claim(f"{ONE} - {ONE} > 0"), "it measures nothing"),
        (claim(f"0 * {ONE} > -1"), "it measures nothing"),
        (claim(f"1e99 * {ONE} * 1e99 > 1"), "the result is too large to compute with"),
        (claim(f"{ONE} * 1e-99 / 1e99 / 1e99 + 1e999 > 1"), "this number is too large; write one between"),
        (claim(f"{ONE} > nan"), "'nan' is no number; write one"),
        (claim("every(acc(trials))"), "column 7: 'acc(trials)' is a value, not a comparison"),
        (
            claim("every(accuracy(trials))"),
            "'accuracy(trials)' is a value, not a comparison; compare it, e.g.",
        ),
        (claim("every()"), "every takes one relation: every(accuracy(grid) > accuracy(base))"),
        (claim("some(acc(trials) > 1, acc(low) > 1)"), "some takes one relation"),
        (claim("every(acc(trials) > 1) > 0"), "every(…) is not a measure"),
        (claim("evry(acc(trials) > 1)"), "column 1: no relation 'evry'; did you mean every?"),
        (claim("every(acc(trails) > 1)"), "selector 'trails': no experiment trails"),
        (claim("every(mean(acc(trials)) > 1)"), "column 7: every asks a relation of each configuration"),
        (claim("some(acc(best) > 1)"), "some asks a relation of each configuration; leave mean, best, max"),
        (claim("every(some(acc(trials) > 1))"), "some(…) inside every(…) asks the same configurations twice"),
        (claim("every(share(acc(trials) > 1) > 0)"), "share(…) inside every(…) asks the same"),
        (claim("share(share(acc(trials) > 1) > 0) > 0"), "share(…) inside share(…) asks the same"),
        (claim('every(argbest(acc(trials)) == "search/trial=0")'), "argbest(…) inside every(…)"),
        (claim("every(spread(acc(trials)) > spread(acc(high)))"), "spread(…) inside every(…)"),
        (
            claim("share(acc(trials) > 1)"),
            "'share(acc(trials) > 1)' is a value, not a comparison; compare it",
        ),
        (claim("share(acc(trials)) > 1"), "column 7: 'acc(trials)' is a value, not a comparison"),
        (claim("best(share(acc(trials) > 1)) > 1"), "share(…) is not a measure"),
        (claim("best(best_epoch(trials)) > 1"), "best_epoch has no best; write max(…) or min(…)"),
        (claim("best(acc(best)) > 1"), "one run of search is picked, so there is no best of several"),
        (
            claim("argbest(best_epoch(trials)) == high"),
            "best_epoch has no best; write argmax(…) or argmin",
        ),
        (claim("argbest(acc(trials)) > 1"), "write argbest(…) == cells"),
        (claim("rank(high) > 1"), 'rank takes a class and its cells: rank("cat", base)'),
        (claim("rank(cat, high) > 1"), "column 6: 'cat' is not a plain value; write a text in quotes"),
        (claim('rank("cat", hihg) > 1'), "selector 'hihg': no experiment hihg"),
        (
            claim('rank("cat", trials) > 1'),
            "search names 3 configurations; name one, or them with pick: best",
        ),
        (claim('best(rank("cat", trials)) > 1'), "a rank of several configurations has no best"),
        (claim('rank(["cat", "dog"], high) > 1'), "a rank is that of one class"),
        (claim(f"spread({ONE}) > spread({ONE})"), "both sides measure the same"),
        (claim(f"{ONE} is 1"), "'is' is not known; of two values write within(a, b, margin)"),
        (claim(f"{ONE} accuracy(low)"), "column 16: 'accuracy' cannot stand here"),
        (claim(f"{ONE} >"), "column 17: something is missing at the end"),
        (claim(" "), "'': the expression is empty"),
        (claim("(accuracy(high) > 1"), "column 1: '(' was never closed"),
        (claim(ONE), "'accuracy(high)' is a value, not a comparison; compare it, e.g. accuracy(high) > 0.5"),
        (claim("at_chanse(high)"), "no relation 'at_chanse'; did you mean at_chance?"),
        (claim(f"{ONE} > 1", "high"), "'high' is not a relation"),
        (claim(f"{ONE} * accuracy(low) > 1"), "measures can be multiplied by numbers only"),
        (claim(f"1 / {ONE} > 1"), "measures can be divided by numbers other than 0 only"),
        (claim(f"{ONE} / 0 > 1"), "by numbers other than 0"),
        (claim(f"{ONE} ** 2 > 1"), "'**' is not known; write + - * or /"),
        (claim("9**9**9 > accuracy(high)"), "'**' is not known"),
        (claim(f"{ONE} % 2 > 1"), "'%' is not known"),
        (claim("2 > 1"), "it measures nothing"),
        (claim(f"({ONE} > 1) > 0"), "a value cannot contain a relation"),
        (claim(f"within({ONE}, accuracy(low), accuracy(close))"), "the margin is a number above 0"),
        (claim(f"within({ONE}, accuracy(low), -1)"), "the margin is a number above 0"),
        (claim(f"within({ONE}, 0.1)"), "within takes two values and a margin"),
        (claim("within(1, 2, 0.1)"), "it measures nothing"),
        (claim(f"within({ONE}, accuracy(low), margin=0.1)"), "within takes two values and a margin"),
        (claim(f"within({ONE}, 1, 2) > 1"), "within(…) is not a measure"),
        (claim(f"at_chance(2 * {ONE})"), "at_chance takes one measure alone, without arithmetic"),
        (claim("at_chance(high)"), "'high' is not a value; measure it"),
        (claim(f"at_chance({ONE}, accuracy(low))"), "at_chance takes one measure: at_chance(accuracy(base))"),
        (claim("at_chance(loss(high))"), "only an accuracy can be at chance"),
        (claim("__import__('os') > 1"), "no metric or measure '__import__'"),
        (claim("high.accuracy > 1"), "column 1: a dot after a name means nothing here"),
        (claim("high['accuracy'] > 1"), "brackets after a name mean nothing here"),
        (claim("accuracy(*high) > 1"), "'*' before a value means nothing here"),
        (claim("accuracy(high, **low) > 1"), "'**' means nothing here; write the options out"),
        (claim("(accuracy)(high)(low) > 1"), "expected a measure, e.g. accuracy(base)"),
        (claim("True > accuracy(high)"), "this is neither a number nor a text in quotes"),
        (claim("'1' > accuracy(high)"), "expected a measure or a number, not \"'1'\""),
        (claim("[1] > accuracy(high)"), "expected a measure or a number, not '[1]'"),
        (claim("accuracy() > 1"), "accuracy of which cells? write accuracy(name)"),
        (claim("accuracy(1) > 1"), "expected cells: a name, or a selector in quotes"),
        (claim("accuracy('') > 1"), "expected cells"),
        (claim("accuracy(accuracy(high)) > 1"), "expected cells"),
        (claim("accuracy(high, low) > 1"), "accuracy takes its cells, then by name split and at"),
        (claim("loss(high, splt='train') > 1"), "loss takes no 'splt'; did you mean split?"),
        (claim("best_epoch(high, at='last') > 1"), "best_epoch takes no 'at'; it takes its cells alone"),
        (claim("loss(high, at=low) > 1"), "'low' is not a plain value; write a text in quotes"),
        (claim("loss(high, at=-1) > 1"), "'-1' is not a plain value"),
        (claim("loss(high, at='lats') > 1"), "at: 'lats' is not valid; did you mean last?"),
        (claim("loss(high, at=1, at=2) > 1"), "at stands twice"),
        (claim("class_accuracy(high) > 1"), "metric 'class_accuracy' needs 'classes'"),
        (claim("class_accuracy(high, 'a', 'b') > 1"), "class_accuracy takes its cells, then by name"),
        (claim("class_accuracy(high, 'a', classes='b') > 1"), "classes stands twice"),
        (claim("class_accuracy(high, ['a', low]) > 1"), "is not a plain value"),
        (claim("last(high, at='best') > 1"), "the measure last takes its cells alone"),
        (claim("last(high, low) > 1"), "the measure last takes its cells alone"),
        (claim("mean(high) > 1"), "expected a measure, e.g. accuracy(base), not 'high'"),
        (claim("mean(2 * accuracy(search)) > 1"), "expected a measure"),
        (claim("mean(max(accuracy(search))) > 1"), "max(…) is not a measure"),
        (claim(f"max({ONE}, accuracy(low)) > 1"), "max takes one measure, of several cells"),
        (claim("effect(accuracy(search)) > 1"), "effect takes a measure and an axis"),
        (claim("effect(accuracy(search), lr) > 1"), "'lr' is not a plain value"),
        (claim("effect(accuracy(search), 1) > 1"), "expected an axis in quotes"),
        (claim("mean(accuracy(best)) > 1"), "one run of search is picked, so there are no configurations"),
        (claim(f"spread({ONE}) > 0.1"), "a spread is compared with another"),
        (claim(f"0.1 < spread({ONE})"), "a spread is compared with another"),
        (claim(f"spread({ONE}) > {ONE}"), "a spread is compared with another"),
        (claim(f"within(spread({ONE}), 1, 2)"), "spread(…) is not a measure"),
        (claim(f"spread(2) > spread({ONE})"), "spread takes one measure alone"),
        (claim(f"spread({ONE}) == spread({ONE})"), "'==' goes with argbest(…), argmax(…) and argmin(…)"),
        (claim(f"spread({ONE}) > spread(last(low))"), "only measures of the same metric, split and epoch"),
        (claim(f"spread({ONE}) > spread(accuracy(best))"), "spread compares configurations; leave mean"),
        (claim('argmax(max(accuracy(search))) == "search/trial=0"'), "argmax compares configurations"),
        (claim('argmax(accuracy(search)) > "search/trial=0"'), "write argmax(…) == cells, e.g."),
        (claim('argmax(accuracy(search)) == "a" == "b"'), "write argmax(…) == cells, e.g."),
        (claim("argmax(accuracy(search)) == 1"), "expected cells"),
        (claim("argmax(accuracy(search)) == best"), "best is one picked run"),
        (claim(f"{ONE} == accuracy(low)"), "of two values, write within(a, b, margin)"),
        (claim("argmax(accuracy(search) + 1) == high"), "argmax takes one measure alone"),
        (claim("argmax(accuracy(search)) == hihg"), "selector 'hihg': no experiment hihg"),
        (claim("accuracy(hihg) > 0"), "'accuracy(hihg) > 0': selector 'hihg': no experiment hihg"),
        (
            claim("accuracy(search) > 0"),
            'search names 3 configurations; write mean(…), best(…), every(… > …) or effect(…, "axis"), or '
            "name them with pick: best under cells",
        ),
        (claim('argmax(accuracy(search)) == "search/trial=9"'), "selector 'search/trial=9'"),
        (claim('argmax(accuracy(search)) == "high"'), "high is none of search"),
        (
            measured_number("1", f"{ONE} +"),
            "report: statement n: 'accuracy(high) +': column 17: something is missing",
        ),
        (measured_number("1", "3"), "it measures nothing; use a measure, e.g. accuracy(base)"),
        (measured_number("1", f"{ONE} > 1"), "a value cannot contain a relation"),
        (measured_number("1", f"within({ONE}, 1, 1)"), "within(…) is not a measure"),
        (
            measured_number("1", "accuracy(high, spilt='test')"),
            "accuracy takes no 'spilt'; did you mean split?",
        ),
    ],
)
def test_mistakes_name_the_statement_and_the_remedy(statement, message):
    with pytest.raises(RepriseError) as error:
        parse([statement], "report", resolve, NAMES)
    assert message in str(error.value)
    assert str(error.value).startswith(f"report: statement {statement.get('claim', 'n')}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (
            {"last": "acuracy(at='last')"},
            "measures.last: \"acuracy(at='last')\": column 1: no metric 'acuracy'",
        ),
        ({"last": "accuracy(high)"}, "write a call of a metric without its cells"),
        ({"last": "2 * accuracy"}, "write a call of a metric without its cells"),
        ({"last": "accuracy(at='lats')"}, "at: 'lats' is not valid; did you mean last?"),
        ({"last": "class_accuracy()"}, "needs 'classes'"),
        ({"last": "mean(accuracy())"}, "write a call of a metric without its cells"),
        ({"last": "last(at='best')"}, "no metric 'last'"),
        ({"a": "b()", "b": "a()"}, "measures.a: 'b()': column 1: no metric 'b'"),
        ({"accuracy": "loss"}, "'accuracy' is a word of the grammar"),
        ({"mean": "loss"}, "'mean' is a word of the grammar"),
        ({"within": "loss"}, "'within' is a word of the grammar"),
    ],
)
def test_mistakes_in_named_measures(measures, message):
    with pytest.raises(RepriseError) as error:
        parse([], "report", resolve, Names(measures=measures))
    assert str(error.value).startswith("report: measures.")
    assert message in str(error.value)


PAGE = (Path(__file__).parents[2] / "docs/statements.md").read_text(encoding="utf-8")


def test_the_examples_of_the_grammar_are_sound():
    example = yaml.safe_load(PAGE.split("```")[1].removeprefix("yaml"))
    cells = {
        name: {"runs": meant} if isinstance(meant, str) else meant for name, meant in example["cells"].items()
    }
    expressions = Expressions(Names(cells, {**example["measures"], "peak": "accuracy"}))
    for statement in example["statements"]:
        typed = drawing.statement(statement)
        for text in typed.expressions:
            (expressions.value if typed.kind == "number" else expressions.relation)(text, "here")
    section = "| measure |" + PAGE.split("## The grammar")[1].split("| measure |")[1].split("\n\n")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines()]
    part, read = "", 0
    for line in lines:
        part = line[0] if line[0] and len(line) == 3 else part
        for text in re.findall("`([^`]+)`", line[-1]):
            if part in ("relation", "claim"):
                assert expressions.relation(text, "here").measures
            else:
                assert expressions.value(f"accuracy({text})" if part == "cells" else text, "here").terms
            read += 1
    assert read > 20


def test_a_column_is_counted_in_characters():
    with pytest.raises(RepriseError, match="column 17: no metric or measure 'acuracy'"):
        parse([claim('accuracy("ε") > acuracy(low)')], "report", resolve)


def test_parts_are_said_in_words(tables):
    statement = claim(
        "last_loss(high) - best_loss(high) > 0.3 and at_chance(acc(trials))", "2 * acc(low) < 1"
    )
    (parsed,) = parse([claim(*statement["holds"][1:], "within(acc(high), 0.5, 0.1)")], "r", resolve, NAMES)
    assert [relation.words for relation in parsed.relation.parts] == [
        "2 × test accuracy of low < 1",
        "test accuracy of high within 0.1 of 0.5",
    ]
    sums = claim("acc(high) - (acc(low) - 0.1) + 3 * (acc(low) + 1) / 2 - -(acc(low) + 1) > 1")
    (parsed,) = parse([sums], "r", resolve, NAMES)
    high, low = "test accuracy of high", "test accuracy of low"
    assert parsed.relation.words == f"{high} − ({low} − 0.1) + 3 × ({low} + 1) / 2 − −({low} + 1) > 1"
    first = claim("last_loss(high) - best_loss(high) > 0.3 and argmax(acc(trials)) == 'search/trial=0'")
    (outcome,) = judge(tables, first)
    assert outcome.statement.expression == first["holds"][0]
    assert outcome.statement.relation.words == (
        "test loss of high at the last epoch − lowest test loss of high > 0.3; "
        "largest test accuracy of trials: search (trial 0)"
    )
    (parsed,) = parse(
        [claim("not every(acc(trials) >= 0.1)", "share(acc(trials) < 1) > 0.5")], "r", resolve, NAMES
    )
    assert parsed.relation.words == (
        "not: every: test accuracy of trials ≥ 0.1; share with test accuracy of trials < 1 > 0.5"
    )


def test_a_mistake_that_only_the_tables_show_names_the_statement(tables):
    with pytest.raises(
        RepriseError, match="report: statement n: run high-0: no history of split 'validation'"
    ):
        judged(tables, measured_number("1", 'accuracy(high, split="validation")'))


# ---- results of earlier versions ----


@pytest.fixture
def partly(tables):
    """Only the runs of `high` and the first of `close` were evaluated after plain images were measured."""
    values = {"plain_train_accuracy": 0.9, "plain_train_loss": 0.3, "plain_gap": 0.4, "parameters.1_dense": 9}
    runs = [*CELLS["high"].runs, CELLS["close"].runs[0]]
    rows = [(run, name, value) for run in runs for name, value in values.items()]
    more = pd.DataFrame(rows, columns=["run", "metric", "value"])
    return Tables(tables.history, pd.concat([tables.final, more]), tables.predictions)


PLAIN = ["plain_train_accuracy", "plain_train_loss", "plain_gap"]


@pytest.mark.parametrize("metric", PLAIN)
@pytest.mark.parametrize(
    ("statement", "run"),
    [
        (lambda metric: measured_number("0.4", f"{metric}(low)"), "low-0 of low"),
        (lambda metric: measured_number("0.4", f"{metric}(close)"), "close-1 of close"),
        (
            lambda metric: measured_number("0.4", f"mean({metric}(search))"),
            "search/trial=0-0 of search/trial=0",
        ),
        (lambda metric: measured_number("0.4", f"1 - {metric}(low) / 2"), "low-0 of low"),
        (lambda metric: claim(f"{metric}(high) > {metric}(low)"), "low-0 of low"),
        (lambda metric: claim(f"within({metric}(high), {metric}(low), 0.1)"), "low-0 of low"),
        (lambda metric: claim(f"spread({metric}(high)) > spread({metric}(low))"), "low-0 of low"),
        (
            lambda metric: claim(f'argmin({metric}(trials)) == "search/trial=0"'),
            "search/trial=0-0 of search/trial=0",
        ),
        (lambda metric: claim("acc(high) > acc(low)", f"{metric}(low) > 0"), "low-0 of low"),
    ],
)
def test_what_was_not_measured_yet_is_not_run_and_says_why(partly, metric, statement, run):
    before, outcome, after = judge(
        partly,
        measured_number("0.50"),
        {**statement(metric), "number" if "number" in statement(metric) else "claim": "asks"},
        {**measured_number("1000", "parameters(low)"), "number": "after"},
    )
    assert (before.judgement.verdict, after.judgement.verdict) == ("reproduced", "reproduced")
    assert outcome.judgement.verdict == "not run"
    reason = f"run {run} was evaluated before {metric} was measured; evaluate it again"
    assert reason in outcome.judgement.reason


@pytest.mark.parametrize("metric", PLAIN)
def test_the_picked_run_may_not_be_measured_yet(validated, metric):
    outcome = judge(validated, measured_number("0.4", f"{metric}(best)"))[0]
    assert outcome.judgement.verdict == "not run"
    assert f"was evaluated before {metric} was measured; evaluate it again" in outcome.judgement.reason


def test_what_others_lack_does_not_matter_to_those_that_have_it(partly):
    statements = [
        {**measured_number(reported, f"{metric}({cells})"), "number": f"{metric}_{cells}"}
        for metric, reported in zip(PLAIN, ("0.90", "0.30", "0.40"), strict=True)
        for cells in ("high", "low", "absent")
    ]
    assert judged(partly, *statements) == ["reproduced", "not run", "not run"] * 3
    reasons = [outcome.judgement.reason for outcome in judge(partly, *statements)]
    assert "not trained" in reasons[2], "a run without any result was never evaluated"


def test_a_layer_whose_parameters_were_not_counted_yet(partly):
    known, unknown = judge(
        partly,
        measured_number("9", 'parameters("high", layer="1_dense")'),
        {**measured_number("9", 'parameters("low", layer="1_dense")'), "number": "old"},
    )
    assert (known.judgement.verdict, unknown.judgement.verdict) == ("reproduced", "not run")
    assert "low-0: its final metrics lack parameters.1_dense; evaluate it again" in unknown.judgement.reason


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


PEAK = 'accuracy(cnn, split="validation", at="best")'
WINNER = Names(
    cells={"winner": {"runs": "cnn", "pick": "best"}, "undrawn": {"runs": "cnn/lr=0.0039", "pick": "best"}}
)


def outcome(report, tables, statement):
    return judge_statements([statement], "tiny", report.cells, tables, WINNER)[0]


def effect(axis):
    return f'effect({PEAK}, "{axis}")'


RATES, DECAYS = {0.1: 0.60, 0.3: 0.56, 0.5: 0.50}, {0.01: 0.01, 0.1: -0.01}


@pytest.fixture(scope="module")
def regularized(tmp_path_factory):
    """A grid of three rates, which cost 10 points, by two decays, which cost 2."""
    report = open_report(tmp_path_factory.mktemp("grid"), grid=GRID)
    return report, results(report, lambda cell: RATES[cell.settings["rate"]] + DECAYS[cell.settings["decay"]])


@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ("{rate} > {decay}", "reproduced"),
        ("{decay} > {rate}", "contradicted"),
        ("{rate} > 0", "reproduced"),
        ("{rate} - {decay} > 0.08", "undecided"),
        ("{rate} >= {decay} and {decay} > 0.01", "undecided"),
        ("within({rate}, {decay}, 0.05)", "contradicted"),
    ],
)
def test_how_much_an_axis_matters(regularized, relation, verdict):
    text = relation.format(rate=effect("rate"), decay=effect("decay"))
    found = outcome(*regularized, claim(text))
    assert found.judgement.verdict == verdict
    if relation == "{rate} > {decay}":
        assert found.judgement.measured == "0.1000 > 0.0200"


def test_what_seeds_settle_of_an_effect(regularized):
    """Rate: of three values' means, of two cells each, two differ by s = 0.005 (one seed of each). Six pairs
    in order share the level: 2.64 · 0.005 = 0.0132 if it were normal, 4.85 · 0.005 = 0.0242 by Student's t at
    4 degrees of freedom.
    """
    found = outcome(*regularized, claim(f"{effect('rate')} > 0.05"))
    assert 0.0132 < found.judgement.settles < 0.0242


def test_a_reported_effect_is_a_number(regularized):
    for reported, verdict in (("0.100", "reproduced"), ("0.15", "differs")):
        found = outcome(*regularized, measured_number(reported, effect("rate")))
        assert found.judgement.verdict == verdict


def test_a_diverged_cell_leaves_an_effect_unknown(regularized):
    report, tables = regularized
    history = tables.history.copy()
    history.loc[history["run"] == report.cells("cnn")[0].runs[0], "accuracy"] = np.nan
    broken = Tables(history, tables.final, tables.predictions)
    found = outcome(report, broken, claim(f"{effect('rate')} > 0")).judgement
    assert (found.verdict, found.measured) == ("undecided", "not finite and 0.0000")


def test_an_effect_needs_a_grid(tmp_path):
    search = {"trials": 6, "seed": 1, "space": SPACE}
    report = open_report(tmp_path, random=search)
    found = outcome(report, results(report, lambda cell: 0.5), claim(f"{effect('optimizer')} > 0"))
    assert found.judgement.verdict == "not run"
    assert (
        "no combination of the other axes of cnn was run with every value of optimizer; name a grid"
        in found.judgement.reason
    )
    one = open_report(tmp_path, grid={"rate": {"path": "optimizer.lr", "values": [0.1]}})
    found = outcome(one, results(one, lambda cell: 0.5), claim(f"{effect('rate')} > 0"))
    assert (found.judgement.verdict, found.judgement.reason) == (
        "not run",
        "rate has one value in cnn, so its effect is not known.",
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (claim(f"{effect('rat')} > 0"), "effect: cnn has no axis rat; did you mean rate?"),
        (claim(f"at_chance({effect('rate')})"), "only an accuracy can be at chance"),
        (claim(f'argmax({effect("rate")}) == "cnn/rate=0.1"'), "argmax compares configurations; leave mean"),
        (
            measured_number("1", 'setting(cnn, "optimizer.lr")'),
            "cnn names 6 configurations; name one, or them with pick: best under cells",
        ),
        (
            measured_number("1", 'setting(winner, "optimizer.lrr")'),
            "the runs have no setting 'optimizer.lrr'; did you mean optimizer.lr?",
        ),
        (measured_number("1", 'mean(setting(cnn, "optimizer.lr"))'), "a setting of several configurations"),
        (
            claim('argmax(setting(cnn, path="optimizer.lr")) == "cnn/rate=0.1"'),
            "argmax compares results, and this is a setting",
        ),
    ],
)
def test_mistakes_in_measures_of_a_grid(regularized, statement, message):
    with pytest.raises(RepriseError) as error:
        parse([statement], "tiny", regularized[0].cells, WINNER)
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


def drawn_again(report, winner):
    """How often a search of 16 trials draws one of these."""
    return 1 - (1 - len(report.cells(winner)) / 16) ** 16


@pytest.mark.parametrize("winner", ["cnn/optimizer=sgd,lr=0.0039", "cnn/optimizer=sgd,lr=3.9e-3"])
def test_which_settings_a_search_prefers(searched, winner):
    report, tables, _ = searched
    found = outcome(report, tables, claim(f'argbest({PEAK}) == "{winner}"')).judgement
    assert found.share == pytest.approx(drawn_again(report, winner), abs=0.01)
    assert found.verdict == ("reproduced" if found.share >= 0.975 else "undecided")
    assert found.measured.startswith("largest is cnn/trial=")
    opposite = outcome(report, tables, claim(f'not argbest({PEAK}) == "{winner}"')).judgement
    assert opposite.share == pytest.approx(1 - found.share)


@pytest.mark.parametrize("winner", ["cnn/optimizer=adam", "cnn/lr=0.01"])
def test_which_settings_a_search_prefers_is_never_contradicted(searched, winner):
    report, tables, _ = searched
    found = outcome(report, tables, claim(f'argbest({PEAK}) == "{winner}"')).judgement
    assert found.share < 0.1
    assert found.verdict == "undecided"
    assert any("so such a claim is never contradicted" in note for note in found.notes)


def test_equal_winners_leave_it_open(searched):
    report, tables, _ = searched
    trials = report.cells("cnn/optimizer=sgd,lr=0.0039")
    assert len(trials) > 1
    found = outcome(report, tables, claim(f'argmax({PEAK}) == "cnn/trial={trials[0].settings["trial"]}"'))
    assert found.judgement.verdict == "undecided"
    assert found.judgement.share < 1 / len(trials)


def test_a_winner_that_leaves_no_other_to_compare_is_not_run(tables):
    found = judge(tables, claim("argmax(accuracy(high)) == high"))[0]
    assert (found.judgement.verdict, found.judgement.reason) == (
        "not run",
        "high is all of high, so there is nothing to compare.",
    )


def test_what_a_search_did_not_draw_is_not_run(tmp_path):
    report = open_report(
        tmp_path, asha={"trials": 2, "seed": 3, "min_resource": 1, "reduction_factor": 2, "space": SPACE}
    )
    assert {cell.settings["lr"] for cell in report.cells("cnn")} == {0.01}
    tables = results(report, lambda cell: 0.5)
    statements = [
        claim(f'argmax({PEAK}) == "cnn/lr=0.0039"'),
        claim('mean(accuracy(cnn)) > mean(accuracy("cnn/lr=0.0039"))'),
        claim('argmax(accuracy("cnn/lr=0.0039")) == "cnn/trial=0"'),
        claim('spread(accuracy(cnn)) > spread(accuracy("cnn/lr=0.0039"))'),
        measured_number("0.5", "accuracy(undrawn)"),
        measured_number("0.0039", 'setting(undrawn, "optimizer.lr")'),
    ]
    for statement in statements:
        found = outcome(report, tables, statement)
        assert (found.judgement.verdict, found.judgement.reason) == (
            "not run",
            "no trial of cnn at scale full has lr 0.0039.",
        )
    with pytest.raises(RepriseError, match=r"lr is never 0\.1"):
        outcome(report, tables, claim(f'argmax({PEAK}) == "cnn/lr=0.1"'))


@pytest.mark.parametrize(
    ("measure", "reported", "about", "verdict"),
    [
        ('setting(winner, "optimizer.lr")', "0.0039", 0, "reproduced"),
        ('setting(winner, "optimizer.lr")', "0.02", 0, "differs"),
        ('setting(winner, "optimizer.lr")', "0.005", 0.001, "reproduced"),
        ('setting(winner, path="optimizer.momentum")', "0.9", 0, "reproduced"),
        ('setting(winner, "schedule.gamma")', "0.5", 0, None),
        ('class_accuracy(winner, ["a", "b"])', "0.90", 0, "reproduced"),
        ('class_accuracy(winner, "a")', "0.50", 0, "differs"),
        ('100 * class_accuracy(winner, classes=["a"])', "90.0", 0, "reproduced"),
        ('rank("j", winner)', "8", 0, "reproduced"),
        ('rank("j", winner)', "1", 0, "differs"),
        ("class_deviation(winner)", "0.20", 0, "reproduced"),
        ("class_variance(winner)", "0.040", 0, "reproduced"),
        ("10000 * class_variance(winner)", "400", 0, "reproduced"),
        ("class_variance(winner)", "0.100", 0, "differs"),
        ('parameters(winner, layer="2_dense")', "30730", 0, "reproduced"),
        ('parameters(winner, layer="2_dense")', "30731", 0, "differs"),
        ('channel_mean(winner, "red")', "0.491", 0, "reproduced"),
        ('channel_mean(winner, channel="red")', "0.490", 0, "differs"),
    ],
)
def test_what_the_winner_of_a_search_is_like(searched, measure, reported, about, verdict):
    """Its class accuracies are .9 (labels 0 to 4) and .5 (5 to 9): deviation .2."""
    report, tables, _ = searched
    statement = measured_number(reported, measure, **({"about": about} if about else {}))
    if verdict is None:
        with pytest.raises(RepriseError, match=r"the runs have no setting 'schedule\.gamma'"):
            outcome(report, tables, statement)
        return
    found = outcome(report, tables, statement)
    assert (found.judgement.verdict, found.judgement.n) == (verdict, 1)
    assert any(note.startswith("Measured in run ") for note in found.judgement.notes)


def test_a_winner_without_the_setting_differs(tmp_path):
    report = open_report(tmp_path, grid={"optimizer": SPACE["optimizer"]})
    tables = results(report, lambda cell: 0.7 if cell.settings["optimizer"] == "adam" else 0.6)
    found = outcome(report, tables, measured_number("0.9", 'setting(winner, "optimizer.momentum")'))
    assert found.judgement.verdict == "differs"
    assert found.judgement.reason == "there is no such value, so nothing agrees with 0.9."
    assert "of cnn/optimizer=adam, the best of 2" in found.judgement.notes[0]
    above = claim('setting(winner, "optimizer.momentum") > 0')
    assert outcome(report, tables, above).judgement.verdict == "undecided"
    alone = measured_number("0.9", 'setting("cnn/optimizer=sgd", "optimizer.momentum")')
    assert outcome(report, tables, alone).judgement.verdict == "reproduced"
    empty = Tables(tables.history[:0], tables.final[:0], tables.predictions[:0])
    assert outcome(report, empty, alone).judgement.verdict == "not run"


def test_the_share_of_trials_that_a_search_stops(searched):
    """Its scatter is that of 16 values of 0 or 1, each with s = 0.5 at 4 degrees of freedom."""
    report, tables, stops = searched
    share = sum(epochs < 8 for epochs in stops.values()) / 16
    found = outcome(report, tables, claim("mean(stopped_early(cnn)) > 0.01")).judgement
    assert float(found.measured.split()[0]) == pytest.approx(share, abs=1e-4)
    assert 0.15 < found.settles < Z * 0.5 / 4 * 2**0.5  # bounded by 0 and 1
    assert found.verdict == "reproduced"
    most = outcome(report, tables, claim("mean(stopped_early(cnn)) > 0.9"))
    assert most.judgement.verdict == "contradicted"
    saved = outcome(report, tables, measured_number("0.5", "1 - mean(epochs(cnn)) / 8"))
    assert float(saved.judgement.measured) == pytest.approx(1 - sum(stops.values()) / 128, abs=0.01)


# ---- output ----

STATEMENTS = [
    {
        "number": "top",
        "says": "a | b",
        "source": "Part 1",
        "reported": "0.500",
        "measure": "accuracy(high)",
        "reading": "at | last",
    },
    {"number": "missing", "reported": "0.1", "measure": "accuracy(absent)"},
    claim("acc(high) > acc(low)", "within(acc(low), acc(close), 0.06)"),
    {
        **claim("acc(high) - acc(low) > 0.1"),
        "claim": "open",
        "says": "by 10 points",
        "reading": "or more",
        "also": [{"reading": "some", "holds": "acc(high) > acc(low)"}],
    },
    {**claim("acc(low) > acc(high)"), "claim": "wrong", "says": "worse", "source": "Figure 1"},
    {**measured_number("0.400"), "number": "off", "says": "too low"},
    {**measured_number("0.500"), "number": "again"},
]
COLUMNS = (
    *("report", "id", "kind", "text", "reported", "measured", "spread", "n", "scale", "verdict"),
    *("reason", "share", "beyond_images", "settles", "claimed", "seeds_to_settle", "follows", "reading"),
    *("other_readings", "source", "notes"),
)


@pytest.fixture(scope="module", params=["full", "quick", "demo"])
def written(request, tables, tmp_path_factory):
    """Scale, rows of the CSV file by id, and the page."""
    folder, scale = tmp_path_factory.mktemp("written"), request.param
    write_statements(
        STATEMENTS,
        *("report", resolve, tables, scale, folder / "a.csv", folder / "a.md"),
        names=NAMES,
        follows={"again": "top"},
    )
    with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        found = {row["id"]: row for row in reader}
    assert tuple(reader.fieldnames) == STATEMENT_COLUMNS == COLUMNS
    return scale, found, (folder / "a.md").read_text(encoding="utf-8")


def test_the_csv_file(written):
    scale, found, _ = written
    number = found["top"]
    assert {key: number[key] for key in (*COLUMNS[:10], *COLUMNS[-5:])} == {
        "report": "report",
        "id": "top",
        "kind": "number",
        "text": "a | b",
        "reported": "0.500",
        "measured": "0.5000",
        "spread": "0.0050",
        "n": "3",
        "scale": scale,
        "verdict": "reproduced",
        "follows": "",
        "reading": "at | last",
        "other_readings": "",
        "source": "Part 1",
        "notes": "",
    }
    assert number["reason"].startswith("0.500 lies inside 0.4")
    assert 0.005 < float(number["settles"]) < 0.03
    assert [number[key] for key in ("share", "beyond_images", "claimed", "seeds_to_settle")] == [""] * 4
    missing = [found["missing"][key] for key in ("measured", "spread", "n", "verdict", "settles", "share")]
    assert missing == ["", "", "0", "not run", "", ""]
    assert found["again"]["follows"] == "top"
    both = found["c"]
    assert both["reported"] == "acc(high) > acc(low); within(acc(low), acc(close), 0.06)"
    assert both["measured"] == "0.5000 > 0.4000; 0.4000 and 0.4100 differ by 0.0100"
    assert (both["kind"], both["n"], both["verdict"], both["share"]) == ("claim", "3", "reproduced", "1.0000")
    assert all(0 < float(settles) < 0.02 for settles in both["spread"].split("; "))
    assert both["beyond_images"] in ("reproduced", "undecided")
    open_one = found["open"]
    assert (open_one["verdict"], open_one["seeds_to_settle"]) == ("undecided", "101")
    assert (open_one["reading"], open_one["other_readings"]) == ("or more", "some: reproduced")
    assert 0.3 < float(open_one["share"]) < 0.7
    assert (found["wrong"]["verdict"], found["wrong"]["share"]) == ("contradicted", "0.0000")
    assert found["off"]["verdict"] == "differs"


def test_the_page(written):
    scale, _, page = written
    heads = ("In short", "Numbers", "Claims")
    assert re.findall("^## (.*)$", page, re.M) == [*heads]
    short = page.split("## In short")[1].split("## Numbers")[0]
    assert "|  | reproduced | differs | undecided | contradicted | not run | of |" in short
    assert "| numbers | 1 | 1 | – | – | 1 | 3 |" in short
    assert "| claims | 1 | – | 1 | 1 | – | 3 |" in short
    assert "1 more statement follows from these by construction." in short
    exceptions = [line.split(":")[0] for line in short.splitlines() if line.startswith("- ")]
    assert exceptions == ["- **contradicted**", "- **differs**", "- **undecided**", "- **not run**"]
    assert (
        "- **contradicted**: worse (Figure 1): 0.4000 falls short of 0.5000 by 0.1000; 3 seeds can show"
        in short
    )
    assert "- **not run**: 1 statement: absent is not trained yet" in short
    assert "a \\| b (Part 1)" in page
    assert "0.500 lies inside" in page
    assert "**reproduced** (read as: at \\| last)" in page
    assert "**undecided** (read as: or more); some: **reproduced**" in page
    assert "**reproduced**; follows from top" in page
    for known in ("demo", "quick"):
        mark = f"> **{MARKS[known]}.** Only verdicts at scale full judge the report."
        assert (mark in page) == (scale == known)
    for kind, columns in (("Numbers", 8), ("Claims", 10)):
        table = [line for line in page.split(f"## {kind}")[1].split("##")[0].splitlines() if line[:1] == "|"]
        assert {line.count("|") - line.count("\\|") for line in table} == {columns}


def test_what_applies_to_many_statements_is_said_once(validated, tmp_path):
    statements = [{**measured_number("0.42", "accuracy(best)"), "number": f"n{place}"} for place in range(3)]
    write_statements(
        statements, "report", resolve, validated, "full", tmp_path / "a.csv", tmp_path / "a.md", names=NAMES
    )
    page = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert page.count("the best of 9 by validation accuracy") == 1
    assert page.count(" [1] |") == 3
    assert "## Notes\n\n1. Measured in run search/trial=1-1" in page


def test_reasons_for_not_running_are_counted(tables, tmp_path, monkeypatch):
    for place in range(7):
        monkeypatch.setitem(CELLS, f"gone{place}", Cell(f"gone{place}", ("nowhere",)))
    missing = [
        {**measured_number("0.42", f"accuracy(gone{place})"), "number": f"n{place}{again}"}
        for place in range(7)
        for again in range(2)
    ]
    write_statements(missing, "report", resolve, tables, "full", tmp_path / "a.csv", tmp_path / "a.md")
    page = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert page.count("- **not run**: 2 statements: ") == 5
    assert "- **not run**: 4 more, for reasons like these" in page


def test_what_follows_from_another_is_not_counted_among_those_not_run(tables, tmp_path):
    missing = [{**measured_number("0.42", "accuracy(absent)"), "number": name} for name in ("one", "two")]
    paths = tmp_path / "a.csv", tmp_path / "a.md"
    write_statements(missing, "report", resolve, tables, "full", *paths, follows={"two": "one"})
    page = paths[1].read_text(encoding="utf-8")
    assert "| numbers | – | – | – | – | 1 | 1 |" in page
    assert "- **not run**: 1 statement: absent" in page


def test_a_report_without_statements(tables, tmp_path):
    assert (
        write_statements([], "report", resolve, tables, "full", tmp_path / "a.csv", tmp_path / "a.md") == []
    )
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == ",".join(STATEMENT_COLUMNS) + "\n"


def test_nothing_is_written_on_a_mistake(tables, tmp_path):
    paths = tmp_path / "a.csv", tmp_path / "a.md"
    with pytest.raises(RepriseError, match="scale 'ful' is not known; did you mean full"):
        write_statements(STATEMENTS, "report", resolve, tables, "ful", *paths, names=NAMES)
    with pytest.raises(RepriseError, match="'x' is not a value"):
        write_statements([claim("x > 1")], "report", resolve, tables, "full", *paths)
    assert list(tmp_path.iterdir()) == []


# ---- schema ----

NUMBER = {"number": "n", "reported": "0.48", "measure": "accuracy(a)"}
CLAIM = {"claim": "c", "holds": "accuracy(a) > accuracy(b)"}


@pytest.mark.parametrize(
    "statement",
    [
        NUMBER,
        NUMBER | {"about": 0.1, "says": "about .48", "source": "Table 1", "reading": "of the last epoch"},
        CLAIM,
        CLAIM | {"holds": [CLAIM["holds"], "at_chance(accuracy(a))"], "says": "better"},
    ],
)
def test_the_schema_takes_valid_statements(statement):
    holds = statement.get("holds")
    typed = drawing.statement(statement)
    assert typed.expressions == ([holds] if isinstance(holds, str) else holds or [statement["measure"]])
    assert (typed.id, typed.kind) == (("c", "claim") if holds else ("n", "number"))


def without(key, statement):
    return {name: value for name, value in statement.items() if name != key}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (NUMBER | {"reported": 0.48}, "reported"),
        (NUMBER | {"reported": "0,48"}, "reported"),
        (without("reported", NUMBER), "key reported is missing"),
        (without("measure", NUMBER), "key measure is missing"),
        (
            NUMBER | {"measure": {"metric": "accuracy"}},
            "measure: should be a text, not {metric: 'accuracy'}",
        ),
        (NUMBER | {"measure": ""}, "measure"),
        (NUMBER | {"measure": "a" * 1001}, "measure"),
        (NUMBER | {"abuot": 0.1}, "abuot: unknown key for a number; did you mean about?"),
        (NUMBER | {"holds": "accuracy(a) > 1"}, "holds: unknown key"),
        (NUMBER | {"text": "x"}, "text: unknown key"),
        (NUMBER | {"says": ""}, "says"),
        (NUMBER | {"number": "N-1"}, "number"),
        (without("holds", CLAIM), "key holds is missing"),
        (CLAIM | {"holds": []}, "holds"),
        (CLAIM | {"holds": [1]}, "holds[0]"),
        (CLAIM | {"hold": "x"}, "hold: unknown key for a claim; did you mean holds?"),
        (CLAIM | {"reported": "1"}, "reported: unknown key"),
    ],
)
def test_the_schema_rejects_mistakes(statement, message):
    with pytest.raises(RepriseError) as error:
        drawing.statement(statement)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_page_shows_what_the_report_is_and_how_it_is_read(tmp_path):
    about = {
        "title": "A title",
        "framework": "Keras",
        "summary": "What it does.",
        "assumptions": [{"says": "Padding is | same.", "affects": ["base", "table_02"]}],
    }
    notes = ["vgg16 with random instead of pretrained weights"]
    empty = Tables(*(pd.DataFrame(columns=list(columns)) for columns in TABLE_COLUMNS.values()))
    write_statements(
        [],
        "slug",
        lambda selector: [],
        empty,
        "full",
        tmp_path / "a.csv",
        tmp_path / "a.md",
        about=about,
        notes=notes,
    )
    page = (tmp_path / "a.md").read_text()
    for text in (
        "*A title* (Keras)",
        "What it does.",
        "## Assumptions",
        "- Padding is | same. (affects `base`, `table_02`)",
    ):
        assert text in page
    assert page.startswith(
        "# slug: numbers and claims\n\n> **Vgg16 with random instead of pretrained weights.**\n\n*A title*"
    )
