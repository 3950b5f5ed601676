"""Models of what people write in report files (pydantic): closed keys, exact types, errors in one line.

A class says once what may be written and with what bounds; the check of report files, the code that uses
them and the JSON Schema for editors are made from it. It needs no torch.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
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
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from reprise.errors import RepriseError, nearest
from reprise.hints import (
    ELSEWHERE,
    MOST_KEYS,
    PAIRS,
    WRITTEN_ELSEWHERE,
    YAML_WORDS,
    flow,
    hint_of_form,
    hint_of_layer,
    hint_of_length,
    hint_of_list,
    hint_of_pair,
    hint_of_switch,
    is_none,
    items_of,
    rest_of_text,
    shown,
    suggestion,
    value_hint,
)
from reprise.numerals import SEVERAL, hint_of_number

LOWER_CASE = "lower-case letters, digits and _, a letter first"
"""In words, the form of most names."""
Probability = Annotated[float, Field(ge=0, le=1)]

MOST_UNKNOWN = 1000
"""Keys of a mapping that are looked for among the valid ones; nobody reads of more."""
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

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(cls, given: Any, handler: Any) -> Any:
        """Name what is like an unknown key, and check the others all the same; pydantic would do neither."""
        valid = keys(cls)
        others = (key for key in given if key not in valid) if isinstance(given, Mapping) else ()
        unknown = list(itertools.islice(others, MOST_UNKNOWN))
        if not unknown:
            return handler(given)
        title = cls.model_config.get("title")
        found: list[InitErrorDetails] = []
        for key in unknown:
            hint, meant = suggestion(key, valid, cls.elsewhere, given)
            spaced = re.fullmatch(r"(\w+):(\S+)", str(key))
            if given[key] is None and spaced:
                hint, meant = f"; write a space after the colon, as in {spaced[1]}: {spaced[2]}", spaced[1]
            elif isinstance(key, str) and given[key] is None and rest_of_text(key):
                hint = "; if it is the rest of the text before it, put that text in quotes: it has a comma"
                if key == next(iter(given)):
                    hint, meant = "; a text in braces needs quotes around it", ELSEWHERE
            elif text := _text_with_colon(cls, given, hint):
                hint, meant = (
                    f"; a text with ': ' in it needs quotes around it; write {text}",
                    text.split(":")[0],
                )
            meant = meant or (ELSEWHERE if cls.elsewhere else "")
            about = {"key": key, "owner": f" for {title}" if title else "", "hint": hint, "meant": meant}
            error = PydanticCustomError("unknown_key", "unknown key{owner}{hint}", about)
            found.append({"type": error, "input": given})
        if cls.elsewhere:  # its kind is misspelt, so the other keys are those of another kind
            hinted = [each for each in found if "did you mean" in str(each["type"])]
            found = (hinted or found)[:1]
        try:
            handler({key: value for key, value in given.items() if key in valid})
        except ValidationError as error:
            found += [_again(details) for details in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(cls.__name__, found)

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


def _text_with_colon(model: type[BaseModel], given: Mapping[Any, Any], hint: str) -> str:
    """What to write in the place of a text that a colon has made a mapping: `- Padding: not stated`, where
    the mapping needs no key but one for a text. Empty where the one key may be another.
    """
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    if len(needed) != 1 or len(given) != 1 or model.model_fields[needed[0]].annotation is not str:
        return ""
    ((key, value),) = given.items()
    words = isinstance(key, str) and (re.search(r"[A-Z\s]", key) or "did you mean" not in hint)
    if not words or not isinstance(value, str | int | float) or re.search(r"[/=*@]", str(value)):
        return ""
    return f"{needed[0]}: {json.dumps(f'{key}: {shown(value) if not isinstance(value, str) else value}')}"


def _again(details: ErrorDetails) -> InitErrorDetails:
    """An error as it was, to be raised with others."""
    context = {**details.get("ctx", {}), "said": details["msg"]}
    error = PydanticCustomError(details["type"], "{said}", context)
    return {"type": error, "loc": details["loc"], "input": details["input"]}


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
    error = {bool: "bool_type", int: "int_type"}[kind]

    def validate(value: Any) -> Any:
        if type(value) is not kind:
            raise PydanticCustomError(error, "should be {expected}", {"expected": _EXPECTED[error]})
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

Violation = tuple[list[Any], str]
"""Key path of what is wrong, and what is wrong with it."""


def first_violation(error: ValidationError, document: Any) -> Violation:
    """The first violation in the order of the file."""
    return violations(error, document)[0]


def violations(error: ValidationError, document: Any) -> list[Violation]:
    """Key path and description of every violation, in the order of the file.

    Where a value may be of several kinds, the description names all that it failed to be. A key that is
    missing because it is misspelt is not called missing, too.
    """
    found: dict[tuple[Any, ...], dict[str, bool]] = {}
    meant: set[tuple[Any, ...]] = set()
    missing: dict[tuple[tuple[Any, ...], str], tuple[Any, ...]] = {}
    for details in error.errors(include_url=False):
        parts, what = _described(details, document)
        other_type = details["type"].endswith("_type") or (
            details["type"] == "literal_error" and isinstance(details["input"], list | Mapping)
        )
        found.setdefault(tuple(parts), {})[what] = other_type
        if details["type"] == "unknown_key":
            meant.add((*parts[:-1], details["ctx"]["meant"]))
        if details["type"] == "missing":
            missing[tuple(parts), what] = (*parts, details["loc"][-1])
    for (owner, what), key in missing.items():
        if key in meant or (*owner, ELSEWHERE) in meant:
            del found[owner][what]
    for owner, what in missing:
        alone = sum(other == owner for other, _ in missing) == 1
        unknown = [at for at in found if owner and at[:-1] == owner and at != owner and _lists(found[at])]
        if alone and len(unknown) == 1 and found[owner].pop(what, None) is not None:
            ((said, other_type),) = found[unknown[0]].items()
            key_missing = what.partition(" (found")[0]
            found[unknown[0]] = {said.replace("; valid: ", f"; {key_missing}; valid: ", 1): other_type}
    kept = {
        at: [what for what, other_type in of.items() if not other_type or not _deeper(found, at)]
        for at, of in found.items()
    }
    in_order = sorted((parts for parts in kept if kept[parts]), key=lambda parts: _place(parts, document))
    return [(list(parts), what) for parts in in_order for what in _together(kept[parts], found[parts])]


def _lists(descriptions: Mapping[str, bool]) -> bool:
    """Whether what is said of a value is that its key is unknown, and which keys are valid."""
    return len(descriptions) == 1 and all(
        what.startswith("unknown key") and "; valid: " in what for what in descriptions
    )


def _deeper(found: Mapping[tuple[Any, ...], Any], parts: tuple[Any, ...]) -> bool:
    """Whether something is wrong inside a value, which is therefore of the right type."""
    return any(of and len(other) > len(parts) and other[: len(parts)] == parts for other, of in found.items())


def _together(descriptions: Sequence[str], types: Mapping[str, bool]) -> list[str]:
    """What is wrong with one value: of several types that it might have, all in one phrase."""
    others = [what for what in descriptions if not types[what]]
    if not others:
        return [_any_of(descriptions)]
    if all(what.startswith(("key ", "unknown key")) for what in others):
        return others
    return [_any_of(others)]


def _any_of(descriptions: Sequence[str]) -> str:
    """What a value failed to be, in one phrase: `should be a number or a mapping, not 'x'`."""
    said = [re.fullmatch(r"should be (.*?)(, not .*?)(; .*)?", what, re.DOTALL) for what in descriptions]
    found = {each[2]: [one[1] for one in said if one] for each in said if each}
    if len(descriptions) == 1 or len(found) != 1 or not all(said):
        return " or ".join(descriptions)
    ((ending, expected),) = found.items()
    hints = [each[3] for each in said if each and each[3]]
    return f"should be {' or '.join(expected)}{ending}{hints[0] if hints else ''}"


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
        key = details["loc"][-1]
        if isinstance(given, Mapping) and not isinstance(value, Mapping):  # short for a mapping
            rest = "".join(f", {name}: {short}" for name, short in given.items())
            return parts, f"should be a mapping, not {shown(value)}; write {{{key}: …{rest}}}"
        present = ", ".join(map(str, value)) if isinstance(value, Mapping) else ""
        return parts, f"key {key} is missing (found: {present or 'nothing'})"
    if kind == "kind":
        return _unknown_kind(parts, details["msg"], value)
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'|([^\s,']+)", str(context["expected"]).replace(" or ", ", "))
        valid = [quoted or YAML_WORDS.get(bare, bare) for quoted, bare in options]
        hint = value_hint(given, valid)
        if isinstance(given, list) and given and _of_settings(parts):
            hint = f"; write one value, such as {valid[0] if given[0] not in valid else given[0]}; {SEVERAL}"
        return parts, f"{shown(given)} is not valid{hint}"
    if kind == "layer":
        return parts, f"{details['msg']}, not {shown(given)}{hint_of_layer(given)}"
    if kind in _EXPECTED:
        hint = _hint(kind, context, given, details["loc"], parts)
        return parts, f"should be {_EXPECTED[kind]}, not {shown(given)}{hint}"
    if kind in ("too_short", "too_long"):
        least = (
            f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        )
        items = "1 item" if context["actual_length"] == 1 else f"{context['actual_length']} items"
        hint = hint_of_length(str(parts[-1]) if parts else "", context)
        return parts, f"has {items}, and should have {least}{hint}"
    if kind == "string_too_short":
        return parts, "is an empty text; write one, or leave the key out"
    if kind == "string_pattern_mismatch":
        form = _FORMS.get(context["pattern"], context["pattern"])
        hint = hint_of_form(form, given, of_table=parts[:1] == ["tables"])
        return parts, f"{shown(given)} does not have the form: {form}{hint}"
    said = details["msg"]
    if kind in (
        "twice",
        "taken",
        "order",
        "unknown",
        "one_of",
        "no_path",
        "one_way",
        "one_key",
        "augmented",
        "nesterov",
    ):
        return parts, said
    if said.startswith(("Input should", "should")):
        hint = _hint(kind, context, given, details["loc"], parts)
        return parts, f"{said.removeprefix('Input ')}, not {shown(given)}{hint}"
    return parts, f"{shown(given)}: {said[:1].lower()}{said[1:]}"


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""Type of error → what the value should be."""


