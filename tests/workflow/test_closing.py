"""Snakemake's run ends with the lines that `reprise run` ends with, or says how to go on; and the workflow's
own style is clean.
"""

import contextlib
import io
import os
import subprocess
import sys

import pytest
from project import ROOT, new_project, run, snakemake
from snakemake.cli import args_to_api, parse_args

from made_up import write_results
from reprise.cli.common import stamp_evaluated, stamp_trained
from reprise.publishing.closing import closing
from reprise.reports.layout import Layout
from reprise.reports.report import Report
from reprise.workflow import ending

pytestmark = pytest.mark.workflow
TARGET = "results/demo/statements/mini.csv"


def evaluated(project):
    """Made-up results of all runs of a new project."""
    new_project(project)
    report = Report(project / "workflow/reports/mini.yaml", "demo")
    layout = Layout(project / "results", "demo")
    write_results(report, layout.runs, report.runs())
    for identifier in report.runs():
        stamp_trained(identifier, layout)
        stamp_evaluated(identifier, layout)
    return project, report, layout


def test_the_last_words_of_a_run(tmp_path):
    project, report, layout = evaluated(tmp_path)
    target = TARGET
    (damaged,) = report.cells("base")[0].runs
    history = layout.runs / damaged / "history.parquet"
    sound = history.read_bytes()

    history.write_bytes(b"")
    failed = snakemake(project, target)
    assert failed.returncode == 1
    assert "results are in" not in failed.stderr
    assert "(under results/demo/logs). What is finished is kept: run the same command again" in failed.stderr

    history.write_bytes(sound)
    done = snakemake(project, target)
    assert done.returncode == 0, done.stderr
    expected = [line.replace(f"{project}/", "") for line in closing(["mini"], layout)]
    assert len(expected) == 2
    assert expected[-1].startswith("results are in results/demo (DEMO – synthetic data): numbers: ")
    printed = done.stderr.splitlines()
    assert [line for line in printed if line in expected] == expected
    assert "same command again" not in done.stderr

    (tmp_path / "elsewhere").mkdir()
    command = [
        "-m",
        "snakemake",
        "-s",
        str(project / "Snakefile"),
        "--directory",
        str(project),
        "--cores",
        "1",
    ]
    for again in (
        snakemake(project, target),
        run(
            tmp_path / "elsewhere",
            [sys.executable, *command, target, "--config", "scale=demo", "threads=1"],
            project / "src",
        ),
    ):
        assert again.returncode == 0, again.stderr
        assert "Nothing to be done" in again.stderr
        assert again.stderr.splitlines()[-2:] == expected
        assert again.stderr.count("results are in") == 1


def test_the_last_words_are_about_the_reports_that_were_asked_for(tmp_path):
    project, _, layout = evaluated(tmp_path)
    reports = project / "workflow/reports"
    text = (reports / "mini.yaml").read_text()
    (reports / "other.yaml").write_text(text.replace("slug: mini", "slug: other"))
    other = TARGET.replace("mini", "other")
    for targets, asked in (
        ((TARGET, other), ["mini", "other"]),
        ((TARGET,), ["mini"]),
        ((other,), ["other"]),
        ((other, TARGET), ["mini", "other"]),
    ):
        done = snakemake(project, *targets)
        assert done.returncode == 0, done.stderr
        expected = [line.replace(f"{project}/", "") for line in closing(asked, layout)]
        printed = done.stderr.splitlines()
        assert [line for line in printed if "verdicts one by one" in line or "reproduced" in line] == expected


@pytest.fixture(scope="module")
def all_made(tmp_path_factory):
    """A project in which nothing is to be done for the statements."""
    project, _, _ = evaluated(tmp_path_factory.mktemp("made"))
    done = snakemake(project, TARGET)
    assert done.returncode == 0, done.stderr
    return project


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], True),
        (["--quiet", "all"], True),
        (["--touch"], True),
        (["--rerun-triggers", "mtime"], True),
        (["-n"], False),
        (["-n", "--quiet"], False),
        (["--no-hooks"], False),
        (["--lint"], False),
        (["--unlock"], False),
        (["--summary"], False),
        (["--detailed-summary"], False),
        (["--list-rules"], False),
        (["--dag"], False),
        (["--rulegraph"], False),
        (["--report", "report.zip"], False),
        (["--cleanup-metadata", TARGET], False),
        (["--delete-all-output", "-n"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_says_where_results_lie_although_nothing_was_to_be_done(all_made, words, says, monkeypatch):
    """In this process, whose end is made up."""
    ends, heard = [], []
    monkeypatch.setattr(ending.atexit, "register", lambda *call: ends.append(call))
    monkeypatch.chdir(all_made)
    before = dict(os.environ)
    output = io.StringIO()
    command = [*words, "--cores", "1", "--config", "scale=demo", "threads=1"]
    if "--cleanup-metadata" not in words:
        command = [TARGET, *command]
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            parser, options = parse_args(command)
            args_to_api(options, parser)
    finally:
        os.environ.clear()
        os.environ.update(before)
    for end, workflow, folder, _ in (call for call in ends if call[0] is ending._end):
        assert folder == all_made
        end(workflow, folder, lambda: heard.append("results are in"))
    assert len(heard) == says, output.getvalue()
    assert "results are in" not in output.getvalue()


@pytest.mark.parametrize(
    "command",
    [["snakemake", "--lint"], ["snakefmt", "--check", "Snakefile", "workflow"]],
    ids=["lint", "format"],
)
def test_the_workflow_passes_snakemakes_own_checks(command):
    words = [sys.executable, "-m", *command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
