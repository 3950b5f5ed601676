"""The family `torchvision`: parts, heads, weight files and frozen backbones."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from reprise.data.augment import build_preprocess
from reprise.data.catalog import WEIGHTS
from reprise.errors import RepriseError
from reprise.models import build, parameter_count, pretrained
from reprise.reports.settings import PreprocessSettings

IMAGE = (3, 32, 32)
ARCH = "mobilenet_v3_small"  # small, and with batch normalisation and dropout
REPORT_2 = ["mobilenet_v3_small", "efficientnet_v2_s", "resnet18"]


def network(
    classes: int = 10,
    image_shape: tuple[int, int, int] = IMAGE,
    weights_dir: Path | None = None,
    **options: Any,
) -> nn.Module:
    return build(
        {"name": "torchvision", "arch": ARCH, "weights": "random", **options},
        classes,
        image_shape,
        weights_dir,
    )


@pytest.mark.slow
def test_vgg16_counts():
    whole = network(classes=1000, arch="vgg16", trainable="head")
    features = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(9 * inputs * outputs + outputs for inputs, outputs in itertools.pairwise(features))
    dense = (7 * 7 * 512 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
    assert parameter_count(whole.backbone.features) == 14_714_688 == convolutions
    assert parameter_count(whole) == 138_357_544 == convolutions + dense
    assert parameter_count(whole, trainable_only=True) == 4096 * 1000 + 1000


@pytest.mark.slow
def test_vgg16_features_with_a_dense_head():
    """Keras' VGG16(include_top=False) turns 32 × 32 pixels into 1 × 1 × 512."""
    model = network(
        100,
        arch="vgg16",
        part="features",
        trainable="head",
        init="keras",
        head=[{"flatten": True}, {"dense": "classes"}],
    )
    assert parameter_count(model) == 14_714_688 + 512 * 100 + 100
    assert parameter_count(model, trainable_only=True) == 512 * 100 + 100
    assert not model.head.get_submodule("1_dense").bias.any()
    assert model(torch.zeros(2, *IMAGE)).shape == (2, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "printed", "whole", "features"),
    [
        ("mobilenet_v3_small", 2.5, 2_542_856, 1024),
        ("efficientnet_v2_s", 21.5, 21_458_488, 1280),
        ("resnet18", 11.7, 11_689_512, 512),
    ],
)
def test_parameter_counts_of_report_2(arch, printed, whole, features):
    """The report prints those of the nets with ImageNet's 1000 classes; the last layer has `features`
    inputs.
    """
    assert (
        parameter_count(network(1000, arch=arch))
        == parameter_count(models.get_model(arch, weights=None))
        == whole
    )
    assert round(whole / 1e6, 1) == printed
    ten = network(10, arch=arch, trainable="head", frozen_mode="train")
    assert parameter_count(ten) == whole - 990 * (features + 1)
    assert parameter_count(ten, trainable_only=True) == 10 * (features + 1)
    assert parameter_count(network(10, arch=arch), trainable_only=True) == whole - 990 * (features + 1)


def real_looking_images() -> torch.Tensor:
    """uint8 (6, 3, 32, 32): smooth areas, edges and texture, with black and white."""
    torch.manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(6, 3, 5, 5), size=32, mode="bicubic")
    edges = (nn.functional.interpolate(torch.rand(6, 1, 8, 8), size=32) - 0.5) * 0.6
    return ((smooth + edges + 0.08 * torch.randn(6, 3, 32, 32)) * 255).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(
    ("arch", "resize", "crop"), [(REPORT_2[0], 256, 224), (REPORT_2[1], 384, 384), (REPORT_2[2], 256, 224)]
)
def test_own_preprocessing_is_torchvisions(arch, resize, crop):
    """A batch in float against one image at a time, which torchvision rounds to whole grey levels once, and
    Pillow after each direction.
    """
    transforms = models.get_model_weights(arch).IMAGENET1K_V1.transforms()
    images = real_looking_images()
    settings = PreprocessSettings(normalize="imagenet", resize=resize, crop=crop)
    ours = build_preprocess(
        settings, lambda: pytest.fail("statistics are not asked for"), torch.device("cpu")
    )(images)
    grey_levels = 255 * torch.tensor(transforms.std).view(3, 1, 1)
    for given, most in (
        (list(images), 0.501),
        ([Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images], 1.001),
    ):
        reference = torch.stack([transforms(image) for image in given])
        assert ours.shape == reference.shape == (6, 3, crop, crop)
        difference = (ours - reference).abs() * grey_levels
        assert difference.max() < most
        assert difference.mean() < 0.3
    assert (ours * grey_levels).std() > 30, "images without contrast prove nothing"


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "resnet18"])
def test_only_the_last_layer_is_replaced(arch):
    torch.manual_seed(0)
    model = network(10, (3, 64, 64), arch=arch).eval()
    torch.manual_seed(0)
    reference = models.get_model(arch, weights=None).eval()
    last = reference.fc if arch == "resnet18" else reference.classifier[-1]
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        model.head[0].weight.copy_(last.weight[:10])
        model.head[0].bias.copy_(last.bias[:10])
        torch.testing.assert_close(model(images), reference(images)[:, :10])
    assert model.frozen_features is None


