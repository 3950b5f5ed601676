"""Options of the families of networks: what `model:` and `models:` of a report file may hold.

To add a family, write a module with its `build` function (see `reprise.models`) and a class here that names
it; or both in a package of your own, with the class under the entry point `reprise.networks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from reprise.plugins import plugins
from reprise.reports.base import Kinds, Positive, Probability, Strict, Text, whole

Activation = Literal["relu", "tanh", "sigmoid"]
Init = Literal["torch", "keras", "xavier_dense"]
"""How weights are drawn: torch's defaults, Keras' (Glorot uniform), or Xavier for dense layers."""
Width = Annotated[float, Field(gt=0, le=1000)]
Channels = Annotated[int, whole(1, 100_000)]
Pixels = Annotated[int, whole(1, 1024)]


# ---- layers ----


class Layer(Strict):
    """One layer of a network that is a list of layers."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)] | None = None
    """What paths, figures and statements call the layer; it changes nothing."""


class Conv(Layer):
    called: ClassVar[str] = "a layer of kind conv"
    conv: Channels
    """Channels."""
    kernel: Pixels = 3
    stride: Pixels = 1
    padding: Literal["same", "valid"] | Annotated[int, whole(0, 1024)] = "valid"
    activation: Activation | None = None
    scaled: bool = True
    """Whether `width` applies to this layer."""


class BatchNorm(Layer):
    called: ClassVar[str] = "a layer of kind batch_norm"
    batch_norm: bool
    """false leaves the layer out."""
    eps: Positive = 1e-5
    momentum: Probability = 0.1
    """Weight of the new batch; Keras' 0.99 is 0.01 here."""


class Pool(Layer):
    called: ClassVar[str] = "a layer of kind pool"
    pool: Literal["max", "avg"]
    size: Pixels = 2
    stride: Pixels | None = None
    """Pixels; absent: the size."""
    padding: Annotated[int, whole(0, 1024)] = 0
    """Pixels."""


class Dropout(Layer):
    called: ClassVar[str] = "a layer of kind dropout"
    dropout: Probability


class Dropout2d(Layer):
    called: ClassVar[str] = "a layer of kind dropout2d"
    dropout2d: Probability


class Flatten(Layer):
    called: ClassVar[str] = "a layer of kind flatten"
    flatten: Literal[True]


class Dense(Layer):
    called: ClassVar[str] = "a layer of kind dense"
    dense: Literal["classes"] | Annotated[int, whole(1, 1_000_000_000)]
    """Units; `classes` is the output layer."""
    activation: Activation | None = None
    scaled: bool = True
    """Whether `width` applies to this layer."""


class ActivationLayer(Layer):
    called: ClassVar[str] = "a layer without a kind"
    activation: Activation


LAYERS: dict[str, type[Layer]] = {
    "conv": Conv,
    "batch_norm": BatchNorm,
    "pool": Pool,
    "dropout": Dropout,
    "dropout2d": Dropout2d,
    "flatten": Flatten,
    "dense": Dense,
    "activation": ActivationLayer,
}
"""The key that tells a layer's kind → its options. `activation` is last: other kinds have one too."""


def layer_kind(layer: Mapping[str, Any]) -> str:
    """The kind of a layer as it stands in a report file; an activation alone is called by its function."""
    kind = next(kind for kind in LAYERS if kind in layer)
    return str(layer[kind]) if kind == "activation" else kind


def layer_places(network: Mapping[str, Any]) -> dict[str, str]:
    """Name of each layer that has one → what its module is called: place and kind, e.g. `8_dense`."""
    return {
        layer["name"]: f"{prefix}{index}_{layer_kind(layer)}"
        for key, prefix in (("layers", ""), ("head", "head."))
        for index, layer in enumerate(network[key] if isinstance(network.get(key), list) else ())
        if layer.get("name")
    }


Layers = Annotated[
    list[Annotated[Layer, Kinds(lambda: LAYERS, "", "kind of layer")]], Field(min_length=1, max_length=1000)
]


# ---- families ----


class Network(Strict):
    """Options of a family of networks; `name` tells the family."""

    builder: ClassVar[str]
    """The function that builds it, as `module:function`."""
    name: str
    title: Text | None = None
    """Name for readers, in tables."""


class Sequential(Network):
    called: ClassVar[str] = "the family sequential"
    builder: ClassVar[str] = "reprise.models.sequential:build"
    name: Literal["sequential"]
    layers: Layers
    init: Init = "torch"
    width: Width = 1
    """Multiplies channels and hidden units (for small scales)."""


class Residual(Network):
    called: ClassVar[str] = "the family residual"
    builder: ClassVar[str] = "reprise.models.residual:build"
    name: Literal["residual"]
    blocks: Annotated[int, whole(1, 1000)]
    """Residual blocks."""
    kernel: Pixels
    """Pixels on the side of their convolutions."""
    filters: Channels
    """Channels of the first block."""
    dropout: Probability = 0
    init: Init = "torch"
    width: Width = 1
    """Multiplies the channels (for small scales)."""


class ResNet(Network):
    called: ClassVar[str] = "the family resnet"
    builder: ClassVar[str] = "reprise.models.resnet:build"
    name: Literal["resnet"]
    depth: Literal[18, 34]
    """Layers."""
    dropout: Probability = 0
    init: Init = "torch"
    width: Width = 1
    """Multiplies the channels (for small scales)."""


class Torchvision(Network):
    called: ClassVar[str] = "the family torchvision"
    builder: ClassVar[str] = "reprise.models.pretrained:build"
    name: Literal["torchvision"]
    arch: str
    """Name in torchvision.models."""
    weights: Literal["imagenet", "random"]
    part: Literal["features"] | None = None
    """features: the convolutions alone, under a head of its own."""
    trainable: Literal["head", "all"] = "all"
    frozen_mode: Literal["train"] | None = None
    """train: a frozen backbone stays in training mode (absent: in inference mode)."""
    head: Layers | None = None
    init: Init = "torch"


class VisionTransformer(Network):
    called: ClassVar[str] = "the family vit"
    builder: ClassVar[str] = "reprise.models.vit:build"
    name: Literal["vit"]
    patch: Annotated[int, whole(1, 4096)]
    """Pixels on the side of a patch."""
    dim: Channels
    """Width of the tokens; the heads must divide it."""
    layers: Annotated[int, whole(1, 1000)]
    """Encoder layers."""
    heads: Annotated[int, whole(1, 1000)]
    feed_forward: Annotated[int, whole(1, 1_000_000)] = 2048
    """Hidden units of an encoder layer."""
    dropout: Probability = 0.1
    width: Width = 1
    """Multiplies the hidden units (for small scales)."""


@cache
def families() -> dict[str, type[Network]]:
    """Name of each family, built in or of an installed package → its options."""
    own: dict[str, type[Network]] = {
        "residual": Residual,
        "resnet": ResNet,
        "sequential": Sequential,
        "torchvision": Torchvision,
        "vit": VisionTransformer,
    }
    return own | plugins("reprise.networks", own, Network)


AnyNetwork = Annotated[Network, Kinds(families, "name", "family of networks")]
