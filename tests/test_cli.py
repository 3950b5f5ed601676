"""The command line: one line and exit status 1 for a user's mistake, no traceback, no torch where none is needed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reprise.cli import main

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
        (["runs", "cifar100_superclas"], "no report cifar100_superclas in .*; did you mean cifar100_superclass?"),
        (["check", "absent.yaml"], "absent.yaml: cannot be read"),
        (["figure", "cifar100_superclass", "figure_3"], "figures has no figure_3; did you mean figure_"),
        (["table", "cifar100_superclass", "architecture"], "tables has no architecture; did you mean architectures?"),
        (["train", "cifar100_superclass", "--only", "adm"], "no experiment adm; did you mean adam?"),
        (["train", "cifar100_superclass", "--runs", "0123456789ab"], "no run 0123456789ab at scale full; list them with"),
        (["train", "cifar100_superclass", "--only", "adam"], "fetch"),
        (["evaluate", "cifar100_superclass", "--only", "adam"], "train it first|fetch"),
        (["runs", "cifar100_superclass", "--skip", "adm"], "no experiment adm; did you mean adam?"),
        (["data", "fetch", "cifar1000", "--mirror", "/nowhere"], "cifar1000.*did you mean cifar100?"),
        (["data", "decode", "cifar100"], "not found; make it first"),
        (["data", "add", "/nowhere.tar.gz"], "no such file"),
        (["export", "0123456789ab", "out"], "0123456789ab: no result"),
        (["import", "/nowhere"], "holds no runs"),
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


def test_check_knows_every_report(capsys):
    main(["check", *map(str, sorted((ROOT / "workflow/reports").glob("*.yaml")))])
    assert "cifar100_superclass.yaml: full: 38 runs, 16 figures, 4 tables, 30 statements" in capsys.readouterr().out


def test_light_verbs_never_import_torch():
    code = (
        "import sys; from reprise.cli import main; "
        f"main(['runs', 'cifar100_superclass', '--reports', {str(ROOT / 'workflow/reports')!r}]); "
        f"main(['check', {str(ROOT / 'workflow/reports/cifar100_superclass.yaml')!r}]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
