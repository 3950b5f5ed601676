"""Statements of a report file: check them, judge them, write the verdicts as CSV and as a page for
readers.
"""

from __future__ import annotations

import contextlib
import csv
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.files import atomic
from reprise.publishing import Face, Resolve
from reprise.publishing.evidence import Evidence, Twin
from reprise.publishing.expressions import (
    ArgBest,
    Expressions,
    Joined,
    Order,
    Quantified,
    Relation,
    Scatter,
    Share,
    Value,
    Within,
    every_part,
)
from reprise.publishing.judging import Judge, Missing
from reprise.publishing.markup import markdown, markdown_code, markdown_row
from reprise.publishing.measures import Measure, NotRun, Tables, lookup, no_setting
from reprise.publishing.numbers import bound_of, number
from reprise.publishing.partial import resting_on
from reprise.publishing.sources import Sources
from reprise.publishing.verdicts import VERDICTS, Judgement, judge_claim, judge_number
from reprise.reports.expressions import Names
from reprise.reports.report import Cell, Undrawn
from reprise.reports.statements import Claim, Number
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
    "reason",
    "share",
    "beyond_images",
    "settles",
    "claimed",
    "seeds_to_settle",
    "follows",
    "reading",
    "other_readings",
    "source",
    "notes",
)
"""Of the CSV file. The first ten have stood from the beginning; docs/verdicts.md explains each."""


# ---- statements ----


@dataclass(frozen=True)
class CheckedStatement:
    """A checked statement: a number with the `value` that measures it, or a claim with the `relation` that
    must hold. `also` are other readings of the same words, `expression` what the report file says.
    """

    id: str
    kind: str
    text: str
    source: str
    where: str
    expression: str
    reading: str = ""
    reported: str = ""
    about: float = 0.0
    mean_of: int = 1
    value: Value = field(default_factory=lambda: Value({}))
    relation: Relation | None = None
    also: tuple[CheckedStatement, ...] = ()

    @property
    def own_measures(self) -> list[Measure]:
        """What it measures as it is read first."""
        return self.relation.measures if self.relation else self.value.measures

    @property
    def measures(self) -> list[Measure]:
        """All that it measures, in any reading."""
        others = (one for other in self.also for one in other.measures)
        return list(dict.fromkeys([*self.own_measures, *others]))


@dataclass(frozen=True)
class Outcome:
    """A statement and its judgement. `beyond_images` is the verdict on other test images, empty where images
    do not matter; `also` the other readings'; `follows` the statement that settles this one.
    """

    statement: CheckedStatement
    judgement: Judgement
    beyond_images: str = ""
    follows: str = ""
    also: tuple[Outcome, ...] = ()


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
    checked = CheckedStatement(
        spec.id, spec.kind, spec.says or "", spec.source or "", where, "", spec.reading or ""
    )
    if isinstance(spec, Number):
        checked = replace(
            checked,
            reported=spec.reported,
            about=spec.about or 0.0,
            mean_of=spec.mean_of or 1,
        )

        def number_of(text: str) -> dict[str, Any]:
            value = expressions.value(text, where)
            check_value(value, resolve, f"{where}: {text!r}")
            return {"value": value, "expression": text}

        also = [replace(checked, reading=other.reading, **number_of(other.measure)) for other in spec.also]
        return replace(checked, **number_of(spec.measure), also=tuple(also))
    assert isinstance(spec, Claim)

    def claim_of(texts: Sequence[str]) -> dict[str, Any]:
        relations = []
        for text in texts:
            relation = expressions.relation(text, where)
            check_relation(relation, resolve, where)
            relations.append(relation)
        said = "; ".join(texts)
        if len(relations) == 1:
            return {"relation": relations[0], "expression": said}
        words = "; ".join(relation.words for relation in relations)
        return {"relation": Joined(said, words, tuple(relations)), "expression": said}

    also = [replace(checked, reading=other.reading, **claim_of(other.holds)) for other in spec.also]
    return replace(checked, **claim_of(spec.holds), also=tuple(also))


def check_relation(relation: Relation, resolve: Resolve, where: str, quantified: bool = False) -> None:
    """Whether a relation can be asked of the cells that it names; if not, a `RepriseError` that starts with
    `where`.
    """
    at = f"{where}: {relation.text!r}"
    match relation:
        case Quantified(part=part):
            _check_quantified(part, resolve, at)
            check_relation(part, resolve, where, quantified=True)
        case ArgBest() | Scatter():
            for measure in relation.measures:
                _cells(measure.runs, resolve, at)
            if isinstance(relation, ArgBest):
                _check_best(relation, resolve, at)
        case _:
            for value in relation.values:
                check_value(value, resolve, at, quantified=quantified)
            for part in relation.parts:
                check_relation(part, resolve, where, quantified)


