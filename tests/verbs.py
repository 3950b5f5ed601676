"""The options of each verb, written by hand: exactly those that it reads. tests/test_cli.py compares them
with what the application takes.
"""

from collections.abc import Sequence

RESULTS = {"--scale", "--results"}
DATA = RESULTS | {"--data"}
REPORT = {"--reports", "--skip", "--stand-in"}
CHOICE = {"--runs", "--only"}
DEVICE = {"--device", "--threads"}
WAY = DEVICE | {"--precision", "--cuda-graphs"}
TRAINING = WAY | {"--exact-threads"}

OPTIONS = {
    "new": {"--reports"},
    "check": {"--watch", "--reports"},
    "runs": RESULTS | REPORT,
    "schema": set(),
    "plan": DATA | REPORT | WAY | {"--compare", "--cache"},
    "run": DATA | REPORT | TRAINING | {"--seeds", "--cache", "--mirror"},
    "next": DATA | REPORT | WAY | {"--budget", "--do", "--cache"},
    "data fetch": DATA | {"--mirror"},
    "data fetch-weights": DATA | {"--mirror"},
    "data decode": DATA,
    "data statistics": DATA,
    "data add": {"--results", "--data"},
    "data stand-in": DATA,
    "data synthesize": {"--results", "--train", "--test"},
    "train": DATA | REPORT | CHOICE | TRAINING,
    "evaluate": DATA | REPORT | CHOICE | DEVICE,
    "study show": RESULTS | REPORT | {"--csv"},
    "study work": DATA | REPORT | TRAINING,
    "submission": DATA | REPORT | DEVICE | {"--run", "--only", "--images"},
    "layers": RESULTS | {"--reports"},
    "samples": DATA | {"--reports", "--stand-in"},
    "figure": RESULTS | REPORT | {"--partial"},
    "table": RESULTS | REPORT | {"--partial"},
    "statements": RESULTS | REPORT | {"--partial"},
    "summary": RESULTS | REPORT | {"--write", "--findings"},
    "site": RESULTS | REPORT,
    "tensorboard": RESULTS | REPORT,
    "export": RESULTS | REPORT | {"--weights"},
    "publish": RESULTS | REPORT,
    "import": DATA | {"--runs"},
    "verify": DATA | CHOICE | WAY | {"--reports", "--stand-in", "--report", "--sample", "--seed", "--most"},
}
"""Verb → its options."""


def verb_of(words: Sequence[str]) -> str:
    """The verb that a command begins with, or nothing."""
    return next((verb for verb in OPTIONS if list(words[: verb.count(" ") + 1]) == verb.split()), "")


def fitting(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command, and those of `options` (names and values in turn) that its verb takes."""
    known = OPTIONS.get(verb_of(words), set())
    pairs = zip(options[::2], options[1::2], strict=True)
    return [*words, *(word for name, value in pairs if name in known for word in (name, value))]
