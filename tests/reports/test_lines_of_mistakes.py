"""Every mistake in a report file is one line that names the line on which it stands, and the nearest word.

Each case is the report below with one text replaced by another; the error must name the line of that other
text, wherever the mistake is found: in the schema, in the expansion, or when results are pretended.
"""

import re

import pytest

from reprise.checking import check_report
from reprise.errors import RepriseError
from reprise.reports.report import SCALES, Report

REPORT = """\
title: A small network on CIFAR-10
assumptions:
  - "Padding is not stated; 'same' is used."
  - {says: "Rates are decimal.", affects: [base, rates/lr=1e-2]}
models:
  small:
    name: sequential
    layers:
      - &features
        - {conv: 8, kernel: 3, padding: same, activation: relu, name: first}
        - {pool: max, size: 2}
        - - {dropout: 0.1}
      - {flatten: true}
      - {dense: 84, activation: relu, name: f6}
      - {dense: classes}
  wide:
    base: small
    width: 2
  deep:
    name: sequential
    layers:
      - *features
      - {conv: 16}
      - {flatten: true}
      - {dense: classes}
defaults:
  dataset: {name: cifar10, labels: label}
  split: {validation: 0.2}
  preprocess: {normalize: train}
  augmentation:
    - {flip: 0.5}
    - {rotation: 10}
  model: small
  optimizer: {name: adam, lr: 1e-3}
  schedule: {name: step, step: 10, gamma: 0.5}
  training:
    epochs: 30
    batch_size: 128
    select: best_accuracy
    early_stop: {monitor: loss, patience: 5}
  seeds: [0, 1, 2]
experiments:
  base: {}
  rates:
    base: base
    set:
      model.layers.f6.dense: 42
    grid:
      lr: {path: optimizer.lr, values: [1e-2, 1e-3]}
      size:
        path: training.batch_size
        values: [32, 64]
  sweep:
    pointwise:
      decay: {path: optimizer.weight_decay, values: [1e-4, 1e-3]}
  tuned:
    base: rates
    set: {model: wide}
  search:
    random:
      trials: 3
      seed: 1
      space:
        lr: {path: optimizer.lr, values: [1e-2, 1e-3, 1e-4]}
        size: {path: training.batch_size, values: [32, 64]}
  study:
    seeds: [0]
    asha:
      trials: 4
      min_resource: 1
      reduction_factor: 2
      space:
        lr: {path: optimizer.lr, log_uniform: [1e-4, 1e-2]}
  read:
    readings:
      as_ran: {optimizer.lr: 1e-2}
      as_written: {optimizer.lr: 1e-3}
scales:
  quick:
    seeds: 1
    epochs: {max: 5}
    experiments:
      search: {trials: 2}
  demo:
    seeds: 2
    epochs: {max: 2}
cells:
  fast: rates/lr=1e-2,size=32
  slow: {runs: "rates/lr=1e-3,size=32", label: slow one}
  winner: {runs: rates, pick: best}
measures:
  final: accuracy(split="validation", at="last")
figure_defaults:
  curves: {splits: [train, validation]}
figures:
  - id: images
    kind: samples
    caption: One training image of each class.
    images:
      dataset: cifar10
      by: label
      captions: [label]
  - id: curves
    kind: curves
    caption: Accuracy over each epoch.
    metric: accuracy
    series: {base: base, faster: fast}
    reference: "0.65"
  - id: losses
    base: curves
    metric: loss
    reference: []
  - repeat:
      - {n: 1, title: Cats, animal: cat}
      - {n: 2, title: Dogs, animal: dog}
    id: figure_{n}
    kind: samples
    caption: "Class: {title}."
    images:
      dataset: cifar10
      where: {label: "{animal}"}
      captions: [label]
  - id: network
    kind: diagram
    caption: The network.
    network: small
    mark: [f6]
  - id: bars
    kind: bars
    caption: The sweep.
    runs: sweep
    metric: accuracy
  - id: heat
    kind: heatmap
    caption: The grid.
    runs: rates
    rows: lr
    columns: size
    metric: accuracy
  - id: classes
    kind: classes
    caption: Classes.
    models: {winner: winner, base: base}
tables:
  - id: layers
    kind: layers
    caption: The network, layer by layer.
    networks: [small]
  - id: base_run
    kind: settings
    caption: The base run.
    runs: base
    rows:
      - {label: Learning rate, setting: optimizer.lr, reported: 1e-3}
      - - {label: Accuracy, metric: accuracy, reported: "0.65"}
        - {label: Loss, metric: loss, reported: "1.10"}
  - id: compared
    kind: comparison
    caption: Compared.
    models: {base: base, slow: slow}
    rows:
      - {label: Accuracy, metric: accuracy, reported: [0.65, null]}
  - id: rates_table
    kind: trials
    caption: Learning rates, the best first.
    runs: rates
    metric: accuracy
    reported: {lr: 1e-3, size: 32}
  - id: space
    kind: space
    caption: The space.
    experiment: rates
statements:
  - {number: last_accuracy, reported: "0.63", measure: final(base), source: Section 2,
     says: "at the last epoch the base network is at .63"}
  - claim: slower_is_better
    says: a learning rate of 1e-3 is better than 1e-2
    holds:
      - accuracy(slow) > accuracy(fast)
      - final(slow) > final(fast)
  - repeat:
      - {animal: cat}
      - {animal: dog}
    claim: winner_{animal}
    says: "The winner tells {animal}s."
    holds: class_accuracy(winner, "{animal}") > 0.1
"""

