"""Mistakes in settings that the schema catches: one line with the key path and what is valid there."""

import copy
import re

import pytest
from test_report import BASE, write

from reprise.errors import RepriseError
from reprise.reports.report import Report


def refused(folder, path, value):
    """The error for the base report with the setting at `path` replaced, less the file's name."""
    document = copy.deepcopy(BASE)
    *parents, last = path.split(".")
    node = document
    for key in parents:
        node = node[key]
    node[last] = value
    file = write(folder, **document)
    with pytest.raises(RepriseError) as error:
        Report(file)
    place, _, message = str(error.value).partition(f": {path}")
    assert re.fullmatch(re.escape(str(file)) + r":\d+", place)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            {"name": "adam", "momentum": 0.9},
            ".momentum: unknown key for adam; valid: name, lr, weight_decay, betas, eps",
        ),
        ({"name": "adam", "nesterov": True}, ".nesterov: unknown key for adam"),
        ({"name": "adamw", "alpha": 0.9}, ".alpha: unknown key for adamw"),
        ({"name": "adamw", "beta": [0.9, 0.99]}, ".beta: unknown key for adamw; did you mean betas?"),
        (
            {"name": "sgd", "betas": [0.9, 0.99]},
            ".betas: unknown key for sgd; valid: name, lr, weight_decay, momentum, nesterov",
        ),
        ({"name": "sgd", "eps": 1e-7}, ".eps: unknown key for sgd"),
        ({"name": "sgd", "alpha": 0.9}, ".alpha: unknown key for sgd"),
        ({"name": "rmsprop", "betas": [0.9, 0.99]}, ".betas: unknown key for rmsprop"),
        ({"name": "rmsprop", "nesterov": True}, ".nesterov: unknown key for rmsprop"),
        ({"name": "rmsprop", "alpha": 1}, ".alpha: should be less than 1, not 1"),
        ({"name": "sgd", "nesterov": True}, ": nesterov needs a momentum above 0; add momentum"),
        (
            {"name": "sgd", "nesterov": True, "momentum": 0},
            ": nesterov needs a momentum above 0",
        ),
        (
            {"name": "adam", "betas": [0.9, 1.0]},
            ".betas[1]: should be less than 1, not 1.0",
        ),
        ({"name": "adam", "betas": [-0.1, 0.9]}, ".betas[0]: should be greater than or equal to 0, not -0.1"),
        ({"name": "adma", "momentum": 0.9}, ".name: 'adma' is no optimizer; did you mean adam?"),
    ],
)
def test_optimisers(tmp_path, optimizer, message):
    assert refused(tmp_path, "defaults.optimizer", {"lr": 0.1, **optimizer}).startswith(message)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "cosine", "gamma": 0.9}, ".gamma: unknown key for cosine; valid: name, min_lr"),
        ({"name": "step", "gamma": 0.9}, ": key step is missing"),
        ({"name": "step", "step": 3, "factor": 0.5}, ".factor: unknown key for step"),
        ({"name": "exponential"}, ": key gamma is missing"),
        ({"name": "exponential", "gamma": 0.9, "step": 3}, ".step: unknown key for exponential"),
        (
            {"name": "plateau", "gamma": 0.9},
            ".gamma: unknown key for plateau; valid: name, factor, patience, threshold,",
        ),
    ],
)
def test_schedules(tmp_path, schedule, message):
    assert refused(tmp_path, "defaults.schedule", schedule).startswith(message)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"conv": 8, "pool": "max"},
            ".pool: unknown key for a layer of kind conv; valid: conv, name, kernel, stride",
        ),
        (
            {"kernel": 3},
            ".kernel: unknown key for a layer without a kind; valid: activation, name, conv, batch_norm, "
            "pool",
        ),
        ({"cnv": 8}, ".cnv: unknown key for a layer without a kind; did you mean conv?"),
        ({}, ": should be a mapping such as {conv: 32}, not {}"),
        (
            {"pool": "max", "kernel": 2},
            ".kernel: unknown key for a layer of kind pool; valid: pool, name, size, stride, padding",
        ),
        ({"pool": "max", "padding": "same"}, ".padding: should be a whole number, not 'same'"),
        ({"conv": 8, "size": 3}, ".size: unknown key for a layer of kind conv"),
        (
            {"dense": 8, "kernel": 3},
            ".kernel: unknown key for a layer of kind dense; valid: dense, name, activation, scaled",
        ),
        ({"dropout": 0.5, "activation": "relu"}, ".activation: unknown key for a layer of kind dropout"),
        ({"dropout2d": 0.5, "scaled": False}, ".scaled: unknown key for a layer of kind dropout2d"),
        ({"batch_norm": True, "size": 2}, ".size: unknown key for a layer of kind batch_norm"),
        ({"flatten": True, "size": 2}, ".size: unknown key for a layer of kind flatten"),
        ({"activation": "rleu"}, ".activation: 'rleu' is not valid; did you mean relu?"),
    ],
)
def test_layers(tmp_path, layer, message):
    layers = [layer, {"flatten": True}, {"dense": "classes"}]
    assert refused(tmp_path, "models.net.layers", layers).startswith(f"[0]{message}")
    model = {"name": "torchvision", "arch": "vgg16", "weights": "random", "head": layers}
    assert refused(tmp_path, "models.net", model).startswith(f".head[0]{message}")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "sequential"}, ": key layers is missing"),
        (
            {"name": "sequential", "layers": [{"dense": "classes"}], "arch": "vgg16"},
            ".arch: unknown key for the family sequential; valid:",
        ),
        ({"name": "torchvision", "weights": "random"}, ": key arch is missing"),
        ({"name": "torchvision", "arch": "vgg16"}, ": key weights is missing"),
        (
            {"name": "torchvision", "arch": "vgg16", "weights": "random", "width": 2},
            ".width: unknown key for the family torchvision",
        ),
        (
            {"name": "torchvison", "arch": "vgg16"},
            ".name: 'torchvison' is no family of networks; did you mean torchvision?",
        ),
    ],
)
def test_families(tmp_path, model, message):
    assert refused(tmp_path, "models.net", model).startswith(message)


