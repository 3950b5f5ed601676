"""Three ways to train the same run, with a clock in each: the engine, a plain PyTorch loop, and Lightning.

The plain loop is what the tutorials of PyTorch and torchvision teach: a data set of PIL images with a
`Compose` of torchvision's transforms, a shuffling DataLoader whose workers persist, `loss.item()` once a
step. Network, optimiser, batch size and augmentation are those of the run; all three use one thread in the
process that trains, and the loader's workers have one each.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from reprise import models
from reprise.data.augment import IMAGENET, Augmentation, Preprocess
from reprise.data.decode import Dataset, load
from reprise.data.statistics import channel_statistics
from reprise.reports.run import Run
from reprise.training.engine import train
from reprise.training.optim import OPTIMIZERS
from reprise.training.parts import Part
from reprise.training.seeds import derive


class Enough(BaseException):
    """Enough steps were timed. Not an `Exception`, so that nobody takes it for an error."""


def processor_time() -> float:
    """Seconds of user and system time of this process and its living children."""
    import psutil

    own = psutil.Process()
    times = [process.cpu_times() for process in [own, *own.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


@dataclass
class Clock:
    """Counts steps; times those after `warm_up`, with the processor time of this process and its children."""

    warm_up: int
    steps: int
    processor_time: Callable[[], float] = processor_time
    synchronize: Callable[[], None] = lambda: None
    """Waits until a device has done what it was given."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    count: int = 0

    def step(self) -> None:
        """Call after every step; raises `Enough` after the last one."""
        self.count += 1
        if self.count == self.warm_up:
            self.synchronize()
            self._began, self._cpu = time.perf_counter(), self.processor_time()
        if self.count == self.warm_up + self.steps:
            self.synchronize()
            self.seconds, self.cpu_seconds = (
                time.perf_counter() - self._began,
                self.processor_time() - self._cpu,
            )
            raise Enough


def time_engine(
    run: Run, folder: Path, clock: Clock, workers: int, scratch: Path, device: str = "cpu", **options: Any
) -> None:
    """`reprise.training.engine.train`, stopped from within."""
    train(
        [run],
        dataset_dirs={run.settings.dataset.name: folder},
        cache=scratch,
        device=device,
        on_step=lambda epoch, step, loss: clock.step(),
        **{"threads": 1, **options},
    )


# ---- what a user would write ----


def torchvision_transforms(run: Run, dataset: Dataset) -> Callable[[Image.Image], Tensor]:
    """The run's augmentation and preprocessing as one of torchvision's `Compose`."""
    made = {
        "flip": lambda p: transforms.RandomHorizontalFlip(p),
        "crop": lambda padding: transforms.RandomCrop(dataset.image_shape[1:], padding=padding),
        "rotation": lambda degrees: transforms.RandomRotation(degrees),
        "jitter": lambda values: transforms.ColorJitter(**values),
        "resized_crop": lambda values: transforms.RandomResizedCrop(dataset.image_shape[1:], **values),
        "erasing": lambda p: transforms.RandomErasing(p),
    }
    steps = [made[name](value) for step in run.settings.augmentation for name, value in step.items()]
    on_images = [step for step in steps if not isinstance(step, transforms.RandomErasing)]
    on_tensors = [step for step in steps if isinstance(step, transforms.RandomErasing)]
    preprocess = run.settings.preprocess
    sizes = [transforms.Resize(preprocess.resize)] if preprocess.resize else []
    sizes += [transforms.CenterCrop(preprocess.crop)] if preprocess.crop else []
    moments = {
        "none": lambda: None,
        "half": lambda: ((0.5,) * 3, (0.5,) * 3),
        "imagenet": lambda: IMAGENET,
        "train": lambda: channel_statistics(dataset.splits["train"].images),
    }[preprocess.normalize or "none"]()
    normalize = (
        [transforms.Normalize(*([float(value) for value in each] for each in moments))] if moments else []
    )
    return transforms.Compose([*sizes, *on_images, transforms.ToTensor(), *on_tensors, *normalize])


