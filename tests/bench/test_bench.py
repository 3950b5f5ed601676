"""The benchmarks run, and what they compare is the same training."""

import argparse
import json

import pytest
import torch
from torch import nn

import bench
import bench_gpu
import bench_system
from bench_cases import CASES, SETTINGS, derive, run_of
from bench_loops import CONTESTANTS, Clock, Enough, engine_parts, loader, network
from bench_stacked import stacked_logits, stacked_step
from reprise.data.augment import build_augmentation
from reprise.data.decode import load
from reprise.data.synthetic import write_noise
from reprise.reports.report import Report, report_files
from reprise.reports.run import Run, prune
from reprise.training import cuda_graphs
from reprise.training.engine import train
from reprise.training.optim import build_optimizer
from reprise.training.parts import Datasets

PAGE = bench.ROOT / "docs/performance.md"
RECORDS = sorted((bench.ROOT / "results/reference/bench").glob("*/*.json"))
OURS = {
    "RandomHorizontalFlip": "Flip",
    "ColorJitter": "Jitter",
    "RandomRotation": "Rotation",
    "RandomResizedCrop": "ResizedCrop",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_noise(tmp_path_factory.mktemp("images"), "cifar100", {"train": 600, "test": 200})


def rows_of(page, name):
    """The cells of each row of a table that begins with the case `name`."""
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith(f"| `{name}`")]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_cases_are_those_of_the_reports(name):
    """Where a report file has changed: python tests/bench/bench_cases.py."""
    assert json.loads(SETTINGS.read_text())[name] == derive(CASES[name])


@pytest.mark.slow
def test_the_table_and_the_file(tmp_path):
    found = bench.main(
        ["--quick", "--parts", "training", "decode", "--cases", "cnn_4", "--out", str(tmp_path)]
    )
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(json.dumps(found))
    rounds = found["training"]["cnn_4"]["rounds"]
    assert all(
        len(each) == 1 and each[0]["images_per_s"] > 0 and each[0]["cpu_us_per_image"] > 0
        for each in rounds.values()
    )
    ratio = rounds["engine"][0]["images_per_s"] / rounds["plain loop"][0]["images_per_s"]
    assert found["training"]["cnn_4"]["ratio"]["plain loop"]["images_per_s"] == [ratio]
    page = (tmp_path / "bench.md").read_text()
    best = {
        name: max(rounds[name][0]["images_per_s"], rounds[f"{name}, two jobs"][0]["images_per_s"])
        for name in ("engine", "plain loop")
    }
    two = best["engine"] / best["plain loop"]
    titled, goal, _, gain, _ = rows_of(page, "cnn_4")
    assert titled[1].startswith(CASES["cnn_4"].title)
    assert goal[1:] == ["3", f"{two:.2f} ({two:.2f}–{two:.2f})", "yes" if two >= 3 else "no"]
    assert gain[1] == f"{ratio:.2f} ({ratio:.2f}–{ratio:.2f})"
    assert found["machine"]["processor"] in page
    assert "images/s" in page.splitlines()[-1], "decoding"


@pytest.mark.slow
def test_threads(tmp_path):
    found = bench.main(["--quick", "--parts", "threads", "--cases", "cnn_4", "--out", str(tmp_path)])
    loads = found["threads"]["cnn_4"]
    assert list(loads) == ["0", "1", "2"]
    assert all(rate > 0 for ways in loads.values() for rates in ways.values() for rate in rates)
    rows = rows_of((tmp_path / "bench.md").read_text(), "cnn_4")
    assert [row[1] for row in rows[4:]] == ["0", "1", "2"], "after the title and three goals"
    alone = loads["0"]
    ratio = alone["at most 2"][0] / max(alone["1"][0], alone["2"][0])
    assert rows[1][2:] == [
        f"{ratio:.2f} ({ratio:.2f}–{ratio:.2f})",
        "yes" if round(ratio, 2) >= 0.9 else "no",
    ]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_the_page_shows_what_was_printed(record):
    """Row by row, as the command prints it now; the demo has become faster, and has a table of its own."""
    page = PAGE.read_text(encoding="utf-8")
    printed = bench.markdown(json.loads(record.read_text(encoding="utf-8")))
    assert record.with_suffix(".md").read_text(encoding="utf-8") == printed
    assert max(map(len, printed.splitlines())) <= 120
    rows = [line for line in printed.splitlines() if line.startswith("| ") and "the demo" not in line]
    assert rows
    assert [row for row in rows if row not in page.splitlines()] == []
    conditions = printed.partition("\n\n")[0]
    assert " ".join(conditions.split()) in " ".join(page.split())


