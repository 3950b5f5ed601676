"""The words that draws are turned into: intervals, claims of one part and of many, reasons and power."""

import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from ground import Ground

from reprise.publishing.judging import Judge
from reprise.publishing.noise import TYPICAL_FREEDOM, Typical
from reprise.publishing.numbers import decimals, half_unit, number, places
from reprise.publishing.statements import STATEMENT_COLUMNS
from reprise.publishing.verdicts import MOST_SEEDS, NARROW, SHARED

BASE = [0.496, 0.500, 0.504]


def around(mean, deviation=0.004):
    """Three seeds with this mean and standard deviation."""
    return [mean - deviation, mean, mean + deviation]


def two(a, b):
    return Ground({"a": around(a), "b": around(b)})


# ---- the examples that readers are given ----

EXPLAINED = (Path(__file__).parents[2] / "docs/verdicts.md").read_text(encoding="utf-8")


def test_the_examples_of_the_docs_are_what_the_rule_gives(monkeypatch):
    monkeypatch.setattr(Judge, "typical", lambda self, combination: Typical(0.004**2, TYPICAL_FREEDOM))
    ground = Ground({"a": [0.479, 0.484, 0.486]})
    assert ground.number("0.480", "accuracy(a)").reason == "0.480 lies inside 0.472 to 0.494."
    assert "the interval is 0.472 to 0.494" in " ".join(EXPLAINED.split())
    assert ground.number("0.472", "accuracy(a)").verdict == "differs"
    examples = {  # mean with dropout: verdict, share of the draws, and how the page gives it
        0.513: ("reproduced", 0.9999, "99.99 %"),
        0.502: ("undecided", 0.951, "95.1 %"),
        0.480: ("contradicted", 0.0001, "0.01 %"),
    }
    for mean, (verdict, share, printed) in examples.items():
        found = Ground({"a": around(mean), "b": around(0.496)}).claim("accuracy(a) > accuracy(b)")
        assert found.verdict == verdict
        assert found.share == pytest.approx(share, abs=0.006)
        assert found.settles == pytest.approx(0.0072, rel=0.04)
        assert f"{printed} of the draws" in EXPLAINED
        assert found.seeds == (5 if verdict == "undecided" else None)
    assert EXPLAINED.count("settle 0.0072") == 1
    assert "3 seeds can only show differences above 0.0072;\n5 seeds would be enough" in EXPLAINED


