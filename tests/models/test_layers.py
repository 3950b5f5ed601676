"""Layer tables come from the network as it runs, so they add up and follow its order."""

import json

import pytest
import torch
from torch import nn

from reprise.models import build, layer_parameters, parameter_count
from reprise.models.layers import describe, layer_table

IMAGE = (3, 32, 32)
SPEC = {
    "name": "sequential",
    "layers": [
        {"conv": 8, "padding": "same", "activation": "relu"},
        {"batch_norm": True},
        {"activation": "tanh"},
        {"pool": "max", "size": 3, "stride": 2, "padding": 1},
        {"activation": "relu"},
        {"dropout2d": 0.5},
        {"conv": 4, "kernel": 4, "stride": 2, "padding": "same"},
        {"conv": 4, "kernel": 3, "stride": 2, "padding": 1},
        {"conv": 4, "kernel": 2},
        {"pool": "avg", "size": 3},
        {"flatten": True},
        {"dropout": 0.25},
        {"dense": 16, "activation": "sigmoid"},
        {"dense": "classes"},
    ],
}


def test_rows_of_a_sequential_network():
    model = build(SPEC, 5, IMAGE)
    described = describe(model, IMAGE)
    rows = [tuple(row.values())[1:] for row in described]
    assert list(described[0]) == ["name", "layer", "kind", "activation", "output_shape", "parameters"]
    layers = (
        "0_conv 1_batch_norm 3_pool 4_relu 5_dropout2d 6_conv 7_conv 8_conv 9_pool 10_flatten "
        "11_dropout 12_dense 13_dense"
    )
    assert [row["name"] for row in described] == layers.split()
    assert rows == [
        ("conv 3×3, 8, same", "conv", "relu", [8, 32, 32], 9 * 3 * 8 + 8),
        ("batch norm", "batch_norm", "tanh", [8, 32, 32], 16),
        ("max pool 3×3, stride 2, padding 1", "pool", None, [8, 16, 16], 0),
        ("relu", "activation", "relu", [8, 16, 16], 0),
        ("2-D dropout 0.5", "dropout2d", None, [8, 16, 16], 0),
        ("conv 4×4, 4, stride 2, same", "conv", None, [4, 8, 8], 16 * 8 * 4 + 4),
        ("conv 3×3, 4, stride 2, padding 1", "conv", None, [4, 4, 4], 9 * 4 * 4 + 4),
        ("conv 2×2, 4, valid", "conv", None, [4, 3, 3], 4 * 4 * 4 + 4),
        ("avg pool 3×3", "pool", None, [4, 1, 1], 0),
        ("flatten", "flatten", None, [4], 0),
        ("dropout 0.25", "dropout", None, [4], 0),
        ("dense 16", "dense", "sigmoid", [16], 4 * 16 + 16),
        ("dense 5", "dense", None, [5], 16 * 5 + 5),
    ]


