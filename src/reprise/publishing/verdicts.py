"""The one rule that gives a statement its verdict; `docs/verdicts.md` explains it to readers.

Two sources of noise count: the seeds (standard deviation s, pooled over comparable configurations, Student's
t) and the finite number of test images (binomial, normal quantile). Everything here works on plain numbers;
nothing reads a table.

SciPy is imported where a quantile is asked for: tables and figures without verdicts need not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import numpy as np

Verdict = Literal["reproduced", "differs", "contradicted", "not run"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "differs", "contradicted", "not run")
LEVEL = 0.95
"""Two-sided coverage of every interval."""
UNSTABLE = 0.999
"""A configuration whose variance would exceed this quantile of F, were it like the others, does not enter the
pool.
"""


@dataclass(frozen=True)
class Pool:
    """The scatter of one kind of measure over seeds.

    `variance` (a fraction of the squared value where `relative`) has `freedom` degrees of freedom (infinite
    for a stated default); a configuration whose own variance exceeds `limit` is unstable and judged by its
    own.
    """

    variance: float
    freedom: float
    relative: bool = False
    limit: float = math.inf

    @classmethod
    def of(cls, samples: Iterable[Sequence[float]], default: float, relative: bool = False) -> Pool:
        """Pool the seeds' variances of `samples`, one sequence of values per configuration; `default` is s
        where none has two seeds.
        """
        parts = [part for part in (_variance(values, relative) for values in samples) if part]
        if not default or not parts:
            return cls(default**2, math.inf, relative)
        variances, freedoms = (np.array(column) for column in zip(*parts, strict=True))
        limit = math.inf
        if len(parts) > 2:
            likely = variances * freedoms / _chi_squared(0.5, freedoms)
            typical = (
                float(np.median(likely) or np.quantile(likely[likely > 0], 0.5, method="lower"))
                if likely.any()
                else 0.0
            )
            smallest = freedoms.min()
            if typical > 0:
                limit = typical * _f(UNSTABLE, smallest, freedoms.sum() - smallest)
        stable = variances <= limit
        freedom = float(freedoms[stable].sum())
        return cls(float((variances * freedoms)[stable].sum() / freedom), freedom, relative, limit)

    def spread(self, values: Sequence[float]) -> tuple[float, float, bool]:
        """Variance of one training among those that `values` sample, its degrees of freedom, and whether they
        are unstable.
        """
        size = float(np.mean(values)) ** 2 if self.relative else 1.0
        own = _variance(values, self.relative)
        if own and own[0] > self.limit:
            return own[0] * size, own[1], True
        return self.variance * size, self.freedom, False


def _variance(values: Sequence[float], relative: bool) -> tuple[float, int] | None:
    """Variance of at least two finite values and its degrees of freedom."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    mean = float(np.mean(values))
    if relative and mean == 0:
        return None
    return float(np.var(values, ddof=1)) / (mean**2 if relative else 1.0), len(values) - 1


@dataclass(frozen=True, eq=False)
class Hits:
    """What each test image contributes to a value: `shares` (N,), in the order of the images' numbers
    `images` (N,).
    """

    images: np.ndarray
    shares: np.ndarray

    @classmethod
    def total(cls, terms: Sequence[tuple[float, Hits | None]]) -> Hits | None:
        """Σ coefficient · hits, image by image; None unless all are known, of the same two images or more."""
        known = [(factor, hits) for factor, hits in terms if hits is not None]
        if not known or len(known) < len(terms):
            return None
        images = known[0][1].images
        if len(images) < 2 or any(not np.array_equal(hits.images, images) for _, hits in known):
            return None
        return cls(images, sum((factor * hits.shares for factor, hits in known), np.zeros(len(images))))


