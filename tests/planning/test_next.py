"""`next` as a user calls it, at scale demo, on tiny data."""

import contextlib
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mini import STUDY, convolution, mini
from reprise import planning
from reprise.cli import main
from reprise.cli.next import Worker, obstacle, publishing_command
from reprise.cli.options import ComputeOptions, ReportsOptions, ResultsAndDataOptions, seconds_of
from reprise.data.decode import read_facts
from reprise.planning import calibration as pacing
from reprise.planning import spending
from reprise.planning.calibration import Pace
from reprise.reports.report import Report
from tiny import edit_dataset, write_dataset

REPORT = mini(
    convolution(),
    {
        "base": {},
        "slow": {"set": {"training.epochs": 6}},
        "better": {"set": {"optimizer.lr": 0.01}},
        "tuned": {"seeds": [0], "set": {"initial_weights.from": "base"}},
        "study": {"seeds": [0], "asha": STUDY},
        "far": {"set": {"dataset": {"name": "cifar100", "labels": "fine"}}},
    },
    epochs=3,
    cells={"winner": {"runs": "study", "pick": "best"}},
    statements=[
        {"number": "base", "reported": "0.5", "measure": "accuracy(base)"},
        {"number": "slow", "reported": "0.5", "measure": "accuracy(slow)"},
        {"number": "tuned", "reported": "0.5", "measure": "accuracy(tuned)"},
        {"claim": "helps", "holds": "accuracy(better) > accuracy(base)"},
        {"number": "won", "reported": "0.5", "measure": "accuracy(winner)"},
        {"number": "far", "reported": "0.5", "measure": "accuracy(far)"},
    ],
)
REPORT["defaults"]["seeds"] = [0, 1, 2]
OPTIONS = ["--reports", "reports", "--scale", "demo", "--device", "cpu", "--threads", "1"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A report, tiny data under the name of CIFAR-10, a pace that nobody measures; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pacing, "measure_pace", lambda *arguments: Pace(0.01, 0.0001))
    new_project(tmp_path)
    return tmp_path


def new_project(folder):
    (folder / "reports").mkdir(parents=True)
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT, sort_keys=False))
    data = write_dataset(folder / "results/demo/data/cifar10")
    known = read_facts(data)["classes"]
    edit_dataset(data, label_kinds=["coarse", "label"], classes={**known, "label": known["fine"]})


def status(*words):
    try:
        main(words)
    except SystemExit as end:
        return end.code
    return 0


def runs(folder, *selectors):
    report = Report(folder / "reports/mini.yaml", "demo")
    return [run for name in selectors for cell in report.cells(name) for run in cell.members]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("90m", 5400),
        ("2h30m", 9000),
        ("45 min", 2700),
        ("3600s", 3600),
        ("1.5 hours", 5400),
        ("1h 2m 3s", 3723),
    ],
)
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "1", "-1h", "0m", "1h30", "1d", "h", "1e9h", "1h,2m", "9999999h"]
)
def test_a_bad_budget_is_one_line(project, capsys, text):
    assert status("next", f"--budget={text}", *OPTIONS) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"reprise: next: --budget: {text[:20]!r} is not a time such as 1h, 90m, 2h30m, '45 min' or 3600s"
    ]


def test_the_list_says_what_to_train_and_what_is_left_out(project, capsys):
    assert status("next", *OPTIONS) == 0
    text = capsys.readouterr().out
    steps = re.findall(r"^ +(\d+)\. +(.+?)  +(.+?)  (.+)$", text, re.MULTILINE)
    assert [(number, what) for number, _, _, what in steps] == [
        ("1", "mini/base, seed 0"),
        ("2", "mini/tuned, seed 0"),  # which starts from the first one's weights
        ("3", "mini/slow, seed 0"),
        ("4", "mini/better, seed 0"),
        ("5", "mini/study: 4 trials"),
    ]
    assert text.count("  settles mini: ") == 4
    assert "may settle (50%) mini: helps" in text
    assert "8 runs in 9 s settle 4 statements, and perhaps 1 more" in text
    assert "0 of 6 statements are settled" in text
    left = [line for line in text.splitlines() if "is not here" in line]
    (line,) = left
    assert line.startswith("  1 statement (mini: far): cifar100 is not here, get it with: python -m reprise ")
    for command in line.partition("get it with: ")[2].split(" && "):
        assert status(*shlex.split(command)[3:]) == 0
    capsys.readouterr()
    assert status("next", "mini", *OPTIONS) == 0
    text = capsys.readouterr().out
    assert "mini/far, seed 0" in text
    assert "is not here" not in text


