"""Training: `train`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reprise.cli.common import chosen_runs, dataset_dirs, names_of, stamp_trained
from reprise.cli.options import (
    ChoiceOptions,
    ReportName,
    ReportsOptions,
    ResultsAndDataOptions,
    TrainingOptions,
)
from reprise.cli.process import end

if TYPE_CHECKING:
    from reprise.reports.layout import Layout
    from reprise.reports.report import Report
    from reprise.reports.run import Run


def engine_options(training: TrainingOptions, where: Layout) -> dict[str, Any]:
    """What `reprise.training.engine.train` is told wherever runs are trained."""
    return {
        "weights_dir": where.weights,
        "device": training.device,
        "precision": training.precision,
        "cuda_graphs": training.cuda_graphs == "on",
        "threads": training.threads,
        "exact_threads": training.exact_threads,
        "on_finished": lambda run: stamp_trained(run.hash, where),
    }


def train(
    report: ReportName,
    /,
    *,
    choice: ChoiceOptions = ChoiceOptions(),
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
    training: TrainingOptions = TrainingOptions(),
) -> None:
    """Train runs that are not yet trained."""
    found, layout = reports.open(report, where.scale), where.layout
    runs = chosen_runs(found, choice.runs, choice.only)
    train_runs(found, list(runs.values()), layout, training)


def train_runs(report: Report, runs: Sequence[Run], layout: Layout, training: TrainingOptions) -> None:
    """Train these runs of a report, and leave the workflow their stamps; SIGINT and SIGTERM end the
    process.
    """
    from reprise.training.engine import train as train_list
    from reprise.training.session import Interrupted

    pruner = None
    if any(run.settings.study for run in runs):
        from reprise.search.asha import AshaPruner

        pruner = AshaPruner(layout.runs)
    try:
        train_list(
            runs,
            dataset_dirs=dataset_dirs(runs, layout),
            cache=layout.runs,
            **engine_options(training, layout),
            pruner=pruner,
            names=names_of(report, runs),
        )
    except Interrupted as stop:
        end(str(stop), stop.status)
