"""Settings of a report file as pydantic models: closed keys, exact types, one-line errors.

A class says once what may be written, and with what bounds. It needs no torch, so a report can be checked
without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from reprise.errors import RepriseError, nearest

Probability = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
"""A whole number is an int, not 3.0, "3" or true; nothing is converted, and no key is skipped."""


def titled(title: str) -> ConfigDict:
    """The `model_config` of `Settings` that errors call `title`."""
    return {**STRICT, "title": title}


Kind = TypeVar("Kind", bound=BaseModel)
Content = TypeVar("Content")


class Settings(BaseModel):
    """A mapping with closed keys; a subclass says with `model_config = titled(…)` what errors call it."""

    model_config = STRICT
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Keys that are wrong here and right nearby: an error offers them, too."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, given: Any) -> Any:
        """Before pydantic does, whose error does not name the valid keys."""
        if isinstance(given, Mapping):
            valid = [field.alias or name for name, field in cls.model_fields.items()]
            for key in given:
                if key not in valid:
                    owner = cls.model_config.get("title", cls.__name__)
                    hint = nearest(key, [*valid, *cls.elsewhere]) or "; remove it"
                    context = {"key": str(key), "owner": owner, "hint": hint}
                    raise PydanticCustomError("unknown_key", "unknown key for {owner}{hint}", context)
        return given


class Value(RootModel[Content], Generic[Content]):
    """One value in the place of a mapping, as in `{flip: 0.5}`."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


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


def parse(kind: type[Kind], value: Any, where: str) -> Kind:
    """`value` as `kind`; the first thing that is wrong is a `RepriseError` that begins with `where`."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RepriseError(f"{where}: {first_mistake(error)}") from None


def first_mistake(error: ValidationError) -> str:
    """The first mistake as one line: key path, what is wrong, what is valid."""
    first = error.errors(include_url=False)[0]
    context, value = first.get("ctx", {}), repr(first["input"])
    shown = value if len(value) <= 100 else f"{value[:100]}…"
    place = list(first["loc"])
    match first["type"]:
        case "unknown_key":
            path = _path(place)
            return f"{path}.{context['key']}: {first['msg']}" if path else f"{context['key']}: {first['msg']}"
        case "missing":
            found = ", ".join(map(str, first["input"])) or "nothing"
            what = f"key {place.pop()} is missing (found: {found})"
        case "literal_error":
            valid = re.findall(r"'([^']*)'|([^\s,]+)", context["expected"].replace(" or ", ", "))
            options = [text or other for text, other in valid]
            what = f"{shown} is not valid{nearest(first['input'], options)}"
        case "too_short":
            what = f"has {context['actual_length']} items, and should have at least {context['min_length']}"
        case "too_long":
            what = f"has {context['actual_length']} items, and should have at most {context['max_length']}"
        case "value_error":
            what = str(context["error"])
        case "model_type" | "dict_type":
            what = f"should be a mapping, not {shown}"
        case _:
            what = f"{first['msg'].replace('Input should', 'should')}, not {shown}"
    path = _path(place)
    return f"{path}: {what}" if path else what


def _path(parts: Iterable[Any]) -> str:
    """`layers[0].kernel`. Parts with a space are titles, by which pydantic names the member of a union."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif " " not in part:
            text += f".{part}" if text else part
    return text