def test_the_docs_explain_every_column_in_its_order():
    table = EXPLAINED[EXPLAINED.index("| column | holds |") :].partition("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    assert [name for row in rows for name in re.findall("`(.+?)`", row)] == list(STATEMENT_COLUMNS)


# ---- numbers as printed ----


def test_numbers_in_words():
    values = (0.51341, -2.0, 46.26, math.nan, math.inf, -math.inf, 3e20)
    assert [number(value) for value in values] == [
        *("0.5134", "-2", "46.3", "not finite", "diverged", "not finite", "3e20")
    ]
    assert number(0.48123, 3) == "0.481"


@pytest.mark.parametrize(
    ("text", "digits", "half"),
    [("0.480", 3, 0.0005), (".05", 2, 0.005), ("4", 0, 0.5), ("64.4", 1, 0.05), ("1e-3", 3, 0.0005)],
)
def test_the_digits_of_a_printed_number(text, digits, half):
    assert (decimals(text), half_unit(text)) == (digits, pytest.approx(half))


# ---- numbers ----


def test_a_number_is_reproduced_inside_the_interval_of_one_more_training():
    """Mean 0.48, three seeds of 0.004; s₀² = (4 · 0.005² + 2 · 0.004²) / 6 at 6 degrees of freedom, s̃² =
    (6 s₀² + 2 · 0.004²) / 8 at 8, where t is 2.306.
    """
    ground = Ground({"base": around(0.48)})
    typical = (4 * 0.005**2 + 2 * 0.004**2) / 6
    reach = 2.306 * math.sqrt((6 * typical + 2 * 0.004**2) / 8) * math.sqrt(1 + 1 / 3)
    found = ground.number("0.480", "accuracy(base)")
    assert (found.verdict, found.measured, found.spread, found.n) == ("reproduced", "0.4800", "0.0040", 3)
    assert found.settles == pytest.approx(reach + 0.0005, rel=0.02)
    for sign in (1, -1):
        inside, outside = (f"{0.48 + sign * (reach + far):.4f}" for far in (-0.0004, 0.0006))
        assert ground.number(inside, "accuracy(base)").verdict == "reproduced"
        assert ground.number(outside, "accuracy(base)").verdict == "differs"


def test_the_reason_of_a_number_gives_the_interval():
    ground = Ground({"base": around(0.48)})
    for reported, where in (("0.480", "inside"), ("0.55", "outside")):
        found = ground.number(reported, "accuracy(base)")
        low, high = map(float, re.findall(rf"^{reported} lies {where} (.*) to (.*)\.$", found.reason)[0])
        assert (low + high) / 2 == pytest.approx(0.48, abs=0.001)
        assert (high - low) / 2 == pytest.approx(found.settles, abs=10 ** -places(found.settles))


@pytest.mark.parametrize(
    ("values", "text", "reported", "low", "high"),
    [
        ({"accuracy": {"a": [0.02]}}, "100 * accuracy(a)", "3.1", 0, None),
        ({"accuracy": {"a": [0.995]}}, "100 * accuracy(a)", "99.4", None, 100),
        ({"accuracy": {"a": [0.004]}}, "accuracy(a)", "0.0", 0, None),
        ({"accuracy": {"a": [0.003, 0.002]}}, "1 - accuracy(a)", "1.0", None, 1),
        ({"accuracy": {"a": [0.996]}}, "-1 * accuracy(a)", "-1.0", -1, None),
        ({"accuracy": {"a": [0.001], "b": [0.998]}}, "accuracy(a) - accuracy(b)", "-1.0", -1, None),
        ({"loss": {"a": [0.001]}}, "loss(a)", "0.0", 0, None),
        ({"best_epoch": {"a": [1, 1, 2]}}, "best_epoch(a)", "1", 1, None),
        ({"accuracy": {"a": [0.001], "b": [0.002]}}, "(accuracy(a) + accuracy(b)) / 2", "0.0", 0, None),
    ],
)
def test_no_interval_reaches_beyond_what_a_value_can_be(values, text, reported, low, high):
    found = Ground(values).number(reported, text)
    assert found.verdict in ("reproduced", "differs")
    shown = re.findall(r"(-?[\d.]+) to (-?[\d.]+)\.$", found.reason)[0]
    for end, bound, said in ((found.low, low, shown[0]), (found.high, high, shown[1])):
        assert bound is None or end == bound == float(said)
    assert found.low < found.high


@pytest.mark.parametrize("loss", [0.05, 0.5, 2.0, 7.0, 25.0])
def test_a_difference_that_seeds_can_show_is_printed_without_idle_zeros(loss):
    found = Ground({"loss": {"a": [loss, 1.3 * loss], "b": [1.1 * loss, 1.4 * loss]}}).claim(
        "loss(a) < loss(b)"
    )
    (said,) = re.findall(r"only show differences above ([\d.]+);", found.reason)
    assert found.verdict == "undecided"
    assert float(said) == pytest.approx(found.settles, rel=0.01)
    assert not re.search(r"^[1-9].*\..*0$", said)


def test_a_mean_of_three_lies_nearer_than_one_training():
    ground = Ground({"base": around(0.48)})
    one, three = (np.ptp(ground.interval("accuracy(base)", of)) for of in (1, 3))
    assert three / one == pytest.approx(math.sqrt((1 / 3 + 1 / 3) / (1 + 1 / 3)), rel=0.03)
    assert ground.number("0.490", "accuracy(base)").verdict == "reproduced"
    assert ground.number("0.490", "accuracy(base)", of=3).verdict == "differs"


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        *(("4", "reproduced"), ("4.4", "differs"), ("4.5", "reproduced")),
        *(("4.54", "differs"), ("5", "reproduced"), ("6", "differs")),
    ],
)
def test_half_a_unit_of_the_last_printed_digit(reported, verdict):
    ground = Ground({"parameters": {"net": [4.5]}})
    assert ground.number(reported, "parameters(net)").verdict == verdict


def test_about_widens_the_interval():
    ground = Ground({"parameters": {"net": [0.66]}})
    assert ground.number("0.63", "parameters(net)").verdict == "differs"
    assert ground.number("0.63", "parameters(net)", about=0.025).verdict == "reproduced"  # the end is inside
    assert ground.number("0.63", "parameters(net)", about=0.024).verdict == "differs"


def test_exact_numbers_agree_to_the_printed_digit():
    ground = Ground({"parameters": {"net": [10164.0] * 2}})
    assert ground.number("10164", "parameters(net)").verdict == "reproduced"
    assert ground.number("10165", "parameters(net)").verdict == "differs"


def test_one_seed_has_no_spread_and_a_verdict():
    ground = Ground({"base": [0.48]})
    found = ground.number("0.49", "accuracy(base)")
    assert (found.verdict, found.spread, found.n) == ("reproduced", "", 1)
    assert ground.number("0.51", "accuracy(base)").verdict == "differs"


def test_other_configurations_sharpen_what_one_shows():
    beside = {f"other/c={place}": around(0.3 + place / 10, 0.001) for place in range(5)}
    alone, among = (
        Ground({"base": [0.48]}),
        Ground({"base": [0.48], **beside}, named=["mean(accuracy(other))"]),
    )
    assert np.ptp(among.interval("accuracy(base)")) < 0.6 * np.ptp(alone.interval("accuracy(base)"))


@pytest.mark.parametrize(("diverged", "verdict"), [(1, "reproduced"), (3, "differs")])
def test_a_diverged_training_is_a_result(diverged, verdict):
    losses = [2.3, 2.31, 2.32][diverged:] + [math.nan] * diverged
    ground = Ground({"loss": {"base": losses}})
    found = ground.number("2.31", "loss(base)")
    assert (found.verdict, found.measured) == (verdict, "diverged")
    assert ("the trainings diverged, so nothing agrees with 2.31" in found.reason) == (diverged == 3)


