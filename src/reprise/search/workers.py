"""Several workers on one study: processes, on one machine or a cluster, that share a results folder.

Each takes the first trial that is neither finished nor taken and judges it by what all workers have written
to one journal (Optuna's `JournalStorage`) by then. Which trials end, and where, so depends on the workers'
pace and cannot be repeated; `run.json` says so (`meta.judged_in_order` is false). A trial is taken as long as
its worker holds a lock on a file in its folder, which the system releases with the process, however it ends;
whoever takes it next goes on from its checkpoint.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, gist
from reprise.files import UNSYNCED, can_link, check_regular, make_folder, open_lock, try_lock
from reprise.records import seal, unseal
from reprise.reports.run import Run
from reprise.reports.settings import rung_epochs
from reprise.results.selection import HistoryRow
from reprise.search.asha import (
    Halving,
    accuracies,
    load_optuna,
    read_history,
    study_of,
    trial_order,
)
from reprise.training.engine import RunResult, remove_leftovers, train
from reprise.training.results import finished

STALE_LOCK_S = 30
"""After so many seconds the lock of a journal that nobody writes to is taken for that of a killed worker."""


def _checked(journal: Any) -> Any:
    """An Optuna journal whose lines each carry a digest of their content, by which a damaged one is known (a
    `ValueError`).
    """
    append, read = journal.append_logs, journal.read_logs

    def append_logs(logs: list[dict[str, Any]]) -> None:
        try:
            append([seal(log) for log in logs])
        except OSError as error:  # they are written, and could not be flushed
            if error.errno not in UNSYNCED:
                raise

    def read_logs(log_number_from: int) -> Iterator[dict[str, Any]]:
        return map(unseal, read(log_number_from))

    journal.append_logs, journal.read_logs = append_logs, read_logs
    return journal


class JournalPruner:
    """Judges trials by all that is known when they are judged: finished trials from `cache`, running ones
    from `journal`.

    Parameters
    ----------
    runs: all trials of one study.
    journal: the file that its workers share. Every attempt at a trial is an Optuna trial of its own, with the
        attempt's accuracies and the last rung that it `passed`: a trial taken up again is not judged anew
        where it was let go on.
    """

    in_order = False

    def __init__(self, runs: Sequence[Run], cache: Path, journal: Path) -> None:
        self._trials, self._cache = trial_order(runs), Path(cache)
        self._path = Path(
            journal
        ).resolve()  # the lock is a link to this path, and would point nowhere from a relative one
        optuna = load_optuna()
        if self._path.exists():
            check_regular(self._path)
        make_folder(self._path.parent)
        open_lock(self._path).close()  # one that Optuna makes is not open to the group that shares the folder
        with self._readable():
            kinds = optuna.storages.journal
            lock_of = kinds.JournalFileSymlinkLock
            if not can_link(self._path.parent):
                lock_of = kinds.JournalFileOpenLock
            lock = lock_of(str(self._path), STALE_LOCK_S)
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(
                    _checked(optuna.storages.journal.JournalFileBackend(str(self._path), lock))
                ),
                sampler=optuna.samplers.RandomSampler(seed=0),
                study_name=self._trials[0].hash,
                direction="maximize",
                load_if_exists=True,
            )
        self._run, self._epoch, self._passed = "", 0, 0
        self._attempt: Any = None

    def stop(self, run: Run, history: Sequence[HistoryRow]) -> str | None:
        """Why `run` ends after the last epoch of its `history`; None: it goes on. See
        `reprise.training.engine.Pruner`.
        """
        values, study = accuracies(history), study_of(run)
        with self._readable():
            if self._run != run.hash or self._epoch >= len(values):
                self._passed = max(
                    (attempt.user_attrs.get("passed", 0) for attempt in self._attempts(run)), default=0
                )
                self._run, self._epoch, self._attempt = run.hash, 0, self._study.ask()
                self._attempt.set_user_attr("run", run.hash)
                self._attempt.set_user_attr("trial", study.trial)
            for epoch in range(self._epoch + 1, len(values) + 1):
                self._attempt.report(values[epoch - 1], epoch)
            self._epoch = len(values)
            if self._epoch not in rung_epochs(study, self._epoch) or self._epoch <= self._passed:
                return None
            halving = Halving(study)
            for other in self._trials:
                if other != run:
                    halving.begin()
                    for value in self._recorded(other):
                        halving.report(value)
            halving.begin()
            reason = [halving.report(value) for value in values][-1]
            if not reason:
                self._attempt.set_user_attr("passed", self._epoch)
            return reason

    def _attempts(self, run: Run) -> list[Any]:
        return [
            attempt
            for attempt in self._study.get_trials(deepcopy=False)
            if attempt.user_attrs.get("run") == run.hash
        ]

    def _recorded(self, run: Run) -> list[float]:
        """Accuracy by epoch, as far as it is known."""
        folder = self._cache / run.hash
        if finished(folder):
            return accuracies(read_history(folder))
        attempts = [attempt.intermediate_values for attempt in self._attempts(run)]
        longest: dict[int, float] = max(attempts, key=len, default={})
        return [longest[epoch] for epoch in sorted(longest)]

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError) as error:
            # what Optuna makes of lines that are cut short or mixed up
            remedy = "stop the workers, delete it and start them again (finished trials and epochs are kept)"
            raise RepriseError(
                f"{self._path}: not a journal that Optuna can read ({type(error).__name__}: {gist(error)}); "
                f"{remedy}"
            ) from None


def take_trials(runs: Sequence[Run], cache: Path) -> Iterator[Run]:
    """The trials for one worker, one at a time: each time the first that is not finished and that no other
    worker holds.

    A trial is held until the next one is asked for. It ends when nothing is left to take, though others may
    still be at work.
    """
    trials, taken = trial_order(runs), set()
    while True:
        for run in trials:
            folder = Path(cache) / run.hash
            if run.hash in taken:
                continue
            if finished(folder):
                remove_leftovers(folder)
                continue
            with _held(folder) as mine:
                if mine and not finished(folder):
                    taken.add(run.hash)
                    yield run
                    break
        else:
            return


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold a trial, unless another worker does. Not its run's own lock: the engine takes that one."""
    make_folder(folder)
    with open_lock(folder / ".worker") as file:
        locked = try_lock(file)
        if locked is None:
            raise RepriseError(
                f"{folder}: this file system has no locks, so workers cannot share a study; train it with one"
            )
        yield locked


def work(runs: Sequence[Run], *, cache: Path, journal: Path, **options: Any) -> list[RunResult]:
    """Train, as one of several workers, the trials of a study that nobody has finished or taken.

    `options` are those of `reprise.training.engine.train`. A trial that fails stops no other; the first
    failure is raised at the end.
    """
    pruner = JournalPruner(runs, cache, journal)
    results: list[RunResult] = []
    failures: list[RepriseError] = []
    for run in take_trials(runs, cache):
        try:
            results += train([run], cache=cache, pruner=pruner, **options)
        except RepriseError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return results
