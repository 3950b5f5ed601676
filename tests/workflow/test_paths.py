"""Folders and settings with names that a shell, Snakemake or a format string could take for something
else.
"""

import json
import os
import re
import sys
from hashlib import md5
from pathlib import Path

import pytest
from project import ROOT, Project, made_once, make, new_project, run, snakemake

from reprise.data.catalog import OWN_DATASETS
from reprise.errors import RepriseError
from reprise.reports.layout import Layout
from reprise.workflow.config import Config, check_checkout, check_folders, read_config
from reprise.workflow.programme import Programme

NASTY = "-a b'c\"d$(touch x)e`touch x`f;touch x;g&touch x&h|i>x #*?[j-k]%s%(l)s!m~n\\o,ünï\nq\t\x1b[31mr"
"""What one name of a folder can hold, but for the characters that are refused."""

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]


def executed(folder: Path) -> list[Path]:
    """Files `x` that a command in the name of a folder would have made."""
    return [*folder.rglob("x"), *Path.cwd().glob("x")]


def files(project: Project) -> set[Path]:
    """What was made, without locks, Snakemake's own notes and compiled modules."""
    found = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    return {
        path
        for path in found
        if not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    }


def test_a_whole_report_in_folders_with_nasty_names(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    plain = made_once(tmp_path_factory, "finished", lambda folder: make(new_project(folder)))
    project = tmp_path / NASTY / NASTY
    project.mkdir(parents=True)
    new_project(project)
    config = project / "config.yaml"
    config.write_text(
        re.sub(
            "^results: .*", lambda _: f"results: {json.dumps(NASTY)}", config.read_text(), flags=re.MULTILINE
        )
    )
    settings = ["shard=report"]  # fewer jobs, of the same results
    make(project, settings=settings)
    assert executed(tmp_path) == []
    results, expected = project / NASTY / "demo", plain / "results/demo"
    made, wanted = (
        {path for path in files(folder) if path.parts[0] not in ("logs", "benchmarks")}
        for folder in (results, expected)
    )
    assert made == wanted
    assert len(list((results / "logs").iterdir())) == len(list((results / "benchmarks").iterdir())) > 10
    assert len(list(results.glob("runs/*/evaluated.json"))) == 4
    for name in ("statements/mini.csv", "statements/mini.md", "tables/mini/networks.tex"):
        assert (results / name).read_bytes() == (expected / name).read_bytes()
    done = snakemake(project, "-n", settings=settings)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_archives_come_from_a_mirror_and_go_to_a_folder_with_nasty_names(tmp_path: Path):
    (tmp_path / "project").mkdir()
    project, facts = new_project(tmp_path / "project"), OWN_DATASETS["cifar10"]
    nasty = NASTY.partition(" #")[0]  # from where Snakemake's command line takes it for a comment
    mirror, data = tmp_path / f"{NASTY}{{x}}", tmp_path / nasty
    mirror.mkdir()
    (mirror / facts.file_name).write_bytes(b"archive")
    catalog = project / "src/reprise/data/catalog.py"
    catalog.write_text(catalog.read_text().replace(facts.md5, md5(b"archive").hexdigest()))
    settings = ["scale=quick", f"data={data}", f"mirror=[{json.dumps(str(mirror))}]"]
    done = run(
        project,
        [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "1",
            f"{data}/archives/cifar10.json",
            "--config",
            *settings,
        ],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (data / "archives" / facts.file_name).read_bytes() == b"archive"
    assert executed(tmp_path) == []


@pytest.mark.parametrize(
    ("folder", "settings", "message"),
    [
        ("a{x}b", [], "braces in a path"),
        (
            "a",
            ["results=b{x}c"],
            "results: 'b{x}c': Snakemake takes braces in a path for wildcards; use a folder whose path has "
            "none",
        ),
        (
            "a:b",
            [],
            "the folder of the Snakefile: '.*/a:b': jobs cannot search a path that holds ':'; move it",
        ),
    ],
)
def test_what_snakemake_cannot_do_is_one_line_and_makes_nothing(
    tmp_path: Path, folder: str, settings: list[str], message: str
):
    project = tmp_path / folder
    project.mkdir()
    new_project(project)
    before = files(project)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "scale=demo", *settings]
    done = run(project, command, ROOT / "src")
    assert done.returncode != 0
    assert re.search(message, done.stdout + done.stderr), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert files(project) == before


@pytest.mark.parametrize(
    ("settings", "checkout", "message"),
    [
        ({"results": "a{b"}, "/a", "results: 'a{b': Snakemake takes braces"),
        ({"results": "a}b"}, "/a", "results: 'a}b': Snakemake takes braces"),
        ({"data": "{dataset}"}, "/a", "data: '{dataset}': Snakemake takes braces"),
        ({}, "/{a}", "the folder of the Snakefile: '/{a}': Snakemake takes braces"),
        ({"results": "s3://bucket/a"}, "/a", "results: 's3://bucket/a': a URL; give a folder"),
        ({"data": "file:///a"}, "/a", "data: 'file:///a': a URL; give a folder"),
        ({"results": "."}, "/a", "results: '.': results need a folder of their own"),
        ({"results": "./"}, "/a", "results: './': results need a folder of their own"),
        ({"results": os.fsdecode(b"a\xffb")}, "/a", r"results: 'a\\udcffb': the name is not UTF-8"),
        ({}, os.fsdecode(b"/\xfc"), r"the folder of the Snakefile: '/\\udcfc': the name is not UTF-8"),
        ({"mirror": "\ud800"}, "/a", r"mirror[0]: '\\ud800': not a name that a file can have"),
        ({"results": "~nobody-of-this-name/a"}, "/a", "no such home folder"),
        ({}, "/a:b", "the folder of the Snakefile: '/a:b': jobs cannot search"),
    ],
)
def test_paths_that_are_refused(settings: dict[str, str], checkout: str, message: str):
    def check() -> None:
        read_config(settings)
        check_checkout(Path(checkout))

    with pytest.raises(RepriseError, match=re.escape(message).replace(r"\\\\", r"\\")):
        check()


@pytest.mark.parametrize(
    ("results", "data", "scale", "message"),
    [
        ("file", None, "full", "results: 'file' is a file; name a folder"),
        ("file/a/b", None, "demo", "results: 'file' is a file"),
        ("outputs", None, "demo", "results: 'outputs/demo' is a file"),
        ("/dev/null", None, "quick", "results: '/dev/null' is a file"),
        ("gone", None, "full", "results: 'gone' is a link that leads to no folder"),
        ("linked", None, "full", "results: 'linked' is a link that leads to no folder"),
        ("results", "file", "full", "data: 'file' is a file"),
        ("results", "gone/a", "quick", "data: 'gone' is a link that leads to no folder"),
        ("taken", None, "full", "data: 'taken/data' is a file"),
    ],
)
def test_files_where_folders_should_be(results, data, scale, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, file in (("outputs", "demo"), ("taken", "data"), (".", "file")):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, file).touch()
    Path("gone").symlink_to("nowhere")
    Path("linked").symlink_to("file")
    with pytest.raises(RepriseError, match=re.escape(message)):
        check_folders(Layout(Path(results), scale, data and Path(data)))


@pytest.mark.parametrize("results", ["new", "new/a/b", "there", "there/../new", "linked", "/", "linked/new"])
def test_folders_that_are_there_or_can_be_made(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("linked").symlink_to("there")
    check_folders(Layout(Path(results), "demo"))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["linked", "there"]


def test_the_home_folder_is_where_snakemake_looks_for_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = read_config({"results": "~/a", "data": "~"})
    assert (config.results, config.data) == ("/home/me/a", "/home/me")
    check_checkout(Path(f"/{NASTY}"))
    mirror = os.fsdecode(b"/\xfc")
    config = read_config({"results": NASTY, "data": f"/{NASTY}", "mirror": mirror})
    assert (config.results, config.data, config.mirror) == (NASTY, f"/{NASTY}", [mirror])


@pytest.mark.parametrize("key", ["reports", "skip", "stand_in"])
@pytest.mark.parametrize(
    "name", ["$(touch x)", "-x", "../../etc/passwd", "mini/$(touch x)", "a\nb", "{x}", ""]
)
def test_names_in_the_configuration_are_those_of_what_is_there(key: str, name: str):
    with pytest.raises(RepriseError):
        Programme(Config(scale="demo", **{key: [name]}), ROOT / "workflow/reports")


def test_everything_that_reaches_a_shell_is_quoted():
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        text = file.read_text()
        commands = [
            "".join(re.findall('"(.*)"', lines)) for lines in re.findall(r'shell:\n((?: +".*"\n)+)', text)
        ]
        assert len(commands) == text.count("shell:")
        for command in commands:
            assert set(re.findall(r"{[^}]*}", re.sub(r"{[^}]*:q}", "", command))) <= {"{threads}"}, command
            assert command.endswith(" 2>&1 | tee -i -- {log:q}"), command


SBATCH = f"""#!{sys.executable}
import json, pathlib, sys
name = pathlib.Path(sys.argv[0]).name
if name == "scontrol":
    print("MinJobAge = 300 sec")
elif name == "sbatch":
    print(json.dumps([sys.argv[1:], sys.stdin.read()]), file=open("../calls", "a"))
    sys.exit("refused")
"""
"""SLURM's commands as its plugin needs them: every submission is noted and none taken."""


@pytest.mark.parametrize("name", ["$(touch x)", "it's"])
def test_a_cluster_gets_no_command_that_is_not_quoted(tmp_path: Path, name: str):
    project, programs = tmp_path / name, tmp_path / "bin"
    project.mkdir()
    programs.mkdir()
    new_project(project)
    for program in ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "sacct", "sacctmgr"):
        (programs / program).write_text(SBATCH)
        (programs / program).chmod(0o755)
    before = files(project)
    options = ["--workflow-profile", "workflow/profiles/slurm", "--config", "scale=demo"]
    command = [
        "env",
        f"PATH={programs}:{os.environ['PATH']}",
        sys.executable,
        "-m",
        "snakemake",
        "results/demo/statements/all",
        *options,
    ]
    done = run(project, command)
    assert done.returncode != 0
    assert executed(tmp_path) == []
    assert files(project) == before
    assert not (tmp_path / "calls").exists()
    output = done.stdout + done.stderr
    assert re.search(
        r"the folder of the Snakefile: .* cannot go to a cluster's jobs; rename the folder", output
    ), output
