"""Networks: one file per family, looked up by name.

A family is a function `build(classes, image_shape, weights_dir, *, …)`; its keyword-only parameters are the
keys that a report file may give beside `name`. The network that it returns maps images (N, C, H, W) to logits
(N, classes). A network with a part whose output for a given image never changes while it trains shows that
part as its attribute `frozen_features` (None or absent in all others), and as `head` what maps those features
to logits.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from reprise.errors import RepriseError
from reprise.models import pretrained, residual, resnet, sequential, vit
from reprise.models.options import check_options, choice

FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "residual": residual.build,
    "resnet": resnet.build,
    "sequential": sequential.build,
    "torchvision": pretrained.build,
    "vit": vit.build,
}


def build(
    spec: Mapping[str, Any], classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None = None
) -> nn.Module:
    """The network that `spec` (`name`: the family, and its parameters) describes: images (N, *image_shape) →
    logits (N, classes).

    Initial weights are drawn from torch's global generator, which the caller seeds; `weights_dir` holds
    downloaded ImageNet weights. A mistake in `spec` is a `RepriseError` that names the family, the layer and
    what is valid.
    """
    options = dict(spec)
    try:
        family = choice("family", options.pop("name", None), FAMILIES)
    except RepriseError as error:
        raise RepriseError(f"model: {error}") from None
    try:
        check_options(FAMILIES[family], options)
        return FAMILIES[family](classes, image_shape, weights_dir, **options)
    except RepriseError as error:
        raise RepriseError(f"model {family}: {error}") from None


def build_untrained(spec: Mapping[str, Any], classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """As `build`, with random weights where `spec` names pretrained ones: no weight file is read."""
    return build({**spec, "weights": "random"} if "weights" in spec else spec, classes, image_shape)


def layer_parameters(model: nn.Module) -> dict[str, int]:
    """Name of each module that owns parameters → their number; those of the network itself stand under their
    own names.
    """
    counts: dict[str, int] = {}
    for name, item in model.named_parameters():
        owner = name.rpartition(".")[0] or name
        counts[owner] = counts.get(owner, 0) + item.numel()
    return counts


def parameter_count(model: nn.Module, trainable_only: bool = False) -> int:
    """Number of weights and biases, shared ones once and without running statistics; with `trainable_only`
    those that require gradients.
    """
    return sum(item.numel() for item in model.parameters() if item.requires_grad or not trainable_only)
