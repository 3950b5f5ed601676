"""In which order runs settle most statements per second.

A statement is an `Aim`: what has to be finished, and how likely it is settled then. Several aims may need the
same run, which is paid for once. The order is greedy: of all sets of runs that finish something, the one with
the most statements to be expected per second comes first. Everything here is plain arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

EXPECTED = 0.5
"""A statement that is settled with at least this probability is expected to be settled."""
LEVEL = NormalDist().inv_cdf(0.975)


def chance(seeds: int, needed: float) -> float:
    """The probability that so many seeds settle what `needed` of them can settle just so.

    `needed` seeds have a half-width as large as the true difference, and the half-width shrinks as √seeds:
    the power of a two-sided test, one half where both numbers are equal.
    """
    return NormalDist().cdf(LEVEL * (math.sqrt(seeds / needed) - 1)) if needed > 0 else 1.0


@dataclass(frozen=True)
class AimStage:
    """When all of `runs` are finished, the statement is settled with this probability."""

    runs: frozenset[str]
    share: float


@dataclass(frozen=True)
class Aim:
    """A statement that is open, and the stages in which it can be settled, the smaller ones first."""

    statement: str
    stages: tuple[AimStage, ...]

    @property
    def hopeful(self) -> bool:
        """Whether it is expected to be settled by all that the report file asks for."""
        return max((stage.share for stage in self.stages), default=0.0) >= EXPECTED


@dataclass(frozen=True)
class AgendaStep:
    """Runs to do now, in this order; the seconds that they take; and statement → how likely it is settled
    then, of those that become likelier.
    """

    runs: tuple[str, ...]
    seconds: float
    statements: Mapping[str, float]
    last: bool = False
    """Whether it serves only statements that even all seeds are not expected to settle."""


def order(
    aims: Iterable[Aim], seconds: Mapping[str, float], follows: Mapping[str, Sequence[str]]
) -> Iterator[AgendaStep]:
    """Steps, the most statements per second first.

    seconds: run → what is left of it; a run that is not there is done. Of the runs of a step those come first
    that stand first here, as far as `follows` lets them. follows: run → the runs to be finished before it,
    which it brings along. Aims that are not `hopeful` come after all others.
    """
    aims, left = list(aims), dict(seconds)
    reached = {aim.statement: 0.0 for aim in aims}
    for last in (False, True):
        options = [
            _Option(aim.statement, stage.share, frozenset(_with_followed(stage.runs, left, follows)))
            for aim in aims
            if aim.hopeful != last
            for stage in aim.stages
        ]
        found: dict[tuple[_Option, ...], tuple[float, frozenset[str]]] = {}
        while options := _open(options, left, reached):
            found = {group: found.get(group) or _densest(group, left, reached) for group in _groups(options)}
            group = max(found, key=lambda group: found[group][0])
            runs = _first_part(group, found[group][1], left, reached)
            gained = {
                aim.statement: share
                for aim in aims
                if (share := _share_of(aim, left.keys() - runs)) > reached[aim.statement]
            }
            reached |= gained
            ordered = tuple(_with_followed((run for run in left if run in runs), left, follows))
            yield AgendaStep(ordered, sum(left[run] for run in runs), gained, last)
            for run in runs:
                del left[run]


@dataclass(frozen=True)
class _Option:
    """A stage of an aim, with all that is left to do for it."""

    aim: str
    share: float
    left: frozenset[str]


def _with_followed(
    runs: Iterable[str], left: Mapping[str, float], follows: Mapping[str, Sequence[str]]
) -> list[str]:
    """Those of the runs that are left, each after the ones that it follows."""
    found: dict[str, None] = {}
    for run in runs:
        waiting = [run] if run in left else []
        while waiting:  # a loop: of a study every trial follows the one before it
            before = [other for other in follows.get(waiting[-1], ()) if other in left and other not in found]
            if before:
                waiting += before
            else:
                found[waiting.pop()] = None
    return list(found)


def _open(
    options: Iterable[_Option], left: Mapping[str, float], reached: Mapping[str, float]
) -> list[_Option]:
    """The options that are not yet reached, with what is left of them now."""
    now = [replace(one, left=one.left.intersection(left)) for one in options if one.share > reached[one.aim]]
    return [one for one in now if one.left]


def _groups(options: Iterable[_Option]) -> list[tuple[_Option, ...]]:
    """Options that have runs in common, one with the other or through others."""
    groups: list[tuple[frozenset[str], tuple[_Option, ...]]] = []
    for one in options:
        apart = [group for group in groups if group[0].isdisjoint(one.left)]
        near = [group for group in groups if not group[0].isdisjoint(one.left)]
        members = tuple(member for _, group in near for member in group)
        groups = [*apart, (one.left.union(*(runs for runs, _ in near)), (*members, one))]
    return [members for _, members in groups]


def _densest(
    group: Sequence[_Option], left: Mapping[str, float], reached: Mapping[str, float]
) -> tuple[float, frozenset[str]]:
    """The set of runs with the most statements per second, and how many: from each option, grown by others
    as long as these, for what they add, bring more per second than the set does.
    """
    best: tuple[float, frozenset[str]] = (-1.0, frozenset())
    for start in dict.fromkeys(one.left for one in group):
        runs = start
        while True:
            shares = _shares(group, runs, reached)
            density = _density(shares, runs, left, reached)
            more = [
                ((one.share - shares.get(one.aim, reached[one.aim])) / _cost(one.left - runs, left), one)
                for one in group
                if not one.left <= runs and not one.left.isdisjoint(runs)
            ]
            rate, richest = max(more, key=lambda found: found[0], default=(0.0, None))
            if richest is None or rate <= density:
                break
            runs = runs | richest.left
        if density > best[0]:
            best = density, runs
    return best


def _first_part(
    group: Sequence[_Option], runs: frozenset[str], left: Mapping[str, float], reached: Mapping[str, float]
) -> frozenset[str]:
    """Of a set of runs the part that is worth most, so that verdicts come as early as they can."""
    parts = dict.fromkeys(one.left for one in group if one.left <= runs)
    return max(parts, key=lambda part: _density(_shares(group, part, reached), part, left, reached))


def _shares(group: Iterable[_Option], runs: frozenset[str], reached: Mapping[str, float]) -> dict[str, float]:
    """Aim → how likely it is settled once these runs are done, where that is more than now."""
    found: dict[str, float] = {}
    for one in group:
        if one.share > found.get(one.aim, reached[one.aim]) and one.left <= runs:
            found[one.aim] = one.share
    return found


def _density(
    shares: Mapping[str, float],
    runs: Iterable[str],
    left: Mapping[str, float],
    reached: Mapping[str, float],
) -> float:
    """Statements to be expected per second."""
    return sum(share - reached[aim] for aim, share in shares.items()) / _cost(runs, left)


def _cost(runs: Iterable[str], left: Mapping[str, float]) -> float:
    return max(_LEAST_S, sum(left[run] for run in runs))


_LEAST_S = 1e-6
"""So that nothing is divided by 0."""


def _share_of(aim: Aim, left: Collection[str]) -> float:
    """How likely a statement is settled where these runs alone are left."""
    return max((stage.share for stage in aim.stages if stage.runs.isdisjoint(left)), default=0.0)
