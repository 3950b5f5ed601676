"""A small project in a folder of its own, with a report of four runs, and Snakemake on it."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from mini import convolution, mini
from reprise.reports.report import Report

ROOT = Path(__file__).parents[2]
REPORT = mini(
    convolution(),
    {
        "base": {},
        "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.01, 0.02]}}},
        "tuned": {"set": {"initial_weights": {"from": "base", "drop": ["3_dense"]}}},
    },
    figures=[
        {
            "id": "curves",
            "kind": "curves",
            "caption": "Accuracy.",
            "metric": "accuracy",
            "splits": ["train", "test"],
            "series": [{"runs": "base", "label": "base"}, {"runs": "rates/lr=0.01", "label": "0.01"}],
        },
        {
            "id": "image",
            "kind": "samples",
            "caption": "An image.",
            "images": {"dataset": "cifar10", "captions": ["label"]},
        },
    ],
    tables=[{"id": "networks", "kind": "layers", "caption": "The network.", "networks": ["net"]}],
    statements=[
        {"number": "accuracy", "says": "Accuracy", "reported": "0.5", "measure": "accuracy(base)"},
        {
            "claim": "tuning_helps",
            "says": "Starting from trained weights helps",
            "holds": "accuracy(tuned) > accuracy(base)",
        },
    ],
)
Project = Path


def run(project: Project, command: list[str], source: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on the project's own `source`, or another."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source or project / "src")}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600)


def snakemake(
    project: Project, *arguments: str, settings: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        *arguments,
        "--config",
        "scale=demo",
        "threads=1",
        *settings,
    ]
    return run(project, command)


def make(project: Project, *arguments: str, settings: Sequence[str] = ()) -> None:
    done = snakemake(project, *arguments, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr


def planned(project: Project, *arguments: str, settings: Sequence[str] = ()) -> dict[str, int]:
    """Rule → number of jobs that a dry run lists; but for the site's, which is made wherever everything is
    asked for and something that it shows is made.
    """
    done = snakemake(project, "-n", *arguments, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    if "Nothing to be done" in done.stdout + done.stderr:
        return {}
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", done.stdout, re.MULTILINE | re.DOTALL)
    assert table, done.stdout + done.stderr
    found = {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines() if line.strip()}
    if "all" in found:
        made = found.pop("site", 0)
        assert made or not {"figure", "table", "statements"} & found.keys(), found
    return found


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


def runs_of(project: Project, selector: str) -> list[str]:
    """Hashes of the runs of the report's cells."""
    report = Report(project / "workflow/reports/mini.yaml", "demo")
    return [run for cell in report.cells(selector) for run in cell.runs]


def new_project(folder: Path) -> Project:
    for name in ("Snakefile", "config.yaml", "src", "envs"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    config = (ROOT / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("synthetic: {}", "synthetic: {train: 100, test: 30}"))
    shutil.rmtree(folder / "workflow/reports")
    (folder / "workflow/reports").mkdir()
    (folder / "workflow/reports/mini.yaml").write_text(yaml.safe_dump(REPORT, sort_keys=False))
    return folder


def made_once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills for all processes of pytest-xdist: the first to come makes it, the others
    wait.
    """
    base = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each process has a folder of its own in that of the session
    folder = base / name
    with (base / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            folder.mkdir()
            make(folder)
            lock.write("made")
    return folder
