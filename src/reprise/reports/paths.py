"""Change settings by their paths: `training.epochs`, `model.layers.pool1.size`, `model.layers.*.dropout`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from reprise.errors import RepriseError, nearest

LAYER_KINDS = ("conv", "batch_norm", "pool", "dropout", "dropout2d", "flatten", "dense")
"""Keys that tell the kind of a layer (`reprise.models.families`); a layer with none is an activation."""


def layer_places(network: Mapping[str, Any]) -> dict[str, str]:
    """Name of each layer that has one → what its module is called: place and kind, e.g. `8_dense`."""
    return {
        layer["name"]: f"{prefix}{index}_{_kind(layer)}"
        for key, prefix in (("layers", ""), ("head", "head."))
        for index, layer in enumerate(network[key] if isinstance(network.get(key), list) else ())
        if layer.get("name")
    }


def _kind(layer: Mapping[str, Any]) -> str:
    """The kind of a layer; an activation is called by its function."""
    return next((kind for kind in LAYER_KINDS if kind in layer), str(layer.get("activation")))


def change(
    settings: dict[str, Any], changes: Mapping[str, Any], model: Callable[[str], dict[str, Any]]
) -> None:
    """Replace the value at each path, in place. What a path does not find is a `RepriseError` that starts
    with the part of the path that it goes wrong at.

    model: the options of one of the report's networks by its name, which a path may go into.
    """
    for path, value in changes.items():
        parts = path.split(".")
        if parts[0] == "model" and len(parts) > 1 and isinstance(settings.get("model"), str):
            settings["model"] = copy.deepcopy(model(settings["model"]))
        _set(settings, parts, 0, value)


def _set(node: Any, parts: list[str], depth: int, value: Any) -> None:
    """Replace the value at `parts[depth:]` under `node`."""
    part, here = parts[depth], ".".join(parts[: depth + 1])
    if isinstance(node, list):
        if part == "*":
            _set_all(node, parts, depth, value)
            return
        key: Any = _place(node, part, here)
    elif isinstance(node, dict):
        key = part
    else:
        raise RepriseError(f"{'.'.join(parts[:depth])}: {node!r} has no settings inside; shorten the path")
    if depth == len(parts) - 1:
        node[key] = copy.deepcopy(value)
    else:
        _set(node[key] if isinstance(node, list) else node.setdefault(key, {}), parts, depth + 1, value)


def _set_all(node: list[Any], parts: list[str], depth: int, value: Any) -> None:
    """Replace the value in every element of a list that has the next key."""
    here = ".".join(parts[: depth + 1])
    if depth == len(parts) - 1:
        raise RepriseError(f"{here}: what of every element? add a key, e.g. {here}.dropout")
    following = parts[depth + 1]
    found = [element for element in node if isinstance(element, dict) and following in element]
    if not found:
        known = dict.fromkeys(key for element in node if isinstance(element, dict) for key in element)
        raise RepriseError(f"{here}: no element has {following}{nearest(following, known)}")
    for element in found:
        _set(element, parts, depth + 1, value)


def _place(node: list[Any], part: str, here: str) -> int:
    """The index of an element by its name, or by its number from 0."""
    names = {
        item["name"]: index for index, item in enumerate(node) if isinstance(item, dict) and "name" in item
    }
    if part in names:
        return names[part]
    if part.isascii() and part.isdigit() and len(part) <= 6 and int(part) < len(node):
        return int(part)
    hint = nearest(part, names) if names and not part.isdigit() else ""
    raise RepriseError(f"{here}: no element {part}; the list has {len(node)}, counted from 0{hint}")
