"""The SLURM profile on a cluster of one node: the results of a local run, after a drained node, a cancelled
job and a killed Snakemake too.

`make slurm` runs it: as root it installs and starts munged, slurmctld and slurmd, and stops them again. Where
that fails, so does the test.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import cluster, jobs, node_state, slurm, wait_for

from reprise.reports.report import Report, report_files
from reprise.reports.run import Run
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

ROOT = Path(__file__).parents[2]
PROFILE = "workflow/profiles/slurm"
REPORTS = ("cifar100_superclass", "cifar10_asha")
"""One with a random search, one with ASHA."""
LINKED = {
    "slug": "linked",
    "title": "Runs that start from the weights of others",
    "models": {
        "net": {
            "name": "sequential",
            "layers": [{"flatten": True}, {"dense": 16, "activation": "relu"}, {"dense": "classes"}],
        }
    },
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": "test"},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 0.001},
        "training": {"epochs": 2, "batch_size": 32, "select": "best_accuracy"},
        "seeds": [0, 1],
    },
    "experiments": {
        "first": {},
        "second": {"set": {"initial_weights": {"from": "first"}, "optimizer.lr": 0.0001}},
    },
    "statements": [
        {"number": "second", "says": "Accuracy", "reported": "0.5", "measure": "accuracy(second)"}
    ],
}
TARGET = "results/demo/statements/all"
TIMES = {"started", "finished", "seconds", "seconds_per_epoch", "device"}
"""What `run.json` says of when and where a run was trained."""

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(590),  # make slurm ends them all after 600 s
    pytest.mark.skipif(
        "REPRISE_SLURM" not in os.environ, reason="starts a SLURM cluster on this machine: make slurm"
    ),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="needs root, to install and start munged, slurmctld and slurmd"
    ),
]


class Project:
    """A copy of the project with some of its reports; the profile's settings make jobs of `shard` steps,
    which need no real GPU.
    """

    def __init__(self, folder: Path, reports: tuple[str, ...], shard: int = 1_000_000) -> None:
        self.folder = folder
        self.results = folder / "results/demo"
        self.reports = reports
        for name in ("src", "workflow", "envs"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        shutil.copy2(ROOT / "Snakefile", folder)
        config = yaml.safe_load((ROOT / "config.yaml").read_text())
        config |= {"scale": "demo", "threads": 1, "synthetic": {"train": 200, "test": 100}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        settings = yaml.safe_load((folder / PROFILE / "settings.yaml").read_text()) | {
            "shard": shard,
            "device": "auto",
        }
        (folder / PROFILE / "settings.yaml").write_text(yaml.safe_dump(settings))
        for slug, path in report_files(folder / "workflow/reports").items():
            if slug not in reports:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if "linked" in reports:
            (folder / "workflow/reports/linked.yaml").write_text(yaml.safe_dump(LINKED))
        programme = Programme(Config(**config | settings), folder / "workflow/reports")
        self.shards = {shard.name: shard for shard in programme.shards}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Snakemake in the background."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.folder / "src")}
        command = [sys.executable, "-m", "snakemake", *arguments]
        with (self.folder / "snakemake.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def start_on_cluster(self) -> subprocess.Popen[bytes]:
        """Snakemake with the profile, and a shorter wait before it asks for the jobs' states."""
        return self.start(
            "--workflow-profile", PROFILE, "--slurm-init-seconds-before-status-checks", "3", TARGET
        )

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 600) -> None:
        assert process.wait(seconds) == 0, (self.folder / "snakemake.log").read_text()[-5000:]

    def runs(self) -> dict[str, Run]:
        files = report_files(self.folder / "workflow/reports")
        reports = [Report(files[slug], "demo") for slug in self.reports]
        return {identifier: run for report in reports for identifier, run in report.runs().items()}

    def meta(self, run: str) -> dict:
        return json.loads((self.results / "runs" / run / "run.json").read_text())["meta"]

    def trained(self, shard: str) -> dict[str, bytes]:
        """Records of the shard's runs that are finished."""
        files = {run: self.results / "runs" / run / "run.json" for run in self.shards[shard].runs}
        return {run: file.read_bytes() for run, file in files.items() if file.exists()}

    def half_way(self, shard: str) -> bool:
        """Whether some runs of a shard are finished and others are not."""
        return 0 < len(self.trained(shard)) < len(self.shards[shard].runs)


@contextlib.contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="reprise-slurm-projects-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def one_node() -> Iterator[Path]:
    with cluster() as logs:
        yield logs


