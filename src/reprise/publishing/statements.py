"""Statements of a report file: measure what they name, judge them, write the verdicts as CSV and as a page
for readers.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.publishing import MARKS, Resolve
from reprise.publishing.markup import markdown, markdown_code, markdown_row
from reprise.publishing.measures import Measure, Reading, Tables, best_run, levels, lookup, no_setting, read
from reprise.publishing.verdicts import (
    VERDICTS,
    Estimate,
    Hits,
    Judgement,
    Pool,
    combine,
    decimals,
    effect,
    judge_all,
    judge_best,
    judge_chance,
    judge_number,
    judge_order,
    judge_spread,
    judge_within,
    number,
)
from reprise.reports.check import nearest
from reprise.reports.report import Cell, Undrawn

COLUMNS = ("report", "id", "kind", "text", "reported", "measured", "spread", "n", "scale", "verdict")
RESERVED = ("within", "of", "at", "chance", "argmax", "argmin", "spread")
BY_CELL = ("argmax", "argmin", "spread")
"""Relations that compare configurations one by one."""


# ---- relations ----


@dataclass(frozen=True)
class Linear:
    """constant + Σ factor · measure."""

    terms: Mapping[str, float]
    constant: float = 0.0

    def plus(self, other: Linear, factor: float = 1.0) -> Linear:
        names = dict.fromkeys([*self.terms, *other.terms])
        terms = {name: self.terms.get(name, 0.0) + factor * other.terms.get(name, 0.0) for name in names}
        return Linear(terms, self.constant + factor * other.constant)

    def times(self, factor: float) -> Linear:
        return Linear({name: factor * value for name, value in self.terms.items()}, factor * self.constant)


@dataclass(frozen=True)
class Relation:
    """A parsed relation; `kind` is `>`, `<`, `within`, `chance`, `argmax`, `argmin` or `spread`.

    `left` and `right` are its sides (of `spread`, `left` is the one said to scatter more), `margin` that of
    `within`, `selector` the cells that argmax or argmin should name.
    """

    text: str
    kind: str
    left: Linear
    right: Linear = Linear({})
    margin: float = 0.0
    selector: str = ""

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.left.terms, *self.right.terms]))


_TOKEN = re.compile(
    r"""(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<string>"[^"]*"|'[^']*')|(?P<name>[A-Za-z_]\w*)|(?P<sign>\S)""",
    re.ASCII,
)
DEEPEST = 30
"""Parentheses and signs inside each other."""


