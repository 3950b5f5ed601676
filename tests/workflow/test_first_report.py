"""The page for a first report does what it says: its file is made, its commands run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT, new_project

from reprise.reports.report import Report

PAGE = (ROOT / "docs/first-report.md").read_text(encoding="utf-8")
(FILE,) = re.findall(r"```yaml\n# (workflow/reports/\S+)\n", PAGE)
(CONTENT,) = re.findall(rf"```yaml\n(# {FILE}\n.*?)```", PAGE, re.DOTALL)
BLOCKS = re.findall(r"```yaml\n(?!# workflow)(.*?)```", PAGE, re.DOTALL)
"""What the recipes show."""
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SLUG = Path(FILE).stem


def test_the_file_has_25_lines_and_there_are_three_commands():
    assert len(CONTENT.splitlines()) <= 26  # its own name is a line more
    assert len(COMMANDS.splitlines()) == 3
    assert all(SLUG in line for line in COMMANDS.splitlines())


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[1].split(",")[0].strip())
def test_recipes_can_be_added_to_the_file(tmp_path: Path, block: str):
    document = yaml.safe_load(CONTENT)
    added = yaml.safe_load(block)
    document |= {"statements": [*document["statements"], *added]} if isinstance(added, list) else added
    file = tmp_path / f"{SLUG}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    report = Report(file)
    shown = {statement.id for statement in report.statements} | set(report.experiments)
    names = (
        [entry.get("number") or entry["claim"] for entry in added] if isinstance(added, list) else ["rates"]
    )
    assert set(names) <= shown
    assert report.runs()


@pytest.mark.workflow
@pytest.mark.slow
def test_the_commands_run_as_printed(tmp_path: Path):
    project = new_project(tmp_path)
    (project / "workflow/reports/mini.yaml").unlink()
    (project / FILE).write_text(CONTENT)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(project / "src"),
        "OMP_NUM_THREADS": "1",
    }
    *offline, real = COMMANDS.splitlines()
    assert "quick" in real
    commands = "\n".join([*offline, f"{real} --dry-run"])  # it would fetch CIFAR-10
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{FILE}: full: 1 runs, 1 figures, 0 tables, 2 statements" in done.stdout
    assert re.search(r"^train +1$", done.stdout, re.MULTILINE), done.stdout
    results = project / "results/demo"
    for name in re.findall(r"^- `((?:figures|statements)/[^`]+)`", PAGE, re.MULTILINE):
        assert (results / name).stat().st_size > 500, name
    page = (results / f"statements/{SLUG}.md").read_text()
    assert "122,570" in page
    assert "reproduced" in page
    assert f"results are in {results.relative_to(project)} (DEMO" in done.stdout
