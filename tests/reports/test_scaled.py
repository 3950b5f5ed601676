"""What was done at a smaller scale, of what the report did."""

import pytest
import yaml

from made_up import all_runs, results
from mini import mini
from reprise.checking import check_report
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.publishing import Face
from reprise.publishing.statements import judge_statements
from reprise.reports.report import Report
from reprise.reports.scaled import done

LAYERS = [{"flatten": True}, {"dense": 8}, {"dense": "classes"}]
EXPERIMENTS = {
    "base": {},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3]}}, "seeds": [0]},
    "long": {"set": {"training.epochs": 100}},
    "search": {
        "seeds": [0],
        "random": {"trials": 3, "space": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3, 0.4]}}},
    },
}


def report(folder, scale="quick", /, of=EXPERIMENTS, **rule):
    document = mini(LAYERS, of, epochs=30, scales={scale: rule} if rule else {})
    document["defaults"]["seeds"] = [0, 1, 2]
    document["statements"] = [
        {"number": name, "reported": "0.5", "measure": f"mean(accuracy({name}))"} for name in of
    ]
    file = folder / "mini.yaml"
    file.write_text(yaml.safe_dump(document))
    return Report(file, scale)


def said(made, *names):
    return done(made, [one for one in made.own_statements if one.id in names])


def test_epochs_seeds_trials_and_configurations_that_are_fewer(tmp_path):
    rule = {
        "seeds": 1,
        "epochs": {"max": 8},
        "experiments": {"rates": {"only": ["lr=0.1"]}, "search": {"trials": 2}},
    }
    made = report(tmp_path, **rule)
    assert said(made, "base") == "8 of 30 epochs · 1 of 3 seeds"
    assert said(made, "base", "long") == "8 of 30 to 100 epochs · 1 of 3 seeds"
    assert said(made, "rates") == "8 of 30 epochs · 1 of 3 configurations"
    assert said(made, "search") == "8 of 30 epochs · 2 of 3 trials"


def test_images_and_narrow_networks(tmp_path):
    rule = {"set": {"dataset.per_class": 40}, "experiments": {"base": {"set": {"model.width": 0.25}}}}
    made = report(tmp_path, "demo", **rule)
    assert said(made, "base") == "40 images of each class · networks 0.25 as wide"
    assert said(made, "base", "rates") == "40 images of each class · some networks 0.25 as wide"


def test_nothing_is_said_where_nothing_is_less(tmp_path):
    assert said(report(tmp_path, "full"), *EXPERIMENTS) == ""
    assert said(report(tmp_path, "quick", set={}), *EXPERIMENTS) == ""


def settings(made, name):
    """Epochs, images of each class and seeds of an experiment's first cell, and the number of its cells."""
    cells = made.cells(name)
    run = cells[0].members[0].settings
    return run.training.epochs, run.dataset.per_class, len(cells[0].members), len(cells)


def test_a_file_without_scales_shrinks_all_the_same(tmp_path):
    full, quick, demo = (report(tmp_path, scale) for scale in ("full", "quick", "demo"))
    assert [settings(full, name) for name in EXPERIMENTS] == [
        *((30, None, 3, 1), (30, None, 1, 3), (100, None, 3, 1), (30, None, 1, 3)),
    ]
    assert settings(quick, "long") == (5, 500, 1, 1)
    assert settings(quick, "rates") == (5, 500, 1, 3)
    assert settings(demo, "long") == (2, None, 1, 1)
    assert said(quick, "long") == "5 of 100 epochs · 1 of 3 seeds · 500 images of each class"


@pytest.mark.parametrize(
    ("dataset", "images"),
    [
        ({"name": "cifar100", "labels": "fine"}, 50),
        ({"name": "cifar100", "labels": "coarse"}, 250),
        ({"name": "cifar10", "labels": "label", "classes": ["cat", "dog"]}, 2500),
        ({"name": "cifar10", "labels": "label", "per_class": 20}, 20),
        ({"name": "stl10", "labels": "label"}, 500),
    ],
)
def test_a_share_of_the_images_has_as_many_of_each_class(tmp_path, dataset, images):
    document = mini(LAYERS, {"base": {}}, epochs=30, scales={})
    document["defaults"]["dataset"] = dataset
    file = tmp_path / "mini.yaml"
    file.write_text(yaml.safe_dump(document))
    assert Report(file, "quick").cells("base")[0].members[0].settings.dataset.per_class == images
    assert Report(file).cells("base")[0].members[0].settings.dataset.per_class == dataset.get("per_class")


def test_a_scale_that_a_file_names_is_the_files_alone(tmp_path):
    quick = report(tmp_path, "quick", epochs={"max": 7})
    assert settings(quick, "base") == (7, None, 3, 1)
    document = yaml.safe_load((tmp_path / "mini.yaml").read_text())
    (tmp_path / "mini.yaml").write_text(yaml.safe_dump({**document, "scales": {"quick": {}}}))
    assert settings(Report(tmp_path / "mini.yaml", "quick"), "base") == (30, None, 3, 1)
    assert settings(Report(tmp_path / "mini.yaml", "demo"), "base") == (2, None, 1, 1)


@pytest.mark.parametrize(
    "holds",
    [
        'argbest(accuracy(rates)) == "rates/lr=0.2"',
        'argmin(loss(rates)) == "rates/lr=0.3"',
        'accuracy("rates/lr=0.2") > accuracy("rates/lr=0.1")',
        "accuracy(left_out) > 0.1",
    ],
)
def test_what_a_scale_leaves_out_is_not_run_there(tmp_path, holds):
    document = mini(LAYERS, EXPERIMENTS, statements=[{"claim": "c", "holds": holds}])
    document["cells"] = {"left_out": "rates/lr=0.2"}
    document["scales"] = {"quick": {"experiments": {"rates": {"only": ["lr=0.1"]}}}}
    file = tmp_path / "mini.yaml"
    file.write_text(yaml.safe_dump(document))
    made = Report(file, "quick")
    check_report(made)
    (outcome,) = judge_statements(
        made.statements, made.where, made.cells, results(made, all_runs(made)), made.names
    )
    assert outcome.judgement.verdict == "not run"
    assert "rates is without lr 0." in outcome.judgement.reason
    file.write_text(yaml.safe_dump({**document, "cells": {"left_out": "rates/lr=0.7"}}))
    with pytest.raises(RepriseError, match=r"lr is never 0\.7"):
        Report(file, "quick")


def test_words_for_a_value_that_an_axis_does_not_have_are_refused(tmp_path):
    axis = {"path": "optimizer.lr", "values": [0.1, 0.2], "labels": {0.3: "fast"}}
    with pytest.raises(RepriseError, match=r"labels: the axis has no value 0\.3"):
        report(tmp_path, of={"rates": {"grid": {"lr": axis}}})


def test_a_page_says_it_on_its_face(tmp_path):
    report(tmp_path, seeds=1, epochs={"max": 8})
    results = tmp_path / "results"
    main(["statements", "mini", f"--reports={tmp_path}", f"--results={results}", "--scale=quick"])
    page = (results / "quick/statements/mini.md").read_text(encoding="utf-8")
    assert "**QUICK – real data · 8 of 30 to 100 epochs · 1 of 1 to 3 seeds.**" in page
    assert Face("mini").mark == ""
    assert Face("mini", "demo", done="1 of 3 seeds").mark == "DEMO – synthetic data · 1 of 3 seeds"
