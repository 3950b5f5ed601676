"""The JSON Schema that editors check report files by: made from the models, committed, named by each file."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from reprise.reports import editor
from reprise.reports.file import read_yaml
from reprise.reports.report import report_files

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow/schemas/report.schema.json"
FILES = sorted(
    file
    for path in report_files(ROOT / "workflow/reports").values()
    for file in (path.glob("*.yaml") if path.is_dir() else [path])
)
MODELINE = "# yaml-language-server: $schema="


@pytest.fixture(scope="module")
def check():
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_the_committed_schema_is_that_of_the_models():
    assert SCHEMA.read_text() == editor.text(), "write it anew: python -m reprise schema"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_report_file_begins_with_the_editors_modeline_and_fits(file, check):
    first = file.read_text().splitlines()[0]
    assert first == MODELINE + os.path.relpath(SCHEMA, file.parent)
    assert [error.message for error in check.iter_errors(read_yaml(file))] == []


FIGURE = {"id": "a", "kind": "curves", "metric": "loss", "splits": ["test"], "series": "b", "caption": "c"}
SETTINGS = {
    "dataset": {"name": "cifar10", "labels": "label"},
    "split": {"validation": 0.2},
    "model": "net",
    "optimizer": {"name": "adam", "lr": 0.1},
    "training": {"epochs": 1, "batch_size": 1, "select": "last"},
    "seeds": [0],
}
FINE = [
    {"figures": [FIGURE]},
    {"figures": [{**FIGURE, "series": {"label": "cells"}}]},
    {"figures": [FIGURE, {"id": "b", "base": "a", "metric": "accuracy"}]},
    {"figures": [{**FIGURE, "id": "figure_{n}", "repeat": [{"n": 1}]}]},
    {"figure_defaults": {"curves": {"splits": ["test"]}}},
    {"tables": [{"id": "a", "kind": "layers", "caption": "b", "networks": ["net"]}]},
    {"statements": [{"number": "a", "reported": "1", "measure": "accuracy(b)"}]},
    {"statements": [{"claim": "a", "holds": ["accuracy(b) > accuracy(c)"]}]},
    {"statements": [{"claim": "a", "holds": "c > d", "also": [{"reading": "b", "holds": ["c > d"]}]}]},
    {"statements": [{"number": "a", "reported": "1", "measure": "b", "mean_of": 3, "reading": "c"}]},
    {
        "statements": [
            {"number": "a", "reported": "1", "measure": "b", "also": [{"reading": "c", "measure": "d"}]}
        ]
    },
    {"mean_of": 3, "follows": {"a": "b"}, "tables": [{"id": "a", "base": "b", "mean_of": 2}]},
    {"models": {"net": {"name": "sequential", "layers": [[{"flatten": True}], {"dense": "classes"}]}}},
    {"models": {"net": {"base": "other", "init": "keras"}}},
    {"defaults": SETTINGS},
    # a value may be a {name} where the entry is repeated
    {"figures": [{**FIGURE, "repeat": [{"n": 1, "low": 0}], "id": "f_{n}", "y_limits": ["{low}", 1]}]},
    {"figures": [{"base": "a", "repeat": [{"n": 1, "on": True}], "id": "f_{n}", "selected": "{on}"}]},
    {"tables": [{"repeat": [{"k": "layers", "n": "a"}], "kind": "layers", "id": "{n}", "networks": "{n}"}]},
    {"statements": [{"repeat": [{"a": "1"}], "number": "n{a}", "reported": "{a}", "measure": "accuracy(b)"}]},
    {"models": {"net": {"base": "other", "layers": [[[{"conv": 8}], []], {"dense": "classes"}]}}},
]


@pytest.mark.parametrize("document", FINE)
def test_what_may_be_written_is_accepted(document, check):
    assert [error.message for error in check.iter_errors(document)] == []


WRONG = [
    {"figurs": []},
    {"figures": [{**FIGURE, "metrc": "loss"}]},
    {"figures": [{**FIGURE, "metric": "los"}]},
    {"figures": [{**FIGURE, "kind": "curve"}]},
    {"figures": [{"id": "b", "base": "a", "metrc": "accuracy"}]},
    {"tables": [{"id": "a", "kind": "layers", "caption": "b", "network": ["net"]}]},
    {"statements": [{"number": "a", "reported": "1", "measur": "accuracy(b)"}]},
    {"statements": [{"number": "a", "reported": 1, "measure": "accuracy(b)"}]},
    {"statements": [{"says": "nothing"}]},
    {"statements": [{"claim": "a", "holds": "c > d", "also": [{"reading": "b"}]}]},
    {"statements": [{"claim": "a", "holds": "c > d", "also": [{"holds": "c > d"}]}]},
    {"statements": [{"claim": "a", "holds": "c > d", "mean_of": 3}]},
    {"statements": [{"number": "a", "reported": "1", "measure": "b", "mean_of": 0}]},
    {"mean_of": "three"},
    {"follows": ["a", "b"]},
    {"models": {"net": {"name": "vit", "patch": 0, "dim": 1, "layers": 1, "heads": 1}}},
    {"models": {"net": {"name": "vit", "pach": 4}}},
    {"models": {"net": {"name": "sequential", "layers": [{"conv": 8, "kernl": 3}]}}},
    {"defaults": {**SETTINGS, "optimizer": {"name": "adam", "lr": -1}}},
    {"defaults": {**SETTINGS, "optimizer": {"name": "adam", "lr": 0.1, "momentum": 0.9}}},
    {"defaults": {**SETTINGS, "augmentation": [{"flipp": 0.5}]}},
    {"experiments": {"a": {"grid": {"lr": {"values": []}}}}},
    {"scales": {"quik": {}}},
    # below lists that are laid flat, and where the kind stands elsewhere
    {"models": {"net": {"name": "sequential", "layers": [[{"conv": 8, "kernl": 3}]]}}},
    {"models": {"net": {"name": "sequential", "layers": [[[{"flatten": True}, {"dropuot": 0.5}]]]}}},
    {"models": {"net": {"base": "other", "layers": [{"convv": 8}]}}},
    {"models": {"net": {"base": "other", "width": "wide"}}},
    {"models": {"net": {"name": "torchvision", "arch": "vgg16", "head": [[{"dens": 8}]]}}},
    {"tables": [{"id": "a", "kind": "settings", "runs": "b", "rows": [[{"lable": "c", "metric": "loss"}]]}]},
    {"tables": [{"id": "b", "base": "a", "rows": [[{"label": "c", "metrc": "loss"}]]}]},
    {"figures": [{"id": "b", "base": "a", "images": {"datset": "cifar10"}}]},
    {"figures": [{"repeat": [{"n": 1}], **FIGURE, "metrc": "loss"}]},
    {"statements": [{"repeat": [{"n": 1}], "claim": "c{n}", "hold": "accuracy(b) > 0.5"}]},
    {"figure_defaults": {"curvs": {}}},
    {"figure_defaults": {"curves": {"splts": ["test"]}}},
    {"figure_defaults": {"curves": {"splits": ["tets"]}}},
    {"figure_defaults": {"curves": {"id": "a"}}},
]


@pytest.mark.parametrize("document", WRONG)
def test_a_mistake_is_underlined(document, check):
    assert list(check.iter_errors(document)) != []
