"""Cells, the configurations of an experiment, and the selectors that name them.

A selector is `experiment`, `experiment/axis=value,…` or `experiment/base`, each with `@reading` after it
where an experiment has readings; or one of the names that a report file gives to cells. `axis=*` is every
value of an axis: of a pointwise sweep, the cells that change it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.reports.paths import is_place, no_layer
from reprise.reports.run import Run, canonical


@dataclass(frozen=True)
class Cell:
    """One configuration of an experiment: its runs differ in nothing but the seed."""

    experiment: str
    settings: Mapping[str, Any]
    """Axis → value (its name, where the report file names values). Empty for an experiment without axes."""
    reading: str | None
    members: tuple[Run, ...] = field(repr=False)
    layers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What a layer may be called, by its name or its row → its module's name in the network."""
    included: bool = field(default=False, repr=False)
    """A trial that its search always has; the others are drawn."""
    title: str = field(default="", repr=False)
    """What readers know an experiment without axes by."""
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Axis → the words of the report file for its value, where it has some."""

    @cached_property
    def name(self) -> str:
        """The selector of this cell."""
        settings = ",".join(f"{axis}={text(value)}" for axis, value in self.settings.items())
        return selector_of(self.experiment, settings, self.reading)

    @property
    def called(self) -> str:
        """What an error calls it."""
        return f"{'configuration' if self.settings or self.reading else 'experiment'} {self.name}"

    @cached_property
    def runs(self) -> tuple[str, ...]:
        return tuple(run.hash for run in self.members)

    def module(self, layer: str) -> str:
        """What the module of a layer is called, which is given by its name or by its row in the layer table
        (`9_dense`); of a network that is no list of layers, by the module's own name. A `RepriseError` where
        there is no such layer.
        """
        if layer not in self.layers and self.layers and is_place(layer):
            raise RepriseError(no_layer(layer, self.layers))
        return self.layers.get(layer, layer)

    def of_runs(self, runs: Collection[str]) -> Cell:
        """The cell with those of its runs alone that are among `runs`, maybe none."""
        return replace(self, members=tuple(run for run in self.members if run.hash in runs))

    def run(self, identifier: str) -> Run:
        """The run of that hash."""
        return next(run for run in self.members if run.hash == identifier)

    @property
    def specs(self) -> dict[str, Mapping[str, Any]]:
        return {run.hash: run.spec for run in self.members}


class Undrawn(RepriseError):
    """A selector names a value that a search could have drawn and, at this scale, did not."""


def text(value: Any) -> str:
    """A value as selectors write it: plain strings bare, everything else as canonical JSON (1e-4 and 0.0001
    are one).
    """
    return value if isinstance(value, str) else canonical(value)


def selector_of(experiment: str, conditions: str, reading: str | None) -> str:
    return experiment + (f"/{conditions}" if conditions else "") + (f"@{reading}" if reading else "")


def normal(value: str) -> str:
    """A selector's value in canonical form: 1e-4 → 0.0001."""
    try:
        return canonical(float(value))
    except ValueError:
        return value


def select(
    selector: str,
    experiments: Mapping[str, Sequence[Cell]],
    spaces: Mapping[str, Mapping[str, Iterable[Any]]],
    scale: str,
    names: Iterable[str] = (),
) -> list[Cell]:
    """The cells of `experiments` that `selector` names, in their order; at least one.

    spaces: experiment → axis → the values that a search can draw. One of them that was not drawn is
    `Undrawn`; whatever else names nothing is another `RepriseError`, which offers `names` too.
    """
    body, _, reading = selector.partition("@")
    name, _, conditions = body.partition("/")
    if name not in experiments:
        raise RepriseError(
            f"selector {selector!r}: no experiment {name}{nearest(name, [*experiments, *names])}"
        )
    cells = experiments[name]
    readings = list(dict.fromkeys(cell.reading for cell in cells))
    if reading and reading not in readings:
        raise RepriseError(
            f"selector {selector!r}: no reading {reading}{nearest(reading, filter(None, readings))}"
        )
    found = [cell for cell in cells if cell.reading == (reading or readings[0])]
    if conditions == "base":
        found = [cell for cell in found if not cell.settings]
    elif conditions:
        axes = list(dict.fromkeys(axis for cell in found for axis in cell.settings))
        for condition in conditions.split(","):
            axis, equals, value = condition.partition("=")
            if axis not in axes or not equals:
                raise RepriseError(f"selector {selector!r}: {name} has no axis {axis}{nearest(axis, axes)}")
            if value == "*":
                found = [cell for cell in found if axis in cell.settings]
                continue
            values = dict.fromkeys(text(cell.settings[axis]) for cell in found if axis in cell.settings)
            found = [
                cell
                for cell in found
                if axis in cell.settings and normal(text(cell.settings[axis])) == normal(value)
            ]
            if not found and normal(value) in map(normal, map(text, spaces.get(name, {}).get(axis, ()))):
                left_out = f"{name} is without {axis} {value} at scale {scale}"
                searched = f"no trial of {name} at scale {scale} has {axis} {value}"
                raise Undrawn(searched if "trial" in axes else left_out)
            if not found:
                raise RepriseError(
                    f"selector {selector!r}: {axis} is never {value}{nearest(normal(value), values)}"
                )
    if not found:
        raise RepriseError(
            f"selector {selector!r} names nothing in {name}; leave out the part after the slash"
        )
    return found
