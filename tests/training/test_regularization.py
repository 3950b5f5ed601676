"""`regularization.elastic_net`: report 3's equation 1 on the output layer's weights."""

import re

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from reprise import models
from reprise.errors import RepriseError
from reprise.reports.settings import RegularizationSettings
from reprise.training.engine import train
from reprise.training.parts import Datasets
from reprise.training.regularization import build_penalty
from reprise.training.seeds import derive
from tiny import tiny_run, write_dataset

NET = {"elastic_net": {"alpha": 0.25, "lambda": 0.1}}
PENALTY = RegularizationSettings(**NET)


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


def test_value_and_gradient_by_hand():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]))
    penalty = build_penalty(PENALTY, network)
    value = penalty()
    assert value.item() == pytest.approx(0.1 * (0.25 * 7.5 + 0.75 * 15.25))
    value.backward()
    expected = 0.1 * (
        0.25 * torch.tensor([[1.0, -1, 1], [0, 1, -1]])
        + 0.75 * 2 * torch.tensor([[1.0, -2, 0.5], [0, 3, -1]])
    )
    torch.testing.assert_close(network[1].weight.grad, expected)
    assert network[1].bias.grad is None
    assert network[0].weight.grad is None
    with torch.no_grad():
        network[1].weight.zero_()
    assert penalty().item() == 0, "it follows the weights as they change"


SMALL = {"blocks": 1, "kernel": 2, "filters": 2, "dropout": 0.1}


@pytest.mark.parametrize(
    ("spec", "output"),
    [
        (
            {
                "name": "sequential",
                "layers": [{"flatten": True}, {"dense": 7}, {"dropout": 0.1}, {"dense": "classes"}],
            },
            "3_dense",
        ),
        ({"name": "residual", **SMALL}, "output"),
        ({"name": "resnet", "depth": 18, "width": 0.125, "dropout": 0.5}, "fc"),
        ({"name": "vit", "patch": 8, "dim": 4, "layers": 1, "heads": 2, "feed_forward": 4}, "head.1"),
        (
            {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "random", "trainable": "head"},
            "head.0_dense",
        ),
    ],
    ids=lambda item: item["name"] if isinstance(item, dict) else None,
)
def test_it_is_on_the_output_layer_of_every_family(spec, output):
    network = models.build(spec, 5, (3, 32, 32))
    build_penalty(PENALTY, network)().backward()
    assert [name for name, item in network.named_parameters() if item.grad is not None] == [
        f"{output}.weight"
    ]
    assert network.get_submodule(output).out_features == 5


def test_a_run_follows_the_penalised_loss_and_reports_the_other(dirs, tmp_path):
    """Against a plain loop over two epochs of two batches."""
    run = tiny_run(
        regularization=NET, optimizer={"name": "sgd", "lr": 0.05}, training__epochs=2, training__batch_size=75
    )
    torch.manual_seed(derive(0, "init"))
    model = models.build(run.settings.model, 4, (3, 12, 12))
    part = Datasets(dirs, torch.device("cpu")).of(run).train
    expected = []
    for epoch in (1, 2):
        order = torch.randperm(150, generator=torch.Generator().manual_seed(derive(0, "order", epoch)))
        for places in order.split(75):
            loss = F.cross_entropy(model(part.inputs[places] / 255), part.labels[places])
            weights = model.get_submodule("3_dense").weight
            penalty = 0.1 * (0.25 * weights.abs().sum() + 0.75 * weights.pow(2).sum())
            model.zero_grad()
            (loss + penalty).backward()
            with torch.no_grad():
                for item in model.parameters():
                    item -= 0.05 * item.grad
            expected.append(loss.item())
    losses = []
    train(
        [run],
        dataset_dirs=dirs,
        cache=tmp_path,
        device="cpu",
        on_step=lambda epoch, step, loss: losses.append(loss.item()),
    )
    assert losses == pytest.approx(expected, abs=1e-5)
    history = pd.read_parquet(tmp_path / run.hash / "history.parquet").query("split == 'train'")
    assert history["loss"].tolist() == pytest.approx([sum(expected[:2]) / 2, sum(expected[2:]) / 2], abs=1e-5)
    plain = []
    free = tiny_run(optimizer={"name": "sgd", "lr": 0.05}, training__epochs=2, training__batch_size=75)
    train(
        [free],
        dataset_dirs=dirs,
        cache=tmp_path,
        device="cpu",
        on_step=lambda epoch, step, loss: plain.append(loss.item()),
    )
    assert plain[0] == losses[0], "the penalty is no part of the loss"
    assert abs(plain[-1] - losses[-1]) > 1e-4, "but of what is differentiated"


def test_a_head_on_cached_features(dirs, tmp_path):
    model = {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "random", "trainable": "head"}
    settings = {
        "model": model,
        "preprocess": {"resize": 32},
        "optimizer": {"name": "sgd", "lr": 1.0},
        "training__epochs": 1,
    }
    sizes = {}
    for name, regularization in {"free": {}, "bound": {"elastic_net": {"alpha": 0, "lambda": 0.4}}}.items():
        run = tiny_run(**settings, regularization=regularization)
        train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
        sizes[name] = (
            load_file(tmp_path / run.hash / "weights.safetensors")["head.0_dense.weight"]
            .square()
            .sum()
            .item()
        )
    assert sizes["bound"] < 0.5 * sizes["free"]


def test_without_it_nothing_is_added():
    assert build_penalty(RegularizationSettings(), nn.Linear(2, 2)) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"elasticnet": {"alpha": 0.5, "lambda": 0.1}},
            "regularization.elasticnet: unknown key for regularization; did you mean elastic_net?",
        ),
        (
            {"elastic_net": {"alpa": 0.5, "lambda": 0.1}},
            "regularization.elastic_net.alpa: unknown key for elastic_net; did you mean alpha?",
        ),
        (
            {"elastic_net": {"alpha": 0.5}},
            "regularization.elastic_net: key lambda is missing (found: alpha)",
        ),
        (
            {"elastic_net": {"alpha": 1.5, "lambda": 0.1}},
            "regularization.elastic_net.alpha: should be less than or equal to 1, not 1.5",
        ),
        (
            {"elastic_net": {"alpha": 0.5, "lambda": -1}},
            "regularization.elastic_net.lambda: should be greater than or equal to 0, not -1",
        ),
        (
            {"elastic_net": {"alpha": 0.5, "lambda": "x"}},
            "regularization.elastic_net.lambda: should be a number, not 'x'; write it in digits, such as "
            "0.001",
        ),
    ],
)
def test_mistakes(settings, message):
    run = tiny_run(regularization=settings)
    with pytest.raises(RepriseError, match=f"^run {run.hash}: {re.escape(message)}$"):
        _ = run.settings


def test_a_network_without_dense_layer(dirs, tmp_path):
    layers = [{"conv": 4, "kernel": 12, "scaled": False}, {"flatten": True}]
    run = tiny_run(model__layers=layers, regularization=NET)
    message = (
        f"^run {run.hash}: regularization.elastic_net is for the output layer, and the network has no "
        "dense layer; end it with one$"
    )
    with pytest.raises(RepriseError, match=message):
        train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
