"""What `reprise check` says to write in the place of a mistake: in the words of the person who wrote the
file, and so that the file is sound when that is done.

A case is the report of `test_mistakes` with one text replaced by another, as there.
"""

import re

import pytest
from test_mistakes import ADAM, CLAIM, EPOCHS, NUMBER, REPORT, SEEDS, TITLE, said_of, with_mistake

from reprise.cli import main
from reprise.hints import items_of, shown
from reprise.numerals import hint_of_number, hint_of_printed

SPLIT, BATCH, FLATTEN = "split: {validation: 0.2}", "batch_size: 128", "- {flatten: true}"
CAPTION, REFERENCE, DENSE = "caption: Accuracy over each epoch.", 'reference: "0.65"', "- {dense: classes}"
MEASURE, SERIES = "measure: final(base)", "series: {base: base, faster: fast}"
RUNS, BASE = "    runs: base\n", "  base: {}\n"
OTHER = f"{BASE}  other:\n    grid:\n      ›x: {{path: optimizer.lr, values: [1]}}\n"
STEPS, CELLS = "  augmentation:\n    - {flip: 0.5}\n", "cells:\n"
GRID = "    grid:\n      lr: {path: optimizer.lr, values: [1e-2, 1e-3]}\n"
ROW = "{label: Accuracy, metric: accuracy, reported:"

