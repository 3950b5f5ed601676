"""Expressions of report files as syntax trees: Python's grammar, of which little is allowed.

Nothing is ever evaluated here. What the calls mean (metrics, relations) is the business of
`reprise.publishing.expressions`; this module bounds and checks the syntax, and finds the cells that an
expression names.
"""

import ast
import json
import keyword
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from reprise.errors import RepriseError

LONGEST, DEEPEST = 1000, 100
"""Characters of an expression; syntax nodes inside each other."""
SMALLEST, LARGEST = 1e-100, 1e100
"""Size of a number that is not 0: sums and products of a few of them stay finite."""

ALLOWED = (
    *(ast.BoolOp, ast.And, ast.Or, ast.Not, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UnaryOp, ast.USub, ast.UAdd),
    *(ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.List),
)
REFUSED = {
    ast.NotEq: "'!=' is not known; write < or >",
    ast.Pow: "'**' is not known; write + - * or /",
    ast.FloorDiv: "'//' is not known; write /",
    ast.BitXor: "'^' is not known; write + - * or /",
    ast.BitAnd: "'&' is not known; write and",
    ast.BitOr: "'|' is not known; write or",
    ast.Mod: "'%' is not known; write + - * or /",
    ast.Attribute: "a dot after a name means nothing here; put a selector in quotes",
    ast.Subscript: "brackets after a name mean nothing here; measure a cell in parentheses, accuracy(name)",
    ast.NamedExpr: "':=' cannot stand in an expression; name cells under cells, calls under measures",
    ast.JoinedStr: "an f-string cannot stand in an expression; write the selector out",
    ast.Starred: "'*' before a value means nothing here; write the values out",
    ast.Tuple: "a comma joins nothing here; write and between two claims, or one measure alone",
    **dict.fromkeys((ast.In, ast.NotIn), "'in' is not known; compare, as in 0.5 < accuracy(base) < 0.7"),
    **dict.fromkeys(
        (ast.Is, ast.IsNot),
        "'is' is not known; of two values write within(a, b, margin), of argbest(…) write ==",
    ),
    ast.MatMult: "'@' is not known here; put a selector in quotes",
    ast.LShift: "'<<' is not known; write <",
    ast.RShift: "'>>' is not known; write >",
    ast.Invert: "'~' is not known; write not",
    ast.IfExp: "'if' is not known; write what must hold, joined by and, or, not",
    ast.Lambda: "'lambda' is not known; write the measure or comparison itself",
    **dict.fromkeys(
        (ast.Set, ast.Dict), "braces mean nothing here; write a measure or a number in their place"
    ),
    **dict.fromkeys(
        (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
        "'for' is not known; name several cells by one selector, as in every(accuracy(grid) > 0.5)",
    ),
}
"""What people write that is not allowed, and what to do about it."""
UNKNOWN = "this means nothing in an expression; write it as docs/statements.md has it"
"""Of the rest."""


SIGNS = {
    "=>": "write >=",
    "=<": "write <=",
    "≥": "write >=",
    "≤": "write <=",
    "≈": "write within(a, b, margin)",
    "≠": "write < or >",
    "&&": "write and",
    "||": "write or",
    "×": "write *",
    "·": "write *",
    "÷": "write /",
    "−": "write -",
    "%": "write a share, such as 0.7, or multiply what is measured by 100",
    "“": "write straight quotes",
    "”": "write straight quotes",
    "’": "write straight quotes",
    "=": "of two values, write within(a, b, margin)",
}
"""Signs that are no expression, and what to write instead."""


@dataclass(frozen=True)
class Names:
    """What the expressions of a report can name besides its experiments.

    cells: name → its selector under `runs`, `pick: best` where one run of them is meant, and the `label` that
    readers know. measures: name → a call without its cells. where: what an error about a measure starts with.
    """

    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)
    where: Callable[[str], str] = "measures.{}".format


@dataclass(frozen=True)
class Expression:
    """A checked syntax tree with its text; `where` starts every message about it."""

    text: str
    where: str
    tree: ast.expr

    def fail(self, node: ast.AST, what: str) -> RepriseError:
        """The error of a part of the expression, with its column from 1."""
        return _error(self.text, self.where, self.column(node), what)

    def column(self, node: ast.AST) -> int:
        return _column(self.text, getattr(node, "col_offset", 0))

    def source(self, node: ast.AST) -> str:
        """The part as it was written."""
        return ast.get_source_segment(self.text, node) or self.text


