"""The command line: one line and exit status 1 for a user's mistake, no traceback, no torch where none is
needed.
"""

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from mini import convolution, mini
from reprise import cli
from reprise.cli import main
from reprise.reports.report import SCALES
from tiny import write_dataset

ROOT = Path(__file__).parents[1]
REPORTS = ["--reports", str(ROOT / "workflow/reports")]


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a failing command prints."""
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, *REPORTS])
    assert exit_.value.code == 1
    output = capsys.readouterr()
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("reprise: ")
    return output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["runs", "cifar100_superclas"],
            "no report cifar100_superclas in .*; did you mean cifar100_superclass?",
        ),
        (["check", "absent.yaml"], "absent.yaml: cannot be read"),
        (["figure", "cifar100_superclass", "figure_3"], "figures has no figure_3; did you mean figure_"),
        (
            ["table", "cifar100_superclass", "architecture"],
            "tables has no architecture; did you mean architectures?",
        ),
        (["train", "cifar100_superclass", "--only", "adm"], "no experiment adm; did you mean adam?"),
        (
            ["train", "cifar100_superclass", "--runs", "0123456789ab"],
            "no run 0123456789ab at scale full; list them with",
        ),
        (["train", "cifar100_superclass", "--only", "adam"], "fetch"),
        (["evaluate", "cifar100_superclass", "--only", "adam"], "train it first|fetch"),
        (["runs", "cifar100_superclass", "--skip", "adm"], "no experiment adm; did you mean adam?"),
        (["data", "fetch", "cifar1000", "--mirror", "/nowhere"], "cifar1000.*did you mean cifar100?"),
        (["data", "decode", "cifar100"], "not found; fetch it first"),
        (["data", "add", "/nowhere.tar.gz"], "no such file"),
        (["export", "0123456789ab", "out"], "0123456789ab: no result"),
        (["import", "/nowhere"], "holds no exported run"),
        (
            ["export", "cifar100_superclass", "out"],
            "no finished run of cifar100_superclass at scale full; train it first",
        ),
        (["data", "add", "/nowhere.tar.gz", "--scale", "demo"], "scale demo draws its own data"),
        (
            ["layers", "cifar100_superclass", "random_search"],
            "no table of layers or diagram random_search; valid: architectures",
        ),
        (
            ["samples", "cifar100_superclass", "figure_02"],
            "figure_02 is of kind curves, not samples; valid: ",
        ),
        (
            ["train", "cifar100_superclass", "--only", "adam", "--skip", "adam"],
            "selector 'adam' is skipped at scale full; leave out --skip",
        ),
        (
            ["figure", "cifar100_superclass", "figure_02", "--skip", "adam"],
            "figure_02 needs adam, which is skipped",
        ),
    ],
)
def test_mistakes(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, fails(capsys, *arguments))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_figure_without_results_says_which_run_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "train and evaluate it first" in fails(capsys, "figure", "cifar100_superclass", "figure_02")
    assert not (tmp_path / "results/figures/cifar100_superclass/figure_02.png").exists()


def test_statements_without_results_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["statements", "cifar100_superclass", *REPORTS])
    rows = (tmp_path / "results/statements/cifar100_superclass.csv").read_text().splitlines()
    assert rows[0] == "report,id,kind,text,reported,measured,spread,n,scale,verdict"
    assert len(rows) == 31
    assert all(row.endswith(",full,not run") for row in rows[1:])


def test_runs_are_listed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["runs", "cifar100_superclass", *REPORTS])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 38
    assert len({line.split()[0] for line in lines}) == 38


@pytest.mark.slow
def test_light_verbs_never_import_torch(tmp_path):
    code = (
        "import sys; from reprise.cli import main; "
        f"main(['runs', 'cifar100_superclass', '--reports', {str(ROOT / 'workflow/reports')!r}]); "
        f"main(['statements', 'cifar100_superclass', '--results', {str(tmp_path)!r}, '--reports', "
        f"{str(ROOT / 'workflow/reports')!r}]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=280).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "cifar100_superclass", "--threads", "0"],
            "--threads: '0' is no whole number from 1 to 4,096",
        ),
        (
            ["train", "cifar100_superclass", "--only", "adam", "--runs", "0123456789ab"],
            "--runs: not allowed with argument --only",
        ),
        (
            ["train", "--only", "adam", "cifar100_superclass"],
            "required: report; put arguments before options that take several values",
        ),
        (["figure", "cifar100_superclass", "figure_02", "--skip"], "--skip: expected at least one argument"),
    ],
)
def test_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


# ---- training, evaluation and figures through the command line ----

REPORT = mini(
    convolution(batch_norm=True),
    {
        "base": {},
        "long": {"set": {"training.epochs": 60}},
        "wild": {"set": {"optimizer": {"name": "sgd", "lr": 1.0e30}}},
    },
    labels="fine",
    figures=[
        {
            "id": "curves",
            "kind": "curves",
            "caption": "Accuracy.",
            "metric": "accuracy",
            "splits": ["train", "test"],
            "series": [{"runs": "base", "label": "base"}],
        }
    ],
)


def new_project(folder):
    """A report, and its data at scale demo."""
    (folder / "reports").mkdir()
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT))
    write_dataset(folder / "results/demo/data/cifar10")
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in the current folder."""
    monkeypatch.chdir(tmp_path)
    return new_project(tmp_path)


