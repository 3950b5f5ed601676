"""What a report file's statements say: numbers and claims in the report's words, and what measures them.

Expressions are Python's grammar, of which little is allowed; docs/statements.md has it on a page.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from reprise.reports.values import Identifier, Printed, Selector, Text
from reprise.schema import Kinds, Strict, form, titled

Expression = Annotated[str, Field(min_length=1, max_length=1000)]
"""Measures, what is computed from them, or how they compare: `accuracy(tuned) > accuracy(base)`."""
About = Annotated[float, Field(gt=0, le=1e12)]
"""Extra half-width where the report says about."""
Called = Annotated[
    str,
    Field(max_length=100, pattern=form(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and _, no digit first")),
]
"""A name that expressions can give."""


class NamedCells(Strict):
    """Cells that a name stands for."""

    model_config = titled("named cells")
    runs: Selector
    """The selector that the name stands for."""
    pick: Literal["best"] | None = None
    """Of all runs of these cells, the one with the best validation accuracy."""
    label: Text | None = None
    """What readers call them."""


def _cells(value: Any) -> Any:
    return {"runs": value} if isinstance(value, str) else value


Cells = Annotated[NamedCells, BeforeValidator(_cells, json_schema_input_type=Selector | NamedCells)]


class Said(Strict):
    """What a statement says, whatever its kind."""

    says: Text | None = None
    """What the report says, in its own words: a short quotation that keeps the qualifiers."""
    source: Text | None = None
    """Where the report says it."""
    reading: Text | None = None
    """How the words are read where they leave room; shown beside the verdict."""


class Statement(Said):
    """A number or a claim of the report."""

    @property
    def id(self) -> str:
        raise NotImplementedError

    @property
    def kind(self) -> str:
        raise NotImplementedError

    @property
    def expressions(self) -> list[str]:
        raise NotImplementedError


Trainings = Annotated[int, Field(ge=1, le=100)]
"""How many trainings a reported number is the mean of."""


class NumberReading(Strict):
    """Another way to read what the report says of a number."""

    model_config = titled("another reading of a number")
    reading: Text
    """How the words are read."""
    measure: Expression
    """What is measured then."""


class Number(Statement):
    model_config = titled("a number")
    number: Identifier
    """The id of the statement, a number."""
    reported: Printed
    """The number as printed, in quotes: its last digit counts."""
    about: About | None = None
    """Extra half-width where the report says "about"."""
    mean_of: Trainings | None = None
    """How many trainings the report averages; by default what the report file says, else one."""
    measure: Expression
    """What is measured, e.g. `accuracy(base)`."""
    also: list[NumberReading] = []
    """Other plausible readings, judged and shown beside it."""
    table: SkipJsonSchema[Identifier | None] = Field(None, exclude=True)
    """The table that makes the statement."""

    @property
    def id(self) -> str:
        return self.number

    @property
    def kind(self) -> str:
        return "number"

    @property
    def expressions(self) -> list[str]:
        return [self.measure, *(other.measure for other in self.also)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Holds = Annotated[
    list[Expression],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Expression | list[Expression]),
]
"""What must hold, e.g. `accuracy(tuned) > accuracy(base)`; of a list, all."""


class ClaimReading(Strict):
    """Another way to read what the report says."""

    model_config = titled("another reading of a claim")
    reading: Text
    """How the words are read."""
    holds: Holds
    """What must hold then."""


class Claim(Statement):
    model_config = titled("a claim")
    claim: Identifier
    """The id of the statement, a claim."""
    holds: Holds
    """What must hold, e.g. `accuracy(tuned) > accuracy(base)`; of a list, all."""
    also: list[ClaimReading] = []
    """Other plausible readings, judged and shown beside it."""

    @property
    def id(self) -> str:
        return self.claim

    @property
    def kind(self) -> str:
        return "claim"

    @property
    def expressions(self) -> list[str]:
        return [*self.holds, *(text for other in self.also for text in other.holds)]


STATEMENT_KINDS: dict[str, type[Statement]] = {"number": Number, "claim": Claim}

AnyStatement = Annotated[
    Statement, Kinds(lambda: STATEMENT_KINDS, "", "kind of statement (begin it with number: or claim:)")
]