def test_what_is_not_a_number_agrees_with_nothing():
    found = Ground({"base": [math.nan, math.nan]}).number("0.5", "accuracy(base)")
    assert (found.verdict, found.measured) == ("differs", "not finite")
    assert found.reason == "there is no such value, so nothing agrees with 0.5."


def test_between_the_ways_that_trainings_come_out_is_no_agreement():
    beside = {f"other/c={place}": around(0.3 + place / 10) for place in range(5)}
    ground = Ground({"base": [0.1, 0.5, 0.5], **beside}, named=["mean(accuracy(other))"])
    for reported, verdict in (("0.100", "reproduced"), ("0.500", "reproduced"), ("0.300", "differs")):
        found = ground.number(reported, "accuracy(base)")
        assert found.verdict == verdict
        assert ("in a gap between the ways that trainings come out" in found.reason) == (verdict == "differs")
        assert found.notes == (
            "The seeds of base come out in more than one way; the draws mix the ways that were seen.",
        )


def test_moving_the_report_away_never_turns_differs_into_reproduced():
    rng = np.random.default_rng(1)
    for _ in range(15):
        ground = Ground({"base": rng.normal(0.5, 0.01, rng.integers(1, 5)).tolist()})
        middle = sum(ground.interval("accuracy(base)")) / 2
        for side in (-1, 1):
            values = [f"{middle + side * far:.4f}" for far in np.sort(rng.uniform(0, 0.1, 8))]
            verdicts = [ground.number(value, "accuracy(base)").verdict for value in values]
            assert verdicts == sorted(verdicts, reverse=True)  # reproduced …, then differs …


# ---- claims of one relation ----


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        *((0.52, 0.50, "reproduced"), (0.504, 0.50, "undecided"), (0.50, 0.50, "undecided")),
        *((0.496, 0.50, "undecided"), (0.48, 0.50, "contradicted")),
    ],
)
def test_an_order_in_each_direction(a, b, verdict):
    opposite = {"reproduced": "contradicted", "contradicted": "reproduced"}.get(verdict, verdict)
    ground = two(a, b)
    for text, expected in (
        ("accuracy(a) > accuracy(b)", verdict),
        ("accuracy(a) >= accuracy(b)", verdict),
        ("accuracy(b) < accuracy(a)", verdict),
        ("accuracy(b) <= accuracy(a)", verdict),
        ("accuracy(a) < accuracy(b)", opposite),
        ("not accuracy(a) > accuracy(b)", opposite),
        ("not (accuracy(a) < accuracy(b))", verdict),
    ):
        assert ground.claim(text).verdict == expected, text


def test_the_share_of_draws_is_that_of_students_t():
    """By an order of 0.005 of three seeds: s̃² of 0.000019 at 12 degrees of freedom on each side."""
    ground = two(0.505, 0.5)
    typical = Typical.of([(0.004**2, 2)] * 2, 0.005)
    variance, _ = typical.moderated(0.004**2, 2)
    found = ground.claim("accuracy(a) > accuracy(b)")
    z = 0.005 / math.sqrt(2 * variance / 3)
    assert found.share == pytest.approx(0.5 + 0.5 * math.erf(z / math.sqrt(2)), abs=0.02)
    assert found.settles == pytest.approx(1.96 * math.sqrt(2 * variance / 3), rel=0.15)


def test_equals_without_scatter():
    ground = Ground({"parameters": {"a": [4.0], "b": [4.0], "c": [5.0]}})
    verdicts = {
        "parameters(a) > parameters(b)": "contradicted",
        "parameters(a) >= parameters(b)": "reproduced",
        "parameters(a) <= parameters(b)": "reproduced",
        "not parameters(a) > parameters(b)": "reproduced",
        "parameters(c) > parameters(b)": "reproduced",
        "within(parameters(a), parameters(b), 0.1)": "reproduced",
        "within(parameters(a), parameters(c), 0.5)": "contradicted",
    }
    assert {text: ground.claim(text).verdict for text in verdicts} == verdicts
    assert ground.claim("parameters(a) > parameters(b)").measured == "4 = 4"