MENDED = [
    # true and false, and numbers of which few are valid
    (FLATTEN, "- {flatten: yes}", "should be true or false, not 'yes'; write true", "- {flatten: true}"),
    (FLATTEN, "- {flatten: 1}", "not 1; write true", "- {flatten: true}"),
    (FLATTEN, '- {batch_norm: "on"}\n      - {flatten: true}', "not 'on'; write true",
     "- {batch_norm: true}\n      - {flatten: true}"),
    (SPLIT, "split: {validation: 0.2, augmented: false}", "false is not valid; leave it out", SPLIT),
    (SPLIT, "split: {validation: 0.2, augmented: yes}", "write true",
     "split: {validation: 0.2, augmented: true}"),
    (BATCH, f"{BATCH}\n    ›keep_originals: false", "false is not valid; leave it out", BATCH),
    # lists
    (SEEDS, "seeds: range(3)", "write [0, 1, 2]", "seeds: [0, 1, 2]"),
    (SEEDS, "seeds: range(2, 4)", "write [2, 3]", "seeds: [2, 3]"),
    (SEEDS, "seeds: (0, 1, 2)", "write [0, 1, 2]", "seeds: [0, 1, 2]"),
    (SEEDS, "seeds: 0 1 2", "write [0, 1, 2]", "seeds: [0, 1, 2]"),
    (SEEDS, "seeds: {0, 1}", "not {0, 1}; write [0, 1]", "seeds: [0, 1]"),
    (SEEDS, "seeds: [0-2]", "write 0, 1, 2 in its place", "seeds: [0, 1, 2]"),
    (SEEDS, "seeds: [[0, 1]]", "leave its brackets out", "seeds: [0, 1]"),
    (SEEDS, "seeds: three", "write a list, such as [0, 1, 2]", "seeds: [0, 1, 2]"),
    (SEEDS, "seeds: []", "write a list, such as [0, 1, 2]", "seeds: [0, 1, 2]"),
    (STEPS, "  augmentation: none\n", "not 'none'; write []", "  augmentation: []\n"),
    (STEPS, "  augmentation: off\n", "write []", "  augmentation: []\n"),
    (STEPS, "  augmentation: false\n", "write []", "  augmentation: []\n"),
    (STEPS, "  augmentation: true\n", "such as [{flip: 0.5}]", "  augmentation: [{flip: 0.5}]\n"),
    (STEPS, "  augmentation: {flip: 0.5, crop: 4}\n", "write [{flip: 0.5}, {crop: 4}]",
     "  augmentation: [{flip: 0.5}, {crop: 4}]\n"),
    (STEPS, "  augmentation: [none]\n", "not 'none'; leave it out", "  augmentation: []\n"),
    ("[train, validation]", "train and validation", "write [train, validation]", "[train, validation]"),
    ("[train, validation]", "both", "such as [train, validation]", "[train, validation]"),
    # two numbers
    (ADAM, "{name: adam, lr: 1e-3, betas: 0.9}", "such as [0.9, 0.999]",
     "{name: adam, lr: 1e-3, betas: [0.9, 0.999]}"),
    (ADAM, "{name: adam, lr: 1e-3, betas: (0.8, 0.99)}", "write [0.8, 0.99]",
     "{name: adam, lr: 1e-3, betas: [0.8, 0.99]}"),
    (ADAM, "{name: adam, lr: 1e-3, betas: [0.9]}", "such as [0.9, 0.999]",
     "{name: adam, lr: 1e-3, betas: [0.9, 0.999]}"),
    (REFERENCE, f"{REFERENCE}\n    ›y_limits: 1", "[0, 1]", f"{REFERENCE}\n    y_limits: [0, 1]"),
    (REFERENCE, f"{REFERENCE}\n    ›y_limits: 0.5 to 1", "write [0.5, 1]",
     f"{REFERENCE}\n    y_limits: [0.5, 1]"),
    (REFERENCE, f"{REFERENCE}\n    ›x_limits: 30", "[1, 30]", f"{REFERENCE}\n    x_limits: [1, 30]"),
    (REFERENCE, f"{REFERENCE}\n    ›y_limits: auto", "or leave the key out", REFERENCE),
    ("{flip: 0.5}", "{resized_crop: {scale: 0.08}}", "should be a list, not 0.08; write two numbers, such as"
     " [0.08, 1]", "{resized_crop: {scale: [0.08, 1]}}"),
    ("kernel: 3", "kernel: (3, 3)", "not '(3, 3)'; write 3", "kernel: 3"),
    # numbers
    ("lr: 1e-3}", "lr: 1/1000}", "write 0.001", "lr: 0.001}"),
    ("lr: 1e-3}", "lr: 10^-3}", "write 1e-3", "lr: 1e-3}"),
    ("lr: 1e-3}", "lr: 5 × 10⁻⁴}", "write 5e-4", "lr: 5e-4}"),
    ("lr: 1e-3}", "lr: 2**-10}", "write 0.0009765625", "lr: 0.0009765625}"),
    ("lr: 1e-3}", "lr: ~0.001}", "write 0.001", "lr: 0.001}"),
    (EPOCHS, "epochs: 30 epochs", "write 30", "epochs: 30"),
    (EPOCHS, "epochs: 3 * 10", "write 30", "epochs: 30"),
    (EPOCHS, "epochs: 1 000", "write 1000", "epochs: 1000"),
    (EPOCHS, "epochs: 1k", "write 1000", "epochs: 1000"),
    ("kernel: 3", "kernel: 3x3", "write 3", "kernel: 3"),
    ("size: 2", "size: 2 × 2", "write 2", "size: 2"),
    ("{flip: 0.5}", "{rotation: 15°}", "write 15", "{rotation: 15}"),
    ("{flip: 0.5}", "{flip: 50 percent}", "write the share, 0.5", "{flip: 0.5}"),
    (SPLIT, "split: {validation: 20}", "write the share, 0.2", SPLIT),
    (SPLIT, "split: {validation: 1/5}", "write 0.2", SPLIT),
    (SPLIT, "split: {validation: none}", "write a share, such as 0.2", SPLIT),
    # one of several words
    ("padding: same", "padding: SAME", "write same", "padding: same"),
    ("padding: same", "padding: none", "write valid", "padding: valid"),
    (DENSE, "- {dense: num_classes}", "write classes", DENSE),
    # several values where one stands
    (BATCH, "batch_size: [32, 64]", "such as 32; to try several, name a grid under experiments",
     "batch_size: 32"),
    (BATCH, "batch_size: 32 or 64", "such as 32; to try several, name a grid", "batch_size: 32"),
    (BATCH, "batch_size: {values: [32, 64]}", "such as 32; to try several, name a grid", "batch_size: 32"),
    ("name: adam,", "name: [adam, sgd],", "such as adam; to try several, name a grid", "name: adam,"),
    ("select: best_accuracy", "select: [last, best_loss]", "such as last; to try several", "select: last"),
    # numbers that a report states
    (NUMBER, 'reported: "≥ 0.6"', "write '>= 0.6'", 'reported: ">= 0.6"'),
    (NUMBER, 'reported: "up to 0.63"', "write '<= 0.63'", 'reported: "<= 0.63"'),
    (NUMBER, 'reported: "0.63+"', "write '>= 0.63'", 'reported: ">= 0.63"'),
    (NUMBER, 'reported: "= 0.63."', "write '0.63'", 'reported: "0.63"'),
    (f"{NUMBER}\n    measure: final(base)", f'{NUMBER[:-6]}"> 50%"\n    measure: final(base)',
     "write '> 50', and 100 * in what is measured", 'reported: "> 50"\n    measure: 100 * final(base)'),
    (f"{NUMBER}\n    measure: final(base)", 'reported: "63 percent"\n    measure: final(base)',
     "write '63', and 100 * in what is measured", 'reported: "63"\n    measure: 100 * final(base)'),
    ('reported: "173110"', 'reported: "173 110"', "write '173110'", 'reported: "173110"'),
    (f'{ROW} "0.65"', f'{ROW} "65%"', "write '0.65', the share", f'{ROW} "0.65"'),
    ('{cat: "51.0", dog', '{cat: "51.0%", dog', "write '51.0'", '{cat: "51.0", dog'),
    # lines of numbers in figures
    (REFERENCE, "reference:", "the id of a statement, not null; write the value after the colon", REFERENCE),
    (REFERENCE, 'reference: "65%"', "write 0.65", "reference: 0.65"),
    (REFERENCE, 'reference: "> 0.65"', "write 0.65", "reference: 0.65"),
    (REFERENCE, 'reference: "0,65"', "write 0.65", "reference: 0.65"),
    (REFERENCE, "reference: about 0.65", "write 0.65", "reference: 0.65"),
    (REFERENCE, "reference: [0.65, null]", "not null; leave it out", "reference: [0.65]"),
    # texts
    (CAPTION, "caption: {title}", 'not {title}; a text in braces needs quotes around it: "{title}"',
     'caption: "{title}"'),
    (CAPTION, "caption: {a, b: c}", 'needs quotes around it: "{a, b: \'c\'}"', "caption: \"{a, b: 'c'}\""),
    (RUNS, "    runs: [rates, base]\n", "write one selector, such as rates", "    runs: base\n"),
    (SERIES, "series: {base: [base, fast]}", "write one selector, such as base", "series: {base: base}"),
    ("fast: rates/lr=1e-2", "fast: [rates/lr=1e-2]", "write one selector, such as rates/lr=1e-2",
     "fast: rates/lr=1e-2"),
    ("statements:\n", "assumptions:\n  ›- Padding: not stated\nstatements:\n",
     "a text with ': ' in it needs quotes around it; write says: \"Padding: not stated\"",
     'assumptions:\n  - says: "Padding: not stated"\nstatements:\n'),
    # settings that an experiment changes
    (BASE, OTHER.replace("optimizer.lr, values: [1]", "optimizer, values: [adam]"),
     "write the path optimizer.name",
     OTHER.replace("optimizer.lr, values: [1]", "optimizer.name, values: [adam]")),
    (BASE, OTHER.replace("optimizer.lr, values: [1]", "split, values: [0.1]"),
     "write the path split.validation",
     OTHER.replace("optimizer.lr, values: [1]", "split.validation, values: [0.1]")),
    (BASE, OTHER.replace("optimizer.lr, values: [1]", "training, values: [30]"),
     "such as training.epochs",
     OTHER.replace("optimizer.lr, values: [1]", "training.epochs, values: [30]")),
    (BASE, "  base: {set: {optimizer: sgd}}\n", "write the path optimizer.name",
     "  base: {set: {optimizer.name: sgd}}\n"),
    (BASE, "  base: {set: {schedule: none}}\n", "write null", "  base: {set: {schedule: null}}\n"),
    (BASE, "  base: {lr: 0.1}\n", "write set: {optimizer.lr: 0.1}", "  base: {set: {optimizer.lr: 0.1}}\n"),
    (BASE, "  base: {training: {epochs: 3}}\n", "write set: {training.epochs: 3}",
     "  base: {set: {training.epochs: 3}}\n"),
    (BASE, "  base: {set: {epochs: 3}}\n", "write training.epochs", "  base: {set: {training.epochs: 3}}\n"),
    # words of other frameworks, each one line
    (ADAM, "{type: Adam, lr: 1e-3}", "did you mean name: adam?", "{name: adam, lr: 1e-3}"),
    (ADAM, "{optimizer: sgd, lr: 1e-3}", "did you mean name: sgd?", "{name: sgd, lr: 1e-3}"),
    (ADAM, "{adam: {lr: 1e-3}}", "write {name: adam, lr: 0.001}", "{name: adam, lr: 0.001}"),
    (SPLIT, f"{SPLIT}\n  schedule: {{›type: CosineAnnealingLR}}", "did you mean name: cosine?",
     f"{SPLIT}\n  schedule: {{name: cosine}}"),
    (SPLIT, f"{SPLIT}\n  schedule: {{name: plateau, ›min_delta: 0.1}}", "did you mean threshold?",
     f"{SPLIT}\n  schedule: {{name: plateau, threshold: 0.1}}"),
    (BATCH, f"{BATCH}\n    early_stop: {{metric: loss, patience: 3}}", "did you mean monitor?",
     f"{BATCH}\n    early_stop: {{monitor: loss, patience: 3}}"),
    ("fast: rates/lr=1e-2", "fast: {runs: rates/lr=1e-2, select: best}", "did you mean pick?",
     "fast: rates/lr=1e-2"),
    ("label: Accuracy, metric", "name: Accuracy, metric", "did you mean label?", "label: Accuracy, metric"),
    (CAPTION, "title: Accuracy over each epoch.", "did you mean caption?", CAPTION),
    ("networks: [small]", "models: [small]", "did you mean networks?", "networks: [small]"),
    (SPLIT, "split: {ratio: 0.2}", "did you mean validation?", SPLIT),
    # expressions
    (MEASURE, "measure: accuracy(rates/lr=1e-2)", 'a selector needs quotes around it; write "rates/lr=1e-2"',
     'measure: accuracy("rates/lr=1e-2")'),
    (CLAIM, "accuracy(base) > mean(accuracy(rates/lr=*))", 'write "rates/lr=*"',
     'accuracy(base) > mean(accuracy("rates/lr=*"))'),
    (CLAIM, "accuracy(rates/base) > 0.5", 'write "rates/base"', "accuracy(base) > 0.5"),
    (CLAIM, "accuracy slow > 0.5", "write accuracy(slow)", "accuracy(slow) > 0.5"),
    (CLAIM, "accuracy(slow, split=validation) > 0.5", 'as in "validation"',
     'accuracy(slow, split="validation") > 0.5'),
    (CLAIM, "argbest(accuracy(rates)) = slow", "write argbest(accuracy(rates)) == slow",
     "argbest(accuracy(rates)) == slow"),
    (CLAIM, "slow == argmax(accuracy(rates))", "write argmax(accuracy(rates)) == slow",
     "argmax(accuracy(rates)) == slow"),
    (MEASURE, "measure: val_accuracy(base)", 'did you mean accuracy(base, split="validation")?',
     'measure: accuracy(base, split="validation")'),
    (MEASURE, "measure: validation_acc(base)", 'did you mean accuracy(base, split="validation")?',
     'measure: accuracy(base, split="validation")'),
    ("metric: accuracy, reported", "metric: val_accuracy, reported",
     "write metric: accuracy, and split: validation", "metric: accuracy, split: validation, reported"),
    (CLAIM, "accuracy(slow) >> accuracy(fast)", "'>>' is not known; write >", CLAIM),
    (CLAIM, "accuracy(slow) > 05", "a number begins with 0; write it without", "accuracy(slow) > 0.5"),
    # YAML
    (SPLIT, f"preprocess: {{normalize:}}\n  {SPLIT}", "write normalize: and a value",
     f"preprocess: {{normalize: train}}\n  {SPLIT}"),
    (SPLIT, f"preprocess: {{normalize:train}}\n  {SPLIT}",
     "write a space after the colon, as in normalize: train", f"preprocess: {{normalize: train}}\n  {SPLIT}"),
    (CAPTION, "caption: * all runs", 'begins with * needs quotes around it: "* all runs"',
     'caption: "* all runs"'),
    (CAPTION, "caption: ? what", 'begins with ? needs quotes around it: "? what"', 'caption: "? what"'),
    (CAPTION, "caption: &", 'begins with & needs quotes around it: "&"', 'caption: "&"'),
    (CELLS, "...\ncells:\n", "the line ... ends what is read; leave it out", CELLS),
    (TITLE, f"%YAML 1.2\n{TITLE}", "a line that begins with % is no part of a report file", TITLE),
    (EPOCHS, "epochs: !!int many", "the value does not fit !!int; leave the tag out", EPOCHS),
]  # fmt: skip
"""A text, another in its place, what is said, and what stands there when it has been done."""

