"""The step of training: precision, recording, and that it never looks at a value on the host (what a CUDA
graph demands).
"""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode

from reprise import cli, models
from reprise.data.augment import Preprocess, build_augmentation
from reprise.data.augmentations import OWN_AUGMENTATIONS
from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.models import meta
from reprise.models.families import FAMILIES
from reprise.reports.report import Report, report_files
from reprise.training import cuda_graphs
from reprise.training.cuda_graphs import RecordedStep, RecordingError
from reprise.training.engine import Step, train
from reprise.training.feed import Feed
from reprise.training.inference import predict
from reprise.training.optim import OPTIMIZERS, build_optimizer, build_schedule, learning_rate, step_schedule
from reprise.training.parts import Part
from reprise.training.precision import choose_precision, memory_format
from reprise.training.results import read_weights
from reprise.training.state import State
from tiny import everything, tiny_run, write_dataset

REPORTS = Path(__file__).parents[2] / "workflow/reports"
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


# ---- precision ----


@pytest.mark.parametrize(
    ("name", "family", "device", "expected"),
    [
        ("auto", "sequential", CUDA, torch.float32),
        ("auto", "vit", CUDA, torch.float32),
        ("auto", "residual", CUDA, torch.float32),
        ("auto", "resnet", CUDA, torch.bfloat16),
        ("auto", "torchvision", CUDA, torch.bfloat16),
        ("auto", "resnet", CPU, torch.float32),
        ("float32", "resnet", CUDA, torch.float32),
        ("bfloat16", "sequential", CPU, torch.bfloat16),
    ],
)
def test_precision(name, family, device, expected):
    assert choose_precision(name, family, device) == expected


def test_unknown_precision(dirs, tmp_path):
    with pytest.raises(RepriseError, match="precision 'bfloat' is not known; did you mean bfloat16"):
        train([tiny_run()], dataset_dirs=dirs, cache=tmp_path, device="cpu", precision="bfloat")


def test_bfloat16_trains_and_says_so(dirs, tmp_path):
    run, losses = everything(), {}
    for name in ("float32", "bfloat16"):
        losses[name] = []
        train(
            [run],
            dataset_dirs=dirs,
            cache=tmp_path / name,
            device="cpu",
            precision=name,
            on_step=lambda epoch, step, loss, seen=losses[name]: seen.append(loss.item()),
        )
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"][:5] == pytest.approx(losses["float32"][:5], rel=0.05)
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path / "bfloat16", device="cpu")
    assert outcome.meta["dtype"] == "bfloat16"
    weights = read_weights(tmp_path / "bfloat16" / run.hash / "weights.safetensors")
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert all(value.is_contiguous() for value in weights.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_evaluation_sees_what_training_saw(dirs, tmp_path, monkeypatch, precision):
    """Both are float32, whatever the step was, on weights that lie in the same order: another order rounds
    otherwise.
    """
    seen = []
    evaluation = sys.modules["reprise.evaluation.evaluate"]
    monkeypatch.setattr(
        evaluation,
        "predict",
        lambda network, *arguments: seen.append(network) or predict(network, *arguments),
    )
    run = tiny_run(model={"name": "resnet", "depth": 18, "width": 0.25}, training__epochs=2)
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu", precision=precision)
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(tmp_path / run.hash / "final.parquet").set_index("metric")["value"]
    history = (
        pd.read_parquet(tmp_path / run.hash / "history.parquet").query("split == 'test'").set_index("epoch")
    )
    for name in ("accuracy", "loss"):
        assert final[name] == history[name][outcome.meta["selected_epoch"]]
    (network,) = seen
    kernels = [weight for weight in network.parameters() if weight.dim() == 4 and weight.shape[2] > 1]
    assert kernels
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)


LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format


