"""Processes that die in the middle of a run: what is said, what is kept, what is tried again."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mini import convolution, mini
from reprise.cli import main
from reprise.reports.report import Report
from reprise.training import session
from reprise.training.session import conditions
from tiny import write_dataset

TESTS = Path(__file__).parents[1]
REPORT = mini(
    convolution(batch_norm=True),
    {
        "base": {},
        "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.002, 0.003, 0.004]}}},
        "tuned": {"set": {"initial_weights": {"from": "base"}, "training.epochs": 1}},
        "long": {"set": {"training.epochs": 2000}},
        "study": {
            "set": {"training.epochs": 2, "split.validation": 0.2},
            "asha": {
                "trials": 3,
                "seed": 0,
                "min_resource": 1,
                "reduction_factor": 2,
                "space": {"lr": {"path": "optimizer.lr", "log_uniform": [0.001, 0.01]}},
            },
        },
    },
    labels="fine",
    epochs=5,
)
OPTIONS = ["--device", "cpu", "--threads", "1", "--scale", "demo", "--reports", "reports"]
FAULT = r"\(a fault in torch or another library; the log says where\)"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The report and its data."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "reports").mkdir()
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT, sort_keys=False))
    write_dataset(folder / "results/demo/data/cifar10")
    return folder


@pytest.fixture(scope="module")
def names(home):
    """Selector → its run."""
    report = Report(home / "reports/mini.yaml", "demo")
    return {cell.name: cell.runs[0] for name in report.experiments for cell in report.all_cells(name)}


@pytest.fixture
def project(home, tmp_path, monkeypatch):
    """A copy of them, and the current folder."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(home, tmp_path_factory):
    """A project whose runs were trained in peace, but for the long one."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(home, folder, dirs_exist_ok=True)
    assert here(folder, "train", "mini", "--only", "base", "rates", "tuned") == 0
    return folder


def here(folder, *arguments):
    """The exit status of a command in this process, where nothing dies."""
    with contextlib.chdir(folder):
        try:
            main([*arguments, *OPTIONS])
        except SystemExit as end:
            return end.code
    return 0


@contextlib.contextmanager
def start(script, *arguments, plan="", **options):
    """A process, and nothing of it when the block ends."""
    environment = {**os.environ, "PLAN": plan, "PYTHONPATH": str(TESTS.parent / "src")}
    with subprocess.Popen(
        [sys.executable, *script, *arguments, *OPTIONS],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def deadly(*arguments, plan):
    """Exit status and log of a command of which parts die."""
    with start([str(TESTS / "training/deadly.py")], *arguments, plan=plan) as process:
        _, log = process.communicate(timeout=280)
    assert "Traceback" not in log
    return process.returncode, log


def folder_of(run, project=Path()):
    return project / "results/demo/runs" / run


def assert_same(runs, project, expected):
    for run in runs:
        one, other = (
            pd.read_parquet(folder_of(run, root) / "history.parquet") for root in (project, expected)
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        one, other = (load_file(folder_of(run, root) / "weights.safetensors") for root in (project, expected))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert {path.name for path in folder_of(run, project).iterdir()} >= {"run.json", "trained.json"}
        assert not {path.name for path in folder_of(run, project).iterdir()} & {
            "checkpoint.pt",
            "deaths.json",
        }


def died(log):
    return [line for line in log.splitlines() if line.startswith("reprise: ") and " died of " in line]


@pytest.mark.slow
def test_one_death_of_each_run_changes_nothing(project, names, undisturbed):
    """One of the runs dies in three epochs, but never twice in one."""
    deaths = {
        "rates/lr=0.002": ("SIGABRT", 3),
        "rates/lr=0.003": ("SIGKILL", 2),
        "rates/lr=0.004": ("SIGBUS", 5),
    }
    plan = [f"{names['base']}:{epoch}:SIGSEGV:1" for epoch in (2, 3, 5)]
    plan += [f"{names[cell]}:{epoch}:{name}:1" for cell, (name, epoch) in deaths.items()]
    status, log = deadly("train", "mini", "--only", "base", "rates", "tuned", plan=" ".join(plan))
    assert status == 0, log
    cells = [
        ("base", "SIGSEGV", 2),
        ("base", "SIGSEGV", 3),
        ("base", "SIGSEGV", 5),
        *((cell, *death) for cell, death in deaths.items()),
    ]
    said = died(log)
    assert len(said) == len(cells)
    for line, (cell, name, epoch) in zip(said, cells, strict=True):
        what = (
            rf"reprise: run {names[cell]} \(mini/{cell}, seed 0\): its process died of {name} in epoch "
            rf"{epoch}/5"
        )
        assert re.fullmatch(rf"{what} \(.+\); it is tried once more", line)
        assert re.search(
            rf"^run {names[cell]} \(\d/5\) goes on after epoch {epoch - 1}/5$", log, re.MULTILINE
        )
    assert "memory was full" in said[4]
    assert "a file in use was cut short" in said[5]
    for fault in ("Segmentation fault", "Aborted", "Bus error"):
        assert f"Fatal Python error: {fault}" in log
    lines = log.splitlines()
    for run in (names[cell] for cell in ("base", "tuned", *deaths)):
        begun = next(
            place
            for place, line in enumerate(lines)
            if re.match(rf"run {run} \(\d/5\) begins: mini/\S+, seed 0$", line)
        )
        assert not any(run in line for line in lines[:begun]), "named before all else"
    assert_same([names[cell] for cell in ("base", "tuned", *deaths)], project, undisturbed)


@pytest.mark.slow
def test_a_run_that_dies_twice_is_given_up_and_can_be_tried_again(
    project, names, undisturbed, tmp_path_factory, monkeypatch, capsys
):
    run, others = names["base"], [names["rates/lr=0.002"], names["rates/lr=0.003"]]
    command = ["train", "mini", "--only", "rates/lr=0.002", "base", "tuned", "rates/lr=0.003"]
    status, log = deadly(*command, plan=f"{run}:3:SIGSEGV:9")
    assert status == 1
    assert [line.rpartition("; ")[2] for line in died(log)] == [
        "it is tried once more",
        "it is given up, the other runs go on",
    ]
    last = (
        rf"reprise: run {run}: mini/base, seed 0: its process died 2 times, the last time of SIGSEGV in "
        rf"epoch 3/5 {FAULT}, and it is not "
        rf"tried again; to try it again, use another .* or delete results/demo/runs/{run}/deaths\.json"
        rf"; 2 of 4 runs failed: {run}, {names['tuned']}"
    )
    assert re.fullmatch(last, log.splitlines()[-1])
    assert f"reprise: run {names['tuned']}: not trained, because it follows run {run}, which failed" in log
    assert_same(others, project, undisturbed)
    assert (folder_of(run) / "checkpoint.pt").exists()
    assert not (folder_of(run) / "run.json").exists()

    assert here(project, *command) == 1, "a later command does not try it either"
    assert re.fullmatch(last, capsys.readouterr().err.splitlines()[-1])
    assert not (folder_of(run) / "run.json").exists()

    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project, other, dirs_exist_ok=True)
    (folder_of(run, other) / "deaths.json").unlink()
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "16000")  # a second attempt on a cluster, with more memory
    for folder in (project, other):
        assert here(folder, *command) == 0
        assert f"run {run} (2/4) goes on after epoch 2/5" in capsys.readouterr().err
        assert_same([run, names["tuned"], *others], folder, undisturbed)


@pytest.mark.slow
def test_a_trial_that_dies_is_left_and_the_worker_goes_on(project, names):
    trials = [run for cell, run in names.items() if cell.startswith("study/")]
    status, log = deadly("study", "work", "mini", "study", plan=f"{trials[1]}:1:SIGABRT:9")
    assert status == 1
    assert re.fullmatch(
        rf"reprise: run {trials[1]}: mini/study/\S+, seed 0: its process died 2 times, .*",
        log.splitlines()[-1],
    )
    assert [(folder_of(run) / "trained.json").exists() for run in trials] == [True, False, True]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_death_in_an_evaluation(project, names, undisturbed, name):
    shutil.copytree(undisturbed, project, dirs_exist_ok=True)
    first, second = names["base"], names["rates/lr=0.002"]
    status, log = deadly("evaluate", "mini", "--only", "base", "rates", plan=f"{second}:0:{name}:1")
    assert status == 128 + signal.Signals[name]
    what = rf"reprise: run {second} \(mini/rates/lr=0\.002, seed 0\): the process died of {name}"
    assert re.match(rf"{what} \(.+\) while it was evaluated; what is finished", log.splitlines()[-1])
    assert re.search(rf"^run {second} \(2/4\) is evaluated: mini/rates/lr=0\.002, seed 0$", log, re.MULTILINE)
    assert (folder_of(first) / "final.parquet").exists()
    assert not (folder_of(second) / "final.parquet").exists()
    assert here(project, "evaluate", "mini", "--only", "base", "rates") == 0
    assert (folder_of(second) / "evaluated.json").exists()


def test_a_death_in_a_submission(project, names, undisturbed):
    shutil.copytree(undisturbed, project, dirs_exist_ok=True)
    status, log = deadly(
        "submission",
        "mini",
        "--run",
        names["base"],
        "images",
        "labels.csv",
        plan=f"{names['base']}:0:SIGBUS:1",
    )
    assert status == 128 + signal.SIGBUS
    assert re.match(
        rf"reprise: run {names['base']} \(mini/base, seed 0\): the process died of SIGBUS ",
        log.splitlines()[-1],
    )


def test_conditions_are_what_a_user_can_change(monkeypatch):
    cpu = torch.device("cpu")
    before = conditions(cpu, "float32", True)
    assert before == json.loads(json.dumps(before)), "they are compared with what was read from a file"
    assert conditions(cpu, "float32", True) == before
    found = [conditions(cpu, "bfloat16", True), conditions(cpu, "float32", False)]
    for change in (
        lambda: monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41"),
        lambda: monkeypatch.setattr(torch, "__version__", "9.9.9"),
        lambda: monkeypatch.setattr(torch, "get_num_threads", lambda: 7),
        lambda: monkeypatch.setattr(session, "device_name", lambda device: "another"),
        lambda: monkeypatch.setattr(os, "sysconf", lambda name: 10**6),
    ):
        change()
        found.append(conditions(cpu, "float32", True))
        monkeypatch.undo()
    assert before not in found


# ---- from outside, and without anything of ours in the process ----


def wait_for_epoch(process, epoch=""):
    while True:
        line = process.stderr.readline()
        assert line, "it has ended"
        if re.search(rf" epoch {epoch}\d*/2000 ", line):
            return


@pytest.mark.slow
def test_killed_from_outside(project, names):
    with start(["-m", "reprise"], "train", "mini", "--only", "long") as process:
        wait_for_epoch(process)
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        line = next(line for line in process.stderr if " died of " in line)
        assert line.startswith(
            f"reprise: run {names['long']} (mini/long, seed 0): its process died of SIGKILL in epoch "
        )
        wait_for_epoch(process)
        (worker,) = psutil.Process(process.pid).children()
        worker.suspend()
        process.kill()
        worker.wait(20)  # nobody else would ever end it
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_as_a_group(project, names, number):
    """Parent and child get the signal, and the parent hands it on."""
    with start(["-m", "reprise"], "train", "mini", "--only", "long", start_new_session=True) as process:
        wait_for_epoch(process)
        os.killpg(process.pid, number)
        _, log = process.communicate(timeout=280)
    assert process.returncode == 128 + number
    assert [line for line in log.splitlines() if line.startswith("reprise: ")] == [
        f"reprise: stopped by {number.name}; finished epochs are kept, run the same command again to go on"
    ]
    assert "Traceback" not in log
    assert (folder_of(names["long"]) / "checkpoint.pt").exists()
    assert not (folder_of(names["long"]) / "deaths.json").exists()
