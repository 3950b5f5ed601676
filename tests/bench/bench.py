"""make bench: the engine against what a user would write, and what surrounds it, on the CPU.

Rounds take turns: in each, every network is trained for the same number of steps by the engine, by a plain
PyTorch loop and by Lightning, one after the other, and by two engines and by two plain loops side by side, so
that other work on the machine meets all of them. Written are `bench.md` and `bench.json`.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

import bench_system
from bench_cases import CASES, ROOT, legend, run_of, table
from bench_loops import CONTESTANTS, Clock, engine_parts, lightning_is_there, measure, network
from reprise.data.decode import load
from reprise.data.synthetic import write_noise
from reprise.files import write_json
from reprise.models import parameter_count
from reprise.reports.report import Report, report_files
from reprise.training.engine import CHECKPOINT_SECONDS
from reprise.training.session import device_name

WARM_UP = 5
"""Steps before the clock starts: first allocations, and a loader whose queue has found its length."""
PARTS = ("training", "profile", "threads", "start", "decode", "checks", "dry-run", "demo", "memory")
DRY_RUN_S, DRY_RUN_TIMES = 6.0, 3.0
"""A dry run is to take less, and at most so many times as long with ten times the runs."""
THREADS_TIMES = 0.9
"""The engine's own choice of threads is to be as fast as the better fixed number, within a tenth."""
PACKAGES = ("torch", "torchvision", "lightning", "numpy", "snakemake", "pillow")


def cpu_cases() -> list[str]:
    return [name for name, case in CASES.items() if case.cpu]


# ---- training ----


TWO_ENGINES, TWO_LOOPS = "engine, two jobs", "plain loop, two jobs"
"""Two processes side by side, one run each: as `snakemake --cores 2` trains them, and as a user would, with
loaders without workers.
"""


def time_training(
    names: Sequence[str], folders: dict[str, Path], args: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    contestants = [name for name in CONTESTANTS if name != "Lightning" or lightning_is_there()]
    results = {
        name: {contestant: [] for contestant in [*contestants, TWO_ENGINES, TWO_LOOPS]} for name in names
    }

    def once(contestant: str, name: str, steps: int) -> Clock:
        run = run_of(name)
        with tempfile.TemporaryDirectory(dir=scratch) as cache:
            return measure(
                contestant,
                run,
                folders[run.settings.dataset.name],
                Clock(WARM_UP, steps),
                args.workers,
                Path(cache),
            )

    steps = {}
    for name in names:
        trial = once("engine", name, 3)
        steps[name] = max(args.least_steps, round(args.seconds * 3 / trial.seconds))
    for turn in range(args.rounds):
        for name in names:
            order = contestants[turn % len(contestants) :] + contestants[: turn % len(contestants)]
            for contestant in order:
                results[name][contestant].append(rates(once(contestant, name, steps[name]), name))
            results[name][TWO_ENGINES].append(two_jobs("engine", name, 2 * steps[name], folders, args))
            results[name][TWO_LOOPS].append(two_jobs("plain loop", name, steps[name], folders, args))
            shown = ", ".join(
                f"{contestant} {values[-1]['images_per_s']:,.0f}"
                for contestant, values in results[name].items()
            )
            print(
                f"round {turn + 1}/{args.rounds} {name} ({steps[name]} steps): {shown} images/s",
                file=sys.stderr,
                flush=True,
            )
    return {
        name: {
            "title": CASES[name].title,
            "goal": CASES[name].goal,
            "batch_size": run_of(name).settings.training.batch_size,
            "steps": steps[name],
            "rounds": results[name],
            "ratio": {other: ratios(results[name], other) for other in contestants if other != "engine"},
            "two_cores_ratio": two_cores(results[name]),
        }
        for name in names
    }


def rates(clock: Clock, name: str) -> dict[str, float]:
    images = clock.steps * run_of(name).settings.training.batch_size
    return {"images_per_s": images / clock.seconds, "cpu_us_per_image": 1e6 * clock.cpu_seconds / images}


def alone(
    contestant: str, name: str, steps: int, folders: dict[str, Path], cores: int, workers: int
) -> list[str]:
    """The command that trains in a process of its own and prints its `rates` as JSON."""
    data = folders[run_of(name).settings.dataset.name]
    script = [sys.executable, str(Path(__file__)), "--cores", str(cores), "--workers", str(workers)]
    return [*script, "--alone", contestant, name, str(steps), str(data)]


def two_jobs(
    contestant: str, name: str, steps: int, folders: dict[str, Path], args: argparse.Namespace
) -> dict[str, float]:
    """Both jobs' images per second together, and processor time per image."""
    command = alone(contestant, name, steps, folders, args.cores, workers=0)
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
            for _ in range(2)
        ]
        found = [json.loads(job.communicate()[0]) for job in jobs]
    rate, cpu = ([each[key] for each in found] for key in ("images_per_s", "cpu_us_per_image"))
    return {"images_per_s": sum(rate), "cpu_us_per_image": statistics.mean(cpu)}


