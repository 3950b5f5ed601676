"""Where the statements of a report stand, and which runs the open ones still need."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from reprise.planning.priority import Aim, AimStage, chance
from reprise.publishing.expressions import (
    Joined,
    Opposite,
    Order,
    Quantified,
    Relation,
    Scatter,
    Share,
    Value,
    Within,
    every_part,
)
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, NotRun, Tables
from reprise.publishing.statements import CheckedStatement, Jury, parse
from reprise.publishing.verdicts import MOST_SEEDS, Judgement
from reprise.reports.report import Cell, Report, Undrawn

UNKNOWN = 0.5
"""How likely a claim is settled by the next seeds, where nothing tells how large the difference is."""
LEVEL_OF_ONE = 2.4
"""Quantile .975 of Student's t at the 7 or so degrees of freedom that one seed leaves (docs/verdicts.md)."""


@dataclass(frozen=True)
class Standing:
    """A statement as it stands.

    name: `<report>: <id>`. aim: what can settle it; None where it is settled, or no run will. why: what then
    stands in the way, in words. exhausted: whether that is the number of seeds that the report file names.
    """

    name: str
    judgement: Judgement
    aim: Aim | None = None
    why: str = ""
    exhausted: bool = False

    @property
    def settled(self) -> bool:
        return self.judgement.verdict not in ("not run", "undecided")


def standings(
    report: Report, tables: Tables, done: Set[str], obstacle: Callable[[Sequence[Cell]], str]
) -> list[Standing]:
    """The statements of a report in their first readings, but for those that follow from others.

    tables: the results at hand, of the runs that are `done` (trained and evaluated). obstacle: why runs of
    these cells cannot be trained here and now, in words; empty where they can.
    """
    checked = parse(report.statements, report.where, report.cells, report.names)
    jury = Jury(checked, report.cells, tables)
    return [
        _standing(report, statement, jury, done, obstacle)
        for statement in checked
        if statement.id not in report.file.follows
    ]


def _standing(
    report: Report,
    statement: CheckedStatement,
    jury: Jury,
    done: Set[str],
    obstacle: Callable[[Sequence[Cell]], str],
) -> Standing:
    name, judgement = f"{report.slug}: {statement.id}", jury.judgement(statement)
    standing = Standing(name, judgement)
    if standing.settled:
        return standing

    def stuck(why: str) -> Standing:
        return Standing(name, judgement, None, why)

    try:
        cells = needed_cells(report, statement)
    except Undrawn as error:
        return stuck(str(error))
    needed: float | None = 0.0
    if judgement.verdict == "undecided":
        needed = judgement.seeds
        if needed is None:
            return stuck("more seeds do not settle it")
    elif statement.relation is not None:
        needed = seeds_needed(statement.relation, jury, jury.judge)
    stages = tuple(_stages(cells, done, needed))
    if not stages and judgement.verdict == "undecided":
        return Standing(name, judgement, None, _would_do(judgement), exhausted=True)
    if not stages:
        return stuck(judgement.reason)
    why = obstacle([cell for cell, _ in cells if not done >= {*cell.runs}])
    return stuck(why) if why else Standing(name, judgement, Aim(name, stages))


def _would_do(judgement: Judgement) -> str:
    """Of an undecided claim whose seeds are all there."""
    seeds = judgement.seeds or 0
    many = f"{seeds}" if seeds <= MOST_SEEDS else f"more than {MOST_SEEDS}"
    return f"{many} seeds would be enough"


def needed_cells(report: Report, statement: CheckedStatement) -> list[tuple[Cell, int]]:
    """The cells that the first reading of a statement measures, and how many seeds of each it takes to say
    anything; `Undrawn` where a search could have drawn one of them and did not.
    """
    relation = statement.relation
    measures = relation.measures if relation else statement.value.measures
    spreads = [part for part in every_part(relation) if isinstance(part, Scatter)] if relation else []
    twice = {measure.runs for part in spreads for measure in part.measures}
    found: dict[str, tuple[Cell, int]] = {}
    for measure in measures:
        for cell in report.cells(measure.runs):
            _, least = found.get(cell.name, (cell, 1))
            found[cell.name] = cell, 2 if measure.runs in twice else least
    return list(found.values())


