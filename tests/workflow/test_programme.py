"""Jobs, targets and inputs that the workflow asks for."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from mini import mini
from reprise.errors import RepriseError
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme
from reprise.workflow.shards import Shard

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


def programme(
    folder: Path,
    experiments: dict = EXPERIMENTS,
    figures: list = FIGURES,
    started: Sequence = (),
    *,
    report: Mapping = MappingProxyType({}),
    **config,
) -> Programme:
    layers = [{"flatten": True}, {"dense": "classes"}]
    document = mini(layers, experiments, epochs=30, figures=figures) | report
    document["defaults"] |= {"seeds": [0, 1, 2]}
    document["defaults"]["training"]["batch_size"] = 128
    (folder / "mini.yaml").write_text(yaml.safe_dump(document))
    return Programme(Config(**config), folder, started)


def test_one_broken_report_does_not_stop_the_others(tmp_path):
    (tmp_path / "broken.yaml").write_text("title: A\n\tx: 1\n")
    (tmp_path / "wrong.yaml").write_text("title: A\ndefaults: 1\nx: 2\n")
    made = programme(tmp_path)
    assert list(made.reports) == ["mini"]
    assert made.broken["broken"] == f"{tmp_path / 'broken.yaml'}:2: a tab; indent with spaces"
    assert [line.split(": ")[1] for line in made.broken["wrong"].splitlines()] == [
        "top level",
        "defaults",
        "x",
    ]
    with pytest.raises(RepriseError, match="a tab"):
        programme(tmp_path, reports=["mini", "broken"])
    (tmp_path / "mini.yaml").unlink()
    with pytest.raises(RepriseError, match="a tab") as error:
        Programme(Config(), tmp_path)
    assert str(error.value).count("\n") == 3


def sizes(made: Programme) -> dict[str, int]:
    return {shard.name: len(shard.runs) for shard in made.shards}


def follows(shard: Shard) -> set[str]:
    """Runs of other shards that come first."""
    return {before for run in shard.runs.values() for before in run.follows} - shard.runs.keys()


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
    assert {shard.name: tuple(shard.runs) for shard in made.shards} == expected
    (first, *_) = expected["mini_base"]  # the stamp of the job
    assert made.train_inputs(expected["mini_tuned"][0])[1:] == [str(made.layout.trained(first))]


def test_an_experiment_of_many_runs_is_divided_and_a_study_is_not(tmp_path):
    space = {
        "lr": {"path": "optimizer.lr", "values": [0.1]},
        "init": {"path": "seed", "values": list(range(250))},
    }
    study = {"seeds": [0], "asha": {"trials": 250, "min_resource": 1, "reduction_factor": 2, "space": space}}
    made = programme(tmp_path, {"many": {"seeds": list(range(250))}, "study": study}, [])
    assert sizes(made) == {
        "mini_many": 100,
        "mini_many__2": 100,
        "mini_many__3": 50,
        "mini_study": 250,
    }


def test_a_report_can_be_one_shard_but_for_what_starts_from_its_weights(tmp_path):
    made = programme(tmp_path, shard="report")
    assert sizes(made) == {"mini": 12, "mini__2": 3}
    assert follows(made.shards[1])


def test_a_number_makes_shards_of_so_many_optimiser_steps(tmp_path):
    two_runs = 2 * 11_718  # 30 epochs of 50,000 images in batches of 128
    made = programme(tmp_path, shard=two_runs)
    assert sizes(made) == {
        **{"mini": 2, "mini__2": 2, "mini__3": 2, "mini__4": 2, "mini__5": 2, "mini__6": 2},
        **{"mini__7": 2, "mini__8": 1},  # what starts from the weights of others
    }
    assert [run for shard in made.shards for run in shard.runs] == list(made.reports["mini"].runs())
    assert set(sizes(programme(tmp_path, shard=two_runs - 1)).values()) == {1}


def test_kept_originals_count_twice(tmp_path):
    kept = {"augmentation": [{"flip": 0.5}], "training.keep_originals": True}
    made = programme(tmp_path, {"plain": {}, "twice": {"set": kept}}, [], shard=2 * 11_718)  # as above
    assert [*sizes(made).values()] == [2, 1, 1, 1, 1]


def test_a_study_is_never_divided(tmp_path):
    space = {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3, 0.4]}}
    study = {"seeds": [0], "asha": {"trials": 4, "min_resource": 1, "reduction_factor": 2, "space": space}}
    made = programme(tmp_path, {"base": {}, "study": study}, [], shard=1)
    assert [*sizes(made).values()] == [1, 1, 1, 4]


def test_every_run_is_in_one_shard_after_those_that_it_follows(tmp_path):
    again = {"again": {"base": "tuned", "set": {"initial_weights": {"from": "tuned"}}}}
    for shard in ("experiment", "report", 1, 50_000):
        made = programme(tmp_path, EXPERIMENTS | again, shard=shard)
        placed: list[str] = []
        for each in made.shards:
            assert follows(each) <= set(placed)
            placed += each.runs
        assert sorted(placed) == sorted(made.reports["mini"].runs())


def test_targets_follow_the_scale_and_what_is_skipped(tmp_path):
    made = programme(tmp_path, scale="quick", skip=["mini/base"])
    assert made.targets("figures") == []
    assert made.targets("statements") == [
        "results/quick/statements/mini.csv",
        "results/quick/statements/mini.md",
        "results/quick/statements/mini.json",
        "results/quick/statements/mini.html",
    ]
    assert programme(tmp_path).targets("figures")[0] == "results/figures/mini/one.png"
    assert (
        programme(tmp_path, skip=["mini/tuned"]).targets("figures", ["mini"])[-1]
        == "results/figures/mini/one.json"
    )


BOTH = ["mini", "other"]


@pytest.mark.parametrize(
    ("targets", "asked"),
    [
        ([], BOTH),
        (["all"], BOTH),
        (["site"], BOTH),
        (["all_tables"], BOTH),
        (["results/figures/all"], BOTH),
        (["results/site/index.html"], BOTH),
        (["mini"], ["mini"]),
        (["other", "mini"], BOTH),
        (["mini", "site"], BOTH),
        (["results/figures/other/one.png"], ["other"]),
        (["results/statements/mini.csv", "results/statements/mini.md"], ["mini"]),
        (["results/statements/mini.csv", "results/figures/other/one.svg"], BOTH),
        (["results/data/cifar10/dataset.json"], []),
        (["results/data/cifar10/dataset.json", "other"], ["other"]),
    ],
)
def test_the_reports_that_a_command_asks_for(tmp_path, targets, asked):
    programme(tmp_path)
    file = tmp_path / "mini.yaml"
    (tmp_path / "other.yaml").write_text(file.read_text().replace("slug: mini", "slug: other"))
    made = Programme(Config(), tmp_path)
    assert made.asked(targets) == asked
    run = next(iter(made.reports["mini"].runs()))
    assert made.asked([f"results/runs/{run}/trained.json"]) == BOTH  # both have the run


def test_everything_has_every_run(tmp_path):
    made = programme(tmp_path)
    asked = set(made.all_targets())
    for stage in (made.training, made.evaluation):
        assert set(stage.stamps(made.reports["mini"].runs())) <= asked
    assert {*made.targets("figures"), *made.targets("statements"), "results/site/index.html"} <= asked
    assert "results/site/index.html" not in made.all_targets(["mini"])


def test_results_are_listed_by_one_label_that_says_what_they_show(tmp_path):
    made = programme(tmp_path)
    assert made.labels("figures", "mini", "one") == {"figure": "one: Loss."}


def test_the_site_is_made_again_where_what_it_says_itself_changes(tmp_path):
    made = programme(tmp_path).site_params()
    outline = [{"section": "Section 1", "title": "One", "shows": ["one"]}]
    assert programme(tmp_path, report={"outline": outline}).site_params() != made
    assert programme(tmp_path, report={"url": "https://example.org"}).site_params() != made
    assert programme(tmp_path).site_params() == made


def test_the_site_is_told_what_is_skipped_and_stood_in(tmp_path):
    made = programme(tmp_path, scale="quick", skip=["mini/tuned"], stand_in=["cinic10"])
    assert made.site_options() == [
        "mini", "--scale=quick", "--results=results", f"--reports={made.options('reports')[0][10:]}",
        "--skip", "mini/tuned", "--stand-in", "cinic10",
    ]  # fmt: skip


def test_a_figure_needs_the_runs_that_it_draws(tmp_path):
    made = programme(tmp_path)
    firsts = [Path(stamp).parent.name for stamp in made.item_inputs("figures", "mini", "one")]
    assert [run for first in firsts for run in made.evaluation.jobs[first].runs] == [
        run for name in ("base", "rates/lr=0.1") for run in made.reports["mini"].cells(name)[0].runs
    ]


def test_what_the_report_did_is_a_parameter_of_what_says_so(tmp_path):
    """At a smaller scale its face says `8 of 30 epochs`."""

    def parameters(**changes):
        programme(tmp_path)
        document = yaml.safe_load((tmp_path / "mini.yaml").read_text())
        document["defaults"]["training"] |= changes
        document["scales"] = {"quick": {"epochs": {"max": 8}}}
        (tmp_path / "mini.yaml").write_text(yaml.safe_dump(document))
        made = Programme(Config(scale="quick"), tmp_path)
        return [made.item_params("figures", "mini", "one"), list(made.reports["mini"].runs())]

    before, after = parameters(), parameters(epochs=40)
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]


def test_a_table_with_verdicts_waits_for_all_that_is_stated(tmp_path):
    """What scatter is typical is a matter of all statements; and other runs of theirs make it again."""
    document = yaml.safe_load((tmp_path / "mini.yaml").read_text()) if programme(tmp_path) else {}
    rows = [{"label": "a", "measure": "accuracy(base)"}]
    plain = {"id": "plain", "kind": "metrics", "caption": "c", "rows": rows}
    judged = {**plain, "id": "judged", "rows": [{**rows[0], "reported": "0.5"}]}
    number = {"number": "n", "reported": "0.5", "measure": 'accuracy("rates/lr=0.2")'}

    def made(**changes):
        sections = {"tables": [plain, judged], "statements": [{**number, **changes}]}
        (tmp_path / "mini.yaml").write_text(yaml.safe_dump(document | sections))
        return Programme(Config(), tmp_path)

    first = made()
    found = {name: set(first.item_inputs("tables", "mini", name)) for name in ("plain", "judged")}
    stated = set(first.statement_inputs("mini"))
    assert found["plain"] < found["judged"] == stated
    other = made(measure='accuracy("rates/lr=0.1")')
    same = [
        one == two
        for one, two in (
            [each.item_params("tables", "mini", name) for each in (first, other)]
            for name in ("plain", "judged")
        )
    ]
    assert same == [True, False]


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
    made = Programme(Config(scale="quick", stand_in=["cinic10"]), reports)
    plain = made.options("scale", "results", "reports")
    assert made.report_options("cinic10_resnet") == [*plain, "--stand-in", "cinic10"]
    assert made.report_options("cifar10_asha") == plain
    assert "results/data/cinic10-stand-in/dataset.json" in made.samples_inputs("cinic10_resnet", "figure_01")
    with pytest.raises(RepriseError, match="stand_in: nothing stands in for cifar10; valid: cinic10"):
        Programme(Config(scale="quick", stand_in=["cifar10"]), reports)


def finish(made: Programme, *runs: str, evaluated: bool = True) -> None:
    for run in runs:
        made.layout.trained(run).parent.mkdir(parents=True, exist_ok=True)
        made.layout.trained(run).touch()
        if evaluated:
            made.layout.evaluated(run).touch()


def jobs(made: Programme) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The runs of each job that trains, and of each that evaluates."""
    stages = (made.training, made.evaluation)
    return tuple(list({job.first: job.runs for job in stage.jobs.values()}.values()) for stage in stages)


