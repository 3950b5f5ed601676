"""Report 3's residual network, elastic net and callbacks do what they do in Keras.

Networks and penalties in float64: from the same weights, twenty steps give the same losses and weights within
1e-10. What differs is one thing: Keras' running variances take the variance of a batch as it is, torch's
multiply it by n / (n − 1) for n values per channel.
"""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

import keras_oracle
import numpy as np
import pytest
import torch
from torch import nn

from reprise.models import build
from reprise.reports.settings import EarlyStop, RegularizationSettings
from reprise.results.selection import stops_early
from reprise.training.optim import build_optimizer, build_schedule, step_schedule
from reprise.training.regularization import Penalty, build_penalty

pytestmark = [
    pytest.mark.keras,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="tensorflow-cpu is not installed"
    ),
]

NORM = ("weight", "bias", "running_mean", "running_var")
DENSE = {
    "name": "sequential",
    "layers": [{"flatten": True}, {"dense": 8, "activation": "relu"}, {"dense": "classes"}],
}


def to_torch(
    arrays: Mapping[str, np.ndarray], prefix: str, model: nn.Module, pixels: int
) -> dict[str, torch.Tensor]:
    """Keras' weights by torch's names; the first dense layer takes features (pixels, pixels, C) there, (C,
    pixels, pixels) here.
    """
    weights = {}
    for key, array in arrays.items():
        kind, *place = key.split("/")
        if kind != prefix:
            continue
        layer, index = place
        name = f"{layer}.{NORM[int(index)]}"
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        elif array.ndim == 2 and array.shape[0] % pixels**2 == 0:
            array = (
                array.reshape(pixels, pixels, -1, array.shape[1])
                .transpose(3, 2, 0, 1)
                .reshape(array.shape[1], -1)
            )
        elif array.ndim == 2:
            array = array.T
        assert array.shape == model.state_dict()[name].shape
        weights[name] = torch.tensor(array)
    return weights


def train(model: nn.Module, penalty: Penalty | None = None) -> np.ndarray:
    """Loss of each batch, with the penalty."""
    optimizer, losses = build_optimizer({"name": "sgd", "lr": 1e-2}, model.parameters()), []
    model.train()
    for images, labels in keras_oracle.batches():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            model(torch.tensor(images.transpose(0, 3, 1, 2))), torch.tensor(labels)
        )
        if penalty:
            loss = loss + penalty()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize(("kernel", "blocks"), keras_oracle.RESIDUAL_NETS)
def test_the_residual_network(keras_results: Path, kernel: int, blocks: int):
    keras = np.load(keras_results / f"residual_{kernel}_{blocks}.npz")
    spec = {
        "name": "residual",
        "blocks": blocks,
        "kernel": kernel,
        "filters": keras_oracle.RESIDUAL_FILTERS,
        "dropout": 0,
        "init": "keras",
    }
    model = build(spec, keras_oracle.CLASSES, (3, 32, 32)).double()
    pixels = 32 // 2**blocks
    before, after = (to_torch(keras, prefix, model, pixels) for prefix in ("before", "after"))
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    assert before.keys() == model.state_dict().keys() - counters

    model.load_state_dict(before, strict=False)
    np.testing.assert_allclose(train(model), keras["losses"], rtol=0, atol=1e-10)
    assert keras["losses"][-1] < keras["losses"][0] - 0.1, "nothing was learned, so nothing was tested"
    trained = {name: item.clone() for name, item in model.state_dict().items()}
    kept = 0.99**keras_oracle.STEPS
    for name, expected in after.items():
        found = trained[name]
        if name.endswith("running_var"):
            values = (
                keras_oracle.BATCH * (32 // 2 ** (int(name.removeprefix("block").partition(".")[0]) - 1)) ** 2
            )
            found = (found - kept) * (values - 1) / values + kept
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)

    model.load_state_dict(after, strict=False)
    first, _ = next(keras_oracle.batches())
    with torch.no_grad():
        outputs = model.eval()(torch.tensor(first.transpose(0, 3, 1, 2))).softmax(1)
    np.testing.assert_allclose(outputs.numpy(), keras["outputs"], rtol=0, atol=1e-10)
    model.load_state_dict(trained)  # with torch's own running variances
    with torch.no_grad():
        outputs = model.eval()(torch.tensor(first.transpose(0, 3, 1, 2))).softmax(1)
    np.testing.assert_allclose(outputs.numpy(), keras["outputs"], rtol=0, atol=1e-4)


def test_the_elastic_net(keras_results: Path):
    keras = np.load(keras_results / "elastic_net.npz")
    model = build(DENSE, keras_oracle.CLASSES, (3, 32, 32)).double()
    before, after = (to_torch(keras, prefix, model, 32) for prefix in ("before", "after"))
    model.load_state_dict(before)
    net = {"alpha": keras_oracle.ALPHA, "lambda": keras_oracle.LAMBDA}
    settings = RegularizationSettings(elastic_net=net)
    np.testing.assert_allclose(
        train(model, build_penalty(settings, model)), keras["losses"], rtol=0, atol=1e-10
    )
    for name, item in model.state_dict().items():
        torch.testing.assert_close(item, after[name], rtol=0, atol=1e-10)
    model.load_state_dict(before)
    assert np.abs(train(model) - keras["losses"]).min() > 0.1, "the penalty is large enough to be seen"


def rates(
    curve: list[float], patience: int, factor: float, min_lr: float, **threshold: object
) -> list[float]:
    """Learning rate of each epoch."""
    optimizer = build_optimizer({"name": "sgd", "lr": 0.01}, [nn.Parameter(torch.ones(1))])
    settings = {"name": "plateau", "patience": patience - 1, "factor": factor, "min_lr": min_lr, **threshold}
    schedule, found = build_schedule(settings, optimizer, len(curve)), []
    for loss in curve:
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step_schedule(schedule, loss)
    return found


def test_plateaus(keras_results: Path):
    """Keras' patience counts the epoch that lowers the rate, torch's does not; Keras' min_delta is a
    difference.
    """
    expected = json.loads((keras_results / "callbacks.json").read_text())["rates"]
    others = 0
    for index, curve in enumerate(keras_oracle.loss_curves()):
        for patience, factor, min_lr in keras_oracle.PLATEAUS:
            keras = expected[f"{index}/{patience}/{factor}/{min_lr}"]
            found = rates(curve, patience, factor, min_lr, threshold=1e-4, threshold_mode="abs")
            np.testing.assert_allclose(found, keras, rtol=1e-6, err_msg=f"{index}, {patience}, {factor}")
            others += not np.allclose(rates(curve, patience, factor, min_lr), keras, rtol=1e-3)
    assert others, "torch's own threshold, a share of the best loss, is another rule"


def test_early_stopping(keras_results: Path):
    expected = json.loads((keras_results / "callbacks.json").read_text())["stops"]
    found = {}
    for index, curve in enumerate(keras_oracle.loss_curves()):
        rows = [
            {"epoch": epoch, "split": "validation", "loss": loss, "accuracy": 0.5}
            for epoch, loss in enumerate(curve, 1)
        ]
        for patience in keras_oracle.PATIENCES:
            rule = EarlyStop(monitor="loss", patience=patience)
            stops = (epoch for epoch in range(1, len(rows) + 1) if stops_early(rows[:epoch], rule))
            found[f"{index}/{patience}"] = next(stops, len(rows))
    assert found == expected
    assert len(set(found.values())) > 3
