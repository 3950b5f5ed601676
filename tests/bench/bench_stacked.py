"""Several networks of one shape as one: a bmm in the place of their matrix products.

Each network keeps its own weights, optimiser and learning rate; only the forward pass is shared, so each
learns what it would learn alone. Whether that is faster than one network after the other, `bench_gpu.py`
measures; the engine does not do it (docs/performance.md says why).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def stacked_logits(networks: Sequence[nn.Sequential], inputs: Tensor) -> Tensor:
    """Logits (K, N, classes) of K networks of dense layers and activations on their own inputs (K, N, …)."""
    values = inputs
    for layers in zip(*networks, strict=True):
        first = layers[0]
        if isinstance(first, nn.Flatten):
            values = values.flatten(2)
        elif isinstance(first, nn.Linear):
            weights, biases = (
                torch.stack([layer.weight for layer in layers]),
                torch.stack([layer.bias for layer in layers]),
            )
            values = torch.baddbmm(biases.unsqueeze(1), values, weights.mT)
        elif not list(first.parameters()):
            values = first(values)
        else:
            raise TypeError(f"{type(first).__name__} cannot be stacked")
    return values


def stacked_step(
    networks: Sequence[nn.Sequential],
    optimizers: Sequence[torch.optim.Optimizer],
    inputs: Tensor,
    labels: Tensor,
) -> Tensor:
    """One step of each network on its own batch, labels (K, N); their mean cross-entropies (K,)."""
    logits = stacked_logits(networks, inputs)
    losses = (
        nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        .view(labels.shape)
        .mean(1)
    )
    for optimizer in optimizers:
        optimizer.zero_grad()
    losses.sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    return losses.detach()
