"""A run that is stopped at any moment and resumed equals one that never stopped, bit for bit."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.training import checkpoint as checkpoints
from reprise.training import session
from reprise.training.checkpoint import read_checkpoint
from reprise.training.engine import train
from reprise.training.session import interruptible
from tiny import everything, tiny_run, write_dataset

RUN = everything(training__epochs=8)

TRAIN = """
import sys, time
from pathlib import Path
from tiny import everything
from reprise.training.engine import train
from reprise.training.session import Interrupted

def slowly(epoch, step, loss):
    print(epoch, step, flush=True)
    time.sleep(0.02)

try:
    train([everything(training__epochs=8)], dataset_dirs={"cifar10": Path(sys.argv[1])},
          cache=Path(sys.argv[2]), device="cpu", threads=1,
          checkpoint_seconds=float(sys.argv[3]), on_step=slowly)
except Interrupted as stop:
    print(stop, file=sys.stderr)
    sys.exit(stop.status)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet, sklearn.metrics, torch, torch._dynamo  # what each child would import
from tiny import tiny_run
from reprise.evaluation import evaluate
from reprise.training import checkpoint
from reprise.training.engine import train

torch.set_num_threads(1)
data, root = map(Path, sys.argv[1:])
run = tiny_run(training__epochs=3)


def die_before(change, step=1):
    count = 0

    def counted(self, *arguments, **options):
        global event
        nonlocal count
        count += 1
        event -= count % step == 0
        if event == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(self, *arguments, **options)

    return counted


kill, status = 0, -1
while status:
    kill += 1
    cache = root / str(kill)
    cache.mkdir()
    child = os.fork()
    if not child:
        event = kill
        os.fsync, Path.replace, Path.unlink = map(die_before, (os.fsync, Path.replace, Path.unlink))
        writer = checkpoint._HashedWriter
        writer.write = die_before(writer.write, 20)
        train([run], dataset_dirs={"cifar10": data}, cache=cache, device="cpu", checkpoint_seconds=0,
              on_step=lambda epoch, step, loss: (cache / "epoch").write_text(str(epoch)))
        evaluate([run], {"cifar10": data}, cache, device="cpu")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    cache = tmp_path_factory.mktemp("whole")
    train([RUN], dataset_dirs={"cifar10": data}, cache=cache, device="cpu")
    return cache / RUN.hash


def resume(data, cache, **options):
    """Epochs that were trained now."""
    epochs = set()
    train(
        [RUN],
        dataset_dirs={"cifar10": data},
        cache=cache,
        device="cpu",
        on_step=lambda epoch, step, loss: epochs.add(epoch),
        **options,
    )
    return sorted(epochs)


def assert_same(folder, expected):
    one, other = (pd.read_parquet(path / "history.parquet") for path in (folder, expected))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    one, other = (load_file(path / "weights.safetensors") for path in (folder, expected))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (folder / "checkpoint.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "interval", "status"),
    [(signal.SIGINT, 1e9, 130), (signal.SIGTERM, 1e9, 143), (signal.SIGKILL, 0, -9)],
    ids=["int", "term", "kill"],
)
def test_stopped_by_a_signal(data, uninterrupted, tmp_path, number, interval, status):
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", TRAIN, str(data), str(tmp_path), str(interval)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        for line in process.stdout:
            if line.split() == ["4", "2"]:  # in the middle of epoch 4
                process.send_signal(number)
                break
        process.stdout.read()
        errors = process.stderr.read()
    assert process.returncode == status
    folder = tmp_path / RUN.hash
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "run.json").exists()
    if number != signal.SIGKILL:
        assert (
            f"stopped by {number.name}; finished epochs are kept, run the same command again to go on"
            in errors
        )
        assert "Traceback" not in errors
    assert resume(data, tmp_path) == [4, 5, 6, 7, 8]
    assert_same(folder, uninterrupted)


def contents(folder):
    """What the files of a run hold, but for what clocks say."""
    times = {"started", "finished", "seconds", "seconds_per_epoch"}
    records = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    for record in records.values():
        del record["sha256"]
        record["meta"] = {key: value for key, value in record.get("meta", {}).items() if key not in times}
    return records | {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix != ".json" and path.name != ".lock"
    }


@pytest.mark.slow
def test_killed_before_any_change_of_a_file(data, tmp_path):
    """Between a file and its record, in the middle of a checkpoint …: at most one interval is lost, and
    nothing stays.
    """
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(data), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    run = tiny_run(training__epochs=3)
    *killed, whole = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(killed) > 40
    names = {
        "history.parquet",
        "weights.safetensors",
        "run.json",
        "predictions.parquet",
        "final.parquet",
        "evaluation.json",
    }
    expected = contents(whole / run.hash)
    assert set(expected) == names
    for cache in killed:
        folder = cache / run.hash
        path = folder / "checkpoint.pt"
        saved = (
            3
            if (folder / "run.json").exists()
            else read_checkpoint(path)["state"]["history"][-1]["epoch"]
            if path.exists()
            else 0
        )
        begun = int((cache / "epoch").read_text()) if (cache / "epoch").exists() else 1
        assert saved >= begun - 1, cache
        epochs = set()
        train(
            [run],
            dataset_dirs={"cifar10": data},
            cache=cache,
            device="cpu",
            on_step=lambda epoch, *_, found=epochs: found.add(epoch),
        )
        assert sorted(epochs) == list(range(saved + 1, 4)), cache
        evaluate([run], {"cifar10": data}, cache, device="cpu")
        assert contents(folder) == expected, cache