def _check_quantified(part: Relation, resolve: Resolve, where: str) -> None:
    """A relation that is asked of several configurations names one set of them."""
    several = {
        measure.runs
        for measure in part.measures
        if measure.asked and len(_cells(measure.runs, resolve, where)) > 1
    }
    if len(several) > 1:
        named = " and ".join(sorted(several))
        raise RepriseError(f"{where}: it names two sets of configurations, {named}; write two relations")


def check_value(value: Value, resolve: Resolve, where: str, *, quantified: bool = False) -> None:
    """Whether each measure gives one value over the cells that it names (or is asked of each of them); if
    not, a `RepriseError` that starts with `where`.
    """
    for term in value.terms:
        if isinstance(term, Share):
            _check_quantified(term.relation, resolve, where)
            check_relation(term.relation, resolve, where, quantified=True)
            continue
        cells = _cells(term.runs, resolve, where)
        if cells and not quantified:
            check_cells(term, cells, where)
        elif cells:
            check_cells(term, cells[:1] if term.asked else cells, where)


def check_cells(measure: Measure, cells: Sequence[Cell], where: str) -> None:
    """Whether a measure gives one value over the cells that it names; if not, a `RepriseError` that starts
    with `where`.
    """
    if len(cells) > 1 and measure.asked:
        picked = "pick: best under cells"
        remedy = f'write mean(…), best(…), every(… > …) or effect(…, "axis"), or name them with {picked}'
        if not measure.noise.several:
            remedy = f"name one, or them with {picked}, or ask each in every(…)"
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


def _check_best(relation: ArgBest, resolve: Resolve, where: str) -> None:
    names = [cell.name for cell in _cells(relation.measure.runs, resolve, where)]
    named = {cell.name for cell in _cells(relation.selector, resolve, where)}
    if named and names and not named & set(names):
        what = f"{relation.selector} is none of {relation.measure.runs}{nearest(relation.selector, names)}"
        raise RepriseError(f"{where}: {what}")


# ---- verdicts ----


class Jury:
    """Judges the statements of one report, all by one judge: what scatter over seeds is typical is pooled
    over the configurations that any of them names.
    """

    def __init__(self, statements: Sequence[CheckedStatement], resolve: Resolve, tables: Tables) -> None:
        self.statements, self.resolve, self.tables = statements, resolve, tables
        measures = (measure for statement in statements for measure in statement.measures)
        self.judge = Judge(measures, resolve, tables)
        self.reported = _reported(statements)

    def outcomes(self, follows: Mapping[str, str]) -> list[Outcome]:
        """Those of all statements. `follows`: statement → the one that settles it."""
        return [self.outcome(statement, follows.get(statement.id, "")) for statement in self.statements]

    def outcome(self, statement: CheckedStatement, follows: str = "") -> Outcome:
        try:
            judgement, beyond = self._judged(statement)
            also = tuple(Outcome(other, *self._judged(other)) for other in statement.also)
        except RepriseError as error:
            raise RepriseError(f"{statement.where}: {error}") from None
        return Outcome(statement, judgement, beyond, follows, also)

    def judgement(self, statement: CheckedStatement) -> Judgement:
        """The verdict on its first reading, of our test images."""
        try:
            if statement.relation is None:
                return number_judged(self.judge, statement)
            return judge_claim(self.judge.relation(statement.relation), self.claimed)
        except RepriseError as error:
            raise RepriseError(f"{statement.where}: {error}") from None

    def verdict(self, identifier: str, value: Value) -> str:
        """That of a number, for a table that shows it: of the reading that measures `value` of the same runs.
        Nothing where the table measures something else, or there is no such statement.
        """
        statement = next((one for one in self.statements if one.id == identifier), None)
        for reading in (statement, *statement.also) if statement else ():
            if self._measured(reading.value) == self._measured(value):
                return self.judgement(reading).verdict
        return ""

    def _measured(self, value: Value) -> Value:
        """A value whose measures name their runs instead of cells, which may have several names."""

        def of_runs(measure: Measure) -> Measure:
            with contextlib.suppress(Undrawn):
                cells = [" ".join(cell.runs) for cell in self.resolve(measure.runs)]
                return replace(measure, runs=", ".join(cells))
            return measure

        return replace(value.put(of_runs), words="")

    def _judged(self, statement: CheckedStatement) -> tuple[Judgement, str]:
        if statement.relation is None:
            return self._telling_missing(number_judged(self.judge, statement), statement), ""
        found = self.judge.relation(statement.relation)
        judgement = judge_claim(found, self.claimed)
        if isinstance(found, Missing) or not _rests_on_images(self.judge, statement.relation):
            return self._telling_missing(judgement, statement), ""
        return judgement, judge_claim(self.judge.relation(statement.relation, images=True)).verdict

    def _telling_missing(self, judgement: Judgement, statement: CheckedStatement) -> Judgement:
        """What is not run says how many runs are missing, if any."""
        if judgement.verdict != "not run":
            return judgement
        runs = {run for cell in self.cells(statement) for run in cell.runs}
        missing = sum(not has_results(run, self.tables) for run in runs)
        if not missing:
            return judgement
        return replace(judgement, reason=f"{judgement.reason} Missing: {missing} of its {len(runs)} runs.")

    def cells(self, statement: CheckedStatement) -> list[Cell]:
        """The cells that a statement measures, as it is read first."""
        found: dict[str, Cell] = {}
        for measure in statement.own_measures:
            with contextlib.suppress(Undrawn):
                found |= {cell.name: cell for cell in self.resolve(measure.runs)}
        return list(found.values())

    def rests_on(self, statement: CheckedStatement) -> str:
        """What a verdict rests on, as far as runs are missing: `seeds 0 and 1 of 3`; else nothing."""
        cells = self.cells(statement)
        at_hand = {run for cell in cells for run in cell.runs if has_results(run, self.tables)}
        return resting_on(cells, at_hand)

    def claimed(self, relation: Relation) -> float:
        """The difference of a relation's sides by the numbers that the report gives; not a number where it
        lacks one.
        """
        if not isinstance(relation, Order | Within):
            return math.nan
        difference = relation.left.plus(relation.right, -1.0)
        total = difference.constant
        for term, factor in difference.terms.items():
            if not isinstance(term, Measure):
                return math.nan
            total += factor * self.reported.get(term, math.nan)
        return total


