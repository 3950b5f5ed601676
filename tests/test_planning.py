"""What reports cost: counted by hand, and the calibration against the engine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from mini import changed
from reprise import planning
from reprise.cli import main
from reprise.data.catalog import dataset_facts
from reprise.data.decode import read_facts
from reprise.errors import RepriseError
from reprise.files import read_json, write_json
from reprise.planning import calibration as pacing
from reprise.planning import (
    compare,
    describe,
    describe_comparison,
    disk,
    estimates,
    plan,
    work_of,
)
from reprise.planning.calibration import Calibration, Pace, Way, typical
from reprise.planning.description import size
from reprise.planning.storage import run_bytes
from reprise.planning.work import Work, expected_share
from reprise.records import seal
from reprise.reports.file import read_yaml
from reprise.reports.layout import Layout
from reprise.reports.report import Report
from reprise.reports.run import Run, prune
from reprise.training.engine import train
from tiny import edit_dataset, everything, tiny_run, write_dataset

CPU = Way(torch.device("cpu"), threads=1)
LAYERS = [
    {"conv": 4, "activation": "relu"},
    {"pool": "max"},
    {"flatten": True},
    {"dropout": 0.3},
    {"dense": "classes"},
]
REPORT = {
    "slug": "mini",
    "title": "Mini",
    "models": {"net": {"name": "sequential", "layers": LAYERS}},
    "defaults": {
        "dataset": {"name": "cifar10", "labels": "label"},
        "split": {"validation": 0.1},
        "model": "net",
        "optimizer": {"name": "adam", "lr": 0.001},
        "training": {"epochs": 4, "batch_size": 100, "select": "last"},
        "seeds": [0, 1],
    },
    "experiments": {
        "base": {},
        "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.001, 0.01]}}},
        "study": {
            "seeds": [0],
            "asha": {
                "trials": 6,
                "min_resource": 1,
                "reduction_factor": 2,
                "space": {"lr": {"path": "optimizer.lr", "log_uniform": [1e-4, 1e-2]}},
            },
        },
    },
}


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "reports/mini.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(REPORT, sort_keys=False))
    return Report(path)


@pytest.fixture
def where(tmp_path):
    return Layout(tmp_path / "results", "full")


@pytest.fixture
def calibration(where, monkeypatch):
    """A step takes 2 s, the evaluation of an image 1 ms."""
    monkeypatch.setattr(pacing, "measure_pace", lambda *arguments: Pace(2.0, 0.001))
    return Calibration(where.results / "calibration.json", "cpu", 1)


def run_with(**changes):
    """A run on the real CIFAR-10 or CIFAR-100."""
    real = {"name": "cifar10", "labels": "label", "source": "real"}
    return Run(prune(changed({**tiny_run().spec, "dataset": real}, changes)))


def call_fine_label(folder):
    """CIFAR-10 has one kind of label, `label`; the tiny data set's kinds are others."""
    known = read_facts(folder)["classes"]
    classes = {"coarse": known["coarse"], "label": known["fine"]}
    edit_dataset(folder, label_kinds=list(classes), classes=classes)


# ---- images and epochs ----


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (50_000, 10_000, 10_000)),
        ({"split__validation": 0.1}, (45_000, 5_000, 10_000)),
        ({"training__keep_originals": True, "augmentation": [{"flip": 0.5}]}, (100_000, 10_000, 10_000)),
        ({"dataset__classes": ["cat", "dog"]}, (10_000, 2_000, 2_000)),
        ({"dataset__per_class": 300, "split__validation": 0.2}, (2_400, 600, 3_000)),
        ({"dataset__name": "cinic10", "split__validation": "official"}, (90_000, 90_000, 90_000)),
        ({"dataset__source": "synthetic"}, (400, 200, 200)),
        # a third of CIFAR-10's 60,000 in each part
        (
            {"dataset__name": "cinic10", "dataset__source": "stand-in", "split__validation": "official"},
            (20_000, 20_000, 20_000),
        ),
    ],
)
def test_images_as_the_catalog_counts_them(where, changes, expected):
    work = work_of(run_with(**changes), where)
    assert (work.train_images, work.validation_images, work.test_images) == expected


def test_images_that_are_there(where):
    write_dataset(where.dataset("cifar10"), train=150, test=60, source="real")
    work = work_of(run_with(split__validation=0.2), where)
    assert (work.train_images, work.validation_images, work.test_images) == (120, 30, 60)


