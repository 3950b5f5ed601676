"""Experiments of a report file: a base run and what is varied in it; and how smaller scales shrink them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from reprise.errors import nearest
from reprise.reports.cells import text
from reprise.reports.settings import Rungs
from reprise.reports.values import Name, Positive, Seeds, SettingPath, Text, whole
from reprise.schema import LOWER_CASE, Strict, either, form, titled

Set = dict[SettingPath, Any]
"""Path of a setting → the value that replaces it."""
_MEANING = form(
    r"^[a-z_]+((\.([A-Za-z0-9_]+|\*))*|=.+)$",
    "keys with dots between them, such as training.epochs, or a value of an axis, such as depth=two",
)
Meaning = dict[
    Annotated[str, StringConstraints(max_length=200, pattern=_MEANING)],
    Any,
]
"""As `Set`; and `axis=value` → the value that takes the place of that axis' value."""


def _no_trial(name: str) -> str:
    if name == "trial":
        raise PydanticCustomError("taken", "an axis cannot be called trial, as the trials of a search are")
    return name


AxisName = Annotated[
    str, StringConstraints(pattern=form(r"^[a-z][a-z0-9_]*$", LOWER_CASE)), AfterValidator(_no_trial)
]
Trials = Annotated[int, whole(1, 10_000)]
Interval = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""Smallest and largest value."""


Plain = Annotated[int | float | str | bool, either("a number, a text, true or false")]


def _each_once(values: list[Any]) -> list[Any]:
    written = [text(value) for value in values]
    for index, value in enumerate(written):
        if value in written[:index]:
            raise PydanticCustomError("twice", "{value} stands twice; leave one out", {"value": value})
    return values


_RANGES = (
    {"start", "stop"},
    {"start", "end"},
    {"from", "to"},
    {"first", "last"},
    {"begin", "end"},
    {"min", "max"},
)
_STEPS = {"step", "by", "num", "count", "steps"}
"""What other programs call the ends of a range, and how it is gone through."""


def _no_range(values: Any) -> Any:
    """Refuse a range in words, which would be two or three values with names."""
    if isinstance(values, dict) and all(type(value) in (int, float) for value in values.values()):
        names = {str(name) for name in values}
        if any(ends <= names <= ends | _STEPS for ends in _RANGES):
            what = "{names} would be {count} values with names, and no range; list the values: {listed}"
            found = {"names": ", ".join(map(str, values)), "count": len(values), "listed": _listed(values)}
            raise PydanticCustomError("unknown", what, found)
    return values


def _listed(values: dict[Any, float]) -> str:
    """The first and the last values of a range, as a list."""
    ends = next(ends for ends in _RANGES if ends <= {*values})
    low, high = sorted(values[end] for end in ends)
    step = abs(values.get("step", values.get("by", 0)))
    between = [f"{low + step:g}"] if step and low + step < high else []
    return f"[{', '.join([f'{low:g}', *between, '…', f'{high:g}'])}]"


Labels = dict[str | int | float | bool, Text]


def _labelled(axis: Axis | SearchAxis) -> None:
    """Refuse words for what the axis does not have."""
    known = [text(value) for value in axis.values or ()]
    for value in map(text, axis.labels):
        if value not in known:
            what = "labels: the axis has no value {value}{hint}"
            raise PydanticCustomError("unknown", what, {"value": value, "hint": nearest(value, known)})


class Axis(Strict):
    path: SettingPath | None = None
    """Setting that takes the values, or `seed`; absent: each named value is a `set` of its own."""
    values: (
        Annotated[list[Plain], Field(min_length=1), AfterValidator(_each_once)]
        | Annotated[dict[str | int | float | bool, Any], Field(min_length=1), AfterValidator(_no_range)]
    )
    """A list of plain values, or a mapping from a value's name to the value."""
    labels: Labels = {}
    """Value, or its name → the words for it in tables."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        _labelled(self)
        if self.path is None and not isinstance(self.values, dict):
            raise PydanticCustomError("no_path", "plain values need a path; add path, or name the values")
        return self


class SearchAxis(Strict):
    """An axis of a search: values, or a range and its distribution."""

    model_config = titled("an axis of a search")
    path: SettingPath | None = None
    """Setting that takes the values, or `seed`; absent: each named value is a `set` of its own."""
    values: list[Plain] | Annotated[dict[str | int | float | bool, Any], AfterValidator(_no_range)] | None = (
        None
    )
    """Values, or name → value, of which one is drawn."""
    uniform: Interval | None = None
    """Smallest and largest value of a range, drawn uniformly."""
    log_uniform: Interval | None = None
    """Smallest and largest value of a range, drawn so that each order of magnitude is as likely."""
    labels: Labels = {}
    """Value, or its name → the words for it in tables."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        _labelled(self)
        given = [name for name in ("values", "uniform", "log_uniform") if getattr(self, name) is not None]
        if len(given) != 1:
            what = "has {given}; give it one of values, uniform, log_uniform"
            raise PydanticCustomError("one_of", what, {"given": " and ".join(given) or "no values"})
        if self.path is None and not isinstance(self.values, dict):
            raise PydanticCustomError("no_path", "key path is missing (found: {given})", {"given": given[0]})
        return self


