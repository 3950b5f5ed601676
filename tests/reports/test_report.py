"""Report files: expansion into cells and runs, identity of runs, errors."""

import copy
import itertools
from pathlib import Path

import pytest
import yaml

from reprise.errors import RepriseError
from reprise.reports.experiments import Fewer
from reprise.reports.file import read_yaml
from reprise.reports.report import Report, report_files
from reprise.reports.run import ENGINE, Run, canonical, digest, prune

ROOT = Path(__file__).parents[2]
NET = {
    "name": "sequential",
    "layers": [{"conv": 8, "activation": "relu"}, {"flatten": True}, {"dense": "classes"}],
}
BASE = {
    "slug": "mini",
    "title": "Mini",
    "models": {"net": NET},
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": 0.2},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 1e-3},
        "training": {"epochs": 30, "batch_size": 128, "select": "best_accuracy"},
        "seeds": [0, 1, 2],
    },
    "experiments": {"base": {}},
}


def write(folder: Path, **changes) -> Path:
    """The base report with top-level keys replaced."""
    document = copy.deepcopy(BASE) | changes
    path = folder / "mini.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def load(folder: Path, scale: str = "full", **changes) -> Report:
    return Report(write(folder, **changes), scale)


def specs(report: Report, selector: str) -> list[dict]:
    return [dict(run.spec) for cell in report.cells(selector) for run in cell.members]


def test_one_run_per_seed(tmp_path):
    report = load(tmp_path)
    (cell,) = report.cells("base")
    assert cell.name == "base"
    assert len(set(cell.runs)) == 3
    assert [run.spec["seeds"] for run in cell.members][1] == dict.fromkeys(
        ("split", "init", "order", "augmentation"), 1
    )
    spec = cell.members[0].spec
    assert spec["engine"] == ENGINE
    assert spec["dataset"] == {"name": "cifar10", "labels": "label", "source": "real"}
    assert spec["model"] == NET


def test_grid_is_every_combination(tmp_path):
    grid = {
        "batch_size": {"path": "training.batch_size", "values": [64, 128]},
        "lr": {"path": "optimizer.lr", "values": [0.01, 0.001, 0.0001]},
        "augmentation": {
            "path": "augmentation",
            "values": {"none": [], "basic": [{"flip": 0.5}, {"rotation": 10}]},
        },
    }
    report = load(tmp_path, experiments={"cnn": {"grid": grid}})
    assert len(report.cells("cnn")) == 12
    (cell,) = report.cells("cnn/batch_size=64,lr=1e-4,augmentation=basic")
    assert cell.name == "cnn/batch_size=64,lr=0.0001,augmentation=basic"
    spec = cell.members[0].spec
    assert (spec["training"]["batch_size"], spec["optimizer"]["lr"]) == (64, 0.0001)
    assert spec["augmentation"] == [{"flip": 0.5}, {"rotation": 10}]
    assert len(report.cells("cnn/lr=0.01")) == 4


def test_an_axis_may_change_several_settings(tmp_path):
    values = {"small": {"model.width": 0.5, "preprocess.resize": 24}, "large": {"model.width": 2}}
    report = load(tmp_path, experiments={"size": {"grid": {"network": {"values": values}}}})
    assert [cell.name for cell in report.cells("size")] == ["size/network=small", "size/network=large"]
    (spec, *_) = specs(report, "size/network=small")
    assert (spec["model"]["width"], spec["preprocess"]["resize"]) == (0.5, 24)
    with pytest.raises(RepriseError, match=r"experiments\.size\.grid\.network: plain values need a path"):
        load(tmp_path, experiments={"size": {"grid": {"network": {"values": [1, 2]}}}})


