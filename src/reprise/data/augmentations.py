"""The augmentations that a report file can name: what may be written after the name, and what it means.

    augmentation: [{flip: 0.5}, {crop: 4}, {jitter: {brightness: 0.2, hue: 0.1}}]

This is the one place where they are written down: the check of report files reads it, and so it needs no
torch, which is imported when images are augmented. A new one is a class here, a line in `OWN_AUGMENTATIONS`,
and an operation in `augment`; in a package of your own it is the same class, named by an entry point
(docs/extending.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Discriminator, Field, Tag

from reprise.reports.values import Ascending
from reprise.schema import Probability, SingleValue, Strict, titled

if TYPE_CHECKING:
    from reprise.data.augment import Operation

Positive = Annotated[float, Field(gt=0)]
Interval = Annotated[tuple[Positive, Positive], Field(strict=False), Ascending]
"""Smallest and largest value, a list in a report file."""
Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[tuple[Share, Share], Field(strict=False), Ascending]
"""Smallest and largest share."""
Factor = Annotated[float, Field(ge=0)]


class AugmentationSettings(BaseModel, ABC):
    """What a report file says about one augmentation: a `Strict` for a mapping, a `SingleValue` for one
    value.
    """

    @abstractmethod
    def operation(self) -> Operation:
        """What is done to a batch of images."""


class FlipSettings(AugmentationSettings, SingleValue[Probability]):
    """Mirror left and right, with this probability."""

    def operation(self) -> Operation:
        from reprise.data.augment import Flip

        return Flip(self.root)


class VerticalFlipSettings(AugmentationSettings, SingleValue[Probability]):
    """Mirror top and bottom, with this probability."""

    def operation(self) -> Operation:
        from reprise.data.augment import Flip

        return Flip(self.root, dim=-2)


class CropSettings(AugmentationSettings, SingleValue[Annotated[int, Field(ge=1, le=4096)]]):
    """Pad with so many pixels of zeros and cut the original size out at a random place."""

    def operation(self) -> Operation:
        from reprise.data.augment import Crop

        return Crop(self.root)


class ResizedCropSettings(AugmentationSettings, Strict):
    """Cut out a random box and stretch it to the image's size; the defaults are torchvision's."""

    model_config = titled("resized_crop")
    scale: Shares = Field((0.08, 1.0), description="area of the box, as shares of the image")
    ratio: Interval = Field((3 / 4, 4 / 3), description="width / height")

    def operation(self) -> Operation:
        from reprise.data.augment import ResizedCrop

        return ResizedCrop(self.scale, self.ratio)


class ZoomSettings(AugmentationSettings, SingleValue[Annotated[float, Field(gt=0, lt=1)]]):
    """Zoom in about the centre; the largest share of height and width that is zoomed away."""

    def operation(self) -> Operation:
        from reprise.data.augment import Zoom

        return Zoom(self.root)


class RotationSettings(AugmentationSettings, SingleValue[Annotated[float, Field(gt=0, le=180)]]):
    """Rotate by at most so many degrees, either way."""

    def operation(self) -> Operation:
        from reprise.data.augment import Rotation

        return Rotation(self.root)


class BrightnessSettings(AugmentationSettings, SingleValue[Annotated[float, Field(gt=0, le=1)]]):
    """The most that is added to or taken from pixels in [0, 1]."""

    def operation(self) -> Operation:
        from reprise.data.augment import Brightness

        return Brightness(self.root)


class JitterSettings(AugmentationSettings, Strict):
    """Random factors of brightness, contrast, saturation, in [1 − v, 1 + v], and shifts of hue in [−v, v]."""

    model_config = titled("jitter")
    brightness: Factor = Field(0.0, description="v for brightness")
    contrast: Factor = Field(0.0, description="v for contrast")
    saturation: Factor = Field(0.0, description="v for saturation")
    hue: float = Field(0.0, ge=0, le=0.5, description="v for hue; 1 is the whole circle")

    def operation(self) -> Operation:
        from reprise.data.augment import Jitter

        return Jitter(self.brightness, self.contrast, self.saturation, self.hue)


class ErasingBoxSettings(Strict):
    model_config = titled("erasing")
    p: Probability = Field(0.5, description="probability")
    scale: Shares = Field((0.02, 0.33), description="area of the box, as shares of the image")
    ratio: Interval = Field((0.3, 3.3), description="height / width")


class ErasingSettings(
    AugmentationSettings,
    SingleValue[
        Annotated[
            Annotated[Probability, Tag("one value")] | Annotated[ErasingBoxSettings, Tag("a mapping")],
            Discriminator(lambda value: "one value" if isinstance(value, int | float) else "a mapping"),
        ]
    ],
):
    """Set a random box to zero, with this probability; the defaults of the box are torchvision's."""

    def operation(self) -> Operation:
        from reprise.data.augment import Erasing

        box = self.root if isinstance(self.root, ErasingBoxSettings) else ErasingBoxSettings(p=self.root)
        return Erasing(box.p, box.scale, box.ratio)


OWN_AUGMENTATIONS: dict[str, type[AugmentationSettings]] = {
    "flip": FlipSettings,
    "vertical_flip": VerticalFlipSettings,
    "crop": CropSettings,
    "resized_crop": ResizedCropSettings,
    "zoom": ZoomSettings,
    "rotation": RotationSettings,
    "brightness": BrightnessSettings,
    "jitter": JitterSettings,
    "erasing": ErasingSettings,
}
"""The project's own; `reprise.extensions.AUGMENTATIONS` has those of other packages, too."""
