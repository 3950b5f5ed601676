"""`reprise new`: a report file that is good as it is, and never in the place of another."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from reprise.checking import check_report
from reprise.cli import main
from reprise.cli.new import SCAFFOLD
from reprise.cli.reports import SCHEMA
from reprise.reports.layout import SCALES
from reprise.reports.report import FOLDERS, RULES, Report


def made(capsys, *words):
    """What the command prints."""
    main(["new", *words])
    return capsys.readouterr().out


def refused(capsys, *words):
    """The one line of a command that is refused."""
    with pytest.raises(SystemExit) as end:
        main(["new", *words])
    assert end.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.removeprefix("reprise: ")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_green_at_every_scale(capsys):
    made(capsys, "mine", "--reports", "mine")
    for scale in SCALES:
        report = Report("mine/mine.yaml", scale)
        assert check_report(report) == [], "no warning either"
        assert all((report.figures, report.tables, report.statements))
    assert len(report.runs()) == 2
    assert all(run.settings.training.epochs <= 2 for run in report.runs().values()), "a demo takes a minute"


def test_it_is_short_and_says_what_is_what():
    lines = [line for line in SCAFFOLD.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert 20 <= len(lines) <= 32
    assert SCAFFOLD.count("# ") >= 15
    assert max(map(len, SCAFFOLD.splitlines())) <= 110


@pytest.mark.parametrize(
    "slug", ["mine", "a", "1e5", "true", "null", "2024-03", "a.b+c-d_e", "0x10", "x" * 100]
)
def test_names_that_yaml_would_take_for_something_else(capsys, slug):
    made(capsys, slug, "--reports", "r")
    text = Path(f"r/{slug}.yaml").read_text()
    assert yaml.safe_load(text)["title"] == slug
    assert "SLUG" not in text
    assert Report(f"r/{slug}.yaml").slug == slug


def test_where_report_files_live(capsys):
    assert refused(capsys, "mine").startswith("workflow/reports: no such folder; ")
    Path("workflow/reports").mkdir(parents=True)
    SCHEMA.parent.mkdir()
    SCHEMA.write_text("{}")
    assert "workflow/reports/mine.yaml: " in made(capsys, "mine")
    first = Path("workflow/reports/mine.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/report.schema.json", "as in the other files"


@pytest.mark.parametrize("folder", ["deep/er", "with a space", "-x", "../beside"])
def test_a_folder_that_is_given(capsys, here, folder):
    (here / "project").mkdir()
    SCHEMA.parent.mkdir(parents=True)
    SCHEMA.write_text("{}")
    printed = made(capsys, "mine", f"--reports={folder}")
    file = Path(folder) / "mine.yaml"
    schema = re.search(r"\$schema=(.+)", file.read_text())[1]
    assert (file.parent / schema).samefile(SCHEMA)
    check, run = (shlex.split(line) for line in printed.splitlines()[1:])
    assert check[:4] == ["python", "-m", "reprise", "check"]
    assert run[:5] == ["python", "-m", "reprise", "run", "mine"]
    main(["runs", "mine", *run[5:]])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_first_printed_command_works_as_it_stands(capsys):
    printed = made(capsys, "mine", "--reports", "a folder")
    main(shlex.split(printed.splitlines()[1])[3:])
    assert "demo: 2 runs" in capsys.readouterr().out


TAKEN = {
    "file": ("mine.yaml", lambda path: path.write_text("title: Precious")),
    "yml": ("mine.yml", lambda path: path.write_text("title: Precious")),
    "other case": ("Mine.yaml", lambda path: path.write_text("title: Precious")),
    "folder": ("mine/one.yaml", lambda path: path.write_text("title: Precious")),
    "link": ("mine.yaml", lambda path: path.symlink_to("other.yaml")),
    "empty": ("mine.yaml", lambda path: path.write_text("")),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_there_is_not_touched(capsys, name):
    file, make = TAKEN[name]
    path = Path("r") / file
    path.parent.mkdir(parents=True)
    make(path)
    before = {each: each.read_bytes() if each.exists() else None for each in Path("r").rglob("*")
              if not each.is_dir()}  # fmt: skip
    said = refused(capsys, "mine", "--reports", "r")
    assert re.search(r"is there already; choose another name, or delete it first", said)
    assert before == {each: each.read_bytes() if each.exists() else None for each in Path("r").rglob("*")
                      if not each.is_dir()}  # fmt: skip


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("", "not a name for a report: use letters, digits"),
        ("a b", "not a name for a report: use letters, digits"),
        ("../x", "not a name for a report: .*name another folder with --reports"),
        ("workflow/reports/x", "not a name for a report: .*name another folder with --reports"),
        ("/tmp/x", "not a name for a report"),
        (".hidden", "not a name for a report"),
        ("_x", "not a name for a report"),
        ("größe", "not a name for a report"),
        ("x" * 101, "at most 100"),
        ("a\nb", r"'a\\nb' is not a name"),
        ("a{b}", "not a name for a report"),
        ("x.yaml", "give the report's name without folder and ending, such as x"),
        ("r/x.yml", "give the report's name without folder and ending, such as x"),
        *(
            (word, "is a name that the workflow or the site uses")
            for word in ("all", "train", "import_runs", "runs")
        ),
    ],
)
def test_bad_names(capsys, here, slug, message):
    assert re.search(message, refused(capsys, slug, "--reports=r"))
    assert not list(here.iterdir()), "nothing is made"


def test_every_word_of_the_workflow_is_refused(capsys):
    for word in (*RULES, *FOLDERS):
        assert word in refused(capsys, word, "--reports=r")


def test_a_file_where_the_folder_should_be(capsys):
    Path("r").write_text("")
    assert "r" in refused(capsys, "mine", "--reports=r")
    assert Path("r").read_text() == ""
