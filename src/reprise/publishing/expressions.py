"""What the expressions of a report file mean: measures, values computed from them, and relations.

The grammar is one page in `docs/statements.md`; `reprise.reports.expressions` checks its syntax.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS
from reprise.hints import metric_hint
from reprise.publishing.measures import Measure
from reprise.publishing.words import selected
from reprise.reports.expressions import LARGEST, Expression, Names, read_expression

OVER_CELLS = ("mean", "best", "max", "min", "effect")
"""Functions that make one value of the values of several configurations."""
QUANTIFIERS = ("every", "some")
"""Functions of a relation that is asked of several configurations; `share` says how many of them pass."""
BEST = ("argbest", "argmax", "argmin")
RELATIONS = ("within", "at_chance", "spread", *BEST)
WORDS_OF_THE_GRAMMAR = (*OVER_CELLS, *QUANTIFIERS, "share", *RELATIONS)
KNOWN = (
    "a claim is made of a < b, a >= b, within(a, b, 0.02), at_chance(a), argbest(a) == cells and "
    "spread(a) > spread(b), joined by and, or, not, every(…) and some(…)"
)


@dataclass(frozen=True)
class Share:
    """Of the configurations that a relation is asked of, the share of those for which it holds."""

    relation: Relation


@dataclass(frozen=True)
class Value:
    """constant + Σ factor · term, and what it is in words."""

    terms: Mapping[Measure | Share, float]
    constant: float = 0.0
    words: str = ""

    def plus(self, other: Value, factor: float = 1.0) -> Value:
        """The sum; terms that cancel are gone."""
        every = dict.fromkeys([*self.terms, *other.terms])
        parts = {one: (self.terms.get(one, 0.0), factor * other.terms.get(one, 0.0)) for one in every}
        terms = {one: a + b for one, (a, b) in parts.items() if abs(a + b) > _CANCELLED * max(abs(a), abs(b))}
        return Value(terms, self.constant + factor * other.constant)

    def times(self, factor: float) -> Value:
        terms = {one: factor * value for one, value in self.terms.items() if factor}
        return Value(terms, factor * self.constant)

    @property
    def shares(self) -> list[Share]:
        return [term for term in self.terms if isinstance(term, Share)]

    @property
    def measures(self) -> list[Measure]:
        """Every measure in it."""
        found: list[Measure] = []
        for term in self.terms:
            found += [term] if isinstance(term, Measure) else term.relation.measures
        return found

    @property
    def is_count(self) -> bool:
        """Whether it is a whole number in each run."""
        whole = all(float(one).is_integer() for one in [self.constant, *self.terms.values()])
        return whole and all(isinstance(term, Measure) and term.noise.count for term in self.terms)

    def put(self, change: Callable[[Measure], Measure]) -> Value:
        """The value with its measures changed."""
        terms: dict[Measure | Share, float] = {}
        for term, factor in self.terms.items():
            changed = change(term) if isinstance(term, Measure) else Share(term.relation.put(change))
            terms[changed] = terms.get(changed, 0.0) + factor
        return replace(self, terms=terms)

    def __hash__(self) -> int:
        return hash((frozenset(self.terms.items()), self.constant))


_CANCELLED = 1e-12
"""What is left, as a share of them, of two factors that cancel."""


@dataclass(frozen=True)
class Relation:
    """What a claim says holds. `text` is what the report file says, `words` the same for readers."""

    text: str
    words: str

    @property
    def values(self) -> list[Value]:
        return []

    @property
    def parts(self) -> tuple[Relation, ...]:
        return ()

    @property
    def measures(self) -> list[Measure]:
        """Every measure in it, once."""
        own = [measure for value in self.values for measure in value.measures]
        return list(dict.fromkeys([*own, *(one for part in self.parts for one in part.measures)]))

    def put(self, change: Callable[[Measure], Measure]) -> Relation:
        """The relation with its measures changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Order(Relation):
    """`left > right`; `sign` is `>`, `<`, `>=` or `<=`."""

    left: Value
    right: Value
    sign: str

    @property
    def values(self) -> list[Value]:
        return [self.left, self.right]

    def put(self, change: Callable[[Measure], Measure]) -> Order:
        return replace(self, left=self.left.put(change), right=self.right.put(change))


