"""Finished runs for TensorBoard: `tensorboard`."""

from __future__ import annotations

import shlex

from reprise.cli.options import ReportNames, ReportsOptions, ResultsOptions
from reprise.cli.process import show


def tensorboard(
    names: ReportNames = (),
    /,
    *,
    reports: ReportsOptions = ReportsOptions(),
    where: ResultsOptions = ResultsOptions(),
) -> None:
    """Write the finished runs as event files for TensorBoard: losses, accuracies, settings."""
    opened = reports.open_all(names, where.scale)

    from reprise.publishing.tensorboard import write_events

    layout = where.layout
    folders = write_events(opened, layout, layout.tensorboard)
    show(f"{layout.tensorboard}: {len(folders)} run{'s' * (len(folders) != 1)}; look at them with:")
    show(f"  tensorboard --logdir {shlex.quote(str(layout.tensorboard))}")
