"""What people get wrong in report files, as `reprise check` says it: every mistake at once, a line each, with
file and line, in the words of the person who wrote the file.

A case is the report below with one text replaced by another. The line named is that on which the other text
begins, or its part after `›`.
"""

import re
import subprocess
import sys

import pytest
import yaml

from reprise.cli import main
from reprise.errors import RepriseError
from reprise.reports.report import Report

REPORT = """\
title: A small network on CIFAR-10
models:
  small:
    name: sequential
    layers:
      - {conv: 8, kernel: 3, padding: same, activation: relu}
      - {pool: max, size: 2}
      - {flatten: true}
      - {dense: 84, name: f6}
      - {activation: relu}
      - {dense: classes}
defaults:
  dataset: {name: cifar10, labels: label}
  split: {validation: 0.2}
  augmentation:
    - {flip: 0.5}
  model: small
  optimizer: {name: adam, lr: 1e-3}
  training:
    epochs: 30
    batch_size: 128
    select: best_accuracy
  seeds: [0, 1, 2]
experiments:
  base: {}
  rates:
    grid:
      lr: {path: optimizer.lr, values: [1e-2, 1e-3]}
cells:
  fast: rates/lr=1e-2
  slow: rates/lr=1e-3
measures:
  final: accuracy(split="validation", at="last")
figures:
  - id: curves
    kind: curves
    caption: Accuracy over each epoch.
    metric: accuracy
    splits: [train, validation]
    series: {base: base, faster: fast}
    reference: "0.65"
tables:
  - {id: layers, kind: layers, caption: "Layers.", networks: [small]}
  - id: base_run
    kind: settings
    caption: The base run.
    runs: base
    rows:
      - {label: Learning rate, setting: optimizer.lr, reported: 1e-3}
      - {label: Accuracy, metric: accuracy, reported: "0.65"}
  - id: by_class
    kind: classes
    caption: Classes.
    models: {base: base}
    reported: {base: {cat: "51.0", dog: "48.2"}}
statements:
  - number: last_accuracy
    reported: "0.63"
    measure: final(base)
    source: Section 2
    says: at the last epoch the base network is at .63
  - claim: slower_is_better
    says: a learning rate of 1e-3 is better than 1e-2
    holds: accuracy(slow) > accuracy(fast)
  - number: parameters
    reported: "173110"
    measure: parameters(base)
"""
CLAIM, NUMBER, COUNT = "accuracy(slow) > accuracy(fast)", 'reported: "0.63"', "measure: parameters(base)"
SEEDS, EPOCHS, ADAM, TITLE = "seeds: [0, 1, 2]", "epochs: 30", "{name: adam, lr: 1e-3}", "title: A small"
LAYERS = "valid: 1_conv, 2_pool, 3_flatten, 4_dense (f6), 5_dense"