def test_do_trains_evaluates_and_judges(project, capsys):
    assert status("next", "--do", *OPTIONS) == 0
    printed = capsys.readouterr()
    done = printed.out
    assert re.match(r"trained \d+ runs, evaluated \d+; settled by this: [45] statements \(", done)
    assert done.splitlines()[-1] == (
        "write figures and verdicts with: python -m reprise statements mini --partial --reports reports "
        "--scale demo"
    )
    assert not re.search(r"([02-9]|\d\d) differs", done)
    assert status(*shlex.split(done.splitlines()[-1].partition(": ")[2])[3:]) == 0
    assert (project / "results/demo/statements/mini.csv").exists()
    for run in runs(project, "study", "tuned"):
        assert (project / "results/demo/runs" / run.hash / "evaluated.json").exists()
        assert (project / "results/demo/runs" / run.hash / "trained.json").exists()
    assert not (project / "results/demo/runs" / runs(project, "far")[0].hash).exists()
    order = re.findall(r"begins: mini/(\w+)", printed.err)
    assert order.index("base") < order.index("tuned")
    assert order.count("slow") == 1  # a number needs one seed
    assert status("next", "--do", *OPTIONS) == 0
    again = capsys.readouterr().out
    assert status("next", *OPTIONS) == 0
    assert "\nno run that could be trained here settles a statement\nleft out:\n" in capsys.readouterr().out
    assert again.startswith("trained 0 runs, evaluated 0; settled by this: 0 statements\n")
    assert "cifar100 is not here" in again


@pytest.mark.parametrize(
    ("names", "reports", "where", "command"),
    [
        (["a"], {}, {}, "snakemake a --cores 1 --config train=no"),
        (["a", "b"], {}, {"scale": "quick"}, "snakemake a b --cores 1 --config train=no scale=quick"),
        (
            ["a"],
            {"stand_in": ("cinic10",)},
            {"results": Path("my own"), "data": Path("d")},
            "snakemake a --cores 1 --config train=no 'results=my own' data=d 'stand_in=[cinic10]'",
        ),
        (
            ["a", "b"],
            {"reports": Path("mine")},
            {},
            "python -m reprise statements a --partial --reports mine && "
            "python -m reprise statements b --partial --reports mine",
        ),
        (
            ["x/a.yaml"],
            {},
            {"scale": "demo", "results": Path("r")},
            "python -m reprise statements x/a.yaml --partial --scale demo --results r",
        ),
    ],
)
def test_the_command_that_writes_figures_and_verdicts(names, reports, where, command):
    assert publishing_command(names, ReportsOptions(**reports), ResultsAndDataOptions(**where)) == command


