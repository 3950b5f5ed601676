"""Sample images: which are chosen, what transforms make of them, and what the file holds."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as TF

from reprise.data.decode import load
from reprise.data.samples import choose, transformed, write_samples
from reprise.errors import RepriseError
from tiny import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """150 training and 60 test images; coarse: warm (red, orange), cold (blue, green)."""
    return load(write_dataset(tmp_path_factory.mktemp("data")))


def fine(dataset, indices, split="train"):
    return [dataset.classes["fine"][label] for label in dataset.splits[split].labels[indices, 1]]


def written(dataset, tmp_path, **selection):
    write_samples(dataset, {"dataset": "cifar10", "captions": ["fine"], **selection}, tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:
        return dict(file.items())


# ---- which images ----


def test_images_of_each_class_stand_in_stored_order(dataset):
    chosen = choose(dataset, {"by": "fine", "each": 3})
    labels = dataset.splits["train"].labels[:, 1]
    expected = [
        index for label in range(4) for index in [i for i, found in enumerate(labels) if found == label][:3]
    ]
    assert chosen.tolist() == expected
    assert choose(dataset, {"each": 2}).tolist() == [0, 1]


def test_one_superclass_by_its_classes(dataset):
    assert (
        fine(dataset, choose(dataset, {"where": {"coarse": "cold"}, "by": "fine", "each": 2}))
        == ["blue"] * 2 + ["green"] * 2
    )


def test_named_classes_stand_in_the_order_named(dataset):
    assert fine(dataset, choose(dataset, {"by": "fine", "classes": ["green", "red"]})) == ["green", "red"]


def test_every_split_of_the_data_set_can_be_shown(dataset):
    assert fine(dataset, choose(dataset, {"split": "test", "by": "fine"}), "test") == [
        "red",
        "orange",
        "blue",
        "green",
    ]
    three = replace(dataset, splits={**dataset.splits, "validation": dataset.splits["test"]})
    assert (
        choose(three, {"split": "validation", "by": "fine"}).tolist()
        == choose(three, {"split": "test", "by": "fine"}).tolist()
    )


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"split": "validation"}, "images.split: cifar10 has no split validation; valid: test, train"),
        ({"split": "tests"}, "images.split: cifar10 has no split tests; did you mean test?"),
        ({"by": "fin"}, "cifar10 has no labels of kind fin; did you mean fine?"),
        ({"where": {"fine": "rde"}}, "images.where.fine: cifar10 has no class rde; did you mean red?"),
        (
            {"by": "fine", "classes": ["gren"]},
            "images.classes: cifar10 has no class gren; did you mean green?",
        ),
        (
            {"by": "fine", "classes": ["red"], "where": {"coarse": "cold"}},
            "images.classes: no image of red fits `where` {'coarse': 'cold'}",
        ),
        ({"classes": ["red"]}, "images.classes: of which kind of label? name it in images.by"),
        (
            {"where": {"coarse": "cold", "fine": "red"}},
            "no image of cifar10 fits `where` {'coarse': 'cold', 'fine': 'red'}; widen it",
        ),
    ],
)
def test_mistakes_are_named(dataset, selection, message):
    with pytest.raises(RepriseError, match=re.escape(message)):
        choose(dataset, selection)


# ---- the file ----


def test_without_transforms_the_file_holds_the_images(dataset, tmp_path):
    arrays = written(dataset, tmp_path, by="fine", captions=["coarse", "fine"])
    assert set(arrays) == {"captions", "images"}
    assert arrays["captions"][0] == "coarse: warm\nfine: red"
    chosen = choose(dataset, {"by": "fine"})
    assert np.array_equal(arrays["images"], dataset.splits["train"].images[chosen].transpose(0, 2, 3, 1))


def test_every_transform_is_an_array_of_its_own_size(dataset, tmp_path):
    transforms = [
        {"label": "original"},
        {"label": "small", "preprocess": {"resize": 6}},
        {"label": "left", "augmentation": [{"flip": 1}]},
    ]
    arrays = written(dataset, tmp_path, by="fine", transforms=transforms)
    assert set(arrays) == {"captions", "labels", "images_0", "images_1", "images_2"}
    assert arrays["labels"].tolist() == ["original", "small", "left"]
    assert arrays["captions"].tolist() == ["red", "orange", "blue", "green"]
    original = dataset.splits["train"].images[choose(dataset, {"by": "fine"})]
    small = TF.resize(torch.from_numpy(original) / 255, 6, antialias=True).mul(255).round().numpy()
    for index, expected in enumerate((original, small, original[:, :, :, ::-1])):
        found = arrays[f"images_{index}"]
        assert found.dtype == np.uint8
        assert np.array_equal(found.transpose(0, 3, 1, 2), expected)


# ---- transforms ----


def one(dataset, images, seed=0, **transform):
    return transformed(dataset, images, [{"label": "one", **transform}], seed)[0]


@pytest.fixture
def images(dataset):
    return np.array(dataset.splits["train"].images[:5])


def test_settings_act_in_a_runs_order(dataset, images):
    transform = {
        "preprocess": {"resize": 10, "crop": 8, "sharpen": 2, "normalize": "half"},
        "augmentation": [{"vertical_flip": 1}],
    }
    pixels = TF.center_crop(TF.resize(torch.from_numpy(images) / 255, 10, antialias=True), 8)
    expected = TF.vflip(TF.adjust_sharpness(pixels, 2)) * 255  # −1 to 1 from black to white
    assert np.abs(one(dataset, images, **transform) - expected.numpy()).max() <= 0.5 + 1e-3


def test_the_range_of_normalised_values_is_shown_from_black_to_white(dataset):
    images = np.array([0, 127, 128, 191, 255], dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, 1)
    shown = one(dataset, images, preprocess={"normalize": "half"})
    assert shown[:, 0, 0, 0].tolist() == [0, 127, 128, 191, 255]


def test_normalisation_by_training_statistics_takes_all_training_images(dataset, images):
    pixels = dataset.splits["train"].images / 255
    mean, std = (values.reshape(3, 1, 1) for values in (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))))
    low, high = (-mean / std).min(), ((1 - mean) / std).max()  # of all channels together: colours stay apart
    expected = ((images / 255 - mean) / std - low) / (high - low) * 255
    assert np.abs(one(dataset, images, preprocess={"normalize": "train"}) - expected).max() <= 0.5 + 1e-3


RANDOM = {"label": "rotation", "augmentation": [{"rotation": 90}]}


def test_a_seed_gives_one_picture_whatever_else_is_shown(dataset, images):
    alone = transformed(dataset, images, [RANDOM], 0)[0]
    among = transformed(
        dataset, images, [{"label": "jitter", "augmentation": [{"jitter": {"hue": 0.1}}]}, RANDOM], 0
    )[1]
    assert np.array_equal(alone, among)
    assert not np.array_equal(alone, transformed(dataset, images, [RANDOM], 1)[0])


def test_images_are_transformed_each_in_its_own_way(dataset, images):
    same = images[:1].repeat(5, 0)
    assert len({picture.tobytes() for picture in one(dataset, same, **RANDOM)}) == 5


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"augmentation": [{"flipp": 1}]}, "unknown augmentation 'flipp'; did you mean flip?"),
        (
            {"preprocess": {"normalize": "hafl"}},
            "preprocess: normalize: 'hafl' is not valid; did you mean half?",
        ),
    ],
)
def test_transforms_that_do_not_exist_are_named_and_nothing_is_written(dataset, tmp_path, transform, message):
    with pytest.raises(RepriseError, match=re.escape(message)):
        written(dataset, tmp_path, transforms=[{"label": "one", **transform}])
    assert not list(tmp_path.iterdir())