MISTAKES = [
    # what other frameworks call it
    ("lr: 1e-3}", "learning_rate: 1e-3}", "unknown key for adam; did you mean lr?"),
    ("batch_size: 128", "batchsize: 128", "did you mean batch_size?"),
    (EPOCHS, "nepochs: 30", "did you mean epochs?"),
    (EPOCHS, "num_epochs: 30", "did you mean epochs?"),
    (ADAM, "{name: adam, lr: 1e-3, weightdecay: 0.1}", "did you mean weight_decay?"),
    (ADAM, "{name: sgd, lr: 1e-3, momentum_: 0.9}", "did you mean momentum?"),
    (ADAM, "{name: adam, lr: 1e-3, epsilon: 1e-7}", "did you mean eps?"),
    (ADAM, "{name: adam, lr: 1e-3, beta_1: 0.9}", "did you mean betas?"),
    ("split: {validation: 0.2}", "split: {validation_split: 0.2}", "did you mean validation?"),
    ("{flip: 0.5}", "{RandomHorizontalFlip: 0.5}", "valid: "),
    ("{flip: 0.5}", "{horizontal_flip: 0.5}", "did you mean flip?"),
    ("augmentation:\n", "transforms:\n", "did you mean augmentation?"),
    (SEEDS, "random_state: 0", "did you mean seeds?"),
    ("kernel: 3", "kernel_size: 3", "did you mean kernel?"),
    ("{conv: 8,", "{conv2d: 8,", "did you mean conv?"),
    ("- {flatten: true}", "- {dropout_rate: 0.5}\n      - {flatten: true}", "did you mean dropout?"),
    ("{dense: 84,", "{linear: 84,", "did you mean dense?"),
    ("  optimizer: {", "  optimiser: {", "did you mean optimizer?"),
    ("batch_size: 128", "batch_size: 128\n    ›lr: 0.1", "lr belongs under optimizer"),
    ("name: adam,", "name: Adam,", "did you mean adam?"),
    ("name: cifar10", "name: CIFAR-10", "did you mean cifar10?"),
    ("activation: relu}\n      - {pool", "activation: ReLU}\n      - {pool", "did you mean relu?"),
    # what there is not
    ("name: adam,", "name: lion,", "'lion' is no optimizer; valid: adam, adamw, sgd, rmsprop"),
    ("name: cifar10", "name: mnist", "'mnist' is no data set; valid: cifar10"),
    ("labels: label}", "labels: fine}", "cifar10 has no labels of kind 'fine'; valid: label"),
    ("  model: small\n", "  model: smal\n", "no model smal; did you mean small?"),
    ("name: sequential", "name: resnet50", "is no family of networks; did you mean resnet?"),
    ("kind: curves", "kind: curve", "is no kind of figure; did you mean curves?"),
    ("kind: settings", "kind: setting", "is no kind of table; did you mean settings?"),
    ("metric: accuracy\n    splits", "metric: acc\n    splits", "valid: loss, accuracy, gap"),
    ("[train, validation]", "[train, val]", "did you mean validation?"),
    ("[train, validation]", "[train, test]", "no history of split 'test'; valid: train, validation"),
    ("networks: [small]", "networks: [smal]", "did you mean small?"),
    ("metric: accuracy, reported", "metric: acuracy, reported", "did you mean accuracy?"),
    ("setting: optimizer.lr", "setting: optimizer.rl", "did you mean optimizer.lr?"),
    ("label: Accuracy, metric", "lable: Accuracy, metric", "did you mean label?"),
    ("measure: final(base)", "measure: final(bas)", "did you mean base?"),
    ("measure: final(base)", "measure: finl(base)", "did you mean final?"),
    ("measure: final(base)", "measure: final(small)", "small is a model; name what trains it, such as base"),
    ("measure: final(base)", "measure: accuracy(rates)", "rates names 2 configurations; write mean("),
    ("fast: rates/lr=1e-2", "fast: rates/lr=1e-4", "lr is never 1e-4; did you mean 0.001?"),
    ("path: optimizer.lr,", "path: optimizer.rate,", "unknown key for adam"),
    ("    grid:\n", "    gird:\n", "did you mean grid?"),
    ("experiments:\n", "experiment:\n", "did you mean experiments?"),
    ("defaults:\n", "default:\n", "did you mean defaults?"),
    ("title: A", "tilte: A", "did you mean title?"),
    ("cells:\n", "follows: {a: parameters}\ncells:\n", "no statement is called 'a'"),
    ("cells:\n", "outline: [{section: A, shows: [curve]}]\ncells:\n", "did you mean curves?"),
    ("cells:\n", "scales: {quik: {}}\ncells:\n", "did you mean quick?"),
    ("cells:\n", "scales: {quick: {experiments: {rates: {only: [lr=5]}}}}\ncells:\n", "lr is never 5"),
    # shortened words, of which one or several can be meant
    ("select: best_accuracy", "select: best", "did you mean best_accuracy or best_loss?"),
    ("measure: final(base)", "measure: acc(base)", "no metric or measure 'acc'; did you mean accuracy?"),
    # other things of much the same name
    ("activation: relu}\n      - {pool", "activation: gelu}\n      - {pool", "valid: relu, tanh, sigmoid"),
    ("activation: relu}\n      - {pool", "activation: elu}\n      - {pool", "valid: relu, tanh, sigmoid"),
    ("name: adam,", "name: nadam,", "'nadam' is no optimizer; valid: adam, adamw, sgd, rmsprop"),
    ("name: adam,", "name: adamax,", "'adamax' is no optimizer; valid: adam, adamw, sgd, rmsprop"),
    # layers are called as the table shows them
    (COUNT, 'measure: parameters(base, layer="3_dense")', f"no layer 3_dense; {LAYERS}"),
    (COUNT, 'measure: parameters(base, layer="0_conv")', f"no layer 0_conv; {LAYERS}"),
    (COUNT, 'measure: parameters(base, layer="f66")', f"did you mean f6? {LAYERS}"),
    (COUNT, 'measure: parameters(base, layer="2_pool")', "layer 2_pool has no parameters; those that have"),
    # values of the wrong type
    ("batch_size: 128", "batch_size: 0", "greater than or equal to 1, not 0"),
    (EPOCHS, "epochs: -3", "greater than or equal to 1, not -3"),
    (EPOCHS, "epochs: 30.0", "should be a whole number, not 30.0; write 30"),
    (EPOCHS, 'epochs: "30"', "leave the quotes out"),
    (EPOCHS, "epochs: 1,000", "or 1000 if the comma parts thousands"),
    ("lr: 1e-3}", "lr: fast}", "should be a number, not 'fast'"),
    (SEEDS, "seeds: 3", "should be a list, not 3; write [3]"),
    (SEEDS, 'seeds: ["0", 1]', "not '0'; leave the quotes out"),
    (SEEDS, "seeds: [0, 0]", "0 stands twice; leave one out"),
    (SEEDS, "seeds:", "should be a list, not null; write the value after the colon"),
    (SEEDS, "seeds: [010]", "010 begins with 0, which some read"),
    (ADAM, "adam", "should be a mapping, not 'adam'; write {name: adam, …}"),
    (ADAM, "{name: sgd, lr: 1, nesterov: yes, momentum: 1}", "not 'yes'; write true"),
    ("split: {validation: 0.2}", "split: test", "not 'test'; write {validation: test}"),
    ("split: {validation: 0.2}", "split: {validation: 20%}", "not '20%'; write the share, 0.2"),
    ("{flip: 0.5}", "flip", "not 'flip'; write {flip: …}"),
    ("- {flatten: true}", "- flatten", "not 'flatten'; write {flatten: true}"),
    ("- {dense: classes}", "- {dense: classes, activation: softmax}", "softmax is part of the loss"),
    ("- {dense: classes}", "- {dense: classes}\n      ›- {activation: softmax}", "part of the loss"),
    ("  base: {}\n", "  base:\n", "should be a mapping, not null; write {}"),
    ("  base: {}\n", "  base: [a]\n", "write key: value, without the dashes"),
    ("values: [1e-2, 1e-3]", "values: 1e-2", "should be a list or a mapping, not 0.01; write [0.01]"),
    ("splits: [train, validation]", "splits: train", "should be a list, not 'train'; write [train]"),
    ("id: curves", "id: Figure 1", "digits and _, no _ first; write figure_1"),
    ("statements:\n", "assumptions: {a: b}\nstatements:\n", "write a list, with - before each item"),
    ("id: curves\n    kind: curves\n    caption: Accuracy over each epoch.", "id: curves\n    kind: curves",
     "key caption is missing (found: id, kind"),
    ("kernel: 3", "kernel: [3, 3]", "should be a whole number, not [3, 3]; write 3"),
    (EPOCHS, "epochs: [30]", "should be a whole number, not [30]; write 30"),
    (SEEDS, "seeds: 0-2", "should be a list, not '0-2'; write [0, 1, 2]"),
    (TITLE, f"authors: [A. One, B. Two]\n{TITLE}", 'write one text: "A. One, B. Two"'),
    ("{path: optimizer.lr, values: [1e-2, 1e-3]}", "[1e-2, 1e-3]", "write {path: …, values: [0.01, 0.001]}"),
    ("values: [1e-2, 1e-3]", "values: [1e-2, 0.01]", "0.01 stands twice; leave one out"),
    ("    grid:\n      lr: {path: optimizer.lr, values: [1e-2, 1e-3]}",
     "    random:\n      trials: 2\n      space:\n"
     "        ›lr: {path: optimizer.lr, log_uniform: [1e-3, 1e-2]}",
     "a range is for asha alone, so list the values here"),
    ("cells:\n", "scales: {quick: {epochs: 1}}\ncells:\n", "not 1; it takes factor, min, max"),
    ('reference: "0.65"', 'reference: "0.65"\n    ›y_limits: [1, 0]', "is the smaller one; write [0, 1]"),
    ('reference: "0.65"', 'reference: "0.65"\n    ›x_limits: [1]', "has 1 item, and should have at least 2"),
    ("models: {base: base}", "models: [base]", "not 'base'; write {label: …, runs: base}"),
    ("{flip: 0.5}", "{flip: true}", "should be a number, not true; write how much, such as 0.5"),
    ("{flip: 0.5}", "{crop: true}", "should be a whole number, not true; write how much, such as 4"),
    ("{flip: 0.5}", "{jitter: {hue: false}}", "should be a number, not false; leave it out"),
    ("caption: Accuracy over each epoch.", "caption: #1 of all", "# begins a comment, so put the text in"),
    (TITLE, "title: #1 small", "not null; # begins a comment, so put the text in quotes"),
    ("series: {base: base, faster: fast}", "series: [{runs: base}, {runs: fast}]",
     "two series have no label; give each a label of its own"),
    # numbers that a report states
    (NUMBER, "reported: 0.63", 'should be a text, not 0.63; put it in quotes: "0.63"'),
    ('reported: "173110"', "reported: 173110", 'put it in quotes: "173110"'),
    ('reported: "173110"', 'reported: "173,110"', "write '173110'"),
    (NUMBER, 'reported: "0.5%"', "or a bound, such as > 0.7; write '0.5'"),
    (NUMBER, 'reported: "over 0.63"', "write '> 0.63'"),
    (NUMBER, 'reported: "at least 0.63"', "write '>= 0.63'"),
    (NUMBER, 'reported: "≈ 0.63"', "write '0.63', and about: beside it"),
    (NUMBER, 'reported: "0.63 ± 0.01"', "write '0.63', and about: 0.01 beside it"),
    (NUMBER, 'reported: "0.62-0.65"', "write a claim that holds 0.62 < … < 0.65"),
    (NUMBER, "reported: “0.63”", 'write it in straight quotes: "0.63"'),
    ('reported: "173110"', 'reported: "1,296"', "write '1296' if the comma parts thousands, or '1.296'"),
    (NUMBER, "reported: >= 0.63", 'begins with > needs quotes around it: ">= 0.63"'),
    (NUMBER, 'reported: "63"', "'63' is reported, and what is measured lies between 0 and 1; write 0.63"),
    ('reported: "0.65"}', 'reported: "65"}', "write 0.65, or multiply what is measured by 100"),
    (f"{NUMBER}\n    measure: final(base)", f"{NUMBER}\n    measure: 100 * accuracy(base)",
     "a share, and what is measured is percent; write 63"),
    ('{cat: "51.0", dog: "48.2"}', '{cat: "0.51", dog: "0.482"}', "'0.51' is a share, and class accuracies"),
    ('{cat: "51.0", dog: "48.2"}', '{cta: "51.0", dog: "48.2"}', "did you mean cat?"),
    ('{cat: "51.0", dog: "48.2"}', '{cat: 51.0, dog: "48.2"}', "put it in quotes"),
    ('reference: "0.65"', "reference: 65", "write 0.65, or add percent: true"),
    ("measure: final(base)", "value: final(base)", "did you mean measure?"),
    # expressions
    (CLAIM, "accuracy(slow) > 70", "write 0.7, or multiply what is measured by 100"),
    (CLAIM, "accuracy(slow) > 70%", "'%': write a share, such as 0.7"),
    (CLAIM, "100 * accuracy(slow) > 0.7", "write 70, or do not multiply by 100"),
    (CLAIM, "accuracy(slow) - accuracy(fast) > 2", "write 0.02, or multiply"),
    (CLAIM, "within(accuracy(slow), 70, 1)", "write 0.7"),
    ("measure: final(base)", 'measure: accuracy(base, split="validation", at=31)',
     "base trains 30 epochs, so it has no at=31; write at=30 or less"),
    (CLAIM, 'accuracy(slow, split="train", at=1) > accuracy(fast, split="train", at=50)',
     "rates/lr=0.01 trains 30 epochs, so it has no at=50; write at=30 or less"),
    ("measure: final(base)", 'measure: accuracy(base, split="test", at=2)',
     "statements.last_accuracy.measure: base: no history of split 'test', only train, validation"),
    (CLAIM, "accuracy(slow) => accuracy(fast)", "column 16: '=>': write >="),
    (CLAIM, "accuracy(slow) ≥ accuracy(fast)", "'≥': write >="),
    (CLAIM, "accuracy(slow) ≈ accuracy(fast)", "'≈': write within(a, b, margin)"),
    (CLAIM, "accuracy(slow) == accuracy(fast)", "of two values, write within(a, b, margin)"),
    (CLAIM, "accuracy(slow) = accuracy(fast)", "'=': of two values, write within(a, b, margin)"),
    (CLAIM, "accuracy(slow) != accuracy(fast)", "'!=' is not known; write < or >"),
    (CLAIM, "accuracy(slow) && accuracy(fast)", "'&&': write and"),
    (CLAIM, "accuracy(slow > fast", "'(' was never closed"),
    (CLAIM, "accuracy(slow)", "is a value, not a comparison; compare it"),
    (CLAIM, "accuracy(slow) > 0.7 ^ 2", "column 18: '^' is not known"),
    (CLAIM, "accuracy(slow) > 0.1 | accuracy(fast) > 0.1", "'|' is not known; write or"),
    # statements and their ids
    ("claim: slower_is_better", "claim: last_accuracy", "two statements cannot have one id, so rename one"),
    ("claim: slower_is_better", "claim: Slower is better", "write slower_is_better"),
    ("claim: slower_is_better", "clam: slower_is_better", "did you mean claim?"),
    ("id: base_run", "id: curves", "ids differ among figures and tables"),
    # YAML
    (TITLE, "title: B\n›title: A small", "key 'title' stands twice, on line 1 too; keep one of them"),
    ("says: at the last", "says: at: the last", "a text with ': ' in it needs quotes around it"),
    ("caption: Accuracy over", "caption: Accuracy: over", "a text with ': ' in it needs quotes around it"),
    (TITLE, "title: @A small", "a text that begins with @ needs quotes around it"),
    (TITLE, "title: 'A small", "the quote that opens here is not closed"),
    (TITLE, "title: *A small", "a text that begins with * needs quotes around it"),
    (TITLE, "title:A small", "has no space after its colon"),
    (TITLE, "title: [A small", "the [ that opens here is not closed"),
    (TITLE, "title: !A small", "!A is a YAML tag, and none is known here"),
    ("  dataset: {", "\tdataset: {", "a tab; indent with spaces"),
    ("  dataset: {", " dataset: {name: cifar10, labels: label}\n  ›other: {", "line up the keys"),
    ('says: a learning rate of', 'says: "a" learning rate of', "stands after the closing quote"),
    (ADAM, "{name: adam, lr: 0,001}", "a comma ends a value in braces; write 0.001 with a point"),
    (ADAM, "{name: adam, eps: 1e-7, lr: 1,5}", "a comma ends a value in braces; write 1.5 with a point"),
    ("{conv: 8,", "{conv: 1,024,", "or 1024 if the comma parts thousands"),
    ("networks: [small]}", "networks: [small], source: Table 1, left half}", "put that text in quotes"),
    ("label: Accuracy, metric: accuracy", "label: Mean, of (all), metric: accuracy",
     "put that text in quotes"),
    ("label: Accuracy,", "label: > 0.5,", "begins with > needs quotes around it"),
    ("series: {base: base, faster: fast}", "series: {base: base, faster: rates[lr=1e-2]}",
     'a bracket in it needs quotes around it: "rates[lr=1e-2]"'),
    (TITLE, 'title: "A small', "the quote that opens here is closed on a later line"),
    ("statements:\n", "statements:\n  ›- {number: x, measure: class_accuracy(base, ['cat', 'dog'])}\n",
     "in braces an expression needs quotes around it: \"class_accuracy(base, ['cat', 'dog'])\""),
    ("statements:\n", "statements:\n  ›- {claim: x, holds: rank(['cat', 'dog'], base) > 8, says: late}\n",
     "in braces an expression needs quotes around it: \"rank(['cat', 'dog'], base) > 8\""),
    ("  dataset: {", "\u00a0 dataset: {", "a no-break space at the beginning"),
    ("cells:\n", "---\ncells:\n", "a second document begins here"),
    ("  fast: rates", "  <<: 3\n  fast: rates", "<< takes a mapping that has an anchor"),
    ("  fast: rates", "  <<: *fats\n  fast: rates", "undefined alias *fats"),
    ("  base: {}\n", "  base: {set: {optimizer.lr: .nan}}\n", ".nan is no finite number"),
    (TITLE, f"summary: {'[' * 60}{']' * 60}\n{TITLE}", "lists and mappings inside each other; flatten it"),
]  # fmt: skip

