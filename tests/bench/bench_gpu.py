"""make bench-gpu: the engine on a CUDA device beside a plain loop on the same card, and whether it computes
there what it does on a CPU.

Needs torch, torchvision, timm and pandas, and this repository: PYTHONPATH=src python
tests/bench/bench_gpu.py. Written are `bench_gpu.md` and `bench_gpu.json`; the exit status is 1 where a result
is wrong.
"""

import argparse
import copy
import math
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench_cases import CASES, ROOT, legend, run_of, table
from bench_loops import Clock, Enough, measure
from bench_stacked import stacked_step
from reprise import models
from reprise.data.synthetic import write_noise
from reprise.files import write_json
from reprise.reports.run import Run
from reprise.training.cuda_graphs import own_stream, record_cuda_graph
from reprise.training.engine import train
from reprise.training.optim import build_optimizer
from reprise.training.precision import choose_precision, precision_name
from reprise.training.session import reproducible

WARM_UP = 20
STEPS_BEFORE_RECORDING = 3
ORACLE_STEPS = 5
TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""Relative difference of a step's loss from the CPU's in float32 that rounding explains over `ORACLE_STEPS`
steps.
"""
WHERE = {"device": "cuda"}
PLAIN_BFLOAT16 = "plain loop, bfloat16"
WAYS = ("engine", "engine without graphs", "plain loop", PLAIN_BFLOAT16)
"""The last one for networks that the engine trains in bfloat16."""


def changed(run: Run, **changes: Any) -> Run:
    """The run with another setting at each path (`training__epochs=3`); None removes it."""
    spec = copy.deepcopy(dict(run.spec))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = spec
        for key in parents:
            node = node[key]
        node.pop(last, None)
        if value is not None:
            node[last] = value
    return Run(spec)


# ---- what a step costs ----


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write: each one's inputs and outputs, whether or not a cache
    holds them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        if not function.is_view:
            tensors = [
                item for item in tree_leaves((arguments, keywords, result)) if isinstance(item, Tensor)
            ]
            self.bytes += sum(item.numel() * item.element_size() for item in tensors)
        return result


def count(run: Run, folder: Path, scratch: Path, **options: Any) -> dict[str, float]:
    """Floating-point operations and bytes of one step of the engine."""
    flops, traffic, seen = FlopCounterMode(display=False), Traffic(), []

    def look(epoch: int, step: int, loss: Tensor) -> None:
        seen.append((flops.get_total_flops(), traffic.bytes))
        if len(seen) == 3:
            raise Enough

    with tempfile.TemporaryDirectory(dir=scratch) as cache, flops, traffic:
        engine_losses(run, folder, Path(cache), look, **options, cuda_graphs=False)
    return {"flops": seen[2][0] - seen[1][0], "bytes": seen[2][1] - seen[1][1]}


def seconds_of(work: Callable[[], Any], times: int = 10) -> float:
    """Mean time on the device of `work`, after three calls that are not counted."""
    for _ in range(3):
        work()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    events[0].record()
    for _ in range(times):
        work()
    events[1].record()
    torch.cuda.synchronize()
    return events[0].elapsed_time(events[1]) / 1e3 / times


def ceilings() -> dict[str, float]:
    """What the card reaches: matrix products of 8192³ in both precisions (FLOP/s), and a copy of 4 GiB
    (bytes/s, read and written).
    """

    found = {}
    for name, precision in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        left, right = (torch.randn(8192, 8192, device="cuda", dtype=precision) for _ in range(2))
        found[name] = 2 * 8192**3 / seconds_of(lambda left=left, right=right: left @ right)
    source = torch.randint(256, (2**32,), device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    found["copy"] = 2 * 2**32 / seconds_of(lambda: target.copy_(source))
    return found


# ---- how fast ----


def rates(
    names: Sequence[str], folders: dict[str, Path], args: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    limits, found = ceilings(), {}
    for name in names:
        run = changed(run_of(name), training__epochs=100_000, training__early_stop=None)
        folder, batch_size = folders[run.settings.dataset.name], run.settings.training.batch_size
        precision = choose_precision("auto", run.settings.model["name"], torch.device("cuda"))
        ways = {
            "engine": ("engine", {}),
            "engine without graphs": ("engine", {"cuda_graphs": False}),
            "plain loop": ("plain loop", {}),
        }
        if precision == torch.bfloat16:
            ways[PLAIN_BFLOAT16] = ("plain loop", {"precision": precision})
        cost, speeds = count(run, folder, scratch, **WHERE), {way: [] for way in ways}

        def once(
            way: str, steps: int, run: Run = run, folder: Path = folder, ways: dict[str, Any] = ways
        ) -> float:
            contestant, options = ways[way]
            clock = Clock(WARM_UP, steps, processor_time=lambda: 0.0, synchronize=torch.cuda.synchronize)
            with tempfile.TemporaryDirectory(dir=scratch) as cache:
                measure(contestant, run, folder, clock, args.workers, Path(cache), **WHERE, **options)
            return clock.seconds / steps

        steps = {way: max(5, round(args.seconds / once(way, 20))) for way in ways}
        for _ in range(args.rounds):
            for way in ways:
                speeds[way].append(batch_size / once(way, steps[way]))
        medians = {way: statistics.median(values) for way, values in speeds.items()}
        per_step = batch_size / medians["engine"]
        found[name] = {
            "title": CASES[name].title,
            "batch_size": batch_size,
            "precision": precision_name(precision),
            "images_per_s": speeds,
            "ratio": medians["engine"]
            / max(value for way, value in medians.items() if way.startswith("plain loop")),
            "flops_per_image": cost["flops"] / batch_size,
            "bytes_per_image": cost["bytes"] / batch_size,
            "mfu": cost["flops"] / per_step / limits[precision_name(precision)],
            "gb_per_s": cost["bytes"] / per_step / 1e9,
        }
        shown = ", ".join(f"{way} {value:,.0f}" for way, value in medians.items())
        print(f"{name}: {shown} images/s", file=sys.stderr, flush=True)
    return {"ceilings": limits, "networks": found}


def stacking(together: int = 8, batch_size: int = 512, steps: int = 200) -> dict[str, float]:
    """Images per second of report 1's MLP, `together` networks as one and one after the other, each way one
    recorded step.
    """
    device = torch.device("cuda")
    with reproducible(device, None), own_stream(device):
        seconds = {
            "stacked": time_stacked(1, together, batch_size, steps),
            "one by one": time_stacked(together, 1, batch_size, steps),
        }
    return {way: together * batch_size / value for way, value in seconds.items()}


def time_stacked(groups: int, each: int, batch_size: int, steps: int) -> float:
    """Seconds of one step of `groups` stacks of `each` networks, one stack after the other."""
    settings = run_of("mlp").settings
    stacks = []
    for _ in range(groups):
        networks = [models.build(settings.model, 100, (3, 32, 32)).to("cuda") for _ in range(each)]
        optimizers = [
            build_optimizer(settings.optimizer, network.parameters(), on_cuda=True) for network in networks
        ]
        images, labels = (
            torch.randn(each, batch_size, 3, 32, 32, device="cuda"),
            torch.randint(100, (each, batch_size), device="cuda"),
        )
        stacks.append((networks, optimizers, images, labels))

    def work() -> None:
        for stack in stacks:
            stacked_step(*stack)

    for _ in range(STEPS_BEFORE_RECORDING):
        work()
    return seconds_of(record_cuda_graph(work, []), steps)


# ---- whether it is right ----


def engine_losses(
    run: Run, folder: Path, cache: Path, on_step: Callable[[int, int, Tensor], None], **options: Any
) -> None:
    """Train until `on_step` has had enough."""
    try:
        train(
            [run], dataset_dirs={run.settings.dataset.name: folder}, cache=cache, on_step=on_step, **options
        )
    except Enough:
        return
    raise AssertionError(f"run {run.hash} ended before it was looked at")


def first_losses(
    run: Run, folder: Path, scratch: Path, steps: int, epoch: int = 1, **options: Any
) -> list[float]:
    """The losses of all steps until so many of `epoch` were taken."""
    seen: list[float] = []

    def look(now: int, step: int, loss: Tensor) -> None:
        seen.append(loss.item())
        if (now, step) == (epoch, steps - 1):
            raise Enough

    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        engine_losses(run, folder, Path(cache), look, **options)
    return seen


@contextmanager
def without_chance() -> Iterator[None]:
    """Dropout and stochastic depth let everything through: their random numbers differ between devices."""

    def through(inputs: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        return inputs

    with (
        mock.patch("torch.nn.functional.dropout", through),
        mock.patch("torch.nn.functional.dropout2d", through),
        mock.patch("torchvision.ops.stochastic_depth.stochastic_depth", through),
    ):
        yield


def oracle(run: Run, most: int = 32) -> Run:
    """The run without chance and with batches that a CPU can be asked for."""
    batch_size = min(run.settings.training.batch_size, most if run.settings.preprocess.crop is None else 4)
    changes = {"augmentation": None, "training__batch_size": batch_size}
    if run.settings.model["name"] == "vit":  # whose attention drops on its own
        changes["model__dropout"] = 0.0
    return changed(run, **changes)


def short(run: Run) -> Run:
    """The run on few images: its first epoch ends, with a batch that is not whole."""
    return changed(run, dataset__per_class=100, training__epochs=3)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest relative difference; that of a loss that is not a number is infinite."""
    found = [abs(our - their) / abs(their) for our, their in zip(ours, theirs, strict=True)]
    return float("inf") if any(map(math.isnan, found)) else max(found)