def test_the_demo_draws_as_many_images_as_are_planned(where, tmp_path):
    """A validation part is as large as the test set."""
    assert read_yaml(Path(__file__).parents[1] / "config.yaml")["synthetic"] == {}
    run = run_with(dataset__name="cinic10", dataset__source="synthetic", split__validation="official")
    planned = work_of(run, where)
    main(["data", "synthesize", "cinic10", "--results", str(tmp_path)])
    demo = ["--scale", "demo", "--results", str(tmp_path)]
    main(["data", "fetch", "cinic10", *demo])
    main(["data", "decode", "cinic10", *demo])
    assert work_of(run, Layout(tmp_path, "demo")) == planned


def test_a_validation_part_that_there_is_not(report, where, calibration):
    document = {**REPORT, "experiments": {"base": {"set": {"split.validation": "official"}}}}
    report.path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(
        RepriseError,
        match=r"mini\.yaml:\d+: experiments\.base\.set\.split\.validation: official: cifar10 has no val",
    ):
        plan([Report(report.path)], where, calibration)


def test_share_of_a_study():
    """Two trials of four epochs, one half goes on: the first always does; the second ends after epoch 1 where
    it is worse.
    """
    study = {"min_resource": 1, "reduction_factor": 2}
    runs = [run_with(training__epochs=4, study={**study, "trial": trial}) for trial in (0, 1)]
    outcomes = {(4 + 4) / 8, (4 + 1) / 8}
    share = expected_share(runs)
    assert min(outcomes) < share < max(outcomes)
    assert share == pytest.approx(sum(outcomes) / 2, abs=0.15), "a coin thrown twenty times"
    assert expected_share([run_with()]) == 1


# ---- pace ----


def test_seconds_of_a_run():
    work = Work(run_with(training__batch_size=100), train_images=250, validation_images=40, test_images=7)
    assert Pace(step=2.0, evaluation=0.5).seconds(work, 3) == 3 * (3 * 2.0 + 40 * 0.5)
    frozen = Pace(step=2.0, evaluation=0.5, features=0.1)
    assert frozen.seconds(work, 3) == 3 * (3 * 2.0 + 40 * 0.5), "what the engine calls the seconds of a run"
    assert frozen.seconds_around(work) == pytest.approx((250 + 40) * 0.1 + (7 + 250) * (0.1 + 0.5)), (
        "evaluation predicts test and training images"
    )
    twice = Work(
        run_with(training__keep_originals=True), train_images=500, validation_images=40, test_images=7
    )
    assert frozen.seconds_around(twice) == pytest.approx((500 + 40) * 0.1 + (7 + 250) * (0.1 + 0.5)), (
        "which are there once, however often an epoch has them"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer__lr": 0.5},
        {"seeds__init": 4},
        {"training__epochs": 77},
        {"schedule": {"name": "step", "step": 1}},
        {"model__init": "keras"},
        {"split__validation": 0.2},
        {"training__early_stop": {"monitor": "loss", "patience": 2}},
        {"model__layers": [*LAYERS[:3], {"dropout": 0.4}, LAYERS[4]]},
    ],
)
def test_same_pace(changes):
    base = run_with(model__layers=LAYERS)
    assert typical(run_with(**{"model__layers": LAYERS, **changes})) == typical(base)


@pytest.mark.parametrize(
    "changes",
    [
        {"training__batch_size": 16},
        {"optimizer__name": "adamw"},
        {"optimizer__weight_decay": 0.1},
        {"augmentation": [{"flip": 0.5}]},
        {"split__augmented": True},
        {"preprocess": {"resize": 40}},
        {"dataset": {"name": "cifar100", "labels": "fine", "source": "real"}},
        {"model__layers": [*LAYERS[:3], {"dropout": 0}, LAYERS[4]]},
    ],
)
def test_another_pace(changes):
    assert typical(run_with(**{"model__layers": LAYERS, **changes})) != typical(
        run_with(model__layers=LAYERS)
    )


