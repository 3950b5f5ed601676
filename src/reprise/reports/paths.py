"""Change settings by their paths: `training.epochs`, `model.layers.pool1.size`, `model.layers.*.dropout`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reprise.errors import RepriseError, nearest

LAYER_KINDS = ("conv", "batch_norm", "pool", "dropout", "dropout2d", "flatten", "dense")
"""Keys that tell the kind of a layer (`reprise.models.families`); a layer with none is an activation."""


MOST_COMPARED = 1000
"""Paths that one with a `*` is compared with."""
FOLDED_INTO = ("conv", "batch_norm", "dense")
"""Kinds of layer in whose row of a layer table an activation stands that follows them."""


def layer_places(network: Mapping[str, Any]) -> dict[str, str]:
    """What a layer may be called → what its module is called.

    A layer is called by its name, if it has one, and by its row in the network's layer table, from 1, with
    its kind: `9_dense`. In the table, an activation that directly follows a convolution, batch normalisation
    or dense layer has no row of its own, and a batch normalisation that is switched off has none. Layers of
    a `head` are counted from its beginning: `head.1_dense`. Modules count the list's items from 0.
    """
    found: dict[str, str] = {}
    for key, prefix in (("layers", ""), ("head", "head.")):
        layers = network[key] if isinstance(network.get(key), list) else ()
        row, before = 0, ""
        for index, layer in enumerate(layers):
            kind = _kind(layer)
            module = f"{prefix}{index}_{kind}"
            if layer.get("name"):
                found[layer["name"]] = module
            if kind == "batch_norm" and not layer["batch_norm"]:
                continue
            if kind not in LAYER_KINDS and before in FOLDED_INTO:
                continue
            row, before = row + 1, kind
            found[f"{prefix}{row}_{kind}"] = module
    return found


def is_place(name: str) -> bool:
    """Whether a layer is called by its row and kind."""
    return re.fullmatch(r"(head\.)?\d+_\w+", name) is not None


def no_layer(name: str, places: Mapping[str, str], modules: Iterable[str] = ()) -> str:
    """That a network has no such layer, and which it has: by name and row, or else the names of modules."""
    if not places:
        return f"the network has no layer {name}{nearest(name, modules)}"
    rows = {module: called for called, module in places.items() if is_place(called)}
    names = {module: called for called, module in places.items() if not is_place(called)}
    listed = [f"{row} ({names[module]})" if module in names else row for module, row in rows.items()]
    hint = "" if is_place(name) else nearest(name, [*names.values(), *rows.values()])
    meant = f"{hint} valid" if hint.startswith("; did") else "; valid"
    return f"the network has no layer {name}{meant}: {', '.join(listed)}"


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


def overridden(paths: Iterable[str], before: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Of changes made in this order: the path of the first of which a later one leaves nothing, and that of
    the later one.

    before: what `beginnings` says of changes made earlier.
    """
    own: dict[str, str] = {}
    for path in paths:
        for known in (before or {}, own):
            found = path if path in known else None
            if "*" in path and len(known) <= MOST_COMPARED:
                any_element = re.compile(re.escape(path).replace(r"\*", r"[^.]+"))
                found = next((each for each in known if any_element.fullmatch(each)), None)
            if found:
                return known[found], path
        for beginning in beginnings([path]):
            own.setdefault(beginning, path)
    return None


def beginnings(paths: Iterable[str]) -> dict[str, str]:
    """Each path, and each path that leads to it → the first of `paths` that it is of."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split(".")
        for depth in range(len(parts), 0, -1):
            found.setdefault(".".join(parts[:depth]), path)
    return found


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
