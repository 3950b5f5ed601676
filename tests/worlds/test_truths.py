"""In the ideal world of a report its numbers are what is measured on average and its claims hold; in the null
world nothing makes a difference; in the opposite one the claims do not hold.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from reprise.publishing.measures import best_run
from reprise.reports.report import Report, report_files
from reprise.reports.statements import Claim, Number
from worlds.making import make_run, make_tables
from worlds.measuring import Averages, Measures
from worlds.truths import WORLDS, read_truths

FILES = report_files(Path(__file__).parents[2] / "workflow/reports")
HERE = Path(__file__).parent
COMPLETE = sorted(file.stem for file in HERE.glob("*.yaml") if file.stem in FILES)
"""Reports whose claims are true in their ideal world; the others have their numbers only."""
WORLD_COUNT, IMAGES = 16, 1000


def _marked(slug: str):
    """The reports with hundreds of runs take seconds."""
    return pytest.param(slug, marks=pytest.mark.slow if slug == "cifar10_architectures" else ())


@pytest.fixture(scope="module", params=map(_marked, COMPLETE))
def truths(request):
    return read_truths(Report(FILES[request.param]))


@pytest.fixture(scope="module")
def worlds(truths):
    return [make_tables(truths, seed, _images(truths)) for seed in range(WORLD_COUNT)]


def _images(truths) -> int:
    """Enough of each class for macro precision, which is smaller where images are few."""
    return max(IMAGES, 100 * max(len(conditions.names) for conditions in truths.conditions.values()))


def _holding(truths, tables) -> dict[str, bool]:
    """Claim → whether all that it says holds on average."""
    averages = Averages(truths.report, tables)
    claims = [statement for statement in truths.report.statements if isinstance(statement, Claim)]
    return {claim.id: all(averages.claim(claim.holds).values()) for claim in claims}


def test_every_number_is_measured_as_it_is_reported(truths, worlds):
    each = [Averages(truths.report, [world]) for world in worlds]
    numbers = {each.id: each for each in truths.report.statements if isinstance(each, Number)}
    ours = {  # the tests choose how many there are
        name
        for name, number in numbers.items()
        for measure in each[0].measures(number.measure)
        if measure.metric == "test_images"
    }
    wrong = set()
    for name, statement in numbers.items():
        if name not in ours:
            found = np.array([averages.number(statement.measure) for averages in each])
            error = found.std(ddof=1) / math.sqrt(len(found))
            assert error <= 0.03 * abs(found.mean()), f"{statement.id}: {found}"
            digits = len(statement.reported.partition(".")[2])
            if abs(found.mean() - float(statement.reported)) > 0.5 * 10**-digits + 3.5 * error:
                wrong.add(statement.id)
    assert wrong <= truths.exceptions.keys()


def test_every_claim_holds(truths, worlds):
    holding = _holding(truths, worlds)
    assert {name for name in holding if not holding[name]} == truths.exceptions.keys() & holding.keys()


def test_the_best_run_is_one_of_the_winner(truths, worlds):
    reading = Measures(truths.report)
    texts = [text for statement in truths.report.statements for text in statement.expressions]
    picks = {measure.runs for text in texts for measure in reading.measures(text) if measure.pick}
    for runs in picks:
        cells = truths.report.cells(runs)
        found = {best[0].name for world in worlds if (best := best_run(cells, world))}
        assert len(found) == 1, runs


def test_in_the_null_world_nothing_makes_a_difference(truths):
    averages = Averages(
        truths.report,
        [make_tables(WORLDS["null"](truths), seed, _images(truths)) for seed in range(WORLD_COUNT)],
    )
    texts = [text for statement in truths.report.statements for text in statement.expressions]
    measures = {measure for text in texts for measure in averages.measures(text)}
    quantities = {measure.quantity for measure in measures} - {
        measure.quantity for measure in measures if measure.noise.deviation == 0
    }
    assert quantities
    for quantity in quantities:
        named = [measure for measure in measures if measure.quantity == quantity]
        cells = {cell.name: cell for one in named for cell in truths.report.cells(one.runs)}
        found = [np.array(averages.values(quantity, cell)) for cell in cells.values()]
        errors = [max(values.std(ddof=1) / math.sqrt(len(values)), 0.5 / IMAGES) for values in found]
        middle = np.mean([values.mean() for values in found])
        off = [abs(values.mean() - middle) / error for values, error in zip(found, errors, strict=True)]
        assert max(off) < 4, (quantity, dict(zip(cells, [values.mean() for values in found], strict=True)))


def test_in_the_opposite_world_claims_do_not_hold(truths, worlds):
    turned = [make_tables(WORLDS["opposite"](truths), seed, IMAGES) for seed in range(4)]
    holding = _holding(truths, turned)
    # some hold of all configurations alike, or say that there are differences (`opposite`)
    assert sum(holding.values()) <= 0.25 * len(holding), [name for name, holds in holding.items() if holds]


def test_the_opposite_of_the_opposite_is_the_world_again(truths):
    """Where nothing reaches a bound, mirroring twice changes nothing."""
    twice = WORLDS["opposite"](WORLDS["opposite"](truths))
    best = {name: truth.validation.best for name, truth in truths.truths.items()}
    assert {name: truth.validation.best for name, truth in twice.truths.items()} == pytest.approx(best)


@pytest.mark.parametrize("slug", FILES)
def test_every_report_has_a_world_in_which_each_statement_can_be_measured(slug):
    truths = read_truths(Report(FILES[slug]))
    averages = Averages(truths.report, [make_tables(truths, 0, IMAGES)])
    for statement in truths.report.statements:
        if isinstance(statement, Number):
            assert math.isfinite(averages.number(statement.measure)), statement.id
        elif isinstance(statement, Claim):
            assert averages.claim(statement.holds), statement.id


def test_macro_precision_and_f1_are_those_that_are_reported():
    truths = read_truths(Report(FILES["cifar100_mlp_cnn"]))
    for name in ("mlp_baseline", "mlp_tuned", "cnn_baseline", "cnn_tuned"):
        (cell,) = truths.report.cells(name)
        made = [make_run(run, *truths.of(run.hash), seed) for run in cell.members for seed in range(30)]
        for metric, row in (("precision_macro", "precision"), ("f1_macro", "f1_score")):
            (said,) = [each for each in truths.report.statements if each.id == f"table_03_{name}_{row}"]
            assert np.mean([run.final[metric] for run in made]) == pytest.approx(
                float(said.reported), abs=0.003
            )


# ---- the files ----


@pytest.fixture
def changed(tmp_path):
    """Reads the truths of report 4 with another content of its file."""

    def read(**content):
        file = tmp_path / "truths.yaml"
        known = yaml.safe_load((HERE / "cifar100_superclass.yaml").read_text())
        file.write_text(yaml.safe_dump({**known, **content}))
        return read_truths(Report(FILES["cifar100_superclass"]), file)

    return read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cell": {}}, "no key cell"),
        ({"exceptions": {"adam_acuracy": "a slip"}}, "no statement adam_acuracy"),
        ({"cells": {"adma": {"accuracy": 0.5}}}, "no experiment adma"),
        ({"cells": {"adam": {"acuracy": 0.5}}}, "no metric 'acuracy'"),
        ({"cells": {"adam": {'accuracy(at="last")': 0.6}}}, "adam: the last accuracy is 0.6, better"),
        ({"cells": {"batch_64": {"accuracy(at=30)": 0.4}}}, "batch_64: accuracy test 30 is given as 0.4"),
        (
            {"cells": {"adam": {'loss(at="best")': 1, 'loss(at="last")': 2, 'loss(at="rise")': 0.5}}},
            "adam: loss test rise is given as 0.5, others make it 1",
        ),
        ({"cells": {"adam": {'accuracy(at="change")': 0.1}}}, "adam: accuracy test change is given as 0.1"),
        ({"cells": {"adam": {"epochs": 7}}}, "adam: epochs is given as 7.0, others make it 100"),
        ({"cells": {"adam": {"chance": 0.6}}}, "chance follows from"),
        ({"cells": {"adam": {'loss(split="validation", at="last")': 2}}}, "no history of validation"),
    ],
)
def test_a_mistake_in_a_file_is_named(changed, content, message):
    with pytest.raises(Exception, match=message):
        changed(**content)


def test_a_number_that_is_an_exception_says_nothing(changed):
    report = {"exceptions": {"sgd_accuracy": "for a test"}, "cells": {"sgd": {"accuracy": 0.3}}}
    assert changed(**report).truths["sgd"].validation.best == 0.3
    assert changed(cells={"sgd": {"accuracy": 0.3}}).truths["sgd"].validation.best == 0.469


def test_facts_become_the_points_of_the_curves(changed):
    facts = {
        'accuracy(at="last")': 0.40,
        "best_epoch": 10,
        "accuracy(at=3)": 0.45,
        'gap(at="last")': 0.3,
        'loss(at="rise")': 0.5,
        'loss(at="best")': 1.5,
        'loss(at="change")': 0.05,
        "min_loss_epoch": 7,
        "plain_gap": 0.2,
    }
    if "plain_gap" not in _metrics():
        facts.pop("plain_gap")
    truths = changed(cells={"sgd": facts})
    truth = truths.truths["sgd"]
    accuracy = truth.validation.best - truth.validation.distances(100)
    assert (accuracy.max(), accuracy.argmax() + 1) == (pytest.approx(0.469), 10)
    assert (accuracy[2], accuracy[-1]) == (pytest.approx(0.45), pytest.approx(0.40))
    assert truth.train.best == pytest.approx(0.70)
    loss = truth.validation_loss.best + truth.validation_loss.distances(100)
    assert (loss.min(), loss.argmin() + 1, loss[-1]) == (pytest.approx(1.5), 7, pytest.approx(2.0))
    assert np.abs(np.diff(loss)).mean() == pytest.approx(0.05, rel=1e-3)
    if "plain_gap" in facts:
        assert truth.plain_train_accuracy == pytest.approx(0.669)


def _metrics():
    from reprise.extensions import METRICS

    return METRICS


# ---- expressions ----


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("best(accuracy(search)) > 0.545", True),
        ("min(accuracy(search)) > 0.545", False),
        ("some(accuracy(search) > 0.545)", True),
        ("every(accuracy(search) > 0.545)", False),
        ("every(accuracy(search)) > 0.5", True),
        ("share(accuracy(search) > 0.545) < 0.2", True),
        ('argbest(accuracy(search)) == "search/trial=0"', True),
        ('argmin(loss(search)) == "search/trial=0"', True),
        ('argmin(accuracy(search)) == "search/trial=0"', False),
        ("accuracy(adam) < accuracy(batch_64) < accuracy(dropout)", True),
        ("accuracy(adam) < accuracy(dropout) < accuracy(batch_64)", False),
        ("within(accuracy(adam), accuracy(batch_64), 0.03)", True),
        ("within(accuracy(adam), accuracy(batch_64), 0.01)", False),
        ('at_chance(accuracy("lr_1e-2"))', True),
        ("at_chance(accuracy(adam))", False),
        ('spread(accuracy(adam)) > spread(accuracy("lr_1e-2"))', True),
        ("-(2 * accuracy(adam) - 1) / 2 > 0.01", True),
        ("mean(accuracy(search)) - accuracy(adam) < 0.05", False),
    ],
)
def test_expressions_are_read_as_they_are_meant(changed, text, holds):
    guesses = {"accuracy": 0.05, 'accuracy(split="train", at="last")': 0.05, "scatter": 0.1}
    cells = {"search": {"accuracy": 0.53}, "search/trial=0": {"accuracy": 0.56}, "lr_1e-2": guesses}
    truths = changed(cells=cells)
    averages = Averages(truths.report, [make_tables(truths, seed, 500) for seed in range(3)])
    assert list(averages.claim([text]).values()) == [holds]
