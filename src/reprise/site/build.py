"""Renders the site: one folder of pages, of which those that change are replaced, the front page last."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from reprise.files import atomic
from reprise.folders import is_stray
from reprise.publishing import MARKS
from reprise.publishing.numbers import bound_of, number
from reprise.publishing.summary import MOST_FINDINGS, importance, rule, worth_a_minute
from reprise.publishing.tables.formats import csv
from reprise.publishing.tables.sheet import Rows
from reprise.publishing.verdicts import MOST_SEEDS, VERDICTS
from reprise.reports.layout import PAGES, Layout
from reprise.reports.report import Report
from reprise.schema import plain
from reprise.site import charts
from reprise.site.content import (
    DOES_NOT_HOLD,
    HOLDS,
    Content,
    JudgedStatement,
    ReportContent,
    Shown,
    csv_rows,
    figure_runs,
    gather,
)

SIGNS = {"reproduced": "✓", "differs": "≠", "undecided": "?", "contradicted": "✗", "not run": "–"}
"""Verdict → its sign; colour alone would tell nothing to those who do not see it."""
MEANINGS = {
    "reproduced": "training again would give the same",
    "differs": "training again would give another number",
    "undecided": "these seeds cannot tell",
    "contradicted": "the claim fails, whatever the seeds do",
    "not run": "a run that it needs is not trained yet",
}
PICTURES = (".png", ".svg")
FILES = (".csv", ".md", ".tex")
"""Of a table."""
MOST_SHOWN_ROWS = 200
"""Rows of a figure's data on its page; the CSV has all."""


def write_site(reports: Iterable[Report], layout: Layout, docs: Path | None = None, commit: str = "") -> int:
    """Write the site of these reports to `layout.site`, the front page last; how many pages it has.

    docs: folder with verdicts.md, for the page on the method. commit: of the project, shown on the front
    page. Damaged results are a `RepriseError`, and then the former site stays as it is.
    """
    return Site(gather(reports, layout, commit), docs).write()


