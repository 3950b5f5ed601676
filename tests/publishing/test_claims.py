"""Claims of the report files on made-up results, both ways: what the report found must be reproduced, the
opposite contradicted.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reprise.publishing.measures import Tables
from reprise.publishing.statements import judge_statements
from reprise.reports.report import Report

REPORTS = Path(__file__).parents[2] / "workflow/reports"


def verdicts(report: Report, tables: Tables, *wanted: str) -> list[str]:
    """Verdicts of the statements with these ids."""
    statements = [spec for spec in report.statements if spec.id in wanted]
    found = judge_statements(statements, report.where, report.cells, tables, report.names)
    return [
        next(outcome.judgement.verdict for outcome in found if outcome.statement.id == name)
        for name in wanted
    ]


def grids(report: Report, accuracy) -> Tables:
    """Histories of the two grids of report 3: `accuracy(settings)` on the validation part at the last of two
    epochs.
    """
    history, final = [], []
    for experiment in ("training_grid", "regularization_grid"):
        for cell in report.cells(experiment):
            value = accuracy(cell.settings)
            for run in cell.runs:
                history += [
                    (run, epoch, split, 1.0, value - 0.1 * (epoch < 2))
                    for epoch in (1, 2)
                    for split in ("train", "validation")
                ]
                final += [
                    (run, "selected_epoch", 2.0),
                    (run, "test_images", 90000.0),
                    (run, "validation_images", 90000.0),
                ]
    columns = ["run", "epoch", "split", "loss", "accuracy"]
    return Tables.of(
        history=pd.DataFrame(history, columns=columns),
        final=pd.DataFrame(final, columns=["run", "metric", "value"]),
    )


def few_blocks_with_large_kernels(settings):
    if "blocks" not in settings:
        return 0.6
    return 0.6 + 0.03 * settings["kernel"] - 0.05 * (settings["blocks"] == 5)


def many_blocks_with_small_kernels(settings):
    return 1.2 - few_blocks_with_large_kernels(settings)


LAMBDAS = (0.001, 0.01, 0.1)


def drop_rate_matters(settings, falls=(0.0, 0.01, 0.02)):
    """`falls`: by how much the accuracy falls at each of `LAMBDAS`."""
    by_lambda = dict(zip(LAMBDAS, falls, strict=True))
    return (
        0.7
        - 0.3 * settings.get("drop_rate", 0)
        - by_lambda.get(settings.get("lambda"), 0)
        - 0.001 * settings.get("alpha", 0)
    )


def alpha_matters(settings):
    return (
        0.7
        - 0.01 * settings.get("drop_rate", 0)
        + 0.5 * settings.get("lambda", 0)
        - 0.3 * settings.get("alpha", 0)
    )


@pytest.fixture(scope="module")
def report_3() -> Report:
    return Report(REPORTS / "cinic10_resnet.yaml")


def test_few_blocks_with_large_kernels(report_3):
    claims = ("few_blocks", "large_kernels", "few_blocks_large_kernels")
    assert verdicts(report_3, grids(report_3, few_blocks_with_large_kernels), *claims) == ["reproduced"] * 3
    assert (
        verdicts(report_3, grids(report_3, many_blocks_with_small_kernels), *claims) == ["contradicted"] * 3
    )
    assert verdicts(report_3, grids(report_3, lambda settings: 0.6), *claims) == ["undecided"] * 3


def test_drop_rate_matters_most(report_3):
    claims = ("drop_rate_matters_most", "lambda_lowers_accuracy")
    assert verdicts(report_3, grids(report_3, drop_rate_matters), *claims) == ["reproduced"] * 2
    assert verdicts(report_3, grids(report_3, alpha_matters), *claims) == ["contradicted"] * 2


@pytest.mark.parametrize(
    "falls",
    [(0.02, 0.0, 0.02), (0.0, 0.02, 0.01), (0.0, 0.03, 0.07)],
    ids=["rises", "turns", "falls by much"],
)
def test_every_lambda_counts(report_3, falls):
    tables = grids(report_3, lambda settings: drop_rate_matters(settings, falls))
    assert verdicts(report_3, tables, "lambda_lowers_accuracy") == ["contradicted"]


def test_the_best_combination_counts(report_3):
    """One of five blocks is the best, though few blocks with large kernels are on average."""

    def accuracy(settings):
        outlier = settings.get("blocks") == 5 and settings["kernel"] == 2
        return 0.9 if outlier else few_blocks_with_large_kernels(settings)

    assert verdicts(report_3, grids(report_3, accuracy), "few_blocks_large_kernels") == ["contradicted"]


CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def study(report: Report, accuracies: dict[str, float]) -> Tables:
    """Results of report 5's classic study, in which every trial tells the classes apart with these
    accuracies; 1,000 images of each.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 1000)
    right = np.concatenate([rng.permutation(1000) < 1000 * accuracies[name] for name in CLASSES])
    predicted = np.where(right, labels, (labels + 1) % 10)
    history, final, predictions = [], [], []
    for place, cell in enumerate(report.cells("classic")):
        (run,) = cell.runs
        history += [(run, 1, split, 1.0, 0.5 + place / 100) for split in ("train", "validation")]
        final += [
            (run, "selected_epoch", 1.0),
            (run, "test_images", 10000.0),
            (run, "recall_macro", float(right.mean())),  # as many images of each class
        ]
        predictions.append(
            pd.DataFrame({"run": run, "image": np.arange(10000), "label": labels, "predicted": predicted})
        )
    return Tables(
        history=pd.DataFrame(history, columns=["run", "epoch", "split", "loss", "accuracy"]),
        final=pd.DataFrame(final, columns=["run", "metric", "value"]),
        predictions=pd.concat(predictions, ignore_index=True),
        class_names={run: CLASSES for cell in report.cells("classic") for run in cell.runs},
    )


@pytest.mark.slow
def test_two_classes_far_apart():
    report = Report(REPORTS / "cifar10_asha")
    clear = dict.fromkeys(CLASSES, 0.6) | {"cat": 0.3, "frog": 0.9}
    assert verdicts(report, study(report, clear), "cat_far_below_frog") == ["reproduced"]
    assert verdicts(report, study(report, clear | {"cat": 0.9, "frog": 0.3}), "cat_far_below_frog") == [
        "contradicted"
    ]
    numbers = [*(f"table_04_cnn_{name}" for name in ("cat", "frog", "mean", "deviation")), "classic_variance"]
    printed = dict(
        zip(CLASSES, (0.77, 0.652, 0.524, 0.415, 0.624, 0.602, 0.801, 0.638, 0.72, 0.692), strict=True)
    )
    assert verdicts(report, study(report, printed), *numbers) == ["reproduced"] * 5
