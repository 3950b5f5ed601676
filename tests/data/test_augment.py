"""Augmentation against torchvision: same parameters, same pixels; same distributions."""

import math
import re

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from reprise.data.augment import (
    Brightness,
    Crop,
    Erasing,
    Flip,
    Jitter,
    ResizedCrop,
    Rotation,
    Zoom,
    build_augmentation,
    build_preprocess,
)
from reprise.errors import RepriseError
from reprise.reports.settings import PreprocessSettings

COUNT = 64
MANY = torch.Size((20_000, 3, 32, 32))
CPU = torch.device("cpu")
TORCHVISION_CROP = ((0.08, 1.0), (3 / 4, 4 / 3))
TORCHVISION_BOX = ((0.02, 0.33), (0.3, 3.3))
"""Its defaults: scale and ratio."""


@pytest.fixture(params=[(32, 32), (24, 40)], ids=["square", "wide"])
def images(request):
    pixels = torch.rand(COUNT, 3, *request.param, generator=torch.Generator().manual_seed(1))
    pixels[0] = 0.5  # grey: no hue
    pixels[1] = 0.0
    pixels[2] = 1.0
    return pixels


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def one_by_one(operation, images, reference):
    """The batch changed by `operation`, and each image changed by `reference` with the same parameters as
    plain numbers.
    """
    parameters = operation.draw(images.shape, generator())
    before = images.clone()
    batch = operation.apply(images, parameters)
    assert torch.equal(images, before), "the input was changed in place"
    plain = [
        {name: values[index].tolist() for name, values in parameters.items()} for index in range(len(images))
    ]
    return batch, torch.stack(
        [reference(image, **values) for image, values in zip(images, plain, strict=True)]
    )


@pytest.mark.parametrize(
    ("operation", "reference"),
    [(Flip(0.5), TF.hflip), (Flip(0.5, dim=-2), TF.vflip)],
    ids=["horizontal", "vertical"],
)
def test_flip(images, operation, reference):
    batch, expected = one_by_one(operation, images, lambda image, flip: reference(image) if flip else image)
    assert torch.equal(batch, expected)
    assert not torch.equal(batch, images)


def test_crop(images):
    batch, expected = one_by_one(
        Crop(4), images, lambda image, top, left: TF.crop(TF.pad(image, 4), top, left, *image.shape[1:])
    )
    assert torch.equal(batch, expected)


def test_resized_crop(images):
    def reference(image, top, left, height, width):
        return TF.resized_crop(image, top, left, height, width, list(image.shape[1:]), antialias=True)

    batch, expected = one_by_one(ResizedCrop(*TORCHVISION_CROP), images, reference)
    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("most", [0.5, 0.95])
def test_zoom(images, most):
    def reference(image, share):
        return TF.affine(image, 0.0, [0, 0], 1 / (1 - share), [0.0, 0.0], InterpolationMode.BILINEAR)

    batch, expected = one_by_one(Zoom(most), images, reference)
    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)


def test_zoom_by_half_follows_the_matrix_of_keras():
    """Keras' RandomZoom reads output pixel x at zx·x + (W − 1)/2·(1 − zx); rows are as wide as high here."""
    ramp = torch.arange(4.0).expand(1, 3, 4, 4) / 10
    zoomed = Zoom(0.5).apply(ramp, {"share": torch.tensor([0.5])})
    torch.testing.assert_close(zoomed, torch.tensor([0.75, 1.25, 1.75, 2.25]).expand(1, 3, 4, 4) / 10)
    torch.testing.assert_close(Zoom(0.5).apply(ramp.mT, {"share": torch.tensor([0.5])}), zoomed.mT)


def test_no_zoom_changes_no_pixel(images):
    assert torch.equal(Zoom(0.5).apply(images, {"share": torch.zeros(COUNT)}), images)


@pytest.mark.parametrize("degrees", [10, 180])
def test_rotation(images, degrees):
    def reference(image, angle):
        return TF.rotate(image, angle, InterpolationMode.NEAREST, fill=[0.0, 0.0, 0.0])

    batch, expected = one_by_one(Rotation(degrees), images, reference)
    assert torch.equal(batch, expected)


