"""The training steps that the engine is asked for: every distinct network of the reports, in its layout, with
its batch sizes.

`python networks.py reference FOLDER` lists the steps in FOLDER and writes the gradients of each, made in
float64 and contiguous. `python networks.py check FOLDER` makes them as the engine does, with the processor's
kernels that the environment allows. It prints each step's name before it begins, since it may not live to say
more, and how far the gradients lie from the reference after it.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reprise import models
from reprise.data.augment import image_shape
from reprise.data.catalog import class_names, dataset_facts
from reprise.models.meta import network
from reprise.reports.report import Report, report_files
from reprise.reports.run import Run, canonical
from reprise.training.engine import Step
from reprise.training.feed import Feed
from reprise.training.parts import Part
from reprise.training.precision import memory_format
from reprise.training.session import reproducible

CPU = torch.device("cpu")
REPORTS = Path(__file__).resolve().parents[2] / "workflow" / "reports"
SCALES = ("full", "demo")
FLOPS = 4e9
"""What one step may cost. A batch that costs more is cut to fewer images (and said): ImageNet's networks
would take minutes a step.
"""
CHANCE = ("dropout", "dropout2d", "init", "weights")
"""Keys of a network that do not choose its kernels. Dropout is turned off: its masks would differ between
float32 and float64.
"""


@dataclass(frozen=True)
class Case:
    """One step: `images` of them in the batch, of the `batch_size` that the run asks for."""

    run: Run
    where: str
    images: int
    batch_size: int

    @property
    def name(self) -> str:
        cut = f", cut from {self.batch_size}" if self.images < self.batch_size else ""
        return f"{self.where}, {self.images} images{cut}"

    @cached_property
    def classes(self) -> int:
        return len(class_names(self.run))

    def model(self) -> nn.Module:
        """The run's network in training mode, without chance, with the same weights at each call."""
        torch.manual_seed(0)
        model = models.build_untrained(self.run.settings.model, self.classes, image_shape(self.run))
        for module in model.modules():
            for attribute in (
                "p",
                "dropout",
                "drop_rate",
            ):  # torch's dropout and torchvision's stochastic depth; attention; timm
                if isinstance(getattr(module, attribute, None), float):
                    setattr(module, attribute, 0.0)
        return model.train()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in float32 and labels (N,), the same at each call."""
        rng = np.random.default_rng(0)
        images = rng.standard_normal((self.images, *image_shape(self.run)), dtype=np.float32)
        return torch.from_numpy(images), torch.from_numpy(rng.integers(self.classes, size=self.images))


def cases(scales: tuple[str, ...] = SCALES) -> Iterator[Case]:
    """Each distinct step of the reports at `scales` once: network, size of the images, images in a whole
    batch and in an epoch's last.
    """
    seen: set[str] = set()
    for scale in scales:
        for path in report_files(REPORTS).values():
            report = Report(path, scale)
            for cell in (cell for name in report.experiments for cell in report.all_cells(name)):
                run = cell.members[0]
                cost, batch_size = _flops(run), run.settings.training.batch_size
                for images in dict.fromkeys([batch_size, _last_batch(run, batch_size)]):
                    cut = max(2, min(images, int(FLOPS / cost)))
                    key = canonical(
                        [_without_chance(run.settings.model), image_shape(run), len(class_names(run)), cut]
                    )
                    if key not in seen:
                        seen.add(key)
                        yield Case(run, f"{report.slug} {cell.name} at {scale}", cut, images)


def _last_batch(run: Run, batch_size: int) -> int:
    """Images in an epoch's last batch, on whole data sets: training images less those held out."""
    dataset, held_out = run.settings.dataset, run.settings.split.validation
    images = dataset_facts(dataset.name).splits["train"].images
    if dataset.per_class:
        images = dataset.per_class * len(class_names(run))
    if not isinstance(held_out, str):
        images -= round(images * held_out)
    return images % batch_size or batch_size


def _without_chance(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _without_chance(value) for key, value in spec.items() if key not in CHANCE}
    return [_without_chance(item) for item in spec] if isinstance(spec, list) else spec


def _flops(run: Run) -> float:
    """Of a step with one image, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        network(run).eval()(torch.empty(1, *image_shape(run), device="meta"))
    return 3.0 * max(1, counter.get_total_flops())


def reference(case: Case) -> dict[str, Tensor]:
    """Gradients in float64, everything contiguous."""
    model, (images, labels) = case.model().double(), case.batch()
    nn.functional.cross_entropy(model(images.double()), labels).backward()
    return _gradients(model)


def engine(case: Case) -> dict[str, Tensor]:
    """Gradients of the engine's own step."""
    model, (images, labels) = case.model(), case.batch()
    model.to(CPU, memory_format=memory_format(model, torch.float32, CPU))
    part = Part(images, labels, torch.arange(len(labels)))
    feed = Feed(model, part, part, prepare=_same, prepare_training=_same, penalty=None)
    optimizer = torch.optim.SGD([item for item in model.parameters() if item.requires_grad], lr=0.0)
    Step(feed, optimizer, Generator(), keep_originals=False, precision=torch.float32)(part.indices)
    return _gradients(model)


def _same(inputs: Tensor, *_: Any) -> Tensor:
    return inputs


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: item.grad for name, item in model.named_parameters() if item.grad is not None}


def distance(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """The largest difference of any parameter's gradients: root mean square, relative to that of the
    parameter's own.

    A gradient that is 0 but for rounding, as that of a bias before batch normalisation, is held against a
    hundredth of the largest.
    """
    assert found.keys() == wanted.keys()
    sizes = {name: _size(value) for name, value in wanted.items()}
    largest = max(sizes.values())
    worst = 0.0
    for name, value in wanted.items():
        unit = sizes[name] if sizes[name] > 1e-6 * largest else largest / 100
        off = _size(found[name].double() - value.double()) / unit
        worst = max(worst, off if np.isfinite(off) else np.inf)
    return worst


def _size(value: Tensor) -> float:
    return value.double().pow(2).mean().sqrt().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["reference", "check"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    steps = arguments.folder / "steps.json"
    if arguments.work == "reference":
        found = list(cases())
        steps.write_text(
            json.dumps([[case.run.spec, case.where, case.images, case.batch_size] for case in found])
        )
    else:
        found = [Case(Run(spec), *rest) for spec, *rest in json.loads(steps.read_text())]
    with reproducible(CPU, None):
        for number, case in enumerate(found):
            file = arguments.folder / f"{number}.pt"
            if arguments.work == "reference":
                torch.save({name: value.float() for name, value in reference(case).items()}, file)
            else:
                print(f"begins\t{case.name}", flush=True)
                print(f"{distance(engine(case), torch.load(file, mmap=True))}\t{case.name}", flush=True)


if __name__ == "__main__":
    main()
