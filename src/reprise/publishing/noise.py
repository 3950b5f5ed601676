"""How far a measured value could be off: the scatter over seeds, carried through any expression by draws.

A quantity of one configuration is known from its values over n seeds. What training it again would give is
drawn from Student's t with a moderated variance (Smyth 2004): that of the configuration, shrunk towards the
typical one. Draws, instead of a formula for each relation, are the Monte Carlo method of JCGM 101:2008.
Everything here works on plain numbers.

SciPy is imported where a quantile is asked for: tables and figures without verdicts need not wait for it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

DRAWS = 10_000
"""Draws of each quantity. They are stratified; a share of a difference of two is good to about .002."""
STATED_FREEDOM = 4.0
"""Degrees of freedom that the stated standard deviation of a metric counts as."""
TYPICAL_FREEDOM = 8.0
"""Degrees of freedom, at most, that the typical variance counts as beside a configuration's own."""
UNSTABLE = 0.999
"""A configuration whose variance would exceed this quantile of F, were it like the others, is unstable."""


@dataclass(frozen=True)
class Typical:
    """What is known of one kind of quantity before a configuration's own seeds are looked at.

    variance: of one training, in squared units of the quantity's scale; 0 if seeds do not change it.
    freedom: degrees of freedom that it counts as.
    """

    variance: float
    freedom: float = STATED_FREEDOM

    @classmethod
    def of(cls, samples: Iterable[tuple[float, int]], stated: float) -> Typical:
        """From (variance, degrees of freedom) of each configuration, and the standard deviation `stated`.

        Configurations that scatter far more than most stay out, and so do those that do not scatter at all:
        where every seed collapsed, nothing is learnt of the others.
        """
        if stated == 0:
            return cls(0.0)
        known = [(variance, freedom) for variance, freedom in samples if freedom > 0 and variance > 0]
        limit = _limit(known)
        stable = [(variance, freedom) for variance, freedom in known if variance <= limit]
        freedoms = sum(freedom for _, freedom in stable)
        total = STATED_FREEDOM * stated**2 + sum(variance * freedom for variance, freedom in stable)
        freedom = STATED_FREEDOM + freedoms
        return cls(total / freedom, min(TYPICAL_FREEDOM, freedom))

    def margin(self, one: int, other: int) -> float:
        """Half-width of the interval in which 95 % of differences between means of so many trainings lie that
        differ by their seeds alone, in units of the quantity's scale.
        """
        return math.sqrt(self.variance * (1 / one + 1 / other)) * float(-_t(self.freedom)[250])

    def moderated(self, variance: float, freedom: int) -> tuple[float, float]:
        """A configuration's variance, shrunk towards the typical one, and its degrees of freedom."""
        if math.isinf(self.freedom):
            return self.variance, self.freedom
        both = self.freedom + freedom
        return (self.freedom * self.variance + freedom * variance) / both, both

    def unstable(self, variance: float, freedom: int) -> bool:
        """Whether a configuration scatters more than one that is like the others could."""
        return freedom > 0 and variance > self.variance * _f_quantile(freedom, self.freedom) > 0


def _limit(known: Sequence[tuple[float, int]]) -> float:
    """Of the variances of configurations that are like most; the median says what most are like."""
    if len(known) < 3:
        return math.inf
    from scipy import special

    variances, freedoms = (np.array(column, dtype=float) for column in zip(*known, strict=True))
    likely = variances * freedoms / (2 * special.gammaincinv(freedoms / 2, 0.5))
    smallest = freedoms.min()
    return float(np.median(likely)) * _f_quantile(smallest, freedoms.sum() - smallest)


def _f_quantile(numerator: float, denominator: float) -> float:
    from scipy import special

    return float(special.fdtri(numerator, denominator, UNSTABLE))


