import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from reprise.publishing.verdicts import (
    Estimate,
    Hits,
    Judgement,
    Pool,
    combine,
    decimals,
    effect,
    judge_all,
    judge_best,
    judge_chance,
    judge_number,
    judge_order,
    judge_spread,
    judge_within,
    number,
)

Z = 1.959964
T2, T4, T24 = 4.302653, 2.776445, 2.063899  # two-sided 95 % of Student's t, from a printed table
NONE = Pool(0.0, math.inf)


def greater(a, b):
    return judge_order(a, b, combine([(1, a), (-1, b)])).verdict


def within(a, b, margin):
    return judge_within(a, b, combine([(1, a), (-1, b)]), margin).verdict


def one(value, deviation=0.01, binomial=0.0, hits=None):
    return Estimate.of([value], Pool(deviation**2, math.inf), binomial, hits)


# ---- pooling ----


def test_pool_weights_variances_by_their_degrees_of_freedom():
    pool = Pool.of([[1.0, 3.0], [1.0, 2.0, 3.0], [5.0]], default=9.0)
    assert pool.variance == pytest.approx((2.0 * 1 + 1.0 * 2) / 3)  # variances 2 and 1
    assert pool.freedom == 3


def test_pool_of_one_configuration_is_its_own_deviation():
    pool = Pool.of([[0.48, 0.49, 0.50]], default=0.1)
    assert (pool.variance, pool.freedom) == (pytest.approx(1e-4), 2)


def test_without_two_seeds_the_default_holds():
    pool = Pool.of([[0.4], [0.5], []], default=0.005)
    assert (pool.variance, pool.freedom) == (0.005**2, math.inf)


def test_a_metric_that_no_seed_moves_is_never_pooled():
    assert Pool.of([[1.0, 2.0], [1.0, 3.0]], default=0.0) == Pool(0.0, math.inf)


def test_relative_scatter_grows_with_the_value():
    pool = Pool.of([[9.0, 11.0], [90.0, 110.0]], default=0.25, relative=True)
    assert pool.variance == pytest.approx(0.02)  # (√2/10)² of the squared mean
    variance, freedom, _ = pool.spread([50.0, 50.0])
    assert variance == pytest.approx(0.02 * 2500)
    assert freedom == 2


def test_values_that_are_not_finite_do_not_enter_the_pool():
    assert Pool.of([[1.0, math.nan], [math.inf, 2.0], [1.0, 3.0]], default=1.0).variance == 2.0


def test_an_unstable_configuration_stays_out_of_the_pool_and_is_judged_by_its_own_scatter():
    stable = [[p - 0.004, p, p + 0.004] for p in np.linspace(0.3, 0.6, 8)]
    collapsed = [0.1, 0.5, 0.5]
    pool = Pool.of([*stable, collapsed], default=0.005)
    assert pool.variance == pytest.approx(0.004**2)
    assert pool.freedom == 16
    assert pool.spread(stable[0]) == (pool.variance, 16, False)
    variance, freedom, unstable = pool.spread(collapsed)
    assert (variance, freedom, unstable) == (pytest.approx(0.16 / 3), 2, True)


def test_a_collapsed_configuration_stays_out_where_most_others_do_not_scatter_at_all():
    pool = Pool.of([*[[0.5, 0.5, 0.5]] * 5, [0.499, 0.5, 0.501], [0.1, 0.5, 0.5]], default=0.005)
    assert pool.freedom == 12
    assert pool.variance == pytest.approx(1e-6 / 6)
    assert pool.spread([0.1, 0.5, 0.5])[2]
    assert not pool.spread([0.499, 0.5, 0.501])[2]
    assert Pool.of([[0.5, 0.5]] * 3, default=0.005) == Pool(0.0, 3.0)


def test_ordinary_scatter_is_hardly_ever_called_unstable():
    rng = np.random.default_rng(0)
    unstable = [Pool.of(rng.normal(0.5, 0.004, (12, 3)), 0.005).freedom < 24 for _ in range(400)]
    assert np.mean(unstable) < 0.05


# ---- numbers ----