class Images(torch.utils.data.Dataset):
    """The training images as `torchvision.datasets.CIFAR10` has them: an array (N, H, W, 3), one PIL image at
    a time.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        split, kind = dataset.splits["train"], run.settings.dataset.labels
        self.images = np.ascontiguousarray(split.images.transpose(0, 2, 3, 1))
        self.labels = [int(label) for label in split.labels[:, dataset.label_kinds.index(kind)]]
        self.transform = torchvision_transforms(run, dataset)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def network(run: Run, dataset: Dataset) -> nn.Module:
    torch.manual_seed(derive(run.settings.seeds.init, "init"))
    return models.build(
        run.settings.model, len(dataset.classes[run.settings.dataset.labels]), image_shape(run, dataset)
    )


def image_shape(run: Run, dataset: Dataset) -> tuple[int, int, int]:
    crop = run.settings.preprocess.crop
    return (3, crop, crop) if crop else dataset.image_shape


def loader(run: Run, dataset: Dataset, workers: int, pin_memory: bool = False) -> DataLoader:
    return DataLoader(
        Images(run, dataset),
        batch_size=run.settings.training.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def torch_optimizer(settings: Mapping[str, Any], parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser as torch makes it where nothing else is asked for."""
    return OPTIMIZERS[settings["name"]](
        parameters, **{key: value for key, value in settings.items() if key != "name"}
    )


def epochs_without_end(batches: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from batches


def time_plain(
    run: Run,
    folder: Path,
    clock: Clock,
    workers: int,
    scratch: Path,
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
) -> None:
    """The plain loop; in bfloat16 with torch's autocast and channels last, as its guides to mixed precision
    and speed advise.
    """
    dataset, cuda, mixed = load(folder), device != "cpu", precision != torch.float32
    layout = torch.channels_last if mixed else torch.contiguous_format
    model = network(run, dataset).to(device, memory_format=layout)
    optimizer = torch_optimizer(run.settings.optimizer, model.parameters())
    criterion = nn.CrossEntropyLoss()
    batches = loader(run, dataset, workers, pin_memory=cuda)
    model.train()
    running_loss, correct = 0.0, 0
    for images, labels in epochs_without_end(batches):
        images, labels = (
            images.to(device, non_blocking=cuda, memory_format=layout),
            labels.to(device, non_blocking=cuda),
        )
        optimizer.zero_grad()
        with torch.autocast(device, precision, enabled=mixed):
            logits = model(images)
            loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
        clock.step()


def time_lightning(run: Run, folder: Path, clock: Clock, workers: int, scratch: Path) -> None:
    """The same loop as a LightningModule, without the logger, the bar and the checkpoints that a user would
    have besides.
    """
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self, model: nn.Module, settings: Mapping[str, Any]) -> None:
            super().__init__()
            self.model, self.settings = model, settings

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            images, labels = batch
            logits = self.model(images)
            loss = nn.functional.cross_entropy(logits, labels)
            self.log("loss", loss)
            self.log("accuracy", (logits.argmax(1) == labels).float().mean(), on_step=False, on_epoch=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch_optimizer(self.settings, self.parameters())

    class Stopwatch(lightning.Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            clock.step()

    dataset = load(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=scratch,
            callbacks=[Stopwatch()],
        )
        trainer.fit(Module(network(run, dataset), run.settings.optimizer), loader(run, dataset, workers))


CONTESTANTS: dict[str, Callable[..., None]] = {
    "engine": time_engine,
    "plain loop": time_plain,
    "Lightning": time_lightning,
}


def lightning_is_there() -> bool:
    try:
        import lightning  # noqa: F401
    except ImportError:
        return False
    return True


def measure(
    contestant: str, run: Run, folder: Path, clock: Clock, workers: int, scratch: Path, **options: Any
) -> Clock:
    """The clock after `contestant` has trained until it had enough."""
    try:
        CONTESTANTS[contestant](run, folder, clock, workers, scratch, **options)
    except Enough:
        return clock
    raise AssertionError(f"{contestant} ended before {clock.warm_up + clock.steps} steps")


def engine_parts(run: Run, folder: Path, clock: Clock, scratch: Path) -> dict[str, float]:
    """Seconds of the timed steps that the engine spends on its parts; what is left is the network, forwards
    and backwards, and the loss.
    """
    spent = dict.fromkeys(("images", "augmentation", "optimiser"), 0.0)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **keywords)
            if clock.count >= clock.warm_up:
                spent[part] += time.perf_counter() - began
            return result

        return call

    places = [
        *(
            ("images", owner, name)
            for owner, name in ((Part, "batch"), (Preprocess, "pixels"), (Preprocess, "normalise"))
        ),
        ("augmentation", Augmentation, "__call__"),
        ("optimiser", OPTIMIZERS[run.settings.optimizer["name"]], "step"),
    ]
    with ExitStack() as stack:
        for part, owner, name in places:
            stack.enter_context(mock.patch.object(owner, name, timed(part, getattr(owner, name))))
        measure("engine", run, folder, clock, 0, scratch)
    return {**spent, "network": clock.seconds - sum(spent.values())}
