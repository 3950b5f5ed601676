"""The benchmarks run, and what they compare is the same training."""

import json

import pytest
import torch
from torch import nn

import bench
import bench_gpu
import bench_system
from bench_cases import CASES, SETTINGS, derive, run_of, write_images
from bench_loops import CONTESTANTS, Clock, Enough, loader, network
from bench_stacked import stacked_logits, stacked_step
from reprise.data.augment import build_augmentation
from reprise.data.decode import load
from reprise.spec.report import Report
from reprise.spec.run import Run, prune
from reprise.training.engine import train
from reprise.training.optim import build_optimizer

OURS = {"RandomHorizontalFlip": "Flip", "ColorJitter": "Jitter", "RandomRotation": "Rotation", "RandomResizedCrop": "ResizedCrop"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"), "cifar100", 600, 200)


@pytest.mark.parametrize("name", CASES)
def test_cases_are_those_of_the_reports(name):
    """Where a report file has changed: python tests/bench/bench_cases.py."""
    assert json.loads(SETTINGS.read_text())[name] == derive(CASES[name])


def test_the_table_and_the_file(tmp_path):
    found = bench.main(["--quick", "--parts", "training", "decode", "--cases", "cnn_4", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(json.dumps(found))
    rounds = found["training"]["cnn_4"]["rounds"]
    assert all(len(each) == 1 and each[0]["images_per_s"] > 0 and each[0]["cpu_us_per_image"] > 0 for each in rounds.values())
    ratio = rounds["engine"][0]["images_per_s"] / rounds["plain loop"][0]["images_per_s"]
    assert found["training"]["cnn_4"]["ratio"]["plain loop"]["images_per_s"] == [ratio]
    page = (tmp_path / "bench.md").read_text()
    two = rounds["engine, two jobs"][0]["images_per_s"] / rounds["plain loop"][0]["images_per_s"]
    reached = "one job" if ratio >= 3 else "two jobs" if two >= 3 else "no"
    assert f"| {ratio:.2f} ({ratio:.2f}–{ratio:.2f}) | {two:.2f} ({two:.2f}–{two:.2f}) | 3: {reached} |" in page
    assert found["machine"]["processor"] in page
    assert "images/s" in page.splitlines()[-1], "decoding"


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
    known = {image.tobytes(): int(label) for image, label in zip(stored.images, stored.labels[:, 0], strict=True)}
    for image, label in zip(images, labels, strict=True):
        assert known[(image * 255).round().to(torch.uint8).numpy().tobytes()] == label
    for name in bench.cpu_cases():
        if CASES[name].report == "cifar100_mlp_cnn":
            ours = [type(step).__name__ for step in build_augmentation(run_of(name).spec["augmentation"]).operations]
            theirs = [type(step).__name__ for step in loader(run_of(name), load(folder), 0).dataset.transform.transforms]
            assert [OURS[step] for step in theirs if step in OURS] == ours


def test_the_plain_loop_learns_what_the_engine_learns(folder, tmp_path):
    """First losses are those of the same initial weights: equal but for the batch, which each shuffles on its own."""
    run = Run(prune({**run_of("cnn_4").spec, "training": {**run_of("cnn_4").spec["training"], "batch_size": 600}}))
    losses = []

    def look(epoch, step, loss):
        losses.append(loss.item())
        raise Enough

    with pytest.raises(Enough):
        train([run], dataset_dirs={"cifar100": folder}, cache=tmp_path, device="cpu", on_step=look)
    images, labels = next(iter(loader(run, load(folder), workers=0)))
    assert nn.functional.cross_entropy(network(run, load(folder))(images), labels).item() == pytest.approx(losses[0], rel=1e-5)


def test_lightning_takes_as_many_steps(folder, tmp_path):
    pytest.importorskip("lightning")
    clock = Clock(warm_up=1, steps=2)
    with pytest.raises(Enough):
        CONTESTANTS["Lightning"](run_of("cnn_4"), folder, clock, 0, tmp_path)
    assert clock.count == 3


def test_ten_times_the_runs(tmp_path):
    path = bench_system.project(tmp_path / "ten", 10) / "workflow/reports"
    for file in path.glob("*.yaml"):
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
    spec = {**run_of("mlp").spec, "augmentation": None, "preprocess": None, "optimizer": {"name": "sgd", "lr": 0.1}}
    spec["model"] = {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]}
    spec["training"] = {"epochs": 1, "batch_size": 8, "select": "last"}
    cost = bench_gpu.count(Run(prune(spec)), folder, tmp_path, device="cpu")
    assert cost["flops"] == 2 * 2 * 8 * 3072 * 100, "forward, and the gradient of the weights; images need none"
    pixels, weights = 8 * 3072, 3072 * 100
    least = (1 + 1) * pixels + (1 + 4) * pixels + 2 * 4 * pixels + 4 * (pixels + weights) * 2 + 4 * 3 * weights
    assert least < cost["bytes"] < 1.5 * least


def test_the_oracle_has_no_chance(folder, tmp_path):
    """Two passes over the same images, one with another seed of augmentation and dropout: the same losses."""
    spec = bench_gpu.changed(run_of("lenet"), training__batch_size=16, model=run_of("cnn_2").spec["model"])
    calm = [bench_gpu.oracle(bench_gpu.changed(spec, seeds__augmentation=seed)) for seed in (0, 1)]
    with bench_gpu.without_chance():
        losses = [bench_gpu.first_losses(run, folder, tmp_path, 3, device="cpu") for run in calm]
    assert losses[0] == losses[1]
    chancy = [bench_gpu.first_losses(run, folder, tmp_path, 3, device="cpu") for run in calm]
    assert chancy[0] != chancy[1]


def test_differences():
    assert bench_gpu.difference([1.0, 2.2], [1.0, 2.0]) == pytest.approx(0.1)
    assert bench_gpu.difference([1.0, float("nan")], [1.0, 2.0]) == float("inf")


def test_stacked_networks_learn_what_each_learns_alone():
    """Three MLPs of their own weights, rates and batches, five steps with AdamW."""
    spec, rates = run_of("mlp").spec, (1e-2, 1e-3, 1e-4)
    layers = [{"flatten": True}, {"dense": 16, "activation": "relu"}, {"dense": 12, "activation": "tanh"}, {"dense": "classes"}]

    def make():
        torch.manual_seed(0)
        networks = [bench_gpu.models.build({"name": "sequential", "layers": layers}, 10, (3, 8, 8)) for _ in rates]
        return networks, [
            build_optimizer({**spec["optimizer"], "lr": rate}, network.parameters()) for rate, network in zip(rates, networks, strict=True)
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