def test_number_interval_by_hand_for_one_configuration():
    values = [0.46, 0.48, 0.50]  # mean .48, s .02, t(2) 4.303
    estimate = Estimate.of(values, Pool.of([values], 0.005))
    reach = T2 * 0.02 * math.sqrt(1 + 1 / 3)
    assert estimate.reach() == pytest.approx(reach, rel=1e-6)
    edge = 0.48 + reach + 0.0005
    assert judge_number(f"{math.floor(edge * 1000) / 1000:.3f}", estimate).verdict == "reproduced"
    assert judge_number(f"{math.ceil(edge * 1000) / 1000:.3f}", estimate).verdict == "differs"


def test_pooling_narrows_the_interval():
    samples = [[p - 0.02, p, p + 0.02] for p in np.linspace(0.2, 0.8, 12)]
    estimate = Estimate.of([0.46, 0.48, 0.50], Pool.of(samples, 0.005))
    assert estimate.freedom == 24
    assert estimate.reach() == pytest.approx(T24 * 0.02 * math.sqrt(4 / 3), rel=1e-6)
    assert judge_number("0.530", estimate).verdict == "differs"
    assert (
        judge_number("0.530", Estimate.of([0.46, 0.48, 0.50], Pool.of(samples[:1], 0.005))).verdict
        == "reproduced"
    )


def test_one_seed_everywhere_uses_the_default_and_says_so():
    estimate = Estimate.of([0.48], Pool.of([[0.48]], 0.005))
    assert estimate.reach() == pytest.approx(Z * 0.005 * math.sqrt(2))
    inside = judge_number("0.494", estimate)  # .48 + .01386 + .0005 = .49436
    assert inside.verdict == "reproduced"
    assert "stated default" in inside.reason
    assert judge_number("0.495", estimate).verdict == "differs"


def test_the_binomial_floor_dominates_small_seed_scatter():
    values = [0.4999, 0.5, 0.5001]
    pool = Pool.of([values], 0.005)
    floor = Z * math.sqrt(0.25 / 10_000 * (4 / 3))  # .01132
    assert Estimate.of(values, pool, binomial=0.25 / 10_000).reach() == pytest.approx(floor, rel=1e-6)
    assert judge_number("0.511", Estimate.of(values, pool, binomial=0.25 / 10_000)).verdict == "reproduced"
    assert judge_number("0.512", Estimate.of(values, pool, binomial=0.25 / 10_000)).verdict == "differs"
    assert judge_number("0.511", Estimate.of(values, pool)).verdict == "differs"
    assert Estimate.of(
        [0.4, 0.5, 0.6], Pool.of([[0.4, 0.5, 0.6]], 0.005), 0.25 / 10_000
    ).reach() == pytest.approx(T2 * 0.1 * math.sqrt(4 / 3))


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        ("4", "reproduced"),
        ("4.4", "differs"),
        ("4.5", "reproduced"),
        ("4.54", "differs"),
        ("5", "reproduced"),
        ("6", "differs"),
    ],
)
def test_half_a_unit_of_the_last_printed_digit(reported, verdict):
    assert judge_number(reported, Estimate(4.5)).verdict == verdict


def test_about_widens_the_interval():
    assert judge_number("0.63", Estimate(0.66)).verdict == "differs"
    assert (
        judge_number("0.63", Estimate(0.66), about=0.025).verdict == "reproduced"
    )  # .025 + half a unit: the end is inside
    assert judge_number("0.63", Estimate(0.66), about=0.024).verdict == "differs"


def test_exact_numbers_must_agree_to_the_printed_digit():
    exact = judge_number("10164", Estimate.of([10164.0], NONE))
    assert exact.verdict == "reproduced"
    assert "as exact as it is printed" in exact.reason
    assert judge_number("10164", Estimate.of([10165.0], NONE)).verdict == "differs"


def test_measured_number_has_one_digit_more_than_the_report():
    assert judge_number("0.480", Estimate(0.48123)).measured == "0.4812"
    assert judge_number("4", Estimate(4.333)).measured == "4.3"
    assert [decimals(text) for text in ("0.480", ".05", "4", "64.4", "1e-3")] == [3, 2, 0, 1, 3]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_agrees_with_nothing(value):
    bad = Estimate.of([0.5, value], NONE)
    fine = Estimate(0.5)
    judgements = [
        judge_number("0.5", bad),
        judge_order(bad, fine, combine([(1, bad), (-1, fine)])),
        judge_within(bad, fine, combine([(1, bad), (-1, fine)]), 1.0),
        judge_chance(bad, 0.05, 1000),
        judge_best({"a": fine, "b": bad}, ["a"]),
    ]
    assert {judgement.verdict for judgement in judgements} == {"differs"}
    assert all(
        "absent or not finite" in judgement.reason and judgement.measured == "not finite"
        for judgement in judgements
    )


