"""A colleague's results, which can only be read, and one folder in which several people work."""

import contextlib
import errno
import os
import re
import stat
from importlib import import_module
from pathlib import Path

import pytest
from rights import COLLEAGUE, ROOT, give, owner, powerless, state, take_back

import finished
from finished import DATA, RUNS, run_of, verb
from mirrors import server  # noqa: F401
from reprise import files
from reprise.errors import RepriseError, UnwritableError, file_error
from reprise.files import atomic, check_writable, make_folder, open_lock, read_json, try_lock, write_json
from reprise.reports.run import Run
from reprise.results.cache import Caches
from reprise.search.workers import JournalPruner, take_trials
from reprise.training.engine import train
from tiny import tiny_run, write_dataset

BELONGS = f"belongs to user {COLLEAGUE} and is not writable by you" if ROOT else "is not writable by you"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished project, of which a cache was published."""
    folder = finished.make(tmp_path_factory.mktemp("made") / "project")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert verb("publish", "mini", "cache") == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch, capsys):
    """The project as the current folder; its files are a colleague's, and we have no power over them."""
    folder = finished.copy(made, tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "_seen", set())
    capsys.readouterr()
    give(folder)
    try:
        with powerless():
            for unwritable in (folder, RUNS, run_of("base"), DATA):
                with pytest.raises(PermissionError):
                    (unwritable / "file").touch()
            yield folder
    finally:
        take_back(folder)


READS = [
    ("check", "reports/mini.yaml"),
    ("runs", "mini"),
    ("plan", "mini"),
    ("next", "mini"),
    ("next", "mini", "--cache", "cache"),
    ("train", "mini"),
    ("evaluate", "mini"),
    ("summary", "mini"),
    ("import", "cache"),
    ("import", "results"),
    ("export", "mini", "{mine}/out"),
    ("export", "mini", "{mine}/out", "--weights"),
    ("publish", "mini", "{mine}/cache"),
    ("data", "synthesize", "cifar10", "--train", "100", "--test", "50"),
    ("data", "fetch", "cifar10"),
    ("data", "decode", "cifar10"),
    ("data", "statistics", "cifar10"),
]


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_what_only_reads_works_and_writes_nothing(project, tmp_path, command, capsys):
    before = state(project)
    assert verb(*(word.format(mine=tmp_path) for word in command)) == 0, capsys.readouterr().err
    assert state(project) == before
    said = capsys.readouterr().err
    assert said == ("reprise: 3 of 3 runs were there already\n" if command[0] == "train" else "")


WRITES = [
    (("figure", "mini", "curves"), "results/demo/figures/mini/curves.png", "results/demo/figures/mini"),
    (("table", "mini", "networks"), "results/demo/tables/mini/networks.csv", "results/demo/tables/mini"),
    (("statements", "mini"), "results/demo/statements/mini.csv", "results/demo/statements"),
    (("site",), "results/demo/site/assets", "results/demo"),
    (
        ("samples", "mini", "image"),
        "results/demo/intermediate/mini/image.samples.npz",
        "results/demo/intermediate/mini",
    ),
    (
        ("layers", "mini", "networks"),
        "results/demo/intermediate/mini/networks.layers.json",
        "results/demo/intermediate/mini",
    ),
    (("publish", "mini", "cache"), "cache/.lock", "cache"),
    (("export", "mini", "other"), "other", "."),
    (("data", "synthesize", "cifar100"), "results/demo/data/synthetic", "results/demo/data/synthetic"),
    (("data", "synthesize", "cifar10"), "results/demo/data/synthetic", "results/demo/data/synthetic"),
]


