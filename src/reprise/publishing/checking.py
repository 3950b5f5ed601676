"""Whether figures, tables and statements can be made, before anything is trained: they are made from pretended results."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reprise.errors import RepriseError
from reprise.publishing import tables
from reprise.publishing.figures import Results, build_figure
from reprise.publishing.measures import COLUMNS, METRICS, Tables
from reprise.publishing.statements import judge_statements
from reprise.publishing.style import style
from reprise.spec.programme import INTERMEDIATES
from reprise.spec.report import Report
from reprise.spec.run import Run, canonical

_drawn: set[str] = set()
"""Figures that could be drawn. A figure takes a tenth of a second and is mostly the same at all scales."""


def check_publications(report: Report, class_names: Mapping[str, Sequence[str]]) -> None:
    """Draw, tabulate and judge all that the report publishes, from pretended results, and write nothing.

    What they would refuse after training (a split, colour, axis, setting, metric or class that is not there, too many series or cells) is
    a `RepriseError` now, naming the figure, table or statement. `class_names`: run → names of its labels 0, 1, …, for every run of the
    report. Figures that need images of a data set are left out.
    """
    results = pretended(report.runs([cell for name in report.experiments for cell in report.all_cells(name)]), class_names)
    for spec in report.figures:
        cells = [[cell.name, splits(cell.members[0])] for cell in report.needed(spec)]
        key = canonical([spec, cells])
        if spec["kind"] in INTERMEDIATES or key in _drawn:
            continue
        with naming(report, f"figure {spec['id']}"), style():
            build_figure(spec, Results(report.cells, results), scale=report.scale)
        _drawn.add(key)
    for spec in report.tables:
        with naming(report, f"table {spec['id']}"):
            networks = report.networks(spec.get("networks", []))
            layers = {name: {"title": title, "rows": [], "parameters": 0} for name, (title, _) in networks.items()}
            tables.KINDS[spec["kind"]](spec, tables.Sources(report.cells, results, layers))
    for outcome in judge_statements(report.statements, str(report.path), report.cells, results):
        if outcome.judgement.verdict == "not run" and report.scale == "full":
            reason = f"it could never be judged, even with every run trained: {outcome.judgement.reason}"
            raise RepriseError(f"{outcome.statement.where}: {reason}")


@contextlib.contextmanager
def naming(report: Report, what: str) -> Iterator[None]:
    """Let a `RepriseError` start with the report file and `what`."""
    try:
        yield
    except RepriseError as error:
        raise RepriseError(f"{report.path}: {what}: {str(error).removeprefix(f'{report.path}: ')}") from None


def splits(run: Run) -> tuple[str, str]:
    """The splits that the history of a run has."""
    return "train", "test" if run.spec["split"]["validation"] == "test" else "validation"


def pretended(runs: Mapping[str, Run], class_names: Mapping[str, Sequence[str]]) -> Tables:
    """Results as every run could have them: all its epochs, every metric, one test image of each class."""
    history, final, predictions = [], [], []
    for place, (identifier, run) in enumerate(runs.items(), 1):
        share = place / (len(runs) + 1)
        for epoch in range(1, run.spec["training"]["epochs"] + 1):
            history += [(identifier, epoch, split, share + 1 / epoch, share * epoch / (epoch + 1)) for split in splits(run)]
        metrics = dict.fromkeys(METRICS, share) | {"selected_epoch": 1, "train_images": 100, "validation_images": 100, "test_images": 100}
        final += [(identifier, name, value) for name, value in metrics.items()]
        predictions += [(identifier, label, label, label) for label in range(len(class_names[identifier]))]
    frames = {"history": history, "final": final, "predictions": predictions}
    return Tables(**{name: pd.DataFrame(rows, columns=list(COLUMNS[name])) for name, rows in frames.items()}, class_names=class_names)
