"""A tiny project whose work is done, made once; each test damages a copy. Verbs run in this process: a case
takes a second.
"""

import contextlib
import os
import shutil
from pathlib import Path

import yaml

from mini import convolution, mini
from reprise.cli import main
from reprise.reports.report import Report
from reprise.training.engine import train
from verbs import fitting

REPORT = mini(
    convolution(),
    {
        "base": {},
        "fast": {"set": {"optimizer.lr": 0.01}},
        "tuned": {"set": {"initial_weights": {"from": "base", "drop": ["3_dense"]}}},
    },
    validation=0.2,
    epochs=3,
    figures=[
        {
            "id": "curves",
            "kind": "curves",
            "caption": "Accuracy.",
            "metric": "accuracy",
            "splits": ["train", "validation"],
            "series": [{"runs": "base", "label": "base"}, {"runs": "fast", "label": "fast"}],
        },
        {
            "id": "image",
            "kind": "samples",
            "caption": "An image.",
            "images": {"dataset": "cifar10", "captions": ["label"]},
        },
        {
            "id": "other",
            "kind": "samples",
            "caption": "Images.",
            "images": {"dataset": "cifar10", "captions": ["label"], "each": 2},
        },
    ],
    tables=[
        {"id": "networks", "kind": "layers", "caption": "The network.", "networks": ["net"]},
        {"id": "again", "kind": "layers", "caption": "The network.", "networks": ["net"]},
    ],
    statements=[
        {"number": "accuracy", "says": "Accuracy", "reported": "0.5", "measure": "accuracy(base)"},
        {"number": "loss", "says": "Loss", "reported": "2.3", "measure": "loss(tuned)"},
        {
            "number": "fit",
            "says": "Training accuracy",
            "reported": "0.2",
            "measure": 'accuracy(fast, split="train", at="last")',
        },
        {
            "number": "worst",
            "says": "Accuracy on cats",
            "reported": "0.2",
            "measure": 'class_accuracy(base, "cat")',
        },
    ],
)
REPORT["defaults"]["preprocess"] = {"normalize": "train"}
OPTIONS = ["--scale", "demo", "--results", "results", "--reports", "reports"]
TRAIN = ["--device", "cpu", "--threads", "1"]
DATA, RUNS = Path("results/demo/data"), Path("results/demo/runs")


def verb(*arguments: str) -> int:
    """Exit status of `reprise <arguments>`, run in the current folder."""
    extra = TRAIN if arguments[0] in ("train", "evaluate") else []
    try:
        main([*fitting(arguments, OPTIONS), *extra])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def statements() -> bytes:
    """What the report's statements come out as."""
    assert verb("statements", "mini") == 0
    return Path("results/demo/statements/mini.csv").read_bytes()


def results() -> dict[str, bytes]:
    """The content of every result of every run that no clock has a part in."""
    names = ("history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet")
    return {
        f"{run.name}/{name}": (run / name).read_bytes() for run in sorted(RUNS.iterdir()) for name in names
    }


def make(folder: Path, images: int = 100) -> Path:
    """The whole project: data, runs, intermediates, and what is published."""
    before = Path.cwd()
    (folder / "reports").mkdir(parents=True)
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT))
    os.chdir(folder)
    try:
        for arguments in (
            ("data", "synthesize", "cifar10", "--train", str(images), "--test", str(images // 2)),
            ("data", "fetch", "cifar10"),
            ("data", "decode", "cifar10"),
            ("data", "statistics", "cifar10"),
            ("train", "mini"),
            ("evaluate", "mini"),
            ("samples", "mini", "image"),
            ("samples", "mini", "other"),
            ("layers", "mini", "networks"),
            ("layers", "mini", "again"),
            ("figure", "mini", "image"),
            ("table", "mini", "networks"),
            ("statements", "mini"),
        ):
            assert verb(*arguments) == 0, arguments
        for name in ("base", "fast"):
            save_checkpoint(name)
    finally:
        os.chdir(before)
    return folder


def save_checkpoint(name: str) -> None:
    """`saved/<name>.pt`: the checkpoint of a run that was stopped in its third epoch."""
    run = report().cells(name)[0].members[0]

    class Stop(BaseException):
        pass

    def stop(epoch: int, step: int, loss: object) -> None:
        if epoch == 3:
            raise Stop

    with contextlib.suppress(Stop):
        train(
            [run],
            dataset_dirs={"cifar10": DATA / "cifar10"},
            cache=Path("saved"),
            device="cpu",
            checkpoint_seconds=0,
            on_step=stop,
        )
    (Path("saved") / run.hash / "checkpoint.pt").rename(f"saved/{name}.pt")


def copy(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def report() -> Report:
    return Report(Path("reports/mini.yaml"), "demo")


def run_of(name: str) -> Path:
    """The folder of an experiment's one run."""
    return RUNS / report().cells(name)[0].runs[0]