@pytest.mark.parametrize(("command", "file", "folder"), WRITES, ids=[" ".join(row[0]) for row in WRITES])
def test_what_must_write_names_the_folder_and_the_remedy(project, command, file, folder, capsys):
    before = state(project)
    assert verb(*command) == 1
    line = capsys.readouterr().err
    assert re.fullmatch(
        rf"reprise: {re.escape(file)}\S*: cannot be written: {re.escape(folder)} {BELONGS}; use a folder of "
        r"your own \(--results\): copy there what you need, or import the runs\n",
        line,
    ), line
    assert state(project) == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("synthesize", "cifar10", "--train", "100", "--test", "50"),
            "results/demo/data/synthetic: there al",
        ),
        (("fetch", "cifar10"), "results/demo/data/archives/cifar-10-python.tar.gz: cifar10, verified"),
        (("decode", "cifar10"), "results/demo/data/cifar10: there already and whole; nothing can be"),
        (("statistics", "cifar10"), "cifar10 mean: 0."),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_data_that_are_there_are_said_to_be(project, command, said, capsys):
    assert verb("data", *command) == 0
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("damaged", "command", "file"),
    [
        ("synthetic/cifar-10-python.tar.gz", "synthesize", "synthetic"),
        ("synthetic/cifar10.json", "synthesize", "synthetic"),
        ("archives/cifar-10-python.tar.gz", "fetch", "archives"),
        ("archives/cifar-10-python.tar.gz.source.json", "fetch", "archives"),
        ("cifar10/train_images.npy", "decode", "cifar10"),
        ("cifar10/dataset.json", "decode", "cifar10"),
    ],
)
def test_data_that_are_damaged_cannot_be_mended_there(project, damaged, command, file, capsys):
    with owner(DATA):
        path = DATA / damaged
        path.write_bytes(path.read_bytes()[:-40] + b"{}")
    counts = ["--train", "100", "--test", "50"] if command == "synthesize" else []
    assert verb("data", command, "cifar10", *counts) == 1
    line = capsys.readouterr().err
    assert re.fullmatch(
        rf"reprise: {DATA}/{file}/\S+: cannot be written: {DATA}/{file} {BELONGS}; .*\n", line
    )


def test_a_stamp_of_data_that_cannot_be_written_is_one_line_and_no_failure(project, capsys):
    stamp = DATA / "archives/cifar10.json"
    with owner(DATA):
        stamp.unlink()
    before = state(project)
    assert verb("data", "fetch", "cifar10") == 0
    said = capsys.readouterr()
    assert (
        f"{stamp}: cannot be written: {stamp.parent} {BELONGS}; the file is there, but Snakemake" in said.err
    )
    assert said.out.endswith("cifar10, verified\n")
    assert state(project) == before


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "mini", "--cache", "{url}"),
        ("next", "mini", "--cache", "{url}"),
        ("import", "{url}"),
        ("verify", "{url}", "--sample", "1", "--seed", "3"),
    ],
    ids=lambda words: words[0],
)
def test_a_cache_of_a_server_is_read_without_copies(server, project, command, capsys):  # noqa: F811
    """Those that would be kept among the results."""
    server.answer = lambda request, _: server.send(request, (project / f"cache{request.path}").read_bytes())
    before = state(project)
    assert verb(*(word.format(url=server.url) for word in command)) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "not a run cache" not in said.err
    assert "left out" not in said.err
    assert state(project) == before


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A results folder of one's own, which the verbs use."""
    options = [str(tmp_path / "mine") if word == "results" else word for word in finished.OPTIONS]
    monkeypatch.setattr(finished, "OPTIONS", options)
    return tmp_path / "mine" / "demo"


@pytest.mark.parametrize("place", ["results", "results/demo", "results/demo/runs", "cache"])
def test_import_into_a_folder_of_ones_own_then_publish(project, mine, place, capsys):
    """What the message says. One's own figures and statements come out of a colleague's runs."""
    before = state(project)
    assert verb("import", place) == 0
    for command in (("figure", "mini", "curves"), ("statements", "mini"), ("train", "mini"), ("site",)):
        assert verb(*command) == 0, capsys.readouterr().err
    theirs = (project / "results/demo/statements/mini.csv").read_text()
    assert (mine / "statements/mini.csv").read_text() == theirs
    assert state(project) == before


def test_stamps_that_cannot_be_written_are_one_line_and_no_failure(project, capsys):
    """Of a version without stamps, or deleted by Snakemake."""
    stamp = run_of("base") / "trained.json"
    with owner(RUNS):
        stamp.unlink()
    before = state(project)
    assert verb("train", "mini") == 0
    said = capsys.readouterr().err
    assert f"reprise: {stamp}: cannot be written: {stamp.parent} {BELONGS}; the run is finished" in said
    assert state(project) == before


