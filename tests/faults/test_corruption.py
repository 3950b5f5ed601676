"""Every file that one step writes and another reads, damaged in every way: nothing is computed from it.

Either the state is made again, and one line says so, or the command refuses it with one line. In the end,
after what the line says to do, all results and verdicts are what they were, bit for bit.
"""

import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

import finished
from finished import DATA, RUNS, results, run_of, statements, verb
from reprise.cli import publishing
from reprise.data.decode import load
from reprise.errors import RepriseError
from reprise.publishing.results import read_meta, read_tables
from reprise.reports.layout import Layout
from reprise.reports.run import Run, prune
from reprise.search.workers import JournalPruner
from reprise.training.checkpoint import read_checkpoint
from reprise.training.results import check_evaluation, read_run, read_weights
from tiny import SPEC, record_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    return finished.make(tmp_path_factory.mktemp("whole") / "project")


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """The same project on other images."""
    return finished.make(tmp_path_factory.mktemp("other") / "project", images=80)


@pytest.fixture
def project(whole, tmp_path, monkeypatch, capsys):
    """A copy of the whole project, which is the current folder."""
    monkeypatch.chdir(finished.copy(whole, tmp_path / "project"))
    return Path.cwd()


@pytest.fixture(scope="session")
def expected(whole):
    """Results and statements of the whole project."""
    before = Path.cwd()
    os.chdir(whole)
    try:
        return results(), statements()
    finally:
        os.chdir(before)


# ---- damage ----


def cut(path: Path, *_: object) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path, *_: object) -> None:
    path.write_bytes(b"")


def flip(path: Path, bit: int | None = None, *_: object) -> None:
    content = bytearray(path.read_bytes())
    bit = len(content) * 8 * 2 // 3 if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def foreign(path: Path, *_: object) -> None:
    """A sound file of its format that something else has written."""
    buffer = io.BytesIO()
    match path.suffix:
        case ".json":
            buffer.write(b'{"hello": 1}')
        case ".parquet":
            pd.DataFrame({"run": ["x"], "value": [1.0]}).to_parquet(buffer)
        case ".npy":
            np.save(buffer, np.zeros(np.load(path, mmap_mode="r").shape, np.uint8))
        case ".npz":
            np.savez(buffer, captions=np.array(["a"]), images=np.zeros((1, 4, 4, 3), np.uint8))
        case ".safetensors":
            buffer.write(save({"weight": torch.zeros(1)}, {"run": path.parent.name}))
        case ".pt":
            torch.save({"state": {}}, buffer)
        case _:
            buffer.write(b"another file\n")
    path.write_bytes(buffer.getvalue())


def absent(path: Path, *_: object) -> None:
    path.unlink()


def rotated(path: Path, *_: object) -> None:
    """All is there, at another place."""
    np.save(path, np.roll(np.load(path), 1, axis=0))


def swapped(source: Callable[[Path], Path]) -> Callable[..., None]:
    """The same file of another run, data set, figure … (`source`: the path of the undamaged one → where to
    take it from).
    """

    def swap(path: Path, *_: object) -> None:
        shutil.copyfile(source(path), path)

    return swap


def of_other_run(path: Path) -> Path:
    return run_of("fast") / path.name


KINDS = {"cut": cut, "empty": empty, "flip": flip, "foreign": foreign}

# ---- cases ----

DAMAGED = r"damaged \(.+\)"


def nothing() -> None:
    """Before most cases."""


@dataclass(frozen=True)
class Case:
    """`command` on a project whose `file` was damaged says `says`; `first` is done before. A `remedy` follows
    a refusal, as it says.
    """

    file: Callable[[], Path]
    damage: Callable[..., None]
    command: tuple[str, ...]
    says: str
    remedy: Callable[[], None] | None = None
    first: Callable[[], object] = nothing


CASES: dict[str, Case] = {}


def cases(
    name: str,
    file: Callable[[], Path],
    command: tuple[str, ...],
    says: str,
    swap: Callable[[Path], Path],
    **options,
) -> None:
    """Cases of one file read by one command, of every kind; `says` may name the `{kind}`."""
    extra = options.pop("extra", {})
    for kind, damage in {**KINDS, "swap": swapped(swap), **extra}.items():
        CASES[f"{name}-{command[0]}-{kind}"] = Case(file, damage, command, says, **options)


