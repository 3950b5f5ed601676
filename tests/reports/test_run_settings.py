"""`Run.settings`, the typed view of `Run.spec`."""

import re
from pathlib import Path

import pytest

from mini import changed, run_spec
from reprise.errors import RepriseError
from reprise.reports.layout import SCALES
from reprise.reports.report import Report, report_files
from reprise.reports.run import Run, canonical, prune
from reprise.schema import plain

FILES = report_files(Path(__file__).parents[2] / "workflow/reports").values()


def run_with(**changes):
    """A run with other values, `training__epochs=5`; None takes a key out."""
    return Run(prune(changed(run_spec(), changes)))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_they_are_what_is_hashed(file, scale):
    report = Report(file, scale)
    runs = [run for name in report.experiments for cell in report.all_cells(name) for run in cell.members]
    assert runs
    for run in runs:
        assert canonical(plain(run.settings)) == canonical(run.spec)


def test_what_is_absent_is_none_or_empty():
    settings = run_with().settings
    assert (
        settings.preprocess.resize is settings.dataset.classes is settings.regularization.elastic_net is None
    )
    assert settings.schedule is settings.study is settings.initial_weights is None
    assert settings.augmentation == []
    assert not settings.training.keep_originals
    assert not settings.split.augmented


def test_what_a_run_follows():
    assert run_with().follows == []
    study = {"trial": 1, "after": "b" * 12, "min_resource": 1, "reduction_factor": 2}
    run = run_with(initial_weights={"run": "a" * 12}, study=study)
    assert run.parent == "a" * 12
    assert run.follows == ["a" * 12, "b" * 12]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"training": None},
            "key training is missing (found: engine, dataset, split, model, ",
        ),
        ({"training__epochs": "3"}, "training.epochs: should be a whole number, not '3'"),
        ({"training__epoch": 3}, "training.epoch: unknown key; did you mean epochs?"),
        ({"training__select": "lst"}, "training.select: 'lst' is not valid; did you mean last?"),
        ({"training": 3}, "training: should be a mapping, not 3"),
        ({"dataset__source": None}, "dataset: key source is missing (found: name, labels)"),
        ({"dataset__name": "cifar11"}, "dataset.name: 'cifar11' is no data set; did you mean cifar10?"),
        ({"model__name": None}, "model: key name is missing (found: layers)"),
        ({"optimizer": "sgd"}, "optimizer: should be a mapping, not 'sgd'"),
        ({"schedule": {"step": 2}}, "schedule: key name is missing (found: step)"),
        ({"augmentation": [0.5]}, "augmentation[0]: should be a mapping, not 0.5"),
        ({"seeds__init": None}, "seeds: key init is missing (found: split, order, augmentation)"),
        ({"study": {"trial": 0}}, "study: key min_resource is missing (found: trial)"),
        ({"initial_weights": {"drop": ["fc"]}}, "initial_weights: key run is missing (found: drop)"),
    ],
)
def test_a_spec_of_no_run_is_one_line(changes, what):
    run = run_with(**changes)
    with pytest.raises(RepriseError, match=f"^{re.escape(f'run {run.hash}: {what}')}"):
        _ = run.settings