SAID = [
    (ADAM, "{name: adam, lr: 1e-3, eta: 0.1}", "unknown key for adam; valid: name, lr,"),
    (BATCH, f"{BATCH}\n    ›eta: 0.1", "valid: epochs, batch_size,"),
    (SPLIT, f"{SPLIT}\n  schedule: {{name: cosine, ›eta: 0.1}}", "for cosine; valid: name, min_lr"),
    (SPLIT, f"{SPLIT}\n  schedule: {{name: step, step: 3, ›decay: 0.1}}", "valid: name, step, gamma"),
    (SPLIT, f"›epochs: 3\n  {SPLIT}", "epochs belongs under training"),
    (SPLIT, "split: {train: 0.8}", "key validation is missing; valid: validation, augmented"),
    (GRID, "    random:\n      ›num_samples: 2\n      space:\n"
     "        lr: {path: optimizer.lr, values: [1e-2, 1e-3]}\n", "did you mean trials?"),
    (GRID, "    asha:\n      trials: 2\n      ›grace_period: 1\n      reduction_factor: 2\n      space:\n"
     "        lr: {path: optimizer.lr, values: [1e-2]}\n", "did you mean min_resource?"),
    (GRID, "    asha:\n      trials: 2\n      min_resource: 1\n      ›eta: 2\n      space:\n"
     "        lr: {path: optimizer.lr, values: [1e-2]}\n", "did you mean reduction_factor?"),
    (CLAIM, "abs(accuracy(slow)) > 0.5", "no metric or measure 'abs'; valid: "),
    (CLAIM, "argbest(accuracy(rates))", "Write argbest(accuracy(rates)) == cells"),
    (CLAIM, "accuracy(slow) > 1e400", "this number is too large; write one between"),
    (EPOCHS, "epochs: .inf", ".inf is no finite number; write a number such as 1"),
    (BATCH, "batch_size: 1e400", "1e400 is too large"),
]  # fmt: skip