@pytest.mark.parametrize(
    ("b", "margin", "verdict"),
    [
        *((0.50, 0.02, "reproduced"), (0.51, 0.02, "reproduced"), (0.517, 0.02, "undecided")),
        *((0.523, 0.02, "undecided"), (0.53, 0.02, "contradicted"), (0.47, 0.02, "contradicted")),
        (0.50, 0.005, "undecided"),
    ],
)
def test_within_in_each_direction(b, margin, verdict):
    found = two(0.50, b).claim(f"within(accuracy(a), accuracy(b), {margin})")
    assert found.verdict == verdict
    assert found.measured == f"0.5000 and {b:.4f} differ by {abs(0.5 - b):.4f}"
    assert ("within" if abs(0.5 - b) <= margin else "beyond") + f" the margin of {margin:g}" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "within(parameters(a) / 1e6, 2.5, 0.1)",
        "within(parameters(b) / 1e6, parameters(a) / 1e6, 0.1)",
        "parameters(a) / 1e6 - 2.3 <= 0.1",
        "0.1 + 0.2 >= parameters(a) * 1.25e-7",
        "0.1 + 0.2 <= parameters(a) * 1.25e-7",
        "not parameters(a) / 1e6 - 2.3 > 0.1",
        "not parameters(a) / 1e6 - 2.3 < 0.1",
    ],
)
def test_what_only_binary_fractions_keep_apart_is_equal(text):
    found = Ground({"parameters": {"a": [2.4e6], "b": [2.5e6]}}).claim(text)
    assert found.verdict == "reproduced"
    assert "within the margin of 0.1" in found.reason or re.search(r"(\S+) equals \1;", found.reason)
    apart = Ground({"parameters": {"a": [2.4e6 + 1], "b": [2.4e6]}})
    assert apart.claim("parameters(a) > parameters(b)").verdict == "reproduced"


@pytest.mark.parametrize(
    "form", ["within(accuracy(a), accuracy(b), {})", "-{0} < accuracy(a) - accuracy(b) < {0}"]
)
@pytest.mark.parametrize("margin", ["0.00005", "0.0005"])
def test_a_margin_that_seeds_cannot_resolve_is_left_open(form, margin):
    text = form.format(margin)
    equal = two(0.5, 0.5).claim(text)
    assert (equal.verdict, two(0.5, 0.52).claim(text).verdict) == ("undecided", "contradicted")
    opposite = two(0.5, 0.5).claim(f"not ({text})")
    assert opposite.verdict == "undecided"
    if margin == "0.00005":
        why = NARROW if "within" in form else SHARED
        assert equal.share < 0.025
        assert equal.notes == opposite.notes == (why,)


def test_a_diverged_loss_is_worse_than_any_other():
    ground = Ground({"loss": {"a": [math.nan] * 2, "b": [2.0, 2.1]}})
    assert ground.claim("loss(a) > loss(b)").verdict == "reproduced"
    assert ground.claim("loss(a) < loss(b)").verdict == "contradicted"
    assert ground.claim("within(loss(a), loss(b), 0.1)").verdict == "contradicted"
    assert ground.claim("loss(a) > loss(b)").reason.startswith(
        "diverged on the left, 2.0500 on the right; it"
    )


def test_a_seed_that_diverged_scatters_more_than_those_that_did_not():
    ground = Ground({"loss": {"a": [0.8, math.nan, 0.82], "b": [0.9, 0.91, 0.93], "c": [math.nan, 1.0]}})
    found = ground.claim("spread(loss(a)) > spread(loss(b))")
    assert (found.verdict, found.measured) == ("reproduced", "spread diverged and 0.0167")
    assert ground.claim("spread(loss(b)) > spread(loss(a))").verdict == "contradicted"
    assert ground.claim("spread(loss(a)) > spread(loss(c))").verdict == "undecided"