SCHEMA = re.compile(
    r"is not of type|is a required property|is not valid under any|does not match|Additional properties"
    r"|Input should|valid (string|integer|number|list|dictionary|boolean)|pydantic|\^\[|Traceback"
    r"|\b(None|True|False)\b"
)


def said_of(file, capsys):
    """What `check` says of a file, line by line, having ended with status 1."""
    with pytest.raises(SystemExit) as ended:
        main(["check", str(file)])
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    for line in lines:
        assert re.match(rf"reprise: {re.escape(str(file))}:\d+: ", line), line
        assert not SCHEMA.search(line), line
    return [line.removeprefix(f"reprise: {file}:") for line in lines]


def with_mistake(old, new):
    """The report with a mistake, and the line of it."""
    assert old in REPORT
    marked = REPORT.replace(old, new if "›" in new else f"›{new}", 1)
    return marked.replace("›", ""), marked[: marked.index("›")].count("\n") + 1


def changed(pairs):
    """The report with each text replaced by another."""
    content = REPORT
    for old, new in pairs:
        assert old in content
        content = content.replace(old, new.replace("›", ""), 1)
    return content


def test_the_report_is_sound(tmp_path, capsys):
    file = tmp_path / "mini.yaml"
    file.write_text(REPORT)
    main(["check", str(file)])
    assert capsys.readouterr().out.count(" runs, 1 figures, 3 tables") == 3