@pytest.mark.parametrize("part", [None, "features"])
def test_a_frozen_backbone_neither_learns_nor_changes(part):
    torch.manual_seed(0)
    model = network(part=part, trainable="head").train()
    before = {name: item.clone() for name, item in model.backbone.state_dict().items()}
    images = torch.rand(4, *IMAGE)
    features = model.frozen_features(images)
    assert model.frozen_features is model.backbone
    assert torch.equal(
        model(images), model.head(features)
    )  # one image's features never change, so they may be kept
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(images).square().sum().backward()
    optimizer.step()
    assert all(item.grad is None for item in model.backbone.parameters())
    assert all(item.grad is not None for item in model.head.parameters())
    assert model.training
    assert model.head.training
    assert not any(module.training for module in model.backbone.modules())
    assert all(torch.equal(item, before[name]) for name, item in model.backbone.state_dict().items())
    assert torch.equal(model.frozen_features(images), features)


@pytest.mark.slow
@pytest.mark.parametrize("arch", REPORT_2)
def test_a_frozen_backbone_in_training_mode(arch):
    """Report 2's code: its parameters stay, its running statistics drift, dropout and stochastic depth
    act.
    """
    torch.manual_seed(0)
    model = network(arch=arch, trainable="head", frozen_mode="train")
    model(torch.rand(8, *IMAGE))  # away from the initial running statistics
    assert model.frozen_features is None
    assert all(module.training for module in model.modules())
    parameters = {name: item.clone() for name, item in model.named_parameters()}
    statistics = {name: item.clone() for name, item in model.named_buffers()}
    images = torch.rand(8, *IMAGE) * 3
    optimizer = torch.optim.SGD([item for item in model.parameters() if item.requires_grad], lr=0.1)
    model(images).square().sum().backward()
    optimizer.step()
    changed = {name for name, item in model.named_parameters() if not torch.equal(item, parameters[name])}
    assert changed == {"head.0_dense.weight", "head.0_dense.bias"}
    assert all(item.grad is None for item in model.backbone.parameters())
    assert all(not torch.equal(item, statistics[name]) for name, item in model.named_buffers())
    assert set(statistics) <= set(model.state_dict())
    before = model.eval()(images)
    assert not any(module.training for module in model.modules())
    assert torch.equal(model(images), before)
    model.train()
    if arch != "resnet18":  # it has neither dropout nor stochastic depth
        assert not torch.equal(model(images), model(images))
    model.load_state_dict({**model.state_dict(), **statistics})
    assert not torch.allclose(model.eval()(images), before), "evaluation uses the running statistics"


def test_an_unfrozen_backbone_trains_in_training_mode():
    model = network()
    assert all(module.training for module in model.modules())
    assert all(item.requires_grad for item in model.parameters())
    assert not any(module.training for module in model.eval().modules())


@pytest.fixture
def believed(monkeypatch):
    """Whatever the file holds, its digest is the one in its name."""
    monkeypatch.setattr(pretrained, "file_digest", lambda path: path.stem.partition("-")[2])


def test_imagenet_weights_are_read_from_their_file(tmp_path: Path, believed):
    torch.manual_seed(5)
    saved = models.get_model(ARCH, weights=None)
    torch.save(saved.state_dict(), tmp_path / WEIGHTS[ARCH].file_name)
    model = network(weights="imagenet", weights_dir=tmp_path, part="features")
    assert all(
        torch.equal(item, saved.features.state_dict()[name])
        for name, item in model.backbone.state_dict().items()
    )


@pytest.mark.parametrize("arch", REPORT_2)
def test_weights_of_another_architecture_do_not_fit(tmp_path: Path, arch, believed):
    other = REPORT_2[REPORT_2.index(arch) - 1]
    torch.save(models.get_model(other, weights=None).state_dict(), tmp_path / WEIGHTS[arch].file_name)
    expected = (
        rf"{WEIGHTS[arch].file_name}: cannot be loaded \(Error\(s\) in loading state_dict .*Missing key"
    )
    with pytest.raises(RepriseError, match=expected) as error:
        network(arch=arch, weights="imagenet", weights_dir=tmp_path)
    assert "though the file is good" in str(error.value)


