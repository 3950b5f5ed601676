"""kill -9 at named moments of every step that writes: the same command again ends as if nothing had been."""

import copy
import functools
import http.server
import json
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mini import convolution, mini

REPORT = mini(
    convolution(2),
    {
        "base": {},
        "tuned": {"set": {"initial_weights": {"from": "base"}}},
        "search": {
            "asha": {
                "trials": 3,
                "min_resource": 1,
                "reduction_factor": 2,
                "space": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.001, 0.0001]}},
            }
        },
    },
    validation=0.2,
    epochs=3,
    figures=[
        {
            "id": "curves",
            "kind": "curves",
            "caption": "Accuracy.",
            "metric": "accuracy",
            "splits": ["train", "validation"],
            "series": [{"runs": "base", "label": "base"}, {"runs": "tuned", "label": "tuned"}],
        },
        {
            "id": "image",
            "kind": "samples",
            "caption": "An image.",
            "images": {"dataset": "cifar10", "captions": ["label"]},
        },
    ],
    tables=[{"id": "networks", "kind": "layers", "caption": "The network.", "networks": ["net"]}],
    statements=[{"number": "accuracy", "says": "Accuracy", "reported": "0.5", "measure": "accuracy(base)"}],
)
RESULTS = ["--scale", "demo"]
DEMO = [*RESULTS, "--reports", "reports"]
ON_CPU = ["--device", "cpu", "--threads", "1"]
STEPS = {
    "synthesize": ["data", "synthesize", "cifar10", "--train", "100", "--test", "30"],
    "fetch": ["data", "fetch", "cifar10", *RESULTS],
    "decode": ["data", "decode", "cifar10", *RESULTS],
    "statistics": ["data", "statistics", "cifar10", *RESULTS],
    "train": ["train", "mini", "--only", "base", "tuned", *ON_CPU, *DEMO],
    "evaluate": ["evaluate", "mini", "--only", "base", "tuned", *ON_CPU, *DEMO],
    "work": ["study", "work", "mini", "search", *ON_CPU, *DEMO],
    "show": ["study", "show", "mini", "search", "--csv", "search.csv", *DEMO],
    "samples": ["samples", "mini", "image", *DEMO],
    "layers": ["layers", "mini", "networks", *DEMO],
    "figure": ["figure", "mini", "curves", *DEMO],
    "table": ["table", "mini", "networks", *DEMO],
    "statements": ["statements", "mini", *DEMO],
    "submission": [
        "submission",
        "mini",
        "--only",
        "base",
        "images.zip",
        "labels.csv",
        "--images",
        "4",
        *ON_CPU,
        *DEMO,
    ],
    "export": ["export", "mini", "exported", "--weights", *DEMO],
    "import": ["import", "exported", "--results", "imported", *RESULTS],
    "add": ["data", "add", "cifar-100-python.tar.gz"],
    "download": ["data", "fetch", "cifar100", "--results", "downloaded", "--mirror", "MIRROR"],
}
"""Step → its command, in the order in which the project is made."""
SUPERVISED = {"train", "evaluate", "work", "submission"}
ARCHIVE = b"archive" * 1000
"""What killing.py takes for CIFAR-100's archive."""
TIMES = {"started", "finished", "seconds", "seconds_per_epoch", "sha256"}
"""Keys of records that differ from run to run, and the digest of the record that holds them."""