def test_memory_formats():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    formats = [
        memory_format(network, precision, device)
        for device in (CPU, CUDA)
        for precision in (torch.float32, torch.bfloat16)
    ]
    assert formats == [LAST, LAST, CONTIGUOUS, LAST]
    assert {memory_format(network[2], precision, CPU) for precision in (torch.float32, torch.bfloat16)} == {
        CONTIGUOUS
    }


@pytest.mark.parametrize(
    ("channels", "options", "layout"),
    [
        (4, {"kernel_size": 1, "stride": 2}, CONTIGUOUS),
        (15, {"kernel_size": 1, "stride": (1, 2)}, CONTIGUOUS),
        (32, {"kernel_size": 1, "stride": 2, "groups": 4}, CONTIGUOUS),
        (16, {"kernel_size": 1, "stride": 2}, LAST),
        (4, {"kernel_size": 1}, LAST),
        (4, {"kernel_size": 3, "stride": 2}, LAST),
    ],
)
def test_a_network_whose_channels_last_kernels_are_unsafe_stays_contiguous(channels, options, layout):
    """uxlfoundation/oneDNN issue 6035; with `make cpus`, which runs the kernels themselves."""
    network = nn.Sequential(nn.Conv2d(3, channels, 3), nn.Sequential(nn.Conv2d(channels, 32, **options)))
    assert memory_format(network, torch.float32, CPU) == layout
    assert memory_format(network, torch.bfloat16, CUDA) == LAST


@pytest.mark.parametrize("path", report_files(REPORTS).values(), ids=lambda path: path.stem)
def test_networks_of_the_reports_lie_in_channels_last_but_for_the_demos_narrow_ones(path):
    """Another layout rounds otherwise: what has been trained at full scale would not come out again bit for
    bit.
    """
    for scale in ("full", "quick"):
        report = Report(path, scale)
        for run in (cell.members[0] for name in report.experiments for cell in report.all_cells(name)):
            convolves = any(isinstance(module, nn.Conv2d) for module in meta.network(run).modules())
            assert memory_format(meta.network(run), torch.float32, CPU) == (LAST if convolves else CONTIGUOUS)


def test_narrow_resnets_are_contiguous():
    wide, narrow = (
        models.build({"name": "resnet", "depth": 18, "width": width}, 10, (3, 32, 32))
        for width in (0.25, 0.125)
    )
    assert [memory_format(each, torch.float32, CPU) for each in (wide, narrow)] == [LAST, CONTIGUOUS]


def test_bfloat16_resumes_where_it_was(dirs, tmp_path):
    class Enough(BaseException):
        pass

    def stop(epoch, step, loss):
        if (epoch, step) == (3, 1):
            raise Enough

    run, arguments = everything(), {"dataset_dirs": dirs, "device": "cpu", "precision": "bfloat16"}
    train([run], cache=tmp_path / "whole", **arguments)
    with pytest.raises(Enough):
        train([run], cache=tmp_path / "parts", on_step=stop, **arguments)
    train([run], cache=tmp_path / "parts", **arguments)
    whole, parts = (
        pd.read_parquet(tmp_path / name / run.hash / "history.parquet") for name in ("whole", "parts")
    )
    pd.testing.assert_frame_equal(whole, parts)


# ---- recording ----


class Recorder:
    """In the place of a CUDA graph: does again what it was given, and counts."""

    def __init__(self):
        self.recordings = self.replays = 0

    def __call__(self, function, generators):
        self.recordings += 1

        def replay():
            self.replays += 1
            function()

        return replay


