"""What another package adds, one of each: the package of docs/extending.md."""

import json
import re
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
import torch

from reprise import models
from reprise.data.augment import build_augmentation
from reprise.data.catalog import OWN_DATASETS as OWN_DATASETS
from reprise.data.catalog import name_of
from reprise.data.decode import decode, load
from reprise.data.synthetic import write_synthetic
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.extensions import AUGMENTATIONS, DATASETS, FIGURES, METRICS, NETWORKS, TABLES
from reprise.training.engine import train
from tiny import tiny_run

PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
"""File name → its content, as the page shows it."""
POINTS = [NETWORKS, AUGMENTATIONS, DATASETS, FIGURES, TABLES, METRICS]
OWN = {
    "reprise.networks": ["residual", "resnet", "sequential", "torchvision", "vit"],
    "reprise.augmentations": [
        *("flip", "vertical_flip", "crop", "resized_crop", "zoom", "rotation", "brightness", "jitter"),
        "erasing",
    ],
    "reprise.datasets": ["cifar10", "cifar100", "stl10", "cinic10"],
    "reprise.figures": ["curves", "samples", "diagram", "bars", "classes", "boxes", "heatmap", "levels"],
    "reprise.tables": ["layers", "settings", "comparison", "space", "trials", "metrics", "classes"],
    "reprise.metrics": ["accuracy", "precision_macro", "recall_macro", "f1_macro", "loss", "gap"],
}


def install(folder, name, files, **points):
    """A package as it lies in site-packages: its files and its metadata; `points`: group → lines."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    text = "".join(f"[reprise.{group}]\n" + "\n".join(lines) + "\n" for group, lines in points.items())
    (info / "entry_points.txt").write_text(text)
    return PathDistribution(info)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder on `sys.path`; modules that a test imports from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def zoo(installed):
    points = re.findall(r'\[project\.entry-points\."reprise\.(\w+)"\]\n(.*)', BLOCKS["pyproject.toml"])
    lines = {group: [line.replace('"', "")] for group, line in points}
    assert {point.group for point in POINTS} == {f"reprise.{group}" for group in lines}
    install(installed, "zoo", {name: text for name, text in BLOCKS.items() if name.endswith(".py")}, **lines)
    return installed


def test_names_are_the_projects_own_and_then_those_of_packages(zoo):
    assert list(NETWORKS) == [*OWN["reprise.networks"], "patch_mlp"]
    assert list(AUGMENTATIONS) == [*OWN["reprise.augmentations"], "posterize"]
    assert list(DATASETS) == [*OWN["reprise.datasets"], "petals"]
    assert list(FIGURES)[-1] == "strip"
    assert list(TABLES)[-1] == "kept_epochs"
    assert list(METRICS)[-1] == "balanced_accuracy"
    assert len(DATASETS) == 5
    assert "petals" in DATASETS
    assert "zoo" not in sys.modules, "listing names imports nothing"


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.group)
def test_without_packages_there_are_the_projects_own(point):
    """Whatever is installed beside the tests."""
    assert list(point)[: len(OWN[point.group])] == OWN[point.group]
    assert all(point[name] is point.find(name) for name in OWN[point.group])
    assert 3 not in point
    with pytest.raises(KeyError):
        point["x"]


def test_nothing_of_it_needs_torch(zoo):
    code = (
        "import sys; from reprise.extensions import *\n"
        "points = (NETWORKS, AUGMENTATIONS, DATASETS, FIGURES, TABLES, METRICS)\n"
        "for point in points: print([point[name] for name in point])\n"
        "print(NETWORKS['vit'].model_json_schema()['required'], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{zoo}:{Path(__file__).parents[1] / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.endswith("['patch', 'dim', 'layers', 'heads'] False\n"), done.stderr
    assert "zoo.PatchMlp" in done.stdout


def test_a_network_of_a_package(zoo):
    network = models.build({"name": "patch_mlp", "hidden": 8}, 5, (3, 16, 16))
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
    for options, message in [
        ({}, r"model patch_mlp: key hidden is missing"),
        ({"hidden": 0}, r"model patch_mlp: hidden: should be greater than or equal to 1, not 0"),
        (
            {"hidden": 8, "pach": 4},
            r"model patch_mlp: pach: unknown key for the family patch_mlp; did you mean pa",
        ),
        ({"hidden": 8, "patch": 5}, r"model patch_mlp: patches of 5 do not divide the image; change patch"),
    ]:
        with pytest.raises(RepriseError, match=message):
            models.build({"name": "patch_mlp", **options}, 5, (3, 16, 16))
    with pytest.raises(RepriseError, match=r"^model: unknown network 'patchmlp'; did you mean patch_mlp\?$"):
        models.build({"name": "patchmlp"}, 5, (3, 16, 16))


def test_an_augmentation_of_a_package(zoo):
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = build_augmentation([{"posterize": {"levels": 2, "p": 1}}])(images, torch.Generator())
    assert torch.equal(changed, images.round())
    message = r"^augmentation: posterize: levels: should be greater than or equal to 2, not 1$"
    with pytest.raises(RepriseError, match=message):
        build_augmentation([{"posterize": {"levels": 1}}])
    with pytest.raises(RepriseError, match=r"unknown augmentation 'posterise'; did you mean posterize\?"):
        build_augmentation([{"posterise": {"levels": 2}}])


def test_a_run_of_all_three(zoo, tmp_path):
    """From the drawn archive to the test metrics."""
    archive = write_synthetic("petals", tmp_path, {"train": 20, "test": 5})
    assert archive.name == "petals.tar.gz"
    assert name_of(archive.name) == "petals"
    decode("petals", archive, tmp_path / "arrays")
    assert load(tmp_path / "arrays").classes == {"label": ("lily", "poppy", "rose")}
    run = tiny_run(
        dataset={"name": "petals", "labels": "label", "source": "synthetic"},
        model={"name": "patch_mlp", "hidden": 16},
        augmentation=[{"posterize": {"levels": 4}}],
    )
    places = {"dataset_dirs": {"petals": tmp_path / "arrays"}, "cache": tmp_path / "runs"}
    (outcome,) = train([run], **places, device="cpu", threads=1)
    assert outcome.meta["parameters"] == 3 * 16 * 16 + 16 + 16 * 16 * 3 + 3
    evaluate([run], **places, device="cpu")
    assert (tmp_path / "runs" / run.hash / "evaluation.json").exists()


REPORT = """
title: Petals
models:
  patches: {name: patch_mlp, hidden: 64}
