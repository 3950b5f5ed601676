"""A file, a link to nowhere or a closed folder where a verb takes a folder: one line that names the option,
before any work, and nothing is written.
"""

from pathlib import Path

import pytest
import yaml
from rights import powerless, state

from mini import STUDY, convolution, mini
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.results.cache import Caches, folder_to_add_to
from verbs import OPTIONS

REPORT = mini(
    convolution(),
    {"base": {}, "search": {"set": {"split": {"validation": 0.2}}, "asha": STUDY}},
    tables=[{"id": "networks", "kind": "layers", "caption": "The network.", "networks": ["net"]}],
    figures=[
        {
            "id": "image",
            "kind": "samples",
            "caption": "An image.",
            "images": {"dataset": "cifar10", "captions": ["label"]},
        }
    ],
)
ARGUMENTS = {
    "mini": ("check", "runs", "plan", "run", "next", "train", "evaluate", "statements"),
    "": ("summary", "site", "tensorboard"),
    "mini search": ("study show", "study work"),
    "mini out": ("export", "publish"),
    "cache": ("import", "verify"),
    "mini networks": ("layers", "table"),
    "mini image": ("samples", "figure"),
    "vgg16": ("data fetch-weights",),
    "cinic10": ("data stand-in",),
    "mini archive.zip out.csv --only base": ("submission",),
    "mine": ("new",),
    "cifar10": ("data fetch", "data decode", "data statistics", "data add", "data synthesize"),
}
"""Arguments → the verbs that have them here."""
A_FILE = "'file' is a file; name a folder, or move it away"
NO_FOLDER = "is a link that leads to no folder; name a folder, or move it away"
CLOSED = "closed: Permission denied; check the path and its permissions"
PLACES = {
    "file": A_FILE,
    "./file": A_FILE,
    "file/in/it": A_FILE,
    "nowhere": f"'nowhere' {NO_FOLDER}",
    "nowhere/in": f"'nowhere' {NO_FOLDER}",
    "linked": f"'linked' {NO_FOLDER}",
    "closed/in": CLOSED,
}
TAKING = [
    (verb, option)
    for verb, options in OPTIONS.items()
    for option in ("--results", "--data", "--reports")
    if option in options
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a report and what is in the way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflow/reports").mkdir(parents=True)
    (tmp_path / "workflow/reports/mini.yaml").write_text(yaml.safe_dump(REPORT))
    (tmp_path / "file").write_text("a file")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "linked").symlink_to("file")
    (tmp_path / "closed").mkdir(0)
    with powerless():
        yield tmp_path
    (tmp_path / "closed").chmod(0o755)


def refused(capsys, *words):
    """The line with which a command ends."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(("verb", "option"), TAKING)
def test_one_line_names_the_option(folder, verb, option, capsys):
    (arguments,) = (words for words, verbs in ARGUMENTS.items() if verb in verbs)
    words = [*verb.split(), *arguments.split()]
    before = state(folder)
    for place, problem in PLACES.items():
        assert refused(capsys, *words, f"{option}={place}") == f"reprise: {option}: {problem}\n", place
    assert state(folder) == before


def test_the_folders_of_nobodys_choice(folder, capsys):
    """The default ones, and those of a scale and of data in them."""
    Path("results").touch()
    assert (
        refused(capsys, "runs", "mini")
        == "reprise: --results: 'results' is a file; name a folder, or move it away\n"
    )
    Path("mine").mkdir()
    for name, option, command in (
        ("demo", "--results", ("runs", "mini", "--scale", "demo")),
        ("data", "--data", ("data", "fetch", "cifar10")),
    ):
        (Path("mine") / name).touch()
        said = f"reprise: {option}: 'mine/{name}' is a file; name a folder, or move it away\n"
        assert refused(capsys, *command, "--results", "mine") == said


def test_folders_that_are_not_there_yet(folder, capsys):
    """Nothing is finished in them."""
    main(["runs", "mini", "--results", "new/results"])
    assert capsys.readouterr().out.count("  -        ") == 5
    main(["data", "synthesize", "cifar10", "--results", "new/results", "--train", "10", "--test", "10"])
    assert Path("new/results/demo/data/synthetic/cifar10.json").is_file()


@pytest.mark.parametrize("place", ["file", "file/in", "nowhere", "linked", "closed/in"])
def test_run_caches(folder, place, capsys):
    problem = next(words for name, words in PLACES.items() if name.startswith(place))
    with pytest.raises(RepriseError) as error:
        folder_to_add_to(place)
    assert str(error.value) == f"cache {place!r}: {problem}"
    assert Caches([place], folder).holds(["0" * 12]) == set()
    assert (
        f"cache {place}: cannot be used: {problem}; its runs are trained instead\n" in capsys.readouterr().err
    )
    assert refused(capsys, "import", place).endswith(f"{problem}\n")


def test_a_report_that_is_to_be_exported_is_looked_for(folder, capsys):
    """What is no hash is one."""
    assert refused(capsys, "export", "mimi", "out").endswith(
        "no report mimi in workflow/reports; did you mean mini?\n"
    )
    assert "run 0123456789ab: no result in results/runs" in refused(capsys, "export", "0123456789ab", "out")
    Path("empty").mkdir()
    said = refused(capsys, "publish", "mini", "out", "--reports", "empty")
    assert said == "reprise: no report mini in empty; give the folder of the reports with --reports\n"
