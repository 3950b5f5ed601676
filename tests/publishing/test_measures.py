import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mini import run_spec
from reprise.errors import RepriseError
from reprise.publishing.measures import (
    OWN_METRICS as METRICS,
)
from reprise.publishing.measures import (
    PATHS,
    Measure,
    Reading,
    Tables,
    best_run,
    cell_values,
    levels,
    lookup,
    read,
)
from reprise.reports.run import Run

HISTORY = pd.DataFrame(
    [
        ("a", 1, "train", 2.0, 0.30),
        ("a", 2, "train", 1.5, 0.50),
        ("a", 3, "train", 0.5, 0.90),
        ("a", 1, "test", 2.1, 0.28),
        ("a", 2, "test", 1.7, 0.48),
        ("a", 3, "test", 2.6, 0.44),
        ("b", 1, "train", 2.0, 0.30),
        ("b", 1, "validation", math.inf, 0.20),
        ("b", 2, "train", 2.0, 0.30),
        ("b", 2, "validation", 1.9, 0.25),
        ("nan", 1, "train", math.nan, 0.05),
        ("nan", 1, "test", math.nan, math.nan),
    ],
    columns=["run", "epoch", "split", "loss", "accuracy"],
)
FINAL = pd.DataFrame(
    [
        ("a", "accuracy", 0.48),
        ("a", "loss", 1.7),
        ("a", "gap", 0.02),
        ("a", "selected_epoch", 2),
        ("a", "test_images", 100),
        ("a", "f1_macro", 0.4),
        ("a", "plain_train_accuracy", 0.93),
        ("a", "plain_train_loss", 0.2),
        ("a", "plain_gap", 0.45),
        ("a", "parameters", 1234),
        ("a", "parameters.0_conv", 224),
        ("a", "parameters.8_dense", 1010),
        ("a", "channel_mean.red", 0.491),
        ("a", "channel_mean.blue", 0.447),
        ("a", "channel_std.blue", 0.261),
        ("b", "accuracy", 0.2),
        ("b", "selected_epoch", 2),
        ("b", "validation_images", 50),
        ("b", "test_images", 100),
        ("empty", "accuracy", 0.3),
    ],
    columns=["run", "metric", "value"],
)
# label 0: two of four right, label 1: three of four, label 2: none of two
PREDICTIONS = pd.DataFrame(
    {
        "run": "a",
        "image": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        "label": [0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
        "predicted": [0, 0, 1, 1, 1, 1, 1, 0, 0, 0],
    }
)


@dataclass(frozen=True)
class Cell:
    name: str
    runs: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    specs: dict[str, Any] = field(default_factory=dict)

    def run(self, identifier: str) -> Run:
        return Run(self.specs[identifier])

    def module(self, layer: str) -> str:
        return {"f6": "8_dense"}.get(layer, layer)


SPECS = {
    "a": run_spec(
        optimizer={"name": "sgd", "lr": 0.0039, "nesterov": True},
        training={"epochs": 3, "batch_size": 64, "select": "last"},
        model={"name": "sequential", "layers": [{"dense": 8}]},
    ),
    "b": run_spec(training={"epochs": 30, "batch_size": 64, "select": "last"}),
}
CELL = Cell("cell", ("a", "b"), specs=SPECS)


@pytest.fixture(scope="module")
def tables():
    return Tables(HISTORY, FINAL, PREDICTIONS, {"a": ["apple", "bear", "cup"]})


def value(tables, run="a", **spec):
    reading = read(Measure.parse({"runs": "x", **spec}, "here"), tables, CELL, run)
    return None if reading is None else reading.value


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"metric": "accuracy"}, 0.48),
        ({"metric": "f1_macro"}, 0.4),
        ({"metric": "best_epoch"}, 2),
        ({"metric": "parameters"}, 1234),
        ({"metric": "gap"}, 0.02),
        ({"metric": "plain_train_accuracy"}, 0.93),
        ({"metric": "plain_train_loss"}, 0.2),
        ({"metric": "plain_gap"}, 0.45),
        ({"metric": "epochs"}, 3),
        ({"metric": "min_loss_epoch"}, 2),
        ({"metric": "min_loss_epoch", "split": "train"}, 3),
        ({"metric": "accuracy", "at": "best"}, 0.48),
        ({"metric": "accuracy", "at": "last"}, 0.44),
        ({"metric": "accuracy", "split": "train"}, 0.50),
        ({"metric": "accuracy", "split": "train", "at": "selected"}, 0.50),
        ({"metric": "accuracy", "at": 1}, 0.28),
        ({"metric": "loss", "at": "best"}, 1.7),
        ({"metric": "loss", "at": "last"}, 2.6),
        ({"metric": "gap", "at": "last"}, 0.46),
        ({"metric": "gap", "at": 1}, 0.02),
        ({"metric": "loss", "at": "change"}, 0.65),
        ({"metric": "accuracy", "split": "train", "at": "change"}, 0.3),
        ({"metric": "loss", "at": "rise"}, 0.9),
        ({"metric": "loss", "split": "train", "at": "rise"}, 0.0),
        ({"metric": "chance"}, 0.4),
        ({"metric": "class_accuracy", "classes": ["bear"]}, 0.75),
        ({"metric": "class_accuracy", "classes": ["apple", 1]}, 0.625),
        ({"metric": "rank", "classes": ["apple"]}, 2),
        ({"metric": "class_variance"}, 7 / 72),
        ({"metric": "class_deviation"}, math.sqrt(7 / 72)),
        ({"metric": "parameters", "layer": "8_dense"}, 1010),
        ({"metric": "parameters", "layer": "f6"}, 1010),
        ({"metric": "channel_mean", "channel": "blue"}, 0.447),
        ({"metric": "channel_deviation", "channel": "blue"}, 0.261),
        ({"metric": "setting", "path": "optimizer.lr"}, 0.0039),
        ({"metric": "setting", "path": "model.layers.0.dense"}, 8),
        ({"metric": "stopped_early"}, 0),
    ],
)
def test_values(tables, spec, expected):
    assert value(tables, **spec) == pytest.approx(expected)