@pytest.fixture
def timed(monkeypatch):
    """Batch sizes that are timed, of which `seconds` tells how long a step takes; evaluating an image takes 3
    ms.
    """

    def timed(seconds):
        sizes = []

        class Stopwatch:
            def __init__(self, batch_size):
                sizes.append(batch_size)
                self.step = seconds(batch_size)

        monkeypatch.setattr(pacing, "_time_steps", lambda run, batch_size, *rest: Stopwatch(batch_size))
        monkeypatch.setattr(pacing, "_time_inference", lambda run, way, most: (0.003, 0.0))
        return sizes, pacing.measure_pace(typical(run_with(training__batch_size=512)), CPU, 2.0)

    return timed


def test_a_whole_batch_that_takes_too_long_is_a_straight_line(timed):
    """A step of 0.1 s + 0.02 s for each image; a budget of 2 s lets 0.5 s be spent on one step."""
    sizes, pace = timed(lambda batch_size: 0.1 + 0.02 * batch_size)
    assert sizes == [8, 15], "0.26 s for 8 images, so 15 in half a second"
    assert pace == Pace(pytest.approx(0.1 + 0.02 * 512), 0.003)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0.4, 0.9, 0.09 * 512), (0.4, 0.3, 0.3 + 0.015 * 502)],
    ids=["steep", "falling"],
)
def test_a_busy_machine_does_not_tilt_the_line(timed, first, second, expected):
    """8 images in 0.4 s and 10 in 0.9 s: at most 0.09 s each. In 0.3 s: at least half of 0.03 s for each
    further one.
    """
    sizes, pace = timed({8: first, 10: second}.get)
    assert sizes == [8, 10]
    assert pace.step == pytest.approx(expected)


@pytest.mark.parametrize("changes", [{}, {"training__keep_originals": True}])
def test_the_calibration_times_the_engine(changes, monkeypatch):
    """Steps of 16 and of 128 images of one network: nearly eight times the work; evaluating an image is far
    less.

    Processor time instead of the clock's, so that other work on the machine does not count.
    """
    monkeypatch.setattr(pacing.time, "perf_counter", time.process_time)
    layers = [
        {"conv": 32, "activation": "relu"},
        {"conv": 32, "activation": "relu"},
        {"flatten": True},
        {"dense": "classes"},
    ]
    runs = [
        typical(
            run_with(
                model__layers=layers, augmentation=[{"crop": 2}], training__batch_size=batch_size, **changes
            )
        )
        for batch_size in (16, 128)
    ]
    small, large = (pacing.measure_pace(run, CPU, 1.0) for run in runs)
    assert 3 < large.step / small.step < 16
    assert 0 < large.evaluation < large.step / 128, "an image of a step goes forward and backward"
    assert large.features == 0


def test_the_stopwatch_leaves_out_the_warm_up(monkeypatch):
    now = iter([10.0, 11.0, 14.0])  # after the warm-up, a look after the first of two steps, the end
    monkeypatch.setattr(pacing.time, "perf_counter", lambda: next(now))
    stopwatch, loss = pacing._Stopwatch(warm_up=2, steps=4, budget=100.0), torch.zeros(())
    for step in range(3):
        stopwatch(1, step, loss)
    with pytest.raises(pacing._Enough):
        stopwatch(1, 3, loss)
    assert (stopwatch.timed, stopwatch.step) == (2, 2.0)


def test_the_stopwatch_ends_when_the_budget_is_spent(monkeypatch):
    now = iter([10.0, 11.0, 13.0, 13.0])
    monkeypatch.setattr(pacing.time, "perf_counter", lambda: next(now))
    stopwatch = pacing._Stopwatch(warm_up=1, steps=100, budget=2.5)
    stopwatch(1, 0, torch.zeros(()))
    stopwatch(1, 1, torch.zeros(()))
    with pytest.raises(pacing._Enough):
        stopwatch(1, 2, torch.zeros(()))
    assert (stopwatch.timed, stopwatch.step) == (2, 1.5)


def test_an_evaluation_goes_through_what_the_validation_part_does(monkeypatch):
    """The whole network, augmented images where they validate, or the head alone after a frozen part."""
    seen = []

    def look(network, part, prepare, size):
        few = part.inputs[:2]
        prepared = prepare(few)
        seen.append(
            (
                type(network).__name__,
                tuple(prepared.shape[1:]),
                len(part),
                torch.equal(prepared, few.flip(-2) / 255),
            )
        )

    monkeypatch.setattr(pacing, "evaluate", look)
    flip = {"augmentation": [{"vertical_flip": 1.0}]}
    frozen = {
        "model": {
            "name": "torchvision",
            "arch": "mobilenet_v3_small",
            "weights": "imagenet",
            "trainable": "head",
        }
    }
    for changes, most in ((flip, 10**6), ({**flip, "split__augmented": True}, 40), (frozen, 40)):
        pacing._time_inference(typical(run_with(**changes)), CPU, most)
    plain, augmented, head = seen[::2]
    assert plain == ("Network", (3, 32, 32), 1024, False), "a batch of the engine's evaluation"
    assert augmented == ("Network", (3, 32, 32), 40, True)
    assert head[1:3] == ((1024,), 40), "what goes into its last layer"


