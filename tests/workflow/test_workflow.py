"""The workflow on a small report: what is made, what is made again after a change, and what a failure
leaves.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import Project, edit, made_once, make, new_project, planned, run, snakemake, trainings

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Not to be written to."""
    return made_once(tmp_path_factory, "finished", lambda folder: make(new_project(folder)))


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project."""
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


def test_everything_is_made_and_nothing_is_left_to_do(project: Project):
    results = project / "results/demo"
    for suffix in ("png", "svg", "json"):
        assert (results / f"figures/mini/curves.{suffix}").stat().st_size
    assert (results / "figures/mini/image.png").stat().st_size
    assert "DEMO" in (results / "tables/mini/networks.md").read_text()
    rows = pd.read_csv(results / "statements/mini.csv")
    assert list(rows["id"]) == ["accuracy", "tuning_helps"]
    assert set(rows["scale"]) == {"demo"}
    assert set(rows["verdict"]) <= {"reproduced", "differs", "undecided", "contradicted"}
    assert len(trainings(project)) == 4
    assert json.loads((results / "data/cifar10/statistics.json").read_text())["images"] == 100
    assert list((results / "logs").glob("*.log"))
    assert list((results / "benchmarks").glob("*.tsv"))
    assert planned(project) == {}


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
    jobs = planned(project)
    assert not {"train", "evaluate"} & jobs.keys()
    assert jobs["figure"] == 2


def test_one_figure_trains_what_it_draws(project: Project):
    shutil.rmtree(project / "results")
    assert set(planned(project, "results/demo/figures/mini/image.png")) == {
        "synthesize",
        "fetch",
        "decode",
        "samples",
        "figure",
    }
    jobs = planned(project, "results/demo/figures/mini/curves.png")
    assert (jobs["train"], jobs["evaluate"]) == (2, 2)


def test_a_failed_run_keeps_the_others_and_says_one_line(project: Project):
    edit(project, lambda report: report["experiments"]["rates"]["grid"]["lr"].update(values=[0.01, 1e30]))
    edit(
        project,
        lambda report: report["experiments"]["rates"].update(
            set={"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.9}}
        ),
    )
    before = trainings(project)
    done = snakemake(project)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(
        r"^reprise: run [0-9a-f]{12}: the loss became (nan|inf) in epoch 1; lower optimizer\.lr",
        output,
        re.MULTILINE,
    ), output
    assert "Traceback" not in output
    (kept,) = set(trainings(project)) - set(before)
    assert (
        json.loads((project / f"results/demo/runs/{kept}/run.json").read_text())["spec"]["optimizer"]["lr"]
        == 0.01
    )
    folders = {path.name for path in (project / "results/demo/runs").iterdir()} - set(trainings(project))
    assert all(not list((project / "results/demo/runs" / folder).glob("*.parquet")) for folder in folders)


def test_a_run_whose_process_dies_keeps_the_others_and_the_log_ends_with_its_name(project: Project):
    engine = project / "src/reprise/training/engine.py"
    fault = "run.spec['optimizer']['lr'] == 0.05 and (os := __import__('os')).kill(os.getpid(), 11)"
    text, epoch_begins = engine.read_text(), "began = time.monotonic()\n"
    assert text.count(epoch_begins) == 1
    engine.write_text(text.replace(epoch_begins, f"began = time.monotonic(); {fault}\n"))
    edit(
        project, lambda report: report["experiments"]["rates"]["grid"]["lr"].update(values=[0.05, 0.01, 0.03])
    )
    before = trainings(project)
    done = snakemake(project)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    (kept,) = set(trainings(project)) - set(before)
    assert (
        json.loads((project / f"results/demo/runs/{kept}/run.json").read_text())["spec"]["optimizer"]["lr"]
        == 0.03
    )
    (path,) = {
        project / name
        for name in re.findall(r"^Job \d+: train mini: 2 runs of rates; log: (.*)$", output, re.MULTILINE)
    }
    log = path.read_text()
    assert "Fatal Python error: Segmentation fault" in log
    assert "Traceback" not in log
    last = log.splitlines()[-1]
    assert re.fullmatch(
        r"reprise: run [0-9a-f]{12}: mini/rates/lr=0\.05, seed 0: its process died 2 times, .* delete "
        r"\S+/deaths\.json",
        last,
    )
    assert last in output


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_damaged_is_made_again_or_refused(project: Project):
    """Arrays by themselves, while a deleted run is trained again; metrics and layers after what the line
    says.
    """
    results = project / "results/demo"
    before = {
        path: path.read_bytes()
        for part in ("statements", "tables")
        for path in (results / part).rglob("*")
        if path.is_file()
    }
    spec = {
        path.parent: json.loads(path.read_text())["spec"] for path in (results / "runs").glob("*/run.json")
    }
    base = next(
        run for run in spec if spec[run]["optimizer"]["lr"] == 0.001 and "initial_weights" not in spec[run]
    )
    flip(results / "data/cifar10/train_images.npy")
    flip(base / "final.parquet")
    flip(results / "intermediate/mini/networks.layers.json")
    shutil.rmtree(next(run for run in spec if spec[run]["optimizer"]["lr"] == 0.02))
    for path in (results / "statements/mini.csv", results / "tables/mini/networks.csv"):
        path.unlink()
    done = snakemake(project, "--keep-going")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(r"reprise: \S+train_images.npy: damaged \(.+\); decoding \S+ again\n", said)
    stamp = re.search(
        r"reprise: \S+final.parquet: damaged \(.+\); delete (\S+evaluated.json) and evaluate the run again\n",
        said,
    )
    layers = re.search(
        r"reprise: (\S+)networks.layers.json: damaged \(.+\); run .+ \(or delete (\S+), and the workflow "
        r"makes it again\)\n",
        said,
    )
    (project / stamp[1]).unlink()
    (project / layers[1] / layers[2]).unlink()
    make(project)
    assert {path: path.read_bytes() for path in before} == before
    assert planned(project) == {}


def test_skipped_experiments_are_not_run(project: Project):
    shutil.rmtree(project / "results/demo/statements")
    make(project, settings=["skip=[mini/tuned]"])
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
    make(fresh, settings=["shard=report"])  # in other jobs than those that made them
    assert trainings(fresh) == times
    ours, theirs = ((folder / "results/demo/statements/mini.csv").read_bytes() for folder in (fresh, project))
    assert ours == theirs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--config", "reports=[minni]"], "no report minni in .*workflow/reports; did you mean mini?"),
        (["--config", "skip=[mini/tund]"], "mini.yaml: skip: no experiment tund; did you mean tuned?"),
        (
            ["--config", "scale=demmo"],
            "config.yaml or --config: scale: 'demmo' is not valid; did you mean demo?",
        ),
        (["--config", "thread=1"], "config.yaml or --config: thread: unknown key; did you mean threads?"),
        (
            ["--config", "device=gpu"],
            "config.yaml or --config: device: 'gpu': not valid; valid: auto, cpu, cuda",
        ),
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
    message = r"mini\.yaml:\d+: figures\.\w+\.metrc: unknown key for .*; did you mean metric\?"
    assert re.search(message, done.stdout + done.stderr)