@pytest.mark.parametrize(("old", "new", "words"), MISTAKES)
def test_a_mistake_is_one_line_that_says_where_and_what_to_write(tmp_path, capsys, old, new, words):
    file = tmp_path / "mini.yaml"
    content, line = with_mistake(old, new)
    file.write_text(content)
    (said,) = said_of(file, capsys)
    assert said.startswith(f"{line}: "), said
    assert words in said


FLAT = "      - {flatten: true}\n"

PLACES = [
    (ADAM, "{name: adam, lr: 1, lrr: 1}", "defaults.optimizer.lrr"),
    ("labels: label}", "labels: fine}", "defaults.dataset.labels"),
    ("  model: small\n", "  model: smal\n", "defaults.model"),
    ("kernel: 3, padding: same", "kernel: 33", "models.small.layers[0]"),
    ("{pool: max, size: 2}", "{pool: max, size: 64}", "models.small.layers[1]"),
    ("path: optimizer.lr,", "path: optimizer.rate,", "experiments.rates.grid.lr.path"),
    ("values: [1e-2, 1e-3]", "values: [1e-3, 1e-2, -1]", "experiments.rates.grid.lr.values[2]"),
    ("  base: {}\n", "  base: {set: {optimizer.rate: 1}}\n", "experiments.base.set.optimizer.rate"),
    ("  base: {}\n", "  base: {}\n  other: {readings: {one: {split.validation: official}}}\n",
     "experiments.other.readings.one.split.validation (configuration other@one)"),
    ("  base: {}\n", "  base: {set: {model.layers.1.size: 64}}\n",
     "experiments.base.set.model.layers.1.size"),
    ("  base: {}\n", "  base: {}\n  other: {set: {dataset.name: cifar100}}\n",
     "defaults.dataset.labels (experiment other)"),
    ("fast: rates/lr=1e-2", "fast: rates/lr=1", "cells.fast"),
    ("final: accuracy(", "final: acuracy(", "measures.final"),
    ("[train, validation]", "[train, test]", "figures.curves.splits[1]"),
    ("faster: fast}", "faster: fats}", "figures.curves.series.faster"),
    ('reference: "0.65"', "reference: 65", "figures.curves.reference"),
    ("networks: [small]", "networks: [smal]", "tables.layers.networks[0]"),
    ("setting: optimizer.lr", "setting: optimizer.rl", "tables.base_run.rows[0].setting"),
    ("metric: accuracy, reported", "metric: acuracy, reported",
     "tables.base_run.rows[1].metric (statement base_run_accuracy)"),
    ("{cat:", "{cta:", "tables.by_class.reported.base.cta"),
    ("measure: final(base)", "measure: final(bas)", "statements.last_accuracy.measure"),
    (NUMBER, 'reported: "63"', "statements.last_accuracy.reported"),
    (CLAIM, "accuracy(slow) > 70", "statements.slower_is_better.holds"),
    (COUNT, 'measure: parameters(base, layer="9_dense")', "statements.parameters.measure"),
    ("claim: slower_is_better", "claim: Slower", "statements[1].claim"),
    ("id: base_run", "id: Base", "tables[1].id"),
]  # fmt: skip
"""A text, another in its place, and the place of the mistake: a key path, with ids where there are some."""


