"""What is published: `figure`, `table`, `statements`, `summary`, and the intermediate files `layers` and
`samples`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reprise.cli.common import dataset_dir, skipped
from reprise.cli.options import (
    REPORTS,
    Partial,
    ReportName,
    ReportNames,
    ReportsFolder,
    ReportsOptions,
    ResultsAndDataOptions,
    ResultsOptions,
    StandIn,
    as_path,
    whole,
)
from reprise.cli.process import show
from reprise.errors import DamagedError, RepriseError
from reprise.records import FILES, check_file, read_record, write_record
from reprise.reports.layout import Layout

if TYPE_CHECKING:
    from reprise.publishing.measures import Tables
    from reprise.publishing.sources import Sources
    from reprise.reports.figures import Figure
    from reprise.reports.report import Report
    from reprise.reports.run import Run
    from reprise.reports.tables import Table

FigureName = Annotated[str, Parameter(name="ID", help="the figure's id in the report file")]
TableName = Annotated[str, Parameter(name="ID", help="the table's id in the report file")]
ItemName = Annotated[str, Parameter(name="ID", help="the id of the table or figure in the report file")]


# ---- verbs ----


def layers(
    report: ReportName,
    item: ItemName,
    /,
    *,
    reports: ReportsFolder = REPORTS,
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Describe the networks of a table or diagram, layer by layer."""
    describe_layers(ReportsOptions(reports=reports).open(report, where.scale), item, where.layout)


def describe_layers(found: Report, item: str, layout: Layout) -> None:
    """Write the layer tables of a table or diagram."""
    from reprise.reports.report import network_names

    networks = found.networks(network_names(found.item_with_layers(item)))

    from reprise.data.augment import image_shape
    from reprise.data.catalog import class_names
    from reprise.models.layers import layer_table

    tables = {}
    for name, (title, run) in networks.items():
        tables[name] = {
            "title": title,
            **layer_table(run.settings.model, len(class_names(run)), image_shape(run)),
        }
    record = {"report": found.slug, "item": item, "networks": tables}
    write_record(layout.intermediate(found.slug, item, ".layers.json"), record)


def samples(
    report: ReportName,
    item: FigureName,
    /,
    *,
    reports: ReportsFolder = REPORTS,
    stand_in: StandIn = (),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
) -> None:
    """Write the sample images of a figure."""
    options = ReportsOptions(reports=reports, stand_in=stand_in)
    pick_samples(options.open(report, where.scale), item, where.layout)


def pick_samples(found: Report, item: str, layout: Layout) -> None:
    """Write the sample images of a figure."""
    from reprise.reports.figures import Samples

    figure = found.item("figures", item)
    if not isinstance(figure, Samples):
        others = [each.id for each in found.figures if isinstance(each, Samples)]
        what = f"{item} is of kind {figure.kind}, not samples; valid: {', '.join(others) or 'none'}"
        raise RepriseError(f"{found.path}: {what}")

    from reprise.data.decode import load
    from reprise.data.samples import write_samples
    from reprise.schema import plain

    dataset = figure.images.dataset
    folder = dataset_dir(dataset, found.source(dataset), layout)
    write_samples(load(folder), plain(figure.images), layout.intermediate(found.slug, item, ".samples.npz"))