def test_pointwise_changes_one_value_at_a_time(tmp_path):
    axes = {
        "lr": {"path": "optimizer.lr", "values": [0.01]},
        "optimizer": {"path": "optimizer", "values": {"sgd": {"name": "sgd", "lr": 0.001, "momentum": 0.9}}},
    }
    report = load(tmp_path, experiments={"tuning": {"pointwise": axes}})
    assert [cell.name for cell in report.cells("tuning")] == [
        "tuning",
        "tuning/lr=0.01",
        "tuning/optimizer=sgd",
    ]
    assert report.cells("tuning/base")[0].settings == {}
    assert specs(report, "tuning/optimizer=sgd")[0]["optimizer"] == {
        "name": "sgd",
        "lr": 0.001,
        "momentum": 0.9,
    }
    assert specs(report, "tuning/optimizer=sgd")[0]["training"]["batch_size"] == 128


def test_random_search_draws_without_repetition_after_the_included(tmp_path):
    space = {
        "filters": {"path": "model.layers.0.conv", "values": [4, 8, 16]},
        "batch": {"path": "training.batch_size", "values": [32, 64, 128]},
    }
    search = {
        "random": {"trials": 9, "seed": 3, "include": [{"filters": 8, "batch": 64}], "space": space},
        "seeds": [0],
    }
    report = load(tmp_path, experiments={"search": search})
    cells = report.cells("search")
    assert cells[0].settings == {"trial": 0, "filters": 8, "batch": 64}
    assert len({canonical({**cell.settings, "trial": 0}) for cell in cells}) == 9
    assert report.cells("search/trial=4") == [cells[4]]
    assert cells[4].members[0].spec["model"]["layers"][0]["conv"] == cells[4].settings["filters"]
    again = load(tmp_path, experiments={"search": search})
    assert [cell.runs for cell in again.cells("search")] == [cell.runs for cell in cells]
    fewer = load(tmp_path, "quick", experiments={"search": search}, scales={"quick": {"trials": 4}})
    assert [cell.settings for cell in fewer.cells("search")] == [cell.settings for cell in cells[:4]]


def test_readings_the_first_is_judged(tmp_path):
    experiments = {
        "cnn": {
            "readings": {"as_run": {}, "as_written": {"model.layers.0.kernel": 5}},
            "grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 1]}},
        },
        "long": {"base": "cnn", "set": {"training.epochs": 60}},
    }
    report = load(tmp_path, experiments=experiments)
    assert [cell.reading for cell in report.cells("cnn")] == ["as_run", "as_run"]
    (written,) = report.cells("cnn/lr=0.1@as_written")
    assert written.name == "cnn/lr=0.1@as_written"
    assert written.members[0].spec["model"]["layers"][0]["kernel"] == 5
    assert not set(written.runs) & set(report.runs())
    assert report.cells("long@as_written")[0].members[0].spec["training"]["epochs"] == 60


def test_named_values_are_selected_by_their_names(tmp_path):
    rates = {"path": "optimizer.lr", "values": {"1.0": 1, "007": 7, 0.5: 0.5}}
    report = load(tmp_path, experiments={"cnn": {"grid": {"rate": rates}}})
    for name, rate in (("1.0", 1), ("1", 1), ("007", 7), ("0.5", 0.5)):
        assert specs(report, f"cnn/rate={name}")[0]["optimizer"]["lr"] == rate


def test_meanings_of_axis_values_are_not_inherited(tmp_path):
    grid = {"width": {"path": "model.width", "values": {"one": 1, "two": 2}}}
    readings = {"a": {}, "b": {"width=one": 3, "training.epochs": 7}}
    report = load(
        tmp_path,
        experiments={
            "cnn": {"grid": grid, "readings": readings},
            "longer": {"base": "cnn", "set": {"optimizer.lr": 1}},
        },
    )
    assert specs(report, "cnn/width=one@b")[0]["model"]["width"] == 3
    assert specs(report, "longer@b")[0]["training"]["epochs"] == 7


