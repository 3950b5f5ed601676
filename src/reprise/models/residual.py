"""Family `residual`: the residual network of report 3, sections 2 and 3 (`create_resnet_model`,
`residual_block`).

    {name: residual, blocks: 3, kernel: 3, filters: 32, dropout: 0.2, init: keras}

- `blocks`: residual blocks; each is followed by max pooling of 2 pixels, as long as the image has them, and
  dropout.
- `kernel`: pixels on the side of the convolutions in the blocks, padded as TensorFlow's `same`.
- `filters`: channels of the first block; each further block has twice as many as the one before (5 blocks
  from 32: 512).
- `dropout`: rate after each block.
- `relu`: `after_sum` (default) or `before_sum`, where the second ReLU of a block stands.
- `width` multiplies the channels.

A block is that of He et al. (2016): convolution, batch normalisation, ReLU, convolution, batch normalisation;
then the block's input is added, and ReLU follows the sum. With `relu: before_sum`, as the report's text has
it, ReLU follows the second batch normalisation instead, and nothing the sum. Where the number of channels
changes, a 1×1 convolution brings the input to it. As in Keras by default, convolutions have biases, and batch
normalisation keeps 0.99 of its running statistics and adds 1e-3 to the variance. After the last block the
features are flattened for one dense layer, `output`.
"""

from collections import OrderedDict

import torch
from torch import nn

from reprise.models.blocks import Dropout, initialise, same_conv2d
from reprise.models.families import Residual
from reprise.models.sequential import Network


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut past both: (N, inputs, H, W) → (N, filters, H, W)."""

    def __init__(self, inputs: int, filters: int, kernel: int, relu_after_sum: bool = True) -> None:
        super().__init__()
        self.conv1 = same_conv2d(inputs, filters, kernel)
        self.norm1 = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        self.relu1 = nn.ReLU()
        self.conv2 = same_conv2d(filters, filters, kernel)
        self.norm2 = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        self.projection = nn.Identity() if inputs == filters else nn.Conv2d(inputs, filters, 1)
        self.relu2 = nn.ReLU()
        self.relu_after_sum = relu_after_sum

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.relu1(self.norm1(self.conv1(images)))
        values = self.norm2(self.conv2(values))
        if not self.relu_after_sum:
            return self.relu2(values) + self.projection(images)
        values += self.projection(images)  # in place, so that layer tables see it
        return self.relu2(values)


def residual_network(options: Residual, classes: int, image_shape: tuple[int, int, int]) -> Network:
    """The network for images of `image_shape` (C, H, W)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, *size = image_shape
    for index in range(options.blocks):
        inputs, channels = channels, max(1, round(options.filters * 2**index * options.width))
        after_sum = options.relu == "after_sum"
        layers[f"block{index + 1}"] = ResidualBlock(inputs, channels, options.kernel, after_sum)
        if min(size) > 1:
            layers[f"pool{index + 1}"] = nn.MaxPool2d(2)
            size = [length // 2 for length in size]
        layers[f"dropout{index + 1}"] = Dropout(options.dropout)
    layers["flatten"] = nn.Flatten()
    layers["output"] = nn.Linear(channels * size[0] * size[1], classes)
    network = Network(layers)
    initialise(network, options.init)
    return network
