"""Run caches in the workflow: what they hold is not trained, what they only pretend to hold is, and without
training there is what they allow.
"""

import json
import lzma
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from project import Project, made_once, make, new_project, planned, run, runs_of, snakemake, trainings

from reprise.records import seal
from reprise.results.cache import write_sums
from reprise.results.entry import _packed

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]


def reprise(folder: Project, *arguments: str) -> str:
    done = run(folder, [sys.executable, "-m", "reprise", *arguments, "--scale", "demo"])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project and, in `shared`, its run cache. Not to be written to."""

    def fill(folder: Path) -> None:
        make(new_project(folder))
        reprise(folder, "publish", "mini", "shared")

    return made_once(tmp_path_factory, "cached", fill)


@pytest.fixture
def cache(source: Project, tmp_path: Path) -> Path:
    shutil.copytree(source / "shared", tmp_path / "shared")
    return tmp_path / "shared"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A new project, in which nothing is made."""
    (tmp_path / "project").mkdir()
    return new_project(tmp_path / "project")


def entry_of(cache: Path, name: str) -> Path:
    (path,) = (cache / "runs").glob(f"{name}-*")
    return path


def published(project: Project) -> dict[str, bytes]:
    """Figures, tables and statements."""
    results = project / "results/demo"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for folder in ("figures", "tables", "statements")
        for path in (results / folder).rglob("*.*")
        if path.suffix in (".png", ".csv")
    }


def test_what_a_cache_holds_is_neither_trained_nor_are_its_data_fetched(
    source: Project, cache: Path, project: Project
):
    wanted = "results/demo/statements/mini.csv"
    done = snakemake(project, "-n", wanted, settings=[f"cache={cache}"])
    assert "4 runs from the cache, 0 to train" in done.stderr.splitlines()
    settings = [f"cache={cache}"]
    assert planned(project, wanted, settings=settings) == {"import_runs": 1, "statements": 1}
    make(project, wanted, settings=settings)
    assert (project / wanted).read_bytes() == (source / wanted).read_bytes()
    assert not (project / "results/demo/data").exists()
    # everything else needs the images of one figure
    jobs = planned(project, settings=settings)
    assert not {"train", "evaluate", "import_runs"} & jobs.keys()
    make(project, settings=settings)
    assert published(project) == published(source)
    assert planned(project) == {}, "the cache is not needed any more"


def test_a_part_of_the_runs_is_cached(source: Project, cache: Path, project: Project):
    """Of a run that is not cached, the one that it starts from is trained, too: caches hold no weights."""
    (base,), (tuned,) = (runs_of(project, name) for name in ("base", "tuned"))
    entry_of(cache, tuned).unlink()
    done = snakemake(project, "-n", settings=[f"cache={cache}"])
    assert "2 runs from the cache, 2 to train" in done.stderr.splitlines()
    make(project, settings=[f"cache={cache}"])
    meta = {
        name: json.loads((project / f"results/demo/runs/{name}/run.json").read_text())["meta"]
        for name in trainings(project)
    }
    before = {
        name: json.loads((source / f"results/demo/runs/{name}/run.json").read_text())["meta"] for name in meta
    }
    assert {name for name in meta if meta[name] != before[name]} == {base, tuned}
    assert published(project) == published(source)


def test_a_run_that_is_trained_here_is_evaluated_here(source: Project, cache: Path, project: Project):
    """An import would keep it, so that nobody would make its metrics."""
    (name, *_) = runs_of(project, "rates")
    own = project / "results/demo/runs" / name
    shutil.copytree(source / "results/demo/runs" / name, own)
    for made in ("evaluated.json", "evaluation.json", "final.parquet", "predictions.parquet"):
        (own / made).unlink()
    settings = [f"cache={cache}"]
    done = snakemake(project, "-n", settings=settings)
    assert "3 runs from the cache, 0 to train" in done.stderr.splitlines()
    assert planned(project, settings=settings).items() >= {"import_runs": 1, "evaluate": 1}.items()
    assert "train" not in planned(project, settings=settings)
    without = [*settings, "train=no"]
    assert "evaluate" not in planned(project, settings=without)
    assert "1 are not run" in snakemake(project, "-n", settings=without).stderr
    assert "3 runs" in reprise(project, "next", "mini", "--cache", str(cache), "--budget", "1m")
    assert not (own / "final.parquet").exists()


def claim(document: dict, **metrics: float) -> None:
    document["final"] = list({**dict(document["final"]), **metrics}.items())