@pytest.mark.parametrize(("old", "new", "place"), PLACES)
def test_the_place_of_a_mistake_is_a_key_path(tmp_path, capsys, old, new, place):
    file = tmp_path / "mini.yaml"
    file.write_text(with_mistake(old, new)[0])
    (said,) = said_of(file, capsys)
    assert said.partition(": ")[2].startswith(f"{place}: ")


def several(*places):
    """The report with the mistakes at these key paths."""
    return changed((old, new) for old, new, place in PLACES if place in places)


OF_RESULTS = (
    "figures.curves.splits[1]",
    "tables.base_run.rows[0].setting",
    "tables.by_class.reported.base.cta",
    "statements.last_accuracy.measure",
    "statements.slower_is_better.holds",
)
"""Places of mistakes in what is said of results."""


def test_mistakes_stand_in_the_order_of_the_file(tmp_path, capsys):
    file = tmp_path / "mini.yaml"
    file.write_text(several("defaults.optimizer.lrr", "measures.final", *OF_RESULTS[:3], OF_RESULTS[4]))
    lines = [int(said.partition(":")[0]) for said in said_of(file, capsys)]
    assert len(lines) == 6
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    "place", ["defaults.dataset.labels", "models.small.layers[0]", "models.small.layers[1]"]
)
def test_what_cannot_be_trained_hides_no_mistake_in_what_is_said_of_it(tmp_path, capsys, place):
    file = tmp_path / "mini.yaml"
    file.write_text(several(place, *OF_RESULTS))
    said = said_of(file, capsys)
    assert len(said) == 1 + len(OF_RESULTS)
    for each in (place, *OF_RESULTS):
        assert sum(f": {each}: " in line for line in said) == 1, (each, said)


