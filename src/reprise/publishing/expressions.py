"""What the expressions of a report file mean: measures, values computed from them, and relations.

The grammar is one page in `docs/verdicts.md`; `reprise.reports.expressions` checks its syntax.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS
from reprise.publishing.measures import Measure
from reprise.reports.expressions import Expression, Names, read_expression

OVER_CELLS = ("mean", "max", "min", "effect", "every")
"""Functions that make one value of the values of several configurations; with `every` a relation must hold
for each of them.
"""
BEST = ("argmax", "argmin")
BY_CELL = (*BEST, "spread")
"""Relations that compare configurations one by one."""
RELATIONS = ("within", "at_chance", *BY_CELL)
KNOWN = (
    "a claim is made of a < b, a > b, within(a, b, 0.02), at_chance(a), argmax(a) == cells and "
    "spread(a) > spread(b)"
)


@dataclass(frozen=True)
class Value:
    """constant + Σ factor · measure, and what it is in words."""

    terms: Mapping[Measure, float]
    constant: float = 0.0
    words: str = ""

    def plus(self, other: Value, factor: float = 1.0) -> Value:
        measures = dict.fromkeys([*self.terms, *other.terms])
        terms = {one: self.terms.get(one, 0.0) + factor * other.terms.get(one, 0.0) for one in measures}
        return Value(terms, self.constant + factor * other.constant)

    def times(self, factor: float) -> Value:
        return Value({one: factor * value for one, value in self.terms.items()}, factor * self.constant)


@dataclass(frozen=True)
class Relation:
    """A relation; `kind` is `>`, `<`, `within`, `at_chance`, `argmax`, `argmin` or `spread`.

    `text` is what the report file says, `words` the same for readers. `left` and `right` are the sides (of
    `spread`, `left` is the one said to scatter more), `margin` that of `within`, `selector` the cells that
    argmax or argmin should name.
    """

    text: str
    words: str
    kind: str
    left: Value
    right: Value = field(default_factory=lambda: Value({}))
    margin: float = 0.0
    selector: str = ""

    @property
    def measures(self) -> list[Measure]:
        return list(dict.fromkeys([*self.left.terms, *self.right.terms]))

    @property
    def quantified(self) -> Measure | None:
        """The measure under `every(…)`, if there is one."""
        return next((measure for measure in self.measures if measure.cells == "every"), None)

    def of(self, cell: str) -> Relation:
        """The relation for one of the configurations that `every(…)` is about."""
        every = self.quantified
        if every is None:
            return self
        one = replace(every, runs=cell, cells=None)

        def put(value: Value) -> Value:
            return replace(
                value, terms={one if each == every else each: by for each, by in value.terms.items()}
            )

        words = self.words.replace("every ", "", 1)
        words = words.replace(every.runs, cell) if every.runs in words else f"{words} ({cell})"
        return replace(self, words=words, left=put(self.left), right=put(self.right))


class Expressions:
    """The expressions of one report, whose `names` they can give."""

    def __init__(self, names: Names) -> None:
        self.cells = names.cells
        self.measures: dict[str, dict[str, Any]] = {}
        for name, text in names.measures.items():
            where = names.where(name)
            taken = [*METRICS, *OVER_CELLS, *RELATIONS]
            if name in taken:
                raise RepriseError(f"{where}: '{name}' is a word of the grammar; choose another name")
            self.measures[name] = _Reader(self, read_expression(text, where)).definition()

    def value(self, text: str, where: str) -> Value:
        """The value that a number statement measures; a mistake is a `RepriseError` that starts with
        `where`.
        """
        reader = _Reader(self, read_expression(text, where))
        value = reader.number(reader.expression.tree)
        if any(measure.cells == "every" for measure in value.terms):
            raise reader.fail(reader.expression.tree, "every(…) stands in a claim, not in a number")
        if not value.terms:
            raise reader.fail(
                reader.expression.tree, "it measures nothing; a value is computed from measured ones"
            )
        return value

    def relations(self, text: str, where: str) -> list[Relation]:
        """The relations that must hold, all of them; a mistake is a `RepriseError` that starts with
        `where`.
        """
        reader = _Reader(self, read_expression(text, where))
        return reader.relations(reader.expression.tree)


class _Reader:
    """Reads one expression."""

    def __init__(self, known: Expressions, expression: Expression) -> None:
        self.known = known
        self.expression = expression

    def fail(self, node: ast.AST, what: str) -> RepriseError:
        return self.expression.fail(node, what)

    # ---- measures ----

    def definition(self) -> dict[str, Any]:
        """The metric and options of a named measure: a call without its cells."""
        call = self.expression.tree
        if isinstance(call, ast.Name) and call.id in METRICS:
            return {"metric": call.id}
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise self.fail(
                call,
                'write a call of a metric without its cells, e.g. accuracy(split="validation", at="last")',
            )
        if call.func.id not in METRICS:
            raise self.fail(call, f"no metric '{call.func.id}'{nearest(call.func.id, METRICS)}")
        spec = {"metric": call.func.id, **self.options(call, call.func.id)}
        Measure.parse({**spec, "runs": ""}, self.where(call))
        return spec

    def options(self, call: ast.Call, metric: str) -> dict[str, Any]:
        """The options of a call: those by keyword, and without it the one that the metric needs."""
        needs = METRICS[metric].needs
        found: dict[str, Any] = {}
        for place, node in enumerate(call.args[1:]):
            if place or not needs:
                names = [*METRICS[metric].options] or ["nothing else"]
                raise self.fail(node, f"{metric} takes its cells, then by name {' and '.join(names)}")
            found[needs] = self.literal(node)
        for keyword in call.keywords:
            if keyword.arg is None:
                raise self.fail(keyword, "'**' means nothing here; write the options out")
            if keyword.arg in found:
                raise self.fail(keyword, f"{keyword.arg} stands twice; keep one")
            options = [*filter(None, [needs]), *METRICS[metric].options]
            if keyword.arg not in options:
                near = nearest(keyword.arg, options) if options else "; it takes its cells alone"
                raise self.fail(keyword, f"{metric} takes no '{keyword.arg}'{near}")
            found[keyword.arg] = self.literal(keyword.value)
        return found

    def literal(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List) and all(isinstance(item, ast.Constant) for item in node.elts):
            return [item.value for item in node.elts if isinstance(item, ast.Constant)]
        raise self.fail(
            node,
            f"{self.expression.source(node)!r} is no plain value; write a text in quotes, "
            "a number or a list of them",
        )

    def where(self, node: ast.AST) -> str:
        """The start of a message about a part that another function gives."""
        expression = self.expression
        return f"{expression.where}: {expression.text!r}: column {expression.column(node)}"

    def cells(self, node: ast.expr) -> tuple[dict[str, str], str]:
        """The keys `runs` and `pick` of cells that are named, and how readers know them."""
        if isinstance(node, ast.Name):
            named = node.id
            words = named.replace("_", " ")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            named = words = node.value
        else:
            raise self.fail(node, "expected cells: a name, or a selector in quotes")
        found = dict(self.known.cells.get(named, {"runs": named}))
        return found, found.pop("label", words)

    def measure(self, node: ast.expr, *, over: str = "", axis: str | None = None) -> tuple[Measure, str]:
        """A call that measures, and what it is in words; `over` is the function over its cells."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise self.fail(
                node, f"expected a measure, e.g. accuracy(base), not {self.expression.source(node)!r}"
            )
        name = node.func.id
        if name in OVER_CELLS and not over:
            return self.over_cells(node, name)
        if name in RELATIONS or name in OVER_CELLS:
            raise self.fail(node, f"{name}(…) is no measure; expected one, e.g. accuracy(base)")
        if name not in METRICS and name not in self.known.measures:
            valid = [*self.known.measures, *METRICS, *OVER_CELLS]
            raise self.fail(node, f"no metric or measure '{name}'{nearest(name, valid)}")
        if not node.args:
            raise self.fail(node, f"{name} of which cells? write {name}(name), or a selector in quotes")
        cells, words = self.cells(node.args[0])
        if name in self.known.measures:
            if len(node.args) > 1 or node.keywords:
                raise self.fail(
                    node, f"the measure {name} takes its cells alone; its options stand under measures"
                )
            spec = self.known.measures[name]
        else:
            spec = {"metric": name, **self.options(node, name)}
        how = {"effect": axis} if over == "effect" else {"cells": over} if over else {}
        measure = Measure.parse({**spec, **cells, **how}, self.where(node))
        return measure, measure.words(words)

    def over_cells(self, call: ast.Call, name: str) -> tuple[Measure, str]:
        """`mean(…)`, `max(…)` or `min(…)` of a measure, or `effect(…, axis)`."""
        axis = None
        if name == "effect":
            if len(call.args) != 2 or call.keywords:
                raise self.fail(call, 'effect takes a measure and an axis: effect(accuracy(grid), "lr")')
            axis = self.literal(call.args[1])
            if not isinstance(axis, str) or not axis:
                raise self.fail(call.args[1], "expected an axis in quotes")
        elif len(call.args) != 1 or call.keywords:
            raise self.fail(call, f"{name} takes one measure, of several cells: {name}(accuracy(grid))")
        return self.measure(call.args[0], over=name, axis=axis)

    # ---- values ----

    def number(self, node: ast.expr) -> Value:
        """constant + Σ factor · measure."""
        match node:
            case ast.Constant(value=int() | float() as value):
                return Value({}, float(value), self.expression.source(node))
            case ast.UnaryOp(op=op, operand=operand):
                inner = self.number(operand)
                sign = "−" if isinstance(op, ast.USub) else ""
                found = inner.times(-1.0 if sign else 1.0)
                words = f"({inner.words})" if isinstance(operand, ast.BinOp) else inner.words
                return Value(found.terms, found.constant, sign + words)
            case ast.BinOp():
                return self.computed(node)
            case ast.Call():
                measure, words = self.measure(node)
                return Value({measure: 1.0}, words=words)
            case ast.Name(id=name):
                raise self.fail(node, f"'{name}' is no value; measure it, e.g. accuracy({name})")
            case ast.Compare() | ast.BoolOp():
                raise self.fail(node, "a relation cannot stand in a value")
        raise self.fail(node, f"expected a measure or a number, not {self.expression.source(node)!r}")

    def computed(self, node: ast.BinOp) -> Value:
        left, right = self.number(node.left), self.number(node.right)
        match node.op:
            case ast.Add() | ast.Sub():
                minus = isinstance(node.op, ast.Sub)
                found, sign = left.plus(right, -1.0 if minus else 1.0), "−" if minus else "+"
            case ast.Mult():
                if left.terms and right.terms:
                    raise self.fail(node, "measures can be multiplied by numbers only")
                found = right.times(left.constant) if right.terms else left.times(right.constant)
                sign = "×"
            case _:
                if right.terms or right.constant == 0:
                    raise self.fail(node, "measures can be divided by numbers other than 0 only")
                found, sign = left.times(1 / right.constant), "/"
        if not all(math.isfinite(value) for value in (*found.terms.values(), found.constant)):
            raise self.fail(node, "the result is no number to compute with")
        words = [left.words, right.words]
        for side, part in enumerate((node.left, node.right)):
            if _is_sum(part) and (sign in "×/" or side):
                words[side] = f"({words[side]})"
        return Value(found.terms, found.constant, f" {sign} ".join(words))

    # ---- relations ----

    def relations(self, node: ast.expr) -> list[Relation]:
        match node:
            case ast.BoolOp(values=parts):
                return [relation for part in parts for relation in self.relations(part)]
            case ast.Compare():
                sides = [node.left, *node.comparators]
                pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
                return [self.compared(node, *pair) for pair in pairs]
            case ast.Call(func=ast.Name(id="within")):
                return [self.within(node)]
            case ast.Call(func=ast.Name(id="at_chance")):
                return [self.at_chance(node)]
        raise self.fail(node, f"{self.expression.source(node)!r} is no relation; {KNOWN}")

    def compared(self, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Relation:
        text = f"{self.expression.source(left)} {_SIGNS[type(op)]} {self.expression.source(right)}"
        if _function(left) in BEST:
            if not isinstance(op, ast.Eq) or len(node.ops) > 1:
                raise self.fail(left, f'write {_function(left)}(…) == cells, e.g. == "search/trial=0"')
            return self.best(text, left, right)
        if isinstance(op, ast.Eq):
            raise self.fail(
                left, "'==' goes with argmax(…) and argmin(…); of two values, write within(a, b, margin)"
            )
        if "spread" in (_function(left), _function(right)):
            return self.spread(text, *((right, left) if isinstance(op, ast.Lt) else (left, right)))
        values = self.number(left), self.number(right)
        if not values[0].terms and not values[1].terms:
            raise self.fail(left, "it measures nothing; a relation compares measured values")
        sign = _SIGNS[type(op)]
        return Relation(text, f"{values[0].words} {sign} {values[1].words}", sign, *values)

    def within(self, call: ast.Call) -> Relation:
        if len(call.args) != 3 or call.keywords:
            raise self.fail(
                call, "within takes two values and a margin: within(accuracy(a), accuracy(b), 0.02)"
            )
        left, right = self.number(call.args[0]), self.number(call.args[1])
        if not left.terms and not right.terms:
            raise self.fail(call, "it measures nothing; a relation compares measured values")
        margin = self.number(call.args[2])
        if margin.terms or margin.constant <= 0:
            raise self.fail(call.args[2], "the margin is a number above 0")
        words = f"{left.words} within {margin.words} of {right.words}"
        return Relation(self.expression.source(call), words, "within", left, right, margin.constant)

    def at_chance(self, call: ast.Call) -> Relation:
        accuracy, measure = self.alone(call)
        if measure.metric != "accuracy" or measure.effect:
            raise self.fail(call, "only an accuracy can be at chance")
        return Relation(self.expression.source(call), f"{accuracy.words} at chance", "at_chance", accuracy)

    def best(self, text: str, call: ast.expr, cells: ast.expr) -> Relation:
        value = self.by_cell(call)
        named, words = self.cells(cells)
        if "pick" in named:
            raise self.fail(cells, f"{words} is one picked run; name the cells that should be the best")
        kind = _function(call)
        most = "largest" if kind == "argmax" else "smallest"
        return Relation(text, f"{most} {value.words}: {words}", kind, value, selector=named["runs"])

    def spread(self, text: str, wider: ast.expr, steadier: ast.expr) -> Relation:
        for side in (wider, steadier):
            if _function(side) != "spread":
                raise self.fail(side, "a spread is compared with another: spread(a) > spread(b)")
        more, less = self.by_cell(wider), self.by_cell(steadier)
        if len({measure.kind for measure in (*more.terms, *less.terms)}) > 1:
            raise self.fail(wider, "only measures of the same metric, split and epoch can be compared")
        words = f"seeds scatter more in the {more.words} than in the {less.words}"
        return Relation(text, words, "spread", more, less)

    def alone(self, call: ast.expr) -> tuple[Value, Measure]:
        """The one measure that a relation such as `at_chance(…)` takes."""
        name = _function(call)
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            raise self.fail(call, f"{name} takes one measure: {name}(accuracy(base))")
        value = self.number(call.args[0])
        if list(value.terms.values()) != [1.0] or value.constant:
            raise self.fail(call.args[0], f"{name} takes one measure alone, without arithmetic")
        return value, next(iter(value.terms))

    def by_cell(self, call: ast.expr) -> Value:
        """The one measure of a relation that compares configurations."""
        value, measure = self.alone(call)
        if measure.cells or measure.pick or measure.effect:
            what = f"{_function(call)} compares configurations"
            raise self.fail(call, f"{what}; leave mean, max, min, effect and picked runs out")
        if measure.metric == "setting":
            raise self.fail(call, f"{_function(call)} compares results, and this is a setting")
        return value


_SIGNS: Mapping[type[ast.cmpop], str] = {ast.Lt: "<", ast.Gt: ">", ast.Eq: "=="}


def _is_sum(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _function(node: ast.expr) -> str:
    """The name of the function that a call calls; empty for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
