"""Dry runs of Snakemake in this process: a quarter of a second each, where one of its own takes three."""

import contextlib
import io
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from snakemake.cli import args_to_api, parse_args

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from project import Project, made_once, make, new_project

SETTINGS = ("scale=demo", "threads=1")


@contextlib.contextmanager
def unchanged_environment() -> Iterator[None]:
    """Reading the rules sets the environment of the jobs."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def said(*arguments: str, settings: tuple[str, ...] = SETTINGS) -> str:
    """What a dry run in the current folder prints; it must succeed."""
    output = io.StringIO()
    command = [*arguments, "-n", "--cores", "2", "--quiet", "progress", "host", "--config", *settings]
    with unchanged_environment(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        parser, options = parse_args(command)
        fine = args_to_api(options, parser)
    assert fine, output.getvalue()
    return output.getvalue()


def plan(*arguments: str, settings: tuple[str, ...] = SETTINGS) -> dict[str, int]:
    """Rule → jobs that a dry run in the current folder lists."""
    text = said(*arguments, settings=settings)
    jobs = Counter(re.findall(r"^ *(?:local)?(?:rule |Job \d+: )(\w+)", text, re.MULTILINE))
    assert jobs or "Nothing to be done" in text, text
    return dict(jobs)


def finished_project(folders: pytest.TempPathFactory) -> Project:
    """A copy of a finished project, to be changed."""
    source = made_once(folders, "finished", lambda folder: make(new_project(folder)))
    return Path(shutil.copytree(source, folders.mktemp("copies") / "project"))


@contextlib.contextmanager
def away(root: Path, names: Iterable[str]) -> Iterator[None]:
    """Without these files or folders of `root`; they come back."""
    kept = []
    try:
        for number, name in enumerate(names):
            aside = root.parent / f"aside-{number}"
            (root / name).rename(aside)
            kept.append((aside, root / name))
        yield
    finally:
        for aside, place in kept:
            aside.rename(place)