def test_a_reading_gives_an_axis_value_another_meaning(tmp_path):
    grid = {"augmentation": {"path": "augmentation", "values": {"none": [], "basic": [{"flip": 0.5}]}}}
    readings = {"as_run": {}, "as_written": {"augmentation=basic": [{"flip": 0.5}, {"rotation": 10}]}}
    report = load(tmp_path, experiments={"cnn": {"grid": grid, "readings": readings}})
    assert specs(report, "cnn/augmentation=basic")[0]["augmentation"] == [{"flip": 0.5}]
    assert specs(report, "cnn/augmentation=basic@as_written")[0]["augmentation"] == [
        {"flip": 0.5},
        {"rotation": 10},
    ]
    with pytest.raises(
        RepriseError,
        match=r"readings\.b\.augmentation=basc: no such value.*did you mean augmentation=basic\?",
    ):
        load(
            tmp_path,
            experiments={"cnn": {"grid": grid, "readings": {"a": {}, "b": {"augmentation=basc": []}}}},
        )


def test_runs_start_from_the_weights_of_the_same_seed(tmp_path):
    experiments = {
        "pretrain": {},
        "tune": {"set": {"initial_weights": {"from": "pretrain", "drop": ["2_dense"]}, "optimizer.lr": 1e-5}},
        "again": {"base": "tune", "set": {"initial_weights.from": "tune"}},
    }
    report = load(tmp_path, experiments=experiments)
    parents = report.cells("pretrain")[0].runs
    assert tuple(run.parent for run in report.cells("tune")[0].members) == parents
    assert report.cells("tune")[0].members[0].spec["initial_weights"]["drop"] == ["2_dense"]
    assert [run.parent for run in report.cells("again")[0].members] == list(report.cells("tune")[0].runs)
    changed = copy.deepcopy(BASE["defaults"]) | {
        "training": {"epochs": 31, "batch_size": 128, "select": "last"}
    }
    assert not set(load(tmp_path, experiments=experiments, defaults=changed).cells("tune")[0].runs) & set(
        report.cells("tune")[0].runs
    )


def test_skipping_an_experiment_skips_what_starts_from_it(tmp_path):
    path = write(
        tmp_path,
        experiments={
            "pretrain": {},
            "tune": {"set": {"initial_weights": {"from": "pretrain"}, "optimizer.lr": 1}},
            "other": {"seeds": [7]},
        },
    )
    report = Report(path, skip=["pretrain"])
    assert not report.active(report.cells("tune")[0])
    assert list(report.runs()) == list(report.cells("other")[0].runs)


def test_subsets_early_stop_schedules_and_fixed_seeds(tmp_path):
    defaults = copy.deepcopy(BASE["defaults"])
    defaults["dataset"] |= {"classes": ["bird", "deer", "dog"], "per_class": 100}
    defaults["training"] |= {
        "early_stop": {"monitor": "accuracy", "patience": 4, "min_epochs": 30},
        "drop_last": True,
    }
    defaults |= {"schedule": {"name": "step", "step": 10, "gamma": 0.5}, "fixed_seeds": {"split": 42}}
    spec = load(tmp_path, defaults=defaults).cells("base")[0].members[2].spec
    assert spec["dataset"]["classes"] == ["bird", "deer", "dog"]
    assert spec["training"]["early_stop"]["min_epochs"] == 30
    assert spec["seeds"] == {"split": 42, "init": 2, "order": 2, "augmentation": 2}


def test_scales_shrink_epochs_seeds_and_trials(tmp_path):
    scales = {
        "demo": {
            "seeds": 2,
            "epochs": {"factor": 0.1, "min": 2},
            "set": {"model.width": 0.5},
            "experiments": {"long": {"epochs": {"max": 4}}},
        }
    }
    experiments = {
        "base": {},
        "long": {"set": {"training.epochs": 500}},
        "short": {"set": {"training.epochs": 1}},
    }
    report = load(tmp_path, "demo", experiments=experiments, scales=scales)
    assert [len(report.cells(name)[0].runs) for name in experiments] == [2, 2, 2]
    assert [specs(report, name)[0]["training"]["epochs"] for name in experiments] == [3, 4, 1]
    assert specs(report, "base")[0]["model"]["width"] == 0.5
    assert specs(report, "base")[0]["dataset"]["source"] == "synthetic"
    assert Fewer(max=8).of(100) == 8
    assert Fewer(factor=0.1, min=5).of(3) == 3


