"""Types of values that several parts of a report file have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from reprise.schema import form


def _unique(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PydanticCustomError("twice", "{value} stands twice; leave one out", {"value": repr(value)})
    return values


def _ascending(values: Any) -> Any:
    if values[0] > values[1]:
        said = f"the first of two is the smaller one; write [{values[1]:g}, {values[0]:g}]"
        raise PydanticCustomError("order", "{said}", {"said": said})
    return values


def _increasing(values: Any) -> Any:
    if values[0] == values[1]:
        said = f"both ends are {values[0]:g}; give a smallest and a largest value"
        raise PydanticCustomError("order", "{said}", {"said": said})
    return _ascending(values)


def whole(least: int = 1, most: int = 100_000) -> Any:
    """The bounds of a whole number."""
    return Field(ge=least, le=most)


Unique = AfterValidator(_unique)
Ascending = AfterValidator(_ascending)
"""For two numbers, of which the second is not below the first."""
Increasing = AfterValidator(_increasing)
"""For two numbers, of which the second is above the first."""
_NAME = form(r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", "letters, digits and any of _ . + -, a letter or digit first")
_IDENTIFIER = form(r"^[a-z0-9][a-z0-9_]*$", "lower-case letters, digits and _, no _ first")
_PATH = form(r"^[a-z_]+(\.([A-Za-z0-9_]+|\*))*$", "keys with dots between them, such as training.epochs")
Name = Annotated[str, Field(max_length=100, pattern=_NAME)]
Identifier = Annotated[str, Field(max_length=100, pattern=_IDENTIFIER)]
"""The name of a figure, table or statement; figures and tables are files of that name."""
Text = Annotated[str, Field(min_length=1)]
Selector = Annotated[str, Field(min_length=1, max_length=1000)]
"""Cells: the name of one, an experiment, or `experiment/axis=value,…@reading`."""
SettingPath = Annotated[str, Field(max_length=200, pattern=_PATH)]
"""A setting of a run: dots between keys; in a list a layer's name, a number from 0, or `*` for every element
that has the next key.
"""
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Range = Annotated[list[Positive], Field(min_length=2, max_length=2), Ascending]
"""From and to."""
Seed = Annotated[int, Field(ge=0)]
Seeds = Annotated[list[Seed], Field(min_length=1), Unique]
Printed = Annotated[
    str,
    Field(
        max_length=40,
        pattern=form(
            r"^([<>]=? ?)?[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$",
            "a number as printed, such as 0.480, or a bound, such as > 0.7",
        ),
    ),
]
"""A number as the report prints it, in quotes: its last digit counts. Or a bound that it gives: `> 0.7`."""