def ratios(
    rounds: dict[str, list[dict[str, float]]], other: str, engine: str = "engine"
) -> dict[str, list[float]]:
    """The engine's advantage over `other`, round by round: images per second, and processor time per
    image.
    """
    pairs = list(zip(rounds[engine], rounds[other], strict=True))
    return {
        "images_per_s": [ours["images_per_s"] / theirs["images_per_s"] for ours, theirs in pairs],
        "cpu": [theirs["cpu_us_per_image"] / ours["cpu_us_per_image"] for ours, theirs in pairs],
    }


def two_cores(rounds: dict[str, list[dict[str, float]]]) -> list[float]:
    """Images per second of the best way in which engines use two cores over those of the best way for plain
    loops, round by round.
    """

    def best(*contestants: str) -> list[float]:
        each = zip(*([one["images_per_s"] for one in rounds[name]] for name in contestants), strict=True)
        return [max(ways) for ways in each]

    return [
        ours / theirs
        for ours, theirs in zip(best("engine", TWO_ENGINES), best("plain loop", TWO_LOOPS), strict=True)
    ]


def profile(
    names: Sequence[str], folders: dict[str, Path], args: argparse.Namespace, scratch: Path
) -> dict[str, dict[str, float]]:
    """Milliseconds of the parts of one of the engine's steps, medians over the rounds."""
    found: dict[str, dict[str, float]] = {}
    for name in names:
        run, seen = run_of(name), []
        for _ in range(args.rounds):
            clock = Clock(WARM_UP, args.least_steps * 4)
            with tempfile.TemporaryDirectory(dir=scratch) as cache:
                parts = engine_parts(run, folders[run.settings.dataset.name], clock, Path(cache))
            seen.append({part: 1e3 * seconds / clock.steps for part, seconds in parts.items()})
        found[name] = {part: statistics.median(each[part] for each in seen) for part in seen[0]}
    return found


WAYS = {"1": {"threads": 1}, "2": {"threads": 2, "exact_threads": True}, "at most 2": {"threads": 2}}
"""How many threads the engine is told to take."""
OTHER_WORK = (0, 1, 2)
"""Busy processes on the same cores."""


