"""Jobs, targets and inputs that the workflow asks for."""

import copy
from pathlib import Path

import pytest
import yaml
from test_report import BASE

from reprise.errors import RepriseError
from reprise.reports.programme import Programme

CONFIG = {"scale": "full", "results": "results", "data": "", "reports": [], "skip": [], "mirror": []}
CURVES = {"kind": "curves", "caption": "Loss.", "metric": "loss", "splits": ["train"]}
EXPERIMENTS = {
    "base": {},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3]}}},
    "tuned": {"set": {"initial_weights": {"from": "base"}, "optimizer.lr": 1}},
}
FIGURES = [
    {**CURVES, "id": "one", "series": [{"runs": "base"}, {"runs": "rates/lr=0.1"}]},
    {**CURVES, "id": "two", "series": [{"runs": "rates/lr=0.2"}, {"runs": "tuned"}]},
]


def programme(folder: Path, experiments: dict = EXPERIMENTS, figures: list = FIGURES, **config) -> Programme:
    document = copy.deepcopy(BASE) | {"experiments": experiments, "figures": figures}
    (folder / "mini.yaml").write_text(yaml.safe_dump(document))
    return Programme(CONFIG | config, folder)


def test_runs_that_are_needed_together_are_trained_together(tmp_path):
    made = programme(tmp_path)
    report = made.reports["mini"]
    expected = {
        "mini_base": report.cells("base")[0].runs,
        "mini_rates": report.cells("rates/lr=0.1")[0].runs,
        "mini_rates__2": report.cells("rates/lr=0.2")[0].runs,
        "mini_rates__3": report.cells("rates/lr=0.3")[0].runs,
        "mini_tuned": report.cells("tuned")[0].runs,
    }
    assert {name: tuple(shard.runs) for name, shard in made.shards.items()} == expected
    assert made.shards["mini_tuned"].follows == sorted(expected["mini_base"])
    assert [str(made.layout.trained(run)) for run in sorted(expected["mini_base"])] == made.shard_inputs(
        "mini_tuned"
    )[1:]


def test_an_experiment_of_many_runs_is_divided_and_a_study_is_not(tmp_path):
    space = {
        "lr": {"path": "optimizer.lr", "values": [0.1]},
        "init": {"path": "seed", "values": list(range(250))},
    }
    study = {"seeds": [0], "asha": {"trials": 250, "min_resource": 1, "reduction_factor": 2, "space": space}}
    made = programme(tmp_path, {"many": {"seeds": list(range(250))}, "study": study}, [])
    assert {name: len(shard.runs) for name, shard in made.shards.items()} == {
        "mini_many": 100,
        "mini_many__2": 100,
        "mini_many__3": 50,
        "mini_study": 250,
    }


def test_a_report_can_be_one_shard_but_for_what_starts_from_its_weights(tmp_path):
    made = programme(tmp_path, shard="report")
    assert sorted(len(shard.runs) for shard in made.shards.values()) == [3, 12]
    assert made.shards["mini__2"].follows


def test_a_number_makes_shards_of_so_many_optimiser_steps(tmp_path):
    two_runs = 2 * 11_718  # 30 epochs of 50,000 images in batches of 128
    made = programme(tmp_path, shard=two_runs)
    assert {name: len(shard.runs) for name, shard in made.shards.items()} == {
        **{"mini": 2, "mini__2": 2, "mini__3": 2, "mini__4": 2, "mini__5": 2, "mini__6": 2},
        **{"mini__7": 2, "mini__8": 1},  # what starts from the weights of others
    }
    assert [run for shard in made.shards.values() for run in shard.runs] == list(made.reports["mini"].runs())
    assert {len(shard.runs) for shard in programme(tmp_path, shard=two_runs - 1).shards.values()} == {1}


def test_kept_originals_count_twice(tmp_path):
    kept = {"augmentation": [{"flip": 0.5}], "training.keep_originals": True}
    sizes = {"plain": {}, "twice": {"set": kept}}
    made = programme(tmp_path, sizes, [], shard=2 * 11_718)  # as above
    assert [len(shard.runs) for shard in made.shards.values()] == [2, 1, 1, 1, 1]


def test_a_study_is_never_divided(tmp_path):
    space = {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3, 0.4]}}
    study = {"seeds": [0], "asha": {"trials": 4, "min_resource": 1, "reduction_factor": 2, "space": space}}
    made = programme(tmp_path, {"base": {}, "study": study}, [], shard=1)
    assert [len(shard.runs) for shard in made.shards.values()] == [1, 1, 1, 4]


def test_every_run_is_in_one_shard_after_those_that_it_follows(tmp_path):
    again = {"again": {"base": "tuned", "set": {"initial_weights": {"from": "tuned"}}}}
    for shard in ("experiment", "report", 1, 50_000):
        made = programme(tmp_path, EXPERIMENTS | again, shard=shard)
        placed: list[str] = []
        for each in made.shards.values():
            assert set(each.follows) <= set(placed)
            placed += each.runs
        assert sorted(placed) == sorted(made.reports["mini"].runs())


def test_targets_follow_the_scale_and_what_is_skipped(tmp_path):
    made = programme(tmp_path, scale="quick", skip=["mini/base"])
    assert made.targets("figures") == []
    assert made.targets("statements") == [
        "results/quick/statements/mini.csv",
        "results/quick/statements/mini.md",
    ]
    assert programme(tmp_path).targets("figures")[0] == "results/figures/mini/one.png"
    assert (
        programme(tmp_path, skip=["mini/tuned"]).targets("figures", ["mini"])[-1]
        == "results/figures/mini/one.json"
    )


def test_everything_has_every_run(tmp_path):
    made = programme(tmp_path)
    asked = {*made.all_targets(), *made.statement_inputs("mini")}
    assert {str(made.layout.evaluated(run)) for run in made.reports["mini"].runs()} <= asked
    assert {*made.targets("figures"), *made.targets("statements")} <= asked


def test_a_figure_needs_the_runs_that_it_draws(tmp_path):
    made = programme(tmp_path)
    runs = {Path(stamp).parent.name for stamp in made.item_inputs("figures", "mini", "one")}
    assert runs == {
        run for name in ("base", "rates/lr=0.1") for run in made.reports["mini"].cells(name)[0].runs
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"reports": ["minni"]}, "no report minni .*did you mean mini?"),
        ({"skip": ["mini"]}, "'mini' is not report/experiment"),
        ({"skip": ["mini/bse"]}, "no experiment bse; did you mean base?"),
    ],
)
def test_mistakes(tmp_path, config, message):
    with pytest.raises(RepriseError, match=message):
        programme(tmp_path, **config)


def test_only_a_report_that_uses_a_stand_in_hears_of_it():
    reports = Path(__file__).parents[2] / "workflow/reports"
    made = Programme({"results": "results", "scale": "quick", "stand_in": ["cinic10"]}, reports)
    plain = made.options("scale", "results", "reports")
    assert made.report_options("cinic10_resnet") == [*plain, "--stand-in", "cinic10"]
    assert made.report_options("cifar10_asha") == plain
    assert "results/data/cinic10-stand-in/dataset.json" in made.samples_inputs("cinic10_resnet", "figure_01")
    with pytest.raises(RepriseError, match="stand_in: nothing stands in for cifar10; valid: cinic10"):
        Programme({"results": "results", "scale": "quick", "stand_in": ["cifar10"]}, reports)
