"""Mistakes that a report file's schema cannot see, found before anything is trained; each in one line that
says where.
"""

import copy
import re
from pathlib import Path

import pytest
import yaml

from reprise.checking import check_report
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.report import SCALES, Report, report_files

ROOT = Path(__file__).parents[1]
COUNTS = {"cifar100_superclass": "38 runs, 16 figures, 4 tables, 39 statements"}
EXAMPLE = re.search(
    r"```yaml\n(.*?)```", (ROOT / "docs/report-files.md").read_text(encoding="utf-8"), re.DOTALL
).group(1)
PARTS = [
    (page.name, part)
    for page in sorted((ROOT / "docs").glob("*.md"))
    for part in re.findall(
        r"```yaml\n# part of a report file\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
]
"""Page → what it shows of a report file, which fits into the example of report-files.md."""
HEAD = [{"flatten": True}, {"dense": 8}, {"dense": "classes"}]
VGG = {"name": "torchvision", "arch": "vgg16", "part": "features", "weights": "random", "trainable": "head"}
CURVES = {
    "id": "f",
    "kind": "curves",
    "caption": "c",
    "metric": "loss",
    "splits": ["train"],
    "series": [{"runs": "base"}],
}
IMAGES = {"id": "f", "kind": "samples", "caption": "c"}
TABLE = {"id": "t", "caption": "c"}
PLACE = r"[a-z_]+(\.[\w*]+|\[\d+\])*( \((experiment|configuration|statement|scale) [^)]+\))?"
"""A key path, and whose it is where it does not say so."""
NUMBER = {"number": "s", "reported": "0.5"}


def base() -> dict:
    return {
        "slug": "mini",
        "title": "Mini",
        "models": {
            "net": {"name": "sequential", "layers": [{"conv": 4}, {"pool": "max"}, *HEAD]},
            "vgg16": VGG,
        },
        "defaults": {
            "dataset": {"name": "cifar100", "labels": "coarse"},
            "split": {"validation": "test"},
            "model": "net",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "training": {"epochs": 4, "batch_size": 32, "select": "last"},
            "seeds": [0, 1],
        },
        "experiments": {
            "base": {},
            "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}}},
        },
    }


def check(folder: Path, scale: str = "full", **changes) -> None:
    file = folder / "mini.yaml"
    file.write_text(yaml.safe_dump(base() | copy.deepcopy(changes)))
    check_report(Report(file, scale))


def refused(folder: Path, message: str, scale: str = "full", **changes) -> None:
    with pytest.raises(RepriseError) as error:
        check(folder, scale, **changes)
    assert re.match(rf"{re.escape(str(folder / 'mini.yaml'))}:[1-9]\d*: {PLACE}: ", str(error.value))
    assert str(error.value).count("mini.yaml") == 1
    assert "\n" not in str(error.value)
    assert re.search(message, str(error.value)), error.value


# ---- whole reports ----


@pytest.mark.parametrize("scale", SCALES)
def test_the_example_of_the_documentation_is_sound(tmp_path, scale):
    file = tmp_path / "my_report.yaml"
    file.write_text(EXAMPLE, encoding="utf-8")
    report = Report(file, scale)
    check_report(report)
    assert {item.kind for item in report.statements} == {"number", "claim"}


def sections(text: str) -> dict[str, str]:
    """Key at the head of a report file → its text, up to the next key."""
    return {part.partition(":")[0]: part for part in re.split(r"^(?=\w+:)", text, flags=re.MULTILINE)}


@pytest.mark.parametrize(("page", "part"), PARTS)
def test_the_parts_that_pages_show_are_sound_in_the_example(page, part, tmp_path):
    whole = sections(EXAMPLE)
    for key, said in sections(part).items():
        whole[key] = whole[key] + said.partition("\n")[2] if key in whole else said
    file = tmp_path / "my_report.yaml"
    file.write_text("".join(whole.values()), encoding="utf-8")
    for scale in SCALES:
        check_report(Report(file, scale))


@pytest.mark.slow
@pytest.mark.parametrize("file", report_files(ROOT / "workflow/reports").values(), ids=lambda file: file.stem)
def test_the_reports_of_the_project_are_sound(file, capsys):
    """By the command, at every scale."""
    main(["check", str(file)])
    lines = [line for line in capsys.readouterr().out.splitlines() if ": network " not in line]
    assert [line.split(": ")[:2] for line in lines] == [[str(file), scale] for scale in SCALES]
    assert COUNTS.get(file.stem, "runs") in lines[SCALES.index("full")]


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(
        tmp_path,
        figures=[CURVES],
        tables=[{**TABLE, "kind": "layers", "networks": ["net"]}],
        statements=[{**NUMBER, "measure": "accuracy(base)"}],
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mini.yaml"]


def test_networks_take_no_memory(tmp_path):
    huge = {"name": "sequential", "layers": [{"flatten": True}, {"dense": 10**8}, {"dense": "classes"}]}
    check(tmp_path, models={"net": huge})  # more than a terabyte of weights


# ---- runs ----


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"dataset.name": "cifar10"},
            r"dataset\.labels \(experiment cell\): cifar10 has no labels of kind 'coarse'; valid: label",
        ),
        ({"dataset.labels": "corse"}, r"has no labels of kind 'corse'; did you mean coarse\?"),
        (
            {"dataset.classes": ["fish", "tree"]},
            r"dataset\.classes: no coarse label of cifar100 is called 'tree'; did you mean trees\?",
        ),
        (
            {"model.layers.0.kernel": 40},
            r"set\.model\.layers\.0\.kernel: model\.layers\[0\]: conv: an image of 32 × 32 pixels is too",
        ),
        ({"model.layers.2": {"batch_norm": True}}, r"layers\[3\].*needs flat features"),
        ({"model.layers.4": {"dense": "classes", "activation": "relu"}}, "the output layer gives logits"),
        ({"model.layers.4": {"dense": 5}}, "is not 20 classes wide"),
        ({"model": {**VGG, "arch": "vgg17"}}, r"arch: 'vgg17' is not valid; did you mean vgg1\d"),
        (
            {"model": {**VGG, "head": [{"dense": "classes"}]}},
            r"model\.head\[0\]: dense: needs flat features",
        ),
        (
            {"model": {**VGG, "arch": "resnet50", "part": "features"}},
            "resnet50 has no part of its own named features",
        ),
        ({"model": VGG, "preprocess": {"resize": 8}}, "vgg16 does not take images of 3×8×8"),
        (
            {"model": {**VGG, "arch": "vgg13", "weights": "imagenet"}},
            r"unknown pretrained weights 'vgg13'; did you mean vgg1\d",
        ),
    ],
)
def test_settings_that_do_not_fit_together(tmp_path, settings, message):
    refused(tmp_path, message, experiments={"cell": {"set": settings}})