@pytest.mark.parametrize(
    "names",
    [["brightness"], ["contrast"], ["saturation"], ["hue"], ["hue", "brightness", "contrast", "saturation"]],
    ids=" ".join,
)
def test_jitter(images, names):
    adjust = {name: getattr(TF, f"adjust_{name}") for name in names}
    operation = Jitter(**dict.fromkeys(names, 0.5))

    def reference(image, order, **factors):
        for index in order:
            name = operation.active[index]
            image = adjust[name](image, factors[name])
        return image

    batch, expected = one_by_one(operation, images, reference)
    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)


def test_brightness(images):
    batch, expected = one_by_one(
        Brightness(0.5), images, lambda image, value: (image.double() + value).clamp(0, 1).float()
    )
    torch.testing.assert_close(batch, expected, atol=1e-6, rtol=0)


def test_brightness_adds_and_stays_within_the_range():
    pixels = torch.tensor([0.0, 0.2, 0.7, 1.0]).view(1, 1, 1, 4).expand(2, 3, 1, 4)
    changed = Brightness(0.5).apply(pixels, {"value": torch.tensor([0.4, -0.4])})
    torch.testing.assert_close(changed[:, 0, 0], torch.tensor([[0.4, 0.6, 1.0, 1.0], [0.0, 0.0, 0.3, 0.6]]))


@pytest.mark.parametrize("count", [1, 7, COUNT])
def test_jitter_on_the_cpu_and_on_a_gpu_is_the_same_arithmetic(images, count):
    images, jitter = images[:count], Jitter(brightness=0.4, contrast=0.3, saturation=0.2, hue=0.5)
    parameters = jitter.draw(images.shape, generator(3))
    untouched = images.clone()
    assert torch.equal(jitter.apply(images, parameters), jitter._change_all(images, parameters))
    assert torch.equal(images, untouched)


def test_jitter_without_settings_does_nothing(images):
    assert torch.equal(build_augmentation([{"jitter": {}}])(images, generator()), images)


def test_erasing(images):
    def reference(image, erase, top, left, height, width):
        return TF.erase(image, top, left, height, width, torch.zeros(1, 1, 1)) if erase else image

    batch, expected = one_by_one(Erasing(0.5, *TORCHVISION_BOX), images, reference)
    assert torch.equal(batch, expected)


# ---- distributions: against torchvision's own draws ----


def assert_same_distribution(ours, theirs):
    """Two-sample Kolmogorov–Smirnov statistic below its 0.1 % limit (seeds are fixed)."""
    ours, theirs = (
        torch.as_tensor(ours).double().sort().values,
        torch.as_tensor(theirs).double().sort().values,
    )
    values = torch.cat([ours, theirs])
    shares = [torch.searchsorted(sample, values, right=True) / len(sample) for sample in (ours, theirs)]
    assert (shares[0] - shares[1]).abs().max() < 1.95 * math.sqrt(1 / len(ours) + 1 / len(theirs))


def drawn_by_torchvision(draw, count=3000):
    """Each parameter of `count` draws, as lists."""
    torch.manual_seed(5)
    return [list(values) for values in zip(*(draw() for _ in range(count)), strict=True)]


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_probabilities(p):
    assert Flip(p).draw(MANY, generator())["flip"].float().mean() == pytest.approx(p, abs=0.011)
    assert Erasing(p, *TORCHVISION_BOX).draw(MANY, generator())["erase"].float().mean() == pytest.approx(
        p, abs=0.011
    )


def test_crop_shifts_are_uniform_and_independent():
    drawn = Crop(4).draw(MANY, generator())
    for places in drawn.values():
        counts = places.bincount()
        assert len(counts) == 9
        assert (counts / len(places) - 1 / 9).abs().max() < 0.01
    assert torch.corrcoef(torch.stack(list(drawn.values())).float())[0, 1].abs() < 0.03


