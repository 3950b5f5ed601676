"""Sample images in a grid, enlarged pixel by pixel: each over its caption, or in rows with one caption at
their left.

Options: `images` tells `reprise.data` which images to write (this module does not read it), `columns` the
number of columns, `row_labels` that neighbours with the same caption share a row and its caption. Images with
`transforms` are a row each, with a column per transform.
"""

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.image import AxesImage

from reprise.errors import RepriseError, gist
from reprise.files import check_regular
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import DPI, LEADING, MARGIN, SMALL, text_width, wrap
from reprise.reports.figures import Samples as Spec

MOST_BYTES = 1 << 28
"""Of a file of sample images, unpacked."""
GAP = 0.12
"""Inches between neighbours over their captions."""
NARROW = 0.06
"""Inches between neighbours in rows, which no caption parts."""
LARGEST = 2.0
"""Inches that a side of an image has at most."""
SMALLEST = 0.2
"""Inches that are left for a side of an image at least."""
TINY = 5.0
"""Points that a heading shrinks to, so that its words stay whole, before they are broken."""
LINE = SMALL * LEADING / 72
"""Inches from one line of text to the next."""
DESCENT = 0.2
"""Share of a line that letters reach below its baseline."""


@dataclass(frozen=True)
class SampleImages:
    """What `reprise.data` writes (`reprise.data.samples.write_samples`).

    captions: one per image.
    columns: uint8 (N, H, W, 3) arrays of the N images: one, or one per transform, with an H and W of its own.
    labels: what each transform is called; empty where the images are as they are.
    """

    captions: list[str]
    columns: list[np.ndarray]
    labels: list[str]


def draw(spec: Spec, sources: Sources, page: Page) -> Drawn:
    """Draw the images of `sources.images` row by row, each pixel a whole number of the figure's pixels wide
    where it fits.
    """
    samples = read(sources.images)
    if samples.labels:
        return _transforms(spec, samples, page)
    images, captions = samples.columns[0], samples.captions
    return (_rows if spec.row_labels else _sheet)(spec, images, captions, page)


