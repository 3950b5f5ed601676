"""Models of what people write in report files (pydantic): closed keys, exact types, errors in one line.

A class says once what may be written and with what bounds; the check of report files, the code that uses
them and the JSON Schema for editors are made from it. It needs no torch.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    RootModel,
    ValidationError,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from reprise.errors import RepriseError, nearest

LOWER_CASE = "lower-case letters, digits and _, a letter first"
"""In words, the form of most names."""
Probability = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(
    strict=True, frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, defer_build=True
)
"""A whole number is an int, not 3.0, "3" or true; nothing is converted, and no key is skipped."""


def titled(title: str) -> ConfigDict:
    """The `model_config` of a `Strict` that errors call `title`."""
    return {**STRICT, "title": title}


Model = TypeVar("Model", bound=BaseModel)
Content = TypeVar("Content")


class Strict(BaseModel):
    """A mapping with closed keys; a subclass says with `model_config = titled(…)` what errors call it."""

    model_config = STRICT
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Keys that are wrong here and right nearby: an error offers them, too."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, given: Any) -> Any:
        """Before pydantic does, whose error does not name the valid keys."""
        if isinstance(given, Mapping):
            valid = keys(cls)
            for key in given:
                if key not in valid:
                    title = cls.model_config.get("title")
                    hint = nearest(key, [*valid, *cls.elsewhere]) or "; remove it"
                    found = {"key": key, "owner": f" for {title}" if title else "", "hint": hint}
                    raise PydanticCustomError("unknown_key", "unknown key{owner}{hint}", found)
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """With what the docstrings below its keys say, as an editor shows it."""
        found = handler(schema)
        said = described(cls)
        for key, value in handler.resolve_ref_schema(found).get("properties", {}).items():
            if "description" not in value and key in said:
                value["description"] = said[key]
        return found


class SingleValue(RootModel[Content], Generic[Content]):
    """One value in the place of a mapping, as in `{flip: 0.5}`."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