@pytest.mark.parametrize(
    ("few", "many", "met"),
    [(4.9, 13.4, ["yes", "yes"]), (6.0, 6.5, ["no", "yes"]), (4.0, 12.5, ["yes", "no"])],
)
def test_the_goals_of_dry_runs(few, many, met):
    found = {
        "10 ×": {"runs": 5270, "training jobs": 94, "median": many, "least": many, "most": many},
        "1 ×": {"runs": 527, "training jobs": 73, "median": few, "least": few, "most": few},
    }
    rows = bench.goals_table({"dry-run": found}).splitlines()[2:]
    assert [row.strip("| ").split(" | ")[1:] for row in rows] == [
        ["less than 6 s", f"{few:.1f} s", met[0]],
        ["at most 3", f"{many / few:.1f}", met[1]],
    ]


@pytest.mark.parametrize(
    ("one", "two", "loops", "reached"),
    [(300.0, 100.0, 90.0, "yes"), (200.0, 300.0, 90.0, "yes"), (200.0, 440.0, 150.0, "no")],
)
def test_the_goal_is_that_of_two_cores_used_as_well_as_can_be(one, two, loops, reached):
    rates = {"engine": one, "plain loop": 100.0, bench.TWO_ENGINES: two, bench.TWO_LOOPS: loops}
    rounds = {name: [{"images_per_s": rate, "cpu_us_per_image": 1.0}] for name, rate in rates.items()}
    case = {
        "title": "net",
        "goal": 3,
        "batch_size": 8,
        "rounds": rounds,
        "ratio": {"plain loop": bench.ratios(rounds, "plain loop")},
    }
    case["two_cores_ratio"] = bench.two_cores(rounds)
    [goal] = rows_of(bench.goals_table({"training": {"net": case}}), "net")
    assert goal[1:] == ["3", bench.spread([max(one, two) / max(100, loops)], ".2f"), reached]
    _, gains, twos = (rows_of(text, "net")[0] for text in bench.training_tables({"net": case}))
    assert gains[1:3] == [bench.spread([one / 100], ".2f"), "–"]
    assert twos[3] == bench.spread([two / 100], ".2f")


def test_the_cost_of_digests(tmp_path):
    found = bench.main(["--quick", "--parts", "checks", "--out", str(tmp_path)])["checks"]
    spent = found["arrays"] + found["checkpoints"]
    assert found["arrays"] > 0
    assert spent < 0.02 * found["training"], "of a training on few images; on all 50,000 the share is smaller"
    assert (
        f"{spent:.2f} s of a core, {spent / found['training']:.2%}".replace("%", " %")
        in (tmp_path / "bench.md").read_text()
    )


def test_the_parts_of_a_step_are_its_whole(folder, tmp_path):
    clock = Clock(1, 4)
    parts = engine_parts(run_of("lenet"), folder, clock, tmp_path)
    assert list(parts) == ["images", "augmentation", "optimiser", "network"]
    assert min(parts.values()) > 0
    assert sum(parts.values()) == pytest.approx(clock.seconds)
    assert parts["network"] > parts["optimiser"]
    page = bench.profile_table({"lenet": {part: 1e3 * seconds / 4 for part, seconds in parts.items()}})
    assert page.count("%") == 4
    assert [row[0] for row in rows_of(page, "lenet")] == ["`lenet`"]


