"""A report file as a whole: one YAML file, or a folder of them; read, checked and completed.

`read_report` gives the typed content; `json_schema` is what editors check it by while one types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from reprise.errors import RepriseError, nearest
from reprise.extensions import FIGURES
from reprise.reports.experiments import Experiment, Scales
from reprise.reports.figures import AnyFigure, Compared, Curves, Diagram, Figure, Reference, Trials
from reprise.reports.file import (
    MOST_BYTES,
    MOST_VALUES,
    check_size,
    count_values,
    line_of,
    read_yaml,
    yaml_files,
)
from reprise.reports.paths import layer_places
from reprise.reports.settings import AnyNetwork, Defaults
from reprise.reports.statements import AnyStatement, Called, Cells, Expression, Number, Statement, Trainings
from reprise.reports.table_statements import complete_table, table_statements
from reprise.reports.tables import AnyTable, Table
from reprise.reports.values import Identifier, Name, Text, Unique
from reprise.schema import Strict, first_violation, form, key_path, plain, shown, titled
from reprise.schema import keys as keys_of

SECTIONS = ("figures", "tables", "statements")
MOST_REPEATS = 1000
"""Items of a section once they are repeated."""
LONGEST_CHAIN = 50
"""Models that are based on each other."""

Value = TypeVar("Value")
Item = TypeVar("Item", bound=Statement | Table)


class Section(Strict):
    """A section of the report, in the order in which it is read."""

    model_config = titled("a section of the report")
    section: Text
    """What the `source` of a statement calls it: `Section 2.1`, `Part 1`."""
    title: Text | None = None
    """Its heading."""
    shows: Annotated[list[Identifier], Unique] = []
    """Ids of the figures and tables that stand in it."""


class Assumption(Strict):
    """What the report leaves open, and how it is done here."""

    model_config = titled("an assumption")
    says: Text
    """How it is read."""
    affects: Annotated[list[Text], Unique] = []
    """What hangs on it: cells, as selectors name them, and ids of figures, tables and statements; the whole
    report where it names none.
    """


def _assumption(value: Any) -> Any:
    return {"says": value} if isinstance(value, str) else value


AnyAssumption = Annotated[Assumption, BeforeValidator(_assumption, json_schema_input_type=Text | Assumption)]


class ReportFile(Strict):
    """All that one report says. Every key is listed in docs/reference/keys.md."""

    slug: Name | None = None
    """The file's name without .yaml, if it is to be said."""
    title: Text
    """The report's own title."""
    authors: Text | None = None
    """Who wrote it."""
    url: Annotated[Text, Field(pattern=form(r"^https?://[^\s<>\"]+$", "an address, https://…"))] | None = None
    """Where the report can be read."""
    framework: Text | None = None
    """Software the authors used, whose defaults are reproduced."""
    summary: Text | None = None
    """What the report is about, in a sentence or two."""
    assumptions: list[AnyAssumption] = []
    """What the report leaves open and how it is read here, shown beside the results."""
    models: dict[Name, AnyNetwork] = {}
    """Networks by name; `model` in a setting is such a name."""
    defaults: Defaults
    """The base run, and the seeds of every experiment that names none."""
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    """What is trained, by name: the base run, or what is varied in it."""
    scales: Scales = Scales()
    """How the smaller scales shrink the experiments."""
    cells: dict[Called, Cells] = {}
    """Names for cells, used by figures, tables and statements."""
    measures: dict[Called, Expression] = {}
    """Names for measures without their cells, e.g. `final: accuracy(split="validation", at="last")`."""
    mean_of: Trainings | None = None
    """How many trainings the report's numbers are means of, where a number or table says nothing else."""
    follows: dict[Identifier, Identifier] = {}
    """Statement → another that settles it by construction, so that it is not counted: a macro recall on a
    balanced test set is the accuracy.
    """
    outline: list[Section] = []
    """The report's sections, in the order in which the site shows figures, tables and statements."""
    figure_defaults: dict[str, dict[str, Any]] = {}
    """Kind of figure → what its figures have unless they say otherwise."""
    figures: list[AnyFigure] = []
    """What is drawn."""
    tables: list[AnyTable] = []
    """What is tabulated; a number that a table reports beside a metric is judged like a statement."""
    statements: list[AnyStatement] = []
    """What the report says, and what measures it."""


# ---- where things stand ----