@pytest.mark.parametrize("shard", ["experiment", "report", 1, 50_000])
def test_a_finished_run_is_in_no_job(tmp_path, shard):
    config = {"results": str(tmp_path / "results"), "shard": shard}
    runs = list(programme(tmp_path, **config).reports["mini"].runs())
    finish(programme(tmp_path, **config), *runs[1:5])
    finish(programme(tmp_path, **config), runs[5], evaluated=False)
    made = programme(tmp_path, **config)
    training, evaluation = jobs(made)
    assert sorted(run for job in training for run in job) == sorted(runs[:1] + runs[6:])
    assert sorted(run for job in evaluation for run in job) == sorted(runs[:1] + runs[5:])
    for stage, stamp in ((made.training, made.layout.trained), (made.evaluation, made.layout.evaluated)):
        assert stage.stamps([runs[2]]) == [str(stamp(runs[2]))]
        assert not re.fullmatch(stage.pattern, runs[2])
        assert all(re.fullmatch(stage.pattern, run) for run in stage.jobs)
    finish(made, *runs)
    made = programme(tmp_path, **config)
    assert jobs(made) == ([], [])
    assert made.training.pattern == made.evaluation.pattern == "(?!)"
    assert set(made.statement_inputs("mini")) <= {str(made.layout.evaluated(run)) for run in runs}


