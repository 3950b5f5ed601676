"""Optimisers and learning rate schedules by the names and parameters of report files."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import lr_scheduler

from reprise.errors import RepriseError, nearest

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

SCHEDULES: dict[str, tuple[type[lr_scheduler.LRScheduler], dict[str, str]]] = {
    "step": (lr_scheduler.StepLR, {"step": "step_size", "gamma": "gamma"}),
    "exponential": (lr_scheduler.ExponentialLR, {"gamma": "gamma"}),
    "cosine": (lr_scheduler.CosineAnnealingLR, {"epochs": "T_max", "min_lr": "eta_min"}),
    "plateau": (
        lr_scheduler.ReduceLROnPlateau,
        {name: name for name in ("factor", "patience", "threshold", "threshold_mode", "min_lr")},
    ),
}
"""Name → torch's schedule, and its parameters by the names of report files. A cosine without `epochs` lasts
as long as the run.

A plateau is torch's: the rate falls after more than `patience` epochs without a loss that is below the best
by `threshold` (1e-4), a share of the best (`threshold_mode: rel`, the default) or a difference (`abs`).
Keras' ReduceLROnPlateau with patience p and min_delta d has patience p − 1, threshold d and threshold_mode
abs here.
"""


FAST: dict[str, dict[str, bool]] = {
    "adam": {"fused": True},
    "adamw": {"fused": True},
    "sgd": {"fused": True},
    "rmsprop": {},
}
"""Name → what makes the optimiser's step a single pass over the weights, where torch has one: on a CPU, a
sixth of the time.
"""
ON_CUDA: dict[str, dict[str, bool]] = {
    **FAST,
    "adam": {"fused": True, "capturable": True},
    "adamw": {"fused": True, "capturable": True},
    "rmsprop": {"foreach": True, "capturable": True},
}
"""The same, and what makes the step one that a CUDA graph can hold."""


def build_optimizer(
    settings: Mapping[str, Any], parameters: Iterable[torch.nn.Parameter], *, on_cuda: bool = False
) -> torch.optim.Optimizer:
    """The torch optimiser of that `name`, with torch's own parameter names and defaults.

    With `on_cuda`, its learning rate is a tensor on the parameters' device, which schedules change in place,
    so that a recorded step reads it anew. Raises `RepriseError` for an unknown name, an unknown parameter or
    a value that torch refuses.
    """
    name, values = settings["name"], {key: value for key, value in settings.items() if key != "name"}
    if name not in OPTIMIZERS:
        raise RepriseError(f"optimizer: no optimiser {name}{nearest(name, OPTIMIZERS)}")
    valid = [key for key in inspect.signature(OPTIMIZERS[name]).parameters if key != "params"]
    optimizer = _build(
        f"optimizer: {name}",
        OPTIMIZERS[name],
        parameters,
        {**values, **(ON_CUDA if on_cuda else FAST)[name]},
        valid,
    )
    if on_cuda:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=group["params"][0].device)
    return optimizer


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """The present one; of a tensor the shortest decimal that rounds to its float32 (0.1, not
    0.10000000149).
    """
    rate = optimizer.param_groups[0]["lr"]
    return float(str(np.float32(rate.item()))) if isinstance(rate, Tensor) else float(rate)


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """`load_state_dict` that leaves how the step is computed as `build_optimizer` made it, whatever the saved
    one was made with.

    A learning rate in a tensor takes the saved value; a saved number in its place would stay for ever what a
    recorded step has seen.
    """
    kept = [
        {key: group[key] for key in ("fused", "foreach", "capturable") if key in group}
        for group in optimizer.param_groups
    ]
    rates = [group["lr"] for group in optimizer.param_groups]
    groups = [{**group, **own} for group, own in zip(saved["param_groups"], kept, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, Tensor):
            group["lr"] = rate.fill_(float(group["lr"]))


def build_schedule(
    settings: Mapping[str, Any] | None, optimizer: torch.optim.Optimizer, epochs: int
) -> lr_scheduler.LRScheduler:
    """The schedule of that `name`, moved once an epoch by `step_schedule`; without settings the learning
    rate stays constant.

    Raises `RepriseError` for an unknown name, an unknown parameter or a value that torch refuses.
    """
    if not settings:
        return lr_scheduler.ConstantLR(optimizer, factor=1.0)
    name, values = settings["name"], {key: value for key, value in settings.items() if key != "name"}
    if name not in SCHEDULES:
        raise RepriseError(f"schedule: no schedule {name}{nearest(name, SCHEDULES)}")
    schedule, names = SCHEDULES[name]
    if name == "cosine":
        values.setdefault("epochs", epochs)
    return _build(f"schedule: {name}", schedule, optimizer, values, names)


def step_schedule(schedule: lr_scheduler.LRScheduler, validation_loss: float) -> None:
    """End an epoch: a plateau looks at the validation loss, the others count."""
    if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        schedule.step(validation_loss)
    else:
        schedule.step()


def _build(
    where: str, kind: Any, first: Any, values: Mapping[str, Any], valid: Iterable[str] | Mapping[str, str]
) -> Any:
    names = valid if isinstance(valid, Mapping) else {key: key for key in valid}
    for key in values:
        if key not in names:
            raise RepriseError(f"{where} has no parameter {key}{nearest(key, names)}")
    try:
        return kind(
            first,
            **{
                names[key]: tuple(value) if isinstance(value, list) else value
                for key, value in values.items()
            },
        )
    except (TypeError, ValueError) as error:
        raise RepriseError(
            f"{where} cannot be made: {error}; see torch's documentation of {kind.__name__}"
        ) from None
