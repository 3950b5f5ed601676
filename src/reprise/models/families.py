"""The families of networks: which options each has, with their bounds, and how a network is built from them.

This is the one place where options are written down: the check of report files reads them from here, and so
it needs no torch, which is imported when a network is built. A new family is a class here, a line in
`FAMILIES`, and a module with its network; in a package of your own it is the same class, named by an entry
point (docs/extending.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from reprise.schema import LOWER_CASE, Probability, Strict, either, form, of_type, titled

if TYPE_CHECKING:
    from torch import nn

Init = Literal["torch", "keras", "xavier_dense"]
"""Initial weights: torch's default; Keras' default (Glorot uniform); that of the dense layers alone."""
ActivationName = Literal["relu", "tanh", "sigmoid"]
Width = Annotated[float, Field(gt=0, le=1000)]
INITIAL_WEIGHTS = (
    "initial weights: torch's default; Keras' (Glorot uniform); torch's with Glorot's for dense layers alone"
)
WIDENS = "multiplies channels and hidden units; a demo uses it to make networks narrow"


class Family(Strict, ABC):
    """The options that a report file gives a family of networks beside its `name` and `title`."""

    large: ClassVar[bool] = False
    """Whether such networks train on CUDA with convolutions and matrix products in bfloat16, unless float32
    is asked for. For small ones that is no faster.
    """

    @abstractmethod
    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        """A network for images (N, C, H, W) of `image_shape` (C, H, W) that gives logits (N, classes).

        Initial weights are drawn from torch's global generator, which the caller seeds. `weights_dir` holds
        the downloaded ImageNet weights. What does not fit together is a `RepriseError`.

        A network with a part whose output for a given image never changes while it trains shows that part as
        its attribute `frozen_features` (None or absent in all others), and as `head` what maps those features
        to logits.
        """


# ---- layers of the family sequential ----


class Layer(Strict):
    """One kind of layer. Its first key is the kind, with the layer's size."""

    name: str | None = Field(
        None,
        pattern=form(r"^[a-z][a-z0-9_]*$", LOWER_CASE),
        max_length=100,
        description="what paths, figures and statements call the layer; it changes nothing",
    )


class ConvLayer(Layer):
    model_config = titled("a layer of kind conv")
    conv: int = Field(ge=1, le=100_000, description="channels")
    kernel: int = Field(3, ge=1, le=1024, description="pixels on the side of the kernel")
    stride: int = Field(1, ge=1, le=1024, description="pixels from one place of the kernel to the next")
    padding: Annotated[
        Literal["same", "valid"] | Annotated[int, Field(ge=0, le=1024)],
        either("same (as TensorFlow's), valid, or a number of pixels up to 1024"),
    ] = Field("valid", description="zeros around the image: same as in TensorFlow, none, or so many pixels")
    activation: ActivationName | None = Field(None, description="after the layer; absent: none")
    scaled: bool = Field(True, description="whether width applies to this layer")


class BatchNormLayer(Layer):
    model_config = titled("a layer of kind batch_norm")
    batch_norm: bool = Field(
        description="false: the layer does nothing but keeps its place, so that a search can switch it"
    )
    eps: float = Field(1e-5, gt=0, description="added to the variance")
    momentum: Probability = Field(0.1, description="weight of the new batch: Keras' 0.99 is 0.01 here")


class PoolLayer(Layer):
    model_config = titled("a layer of kind pool")
    pool: Literal["max", "avg"] = Field(description="the largest value, or the mean")
    size: int = Field(2, ge=1, le=1024, description="pixels on the side of a window")
    stride: int | None = Field(None, ge=1, le=1024, description="absent: the size")
    padding: int = Field(0, ge=0, le=1024, description="pixels")


class DropoutLayer(Layer):
    model_config = titled("a layer of kind dropout")
    dropout: Probability = Field(description="share of the values that is set to zero")


class Dropout2dLayer(Layer):
    model_config = titled("a layer of kind dropout2d")
    dropout2d: Probability = Field(description="share of the channels that is set to zero")


class FlattenLayer(Layer):
    model_config = titled("a layer of kind flatten")
    flatten: Annotated[Literal[True], of_type(bool)] = Field(description="always true")


class DenseLayer(Layer):
    model_config = titled("a layer of kind dense")
    dense: Annotated[
        Literal["classes"] | Annotated[int, Field(ge=1, le=10**9)],
        either("classes (the output layer) or a number of units from 1 to 1,000,000,000"),
    ] = Field(description="units; classes: the output layer, one logit per class")
    activation: ActivationName | None = Field(None, description="after the layer; absent: none")
    scaled: bool = Field(
        True,
        description="whether width applies to this layer; not so for one whose weights come from another "
        "network's output layer (report 1's network retrained on STL-10)",
    )


class ActivationLayer(Layer):
    model_config = titled("a layer without a kind")
    elsewhere = ("conv", "batch_norm", "pool", "dropout", "dropout2d", "flatten", "dense")
    activation: ActivationName = Field(description="which function")


def kind_of(layer: Layer) -> str:
    """The key that tells a layer's kind."""
    return next(name for name in type(layer).model_fields if name != "name")


def _kind(layer: Any) -> str | None:
    """Which class `layer` belongs to, by its title; `activation` is also an option of other kinds."""
    keys = type(layer).model_fields if isinstance(layer, Layer) else layer
    if not keys or not isinstance(keys, Mapping):
        return None
    kind = next((key for key in keys if key in ActivationLayer.elsewhere), None)
    return f"a layer of kind {kind}" if kind else "a layer without a kind"