@dataclass(frozen=True)
class Estimate:
    """A measured value and its noise: of a metric of one configuration, or of a linear combination of such.

    `draw` is the variance of one further training, `error` that of the mean over seeds, `binomial` that of
    the test images; `hits` holds, by test image, what each contributes to the value (the share of seeds that
    classify it correctly), where known. `scatter` is the standard deviation over the configuration's own `n`
    seeds (not a number for n = 1). `picked` names the run where one was picked among many.
    """

    value: float
    draw: float = 0.0
    error: float = 0.0
    binomial: float = 0.0
    freedom: float = math.inf
    n: int = 1
    scatter: float = math.nan
    unstable: bool = False
    hits: Hits | None = None
    picked: str = ""

    @classmethod
    def of(
        cls, values: Sequence[float], pool: Pool, binomial: float = 0.0, hits: Hits | None = None
    ) -> Estimate:
        """The mean over seeds; `binomial` is the test images' variance of one value."""
        mean, n = float(np.mean(values)), len(values)
        if not math.isfinite(mean):
            return cls(mean, n=n)
        variance, freedom, unstable = pool.spread(values)
        scatter = float(np.std(values, ddof=1)) if n > 1 else math.nan
        return cls(mean, variance, variance / n, binomial, freedom, n, scatter, unstable, hits)

    def noise(self, level: float = LEVEL) -> float:
        """Half-width of the confidence interval of the value: seeds and test images, independent of each
        other.
        """
        return math.hypot(
            _t(self.freedom, level) * math.sqrt(self.error), _t(math.inf, level) * math.sqrt(self.binomial)
        )

    def reach(self) -> float:
        """Half-width of the interval in which one more training is expected, never less than the test images'
        noise.
        """
        seeds = _t(self.freedom) * math.sqrt(self.draw + self.error)
        return max(seeds, _t(math.inf) * math.sqrt(self.binomial * (1 + 1 / self.n)))


# ---- quantiles ----


def _t(freedom: float, level: float = LEVEL) -> float:
    """Of Student's t (of the normal distribution where the degrees of freedom are infinite): the half-width
    of the interval.
    """
    from scipy import special

    return float(special.stdtrit(freedom, (1 + level) / 2))


def _f(share: float, numerator: float, denominator: float) -> float:
    """Of F."""
    from scipy import special

    return float(special.fdtri(numerator, denominator, share))


def _chi_squared(share: float, freedoms: np.ndarray) -> np.ndarray:
    from scipy import special

    return 2 * special.gammaincinv(freedoms / 2, share)


def _range(means: int, freedom: float) -> float:
    """Of the studentized range."""
    from scipy import stats  # a second, for the only quantile that scipy.special lacks

    return float(stats.studentized_range.ppf(LEVEL, means, freedom))


# ---- linear combinations ----


def combine(terms: Sequence[tuple[float, Estimate]], constant: float = 0.0) -> Estimate:
    """The estimate of constant + Σ coefficient · estimate.

    Seeds of different estimates are taken as independent. Accuracies on the same test images are compared
    image by image where their predictions are known; else their binomial variances add up, which is an upper
    bound if networks tend to fail on the same images.
    """
    value = constant + sum(factor * estimate.value for factor, estimate in terms)
    paired = _paired([(factor, estimate) for factor, estimate in terms if estimate.binomial > 0])
    binomial = sum(factor**2 * estimate.binomial for factor, estimate in terms)
    if paired is not None and len(terms) > 1:
        binomial = float(np.var(paired.shares, ddof=1)) / len(paired.shares)
    return Estimate(
        value,
        draw=sum(factor**2 * estimate.draw for factor, estimate in terms),
        error=sum(factor**2 * estimate.error for factor, estimate in terms),
        binomial=binomial,
        freedom=min((estimate.freedom for _, estimate in terms if estimate.draw > 0), default=math.inf),
        n=min((estimate.n for _, estimate in terms), default=1),
        scatter=math.hypot(*(factor * estimate.scatter for factor, estimate in terms)) if terms else math.nan,
        unstable=any(estimate.unstable for _, estimate in terms),
        hits=paired,
        picked=" and ".join(dict.fromkeys(estimate.picked for _, estimate in terms if estimate.picked)),
    )