def test_a_scale_may_keep_some_cells_of_a_grid_only(tmp_path):
    axes = {
        "lr": {"path": "optimizer.lr", "values": [0.1, 0.2]},
        "batch": {"path": "training.batch_size", "values": [32, 64]},
    }
    experiments = {
        "cnn": {"grid": axes, "readings": {"as_run": {}, "as_written": {"training.select": "last"}}}
    }
    scales = {"demo": {"experiments": {"cnn": {"only": ["lr=0.1", "lr=0.2,batch=64"]}}}}
    report = load(tmp_path, "demo", experiments=experiments, scales=scales)
    names = ["cnn/lr=0.1,batch=32", "cnn/lr=0.1,batch=64", "cnn/lr=0.2,batch=64"]
    assert [cell.name for cell in report.cells("cnn@as_run")] == [f"{name}@as_run" for name in names]
    assert len(report.cells("cnn@as_written")) == 3
    assert len(load(tmp_path, experiments=experiments, scales=scales).cells("cnn")) == 4
    with pytest.raises(RepriseError, match="batch is never 16"):
        load(
            tmp_path,
            "demo",
            experiments=experiments,
            scales={"demo": {"experiments": {"cnn": {"only": ["batch=16"]}}}},
        )


def test_identity_ignores_key_order_and_spelling_of_numbers(tmp_path):
    path = write(tmp_path)
    hashes = Report(path).cells("base")[0].runs
    reordered = {key: BASE[key] for key in reversed(BASE)}
    reordered["defaults"] = {key: BASE["defaults"][key] for key in reversed(BASE["defaults"])}
    path.write_text(yaml.safe_dump(reordered, sort_keys=False).replace("lr: 0.001", "lr: 1e-3"))
    assert Report(path).cells("base")[0].runs == hashes
    assert digest({"a": 1.0, "b": 1e-3}) == digest({"b": 0.001, "a": 1})
    assert Run(prune({"a": 1, "new": None, "empty": []})) == Run({"a": 1})


