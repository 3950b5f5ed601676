"""What a network is given: augmented images or, where a part of it is frozen, features computed once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from reprise.data.augment import Augmentation, build_augmentation
from reprise.errors import RepriseError
from reprise.reports.run import Run
from reprise.reports.settings import RunSettings
from reprise.training.inference import compute_features
from reprise.training.parts import Part, RunData
from reprise.training.regularization import Penalty, build_penalty


class PrepareTraining(Protocol):
    """Inputs as they lie on the device → what the network takes, in training."""

    def __call__(self, inputs: Tensor, /, generator: Generator, chosen: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Feed:
    """What is trained and what goes into it: the whole network and images or, where the rest is frozen, its
    head and features.
    """

    network: nn.Module
    train: Part
    validation: Part
    prepare: Callable[[Tensor], Tensor]
    """Inputs as they lie on the device → what the network takes, in evaluation."""
    prepare_training: PrepareTraining
    """The same with augmentation: of all, or of those for which a bool tensor (N,) holds."""
    penalty: Penalty | None
    """What is added to the loss that is differentiated."""


def training_augmentation(settings: RunSettings) -> Augmentation:
    """What a run's training images go through. A `RepriseError` for `keep_originals` where that is
    nothing.
    """
    augmentation = build_augmentation(settings.augmentation)
    if settings.training.keep_originals and not augmentation:
        raise RepriseError(
            "training.keep_originals adds augmented images to the original ones; give an augmentation or "
            "leave it out"
        )
    return augmentation


def build_feed(run: Run, data: RunData, model: nn.Module) -> Feed:
    """Images, or the features of a frozen part of `model` where no augmentation changes the images."""
    frozen = getattr(model, "frozen_features", None)
    if frozen is None or training_augmentation(run.settings):
        return image_feed(run, data, model)

    def unchanged(features: Tensor, generator: Generator, chosen: Tensor | None = None) -> Tensor:
        return features

    train, validation = (
        compute_features(frozen, part, data.preprocess, data.evaluation_batch)
        for part in (data.train, data.validation)
    )
    return Feed(
        network=model.get_submodule("head"),
        train=train,
        validation=validation,
        prepare=lambda features: features,
        prepare_training=unchanged,
        penalty=build_penalty(run.settings.regularization, model),
    )


def image_feed(run: Run, data: RunData, model: nn.Module) -> Feed:
    """The whole network, and images."""
    augmentation, preprocess = training_augmentation(run.settings), data.preprocess

    def augment(images: Tensor, generator: Generator, chosen: Tensor | None = None) -> Tensor:
        pixels = preprocess.pixels(images)
        changed = augmentation(pixels, generator)
        if chosen is not None:
            changed = torch.where(chosen.view(-1, 1, 1, 1), changed, pixels)
        return preprocess.normalise(changed)

    return Feed(
        network=model,
        train=data.train,
        validation=data.validation,
        prepare=preprocess,
        prepare_training=augment,
        penalty=build_penalty(run.settings.regularization, model),
    )