SELECTORS = ("runs", "after", "noise", "from")
"""Keys of selectors, each of which names one cell, experiment or part of one."""


def _of_settings(parts: Sequence[Any]) -> bool:
    """Whether a value is a setting of runs, which an experiment can vary."""
    sections = ("defaults", "models", "model", "optimizer", "schedule", "training", "split", "preprocess")
    return bool(parts) and parts[0] in (*sections, "dataset", "regularization") and "seeds" not in parts


def _path_instead(parts: Sequence[Any], needed: Sequence[str], valid: Sequence[str]) -> str:
    """Of a whole part of the settings that an axis or `set` gives a value, the setting that is meant."""
    if len(parts) != 1 or not _of_settings(parts) or parts[0] in ("defaults", "models"):
        return ""
    if not needed and not valid:
        return ""
    such = "such as " if len(needed) != 1 and len(valid) > 1 else ""
    return f"; write the path {f'of one setting, {such}' if such else ''}{parts[0]}.{(needed or valid)[0]}"


def _hint(
    kind: str, context: Mapping[str, Any], given: Any, loc: Sequence[Any] = (), parts: Sequence[Any] = ()
) -> str:
    """What to write in the place of a value of the wrong type, where that can be guessed.

    loc: its place, with what is short for a mapping written out. parts: its key path.
    """
    wants_mapping = _EXPECTED.get(kind) == "a mapping"
    key = next((str(part) for part in reversed(parts) if isinstance(part, str)), "")
    if given is None and loc and isinstance(loc[-1], int):
        return "; leave it out"
    if wants_mapping and is_none(given) and loc and isinstance(loc[-1], int):
        return "; leave it out"
    if given is None and wants_mapping:
        needed = _required(str(context.get("class_name", "")))
        return f"; it needs {', '.join(needed)}" if needed else "; write {} where there is nothing to say"
    if given is None:
        return "; write the value after the colon, or leave the key out"
    if wants_mapping:
        needed = _required(str(context.get("class_name", "")))
        whole = _keys_of(str(context.get("class_name", "")))
        instead = _path_instead(parts, needed, whole) if not isinstance(given, list | dict) else ""
        if needed[:1] == ["runs"] and isinstance(given, list) and given and isinstance(given[0], str):
            return f"; write one selector, such as {given[0]}"
        if len(needed) == 1 and not isinstance(given, list | dict):
            item = flow(given) if isinstance(given, str) else shown(given)
            return f"{instead}{', or' if instead else '; write'} {{{needed[0]}: {item}}}"
        if instead:
            return instead
        if isinstance(given, str) and given in _keys_of(str(context.get("class_name", ""))):
            return f"; write {{{given}: …}}"
        valid = _keys_of(str(context.get("class_name", "")))
        if isinstance(given, list) and {"path", "values"} <= set(valid):
            return f"; write {{path: …, values: {shown(given)}}}"
        if isinstance(given, list):
            return "; write key: value, without the dashes"
        if needed:
            return f"; it needs {', '.join(needed)}"
        return f"; it takes {', '.join(valid)}" if 0 < len(valid) <= MOST_KEYS else ""
    if kind in ("list_type", "tuple_type"):
        return hint_of_pair(key, given) if key in PAIRS else hint_of_list(key, given)
    if kind == "string_type":
        return _hint_of_text(given, loc)
    if kind == "bool_type":
        words = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
        word = next((value for value, of in words.items() if str(given).lower() in of), None)
        return "; write true or false" if word is None else f"; write {shown(word)}"
    if isinstance(given, bool) and kind in ("int_type", "float_type"):
        return hint_of_switch(given, kind == "int_type")
    if kind == "either" and isinstance(given, str | int | float):
        return _hint_of_either(str(context.get("expected", "")), given)
    if isinstance(given, str):
        items = items_of(given) if isinstance(parts[-1] if parts else "", int) else []
        if len(items) > 1 and all(item.isdigit() for item in items):
            return f"; write {', '.join(items)} in its place"
        return hint_of_number(given, kind.startswith("int"))
    if kind in ("int_type", "int_from_float") and isinstance(given, float):
        return f"; write {round(given)}"
    if isinstance(given, list) and parts and isinstance(parts[-1], int):
        return "; leave its brackets out"
    return _hint_of_several(given, parts)


