"""Family `vit`: the Vision Transformer of report 2, as its code has it (after Dosovitskiy et al. 2021).

    {name: vit, patch: 4, dim: 30, layers: 1, heads: 6, feed_forward: 2048, dropout: 0.1}

- `patch`: pixels on the side of a square patch; the image must divide into whole ones.
- `dim`: width of the tokens; `heads` must divide it.
- `layers`: encoder layers, one as run and six as written; each is initialised on its own.
- `feed_forward`: hidden units of an encoder layer's dense part; `width` multiplies them alone.
- `dropout`: in the encoder layers, as in `torch.nn.TransformerEncoderLayer`, whose other defaults hold too:
  ReLU, normalisation after each residual sum.
- `embedding_dropout`: of the tokens, once they have their positions; absent: none.
"""

import torch
import torch.nn.functional as F
from torch import nn

from reprise.errors import RepriseError
from reprise.models.families import Vit


class VisionTransformer(nn.Module):
    """Patches → tokens → encoder → the class token's logits: (N, C, H, W) → (N, classes)."""

    frozen_features: nn.Module | None = None
    """Every part trains; see `reprise.models.pretrained.TransferNetwork`."""

    def __init__(
        self,
        classes: int,
        image_shape: tuple[int, int, int],
        patch: int,
        dim: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        embedding_dropout: float | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        values, patches = channels * patch**2, (height // patch) * (width // patch)
        self.patch = patch
        self.embedding = nn.Sequential(nn.LayerNorm(values), nn.Linear(values, dim), nn.LayerNorm(dim))
        self.class_token = nn.Parameter(torch.randn(1, 1, dim))
        self.positions = nn.Parameter(torch.randn(1, 1 + patches, dim))
        self.embedding_dropout = nn.Dropout(embedding_dropout) if embedding_dropout else None
        # ReLU as a module, not as the default's function: the same values, and layer tables see it
        encoder = [
            nn.TransformerEncoderLayer(
                dim, heads, feed_forward, dropout, activation=nn.ReLU(), batch_first=True
            )
            for _ in range(layers)
        ]
        self.encoder = nn.Sequential(*encoder)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = F.unfold(images, self.patch, stride=self.patch).mT  # (N, patches, C · patch²), row by row
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), self.embedding(patches)], 1)
        tokens = tokens + self.positions
        if self.embedding_dropout:
            tokens = self.embedding_dropout(tokens)
        return self.head(self.encoder(tokens)[:, 0])


def vision_transformer(options: Vit, classes: int, image_shape: tuple[int, int, int]) -> VisionTransformer:
    """The network for images of `image_shape` (C, H, W)."""
    patch, dim, heads = options.patch, options.dim, options.heads
    if any(length % patch for length in image_shape[1:]):
        size = "×".join(str(length) for length in image_shape[1:])
        raise RepriseError(
            f"images of {size} pixels do not divide into patches of {patch}; change patch or set "
            "preprocess: resize"
        )
    if dim % heads:
        raise RepriseError(f"dim {dim} does not divide by {heads} heads; change one of them")
    hidden = max(1, round(options.feed_forward * options.width))
    rates = options.dropout, options.embedding_dropout
    return VisionTransformer(classes, image_shape, patch, dim, options.layers, heads, hidden, *rates)
