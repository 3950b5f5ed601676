"""The one rule that gives a statement its verdict, and the reason in plain words; `docs/verdicts.md` explains
it to readers.

Reproduced means: the same experiment, trained again with other seeds on the same data, would come out so
again. What seeds do is drawn (`reprise.publishing.noise`); this module turns draws into words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from reprise.publishing.expressions import (
    ArgBest,
    AtChance,
    Joined,
    Opposite,
    Quantified,
    Relation,
    Scatter,
    Within,
)
from reprise.publishing.judging import TAIL, Amount, Found, Missing
from reprise.publishing.numbers import MOST_PLACES, bound_of, half_unit, measurement, number, places

Verdict = Literal["reproduced", "differs", "undecided", "contradicted", "not run"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "differs", "undecided", "contradicted", "not run")
MOST_SEEDS = 100
"""More seeds than these are not worth naming."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and its reason, one sentence.

    measured: what was found, as printed. spread: of a number the deviation over seeds, of a claim's relations
    what the seeds settle, as printed. share: of draws in which a claim holds. settles: the smallest
    difference that these seeds could settle (of a number the half-width of its interval). claimed: the
    difference that the report claims, where it gives the numbers. seeds: how many would settle it. notes:
    what a reader should know of how it was measured; a page says each once. distance: of a reported number
    from the middle of its interval, in half-widths; of a claim's sides from where it would turn, in units of
    what the seeds settle; not a number where that means nothing. low, high: the interval in which a reported
    number is reproduced, and of a number alone.
    """

    verdict: Verdict
    reason: str
    measured: str = ""
    spread: str = ""
    n: int = 0
    share: float = math.nan
    settles: float = math.nan
    claimed: float = math.nan
    seeds: int | None = None
    notes: tuple[str, ...] = ()
    distance: float = math.nan
    low: float = math.nan
    high: float = math.nan


def counted(verdict: str, count: int) -> str:
    """`3 reproduced`, `1 differs`, `2 differ`."""
    return f"{count} {'differ' if verdict == 'differs' and count != 1 else verdict}"


# ---- numbers ----


def judge_number(
    reported: str,
    found: Amount,
    drawn: Amount,
    about: float = 0.0,
    *,
    count: bool = False,
    ends: tuple[float, float] = (-math.inf, math.inf),
) -> Judgement:
    """Whether the reported number could be what the same experiment gives once more.

    found: as measured. drawn: what was reported, drawn from what our seeds let expect: the result of one more
    training, the mean of three, the winner of another search. Reproduced inside the middle 95 % of the draws,
    widened by half a unit of the last printed digit and by `about`; else differs. A reported bound (`> 0.7`)
    is reproduced where some number in there keeps it. count: whether it is a whole number in each run. ends:
    what it can be at least and at most, beyond which no interval reaches.
    """
    sign, digits = bound_of(reported)
    point = found.measured
    shown, spread = measurement(point, found.scatter, stated=found.stated, count=count)
    draws = drawn.total[0]
    finite = draws[~np.isnan(draws)]
    lost = math.isnan(point) or len(finite) == 0
    if lost or (math.isinf(point) and np.isinf(finite).mean() > 1 - TAIL):
        what = "there is no such value" if lost else "the trainings diverged"
        reason = f"{what}, so nothing agrees with {reported}."
        return Judgement("differs", reason, shown, spread, found.n, notes=drawn.notes, distance=math.inf)
    slack = half_unit(reported) + about
    low, high = (float(end) for end in np.quantile(finite, (TAIL, 1 - TAIL), method="nearest"))
    value = float(digits)
    inside = low - slack - _TINY <= value <= high + slack + _TINY
    first, last = min(max(low - slack, ends[0]), low), max(min(high + slack, ends[1]), high)
    if sign:
        return _judge_bound(sign, digits, (first, last), found, drawn, (shown, spread))
    between = ""
    interval = _interval(first, last, value, inside)
    if inside and drawn.reach:  # the draws are of several ways, with nothing between them
        near = np.abs(finite - value) <= drawn.reach + slack
        if near.mean() < TAIL:
            inside, between = False, ", but in a gap between the ways that trainings come out"
    where = "inside" if inside else "outside" if not between else "in"
    reason = f"{reported} lies {where} {interval}{between}."
    settles = (high - low) / 2 + slack
    return Judgement(
        "reproduced" if inside else "differs",
        reason,
        shown,
        spread,
        found.n,
        settles=settles,
        notes=drawn.notes,
        distance=abs(value - (low + high) / 2) / settles,
        low=first,
        high=last,
    )


def _judge_bound(
    sign: str, digits: str, ends: tuple[float, float], found: Amount, drawn: Amount, said: tuple[str, str]
) -> Judgement:
    """Whether the same experiment would keep a bound that the report gives. `ends`: of what it would give."""
    (low, high), value = ends, float(digits)
    over = sign.startswith(">")
    reach = high - value if over else value - low
    inside = reach >= -_TINY if sign.endswith("=") else reach > _TINY
    interval = number(low) if low == high else _interval(low, high, value, low <= value <= high)
    reason = f"{interval} {'reaches' if inside else 'does not reach'} {sign} {digits}."
    settles = (high - low) / 2
    distance = abs(value - (low + high) / 2) / settles if settles else math.inf
    return Judgement(
        "reproduced" if inside else "differs",
        reason,
        *said,
        found.n,
        settles=settles,
        notes=drawn.notes,
        distance=distance,
        low=low,
        high=high,
    )


def _interval(low: float, high: float, value: float, inside: bool) -> str:
    """Both ends, to two significant digits of half the width; to more where the value would seem to lie on
    the other side of one.
    """
    digits = places((high - low) / 2)
    while digits < MOST_PLACES and (round(low, digits) <= value <= round(high, digits)) != inside:
        digits += 1
    return f"{number(low, digits)} to {number(high, digits)}"


_TINY = 1e-9
"""So that the ends of an interval, which are included, are not lost to rounding."""


# ---- claims ----


def judge_claim(found: Found | Missing, claims: Callable[[Relation], float] | None = None) -> Judgement:
    """Whether a claim holds: reproduced in at least 97.5 % of the draws, contradicted in at most 2.5 %, else
    undecided.

    claims: gives the difference of a relation's sides that the report's numbers have; not a number where they
    lack one.
    """
    if isinstance(found, Missing):
        return Judgement("not run", found.reason)
    support, against = float(found.support[0]), float(found.against[0])
    verdict: Verdict = "undecided"
    if support >= 1 - TAIL:
        verdict = "reproduced"
    elif against <= TAIL:
        verdict = "contradicted"
    legs = list(_legs(found))
    told = _telling(found)
    shown = legs if len(legs) <= 6 else [told]
    measured = "; ".join(_measured(leg) for leg in shown)
    settled = [number(_settles(leg)) if math.isfinite(leg.settles) else "–" for leg in shown]
    spreads = "; ".join(settled) if {*settled} != {"–"} else ""
    if len(shown) < len(legs):
        measured += f" ({len(legs)} relations, the most telling one)"
    claimed = claims(_asserted(told.relation)) if claims else math.nan
    seeds = _seeds(told, claimed) if verdict == "undecided" else None
    share = float(found.holds.mean())
    by_chance: tuple[str, ...] = ()
    if verdict == "undecided" and not TAIL < share < 1 - TAIL:
        if len(legs) > 1 or told.shared > 1:
            by_chance = (SHARED,)
        elif isinstance(_asserted(told.relation), Within):
            by_chance = (NARROW,)
    return Judgement(
        verdict,
        _reason(told, verdict, len(legs), claimed, seeds),
        measured,
        spreads,
        found.n,
        share,
        _settles(told),
        claimed,
        seeds,
        (*found.notes, *by_chance),
        _distance(told),
    )


SHARED = (
    "Of several relations, one often fails or holds by chance. So a single one settles the claim only at "
    "2.5 % divided by their number."
)
"""Why a claim can be undecided that holds in nearly all draws, or in hardly any."""
NARROW = (
    "The margin is narrower than what the seeds settle, so it holds in few draws, whatever the seeds show. "
    "It is contradicted only if the difference lies beyond one of its ends."
)
"""Why this is so of a single `within`."""


def _legs(found: Found | Missing) -> list[Found]:
    if isinstance(found, Missing):
        return []
    return [leg for part in found.parts for leg in _legs(part)] if found.parts else [found]


def _telling(found: Found) -> Found:
    """The relation that a reader asks for first: where all have to hold, the one that holds least, where any
    may, the one that holds most.
    """
    parts = [part for part in found.parts if isinstance(part, Found)]
    if not parts:
        return found
    whole = _asserted(found.relation)
    every = whole.every if isinstance(whole, Joined | Quantified) else True
    part = (min if every else max)(parts, key=lambda part: float(part.holds.mean()))
    return _telling(part)


def _asserted(relation: Relation) -> Relation:
    """A relation without `not`."""
    return _asserted(relation.part) if isinstance(relation, Opposite) else relation


def _settles(leg: Found) -> float:
    """The smallest difference that the seeds could settle, at the level that it shares with others."""
    normal = NormalDist()
    return leg.settles * normal.inv_cdf(TAIL / leg.shared) / normal.inv_cdf(TAIL)


def _measured(leg: Found) -> str:
    left, right = number(leg.left), number(leg.right)
    match _asserted(leg.relation):
        case Within() if math.isfinite(leg.difference):
            return f"{left} and {right} differ by {number(abs(leg.difference))}"
        case Within():
            return f"{left} and {right}"
        case AtChance():
            return f"{left}, chance {right}"
        case ArgBest(largest=largest):
            most = "largest" if largest else "smallest"
            first = max(leg.left, leg.right) if largest else min(leg.left, leg.right)
            return f"{most} is {leg.said} ({number(first)})"
        case Scatter():
            return f"spread {left} and {right}"
    if math.isnan(leg.left) or math.isnan(leg.right):
        return f"{left} and {right}"
    equal = leg.difference == 0 or leg.left == leg.right
    sign = "=" if equal else ">" if leg.left > leg.right else "<"
    return f"{left} {sign} {right}"


def _reason(leg: Found, verdict: Verdict, many: int, claimed: float, seeds: int | None) -> str:
    """Why, in one sentence; of many relations, what the most telling one shows."""
    first = f"{leg.relation.words}: " if many > 1 else ""
    said = first + _seen(leg)
    if not math.isfinite(leg.settles):
        return f"{said}; it holds in {_percent(leg)} of the draws."
    seeded = leg.n and not _of_winners(leg)
    trained = "these draws" if not seeded else "one seed" if leg.n == 1 else f"{leg.n} seeds"
    compared = f" in one of {leg.shared} comparisons" if leg.shared > 1 else ""
    settles = f"{_short(_settles(leg))}{compared}"
    if verdict != "undecided":
        return f"{said}; {trained} can show differences above about {settles}."
    if math.isfinite(claimed):
        said += f"; the report's numbers differ by {number(abs(claimed))}"
    do = ""
    if seeds is not None:
        least = f"more than {MOST_SEEDS}" if seeds > MOST_SEEDS else f"{seeds}"
        do = f"; {least} seeds would be {'needed' if seeds > MOST_SEEDS else 'enough'}"
    return f"{said}; {trained} can only show differences above {settles}{do}."


def _short(value: float) -> str:
    """A difference as `number` prints it, from 1 on with no more than two decimals, none of them a last 0."""
    return number(value) if not 1 <= value < 10 else number(value, 2).rstrip("0").rstrip(".")


def _seen(leg: Found) -> str:
    left, right, gap = number(leg.left), number(leg.right), number(abs(leg.difference))
    if not math.isfinite(leg.difference):
        return f"{left} on the left, {right} on the right"
    match _asserted(leg.relation):
        case Within(margin=margin):
            where = "within" if abs(leg.difference) <= margin + _TINY else "beyond"
            return f"{left} and {right} differ by {gap}, {where} the margin of {margin:g}"
        case AtChance():
            return f"{left} is {gap} {'above' if leg.difference > 0 else 'below'} the chance level of {right}"
        case ArgBest():
            return f"the best of those named has {left}, the best of the others {right}"
        case Scatter():
            return f"the seeds scatter by {left} and {right}"
    if leg.difference == 0:
        return f"{left} equals {right}"
    return f"{left} {'exceeds' if leg.left > leg.right else 'falls short of'} {right} by {gap}"


def _percent(leg: Found) -> str:
    return f"{100 * float(leg.holds.mean()):.1f} %"


def _to_the_turn(leg: Found, difference: float) -> float:
    """How far a difference of the sides lies from where the relation would turn."""
    within = isinstance(_asserted(leg.relation), Within | AtChance)
    return leg.margin - abs(difference) if within else difference


def _distance(leg: Found) -> float:
    settles = _settles(leg)
    return abs(_to_the_turn(leg, leg.difference)) / settles if 0 < settles < math.inf else math.nan


def _of_winners(leg: Found) -> bool:
    """Whether what is left open is how another search would end, which more seeds do not settle."""
    return any(measure.pick for measure in leg.relation.measures)


def _seeds(leg: Found, claimed: float) -> int | None:
    """How many seeds would settle the difference that is claimed, or else the one that was measured."""
    gap = _to_the_turn(leg, claimed if math.isfinite(claimed) else leg.difference)
    if not (leg.n and math.isfinite(leg.settles) and leg.settles > 0) or _of_winners(leg):
        return None
    if gap == 0 or not math.isfinite(gap):
        return MOST_SEEDS + 1
    return max(leg.n + 1, math.ceil(min(leg.n * (_settles(leg) / gap) ** 2, MOST_SEEDS + 1)))
