"""Sample images in rows: transforms side by side, classes captioned once. Nothing overlaps or is cut off, and
no pixel is bent.
"""

import io
import json
import re

import numpy as np
import pytest
from drawing import build_figure, draw_figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from reprise.errors import RepriseError
from reprise.publishing.figures.samples import SMALLEST
from reprise.publishing.sources import Sources
from reprise.publishing.style import DPI, style

LONG = [
    "large omnivores and herbivores",
    "fish",
    "non-insect invertebrates",
    "coarse: household electrical devices\nfine: television",
]
LABELS = ["original", "horizontal flip", "colour jitter", "rotation 10°", "normalise"]


def pictures(count, size, seed=0):
    height, width = size if isinstance(size, tuple) else (size, size)
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def write_transforms(path, captions, labels, sizes):
    columns = {f"images_{index}": pictures(len(captions), size, index) for index, size in enumerate(sizes)}
    np.savez(path, captions=np.array(captions), labels=np.array(labels), **columns)
    return list(columns.values())


def write_images(path, captions, size=32):
    images = pictures(len(captions), size)
    np.savez(path, images=images, captions=np.array(captions))
    return images


def spec(**changes):
    return {
        "id": "figure_06",
        "kind": "samples",
        "caption": "Images.",
        "images": {"dataset": "cifar100", "captions": ["fine"]},
        **changes,
    }


def build(path, scale="full", **changes):
    with style():
        return build_figure(spec(**changes), Sources(lambda _: [], images=path), scale=scale)