def test_every_cell_and_reading_is_checked(tmp_path):
    grid = {"kernel": {"path": "model.layers.0.kernel", "values": [3, 40]}}
    refused(
        tmp_path,
        r"grid\.kernel\.values\[1\] \(configuration cnn/kernel=40\): model\.layers\[0\]: conv: an image",
        experiments={"cnn": {"grid": grid}},
    )
    readings = {"as_run": {}, "as_written": {"model.layers.0.kernel": 40}}
    refused(
        tmp_path,
        r"cnn\.readings\.as_written\.model\.layers\.0\.kernel .*: conv: an image",
        experiments={"cnn": {"readings": readings}},
    )


def test_other_scales_have_mistakes_of_their_own(tmp_path):
    scales = {"demo": {"set": {"dataset.classes": ["fsh", "trees"]}}}
    check(tmp_path, "quick", scales=scales)
    refused(tmp_path, "scales.demo.set.dataset.classes: .* 'fsh'; did you mean fish", "demo", scales=scales)


@pytest.mark.parametrize(
    ("child", "message"),
    [
        (
            {"drop": ["6_dense"]},
            r"initial_weights\.drop: the network has no layer 6_dense; valid: 1_conv, 2_pool, 3_flatten, 4_d",
        ),
        (
            {"classes": "fine"},
            r"initial_weights: 4_dense\.weight is \(20, 8\) in the run it starts from and \(100, 8\) here; "
            r"write drop: \[5_dense\]",
        ),
        (
            {"drop": ["hidden"]},
            r"initial_weights\.drop: no parameter starts with 'hidden'; valid: 1_conv, 4_",
        ),
        (
            {"classes": "fine", "drop": ["4_dense"]},
            r"initial_weights: .* here; write drop: \[4_dense, 5_dense\]",
        ),
        ({"classes": "fine", "drop": ["5_dense"]}, None),
        ({"classes": "fine", "drop": ["4"]}, None),
        ({}, None),
    ],
)
def test_initial_weights(tmp_path, child, message):
    start = {"from": "base", **({"drop": child["drop"]} if "drop" in child else {})}
    settings = {"initial_weights": start, "dataset.labels": child.get("classes", "coarse")}
    experiments = {"tuned": {"set": settings}, "base": {}}
    if message is None:
        check(tmp_path, experiments=experiments)
    else:
        refused(tmp_path, rf"experiments\.tuned\.set\.{message}", experiments=experiments)