@pytest.mark.parametrize(
    "size", [(32, 32), (24, 40), (8, 64), (64, 8)], ids=["square", "wide", "very wide", "very high"]
)
def test_resized_crop_boxes(size):
    ours = ResizedCrop(*TORCHVISION_CROP).draw(torch.Size((MANY[0], 3, *size)), generator())
    image = torch.zeros(3, *size)
    theirs = drawn_by_torchvision(
        lambda: transforms.RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
    )
    for name, values in zip(("top", "left", "height", "width"), theirs, strict=True):
        assert_same_distribution(ours[name], values)
    assert_same_distribution(
        ours["height"] * ours["width"], torch.tensor(theirs[2]) * torch.tensor(theirs[3])
    )
    assert int(ours["height"].min()) > 0
    assert bool((ours["top"] + ours["height"] <= size[0]).all())
    assert bool((ours["left"] + ours["width"] <= size[1]).all())


def test_resized_crop_takes_the_central_box_when_none_fits():
    drawn = ResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0)).draw(torch.Size((4, 3, 10, 40)), generator())
    assert {name: values.unique().tolist() for name, values in drawn.items()} == {
        "top": [0],
        "left": [15],
        "height": [10],
        "width": [10],
    }


def test_erasing_boxes():
    ours = Erasing(p=1.0, scale=(0.02, 0.6), ratio=(0.3, 2.0)).draw(MANY, generator())
    image = torch.zeros(MANY[1:])
    theirs = drawn_by_torchvision(
        lambda: transforms.RandomErasing.get_params(image, (0.02, 0.6), (0.3, 2.0), [0.0])[:4]
    )
    for name, values in zip(("top", "left", "height", "width"), theirs, strict=True):
        assert_same_distribution(ours[name], values)


def test_erasing_that_never_fits_changes_nothing():
    drawn = Erasing(1.0, (1.0, 1.0), (0.3, 3.3)).draw(MANY, generator())
    assert not bool(drawn["erase"].any())


def test_rotation_angles():
    ours = Rotation(30).draw(MANY, generator())["angle"]
    assert_same_distribution(
        ours, drawn_by_torchvision(lambda: [transforms.RandomRotation.get_params([-30.0, 30.0])])[0]
    )


@pytest.mark.parametrize(
    ("operation", "name", "low", "high"),
    [(Zoom(0.5), "share", 0.0, 0.5), (Brightness(0.2), "value", -0.2, 0.2)],
    ids=["zoom", "brightness"],
)
def test_zoom_and_brightness_are_uniform(operation, name, low, high):
    drawn = operation.draw(MANY, generator())
    assert list(drawn) == [name]
    assert_same_distribution(drawn[name], torch.linspace(low, high, 5000))


def test_jitter_factors_and_order():
    jitter = Jitter(brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1)
    ours = jitter.draw(MANY, generator())
    ranges = ([0.6, 1.4], [0.0, 2.5], [0.8, 1.2], [-0.1, 0.1])
    theirs = drawn_by_torchvision(lambda: transforms.ColorJitter.get_params(*ranges))[1:]
    for name, values in zip(jitter.active, theirs, strict=True):
        assert_same_distribution(ours[name], values)
    orders = ours["order"].mul(torch.tensor([64, 16, 4, 1])).sum(1).unique(return_counts=True)[1]
    assert len(orders) == 24
    assert (orders / MANY[0] - 1 / 24).abs().max() < 0.006


def test_samples_are_changed_independently():
    image = torch.rand(1, 3, 32, 32, generator=generator()).expand(32, -1, -1, -1)
    steps = [
        {"resized_crop": {}},
        {"zoom": 0.5},
        {"rotation": 10},
        {"brightness": 0.2},
        {"jitter": {"brightness": 0.2, "hue": 0.1}},
        {"erasing": 0.5},
        {"flip": 0.5},
        {"crop": 4},
    ]
    changed = build_augmentation(steps)(image, generator())
    assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({sample.numpy().tobytes() for sample in changed}) == 32


