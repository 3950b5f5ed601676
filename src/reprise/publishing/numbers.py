"""Numbers as readers write them: rounded by their uncertainty, thousands apart, exponents short."""

import math
import re
from decimal import Decimal

LONGEST = 1e15
"""Numbers from here on are printed with an exponent."""
MOST_PLACES = 8
"""Decimals that are printed at most."""


def number(value: float, digits: int | None = None) -> str:
    """`value` with so many decimals (by default 4 below 10, else 1; halves and whole numbers with those that
    they have), and thousands apart: `376,834`.
    """
    if not math.isfinite(value):
        return "diverged" if value == math.inf else "not finite"
    if abs(value) >= LONGEST:
        return short_exponent(f"{value:.4g}")
    if digits is None and abs(value) >= 1 and (2 * float(value)).is_integer():  # an epoch, a rank
        digits = 0 if float(value).is_integer() else 1
    shown = f"{value:,.{(4 if abs(value) < 10 else 1) if digits is None else digits}f}"
    return shown if re.search("[1-9]", shown) else shown.removeprefix("-")  # nothing has no sign


def exact(value: float) -> str:
    """A number that nothing scatters, such as a setting: `0.001`, `1e-5`, `376,834`."""
    if not math.isfinite(value):
        return number(value)
    if float(value).is_integer() and abs(value) < LONGEST:
        return number(value, 0)
    return short_exponent(f"{value:g}")


def short_exponent(shown: str) -> str:
    """`1e-05` as `1e-5`."""
    return re.sub(r"e([+-]?)0*(\d+)$", lambda found: f"e{found[1].strip('+')}{found[2]}", shown)


def places(uncertainty: float) -> int:
    """The decimals to which a value is known: those that leave its uncertainty two significant digits (JCGM
    100:2008, 7.2.6). An infinite one leaves none, none at all all of them.
    """
    if not 0 < uncertainty < math.inf:
        return 0 if uncertainty else MOST_PLACES
    exponent = int(f"{uncertainty:.1e}".partition("e")[2])
    return min(max(1 - exponent, 0), MOST_PLACES)


def measurement(
    value: float, deviation: float = math.nan, *, stated: float = 0.0, count: bool = False
) -> tuple[str, str]:
    """A measured value and its deviation over seeds, as printed: `0.4830` and `0.0036`.

    Both are rounded to two significant digits of the deviation; where there is none (one seed, or all agree:
    `0`), to those of the one that is `stated` for the metric. A `count` that is whole has no decimals, and
    what nothing scatters has the digits that it needs.
    """
    several = math.isfinite(deviation) and (stated > 0 or deviation > 0)
    if several and deviation > 1e-9 * max(1.0, abs(value)):
        digits = places(deviation)
        return number(value, digits), number(deviation, digits)
    if not math.isfinite(value) or stated <= 0:
        return exact(value), "0" if several else ""
    digits = 0 if count and float(value).is_integer() else places(stated)
    return number(value, digits), "0" if several else ""


def with_deviation(value: str, deviation: str) -> str:
    """`0.4830 ± 0.0036`, or the value alone."""
    return f"{value} ± {deviation}" if deviation else value


def decimals(reported: str) -> int:
    """Digits after the point in a number as printed."""
    exponent = Decimal(bound_of(reported)[1]).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def bound_of(reported: str) -> tuple[str, str]:
    """The sign of a bound (`>`, `>=`, `<`, `<=`; empty where a number itself is reported) and the number."""
    digits = reported.lstrip("<>= ")
    return reported[: len(reported) - len(digits)].strip(), digits


def half_unit(reported: str) -> float:
    """Half a unit of the last printed digit: what rounding may hide; of a bound nothing."""
    sign, digits = bound_of(reported)
    return 0.0 if sign else float(Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent))) / 2