SEARCH = (
    "  o:\n    seeds: [0]\n"
    "    asha: {trials: 3, min_resource: 1, reduction_factor: 2, space: {x: {path: %s}}}\ncells:\n"
)
TOGETHER = {
    "a table that shows the number of a statement": (
        [
            ("statements:\n", "  - id: n\n    kind: metrics\n    caption: N.\n    rows:\n"
             "      - {label: L, statement: last_accuracy}\n      - {label: M, measure: acc(base)}\n"
             "statements:\n"),
            ("measure: final(base)", "measure: finl(base)"),
            ("faster: fast}", "faster: fats}"),
        ],
        ["figures.curves.series.faster", "tables.n.rows[1].measure", "statements.last_accuracy.measure"],
    ),
    "relations of one claim": (
        [(CLAIM, "[accuracy(slow) > 70, acc(slow) > 0.5, accuracy(slwo) > 0.1]")],
        [f"statements.slower_is_better.holds[{place}]" for place in range(3)],
    ),
    "rows of one table": (
        [("setting: optimizer.lr, reported: 1e-3}",
          "setting: optimizer.rl}\n      - {label: B, setting: optimzer.lr}")],
        ["tables.base_run.rows[0].setting", "tables.base_run.rows[1].setting"],
    ),
    "names of cells that are none": (
        [("cells:\n  fast: rates/lr=1e-2\n  slow: rates/lr=1e-3\n", "cells: [a]\n")], ["cells"],
    ),
    "names of measures that are none": (
        [('measures:\n  final: accuracy(split="validation", at="last")\n', "measures: [a]\n")],
        ["measures"],
    ),
    "a network that there is not, and what changes its layers": (
        [("  model: small\n", "  model: smal\n"),
         ("  base: {}\n", "  base: {}\n  g: {set: {model.layers.f6.dense: 10}}\n")],
        ["defaults.model"],
    ),
    "an item without its dash": (
        [(NUMBER, f'{NUMBER}\n    number: other\n    reported: "0.5"')],
        ["key 'number' stands twice, on line 57 too; keep one of them, or write - before it"],
    ),
    "a network by name that another experiment takes": (
        [("cells:\n", "  other: {set: {model: vgg}}\ncells:\n"),
         ("defaults:\n", "  vgg: {name: torchvision, arch: vgg17, weights: random, head: [{dense: classes}]}"
          "\ndefaults:\n")],
        ["models.vgg.arch (experiment other)"],
    ),
    "a path of a search that there is not": (
        [("cells:\n", SEARCH % "optimizer.lrr, log_uniform: [1e-3, 1e-2]")],
        ["experiments.o.asha.space.x.path"],
    ),
    "whole numbers that a search does not draw": (
        [("cells:\n", SEARCH % "training.batch_size, uniform: [16, 128]")],
        ["experiments.o.asha.space.x"],
    ),
    "what only one scale has": (
        [("cells:\n", "scales: {demo: {set: {preprocess.resize: 1}}}\ncells:\n")],
        ["models.small.layers[1] (scale demo)"],
    ),
}  # fmt: skip
"""Mistakes, and the places of all that is said: each of them, and no consequence."""


@pytest.mark.parametrize("name", TOGETHER)
def test_each_mistake_is_named_and_no_consequence(tmp_path, capsys, name):
    changes, places = TOGETHER[name]
    file = tmp_path / "mini.yaml"
    file.write_text(changed(changes))
    said = [line.partition(": ")[2] for line in said_of(file, capsys)]
    assert len(said) == len(places), said
    for place in places:
        assert sum(line.startswith(f"{place}") for line in said) == 1, (place, said)


@pytest.mark.parametrize(
    ("reported", "measure"),
    [
        ("0.37", "1 - accuracy(base)"),
        ("63", "100 - 100 * accuracy(base)"),
        ("0.9", "0.5 + accuracy(base) / 2"),
    ],
)
def test_a_number_in_the_unit_of_what_is_measured(tmp_path, capsys, reported, measure):
    file = tmp_path / "mini.yaml"
    file.write_text(REPORT.replace(NUMBER, f'reported: "{reported}"').replace("final(base)", measure))
    main(["check", str(file)])
    assert "statements" in capsys.readouterr().out