defaults:
  dataset: {name: petals, labels: label}
  split: {validation: 0.2}
  augmentation: [{posterize: {levels: 4}}, {flip: 0.5}]
  model: patches
  optimizer: {name: adam, lr: 0.001}
  training: {epochs: 2, batch_size: 8, select: last}
  seeds: [0, 1]
experiments:
  base: {}
figures:
  - {id: figure_01, kind: strip, runs: base, metric: balanced_accuracy, caption: All runs on a line.}
tables:
  - {id: epochs, kind: kept_epochs, runs: base, caption: The epoch that each run keeps.}
statements:
  - {number: balanced, reported: "0.5", measure: balanced_accuracy(base)}
"""


def checked(zoo, folder, text):
    (folder / "petal_report.yaml").write_text(text)
    return run_reprise(zoo, "check", str(folder / "petal_report.yaml"))


def run_reprise(zoo, *words):
    return subprocess.run(
        [sys.executable, "-m", "reprise", *words],
        env={"PYTHONPATH": f"{zoo}:{Path(__file__).parents[1] / 'src'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_report_with_one_of_each(zoo, tmp_path):
    """Its figure is drawn and its statement judged, from pretended results."""
    done = checked(zoo, tmp_path, REPORT)
    assert done.returncode == 0, done.stderr
    assert "full: 2 runs, 1 figures, 1 tables, 1 statements" in done.stdout


@pytest.mark.parametrize(
    ("word", "wrong", "message"),
    [
        (
            "hidden: 64",
            "hiden: 64",
            ":4: models.patches.hiden: unknown key for the family",
        ),
        (
            "levels: 4",
            "levels: 1",
            ":8: defaults.augmentation[0].posterize.levels: should be",
        ),
        (
            "name: petals",
            "name: petal",
            ":6: defaults.dataset.name: 'petal' is no data set; did",
        ),
        (
            "kind: strip",
            "kind: stripe",
            "kind: 'stripe' is no kind of figure; did you mean strip?",
        ),
        ("runs: base", "runs: base, marke: x", "figures.figure_01.marke: unknown key; did you mean marker?"),
        ("kind: kept_epochs", "kind: kept_epoch", "is no kind of table; did you mean kept_epochs?"),
        ("_accuracy(base)", "_acuracy(base)", "did you mean balanced_accuracy?"),
    ],
)
def test_a_mistake_in_a_report_with_one_of_each(zoo, tmp_path, word, wrong, message):
    assert word in REPORT
    done = checked(zoo, tmp_path, REPORT.replace(word, wrong))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == REPORT.count(word)


@pytest.mark.parametrize(
    ("content", "value", "message"),
    [
        (
            "raise OSError('no\\nluck')",
            "ape:Net",
            r"cannot be imported \(OSError: no luck\); fix or uninstall it",
        ),
        (
            "import nowhere",
            "ape:Net",
            r"cannot be imported \(ModuleNotFoundError: No module named 'nowhere'\)",
        ),
        ("x = (", "ape:Net", r"cannot be imported \(SyntaxError: "),
        ("", "ape:Net", r"cannot be imported \(AttributeError: module 'ape' has no attribute 'Net'\)"),
        ("", "gibbon:Net", r"cannot be imported \(ModuleNotFoundError: No module named 'gibbon'\)"),
        ("Net = 3", "ape:Net", r"is no Family; see docs/extending.md"),
        ("class Net: pass", "ape:Net", r"is no Family; see docs/extending.md"),
        ("raise SystemExit(3)", "ape:Net", r"cannot be imported \(SystemExit: 3\); fix or uninstall it"),
        (
            "from reprise.models.families import Family\nclass Net(Family): pass",
            "ape:Net",
            r"has no build; see docs/extending.md",
        ),
        (
            "from reprise.models.families import Family\n"
            "class Net(Family):\n    def build(self, classes, image_shape, weights_dir): 1 / 0",
            "ape:Net",
            r"fails in its package \(ZeroDivisionError: division by zero\); fix or uninstall it",
        ),
    ],
)
def test_a_package_that_is_broken(installed, content, value, message):
    install(installed, "apes", {"ape.py": content}, networks=[f"net = {value}"])
    where = rf"^model( net)?: network net( of package apes \({value}\))?: "
    with pytest.raises(RepriseError, match=where + message) as error:
        models.build({"name": "net"}, 5, (3, 16, 16))
    assert "\n" not in str(error.value)
    assert models.build({"name": "vit", "patch": 4, "dim": 6, "layers": 1, "heads": 1}, 5, (3, 16, 16))
    with pytest.raises(RepriseError, match=r"unknown network 'nett'; did you mean net\?"):
        models.build({"name": "nett"}, 5, (3, 16, 16))


@pytest.mark.parametrize(
    ("group", "point", "name"),
    [
        ("networks", NETWORKS, "vit"),
        ("augmentations", AUGMENTATIONS, "flip"),
        ("datasets", DATASETS, "stl10"),
    ],
)
def test_a_name_that_is_taken(installed, group, point, name):
    install(installed, "apes", {}, **{group: [f"{name} = ape:Thing"]})
    assert list(point).count(name) == 1
    message = rf"{name}: the name is taken by reprise itself and package apes; rename or uninstall one$"
    with pytest.raises(RepriseError, match=message):
        point.find(name)


def test_two_packages_with_one_name(zoo):
    install(zoo, "apes", {}, datasets=["petals = ape:PETALS"])
    message = r"data set petals: the name is taken by package apes and package zoo; rename or uninstall one$"
    with pytest.raises(RepriseError, match=message):
        DATASETS.find("petals")
    assert DATASETS.find("cifar10") is OWN_DATASETS["cifar10"]


def test_a_data_set_by_another_name_than_its_own(zoo):
    install(zoo, "apes", {}, datasets=["leaves = zoo:PETALS"])
    with pytest.raises(RepriseError, match=r"data set leaves of package apes .*: calls itself petals"):
        DATASETS.find("leaves")


# ---- packages that fail ----

KINDS = """
from typing import ClassVar, Literal