def _sheet(spec: Spec, images: np.ndarray, captions: Sequence[str], page: Page) -> Drawn:
    """Every image over its caption."""
    count, height, width, _ = images.shape
    columns = min(spec.columns or (4 if page.width < 4 else 8), count)
    cell = _cell(page.width - 2 * MARGIN, columns, GAP)
    zoom = min(int(min(cell, LARGEST) * DPI // width), int(LARGEST * DPI // height))
    size = np.array([width, height]) * (zoom if zoom else cell * DPI / width) / DPI
    texts = [wrap(caption, cell, SMALL) for caption in captions]

    rows = [slice(start, start + columns) for start in range(0, count, columns)]
    lines = [max(len(text.split("\n")) for text in texts[row]) for row in rows]
    page.set_height(sum(size[1] + MARGIN / 2 + LINE * n for n in lines) + GAP * (len(rows) - 1) + 2 * MARGIN)
    top = page.figure.get_size_inches()[1] - page.strip.height - MARGIN
    for row, n in zip(rows, lines, strict=True):
        for column, (image, text) in enumerate(zip(images[row], texts[row], strict=True)):
            middle = MARGIN + column * (cell + GAP) + cell / 2
            bottom = _show(page, image, size, middle, top)
            text += "\n" * (n - 1 - text.count("\n"))  # equal numbers of lines stand on the same lines
            _write(page, text, middle, bottom - MARGIN / 2, ha="center", va="top")
        top -= size[1] + MARGIN / 2 + LINE * n + GAP
    spoken = "; ".join(map(_spoken, captions))
    return Drawn(
        f"{_images(images)}, enlarged: {spoken}.", values=[{"caption": caption} for caption in captions]
    )


def _rows(spec: Spec, images: np.ndarray, captions: Sequence[str], page: Page) -> Drawn:
    """Neighbours with the same caption in rows of their own, captioned once at the left."""
    groups = [
        (caption, [place for place, _ in group])
        for caption, group in groupby(enumerate(captions), key=lambda item: item[1])
    ]
    columns = spec.columns or max(len(places) for _, places in groups)
    labels, rows = [], []
    for caption, places in groups:
        for start in range(0, len(places), columns):
            labels.append("" if start else caption)
            rows.append([images[place] for place in places[start : start + columns]])
    _grid(page, labels, rows, [])
    spoken = "; ".join(f"{_spoken(caption)} ({len(places)})" for caption, places in groups)
    return Drawn(
        f"{_images(images)}, enlarged, in {len(rows)} row{'s' if len(rows) > 1 else ''}: {spoken}.",
        values=[{"caption": caption} for caption in captions],
    )


def _transforms(spec: Spec, samples: SampleImages, page: Page) -> Drawn:
    """Every image in a row of its own, captioned at the left, and every transform in a column under its
    label.
    """
    for key in ("columns", "row_labels"):
        if getattr(spec, key):
            raise RepriseError(
                f"{key}: each of images.transforms is a column and each image a row already; leave {key} out"
            )
    _grid(page, samples.captions, [list(row) for row in zip(*samples.columns, strict=True)], samples.labels)
    shapes = [column.shape[1:3] for column in samples.columns]
    count = len(samples.captions)
    columns = "; ".join(
        f"{label} ({width} × {height} pixels)"
        for label, (height, width) in zip(samples.labels, shapes, strict=True)
    )
    return Drawn(
        f"{count} image{'s' if count > 1 else ''} in rows, enlarged: "
        f"{'; '.join(map(_spoken, samples.captions))}. Columns: {columns}.",
        values=[
            {"caption": caption, "label": label, "height": height, "width": width}
            for caption in samples.captions
            for label, (height, width) in zip(samples.labels, shapes, strict=True)
        ],
    )


def _grid(
    page: Page, labels: Sequence[str], rows: Sequence[Sequence[np.ndarray]], headings: Sequence[str]
) -> None:
    """Rows of pictures, all as large as each other, with a label at the left of each row and, if any, a
    heading over each column.
    """
    texts = [wrap(label, page.width / 4, SMALL) for label in labels]
    margin = max(text_width(line, SMALL) for text in texts for line in text.split("\n")) + NARROW
    columns = max(map(len, rows))
    cell = _cell(page.width - 2 * MARGIN - margin, columns, NARROW)
    side = _side([max(image.shape[:2]) for image in rows[0]], min(cell, LARGEST))
    step = max([side, *(min(cell, text_width(heading, SMALL)) for heading in headings)]) + NARROW
    left = (page.width - margin - columns * step + NARROW) / 2  # the grid stands in the middle
    size = _heading_size(headings, step - NARROW)
    leading = size * LEADING / 72
    tops = [wrap(heading, step - NARROW, size).split("\n") for heading in headings]
    above = max(map(len, tops), default=0) * leading + (NARROW / 2 if tops else 0)
    heights = [max(side, len(text.split("\n")) * LINE) for text in texts]
    page.set_height(above + sum(heights) + NARROW * (len(rows) - 1) + 2 * MARGIN)
    top = page.figure.get_size_inches()[1] - page.strip.height - MARGIN - above
    middles = [left + margin + column * step + (step - NARROW) / 2 for column in range(columns)]
    for lines, middle in zip(tops, middles, strict=False):
        for place, line in enumerate(
            reversed(lines)
        ):  # one by one, so that neighbours stand on the same lines
            _write(
                page,
                line,
                middle,
                top + NARROW / 2 + (place + DESCENT) * leading,
                ha="center",
                va="baseline",
                size=size,
            )
    for row, text, height in zip(rows, texts, heights, strict=True):
        for image, middle in zip(row, middles, strict=False):
            shape = np.array([image.shape[1], image.shape[0]])
            shown = side * shape / shape.max()
            _show(page, image, shown, middle, top - (height - shown[1]) / 2)
        _write(page, text, left + margin - NARROW, top - height / 2, ha="right", va="center")
        top -= height + NARROW


def _cell(room: float, columns: int, gap: float) -> float:
    """Inches that each of `columns` has of `room`."""
    cell = (room - (columns - 1) * gap) / columns
    if cell < SMALLEST:
        raise RepriseError(
            f"{columns} columns leave an image less than {SMALLEST} inches; draw fewer, or set width: wide"
        )
    return cell


def _side(sizes: Sequence[int], limit: float) -> float:
    """Inches, at most `limit`, of the longer side of all pictures whose longer sides have `sizes` pixels.

    A pixel of the smallest picture is a whole number of the figure's pixels wide, and one of the others where
    that costs little.
    """
    most = int(limit * DPI)
    every, coarsest = (most // unit * unit for unit in (math.lcm(*sizes), min(sizes)))
    return (every if every > 0.75 * coarsest else coarsest or most) / DPI


def _heading_size(headings: Sequence[str], room: float) -> float:
    """Points at which no word of the headings is wider than `room` inches, from `SMALL` down to `TINY`."""
    widest = max((text_width(word, SMALL) for heading in headings for word in heading.split()), default=room)
    return max(TINY, SMALL * min(1, room / widest))


def _show(page: Page, image: np.ndarray, size: np.ndarray, middle: float, top: float) -> float:
    """Draw `image`, `size` (width, height) in inches, under `top` and about `middle`, inches from below and
    left. Returns its lower edge.

    It stands on the figure's pixels, and its own stay sharp where they are a whole number of the figure's
    wide.
    """
    width, height = page.figure.get_size_inches()
    left, bottom = (round(edge * DPI) / DPI for edge in (middle - size[0] / 2, top - size[1]))
    zoom = size[0] * DPI / image.shape[1]
    if (
        not page.figure.axes
    ):  # for all images the same ones, in inches, as large as the figure: axes are slow to make
        page.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height)).set_axis_off()
    axes = page.figure.axes[0]
    sharp = zoom >= 1 and abs(zoom - round(zoom)) < 1e-6
    picture = AxesImage(
        axes,
        extent=(left, left + size[0], bottom, bottom + size[1]),
        interpolation="none" if sharp else "antialiased",
        origin="upper",
    )
    picture.set_data(image)
    axes.add_image(picture)
    return bottom


def _write(page: Page, text: str, x: float, y: float, ha: str, va: str, size: float = SMALL) -> None:
    """Set `text` at `x` and `y` inches from the left and from below."""
    width, height = page.figure.get_size_inches()
    page.figure.text(x / width, y / height, text, size=size, linespacing=LEADING, ha=ha, va=va)


def _images(images: np.ndarray) -> str:
    count, height, width, _ = images.shape
    return f"{count} image{'s' if count > 1 else ''} of {width} × {height} pixels"


def _spoken(caption: str) -> str:
    """A caption on one line."""
    return " / ".join(part.strip() for part in caption.split("\n"))


def read(path: Path | None) -> SampleImages:
    """The sample images in the `.npz` that `reprise.data` wrote; anything else is a `RepriseError`."""
    remedy = "write it again with the step that draws samples"
    if path is None or not path.exists():
        raise RepriseError(
            f"{path or 'sample images'}: not found; make it first with the step that draws samples"
        )
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as packed:
            claimed = sum(member.file_size for member in packed.infolist())
        if claimed > MOST_BYTES:
            raise ValueError(f"it claims {claimed:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            labels = [str(label) for label in file["labels"]] if "labels" in file else []
            names = [f"images_{index}" for index in range(len(labels))] or ["images"]
            captions, columns = file["captions"], [file[name] for name in names]
            unknown = sorted({*file.files} - {"captions", "labels", *names})
    except RepriseError:
        raise
    except Exception as error:  # a damaged file can make anything of zipfile and NumPy
        raise RepriseError(
            f"{path}: not a readable file of sample images ({gist(error)}); {remedy}"
        ) from None
    if unknown:
        raise RepriseError(f"{path}: not a file of sample images (it holds {', '.join(unknown)}); {remedy}")
    for images in columns:
        if (
            images.dtype != np.uint8
            or images.ndim != 4
            or images.shape[3] != 3
            or not images.size
            or captions.shape != images.shape[:1]
        ):
            found = f"{captions.size} captions and {images.dtype} images {images.shape}"
            raise RepriseError(f"{path}: {found}, not uint8 (N, H, W, 3) and N; {remedy}")
    return SampleImages([str(caption) for caption in captions], columns, labels)
