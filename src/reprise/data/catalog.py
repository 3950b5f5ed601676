"""What is known of every data set and pretrained weight file before it is fetched.

Sources: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009 (CIFAR-10, CIFAR-100,
and the layout of their "python version"); A. Coates, H. Lee, A. Y. Ng, "An analysis of single-layer networks
in unsupervised feature learning", 2011, and torchvision.datasets.STL10 (STL-10); L. N. Darlow et al.,
"CINIC-10 is not ImageNet or CIFAR-10", 2018, and its README (CINIC-10); torchvision's model zoo (weights).

A new data set is one more entry of `OWN_DATASETS`; in a package of your own it is a `DatasetFacts`, named by
an entry point (docs/extending.md). Where none of the layouts below is that of its archive, it brings an
`ArchiveLayout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from reprise import extensions
from reprise.errors import RepriseError, nearest
from reprise.reports.run import Run

if TYPE_CHECKING:
    from reprise.data.archives import RawSplit


class ArchiveLayout(Protocol):
    """How an archive, a .tar.gz, holds its images and labels."""

    @property
    def grey(self) -> bool:
        """Whether some of its images may have no colour."""

    @property
    def parts(self) -> Sequence[str]:
        """What must stand side by side: the names of files, or of folders with a `/` at the end."""

    def read(
        self, facts: DatasetFacts, archive: Path, scratch: Path | None, workers: int | None
    ) -> dict[str, RawSplit]:
        """All splits, checked for form: as `read_archive` in `reprise.data.archives`, where `read_members`
        opens an archive or a folder that nobody trusts.
        """

    def members(self, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> Iterator[tuple[str, bytes]]:
        """Name and content of the files of an archive that holds `splits`, for the demo's drawn images."""


