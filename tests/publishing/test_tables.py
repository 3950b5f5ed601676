"""Tables: their values against hand-computed ones, and the three formats."""

import csv
import json
import math
import re
from dataclasses import replace
from statistics import fmean, pstdev, stdev

import drawing
import pandas as pd
import pytest
import yaml
from drawing import write_table
from ground import Ground, expressions

from mini import run_spec
from reprise.errors import RepriseError
from reprise.publishing.measures import OWN_METRICS as METRICS
from reprise.publishing.measures import RESULT_COLUMNS, Tables
from reprise.publishing.sources import Sources
from reprise.publishing.tables.formats import LINE, latex, layout_of
from reprise.publishing.tables.models import best_of
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import mean_and_sd, measured, setting, show
from reprise.publishing.words import configuration
from reprise.reports.expressions import Names
from reprise.reports.report import Cell, Report
from reprise.reports.run import Run
from reprise.reports.tables import OWN_TABLES

LAYERS = {
    "basic": {
        "title": "First CNN (part 1)",
        "rows": [
            {
                "layer": "conv 3×3, 32, same",
                "kind": "conv",
                "activation": "relu",
                "output_shape": [32, 32, 32],
                "parameters": 896,
            },
            {
                "layer": "max pool 2×2",
                "kind": "pool",
                "activation": None,
                "output_shape": [32, 16, 16],
                "parameters": 0,
            },
        ],
        "parameters": 896,
    },
    "mlp": {
        "rows": [
            {
                "layer": "dense 20",
                "kind": "dense",
                "activation": None,
                "output_shape": [20],
                "parameters": 61460,
            }
        ],
        "parameters": 61460,
    },
}


def cell(name, seeds=3, epochs=20, **settings):
    model = {
        "name": "sequential",
        "layers": [{"conv": 32, "kernel": 3}, {"dropout": 0.25}, {"conv": 64, "kernel": 3}],
    }
    parts = {
        "model": {**model, "note": {"name": name, **settings}},
        "training": {"epochs": epochs, "batch_size": 64, "select": "last"},
    }
    return Cell(name, settings, None, tuple(Run(run_spec(seed, **parts)) for seed in range(seeds)))


def final(cell, accuracies, epochs):
    rows = []
    for run, accuracy, epoch in zip(cell.runs, accuracies, epochs, strict=True):
        rows += [
            (run, "accuracy", accuracy),
            (run, "selected_epoch", float(epoch)),
            (run, "test_images", 10000.0),
        ]
    return pd.DataFrame(rows, columns=["run", "metric", "value"])


def layers_spec(**changes):
    return {
        "id": "table_01",
        "kind": "layers",
        "caption": "The networks.",
        "networks": ["basic", "mlp"],
    } | changes


def settings_spec(**changes):
    rows = [
        {"label": "Optimizer", "setting": "optimizer.name", "reported": "Adam"},
        {"label": "Learning rate", "setting": "optimizer.lr", "reported": "1e-3"},
        {"label": "Filters", "setting": "model.layers.*.conv"},
        {"label": "Accuracy", "metric": "accuracy", "reported": "0.496"},
        {"label": "Best epoch", "metric": "best_epoch"},
    ]
    return {
        "id": "table_02",
        "kind": "settings",
        "caption": "50% & best_model",
        "runs": "adam",
        "rows": rows,
    } | changes


def trials_spec(**changes):
    spec = {
        "id": "table_03",
        "kind": "trials",
        "caption": "The random search.",
        "runs": "search",
        "metric": "accuracy",
    }
    return spec | {"reported": {"conv1": 32, "dense": 128}} | changes


def write(folder, spec, cells=(), scale="full", **more):
    stem = folder / "tables" / spec["id"]
    if frames := {name: more.pop(name) for name in ("history", "final") if name in more}:
        more["tables"] = Tables.of(**frames)
    write_table(spec, slug="report", resolve=lambda selector: list(cells), scale=scale, out_stem=stem, **more)
    return {
        suffix: (stem.parent / f"{spec['id']}.{suffix}").read_text(encoding="utf-8")
        for suffix in ("csv", "md", "tex")
    }


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def settings_table(folder, scale="full", **changes):
    adam = cell("adam")
    return write(
        folder, settings_spec(**changes), [adam], scale, final=final(adam, [0.49, 0.50, 0.51], [4, 5, 9])
    )


def trials_table(folder, scale="full", **changes):
    found = [
        cell("search", 2, trial=0, conv1=32, dense=128),
        cell("search", 2, trial=1, conv1=16, dense=64),
        cell("search", 1, trial=2, conv1=64, dense=64),
    ]
    accuracies, epochs = ([0.50, 0.52], [0.55, 0.53], [0.40]), ([10, 12], [20, 21], [3])
    table = pd.concat([final(one, *values) for one, *values in zip(found, accuracies, epochs, strict=True)])
    return write(folder, trials_spec(**changes), found, scale, final=table)


# ---- layers ----


def test_layers_list_each_network_and_its_parameters(tmp_path):
    files = write(tmp_path, layers_spec(), layers=LAYERS)
    data = rows(files["csv"])
    assert [
        (row["architecture"], row["position"], row["output_shape"], row["parameters"]) for row in data
    ] == [
        ("First CNN (part 1)", "1", "32 × 32 × 32", "896"),
        ("First CNN (part 1)", "2", "32 × 16 × 16", "0"),
        ("mlp", "1", "20", "61460"),
    ]
    assert "| 1 | conv 3×3, 32, same | relu | 32 × 32 × 32 | 896 |" in files["md"]
    assert "|  | total |  |  | 61,460 |" in files["md"]
    assert files["md"].count("**First CNN (part 1)**") == 1
    assert files["tex"].count(r"\toprule") == 2
    assert r"32 $\times$ 16 $\times$ 16" in files["tex"]


# ---- settings ----


def test_settings_and_measured_values_stand_beside_the_reported(tmp_path):
    files = settings_table(tmp_path)
    data = {row["setting"]: row for row in rows(files["csv"])}
    assert (data["Optimizer"]["value"], data["Optimizer"]["reported"], data["Optimizer"]["n"]) == (
        "Adam",
        "Adam",
        "",
    )
    assert data["Learning rate"]["value"] == "0.001"
    assert data["Filters"]["value"] == "32, 64"
    assert float(data["Accuracy"]["value"]) == pytest.approx(0.5)
    assert float(data["Accuracy"]["sd"]) == pytest.approx(0.01)
    assert (data["Accuracy"]["n"], data["Accuracy"]["reported"]) == ("3", "0.496")
    assert "| Accuracy | 0.500 ± 0.010 | 0.496 (reproduced) |" in files["md"]
    assert [data[label]["verdict"] for label in ("Optimizer", "Accuracy", "Best epoch")] == [
        "",
        "reproduced",
        "",
    ]
    assert "The verdict on a reported number is in brackets after it." in files["md"]
    assert "| Best epoch | 6.0 ± 2.6 |  |" in files["md"]
    assert "± is the standard deviation over 3 seeds." in files["md"]


