"""Whether figures, tables and statements can be made, before anything is trained: they are made from
pretended results.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError, gist, nearest
from reprise.extensions import METRICS
from reprise.publishing import Face
from reprise.publishing.expressions import Expressions
from reprise.publishing.figures import build_figure
from reprise.publishing.measures import RESULT_COLUMNS, Measure, Tables
from reprise.publishing.power import without_power
from reprise.publishing.sources import Sources
from reprise.publishing.statements import judge_statements, parse
from reprise.publishing.style import style
from reprise.publishing.tables import build_table
from reprise.reports.figures import Diagram, Figure, Samples
from reprise.reports.report import Report, Undrawn, network_names
from reprise.reports.run import Run, canonical
from reprise.reports.tables import MetricsTable, SpaceTable, Table
from reprise.schema import plain

_drawn: set[str] = set()
"""Figures that could be drawn. A figure takes a tenth of a second and is mostly the same at all scales."""


def check_publications(report: Report, class_names: Mapping[str, Sequence[str]]) -> None:
    """Draw, tabulate and judge all that the report publishes, from pretended results, and write nothing.

    What they would refuse after training (a split, colour, axis, setting, metric or class that is not there,
    too many series or cells) is a `RepriseError` now, naming the figure, table or statement. `class_names`:
    run → names of its labels 0, 1, …, for every run of the report. Figures that need images of a data set are
    left out.
    """
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    results = pretended(runs, class_names, named_layers(report))
    face = Face(report.slug, report.scale)
    for index, figure in enumerate(report.figures):
        with naming(report, f"figure {figure.id}", "figures", index):
            layers = _layer_tables(report, figure)
            cells = [[cell.name, splits(cell.members[0])] for cell in report.needed(figure)]
            key = canonical([plain(figure), cells, list(layers)])
            if isinstance(figure, Samples) or key in _drawn:
                continue
            with style():
                build_figure(figure, Sources(report.cells, results, layers=layers), face)
        _drawn.add(key)
    for index, table in enumerate(report.tables):
        with naming(report, f"table {table.id}", "tables", index):
            experiment = None
            if isinstance(table, SpaceTable):
                experiment = report.file.experiments.get(table.experiment)
                if experiment is None:
                    raise RepriseError(
                        f"no experiment {table.experiment}{nearest(table.experiment, report.experiments)}"
                    )
            layers = _layer_tables(report, table)
            build_table(
                table,
                Sources(report.cells, results, names=report.names, layers=layers, experiment=experiment),
            )
    for outcome in judge_statements(report.statements, report.where, report.cells, results, report.names):
        for reading in (outcome, *outcome.also):
            if reading.judgement.verdict == "not run" and report.scale == "full":
                reason = f"it could never be judged, even with every run trained: {reading.judgement.reason}"
                raise RepriseError(f"{reading.statement.where}: {reason}")


def warnings(report: Report, class_names: Mapping[str, Sequence[str]]) -> list[str]:
    """What is no mistake, but probably not meant: statements that no result could refute, or none confirm."""
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    results = pretended(runs, class_names, named_layers(report))
    parsed = parse(report.statements, report.where, report.cells, report.names)
    return [f"{one.where}: {said}" for one, said in without_power(parsed, report.cells, results)]


@contextlib.contextmanager
def naming(report: Report, what: str, *parts: Any) -> Iterator[None]:
    """Let a `RepriseError` start with the report file, the line of the key path `parts`, and `what`; whatever
    torch or matplotlib make of a setting becomes one.
    """
    try:
        yield
    except RepriseError as error:
        said = str(error).removeprefix(f"{report.path}: ")
        raise RepriseError(f"{report.place_of(parts, said)}: {what}: {said}") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {gist(error)}"
        raise RepriseError(
            f"{report.place(*parts)}: {what}: cannot be made ({reason}); change its settings"
        ) from error


def splits(run: Run) -> tuple[str, str]:
    """The splits that the history of a run has."""
    return "train", run.validation_split


def layer_measures(report: Report) -> dict[str, list[Measure]]:
    """Where a measure that names a layer stands, as an error starts → such measures."""
    known = Expressions(report.names)
    found: dict[str, list[Measure]] = {}
    for index, table in enumerate(report.tables):
        for row in table.rows if isinstance(table, MetricsTable) else ():
            where = f"{report.place('tables', index)}: table {table.id}"
            measures = known.value(str(row.measure), f"{where}: row {row.label!r}").measures
            found.setdefault(where, []).extend(measures)
    for statement in parse(report.statements, report.where, report.cells, report.names):
        found[statement.where] = statement.measures
    return {where: [one for one in measures if one.layer] for where, measures in found.items()}


def named_layers(report: Report) -> list[str]:
    """The layers that the report's measures name, as their modules are called."""
    measures = [one for measures in layer_measures(report).values() for one in measures]
    names: dict[str, None] = {}
    for measure in measures:
        with contextlib.suppress(Undrawn):
            names |= {cell.module(str(measure.layer)): None for cell in report.cells(measure.runs)}
    return list(names)


