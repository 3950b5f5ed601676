"""Report files: `workflow/reports/<slug>.yaml` → experiments, cells and runs; figures, tables and statements.

An experiment is a base run and what is varied in it: nothing, a grid, one value at a time (pointwise), a
random search, or one with successive halving (asha). Each combination is a *cell*; each cell has one run per
seed.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import keyword
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from reprise.errors import RepriseError, nearest
from reprise.folders import listing
from reprise.progress import say
from reprise.reports.cells import Cell, Undrawn, select, text
from reprise.reports.expansion import Expansion
from reprise.reports.expressions import Names, called, named, named_cells, read_expression
from reprise.reports.figures import Diagram, Figure, Samples
from reprise.reports.file import other_files, yaml_files
from reprise.reports.layout import SCALES, stand_in_source
from reprise.reports.mistakes import OWN_MISTAKE, Mistake
from reprise.reports.report_file import read_report
from reprise.reports.run import Run
from reprise.reports.settings import Settings
from reprise.reports.source import LAYER, OPTION, SECTIONS, Source, keys_of_error
from reprise.reports.statements import Statement
from reprise.reports.table_statements import shown_statements
from reprise.reports.tables import LayerTable, Table
from reprise.schema import plain

__all__ = ["Cell", "Report", "Undrawn", "report_files", "text"]

CHECKED = "REPRISE_CHECKED"
"""Environment variable with the stamps of the report files that the workflow has checked: its hundred jobs
need not do that again.
"""
OF_IMAGES = frozenset(
    {"chance", "channel_deviation", "channel_mean", "test_images", "train_images", "validation_images"}
)
"""Metrics of the images that a run is given; no assumption about its training bears on them."""
RULES = (
    *("all", "all_figures", "all_tables", "all_statements", "synthesize", "fetch", "fetch_weights", "decode"),
    *("statistics", "stand_in", "layers", "samples", "figure", "table", "statements", "train", "evaluate"),
    *("import_runs", "site"),
)
"""Names that a report cannot have, because a report's slug is a target of its own."""
FOLDERS = ("runs", "assets")
"""Folders of the site beside those of the reports."""


def report_files(folder: Path) -> dict[str, Path]:
    """Slug → report, in order: the YAML files of a folder, and the folders in it that hold some."""
    for other in other_files(folder):
        say(f"{other}: not read, since report files end in .yaml; rename it to {other.stem}.yaml")
    files = {path.stem: path for path in yaml_files(folder)}
    for folder_of_one in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
        for other in other_files(folder_of_one) if not yaml_files(folder_of_one) else ():
            say(f"{other}: not read, since report files end in .yaml; rename it to {other.stem}.yaml")
    folders: dict[str, Path] = {}
    with contextlib.suppress(OSError):  # no such folder, or one that cannot be read
        folders = {path.name: path for path in listing(folder) if yaml_files(path)}
    for slug in sorted(files.keys() & folders.keys()):
        raise RepriseError(
            f"{folders[slug]}: {files[slug].name} beside it is the same report; keep one of them"
        )
    return dict(sorted((files | folders).items()))


_RUN = re.compile(r"\brun ([0-9a-f]{12})\b")


