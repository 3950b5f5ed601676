"""Whether figures, tables and statements can be made, before anything is trained: they are made from
pretended results.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reprise.errors import RepriseError, gist
from reprise.extensions import METRICS
from reprise.publishing import Face
from reprise.publishing.expressions import Expressions
from reprise.publishing.figures import build_figure
from reprise.publishing.measures import RESULT_COLUMNS, Measure, Tables
from reprise.publishing.power import without_power
from reprise.publishing.sources import Sources
from reprise.publishing.statements import CheckedStatement, judge_statements, parse
from reprise.publishing.style import style
from reprise.publishing.tables import build_table
from reprise.reports.expressions import Names
from reprise.reports.figures import Diagram, Figure, Samples
from reprise.reports.report import Cell, Report, Undrawn, network_names
from reprise.reports.run import Run, canonical
from reprise.reports.statements import Claim, Statement
from reprise.reports.tables import MetricsTable, SpaceTable, Table
from reprise.schema import plain

_drawn: set[str] = set()
"""Figures that could be drawn. A figure takes a tenth of a second and is mostly the same at all scales."""


def check_publications(report: Report, class_names: Mapping[str, Sequence[str]]) -> None:
    """Draw, tabulate and judge all that the report publishes, from pretended results, and write nothing.

    What they would refuse after training (a split, colour, axis, setting, metric or class that is not there,
    too many series or cells) is noted in the report's mistakes now, naming the figure, table or statement.
    `class_names`: run → names of its labels 0, 1, …, for every run of the report. Figures that need images of
    a data set are left out.
    """
    mistakes = report.mistakes
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    results = pretended(runs, class_names, named_layers(report))
    face = Face(report.slug, report.scale)
    for index, figure in enumerate(report.figures):
        if ("figures", figure.id) in report.unsound or isinstance(figure, Samples):
            continue
        with mistakes.noting(), naming(report, ["figures", index]):
            layers = _layer_tables(report, figure)
            cells = [[cell.name, splits(cell.members[0])] for cell in report.needed(figure)]
            key = canonical([plain(figure), cells, list(layers)])
            if key in _drawn:
                continue
            with style():
                build_figure(figure, Sources(report.cells, results, layers=layers), face)
            _drawn.add(key)
    for index, table in enumerate(report.tables):
        if ("tables", table.id) in report.unsound:
            continue
        try:
            _check_table(report, index, table, results)
        except RepriseError as error:
            mistakes.add(error)
            rows = getattr(table, "rows", None) or ()
            for row in rows if len(rows) > 1 else ():  # each alone, to find all that are wrong
                with mistakes.noting():
                    _check_table(report, index, table.model_copy(update={"rows": [row]}), results)
            made = [each.id for each in report.statements if getattr(each, "table", None) == table.id]
            report.unsound |= {("statements", name) for name in made}
    try:
        _check_verdicts(report, sound(report), results)
    except RepriseError:  # each alone, to find all that are wrong
        for statement in sound(report):
            try:
                _check_verdicts(report, [statement], results)
            except RepriseError as error:
                _note(report, statement, error)


def _check_table(report: Report, index: int, table: Table, results: Tables) -> None:
    with naming(report, ["tables", index]):
        experiment = None
        if isinstance(table, SpaceTable):
            experiment = report.file.experiments.get(table.experiment)
            report.cells(table.experiment)  # else it is none, or has a mistake
        layers = _layer_tables(report, table)
        build_table(
            table,
            Sources(report.cells, results, names=report.names, layers=layers, experiment=experiment),
        )


def _check_verdicts(report: Report, statements: Sequence[Statement], results: Tables) -> None:
    for outcome in judge_statements(statements, report.where, report.cells, results, report.names):
        for reading in (outcome, *outcome.also):
            if reading.judgement.verdict == "not run" and report.scale == "full":
                never = "it could never be judged, even with every run trained"
                reason = _too_late(report, reading.statement) or f"{never}: {reading.judgement.reason}"
                spec = next(each for each in statements if each.id == outcome.statement.id)
                report.mistakes.add(report.statement_mistake(spec, reason))


def _too_late(report: Report, statement: CheckedStatement) -> str:
    """What is wrong with a statement that measures an epoch after the last one; nothing if it does not."""
    for measure in statement.measures:
        epoch = measure.at if isinstance(measure.at, int) else 0
        for cell in report.cells(measure.runs):
            epochs = cell.members[0].settings.training.epochs
            if epoch > epochs:
                what = f"{cell.name} trains {epochs} epochs, so it has no at={epoch}"
                return f"{statement.expression!r}: {what}; write at={epochs} or less"
    return ""


def _note(report: Report, statement: Statement, error: RepriseError) -> None:
    """Note what is wrong with a statement, as its own mistake."""
    said = str(error).removeprefix(f"{report.where(statement)}: ")
    about = statement.expressions[0] if len(statement.expressions) == 1 else ""
    report.mistakes.add(report.statement_mistake(statement, said, about))


def sound(report: Report) -> list[Statement]:
    """The statements without a mistake that is known."""
    return [each for each in report.statements if ("statements", each.id) not in report.unsound]


def check_expressions(report: Report) -> list[CheckedStatement]:
    """The statements whose expressions mean something; what is wrong with the others is noted."""
    for name, text in report.names.measures.items():
        with report.mistakes.noting():
            try:
                Expressions(Names(measures={name: text}, where=report.names.where))
            except RepriseError:
                report.leave_out_measure(name)
                raise
    found: list[CheckedStatement] = []
    for statement in report.statements:
        relations = _each_relation(statement)
        if ("statements", statement.id) in report.unsound:
            sound_ones = [one for one in relations if not list(report.wrong_in(one))]
            found += [part for one in sound_ones for part in _parsed(report, one)]
            continue
        try:
            found += parse([statement], report.where, report.cells, report.names)
        except RepriseError as error:
            alone = [part for one in relations for part in _parsed(report, one)]
            found += alone
            if len(alone) == len(relations):  # it is in another reading
                _note(report, statement, error)
            report.unsound.add(("statements", statement.id))
            if made := getattr(statement, "table", None):
                report.unsound.add(("tables", made))
    return found


def _each_relation(statement: Statement) -> list[Statement]:
    """A claim of several relations as claims of one, to find all that are wrong; else the statement."""
    if not isinstance(statement, Claim) or len(statement.holds) == 1:
        return [statement]
    return [statement.model_copy(update={"holds": [one], "also": []}) for one in statement.holds]


def _parsed(report: Report, statement: Statement) -> list[CheckedStatement]:
    """The statement as it is understood; nothing where it means nothing, which is noted."""
    try:
        return parse([statement], report.where, report.cells, report.names)
    except RepriseError as error:
        _note(report, statement, error)
        return []


def warnings(report: Report, class_names: Mapping[str, Sequence[str]]) -> list[str]:
    """What is no mistake, but probably not meant: statements that no result could refute, or none confirm."""
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    results = pretended(runs, class_names, named_layers(report))
    parsed = parse(report.statements, report.where, report.cells, report.names)
    return [f"{one.where}: {said}" for one, said in without_power(parsed, report.cells, results)]


@contextlib.contextmanager
def naming(report: Report, what: Cell | Sequence[Any]) -> Iterator[None]:
    """Let a `RepriseError` start with the report file, line and key path of what it is about: a cell, or the
    figure or table at a key path; whatever torch or matplotlib make of a setting becomes one.
    """

    def mistake(said: str) -> RepriseError:
        return report.cell_mistake(what, said) if isinstance(what, Cell) else report.mistake(what, said)

    try:
        yield
    except Undrawn as error:
        left_out = f"{error}; leave it in scales.{report.scale}, or draw other cells"
        raise mistake(left_out) from None
    except RepriseError as error:
        raise mistake(str(error).removeprefix(f"{report.path}: ")) from None
    except Exception as error:
        reason = f"{type(error).__name__}: {gist(error)}"
        raise mistake(f"cannot be made ({reason}); change its settings") from error


def splits(run: Run) -> tuple[str, str]:
    """The splits that the history of a run has."""
    return "train", run.validation_split


class LayerMeasure(NamedTuple):
    """A measure that names a layer, and where it stands."""

    section: str
    id: str
    """Of the statement, or of the table with the measure in a row."""
    parts: list[Any]
    """Key path of the statement or row."""
    whose: str
    expression: str
    measure: Measure


def layer_measures(report: Report) -> list[LayerMeasure]:
    """Every measure of a table or statement that names a layer."""
    known = Expressions(report.names)
    found: list[LayerMeasure] = []
    for index, table in enumerate(report.tables):
        rows = table.rows if isinstance(table, MetricsTable) else ()
        for place, row in enumerate(rows if ("tables", table.id) not in report.unsound else ()):
            if ("statements", row.statement) in report.unsound:  # whose measure it is
                report.unsound.add(("tables", table.id))
                continue
            parts, text = ["tables", index, "rows", place], str(row.measure)
            try:
                measures = known.value(text, report.at(*parts)).measures
            except RepriseError as error:
                said = str(error).removeprefix(f"{report.at(*parts)}: ")
                report.mistakes.add(report.mistake(parts, said, about=text))
                report.unsound.add(("tables", table.id))
                continue
            found += (LayerMeasure("tables", table.id, parts, "", text, one) for one in measures)
    statements = {each.id: each for each in report.statements}
    for each in parse(sound(report), report.where, report.cells, report.names):
        parts, whose = report.place_of(statements[each.id])
        found += (
            LayerMeasure("statements", each.id, parts, whose, each.expression, one) for one in each.measures
        )
    return [each for each in found if each.measure.layer]


def named_layers(report: Report) -> list[str]:
    """The layers that the report's measures name, as their modules are called."""
    names: dict[str, None] = {}
    for each in layer_measures(report):
        with contextlib.suppress(Undrawn):
            cells = report.cells(each.measure.runs)
            names |= {cell.module(str(each.measure.layer)): None for cell in cells}
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