def test_a_run_that_must_be_trained_is_refused_before_the_work(project, monkeypatch, capsys):
    run = run_of("fast")
    with owner(RUNS):
        (run / "run.json").unlink()
    monkeypatch.setattr("reprise.training.engine.train_run", None)
    assert verb("train", "mini", "--only", "fast") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"reprise: run {run.name}: {run}: cannot be written: it {BELONGS}; use a")


def test_a_run_that_must_be_evaluated_is_refused_before_the_work(project, monkeypatch, capsys):
    run = run_of("fast")
    with owner(RUNS):
        for name in ("evaluation.json", "final.parquet", "predictions.parquet"):
            (run / name).unlink()
    monkeypatch.setattr(import_module("reprise.evaluation.evaluate"), "predict", None)
    assert verb("evaluate", "mini", "--only", "fast") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"reprise: {run}: cannot be written: it {BELONGS}; use a folder of your")


def test_next_counts_without_what_only_a_cache_holds(project, capsys):
    with owner(RUNS):
        (run_of("base") / "run.json").unlink()
    assert verb("next", "mini", "--cache", "cache") == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "; runs that only a cache holds count as not trained" in said.err
    assert "calibration.json: cannot be written" in said.err
    assert said.err.count("are not kept") == 1
    assert "mini/base" in said.out


def test_next_do_is_refused(project, capsys):
    with owner(RUNS):
        (run_of("base") / "run.json").unlink()
    assert verb("next", "mini", "--cache", "cache", "--do") == 1
    assert BELONGS in capsys.readouterr().err.splitlines()[-1]


def test_verify_trains_elsewhere(project, capsys):
    before = state(project)
    assert verb("verify", "cache", "--sample", "1", "--seed", "3") == 0
    said = capsys.readouterr()
    assert "agrees bit for bit" in said.out
    scratch = re.search(r"results/demo: cannot be written: it .*; runs are trained in (\S+); if", said.err)
    assert scratch
    assert not Path(scratch[1]).exists()
    assert state(project) == before


def test_a_results_folder_is_no_cache_and_the_line_says_what_to_do(project, tmp_path, capsys):
    """Where caches are named: it would hold nothing."""
    caches = Caches(["results/demo"], tmp_path)
    assert caches.holds([run_of("base").name]) == set()
    said = capsys.readouterr().err
    assert "a results folder, not a run cache; take its runs with: import results/demo" in said


def test_runs_in_training_are_left_out(project, mine, capsys):
    with owner(RUNS):
        (run_of("base") / "run.json").unlink()
    assert verb("import", "results") == 0
    assert "results/demo/runs: 1 of 3 runs are not finished and are left out" in capsys.readouterr().err
    assert len(list((mine / "runs").glob("*/run.json"))) == 2


@pytest.mark.skipif(not ROOT, reason="only root can make another user's file")
@pytest.mark.parametrize("name", ["run.json", "history.parquet", "weights.safetensors"])
def test_what_a_colleague_lets_nobody_read_is_one_line_with_the_owner(project, name, capsys):
    path = run_of("base") / name
    with owner(RUNS):
        path.chmod(0o600)
    assert verb("train", "mini") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{path}: Permission denied; it belongs to user {COLLEAGUE}, who can give you the right" in line


@pytest.mark.skipif(not ROOT, reason="only root can make another user's file")
def test_what_only_our_group_may_read(project, capsys):
    with owner(project):
        give(project, files=0o640, folders=0o750, group=os.getegid())
    before = state(project)
    for command in (("plan", "mini"), ("train", "mini"), ("evaluate", "mini"), ("import", "results")):
        assert verb(*command) == 0, capsys.readouterr().err
    assert state(project) == before


# ---- a group's folder ----


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder that a group shares; and a umask that would keep the group out."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2775)
    monkeypatch.setattr(files, "_seen", set())
    before = os.umask(0o077)
    yield folder
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o027, 0o002, 0o007])
def test_the_group_goes_on_whatever_the_umask(shared, umask):
    os.umask(umask)
    write_json(shared / "runs/a/run.json", 1)
    with atomic(shared / "runs/a/weights") as partial:
        partial.unlink()  # as a library does that makes a file of its own
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    open_lock(shared / "runs/a/.lock").close()
    others = 0o006 & ~umask
    file, folder = oct(0o660 | others), oct(0o2770 | others | (1 if others else 0))
    expected = {"runs/a/.lock": file, "runs/a/run.json": file, "runs/a/weights": file}
    assert {name: mode for name, mode in modes(shared).items() if name in expected} == expected
    assert modes(shared)["runs"] == modes(shared)["runs/a"] == folder


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o027, 0o002])
def test_elsewhere_the_umask_decides(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "runs/run.json", 1)
        open_lock(tmp_path / "runs/.lock").close()
    finally:
        os.umask(before)
    file, folder = oct(0o666 & ~umask), oct(0o777 & ~umask)
    assert modes(tmp_path) == {"runs": folder, "runs/.lock": file, "runs/run.json": file}