def test_a_setting_that_differs_between_seeds_is_listed(tmp_path):
    files = settings_table(tmp_path, rows=[{"label": "Seeds", "setting": "seeds.init"}])
    assert rows(files["csv"])[0]["value"] == "0; 1; 2"
    assert "Report" not in files["md"]


def test_paths_of_settings():
    spec = {"model": {"layers": [{"conv": 32}, {"dropout": 0.25}, {"conv": 64}]}, "flag": True}
    assert setting(spec, "model.layers.*.conv") == ["32", "64"]
    assert setting(spec, "model.layers.1.dropout") == ["0.25"]
    assert setting(spec, "flag") == ["yes"]
    assert setting(spec, "model.layers") == ["3 layers"]


def test_a_list_of_words_names_each_once():
    spec = {
        "layers": [
            {"activation": word, "conv": size} for word, size in (("tanh", 6), ("sigmoid", 6), ("tanh", 16))
        ]
    }
    assert setting(spec, "layers.*.activation") == ["tanh", "sigmoid"]
    assert setting(spec, "layers.*.conv") == ["6", "6", "16"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([{"flip": 0.5}, {"rotation": 10}], "flip 0.5, rotation 10"),
        (
            [{"jitter": {"brightness": 0.2, "hue": 0.1}}, {"resized_crop": {}}],
            "jitter (brightness 0.2, hue 0.1), resized crop",
        ),
        ({"name": "sgd", "lr": 3e-3, "nesterov": True}, "SGD (learning rate 0.003, nesterov)"),
        ({"name": "adam", "betas": [0.9, 0.999], "amsgrad": False}, "Adam (β 0.9, 0.999, no amsgrad)"),
        ({"name": "sequential", "layers": [{"flatten": True}, {"dense": 8}]}, "sequential (2 layers)"),
        ({"name": "vit", "layers": 6}, "ViT (layers 6)"),
        ({"normalize": "half"}, "normalize half"),
        ({"name": "resnet"}, "ResNet"),
        (1e-5, "1e-5"),
        (False, "no"),
        (None, ""),
    ],
)
def test_settings_in_words(value, shown):
    assert show(value) == shown


# ---- trials ----


def test_trials_are_ranked_and_winners_marked(tmp_path):
    files = trials_table(tmp_path)
    data = rows(files["csv"])
    assert [(row["rank"], row["trial"], row["conv1"], row["dense"], row["n"]) for row in data] == [
        ("1", "1", "16", "64", "2"),
        ("2", "0", "32", "128", "2"),
        ("3", "2", "64", "64", "1"),
    ]
    assert [float(row["accuracy"]) for row in data] == pytest.approx([0.54, 0.51, 0.40])
    assert float(data[0]["sd"]) == pytest.approx(0.02 / 2**0.5)
    assert [row["winner"] for row in data] == ["True", "False", "False"]
    assert [row["reported_winner"] for row in data] == ["False", "True", "False"]
    lines = files["md"].splitlines()
    assert "| Rank | Trial | Conv1 | Dense | Accuracy | Selected epoch | Winner of |" in lines
    assert "| 1 | 1 | 16 | 64 | 0.540 ± 0.014 | 20.50 ± 0.71 | this study |" in lines
    assert "| 3 | 2 | 64 | 64 | 0.4000 | 3 |  |" in lines
    assert [line.rsplit("|", 2)[1].strip() for line in lines if line.startswith("| 2 ")] == ["the report"]


def test_best_values_of_a_split_come_from_the_history(tmp_path):
    one, two = cell("search", 1, conv1=32), cell("search", 1, conv1=16)
    history = pd.DataFrame(
        [
            (run, epoch, "validation", loss, 0.5)
            for run, losses in ((one.runs[0], [2, 1, 3]), (two.runs[0], [2, 0.5, 4]))
            for epoch, loss in enumerate(losses, 1)
        ],
        columns=["run", "epoch", "split", "loss", "accuracy"],
    )
    table = pd.concat([final(one, [0.5], [2]), final(two, [0.5], [2])])
    changes = {"metric": "loss", "split": "validation", "at": "best", "reported": {"conv1": 32}}
    files = write(tmp_path, trials_spec(**changes), [one, two], history=history, final=table)
    assert [(row["conv1"], row["loss"]) for row in rows(files["csv"])] == [("16", "0.5"), ("32", "1.0")]
    assert "| Best validation loss |" in files["md"]


def test_a_trial_that_diverged_comes_last(tmp_path):
    found = [cell("search", 1, conv1=size) for size in (16, 32, 64)]
    table = pd.concat(
        [final(one, [value], [1]) for one, value in zip(found, (float("nan"), 0.5, 0.4), strict=True)]
    )
    files = write(tmp_path, trials_spec(reported={"conv1": 16}), found, final=table)
    assert [(row["rank"], row["conv1"], row["winner"]) for row in rows(files["csv"])] == [
        ("1", "32", "True"),
        ("2", "64", "False"),
        ("3", "16", "False"),
    ]
    assert "| 3 | 16 | not finite | 1 | the report |" in files["md"]  # and epoch 1 is not 1.0000


def test_equal_trials_share_a_rank(tmp_path):
    found = [cell("search", 1, conv1=size) for size in (16, 32, 64)]
    table = pd.concat([final(one, [value], [1]) for one, value in zip(found, (0.5, 0.5, 0.4), strict=True)])
    data = rows(write(tmp_path, trials_spec(reported={"conv1": 16}), found, final=table)["csv"])
    assert [(row["rank"], row["winner"]) for row in data] == [("1", "True"), ("1", "True"), ("3", "False")]


# ---- metrics ----


def metrics_spec(*rows, **changes):
    return {"id": "table_04", "kind": "metrics", "caption": "Test accuracies.", "rows": list(rows)} | changes


NAMED = Names(cells={"best": {"runs": "cnn", "pick": "best"}, "small": {"runs": "cnn/batch_size=64"}})


def row(label="Best", reported="0.52", measure="accuracy(cnn)", **more):
    return {"label": label, "reported": reported, "measure": measure, **more}


def curves(cell, validation):
    """One epoch of each run, which is selected, with these validation accuracies."""
    rows = [
        (run, 1, "validation", 1.0, accuracy) for run, accuracy in zip(cell.runs, validation, strict=True)
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "split", "loss", "accuracy"])


