"""Settings and measured values as readers write them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from reprise.publishing.expressions import Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Metric, lookup, no_setting
from reprise.publishing.verdicts import decimals, judge_number, number
from reprise.reports.report import Cell, text

DASH = "–"
"""Stands for what a model does not have."""
NOT_RUN = "not run"
"""Stands for what is measured, and for its verdict, where runs are missing."""


# ---- settings ----


def show(value: Any, key: str = "") -> str:
    """A setting: `flip 0.5, rotation 10`, `sgd (lr 0.003, momentum 0.9)`, `5 layers`; `key` is the last part
    of its path.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        counted = key in ("layers", "head")
        return (
            f"{len(value)} layer{'s' if len(value) != 1 else ''}"
            if counted
            else ", ".join(show(item) for item in value)
        )
    if isinstance(value, Mapping):
        options = ", ".join(_option(name, item) for name, item in value.items() if name != "name")
        return (
            f"{value['name']} ({options})" if "name" in value and options else str(value.get("name", options))
        )
    return text(value)


def _option(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, Mapping):
        return f"{words} ({show(value)})" if value else words
    return (
        show(value, name)
        if name in ("layers", "head") and isinstance(value, list)
        else f"{words} {show(value)}"
    )


def setting(spec: Mapping[str, Any], path: str) -> list[str]:
    """Values at a path of a run's spec (see `lookup`), as text; words that a list repeats, e.g. its
    activations, stand once.
    """
    nodes = lookup(spec, path)
    shown = [show(node, path.rpartition(".")[2]) for node in nodes]
    return list(dict.fromkeys(shown)) if all(isinstance(node, str) for node in nodes) else shown


def settings(specs: Sequence[Mapping[str, Any]], path: str) -> str:
    """The setting of all these runs, which differ in their seeds; a path that leads nowhere is a
    `RepriseError` naming the nearest one.
    """
    if not any(lookup(spec, path) for spec in specs):
        raise no_setting(path, specs)
    return "; ".join(dict.fromkeys(", ".join(setting(spec, path)) for spec in specs))


def configuration(cell: Cell, run: str | None = None) -> str:
    """A cell in words, with the seed of `run` where one was picked and no axis gives it."""
    chosen = [f"{axis.replace('_', ' ')} {show(value)}" for axis, value in cell.settings.items()] or [
        cell.experiment.replace("_", " ")
    ]
    reading = [cell.reading.replace("_", " ")] if cell.reading else []
    seed = [f"seed {cell.run(run).settings.seeds.init}"] if run and "seed" not in cell.settings else []
    return ", ".join([*chosen, *reading, *seed])


# ---- measured values ----


def sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def mean_and_sd(values: Sequence[float], count: bool = False) -> str:
    """`0.4961 ± 0.0023`; counts, or all values whole, without needless decimals; one value alone without
    ±.
    """
    if not all(math.isfinite(value) for value in values):
        return "not finite"
    whole = all(float(value).is_integer() for value in values) and (
        count or any(abs(value) > 1 for value in values)
    )
    digits = (0 if len(set(values)) == 1 else 1) if whole else 4
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"


def about_seeds(counts: Iterable[int]) -> list[str]:
    """What ± means in a table whose values are means over so many seeds each."""
    several = sorted({n for n in counts if n > 1})
    if not several:
        return []
    least = f"{several[0]} to " if len(several) > 1 else ""
    return [f"± is the standard deviation over {least}{several[-1]} seeds."]


@dataclass(frozen=True)
class MeasuredValue:
    """A measured value, also as text, the standard deviation over its `n` seeds if there is one, and the
    verdict on what is reported.
    """

    value: float | str
    sd: float | None
    n: int
    text: str
    reported: str
    verdict: str

    @classmethod
    def not_run(cls, reported: str = "") -> MeasuredValue:
        """In the place of a value that is not there, with the verdict on what is reported."""
        return cls(NOT_RUN, None, 0, NOT_RUN, reported, NOT_RUN if reported else "")

    @property
    def report(self) -> str:
        """What is reported, with its verdict."""
        return f"{self.reported} ({self.verdict})" if self.verdict else self.reported


def measured(
    judge: Judge,
    value: Value,
    metric: Metric,
    reported: str = "",
    *,
    about: float = 0.0,
    mean_of: int | None = None,
    digits: int | None = None,
) -> MeasuredValue:
    """A value with so many decimals (by default one more than is reported) beside the number that is
    reported, the mean of so many trainings. A value that is not there is a `NotRun`.
    """
    found = judge.amount(value)
    point, scatters = found.measured, metric.deviation > 0
    spread = found.scatter if scatters and math.isfinite(found.scatter) else None
    whole = point.is_integer() and not spread
    if digits is None and reported:
        digits = decimals(reported) + 1
    elif digits is None and (metric.count or (whole and not scatters)):
        digits = 0 if whole else 1
    if digits is None and not scatters:  # exact, or a setting that the run does not have
        shown = show(point) if math.isfinite(point) else DASH
    else:
        shown = number(point, digits)
    shown += "" if spread is None else f" ± {number(spread, digits)}"
    verdict = ""
    if reported:
        verdict = judge_number(reported, found, judge.amount(value, of=mean_of or 1), about).verdict
    return MeasuredValue(point, spread, found.n, shown, reported, verdict)