class Server:
    """Calls reprise in forks of one process (see killing.py)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        program = Path(__file__).with_name("killing.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def call(self, folder: Path, arguments: list[str], **options: Any) -> tuple[int, str]:
        """Exit status, or minus the signal, and what was printed."""
        self.count += 1
        self.log = self.folder / f"{self.count}.log"
        words = {"folder": str(folder), "arguments": arguments, "log": str(self.log), **options}
        print(json.dumps(words), file=self.process.stdin, flush=True)
        status = int(self.process.stdout.readline())
        return status, self.log.read_text()


def stage(project: Path, step: str) -> Path:
    """The project as it is before a step."""
    return project / f"before {step}"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "cifar-100-python.tar.gz").write_bytes(ARCHIVE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("logs"))
    yield server
    server.process.stdin.close()
    server.process.wait()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, server: Server, mirror: str) -> Path:
    """The project before and after each step, undisturbed."""
    base = tmp_path_factory.mktemp("project")
    folder = base / "now"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(copy.deepcopy(REPORT)))
    (folder / "cifar-100-python.tar.gz").write_bytes(ARCHIVE)
    with zipfile.ZipFile(folder / "images.zip", "w") as images:
        for number in range(1, 5):
            Image.fromarray(np.full((32, 32, 3), 50 * number, np.uint8)).save(folder / "image.png")
            images.write(folder / "image.png", f"{number}.png")
    for step in STEPS:
        shutil.copytree(folder, stage(base, step))
        status, output = server.call(folder, command(step, mirror), supervised=step in SUPERVISED)
        assert status == 0, output
    shutil.copytree(folder, stage(base, "nothing"))
    return base


def command(step: str, mirror: str) -> list[str]:
    return [mirror if word == "MIRROR" else word for word in STEPS[step]]


def content(folder: Path) -> dict[str, Any]:
    """File → what it holds, without times. A journal of a search also tells of interrupted attempts: only
    that it is there.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            found[name] = (
                timeless(path.read_bytes())
                if path.suffix == ".json"
                else ""
                if ".journal" in name
                else path.read_bytes()
            )
    return found


def timeless(text: bytes) -> Any:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key not in TIMES}
        return value

    return without(json.loads(text))


