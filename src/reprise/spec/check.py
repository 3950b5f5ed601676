"""Read YAML strictly and check it against a schema, with errors that name file, key path and nearest valid key."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError

if TYPE_CHECKING:
    import jsonschema
    import yaml


@cache
def _loader() -> type[yaml.SafeLoader]:
    """YAML with 1e-3 as a number (YAML 1.2) and without silently dropped duplicate keys."""
    import yaml  # which --help need not wait for

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor("tag:yaml.org,2002:float", _number)
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789"))
    return Loader


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    import yaml

    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable) or key in seen:
            mark = key_node.start_mark
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    import yaml

    value = float(yaml.SafeLoader.construct_yaml_float(loader, node))
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is no number to compute with", node.start_mark)
    return value


def read_yaml(path: Path | str) -> Any:
    """The YAML document at `path`; unreadable or malformed files are a `RepriseError` with the line."""
    import yaml

    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_loader())
    except OSError as error:
        raise RepriseError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise RepriseError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RepriseError(f"{path}{line}: {getattr(error, 'problem', None) or 'not valid YAML'}; mend the YAML there") from None


@cache
def schema(name: str) -> dict[str, Any]:
    """A schema that ships in this package, e.g. `report.schema.yaml`."""
    return read_yaml(Path(__file__).with_name(name))


@cache
def kinds(section: str) -> dict[str, dict[str, Any]]:
    """Kind → schema of the `figures`, `tables` or `statements` of that kind, with the keys that all kinds of the section share."""
    document = schema("publications.schema.yaml")
    settings = schema("report.schema.yaml")["$defs"]
    shared = {name: settings[name] for name in ("preprocess", "augmentation", "probability", "range")}
    common = document[section]["common"]
    return {
        kind: {
            "type": "object",
            "additionalProperties": False,
            **own,
            "required": [*common["required"], *own["required"]],
            "properties": {**common["properties"], "kind": {"const": kind}, **own["properties"]},
            "$defs": {**document["$defs"], **shared},
        }
        for kind, own in document[section]["kinds"].items()
    }


def nearest(word: Any, valid: Iterable[Any]) -> str:
    """`; did you mean …?` where something valid is near `word`, else `; valid: …`."""
    import difflib

    options = [str(item) for item in valid]
    found = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    if found:
        return f"; did you mean {found[0]}?"
    return f"; valid: {', '.join(options)}" if options else ""


def key_path(parts: Iterable[Any]) -> str:
    """`figures[3].series[0].label` from the parts of a path."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _properties(node: Mapping[str, Any]) -> list[str]:
    return list(node.get("properties", {}))


def describe(error: jsonschema.ValidationError) -> str:
    """One line for a schema violation: key path, what is wrong, nearest valid key."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        valid = _properties(error.schema)
        key = next(key for key in error.instance if key not in valid)
        owner = f" for {error.schema['title']}" if "title" in error.schema else ""
        return f"{key_path([*path, key])}: unknown key{owner}{nearest(key, valid)}"
    where = key_path(path) or "top level"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        present = ", ".join(str(key) for key in error.instance) or "nothing"
        return f"{where}: key {missing} is missing (found: {present})"
    if error.validator == "enum":
        return f"{where}: {error.instance!r} is not valid{nearest(error.instance, error.validator_value)}"
    if error.validator == "not":
        return f"{where}: grid, pointwise, random and asha exclude each other; keep one"
    if error.validator in ("anyOf", "oneOf") and error.context:
        deepest = max(error.context, key=lambda inner: len(inner.absolute_path))
        if len(deepest.absolute_path) > len(path):
            return describe(deepest)
        reasons = " or ".join(dict.fromkeys(inner.message for inner in error.context))
        return f"{where}: {reasons}"
    return f"{where}: {error.message}"


def validate(document: Any, rules: Mapping[str, Any], source: str, prefix: Sequence[Any] = ()) -> None:
    """Raise a `RepriseError` naming `source`, key path (after `prefix`) and remedy at the first violation of `rules`."""
    import jsonschema  # takes a tenth of a second, which whoever reads no report file need not pay

    validator = jsonschema.Draft202012Validator(rules)
    errors = sorted(validator.iter_errors(document), key=lambda error: [str(part) for part in error.absolute_path])
    if errors:
        error = errors[0]
        error.path.extendleft(reversed(list(prefix)))
        raise RepriseError(f"{source}: {describe(error)}")