class Source:
    """The files of one report, and where in them an error is.

    path: a YAML file, or a folder whose YAML files together are the report.
    known: they have been read before, or are our own, so that their bounds need not be looked for.
    """

    def __init__(self, path: Path | str, *, known: bool = False) -> None:
        self.path = Path(path)
        self.files = yaml_files(self.path) if self.path.is_dir() else [self.path]
        if not self.files:
            raise RepriseError(f"{self.path}: no report files (*.yaml) in this folder; add one")
        self.document: dict[str, Any] = {}
        self._file: dict[str, Path] = {}
        for file in self.files:
            part = read_yaml(file, known=known)
            if not isinstance(part, dict):
                raise RepriseError(
                    f"{file}: top level: no mapping from keys to values; see docs/report-files.md"
                )
            for key in part:
                if key in self._file:
                    place = f"{file}, line {line_of(file, [key])}"
                    raise RepriseError(
                        f"{place}: {key}: stands in {self._file[key].name} too; keep one of them"
                    )
                self._file[key] = file
            self.document |= part
        self._origin: dict[tuple[Any, ...], Sequence[tuple[int, ...]]] = {}
        """Key path of a list that is not as written → where in it each item is written."""
        self._inherited: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        """Key path of what the defaults of its kind give a figure → where they do."""
        self._written_out = 0  # characters of texts with names filled in
        self._repeat()

    @property
    def slug(self) -> str:
        return self.path.stem if self.path.suffix == ".yaml" else self.path.name

    def place(self, parts: Sequence[Any]) -> str:
        """File and line of a value, as an error starts."""
        if not parts and len(self.files) > 1:
            return str(self.path)
        parts = self._giver(parts)
        file = self._file.get(parts[0], self.files[0]) if parts else self.files[0]
        line = line_of(file, self._written(parts))
        return f"{file}, line {line}" if line else str(file)

    def at(self, parts: Sequence[Any]) -> str:
        """File, line and key path of a value."""
        return f"{self.place(parts)}: {key_path(self._written(self._giver(parts))) or 'top level'}"

    def fail(self, parts: Sequence[Any], what: str) -> NoReturn:
        """Raise a `RepriseError` that says where the file says so, and what is wrong with it."""
        raise RepriseError(f"{self.at(parts)}: {what}")

    def inside(self, parts: Sequence[Any], said: str) -> list[Any]:
        """Key path of what an error about the item at `parts` means: the key or row that it begins with, the
        word that it offers another for.
        """
        value: Any = self.document
        for part in parts:
            value = value[part] if isinstance(value, dict | list) else None
        found = list(parts)
        for key in keys_of_error(said):
            if isinstance(value, dict) and key in value:
                found, value = [*found, key], value[key]
        row = _ROW.match(said)
        rows = value.get("rows") if isinstance(value, dict) else None
        for index, each in enumerate(rows if row and isinstance(rows, list) else ()):
            if isinstance(each, dict) and row and each.get("label") == row.group(1):
                found, value = [*found, "rows", index], each
        wrong = _WRONG.search(said)
        words = [*filter(None, wrong.groups() if wrong else ()), *_QUOTED.findall(said)]
        paths = (_path_to(word, value) for word in words)
        return [*found, *next((path for path in paths if path is not None), ())]

    def inherit(self, here: tuple[Any, ...], origin: tuple[Any, ...]) -> None:
        """Note that the value at the key path `here` is written at another."""
        self._inherited[here] = origin

    def _giver(self, parts: Sequence[Any]) -> Sequence[Any]:
        """The key path at which a value is written."""
        for depth in range(len(parts), 0, -1):
            origin = self._inherited.get(tuple(parts[:depth]))
            if origin:
                return [*origin, *parts[depth:]]
        return parts

    def _written(self, parts: Sequence[Any]) -> list[Any]:
        """A key path as it stands in the file, before repetition and the flattening of lists."""
        written: list[Any] = []
        for depth, part in enumerate(parts):
            origin = self._origin.get(tuple(parts[:depth]), ())
            written += origin[part] if isinstance(part, int) and part < len(origin) else (part,)
        return written

    def flatten(self, value: list[Any], where: tuple[Any, ...]) -> list[Any]:
        """The items of a list, and in their place those of the lists inside it."""
        flat = list(_flat(value))
        self._origin[where] = [place for place, _ in flat]
        return [item for _, item in flat]

    # ---- repetition ----

    def _repeat(self) -> None:
        """Write out the entries with `repeat`: one for each of its mappings, whose values take the place of
        their `{names}`.
        """
        for section in SECTIONS:
            entries = self.document.get(section)
            if not isinstance(entries, list):
                continue
            written: list[Any] = []
            origin: list[tuple[int, ...]] = []
            for index, entry in enumerate(entries):
                made = self._repeated(entry, (section, index))
                written += made
                origin += [(index,)] * len(made)
                if len(written) > MOST_REPEATS:
                    self.fail((section, index), f"more than {MOST_REPEATS:,} {section}; leave some out")
            self.document[section] = written
            self._origin[section,] = origin

    def _repeated(self, entry: Any, where: tuple[Any, ...]) -> list[Any]:
        if not isinstance(entry, dict) or "repeat" not in entry:
            return [entry]
        rows = entry["repeat"]
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self.fail(
                (*where, "repeat"), "is no list of mappings from a name to its value; write one for each item"
            )
        template = {key: value for key, value in entry.items() if key != "repeat"}
        if count_values(template) * len(rows) > MOST_VALUES:
            self.fail((*where, "repeat"), f"makes more than {MOST_VALUES:,} values; shorten it")
        return [self._filled(template, row, (*where, "repeat", index)) for index, row in enumerate(rows)]

    def _filled(self, value: Any, row: Mapping[Any, Any], where: tuple[Any, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(inner, row, where) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner, row, where) for inner in value]
        if not isinstance(value, str):
            return value

        def one(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in row:
                self.fail(where, f"{{{name}}} has no value here{nearest(name, row)}")
            text = str(row[name])
            self._written_out += len(text)
            if self._written_out > MOST_BYTES:
                self.fail(where, f"the texts made have more than {MOST_BYTES:,} characters; shorten them")
            return text

        whole = re.fullmatch(r"\{(\w+)\}", value)
        if whole and whole.group(1) in row:
            return row[whole.group(1)]
        return re.sub(r"\{(\w+)\}", one, value)

    # ---- checks ----

    def validate(self, value: Any, kind: Any, where: Sequence[Any] = ()) -> Any:
        """`value` as a `kind` (a model, or a type); the first violation is a `RepriseError`.

        where: key path of the value in the file.
        """
        try:
            return _adapter(kind).validate_python(value)
        except ValidationError as error:
            parts, what = first_violation(error, value)
            place = [*where, *parts]
            self.fail(self.inside(place, what) if _ROW.match(what) else place, what)
        except RepriseError as error:  # of a package that a name in the file stands for
            raise RepriseError(f"{self.place(where) if where else self.path}: {error}") from None


_KEYS = re.compile(r"([a-z_]+(?:\.\w+|\[\d+\])*)(?: \w+)?: ")
_ROW = re.compile(r"row '([^']+)': ")
_WRONG = re.compile(r"(?:'([^']+)'|([^\s']+))(?:; did you mean |; valid: )")
_QUOTED = re.compile(r"'([^']+)'")


def keys_of_error(said: str) -> list[Any]:
    """The key path that an error begins with."""
    begins = _KEYS.match(said)
    keys = re.findall(r"\w+", begins.group(1)) if begins else []
    return [int(key) if key.isdigit() else key for key in keys]


def _path_to(word: str, value: Any) -> list[Any] | None:
    """Where in a value a text or a key stands."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found = [] if isinstance(value, dict) and key == word else _path_to(word, inner)
            if found is not None:
                return [key, *found]
    return [] if value == word else None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_report(source: Source) -> ReportFile:
    """The content of a report's files; what does not fit is a `RepriseError` with file, line and key path."""
    _complete_models(source)
    _complete_from_base(source, "figures")
    _complete_from_base(source, "tables")
    _flatten_rows(source)
    _complete_figures(source)
    check_size(source.document, str(source.path))
    found: ReportFile = source.validate(source.document, ReportFile)
    if found.slug is not None and found.slug != source.slug:
        file = "file" if source.path.suffix == ".yaml" else "folder"
        name = found.slug + source.path.suffix
        what = f"{found.slug} is not the {file}'s name, which is {source.path.name}"
        source.fail(["slug"], f"{what}; call the {file} {name}, or leave slug out")
    seen: set[str] = set()
    _check_ids(source, "figures", found.figures, seen)
    _check_ids(source, "tables", found.tables, seen)  # they share a folder of intermediate files with figures
    own = {statement.id: statement for statement in found.statements}
    others = {table.id: table for table in found.tables}
    tables: list[Table] = []
    made: list[Statement] = []
    for index, table in enumerate(found.tables):
        try:
            completed = _with_mean(complete_table(table, own, others), found)
            made += table_statements(completed)
        except RepriseError as error:
            where = source.inside(["tables", index], str(error))
            source.fail(where, f"table {table.id}: {error}")
        tables.append(_without_names(completed, found, source, ["tables", index]))
    _check_ids(source, "statements", found.statements, {statement.id for statement in made})
    statements = [*made, *(_with_mean(statement, found) for statement in found.statements)]
    _check_follows(source, found, [statement.id for statement in statements])
    _check_outline(source, found)
    numbers = {each.id: each.reported for each in statements if isinstance(each, Number)}
    figures = [
        _with_reported(_without_names(figure, found, source, ["figures", index]), numbers, source, index)
        for index, figure in enumerate(found.figures)
    ]
    return found.model_copy(update={"figures": figures, "tables": tables, "statements": statements})


def _with_mean(item: Item, found: ReportFile) -> Item:
    """A number or table with how many trainings the report's numbers are means of, if it does not say so."""
    if found.mean_of is None or not isinstance(item, Number | Table) or item.mean_of is not None:
        return item
    return cast(Item, item.model_copy(update={"mean_of": found.mean_of}))


def _check_follows(source: Source, found: ReportFile, known: Sequence[str]) -> None:
    for one, other in found.follows.items():
        for name in (one, other):
            if name not in known:
                source.fail(["follows", one], f"no statement is called {name!r}{nearest(name, known)}")
        if one == other:
            source.fail(["follows", one], f"{one} cannot follow from itself; name the one that settles it")
        if other in found.follows:
            source.fail(["follows", one], f"{other} follows from another itself; name that one")


def _with_reported(figure: Figure, numbers: Mapping[str, str], source: Source, index: int) -> Figure:
    """The figure with the reported value of each statement that a reference line names."""
    if not isinstance(figure, Curves | Trials):
        return figure
    lines: list[Reference] = []
    several = isinstance(source.document["figures"][index].get("reference"), list)
    for place, line in enumerate(figure.reference):
        where = ["figures", index, "reference", *([place] if several else [])]
        if (line.statement is None) == (line.value is None):
            source.fail(where, "needs a value or a statement, one of the two")
        if line.statement and line.statement not in numbers:
            source.fail(where, f"no number {line.statement}{nearest(line.statement, numbers)}")
        if line.statement:
            look = {key: value for key, value in plain(line).items() if key != "statement"}
            line = Reference(value=numbers[line.statement], **look)
        lines.append(line)
    return figure.model_copy(update={"reference": lines})


def _check_ids(source: Source, section: str, items: Sequence[Any], seen: set[str]) -> None:
    for index, item in enumerate(items):
        if item.id in seen:
            source.fail([section, index], f"{item.id} stands twice; ids are file names, make them differ")
        seen.add(item.id)


def _check_outline(source: Source, file: ReportFile) -> None:
    """Sections differ, and each figure and table stands in one at most."""
    known = [item.id for item in file.figures] + [item.id for item in file.tables]
    sections: set[str] = set()
    placed: set[str] = set()
    for index, part in enumerate(file.outline):
        if part.section in sections:
            source.fail(["outline", index], f"{part.section} stands twice; make the sections differ")
        sections.add(part.section)
        for place, item in enumerate(part.shows):
            where = ["outline", index, "shows", place]
            if item not in known:
                source.fail(where, f"no figure or table {item}{nearest(item, known)}")
            if item in placed:
                source.fail(where, f"{item} stands in two sections; leave it in one")
            placed.add(item)


def _without_names(item: Any, file: ReportFile, source: Source, where: list[Any]) -> Any:
    """A part of a figure or table with selectors in the place of names of cells, and layers' places in the
    place of their names.
    """
    if isinstance(item, list):
        return [_without_names(entry, file, source, [*where, place]) for place, entry in enumerate(item)]
    if not isinstance(item, BaseModel):
        return item
    changes: dict[str, Any] = {}
    for name in type(item).model_fields:
        value = getattr(item, name)
        if name in ("runs", "after", "noise") and value in file.cells:
            cells = file.cells[value]
            picks = isinstance(item, Compared) and name == "runs"
            if cells.pick and not picks:
                what = (
                    f"{value} is the best run of {cells.runs}, and whole cells stand here; write its selector"
                )
                source.fail([*where, name], what)
            changes[name] = cells.runs
            if picks and cells.pick:
                changes["pick"] = cells.pick
            unnamed = "label" in type(item).model_fields and not getattr(item, "label", None)
            if cells.label and name == "runs" and unnamed:
                changes["label"] = cells.label
        elif isinstance(value, BaseModel | list):
            changes[name] = _without_names(value, file, source, [*where, name])
    if isinstance(item, Diagram) and item.network in file.models:
        places = layer_places(plain(file.models[item.network]))
        changes["mark"] = [places.get(name, name) for name in item.mark]
        changes["names"] = {places.get(name, name): called for name, called in item.names.items()}
    return item.model_copy(update=changes) if changes else item


def _complete_from_base(source: Source, section: str) -> None:
    """Figures or tables with `base` start from what an earlier one says."""
    items = source.document.get(section)
    if not isinstance(items, list):
        return
    done: dict[Any, dict[str, Any]] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        if "base" in item:
            base = item["base"]
            if not isinstance(base, str) or base not in done:
                what = f"no earlier one of the {section} is called {base}{nearest(base, done)}"
                source.fail([section, index, "base"], what)
            item = {**done[base], **{key: value for key, value in item.items() if key != "base"}}
        items[index] = item
        if isinstance(item.get("id"), str):
            done[item["id"]] = item


def _complete_figures(source: Source) -> None:
    """Figures with what the defaults of their kind say."""
    defaults, figures = source.document.get("figure_defaults"), source.document.get("figures")
    if not isinstance(defaults, dict) or not isinstance(figures, list):
        return
    for kind, keys in defaults.items():
        if kind not in FIGURES:
            source.fail(["figure_defaults", kind], f"is no kind of figure{nearest(kind, FIGURES)}")
        if not isinstance(keys, dict):
            source.fail(["figure_defaults", kind], f"{shown(keys)} is no mapping from keys to values")
        valid = [key for key in keys_of(FIGURES[kind]) if key not in ("id", "kind")]
        for key in keys:
            if key not in valid:
                source.fail(["figure_defaults", kind, key], f"unknown key{nearest(key, valid)}")
    for index, figure in enumerate(figures):
        kind = figure.get("kind") if isinstance(figure, dict) else None
        if isinstance(kind, str) and kind in defaults:
            for key in defaults[kind].keys() - figure.keys():
                source.inherit(("figures", index, key), ("figure_defaults", kind, key))
            figures[index] = {**defaults[kind], **figure}


def _flatten_rows(source: Source) -> None:
    """Lists inside the lists of rows of tables are laid flat."""
    tables = source.document.get("tables")
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict) and isinstance(table.get("rows"), list):
            table["rows"] = source.flatten(table["rows"], ("tables", index, "rows"))