def correctness(names: Sequence[str], folders: dict[str, Path], scratch: Path) -> list[dict[str, Any]]:
    """One row per check: `what`, `found`, `right`."""
    rows = []
    for name in names:
        run = run_of(name)
        folder = folders[run.settings.dataset.name]
        calm = oracle(run)
        with without_chance():
            expected = first_losses(calm, folder, scratch, ORACLE_STEPS, device="cpu")
            own = precision_name(choose_precision("auto", run.settings.model["name"], torch.device("cuda")))
            for precision in dict.fromkeys(("float32", own)):
                losses = first_losses(calm, folder, scratch, ORACLE_STEPS, **WHERE, precision=precision)
                found = difference(losses, expected)
                what = (
                    f"{name}: {ORACLE_STEPS} losses in {precision} against the CPU's in float32, largest "
                    "relative difference"
                )
                rows.append({"what": what, "found": found, "right": found <= TOLERANCE[precision]})
        eager, recorded = (
            first_losses(short(run), folder, scratch, 3, epoch=2, **WHERE, cuda_graphs=graphs)
            for graphs in (False, True)
        )
        rows.append(
            {
                "what": f"{name}: {len(eager)} losses, into the second epoch, of recorded steps against "
                "eager ones, bit for bit",
                "found": difference(recorded, eager),
                "right": recorded == eager,
            }
        )
    rows.append(resumed(folders, scratch))
    for row in rows:
        print(
            f"{row['what']}: {row['found']:.2g}, {'right' if row['right'] else 'WRONG'}",
            file=sys.stderr,
            flush=True,
        )
    return rows


def resumed(folders: dict[str, Path], scratch: Path) -> dict[str, Any]:
    """A second epoch after a restart against one without, bit for bit: recorded steps, augmentation, dropout,
    a schedule.
    """
    run = changed(short(run_of("cnn_2")), schedule={"name": "exponential", "gamma": 0.5})
    folder = folders[run.settings.dataset.name]
    losses: dict[str, list[float]] = {"whole": [], "parts": []}

    def until(epoch_step: tuple[int, int], seen: list[float]) -> Callable[[int, int, Tensor], None]:
        def look(epoch: int, step: int, loss: Tensor) -> None:
            if epoch == 2:
                seen.append(loss.item())
            if (epoch, step) == epoch_step:
                raise Enough

        return look

    with tempfile.TemporaryDirectory(dir=scratch) as whole, tempfile.TemporaryDirectory(dir=scratch) as parts:
        engine_losses(run, folder, Path(whole), until((3, 0), losses["whole"]), **WHERE)
        engine_losses(run, folder, Path(parts), until((2, 0), []), **WHERE)
        engine_losses(run, folder, Path(parts), until((3, 0), losses["parts"]), **WHERE)
    found = difference(losses["parts"], losses["whole"])
    return {
        "what": "cnn_2: second epoch after a restart, bit for bit",
        "found": found,
        "right": losses["parts"] == losses["whole"],
    }


# ---- the command ----


def markdown(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    parts = [f"{found['date']}; {found['device']}; {versions}. Command: `{found['command']}`."]
    if "rates" in found:
        limits = found["rates"]["ceilings"]
        parts.append(
            f"Reached by a matrix product of 8192³: {limits['float32'] / 1e12:.0f} TFLOP/s in float32, "
            f"{limits['bfloat16'] / 1e12:.0f} in "
            f"bfloat16; by a copy: {limits['copy'] / 1e9:,.0f} GB/s. MFU is the share of the former in the "
            "network's own precision; GB/s "
            "counts what operations read and write, caches included. The precision is the "
            "engine's; its float32 is full. "
            "The plain loop has torch's default, float32 with convolutions in TF32. The ratio is to the "
            "faster of the plain loops."
        )
        networks = found["rates"]["networks"]
        speeds, costs = [], []
        for name, each in networks.items():
            values = each["images_per_s"]
            medians = [f"{statistics.median(values[way]):,.0f}" if way in values else "–" for way in WAYS]
            speeds.append([f"`{name}`", *medians])
            share = f"{each['mfu']:.1%}".replace("%", " %")
            ratio = f"{each['ratio']:.1f}"
            costs.append([f"`{name}`", each["precision"], ratio, share, f"{each['gb_per_s']:,.0f}"])
        parts += [
            legend(networks),
            table(["images/s of", *WAYS], speeds),
            table(["case", "precision", "engine ÷ plain loop", "MFU", "GB/s"], costs),
        ]
    if "stacking" in found:
        speeds = ", ".join(f"{way} {value:,.0f}" for way, value in found["stacking"].items())
        parts.append(f"Eight of report 1's MLPs: {speeds} images/s.")
    if "correctness" in found:
        rows = [
            [row["what"], f"{row['found']:.2g}", "yes" if row["right"] else "**no**"]
            for row in found["correctness"]
        ]
        parts.append(table(["check", "found", "right"], rows))
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "results/bench",
        help="folder of the two files (default: results/bench)",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("correctness", "rates", "stacking"),
        default=["correctness", "rates", "stacking"],
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="that each way is timed for in each round")
    parser.add_argument(
        "--workers", type=int, default=min(8, os.cpu_count() or 1), help="of the plain loop's loader"
    )
    args = parser.parse_args(arguments)
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # cuBLAS looks once, at the first matrix product, whoever makes it
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: nothing was measured")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="reprise-bench-") as name:
        scratch = Path(name)
        counts = {"train": 50_000, "test": 1000}
        folders = {data: write_noise(scratch / data, data, counts) for data in ("cifar10", "cifar100")}
        if "correctness" in args.parts:
            found["correctness"] = correctness(args.cases, folders, scratch)
        if "rates" in args.parts:
            found["rates"] = rates(args.cases, folders, args, scratch)
        if "stacking" in args.parts:
            found["stacking"] = stacking()
    found |= {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(
            ["python tests/bench/bench_gpu.py", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        "device": torch.cuda.get_device_name(),
        "versions": {
            "Python": platform.python_version(),
            "torch": torch.__version__,
            "CUDA": torch.version.cuda,
        },
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "bench_gpu.json", found)
    (args.out / "bench_gpu.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))
    if not all(row["right"] for row in found.get("correctness", [])):
        sys.exit("a result is wrong")


if __name__ == "__main__":
    main()
