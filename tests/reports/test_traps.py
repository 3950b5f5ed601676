"""What a report file may say, and not mean, though nothing in it seems wrong: values lost to a comment or to
another value, ranges that hold nothing, units that do not fit.

A case is the report of `test_mistakes` with one text replaced by another.
"""

import pytest
from test_mistakes import ADAM, EPOCHS, REPORT, SEEDS, said_of, with_mistake

from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.report import Report, report_files

CELLS = "cells:\n"
REFERENCE = '    reference: "0.65"\n'
FLIP = "    - {flip: 0.5}\n"
BASE = "  base: {}\n"
GRID = "    grid:\n      lr: {path: optimizer.lr, values: [1e-2, 1e-3]}\n"
AXIS = "{path: optimizer.lr, values: [1e-2, 1e-3]}"
SPLIT = "{validation: 0.2}"
CLASSES = '{base: {cat: "51.0", dog: "48.2"}}'
COMMENT = "# begins a comment, so put the text in quotes"


def axes(*lines, way="grid", depth=6):
    """The axes of a grid or sweep, and those of a search in its space."""
    return f"    {way}:\n" + "".join(f"{' ' * depth}{line}\n" for line in lines)


ASHA = "    asha:\n      trials: 4\n      {}\n      reduction_factor: 2\n      space:\n"