def test_initial_weights_of_another_network(tmp_path):
    settings = {"initial_weights": {"from": "base"}, "model.layers.0": {"batch_norm": True}}
    message = (
        r"experiments\.tuned\.set\.initial_weights: 0_batch_norm\.weight is absent in the run it starts "
        r"from and \(3,\) here"
    )
    refused(tmp_path, message, experiments={"base": {}, "tuned": {"set": settings}})


# ---- figures ----


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (
            {**CURVES, "splits": ["validation"]},
            "base has no history of split 'validation'; valid: test, train",
        ),
        ({**CURVES, "metric": "gap", "splits": ["train"]}, "split 'train' cannot be drawn for gap"),
        ({**CURVES, "series": [{"runs": "base", "color": "blu"}]}, "colour 'blu' is unknown"),
        ({**CURVES, "series": [{"runs": "base", "color": {"train": "rde"}}]}, "colour 'rde' is unknown"),
        ({**CURVES, "reference": [{"value": 1, "color": "gren"}]}, "colour 'gren' is unknown"),
        (
            {**CURVES, "reference": [{"value": 1, "label": text} for text in "abcd"]},
            "4 labels of reference lines are more than the 3",
        ),
        (
            {**CURVES, "series": [{"runs": "rates", "label": str(place)} for place in range(5)]},
            "10 series are more than the 8",
        ),
        (
            {**IMAGES, "images": {"dataset": "cifar1000", "captions": ["fine"]}},
            r"unknown data set 'cifar1000'; did you mean cifar100\?",
        ),
        (
            {**IMAGES, "images": {"dataset": "cifar10", "captions": ["fine"]}},
            "cifar10 has no labels of kind 'fine'; valid: label",
        ),
        (
            {**IMAGES, "images": {"dataset": "cifar100", "captions": ["fine"], "by": "label"}},
            "cifar100 has no labels of kind 'label'",
        ),
        (
            {**IMAGES, "images": {"dataset": "cifar100", "captions": ["fine"], "where": {"coarse": "fsh"}}},
            r"cifar100 has no class 'fsh'; did you mean fish\?",
        ),
        (
            {**IMAGES, "images": {"dataset": "cifar100", "captions": ["fine"], "where": {"corse": "fish"}}},
            r"cifar100 has no labels of kind 'corse'; did you mean coarse\?",
        ),
    ],
)
def test_figures(tmp_path, figure, message):
    refused(tmp_path, rf"figures\.f\S*: {message}", figures=[figure])


