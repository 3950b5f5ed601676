"""Family `torchvision`: a reference architecture of torchvision with a new head (reports 2, 3 and 4).

    {name: torchvision, arch: vgg16, part: features, weights: imagenet, trainable: head,
     head: [{flatten: true}, {dense: classes}], init: keras}

- `part: features` keeps the convolutions only (Keras' `include_top=False`); without it, only the last linear
  layer goes.
- `weights`: `imagenet` (torchvision's IMAGENET1K_V1, a file of the catalog) or `random`.
- `trainable`: `all`, or `head`: the rest is frozen. It then runs in inference mode, batch normalisation and
  dropout included, as in Keras, or with `frozen_mode: train` in training mode, as in report 2's code: while
  the head trains, batch normalisation uses the batch's statistics and its running ones drift, dropout and
  stochastic depth act; evaluation uses the running statistics.
- `head`: layers of the family `sequential`, initialised as `init` says; absent: one dense layer (after a
  flattening one for `features`).
"""

from pathlib import Path

import torch
from torch import nn

from reprise.data.catalog import WEIGHTS
from reprise.errors import DamagedError, RepriseError, file_error, gist, nearest
from reprise.models import sequential
from reprise.models.families import DenseLayer, FlattenLayer, Torchvision
from reprise.records import file_digest

AUXILIARY = {"googlenet", "inception_v3"}
"""Architectures that give more than logits while they train."""


class TransferNetwork(nn.Module):
    """`backbone`, then `head`: (N, C, H, W) → logits (N, classes).

    The parameters of a `frozen` backbone do not train. A `fixed` one stays in inference mode too.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, *, frozen: bool, fixed: bool) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not frozen)
        self.head = head
        self.fixed = fixed
        self.train()

    @property
    def frozen_features(self) -> nn.Module | None:
        """The fixed part: its output for a given image never changes, so it can be computed once and kept.
        None where it can change.
        """
        return self.backbone if self.fixed else None

    def train(self, mode: bool = True) -> "TransferNetwork":
        """Set training mode; a fixed backbone stays in inference mode."""
        super().train(mode)
        if self.fixed:
            self.backbone.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def _load_imagenet(net: nn.Module, arch: str, folder: Path | None) -> None:
    if arch not in WEIGHTS:
        raise RepriseError(
            f"no ImageNet weights are listed for {arch}; valid: {', '.join(WEIGHTS)}, or weights: random"
        )
    remedy = f"run python -m reprise data fetch-weights {arch} (or set mirror)"
    if folder is None:
        raise RepriseError(f"no folder for the ImageNet weights of {arch} is given; {remedy}")
    path = Path(folder) / WEIGHTS[arch].file_name
    if not path.is_file():
        raise RepriseError(f"{path}: the ImageNet weights of {arch} are missing; {remedy}")
    if not file_digest(path).startswith(WEIGHTS[arch].sha256_prefix):
        what = f"{path}: not the ImageNet weights of {arch} (its SHA-256 does not begin as its name says)"
        raise DamagedError(what, f"delete it and {remedy}")
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can make anything of torch, and so can a lack of memory
        if isinstance(error, OSError) and error.errno:
            raise RepriseError(file_error(error, path)) from None
        raise RepriseError(
            f"{path}: cannot be loaded ({gist(error)}), though the file is good; is there too little memory?"
        ) from None


def _backbone(net: nn.Module, arch: str, part: str | None) -> nn.Module:
    """`net` without its last linear layer, or its convolutions only."""
    if part == "features":
        features = getattr(net, "features", None)
        if not isinstance(features, nn.Module):
            raise RepriseError(f"{arch} has no part of its own named features; leave part out")
        return features
    linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise RepriseError(f"{arch} does not end in a linear layer; use part: features")
    net.set_submodule(linear[-1], nn.Identity())
    return net


def _feature_shape(backbone: nn.Module, arch: str, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    backbone.eval()
    try:
        with torch.no_grad():
            return tuple(backbone(torch.zeros(1, *image_shape)).shape[1:])
    except (RuntimeError, AssertionError, ValueError) as error:
        size = "×".join(str(length) for length in image_shape)
        raise RepriseError(
            f"{arch} does not take images of {size} ({' '.join(str(error).split())}); set preprocess: resize"
        ) from None


def transfer_network(
    options: Torchvision, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None
) -> TransferNetwork:
    """The architecture for images of `image_shape` (C, H, W), with a head that gives `classes` logits."""
    from torchvision import models  # takes as long as torch, which the other families need not pay

    arch = options.arch
    known = [name for name in models.list_models(module=models) if name not in AUXILIARY]
    if arch not in known:
        raise RepriseError(f"arch: {arch!r} is not valid{nearest(arch, known)}")
    frozen = options.trainable == "head"
    if options.frozen_mode == "train" and not frozen:
        raise RepriseError(
            "frozen_mode: train is for a frozen backbone; set trainable: head or leave frozen_mode out"
        )
    net = models.get_model(arch, weights=None)
    if options.weights == "imagenet":
        _load_imagenet(net, arch, weights_dir)
    backbone = _backbone(net, arch, options.part)
    shape = _feature_shape(backbone, arch, image_shape)
    head = options.head
    if head is None:
        head = [*([FlattenLayer(flatten=True)] if len(shape) > 1 else []), DenseLayer(dense="classes")]
    try:
        layers = sequential.network(head, classes, shape, options.init)
    except RepriseError as error:
        raise RepriseError(f"head: {error}") from None
    return TransferNetwork(backbone, layers, frozen=frozen, fixed=frozen and options.frozen_mode is None)