@pytest.mark.parametrize("spec", [tiny_run(), everything()], ids=["plain", "everything"])
def test_recorded_steps_are_the_steps(dirs, tmp_path, monkeypatch, spec):
    """On a CPU that is taken for a GPU: whole batches are replayed from the fourth on, the last one of an
    epoch never.
    """
    recorder, losses = Recorder(), {}

    def recorded(step, batch_size, generator, device):
        return RecordedStep(step, batch_size, generator, device, recorder)

    for name in ("plain", "recorded"):
        losses[name] = []
        if name == "recorded":
            monkeypatch.setattr("reprise.training.engine.with_cuda_graph", recorded)
        train(
            [spec],
            dataset_dirs=dirs,
            cache=tmp_path / name,
            device="cpu",
            on_step=lambda epoch, step, loss, seen=losses[name]: seen.append(loss.item()),
        )
    assert losses["recorded"] == losses["plain"]
    images, epochs = {3: (150, 3), 5: (120, 5)}[spec.settings.training.epochs]
    assert images % 32, "no last batch that is smaller"
    assert recorder.recordings == 1
    assert recorder.replays == images // 32 * epochs - cuda_graphs.WARM_UP
    histories = [pd.read_parquet(tmp_path / name / spec.hash / "history.parquet") for name in losses]
    pd.testing.assert_frame_equal(*histories)


class RefusingRecorder:
    def __call__(self, function, generators):
        raise RecordingError("a training step cannot be recorded as a CUDA graph (no); use --cuda-graphs off")


def test_a_refused_recording_stops_the_runs_that_follow(dirs, tmp_path, monkeypatch, capsys):
    """The process may be spoiled: other runs would fail for no reason of their own."""
    done, *others = [tiny_run(seeds__init=seed) for seed in range(4)]
    train([done], dataset_dirs=dirs, cache=tmp_path, device="cpu")

    def refused(step, batch_size, generator, device):
        return RecordedStep(step, batch_size, generator, device, RefusingRecorder())

    monkeypatch.setattr("reprise.training.engine.with_cuda_graph", refused)
    reason = r"cannot be recorded as a CUDA graph \(no\); use --cuda-graphs off"
    with pytest.raises(
        RepriseError,
        match=rf"^run {others[0].hash}: a training step {reason}; runs after it that were not tried: 2$",
    ):
        train([others[0], done, *others[1:]], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    assert not any((tmp_path / run.hash).exists() for run in others[1:])
    assert capsys.readouterr().err.count("not tried: 2") == 1
    with pytest.raises(RepriseError, match=rf"{reason}$"):
        train([done, others[2]], dataset_dirs=dirs, cache=tmp_path, device="cpu")


SCHEDULES = {
    "step": {"name": "step", "step": 2, "gamma": 0.5},
    "plateau": {"name": "plateau", "factor": 0.5, "patience": 0},
    "cosine": {"name": "cosine", "min_lr": 0.01},
}


@pytest.fixture
def like_cuda(monkeypatch):
    """Torch's optimisers take the CPU for a device whose work can be recorded."""
    for name in ("adam", "rmsprop"):
        monkeypatch.setattr(
            sys.modules[f"torch.optim.{name}"], "_get_capturable_supported_devices", lambda: ["cpu"]
        )


def go(name, parameter, epochs, on_cuda, schedule, restored=None, rate=0.1):
    """The optimiser after `epochs` of one step each, and its schedule."""
    momentum = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}.get(name, {})
    optimizer = build_optimizer(
        {"name": name, "lr": rate, "weight_decay": 0.01, **momentum}, [parameter], on_cuda=on_cuda
    )
    moved = build_schedule(SCHEDULES[schedule], optimizer, 6)
    if restored:
        restored(optimizer, moved)
    for _ in range(epochs):
        parameter.grad = parameter.detach().sin()
        optimizer.step()
        step_schedule(moved, 1.0)
    return optimizer, moved


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_for_cuda_follow_their_schedule(like_cuda, name, schedule):
    """Fused where there is such a kernel, with the learning rate in a tensor that a schedule changes in
    place.
    """
    weights, rates = {}, {}
    for on_cuda in (False, True):
        parameter, seen = nn.Parameter(torch.linspace(-1, 1, 5)), []
        optimizer, _ = go(
            name,
            parameter,
            6,
            on_cuda,
            schedule,
            lambda made, moved, seen=seen: seen.append(made.param_groups[0]["lr"]),
        )
        weights[on_cuda], rates[on_cuda] = parameter.detach(), learning_rate(optimizer)
        assert isinstance(seen[0], torch.Tensor) == on_cuda
        assert not on_cuda or optimizer.param_groups[0]["lr"] is seen[0]
    assert rates[False] < 0.03
    assert rates[True] == pytest.approx(rates[False], rel=1e-6)
    torch.testing.assert_close(weights[True], weights[False])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_whole_number_is_a_rate_that_can_be_halved(like_cuda, name):
    optimizer, _ = go(name, nn.Parameter(torch.linspace(-1, 1, 5)), 2, True, "step", rate=1)
    assert learning_rate(optimizer) == 0.5


