"""The settings of one training: what a report file's `defaults`, `set` and axes amount to, and what of them
identifies a run (`RunSettings`).

The meaning of each key stands here, once. A key that is absent means none, off, or what is said of it.
Numbers are as in the report; sizes are in pixels, times in epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema, create_model, model_validator
from pydantic_core import PydanticCustomError

from reprise.errors import nearest
from reprise.extensions import AUGMENTATIONS, DATASETS, NETWORKS
from reprise.reports.values import (
    NotNegative,
    Positive,
    Seed,
    Seeds,
    Selector,
    Text,
    Unique,
    whole,
)
from reprise.schema import Kinds, Probability, Strict, each_where_used, either, titled

# ---- what other rooms and packages add to ----


class NetworkSettings(Strict):
    """A network: its family, and the family's options (`reprise.models.families`)."""

    name: str
    """The family of networks."""
    title: Text | None = None
    """Name for readers, in tables."""


@cache
def networks() -> dict[str, type[NetworkSettings]]:
    """Name of each family → its options with the family's name."""
    own_name: dict[str, Any] = {name: (Literal[name], ...) for name in NETWORKS}
    families: Mapping[str, Any] = each_where_used(NETWORKS)
    return {
        name: create_model(family.__name__, __base__=(family, NetworkSettings), name=own_name[name])
        for name, family in families.items()
    }


AnyNetwork = Annotated[NetworkSettings, Kinds(networks, "name", "family of networks")]


def _one_key(step: Strict) -> Strict:
    if len(step.model_fields_set) != 1:
        raise PydanticCustomError("one_key", "a step is one augmentation; write one mapping for each")
    return step


def _no_null(step: Any) -> Any:
    for name, value in step.items() if isinstance(step, Mapping) else ():
        if value is None:
            what = "{name} has no value; write it after the colon, or leave the step out"
            raise PydanticCustomError("one_key", what, {"name": str(name)})
    return step


_augmentations: dict[str, Any] = {
    name: (kind | None, Field(None, description=(kind.__doc__ or "").strip() or None))
    for name, kind in each_where_used(AUGMENTATIONS).items()
}
_AnyStep = create_model("Step", __base__=Strict, **_augmentations)
Step = Annotated[
    Strict,
    GetPydanticSchema(lambda _, handler: handler(_AnyStep)),
    AfterValidator(_one_key),
    BeforeValidator(_no_null),
]
"""One augmentation: a mapping from its name to its options (`reprise.data.augmentations`)."""


# ---- settings ----

Split = Literal["train", "validation", "test"]
Epochs = Annotated[int, whole(1, 100_000)]
Decay = Annotated[float, Field(ge=0, lt=1)]
"""Weight of a running mean."""
Momentum = Annotated[float, Field(ge=0, le=1)]
"""Share of the last step that is kept; above 1 steps grow without end."""


def _known(name: str) -> str:
    if name not in DATASETS:
        hint = nearest(name, DATASETS)
        raise PydanticCustomError(
            "unknown", "{name} is no data set{hint}", {"name": repr(name), "hint": hint}
        )
    return name


class DatasetSettings(Strict):
    name: Annotated[str, AfterValidator(_known), Field(examples=["cifar10", "cifar100", "cinic10", "stl10"])]
    """The data set's name."""
    labels: str
    """Kind of label, a column of the labels, that is learned: cifar100 has coarse and fine, the others label.
    """
    classes: Annotated[list[str], Field(min_length=2), Unique] | None = None
    """The classes kept (absent: all)."""
    per_class: Annotated[int, whole(1, 1_000_000)] | None = None
    """Images kept of every class in every split (absent: all)."""


class RunSplit(Strict):
    """What is used to validate, in a run."""

    validation: Annotated[
        Literal["test", "official"] | Annotated[float, Field(gt=0, lt=1)],
        either("test, official or a share between 0 and 1"),
    ]
    """test: the test images; official: the data set's own part; or the share of the training images that is
    held out (not stratified; drawn with the seed `split`).
    """
    augmented: bool | None = None
    """The validation images are augmented like the training images."""


class ValidationSettings(RunSplit):
    """What is used to validate."""

    model_config = titled("a split")
    augmented: Literal[True] | None = None  # false would be another run of the same meaning
    """true: the validation images are augmented like the training images; only of a share held out."""

    @model_validator(mode="after")
    def _held_out(self) -> Self:
        if self.augmented and isinstance(self.validation, str):
            what = "{validation} images are never augmented; leave augmented out, or hold out a share"
            raise PydanticCustomError("augmented", what, {"validation": self.validation})
        return self


class PreprocessSettings(Strict):
    normalize: Literal["none", "train", "half", "imagenet"] | None = None
    """none: pixels in [0, 1]; train: by mean and deviation of the run's own training part; half: to [-1, 1];
    imagenet: by those that networks pretrained on ImageNet expect.
    """
    resize: Annotated[int, whole(1, 4096)] | None = None
    """Pixels of the shorter side."""
    crop: Annotated[int, whole(1, 4096)] | None = None
    """Pixels of the central crop, after `resize`."""
    sharpen: NotNegative | None = None
    """Factor: 0 blurs, 1 changes nothing, 2 sharpens (torchvision's adjust_sharpness)."""


