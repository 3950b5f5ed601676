"""Whether figures, tables and statements can be made, before anything is trained: they are made from
pretended results.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError, gist
from reprise.publishing.figures import Results, build_figure
from reprise.publishing.measures import COLUMNS, METRICS, Tables
from reprise.publishing.statements import judge_statements
from reprise.publishing.style import style
from reprise.publishing.tables import Sources, build_table
from reprise.reports.check import nearest
from reprise.reports.report import Report, network_names
from reprise.reports.run import Run, canonical

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
    results = pretended(runs, class_names, [*report.figures, *report.tables, *report.statements])
    for spec in report.figures:
        with naming(report, f"figure {spec['id']}"):
            layers = _layer_tables(report, spec)
            cells = [[cell.name, splits(cell.members[0])] for cell in report.needed(spec)]
            key = canonical([spec, cells, list(layers)])
            if "images" in spec or key in _drawn:
                continue
            with style():
                build_figure(spec, Results(report.cells, results, layers=layers), scale=report.scale)
        _drawn.add(key)
    for spec in report.tables:
        with naming(report, f"table {spec['id']}"):
            if "experiment" in spec and spec["experiment"] not in report.experiments:
                raise RepriseError(
                    f"no experiment {spec['experiment']}{nearest(spec['experiment'], report.experiments)}"
                )
            experiment = report.document["experiments"].get(spec.get("experiment"))
            build_table(spec, Sources(report.cells, results, _layer_tables(report, spec), experiment))
    for outcome in judge_statements(report.statements, str(report.path), report.cells, results):
        if outcome.judgement.verdict == "not run" and report.scale == "full":
            reason = f"it could never be judged, even with every run trained: {outcome.judgement.reason}"
            raise RepriseError(f"{outcome.statement.where}: {reason}")


@contextlib.contextmanager
def naming(report: Report, what: str) -> Iterator[None]:
    """Let a `RepriseError` start with the report file and `what`; whatever torch or matplotlib make of a
    setting becomes one.
    """
    try:
        yield
    except RepriseError as error:
        raise RepriseError(f"{report.path}: {what}: {str(error).removeprefix(f'{report.path}: ')}") from None
    except Exception as error:
        raise RepriseError(
            f"{report.path}: {what}: cannot be made ({type(error).__name__}: {gist(error)}); change its "
            "settings"
        ) from error


def splits(run: Run) -> tuple[str, str]:
    """The splits that the history of a run has."""
    return "train", run.validation_split


def pretended(
    runs: Mapping[str, Run], class_names: Mapping[str, Sequence[str]], items: Sequence[Mapping[str, Any]] = ()
) -> Tables:
    """Results as every run could have them: its epochs, every metric, one test image of each class.

    The trials of a study stop as its rungs allow, one after the other at each. Layers are those that a
    measure in `items` names.
    """
    history, final, predictions = [], [], []
    colours = [
        f"{statistic}.{colour}"
        for statistic in ("channel_mean", "channel_std")
        for colour in ("red", "green", "blue")
    ]
    layers = [f"parameters.{layer}" for layer in dict.fromkeys(_values(items, "layer"))]
    sizes = {"selected_epoch": 1, "train_images": 100, "validation_images": 100, "test_images": 100}
    for place, (identifier, run) in enumerate(runs.items(), 1):
        share = place / (len(runs) + 1)
        for epoch in range(1, _epochs(run) + 1):
            history += [
                (identifier, epoch, split, share + 1 / epoch, share * epoch / (epoch + 1))
                for split in splits(run)
            ]
        metrics = dict.fromkeys([*METRICS, *colours, *layers], share) | sizes
        final += [(identifier, name, value) for name, value in metrics.items()]
        predictions += [(identifier, label, label, label) for label in range(len(class_names[identifier]))]
    frames = {"history": history, "final": final, "predictions": predictions}
    tables = {
        name: {column: [row[place] for row in rows] for place, column in enumerate(COLUMNS[name])}
        for name, rows in frames.items()
    }
    return Tables(**tables, class_names=class_names)


def _epochs(run: Run) -> int:
    """Epochs that a run is pretended to have trained: the first trial of a study all, the next ones as many
    as lead to a rung.
    """
    epochs, study = run.spec["training"]["epochs"], run.spec.get("study")
    if not study:
        return epochs
    stops = [epochs]
    rung = study["min_resource"]
    while rung < epochs:
        stops.append(rung)
        rung *= study["reduction_factor"]
    return stops[study["trial"] % len(stops)]


def _layer_tables(report: Report, item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A layer table as each network that a figure or table shows could have it, with the layers that are
    marked in it.
    """
    image = {
        "layer": "conv 3×3, 8, same",
        "kind": "conv",
        "activation": "relu",
        "output_shape": [8, 16, 16],
        "parameters": 224,
    }
    flat = {
        "layer": "dense 10",
        "kind": "dense",
        "activation": None,
        "output_shape": [10],
        "parameters": 20490,
    }
    rows = [{**image, "name": "conv"}, *({**flat, "name": name} for name in item.get("mark", ["dense"]))]
    facts = {"rows": rows, "parameters": sum(row["parameters"] for row in rows), "image_shape": [3, 16, 16]}
    return {
        name: {"title": title, **facts} for name, (title, _) in report.networks(network_names(item)).items()
    }


def _values(item: Any, key: str) -> list[Any]:
    """Every value of a key, however deep it stands."""
    if isinstance(item, Mapping):
        return [
            value
            for name, inner in item.items()
            for value in ([inner] if name == key else _values(inner, key))
        ]
    if isinstance(item, Sequence) and not isinstance(item, str):
        return [value for entry in item for value in _values(entry, key)]
    return []
