"""How many CPU threads a run's steps get: as many as pay, which on a shared machine is often one.

Threads of one step wait for each other after every operation. Where a core belongs to somebody else for a
moment, all wait for it: two threads were 3 to 13 times slower than one on shared machines, and on free ones
they are slower where a network is small.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from reprise.reports.run import Run, canonical

PAYS = 0.9
"""A step with twice the threads must take at most this share of the time; otherwise the other cores are
better left to other work.
"""
LEAST_STEPS, MOST_STEPS, SECONDS = 3, 20, 0.3
"""Steps that are timed with each number of threads: three, and more until the time is up."""


@dataclass
class ThreadChoice:
    """How many threads the runs of one list get: at most `most`; with `exact` always as many."""

    most: int
    exact: bool
    known: dict[str, int] = field(default_factory=dict)
    """What was found for runs whose steps cost the same."""

    def use(
        self,
        run: Run,
        image_shape: tuple[int, int, int],
        begun_with: int,
        trial: Callable[[], Callable[[], object]],
        say: Callable[[str], None],
    ) -> int:
        """Set torch's number of threads for `run` and return it.

        begun_with: what its checkpoint says, so that its sums are rounded as before; 0: it has none.
        trial: makes a step that is tried with different numbers, on a copy of the network, so that the run
            itself is made with one number of threads from its first step on.
        """
        threads = self.most
        if begun_with:
            if not self.exact:
                threads = min(begun_with, self.most)
            if threads != begun_with:
                begun = f"begun with {begun_with} threads and goes on with {threads}"
                say(f"run {run.hash} was {begun}: rounding may differ from that of a run in one piece")
        elif not self.exact and self.most > 1:
            settings = run.settings
            costly = [settings.model, settings.optimizer, settings.augmentation]
            key = canonical([*costly, settings.training.batch_size, image_shape])
            if key not in self.known:
                torch.set_num_threads(self.most)
                with torch.random.fork_rng(devices=[]):
                    self.known[key], paces = fastest_threads(trial(), self.most)
                tried = ", ".join(f"{1e3 * seconds:.1f} ms with {count}" for count, seconds in paces.items())
                say(f"run {run.hash}: {self.known[key]} of {self.most} threads (a step takes {tried})")
            threads = self.known[key]
        torch.set_num_threads(threads)
        return threads


def fastest_threads(step: Callable[[], object], most: int) -> tuple[int, dict[int, float]]:
    """The number of threads, at most `most`, with which `step` is fast, and the seconds of a step with each
    number tried.

    One thread is tried first, then twice as many as long as that pays, `most` last. The number of torch's
    threads is left at the answer.
    """
    paces: dict[int, float] = {}
    chosen = candidate = 1
    while True:
        paces[candidate] = _pace(step, candidate)
        if candidate > 1 and paces[candidate] > PAYS * paces[chosen]:
            break
        chosen = candidate
        if candidate >= most:
            break
        candidate = min(2 * candidate, most)
    torch.set_num_threads(chosen)
    return chosen, paces


def _pace(step: Callable[[], object], threads: int) -> float:
    """Median seconds of `step` with as many threads, the first one not counted."""
    torch.set_num_threads(threads)
    step()
    times: list[float] = []
    while len(times) < LEAST_STEPS or (len(times) < MOST_STEPS and sum(times) < SECONDS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