EXPRESSIONS = [
    "accuracy(slow), accuracy(fast)",
    "accuracy(slow) in [0.5, 0.7]",
    "accuracy(slow) not in [0.5]",
    "accuracy(slow) @ accuracy(fast) > 1",
    "accuracy(slow) << accuracy(fast)",
    "1 if accuracy(slow) > 1 else 2",
    "accuracy(slow) is accuracy(fast)",
    "~accuracy(slow) > 1",
    "accuracy(slow) > {0.5}",
    "every(accuracy(c) > 0.5 for c in rates)",
    "await accuracy(slow)",
    "accuracy(slow) > 0.5x",
    "accuracy(slow) >",
    "accuracy(slow)) > 1",
    "accuracy('slow) > 1",
    "accuracy(slow) ± 0.5 > 0",
    "accuracy(slow) better than accuracy(fast)",
    "accuracy(slow); accuracy(fast)",
    "accuracy(slow) ? 1",
    "assert accuracy(slow) > 1",
    "accuracy(slow) = 1e-2",
]
BROKEN = [
    "cells:\n  x: *\n", "cells:\n  x: &a-é b\n", "cells:\n  x: &a b\n  y: &a c\n", "cells:\n  ? [a]\n  : b\n",
    "cells:\n  x: !<\n", 'cells:\n  x: "\\xZZ"\n', "cells:\n  x: {a:}\n", "cells:\n  x: !!float many\n",
    "...\ncells:\n", "cells:\n  x: {*: 1}\n",
]  # fmt: skip
FOREIGN = re.compile(
    r"python|pydantic|YAMLError|JSON|invalid|literal|syntax|perhaps|token|document start|alphabetic|scanning"
    r"|expected|tuple|\bbool\b|\bint\b|\bstr\b|dict|unexpected|\bNone\b|LShift|MatMult|did not find",
    re.IGNORECASE,
)
"""Words of what reads the file, which nobody who writes it knows."""