def test_changing_one_learning_rate_changes_that_run_alone(tmp_path):
    def grid(values):
        return {"cnn": {"grid": {"lr": {"path": "optimizer.lr", "values": values}}}}

    before = load(tmp_path, experiments=grid([0.1, 0.2])).runs()
    after = load(tmp_path, experiments=grid([0.1, 0.3])).runs()
    assert len(set(before) & set(after)) == 3
    assert len(set(after) - set(before)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experimnts": {}}, "experimnts: unknown key; did you mean experiments?"),
        (
            {"experiments": {"a": {"set": {"training.bach_size": 3}}}},
            "experiments.a.set.training.bach_size: unknown key; did you mean batch_size?",
        ),
        ({"experiments": {"a": {"set": {"model": "nett"}}}}, "no model nett; did you mean net?"),
        ({"experiments": {"a": {"gird": {}}}}, "experiments.a.gird: unknown key; did you mean grid?"),
        ({"experiments": {"a": {"base": "b"}, "bb": {}}}, "experiments.a.base: no experiment b"),
        ({"experiments": {"a": {"base": "b"}, "b": {"base": "a"}}}, "goes round in a circle"),
        (
            {"experiments": {"a": {"set": {"initial_weights": {"from": "a"}}}}},
            "initial weights go round in a circle",
        ),
        ({"experiments": {"a": {"set": {"model.layers.7.conv": 3}}}}, "no element 7; the list has 3"),
        (
            {"experiments": {"a": {"set": {"optimizer.name": "adm"}}}},
            "optimizer.name: 'adm' is no optimizer; did you mean adam?",
        ),
        (
            {"experiments": {"a": {"set": {"optimizer.lr": "fast"}}}},
            "optimizer.lr: should be a number, not 'fast'",
        ),
        ({"slug": "other"}, "call the file other.yaml"),
        (
            {
                "experiments": {
                    "a": {
                        "random": {"trials": 1, "space": {"trial": {"path": "optimizer.lr", "values": [1]}}}
                    }
                }
            },
            "experiments.a.random.space.trial: an axis cannot be called trial",
        ),
        (
            {"scales": {"quick": {"experiments": {"bas": {}}}}},
            "scales.quick.experiments.bas: no experiment bas; did you mean base?",
        ),
        (
            {
                "experiments": {
                    "a": {"random": {"trials": 5, "space": {"x": {"path": "optimizer.lr", "values": [1, 2]}}}}
                }
            },
            "experiments.a.random.trials: 5 is more than the 2 combinations",
        ),
        (
            {
                "experiments": {
                    "a": {
                        "grid": {"x": {"path": "optimizer.lr", "values": [1]}},
                        "pointwise": {"x": {"path": "optimizer.lr", "values": [1]}},
                    }
                }
            },
            "grid, pointwise, random and asha exclude each other",
        ),
        ({"defaults": {"dataset": {}}}, "key"),
    ],
)
def test_errors_name_file_key_path_and_remedy(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(RepriseError) as error:
        Report(path, "quick")
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert all(line.startswith(f"{path}:") for line in str(error.value).splitlines())


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("bse", "no experiment bse; did you mean base?"),
        ("cnn/lrr=1", "cnn has no axis lrr; did you mean lr?"),
        ("cnn/lr=5", "lr is never 5; valid: 0.1, 1"),
        ("cnn@as_run", "no reading as_run"),
    ],
)
def test_selector_errors(tmp_path, selector, message):
    report = load(
        tmp_path,
        experiments={"base": {}, "cnn": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 1]}}}},
    )
    with pytest.raises(RepriseError, match="selector"):
        report.cells(selector)
    with pytest.raises(RepriseError) as error:
        report.cells(selector)
    assert message in str(error.value)