def test_a_whole_run_can_be_gone_on_with_by_the_group(shared, tmp_path):
    data = write_dataset(tmp_path / "data")
    run = tiny_run(training__epochs=2)
    train([run], dataset_dirs={"cifar10": data}, cache=shared, device="cpu", checkpoint_seconds=0)
    found = modes(shared)
    assert len(found) >= 5
    assert all(int(mode, 8) & 0o060 == 0o060 for mode in found.values()), found


def test_a_study_of_several_people(shared, tmp_path):
    """The journal that Optuna appends to."""
    JournalPruner([trial()], shared / "runs", shared / "studies/study.journal")
    assert modes(shared)["studies/study.journal"] == "0o660"


def trial() -> Run:
    """The only trial of a study."""
    study = {"trial": 0, "min_resource": 1, "reduction_factor": 2}
    return Run({**tiny_run(split={"validation": 0.2}).spec, "study": study})


# ---- another user's locks, partial files and checkpoints ----


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o664, 0o666])
def test_a_lock_that_another_user_has_left(tmp_path, mode):
    lock = tmp_path / ".lock"
    lock.touch()
    lock.chmod(mode)
    if ROOT:
        os.chown(lock, COLLEAGUE, COLLEAGUE)
    with powerless():
        with open_lock(lock) as one, open_lock(lock) as other:
            assert try_lock(one) is True
            assert try_lock(other) is False
        with files.alone(lock, lambda: pytest.fail("nobody holds it"), keep=True) as waited:
            assert waited is False
    assert lock.exists()


@pytest.mark.skipif(not ROOT, reason="only root can make another user's file")
def test_a_lock_that_can_not_even_be_read_is_one_line(tmp_path):
    lock = tmp_path / ".lock"
    lock.touch()
    lock.chmod(0o600)
    os.chown(lock, COLLEAGUE, COLLEAGUE)
    with (
        powerless(),
        pytest.raises(UnwritableError, match=rf"\.lock: cannot be written: it {BELONGS}; use a"),
    ):
        open_lock(lock)


def test_a_lock_that_linux_refuses_to_make_again(tmp_path, monkeypatch):
    """fs.protected_regular: O_CREAT is refused for another user's file in a folder with the sticky bit."""
    lock, real = tmp_path / ".lock", os.open
    lock.touch()

    def refuse(path, flags, *mode, **options):
        if flags & os.O_CREAT and Path(path).exists():
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", refuse)
    with open_lock(lock) as file:
        assert try_lock(file) is True


def test_a_trial_whose_lock_another_worker_has_left(tmp_path):
    run = trial()
    (tmp_path / run.hash).mkdir()
    lock = tmp_path / run.hash / ".worker"
    lock.touch()
    lock.chmod(0o444)
    if ROOT:
        os.chown(lock, COLLEAGUE, COLLEAGUE)
    with powerless():
        assert list(take_trials([run], tmp_path)) == [run]


def test_the_partial_file_of_a_living_process_of_another_user_stays(tmp_path, monkeypatch):
    """Where the system hides other users' processes (hidepid), only that it is there can be told."""
    monkeypatch.setattr(files, "_seen", set())
    theirs = tmp_path / f".a.json.{files._host()}-1-12345.abcdefgh.partial.json"
    theirs.touch()

    def kill(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(files, "_start", lambda pid: "0" if pid == 1 else "7")
    write_json(tmp_path / "b.json", 1)
    assert theirs.exists()
    monkeypatch.setattr(files, "_seen", set())
    monkeypatch.setattr(files, "_start", lambda pid: "7")  # it can be seen, and is another one
    write_json(tmp_path / "b.json", 1)
    assert not theirs.exists()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("images"))}


