"""Sample images in a grid, enlarged pixel by pixel, each over its caption.

Options: `images` tells the data room which images to write (this module does not read it), `columns` the number of columns.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reprise.errors import RepriseError
from reprise.publishing.figures.page import Drawn, Page, Results
from reprise.publishing.style import DPI, LEADING, MARGIN, SMALL, wrap

GAP = 0.12
"""Inches between neighbours."""
LARGEST = 2.0
"""Inches that a side of an image has at most."""


def draw(spec: Mapping[str, Any], results: Results, page: Page) -> Drawn:
    """Draw the images of `results.images` row by row, each pixel a whole number of the figure's pixels wide where it fits."""
    images, captions = read(results.images)
    count, height, width, _ = images.shape
    columns = min(spec.get("columns", 4 if page.width < 4 else 8), count)
    cell = (page.width - 2 * MARGIN - (columns - 1) * GAP) / columns
    zoom = min(int(min(cell, LARGEST) * DPI // width), int(LARGEST * DPI // height))
    size = np.array([width, height]) * (zoom if zoom else cell * DPI / width) / DPI
    texts = [wrap(caption, cell, SMALL) for caption in captions]

    line = SMALL * LEADING / 72
    rows = [slice(start, start + columns) for start in range(0, count, columns)]
    lines = [max(len(text.split("\n")) for text in texts[row]) for row in rows]
    page.set_height(sum(size[1] + MARGIN / 2 + line * n for n in lines) + GAP * (len(rows) - 1) + 2 * MARGIN)
    total = page.figure.get_size_inches()[1]
    top = total - page.strip.height - MARGIN
    for row, n in zip(rows, lines, strict=True):
        bottom = round((top - size[1]) * DPI) / DPI
        for column, (image, text) in enumerate(zip(images[row], texts[row], strict=True)):
            middle = MARGIN + column * (cell + GAP) + cell / 2
            left = round((middle - size[0] / 2) * DPI) / DPI
            axes = page.figure.add_axes((left / page.width, bottom / total, size[0] / page.width, size[1] / total))
            axes.imshow(image, interpolation="none" if zoom else "antialiased", aspect="auto")
            axes.set_axis_off()
            text += "\n" * (n - 1 - text.count("\n"))  # equal numbers of lines stand on the same lines
            x, y = middle / page.width, (bottom - MARGIN / 2) / total
            page.figure.text(x, y, text, size=SMALL, ha="center", va="top", linespacing=LEADING)
        top -= size[1] + MARGIN / 2 + line * n + GAP
    spoken = "; ".join(" / ".join(part.strip() for part in caption.split("\n")) for caption in captions)
    return Drawn(
        f"{count} image{'s' if count > 1 else ''} of {width} × {height} pixels, enlarged: {spoken}.",
        values=[{"caption": caption} for caption in captions],
    )


def read(path: Path | None) -> tuple[np.ndarray, list[str]]:
    """`images` uint8 (N, H, W, 3) and their N `captions` from an `.npz`; anything else is a `RepriseError`."""
    remedy = "write it again with the step that draws samples"
    if path is None or not path.exists():
        raise RepriseError(f"{path or 'sample images'}: not found; make it first with the step that draws samples")
    try:
        with np.load(path, allow_pickle=False) as file:
            images, captions = file["images"], [str(caption) for caption in file["captions"]]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RepriseError(f"{path}: not a readable file of sample images ({error}); {remedy}") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images) or len(captions) != len(images):
        raise RepriseError(
            f"{path}: {len(captions)} captions and {images.dtype} images {images.shape}, not uint8 (N, H, W, 3) and N; {remedy}"
        )
    return images, captions
