"""Folders with names that are odd to a shell, to YAML, to Snakemake or to a format string."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import new_project

from made_up import write_results
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.report import Report
from reprise.workflow.config import as_written, check_remote_paths, read_config
from reprise.workflow.programme import Programme

ODD = [
    "my results", "my results (1)", "O'Brien", "R&D", "ü 漢字", "a [b]", "$HOME", "$(touch x)", "`touch x`",
    "a;b", "a|b", "a>b", "*", "?", "!!", "100%", "%(x)s", "a #1", "#1", "-x", "--results", "back\\slash",
    "new\nline", "tab\ta", '"quoted"', "~", "~me", "a~", "é", "e\u0301", "🎲", "a=b", "a,b", "@x", "^x",
    "x" * 200, " leading", "trailing ", "..a", "con", "\u202eabc",
]  # fmt: skip
BRACES = ["{x}", "a{b", "a}b", "{{x}}", "{wildcards.slug}", "{config[x]}"]


@pytest.mark.parametrize("name", [name for name in ODD if not name.startswith("~")])
def test_every_verb_takes_it_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    main(["schema", f"./{name}/schema.json"])
    assert (tmp_path / name / "schema.json").is_file()
    with pytest.raises(SystemExit):
        main(["data", "decode", "cifar10", f"--results={name}"])
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ODD)
def test_a_configuration_file_takes_it_in_quotes(tmp_path: Path, name: str):
    """And jobs are told it by one option that is one word."""
    name = f"./{name}" if name.startswith("~") else name
    config = read_config(json.loads(json.dumps({"results": name, "data": name})))
    (tmp_path / "reports").mkdir()
    programme = Programme(config, tmp_path / "reports")
    assert programme.options("results", "data") == [f"--results={name}", f"--data={name}"]


@pytest.mark.parametrize("name", BRACES)
@pytest.mark.parametrize("key", ["results", "data"])
def test_braces_are_refused_because_snakemake_takes_them_for_wildcards(key: str, name: str):
    with pytest.raises(RepriseError, match="Snakemake takes braces in a path for wildcards"):
        read_config({key: name})
    assert read_config({"mirror": name}).mirror == [name], "which Snakemake need not see"


@pytest.mark.parametrize("name", ["a b", "O'Brien", "$HOME", "a#1", "a\nb", "[a]"])
def test_a_cluster_refuses_what_would_not_reach_its_jobs(name: str):
    with pytest.raises(RepriseError, match="cannot go to a cluster's jobs; rename"):
        check_remote_paths(read_config({"results": name}), Path("/a"))


@pytest.mark.workflow
@pytest.mark.timeout(300)
def test_snakemake_draws_into_a_folder_named_on_its_command_line(tmp_path: Path):
    name = 'O\'Brien & Söhne (1) [a] 漢字 $HOME;*? 100% "x" #2 -y'
    project = tmp_path / name
    project.mkdir()
    new_project(project)
    report = Report(project / "workflow/reports/mini.yaml", "demo")
    runs = [run for cell in report.all_cells("base") + report.all_cells("rates") for run in cell.runs]
    write_results(report, project / name / "demo/runs", runs)
    for run in runs:
        for stamp in ("trained.json", "evaluated.json"):
            (project / name / "demo/runs" / run / stamp).write_text("{}")
    target = f"{name}/demo/figures/mini/curves.png"
    words = [
        "-m",
        "snakemake",
        "--cores",
        "1",
        target,
        "--config",
        "scale=demo",
        "train=no",
        f"results={name}",
    ]
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / target).read_bytes().startswith(b"\x89PNG")
    assert not list(project.rglob("x")), "nothing in the name was run"
    assert as_written([], [words[-1]]) == [{"results": name}]
    assert sorted(path.name for path in project.iterdir() if not path.name.startswith(".")) == sorted(
        ["Snakefile", "config.yaml", "envs", name, "src", "workflow"]
    )