def test_moving_the_report_away_never_turns_differs_into_reproduced():
    rng = np.random.default_rng(1)
    for _ in range(60):
        values = rng.normal(0.5, 0.01, rng.integers(1, 5)).tolist()
        estimate = Estimate.of(values, Pool.of([values, [0.3, 0.31]], 0.005), 0.25 / rng.integers(50, 10_000))
        for side in (-1, 1):
            distances = np.sort(rng.uniform(0, 0.4, 25))
            verdicts = [
                judge_number(f"{estimate.value + side * distance:.4f}", estimate).verdict
                for distance in distances
            ]
            assert verdicts == sorted(verdicts, reverse=True)  # reproduced …, then differs …


# ---- claims ----


def test_noise_adds_seeds_and_test_images():
    pool = Pool(0.02**2, 4)
    a = Estimate.of([0.5, 0.5], pool, binomial=0.25 / 10_000)
    b = Estimate.of([0.4, 0.4, 0.4, 0.4], pool, binomial=0.24 / 10_000)
    seeds = T4 * math.sqrt(0.02**2 * (1 / 2 + 1 / 4))
    images = Z * math.sqrt(0.49 / 10_000)
    assert combine([(1, a), (-1, b)]).noise() == pytest.approx(math.hypot(seeds, images), rel=1e-6)


def test_greater_in_each_direction():
    def at(value):
        return Estimate(value, draw=0.01**2, error=0.01**2)

    edge = Z * 0.01 * math.sqrt(2)
    assert greater(at(0.5 + 1.001 * edge), at(0.5)) == "reproduced"
    assert greater(at(0.5 + 0.999 * edge), at(0.5)) == "differs"
    assert greater(at(0.5 - 0.999 * edge), at(0.5)) == "differs"
    assert greater(at(0.5 - 1.001 * edge), at(0.5)) == "contradicted"
    for factor, verdict in (
        (1.001, "contradicted"),
        (0.999, "differs"),
        (-0.999, "differs"),
        (-1.001, "reproduced"),
    ):
        left, right = at(0.5 + factor * edge), at(0.5)
        assert judge_order(left, right, combine([(1, left), (-1, right)]), greater=False).verdict == verdict


def test_equal_values_without_noise_prove_nothing():
    judgement = judge_order(Estimate(4.0), Estimate(4.0), Estimate(0.0))
    assert (judgement.verdict, judgement.measured) == ("differs", "4.0000 = 4.0000")
    assert "proves nothing" in judgement.reason


def test_the_measured_relation_is_a_true_one():
    a, b = Estimate(0.513), Estimate(0.496)
    assert judge_order(a, b, combine([(1, a), (-1, b)])).measured == "0.5130 > 0.4960"
    assert judge_order(b, a, combine([(1, b), (-1, a)])).measured == "0.4960 < 0.5130"
    assert judge_order(b, a, combine([(1, b), (-1, a)]), greater=False).measured == "0.4960 < 0.5130"


def test_within_in_each_direction():
    def at(value):
        return Estimate(value, draw=1e-4, error=0.5e-4)

    noise = Z * 0.01
    assert within(at(0.5), at(0.5 + 0.019 - noise + 0.001), 0.02) == "reproduced"
    assert within(at(0.5), at(0.5 + 0.0201 - noise), 0.02) == "differs"
    assert within(at(0.5), at(0.5 + 0.0199 + noise), 0.02) == "differs"
    assert within(at(0.5), at(0.5 + 0.0201 + noise), 0.02) == "contradicted"
    assert within(at(0.5), at(0.5), 0.01) == "differs"  # equal, but the noise is wider than the margin


def test_chance_in_each_direction():
    def at(value, error=0.0):
        return Estimate(value, draw=error, error=error, binomial=value * (1 - value) / 10_000)

    guessing = Z * math.sqrt(0.05 * 0.95 / 10_000)
    assert judge_chance(at(0.05), 0.05, 10_000).verdict == "reproduced"
    assert judge_chance(at(0.05 + 0.99 * guessing), 0.05, 10_000).verdict == "reproduced"
    assert judge_chance(at(0.05 + 1.1 * guessing), 0.05, 10_000).verdict == "contradicted"
    assert (
        judge_chance(at(0.05 + 1.1 * guessing, error=0.01**2), 0.05, 10_000).verdict == "differs"
    )  # unsteady seeds
    assert judge_chance(at(0.02), 0.05, 10_000).verdict == "reproduced"  # worse than guessing is no better
    assert judge_chance(at(0.05), 0.05, 100).verdict == "differs"  # too few images to tell
    assert judge_chance(at(0.01), 0.01, 10_000).verdict == "reproduced"


