"""Statements that tables make: a number that a table reports beside a metric is a statement, written once.

A table of kind `metrics`, `comparison`, `classes` or `settings` makes one for each such number; its id is the
table's with the labels after it. Rows with `statement` show a number that a statement of the report states,
and make none.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.numerals import hint_of_printed
from reprise.reports.expressions import reference
from reprise.reports.statements import Number, Statement
from reprise.reports.tables import (
    ClassTable,
    ComparisonRow,
    ComparisonTable,
    MetricsRow,
    MetricsTable,
    SettingsRow,
    SettingsTable,
    Table,
)

OVER_CLASSES = {
    "mean": ("recall_macro", "mean over the classes"),
    "deviation": ("class_deviation", "standard deviation over the classes"),
}
"""Of a table of classes: what it reports beside the classes → the metric, and what it is called. Macro recall
is the mean over the classes of what is right of each.
"""

_NUMBER = re.compile(r"([<>]=? ?)?[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", re.ASCII)


def complete_table(table: Table, statements: Mapping[str, Statement], tables: Mapping[str, Table]) -> Table:
    """The table with the numbers that it shares with `statements` (by id) or with another of `tables`.

    Raises `RepriseError` for a statement or table that is not there.
    """
    if isinstance(table, ClassTable) and isinstance(table.reported, str):
        return _shared(table, table.reported, tables)
    if isinstance(table, MetricsTable | SettingsTable):
        return table.model_copy(update={"rows": [_stated(row, statements) for row in table.rows]})
    return table


def _shared(table: ClassTable, name: str, tables: Mapping[str, Table]) -> ClassTable:
    """A table of classes with the numbers of its models, and the names, of the one that it names."""
    others = {
        other.id: other for other in tables.values() if isinstance(other, ClassTable) and other.id != table.id
    }
    other = others.get(name)
    if other is None or isinstance(other.reported, str):
        what = f"no other table of classes with numbers is called {name!r}"
        raise RepriseError(f"reported: {what}{nearest(name, others)}")
    known = other.reported
    reported = {model.label: known[model.label] for model in table.models if model.label in known}
    return table.model_copy(
        update={"reported": reported, "names": table.names or other.names, "shared": shown_statements(other)}
    )


def _stated(row: Any, statements: Mapping[str, Statement]) -> MetricsRow | SettingsRow:
    """A row with the number, and unless it measures something else the measure, of the statement it names."""
    if row.statement is None:
        return row
    for key in ("reported", "about", "judged"):
        if key in row.model_fields_set:
            raise RepriseError(
                f"row {row.label!r}: {key} is that of the statement; leave it or the statement out"
            )
    numbers = {name: statement for name, statement in statements.items() if isinstance(statement, Number)}
    if row.statement not in numbers:
        what = f"no statement of a number is called {row.statement!r}"
        raise RepriseError(f"row {row.label!r}: {what}{nearest(row.statement, numbers)}")
    number = numbers[row.statement]
    shared = {"reported": number.reported, "about": number.about}
    if isinstance(row, MetricsRow) and row.measure is None:
        shared["measure"] = number.measure
    return row.model_copy(update=shared)


def table_statements(table: Table) -> list[Number]:
    """The statements of a completed table.

    Raises `RepriseError` for two values that would have one id, and for a reported value that is no number.
    """
    return list(_made(table).values())


def shown_statements(table: Table) -> dict[tuple[str, ...], str]:
    """Where a completed table shows a number that a statement is about → the id of the statement.

    The place is the label of a row; of a table of models, the labels of model and row; of a table of classes,
    those of model and class. Several rows of one label show one number.
    """
    found: dict[tuple[str, ...], str] = {}
    if table.judged and isinstance(table, MetricsTable | SettingsTable):
        found = {(row.label,): row.statement for row in table.rows if row.statement}
    if table.judged and isinstance(table, ClassTable) and table.shared is not None:
        found = table.shared
    return found | {place: statement.id for place, statement in _made(table).items()}


def _made(table: Table) -> dict[tuple[str, ...], Number]:
    """The statements that a table makes, by the place of their numbers (see `shown_statements`)."""
    if not table.judged or (isinstance(table, ClassTable) and table.shared is not None):
        return {}
    found: dict[tuple[str, ...], Number] = {}
    names = table.names if isinstance(table, ClassTable) else {}
    for count, (place, statement) in enumerate(_values(table), 1):
        labels = [*place[:-1], names.get(place[-1], place[-1])]
        identifier = "_".join([table.id, *(_slug(label) or str(count) for label in labels)])
        if any(identifier == other.id for other in found.values()):
            raise RepriseError(f"two values make the statement {identifier}; make their labels differ")
        source = {
            "source": table.source,
            "mean_of": table.mean_of,
            **{key: value for key, value in statement.items() if value is not None},
        }
        found[place] = Number.model_construct(number=identifier, table=table.id, **source)
    return found


def _values(table: Table) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The place (see `shown_statements`), and what the statement says and measures, of each number that is to
    be judged.
    """
    match table:
        case MetricsTable():
            yield from _values_of_rows(table, [(row, row.measure) for row in table.rows])
        case SettingsTable():
            measured = [(row, _call(row, table.runs)) for row in table.rows if row.metric]
            yield from _values_of_rows(table, measured)
        case ComparisonTable():
            rows = [row for row in table.rows if row.judged and row.metric]
            for model, row in [(model, row) for model in table.models for row in rows]:
                if model.label in row.reported:
                    reported = printed(row.reported[model.label], row.label)
                    says = f"{model.label}: {row.label} {reported}"
                    measure = _call(row, model.runs)
                    yield (model.label, row.label), {"says": says, "reported": reported, "measure": measure}
        case ClassTable(reported=dict() as known):
            cells = {model.label: model.runs for model in table.models}
            for label, values in known.items():
                for name, reported in values.items():
                    if label in cells:  # else the table itself says what is wrong
                        says = f"{label}: {_in_words(name, table.names)} {reported}"
                        measure = f"100 * {_of_class(name, cells[label])}"
                        yield (label, name), {"says": says, "reported": reported, "measure": measure}


