"""Made-up results of a report, as tables and as folders of finished and evaluated runs."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.data.catalog import class_names
from reprise.publishing.measures import RESULT_COLUMNS, Tables
from reprise.publishing.pretended import named_layers, pretended
from reprise.records import FILES, digests, write_record
from reprise.reports.report import Report
from reprise.reports.run import Run

META = {
    "device": "AMD EPYC",
    "threads": 2,
    "seconds": 1800.0,
    "finished": "2026-11-28T23:00:00+00:00",
    "epochs": 2,
    "stopped": "all epochs",
}


def all_runs(report: Report) -> dict[str, Run]:
    return report.runs([cell for name in report.experiments for cell in report.all_cells(name)])


def results(report: Report, at_hand: Collection[str]) -> Tables:
    """Made-up results of these runs."""
    runs = all_runs(report)
    names = {run: class_names(settings) for run, settings in runs.items()}
    return pretended({run: runs[run] for run in runs if run in at_hand}, names, named_layers(report))


def write_results(report: Report, folder: Path, at_hand: Collection[str], **meta: Any) -> None:
    """Made-up results as the folders of finished and evaluated runs."""
    tables, every = results(report, at_hand), all_runs(report)
    for run in at_hand:
        place = folder / run
        place.mkdir(parents=True)
        for name in RESULT_COLUMNS:
            table = pd.DataFrame(getattr(tables, name))
            table[table["run"] == run].to_parquet(place / f"{name}.parquet", index=False)
        content = {"run": run, "spec": dict(every[run].spec), "meta": {**META, **meta}}
        write_record(place / "run.json", {**content, FILES: digests(place, ["history.parquet"])})
        files = digests(place, ["predictions.parquet", "final.parquet"])
        write_record(place / "evaluation.json", {"run": run, FILES: files})
