"""Statements of a report file: measure what they name, judge them, write the verdicts as CSV and as a page
for readers.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.files import atomic
from reprise.publishing import Face, Resolve
from reprise.publishing.expressions import BEST, BY_CELL, Expressions, Relation, Value
from reprise.publishing.markup import markdown, markdown_code, markdown_row
from reprise.publishing.measures import Measure, Reading, Tables, best_run, levels, lookup, no_setting, read
from reprise.publishing.sources import Sources
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
from reprise.reports.expressions import Names
from reprise.reports.report import Cell, Undrawn
from reprise.reports.statements import Number
from reprise.reports.statements import Statement as Spec

STATEMENT_COLUMNS = (
    "report",
    "id",
    "kind",
    "text",
    "reported",
    "measured",
    "spread",
    "n",
    "scale",
    "verdict",
)


# ---- statements ----


@dataclass(frozen=True)
class CheckedStatement:
    """A checked statement: a number with the `value` that measures it, or a claim with the `relations` that
    it makes.
    """

    id: str
    kind: str
    text: str
    source: str
    where: str
    reading: str = ""
    reported: str = ""
    about: float = 0.0
    value: Value = field(default_factory=lambda: Value({}))
    relations: tuple[Relation, ...] = ()

    @property
    def measures(self) -> list[Measure]:
        """All that it measures."""
        named = [*self.value.terms, *(one for relation in self.relations for one in relation.measures)]
        return list(dict.fromkeys(named))


@dataclass(frozen=True)
class Outcome:
    """A statement and its judgement; `spread` is the seeds' standard deviation (number) or the noise (claim),
    as printed.
    """

    statement: CheckedStatement
    judgement: Judgement
    reported: str
    spread: str
    n: int


def parse(
    statements: Sequence[Spec], where: Callable[[Spec], str], resolve: Resolve, names: Names | None = None
) -> list[CheckedStatement]:
    """Check statements as `Report.statements` has them: metrics, relations and selectors.

    `where` is what an error about a statement starts with; `names`: what the report names under `cells` and
    `measures`. A mistake is a `RepriseError` that names the expression, the place in it and the nearest valid
    name.
    """
    expressions = Expressions(names or Names())
    return [_parse(spec, where(spec), resolve, expressions) for spec in statements]


def _parse(spec: Spec, where: str, resolve: Resolve, expressions: Expressions) -> CheckedStatement:
    number = spec if isinstance(spec, Number) else None
    holds = [] if number else spec.expressions
    statement = CheckedStatement(
        id=spec.id,
        kind=spec.kind,
        text=spec.says or "",
        source=spec.source or "",
        where=where,
        reading=spec.reading or "",
        reported=number.reported if number else "",
        about=(number.about or 0.0) if number else 0.0,
        value=expressions.value(number.measure, where) if number else Value({}),
        relations=tuple(
            each
            for text in holds
            for relation in expressions.relations(text, where)
            for each in _each(relation, resolve, where)
        ),
    )
    measured = number.measure if number else ""
    check_value(statement.value, resolve, f"{where}: {measured!r}")
    for relation in statement.relations:
        at = f"{where}: {relation.text!r}"
        if relation.kind in BY_CELL:
            for measure in relation.measures:
                _cells(measure.runs, resolve, at)
        else:
            check_value(relation.left, resolve, at)
            check_value(relation.right, resolve, at)
        if relation.kind in BEST:
            _check_best(relation, resolve, at)
    return statement


def _each(relation: Relation, resolve: Resolve, where: str) -> list[Relation]:
    """The relation, or with `every(…)` in it one for each configuration that is meant."""
    if sum(measure.cells == "every" for measure in relation.measures) > 1:
        raise RepriseError(f"{where}: {relation.text!r}: every(…) stands in it twice; write two relations")
    measure = relation.quantified
    if measure is None:
        return [relation]
    cells = _cells(measure.runs, resolve, f"{where}: {relation.text!r}")
    return [relation.of(cell.name) for cell in cells] or [relation.of(measure.runs)]


def check_value(value: Value, resolve: Resolve, where: str) -> None:
    """Whether each measure gives one value over the cells that it names; if not, a `RepriseError` that starts
    with `where`.
    """
    for measure in value.terms:
        cells = _cells(measure.runs, resolve, where)
        if cells:
            check_cells(measure, cells, where)


def check_cells(measure: Measure, cells: Sequence[Cell], where: str) -> None:
    """Whether a measure gives one value over the cells that it names; if not, a `RepriseError` that starts
    with `where`.
    """
    if len(cells) > 1 and not (measure.cells or measure.pick or measure.effect):
        picked = "pick: best under cells"
        several = f'write mean(…), max(…), min(…) or effect(…, "axis"), or name them with {picked}'
        remedy = f"name them with {picked}" if measure.metric == "setting" else several
        raise RepriseError(f"{where}: {measure.runs} names {len(cells)} configurations; {remedy}")
    axes = dict.fromkeys(axis for cell in cells for axis in cell.settings) if measure.effect else {}
    if measure.effect and measure.effect not in axes:
        raise RepriseError(
            f"{where}: effect: {measure.runs} has no axis {measure.effect}{nearest(measure.effect, axes)}"
        )
    if measure.path:
        specs = [spec for cell in cells for spec in cell.specs.values()]
        if not any(lookup(spec, measure.path) for spec in specs):
            raise RepriseError(f"{where}: {no_setting(measure.path, specs)}")


def _cells(selector: str, resolve: Resolve, where: str) -> Sequence[Cell]:
    """The cells of a selector; none where a search could have drawn them and did not."""
    try:
        return resolve(selector)
    except Undrawn:
        return []
    except RepriseError as error:
        raise RepriseError(f"{where}: {error}") from None


def _check_best(relation: Relation, resolve: Resolve, where: str) -> None:
    (measure,) = relation.measures
    names = [cell.name for cell in _cells(measure.runs, resolve, where)]
    named = {cell.name for cell in _cells(relation.selector, resolve, where)}
    if named and names and not named & set(names):
        raise RepriseError(
            f"{where}: {relation.selector} is none of {measure.runs}{nearest(relation.selector, names)}"
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

    def outcome(self, statement: CheckedStatement) -> Outcome:
        try:
            return self._number(statement) if statement.kind == "number" else self._claim(statement)
        except RepriseError as error:
            raise RepriseError(f"{statement.where}: {error}") from None

    def _number(self, statement: CheckedStatement) -> Outcome:
        try:
            estimate = self.combined(statement.value)
        except NotRun as missing:
            return Outcome(statement, Judgement("not run", str(missing)), statement.reported, "", 0)
        judgement = judge_number(statement.reported, estimate, statement.about)
        spread = (
            number(estimate.scatter, decimals(statement.reported) + 1)
            if math.isfinite(estimate.scatter)
            else ""
        )
        return Outcome(statement, judgement, statement.reported, spread, estimate.n)

    def _claim(self, statement: CheckedStatement) -> Outcome:
        parts, seeds = [], []
        for relation in statement.relations:
            try:
                judgement, n = self._relation(relation)
            except NotRun as missing:
                judgement, n = Judgement("not run", str(missing)), 0
            parts.append((relation.words, judgement))
            seeds.append(n)
        noises = [number(part.noise) if math.isfinite(part.noise) else "" for _, part in parts]
        texts = "; ".join(relation.text for relation in statement.relations)
        return Outcome(statement, judge_all(parts), texts, "; ".join(noises), min(seeds))

    def _relation(self, relation: Relation) -> tuple[Judgement, int]:
        measure = relation.measures[0]
        if relation.kind in BEST:
            estimates = {cell.name: self._estimate(measure, cell) for cell in self.resolve(measure.runs)}
            named = [cell.name for cell in self.resolve(relation.selector) if cell.name in estimates]
            if len(named) == len(estimates):
                raise NotRun(f"{relation.selector} is all of {measure.runs} and leaves no other to compare.")
            return judge_best(estimates, named, relation.kind == "argmax"), min(
                estimate.n for estimate in estimates.values()
            )
        if relation.kind == "spread":
            return self._spread(measure, next(iter(relation.right.terms)))
        if relation.kind == "at_chance":
            accuracy = self.measured(measure)
            chances = [self.tables.chance(run) for cell in self.resolve(measure.runs) for run in cell.runs]
            known = [chance for chance in chances if chance is not None]
            if not known:
                raise NotRun(f"{measure.runs} has no predictions, so its chance level is unknown.")
            return judge_chance(accuracy, *known[0]), accuracy.n
        left, right = self.combined(relation.left), self.combined(relation.right)
        difference = self.combined(relation.left.plus(relation.right, -1.0))
        if relation.kind == "within":
            return judge_within(left, right, difference, relation.margin), difference.n
        return judge_order(left, right, difference, relation.kind == ">"), difference.n

    def _spread(self, wider: Measure, steadier: Measure) -> tuple[Judgement, int]:
        """A configuration that both sides name counts on the first alone."""
        first = self.resolve(wider.runs)
        counted = {tuple(cell.runs) for cell in first}
        others = [cell for cell in self.resolve(steadier.runs) if tuple(cell.runs) not in counted]
        widely = [self._values(wider, cell) for cell in first]
        steadily = [self._values(steadier, cell) for cell in others]
        seeds = [len(values) for values in [*widely, *steadily]]
        return judge_spread(widely, steadily, wider.noise.relative), min(seeds, default=0)

    def combined(self, value: Value) -> Estimate:
        """The estimate of a value computed from measures; `NotRun` where one of them has no result."""
        return combine(
            [(factor, self.measured(measure)) for measure, factor in value.terms.items()], value.constant
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
    statements: Sequence[Spec],
    where: Callable[[Spec], str],
    resolve: Resolve,
    tables: Tables,
    names: Names | None = None,
) -> list[Outcome]:
    """Measure and judge the statements of a report file; runs without results give *not run*, never an
    error.
    """
    parsed = parse(statements, where, resolve, names)
    judge = Judge([measure for statement in parsed for measure in statement.measures], resolve, tables)
    return [judge.outcome(statement) for statement in parsed]


# ---- output ----


def write_statements(
    statements: Sequence[Spec],
    sources: Sources,
    face: Face,
    csv_path: Path | str,
    md_path: Path | str,
    about: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Judge the statements of a report and write them as CSV (columns `STATEMENT_COLUMNS`) and as a Markdown
    page with the reasons.

    `about` has the report's title, authors, framework, summary and assumptions, which the page shows. Raises
    `RepriseError` for a statement that cannot be understood.
    """

    def where(statement: Spec) -> str:
        return f"{face.slug}: statement {statement.id}"

    outcomes = judge_statements(statements, where, sources.resolve, sources.tables, sources.names)
    with atomic(csv_path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STATEMENT_COLUMNS)
        for outcome in outcomes:
            statement, judgement = outcome.statement, outcome.judgement
            row = (
                statement.text,
                outcome.reported,
                judgement.measured,
                outcome.spread,
                outcome.n,
                face.scale,
                judgement.verdict,
            )
            writer.writerow((face.slug, statement.id, statement.kind, *row))
    with atomic(md_path) as partial:
        partial.write_text(_page(outcomes, face, about or {}), encoding="utf-8")
    return outcomes


def _page(outcomes: Sequence[Outcome], face: Face, about: Mapping[str, Any]) -> str:
    counts = Counter(outcome.judgement.verdict for outcome in outcomes)
    lines = [f"# {face.slug}: numbers and claims", ""]
    if face.mark:
        lines += [f"> **{face.mark}.** Only verdicts at scale full judge the report.", ""]
    lines += [line for note in face.notes for line in (f"> **{markdown(note[:1].upper() + note[1:])}.**", "")]
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
        said, noise = (
            ("Reported", "Deviation over seeds") if kind == "number" else ("Relation", "Noise (95 %)")
        )
        heads = ("Statement", said, "Measured", noise, "Seeds", "Verdict", "Reason")
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
    reading = f" (read as: {markdown(statement.reading)})" if statement.reading else ""
    verdict = f"**{judgement.verdict}**{reading}"
    return markdown_row((markdown(text), reported, *measured, verdict, markdown(judgement.reason)))