def figure(
    report: ReportName,
    item: FigureName,
    /,
    *,
    partial: Partial = False,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Draw a figure."""
    found = reports.open(report, where.scale)
    draw(found, item, where.layout, found.runs() if partial else None)


def draw(found: Report, item: str, layout: Layout, only: Collection[str] | None = None) -> None:
    """Draw a figure. only: from those of these runs that are finished, and it says what is missing; None: all
    must be.
    """
    drawn = found.item("figures", item)
    runs = runs_of(found, drawn)

    from reprise.publishing import Face
    from reprise.publishing.figures import draw_figure
    from reprise.publishing.figures.colors import series_colors
    from reprise.publishing.partial import narrowed, runs_at_hand
    from reprise.publishing.results import read_meta
    from reprise.publishing.sources import Sources
    from reprise.reports.scaled import done

    seen, notes = found, found.notes(drawn)
    if only is not None:
        at_hand = runs_at_hand(layout.runs, only) & set(runs)
        drawn, seen, notes = narrowed(found, drawn, at_hand)
        runs = [run for run in runs if run in at_hand]
    sources = Sources(
        seen.cells,
        results_of(found, layout, runs),
        images=sample_images(found, layout, drawn),
        layers=layer_tables(found, layout, drawn),
        meta=read_meta(layout.runs, runs),
        colors=series_colors(found.figures, found.cells)[item],
        whole=found.cells if only is not None else None,
    )
    face = Face(found.slug, found.scale, notes, done(found, [found.item("figures", item)]))
    draw_figure(drawn, sources, face, layout.figure(found.slug, item))


def table(
    report: ReportName,
    item: TableName,
    /,
    *,
    partial: Partial = False,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Write a table."""
    found = reports.open(report, where.scale)
    tabulate(found, item, where.layout, found.runs() if partial else None)


def tabulate(found: Report, item: str, layout: Layout, only: Collection[str] | None = None) -> None:
    """Write a table; `only` as in `draw`."""
    written = found.item("tables", item)
    runs = runs_of(found, written)

    from reprise.publishing import Face
    from reprise.publishing.partial import narrowed, runs_at_hand
    from reprise.publishing.sources import Sources
    from reprise.publishing.statements import jury_of
    from reprise.publishing.tables import write_table
    from reprise.reports.scaled import done
    from reprise.reports.table_statements import shown_statements
    from reprise.reports.tables import SpaceTable

    at_hand = None if only is None else runs_at_hand(layout.runs, only) & set(runs)
    seen, notes = found, found.notes(written)
    if at_hand is not None:
        written, seen, notes = narrowed(found, written, at_hand)
    stated = bool(shown_statements(written))
    judged = statement_sources(found, layout, only, also=runs) if stated else None
    sources = Sources(
        seen.cells,
        judged.tables if judged else results_of(found, layout, runs, at_hand),
        names=found.names,
        layers=layer_tables(found, layout, written),
        experiment=found.file.experiments[written.experiment] if isinstance(written, SpaceTable) else None,
        whole=found.cells if only is not None else None,
    )
    if judged:
        jury = jury_of(found.statements, found.where, judged)
        sources = replace(sources, verdict=jury.verdict)
    face = Face(found.slug, found.scale, notes, done(found, [found.item("tables", item)]))
    write_table(written, sources, face, layout.table(found.slug, item))


def statements(
    report: ReportName,
    /,
    *,
    partial: Partial = False,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Judge a report's numbers and claims."""
    found = reports.open(report, where.scale)
    judge(found, where.layout, found.runs() if partial else None)


def judge(found: Report, layout: Layout, only: Collection[str] | None = None) -> None:
    """Judge a report's statements and write their verdicts; `only` as in `draw`."""
    path = layout.statements(found.slug)

    from reprise.publishing import Face
    from reprise.publishing.evidence import gather, twins
    from reprise.publishing.statement_records import write_document
    from reprise.publishing.statements import jury_of, write_statements
    from reprise.reports.scaled import done

    sources = statement_sources(found, layout, only)
    face = Face(found.slug, found.scale, found.notes(*found.statements), done(found, found.statements))
    about, twice = gather(layout.runs, statement_runs(found), only), twins(found, layout.runs)
    jury = jury_of(found.statements, found.where, sources)
    outcomes = jury.outcomes(found.file.follows)
    write_statements(jury, outcomes, face, path, path.with_suffix(".md"), found.about, about, twice)
    write_document(path.with_suffix(".json"), found, jury, outcomes, face, about, twice)


def summary(
    names: ReportNames = (),
    /,
    *,
    write: Annotated[
        Path | None,
        as_path,
        Parameter(metavar="FILE", help="write it into this page, between the markers"),
    ] = None,
    most_findings: Annotated[
        int,
        whole(1000, least=0),
        Parameter(name="--findings", metavar="N", help="most findings to list; 0: only the tally"),
    ] = 8,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Sum up what has been measured: how much evidence, how many of each verdict, the strongest findings."""
    opened = {found.slug: found for found in reports.open_all(names, where.scale)}
    layout = where.layout

    from reprise.publishing.evidence import gather
    from reprise.publishing.statements import judge_statements
    from reprise.publishing.summary import read_page, write_block
    from reprise.publishing.summary import summary as summary_of

    if write is not None:
        read_page(write)  # so that judging is not in vain
    outcomes = {}
    for slug, found in opened.items():
        sources = statement_sources(found, layout, found.runs())
        outcomes[slug] = judge_statements(
            found.statements, found.where, found.cells, sources.tables, found.names, found.file.follows
        )
    runs = {slug: list(found.runs()) for slug, found in opened.items()}
    evidence = {slug: gather(layout.runs, each) for slug, each in runs.items()}
    all_evidence = gather(layout.runs, [run for each in runs.values() for run in each])
    block = summary_of(outcomes, evidence, all_evidence, where.scale, most_findings)
    if write is None:
        show(block)
    else:
        write_block(write, block)
        show(f"{write}: what has been measured of {len(opened)} reports")


def site(
    names: ReportNames = (),
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Make the site from all published results: what the reports said, and what came out."""
    opened = reports.open_all(names, where.scale)
    layout = where.layout

    from reprise.site import write_site

    pages = write_site(opened, layout, CHECKOUT / "docs", commit(CHECKOUT))
    show(f"{layout.site / 'index.html'}: {pages:,} pages of {len(opened)} report{'s' * (len(opened) != 1)}")


CHECKOUT = Path(__file__).parents[3]
"""Where the project's own files lie, if it is not installed as a package."""


def commit(checkout: Path) -> str:
    """The commit of the project, in short; empty where that is not known."""
    if not (checkout / ".git").exists():
        return ""
    try:
        asked = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


# ---- what they read ----


def runs_of(report: Report, item: Figure | Table) -> list[str]:
    """The runs that a figure or table draws; a skipped one is a `RepriseError`."""
    cells = report.needed(item)
    for cell in cells:
        if not report.active(cell):
            raise skipped(report, f"{item.id} needs {cell.name}, which")
    return [run for cell in cells for run in cell.runs]


def statement_sources(
    report: Report, where: Layout, only: Collection[str] | None, also: Iterable[str] = ()
) -> Sources:
    """What a report's statements are judged from, and the results of the runs `also`; `only` as in `draw`."""
    from reprise.publishing.partial import runs_at_hand
    from reprise.publishing.sources import Sources

    runs = [*dict.fromkeys([*statement_runs(report), *also])]
    at_hand = None if only is None else runs_at_hand(where.runs, only) & set(runs)
    return Sources(report.cells, results_of(report, where, runs, at_hand), names=report.names)


def statement_runs(report: Report) -> dict[str, Run]:
    """The runs that a report's statements need."""
    needed = [cell for item in report.statements for cell in report.needed(item) if report.active(cell)]
    return report.runs(needed)


def results_of(
    report: Report, where: Layout, runs: Iterable[str], read: Iterable[str] | None = None
) -> Tables:
    """The tidy tables of these runs (of those of them that are to be `read`), with the names of their
    classes.
    """
    from reprise.data.catalog import class_names
    from reprise.publishing.results import read_tables

    cells = [cell for name in report.experiments for cell in report.all_cells(name)]
    wanted = set(runs)
    names = {
        identifier: class_names(run) for identifier, run in report.runs(cells).items() if identifier in wanted
    }
    return read_tables(where.runs, names if read is None else read, class_names=names)


def layer_tables(report: Report, where: Layout, item: Figure | Table) -> Mapping[str, Any]:
    """The layer tables that an item shows, from its intermediate file."""
    from reprise.reports.report import network_names

    if not network_names(item):
        return {}
    path = where.intermediate(report.slug, item.id, ".layers.json")
    record = read_record(path, make_again("layers", report, item, path))
    if (record.get("report"), record.get("item")) != (report.slug, item.id):
        raise DamagedError(
            f"{path}: belongs to another figure or table", make_again("layers", report, item, path)
        )
    tables = record.get("networks")
    if not isinstance(tables, dict) or not all(map(is_layer_table, tables.values())):
        raise DamagedError(f"{path}: does not hold layer tables", make_again("layers", report, item, path))
    return tables


def is_layer_table(value: Any) -> bool:
    """Whether a value has the form that `reprise.models.layers.layer_table` gives, with a title."""

    def shape(sizes: Any) -> bool:
        return isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)

    def row(value: Any) -> bool:
        match value:
            case {
                "layer": str(),
                "kind": str(),
                "activation": None | str(),
                "output_shape": sizes,
                "parameters": int() as count,
            }:
                return shape(sizes) and count >= 0 and isinstance(value.get("name", ""), str)
        return False

    match value:
        case {"rows": list() as rows, "parameters": int()}:
            return (
                all(map(row, rows))
                and shape(value.get("image_shape", []))
                and isinstance(value.get("title", ""), str | None)
            )
    return False


def sample_images(report: Report, where: Layout, item: Figure) -> Path | None:
    """The sample images that a figure shows: its intermediate file."""
    from reprise.reports.figures import Samples
    from reprise.reports.run import canonical
    from reprise.schema import plain

    if not isinstance(item, Samples):
        return None
    path = where.intermediate(report.slug, item.id, ".samples.npz")
    remedy = make_again("samples", report, item, path.with_suffix(".json"))
    record = read_record(path.with_suffix(".json"), remedy)
    if canonical(record.get("selection")) != canonical(plain(item.images)):
        raise DamagedError(f"{path.with_suffix('.json')}: belongs to another selection of images", remedy)
    check_file(path, record.get(FILES, {}), remedy)
    return path


def make_again(verb: str, report: Report, item: Figure | Table, file: Path) -> str:
    """How to get a new intermediate file."""
    return (
        f"run python -m reprise {verb} {report.slug} {item.id} (or delete {file.name}, and the "
        "workflow makes it again)"
    )