def effect(levels: Sequence[Sequence[Estimate]]) -> Estimate:
    """How much a factor matters: of the means over each level's configurations, the largest less the
    smallest.

    Configurations are taken as independent, so the noise is that of the difference of two means; but of k
    levels the two extremes are picked, which lie apart even where the factor does nothing. The error is
    therefore widened as in Tukey's honest significant difference: by the quantile of the studentized range of
    k means over that of a difference chosen beforehand (1 for two levels, 1.2 for three).
    """
    means = [combine([(1 / len(level), estimate) for estimate in level]) for level in levels]
    if any(not math.isfinite(mean.value) for mean in means):
        return Estimate(math.nan, n=min(mean.n for mean in means))
    high, low = (choose(range(len(means)), key=lambda place: means[place].value) for choose in (max, min))
    signed = [
        (sign / len(levels[place]), estimate)
        for sign, place in ((1, high), (-1, low))
        for estimate in levels[place]
    ]
    difference = combine(signed)
    widened = (_range(len(levels), difference.freedom) / (math.sqrt(2) * _t(difference.freedom))) ** 2
    return replace(
        difference, error=widened * difference.error, binomial=widened * difference.binomial, hits=None
    )


def _paired(terms: Sequence[tuple[float, Estimate]]) -> Hits | None:
    """Σ coefficient · hits, image by image, if every term knows the hits of the same images."""
    return Hits.total([(factor, estimate.hits) for factor, estimate in terms])


@dataclass(frozen=True)
class Judgement:
    """A verdict and its reason, one sentence. `measured` says what was found, `noise` how far that could be
    off.
    """

    verdict: Verdict
    reason: str
    measured: str = ""
    noise: float = math.nan


