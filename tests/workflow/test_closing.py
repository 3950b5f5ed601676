"""Snakemake's run ends with the lines that `reprise run` ends with, or says how to go on; and the workflow's
own style is clean.
"""

import subprocess
import sys

import pytest
from project import ROOT, new_project, snakemake

from made_up import write_results
from reprise.cli.common import stamp_evaluated, stamp_trained
from reprise.publishing.closing import closing
from reprise.reports.layout import Layout
from reprise.reports.report import Report

pytestmark = pytest.mark.workflow


def test_the_last_words_of_a_run(tmp_path):
    project = new_project(tmp_path)
    report = Report(project / "workflow/reports/mini.yaml", "demo")
    layout = Layout(project / "results", "demo")
    write_results(report, layout.runs, report.runs())
    for run in report.runs():
        stamp_trained(run, layout)
        stamp_evaluated(run, layout)
    target = "results/demo/statements/mini.csv"
    (damaged,) = report.cells("base")[0].runs
    history = layout.runs / damaged / "history.parquet"
    sound = history.read_bytes()

    history.write_bytes(b"")
    failed = snakemake(project, target)
    assert failed.returncode == 1
    assert "results are in" not in failed.stderr
    assert "under results/demo/logs. What is finished is kept: run the same command again" in failed.stderr

    history.write_bytes(sound)
    done = snakemake(project, target)
    assert done.returncode == 0, done.stderr
    expected = [line.replace(f"{project}/", "") for line in closing(["mini"], layout)]
    assert len(expected) == 2
    assert expected[-1].startswith("results are in results/demo (DEMO – synthetic data): numbers: ")
    printed = done.stderr.splitlines()
    assert [line for line in printed if line in expected] == expected
    assert "same command again" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [["snakemake", "--lint"], ["snakefmt", "--check", "Snakefile", "workflow"]],
    ids=["lint", "format"],
)
def test_the_workflow_passes_snakemakes_own_checks(command):
    words = [sys.executable, "-m", *command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
