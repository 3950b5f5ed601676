"""What the site shows: the reports, their verdicts, figures and tables as published, and the runs behind
them.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reprise.errors import DamagedError, RepriseError
from reprise.files import read_json
from reprise.publishing.evidence import Evidence
from reprise.publishing.figures.colors import series_colors
from reprise.publishing.partial import runs_at_hand
from reprise.publishing.results import read_meta, read_tables
from reprise.publishing.statement_records import read_document
from reprise.publishing.tables.record import read_sheet
from reprise.publishing.verdicts import Verdict
from reprise.publishing.words import configuration, written
from reprise.reports.cells import Cell
from reprise.reports.figures import Figure
from reprise.reports.layout import SCALES, Layout
from reprise.reports.report import Report
from reprise.reports.report_file import Section
from reprise.reports.run import Run
from reprise.reports.tables import Table

HOLDS: tuple[Verdict, ...] = ("reproduced",)
DOES_NOT_HOLD: tuple[Verdict, ...] = ("differs", "contradicted")
CITED = re.compile(
    r"\b(fig|table)[a-z.]*\s+([0-9]+[a-z]?(?:\s*(?:,|and|to|–|-)\s*[0-9]+[a-z]?)*)", re.IGNORECASE
)
"""Figures and tables that a statement's source names: `figure 3`, `figures 1 and 2`."""
NUMBER = re.compile(r"([0-9]+)([a-z]?)")
ELSEWHERE = "Beyond the outline"
"""Heading over what no section of the report's outline shows."""
REST = {"figures": "figures", "tables": "tables", "statements": "other statements"}
"""What a heading calls what no section has, where the report has no outline."""


@dataclass(frozen=True)
class JudgedStatement:
    """A statement of a report and its verdict, as `publishing.statement_records` has written it."""

    report: str
    entry: Mapping[str, Any]
    elsewhere: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other scale → the same statement there."""
    told_apart_by: str = ""
    """What tells it from others of the same words."""

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def verdict(self) -> Verdict:
        found: Verdict = self.entry["verdict"]
        return found

    @property
    def counted(self) -> bool:
        """Whether it counts: those that follow from others do not."""
        return not self.entry["follows"]

    @property
    def title(self) -> str:
        return str(self.entry["text"] or self.id.replace("_", " "))

    @property
    def path(self) -> str:
        return f"{self.report}/statements/{self.id}.html"


@dataclass(frozen=True)
class Shown:
    """A figure or a table of a report, with what is published of it.

    record: of a figure its JSON, of a table its sheet; None where it is not made.
    """

    report: str
    item: Figure | Table
    record: Mapping[str, Any] | None
    stem: Path
    """Of its files."""

    @property
    def id(self) -> str:
        return self.item.id

    @property
    def is_figure(self) -> bool:
        return isinstance(self.item, Figure)

    @property
    def path(self) -> str:
        """Its page; a table stands on the page of its report."""
        if self.is_figure:
            return f"{self.report}/figures/{self.id}.html"
        return f"{self.report}/index.html#{self.id}"

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its picture in pixels, so that a page keeps room for it."""
        path = self.stem.with_suffix(".png")
        if not self.is_figure or not path.exists():
            return None
        with path.open("rb") as file:
            head = file.read(24)
        return (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))

    @property
    def title(self) -> str:
        """`Figure 3`, `Table 1, mlp`, `Figure: readings augmentation`."""
        kind = "Figure" if self.is_figure else "Table"
        if numbered := re.fullmatch(r"(?:figure|table)_0*([0-9]+[a-z]?)(?:_(.*))?", self.id):
            return f"{kind} {numbered[1]}" + (f", {numbered[2].replace('_', ' ')}" if numbered[2] else "")
        return f"{kind}: {self.id.replace('_', ' ')}"


@dataclass(frozen=True)
class OutlinePart:
    """A section of the report, with what the site shows in it."""

    anchor: str
    section: str
    title: str
    items: Sequence[Shown]
    statements: Sequence[JudgedStatement]


@dataclass(frozen=True)
class AssumedHere:
    """An assumption, and what hangs on it."""

    number: int
    """From 1, in the order of the report file."""
    says: str
    whole: bool
    """The whole report depends on it; nothing is listed."""
    statements: Sequence[JudgedStatement]
    """In reading order."""
    shown: Sequence[Shown]
    """Figures and tables."""


@dataclass(frozen=True)
class SearchPage:
    """A search: its experiment, and its trials in the order in which they were drawn."""

    name: str
    cells: Sequence[Cell]

    @property
    def settings(self) -> Any:
        return self.cells[0].members[0].settings