def test_two_jobs_of_a_user_have_loaders_without_workers(folder):
    command = bench.alone("plain loop", "cnn_4", 5, {"cifar100": folder}, 2, workers=0)
    args = bench.parse(command[2:])
    assert (args.alone, args.workers, args.cores) == (["plain loop", "cnn_4", "5", str(folder)], 0, 2)
    assert bench.measure_alone(args)["images_per_s"] > 0


def test_clock_times_the_steps_after_the_warm_up(monkeypatch):
    now = iter([10.0, 14.0])
    monkeypatch.setattr("bench_loops.time.perf_counter", lambda: next(now))
    clock = Clock(warm_up=2, steps=3, processor_time=iter([1.0, 7.0]).__next__)
    for _ in range(4):
        clock.step()
    with pytest.raises(Enough):
        clock.step()
    assert (clock.seconds, clock.cpu_seconds) == (4.0, 6.0)


def test_the_plain_loop_feeds_what_the_engine_feeds(folder):
    """Without chance the same pixels; with it the same transforms in the same order."""
    run = run_of("cnn_4")
    images, labels = next(iter(loader(run, load(folder), workers=0)))
    assert images.shape == (32, 3, 32, 32)
    stored = load(folder).splits["train"]
    known = {
        image.tobytes(): int(label) for image, label in zip(stored.images, stored.labels[:, 0], strict=True)
    }
    for image, label in zip(images, labels, strict=True):
        assert known[(image * 255).round().to(torch.uint8).numpy().tobytes()] == label
    for name in bench.cpu_cases():
        if CASES[name].report == "cifar100_mlp_cnn":
            ours = [
                type(step).__name__
                for step in build_augmentation(run_of(name).settings.augmentation).operations
            ]
            theirs = [
                type(step).__name__
                for step in loader(run_of(name), load(folder), 0).dataset.transform.transforms
            ]
            assert [OURS[step] for step in theirs if step in OURS] == ours


@pytest.mark.slow
def test_the_plain_loop_learns_what_the_engine_learns(folder, tmp_path):
    """First losses are those of the same initial weights: equal but for the batch, which each shuffles on its
    own.
    """
    run = Run(
        prune({**run_of("cnn_4").spec, "training": {**run_of("cnn_4").spec["training"], "batch_size": 600}})
    )
    losses = []

    def look(epoch, step, loss):
        losses.append(loss.item())
        raise Enough

    with pytest.raises(Enough):
        train([run], dataset_dirs={"cifar100": folder}, cache=tmp_path, device="cpu", on_step=look)
    images, labels = next(iter(loader(run, load(folder), workers=0)))
    assert nn.functional.cross_entropy(network(run, load(folder))(images), labels).item() == pytest.approx(
        losses[0], rel=1e-5
    )


def test_the_plain_loop_in_bfloat16(folder, tmp_path, monkeypatch):
    """The network's weights and images are channels last, and its products bfloat16."""
    run, seen = run_of("resnet18"), []
    run = Run({**run.spec, "dataset": {**run.spec["dataset"], "name": "cifar100", "labels": "fine"}})

    class Spy(nn.Conv2d):
        def forward(self, images):
            made = super().forward(images)
            channels_last = [
                each.is_contiguous(memory_format=torch.channels_last) for each in (images, self.weight)
            ]
            seen.append((made.dtype, *channels_last))
            return made

    def network(run, dataset):
        return nn.Sequential(Spy(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 100))

    monkeypatch.setattr("bench_loops.network", network)
    for precision in (torch.float32, torch.bfloat16):
        with pytest.raises(Enough):
            CONTESTANTS["plain loop"](run, folder, Clock(1, 1), 0, tmp_path, precision=precision)
    assert seen == [(torch.float32, False, False)] * 2 + [(torch.bfloat16, True, True)] * 2