def test_binomial_variance_of_accuracies_and_gaps_only(tables):
    def variance(run="a", **spec):
        return read(Measure.parse({"runs": "x", **spec}, "here"), tables, CELL, run).binomial

    assert variance(metric="accuracy") == pytest.approx(0.48 * 0.52 / 100)
    assert variance(metric="gap") == pytest.approx(0.48 * 0.52 / 100)
    assert variance(metric="plain_gap") == pytest.approx(0.48 * 0.52 / 100)
    assert variance(metric="gap", at="last") == pytest.approx(0.44 * 0.56 / 100)
    assert variance(run="b", metric="accuracy", split="validation") == pytest.approx(0.25 * 0.75 / 50)
    assert variance(metric="class_accuracy", classes=["apple", "bear"]) == pytest.approx(
        (0.25 / 4 + 0.1875 / 4) / 4
    )
    for spec in (
        {"metric": "loss"},
        {"metric": "plain_train_accuracy"},
        {"metric": "best_epoch"},
        {"metric": "accuracy", "split": "train"},
        {"metric": "chance"},
    ):
        assert variance(**spec) == 0


def test_what_was_not_trained_is_none(tables):
    for spec in (
        {"metric": "accuracy"},
        {"metric": "loss", "at": "last"},
        {"metric": "chance"},
        {"metric": "epochs"},
        {"metric": "class_deviation"},
        {"metric": "stopped_early"},
        {"metric": "parameters", "layer": "8_dense"},
        {"metric": "channel_mean", "channel": "red"},
        {"metric": "setting", "path": "optimizer.lr"},
    ):
        assert value(tables, run="unknown", **spec) is None
    assert value(tables, metric="accuracy", at=4) is None
    assert value(tables, run="b", metric="chance") is None
    assert value(tables, run="nan", metric="loss", at="change") is None  # one epoch


