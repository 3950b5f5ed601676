"""Results that were copied, moved or redated: what is there and verified is used."""

import contextlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from plans import away, finished_project, plan, unchanged_environment
from project import Project, edit, new_project, runs_of

from reprise.cli import main

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]
PUBLISHING = {"figure", "table", "statements", "site", "all"}
"""What is made from finished runs in seconds, and without their data."""
DAY = 24 * 3600.0
NEW, OLD = time.time() - DAY, time.time() - 1000 * DAY
Redate = Callable[[Iterable[Path]], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project(tmp_path_factory)


@pytest.fixture
def project(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the finished project, to be changed."""
    copy = Path(shutil.copytree(made, tmp_path / "project"))
    monkeypatch.chdir(copy)
    return copy


def dated(path: Path, when: float) -> None:
    os.utime(path, (when, when))


def one_time(paths: Iterable[Path]) -> None:
    """A copy of a file system, or a git checkout, that gives all files one time."""
    for path in paths:
        dated(path, NEW)


def in_the_order_of_names(paths: Iterable[Path]) -> None:
    """cp -r without -p: data before figures before runs before tables."""
    for number, path in enumerate(sorted(paths)):
        dated(path, NEW + number)


def in_the_opposite_order(paths: Iterable[Path]) -> None:
    in_the_order_of_names([])
    for number, path in enumerate(sorted(paths, reverse=True)):
        dated(path, NEW + number)


def in_any_order(paths: Iterable[Path]) -> None:
    """rsync without -t, several at once."""
    draws = random.Random(0)
    for path in paths:
        dated(path, draws.uniform(OLD, NEW))


def in_whole_seconds(paths: Iterable[Path]) -> None:
    """FAT, some network file systems: two seconds and more."""
    for path in paths:
        dated(path, path.stat().st_mtime // 10 * 10)


def from_the_future(paths: Iterable[Path]) -> None:
    for path in paths:
        dated(path, time.time() + 30 * DAY)


def from_1970(paths: Iterable[Path]) -> None:
    """Archives that were made to be the same each time."""
    for path in paths:
        dated(path, 0)


def data_last(paths: Iterable[Path]) -> None:
    """A data folder that was copied afterwards."""
    for path in paths:
        dated(path, NEW if "data" in path.parts else OLD)


TIMES = [
    one_time,
    in_the_order_of_names,
    in_the_opposite_order,
    in_any_order,
    in_whole_seconds,
    from_the_future,
    from_1970,
    data_last,
]


@pytest.mark.parametrize("records", [True, False], ids=["with .snakemake", "without .snakemake"])
@pytest.mark.parametrize("redate", TIMES, ids=lambda redate: redate.__name__)
def test_times_make_nothing_that_takes_long(project: Project, redate: Redate, records: bool):
    """With Snakemake's own records nothing at all: it compares contents. Without them, at most what looks
    older than what it was made from is drawn again.
    """
    if not records:
        shutil.rmtree(project / ".snakemake")
    redate(path for path in (project / "results").rglob("*") if path.is_file())
    for gone in ([], ["data/archives", "data/synthetic"]):
        with away(project / "results/demo", gone):
            assert set(plan()) <= (set() if records else PUBLISHING)


@pytest.mark.parametrize(
    "redate", [one_time, in_the_order_of_names, data_last], ids=lambda redate: redate.__name__
)
def test_copied_arrays_are_trained_on(project: Project, redate: Redate):
    """One run is left to train; the archive is deleted, and no records of Snakemake are there."""
    shutil.rmtree(project / ".snakemake")
    (run,) = runs_of(project, "rates/lr=0.02")
    shutil.rmtree(project / f"results/demo/runs/{run}")
    shutil.rmtree(project / "results/demo/data/archives")
    shutil.rmtree(project / "results/demo/data/synthetic")
    redate((project / "results").rglob("*"))
    jobs = plan()
    assert {"train", "evaluate"} <= jobs.keys()
    assert not {"decode", "fetch", "synthesize", "statistics", "samples"} & jobs.keys()
    assert (jobs["train"], jobs["evaluate"]) == (1, 1)


def test_only_the_runs_and_the_arrays_were_copied(project: Project):
    """What is small is made again, from what is not."""
    shutil.rmtree(project / ".snakemake")
    for folder in (project / "results/demo").iterdir():
        if folder.name not in ("runs", "data"):
            shutil.rmtree(folder)
    shutil.rmtree(project / "results/demo/data/archives")
    shutil.rmtree(project / "results/demo/data/synthetic")
    assert set(plan()) == PUBLISHING | {"layers", "samples"}


@pytest.mark.parametrize("place", ["elsewhere", "deep/in/another folder", "absolute"])
def test_results_may_lie_elsewhere(project: Project, tmp_path: Path, place: str):
    target = tmp_path / "outside" if place == "absolute" else project / place
    target.parent.mkdir(parents=True, exist_ok=True)
    (project / "results").rename(target)
    name = str(target) if place == "absolute" else place
    assert plan(settings=("scale=demo", "threads=1", f"results={name}")) == {}
    shutil.rmtree(project / ".snakemake")
    assert plan(settings=("scale=demo", "threads=1", f"results={name}")) == {}


def test_a_link_to_the_results_will_do(project: Project, tmp_path: Path):
    (project / "results").rename(tmp_path / "disk")
    (project / "results").symlink_to(tmp_path / "disk")
    shutil.rmtree(project / ".snakemake")
    assert plan() == {}


def test_a_moved_project_stays_finished(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    moved = project.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert plan() == {}


def test_files_from_the_future_are_dated_now(project: Project):
    """Snakemake would delete what is made from them: it looks older than its input."""
    from_the_future(path for path in (project / "results/demo").rglob("*") if path.is_file())
    (project / "results/demo/figures/mini/curves.png").unlink()
    assert set(plan()) == {"figure", "site", "all"}
    read = [*(project / "results/demo/runs").glob("*/evaluated.json")]
    used = {run for name in ("base", "rates/lr=0.01", "tuned") for run in runs_of(project, name)}
    assert used <= {path.parent.name for path in read if path.stat().st_mtime <= time.time()}
    assert (project / "results/demo/data/cifar10/dataset.json").stat().st_mtime <= time.time()


@pytest.mark.parametrize("records", [True, False], ids=["with .snakemake", "without .snakemake"])
def test_other_synthetic_images_are_drawn(project: Project, records: bool):
    """Arrays that are there are taken for sources, but not in the place of others that are asked for."""
    if not records:
        shutil.rmtree(project / ".snakemake")
    config = project / "config.yaml"
    config.write_text(config.read_text().replace("{train: 100,", "{train: 200,"))
    images = {"synthesize", "fetch", "decode", "statistics", "samples", "figure", "site", "all"}
    assert set(plan()) == images


def test_an_edited_report_uses_copied_arrays(project: Project):
    shutil.rmtree(project / ".snakemake")
    shutil.rmtree(project / "results/demo/data/archives")
    in_any_order((project / "results").rglob("*"))
    edit(project, lambda report: report["experiments"]["rates"]["grid"]["lr"]["values"].append(0.03))
    jobs = plan()
    assert (jobs["train"], jobs["evaluate"]) == (1, 1)
    assert not {"decode", "fetch", "synthesize"} & jobs.keys()


def reprise(*arguments: str) -> None:
    with unchanged_environment(), contextlib.suppress(SystemExit):
        main([*arguments, "--scale", "demo"])


@pytest.mark.slow
@pytest.mark.parametrize("weights", [[], ["--weights"]], ids=["without weights", "with weights"])
def test_imported_runs_are_neither_trained_nor_evaluated(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: list[str]
):
    """Nor is a data set fetched for them."""
    reprise("export", "mini", str(tmp_path / "exported"), *weights)
    (tmp_path / "fresh").mkdir()
    fresh = new_project(tmp_path / "fresh")
    monkeypatch.chdir(fresh)
    reprise("import", str(tmp_path / "exported"))
    assert len(list((fresh / "results/demo/runs").glob("*/evaluated.json"))) == 4
    assert plan("results/demo/statements/mini.csv") == {"statements": 1}
    assert plan("results/demo/figures/mini/curves.png") == {"figure": 1}
    assert not {"train", "evaluate", "import_runs"} & plan().keys()
    assert "torch" in sys.modules  # the runs were verified, in this process
