"""Options of the augmentations: the steps of `augmentation:` in a report file, applied in their order.

To add one, write its operation (see `reprise.data.augment`) and its options here; or both in a package of
your own, with an `Augmentation` under the entry point `reprise.augmentations`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, create_model
from pydantic_core import PydanticCustomError

from reprise.plugins import plugins
from reprise.reports.base import NotNegative, Probability, Range, Strict, whole


class Augmentation(Strict):
    """Options of an augmentation of an installed package, as a mapping: `{my_augmentation: {strength: 1}}`."""

    operation: ClassVar[str]
    """What makes the operation of the mapping, as `module:callable`."""


class ResizedCrop(Strict):
    scale: Range
    """Share of the area."""
    ratio: Range
    """Width by height."""


class Jitter(Strict):
    brightness: NotNegative = 0
    contrast: NotNegative = 0
    saturation: NotNegative = 0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0


class Erasing(Strict):
    p: Probability = 0.5
    scale: Range | None = None
    """Share of the area."""
    ratio: Range | None = None
    """Width by height."""


OPTIONS: dict[str, Any] = {
    "flip": Annotated[Probability, Field(description="mirror left and right, with this probability")],
    "vertical_flip": Annotated[
        Probability, Field(description="mirror top and bottom, with this probability")
    ],
    "crop": Annotated[
        int, whole(1, 4096), Field(description="pixels of padding, of which the size is cut out")
    ],
    "resized_crop": ResizedCrop,
    "rotation": Annotated[float, Field(gt=0, le=180, description="degrees at most")],
    "brightness": Annotated[float, Field(gt=0, le=1, description="most that is added to pixels in [0, 1]")],
    "zoom": Annotated[float, Field(gt=0, lt=1, description="largest share of the sides that is zoomed away")],
    "jitter": Jitter,
    "erasing": Probability | Erasing,
}
"""Name of each augmentation of our own → what it is given."""


@cache
def installed() -> dict[str, type[Augmentation]]:
    """The augmentations of installed packages."""
    return plugins("reprise.augmentations", OPTIONS, Augmentation)


def _one_key(step: Strict) -> Strict:
    if len(step.model_fields_set) != 1:
        raise PydanticCustomError("one_key", "a step is one augmentation; write one mapping for each")
    return step


_fields: dict[str, Any] = {name: (kind | None, None) for name, kind in {**OPTIONS, **installed()}.items()}
Step = Annotated[create_model("Step", __base__=Strict, **_fields), AfterValidator(_one_key)]
"""One augmentation: a mapping from its name to its options."""
