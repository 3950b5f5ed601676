"""What a run's `regularization` adds to the loss that is differentiated."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from reprise.errors import RepriseError
from reprise.models.options import number
from reprise.reports.check import nearest

Penalty = Callable[[], Tensor]
"""The value of a penalty for the network's present weights, a scalar."""


def build_penalty(settings: Mapping[str, Any], network: nn.Module) -> Penalty | None:
    """The penalty on `network` that `settings` describe, `{elastic_net: {alpha, lambda}}`; None where they
    are empty.

    The elastic net is λ(α·Σ|w| + (1 − α)·Σw²) over the weights, not the biases, of the output layer, which is
    the network's last dense one (report 3, equation 1; Zou and Hastie 2005). Raises `RepriseError` for
    unknown or missing keys, values out of range, and a network without a dense layer.
    """
    for key in settings:
        if key != "elastic_net":
            raise RepriseError(f"regularization: no kind {key}{nearest(key, ['elastic_net'])}")
    if not settings:
        return None
    where, values = "regularization.elastic_net", settings["elastic_net"]
    for key in values:
        if key not in ("alpha", "lambda"):
            raise RepriseError(f"{where} has no parameter {key}{nearest(key, ('alpha', 'lambda'))}")
    for key in ("alpha", "lambda"):
        if key not in values:
            raise RepriseError(f"{where}.{key} is missing; add it")
    alpha, strength = (
        number(f"{where}.alpha", values["alpha"], 1),
        number(f"{where}.lambda", values["lambda"]),
    )
    weights = _output_layer(network, where).weight
    return lambda: strength * (alpha * weights.abs().sum() + (1 - alpha) * weights.square().sum())


def _output_layer(network: nn.Module, where: str) -> nn.Linear:
    dense = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise RepriseError(
            f"{where} is for the output layer, and the network has no dense layer; end it with one"
        )
    return dense[-1]
