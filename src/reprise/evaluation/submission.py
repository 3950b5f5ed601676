"""Kaggle's CIFAR-10 test images → the file `id,label` that its challenge takes (report 2, section 3).

The archive holds 1.png … 300000.png, of which 10,000 are the official test images. It is read image by image:
memory holds one batch and two bytes per image however many there are, and of a .zip the directory at its end
(some hundred bytes per file).
"""

import errno
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from reprise.data.archives import PNG_BYTES, decode_png
from reprise.data.catalog import OWN_DATASETS
from reprise.data.tar import damage, files
from reprise.errors import RepriseError, gist
from reprise.evaluation.evaluate import trained_network
from reprise.files import atomic, check_regular
from reprise.folders import is_stray
from reprise.progress import progress
from reprise.reports.layout import HISTORY
from reprise.reports.run import Run
from reprise.results.history import history_rows
from reprise.results.selection import monitored
from reprise.training.parts import Datasets
from reprise.training.results import finished, read_table
from reprise.training.session import choose_device, reproducible

AGAIN = "get the archive again"
MOST_IMAGES = 10_000_000


def best_run(runs: Sequence[Run], cache: Path) -> Run:
    """The run whose selected epoch has the highest validation accuracy, the first of equals; all must be
    trained, else a `RepriseError`.
    """

    def accuracy(run: Run) -> float:
        folder = Path(cache) / run.hash
        document = finished(folder)
        if document is None:
            raise RepriseError(
                f"run {run.hash}: no result in {cache}; train it first, or name a trained run with --run"
            )
        history = history_rows(read_table(folder / HISTORY, ("epoch", "split", "accuracy")))
        return monitored(history, "accuracy")[document["meta"]["selected_epoch"] - 1]

    return runs[0] if len(runs) == 1 else max(runs, key=accuracy)


