"""Numbers and settings as readers write them."""

import math

import pytest

from mini import run_spec
from reprise.publishing.numbers import exact, measurement, number, places, with_deviation
from reprise.publishing.words import configuration, on_axis, plain, selected, value_of, written
from reprise.reports.report import Cell
from reprise.reports.run import Run


@pytest.mark.parametrize(
    ("value", "deviation", "stated", "count", "shown"),
    [
        (0.13333333, 0.04714045, 0.005, False, "0.133 ± 0.047"),
        (0.483, 0.0036055, 0.005, False, "0.4830 ± 0.0036"),
        (0.5, 0.0996, 0.005, False, "0.50 ± 0.10"),  # rounding makes one digit more
        (80.9, math.nan, 0.5, False, "80.90"),
        (5.0, math.nan, 1.25, True, "5"),
        (5.5, math.nan, 1.25, True, "5.5"),
        (5.0, 0.0, 1.25, True, "5 ± 0"),
        (0.5, 0.0, 0.005, False, "0.5000 ± 0"),
        (376834.0, math.nan, 0.0, True, "376,834"),
        (376834.0, 0.0, 0.0, True, "376,834"),
        (1e-5, 0.0, 0.0, False, "1e-5"),
        (12345.6, 234.5, 100.0, False, "12,346 ± 234"),
        (math.inf, math.nan, 0.05, False, "diverged"),
        (math.nan, math.nan, 0.05, False, "not finite"),
        (1.0, 1e-17, 0.005, False, "1.0000 ± 0"),
    ],
)
def test_a_measured_value_is_rounded_by_its_deviation(value, deviation, stated, count, shown):
    assert with_deviation(*measurement(value, deviation, stated=stated, count=count)) == shown


def test_numbers():
    assert [exact(value) for value in (0.001, 1e-5, 3e-10, 20.0, 376834.0)] == [
        *("0.001", "1e-5", "3e-10", "20", "376,834")
    ]
    assert [number(value, 2) for value in (-0.001, -0.01, 1234.5)] == ["0.00", "-0.01", "1,234.50"]
    assert number(3e20) == "3e20"
    assert [places(one) for one in (14.0, 1.4, 0.14, 0.0047, 140.0, math.inf, 0.0)] == [0, 1, 2, 4, 0, 0, 8]


def cell(labels=(), title="", reading=None, experiment="vgg19_frozen", **settings):
    return Cell(experiment, settings, reading, (Run(run_spec(0)),), title=title, labels=dict(labels))


def test_settings_are_named_as_readers_name_them():
    assert [written(name) for name in ("adamw", "weight_decay", "lr", "mlp_search", "cut_out")] == [
        *("AdamW", "weight decay", "learning rate", "MLP search", "Cutout")
    ]
    assert [plain(value) for value in (True, "false", 1e-5, 512, "sgd")] == [
        "yes",
        "no",
        "1e-5",
        "512",
        "SGD",
    ]
    made = cell(l2=0, lr=1e-4, batch_norm="false", augmentation="true", seed=0, trial=0)
    assert configuration(made) == (
        "no L2 penalty, learning rate 0.0001, no batch norm, augmentation, seed 0, trial 0"
    )
    assert configuration(cell()) == "VGG19 frozen"
    assert configuration(cell(title="VGG19, frozen", reading="as_run")) == "VGG19, frozen, as run"


def test_the_report_file_labels_values():
    made = cell({"augmentation": "basic augmentation"}, augmentation="3", lr=0.01)
    assert configuration(made) == "basic augmentation, learning rate 0.01"
    assert (value_of(made, "augmentation"), value_of(made, "lr")) == ("basic augmentation", "0.01")
    assert on_axis(made, "lr") == "learning rate 0.01"


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("base", "base"),
        ("mlp_tuned", "MLP tuned"),
        ("reported_classic/xavier=true", "reported classic (Xavier initialisation)"),
        ("reported_resnet/augmentation=false", "reported ResNet (no augmentation)"),
        ("cnn_search/optimizer=*", "CNN search (any optimizer)"),
        ("cnn_search/base", "CNN search (base)"),
        ("rates/lr=1e-4,batch_size=32", "rates (learning rate 1e-4, batch size 32)"),
        ("vit/lr=0.001@as_written", "ViT (learning rate 0.001, as written)"),
        ("mlp@as_run", "MLP (as run)"),
    ],
)
def test_a_selector_in_words(selector, words):
    assert selected(selector) == words
