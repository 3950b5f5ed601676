"""The family `vit`: counts, the forward pass against a plain one, initial values, layer table, mistakes."""

import math

import pytest
import torch

from reprise.errors import RepriseError
from reprise.models import build, parameter_count
from reprise.models.layers import describe

IMAGE = (3, 32, 32)
AS_RUN = {"name": "vit", "patch": 4, "dim": 30, "layers": 1, "heads": 6, "feed_forward": 2048, "dropout": 0.1}
SMALL = {"name": "vit", "patch": 4, "dim": 8, "layers": 2, "heads": 2, "feed_forward": 16}

EMBEDDING = 2 * 48 + (48 * 30 + 30) + 2 * 30
TOKENS = 30 + (64 + 1) * 30
ATTENTION = 30 * 3 * 30 + 3 * 30 + 30 * 30 + 30
FEED_FORWARD = 30 * 2048 + 2048 + 2048 * 30 + 30
LAYER = ATTENTION + FEED_FORWARD + 2 * 2 * 30
HEAD = 2 * 30 + 30 * 10 + 10


@pytest.mark.parametrize(("layers", "total"), [(1, 132_774), (6, 776_764)], ids=["as_run", "as_written"])
def test_parameter_counts(layers, total):
    model = build({**AS_RUN, "layers": layers}, 10, IMAGE)
    assert parameter_count(model) == parameter_count(model, trainable_only=True) == total
    assert total == EMBEDDING + TOKENS + layers * LAYER + HEAD
    assert model.frozen_features is None


def test_width_scales_the_feed_forward_part_alone():
    model = build({**AS_RUN, "width": 0.25}, 10, IMAGE)
    assert (
        parameter_count(model)
        == EMBEDDING + TOKENS + ATTENTION + (30 * 512 + 512 + 512 * 30 + 30) + 2 * 2 * 30 + HEAD
    )