TRAPS = [
    # lost to a comment
    (REFERENCE, f"{REFERENCE}    ›y_label: # of errors\n", "figures.curves.y_label", COMMENT),
    (REFERENCE, f"{REFERENCE}    ›y_label: #errors\n", "figures.curves.y_label", COMMENT),
    ("title: A small", "›summary: #2 of the network\ntitle: A small", "summary", COMMENT),
    ("title: A small", "›framework: TensorFlow #2\ntitle: A small", "framework", "ends before #2, since"),
    ("    source: Section 2\n", "    ›source: #3\n", "statements.last_accuracy.source", COMMENT),
    ("    source: Section 2\n", "    ›source: Table #3\n", "statements.last_accuracy.source",
     "ends before #3, since # begins a comment"),
    ("    series: {base: base, faster: fast}\n",
     "    series:\n      - runs: base\n        label: a\n        ›color: #ff0000\n"
     "      - {runs: fast, label: b}\n",
     "figures.curves.series[0].color", COMMENT),
    ("    source: Section 2\n", "    ›about: #0.01\n", "statements.last_accuracy.about", COMMENT),
    (CELLS, "scales:\n  quick:\n    ›seeds: #1\ncells:\n", "scales.quick.seeds", COMMENT),
    (BASE, "  base:\n    set:\n      ›schedule: #cosine\n", "experiments.base.set.schedule", COMMENT),
    ("series: {base: base, faster: fast}", "series: [{runs: base, color: #ff0000}]", "",
     "put #ff0000 in quotes"),
    # empty
    ("{flip: 0.5}", "{flip: }", "defaults.augmentation[0]", "flip has no value; write it after the colon"),
    ("{flip: 0.5}", "{jitter: }", "defaults.augmentation[0]", "jitter has no value"),
    ("{flip: 0.5}", "{resized_crop: null}", "defaults.augmentation[0]", "resized_crop has no value"),
    (BASE, "  base: {set: {augmentation: [{crop: 4}, {flip: }]}}\n",
     "experiments.base.set.augmentation[1]", "flip has no value"),
    (EPOCHS, f"{EPOCHS}\n    ›early_stop:", "defaults.training.early_stop", "is empty; write the value"),
    (CELLS, "scales: {quick: {epochs: {max: }}}\ncells:\n", "scales.quick.epochs.max", "is empty"),
    (ADAM, "{name: adam, lr: 1e-3, weight_decay: }", "defaults.optimizer.weight_decay", "is empty"),
    (CELLS, "mean_of:\ncells:\n", "mean_of", "is empty"),
    ("caption: The base run.", "caption: The base run.\n    ›source:", "tables.base_run.source", "is empty"),
    # of two changes one is lost
    (GRID, axes(f"lr: {AXIS}", "›rate: {path: optimizer.lr, values: [1, 2]}"),
     "experiments.rates.grid.rate.path", "axis lr sets optimizer.lr too; make one axis of the two"),
    (GRID, axes(f"lr: {AXIS}", "›rate: {path: optimizer.lr, values: [1, 2]}", way="pointwise"),
     "experiments.rates.pointwise.rate.path", "axis lr sets optimizer.lr too"),
    (GRID, "    random:\n      trials: 2\n" + axes(
        f"lr: {AXIS}", "›rate: {path: optimizer.lr, values: [1, 2]}", way="  space", depth=8),
     "experiments.rates.random.space.rate.path", "axis lr sets optimizer.lr too"),
    (GRID, axes(f"lr: {AXIS}",
                "›how: {path: optimizer, values: {a: {name: sgd, lr: 1}, b: {name: adam, lr: 1}}}"),
     "experiments.rates.grid.how.path", "optimizer takes the place of optimizer.lr, which axis lr sets"),
    (GRID, axes(f"lr: {AXIS}", "›how: {values: {a: {optimizer.lr: 1}, b: {training.epochs: 3}}}"),
     "experiments.rates.grid.how", "axis lr sets optimizer.lr too"),
    (BASE, "  base: {set: {optimizer.lr: 0.1, optimizer: {name: sgd, lr: 0.2}}}\n",
     "experiments.base.set.optimizer.lr", "optimizer takes its place; leave one of the two out"),
    (BASE, "  base: {set: {model.layers.f6.dense: 8, model: small}}\n",
     "experiments.base.set.model.layers.f6.dense", "model takes its place"),
    (CELLS, "scales: {demo: {set: {dataset.per_class: 9, dataset: {name: cifar10}}}}\ncells:\n",
     "scales.demo.set.dataset.per_class", "dataset takes its place"),
    ("[1e-2, 1e-3]}\n", "{start: 0.1, stop: 1, step: 0.1}}\n", "experiments.rates.grid.lr.values",
     "start, stop, step would be 3 values with names, and no range; list the values: [0.1, 0.2, …, 1]"),
    ("[1e-2, 1e-3]}\n", "{from: 1, to: 3}}\n", "experiments.rates.grid.lr.values",
     "list the values: [1, …, 3]"),
    ("[1e-2, 1e-3]}\n", "{min: 1e-3, max: 0.1, num: 5}}\n", "experiments.rates.grid.lr.values", "no range"),
    (BASE, f"{BASE}  child: {{seeds: [7], set: {{›initial_weights: {{from: base}}}}}}\n",
     "experiments.child.set.initial_weights.from",
     "base has no run of seed 7, only of 0, 1, 2; give both the same seeds, or base a single one"),
    (BASE, f"{BASE}  child: {{seeds: [0, 1, 2, 3], set: {{›initial_weights: {{from: rates/lr=0.01}}}}}}\n",
     "experiments.child.set.initial_weights.from", "rates/lr=0.01 has no run of seed 3"),
    # ranges
    ("{flip: 0.5}", "{resized_crop: {scale: [1, 0.5]}}", "defaults.augmentation[0].resized_crop.scale",
     "the first of two is the smaller one; write [0.5, 1]"),
    ("{flip: 0.5}", "{resized_crop: {ratio: [2, 0.5]}}", "defaults.augmentation[0].resized_crop.ratio",
     "write [0.5, 2]"),
    ("{flip: 0.5}", "{erasing: {scale: [0.33, 0.02]}}", "defaults.augmentation[0].erasing.scale",
     "write [0.02, 0.33]"),
    ("{flip: 0.5}", "{erasing: {scale: [0.02, 33]}}", "defaults.augmentation[0].erasing.scale[1]",
     "less than or equal to 1"),
    ("{flip: 0.5}", "{resized_crop: {scale: [0.5, 80]}}", "defaults.augmentation[0].resized_crop.scale[1]",
     "less than or equal to 1, not 80"),
    (f"split: {SPLIT}", f"split: {SPLIT}\n  preprocess: {{›crop: 64}}", "defaults.preprocess.crop",
     "64 is more than the 32 pixels of an image; write 32 or less, or resize"),
    (f"split: {SPLIT}", f"split: {SPLIT}\n  preprocess: {{resize: 48, ›crop: 64}}",
     "defaults.preprocess.crop", "64 is more than the 48 pixels"),
    (SPLIT, "{validation: 1e-9}", "defaults.split.validation", "50,000 images leaves none for the valid"),
    (SPLIT, "{validation: 0.999999}", "defaults.split.validation", "leaves none for the training part"),
    (ADAM, "{name: sgd, lr: 0.1, momentum: 9}", "defaults.optimizer.momentum", "or equal to 1, not 9"),
    (ADAM, "{name: rmsprop, lr: 0.1, momentum: 90}", "defaults.optimizer.momentum", "not 90"),
    (BASE, f"{BASE}  study:\n{ASHA.format('›min_resource: 50')}        lr: {AXIS}\n    seeds: [0]\n",
     "experiments.study.asha.min_resource", "trials have 30 epochs, so none is judged before its last"),
    (BASE, f"{BASE}  study:\n{ASHA.format('›min_resource: 30')}        lr: {AXIS}\n    seeds: [0]\n",
     "experiments.study.asha.min_resource", "trials have 30 epochs"),
    (CELLS, "scales: {quick: {epochs: {min: 5, max: 3}}}\ncells:\n", "scales.quick.epochs",
     "min 5 is above max 3; swap them"),
    (REFERENCE, f"{REFERENCE}    ›y_limits: [1, 1]\n", "figures.curves.y_limits",
     "both ends are 1; give a smallest and a largest value"),
    (REFERENCE, f"{REFERENCE}    ›x_limits: [5, 5.0]\n", "figures.curves.x_limits", "both ends are 5"),
    # units
    (REFERENCE, "    ›reference: {value: 0.65, percent: true}\n", "figures.curves.reference",
     "0.65 is a share, and percent: true makes it 0.0065; write 65, or leave percent out"),
    (REFERENCE, '    ›reference: [{value: "0.5"}, {value: "0.65", percent: true}]\n',
     "figures.curves.reference", "0.65 is a share"),
    (REFERENCE, f"{REFERENCE}    ›y_limits: [0, 100]\n", "figures.curves.y_limits",
     "accuracy is a share, at most 1, not 0 to 100; write [0, 1]"),
    (REFERENCE, f"{REFERENCE}    ›y_limits: [40, 60]\n", "figures.curves.y_limits", "write [0.4, 0.6]"),
    (REFERENCE, f"{REFERENCE}    ›y_limits: [-2, 0]\n", "figures.curves.y_limits",
     "accuracy is 0 at least, and the axis ends at 0"),
    (REFERENCE, f"{REFERENCE}    ›x_limits: [50, 60]\n", "figures.curves.x_limits",
     "50 to 60, and the runs have epochs 1 to 30; write limits among those"),
    (CLASSES, '{base: {cat: "0.51"}}', "tables.by_class.reported.base.cat",
     "'0.51' is a share, and class accuracies here are percent; write 51"),
    (CLASSES, '{base: {deviation: "12.0", cat: "0.482"}}', "tables.by_class.reported.base.cat", "write 48.2"),
    # networks
    ("series: {base: base, faster: fast}", "series: [{runs: base, after: fast}]",
     "figures.curves.series[0].after", "base does not start from weights of rates/lr=1e-2; set its"),
    ("models:\n", "models:\n  ›other: {name: sequential, layers: [{flatten: true}, {dense: 7}]}\n",
     "models.other.layers[1]", "dense: its output of 7 is not 10 classes wide"),
    ("models:\n", "models:\n  ›other: {name: sequential, layers: [{conv: 8, kernel: 99}, {dense: 7}]}\n",
     "models.other.layers[0]", "conv: an image of 32 × 32 pixels is too small"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "words"), TRAPS)
