"""Family `sequential`: networks that are a list of layers (reports 1 to 5).

    {name: sequential, init: keras, layers: [{conv: 32, padding: same, activation: relu}, {pool: max},
    {flatten: true}, {dense: classes}]}

Layers count from 0, and parameters are named by place and kind (`0_conv.weight`). Kinds and their options
stand in `reprise.models.families`. A new kind of layer is a class there and a function here.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import nn

from reprise.errors import RepriseError
from reprise.models import families
from reprise.models.blocks import Dropout, initialise, same_conv2d
from reprise.models.families import Layer, kind_of

Shape = tuple[int, ...]
"""Of one image (C, H, W) or of flat features (F,), without the batch."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class Network(nn.Sequential):
    """Layers in order: (N, C, H, W) → logits (N, classes)."""

    frozen_features: nn.Module | None = None
    """Every part trains; see `reprise.models.pretrained.TransferNetwork`."""


class _Net(NamedTuple):
    """What a layer must know of the whole network."""

    classes: int
    width: float

    def scale(self, count: int, scaled: bool) -> int:
        return max(1, round(count * self.width)) if scaled else count


_Modules = tuple[dict[str, nn.Module], Shape]
"""Modules by kind, and the shape after them."""


def _text(shape: Shape) -> str:
    return " × ".join(str(size) for size in shape)


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise RepriseError(
            f"needs an image, but {_text(shape)} flat features come in; move it before flatten and dense"
        )
    return shape


def _windows(shape: Shape, size: int, stride: int, padding: int) -> Shape:
    """Height and width after a window of `size` pixels has slid over an image of `shape`."""
    rows, columns = ((length + 2 * padding - size) // stride + 1 for length in shape[1:])
    if rows < 1 or columns < 1:
        pixels = _text(shape[1:])
        raise RepriseError(
            f"an image of {pixels} pixels is too small for a window of {size}; use larger images or smaller "
            "windows"
        )
    return rows, columns


def _with_activation(kind: str, module: nn.Module, activation: str | None) -> dict[str, nn.Module]:
    return {kind: module} | ({activation: ACTIVATIONS[activation]()} if activation else {})


def _conv(net: _Net, shape: Shape, layer: families.ConvLayer) -> _Modules:
    inputs, channels = _image(shape)[0], net.scale(layer.conv, layer.scaled)
    if layer.padding == "same":
        module = same_conv2d(inputs, channels, layer.kernel, layer.stride)
        size = tuple(-(-length // layer.stride) for length in shape[1:])
    else:
        pixels = 0 if layer.padding == "valid" else layer.padding
        module = nn.Conv2d(inputs, channels, layer.kernel, layer.stride, pixels)
        size = _windows(shape, layer.kernel, layer.stride, pixels)
    return _with_activation("conv", module, layer.activation), (channels, *size)


def _pool(net: _Net, shape: Shape, layer: families.PoolLayer) -> _Modules:
    size, stride, padding = layer.size, layer.stride or layer.size, layer.padding
    if padding > size // 2:
        raise RepriseError(f"padding {padding} is more than half the size {size}; lower it")
    after = (_image(shape)[0], *_windows(shape, size, stride, padding))
    return {"pool": POOLS[layer.pool](size, stride, padding)}, after


def _batch_norm(net: _Net, shape: Shape, layer: families.BatchNormLayer) -> _Modules:
    if not layer.batch_norm:  # a search may switch it (report 5); the layers after it keep their places
        return {}, shape
    norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return {"batch_norm": norm(shape[0], layer.eps, layer.momentum)}, shape


def _dropout(net: _Net, shape: Shape, layer: families.DropoutLayer) -> _Modules:
    return {"dropout": Dropout(layer.dropout)}, shape


def _dropout2d(net: _Net, shape: Shape, layer: families.Dropout2dLayer) -> _Modules:
    return {"dropout2d": nn.Dropout2d(layer.dropout2d)}, _image(shape)


def _flatten(net: _Net, shape: Shape, layer: families.FlattenLayer) -> _Modules:
    return {"flatten": nn.Flatten()}, (math.prod(shape),)


def _dense(net: _Net, shape: Shape, layer: families.DenseLayer) -> _Modules:
    if len(shape) != 1:
        raise RepriseError(
            f"needs flat features, but an image of {_text(shape)} comes in; put {{flatten: true}} before it"
        )
    if layer.dense == "classes" and layer.activation is not None:
        raise RepriseError(
            "the output layer gives logits (softmax is part of the loss); remove its activation"
        )
    units = net.classes if layer.dense == "classes" else net.scale(layer.dense, layer.scaled)
    return _with_activation("dense", nn.Linear(shape[0], units), layer.activation), (units,)


def _activation(net: _Net, shape: Shape, layer: families.ActivationLayer) -> _Modules:
    return {layer.activation: ACTIVATIONS[layer.activation]()}, shape


BUILDERS: dict[type[Layer], Callable[[_Net, Shape, Any], _Modules]] = {
    families.ConvLayer: _conv,
    families.BatchNormLayer: _batch_norm,
    families.PoolLayer: _pool,
    families.DropoutLayer: _dropout,
    families.Dropout2dLayer: _dropout2d,
    families.FlattenLayer: _flatten,
    families.DenseLayer: _dense,
    families.ActivationLayer: _activation,
}


def network(
    layers: Sequence[Layer], classes: int, input_shape: Shape, init: str = "torch", width: float = 1
) -> Network:
    """`layers` on inputs of `input_shape`, ending in (N, classes); a layer that does not fit is a
    `RepriseError` with its index.
    """
    net = _Net(classes, width)
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    shape = tuple(input_shape)
    for index, layer in enumerate(layers):
        where = f"layers[{index}] ({kind_of(layer)})"
        try:
            parts, shape = BUILDERS[type(layer)](net, shape, layer)
        except RepriseError as error:
            raise RepriseError(f"{where}: {error}") from None
        modules |= {f"{index}_{name}": module for name, module in parts.items()}
    if shape != (classes,):
        raise RepriseError(
            f"{where}: its output of {_text(shape)} is not {classes} classes wide; end with {{dense: "
            f"classes}}"
        )
    made = Network(modules)
    initialise(made, init)
    return made
