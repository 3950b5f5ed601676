"""The family `residual`: counts, the forward pass written out, sizes, initial values, layer table,
mistakes.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from reprise.errors import RepriseError
from reprise.models import build, parameter_count
from reprise.models.layers import describe

IMAGE = (3, 32, 32)
SPEC = {"name": "residual", "blocks": 3, "kernel": 3, "filters": 32, "dropout": 0.2, "init": "keras"}


def network(**changes):
    torch.manual_seed(0)
    return build({**SPEC, **changes}, 10, IMAGE)


def block(inputs, filters, kernel):
    """Two convolutions and their batch normalisations, and the 1×1 convolution of the shortcut."""
    first, second = (kernel**2 * channels * filters + filters for channels in (inputs, filters))
    return first + second + 2 * 2 * filters + (inputs * filters + filters if inputs != filters else 0)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("blocks", "channels", "flat"),
    [(1, [3, 32], 32 * 16**2), (3, [3, 32, 64, 128], 128 * 4**2), (5, [3, 32, 64, 128, 256, 512], 512)],
)
def test_parameter_counts_of_report_3(blocks, channels, flat, kernel):
    expected = (
        sum(block(channels[place], channels[place + 1], kernel) for place in range(blocks)) + flat * 10 + 10
    )
    with torch.device("meta"):
        assert parameter_count(network(blocks=blocks, kernel=kernel)) == expected


def plain_logits(model, images, blocks, kernel, training):
    """The network written out, without dropout; TensorFlow's `same` puts the larger half of an odd padding at
    the bottom and right.
    """
    values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before, after = (kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2

    def conv(x, name):
        return F.conv2d(
            F.pad(x, (before, after, before, after)), values[f"{name}.weight"], values[f"{name}.bias"]
        )

    def norm(x, name):
        if training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        else:
            mean, variance = values[f"{name}.running_mean"], values[f"{name}.running_var"]
        scale = values[f"{name}.weight"] / (variance + 1e-3).sqrt()
        return (x - mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + values[f"{name}.bias"].view(-1, 1, 1)

    for number in range(1, blocks + 1):
        name = f"block{number}"
        shortcut = images
        if f"{name}.projection.weight" in values:
            shortcut = torch.einsum("nchw,fc->nfhw", images, values[f"{name}.projection.weight"][:, :, 0, 0])
            shortcut = shortcut + values[f"{name}.projection.bias"].view(-1, 1, 1)
        inner = norm(conv(images, f"{name}.conv1"), f"{name}.norm1").clamp(min=0)
        images = (norm(conv(inner, f"{name}.conv2"), f"{name}.norm2") + shortcut).clamp(min=0)
        if min(images.shape[2:]) > 1:
            rows, columns = images.shape[2] // 2, images.shape[3] // 2
            images = (
                images[:, :, : 2 * rows, : 2 * columns]
                .unflatten(3, (columns, 2))
                .unflatten(2, (rows, 2))
                .amax((3, 5))
            )
    return images.flatten(1) @ values["output.weight"].T + values["output.bias"]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, IMAGE),
        ({"kernel": 4, "blocks": 2}, (3, 10, 13)),
        ({"kernel": 2, "filters": 3, "blocks": 5}, (3, 16, 16)),
    ],
)
def test_forward_is_that_of_a_plain_network(changes, shape, training):
    torch.manual_seed(0)
    spec = {**SPEC, "filters": 4, "dropout": 0, **changes}
    model = build(spec, 10, shape)
    for item in (
        model.state_dict().values()
    ):  # biases, norms and statistics start at 0 and 1, which would hide mistakes
        if item.is_floating_point():
            torch.nn.init.uniform_(item, 0.1, 0.3)
    images = torch.rand(6, *shape)
    expected = plain_logits(model, images, spec["blocks"], spec["kernel"], training)
    torch.testing.assert_close(model.train(training)(images), expected, atol=1e-4, rtol=1e-4)


def test_gradients_pass_the_sum_in_place():
    model = build(
        {**SPEC, "filters": 3, "dropout": 0, "blocks": 2}, 10, (3, 8, 8)
    )  # block 1 without, block 2 with a projection
    images = torch.rand(4, 3, 8, 8)
    plain_logits(model, images, 2, 3, True).square().sum().backward()
    expected = {name: item.grad.clone() for name, item in model.named_parameters()}
    model.zero_grad()
    model.train()(images).square().sum().backward()
    for name, item in model.named_parameters():
        torch.testing.assert_close(item.grad, expected[name], atol=1e-4, rtol=1e-4)


def test_running_statistics_keep_99_percent():
    model = network(blocks=1).train()
    images = torch.rand(8, *IMAGE)
    values = model.block1.conv1(images).detach()
    model(images)
    torch.testing.assert_close(model.block1.norm1.running_mean, 0.01 * values.mean((0, 2, 3)))
    torch.testing.assert_close(model.block1.norm1.running_var, 0.99 + 0.01 * values.var((0, 2, 3)))


def test_pooling_ends_at_one_pixel():
    with torch.device("meta"):
        model = network(blocks=7, filters=1)
    assert [name for name in dict(model.named_children()) if name.startswith("pool")] == [
        f"pool{number}" for number in range(1, 6)
    ]
    assert model.output.in_features == 64


def test_dropout_follows_each_block():
    model = network(dropout=1).train()
    assert torch.equal(model(torch.rand(2, *IMAGE)), model.output.bias.expand(2, 10))
    assert [model.get_submodule(f"dropout{number}").p for number in (1, 2, 3)] == [1, 1, 1]


def test_keras_initial_values():
    model = network()
    for layer, fan_in, fan_out in [
        (model.block2.conv1, 9 * 32, 9 * 64),
        (model.block2.projection, 32, 64),
        (model.output, 2048, 10),
    ]:
        limit = math.sqrt(6 / (fan_in + fan_out))
        assert 0.98 * limit < layer.weight.abs().max() <= limit
        assert not layer.bias.any()
    assert model.block1.norm1.weight.eq(1).all()


def test_width_scales_every_convolution():
    with torch.device("meta"):
        model = network(width=0.25)
    assert [model.get_submodule(f"block{number}.conv2").out_channels for number in (1, 2, 3)] == [8, 16, 32]


def test_layer_table():
    model = network(blocks=1)
    rows = [
        (row["layer"], row["kind"], row["activation"], row["output_shape"], row["parameters"])
        for row in describe(model, IMAGE)
    ]
    assert rows == [
        ("conv 3×3, 32, same", "conv", None, [32, 32, 32], 27 * 32 + 32),
        ("batch norm", "batch_norm", "relu", [32, 32, 32], 64),
        ("conv 3×3, 32, same", "conv", None, [32, 32, 32], 9 * 32 * 32 + 32),
        ("batch norm", "batch_norm", None, [32, 32, 32], 64),
        ("conv 1×1, 32, same", "conv", None, [32, 32, 32], 3 * 32 + 32),
        ("add", "add", "relu", [32, 32, 32], 0),
        ("max pool 2×2", "pool", None, [32, 16, 16], 0),
        ("dropout 0.2", "dropout", None, [32, 16, 16], 0),
        ("flatten", "flatten", None, [32 * 256], 0),
        ("dense 10", "dense", None, [10], 32 * 256 * 10 + 10),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": 0}, r"model residual: blocks: should be greater than or equal to 1, not 0"),
        ({"kernel": 2.5}, r"model residual: kernel: should be a whole number, not 2.5"),
        ({"filters": "many"}, r"model residual: filters: should be a whole number, not 'many'"),
        ({"dropout": 20}, r"model residual: dropout: should be less than or equal to 1, not 20"),
        ({"width": -1}, r"model residual: width: should be greater than 0, not -1"),
        ({"init": "kears"}, r"model residual: init: 'kears' is not valid; did you mean keras\?"),
        ({"block": 3}, r"model residual: block: unknown key for the family residual; did you mean blocks\?"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(RepriseError, match=message):
        network(**changes)


def test_relu_before_the_sum():
    """A block adds to its input what ReLU left of the second convolution."""
    model = network(blocks=1, relu="before_sum", dropout=0.0).eval()
    images = torch.randn(4, *IMAGE)
    block = model.block1
    with torch.no_grad():
        change = block(images) - block.projection(images)
        inner = F.relu(block.norm1(block.conv1(images)))
        torch.testing.assert_close(change, F.relu(block.norm2(block.conv2(inner))))
        assert (block(images) < 0).any()
    assert parameter_count(model) == parameter_count(network(blocks=1))
