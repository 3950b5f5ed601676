"""A tiny data set in the decoded form and tiny runs on it, for tests of training and evaluation."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

from mini import changed
from reprise.data.decode import read_facts, write_dataset_record
from reprise.reports.run import ENGINE, Run, prune
from reprise.training.results import write_evaluation_record, write_run_record

CLASSES = {"coarse": ["warm", "cold"], "fine": ["red", "orange", "blue", "green"]}
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""For `tarfile` where it is the oracle; Python 3.11.2, which is Debian 12's, cannot filter yet."""
COLOURS = np.array([[170, 90, 90], [160, 120, 80], [80, 90, 170], [90, 150, 100]])


def write_dataset(
    folder: Path, train: int = 150, test: int = 60, source: str = "synthetic", size: int = 12
) -> Path:
    """Noisy patches of four colours: learned within epochs, but never wholly."""
    rng = np.random.default_rng(7)
    facts = {
        "name": "cifar10",
        "source": source,
        "label_kinds": list(CLASSES),
        "classes": CLASSES,
        "image_shape": [3, size, size],
    }
    facts["splits"] = {}
    for split, count in {"train": train, "test": test}.items():
        fine = rng.integers(4, size=count)
        noise = rng.normal(0, 70, (count, 3, size, size)) + rng.normal(0, 40, (count, 3, 1, 1))
        images = (COLOURS[fine][:, :, None, None] + noise).clip(0, 255).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", np.stack([fine // 2, fine], axis=1).astype(np.uint8))
        (folder / f"{split}_names.txt").write_text("".join(f"{index}.png\n" for index in range(count)))
        facts["splits"][split] = {"images": count, "digest": "0" * 64}
    write_dataset_record(folder, facts)
    return folder


def edit_dataset(folder: Path, **changes) -> None:
    """Another `dataset.json`, and the record of the files as they lie there now."""
    write_dataset_record(folder, {**read_facts(folder), **changes})


def record_run(folder: Path, change=lambda document: None) -> None:
    """A run's records as they would be if its files had been written as they lie there now; `change` edits
    `run.json` first.
    """
    document = json.loads((folder / "run.json").read_text())
    document.pop("sha256", None)
    change(document)
    write_run_record(folder, document)
    if (folder / "final.parquet").exists():
        write_evaluation_record(folder)


def without_records(folder: Path) -> None:
    """A run as versions before records wrote it."""
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({key: document[key] for key in ("run", "spec", "meta")}))
    (folder / "evaluation.json").unlink(missing_ok=True)


def without_plain(folder: Path) -> None:
    """A run as versions before the metrics of plain training images evaluated it."""
    final = pd.read_parquet(folder / "final.parquet")
    plain = final["metric"].str.startswith("plain_")
    assert plain.sum() == 3
    final[~plain].to_parquet(folder / "final.parquet", index=False)
    write_evaluation_record(folder)


SPEC = {
    "engine": ENGINE,
    "dataset": {"name": "cifar10", "labels": "fine", "source": "synthetic"},
    "split": {"validation": "test"},
    "model": {
        "name": "sequential",
        "layers": [
            {"conv": 4, "activation": "relu"},
            {"pool": "max"},
            {"flatten": True},
            {"dense": "classes"},
        ],
    },
    "optimizer": {"name": "adam", "lr": 0.003},
    "training": {"epochs": 3, "batch_size": 32, "select": "best_accuracy"},
    "seeds": {"split": 0, "init": 0, "order": 0, "augmentation": 0},
}


def tiny_run(**changes) -> Run:
    """A run of three epochs; `training__epochs=5` replaces one setting, `schedule={…}` a whole part."""
    return Run(prune(changed(SPEC, changes)))


def everything(**changes) -> Run:
    """A run with all that has state or chance: augmentation, dropout, batch norm, schedule, momentum, a part
    held out.
    """
    layers = [
        {"conv": 4, "activation": "relu"}, {"batch_norm": True}, {"pool": "max"}, {"dropout": 0.25},
        {"flatten": True}, {"dense": 8, "activation": "relu"}, {"dropout": 0.5}, {"dense": "classes"},
    ]  # fmt: skip
    settings = {
        "split__validation": 0.2,
        "model__layers": layers,
        "augmentation": [
            {"flip": 0.5},
            {"crop": 2},
            {"rotation": 10},
            {"jitter": {"brightness": 0.2, "hue": 0.1}},
            {"erasing": 0.5},
        ],
        "preprocess": {"normalize": "train"},
        "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.001},
        "schedule": {"name": "step", "step": 2, "gamma": 0.5},
        "training__epochs": 5,
    }
    return tiny_run(**{**settings, **changes})