def test_best_in_each_direction():
    def cells(**values):
        return {name: Estimate(value, draw=0.01**2, error=0.01**2) for name, value in values.items()}

    assert judge_best(cells(a=0.60, b=0.55, c=0.50), ["a"]).verdict == "reproduced"
    assert judge_best(cells(a=0.60, b=0.58, c=0.50), ["a"]).verdict == "differs"
    assert judge_best(cells(a=0.58, b=0.60, c=0.50), ["a"]).verdict == "differs"
    assert judge_best(cells(a=0.50, b=0.60, c=0.50), ["a"]).verdict == "contradicted"
    assert judge_best(cells(a=0.50, b=0.60, c=0.50), ["a", "b"]).verdict == "reproduced"
    assert judge_best(cells(a=0.50, b=0.60, c=0.60), ["a"], largest=False).verdict == "reproduced"
    assert judge_best(cells(a=0.60, b=0.50, c=0.60), ["a"], largest=False).verdict == "contradicted"
    assert judge_best(cells(a=0.50, b=0.60), ["a"]).measured == "largest is b (0.6000), a has 0.5000"
    assert (
        judge_best(cells(a=0.50, b=0.60), ["b"], largest=False).measured
        == "smallest is a (0.5000), b has 0.6000"
    )


STEADY = [[p - 0.01, p, p + 0.01] for p in (0.3, 0.4, 0.5, 0.6, 0.7)]


def test_spread_in_each_direction():
    edge = math.sqrt(stats.f.ppf(0.975, 2, 10))  # deviations of 0.01 · edge and more are too many for chance
    for factor, verdict in ((1.01 * edge, "reproduced"), (0.99 * edge, "differs"), (1, "differs")):
        wide = [[0.5 - 0.01 * factor, 0.5, 0.5 + 0.01 * factor]]
        assert judge_spread(wide, STEADY).verdict == verdict
        assert judge_spread(STEADY, wide).verdict == verdict.replace("reproduced", "contradicted")
    judgement = judge_spread([[0.2, 0.5, 0.8]], STEADY)
    assert judgement.measured == "spread 0.3000 > 0.0100"
    assert "30.00, lies outside 0.16 to 2.34" in judgement.reason
    assert "which proves nothing" in judge_spread(STEADY[:1], STEADY).reason


def test_spread_in_proportion_to_the_value():
    small, large = [[0.09, 0.10, 0.11]], [[9.0, 10.0, 11.0]]
    assert judge_spread(large, small).verdict == "reproduced"
    judgement = judge_spread(large, small, relative=True)
    assert (judgement.verdict, judgement.measured.replace("<", ">").replace("=", ">")) == (
        "differs",
        "spread 10.0 % > 10.0 %",
    )


def test_spread_needs_two_seeds_and_finite_values():
    assert judge_spread([[0.5]], STEADY).verdict == "not run"
    assert judge_spread(STEADY, [[0.5], []]).verdict == "not run"
    assert (
        judge_spread([[0.5], [0.4, 0.5]], STEADY).verdict == "reproduced"
    )  # one configuration of two seeds is enough
    assert judge_spread([[0.5, math.nan]], STEADY).verdict == "differs"
    assert judge_spread([[0.5, 0.5]], [[0.4, 0.4]]).verdict == "differs"  # nothing scatters
    assert judge_spread([[0.5, 0.6]], [[0.4, 0.4]]).verdict == "reproduced"


def test_equal_spreads_are_told_apart_in_one_case_of_twenty():
    rng = np.random.default_rng(7)
    verdicts = [
        judge_spread(rng.normal(0.5, 0.02, (1, 3)), rng.normal(0.5, 0.02, (5, 3))).verdict
        for _ in range(1000)
    ]
    for verdict in ("reproduced", "contradicted"):
        assert 0.0102 < verdicts.count(verdict) / 1000 < 0.0398  # 2.5 %: ± 3 standard errors


