"""In what type a network computes, and how its images lie in memory."""

from typing import Any

import torch
from torch import nn

from reprise.errors import RepriseError, nearest
from reprise.extensions import NETWORKS

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_precision(name: str, family: str, device: torch.device) -> torch.dtype:
    """What matrix products are made in: `float32`, `bfloat16`, or with `auto` bfloat16 for `large` families
    (`reprise.models.families.Family`) on CUDA alone.

    Weights, optimiser, batch statistics and losses are float32 in any case (torch's autocast), and so is
    evaluation.
    """
    if name == "auto":
        large = device.type == "cuda" and NETWORKS.find(family).large
        return torch.bfloat16 if large else torch.float32
    if name not in PRECISIONS:
        raise RepriseError(f"precision {name!r} is not known{nearest(name, ['auto', *PRECISIONS])}")
    return PRECISIONS[name]


def precision_name(precision: torch.dtype) -> str:
    """`float32` or `bfloat16`, as records have it."""
    return str(precision).removeprefix("torch.")


UNSAFE_BELOW = 16
"""Input channels of a strided 1×1 convolution from which the CPU's kernels for channels last are safe: the
largest block of a kernel.
"""


def memory_format(network: nn.Module, precision: torch.dtype, device: torch.device) -> torch.memory_format:
    """How the images and convolutions of `network` lie in memory: channels last where it is faster and safe.

    It is faster with the CPU's kernels (1 to 1.7 times) and with bfloat16's on CUDA. A network without
    convolutions has nothing to gain.

    On the CPU a network with a strided 1×1 convolution of few input channels stays contiguous. For it, in
    channels last, the gradient of the weights is written past oneDNN's workspace when the channels do not
    fill a block of the kernel (8 with AVX2, 16 with AVX-512): the process crashes, hangs, or goes on with
    wrong gradients (oneDNN 3.13 in torch 2.15; uxlfoundation/oneDNN issue 6035).
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if device.type == "cpu":
        faster = bool(convolutions) and not any(map(_unsafe_in_channels_last, convolutions))
    else:
        faster = bool(convolutions) and precision == torch.bfloat16
    return torch.channels_last if faster else torch.contiguous_format


def place(network: nn.Module, precision: torch.dtype, device: torch.device) -> None:
    """Move a network to the device, its convolutions as `memory_format` has them."""
    layout = memory_format(network, precision, device)
    options: dict[str, Any] = {"memory_format": layout}  # which torch's types do not know beside a device
    network.to(device, **options)


def _unsafe_in_channels_last(convolution: nn.Conv2d) -> bool:
    pointwise, strided = set(convolution.kernel_size) == {1}, set(convolution.stride) != {1}
    return pointwise and strided and convolution.in_channels // convolution.groups < UNSAFE_BELOW