def metrics_table(folder, *rows, scale="full", **more):
    """Two configurations of three seeds; validation prefers the second seed of the second, which is not the
    best on the test images.
    """
    found = [cell("cnn", batch_size=64, lr=0.001), cell("cnn", batch_size=128, lr=0.001)]
    table = pd.concat(
        [final(found[0], [0.59, 0.60, 0.61], [1] * 3), final(found[1], [0.49, 0.50, 0.51], [1] * 3)]
    )
    history = pd.concat([curves(found[0], [0.5, 0.5, 0.5]), curves(found[1], [0.5, 0.7, 0.6])])
    cells = {"cnn": found, "cnn/batch_size=64": found[:1]}
    stem = folder / "tables" / "table_04"
    write_table(
        metrics_spec(*rows),
        slug="report",
        resolve=cells.__getitem__,
        scale=scale,
        out_stem=stem,
        tables=Tables.of(history=history, final=table),
        names=NAMED,
        **more,
    )
    return {
        suffix: (stem.parent / f"table_04.{suffix}").read_text(encoding="utf-8")
        for suffix in ("csv", "md", "tex")
    }, found


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("0.50", "reproduced"), ("0.5100", "reproduced"), ("0.60", "differs"), ("0.45", "differs")],
)
def test_the_best_model_stands_beside_what_the_report_says(tmp_path, reported, verdict):
    """Two configurations, which are not drawn: trained again, the second would win again."""
    files, found = metrics_table(tmp_path, row(reported=reported, measure="accuracy(best)"))
    (line,) = rows(files["csv"])
    assert (line["configuration"], line["run"]) == (found[1].name, found[1].runs[1])
    assert (line["n"], line["sd"], line["reported"], line["verdict"]) == ("1", "", reported, verdict)
    assert float(line["value"]) == 0.5
    assert (
        f"| Best | batch size 128, learning rate 0.001, seed 1 | {reported} | 0.5000 | {verdict} |"
        in files["md"]
    )
    assert "with the best validation accuracy" in files["md"]


def test_means_over_seeds_are_judged_by_the_scatter_of_the_table(tmp_path):
    one = row("Small batches", "0.62", "accuracy(small)")
    files, _ = metrics_table(
        tmp_path, one, {**one, "label": "about", "about": 0.05}, row("Both", "0.55", "mean(accuracy(cnn))")
    )
    lines = {line["label"]: line for line in rows(files["csv"])}
    assert [lines[label]["verdict"] for label in ("Small batches", "about", "Both")] == [
        "reproduced",
        "reproduced",
        "reproduced",
    ]
    assert float(lines["Small batches"]["sd"]) == pytest.approx(0.01)
    assert (
        "| Small batches | batch size 64, learning rate 0.001 | 0.62 | 0.600 ± 0.010 | reproduced |"
        in files["md"]
    )
    assert (
        "| about | batch size 64, learning rate 0.001 | about 0.62 | 0.600 ± 0.010 | reproduced |"
        in files["md"]
    )
    assert "| Both | mean of 2 configurations | 0.55 |" in files["md"]
    assert "± is the standard deviation over the seeds." in files["md"]
    assert "validation" not in files["md"]


def test_seeds_are_pooled_over_all_that_is_stated(tmp_path):
    one = row("Small batches", "0.6213", 'accuracy("cnn/batch_size=64")')
    alone, _ = metrics_table(tmp_path / "a", one)
    assert rows(alone["csv"])[0]["verdict"] == "differs"  # 2.306 · .0079 · √(4/3) = .0210
    other = {"number": "both", "reported": "0.55", "measure": "mean(accuracy(cnn))"}
    beside, _ = metrics_table(tmp_path / "b", one, stated=[other])
    assert rows(beside["csv"])[0]["verdict"] == "reproduced"  # 2.228 · .0084 · √(4/3) = .0215


def test_a_row_has_a_verdict_where_it_measures_what_the_statement_does(tmp_path):
    """In one of its readings; whatever the cells are called."""
    small = "accuracy(small)"
    number = {"number": "stated", "reported": "0.60", "measure": "mean(accuracy(cnn))"}
    read = number | {"also": [{"reading": "of small batches", "measure": 'accuracy("cnn/batch_size=64")'}]}

    def verdicts(stated):
        own = {"label": "Own", "reported": "0.60", "statement": "stated", "measure": "mean(accuracy(cnn))"}
        rows_ = [own, own | {"label": "Other", "measure": small}]
        files, _ = metrics_table(tmp_path, *rows_, stated=[stated])
        found = [line["verdict"] for line in rows(files["csv"])]
        assert ("without a verdict belongs to other trainings" in files["md"]) == ("" in found)
        return found

    assert verdicts(number) == ["differs", ""]
    assert verdicts(read) == ["differs", "reproduced"]


def test_a_value_may_be_computed_from_several_measures(tmp_path):
    files, found = metrics_table(tmp_path, row("Both", "110", "100 * (accuracy(small) + accuracy(best))"))
    (line,) = rows(files["csv"])
    assert float(line["value"]) == pytest.approx(110)
    assert line["configuration"] == f"{found[0].name} {found[1].name}"
    assert (line["run"], line["n"], line["verdict"]) == (found[1].runs[1], "1", "reproduced")
    shown = "batch size 64, learning rate 0.001; batch size 128, learning rate 0.001, seed 1"
    assert f"| Both | {shown} | 110 | 110.00 | reproduced |" in files["md"]


@pytest.mark.parametrize("where", ["row", "table"])
def test_what_is_not_judged_has_no_verdict(tmp_path, report, where):
    def spec(table, *changed):
        rows = [{**one, "judged": False} if where == "row" else one for one in changed]
        return table | {"rows": rows, **({"judged": False} if where == "table" else {})}

    files = written(tmp_path, report, spec(comparison_spec(), TESTED | {"reported": {"Base": "half"}}))
    assert "| Accuracy | 0.210 ± 0.010 | half |" in files["md"]
    assert {line["verdict"] for line in rows(files["csv"])} == {""}
    accuracy = {"label": "Accuracy", "metric": "accuracy", "reported": "half"}
    files = written(tmp_path, report, spec(settings_spec(runs="base"), accuracy))
    assert "| Accuracy | 0.210 ± 0.010 | half |" in files["md"]
    files = written(tmp_path, report, spec(metrics_spec(), row(measure="accuracy(base)")))
    assert "| Best | base | 0.52 | 0.210 ± 0.010 |  |" in files["md"]
    if where == "table":
        spec = classes_spec(judged=False, reported={"Base": {"airplane": "52.4"}})
        assert "| airplane | 100.0 ± 0 | 52.4 | 100.0 |" in written(tmp_path, report, spec)["md"]


