"""Made-up runs are what training and evaluation would have written, and scatter as they should."""

import csv
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reprise.cli import main
from reprise.publishing.measures import RESULT_COLUMNS
from reprise.publishing.results import read_tables
from reprise.reports.report import Report, report_files
from reprise.reports.statements import Number
from worlds.making import make_folders, make_run, make_runs, make_tables, reported
from worlds.truths import ACCURACY, LOSS, WORLDS, read_truths

ROOT = Path(__file__).parents[2]
FILES = report_files(ROOT / "workflow/reports")
SUPERCLASS, ARCHITECTURES = "cifar100_superclass", "cifar10_architectures"


@pytest.fixture(scope="module")
def truths():
    """Of each report, by slug."""
    return {slug: read_truths(Report(path)) for slug, path in FILES.items()}


@pytest.fixture(scope="module")
def many(truths):
    """Run → 40 trainings of one configuration of report 2, on all test images."""
    own = truths[ARCHITECTURES]
    cell = own.report.cells("basic")[0]
    return [make_run(cell.members[0], *own.of(cell.runs[0]), seed, 10_000) for seed in range(40)]


# ---- as they are written ----


@pytest.mark.parametrize("kind", WORLDS)
def test_folders_hold_the_tables_and_are_judged_without_complaint(truths, tmp_path, kind):
    own = WORLDS[kind](truths[SUPERCLASS])
    runs = make_folders(own, tmp_path, seed=3, images=500)
    found, expected = read_tables(runs, own.runs), make_tables(own, seed=3, images=500)
    for name, columns in RESULT_COLUMNS.items():
        for column in columns:
            assert list(getattr(found, name)[column]) == list(getattr(expected, name)[column]), (name, column)
    reports = ["--reports", str(ROOT / "workflow/reports")]
    main(["statements", SUPERCLASS, "--results", str(tmp_path), *reports])
    with (tmp_path / "statements" / f"{SUPERCLASS}.csv").open(encoding="utf-8") as file:
        verdicts = [row["verdict"] for row in csv.DictReader(file)]
    assert len(verdicts) == len(own.report.statements)
    assert "not run" not in verdicts


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("slug", FILES)
def test_runs_pass_the_checks_of_an_import(truths, tmp_path, slug, kind):
    """A history that its rules select and stop, final metrics that follow from history and predictions."""
    from reprise.evaluation.verification import check_metrics
    from reprise.training.results import check_history, read_run

    own = WORLDS[kind](truths[slug])
    some = dict(list(own.runs.items())[::5])
    folder = make_folders(replace(own, runs=some), tmp_path, seed=1, images=500)
    for identifier, run in some.items():
        meta = read_run(folder / identifier)["meta"]
        history = check_history(folder / identifier, run, meta)
        check_metrics(folder / identifier, run, meta, history, "make the world again")


def test_nothing_is_known_of_the_rule_or_of_torch():
    code = (
        "import sys; import worlds.making; "
        "print([name for name in sys.modules if name == 'torch' or name in ("
        "'reprise.publishing.verdicts', 'reprise.publishing.statements', 'reprise.publishing.expressions')])"
    )
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# ---- seeds ----


def test_a_run_depends_on_its_truth_and_the_seed_alone(truths):
    own = truths[SUPERCLASS]
    first, again, other = ({made.run.hash: made for made in make_runs(own, seed, 500)} for seed in (0, 0, 1))
    last = list(own.runs)[-1]
    (alone,) = make_runs(replace(own, runs={last: own.runs[last]}), 0, 500)
    for one in (again[last], alone):
        assert one.final == first[last].final
        np.testing.assert_array_equal(one.loss, first[last].loss)
        np.testing.assert_array_equal(one.predicted, first[last].predicted)
    assert other[last].final != first[last].final


def test_seeds_scatter_as_they_should(many):
    def deviation(values) -> float:
        return float(np.std(values, ddof=1))

    tested = [made.final["accuracy"] for made in many]
    final = [made.accuracy[-1] for made in many]
    assert deviation(tested) == pytest.approx(ACCURACY, rel=0.4)
    assert deviation(final) == pytest.approx(ACCURACY, rel=0.4)
    assert deviation([made.loss[-1] for made in many]) == pytest.approx(LOSS * many[0].loss[-1], rel=0.4)
    assert 0.3 < np.corrcoef(tested, final)[0, 1] < 0.95
    changes = [made.accuracy[-1] - made.accuracy[-5] for made in many]
    assert deviation(changes) < 0.5 * ACCURACY * math.sqrt(2)  # epochs of one run move together
    classes = np.array([_by_class(made) for made in many])
    assert 0.008 < np.mean(classes.std(axis=0, ddof=1)) < 0.018
    assert len({made.epochs for made in many}) > 2
    assert deviation([made.epochs for made in many]) < 4


def _by_class(made) -> list[float]:
    right = made.labels == made.predicted
    return [float(right[made.labels == label].mean()) for label in range(10)]


def test_networks_fail_on_the_same_images(truths):
    own = truths[ARCHITECTURES]
    made = {run.run.hash: run for run in make_runs(own, 0, 10_000) if 0.4 < run.final["accuracy"] < 0.6}
    one, other, *_ = made.values()
    right = [each.labels == each.predicted for each in (one, other)]
    assert np.corrcoef(*right)[0, 1] == pytest.approx(0.5, abs=0.06)
    assert set(np.bincount(one.labels)) == {1000}
    wrong = one.predicted[one.labels != one.predicted]
    assert np.bincount(wrong).min() > 0.05 * len(wrong)


def test_a_network_at_chance_stays_there_and_seeds_agree(truths):
    own = truths[ARCHITECTURES]
    cell = own.report.cells("mlp_l")[0]
    for run in cell.members:
        made = make_run(run, *own.of(run.hash), 0)
        assert made.accuracy == pytest.approx(0.1, abs=0.006)
        assert made.final["accuracy"] == pytest.approx(0.1, abs=0.003)
        assert made.loss == pytest.approx(math.log(10), abs=0.02)


def test_too_few_images_are_refused_and_others_rounded_to_whole_classes(truths):
    own = truths[SUPERCLASS]
    (run, *_) = own.runs.values()
    assert len(make_run(run, *own.of(run.hash), 0, 59).labels) == 40
    with pytest.raises(Exception, match="19 test images are too few for 20 classes"):
        make_run(run, *own.of(run.hash), 0, 19)


# ---- reported values ----


@pytest.mark.slow
def test_reported_values_scatter_as_one_training_or_as_a_mean(truths):
    own = truths[SUPERCLASS]
    one, three = ([reported(own, seed, of, 2000) for seed in range(100, 140)] for of in (1, 3))
    for statement in own.report.statements:
        if isinstance(statement, Number):
            digits = len(statement.reported.partition(".")[2])
            assert all(len(values[statement.id].partition(".")[2]) == digits for values in one)
    single, mean = (np.array([float(values["sgd_accuracy"]) for values in drawn]) for drawn in (one, three))
    assert single.std(ddof=1) == pytest.approx(ACCURACY, rel=0.35)
    assert mean.std(ddof=1) == pytest.approx(ACCURACY / math.sqrt(3), rel=0.4)
    assert single.mean() == pytest.approx(0.469, abs=3 * ACCURACY / math.sqrt(40))
    assert {values["chance_fine"] for values in one} == {"0.01"}