def shown(figure):
    """The figure's pixels (H, W, 3)."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=DPI)
    return np.asarray(Image.open(buffer).convert("RGB"))


def images_of(figure):
    return figure.findobj(AxesImage)


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def assert_sound(figure):
    """Pictures and texts lie on the page, and no two of them overlap."""
    areas = [picture.get_window_extent() for picture in images_of(figure)] + [
        text.get_window_extent() for text in texts(figure)
    ]
    width, height = figure.get_size_inches() * DPI
    for box in areas:
        assert -0.5 <= box.x0 < box.x1 <= width + 0.5
        assert -0.5 <= box.y0 < box.y1 <= height + 0.5
    areas = np.array([[box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1] for box in areas])
    one, other = areas[:, None], areas[None]
    overlap = (np.minimum(one[..., 2:], other[..., 2:]) > np.maximum(one[..., :2], other[..., :2])).all(-1)
    assert overlap.sum() == len(areas), "two overlap"


# ---- transforms ----


@pytest.mark.slow
@pytest.mark.parametrize("width", ["column", "wide"])
@pytest.mark.parametrize(
    ("captions", "labels", "sizes"),
    [
        (["fish"], ["original"], [32]),
        (LONG, LABELS, [32] * 5),
        (LONG * 5, LABELS, [32] * 5),
        (["dog"], ["original", "brightness", "flip", "rotation", "zoom in", "cut-out"], [32] * 6),
        (
            ["bird", "horse"],
            ["original", "resize", "resize, sharpen, normalise and whatever else there is"],
            [96, 32, 32],
        ),
        (["dog", "cat"], ["original", "wide"], [32, (20, 48)]),
    ],
    ids=["one", "long captions", "20 rows", "6 columns", "sizes", "not square"],
)
def test_nothing_overlaps_and_nothing_is_cut_off(tmp_path, captions, labels, sizes, width):
    write_transforms(tmp_path / "s.npz", captions, labels, sizes)
    figure, _ = build(tmp_path / "s.npz", scale="demo", width=width)
    assert len(images_of(figure)) == len(captions) * len(labels)
    assert_sound(figure)


def test_a_row_is_an_image_and_a_column_a_transform(tmp_path):
    columns = write_transforms(tmp_path / "s.npz", ["dog", "cat"], ["original", "small"], [96, 32])
    figure, drawn = build(tmp_path / "s.npz", width="wide")
    page = shown(figure)
    places = [picture.get_window_extent() for picture in images_of(figure)]
    for index, place in enumerate(places):
        row, column = divmod(index, 2)
        image = columns[column][row]
        zoom = round(place.width / image.shape[1])
        left, top = round(place.x0), round(len(page) - place.y1)
        found = page[top : top + round(place.height), left : left + round(place.width)]
        assert np.array_equal(found, image.repeat(zoom, 0).repeat(zoom, 1))
    assert (
        len({round(place.y0) for place in places}) == len({round(place.x0) for place in places}) == 2
    )  # two rows, two columns
    assert len({(round(place.width), round(place.height)) for place in places}) == 1
    assert drawn.values[1] == {"caption": "dog", "label": "small", "height": 32, "width": 32}
    assert (
        drawn.description
        == "2 images in rows, enlarged: dog; cat. Columns: original (96 × 96 pixels); small (32 × 32 pixels)."
    )


def test_labels_stand_over_columns_and_captions_left_of_rows(tmp_path):
    write_transforms(tmp_path / "s.npz", ["dog", "cat"], ["one", "two", "three"], [32] * 3)
    figure, _ = build(tmp_path / "s.npz")
    places = {text.get_text(): text.get_window_extent() for text in texts(figure)}
    places_of_images = [each.get_window_extent() for each in images_of(figure)]
    for column, label in enumerate(["one", "two", "three"]):
        assert places[label].y0 >= places_of_images[column].y1
        assert sum(places[label].intervalx) == pytest.approx(sum(places_of_images[column].intervalx), abs=3)
    for row, caption in enumerate(["dog", "cat"]):
        assert places[caption].x1 <= places_of_images[3 * row].x0
        assert sum(places[caption].intervaly) == pytest.approx(
            sum(places_of_images[3 * row].intervaly), abs=6
        )


def test_labels_shrink_before_their_words_break(tmp_path):
    labels = ["original", "brightness", "flip", "rotation", "zoom in", "cut-out"]
    write_transforms(tmp_path / "s.npz", ["pickup truck"], labels, [32] * 6)
    figure, _ = build(tmp_path / "s.npz", width="column")
    assert set(labels) - {"zoom in"} <= {text.get_text() for text in texts(figure)}


@pytest.mark.parametrize("sizes", [[96, 32], [28, 32], [500, 32]])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_pixels_of_the_smallest_pictures_are_squares(tmp_path, sizes, count):
    sizes = [sizes[0]] * count + sizes[1:]
    write_transforms(tmp_path / "s.npz", ["dog"], [str(index) for index in range(len(sizes))], sizes)
    figure, _ = build(tmp_path / "s.npz", width="wide")
    sides = {round(picture.get_window_extent().width, 3) for picture in images_of(figure)}
    assert len(sides) == 1
    assert sides.pop() % min(sizes) == pytest.approx(0)


@pytest.mark.parametrize("key", [{"columns": 2}, {"row_labels": True}])
def test_what_transforms_decide_is_not_set_too(tmp_path, key):
    write_transforms(tmp_path / "s.npz", ["dog"], ["original"], [32])
    with pytest.raises(RepriseError, match=f"{next(iter(key))}: each of images.transforms is a column"):
        build(tmp_path / "s.npz", **key)


def test_too_many_columns_are_an_error(tmp_path):
    write_transforms(tmp_path / "s.npz", ["dog"], [str(index) for index in range(20)], [32] * 20)
    with pytest.raises(
        RepriseError,
        match=re.escape(f"20 columns leave an image less than {SMALLEST} inches; draw fewer, or set width"),
    ):
        build(tmp_path / "s.npz")
    assert_sound(build(tmp_path / "s.npz", width="wide")[0])


# ---- rows with labels ----


@pytest.mark.parametrize("width", ["column", "wide"])
@pytest.mark.parametrize("captions", [["bicycle", "bus", "motorcycle", "pickup truck", "train"], LONG])
def test_each_class_is_a_row_captioned_once(tmp_path, captions, width):
    write_images(tmp_path / "s.npz", [caption for caption in captions for _ in range(5)])
    figure, drawn = build(tmp_path / "s.npz", columns=5, row_labels=True, width=width, scale="demo")
    assert_sound(figure)
    assert len(images_of(figure)) == 5 * len(captions) == len(drawn.values)
    printed = [text.get_text().replace("\n", " ") for text in texts(figure)]
    assert printed[:-1] == [caption.replace("\n", " ") for caption in captions]  # the last is the strip's
    assert len({round(picture.get_window_extent().y0) for picture in images_of(figure)}) == len(captions)
    assert f"in {len(captions)} rows: {captions[0]} (5); " in drawn.description


def test_a_class_starts_a_row_and_may_take_several(tmp_path):
    write_images(tmp_path / "s.npz", ["cat", "cat", "dog", "dog", "dog", "dog", "dog"])
    figure, _ = build(tmp_path / "s.npz", columns=3, row_labels=True)
    levels = [round(picture.get_window_extent().y0) for picture in images_of(figure)]
    assert [levels.count(level) for level in dict.fromkeys(levels)] == [2, 3, 2]
    places = {text.get_text(): text.get_window_extent() for text in texts(figure)}
    assert list(places) == ["cat", "dog"]
    assert places["dog"].y0 > levels[2]  # at its first row


def test_without_columns_a_class_is_one_row(tmp_path):
    write_images(tmp_path / "s.npz", ["cat"] * 2 + ["dog"] * 6)
    figure, _ = build(tmp_path / "s.npz", row_labels=True)
    assert len({round(picture.get_window_extent().y0) for picture in images_of(figure)}) == 2


def test_row_labels_that_are_off_leave_captions_under_the_images(tmp_path):
    write_images(tmp_path / "s.npz", ["cat", "cat"])
    figure, _ = build(tmp_path / "s.npz", row_labels=False)
    assert [text.get_text() for text in texts(figure)] == ["cat", "cat"]


def test_the_figure_is_written_the_same_each_time(tmp_path):
    write_transforms(tmp_path / "s.npz", ["dog", "cat"], LABELS, [96, 32, 32, 32, 32])
    for name in ("a", "b"):
        draw_figure(
            spec(),
            slug="r",
            resolve=lambda _: [],
            scale="full",
            images=tmp_path / "s.npz",
            out_stem=tmp_path / name,
        )
    for suffix in ("png", "svg", "json"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["alt"].startswith(
        "Images. 2 images in rows, enlarged: dog; cat."
    )


# ---- the file ----


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"captions": ["a"]}, "not a readable file of sample images ('images is not a file in the archive')"),
        (
            {"captions": ["a"], "labels": ["x", "y"], "images_0": pictures(1, 4)},
            "('images_1 is not a file in the archive')",
        ),
        (
            {"captions": ["a"], "labels": ["x"], "images_0": pictures(2, 4)},
            "1 captions and uint8 images (2, 4, 4, 3), not uint8 (N",
        ),
        ({"captions": ["a"], "images": pictures(1, 4) / 255}, "1 captions and float64 images (1, 4, 4, 3)"),
        ({"captions": [["a"]], "images": pictures(1, 4)}, "1 captions and uint8 images (1, 4, 4, 3)"),
        ({"captions": [], "images": pictures(0, 4)}, "0 captions and uint8 images (0, 4, 4, 3)"),
        (
            {"captions": ["a"], "images": pictures(1, 4), "images_0": pictures(1, 4)},
            "not a file of sample images (it holds images_0)",
        ),
    ],
)
def test_a_file_of_another_content_is_an_error(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        build(tmp_path / "s.npz")
    assert str(error.value).endswith("; write it again with the step that draws samples")
