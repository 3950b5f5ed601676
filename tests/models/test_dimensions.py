"""How large a network is, as `check` prints it; counted by hand."""

import pytest

from mini import run_spec
from reprise.models.meta import dimensions
from reprise.reports.run import Run

DENSE = [{"flatten": True}, {"dense": "classes"}]
PIXELS = 3 * 32 * 32


def mlp(**parts):
    return {"model": {"name": "sequential", "layers": DENSE}, **parts}


CASES = {
    "a dense layer": (mlp(), f"{10 * (PIXELS + 1):,} parameters, input 3 × 32 × 32, 10 classes"),
    "some classes": (
        mlp(dataset={"name": "cifar10", "labels": "label", "source": "real", "classes": ["cat", "dog"]}),
        f"{2 * (PIXELS + 1):,} parameters, input 3 × 32 × 32, 2 classes",
    ),
    "other labels": (
        mlp(dataset={"name": "cifar100", "labels": "coarse", "source": "real"}),
        f"{20 * (PIXELS + 1):,} parameters, input 3 × 32 × 32, 20 classes",
    ),
    "larger images": (
        mlp(preprocess={"resize": 64}),
        f"{10 * (4 * PIXELS + 1):,} parameters, input 3 × 64 × 64, 10 classes",
    ),
    "other images": (
        mlp(dataset={"name": "stl10", "labels": "label", "source": "real"}),
        f"{10 * (9 * PIXELS + 1):,} parameters, input 3 × 96 × 96, 10 classes",
    ),
    "a narrow network": (
        {"model": {"name": "sequential", "width": 0.5, "layers": [DENSE[0], {"dense": 8}, DENSE[1]]}},
        f"{4 * (PIXELS + 1) + 10 * (4 + 1):,} parameters, input 3 × 32 × 32, 10 classes",
    ),
    "a frozen part": (  # of VGG16: its features have 512 channels of one pixel
        {"model": {"name": "torchvision", "arch": "vgg16", "part": "features", "weights": "imagenet",
                   "trainable": "head", "head": DENSE}},
        f"{14_714_688 + 5_130:,} parameters (5,130 of them trained), input 3 × 32 × 32, 10 classes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_parameters_input_and_classes(name):
    parts, said = CASES[name]
    assert dimensions(Run(run_spec(**parts))) == said
