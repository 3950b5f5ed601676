"""What a report's expressions say of made-up results, without noise and without the rule that gives verdicts.

It is the tests' own reading of the grammar, on purpose: the rule is measured on these worlds, so nothing of
it may be used to make them. Words that the grammar learns are added here, too.
"""

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reprise.extensions import METRICS
from reprise.publishing.measures import Measure, Tables, best_run, levels, read
from reprise.reports.expressions import read_expression
from reprise.reports.report import Cell, Report

OVER_CELLS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "max": max,
    "min": min,
}
QUANTIFIERS: Mapping[str, Callable[[Iterator[bool]], bool]] = {"every": all, "some": any}
AT_CHANCE = 0.1
"""By what share of chance a mean over many seeds may exceed it."""


class Reading:
    """The measures that the expressions of a report name."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def quantity(self, text: str) -> Measure:
        """A metric, or a name under the report's `measures`, without its cells."""
        tree = read_expression(text, f"{self.report.slug}: {text}").tree
        return Measure.parse({**self._spec(tree), "runs": ""}, f"{self.report.slug}: {text}")

    def measure(self, call: ast.Call) -> Measure:
        """A measure with its cells; `pick` where they stand for the best run of them."""
        named = _text(call.args[0])
        cells = self.report.names.cells.get(named, {"runs": named})
        spec = {**self._spec(call, cells=1), "runs": cells["runs"]}
        return Measure.parse(spec | ({"pick": "best"} if "pick" in cells else {}), ast.unparse(call))

    def is_measure(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and (
            _name(node) in METRICS or _name(node) in self.report.names.measures
        )

    def measures(self, text: str) -> list[Measure]:
        """All that an expression measures."""
        tree = read_expression(text).tree
        return [self.measure(node) for node in ast.walk(tree) if self.is_measure(node)]  # type: ignore[arg-type]

    def _spec(self, node: ast.expr, cells: int = 0) -> dict[str, Any]:
        name = node.id if isinstance(node, ast.Name) else _name(node)
        if name in self.report.names.measures:
            return self._spec(read_expression(self.report.names.measures[name]).tree)
        arguments = node.args[cells:] if isinstance(node, ast.Call) else []
        keywords = node.keywords if isinstance(node, ast.Call) else []
        needs = METRICS[name].needs if name in METRICS else ""
        return {
            "metric": name,
            **{needs: ast.literal_eval(value) for value in arguments},
            **{str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords},
        }


class Averages(Reading):
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
            ast.unparse(node): self._holds(node)
            for text in texts
            for node in _relations(read_expression(text).tree)
        }

    # ---- values ----

    def _values(self, measure: Measure, cell: Cell) -> list[float]:
        """One value for each run and world."""
        key = measure.quantity, cell.name
        if key not in self._known:
            runs = cell.runs[: self.of]
            readings = [read(measure, tables, cell, run) for tables in self.worlds for run in runs]
            if None in readings:
                raise ValueError(f"{cell.name} has no {measure.metric}")
            self._known[key] = [reading.value for reading in readings if reading]
        return self._known[key]

    def _mean(self, measure: Measure, cell: Cell) -> float:
        return float(np.mean(self._values(measure, cell)))

    def _picked(self, measure: Measure) -> float:
        cells, found = self.report.cells(measure.runs), []
        for tables in self.worlds:
            winner = best_run(cells, tables)
            reading = read(measure, tables, *winner) if winner else None
            if reading is None:
                raise ValueError(f"{measure.runs}: the best run has no {measure.metric}")
            found.append(reading.value)
        return float(np.mean(found))

    def _value(self, node: ast.expr, chosen: Mapping[str, Cell]) -> float:
        match node:
            case ast.Constant():
                return float(node.value)  # type: ignore[arg-type]
            case ast.UnaryOp(op=ast.USub()):
                return -self._value(node.operand, chosen)
            case ast.UnaryOp():
                return self._value(node.operand, chosen)
            case ast.BinOp():
                left, right = self._value(node.left, chosen), self._value(node.right, chosen)
                match node.op:
                    case ast.Add():
                        return left + right
                    case ast.Sub():
                        return left - right
                    case ast.Mult():
                        return left * right
                    case ast.Div():
                        return left / right
            case ast.Call():
                return self._called(node, chosen)
        raise ValueError(f"{ast.unparse(node)}: not known here")

    def _called(self, node: ast.Call, chosen: Mapping[str, Cell]) -> float:
        name = _name(node)
        if name in QUANTIFIERS:
            return self._mean(self.measure(_call(node.args[0])), chosen[ast.unparse(node)])
        if name == "spread":
            return self._spread(node, exclude=())
        if name in OVER_CELLS or name == "effect":
            measure = self.measure(_call(node.args[0]))
            cells = self.report.cells(measure.runs)
            if name == "effect":
                compared = levels(cells, ast.literal_eval(node.args[1]))
                means = [np.mean([self._mean(measure, cell) for cell in each]) for each in compared.values()]
                return float(max(means) - min(means))
            return OVER_CELLS[name]([self._mean(measure, cell) for cell in cells])
        measure = self.measure(node)
        if measure.pick:
            return self._picked(measure)
        (cell,) = self.report.cells(measure.runs)
        return self._mean(measure, cell)

    def _spread(self, node: ast.expr, exclude: Sequence[str]) -> float:
        """Deviation over seeds, pooled over configurations; relative to the value for what scatters so."""
        measure = self.measure(_call(_call(node).args[0]))
        cells = [cell for cell in self.report.cells(measure.runs) if cell.name not in exclude]
        variances = []
        for cell in cells:
            values = np.asarray(self._values(measure, cell))
            variances.append(values.var() / (values.mean() ** 2 if measure.noise.relative else 1))
        return math.sqrt(np.mean(variances))

    # ---- relations ----

    def _holds(self, node: ast.expr) -> bool:
        asked = [each for each in ast.walk(node) if isinstance(each, ast.Call) and _name(each) in QUANTIFIERS]
        if not asked:
            return self._relation(node, {})
        (quantified,) = asked
        cells = self.report.cells(self.measure(_call(quantified.args[0])).runs)
        which = ast.unparse(quantified)
        return QUANTIFIERS[_name(quantified)](self._relation(node, {which: cell}) for cell in cells)

    def _relation(self, node: ast.expr, chosen: Mapping[str, Cell]) -> bool:
        if isinstance(node, ast.Call) and _name(node) == "within":
            left, right, margin = (self._value(each, chosen) for each in node.args)
            return abs(left - right) <= margin
        if isinstance(node, ast.Call) and _name(node) == "at_chance":
            measure = self.measure(_call(node.args[0]))
            cells = self.report.cells(measure.runs)
            chances = [tables.chance(cell.runs[0]) for tables in self.worlds for cell in cells]
            return self._value(node.args[0], chosen) <= (1 + AT_CHANCE) * max(each[0] for each in chances if each)
        if not isinstance(node, ast.Compare):
            raise ValueError(f"{ast.unparse(node)}: not known here")
        if _name(node.left) in ("argmax", "argmin"):
            return self._best(_call(node.left), node.comparators[0])
        if "spread" in (_name(node.left), _name(node.comparators[0])):
            return self._wider(node)
        sides = [self._value(side, chosen) for side in (node.left, *node.comparators)]
        compared = zip(sides[:-1], node.ops, sides[1:], strict=True)
        return all(a < b if isinstance(op, ast.Lt | ast.LtE) else a > b for a, op, b in compared)

    def _best(self, call: ast.Call, named: ast.expr) -> bool:
        measure = self.measure(_call(call.args[0]))
        choose = max if _name(call) == "argmax" else min
        best = choose(self.report.cells(measure.runs), key=lambda cell: self._mean(measure, cell))
        return best.name in {cell.name for cell in self.report.cells(_text(named))}

    def _wider(self, node: ast.Compare) -> bool:
        """A configuration that both sides name counts on the first alone."""
        sides = [node.left, node.comparators[0]]
        if isinstance(node.ops[0], ast.Lt):
            sides.reverse()
        wide = self.measure(_call(_call(sides[0]).args[0]))
        named = [cell.name for cell in self.report.cells(wide.runs)]
        return self._spread(sides[0], ()) > self._spread(sides[1], named)


def _relations(node: ast.expr) -> list[ast.expr]:
    return node.values if isinstance(node, ast.BoolOp) else [node]


def _name(node: ast.AST) -> str:
    """The name of the function that a call calls; empty for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _call(node: ast.expr) -> ast.Call:
    if not isinstance(node, ast.Call):
        raise ValueError(f"{ast.unparse(node)}: a call is expected here")
    return node


def _text(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else str(ast.literal_eval(node))