def plain_logits(model, images, patch, heads):
    """The network written out: patches by slicing, attention head by head."""
    values = dict(model.named_parameters())

    def norm(tokens, name):
        mean, variance = tokens.mean(-1, keepdim=True), tokens.var(-1, keepdim=True, correction=0)
        return (tokens - mean) / (variance + 1e-5).sqrt() * values[f"{name}.weight"] + values[f"{name}.bias"]

    def dense(tokens, name):
        return tokens @ values[f"{name}.weight"].T + values[f"{name}.bias"]

    count, _, height, width = images.shape
    patches = [
        images[:, :, top : top + patch, left : left + patch].reshape(count, -1)
        for top in range(0, height, patch)
        for left in range(0, width, patch)
    ]
    embedded = norm(dense(norm(torch.stack(patches, 1), "embedding.0"), "embedding.1"), "embedding.2")
    tokens = torch.cat([values["class_token"].repeat(count, 1, 1), embedded], 1) + values["positions"]
    for index in range(len(model.encoder)):
        name = f"encoder.{index}"
        joint = (
            tokens @ values[f"{name}.self_attn.in_proj_weight"].T + values[f"{name}.self_attn.in_proj_bias"]
        )
        queries, keys, contents = (part.split(tokens.shape[-1] // heads, -1) for part in joint.chunk(3, -1))
        attended = []
        for query, key, content in zip(queries, keys, contents, strict=True):
            scores = query @ key.mT / math.sqrt(query.shape[-1])
            attended.append(scores.softmax(-1) @ content)
        tokens = norm(tokens + dense(torch.cat(attended, -1), f"{name}.self_attn.out_proj"), f"{name}.norm1")
        tokens = norm(
            tokens + dense(dense(tokens, f"{name}.linear1").clamp(min=0), f"{name}.linear2"), f"{name}.norm2"
        )
    return dense(norm(tokens[:, 0], "head.0"), "head.1")


@pytest.mark.parametrize("layers", [1, 3])
def test_forward_is_that_of_a_plain_network(layers):
    torch.manual_seed(0)
    model = build({**AS_RUN, "layers": layers, "dropout": 0}, 10, IMAGE)
    for item in model.parameters():  # biases and norms start at 0 and 1, which would hide mistakes
        torch.nn.init.normal_(item, std=0.3)
    images = torch.rand(5, *IMAGE)
    expected = plain_logits(model, images, 4, 6)
    torch.testing.assert_close(model.train()(images), expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():  # torch takes another way through the encoder here
        torch.testing.assert_close(model.eval()(images), expected, atol=1e-4, rtol=1e-4)
    expected.square().sum().backward()
    gradients = {name: item.grad.clone() for name, item in model.named_parameters()}
    model.zero_grad()
    model.train()(images).square().sum().backward()
    for name, item in model.named_parameters():
        torch.testing.assert_close(item.grad, gradients[name], atol=1e-3, rtol=1e-3)


def test_images_need_not_be_square():
    model = build(SMALL, 3, (1, 8, 12)).eval()
    images = torch.rand(2, 1, 8, 12)
    torch.testing.assert_close(model(images), plain_logits(model, images, 4, 2), atol=1e-5, rtol=1e-5)


def test_class_token_and_positions_are_standard_normal():
    torch.manual_seed(0)
    model = build({**AS_RUN, "dim": 600}, 10, IMAGE)
    for values in (model.class_token, model.positions):
        assert values.mean().item() == pytest.approx(0, abs=0.1)
        assert values.std().item() == pytest.approx(1, abs=0.1)


def test_each_layer_is_initialised_on_its_own():
    torch.manual_seed(0)
    first, second = build(SMALL, 3, IMAGE).encoder
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_dropout_acts_in_training_alone():
    model = build({**SMALL, "dropout": 0.5}, 3, IMAGE)
    images = torch.rand(2, *IMAGE)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))
    assert build(SMALL, 3, IMAGE).encoder[0].dropout.p == 0.1


def test_embedding_dropout_acts_on_the_tokens_with_their_positions():
    seen = []
    model = build({**SMALL, "dropout": 0, "embedding_dropout": 0.5}, 3, IMAGE)
    torch.nn.init.constant_(model.positions, 100.0)  # tokens are zero only where they are dropped
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    images = torch.rand(50, *IMAGE)
    model.train()(images)
    model.eval()(images)
    trained, used = seen
    assert (trained == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    kept = trained != 0
    torch.testing.assert_close(trained[kept], 2 * used[kept])  # evaluation drops nothing


def test_without_embedding_dropout_random_numbers_are_what_they_were():
    def trained(options):
        torch.manual_seed(0)
        model = build({**SMALL, **options}, 3, IMAGE).train()
        return model(torch.rand(2, *IMAGE)), torch.rand(1)

    for with_none in ({"embedding_dropout": None}, {"embedding_dropout": 0}):
        for one, other in zip(trained({}), trained(with_none), strict=True):
            assert torch.equal(one, other)


def test_layer_table():
    model = build(AS_RUN, 10, IMAGE)
    rows = [
        (row["layer"], row["kind"], row["activation"], row["output_shape"], row["parameters"])
        for row in describe(model, IMAGE)
    ]
    assert rows == [
        ("class_token", "parameter", None, [1, 1, 30], 30),
        ("positions", "parameter", None, [1, 65, 30], 65 * 30),
        ("LayerNorm", "layernorm", None, [64, 48], 96),
        ("dense 30", "dense", None, [64, 30], 48 * 30 + 30),
        ("LayerNorm", "layernorm", None, [64, 30], 60),
        ("attention, 6 heads", "attention", None, [65, 30], ATTENTION),
        ("dropout 0.1", "dropout", None, [65, 30], 0),
        ("LayerNorm", "layernorm", None, [65, 30], 60),
        ("dense 2048", "dense", "relu", [65, 2048], 30 * 2048 + 2048),
        ("dropout 0.1", "dropout", None, [65, 2048], 0),
        ("dense 30", "dense", None, [65, 30], 2048 * 30 + 30),
        ("dropout 0.1", "dropout", None, [65, 30], 0),
        ("LayerNorm", "layernorm", None, [65, 30], 60),
        ("LayerNorm", "layernorm", None, [30], 60),
        ("dense 10", "dense", None, [10], 310),
    ]
    assert sum(row[-1] for row in rows) == parameter_count(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"patch": 5},
            r"model vit: images of 32×32 pixels do not divide into patches of 5; change patch or set "
            r"preprocess: resize",
        ),
        ({"heads": 4}, r"model vit: dim 30 does not divide by 4 heads; change one of them"),
        ({"heads": 0}, r"heads: should be greater than or equal to 1, not 0"),
        (
            {"layers": [{"dense": "classes"}]},
            r"layers: should be a whole number, not \[\{dense: 'classes'\}\]",
        ),
        ({"dropout": 1.5}, r"dropout: should be less than or equal to 1, not 1.5"),
        ({"width": -1}, r"width: should be greater than 0, not -1"),
        ({"depth": 6}, r"model vit: depth: unknown key for the family vit"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(RepriseError, match=message):
        build({**AS_RUN, **changes}, 10, IMAGE)


def test_a_missing_option():
    with pytest.raises(RepriseError, match=r"model vit: key patch is missing \(found: dim"):
        build({key: value for key, value in AS_RUN.items() if key != "patch"}, 10, IMAGE)
    with pytest.raises(RepriseError, match=r"images of 32×30 pixels do not divide into patches of 4"):
        build(AS_RUN, 10, (3, 32, 30))