def _complete_models(source: Source) -> None:
    """Networks with `base` start from another's options; lists inside lists of layers are laid flat."""
    models = source.document.get("models")
    if not isinstance(models, dict):
        return
    done: dict[str, Any] = {}

    def complete(name: str, via: tuple[str, ...]) -> Any:
        if name in done or not isinstance(models[name], dict):
            return done.get(name, models[name])
        own = dict(models[name])
        if "base" in own:
            base, where = own.pop("base"), ["models", name, "base"]
            if not isinstance(base, str) or base not in models:
                source.fail(where, f"no model {base}{nearest(base, models)}")
            if base in (*via, name):
                circle = " → ".join(map(str, [*via, name, base]))
                source.fail(where, f"goes round in a circle: {circle}; break it")
            if len(via) > LONGEST_CHAIN:
                source.fail(
                    where, f"more than {LONGEST_CHAIN} models start from each other; shorten the chain"
                )
            inherited = complete(base, (*via, name))
        else:
            inherited = {}
        for key in ("layers", "head"):
            if isinstance(own.get(key), list):
                own[key] = source.flatten(own[key], ("models", name, key))
        own = {**inherited, **own} if isinstance(inherited, dict) else own
        done[name] = own
        return own

    source.document["models"] = {name: complete(name, ()) for name in models}


def _flat(items: Iterable[Any], place: tuple[int, ...] = ()) -> Iterable[tuple[tuple[int, ...], Any]]:
    """Place and item of each that is no list, however deep."""
    for index, item in enumerate(items):
        if isinstance(item, list):
            yield from _flat(item, (*place, index))
        else:
            yield (*place, index), item
