"""The step of training: precision, recording, and that it never looks at a value on the host (what a CUDA graph demands)."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from reprise import cli, models
from reprise.data.augment import OPERATIONS, Preprocess, build_augmentation
from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.training import steps
from reprise.training.engine import train
from reprise.training.optim import OPTIMIZERS, build_optimizer, build_schedule, step_schedule
from reprise.training.parts import Part
from reprise.training.results import read_weights
from reprise.training.steps import Feed, RecordedStep, Step, choose_precision
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


def test_evaluation_after_bfloat16_sees_what_training_saw(dirs, tmp_path):
    """Both are float32, whatever the step was."""
    run = tiny_run()
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu", precision="bfloat16")
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(tmp_path / run.hash / "final.parquet").set_index("metric")["value"]
    history = pd.read_parquet(tmp_path / run.hash / "history.parquet").query("split == 'test'").set_index("epoch")
    assert final["accuracy"] == history["accuracy"][outcome.meta["selected_epoch"]]


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
    whole, parts = (pd.read_parquet(tmp_path / name / run.hash / "history.parquet") for name in ("whole", "parts"))
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
    """On a CPU that is taken for a GPU: whole batches are replayed from the fourth on, the last one of an epoch never."""
    recorder, losses = Recorder(), {}

    def recorded(run, state, feed, session, make=steps.Step):
        from torch import Generator

        generator = Generator()
        step = make(feed, state.optimizer, generator, keep_originals=False, precision=torch.float32)
        return step, RecordedStep(step, run.spec["training"]["batch_size"], generator, CPU, recorder)

    for name in ("plain", "recorded"):
        losses[name] = []
        if name == "recorded":
            monkeypatch.setattr("reprise.training.engine._step", recorded)
        train(
            [spec],
            dataset_dirs=dirs,
            cache=tmp_path / name,
            device="cpu",
            on_step=lambda epoch, step, loss, seen=losses[name]: seen.append(loss.item()),
        )
    assert losses["recorded"] == losses["plain"]
    images, epochs = {3: (150, 3), 5: (120, 5)}[spec.spec["training"]["epochs"]]
    assert images % 32, "no last batch that is smaller"
    assert recorder.recordings == 1
    assert recorder.replays == images // 32 * epochs - steps.WARM_UP
    histories = [pd.read_parquet(tmp_path / name / spec.hash / "history.parquet") for name in losses]
    pd.testing.assert_frame_equal(*histories)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimisers_for_cuda_follow_their_schedule(name):
    """Fused, with the learning rate in a tensor that a schedule changes in place; torch has such kernels for the CPU too."""
    settings = {"name": name, "lr": 0.1, "weight_decay": 0.01, **({"momentum": 0.9, "nesterov": True} if name == "sgd" else {})}
    weights = {}
    for on_cuda in (False, True):
        parameter = nn.Parameter(torch.linspace(-1, 1, 5))
        optimizer = build_optimizer(settings, [parameter], on_cuda=on_cuda)
        schedule, rate = build_schedule({"name": "step", "step": 2, "gamma": 0.5}, optimizer, 6), optimizer.param_groups[0]["lr"]
        for _ in range(6):
            parameter.grad = parameter.detach().sin()
            optimizer.step()
            step_schedule(schedule, 0.0)
        weights[on_cuda] = parameter.detach()
        assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1 * 0.5**3)
        assert isinstance(rate, torch.Tensor) == on_cuda
        assert not on_cuda or optimizer.param_groups[0]["lr"] is rate
    torch.testing.assert_close(weights[True], weights[False])


# ---- nothing waits for the device ----


class OnDevice(TorchDispatchMode):
    """Raises where an operation is given a tensor in the host's memory, which a recorded step cannot copy."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        tensors = [item for item in torch.utils._pytree.tree_leaves((arguments, keywords)) if isinstance(item, torch.Tensor)]
        assert all(tensor.is_cuda for tensor in tensors), f"{function} reads the host's memory"
        if "_fused_" in function.name():  # one kernel, of which torch has no pretended form
            return None
        return function(*arguments, **(keywords or {}))


class CudaGenerator(torch.Generator):
    device = CUDA


@pytest.fixture
def pretended():
    """A CUDA device without memory or values: whoever looks at one, or at how many there are of a kind, fails."""
    if torch.version.cuda is None:
        pytest.skip("this torch knows no CUDA devices")
    with FakeTensorMode(), torch.device("cuda"):
        yield


def feed(model, augmentation):
    part = Part(torch.zeros(40, 3, 32, 32, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64), torch.arange(40))
    preprocess, changes = Preprocess(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.5)), build_augmentation(augmentation)

    def prepare(images, generator, chosen):
        pixels = preprocess.pixels(images)
        changed = changes(pixels, generator)
        return preprocess.normalise(changed if chosen is None else torch.where(chosen.view(-1, 1, 1, 1), changed, pixels))

    return Feed(model, part, part, preprocess, prepare, None)


def forward(model, augmentation=(), keep_originals=False):
    step = Step(feed(model, augmentation), None, CudaGenerator(), keep_originals=keep_originals, precision=torch.float32)
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
    assert set(SETTINGS) == set(OPERATIONS)


@pytest.mark.parametrize("keep_originals", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_augmentation_never_looks(pretended, name, keep_originals):
    loss = forward(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), [{name: SETTINGS[name]}], keep_originals=keep_originals)
    assert loss.is_cuda
    assert loss.shape == ()


NETWORKS = {
    "sequential": {"name": "sequential", "layers": everything().spec["model"]["layers"]},
    "residual": {"name": "residual", "blocks": 2, "kernel": 4, "filters": 4, "dropout": 0.2},
    "resnet": {"name": "resnet", "depth": 18, "dropout": 0.1, "width": 0.0625},
    "vit": {"name": "vit", "patch": 8, "dim": 12, "layers": 2, "heads": 2, "feed_forward": 16},
    "torchvision": {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "random"},
}


def test_every_family_is_listed():
    assert set(NETWORKS) == set(models.FAMILIES)


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
    settings = {"name": name, "lr": 0.1, "weight_decay": 0.01, **({"momentum": 0.9} if name in ("sgd", "rmsprop") else {})}
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
        ["train", "cifar100_superclass", "--only", "adam", "--reports", str(REPORTS), "--results", str(tmp_path), "--device", "cpu"]
        + (["--precision", option, "--cuda-graphs", "off"] if option else [])
    )
    assert [(each["precision"], each["cuda_graphs"]) for each in seen] == [("bfloat16", option is None)]
