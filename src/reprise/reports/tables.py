"""What a report file's tables say: each a kind, its columns and rows, and what the report prints there.

A new kind is a class here, a line in `OWN_TABLES`, and its module in `reprise.publishing.tables`; in a
package of your own it is the same class, named by an entry point (docs/extending.md).

A number that a table reports beside a metric is a statement of the report, written once (`table_statements`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from reprise.extensions import TABLES
from reprise.reports.figures import At, AxisOf, Metric, Models
from reprise.reports.settings import Split
from reprise.reports.statements import About, Expression, Said, Trainings
from reprise.reports.values import Identifier, Printed, Selector, Text, Unique
from reprise.schema import Kinds, Strict, titled


class Table(Strict):
    """What all kinds of table have."""

    builder: ClassVar[str]
    """The function that makes it, as `module:function`."""
    id: Identifier
    """The table's name, by which its files are called."""
    kind: str
    """The kind of table."""
    caption: Text
    """What the table shows."""
    source: Text | None = None
    """Where the report has it."""
    judged: bool = True
    """false: what is reported here makes no statement and has no verdict."""
    mean_of: Trainings | None = None
    """How many trainings each number is the mean of; by default what the report file says, else one."""


def _one_way(row: MeasuredRow) -> None:
    if (row.setting is None) == (row.metric is None):
        raise PydanticCustomError("one_of", "a row has a setting or a metric; give it one of them")


class MeasuredRow(Strict):
    """A setting of the runs, or a metric measured in them."""

    label: Text
    """What readers call the row."""
    setting: Annotated[str, Field(max_length=200)] | None = None
    """Path of a setting (dots between keys, * for every element of a list)."""
    metric: Metric | None = None
    """What is measured in each run: one of the metrics."""
    split: Split | None = None
    """With loss, accuracy or gap: the part of the data, read from the history (default: test)."""
    at: At | None = None
    """With loss, accuracy or gap: the epoch at which the history is read (default: selected)."""
    judged: bool = True
    """false: what the row reports makes no statement and has no verdict."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_way(self)
        return self


class StatedRow(Said):
    """A row that reports one number."""

    about: About | None = None
    """Extra half-width where the report says "about"."""
    statement: Identifier | None = None
    """A statement of the report: its number is shown, and no second statement made."""
    reported: str | int | float | None = None
    """What the report says."""
    judged: bool = True
    """false: what the row reports makes no statement and has no verdict."""

    @model_validator(mode="after")
    def _about_a_number(self) -> Self:
        if self.about is not None and self.reported is None and self.statement is None:
            raise PydanticCustomError(
                "one_of", "about is of a reported number; add reported, or leave about out"
            )
        return self


class LayerTable(Table):
    model_config = titled("a table of kind layers")
    builder: ClassVar[str] = "reprise.publishing.tables.layers:build"
    kind: Literal["layers"]
    networks: Annotated[list[str], Field(min_length=1), Unique]
    """Names of this report's models."""


class SettingsRow(MeasuredRow, StatedRow):
    reported: str | int | float | None = None
    """What the report says; beside a metric a number, which makes a statement."""


class SettingsTable(Table):
    model_config = titled("a table of kind settings")
    builder: ClassVar[str] = "reprise.publishing.tables.settings:build"
    kind: Literal["settings"]
    runs: Selector
    """One cell."""
    rows: Annotated[list[SettingsRow], Field(min_length=1)]
    """Its rows, from top to bottom."""


class ComparisonRow(MeasuredRow):
    reported: Annotated[
        dict[str, str | int | float],
        BeforeValidator(
            lambda given: given,
            json_schema_input_type=dict[str, str | int | float] | list[str | int | float | None],
        ),
    ] = {}
    """Label of a model → what the report says, or a list in the models' order; beside a metric numbers, each
    of which makes a statement.
    """