Axes = Annotated[dict[AxisName, Axis], Field(min_length=1)]


class RandomSearch(Strict):
    """Random search; combinations are drawn without repetition."""

    trials: Trials
    """How many combinations are tried."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the drawing."""
    include: list[dict[str, Any]] = []
    """Combinations that are tried first (axis → value)."""
    space: Axes
    """The axes, by name."""


class Asha(Rungs):
    """Random search with asynchronous successive halving (Li et al. 2018), the stopping variant."""

    trials: Trials
    """How many combinations are tried."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the drawing."""
    space: Annotated[dict[AxisName, SearchAxis], Field(min_length=1)]
    """The axes, by name."""


class Experiment(Strict):
    title: Text | None = None
    """What readers call the experiment, in place of its name."""
    base: str | None = None
    """The experiment whose settings and readings this one starts from."""
    set: Set = {}
    """Path of a setting → the value that replaces it."""
    seeds: Seeds | None = None
    """One run per seed (default: those of `defaults`)."""
    readings: Annotated[dict[Name, Meaning], Field(min_length=1)] | None = None
    """Ways to read the experiment where a report's words and code part; the first one is judged."""
    grid: Axes | None = None
    """Every combination of the axes' values."""
    pointwise: Axes | None = None
    """The base run, and one value at a time changed from it."""
    random: RandomSearch | None = None
    """Combinations drawn at random."""
    asha: Asha | None = None
    """A study: combinations drawn at random, the bad ones of which end early."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.grid, self.pointwise, self.random, self.asha)) > 1:
            what = "grid, pointwise, random and asha exclude each other; keep one"
            raise PydanticCustomError("one_way", what)
        return self

    @property
    def axes(self) -> dict[str, Axis] | dict[str, SearchAxis]:
        """The axes that are varied, of whatever kind; none for a base run alone."""
        search = self.random or self.asha
        return self.grid or self.pointwise or (search.space if search else {})


class Fewer(Strict):
    """Epochs at a smaller scale: times `factor`, at least `min`, at most `max`."""

    factor: Annotated[float, Field(gt=0, le=1)] = 1
    """Share of the report's epochs."""
    min: Annotated[int, whole(1, 100_000)] = 1
    """At least so many, as far as the report has them."""
    max: Annotated[int, whole(1, 100_000)] | None = None
    """At most so many."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.min > self.max:
            what = "min {min} is above max {max}; swap them"
            raise PydanticCustomError("order", what, {"min": self.min, "max": self.max})
        return self

    def of(self, epochs: int) -> int:
        """Epochs out of the report's, never more than those."""
        shrunk = max(round(epochs * self.factor), self.min)
        return min(shrunk, self.max or shrunk, epochs)


class Shrink(Strict):
    skip: bool = False
    """true: nothing is trained; what needs it is not made, or *not run*."""
    seeds: Annotated[int, Field(ge=1)] | None = None
    """Number of the first seeds that are run."""
    trials: Trials | None = None
    """Number of the first trials of a search that are run."""
    only: Annotated[list[str], Field(min_length=1)] | None = None
    """The cells of a grid or sweep that this scale has, each as axis=value,…; others do not exist there."""
    set: Set = {}
    """Path of a setting → the value that it has at this scale."""
    epochs: Fewer = Fewer()
    """How the number of epochs shrinks."""


class Scale(Shrink):
    """How all experiments of a report shrink, and what is different for some of them."""

    experiments: dict[str, Shrink] = {}
    """Experiment → what goes for it in the place of the rules for all."""

    def of(self, experiment: str) -> Shrink:
        """The rules for one experiment: its own go before those for all."""
        own = self.experiments.get(experiment)
        if own is None:
            return self
        both = {name: getattr(self, name) for name in self.model_fields_set if name in Shrink.model_fields}
        return Shrink.model_construct(
            **{**both, **{name: getattr(own, name) for name in own.model_fields_set}}
        )


class Scales(Strict):
    """How quick and demo shrink the experiments; full is the report itself."""

    quick: Scale = Scale()
    """Less of the report, on real data."""
    demo: Scale = Scale()
    """Little of the report, on synthetic data, in minutes on a CPU."""

    def at(self, scale: str) -> Shrink:
        """How experiments shrink at a scale: as the file says, or where it says nothing of the scale, as
        `BUILT_IN` has it.
        """
        if scale == "full":
            return Shrink()
        given: Scale = getattr(self, scale)
        return given if scale in self.model_fields_set else BUILT_IN[scale]


class BuiltIn(Scale):
    """A scale of which a file says nothing."""

    images: int | None = None
    """About how many images are used of each part of the data."""


BUILT_IN = {
    "quick": BuiltIn(seeds=1, trials=4, epochs=Fewer(max=5), images=5000),
    "demo": BuiltIn(seeds=1, trials=3, epochs=Fewer(max=2)),
}
"""docs/report-files.md says what these are. Other numbers are other runs of reports without `scales`."""
