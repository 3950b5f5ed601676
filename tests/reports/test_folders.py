"""A report as a folder of files: one report as if in one file, and errors that name the file and its line."""

import copy

import pytest
import yaml
from test_report import BASE

from mini import located
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.report import Report, report_files

FIGURES = [
    {
        "repeat": [{"n": "base"}, {"n": "fast"}],
        "id": "f_{n}",
        "kind": "curves",
        "caption": "c",
        "metric": "loss",
        "splits": ["train"],
        "series": "{n}",
    },
]
PARTS = {
    "experiments": {"experiments": {"base": {}, "fast": {"set": {"optimizer.lr": 0.1}}}},
    "figures": {"figures": FIGURES},
    "head": {key: BASE[key] for key in ("title", "models", "defaults")},
    "statements": {"statements": [{"claim": "c", "holds": "accuracy(fast) > accuracy(base)"}]},
}


def write(folder, **changes):
    """The folder `mini`; `changes`: name of a file → its content in place of what it had (None: no file)."""
    report = folder / "mini"
    report.mkdir(parents=True)
    for name, content in {**copy.deepcopy(PARTS), **changes}.items():
        if content is not None:
            text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
            (report / f"{name}.yaml").write_text(text)
    return report


def hide(folder):
    """What editors and systems leave in a folder: locks, copies, attributes."""
    (folder / ".#mini.yaml").symlink_to("someone@somewhere.1234")
    (folder / "._mini.yaml").write_bytes(b"\x00\x05\x16\x07")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/mini-checkpoint.yaml").write_text("a: [")


def refusal(folder):
    with pytest.raises(RepriseError) as error:
        Report(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_is_one_report(tmp_path):
    split = Report(write(tmp_path / "split"))
    (tmp_path / "mini.yaml").write_text(
        yaml.safe_dump({key: value for part in PARTS.values() for key, value in part.items()})
    )
    whole = Report(tmp_path / "mini.yaml")
    assert split.slug == whole.slug == "mini"
    assert list(split.runs()) == list(whole.runs())
    assert len(split.runs()) == 6
    for section in ("figures", "tables", "statements"):
        assert getattr(split, section) == getattr(whole, section)


def test_other_files_in_the_folder_are_none_of_the_report(tmp_path):
    report = write(tmp_path)
    (report / "notes.txt").write_text("not: [YAML")
    (report / "more").mkdir()
    (report / "more" / "x.json").write_text("nonsense: 1")
    stamp = Report(report).stamp
    hide(report)
    assert Report(report).runs()
    assert Report(report).stamp == stamp


def test_a_change_of_any_file_is_a_change_of_the_report(tmp_path):
    report = write(tmp_path)
    stamps = {Report(report).stamp}
    for name in PARTS:
        with (report / f"{name}.yaml").open("a") as file:
            file.write("# more\n")
        stamps.add(Report(report).stamp)
    assert len(stamps) == 5


@pytest.mark.parametrize(
    ("name", "content", "place", "message"),
    [
        (
            "statements",
            "\n\nstatements:\n- {claim: c, hold: x}\n",
            "- {claim",
            "statements.c.hold: unknown key",
        ),
        (
            "statements",
            "# no\nstatement: []\n",
            "statement:",
            "statement: unknown key; did you mean statements?",
        ),
        ("statements", "# no\nmore: 1\n", "more: 1", "more: unknown key"),
        (
            "statements",
            "follows: {}\nfollows: {} # again\n",
            "# again",
            "key 'follows' stands twice, on line 1 too; keep one of them",
        ),
        (
            "statements",
            "# once\ntitle: Again\n",
            "title: Again",
            "title: stands in head.yaml too; keep one of them",
        ),
        (
            "statements",
            "statements:\n- {claim: c, holds: accuracy(fats) > 0}\n",
            "- {claim",
            "statements.c.holds: 'accuracy(fats) > 0': column 10: selector 'fats': no experiment fats; did",
        ),
        (
            "figures",
            {"figures": [*FIGURES, {**FIGURES[0], "id": "g_{n}", "splits": ["trian"]}]},
            "- trian",
            "figures.g_base.splits[0]: 'trian' is not valid; did you mean train?",
        ),
        (
            "experiments",
            {"experiments": {"base": {}, "fast": {"set": {"optimizer.rl": 0.1}}}},
            "optimizer.rl:",
            "experiments.fast.set.optimizer.rl: unknown key for adam",
        ),
        (
            "experiments",
            {"experiments": {"base": {}, "fast": {"bsae": "base"}}},
            "bsae:",
            "experiments.fast.bsae: unknown key; did you mean base?",
        ),
        (
            "head",
            {**PARTS["head"], "slug": "maxi"},
            "slug: maxi",
            "slug: maxi is not the folder's name, which is mini; call the folder maxi, or leave slug out",
        ),
        ("head", {**PARTS["head"], "models": {}}, "model: net", "defaults"),
    ],
)
def test_errors_name_the_right_file_and_line(tmp_path, name, content, place, message):
    report = write(tmp_path, **{name: content})
    said = refusal(report)
    if message == "defaults":  # found in the experiments that use it
        assert said.startswith(f"{located(report / 'head.yaml', place)}defaults.model: no model net")
        return
    start = located(report / f"{name}.yaml", place)
    assert said.startswith(f"{start}{message}"), said


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "text\n", "null\n"])
def test_each_file_is_a_mapping(tmp_path, content):
    report = write(tmp_path, statements=content)
    said = "top level: no mapping from keys to values"
    if content in ("", "null\n"):
        said = "the file is empty; write title:, defaults: and experiments:"
    assert refusal(report).startswith(f"{report / 'statements.yaml'}:1: {said}")


