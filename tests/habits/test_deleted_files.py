"""Whatever is deleted of a finished project, what depended on it is made again, and nothing else."""

import hashlib
from pathlib import Path

import pytest
from plans import away, finished_project, plan
from project import Project, make, runs_of

from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]
ROOT = Path("results/demo")
FIGURES, STATEMENTS = "results/demo/figures/all", "results/demo/statements/mini.csv"
CURVES = "results/demo/figures/mini/curves.png"
SECTIONS = ("figures", "tables", "statements")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project, with the files that stand for all figures, tables and statements: only who asks for
    them has them.
    """
    project = finished_project(tmp_path_factory)
    make(project, *(f"results/demo/{section}/all" for section in SECTIONS))
    return project


@pytest.fixture
def project(made: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The finished project, which is the current folder. What is taken from it comes back."""
    monkeypatch.chdir(made)
    return made


def rules(*arguments: str) -> set[str]:
    return set(plan(*arguments))


IMAGES = {"decode", "statistics", "samples", "figure", "site", "all"}
"""What depends on arrays, beside runs, which are not trained again."""
TRAINED, EVALUATED = frozenset({"train", "evaluate"}), frozenset({"evaluate"})
NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # what the arrays were made from is needed by nothing that is there
        (["data/archives/cifar-10-python.tar.gz"], set()),
        (["data/archives/cifar10.json"], set()),
        (["data/archives"], set()),
        (["data/synthetic"], set()),
        (["data/archives", "data/synthetic"], set()),
        (["data"], set()),
        (["data/cifar10"], set()),
        (["data/cifar10/train_images.npy"], IMAGES),
        (["data/cifar10/test_labels.npy"], IMAGES),
        (["data/cifar10/test_names.txt"], IMAGES),
        (["data/cifar10/dataset.json"], IMAGES),
        (["data/cifar10/train_images.npy", "data/archives/cifar-10-python.tar.gz"], IMAGES | {"fetch"}),
        (
            ["data/cifar10/train_images.npy", "data/archives", "data/synthetic"],
            IMAGES | {"fetch", "synthesize"},
        ),
        (["data/cifar10/statistics.json"], {"statistics", "all"}),
        (["figures/mini/curves.png"], {"figure", "site", "all"}),
        (["figures/mini/curves.svg"], {"figure", "site", "all"}),
        (["figures/mini/curves.json"], {"figure", "site", "all"}),
        (["figures"], {"figure", "site", "all"}),
        (["tables/mini/networks.csv"], {"table", "site", "all"}),
        (["tables/mini/networks.md"], {"table", "site", "all"}),
        (["tables/mini/networks.tex"], {"table", "site", "all"}),
        (["tables/mini/networks.html"], {"table", "site", "all"}),
        (["tables/mini/networks.json"], {"table", "site", "all"}),
        (["statements/mini.json"], {"statements", "site", "all"}),
        (["statements/mini.md"], {"statements", "site", "all"}),
        (["statements/mini.csv"], {"statements", "site", "all"}),
        (["statements/mini.html"], {"statements", "site", "all"}),
        (["intermediate/mini/networks.layers.json"], {"layers", "table", "site", "all"}),
        (["intermediate/mini/image.samples.json"], {"samples", "figure", "site", "all"}),
        (["intermediate/mini/image.samples.npz"], {"samples", "figure", "site", "all"}),
        (["site/index.html"], {"site", "all"}),
        (["site/mini/index.html"], {"site", "all"}),
        (["site/mini/statements/accuracy.html"], {"site", "all"}),
        (["site/assets/site.css"], {"site", "all"}),
        (["site"], {"site", "all"}),
        (["logs"], set()),
        (["benchmarks"], set()),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_what_depended_on_a_deleted_file_is_made_again(
    project: Project, names: list[str], expected: set[str]
):
    with away(ROOT, names):
        assert rules() == expected
        of_report = expected - {"site", "all"}
        assert rules("mini") == (of_report | {"mini"} if of_report else set())


FILES = {
    "run.json": TRAINED,
    "history.parquet": TRAINED,
    "trained.json": TRAINED,
    "final.parquet": EVALUATED,
    "predictions.parquet": EVALUATED,
    "evaluation.json": EVALUATED,
    "evaluated.json": EVALUATED,
    "weights.safetensors": NOTHING,  # nothing of what is there needs it any more
    ".lock": NOTHING,
}
"""File of a run's folder → what is done again of the run itself."""


@pytest.mark.parametrize(
    ("experiment", "published"),
    [("base", {"figure", "statements"}), ("tuned", {"statements"}), ("rates/lr=0.02", NOTHING)],
)
def test_a_deleted_run_is_trained_again(project: Project, experiment: str, published: set[str]):
    (run,) = runs_of(project, experiment)
    with away(ROOT, [f"runs/{run}"]):
        assert rules() == TRAINED | published | {"all"} | ({"site"} if published else NOTHING)
        assert rules("mini") == TRAINED | published | {"mini"}
        for target, rule in ((FIGURES, "figure"), (CURVES, "figure"), (STATEMENTS, "statements")):
            also = {"all_figures"} if target == FIGURES else NOTHING
            assert rules(target) == (TRAINED | {rule} | also if rule in published else NOTHING), target