def _hint_of_several(given: Any, parts: Sequence[Any]) -> str:
    """What to write in the place of several values, where one stands."""
    if isinstance(given, Mapping):
        inner = next((value for value in given.values() if isinstance(value, list)), None)
        alone = next((value for value in given.values() if type(value) in (int, float)), None)
        if inner is None and alone is not None and len(given) == 1:
            return f"; write {alone}"
        return _hint_of_several(inner, parts) if inner else "; write one value, without braces"
    values = (
        [item for item in given if isinstance(item, int | float | str)] if isinstance(given, list) else []
    )
    if not values:
        return "; write one value" if isinstance(given, list) else ""
    if all(item == values[0] for item in values):
        return f"; write {values[0]}"
    return f"; write one value, such as {values[0]}{f'; {SEVERAL}' if _of_settings(parts) else ''}"


def _hint_of_text(given: Any, loc: Sequence[Any]) -> str:
    """What to write in the place of what is no text."""
    if isinstance(given, bool | int | float):
        return f'; put it in quotes: "{shown(given)}"'
    if loc and loc[-1] in SELECTORS:
        items = list(given.values()) if isinstance(given, Mapping) else given
        texts = [item for item in items if isinstance(item, str)]
        more = ", and the others in entries of their own" if len(texts) > 1 else ""
        return f"; write one selector, such as {texts[0]}{more}" if texts else "; write one selector"
    if isinstance(given, Mapping):
        return f"; a text in braces needs quotes around it: {json.dumps(shown(given), ensure_ascii=False)}"
    if isinstance(given, list) and len(given) == 1 and type(given[0]) in (int, float):
        return f'; put it in quotes: "{given[0]}"'
    texts = [item for item in given if isinstance(item, str)]
    if given and texts == given and len({*texts}) > 1:
        return f'; write one text: "{", ".join(texts)}"'
    return f"; write {flow(texts[0])}" if given and texts == given else "; write a text in quotes"