# replaced, by, words of the error; › begins what must stand on the line that is named (else all of it)
MISTAKES = [
    # settings: where they are given, not where they are found wrong
    ("labels: label}", "labels: lable}", "did you mean label?"),
    ("validation: 0.2", "validation: official", "has no validation part"),
    ("validation: 0.2", "validation: 20", "should be test, official or a share between 0 and 1, not 20"),
    ("  model: small\n", "  model: smal\n", "no model smal; did you mean small?"),
    ("  model: small\n", "  model: 3\n", "should be the name of one of models, or a network"),
    ("f6.dense: 42", "f7.dense: 42", "no element f7"),
    ("f6.dense: 42", "f6.desne: 42", "did you mean dense?"),
    ("f6.dense: 42", "f6.dense: many", "not 'many'"),
    ("model.layers.f6.dense: 42", "modle.layers.f6.dense: 42", "modle: unknown key; did you mean model?"),
    ("model.layers.f6.dense: 42", "model.layers.*.activation: rleu", "did you mean relu?"),
    ("set: {model: wide}", "set: {model: wied}", "no model wied; did you mean wide?"),
    ("set: {model: wide}", "set: {optimizer.momentum: 0.9}", "optimizer.momentum: unknown key for adam"),
    ("set: {model: wide}", "set: {optimizer: {name: sdg, lr: 1}}", "did you mean sgd?"),
    ("set: {model: wide}", "set: {training.epochs: null}", "key epochs is missing"),
    ("set: {model: wide}", "set: {initial_weights.from: bsae}", "did you mean base?"),
    ("set: {model: wide}", "set:\n      model: wide\n      ›initial_weights.from: rates/rl=1", "no axis rl"),
    ("{path: optimizer.lr, values: [1e-2, 1e-3]}", "{path: optimizer.lrr, values: [1e-2]}", "mean lr?"),
    (
        "{path: optimizer.lr, values: [1e-2, 1e-3]}",
        "{path: optimizer.lr, values:\n [1e-2,\n ›fast]}",
        "'fast'",
    ),
    (
        "{path: optimizer.lr, values: [1e-2, 1e-3]}",
        "{path: optimizer.lr, values: [null]}",
        "true or false, not null",
    ),
    ("as_ran: {optimizer.lr: 1e-2}", "as_ran: {optimizer.lrr: 1e-2}", "did you mean lr?"),
    ("as_written: {optimizer.lr: 1e-3}", "as_written: {optimizer.lr: -1}", "greater than 0, not -1"),
    ("    seeds: 2\n", "    seeds: 2\n    ›set: {optimizer.lr: -1}\n", "greater than 0, not -1"),
    ("    seeds: 2\n", "    seeds: 2\n    ›set: {modle.width: 1}\n", "did you mean model?"),
    ("search: {trials: 2}", "search: {set: {training.batch_size: 0}}", "not 0"),
    ("search: {trials: 2}", "rates: {only: [lr=5]}", "only[0]: selector 'rates/lr=5': lr is never 5"),
    # assumptions
    ("affects: [base,", "affects: [bsae,", "no cells, figure, table or statement bsae; did you mean base?"),
    ("affects: [base,", "affects: [slower_is_bette,", "did you mean slower_is_better?"),
    ("affects: [base, rates/lr=1e-2]", "affects: [rates/rl=1]", "no axis rl"),
    ("affects: [base, rates/lr=1e-2]", "affects: [base, base]", "twice"),
    ("affects: [base, rates/lr=1e-2]", "affects: base", "list"),
    ("affects: [base, rates/lr=1e-2]", "afects: [base]", "did you mean affects?"),
    ('{says: "Rates are decimal.", affects', "{affects", "says"),
    # the defaults of figures
    ("curves: {splits: [train, validation]}", "curves: {splits: [trian]}", "did you mean train?"),
    ("curves: {splits: [train, validation]}", "curves: {splits: null}", "not null"),
    ("curves: {splits: [train, validation]}", "curves: {splits: [test]}", "no history of split 'test'"),
    # figures
    ("dataset: cifar10\n      by", "›dataset: cifar01\n      by", "did you mean cifar10?"),
    ("by: label", "by: lable", "did you mean label?"),
    ("captions: [label]", "captions: [labl]", "did you mean label?"),
    ("{base: base, faster: fast}", "{base: base, faster: fst}", "did you mean fast?"),
    ("{base: base, faster: fast}", "{base: base, w: rates/lrr=1}", "did you mean lr?"),
    (
        "{base: base, faster: fast}",
        "\n      - base\n      - {label: x,\n         ›runs: fst}",
        "did you mean fast?",
    ),
    ("{base: base, faster: fast}", "\n      - runs: base\n        ›color: blu", "colour 'blu' is unknown"),
    ('reference: "0.65"', "reference: {value: 1, color: gren}", "colour 'gren' is unknown"),
    (
        'reference: "0.65"',
        "reference: {value: 1, colour: green}",
        "curves.reference.colour: unknown key; did you mean color?",
    ),
    (
        'reference: "0.65"',
        "reference:\n      label: x\n      ›value: abc",
        "curves.reference.value: 'abc' does not have the form: a number",
    ),
    ('reference: "0.65"', "›reference:\n      label: x", "curves.reference: needs a value or a statement"),
    ('reference: "0.65"', "panels: splt", "did you mean split?"),
    ("network: small\n", "network: smal\n", "did you mean small?"),
    ("mark: [f6]", "mark: [f7]", "no layer f7"),
    ("runs: sweep\n", "runs: sweeep\n", "did you mean sweep?"),
    ("runs: sweep\n", "runs: sweep\n    ›axes: [deacy]\n", "did you mean decay?"),
    ("runs: sweep\n    metric: accuracy", "runs: sweep\n    ›metric: acuracy", "did you mean accuracy?"),
    ("rows: lr\n", "rows: rl\n", "no axis rl"),
    ("{winner: winner, base: base}", "{winner: winer}", "did you mean winner?"),
    ("{winner: winner, base: base}", "{base: base}\n    ›mark: [act]", "did you mean cat?"),
    # tables
    ("networks: [small]", "networks: [smal]", "did you mean small?"),
    ("setting: optimizer.lr,", "setting: optimizer.lrr,", "did you mean optimizer.lr?"),
    ('metric: loss, reported: "1.10"', "metric: loss, reported: low", "'low', reported beside a metric"),
    ("reported: [0.65, null]", "reported: [0.65]", "1 reported, of 2 models; write one for each"),
    ("reported: [0.65, null]", "reported: {bsae: 0.65}", "did you mean base?"),
    ("reported: {lr: 1e-3, size: 32}", "reported: {rl: 1e-3}", "no axis rl"),
    ("experiment: rates", "experiment: rats", "did you mean rates?"),
    # statements
    ("- final(slow) > final(fast)", "- final(slow) > final(fsat)", "did you mean fast?"),
    ("- final(slow) > final(fast)", "- final(slow", "was never closed"),
    # words
    ("width: 2", "width: true", "not true"),
    ("- {flatten: true}", "- {flatten: false}", "false is not valid; leave it out"),
    ("- id: network", "- id: net work", "does not have the form: lower-case letters"),
    ("- *features", "- *feature", "undefined alias *feature; did you mean features?"),
    (
        "    layers:\n      - &features",
        "    ›layers:\n      - {conv: 3, name: f6}\n      - &features",
        "two layers are called f6",
    ),
]


def check_at_every_scale(file):
    for scale in SCALES:
        check_report(Report(file, scale))


def test_the_report_is_sound(tmp_path):
    file = tmp_path / "mini.yaml"
    file.write_text(REPORT)
    check_at_every_scale(file)


@pytest.mark.parametrize(("old", "new", "words"), MISTAKES)
def test_a_mistake_is_found_on_its_line(tmp_path, old, new, words):
    file = tmp_path / "mini.yaml"
    assert old in REPORT
    marked = REPORT.replace(old, f"›{new}" if "›" not in new else new, 1)
    line = marked[: marked.index("›")].count("\n") + 1
    file.write_text(marked.replace("›", ""))
    with pytest.raises(RepriseError) as error:
        check_at_every_scale(file)
    said = str(error.value)
    assert said.startswith(f"{file}:{line}: "), said
    assert words in said
    assert "\n" not in said
    assert not re.search(r"pydantic|Input|None|True|False", said)
