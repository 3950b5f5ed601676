"""What Python imports in the place of what is meant, from a folder in PYTHONPATH, or does not find. This
module itself needs Python's own library alone.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from reprise.errors import gist

SOURCE = str(Path(__file__).parents[1])


def import_mistake(error: BaseException) -> str | None:
    """One line for an error that comes of what this Python imports; None for any other."""
    folders = dict.fromkeys(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    for file in _files(error):
        for folder in folders:
            if Path(folder).resolve() != Path(SOURCE) and file.is_relative_to(Path(folder).resolve()):
                name = file.relative_to(Path(folder).resolve()).parts[0].removesuffix(".py")
                if _is_elsewhere(name, folder):
                    return (
                        f"{file}: taken for {name}, because PYTHONPATH has {folder}, and it fails "
                        f"({type(error).__name__}: {gist(error)}); unset PYTHONPATH, or rename the file"
                    )
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"{sys.executable}: this Python has no module {error.name}; activate the environment of the "
            "project (. .venv/bin/activate), or install the project in this one (README, Set up)"
        )
    return None


def _files(error: BaseException) -> Iterator[Path]:
    """The files that an error is about, and those in which it was raised, the innermost first."""
    about = [getattr(error, "filename", None), getattr(error, "path", None)]
    about.append(getattr(getattr(error, "obj", None), "__file__", None))  # of an AttributeError
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    yield from (Path(file).resolve() for file in [*about, *frames[::-1]] if isinstance(file, str))


def _is_elsewhere(name: str, folder: str) -> bool:
    """Whether there is a module of that name without the folder."""
    others = [place for place in sys.path if place != folder]
    return name in sys.stdlib_module_names or PathFinder.find_spec(name, others) is not None