class Site:
    """The pages of one site. Pages are named by their paths from its root, with slashes."""

    def __init__(self, content: Content, docs: Path | None = None) -> None:
        self.content, self.folder, self._docs = content, content.layout.site, docs
        self._written: set[Path] = set()
        self.templates = Environment(
            loader=PackageLoader("reprise.site"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters |= {"json": embedded, "number": printed, "yaml": as_yaml, "percent": percent}
        self.templates.globals |= {
            "content": content,
            "signs": SIGNS,
            "meanings": MEANINGS,
            "verdicts": VERDICTS,
            "mark": MARKS[content.layout.scale],
            "scale": content.layout.scale,
            "strips": charts.strips,
            "sentence": sentence,
            "power": power,
            "holds": HOLDS,
            "does_not_hold": DOES_NOT_HOLD,
            "make": self._make,
            "train": self._train,
            "absent": self._absent,
        }

    def write(self) -> int:
        """All pages and files, the front page last; what is left of an earlier site is deleted."""
        for asset in files("reprise.site").joinpath("assets").iterdir():
            if asset.is_file() and not is_stray(asset.name):
                self._put(f"assets/{asset.name}", asset.read_bytes())
        for report in self.content.reports:
            self._report(report)
        self._runs()
        self._method()
        self._list()
        self._home()
        self._sweep()
        return sum(path.suffix == ".html" for path in self._written)

    # ---- pages ----

    def _home(self) -> None:
        pairs = [(report, one) for report in self.content.reports for one in report.statements]

        def place(pair: tuple[ReportContent, JudgedStatement]) -> tuple[int, float] | None:
            entry = pair[1].entry
            share, distance = (
                math.nan if entry[key] is None else entry[key] for key in ("share", "distance")
            )
            if entry["distance"] is None and entry["verdict"] == "differs":
                distance = math.inf
            found = importance(entry["verdict"], share, distance, entry["strength"] or 0.0)
            return found if pair[1].counted else None

        found = worth_a_minute(pairs, place, MOST_FINDINGS)
        findings = [(report, one, next(iter(report.figures_of(one)), None)) for report, one in found]
        self._page("index.html", "home.html", findings=findings, rule=rule(MOST_FINDINGS))

    def _report(self, report: ReportContent) -> None:
        self._page(f"{report.slug}/index.html", "report.html", report=report)
        for one in report.statements:
            spec = next(item for item in report.report.statements if item.id == one.id)
            self._page(
                one.path,
                "statement.html",
                report=report,
                one=one,
                figures=report.figures_of(one),
                said=as_yaml(plain(spec)),
            )
        for shown in report.figures:
            self._figure(report, shown)
        for table in report.tables:
            if table.record:
                for suffix in FILES:
                    self._copy(table.stem.with_suffix(suffix), f"{report.slug}/tables/{table.id}{suffix}")
        for study in report.studies:
            trials = [run for cell in study.cells for run in cell.runs]
            ladder = charts.ladder(trials, study.settings, self.content.meta, self.content.histories)
            self._page(
                f"{report.slug}/studies/{study.name}.html",
                "study.html",
                report=report,
                study=study,
                ladder=ladder,
            )

    def _figure(self, report: ReportContent, shown: Shown) -> None:
        rows: list[list[Any]] = []
        panels = []
        if shown.record:
            for suffix in PICTURES:
                self._copy(shown.stem.with_suffix(suffix), f"{report.slug}/figures/{shown.id}{suffix}")
            rows = csv_rows(shown.record["values"])
            data = csv(Rows(rows[0], rows[1:]))
            self._put(f"{report.slug}/figures/{shown.id}.csv", data.encode())
            if shown.record["kind"] == "curves":
                panels = charts.curves(shown.record, self.content.histories, report.colors.get(shown.id, {}))
        needed = {run for cell in report.report.needed(shown.item) for run in cell.runs}
        self._page(
            shown.path,
            "figure.html",
            report=report,
            shown=shown,
            rows=rows,
            most_rows=MOST_SHOWN_ROWS,
            panels=panels,
            statements=report.statements_of(shown),
            command=f"figures/{report.slug}/{shown.id}.png",
            needed=len(needed),
            there=len(needed & self.content.meta.keys()),
        )

    def _runs(self) -> None:
        uses: dict[str, list[tuple[str, str, str]]] = {}
        for report in self.content.reports:
            for shown in report.figures:
                for run in sorted(figure_runs(shown)):
                    uses.setdefault(run, []).append((report.slug, shown.path, shown.title))
        statements: dict[str, list[JudgedStatement]] = {}
        for report in self.content.reports:
            for one in report.statements:
                for run in one.entry["runs"]:
                    statements.setdefault(run, []).append(one)
        for name, settings_of in self.content.runs.items():
            self._page(
                f"runs/{name}.html",
                "run.html",
                run=settings_of,
                uses=uses.get(name, []),
                statements=statements.get(name, []),
                panels=charts.run_curves(self.content.histories.get(name, {})),
            )
        settings = {name: flat(run.spec) for name, run in self.content.runs.items()}
        common = common_settings(settings.values())
        differing = {
            name: {key: value for key, value in of.items() if common.get(key) != value}
            for name, of in settings.items()
        }
        self._page("runs/index.html", "runs.html")
        self._page("runs/compare.html", "compare.html", common=common, differing=differing)

    def _method(self) -> None:
        path = self._docs / "verdicts.md" if self._docs else None
        text = prose(path.read_text("utf-8")) if path and path.exists() else ""
        examples = [
            (report, one)
            for report in self.content.reports
            for one in report.statements
            if one.entry["kind"] == "number"
            and one.entry["alone"]
            and not bound_of(one.entry["reported"])[0]
            and one.entry["low"] is not None
            and one.entry["low"] < one.entry["high"]
            and (one.entry["low"] <= float(one.entry["reported"]) <= one.entry["high"])
            == (one.verdict == "reproduced")
        ]
        chosen = next((pair for pair in examples if pair[1].verdict == "reproduced"), None)
        self._page(
            "method.html", "method.html", text=Markup(text), example=chosen or next(iter(examples), None)
        )

    # ---- files ----

    def _list(self) -> None:
        """The names of all files but the front page, for the workflow, which misses those that were
        deleted.
        """
        names = sorted(path.relative_to(self.folder).as_posix() for path in self._written)
        self._put(PAGES, "".join(f"{name}\n" for name in names).encode())

    def _page(self, path: str, template: str, **values: Any) -> None:
        root = "../" * (len(PurePosixPath(path).parts) - 1)
        text = self.templates.get_template(template).render(root=root, page=path, **values)
        self._put(path, text.encode())

    def _put(self, path: str, content: bytes) -> None:
        target = self._target(path)
        if target.exists() and target.read_bytes() == content:
            return
        with atomic(target) as partial:
            partial.write_bytes(content)

    def _copy(self, source: Path, path: str) -> None:
        if source.exists():
            self._put(path, source.read_bytes())

    def _target(self, path: str) -> Path:
        target = self.folder / path
        self._written.add(target)
        return target

    def _sweep(self) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if is_stray(str(path.relative_to(self.folder))):  # not ours, and often not ours to delete
                continue
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in self._written:
                path.unlink()

    def _make(self, target: str, cores: int, gpu: bool = False) -> str:
        """The command by which Snakemake makes a target: a rule, or a file under the results."""
        layout = self.content.layout
        stand_in = sorted({name for report in self.content.reports for name in report.report.stand_in})
        settings = [] if layout.scale == "full" else [f"scale={layout.scale}"]
        settings += [f"results={layout.results}"] if str(layout.results) != "results" else []
        settings += [f"stand_in=[{','.join(stand_in)}]"] if stand_in else []
        place = str(layout.root / target) if "/" in target else target
        words = ["snakemake", place, "--cores", str(cores), *(["--resources", "gpu=1"] if gpu else [])]
        return shlex.join([*words, *(["--config", *settings] if settings else [])])

    def _absent(self, report: ReportContent, shown: Shown) -> str:
        """Why a figure or table is not there."""
        lacks = "Not drawn yet" if shown.is_figure else "Not made yet"
        cells = report.report.needed(shown.item)
        if skipped := [cell.name for cell in cells if not report.report.active(cell)]:
            return f"Left out: it needs {skipped[0]}, which is skipped."
        runs = {run for cell in cells for run in cell.runs}
        there = len(runs & self.content.meta.keys())
        if there < len(runs):
            are = "is" if there == 1 else "are"
            return (
                f"{lacks}: {there or 'none'} of its {len(runs)} runs {'is' if not there else are} finished."
            )
        command = self._make(
            f"{'figures' if shown.is_figure else 'tables'}/{shown.report}/{shown.stem.name}"
            + (".png" if shown.is_figure else ".csv"),
            cores=2,
        )
        needs = "though its runs are finished" if runs else "though it needs no runs"
        return f"{lacks}, {needs}. Make it with: {command}"

    def _train(self, slug: str, run: str) -> str:
        """The command that trains one run."""
        layout = self.content.layout
        words = ["python", "-m", "reprise", "train", slug, "--runs", run]
        words += [] if layout.scale == "full" else ["--scale", layout.scale]
        return shlex.join(
            [*words, *([] if str(layout.results) == "results" else ["--results", str(layout.results)])]
        )


# ---- for the templates ----


def embedded(value: Any) -> Markup:
    """JSON inside a script element, which no text in it can end."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _finite(value: Any) -> Any:
    """With null for a number that JSON has no name for: the loss of a run that diverged."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def prose(text: str) -> str:
    """A page of Markdown as HTML, under the heading of another page: its headings are one level lower, with
    anchors, and links to files that the site does not have are left out.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token, inside in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
        if token.type == "heading_open" and inside:
            token.attrSet("id", re.sub(r"[^a-z0-9]+", "-", inside.content.lower()).strip("-"))
        outside = False
        for part in token.children or ():
            if part.type == "link_open":
                outside = not str(part.attrGet("href")).startswith(("#", "https://", "http://"))
            if outside and part.type in ("link_open", "link_close"):
                part.tag, part.attrs = "span", {}
    return str(parser.renderer.render(tokens, parser.options, {}))


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def printed(value: Any) -> str:
    """A number as readers write it; other values as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else number(value)


def percent(share: float | None) -> str:
    """A share of draws; nothing is said to hold in none of them, or in all."""
    if share is None:
        return ""
    if share > 0.9995:
        return "more than 99.9 %"
    return "less than 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def flat(spec: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Settings by path, as text."""
    found: dict[str, str] = {}
    for key, value in spec.items():
        path = f"{before}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for place, item in enumerate(value):
                found |= flat(item if isinstance(item, Mapping) else {"": item}, f"{path}.{place}.")
        else:
            found[path] = json.dumps(value, ensure_ascii=False)
    return found


def common_settings(settings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The settings that all of these have."""
    first, *others = [dict(of) for of in settings] or [{}]
    return {key: value for key, value in first.items() if all(of.get(key) == value for of in others)}


# ---- sentences ----


def sentence(entry: Mapping[str, Any]) -> str:
    """What came out, in one plain sentence or two."""
    verdict = entry["verdict"]
    if verdict == "not run":
        return f"Not run yet: {entry['reason']}"
    seeds = f"{entry['n']} seed{'s' if entry['n'] != 1 else ''}"
    if entry.get("reported"):
        about = "about " if entry["about"] else ""
        spread = f" ± {entry['spread']}" if entry["spread"] else ""
        found = f"The report says {about}{entry['reported']}; {seeds} here gave {entry['measured']}{spread}."
        if entry["low"] is None or bound_of(entry["reported"])[0]:
            return f"{found} {entry['reason']}"
        inside = entry["low"] <= float(entry["reported"]) <= entry["high"]
        if inside != (verdict == "reproduced"):  # between the ways that trainings come out
            return f"{found} {entry['reason']}"
        ends = f"{number(entry['low'])} to {number(entry['high'])}"
        lies = "lies inside" if inside else "lies outside"
        return f"{found} A number from {ends} would count as reproduced; this one {lies}."
    share, found = percent(entry["share"]), f"Measured: {entry['measured']}."
    if verdict == "undecided":
        return f"{found} {seeds.capitalize()} cannot tell: it is true in {share} of the draws of new seeds."
    does = "does not hold" if verdict == "contradicted" else "holds"
    return f"{found} The claim {does}: it is true in {share} of the draws of new seeds."


def power(entry: Mapping[str, Any]) -> str:
    """What the seeds could have shown."""
    if entry["settles"] is None:
        return ""
    seeds = f"{entry['n']} seed{'s' if entry['n'] != 1 else ''}"
    if entry.get("reported"):
        these = f"These {seeds}" if entry["n"] != 1 else "This one seed"
        away = f"{number(entry['settles'])} or more away"
        return f"{these} can tell a value from what was found if it is {away}."
    said = f"{seeds.capitalize()} can settle a difference of {number(entry['settles'])} or more."
    if entry["claimed"] is not None:
        said += f" The report's own numbers differ by {number(abs(entry['claimed']))}."
    if entry["seeds_to_settle"]:
        more = entry["seeds_to_settle"]
        many = more > MOST_SEEDS
        said += (
            f" More than {MOST_SEEDS} seeds would be needed." if many else f" {more} seeds would settle it."
        )
    return said