def half_finished(run, cache: Path, images) -> Path:
    """The checkpoint of a run that was stopped in its third epoch."""

    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 3:
            raise Stop

    with contextlib.suppress(Stop):
        train([run], dataset_dirs=images, cache=cache, device="cpu", checkpoint_seconds=0, on_step=stop)
    return cache / run.hash / "checkpoint.pt"


def test_another_users_half_finished_run_goes_on(images, tmp_path, capsys):
    run = tiny_run()
    checkpoint = half_finished(run, tmp_path, images)
    if ROOT:
        for path in (checkpoint, checkpoint.parent / ".lock"):
            os.chown(path, COLLEAGUE, COLLEAGUE)
    steps = []
    with powerless():
        train(
            [run],
            dataset_dirs=images,
            cache=tmp_path,
            device="cpu",
            on_step=lambda epoch, step, loss: steps.append(epoch),
        )
    assert set(steps) == {3}
    assert read_json(tmp_path / run.hash / "run.json")["run"] == run.hash
    assert not checkpoint.exists()


@pytest.mark.skipif(not ROOT, reason="only root can make another user's file")
def test_another_users_checkpoint_that_cannot_be_read_is_not_written_over(images, tmp_path):
    run = tiny_run()
    checkpoint = half_finished(run, tmp_path, images)
    content = checkpoint.read_bytes()
    checkpoint.chmod(0o600)
    os.chown(checkpoint, COLLEAGUE, COLLEAGUE)
    with (
        powerless(),
        pytest.raises(
            RepriseError,
            match=rf"checkpoint\.pt: Permission denied; it belongs to user {COLLEAGUE}, who can give you .*; "
            r"or delete it, and the run starts again$",
        ),
    ):
        train([run], dataset_dirs=images, cache=tmp_path, device="cpu", checkpoint_seconds=0)
    assert checkpoint.read_bytes() == content


# ---- other ways not to be writable ----


@pytest.mark.parametrize("code", ["EACCES", "EPERM", "EROFS"])
@pytest.mark.parametrize("action", ["atomic", "folder", "lock", "probe"])
def test_every_refusal_is_the_same_line(tmp_path, monkeypatch, action, code):
    """Also of a folder that is immutable (chattr +i), and on a medium that is read-only."""

    def refuse(path, *arguments, **options):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)), str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    do = {
        "atomic": lambda: write_json(tmp_path / "a.json", 1),
        "folder": lambda: make_folder(tmp_path / "a" / "b"),
        "lock": lambda: open_lock(tmp_path / ".lock"),
        "probe": lambda: check_writable(tmp_path),
    }
    why = "is on a file system that is read-only" if code == "EROFS" else "is not writable by you"
    with pytest.raises(
        UnwritableError, match=rf"^{tmp_path}\S*: cannot be written: ({tmp_path}|it) {why}; use a folder of"
    ) as error:
        do[action]()
    assert ".partial" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_whose_a_source_is_that_cannot_be_read_is_not_mixed_up_with_the_target(tmp_path):
    """The file that is refused is the one that is read."""
    with (
        pytest.raises(RepriseError, match=r"/theirs/a: Permission denied; check the path") as error,
        atomic(tmp_path / "b"),
    ):
        raise PermissionError(13, "Permission denied", str(tmp_path / "theirs" / "a"))
    assert not isinstance(error.value, UnwritableError)


def test_the_owner_of_the_nearest_folder_that_can_be_seen_is_named(tmp_path):
    (tmp_path / "closed").mkdir()
    if ROOT:
        os.chown(tmp_path / "closed", COLLEAGUE, COLLEAGUE)
    (tmp_path / "closed").chmod(0o000)
    path = tmp_path / "closed" / "run" / "run.json"
    try:
        with powerless(), pytest.raises(PermissionError) as refused:
            path.stat()
        with powerless():
            said = file_error(refused.value)
    finally:
        take_back(tmp_path / "closed")
    owner = f"it belongs to user {COLLEAGUE}, who can give you the right to it (chmod)"
    assert said == f"{path}: Permission denied; " + (owner if ROOT else "check the path and its permissions")


def test_workers_of_a_folder_that_is_not_ours_are_refused(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    give(runs)
    try:
        with powerless(), pytest.raises(UnwritableError, match=rf"cannot be written: {runs} {BELONGS}; use"):
            next(take_trials([trial()], runs))
    finally:
        take_back(runs)
