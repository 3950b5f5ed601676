import numpy as np
import pytest

from reprise.data.decode import decode, load
from reprise.data.splits import subset, train_validation
from reprise.errors import RepriseError


@pytest.fixture(scope="module")
def dataset(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("splits")
    decode("cifar100", drawn["cifar100"], folder)
    return load(folder)


def test_everything_by_default(dataset):
    part = subset(dataset, "fine")
    np.testing.assert_array_equal(part.indices, np.arange(300))
    np.testing.assert_array_equal(part.labels, dataset.splits["train"].labels[:, 1])
    assert part.classes == dataset.classes["fine"]
    assert len(subset(dataset, "coarse", split="test").indices) == 100


def test_classes_are_numbered_in_the_order_given(dataset):
    indices, labels, classes = subset(dataset, "fine", ["wolf", "apple"])
    assert classes == ("wolf", "apple")
    stored = dataset.splits["train"].labels[indices, 1]
    np.testing.assert_array_equal(labels == 0, stored == dataset.classes["fine"].index("wolf"))
    np.testing.assert_array_equal(labels == 1, stored == 0)
    assert (np.diff(indices) > 0).all()


def test_per_class_counts_by_the_learned_label_and_takes_the_first(dataset):
    part = subset(dataset, "coarse", per_class=4)
    assert (np.bincount(part.labels) == 4).all()
    column = dataset.splits["train"].labels[:, 0]
    for label in range(20):
        np.testing.assert_array_equal(part.indices[part.labels == label], np.flatnonzero(column == label)[:4])
    assert (np.bincount(subset(dataset, "coarse", per_class=99).labels) == 15).all()  # all there are


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": "fin"}, "no labels 'fin'; did you mean fine"),
        (
            {"labels": "coarse", "classes": ["fish", "flower"]},
            "no class 'flower' among its coarse labels; did you mean flowers",
        ),
        ({"labels": "fine", "classes": ["fish", "apple"]}, "no class 'fish' among its fine labels"),
        (
            {"labels": "fine", "classes": ["apple", "apple"]},
            "classes apple, apple; name at least two, each once",
        ),
        ({"labels": "fine", "classes": []}, r"classes \(none\)"),
        ({"labels": "fine", "per_class": 0}, "0 images per class"),
        ({"labels": "fine", "split": "tests"}, "no split 'tests'; did you mean test"),
        (
            {"labels": "fine", "split": "validation"},
            r"cifar100: has no validation images of its own .*; hold out a fraction of its training images, "
            r"or let the test set validate",
        ),
    ],
)
def test_wrong_choices(dataset, arguments, message):
    with pytest.raises(RepriseError, match=message):
        subset(dataset, **arguments)


def test_validation_images_of_the_data_sets_own(drawn, tmp_path):
    decode("cinic10", drawn["cinic10"], tmp_path)
    own = load(tmp_path)
    stored = own.splits["validation"].labels[:, 0]
    part = subset(own, "label", ["dog", "cat"], split="validation")
    assert [own.classes["label"][stored[i]] for i in part.indices] == [
        part.classes[label] for label in part.labels
    ]
    assert sorted(part.labels) == [0, 1]


def test_a_class_without_images(dataset, tmp_path):
    labels = dataset.splits["test"].labels
    there = [name for name in dataset.classes["fine"] if name not in ("apple",)]
    cut = type(dataset.splits["test"])(
        dataset.splits["test"].images,
        np.where(labels == 0, 1, labels),
        dataset.splits["test"].digest,
        dataset.splits["test"].names_file,
    )
    damaged = type(dataset)(dataset.name, dataset.source, dataset.classes, dataset.image_shape, {"test": cut})
    assert len(subset(damaged, "fine", there, split="test").classes) == 99
    with pytest.raises(RepriseError, match="no test images of apple"):
        subset(damaged, "fine", split="test")


def test_validation_is_a_random_part(dataset):
    indices = np.arange(100, 300)
    train, validation = train_validation(indices, 0.1, seed=3)
    assert (len(train), len(validation)) == (180, 20)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), indices)
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    again = train_validation(indices, 0.1, seed=3)
    np.testing.assert_array_equal(again[1], validation)
    assert set(train_validation(indices, 0.1, seed=4)[1]) != set(validation)


def test_the_draw_never_changes():
    """Golden: another draw would give every run another split."""
    assert train_validation(np.arange(20), 0.2, seed=0)[1].tolist() == [2, 3, 11, 13]


def test_every_place_is_drawn_equally_often():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[train_validation(np.arange(10), 0.3, seed)[1]] += 1
    assert np.abs(counts - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize("validation", ["test", "official"])
def test_images_that_are_not_training_images_validate(validation):
    train, validation = train_validation(np.arange(7), validation, seed=0)
    np.testing.assert_array_equal(train, np.arange(7))
    assert len(validation) == 0


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, 0.001])
def test_an_empty_part_is_refused(fraction):
    with pytest.raises(RepriseError, match="leaves an empty part"):
        train_validation(np.arange(10), fraction, seed=0)