def test_a_trap_is_one_mistake(tmp_path, capsys, old, new, place, words):
    file = tmp_path / "mini.yaml"
    content, line = with_mistake(old, new)
    file.write_text(content)
    (said,) = said_of(file, capsys)
    assert said.startswith(f"{line}: {place}: " if place else f"{line}: "), said
    assert words in said


SOUND = [
    (REFERENCE, f'{REFERENCE}    y_label: "# of errors"\n'),
    (REFERENCE, f"{REFERENCE}    y_label: errors  # 3 of them\n"),
    (REFERENCE, f"{REFERENCE}    y_label: C#1\n"),
    ("    series: {base: base, faster: fast}\n",
     "    series:   #two of them\n      - {runs: base, label: a, color: '#ff0000'}\n"),
    (BASE, "  base: {set: {schedule: , training.early_stop: null}}\n"),
    (GRID, axes("how: {path: schedule, values: {none: , cosine: {name: cosine}}}")),
    (EPOCHS, f"{EPOCHS}\n    early_stop: null"),
    (GRID, axes("how: {path: optimizer, values: {a: {name: sgd, lr: 1}, b: {name: adam, lr: 1}}}",
                f"lr: {AXIS}")),
    (GRID, axes(f"lr: {AXIS}", "how: {path: optimizer, values: {a: {name: sgd, lr: 1}}}", way="pointwise")),
    (BASE, "  base: {set: {optimizer: {name: sgd, lr: 0.2}, optimizer.lr: 0.1}}\n"),
    (GRID, axes("lr: {path: optimizer.lr, values: {low: 1e-3, high: 1e-2}}")),
    (BASE, f"{BASE}  child: {{seeds: [1], set: {{initial_weights: {{from: base}}}}}}\n"),
    (BASE, "  base: {}\n  one: {seeds: [5]}\n  child: {set: {initial_weights: {from: one}}}\n"),
    ("{flip: 0.5}", "{resized_crop: {scale: [1, 1], ratio: [1, 1]}}"),
    ("{flip: 0.5}", "{resized_crop: {}}"),
    (f"split: {SPLIT}", f"split: {SPLIT}\n  preprocess: {{resize: 64, crop: 48}}"),
    (SPLIT, "{validation: 0.01}"),
    (ADAM, "{name: sgd, lr: 0.1, momentum: 0.99}"),
    (REFERENCE, "    reference: {value: 1, percent: true}\n"),
    (REFERENCE, f"{REFERENCE}    y_limits: [0, 1.05]\n"),
    (CLASSES, '{base: {cat: "0.5"}}'),
    ("models:\n", "models:\n  other: {name: sequential, layers: [{flatten: true}, {dense: classes}]}\n"),
    ("models:\n", "models:\n  part: {name: sequential, layers: [{flatten: true}]}\n"
     "  other: {base: part, layers: [{flatten: true}, {dense: classes}]}\n"),
]  # fmt: skip


