"""python -m reprise <verb> …: the one door to the library, for the workflow and for anyone without Snakemake.

Rooms are imported inside the verbs: `runs` and the publishing verbs start without torch.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reprise import __version__
from reprise.errors import DamagedError, RepriseError, file_error, printable
from reprise.files import keep_json, read_json, write_json
from reprise.records import FILES, check_file, read_record, write_record
from reprise.reports.check import nearest
from reprise.reports.layout import SCALES, STAND_IN, Layout
from reprise.supervision import Stopped, supervise, tell

if TYPE_CHECKING:
    from reprise.publishing.measures import Tables
    from reprise.reports.report import Report
    from reprise.reports.run import Run

REPORTS = Path("workflow/reports")


# ---- what several verbs need ----


def show(text: str) -> None:
    """Print lines of text, in which names and values from files cannot command the terminal."""
    for line in text.split("\n"):
        print(printable(line))


def open_report(args: argparse.Namespace, name: str | None = None) -> Report:
    """The report named by slug or by path: `name`, or the verb's own argument."""
    from reprise.reports.report import Report

    name = name or args.report
    path = Path(name)
    if path.suffix != ".yaml":
        path = args.reports / f"{name}.yaml"
    if not path.is_file():
        slugs = [file.stem for file in sorted(args.reports.glob("*.yaml"))]
        raise RepriseError(f"no report {name} in {args.reports}{nearest(name, slugs)}")
    return Report(path, args.scale, args.skip, args.stand_in)


def layout(args: argparse.Namespace) -> Layout:
    return Layout(args.results, args.scale, args.data)


def chosen_runs(args: argparse.Namespace, report: Report) -> dict[str, Run]:
    """The runs of `--runs` or `--only`, or all that the report asks for."""
    if args.runs:
        cells = [cell for name in report.experiments for cell in report.all_cells(name)]
        every, active = report.runs(cells), report.runs([cell for cell in cells if report.active(cell)])
        # a path is that of a file in the run's folder
        wanted = [Path(given).parent.name if Path(given).suffix else given for given in args.runs]
        for identifier in wanted:
            if identifier not in every:
                hint = f"list them with: python -m reprise runs {report.slug} --scale {report.scale}"
                raise RepriseError(f"{report.path}: no run {identifier} at scale {report.scale}; {hint}")
            if identifier not in active:
                raise skipped(report, f"run {identifier} of {report.cell_of(identifier).name}")
        return {identifier: every[identifier] for identifier in wanted}
    chosen: dict[str, Run] = {}
    for selector in args.only:
        runs = report.runs([cell for cell in report.cells(selector) if report.active(cell)])
        if not runs:
            raise skipped(report, f"selector {selector!r}")
        chosen |= runs
    return chosen if args.only else report.runs()


def skipped(report: Report, what: str) -> RepriseError:
    return RepriseError(
        f"{report.path}: {what} is skipped at scale {report.scale}; leave out --skip or use another scale"
    )


def named_dataset(folder: str) -> tuple[str, str]:
    """Name and source of a data set by the name of its folder."""
    return folder.removesuffix(STAND_IN), "stand-in" if folder.endswith(STAND_IN) else "real"


def archive_of(name: str, source: str, where: Layout) -> Path:
    """Where a data set's archive lies, or that of its stand-in."""
    from reprise.data.catalog import dataset_facts

    folder = where.archives / f"{name}{STAND_IN}" if source == "stand-in" else where.archives
    return folder / dataset_facts(name).file_name


def dataset_dir(name: str, source: str, where: Layout) -> Path:
    """The folder of a data set's arrays; damaged ones are decoded again where the archive is at hand."""
    from reprise.data.decode import mend

    return mend(name, archive_of(name, source, where), where.dataset(name, source))


def dataset_dirs(runs: Iterable[Run], where: Layout) -> dict[str, Path]:
    from reprise.reports.programme import datasets

    return {name: dataset_dir(name, source, where) for name, source in datasets(runs)}