class Report:
    """One report at one scale, expanded into runs.

    Parameters
    ----------
    path: the report file, or a folder of them; its name is the slug.
    scale: `full`, `quick` or `demo`.
    skip: experiments left out by the user; what needs them is *not run*.
    stand_in: data sets in whose place a stand-in made from other real images is used; figures, tables and
        statements say so.
    tolerant: what does not fit is left out and noted in `mistakes`, as far as the rest can be read without.

    Raises `RepriseError` for anything that does not fit, all of it at once, naming file, line, key path and
    nearest valid key.
    """

    def __init__(
        self,
        path: Path | str,
        scale: str = "full",
        skip: Sequence[str] = (),
        stand_in: Sequence[str] = (),
        *,
        tolerant: bool = False,
    ) -> None:
        self.path = Path(path)
        self.stand_in = frozenset(stand_in)
        if scale not in SCALES:
            raise RepriseError(f"scale {scale!r} is not known{nearest(scale, SCALES)}")
        self.scale = scale
        for name in stand_in:
            stand_in_source(name, "stand_in")
        stamps = os.environ.get(CHECKED, "").split()
        known = bool(stamps) and self.path.exists() and self.stamp in stamps
        self._source = Source(path, known=known)
        self.mistakes = self._source.mistakes
        self.unsound: set[tuple[str, str]] = set()
        """Section and id of figures, tables and statements with mistakes, which are checked no further."""
        self.unbuilt: set[str] = set()
        """Runs that could not be trained as they are, whose networks are not looked into."""
        self.slug: str = self._source.slug
        if self.slug in RULES:
            raise RepriseError(f"{self.path}: {self.slug} is a rule of the workflow; choose another name")
        if self.slug in FOLDERS:
            raise RepriseError(f"{self.path}: {self.slug} is a folder of the site; choose another name")
        self.file = read_report(self._source)
        self._source.check_empty()
        self._expansion = Expansion(self.file, self._source, scale, self.source, known=known)
        self._cells = self._expansion.cells
        self.names = Names(
            {name: plain(cells) for name, cells in self.file.cells.items()},
            self.file.measures,
            lambda name: self._source.at(["measures", name]),
        )
        self._selected: dict[str, list[Cell]] = {}
        self._at_hand: Collection[str] | None = None
        self._active: dict[str, bool] = {}
        for name in skip:
            if name not in self._cells:
                raise RepriseError(f"{self.path}: skip: no experiment {name}{nearest(name, self._cells)}")
        self.skipped = frozenset(skip) | {name for name in self._cells if self._expansion.rule(name).skip}
        if not known:
            self._check_references()
        if not tolerant:
            self.mistakes.raise_all()

    # ---- what others ask ----

    @property
    def stamp(self) -> str:
        """What is checked: the files' text at a scale, as SHA-256."""
        digest = hashlib.sha256(f"{self.scale} ".encode())
        for file in yaml_files(self.path) if self.path.is_dir() else [self.path]:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    @property
    def figures(self) -> list[Figure]:
        return self.file.figures

    @property
    def tables(self) -> list[Table]:
        return self.file.tables

    @property
    def statements(self) -> list[Statement]:
        """Those that the tables make, then those of the file."""
        return self.file.statements

    @property
    def about(self) -> dict[str, Any]:
        """Title, authors, framework, summary and assumptions (plain), as far as the file gives them."""
        keys = ("title", "authors", "framework", "summary", "assumptions")
        return {key: plain(getattr(self.file, key)) for key in keys if getattr(self.file, key)}

    @property
    def experiments(self) -> list[str]:
        return list(self._cells)

    @property
    def settled(self) -> bool:
        """Whether the data set and the split of runs are those that the file means."""
        return not self._source.lost_settings & {"dataset", "split"}

    @property
    def certain_networks(self) -> bool:
        """Whether the networks of runs are those that the file means."""
        return "model" not in self._source.doubtful

    def at(self, *parts: Any) -> str:
        """File, line and key path of what stands there, as an error starts."""
        return self._source.at(parts)

    def mistake(self, parts: Sequence[Any], said: str, whose: str = "", about: str = "") -> Mistake:
        """What is wrong with the figure, table or statement at the key path `parts`, as an error. Its place
        is the part that is meant: the text `about` which it is, or what is `said` tells it.
        """
        said = _RUN.sub(lambda run: self.cell_of(run[1]).name, said)
        return self._source.mistake_inside(parts, said, self._with_scale(whose), about)

    def _with_scale(self, whose: str) -> str:
        """Whose a mistake is, and at which scale if that is not the first that is checked."""
        return ", ".join(filter(None, [whose, "" if self.scale == "full" else f"scale {self.scale}"]))

    def cell_mistake(self, cell: Cell, said: str) -> Mistake:
        """What is wrong with a cell, as an error. Its place is what gives it the setting that is meant."""
        keys = keys_of_error(said)
        setting = keys if keys and keys[0] in Settings.model_fields else None
        settings = plain(cell.members[0].spec)
        whose = self._with_scale(cell.called)
        return self._expansion.mistake(cell.experiment, setting, said, whose, settings)

    def statement_mistake(self, statement: Statement, said: str, about: str = "") -> Mistake:
        """What is wrong with a statement, or with the table that makes it, as an error."""
        parts, whose = self.place_of(statement)
        return self.mistake(parts, said, whose, about)

    def where(self, statement: Statement) -> str:
        """File, line and key path of a statement, or of the table that makes it, as an error starts."""
        parts, whose = self.place_of(statement)
        return self._source.at(parts) + (f" ({whose})" if whose else "")

    def place_of(self, statement: Statement) -> tuple[list[Any], str]:
        """Key path of a statement, and its name where that is not in the path."""
        table = getattr(statement, "table", None)
        if not table:
            place = next(at for at, item in enumerate(self.own_statements) if item.id == statement.id)
            return ["statements", place], ""
        place = next(at for at, item in enumerate(self.tables) if item.id == table)
        parts: list[Any] = ["tables", place]
        if isinstance(rows := getattr(self.tables[place], "rows", None), list):
            shown = shown_statements(self.tables[place])
            labels = next(at for at, one in shown.items() if one == statement.id)
            parts += ["rows", next(index for index, row in enumerate(rows) if row.label in labels)]
        return parts, f"statement {statement.id}"

    @property
    def own_statements(self) -> list[Statement]:
        """Those of the file's section `statements`."""
        return [statement for statement in self.statements if not getattr(statement, "table", None)]

    def item(self, section: str, identifier: str) -> Any:
        """The figure or table of that id."""
        items = {entry.id: entry for entry in getattr(self.file, section)}
        if identifier not in items:
            raise RepriseError(f"{self.path}: {section} has no {identifier}{nearest(identifier, items)}")
        return items[identifier]

    def item_with_layers(self, identifier: str) -> LayerTable | Diagram:
        """The table of layers or the diagram of that id; a `RepriseError` names what there is."""
        items = {
            entry.id: entry
            for entry in [*self.tables, *self.figures]
            if isinstance(entry, LayerTable | Diagram)
        }
        if identifier not in items:
            raise RepriseError(
                f"{self.path}: no table of layers or diagram {identifier}{nearest(identifier, items)}"
            )
        return items[identifier]

    def cells(self, selector: str) -> list[Cell]:
        """The cells that a selector, or a name of the report's `cells`, names, in the report file's order; at
        least one (of a report `of_runs`, maybe none).
        """
        if selector not in self._selected:
            named = self.file.cells.get(selector)
            meant = named.runs if named else selector
            name = meant.partition("@")[0].partition("/")[0]
            self._source.check_name("cells", selector)
            self._source.check_name("experiments", name)
            if name in self.file.models and name not in self._cells:
                trained = self._expansion.network_runs.get(name)
                hint = f", such as {self.cell_of(trained.hash).name}" if trained else ""
                raise RepriseError(f"selector {selector!r}: {name} is a model; name what trains it{hint}")
            spaces, also = self._expansion.spaces, list(self.file.cells)
            found = select(meant, self._cells, spaces, self.scale, also)
            if self._at_hand is not None:
                found = [part for cell in found if (part := cell.of_runs(self._at_hand)).members]
            self._selected[selector] = found
        return self._selected[selector]

    def of_runs(self, runs: Collection[str]) -> Report:
        """The same report as if it had these runs alone: a selector names the cells that have some of them,
        each with those.
        """
        narrowed = copy.copy(self)
        narrowed._at_hand, narrowed._selected = runs, {}
        return narrowed

    @cached_property
    def at_full(self) -> Report:
        """The same report at scale `full`, whose settings are not checked again."""
        whole = copy.copy(self)
        whole.scale = "full"
        whole._expansion = Expansion(self.file, self._source, "full", self.source, known=True)
        whole._cells = whole._expansion.cells
        whole._at_hand, whole._selected, whole._active = None, {}, {}
        return whole

    def definitions(self, item: Any) -> dict[str, Any]:
        """What the names in the expressions of a table or statement mean: those under `cells` and
        `measures`.
        """
        known = {**self.names.cells, **self.names.measures}
        found = {name for text in expressions(item) for name in named(read_expression(text))}
        return {name: known[name] for name in sorted(found & {*known})}

    def all_cells(self, experiment: str) -> list[Cell]:
        """Every cell of an experiment, in all its readings."""
        return self._cells[experiment]

    def active(self, cell: Cell) -> bool:
        """Whether the cell's runs are to be trained (its experiment and those it starts from are not
        skipped).
        """
        if cell.name not in self._active:
            parents = {run.parent for run in cell.members} - {None}
            before = [
                other for others in self._cells.values() for other in others if parents & set(other.runs)
            ]
            self._active[cell.name] = cell.experiment not in self.skipped and all(map(self.active, before))
        return self._active[cell.name]

    def needed(self, item: Any) -> list[Cell]:
        """The cells that a figure, table or statement draws on, as far as this scale has them."""
        found: dict[str, Cell] = {}
        for selector in selectors(item):
            with contextlib.suppress(Undrawn):
                found |= {cell.name: cell for cell in self.cells(selector)}
        return list(found.values())

    @cached_property
    def affected(self) -> list[frozenset[str]]:
        """For each assumption, the ids of the statements that hang on it: those that it names, those that a
        table which it names makes, and those that draw on a run of its cells, but for those that measure the
        images alone. One that names nothing affects them all.
        """
        runs = {
            one.id: set() if _of_images(one) else {run for cell in self.needed(one) for run in cell.runs}
            for one in self.statements
        }
        called = {one.id: {one.id, getattr(one, "table", None)} for one in self.statements}
        found = []
        for assumption in self.file.assumptions:
            names = {*assumption.affects}
            behind = {run for name in names for run in self._runs_named(name)}
            hang = (one for one in runs if not names or names & called[one] or behind & runs[one])
            found.append(frozenset(hang))
        return found

    def _runs_named(self, name: str) -> set[str]:
        """Runs of the cells of that name; none if it is the name of a table or statement alone."""
        with contextlib.suppress(RepriseError):
            return {run for cell in self.cells(name) for run in cell.runs}
        return set()

    def runs(self, cells: Iterable[Cell] | None = None) -> dict[str, Run]:
        """Hash → run of `cells`, or of all that the report asks for: experiments in their first reading, and
        what is drawn or measured.
        """
        if cells is None:
            first = [cell for name in self._cells for cell in self.cells(name)]
            drawn = [
                cell for section in SECTIONS for item in getattr(self, section) for cell in self.needed(item)
            ]
            cells = [cell for cell in [*first, *drawn] if self.active(cell)]
        return {run.hash: run for cell in cells for run in cell.members}

    def networks(self, names: Sequence[str]) -> dict[str, tuple[str, Run]]:
        """Name of a model → its title and the first run that trains it, which gives its classes and, at small
        scales, its width.
        """
        trained = self._expansion.network_runs
        for name in names:
            if name not in trained:
                if name in self.file.models and self._source.lost:
                    raise RepriseError(f"what trains {name} {OWN_MISTAKE}")
                self._source.check_name("models", name)
                hint = nearest(name, [*trained, *self.file.models])
                raise RepriseError(f"{self.path}: no experiment trains a model {name}{hint}")
        return {name: (self.file.models[name].title or name, trained[name]) for name in names}

    @property
    def trained_networks(self) -> dict[str, Run]:
        """Name of a model → the first run that trains it; of a report whose models have no names, experiment
        → its first run.
        """
        first = {name: cells[0].members[0] for name, cells in self._cells.items() if cells}
        return self._expansion.network_runs or first

    def untrained_networks(self) -> dict[str, dict[str, Run]]:
        """Name of each model that no experiment trains, and that no other is based on → the first run of each
        experiment → one that would train it with the same data and settings.
        """
        bases = self._source.bases()
        names = self.file.models.keys() - self._expansion.network_runs.keys() - bases
        lost = any(section == "experiments" for section, _ in self._source.lost)
        names = set() if lost else {name for name in names if ("models", name) not in self._source.lost}
        return {name: self._expansion.untrained(name) for name in self.file.models if name in names}

    def model_mistake(self, name: str, said: str) -> Mistake:
        """What is wrong with a model that no experiment trains, as an error."""
        layer = [key for key in keys_of_error(said)[1:] if key is not None]
        what = OPTION.sub("", LAYER.sub(r"\3: ", said))
        return self._source.mistake(["models", name, *layer], what)

    def source(self, dataset: str) -> str:
        """Where the images of a data set come from: `real`, `synthetic` (the demo's) or `stand-in`."""
        return "synthetic" if self.scale == "demo" else "stand-in" if dataset in self.stand_in else "real"

    def notes(self, *items: Any) -> list[str]:
        """What a figure or table has to say on its face about the runs it draws and the images it shows."""
        runs = [run.settings for item in items for cell in self.needed(item) for run in cell.members]
        shown = [item.images.dataset for item in items if isinstance(item, Samples)]
        used = [*shown, *(run.dataset.name for run in runs)]
        standing_in = sorted({name for name in used if self.source(name) == "stand-in"})
        random_weights = sorted({run.model["arch"] for run in runs if run.model.get("weights") == "random"})
        weights = f"{', '.join(random_weights)} with random instead of pretrained weights"
        return [
            *(f"a stand-in for {name}, made from other images" for name in standing_in),
            *([weights] if random_weights else []),
        ]

    def cell_of(self, run: str) -> Cell:
        """The first cell that holds the run of that hash."""
        for cells in self._cells.values():
            for cell in cells:
                if run in cell.runs:
                    return cell
        if any(section == "experiments" for section, _ in self._source.lost):
            raise RepriseError(f"the run {OWN_MISTAKE}")
        hint = f"list them with: python -m reprise runs {self.slug}"
        raise RepriseError(f"{self.path}: no run {run} at scale {self.scale}; {hint}")

    # ---- checks ----

    def leave_out_measure(self, name: str) -> None:
        """Let a name under `measures` that means nothing stand for something, so that what uses it can be
        checked.
        """
        self.names = replace(self.names, measures={**self.names.measures, name: "accuracy"})

    def _check_references(self) -> None:
        """Whether every selector and name of figures, tables and statements names cells; what does not is
        noted.
        """
        self._check_names()
        self._check_assumptions()
        for section in ("figures", "tables"):
            for index, item in enumerate(getattr(self, section)):
                for error in self.wrong_in(item):
                    self.mistakes.add(self._source.mistake_inside([section, index], str(error)))
                    self.unsound.add((section, item.id))
        for statement in self.statements:
            for error in self.wrong_in(statement):
                self.mistakes.add(self.statement_mistake(statement, str(error)))
                self.unsound.add(("statements", statement.id))

    def wrong_in(self, item: Any) -> Iterator[RepriseError]:
        """Selectors that name nothing, mistakes in the syntax of expressions, and cells in them that are not
        there.
        """
        for selector in plain_selectors(item):
            try:
                self._check_selector(selector)
            except RepriseError as error:
                yield error
        for said in expressions(item):
            try:
                expression = read_expression(said)
            except RepriseError as error:
                yield error
                continue
            for selector, node in named_cells(expression).items():
                try:
                    self._check_selector(selector)
                except RepriseError as error:
                    yield RepriseError(f"{said!r}: column {expression.column(node)}: {error}")

    def _check_selector(self, selector: str) -> None:
        with contextlib.suppress(Undrawn):
            self.cells(selector)

    def _check_assumptions(self) -> None:
        """What assumptions affect is in the file."""
        known = [one.id for section in (self.figures, self.tables, self.statements) for one in section]
        for index, assumption in enumerate(self.file.assumptions):
            for place, name in enumerate(assumption.affects):
                if name in known or self._source.is_lost(name):
                    continue
                try:
                    self._check_selector(name)
                except RepriseError as error:
                    valid = [*self.file.experiments, *self.file.cells, *known]
                    simple = f"no cells, figure, table or statement {name}{nearest(name, valid)}"
                    said = str(error) if {*"/@"} & {*name} or OWN_MISTAKE in str(error) else simple
                    self._source.note(["assumptions", index, "affects", place], said)

    def _check_names(self) -> None:
        """The names under `cells` are new ones for selectors of what there is."""
        for name, cells in self.file.cells.items():
            where = ["cells", name]
            try:
                for others, what in (
                    (self.file.experiments, "an experiment"),
                    (self.file.measures, "a measure"),
                ):
                    if name in others:
                        self._source.fail(where, f"{what} has this name; choose another")
                if keyword.iskeyword(name):
                    what = f"{name} is a word of the expressions' grammar; choose another name"
                    self._source.fail(where, what)
                if cells.runs in self.file.cells:
                    what = f"{cells.runs} is itself a name under cells; write its selector"
                    self._source.fail(where, what)
                try:
                    self._check_selector(name)
                except RepriseError as error:
                    self._source.fail(where, str(error))
            except RepriseError as error:
                self.mistakes.add(error)
                self._source.lost |= {("cells", name), ("cells", cells.runs)}