def test_a_picked_run_says_which_and_that_its_scatter_is_a_default():
    a, b = (replace(Estimate.of([value], Pool.of([], 0.005)), picked=f"run {value}") for value in (0.7, 0.5))
    assert (
        "picked: run 0.7; one training shows no scatter, so a stated default stands for it"
        in judge_number("0.700", a).reason
    )
    difference = combine([(1, a), (-1, b)])
    assert "picked: run 0.7 and run 0.5;" in judge_order(a, b, difference).reason
    assert difference.noise() == pytest.approx(Z * 0.005 * math.sqrt(2))


def test_more_rivals_need_a_larger_lead_to_contradict():
    def cells(rivals):
        return {f"c{index}": Estimate(0.5, error=0.01**2, draw=0.01**2) for index in range(rivals)} | {
            "top": Estimate(0.53, error=0.01**2, draw=0.01**2)
        }

    assert judge_best(cells(1), ["c0"]).verdict == "contradicted"  # .03 against 1.96 · .0141 = .0277
    assert judge_best(cells(9), ["c0"]).verdict == "differs"  # 9 others: z(.9944) 2.77 · .0141 = .0392


def test_the_same_test_images_are_compared_one_by_one():
    rng = np.random.default_rng(2)
    images = np.arange(2000)
    right = (rng.random(2000) < 0.5).astype(float)
    better = right.copy()
    better[np.flatnonzero(right == 0)[:40]] = 1.0  # 40 of 2000 images more, none less
    a, b = (
        Estimate.of([h.mean()], NONE, h.mean() * (1 - h.mean()) / 2000, Hits(images, h))
        for h in (better, right)
    )
    difference = combine([(1, a), (-1, b)])
    assert difference.value == pytest.approx(0.02)
    assert difference.binomial == pytest.approx(0.02 * 0.98 / 1999)
    assert greater(a, b) == "reproduced"
    shifted = Estimate.of([b.value], NONE, b.binomial, Hits(images + 1, right))  # other images: no pairing
    assert combine([(1, a), (-1, shifted)]).binomial == pytest.approx(a.binomial + b.binomial)
    assert greater(a, shifted) == "differs"


def test_combine_is_linear_and_takes_the_fewest_degrees_of_freedom():
    a = Estimate(2.0, draw=4.0, error=1.0, binomial=0.5, freedom=10, n=4, scatter=2.0)
    b = Estimate(3.0, draw=1.0, error=0.5, freedom=4, n=2, scatter=1.0)
    both = combine([(2, a), (-3, b)], constant=1.0)
    assert (both.value, both.draw, both.error, both.binomial) == (-4.0, 25.0, 8.5, 2.0)
    assert (both.freedom, both.n, both.scatter) == (4, 2, 5.0)


def test_a_conjunction():
    def verdict(*verdicts):
        return judge_all(
            [(f"r{index}", Judgement(verdict, "why.")) for index, verdict in enumerate(verdicts)]
        ).verdict

    assert verdict("reproduced", "reproduced") == "reproduced"
    assert verdict("reproduced", "differs") == "differs"
    assert verdict("differs", "differs") == "differs"
    assert verdict("differs", "not run") == "not run"
    assert verdict("reproduced", "not run") == "not run"
    assert verdict("reproduced", "differs", "not run", "contradicted") == "contradicted"


def test_numbers_in_words():
    assert [number(value) for value in (0.51341, -2.0, 46.26, math.nan)] == [
        "0.5134",
        "-2.0000",
        "46.3",
        "not finite",
    ]


# ---- the rule as a whole ----


def test_about_95_percent_of_reports_that_drew_from_our_distribution_are_reproduced():
    rng = np.random.default_rng(3)
    outcomes = []
    for _ in range(250):
        means = rng.uniform(0.3, 0.6, 8)
        samples = rng.normal(means[:, None], 0.02, (8, 3))
        pool = Pool.of(samples, 0.005)
        outcomes += [
            judge_number(f"{rng.normal(mean, 0.02):.6f}", Estimate.of(values, pool)).verdict
            for mean, values in zip(means, samples, strict=True)
        ]
    assert (
        0.935 < np.mean([outcome == "reproduced" for outcome in outcomes]) < 0.965
    )  # 2000 draws: ± 3 standard errors