@dataclass(frozen=True)
class Within(Relation):
    """The two sides differ by at most `margin`."""

    left: Value
    right: Value
    margin: float

    @property
    def values(self) -> list[Value]:
        return [self.left, self.right]

    def put(self, change: Callable[[Measure], Measure]) -> Within:
        return replace(self, left=self.left.put(change), right=self.right.put(change))


@dataclass(frozen=True)
class AtChance(Relation):
    """An accuracy is what guessing would give."""

    accuracy: Value

    @property
    def values(self) -> list[Value]:
        return [self.accuracy]

    def put(self, change: Callable[[Measure], Measure]) -> AtChance:
        return replace(self, accuracy=self.accuracy.put(change))


@dataclass(frozen=True)
class ArgBest(Relation):
    """Of the configurations of `measure`, one of those that `selector` names has the largest value, or the
    smallest.
    """

    measure: Measure
    selector: str
    largest: bool

    @property
    def values(self) -> list[Value]:
        return [Value({self.measure: 1.0})]

    def put(self, change: Callable[[Measure], Measure]) -> ArgBest:
        return replace(self, measure=change(self.measure))


@dataclass(frozen=True)
class Scatter(Relation):
    """The seeds of the configurations of `wider` scatter more than those of `steadier`."""

    wider: Measure
    steadier: Measure

    @property
    def values(self) -> list[Value]:
        return [Value({self.wider: 1.0}), Value({self.steadier: 1.0})]

    def put(self, change: Callable[[Measure], Measure]) -> Scatter:
        return replace(self, wider=change(self.wider), steadier=change(self.steadier))


@dataclass(frozen=True)
class Joined(Relation):
    """All of the parts hold, or any of them."""

    of: tuple[Relation, ...]
    every: bool = True

    @property
    def parts(self) -> tuple[Relation, ...]:
        return self.of

    def put(self, change: Callable[[Measure], Measure]) -> Joined:
        return replace(self, of=tuple(part.put(change) for part in self.of))


@dataclass(frozen=True)
class Opposite(Relation):
    """The part does not hold."""

    part: Relation

    @property
    def parts(self) -> tuple[Relation, ...]:
        return (self.part,)

    def put(self, change: Callable[[Measure], Measure]) -> Opposite:
        return replace(self, part=self.part.put(change))


@dataclass(frozen=True)
class Quantified(Relation):
    """The part holds for every configuration that its measures name, or for some."""

    part: Relation
    every: bool = True

    @property
    def parts(self) -> tuple[Relation, ...]:
        return (self.part,)

    def put(self, change: Callable[[Measure], Measure]) -> Quantified:
        return replace(self, part=self.part.put(change))


def every_part(relation: Relation) -> Iterator[Relation]:
    """The relation, and all that it is joined of."""
    yield relation
    for part in relation.parts:
        yield from every_part(part)