OPTIONS = ["--reports", "reports", "--scale", "demo"]
TRAIN = ["--device", "cpu", "--threads", "1", *OPTIONS]


def status(*arguments):
    try:
        main(arguments)
    except SystemExit as exit_:
        return exit_.code
    return 0


def hashes(capsys):
    """Experiment → hash of its run."""
    capsys.readouterr()
    main(["runs", "mini", *OPTIONS])
    return {line.split()[-1]: line.split()[0] for line in capsys.readouterr().out.splitlines()}


def test_check_counts_what_each_file_holds(project, capsys):
    sound = {**REPORT, "defaults": {**REPORT["defaults"], "dataset": {"name": "cifar10", "labels": "label"}}}
    files = {
        "reports/three.yaml": sound,
        "reports/one.yaml": {**sound, "experiments": {"base": {}}, "figures": []},
    }
    for file, report in files.items():
        (project / file).write_text(yaml.safe_dump({**report, "slug": Path(file).stem}))
    main(["check", *files])
    assert capsys.readouterr().out.splitlines() == [
        *(f"reports/three.yaml: {scale}: 3 runs, 1 figures, 0 tables, 0 statements" for scale in SCALES),
        *(f"reports/one.yaml: {scale}: 1 runs, 0 figures, 0 tables, 0 statements" for scale in SCALES),
    ]


def environment():
    """That of a process with this code."""
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths}


def process(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "reprise", *arguments], env=environment(), text=True, **options
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """History of the long run, trained at one go."""
    folder = new_project(tmp_path_factory.mktemp("uninterrupted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert status("train", "mini", "--only", "long", *TRAIN) == 0
    (history,) = folder.glob("results/demo/runs/*/history.parquet")
    return pd.read_parquet(history)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["int", "term", "kill"],
)
def test_a_stopped_training_goes_on_to_the_same_result(project, uninterrupted, capsys, number, code):
    run = hashes(capsys)["long"]
    command = ["train", "mini", "--only", "long", *TRAIN]
    with process(*command, stderr=subprocess.PIPE) as training:
        assert training.stderr.readline() == f"run {run} (1/1) begins: mini/long, seed 0\n"
        assert " epoch 1/60 " in training.stderr.readline()
        training.send_signal(number)
        errors = training.stderr.read()
    assert training.returncode == code
    assert "Traceback" not in errors
    folder = project / "results/demo/runs" / run
    assert not (folder / "run.json").exists()
    assert not (folder / "trained.json").exists()
    assert (folder / "checkpoint.pt").exists() == (
        number != signal.SIGKILL
    )  # its interval is longer than this run
    assert status(*command) == 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "history.parquet"), uninterrupted, check_exact=True
    )


WITHOUT = """
import sys

sys.modules |= dict.fromkeys(["snakemake", "optuna"])  # None: as if they were not installed
from reprise.cli import main

for command in sys.argv[1:]:
    main(command.split())
"""