@pytest.mark.parametrize(("file", "first"), FILES.items())
def test_what_depended_on_a_file_of_a_run_is_made_again(project: Project, file: str, first: set[str]):
    (run,) = runs_of(project, "base")
    with away(ROOT, [f"runs/{run}/{file}"]):
        assert rules() == (first | {"figure", "statements", "site", "all"} if first else NOTHING)
        assert rules(FIGURES) == (first | {"figure", "all_figures"} if first else NOTHING)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_all_its_files_again(project: Project, section: str):
    """The file `all` stands for them, and is there."""
    target = f"results/demo/{section}/all"
    rule = section.removesuffix("s") if section != "statements" else section
    assert plan(target) == {}
    for file in sorted(Path(f"results/demo/{section}").rglob("*.*")):
        with away(ROOT, [str(file.relative_to(ROOT))]):
            assert plan(target) == {rule: 1, f"all_{section}": 1}, file


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_whose_file_is_not_there_is_only_marked(project: Project, section: str):
    """After a plain `snakemake`, say, which does not make it."""
    with away(ROOT, [f"{section}/all"]):
        assert plan(f"results/demo/{section}/all") == {f"all_{section}": 1}
        assert plan() == {}


def test_a_run_that_is_trained_again_needs_its_images_and_no_archive(project: Project):
    (run,) = runs_of(project, "rates/lr=0.02")
    with away(ROOT, [f"runs/{run}", "data/archives", "data/synthetic"]):
        assert rules() == {"train", "evaluate", "all"}
    with away(ROOT, [f"runs/{run}", "data/cifar10"]):
        assert rules() == {"train", "evaluate", "decode", "statistics", "samples", "figure", "site", "all"}
    with away(ROOT, [f"runs/{run}", "data"]):
        assert rules() >= {"synthesize", "fetch", "decode", "train", "evaluate"}


def test_a_download_is_asked_for_where_something_needs_it(tmp_path: Path, made: Project):
    """Real data sets, whose archives cannot be drawn: at scale quick, of arrays that are made up."""

    def programme() -> Programme:
        return Programme(Config(scale="quick", results=str(tmp_path), train=True), made / "workflow/reports")

    folder, archives = tmp_path / "data/cifar10", tmp_path / "data/archives"
    record, stamp = str(folder / "dataset.json"), str(archives / "cifar10.json")
    assert programme().deleted([record]) == [record, stamp]
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text('{"files": {"train_images.npy": "0"}}')
    partial = programme()
    assert not partial.is_whole(record)
    assert partial.deleted([record]) == [record, stamp]
    # nothing but a picture that is there has been made of them: a download is not worth it
    assert partial.images_to_read([record], [record]) == []
    assert partial.images_to_read([record], [str(tmp_path / "absent")]) == [record]
    archives.mkdir()
    (archives / "cifar10.json").write_text('{"file": "cifar-10-python.tar.gz"}')
    assert programme().deleted([record]) == [record, stamp]  # the stamp without its archive
    (archives / "cifar-10-python.tar.gz").touch()
    assert programme().deleted([record]) == [record]
    assert programme().images_to_read([record], [record]) == [record]
    (folder / "train_images.npy").touch()
    assert programme().is_whole(record)
    assert programme().deleted([record]) == []


def test_the_weights_of_a_network_without_their_file_are_fetched(tmp_path: Path, made: Project):
    programme = Programme(Config(results=str(tmp_path)), made / "workflow/reports")
    stamp = tmp_path / "data/weights/vgg16.json"
    stamp.parent.mkdir(parents=True)
    stamp.write_text('{"file": "vgg16-397923af.pth"}')
    assert programme.deleted([str(stamp)]) == [str(stamp)]
    stamp.with_name("vgg16-397923af.pth").touch()
    assert programme.deleted([str(stamp)]) == []


def contents(project: Project) -> dict[str, str]:
    """Digest of every result in which no clock has a part."""
    root = project / ROOT
    kept = [
        path
        for path in root.rglob("*")
        if path.is_file()
        and path.relative_to(root).parts[0] not in ("logs", "benchmarks")
        and (path.name not in ("run.json", "trained.json", ".lock") or path.parent.parent.name != "runs")
        and path.suffix not in (".html", ".svg")
        and path.relative_to(root) != Path("statements/mini.json")  # says when runs were trained
    ]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


@pytest.mark.slow
def test_what_was_deleted_comes_out_the_same(project: Project):
    before = contents(project)
    (base,), (other,) = runs_of(project, "base"), runs_of(project, "rates/lr=0.02")
    gone = [
        f"runs/{base}/history.parquet",
        f"runs/{other}/final.parquet",
        "data/cifar10/train_images.npy",
        "data/archives/cifar-10-python.tar.gz",
        "data/synthetic/cifar-10-python.tar.gz",
        "intermediate/mini/networks.layers.json",
        "site/mini/index.html",
    ]
    for name in gone:
        (project / ROOT / name).unlink()
    make(project)
    assert contents(project) == before
    assert plan() == {}
