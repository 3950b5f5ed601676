"""Statements that tables make: a number that a table reports beside a metric is a statement, written once.

A table of kind `metrics`, `comparison`, `classes` or `settings` makes one for each such number; its id is the
table's with the labels after it. Rows with `statement` show a number that a statement of the report states,
and make none.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.reports.check import nearest
from reprise.reports.expressions import reference

OVER_CLASSES = {
    "mean": ("recall_macro", "mean over the classes"),
    "deviation": ("class_deviation", "standard deviation over the classes"),
}
"""Of a table of classes: what it reports beside the classes → the metric, and what it is called. Macro recall
is the mean over the classes of what is right of each.
"""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", re.ASCII)


def complete_table(
    table: Mapping[str, Any], statements: Mapping[str, Mapping[str, Any]], tables: Mapping[str, Any]
) -> dict[str, Any]:
    """The table with the numbers that it shares with `statements` (by id) or with another of `tables`.

    Raises `RepriseError` for a statement or table that is not there.
    """
    made = dict(table)
    if isinstance(table.get("reported"), str):
        made |= _shared(table, tables)
    if "rows" in table:
        made["rows"] = [_stated(row, statements) for row in table["rows"]]
    return made


def _shared(table: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of classes takes from the one that it names: the numbers of its models and the names."""
    others = [
        name
        for name, other in tables.items()
        if other["kind"] == "classes" and other.get("id") != table["id"]
    ]
    name = table["reported"]
    if name not in others or isinstance(tables[name].get("reported", {}), str):
        what = f"no other table of classes with numbers is called {name!r}"
        raise RepriseError(f"reported: {what}{nearest(name, others)}")
    labels = [model["label"] for model in table["models"]]
    known = tables[name].get("reported", {})
    return {
        "reported": {label: known[label] for label in labels if label in known},
        "names": table.get("names", tables[name].get("names", {})),
        "shared": name,
    }


def _stated(row: Mapping[str, Any], statements: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A row with the number, and unless it measures something else the measure, of the statement it names."""
    if "statement" not in row:
        return dict(row)
    for key in ("reported", "about", "judged"):
        if key in row:
            raise RepriseError(
                f"row {row['label']!r}: {key} is that of the statement; leave it or the statement out"
            )
    name = row["statement"]
    numbers = [number for number, statement in statements.items() if "number" in statement]
    if name not in numbers:
        raise RepriseError(
            f"row {row['label']!r}: no statement of a number is called {name!r}{nearest(name, numbers)}"
        )
    shared = ("reported", "about") if "metric" in row else ("reported", "about", "measure")
    return {**{key: statements[name][key] for key in shared if key in statements[name]}, **row}


def table_statements(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a completed table: `number` (the id), `says`, `source`, `reported`, `measure`.

    Raises `RepriseError` for two values that would have one id, and for a reported value that is no number.
    """
    if "shared" in table or not table.get("judged", True):
        return []
    found: dict[str, dict[str, Any]] = {}
    for place, (labels, statement) in enumerate(_values(table), 1):
        identifier = "_".join([table["id"], *(_slug(label) or str(place) for label in labels)])
        if identifier in found:
            raise RepriseError(f"two values make the statement {identifier}; make their labels differ")
        source = {"source": table["source"]} if "source" in table else {}
        found[identifier] = {"number": identifier, **source, **statement}
    return list(found.values())


def _values(table: Mapping[str, Any]) -> Iterator[tuple[Sequence[str], dict[str, Any]]]:
    """Labels, and what the statement says and measures, of each number that is to be judged."""
    match table["kind"]:
        case "metrics" | "settings":
            title = table["caption"].strip().rstrip(".")
            for row in _judged(table):
                if "statement" not in row and "reported" in row:
                    measure = row["measure"] if "measure" in row else _call(row, table["runs"])
                    own = {key: row[key] for key in ("about", "says", "source", "reading") if key in row}
                    reported = printed(row["reported"], row["label"])
                    about = "about " if "about" in row else ""
                    says = f"{title}: {row['label']} {about}{reported}"
                    yield (row["label"],), {"says": says, "reported": reported, "measure": measure, **own}
        case "comparison":
            models = {model["label"]: model["runs"] for model in table["models"]}
            for label, row in [(label, row) for label in models for row in _judged(table)]:
                if label in row.get("reported", {}):
                    reported = printed(row["reported"][label], row["label"])
                    says = f"{label}: {row['label']} {reported}"
                    measure = _call(row, models[label])
                    yield (label, row["label"]), {"says": says, "reported": reported, "measure": measure}
        case "classes":
            models = {model["label"]: model["runs"] for model in table["models"]}
            names = table.get("names", {})
            for label, values in table.get("reported", {}).items():
                for name, reported in values.items():
                    if label in models:  # else the table itself says what is wrong
                        says = f"{label}: {_in_words(name, names)} {reported}"
                        measure = f"100 * {_of_class(name, models[label])}"
                        shown = names.get(name, name)
                        yield (label, shown), {"says": says, "reported": reported, "measure": measure}


def _judged(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows that measure something that is to be judged."""
    return [row for row in table["rows"] if row.get("judged", True) and ("metric" in row or "measure" in row)]


def _call(row: Mapping[str, Any], cells: str) -> str:
    """The expression of the keys `metric`, `split` and `at` of a row."""
    options = [f'{key}="{row[key]}"' for key in ("split", "at") if key in row]
    return f"{row['metric']}({', '.join([reference(cells), *options])})"


def _of_class(name: str, cells: str) -> str:
    if name in OVER_CLASSES:
        return f"{OVER_CLASSES[name][0]}({reference(cells)})"
    return f"class_accuracy({reference(cells)}, {json.dumps(name, ensure_ascii=False)})"


def _in_words(name: str, names: Mapping[str, str]) -> str:
    return OVER_CLASSES[name][1] if name in OVER_CLASSES else names.get(name, name)


def printed(reported: Any, label: str) -> str:
    """A number that a row reports, as it is printed; a `RepriseError` names the row."""
    if not _NUMBER.fullmatch(str(reported)):
        raise RepriseError(
            f"row {label!r}: {reported!r}, reported beside a metric, is no number; write it as printed, "
            "or add judged: false"
        )
    return str(reported)


def _slug(label: str) -> str:
    """A label as part of an id: `ResNet LRS` → `resnet_lrs`."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "_", plain).strip("_")
