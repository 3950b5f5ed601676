"""JSON Schema of report files, by which editors complete and check while one types.

It is made from the models that check the files. What is written in a shorter way (`base`, `repeat`, the
defaults of a kind, nested lists) may leave out what `reprise check` will find there, so the schema asks for
less: it knows every key and value, and not what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from reprise.extensions import FIGURES, NETWORKS, TABLES
from reprise.reports.report_file import ReportFile
from reprise.reports.statements import STATEMENT_KINDS as STATEMENTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MADE_OF = "Made by `reprise schema`; a test holds it in step with reprise/reports."
TEXT = {"type": "string"}
REPEAT = {
    "type": "array",
    "items": {"type": "object"},
    "description": "a copy of the entry is made for each of these mappings; {name} in it becomes the value "
    "that the mapping gives name",
}
BASE = {
    "type": "string",
    "description": "an entry whose keys are taken over; keys written here go before them",
}


def json_schema() -> dict[str, Any]:
    """The schema of a report file, or of one of the files in the folder of a report."""
    schema = TypeAdapter(ReportFile).json_schema(by_alias=True)
    schema.pop("required")
    definitions, properties = schema["$defs"], schema["properties"]
    for section, kinds in (("figures", FIGURES), ("tables", TABLES)):
        more = {"base": BASE, "repeat": REPEAT, "id": TEXT}
        models = _models(properties[section]["items"], kinds)
        properties[section]["items"] = _by_kind(definitions, "kind", models, more)
        if section == "figures":
            properties["figure_defaults"].update(_defaults(definitions, models))
    properties["statements"]["items"] = _statements(definitions)
    ((pattern, families),) = properties["models"]["patternProperties"].items()
    network = _by_kind(definitions, "name", _models(families, NETWORKS), {"base": BASE})
    properties["models"]["patternProperties"] = {pattern: network}
    for owner, definition in list(definitions.items()):
        for name in ("layers", "head", "rows"):
            _nested(definitions, f"{owner}_{name}", definition.get("properties", {}).get(name, {}))
    return {"$schema": DIALECT, "$comment": MADE_OF, **schema}


def text() -> str:
    """The schema as the file that is committed."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _models(union: dict[str, Any], kinds: Mapping[str, Any]) -> dict[str, str]:
    """Name of each kind → that of its definition; one that a package spoils is a `RepriseError`."""
    references = [choice["$ref"] for choice in union["oneOf"]]
    return {name: at.rpartition("/")[2] for (name, _), at in zip(kinds.items(), references, strict=True)}


def _by_kind(
    definitions: dict[str, Any], key: str, models: dict[str, str], more: dict[str, Any]
) -> dict[str, Any]:
    """A mapping whose other keys depend on the one that tells its kind, and are any kind's where it has
    none.
    """
    every: dict[str, list[Any]] = {}
    branches = []
    for name, model in models.items():
        own = {**definitions[model]["properties"], **more}
        for each, schema in own.items():
            if schema not in every.setdefault(each, []):
                every[each].append(schema)
        told = {"properties": {key: {"const": name}}, "required": [key]}
        branches.append({"if": told, "then": _unless_repeated(own)})
    anything = {name: found[0] if len(found) == 1 else {"anyOf": found} for name, found in every.items()}
    return {
        "type": "object",
        "properties": {key: {"enum": list(models)}},
        "allOf": [*branches, {"if": {"not": {"required": [key]}}, "then": _unless_repeated(anything)}],
    }


def _unless_repeated(own: dict[str, Any]) -> dict[str, Any]:
    """A mapping with these keys. In a repeated one, any value may still be a `{name}`."""
    closed = {"properties": own, "additionalProperties": False}
    if "repeat" not in own:
        return closed
    free = {"properties": {**dict.fromkeys(own, True), "repeat": REPEAT}, "additionalProperties": False}
    return {"if": {"required": ["repeat"]}, "then": free, "else": closed}


def _defaults(definitions: dict[str, Any], models: dict[str, str]) -> dict[str, Any]:
    """Kind of figure → any of its keys, but for those that tell one figure from another."""
    kinds = {}
    for name, model in models.items():
        own = definitions[model]["properties"]
        keys = {key: schema for key, schema in own.items() if key not in ("id", "kind")}
        kinds[name] = {"type": "object", "properties": keys, "additionalProperties": False}
    return {"properties": kinds, "additionalProperties": False}


def _statements(definitions: dict[str, Any]) -> dict[str, Any]:
    """A number or a claim, which begins with its kind."""
    branches = []
    for kind, model in STATEMENTS.items():
        definition = definitions[model.__name__]
        own = {**definition["properties"], "repeat": REPEAT, kind: TEXT}
        own.pop("table", None)
        then = {**_unless_repeated(own), "required": definition["required"]}
        branches.append({"if": {"required": [kind]}, "then": then})
    either = {"anyOf": [{"required": [kind]} for kind in STATEMENTS]}
    return {"type": "object", "allOf": [*branches, either]}


def _nested(definitions: dict[str, Any], name: str, field: dict[str, Any]) -> None:
    """Let a list hold lists, which are laid flat, however deep."""
    for each in (field, *field.get("anyOf", ())):
        if each.get("type") == "array" and "items" in each:
            itself = {"$ref": f"#/$defs/{name}"}
            definitions[name] = {"anyOf": [each["items"], {"type": "array", "items": itself}]}
            each["items"] = itself
