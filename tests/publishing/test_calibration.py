"""Rates of the rule on many made-up data sets whose truth is known: empty claims, and intervals of numbers.

Each rate is over some hundred seeded data sets; two standard errors are allowed beyond what is promised.
"""

import math

import numpy as np
import pytest
from ground import Ground, expressions

from reprise.publishing.verdicts import judge_claim

STATED = 0.005
"""Of an accuracy: seeds scatter as much, unless said otherwise."""
PROMISED = 0.03
"""How often an empty claim may be reproduced, and how often contradicted."""
SCATTERS = {"alike": (1.0,) * 8, "two-fold": (0.7, 1.4) * 4}


def rates(claims, data, sets):
    """Claim → shares of data sets in which it is reproduced and contradicted. `data`: generator → values."""
    relations = {text: expressions().relation(text, "") for text in claims}
    measures = [measure for relation in relations.values() for measure in relation.measures]
    verdicts = {text: [] for text in claims}
    rng = np.random.default_rng(17)
    for _ in range(sets):
        judge = Ground(data(rng)).judge(measures)
        for text, relation in relations.items():
            verdicts[text].append(judge_claim(judge.relation(relation)).verdict)
    return {
        text: (found.count("reproduced") / sets, found.count("contradicted") / sets)
        for text, found in verdicts.items()
    }


def assert_empty(found, sets, promised=PROMISED):
    limit = promised + 2 * math.sqrt(promised * (1 - promised) / sets)
    off = {text: shares for text, shares in found.items() if max(shares) > limit}
    assert not off


def seeds(rng, names, n, truth=0.5, deviation=STATED):
    return {name: rng.normal(truth, deviation, n).tolist() for name in names}


def cells(k):
    return [f"set/c={place}" for place in range(k)]


# ---- claims of which nothing is true ----


@pytest.mark.parametrize("n", [1, 3, 5])
def test_an_order_of_equals(n):
    pairs = {f'accuracy("set/c={i}") > accuracy("set/c={i + 1}")' for i in range(0, 8, 2)}
    found = rates(pairs, lambda rng: seeds(rng, cells(8), n), 100)
    mean = np.mean(list(found.values()), axis=0)
    assert_empty({"any": tuple(mean)}, 400)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("scatter", SCATTERS)
def test_claims_of_many_parts(n, scatter):
    """Conjunctions of 2 to 6 parts, chains, alternatives, and all or some of 2 to 8 configurations."""

    def part(place):
        return f'accuracy("set/c={place}") > accuracy(base)'

    claims = [
        *(" and ".join(map(part, range(k))) for k in (2, 4, 6)),
        *(" or ".join(map(part, range(k))) for k in (2, 6)),
        " > ".join(f'accuracy("set/c={place}")' for place in range(4)),
        f"not ({part(0)} and {part(1)} and {part(2)})",
        "every(accuracy(set) > accuracy(base))",
        "some(accuracy(set) > accuracy(base))",
        "every(accuracy(pair) > accuracy(base))",
        "some(accuracy(pair) > accuracy(base))",
        "every(accuracy(set) > 0.5)",
        "some(accuracy(set) > 0.5)",
    ]

    def data(rng):
        names = [*cells(8), "pair/c=0", "pair/c=1", "base"]
        factors = [*SCATTERS[scatter], 1, 1, 1]
        return {
            name: rng.normal(0.5, STATED * by, n).tolist() for name, by in zip(names, factors, strict=True)
        }

    assert_empty(rates(claims, data, 100), 100)


@pytest.mark.parametrize(("k", "n"), [(2, 3), (8, 1), (8, 3), (30, 1), (30, 3)])
def test_the_best_of_several(k, n):
    claims = [
        "best(accuracy(set)) > accuracy(base)",
        "accuracy(base) > best(accuracy(set))",
        "accuracy(base) > min(accuracy(set))",
        'argbest(accuracy(set)) == "set/c=0"',
    ]
    sets = 120 if k < 30 else 50
    assert_empty(rates(claims, lambda rng: seeds(rng, [*cells(k), "base"], n), sets), sets)