def test_yaml_errors(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\nb: 2\na: 3\n")
    with pytest.raises(RepriseError, match=r"x\.yaml:3: key 'a' stands twice"):
        read_yaml(path)
    path.write_text("a: [1\n")
    with pytest.raises(RepriseError, match=r"x\.yaml:1: the \[ that opens here is not closed"):
        read_yaml(path)
    path.write_text("a: 1e-3\nb: 1.5E4\nc: 2e5")
    assert read_yaml(path) == {"a": 0.001, "b": 15000.0, "c": 200000.0}
    path.write_text("a: 1\nlr: .nan\n")
    with pytest.raises(RepriseError, match=r"x\.yaml:2: \.nan is no finite number"):
        read_yaml(path)
    with pytest.raises(RepriseError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.slow
def test_report_files_of_the_project_load_at_every_scale():
    files = report_files(ROOT / "workflow/reports").values()
    assert files
    for file in files:
        for scale in ("full", "quick", "demo"):
            assert Report(file, scale).runs()


# ---- studies ----


def study(tmp_path, scale="full", **asha) -> Report:
    space = {
        "lr": {"path": "optimizer.lr", "log_uniform": [1e-4, 1e-2]},
        "decay": {"path": "optimizer.weight_decay", "uniform": [0.001, 0.01]},
        "seed": {"path": "seed", "values": [7, 42, 77]},
        "augment": {"values": {"on": {"augmentation": [{"flip": 0.5}]}, "off": {}}},
    }
    rule = {"trials": 30, "min_resource": 1, "reduction_factor": 2, "space": space} | asha
    return load(
        tmp_path, scale, experiments={"study": {"seeds": [0], "asha": rule}}, scales={"quick": {"trials": 4}}
    )


def test_a_study_draws_its_trials_up_front_within_their_ranges(tmp_path):
    cells = study(tmp_path).cells("study")
    assert [cell.settings["trial"] for cell in cells] == list(range(30))
    specs = [cell.members[0].spec for cell in cells]
    rates, decays = ([spec["optimizer"][key] for spec in specs] for key in ("lr", "weight_decay"))
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert all(0.001 <= decay <= 0.01 for decay in decays)
    assert (
        5 < sum(rate < 1e-3 for rate in rates) < 25
    )  # half of a log-uniform draw lies below the middle power of ten
    assert len(set(rates)) == 30
    assert {spec["seeds"]["init"] for spec in specs} == {7, 42, 77}
    assert {"augmentation" in spec for spec in specs} == {True, False}
    assert cells[3].settings["lr"] == specs[3]["optimizer"]["lr"]


def test_a_trial_knows_the_one_before_it_and_a_shorter_study_has_the_same_first_trials(tmp_path):
    whole = [cell.members[0] for cell in study(tmp_path).cells("study")]
    assert whole[0].spec["study"] == {"trial": 0, "min_resource": 1, "reduction_factor": 2}
    assert whole[0].follows == []
    assert all(run.follows == [before.hash] for before, run in itertools.pairwise(whole))
    assert [cell.runs[0] for cell in study(tmp_path, "quick").cells("study")] == [
        run.hash for run in whole[:4]
    ]
    other = [cell.members[0] for cell in study(tmp_path, seed=1).cells("study")]
    assert not {run.hash for run in whole} & {run.hash for run in other}


def test_a_trial_has_one_seed_and_a_range_two_ends(tmp_path):
    with pytest.raises(RepriseError, match=r"experiments.study.seeds: a trial of a study is one run"):
        load(tmp_path, experiments={"study": {"seeds": [0, 1], "asha": ASHA}})
    backwards = {**ASHA, "space": {"lr": {"path": "optimizer.lr", "uniform": [2, 1]}}}
    with pytest.raises(RepriseError, match=r"asha.space.lr.uniform: 2.0 is not below 1.0"):
        load(tmp_path, experiments={"study": {"seeds": [0], "asha": backwards}})


ASHA = {
    "trials": 2,
    "min_resource": 1,
    "reduction_factor": 2,
    "space": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}},
}


# ---- assumptions ----


def test_statements_hang_on_the_assumptions_about_what_they_measure(tmp_path):
    table = {
        "id": "table_01",
        "kind": "comparison",
        "caption": "Accuracy.",
        "models": [{"label": "Base", "runs": "base"}],
        "rows": [{"label": "Accuracy", "metric": "accuracy", "reported": {"Base": "0.65"}}],
    }
    statements = [
        {"number": "of_base", "reported": "1", "measure": "accuracy(base)"},
        {"number": "of_rates", "reported": "1", "measure": 'loss("rates/lr=0.1")'},
        {"number": "of_images", "reported": "1", "measure": "test_images(base)"},
        {"claim": "of_both", "holds": "mine(base) > test_images(base)"},
        {"claim": "otherwise", "holds": "accuracy(base) > 0.5 and at_chance(accuracy(base))"},
    ]
    rates = {"base": "base", "grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}}}
    affects = [None, ["base"], ["rates"], ["rates/lr=0.2"], ["table_01"], ["of_images", "of_rates"]]
    report = load(
        tmp_path,
        experiments={"base": {}, "rates": rates},
        measures={"mine": 'loss(split="validation", at="last")'},
        tables=[table],
        statements=statements,
        assumptions=[
            {"says": f"Number {place}."} | ({"affects": names} if names else {})
            for place, names in enumerate(affects)
        ],
    )
    every = {one.id for one in report.statements}
    of_base = every - {"of_rates", "of_images"}
    assert report.affected == [
        every,
        of_base,
        {"of_rates"},
        set(),
        {"table_01_base_accuracy"},
        {"of_images", "of_rates"},
    ]
