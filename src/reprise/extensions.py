"""Where networks, augmentations, data sets, kinds of figure and table, and metrics are found by name: the
project's own in a table of their module, yours as entry points of any installed package (see
docs/extending.md).

Names are listed without importing anything of a package, and only what is asked for is imported. What stands
here needs no torch; nor does what an entry point names, if it imports torch where it builds something.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import Any

from reprise.errors import RepriseError, gist, nearest


class ExtensionPoint(Mapping[str, Any]):
    """Name → what stands behind it, which is imported when it is asked for.

    Parameters
    ----------
    group: of the entry points.
    what: what errors call one of them.
    built_in: `module:attribute` of the project's own table, name → the same.
    contract: `module:class` of which each must be a subclass or an instance.
    """

    def __init__(self, group: str, what: str, built_in: str, contract: str) -> None:
        self.group, self.what = group, what
        self._built_in, self._contract = built_in, contract

    def __iter__(self) -> Iterator[str]:
        """The project's own names and then, in alphabetical order, those of other packages."""
        own = _attribute(self._built_in)
        return iter([*own, *sorted({point.name for point in self._entry_points()} - own.keys())])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: str) -> Any:
        """A `KeyError` where the name is unknown. A `RepriseError` where it is taken twice, or names what
        cannot be imported or is not of the right kind.
        """
        own, points = _attribute(self._built_in), [each for each in self._entry_points() if each.name == name]
        packages = sorted(f"package {_package(point)}" for point in points)
        if len(points) + (name in own) > 1:
            owners = " and ".join([*(["reprise itself"] if name in own else []), *packages])
            raise RepriseError(f"{self.what} {name}: the name is taken by {owners}; rename or uninstall one")
        if name in own:
            return own[name]
        if not points:
            raise KeyError(name)
        where = f"{self.what} {name} of {packages[0]} ({points[0].value})"
        try:
            found = points[0].load()
        except (Exception, SystemExit) as error:  # whatever the package does when it is imported
            raise RepriseError(
                f"{where}: cannot be imported ({type(error).__name__}: {gist(error)}); fix or uninstall it"
            ) from error
        contract = _attribute(self._contract)
        if isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise RepriseError(f"{where}: has no {missing}; see docs/extending.md")
        if not (issubclass(found, contract) if isinstance(found, type) else isinstance(found, contract)):
            raise RepriseError(f"{where}: is no {contract.__name__}; see docs/extending.md")
        if not isinstance(found, type) and getattr(found, "name", name) != name:
            raise RepriseError(f"{where}: calls itself {found.name}; make the entry point's name the same")
        return found

    def find(self, name: Any) -> Any:
        """As by index, but an unknown name is a `RepriseError` that offers the nearest."""
        try:
            return self[name]
        except (KeyError, TypeError):  # a list, say, is no name
            raise RepriseError(f"unknown {self.what} {name!r}{nearest(name, self)}") from None

    def _entry_points(self) -> tuple[EntryPoint, ...]:
        return _entry_points(self.group, tuple(sys.path))


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Those of the packages on `path`, which is `sys.path`: looking through it takes 0.05 s."""
    return tuple(entry_points(group=group))


@contextmanager
def code_behind(found: object, what: str) -> Iterator[None]:
    """Whatever fails in the code of a package, from whose module `found` is, is a `RepriseError` that `what`
    begins; what fails in the project's own is a bug, and stays what it is.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, RepriseError) or str(getattr(found, "__module__", "")).startswith("reprise."):
            raise
        reason = f"{type(error).__name__}: {gist(error)}"
        raise RepriseError(f"{what}: fails in its package ({reason}); fix or uninstall it") from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0]


def _attribute(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


NETWORKS = ExtensionPoint(
    "reprise.networks", "network", "reprise.models.families:FAMILIES", "reprise.models.families:Family"
)
"""Name → `Family`: the options of a family of networks, and how one is built."""

AUGMENTATIONS = ExtensionPoint(
    "reprise.augmentations",
    "augmentation",
    "reprise.data.augmentations:OWN_AUGMENTATIONS",
    "reprise.data.augmentations:AugmentationSettings",
)
"""Name → `AugmentationSettings`: what a report may write after the name, and the operation that it means."""

DATASETS = ExtensionPoint(
    "reprise.datasets", "data set", "reprise.data.catalog:OWN_DATASETS", "reprise.data.catalog:DatasetFacts"
)
"""Name → `DatasetFacts`: archive, classes, splits."""

FIGURES = ExtensionPoint(
    "reprise.figures",
    "kind of figure",
    "reprise.reports.figures:OWN_FIGURES",
    "reprise.reports.figures:Figure",
)
"""Name → `Figure`: what a report file says of a figure of that kind, and what draws it."""

TABLES = ExtensionPoint(
    "reprise.tables", "kind of table", "reprise.reports.tables:OWN_TABLES", "reprise.reports.tables:Table"
)
"""Name → `Table`: what a report file says of a table of that kind, and what makes it."""

METRICS = ExtensionPoint(
    "reprise.metrics",
    "metric",
    "reprise.publishing.measures:OWN_METRICS",
    "reprise.publishing.measures:Metric",
)
"""Name → `Metric`: what is measured in a run, and how much it scatters."""
