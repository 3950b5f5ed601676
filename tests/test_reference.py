"""The reference pages are those of the code, and nothing to be written or set is without a description."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

from reprise.data.catalog import OWN_DATASETS
from reprise.errors import RepriseError
from reprise.extensions import AUGMENTATIONS, NETWORKS
from reprise.publishing.measures import OWN_METRICS
from reprise.publishing.style import COLORS
from reprise.reports import editor
from reprise.reports.settings import OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS
from reprise.schema import Strict, described
from reprise.workflow.config import Config, read_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("make_reference")
    finally:
        sys.path.remove(str(DOCS))


PAGES = (
    *(f"docs/reference/{name}.md" for name in ("keys", "command-line", "configuration")),
    "config/README.md",
)


@pytest.fixture(scope="module")
def made(reference):
    return reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_that_of_the_code(made, name):
    assert set(made) == set(PAGES)
    assert (ROOT / name).read_text(encoding="utf-8") == made[name], "write it anew: make reference"


# ---- nothing is without a description ----


def test_every_key_of_a_report_file_has_a_description(reference):
    keys = reference.Keys()
    silent = [
        f"{name}.{key}"
        for name, definition in {**keys.definitions, "the file": keys.schema}.items()
        for key, value in definition.get("properties", {}).items()
        if not value.get("description", "").strip()
    ]
    assert not silent, "say below the key what it means"


def test_the_editor_shows_the_descriptions():
    schema = editor.json_schema()
    assert schema["properties"]["framework"]["description"].startswith("Software the authors used")
    shown = schema["$defs"]["FixedSeeds"]["properties"]
    assert {key: bool(value["description"]) for key, value in shown.items()} == dict.fromkeys(
        ("split", "init", "order", "augmentation"), True
    )
    (curves,) = [
        branch["then"]["else"]["properties"]
        for branch in schema["properties"]["figures"]["items"]["allOf"]
        if branch["if"].get("properties", {}).get("kind") == {"const": "curves"}
    ]
    assert "for each of its values" in curves["panels"]["description"]
    assert "alt text" in curves["caption"]["description"], "of the class that it is made from"


class Plant(Strict):
    """A mapping of this module."""

    height: float
    """Metres,
    above ground.
    """
    name: str
    silent: int = 0


class Tree(Plant):
    name: str
    """The species."""
    height: float


def test_a_description_is_the_docstring_below_a_key_or_that_of_the_class_above():
    assert described(Plant) == {"height": "Metres, above ground."}
    assert described(Tree) == {"height": "Metres, above ground.", "name": "The species."}
    shown = Tree.model_json_schema()["properties"]
    assert shown["name"]["description"] == "The species."
    assert "description" not in shown["silent"]


def test_every_verb_and_every_flag_has_a_description(reference):
    found = reference.verbs()
    silent = [verb for verb, (words, _) in found.items() if not words.strip()]
    silent += [
        f"{verb} {option.name}"
        for verb, (_, options) in found.items()
        for option in options
        if not option.help
    ]
    assert not silent
    assert sum(len(options) for _, options in found.values()) > 100


def test_every_setting_and_every_target_of_make_has_a_comment(reference):
    assert [name for name in Config.model_fields if not reference.settings().get(name)] == []
    assert [name for name, words in reference.targets().items() if not words] == []


def test_the_configuration_that_snakedeploy_copies_is_that_of_the_workflow():
    """The catalog asks for config/, snakedeploy copies it; a module is told what is in it."""
    config, own = (
        yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
        for name in ("config/config.yaml", "config.yaml")
    )
    assert read_config(config) == read_config(own)
    assert set(config) == set(Config.model_fields)
    readme = (ROOT / "config/README.md").read_text(encoding="utf-8")
    assert [key for key in config if f"\n- `{key}` (" not in readme] == []


def test_every_variable_of_the_environment_is_on_the_page():
    page = (DOCS / "reference/command-line.md").read_text(encoding="utf-8")
    files = [
        ROOT / "Makefile",
        ROOT / ".ci/run",
        *(file for folder in ("src", "tests", "workflow") for file in (ROOT / folder).rglob("*.*")),
    ]
    used = {
        name
        for file in files
        if file.suffix in ("", ".py", ".smk", ".yaml")
        for name in re.findall(r"\bREPRISE_[A-Z_]+\b", file.read_text(encoding="utf-8"))
    }
    assert {"REPRISE_DEVICE", "REPRISE_SLURM"} <= used
    assert sorted(name for name in used if f"`{name}`" not in page) == []


@pytest.mark.parametrize(
    "names",
    [NETWORKS, AUGMENTATIONS, OWN_DATASETS, OWN_METRICS, COLORS, OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS],
    ids=["networks", "augmentations", "data sets", "metrics", "colours", "optimizers", "schedules"],
)
def test_the_names_that_may_be_written_are_on_the_page(names):
    page = (DOCS / "reference/keys.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []


# ---- how things are put ----


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 100_000}, "whole number from 1 to 100,000"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0 and below 1"),
        ({"type": "number", "minimum": -1e12, "maximum": 1e12}, "number"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number from 0 and below 1"),
        ({"type": "boolean"}, "true or false"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "array", "items": {"type": "string"}}, "list of texts"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, "list of 2 numbers"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "mapping from name to whole number",
        ),
        ({"type": "object", "additionalProperties": True}, "mapping"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
        ({"$ref": "#/$defs/EarlyStop"}, "[early_stop](#trainingearly_stop)"),
        ({}, "any value"),
    ],
)
def test_what_a_key_takes_is_said_in_words(reference, schema, words):
    assert reference.Keys().takes(schema, "keys") == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the layers, from image to logits", "The layers, from image to logits."),
        ("true: nothing is trained", "true: nothing is trained."),
        ("absent: the size", "Absent: the size."),
        ("results in <scale>/ or `<scale>/`", r"Results in \<scale>/ or `<scale>/`."),
        ("auto, cpu, …", "Auto, cpu, …"),
        ("over\n   two lines.", "Over two lines."),
    ],
)
def test_a_description_becomes_a_sentence_of_markdown(reference, text, sentence):
    assert reference.sentence(text) == sentence


def test_a_key_without_a_description_is_named(reference):
    with pytest.raises(RepriseError, match="key silent has no description; write one below it"):
        reference.Keys().entry("silent", {"type": "string"}, False, "keys")


# ---- headings ----


def headings(page):
    """The anchors of a page; of a heading that stands twice GitHub numbers the second."""
    found = {}
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, 0) + 1
    return found


@pytest.mark.parametrize(
    "page",
    [*(DOCS / "reference").glob("*.md"), DOCS / "gallery.md", ROOT / "config/README.md"],
    ids=lambda page: page.name,
)
def test_headings_of_generated_pages_differ_and_lines_are_short(page):
    assert [anchor for anchor, times in headings(page).items() if times > 1] == []
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []
