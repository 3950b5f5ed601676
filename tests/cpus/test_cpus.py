"""Kernels are chosen by the processor that runs them: what is right on one machine may give wrong gradients,
or crash, on the next.

One step of every distinct network of the reports runs with the kernels of other processors, as far as this
one can play them, and its gradients are held against float64. `make cpus` runs this; it takes minutes.
"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cpus, pytest.mark.timeout(1800)]

TOLERANCE = 0.05
"""Of a gradient's root mean square. One ReLU or maximum that rounding turns moves it by about .01; a wrong
channel by .1 and more.
"""

PROCESSORS = {  # what torch's three libraries of kernels are told: oneDNN, ATen, MKL
    "SSE4.1": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "AVX": {"ONEDNN_MAX_CPU_ISA": "AVX", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "AVX"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "AVX-512": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "as it is": {},
    "ATen default": {"ATEN_CPU_CAPABILITY": "default"},
}
FLAGS = {"SSE4.1": "sse4_1", "AVX": "avx", "AVX2": "avx2", "AVX-512": "avx512dq"}
"""What /proc/cpuinfo calls what a processor must have to play the part."""


def playable() -> list[str]:
    """The processors that this one can play."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return [name for name in PROCESSORS if name not in FLAGS or FLAGS[name] in flags]


@dataclass(frozen=True)
class Outcome:
    status: int
    text: str
    errors: str

    def problems(self) -> list[str]:
        """What went wrong, a line each; a process that died did so in the last step that it began."""
        rows = [line.split("\t") for line in self.text.splitlines()]
        found = [
            f"{name}: off by {value}"
            for value, name in rows
            if value != "begins" and not float(value) <= TOLERANCE
        ]
        if self.status:
            how = signal.Signals(-self.status).name if self.status < 0 else f"status {self.status}"
            name = rows[-1][1] if rows else "before the first step"
            found.append(f"{name}: ended by {how}: {self.errors.strip()[-600:]}")
        return found

    def compared(self) -> int:
        return sum(not line.startswith("begins") for line in self.text.splitlines())


def _run(work: str, folder: Path, processor: str) -> Outcome:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in {key for each in PROCESSORS.values() for key in each}
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("networks.py")), work, str(folder)],
        env={**inherited, "OMP_NUM_THREADS": "1", **PROCESSORS[processor]},
        capture_output=True,
        text=True,
        timeout=800,  # a kernel may hang
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("gradients")
    reference = _run("reference", folder, "as it is")
    assert reference.status == 0, reference.errors
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = dict(
            zip(playable(), pool.map(lambda name: _run("check", folder, name), playable()), strict=True)
        )
    for file in folder.glob("*.pt"):  # a gigabyte
        file.unlink()
    return done


@pytest.mark.parametrize("processor", PROCESSORS)
def test_gradients_are_right(outcomes, processor):
    if processor not in outcomes:
        pytest.skip(f"this processor has no {processor}")
    assert outcomes[processor].problems() == []
    assert outcomes[processor].compared() > 150  # 207 on 2026-11-28; a report less must not pass unseen
