"""In which order runs settle most statements: made-up statements and seconds."""

import itertools
import random

import pytest

from reprise.planning import Aim, AimStage, order
from reprise.planning.priority import chance


def aim(statement, *runs, share=1.0):
    """A statement that these runs settle."""
    return Aim(statement, (AimStage(frozenset(runs), share),))


def staged(statement, *stages):
    """A statement that is settled in stages: the runs of each, and how likely then."""
    return Aim(statement, tuple(AimStage(frozenset(runs), share) for runs, share in stages))


def runs_of(steps):
    return [step.runs for step in steps]


def test_what_is_cheap_and_decisive_comes_before_what_is_dear():
    aims = [aim("dear", "d"), aim("cheap", "c"), aim("doubtful", "u", share=0.5)]
    steps = list(order(aims, {"d": 60.0, "c": 20.0, "u": 15.0}, {}))
    assert runs_of(steps) == [("c",), ("u",), ("d",)]
    assert [step.seconds for step in steps] == [20, 15, 60]
    assert [dict(step.statements) for step in steps] == [{"cheap": 1}, {"doubtful": 0.5}, {"dear": 1}]


def test_a_run_that_serves_several_statements_is_paid_for_once():
    """Alone the base is dearer for each of its three statements than the single run is for its own."""
    aims = [aim("single", "s"), *(aim(name, "base", name) for name in "abc")]
    seconds = {"s": 6.0, "base": 10.0, "a": 1.0, "b": 2.0, "c": 1.5}
    steps = list(order(aims, seconds, {}))
    assert runs_of(steps) == [("base", "a"), ("c",), ("b",), ("s",)]
    assert sum(step.seconds for step in steps) == sum(seconds.values())
    dearer = {**seconds, "base": 16.0}  # 3 statements in 20.5 s are fewer per second than 1 in 6 s
    assert runs_of(order(aims, dearer, {}))[0] == ("s",)


def test_a_set_settles_all_statements_that_it_covers():
    aims = [aim("small", "a"), aim("same", "a"), aim("large", "a", "b")]
    steps = list(order(aims, {"a": 5.0, "b": 100.0}, {}))
    assert [dict(step.statements) for step in steps] == [{"small": 1, "same": 1}, {"large": 1}]


def test_what_is_followed_comes_first_and_counts():
    follows = {"tuned": ["base"], "base": ["older"]}
    seconds = {"tuned": 1.0, "base": 5.0, "older": 10.0, "other": 12.0}
    steps = list(order([aim("tuned", "tuned"), aim("other", "other")], seconds, follows))
    assert runs_of(steps) == [("other",), ("older", "base", "tuned")]
    assert steps[1].seconds == 16
    there = {"tuned": 1.0, "other": 12.0}  # the others are done
    assert runs_of(order([aim("tuned", "tuned"), aim("other", "other")], there, follows))[0] == ("tuned",)


def test_a_study_is_done_as_a_whole_and_in_order():
    trials = [f"trial{number}" for number in range(1200)]  # more than Python's stack is deep
    follows = {run: [before] for before, run in itertools.pairwise(trials)}
    steps = list(order([aim("winner", *trials)], dict.fromkeys(reversed(trials), 1.0), follows))
    assert runs_of(steps) == [tuple(trials)]


def test_more_seeds_come_as_far_as_they_make_the_statement_likelier():
    undecided = staged("undecided", (["s1"], 0.5), (["s1", "s2"], 0.9))
    steps = list(order([undecided, aim("number", "n")], {"s1": 10.0, "s2": 10.0, "n": 15.0}, {}))
    assert runs_of(steps) == [("n",), ("s1",), ("s2",)]
    assert [step.statements for step in steps[1:]] == [{"undecided": 0.5}, {"undecided": 0.9}]


def test_a_statement_that_all_seeds_are_not_expected_to_settle_comes_last():
    hopeless = staged("hopeless", (["a"], 0.2), (["a", "b"], 0.49))
    steps = list(order([hopeless, aim("dear", "d")], {"a": 0.1, "b": 0.1, "d": 1e6}, {}))
    assert [(step.runs, step.last) for step in steps] == [(("d",), False), (("a", "b"), True)]


def test_runs_that_stand_first_are_done_first():
    begun_first = {"b": 3.0, "a": 9.0}
    assert runs_of(order([aim("both", "a", "b")], begun_first, {})) == [("b", "a")]


def test_nothing_is_asked_of_what_is_done():
    assert runs_of(order([aim("settled soon", "a", "b")], {"b": 1.0}, {})) == [("b",)]
    assert list(order([aim("nothing left", "a")], {}, {})) == []
    assert list(order([], {"a": 1.0}, {})) == []


@pytest.mark.parametrize("seed", range(5))
def test_every_run_comes_once_after_what_it_follows_and_every_statement_is_reached(seed):
    random_ = random.Random(seed)
    runs = [f"r{number}" for number in range(40)]
    follows = {run: random_.sample(runs[:place], min(place, 2)) for place, run in enumerate(runs)}
    aims = []
    for number in range(30):
        chosen = random_.sample(runs, random_.randint(1, 6))
        cut = random_.randint(1, len(chosen))
        aims.append(staged(f"s{number}", (chosen[:cut], 0.4), (chosen, random_.choice([0.45, 0.7, 1.0]))))
    seconds = {run: random_.uniform(1, 100) for run in runs}
    steps = list(order(aims, seconds, follows))
    done = []
    for step in steps:
        for run in step.runs:
            assert all(before in done for before in follows[run])
            done.append(run)
    assert len(done) == len(set(done))
    reached = {name: share for step in steps for name, share in step.statements.items()}
    assert reached == {one.statement: max(stage.share for stage in one.stages) for one in aims}
    assert sum(step.seconds for step in steps) == pytest.approx(sum(seconds[run] for run in done))


def test_power():
    """A half-width that equals the difference settles it every other time; one of half of it nearly always
    (Φ(1.96) = .975, Φ(0) = .5).
    """
    assert chance(3, 3) == pytest.approx(0.5)
    assert chance(4, 1) == pytest.approx(0.975)
    assert chance(1, 101) < 0.05
    assert chance(1, 0) == 1
    assert [chance(seeds, 5) for seeds in range(1, 9)] == sorted(chance(seeds, 5) for seeds in range(1, 9))