def test_frozen_features_are_timed():
    model = {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "imagenet", "trainable": "head"}
    pace = pacing.measure_pace(typical(run_with(model=model)), CPU, 0.4)
    assert pace.features > pace.step / 32, "the head alone is faster than what lies before it"
    assert pace.features > 5 * pace.evaluation


def test_a_calibration_is_trained_as_the_runs_will_be(monkeypatch):
    told = []

    def train(runs, *, dataset_dirs, cache, on_step, **options):
        told.append(options)
        for step in range(on_step.steps):
            on_step(1, step, torch.zeros(()))

    monkeypatch.setattr(pacing, "train", train)
    way = Way(torch.device("cpu"), threads=1, precision="bfloat16", cuda_graphs=False)
    pacing._time_steps(typical(run_with()), 8, 2, way, 1.0)
    assert told == [{"device": "cpu", "threads": 1, "precision": "bfloat16", "cuda_graphs": False}]


def test_paces_are_kept(where, monkeypatch):
    measured, file = [], where.results / "calibration.json"
    monkeypatch.setattr(pacing, "measure_pace", lambda run, *rest: measured.append(run) or Pace(1.0, 2.0))
    runs = [run_with(), run_with(optimizer__lr=0.5), run_with(training__batch_size=7)]
    for _ in range(2):
        calibration = Calibration(file, "cpu", 1)
        calibration.prepare(runs)
        assert len(measured) == 2
        assert [calibration.pace(run) for run in runs] == [Pace(1.0, 2.0)] * 3
    Calibration(file, "cpu", 2).prepare(runs)
    assert len(measured) == 4, "another number of threads is another pace"
    Calibration(file, "cpu", 1, "bfloat16").prepare(runs)
    Calibration(file, "cpu", 1, cuda_graphs=False).prepare(runs)
    assert len(measured) == len(read_json(file)["paces"]) == 8


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", r"damaged \(not valid JSON: .+\)"),
        ("", r"damaged \(not valid JSON: .+\)"),
        ("null", r"damaged \(not a record\)"),
        ('{"paces": {}}', r"damaged \(its content does not match its own digest\)"),
        (json.dumps(seal({"a": 1})), "not the calibration of a plan"),
    ],
)
def test_a_damaged_calibration_is_made_again(where, monkeypatch, capsys, content, reason):
    where.results.mkdir()
    file = where.results / "calibration.json"
    file.write_text(content)
    monkeypatch.setattr(pacing, "measure_pace", lambda run, *rest: Pace(1.0, 2.0))
    Calibration(file, "cpu", 1).prepare([run_with()])
    assert re.match(
        rf"reprise: {re.escape(str(file))}: {reason}; it is made again\n", capsys.readouterr().err
    )
    assert Calibration(file, "cpu", 1).pace(run_with()) == Pace(1.0, 2.0)


# ---- disk ----