def variance_of(values: Sequence[float], scale: float = 1.0) -> tuple[float, int]:
    """Variance of the finite values in units of `scale`, and its degrees of freedom."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or scale == 0:
        return 0.0, 0
    return float(np.var(finite, ddof=1)) / scale**2, len(finite) - 1


@dataclass(frozen=True)
class Sample:
    """A quantity of one configuration: its values over seeds, and what is known of their scatter.

    values: one per seed; infinite where a training diverged. typical: in units of `scale`. low, high: its
    bounds. key: what its draws depend on: the same key gives the same draws.
    """

    values: Sequence[float]
    typical: Typical
    scale: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    key: str = ""

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def scatter(self) -> float:
        """Standard deviation over the seeds; not a number for one seed, or where one diverged."""
        known = self.n > 1 and all(math.isfinite(value) for value in self.values)
        return float(np.std(self.values, ddof=1)) if known else math.nan

    @cached_property
    def unstable(self) -> bool:
        """Whether trainings come out in more than one way: one of them collapsed or diverged, say."""
        if self.typical.variance == 0:
            return False
        finite = [math.isfinite(value) for value in self.values]
        mixed = any(finite) and not all(finite)
        return mixed or self.typical.unstable(*variance_of(self.values, self.scale))

    @property
    def error(self) -> float:
        """Standard error of the average over the seeds."""
        variance, _ = self.typical.moderated(*variance_of(self.values, self.scale))
        return self.scale * math.sqrt(variance / self.n)

    @property
    def reach(self) -> float:
        """Half-width of the interval in which one of the ways that trainings come out would be expected."""
        return self.scale * self.typical.margin(1, 1)

    def averages(self) -> np.ndarray:
        """Draws (1, DRAWS) of its average over many trainings, as the seeds at hand let expect it."""
        return self._averages

    @cached_property
    def _averages(self) -> np.ndarray:  # which many claims ask for
        return self._drawn(0.0, math.inf)

    def trainings(self, of: int = 1) -> np.ndarray:
        """Draws (1, DRAWS) of the mean of so many further trainings."""
        return self._drawn(1 / of, of)

    def _drawn(self, further: float, of: float) -> np.ndarray:
        if self.typical.variance == 0 or not any(math.isfinite(value) for value in self.values):
            return np.full((1, DRAWS), self.mean)
        generator = generator_of(f"{self.key}/{of}")
        if self.unstable:
            centre, variance, freedom = (
                self._mixed(generator, of),
                self.typical.variance,
                self.typical.freedom,
            )
        else:
            centre = np.array(self.mean)
            variance, freedom = self.typical.moderated(*variance_of(self.values, self.scale))
        error = self.scale * math.sqrt(variance * (further + 1 / self.n)) * generator.permutation(_t(freedom))
        return np.clip(centre + error, self.low, self.high)[None]

    def _mixed(self, generator: np.random.Generator, of: float) -> np.ndarray:
        """The ways that trainings came out, weighted anew in each draw (a Bayesian bootstrap); infinite where
        most diverge.
        """
        weights = generator.dirichlet(np.ones(self.n), DRAWS)
        if math.isfinite(of):
            weights = generator.multinomial(int(of), weights) / of
        values = np.array(self.values)
        finite = np.isfinite(values)
        kept = weights[:, finite].sum(axis=1)
        mean = weights[:, finite] @ values[finite] / np.where(kept, kept, 1)
        lost = math.inf if finite.all() else values[~finite][0]
        return np.where(kept > 0.5, mean, lost)


@cache
def _t(freedom: float) -> np.ndarray:
    """Student's t at the middles of `DRAWS` equal shares, in order."""
    from scipy import special

    found: np.ndarray = special.stdtrit(freedom, (np.arange(DRAWS) + 0.5) / DRAWS)
    return found


def generator_of(key: str) -> np.random.Generator:
    """The random numbers of a key, which no other statement and no other order of them changes."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


@dataclass(frozen=True)
class Search:
    """The trials of a search, of which the best by validation accuracy is picked.

    scores: validation accuracy of each trained trial. noise: scatter of such a score over seeds. included:
    places of the trials that every such search has; the others are drawn. key: as in `Sample`; quantities of
    one search with one key are of the same winner.
    """

    scores: Sequence[float]
    noise: float
    key: str = ""
    included: Sequence[int] = ()

    @property
    def winners(self) -> np.ndarray:
        """Places (DRAWS,) of the winners of searches of this size, whose trials are drawn again from these
        and trained again.
        """
        return self._drawn[0]

    @property
    def moved(self) -> np.ndarray:
        """How far the accuracy of each winner (DRAWS,) lies from that of the trial that it was drawn from."""
        return self._drawn[1]

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """A smoothed bootstrap: other searches draw trials between these and a little beyond them."""
        generator = generator_of(self.key)
        size = len(self.scores)
        drawn = [place for place in range(size) if place not in self.included]
        trials, moved = np.tile(np.arange(size), (DRAWS, 1)), np.zeros((DRAWS, size))
        if drawn:
            trials[:, drawn] = generator.choice(drawn, size=(DRAWS, len(drawn)))
            width = _bandwidth(np.array(self.scores)[drawn])
            moved[:, drawn] = width * generator.standard_normal((DRAWS, len(drawn)))
        error = self.noise * generator.standard_normal((DRAWS, size))
        best = (np.array(self.scores)[trials] + moved + error).argmax(axis=1)
        every = np.arange(DRAWS)
        return trials[every, best], moved[every, best]


def _bandwidth(values: np.ndarray) -> float:
    """Silverman's (1986, equation 3.31) of a kernel density estimate."""
    if len(values) < 3:
        return 0.0
    low, high = np.quantile(values, (0.25, 0.75))
    return float(0.9 * min(np.std(values, ddof=1), (high - low) / 1.349) * len(values) ** -0.2)


def deviations(
    wider: Sequence[tuple[float, int]], steadier: Sequence[tuple[float, int]], key: str
) -> np.ndarray:
    """Draws (1, DRAWS) of the ratio of two standard deviations over seeds, each pooled from (variance,
    degrees of freedom). No typical variance is added: that they are alike is what is in question.
    """
    generator = generator_of(key)
    sides = []
    for parts in (wider, steadier):
        freedom = sum(own for _, own in parts)
        pooled = sum(variance * own for variance, own in parts)
        sides.append(pooled / generator.chisquare(freedom, DRAWS))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.sqrt(sides[0] / sides[1])[None]
    return found


@dataclass(frozen=True, eq=False)
class ResampledImages:
    """Test images drawn again: `weights` (B, N), how often each of N images is drawn in each of B samples."""

    count: int
    samples: int = 1000
    key: str = field(default="images")

    @cached_property
    def weights(self) -> np.ndarray:
        generator = generator_of(f"{self.key}/{self.count}")
        return generator.poisson(1.0, (self.samples, self.count)).astype(np.float32)

    def mean(self, hits: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
        """Deviation (B,) of the mean of `hits` (N,) over the `chosen` images (all) from that of these."""
        counted = np.ones(self.count, np.float32) if chosen is None else chosen.astype(np.float32)
        values = hits.astype(np.float32) * counted
        total = self.weights @ counted
        found: np.ndarray = (self.weights @ values) / np.where(total, total, 1) - values.sum() / counted.sum()
        return found.astype(float)
