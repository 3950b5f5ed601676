"""What the models of a report file share: closed keys, types of common values, errors for readers.

A model (pydantic) says which keys a part of a report file may have and what each may hold; the editor's JSON
Schema is made from the same models (`reprise schema`). `Source.validate` turns a violation into one line with
file, line, key path and, for a typo, the nearest valid word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from reprise.errors import nearest


class Strict(BaseModel):
    """A mapping with closed keys whose values keep their types: no text becomes a number."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, defer_build=True
    )
    called: ClassVar[str] = ""
    """What an error calls this mapping, e.g. `the family vit`."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        valid = keys(cls)
        for key in value:
            if key not in valid:
                owner = f" for {cls.called}" if cls.called else ""
                found = {"key": key, "owner": owner, "hint": nearest(key, valid)}
                raise PydanticCustomError("unknown_key", "unknown key{owner}{hint}", found)
        return value


def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a mapping, as a report file writes them; those that it must have come first."""
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    return [field.alias or name for name, field in fields]


# ---- values ----


def _unique(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PydanticCustomError("twice", "{value} stands twice", {"value": repr(value)})
    return values


def whole(least: int = 1, most: int = 100_000) -> Any:
    """The bounds of a whole number."""
    return Field(ge=least, le=most)


Unique = AfterValidator(_unique)
Name = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Identifier = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9_]*$")]
"""The name of a figure, table or statement; figures and tables are files of that name."""
Text = Annotated[str, Field(min_length=1)]
Selector = Annotated[str, Field(min_length=1, max_length=1000)]
"""Cells: the name of one, an experiment, or `experiment/axis=value,…@reading`."""
SettingPath = Annotated[str, Field(max_length=200, pattern=r"^[a-z_]+(\.([A-Za-z0-9_]+|\*))*$")]
"""A setting of a run: dots between keys; in a list a layer's name, a number from 0, or `*` for every element
that has the next key.
"""
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Range = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""From and to."""
Seed = Annotated[int, Field(ge=0)]
Seeds = Annotated[list[Seed], Field(min_length=1), Unique]
Printed = Annotated[
    str, Field(max_length=40, pattern=r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$")
]
"""A number as the report prints it, in quotes: its last digit counts."""


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

    def tag(self, value: Any) -> str | None:
        """The name in angle brackets, which tells it from a key in the place of an error."""
        if isinstance(value, BaseModel):
            return next((f"<{name}>" for name, model in self.kinds().items() if type(value) is model), None)
        if not isinstance(value, Mapping):
            return None
        if self.key:
            return f"<{value[self.key]}>" if isinstance(value.get(self.key), str) else None
        return next((f"<{name}>" for name in self.kinds() if name in value), None)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {f"<{name}>": handler.generate_schema(model) for name, model in self.kinds().items()}
        metadata = {"key": self.key, "what": self.what}
        return core_schema.tagged_union_schema(
            choices,
            discriminator=self.tag,
            custom_error_type="kind",
            custom_error_message=f"{self.key}|{self.what}|{', '.join(self.kinds())}",
            metadata=metadata,
        )


def plain(value: Any) -> Any:
    """A model as a report file would write it: mappings, lists and values, without what is not given."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, by_alias=True)
    return value
