"""What an installed package adds to reprise: networks, augmentations, data sets, kinds of figure, metrics.

A package names what it adds under an entry point (`[project.entry-points."reprise.networks"]` in its
pyproject.toml: `my_net = "my_package:MyNet"`); it is found by that name in report files.
"""

from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import TypeVar

from reprise.errors import RepriseError, gist

Kind = TypeVar("Kind")


@cache
def _installed() -> EntryPoints:
    """Looked for once: it reads a file of every installed package."""
    return entry_points()


def plugins(group: str, taken: Collection[str], kind: type[Kind]) -> dict[str, type[Kind]]:
    """Name → class of each entry point of `group`.

    One that takes a name of our own or of another package, cannot be imported, or is no subclass of `kind`
    is a `RepriseError` that names its package.
    """
    found: dict[str, type[Kind]] = {}
    for point in _installed().select(group=group):
        package = point.dist.name if point.dist else "?"
        where = f"entry point {point.name} = {point.value} ({group}) of the package {package}"
        if point.name in taken or point.name in found:
            raise RepriseError(f"{where}: the name {point.name} is taken; rename it")
        try:
            loaded = point.load()
        except Exception as error:  # whatever importing another's code raises
            raise RepriseError(
                f"{where}: cannot be imported ({gist(error)}); mend or uninstall it"
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, kind)):
            raise RepriseError(f"{where}: is no subclass of {kind.__module__}.{kind.__name__}; make it one")
        found[point.name] = loaded
    return found