from reprise.publishing.figures.page import Drawn
from reprise.publishing.measures import Metric
from reprise.reports.figures import MeasuredFigure
from reprise.reports.tables import Table


class Curves(MeasuredFigure):
    drawer: ClassVar[str] = "ape:draw"
    kind: Literal["ape"]


class Sheet(Table):
    builder: ClassVar[str] = "ape:build"
    kind: Literal["ape"]


def build(spec, sources): {build}
def draw(spec, sources, page): {draw}
METRIC = Metric("a metric", {deviation}, compute=lambda labels, predicted: {value})
"""
SOUND = {"build": "return 3", "draw": "return Drawn('', [], [])", "deviation": "0.1", "value": "0.5"}
APE_REPORT = (
    REPORT.replace("petals, labels: label", "cifar10, labels: label")
    .replace("{posterize: {levels: 4}}, ", "")
    .replace("{name: patch_mlp, hidden: 64}", "{name: vit, patch: 8, dim: 6, layers: 1, heads: 1}")
    .replace("kind: strip", "kind: ape")
    .replace("balanced_accuracy", "ape")
)
OWN_TABLE = "{id: epochs, kind: kept_epochs, runs: base, caption: The epoch that each run keeps.}"
TABLE_OF_APES = "{id: table_01, kind: ape, caption: A table.}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, ""),
        (
            {"draw": "raise KeyError('x')"},
            r"figures.figure_01: kind of figure ape: fails in its package \(KeyError: ",
        ),
        ({"draw": "raise SystemExit(0)"}, r"figure ape: fails in its package \(SystemExit: 0\); fix or"),
        ({"draw": "return None"}, r"\(TypeError: ape:draw returns NoneType, not Drawn\)"),
        ({"draw": "return Drawn('', [], [{'x': {1}}])"}, r"\(TypeError: Object of type set is not JSON"),
        (
            {"value": "1 / 0"},
            r"metric ape: fails in its package \(ZeroDivisionError: division by zero\); fix",
        ),
        ({"value": "None"}, r"metric ape: fails in its package \(TypeError: "),
        ({"value": "10**400"}, r"metric ape: fails in its package \(OverflowError: "),
        ({"value": "labels.fill(0) or 0.5"}, ""),
        ({"value": "float('nan')"}, ""),
        ({"deviation": "'0.1'"}, r"cannot be imported \(ValueError: deviation: '0.1' is no number from 0\)"),
        ({"deviation": "-1"}, r"cannot be imported \(ValueError: deviation: -1 is no number from 0\)"),
        (
            {"tables": True},
            r"tables.table_01: kind of table ape: fails in its package \(TypeError: ape:build returns int",
        ),
        (
            {"tables": True, "build": "1 / 0"},
            r"kind of table ape: fails in its package \(ZeroDivisionError: ",
        ),
    ],
    ids=str,
)
def test_a_kind_that_fails(zoo, tmp_path, wrong, message):
    code = KINDS
    for name, content in (SOUND | wrong).items():
        code = code.replace(f"{{{name}}}", str(content))
    points = {"figures": ["ape = ape:Curves"], "tables": ["ape = ape:Sheet"], "metrics": ["ape = ape:METRIC"]}
    install(zoo, "apes", {"ape.py": code}, **points)
    assert OWN_TABLE in APE_REPORT
    table = TABLE_OF_APES if "tables" in wrong else OWN_TABLE
    done = checked(zoo, tmp_path, APE_REPORT.replace(OWN_TABLE, table))
    assert done.returncode == bool(message), done.stderr
    assert re.search(message, done.stderr)
    assert done.stderr.count("\n") == bool(message)


@pytest.mark.slow
def test_a_broken_package_harms_no_report_that_does_not_use_it(zoo, tmp_path):
    """Whatever it offers, and however it is broken."""
    groups = ("networks", "augmentations", "datasets", "figures", "tables", "metrics")
    broken = ["gone = nowhere:x", "twice = nowhere:x", "twice = nowhere:y", "ends = ends:x", "odd name = ape"]
    install(zoo, "apes", {"ends.py": "raise SystemExit"}, **dict.fromkeys(groups, broken))
    done = checked(zoo, tmp_path, REPORT)
    assert done.returncode == 0, done.stderr
    for used in ("{name: gone}", "{name: twice}", "{name: ends}"):
        done = checked(zoo, tmp_path, REPORT.replace("{name: patch_mlp, hidden: 64}", used))
        assert re.match(r"reprise: \S+petal_report.yaml: network (gone|twice|ends)", done.stderr)
        assert done.stderr.count("\n") == 1
    done = checked(zoo, tmp_path, REPORT.replace("posterize: {levels: 4}", "gone: 3"))
    assert "augmentation gone of package apes (nowhere:x): cannot be imported" in done.stderr
    done = checked(zoo, tmp_path, REPORT.replace("kind: strip", "kind: gone"))
    assert "kind of figure gone of package apes (nowhere:x): cannot be imported" in done.stderr


def _keys_of(schema):
    """The keys that a mapping may have; an entry that may be repeated has two branches."""
    return schema.get("properties") or schema["else"]["properties"]


@pytest.mark.slow
def test_the_editors_schema_with_packages(zoo, tmp_path):
    """Also with classes that are called like others; the names are what counts."""
    code = KINDS.format(**SOUND).replace("    kind: Literal", "    mine: int = 3\n    kind: Literal")
    code += "from zoo import PatchMlp\nclass Vit(PatchMlp):\n    more: int = 3\n"
    points = {"figures": ["ape = ape:Curves"], "tables": ["ape = ape:Sheet"], "networks": ["ape = ape:Vit"]}
    install(zoo, "apes", {"ape.py": code}, **points)
    done = run_reprise(zoo, "schema", str(tmp_path / "schema.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "schema.json").read_text())["properties"]
    (networks,) = found["models"]["patternProperties"].values()
    for kinds, key, own, other in [
        (found["figures"]["items"], "kind", "mine", "curves"),
        (networks, "name", "more", "vit"),
    ]:
        keys = {
            choice["if"]["properties"][key]["const"]: _keys_of(choice["then"])
            for choice in kinds["allOf"]
            if key in choice["if"].get("properties", {})
        }
        assert own in keys["ape"]
        assert own not in keys[other]
    install(zoo, "bees", {}, networks=["gone = nowhere:x"])
    done = run_reprise(zoo, "schema", str(tmp_path / "schema.json"))
    assert done.returncode == 1
    assert "network gone of package bees (nowhere:x): cannot be imported" in done.stderr