def runs_of(report: Report, item: Mapping[str, Any]) -> list[str]:
    """The runs that a figure or table draws; a skipped one is a `RepriseError`."""
    cells = report.needed(item)
    for cell in cells:
        if not report.active(cell):
            raise skipped(report, f"{item['id']} needs {cell.name}, which")
    return [run for cell in cells for run in cell.runs]


def item_of_kind(report: Report, section: str, identifier: str, kind: str) -> Mapping[str, Any]:
    item = report.item(section, identifier)
    if item["kind"] != kind:
        found = [entry["id"] for entry in report.document[section] if entry["kind"] == kind]
        raise RepriseError(
            f"{report.path}: {identifier} is of kind {item['kind']}, not {kind}; valid: "
            f"{', '.join(found) or 'none'}"
        )
    return item


def names_of(report: Report, runs: Iterable[Run]) -> dict[str, str]:
    """Run → what the log calls it."""
    return {
        run.hash: f"{report.slug}/{report.cell_of(run.hash).name}, seed {run.spec['seeds']['init']}"
        for run in runs
    }


def has_results(run: str, where: Layout) -> bool:
    return (where.runs / run / "run.json").is_file()


def stamp_trained(run: str, where: Layout) -> None:
    """The workflow's sign that a run is trained: a copy of its record."""
    keep_json(where.trained(run), read_json(where.runs / run / "run.json"))


def stamp_evaluated(run: str, where: Layout) -> None:
    """The workflow's sign that a run is evaluated: its final metrics."""
    from reprise.training.results import FINAL, read_table

    final = read_table(where.runs / run / FINAL, ("metric", "value"))
    keep_json(
        where.evaluated(run), {"run": run, "final": dict(zip(final["metric"], final["value"], strict=True))}
    )


# ---- verbs ----


def check(args: argparse.Namespace) -> None:
    from reprise.checking import check_report
    from reprise.reports.report import Report

    for path in args.files:
        for scale in SCALES:
            report = Report(path, scale)
            check_report(report)
            counts = (
                f"{len(report.figures)} figures, {len(report.tables)} tables, {len(report.statements)} "
                "statements"
            )
            show(f"{path}: {scale}: {len(report.runs())} runs, {counts}")


def list_runs(args: argparse.Namespace) -> None:
    report = open_report(args)
    where = layout(args)
    for name in report.experiments:
        for cell in report.all_cells(name):
            for run in cell.members:
                state = (
                    "trained"
                    if has_results(run.hash, where)
                    else "skipped"
                    if not report.active(cell)
                    else "-"
                )
                training = run.spec["training"]
                show(
                    f"{run.hash}  {state:8}  {training['epochs']:4} epochs  seed "
                    f"{run.spec['seeds']['init']}  {cell.name}"
                )


def plan(args: argparse.Namespace) -> None:
    where = layout(args)
    names = args.report or [file.stem for file in sorted(args.reports.glob("*.yaml"))]
    if not names:
        raise RepriseError(
            f"{args.reports}: no report files (*.yaml) there; give their folder with --reports"
        )
    reports = [open_report(args, name) for name in names]

    from reprise import planning
    from reprise.training.session import Interrupted

    file = where.results / "calibration.json"
    calibration = planning.Calibration(
        file, args.device, args.threads, args.precision, args.cuda_graphs == "on"
    )
    try:
        if args.compare:
            for report in reports:
                show(
                    planning.describe_comparison(
                        report, planning.compare(report, where, calibration), calibration.machine
                    )
                )
        else:
            show(planning.describe(planning.plan(reports, where, calibration), calibration.machine))
    except Interrupted as stop:
        name = signal.Signals(stop.status - 128).name
        end(f"stopped by {name}; what was measured is kept, run the same command again to go on", stop.status)