def checked(file, content, capsys):
    """What `check` says of a file with that content."""
    file.write_text(content)
    return said_of(file, capsys)


@pytest.mark.parametrize(("old", "new", "words", "mended"), MENDED)
def test_what_is_said_mends_the_file(tmp_path, capsys, old, new, words, mended):
    file = tmp_path / "mini.yaml"
    content, line = with_mistake(old, new)
    (said,) = checked(file, content, capsys)
    assert said.startswith((f"{line}: ", f"{line + 1}: ")), said
    assert words in said
    file.write_text(REPORT.replace(old, mended.replace("›", ""), 1))
    main(["check", str(file)])
    assert " runs, 1 figures, 3 tables" in capsys.readouterr().out


@pytest.mark.parametrize(("old", "new", "words"), SAID)
def test_one_line_says_what_is_valid(tmp_path, capsys, old, new, words):
    content, line = with_mistake(old, new)
    (said,) = checked(tmp_path / "mini.yaml", content, capsys)
    assert said.startswith(f"{line}: "), said
    assert words in said


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_refused_in_words_of_the_grammar(tmp_path, capsys, expression):
    holds = expression.replace("'", "''")
    (said,) = checked(tmp_path / "mini.yaml", REPORT.replace(CLAIM, f"'{holds}'"), capsys)
    about = said.partition("column ")[2].partition(": ")[2]
    assert "; " in about or "write" in about.lower(), said
    assert not FOREIGN.search(about), said


