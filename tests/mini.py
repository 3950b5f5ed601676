"""A small report, as a report file holds it, to which tests add what they are about. It imports nothing that
is slow.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STUDY = {
    "trials": 4,
    "min_resource": 1,
    "reduction_factor": 2,
    "space": {"lr": {"path": "optimizer.lr", "log_uniform": [1e-4, 1e-2]}},
}
"""A search of four trials."""


def convolution(channels: int = 4, *, batch_norm: bool = False) -> list[dict[str, Any]]:
    """Layers of a network with one convolution."""
    normalized = [{"batch_norm": True}] if batch_norm else []
    return [
        {"conv": channels, "activation": "relu"},
        *normalized,
        {"pool": "max"},
        {"flatten": True},
        {"dense": "classes"},
    ]


def mini(
    layers: Sequence[Mapping[str, Any]],
    experiments: Mapping[str, Any],
    *,
    labels: str = "label",
    validation: float | str = "test",
    epochs: int = 2,
    **sections: Any,
) -> dict[str, Any]:
    """A report with the slug `mini` on CIFAR-10, one network `net`, one seed, as long at every scale;
    `sections` are figures, tables and statements.
    """
    return {
        "slug": "mini",
        "title": "Mini",
        "models": {"net": {"name": "sequential", "layers": layers}},
        "defaults": {
            "dataset": {"name": "cifar10", "labels": labels},
            "split": {"validation": validation},
            "model": "net",
            "optimizer": {"name": "adam", "lr": 0.001},
            "training": {"epochs": epochs, "batch_size": 32, "select": "best_accuracy"},
            "seeds": [0],
        },
        "experiments": experiments,
        "scales": {"quick": {}, "demo": {}},
        **sections,
    }


def run_spec(seed: int = 0, **parts: Any) -> dict[str, Any]:
    """What identifies a run: whole, with these `parts` in the place of others."""
    return {
        "engine": 1,
        "dataset": {"name": "cifar10", "labels": "label", "source": "real"},
        "split": {"validation": 0.1},
        "model": {"name": "sequential", "layers": convolution()},
        "optimizer": {"name": "adam", "lr": 0.001},
        "training": {"epochs": 20, "batch_size": 64, "select": "last"},
        **parts,
        "seeds": dict.fromkeys(("split", "init", "order", "augmentation"), seed),
    }


def located(file: Path, text: str) -> str:
    """How an error about the first line of `file` that has `text` begins."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return f"{file}:{next(number for number, line in enumerate(lines, 1) if text in line)}: "


def changed(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what identifies a run, with other values: `training__epochs` is one setting, `schedule` a
    whole part.
    """
    found = copy.deepcopy(dict(spec))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = found
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = value
    return found