def stamp_file(name: str, file: Path) -> None:
    """The workflow's sign that an archive or a weights file is there and verified."""
    keep_json(file.parent / f"{name}.json", {"name": name, "file": file.name, "bytes": file.stat().st_size})
    show(f"{file}: {name}, verified")


def data_fetch(args: argparse.Namespace) -> None:
    from reprise.data.catalog import dataset_facts
    from reprise.data.fetch import fetch_dataset

    where = layout(args)
    demo = args.scale == "demo"
    destination = where.archives / dataset_facts(args.name).file_name
    accept = "synthetic" if demo else "real"
    stamp_file(
        args.name,
        fetch_dataset(args.name, destination, [str(where.synthetic)] if demo else args.mirror, accept=accept),
    )


def data_fetch_weights(args: argparse.Namespace) -> None:
    from reprise.data.catalog import weights_facts
    from reprise.data.fetch import fetch_weights

    destination = layout(args).weights / weights_facts(args.name).file_name
    stamp_file(args.name, fetch_weights(args.name, destination, args.mirror))


def data_stand_in(args: argparse.Namespace) -> None:
    from reprise.data.decode import load
    from reprise.data.stand_in import write_stand_in
    from reprise.reports.layout import stand_in_source

    where = layout(args)
    source = stand_in_source(args.name, "data stand-in")
    folder = where.archives / f"{args.name}{STAND_IN}"
    file = write_stand_in(args.name, load(dataset_dir(source, "real", where)), folder)
    write_json(
        folder.with_suffix(".json"),
        {"name": args.name, "file": str(file.relative_to(where.archives)), "bytes": file.stat().st_size},
    )
    show(f"{file}: a stand-in for {args.name}, made from {source}")


def data_decode(args: argparse.Namespace) -> None:
    from reprise.data.decode import decode

    where = layout(args)
    name, source = named_dataset(args.name)
    decode(name, archive_of(name, source, where), where.dataset(name, source))


def data_statistics(args: argparse.Namespace) -> None:
    from reprise.data.statistics import write_statistics

    values = write_statistics(dataset_dir(*named_dataset(args.name), layout(args)))
    for key in ("mean", "std"):
        show(f"{args.name} {key}: {' '.join(f'{value:.8f}' for value in values[key])}")


