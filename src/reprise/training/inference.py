"""Predictions without gradients: validation, test and frozen features."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.training.parts import Part


def batches(part: Part, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels of the whole part, in order."""
    for start in range(0, len(part), size):
        yield part.batch(slice(start, start + size))


@torch.no_grad()
def forward(network: nn.Module, part: Part, prepare: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """Logits (N, classes) of `network`, which is put in evaluation mode, over batches of `size`."""
    network.eval()
    return torch.cat([network(prepare(inputs)) for inputs, _ in batches(part, size)])


@torch.no_grad()
def predict(
    network: nn.Module, part: Part, prepare: Callable[[Tensor], Tensor], size: int
) -> tuple[Tensor, float]:
    """Predicted classes (N,) and mean cross-entropy of `network`, which is put in evaluation mode, over
    batches of `size`.
    """
    network.eval()
    predicted = []
    total = torch.zeros((), dtype=torch.float64, device=part.labels.device)
    for inputs, labels in batches(part, size):
        logits = network(prepare(inputs))
        total += F.cross_entropy(logits, labels, reduction="sum")
        predicted.append(logits.argmax(1))
    return torch.cat(predicted), total.item() / len(part)


def evaluate(
    network: nn.Module, part: Part, prepare: Callable[[Tensor], Tensor], size: int
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    predicted, loss = predict(network, part, prepare, size)
    return loss, (predicted == part.truth).sum().item() / len(part)


@torch.no_grad()
def compute_features(frozen: nn.Module, part: Part, prepare: Callable[[Tensor], Tensor], size: int) -> Part:
    """The part with its images replaced by what the frozen part of a network makes of them."""
    frozen.eval()
    features = torch.cat([frozen(prepare(inputs)) for inputs, _ in batches(part, size)])
    return Part(features, part.truth, torch.arange(len(part), device=features.device))