SAYS_OF_RATES = REPORT[REPORT.index("cells:\n") :]
"""What the report says of cells that are not there with other axes."""


@pytest.mark.parametrize(("old", "new"), SOUND)
def test_what_is_like_a_trap_is_none(tmp_path, capsys, old, new):
    file = tmp_path / "mini.yaml"
    assert old in REPORT
    content = REPORT.replace(SAYS_OF_RATES, "") if old == GRID else REPORT
    file.write_text(content.replace(old, new, 1))
    main(["check", str(file)])
    assert capsys.readouterr().out.count(" runs, ") == 3


def test_a_series_may_go_on_after_the_runs_whose_weights_it_starts_from(tmp_path, capsys):
    content = REPORT.replace(BASE, f"{BASE}  child: {{set: {{initial_weights: {{from: base}}}}}}\n")
    file = tmp_path / "mini.yaml"
    file.write_text(content.replace("{base: base, faster: fast}", "[{runs: child, after: base}]"))
    main(["check", str(file)])
    assert capsys.readouterr().out.count(" runs, ") == 3


def test_the_seed_of_a_run_is_known_where_a_part_of_it_is_fixed(tmp_path):
    experiments = f"{BASE}  child: {{set: {{initial_weights: {{from: base}}}}}}\n"
    file = tmp_path / "mini.yaml"
    file.write_text(
        REPORT.replace(SEEDS, f"{SEEDS}\n  fixed_seeds: {{init: 0, split: 1}}").replace(BASE, experiments)
    )
    report = Report(file)
    parents = [run.parent for run in report.cells("child")[0].members]
    assert parents == list(report.cells("base")[0].runs)
    assert len(set(parents)) == 3


def test_a_network_that_fits_the_images_of_another_experiment_is_none(tmp_path, capsys):
    other = "  other: {name: sequential, layers: [{flatten: true}, {dense: 2}]}\n"
    file = tmp_path / "mini.yaml"
    content = REPORT.replace("models:\n", f"models:\n{other}", 1)
    two = "  two: {set: {dataset.classes: [cat, dog]}}\n"
    file.write_text(content.replace(BASE, f"{BASE}{two}"))
    main(["check", str(file)])
    assert capsys.readouterr().out.count(" runs, ") == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("more.YAML", "not read; rename it to more.yaml"),
        ("more.Yml", "not read; rename it to more.yaml"),
        ("more.YML", "not read; rename it to more.yaml"),
        ("sub/more.yaml", "not read; move it up to"),
        ("sub/more.yml", "not read; move it up to"),
        ("sub/below/more.YAML", "not read; move it up to"),
    ],
)
def test_a_file_in_the_folder_of_a_report_that_is_not_read_is_named(tmp_path, capsys, name, words):
    folder = tmp_path / "mini"
    (folder / name).parent.mkdir(parents=True)
    (folder / "mini.yaml").write_text(REPORT)
    (folder / name).write_text("statements: []\n")
    with pytest.raises(RepriseError, match=words) as error:
        Report(folder)
    assert str(error.value).startswith(f"{folder / name}:1: ")


@pytest.mark.parametrize("name", ["more.YAML", "other/more.yml", "other/more.YAML"])
def test_a_report_that_is_not_read_is_named(tmp_path, capsys, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(REPORT)
    assert report_files(tmp_path) == {}
    said = capsys.readouterr().err
    assert (
        said
        == f"reprise: {tmp_path / name}: not read, since report files end in .yaml; rename it to more.yaml\n"
    )


def test_a_file_whose_suffix_is_in_capitals_is_refused(tmp_path):
    (tmp_path / "more.YAML").write_text(REPORT)
    with pytest.raises(
        RepriseError, match=r"more\.YAML: report files end in \.yaml; rename it to more\.yaml"
    ):
        Report(tmp_path / "more.YAML")