def number(value: float, digits: int | None = None) -> str:
    """`value` with so many decimals (by default 4 below 10, else 1)."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.{(4 if abs(value) < 10 else 1) if digits is None else digits}f}"


def decimals(reported: str) -> int:
    """Digits after the point in a number as printed."""
    exponent = Decimal(reported).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def judge_number(reported: str, estimate: Estimate, about: float = 0.0) -> Judgement:
    """Whether the reported number could be one more draw from what our seeds sample.

    Reproduced when it lies inside mean ± (reach + half a unit of its last printed digit + `about`), ends
    included; else differs.
    """
    if not math.isfinite(estimate.value):
        return _not_finite(estimate.picked)
    digits = decimals(reported) + 1
    unit = Decimal(1).scaleb(int(Decimal(reported).as_tuple().exponent))
    width = estimate.reach() + float(unit) / 2 + about
    inside = abs(float(reported) - estimate.value) <= width * (1 + 1e-9) + 1e-12
    where = "inside" if inside else "outside"
    low, high = number(estimate.value - width, digits), number(estimate.value + width, digits)
    what = "where one more training is expected" if estimate.reach() else "as exact as it is printed"
    reason = f"{reported} lies {where} {low} to {high}, {what}{_why(estimate)}."
    return Judgement("reproduced" if inside else "differs", reason, number(estimate.value, digits), width)


def judge_order(left: Estimate, right: Estimate, difference: Estimate, greater: bool = True) -> Judgement:
    """`left > right` (or `<`), with `difference` = left − right: reproduced or contradicted beyond the noise,
    else differs.
    """
    if not math.isfinite(difference.value):
        return _not_finite(difference.picked)
    gap, noise = difference.value, difference.noise()
    a, b, size, limit = number(left.value), number(right.value), number(abs(gap)), number(noise)
    measured = f"{a} {'>' if gap > 0 else '<' if gap < 0 else '='} {b}"
    if abs(gap) <= noise:
        reason = f"the difference of {size} lies inside the noise of {limit}, which proves nothing"
        return Judgement("differs", f"{reason}{_why(difference)}.", measured, noise)
    word = "exceeds" if gap > 0 else "falls short of"
    reason = f"{a} {word} {b} by {size}, more than the noise of {limit}{_why(difference)}."
    return Judgement("reproduced" if (gap > 0) == greater else "contradicted", reason, measured, noise)


def judge_within(left: Estimate, right: Estimate, difference: Estimate, margin: float) -> Judgement:
    """`left within margin of right`: reproduced where the whole interval of the difference lies inside the
    margin.

    Contradicted where the whole interval lies outside, else differs.
    """
    if not math.isfinite(difference.value):
        return _not_finite(difference.picked)
    gap, noise = abs(difference.value), difference.noise()
    verdict: Verdict = "differs"
    where = "may lie on either side of"
    if gap + noise <= margin:
        verdict, where = "reproduced", "stays inside"
    elif gap - noise > margin:
        verdict, where = "contradicted", "exceeds"
    reason = (
        f"the difference of {number(gap)} ± {number(noise)} {where} the margin of "
        f"{margin:g}{_why(difference)}."
    )
    return Judgement(
        verdict, reason, f"{number(left.value)} and {number(right.value)} differ by {number(gap)}", noise
    )


def judge_chance(accuracy: Estimate, chance: float, images: int) -> Judgement:
    """`accuracy at chance`: reproduced where guessing explains it, contradicted where it exceeds chance
    beyond the noise.

    It differs where the test set is too small to tell chance to within half its value, or the seeds scatter
    too much.
    """
    if not math.isfinite(accuracy.value):
        return _not_finite(accuracy.picked)
    guessing = _t(math.inf) * math.sqrt(chance * (1 - chance) / images)
    noise = max(guessing, accuracy.noise())
    value, excess = number(accuracy.value), accuracy.value - chance
    measured = f"{value}, chance {number(chance)}"
    if excess > noise:
        reason = (
            f"{value} exceeds chance by {number(excess)}, more than the noise of "
            f"{number(noise)}{_why(accuracy)}."
        )
        return Judgement("contradicted", reason, measured, noise)
    if excess > guessing:
        reason = (
            f"{value} is more than guessing gives, but its noise is {number(noise)}, which proves "
            f"nothing{_why(accuracy)}."
        )
        return Judgement("differs", reason, measured, noise)
    if guessing > chance / 2:
        reason = f"{images} test images tell chance only to ± {number(guessing)}, which proves nothing."
        return Judgement("differs", reason, measured, guessing)
    return Judgement(
        "reproduced",
        f"{value} is what guessing gives, {number(chance)} ± {number(guessing)}.",
        measured,
        guessing,
    )


def judge_best(cells: Mapping[str, Estimate], named: Sequence[str], largest: bool = True) -> Judgement:
    """Whether one of the `named` cells is the best of all: it must beat every other beyond the noise.

    Contradicted where another beats every named one beyond the noise, at a level corrected (Bonferroni) for
    the number of others.
    """
    if any(not math.isfinite(estimate.value) for estimate in cells.values()):
        return _not_finite()
    sign, best, better = (1.0, "largest", "larger") if largest else (-1.0, "smallest", "smaller")
    ranked = sorted(cells, key=lambda name: -sign * cells[name].value)
    claimed = next(name for name in ranked if name in named)
    leads = {
        name: combine([(sign, cells[claimed]), (-sign, cells[name])]) for name in ranked if name not in named
    }
    measured = f"{best} is {ranked[0]} ({number(cells[ranked[0]].value)})"
    if ranked[0] != claimed:
        measured += f", {claimed} has {number(cells[claimed].value)}"
    corrected = 1 - (1 - LEVEL) / len(leads)
    rival, behind = max(leads.items(), key=lambda item: -item[1].value - item[1].noise(corrected))
    if -behind.value > behind.noise(corrected):
        noise = behind.noise(corrected)
        reason = (
            f"{rival} is {better} than {claimed} by {number(-behind.value)}, more than the noise of "
            f"{number(noise)}{_why(behind)}."
        )
        return Judgement("contradicted", reason, measured, noise)
    rival, lead = min(leads.items(), key=lambda item: item[1].value - item[1].noise())
    noise = lead.noise()
    if lead.value > noise:
        beyond = f"by {number(lead.value)}, more than the noise of {number(noise)}{_why(lead)}"
        reason = f"{claimed} is {better} than all others, than {rival} {beyond}."
        return Judgement("reproduced", reason, measured, noise)
    reason = (
        f"{claimed} and {rival} differ by {number(abs(lead.value))}, which the noise of "
        f"{number(noise)} leaves open{_why(lead)}."
    )
    return Judgement("differs", reason, measured, noise)


def judge_spread(
    wider: Sequence[Sequence[float]], steadier: Sequence[Sequence[float]], relative: bool = False
) -> Judgement:
    """Whether the seeds of the configurations `wider` scatter more than those of `steadier`, by the F test on
    their pooled variances.

    Each configuration is given by its values over seeds. Reproduced where the ratio of variances is beyond
    the upper end of the interval that equal scatter would give, contradicted where it is below the lower end.
    """
    if not all(math.isfinite(value) for values in [*wider, *steadier] for value in values):
        return _not_finite()
    (a, of_a), (b, of_b) = (
        _pooled([part for values in side if (part := _variance(values, relative))])
        for side in (wider, steadier)
    )
    if not of_a or not of_b:
        return Judgement(
            "not run", "a spread over seeds needs a configuration with two trained seeds on each side."
        )
    left, right = (
        f"{100 * math.sqrt(part):.1f} %" if relative else number(math.sqrt(part)) for part in (a, b)
    )
    measured = f"spread {left} {'>' if a > b else '<' if a < b else '='} {right}"
    low, high = (_f((1 + side * LEVEL) / 2, of_a, of_b) for side in (-1, 1))
    verdict: Verdict = "differs"
    if a > high * b:
        verdict = "reproduced"
    elif a < low * b:
        verdict = "contradicted"
    ratio = number(math.sqrt(a / b), 2) if b else "without bound"
    where = "inside" if verdict == "differs" else "outside"
    bounds = f"{number(math.sqrt(low), 2)} to {number(math.sqrt(high), 2)}"
    proves = ", which proves nothing" if verdict == "differs" else ""
    reason = (
        f"the ratio of the two, {ratio}, lies {where} {bounds}, where equal scatter would put it "
        f"({of_a} and {of_b} degrees of freedom)"
    )
    return Judgement(verdict, f"{reason}{proves}.", measured)


def _pooled(parts: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """Variance pooled from (variance, degrees of freedom), and its own degrees of freedom."""
    freedom = sum(own for _, own in parts)
    return (sum(variance * own for variance, own in parts) / freedom if parts else math.nan), freedom


def judge_all(parts: Sequence[tuple[str, Judgement]]) -> Judgement:
    """A claim's relations and their judgements: contradicted if one is, else not run if one is, reproduced if
    all are, else differs.
    """
    if len(parts) == 1:
        return parts[0][1]
    verdicts = {judgement.verdict for _, judgement in parts}
    verdict: Verdict = "reproduced" if verdicts == {"reproduced"} else "differs"
    for decisive in ("not run", "contradicted"):
        if decisive in verdicts:
            verdict = decisive
    reason = "; ".join(f"{relation}: {judgement.reason.rstrip('.')}" for relation, judgement in parts) + "."
    return Judgement(verdict, reason, "; ".join(judgement.measured or "not run" for _, judgement in parts))


def _not_finite(picked: str = "") -> Judgement:
    """Of a diverged run, or of a setting that the picked run does not have."""
    why = f" (picked: {picked})" if picked else ""
    return Judgement(
        "differs", f"a measured value is absent or not finite, so it agrees with nothing{why}.", "not finite"
    )


def _why(estimate: Estimate) -> str:
    """What the noise rests on, where a reader would wonder."""
    if estimate.picked:
        return (
            f" (picked: {estimate.picked}; one training shows no scatter, so a stated default stands for it)"
        )
    if estimate.unstable:
        return " (these seeds scatter more than the report's others, so only their own scatter counts)"
    if math.isinf(estimate.freedom) and estimate.draw > 0:
        return " (no configuration has two seeds, so their scatter is a stated default)"
    return ""