def network_names(item: Any) -> list[str]:
    """Names of the models whose layers a table or figure shows."""
    if isinstance(item, LayerTable):
        return list(item.networks)
    return [item.network] if isinstance(item, Diagram) else []


def selectors(item: Any) -> list[str]:
    """Every selector, or name of cells, that a figure, table or statement draws on."""
    measured = [cells for text in expressions(item) for cells in named_cells(read_expression(text))]
    return [*plain_selectors(item), *measured]


def _of_images(statement: Statement) -> bool:
    """Whether it measures the images alone, whichever network the run trains."""
    return all(called(read_expression(text)) <= OF_IMAGES for text in expressions(statement))


def plain_selectors(item: Any) -> list[str]:
    """The values of the keys `runs`, `after` and `noise`, however deep."""
    return _texts(item, ("runs", "after", "noise"))


def expressions(item: Any) -> list[str]:
    """The expressions of a statement, or of a table's rows."""
    return item.expressions if isinstance(item, Statement) else _texts(item, ("measure",))


def _texts(item: Any, keys: Sequence[str]) -> list[str]:
    """Texts under these keys, however deep."""
    if isinstance(item, list):
        return [text for entry in item for text in _texts(entry, keys)]
    if not isinstance(item, BaseModel):
        return []
    given = {name: getattr(item, name) for name in type(item).model_fields}
    found = [value for name, value in given.items() if name in keys and isinstance(value, str)]
    return [*found, *(text for value in given.values() for text in _texts(value, keys))]