def test_lightning_takes_as_many_steps(folder, tmp_path):
    pytest.importorskip("lightning")
    clock = Clock(warm_up=1, steps=2)
    with pytest.raises(Enough):
        CONTESTANTS["Lightning"](run_of("cnn_4"), folder, clock, 0, tmp_path)
    assert clock.count == 3


@pytest.mark.slow
def test_ten_times_the_runs(tmp_path):
    path = bench_system.project(tmp_path / "ten", 10) / "workflow/reports"
    for file in report_files(path).values():
        once = Report(bench_system.ROOT / "workflow/reports" / file.name)
        assert len(Report(file).runs()) == pytest.approx(10 * len(once.runs()), rel=0.1), file.name


# ---- on a GPU ----


def test_without_a_gpu_it_says_so(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit, match="no CUDA device"):
        bench_gpu.main([])


def test_operations_and_bytes_of_a_step(folder, tmp_path):
    """One dense layer of 3072 × 100 on 8 images, SGD: by hand."""
    spec = {
        **run_of("mlp").spec,
        "augmentation": None,
        "preprocess": None,
        "optimizer": {"name": "sgd", "lr": 0.1},
    }
    spec["model"] = {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]}
    spec["training"] = {"epochs": 1, "batch_size": 8, "select": "last"}
    cost = bench_gpu.count(Run(prune(spec)), folder, tmp_path, device="cpu")
    assert cost["flops"] == 2 * 2 * 8 * 3072 * 100, (
        "forward, and the gradient of the weights; images need none"
    )
    pixels, weights = 8 * 3072, 3072 * 100
    least = (
        (1 + 1) * pixels + (1 + 4) * pixels + 2 * 4 * pixels + 4 * (pixels + weights) * 2 + 4 * 3 * weights
    )
    assert least < cost["bytes"] < 1.5 * least


