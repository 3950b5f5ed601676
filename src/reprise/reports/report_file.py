"""A report file as a whole: one YAML file, or a folder of them; read, checked and completed.

`read_report` gives the typed content; `json_schema` is what editors check it by while one types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, Field

from reprise.errors import RepriseError, nearest
from reprise.extensions import FIGURES
from reprise.hints import shown, suggestion
from reprise.reports.experiments import Experiment, Scales
from reprise.reports.expressions import called, read_expression
from reprise.reports.figures import AnyFigure, Compared, Curves, Diagram, Figure, Reference, Trials
from reprise.reports.file import (
    check_size,
)
from reprise.reports.paths import layer_places
from reprise.reports.settings import AnyNetwork, Defaults
from reprise.reports.source import NETWORK, Source
from reprise.reports.statements import AnyStatement, Called, Cells, Expression, Number, Statement, Trainings
from reprise.reports.table_statements import complete_table, table_statements
from reprise.reports.tables import AnyTable, ClassTable, Table
from reprise.reports.values import Identifier, Name, Text, Unique
from reprise.schema import Strict, Violation, form, plain, titled
from reprise.schema import keys as keys_of

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
    """The file's name without .yaml; optional."""
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


def read_report(source: Source) -> ReportFile:
    """The content of a report's files. What does not fit is noted in `source.mistakes`, with file, line and
    key path, and left out; where nothing can be checked without it, it is raised.
    """
    _complete_models(source)
    _complete_from_base(source, "figures")
    _complete_from_base(source, "tables")
    _flatten_rows(source)
    _complete_figures(source)
    check_size(source.document, str(source.path))
    found = _checked(source)
    if found.slug is not None and found.slug != source.slug:
        file = "file" if source.path.suffix == ".yaml" else "folder"
        name = found.slug + source.path.suffix
        what = f"{found.slug} is not the {file}'s name, which is {source.path.name}"
        source.note(["slug"], f"{what}; call the {file} {name}, or leave slug out")
    seen: set[str] = set()
    _check_ids(source, "figures", found.figures, seen)
    _check_ids(source, "tables", found.tables, seen)  # they share a folder of intermediate files with figures
    own = {statement.id: statement for statement in found.statements}
    others = {table.id: table for table in found.tables}
    tables: dict[int, Table] = {}
    made: list[Statement] = []
    for index, table in enumerate(found.tables):
        with source.mistakes.noting():
            for row in getattr(table, "rows", None) or ():
                source.check_name("statements", getattr(row, "statement", None))
            source.check_name(
                "tables", getattr(table, "reported", None) if isinstance(table, ClassTable) else ""
            )
            try:
                completed = _with_mean(complete_table(table, own, others), found)
                statements = table_statements(completed)
            except RepriseError as error:
                raise source.mistake_inside(["tables", index], str(error)) from None
            tables[index] = _without_names(completed, found, source, ["tables", index])
            made += statements
    source.drop_others("tables", found.tables, tables)
    _check_ids(source, "statements", found.statements, {statement.id for statement in made})
    all_statements = [*made, *(_with_mean(statement, found) for statement in found.statements)]
    _check_follows(source, found, [statement.id for statement in all_statements])
    _check_outline(source, found)
    numbers = {each.id: each.reported for each in all_statements if isinstance(each, Number)}
    measured = {
        each.id: _metrics(each.measure, found.measures) for each in all_statements if isinstance(each, Number)
    }
    figures: dict[int, Figure] = {}
    for index, figure in enumerate(found.figures):
        with source.mistakes.noting():
            completed_figure = _without_names(figure, found, source, ["figures", index])
            _check_lines(completed_figure, measured, source, index)
            figures[index] = _with_reported(completed_figure, numbers, source, index)
    source.drop_others("figures", found.figures, figures)
    update = {
        "figures": list(figures.values()),
        "tables": list(tables.values()),
        "statements": all_statements,
    }
    return found.model_copy(update=update)


