"""What to write instead: the words of other frameworks, and values that are written otherwise here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reprise.errors import nearest
from reprise.numerals import LONGEST, NUMERAL, PERCENT, hint_of_printed, plain_signs

ELSEWHERE = "elsewhere"
"""Stands for a key that is right nearby and wrong here."""

WRITTEN_ELSEWHERE = {
    "lr": ("learning_rate", "learningrate", "learning rate", "init_lr", "base_lr", "step_length"),
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
    "weight_decay": ("weightdecay", "wd", "l2", "l2_penalty", "kernel_regularizer"),
    "momentum": ("momentum_", "mom"),
    "betas": ("beta", "beta1", "beta2", "beta_1", "beta_2"),
    "eps": ("epsilon",),
    "alpha": ("rho",),
    "nesterov": ("nesterov_momentum", "use_nesterov", "nesterovs_momentum"),
    "optimizer": ("optimiser", "optim", "solver"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "learning_rate_schedule"),
    "step": ("step_size",),
    "gamma": ("decay_rate", "lr_decay"),
    "factor": ("reduce_factor", "lr_factor"),
    "threshold": ("min_delta", "tol", "tolerance"),
    "monitor": ("metric", "watch", "measure", "on"),
    "pick": ("select", "best", "choose"),
    "trials": ("num_samples", "num_trials", "n_trials", "n_iter", "max_trials", "samples", "n_samples"),
    "min_resource": ("grace_period", "min_epochs", "min_budget", "min_iter", "min_t", "r_min"),
    "reduction_factor": ("eta", "factor", "halving_factor"),
    "space": (
        *("search_space", "param_space", "param_distributions", "param_grid", "parameters", "params"),
        *("distributions", "axes"),
    ),
    "include": ("enqueue", "initial", "points_to_evaluate"),
    "path": ("param", "parameter", "setting", "key", "hyperparameter", "field"),
    "setting": ("param", "parameter", "path", "key", "hyperparameter"),
    "name": (
        *("type", "class", "class_name", "kind", "family", "algorithm", "method"),
        *("optimizer", "scheduler", "schedule", "model", "dataset", "identifier"),
    ),
    "label": ("name", "title"),
    "id": ("name", "key", "figure", "table"),
    "section": ("name", "heading"),
    "shows": ("figures", "tables", "items", "contents"),
    "affects": ("concerns", "touches", "about"),
    "networks": ("models", "model", "network", "nets"),
    "splits": ("split", "parts"),
    "min_lr": ("eta_min", "lr_min"),
    "early_stop": ("early_stopping", "earlystopping", "earlystop"),
    "seeds": ("seed", "random_state", "random_seed", "random_seeds"),
    "validation": (
        "validation_split",
        "val_split",
        "val_size",
        "validation_fraction",
        "test_size",
        "val",
        "held_out",
        "holdout",
        "ratio",
        "fraction",
    ),
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
    "caption": ("description", "title", "text"),
    "series": ("lines", "curves", "runs", "models"),
    "kind": ("type",),
    "statements": ("claims", "numbers"),
    "values": ("choices", "options", "value", "range", "grid_search", "list", "candidates"),
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
_OF_RESULTS = {"runs", "caption", "says", "label", "section", "holds", "reading"}
"""Keys of what is said of results."""


AMBIGUOUS = ("eta", "decay", "rate", "size", "type", "mode")
"""Keys that mean several things elsewhere: what is spelt alike is a guess."""
OTHERS = (
    *("elu", "selu", "celu", "gelu", "silu", "relu6", "prelu", "leaky_relu", "leakyrelu", "swish"),
    *("nadam", "adamax", "radam", "adagrad", "adadelta", "rprop", "lbfgs"),
    *("mnist", "svhn", "tiny_imagenet", "imagenet", "fashion_mnist"),
)
"""Names of what there is elsewhere and not here; one that is spelt alike is another thing."""


def suggestion(
    word: Any, valid: Sequence[str], elsewhere: Sequence[str] = (), given: Mapping[Any, Any] | None = None
) -> tuple[str, str]:
    """What to do about an unknown key of `given`, and the key that is meant, where there is one like it that
    is not there, too.
    """
    plain = str(word).lower().replace("-", "_")
    if not isinstance(word, str) and word is not None:
        return f" ({shown(word)} is no text); put it in quotes, or write one of: {', '.join(valid)}", ""
    called = next(
        (
            key
            for key, others in WRITTEN_ELSEWHERE.items()
            if plain in others and key in (*valid, *elsewhere) and key not in (given or ())
        ),
        None,
    )
    home = _home(plain, valid, (given or {}).get(word))
    if home:
        return home, ""
    near = f"; valid: {', '.join(valid)}" if plain in AMBIGUOUS else nearest(word, [*valid, *elsewhere])
    hint = f"; did you mean {called}?" if called else near
    meant = re.fullmatch(r"; did you mean (.*)\?", hint)
    if meant:
        return hint, ELSEWHERE if meant[1] in elsewhere else meant[1]
    if plain in ("uniform", "log_uniform") and "values" in valid:
        return "; a range is for asha alone, so list the values here: values: [1e-3, 1e-2]", "values"
    known = next((key for key in UNDER if plain in WRITTEN_ELSEWHERE.get(key, ())), "")
    return _home(known, valid, (given or {}).get(word)) or hint or "; remove it", ""


def _home(key: str, valid: Sequence[str], value: Any) -> str:
    """Where a key of the settings belongs that is none of the `valid` ones; empty for other keys, and where
    these are of a figure, a table or a statement, say.
    """
    if _OF_RESULTS & {*valid}:
        return ""
    if "set" in valid and (key in UNDER or key in UNDER.values() or key == "model"):
        path = f"{UNDER[key]}.{key}" if key in UNDER else key
        paths = {f"{path}.{name}": of for name, of in value.items()} if isinstance(value, Mapping) else {}
        return f"; what an experiment changes stands under set; write set: {_written(paths or {path: value})}"
    if "defaults" in valid and (key in UNDER.values() or key == "seeds"):
        return f"; {key} belongs under defaults"
    if key not in UNDER or any(UNDER.get(other) == UNDER[key] for other in valid):
        return ""
    path = f"; write {UNDER[key]}.{key}" if "initial_weights" in valid else ""
    return f"; {key} belongs under {UNDER[key]}{path}"


_OTHER_METRICS = {
    **dict.fromkeys(("acc", "top1", "top_1", "top1_accuracy", "test_acc"), "accuracy"),
    **dict.fromkeys(("train_acc", "training_acc"), "train_accuracy"),
    **dict.fromkeys(("f1", "f1_score", "macro_f1"), "f1_macro"),
    **dict.fromkeys(("avg", "average"), "mean"),
    **dict.fromkeys(("num_parameters", "n_parameters", "params", "param_count"), "parameters"),
}
_NO_FUNCTIONS = ("abs", "round", "sum", "median", "std", "sqrt", "log", "exp", "len", "all", "any")


def of_validation(name: str) -> str:
    """The metric that is read of the validation images, where a name asks for it: `val_loss` → `loss`."""
    of = re.fullmatch(r"(?:val|valid|validation)_(acc|accuracy|loss)", name.lower())
    return {"acc": "accuracy"}.get(of[1], of[1]) if of else ""


def metric_hint(name: str, valid: Iterable[str], cells: str = "") -> str:
    """What to write in the place of a name that is no metric; `cells`: what it is asked of."""
    known = list(valid)
    of = of_validation(name)
    if of and of in known:
        return f'; did you mean {of}({f"{cells}, " if cells else ""}split="validation")?'
    called = _OTHER_METRICS.get(name.lower(), "")
    if called and called in known:
        return f"; did you mean {called}?"
    return f"; valid: {', '.join(known)}" if name.lower() in _NO_FUNCTIONS else nearest(name, known)


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
        "cosineannealinglr": "cosine",
        "steplr": "step",
        "exponentiallr": "exponential",
        "reducelronplateau": "plateau",
    }
    if list(valid) == ["true"]:
        switched = str(given).lower() in ("yes", "on", "1", "true")
        return "; write true" if switched else "; leave it out"
    called = same.get(str(given).lower())
    if called in valid:
        return f"; did you mean {called}?"
    if str(given).lower() in OTHERS:
        return f"; valid: {', '.join(valid)}"
    return nearest(given, valid)


PAIRS = {
    "betas": "[0.9, 0.999]",
    "x_limits": "[1, 30]",
    "y_limits": "[0, 1]",
    "scale": "[0.08, 1]",
    "ratio": "[0.75, 1.33]",
    "uniform": "[0.1, 0.5]",
    "log_uniform": "[1e-4, 1e-2]",
}
"""Lists of two numbers, by their keys."""
LISTS = {
    "seeds": "[0, 1, 2]",
    "augmentation": "[{flip: 0.5}]",
    "splits": "[train, validation]",
    "holds": '["accuracy(base) > 0.5"]',
}
"""Other lists, in the place of what can be none of theirs."""
_NONE = ("none", "off", "no", "nothing", "false", "[]", "null", "empty", "")


def hint_of_pair(key: str, given: Any) -> str:
    """What to write in the place of what is no list of two numbers."""
    given = given[:LONGEST] if isinstance(given, str) else given
    found = [float(each) for each in NUMERAL.findall(plain_signs(given))] if isinstance(given, str) else []
    if len(found) == 1 or (type(given) in (int, float)):
        one = found[0] if found else given
        if key.endswith("_limits") and one > 0:
            first = 1 if key == "x_limits" and one > 1 else 0
            return f"; write the smallest and the largest: [{first}, {one:g}]"
        return f"; write two numbers, such as {PAIRS[key]}"
    spread = isinstance(given, str) and re.sub(r"(?<=\d) ?(-|–|to) ?(?=[\d.])", " ", given)
    found = [float(each) for each in NUMERAL.findall(spread)] if spread else []
    if len(found) == 2:
        return f"; write [{found[0]:g}, {found[1]:g}]"
    leave = ", or leave the key out" if isinstance(given, str | bool) else ""
    return f"; write two numbers, such as {PAIRS[key]}{leave}"


def items_of(text: str) -> list[str]:
    """The items of a list that is written as a text: `(0, 1)`, `range(3)`, `0-2`, `train and test`."""
    text = text.strip()
    if len(text) > LONGEST:
        return [text]
    numbers = re.fullmatch(r"range\((?:(\d+), ?)?(\d+)\)", text)
    span = re.fullmatch(r"\(?(\d+) ?(?:-|–|\.\.\.?|to|:) ?(\d+)\)?", text)
    if numbers or span:
        first = int((numbers or span)[1] or 0)  # type: ignore[index]
        last = int(numbers[2]) if numbers else int(span[2]) + 1  # type: ignore[index]
        return [str(each) for each in range(first, last)] if 0 < last - first <= MOST_ITEMS else []
    inner = re.fullmatch(r"(?:list|tuple|set)?[(\[{]+(.*?),?[)\]}]+", text)
    text = inner[1] if inner else text
    if re.fullmatch(r"[\d.]+( +[\d.]+)+", text):
        return text.split()
    parts = [part.strip() for part in re.split(r"[,;]| and | & ", text)]
    return [part for part in parts if part]


def is_none(given: Any) -> bool:
    """Whether a value says that there is nothing, as `none` and `off` do."""
    return given is False or (isinstance(given, str) and given.lower() in _NONE)


def hint_of_length(key: str, context: Mapping[str, Any]) -> str:
    """What to do about a list that is too short or too long."""
    if key in PAIRS:
        return f"; write two numbers, such as {PAIRS[key]}"
    if "min_length" in context:
        example = LISTS.get(key)
        return f"; write a list, such as {example}" if example else f"; add {context['min_length']}"
    return f"; leave {context['actual_length'] - context['max_length']} out"


def hint_of_list(key: str, given: Any) -> str:
    """What to write in the place of what is no list."""
    example = LISTS.get(key, "")
    if is_none(given) and key == "augmentation":
        return "; write []"
    if isinstance(given, Mapping):
        if given and all(value is None for value in given.values()):
            return f"; write [{', '.join(map(str, given))}]"
        if key == "augmentation" and given:
            return f"; write [{', '.join(f'{{{name}: {_written(of)}}}' for name, of in given.items())}]"
        return "; write a list, with - before each item"
    if isinstance(given, float) and given.is_integer():
        return f"; write [{given:.0f}]"
    if isinstance(given, str):
        items = items_of(given)
        if re.match(r"range\(|\(?\d+ ?(-|–|\.\.|to|:) ?\d+", given.strip()) and not items:
            return f"; write the items in brackets{f', as in {example}' if example else ''}"
        if example and not (key == "seeds" and all(item.isdigit() for item in items) and items):
            fits = key == "splits" and {*items} <= {"train", "validation", "test"}
            return f"; write [{', '.join(items)}]" if fits else f"; write a list, such as {example}"
        return f"; write [{', '.join(map(flow, items if len(items) > 1 else [given]))}]"
    return f"; write a list, such as {example}" if example and key != "seeds" else _listed(given, example)


def _listed(given: Any, example: str) -> str:
    if isinstance(given, bool):
        return f"; write a list{f', such as {example}' if example else ''}"
    return f"; write [{_written(given)}]"


def flow(item: str) -> str:
    """A text as an item of a list in brackets, in quotes where it needs them."""
    plain = re.fullmatch(r"[\w./(+-][\w./()+= %-]*", item) and item.lower() not in _WORDS
    return item if plain else json.dumps(item, ensure_ascii=False)


_WORDS = ("true", "false", "null")


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


def hint_of_form(form: str, given: Any, *, of_table: bool = False) -> str:
    """How a text could be written in the form that it lacks. of_table: a table's number, of which what is
    measured stands nowhere.
    """
    if not isinstance(given, str):
        return ""
    if form.startswith("a number such as"):
        number = NUMERAL.search(re.sub(r"(?<=\d),(?=\d)", ".", plain_signs(given[:LONGEST])))
        share = f"{float(number[0]) / 100:g}" if number and PERCENT.search(given) else ""
        return f"; write {share or number[0]}" if number else "; write the number alone"
    if "number" in form:
        hint = hint_of_printed(given)
        return hint.replace(", and 100 * in what is measured", "") if of_table else hint
    if form.startswith(("lower-case", "letters")):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", given).strip("_")
        plain = plain.lower() if form.startswith("lower-case") else plain
        return f"; write {plain}" if plain and plain != given and len(plain) <= 100 else ""
    return ""


MOST_ITEMS = 20
"""As many items of a list a message writes out."""
MOST_KEYS = 9
"""As many keys or numbers a message lists that nobody asked for."""
YAML_WORDS = {"None": "null", "True": "true", "False": "false"}


def shown(value: Any) -> str:
    """A value as an error shows it: as Python does, but for the words that YAML has for nothing, true and
    false.
    """
    shown = _written(value)
    return shown if len(shown) <= 100 else f"{shown[:100]}…"


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = (
            f"{key}: {_written(inner)}" if inner is not None else f"{key}" for key, inner in value.items()
        )
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return YAML_WORDS.get(repr(value), repr(value))
