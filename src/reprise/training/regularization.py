"""What a run's `regularization` adds to the loss that is differentiated."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from reprise.errors import RepriseError
from reprise.schema import Probability, Strict, parse, titled

Penalty = Callable[[], Tensor]
"""The value of a penalty for the network's present weights, a scalar."""


class ElasticNet(Strict):
    """The elastic net is λ(α·Σ|w| + (1 − α)·Σw²) over the weights, not the biases, of the output layer, which
    is the network's last dense one (report 3, equation 1; Zou and Hastie 2005).
    """

    model_config = titled("elastic_net")
    alpha: Probability
    strength: float = Field(alias="lambda", ge=0)


class Regularization(Strict):
    model_config = titled("regularization")
    elastic_net: ElasticNet | None = None


def build_penalty(settings: Mapping[str, Any], network: nn.Module) -> Penalty | None:
    """The penalty on `network` that `settings` describe, `{elastic_net: {alpha, lambda}}`; None where they
    are empty.

    Raises `RepriseError` for unknown or missing keys, values out of range, and a network without a dense
    layer.
    """
    net = parse(Regularization, settings, "regularization").elastic_net
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