def _checked(source: Source) -> ReportFile:
    """The document against its model, without what is wrong in it."""
    for _ in range(4):  # what is left of a wrong part can be wrong in itself
        wrong: list[Violation] = []
        found = source.validate(source.document, ReportFile, wrong)
        if found is not None:
            return cast(ReportFile, found)
        if not source.leave_out(wrong):
            break
    source.mistakes.raise_all()
    raise AssertionError("a document that does not fit has a mistake")


def _with_mean(item: Item, found: ReportFile) -> Item:
    """A number or table with how many trainings the report's numbers are means of, if it does not say so."""
    if found.mean_of is None or not isinstance(item, Number | Table) or item.mean_of is not None:
        return item
    return cast(Item, item.model_copy(update={"mean_of": found.mean_of}))


def _check_follows(source: Source, found: ReportFile, known: Sequence[str]) -> None:
    for one, other in found.follows.items():
        with source.mistakes.noting():
            for name in (one, other):
                source.check_name("statements", name)
                if name not in known:
                    source.fail(["follows", one], f"no statement is called {name!r}{nearest(name, known)}")
            if one == other:
                source.fail(
                    ["follows", one], f"{one} cannot follow from itself; name the one that settles it"
                )
            if other in found.follows:
                source.fail(["follows", one], f"{other} follows from another itself; name that one")


_ACCURACIES = {
    *("accuracy", "train_accuracy", "plain_train_accuracy", "class_accuracy"),
    *("precision_macro", "recall_macro", "f1_macro"),
}
_LOSSES = {"loss", "train_loss", "plain_train_loss"}


def _metrics(measure: str, measures: Mapping[str, str]) -> set[str]:
    """The metrics that an expression calls, itself or by names under `measures`; none where it is wrong."""
    try:
        names = called(read_expression(measure))
        return names.union(*(called(read_expression(measures[name])) for name in names if name in measures))
    except RepriseError:  # which is said of the statement
        return set()


def _check_lines(figure: Figure, measured: Mapping[str, set[str]], source: Source, index: int) -> None:
    """Refuse the number of an accuracy as a line among losses, and the other way round."""
    if not isinstance(figure, Curves | Trials):
        return
    several = isinstance(source.document["figures"][index].get("reference"), list)
    drawn = figure.metric if isinstance(figure.metric, list) else [figure.metric]
    for place, line in enumerate(figure.reference):
        metrics = measured.get(line.statement or "", set())
        axis = line.panel if line.panel in drawn else drawn[0] if len(drawn) == 1 else ""
        for name, of_axis, others in (("loss", _LOSSES, _ACCURACIES), ("accuracy", _ACCURACIES, _LOSSES)):
            if axis == name and metrics & others and not metrics & of_axis:
                wrong = f"{line.statement} measures {min(metrics & others)}, and the axis is {name}"
                where = ["figures", index, "reference", *([place] if several else [])]
                source.fail(where, f"{wrong}; name a number that measures {name}")


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
        source.check_name("statements", line.statement)
        if line.statement and line.statement not in numbers:
            source.fail(where, f"no number {line.statement}{nearest(line.statement, numbers)}")
        if line.statement:
            look = {key: value for key, value in plain(line).items() if key != "statement"}
            line = Reference(value=numbers[line.statement].lstrip("<>= "), **look)  # of a bound, where it is
        lines.append(line)
    return figure.model_copy(update={"reference": lines})


def _check_ids(source: Source, section: str, items: Sequence[Any], seen: set[str]) -> None:
    for index, item in enumerate(items):
        if item.id in seen:
            why = "two statements" if section == "statements" else "files are called so, and"
            what = "cannot have one id" if section == "statements" else "ids differ among figures and tables"
            source.note([section, index], f"{item.id} stands twice; {why} {what}, so rename one")
        seen.add(item.id)


