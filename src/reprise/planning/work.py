"""What runs ask for: images and epochs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reprise.checking import check_validation
from reprise.data.catalog import class_names, dataset_facts
from reprise.data.decode import read_facts
from reprise.reports.layout import DEMO_IMAGES, STAND_INS, Layout
from reprise.reports.run import Run
from reprise.reports.settings import Rungs
from reprise.search.asha import Halving

ORDERS = 20
"""Random orders of a study's trials that its expected epochs are the mean of."""


@dataclass(frozen=True)
class Work:
    """What one run asks for."""

    run: Run
    train_images: int
    """In one epoch; twice those of the training part where originals are kept."""
    validation_images: int
    test_images: int

    @property
    def epochs(self) -> int:
        return self.run.settings.training.epochs

    @property
    def plain_train_images(self) -> int:
        """Those of the training part, each once: evaluation predicts them too."""
        return self.train_images // (2 if self.run.settings.training.keep_originals else 1)


def work_of(run: Run, where: Layout) -> Work:
    """The images of a run: of its data set if that is there, else as the catalog counts them; classes count
    as equally large.

    A data set without the validation part that the run asks for is a `RepriseError`.
    """
    check_validation(run)
    dataset, split = run.settings.dataset, run.settings.split.validation
    facts = dataset_facts(dataset.name)
    sizes = split_sizes(where.dataset(facts.name, dataset.source), facts.name, dataset.source)

    def chosen(part: str) -> int:
        kept, known = len(class_names(run)), len(facts.classes[dataset.labels])
        images = sizes[part] * kept // known
        return min(images, dataset.per_class * kept) if dataset.per_class else images

    train, test = chosen("train"), chosen("test")
    if isinstance(split, str):
        trained, held_out = train, test if split == "test" else chosen("validation")
    else:
        held_out = round(train * split)
        trained = train - held_out
    return Work(run, trained * (2 if run.settings.training.keep_originals else 1), held_out, test)


@cache
def split_sizes(folder: Path, name: str, source: str) -> dict[str, int]:
    if (folder / "dataset.json").exists():
        return {split: facts["images"] for split, facts in read_facts(folder)["splits"].items()}
    if source == "synthetic":
        return {split: DEMO_IMAGES.get(split, DEMO_IMAGES["test"]) for split in dataset_facts(name).splits}
    if (
        source == "stand-in"
    ):  # all images of the other data set, dealt to equal parts (`reprise.data.stand_in`)
        images = sum(split.images for split in dataset_facts(STAND_INS[name]).splits.values())
        return {split: images // len(dataset_facts(name).splits) for split in dataset_facts(name).splits}
    return {name: split.images for name, split in dataset_facts(name).splits.items()}


@cache
def _expected_share(min_resource: int, reduction_factor: int, trials: int, epochs: int) -> float:
    """The share of a study's epochs that its rule is expected to train: trials in random order, of which a
    better one is always better.
    """
    generator, trained = random.Random(0), 0
    for _ in range(ORDERS):
        halving = Halving(Rungs(min_resource=min_resource, reduction_factor=reduction_factor))
        for _ in range(trials):
            halving.begin()
            accuracy = generator.random()
            while halving.report(accuracy) is None and halving.epoch < epochs:
                pass
            trained += halving.epoch
    return trained / (ORDERS * trials * epochs)


def expected_share(runs: Sequence[Run]) -> float:
    """The share of the epochs of one experiment's runs that is expected to be trained: less than 1 in a study
    with successive halving.

    An early stop is not foreseen.
    """
    study, epochs = runs[0].settings.study, runs[0].settings.training.epochs
    if study is None:
        return 1.0
    return _expected_share(study.min_resource, study.reduction_factor, len(runs), epochs)