@cache
def read_expression(text: str, where: str = "") -> Expression:
    """The syntax of `text`; `where` starts every message about it. Whatever is not allowed in it is a
    `RepriseError` with expression and column.
    """
    plain = " ".join(text.splitlines()).strip()
    if len(plain) > LONGEST:
        raise RepriseError(
            f"{_start(where)}{plain[:40]!r}…: more than {LONGEST} characters; write several relations as a "
            "list"
        )
    if not plain:
        raise RepriseError(f"{_start(where)}'': the expression is empty; write e.g. accuracy(base)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an escape that Python does not know
            tree = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        column = error.offset if error.lineno == 1 and error.offset else len(plain) + 1
        raise _error(plain, where, *_unreadable(plain, column, error.msg or "")) from None
    except (RecursionError, MemoryError):
        raise RepriseError(
            f"{_start(where)}{plain!r}: too many parentheses or signs inside each other"
        ) from None
    except (ValueError, Warning) as error:  # null bytes, halves of characters
        said = "a backslash" if "escape" in str(error) else "a character that cannot be read"
        raise RepriseError(f"{_start(where)}{plain!r}: {said} means nothing here; leave it out") from None
    _check(plain, where, tree)
    return Expression(plain, where, tree)


_SELECTOR = re.compile(r"(?<![\"'\w])(\w[\w.+-]*/\w+=[^\s(),]+(?:,\w+=[^\s(),\"']+)*)")
"""A selector without quotes."""
_BEST = re.compile(r"arg(?:best|max|min)\(")


def _unreadable(text: str, column: int, said: str) -> tuple[int, str]:
    """The column of what cannot be read, and what to write there. said: what the parser says of the
    `column`, from 1, at which it stopped.
    """
    selector = _SELECTOR.search(text)
    if selector:
        return selector.start() + 1, f'a selector needs quotes around it; write "{selector[1]}"'
    for sign, instead in SIGNS.items():
        if sign in text and (sign != "=" or text[column - 1 :].startswith("=")):
            place = column if sign == "=" else text.index(sign) + 1
            before, after = text[: place - 1].strip(), text[place:].strip()
            if sign == "=" and _BEST.match(before):
                instead = f"write {before} == {after or 'cells'}"
            elif sign == "=" and _BEST.match(after):
                instead = f"write {after} == {before}"
            return place, f"{sign!r}: {instead}"
    rest = text[column - 1 :].strip()
    if "never closed" in said:
        return column, f"{rest[:1]!r} was never closed; close it"
    if "escape" in said:
        return text.find("\\") + 1, "a backslash means nothing here; leave it out"
    if "too many" in said:
        return column, "too many parentheses inside each other; shorten it"
    if "unmatched" in said or "does not match" in said:
        return column, f"{rest[:1]!r} closes nothing that is open; leave it out"
    if "null byte" in said:
        return text.find("\0") + 1, "a character that cannot be read means nothing here; leave it out"
    if "unterminated" in said:
        return column, "the quote that opens here is not closed; close it"
    if "leading zeros" in said:
        return column, "a number begins with 0; write it without"
    if "invalid" in said and "literal" in said:
        return column, "letters stand right behind a number; write the number alone"
    if "invalid character" in said or "non-printable" in said or re.match(r"[^\w\s\"'()+*/<>=,.-]", rest):
        return column, f"{rest[:1]!r} means nothing here; leave it out, or put a selector in quotes"
    if not rest:
        return column, "something is missing at the end; write a measure or a number there"
    call = re.search(r"(?<![\w)])([a-z]\w*)\s+\Z", text[: column - 1])
    word = re.match(r"[A-Za-z_]\w*", rest)
    if call and word:
        return column, f"cells stand in parentheses; write {call[1]}({word[0]})"
    shown = word[0] if word else rest.split()[0]
    return column, f"{shown!r} cannot stand here; write what must hold as docs/statements.md has it"


def named_cells(expression: Expression) -> dict[str, ast.expr]:
    """The cells that an expression measures, names or selectors, and where: the first argument of a call, of
    `rank` the second.
    """
    calls = [node for node in ast.walk(expression.tree) if isinstance(node, ast.Call) and node.args]
    firsts = [node.args[min(_is_rank(node), len(node.args) - 1)] for node in calls]
    return {cells: node for node in reversed(firsts) if (cells := _cells_of(node)) is not None}


def _is_rank(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "rank"


def _cells_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def named(expression: Expression) -> set[str]:
    """Every name and text in an expression."""
    found = (_cells_of(node) for node in ast.walk(expression.tree) if isinstance(node, ast.expr))
    return {name for name in found if name is not None}


def called(expression: Expression) -> set[str]:
    """Names of the metrics, measures and functions that an expression calls."""
    calls = [node.func for node in ast.walk(expression.tree) if isinstance(node, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}


def reference(cells: str) -> str:
    """`cells` as an expression names them: an identifier bare, a selector in quotes."""
    plain = cells.isidentifier() and cells.isascii() and not keyword.iskeyword(cells)
    return cells if plain else json.dumps(cells, ensure_ascii=False)


def _check(text: str, where: str, tree: ast.expr) -> None:
    """Bounds and allowed syntax; goes through the tree without recursion."""
    waiting: list[tuple[ast.AST, int, int]] = [(tree, 0, 1)]
    while waiting:
        node, place, depth = waiting.pop()
        place = getattr(node, "col_offset", place)
        column = _column(text, place)
        if depth > DEEPEST:
            raise _error(text, where, column, f"more than {DEEPEST} parts inside each other; shorten it")
        if not isinstance(node, ALLOWED):
            raise _error(text, where, column, REFUSED.get(type(node), UNKNOWN))
        if isinstance(node, ast.Constant):
            problem = _constant(node.value)
            if problem:
                raise _error(text, where, column, problem)
        waiting += [(child, place, depth + 1) for child in ast.iter_child_nodes(node)]


def _constant(value: Any) -> str:
    """What is wrong with a constant, or nothing."""
    if isinstance(value, str):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "this is neither a number nor a text in quotes; write one of them"
    size = abs(float(value)) if abs(value) <= LARGEST else math.inf
    if value == 0 or SMALLEST <= size <= LARGEST:
        return ""
    extreme = "large" if size > LARGEST else "small"
    return f"this number is too {extreme}; write one between {SMALLEST:g} and {LARGEST:g}"


def _column(text: str, offset: int) -> int:
    """Of syntax nodes, which count the bytes of UTF-8 from 0."""
    return len(text.encode()[:offset].decode(errors="ignore")) + 1


def _start(where: str) -> str:
    return f"{where}: " if where else ""


def _error(text: str, where: str, column: int, what: str) -> RepriseError:
    return RepriseError(f"{_start(where)}{text!r}: column {column}: {what}")
