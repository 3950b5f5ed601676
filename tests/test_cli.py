"""The command line: one line and exit status 1 for a user's mistake, no traceback, no torch where none is
needed.
"""

import csv
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
from reprise.cli import main
from reprise.cli.app import GROUPS, VERBS, application
from reprise.cli.options import ReportsOptions
from reprise.reports.report import SCALES
from tiny import edit_dataset, write_dataset
from verbs import OPTIONS as TAKEN
from verbs import fitting

ROOT = Path(__file__).parents[1]
REPORTS = ["--reports", str(ROOT / "workflow/reports")]
ITEMS = ("layers", "samples", "figure", "table")
"""Verbs that name a figure or table."""


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a failing command prints."""
    with pytest.raises(SystemExit) as exit_:
        main(fitting(arguments, REPORTS))
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
        (["check", "cifar10_ash"], "no report cifar10_ash in"),
        (["check", "cifar10_ash"], "did you mean cifar10_asha?"),
        (["check", "folder/absent"], "no report folder/absent; check the path"),
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
        (["import", "/nowhere"], "/nowhere: no such folder"),
        (["publish", "0123456789ab", "cache"], "0123456789ab: no result"),
        (["import", ".", "--runs", "0123456789ab"], "run 0123456789ab: not in any cache that can be used"),
        (
            ["export", "cifar100_superclass", "out"],
            "no finished run of cifar100_superclass at scale full; train it first",
        ),
        (["summary", "--write", "absent.md"], "absent.md: No such file"),
        (["summary", "--write", "/etc/hosts"], "hosts: needs the lines <!-- summary: begin .* end -->, once"),
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
    with (tmp_path / "results/statements/cifar100_superclass.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 30
    assert {(row["scale"], row["verdict"], row["n"]) for row in rows} == {("full", "not run", "0")}
    assert all(row["reason"].endswith(".") for row in rows)


def test_runs_are_listed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["runs", "cifar100_superclass", *REPORTS])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 38
    assert len({line.split()[0] for line in lines}) == 38


def test_a_misspelt_report_is_found_before_torch_is_loaded(tmp_path):
    """By every verb that names one."""
    words = {
        "study": ["a", "classic"],
        "submission": ["a", "--run", "b", "c", "d"],
        "verify": ["b", "--report", "a"],
    }
    others = ("export", "publish", "plan", "new")
    verbs = [verb for verb in TAKEN if "--reports" in TAKEN[verb] and verb not in others]
    commands = [
        [*verb.split(), *words.get(verb.split()[0], ["a", "b"][: 1 + (verb in ITEMS)]), *REPORTS]
        for verb in verbs
    ]
    code = (
        "import sys; from reprise.cli import main\n"
        f"for command in {commands!r}:\n"
        "    try: main(command)\n"
        "    except SystemExit as end: assert end.code == 1, command\n"
        "    else: raise AssertionError(command)\n"
        "    assert 'torch' not in sys.modules, command"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(" in ")[0] for line in done.stderr.splitlines()] == ["reprise: no report a"] * len(
        verbs
    )


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


# ---- words that are no command ----


def refused(capsys, arguments):
    """The one line about words that are no command."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("reprise: ")
    return output.err.removeprefix("reprise: ").removesuffix("\n")