@dataclass(frozen=True)
class CifarLayout:
    """Where the pickled members of a CIFAR archive keep what: each is a dictionary with `data`, `filenames`
    and labels.
    """

    splits: Mapping[str, tuple[str, ...]]  # split → members, in order
    meta: str  # the member that holds the class names
    label_keys: Mapping[str, str]  # kind of label → key of the labels in a member of a split
    class_keys: Mapping[str, str]  # kind of label → key of the class names in `meta`
    grey: ClassVar[bool] = False

    @property
    def parts(self) -> Sequence[str]:
        members = [*(member for split in self.splits.values() for member in split), self.meta]
        return [member.rpartition("/")[2] for member in members]

    def read(
        self, facts: DatasetFacts, archive: Path, scratch: Path | None, workers: int | None
    ) -> dict[str, RawSplit]:
        from reprise.data.archives import read_cifar  # with NumPy and Pillow, for which facts need not wait

        return read_cifar(facts, self, archive)

    def members(self, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> Iterator[tuple[str, bytes]]:
        from reprise.data.synthetic import cifar_members

        return cifar_members(facts, self, splits)


@dataclass(frozen=True)
class StlLayout:
    """Where an STL-10 archive keeps what: images as plain bytes, each plane of them column by column, and
    labels from 1, a byte each.
    """

    splits: Mapping[str, tuple[str, str]]  # split → member of its images, member of its labels
    grey: ClassVar[bool] = False

    @property
    def parts(self) -> Sequence[str]:
        return [member.rpartition("/")[2] for split in self.splits.values() for member in split]

    def read(
        self, facts: DatasetFacts, archive: Path, scratch: Path | None, workers: int | None
    ) -> dict[str, RawSplit]:
        from reprise.data.archives import read_stl

        return read_stl(facts, self, archive, scratch)

    def members(self, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> Iterator[tuple[str, bytes]]:
        from reprise.data.synthetic import stl_members

        return stl_members(facts, self, splits)


@dataclass(frozen=True)
class PngLayout:
    """A tree of PNG files `<folder>/<class>/<name>.png`, at the root of the archive or below one more folder.
    Other files do not matter.
    """

    splits: Mapping[str, str]  # split → folder
    grey: ClassVar[bool] = True

    @property
    def parts(self) -> Sequence[str]:
        return [f"{folder}/" for folder in self.splits.values()]

    def read(
        self, facts: DatasetFacts, archive: Path, scratch: Path | None, workers: int | None
    ) -> dict[str, RawSplit]:
        from reprise.data.archives import read_pngs

        return read_pngs(facts, self, archive, scratch, workers)

    def members(self, facts: DatasetFacts, splits: Mapping[str, RawSplit]) -> Iterator[tuple[str, bytes]]:
        from reprise.data.synthetic import png_members

        return png_members(facts, self, splits)


@dataclass(frozen=True)
class SplitFacts:
    images: int
    digest: str | None = None  # content digest, see archives.content_digest; None: not known


@dataclass(frozen=True)
class DatasetFacts:
    """A data set: `classes` maps each kind of label, in the order of the label columns, to its class names in
    label order.

    The official archive is known by its `md5`. A repacked or unpacked one is as good where its content is
    known: by the MD5 of each of the members that are read (`member_md5`), or else by the content digests of
    all splits.
    `mean` and `std` are the published channel statistics of the training images, scaled to [0, 1].
    `max_bytes` bounds the archive and what it unpacks to.
    """

    name: str
    file_name: str
    urls: tuple[str, ...]
    md5: str
    max_bytes: int
    layout: ArchiveLayout
    splits: Mapping[str, SplitFacts]
    classes: Mapping[str, tuple[str, ...]]
    image_shape: tuple[int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    member_md5: Mapping[str, str] = field(default_factory=dict)

    @property
    def label_kinds(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @property
    def content_is_known(self) -> bool:
        """Whether its content can be told from another's without the official archive."""
        return bool(self.member_md5) or all(split.digest for split in self.splits.values())


@dataclass(frozen=True)
class WeightsFacts:
    """A file of pretrained weights, whose name carries the first digits of its SHA-256."""

    name: str
    file_name: str
    urls: tuple[str, ...]
    sha256_prefix: str
    max_bytes: int


CIFAR100_SUPERCLASSES: Mapping[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""Superclass → its five classes. Labels number both kinds in alphabetical order."""

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

OWN_DATASETS: Mapping[str, DatasetFacts] = {
    facts.name: facts
    for facts in (
        DatasetFacts(
            name="cifar10",
            file_name="cifar-10-python.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            md5="c58f30108f718f92721af3b95e74349a",
            max_bytes=256 * 2**20,
            layout=CifarLayout(
                splits={
                    "train": tuple(f"cifar-10-batches-py/data_batch_{k}" for k in range(1, 6)),
                    "test": ("cifar-10-batches-py/test_batch",),
                },
                meta="cifar-10-batches-py/batches.meta",
                label_keys={"label": "labels"},
                class_keys={"label": "label_names"},
            ),
            splits={
                "train": SplitFacts(
                    50_000, "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260"
                ),
                "test": SplitFacts(
                    10_000, "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f"
                ),
            },
            classes={"label": CIFAR10_CLASSES},
            image_shape=(3, 32, 32),
            mean=(0.49139968, 0.48215841, 0.44653091),
            std=(0.24703223, 0.24348513, 0.26158784),
        ),
        DatasetFacts(
            name="cifar100",
            file_name="cifar-100-python.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            md5="eb9058c3a382ffc7106e4002c42a8d85",
            max_bytes=256 * 2**20,
            layout=CifarLayout(
                splits={"train": ("cifar-100-python/train",), "test": ("cifar-100-python/test",)},
                meta="cifar-100-python/meta",
                label_keys={"coarse": "coarse_labels", "fine": "fine_labels"},
                class_keys={"coarse": "coarse_label_names", "fine": "fine_label_names"},
            ),
            splits={
                "train": SplitFacts(
                    50_000, "7077d87fc363f92dbf1245f13ba80561d7b33a96c79ad57168d49dc172aaa92b"
                ),
                "test": SplitFacts(
                    10_000, "96adb3db8da7632dbb350559a17b9f585fab5b17675de5fc8f6761384196b294"
                ),
            },
            classes={
                "coarse": tuple(CIFAR100_SUPERCLASSES),
                "fine": tuple(sorted(name for group in CIFAR100_SUPERCLASSES.values() for name in group)),
            },
            image_shape=(3, 32, 32),
            mean=(0.50707516, 0.48654887, 0.44091784),
            std=(0.26733429, 0.25643846, 0.27615047),
        ),
        DatasetFacts(
            name="stl10",
            file_name="stl10_binary.tar.gz",
            urls=("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
            md5="91f7769df0f17e558f3565bffb0c7dfb",
            max_bytes=4 * 2**30,  # of which 2.8e9 are unlabelled images, which are skipped
            layout=StlLayout(
                splits={
                    "train": ("stl10_binary/train_X.bin", "stl10_binary/train_y.bin"),
                    "test": ("stl10_binary/test_X.bin", "stl10_binary/test_y.bin"),
                }
            ),
            splits={"train": SplitFacts(5_000), "test": SplitFacts(8_000)},
            classes={
                "label": ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
            },
            image_shape=(3, 96, 96),
            mean=(0.4467, 0.4398, 0.4066),
            std=(0.2603, 0.2566, 0.2713),
            member_md5={
                "stl10_binary/train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
                "stl10_binary/train_y.bin": "5a34089d4802c674881badbb80307741",
                "stl10_binary/test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
                "stl10_binary/test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
            },
        ),
        DatasetFacts(
            name="cinic10",
            file_name="CINIC-10.tar.gz",
            urls=(
                "https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz",
                "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz",
            ),
            md5="6ee4d0c996905fe93221de577967a372",
            max_bytes=2 * 2**30,
            layout=PngLayout(splits={"train": "train", "validation": "valid", "test": "test"}),
            splits={
                "train": SplitFacts(90_000),
                "validation": SplitFacts(90_000),
                "test": SplitFacts(90_000),
            },
            classes={"label": CIFAR10_CLASSES},
            image_shape=(3, 32, 32),
            mean=(0.47889522, 0.47227842, 0.43047404),
            std=(0.24205776, 0.23828046, 0.25874835),
        ),
    )
}


def _torchvision(name: str, digits: str, megabytes: int) -> WeightsFacts:
    """torchvision's IMAGENET1K_V1 weights of the architecture `name`; the file has about `megabytes`, twice
    as many are too many.
    """
    file_name = f"{name}-{digits}.pth"
    return WeightsFacts(
        name, file_name, (f"https://download.pytorch.org/models/{file_name}",), digits, 2 * megabytes * 10**6
    )


WEIGHTS: Mapping[str, WeightsFacts] = {
    facts.name: facts
    for facts in (
        _torchvision("vgg16", "397923af", 553),
        _torchvision("vgg19", "dcbb9e9d", 575),
        _torchvision("resnet18", "f37072fd", 47),
        _torchvision("mobilenet_v3_small", "047dcff4", 10),
        _torchvision("efficientnet_v2_s", "dd5fe13b", 86),
    )
}
"""Architecture → its weights."""


def dataset_facts(name: str) -> DatasetFacts:
    """Facts of the data set `name`; an unknown one is a `RepriseError` that offers the nearest."""
    return extensions.DATASETS.find(name)


def weights_facts(name: str) -> WeightsFacts:
    """Facts of the pretrained weights `name`; unknown ones are a `RepriseError` that offers the nearest."""
    if name not in WEIGHTS:
        raise RepriseError(f"unknown pretrained weights {name!r}{nearest(name, WEIGHTS)}")
    return WEIGHTS[name]


def all_files() -> Iterator[DatasetFacts | WeightsFacts]:
    """What is known of every file that can be fetched; the project's own come first."""
    yield from OWN_DATASETS.values()
    yield from WEIGHTS.values()
    yield from (extensions.DATASETS[name] for name in extensions.DATASETS if name not in OWN_DATASETS)


def name_of(file_name: str) -> str:
    """Name of the data set or the weights that come in the file `file_name`."""
    for facts in all_files():
        if facts.file_name == file_name:
            return facts.name
    raise RepriseError(f"{file_name}: not the file of a known data set or of known weights; check its name")


def class_names(run: Run) -> Sequence[str]:
    """Names of the labels 0, 1, … that a run learns; labels or classes that its data set does not have are a
    `RepriseError`.
    """
    wanted = run.settings.dataset
    known = labels_of(dataset_facts(wanted.name), wanted.labels, "dataset.labels")
    for name in wanted.classes or ():
        if name not in known:
            raise RepriseError(
                f"dataset.classes: no {wanted.labels} label of {wanted.name} is called "
                f"{name!r}{nearest(name, known)}"
            )
    return wanted.classes or known


def labels_of(facts: DatasetFacts, kind: str, where: str) -> Sequence[str]:
    """Names of the labels of one kind; the `RepriseError` for another kind says `where` it was named."""
    if kind not in facts.classes:
        raise RepriseError(
            f"{where}: {facts.name} has no labels of kind {kind!r}{nearest(kind, facts.classes)}"
        )
    return facts.classes[kind]