def test_the_learning_rate_is_that_of_the_settings():
    for rate in (0.1, 0.001, 3e-4, 1.0, 1e-5):
        for on_cuda in (False, True):
            assert (
                learning_rate(
                    build_optimizer(
                        {"name": "sgd", "lr": rate}, [nn.Parameter(torch.ones(2))], on_cuda=on_cuda
                    )
                )
                == rate
            )


@pytest.mark.parametrize("saved_on_cuda", [True, False], ids=["tensor", "number"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_for_cuda_is_restored(like_cuda, dirs, name, saved_on_cuda):
    """From its own checkpoint and from one that was written when the rate was a number: the rate stays in the
    same tensor.
    """
    parameter = nn.Parameter(torch.linspace(-1, 1, 5))
    whole = go(name, parameter, 6, saved_on_cuda, "step")[0]
    part = nn.Parameter(torch.linspace(-1, 1, 5))
    optimizer, schedule = go(name, part, 3, saved_on_cuda, "step")
    snapshot = State(nn.Linear(1, 1), optimizer, schedule, "").snapshot()
    seen = []

    def restore(fresh, moved):
        seen.append(fresh.param_groups[0])
        seen.append(fresh.param_groups[0]["lr"])
        flags = {
            key: value
            for key, value in fresh.param_groups[0].items()
            if key in ("fused", "foreach", "capturable")
        }
        State(nn.Linear(1, 1), fresh, moved, "").restore(snapshot)
        assert fresh.param_groups[0]["lr"] is seen[1]
        assert learning_rate(fresh) == 0.05
        assert flags.items() <= fresh.param_groups[0].items()

    resumed, _ = go(name, part, 3, True, "step", restore)
    assert learning_rate(resumed) == pytest.approx(learning_rate(whole), rel=1e-6)
    if saved_on_cuda:
        assert torch.equal(part, parameter)
    else:
        torch.testing.assert_close(part, parameter)


# ---- nothing waits for the device ----


class OnDevice(TorchDispatchMode):
    """Raises where an operation is given a tensor in the host's memory, which a recorded step cannot copy."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        tensors = [
            item
            for item in torch.utils._pytree.tree_leaves((arguments, keywords))
            if isinstance(item, torch.Tensor)
        ]
        assert all(tensor.is_cuda for tensor in tensors), f"{function} reads the host's memory"
        if "_fused_" in function.name():  # one kernel, of which torch has no pretended form
            return None
        return function(*arguments, **(keywords or {}))


class CudaGenerator(torch.Generator):
    device = CUDA


@pytest.fixture
def pretended():
    """A CUDA device without memory or values: whoever looks at one, or at how many there are of a kind,
    fails.
    """
    if torch.version.cuda is None:
        pytest.skip("this torch knows no CUDA devices")
    with FakeTensorMode(), torch.device("cuda"):
        yield


def feed(model, augmentation):
    part = Part(
        torch.zeros(40, 3, 32, 32, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64), torch.arange(40)
    )
    preprocess, changes = (
        Preprocess(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.5)),
        build_augmentation(augmentation),
    )

    def prepare(images, generator, chosen):
        pixels = preprocess.pixels(images)
        changed = changes(pixels, generator)
        return preprocess.normalise(
            changed if chosen is None else torch.where(chosen.view(-1, 1, 1, 1), changed, pixels)
        )

    return Feed(model, part, part, preprocess, prepare, None)


def forward(model, augmentation=(), keep_originals=False):
    step = Step(
        feed(model, augmentation),
        None,
        CudaGenerator(),
        keep_originals=keep_originals,
        precision=torch.float32,
    )
    places = torch.zeros(8, dtype=torch.int64)
    model.train()
    with OnDevice():
        return step.forward(places)


SETTINGS = {
    "flip": 0.5,
    "vertical_flip": 0.5,
    "crop": 4,
    "resized_crop": {},
    "zoom": 0.5,
    "rotation": 15,
    "brightness": 0.2,
    "jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1},
    "erasing": 0.5,
}


def test_every_operation_is_listed():
    assert set(SETTINGS) == set(OWN_AUGMENTATIONS)


@pytest.mark.parametrize("keep_originals", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_augmentation_never_looks(pretended, name, keep_originals):
    loss = forward(
        nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)),
        [{name: SETTINGS[name]}],
        keep_originals=keep_originals,
    )
    assert loss.is_cuda
    assert loss.shape == ()


NETWORKS = {
    "sequential": {"name": "sequential", "layers": everything().settings.model["layers"]},
    "residual": {"name": "residual", "blocks": 2, "kernel": 4, "filters": 4, "dropout": 0.2},
    "resnet": {"name": "resnet", "depth": 18, "dropout": 0.1, "width": 0.0625},
    "vit": {"name": "vit", "patch": 8, "dim": 12, "layers": 2, "heads": 2, "feed_forward": 16},
    "torchvision": {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "random"},
}


def test_every_family_is_listed():
    assert set(NETWORKS) == set(FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("family", NETWORKS)
def test_networks_never_look(pretended, family):
    assert forward(models.build(NETWORKS[family], 10, (3, 32, 32))).is_cuda


def test_a_look_would_be_seen(pretended):
    class Looking(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs.flatten(1)) * float(inputs.sum() > 0)

    class Counting(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs.flatten(1)) + len((inputs > 0).nonzero())

    class Copying(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs.flatten(1)) + torch.ones(10, device="cpu").to("cuda")

    for network, refusal in (
        (Looking(3072, 10), DataDependentOutputException),
        (Counting(3072, 10), DynamicOutputShapeException),
        (Copying(3072, 10), AssertionError),
    ):
        with pytest.raises(refusal):
            forward(network)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_never_look(pretended, name):
    model = nn.Linear(5, 3)
    settings = {
        "name": name,
        "lr": 0.1,
        "weight_decay": 0.01,
        **({"momentum": 0.9} if name in ("sgd", "rmsprop") else {}),
    }
    optimizer = build_optimizer(settings, model.parameters(), on_cuda=True)
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        with OnDevice():
            optimizer.step()
    assert optimizer.param_groups[0]["lr"].is_cuda


@pytest.mark.parametrize(("option", "environment"), [("bfloat16", None), (None, "bfloat16")])
def test_precision_on_the_command_line(tmp_path, monkeypatch, option, environment):
    """The option goes before the environment, which is how a whole workflow is told."""
    if environment:
        monkeypatch.setenv("REPRISE_PRECISION", environment)
    monkeypatch.setattr("reprise.training.engine.train", lambda runs, **options: seen.append(options))
    seen = []
    cli.main(
        [
            "train",
            "cifar100_superclass",
            "--only",
            "adam",
            "--reports",
            str(REPORTS),
            "--results",
            str(tmp_path),
            "--device",
            "cpu",
        ]
        + (["--precision", option, "--cuda-graphs", "off"] if option else [])
    )
    assert [(each["precision"], each["cuda_graphs"]) for each in seen] == [("bfloat16", option is None)]