@pytest.mark.parametrize("content", BROKEN)
def test_yaml_is_refused_in_plain_words(tmp_path, capsys, content):
    (said,) = checked(tmp_path / "mini.yaml", REPORT.replace(CELLS, content), capsys)
    assert not FOREIGN.search(said), said
    assert "; " in said or "needs quotes around it" in said


def test_models_without_labels_are_not_counted(tmp_path, capsys):
    rows = "rows: [{label: a, metric: accuracy, reported: [0.5, 0.6]}]"
    table = f"  - {{id: c, kind: comparison, caption: C., models: [base, slow], {rows}}}\n"
    said = checked(tmp_path / "mini.yaml", REPORT.replace("tables:\n", f"tables:\n{table}"), capsys)
    assert [line.partition("; ")[2] for line in said] == [
        "write {label: …, runs: base}",
        "write {label: …, runs: slow}",
    ]


def test_the_same_name_is_not_offered(tmp_path, capsys):
    content = REPORT.replace("models:\n", "models:\n  deep: {base: small}\n", 1)
    content = content.replace("networks: [small]", "networks: [small, deep]")
    (said,) = checked(tmp_path / "mini.yaml", content, capsys)
    assert said.endswith("no experiment trains a model deep; valid: small")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1.5e3 images", "; write 1.5e3"),
        ("1,5", "; write 1.5, or 15 if the comma parts thousands"),
        ("−3", "; write -3"),
        ("3/4", "; write 0.75"),
        ("2 by 3", "; write one number, the same for both sides"),
        ("1/0", "; write one value, such as 1; to try several, name a grid under experiments"),
        ("fast", "; write it in digits, such as 0.001"),
        ("0^-3", "; write it in digits, such as 0.001"),
    ],
)
def test_a_text_in_the_place_of_a_number(text, hint):
    assert hint_of_number(text) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("≤ 12", "'<= 12'"),
        ("more than 1,000,000", "'> 1000000'"),
        ("1.2 million", "'1.2', and / 1e6 behind what is measured"),
        ("10^-3", "'1e-3'"),
        ("0.63 (0.01)", "'0.63', and about: 0.01 beside it"),
        ("between 0.6 and 0.7", "a claim that holds 0.6 < … < 0.7"),
        ("1.2.3-4", "the number alone, with the digits that the report prints"),
        ("half", "the number alone, with the digits that the report prints"),
    ],
)
def test_a_number_that_is_not_as_printed(text, hint):
    assert hint_of_printed(text) == f"; write {hint}"


def test_percentages_keep_their_digits():
    assert hint_of_printed("65.0%", computed=False) == "; write '0.650', the share"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[0, 1]", ["0", "1"]),
        ("{0, 1,}", ["0", "1"]),
        ("list(0, 1)", ["0", "1"]),
        ("1..3", ["1", "2", "3"]),
        ("a; b", ["a", "b"]),
        ("range(1000000000)", []),
    ],
)
def test_items_of_a_list_that_is_a_text(text, items):
    assert items_of(text) == items


def test_values_are_shown_as_a_file_writes_them():
    assert shown({"a": None, "b": [True, None], "c": {"d": "e"}}) == "{a, b: [true, null], c: {d: 'e'}}"
