"""The runs that are timed, those of the reports at full size, and how a table looks.

Their settings lie in `cases.json`, so that `bench_gpu.py` needs neither the report files nor what reads them;
`test_bench.py` holds that file against the reports. To write it anew: python tests/bench/bench_cases.py.
"""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.files import write_json
from reprise.reports.run import Run, prune

ROOT = Path(__file__).parents[2]
SETTINGS = Path(__file__).with_name("cases.json")
JITTER = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
REPORT_1 = [{"flip": 0.5}, {"jitter": JITTER}, {"rotation": 10}]
"""The three transforms of report 1's figure 6, with the strengths of its tuned CNN."""


ALL_LAYERS = {"model.trainable": "all", "model.frozen_mode": None}


@dataclass(frozen=True)
class Case:
    """A cell of a report and what is changed in its run."""

    title: str
    report: str
    selector: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    goal: float = 1.0
    """Images per second of the engine over those of the plain loop, on 2 CPU cores."""
    cpu: bool = True


CASES = {
    "mlp": Case(
        "Report 1: MLP, baseline; flip, jitter, rotation",
        "cifar100_mlp_cnn",
        "mlp_baseline",
        {"augmentation": REPORT_1},
        5,
    ),
    "mlp_tuned": Case(
        "Report 1: MLP, tuned; flip, rotation, resized crop", "cifar100_mlp_cnn", "mlp_tuned", {}, 5
    ),
    "lenet": Case(
        "Report 1: LeNet-5; flip, jitter, rotation",
        "cifar100_mlp_cnn",
        "cnn_baseline",
        {"augmentation": REPORT_1},
        5,
    ),
    "cnn_2": Case(
        "Report 2: CNN; flip, rotation, erasing",
        "cifar10_architectures",
        "cnn/batch_size=128,lr=0.001,l2=0,dropout=0.5,augmentation=4",
    ),
    "cnn_4": Case("Report 4: CNN; no augmentation", "cifar100_superclass", "adam", {}, 3),
    "resnet18": Case(
        "Report 5: ResNet-18 of a quarter of its width; crop, flip, rotation",
        "cifar10_asha",
        "resnet/trial=0",
        {
            "model.depth": 18,
            "model.width": 0.25,
            "augmentation": [{"crop": 4}, {"flip": 0.5}, {"rotation": 15}],
        },
    ),
    "vit": Case("Report 2: ViT, as run", "cifar10_architectures", "vit/batch_size=128,lr=0.001", cpu=False),
    "residual": Case(
        "Report 3: residual network", "cinic10_resnet", "residual", {"dataset.name": "cifar10"}, cpu=False
    ),
    "resnet34": Case(
        "Report 5: ResNet-34; crop, flip, rotation",
        "cifar10_asha",
        "scheduled/trial=0",
        {"augmentation": [{"crop": 4}, {"flip": 0.5}, {"rotation": 15}]},
        cpu=False,
    ),
    "resnet18_224": Case(
        "Report 2: ResNet18 at 224, as written",
        "cifar10_architectures",
        "pretrained/network=resnet18@as_written",
        ALL_LAYERS,
        cpu=False,
    ),
    "mobilenet": Case(
        "Report 2: MobileNetV3-S at 224, as written",
        "cifar10_architectures",
        "pretrained/network=mobilenet_v3_small@as_written",
        ALL_LAYERS,
        cpu=False,
    ),
    "efficientnet": Case(
        "Report 2: EfficientNetV2-S at 384, as written",
        "cifar10_architectures",
        "pretrained/network=efficientnet_v2_s@as_written",
        cpu=False,
    ),
    "vgg19": Case(
        "Report 3: VGG19, unfrozen",
        "cinic10_resnet",
        "vgg19_unfrozen",
        {"dataset.name": "cifar10"},
        cpu=False,
    ),
}


def derive(case: Case) -> dict[str, Any]:
    """The settings of the case's run, from the report file: one seed, no search, random instead of pretrained
    weights, synthetic data.
    """
    from reprise.reports.report import Report, report_files

    report = Report(report_files(ROOT / "workflow/reports")[case.report])
    spec = copy.deepcopy(dict(report.cells(case.selector)[0].members[0].spec))
    for key in ("study", "initial_weights"):
        spec.pop(key, None)
    for path, value in case.changes.items():
        *parents, last = path.split(".")
        node = spec
        for key in parents:
            node = node[key]
        node[last] = value
    if "weights" in spec["model"]:
        spec["model"]["weights"] = "random"
    spec["dataset"]["source"] = "synthetic"
    if spec["split"]["validation"] == "official":
        spec["split"]["validation"] = "test"
    return prune(spec)


def run_of(name: str) -> Run:
    """The run of a case, from `cases.json`."""
    return Run(json.loads(SETTINGS.read_text(encoding="utf-8"))[name])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def legend(names: Iterable[str]) -> str:
    """What the short names of cases stand for."""
    rows = []
    for name in names:
        batch_size = run_of(name).settings.training.batch_size
        rows.append([f"`{name}`", f"{CASES[name].title}; batch {batch_size}"])
    return table(["case", "network, augmentation and batch size"], rows)


if __name__ == "__main__":
    write_json(SETTINGS, {name: derive(case) for name, case in CASES.items()})
