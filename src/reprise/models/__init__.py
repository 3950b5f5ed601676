"""Networks by name: the families and their options (`families`), one file for the code of each.

Where do I add one? See docs/extending.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError
from reprise.extensions import NETWORKS, code_behind
from reprise.schema import parse

if TYPE_CHECKING:
    from torch import nn  # the names and options of networks are known without it


def build(
    spec: Mapping[str, Any], classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None = None
) -> nn.Module:
    """The network that `spec` (`name`: the family, and its options) describes: images (N, *image_shape) →
    logits (N, classes).

    Initial weights are drawn from torch's global generator, which the caller seeds; `weights_dir` holds
    downloaded ImageNet weights. A mistake in `spec` is a `RepriseError` that names the family, the option and
    what is valid.
    """
    options = dict(spec)
    name = options.pop("name", None)
    try:
        family = NETWORKS.find(name)
    except RepriseError as error:
        raise RepriseError(f"model: {error}") from None
    given = parse(family, options, f"model {name}")
    try:
        with code_behind(family, f"network {name}"):
            return given.build(classes, image_shape, weights_dir)
    except RepriseError as error:
        raise RepriseError(f"model {name}: {error}") from None


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
