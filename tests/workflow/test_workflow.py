"""The workflow on a small report: what is made, what is made again after a change, and what a failure leaves."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
NET = {"name": "sequential", "layers": [{"conv": 4, "activation": "relu"}, {"pool": "max"}, {"flatten": True}, {"dense": "classes"}]}
REPORT = {
    "slug": "mini",
    "title": "Mini",
    "models": {"net": NET},
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": "test"},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 0.001},
        "training": {"epochs": 2, "batch_size": 32, "select": "best_accuracy"},
        "seeds": [0],
    },
    "experiments": {
        "base": {},
        "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.01, 0.02]}}},
        "tuned": {"set": {"initial_weights": {"from": "base", "drop": ["3_dense"]}}},
    },
    "figures": [
        {
            "id": "curves",
            "kind": "curves",
            "caption": "Accuracy.",
            "metric": "accuracy",
            "splits": ["train", "test"],
            "series": [{"runs": "base", "label": "base"}, {"runs": "rates/lr=0.01", "label": "0.01"}],
        },
        {"id": "image", "kind": "samples", "caption": "An image.", "images": {"dataset": "cifar10", "captions": ["label"]}},
    ],
    "tables": [{"id": "networks", "kind": "layers", "caption": "The network.", "networks": ["net"]}],
    "statements": [
        {"id": "accuracy", "kind": "number", "text": "Accuracy", "reported": "0.5", "measure": {"metric": "accuracy", "runs": "base"}},
        {
            "id": "tuning_helps",
            "kind": "claim",
            "text": "Starting from trained weights helps",
            "measures": {"tuned": {"metric": "accuracy", "runs": "tuned"}, "base": {"metric": "accuracy", "runs": "base"}},
            "holds": ["tuned > base"],
        },
    ],
}
Project = Path

pytestmark = pytest.mark.workflow


def run(project: Project, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(project / "src")}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=240)


def snakemake(project: Project, *arguments: str, scale: str = "demo") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--config", f"scale={scale}", "threads=1"]
    return run(project, command)


def make(project: Project, *arguments: str) -> None:
    done = snakemake(project, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def planned(project: Project, *arguments: str) -> dict[str, int]:
    """Rule → number of jobs that a dry run lists."""
    done = snakemake(project, "-n", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    if "Nothing to be done" in done.stdout + done.stderr:
        return {}
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", done.stdout, re.MULTILINE | re.DOTALL)
    assert table, done.stdout + done.stderr
    return {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines() if line.strip()}


def edit(project: Project, change: Callable[[dict], None]) -> None:
    path = project / "workflow/reports/mini.yaml"
    report = yaml.safe_load(path.read_text())
    change(report)
    path.write_text(yaml.safe_dump(report, sort_keys=False))


def trainings(project: Project) -> dict[str, str]:
    """Run → when its training ended."""
    return {
        path.parent.name: json.loads(path.read_text())["meta"]["finished"] + str(path.stat().st_mtime_ns)
        for path in (project / "results/demo/runs").glob("*/run.json")
    }


def new_project(folder: Path) -> Project:
    for name in ("Snakefile", "config.yaml", "src", "envs"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    for file in (folder / "workflow/reports").glob("*.yaml"):
        file.unlink()
    (folder / "workflow/reports/mini.yaml").write_text(yaml.safe_dump(REPORT, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("finished"))
    make(project)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project."""
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def test_everything_is_made_and_nothing_is_left_to_do(finished: Project):
    results = finished / "results/demo"
    for suffix in ("png", "svg", "json"):
        assert (results / f"figures/mini/curves.{suffix}").stat().st_size
    assert (results / "figures/mini/image.png").stat().st_size
    assert "DEMO" in (results / "tables/mini/networks.md").read_text()
    rows = pd.read_csv(results / "statements/mini.csv")
    assert list(rows["id"]) == ["accuracy", "tuning_helps"]
    assert set(rows["scale"]) == {"demo"}
    assert set(rows["verdict"]) <= {"reproduced", "differs", "contradicted"}
    assert len(trainings(finished)) == 4
    assert json.loads((results / "data/cifar10/statistics.json").read_text())["images"] == 100
    assert list((results / "logs").glob("*.log"))
    assert list((results / "benchmarks").glob("*.tsv"))
    assert planned(finished) == {}


def test_a_colour_redraws_its_figure_and_trains_nothing(project: Project):
    before = (project / "results/demo/figures/mini/curves.png").read_bytes()
    edit(project, lambda report: report["figures"][0]["series"][0].update(color="orange"))
    assert planned(project) == {"all": 1, "figure": 1}
    times = trainings(project)
    make(project)
    assert (project / "results/demo/figures/mini/curves.png").read_bytes() != before
    assert trainings(project) == times
    assert planned(project) == {}


