"""Family `sequential`: networks that are a list of layers (reports 1 to 5).

    {name: sequential, init: keras, layers: [{conv: 32, padding: same, activation: relu}, {pool: max},
    {flatten: true}, {dense: classes}]}

Layers count from 0, and parameters are named by place and kind (`0_conv.weight`). Each layer is a mapping
with one kind and its options; `batch_norm: false` keeps its place and does nothing.

| Kind | Options (default) | |---|---| | `conv: channels` | `kernel` (3), `stride` (1), `padding` (`valid`;
TensorFlow's `same`, or pixels), `activation` (none), `scaled` (true) | | `batch_norm: true` | `eps` (1e-5),
`momentum` (0.1), the weight of the new batch: Keras' 0.99 is 0.01 here | | `pool: max` or `avg` | `size` (2),
`stride` (the size), `padding` in pixels (0) | | `dropout: rate`, `dropout2d: rate` | – | | `flatten: true` |
– | | `dense: units` | `activation` (none), `scaled` (true) | | `dense: classes` | the output layer: one logit
per class | | `activation: relu`, `tanh` or `sigmoid` | – |

`width` multiplies the channels of convolutions and the units of hidden dense layers. `scaled: false` exempts
one, for a layer whose weights come from another network's output layer (report 1's network retrained on
STL-10).
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from reprise.errors import RepriseError
from reprise.models.blocks import Dropout, initialise, same_conv2d
from reprise.models.options import check_options, choice, number, switch, whole
from reprise.reports.check import nearest

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

    def scale(self, what: str, value: Any, scaled: bool) -> int:
        count = whole(what, value)
        return max(1, round(count * self.width)) if choice("scaled", scaled, (True, False)) else count


_Layer = tuple[dict[str, nn.Module], Shape]
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
    if activation is None:
        return {kind: module}
    return {kind: module, activation: ACTIVATIONS[choice("activation", activation, ACTIVATIONS)]()}


def _conv(
    net: _Net,
    shape: Shape,
    value: Any,
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: str | int = "valid",
    activation: str | None = None,
    scaled: bool = True,
) -> _Layer:
    inputs = _image(shape)[0]
    channels, kernel, stride = (
        net.scale("conv", value, scaled),
        whole("kernel", kernel),
        whole("stride", stride),
    )
    if padding == "same":
        module = same_conv2d(inputs, channels, kernel, stride)
        size = tuple(-(-length // stride) for length in shape[1:])
    else:
        if isinstance(padding, str):
            choice("padding", padding, ("valid", "same"))
        pixels = 0 if padding == "valid" else whole("padding", padding, 0)
        module = nn.Conv2d(inputs, channels, kernel, stride, pixels)
        size = _windows(shape, kernel, stride, pixels)
    return _with_activation("conv", module, activation), (channels, *size)


def _pool(
    net: _Net, shape: Shape, value: Any, *, size: int = 2, stride: int | None = None, padding: int = 0
) -> _Layer:
    channels = _image(shape)[0]
    pool = POOLS[choice("pool", value, POOLS)]
    size = whole("size", size)
    stride = size if stride is None else whole("stride", stride)
    padding = whole("padding", padding, 0)
    if padding > size // 2:
        raise RepriseError(f"padding {padding} is more than half the size {size}; lower it")
    return {"pool": pool(size, stride, padding)}, (channels, *_windows(shape, size, stride, padding))


def _batch_norm(net: _Net, shape: Shape, value: Any, *, eps: float = 1e-5, momentum: float = 0.1) -> _Layer:
    if not choice(
        "batch_norm", value, (True, False)
    ):  # a search may switch it (report 5); the layers after it keep their places
        return {}, shape
    norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return {"batch_norm": norm(shape[0], number("eps", eps), number("momentum", momentum, 1))}, shape


def _dropout(net: _Net, shape: Shape, value: Any) -> _Layer:
    return {"dropout": Dropout(number("dropout", value, 1))}, shape


def _dropout2d(net: _Net, shape: Shape, value: Any) -> _Layer:
    return {"dropout2d": nn.Dropout2d(number("dropout2d", value, 1))}, _image(shape)


def _flatten(net: _Net, shape: Shape, value: Any) -> _Layer:
    switch("flatten", value)
    return {"flatten": nn.Flatten()}, (math.prod(shape),)


def _dense(
    net: _Net, shape: Shape, value: Any, *, activation: str | None = None, scaled: bool = True
) -> _Layer:
    if len(shape) != 1:
        raise RepriseError(
            f"needs flat features, but an image of {_text(shape)} comes in; put {{flatten: true}} before it"
        )
    if value == "classes" and activation is not None:
        raise RepriseError(
            "the output layer gives logits (softmax is part of the loss); remove its activation"
        )
    units = net.classes if value == "classes" else net.scale("dense", value, scaled)
    return _with_activation("dense", nn.Linear(shape[0], units), activation), (units,)


def _activation(net: _Net, shape: Shape, value: Any) -> _Layer:
    return {value: ACTIVATIONS[choice("activation", value, ACTIVATIONS)]()}, shape


KINDS: dict[str, Callable[..., _Layer]] = {
    "conv": _conv,
    "batch_norm": _batch_norm,
    "pool": _pool,
    "dropout": _dropout,
    "dropout2d": _dropout2d,
    "flatten": _flatten,
    "dense": _dense,
    "activation": _activation,
}


def _kind(layer: Any) -> str:
    """The one kind that `layer` names; `activation` is also an option of other kinds."""
    if not isinstance(layer, Mapping) or not layer:
        raise RepriseError(f"must be a mapping such as {{conv: 32}}, not {layer!r}")
    kinds = [key for key in layer if key in KINDS and (key != "activation" or len(layer) == 1)]
    if not kinds:
        first = next(iter(layer))
        raise RepriseError(f"names no kind of layer: {first}{nearest(first, KINDS)}")
    if len(kinds) > 1:
        raise RepriseError(f"names the kinds {' and '.join(kinds)}; give each a mapping of its own")
    return kinds[0]


def network(
    layers: Sequence[Mapping[str, Any]],
    classes: int,
    input_shape: Shape,
    init: str = "torch",
    width: float = 1,
) -> Network:
    """`layers` on inputs of `input_shape`, ending in (N, classes); a layer that does not fit is a
    `RepriseError` with its index.
    """
    net = _Net(classes, number("width", width))
    if not isinstance(layers, Sequence) or isinstance(layers, str) or not layers:
        raise RepriseError(f"layers must be a list of at least one layer, not {layers!r}")
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    shape = tuple(input_shape)
    for index, layer in enumerate(layers):
        where = f"layer {index}"
        try:
            kind = _kind(layer)
            where += f" ({kind})"
            options = {key: value for key, value in layer.items() if key != kind}
            check_options(KINDS[kind], options)
            parts, shape = KINDS[kind](net, shape, layer[kind], **options)
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


def build(
    classes: int,
    image_shape: tuple[int, int, int],
    weights_dir: Path | None,
    *,
    layers: Sequence[Mapping[str, Any]],
    init: str = "torch",
    width: float = 1,
) -> Network:
    """A network for images of `image_shape` (C, H, W); this family reads no weight files."""
    return network(layers, classes, image_shape, init, width)