FIRST = "is required; put arguments before options that take several values"
RUNS = "valid: --reports, --skip, --stand-in, --scale, --results, --help"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train a --threads 0", "train: --threads: '0' is not a whole number from 1 to 4,096"),
        ("train a --threads 1.5", "train: --threads: '1.5' is not a whole number from 1 to 4,096"),
        ("train a --threads -1", "train: --threads: '-1' is not a whole number from 1 to 4,096"),
        ("summary --findings -1", "summary: --findings: '-1' is not a whole number from 0 to 1,000"),
        ("train a --only b --runs c", "train: --runs and --only exclude each other"),
        ("submission a b c", "submission: --run or --only is required"),
        ("train --only adam a", "train: REPORT " + FIRST),
        ("export a", "export: RUN... " + FIRST),
        ("check", "check: REPORT... " + FIRST),
        ("figure a b --skip", "figure: --skip: expected at least one value"),
        (
            "figure a b --results -x",
            "figure: --results: expected a value (one that begins with - as --results=VALUE)",
        ),
        ("figure a b c", "figure: 'c' is one argument too many"),
        ("figure a b --scale ful", "figure: --scale: no 'ful'; did you mean full?"),
        ("figure a b --scale x", "figure: --scale: no 'x'; valid: full, quick, demo"),
        ("train a --precision float64", "train: --precision: no 'float64'; did you mean bfloat16?"),
        ("runs a --skpi x", "runs: no option --skpi; did you mean --skip?"),
        ("runs a --res=x", "runs: no option --res; did you mean --results?"),
        ("runs -x", "runs: no option -x; " + RUNS),
        ("runs a --version", "runs: no option --version; " + RUNS),
        ("runs a --no-skip", "runs: no option --no-skip; did you mean --skip?"),
        ("check a --scale demo", "check: no option --scale; valid: --watch, --reports, --help"),
        ("rums a", "no verb rums; did you mean runs?"),
        ("rums --help", "no verb rums; did you mean runs?"),
        ("data fetchh", "data: no verb fetchh; did you mean fetch?"),
        (
            "data",
            "data: a verb is required; valid: fetch, fetch-weights, decode, statistics, add, "
            "stand-in, synthesize",
        ),
        ("study shw a b", "study: no verb shw; did you mean show?"),
        ("--versoin", "no option --versoin; did you mean --version?"),
        ("--version=1", "--version takes no value"),
        ("runs --help=1", "runs: --help takes no value"),
        ("data --help=1", "data: --help takes no value"),
        (
            "runs -- a --scale demo",
            "runs: --scale comes after --, where no option is read; put it before the --",
        ),
        (
            "train -- a --runs b",
            "train: --runs comes after --, where no option is read; put it before the --",
        ),
    ],
)
def test_usage(capsys, command, message):
    assert refused(capsys, command.split()) == message


def test_no_verb_at_all(capsys):
    said = refused(capsys, [])
    assert re.match("a verb is required; valid: new, check, runs, schema, plan, .*, import, verify$", said)


@pytest.mark.parametrize(("name", "value"), [("REPRISE_PRECISION", "float23"), ("REPRISE_CUDA_GRAPHS", "of")])
def test_an_environment_that_no_verb_understands(capsys, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert re.fullmatch(f"train: {name}: no {value!r}; did you mean .*\\?", refused(capsys, ["train", "a"]))
    assert "no report a" in fails(capsys, "evaluate", "a")  # which does not read it


def test_in_a_folder_without_reports_one_learns_how_to_name_theirs(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["runs", "cifar100_superclass", "--reports", str(tmp_path)])
    said = "give the folder of the reports with --reports"
    assert capsys.readouterr().err == f"reprise: no report cifar100_superclass in {tmp_path}; {said}\n"


def taken(verb):
    """The options of a verb, as the application lists them."""
    app = application()
    with app.app_stack(verb.split()):
        for word in verb.split():
            app = app[word]
        arguments = app.assemble_argument_collection()
    return {name for argument in arguments for name in argument.names if name.startswith("-")}


def verbs_of(group):
    """The verbs of a group, or of the application, as it lists them."""
    app = application()
    return {name for name in (app[group] if group else app) if not name.startswith("-")}


def test_the_verbs_are_those_of_the_table():
    found = {f"{group} {name}" for group in GROUPS for name in verbs_of(group)}
    assert found | (verbs_of("") - GROUPS.keys()) == set(VERBS) == set(TAKEN)


@pytest.mark.parametrize("verb", TAKEN)
def test_a_verb_takes_the_options_that_it_reads_and_no_other(capsys, verb):
    assert taken(verb) == TAKEN[verb]
    for option in set().union(*TAKEN.values()) - TAKEN[verb]:
        for words in ([option, "value"], [f"{option}=value"], [option]):
            line = refused(capsys, [*verb.split(), "a", *words])
            assert re.match(f"{verb}: no option {option}; (did you mean|valid:) --", line)


@pytest.mark.parametrize(
    "environment",
    [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "60"}, {"COLUMNS": "1"}, {"COLUMNS": "x"}],
    ids=str,
)
def test_help(capsys, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for verb in ("", *GROUPS, *VERBS):
        main([*verb.split(), "--help"])
        page = capsys.readouterr()
        assert page.err == ""
        assert page.out.startswith(f"Usage: reprise {verb}".rstrip() + " ")
        assert max(map(len, page.out.splitlines())) <= {"60": 60, "1": 50}.get(
            environment.get("COLUMNS"), 110
        )
        assert not set(page.out) & set("\x1b│╭─"), "no colours and no boxes"
        names = TAKEN[verb] if verb in TAKEN else verbs_of(verb)
        missing = {
            name for name in names if not re.search(rf"^  .*{re.escape(name)}\b", page.out, re.MULTILINE)
        }
        assert not missing


def test_values_that_begin_with_a_hyphen_or_look_like_data(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("-x", "[1]", "{}"):
        main(["statements", "cifar100_superclass", f"--results={folder}", *REPORTS])
        assert (tmp_path / folder / "statements/cifar100_superclass.csv").is_file()


def test_the_last_value_counts_and_several_add_up(capsys):
    main(["runs", "cifar100_superclass", "--scale", "full", "--scale", "quick", *REPORTS])
    quick = capsys.readouterr().out
    main(["runs", "cifar100_superclass", "--scale", "quick", *REPORTS])
    assert capsys.readouterr().out == quick
    main(["runs", "cifar100_superclass", "--skip", "adam", "sgd", *REPORTS])
    both = capsys.readouterr().out
    main(["runs", "cifar100_superclass", "--skip", "adam", "--skip", "sgd", *REPORTS])
    assert capsys.readouterr().out == both
    main(["runs", "cifar100_superclass", *REPORTS])
    every = capsys.readouterr().out.splitlines()
    left_out = [line for line in every if line.split()[-1] in ("adam", "sgd")]
    assert len(left_out) > 1
    assert both.splitlines() == [line for line in every if line not in left_out]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["data", "--help"]])
