"""What a statement's expression gives: measured values, their draws, and in how many of them a claim holds.

The rule is explained to readers in `docs/verdicts.md`; `reprise.publishing.noise` draws, and
`reprise.publishing.verdicts` has the words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from reprise.errors import RepriseError
from reprise.publishing import Resolve
from reprise.publishing.expressions import (
    ArgBest,
    AtChance,
    Joined,
    Opposite,
    Order,
    Quantified,
    Relation,
    Scatter,
    Share,
    Value,
    Within,
)
from reprise.publishing.measures import (
    Measure,
    NotRun,
    Reading,
    Tables,
    best_run,
    bounds,
    levels,
    rank_of,
    read,
)
from reprise.publishing.noise import (
    DRAWS,
    TYPICAL_FREEDOM,
    ResampledImages,
    Sample,
    Search,
    Typical,
    deviations,
    variance_of,
)
from reprise.reports.report import Cell, Undrawn

TAIL = 0.025
"""A claim is reproduced if it fails in at most this share of draws, contradicted if it holds in at most so
many.
"""
CHANCE_MARGIN = 0.1
"""How far above the chance level, as a share of it, an accuracy still counts as being at chance."""
ACCURACIES = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "class_accuracy")
"""What is as much better in another trial as its validation accuracy."""


@dataclass(frozen=True, eq=False)
class Choice:
    """factor · the largest, or smallest, of several configurations' values.

    points: as measured (m,). draws: (m, worlds, draws).
    """

    factor: float
    largest: bool
    points: np.ndarray
    draws: np.ndarray

    @property
    def raises(self) -> bool:
        """Whether it is the choice that makes the sum it stands in largest."""
        return self.largest == (self.factor > 0)

    @property
    def place(self) -> int:
        """Which was measured as best."""
        return int((np.argmax if self.largest else np.argmin)(self.points))

    @property
    def point(self) -> float:
        return self.factor * float(self.points[self.place])

    @property
    def made(self) -> np.ndarray:
        """factor · the value that was measured as best, in each draw: (worlds, draws)."""
        found: np.ndarray = self.factor * self.draws[self.place]
        return found

    @property
    def best(self) -> np.ndarray:
        """factor · the chosen value in each draw: (worlds, draws)."""
        found: np.ndarray = self.factor * (np.max if self.largest else np.min)(self.draws, axis=0)
        return found


@dataclass(frozen=True, eq=False)
class Amount:
    """A value: as measured, and drawn. The sum of `draws` (worlds, draws) and of `choices`. There is one
    world, that of the results, with `DRAWS` draws (one where seeds change nothing);
    `reprise.publishing.power` makes up others.

    n: the fewest seeds that it rests on. variance: over seeds. stated: the deviation over seeds that is
    stated for the metric, 0 where seeds change nothing. reach: half-width in which one more training
    is expected of a configuration that is like the others; 0 unless one is unstable. notes: what a reader
    should know of how it was measured.
    """

    point: float = 0.0
    draws: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))
    choices: tuple[Choice, ...] = ()
    n: int = 0
    variance: float = 0.0
    stated: float = 0.0
    reach: float = 0.0
    notes: tuple[str, ...] = ()

    def plus(self, other: Amount, factor: float = 1.0) -> Amount:
        with np.errstate(invalid="ignore"):  # of two that diverged, the difference is not a number
            draws = self.draws + factor * other.draws
        return Amount(
            self.point + factor * other.point,
            draws,
            self.choices + tuple(replace(one, factor=factor * one.factor) for one in other.choices),
            min(self.n, other.n) if self.n and other.n else self.n or other.n,
            self.variance + factor**2 * other.variance,
            math.hypot(self.stated, factor * other.stated),
            max(self.reach, abs(factor) * other.reach),
            tuple(dict.fromkeys([*self.notes, *other.notes])),
        )

    def times(self, factor: float) -> Amount:
        return Amount(n=self.n).plus(self, factor)

    @property
    def scatter(self) -> float:
        """Standard deviation over seeds; not a number where some configuration has one."""
        return math.sqrt(self.variance)

    @property
    def total(self) -> np.ndarray:
        """Draws (worlds, draws) with each choice made in each draw."""
        with np.errstate(invalid="ignore"):  # of two infinite losses
            return reduce(np.add, (choice.best for choice in self.choices), self.draws)

    @property
    def measured(self) -> float:
        return self.point + sum(choice.point for choice in self.choices)


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of a relation.

    holds: in each draw 1 if it holds, 0 if not, a half where nothing can be said: (worlds, draws). support
    and against: the share of draws in which it holds, corrected for choices among several configurations in
    the claim's disfavour and in its favour (worlds,). now: whether it holds of the values as measured. The
    rest tells a reader about a relation that compares two values: the sides, their difference, the
    half-width that the seeds leave to it, and the seeds themselves. shared: among how many choices or
    parts of a claim the level is shared at which the relation, as it was measured, would settle the whole.
    """

    relation: Relation
    holds: np.ndarray
    support: np.ndarray
    against: np.ndarray
    now: bool
    n: int
    left: float = math.nan
    right: float = math.nan
    difference: float = math.nan
    settles: float = math.nan
    margin: float = 0.0
    shared: int = 1
    notes: tuple[str, ...] = ()
    parts: tuple[Found | Missing, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Missing:
    """A relation of which nothing was found, and why."""

    relation: Relation
    reason: str


Combination = tuple[tuple[Measure, float], ...]
"""What is measured in each run: quantities and their factors."""


def stated_of(combination: Combination) -> float:
    """The standard deviation over seeds that is stated for it, in units of what scatter is measured in."""
    factors = sum(abs(by) for _, by in combination)
    return math.hypot(*(by * measure.noise.deviation for measure, by in combination)) / factors


def key_of(cells: str, combination: Combination) -> str:
    """What the draws of a quantity of these cells depend on."""
    return f"{cells}/{sorted(map(repr, combination))}"


class Judge:
    """Measures expressions and draws what new seeds would give.

    The scatter of seeds that is typical of the report is that of all configurations that `measures` name;
    runs that `pick: best` chooses from stay out: many of them are there only to be passed over.
    """

    def __init__(self, measures: Iterable[Measure], resolve: Resolve, tables: Tables) -> None:
        self._resolve = resolve
        self.tables = tables
        selectors = dict.fromkeys(measure.runs for measure in measures if not measure.pick)
        named = [cell for selector in selectors for cell in self._known(selector)]
        self.cells = {tuple(cell.runs): cell for cell in named}  # shared runs count once
        self._typical: dict[Combination, Typical] = {}
        self._samples: dict[tuple[Combination, str], Sample] = {}
        self._ranks: dict[tuple[Measure, int | None, bool], Amount] = {}
        self._images: dict[int, ResampledImages] = {}
        self._moved: dict[tuple[Measure, tuple[str, ...]], np.ndarray | None] = {}

    def _known(self, selector: str) -> Sequence[Cell]:
        try:
            return self._resolve(selector)
        except Undrawn:
            return []

    def resolve(self, selector: str) -> Sequence[Cell]:
        """The cells of a selector; `NotRun` where a search could have drawn them and did not."""
        try:
            return self._resolve(selector)
        except Undrawn as error:
            raise NotRun(f"{error}.") from None

    # ---- quantities of one configuration ----

    def sample(self, combination: Combination, cell: Cell) -> Sample:
        """A quantity of one configuration, taken run by run; `NotRun` where no run has it."""
        key = combination, cell.name
        if key not in self._samples:
            values, scale = self._values(combination, cell)
            if not values:
                raise self._not_run(cell, combination[0][0].metric)
            low, high = self._bounds(combination, cell)
            name, typical = key_of(cell.name, combination), self.typical(combination)
            self._samples[key] = Sample(tuple(values), typical, scale, low, high, name)
        return self._samples[key]

    def _not_run(self, cell: Cell, what: str) -> NotRun:
        """Why there is no such quantity of a configuration."""
        if not any(self.tables.finals(run) or self.tables.splits(run) for run in cell.runs):
            return NotRun(f"{cell.name} is not trained yet.")
        return NotRun(
            f"{cell.name} has no {what} to measure: it is not evaluated, or not trained for so many epochs."
        )

    def _values(
        self, combination: Combination, cell: Cell, runs: Sequence[str] | None = None
    ) -> tuple[list[float], float]:
        """The value in each run that has one, and what scatter is measured in: 1 for an accuracy, the size of
        the loss for a loss.
        """
        values, sizes = [], []
        for run in cell.runs if runs is None else runs:
            readings = [(read(measure, self.tables, cell, run), measure, by) for measure, by in combination]
            known = [(reading, measure, by) for reading, measure, by in readings if reading is not None]
            if len(known) < len(readings):
                continue
            values.append(sum(by * _finite(reading, measure) for reading, measure, by in known))
            sizes.append(sum(abs(by) * _size(reading, measure) for reading, measure, by in known))
        counted = [size for size in sizes if math.isfinite(size)]
        return values, float(np.mean(counted)) if counted else 1.0

    def _bounds(self, combination: Combination, cell: Cell) -> tuple[float, float]:
        low = high = 0.0
        for measure, by in combination:
            ends = [by * end for end in bounds(measure, cell)]
            low, high = low + min(ends), high + max(ends)
        return low, high

    def typical(self, combination: Combination) -> Typical:
        """The scatter over seeds that such a quantity has in the report's configurations."""
        if combination not in self._typical:
            stated = stated_of(combination)
            samples = []
            for cell in self.cells.values() if stated else ():
                try:
                    samples.append(variance_of(*self._values(combination, cell)))
                except RepriseError:  # a split, class or layer that this configuration does not have
                    continue
            self._typical[combination] = Typical.of(samples, stated)
        return self._typical[combination]

    # ---- values ----

    @np.errstate(invalid="ignore")
    def amount(self, value: Value, *, of: int | None = None, images: bool = False) -> Amount:
        """A value as measured, and its draws: of its average over seeds, or with `of` of the mean of so many
        further trainings. `images`: the test images are drawn again, too.

        `NotRun` where one of its measures has no result.
        """

        def draw(sample: Sample) -> np.ndarray:
            return sample.averages() if of is None else sample.trainings(of)

        found = _constant(value.constant)
        of_cells: dict[str, tuple[Cell, dict[Measure, float]]] = {}
        of_winners: dict[str, dict[Measure, float]] = {}
        for term, factor in value.terms.items():
            if isinstance(term, Share):
                found = found.plus(self._share(term, images), factor)
            elif term.pick:
                quantities = of_winners.setdefault(term.runs, {})
                quantities[term.quantity] = quantities.get(term.quantity, 0.0) + factor
            elif term.metric == "rank":
                key = term, of, images
                if key not in self._ranks:  # one claim asks for the same rank several times
                    self._ranks[key] = self._rank(term, draw, images)
                found = found.plus(self._ranks[key], factor)
            elif term.effect:
                found = found.plus(self._effect(term, draw, images), factor)
            else:
                cells = self.resolve(term.runs)
                if term.cells in ("max", "min") and len(cells) > 1:
                    amounts = [self._sum({term.quantity: 1.0}, cell, draw, images) for cell in cells]
                    if of is not None:
                        amounts = self._shrunk(amounts, term, cells, of)
                    found = found.plus(_chosen(amounts, term.cells == "max"), factor)
                    continue
                for cell in cells:
                    _, quantities = of_cells.setdefault(cell.name, (cell, {}))
                    part = factor / len(cells)
                    quantities[term.quantity] = quantities.get(term.quantity, 0.0) + part
        cancelled = 1e-12 * max((abs(factor) for factor in value.terms.values()), default=0.0)
        for cell, quantities in of_cells.values():
            if left := {one: by for one, by in quantities.items() if abs(by) > cancelled}:
                found = found.plus(self._sum(left, cell, draw, images))
        for selector, quantities in of_winners.items():
            if left := {one: by for one, by in quantities.items() if abs(by) > cancelled}:
                found = found.plus(self._winner(selector, left, 0.0 if of is None else 1 / of, images))
        return found

    def ends(self, value: Value) -> tuple[float, float]:
        """What a value can be at least and at most."""
        low = high = value.constant
        for term, factor in value.terms.items():
            found = [(0.0, 1.0)]
            if isinstance(term, Measure):
                found = [bounds(term, cell) for cell in self.resolve(term.runs)]
                if term.effect:  # a difference
                    found = [(0.0, max(high - low for low, high in found))]
            reach = [factor * end for pair in found for end in pair] if factor else [0.0]
            low, high = low + min(reach), high + max(reach)
        return low, high

    def _sum(
        self,
        quantities: Mapping[Measure, float],
        cell: Cell,
        draw: Callable[[Sample], np.ndarray],
        images: bool,
    ) -> Amount:
        """Σ factor · quantity of one configuration."""
        combination, factor = _in_units(quantities)
        sample = self.sample(combination, cell)
        draws = draw(sample)
        if images:
            draws = draws + self._resampled(combination, cell)
        variance = sample.scatter**2 if sample.typical.variance else 0.0
        notes = []
        if sample.unstable:
            notes.append(
                f"The seeds of {cell.name} come out in more than one way; the draws mix the ways that were "
                "seen."
            )
        reach = sample.reach if sample.unstable else 0.0
        stated = stated_of(combination) * sample.scale
        found = Amount(sample.mean, draws, (), sample.n, variance, stated, reach, tuple(notes))
        return found.times(factor)

    def _shrunk(
        self, amounts: Sequence[Amount], term: Measure, cells: Sequence[Cell], of: int
    ) -> list[Amount]:
        """Draws of further trainings, about averages that are shrunk towards their mean as far as seeds alone
        would scatter them (James and Stein): else the best of equal ones would always be expected to be
        better than it is.
        """
        samples = [self.sample(((term.quantity, 1.0),), cell) for cell in cells]
        points = np.array([amount.measured for amount in amounts])
        if not np.isfinite(points).all() or any(sample.unstable for sample in samples):
            return list(amounts)
        errors = np.array([sample.error**2 for sample in samples])
        between = max(0.0, float(np.var(points, ddof=1) - errors.mean()))
        found = []
        for amount, sample, point, error in zip(amounts, samples, points, errors, strict=True):
            kept = between / (between + error) if error else 1.0
            centre = points.mean() + kept * (point - points.mean())
            narrower = math.sqrt((1 / of + kept / sample.n) / (1 / of + 1 / sample.n))
            found.append(replace(amount, draws=centre + narrower * (amount.draws - point)))
        return found

    def _share(self, term: Share, images: bool) -> Amount:
        found = [self.relation(part, images=images) for part in self.instances(term.relation)]
        missing = next((part for part in found if isinstance(part, Missing)), None)
        if missing is not None:
            raise NotRun(missing.reason)
        known = [part for part in found if isinstance(part, Found)]
        return Amount(
            float(np.mean([part.now for part in known])),
            np.mean([part.holds for part in known], axis=0),
            n=min(part.n for part in known),
            notes=tuple(dict.fromkeys(note for part in known for note in part.notes)),
        )

    def _rank(self, term: Measure, draw: Callable[[Sample], np.ndarray], images: bool) -> Amount:
        """The rank of a class among the drawn accuracies of all classes."""
        (cell,) = self.resolve(term.runs)
        known = [found for run in cell.runs if (found := self.tables.predicted(run)) is not None]
        if not known:
            raise self._not_run(cell, "predictions")
        values, _ = self._values(((term.quantity, 1.0),), cell)  # names a class that has no images
        labels = list(known[0].classes)
        place = labels.index(self.tables.label(cell.runs[0], term.classes[0]))
        amounts = [
            self._sum({Measure("class_accuracy", "", classes=(label,)): 1.0}, cell, draw, images)
            for label in labels
        ]
        points = np.array([amount.point for amount in amounts])
        return Amount(
            float(rank_of(points, place)),
            rank_of(np.stack(np.broadcast_arrays(*(amount.draws for amount in amounts))), place),
            n=len(known),
            variance=float(np.var(values, ddof=1)) if len(values) > 1 else math.nan,
            stated=term.noise.deviation,
        )

    def _effect(self, term: Measure, draw: Callable[[Sample], np.ndarray], images: bool) -> Amount:
        """How much a factor matters: of the means over the configurations of each of its values, the largest
        less the smallest.
        """
        cells = self.resolve(term.runs)
        compared = levels(cells, str(term.effect))
        if len(compared) < 2:
            raise NotRun(f"{term.effect} has one value in {term.runs}, so its effect is not known.")
        if not all(compared.values()):
            raise NotRun(
                f"no combination of the other axes of {term.runs} was run with every value of "
                f"{term.effect}; name a grid."
            )
        means = []
        for level in compared.values():
            amounts = [self._sum({term.quantity: 1.0}, cell, draw, images) for cell in level]
            total = reduce(Amount.plus, amounts)
            means.append(total.times(1 / len(level)))
        pairs = [high.plus(low, -1.0) for high, low in itertools.permutations(means, 2)]
        return _chosen(pairs, largest=True)

    # ---- the winner of a search ----

    def picked(self, selector: str) -> tuple[Cell, str]:
        """The run that `pick: best` takes, and its cell."""
        found = best_run(self.resolve(selector), self.tables)
        if found is None:
            raise NotRun(
                f"not every configuration of {selector} is trained and evaluated, so the best of them "
                "is not known."
            )
        return found

    def search(self, cells: Sequence[Cell]) -> tuple[Search, list[tuple[Cell, str]]]:
        """The runs of these cells as the trials of a search, and each with its cell."""
        trials = [
            (cell, run, score)
            for cell in cells
            for run in cell.runs
            if (score := self.tables.validated(run)) is not None and math.isfinite(score)
        ]
        noise = math.sqrt(self.typical(((Measure("accuracy", ""), 1.0),)).variance)
        key = " ".join(cell.name for cell in cells)
        runs = [(cell, run) for cell, run, _ in trials]
        return Search([score for *_, score in trials], noise, key, _included(runs)), runs

    def _winner(
        self, selector: str, quantities: Mapping[Measure, float], further: float, images: bool
    ) -> Amount:
        """Σ factor · quantity of the winner of another search of that size."""
        cell, run = self.picked(selector)
        combination, factor = _in_units(quantities)
        (point,), scale = self._taken(combination, [(cell, run)])
        search, trials = self.search(self.resolve(selector))
        values, _ = self._taken(combination, trials)
        typical = self.typical(combination)
        chosen = np.array(values)[search.winners]
        chosen = chosen + search.moved * sum(by for one, by in combination if one.metric in ACCURACIES)
        alone = Sample((0.0,), typical, scale, key=key_of(selector, combination))
        draws = chosen + (alone.trainings() if further else alone.averages())
        if images:  # all winners are taken to err on the images that ours errs on
            draws = draws + self._resampled(combination, cell, (run,))
        low, high = self._bounds(combination, cell)
        again = "with trials drawn from these" if len(search.included) < len(trials) else "of the same trials"
        note = (
            f"Measured in run {run} of {cell.name}, the best of {len(trials)} by validation accuracy. The "
            f"draws are of the winner of another search of that size, {again}."
        )
        stated = stated_of(combination) * scale
        found = Amount(point, np.clip(draws, low, high), n=1, variance=math.nan, stated=stated, notes=(note,))
        return found.times(factor)

    def _taken(self, combination: Combination, runs: Iterable[tuple[Cell, str]]) -> tuple[list[float], float]:
        values, scale = [], 1.0
        for cell, run in runs:
            found, scale = self._values(combination, cell, [run])
            if not found:
                raise NotRun(f"run {run} of {cell.name} has no {combination[0][0].metric} to measure.")
            values += found
        return values, scale

    # ---- other test images ----

    def _resampled(
        self, combination: Combination, cell: Cell, runs: tuple[str, ...] | None = None
    ) -> np.ndarray:
        """How far other test images would move the quantity, a mean over these runs of the cell (all):
        (1, DRAWS); the same images for all configurations.
        """
        moved = np.zeros((1, DRAWS))
        for measure, by in combination:
            deviation = self._deviation(measure, cell, tuple(cell.runs) if runs is None else runs)
            if deviation is not None:
                moved += by * np.resize(deviation, (1, DRAWS))
        return moved

    def _deviation(self, measure: Measure, cell: Cell, runs: tuple[str, ...]) -> np.ndarray | None:
        """Of the mean over these runs, one for each sample of images; None where images do not matter or
        their part in it is not known.
        """
        key = measure, runs
        if key not in self._moved:
            self._moved[key] = self._deviation_of(measure, cell, runs)
        return self._moved[key]

    def _deviation_of(self, measure: Measure, cell: Cell, runs: tuple[str, ...]) -> np.ndarray | None:
        known = [found for run in runs if (found := self.tables.predicted(run)) is not None]
        on_test = measure.metric in ("accuracy", "class_accuracy", "recall_macro") and measure.at is None
        if on_test and not measure.split and known:
            first = known[0]
            if all(np.array_equal(found.image, first.image) for found in known):
                images = self._images.setdefault(len(first.image), ResampledImages(len(first.image)))
                hits = np.mean([found.right for found in known], axis=0)
                if measure.metric == "accuracy":
                    return images.mean(hits)
                labels = [self.tables.label(runs[0], name) for name in measure.classes] or [*first.classes]
                return np.mean([images.mean(hits, first.label == label) for label in labels], axis=0)
        readings = [read(measure, self.tables, cell, run) for run in runs]
        variance = np.mean([found.binomial for found in readings if found is not None] or [0.0])
        if not variance:
            return None
        alone = Sample((0.0,), Typical(float(variance), math.inf), key=f"images/{cell.name}/{measure!r}")
        return alone.averages()[0]

    def rests_on_images(self, measure: Measure) -> bool:
        """Whether other test images would change a measure."""
        try:
            cells = self._known(measure.runs)
            moved = [self._deviation(measure.quantity, cell, tuple(cell.runs)) for cell in cells]
        except NotRun:
            return False
        return any(one is not None for one in moved)

    # ---- relations ----

    def instances(self, relation: Relation) -> list[Relation]:
        """The relation for each of the configurations that it is asked of; itself where that is one."""
        several = {
            measure.runs: cells
            for measure in relation.measures
            if measure.asked and len(cells := self._known(measure.runs)) > 1
        }
        if not several:
            return [relation]
        ((selector, cells),) = several.items()

        def put(cell: Cell) -> Callable[[Measure], Measure]:
            return lambda one: replace(one, runs=cell.name) if one.asked and one.runs == selector else one

        return [_of_cell(relation.put(put(cell)), cell.name) for cell in cells]

    @np.errstate(invalid="ignore")
    def relation(self, relation: Relation, *, images: bool = False) -> Found | Missing:
        """What is found of a relation; `Missing` where it cannot be measured."""
        try:
            match relation:
                case Joined(of=parts, every=every):
                    return _joined(relation, [self.relation(part, images=images) for part in parts], every)
                case Quantified(part=part, every=every):
                    each = [self.relation(one, images=images) for one in self.instances(part)]
                    return each[0] if len(each) == 1 else _joined(relation, each, every)
                case Opposite(part=part):
                    found = self.relation(part, images=images)
                    return found if isinstance(found, Missing) else _opposite(relation, found)
                case Order(left=left, right=right, sign=sign):
                    return self._order(relation, left, right, sign, images)
                case Within(left=left, right=right, margin=margin):
                    return self._within(relation, left, right, margin, images)
                case AtChance(accuracy=accuracy):
                    return self._at_chance(relation, accuracy, images)
                case ArgBest():
                    return self._best(relation, images)
                case Scatter():
                    return self._scatter(relation)
        except NotRun as missing:
            return Missing(relation, str(missing))
        raise TypeError(f"{type(relation).__name__} is no relation")

    def _order(self, relation: Relation, left: Value, right: Value, sign: str, images: bool) -> Found:
        more, less = (left, right) if sign.startswith(">") else (right, left)
        difference = self.amount(more.plus(less, -1.0), images=images)
        sides = [self.amount(side).measured for side in (left, right)]
        difference = _without_rounding(difference, *sides)
        found = _compared(relation, difference, strict="=" not in sign)
        measured = difference.measured if sign.startswith(">") else -difference.measured
        return _of_one_draw(replace(found, left=sides[0], right=sides[1], difference=measured))

    def _within(self, relation: Relation, left: Value, right: Value, margin: float, images: bool) -> Found:
        difference = self.amount(left.plus(right, -1.0), images=images)
        room = _constant(margin)
        sides = [self.amount(side).measured for side in (left, right)]
        ends = [
            _compared(
                relation,
                _without_rounding(room.plus(difference, sign), *sides, margin),
                strict=False,
                settles=difference,
            )
            for sign in (-1.0, 1.0)
        ]
        holds = ends[0].holds * ends[1].holds
        # A margin that seeds cannot resolve holds in few draws, whatever they say; so what speaks against it
        # is how seldom a difference at its nearer end would be measured as far off, to either side.
        shares = [end.holds.mean(axis=-1) for end in ends]
        against = np.minimum(ends[0].against, ends[1].against) + 1 - np.maximum(*shares)
        found = replace(
            ends[0],
            holds=holds,
            support=np.minimum(np.minimum(ends[0].support, ends[1].support), holds.mean(axis=-1)),
            against=np.minimum(1, against),
            now=ends[0].now and ends[1].now,
            left=sides[0],
            right=sides[1],
            difference=difference.measured,
            margin=margin,
        )
        return _of_one_draw(found)

    def _at_chance(self, relation: Relation, value: Value, images: bool) -> Found:
        """Networks that guess scatter as guessing does, however much others scatter."""
        (measure,) = value.measures
        cells = self.resolve(measure.runs)
        levels_of = [self.tables.chance(run) for cell in cells for run in cell.runs]
        known = next((level for level in levels_of if level), None)
        if known is None:
            raise NotRun(f"{measure.runs} has no predictions, so its chance level is unknown.")
        chance, count = known
        guessing = chance * (1 - chance) / count
        limit = chance + max(1.96 * math.sqrt(guessing), CHANCE_MARGIN * chance)
        accuracy = self.amount(value, images=images)
        if len(cells) == 1 and not measure.pick:
            sample = self.sample(((measure.quantity, 1.0),), cells[0])
            draws = replace(sample, typical=Typical(guessing, TYPICAL_FREEDOM)).averages()
            if images:
                draws = draws + self._resampled(((measure.quantity, 1.0),), cells[0])
            accuracy = replace(accuracy, draws=draws)
        found = _compared(relation, _constant(limit).plus(accuracy, -1.0), strict=False)
        return replace(
            found,
            left=accuracy.measured,
            right=chance,
            difference=accuracy.measured - chance,
            margin=limit - chance,
        )

    def _best(self, relation: ArgBest, images: bool) -> Found:
        measure = relation.measure
        cells = self.resolve(measure.runs)
        names = {cell.name for cell in self.resolve(relation.selector)}
        named = [cell for cell in cells if cell.name in names]
        others = [cell for cell in cells if cell.name not in names]
        if not others or not named:
            what = "is all of" if named else "is none of"
            raise NotRun(f"{relation.selector} {what} {measure.runs}, so there is nothing to compare.")
        sides = []
        for side in (named, others):
            amounts = [self._sum({measure.quantity: 1.0}, cell, Sample.averages, images) for cell in side]
            sides.append(_chosen(amounts, relation.largest))
        sign = 1.0 if relation.largest else -1.0
        lead = Amount().plus(sides[0], sign).plus(sides[1], -sign)
        found = _compared(relation, lead, strict=True)
        if all("trial" in cell.settings for cell in cells):
            found = self._best_drawn(found, cells, names, measure, relation.largest)
        points = [side.measured for side in sides]
        pick = max if relation.largest else min
        first = pick(cells, key=lambda cell: self.sample(((measure.quantity, 1.0),), cell).mean)
        return replace(
            found, left=points[0], right=points[1], difference=points[0] - points[1], said=first.name
        )

    def _best_drawn(
        self, found: Found, cells: Sequence[Cell], names: set[str], measure: Measure, largest: bool
    ) -> Found:
        """Which trial of a search is the best is a statement about one draw of its trials: how often would it
        come out in searches of that size? Another draw never contradicts it.
        """
        combination = ((measure.quantity, 1.0),)
        runs = [(cell, run) for cell in cells for run in cell.runs]
        values, scale = self._taken(combination, runs)
        noise = scale * math.sqrt(self.typical(combination).variance)
        scores = [value if largest else -value for value in values]
        winners = Search(scores, noise, f"best/{measure!r}", _included(runs)).winners
        is_named = np.array([cell.name in names for cell, _ in runs])
        holds = is_named[winners].astype(float)[None]
        share = holds.mean(axis=-1)
        note = (
            "The draws are of other searches of that size, with trials drawn from these. Which trial is the "
            "best depends on the draw, so such a claim is never contradicted."
        )
        return replace(
            found,
            holds=holds,
            support=share,
            against=np.ones_like(share),
            settles=math.nan,  # more seeds would not tell
            shared=1,
            notes=(*found.notes, note),
        )

    def _scatter(self, relation: Scatter) -> Found:
        """A configuration that both sides name counts on the first alone."""
        first = self.resolve(relation.wider.runs)
        counted = {tuple(cell.runs) for cell in first}
        others = [cell for cell in self.resolve(relation.steadier.runs) if tuple(cell.runs) not in counted]
        sides = []
        for cells in (first, others):
            values = [self._values(((relation.wider.quantity, 1.0),), cell) for cell in cells]
            for cell, (found, _) in zip(cells, values, strict=True):
                if not found:
                    raise self._not_run(cell, relation.wider.metric)
            sides.append([part for one in values if (part := _variance_of(*one))[1]])
        if not all(sides):
            raise NotRun("a spread over seeds needs a configuration with two trained seeds on each side.")
        ratio = deviations(sides[0], sides[1], repr(relation))
        holds = _held(ratio - 1, strict=True)
        share = holds.mean(axis=-1)
        spreads = [math.sqrt(sum(v * f for v, f in side) / sum(f for _, f in side)) for side in sides]
        n = min(freedom for side in sides for _, freedom in side) + 1
        return Found(
            relation,
            holds,
            share,
            share,
            spreads[0] > spreads[1],
            n,
            spreads[0],
            spreads[1],
            spreads[0] - spreads[1],
        )


def _included(runs: Sequence[tuple[Cell, str]]) -> list[int]:
    """Places of the trials that every search of this kind has; where nothing is drawn, all."""
    return [place for place, (cell, _) in enumerate(runs) if cell.included or "trial" not in cell.settings]


def _of_cell(relation: Relation, name: str) -> Relation:
    """A relation that is asked of several configurations, with the words of one of them."""
    match relation:
        case Joined(of=parts):
            return replace(relation, of=tuple(_of_cell(part, name) for part in parts))
        case Opposite(part=part):
            return replace(relation, words=f"{relation.words} ({name})", part=_of_cell(part, name))
    return replace(relation, words=f"{relation.words} ({name})")


def _of_one_draw(found: Found) -> Found:
    """Which settings won is a matter of the draw of the trials, so nothing speaks against it."""
    if any(measure.metric == "setting" and measure.pick for measure in found.relation.measures):
        return replace(found, against=np.ones_like(found.against), settles=math.nan, shared=1)
    return found


def _finite(reading: Reading, measure: Measure) -> float:
    """A loss that is not a number any more has diverged: it is worse than any other."""
    if math.isnan(reading.value) and measure.better == "smaller":
        return math.inf
    return reading.value


def _variance_of(values: Sequence[float], scale: float) -> tuple[float, int]:
    """As `variance_of`; without bound where some trainings diverged and others did not."""
    lost = sum(not math.isfinite(value) for value in values)
    return (math.inf, len(values) - 1) if 0 < lost < len(values) else variance_of(values, scale)


def _size(reading: Reading, measure: Measure) -> float:
    if not measure.noise.relative:
        return 1.0
    return abs(reading.value) if reading.size is None else reading.size


def _in_units(quantities: Mapping[Measure, float]) -> tuple[Combination, float]:
    """Quantities of one configuration in units of the largest factor, and that factor: wherever a statement
    uses them, with either sign, their draws are the same.
    """
    parts = sorted(quantities.items(), key=repr)
    factor = max((by for _, by in parts), key=abs)
    return tuple((measure, by / factor) for measure, by in parts), factor


def _without_rounding(difference: Amount, *sides: float) -> Amount:
    """A difference of these sides that only binary fractions keep from 0 (2.5 − 2.4 − 0.1) is 0."""
    least = _ROUNDING * max((abs(side) for side in sides if math.isfinite(side)), default=0.0)
    if difference.choices or not abs(difference.point) <= least:
        return difference
    return replace(difference, point=0.0, draws=np.where(abs(difference.draws) <= least, 0, difference.draws))


_ROUNDING = 1e-13
"""What a few sums and products lose at most, as a share of what they are made of."""


def _constant(value: float) -> Amount:
    return Amount(value, np.full((1, 1), value))


def _chosen(amounts: Sequence[Amount], largest: bool) -> Amount:
    """The largest, or smallest, of several amounts."""
    choice = Choice(
        1.0,
        largest,
        np.array([amount.measured for amount in amounts]),
        np.stack(np.broadcast_arrays(*(amount.total for amount in amounts))),
    )
    return Amount(
        choices=(choice,),
        n=min(amount.n for amount in amounts),
        variance=amounts[choice.place].variance,
        stated=amounts[choice.place].stated,
        reach=max(amount.reach for amount in amounts),
        notes=tuple(dict.fromkeys(note for amount in amounts for note in amount.notes)),
    )


def _held(difference: np.ndarray, strict: bool) -> np.ndarray:
    """1 where it is above 0, 0 where it is not, a half where it is not a number."""
    held: np.ndarray = (difference > 0 if strict else difference >= 0).astype(float)
    held[np.isnan(difference)] = 0.5
    return held


def _compared(relation: Relation, difference: Amount, strict: bool, settles: Amount | None = None) -> Found:
    """Whether `difference` is above 0.

    A sum that is largest by choice, such as the best of thirty, is above 0 in some draw too easily: it is
    taken as shown only where one choice, made beforehand, would do at a level that the choices share
    (Bonferroni). So is what speaks against a claim, where every choice has to hold.
    """
    total = difference.total
    holds = _held(total, strict)
    share = holds.mean(axis=-1)
    support = against = share
    free = [choice for choice in difference.choices if choice.raises and len(choice.points) > 1]
    bound = [choice for choice in difference.choices if not choice.raises and len(choice.points) > 1]
    if free:
        each = _each_choice(difference, free, strict)
        support = np.minimum(share, 1 - np.minimum(1, len(each) * (1 - each.max(axis=0))))
    if bound:
        each = _each_choice(difference, bound, strict)
        against = np.maximum(share, np.minimum(1, len(each) * each.min(axis=0)))
    now = difference.measured > 0 if strict else difference.measured >= 0
    low, high = np.quantile(_at_best(settles or difference)[0], (TAIL, 1 - TAIL), method="nearest")
    return Found(
        relation,
        holds,
        support,
        against,
        now,
        difference.n,
        settles=float(high - low) / 2 if math.isfinite(low) and math.isfinite(high) else math.inf,
        shared=math.prod(len(choice.points) for choice in (free if now else bound)),
        notes=difference.notes,
    )


def _at_best(difference: Amount) -> np.ndarray:
    """Draws (worlds, draws) with the choices that were measured as best."""
    return reduce(np.add, (choice.made for choice in difference.choices), difference.draws)


def _each_choice(difference: Amount, choices: Sequence[Choice], strict: bool) -> np.ndarray:
    """Share of draws in which it is above 0 with each way to choose: (ways, worlds). Beyond the first
    choice that matters, the one that was measured as best stands for all.
    """
    first, *others = sorted(choices, key=lambda choice: -len(choice.points))
    rest = difference.draws
    for choice in difference.choices:
        if choice is not first:
            rest = rest + (choice.made if any(choice is other for other in others) else choice.best)
    shares = np.array([_held(rest + first.factor * draws, strict).mean(axis=-1) for draws in first.draws])
    ways = math.prod(len(choice.points) for choice in others)
    return np.repeat(shares, ways, axis=0) if ways > 1 else shares


def _joined(relation: Relation, parts: Sequence[Found | Missing], every: bool) -> Found | Missing:
    """All of the parts hold, or any.

    Of many parts all hold in few draws even where nothing is known (six coins show heads in 1.6 %). So what
    speaks against all of them is what speaks against one, at a level that they share (Bonferroni); and so is
    what speaks for any of them.
    """
    known = [part for part in parts if isinstance(part, Found)]
    missing = next((part for part in parts if isinstance(part, Missing)), None)
    if missing is not None:
        decided = [part for part in known if _decides(part, every, len(parts))]
        if not decided:
            return Missing(relation, missing.reason)
        known = decided
    holds = reduce(np.multiply, (part.holds if every else 1 - part.holds for part in known))
    holds = holds if every else 1 - holds
    share, many = holds.mean(axis=-1), len(parts)
    if every:
        support = np.minimum(share, np.min([part.support for part in known], axis=0))
        against = np.minimum(1, many * np.min([part.against for part in known], axis=0))
        against = np.maximum(share, against)
    else:
        support = 1 - np.minimum(1, many * (1 - np.max([part.support for part in known], axis=0)))
        support = np.minimum(share, support)
        against = np.maximum(share, np.max([part.against for part in known], axis=0))
    return Found(
        relation,
        holds,
        support,
        against,
        all(part.now for part in known) if every else any(part.now for part in known),
        min(part.n for part in known),
        notes=tuple(dict.fromkeys(note for part in known for note in part.notes)),
        parts=tuple(
            _sharing(part, many) if isinstance(part, Found) and part.now != every else part for part in parts
        ),
    )


def _sharing(found: Found, many: int) -> Found:
    """What was found of one of many parts, any of which would settle the whole."""
    parts = tuple(_sharing(part, many) if isinstance(part, Found) else part for part in found.parts)
    return replace(found, shared=found.shared * many, parts=parts)


def _decides(part: Found, every: bool, many: int) -> bool:
    """Whether one of many parts settles the whole, whatever the others are."""
    level = TAIL / many
    return bool(part.against[0] <= level if every else part.support[0] >= 1 - level)


def _opposite(relation: Relation, found: Found) -> Found:
    return replace(
        found,
        relation=relation,
        holds=1 - found.holds,
        support=1 - found.against,
        against=1 - found.support,
        now=not found.now,
    )
