"""File systems that lack what a Linux disk has (CIFS, FUSE, NFS, exFAT, drives of Windows and of clouds):
nothing that was computed is lost, and what is written is what it would be elsewhere.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from rights import powerless

from reprise import files
from reprise.data.decode import load
from reprise.errors import RepriseError, file_error
from reprise.evaluation import evaluate
from reprise.files import alone, atomic, open_lock, read_json, try_lock, write_json
from reprise.reports.run import Run
from reprise.results.cache import add
from reprise.search.workers import JournalPruner
from reprise.training.engine import train
from reprise.training.results import check_evaluation, read_run, read_weights
from tiny import tiny_run, write_dataset

RUN = tiny_run(training__epochs=2)
RESULTS = ("history.parquet", "weights.safetensors", "predictions.parquet", "final.parquet")


def refusing(code: int, real=None, when=lambda *arguments: True):
    """A system call that fails with `code`, when its arguments are so."""

    def call(*arguments, **options):
        if real is None or when(*arguments):
            named = [str(each) for each in arguments[:1] if isinstance(each, str | Path)]
            raise OSError(code, os.strerror(code), *named)
        return real(*arguments, **options)

    return call


def there(source, target):
    """Whether a file is renamed over one that is there."""
    return Path(target).exists()


def is_there(path):
    return path.exists()


WITHOUT = {
    "chmod: CIFS": (
        ("os.chmod", errno.EPERM),
        ("os.fchmod", errno.EPERM),
        ("pathlib.Path.chmod", errno.EPERM),
    ),
    "chmod: FUSE": (("os.fchmod", errno.ENOSYS), ("pathlib.Path.chmod", errno.ENOSYS)),
    "chmod: Google Drive": (("os.fchmod", errno.ENOTSUP), ("pathlib.Path.chmod", errno.ENOTSUP)),
    "chmod: read-only attributes": (("os.fchmod", errno.EROFS), ("pathlib.Path.chmod", errno.EROFS)),
    "fsync: FUSE": (("os.fsync", errno.ENOSYS),),
    "fsync: Google Drive": (("os.fsync", errno.EINVAL),),
    "fsync: macOS": (("os.fsync", errno.ENOTSUP),),
    "fsync: of what is open to be read": (("os.fsync", errno.EBADF),),
    "locks: NFS without lockd": (("fcntl.flock", errno.ENOLCK),),
    "locks: Lustre": (("fcntl.flock", errno.ENOSYS),),
    "locks: exFAT over FUSE": (("fcntl.flock", errno.EOPNOTSUPP),),
    "locks: 9p": (("fcntl.flock", errno.EINVAL),),
    "locks: NFSv4, read only": (("fcntl.flock", errno.EBADF),),
    "renames: union mount": (("pathlib.Path.replace", errno.EXDEV),),
    "renames: object store": (("pathlib.Path.replace", errno.ENOSYS),),
    "renames: drvfs": (("pathlib.Path.replace", errno.EPERM),),
    "renames: open on Windows": (("pathlib.Path.replace", errno.EBUSY),),
    "renames: over a file": (("pathlib.Path.replace", errno.EEXIST, there),),
    "removals": (("pathlib.Path.unlink", errno.EPERM, is_there),),
    "links": (("os.symlink", errno.EPERM), ("os.link", errno.EPERM)),
    "times and attributes": (
        ("os.utime", errno.EPERM),
        ("os.setxattr", errno.ENOTSUP),
        ("os.getxattr", errno.ENOTSUP),
        ("os.chown", errno.EPERM),
    ),
    "maps: FUSE": (("mmap.mmap", errno.ENODEV),),
    "maps: vboxsf": (("mmap.mmap", errno.EINVAL),),
    "all at once": (
        ("os.fchmod", errno.EPERM),
        ("pathlib.Path.chmod", errno.EPERM),
        ("os.fsync", errno.EINVAL),
        ("fcntl.flock", errno.ENOLCK),
        ("pathlib.Path.replace", errno.EXDEV),
        ("mmap.mmap", errno.ENODEV),
    ),
}
MODULES = {"os": os, "fcntl": fcntl, "mmap": mmap, "pathlib.Path": Path}


@pytest.fixture
def without(monkeypatch):
    """Make the file system one of `WITHOUT`."""

    def without(which: str) -> None:
        monkeypatch.setattr(files, "_seen", set())
        for name, code, *when in WITHOUT[which]:
            owner, _, call = name.rpartition(".")
            real = getattr(MODULES[owner], call)
            monkeypatch.setattr(MODULES[owner], call, refusing(code, real, *when))

    return without


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


def results(cache: Path) -> dict[str, bytes]:
    return {name: (cache / RUN.hash / name).read_bytes() for name in RESULTS}


def make(dirs, cache: Path) -> None:
    train([RUN], dataset_dirs=dirs, cache=cache, device="cpu", checkpoint_seconds=0)
    evaluate([RUN], dirs, cache, device="cpu")


@pytest.fixture(scope="module")
def expected(dirs, tmp_path_factory):
    """What an ordinary disk holds."""
    cache = tmp_path_factory.mktemp("expected")
    make(dirs, cache)
    return results(cache)


@pytest.mark.parametrize("which", WITHOUT)
def test_a_run_is_trained_and_evaluated_all_the_same(dirs, expected, tmp_path, without, which, capsys):
    without(which)
    make(dirs, tmp_path)
    folder = tmp_path / RUN.hash
    assert results(tmp_path) == expected
    assert read_run(folder)["run"] == RUN.hash
    check_evaluation(folder)
    assert read_weights(folder / "weights.safetensors")
    said = capsys.readouterr().err
    assert said.count("this file system has no locks") == (
        which.startswith("locks") or which == "all at once"
    )
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    make(dirs, tmp_path)  # which is there already
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("which", WITHOUT)
def test_a_file_is_replaced_whole(tmp_path, without, which):
    path = tmp_path / "a.json"
    write_json(path, ["old"] * 1000)
    without(which)
    write_json(path, "new")
    assert read_json(path) == "new"
    if which != "removals":
        assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("which", WITHOUT)
def test_an_error_leaves_the_old_file(tmp_path, without, which):
    path = tmp_path / "a.json"
    write_json(path, "old")
    without(which)
    with pytest.raises(ZeroDivisionError), atomic(path) as partial:
        partial.write_text(f"half {1 / 0}")
    assert read_json(path) == "old"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_may_have_lost_the_content_is_an_error(tmp_path, monkeypatch, call, code):
    """A disk that fails or is full is no disk that lacks a call."""
    path = tmp_path / "a.json"
    write_json(path, "old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), refusing(code))
    full = code in (errno.ENOSPC, errno.EDQUOT)
    with pytest.raises(RepriseError, match="no space left on the disk" if full else os.strerror(code)):
        write_json(path, "new")
    assert read_json(path) == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_copy_that_fails_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    monkeypatch.setattr(Path, "replace", refusing(errno.EXDEV))
    monkeypatch.setattr("shutil.copyfile", refusing(errno.ENOSPC))
    with pytest.raises(RepriseError, match=rf"^{path}: no space left on the disk; free some and run"):
        write_json(path, "new")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_a_file_is_not_removed(tmp_path):
    (tmp_path / "a.json/b").mkdir(parents=True)
    with pytest.raises(RepriseError, match="Is a directory"):
        write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "a.json/b").is_dir()


def test_another_users_file_in_a_folder_with_the_sticky_bit_is_written_over(tmp_path):
    """Neither renaming over it nor removing it is allowed there."""
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's file")
    folder = tmp_path / "shared"
    folder.mkdir()
    path = folder / "a.json"
    write_json(path, "old")
    path.chmod(0o666)
    os.chown(path, 65_533, 65_533)
    os.chown(folder, 65_533, 65_533)
    folder.chmod(0o1777)
    with powerless():
        with pytest.raises(PermissionError):
            path.unlink()
        if protected_regular():
            with pytest.raises(RepriseError, match="cannot be written"):
                write_json(path, "new")
        else:
            write_json(path, "new")
            assert read_json(path) == "new"


def protected_regular() -> bool:
    setting = Path("/proc/sys/fs/protected_regular")
    return setting.exists() and setting.read_text().strip() != "0"


def test_a_parallel_file_system_that_does_not_show_a_new_folder_yet(tmp_path, monkeypatch):
    """BeeGFS: another machine has made the folder, and this one does not see it at once."""
    real, calls = Path.mkdir, []

    def mkdir(self, *arguments, **options):
        calls.append(self)
        real(self, parents=True, exist_ok=True)
        raise FileExistsError(errno.EEXIST, "File exists", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    write_json(tmp_path / "new" / "a.json", 1)
    assert calls == [tmp_path / "new"]
    assert read_json(tmp_path / "new" / "a.json") == 1


# ---- locks ----


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EACCES], ids=["held", "held, as CIFS says it"])
def test_a_lock_that_is_held_is_waited_for(tmp_path, monkeypatch, code):
    answers, real = [code, code], fcntl.flock

    def flock(file, operation):
        if answers:
            raise OSError(answers.pop(), "held")
        return real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(files, "WAIT_S", 0.01)
    said = []
    with alone(tmp_path / ".lock", lambda: said.append("waiting")) as waited:
        assert waited
    assert said == ["waiting"]


@pytest.mark.parametrize(
    "code",
    [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EPERM, errno.EBADF],
)
def test_no_locks_is_said_and_no_failure(tmp_path, monkeypatch, code):
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    said = []
    with alone(tmp_path / ".lock", pytest.fail, unlockable=lambda: said.append("none")) as waited:
        assert not waited
    assert said == ["none"]
    with open_lock(tmp_path / ".lock") as file:
        assert try_lock(file) is None


def test_a_lock_file_that_cannot_be_removed_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "unlink", refusing(errno.EPERM))
    for _ in range(2):
        with alone(tmp_path / ".lock", lambda: pytest.fail("it is free")):
            pass
    assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("which", ["links", "all at once", "chmod: CIFS"])
def test_a_journal_is_shared_without_links(tmp_path, without, which):
    study = {"trial": 0, "min_resource": 1, "reduction_factor": 2}
    run = Run({**tiny_run(split={"validation": 0.2}).spec, "study": study})
    without(which)
    rows = [{"epoch": 1, "split": split, "loss": 1.0, "accuracy": 0.5} for split in ("train", "validation")]
    for _ in range(2):
        journal = JournalPruner([run], tmp_path / "runs", tmp_path / "studies/study.journal")
        assert journal.stop(run, rows) is None
    assert [each.name for each in (tmp_path / "studies").iterdir()] == ["study.journal"]


# ---- maps ----


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EINVAL, errno.ENOSYS])
def test_arrays_are_read_where_they_cannot_be_mapped(dirs, monkeypatch, code):
    mapped = load(dirs["cifar10"], "cifar10")
    monkeypatch.setattr(mmap, "mmap", refusing(code))
    read = load(dirs["cifar10"], "cifar10")
    for split in ("train", "test"):
        assert not isinstance(read.splits[split].images, np.memmap)
        assert np.array_equal(read.splits[split].images, mapped.splits[split].images)


# ---- run caches ----


@pytest.mark.parametrize("which", ["all at once", "renames: over a file", "links"])
def test_a_run_cache_is_added_to(dirs, expected, tmp_path, without, which):
    from reprise.evaluation.exchange import entry_of

    make(dirs, tmp_path)
    entry = entry_of(tmp_path / RUN.hash)
    without(which)
    assert add(tmp_path / "cache", [entry]) == {RUN.hash: "published"}
    assert add(tmp_path / "cache", [entry]) == {RUN.hash: "there already"}


# ---- names ----


@pytest.mark.parametrize(
    "name",
    ["a" * 250 + ".json", "ü" * 125 + ".csv", "漢" * 80, "a." + "b" * 250, "." + "x" * 254, "a" * 255],
    ids=["json", "umlauts", "hanzi", "suffix", "hidden", "no suffix"],
)
def test_a_name_as_long_as_the_system_allows(tmp_path, name):
    """The partial file beside it bears a shorter one."""
    for content in ("old", "new"):
        with atomic(tmp_path / name) as partial:
            assert len(os.fsencode(partial.name)) <= 143, "of eCryptfs"
            assert files._PARTIAL.fullmatch(partial.name)
            partial.write_text(content)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(name, "new")]


def test_the_name_of_a_machine_may_be_long(tmp_path, monkeypatch):
    name = "x" * 200 + ".cluster.example.org"
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(["Linux", name, "6", "1", "x86_64"]))
    with atomic(tmp_path / ("a" * 200 + ".parquet")) as partial:
        assert len(partial.name) <= 143


@pytest.mark.parametrize("long", ["name", "path"])
def test_what_is_too_long_is_one_line(tmp_path, long):
    path = tmp_path / ("a" * 256) if long == "name" else Path(tmp_path, *["a" * 200] * 25, "b")
    with (
        pytest.raises(
            RepriseError, match=r"aa: File name too long; use shorter names, or a folder nearer to the root$"
        )
        if long == "name"
        else pytest.raises(RepriseError, match="File name too long; use shorter names")
    ):
        write_json(path, 1)
    assert not list(tmp_path.iterdir())


def test_what_the_project_calls_its_files_differs_in_more_than_case():
    """On file systems that do not tell `A` from `a`: identifiers of figures, tables and statements and the
    hashes of runs have lower-case letters alone.
    """
    from reprise.reports import values

    assert values._IDENTIFIER == r"^[a-z0-9][a-z0-9_]*$"
    assert RUN.hash == RUN.hash.lower()


def test_a_message_without_a_file_stays_as_it_was():
    assert file_error(OSError(errno.EIO, "Input/output error")).startswith("Input/output error; check the")


def test_a_socket_is_still_refused_where_renames_are(tmp_path, without):
    """What is no file is never written over, on such a file system either."""
    without("all at once")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(tmp_path):
        server.bind("a")
        with pytest.raises(RepriseError, match="a socket where a file is to be written"):
            write_json(tmp_path / "a", 1)