def test_a_missing_weight_file(tmp_path: Path):
    expected = r"mobilenet_v3_small-047dcff4.pth: the ImageNet weights of mobilenet_v3_small are missing; "
    with pytest.raises(
        RepriseError,
        match=expected + r"run python -m reprise data fetch-weights mobilenet_v3_small \(or set mirror\)",
    ):
        network(weights="imagenet", weights_dir=tmp_path)
    with pytest.raises(
        RepriseError,
        match=r"no folder for the ImageNet weights of mobilenet_v3_small is given; run python -m reprise "
        r"data",
    ):
        network(weights="imagenet")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text", "cannot be loaded"),
        ("empty", "cannot be loaded"),
        ("cut", "cannot be loaded"),
        ("other", r"cannot be loaded \(Error\(s\) in loading state_dict .*Missing key"),
        ("list", r"cannot be loaded \(Expected state_dict to be dict-like"),
        ("code", r"cannot be loaded \(Weights only load failed"),
    ],
)
def test_a_weight_file_that_does_not_fit(tmp_path: Path, content, reason, believed):
    path = tmp_path / WEIGHTS[ARCH].file_name
    if content in ("text", "empty"):
        path.write_text("<html>not found</html>" if content == "text" else "")
    else:
        values = {
            "other": {"weight": torch.zeros(3)},
            "list": [1, 2],
            "code": nn.Linear(2, 2),
            "cut": {"weight": torch.zeros(3000)},
        }
        torch.save(values[content], path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(RepriseError, match=reason) as error:
        network(weights="imagenet", weights_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(
        "though the file is good; is there too little memory?"
    )  # its digest says so


def test_a_weight_file_whose_content_is_not_that_of_its_name(tmp_path: Path):
    """It would load: only its content says that it is not the official one."""
    torch.save(models.get_model(ARCH, weights=None).state_dict(), tmp_path / WEIGHTS[ARCH].file_name)
    reason = (
        rf"not the ImageNet weights of {ARCH} \(its SHA-256 does not begin as its name says\); delete "
        r"it and run python"
    )
    with pytest.raises(RepriseError, match=reason):
        network(weights="imagenet", weights_dir=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "restnet18"}, r"arch: 'restnet18' is not valid; did you mean resnet18\?"),
        ({"arch": "inception_v3"}, r"arch: 'inception_v3' is not valid"),
        ({"weights": "imagnet"}, r"weights: 'imagnet' is not valid; did you mean imagenet\?"),
        ({"part": "feature"}, r"part: 'feature' is not valid; did you mean features\?"),
        (
            {"frozen_mode": "eval", "trainable": "head"},
            r"frozen_mode: 'eval' is not valid; valid: train",
        ),
        (
            {"frozen_mode": "train"},
            r"frozen_mode: train is for a frozen backbone; set trainable: head or leave frozen_mode out",
        ),
        ({"trainable": "heads"}, r"trainable: 'heads' is not valid; did you mean head\?"),
        (
            {"arch": "resnet34", "weights": "imagenet"},
            r"no ImageNet weights are listed for resnet34; valid: vgg16, .*or weights: random",
        ),
        (
            {"arch": "resnet18", "part": "features"},
            r"resnet18 has no part of its own named features; leave part out",
        ),
        ({"arch": "squeezenet1_1"}, r"squeezenet1_1 does not end in a linear layer; use part: features"),
        (
            {"part": "features", "head": [{"dense": "classes"}]},
            r"head: layers\[0\] \(dense\): needs flat features",
        ),
        ({"head": [{"dense": 3}]}, r"head: layers\[0\] \(dense\): its output of 3 is not 10 classes wide"),
        ({"init": "he"}, r"init: 'he' is not valid"),
        (
            {"dropout": 0.5},
            r"dropout: unknown key for the family torchvision; valid: arch, weights",
        ),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(RepriseError, match=message):
        network(**options)


@pytest.mark.parametrize(("arch", "image_shape"), [("alexnet", (3, 8, 8)), ("resnet18", (1, 32, 32))])
def test_images_that_the_architecture_cannot_take(arch, image_shape):
    size = "×".join(map(str, image_shape))
    with pytest.raises(
        RepriseError, match=rf"{arch} does not take images of {size} \(.+\); set preprocess: resize"
    ):
        network(arch=arch, image_shape=image_shape)