def test_thousands_of_mistakes_are_counted_and_not_listed(tmp_path, capsys):
    file = tmp_path / "mini.yaml"
    file.write_text("".join(f"k{number}: 1\n" for number in range(20_000)) + REPORT)
    said = said_of(file, capsys)
    assert len(said) == 101
    assert re.fullmatch(r"1: at least [\d,]+ more mistakes; mend these first", said[-1])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "kernel: 3, padding: same",
            "kernel: 33",
            "layers[0]: conv: an image of 32 × 32 pixels is too small",
        ),
        ("{pool: max, size: 2}", "{pool: max, size: 64}", "layers[1]: pool: an image of 32 × 32 pixels"),
        ("{pool: max, size: 2}", "{pool: max, padding: 2}", "layers[1]: pool: padding 2 is more than half"),
        (f"{FLAT}      - {{dense: 84", "      - ›{dense: 84", "layers[2]: dense: needs flat features"),
        ("{activation: relu}\n", "{conv: 8}\n", "layers[4]: conv: needs an image"),
        ("{dense: classes}", "{dense: 84}", "layers[5]: dense: its output of 84 is not 10 classes wide"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_by_its_line_and_place(tmp_path, capsys, old, new, words):
    file = tmp_path / "mini.yaml"
    content, line = with_mistake(old, new)
    file.write_text(content)
    (said,) = said_of(file, capsys)
    assert said.startswith(f"{line}: ")
    assert words in said


@pytest.mark.parametrize(
    ("metric", "reported", "measure", "named"),
    [
        ("loss", "0.63", "accuracy(base)", "accuracy"),
        ("loss", "0.63", "final(base)", "accuracy"),
        ("loss", "63", "100 * train_accuracy(base)", "train_accuracy"),
        ("loss", "0.5", 'class_accuracy(base, "cat")', "class_accuracy"),
        ("accuracy", "0.8", "train_loss(base)", "train_loss"),
        ("accuracy", "0.8", 'loss(base, split="train", at=1)', "loss"),
    ],
)
def test_a_line_in_a_figure_is_of_what_its_axis_shows(tmp_path, capsys, metric, reported, measure, named):
    number = f"  - {{number: drawn, reported: '{reported}', measure: '{measure}'}}\n"
    content = REPORT.replace("metric: accuracy\n    splits", f"metric: {metric}\n    splits")
    content = content.replace('reference: "0.65"', "reference: drawn") + number
    file = tmp_path / "mini.yaml"
    file.write_text(content)
    (said,) = said_of(file, capsys)
    assert f"reference: drawn measures {named}, and the axis is {metric}; name a number that" in said


SEVERAL = {
    "one of each section": [
        ("lr: 1e-3}", "learning_rate: 1e-3}", "did you mean lr?"),
        ("- {flatten: true}", "- flatten", "write {flatten: true}"),
        ("kind: curves", "kind: curve", "did you mean curves?"),
        ("networks: [small]", "networks: [smal]", "did you mean small?"),
        (NUMBER, 'reported: "0.5%"', "a number as printed"),
    ],
    "what only the expansion, the networks and pretended results find": [
        (TITLE, "tilte: A small", "did you mean title?"),
        ("  base: {}\n", "  base: {}\n  other: {set: {optimizer.rate: 1}}\n", "unknown key for adam"),
        ("[train, validation]", "[train, test]", "no history of split 'test'"),
        ("measure: final(base)", "measure: finl(base)", "did you mean final?"),
        (COUNT, 'measure: parameters(base, layer="3_dense")', "no layer 3_dense"),
    ],
    "settings and statements": [
        ("batch_size: 128", "batchsize: 128", "did you mean batch_size?"),
        (EPOCHS, "epochs: -3", "greater than or equal to 1"),
        (SEEDS, "seeds: 3", "write [3]"),
        ("fast: rates/lr=1e-2", "fast: rate/lr=1e-2", "did you mean rates?"),
        (CLAIM, "accuracy(slow) > 70", "write 0.7"),
        (COUNT, "measure: parameters(bas)", "did you mean base?"),
    ],
    "misspelt sections": [
        ("defaults:\n", "default:\n", "did you mean defaults?"),
        ("experiments:\n", "experiment:\n", "did you mean experiments?"),
        ("figures:\n", "figurs:\n", "did you mean figures?"),
        ("kind: settings", "kind: setting", "did you mean settings?"),
        (CLAIM, "accuracy(slow) => accuracy(fast)", "write >="),
    ],
    "YAML that can be read, and what it says": [
        (TITLE, "title: B\n›title: A small", "stands twice"),
        (SEEDS, "seeds: [010]", "begins with 0"),
        ("reported: 1e-3}", "reported: .inf}", ".inf is no finite number"),
        ("label: Accuracy,", "lable: Accuracy,", "did you mean label?"),
        ("caption: Accuracy over", "title: Accuracy over", "did you mean caption?"),
    ],
}


@pytest.mark.parametrize("name", SEVERAL)
def test_all_mistakes_are_named_at_once(tmp_path, capsys, name):
    content = changed((old, new) for old, new, _ in SEVERAL[name])
    file = tmp_path / "mini.yaml"
    file.write_text(content)
    said = said_of(file, capsys)
    for _, _, words in SEVERAL[name]:
        assert sum(words in line for line in said) == 1, (words, said)
    assert len(said) == len(SEVERAL[name])


def test_any_two_mistakes_are_named(tmp_path, capsys):
    """Each with the one after the next, where both can be read and neither hides the other's line."""
    readable = [each for each in MISTAKES if each[0] != TITLE and "\n" not in each[0] + each[1]]
    pairs = list(zip(readable, readable[37:], strict=False))[::4]
    tried = 0
    for (old, new, words), (other, instead, others) in pairs:
        content = with_mistake(old, new)[0]
        if content.count(other) != 1 or abs(content.index(other) - REPORT.index(old)) < 200:
            continue  # two in one place may hide each other
        experiments = range(REPORT.index("experiments:"), REPORT.index("cells:"))
        if "rates" in new + instead and {REPORT.index(old), REPORT.index(other)} & {*experiments}:
            continue  # of an experiment with a mistake, nothing is known
        file = tmp_path / "mini.yaml"
        file.write_text(content.replace(other, instead.replace("›", "")))
        try:
            yaml.safe_load(file.read_text())
        except yaml.YAMLError:
            continue  # nothing else is known
        said = said_of(file, capsys)
        tried += 1
        assert any(words in line for line in said), (words, said)
        assert any(others in line for line in said), (others, said)
    assert tried > 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TITLE, "title: no"),  # a text, as in YAML 1.2
        (TITLE, "title: 12:30"),
        (TITLE, "title: 2026-11-29"),
        ("lr: 1e-3}", "lr: .5}"),
        ("lr: 1e-3}", "lr: 1E-3}"),
        ("lr: 1e-3}", "lr: +.5e-2}"),
        (EPOCHS, "epochs: 1_000"),
        (NUMBER, 'reported: "> 0.63"'),
        (NUMBER, 'reported: "<=.7"'),
        (COUNT, 'measure: parameters(base, layer="5_dense")'),
        (CLAIM, "accuracy(slow) >= accuracy(fast)"),
        ("cells:\n", "scales: {quick: {experiments: {rates: {only: [lr=1e-2]}}}}\ncells:\n"),
    ],
)
def test_what_looks_like_a_trap_is_none(tmp_path, capsys, old, new):
    file = tmp_path / "mini.yaml"
    file.write_text(with_mistake(old, new)[0])
    main(["check", str(file)])
    assert capsys.readouterr().out.count(" runs, 1 figures, 3 tables") == 3


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + REPORT.encode(), REPORT.replace("\n", "\r\n").encode()]
)
def test_byte_order_marks_and_line_ends_do_not_matter(tmp_path, content):
    file, plain = tmp_path / "mini.yaml", tmp_path / "plain.yaml"
    file.write_bytes(content)
    plain.write_text(REPORT)
    assert list(Report(file).runs()) == list(Report(plain).runs())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: the file is empty; write title:, defaults: and experiments:"),
        (b"# nothing yet\n", ":1: the file is empty"),
        (b"- a\n- b\n", ":1: top level: no mapping from keys to values"),
        (b"title: A\nauthors: J\xfcrgen\n", ":2: not UTF-8 text; save the file as UTF-8"),
        (b"title: A\nsummary: a\x01b\n", ":2: "),
        (b"title: " + b"a" * 5_000_000, ": more than 4,194,304 bytes"),
        (b"title: A\nauthors: [a", ":2: the [ that opens here is not closed"),
    ],
)
def test_files_that_are_no_report(tmp_path, content, said):
    file = tmp_path / "mini.yaml"
    file.write_bytes(content)
    with pytest.raises(RepriseError) as error:
        Report(file)
    assert str(error.value).startswith(f"{file}{said}")
    assert "\n" not in str(error.value)


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "mini.yaml").mkdir()
    with pytest.raises(
        RepriseError, match=r"mini\.yaml: no report files \(\*\.yaml\) in this folder; add one"
    ):
        Report(tmp_path / "mini.yaml")