def _stages(cells: Sequence[tuple[Cell, int]], done: Set[str], needed: float | None) -> Iterator[AimStage]:
    """One seed of each cell, two, and so on, as far as the report file has more, or until the statement is
    settled for certain. Seeds that are done count first, then those that the report file names first.

    needed: the seeds that would settle it, 0 for any; None where nobody knows: after the next ones it is
    judged again.
    """
    ordered = [(sorted(cell.runs, key=lambda run: run not in done), least) for cell, least in cells]
    most, before = max((len(runs) for runs, _ in ordered), default=0), frozenset[str]()
    for seeds in range(1, most + 1):
        runs = frozenset(run for runs, least in ordered for run in runs[: max(seeds, least)])
        if runs <= done or runs == before:
            continue
        before, share = runs, UNKNOWN if needed is None else chance(seeds, needed)
        yield AimStage(runs, share)
        if needed is None or share == 1:
            return


# ---- power ----


def seeds_needed(relation: Relation, jury: Jury, judge: Judge) -> float | None:
    """How many seeds of each configuration would just settle the difference that the report's own numbers
    claim, by the scatter that is typical of the results at hand, or else is stated for the metric; 0 where
    seeds change nothing, None where the report gives no such numbers.
    """
    match relation:
        case Opposite(part=part):
            return seeds_needed(part, jury, judge)
        case Joined(of=parts, every=every):
            return _of_parts(parts, every, jury, judge)
        case Quantified(part=part, every=every):
            return _of_parts(judge.instances(part), every, jury, judge)
        case Order(left=left, right=right) | Within(left=left, right=right):
            width = half_width(left.plus(right, -1.0), jury, judge)
            claimed = abs(jury.claimed(relation))
            room = relation.margin - claimed if isinstance(relation, Within) else claimed
            if width == 0:
                return 0.0
            if width is None or not math.isfinite(room):
                return None
            return min((width / room) ** 2, MOST_SEEDS + 1.0) if room > 0 else MOST_SEEDS + 1.0
    return None


def _of_parts(parts: Sequence[Relation], every: bool, jury: Jury, judge: Judge) -> float | None:
    found = [seeds_needed(part, jury, judge) for part in parts]
    known = [needed for needed in found if needed is not None]
    if len(known) < len(found):
        return None
    return (max if every else min)(known, default=None)


def half_width(difference: Value, jury: Jury, judge: Judge) -> float | None:
    """Half of the middle 95 % of what one seed of each configuration leaves open; None where that is not
    known beforehand: of the winner of a search, of a rank, of an effect, of shares, or of a loss of which the
    report does not say how large it is.
    """
    quantities: dict[str, dict[Measure, float]] = {}
    for term, factor in difference.terms.items():
        if isinstance(term, Share) or term.pick or term.effect or term.metric == "rank":
            return None
        try:
            cells = judge.resolve(term.runs)
        except NotRun:
            return None
        chosen = cells[:1] if term.cells in ("max", "min") else cells  # which it will be changes little
        for cell in chosen:
            of_cell = quantities.setdefault(cell.name, {})
            of_cell[term] = of_cell.get(term, 0.0) + factor / len(chosen)
    variance = 0.0
    for of_cell in quantities.values():
        largest = max(map(abs, of_cell.values()))
        combination = tuple((term.quantity, by / largest) for term, by in of_cell.items() if by)
        if not combination:
            continue
        typical = judge.typical(combination)
        if not typical.variance:
            continue
        size = sum(  # what the scatter is measured in, as the judge has it
            abs(by / largest) * (abs(jury.reported.get(term, math.nan)) if term.noise.relative else 1.0)
            for term, by in of_cell.items()
        )
        variance += (largest * size) ** 2 * typical.variance
    return None if math.isnan(variance) else LEVEL_OF_ONE * math.sqrt(variance)