def time_threads(
    names: Sequence[str], folders: dict[str, Path], args: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    """Images per second by network, number of busy processes beside it, and way, round by round."""

    def once(name: str, way: str, steps: int) -> float:
        data = folders[run_of(name).settings.dataset.name]
        with tempfile.TemporaryDirectory(dir=scratch) as cache, contextlib.redirect_stderr(io.StringIO()):
            clock = measure("engine", run_of(name), data, Clock(WARM_UP, steps), 0, Path(cache), **WAYS[way])
        return rates(clock, name)["images_per_s"]

    found: dict[str, Any] = {}
    for name in names:
        run = run_of(name)
        steps = max(
            args.least_steps, round(args.seconds * once(name, "1", 3) / run.settings.training.batch_size)
        )
        for busy in OTHER_WORK:
            with ExitStack() as stack:
                for _ in range(busy):
                    process = stack.enter_context(
                        subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    )
                    stack.callback(process.kill)
                rounds = [{way: once(name, way, steps) for way in WAYS} for _ in range(args.rounds)]
            found.setdefault(name, {})[str(busy)] = {way: [each[way] for each in rounds] for way in WAYS}
    return found


def choices(ways: dict[str, list[float]]) -> list[float]:
    """Images per second with the number of threads that the engine chose over those of the better fixed
    number, round by round.
    """
    return [
        chosen / max(one, two)
        for chosen, one, two in zip(ways["at most 2"], ways["1"], ways["2"], strict=True)
    ]


def checks(folder: Path, args: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Processor seconds of a quick training of report 4's CNN, and of them those for digests: of the arrays
    in `folder`, of checkpoints.
    """
    run, case = run_of("cnn_4"), CASES["cnn_4"]
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        clock = measure(
            "engine", run, folder, Clock(WARM_UP, args.least_steps * 4), args.workers, Path(cache)
        )
    quick = (
        Report(report_files(ROOT / "workflow/reports")[case.report], "quick")
        .cells(case.selector)[0]
        .members[0]
        .settings.training
    )
    training = clock.cpu_seconds / clock.steps * quick.epochs * args.images / quick.batch_size
    state = bytes(
        4 * 4 * parameter_count(network(run, load(folder)))
    )  # weights, those selected, and Adam's two moments

    def hashed() -> dict[str, float]:
        began = time.process_time()
        for path in folder.iterdir():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256")
        arrays = time.process_time() - began
        hashlib.sha256(state)
        return {
            "arrays": arrays,
            "checkpoints": (time.process_time() - began - arrays) * training / CHECKPOINT_SECONDS,
        }

    seen = [hashed() for _ in range(args.rounds)]
    return {"training": training} | {part: statistics.median(each[part] for each in seen) for part in seen[0]}


def peak_memories(folders: dict[str, Path], args: argparse.Namespace) -> dict[str, int]:
    """Bytes, by contestant, for report 1's LeNet."""
    contestants = [name for name in CONTESTANTS if name != "Lightning" or lightning_is_there()]
    return {
        name: bench_system.peak_memory(alone(name, "lenet", 10, folders, args.cores, args.workers))
        for name in contestants
    }


# ---- the report ----


def spread(values: Sequence[float], digits: str = ",.0f") -> str:
    return f"{statistics.median(values):{digits}} ({min(values):{digits}}–{max(values):{digits}})"


def code(name: str) -> str:
    return f"`{name}`"


def percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def goals_table(found: dict[str, Any]) -> str:
    """What was to be reached, by row; nothing where no part that has a goal was measured."""
    rows = []
    for name, case in found.get("training", {}).items():
        ratio = case["two_cores_ratio"]
        reached = statistics.median(ratio) >= case["goal"]
        goal = f"{code(name)}: best engine ÷ best plain loop, on two cores"
        rows.append([goal, f"{case['goal']:g}", spread(ratio, ".2f"), reached])
    runs = [(each["runs"], each) for each in found.get("dry-run", {}).values()]
    if runs:
        few, many = min(runs)[1], max(runs)[1]
        rows.append(
            [
                f"`snakemake -n` for everything, {few['runs']:,} runs",
                f"less than {DRY_RUN_S:g} s",
                f"{few['median']:.1f} s",
                few["median"] < DRY_RUN_S,
            ]
        )
        times = many["median"] / few["median"]
        goal = f"the same with {many['runs']:,} runs ÷ with {few['runs']:,} runs"
        rows.append([goal, f"at most {DRY_RUN_TIMES:g}", f"{times:.1f}", times <= DRY_RUN_TIMES])
    for name, loads in found.get("threads", {}).items():
        for busy, ways in loads.items():
            ratio = choices(ways)
            reached = round(statistics.median(ratio), 2) >= THREADS_TIMES
            beside = f"beside {busy} busy process{'' if busy == '1' else 'es'}"
            goal = f"{code(name)} {beside}: chosen ÷ better of 1 and 2 threads"
            rows.append([goal, f"at least {THREADS_TIMES:g}", spread(ratio, ".2f"), reached])
    return table(
        ["goal", "wanted", "measured", "met"], [[*row[:3], "yes" if row[3] else "no"] for row in rows]
    )


def training_tables(training: dict[str, Any]) -> list[str]:
    """Images per second of one job; what the engine gains; images per second of two jobs side by side."""
    speeds, gains, twos = [], [], []
    for name, case in training.items():
        rounds = {way: [each["images_per_s"] for each in seen] for way, seen in case["rounds"].items()}
        shown = [spread(rounds[way]) if rounds.get(way) else "–" for way in CONTESTANTS]
        speeds.append([code(name), *shown])
        plain, lightning = case["ratio"]["plain loop"], case["ratio"].get("Lightning")
        gains.append(
            [
                code(name),
                spread(plain["images_per_s"], ".2f"),
                spread(lightning["images_per_s"], ".2f") if lightning else "–",
                spread(plain["cpu"], ".2f"),
            ]
        )
        over_one = ratios(case["rounds"], "plain loop", TWO_ENGINES)["images_per_s"]
        twos.append(
            [code(name), *(spread(rounds[way]) for way in (TWO_ENGINES, TWO_LOOPS)), spread(over_one, ".2f")]
        )
    over = "processor time: plain loop ÷ engine"
    return [
        table(["one job, images/s", *CONTESTANTS], speeds),
        table(["one job", "engine ÷ plain loop", "engine ÷ Lightning", over], gains),
        table(["two jobs, images/s", "two engines", "two plain loops", "two engines ÷ one plain loop"], twos),
    ]


def profile_table(found: dict[str, dict[str, float]]) -> str:
    rows = []
    for name, parts in found.items():
        total = sum(parts.values())
        shares = [f"{value:.1f} ms ({percent(value / total)})" for value in parts.values()]
        rows.append([code(name), f"{total:.1f} ms", *shares])
    return table(["one step of", "whole", *next(iter(found.values()))], rows)


def threads_table(found: dict[str, Any]) -> str:
    rows = [
        [code(name), busy, *(spread(ways[way]) for way in WAYS)]
        for name, loads in found.items()
        for busy, ways in loads.items()
    ]
    return table(["images/s of", "busy processes", "1 thread", "2 threads", "at most 2"], rows)


def around_table(found: dict[str, Any]) -> str:
    """What surrounds the training."""
    rows = [
        [name, f"{value['median']:.2f} s ({value['least']:.2f}–{value['most']:.2f})"]
        for name, value in found.get("start", {}).items()
    ]
    if "decode" in found:
        value = found["decode"]
        rows.append(
            [
                "decoding CIFAR-10's archive",
                f"{value['median']:,.0f} images/s ({value['least']:,.0f}–{value['most']:,.0f})",
            ]
        )
    if "checks" in found:
        value = found["checks"]
        spent = value["arrays"] + value["checkpoints"]
        rows.append(
            [
                "digests of arrays and checkpoints in a quick training of report 4's CNN",
                f"{spent:.2f} s of a core, {percent(spent / value['training'], 2)}",
            ]
        )
    for times, value in found.get("dry-run", {}).items():
        asked = (
            f"`snakemake -n` for everything, {times} the runs ({value['runs']:,} runs, "
            f"{value['training jobs']} training jobs)"
        )
        rows.append([asked, f"{value['median']:.1f} s ({value['least']:.1f}–{value['most']:.1f})"])
    if "demo" in found:
        rows.append(["the demo", f"{found['demo']:.0f} s"])
    rows += [
        [f"most memory while LeNet-5 trains: {name}", f"{value / 2**20:,.0f} MiB"]
        for name, value in found.get("memory", {}).items()
    ]
    return table(["what", "measured"], rows)


def conditions(found: dict[str, Any]) -> str:
    """What was measured on, as a list."""
    machine, arguments, versions = found["machine"], found["arguments"], found["versions"]
    packages = ", ".join(
        f"{name.capitalize() if name == 'python' else name} {number}" for name, number in versions.items()
    )
    items = [
        f"Command: `{found['command']}`",
        f"Date: {found['date']}",
        f"Machine: {machine['processor']}, {machine['cores_used']} of {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB; load {machine['load_before']:.1f} before, "
        f"{machine['load_after']:.1f} after",
        f"Software: {packages}",
        f"Values: medians of {arguments['rounds']} rounds, least and most in brackets; "
        "ratios are taken round by round",
    ]
    if "training" in found:
        items.append(
            f"Loaders: {arguments['workers']} workers for one plain loop and for Lightning, "
            "none for two plain loops side by side"
        )
    return "\n".join(
        textwrap.fill(
            item,
            110,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


def markdown(found: dict[str, Any]) -> str:
    parts = [conditions(found)]
    cases = [name for part in ("training", "profile", "threads") for name in found.get(part, {})]
    if cases:
        parts.append(legend(dict.fromkeys(cases)))
    tables = [goals_table(found)]
    if "training" in found:
        tables += training_tables(found["training"])
    if "profile" in found:
        tables.append(profile_table(found["profile"]))
    if "threads" in found:
        tables.append(threads_table(found["threads"]))
    tables.append(around_table(found))
    parts += [text for text in tables if text.count("\n") > 1]
    return "\n\n".join(parts) + "\n"


def package_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


# ---- the command ----


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "results/bench",
        help="folder of bench.md and bench.json (default: results/bench)",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cases", nargs="+", choices=cpu_cases(), default=cpu_cases())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="that the engine is timed for in each round of each network",
    )
    parser.add_argument("--cores", type=int, default=2, help="that everything together may use (default: 2)")
    parser.add_argument(
        "--workers", type=int, default=2, help="of the loaders of the plain loop and Lightning (default: 2)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: seconds, and numbers that say nothing"
    )
    parser.add_argument(
        "--alone", nargs=4, metavar=("CONTESTANT", "CASE", "STEPS", "DATA"), help=argparse.SUPPRESS
    )
    args = parser.parse_args(arguments)
    args.images, args.least_steps, args.archive = 50_000, 5, 20_000
    if args.quick:
        args.images, args.least_steps, args.archive = 3_000, 1, 100
        args.rounds, args.seconds = 1, 0.05
        args.cases = args.cases if len(args.cases) < len(cpu_cases()) else ["lenet", "resnet18"]
        args.parts = args.parts if len(args.parts) < len(PARTS) else ["training", "decode"]
    return args


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, write the two files and return what the JSON file holds; with `--alone`, only what the one
    contestant reaches.
    """
    args = parse(arguments)
    with on_cores(args.cores):
        return measure_alone(args) if args.alone else measure_all(args, arguments)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """One thread of torch, and with its children no more cores than `count`, where the system can say so."""
    threads, pins = torch.get_num_threads(), hasattr(os, "sched_setaffinity")
    before = os.sched_getaffinity(0) if pins else set()
    torch.set_num_threads(1)
    if pins:
        os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if pins:
            os.sched_setaffinity(0, before)


def measure_alone(args: argparse.Namespace) -> dict[str, float]:
    """What one contestant reaches in this process."""
    contestant, name, steps, data = args.alone
    with tempfile.TemporaryDirectory() as cache:
        return rates(
            measure(
                contestant, run_of(name), Path(data), Clock(WARM_UP, int(steps)), args.workers, Path(cache)
            ),
            name,
        )


def measure_all(args: argparse.Namespace, arguments: Sequence[str] | None) -> dict[str, Any]:
    load_before = os.getloadavg()[0]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="reprise-bench-") as name:
        scratch = Path(name)
        counts = {"train": args.images, "test": 1000}
        folders = {data: write_noise(scratch / data, data, counts) for data in ("cifar10", "cifar100")}
        dry_runs = {"1 ×": 1, "10 ×": 10}
        steps: dict[str, Callable[[], Any]] = {
            "training": lambda: time_training(args.cases, folders, args, scratch),
            "profile": lambda: profile(args.cases, folders, args, scratch),
            "threads": lambda: time_threads(args.cases, folders, args, scratch),
            "start": lambda: bench_system.start_up(args.rounds),
            "decode": lambda: bench_system.decoding(scratch, args.archive, args.rounds),
            "checks": lambda: checks(folders["cifar100"], args, scratch),
            "dry-run": lambda: {
                key: bench_system.dry_run(scratch, times, min(args.rounds, 3))
                for key, times in dry_runs.items()
            },
            "demo": lambda: bench_system.demo(scratch),
            "memory": lambda: peak_memories(folders, args),
        }
        for part in args.parts:
            print(f"{part} …", file=sys.stderr, flush=True)
            found[part] = steps[part]()
    found |= {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(
            ["python tests/bench/bench.py", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        "arguments": {
            key: getattr(args, key) for key in ("rounds", "seconds", "cores", "workers", "images", "quick")
        },
        "versions": package_versions(),
        "machine": {
            "processor": device_name(torch.device("cpu")),
            "cores": os.cpu_count(),
            "cores_used": args.cores,
            "memory_gib": psutil.virtual_memory().total / 2**30,
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
        },
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "bench.json", found)
    (args.out / "bench.md").write_text(markdown(found), encoding="utf-8")
    return found


if __name__ == "__main__":
    result = main()
    print(json.dumps(result) if "--alone" in sys.argv else markdown(result))
