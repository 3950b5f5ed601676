"""Values as people write them into config.yaml, and as Snakemake's `--config` hands them over."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config

from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.layout import DEMO_IMAGES
from reprise.workflow.config import Config, as_written, check_remote_paths, read_config

TYPED = [
    "my results", "my results (1)", "O'Brien", "R&D", "ü 漢字", "a [b]", "$HOME", "$(touch x)", "a;b", "*",
    "%d", "a #1", "&a b", "!x y", "a: b", "x:", "[1]", "- x", "-x", "@x", "|x", "a\\b", "a\nb", "2026",
    "2026-11-29", "2025_11_29", "007", "1e3", "1.50", "0x10", "12:30", "nan", "inf", "True", "yes",
    "1,000", "_", "Gauss'", "'t Hooft", 'the "best"',
]  # fmt: skip
"""Names of folders that Snakemake's own reading of `--config` makes something else of, or might."""


def of_command_line(*words: str) -> Config:
    """What `snakemake --config <words>` is read as."""
    return read_config(parse_config(words), as_written([], ["snakemake", "--config", *words]))


def of_file(folder: Path, text: str) -> Config:
    """What a config.yaml of this text is read as."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return read_config(yaml.safe_load(text), as_written([file], []))


def refusal(read: Any, *arguments: Any) -> str:
    with pytest.raises(RepriseError) as error:
        read(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("key", ["results", "data"])
def test_a_folder_has_the_name_that_was_typed(key: str, name: str):
    assert getattr(of_command_line(f"{key}={name}"), key) == name


@pytest.mark.parametrize("name", ["mini a", "2026", "2025_11_29", "1.50", "007", "yes", "a #1", "a: b", "x:"])
@pytest.mark.parametrize("key", ["reports", "skip", "stand_in", "mirror", "cache"])
def test_so_has_a_list_of_one(key: str, name: str):
    assert getattr(of_command_line(f"{key}={name}"), key) == [name]


@pytest.mark.parametrize("quoted", ["'2026'", '"2026"', "'a #1'", '"yes"'])
def test_quotes_of_yaml_are_no_part_of_a_name(quoted: str):
    assert of_command_line(f"results={quoted}").results == quoted[1:-1]


@pytest.mark.parametrize(
    "name",
    [
        "2026",
        "2026-11-29",
        "2026-11-29 03:04:05",
        "2025_11_29",
        "1.50",
        "010",
        "12:30",
        "yes",
        "Off",
        "1e3",
        ".5",
    ],
)
def test_a_name_in_a_file_is_what_stands_there(tmp_path: Path, name: str):
    config = of_file(
        tmp_path, f"results: {name}\ndata: {name} # our own\nmirror: [{name}, b]\nreports: {name}\n"
    )
    assert (config.results, config.data, config.mirror) == (name, name, [name, "b"])
    assert config.reports == [name]


def test_of_several_files_and_the_command_line_the_value_counts_that_snakemake_took(tmp_path: Path):
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    files[0].write_text("results: 1.10\n")
    files[1].write_text("results: 1.1\n")
    assert read_config({"results": 1.1}, as_written(files, [])).results == "1.10"
    assert read_config({"results": 2.1}, as_written(files, ["results=2.10"])).results == "2.10"
    assert read_config({"results": "x"}, as_written(files, ["results=2.10"])).results == "x"


@pytest.mark.parametrize("value", [True, 1.5, float("nan"), {"a": 1}, b"x", [1]])
def test_what_no_source_explains_is_refused_with_the_remedy(value: Any):
    assert f"results: {value!r}: " in refusal(read_config, {"results": value})
    if not isinstance(value, dict | bytes | list):
        assert "put it in quotes" in refusal(read_config, {"results": value})


@pytest.mark.parametrize("key", list(Config.model_fields))
@pytest.mark.parametrize("form", ["{}:", "{}: null", "{}: ''", "{}: ~", "{}: # none yet"])
def test_a_key_without_a_value_has_its_default(tmp_path: Path, key: str, form: str):
    assert of_file(tmp_path, form.format(key)) == Config()
    assert of_command_line(f"{key}=") == Config()


@pytest.mark.parametrize("word", ["none", "None", "null", "NULL"])
@pytest.mark.parametrize("key", ["skip", "stand_in", "mirror", "cache", "results", "data", "synthetic"])
def test_none_and_null_are_no_names(key: str, word: str):
    assert of_command_line(f"{key}={word}") == Config()


@pytest.mark.parametrize("text", ["cash:", "mirrors: null", "scal: ''"])
def test_an_unknown_key_is_one_with_and_without_a_value(tmp_path: Path, text: str):
    with pytest.raises(RepriseError, match=r"unknown key; did you mean"):
        of_file(tmp_path, f"{text}\n")


def test_none_is_no_answer_where_it_could_mean_two_things():
    assert "train: 'none': neither yes nor no" in refusal(of_command_line, "train=none")
    assert of_command_line("reports=none").reports == ["none"], "which is no report, and not all of them"
    assert "threads: 'none': not a whole number" in refusal(of_command_line, "threads=none")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("train=no", False), ("train=No", False), ("train=off", False), ("train=0", False),
        ("train=False", False), ("train='no'", False), ("train=yes", True), ("train=ON", True),
        ("train=1", True), ("train=true", True),
        ("threads=2", 2), ("threads='2'", 2), ("threads=2.0", 2), ("threads=1e1", 10),
        ("shard=1e6", 1_000_000), ("shard=1_000", 1000), ("shard='500'", 500), ("shard=report", "report"),
        ("mirror=[a, b]", ["a", "b"]), ("mirror=[]", []),
        ("mirror=['a b', 'http://x/y']", ["a b", "http://x/y"]),
        ("skip=[mini/a, mini/b]", ["mini/a", "mini/b"]),
    ],
)  # fmt: skip
def test_numbers_truths_and_lists_that_come_as_text(word: str, meant: Any):
    assert getattr(of_command_line(word), word.partition("=")[0]) == meant


def test_a_mapping_that_comes_as_text():
    synthetic = of_command_line("synthetic={train: 100}").synthetic
    assert synthetic.model_dump() == {**DEMO_IMAGES, "train": 100}


@pytest.mark.parametrize(
    "word",
    ["train=maybe", "train=2", "threads=four", "threads=2.5", "threads=True", "threads=0", "shard=some",
     "shard=-1", "device=gpu", "device=0", "scale=1", "synthetic=5", "synthetic={train: x}", "mirror=[[a]]",
     "cache={a: b}", "mirror={a: b}", "skip={mlp: b}", "reports={b}", "stand_in={a: {b: c}}",
     "cache=[{a: b}]"],
)  # fmt: skip
def test_what_cannot_be_meant_names_the_key_and_the_value(word: str):
    key, _, value = word.partition("=")
    line = refusal(of_command_line, word)
    assert line.startswith(f"config.yaml or --config: {key}")
    assert value.strip("{[]}").rpartition(" ")[2] in line


# ---- home folders ----


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("key", ["results", "data", "mirror", "cache"])
@pytest.mark.parametrize("rest", ["", "/", "/a b", "/../x"])
def test_a_tilde_is_the_home_folder_in_the_configuration(home: Path, key: str, rest: str):
    found = getattr(of_command_line(f"{key}=~{rest}"), key)
    assert found in (str(Path(f"{home}{rest}")), [str(Path(f"{home}{rest}"))])


@pytest.mark.parametrize("place", ["http://x/~me/a", "file:///~x", "./~x", "a~", "a/~", "$HOME/~"])
def test_a_tilde_elsewhere_is_a_letter(place: str):
    assert of_command_line(f"mirror={place}").mirror == [place]


def test_a_tilde_with_a_name_is_that_users_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/elsewhere")
    assert of_command_line("results=~root/a").results == str(Path("~root/a").expanduser())
    assert "no such home folder" in refusal(of_command_line, "results=~nobody-of-this-name/a")


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_home_that_is_none_makes_no_folder_elsewhere(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv("HOME", value)
    assert "no such home folder; write the path out" in refusal(of_command_line, "results=~/a")


def done(words: list[str]) -> int:
    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "~/r/none.yaml"], "no report {home}/r/none.yaml"),
        (["runs", "x", "--reports=~/r"], "no report x in {home}/r"),
        (["check", "~/a.yaml"], "{home}/a.yaml: cannot be read"),
        (["data", "decode", "cifar10", "--results=~/r"], "{home}/r/data/archives/"),
        (["data", "decode", "cifar10", "--data=~"], "{home}/archives/"),
        (["data", "add", "~/x.tar.gz"], "{home}/x.tar.gz: no such file"),
        (["data", "fetch", "cifar10", "--data=~/d", "--mirror", "~/m1", "~/m2"], "{home}/m2: no such file"),
        (["import", "~/exported"], "{home}/exported: no such folder"),
        (["export", "0123456789ab", "~/out", "--results=~/r"], "0123456789ab"),
        (["summary", "mini", "--write", "~/page.md", "--reports=~/r"], "no report mini in {home}/r"),
        (["publish", "0123456789ab", "~/cache", "--results=~/r"], "0123456789ab"),
    ],
)
def test_a_tilde_in_any_path_of_the_command_line(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reprise.data.catalog.DatasetFacts.urls", (), raising=False)
    assert done(words) == 1
    assert said.format(home=home) in capsys.readouterr().err
    assert not (tmp_path / "~").exists()


def test_the_environment_may_name_home_folders(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRISE_CACHE", "~/'my runs' ~nobody-of-this-name")
    assert done(["plan"]) == 2
    assert "'~nobody-of-this-name': no such home folder" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--results="], ["--results", ""], ["--data="], ["--reports="]])
def test_an_option_that_a_shells_empty_variable_left_empty_has_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
):
    monkeypatch.chdir(tmp_path)
    verb = ["runs", "x"] if options == ["--reports="] else ["data", "decode", "cifar10"]
    assert done([*verb, *options]) == 1
    line = capsys.readouterr().err
    assert ("in workflow/reports" if verb[0] == "runs" else "results/data/archives/") in line


@pytest.mark.parametrize("device", ["gpu", "CUDA", "0", "cuda:x", ""])
def test_a_device_is_read_as_in_the_configuration(capsys: pytest.CaptureFixture[str], device: str):
    assert done(["train", "x", f"--device={device}"]) == 2
    line = capsys.readouterr().err
    reason = "not valid; valid: auto, cpu, cuda, cuda:1 (the second GPU), …"
    assert line == f"reprise: train: --device: {device!r}: {reason}\n"
    if device:
        assert reason in refusal(read_config, {"device": device})


@pytest.mark.parametrize(
    ("word", "handed"), [("results=007", "7"), ("data=1.50", "1.5"), ("results=a,1.0e1", None)]
)
def test_a_cluster_is_told_no_other_name(word: str, handed: str | None):
    config, overrides = of_command_line(word), parse_config([word])
    if handed is None:
        return check_remote_paths(config, Path("/a"), overrides)
    line = refusal(check_remote_paths, config, Path("/a"), overrides)
    assert f"would pass it to a cluster's jobs as {handed}; write it into config.yaml" in line
    return None