def test_a_row_without_a_reported_number_has_no_verdict(tmp_path):
    measured = {"label": "Images", "measure": "test_images(small)"}
    files, _ = metrics_table(tmp_path, measured)
    assert (rows(files["csv"])[0]["verdict"], rows(files["csv"])[0]["reported"]) == ("", "")
    assert "| Images | batch size 64, learning rate 0.001 |  | 10,000 |  |" in files["md"]


def test_a_seed_that_is_an_axis_is_named_once():
    found = cell("search", 1, lr=0.1, seed=7)
    assert configuration(found, found.runs[0]) == "learning rate 0.1, seed 7"
    found = cell("search", 2, lr=0.1)
    assert configuration(found, found.runs[1]) == "learning rate 0.1, seed 1"


def test_a_reading_is_named(tmp_path):
    read = replace(cell("vit"), reading="as_written")
    table = final(read, [0.5] * 3, [1] * 3)
    files = write(tmp_path, metrics_spec(row()), [read], final=table)
    assert "| Best | ViT, as written | 0.52 |" in files["md"]


def test_a_setting_and_an_effect_have_rows_too(tmp_path):
    lr = {"label": "Learning rate", "measure": 'setting(small, "optimizer.lr")'}
    effect = row("Batch size", "0.10", 'effect(accuracy(cnn), "batch_size")')
    files, _ = metrics_table(tmp_path, lr, effect)
    assert "| Learning rate | batch size 64, learning rate 0.001 |  | 0.001 |  |" in files["md"]
    assert (
        "| Batch size | effect of batch size over 2 configurations | 0.10 | 0.100 ± 0.014 | reproduced |"
        in files["md"]
    )


def test_exact_values_keep_their_digits():
    def text(values, metric, options=""):
        ground = Ground({metric: {"net": values}})
        value = expressions().value(f"{metric}(net{options})", "")
        return measured(ground.judge(value.measures), value, Sources(ground.resolve, ground.tables)).text

    assert text([10.0], "parameters") == "10"
    assert text([3251300.0], "parameters") == "3,251,300"
    assert text([0.2, 0.4], "accuracy") == "0.30 ± 0.14"
    shown = [text(values, "best_epoch") for values in ([4], [4, 4], [4, 5])]
    assert shown == ["4", "4 ± 0", "4.50 ± 0.71"]


# ---- a report of its own ----