def forge(cache: Path, name: str, change) -> None:
    path = entry_of(cache, name)
    document = json.loads(lzma.decompress(path.read_bytes()))
    document.pop("sha256")
    change(document)
    sealed = seal(document)
    path.unlink()
    (cache / "runs" / f"{name}-{sealed['sha256'][:8]}.json.xz").write_bytes(_packed(sealed))
    write_sums(cache)


def test_damaged_and_forged_entries_are_trained_instead(source: Project, cache: Path, project: Project):
    """One is cut short, one claims an accuracy that its predictions do not have, one is that of another."""
    first, second = runs_of(project, "rates")
    (tuned,) = runs_of(project, "tuned")
    path = entry_of(cache, first)
    path.write_bytes(path.read_bytes()[:-9])
    forge(cache, second, lambda document: claim(document, accuracy=0.99))
    shutil.copy(entry_of(cache, first), entry_of(cache, tuned))
    done = snakemake(project, settings=[f"cache={cache}"])
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    lines = [line for line in output.splitlines() if line.startswith("reprise: cache ")]
    assert len(lines) == 3
    for name, reason in ((first, "cut short"), (second, "its final accuracy is 0.99"), (tuned, "cut short")):
        (line,) = (line for line in lines if f"entry {name}-" in line)
        assert reason in line
        assert line.endswith("; the run is trained instead")
    assert published(project) == published(source)


def test_an_entry_of_another_network_is_found_out_when_it_is_imported(
    source: Project, cache: Path, project: Project
):
    """That takes torch, and so is not seen before; the next call trains the run."""
    (name,) = runs_of(project, "rates/lr=0.01")

    def change(document):
        document["meta"]["parameters"] += 1
        claim(document, parameters=document["meta"]["parameters"])

    forge(cache, name, change)
    done = snakemake(project, settings=[f"cache={cache}"])
    assert done.returncode != 0
    assert re.search(
        rf"reprise: run {name}: entry {name}-\w+ is not used: run.json: says that its network has \d+ "
        "parameters; it has",
        done.stdout + done.stderr,
    )
    make(project, settings=[f"cache={cache}"])
    assert published(project) == published(source)


def test_without_training_there_is_what_the_cache_allows(source: Project, cache: Path, project: Project):
    (tuned,) = runs_of(project, "tuned")
    entry_of(cache, tuned).unlink()
    settings = [f"cache={cache}", "train=no"]
    done = snakemake(project, "-n", settings=settings)
    assert "3 runs from the cache, 1 are not run" in done.stderr.splitlines()
    jobs = planned(project, settings=settings)
    assert jobs == {"all": 1, "import_runs": 1, "figure": 1, "table": 1, "layers": 1, "statements": 1}
    make(project, settings=settings)
    verdicts = pd.read_csv(project / "results/demo/statements/mini.csv").set_index("id")["verdict"]
    assert verdicts["tuning_helps"] == "not run"
    assert verdicts["accuracy"] != "not run"
    assert planned(project, settings=settings) == {}
    # more evidence makes again what it changes, and training makes the rest
    shutil.copy(entry_of(source / "shared", tuned), cache / "runs")
    assert planned(project, settings=settings) == {"all": 1, "import_runs": 1, "statements": 1}
    make(project, settings=settings)
    verdicts = pd.read_csv(project / "results/demo/statements/mini.csv").set_index("id")["verdict"]
    assert verdicts["tuning_helps"] != "not run"
    make(project)
    assert published(project) == published(source)


def test_without_training_and_without_a_cache_there_is_little(project: Project):
    make(project, settings=["train=no"])
    verdicts = pd.read_csv(project / "results/demo/statements/mini.csv")["verdict"]
    assert set(verdicts) == {"not run"}
    assert not (project / "results/demo/figures").exists()
    assert not (project / "results/demo/data").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train=maybe", "config.yaml or --config: train: 'maybe': "),
        ("cache={a: b}", "config.yaml or --config: cache: "),
    ],
)
def test_settings_that_are_none(project: Project, setting: str, message: str):
    done = snakemake(project, "-n", settings=[setting])
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_the_default_cache_may_be_absent(project: Project):
    done = snakemake(project, "-n")
    assert done.returncode == 0
    assert "cache" not in done.stderr


def test_a_cache_that_is_not_there_stops_nothing(project: Project):
    done = snakemake(project, "-n", settings=["cache=nowhere"])
    assert done.returncode == 0
    assert (
        "reprise: cache nowhere: cannot be used: no such folder; its runs are trained instead" in done.stderr
    )
