"""How many CPU threads a run's steps get: as many as pay, which on a shared machine is often one.

Threads of one step wait for each other after every operation. Where a core belongs to somebody else for a
moment, all wait for it: two threads were 3 to 13 times slower than one on shared machines, and on free ones
they are slower where a network is small.
"""

import statistics
import time
from collections.abc import Callable

import torch

PAYS = 0.9
"""A step with twice the threads must take at most this share of the time; otherwise the other cores are
better left to other work.
"""
LEAST_STEPS, MOST_STEPS, SECONDS = 3, 20, 0.3
"""Steps that are timed with each number of threads: three, and more until the time is up."""


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
