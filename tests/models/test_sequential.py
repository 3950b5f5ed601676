"""The family `sequential` against the reports' parameter counts, TensorFlow's padding and Glorot's bounds."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from reprise.errors import RepriseError
from reprise.models import build, parameter_count

IMAGE = (3, 32, 32)

# Report 4, parts 1 and 2
FIRST = {"conv": 32, "padding": "same", "activation": "relu"}
SECOND = {"conv": 64, "padding": "same", "activation": "relu"}
HEAD: list[dict[str, Any]] = [{"dense": 128, "activation": "relu"}, {"dense": "classes"}]
BASIC = [FIRST, {"pool": "max"}, SECOND, {"flatten": True}, *HEAD]
DROPOUT = [
    FIRST,
    {"pool": "max"},
    {"dropout": 0.25},
    SECOND,
    {"flatten": True},
    {"dropout": 0.25},
    HEAD[0],
    {"dropout": 0.5},
    HEAD[1],
]
DEEPER = [FIRST, *DROPOUT[:3], SECOND, *DROPOUT[3:]]


def network(
    layers: list[dict[str, Any]], classes: int = 20, image_shape: tuple[int, int, int] = IMAGE, **options: Any
) -> nn.Module:
    torch.manual_seed(0)
    return build({"name": "sequential", "layers": layers, **options}, classes, image_shape)


@pytest.mark.parametrize(
    ("layers", "convolutions"),
    [
        (BASIC, (3 * 3 * 3 * 32 + 32) + (3 * 3 * 32 * 64 + 64)),
        (DROPOUT, (3 * 3 * 3 * 32 + 32) + (3 * 3 * 32 * 64 + 64)),
        (
            DEEPER,
            (3 * 3 * 3 * 32 + 32) + (3 * 3 * 32 * 32 + 32) + (3 * 3 * 32 * 64 + 64) + (3 * 3 * 64 * 64 + 64),
        ),
    ],
    ids=["basic", "dropout", "more convolutions"],
)
@pytest.mark.parametrize("classes", [20, 100])
def test_report_4(layers, convolutions, classes):
    dense = (16 * 16 * 64 * 128 + 128) + (128 * classes + classes)  # one pooling layer halves 32 × 32
    model = network(layers, classes)
    assert parameter_count(model) == convolutions + dense
    assert model(torch.zeros(2, *IMAGE)).shape == (2, classes)


def test_report_4_basic_is_2_119_252():
    assert parameter_count(network(BASIC)) == 2_119_252


def test_lenet_of_report_1():
    sigmoid, pool = {"activation": "sigmoid"}, {"pool": "avg"}
    model = network(
        [
            *({"conv": 6, "kernel": 5, "activation": "tanh"}, pool, sigmoid),
            *({"conv": 16, "kernel": 5, "activation": "tanh"}, pool, sigmoid),
            *({"conv": 120, "kernel": 5, "activation": "tanh"}, {"flatten": True}),
            *({"dense": 84, "activation": "tanh"}, {"dense": "classes"}),
        ],
        classes=100,
    )
    f6 = model.get_submodule("8_dense")
    assert parameter_count(f6) == 10_164 == 120 * 84 + 84
    assert parameter_count(model) == (5 * 5 * 3 * 6 + 6) + (5 * 5 * 6 * 16 + 16) + (
        5 * 5 * 16 * 120 + 120
    ) + 10_164 + (84 * 100 + 100)


def test_cnn_of_report_2_as_run():
    convolutions = [
        {"conv": channels, "stride": 2, "padding": 1, "activation": "relu"} for channels in (32, 64, 128)
    ]
    dense = [{"dense": units, "activation": "relu"} for units in (512, 40)]
    model = network(
        [*convolutions, {"pool": "max"}, {"dropout2d": 0.5}, {"flatten": True}, *dense, {"dense": "classes"}],
        classes=10,
    )
    flat = 2 * 2 * 128  # 32 → 16 → 8 → 4, pooled to 2
    assert (
        parameter_count(model)
        == (27 * 32 + 32)
        + (9 * 32 * 64 + 64)
        + (9 * 64 * 128 + 128)
        + (flat * 512 + 512)
        + (512 * 40 + 40)
        + 410
    )
    assert model(torch.zeros(3, *IMAGE)).shape == (3, 10)


def test_names_of_weights_and_safetensors_round_trip(tmp_path: Path):
    layers = [
        FIRST,
        {"batch_norm": True},
        {"activation": "relu"},
        {"flatten": True},
        {"batch_norm": True, "eps": 1e-3, "momentum": 0.01},
        *HEAD,
    ]
    model = network(layers)
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(model.state_dict()) == [
        *("0_conv.weight", "0_conv.bias"),
        *(f"1_batch_norm.{name}" for name in norm),
        *(f"4_batch_norm.{name}" for name in norm),
        *("5_dense.weight", "5_dense.bias", "6_dense.weight", "6_dense.bias"),
    ]
    assert (model.get_submodule("4_batch_norm").eps, model.get_submodule("4_batch_norm").momentum) == (
        1e-3,
        0.01,
    )
    images = torch.rand(4, *IMAGE)
    model(images)  # moves the running statistics
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other = build({"name": "sequential", "layers": layers}, 20, IMAGE)
    assert not torch.equal(other.eval()(images), model.eval()(images))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(images), model(images))


def test_no_part_is_frozen():
    assert network(BASIC).frozen_features is None


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(7, 8), (9, 12)])
def test_same_padding_follows_tensorflow(kernel, stride, size):
    """Output ⌈size / stride⌉; of the padding that it needs, the smaller half stands at the top and left."""
    model = network(
        [
            {"conv": 2, "kernel": kernel, "stride": stride, "padding": "same"},
            {"flatten": True},
            {"dense": "classes"},
        ],
        2,
        (1, *size),
    )
    conv = model[0]
    image = np.random.default_rng(0).normal(size=size)
    padded_sides = []
    for length in size:
        outputs = math.ceil(length / stride)
        total = max((outputs - 1) * stride + kernel - length, 0)
        padded_sides.append((total // 2, total - total // 2))
    padded = np.pad(image, padded_sides)
    weight = conv.weight.detach().double().numpy()[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))[::stride, ::stride]
    expected = (
        np.einsum("hwij,cij->chw", windows, weight) + conv.bias.detach().double().numpy()[:, None, None]
    )
    result = conv(torch.tensor(image, dtype=torch.float32)[None, None])[0]
    assert result.shape == (2, math.ceil(size[0] / stride), math.ceil(size[1] / stride))
    np.testing.assert_allclose(result.detach().numpy(), expected, atol=1e-5)


def test_even_kernel_sees_past_the_bottom_right_corner_only():
    conv = network(
        [{"conv": 1, "kernel": 2, "padding": "same"}, {"flatten": True}, {"dense": "classes"}], 2, (1, 2, 2)
    )[0]
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]]))
        conv.bias.zero_()
    assert conv(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).tolist() == [[[[4321.0, 402.0], [43.0, 4.0]]]]


def test_valid_padding_pooling_and_activations_run_as_asked():
    model = network(
        [
            {"conv": 4, "kernel": 5, "stride": 2, "activation": "sigmoid"},
            {"pool": "avg", "size": 3, "stride": 1, "padding": 1},
            {"flatten": True},
            {"dense": 7, "activation": "tanh"},
            {"dense": "classes"},
        ]
    )
    assert [type(module) for module in model] == [
        nn.Conv2d,
        nn.Sigmoid,
        nn.AvgPool2d,
        nn.Flatten,
        nn.Linear,
        nn.Tanh,
        nn.Linear,
    ]
    assert model[4].in_features == 4 * 14 * 14  # (32 - 5) // 2 + 1 = 14


def test_xavier_for_the_dense_layers_alone():
    model, plain = network(DEEPER, init="xavier_dense"), network(DEEPER, init="torch")
    assert torch.equal(model.get_submodule("0_conv").weight, plain.get_submodule("0_conv").weight)
    limit = math.sqrt(6 / (16 * 16 * 64 + 128))
    assert 0.98 * limit < model.get_submodule("8_dense").weight.abs().max() <= limit
    assert not model.get_submodule("8_dense").bias.any()


def test_glorot_uniform_weights_and_zero_biases():
    model = network(DEEPER, init="keras")
    for name, fan_in, fan_out in [
        ("0_conv", 9 * 3, 9 * 32),
        ("1_conv", 9 * 32, 9 * 32),
        ("5_conv", 9 * 64, 9 * 64),
        ("8_dense", 16 * 16 * 64, 128),
        ("10_dense", 128, 20),
    ]:
        layer = model.get_submodule(name)
        limit = math.sqrt(6 / (fan_in + fan_out))
        assert layer.weight.abs().max() <= limit
        assert layer.weight.abs().max() > 0.98 * limit
        assert abs(layer.weight.std().item() / (limit / math.sqrt(3)) - 1) < 0.1
        assert not layer.bias.any()


def test_weights_come_from_the_global_generator_and_torch_is_the_default():
    first, again, default = network(BASIC), network(BASIC), network(BASIC, init="torch")
    torch.manual_seed(1)
    other = build({"name": "sequential", "layers": BASIC}, 20, IMAGE)
    assert torch.equal(first[0].weight, again[0].weight)
    assert torch.equal(first[0].weight, default[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    torch.manual_seed(0)
    assert torch.equal(first[0].weight, nn.Conv2d(3, 32, 3).weight)


def test_dropout_does_not_depend_on_how_images_lie_in_memory():
    net, images = network([{"dropout": 0.4}, {"flatten": True}, {"dense": "classes"}]), torch.rand(5, *IMAGE)
    kept = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(1)
        kept.append(net[0](images.contiguous(memory_format=layout)))
    torch.manual_seed(1)
    assert torch.equal(kept[0], nn.functional.dropout(images, 0.4))
    assert torch.equal(kept[0], kept[1])
    assert 0.3 < (kept[0] == 0).float().mean() < 0.5
    assert torch.equal(net.eval()[0](images.contiguous(memory_format=torch.channels_last)), images)


def test_width_scales_hidden_layers_alone():
    model = network(BASIC, width=0.25)
    assert [
        (name, tuple(item.shape[:2])) for name, item in model.named_parameters() if name.endswith("weight")
    ] == [
        ("0_conv.weight", (8, 3)),
        ("2_conv.weight", (16, 8)),
        ("4_dense.weight", (32, 16 * 16 * 16)),
        ("5_dense.weight", (20, 32)),
    ]
    assert [
        module.out_channels for module in network(BASIC, width=0.001) if isinstance(module, nn.Conv2d)
    ] == [1, 1]
    retrained = network([{"flatten": True}, {"dense": 100, "scaled": False}, {"dense": "classes"}], width=0.1)
    assert retrained.get_submodule("1_dense").out_features == 100


def test_batch_norm_false_is_left_out_and_keeps_its_place():
    def layers(switch):
        return [
            {"conv": 8},
            {"batch_norm": switch, "eps": 1e-3},
            {"activation": "relu"},
            {"flatten": True},
            {"dense": "classes"},
        ]

    without, normed = network(layers(False)), network(layers(True))
    assert list(dict(normed.named_children())) == ["0_conv", "1_batch_norm", "2_relu", "3_flatten", "4_dense"]
    assert list(dict(without.named_children())) == ["0_conv", "2_relu", "3_flatten", "4_dense"]
    images = torch.rand(2, *IMAGE)
    normed.get_submodule(
        "1_batch_norm"
        # as good as 0, which older versions refuse: in evaluation with fresh statistics, batch normalisation
        # then changes nothing
    ).eps = 1e-12
    assert torch.equal(without.eval()(images), normed.eval()(images))
    with pytest.raises(
        RepriseError,
        match=r"layers\[0\]\.mometum: unknown key for a layer of kind batch_norm; did you mean mom",
    ):
        network([{"batch_norm": False, "mometum": 0.1}, *FLAT])


FLAT: list[dict[str, Any]] = [{"flatten": True}, {"dense": "classes"}]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [{"flatten": True}, {"pool": "max"}],
            r"layers\[1\] \(pool\): needs an image, but 3072 flat features come in; move it before flatten",
        ),
        ([{"flatten": True}, {"conv": 8}], r"layers\[1\] \(conv\): needs an image"),
        ([{"flatten": True}, {"dropout2d": 0.5}], r"layers\[1\] \(dropout2d\): needs an image"),
        (
            [{"dense": 8}],
            r"layers\[0\] \(dense\): needs flat features, but an image of 3 × 32 × 32 comes in; put "
            r"\{flatten: true\} before it",
        ),
        (
            [{"flatten": True}, {"dense": 10}],
            r"layers\[1\] \(dense\): its output of 10 is not 20 classes wide; end with \{dense: classes\}",
        ),
        ([{"conv": 20}], r"layers\[0\] \(conv\): its output of 20 × 30 × 30 is not 20 classes wide"),
        (
            [{"conv": 8, "kernal": 3}, *FLAT],
            r"layers\[0\]\.kernal: unknown key for a layer of kind conv; did you mean kernel\?",
        ),
        ([{}], r"layers\[0\]: should be a mapping such as \{conv: 32\}, not \{\}"),
        ([{"flatten": 1}], r"layers\[0\]\.flatten: should be true or false, not 1; write true"),
        (
            [{"flatten": True, "size": 3}],
            r"layers\[0\]\.size: unknown key for a layer of kind flatten",
        ),
        (
            [{"cnov": 8}, *FLAT],
            r"layers\[0\]\.cnov: unknown key .* without a kind; did you mean conv\?",
        ),
        (
            [{"conv": 8, "pool": "max"}],
            r"layers\[0\]\.pool: unknown key for a layer of kind conv; valid: conv, name, kernel",
        ),
        (
            [{"activation": "relu", "kernel": 3}],
            r"kernel: unknown key for a layer without a kind; valid: act",
        ),
        (["flatten"], r"layers\[0\]: should be a mapping such as \{conv: 32\}, not 'flatten'"),
        (
            [{"conv": 8, "kernel": 33}],
            r"layers\[0\] \(conv\): an image of 32 × 32 pixels is too small for a window of 33; use larger "
            r"images",
        ),
        (
            [{"pool": "max", "size": 16}, {"pool": "max", "size": 3}],
            r"layers\[1\] \(pool\): an image of 2 × 2 pixels is too small for a window of 3",
        ),
        ([{"conv": 0}], r"layers\[0\]\.conv: should be greater than or equal to 1, not 0"),
        ([{"conv": True}], r"layers\[0\]\.conv: should be a whole number, not true"),
        ([{"conv": 8, "kernel": 2.5}], r"kernel: should be a whole number, not 2.5"),
        (
            [{"conv": 8, "padding": "smae"}],
            r"padding: should be same .*, valid, or a number .*, not 'smae'",
        ),
        ([{"conv": 8, "padding": -1}], r"padding: should be same .* not -1"),
        ([{"conv": 8, "activation": "rleu"}], r"activation: 'rleu' is not valid; did you mean relu\?"),
        ([{"conv": 8, "scaled": "no"}], r"scaled: should be true or false, not 'no'"),
        (
            [{"activation": "softmax"}],
            r"layers\[0\]\.activation: 'softmax' is not valid; softmax is part of the loss",
        ),
        (
            [{"flatten": True}, {"dense": "classes", "activation": "relu"}],
            r"gives logits \(softmax is part of the loss\); remove its activation",
        ),
        ([{"flatten": True}, {"dense": "class"}], r"layers\[1\]\.dense: should be classes .* not 'class'"),
        ([{"pool": "mean"}], r"layers\[0\]\.pool: 'mean' is not valid; valid: max, avg"),
        (
            [{"pool": "max", "padding": 2}],
            r"layers\[0\] \(pool\): padding 2 is more than half the size 2; lower it",
        ),
        ([{"dropout": 25}], r"layers\[0\]\.dropout: should be less than or equal to 1, not 25"),
        ([{"batch_norm": True, "momentum": float("nan")}], r"momentum: should be a finite number, not nan"),
        ([{"batch_norm": "no"}], r"layers\[0\]\.batch_norm: should be true or false, not 'no'"),
        (
            [{"flatten": False}],
            r"layers\[0\]\.flatten: false is not valid; leave it out",
        ),
        ([], r"layers: has 0 items, and should have at least 1"),
    ],
)
def test_a_layer_that_does_not_fit(layers, message):
    with pytest.raises(RepriseError, match=f"^model sequential: .*{message}") as error:
        network(layers)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"name": "sequental", "layers": BASIC},
            r"model: unknown network 'sequental'; did you mean sequential\?",
        ),
        (
            {"layers": BASIC},
            r"model: unknown network None; valid: residual, resnet, sequential, torchvision, vit",
        ),
        (
            {"name": "sequential", "layer": BASIC},
            r"model sequential: layer: unknown key for the family sequential; did you mean layers\?",
        ),
        ({"name": "sequential"}, r"model sequential: key layers is missing \(found: nothing\)"),
        (
            {"name": "sequential", "layers": BASIC, "init": "glorot"},
            r"init: 'glorot' is not valid; valid: torch, keras, xavier_dense",
        ),
        (
            {"name": "sequential", "layers": BASIC, "width": -1},
            r"width: should be greater than 0, not -1",
        ),
    ],
)
def test_a_model_that_does_not_exist(spec, message):
    with pytest.raises(RepriseError, match=message):
        build(spec, 20, IMAGE)
