"""Scatter over seeds and its draws: on plain numbers, against formulas and SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from reprise.publishing.noise import (
    DRAWS,
    STATED_FREEDOM,
    TYPICAL_FREEDOM,
    ResampledImages,
    Sample,
    Search,
    Typical,
    deviations,
    variance_of,
)

STEADY = Typical(0.004**2, 8)


def middle(draws, share=0.95):
    return np.quantile(draws, ((1 - share) / 2, (1 + share) / 2))


# ---- what is typical ----


def test_where_nothing_was_trained_twice_the_stated_deviation_is_typical():
    assert Typical.of([], 0.005) == Typical(0.005**2, STATED_FREEDOM)
    assert Typical.of([(0.0, 0), (0.3, 0)], 0.005) == Typical(0.005**2, STATED_FREEDOM)


def test_the_typical_variance_by_hand():
    found = Typical.of([(1e-4, 2), (4e-4, 1)], 0.005)
    assert found.variance == pytest.approx((4 * 25e-6 + 2 * 1e-4 + 1 * 4e-4) / (4 + 3))
    assert found.freedom == 7


def test_the_typical_variance_never_counts_as_more_than_its_cap():
    found = Typical.of([(1e-4, 2)] * 20, 0.005)
    assert found.variance == pytest.approx((4 * 25e-6 + 40 * 1e-4) / 44)
    assert found.freedom == TYPICAL_FREEDOM


def test_what_no_seed_changes_is_exact():
    assert Typical.of([(0.1, 2)], 0.0).variance == 0
    sample = Sample((3.0, 3.0), Typical(0.0))
    assert sample.averages().tolist() == sample.trainings().tolist() == [[3.0] * sample.averages().size]
    assert not sample.unstable


def test_a_configuration_that_collapsed_does_not_say_what_is_typical():
    steady = [(16e-6, 2)] * 5
    assert Typical.of([*steady, (0.05, 2)], 0.004).variance == pytest.approx(16e-6)
    assert Typical.of([*steady, (0.0, 2)], 0.004) == Typical.of(steady, 0.004)


def test_ordinary_scatter_is_hardly_ever_left_out():
    rng = np.random.default_rng(0)
    left_out = 0
    for _ in range(300):
        known = [variance_of(values) for values in rng.normal(0.5, 0.004, (12, 3))]
        stated = 4 * 0.004**2
        everything = (stated + sum(v * f for v, f in known)) / 28
        left_out += Typical.of(known, 0.004).variance < 0.999 * everything
    assert left_out < 0.06 * 300


def test_a_moderated_variance_by_hand():
    typical = Typical(16e-6, 8)
    assert typical.moderated(100e-6, 2) == (pytest.approx((8 * 16e-6 + 2 * 100e-6) / 10), 10)
    assert typical.moderated(0.0, 0) == (pytest.approx(16e-6), 8)  # one seed: the typical one alone


def test_unstable_is_beyond_the_quantile_of_f():
    typical = Typical(1e-5, 8)
    edge = 1e-5 * stats.f.ppf(0.999, 2, 8)
    assert typical.unstable(1.001 * edge, 2)
    assert not typical.unstable(0.999 * edge, 2)
    assert not typical.unstable(1e9, 0)
    assert not Typical(0.0).unstable(1.0, 2)


def test_variances_are_in_units_of_the_scale_and_of_finite_values():
    assert variance_of([9.0, 11.0], 10.0) == (pytest.approx(0.02), 1)
    assert variance_of([1.0, math.inf, math.nan, 3.0]) == (2.0, 1)
    assert variance_of([1.0]) == variance_of([]) == variance_of([math.inf, 1.0]) == (0.0, 0)
    assert variance_of([1.0, 2.0], 0.0) == (0.0, 0)


# ---- draws of one configuration ----


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("of", [None, 1, 3])
def test_draws_are_students_t_around_the_mean(n, of):
    """Averages scatter by s/√n, the mean of k more trainings by s·√(1/n + 1/k)."""
    values = [0.5, 0.504, 0.497, 0.502, 0.5][:n]
    sample = Sample(values, STEADY, key="a")
    variance, freedom = STEADY.moderated(np.var(values, ddof=1) if n > 1 else 0.0, n - 1)
    deviation = math.sqrt(variance * (1 / n + (1 / of if of else 0)))
    draws = sample.trainings(of) if of else sample.averages()
    assert draws.shape == (1, DRAWS)
    expected = stats.t(freedom, np.mean(values), deviation)
    for share in (0.005, 0.025, 0.5, 0.9, 0.975, 0.995):
        assert np.quantile(draws, share) == pytest.approx(expected.ppf(share), abs=0.03 * deviation)


def test_one_seed_is_judged_by_what_is_typical_alone():
    low, high = middle(Sample([0.5], Typical(0.005**2, 4)).trainings())
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 4) * 0.005 * math.sqrt(2), rel=1e-2)


def test_scatter_grows_with_the_scale():
    small, large = (Sample([size], STEADY, scale=size, key="a").averages() - size for size in (1.0, 3.0))
    assert large == pytest.approx(3 * small)


def test_draws_stay_in_their_bounds():
    draws = Sample([0.999, 1.0], Typical(0.01**2, 8), low=0, high=1).averages()
    assert draws.max() == 1
    assert draws.min() < 0.99


def test_the_same_key_draws_the_same_whatever_was_drawn_before():
    first = Sample([0.5, 0.51], STEADY, key="a").averages()
    Sample([0.5], STEADY, key="b").trainings(3)
    np.random.default_rng(0).random(5)
    assert Sample([0.5, 0.51], STEADY, key="a").averages().tolist() == first.tolist()


def test_different_keys_and_questions_draw_independently():
    samples = [Sample([0.5, 0.51], STEADY, key=key) for key in "abcd"]
    drawn = np.concatenate([*(one.averages() for one in samples), samples[0].trainings()])
    correlations = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]
    assert np.abs(correlations).max() < 4 / math.sqrt(DRAWS)


# ---- trainings that come out in more than one way ----

COLLAPSED = Sample([0.1, 0.5, 0.501], STEADY, low=0, high=1, key="a")


def test_a_collapsed_seed_is_one_of_the_ways():
    assert COLLAPSED.unstable
    assert not Sample([0.496, 0.5, 0.504], STEADY).unstable
    assert not Sample([0.1], STEADY).unstable
    once = COLLAPSED.trainings()[0]
    assert np.mean(once < 0.2) == pytest.approx(1 / 3, abs=0.03)
    assert np.mean((once > 0.2) & (once < 0.4)) == 0
    mean = COLLAPSED.averages()[0]
    assert mean.mean() == pytest.approx(COLLAPSED.mean, abs=0.005)
    assert np.mean((mean > 0.2) & (mean < 0.4)) > 0.3  # how often it collapses is not known
    three = COLLAPSED.trainings(3)[0]
    assert np.mean((three > 0.2) & (three < 0.3)) > 0.1  # two of three
    assert COLLAPSED.reach == pytest.approx(0.004 * math.sqrt(2) * stats.t.ppf(0.975, 8), rel=1e-2)


def test_a_diverged_training_is_one_of_the_ways():
    sample = Sample([2.0, math.inf, 2.1], STEADY, scale=2.0, low=0, key="a")
    assert sample.unstable
    once = sample.trainings()[0]
    assert np.isinf(once).mean() == pytest.approx(1 / 3, abs=0.03)
    assert once[np.isfinite(once)].max() < 2.3
    assert np.isinf(sample.averages()).mean() == pytest.approx(0.25, abs=0.03)  # its share, Beta(1, 2), > 1/2


def test_where_all_diverged_nothing_else_is_expected():
    sample = Sample([math.inf, math.inf], STEADY)
    assert np.isinf(sample.averages()).all()
    assert np.isinf(sample.trainings(3)).all()
    assert not sample.unstable


# ---- searches ----


def test_the_winner_of_another_search():
    """The best trial is drawn again with 1 − (1 − 1/k)^k; without scatter it then wins."""
    winners = Search([0.1, 0.2, 0.9, 0.3], 0.0, key="a").winners
    assert winners.shape == (DRAWS,)
    assert np.mean(winners == 2) == pytest.approx(1 - 0.75**4, abs=0.02)
    assert np.mean(winners == 0) == pytest.approx(0.25**4, abs=0.05)  # a little more: drawn beyond it


def test_equal_trials_win_equally_often():
    winners = Search([0.5] * 5, 0.005, key="a").winners
    assert np.bincount(winners) / DRAWS == pytest.approx([0.2] * 5, abs=0.02)


def test_scatter_of_the_scores_lets_others_win():
    surely, perhaps = (np.mean(Search([0.5, 0.501], noise, key="a").winners == 1) for noise in (0.0, 0.005))
    assert surely == pytest.approx(0.75, abs=0.02)
    assert 0.5 < perhaps < 0.65


def test_a_trial_that_every_search_has_wins_in_all():
    drawn, included = (Search([0.9, 0.5, 0.5], 0.0, included=kept, key="a").winners for kept in ((), (0,)))
    assert np.mean(drawn == 0) == pytest.approx(1 - (2 / 3) ** 3, abs=0.02)
    assert set(included) == {0}
    assert set(Search([0.5, 0.9], 0.0, included=(0, 1), key="a").winners) == {1}
    others = Search([0.1, 0.9, 0.5], 0.0, included=(0,), key="a").winners
    assert set(others) == {1, 2}  # the third where it was drawn twice


def test_a_search_of_one_trial_and_its_key():
    assert set(Search([0.5], 0.1, key="a").winners) == {0}
    one, again, other = (Search([0.5] * 5, 0.0, key=key).winners.tolist() for key in ("a", "a", "b"))
    assert one == again != other


# ---- spreads ----


@pytest.mark.parametrize(("wider", "steadier"), [([(4.0, 2)], [(1.0, 10)]), ([(1.0, 1)] * 3, [(2.0, 4)])])
def test_the_ratio_of_deviations_is_that_of_f(wider, steadier):
    draws = deviations(wider, steadier, "a")[0] ** 2
    f1, f2 = (sum(freedom for _, freedom in side) for side in (wider, steadier))
    expected = stats.f(f2, f1, scale=wider[0][0] / steadier[0][0])
    for share in (0.05, 0.5, 0.95):
        assert np.quantile(draws, share) == pytest.approx(expected.ppf(share), rel=0.1)


def test_what_does_not_scatter_at_all():
    assert np.isnan(deviations([(0.0, 2)], [(0.0, 2)], "a")).all()
    assert np.isinf(deviations([(1.0, 2)], [(0.0, 2)], "a")).all()
    assert (deviations([(0.0, 2)], [(1.0, 2)], "a") == 0).all()


# ---- other test images ----


def test_other_images_move_an_accuracy_by_its_binomial_deviation():
    images = ResampledImages(2000, samples=1000)
    hits = (np.arange(2000) % 4 > 0).astype(float)
    moved = images.mean(hits)
    assert moved.shape == (1000,)
    assert moved.std() == pytest.approx(math.sqrt(0.75 * 0.25 / 2000), rel=0.1)
    assert abs(moved.mean()) < 0.001


def test_images_are_the_same_for_all_networks():
    images = ResampledImages(2000, samples=500)
    one = (np.arange(2000) % 4 > 0).astype(float)
    other = one.copy()
    other[:20] = 1 - other[:20]
    difference = images.mean(one) - images.mean(other)
    assert difference.std() < 0.3 * images.mean(one).std()
    assert ResampledImages(2000, samples=500).mean(one).tolist() == images.mean(one).tolist()


def test_other_images_of_one_class():
    images = ResampledImages(2000, samples=1000)
    chosen = np.arange(2000) < 200
    hits = (np.arange(2000) % 2).astype(float)
    assert images.mean(hits, chosen).std() == pytest.approx(0.5 / math.sqrt(200), rel=0.1)
    assert (images.mean(np.ones(2000), chosen) == 0).all()
