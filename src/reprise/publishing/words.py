"""What readers call settings: labels instead of the names that programs know."""

from collections.abc import Mapping
from typing import Any

from reprise.publishing.numbers import exact, short_exponent
from reprise.reports.report import Cell, text

NAMES = {
    "lr": "learning rate",
    "l2": "l2 penalty",
    "eps": "ε",
    "betas": "β",
    "cut_out": "Cutout",
    "xavier": "Xavier initialisation",
}
"""Names in settings that are read as something else."""
SPELT = {
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "gelu": "GELU",
    "silu": "SiLU",
    "mlp": "MLP",
    "cnn": "CNN",
    "vit": "ViT",
    "resnet": "ResNet",
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "imagenet": "ImageNet",
    "cutout": "Cutout",
    "mixup": "Mixup",
}
"""Words that are not written in small letters."""
COUNTED = ("trial", "seed")
"""Axes whose values are numbers of something, so that 0 is not none of it."""


def word(name: str) -> str:
    """`adamw` as AdamW, `weight_decay` as weight decay, `mlp_search` as MLP search."""
    return NAMES.get(name) or " ".join(SPELT.get(part, part) for part in name.split("_"))


def plain(value: Any) -> str:
    """A single value: `1e-5`, `AdamW`, `yes`."""
    if isinstance(value, bool) or value in ("true", "false"):
        return "yes" if value in (True, "true") else "no"
    if isinstance(value, float):
        return exact(value)
    return word(value) if isinstance(value, str) else short_exponent(text(value))


def value_of(cell: Cell, axis: str) -> str:
    """A cell's value on an axis, as the report file labels it or as it is."""
    return cell.labels.get(axis) or plain(cell.settings[axis])


def on_axis(cell: Cell, axis: str) -> str:
    """A cell's value on an axis together with what it is a value of: `learning rate 0.01`, `no dropout`."""
    value, name = cell.settings[axis], word(axis)
    if axis in cell.labels:
        return cell.labels[axis]
    if isinstance(value, bool) or value in ("true", "false"):
        return name if value in (True, "true") else f"no {name}"
    if isinstance(value, int | float) and value == 0 and axis not in COUNTED:
        return f"no {name}"
    return f"{name} {plain(value)}"


def configuration(cell: Cell, run: str | None = None) -> str:
    """A cell in words, with the seed of `run` where one was picked and no axis gives it."""
    chosen = [on_axis(cell, axis) for axis in cell.settings] or [cell.title or word(cell.experiment)]
    reading = [word(cell.reading)] if cell.reading else []
    seed = [f"seed {cell.run(run).settings.seeds.init}"] if run and "seed" not in cell.settings else []
    return ", ".join([*chosen, *reading, *seed])


def option(name: str, value: Any, shown: str) -> str:
    """An option of a network, optimiser or augmentation, whose value is `shown`: `momentum 0.9`, `no
    amsgrad`.
    """
    if isinstance(value, bool):
        return word(name) if value else f"no {word(name)}"
    if isinstance(value, Mapping):
        return f"{word(name)} ({shown})" if value else word(name)
    return f"{word(name)} {shown}"