def test_of_two_that_diverged_neither_is_worse():
    ground = Ground({"loss": {"a": [math.nan] * 2, "b": [math.inf] * 3}})
    for text in ("loss(a) > loss(b)", "loss(a) <= loss(b)", "within(loss(a), loss(b), 0.1)"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # users do not see NumPy's
            found = ground.claim(text)
        assert (found.verdict, found.reason[:40]) == (
            "undecided",
            "diverged on the left, diverged on the right"[:40],
        )


@pytest.mark.parametrize("lost", [(2, 2), (1, 1), (1, 0), (0, 2)])
@pytest.mark.parametrize(
    "text",
    [
        *("loss(a) > loss(b)", "loss(a) - loss(b) <= 0.1", "within(loss(a), loss(b), 0.1)"),
        *("best(loss(set)) > loss(b)", "max(loss(set)) > loss(b)", "every(loss(set) > loss(b))"),
        *("share(loss(set) > 0.1) > 0.3", "spread(loss(a)) > spread(loss(b))", "not loss(a) > loss(b)"),
        *('argbest(loss(set)) == "set/c=0"', 'effect(loss(set), "c") > 0.1'),
    ],
)
def test_diverged_trainings_warn_of_nothing(text, lost):
    a, b = ([math.nan] * diverged + [2.0, 2.1][: 2 - diverged] for diverged in lost)
    ground = Ground({"loss": {"a": a, "b": b, "set/c=0": a, "set/c=1": b}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ground.claim(text)
        number = ground.number("2.0", "loss(a) - loss(b)")
    assert "nan" not in found.reason + found.measured + found.spread
    assert number.verdict in ("reproduced", "differs")


def test_of_what_is_not_a_number_nothing_can_be_said():
    ground = Ground({"a": [math.nan] * 3, "b": around(0.5)})
    for text in ("accuracy(a) > accuracy(b)", "within(accuracy(a), accuracy(b), 0.1)"):
        found = ground.claim(text)
        assert (found.verdict, found.measured[:10]) == ("undecided", "not finite")


def test_differences_within_a_run_are_taken_run_by_run():
    """Seeds that shift both alike say nothing against their difference."""
    shift = np.array([-0.05, 0.0, 0.05])
    metrics = {"accuracy": {"a": list(0.5 + shift)}, "precision_macro": {"a": list(0.51 + shift)}}
    assert Ground(metrics).claim("precision_macro(a) > accuracy(a)").verdict == "reproduced"
    apart = {"accuracy": {"a": list(0.5 + shift)}, "precision_macro": {"b": list(0.51 + shift)}}
    assert Ground(apart).claim("precision_macro(b) > accuracy(a)").verdict == "undecided"


def test_seeds_of_one_configuration_are_drawn_once_in_a_claim():
    """Whichever side it stands on: of a > b and b > a one holds in each draw, never both."""
    ground = two(0.501, 0.5)
    both = "accuracy(a) > accuracy(b)", "accuracy(b) > accuracy(a)"
    assert ground.claim(" or ".join(both)).share == 1
    assert ground.claim(" and ".join(both)).share == 0
    assert ground.claim("3 * accuracy(a) > 3 * accuracy(b) and accuracy(b) > accuracy(a)").share == 0
    shares = [ground.claim(text).share for text in both]
    assert sum(shares) == pytest.approx(1)
    ends = "accuracy(a) - precision_macro(a) > 0", "precision_macro(a) - accuracy(a) > 0"
    values = {"accuracy": {"a": around(0.5)}, "precision_macro": {"a": [0.502, 0.499, 0.5]}}
    assert Ground(values).claim(" or ".join(ends)).share == 1


# ---- spreads ----


def test_spreads_in_each_direction():
    steady = {f"steady/c={place}": around(0.3 + place / 10, 0.01) for place in range(5)}
    for deviation, verdict in ((0.024, "reproduced"), (0.02, "undecided"), (0.01, "undecided")):
        ground = Ground({"shaky": around(0.5, deviation), **steady})
        opposite = verdict.replace("reproduced", "contradicted")
        assert ground.claim("spread(accuracy(shaky)) > spread(accuracy(steady))").verdict == verdict
        assert ground.claim("spread(accuracy(shaky)) < spread(accuracy(steady))").verdict == opposite
        assert ground.claim("spread(accuracy(steady)) < spread(accuracy(shaky))").verdict == verdict
    found = ground.claim("spread(accuracy(shaky)) > spread(accuracy(steady))")
    assert found.measured == "spread 0.0100 and 0.0100"
    assert (
        found.reason
        == f"the seeds scatter by 0.0100 and 0.0100; it holds in {100 * found.share:.1f} % of the draws."
    )


def test_a_spread_needs_two_seeds():
    ground = Ground({"a": [0.5], "b": around(0.5)})
    found = ground.claim("spread(accuracy(a)) > spread(accuracy(b))")
    assert (found.verdict, found.measured) == ("not run", "")
    assert "needs a configuration with two trained seeds on each side" in found.reason


# ---- claims of many parts: with nothing known, nothing is settled ----


def equal(k, n=3, deviation=0.004):
    """k configurations, all with the same seeds, and one more."""
    cells = {f"set/c={place}": around(0.5, deviation)[:n] for place in range(k)}
    return Ground({**cells, "base": around(0.5, deviation)[:n]})


def parts(k, join):
    return join.join(f'accuracy("set/c={place}") > accuracy(base)' for place in range(k))


@pytest.mark.parametrize("k", [2, 6, 12])
@pytest.mark.parametrize(
    "claim",
    [
        *("and", "or", "every(accuracy(set) > 0.5)", "some(accuracy(set) > 0.5)"),
        *("every(accuracy(set) > accuracy(base))", "some(accuracy(set) > accuracy(base))"),
        *("best(accuracy(set)) > accuracy(base)", "accuracy(base) > best(accuracy(set))"),
        *("min(accuracy(set)) > accuracy(base)", "accuracy(base) > min(accuracy(set))"),
        *('argbest(accuracy(set)) == "set/c=0"', 'argmin(accuracy(set)) == "set/c=0"'),
        *('not argbest(accuracy(set)) == "set/c=0"', "not every(accuracy(set) > accuracy(base))"),
        *("not some(accuracy(set) > 0.5)", "every(not accuracy(set) > 0.5)"),
    ],
)
def test_of_many_parts_of_which_nothing_is_known_nothing_is_settled(k, claim):
    text = parts(k, f" {claim} ") if claim in ("and", "or") else claim
    assert equal(k).claim(text).verdict == "undecided"


@pytest.mark.parametrize("k", [2, 5, 9])
def test_an_effect_of_which_nothing_is_known(k):
    grid = {f"grid/lr={a},decay={b}": around(0.5) for a in range(k) for b in range(2)}
    ground = Ground(grid)
    lr, decay = ('effect(accuracy(grid), "lr")', 'effect(accuracy(grid), "decay")')
    for text in (f"{lr} > {decay}", f"{decay} > {lr}", f"{lr} > 0.001", f"{lr} < 0.002"):
        assert ground.claim(text).verdict == "undecided", text


def test_many_parts_that_are_clear_settle_a_claim():
    clear = {f"set/c={place}": around(0.55 + place / 100) for place in range(6)}
    ground = Ground({**clear, "base": around(0.5), "low": around(0.45), "middle": around(0.565)})
    verdicts = {
        parts(6, " and "): "reproduced",
        parts(6, " or "): "reproduced",
        "every(accuracy(set) > accuracy(base))": "reproduced",
        "every(accuracy(set) < accuracy(base))": "contradicted",
        "every(accuracy(set) > accuracy(middle))": "contradicted",  # one does not
        "some(accuracy(set) > accuracy(middle))": "reproduced",
        "some(accuracy(set) < accuracy(low))": "contradicted",
        "share(accuracy(set) > accuracy(base)) > 0.9": "reproduced",
        "share(accuracy(set) > accuracy(base)) < 0.9": "contradicted",
        "best(accuracy(set)) > accuracy(middle)": "reproduced",
        "best(accuracy(set)) < accuracy(middle)": "contradicted",
        'argbest(accuracy(set)) == "set/c=0"': "contradicted",
        'argmin(accuracy(set)) == "set/c=5"': "contradicted",
        "mean(accuracy(set)) > accuracy(base)": "reproduced",
    }
    assert {text: ground.claim(text).verdict for text in verdicts} == verdicts


def test_best_is_the_largest_accuracy_and_the_smallest_loss():
    ground = Ground({"loss": {"set/c=0": [1.0] * 2, "set/c=1": [2.0] * 2, "base": [1.5] * 2}})
    assert ground.claim("best(loss(set)) < loss(base)").verdict == "reproduced"
    assert ground.claim('argbest(loss(set)) == "set/c=0"').verdict == "reproduced"
    assert ground.number("1.0", "best(loss(set))").measured == "1.000"
    ground = Ground({"accuracy": {"set/c=0": [0.2] * 2, "set/c=1": [0.4] * 2}})
    assert ground.number("0.40", "best(accuracy(set))").measured == "0.4000"
    assert ground.claim('argbest(accuracy(set)) == "set/c=1"').verdict == "reproduced"


def test_a_set_of_one_is_its_one():
    ground = Ground({"one/c=0": around(0.6), "base": around(0.5)})
    for function in ("every", "some"):
        assert ground.claim(f"{function}(accuracy(one) > accuracy(base))").verdict == "reproduced"
    for function in ("best", "mean", "max", "min"):
        assert ground.claim(f"{function}(accuracy(one)) > accuracy(base)").verdict == "reproduced"
    assert ground.claim("share(accuracy(one) > accuracy(base)) >= 1").verdict == "reproduced"
    assert ground.claim("argbest(accuracy(one)) == one").verdict == "not run"


def test_one_of_each_configuration_can_be_compared_with_them_all():
    """In each instance, `mean(…)` stays that of all."""
    cells = {f"set/c={place}": around(0.5) for place in range(4)}
    above, mixed = Ground(cells), Ground({**cells, "set/c=9": around(0.7)})
    assert above.claim("every(accuracy(set) < mean(accuracy(set)) + 0.02)").verdict == "reproduced"
    assert mixed.claim("every(accuracy(set) < mean(accuracy(set)) + 0.02)").verdict == "contradicted"
    assert mixed.claim('some(accuracy("set/c=9") > accuracy(set))').verdict == "reproduced"
    assert mixed.claim('every(accuracy("set/c=9") >= accuracy(set))').verdict == "reproduced"  # itself, too


# ---- what is missing ----


def test_what_was_not_trained_is_not_run_unless_the_rest_settles_it():
    ground = Ground({"a": around(0.6), "b": around(0.5), "gone": [None]})
    better, worse, unknown = (
        "accuracy(a) > accuracy(b)",
        "accuracy(a) < accuracy(b)",
        "accuracy(gone) > accuracy(b)",
    )
    assert ground.claim(unknown).verdict == "not run"
    assert ground.claim(f"{better} and {unknown}").verdict == "not run"
    assert ground.claim(f"{worse} and {unknown}").verdict == "contradicted"
    assert ground.claim(f"{better} or {unknown}").verdict == "reproduced"
    assert ground.claim(f"{worse} or {unknown}").verdict == "not run"
    assert ground.claim(f"not {unknown}").verdict == "not run"
    found = ground.claim(unknown)
    assert found.reason == "gone is not trained yet."


def test_a_spread_over_configurations_of_which_one_is_missing_is_not_run():
    """Where each has a seed, those with two tell; where one has none, its spread could be any."""
    wide, steady = around(0.5, 0.1), around(0.5, 0.001)
    said = "spread(accuracy(set)) > spread(accuracy(b))"
    whole = Ground({"set/c=1": wide, "set/c=2": wide, "b": steady})
    assert whole.claim(said).verdict == "reproduced"
    short = Ground({"set/c=1": wide, "set/c=2": [0.5], "b": steady})
    assert short.claim(said).verdict == "reproduced"
    gone = Ground({"set/c=1": wide, "set/c=2": [None], "b": steady}).claim(said)
    assert (gone.verdict, gone.reason) == ("not run", "set/c=2 is not trained yet.")


# ---- reasons and power ----


def test_the_reason_of_a_settled_claim():
    found = two(0.52, 0.5).claim("accuracy(a) > accuracy(b)")
    assert found.measured == "0.5200 > 0.5000"
    settles = number(found.settles)
    seen = "0.5200 exceeds 0.5000 by 0.0200"
    assert found.reason == f"{seen}; 3 seeds can show differences above about {settles}."
    assert (found.seeds, found.notes) == (None, ())
    alone = Ground({"a": [0.6], "b": [0.5]}).claim("accuracy(a) > accuracy(b)")
    assert alone.reason.endswith(f"; one seed can show differences above about {number(alone.settles)}.")


def test_how_many_seeds_would_settle_it():
    """The claimed difference, else the measured one; draws of an average narrow by √n."""
    ground = two(0.504, 0.5)
    found = ground.claim("accuracy(a) > accuracy(b)", claimed=0.006)
    expected = math.ceil(3 * (found.settles / 0.006) ** 2)
    assert (found.verdict, found.seeds, found.claimed) == ("undecided", expected, 0.006)
    assert found.reason == (
        f"0.5040 exceeds 0.5000 by 0.0040; the report's numbers differ by 0.0060; 3 seeds can only show "
        f"differences above {number(found.settles)}; {expected} seeds would be enough."
    )
    measured = ground.claim("accuracy(a) > accuracy(b)")
    assert measured.seeds == math.ceil(3 * (measured.settles / 0.004) ** 2) > expected
    tiny = two(0.50001, 0.5).claim("accuracy(a) > accuracy(b)")
    assert tiny.seeds > MOST_SEEDS
    assert tiny.reason.endswith(f"; more than {MOST_SEEDS} seeds would be needed.")
    same = two(0.5, 0.5).claim("accuracy(a) > accuracy(b)")
    assert same.reason.startswith("0.5000 equals 0.5000; 3 seeds can only show differences above ")


def test_so_many_seeds_do_settle_it():
    few = two(0.504, 0.5).claim("accuracy(a) > accuracy(b)")
    values = np.linspace(-1.2247, 1.2247, few.seeds)
    values = 0.004 * values / values.std(ddof=1)
    many = Ground({"a": list(0.504 + values), "b": list(0.5 + values)})
    assert many.claim("accuracy(a) > accuracy(b)").verdict == "reproduced"


def test_the_seeds_that_settle_a_margin_count_what_is_left_to_it():
    found = two(0.5, 0.516).claim("within(accuracy(a), accuracy(b), 0.02)")
    assert found.verdict == "undecided"
    assert found.seeds == math.ceil(3 * (found.settles / 0.004) ** 2)


def test_what_a_part_has_to_show_among_many():
    """Clear alone, open among twelve: the reason gives the level that they share."""
    cells = {f"set/c={place}": around(0.5) for place in range(12)}
    values = {**cells, "set/c=0": around(0.5085), "base": around(0.5)}
    ground = Ground(values, named=["mean(accuracy(set))"])
    alone = ground.claim('accuracy("set/c=0") > accuracy(base)')
    among = ground.claim("some(accuracy(set) > accuracy(base))")
    assert (alone.verdict, among.verdict) == ("reproduced", "undecided")
    assert among.settles == pytest.approx(alone.settles * 2.865 / 1.96, rel=0.1)  # z at 2.5 % / 12
    assert "0.5085 exceeds 0.5000 by 0.0085" in among.reason
    assert " in one of 12 comparisons; " in among.reason
    assert among.share > 0.975
    assert among.notes == (SHARED,)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("accuracy(low) > accuracy(base) or accuracy(high) > accuracy(base)", "high"),
        ("accuracy(low) > accuracy(base) and accuracy(high) > accuracy(base)", "low"),
        ("not (accuracy(low) > accuracy(base) and accuracy(high) > accuracy(base))", "low"),
        ("not (accuracy(low) > accuracy(base) or accuracy(high) > accuracy(base))", "high"),
    ],
)
def test_the_reason_is_the_part_that_decides(text, named):
    ground = Ground({"low": around(0.4), "base": around(0.5), "high": around(0.6)})
    assert ground.claim(text).reason.startswith(f"test accuracy of {named} > test accuracy of base: ")


def test_of_many_configurations_the_reason_names_the_one_that_decides():
    cells = {f"set/c={place}": around(0.6) for place in range(8)}
    ground = Ground({**cells, "set/c=5": around(0.4), "base": around(0.5)})
    found = ground.claim("every(accuracy(set) > accuracy(base))")
    assert found.verdict == "contradicted"
    assert found.reason.startswith(
        "test accuracy of set > test accuracy of base (set/c=5): 0.4000 falls short of"
    )
    assert found.measured == "0.4000 < 0.5000 (8 relations, the most telling one)"
    few = ground.claim('every(accuracy("set/c=5") > accuracy(base)) and accuracy(base) > 0.1')
    assert few.measured == "0.4000 < 0.5000; 0.5000 > 0.1000"


@pytest.mark.parametrize(
    ("text", "measured", "reason"),
    [
        (
            "not within(accuracy(a), accuracy(b), 0.02)",
            "0.5000 and 0.6000 differ by 0.1000",
            "0.5000 and 0.6000 differ by 0.1000, beyond the margin of 0.02; 3 seeds can show",
        ),
        (
            "not argbest(accuracy(set)) == a",
            "largest is set/b (0.6000)",
            "the best of those named has 0.5000, the best of the others 0.6000; 3 seeds can show",
        ),
    ],
)
def test_what_does_not_hold_is_told_in_its_own_words(text, measured, reason):
    cells = {"a": around(0.5), "b": around(0.6)}
    ground = Ground(cells | {f"set/{name}": seeds for name, seeds in cells.items()})
    found = ground.claim(text.replace("== a", '== "set/a"'))
    assert (found.verdict, found.measured) == ("reproduced", measured)
    assert reason in found.reason


# ---- winners of a search ----


def searched(scores, accuracies, n=1):
    trials = {f"search/trial={place}": [value] * n for place, value in enumerate(accuracies)}
    chosen = {f"search/trial={place}": [value] * n for place, value in enumerate(scores)}
    return Ground({**trials, "base": around(0.5)}, validation=chosen, named=["accuracy(base)"])


def test_more_seeds_do_not_tell_how_another_search_ends():
    ground = searched([0.9, 0.5, 0.5, 0.5], [0.53, 0.52, 0.48, 0.48])
    found = ground.claim("accuracy(winner) > accuracy(base)")
    assert (found.verdict, found.seeds) == ("undecided", None)
    assert found.reason.endswith(f"; these draws can only show differences above {found.settles:.4f}.")


def test_which_trial_wins_is_not_left_open_by_several_relations():
    accuracies = [0.9] * 3 + [0.1] * 9
    found = searched(accuracies, accuracies).claim('argbest(accuracy(search)) == "search/trial=3"')
    assert (found.verdict, found.share < 0.025) == ("undecided", True)
    assert len(found.notes) == 1
    assert found.notes[0].endswith("depends on the draw, so such a claim is never contradicted.")


def test_the_winner_is_picked_by_validation_and_is_one_training():
    ground = searched([0.9, 0.5, 0.5, 0.5], [0.6, 0.7, 0.4, 0.4])
    found = ground.number("0.600", "accuracy(winner)")
    assert (found.verdict, found.measured, found.n, found.spread) == ("reproduced", "0.6000", 1, "")
    assert len(found.notes) == 1
    assert (
        "Measured in run search/trial=0-0 of search/trial=0, the best of 4 by validation accuracy"
        in found.notes[0]
    )
    assert ground.number("0.900", "accuracy(winner)").verdict == "differs"
    assert ground.claim("accuracy(winner) > accuracy(base) - 0.2").verdict == "reproduced"


def test_another_search_may_draw_no_such_trial():
    """One of four is missing in a third of the searches, and then the next best wins."""
    low, high = searched([0.9, 0.5, 0.5, 0.5], [0.6, 0.4, 0.4, 0.4]).interval("accuracy(winner)")
    assert low < 0.41
    assert high > 0.6
    low, high = searched([0.9, 0.9, 0.9, 0.9, 0.5], [0.6, 0.6, 0.6, 0.6, 0.4]).interval("accuracy(winner)")
    assert low > 0.57


def test_quantities_of_a_winner_are_those_of_one_run():
    trials = {f"search/trial={place}": [0.4 + place / 10] for place in range(4)}
    values = {"accuracy": trials, "precision_macro": {name: [a + 0.02] for name, (a,) in trials.items()}}
    ground = Ground(values, validation=trials)
    assert np.ptp(ground.interval("precision_macro(winner) - accuracy(winner)")) < 0.06
    assert np.ptp(ground.interval("accuracy(winner)")) > 0.15
    flipped = ground.interval("accuracy(winner) - precision_macro(winner)")
    assert flipped == pytest.approx(
        [-end for end in reversed(ground.interval("precision_macro(winner) - accuracy(winner)"))]
    )


def test_which_trial_wins_is_never_contradicted_and_more_seeds_do_not_tell():
    ground = searched([0.5] * 6, [0.4, 0.4, 0.4, 0.4, 0.4, 0.6])
    for place, verdict in ((0, "undecided"), (5, "undecided")):
        found = ground.claim(f'argbest(accuracy(search)) == "search/trial={place}"')
        assert found.verdict == verdict
        assert found.seeds is None
        assert f"it holds in {100 * found.share:.1f} % of the draws" in found.reason
    best = ground.claim('argbest(accuracy(search)) == "search/trial=5"')
    assert best.share == pytest.approx(1 - (5 / 6) ** 6, abs=0.02)


def test_a_search_that_is_not_complete_has_no_winner():
    ground = Ground({"search/trial=0": [0.5], "search/trial=1": [None]}, validation={"search/trial=0": [0.5]})
    assert ground.claim("accuracy(winner) > 0.1").verdict == "not run"
    assert "not every configuration of search is trained" in ground.claim("accuracy(winner) > 0.1").reason