@pytest.fixture(scope="module")
def local(one_node: Path, folder: Path) -> Project:
    """What Snakemake makes without a cluster."""
    project = Project(folder / "local", (*REPORTS, "linked"))
    with stopped_at_the_end(project.start("--cores", "2", TARGET, "--config", "shard=report")) as process:
        project.finish(process)
    return project


def assert_same_results(project: Project, local: Project) -> None:
    compared: set[str] = set()
    for run in project.runs():
        ours, theirs = (each.results / "runs" / run for each in (project, local))
        names = {file.name for file in ours.iterdir()}
        assert names == {file.name for file in theirs.iterdir()}
        assert {"history.parquet", "weights.safetensors"} <= names
        compared |= names
        for name in names - {"run.json", "trained.json", ".lock"}:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), f"{run}/{name}"
        kept = [
            {key: value for key, value in each.meta(run).items() if key not in TIMES}
            for each in (project, local)
        ]
        assert kept[0] == kept[1]
    assert {"predictions.parquet", "final.parquet"} <= compared
    for slug in project.reports:
        ours, theirs = (each.results / f"statements/{slug}.csv" for each in (project, local))
        assert ours.read_bytes() == theirs.read_bytes()


def test_results_equal_those_of_a_local_run(one_node: Path, local: Project, folder: Path):
    project = Project(folder / "cluster", local.reports, 150_000)
    with stopped_at_the_end(project.start_on_cluster()) as process:
        project.finish(process)
    assert_same_results(project, local)

    submitted = [
        job
        for job in slurm("scontrol", "--oneliner", "show", "jobs").splitlines()
        if f" WorkDir={project.folder} " in job
    ]
    # by their logs; what no statement needs is only trained
    training = [job for job in submitted if "_train/" in job]
    assert len(training) == len(project.shards)
    assert len(submitted) - len(training) == len(
        {run.settings.dataset.name for run in project.runs().values()}
    )
    gpu = re.compile(r"TresPerJob=gres[:/]gpu:1\b")
    assert [job for job in submitted if gpu.search(job)] == training
    for run in project.runs().values():
        assert not run.parent or project.meta(run.parent)["finished"] <= project.meta(run.hash)["started"]


def comment(job: str) -> str:
    return slurm("squeue", "--noheader", f"--jobs={job}", "--format=%k")


def running_in_the_middle(project: Project, seen: set[str]) -> tuple[str, str]:
    """Job and shard of a training job that is not in `seen`, once it has finished some of its runs."""
    found: list[tuple[str, str]] = []

    def look() -> bool:
        for job in set(jobs("running")) - seen:
            shard = re.search(r"^rule_(\w+?)(?:_evaluate)?_train$", comment(job))
            if shard and project.half_way(shard[1]):
                found.append((job, shard[1]))
        return bool(found)

    wait_for(look, "a job in the middle of its runs", 240)
    return found[0]


def test_a_drained_node_a_cancelled_job_and_a_killed_snakemake_change_nothing(
    one_node: Path, local: Project, folder: Path
):
    project = Project(folder / "disturbed", REPORTS[:1], 60_000)
    shutil.copytree(local.results / "data", project.results / "data")
    assert len(project.shards) >= 3  # two run, others wait
    seen: set[str] = set()

    with stopped_at_the_end(project.start_on_cluster()) as process:
        job, _ = running_in_the_middle(project, seen)
        node = slurm("sinfo", "--noheader", "--format=%n")
        slurm("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
        wait_for(lambda: node_state() == "drained", "the node is drained", 240)
        assert not jobs("running")
        assert jobs("pending")
        seen.add(job)
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")

        job, shard = running_in_the_middle(project, seen)
        slurm("scancel", job)
        wait_for(lambda: job not in jobs(), "the cancelled job ends")
        kept = project.trained(shard)
        assert project.half_way(shard)
        seen.add(job)
        profile = yaml.safe_load((ROOT / PROFILE / "profile.yaml").read_text())
        more = f"{eval(profile['default-resources']['mem_mb'], {'attempt': 2})}M"
        wait_for(
            lambda: more in slurm("squeue", "--noheader", "--format=%m").split(),
            "the job comes again with more memory",
            120,
        )

        job, shard_at_the_end = running_in_the_middle(project, seen)
        process.kill()
        process.wait()
        assert job in jobs("running")
        assert project.half_way(shard_at_the_end)

    with stopped_at_the_end(project.start("--unlock")) as process:
        project.finish(process)
    with stopped_at_the_end(project.start_on_cluster()) as process:
        project.finish(process)
    assert not jobs()
    assert_same_results(project, local)
    assert project.trained(shard).items() >= kept.items()
