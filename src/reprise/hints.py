"""What to write instead: the words of other frameworks, and values that are written otherwise here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from reprise.errors import nearest

ELSEWHERE = "elsewhere"
"""Stands for a key that is right nearby and wrong here."""

WRITTEN_ELSEWHERE = {
    "lr": ("learning_rate", "learningrate", "learning rate", "init_lr", "base_lr", "step_length", "eta"),
    "batch_size": ("batchsize", "bs", "minibatch", "mini_batch_size", "batch"),
    "epochs": (
        "epoch",
        "nepochs",
        "n_epochs",
        "num_epochs",
        "max_epochs",
        "nb_epoch",
        "max_iter",
        "iterations",
    ),
    "weight_decay": ("weightdecay", "wd", "l2", "l2_penalty", "decay", "kernel_regularizer"),
    "momentum": ("momentum_", "mom"),
    "betas": ("beta", "beta1", "beta2", "beta_1", "beta_2"),
    "eps": ("epsilon",),
    "alpha": ("rho",),
    "nesterov": ("nesterov_momentum", "use_nesterov", "nesterovs_momentum"),
    "optimizer": ("optimiser", "optim", "solver"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "learning_rate_schedule"),
    "step": ("step_size",),
    "gamma": ("decay_rate", "lr_decay"),
    "min_lr": ("eta_min", "lr_min"),
    "early_stop": ("early_stopping", "earlystopping", "earlystop"),
    "seeds": ("seed", "random_state", "random_seed", "random_seeds"),
    "validation": ("validation_split", "val_split", "val_size", "validation_fraction", "test_size", "val"),
    "dataset": ("data", "data_set"),
    "labels": ("label", "target", "targets", "label_mode"),
    "classes": ("class", "class_names", "num_classes"),
    "augmentation": ("augmentations", "augment", "transform", "transforms", "data_augmentation"),
    "preprocess": ("preprocessing", "normalization"),
    "normalize": ("normalise", "standardize", "rescale"),
    "flip": ("horizontal_flip", "hflip", "random_flip", "random_horizontal_flip"),
    "vertical_flip": ("vflip", "random_vertical_flip"),
    "crop": ("random_crop", "center_crop"),
    "rotation": ("rotate", "rotation_range", "random_rotation"),
    "jitter": ("color_jitter", "colour_jitter"),
    "zoom": ("zoom_range", "random_zoom"),
    "erasing": ("random_erasing", "cutout"),
    "conv": ("conv2d", "convolution", "filters", "channels", "out_channels"),
    "kernel": ("kernel_size", "filter_size"),
    "stride": ("strides",),
    "padding": ("pad",),
    "pool": ("maxpool", "max_pool", "maxpool2d", "maxpooling2d", "avgpool", "avg_pool", "pooling"),
    "size": ("pool_size",),
    "dense": ("linear", "fc", "fully_connected", "units", "neurons", "out_features"),
    "batch_norm": ("batchnorm", "bn", "batchnorm2d", "batch_normalization", "batchnormalization"),
    "dropout": ("dropout_rate", "drop_rate", "drop_prob", "keep_prob", "p"),
    "activation": ("act", "activation_function", "nonlinearity", "nonlin"),
    "model": ("network", "net", "architecture"),
    "models": ("networks", "nets", "architectures", "model"),
    "layers": ("layer", "modules", "blocks"),
    "select": ("checkpoint", "save_best", "restore_best_weights"),
    "patience": ("wait", "n_iter_no_change"),
    "runs": ("run", "cells", "selector", "experiment"),
    "measure": ("measured", "expression", "value", "metric", "holds"),
    "holds": ("hold", "holds_if", "condition", "measure"),
    "says": ("text", "quote", "claimed", "say"),
    "reported": ("expected", "value", "report"),
    "caption": ("description",),
    "series": ("lines", "curves"),
    "kind": ("type",),
    "statements": ("claims", "numbers"),
    "values": ("choices", "options", "value"),
    "grid": ("grid_search", "gridsearch", "sweep"),
    "random": ("random_search", "randomsearch"),
    "experiments": ("runs", "experiment"),
    "max": ("maximum", "at_most"),
}
"""Key → what other frameworks and people call it."""
UNDER = {
    "lr": "optimizer",
    "weight_decay": "optimizer",
    "momentum": "optimizer",
    "epochs": "training",
    "batch_size": "training",
    "early_stop": "training",
    "select": "training",
    "labels": "dataset",
    "normalize": "preprocess",
    "validation": "split",
    "elastic_net": "regularization",
}
"""Key of the settings → where it belongs."""


OTHERS = (
    *("elu", "selu", "celu", "gelu", "silu", "relu6", "prelu", "leaky_relu", "leakyrelu", "swish"),
    *("nadam", "adamax", "radam", "adagrad", "adadelta", "rprop", "lbfgs"),
    *("mnist", "svhn", "tiny_imagenet", "imagenet", "fashion_mnist"),
)
"""Names of what there is elsewhere and not here; one that is spelt alike is another thing."""


def suggestion(word: Any, valid: Sequence[str], elsewhere: Sequence[str] = ()) -> tuple[str, str]:
    """What to do about an unknown key, and the key that is meant, where there is one like it."""
    plain = str(word).lower().replace("-", "_")
    if not isinstance(word, str) and word is not None:
        return f" ({shown(word)} is no text); put it in quotes, or write one of: {', '.join(valid)}", ""
    called = next(
        (key for key, others in WRITTEN_ELSEWHERE.items() if key in (*valid, *elsewhere) and plain in others),
        None,
    )
    hint = f"; did you mean {called}?" if called else nearest(word, [*valid, *elsewhere])
    meant = re.fullmatch(r"; did you mean (.*)\?", hint)
    if meant:
        return hint, ELSEWHERE if meant[1] in elsewhere else meant[1]
    if plain in ("uniform", "log_uniform") and "values" in valid:
        return "; a range is for asha alone, so list the values here: values: [1e-3, 1e-2]", "values"
    home = next((key for key, others in WRITTEN_ELSEWHERE.items() if plain in (key, *others)), plain)
    if home in UNDER and not any(UNDER.get(key) == UNDER[home] for key in valid):
        return f"; {home} belongs under {UNDER[home]}", ""
    return hint or "; remove it", ""


def rest_of_text(key: str) -> bool:
    """Whether a key without a value looks like what stood behind the comma of a text in braces."""
    return re.search(r"[^\w-]", key.strip()) is not None


def value_hint(given: Any, valid: Sequence[str]) -> str:
    """What to write in the place of a value that is none of the `valid` ones."""
    if given == "softmax":
        return "; softmax is part of the loss, so leave the activation of the last layer out"
    same = {
        "val": "validation",
        "valid": "validation",
        "training": "train",
        "testing": "test",
        "eval": "test",
    }
    called = same.get(str(given).lower())
    if called in valid:
        return f"; did you mean {called}?"
    if str(given).lower() in OTHERS:
        return f"; valid: {', '.join(valid)}"
    return nearest(given, valid)


def hint_of_number(given: str) -> str:
    """What is wrong with a text in the place of a number."""
    text = given.strip()
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return "; leave the quotes out"
    if re.fullmatch(r"\d+,\d+", text):
        return f"; write {text.replace(',', '.')}, or {text.replace(',', '')} if the comma parts thousands"
    if re.fullmatch(r"\d+(\.\d+)? ?%", text):
        return f"; write the share, {float(text.rstrip(' %')) / 100:g}"
    return ""


def hint_of_switch(given: bool, whole: bool) -> str:
    """What to write in the place of true or false, where a number says how much."""
    return f"; write how much, such as {4 if whole else 0.5}" if given else "; leave it out"


def hint_of_layer(given: Any) -> str:
    known = {"flatten": "{flatten: true}", "batch_norm": "{batch_norm: true}", "dense": "{dense: 84}"}
    known |= {"conv": "{conv: 32}", "pool": "{pool: max}", "dropout": "{dropout: 0.5}"}
    known |= {name: f"{{activation: {name}}}" for name in ("relu", "tanh", "sigmoid")}
    if not isinstance(given, str):
        return ""
    called = next(
        (key for key, others in WRITTEN_ELSEWHERE.items() if given.lower() in (key, *others)), given
    )
    return f"; write {known[called]}" if called in known else ""


def hint_of_form(form: str, given: Any) -> str:
    """How a text could be written in the form that it lacks."""
    if not isinstance(given, str):
        return ""
    if "number" in form:
        text = given.strip()
        if re.fullmatch(r"[“”„‘’'\"][-+]?[\d.]+[“”’'\"]", text):
            return f'; write it in straight quotes: "{text[1:-1]}"'
        spread = re.fullmatch(r"([\d.]+) ?(?:±|\+/?-) ?([\d.]+)", text)
        if spread:
            return f"; write '{spread[1]}', and about: {spread[2]} beside it"
        span = re.fullmatch(r"([\d.]+) ?(?:-|–|to) ?([\d.]+)", text)
        if span and float(span[1]) < float(span[2]):
            return f"; write a claim that holds {span[1]} < … < {span[2]}"
        if re.fullmatch(r"[-+]?[\d.]+ ?%", text):
            return f"; write '{text.rstrip(' %')}', and 100 * in what is measured"
        bound = re.fullmatch(r"(over|above|more than|at least|under|below|less than|at most) ([\d.]+)", text)
        if bound:
            return f"; write '{_SIGNS[bound[1]]} {bound[2]}'"
        if re.fullmatch(r"(?:about|around|approx\.?|~|≈|circa) ?[\d.]+", text):
            number = re.sub(r"[^\d.]", "", text)
            return f"; write '{number}', and about: beside it how far off it may be"
        if re.fullmatch(r"\d,\d{3}", text):
            thousands = f"'{text.replace(',', '')}' if the comma parts thousands"
            return f"; write {thousands}, or '{text.replace(',', '.')}'"
        if re.fullmatch(r"\d+(,\d{3})+", text):
            return f"; write '{text.replace(',', '')}'"
        if re.fullmatch(r"\d+,\d+", text):
            return f"; write '{text.replace(',', '.')}'"
        return ""
    if form.startswith(("lower-case", "letters")):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", given).strip("_")
        plain = plain.lower() if form.startswith("lower-case") else plain
        return f"; write {plain}" if plain and plain != given and len(plain) <= 100 else ""
    return ""


_SIGNS = {
    **dict.fromkeys(("over", "above", "more than"), ">"),
    **dict.fromkeys(("under", "below", "less than"), "<"),
    "at least": ">=",
    "at most": "<=",
}


MOST_KEYS = 9
"""As many keys or numbers a message lists that nobody asked for."""
YAML_WORDS = {"None": "null", "True": "true", "False": "false"}


def shown(value: Any) -> str:
    """A value as an error shows it: as Python does, but for the words that YAML has for nothing, true and
    false.
    """
    shown = YAML_WORDS.get(repr(value), repr(value))
    return shown if len(shown) <= 100 else f"{shown[:100]}…"