def test_a_run_without_one_of_its_stamps_is_made_again(tmp_path):
    made = programme(tmp_path, results=str(tmp_path / "results"), shard="report")
    runs = list(made.reports["mini"].runs())
    finish(made, *runs)
    made.layout.trained(runs[1]).unlink()
    made.layout.evaluated(runs[2]).unlink()
    made = programme(tmp_path, results=str(tmp_path / "results"), shard="report")
    assert jobs(made) == ([(runs[1],)], [(runs[1], runs[2])])
    data, *stamps = made.evaluate_inputs(runs[1])
    assert data.endswith("cifar10/dataset.json")
    assert stamps == [str(made.layout.trained(run)) for run in runs[1:3]]


def test_the_process_of_a_job_takes_the_runs_that_are_left_and_the_stamp_of_the_one_that_started_it(tmp_path):
    """Another job, or an earlier attempt, has finished runs in the meantime."""
    config = {"results": str(tmp_path / "results"), "shard": "report"}
    made = programme(tmp_path, **config)
    first, *others = made.shards[0].runs
    (tuned, *_) = made.shards[1].runs
    assert made.training.jobs[others[0]].first == first
    finish(made, first, *others[:3], evaluated=False)
    within = programme(tmp_path, **config, started=[("train", first), ("evaluate", first)])
    left = (first, *others[3:])
    assert within.training.jobs[first].runs == left
    assert within.training.jobs[first].first == first
    assert within.evaluation.jobs[first].runs == (first, *others)
    assert str(within.layout.trained(first)) in within.evaluate_inputs(first)
    assert str(within.layout.trained(others[4])) not in within.evaluate_inputs(first)
    finish(made, first, *others)
    within = programme(tmp_path, **config, started=[("train", tuned)])
    assert set(within.train_inputs(tuned)[1:]) == {
        str(within.layout.trained(run)) for run in follows(made.shards[1])
    }


def test_without_training_it_is_said_how_many_are_not_run(tmp_path):
    assert programme(tmp_path).summary == ""
    assert programme(tmp_path, train=False).summary == "0 runs from the cache, 15 are not run"
