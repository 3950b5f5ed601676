"""Too little memory for one run of several, clocks that jump, and a process that is stopped and goes on."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.training import engine
from reprise.training.inference import predict
from reprise.training.results import read_run
from tiny import tiny_run, write_dataset

HUGE = {"model__layers": [{"flatten": True}, {"dense": 10_000_000}, {"dense": "classes"}]}
"""17 GB of weights."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data") / "cifar10")}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Two gigabytes more than there are in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def train(runs, data, cache, **options):
    return engine.train(runs, dataset_dirs=data, cache=cache, device="cpu", **options)


def test_a_run_for_which_there_is_too_little_memory_fails_alone(data, tmp_path, capsys, little_memory):
    small, huge, other = tiny_run(), tiny_run(**HUGE), tiny_run(seeds__init=1)
    line = (
        f"run {huge.hash}: there is too little memory; lower training.batch_size, give the job more, or "
        "use another device"
    )
    with pytest.raises(RepriseError, match=line):
        train([small, huge, other], data, tmp_path)
    assert capsys.readouterr().err.count(line) == 1
    assert read_run(tmp_path / small.hash)
    assert read_run(tmp_path / other.hash)
    assert [path.name for path in (tmp_path / huge.hash).iterdir()] == [".lock"]
    assert [outcome.trained for outcome in train([small, other], data, tmp_path)] == [False, False]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("can't allocate memory: you tried …"),
    ],
)
def test_an_evaluation_for_which_there_is_too_little_memory_fails_alone(
    error, data, tmp_path, capsys, monkeypatch
):
    runs = [tiny_run(seeds__init=seed) for seed in range(3)]
    train(runs, data, tmp_path)
    calls = []

    def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return predict(*arguments)

    monkeypatch.setattr(sys.modules["reprise.evaluation.evaluate"], "predict", fail_once)
    with pytest.raises(
        RepriseError,
        match=rf"run {runs[1].hash}: not evaluated, because there is too little memory; the others of 3 are",
    ):
        evaluate(runs, data, tmp_path, "cpu")
    assert f"run {runs[1].hash}: there is too little memory" in capsys.readouterr().err
    assert [(tmp_path / run.hash / "final.parquet").exists() for run in runs] == [True, False, True]
    evaluate(runs, data, tmp_path, "cpu")
    assert (tmp_path / runs[1].hash / "final.parquet").exists()


def test_clocks_that_jump_back_change_no_result(data, tmp_path, monkeypatch):
    run = tiny_run()
    train([run], data, tmp_path / "right")
    hours = iter(range(10_000))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=next(hours))

    monkeypatch.setattr("reprise.training.state.datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600 * next(hours))

    def stop(epoch, step, loss):
        if epoch == 2:
            raise RepriseError("stopped")

    with pytest.raises(RepriseError, match="stopped"):
        train([run], data, tmp_path / "wrong", checkpoint_seconds=0, on_step=stop)
    os.utime(tmp_path / "wrong" / run.hash / "checkpoint.pt", (0, 0))  # older than the images
    train([run], data, tmp_path / "wrong", checkpoint_seconds=0)
    right, wrong = (read_run(tmp_path / name / run.hash)["meta"] for name in ("right", "wrong"))
    assert wrong["started"] > wrong["finished"]
    assert 0 < wrong["seconds"] < 60
    for name in ("history.parquet", "weights.safetensors"):
        assert (tmp_path / "right" / run.hash / name).read_bytes() == (
            tmp_path / "wrong" / run.hash / name
        ).read_bytes()
    evaluate([run], data, tmp_path / "right", "cpu")
    evaluate([run], data, tmp_path / "wrong", "cpu")
    for name in ("predictions.parquet", "final.parquet"):
        assert (tmp_path / "right" / run.hash / name).read_bytes() == (
            tmp_path / "wrong" / run.hash / name
        ).read_bytes()
    assert {
        key: value
        for key, value in right.items()
        if key not in ("started", "finished", "seconds", "seconds_per_epoch")
    } == {
        key: value
        for key, value in wrong.items()
        if key not in ("started", "finished", "seconds", "seconds_per_epoch")
    }


STOPPED = """
import os, pathlib, sys, time
from reprise.supervision import supervise, tell
supervise(retry=True)
tell(run="abc", name="run", doing="trained")
print(os.getpid(), flush=True)
time.sleep(1)
pathlib.Path(sys.argv[1]).touch()
"""


@pytest.mark.parametrize("who", ["child", "both"])
def test_a_process_that_is_stopped_and_goes_on_is_not_dead(who: str, tmp_path: Path):
    done = tmp_path / "done"
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(done)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    child = int(process.stdout.readline())
    send, target = (os.kill, child) if who == "child" else (os.killpg, process.pid)
    send(target, signal.SIGSTOP)
    time.sleep(1.5)
    assert process.poll() is None
    assert not done.exists()
    send(target, signal.SIGCONT)
    assert process.wait(30) == 0
    assert done.exists()
    assert process.stderr.read() == ""