class InitialWeights(Strict):
    """Weights of another run, which are loaded first; written under `set` of an experiment."""

    source: Annotated[Selector, Field(alias="from")]
    """The run whose selected weights are loaded: of the same seed, or its only one."""
    drop: list[str] = []
    """Layers that stay as initialised: their names, or prefixes of the names of their parameters."""


# ---- optimisers ----


class Optimizer(Strict):
    name: str
    """Which optimiser."""
    lr: Positive
    """Learning rate."""
    weight_decay: NotNegative | None = None
    """Decoupled in AdamW, a term of the gradient (L2) in the others, as in torch."""


class Adam(Optimizer):
    model_config = titled("adam")
    name: Literal["adam"]
    betas: Annotated[list[Decay], Field(min_length=2, max_length=2)] | None = None
    """Weights of the running means of gradient and square (absent: 0.9 and 0.999)."""
    eps: Positive | None = None
    """Added to the denominator (absent: 1e-8)."""


class AdamW(Adam):
    model_config = titled("adamw")
    name: Literal["adamw"]  # type: ignore[assignment]


class SGD(Optimizer):
    model_config = titled("sgd")
    name: Literal["sgd"]
    momentum: Momentum | None = None
    """Momentum (absent: 0)."""
    nesterov: bool | None = None
    """true: Nesterov's momentum."""

    @model_validator(mode="after")
    def _nesterov(self) -> Self:
        if self.nesterov and not self.momentum:
            raise PydanticCustomError("nesterov", "nesterov needs a momentum above 0; add momentum")
        return self


class RMSprop(Optimizer):
    model_config = titled("rmsprop")
    name: Literal["rmsprop"]
    alpha: Decay | None = None
    """Weight of the running mean of the squares (absent: 0.99)."""
    eps: Positive | None = None
    """Added to the denominator (absent: 1e-8)."""
    momentum: Momentum | None = None
    """Momentum (absent: 0)."""


OPTIMIZER_SETTINGS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
}
AnyOptimizer = Annotated[Optimizer, Kinds(lambda: OPTIMIZER_SETTINGS, "name", "optimizer")]


# ---- schedules ----


class Schedule(Strict):
    name: str
    """Which schedule of the learning rate."""


class StepSchedule(Schedule):
    model_config = titled("step")
    name: Literal["step"]
    step: Epochs
    """Epochs from one change to the next."""
    gamma: Positive | None = None
    """Factor of each change (absent: 0.1)."""


class Exponential(Schedule):
    model_config = titled("exponential")
    name: Literal["exponential"]
    gamma: Positive
    """Factor after each epoch."""


class Cosine(Schedule):
    model_config = titled("cosine")
    name: Literal["cosine"]
    min_lr: NotNegative | None = None
    """Learning rate at the end (absent: 0)."""


class Plateau(Schedule):
    model_config = titled("plateau")
    name: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Factor of each change (absent: 0.1)."""
    patience: Annotated[int, whole(0, 100_000)] | None = None
    """Epochs without improvement of the validation loss that are tolerated (absent: 10). Keras' patience less
    one.
    """
    threshold: NotNegative | None = None
    """Least improvement that counts (absent: 1e-4). Keras' min_delta, with `abs`."""
    threshold_mode: Literal["rel", "abs"] | None = None
    """Whether it is a share of the best loss (default) or a loss."""
    min_lr: NotNegative | None = None
    """Least learning rate (absent: 0)."""


SCHEDULE_SETTINGS: dict[str, type[Schedule]] = {
    "step": StepSchedule,
    "exponential": Exponential,
    "cosine": Cosine,
    "plateau": Plateau,
}
AnySchedule = Annotated[Schedule, Kinds(lambda: SCHEDULE_SETTINGS, "name", "schedule")]


class ElasticNetSettings(Strict):
    """Added to the loss: λ(α·Σ|w| + (1 − α)·Σw²) over the weights, not the biases, of the output layer, which
    is the network's last dense one (report 3, equation 1; Zou and Hastie 2005).
    """

    model_config = titled("elastic_net")
    alpha: Probability
    """α, the share of the absolute values."""
    strength: Annotated[NotNegative, Field(alias="lambda")]
    """λ, the strength of the penalty."""


class RegularizationSettings(Strict):
    model_config = titled("regularization")
    elastic_net: ElasticNetSettings | None = None
    """A penalty on the weights of the output layer; the logged losses are without it."""


Selection = Literal["best_accuracy", "best_loss", "last", "window"]


class EarlyStop(Strict):
    monitor: Literal["accuracy", "loss"]
    """Which value on the validation images is watched."""
    patience: Epochs
    """Epochs without a new best after which training stops."""
    min_epochs: Epochs | None = None
    """Epochs that are trained in any case."""
    rule: Literal["window"] | None = None
    """window: stop when the best of the last `patience` epochs is the oldest of them; absent: when they
    brought no new best. Never before `min_epochs` epochs.
    """