BASE = {
    "dataset": {"name": "cifar10", "labels": "label"},
    "split": {"validation": 0.1},
    "model": {
        "name": "sequential",
        "layers": [{"conv": 6, "activation": "relu"}, {"flatten": True}, {"dense": "classes"}],
    },
    "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1.0},
    "training": {"epochs": 8, "batch_size": 512, "select": "best_accuracy"},
    "seeds": [0, 1, 2],
}
EXPERIMENTS = {
    "base": {},
    "tuned": {
        "set": {
            "optimizer": {"name": "sgd", "lr": 3e-3, "momentum": 0.9},
            "augmentation": [{"flip": 0.5}, {"rotation": 10}],
            "training.batch_size": 64,
        }
    },
    "sweep": {
        "seeds": [0],
        "pointwise": {
            "learning_rate": {"path": "optimizer.lr", "values": [1e-2, 1e-4]},
            "optimizer": {
                "path": "optimizer",
                "values": {"SGD": {"name": "sgd", "lr": 1e-3}, "AdamW": BASE["optimizer"]},
            },
            "transform": {
                "values": {
                    "flip": {"augmentation": [{"flip": 0.5}]},
                    "half": {"preprocess": {"normalize": "half"}},
                }
            },
            "augmentation": {"path": "augmentation", "values": {"with": [{"flip": 0.5}], "without": None}},
            "batch": {"values": {"large": {}, "small": {"training.batch_size": 32, "optimizer.lr": 1e-3}}},
            "layers": {
                "path": "model.layers",
                "values": {"deeper": [{"conv": 6}, {"conv": 6}, {"flatten": True}, {"dense": "classes"}]},
            },
        },
    },
    "study": {
        "seeds": [0],
        "asha": {
            "trials": 4,
            "min_resource": 1,
            "reduction_factor": 2,
            "space": {
                "lr": {"path": "optimizer.lr", "log_uniform": [1e-4, 1e-2]},
                "weight_decay": {"path": "optimizer.weight_decay", "uniform": [0.001, 0.01]},
                "batch_size": {"path": "training.batch_size", "values": [32, 64]},
                "augmentation": {"path": "augmentation", "values": {"true": [{"flip": 0.5}], "false": None}},
            },
        },
    },
}
NAMES = ["airplane", "automobile", "bird"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "tiny.yaml"
    document = {"slug": "tiny", "title": "Tiny", "defaults": BASE, "experiments": EXPERIMENTS}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return Report(file)


ACCURACIES = {"base": (0.20, 0.21, 0.22), "tuned": (0.50, 0.51, 0.52)}


def results(report):
    """Test accuracies over seeds as above; of the study's trials, 0.1 for the first, 0.2 for the second, …

    All learn three classes and are right on all images of the first, on half of the second and on none of the
    third.
    """
    history, values, predictions = [], [], []
    for cell in [cell for name in ("base", "tuned", "study") for cell in report.cells(name)]:
        for place, run in enumerate(cell.runs):
            accuracy = (
                ACCURACIES[cell.experiment][place]
                if cell.experiment in ACCURACIES
                else 0.1 + 0.1 * cell.settings.get("trial", 0)
            )
            history += [(run, 1, "train", 1.0, 0.9), (run, 1, "validation", 1.0, accuracy)]
            metrics = {
                "selected_epoch": 1,
                "accuracy": accuracy,
                "f1_macro": accuracy - 0.01,
                "test_images": 10000,
                "parameters": 1000,
            }
            metrics["recall_macro"] = (11 + 2 * place) / 30  # as the predictions below give it
            values += [(run, name, value) for name, value in metrics.items()]
            half = 1 + 2 * place  # of the ten images of the second class: one, three, five
            guesses = [0] * 10 + [1] * half + [2] * (10 - half) + [0] * 10
            predictions += [(run, image, image // 10, guess) for image, guess in enumerate(guesses)]
    frames = {"history": history, "final": values, "predictions": predictions}
    tidy = {name: pd.DataFrame(rows, columns=list(RESULT_COLUMNS[name])) for name, rows in frames.items()}
    return Tables(**tidy, class_names={run: NAMES for cell in everything(report) for run in cell.runs})


def everything(report):
    return [cell for name in report.experiments for cell in report.cells(name)]


def written(folder, report, spec, **more):
    stem = folder / spec["id"]
    given = {
        "tables": results(report),
        "experiment": report.file.experiments.get(spec.get("experiment")),
    } | more
    write_table(spec, slug="tiny", resolve=report.cells, scale="full", out_stem=stem, **given)
    return {
        suffix: (folder / f"{spec['id']}.{suffix}").read_text(encoding="utf-8")
        for suffix in ("csv", "md", "tex", "json", "html")
    }


def refusal(folder, report, spec, **more):
    with pytest.raises(RepriseError) as error:
        written(folder, report, spec, **more)
    assert not list(folder.rglob(f"{spec['id']}.*"))
    assert str(error.value).startswith(f"tiny, table {spec['id']}: ")
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"tiny, table {spec['id']}: ")


# ---- comparison ----


MODELS = [{"label": "Base", "runs": "base"}, {"label": "Tuned", "runs": "tuned"}]
BEST = {"label": "Best", "runs": "study", "pick": "best"}


def comparison_spec(*rows, models=MODELS, **changes):
    return {
        "id": "table_05",
        "kind": "comparison",
        "caption": "Models compared.",
        "models": models,
        "rows": list(rows),
    } | changes


LR = {"label": "Learning rate", "setting": "optimizer.lr", "reported": {"Base": "1.0E-03", "Tuned": 0.003}}
MOMENTUM = {"label": "Momentum", "setting": "optimizer.momentum"}
AUGMENTATION = {
    "label": "Augmentation",
    "setting": "augmentation",
    "reported": {"Tuned": "flip, rotation (10°)"},
}
TESTED = {"label": "Accuracy", "metric": "accuracy", "reported": {"Base": "0.21", "Tuned": "0.60"}}


def test_models_stand_side_by_side_each_beside_the_report(tmp_path, report):
    files = written(
        tmp_path,
        report,
        comparison_spec(LR, MOMENTUM, AUGMENTATION, TESTED, {"label": "Parameters", "metric": "parameters"}),
    )
    lines = files["md"].splitlines()
    assert "|  | Base | Base, reported | Tuned | Tuned, reported |" in lines
    assert "| Learning rate | 0.001 | 1.0E-03 | 0.003 | 0.003 |" in lines
    assert "| Momentum | – |  | 0.9 |  |" in lines
    assert "| Augmentation | – |  | flip 0.5, rotation 10 | flip, rotation (10°) |" in lines
    assert "| Accuracy | 0.210 ± 0.010 | 0.21 (reproduced) | 0.510 ± 0.010 | 0.60 (differs) |" in lines
    assert "| Parameters | 1,000 |  | 1,000 |  |" in lines
    assert "± is the standard deviation over the seeds." in lines
    assert "The verdict on a reported number is in brackets after it." in lines
    assert r"flip, rotation (10\textdegree{}) \\" in files["tex"]
    data = {(row["row"], row["model"]): row for row in rows(files["csv"])}
    tested = data["Accuracy", "Tuned"]
    assert (tested["configuration"], tested["n"], tested["reported"], tested["verdict"]) == (
        "tuned",
        "3",
        "0.60",
        "differs",
    )
    assert (float(tested["value"]), float(tested["sd"])) == (pytest.approx(0.51), pytest.approx(0.01))
    assert [data["Momentum", "Base"][key] for key in ("value", "sd", "n", "verdict")] == ["–", "", "", ""]


def test_the_best_of_what_is_compared_is_marked(tmp_path, report):
    """Of an accuracy the largest, of a gap the smallest; a number of parameters is neither good nor bad."""
    gap = {"label": "Gap", "metric": "gap", "split": "validation", "at": "last"}
    size = {"label": "Parameters", "metric": "parameters"}
    for transpose in (False, True):
        files = written(tmp_path, report, comparison_spec(LR, TESTED, gap, size, transpose=transpose))
        (part,) = json.loads(files["json"])["parts"]
        data = list(csv.DictReader(files["csv"].splitlines()))
        best = {}
        for name, pick in (("Accuracy", max), ("Gap", min)):
            rows = [row for row in data if row["row"] == name]
            best[name] = pick(rows, key=lambda row: float(row["value"]))["model"]
        marked = [(part["rows"][row][0], part["columns"][column]) for row, column in part["best"]]
        assert {pair[::-1] if transpose else pair for pair in marked} == {*best.items()}
        shown = [part["rows"][row][column] for row, column in part["best"]]
        assert all(f"<strong>{value}</strong>" in files["html"] for value in shown)


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ({"a": 0.5, "b": 0.7, "c": 0.7}, "larger", {"b", "c"}),
        ({"a": 0.5, "b": 0.7}, "smaller", {"a"}),
        ({"a": 0.5, "b": math.nan, "c": math.inf}, "larger", set()),
        ({"a": 0.5, "b": 0.7}, None, set()),
        ({}, "larger", set()),
    ],
)
def test_the_best_of_some_values(values, better, best):
    assert best_of(values, better) == best


def test_a_comparison_turned_round(tmp_path, report):
    f1 = {"label": "F1", "metric": "f1_macro"}
    lines = written(tmp_path, report, comparison_spec(TESTED, f1, transpose=True))["md"].splitlines()
    assert "| Model | Accuracy | Accuracy, reported | F1 |" in lines
    assert "| Base | 0.210 ± 0.010 | 0.21 (reproduced) | 0.200 ± 0.010 |" in lines
    assert "| Tuned | 0.510 ± 0.010 | 0.60 (differs) | 0.500 ± 0.010 |" in lines


def test_the_best_model_has_the_settings_of_the_run_that_was_picked(tmp_path, report):
    winner = report.cells("study/trial=3")[0]
    spec = comparison_spec(LR | {"reported": {}}, TESTED | {"reported": {"Best": "0.40"}}, models=[BEST])
    files = written(tmp_path, report, spec)
    lr = f"{winner.settings['lr']:g}"
    assert f"| Learning rate | {lr} |  |" in files["md"]
    assert "| Accuracy | 0.4000 | 0.40 (reproduced) |" in files["md"]
    assert f"Best: trial 3, learning rate {lr}, " in files["md"]
    assert ", seed 0, the run with the best validation accuracy of 4." in files["md"]
    assert "±" not in files["md"]
    assert {(row["configuration"], row["run"]) for row in rows(files["csv"])} == {
        (winner.name, winner.runs[0])
    }
    assert [row["n"] for row in rows(files["csv"])] == ["", "1"]