def write_submission(
    run: Run,
    archive: Path,
    out: Path,
    *,
    dataset_dirs: Mapping[str, Path],
    cache: Path,
    images: int,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Write `id,label` for the images 1.png … `images`.png in `archive`, in order of id, with the class names
    as labels.

    `archive` is a folder, .zip, .tar, .tar.gz, .tar.bz2, .tar.xz or .7z; folders inside it do not matter,
    nor do files that are not PNG or are stray. Images must have the size of the run's data set; those that
    are not RGB are converted. Other parameters as in `reprise.training.engine.train`. A run of other classes,
    an image that is missing, there twice or damaged, and an archive that cannot be read are each a
    `RepriseError`, and nothing is written.
    """
    if not 1 <= images <= MOST_IMAGES:
        raise RepriseError(
            f"--images {images}: the archive must hold at least one image, at most {MOST_IMAGES:,}"
        )
    chosen = choose_device(device)
    with reproducible(chosen, threads):
        data = Datasets(dataset_dirs, chosen).of(run)
        if set(data.classes) != set(OWN_DATASETS["cifar10"].classes["label"]):
            raise RepriseError(f"run {run.hash}: does not learn the ten classes of cifar10; name another run")
        network = trained_network(run, data, Path(cache) / run.hash).to(chosen).eval()
        labels = np.zeros(images, np.uint8)
        _, _, height, width = data.test.inputs.shape
        found = progress(
            _images(Path(archive), images, (height, width)),
            description="predicting",
            total=images,
            unit="image",
        )
        with found, torch.no_grad():
            stream = iter(found)
            while batch := list(islice(stream, data.evaluation_batch)):
                numbers, pixels = zip(*batch, strict=True)
                logits = network(data.preprocess(torch.from_numpy(np.stack(pixels)).to(chosen)))
                labels[np.array(numbers) - 1] = logits.argmax(1).cpu().numpy()
    with atomic(out) as partial, partial.open("w", encoding="ascii") as file:
        file.write("id,label\n")
        file.writelines(f"{number},{data.classes[label]}\n" for number, label in enumerate(labels, 1))


# ---- images ----


def _images(archive: Path, count: int, size: tuple[int, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Number and pixels, uint8 (3, *size), of the images 1 … `count`, in the order in which they are
    stored.
    """
    seen = np.zeros(count, bool)
    for name, content in _pngs(archive, count):
        where = f"{archive}: {name}"
        stem = name.rpartition("/")[2].rpartition(".")[0]
        if not re.fullmatch("[1-9][0-9]{0,8}", stem) or int(stem) > count:
            raise RepriseError(
                f"{where}: not one of 1.png to {count}.png; remove it, or say with --images how many there "
                "are"
            )
        number = int(stem)
        if seen[number - 1]:
            raise RepriseError(f"{where}: the second image {number}; remove one of them")
        seen[number - 1] = True
        yield number, _pixels(content, where, size)
    missing = np.flatnonzero(~seen) + 1
    if len(missing):
        remedy = "get the archive again, or say with --images how many there are"
        raise RepriseError(
            f"{archive}: lacks {len(missing):,} of {count:,} images, the first is {missing[0]}.png; {remedy}"
        )


def _pixels(content: bytes, where: str, size: tuple[int, int]) -> np.ndarray:
    if len(content) > PNG_BYTES:
        raise RepriseError(
            f"{where}: more than {PNG_BYTES:,} bytes, so no image of {size[1]} × {size[0]} pixels; remove it"
        )
    return decode_png(content, (3, *size), where, AGAIN)


# ---- archives ----


def _pngs(archive: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """Name and content (cut off after `PNG_BYTES` + 1) of each PNG file of `count`; at most one is in
    memory.
    """
    kinds = (suffix for suffix in READERS if archive.name.lower().endswith(suffix))
    read = _folder if archive.is_dir() else READERS.get(next(kinds, ""))
    if read is None:
        raise RepriseError(f"{archive}: neither a folder nor {', '.join(READERS)}; give one of these")
    try:
        if read is not _folder:
            check_regular(archive)
        yield from read(archive, count)
    except FileNotFoundError as error:
        raise RepriseError(f"{error.filename}: no such file or folder; check the path") from None
    except OSError as error:
        raise RepriseError(
            f"{archive}: cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from None


def _is_png(name: str) -> bool:
    """Not so for what others add, such as `__MACOSX/test/._1.png` and `@eaDir/1.png/SYNOPHOTO_THUMB.png`."""
    return name.lower().endswith(".png") and not is_stray(name)


def _most_bytes(count: int) -> int:
    """What an archive of `count` small images may unpack to, with what else it may hold."""
    return 2**28 + count * 2**16


def _folder(folder: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """Folders inside it are gone through, links to folders are not."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not is_stray(entry.name):
                        waiting.append(f"{inside}{entry.name}/")
                elif _is_png(entry.name) and entry.is_file():  # a pipe could block for ever
                    with io.FileIO(entry.path) as file:  # pathlib would intern each name
                        yield inside + entry.name, file.read(PNG_BYTES + 1)


def _zip(archive: Path, count: int) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(archive) as unpacked:
            for member in unpacked.infolist():
                name = member.filename.replace("\\", "/")  # as some Windows programs write it
                if not member.is_dir() and _is_png(name):
                    with unpacked.open(member) as file:
                        yield name, file.read(PNG_BYTES + 1)
    except OSError as error:
        if error.errno:  # the system's, which says nothing of the archive
            raise
        raise _damaged(archive, error) from None
    except RepriseError:
        raise
    except Exception as error:  # a damaged file can make anything of zipfile and the libraries below it
        raise _damaged(archive, error) from None


def _damaged(archive: Path, error: Exception) -> RepriseError:
    return RepriseError(f"{archive}: damaged or cut short ({gist(error)}); get it again")


def _tar(archive: Path, count: int) -> Iterator[tuple[str, bytes]]:
    with damage(archive, "get it again"):
        for name, file, _ in files(archive, _most_bytes(count)):
            if _is_png(name):
                yield name, file.read(PNG_BYTES + 1)


def _seven_zip(archive: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """By way of a temporary folder: a .7z is one compressed stream, which py7zr can only unpack as a
    whole.
    """
    by_hand = f"unpack it (7z x {archive.name}) and give the folder"
    try:
        import py7zr
    except ImportError:
        raise RepriseError(f"{archive}: reading a .7z needs py7zr; pip install py7zr, or {by_hand}") from None
    with tempfile.TemporaryDirectory(prefix="reprise-") as folder:
        try:
            with py7zr.SevenZipFile(archive) as unpacked:
                claimed = sum(member.uncompressed or 0 for member in unpacked.list())
                if claimed > _most_bytes(count):
                    raise RepriseError(
                        f"{archive}: unpacks to {claimed:,} bytes, far too many for {count:,} images; get "
                        "it again"
                    )
                unpacked.extractall(folder)
        except RepriseError:
            raise
        except Exception as error:  # a damaged file can make anything of py7zr and the libraries below it
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RepriseError(
                    f"{archive}: no space left to unpack it in {folder}; set TMPDIR to a larger disk"
                ) from None
            raise RepriseError(
                f"{archive}: py7zr cannot unpack it ({type(error).__name__}: {error}); get it again, or "
                f"{by_hand}"
            ) from None
        yield from _folder(Path(folder), count)


READERS: Mapping[str, Callable[[Path, int], Iterator[tuple[str, bytes]]]] = {
    ".zip": _zip,
    ".tar": _tar,
    ".tar.gz": _tar,
    ".tgz": _tar,
    ".tar.bz2": _tar,
    ".tbz2": _tar,
    ".tar.xz": _tar,
    ".txz": _tar,
    ".7z": _seven_zip,
}