def no_runs() -> None:
    shutil.rmtree(RUNS)


def no_evaluation() -> None:
    for folder in RUNS.iterdir():
        for name in ("evaluation.json", "predictions.parquet", "final.parquet"):
            (folder / name).unlink()


def delete_base() -> None:
    """What a line says of a damaged run: delete its folder, and train it again."""
    shutil.rmtree(run_of("base"))


def delete_stamp() -> None:
    """What a line says of a damaged evaluation."""
    (run_of("base") / "evaluated.json").unlink()


def fetch_again() -> None:
    assert verb("data", "fetch", "cifar10") == 0
    assert verb("data", "decode", "cifar10") == 0


OTHER: list[Path] = []


def of_other_images(path: Path) -> Path:
    return OTHER[0] / path


ARRAYS = [
    f"{split}_{part}" for split in ("train", "test") for part in ("images.npy", "labels.npy", "names.txt")
]
for array in ARRAYS:
    cases(
        array,
        lambda array=array: DATA / "cifar10" / array,
        ("train", "mini"),
        rf"^reprise: \S+{array}: {DAMAGED}; decoding \S+cifar-10-python.tar.gz again$",
        of_other_images,
        first=no_runs,
        extra={"rotated": rotated} if array.endswith(".npy") else {},
    )
cases(
    "dataset.json",
    lambda: DATA / "cifar10/dataset.json",
    ("train", "mini"),
    rf"^reprise: \S+/cifar10/\S+: ({DAMAGED}|not what decode writes \(.+\)); decoding \S+ again$",
    of_other_images,
    first=no_runs,
)
for command, first in (
    (("evaluate", "mini"), no_evaluation),
    (("data", "statistics", "cifar10"), nothing),
    (("samples", "mini", "image"), nothing),
):
    for array, damage in (
        ("train_images.npy", flip),
        ("test_labels.npy", rotated),
        ("train_labels.npy", cut),
    ):
        CASES[f"{array}-{'-'.join(command)}-{damage.__name__}"] = Case(
            lambda array=array: DATA / "cifar10" / array,
            damage,
            command,
            rf"^reprise: \S+{array}: {DAMAGED}; decoding \S+cifar-10-python.tar.gz again$",
            first=first,
        )

RECORD = rf"({DAMAGED}|is not that of run \w+( \(.+\))?)"
for name in ("run.json", "history.parquet", "weights.safetensors"):
    cases(
        name,
        lambda name=name: run_of("base") / name,
        ("train", "mini"),
        rf"^reprise: run \w+ starts again \(\S+{name}: {RECORD}\)$",
        of_other_run,
    )
for name in ("run.json", "history.parquet"):
    cases(
        name,
        lambda name=name: run_of("base") / name,
        ("statements", "mini"),
        rf"^reprise: \S+{name}: {RECORD}; delete the folder \S+ and train the run again$",
        of_other_run,
        remedy=delete_base,
    )
for name in ("weights.safetensors", "history.parquet", "run.json"):
    cases(
        name,
        lambda name=name: run_of("base") / name,
        ("evaluate", "mini"),
        rf"^reprise: \S+{name}: {RECORD}; delete the run's folder and train it again$",
        of_other_run,
        first=no_evaluation,
        remedy=delete_base,
    )
for name in ("predictions.parquet", "final.parquet", "evaluation.json"):
    more = {} if name == "evaluation.json" else {"absent": absent}
    cases(
        name,
        lambda name=name: run_of("base") / name,
        ("evaluate", "mini"),
        rf"^reprise: run \w+ is evaluated again \(\S+{name}: ({RECORD}|not found)\)$",
        of_other_run,
        extra=more,
    )
    cases(
        name,
        lambda name=name: run_of("base") / name,
        ("statements", "mini"),
        rf"^reprise: \S+{name}: ({RECORD}|not found); delete \S+evaluated.json and evaluate the run again$",
        of_other_run,
        remedy=delete_stamp,
        extra=more,
    )
for command, files in (
    (
        ("export", "mini", "out"),
        ("run.json", "history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet"),
    ),
    (("train", "mini", "--only", "tuned"), ("weights.safetensors", "history.parquet")),
):
    for name in files:
        CASES[f"{name}-{command[0]}-of-base-flip"] = Case(
            lambda name=name: run_of("base") / name,
            flip,
            command,
            rf"^reprise: .*{name}: {RECORD}; delete the run's folder and train it again$",
            remedy=delete_base,
            first=(lambda: shutil.rmtree(run_of("tuned"))) if command[0] == "train" else nothing,
        )


