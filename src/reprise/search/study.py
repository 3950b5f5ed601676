"""How a study stands: one row per trial, its leaderboard, and what stopping early has saved."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.files import atomic, try_lock
from reprise.reports.layout import CHECKPOINT, LOCK
from reprise.reports.run import Run
from reprise.reports.settings import rung_epochs
from reprise.results.selection import HistoryRow
from reprise.search.asha import accuracies, judged_in_order, read_history, study_of, trial_order
from reprise.training.checkpoint import read_checkpoint
from reprise.training.results import finished

STUDY_COLUMNS = {
    "trial": "int64",
    "run": "object",
    "state": "object",
    "epochs": "Int64",
    "planned_epochs": "int64",
    "rung": "Int64",
    "best_validation_accuracy": "float64",
    "best_epoch": "Int64",
    "best_training_accuracy": "float64",
    "stopped": "object",
    "seconds": "float64",
    "judged_in_order": "boolean",
}
"""Of a study's table, before its settings. `state`: finished, pruned, early stop, diverged (it has ended),
running, waiting. `rung`: the highest it has reached. `stopped`: why it ended, in words. `judged_in_order`:
false where several workers judged it, which cannot be repeated.
"""

ENDED = ("finished", "pruned", "early stop", "diverged")
WIDTH = 120
"""Characters of a line of the leaderboard."""
SHOWN = {"pruned": "stopped"}
"""State → what a reader knows it by."""


def read_study(runs: Sequence[Run], cache: Path, settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per trial, in their order: `STUDY_COLUMNS`, then one column for each setting that varies.

    Parameters
    ----------
    runs: all trials of one study, trained or not.
    cache: folder of run folders.
    settings: run → axis → value, e.g. `Cell.settings`.

    A trial that has not ended shows what its checkpoint holds. Runs of something else and damaged results are
    a `RepriseError`.
    """
    trials = trial_order(runs)
    table = pd.DataFrame(
        [_row(run, Path(cache) / run.hash) for run in trials], columns=list(STUDY_COLUMNS)
    ).astype(STUDY_COLUMNS)
    for axis in dict.fromkeys(axis for run in trials for axis in settings.get(run.hash, {})):
        values = [settings.get(run.hash, {}).get(axis) for run in trials]
        if axis != "trial" and len({repr(value) for value in values}) > 1:
            table[f"{axis} (setting)" if axis in STUDY_COLUMNS else axis] = values
    return table


def _row(run: Run, folder: Path) -> dict[str, Any]:
    study = study_of(run)
    document = finished(folder)
    if document:
        meta, history = document["meta"], read_history(folder)
        state = next((known for known in ENDED if meta["stopped"].startswith(known)), "pruned")
    else:
        meta, history = _checkpoint(folder)
        state = "running" if _locked(folder) else "waiting"
    values = accuracies(history)
    usable = [value for value in values if not math.isnan(value)]
    training_accuracies = [
        row["accuracy"]
        for row in history
        if row["split"] == "train" and not math.isnan(values[row["epoch"] - 1])
    ]
    rungs = rung_epochs(study, len(values))
    return {
        "trial": study.trial,
        "run": run.hash,
        "state": state,
        "epochs": len(values),
        "planned_epochs": run.settings.training.epochs,
        "rung": len(rungs) - 1 if rungs else None,
        "best_validation_accuracy": max(usable, default=math.nan),
        "best_epoch": values.index(max(usable)) + 1 if usable else None,
        "best_training_accuracy": max(training_accuracies, default=math.nan),
        "stopped": meta.get("stopped"),
        "seconds": meta.get("seconds", math.nan),
        "judged_in_order": judged_in_order(meta) if document else None,
    }


def _checkpoint(folder: Path) -> tuple[dict[str, Any], list[HistoryRow]]:
    """Time and history of a run that has not ended; nothing where it has not been saved, or is being saved
    now.
    """
    try:
        state = read_checkpoint(folder / CHECKPOINT)["state"]
        return {"seconds": state["seconds"]}, state["history"]
    except Exception:  # whatever a damaged file makes of the reader: the engine ignores it too
        return {}, []


def _locked(folder: Path) -> bool:
    """Whether a process trains the run."""
    try:
        with (folder / LOCK).open("rb") as file:
            return try_lock(file, shared=True) is False
    except OSError:  # never begun
        return False