def has_results(run: str, tables: Tables) -> bool:
    """Whether there is anything of a run."""
    return bool(tables.finals(run) or tables.splits(run))


def number_judged(judge: Judge, statement: CheckedStatement) -> Judgement:
    """The verdict on a number."""
    try:
        found = judge.amount(statement.value)
        drawn = judge.amount(statement.value, of=statement.mean_of)
    except NotRun as missing:
        return Judgement("not run", str(missing))
    return judge_number(
        statement.reported,
        found,
        drawn,
        statement.about,
        count=statement.value.is_count,
        ends=judge.ends(statement.value),
    )


def _reported(statements: Sequence[CheckedStatement]) -> dict[Measure, float]:
    """What the report says of measures that a number is about, one each."""
    found = {}
    for statement in statements:
        if statement.reported and not bound_of(statement.reported)[0] and len(statement.value.terms) == 1:
            ((term, factor),) = statement.value.terms.items()
            if isinstance(term, Measure):
                found[term] = (float(statement.reported) - statement.value.constant) / factor
    return found


def _rests_on_images(judge: Judge, relation: Relation) -> bool:
    drawn = [part for part in every_part(relation) if not isinstance(part, Scatter)]  # they draw seeds alone
    measures = [measure for part in drawn for value in part.values for measure in value.measures]
    return any(judge.rests_on_images(measure) for measure in measures)


def jury_of(statements: Sequence[Spec], where: Callable[[Spec], str], sources: Sources) -> Jury:
    """The jury of a report's statements (see `parse`) on these results."""
    parsed = parse(statements, where, sources.resolve, sources.names)
    return Jury(parsed, sources.resolve, sources.tables)


