"""The networks that report 2 describes in its own report file, by their parameter counts and layer sizes."""

import itertools
from pathlib import Path

import pytest

from reprise.models import build, parameter_count
from reprise.models.layers import describe
from reprise.reports.report_file import read_report
from reprise.reports.source import Source
from reprise.schema import plain

REPORT = Path(__file__).parents[2] / "workflow/reports/cifar10_architectures"
MODELS = {name: plain(network) for name, network in read_report(Source(REPORT)).models.items()}
IMAGE = (3, 32, 32)


def network(name):
    return build({key: value for key, value in MODELS[name].items() if key != "title"}, 10, IMAGE)


def dense(*sizes):
    return sum(inputs * outputs + outputs for inputs, outputs in itertools.pairwise(sizes))


CONVOLUTIONS = sum(9 * inputs * outputs + outputs for inputs, outputs in [(3, 32), (32, 64), (64, 128)])


@pytest.mark.parametrize(
    ("name", "total", "arithmetic"),
    [
        ("mlp_s", 5_411_110, dense(3072, 1500, 500, 100, 10)),
        ("mlp_l", 9_091_738, dense(3072, 2048, 1024, 512, 256, 128, 64, 32, 16, 10)),
        ("cnn", 376_834, CONVOLUTIONS + dense(128 * 2 * 2, 512, 40, 10)),
        ("cnn_written", 16_891_906, CONVOLUTIONS + dense(128 * 16 * 16, 512, 40, 10)),
    ],
)
def test_parameter_counts(name, total, arithmetic):
    assert parameter_count(network(name)) == arithmetic == total


def test_the_cnn_as_run_halves_the_image_four_times():
    shapes = [row["output_shape"] for row in describe(network("cnn"), IMAGE)]
    assert shapes == [
        [32, 16, 16],
        [64, 8, 8],
        [128, 4, 4],
        [128, 2, 2],
        [128, 2, 2],
        [512],
        [512],
        [40],
        [10],
    ]


def test_dropout_stands_before_the_last_activation_of_an_mlp():
    kinds = [row["kind"] for row in describe(network("mlp_s"), IMAGE)]
    assert kinds == ["flatten", "dense", "dense", "dense", "dropout", "activation", "dense"]