def _check_outline(source: Source, file: ReportFile) -> None:
    """Sections differ, and each figure and table stands in one at most."""
    known = [item.id for item in file.figures] + [item.id for item in file.tables]
    sections: set[str] = set()
    placed: set[str] = set()
    for index, part in enumerate(file.outline):
        if part.section in sections:
            source.note(["outline", index], f"{part.section} stands twice; make the sections differ")
        sections.add(part.section)
        for place, item in enumerate(part.shows):
            where = ["outline", index, "shows", place]
            if item not in known and not {("figures", item), ("tables", item)} & source.lost:
                source.note(where, f"no figure or table {item}{nearest(item, known)}")
            if item in placed:
                source.note(where, f"{item} stands in two sections; leave it in one")
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
        if name in ("runs", "after", "noise"):
            source.check_name("cells", value)
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
    places: dict[Any, int] = {}
    wrong: set[int] = set()
    unsound: set[Any] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        if "base" in item:
            base = item["base"]
            if isinstance(base, str) and base in unsound:
                wrong.add(index)
                unsound.add(item.get("id"))
                continue
            if not isinstance(base, str) or base not in done:
                what = f"no earlier one of the {section} is called {base}{nearest(base, done)}"
                source.note([section, index, "base"], what)
                wrong.add(index)
                unsound.add(item.get("id"))
                continue
            own = {key: value for key, value in item.items() if key != "base"}
            for key in done[base].keys() - own.keys():
                source.inherit((section, index, key), (section, places[base], key))
            item = {**done[base], **own}
        items[index] = item
        if isinstance(item.get("id"), str):
            done[item["id"]], places[item["id"]] = item, index
    if wrong:
        source.drop(section, wrong)


def _complete_figures(source: Source) -> None:
    """Figures with what the defaults of their kind say."""
    defaults, figures = source.document.get("figure_defaults"), source.document.get("figures")
    if not isinstance(defaults, dict) or not isinstance(figures, list):
        return
    kinds: dict[str, dict[str, Any]] = {}
    for kind, keys in defaults.items():
        if kind not in FIGURES:
            source.note(["figure_defaults", kind], f"is no kind of figure{nearest(kind, FIGURES)}")
            continue
        if not isinstance(keys, dict):
            source.note(["figure_defaults", kind], f"should be a mapping, not {shown(keys)}")
            continue
        valid = [key for key in keys_of(FIGURES[kind]) if key not in ("id", "kind")]
        for key in keys:
            if key not in valid:
                source.note(["figure_defaults", kind, key], f"unknown key{suggestion(key, valid)[0]}")
        kinds[kind] = {key: value for key, value in keys.items() if key in valid}
    source.document["figure_defaults"] = defaults = kinds
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
        source.check_name("models", name)
        if name in done or not isinstance(models[name], dict):
            return done.get(name, models[name])
        own = dict(models[name])
        base = None
        if "base" in own:
            base, where = own.pop("base"), ["models", name, "base"]
            if not isinstance(base, str) or base not in models:
                source.fail(where, f"no model {base}{nearest(base, models)}")
            if base in (*via, name):
                circle = " → ".join(map(str, [*via, name, base]))
                source.lost |= {("models", each) for each in via}
                source.fail(where, f"goes round in a circle: {circle}; break it")
            if len(via) > LONGEST_CHAIN:
                source.lost |= {("models", each) for each in via}
                source.fail(
                    where, f"more than {LONGEST_CHAIN} models start from each other; shorten the chain"
                )
            inherited = complete(base, (*via, name))
        else:
            inherited = {}
        for key in ("layers", "head"):
            if isinstance(own.get(key), list):
                own[key] = source.flatten(own[key], ("models", name, key))
        if isinstance(inherited, dict):
            for key in inherited.keys() - own.keys() if "name" not in own else ():
                source.inherit(("models", name, key), ("models", base, key))
            own = {**inherited, **own}
        done[name] = own
        return own

    completed: dict[Any, Any] = {}
    for name in models:
        try:
            completed[name] = complete(name, ())
        except RepriseError as error:
            source.mistakes.add(error)
            source.lost.add(("models", name))
            completed[name] = NETWORK
    source.document["models"] = completed
