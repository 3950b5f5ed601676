"""Which jobs there are, and what they make again: what is finished stays, however runs are dealt."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from project import (
    ROOT,
    Project,
    edit,
    made_once,
    make,
    new_project,
    planned,
    run,
    runs_of,
    snakemake,
    trainings,
)

from reprise.reports.report import RULES, report_files

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]

SHARDS = ("experiment", "report", "1", "1000000")
WORK = {"train", "evaluate"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Not to be written to."""
    return made_once(tmp_path_factory, "finished", lambda folder: make(new_project(folder)))


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project."""
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def work(project: Project, *arguments: str, settings: tuple[str, ...] = ()) -> tuple[int, int]:
    """Number of jobs that would train, and that would evaluate."""
    jobs = planned(project, *arguments, settings=settings)
    return jobs.get("train", 0), jobs.get("evaluate", 0)


def stamp(project: Project, selector: str, name: str) -> Path:
    (identifier,) = runs_of(project, selector)
    return project / "results/demo/runs" / identifier / name


def rates(project: Project, *values: float) -> None:
    """Other learning rates; no figure or statement asks for any but 0.01, so they share a shard."""
    edit(project, lambda report: report["experiments"]["rates"]["grid"]["lr"].update(values=list(values)))


def test_the_rules_are_few_and_no_report_can_have_their_names():
    done = run(ROOT, [sys.executable, "-m", "snakemake", "--list"], ROOT / "src")
    assert done.returncode == 0, done.stderr
    rules = {line.split()[0] for line in done.stdout.splitlines()}
    reports = report_files(ROOT / "workflow/reports").keys()
    assert len(rules) <= 25
    assert rules - reports == set(RULES)
    assert all("(" in line for line in done.stdout.splitlines() if line not in reports), "what is each for?"


@pytest.mark.parametrize("dealt", SHARDS[:3])  # the last deals the few runs of this report as the second does
def test_how_runs_are_dealt_never_matters_to_what_is_finished(project: Project, dealt: str):
    if dealt != "experiment":  # as the project was made
        shutil.rmtree(project / "results/demo/runs")
        until = ["--until", "evaluate"] if dealt == "1" else []  # once is enough to draw everything again
        make(project, *until, settings=[f"shard={dealt}"])
    meta = {
        name: json.loads(stamp(project, name, "run.json").read_text())["meta"] for name in ("base", "tuned")
    }
    assert meta["base"]["finished"] <= meta["tuned"]["started"]
    assert len(trainings(project)) == 4
    for other in SHARDS:
        assert planned(project, settings=[f"shard={other}"]) == {}


def test_neither_rules_nor_threads_nor_the_dates_of_data_train_again(project: Project):
    rules = project / "workflow/rules/training.smk"
    rules.write_text(rules.read_text().replace("python -m reprise", "python -u -m reprise"))
    os.utime(project / "results/demo/data/cifar10/dataset.json")
    for trained in (project / "results/demo/runs").glob("*/trained.json"):
        os.utime(trained)
    assert planned(project, settings=["threads=2"]) == {}


def test_a_failed_job_loses_nothing_and_comes_again_for_the_rest(project: Project):
    rates(project, 0.01, 0.03, 0.05, 0.04)
    engine = project / "src/reprise/training/engine.py"
    sound = engine.read_text()
    fault = "assert run.settings.optimizer['lr'] != 0.05, 'no memory'"
    began = "began = time.monotonic()\n"
    assert sound.count(began) == 1
    engine.write_text(sound.replace(began, f"{fault}; {began}"))
    before = trainings(project)
    assert work(project) == (1, 1)
    done = snakemake(project)
    assert done.returncode != 0
    assert "train mini: 3 runs of rates" in done.stdout + done.stderr
    kept = trainings(project)
    assert kept.keys() - before.keys() == {
        *runs_of(project, "rates/lr=0.03"),
        *runs_of(project, "rates/lr=0.04"),
    }
    assert not stamp(project, "rates/lr=0.03", "trained.json").exists()  # the output, which Snakemake deletes
    assert stamp(project, "rates/lr=0.04", "trained.json").exists()

    engine.write_text(sound)
    assert work(project) == (1, 1)
    assert work(project, settings=("shard=1",)) == (2, 3)
    make(project)
    after = trainings(project)
    assert after.items() > kept.items()
    assert after.keys() - kept.keys() == set(runs_of(project, "rates/lr=0.05"))
    assert planned(project) == {}


def test_what_is_deleted_of_a_run_is_made_again_and_no_more(project: Project):
    before = trainings(project)
    stamp(project, "base", "trained.json").unlink()  # of a run that is there: the stamp is set again
    assert work(project) == (1, 1)
    stamp(project, "rates/lr=0.02", "evaluated.json").unlink()
    assert work(project) == (1, 2)
    shutil.rmtree(stamp(project, "tuned", "run.json").parent)
    assert work(project) == (2, 3)
    make(project)
    after = trainings(project)
    assert {name for name in before if before[name] != after[name]} == set(runs_of(project, "tuned"))
    assert before.keys() == after.keys()
    assert planned(project) == {}


def test_every_run_can_be_asked_for(project: Project):
    """Also one that does not name its job."""
    rates(project, 0.01, 0.03, 0.04)
    asked = str(stamp(project, "rates/lr=0.04", "evaluated.json").relative_to(project))
    done = snakemake(project, "-n", asked)
    jobs = re.findall(r"^ *Job \d+: (.*);", done.stdout + done.stderr, re.MULTILINE)
    assert sorted(jobs) == ["evaluate mini: 2 runs of rates", "train mini: 2 runs of rates"]  # of one group


def test_a_study_is_one_job(project: Project):
    space = {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2, 0.3, 0.4]}}
    asha = {"trials": 4, "min_resource": 1, "reduction_factor": 2, "space": space}
    edit(project, lambda report: report["experiments"].update(study={"seeds": [0], "asha": asha}))
    for shard in SHARDS:
        assert work(project, settings=(f"shard={shard}",)) == (1, 1)


def test_a_changed_set_of_input_files_stays_no_trigger(project: Project):
    """Whatever triggers a user names."""
    assert planned(project, "--rerun-triggers", "input", "mtime", settings=["shard=report"]) == {}


def test_the_process_of_a_job_on_a_cluster_makes_its_job_and_no_other(project: Project):
    """Though its runs, as others that it needs, have been finished since the job was submitted."""
    (tuned,) = runs_of(project, "tuned")
    jobs = [f"train:run={tuned}", f"evaluate:run={tuned}"]
    told = ["--mode", "remote", "--force", "--allowed-rules", "train", "evaluate", "--target-jobs", *jobs]
    assert planned(project, *told) == {"train": 1, "evaluate": 1}