def stopped() -> None:
    """The base run as it was when it was killed in its third epoch."""
    shutil.rmtree(run_of("base"))
    run_of("base").mkdir()
    shutil.copyfile("saved/base.pt", run_of("base") / "checkpoint.pt")


cases(
    "checkpoint.pt",
    lambda: run_of("base") / "checkpoint.pt",
    ("train", "mini"),
    r"^reprise: \S+checkpoint.pt: checkpoint ignored, the run starts again \((damaged \(its content .+\)|it "
    r"is of .+)\)$",
    lambda path: Path("saved/fast.pt"),
    first=stopped,
)

INTERMEDIATE = Path("results/demo/intermediate/mini")
cases(
    "networks.layers.json",
    lambda: INTERMEDIATE / "networks.layers.json",
    ("table", "mini", "networks"),
    rf"^reprise: \S+networks.layers.json: ({DAMAGED}|belongs to another figure or table); run python -m "
    r"reprise layers mini networks ",
    lambda path: path.with_name("again.layers.json"),
    remedy=lambda: verb("layers", "mini", "networks"),
)
for name in ("image.samples.json", "image.samples.npz"):
    cases(
        name,
        lambda name=name: INTERMEDIATE / name,
        ("figure", "mini", "image"),
        rf"^reprise: \S+{name}: ({DAMAGED}|belongs to another selection of images); run python -m "
        r"reprise samples mini image ",
        lambda path: path.with_name(path.name.replace("image", "other")),
        remedy=lambda: verb("samples", "mini", "image"),
    )
cases(
    "archive",
    lambda: DATA / "archives/cifar-10-python.tar.gz",
    ("data", "decode", "cifar10"),
    r"^reprise: \S+cifar-10-python.tar.gz: .+; (delete it and fetch it again|make the stand-in again)$",
    of_other_images,
    remedy=fetch_again,
)
cases(
    "source.json",
    lambda: DATA / "archives/cifar-10-python.tar.gz.source.json",
    ("data", "decode", "cifar10"),
    r"^reprise: \S+cifar-10-python.tar.gz(.source.json)?: .+$",
    of_other_images,
    remedy=fetch_again,
)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_computed_from_a_damaged_file(name, project, other, expected, capsys):
    case, published = CASES[name], Path("results/demo/figures/mini/image.png").read_bytes()
    tables = Path("results/demo/tables/mini/networks.csv").read_bytes()
    OTHER[:] = [other]
    case.first()
    before = case.file().read_bytes()
    case.damage(case.file())
    assert not case.file().exists() or case.file().read_bytes() != before
    capsys.readouterr()

    status = verb(*case.command)
    said = capsys.readouterr().err
    lines = [
        line
        for line in said.splitlines()
        if line.startswith("reprise: ") and "were there already" not in line
    ]
    assert [line for line in lines if re.search(case.says, line)], said
    assert "Traceback" not in said
    if case.remedy is None:
        assert status == 0
        assert len(lines) == 1
    else:
        assert status == 1
        assert len(set(lines)) <= 2, "the line of the run, and that of the command"
        case.remedy()
    assert verb("train", "mini") == 0
    assert verb("evaluate", "mini") == 0
    assert (results(), statements()) == expected
    assert verb("figure", "mini", "image") == 0
    assert Path("results/demo/figures/mini/image.png").read_bytes() == published
    assert verb("table", "mini", "networks") == 0
    assert Path("results/demo/tables/mini/networks.csv").read_bytes() == tables


def test_there_are_cases_enough():
    assert len(CASES) >= 120