def test_a_run_that_ended_before_its_epochs_were_through_stopped_early(tables):
    assert value(tables, run="b", metric="stopped_early") == 1  # 2 of 30
    assert cell_values(Measure("stopped_early", "x"), tables, CELL) == [0, 1]


def test_class_measures_divide_by_the_number_of_classes_as_report_5_does():
    """Its table 4: ten class accuracies of the classic CNN, deviation 10.8; its discussion: variance
    117.7.
    """
    percent = [52.4, 65.2, 41.5, 62.4, 60.2, 80.1, 63.8, 77.0, 72.0, 69.2]
    right = [np.arange(1000) < round(10 * share) for share in percent]
    labels = np.repeat(np.arange(10), 1000)
    rows = pd.DataFrame(
        {
            "run": "a",
            "image": range(10000),
            "label": labels,
            "predicted": np.where(np.concatenate(right), labels, 10),
        }
    )
    tables = Tables.of(predictions=rows)
    assert f"{10000 * value(tables, metric='class_variance'):.1f}" == "117.7"
    assert 100 * value(tables, metric="class_deviation") == pytest.approx(10.849, abs=0.001)
    assert 100 * value(tables, metric="class_accuracy", classes=list(range(10))) == pytest.approx(64.38)
    animals, vehicles = [2, 3, 4, 5, 6, 7], [0, 1, 8, 9]
    assert value(tables, metric="rank", classes=[2]) == 10
    assert value(tables, metric="class_accuracy", classes=animals) == pytest.approx(
        np.mean([percent[label] for label in animals]) / 100
    )
    assert value(tables, metric="class_accuracy", classes=vehicles) == pytest.approx(
        np.mean([percent[label] for label in vehicles]) / 100
    )


def scored(**accuracies):
    """Runs whose selected epoch, the second of three, has the given validation accuracy; the last epoch is
    better and does not count.
    """
    rows, final = [], []
    for run, accuracy in accuracies.items():
        split = "test" if run.startswith("t") else "validation"
        rows += [(run, epoch, split, 1.0, value) for epoch, value in enumerate((0.1, accuracy, 0.99), 1)]
        rows += [(run, epoch, "train", 1.0, 1.0) for epoch in (1, 2, 3)]
        final.append((run, "selected_epoch", 2))
    history = pd.DataFrame(rows, columns=["run", "epoch", "split", "loss", "accuracy"])
    return Tables(history, pd.DataFrame(final, columns=["run", "metric", "value"]), PREDICTIONS[:0])


def test_the_best_run_is_that_of_the_largest_validation_accuracy_at_its_selected_epoch():
    cells = [Cell("one", ("a", "b")), Cell("two", ("c", "d"))]
    assert best_run(cells, scored(a=0.5, b=0.6, c=0.7, d=0.4)) == (cells[1], "c")
    assert best_run(cells, scored(a=0.5, b=0.8, c=0.7, d=0.4)) == (cells[0], "b")
    assert best_run(cells, scored(a=0.5, b=0.7, c=0.7, d=0.4)) == (cells[0], "b")  # the first of equals
    assert best_run(cells, scored(a=math.nan, b=0.3, c=0.2, d=0.1)) == (cells[0], "b")
    assert best_run([Cell("test", ("t1", "t2"))], scored(t1=0.5, t2=0.6))[1] == "t2"  # the test set validates


def test_there_is_no_best_run_until_every_configuration_has_one():
    cells = [Cell("one", ("a", "b")), Cell("two", ("c", "d"))]
    assert best_run(cells, scored(a=0.5, b=0.6)) is None
    assert best_run(cells, scored(a=0.5, c=0.6)) == (cells[1], "c")  # fewer seeds