@pytest.mark.slow
def test_training_needs_no_snakemake_and_only_studies_need_optuna(project):
    axis = {"lr": {"path": "optimizer.lr", "log_uniform": [0.001, 0.01]}}
    study = {"asha": {"trials": 2, "seed": 0, "min_resource": 1, "reduction_factor": 2, "space": axis}}
    experiments = {"base": {}, "study": study}
    (project / "reports/mini.yaml").write_text(
        yaml.safe_dump({**REPORT, "experiments": experiments, "figures": []})
    )
    base, trials = (["mini", "--only", name, *TRAIN] for name in experiments)
    commands = ["train", *base], ["evaluate", *base], ["export", "mini", "out", *OPTIONS], ["train", *trials]
    command = [sys.executable, "-c", WITHOUT, *map(" ".join, commands)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    assert len(list(project.glob("out/**/final.parquet"))) == 1
    assert done.stderr.splitlines()[-1] == (
        "reprise: the trials of a study are judged by optuna, which is not installed; install it with: pip "
        "install optuna"
    )
    assert len(list((project / "results/demo/runs").iterdir())) == 1  # not one epoch of a trial


def test_stopped_before_the_training_begins(monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "open_report", stop)
    assert status("train", "cifar100_superclass", *REPORTS) == 130
    assert capsys.readouterr().err == "reprise: stopped by SIGINT; run the same command again\n"


@pytest.mark.slow
def test_a_log_that_breaks_off_does_not_end_the_training(project, capsys):
    run = hashes(capsys)["base"]
    with process("train", "mini", "--only", "base", *TRAIN, stderr=subprocess.PIPE) as training:
        training.stderr.close()
    assert training.returncode == 0
    assert (project / "results/demo/runs" / run / "trained.json").exists()


def test_no_log_at_all(project, capsys, monkeypatch):
    run = hashes(capsys)["base"]
    monkeypatch.setattr(sys, "stderr", None)
    assert status("train", "mini", "--only", "base", *TRAIN) == 0
    assert (project / "results/demo/runs" / run / "trained.json").exists()


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_a_broken_log_ends_neither_training_nor_evaluation(project, capsys, monkeypatch):
    run = hashes(capsys)["base"]
    monkeypatch.setattr(sys, "stderr", Broken())
    assert status("train", "mini", "--only", "base", *TRAIN) == 0
    assert status("evaluate", "mini", "--only", "base", *TRAIN) == 0
    assert (project / "results/demo/runs" / run / "evaluated.json").exists()
    assert status("train", "mini", "--only", "wild", *TRAIN) == 1


def test_a_reader_that_has_gone_is_no_mistake():
    with process(
        "runs", "cifar100_superclass", *REPORTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == ""
    assert listing.returncode == 0


def test_a_failed_run_leaves_the_others_their_stamps(project, capsys):
    runs = hashes(capsys)
    assert status("train", "mini", "--only", "wild", "base", *TRAIN) == 1
    folder = project / "results/demo/runs"
    assert json.loads((folder / runs["base"] / "trained.json").read_text())["run"] == runs["base"]
    assert not (folder / runs["wild"] / "trained.json").exists()
    assert f"reprise: run {runs['wild']}: the loss became" in capsys.readouterr().err.splitlines()[-1]


def test_runs_by_the_path_of_a_file_in_their_folder(project, capsys):
    run = hashes(capsys)["base"]
    stamp = f"results/demo/runs/{run}/trained.json"
    assert status("train", "mini", "--runs", stamp, *TRAIN) == 0
    assert status("evaluate", "mini", "--runs", stamp, *TRAIN) == 0
    assert (
        json.loads((project / f"results/demo/runs/{run}/evaluated.json").read_text())["final"]["test_images"]
        == 60
    )
    assert status("train", "mini", "--runs", stamp, "--skip", "base", *TRAIN) == 1
    assert f"run {run} of base is skipped at scale demo" in capsys.readouterr().err


def test_results_that_may_not_be_read_are_not_called_damaged(project, capsys, monkeypatch):
    run = hashes(capsys)["base"]
    assert status("train", "mini", "--only", "base", *TRAIN) == 0

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    capsys.readouterr()
    assert status("figure", "mini", "curves", *OPTIONS) == 1
    message = (
        f"reprise: results/demo/runs/{run}/history.parquet: Permission denied; check the path and its "
        "permissions\n"
    )
    assert capsys.readouterr().err == message


def test_a_file_in_place_of_the_results_folder(project, capsys):
    write_dataset(project / "data/cifar10", source="real")
    (project / "file").write_text("")
    options = ["--reports", "reports", "--results", "file", "--data", "data"]
    assert status("train", "mini", "--only", "base", "--device", "cpu", *options) == 1
    assert re.fullmatch(
        r"reprise: (run \w{12}: )?file\S*: Not a directory; check the path and its permissions",
        capsys.readouterr().err.splitlines()[-1],
    )


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["evaluate", "mini", "--only", "base", *TRAIN], "runs/{run}/predictions.parquet"),
        (["figure", "mini", "curves", *OPTIONS], "figures/mini/curves"),
    ],
    ids=["evaluate", "figure"],
)
def test_a_full_disk_is_one_line(project, capsys, arguments, file):
    """A limit on the size of files stands in for the full disk."""
    run = hashes(capsys)["base"]
    assert status("train", "mini", "--only", "base", *TRAIN) == 0
    if arguments[0] == "figure":
        assert status("evaluate", "mini", "--only", "base", *TRAIN) == 0
    capsys.readouterr()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        assert status(*arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    path = f"results/demo/{file.format(run=run)}"
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(rf"reprise: {path}\S*: .*File too large.*; check the path and its permissions", line)
    assert not list(project.glob(f"{path}*"))
    assert not list(project.rglob("*.partial*"))
