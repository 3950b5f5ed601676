"""Networks of runs on torch's meta device: layers and shapes, and no memory for weights."""

import json
from functools import cache

import torch
from torch import nn

from reprise.data.augment import image_shape
from reprise.data.catalog import class_names
from reprise.models import build_untrained, parameter_count
from reprise.reports.run import Run, canonical


def network(run: Run) -> nn.Module:
    """The run's network, whose weights have shapes and no values."""
    return _network(canonical(run.settings.model), len(class_names(run)), image_shape(run))


@cache
def _network(model: str, classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    with torch.device("meta"):
        return build_untrained(json.loads(model), classes, image_shape)


def dimensions(run: Run) -> str:
    """How large the run's network is: `61,706 parameters, input 3 × 32 × 32, 10 classes`."""
    model = network(run)
    total, trained = parameter_count(model), parameter_count(model, trainable_only=True)
    part = f" ({trained:,} of them trained)" if trained < total else ""
    shape = " × ".join(map(str, image_shape(run)))
    return f"{total:,} parameters{part}, input {shape}, {len(class_names(run))} classes"