@pytest.mark.parametrize("damage", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("file", ["trained.json", "evaluated.json", "statistics.json", "cifar10.json"])
def test_what_no_step_reads_may_be_damaged(project, expected, file, damage):
    """Snakemake looks at the dates of these files; statistics are for people."""
    for path in Path.cwd().rglob(file):
        damage(path)
    assert verb("train", "mini") == 0
    assert verb("evaluate", "mini") == 0
    assert verb("data", "decode", "cifar10") == 0
    assert (results(), statements()) == expected


def test_arrays_that_cannot_be_decoded_again(project, capsys):
    """Without the archive the line says what to do, and doing it mends."""
    (DATA / "archives/cifar-10-python.tar.gz").unlink()
    flip(DATA / "cifar10/train_images.npy")
    no_runs()
    assert verb("train", "mini") == 1
    said = capsys.readouterr().err
    assert re.search(
        r"damaged \(.*\); get its archive again, .*, and run python -m reprise data decode cifar10$", said
    )
    assert not RUNS.exists() or not list(RUNS.glob("*/run.json"))
    fetch_again()
    assert verb("train", "mini") == 0


# ---- results of versions before records ----


def before_records() -> None:
    """The project as an earlier version has left it."""
    for folder in RUNS.iterdir():
        for name in ("run.json", "trained.json"):
            document = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({key: document[key] for key in ("run", "spec", "meta")}))
        (folder / "evaluation.json").unlink()
    facts = json.loads((DATA / "cifar10/dataset.json").read_text())
    (DATA / "cifar10/dataset.json").write_text(
        json.dumps({key: facts[key] for key in facts if key not in ("files", "sha256")})
    )


