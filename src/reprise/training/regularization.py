"""What a run's `regularization` adds to the loss that is differentiated."""

from collections.abc import Callable

from torch import Tensor, nn

from reprise.errors import RepriseError
from reprise.reports.settings import RegularizationSettings

Penalty = Callable[[], Tensor]
"""The value of a penalty for the network's present weights, a scalar."""


def build_penalty(settings: RegularizationSettings, network: nn.Module) -> Penalty | None:
    """The penalty on `network` that `settings` describe; None where they are empty.

    Raises `RepriseError` for a network without a dense layer.
    """
    net = settings.elastic_net
    if net is None:
        return None
    weights = _output_layer(network, "regularization.elastic_net").weight
    return lambda: net.strength * (net.alpha * weights.abs().sum() + (1 - net.alpha) * weights.square().sum())


def _output_layer(network: nn.Module, where: str) -> nn.Linear:
    dense = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise RepriseError(
            f"{where} is for the output layer, and the network has no dense layer; end it with one"
        )
    return dense[-1]
