"""Building blocks and initial values that several families share."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn


class SameConv2d(nn.Conv2d):
    """Square convolution with TensorFlow's `same` padding: (N, C, H, W) → (N, channels, ⌈H / stride⌉, ⌈W /
    stride⌉).

    An odd number of padded rows or columns puts the larger half at the bottom and right, and with a stride
    the padding depends on the image size (TensorFlow, `tf.nn`, "Notes on padding"; report 3's kernels of 2
    and 4 pixels need it).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            reversed(images.shape[-2:]), self.kernel_size, self.stride, strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(images, pads) if any(pads) else images)


def same_conv2d(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Convolution with TensorFlow's `same` padding; a plain one where that padding is symmetric for every
    image size.
    """
    if kernel % 2 == 1 and stride == 1:
        return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    return SameConv2d(in_channels, out_channels, kernel, stride)


class Dropout(nn.Dropout):
    """Dropout; on the CPU its mask is drawn in the order of indices, so that it does not depend on how the
    inputs lie in memory.
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training or inputs.is_contiguous() or inputs.is_cuda:
            return super().forward(inputs)
        return inputs * F.dropout(torch.ones(inputs.shape, dtype=inputs.dtype, device=inputs.device), self.p)


def _glorot_uniform(
    module: nn.Module, kinds: tuple[type[nn.Conv2d | nn.Linear], ...] = (nn.Conv2d, nn.Linear)
) -> None:
    """Weights uniform within ±√(6 / (fan in + fan out)), biases zero (Glorot and Bengio 2010); fans as in
    Keras.
    """
    if isinstance(module, kinds):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


INITIALISATIONS: dict[str, Callable[[nn.Module], None] | None] = {
    "torch": None,
    # Keras' default, under the authors' other name Xavier an option of report 5 for its dense layers
    "keras": _glorot_uniform,
    "xavier_dense": partial(_glorot_uniform, kinds=(nn.Linear,)),
}


def initialise(network: nn.Module, init: str) -> None:
    """Draw the initial weights of `network` as `init` says; `torch` leaves those that it was made with."""
    rule = INITIALISATIONS[init]
    if rule is not None:
        network.apply(rule)