def data_synthesize(args: argparse.Namespace) -> None:
    from reprise.data.catalog import dataset_facts
    from reprise.data.synthetic import write_synthetic

    classes = max(len(names) for names in dataset_facts(args.name).classes.values())
    per_class = {"train": max(1, args.train // classes), "test": max(1, args.test // classes)}
    file = write_synthetic(args.name, Layout(args.results, "demo").synthetic, per_class)
    write_json(
        file.parent / f"{args.name}.json",
        {"name": args.name, "file": file.name, "images_per_class": per_class},
    )
    show(
        f"{file}: synthetic stand-in, {per_class['train']} training and {per_class['test']} test images of "
        f"each of {classes} classes"
    )


def data_add(args: argparse.Namespace) -> None:
    from reprise.data.catalog import name_of
    from reprise.data.fetch import add_archive

    where = layout(args)
    if args.scale == "demo":
        raise RepriseError("data add: scale demo draws its own data; leave out --scale demo")
    file = add_archive(args.archive, where.data_dir)
    stamp_file(name_of(file.name), file)


def training_options(args: argparse.Namespace, where: Layout) -> dict[str, Any]:
    """What `reprise.training.engine.train` is told wherever runs are trained."""
    return {
        "weights_dir": where.weights,
        "device": args.device,
        "precision": args.precision,
        "cuda_graphs": args.cuda_graphs == "on",
        "threads": args.threads,
        "exact_threads": args.exact_threads,
        "on_finished": lambda run: stamp_trained(run.hash, where),
    }


def train(args: argparse.Namespace) -> None:
    from reprise.training.engine import train as train_runs
    from reprise.training.session import Interrupted

    report, where = open_report(args), layout(args)
    runs = chosen_runs(args, report)
    pruner = None
    if any("study" in run.spec for run in runs.values()):
        from reprise.search.asha import AshaPruner

        pruner = AshaPruner(where.runs)
    try:
        train_runs(
            list(runs.values()),
            dataset_dirs=dataset_dirs(runs.values(), where),
            cache=where.runs,
            **training_options(args, where),
            pruner=pruner,
            names=names_of(report, runs.values()),
        )
    except Interrupted as stop:
        end(str(stop), stop.status)


def trials(report: Report, selector: str) -> tuple[list[Run], dict[str, Mapping[str, Any]]]:
    """The trials of a study, and run → its settings; a selector of something else is a `RepriseError`."""
    cells = report.cells(selector)
    runs = [run for cell in cells for run in cell.members]
    if not all("study" in run.spec for run in runs):
        studies = [name for name in report.experiments if "study" in report.cells(name)[0].members[0].spec]
        raise RepriseError(f"{report.path}: {selector} is no study (no asha){nearest(selector, studies)}")
    if not all(report.active(cell) for cell in cells):
        raise skipped(report, f"study {selector}")
    return runs, {run: cell.settings for cell in cells for run in cell.runs}


def study_show(args: argparse.Namespace) -> None:
    from reprise.search.asha import check_study
    from reprise.search.study import leaderboard, read_study, write_study

    report, where = open_report(args), layout(args)
    runs, settings = trials(report, args.study)
    found = read_study(runs, where.runs, settings)
    show(leaderboard(found))
    if args.csv:
        write_study(found, args.csv)
    check_study(runs, where.runs)


def study_work(args: argparse.Namespace) -> None:
    from reprise.search.workers import work
    from reprise.training.session import Interrupted

    report, where = open_report(args), layout(args)
    runs, _ = trials(report, args.study)
    try:
        work(
            runs,
            cache=where.runs,
            journal=where.root / "studies" / f"{runs[0].hash}.journal",
            dataset_dirs=dataset_dirs(runs, where),
            **training_options(args, where),
            names=names_of(report, runs),
        )
    except Interrupted as stop:
        end(str(stop), stop.status)
    for run in runs:  # one that was finished when its worker was killed has no stamp
        if has_results(run.hash, where):
            stamp_trained(run.hash, where)


def evaluate(args: argparse.Namespace) -> None:
    from reprise.evaluation import evaluate as evaluate_runs

    report, where = open_report(args), layout(args)
    runs = chosen_runs(args, report)
    names = names_of(report, runs.values())
    evaluate_runs(
        list(runs.values()), dataset_dirs(runs.values(), where), where.runs, args.device, args.threads, names
    )
    for identifier in runs:
        stamp_evaluated(identifier, where)


def submission(args: argparse.Namespace) -> None:
    from reprise.evaluation.submission import best_run, write_submission
    from reprise.progress import log

    report, where = open_report(args), layout(args)
    runs = chosen_runs(args, report)
    run = best_run(list(runs.values()), where.runs)
    name = names_of(report, [run])[run.hash]
    tell(run=run.hash, name=name, doing="used for predictions")
    log(f"run {run.hash} predicts: {name}")
    write_submission(
        run,
        args.archive,
        args.out,
        dataset_dirs=dataset_dirs([run], where),
        cache=where.runs,
        images=args.images,
        device=args.device,
        threads=args.threads,
    )
    show(
        f"{args.out}: {args.images:,} labels by run {run.hash} ({name}), the best of {len(runs)} on the "
        "validation images"
    )


def class_names(run: Run) -> Sequence[str]:
    """Names of the labels 0, 1, … that a run learns."""
    from reprise.data.catalog import dataset_facts

    dataset = run.spec["dataset"]
    return dataset.get("classes") or dataset_facts(dataset["name"]).classes.get(dataset["labels"], ())


def layers(args: argparse.Namespace) -> None:
    from reprise.data.augment import image_shape
    from reprise.models.layers import layer_table
    from reprise.reports.report import network_names

    report = open_report(args)
    tables = {}
    for name, (title, run) in report.networks(network_names(report.item_with_layers(args.item))).items():
        tables[name] = {
            "title": title,
            **layer_table(run.spec["model"], len(class_names(run)), image_shape(run)),
        }
    record = {"report": report.slug, "item": args.item, "networks": tables}
    write_record(layout(args).intermediate(report.slug, args.item, ".layers.json"), record)


def samples(args: argparse.Namespace) -> None:
    from reprise.data.decode import load
    from reprise.data.samples import write_samples

    report, where = open_report(args), layout(args)
    selection = item_of_kind(report, "figures", args.item, "samples")["images"]
    folder = dataset_dir(selection["dataset"], report.source(selection["dataset"]), where)
    write_samples(load(folder), selection, where.intermediate(report.slug, args.item, ".samples.npz"))


def results_of(report: Report, where: Layout, runs: Iterable[str]) -> Tables:
    """The tidy tables of these runs, with the names of their classes."""
    from reprise.publishing.results import read_tables

    cells = [cell for name in report.experiments for cell in report.all_cells(name)]
    wanted = set(runs)
    names = {
        identifier: class_names(run) for identifier, run in report.runs(cells).items() if identifier in wanted
    }
    return read_tables(where.runs, names, class_names=names)


def layer_tables(report: Report, where: Layout, item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layer tables that an item shows, from its intermediate file."""
    from reprise.reports.report import network_names

    if not network_names(item):
        return {}
    path = where.intermediate(report.slug, item["id"], ".layers.json")
    record = read_record(path, make_again("layers", report, item, path))
    if (record.get("report"), record.get("item")) != (report.slug, item["id"]):
        raise DamagedError(f"{path}: of another figure or table", make_again("layers", report, item, path))
    tables = record.get("networks")
    if not isinstance(tables, dict) or not all(map(is_layer_table, tables.values())):
        raise DamagedError(f"{path}: no layer tables", make_again("layers", report, item, path))
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


def sample_images(report: Report, where: Layout, item: Mapping[str, Any]) -> Path | None:
    """The sample images that a figure shows: its intermediate file."""
    from reprise.reports.run import canonical

    if "images" not in item:
        return None
    path = where.intermediate(report.slug, item["id"], ".samples.npz")
    remedy = make_again("samples", report, item, path.with_suffix(".json"))
    record = read_record(path.with_suffix(".json"), remedy)
    if canonical(record.get("selection")) != canonical(item["images"]):
        raise DamagedError(f"{path.with_suffix('.json')}: of another selection of images", remedy)
    check_file(path, record.get(FILES, {}), remedy)
    return path


def make_again(verb: str, report: Report, item: Mapping[str, Any], file: Path) -> str:
    """How to get a new intermediate file."""
    return (
        f"run python -m reprise {verb} {report.slug} {item['id']} (or delete {file.name}, and the "
        "workflow makes it again)"
    )


def figure(args: argparse.Namespace) -> None:
    from reprise.publishing.figures import draw_figure
    from reprise.publishing.results import read_meta

    report, where = open_report(args), layout(args)
    item = report.item("figures", args.item)
    runs = runs_of(report, item)
    draw_figure(
        item,
        slug=report.slug,
        resolve=report.cells,
        scale=report.scale,
        out_stem=where.figure(report.slug, args.item),
        tables=results_of(report, where, runs),
        images=sample_images(report, where, item),
        layers=layer_tables(report, where, item),
        notes=report.notes(item),
        meta=read_meta(where.runs, runs),
    )


def table(args: argparse.Namespace) -> None:
    from reprise.publishing.tables import write_table

    report, where = open_report(args), layout(args)
    item = report.item("tables", args.item)
    write_table(
        item,
        slug=report.slug,
        resolve=report.cells,
        scale=report.scale,
        out_stem=where.table(report.slug, args.item),
        tables=results_of(report, where, runs_of(report, item)),
        layers=layer_tables(report, where, item),
        experiment=report.document["experiments"].get(item.get("experiment")),
        notes=report.notes(item),
    )


def statements(args: argparse.Namespace) -> None:
    from reprise.publishing.statements import write_statements

    report, where = open_report(args), layout(args)
    runs = report.runs(
        [cell for item in report.statements for cell in report.needed(item) if report.active(cell)]
    )
    path = where.statements(report.slug)
    pages = (path, path.with_suffix(".md"))
    about = {**report.about, "notes": report.notes(*report.statements)}
    write_statements(
        report.statements,
        report.slug,
        report.cells,
        results_of(report, where, runs),
        report.scale,
        *pages,
        about=about,
    )


def export(args: argparse.Namespace) -> None:
    from reprise.evaluation.exchange import export_runs
    from reprise.reports.report import Report

    where = layout(args)
    runs = args.runs
    if len(runs) == 1 and (args.reports / f"{runs[0]}.yaml").is_file():
        report = Report(args.reports / f"{runs[0]}.yaml", args.scale, args.skip, args.stand_in)
        runs = [run for run in report.runs() if has_results(run, where)]
        if not runs:
            raise RepriseError(
                f"{where.runs}: no finished run of {report.slug} at scale {report.scale}; train it first"
            )
    count = export_runs(where.runs, runs, args.out)
    show(f"{args.out}: {count} runs")


def import_(args: argparse.Namespace) -> None:
    from reprise.checking import network
    from reprise.evaluation.exchange import import_runs

    where = layout(args)

    def at_hand(name: str, source: str) -> Path | None:
        folder = where.dataset(name, source)
        return dataset_dir(name, source, where) if (folder / "dataset.json").exists() else None

    states = import_runs(
        args.folder, where.runs, synthetic=args.scale == "demo", dataset_of=at_hand, network_of=network
    )
    for run in states:
        stamp_trained(run, where)
        if (where.runs / run / "final.parquet").is_file():
            stamp_evaluated(run, where)
    for run, state in states.items():
        show(f"{where.runs / run}: {state}")


# ---- the command line ----


class Parser(argparse.ArgumentParser):
    """An option that takes several values swallows an argument that follows it; the error says so."""

    def error(self, message: str) -> NoReturn:
        if "arguments are required" in message:
            message += "; put arguments before options that take several values"
        super().error(printable(message))


def whole(most: int) -> Callable[[str], int]:
    """A whole number from 1 to `most`."""

    def number(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is no whole number from 1 to {most:,}")
        return int(text)

    return number


def mirrors() -> list[str]:
    """The places in the environment's `REPRISE_MIRROR`, quoted as in a shell."""
    try:
        return shlex.split(os.environ.get("REPRISE_MIRROR", ""))
    except ValueError as error:
        raise RepriseError(f"REPRISE_MIRROR: {error}; quote its places as a shell has it") from None


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--scale", choices=SCALES, default="full", help="full is what the reports did (default)"
    )
    common.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder of everything that is made (default: results)",
    )
    common.add_argument(
        "--data", type=Path, help="folder of archives and arrays (default: data in the results folder)"
    )
    common.add_argument(
        "--reports", type=Path, default=REPORTS, help=f"folder of report files (default: {REPORTS})"
    )
    common.add_argument(
        "--skip", nargs="+", default=[], metavar="EXPERIMENT", help="experiments of the report to leave out"
    )
    common.add_argument(
        "--stand-in",
        nargs="+",
        default=[],
        metavar="DATASET",
        help="use a stand-in made from other real images (see data stand-in)",
    )

    top = Parser(prog="reprise", description="Rebuild published image-classification reports from raw data.")
    top.add_argument("--version", action="version", version=f"reprise {__version__}")
    verbs = top.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(
        function: Callable[[argparse.Namespace], None], name: str, text: str, group: Any = verbs
    ) -> argparse.ArgumentParser:
        made = group.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(verb=function)
        return made

    def on_device(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "--device",
            default=os.environ.get("REPRISE_DEVICE", "auto"),
            help="auto (default), cpu, cuda, cuda:1, …",
        )
        made.add_argument(
            "--threads", type=whole(4096), help="CPU threads, at most (default: torch's number)"
        )

    def trains(made: argparse.ArgumentParser) -> None:
        on_device(made)
        made.add_argument(
            "--exact-threads",
            action="store_true",
            help="take as many threads as --threads says (default: fewer where more are not faster; a run's "
            "meta says how many)",
        )
        made.add_argument(
            "--precision",
            choices=("auto", "float32", "bfloat16"),
            default=os.environ.get("REPRISE_PRECISION", "auto"),
            help="of matrix products and convolutions; auto (default): bfloat16 for large networks on CUDA",
        )
        made.add_argument(
            "--cuda-graphs",
            choices=("on", "off"),
            default=os.environ.get("REPRISE_CUDA_GRAPHS", "on"),
            help="whether training steps on CUDA are recorded once and replayed (default: on)",
        )

    verb(check, "check", "check report files at every scale").add_argument(
        "files", nargs="+", type=Path, metavar="FILE"
    )
    verb(list_runs, "runs", "list a report's runs").add_argument("report")

    made = verb(plan, "plan", "runs, epochs, images, time and disk of reports, before anything starts")
    made.add_argument("report", nargs="*", help="reports to plan (default: all)")
    made.add_argument(
        "--compare", action="store_true", help="the time of finished runs beside what the plan says of them"
    )
    trains(made)

    data = verbs.add_parser("data", help="fetch, verify and decode data sets").add_subparsers(
        required=True, metavar="VERB"
    )
    mirror = {
        "nargs": "+",
        "default": mirrors(),
        "metavar": "PLACE",
        "help": "folders or URLs that hold the files, tried first",
    }
    made = verb(data_fetch, "fetch", "fetch and verify an archive", data)
    made.add_argument("name")
    made.add_argument("--mirror", **mirror)
    made = verb(data_fetch_weights, "fetch-weights", "fetch and verify pretrained weights", data)
    made.add_argument("name", metavar="ARCHITECTURE")
    made.add_argument("--mirror", **mirror)
    verb(data_decode, "decode", "turn a fetched archive into arrays", data).add_argument("name")
    verb(data_statistics, "statistics", "channel means and standard deviations", data).add_argument("name")
    verb(data_add, "add", "take an archive that is already here", data).add_argument("archive", type=Path)
    verb(
        data_stand_in, "stand-in", "make a stand-in for a data set from another's real images", data
    ).add_argument("name")
    made = verb(data_synthesize, "synthesize", "draw the demo's stand-in for a data set", data)
    made.add_argument("name")
    made.add_argument(
        "--train", type=whole(1_000_000), default=1000, help="training images in all, as many of each class"
    )
    made.add_argument("--test", type=whole(1_000_000), default=300, help="test images in all")

    for function, name, text in (
        (train, "train", "train runs that are not yet trained"),
        (evaluate, "evaluate", "test the selected weights"),
    ):
        made = verb(function, name, text)
        made.add_argument("report")
        alone = made.add_mutually_exclusive_group()
        alone.add_argument(
            "--runs",
            nargs="+",
            default=[],
            metavar="RUN",
            help="these runs alone: hashes, or files in their folders",
        )
        alone.add_argument(
            "--only", nargs="+", default=[], metavar="SELECTOR", help="experiments or cells alone"
        )
        (trains if function is train else on_device)(made)

    study = verbs.add_parser(
        "study", help="searches with ASHA: the leaderboard, several workers"
    ).add_subparsers(required=True, metavar="VERB")
    made = verb(study_show, "show", "a study's trials, the best first, and the epochs saved", study)
    made.add_argument("--csv", type=Path, metavar="FILE", help="write the table there too")
    for name in ("report", "study"):
        made.add_argument(name)
    made = verb(
        study_work, "work", "train trials as one of several workers (which cannot be repeated)", study
    )
    for name in ("report", "study"):
        made.add_argument(name)
    trains(made)

    made = verb(submission, "submission", "label Kaggle's CIFAR-10 test images for its challenge")
    made.add_argument("report")
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", nargs=1, default=[], dest="runs", metavar="HASH", help="the run that labels")
    which.add_argument(
        "--only",
        nargs=1,
        default=[],
        metavar="SELECTOR",
        help="the best of these runs on the validation images",
    )
    made.add_argument(
        "archive", type=Path, metavar="ARCHIVE", help="folder, .zip, .tar, .tar.gz or .7z of 1.png, 2.png, …"
    )
    made.add_argument("out", type=Path, metavar="OUT.csv")
    made.add_argument(
        "--images",
        type=whole(10_000_000),
        default=300_000,
        help="images in the archive (default: 300000, as Kaggle has them)",
    )
    on_device(made)

    for function, name, text in (
        (layers, "layers", "describe the networks of a table, layer by layer"),
        (samples, "samples", "write the sample images of a figure"),
        (figure, "figure", "draw a figure"),
        (table, "table", "write a table"),
    ):
        made = verb(function, name, text)
        made.add_argument("report")
        made.add_argument("item", metavar="ID")
    verb(statements, "statements", "judge a report's numbers and claims").add_argument("report")

    made = verb(export, "export", "copy finished runs, to take them to another machine")
    made.add_argument(
        "runs", nargs="+", metavar="RUN", help="hashes, or a report's slug for all its finished runs"
    )
    made.add_argument("out", type=Path)
    verb(import_, "import", "verify runs made elsewhere and add them to the cache").add_argument(
        "folder", type=Path
    )
    return top


class _Log:
    """Standard error that cannot fail: what cannot be written any more goes nowhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[..., Any], *arguments: str) -> None:
        try:
            action(*arguments)
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def outlasting_its_log() -> Iterator[None]:
    """The work goes on when standard error is closed, a broken pipe or on a full disk."""
    stream = sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = _Log(stream or nowhere)
        try:
            yield
        finally:
            sys.stderr = stream


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Nothing looks for garbage, which costs a process of a second a tenth of its time; what there is goes
    with it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


BRIEF = (layers, samples, figure, table, statements)
"""Verbs that import much, make one thing and end."""


def end(message: str, status: int) -> NoReturn:
    """One line on standard error, and the exit status."""
    print(f"reprise: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; a `RepriseError` or what the system refuses is one line on standard error and exit status
    1.

    With the process's own arguments (None), trainings and predictions are made in a child process that this
    one supervises.
    """
    if arguments is None and sys.stderr is not None:
        faulthandler.enable()
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "passive"
    )  # threads that wait by spinning take the core from the one that they wait for
    with outlasting_its_log():
        try:
            args = parser().parse_args(arguments)
            if arguments is None and args.verb in (train, study_work, evaluate, submission):
                supervise(retry=args.verb in (train, study_work))
            with without_collector() if args.verb in BRIEF else contextlib.nullcontext():
                args.verb(args)
            print(end="", flush=True)  # here a broken pipe can still be met
        except RepriseError as error:
            end(str(error), 1)
        except Stopped as stop:
            end(
                f"stopped by {signal.Signals(stop.number).name}; run the same command again",
                128 + stop.number,
            )
        except KeyboardInterrupt:
            end("stopped by SIGINT; run the same command again", 130)
        except BrokenPipeError as error:  # the reader of our output (head, less) has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if args.verb in (check, list_runs):
                sys.exit(0)
            end(file_error(error, "standard output"), 1)
        except OSError as error:
            end(file_error(error), 1)
        except MemoryError:
            end("too little memory; free some, or run less at a time, and run the same command again", 1)
