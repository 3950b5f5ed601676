"""Finished runs as event files for TensorBoard: a folder for each run, which it can compare.

The same run gives the same bytes: times are those of the run's record, and the file is named by the run's
hash (TensorBoard reads every file with `tfevents` in its name).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from reprise.errors import RepriseError
from reprise.files import atomic, read_bytes
from reprise.publishing.measures import Tables
from reprise.publishing.partial import seeds_of
from reprise.publishing.results import read_meta, read_tables
from reprise.reports.layout import RUN, Layout
from reprise.reports.report import Cell, Report, text
from reprise.reports.run import canonical

PREFIX = "events.out.tfevents."
FILE_VERSION = "brain.Event:2"
LONGEST_NAME = 150
"""Characters of a folder's name."""
LONGEST_VALUE = 200
"""Characters of a list among the hyperparameters; longer ones, such as layers, stand in the text alone."""
UNMEASURED = ("engine", "seeds", "study", "initial_weights")
"""What of a run's settings is no hyperparameter."""


@dataclass(frozen=True)
class _Logged:
    """What one run's file is made of. folder: the name of its folder."""

    run: str
    folder: str
    report: str
    cell: Cell
    seed: int
    spec: Mapping[str, Any]
    meta: Mapping[str, Any]


def write_events(reports: Sequence[Report], layout: Layout, root: Path) -> list[Path]:
    """Write `<root>/<report>/<configuration>-seed<n>/` for each finished run of the reports; files that are
    as they should be stay as they are, and those of runs that are gone are removed. The folders of the runs.

    Without tensorboard, and where no run is finished, a `RepriseError`.
    """
    _require()
    logged = [one for report in reports for one in _finished(report, layout)]
    if not logged:
        names = ", ".join(report.slug for report in reports)
        what = f"no finished run of {names} at scale {layout.scale}"
        raise RepriseError(f"{layout.runs}: {what}; train some first")
    folders = []
    for one in logged:
        tables = read_tables(layout.runs, [one.run], ["history", "final"])
        folder = root / one.report / one.folder
        _keep(folder / f"{PREFIX}{one.run}", _records(_events(one, tables)))
        folders.append(folder)
    for report in reports:
        kept = {(one.folder, one.run) for one in logged if one.report == report.slug}
        _remove_others(root / report.slug, kept)
    return folders


def _require() -> None:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise RepriseError(
            "event files are written by tensorboard, which is not installed; install it with: pip install "
            "tensorboard"
        ) from None


# ---- which runs, and what they are called ----


def _finished(report: Report, layout: Layout) -> Iterator[_Logged]:
    """The finished runs of a report, in its order."""
    done = [run for run in report.runs() if (layout.runs / run / RUN).is_file()]
    runs, meta = report.runs(), read_meta(layout.runs, done)
    called: set[str] = set()
    for run in done:
        cell = report.cell_of(run)
        seed = seeds_of(cell)[run]
        folder = folder_name(cell.name, seed)
        if folder.lower() in called:  # two names that differ in what a folder's name cannot hold
            folder = f"{folder}-{run}"
        called.add(folder.lower())
        yield _Logged(run, folder, report.slug, cell, seed, runs[run].spec, meta[run])


def folder_name(cell: str, seed: int) -> str:
    """`rates-lr=0.01-seed0`: a name that file systems and shells take, and a list of runs can show."""
    plain = re.sub(r"[^\w=.+@-]+", "_", re.sub("[/,]", "-", cell), flags=re.ASCII)
    return f"{plain[:LONGEST_NAME]}-seed{seed}"


# ---- what is said of a run ----