def write_study(table: pd.DataFrame, path: Path) -> None:
    """A study's table as CSV, atomically."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


# ---- the leaderboard ----


def leaderboard(table: pd.DataFrame) -> str:
    """A study's trials, the best validation accuracy first, and what its rungs did: lines of text, `WIDTH`
    characters wide.
    """
    ranked = table.sort_values(
        ["best_validation_accuracy", "trial"], ascending=[False, True], na_position="last"
    )
    columns = {
        "trial": [str(trial) for trial in ranked["trial"]],
        "state": [SHOWN.get(state, state) for state in ranked["state"]],
        "epochs": [
            f"{epochs}/{planned}" if epochs else ""
            for epochs, planned in zip(ranked["epochs"], ranked["planned_epochs"], strict=True)
        ],
        "rung": [_text(rung) for rung in ranked["rung"]],
        "best valid.": [_text(value, ".4f") for value in ranked["best_validation_accuracy"]],
        "at epoch": [_text(epoch) for epoch in ranked["best_epoch"]],
        "best train": [_text(value, ".4f") for value in ranked["best_training_accuracy"]],
        **{
            name: [_text(value, ".3g") for value in ranked[name]]
            for name in table.columns
            if name not in STUDY_COLUMNS
        },
    }
    return "\n".join([*_aligned(columns), "", *_summary(table, ranked)])


def _text(value: Any, digits: str = "") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if pd.isna(value):
        return ""
    return format(value, digits) if isinstance(value, float) else str(value)


def _aligned(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Headings, over several lines, and rows; headings' words are broken only as far as the width demands."""
    cells = [max(map(len, column)) for column in columns.values()]
    for longest in range(12, 4, -1):
        headings = [
            [part for word in name.replace("_", " ").split() for part in _broken(word, max(longest, width))]
            for name, width in zip(columns, cells, strict=True)
        ]
        widths = [max(width, *map(len, heading)) for heading, width in zip(headings, cells, strict=True)]
        if sum(widths) + 2 * (len(widths) - 1) <= WIDTH:
            break
    height = max(map(len, headings))
    above = zip(*([""] * (height - len(heading)) + heading for heading in headings), strict=True)
    left = [all(not cell or cell[0].isalpha() for cell in column) for column in columns.values()]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if words else cell.rjust(width)
            for cell, width, words in zip(row, widths, left, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line(row) for row in [*above, *zip(*columns.values(), strict=True)]]


def _broken(word: str, longest: int) -> list[str]:
    """A word over as many lines as it needs, after a dot where it has one."""
    if len(word) <= longest:
        return [word]
    dot = word.rfind(".", 1, longest) + 1
    head = word[:dot] if dot else f"{word[: longest - 1]}-"
    return [head, *_broken(word[dot or longest - 1 :], longest)]


def _summary(table: pd.DataFrame, ranked: pd.DataFrame) -> list[str]:
    ended = table[table["state"].isin(ENDED)]
    counts = [
        f"{(table['state'] == state).sum()} {SHOWN.get(state, state)}"
        for state in (*ENDED, "running", "waiting")
        if (table["state"] == state).any()
    ]
    lines = [f"{len(table)} trials: {', '.join(counts)}"]
    best = ranked.iloc[0]
    if best["best_epoch"] is not pd.NA:
        accuracy = f"{best['best_validation_accuracy']:.4f}"
        lines.append(
            f"best: trial {best['trial']} (run {best['run']}), validation accuracy {accuracy} at epoch "
            f"{best['best_epoch']}"
        )
    pruned = ended[ended["state"] == "pruned"]
    for rung, epoch in sorted(set(zip(pruned["rung"], pruned["epochs"], strict=True))):
        count = (pruned["rung"] == rung).sum()
        lines.append(
            f"stopped at rung {rung} (epoch {epoch}): {count} of {(ended['rung'] >= rung).sum()} that "
            "reached it"
        )
    if len(ended):
        trained, planned = ended["epochs"].sum(), ended["planned_epochs"].sum()
        of = "" if len(ended) == len(table) else " of the trials that have ended"
        lines.append(
            f"{trained} of {planned} epochs{of}: {1 - trained / planned:.0%} saved".replace("%", " %")
        )
    if not ended["judged_in_order"].all():
        lines.append(
            "judged by several workers: which trials end, and where, depends on their pace and cannot be "
            "repeated"
        )
    return lines