class Ticking:
    """A clock that every look at moves on by a second: engine and budget look once a step."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return self.now


def spend(folder, seconds=0, budget=None):
    """What is spent of a budget of so many looks at the clock."""
    where = ResultsAndDataOptions(scale="demo", results=folder / "results")
    report = Report(folder / "reports/mini.yaml", "demo")
    way = ComputeOptions(device="cpu", threads=1)
    calibration = planning.Calibration(where.results / "calibration.json", "cpu", 1)
    agenda = planning.Agenda([report], where.layout, calibration, lambda run: obstacle(run, where))
    spent = planning.Spent()
    planning.spend(
        agenda,
        budget or planning.Budget(0, seconds, Ticking()),
        Worker(agenda, where.layout, way),
        spent,
        lambda step: None,
    )
    return spent


def test_a_run_that_the_budget_stopped_goes_on_bit_for_bit(project, tmp_path_factory, monkeypatch):
    """Budget after budget, each too short for a run, gives what one training gives."""
    monkeypatch.setattr(pacing, "measure_pace", lambda *arguments: Pace(0.1, 0.0))
    stopped = {}
    for _ in range(40):
        spent = spend(project, 25)
        for run, epoch in spent.stopped.items():
            stopped.setdefault(run, []).append(epoch)
        if not spent.stopped and not spent.evaluated:
            break
    assert any(len(epochs) > 1 for epochs in stopped.values())
    assert all(epochs == sorted(epochs) for epochs in stopped.values())
    whole = tmp_path_factory.mktemp("whole")
    new_project(whole)
    chosen = runs(project, "base", "tuned", "slow", "study")
    done = [run for run in chosen if (project / "results/demo/runs" / run.hash / "final.parquet").exists()]
    assert {run.hash for run in done} & stopped.keys()
    with contextlib.chdir(whole):
        for verb in ("train", "evaluate"):
            assert status(verb, "mini", "--only", "base", "tuned", "slow", "study", *OPTIONS) == 0
    for run in done:
        ours, theirs = (folder / "results/demo/runs" / run.hash for folder in (project, whole))
        for name in ("history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_and_says_so(project, capsys, monkeypatch, number):
    class Interrupting(spending.InTime):
        def __call__(self, epoch, step, loss):
            super().__call__(epoch, step, loss)
            if (epoch, step) == (3, 1):
                signal.raise_signal(number)

    monkeypatch.setattr(planning, "InTime", Interrupting)
    assert status("next", "--do", *OPTIONS) == 128 + number
    printed = capsys.readouterr()
    assert printed.out.startswith("trained 0 runs, evaluated 0")
    assert f"stopped by {number.name}; finished epochs are kept, run the same command again" in printed.err
    monkeypatch.undo()
    monkeypatch.chdir(project)
    monkeypatch.setattr(pacing, "measure_pace", lambda *arguments: Pace(0.01, 0.0001))
    assert status("next", "--do", *OPTIONS) == 0
    assert "goes on after epoch 2/3" in capsys.readouterr().err


def test_a_run_that_another_process_trains_is_left_to_it(project):
    held = runs(project, "slow")[0]
    folder = project / "results/demo/runs" / held.hash
    folder.mkdir(parents=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        spent = spend(project, budget=planning.Budget(0, 1e9))
    assert held.hash not in spent.trained
    assert runs(project, "base")[0].hash in spent.evaluated
    assert not (folder / "run.json").exists()


@pytest.mark.slow
def test_when_the_process_dies_the_work_goes_on_within_the_same_budget(project):
    """In a supervised process of its own, of which a signal kills the child in the second epoch."""
    base = runs(project, "base")[0]
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, tests / "training/deadly.py", "next", "--do", "--budget", "10m", *OPTIONS],
        env={**os.environ, "PLAN": f"{base.hash}:2:SIGSEGV:1", "PYTHONPATH": str(tests.parent / "src")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert "its process died of SIGSEGV in epoch 2/3" in done.stderr
    assert "goes on after epoch 1/3" in done.stderr
    assert done.returncode == 0
    assert "mini: base" in done.stdout


def test_a_run_that_is_trained_is_only_evaluated(project):
    base = runs(project, "base")[0]
    assert status("train", "mini", "--runs", base.hash, *OPTIONS) == 0
    spent = spend(project, budget=planning.Budget(0, 1e9))
    assert base.hash in spent.evaluated
    assert base.hash not in spent.trained


def test_a_data_set_of_which_the_archive_is_here_is_decoded(project, capsys):
    folder = Path("results/demo/data/cifar100")
    assert status("data", "synthesize", "cifar100") == 0
    assert status("data", "fetch", "cifar100", "--scale", "demo") == 0
    assert not folder.exists()
    assert status("next", "--do", *OPTIONS) == 0
    assert (folder / "dataset.json").exists()
    assert "mini: far" in capsys.readouterr().out