def test_the_test_set_is_never_augmented(tmp_path):
    message = refused(tmp_path, "defaults.split", {"validation": "test", "augmented": True})
    assert message == ": test images are never augmented; leave augmented out, or hold out a share"


def test_augmentation_ranges_are_positive(tmp_path):
    message = refused(
        tmp_path, "defaults.augmentation", [{"resized_crop": {"scale": [0.1, 1], "ratio": [0, 1]}}]
    )
    assert message == "[0].resized_crop.ratio[0]: should be greater than 0, not 0"


def test_a_setting_of_another_name_is_found_after_expansion(tmp_path):
    defaults = copy.deepcopy(BASE["defaults"]) | {"optimizer": {"name": "adam", "lr": 0.001, "eps": 1e-7}}
    file = write(tmp_path, defaults=defaults, experiments={"sgd": {"set": {"optimizer.name": "sgd"}}})
    with pytest.raises(
        RepriseError,
        match=r"defaults\.optimizer\.eps \(experiment sgd\): unknown key for sgd; valid: name, lr, "
        r"weight_decay, momentum",
    ):
        Report(file)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (
            "defaults.optimizer",
            {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        ),
        ("defaults.optimizer", {"name": "sgd", "lr": 0.1, "nesterov": False}),
        ("defaults.optimizer", {"name": "rmsprop", "lr": 0.1, "alpha": 0.9, "eps": 1e-7, "momentum": 0.5}),
        ("defaults.optimizer", {"name": "adamw", "lr": 0.1, "betas": [0, 0.999]}),
        ("defaults.schedule", None),
        ("defaults.schedule", {"name": "plateau", "factor": 0.5, "patience": 3}),
        ("defaults.split", {"validation": 0.1, "augmented": True}),
        (
            "models.net.layers",
            [
                {"pool": "avg", "size": 3, "stride": 2, "padding": 1},
                {"activation": "tanh"},
                {"dense": "classes"},
            ],
        ),
        (
            "models.net",
            {
                "name": "torchvision",
                "arch": "vgg16",
                "weights": "random",
                "part": "features",
                "trainable": "head",
            },
        ),
    ],
)
def test_what_is_valid_stays_valid(tmp_path, path, value):
    document = copy.deepcopy(BASE)
    *parents, last = path.split(".")
    node = document
    for key in parents:
        node = node[key]
    node[last] = value
    assert Report(write(tmp_path, **document)).runs()