def _hint_of_either(expected: str, given: Any) -> str:
    """What to write in the place of what is neither a certain word nor a number."""
    words, word = re.findall(r"[a-z]+", expected), str(given).lower()
    meant = {"num_classes": "classes", "n_classes": "classes", "output": "classes", "val": "official"}
    for called in (word, meant.get(word, "")):
        if called in words and called != given and called not in ("number", "share", "name"):
            return f"; write {called}"
    if is_none(given) and "valid" in words:
        return "; write valid"
    if "share" in expected:
        if isinstance(given, int | float) and 1 < given < 100:
            return f"; write the share, {given / 100:g}"
        hint = hint_of_number(given) if isinstance(given, str) else ""
        return hint if "such as" not in hint and hint else "; write a share, such as 0.2"
    if isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    if isinstance(given, str) and "number" in expected:
        return hint_of_number(given, whole=True)
    return ""


def _model(name: str) -> type[BaseModel]:
    """The model of that name; where there is none, one without keys."""
    waiting: list[type[BaseModel]] = [Strict]
    while waiting:
        model = waiting.pop()
        if model.__name__ == name:
            return model
        waiting += model.__subclasses__()
    return Strict


def _required(name: str) -> list[str]:
    """The keys that the model of that name must have."""
    fields = _model(name).model_fields.items()
    return [field.alias or key for key, field in fields if field.is_required() and not field.exclude]