def judge_statements(
    statements: Sequence[Spec],
    where: Callable[[Spec], str],
    resolve: Resolve,
    tables: Tables,
    names: Names | None = None,
    follows: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Measure and judge the statements of a report file; runs without results give *not run*, never an
    error. `follows`: statement → the one that settles it.
    """
    jury = Jury(parse(statements, where, resolve, names), resolve, tables)
    return jury.outcomes(follows or {})


# ---- output ----


def write_statements(
    jury: Jury,
    outcomes: Sequence[Outcome],
    face: Face,
    csv_path: Path | str,
    md_path: Path | str,
    about: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
    twins: Sequence[Twin] = (),
) -> None:
    """Write the outcomes of a report's statements as CSV (columns `STATEMENT_COLUMNS`) and as a Markdown page
    with the reasons.

    `about` has the report's title, authors, framework, summary and assumptions, which the page shows, as it
    does how much of the report has been run, the `evidence`, and the `twins` among its results.
    """
    rests = {statement.id: jury.rests_on(statement) for statement in jury.statements}
    with atomic(csv_path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STATEMENT_COLUMNS)
        writer.writerows(_record(outcome, face) for outcome in outcomes)
    with atomic(md_path) as partial:
        partial.write_text(_page(outcomes, rests, face, about or {}, evidence, twins), encoding="utf-8")


def _record(outcome: Outcome, face: Face) -> tuple[Any, ...]:
    """One line of the CSV file."""
    statement, judgement = outcome.statement, outcome.judgement
    others = "; ".join(f"{other.statement.reading}: {other.judgement.verdict}" for other in outcome.also)
    return (
        face.slug,
        statement.id,
        statement.kind,
        statement.text,
        statement.reported or statement.expression,
        _ungrouped(statement, judgement.measured),
        _ungrouped(statement, judgement.spread),
        judgement.n,
        face.scale,
        judgement.verdict,
        judgement.reason,
        _printed(judgement.share),
        outcome.beyond_images,
        _printed(judgement.settles),
        _printed(judgement.claimed),
        "" if judgement.seeds is None else judgement.seeds,
        outcome.follows,
        statement.reading,
        others,
        statement.source,
        " ".join(judgement.notes),
    )


def _ungrouped(statement: CheckedStatement, shown: str) -> str:
    """A number without what keeps its thousands apart; of a claim, the values are words."""
    return shown.replace(",", "") if statement.relation is None else shown


def _printed(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


class _Notes:
    """What is said once below, and by its number wherever it applies."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def marks(self, notes: Sequence[str]) -> str:
        numbers = [self.known.setdefault(note, len(self.known) + 1) for note in notes]
        return "".join(f" [{place}]" for place in numbers)

    def lines(self) -> list[str]:
        return [f"{place}. {markdown(note)}" for note, place in self.known.items()]


def _page(
    outcomes: Sequence[Outcome],
    rests: Mapping[str, str],
    face: Face,
    about: Mapping[str, Any],
    evidence: Evidence | None,
    twins: Sequence[Twin],
) -> str:
    """The page. `rests`: statement → what its verdict rests on, where runs are missing."""
    lines = [f"# {face.slug}: numbers and claims", ""]
    lines += [markdown(f"Evidence: {evidence.words('that these statements need')}."), ""] if evidence else []
    if face.mark:
        lines += [f"> **{face.mark}.** Only verdicts at scale full judge the report.", ""]
    lines += [line for note in face.notes for line in (f"> **{markdown(note[:1].upper() + note[1:])}.**", "")]
    if "title" in about:
        made = [str(about[key]) for key in ("authors", "framework") if key in about]
        lines += [f"*{markdown(about['title'])}*" + (f" ({markdown(', '.join(made))})" if made else ""), ""]
    if "summary" in about:
        lines += [markdown(about["summary"]), ""]
    notes = _Notes()
    lines += ["## In short", "", *_counts(outcomes), *_exceptions(outcomes, notes)]
    for kind, title, line in (("number", "Numbers", _number_line), ("claim", "Claims", _claim_line)):
        chosen = [outcome for outcome in outcomes if outcome.statement.kind == kind]
        if not chosen:
            continue
        heads = NUMBER_HEADS if kind == "number" else CLAIM_HEADS
        rows = [line(outcome, _seeds(outcome, rests), notes) for outcome in chosen]
        lines += [f"## {title}", "", markdown_row(heads), "|" + "---|" * len(heads), *rows, ""]
    if notes.known:
        lines += ["## Notes", "", *notes.lines(), ""]
    if twins:
        lines += ["## Results that exist twice", "", TWICE, ""]
        lines += [markdown_row(TWIN_HEADS), "|" + "---|" * len(TWIN_HEADS), *map(_twin_line, twins), ""]
    if about.get("assumptions"):
        lines += ["## Assumptions", "", "What the report leaves open, and how it is read here:", ""]
        lines += [*map(_assumption_line, about["assumptions"]), ""]
    return "\n".join(lines)


NUMBER_HEADS = ("Statement", "Reported", "Measured", "± seeds", "Seeds", "Verdict", "Why")
CLAIM_HEADS = (
    *("Statement", "What must hold", "Measured", "Seeds settle", "Seeds", "Holds in"),
    *("Verdict", "On other images", "Why"),
)


TWIN_HEADS = ("Run", "Configuration", "Accuracy", "On", "Elsewhere", "On", "Bit for bit")
TWICE = (
    "Runs that were trained twice: the test accuracy found here, which the verdicts use, and the one found "
    "elsewhere."
)


def _assumption_line(assumption: Mapping[str, Any]) -> str:
    affects = ", ".join(markdown_code(name) for name in assumption.get("affects", ()))
    return f"- {markdown(assumption['says'])}" + (f" (affects {affects})" if affects else "")


def _counts(outcomes: Sequence[Outcome]) -> list[str]:
    """How many statements have each verdict, by kind."""
    counted = [outcome for outcome in outcomes if not outcome.follows]
    heads = ("", *VERDICTS, "of")
    lines = [markdown_row(heads), "|" + "---|" * len(heads)]
    for kind in ("number", "claim"):
        found = Counter(one.judgement.verdict for one in counted if one.statement.kind == kind)
        if found:
            counts = (str(found[verdict]) if found[verdict] else "–" for verdict in VERDICTS)
            lines.append(markdown_row((f"{kind}s", *counts, str(found.total()))))
    more = len(outcomes) - len(counted)
    if more:
        follow = "statement follows" if more == 1 else "statements follow"
        lines += ["", f"{more} more {follow} from these by construction."]
    return [*lines, ""]


def _exceptions(outcomes: Sequence[Outcome], notes: _Notes) -> list[str]:
    """What was not reproduced, and why; those that were not run once for each reason."""
    lines = []
    for verdict in ("contradicted", "differs", "undecided"):
        for outcome in outcomes:
            if outcome.judgement.verdict == verdict and not outcome.follows:
                why = markdown(outcome.judgement.reason) + notes.marks(outcome.judgement.notes)
                lines.append(f"- **{verdict}**: {_said(outcome.statement)}: {why}")
    counted = [outcome for outcome in outcomes if not outcome.follows]
    idle = [outcome for outcome in counted if outcome.judgement.verdict == "not run"]
    reasons = Counter(outcome.judgement.reason for outcome in idle)
    for reason, count in reasons.most_common(MOST_REASONS):
        lines.append(f"- **not run**: {count} statement{'s' if count > 1 else ''}: {markdown(reason)}")
    if len(reasons) > MOST_REASONS:
        rest = sum(count for _, count in reasons.most_common()[MOST_REASONS:])
        lines.append(f"- **not run**: {rest} more, for reasons like these")
    return [*lines, ""] if lines else []


MOST_REASONS = 5
"""Reasons for not running a statement that a page lists at its top."""


def _said(statement: CheckedStatement) -> str:
    text = markdown(statement.text or statement.id)
    return text + (f" ({markdown(statement.source)})" if statement.source else "")


def _verdict(outcome: Outcome) -> str:
    reading = outcome.statement.reading
    found = [f"**{outcome.judgement.verdict}**" + (f" (read as: {markdown(reading)})" if reading else "")]
    found += [f"{markdown(other.statement.reading)}: **{other.judgement.verdict}**" for other in outcome.also]
    if outcome.follows:
        found.append(f"follows from {markdown(outcome.follows)}")
    return "; ".join(found)


def _why(outcome: Outcome, notes: _Notes) -> str:
    return markdown(outcome.judgement.reason) + notes.marks(outcome.judgement.notes)


def _seeds(outcome: Outcome, rests: Mapping[str, str]) -> str:
    """The fewest seeds that a verdict rests on, and which where runs are missing."""
    n, which = outcome.judgement.n, rests[outcome.statement.id]
    return f"{n} ({which})" if n and which else str(n)


def _twin_line(twin: Twin) -> str:
    accuracies = number(twin.accuracy), number(twin.other_accuracy)
    return markdown_row(
        (
            twin.run,
            markdown(twin.configuration),
            accuracies[0],
            markdown(twin.device),
            accuracies[1],
            markdown(twin.other_device),
            "the same" if twin.same else "differs",
        )
    )


def _number_line(outcome: Outcome, seeds: str, notes: _Notes) -> str:
    statement, judgement = outcome.statement, outcome.judgement
    reported = ("about " if statement.about else "") + statement.reported
    measured = map(markdown, (judgement.measured, judgement.spread, seeds))
    return markdown_row(
        (_said(statement), markdown(reported), *measured, _verdict(outcome), _why(outcome, notes))
    )


def _claim_line(outcome: Outcome, seeds: str, notes: _Notes) -> str:
    statement, judgement = outcome.statement, outcome.judgement
    share = f"{100 * judgement.share:.1f} %" if math.isfinite(judgement.share) else ""
    measured = map(markdown, (judgement.measured, judgement.spread, seeds, share))
    return markdown_row(
        (
            _said(statement),
            markdown_code(statement.expression),
            *measured,
            _verdict(outcome),
            outcome.beyond_images,
            _why(outcome, notes),
        )
    )
