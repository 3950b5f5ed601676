"""The family `resnet` against torchvision's ResNets, which have ImageNet's stem."""

import math

import pytest
import torch
import torchvision
from torch import nn

from reprise.errors import RepriseError
from reprise.models import build, parameter_count
from reprise.models.layers import describe

IMAGE = (3, 32, 32)
DEPTHS = [18, 34]


def network(depth=18, **changes):
    torch.manual_seed(0)
    return build({"name": "resnet", "depth": depth, **changes}, 10, IMAGE)


def reference(depth):
    return torchvision.models.get_model(f"resnet{depth}", weights=None, num_classes=10)


@pytest.mark.parametrize(("depth", "total"), [(18, 11_173_962), (34, 21_282_122)])
def test_parameter_counts(depth, total):
    with torch.device("meta"):
        ours, theirs = network(depth), reference(depth)
        imagenet = torchvision.models.get_model(f"resnet{depth}", weights=None)
    stem = 3 * 64 * (7 * 7 - 3 * 3)
    assert parameter_count(ours) == parameter_count(theirs) - stem == total
    assert total == parameter_count(imagenet) - stem - (512 * 990 + 990)
    shapes, expected = (
        {name: item.shape for name, item in model.state_dict().items()} for model in (ours, theirs)
    )
    assert shapes == {**expected, "conv1.weight": torch.Size([64, 3, 3, 3])}


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_stages_are_torchvisions(depth, training):
    ours, theirs = network(depth, dropout=0.3).train(training), reference(depth).train(training)
    for name, item in ours.state_dict().items():  # running statistics and norms that are not 0 and 1
        if item.ndim == 1 and not name.startswith("fc"):
            nn.init.uniform_(item, 0.5, 1.5)
    theirs.load_state_dict({**ours.state_dict(), "conv1.weight": theirs.conv1.weight})
    images = torch.rand(4, 3, 16, 16)
    values = theirs.relu(theirs.bn1(nn.functional.conv2d(images, ours.conv1.weight, padding=1)))
    torch.testing.assert_close(ours.act1(ours.bn1(ours.conv1(images))), values)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        expected = theirs.get_submodule(stage)(values.clone())
        torch.testing.assert_close(ours.get_submodule(stage)(values.clone()), expected)
        values = expected
    assert values.shape == (4, 512, 2, 2)
    if not training:
        torch.testing.assert_close(ours(images), theirs.fc(values.mean((2, 3))))


def test_dropout_stands_before_the_dense_layer_alone():
    images = torch.rand(2, *IMAGE)
    model = network(dropout=1, width=0.125).train()
    assert torch.equal(model(images), model.fc.bias.expand(2, 10))
    assert not torch.equal(model.eval()(images), model.fc.bias.expand(2, 10))
    plain = network(width=0.125).train()
    assert torch.equal(plain(images), plain(images))


def test_initial_values_are_torchvisions():
    model = network(34)
    for name in ("conv1", "layer1.0.conv1", "layer2.0.conv1", "layer2.0.downsample.0", "layer4.2.conv2"):
        weights = model.get_submodule(name).weight
        deviation = math.sqrt(2 / (weights.shape[0] * weights[0, 0].numel()))  # He et al. 2015, fan out
        assert weights.std().item() == pytest.approx(deviation, rel=0.05), name
        assert abs(weights.mean().item()) < 0.1 * deviation
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.weight.eq(1).all() and norm.bias.eq(0).all() for norm in norms), (
        "no residual branch starts at zero"
    )


def test_xavier_for_the_dense_layer():
    model, plain = network(init="xavier_dense"), network()
    assert torch.equal(model.layer2[0].conv1.weight, plain.layer2[0].conv1.weight)
    for layer, fan_in, fan_out in [(model.fc, 512, 10)]:
        limit = math.sqrt(6 / (fan_in + fan_out))
        assert 0.98 * limit < layer.weight.abs().max() <= limit
    assert not model.fc.bias.any()


def test_weights_come_from_the_global_generator():
    one, again = network(width=0.125), network(width=0.125)
    torch.manual_seed(1)
    other = build({"name": "resnet", "depth": 18, "width": 0.125}, 10, IMAGE)
    for name, item in one.state_dict().items():
        assert torch.equal(item, again.state_dict()[name])
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_width_scales_the_channels():
    with torch.device("meta"):
        model, narrowest = network(34, width=0.125), network(width=0.001)
    assert model.conv1.out_channels == 8
    assert [model.get_submodule(f"layer{stage}.0.conv1").out_channels for stage in (1, 2, 3, 4)] == [
        8,
        16,
        32,
        64,
    ]
    assert model.fc.in_features == 64
    assert [
        narrowest.conv1.out_channels,
        narrowest.layer1[0].conv1.out_channels,
        narrowest.fc.in_features,
    ] == [2, 1, 1]


@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (34, 16)])
def test_layer_table(depth, blocks):
    model = network(depth, width=0.125)
    rows = describe(model, IMAGE)
    assert sum(row["parameters"] for row in rows) == parameter_count(model)
    sums = [row for row in rows if row["kind"] == "add"]
    assert [row["activation"] for row in sums] == ["relu"] * blocks
    assert sums[0]["output_shape"] == [8, 32, 32]
    assert sums[-1]["output_shape"] == [64, 4, 4]
    assert [row["layer"] for row in rows[:2]] == ["conv 3×3, 8, same", "batch norm"]
    assert [row["layer"] for row in rows[-3:]] == ["adaptive avg pool 1×1", "flatten", "dense 10"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 50}, r"model resnet: depth: 50 is not valid; valid: 18, 34"),
        ({"depth": "deep"}, r"model resnet: depth: should be a whole number, not 'deep'"),
        ({"dropout": -0.1}, r"model resnet: dropout: should be greater than or equal to 0, not -0.1"),
        ({"width": -1}, r"model resnet: width: should be greater than 0, not -1"),
        ({"init": "he"}, r"model resnet: init: 'he' is not valid; valid: torch, keras, xavier_dense"),
        ({"layers": 18}, r"model resnet: layers: unknown key for the family resnet; valid: depth, dropout"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(RepriseError, match=message):
        network(**changes)
