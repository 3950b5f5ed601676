"""What surrounds the training: start of the commands, decoding, dry runs of the workflow, the demo,
memory.
"""

import copy
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench_cases import ROOT
from reprise.data.archives import sidecar_of
from reprise.data.decode import decode
from reprise.data.synthetic import write_synthetic
from reprise.reports.file import read_yaml
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

SLICE_S = 0.05
"""Seconds between two looks at a process's memory."""


def environment_of_jobs() -> dict[str, str]:
    """This project's code before any other, and one thread."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(command: Sequence[str], folder: Path = ROOT) -> float:
    """Seconds that a command takes; one that fails raises a `RuntimeError` with the end of what it
    printed.
    """
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment_of_jobs(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-2000:]}")
    return seconds


def several(measure: Any, rounds: int) -> dict[str, float]:
    values = [measure() for _ in range(rounds)]
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def start_up(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds until a command has done next to nothing."""
    module = [sys.executable, "-m", "reprise"]
    commands = {
        "`reprise --version`": [*module, "--version"],
        "`reprise runs cifar10_architectures`": [*module, "runs", "cifar10_architectures"],
        "import of the engine (torch included)": [sys.executable, "-c", "import reprise.training.engine"],
    }
    return {name: several(lambda command=command: run(command), rounds) for name, command in commands.items()}


def decoding(scratch: Path, images: int, rounds: int) -> dict[str, float]:
    """Images per second from CIFAR-10's archive to arrays, hashes and order included."""
    per_class = {"train": max(1, images // 10), "test": max(1, images // 50)}
    archive = write_synthetic("cifar10", scratch / "archives", per_class)
    assert sidecar_of(archive).exists()
    count = 10 * sum(per_class.values())

    def once() -> float:
        began = time.perf_counter()
        decode("cifar10", archive, scratch / "decoded")
        return count / (time.perf_counter() - began)

    return several(once, rounds)


# ---- the workflow ----


def project(folder: Path, times: int = 1) -> Path:
    """A copy of the project without results; with `times`, report files that ask for so many times the
    runs.
    """
    folder.mkdir(parents=True)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    if times > 1:
        for path in (folder / "workflow/reports").rglob("*.yaml"):
            path.write_text(
                yaml.safe_dump(multiply(read_yaml(path), times), sort_keys=False), encoding="utf-8"
            )
    return folder


def multiply(document: dict[str, Any], times: int) -> dict[str, Any]:
    """The report with `times` as many seeds or, where it has studies, whose trials have one each, as many
    trials.
    """
    document = copy.deepcopy(document)
    experiments = document.get("experiments", {}).values()  # one file of a report may have none
    settings = [document.get("defaults", {}), *(experiment or {} for experiment in experiments)]
    studies = [each["asha"] for each in settings if "asha" in each]
    for study in studies:
        study["trials"] *= times
    for each in settings:
        trained_once = "asha" in each or (studies and each is settings[0])
        if "seeds" in each and not trained_once:
            each["seeds"] = list(range(len(each["seeds"]) * times))
    return document


def programme(folder: Path) -> dict[str, int]:
    made = Programme(Config(results=str(folder / "results")), folder / "workflow/reports")
    return {
        "runs": sum(len(report.runs()) for report in made.reports.values()),
        "training jobs": len(made.shards),
    }


def dry_run(scratch: Path, times: int, rounds: int) -> dict[str, float]:
    """Seconds of `snakemake -n` for everything, nothing of which is there yet."""
    folder = project(scratch / f"programme_{times}", times)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "--quiet"]
    return {**several(lambda: run(command, folder), rounds), **programme(folder)}


def demo(scratch: Path) -> float:
    """Seconds of `make demo`."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--scheduler",
        "greedy",
        "--config",
        "scale=demo",
        "shard=report",
        "threads=1",
    ]
    return run(command, project(scratch / "demo"))


# ---- memory ----


def peak_memory(command: Sequence[str]) -> int:
    """Bytes that a command and its children held at most at one time, shared pages counted once."""
    child = psutil.Popen(
        command, env=environment_of_jobs(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0
    while child.poll() is None:
        peak = max(peak, sum(map(_held, [child, *_children(child)])))
        time.sleep(SLICE_S)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: {child.stderr.read().decode()[-2000:]}")
    return peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _held(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it ended meanwhile
        return 0
    return getattr(memory, "pss", memory.rss)  # proportional share, where the system counts it