@cache
def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a mapping, as a report file writes them; those that it must have come first. A field that
    is excluded is none: it is filled in later.
    """
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    return [field.alias or name for name, field in fields if not field.exclude]


def described(model: type[BaseModel]) -> dict[str, str]:
    """Key of a mapping → what the docstring below it says, in its class or in one that it is made from.

    Pydantic can read them itself (`use_attribute_docstrings`), but does so whenever a class is made, and
    every process would wait for it.
    """
    said: dict[str, str] = {}
    for each in reversed(model.__mro__):
        found = _docstrings(each.__module__).get(each.__qualname__, {})
        for name, field in model.model_fields.items():
            if name in found:
                said[field.alias or name] = found[name]
    return said


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Class of a module → its attribute → the docstring below it, as one line."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):  # one without a source
        return {}
    found: dict[str, dict[str, str]] = {}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for before, after in itertools.pairwise(owner.body):
            match before, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str() as words)
                ):
                    found.setdefault(owner.name, {})[name] = " ".join(words.split())
    return found


def either(expected: str) -> WrapValidator:
    """For a union of types: one error that says what is `expected`, in the place of one for each type."""

    def validate(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("either", "should be {expected}", {"expected": expected}) from None

    return WrapValidator(validate)


def of_type(kind: type) -> BeforeValidator:
    """For a `Literal` of numbers or booleans, which compares by value: 18.0 is not 18, and 1 is not true."""

    def validate(value: Any) -> Any:
        if type(value) is not kind:
            raise PydanticCustomError("type", "should be of type {kind}", {"kind": kind.__name__})
        return value

    return BeforeValidator(validate)


_FORMS: dict[str, str] = {}


def form(pattern: str, words: str) -> str:
    """The `pattern` of a text, which errors describe by `words`."""
    _FORMS[pattern] = words
    return pattern


@dataclass(frozen=True)
class Kinds:
    """Marks a value whose model depends on it: `Annotated[Figure, Kinds(FIGURES, "kind", "kind of figure")]`.

    kinds: name → model.
    key: the key that holds the name; empty where the mapping has one of the names as a key itself.
    what: what an error calls the name.
    """

    kinds: Callable[[], Mapping[str, type[BaseModel]]]
    key: str
    what: str

    @property
    def models(self) -> dict[str, type[BaseModel]]:
        return each_where_used(self.kinds())

    def tag(self, value: Any) -> str | None:
        """The name in angle brackets, which tells it from a key in the place of an error."""
        if isinstance(value, BaseModel):
            return next((f"<{name}>" for name, model in self.models.items() if type(value) is model), None)
        if not isinstance(value, Mapping):
            return None
        if self.key:
            return f"<{value[self.key]}>" if isinstance(value.get(self.key), str) else None
        return next((f"<{name}>" for name in self.kinds() if name in value), None)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {f"<{name}>": handler.generate_schema(model) for name, model in self.models.items()}
        metadata = {"key": self.key, "what": self.what}
        return core_schema.tagged_union_schema(
            choices,
            discriminator=self.tag,
            custom_error_type="kind",
            custom_error_message=f"{self.key}|{self.what}|{', '.join(self.kinds())}",
            metadata=metadata,
        )


def each_where_used(kinds: Mapping[str, type[BaseModel]]) -> dict[str, type[Any]]:
    """Name → model. What makes one of them a `RepriseError` (a package cannot be imported, a name is taken
    twice) is one where a file uses that name, and nowhere else.
    """
    models: dict[str, type[Any]] = {}
    for name in kinds:
        try:
            models[name] = kinds[name]
        except RepriseError as error:
            models[name] = _refusing(error)
    return models


def _refusing(error: RepriseError) -> type[BaseModel]:
    def refuse(_: Any) -> Any:
        raise error

    validators: dict[str, Any] = {"refuse": model_validator(mode="before")(refuse)}
    return create_model("Refusing", __base__=Strict, __validators__=validators)


def plain(value: Any) -> Any:
    """A model, or a list of them, as a report file would write it: mappings, lists and values, without what
    is not given.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, by_alias=True)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def parse(kind: type[Model], value: Any, where: str) -> Model:
    """`value` as `kind`; the first thing that is wrong is a `RepriseError` that begins with `where`."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        parts, what = first_violation(error, value)
        raise RepriseError(": ".join(filter(None, [where, key_path(parts), what]))) from None


# ---- errors in words ----


def first_violation(error: ValidationError, document: Any) -> tuple[list[Any], str]:
    """Key path and description of the first violation in the order of the file.

    Where a value may be of several kinds, the description names all that it failed to be.
    """
    found: dict[tuple[Any, ...], dict[str, bool]] = {}
    for details in error.errors(include_url=False):
        parts, what = _described(details, document)
        found.setdefault(tuple(parts), {})[what] = details["type"].endswith("_type")
    deepest = [parts for parts in found if not any(_inside(other, parts) for other in found)]
    first = min(deepest, key=lambda parts: _place(parts, document))
    meant = [what for what, other_type in found[first].items() if not other_type]
    return list(first), _any_of(meant or list(found[first]))


def _any_of(descriptions: Sequence[str]) -> str:
    """What a value failed to be, in one phrase: `should be a number or a mapping, not 'x'`."""
    said = [re.fullmatch(r"should be (.*)(, not .*)", what, re.DOTALL) for what in descriptions]
    found = {each[2]: [one[1] for one in said if one] for each in said if each}
    if len(descriptions) == 1 or len(found) != 1 or not all(said):
        return " or ".join(descriptions)
    ((ending, expected),) = found.items()
    return f"should be {' or '.join(expected)}{ending}"


def _inside(other: tuple[Any, ...], parts: tuple[Any, ...]) -> bool:
    return len(other) > len(parts) and other[: len(parts)] == parts


def _place(parts: Sequence[Any], document: Any) -> list[int]:
    """Where a key path stands in the order of the file."""
    place = []
    for part in parts:
        if isinstance(document, Mapping):
            place.append(list(document).index(part) if part in document else len(document))
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            place.append(part)
            document = document[part]
        else:
            break
    return place


def _described(details: ErrorDetails, document: Any) -> tuple[list[Any], str]:
    """Key path and description of one violation."""
    parts: list[Any] = []
    value = document
    for part, following in itertools.pairwise((*details["loc"], None)):
        # which also names models and alternatives; the file does not
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, Mapping) and any(str(key) == part for key in value):
            part = next(key for key in value if str(key) == part)
            value = value[part]
        elif isinstance(value, Mapping) and isinstance(part, int) and part < len(value):
            if value is details["input"] or following in value:
                continue  # it stands for a list of itself alone
            part = list(value)[part]  # it stands for a list
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        parts.append(part)
    kind, context, given = details["type"], details.get("ctx", {}), details["input"]
    if kind == "unknown_key":
        return [*parts, context["key"]], details["msg"]
    if kind == "missing":
        present = ", ".join(map(str, value)) if isinstance(value, Mapping) else ""
        return parts, f"key {details['loc'][-1]} is missing (found: {present or 'nothing'})"
    if kind == "kind":
        return _unknown_kind(parts, details["msg"], value)
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'|([^\s,']+)", str(context["expected"]).replace(" or ", ", "))
        valid = [(quoted, _YAML.get(bare, bare)) for quoted, bare in valid]
        return (
            parts,
            f"{shown(given)} is not valid{nearest(given, [quoted or bare for quoted, bare in valid])}",
        )
    if kind in ("model_type", "dict_type", "mapping_type", "model_attributes_type"):
        return parts, f"should be a mapping, not {shown(given)}"
    if kind in ("too_short", "too_long"):
        least = (
            f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        )
        return parts, f"has {context['actual_length']} items, and should have {least}"
    if kind == "string_pattern_mismatch":
        form = _FORMS.get(context["pattern"], context["pattern"])
        return parts, f"{shown(given)} does not have the form: {form}"
    if kind in (
        "twice",
        "taken",
        "unknown",
        "one_of",
        "no_path",
        "one_way",
        "one_key",
        "augmented",
        "nesterov",
    ):
        return parts, details["msg"]
    said = details["msg"]
    if said.startswith(("Input should", "should")):
        return parts, f"{said.removeprefix('Input ')}, not {shown(given)}"
    return parts, f"{shown(given)}: {said[:1].lower()}{said[1:]}"


def _unknown_kind(parts: list[Any], message: str, value: Any) -> tuple[list[Any], str]:
    key, what, names = message.split("|")
    valid = names.split(", ")
    if not isinstance(value, Mapping):
        return parts, f"{shown(value)} is no mapping from keys to values"
    if not key:
        present = next(iter(value), "nothing")
        return [*parts, *([present] if value else [])], f"is no {what}{nearest(present, valid)}"
    if key not in value:
        return parts, f"key {key} is missing (found: {', '.join(map(str, value)) or 'nothing'})"
    return [*parts, key], f"{shown(value[key])} is no {what}{nearest(value[key], valid)}"


_YAML = {"None": "null", "True": "true", "False": "false"}


def shown(value: Any) -> str:
    """A value as an error shows it: as Python does, but for the words that YAML has for nothing, true and
    false.
    """
    shown = _YAML.get(repr(value), repr(value))
    return shown if len(shown) <= 100 else f"{shown[:100]}…"


def key_path(parts: Iterable[Any]) -> str:
    """`figures[3].series[0].label` from the parts of a path."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