class _Parser:
    """Recursive descent over the grammar in `docs/verdicts.md`; `where` starts every message."""

    def __init__(self, text: str, measures: Sequence[str], where: str) -> None:
        self.text = text
        self.where = where
        self.measures = measures
        self.tokens = [
            (str(match.lastgroup), match.group(str(match.lastgroup))) for match in _TOKEN.finditer(text)
        ]
        self.position = 0
        self.depth = 0

    def fail(self, what: str) -> RepriseError:
        return RepriseError(f"{self.where}: {self.text!r}: {what}")

    @property
    def token(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "the end")

    def take(self, *values: str) -> str | None:
        """The next token if it is one of `values`."""
        kind, value = self.token
        if kind in ("sign", "name") and value in values:
            self.position += 1
            return value
        return None

    def expect(self, value: str) -> None:
        if self.take(value) is None:
            raise self.fail(f"expected {value!r}, found {self.token[1]!r}")

    def end(self) -> None:
        if self.token[0] != "end":
            raise self.fail(f"unexpected {self.token[1]!r}; write further relations as further entries")

    def relation(self) -> Relation:
        best = self.take("argmax", "argmin")
        if best:
            self.expect("(")
            measure = self.factor()
            self.expect(")")
            self.expect("=")
            kind, value = self.token
            if kind != "string":
                raise self.fail(f"expected the selector of a cell in quotes, found {value!r}")
            self.position += 1
            relation = Relation(self.text, best, measure, selector=value[1:-1])
        elif self.token == ("name", "spread"):
            left = self.spread()
            sign = self.take("<", ">")
            if sign is None:
                raise self.fail(f"expected '>' or '<', found {self.token[1]!r}")
            right = self.spread()
            relation = Relation(self.text, "spread", *((left, right) if sign == ">" else (right, left)))
        else:
            left = self.sum()
            if self.take("at"):
                self.expect("chance")
                relation = Relation(self.text, "chance", left)
            elif self.take("within"):
                kind, value = self.token
                if kind != "number":
                    raise self.fail(f"expected the margin after 'within', found {value!r}")
                self.position += 1
                self.expect("of")
                relation = Relation(self.text, "within", left, self.sum(), margin=self.number(value))
            else:
                sign = self.take("<", ">")
                if sign is None:
                    raise self.fail(f"expected '>', '<', 'within' or 'at chance', found {self.token[1]!r}")
                relation = Relation(self.text, sign, left, self.sum())
        self.end()
        if not relation.names:
            raise self.fail("it names no measure; a relation compares measured values")
        alone = [relation.left, relation.right] if relation.kind == "spread" else [relation.left]
        if relation.kind in ("chance", *BY_CELL) and any(
            list(side.terms.values()) != [1.0] or side.constant for side in alone
        ):
            raise self.fail("this relation takes one measure alone, without arithmetic")
        return relation

    def spread(self) -> Linear:
        self.expect("spread")
        self.expect("(")
        measure = self.factor()
        self.expect(")")
        return measure

    def value(self) -> Linear:
        """The expression that gives a number statement's value."""
        value = self.sum()
        self.end()
        if not value.terms:
            raise self.fail("it names no measure; a value is computed from measured ones")
        return value

    def sum(self) -> Linear:
        total = self.product()
        while sign := self.take("+", "-"):
            total = total.plus(self.product(), 1.0 if sign == "+" else -1.0)
        return total

    def product(self) -> Linear:
        total = self.factor()
        while sign := self.take("*", "/"):
            factor = self.factor()
            if sign == "*" and not total.terms:
                total, factor = factor, total
            if factor.terms or (sign == "/" and factor.constant == 0):
                raise self.fail("measures can be multiplied and divided by numbers other than 0 only")
            total = total.times(factor.constant if sign == "*" else 1 / factor.constant)
            if not all(math.isfinite(value) for value in (*total.terms.values(), total.constant)):
                raise self.fail("the product is no number to compute with")
        return total

    def number(self, text: str) -> float:
        """A number from 1e-100 to 1e100, or 0: sums and products of a few of them stay finite."""
        value = float(text)
        if value and not 1e-100 <= value <= 1e100:
            raise self.fail(f"{text[:20]} is no number to compute with")
        return value

    def factor(self) -> Linear:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(f"more than {DEEPEST} parentheses and signs inside each other")
        found = self._factor()
        self.depth -= 1
        return found

    def _factor(self) -> Linear:
        if self.take("-"):
            return self.factor().times(-1.0)
        if self.take("("):
            inner = self.sum()
            self.expect(")")
            return inner
        kind, value = self.token
        self.position += 1
        if kind == "number":
            return Linear({}, self.number(value))
        if kind == "name" and value not in RESERVED:
            if value not in self.measures:
                raise self.fail(f"no measure '{value}'{nearest(value, self.measures)}")
            return Linear({value: 1.0})
        raise self.fail(f"expected a measure or a number, found {value!r}")


# ---- statements ----