def _keys_of(name: str) -> list[str]:
    """The keys of the model of that name."""
    return keys(_model(name))


def _unknown_kind(parts: list[Any], message: str, value: Any) -> tuple[list[Any], str]:
    key, what, names = message.split("|")
    valid = names.split(", ")
    if not isinstance(value, Mapping):
        hint = f"it begins with {key or ' or '.join(valid)}"
        if key and value in valid:
            hint = f"write {{{key}: {value}, …}}"
            if len(parts) == 1 and _of_settings(parts):  # what an axis or `set` gives
                hint = f"write the path {parts[0]}.{key}, or {{{key}: {value}, …}}"
        elif key and is_none(value):
            hint = "write null" if len(parts) == 1 else "leave it out"
        return parts, f"should be a mapping, not {shown(value)}; {hint}"
    if not key:
        present = next(iter(value), "nothing")
        place = [*parts, *([present] if value else [])]
        return place, f"{f'{shown(present)} ' if value else ''}is no {what}{nearest(present, valid)}"
    if key not in value:
        called = next((other for other in value if other in WRITTEN_ELSEWHERE.get(key, ())), None)
        if called and isinstance(value[called], str):
            return [*parts, called], f"unknown key; did you mean {key}: {_kind_called(value[called], valid)}?"
        alone = next(iter(value), None)
        if len(value) == 1 and alone in valid and isinstance(value[alone], Mapping):
            inner = ", ".join(f"{name}: {shown(of)}" for name, of in value[alone].items())
            return [*parts, alone], f"unknown key; write {{{key}: {alone}{', ' if inner else ''}{inner}}}"
        near = next(
            (
                each
                for each in value
                if len(str(each)) > 2 and nearest(each, [key]).startswith("; did you mean")
            ),
            None,
        )
        if near is not None:
            return [*parts, near], f"unknown key; did you mean {key}?"
        return parts, f"key {key} is missing (found: {', '.join(map(str, value)) or 'nothing'})"
    if isinstance(value[key], list) and _of_settings(parts):
        one = next((name for name in value[key] if name in valid), valid[0])
        return [*parts, key], f"{shown(value[key])} is no {what}; write one, such as {one}; {SEVERAL}"
    return [*parts, key], f"{shown(value[key])} is no {what}{value_hint(value[key], valid)}"


def _kind_called(given: str, valid: Sequence[str]) -> str:
    """The one of the `valid` names that another is like, or that name itself."""
    meant = re.search(r"did you mean ([^ ?]+)\?", value_hint(given, valid))
    return meant[1] if meant and given not in valid else given


def key_path(parts: Iterable[Any]) -> str:
    """`figures[3].series[0].label` from the parts of a path."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