class RunTraining(Strict):
    """How a run is trained."""

    epochs: Epochs
    """How often the training images are gone through."""
    batch_size: Annotated[int, whole(1, 1_000_000)]
    """Images of a step."""
    select: Selection
    """The epoch whose weights are kept, by the validation images; window: the last that was the best of four.
    """
    drop_last: bool | None = None
    """The last batch of an epoch is left out where it is smaller than the others."""
    keep_originals: bool | None = None
    """An epoch has every image twice, as it is and augmented."""
    early_stop: EarlyStop | None = None
    """When training ends before its epochs are through."""


class TrainingSettings(RunTraining):
    keep_originals: Literal[True] | None = None  # as above


class Rungs(Strict):
    """The epochs at which trials are judged by asynchronous successive halving (Li et al. 2018)."""

    min_resource: Epochs
    """Epochs before the first judgement."""
    reduction_factor: Annotated[int, whole(2, 100_000)]
    """One in so many goes on from a rung, and rungs lie so many times as far."""


def rung_epochs(rungs: Rungs, epochs: int) -> list[int]:
    """The epochs, up to `epochs`, of rungs 0, 1, … of a study."""
    found, epoch = [], rungs.min_resource
    while epoch <= epochs:
        found.append(epoch)
        epoch *= rungs.reduction_factor
    return found


class FixedSeeds(Strict):
    """Seeds that stay the same over the seeds of an experiment."""

    split: Seed | None = None
    """Of the share of the training images that is held out."""
    init: Seed | None = None
    """Of the initial weights."""
    order: Seed | None = None
    """Of the order of the training images."""
    augmentation: Seed | None = None
    """Of augmentation and dropout."""


class Common(Strict):
    dataset: DatasetSettings
    """What is learned from."""
    split: ValidationSettings
    """What is used to validate."""
    preprocess: PreprocessSettings | None = None
    """What is done to every image, for training and for testing (absent: pixels in [0, 1])."""
    augmentation: list[Step] | None = None
    """What is done at random to training images, in this order."""
    optimizer: AnyOptimizer
    """How weights are changed."""
    schedule: AnySchedule | None = None
    """How the learning rate changes over the epochs (absent: constant)."""
    regularization: RegularizationSettings | None = None
    """What is added to the loss."""
    training: TrainingSettings
    """How long, in which batches, and which weights are kept."""


class Defaults(Common):
    """The base run, and the seeds of every experiment that names none."""

    model: Annotated[
        Text | dict[str, Any], either("the name of one of models, or a network: a mapping with its options")
    ]
    """The name of one of `models`, or a network."""
    seeds: Seeds
    """One run per seed; each sets split, initial weights, order and augmentation."""
    fixed_seeds: FixedSeeds | None = None
    """Seeds that stay the same over the seeds of an experiment."""


class Settings(Common):
    """The settings of one run, after expansion."""

    model: AnyNetwork
    initial_weights: InitialWeights | None = None
    seed: Seed | None = None
    """In the place of the experiment's seeds, for a search over seeds."""


# ---- a run ----


def _with_name(settings: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(settings.get("name"), str):
        found = {"found": ", ".join(settings) or "nothing"}
        raise PydanticCustomError("unknown", "key name is missing (found: {found})", found)
    return settings


Named = Annotated[dict[str, Any], AfterValidator(_with_name)]
"""`name`, and the parameters of what is called so."""


class RunDataset(DatasetSettings):
    source: Literal["real", "synthetic", "stand-in"]
    """Where the images come from: the archive, the demo's generator, or another data set's archive."""


class RunWeights(Strict):
    """The run whose selected weights are loaded first."""

    run: str
    """Its hash."""
    drop: list[str] = []
    """Prefixes of the names of parameters that stay as initialised."""


class RunSeeds(Strict):
    """What each seed is for."""

    split: Seed
    init: Seed
    order: Seed
    augmentation: Seed


class Study(Rungs):
    """The run is a trial of a search with asynchronous successive halving."""

    trial: Annotated[int, Field(ge=0)]
    """Counted from 0."""
    after: str | None = None
    """Hash of the trial before it, so that the identity of a trial covers all that its stopping depends on.
    """


class RunSettings(Strict):
    """`Run.spec`, typed. What networks, augmentations, optimisers and schedules say of themselves stays as it
    is written: whoever builds them checks it.
    """

    engine: int
    """`reprise.reports.run.ENGINE`."""
    dataset: RunDataset
    split: RunSplit
    preprocess: PreprocessSettings = PreprocessSettings()
    augmentation: list[dict[str, Any]] = []
    """Mappings with one key, applied to training images in this order."""
    model: Named
    """The family, and its options."""
    initial_weights: RunWeights | None = None
    optimizer: Named
    """The torch optimiser of that name, and its parameters."""
    schedule: Named | None = None
    """`name` and parameters; absent: a constant learning rate."""
    regularization: RegularizationSettings = RegularizationSettings()
    training: RunTraining
    study: Study | None = None
    seeds: RunSeeds
