"""What was done at a smaller scale, of what the report did."""

import pytest
import yaml

from mini import mini
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.publishing import Face
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
    assert said(report(tmp_path, "quick"), *EXPERIMENTS) == ""


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