def test_a_comparison_of_settings_alone_needs_no_results(tmp_path, report):
    files = written(tmp_path, report, comparison_spec(LR), tables=Tables.of())
    assert "| Learning rate | 0.001 | 1.0E-03 | 0.003 | 0.003 |" in files["md"]
    assert "±" not in files["md"]
    assert "verdict on" not in files["md"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            comparison_spec(LR | {"reported": {"Tund": 1}}),
            "row 'Learning rate': no model has the label 'Tund'; did you mean Tuned?",
        ),
        (
            comparison_spec(LR | {"setting": "optimizer.lrr"}),
            "row 'Learning rate': the runs have no setting 'optimizer.lrr'; did you mean",
        ),
        (comparison_spec(TESTED | {"metric": "acuracy"}), "no metric 'acuracy'; did you mean accuracy?"),
        (comparison_spec(TESTED | {"metric": "rank"}), "metric 'rank' needs 'classes'"),
        (
            comparison_spec(TESTED | {"reported": {"Base": "half"}}),
            "row 'Accuracy': 'half', reported beside a metric, is no number; write it as printed, or add",
        ),
        (comparison_spec(LR, LR), "row 'Learning rate' stands twice"),
        (comparison_spec(LR, models=[*MODELS, MODELS[0]]), "model 'Base' stands twice"),
        (
            comparison_spec(LR, models=[{"label": "Study", "runs": "study"}]),
            "model 'Study': study names 4 configurations; name one, or pick the best run under cells",
        ),
        (
            comparison_spec(TESTED | {"split": "test"}),
            "no history of split 'test', only train, validation",
        ),
    ],
)
def test_mistakes_in_a_comparison(tmp_path, report, spec, message):
    assert message in refusal(tmp_path, report, spec)


def test_a_comparison_needs_its_runs(tmp_path, report):
    assert "row 'Accuracy': base is not trained yet." in refusal(
        tmp_path, report, comparison_spec(TESTED), tables=Tables.of()
    )
    assert "row 'Accuracy': run " in (
        said := refusal(tmp_path, report, comparison_spec(TESTED | {"metric": "plain_train_accuracy"}))
    )
    assert " of base was evaluated before plain_train_accuracy was measured; evaluate it again" in said
    spec = comparison_spec(LR | {"reported": {}}, models=[BEST])
    assert "model 'Best': not every configuration of study is trained" in refusal(
        tmp_path, report, spec, tables=Tables.of()
    )


# ---- space ----


def space_spec(**changes):
    return {"id": "table_06", "kind": "space", "caption": "What was tried.", "experiment": "sweep"} | changes


def test_the_axes_of_a_sweep_beside_its_baseline(tmp_path, report):
    files = written(tmp_path, report, space_spec(), tables=Tables.of())
    lines = files["md"].splitlines()
    assert "| Setting | Baseline | Values |" in lines
    assert "| Learning rate | 0.001 | 0.01, 0.0001 |" in lines
    assert "| Optimizer | AdamW | SGD, AdamW |" in lines  # the baseline has a name
    assert "| Transform | – | flip, half |" in lines
    assert "| Augmentation | without | with, without |" in lines  # null is what the baseline lacks
    assert "| Batch | large | large, small |" in lines
    assert "| Layers | 3 layers | deeper |" in lines
    assert lines[-1] == "One value at a time is changed from the baseline."
    assert rows(files["csv"])[0] == {
        "axis": "Learning rate",
        "baseline": "0.001",
        "values": "0.01, 0.0001",
        "scale": "full",
    }


def test_a_space_beside_what_the_report_says(tmp_path, report):
    chosen = [
        {"axis": "optimizer", "label": "Optimiser", "reported": "AdamW; SGD"},
        {"axis": "learning_rate"},
    ]
    lines = written(tmp_path, report, space_spec(rows=chosen, base="tuned"))["md"].splitlines()
    assert lines[2:6] == [
        "| Setting | Baseline | Values | Reported |",
        "| --- | --- | --- | --- |",
        "| Optimiser | SGD (learning rate 0.003, momentum 0.9) | SGD, AdamW | AdamW; SGD |",
        "| Learning rate | 0.003 | 0.01, 0.0001 |  |",
    ]


def test_the_space_of_a_study_has_ranges(tmp_path, report):
    lines = written(tmp_path, report, space_spec(experiment="study"))["md"].splitlines()
    assert lines[2:] == [
        "| Setting | Values |",
        "| --- | --- |",
        "| Learning rate | 0.0001 to 0.01, log-uniform |",
        "| Weight decay | 0.001 to 0.01, uniform |",
        "| Batch size | 32, 64 |",
        "| Augmentation | yes, no |",
        "",
        "4 trials are drawn at random.",
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (space_spec(experiment="base"), "experiment base has no axes; name a sweep, a grid or a search"),
        (space_spec(experiment="swep"), "experiment swep has no axes"),
        (
            space_spec(rows=[{"axis": "optimiser"}]),
            "rows: experiment sweep has no axis optimiser; did you mean optimizer?",
        ),
        (space_spec(base="study"), "base: study names 4 cells; name one, e.g. study/trial=0"),
        (space_spec(base="bse"), "no experiment bse; did you mean base?"),
    ],
)
def test_mistakes_in_a_space(tmp_path, report, spec, message):
    assert message in refusal(tmp_path, report, spec)


# ---- classes ----


def classes_spec(**changes):
    return {
        "id": "table_07",
        "kind": "classes",
        "caption": "By class.",
        "models": [*MODELS[:1], BEST],
    } | changes


