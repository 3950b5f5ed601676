"""Family `resnet`: ResNet-18 and ResNet-34 for small images (report 5; He et al. 2016), built by timm.

    {name: resnet, depth: 34, dropout: 0.3}

- `depth`: 18 (2, 2, 2 and 2 blocks) or 34 (3, 4, 6 and 3), in stages of 64, 128, 256 and 512 channels; each
  block has two 3×3 convolutions.
- `dropout`: rate before the dense layer.
- `init`: `torch` is torchvision's (convolutions normal with variance 2 / fan out, He et al. 2015);
  `xavier_dense` concerns the last layer.
- `width` multiplies the channels.

The stem is the usual one for images of 32×32 pixels: one 3×3 convolution with stride 1 to 64 channels, and no
pooling. With ImageNet's stem (7×7, stride 2, then max pooling) such images would enter the first stage at 8×8
and leave the last at 1×1.
"""

from torch import nn

from reprise.models.blocks import initialise
from reprise.models.families import Resnet

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
CHANNELS = (64, 128, 256, 512)


def resnet(options: Resnet, classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """The network for images of `image_shape` (C, H, W)."""
    from timm.models.resnet import BasicBlock, ResNet  # takes 0.6 s, which the other families need not pay

    stem = 2 * max(1, round(CHANNELS[0] * options.width / 2))
    network: nn.Module = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm writes that it takes a block, and takes its class
        BLOCKS[options.depth],
        num_classes=classes,
        in_chans=image_shape[0],
        channels=tuple(max(1, round(channels * options.width)) for channels in CHANNELS),
        stem_type="deep",  # the one whose width timm lets us choose; its convolutions are replaced below
        stem_width=stem // 2,
        drop_rate=options.dropout,
        zero_init_last=False,
    )
    network.conv1 = conv = nn.Conv2d(image_shape[0], stem, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as timm and torchvision do
    network.maxpool = nn.Identity()
    initialise(network, options.init)
    return network
