"""Augmentation of whole batches, sample by sample, on the batch's own device.

Every operation is split in two: `draw` makes the random parameters of each sample from a generator, `apply`
uses them. So a test can hand the same parameters to `torchvision.transforms.functional`, one image at a time,
and find the same pixels. The distributions are those of the torchvision transforms and Keras layers named in
each class. Images are float (N, 3, H, W) in [0, 1] and keep shape, type and range.

torchvision's own transforms draw once for a whole batch, so they would have to be called image by image.
Nothing here waits for the device, so a batch costs a few kernels and no synchronisation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reprise.data.catalog import dataset_facts
from reprise.errors import RepriseError
from reprise.extensions import AUGMENTATIONS
from reprise.reports.run import Run, canonical
from reprise.schema import parse

if TYPE_CHECKING:  # not imported: what other packages add, which that module imports, may import this one
    from reprise.reports.settings import PreprocessSettings

Parameters = dict[str, Tensor]
"""Name → tensor whose first dimension is the sample."""

ATTEMPTS = 10
"""Boxes that torchvision tries before it gives up on one that fits."""


class Operation(Protocol):
    """One random change of a batch."""

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        """Parameters for a batch of `shape` (N, 3, H, W), on the generator's device."""

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        """The changed batch."""


def _uniform(size: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(size, generator=generator, device=generator.device) * (high - low) + low


def _per_sample(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


@dataclass(frozen=True)
class Flip:
    """Mirror left and right (`RandomHorizontalFlip`) or, with `dim` −2, top and bottom (`RandomVerticalFlip`)
    with probability `p`.
    """

    p: float
    dim: int = -1

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        return {"flip": _uniform((shape[0],), 0, 1, generator) < self.p}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        return torch.where(_per_sample(parameters["flip"]), images.flip(self.dim), images)


@dataclass(frozen=True)
class Crop:
    """Pad with `padding` zeros on every side and cut the original size out at a random place
    (`RandomCrop`).
    """

    padding: int

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        places = torch.randint(
            2 * self.padding + 1, (2, shape[0]), generator=generator, device=generator.device
        )
        return {"top": places[0], "left": places[1]}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        height, width = images.shape[-2:]
        padded = F.pad(images, [self.padding] * 4)
        rows = parameters["top"][:, None] + torch.arange(height, device=images.device)
        columns = parameters["left"][:, None] + torch.arange(width, device=images.device)
        return _take(_take(padded, rows, 2), columns, 3)


def _take(images: Tensor, places: Tensor, dim: int) -> Tensor:
    """Rows (`dim` 2) or columns (`dim` 3) of each image at its own `places` (N, M)."""
    shape = list(images.shape)
    shape[dim] = places.shape[1]
    view = (-1, 1, places.shape[1], 1) if dim == 2 else (-1, 1, 1, places.shape[1])
    return images.gather(dim, places.view(view).expand(shape))


def _boxes(
    shape: torch.Size, scale: Sequence[float], ratio: Sequence[float], generator: Generator, *, whole: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Found, top, left, height and width of random boxes: the first of ten attempts that fits, as in
    torchvision.

    The area is uniform in `scale` (shares of the image), the aspect ratio, width / height, log-uniform in
    `ratio`. With `whole` a box may be as large as the image, without it must be smaller on both sides.
    """
    count, _, image_height, image_width = shape
    areas = image_height * image_width * _uniform((count, ATTEMPTS), scale[0], scale[1], generator)
    ratios = _uniform((count, ATTEMPTS), math.log(ratio[0]), math.log(ratio[1]), generator).exp()
    places = _uniform((2, count), 0, 1, generator)
    widths, heights = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
    if whole:
        fits = (widths > 0) & (widths <= image_width) & (heights > 0) & (heights <= image_height)
    else:
        fits = (widths < image_width) & (heights < image_height)
    first = fits.int().argmax(1, keepdim=True)
    height, width = heights.gather(1, first)[:, 0].long(), widths.gather(1, first)[:, 0].long()
    top = (places[0] * (image_height - height + 1)).long().clamp(max=image_height - 1)
    left = (places[1] * (image_width - width + 1)).long().clamp(max=image_width - 1)
    return fits.any(1), top, left, height, width


@dataclass(frozen=True)
class ResizedCrop:
    """Cut out a random box and stretch it to the image's size, bilinearly (`RandomResizedCrop`)."""

    scale: tuple[float, float]
    ratio: tuple[float, float]

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        found, top, left, height, width = _boxes(shape, self.scale, self.ratio, generator, whole=True)
        box = {"top": top, "left": left, "height": height, "width": width}
        return {
            name: torch.where(found, value, other)
            for (name, value), other in zip(box.items(), self._central(shape), strict=True)
        }

    def _central(self, shape: torch.Size) -> tuple[int, int, int, int]:
        """The largest central box within `ratio`, torchvision's last resort."""
        height, width = box = shape[-2], shape[-1]
        if width / height < self.ratio[0]:
            box = (round(width / self.ratio[0]), width)
        elif width / height > self.ratio[1]:
            box = (height, round(height * self.ratio[1]))
        return (height - box[0]) // 2, (width - box[1]) // 2, box[0], box[1]

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        rows = _stretch(images, parameters["top"], parameters["height"], 2)
        return _stretch(rows, parameters["left"], parameters["width"], 3)


def _stretch(images: Tensor, start: Tensor, length: Tensor, dim: int) -> Tensor:
    """Along `dim`, stretch each image's `length` pixels from `start` to the full size; half-pixel centres,
    borders clamped to the box.

    A box is never larger than the image, so antialiasing, which acts on shrinking alone, has nothing to do.
    """
    size = images.shape[dim]
    centres = (torch.arange(size, device=images.device) + 0.5) * (length[:, None] / size) - 0.5
    centres = torch.minimum(centres.clamp(min=0), length[:, None] - 1.0)
    return _between(images, centres, start[:, None], (start + length - 1)[:, None], dim)


def _between(images: Tensor, places: Tensor, first: Tensor | int, last: Tensor | int, dim: int) -> Tensor:
    """Rows (`dim` 2) or columns (`dim` 3) at fractional `places` (N, M), counted from `first`, between the
    two nearest up to `last`.
    """
    below = places.floor()
    weights = (places - below).view((-1, 1, places.shape[1], 1) if dim == 2 else (-1, 1, 1, places.shape[1]))
    lower = first + below.long()
    upper = (lower + 1).clamp(max=last)
    return torch.lerp(_take(images, lower, dim), _take(images, upper, dim), weights)


@dataclass(frozen=True)
class Zoom:
    """Zoom in about the centre by a share z uniform in [0, `most`], alike on both axes, bilinearly (Keras'
    `RandomZoom((-most, 0))`).

    The central (1 − z) of height and width fills the image: output pixel x takes its value at c + (1 − z)·(x
    − c), where c is the middle (W − 1) / 2, and the same for rows. Unlike a `ResizedCrop`, the box may end
    within a pixel, and pixels beside it are interpolated with.
    """

    most: float

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        return {"share": _uniform((shape[0],), 0, self.most, generator)}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        kept = 1 - parameters["share"][:, None]
        for dim in (2, 3):
            last = images.shape[dim] - 1
            places = last / 2 + kept * (torch.arange(last + 1, device=images.device) - last / 2)
            images = _between(images, places.clamp(0, last), 0, last, dim)
        return images


@dataclass(frozen=True)
class Rotation:
    """Rotate about the centre by an angle uniform in ±`degrees`, nearest pixel, zeros outside
    (`RandomRotation`).
    """

    degrees: float

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        return {"angle": _uniform((shape[0],), -self.degrees, self.degrees, generator)}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        height, width = images.shape[-2:]
        angle = torch.deg2rad(parameters["angle"].double())
        cosine, sine = angle.cos(), angle.sin()
        # pixel centres relative to the image's centre, turned, in units of half the image: the arithmetic of
        # torchvision's rotate
        to_x = torch.stack([cosine, -sine], 1).float() / (0.5 * width)
        to_y = torch.stack([sine, cosine], 1).float() / (0.5 * height)
        x = torch.linspace(-width / 2 + 0.5, width / 2 - 0.5, width, device=images.device)
        y = torch.linspace(-height / 2 + 0.5, height / 2 - 0.5, height, device=images.device)
        centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(1, -1, 2)
        grid = (
            centres.expand(len(images), -1, -1).bmm(torch.stack([to_x, to_y], 2)).view(-1, height, width, 2)
        )
        return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


@dataclass(frozen=True)
class Brightness:
    """Add a value uniform in ±`delta` to all pixels and clamp them to [0, 1] (Keras' `RandomBrightness` with
    value range [0, 1]).

    The brightness of `Jitter` is another: it multiplies.
    """

    delta: float

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        return {"value": _uniform((shape[0],), -self.delta, self.delta, generator)}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        return (images + _per_sample(parameters["value"])).clamp(0, 1)


BLENDS = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, saturation and hue by random factors, in an order drawn for each sample
    (`ColorJitter`).

    Factors are uniform in [max(0, 1 − v), 1 + v] for the first three and the shift in [−v, v] for hue.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    @property
    def active(self) -> list[str]:
        return [name for name in (*BLENDS, "hue") if getattr(self, name) > 0]

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        order = torch.rand(
            (shape[0], len(self.active)), generator=generator, device=generator.device
        ).argsort(1)
        parameters = {"order": order}  # (N, number of active changes): indices into `active`
        for name in self.active:
            size = getattr(self, name)
            low, high = (-size, size) if name == "hue" else (max(0.0, 1 - size), 1 + size)
            parameters[name] = _uniform((shape[0],), low, high, generator)
        return parameters

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        change = self._change_all if images.is_cuda else self._change_groups
        return change(images, parameters)

    def _change_all(self, images: Tensor, parameters: Parameters) -> Tensor:
        """Every change made to every sample, and the one kept whose turn it is: much arithmetic, but the
        device is never waited for.
        """
        for turn in parameters["order"].unbind(1):
            changed = images
            for index, name in enumerate(self.active):
                change = _CHANGES[name](images, _per_sample(parameters[name]), torch.empty_like(images))
                changed = torch.where(_per_sample(turn == index), change, changed)
            images = changed
        return images

    def _change_groups(self, images: Tensor, parameters: Parameters) -> Tensor:
        """The same pixels, from each change made in place to its own samples, which lie together."""
        samples = torch.arange(len(images))
        for turn in parameters["order"].unbind(1):
            sorted_by_change = turn[samples].argsort()
            samples, images = samples[sorted_by_change], images.index_select(0, sorted_by_change)
            counts = torch.bincount(turn, minlength=len(self.active)).tolist()
            for name, part, group in zip(
                self.active, images.split(counts), samples.split(counts), strict=True
            ):
                if len(group):
                    _CHANGES[name](part, _per_sample(parameters[name][group]), part)
        return images.index_select(0, samples.argsort())


# Changes of images (N, 3, H, W) in [0, 1] by factors (N, 1, 1, 1), written to `out`, which may be the images
# themselves.


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (0.2989 * red).add_(0.587 * green).add_(0.114 * blue).unsqueeze(1)


def _blend(images: Tensor, other: Tensor, factor: Tensor, out: Tensor) -> Tensor:
    return torch.mul(images, factor, out=out).add_((1 - factor) * other).clamp_(0, 1)


def _brighten(images: Tensor, factor: Tensor, out: Tensor) -> Tensor:
    return torch.mul(images, factor, out=out).clamp_(0, 1)


def _change_contrast(images: Tensor, factor: Tensor, out: Tensor) -> Tensor:
    return _blend(images, _grey(images).mean((1, 2, 3), keepdim=True), factor, out)


def _saturate(images: Tensor, factor: Tensor, out: Tensor) -> Tensor:
    return _blend(images, _grey(images), factor, out)


def _shift_hue(images: Tensor, shift: Tensor, out: Tensor) -> Tensor:
    """Turn the hue of images by `shift` turns, in HSV space.

    Value V (the largest channel), chroma C and with them V − C (the smallest) stay. With h = 6·hue in [0, 6),
    red is V − C·(2 − |h − 3|), green is V − C + C·(2 − |h − 2|) and blue is V − C + C·(2 − |h − 4|), the
    terms in brackets clamped to [0, 1].
    """
    red, green, blue = images.unbind(1)
    largest, smallest = (
        torch.maximum(torch.maximum(red, green), blue),
        torch.minimum(torch.minimum(red, green), blue),
    )
    chroma = largest - smallest
    divisor = chroma.clamp(
        min=torch.finfo(chroma.dtype).tiny
    )  # where all channels are equal, 0 / tiny: hue 0
    hue = torch.where(
        largest == red,
        (green - blue).div_(divisor),
        torch.where(
            largest == green, (blue - red).div_(divisor).add_(2), (red - green).div_(divisor).add_(4)
        ),
    )
    hue = hue.add_(6 * shift.view(-1, 1, 1))
    hue.sub_((hue / 6).floor_(), alpha=6)  # hue mod 6, in a tenth of the time of torch.remainder
    for channel, start, centre, sign in zip(
        out.unbind(1), (largest, smallest, smallest), (3, 2, 4), (-1, 1, 1), strict=True
    ):
        share = torch.rsub((hue - centre).abs_(), 2).clamp_(0, 1)
        torch.addcmul(start, chroma, share, value=sign, out=channel)
    return out


_CHANGES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "brightness": _brighten,
    "contrast": _change_contrast,
    "saturation": _saturate,
    "hue": _shift_hue,
}


@dataclass(frozen=True)
class Erasing:
    """With probability `p`, set a random box to zero (`RandomErasing` with value 0).

    As in torchvision, `ratio` is height / width here.
    """

    p: float
    scale: tuple[float, float]
    ratio: tuple[float, float]

    def draw(self, shape: torch.Size, generator: Generator) -> Parameters:
        erase = _uniform((shape[0],), 0, 1, generator) < self.p
        inverse = (1 / self.ratio[1], 1 / self.ratio[0])
        found, top, left, height, width = _boxes(shape, self.scale, inverse, generator, whole=False)
        return {"erase": erase & found, "top": top, "left": left, "height": height, "width": width}

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        rows = _within(images.shape[2], parameters["top"], parameters["height"])
        columns = _within(images.shape[3], parameters["left"], parameters["width"])
        box = rows[:, None, :, None] & columns[:, None, None, :] & _per_sample(parameters["erase"])
        return images.masked_fill(box, 0.0)


def _within(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Whether each of `size` places lies in the sample's box: (N, size)."""
    places = torch.arange(size, device=start.device)
    return (places >= start[:, None]) & (places < (start + length)[:, None])


@dataclass(frozen=True)
class Augmentation:
    """Operations, one after the other. Calling it draws parameters and applies them."""

    operations: tuple[Operation, ...]

    def __bool__(self) -> bool:
        return bool(self.operations)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        for operation in self.operations:
            images = operation.apply(images, operation.draw(images.shape, generator))
        return images


def build_augmentation(steps: Sequence[Mapping[str, Any]]) -> Augmentation:
    """The augmentation that a run's list of one-key mappings describes, e.g. `[{"flip": 0.5}, {"crop": 4}]`;
    falsy when it does nothing.

    Raises `RepriseError` for a name or a setting that does not exist (see `reprise.data.augmentations`).
    """
    operations = []
    for step in steps:
        if len(step) != 1:
            raise RepriseError(
                f"augmentation: {dict(step)} must have one key, the name of one operation; write one "
                "mapping for each"
            )
        ((name, value),) = step.items()
        operations.append(parse(AUGMENTATIONS.find(name), value, f"augmentation: {name}").operation())
    return Augmentation(tuple(operations))


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation that networks pretrained on ImageNet expect (torchvision's weights)."""


@dataclass(frozen=True, eq=False)
class Preprocess:
    """What every image goes through, in training and evaluation: uint8 → [0, 1] → resized, cropped, sharpened
    (→ augmented) → normalised.

    `resize` is the length in pixels of the shorter side (bilinear, antialiased), `crop` of the central square
    cut out then, as `Resize` and `CenterCrop` of torchvision; both come before augmentation, as in
    torchvision's recipes. `sharpen` is the factor of its `adjust_sharpness`: 0 blurs, 1 changes nothing, 2
    doubles the sharpness.
    """

    mean: Tensor | None = None
    std: Tensor | None = None
    """Both (3, 1, 1) and on the images' device, or None."""
    resize: int | None = None
    crop: int | None = None
    sharpen: float | None = None

    def pixels(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) → float32 in [0, 1], resized, cropped and sharpened."""
        images = images.float().div_(255)
        if not self.resize and not self.crop and self.sharpen is None:
            return images
        from torchvision.transforms import (
            functional as TF,
        )  # takes as long as torch, and most runs need none of it

        if self.resize:
            images = TF.resize(images, self.resize, antialias=True)
        if self.crop:
            images = TF.center_crop(images, self.crop)
        if self.sharpen is not None:
            images = TF.adjust_sharpness(images, self.sharpen)
        return images

    def normalise(self, images: Tensor) -> Tensor:
        """(pixels − mean) / standard deviation, channel by channel."""
        if self.mean is None or self.std is None:
            return images
        return (images - self.mean).div_(self.std)

    def __call__(self, images: Tensor) -> Tensor:
        return self.normalise(self.pixels(images))

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(3, H, W) of a preprocessed image."""
        pixels = self.pixels(torch.zeros(1, 3, height, width, dtype=torch.uint8))
        return pixels.shape[1], pixels.shape[2], pixels.shape[3]


def build_preprocess(
    settings: PreprocessSettings, statistics: Callable[[], tuple[Any, Any]], device: torch.device
) -> Preprocess:
    """The preprocessing that a run's `preprocess` describes, for images on `device`.

    `statistics` gives the channel means and standard deviations, in [0, 1], of the run's own training images;
    it is called for `normalize: train` alone.
    """
    kinds: dict[str, Callable[[], tuple[Any, Any]]] = {
        "train": statistics,
        "half": lambda: ((0.5,) * 3, (0.5,) * 3),
        "imagenet": lambda: IMAGENET,
    }
    kind = settings.normalize or "none"
    mean, std = (None, None) if kind == "none" else (_channels(values, device) for values in kinds[kind]())
    return Preprocess(mean, std, settings.resize, settings.crop, settings.sharpen)


def image_shape(run: Run) -> tuple[int, int, int]:
    """(3, H, W) of the images that the run's network is given, after preprocessing and augmentation."""
    return prepared_shape(run.settings.dataset.name, run.settings.preprocess, run.settings.augmentation)


def prepared_shape(
    dataset: str, preprocess: PreprocessSettings, augmentation: Sequence[Mapping[str, Any]]
) -> tuple[int, int, int]:
    """Shape of the dataset's images after these settings of a run, which are tried on two images; what cannot
    be is a `RepriseError`.
    """
    return _prepared_shape(dataset, preprocess, canonical(augmentation))


@cache
def _prepared_shape(dataset: str, preprocess: PreprocessSettings, augmentation: str) -> tuple[int, int, int]:
    facts = dataset_facts(dataset)
    prepare = build_preprocess(preprocess, lambda: (facts.mean, facts.std), torch.device("cpu"))
    pixels = preprocess.resize or min(facts.image_shape[1:])
    if preprocess.crop and preprocess.crop > pixels:
        what = f"preprocess.crop: {preprocess.crop} is more than the {pixels} pixels of an image"
        raise RepriseError(f"{what}; write {pixels} or less, or resize the images first")
    images = prepare.pixels(torch.zeros(2, *facts.image_shape, dtype=torch.uint8))
    augmented = build_augmentation(json.loads(augmentation))(images, torch.Generator())
    shape = prepare.normalise(augmented).shape
    return shape[1], shape[2], shape[3]


def _channels(values: Any, device: torch.device) -> Tensor:
    return torch.tensor([float(value) for value in values], device=device).view(3, 1, 1)