@pytest.mark.parametrize("n", [1, 3])
def test_effects_of_axes_without_effect(n):
    grid = [f"grid/lr={a},decay={b}" for a in range(4) for b in range(2)]
    lr, decay = ('effect(accuracy(grid), "lr")', 'effect(accuracy(grid), "decay")')
    claims = [f"{lr} > {decay}", f"{decay} > {lr}", f"{lr} > 0.001"]
    assert_empty(rates(claims, lambda rng: seeds(rng, grid, n), 120), 120)


@pytest.mark.parametrize(("freedoms", "n"), [((1, 1), 3), ((1, 5), 3), ((2, 2), 5)])
def test_equal_spreads(freedoms, n):
    names = [f"{side}/c={place}" for side, k in zip("ab", freedoms, strict=True) for place in range(k)]
    claims = ["spread(accuracy(a)) > spread(accuracy(b))"]
    assert_empty(rates(claims, lambda rng: seeds(rng, names, n), 400), 400)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_a_difference_at_the_margin(n, margin):
    def data(rng):
        return seeds(rng, ["a"], n) | seeds(rng, ["b"], n, 0.5 + margin)

    assert_empty(rates([f"within(accuracy(a), accuracy(b), {margin})"], data, 400), 400)


def test_equals_within_a_margin_that_cannot_be_resolved():
    """What is claimed is true: they are equal."""
    claims = [f"within(accuracy(a), accuracy(b), {margin})" for margin in (0.0002, 0.001)]
    assert_empty(rates(claims, lambda rng: seeds(rng, "ab", 3), 50), 50)


@pytest.mark.xfail(strict=True, reason="shares are taken as known where each configuration is as good as not")
def test_a_share_of_configurations_of_which_nothing_is_known():
    """Each is true to one half: none, or all, may be above 0.5."""
    claims = ["share(accuracy(set) > 0.5) > 0.3", "share(accuracy(set) > 0.5) > 0.7"]
    assert_empty(rates(claims, lambda rng: seeds(rng, cells(30), 3), 40), 40)


def predictions(rng, classes, n, images):
    """Of n runs of `net`, on so many images of each class, right in half of them."""
    labels = np.repeat(np.arange(classes), images)
    columns = {"run": [], "image": [], "label": [], "predicted": []}
    for seed in range(n):
        right = rng.random(len(labels)) < 0.5
        columns["run"] += [f"net-{seed}"] * len(labels)
        columns["image"] += range(len(labels))
        columns["label"] += labels.tolist()
        columns["predicted"] += np.where(right, labels, -1).tolist()
    return columns