def test_a_fraction_validates_on_no_test_set(tmp_path):
    experiments = {"base": {"set": {"split.validation": 0.2}}}
    check(tmp_path, experiments=experiments, figures=[{**CURVES, "splits": ["train", "validation"]}])
    refused(
        tmp_path,
        r"figures\.f\.splits\[0\]: base has no history of split 'test'",
        experiments=experiments,
        figures=[{**CURVES, "splits": ["test"]}],
    )


# ---- tables ----


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "layers", "networks": ["nett"]}, r"no experiment trains a model nett; did you mean net\?"),
        (
            {"kind": "settings", "runs": "base", "rows": [{"label": "a", "setting": "optimizer.lrr"}]},
            r"the runs have no setting 'optimizer\.lrr'; did you mean optimizer\.lr\?",
        ),
        (
            {"kind": "settings", "runs": "base", "rows": [{"label": "a", "metric": "acuracy"}]},
            r"no metric 'acuracy'; did you mean accuracy\?",
        ),
        (
            {"kind": "settings", "runs": "rates", "rows": [{"label": "a", "metric": "accuracy"}]},
            "rates names 2 cells; name one",
        ),
        (
            {
                "kind": "settings",
                "runs": "base",
                "rows": [{"label": "a", "metric": "loss", "at": "last", "split": "validation"}],
            },
            "no history of split 'validation'",
        ),
        ({"kind": "trials", "runs": "rates", "metric": "losss"}, r"no metric 'losss'; did you mean loss\?"),
        (
            {"kind": "trials", "runs": "rates", "metric": "accuracy", "reported": {"lrr": 0.1}},
            r"has no axis lrr; did you mean lr\?",
        ),
    ],
)
def test_tables(tmp_path, table, message):
    refused(tmp_path, rf"tables\.t\S*: .*{message}", tables=[{**TABLE, **table}])


# ---- statements ----


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({**NUMBER, "measure": "acuracy(base)"}, r"no metric or measure 'acuracy'; did you mean accuracy\?"),
        ({**NUMBER, "measure": "accuracy(rates)"}, r"rates names 2 configurations; write mean\(…\), best"),
        (
            {**NUMBER, "measure": 'loss(base, at="last", split="validation")'},
            "no history of split 'validation'",
        ),
        (
            {**NUMBER, "measure": "loss(base, at=5)"},
            "base trains 4 epochs, so it has no at=5; write at=4",
        ),
        ({**NUMBER, "measure": 'class_accuracy(base, ["fsh"])'}, r"no class 'fsh'; did you mean fish\?"),
        (
            {**NUMBER, "measure": 'parameters(base, layer="9_dense")'},
            r"no layer 9_dense; valid: 1_conv, 2_pool, 3_flatten, 4_dense, 5_dense$",
        ),
        ({**NUMBER, "measure": "accuracy(bas)"}, r"'accuracy\(bas\)': column 10: .*did you mean base\?"),
        ({**NUMBER, "measure": "accuracy(base"}, r"'accuracy\(base': column 9: '\(' was never closed"),
        ({"claim": "s", "holds": "accuracy(base) > b"}, r"column 18: 'b' is not a value; measure it"),
        ({"claim": "s", "holds": 'argmax(accuracy(rates)) == "rates/lr=1"'}, "lr is never 1"),
    ],
)
def test_statements(tmp_path, statement, message):
    refused(tmp_path, rf"statements\.s\S*: .*{message}", statements=[statement])


def test_at_a_smaller_scale_an_epoch_may_be_out_of_reach(tmp_path):
    statement = {**NUMBER, "measure": "loss(base, at=4)"}
    check(tmp_path, "demo", scales={"demo": {"epochs": {"max": 2}}}, statements=[statement])