@pytest.mark.slow
def test_a_false_claim_is_rarely_reproduced():
    rng = np.random.default_rng(4)
    outcomes = []
    for _ in range(1500):
        samples = rng.normal(0.5, 0.02, (6, 3))
        pool = Pool.of(samples, 0.005)
        outcomes.append(greater(*(Estimate.of(values, pool) for values in samples[:2])))
    assert np.mean([outcome == "reproduced" for outcome in outcomes]) < 0.04
    assert np.mean([outcome == "contradicted" for outcome in outcomes]) < 0.04
    assert np.mean([outcome == "differs" for outcome in outcomes]) > 0.93


def test_a_false_winner_is_rarely_reproduced_and_rarely_contradicted():
    rng = np.random.default_rng(5)
    outcomes = []
    for _ in range(300):
        pool = Pool(0.01**2, math.inf)
        cells = {
            f"c{index}": Estimate.of([value], pool) for index, value in enumerate(rng.normal(0.5, 0.01, 10))
        }
        outcomes.append(judge_best(cells, ["c0"]).verdict)
    assert outcomes.count("reproduced") < 0.025 * 300
    assert outcomes.count("contradicted") < 0.05 * 300


# ---- effects ----


def test_an_effect_is_the_largest_less_the_smallest_mean_of_its_levels():
    found = effect([[one(0.5), one(0.7)], [one(0.4), one(0.2)], [one(0.9), one(0.5)]])
    assert found.value == pytest.approx(0.7 - 0.3)
    assert (found.n, found.freedom) == (1, math.inf)


def test_two_levels_are_a_difference_chosen_beforehand():
    a, b = [one(0.5), one(0.7)], [one(0.4), one(0.2)]
    difference = combine([(0.5, a[0]), (0.5, a[1]), (-0.5, b[0]), (-0.5, b[1])])
    assert effect([a, b]).noise() == effect([b, a]).noise() == pytest.approx(difference.noise())
    assert effect([a, b]).noise() == pytest.approx(Z * 0.01)  # 4 cells with a quarter of s² each


@pytest.mark.parametrize(("freedom", "t", "q"), [(math.inf, Z, 3.314), (24, T24, 3.532), (4, T4, 5.040)])
def test_the_noise_of_an_effect_allows_for_the_choice_of_the_extremes(freedom, t, q):
    """q: quantiles of the studentized range of three means, from a printed table."""
    levels = [[Estimate.of([value], Pool(0.01**2, freedom))] for value in (0.1, 0.2, 0.3)]
    assert effect(levels).noise() == pytest.approx(
        q * 0.01, rel=1e-3
    )  # q · s is t · √(s² + s²) · q / (√2 · t)
    assert t * math.sqrt(2) * 0.01 < effect(levels).noise()


def test_test_images_count_in_an_effect_image_by_image_where_they_are_known():
    hits = Hits(np.arange(100), np.repeat([1.0, 0.0], 50))
    known = [[one(0.5, 0.0, 0.0025, hits)], [one(0.5, 0.0, 0.0025, hits)]]
    assert effect(known).noise() == 0  # right on the same images
    unknown = [[one(0.5, 0.0, 0.0025)], [one(0.5, 0.0, 0.0025)]]
    assert effect(unknown).noise() == pytest.approx(Z * math.sqrt(2 * 0.0025))


def test_a_level_that_is_not_finite_leaves_the_effect_unknown():
    assert math.isnan(effect([[one(0.5)], [one(math.nan)], [one(0.7)]]).value)


@pytest.mark.slow
def test_an_axis_without_an_effect_is_rarely_said_to_have_one():
    rng = np.random.default_rng(7)
    found = [
        effect([[one(value) for value in level] for level in rng.normal(0.5, 0.01, (3, 4))])
        for _ in range(400)
    ]
    assert (
        0.02 < np.mean([estimate.value > estimate.noise() for estimate in found]) < 0.08
    )  # one in twenty; unwidened, one in eight


def test_a_difference_of_three_points_is_detected():
    rng = np.random.default_rng(6)
    outcomes = []
    for _ in range(200):
        samples = rng.normal([[0.48], [0.51], [0.4], [0.3]], 0.004, (4, 3))
        pool = Pool.of(samples, 0.005)
        low, high = (Estimate.of(values, pool, 0.25 / 10_000) for values in samples[:2])
        outcomes.append((greater(high, low), judge_number(f"{rng.normal(0.51, 0.004):.3f}", low).verdict))
    assert np.mean([claim == "reproduced" for claim, _ in outcomes]) > 0.95
    assert np.mean([value == "differs" for _, value in outcomes]) > 0.95