def test_one_seed_gives_one_augmentation(images):
    augmentation = build_augmentation(
        [{"flip": 0.5}, {"crop": 4}, {"erasing": {"p": 0.5, "scale": [0.02, 0.2]}}]
    )
    assert torch.equal(augmentation(images, generator(3)), augmentation(images, generator(3)))
    assert not torch.equal(augmentation(images, generator(3)), augmentation(images, generator(4)))


def test_no_augmentation_is_false(images):
    assert not build_augmentation([])
    assert build_augmentation([])(images, generator()) is images
    assert build_augmentation([{"flip": 0.5}])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"flipp": 0.5}], "unknown augmentation 'flipp'; did you mean flip?"),
        ([{"flip": 0.5, "crop": 4}], "must have one key"),
        ([{}], "must have one key"),
        (
            [{"jitter": {"brightnes": 0.5}}],
            "jitter: brightnes: unknown key for jitter; did you mean brightness?",
        ),
        ([{"resized_crop": 3}], "resized_crop: should be a mapping, not 3"),
        ([{"resized_crop": {"ratio": [0, 1]}}], "resized_crop: ratio[0]: should be greater than 0, not 0"),
        ([{"flip": 2}], "flip: should be less than or equal to 1, not 2"),
        ([{"flip": True}], "flip: should be a number, not true"),
        ([{"crop": 4.0}], "crop: should be a whole number, not 4.0"),
        ([{"erasing": 2}], "erasing: should be less than or equal to 1, not 2"),
        ([{"erasing": {"q": 0.5}}], "erasing: q: unknown key for erasing; valid: p, scale, ratio"),
    ],
)
def test_mistakes_are_named(steps, message):
    with pytest.raises(RepriseError, match=re.escape(message)):
        build_augmentation(steps)


# ---- preprocessing ----


def test_preprocess_as_torchvision():
    images = torch.randint(256, (3, 3, 40, 50), dtype=torch.uint8, generator=generator())
    preprocess = build_preprocess(PreprocessSettings(normalize="imagenet", resize=32, crop=24), fail, CPU)
    chain = transforms.Compose(
        [
            transforms.ConvertImageDtype(torch.float32),
            transforms.Resize(32, antialias=True),
            transforms.CenterCrop(24),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    torch.testing.assert_close(
        preprocess(images), torch.stack([chain(image) for image in images]), atol=1e-6, rtol=0
    )
    assert preprocess.shape(40, 50) == (3, 24, 24)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_sharpening_comes_after_resize_and_crop(factor):
    images = torch.randint(256, (3, 3, 40, 50), dtype=torch.uint8, generator=generator())
    preprocess = build_preprocess(
        PreprocessSettings(normalize="half", resize=32, crop=24, sharpen=factor), fail, CPU
    )
    chain = transforms.Compose(
        [
            transforms.ConvertImageDtype(torch.float32),
            transforms.Resize(32, antialias=True),
            transforms.CenterCrop(24),
            transforms.RandomAdjustSharpness(factor, p=1.0),
        ]
    )
    expected = torch.stack([chain(image) for image in images])
    torch.testing.assert_close(preprocess.pixels(images), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(preprocess(images), 2 * expected - 1, atol=2e-6, rtol=0)


def test_without_sharpening_pixels_are_as_they_were():
    images = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8, generator=generator())
    assert torch.equal(build_preprocess(PreprocessSettings(), fail, CPU).pixels(images), images / 255)


def fail():
    raise AssertionError("the statistics are not needed")


@pytest.mark.parametrize(
    ("normalize", "expected"), [("none", [0.0, 1.0]), ("half", [-1.0, 1.0]), ("train", [-2.0, 2.0])]
)
def test_normalisation(normalize, expected):
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    settings = PreprocessSettings(normalize=normalize)
    preprocess = build_preprocess(settings, lambda: ([0.5] * 3, [0.25] * 3), CPU)
    assert preprocess(images)[:, 0, 0, 0].tolist() == expected
    assert preprocess.shape(4, 4) == (3, 4, 4)
