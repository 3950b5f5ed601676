"""Jobs: what is left to do of each shard. A run that has its stamp is finished, whoever made it and in
whatever shard; Snakemake takes the stamp as a file that no rule makes.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from reprise.reports.run import Run
from reprise.workflow.shards import Shard


@dataclass(frozen=True)
class ShardJob:
    """The runs of a shard that one job trains, or evaluates. Its output is the stamp of the `first` alone: a
    rule has the same number of outputs for all its jobs.
    """

    shard: Shard
    first: str
    runs: tuple[str, ...]

    @property
    def members(self) -> list[Run]:
        return [self.shard.runs[run] for run in self.runs]


class Stage:
    """Training, or evaluation: the jobs that are left, and the stamps that say what is there."""

    def __init__(
        self,
        shards: Iterable[Shard],
        stamp: Callable[[str], Path],
        finished: Collection[str],
        started: Collection[str],
    ) -> None:
        """finished: runs that have their stamps. started: runs whose jobs this process was started for; these
        are made even if they are finished in the meantime, and name their jobs, as they do in the process
        that has started this one.
        """
        self._path = cache(lambda run: str(stamp(run)))
        self.jobs: dict[str, ShardJob] = {}
        """Run that is left → its job."""
        for shard in shards:
            left = tuple(run for run in shard.runs if run not in finished or run in started)
            if left:
                first = next((run for run in left if run in started), left[0])
                self.jobs |= dict.fromkeys(left, ShardJob(shard, first, left))

    def stamps(self, runs: Iterable[str]) -> list[str]:
        """The files to wait for before these runs are there: their own stamps, or those of their jobs."""
        names = (self.jobs[run].first if run in self.jobs else run for run in runs)
        return [self._path(name) for name in dict.fromkeys(names)]

    @cached_property
    def pattern(self) -> str:
        """Regular expression of the runs that a rule may make."""
        return "|".join(self.jobs) or "(?!)"