def test_a_file_of_another_suffix_is_named(tmp_path, capsys):
    (tmp_path / "mini.yaml").write_text(REPORT)
    (tmp_path / "more.yml").write_text(REPORT)
    main(["runs", "mini", f"--reports={tmp_path}"])
    why = "not read, since report files end in .yaml; rename it to more.yaml"
    assert capsys.readouterr().err == f"reprise: {tmp_path / 'more.yml'}: {why}\n"
    with pytest.raises(RepriseError, match=r"more\.yml: report files end in \.yaml; rename it to more\.yaml"):
        Report(tmp_path / "more.yml")


def test_one_broken_report_does_not_stop_the_others(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(REPORT)
    (tmp_path / "broken.yaml").write_text("title: A\n\tx: 1\n")
    main(["plan", f"--reports={tmp_path}", f"--results={tmp_path}", "--scale=demo"])
    printed = capsys.readouterr()
    assert printed.err.startswith(f"reprise: {tmp_path / 'broken.yaml'}:2: a tab; indent with spaces\n")
    assert "one" in printed.out
    assert "two" in printed.out
    with pytest.raises(SystemExit):
        main(["check", *(str(tmp_path / f"{name}.yaml") for name in ("broken", "one"))])
    printed = capsys.readouterr()
    assert printed.err == f"reprise: {tmp_path / 'broken.yaml'}:2: a tab; indent with spaces\n"
    assert printed.out.count(f"{tmp_path / 'one.yaml'}: ") == 4  # three scales and a network


def test_what_cannot_be_read_is_refused_before_anything_heavy_is_imported(tmp_path):
    file = tmp_path / "mini.yaml"
    file.write_text(REPORT.replace("  dataset", "\tdataset"))
    code = (
        "import sys; from reprise.cli import main\n"
        f"try: main(['check', {str(file)!r}])\n"
        "except SystemExit: print(sorted({'torch', 'matplotlib', 'numpy', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == f"reprise: {file}:13: a tab; indent with spaces\n"