def pretended(
    runs: Mapping[str, Run], class_names: Mapping[str, Sequence[str]], layers: Sequence[str] = ()
) -> Tables:
    """Results as every run could have them: its epochs, every metric, the parameters of `layers`, one test
    image of each class.

    The trials of a study stop as its rungs allow, one after the other at each.
    """
    frames: dict[str, list[tuple[Any, ...]]] = {"history": [], "final": [], "predictions": []}
    colours = [
        f"{statistic}.{colour}"
        for statistic in ("channel_mean", "channel_std")
        for colour in ("red", "green", "blue")
    ]
    parameters = [f"parameters.{layer}" for layer in layers]
    sizes = {"selected_epoch": 1, "train_images": 100, "validation_images": 100, "test_images": 100}
    for place, (identifier, run) in enumerate(runs.items(), 1):
        share = place / (len(runs) + 1)
        for epoch in range(1, _epochs(run) + 1):
            frames["history"] += [
                (identifier, epoch, split, share + 1 / epoch, share * epoch / (epoch + 1))
                for split in splits(run)
            ]
        metrics = dict.fromkeys([*METRICS, *colours, *parameters], share) | sizes
        frames["final"] += [(identifier, name, value) for name, value in metrics.items()]
        labels = range(len(class_names[identifier]))
        frames["predictions"] += [(identifier, label, label, label) for label in labels]
    tables = {
        name: {column: [row[place] for row in rows] for place, column in enumerate(RESULT_COLUMNS[name])}
        for name, rows in frames.items()
    }
    return Tables(**tables, class_names=class_names)


def _epochs(run: Run) -> int:
    """Epochs that a run is pretended to have trained: the first trial of a study all, the next ones as many
    as lead to a rung.
    """
    epochs, study = run.settings.training.epochs, run.settings.study
    if not study:
        return epochs
    stops = [epochs]
    rung = study.min_resource
    while rung < epochs:
        stops.append(rung)
        rung *= study.reduction_factor
    return stops[study.trial % len(stops)]


def _layer_tables(report: Report, item: Figure | Table) -> dict[str, dict[str, Any]]:
    """A layer table as each network that a figure or table shows could have it, with the layers that are
    marked in it.
    """
    image: dict[str, Any] = {
        "layer": "conv 3×3, 8, same",
        "kind": "conv",
        "activation": "relu",
        "output_shape": [8, 16, 16],
        "parameters": 224,
    }
    flat: dict[str, Any] = {
        "layer": "dense 10",
        "kind": "dense",
        "activation": None,
        "output_shape": [10],
        "parameters": 20490,
    }
    rows = [
        {**image, "name": "conv"},
        *({**flat, "name": name} for name in (_layers_of(item) or ["dense"])),
    ]
    facts = {"rows": rows, "parameters": sum(row["parameters"] for row in rows), "image_shape": [3, 16, 16]}
    return {
        name: {"title": title, **facts} for name, (title, _) in report.networks(network_names(item)).items()
    }


def _layers_of(item: Any) -> list[str]:
    """The places of layers that a diagram marks or names."""
    return list(dict.fromkeys([*item.mark, *item.names])) if isinstance(item, Diagram) else []
