"""Settings and measured values as readers write them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from reprise.publishing.expressions import Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Metric, NotRun, lookup, no_setting
from reprise.publishing.numbers import measurement, with_deviation
from reprise.publishing.sources import Sources
from reprise.publishing.words import option, plain

DASH = "–"
"""Stands for what a model does not have."""
ELSEWHERE = "A reported number without a verdict belongs to other trainings than those measured beside it."
"""Of rows that show the number of a statement and measure something else."""
NOT_RUN = "not run"
"""Stands for what is measured, and for its verdict, where runs are missing."""


# ---- settings ----


def show(value: Any, key: str = "") -> str:
    """A setting: `flip 0.5, rotation 10`, `SGD (learning rate 0.003, momentum 0.9)`, `5 layers`; `key` is the
    last part of its path.
    """
    if value is None:
        return ""
    if isinstance(value, list):
        counted = key in ("layers", "head")
        many = f"{len(value)} layer{'s' if len(value) != 1 else ''}"
        return many if counted else ", ".join(show(item) for item in value)
    if isinstance(value, Mapping):
        options = ", ".join(_option(name, item) for name, item in value.items() if name != "name")
        named = plain(value["name"]) if "name" in value else ""
        return f"{named} ({options})" if named and options else named or options
    return plain(value)


def _option(name: str, value: Any) -> str:
    layers = name in ("layers", "head") and isinstance(value, list)
    return show(value, name) if layers else option(name, value, show(value))


def as_built(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """A run's settings with the sizes that the layers of a narrowed network have: a `width` multiplies them
    (`reprise.models.sequential`).
    """
    model = spec.get("model")
    if not isinstance(model, Mapping) or not isinstance(model.get("layers"), list) or "width" not in model:
        return spec

    def size(name: str, value: Any, layer: Mapping[str, Any]) -> Any:
        sized = name in ("conv", "dense") and isinstance(value, int) and layer.get("scaled", True)
        return max(1, round(value * model["width"])) if sized else value

    layers = [{name: size(name, value, layer) for name, value in layer.items()} for layer in model["layers"]]
    return {**spec, "model": {**model, "layers": layers}}


def setting(spec: Mapping[str, Any], path: str) -> list[str]:
    """Values at a path of a run's spec (see `lookup`), as text; words that a list repeats, e.g. its
    activations, stand once.
    """
    nodes = lookup(as_built(spec), path)
    shown = [show(node, path.rpartition(".")[2]) for node in nodes]
    return list(dict.fromkeys(shown)) if all(isinstance(node, str) for node in nodes) else shown


def settings(specs: Sequence[Mapping[str, Any]], path: str) -> str:
    """The setting of all these runs, which differ in their seeds; a path that leads nowhere is a
    `RepriseError` naming the nearest one.
    """
    if not any(lookup(spec, path) for spec in specs):
        raise no_setting(path, specs)
    return "; ".join(dict.fromkeys(", ".join(setting(spec, path)) for spec in specs))


# ---- measured values ----


def sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def mean_and_sd(values: Sequence[float], metric: Metric) -> str:
    """The mean of a metric's values, one for each seed: `0.4961 ± 0.0023`; of one seed, the value alone."""
    if not all(math.isfinite(value) for value in values):
        return "not finite"
    mean, deviation = fmean(values), sd(values)
    stated = metric.deviation * (abs(mean) if metric.relative else 1.0)
    shown = measurement(mean, math.nan if deviation is None else deviation, stated=stated, count=metric.count)
    return with_deviation(*shown)


def about_seeds(counts: Iterable[int]) -> list[str]:
    """What ± means in a table whose values are means over so many seeds each."""
    several = sorted({n for n in counts if n > 1})
    if not several:
        return []
    least = f"{several[0]} to " if len(several) > 1 else ""
    return [f"± is the standard deviation over {least}{several[-1]} seeds."]


@dataclass(frozen=True)
class MeasuredValue:
    """A measured value, also as text, the standard deviation over its `n` seeds if there is one, what is
    reported, and the verdict on that.
    """

    value: float | str
    sd: float | None
    n: int
    text: str
    reported: str = ""
    verdict: str = ""

    @property
    def report(self) -> str:
        """What is reported, with its verdict."""
        return f"{self.reported} ({self.verdict})" if self.verdict else self.reported


def measured(
    judge: Judge, value: Value, sources: Sources, reported: str = "", statement: str | None = None
) -> MeasuredValue:
    """A value beside the number that is reported, with the verdict on the `statement` of that number.

    A value that is not there is a `NotRun`; where runs may be missing it is said to be not run.
    """
    verdict = sources.verdict(statement, value) if statement else ""
    try:
        found = judge.amount(value)
    except NotRun:
        if not sources.whole:
            raise
        return MeasuredValue(NOT_RUN, None, 0, NOT_RUN, reported, verdict)
    point = found.measured
    deviation = found.scatter if found.stated > 0 and math.isfinite(found.scatter) else None
    if math.isnan(point) and not found.stated:  # a setting that the run does not have
        return MeasuredValue(point, None, found.n, DASH, reported, verdict)
    shown = measurement(point, found.scatter, stated=found.stated, count=value.is_count)
    return MeasuredValue(point, deviation, found.n, with_deviation(*shown), reported, verdict)
