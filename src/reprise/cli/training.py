"""Training: `train`."""

from __future__ import annotations

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

    from reprise.training.engine import train as train_runs
    from reprise.training.session import Interrupted

    pruner = None
    if any(run.settings.study for run in runs.values()):
        from reprise.search.asha import AshaPruner

        pruner = AshaPruner(layout.runs)
    try:
        train_runs(
            list(runs.values()),
            dataset_dirs=dataset_dirs(runs.values(), layout),
            cache=layout.runs,
            **engine_options(training, layout),
            pruner=pruner,
            names=names_of(found, runs.values()),
        )
    except Interrupted as stop:
        end(str(stop), stop.status)