def test_results_of_earlier_versions_are_accepted_and_recorded_once(project, expected, capsys):
    before = {name: (run_of("base") / name).read_bytes() for name in ("run.json", "evaluation.json")}
    before_records()
    assert statements() == expected[1]
    capsys.readouterr()
    for _ in range(2):
        assert verb("train", "mini") == 0
        assert verb("evaluate", "mini") == 0
    assert capsys.readouterr().err.count("of an earlier version, accepted as it is") == 3
    assert (results(), statements()) == expected
    assert {name: (run_of("base") / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("old", [False, True], ids=["recorded", "before records"])
@pytest.mark.parametrize("weights", [True, False], ids=["with weights", "without weights"])
def test_there_and_back(project, expected, old, weights):
    """Through the command line, which knows the runs' networks and has their images."""
    if old:
        before_records()
    assert verb("export", "mini", "out", *(["--weights"] if weights else [])) == 0
    no_runs()
    assert verb("import", "out") == 0
    assert statements() == expected[1]
    assert all((run / "evaluation.json").exists() for run in RUNS.iterdir())
    assert verb("train", "mini") == 0
    assert verb("evaluate", "mini") == 0
    assert statements() == expected[1]
    if weights:
        assert results() == expected[0]


def test_an_import_compares_with_the_images_at_hand(project, capsys):
    """Labels and predictions of two test images change places: every metric stays, and the author of the run
    has written its records.
    """
    folder = Path("out") / run_of("base").name
    shutil.copytree(run_of("base"), folder)
    no_runs()
    (folder / "weights.safetensors").unlink()
    table = pd.read_parquet(folder / "predictions.parquet")
    one, other = 0, table.index[table["label"] != table.loc[0, "label"]][0]
    table.loc[[one, other], ["label", "predicted"]] = table.loc[
        [other, one], ["label", "predicted"]
    ].to_numpy()
    table.to_parquet(folder / "predictions.parquet", index=False)
    record_run(folder)
    assert verb("import", "out") == 1
    assert (
        f"{folder}/predictions.parquet: its images and labels are not those of the test images at hand; get"
        in capsys.readouterr().err
    )
    shutil.rmtree(DATA / "cifar10")
    assert verb("import", "out") == 0


@pytest.mark.parametrize("array", [array for array in ARRAYS if array.endswith(".npy")])
@pytest.mark.parametrize("damage", [cut, flip, rotated, foreign], ids=lambda damage: damage.__name__)
def test_damaged_arrays_of_earlier_versions_are_decoded_again(project, expected, capsys, array, damage):
    before_records()
    no_runs()
    damage(DATA / "cifar10" / array)
    assert verb("train", "mini") == 0
    assert re.search(
        r"^reprise: .+damaged \(.+\); decoding \S+ again$", capsys.readouterr().err, re.MULTILINE
    )
    assert verb("evaluate", "mini") == 0
    assert (results(), statements()) == expected


@pytest.mark.parametrize("name", ["history.parquet", "final.parquet", "predictions.parquet"])
@pytest.mark.parametrize("damage", [cut, empty, foreign], ids=lambda damage: damage.__name__)
def test_damaged_results_of_earlier_versions_are_refused(project, expected, capsys, name, damage):
    before_records()
    damage(run_of("base") / name)
    assert verb("statements", "mini") == 1
    assert re.match(rf"reprise: \S+{name}: .+; delete .+ again\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        ("accuracy", 1.273, "accuracy is 1.273"),
        ("accuracy", 0.9, "accuracy is 0.9, the run's other files give "),
        ("train_accuracy", 0.9, "train_accuracy is 0.9, the run's other files give "),
        ("train_loss", 1.5, "train_loss is 1.5, the run's other files give "),
        ("selected_epoch", 99, "selected_epoch is 99.0, the run's other files give "),
        ("loss", float("nan"), "loss is nan"),
        ("accuracy", float("nan"), "accuracy is nan"),
        ("f1_macro", -0.1, "f1_macro is -0.1"),
        ("train_accuracy", 1.1, "train_accuracy is 1.1"),
        ("loss", -1.0, "loss is -1.0"),
        ("plain_train_accuracy", 1.1, "plain_train_accuracy is 1.1"),
        ("plain_train_loss", -1.0, "plain_train_loss is -1.0"),
        ("plain_gap", float("nan"), "plain_gap is nan"),
        ("gap", float("inf"), "gap is inf"),
        ("selected_epoch", float("nan"), "selected_epoch is nan"),
    ],
)
def test_values_that_cannot_be_are_refused_where_verdicts_read(project, capsys, metric, value, message):
    """Of results without records: the line names file and run."""
    before_records()
    path = run_of("base") / "final.parquet"
    table = pd.read_parquet(path)
    table.loc[table["metric"] == metric, "value"] = value
    table.to_parquet(path, index=False)
    assert verb("statements", "mini") == 1
    assert f"reprise: {path}: {message}" in capsys.readouterr().err


def test_a_run_that_did_not_diverge_has_a_loss_in_its_last_epoch(project, capsys):
    before_records()
    path = run_of("fast") / "history.parquet"
    table = pd.read_parquet(path)
    table.loc[len(table) - 1, "loss"] = float("nan")
    table.to_parquet(path, index=False)
    assert verb("statements", "mini") == 1
    assert (
        f"reprise: {path}: loss is nan, though the run did not diverge; delete the folder"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [("accuracy", 1.5), ("loss", -0.1), ("loss", float("nan")), ("epoch", 0), ("accuracy", float("nan"))],
)
def test_a_history_that_cannot_be_is_refused_where_verdicts_read(project, capsys, column, value):
    before_records()
    path = run_of("fast") / "history.parquet"
    table = pd.read_parquet(path)
    table.loc[1, column] = value
    table.to_parquet(path, index=False)
    assert verb("statements", "mini") == 1
    assert re.match(
        rf"reprise: {path}: {column} is {value}.*; delete the folder {path.parent} and train the run "
        r"again\n$",
        capsys.readouterr().err,
    )


# ---- the journal of a study's workers ----


def study() -> list[Run]:
    """Two trials of a study that ends trials at epochs 1, 2, 4."""
    runs, after = [], None
    for trial in range(2):
        rule = {"trial": trial, "after": after, "min_resource": 1, "reduction_factor": 2}
        runs.append(
            Run(
                prune(
                    {
                        **SPEC,
                        "split": {"validation": 0.2},
                        "study": rule,
                        "optimizer": {"name": "adam", "lr": 0.1 / (1 + trial)},
                    }
                )
            )
        )
        after = runs[-1].hash
    return runs


def history_of(*accuracies: float) -> list[dict]:
    return [
        {"epoch": epoch, "split": split, "loss": 1.0, "accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies, 1)
        for split in ("train", "validation")
    ]


def verdict(journal: Path) -> str | None:
    """Whether the second trial ends after its first epoch."""
    return JournalPruner(study(), journal.parent / "runs", journal).stop(study()[1], history_of(0.5))


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "study.journal"
    assert JournalPruner(study(), tmp_path / "runs", path).stop(study()[0], history_of(0.6)) is None
    return path


def another_list(path: Path) -> None:
    path.write_text("[1]\n")


@pytest.mark.parametrize("damage", [flip, foreign, another_list], ids=["flip", "foreign", "list"])
def test_a_damaged_journal(journal, damage):
    reason = "pruned at rung 0 (epoch 1): 0.5000 is not the best of 2"
    content = journal.read_bytes()
    assert verdict(journal) == reason
    journal.write_bytes(content)
    damage(journal)
    with pytest.raises(
        RepriseError,
        match=r"study.journal: not a journal .+; stop the workers, delete it and start them again",
    ) as error:
        verdict(journal)
    assert "\n" not in str(error.value)


# ---- single bits ----

BITS = int(os.environ.get("REPRISE_FLIPS", 12))
"""Of each file; `REPRISE_FLIPS=20000` is all of a small one."""


def outcome(read: Callable[..., object], *arguments: Path) -> object:
    """What is read, or the one line that refuses it; anything else is raised."""
    try:
        return read(*arguments)
    except RepriseError as error:
        return error


def tables(folder: Path) -> object:
    """All that a verdict or a figure reads of a run."""
    found = read_tables(RUNS, [folder.name])
    return [found.history, found.final, found.predictions], read_meta(RUNS, [folder.name])


def arrays(_: Path) -> object:
    dataset = load(DATA / "cifar10")
    parts = [
        (split.images.tobytes(), split.labels.tobytes(), split.names()) for split in dataset.splits.values()
    ]
    return parts, dataset.classes, dataset.source


def whole_run(folder: Path) -> object:
    weights = read_weights(folder / "weights.safetensors")
    return read_run(folder), {name: value.numpy().tobytes() for name, value in weights.items()}


def evaluation(folder: Path) -> object:
    check_evaluation(folder)
    return True


def checkpoint(_: Path) -> object:
    return repr(read_checkpoint(Path("saved/base.pt")))


def intermediates(_: Path) -> object:
    report, where = finished.report(), Layout(Path("results"), "demo")
    path = publishing.sample_images(report, where, report.item("figures", "image"))
    return path.read_bytes(), publishing.layer_tables(report, where, report.item("tables", "networks"))


FLIPPED: dict[str, tuple[Callable[[], Path], Callable[[Path], object]]] = {
    **{
        name: (lambda name=name: run_of("base") / name, whole_run)
        for name in ("run.json", "history.parquet", "weights.safetensors")
    },
    **{
        f"{name} where verdicts read": (lambda name=name: run_of("base") / name, tables)
        for name in ("run.json", "history.parquet", "predictions.parquet", "final.parquet", "evaluation.json")
    },
    **{
        f"{name} where runs are evaluated": (lambda name=name: run_of("base") / name, evaluation)
        for name in ("predictions.parquet", "final.parquet", "evaluation.json")
    },
    **{name: (lambda name=name: DATA / "cifar10" / name, arrays) for name in [*ARRAYS, "dataset.json"]},
    "checkpoint.pt": (lambda: Path("saved/base.pt"), checkpoint),
    **{
        name: (lambda name=name: INTERMEDIATE / name, intermediates)
        for name in ("image.samples.npz", "image.samples.json", "networks.layers.json")
    },
}


@pytest.mark.timeout(300 + BITS)
@pytest.mark.parametrize("name", FLIPPED)
def test_single_bits(name, project):
    """Refused with one line, or the same: never another number, never another exception."""
    file, read = FLIPPED[name]
    path, folder = file(), run_of("base")
    undamaged, content = read(folder), path.read_bytes()
    chosen = random.Random(name).sample(range(8 * len(content)), min(8 * len(content), BITS))
    refused = 0
    for bit in chosen:
        flip(path, bit)
        found = outcome(read, folder)
        if isinstance(found, RepriseError):
            refused += 1
            assert "\n" not in str(found), f"bit {bit}"
        else:
            assert found == undamaged, f"bit {bit}"
        path.write_bytes(content)
    assert read(folder) == undamaged
    assert refused >= 0.98 * len(chosen), "a record covers nearly every bit"


@pytest.mark.timeout(300 + BITS)
def test_single_bits_of_a_journal(journal):
    """Each but those of the last line, which its writer may not have finished."""
    content = journal.read_bytes()
    reason = verdict(journal)
    covered = 8 * (content.rindex(b"\n", 0, -1) + 1)
    for bit in random.Random(0).sample(range(covered), min(covered, BITS)):
        journal.write_bytes(content)
        flip(journal, bit)
        found = outcome(verdict, journal)
        assert found == reason or (isinstance(found, RepriseError) and "\n" not in str(found)), f"bit {bit}"