@dataclass(frozen=True)
class Statement:
    """A checked statement: a number with the expression `value` that measures it, or a claim with the
    `relations` that it makes.
    """

    id: str
    kind: str
    text: str
    source: str
    where: str
    measures: Mapping[str, Measure]
    reported: str = ""
    about: float = 0.0
    value: Linear = Linear({})
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A statement and its judgement; `spread` is the seeds' standard deviation (number) or the noise (claim),
    as printed.
    """

    statement: Statement
    judgement: Judgement
    reported: str
    spread: str
    n: int


def parse(statements: Sequence[Mapping[str, Any]], slug: str, resolve: Resolve) -> list[Statement]:
    """Check statements that fit `publications.schema.yaml`: metrics, relations and selectors.

    A mistake is a `RepriseError` that names the statement, the relation and the nearest valid name.
    """
    return [_parse(spec, f"{slug}: statement {spec['id']}", resolve) for spec in statements]


def _parse(spec: Mapping[str, Any], where: str, resolve: Resolve) -> Statement:
    specs: Mapping[str, Any] = spec["measures"] if "measures" in spec else {"measure": spec["measure"]}
    for name in specs:
        if name in RESERVED:
            raise RepriseError(f"{where}: measure '{name}' has the name of a relation; call it otherwise")
    measures = {name: Measure.parse(measure, f"{where}: measure '{name}'") for name, measure in specs.items()}
    relations: tuple[Relation, ...] = ()
    value = Linear({})
    if spec["kind"] == "number":
        value = _Parser(spec.get("value", "measure"), list(measures), where).value()
        used = set(value.terms)
        summed = list(measures)
    else:
        relations = tuple(_Parser(text, list(measures), where).relation() for text in spec["holds"])
        used = {name for relation in relations for name in relation.names}
        summed = [name for relation in relations if relation.kind not in BY_CELL for name in relation.names]
    for name, measure in measures.items():
        if name not in used:
            raise RepriseError(f"{where}: measure '{name}' is never used; use it or leave it out")
        cells = _cells(measure.runs, resolve, where)
        if name in summed and cells:
            check_cells(measure, cells, f"{where}: measure '{name}'")
    for relation in relations:
        if relation.kind in BY_CELL:
            _check_by_cell(relation, measures, where)
        if relation.kind in ("argmax", "argmin"):
            _check_best(relation, measures[relation.names[0]], resolve, where)
        elif relation.kind == "chance" and (
            measures[relation.names[0]].metric != "accuracy" or measures[relation.names[0]].effect
        ):
            raise RepriseError(f"{where}: {relation.text!r}: only an accuracy can be at chance")
    return Statement(
        id=spec["id"],
        kind=spec["kind"],
        text=spec.get("text", ""),
        source=spec.get("source", ""),
        where=where,
        measures=measures,
        reported=spec.get("reported", ""),
        about=float(spec.get("about", 0.0)),
        value=value,
        relations=relations,
    )


def check_cells(measure: Measure, cells: Sequence[Cell], where: str) -> None:
    """Whether a measure gives one value over the cells that it names; if not, a `RepriseError` that starts
    with `where`.
    """
    if len(cells) > 1 and not (measure.cells or measure.pick or measure.effect):
        remedy = (
            "add pick: best"
            if measure.metric == "setting"
            else "add cells: mean, max or min, effect: an axis, or pick: best"
        )
        raise RepriseError(f"{where}: {measure.runs} names {len(cells)} configurations; {remedy}")
    axes = dict.fromkeys(axis for cell in cells for axis in cell.settings) if measure.effect else {}
    if measure.effect and measure.effect not in axes:
        raise RepriseError(
            f"{where}: effect: {measure.runs} has no axis {measure.effect}{nearest(measure.effect, axes)}"
        )
    if measure.setting:
        specs = [spec for cell in cells for spec in cell.specs.values()]
        if not any(lookup(spec, measure.setting) for spec in specs):
            raise RepriseError(f"{where}: {no_setting(measure.setting, specs)}")


def _cells(selector: str, resolve: Resolve, where: str) -> Sequence[Cell]:
    """The cells of a selector; none where a search could have drawn them and did not."""
    try:
        return resolve(selector)
    except Undrawn:
        return []
    except RepriseError as error:
        raise RepriseError(f"{where}: {error}") from None


def _check_by_cell(relation: Relation, measures: Mapping[str, Measure], where: str) -> None:
    used = {name: measures[name] for name in relation.names}
    for name, measure in used.items():
        if measure.cells or measure.pick or measure.effect:
            unwanted = "'cells', 'effect' and 'pick'"
            raise RepriseError(
                f"{where}: {relation.text!r} compares configurations; leave {unwanted} out of measure "
                f"'{name}'"
            )
        if measure.metric == "setting":
            raise RepriseError(f"{where}: {relation.text!r} compares results; measure '{name}' is a setting")
    if len({measure.kind for measure in used.values()}) > 1:
        raise RepriseError(
            f"{where}: {relation.text!r}: only measures of the same metric, split and epoch can be compared"
        )


def _check_best(relation: Relation, measure: Measure, resolve: Resolve, where: str) -> None:
    names = [cell.name for cell in _cells(measure.runs, resolve, where)]
    named = {cell.name for cell in _cells(relation.selector, resolve, where)}
    if named and names and not named & set(names):
        raise RepriseError(
            f"{where}: {relation.text!r}: {relation.selector} is none of "
            f"{measure.runs}{nearest(relation.selector, names)}"
        )


class NotRun(Exception):
    """A measure has no value; the message says which and why."""


class Judge:
    """Takes measures and judges statements; the scatter of seeds is pooled over all configurations that
    `measures` name.

    Runs that `pick: best` chooses from do not enter the pool: many of them are there only to be passed over.
    """

    def __init__(self, measures: Iterable[Measure], resolve: Resolve, tables: Tables) -> None:
        self._resolve = resolve
        self.tables = tables
        selectors = dict.fromkeys(measure.runs for measure in measures if not measure.pick)
        named = [cell for selector in selectors for cell in _cells(selector, resolve, selector)]
        self.cells = {tuple(cell.runs): cell for cell in named}  # shared runs count once
        self.pools: dict[Any, Pool] = {}
        self.estimates: dict[Any, Estimate] = {}

    def resolve(self, selector: str) -> Sequence[Cell]:
        """The cells of a selector; `NotRun` where a search could have drawn them and did not."""
        try:
            return self._resolve(selector)
        except Undrawn as error:
            raise NotRun(f"{error}.") from None

    def outcome(self, statement: Statement) -> Outcome:
        try:
            return self._number(statement) if statement.kind == "number" else self._claim(statement)
        except RepriseError as error:
            raise RepriseError(f"{statement.where}: {error}") from None

    def _number(self, statement: Statement) -> Outcome:
        try:
            estimate = self._combined(statement.value, statement.measures)
        except NotRun as missing:
            return Outcome(statement, Judgement("not run", str(missing)), statement.reported, "", 0)
        judgement = judge_number(statement.reported, estimate, statement.about)
        spread = (
            number(estimate.scatter, decimals(statement.reported) + 1)
            if math.isfinite(estimate.scatter)
            else ""
        )
        return Outcome(statement, judgement, statement.reported, spread, estimate.n)

    def _claim(self, statement: Statement) -> Outcome:
        parts, seeds = [], []
        for relation in statement.relations:
            try:
                judgement, n = self._relation(relation, statement.measures)
            except NotRun as missing:
                judgement, n = Judgement("not run", str(missing)), 0
            parts.append((relation.text, judgement))
            seeds.append(n)
        noises = [number(part.noise) if math.isfinite(part.noise) else "" for _, part in parts]
        return Outcome(
            statement, judge_all(parts), "; ".join(text for text, _ in parts), "; ".join(noises), min(seeds)
        )

    def _relation(self, relation: Relation, measures: Mapping[str, Measure]) -> tuple[Judgement, int]:
        if relation.kind in ("argmax", "argmin"):
            measure = measures[relation.names[0]]
            estimates = {cell.name: self._estimate(measure, cell) for cell in self.resolve(measure.runs)}
            named = [cell.name for cell in self.resolve(relation.selector) if cell.name in estimates]
            if len(named) == len(estimates):
                raise NotRun(f"{relation.selector} is all of {measure.runs} and leaves no other to compare.")
            return judge_best(estimates, named, relation.kind == "argmax"), min(
                estimate.n for estimate in estimates.values()
            )
        if relation.kind == "spread":
            return self._spread(
                *(measures[side] for part in (relation.left, relation.right) for side in part.terms)
            )
        if relation.kind == "chance":
            measure = measures[relation.names[0]]
            accuracy = self.measured(measure)
            chances = [self.tables.chance(run) for cell in self.resolve(measure.runs) for run in cell.runs]
            known = [chance for chance in chances if chance is not None]
            if not known:
                raise NotRun(f"{measure.runs} has no predictions, so its chance level is unknown.")
            return judge_chance(accuracy, *known[0]), accuracy.n
        left, right = (self._combined(side, measures) for side in (relation.left, relation.right))
        difference = self._combined(relation.left.plus(relation.right, -1.0), measures)
        if relation.kind == "within":
            return judge_within(left, right, difference, relation.margin), difference.n
        return judge_order(left, right, difference, relation.kind == ">"), difference.n

    def _spread(self, wider: Measure, steadier: Measure) -> tuple[Judgement, int]:
        """A configuration that both sides name counts on the first alone."""
        first = self.resolve(wider.runs)
        counted = {tuple(cell.runs) for cell in first}
        others = [cell for cell in self.resolve(steadier.runs) if tuple(cell.runs) not in counted]
        sides = [
            [self._values(measure, cell) for cell in cells]
            for measure, cells in ((wider, first), (steadier, others))
        ]
        seeds = [len(values) for side in sides for values in side]
        return judge_spread(*sides, wider.noise.relative), min(seeds, default=0)

    def _combined(self, value: Linear, measures: Mapping[str, Measure]) -> Estimate:
        return combine(
            [(factor, self.measured(measures[name])) for name, factor in value.terms.items()], value.constant
        )

    def measured(self, measure: Measure) -> Estimate:
        """The estimate of a measure over the cells that it names; `NotRun` where one of them has no
        result.
        """
        if measure.pick:
            return self._picked(measure)
        cells = self.resolve(measure.runs)
        if measure.effect:
            return self._effect(measure, cells)
        estimates = [self._estimate(measure, cell) for cell in cells]
        if len(estimates) == 1:
            return estimates[0]
        if measure.cells == "mean":
            return combine([(1 / len(estimates), estimate) for estimate in estimates])
        choose = max if measure.cells == "max" else min
        return choose(estimates, key=lambda estimate: estimate.value)

    def _effect(self, measure: Measure, cells: Sequence[Cell]) -> Estimate:
        compared = levels(cells, str(measure.effect))
        if len(compared) < 2:
            raise NotRun(f"{measure.effect} has one value in {measure.runs}, so its effect is not known.")
        if not all(compared.values()):
            raise NotRun(
                f"no combination of the other axes of {measure.runs} was run with every value of "
                f"{measure.effect}; name a grid."
            )
        return effect([[self._estimate(measure, cell) for cell in level] for level in compared.values()])

    def picked(self, measure: Measure) -> tuple[Cell, str]:
        """The run that `pick: best` takes, and its cell."""
        found = best_run(self.resolve(measure.runs), self.tables)
        if found is None:
            raise NotRun(
                f"not every configuration of {measure.runs} is trained and evaluated, so the best of them "
                "is not known."
            )
        return found

    def _picked(self, measure: Measure) -> Estimate:
        cell, run = self.picked(measure)
        reading = read(measure, self.tables, cell, run)
        if reading is None:
            raise NotRun(f"run {run} of {cell.name} has no {measure.metric} to measure.")
        alone = Pool.of([], measure.noise.deviation, measure.noise.relative)
        estimate = Estimate.of([reading.value], alone, reading.binomial, self._hits(measure, [run]))
        return replace(estimate, picked=f"run {run} of {cell.name}")

    def _estimate(self, measure: Measure, cell: Cell) -> Estimate:
        key = (measure.quantity, cell.name)
        if key not in self.estimates:
            readings = self._readings(measure, cell)
            if not readings:
                raise NotRun(f"{cell.name} has no {measure.metric} to measure: not trained, or not that far.")
            binomial = sum(reading.binomial for reading in readings.values()) / len(readings)
            values = [reading.value for reading in readings.values()]
            self.estimates[key] = Estimate.of(
                values, self._pool(measure), binomial, self._hits(measure, list(readings))
            )
        return self.estimates[key]

    def _readings(self, measure: Measure, cell: Cell) -> dict[str, Reading]:
        readings = {run: read(measure, self.tables, cell, run) for run in cell.runs}
        return {run: reading for run, reading in readings.items() if reading is not None}

    def _values(self, measure: Measure, cell: Cell) -> list[float]:
        return [reading.value for reading in self._readings(measure, cell).values()]

    def _pool(self, measure: Measure) -> Pool:
        """The scatter of measures of this kind over the seeds of every configuration that the statements
        name.
        """
        key = measure.quantity
        if key not in self.pools:
            samples = []
            for cell in self.cells.values():
                try:
                    samples.append(self._values(measure, cell))
                except RepriseError:  # a split, class or layer that this configuration does not have
                    continue
            self.pools[key] = Pool.of(samples, measure.noise.deviation, measure.noise.relative)
        return self.pools[key]

    def _hits(self, measure: Measure, runs: Sequence[str]) -> Hits | None:
        """By test image, the share of `runs` that are right; None unless the measure is test accuracy and all
        saw the same images.
        """
        if measure.kind != ("accuracy", None, None):
            return None
        predictions = [self.tables.predicted(run) for run in runs]
        right = Hits.total(
            [(1, None if found is None else Hits(found.image, found.right)) for found in predictions]
        )
        return None if right is None else Hits(right.images, right.shares / len(runs))


def judge_statements(
    statements: Sequence[Mapping[str, Any]], slug: str, resolve: Resolve, tables: Tables
) -> list[Outcome]:
    """Measure and judge the statements of a report file; runs without results give *not run*, never an
    error.
    """
    parsed = parse(statements, slug, resolve)
    judge = Judge(
        [measure for statement in parsed for measure in statement.measures.values()], resolve, tables
    )
    return [judge.outcome(statement) for statement in parsed]


# ---- output ----


def write_statements(
    statements: Sequence[Mapping[str, Any]],
    slug: str,
    resolve: Resolve,
    tables: Tables,
    scale: str,
    csv_path: Path | str,
    md_path: Path | str,
    about: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Judge the statements of a report and write them as CSV (columns `COLUMNS`) and as a Markdown page with
    the reasons.

    `resolve` gives the configurations that a selector names; `about` has the report's title, authors,
    framework, summary and assumptions, which the page shows, and `notes`, sentences that stand above all,
    e.g. that weights are random instead of pretrained. Raises `RepriseError` for a statement that cannot be
    understood.
    """
    if scale not in MARKS:
        raise RepriseError(f"scale {scale!r} is not known{nearest(scale, MARKS)}")
    outcomes = judge_statements(statements, slug, resolve, tables)
    with atomic(csv_path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for outcome in outcomes:
            statement, judgement = outcome.statement, outcome.judgement
            row = (
                statement.text,
                outcome.reported,
                judgement.measured,
                outcome.spread,
                outcome.n,
                scale,
                judgement.verdict,
            )
            writer.writerow((slug, statement.id, statement.kind, *row))
    with atomic(md_path) as partial:
        partial.write_text(_page(outcomes, slug, scale, about or {}), encoding="utf-8")
    return outcomes


def _page(outcomes: Sequence[Outcome], slug: str, scale: str, about: Mapping[str, Any]) -> str:
    counts = Counter(outcome.judgement.verdict for outcome in outcomes)
    lines = [f"# {slug}: numbers and claims", ""]
    if MARKS[scale]:
        lines += [f"> **{MARKS[scale]}.** Only verdicts at scale full judge the report.", ""]
    lines += [
        line
        for note in about.get("notes", ())
        for line in (f"> **{markdown(note[:1].upper() + note[1:])}.**", "")
    ]
    if "title" in about:
        made = [str(about[key]) for key in ("authors", "framework") if key in about]
        lines += [f"*{markdown(about['title'])}*" + (f" ({markdown(', '.join(made))})" if made else ""), ""]
    if "summary" in about:
        lines += [markdown(about["summary"]), ""]
    lines += [
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
        + f", of {len(outcomes)} statements.",
        "",
    ]
    for kind, title in (("number", "Numbers"), ("claim", "Claims")):
        chosen = [outcome for outcome in outcomes if outcome.statement.kind == kind]
        if not chosen:
            continue
        heads = ("Statement", "Reported" if kind == "number" else "Relation", "Measured")
        heads += (
            "Deviation over seeds" if kind == "number" else "Noise (95 %)",
            "Seeds",
            "Verdict",
            "Reason",
        )
        lines += [f"## {title}", "", markdown_row(heads), "|" + "---|" * len(heads), *map(_line, chosen), ""]
    if about.get("assumptions"):
        lines += ["## Assumptions", "", "What the report leaves open, and how it is read here:", ""]
        lines += [f"- {markdown(assumption)}" for assumption in about["assumptions"]] + [""]
    return "\n".join(lines)


def _line(outcome: Outcome) -> str:
    statement, judgement = outcome.statement, outcome.judgement
    text = (statement.text or statement.id) + (f" ({statement.source})" if statement.source else "")
    reported = (
        markdown_code(outcome.reported)
        if statement.kind == "claim"
        else ("about " if statement.about else "") + outcome.reported
    )
    measured = map(markdown, (judgement.measured, outcome.spread, str(outcome.n)))
    return markdown_row(
        (markdown(text), reported, *measured, f"**{judgement.verdict}**", markdown(judgement.reason))
    )