def _values_of_rows(
    table: Table, rows: Iterable[tuple[MetricsRow | SettingsRow, str | None]]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """As `_values`, from rows and what each measures."""
    title = table.caption.strip().rstrip(".")
    for row, measure in rows:
        if row.judged and row.statement is None and row.reported is not None:
            about = "about " if row.about else ""
            reported = printed(row.reported, row.label)
            says = row.says or f"{title}: {row.label} {about}{reported}"
            own = {"about": row.about, "source": row.source, "reading": row.reading}
            yield (row.label,), {"says": says, "reported": reported, "measure": measure, **own}


def _call(row: SettingsRow | ComparisonRow, cells: str) -> str:
    """The expression of the keys `metric`, `split` and `at` of a row."""
    options = [f'{key}="{getattr(row, key)}"' for key in ("split", "at") if getattr(row, key)]
    return f"{row.metric}({', '.join([reference(cells), *options])})"


def _of_class(name: str, cells: str) -> str:
    if name in OVER_CLASSES:
        return f"{OVER_CLASSES[name][0]}({reference(cells)})"
    return f"class_accuracy({reference(cells)}, {json.dumps(name, ensure_ascii=False)})"


def _in_words(name: str, names: Mapping[str, str]) -> str:
    return OVER_CLASSES[name][1] if name in OVER_CLASSES else names.get(name, name)


def printed(reported: Any, label: str) -> str:
    """A number that a row reports, as it is printed; a `RepriseError` names the row."""
    if not _NUMBER.fullmatch(str(reported)):
        hint = hint_of_printed(str(reported), computed=False)
        hint = "; write it as printed" if hint.startswith("; write the number") else hint
        raise RepriseError(
            f"row {label!r}: {reported!r}, reported beside a metric, is no number{hint}, or add judged: false"
        )
    return str(reported)


def _slug(label: str) -> str:
    """A label as part of an id: `ResNet LRS` → `resnet_lrs`."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "_", plain).strip("_")
