"""What a statement could show, whatever is measured: one that no result could refute, or none could confirm,
is a mistake in the report file.

Results are made up. Every quantity of a configuration takes many values within its bounds: far from the
others and near them, at the ends, and near the constants that the statement names. Seeds scatter half as much
as is stated for their metric.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from reprise.publishing import Resolve
from reprise.publishing.expressions import (
    AtChance,
    Joined,
    Opposite,
    Order,
    Quantified,
    Relation,
    Share,
    Within,
    every_part,
)
from reprise.publishing.judging import TAIL, Amount, Combination, Found, Judge, key_of, stated_of
from reprise.publishing.measures import Measure, NotRun, Tables
from reprise.publishing.noise import Sample, Typical, generator_of
from reprise.publishing.numbers import bound_of, half_unit, number
from reprise.publishing.statements import CheckedStatement
from reprise.reports.report import Cell

WORLDS, DRAWS_OF_EACH = 400, 80
UNBOUNDED = 5.0
"""Stands for the end of what has none, such as a loss."""


def without_power(
    statements: Iterable[CheckedStatement], resolve: Resolve, tables: Tables
) -> Iterator[tuple[CheckedStatement, str]]:
    """The statements that no result could refute, or none could confirm, each with what is wrong.

    tables: results of every run, as `reprise.publishing.pretended` makes them.
    """
    for statement in statements:
        for reading in (statement, *statement.also):
            judge = Imagined(reading, resolve, tables)
            try:
                if reading.relation is None:
                    said = _said_of_number(judge, reading)
                else:
                    said = _said_of_claim(judge, reading.relation)
            except NotRun:
                continue
            if said:
                yield reading, said
                break


def _said_of_claim(judge: Imagined, relation: Relation) -> str:
    confirmed, refuted = judge.could_be(relation)
    if not refuted:
        return "no result could refute it; claim more, or compare what can differ"
    if not confirmed:
        return "no result could confirm it; widen the margin, name more seeds, or claim less"
    return ""


def _said_of_number(judge: Imagined, statement: CheckedStatement) -> str:
    if any(measure.metric == "setting" for measure in statement.measures):
        return ""  # what a search draws is not known beforehand
    draws = judge.amount(statement.value, of=statement.mean_of).total
    sign, digits = bound_of(statement.reported)
    slack, value = half_unit(statement.reported) + statement.about, float(digits)
    ends = np.quantile(draws, (TAIL, 1 - TAIL), axis=-1, method="nearest")
    inside = (ends[0] - slack <= value) & (value <= ends[1] + slack)
    if sign:
        inside = value < ends[1] + slack if sign.startswith(">") else ends[0] - slack < value
    lowest, highest = float(ends[0].min()), float(ends[1].max())
    if not lowest - slack <= value <= highest + slack and not inside.any():
        between = f"{number(lowest)} and {number(highest)}"
        return f"no result could agree with {statement.reported}: it measures what lies between {between}"
    if inside.all() and len(inside) > 1:
        return f"no result could differ from {statement.reported}; leave about out, or make it smaller"
    return ""


@dataclass(frozen=True)
class ImaginedSample(Sample):
    """A quantity of one configuration in many made-up worlds: `drawn` (worlds, draws)."""

    drawn: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))

    def averages(self) -> np.ndarray:
        return self.drawn

    def trainings(self, of: int = 1) -> np.ndarray:
        return self.drawn


class Imagined(Judge):
    """Judges one statement on made-up worlds."""

    def __init__(self, statement: CheckedStatement, resolve: Resolve, tables: Tables) -> None:
        super().__init__((), resolve, tables)
        self.constants = sorted(_constants(statement))

    def sample(self, combination: Combination, cell: Cell) -> Sample:
        key = combination, cell.name
        if key not in self._samples:
            low, high = self._bounds(combination, cell)
            self._samples[key] = self._imagined(combination, cell, low, high)
        return self._samples[key]

    def _imagined(self, combination: Combination, cell: Cell, low: float, high: float) -> Sample:
        random, shared = generator_of(key_of(cell.name, combination)), generator_of("worlds")
        most = max(UNBOUNDED, *(2 * abs(constant) for constant in self.constants), 0.0)
        low, high = max(low, -most), min(high, most) if math.isfinite(high) else most
        stated = stated_of(combination)
        relative = any(measure.noise.relative for measure, _ in combination)
        fraction = shared.random(WORLDS)
        common = low + (high - low) * fraction
        scale = np.abs(common) if relative else np.ones(WORLDS)
        near = 3 * np.maximum(stated * scale, 1e-6)
        inside = [constant for constant in self.constants if low <= constant <= high] or [low, high]
        ways = [
            random.uniform(low, high, WORLDS),
            common + near * random.standard_normal(WORLDS),
            random.choice([low, high], WORLDS),
            random.choice(inside, WORLDS) + near * random.standard_normal(WORLDS) * random.random(WORLDS),
        ]
        values = np.clip(np.choose(np.arange(WORLDS) % len(ways), ways), low, high)
        scale = np.abs(values) if relative else scale
        error = random.standard_normal((WORLDS, DRAWS_OF_EACH), dtype=np.float32)
        error *= stated / 2 / math.sqrt(len(cell.runs))
        drawn = np.clip(values[:, None] + scale[:, None] * error, low, high)
        seeds = (float(values[0]),) * len(cell.runs)
        return ImaginedSample(seeds, Typical(stated**2), low=low, high=high, drawn=drawn)

    def _winner(
        self, selector: str, quantities: Mapping[Measure, float], further: float, images: bool
    ) -> Amount:
        """Settings are what they are; whatever else is measured of a winner can be anything."""
        cell, _ = self.picked(selector)
        if any(measure.metric == "setting" for measure in quantities):
            return super()._winner(selector, quantities, further, images)
        combination = tuple(quantities.items())
        sample = self.sample(combination, cell)
        return Amount(sample.mean, sample.averages(), n=1)

    def _best_drawn(
        self, found: Found, cells: object, names: object, measure: object, largest: object
    ) -> Found:
        return found

    def could_be(self, relation: Relation) -> tuple[bool, bool]:
        """Whether some result would confirm it, and whether some would refute it, part by part."""
        match relation:
            case Opposite(part=part):
                confirmed, refuted = self.could_be(part)
                return refuted, confirmed
            case Joined(of=parts, every=every):
                found = [self.could_be(part) for part in parts]
            case Quantified(part=part, every=every):
                found = [self.could_be(one) for one in self.instances(part)]
            case Order() | Within() | AtChance():
                if any(measure.metric == "setting" for measure in relation.measures):
                    return True, True  # facts of the report file, or of one draw of a search
                seen = self.relation(relation)
                if not isinstance(seen, Found):
                    return True, True
                return bool((seen.support >= 1 - TAIL).any()), bool((seen.against <= TAIL).any())
            case _:
                return True, True
        can, cannot = [one for one, _ in found], [other for _, other in found]
        return (all(can), any(cannot)) if every else (any(can), all(cannot))


def _constants(statement: CheckedStatement) -> Iterator[float]:
    """Every number in a statement, with either sign, and sums of two: 0.1 above 2.3, say."""
    relations = [statement.relation] if statement.relation else []
    values = [statement.value]
    reported = float(bound_of(statement.reported)[1]) if statement.reported else math.nan
    alone = {reported} if statement.reported else set()
    for relation in relations:
        for leaf in every_part(relation):
            values += leaf.values
            if isinstance(leaf, Within):
                alone.add(leaf.margin)
    asked = [term.relation for value in values for term in value.terms if isinstance(term, Share)]
    values += [value for relation in asked for value in relation.values]
    for value in values:
        factors = [factor for factor in value.terms.values() if factor]
        alone |= {value.constant, *(value.constant / factor for factor in factors)}
        if statement.reported:
            alone |= {(reported - value.constant) / factor for factor in factors}
    both = {sign * one for one in alone for sign in (1, -1)}
    return iter(both | {a + b for a, b in itertools.product(both, both)})
