"""Stand-ins made of other real images, for machines that cannot have a data set: work to practise on, not the
data set itself.

CINIC-10 holds all images of CIFAR-10, a third in each of its parts, beside 210,000 of ImageNet (Darlow et
al., 2018). Its stand-in is that share of it: the same format, classes and names, 60,000 images instead of
270,000.
"""

from pathlib import Path

import numpy as np

from reprise.data.archives import RawSplit
from reprise.data.catalog import DatasetFacts, dataset_facts
from reprise.data.decode import Dataset
from reprise.data.synthetic import write_archive, write_sidecar
from reprise.errors import RepriseError
from reprise.reports.layout import STAND_INS


def write_stand_in(name: str, source: Dataset, folder: Path, per_class: int | None = None) -> Path:
    """Write a stand-in for data set `name`, made of the images of `source`, to `folder` under the official
    archive's name.

    The images of each class, training and test images alike, are dealt to the parts in turn, so that the
    parts are equal: `per_class` of each class in each part (default: as many as there are). File names count
    the images as they are stored in `source`. Beside the archive comes a sidecar which says what it is, by
    which `fetch_dataset(accept="stand-in")` and `decode` know it. The same images give the same bytes with
    the same Pillow. Returns the path of the archive.

    Other pairs of data sets, a source that is not real, and more images than there are, are each a
    `RepriseError`.
    """
    facts = dataset_facts(name)
    if STAND_INS.get(name) != source.name:
        possible = ", ".join(f"{made} from {other}" for made, other in STAND_INS.items())
        raise RepriseError(f"no stand-in for {name} can be made from {source.name}; possible: {possible}")
    if source.source != "real":
        raise RepriseError(
            f"a stand-in for {name} is made of real images, and those of {source.name} are {source.source}; "
            "decode real ones"
        )
    splits = _deal(facts, source, per_class)
    archive = folder / facts.file_name
    write_archive(archive, facts, splits)
    made_from = {
        "name": source.name,
        "digests": {split: part.digest for split, part in source.splits.items()},
    }
    write_sidecar(archive, facts, splits, source="stand-in", made_from=made_from)
    return archive


def _deal(facts: DatasetFacts, source: Dataset, per_class: int | None) -> dict[str, RawSplit]:
    held = {
        split: source.splits[split] for split in dataset_facts(source.name).splits
    }  # training images first
    labels = np.concatenate([part.labels[:, 0] for part in held.values()])
    names = [
        f"{source.name}-{split}-{place}.png"
        for split, part in held.items()
        for place in range(len(part.labels))
    ]
    groups = [np.flatnonzero(labels == label) for label in range(len(facts.classes["label"]))]
    parts = len(facts.splits)
    most = min(map(len, groups)) // parts
    each = most if per_class is None else per_class
    if not 1 <= each <= most:
        raise RepriseError(
            f"{each} images of each class in each of {parts} parts: {source.name} has enough for {most}; "
            f"choose 1 to {most}"
        )
    images = np.concatenate([part.images.reshape(len(part.labels), -1) for part in held.values()])
    dealt = {}
    for turn, split in enumerate(facts.splits):
        chosen = np.sort(np.concatenate([group[turn : each * parts : parts] for group in groups]))
        dealt[split] = RawSplit(images[chosen], labels[chosen, None], [names[place] for place in chosen])
    return dealt
