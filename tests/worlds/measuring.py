"""What a report's expressions say of made-up results, without noise and without the rule that gives verdicts.

It is the tests' own reading of the grammar, on purpose: the rule is measured on these worlds, so nothing of
it may be used to make them. A word that the grammar learns is added here, too.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reprise.extensions import METRICS
from reprise.publishing.measures import Measure, Tables, best_run, levels, read
from reprise.reports.expressions import read_expression
from reprise.reports.report import Cell, Report

OVER_CELLS = ("mean", "max", "min", "best", "effect")
QUANTIFIERS: Mapping[str, Callable[[Iterable[bool]], bool]] = {"every": all, "some": any}
ARITHMETIC: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ORDER: Mapping[type, Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
AT_CHANCE = 0.1
"""By what share of chance a mean over many seeds may exceed it."""

Chosen = Mapping[str, Cell]
"""Selector → the one of its configurations that a relation is asked of."""


class Measures:
    """The measures that the expressions of a report name."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def quantity(self, text: str) -> Measure:
        """A metric, or a name under the report's `measures`, without its cells."""
        where = f"{self.report.slug}: {text}"
        return Measure.parse({**self._spec(read_expression(text, where).tree), "runs": ""}, where)

    def measure(self, call: ast.expr) -> Measure:
        """A measure with its cells; `pick` where they stand for the best run of them."""
        if not self.is_measure(call):
            raise ValueError(f"{ast.unparse(call)}: a measure is expected here")
        arguments = list(_arguments(call))
        named = _text(arguments.pop(1 if _name(call) == "rank" else 0))
        cells = self.report.names.cells.get(named, {"runs": named})
        spec = {**self._spec(call, arguments), "runs": cells["runs"]}
        return Measure.parse(spec | ({"pick": "best"} if "pick" in cells else {}), ast.unparse(call))

    def is_measure(self, node: ast.AST) -> bool:
        return _name(node) in METRICS or _name(node) in self.report.names.measures

    def measures(self, text: str) -> list[Measure]:
        """All that an expression measures."""
        nodes = ast.walk(read_expression(text).tree)
        return [self.measure(node) for node in nodes if isinstance(node, ast.expr) and self.is_measure(node)]

    def _spec(self, node: ast.expr, arguments: Sequence[ast.expr] | None = None) -> dict[str, Any]:
        name = node.id if isinstance(node, ast.Name) else _name(node)
        if name in self.report.names.measures:
            return self._spec(read_expression(self.report.names.measures[name]).tree)
        keywords = node.keywords if isinstance(node, ast.Call) else []
        options = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords}
        for value in _arguments(node) if arguments is None else arguments:  # at most what the metric needs
            options[METRICS[name].needs] = ast.literal_eval(value)
        return {"metric": name, **options}


