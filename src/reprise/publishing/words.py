"""What readers call settings: labels instead of the names that programs know."""

from collections.abc import Mapping
from typing import Any

from reprise.publishing.numbers import exact, short_exponent
from reprise.reports.report import Cell, text

TERMS = {
    **{name: name.upper() for name in ("cnn", "mlp", "sgd", "vgg16", "vgg19")},
    "adam": "Adam",
    "adamw": "AdamW",
    "betas": "β",
    "cutout": "Cutout",
    "cut_out": "Cutout",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "cinic10": "CINIC-10",
    "eps": "ε",
    "gelu": "GELU",
    "imagenet": "ImageNet",
    "l2": "L2 penalty",
    "lr": "learning rate",
    "relu": "ReLU",
    "resnet": "ResNet",
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "rmsprop": "RMSProp",
    "stl10": "STL-10",
    "vit": "ViT",
    "xavier": "Xavier initialisation",
}
"""Names, or words of them, that the field writes otherwise."""
COUNTED = ("trial", "seed")
"""Axes whose values are numbers of something, so that 0 is not none of it."""


def written(name: str) -> str:
    """A name in words: `drop_rate` is drop rate, `vgg19_frozen` VGG19 frozen."""
    return TERMS.get(name) or " ".join(TERMS.get(part, part) for part in name.split("_"))


def setting(axis: str, value: str) -> str:
    """A value of an axis in words: `batch size 64`, `augmentation Cutout`."""
    return f"{written(axis)} {written(value)}"


def plain(value: Any) -> str:
    """A single value: `1e-5`, `AdamW`, `yes`."""
    if isinstance(value, bool) or value in ("true", "false"):
        return "yes" if value in (True, "true") else "no"
    if isinstance(value, float):
        return exact(value)
    return written(value) if isinstance(value, str) else short_exponent(text(value))


def selected(selector: str) -> str:
    """A selector in words, where nothing else says what readers call its cells: `classic/xavier=true` is
    classic (Xavier initialisation).
    """
    body, _, reading = selector.partition("@")
    experiment, _, conditions = body.partition("/")
    if conditions == "base":
        said = ["base"]
    else:
        pairs = (condition.partition("=") for condition in conditions.split(",") if condition)
        said = [f"any {written(axis)}" if value == "*" else _on_axis(axis, value) for axis, _, value in pairs]
    said += [written(reading)] if reading else []
    return written(experiment) + (f" ({', '.join(said)})" if said else "")


def value_of(cell: Cell, axis: str) -> str:
    """A cell's value on an axis, as the report file labels it or as it is."""
    return cell.labels.get(axis) or plain(cell.settings[axis])


def on_axis(cell: Cell, axis: str) -> str:
    """A cell's value on an axis together with what it is a value of: `learning rate 0.01`, `no dropout`."""
    return cell.labels.get(axis) or _on_axis(axis, cell.settings[axis])


def _on_axis(axis: str, value: Any) -> str:
    name = written(axis)
    if isinstance(value, bool) or value in ("true", "false"):
        return name if value in (True, "true") else f"no {name}"
    if isinstance(value, int | float) and value == 0 and axis not in COUNTED:
        return f"no {name}"
    return f"{name} {plain(value)}"


def configuration(cell: Cell, run: str | None = None) -> str:
    """A cell in words, with the seed of `run` where one was picked and no axis gives it."""
    chosen = [on_axis(cell, axis) for axis in cell.settings] or [cell.title or written(cell.experiment)]
    reading = [written(cell.reading)] if cell.reading else []
    seed = [f"seed {cell.run(run).settings.seeds.init}"] if run and "seed" not in cell.settings else []
    return ", ".join([*chosen, *reading, *seed])


def option(name: str, value: Any, shown: str) -> str:
    """An option of a network, optimiser or augmentation, whose value is `shown`: `momentum 0.9`, `no
    amsgrad`.
    """
    if isinstance(value, bool):
        return written(name) if value else f"no {written(name)}"
    if isinstance(value, Mapping):
        return f"{written(name)} ({shown})" if value else written(name)
    return f"{written(name)} {shown}"