@pytest.fixture
def stopped(data, tmp_path):
    """A cache with a run that stopped after three epochs."""

    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 4:
            raise Stop

    with pytest.raises(Stop):
        train(
            [RUN],
            dataset_dirs={"cifar10": data},
            cache=tmp_path,
            device="cpu",
            checkpoint_seconds=0,
            on_step=stop,
        )
    assert (tmp_path / RUN.hash / "checkpoint.pt").exists()
    return tmp_path


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError], ids=["second signal", "torch"])
def test_whatever_ends_a_run_the_finished_epochs_are_kept(data, uninterrupted, tmp_path, error):
    def fail(epoch, step, loss):
        if epoch == 4:
            raise error

    with pytest.raises((KeyboardInterrupt, RepriseError)):
        train(
            [RUN],
            dataset_dirs={"cifar10": data},
            cache=tmp_path,
            device="cpu",
            checkpoint_seconds=1e9,
            on_step=fail,
        )
    assert resume(data, tmp_path) == [4, 5, 6, 7, 8]
    assert_same(tmp_path / RUN.hash, uninterrupted)


def test_resumed_in_place(data, stopped, uninterrupted):
    assert resume(data, stopped) == [4, 5, 6, 7, 8]
    assert_same(stopped / RUN.hash, uninterrupted)


def garbage(path):
    path.write_bytes(b"not a checkpoint")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-500])


def change(**items):
    def damage(path):
        checkpoints.write_checkpoint(path, {**checkpoints.read_checkpoint(path), **items})

    return damage


def other_shape(path):
    found = checkpoints.read_checkpoint(path)
    found["state"]["model"]["0_conv.weight"] = torch.zeros(1)
    checkpoints.write_checkpoint(path, found)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def code(path):
    checkpoints.write_checkpoint(path, Code(path.with_name("made by code")))


def of_an_older_version(path):
    torch.save(checkpoints.read_checkpoint(path), path)


def flip(path):
    """One bit of a bias, which torch would load."""
    bias = checkpoints.read_checkpoint(path)["state"]["selected"]["0_conv.bias"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(bias)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        truncate,
        change(run="0" * 12),
        change(device="cuda"),
        change(dtype="bfloat16"),
        change(data={}),
        change(state={}),
        other_shape,
        code,
        of_an_older_version,
        flip,
    ],
    ids=[
        "garbage",
        "truncated",
        "another run",
        "another device",
        "another precision",
        "other images",
        "empty",
        "another shape",
        "code",
        "older",
        "flipped",
    ],
)
def test_an_unusable_checkpoint_is_ignored_with_a_warning(data, stopped, uninterrupted, capsys, damage):
    path = stopped / RUN.hash / "checkpoint.pt"
    damage(path)
    assert resume(data, stopped) == [1, 2, 3, 4, 5, 6, 7, 8]
    lines = [line for line in capsys.readouterr().err.splitlines() if "ignored" in line]
    assert len(lines) == 1
    assert re.match(
        rf"reprise: {re.escape(str(path))}: checkpoint ignored, the run starts again \(.+\)$", lines[0]
    )
    assert_same(stopped / RUN.hash, uninterrupted)
    assert not path.with_name("made by code").exists()


def test_a_checkpoint_in_float32_is_not_gone_on_with_in_bfloat16(data, stopped, capsys):
    assert resume(data, stopped, precision="bfloat16") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert re.search(
        r"checkpoint ignored, the run starts again \(it is of .*float32", capsys.readouterr().err
    )


def test_interval_between_checkpoints(data, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(checkpoints.Checkpoint, "write", lambda self: written.append(self))
    resume(data, tmp_path, checkpoint_seconds=1e9)
    assert not written


def test_a_second_process_waits_for_the_first(data, uninterrupted, tmp_path, capsys):
    folder = tmp_path / RUN.hash
    folder.mkdir()
    lock = (folder / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)

    def finish():
        shutil.copytree(uninterrupted, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lock"))
        lock.close()

    other = threading.Timer(0.5, finish)
    other.start()
    assert resume(data, tmp_path) == []
    other.join()
    assert (
        f"run {RUN.hash}: another process is training it; waiting for its result" in capsys.readouterr().err
    )


def test_interrupted_while_waiting(data, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    folder = tmp_path / RUN.hash
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
        other.start()
        with pytest.raises(Exception, match="stopped by SIGTERM"):
            resume(data, tmp_path)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is handler


def test_one_request_may_come_twice(monkeypatch):
    """Ctrl-C does, where a parent hands it on; only a later one acts at once."""
    with interruptible() as interrupt:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupt.number == signal.SIGINT
        monkeypatch.setattr(session, "SAME_REQUEST_S", 0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("interval", "file"), [(0, "checkpoint.pt"), (1e9, "weights.safetensors")])
def test_a_full_disk_is_one_line(data, tmp_path, interval, file):
    """A limit on the size of files stands in for the full disk."""
    run = tiny_run(model__layers=[{"flatten": True}, {"dense": 16}, {"dense": "classes"}])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        with pytest.raises(
            RepriseError,
            match=rf"^run {run.hash}: .*{file}: (cannot be written \(.+\); is the disk full\?|File too "
            r"large; .+)$",
        ):
            train(
                [run],
                dataset_dirs={"cifar10": data},
                cache=tmp_path,
                device="cpu",
                checkpoint_seconds=interval,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / run.hash / file).exists()
    assert not (tmp_path / run.hash / "run.json").exists()
    assert not list((tmp_path / run.hash).glob("*.partial*"))


def test_no_checkpoint_is_left_of_a_short_run(data, tmp_path):
    run = tiny_run(training__epochs=1)
    train([run], dataset_dirs={"cifar10": data}, cache=tmp_path, device="cpu", checkpoint_seconds=0)
    assert not (tmp_path / run.hash / "checkpoint.pt").exists()