def ranked(claims, classes, n, sets):
    """As `rates`, of a network that is as good on every class."""
    relations = {text: expressions().relation(text, "") for text in claims}
    verdicts = {text: [] for text in claims}
    rng = np.random.default_rng(17)
    for _ in range(sets):
        ground = Ground({"net": [0.5] * n}, predictions=predictions(rng, classes, n, 1000 // classes))
        for text, relation in relations.items():
            judge = ground.judge(relation.measures)
            verdicts[text].append(judge_claim(judge.relation(relation)).verdict)
    return {
        text: (found.count("reproduced") / sets, found.count("contradicted") / sets)
        for text, found in verdicts.items()
    }


def test_a_rank_among_two_classes_of_which_nothing_is_known():
    assert_empty(ranked(["rank(0, net) <= 1", "rank(0, net) > 1"], 2, 3, 60), 60)


@pytest.mark.xfail(
    strict=True, reason="of a hundred equal classes, one is among the best five by chance only"
)
def test_a_rank_among_many_classes_of_which_nothing_is_known():
    assert_empty(ranked(["rank(0, net) <= 1"], 100, 3, 8), 8)


# ---- what is true is found ----


def test_a_clear_difference_is_found():
    """Three points at three seeds, alone and as every part of a claim."""

    def data(rng):
        low = seeds(rng, ["base", *(f"low/c={place}" for place in range(3))], 3, 0.47)
        return low | seeds(rng, cells(4), 3, 0.5)

    claims = {
        'accuracy("set/c=0") > accuracy(base)': 0,
        "every(accuracy(set) > accuracy(base))": 0,
        "best(accuracy(set)) > accuracy(base)": 0,
        "best(accuracy(set)) > best(accuracy(low))": 0,
        "share(accuracy(set) > accuracy(base)) > 0.9": 0,
        'accuracy("set/c=0") < accuracy(base)': 1,
        "every(accuracy(set) < accuracy(base))": 1,
        "within(accuracy(base), mean(accuracy(set)), 0.01)": 1,
    }
    found = rates(list(claims), data, 60)
    assert {text: found[text][side] > 0.9 for text, side in claims.items()} == dict.fromkeys(claims, True)


# ---- intervals of numbers ----


def coverage(text, data, reported, sets, of=1):
    """How often the interval of what would be reported has what was reported. `data` and `reported` take the
    generator and what is true, which `data` returns beside the values.
    """
    value = expressions().value(text, "")
    rng, inside = np.random.default_rng(17), 0
    for _ in range(sets):
        values, more, truth = data(rng)
        draws = Ground(values, **more).judge(value.measures).amount(value, of=of).total[0]
        low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
        inside += low <= reported(rng, truth) <= high
    return inside / sets


def trainings(n, scatter, of, sets=60):
    """Of further trainings of eight configurations."""
    names, inside = cells(8), []
    values = [expressions().value(f'accuracy("{name}")', "") for name in names]
    measures = [measure for value in values for measure in value.measures]
    rng = np.random.default_rng(17)
    for _ in range(sets):
        truths, deviations = rng.uniform(0.3, 0.6, 8), STATED * scatter(rng)
        seen = rng.normal(truths, deviations, (n, 8)).T.tolist()
        judge = Ground(dict(zip(names, seen, strict=True))).judge(measures)
        further = rng.normal(truths, deviations / math.sqrt(of))
        for value, reported in zip(values, further, strict=True):
            draws = judge.amount(value, of=of).total[0]
            low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
            inside.append(low <= reported <= high)
    return np.mean(inside)


@pytest.mark.parametrize("of", [1, 3])
@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("scatter", SCATTERS)
def test_a_further_training_lies_inside(n, scatter, of):
    assert 0.93 < trainings(n, lambda rng: np.array(SCATTERS[scatter]), of) < 0.985


@pytest.mark.parametrize("of", [1, 3])
def test_a_further_training_of_one_seed_lies_inside_where_scatter_is_as_uncertain_as_stated(of):
    """Scatter is drawn as four degrees of freedom at the stated deviation leave it open."""

    def scatter(rng):
        return np.full(8, math.sqrt(4 / rng.chisquare(4)))

    assert 0.93 < trainings(1, scatter, of, 200) < 0.985


@pytest.mark.xfail(
    strict=True, reason="one seed: t at 4 degrees of freedom where the stated deviation is true"
)
def test_a_further_training_of_one_seed_lies_inside_where_scatter_is_as_stated():
    assert 0.93 < trainings(1, lambda rng: np.ones(8), 1) < 0.985


@pytest.mark.parametrize(
    ("k", "n"),
    [
        (2, 3),
        pytest.param(10, 1, marks=pytest.mark.xfail(strict=True, reason="the largest of draws overshoots")),
        pytest.param(30, 3, marks=pytest.mark.xfail(strict=True, reason="the largest of draws overshoots")),
    ],
)
def test_the_best_of_equals_lies_inside(k, n):
    def data(rng):
        return seeds(rng, cells(k), n), {}, None

    def reported(rng, _):
        return rng.normal(0.5, STATED, k).max()

    assert 0.92 < coverage("best(accuracy(set))", data, reported, 100) <= 1


def search(rng, spread):
    """Validation and test accuracies of 30 trials, one training each."""
    truths = rng.normal(0.6, spread, 30)
    return truths + rng.normal(0, STATED, 30), truths + rng.normal(0, STATED, 30)


@pytest.mark.parametrize(
    "spread",
    [
        0.005,
        pytest.param(
            0.03,
            marks=pytest.mark.xfail(strict=True, reason="no draw is better than the best trial that was"),
        ),
    ],
)
def test_the_winner_of_another_search_of_thirty_lies_inside(spread):
    def data(rng):
        names = [f"search/trial={place}" for place in range(30)]
        scores, accuracies = (
            dict(zip(names, ([v] for v in part), strict=True)) for part in search(rng, spread)
        )
        return accuracies, {"validation": scores}, None

    def reported(rng, _):
        scores, accuracies = search(rng, spread)
        return accuracies[scores.argmax()]

    assert 0.93 < coverage("accuracy(winner)", data, reported, 100) <= 1