KILLS = [
    # the power fails: the process and its parent are gone at once
    ("synthesize", "all", "before rename python.tar.gz$"),
    ("synthesize", "all", "after rename python.tar.gz$"),
    ("synthesize", "all", "after rename source.json$"),
    ("fetch", "all", "before open python.tar.gz.+partial.gz$"),
    ("fetch", "all", "before rename python.tar.gz$"),
    ("fetch", "all", "after rename python.tar.gz$"),
    ("fetch", "all", "after rename source.json$"),
    ("decode", "all", "before rename train_images.npy$"),
    ("decode", "all", "after rename train_images.npy$"),
    ("decode", "all", "before rename test_labels.npy$"),
    ("decode", "all", "after rename test_names.txt$"),
    ("decode", "all", "before rename dataset.json$"),
    ("statistics", "all", "before rename statistics.json$"),
    ("train", "all", "before open checkpoint"),
    ("train", "all", "after open weights"),
    ("train", "all", "before rename checkpoint.pt$"),
    ("train", "all", "after rename checkpoint.pt$"),
    ("train", "all", "before rename checkpoint.pt$ 2"),
    ("train", "all", "after rename checkpoint.pt$ 3"),
    ("train", "all", "before open history"),
    ("train", "all", "before rename history.parquet$"),
    ("train", "all", "after rename history.parquet$"),
    ("train", "all", "before rename weights.safetensors$"),
    ("train", "all", "after rename weights.safetensors$"),
    ("train", "all", "before rename run.json$"),
    ("train", "all", "before remove checkpoint.pt$"),
    ("train", "all", "after remove checkpoint.pt$"),
    ("train", "all", "before rename trained.json$"),
    ("train", "all", "after rename trained.json$"),
    ("train", "all", "after rename checkpoint.pt$ 4"),  # of the second run
    ("train", "all", "before rename trained.json$ 2"),
    ("evaluate", "all", "before rename predictions.parquet$"),
    ("evaluate", "all", "after rename predictions.parquet$"),
    ("evaluate", "all", "after rename final.parquet$"),
    ("evaluate", "all", "after rename final.parquet$ 2"),
    ("evaluate", "all", "before rename evaluated.json$"),
    ("work", "all", "after open journal$ 2"),  # while it holds the journal's lock
    ("work", "all", "before rename checkpoint.pt$ 2"),
    ("work", "all", "after rename run.json$"),
    ("work", "all", "before open checkpoint 7"),
    ("show", "all", "before rename search.csv$"),
    ("samples", "all", "before rename samples.npz$"),
    ("layers", "all", "before rename layers.json$"),
    ("figure", "all", "after open curves.png"),
    ("figure", "all", "after rename curves.json$"),
    ("figure", "all", "before rename curves.png$"),
    ("table", "all", "after rename networks.tex$"),
    ("statements", "all", "before rename mini.md$"),
    ("statements", "all", "before rename mini.csv$"),
    ("submission", "all", "before rename labels.csv$"),
    ("export", "all", "before rename json.xz$"),
    ("export", "all", "after rename json.xz$ 2"),
    ("export", "all", "after rename safetensors$"),
    ("export", "all", "before rename SHA256SUMS$"),
    ("export", "all", "after rename SHA256SUMS$"),
    ("import", "all", "before rename history.parquet$"),
    ("import", "all", "after rename weights.safetensors$ 2"),
    ("import", "all", "before rename run.json$"),
    ("import", "all", "after rename run.json$"),
    ("import", "all", "before rename trained.json$"),
    ("add", "all", "before rename python.tar.gz$"),
    ("add", "all", "after rename python.tar.gz$"),
    ("download", "all", "before open python.tar.gz.+part$"),
    ("download", "all", "before rename python.tar.gz$"),
    ("download", "all", "after rename python.tar.gz$"),
    ("download", "all", "before rename cifar100.json$"),
    # the process alone dies; who supervises it has a run tried once more
    ("train", "child", "before rename checkpoint.pt$"),
    ("train", "child", "after rename checkpoint.pt$ 3"),
    ("train", "child", "before rename weights.safetensors$"),
    ("train", "child", "after rename run.json$"),
    ("evaluate", "child", "after rename predictions.parquet$"),
    ("work", "child", "before rename checkpoint.pt$ 2"),
    ("submission", "child", "before rename labels.csv$"),
    # in the middle of a file
    ("synthesize", "child", "byte 2000"),
    ("fetch", "child", "byte 2000"),
    ("decode", "child", "byte 20000"),
    ("train", "child", "byte 20"),
    ("train", "child", "byte 3000"),
    ("train", "child", "byte 6000"),
    ("evaluate", "child", "byte 1000"),
    ("samples", "child", "byte 500"),
    ("figure", "child", "byte 5000"),
    ("export", "child", "byte 3000"),
    ("import", "child", "byte 3000"),
    ("add", "child", "byte 3000"),
    ("download", "child", "byte 3000"),
]
RETRIED = ("train", "work")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "who", "event"), KILLS, ids=[" ".join(each) for each in KILLS])
def test_after_a_kill_the_same_command_ends_as_if_nothing_had_been(
    step: str, who: str, event: str, project: Path, server: Server, mirror: str, tmp_path: Path
):
    folder = tmp_path / "project"
    shutil.copytree(stage(project, step), folder)
    torn = event.startswith("byte")
    status, output = server.call(
        folder,
        command(step, mirror),
        supervised=step in SUPERVISED and not torn,
        kill={"who": who, "event": event},
    )
    if torn:
        assert status == -signal.SIGXFSZ, output
    else:
        assert server.log.with_name(f"{server.log.name}.died").exists(), "there is no such moment"
        expected = (
            -signal.SIGKILL
            if who == "all" or step not in SUPERVISED
            else 0
            if step in RETRIED
            else 128 + signal.SIGKILL
        )
        assert status == expected, output
        assert ("SIGKILL" in output) == (who == "child")
    status, output = server.call(folder, command(step, mirror), supervised=step in SUPERVISED)
    assert status == 0, output
    assert content(folder) == content(stage(project, after(step)))


def after(step: str) -> str:
    return dict(zip(STEPS, [*STEPS, "nothing"][1:], strict=True))[step]


def test_every_step_is_killed():
    assert {step for step, _, _ in KILLS} == set(STEPS)