def test_a_setting_that_the_run_does_not_have_is_not_a_number(tables):
    assert math.isnan(value(tables, run="b", metric="setting", path="optimizer.momentum"))


def grid(*combinations):
    axes = ("rate", "decay")
    return [Cell(",".join(values), (), dict(zip(axes, values, strict=False))) for values in combinations]


def names(found):
    return {level: [cell.name for cell in cells] for level, cells in found.items()}


def test_levels_of_an_axis_are_compared_over_the_same_values_of_the_others():
    full = grid(("0.1", "a"), ("0.1", "b"), ("0.3", "a"), ("0.3", "b"))
    assert names(levels(full, "rate")) == {"0.1": ["0.1,a", "0.1,b"], "0.3": ["0.3,a", "0.3,b"]}
    assert names(levels(full, "decay")) == {"a": ["0.1,a", "0.3,a"], "b": ["0.1,b", "0.3,b"]}
    assert names(levels(full[:3], "rate")) == {"0.1": ["0.1,a"], "0.3": ["0.3,a"]}
    assert names(levels(grid(("0.1", "a"), ("0.3", "b")), "rate")) == {
        "0.1": [],
        "0.3": [],
    }  # the decay may be what differs
    assert names(levels([Cell("base", ()), *grid(("0.1",), ("0.3",))], "rate")) == {
        "0.1": ["0.1"],
        "0.3": ["0.3"],
    }
    assert levels(full, "momentum") == {}


def test_paths_of_settings():
    spec = {"model": {"layers": [{"conv": 32}, {"dropout": 0.25}, {"conv": 64}]}, "flag": True}
    assert lookup(spec, "model.layers.*.conv") == [32, 64]
    assert lookup(spec, "model.layers.1.dropout") == [0.25]
    assert lookup(spec, "model.layers.7.conv") == lookup(spec, "flag.on") == []


def test_non_finite_epochs_are_passed_over_by_best_and_kept_elsewhere(tables):
    assert value(tables, run="b", metric="loss", split="validation", at="best") == 1.9
    assert value(tables, run="b", metric="min_loss_epoch", split="validation") == 2
    assert value(tables, run="b", metric="loss", split="validation", at=1) == math.inf
    assert math.isnan(value(tables, run="nan", metric="loss", at="best"))
    assert math.isnan(value(tables, run="nan", metric="min_loss_epoch"))
    assert not math.isfinite(value(tables, run="b", metric="loss", split="validation", at="change"))
    assert value(tables, run="b", metric="loss", split="validation", at="rise") == 0
    assert math.isnan(value(tables, run="nan", metric="loss", at="rise"))