def test_what_is_missing_is_missing_in_the_folder(tmp_path):
    report = write(tmp_path, head=None)
    with pytest.raises(RepriseError) as error:
        Report(report)
    first = report / "experiments.yaml"
    assert str(error.value).splitlines() == [
        f"{first}:1: top level: key {key} is missing (found: experiments, figures, statements)"
        for key in ("title", "defaults")
    ]


def test_an_empty_folder_is_no_report(tmp_path):
    (tmp_path / "mini").mkdir()
    assert (
        refusal(tmp_path / "mini") == f"{tmp_path / 'mini'}: no report files (*.yaml) in this folder; add one"
    )


def test_reports_are_files_and_folders(tmp_path):
    write(tmp_path)
    (tmp_path / "alpha.yaml").write_text("title: A")
    (tmp_path / "empty").mkdir()
    (tmp_path / "zeta.yaml").write_text("title: Z")
    (tmp_path / "notes.md").write_text("#")
    found = report_files(tmp_path)
    assert list(found) == ["alpha", "mini", "zeta"]
    hide(tmp_path)
    hide(tmp_path / "empty")
    assert report_files(tmp_path) == found
    assert found["mini"] == tmp_path / "mini"
    assert found["zeta"] == tmp_path / "zeta.yaml"
    assert report_files(tmp_path / "empty") == {}


def test_a_file_and_a_folder_of_the_same_slug_are_refused(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "mini.yaml").write_text("title: A")
    with pytest.raises(RepriseError) as error:
        report_files(tmp_path)
    said = f"{tmp_path / 'mini'}: mini.yaml beside it is the same report; keep one of them"
    assert str(error.value) == said
    with pytest.raises(SystemExit) as exit_:
        main(["runs", "mini", "--reports", str(tmp_path)])
    assert exit_.value.code == 1
    assert capsys.readouterr().err == f"reprise: {said}\n"


def test_the_verbs_take_a_folder(tmp_path, capsys):
    report = write(tmp_path)
    main(["runs", "mini", "--reports", str(tmp_path)])
    assert capsys.readouterr().out.count("\n") == 6
    main(["check", str(report)])
    assert f"{report}: full: 6 runs, 2 figures, 0 tables, 1 statements" in capsys.readouterr().out
    (report / "statements.yaml").write_text("statements:\n- {claim: c, holds: acuracy(base) > 0}\n")
    with pytest.raises(SystemExit):
        main(["check", str(report)])
    start = located(report / "statements.yaml", "claim")
    assert capsys.readouterr().err.startswith(
        f"reprise: {start}statements.c.holds: 'acuracy(base) > 0': column 1: "
    )
