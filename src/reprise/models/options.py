"""Checks of the values that a report file gives a network; each error is one line, and the caller adds
where.
"""

import inspect
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from reprise.errors import RepriseError
from reprise.reports.check import nearest


def check_options(function: Callable[..., Any], given: Collection[str]) -> None:
    """Raise a `RepriseError` unless `given` names only keyword-only parameters of `function`, and all those
    without a default.
    """
    valid = {
        name: item
        for name, item in inspect.signature(function).parameters.items()
        if item.kind is item.KEYWORD_ONLY
    }
    for name in given:
        if name not in valid:
            raise RepriseError(f"unknown option {name}{nearest(name, valid) or '; remove it'}")
    for name, item in valid.items():
        if item.default is item.empty and name not in given:
            raise RepriseError(f"option {name} is missing; add it")


def choice(what: str, value: Any, valid: Iterable[Any]) -> Any:
    """`value`, one of `valid`."""
    options = list(valid)
    if value not in options:
        raise RepriseError(f"{what} {value!r} is not known{nearest(value, options)}")
    return value


def whole(what: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`."""
    is_whole = (
        value.is_integer()
        if isinstance(value, float)
        else isinstance(value, int) and not isinstance(value, bool)
    )
    if not is_whole or value < least:
        raise RepriseError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def number(what: str, value: Any, most: float = math.inf) -> float:
    """`value` as a finite float between 0 and `most`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 0 <= value <= most
    ):
        limit = "of at least 0" if most == math.inf else f"from 0 to {most:g}"
        raise RepriseError(f"{what} must be a number {limit}, not {value!r}")
    return float(value)


def switch(what: str, value: Any) -> None:
    """Accept only `true`: a layer without a size, as in `{flatten: true}`."""
    if value is not True:
        raise RepriseError(f"{what} takes only true, not {value!r}; leave the layer out to go without it")