def test_hits_and_chance_follow_the_images(tables):
    found = tables.predicted("a")
    assert found.image.tolist() == list(range(10))
    assert found.right[9] == 1.0
    assert found.right[0] == 0.0
    assert found.right.sum() == 5
    assert tables.chance("a") == (0.4, 10)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"metric": "acuracy"}, "here: no metric 'acuracy'; did you mean accuracy?"),
        ({"metric": "best_epoch", "split": "test"}, "metric 'best_epoch' takes no 'split'; leave it out"),
        ({"metric": "accuracy", "att": "best"}, "did you mean at?"),
        ({"metric": "accuracy", "split": "tset"}, "split: 'tset' is not valid; did you mean test?"),
        ({"metric": "accuracy", "at": "lats"}, "at: 'lats' is not valid; did you mean last? or an epoch"),
        ({"metric": "accuracy", "at": 0}, "at: 0 is not valid"),
        ({"metric": "accuracy", "at": 100_001}, "at: 100001 is not valid"),
        ({"metric": "accuracy", "at": True}, "at: True is not valid"),
        ({"metric": "accuracy", "at": 1.5}, "at: 1.5 is not valid"),
        ({"metric": "gap", "split": "train"}, "a gap is the training accuracy minus"),
        ({"metric": "gap", "at": "best"}, "a gap cannot be read at best"),
        ({"metric": "gap", "at": "change"}, "a gap cannot be read at change"),
        ({"metric": "accuracy", "at": "rise"}, "only a loss can be read at rise"),
        (
            {"metric": "accuracy", "pick": "best", "cells": "max"},
            "one run of x is picked, so there are no configurations to give their max",
        ),
        ({"metric": "class_accuracy"}, "needs 'classes'"),
        ({"metric": "class_accuracy", "classes": []}, "needs 'classes'"),
        ({"metric": "class_accuracy", "classes": [1.5]}, "classes: [1.5] are not names of classes"),
        ({"metric": "channel_mean"}, "metric 'channel_mean' needs 'channel', red, green or blue"),
        ({"metric": "channel_mean", "channel": "rde"}, "channel: 'rde' is not valid; did you mean red?"),
        ({"metric": "setting"}, "metric 'setting' needs 'path', the path of a number"),
        ({"metric": "setting", "path": 3}, "path: 3 is not a text"),
        (
            {"metric": "setting", "path": "optimizer.lr", "cells": "mean"},
            "a setting of several configurations has no mean",
        ),
        (
            {"metric": "setting", "path": "optimizer.lr", "effect": "lr"},
            "a setting of several configurations has no effect",
        ),
        ({"metric": "accuracy", "layer": "8_dense"}, "metric 'accuracy' takes no 'layer'"),
        ({"metric": "accuracy", "effect": "lr", "pick": "best"}, "leave effect(…) out"),
        ({"metric": "rank", "classes": ["apple", "bear"]}, "a rank is that of one class"),
    ],
)
def test_mistakes_in_a_measure(spec, message):
    with pytest.raises(RepriseError) as error:
        Measure.parse({"runs": "x", **spec}, "here")
    assert str(error.value).startswith("here: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("run", "spec", "message"),
    [
        (
            "a",
            {"metric": "loss", "split": "validation"},
            "run a: no history of split 'validation', only test, train",
        ),
        (
            "a",
            {"metric": "class_accuracy", "classes": ["aple"]},
            "run a: no class 'aple'; did you mean apple?",
        ),
        ("a", {"metric": "class_accuracy", "classes": [7]}, "run a: no test image has label 7"),
        ("empty", {"metric": "accuracy"}, "run empty: its final metrics lack test_images"),
        (
            "a",
            {"metric": "parameters", "layer": "8_dens"},
            r"run a: no parameters of '8_dens'; did you mean 8_dense\?",
        ),
        (
            "b",
            {"metric": "parameters", "layer": "8_dense"},
            r"run b: its final metrics lack parameters\.8_dense; evaluate it again",
        ),
        (
            "a",
            {"metric": "channel_mean", "channel": "green"},
            "run a: no channel_mean of 'green'; valid: red, blue",
        ),
        (
            "b",
            {"metric": "channel_mean", "channel": "red"},
            r"run b: its final metrics lack channel_mean\.red",
        ),
        *(
            (
                "b",
                {"metric": metric},
                f"^run b of cell was evaluated before {metric} was measured; evaluate it again$",
            )
            for metric in ("plain_train_accuracy", "plain_train_loss", "plain_gap", "f1_macro", "parameters")
        ),
        (
            "a",
            {"metric": "setting", "path": "optimizer.name"},
            r"run a: setting 'optimizer\.name' is sgd, not one number",
        ),
        ("a", {"metric": "setting", "path": "optimizer.nesterov"}, "is true, not one number"),
        (
            "a",
            {"metric": "setting", "path": "optimizer"},
            "not one number; name a number, or the configuration in an argmax",
        ),
    ],
)
def test_mistakes_that_only_the_tables_show(tables, run, spec, message):
    with pytest.raises(RepriseError, match=message):
        value(tables, run=run, **spec)


def test_a_table_without_its_columns():
    with pytest.raises(
        RepriseError, match="table final: no column metric, value; make the result tables again"
    ):
        Tables(HISTORY, FINAL[["run"]], PREDICTIONS)