def test_the_oracle_has_no_chance(folder, tmp_path):
    """Two passes over the same images, one with another seed of augmentation and dropout: the same losses."""
    spec = bench_gpu.changed(run_of("lenet"), training__batch_size=16, model=run_of("cnn_2").settings.model)
    calm = [bench_gpu.oracle(bench_gpu.changed(spec, seeds__augmentation=seed)) for seed in (0, 1)]
    with bench_gpu.without_chance():
        losses = [bench_gpu.first_losses(run, folder, tmp_path, 3, device="cpu") for run in calm]
    assert losses[0] == losses[1]
    chancy = [bench_gpu.first_losses(run, folder, tmp_path, 3, device="cpu") for run in calm]
    assert chancy[0] != chancy[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    counts = {"train": 10_000, "test": 1000}  # enough for 100 of each class
    return {
        name: write_noise(tmp_path_factory.mktemp(name), name, counts) for name in ("cifar10", "cifar100")
    }


@pytest.mark.parametrize("name", CASES)
def test_recorded_steps_are_compared_beyond_a_batch_that_is_not_whole(folders, name):
    run = bench_gpu.short(run_of(name))
    training, images = run.settings.training, len(Datasets(folders, torch.device("cpu")).of(run).train)
    count = images * (2 if training.keep_originals else 1)
    assert count // training.batch_size > cuda_graphs.WARM_UP + 1
    assert count % training.batch_size
    assert not training.drop_last


@pytest.mark.slow
def test_losses_until_a_step_of_an_epoch(folder, tmp_path):
    run = bench_gpu.changed(run_of("cnn_4"), training__batch_size=256, training__epochs=2)
    assert len(bench_gpu.first_losses(run, folder, tmp_path, 2, device="cpu")) == 2
    assert len(bench_gpu.first_losses(run, folder, tmp_path, 2, epoch=2, device="cpu")) == 3 + 2, "600 images"


def test_the_ratio_is_to_the_better_plain_loop_and_both_are_shown(monkeypatch, tmp_path):
    """Seconds of a step: of the engine 1, of the plain loop 8 in float32 and 2 in bfloat16."""

    def measure(
        contestant, run, folder, clock, workers, scratch, device, cuda_graphs=True, precision=torch.float32
    ):
        clock.seconds = clock.steps * (
            1.0 if contestant == "engine" else 8.0 if precision == torch.float32 else 2.0
        )

    monkeypatch.setattr(bench_gpu, "measure", measure)
    monkeypatch.setattr(bench_gpu, "ceilings", lambda: {"float32": 1e12, "bfloat16": 4e12, "copy": 1e12})
    monkeypatch.setattr(bench_gpu, "count", lambda *arguments, **options: {"flops": 1e12, "bytes": 1e9})
    args = argparse.Namespace(workers=0, seconds=1.0, rounds=1)
    found = bench_gpu.rates(
        ["lenet", "resnet34"], {"cifar10": tmp_path, "cifar100": tmp_path}, args, tmp_path
    )
    networks = found["networks"]
    assert {name: (each["precision"], each["ratio"]) for name, each in networks.items()} == {
        "lenet": ("float32", 8.0),
        "resnet34": ("bfloat16", 2.0),
    }
    page = bench_gpu.markdown({"rates": found, "date": "", "device": "", "versions": {}, "command": ""})
    (_, lenet, cost), (_, resnet, bfloat16) = rows_of(page, "lenet"), rows_of(page, "resnet34")
    sizes = [networks[name]["batch_size"] for name in ("lenet", "resnet34")]
    assert lenet[1:] == [f"{sizes[0]:,.0f}", f"{sizes[0]:,.0f}", f"{sizes[0] / 8:,.0f}", "–"]
    assert (cost[1:3], bfloat16[1:3]) == (["float32", "8.0"], ["bfloat16", "2.0"])
    assert resnet[1:] == [
        f"{sizes[1]:,.0f}",
        f"{sizes[1]:,.0f}",
        f"{sizes[1] / 8:,.0f}",
        f"{sizes[1] / 2:,.0f}",
    ]
    assert max(map(len, page.splitlines()[4:])) <= 120
    assert "convolutions in TF32" in page


def test_differences():
    assert bench_gpu.difference([1.0, 2.2], [1.0, 2.0]) == pytest.approx(0.1)
    assert bench_gpu.difference([1.0, float("nan")], [1.0, 2.0]) == float("inf")


def test_stacked_networks_learn_what_each_learns_alone():
    """Three MLPs of their own weights, rates and batches, five steps with AdamW."""
    optimizer, rates = run_of("mlp").settings.optimizer, (1e-2, 1e-3, 1e-4)
    layers = [
        {"flatten": True},
        {"dense": 16, "activation": "relu"},
        {"dense": 12, "activation": "tanh"},
        {"dense": "classes"},
    ]

    def make():
        torch.manual_seed(0)
        networks = [
            bench_gpu.models.build({"name": "sequential", "layers": layers}, 10, (3, 8, 8)) for _ in rates
        ]
        return networks, [
            build_optimizer({**optimizer, "lr": rate}, network.parameters())
            for rate, network in zip(rates, networks, strict=True)
        ]

    (alone, own), (stacked, shared) = make(), make()
    for _ in range(5):
        images, labels = torch.rand(3, 20, 3, 8, 8), torch.randint(10, (3, 20))
        losses = []
        for network_, optimizer, inputs, truth in zip(alone, own, images, labels, strict=True):
            loss = nn.functional.cross_entropy(network_(inputs), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.testing.assert_close(stacked_step(stacked, shared, images, labels), torch.stack(losses))
    for ours, theirs in zip(stacked, alone, strict=True):
        for parameter, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(parameter, expected)


def test_networks_that_cannot_be_stacked():
    with pytest.raises(TypeError, match="BatchNorm1d cannot be stacked"):
        stacked_logits([nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12))], torch.rand(1, 2, 3, 2, 2))