class Averages(Measures):
    """Expressions computed from the averages over all seeds of several worlds; of no more than the first `of`
    runs of a configuration in each, where that is given. A picked run is picked in each world.
    """

    def __init__(self, report: Report, worlds: Sequence[Tables], of: int | None = None) -> None:
        super().__init__(report)
        self.worlds = worlds
        self.of = of
        self._known: dict[tuple[Measure, str], list[float]] = {}

    def number(self, text: str) -> float:
        """What a number's measure amounts to."""
        return self._value(read_expression(text).tree, {})

    def claim(self, texts: Sequence[str]) -> dict[str, bool]:
        """Each relation of a claim → whether it holds."""
        return {
            ast.unparse(node): self._holds(node, {})
            for text in texts
            for node in _joined(read_expression(text).tree)
        }

    # ---- values ----

    def values(self, measure: Measure, cell: Cell) -> list[float]:
        """One value for each run and world."""
        key = measure.quantity, cell.name
        if key not in self._known:
            runs = cell.runs[: self.of]
            readings = [read(measure, tables, cell, run) for tables in self.worlds for run in runs]
            if None in readings:
                raise ValueError(f"{cell.name} has no {measure.metric}")
            self._known[key] = [reading.value for reading in readings if reading]
        return self._known[key]

    def mean(self, measure: Measure, cell: Cell) -> float:
        return float(np.mean(self.values(measure, cell)))

    def _picked(self, measure: Measure) -> float:
        cells, found = self.report.cells(measure.runs), []
        for tables in self.worlds:
            winner = best_run(cells, tables)
            reading = read(measure, tables, *winner) if winner else None
            if reading is None:
                raise ValueError(f"{measure.runs}: the best run has no {measure.metric}")
            found.append(reading.value)
        return float(np.mean(found))

    def _value(self, node: ast.expr, chosen: Chosen) -> float:
        match node:
            case ast.Constant(value=int() | float() as value):
                return float(value)
            case ast.UnaryOp(op=ast.USub()):
                return -self._value(node.operand, chosen)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._value(node.operand, chosen)
            case ast.BinOp():
                return ARITHMETIC[type(node.op)](
                    self._value(node.left, chosen), self._value(node.right, chosen)
                )
            case ast.Call():
                return self._called(node, chosen)
        raise ValueError(f"{ast.unparse(node)}: not known here")

    def _called(self, node: ast.Call, chosen: Chosen) -> float:
        name = _name(node)
        if name in QUANTIFIERS:  # of a measure; the relation around it is asked of each configuration
            return self._value(node.args[0], chosen)
        if name == "share":
            return float(np.mean(self._asked(node.args[0], node.args[0], chosen)))
        if name == "spread":
            return self._spread(node)
        if name in OVER_CELLS:
            return self._over_cells(node)
        measure = self.measure(node)
        if measure.pick:
            return self._picked(measure)
        if measure.runs in chosen:
            return self.mean(measure, chosen[measure.runs])
        (cell,) = self.report.cells(measure.runs)
        return self.mean(measure, cell)

    def _over_cells(self, node: ast.Call) -> float:
        measure = self.measure(node.args[0])
        cells = self.report.cells(measure.runs)
        if _name(node) == "effect":
            compared = levels(cells, ast.literal_eval(node.args[1])).values()
            means = [float(np.mean([self.mean(measure, cell) for cell in each])) for each in compared]
            return max(means) - min(means)
        found = [self.mean(measure, cell) for cell in cells]
        if _name(node) == "mean":
            return float(np.mean(found))
        return self._choose(_name(node), measure)(found)

    def _choose(self, name: str, measure: Measure) -> Callable[..., Any]:
        """The function that chooses what is named `max`, `argmin`, `best` …"""
        if "best" in name:
            return min if measure.metric in ("loss", "gap", "train_loss", "plain_gap") else max
        return min if "min" in name else max

    def _spread(self, node: ast.expr, exclude: Sequence[str] = ()) -> float:
        """Deviation over seeds, pooled over configurations; relative to the value for what scatters so."""
        measure = self.measure(_arguments(node)[0])
        variances = []
        for cell in self.report.cells(measure.runs):
            if cell.name not in exclude:
                values = np.asarray(self.values(measure, cell))
                variances.append(values.var() / (values.mean() ** 2 if measure.noise.relative else 1))
        return math.sqrt(np.mean(variances))

    # ---- relations ----

    def _asked(self, relation: ast.expr, of: ast.expr, chosen: Chosen) -> list[bool]:
        """Whether a relation holds for each of the configurations that one of the measures in `of` names."""
        nodes = [node for node in ast.walk(of) if isinstance(node, ast.expr) and self.is_measure(node)]
        named = {measure.runs for measure in map(self.measure, nodes) if not measure.pick}
        several = [runs for runs in named if len(self.report.cells(runs)) > 1] or list(named)[:1]
        (runs,) = several
        return [self._holds(relation, {**chosen, runs: cell}) for cell in self.report.cells(runs)]

    def _holds(self, node: ast.expr, chosen: Chosen) -> bool:
        match node:
            case ast.BoolOp():
                joined = all if isinstance(node.op, ast.And) else any
                return joined([self._holds(part, chosen) for part in node.values])
            case ast.UnaryOp(op=ast.Not()):
                return not self._holds(node.operand, chosen)
            case ast.Call() if _name(node) in QUANTIFIERS:
                return QUANTIFIERS[_name(node)](self._asked(node.args[0], node.args[0], chosen))
            case ast.Call() if _name(node) == "within":
                left, right, margin = (self._value(each, chosen) for each in node.args)
                return abs(left - right) <= margin
            case ast.Call() if _name(node) == "at_chance":
                cells = self.report.cells(self.measure(node.args[0]).runs)
                chances = [tables.chance(cell.runs[0]) for tables in self.worlds for cell in cells]
                limit = (1 + AT_CHANCE) * max(chance for chance, _ in filter(None, chances))
                return self._value(node.args[0], chosen) <= limit
            case ast.Compare():
                return self._compared(node, chosen)
        raise ValueError(f"{ast.unparse(node)}: not known here")

    def _compared(self, node: ast.Compare, chosen: Chosen) -> bool:
        quantified = [
            each
            for each in ast.walk(node)
            if isinstance(each, ast.Call) and _name(each) in QUANTIFIERS and self.is_measure(each.args[0])
        ]
        if quantified and self.measure(quantified[0].args[0]).runs not in chosen:
            (each,) = quantified
            return QUANTIFIERS[_name(each)](self._asked(node, each.args[0], chosen))
        if _name(node.left).startswith("arg"):
            return self._best(node.left, node.comparators[0])
        if "spread" in (_name(node.left), _name(node.comparators[0])):
            return self._wider(node)
        sides = [self._value(side, chosen) for side in (node.left, *node.comparators)]
        return all(ORDER[type(op)](a, b) for a, op, b in zip(sides[:-1], node.ops, sides[1:], strict=True))

    def _best(self, call: ast.expr, named: ast.expr) -> bool:
        measure = self.measure(_arguments(call)[0])
        choose = self._choose(_name(call), measure)
        best = choose(self.report.cells(measure.runs), key=lambda cell: self.mean(measure, cell))
        return best.name in {cell.name for cell in self.report.cells(_text(named))}

    def _wider(self, node: ast.Compare) -> bool:
        """A configuration that both sides name counts on the first alone."""
        sides = [node.left, node.comparators[0]]
        if isinstance(node.ops[0], ast.Lt | ast.LtE):
            sides.reverse()
        wide = self.measure(_arguments(sides[0])[0])
        named = [cell.name for cell in self.report.cells(wide.runs)]
        return self._spread(sides[0]) > self._spread(sides[1], named)


def _joined(node: ast.expr) -> list[ast.expr]:
    """The relations that `and` joins."""
    together = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And)
    return node.values if together else [node]  # type: ignore[attr-defined]


def _name(node: ast.AST) -> str:
    """The name of the function that a call calls; empty for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _arguments(node: ast.expr) -> list[ast.expr]:
    return node.args if isinstance(node, ast.Call) else []


def _text(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else str(ast.literal_eval(node))