def test_empty_tables_measure_nothing():
    empty = Tables(HISTORY[:0], FINAL[:0], PREDICTIONS[:0])
    assert [value(empty, metric=metric) for metric in ("accuracy", "epochs", "chance", "best_epoch")] == [
        None
    ] * 4


def test_every_metric_has_a_default_or_no_noise():
    assert all(metric.deviation >= 0 for metric in METRICS.values())
    assert {name for name, metric in METRICS.items() if metric.deviation == 0} == {
        *("chance", "parameters", "setting", "train_images", "validation_images", "test_images"),
    }
    assert Reading(1.0).binomial == 0.0


def test_the_mean_of_several_classes_scatters_less():
    one, four = (
        Measure("class_accuracy", "x", classes=tuple(range(number))).noise.deviation for number in (1, 4)
    )
    assert (one, four) == (0.03, 0.015)
    assert Measure("class_deviation", "x").noise == METRICS["class_deviation"]


def test_the_page_for_readers_gives_every_default():
    page = (Path(__file__).parents[2] / "docs" / "statements.md").read_text(encoding="utf-8")
    stated = {}
    for line in page.splitlines():
        if line.startswith("| `") and line.count("|") == 4:
            names, _, default = line.strip("| ").split(" | ")
            stated |= dict.fromkeys(re.findall(r"`(\w+)`", names), default)
    defaults = {
        name: "none"
        if not metric.deviation
        else f"{metric.deviation * 100:g} %"
        if metric.relative
        else f"{metric.deviation:g}"
        for name, metric in METRICS.items()
    }
    assert stated == defaults
    for name, metric in PATHS.items():
        assert re.search(rf'- `at="{name}"`[^`]*\({100 * metric.deviation:g} %', page), name


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"metric": "accuracy"}, "test accuracy of it"),
        ({"metric": "accuracy", "split": "train", "at": "last"}, "training accuracy of it at the last epoch"),
        ({"metric": "accuracy", "at": "best", "cells": "mean"}, "mean best test accuracy of it"),
        ({"metric": "loss", "split": "validation", "at": "best"}, "lowest validation loss of it"),
        ({"metric": "loss", "at": 3}, "test loss of it at epoch 3"),
        ({"metric": "loss", "at": "rise"}, "rise of the test loss of it"),
        ({"metric": "loss", "split": "train", "at": "change"}, "change per epoch of the training loss of it"),
        ({"metric": "min_loss_epoch", "split": "validation"}, "epoch of the lowest validation loss of it"),
        ({"metric": "class_accuracy", "classes": ["cat", "dog"]}, "accuracy of it on cat, dog"),
        ({"metric": "rank", "classes": "cat"}, "rank of cat among the classes of it"),
        ({"metric": "channel_mean", "channel": "red"}, "red channel mean of it"),
        ({"metric": "setting", "path": "optimizer.lr"}, "optimizer.lr of it"),
        ({"metric": "parameters", "layer": "8_dense"}, "parameters of layer 8_dense of it"),
        ({"metric": "best_epoch"}, "selected epoch of it"),
        ({"metric": "gap", "at": 3}, "gap between training and test accuracy of it at epoch 3"),
        ({"metric": "f1_macro", "effect": "batch_size"}, "effect of batch size on the macro F1 of it"),
    ],
)
def test_measures_in_words(spec, words):
    assert Measure.parse({"runs": "x", **spec}, "here").words("it") == words


def test_every_metric_has_words():
    spec = {"classes": ["cat"], "channel": "red", "path": "optimizer.lr"}
    for name, metric in METRICS.items():
        needed = {metric.needs: spec[metric.needs]} if metric.needs else {}
        words = Measure.parse({"metric": name, "runs": "x", **needed}, "here").words("it")
        assert words.endswith((" of it", "of it on cat")), words