def test_a_reader_that_has_seen_enough_of_what_is_listed(arguments):
    with process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == ""
    assert listing.returncode == 0


def test_letters_that_the_output_cannot_show(tmp_path):
    """They are shown by their numbers, and nothing breaks off."""
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "reprise",
                "data",
                "synthesize",
                "cifar10",
                *("--train", "10"),
                "--results=é→",
            ],
            cwd=tmp_path,
            env={**environment(), "PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        shown = "é→".encode(encoding, "backslashreplace")
        assert done.stdout.startswith(shown + b"/demo/data/synthetic/")


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
REPORT["defaults"]["dataset"]["name"] = "cifar100"  # whose labels are coarse and fine, as those of `tiny`


def new_project(folder):
    """A report, and its data at scale demo."""
    (folder / "reports").mkdir()
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT))
    edit_dataset(write_dataset(folder / "results/demo/data/cifar100"), name="cifar100")
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
    main(["check", *(Path(file).stem for file in files), "--reports", "reports"])
    by_slug = capsys.readouterr().out
    main(["check", *files])
    out = capsys.readouterr().out
    assert by_slug == out
    lines = out.splitlines()
    # a convolution of 3 × 3 pixels, its batch norm, and an output layer on 4 maps of 15 × 15 pixels
    parameters = 4 * (3 * 9 + 1) + 2 * 4 + 10 * (4 * 15 * 15 + 1)
    network = f"network net: {parameters:,} parameters, input 3 × 32 × 32, 10 classes"
    assert [line for line in lines if "network" in line] == [f"{file}: {network}" for file in files]
    assert [line for line in lines if "network" not in line] == [
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
    assert len(list(project.glob("out/runs/*.json.xz"))) == 1
    assert done.stderr.splitlines()[-1] == (
        "reprise: the trials of a study are judged by optuna, which is not installed; install it with: pip "
        "install optuna"
    )
    assert len(list((project / "results/demo/runs").iterdir())) == 1  # not one epoch of a trial


def test_stopped_before_the_training_begins(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ReportsOptions, "open", stop)
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
    edit_dataset(write_dataset(project / "data/cifar100", source="real"), name="cifar100")
    (project / "file").write_text("")
    options = ["--reports", "reports", "--results", "file", "--data", "data"]
    assert status("train", "mini", "--only", "base", "--device", "cpu", *options) == 1
    said = "reprise: --results: 'file' is a file; name a folder, or move it away\n"
    assert capsys.readouterr().err == said


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