AnyLayer = Annotated[
    Annotated[ConvLayer, Tag("a layer of kind conv")]
    | Annotated[BatchNormLayer, Tag("a layer of kind batch_norm")]
    | Annotated[PoolLayer, Tag("a layer of kind pool")]
    | Annotated[DropoutLayer, Tag("a layer of kind dropout")]
    | Annotated[Dropout2dLayer, Tag("a layer of kind dropout2d")]
    | Annotated[FlattenLayer, Tag("a layer of kind flatten")]
    | Annotated[DenseLayer, Tag("a layer of kind dense")]
    | Annotated[ActivationLayer, Tag("a layer without a kind")],
    Discriminator(
        _kind,
        custom_error_type="layer",
        custom_error_message="should be a mapping such as {conv: 32}",
    ),
]


def _named_once(layers: list[Layer]) -> list[Layer]:
    names = [layer.name for layer in layers if layer.name]
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError(
                "twice", "two layers are called {name}; give each a name of its own", {"name": name}
            )
    return layers


Layers = Annotated[list[AnyLayer], Field(min_length=1), AfterValidator(_named_once)]


# ---- families ----


class Residual(Family):
    """Residual network of report 3, sections 2 and 3: `reprise.models.residual`."""

    model_config = titled("the family residual")
    blocks: int = Field(ge=1, le=1000, description="residual blocks")
    kernel: int = Field(ge=1, le=1024, description="pixels on the side of their convolutions")
    filters: int = Field(
        ge=1, le=100_000, description="channels of the first block; each further block doubles them"
    )
    dropout: Probability = Field(0.0, description="dropout after each block")
    relu: Literal["after_sum", "before_sum"] = Field(
        "after_sum", description="where the second ReLU of a block stands"
    )
    init: Init = Field("torch", description=INITIAL_WEIGHTS)
    width: Width = Field(1.0, description=WIDENS)

    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        from reprise.models.residual import residual_network

        return residual_network(self, classes, image_shape)


class Resnet(Family):
    """ResNet-18 and ResNet-34 for small images: `reprise.models.resnet`."""

    model_config = titled("the family resnet")
    large = True
    depth: Annotated[Literal[18, 34], of_type(int)] = Field(description="number of layers")
    dropout: Probability = Field(0.0, description="dropout before the dense layer")
    init: Init = Field(
        "torch",
        description="initial weights: torch's are those of torchvision; xavier_dense concerns the last layer",
    )
    width: Width = Field(1.0, description=WIDENS)

    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        from reprise.models.resnet import resnet

        return resnet(self, classes, image_shape)


class Sequential(Family):
    """A list of layers: `reprise.models.sequential`."""

    model_config = titled("the family sequential")
    layers: Layers = Field(description="the layers, from image to logits")
    init: Init = Field("torch", description=INITIAL_WEIGHTS)
    width: Width = Field(1.0, description=WIDENS)

    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        from reprise.models.sequential import network

        return network(self.layers, classes, image_shape, self.init, self.width)


class Torchvision(Family):
    """A reference architecture of torchvision with a new head: `reprise.models.pretrained`."""

    model_config = titled("the family torchvision")
    large = True
    arch: str = Field(description="its name in torchvision.models")
    weights: Literal["imagenet", "random"] = Field(description="those it starts with")
    part: Literal["features"] | None = Field(None, description="features: the convolutions only")
    trainable: Literal["head", "all"] = Field("all", description="head: everything else is frozen")
    frozen_mode: Literal["train"] | None = Field(
        None,
        description="train: a frozen backbone has its dropout and batch norm as in training; absent: as in "
        "inference",
    )
    head: Layers | None = Field(None, description="absent: one dense layer")
    init: Init = Field("torch", description="initial weights of the head")

    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        from reprise.models.pretrained import transfer_network

        return transfer_network(self, classes, image_shape, weights_dir)


class Vit(Family):
    """Vision Transformer of report 2: `reprise.models.vit`."""

    model_config = titled("the family vit")
    patch: int = Field(ge=1, le=4096, description="pixels on the side of a square patch")
    dim: int = Field(ge=1, le=100_000, description="width of the tokens")
    layers: int = Field(ge=1, le=1000, description="encoder layers")
    heads: int = Field(ge=1, le=1000, description="heads of attention; must divide dim")
    feed_forward: int = Field(2048, ge=1, le=1_000_000, description="hidden units of an encoder layer")
    dropout: Probability = Field(0.1, description="dropout in the encoder layers")
    embedding_dropout: Probability | None = Field(
        None, description="dropout of the tokens, once they have their positions; absent: none"
    )
    width: Width = Field(1.0, description="multiplies the hidden units alone")

    def build(self, classes: int, image_shape: tuple[int, int, int], weights_dir: Path | None) -> nn.Module:
        from reprise.models.vit import vision_transformer

        return vision_transformer(self, classes, image_shape)


FAMILIES: dict[str, type[Family]] = {
    "residual": Residual,
    "resnet": Resnet,
    "sequential": Sequential,
    "torchvision": Torchvision,
    "vit": Vit,
}
"""The project's own; `reprise.extensions.NETWORKS` has those of other packages, too."""