class Expressions:
    """The expressions of one report, whose `names` they can give."""

    def __init__(self, names: Names) -> None:
        self.cells = names.cells
        self.measures: dict[str, dict[str, Any]] = {}
        for name, text in names.measures.items():
            where = names.where(name)
            taken = [*METRICS, *WORDS_OF_THE_GRAMMAR]
            if name in taken:
                raise RepriseError(f"{where}: '{name}' is a word of the grammar; choose another name")
            self.measures[name] = _Reader(self, read_expression(text, where)).definition()

    def value(self, text: str, where: str) -> Value:
        """The value that a number statement measures; a mistake is a `RepriseError` that starts with
        `where`.
        """
        reader = _Reader(self, read_expression(text, where))
        value = reader.number(reader.expression.tree)
        if not value.terms:
            raise reader.fail(
                reader.expression.tree, "it measures nothing; use a measure, e.g. accuracy(base)"
            )
        return value

    def relation(self, text: str, where: str) -> Relation:
        """The relation that must hold; a mistake is a `RepriseError` that starts with `where`."""
        reader = _Reader(self, read_expression(text, where))
        return reader.relation(reader.expression.tree)


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
            raise self.fail(call, f"no metric '{call.func.id}'{metric_hint(call.func.id, METRICS)}")
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
            f"{self.expression.source(node)!r} is not a plain value; write a text in quotes, "
            f"a number or a list of them{self.quoted(node, ', as in')}",
        )

    def quoted(self, node: ast.expr, before: str) -> str:
        """A name, or a selector without quotes, with them, and the words `before` it; empty for others."""
        source = self.expression.source(node)
        return f'{before} "{source}"' if re.fullmatch(r"[A-Za-z_][\w.]*(/[\w.*=-]+)?", source) else ""

    def where(self, node: ast.AST) -> str:
        """The start of a message about a part that another function gives."""
        expression = self.expression
        return f"{expression.where}: {expression.text!r}: column {expression.column(node)}"

    def cells(self, node: ast.expr) -> tuple[dict[str, str], str]:
        """The keys `runs` and `pick` of cells that are named, and how readers know them."""
        if isinstance(node, ast.Name):
            named = node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            named = node.value
        else:
            what = f"expected cells: a name, or a selector in quotes{self.quoted(node, '; write')}"
            raise self.fail(node, what)
        found = dict(self.known.cells.get(named, {"runs": named}))
        return found, found.pop("label", "") or selected(named)

    def measure(self, node: ast.expr, *, over: str = "", axis: str | None = None) -> tuple[Measure, str]:
        """A call that measures, and what it is in words; `over` is the function over its cells."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise self.fail(
                node, f"expected a measure, e.g. accuracy(base), not {self.expression.source(node)!r}"
            )
        name = node.func.id
        if name in OVER_CELLS and not over:
            return self.over_cells(node, name)
        if name in WORDS_OF_THE_GRAMMAR:
            raise self.fail(node, f"{name}(…) is not a measure; expected one, e.g. accuracy(base)")
        if name not in METRICS and name not in self.known.measures:
            valid = [*self.known.measures, *METRICS, *WORDS_OF_THE_GRAMMAR]
            asked = self.expression.source(node.args[0]) if node.args else "cells"
            raise self.fail(node, f"no metric or measure '{name}'{metric_hint(name, valid, asked)}")
        if name == "rank":
            return self.rank(node, {"effect": axis} if over == "effect" else {"cells": over} if over else {})
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
        how = {"effect": axis} if over == "effect" else {}
        measure = Measure.parse({**spec, **cells, **how}, self.where(node))
        if over == "best":
            if measure.better is None:
                raise self.fail(node, f"{name} has no best; write max(…) or min(…)")
            if measure.pick:
                what = f"one run of {measure.runs} is picked, so there is no best of several"
                raise self.fail(node, f"{what}; leave best(…) out")
            over = "max" if measure.better == "larger" else "min"
        if over and over != "effect":
            measure = Measure.parse({**spec, **cells, "cells": over}, self.where(node))
        return measure, measure.words(words)

    def rank(self, call: ast.Call, over: Mapping[str, Any]) -> tuple[Measure, str]:
        """`rank("plain", cells)`: the place of a class among all by test accuracy. `over`: what is to be made
        of several configurations, which a rank refuses.
        """
        if len(call.args) != 2 or call.keywords:
            raise self.fail(call, 'rank takes a class and its cells: rank("cat", base)')
        cells, words = self.cells(call.args[1])
        spec = {"metric": "rank", "classes": self.literal(call.args[0]), **cells, **over}
        measure = Measure.parse(spec, self.where(call))
        return measure, measure.words(words)

    def over_cells(self, call: ast.Call, name: str) -> tuple[Measure, str]:
        """`mean(…)`, `best(…)`, `max(…)` or `min(…)` of a measure, or `effect(…, axis)`."""
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
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                inner = self.number(operand)
                sign = "−" if isinstance(op, ast.USub) else ""
                found = inner.times(-1.0 if sign else 1.0)
                words = f"({inner.words})" if isinstance(operand, ast.BinOp) else inner.words
                return Value(found.terms, found.constant, sign + words)
            case ast.BinOp():
                return self.computed(node)
            case ast.Call(func=ast.Name(id="share")):
                relation = self.asked(node)
                return Value({Share(relation): 1.0}, words=f"share with {relation.words}")
            case ast.Call():
                measure, words = self.measure(node)
                return Value({measure: 1.0}, words=words)
            case ast.Name(id=name):
                if name.lower() in ("true", "false", "none", "null", "nan", "inf"):
                    raise self.fail(node, f"'{name}' is no number; write one, such as 0.5")
                raise self.fail(node, f"'{name}' is not a value; measure it, e.g. accuracy({name})")
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise self.fail(node, "a value cannot contain a relation")
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
        if not all(abs(value) <= LARGEST for value in (*found.terms.values(), found.constant)):
            raise self.fail(node, "the result is too large to compute with; write smaller numbers")
        words = [left.words, right.words]
        for side, part in enumerate((node.left, node.right)):
            if _is_sum(part) and (sign in "×/" or side):
                words[side] = f"({words[side]})"
        return Value(found.terms, found.constant, f" {sign} ".join(words))

    # ---- relations ----

    def relation(self, node: ast.expr) -> Relation:
        text = self.expression.source(node)
        match node:
            case ast.BoolOp(op=op, values=values):
                every = isinstance(op, ast.And)
                parts = tuple(self.relation(part) for part in values)
                word = "; " if every else ", or "
                return Joined(text, word.join(part.words for part in parts), parts, every)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.relation(operand)
                return Opposite(text, f"not: {part.words}", part)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
                found = tuple(self.compared(node, *pair) for pair in pairs)
                if len(found) == 1:
                    return found[0]
                return Joined(text, "; ".join(part.words for part in found), found)
            case ast.Call(func=ast.Name(id="within")):
                return self.within(node)
            case ast.Call(func=ast.Name(id="at_chance")):
                return self.at_chance(node)
            case ast.Call(func=ast.Name(id="every" | "some" as name)):
                part = self.asked(node)
                return Quantified(text, f"{name}: {part.words}", part, name == "every")
        called, measures = _function(node), [*METRICS, *self.known.measures]
        if called in ("share", *OVER_CELLS, *measures):
            raise self.fail(node, f"{text!r} is a value, not a comparison; compare it, e.g. {text} > 0.5")
        if called in BEST:
            raise self.fail(node, f"which cells should it be? Write {text} == cells")
        if called and called not in WORDS_OF_THE_GRAMMAR:
            valid = [*QUANTIFIERS, *RELATIONS, *measures]
            hint = metric_hint(called, valid, text.partition("(")[2].rstrip(")"))
            raise self.fail(node, f"no relation '{called}'{hint}")
        raise self.fail(node, f"{text!r} is not a relation; {KNOWN}")

    def asked(self, call: ast.Call) -> Relation:
        """The relation that `every(…)`, `some(…)` or `share(…)` asks of several configurations."""
        name = _function(call)
        if len(call.args) != 1 or call.keywords:
            raise self.fail(call, f"{name} takes one relation: {name}(accuracy(grid) > accuracy(base))")
        asked = self.relation(call.args[0])
        inner = [word for one in every_part(asked) if (word := _asks(one))]
        if inner:
            what = f"{inner[0]}(…) inside {name}(…) asks the same configurations twice; keep one of them"
            raise self.fail(call.args[0], what)
        if not any(measure.asked for measure in asked.measures):
            what = f"{name} asks a relation of each configuration; leave mean, best, max, min, effect and"
            raise self.fail(call.args[0], f"{what} picked runs out of one side, or leave {name} out")
        return asked

    def compared(self, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Relation:
        text = f"{self.expression.source(left)} {_SIGNS[type(op)]} {self.expression.source(right)}"
        if _function(left) in BEST:
            if not isinstance(op, ast.Eq) or len(node.ops) > 1:
                raise self.fail(left, f'write {_function(left)}(…) == cells, e.g. == "search/trial=0"')
            return self.best(text, left, right)
        if isinstance(op, ast.Eq):
            if _function(right) in BEST:
                best, cells = self.expression.source(right), self.expression.source(left)
                raise self.fail(left, f"{_function(right)}(…) comes first; write {best} == {cells}")
            raise self.fail(
                left,
                "'==' goes with argbest(…), argmax(…) and argmin(…); of two values, write "
                "within(a, b, margin)",
            )
        if "spread" in (_function(left), _function(right)):
            less = isinstance(op, ast.Lt | ast.LtE)
            return self.spread(text, *((right, left) if less else (left, right)))
        values = self.number(left), self.number(right)
        if not values[0].terms and not values[1].terms:
            raise self.fail(left, "it measures nothing; a relation compares measured values")
        if not values[0].plus(values[1], -1.0).terms:
            raise self.fail(left, _SAME)
        sign = _SIGNS[type(op)]
        return Order(text, f"{values[0].words} {_SHOWN.get(sign, sign)} {values[1].words}", *values, sign)

    def within(self, call: ast.Call) -> Relation:
        if len(call.args) != 3 or call.keywords:
            raise self.fail(
                call, "within takes two values and a margin: within(accuracy(a), accuracy(b), 0.02)"
            )
        left, right = self.number(call.args[0]), self.number(call.args[1])
        if not left.terms and not right.terms:
            raise self.fail(call, "it measures nothing; a relation compares measured values")
        if not left.plus(right, -1.0).terms:
            raise self.fail(call, _SAME)
        margin = self.number(call.args[2])
        if margin.terms or margin.constant <= 0:
            raise self.fail(call.args[2], "the margin is a number above 0")
        words = f"{left.words} within {margin.words} of {right.words}"
        return Within(self.expression.source(call), words, left, right, margin.constant)

    def at_chance(self, call: ast.Call) -> Relation:
        accuracy, measure = self.alone(call)
        if measure.metric != "accuracy" or measure.effect:
            raise self.fail(call, "only an accuracy can be at chance")
        return AtChance(self.expression.source(call), f"{accuracy.words} at chance", accuracy)

    def best(self, text: str, call: ast.expr, cells: ast.expr) -> Relation:
        value, measure = self.by_cell(call)
        named, words = self.cells(cells)
        if "pick" in named:
            raise self.fail(cells, f"{words} is one picked run; name the cells that should be the best")
        kind = _function(call)
        if kind == "argbest" and measure.better is None:
            raise self.fail(call, f"{measure.metric} has no best; write argmax(…) or argmin(…)")
        largest = kind == "argmax" or (kind == "argbest" and measure.better == "larger")
        most = "largest" if largest else "smallest"
        return ArgBest(text, f"{most} {value.words}: {words}", measure, named["runs"], largest)

    def spread(self, text: str, wider: ast.expr, steadier: ast.expr) -> Relation:
        for side in (wider, steadier):
            if _function(side) != "spread":
                raise self.fail(side, "a spread is compared with another: spread(a) > spread(b)")
        (more, of_more), (less, of_less) = self.by_cell(wider), self.by_cell(steadier)
        if of_more.kind != of_less.kind:
            raise self.fail(wider, "only measures of the same metric, split and epoch can be compared")
        if of_more == of_less:
            raise self.fail(wider, _SAME)
        words = f"seeds scatter more in the {more.words} than in the {less.words}"
        return Scatter(text, words, of_more, of_less)

    def alone(self, call: ast.expr) -> tuple[Value, Measure]:
        """The one measure that a relation such as `at_chance(…)` takes."""
        name = _function(call)
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            raise self.fail(call, f"{name} takes one measure: {name}(accuracy(base))")
        value = self.number(call.args[0])
        measure = next(iter(value.terms), None)
        if list(value.terms.values()) != [1.0] or value.constant or not isinstance(measure, Measure):
            raise self.fail(call.args[0], f"{name} takes one measure alone, without arithmetic")
        return value, measure

    def by_cell(self, call: ast.expr) -> tuple[Value, Measure]:
        """The one measure of a relation that compares configurations."""
        value, measure = self.alone(call)
        if not measure.asked:
            what = f"{_function(call)} compares configurations"
            raise self.fail(call, f"{what}; leave mean, best, max, min, effect and picked runs out")
        if measure.metric == "setting":
            raise self.fail(call, f"{_function(call)} compares results, and this is a setting")
        return value, measure


_SIGNS: Mapping[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="}
_SHOWN = {"<=": "≤", ">=": "≥"}
_SAME = "both sides measure the same, so no result could tell them apart; compare two measures"


def _asks(relation: Relation) -> str:
    """The function by which a relation asks several configurations already; empty where there is none."""
    match relation:
        case Quantified(every=every):
            return "every" if every else "some"
        case ArgBest() | Scatter():
            return "argbest" if isinstance(relation, ArgBest) else "spread"
    return "share" if any(value.shares for value in relation.values) else ""


def _is_sum(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _function(node: ast.expr) -> str:
    """The name of the function that a call calls; empty for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
