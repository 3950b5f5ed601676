"""What the process must be while it trains: reproducible, interruptible, and alone on a run."""

import contextlib
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from reprise import __version__
from reprise.errors import RepriseError
from reprise.files import alone, check_writable
from reprise.reports.layout import LOCK

SAME_REQUEST_S = 2.0
"""A second SIGINT or SIGTERM so soon is the first one again: the terminal, the shell, a scheduler and our
parent may each send it.
"""
CONDITIONS = (
    *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
    *("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU"),
)
"""Environment variables that choose kernels, or tell how much memory a job has."""


def too_little_memory(error: Exception) -> bool:
    """Whether Python, torch's allocator for the CPU, or a device's has found none."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def choose_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU. Raises `RepriseError` for a device
    that torch cannot use.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RepriseError(f"device {name!r} is not known; valid: auto, cpu, cuda, cuda:0 …") from None
    if device.type not in ("cpu", "cuda"):
        raise RepriseError(f"device {name!r} is not supported; valid: auto, cpu, cuda, cuda:0 …")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RepriseError(
            f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices; use auto or cpu"
        )
    return device


def device_name(device: torch.device) -> str:
    """The processor's name, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def conditions(device: torch.device, precision: str, cuda_graphs: bool) -> dict[str, Any]:
    """What a user can change about a run that kills its process (see `reprise.supervision`). All of it can be
    written as JSON.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "reprise": __version__,
        "torch": torch.__version__,
        "device": device_name(device),
        "processor": device_name(torch.device("cpu")),
        "memory_gb": round(memory / 1e9),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "cuda_graphs": cuda_graphs,
        "environment": {name: os.environ[name] for name in CONDITIONS if name in os.environ},
    }


@contextlib.contextmanager
def reproducible(device: torch.device, threads: int | None) -> Iterator[None]:
    """Deterministic algorithms, full float32 (no TF32), `threads` CPU threads (None: as they are); what was
    set before comes back.

    Numbers below 1.2e-38 are taken as 0 on the CPU: weights that a strong decay drives there would slow every
    step tenfold. cuBLAS is deterministic only with the workspace that CUBLAS_WORKSPACE_CONFIG names; it is
    set here where the user has not done so (NVIDIA, cuBLAS, "Results reproducibility").
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    switches = [
        (torch.backends.cudnn, "deterministic", True),
        (torch.backends.cudnn, "benchmark", False),
        (torch.backends.cudnn, "allow_tf32", False),
        (torch.backends.cuda.matmul, "allow_tf32", False),
        (torch.utils.deterministic, "fill_uninitialized_memory", False),
    ]
    before = [getattr(owner, name) for owner, name, _ in switches]
    algorithms, threads_before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(threads or threads_before)
        torch.set_flush_denormal(True)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(algorithms)
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


class Interrupted(Exception):
    """SIGINT or SIGTERM has ended the training in order; `status` is the exit status that a shell expects."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name}; finished epochs are kept, run the same command "
            "again to go on"
        )
        self.status = 128 + number


class Elsewhere(Exception):
    """Another process trains the run."""


class Interrupt:
    """A request to stop, noted by the signal's handler and obeyed at the next step."""

    def __init__(self) -> None:
        self.number: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Note SIGINT and SIGTERM instead of dying at once; a second signal acts as usual, unless it is the first
    one again (`SAME_REQUEST_S`). Outside the main thread nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    noted = 0.0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if interrupt.number is None:
            interrupt.number, noted = number, time.monotonic()
        elif time.monotonic() - noted > SAME_REQUEST_S:
            for known, handler in handlers.items():
                signal.signal(known, handler)
            signal.raise_signal(number)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def only_process(
    folder: Path, interrupt: Interrupt, say: Callable[[str], None], *, wait: bool = True
) -> Iterator[None]:
    """Hold the lock of a run's folder, waiting for another process that trains it; then its result is there
    and need not be made again. Without `wait` that is `Elsewhere`. A folder that cannot be written to is a
    `RepriseError`.

    The lock goes when its process ends, however it ends. On a file system without locks a line says so and
    the work goes on.
    """
    check_writable(folder)

    def held() -> None:
        if not wait:
            raise Elsewhere(f"run {folder.name}: another process is training it")
        say(f"run {folder.name}: another process is training it; waiting for its result")

    with alone(
        folder / LOCK,
        held,
        keep=True,
        check=interrupt.check,
        unlockable=lambda: say(
            f"{folder}: this file system has no locks; do not train one run in two processes"
        ),
    ):
        yield
