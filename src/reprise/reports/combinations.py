"""What an experiment varies: the combinations of its axes' values, one for each cell.

A combination is (axis → value, or its name where values are named; path of a setting → value).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from reprise.errors import nearest
from reprise.reports.cells import text
from reprise.reports.experiments import Asha, Axis, Experiment, RandomSearch, SearchAxis
from reprise.reports.paths import beginnings, overridden

Combination = tuple[dict[str, Any], dict[str, Any]]
Fail = Callable[[Sequence[Any], str], NoReturn]
"""Says where in the experiment, and what is wrong."""


def combinations(experiment: Experiment, most_trials: int | None, fail: Fail) -> list[Combination]:
    """The combinations of an experiment, in the report file's order; of a search at most `most_trials`."""
    _check_paths(experiment, fail)
    if experiment.asha:
        return _sampled(experiment.asha, fail)[:most_trials]
    axes: Mapping[str, Axis] = experiment.grid or experiment.pointwise or {}
    if experiment.random:
        axes = experiment.random.space
    options = {axis: named(rule.values) for axis, rule in axes.items()}

    def combined(choice: Mapping[str, str]) -> Combination:
        shown: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        for axis, key in choice.items():
            rule, value = axes[axis], options[axis][key]
            shown[axis] = key if isinstance(rule.values, Mapping) else value
            changes |= _changes(rule, axis, key, value, fail)
        return shown, changes

    if experiment.grid:
        return [combined(dict(zip(axes, keys, strict=True))) for keys in itertools.product(*options.values())]
    if experiment.pointwise:
        return [({}, {}), *(combined({axis: key}) for axis in axes for key in options[axis])]
    if experiment.random:
        drawn = _drawn_without_repetition(experiment.random, options, fail)[:most_trials]
        return [
            ({"trial": index, **shown}, changes)
            for index, (shown, changes) in enumerate(map(combined, drawn))
        ]
    return [({}, {})]


def _check_paths(experiment: Experiment, fail: Fail) -> None:
    """Refuse axes, and named values, of which one leaves nothing of what another sets."""
    way = next((way for way in ("grid", "pointwise", "random", "asha") if getattr(experiment, way)), "")
    where = (way, "space") if way in ("random", "asha") else (way,)
    before: dict[str, str] = {}
    axis_of: dict[str, str] = {}
    for axis, rule in experiment.axes.items():
        named_sets = {} if rule.path or not isinstance(rule.values, Mapping) else rule.values
        for key, value in named_sets.items():
            if isinstance(value, Mapping) and (pair := overridden(value)):
                fail((*where, axis, "values", key, pair[0]), f"{pair[1]} takes its place; leave one out")
        if way == "pointwise" and rule.path is None:
            continue  # one value at a time
        sets = [value for value in named_sets.values() if isinstance(value, Mapping)]
        paths = [rule.path] if rule.path else [path for value in sets for path in value]
        known = {path: path for path in before.values()} if way == "pointwise" else before
        for path in paths:
            if pair := overridden([path], known):
                at, other = (*where, axis, *(["path"] if rule.path else [])), axis_of[pair[0]]
                if pair[0] == path:
                    fail(at, f"axis {other} sets {path} too; make one axis of the two")
                fail(at, f"{path} takes the place of {pair[0]}, which axis {other} sets; write {axis} first")
        before |= {key: path for key, path in beginnings(paths).items() if key not in before}
        axis_of |= dict.fromkeys((path for path in paths if path not in axis_of), axis)


def count(experiment: Experiment, most_trials: int | None) -> int:
    """Cells of an experiment in one reading, without making them."""
    values = [len(rule.values) for rule in (experiment.grid or experiment.pointwise or {}).values()]
    if experiment.grid:
        return math.prod(values)
    search = experiment.random or experiment.asha
    trials = search.trials if search else 1
    return min(trials, most_trials or trials) + sum(values)


def named(values: Sequence[Any] | Mapping[Any, Any]) -> dict[str, Any]:
    """The values of an axis by their names, or by themselves as text."""
    if isinstance(values, Mapping):
        return {text(name): value for name, value in values.items()}
    return {text(value): value for value in values}


def _changes(rule: Axis | SearchAxis, axis: str, key: str, value: Any, fail: Fail) -> dict[str, Any]:
    """Path of a setting → value, for one value of an axis."""
    if rule.path:
        return {rule.path: value}
    if not isinstance(value, Mapping):
        fail((), f"{axis}={key}: {value!r} is no mapping from paths to values, and the axis has no path")
    return dict(value)


def _sampled(search: Asha, fail: Fail) -> list[Combination]:
    """Independent draws, so that a shorter search has the first trials of a longer one."""
    generator = random.Random(search.seed)
    trials = []
    for index in range(search.trials):
        shown: dict[str, Any] = {"trial": index}
        changes: dict[str, Any] = {}
        for axis, rule in search.space.items():
            place = generator.random()
            value: Any
            if rule.values is None:
                value = shown[axis] = _at(rule, place, axis, fail)
            else:
                options = named(rule.values)
                name = list(options)[int(place * len(options))]
                value = options[name]
                shown[axis] = name if isinstance(rule.values, Mapping) else value
            changes |= _changes(rule, axis, text(shown[axis]), value, fail)
        trials.append((shown, changes))
    return trials


def _at(rule: SearchAxis, place: float, axis: str, fail: Fail) -> float:
    """The value at `place`, a share from 0 to 1, of a range; four significant digits, so that it is what
    readers see.
    """
    name = "uniform" if rule.uniform else "log_uniform"
    low, high = rule.uniform or rule.log_uniform or (0, 0)
    if low >= high:
        fail(
            ("asha", "space", axis, name),
            f"{low} is not below {high}; give the smallest and the largest value",
        )
    if rule.uniform:
        return float(f"{low + place * (high - low):.4g}")
    return float(f"{math.exp(math.log(low) + place * math.log(high / low)):.4g}")


def _drawn_without_repetition(
    search: RandomSearch, space: Mapping[str, Mapping[str, Any]], fail: Fail
) -> list[dict[str, str]]:
    """The combinations of `include`, then independent uniform draws."""
    size = math.prod(len(options) for options in space.values())
    if search.trials > size:
        fail(("random", "trials"), f"{search.trials} is more than the {size} combinations of the space")
    drawn: list[dict[str, str]] = []
    for index, given in enumerate(search.include):
        at = ("random", "include", index)
        for axis in given:
            if axis not in space:
                fail((*at, axis), f"unknown axis{nearest(axis, space)}")
        for axis, options in space.items():
            if axis not in given:
                fail(at, f"axis {axis} is missing; give every axis a value")
            if text(given[axis]) not in options:
                fail((*at, axis), f"{given[axis]!r} is not in the space{nearest(text(given[axis]), options)}")
        drawn.append({axis: text(given[axis]) for axis in space})
    generator = random.Random(search.seed)
    seen = {tuple(choice.values()) for choice in drawn}
    keys = {axis: list(options) for axis, options in space.items()}
    while len(drawn) < search.trials:
        choice = {axis: names[int(generator.random() * len(names))] for axis, names in keys.items()}
        if tuple(choice.values()) not in seen:
            seen.add(tuple(choice.values()))
            drawn.append(choice)
    return drawn[: search.trials]