def test_bytes_of_a_run_are_those_of_its_files(tmp_path):
    """Within 30 % of what the engine writes."""

    class Enough(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 2:
            raise Enough

    folder = write_dataset(tmp_path / "data", train=200, test=50, size=32)
    layers = [{"flatten": True}, {"dense": 100, "activation": "relu"}, {"dense": "classes"}]
    run = tiny_run(dataset__labels="label", model__layers=layers, optimizer={"name": "adam", "lr": 0.001})
    edit_dataset(
        folder, label_kinds=["coarse", "label"], classes={"coarse": ["a", "b"], "label": list("cdef")}
    )
    arguments = {"dataset_dirs": {"cifar10": folder}, "cache": tmp_path / "runs", "device": "cpu"}
    with pytest.raises(Enough):
        train([run], on_step=stop, **arguments)
    checkpoint = (tmp_path / "runs" / run.hash / "checkpoint.pt").stat().st_size
    train([run], **arguments)
    left = sum(file.stat().st_size for file in (tmp_path / "runs" / run.hash).iterdir())
    expected = run_bytes(Work(run, 200, 50, 50))
    assert expected == (pytest.approx(left, rel=0.3), pytest.approx(checkpoint, rel=0.3))


def test_disk_of_data(where):
    facts = dataset_facts("cifar10")
    works = [work_of(run_with(), where), work_of(run_with(optimizer__lr=0.5), where)]
    found = disk(works, where)
    assert (found.data, found.there) == (60_000 * 3072 + facts.max_bytes, 0)
    assert found.runs == 2 * run_bytes(works[0])[0]
    where.archives.mkdir(parents=True)
    (where.archives / facts.file_name).write_bytes(b"12345")
    found = disk(works, where)
    assert (found.data, found.there) == (60_000 * 3072 + 5, 5)


# ---- plans ----


def test_plan(report, where, calibration):
    """45,000 images in batches of 100: 450 steps of 2 s and 5,000 evaluations of 1 ms an epoch; then 10,000
    of test images and 45,000 of training images.
    """
    (made,) = plan([report], where, calibration)
    rows = {row.experiment: row for row in made.rows}
    assert [(row.runs, row.left) for row in rows.values()] == [(2, 2), (2, 2), (6, 6)], (
        "two runs of the grid are those of base"
    )
    epoch, evaluation = 450 * 2.0 + 5.0, 10.0 + 45.0
    assert rows["base"].epochs == rows["base"].expected_epochs == 8
    assert rows["base"].images == 8 * 45_000
    assert rows["base"].seconds == rows["base"].expected_seconds == pytest.approx(8 * epoch + 2 * evaluation)
    share = expected_share([cell.members[0] for cell in report.cells("study")])
    assert share < 1
    assert (rows["study"].epochs, rows["study"].expected_epochs) == (24, pytest.approx(24 * share))
    assert rows["study"].expected_seconds == pytest.approx(24 * share * epoch + 6 * evaluation)
    text = describe([made], calibration.machine)
    assert "mini, scale full, on" in text
    assert "1 thread, one job at a time" in text
    total = next(line for line in text.splitlines() if line.startswith("all"))
    assert total.split()[:4] == ["all", "10", "10", "40"]


def test_what_is_there_is_not_planned(report, where, calibration):
    run = next(iter(report.runs().values()))
    write_json(where.runs / run.hash / "run.json", {})
    (made,) = plan([report], where, calibration)
    assert (made.rows[0].runs, made.rows[0].left, made.rows[0].epochs) == (2, 1, 4)


def test_comparison(report, where, calibration, monkeypatch):
    """Four finished runs, one of them of another machine and one in another precision; two epochs each were
    trained.
    """
    runs = list(report.runs().values())[:4]
    alike = {"epochs": 2, "device": calibration._conditions["device"], "dtype": "float32", "threads": 1}
    metas = [
        {**alike, "seconds": 2000.0},
        {**alike, "seconds": 1000.0},
        {**alike, "seconds": 1.0, "device": "an abacus"},
        {**alike, "seconds": 1.0, "dtype": "bfloat16"},
    ]
    documents = {run.hash: {"meta": meta} for run, meta in zip(runs, metas, strict=True)}
    monkeypatch.setattr(estimates, "finished", lambda folder: documents.get(folder.name))
    rows = compare(report, where, calibration)
    assert [(row.experiment, row.runs, row.elsewhere, row.epochs, row.seconds) for row in rows] == [
        ("base", 2, 0, 4, 3000.0),
        ("rates", 0, 2, 0, 0),
    ]
    assert rows[0].estimated_seconds == pytest.approx(4 * 905.0)
    text = describe_comparison(report, rows, calibration.machine)
    assert text.splitlines()[2].split() == [
        "base",
        "2",
        "0",
        "4",
        "60",
        "min",
        "50",
        "min",
        f"{3000 / 3620:.2f}",
    ]
    assert "no finished run to compare with" in describe_comparison(report, [], calibration.machine)


@pytest.mark.slow
def test_the_estimate_is_near_the_truth(tmp_path):
    """A run that the engine has trained, and its estimate: within a factor of three, whatever else the
    machine does.
    """
    folder = write_dataset(tmp_path / "data", train=2000, test=200, size=32)
    edit_dataset(
        folder, label_kinds=["coarse", "label"], classes={"coarse": ["a", "b"], "label": list("cdef")}
    )
    layers = [
        {"conv": 16, "activation": "relu"},
        {"pool": "max"},
        {"flatten": True},
        {"dense": 64, "activation": "relu"},
        {"dense": "classes"},
    ]
    run = everything(dataset__labels="label", model__layers=layers, training__epochs=2)
    (outcome,) = train(
        [run], dataset_dirs={"cifar10": folder}, cache=tmp_path / "runs", device="cpu", threads=1
    )
    pace = pacing.measure_pace(typical(run), CPU, 1.0)
    estimated = pace.seconds(Work(run, train_images=1600, validation_images=400, test_images=0), 2)
    assert 1 / 3 < estimated / outcome.meta["seconds"] < 3


def test_command(report, where, calibration, capsys, monkeypatch):
    options = [
        "--reports",
        str(report.path.parent),
        "--results",
        str(where.results),
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    main(["plan", *options])
    out = capsys.readouterr().out
    assert "mini, scale full" in out
    assert "disk: data and pretrained weights at most" in out
    main(["plan", "mini", "--compare", *options])
    assert capsys.readouterr().out == "mini, scale full: no finished run to compare with\n"
    (run, *_) = report.runs()
    meta = {"epochs": 2, "seconds": 20.0, "device": "an abacus", "dtype": "float32", "threads": 1}
    monkeypatch.setattr(estimates, "finished", lambda folder: {"meta": meta} if folder.name == run else None)
    main(["plan", "mini", "--compare", *options])
    assert "both times include" not in capsys.readouterr().out, "no run of this machine"
    monkeypatch.setattr(pacing.Calibration, "made_here", lambda *arguments: True)
    main(["plan", "mini", "--compare", *options])
    *_, said, load = capsys.readouterr().out.splitlines()
    assert said.startswith("both times include other work: `estimated` what ran while the paces were")
    assert load.startswith("load: ")
    with pytest.raises(SystemExit):
        main(["plan", "maxi", *options])
    assert "no report maxi" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plan", "--reports", str(where.results), "--results", str(where.results)])
    assert (
        capsys.readouterr().err
        == f"reprise: {where.results}: no report files (*.yaml) there; give their folder with --reports\n"
    )


def test_the_commands_options_are_those_of_train(report, where, monkeypatch):
    made = []

    class Asked(BaseException):
        pass

    def calibration(*arguments):
        made.append(arguments)
        raise Asked

    monkeypatch.setattr(planning, "Calibration", calibration)
    options = [
        "--reports",
        str(report.path.parent),
        "--results",
        str(where.results),
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    with pytest.raises(Asked):
        main(["plan", "mini", *options, "--precision", "bfloat16", "--cuda-graphs", "off"])
    assert made == [(where.results / "calibration.json", "cpu", 1, "bfloat16", False)]


def test_a_misspelt_report_is_found_before_torch_is_loaded(report):
    code = (
        "import sys; from reprise.cli import main\n"
        f"try: main(['plan', 'mni', '--reports', {str(report.path.parent)!r}])\n"
        "except SystemExit as end: sys.exit(7 if end.code == 1 and 'torch' not in sys.modules else 8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (7, 1), done.stderr
    assert "no report mni" in done.stderr
    assert "did you mean mini?" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_plan_that_is_stopped(report, where, monkeypatch, capsys, number, status):
    """In the middle of a training that is timed, where the engine holds the signal back until the next
    step.
    """
    look = pacing._Stopwatch.__call__

    def stop(stopwatch, *arguments):
        os.kill(os.getpid(), number)
        look(stopwatch, *arguments)

    monkeypatch.setattr(pacing._Stopwatch, "__call__", stop)
    options = [
        "--reports",
        str(report.path.parent),
        "--results",
        str(where.results),
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    with pytest.raises(SystemExit) as end:
        main(["plan", "mini", *options])
    assert end.value.code == status
    last = capsys.readouterr().err.splitlines()[-1]
    assert (
        last
        == f"reprise: stopped by {number.name}; what was measured is kept, run the same command again to go "
        "on"
    )


@pytest.mark.parametrize(("count", "expected"), [(12_300, "12 kB"), (4.2e6, "4 MB"), (2.25e9, "2.2 GB")])
def test_size(count, expected):
    assert size(count) == expected
