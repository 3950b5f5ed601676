"""Whether a run that was trained once more has found what the cached one says: bit for bit on a processor of
the same kind, within the scatter of seeds on another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import numpy as np

from reprise.publishing.measures import OWN_METRICS
from reprise.publishing.numbers import number
from reprise.results.entry import Entry

KIND = ("device", "torch", "dtype", "threads")
"""What two trainings must have in common, by their `meta`, to have the same bits."""
METRIC = "accuracy"
"""Of the test images: what is compared where bits may differ."""
DEVIATIONS = 3.0
"""By how many standard deviations of a difference between two seeds two trainings of one run may differ."""


@dataclass(frozen=True)
class Comparison:
    """Whether two results of one run agree, and how, or how not, in words that follow its name."""

    agrees: bool
    words: str


def same_kind(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether trainings with these `meta` were computed alike: by processors of one name, with one version of
    torch, in one precision, by as many threads.
    """
    return all(one.get(key) == other.get(key) for key in KIND)


def compare(here: Entry, there: Entry, others: Sequence[float] = ()) -> Comparison:
    """The result `here`, trained again, beside the cached one; both are evaluated.

    others: test accuracies that the cache has of the other seeds of the same configuration.
    """
    if here.same_result(there):
        return Comparison(True, "agrees bit for bit")
    mine, theirs = here.final[METRIC], there.final[METRIC]
    if same_kind(here.meta, there.meta):
        kind = f"on a processor of the same kind ({there.meta['device']}, torch {there.meta['torch']})"
        shown = f"test accuracy {number(mine)} here, {number(theirs)} there"
        return Comparison(False, f"DISAGREES: {difference(here, there)}, {kind}; {shown}")
    scatter = seed_scatter(others)
    limit = DEVIATIONS * math.sqrt(2) * scatter
    found = f"{number(mine)} here, {number(theirs)} there, scatter {number(scatter)}"
    if abs(mine - theirs) <= limit:
        return Comparison(True, f"agrees within the seeds' scatter: {found}")
    return Comparison(False, f"DISAGREES: {found}; seeds differ by at most {number(limit)}")


def seed_scatter(others: Sequence[float]) -> float:
    """The standard deviation of test accuracy over seeds: that of the other seeds where there are two or
    more, but never less than the stated one, since two or three seeds are now and then alike by chance.
    """
    stated = OWN_METRICS[METRIC].deviation
    return max(stated, stdev(others)) if len(others) > 1 else stated


def difference(here: Entry, there: Entry) -> str:
    """The first thing in which two results of one run differ, in the order in which they were computed."""
    for mine, theirs in zip(here.history, there.history, strict=False):
        epoch, split = mine[:2]
        if mine[:2] != theirs[:2]:
            return f"other epochs or splits from epoch {epoch} on"
        for name, left, right in zip(("loss", "accuracy"), mine[2:], theirs[2:], strict=True):
            if not _same(left, right):
                return f"{split} {name} of epoch {epoch} is {left:.17g} here, {right:.17g} there"
    if len(here.history) != len(there.history):
        epochs = [max(epoch for epoch, *_ in one.history) for one in (here, there)]
        return f"{epochs[0]} epochs here, {epochs[1]} there"
    for name in dict.fromkeys([*here.final, *there.final]):
        left, right = here.final.get(name, math.nan), there.final.get(name, math.nan)
        if not _same(left, right):
            return f"{name} is {left:.17g} here, {right:.17g} there"
    assert here.predicted is not None
    others = here.predicted != np.asarray(there.predicted)
    return f"{np.count_nonzero(others)} of {len(here.predicted)} predictions of the test images are others"


def _same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))