def test_one_learning_rate_trains_that_run_alone(project: Project):
    times = trainings(project)
    edit(project, lambda report: report["experiments"]["rates"]["grid"]["lr"]["values"].__setitem__(1, 0.03))
    make(project)
    after = trainings(project)
    assert {run: when for run, when in after.items() if run in times} == times
    assert len(set(after) - set(times)) == 1
    assert planned(project) == {}


def test_key_order_and_comments_train_nothing(project: Project):
    path = project / "workflow/reports/mini.yaml"
    report = yaml.safe_load(path.read_text())
    shuffled = {key: report[key] for key in reversed(report)}
    shuffled["defaults"] = dict(reversed(report["defaults"].items()))
    path.write_text("# a comment\n" + yaml.safe_dump(shuffled, sort_keys=False))
    assert planned(project) == {}


def test_plotting_code_redraws_and_trains_nothing(project: Project):
    file = project / "src/reprise/publishing/style.py"
    file.write_text(file.read_text() + "\n# edited\n")
    assert not any(rule.startswith(("train", "evaluate")) for rule in planned(project))
    assert planned(project)["figure"] == 2


def test_one_figure_trains_what_it_draws(project: Project):
    shutil.rmtree(project / "results")
    assert set(planned(project, "results/demo/figures/mini/image.png")) == {"synthesize", "fetch", "decode", "samples", "figure"}
    jobs = planned(project, "results/demo/figures/mini/curves.png")
    assert "train_mini_base" in jobs
    assert "train_mini_tuned" not in jobs


def test_a_failed_run_keeps_the_others_and_says_one_line(project: Project):
    edit(project, lambda report: report["experiments"]["rates"]["grid"]["lr"].update(values=[0.01, 1e30]))
    edit(project, lambda report: report["experiments"]["rates"].update(set={"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.9}}))
    before = trainings(project)
    done = snakemake(project)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(r"^reprise: run [0-9a-f]{12}: the loss became (nan|inf) in epoch 1; lower optimizer\.lr", output, re.MULTILINE), output
    assert "Traceback" not in output
    (kept,) = set(trainings(project)) - set(before)
    assert json.loads((project / f"results/demo/runs/{kept}/run.json").read_text())["spec"]["optimizer"]["lr"] == 0.01
    folders = {path.name for path in (project / "results/demo/runs").iterdir()} - set(trainings(project))
    assert all(not list((project / "results/demo/runs" / folder).glob("*.parquet")) for folder in folders)


def test_skipped_experiments_are_not_run(project: Project):
    shutil.rmtree(project / "results/demo/statements")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "scale=demo", "threads=1", "skip=[mini/tuned]"]
    done = run(project, command)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = pd.read_csv(project / "results/demo/statements/mini.csv").set_index("id")["verdict"]
    assert verdicts["tuning_helps"] == "not run"
    assert verdicts["accuracy"] != "not run"


def test_results_made_elsewhere_join(project: Project, tmp_path: Path):
    def reprise(folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "reprise", *arguments, "--scale", "demo"]
        done = run(folder, command)
        assert done.returncode == 0, done.stdout + done.stderr

    fresh = new_project(tmp_path)
    reprise(project, "export", "mini", str(tmp_path / "exported"))
    reprise(fresh, "import", str(tmp_path / "exported"))
    times = trainings(fresh)
    assert len(times) == 4
    make(fresh)
    assert trainings(fresh) == times
    ours, theirs = ((folder / "results/demo/statements/mini.csv").read_bytes() for folder in (fresh, project))
    assert ours == theirs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--config", "reports=[minni]"], "no report minni in .*workflow/reports; did you mean mini?"),
        (["--config", "skip=[mini/tund]"], "skip .configuration.: no experiment tund; did you mean tuned?"),
        (["--config", "scale=demmo"], "demmo"),
    ],
)
def test_configuration_errors(project: Project, change: list[str], message: str):
    done = run(project, [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *change])
    assert done.returncode != 0
    assert re.search(message, done.stdout + done.stderr), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_misspelt_key_stops_before_anything_runs(project: Project):
    edit(project, lambda report: report["figures"][0].update(metrc="loss"))
    done = snakemake(project, "-n")
    assert done.returncode != 0
    assert "mini.yaml: figures[0].metrc: unknown key; did you mean metric?" in done.stdout + done.stderr
