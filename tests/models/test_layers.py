"""Layer tables come from the network as it runs, so they add up and follow its order."""

import json

import pytest
import torch
from torch import nn

from reprise.models import build, parameter_count
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
    rows = [tuple(row.values()) for row in describe(model, IMAGE)]
    assert list(describe(model, IMAGE)[0]) == ["layer", "kind", "activation", "output_shape", "parameters"]
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


def test_an_activation_after_a_residual_sum_has_a_row_of_its_own():
    model = build({"name": "torchvision", "arch": "resnet18", "weights": "random"}, 10, (3, 64, 64))
    block = [(row["kind"], row["activation"]) for row in describe(model, (3, 64, 64))[3:8]]
    assert block == [("conv", None), ("batch_norm", "relu"), ("conv", None), ("batch_norm", None), ("activation", "relu")]


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
    assert [(row["layer"], row["kind"], row["output_shape"], row["parameters"]) for row in describe(model, IMAGE)] == [
        ("token", "parameter", [1, 1, 6], 6),
        ("conv 8×8, 6, stride 8, valid, 3 groups", "conv", [6, 4, 4], 64 * 6 + 6),
        ("adaptive avg pool 1×1", "pool", [6, 1, 1], 0),
        ("LayerNorm", "layernorm", [2, 6], 12),
        ("attention, 2 heads", "attention", [2, 6], 4 * (6 * 6 + 6)),
        ("LayerNorm", "layernorm", [2, 6], 0),
        ("dense 10", "dense", [10], 70),
    ]


def test_table_needs_no_weight_file():
    spec = {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "imagenet", "part": "features", "trainable": "head"}
    table = layer_table(spec, 7, IMAGE)
    assert table["model"] == spec
    assert (table["classes"], table["image_shape"]) == (7, IMAGE)
    assert table["rows"][0]["layer"] == "conv 3×3, 16, stride 2, padding 1"
    assert table["rows"][-1] == {"layer": "dense 7", "kind": "dense", "activation": None, "output_shape": [7], "parameters": 576 * 7 + 7}
    assert table["parameters"] == sum(row["parameters"] for row in table["rows"])


def test_table_of_a_sequential_network_is_plain_json():
    table = layer_table(SPEC, 5, IMAGE)
    assert json.loads(json.dumps(table["rows"])) == table["rows"]
    assert table["rows"] == describe(build(SPEC, 5, IMAGE), IMAGE)
    assert table["parameters"] == parameter_count(build(SPEC, 5, IMAGE))