class ReportContent:
    """One report, and what has come out of it. A file that is damaged is a `RepriseError`; one that is not
    there, say of a figure whose runs are missing, is left out.
    """

    def __init__(self, report: Report, layout: Layout) -> None:
        self.report, self._layout = report, layout
        self.slug, self.file = report.slug, report.file
        self.document = self._document(layout)
        if self.document:
            self._check_age(self.document["statements"])
        others = {
            scale: {entry["id"]: entry for entry in (self._other(scale) or {}).get("statements", [])}
            for scale in SCALES
            if scale != layout.scale
        }
        entries = self.document["statements"] if self.document else []
        said = Counter(entry["text"] for entry in entries)
        self.statements = [
            JudgedStatement(
                self.slug,
                entry,
                {scale: found[entry["id"]] for scale, found in others.items() if entry["id"] in found},
                entry["words"] if entry["text"] and said[entry["text"]] > 1 else "",
            )
            for entry in entries
        ]
        self.figures = [self._shown(figure) for figure in report.figures]
        self.tables = [self._shown(table) for table in report.tables]
        self.runs: dict[str, Run] = report.runs()

    def _document(self, layout: Layout) -> Mapping[str, Any] | None:
        path = layout.statements(self.slug).with_suffix(".json")
        if not path.exists():
            return None
        return read_document(path, f"delete it, and make it again: python -m reprise statements {self.slug}")

    def _check_age(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """The verdicts must be those of the report file as it is now."""
        if [entry["id"] for entry in entries] != [one.id for one in self.report.statements]:
            path = self._layout.statements(self.slug).with_suffix(".json")
            remedy = f"make it again: python -m reprise statements {self.slug} --partial"
            raise RepriseError(f"{path}: is of another version of {self.report.path}; {remedy}")

    def _other(self, scale: str) -> Mapping[str, Any] | None:
        """The verdicts at another scale, if they are there and whole: they are an extra."""
        try:
            return self._document(Layout(self._layout.results, scale))
        except (RepriseError, OSError):
            return None

    def _shown(self, item: Figure | Table) -> Shown:
        make = self._layout.figure if isinstance(item, Figure) else self._layout.table
        stem = make(self.slug, item.id)
        path = stem.with_suffix(".json")
        beside = (".png", ".svg") if isinstance(item, Figure) else (".csv",)
        record = None
        if path.exists() and all(stem.with_suffix(suffix).exists() for suffix in beside):
            if isinstance(item, Figure):
                record = read_json(path)
                if not _is_figure(record):
                    raise DamagedError(f"{path}: not what a figure writes", "delete it and draw it again")
            else:
                record = read_sheet(path)
        return Shown(self.slug, item, record, stem)

    @property
    def datasets(self) -> list[str]:
        """The data sets that its runs are trained on, and what stands in for one."""
        found = dict.fromkeys(
            (run.settings.dataset.name, run.settings.dataset.source) for run in self.runs.values()
        )
        return [
            written(name) + ("" if source == "real" else f" ({source.replace('-', ' ')})")
            for name, source in found
        ]

    @property
    def notes(self) -> Sequence[str]:
        """What the verdicts have to say of their runs."""
        return self.document["notes"] if self.document else ()

    # ---- verdicts ----

    @property
    def counts(self) -> Counter[str]:
        """Verdict → statements that count."""
        return Counter(one.verdict for one in self.statements if one.counted)

    def of(self, *verdicts: Verdict) -> list[JudgedStatement]:
        """The statements that count and have one of these verdicts, in reading order."""
        return [one for one in self.in_order if one.counted and one.verdict in verdicts]

    @cached_property
    def assumptions(self) -> list[AssumedHere]:
        """What is assumed, in the order of the report file."""
        listed = zip(self.file.assumptions, self.report.affected, strict=True)
        return [
            AssumedHere(
                number,
                each.says,
                not each.affects,
                [one for one in self.in_order if one.id in affected] if each.affects else [],
                [self.shown[name] for name in each.affects if name in self.shown],
            )
            for number, (each, affected) in enumerate(listed, 1)
        ]

    def assumed_by(self, one: JudgedStatement) -> list[AssumedHere]:
        """The assumptions that a statement hangs on, but for those on which the whole report does."""
        return [each for each in self.assumptions if one in each.statements]

    @property
    def readings(self) -> dict[str, list[JudgedStatement]]:
        """How ambiguous words are read → the statements that hang on it."""
        found: dict[str, list[JudgedStatement]] = {}
        for one in self.statements:
            if one.entry["reading"]:
                found.setdefault(one.entry["reading"], []).append(one)
        return found

    # ---- the outline ----

    @property
    def in_order(self) -> list[JudgedStatement]:
        """All statements in the order in which the report makes them."""
        return [one for part in self.outline for one in part.statements]

    @cached_property
    def shown(self) -> dict[str, Shown]:
        return {one.id: one for one in [*self.figures, *self.tables]}

    @cached_property
    def outline(self) -> list[OutlinePart]:
        """The report's sections as its file gives them, or as its statements name them; what belongs to none
        comes last.
        """
        sections = self.file.outline or [
            Section(section=name)
            for name in dict.fromkeys(self._named(one.entry["source"]) for one in self.statements)
            if name
        ]
        home = {item: part.section for part in sections for item in part.shows}
        placed: dict[str, list[JudgedStatement]] = {part.section: [] for part in sections}
        rest: list[JudgedStatement] = []
        for one in self.statements:
            placed.get(self._section_of(one, sections, home), rest).append(one)
        parts = [
            OutlinePart(
                anchor,
                part.section,
                part.title or "",
                [self.shown[item] for item in part.shows],
                placed[part.section],
            )
            for anchor, part in zip(_anchors([part.section for part in sections]), sections, strict=True)
        ]
        parts = [part for part in parts if part.items or part.statements]
        left = [one for name, one in self.shown.items() if name not in home]
        if left or rest:
            heading = (ELSEWHERE if self.file.outline else _heading(left, rest)) if parts else "All"
            parts.append(OutlinePart("beyond-it", heading, "", left, rest))
        return parts

    def _section_of(self, one: JudgedStatement, sections: Sequence[Section], home: Mapping[str, str]) -> str:
        """The section that a statement's source names first, or the one that this is a part of; else that of
        the figure or table that it names or is made by.
        """
        source = one.entry["source"]
        names = {part.section.casefold(): part.section for part in sections}
        named = self._named(source).casefold()
        while named:
            if named in names:
                return names[named]
            named = named.rpartition(".")[0]  # else in the section that it is a part of
        for name in sorted(names, key=len, reverse=True):
            if re.match(re.escape(name) + r"(?!\w|\.\w)", source.casefold()):
                return names[name]
        for item in [*self.cited(one), one.entry["table"]]:
            if item in home:
                return home[item]
        return ""

    @staticmethod
    def _named(source: str) -> str:
        """The section at the beginning of a source."""
        return re.split(r",| and ", _singular(source), maxsplit=1)[0].strip()

    def cited(self, one: JudgedStatement) -> list[str]:
        """Ids of the figures and tables that its source names."""
        return self._cited[one.id]

    @cached_property
    def _cited(self) -> dict[str, list[str]]:
        return {one.id: self._named_items(one) for one in self.statements}

    def _named_items(self, one: JudgedStatement) -> list[str]:
        found: list[str] = []
        for kind, text in CITED.findall(one.entry["source"]):
            section = "figure" if kind.lower() == "fig" else "table"
            for number, part in _numbers(text):
                start = f"{section}_{number:02d}"
                found += [
                    item for item in self.shown if re.fullmatch(f"{start}{part or '[a-z]?'}(_.*)?", item)
                ]
        return found

    def figures_of(self, one: JudgedStatement) -> list[Shown]:
        """The figures that show what a statement is about: those that it names; where it names nothing, the
        drawn one that shares most of its runs.
        """
        cited = [self.shown[item] for item in self.cited(one)]
        named = [shown for shown in cited if shown.is_figure]
        if named or cited or one.entry["table"]:
            return named
        runs = set(one.entry["runs"])
        best = max(self.figures, key=lambda figure: len(runs & figure_runs(figure)), default=None)
        return [best] if best and runs & figure_runs(best) else []

    def statements_of(self, shown: Shown) -> list[JudgedStatement]:
        """The statements that name a figure or table, or are made by it."""
        return [
            one for one in self.statements if shown.id in self.cited(one) or one.entry["table"] == shown.id
        ]

    @cached_property
    def colors(self) -> Mapping[str, Mapping[str, str]]:
        """Id of a figure of curves → label of a series → colour."""
        return series_colors(self.report.figures, self.report.cells)

    # ---- searches ----

    @cached_property
    def studies(self) -> list[SearchPage]:
        found = [SearchPage(name, self.report.all_cells(name)) for name in self.report.experiments]
        return [one for one in found if one.cells and self.report.active(one.cells[0]) and one.settings.study]


def _heading(shown: Sequence[Shown], statements: Sequence[JudgedStatement]) -> str:
    """`Figures, tables and other statements`, as far as there are any."""
    kinds = ["figures" if one.is_figure else "tables" for one in shown] + ["statements"] * bool(statements)
    *first, last = [words for kind, words in REST.items() if kind in kinds]
    return (f"{', '.join(first)} and {last}" if first else last).capitalize()


def _is_figure(record: Any) -> bool:
    match record:
        case {"alt": str(), "kind": str(), "notes": list(), "runs": dict(), "spec": dict(), "values": list()}:
            return all(isinstance(row, dict) for row in record["values"])
    return False


def figure_runs(figure: Shown) -> set[str]:
    """The runs that a drawn figure shows."""
    return set((figure.record or {}).get("runs", ()))


def _singular(source: str) -> str:
    """`Sections 2 and 3` names Section 2 first."""
    return re.sub(r"^(Section|Part)s\b", r"\1", source)


def _numbers(text: str) -> list[tuple[int, str]]:
    """`1, 3 to 5` as 1, 3, 4, 5, each with the letter after it."""
    found = [(int(number), part) for number, part in NUMBER.findall(text)]
    for first, last in re.findall(r"([0-9]+)\s*(?:to|–|-)\s*([0-9]+)", text):
        found += [(number, "") for number in range(int(first) + 1, min(int(last), int(first) + 100))]
    return sorted(found)


def _anchors(names: Sequence[str]) -> list[str]:
    """Names as parts of an address, each another one; ids of figures and tables have no hyphen."""
    found: list[str] = []
    for place, name in enumerate(names, 1):
        anchor = "in-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        found.append(anchor if anchor not in (*found, "in-") else f"{anchor.rstrip('-')}-{place}")
    return found


# ---- everything ----


@dataclass
class Content:
    """All reports at one scale, and their runs.

    meta: run → `meta` of its run.json, of those that are finished and evaluated. histories: run → split →
    column (`loss`, `accuracy`) → values by epoch, from 1. finals: run → metric → value.
    """

    layout: Layout
    reports: Sequence[ReportContent]
    names: Mapping[str, list[tuple[str, str]]]
    """Run → (report, configuration and seed in words) of each report that asks for it."""
    runs: Mapping[str, Run]
    meta: Mapping[str, Mapping[str, Any]]
    histories: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
    finals: Mapping[str, Mapping[str, float]]
    commit: str = ""
    made: str = ""

    @property
    def evidence(self) -> Evidence:
        return Evidence.of(self.runs, self.meta)

    def evidence_of(self, report: ReportContent) -> Evidence:
        return Evidence.of(report.runs, self.meta)

    @property
    def counts(self) -> Counter[str]:
        return sum((report.counts for report in self.reports), Counter())


def gather(reports: Iterable[Report], layout: Layout, commit: str = "") -> Content:
    """What is published of the reports; damaged files are a `RepriseError`."""
    contents = [ReportContent(report, layout) for report in reports]
    runs: dict[str, Run] = {}
    names: dict[str, list[tuple[str, str]]] = {}
    for content in contents:
        runs |= content.runs
        for experiment in content.report.experiments:
            for cell in content.report.all_cells(experiment):
                for run in cell.members:
                    if run.hash in content.runs:
                        seed = run.settings.seeds.init
                        called = f"{configuration(cell)}, seed {seed}"
                        names.setdefault(run.hash, []).append((content.slug, called))
    done = [run for run in runs if run in runs_at_hand(layout.runs, runs)]
    tables = read_tables(layout.runs, done, ("history", "final"))
    histories = {
        run: {
            split: {
                column: list((tables.curve(run, split, column) or {}).values())
                for column in ("loss", "accuracy")
            }
            for split in tables.splits(run)
        }
        for run in done
    }
    return Content(
        layout,
        contents,
        names,
        runs,
        read_meta(layout.runs, done),
        histories,
        {run: tables.finals(run) for run in done},
        commit,
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    )


def csv_rows(values: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """What a figure has drawn as rows of a table, headings first; a value that is a list gives a row for each
    of its elements, beside the row's other values.
    """
    columns = list(dict.fromkeys(key for row in values for key in row))
    listed = [column for column in columns if any(isinstance(row.get(column), list) for row in values)]
    rows: list[list[Any]] = [columns]
    for row in values:
        lists = {column: row[column] for column in listed if isinstance(row.get(column), list)}
        longest = max((len(items) for items in lists.values()), default=0)
        along = [column for column, items in lists.items() if len(items) == longest > 1]
        for place in range(longest if along else 1):
            rows.append(
                [
                    row[column][place]
                    if column in along
                    else " ".join(map(str, row[column]))
                    if isinstance(row.get(column), list)
                    else row.get(column)
                    for column in columns
                ]
            )
    return rows