def _events(one: _Logged, tables: Tables) -> Iterator[Any]:
    """The events of a run in the order of their steps: what it is, every epoch, what came out."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    start, end = (_seconds(one.meta.get(key)) for key in ("started", "finished"))
    epochs = max(tables.history["epoch"], default=1)

    def at(step: int) -> float:
        return start + (end - start) * min(step / epochs, 1)

    yield Event(wall_time=start, file_version=FILE_VERSION)
    trial = f"{one.report}/{one.cell.name}"  # its seeds are one trial
    begun = hparams_pb(hyperparameters(one.cell, one.spec), trial_id=trial, start_time_secs=start)
    _settle(begun)
    yield Event(wall_time=start, summary=begun)
    yield Event(wall_time=start, summary=text_pb("settings", _described(one)))
    for step, rows in groupby(sorted(_scalars(one, tables), key=lambda row: row[0]), key=lambda row: row[0]):
        for _, tag, value in rows:
            scalar = Summary.Value(tag=tag, simple_value=value)  # which every reader of such files knows
            yield Event(wall_time=at(step), step=step, summary=Summary(value=[scalar]))
    ended = hparams_pb({}, trial_id=trial, start_time_secs=start)
    info = SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=end)
    ended.value[0].tag = metadata.SESSION_END_INFO_TAG
    ended.value[0].metadata.CopyFrom(
        metadata.create_summary_metadata(HParamsPluginData(session_end_info=info))
    )
    yield Event(wall_time=end, step=epochs, summary=ended)


def _scalars(one: _Logged, tables: Tables) -> Iterator[tuple[int, str, float]]:
    """Step (the epoch, from 1), tag and value: losses and accuracies of each split, the learning rate, and
    the final metrics at the epoch whose weights are kept.
    """
    history = tables.history
    columns = (history[name] for name in ("epoch", "split", "loss", "accuracy"))
    for epoch, split, loss, accuracy in zip(*columns, strict=True):
        yield int(epoch), f"loss/{split}", float(loss)
        yield int(epoch), f"accuracy/{split}", float(accuracy)
    for epoch, rate in enumerate(one.meta.get("learning_rates") or (), 1):
        if isinstance(rate, int | float):
            yield epoch, "learning_rate", float(rate)
    selected = int(one.meta.get("selected_epoch") or max(history["epoch"], default=1))
    for metric, value in zip(tables.final["metric"], tables.final["value"], strict=True):
        if "." not in metric:  # of each layer or colour
            yield selected, f"final/{metric}", float(value)


def hyperparameters(cell: Cell, spec: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """What is varied in the cell, by the names of its axes, and the settings of the run, by their paths; long
    lists are left out.
    """
    found: dict[str, str | float | bool] = {}
    for name, value in cell.settings.items():
        found[name] = value if isinstance(value, str | int | float) else text(value)
    waiting: list[tuple[str, Any]] = [(key, value) for key, value in spec.items() if key not in UNMEASURED]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, str | bool) or (isinstance(value, int | float) and math.isfinite(value)):
            found[path] = value
        elif len(short := canonical(value)) <= LONGEST_VALUE:
            found[path] = short
    return found


def _described(one: _Logged) -> str:
    """The run and all its settings, in Markdown."""
    settings = yaml.safe_dump(_plain(one.spec), sort_keys=True, allow_unicode=True, width=100)
    device = one.meta.get("device", "unknown device")
    head = f"**{one.report}**: `{one.cell.name}`, seed {one.seed}; run `{one.run}`, on {device}"
    return "\n".join([head, "", *(f"    {line}" for line in settings.splitlines())])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _seconds(when: Any) -> float:
    """A time of a record in seconds since 1970; 0 where it is none."""
    try:
        return datetime.fromisoformat(str(when)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


# ---- files ----


def _settle(summary: Any) -> None:
    """Write the hyperparameters of a summary in one order, which protobuf leaves open."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = summary.value[0].metadata.plugin_data
    data.content = HParamsPluginData.FromString(data.content).SerializeToString(deterministic=True)


def _records(events: Iterable[Any]) -> bytes:
    """Events in TensorFlow's format of records."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString(deterministic=True))
    return file.getvalue()


def _keep(path: Path, content: bytes) -> None:
    """Write a file unless it is there with this content: a TensorBoard that is open would read it again."""
    if path.is_file() and path.stat().st_size == len(content) and read_bytes(path, len(content)) == content:
        return
    with atomic(path) as partial:
        partial.write_bytes(content)


def _remove_others(folder: Path, kept: set[tuple[str, str]]) -> None:
    """Remove the event files of other runs that an earlier call has written, and folders that are then empty;
    what something else has put there stays.
    """
    for file in folder.glob(f"*/{PREFIX}*"):
        run = file.name.removeprefix(PREFIX)
        if re.fullmatch("[0-9a-f]{12}", run) and (file.parent.name, run) not in kept:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
