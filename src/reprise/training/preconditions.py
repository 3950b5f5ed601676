"""What must hold before a list of runs is trained, so that no work is done in vain."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from reprise.data.catalog import weights_facts
from reprise.errors import RepriseError
from reprise.reports.layout import RUN
from reprise.reports.run import Run


def parents_first(runs: Sequence[Run]) -> list[Run]:
    """Each run once, in the given order, but after those that it follows."""
    by_hash = {run.hash: run for run in runs}
    ordered: dict[str, Run] = {}

    def place(run: Run) -> None:
        if run.hash not in ordered:
            for name in run.follows:
                if name in by_hash:
                    place(by_hash[name])
            ordered[run.hash] = run

    for run in by_hash.values():
        place(run)
    return list(ordered.values())


def check_pretrained(runs: Iterable[Run], weights_dir: Path | None) -> None:
    """Raise a `RepriseError` for pretrained weights that are missing."""
    for run in runs:
        if run.pretrained:
            path = Path(weights_dir or "") / weights_facts(run.pretrained).file_name
            if not path.is_file():
                remedy = f"run python -m reprise data fetch-weights {run.pretrained} (or set mirror)"
                raise RepriseError(f"{path}: not found; {remedy}")


def check_trials(runs: Iterable[Run]) -> None:
    """Raise a `RepriseError` for a trial: without a pruner it would go on where its study ends it."""
    for run in runs:
        if run.settings.study:
            raise RepriseError(
                f"run {run.hash} is a trial of a study and no pruner is given; train it with python -m "
                "reprise train"
            )


def check_predecessors(
    pending: Iterable[Run], ordered: Sequence[Run], cache: Path, *, trials_wait: bool
) -> None:
    """Raise a `RepriseError` for a run that follows one that is neither in the list nor finished.

    trials_wait: whether a trial follows the trial before it; workers on one study wait for nobody.
    """
    here = {run.hash for run in ordered}
    for run in pending:
        names = run.follows if trials_wait else filter(None, [run.parent])
        for name in names:
            if name not in here and not (cache / name / RUN).exists():
                raise RepriseError(
                    f"run {run.hash} follows run {name}, which has no result in {cache}; train it first"
                )