class ComparisonTable(Table):
    model_config = titled("a table of kind comparison")
    builder: ClassVar[str] = "reprise.publishing.tables.comparison:build"
    kind: Literal["comparison"]
    models: Models
    """A column each."""
    transpose: bool = False
    """Models as rows, and the rows as columns."""
    rows: Annotated[list[ComparisonRow], Field(min_length=1)]
    """Its rows, from top to bottom."""

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, table: Any) -> Any:
        """What rows report as a list is that of the models, in their order; null where the report is
        silent.
        """
        if not isinstance(table, Mapping) or not isinstance(table.get("rows"), list):
            return table
        models = table.get("models")
        named = (
            list(map(str, models))
            if isinstance(models, Mapping)
            else [model.get("label") if isinstance(model, Mapping) else None for model in models]
            if isinstance(models, list)
            else []
        )
        known = bool(named) and None not in named
        labels: list[Any] | None = named if known else None  # where there is a mistake of its own
        rows = []
        for row in table["rows"]:
            given = row.get("reported") if isinstance(row, Mapping) else None
            if isinstance(given, list):
                if labels is None:
                    rows.append({**row, "reported": {}})
                    continue
                if len(given) != len(labels):
                    what = "row {row}: {given} reported, of {models} models; write one for each, or null"
                    found = {"row": repr(row.get("label")), "given": len(given), "models": len(labels)}
                    raise PydanticCustomError("one_of", what, found)
                pairs = zip(labels, given, strict=True)
                row = {**row, "reported": {label: value for label, value in pairs if value is not None}}
            rows.append(row)
        return {**table, "rows": rows}


class SpaceRow(Strict):
    axis: AxisOf
    """An axis of the experiment."""
    label: Text | None = None
    """The name that readers know (default: the axis' own)."""
    reported: str | None = None
    """The values that the report says it tried."""


class SpaceTable(Table):
    model_config = titled("a table of kind space")
    builder: ClassVar[str] = "reprise.publishing.tables.space:build"
    kind: Literal["space"]
    experiment: str
    """An experiment with axes: a sweep, grid or search."""
    base: Selector | None = None
    """The cell whose settings are the baseline (a pointwise sweep has its own)."""
    rows: Annotated[list[SpaceRow], Field(min_length=1)] | None = None
    """Axes, and what the report says (default: every axis)."""


class TrialsTable(Table):
    model_config = titled("a table of kind trials")
    builder: ClassVar[str] = "reprise.publishing.tables.trials:build"
    kind: Literal["trials"]
    runs: Selector
    """The experiment or study whose cells are the trials."""
    metric: Metric
    """What they are ranked by: one of the metrics."""
    split: Split | None = None
    """With loss, accuracy or gap: the part of the data, read from the history (default: test)."""
    at: At | None = None
    """With loss, accuracy or gap: the epoch at which the history is read (default: selected)."""
    reported: Annotated[dict[str, float | str | bool], Field(min_length=1)] | None = None
    """The report's winner: axis → value."""


class MetricsRow(StatedRow):
    """A measure beside what the report says of it."""

    label: Text
    """What readers call the row."""
    measure: Expression | None = None
    """What is measured, an expression (default: what the statement measures)."""
    reported: Printed | None = None
    """The number that the report prints, in quotes."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.measure is None and self.statement is None:
            raise PydanticCustomError("one_of", "key measure is missing; write what is measured")
        return self


class MetricsTable(Table):
    model_config = titled("a table of kind metrics")
    builder: ClassVar[str] = "reprise.publishing.tables.metrics:build"
    kind: Literal["metrics"]
    rows: Annotated[list[MetricsRow], Field(min_length=1)]
    """Its rows, from top to bottom."""


class ClassTable(Table):
    model_config = titled("a table of kind classes")
    builder: ClassVar[str] = "reprise.publishing.tables.classes:build"
    kind: Literal["classes"]
    models: Models
    """A column each; class accuracies in percent, their mean and standard deviation."""
    names: dict[str, str] = {}
    """Class → the report's name for it."""
    reported: Identifier | dict[str, dict[str, Printed]] = {}
    """Label of a model → class, mean or deviation → the number as printed; or another table of classes, whose
    numbers these are.
    """
    shared: SkipJsonSchema[dict[tuple[str, ...], str] | None] = Field(None, exclude=True)
    """Once numbers are taken from another table: labels of model and class → the statement that it makes."""


OWN_TABLES: dict[str, type[Table]] = {
    "layers": LayerTable,
    "settings": SettingsTable,
    "comparison": ComparisonTable,
    "space": SpaceTable,
    "trials": TrialsTable,
    "metrics": MetricsTable,
    "classes": ClassTable,
}
"""The project's own; `reprise.extensions.TABLES` has those of other packages, too."""

AnyTable = Annotated[Table, Kinds(lambda: TABLES, "kind", "kind of table")]