def test_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model = build(SPEC, 5, IMAGE)
    model[1].eval()
    before, random = {name: item.clone() for name, item in model.state_dict().items()}, torch.get_rng_state()
    describe(model, IMAGE)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(item, before[name]) for name, item in model.state_dict().items())
    assert [module.training for module in list(model)[:3]] == [True, False, True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v3_small", "efficientnet_v2_s"])
def test_rows_add_up(arch):
    model = build({"name": "torchvision", "arch": arch, "weights": "random"}, 10, (3, 64, 64))
    rows = describe(model, (3, 64, 64))
    assert sum(row["parameters"] for row in rows) == parameter_count(model)
    assert rows[-1]["layer"] == "dense 10"
    assert not any(row["kind"] == "identity" for row in rows)


@pytest.mark.parametrize(
    ("arch", "sums", "activation"),
    [
        ("resnet18", 8, "relu"),
        ("resnet50", 16, "relu"),
        ("mobilenet_v3_small", 6, None),
    ],  # blocks that keep size and channels, or project
)
def test_residual_sums_have_rows(arch, sums, activation):
    model = build({"name": "torchvision", "arch": arch, "weights": "random"}, 10, (3, 64, 64))
    rows = [row for row in describe(model, (3, 64, 64)) if row["kind"] == "add"]
    assert [(row["layer"], row["activation"], row["parameters"]) for row in rows] == [
        ("add", activation, 0)
    ] * sums
    assert (
        rows[0]["output_shape"]
        == {"resnet18": [64, 16, 16], "resnet50": [256, 16, 16], "mobilenet_v3_small": [24, 8, 8]}[arch]
    )


def test_rows_of_residual_blocks():
    model = build({"name": "torchvision", "arch": "resnet18", "weights": "random"}, 10, (3, 64, 64))
    rows = [(row["layer"], row["activation"]) for row in describe(model, (3, 64, 64))[3:20]]
    same = [
        ("conv 3×3, 64, same", None),
        ("batch norm", "relu"),
        ("conv 3×3, 64, same", None),
        ("batch norm", None),
        ("add", "relu"),
    ]
    shortcut = [("conv 1×1, 128, stride 2, valid", None), ("batch norm", None)]
    narrower = [
        ("conv 3×3, 128, stride 2, padding 1", None),
        ("batch norm", "relu"),
        ("conv 3×3, 128, same", None),
        ("batch norm", None),
    ]
    assert rows == [*same, *same, *narrower, *shortcut, ("add", "relu")]


def test_attention_shared_layers_and_own_parameters():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 6, 8, stride=8, groups=3)
            self.token = nn.Parameter(torch.zeros(1, 1, 6))
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.norm = nn.LayerNorm(6)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.head = nn.Linear(6, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            patches = self.pool(self.patches(images)).flatten(2).mT
            tokens = self.norm(torch.cat([self.token.expand(len(images), -1, -1), patches], 1))
            return self.head(self.norm(self.attention(tokens, tokens, tokens)[0])[:, 0])

    model = Net()
    assert [
        (row["layer"], row["kind"], row["output_shape"], row["parameters"]) for row in describe(model, IMAGE)
    ] == [
        ("token", "parameter", [1, 1, 6], 6),
        ("conv 8×8, 6, stride 8, valid, 3 groups", "conv", [6, 4, 4], 64 * 6 + 6),
        ("adaptive avg pool 1×1", "pool", [6, 1, 1], 0),
        ("LayerNorm", "layernorm", [2, 6], 12),
        ("attention, 2 heads", "attention", [2, 6], 4 * (6 * 6 + 6)),
        ("LayerNorm", "layernorm", [2, 6], 0),
        ("dense 10", "dense", [10], 70),
    ]


def test_table_needs_no_weight_file():
    spec = {
        "name": "torchvision",
        "arch": "mobilenet_v3_small",
        "weights": "imagenet",
        "part": "features",
        "trainable": "head",
    }
    table = layer_table(spec, 7, IMAGE)
    assert table["model"] == spec
    assert (table["classes"], table["image_shape"]) == (7, IMAGE)
    assert table["rows"][0]["layer"] == "conv 3×3, 16, stride 2, padding 1"
    last = {
        "layer": "dense 7",
        "kind": "dense",
        "activation": None,
        "output_shape": [7],
        "parameters": 576 * 7 + 7,
    }
    assert table["rows"][-1] == {"name": "head.1_dense", **last}
    assert table["parameters"] == sum(row["parameters"] for row in table["rows"])


def test_table_of_a_sequential_network_is_plain_json():
    table = layer_table(SPEC, 5, IMAGE)
    assert json.loads(json.dumps(table["rows"])) == table["rows"]
    assert table["rows"] == describe(build(SPEC, 5, IMAGE), IMAGE)
    assert table["parameters"] == parameter_count(build(SPEC, 5, IMAGE))


def test_parameters_by_layer():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(3))
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
            self.twin = self.body[0]

    assert layer_parameters(Net()) == {"token": 3, "body.0": 4 * 27 + 4, "body.2": 8}
    model = build(SPEC, 5, IMAGE)
    assert layer_parameters(model)["12_dense"] == 4 * 16 + 16
    assert sum(layer_parameters(model).values()) == parameter_count(model)


def test_layer_f6_of_report_1_has_10164_parameters():
    """LeNet-5 for CIFAR-100: three 5×5 convolutions (6, 16, 120) with pooling between them, then F6, 120 →
    84.
    """
    layers = [
        *(
            {"conv": 6, "kernel": 5},
            {"pool": "avg"},
            {"conv": 16, "kernel": 5},
            {"pool": "avg"},
            {"conv": 120, "kernel": 5},
        ),
        *({"flatten": True}, {"dense": 84}, {"dense": "classes"}),
    ]
    assert layer_parameters(build({"name": "sequential", "layers": layers}, 100, IMAGE))["6_dense"] == 10_164
