"""Data sets and pretrained weights: `data fetch`, `data decode` and their like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from reprise.cli.common import archive_of, dataset_dir, named_dataset
from reprise.cli.options import (
    RESULTS,
    DataFolder,
    Mirror,
    ResultsAndDataOptions,
    ResultsFolder,
    as_path,
    layout_of,
    whole,
)
from reprise.cli.process import show
from reprise.errors import RepriseError, UnwritableError
from reprise.files import check_writable, keep_json, read_json, write_json
from reprise.progress import say
from reprise.reports.layout import DEMO_IMAGES, STAND_IN, stand_in_source

if TYPE_CHECKING:
    from reprise.data.archives import Source

DatasetName = Annotated[str, Parameter(name="DATASET", help="the data set's name, such as cifar10")]
Folder = Annotated[
    str, Parameter(name="DATASET", help=f"the data set's name; the name of a stand-in ends in {STAND_IN}")
]


def stamp_file(name: str, file: Path) -> None:
    """The workflow's sign that an archive or a weights file is there and verified."""
    try:
        keep_json(
            file.parent / f"{name}.json", {"name": name, "file": file.name, "bytes": file.stat().st_size}
        )
    except UnwritableError as error:
        say(f"{error.what}; the file is there, but Snakemake does not see that in this folder")
    show(f"{file}: {name}, verified")


def kept(folder: Path, verify: Callable[[], object]) -> bool:
    """Whether nothing can be written in `folder` and nothing need be: `verify` finds what would be made there
    whole.
    """
    if not folder.is_dir():
        return False
    try:
        check_writable(folder)
    except UnwritableError:
        try:
            verify()
        except (RepriseError, OSError):
            return False  # making it says what is refused
        show(f"{folder}: there already and whole; nothing can be written there")
        return True
    return False


def fetch(
    name: DatasetName, /, *, mirror: Mirror = (), where: ResultsAndDataOptions = ResultsAndDataOptions()
) -> None:
    """Fetch and verify an archive."""
    from reprise.data.catalog import dataset_facts
    from reprise.data.fetch import fetch_dataset

    layout = where.layout
    demo = where.scale == "demo"
    destination = layout.archives / dataset_facts(name).file_name
    mirrors = [str(layout.synthetic)] if demo else mirror
    stamp_file(name, fetch_dataset(name, destination, mirrors, accept="synthetic" if demo else "real"))


def fetch_weights(
    name: Annotated[str, Parameter(name="ARCHITECTURE", help="the network's name, such as vgg16")],
    /,
    *,
    mirror: Mirror = (),
    where: ResultsAndDataOptions = ResultsAndDataOptions(),
) -> None:
    """Fetch and verify pretrained weights."""
    from reprise.data import fetch
    from reprise.data.catalog import weights_facts

    destination = where.layout.weights / weights_facts(name).file_name
    stamp_file(name, fetch.fetch_weights(name, destination, mirror))


def decode(name: Folder, /, *, where: ResultsAndDataOptions = ResultsAndDataOptions()) -> None:
    """Decode a fetched archive into arrays."""
    from reprise.data import decode

    layout = where.layout
    dataset, source = named_dataset(name)
    archive, folder = archive_of(dataset, source, layout), layout.dataset(dataset, source)
    if not kept(folder, lambda: decode.load(folder, dataset)):
        decode.decode(dataset, archive, folder)


def statistics(name: Folder, /, *, where: ResultsAndDataOptions = ResultsAndDataOptions()) -> None:
    """Compute the mean and the standard deviation of each channel."""
    from reprise.data.statistics import write_statistics

    values = write_statistics(dataset_dir(*named_dataset(name), where.layout))
    for key in ("mean", "std"):
        show(f"{name} {key}: {' '.join(f'{value:.8f}' for value in values[key])}")


def add(
    archive: Annotated[
        Path,
        as_path,
        Parameter(
            name="ARCHIVE",
            help="an archive of a data set (packed in any way, or a folder), or a file of weights",
        ),
    ],
    /,
    *,
    results: ResultsFolder = RESULTS,
    data: DataFolder = None,
) -> None:
    """Use an archive that you already have. (The demo needs none: it draws its own images.)"""
    from reprise.data.catalog import name_of
    from reprise.data.fetch import add_archive

    file = add_archive(archive, layout_of(results, "full", data).data_dir)
    stamp_file(name_of(file.name), file)


def stand_in(name: DatasetName, /, *, where: ResultsAndDataOptions = ResultsAndDataOptions()) -> None:
    """Make a stand-in for a data set from the real images of another one."""
    from reprise.data.decode import load
    from reprise.data.stand_in import write_stand_in

    layout = where.layout
    source = stand_in_source(name, "data stand-in")
    folder = layout.archives / f"{name}{STAND_IN}"
    if kept(folder, lambda: verify_drawn(name, folder, "stand-in")):
        return
    file = write_stand_in(name, load(dataset_dir(source, "real", layout)), folder)
    write_json(
        folder.with_suffix(".json"),
        {"name": name, "file": str(file.relative_to(layout.archives)), "bytes": file.stat().st_size},
    )
    show(f"{file}: a stand-in for {name}, made from {source}")


def verify_drawn(name: str, folder: Path, source: Source) -> None:
    """Raise a `RepriseError` unless the archive that the project made is in `folder`."""
    from reprise.data.archives import sidecar_of
    from reprise.data.catalog import dataset_facts
    from reprise.data.fetch import verify_made

    facts = dataset_facts(name)
    file = folder / facts.file_name
    verify_made(facts, file, sidecar_of(file), source)


def synthesize(
    name: DatasetName,
    /,
    *,
    train: Annotated[
        int, whole(1_000_000), Parameter(help="training images in all, the same number of each class")
    ] = DEMO_IMAGES["train"],
    test: Annotated[
        int, whole(1_000_000), Parameter(help="test images in all, the same number of each class")
    ] = DEMO_IMAGES["test"],
    results: ResultsFolder = RESULTS,
) -> None:
    """Draw the synthetic images that stand in for a data set at scale demo."""
    from reprise.data.catalog import dataset_facts
    from reprise.data.synthetic import write_synthetic

    classes = max(len(names) for names in dataset_facts(name).classes.values())
    per_class = {"train": max(1, train // classes), "test": max(1, test // classes)}
    folder = layout_of(results, "demo").synthetic
    stamp = {"name": name, "file": dataset_facts(name).file_name, "images_per_class": per_class}

    def verify_there() -> None:
        verify_drawn(name, folder, "synthetic")
        if read_json(folder / f"{name}.json") != stamp:
            raise RepriseError(f"{folder}: other images of {name}")

    if kept(folder, verify_there):
        return
    file = write_synthetic(name, folder, per_class)
    write_json(file.parent / f"{name}.json", stamp)
    show(
        f"{file}: synthetic stand-in, {per_class['train']} training and {per_class['test']} test images of "
        f"each of {classes} classes"
    )