def test_classes_in_percent_beside_the_report(tmp_path, report):
    """Base: second class right on 1, 3 and 5 of 10 images, so 30 ± 20; the best trial is a first seed: 10."""
    reported = {
        "Base": {"automobile": "33.5", "mean": "43.33"},
        "Best": {"airplane": "52.4", "deviation": "45.0"},
    }
    spec = classes_spec(names={"airplane": "plane", "automobile": "car"}, reported=reported)
    files = written(tmp_path, report, spec)
    lines = files["md"].splitlines()
    assert "| Class | Base | Base, reported | Best | Best, reported |" in lines
    assert "| plane | 100.0 ± 0 |  | 100.0 | 52.4 (differs) |" in lines
    assert "| car | 30 ± 20 | 33.5 (reproduced) | 10.0 |  |" in lines
    assert "| bird | 0.0 ± 0 |  | 0.0 |  |" in lines
    assert "| Mean | 43.3 ± 6.7 | 43.33 (reproduced) | 36.67 |  |" in lines
    over_classes = [pstdev((100, share, 0)) for share in (10, 30, 50)]
    base = f"{fmean(over_classes):.1f} ± {stdev(over_classes):.1f}"
    assert f"| Standard deviation | {base} |  | {over_classes[0]:.1f} | 45.0 (reproduced) |" in lines
    assert (
        "Test accuracy in percent; the standard deviation is taken over the classes (n in the denominator)."
        in lines
    )
    data = {(row["class"], row["model"]): row for row in rows(files["csv"])}
    assert [row["class"] for row in rows(files["csv"])[::2]] == [*NAMES, "mean", "deviation"]
    assert float(data["automobile", "Base"]["percent"]) == pytest.approx(30)
    assert data["airplane", "Best"]["verdict"] == "differs"
    assert data["airplane", "Best"]["run"] == report.cells("study/trial=3")[0].runs[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": {"plane": "airplane"}}, "names: no class 'plane'; did you mean airplane?"),
        ({"reported": {"base": {}}}, "reported: no model has the label 'base'; did you mean Base?"),
        ({"reported": {"Base": {"car": "1"}}}, "reported: Base: no class 'car'"),
        (
            {"names": {"airplane": "plane"}, "reported": {"Base": {"plane": "1"}}},
            "reported: Base: write airplane, which names calls plane",
        ),
        ({"models": [{"label": "Study", "runs": "study"}]}, "study names 4 configurations"),
    ],
)
def test_mistakes_in_a_table_of_classes(tmp_path, report, changes, message):
    assert message in refusal(tmp_path, report, classes_spec(**changes))


def test_classes_need_predictions_and_the_same_names(tmp_path, report):
    given = results(report)
    alone = classes_spec(models=MODELS)
    assert "model 'Base': base has no class_accuracy to measure" in refusal(
        tmp_path, report, alone, tables=replace(given, predictions=given.predictions[:0])
    )
    assert "has no class names" in refusal(tmp_path, report, alone, tables=replace(given, class_names={}))
    others = {**given.class_names, **dict.fromkeys(report.cells("tuned")[0].runs, ("a", "b", "c"))}
    assert "models 'Base' and 'Tuned' learn different classes" in refusal(
        tmp_path, report, alone, tables=replace(given, class_names=others)
    )


# ---- formats ----


def shown_rows(*rows, columns=("Label", "Text", "Value")):
    return Rows(columns, rows)


def test_a_table_that_fits_has_columns_as_wide_as_their_texts():
    layout = layout_of(shown_rows(("a", "short", "0.50"), ("b", "texts", "0.51")))
    assert (layout.size.command, layout.columns, layout.fits) == ("normalsize", "llr", True)
    wider = layout_of(shown_rows(("a", "m" * 48, "0.50")))
    assert (wider.size.command, wider.columns) == ("small", "llr")


def test_long_texts_are_broken_and_share_the_line():
    long = "a text that is much longer than a line of a page is wide, " * 3
    layout = layout_of(shown_rows(("a", long, "0.50")))
    assert layout.size.command == "normalsize"
    widths = [float(width) for width in re.findall(r"p\{([\d.]+)pt\}", layout.columns)]
    assert len(widths) == 3
    assert sum(widths) + 6 * layout.size.space <= LINE
    assert widths[1] > 5 * max(widths[0], widths[2])
    assert "raggedleft" in layout.columns.split("p{")[2]  # numbers stand right
    assert layout.height > 3 * layout.size.leading
    both = layout_of(shown_rows((long, long, "0.50")))
    first, second, _ = (float(width) for width in re.findall(r"p\{([\d.]+)pt\}", both.columns))
    assert first == pytest.approx(second, abs=1)


def test_words_that_do_not_fit_are_told():
    assert not layout_of(shown_rows(*[("m" * 30, "m" * 30, "m" * 30)])).fits


def test_a_table_longer_than_a_page_is_broken_over_pages(tmp_path):
    rows_ = [(str(place), "short", "0.50") for place in range(60)]
    long, short = (Sheet(Rows(["a"], []), {"": shown_rows(*rows_[:many])}) for many in (60, 5))
    text = latex(long, "Many rows.", [], "tab:a")
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.count(r"Label & Text & Value \\") == 2  # on the first page, and on the next ones
    assert r"\begin{table}" not in text
    assert r"\begin{table}[htbp]" in latex(short, "Few rows.", [], "tab:a")


def test_a_table_too_wide_for_a_page_is_set_as_its_narrow_one():
    wide = Rows([f"column{place}" for place in range(20)], [["0.123456"] * 20])
    narrow = {"": shown_rows(("a", "all of them", "0.50"))}
    text = latex(Sheet(wide, {"": wide}, (), narrow), "Wide.", [], "tab:a")
    assert "all of them" in text
    assert "column7" not in text


def test_notes_stand_on_the_face_of_every_format(tmp_path):
    files, _ = metrics_table(
        tmp_path,
        row(measure="accuracy(best)"),
        scale="demo",
        notes=["vgg_16 has random weights", "So has vgg_19."],
    )
    assert files["md"].startswith(
        "**DEMO – synthetic data**\n\n**vgg_16 has random weights**\n\n**So has vgg_19.**\n\nTest accuracies."
    )
    assert (
        r"\caption{\textbf{DEMO -- synthetic data.} \textbf{vgg\_16 has random weights.} \textbf{So has "
        r"vgg\_19.} Test" in files["tex"]
    )
    assert rows(files["csv"])[0]["notes"] == "vgg_16 has random weights; So has vgg_19."
    plain, _ = metrics_table(tmp_path, row(measure="accuracy(best)"))
    assert "notes" not in rows(plain["csv"])[0]


@pytest.mark.parametrize(
    ("scale", "mark"),
    [("demo", "DEMO – synthetic data"), ("quick", "QUICK – real data")],
)
def test_small_scales_say_so_in_every_format(tmp_path, scale, mark):
    for files in (
        settings_table(tmp_path, scale),
        trials_table(tmp_path, scale),
        write(tmp_path, layers_spec(), scale=scale, layers=LAYERS),
    ):
        assert {row["scale"] for row in rows(files["csv"])} == {scale}
        assert files["md"].startswith(f"**{mark}**\n\n")
        captions = re.findall(r"\\caption\{(.*)\}", files["tex"])
        assert captions
        assert all(caption.startswith(rf"\textbf{{{mark.replace('–', '--')}.}} ") for caption in captions)


def test_full_scale_has_no_mark(tmp_path):
    files = settings_table(tmp_path)
    assert {row["scale"] for row in rows(files["csv"])} == {"full"}
    assert not re.search("DEMO|QUICK", files["md"] + files["tex"])


def test_latex_is_escaped_and_markdown_cells_keep_their_bars(tmp_path):
    label = r"a_b & 5% #1 {x} $y$ ~ ^ \z | c"
    files = settings_table(tmp_path, rows=[{"label": label, "setting": "optimizer.name"}])
    escaped = (
        r"a\_b \& 5\% \#1 \{x\} \$y\$ \textasciitilde{} \textasciicircum{} \textbackslash{}z \textbar{} c"
    )
    assert rf"{escaped} & Adam \\" in files["tex"]
    assert r"\caption{50\% \& best\_model. $\pm$ is the standard deviation over 3 seeds.}" in files["tex"]
    assert r"\label{tab:report:table_02}" in files["tex"]
    assert all(rule in files["tex"] for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"| a_b & 5% #1 {x} \$y\$ ~ ^ \z \| c |" in files["md"]


def test_numbers_stand_right(tmp_path):
    files = trials_table(tmp_path)
    assert r"\begin{tabular}{rrrrrrl}" in files["tex"]
    assert "| ---: | ---: | ---: | ---: | ---: | ---: | --- |" in files["md"]


@pytest.mark.parametrize(
    ("values", "metric", "shown"),
    [
        ([0.5], "accuracy", "0.5000"),
        ([0.5, 0.5], "accuracy", "0.5000 ± 0"),
        ([1.0, 0.5], "accuracy", "0.75 ± 0.35"),
        ([4.0, 4.0], "best_epoch", "4 ± 0"),
        ([4.0, 5.0], "best_epoch", "4.50 ± 0.71"),
        ([12.0], "best_epoch", "12"),
        ([376834.0], "parameters", "376,834"),
        ([2.0], "loss", "2.00"),
    ],
)
def test_mean_and_sd(values, metric, shown):
    assert mean_and_sd(values, METRICS[metric]) == shown


# ---- errors ----


def message(folder, spec, cells=(), **more):
    with pytest.raises(RepriseError) as error:
        write(folder, spec, cells, **more)
    assert not list(folder.rglob("*.csv"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_errors_name_report_and_table_and_the_nearest(tmp_path):
    adam = cell("adam")
    table = final(adam, [0.5] * 3, [1] * 3)
    assert (
        message(tmp_path, layers_spec(kind="layer"))
        == "kind: 'layer' is no kind of table; did you mean layers?"
    )
    assert "no layer table of network 'basc'; did you mean basic?" in message(
        tmp_path, layers_spec(networks=["basc"]), layers=LAYERS
    )
    wrong = settings_spec(rows=[{"label": "Rate", "setting": "optimizer.learning"}])
    assert "the runs have no setting 'optimizer.learning'; did you mean optimizer." in message(
        tmp_path, wrong, [adam], final=table
    )
    wrong = settings_spec(rows=[{"label": "Accuracy", "metric": "acuracy"}])
    assert "no metric 'acuracy'; did you mean accuracy?" in message(tmp_path, wrong, [adam], final=table)
    assert "adam names 2 cells; name one, e.g. adam" in message(
        tmp_path, settings_spec(), [adam, adam], final=table
    )
    wrong = trials_spec(reported={"conv2": 32})
    assert "the search has no axis conv2; did you mean conv1?" in message(
        tmp_path, wrong, [cell("search", conv1=32)], final=table
    )
    assert "scale 'demos' is not known; did you mean demo?" in message(tmp_path, layers_spec(), scale="demos")
    wrong = metrics_spec(row(measure="acuracy(adam)"))
    assert (
        "row 'Best': 'acuracy(adam)': column 1: no metric or measure 'acuracy'; did you mean accuracy?"
        in message(tmp_path, wrong, [adam], final=table)
    )
    wrong = metrics_spec(row())
    assert (
        "row 'Best': 'accuracy(cnn)': cnn names 2 configurations; write mean(…), best(…), every(… > …)"
        in message(tmp_path, wrong, [adam, adam], final=table)
    )


def test_missing_runs_are_named(tmp_path):
    adam = cell("adam")
    table = final(adam, [0.5] * 3, [1] * 3)
    words = f"report, table table_02: run {adam.runs[2]} of adam has no accuracy; train and evaluate it first"
    assert message(tmp_path, settings_spec(), [adam], final=table[table.run != adam.runs[2]]) == words
    words = "report, table table_04: row 'Best': adam is not trained yet."
    assert message(tmp_path, metrics_spec(row()), [adam], final=table[:0]) == words
    words = (
        "row 'Best': not every configuration of cnn is trained and evaluated, so the best of them is "
        "not known."
    )
    picked = metrics_spec(row(measure="accuracy(best)"))
    assert words in message(tmp_path, picked, [adam], final=table, names=NAMED)


def test_every_kind_has_its_closed_options():
    items = {
        "layers": layers_spec(),
        "settings": settings_spec(),
        "comparison": comparison_spec(
            LR, TESTED | {"split": "test", "at": "best"}, models=MODELS, transpose=True
        ),
        "space": space_spec(base="base", rows=[{"axis": "lr", "label": "Rate", "reported": "1e-3"}]),
        "classes": classes_spec(
            models=MODELS, names={"airplane": "plane"}, reported={"Base": {"airplane": "77.0"}}
        ),
        "trials": trials_spec(split="test", at="best"),
        "metrics": metrics_spec(
            row(about=0.01, says="s", source="Table 1", reading="r"),
            {"label": "x", "measure": 'loss(a, at="rise")', "judged": False},
            {"label": "y", "statement": "stated"},
        ),
    }
    assert set(items) == set(OWN_TABLES)
    for kind, item in items.items():
        assert isinstance(drawing.table(item), OWN_TABLES[kind])
        with pytest.raises(RepriseError, match=r"^captin: unknown key.*; did you mean caption\?$"):
            drawing.table({**item, "captin": 1})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (settings_spec(rows=[{"label": "x", "setting": "a", "metric": "accuracy"}]), "a setting or a metric"),
        (settings_spec(rows=[{"label": "x"}]), "a setting or a metric"),
        (metrics_spec(row(abuot=0.1)), "rows[0].abuot: unknown key; did you mean about?"),
        (metrics_spec(row(measure={"metric": "accuracy", "runs": "a"})), "rows[0].measure: should be a"),
        (metrics_spec(row(reported=0.5)), "rows[0].reported: should be a text, not 0.5"),
        (metrics_spec({"label": "x"}), "rows[0]: key measure is missing"),
        (
            metrics_spec({"label": "x", "measure": "loss(a)", "about": 1}),
            "rows[0]: about is of a reported number; add reported",
        ),
    ],
)
def test_mistakes_in_rows(spec, message):
    with pytest.raises(RepriseError) as error:
        drawing.table(spec)
    assert message in str(error.value)
