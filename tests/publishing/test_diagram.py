"""Diagrams: what they say is what the layer table says, layers are folded and marked, sizes are to scale, and
all is legible.
"""

import json

import pytest
from drawing import build_figure
from matplotlib.colors import to_hex
from test_figures import assert_apart, boxes

from reprise.errors import RepriseError
from reprise.models.layers import layer_table
from reprise.publishing.figures.diagram import FACES
from reprise.publishing.sources import Sources
from reprise.publishing.style import DPI, SMALL, WIDTHS, style


def row(layer, kind, shape, parameters=0, activation=None, name=""):
    return {
        "layer": layer,
        "kind": kind,
        "activation": activation,
        "output_shape": shape,
        "parameters": parameters,
        "name": name,
    }


LENET = [
    row("conv 5×5, 6, valid", "conv", [6, 28, 28], 456, "tanh", "0_conv"),
    row("avg pool 2×2", "pool", [6, 14, 14], name="1_pool"),
    row("sigmoid", "activation", [6, 14, 14], activation="sigmoid", name="2_sigmoid"),
    row("conv 5×5, 16, valid", "conv", [16, 10, 10], 2416, name="3_conv"),
    row("batch norm", "batch_norm", [16, 10, 10], 32, "relu", "4_batch_norm"),
    row("flatten", "flatten", [1600], name="5_flatten"),
    row("dropout 0.5", "dropout", [1600], name="6_dropout"),
    row("dense 84", "dense", [84], 134484, "tanh", "7_dense"),
    row("dense 100", "dense", [100], 8500, name="8_dense"),
]
DEEP = [
    row(f"conv 3×3, {64 + index}, same", "conv", [64 + index, 32, 32], 10**6 + index, "relu", f"{index}_conv")
    for index in range(24)
]
RESIDUAL = [
    row("conv 3×3, 16, same", "conv", [16, 8, 8], 448, "relu"),
    row("conv 3×3, 16, same", "conv", [16, 8, 8], 2320),
    row("add", "add", [16, 8, 8], activation="relu"),
    row("flatten", "flatten", [1024]),
    row("dense 10", "dense", [10], 10250),
]


def table(rows, **more):
    return {
        "title": "LeNet-5",
        "rows": rows,
        "parameters": sum(one["parameters"] for one in rows),
        "image_shape": [3, 32, 32],
    } | more


def build(layers, scale="full", **changes):
    """The figure of a layer table, or of its rows, and what it says."""
    layers = layers if isinstance(layers, dict) else table(layers)
    spec = {"id": "figure_01", "kind": "diagram", "caption": "The network.", "network": "net"} | changes
    with style():
        return build_figure(spec, Sources(lambda _: [], layers={"net": layers}), scale=scale)


def words(figure):
    return [text.get_text() for text in boxes(figure)]


def is_list(figure):
    return "channels or units" in " ".join(words(figure)).replace("\n", " ")


def extent(patch):
    """(width, height) of a polygon, in inches."""
    low, high = patch.get_xy().min(axis=0), patch.get_xy().max(axis=0)
    return tuple(round(length, 9) for length in high - low)


def assert_sound(figure):
    width, height = figure.get_size_inches() * DPI
    for text, box in boxes(figure).items():
        assert -0.5 <= box.x0 <= box.x1 <= width + 0.5, text
        assert -0.5 <= box.y0 <= box.y1 <= height + 0.5, text
        assert text.get_fontsize() >= SMALL
    for patch in figure.axes[0].patches:
        area = patch.get_window_extent()
        assert 0 <= area.x0 <= area.x1 <= width, patch
        assert 0 <= area.y0 <= area.y1 <= height, patch
        for text, box in boxes(figure).items():
            assert not box.padded(-1).overlaps(area.padded(-1)), text


def test_every_layer_stands_with_its_operation_shape_and_parameters():
    figure, drawn = build(LENET, width="wide")
    said = words(figure)
    shapes = ["3×32×32", "6×28×28", "6×14×14", "16×10×10", "1,600", "84", "100"]
    counts = ["456", "0", "2,448", "0", "134,484", "8,500"]  # batch normalisation belongs to its convolution
    assert [word for word in said if word in shapes] == shapes
    assert [word for word in said if word in set(counts)] == counts
    assert (
        sum(value["parameters"] for value in drawn.values[:-1]) == drawn.values[-1]["parameters"] == 145_888
    )
    assert "145,888 parameters in all; sizes on logarithmic scales" in said
    assert not is_list(figure)
    json.dumps(drawn.values, allow_nan=False)


def test_normalisation_activation_and_dropout_are_part_of_the_layer_before():
    _, drawn = build(LENET)
    assert [(value["layer"], value["names"]) for value in drawn.values[:-1]] == [
        ("input", []),
        ("conv 5×5, 6, valid, tanh", ["0_conv"]),
        ("avg pool 2×2, sigmoid", ["1_pool", "2_sigmoid"]),
        ("conv 5×5, 16, valid, batch norm, relu", ["3_conv", "4_batch_norm"]),
        ("flatten, dropout 0.5", ["5_flatten", "6_dropout"]),
        ("dense 84, tanh", ["7_dense"]),
        ("dense 100", ["8_dense"]),
    ]
    _, first = build(
        [row("LayerNorm", "layernorm", [64, 48], 96), *LENET[-2:]]
    )  # not the input's shape, so a layer of its own
    assert [value["layer"] for value in first.values[:2]] == ["input", "LayerNorm"]


@pytest.mark.parametrize("width", WIDTHS)
def test_marked_layers_have_another_colour_and_bold_words(width):
    figure, drawn = build(LENET, width=width, mark=["8_dense", "4_batch_norm"])
    assert [value["layer"] for value in drawn.values[:-1] if value["marked"]] == [
        "conv 5×5, 16, valid, batch norm, relu",
        "dense 100",
    ]
    bold = {text.get_text() for text in boxes(figure) if text.get_fontweight() == "bold"}
    assert {"16×10×10", "2,448", "100", "8,500", "dense 100"} <= bold
    assert not {"84", "134,484", "dense 84", "3×32×32"} & bold
    edges = [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]
    assert 0 < edges.count(to_hex(FACES[True][2])) < len(edges)
    assert "(marked): 16×10×10, 2,448 parameters" in drawn.description


@pytest.mark.parametrize("layers", [LENET, DEEP])
def test_layers_have_the_names_that_the_report_gives_them(layers):
    last = layers[-1]["name"]
    figure, drawn = build(layers, width="wide", names={"0_conv": "C1", last: "F6"})
    said = " ".join(words(figure)).replace("\n", " ")
    assert ("C1: conv 3×3" if layers is DEEP else "C1 conv 5×5") in said
    assert [(value["names"][0], value["called"]) for value in drawn.values[1:-1] if value["called"]] == [
        ("0_conv", "C1"),
        (last, "F6"),
    ]
    assert f"; C1: {layers[0]['layer']}" in drawn.description
    assert_sound(figure)
    assert_apart(figure)


def test_a_name_of_what_is_folded_in_is_that_of_its_layer():
    _, drawn = build(LENET, names={"6_dropout": "drop"})
    assert [
        value["called"] for value in drawn.values if value.get("names") == ["5_flatten", "6_dropout"]
    ] == ["drop"]


def test_boxes_are_as_high_as_their_maps_and_as_deep_as_their_channels():
    figure, _ = build(LENET, width="wide")
    patches = figure.axes[0].patches
    fronts, bars = [extent(patch) for patch in patches[:12:3]], [extent(patch) for patch in patches[12:]]
    deep, high = zip(*fronts, strict=True)
    assert high[0] > high[1] > high[2] > high[3]  # maps of 32, 28, 14 and 10 pixels
    assert deep[0] < deep[1] == deep[2] < deep[3]  # 3, 6, 6 and 16 channels
    assert [width for width, _ in bars] == pytest.approx([bars[0][0]] * 3)
    assert bars[0][1] > bars[2][1] > bars[1][1]  # 1,600, 100 and 84 units


def test_more_layers_than_two_lines_hold_are_a_list():
    figure, drawn = build(DEEP, width="wide")
    assert is_list(figure)
    assert len(drawn.values) == 1 + 24 + 1
    assert_sound(figure)
    assert_apart(figure)
    left, right = (
        [
            patch
            for patch in figure.axes[0].patches
            if to_hex(patch.get_facecolor()) == to_hex(FACES[False][side])
        ]
        for side in (0, 1)
    )
    assert len(left) == len(right) == 25  # a bar for the map and one for the channels, of the input too
    assert len({extent(patch) for patch in left}) == 1  # the maps stay 32 pixels wide
    lengths = [extent(patch)[0] for patch in right]
    assert lengths == sorted(lengths)


def test_networks_that_branch_are_a_list_without_arrows():
    figure, drawn = build(RESIDUAL, width="wide")
    assert is_list(figure)
    assert any("branches are listed one after another" in text for text in words(figure))
    assert "its branches one after another" in drawn.description
    chain, _ = build([one for one in RESIDUAL if one["kind"] != "add"], width="wide")
    assert not is_list(chain)


def test_alt_text_tells_the_layers_in_order():
    _, drawn = build(LENET[-2:])
    assert drawn.description == (
        "Diagram of LeNet-5, from input to output. input: 3×32×32; dense 84, tanh: 84, 134,484 parameters; "
        "dense 100: 100, 8,500 parameters. 142,984 parameters in all."
    )
    _, bare = build({"rows": LENET[-1:], "parameters": 8500})
    assert bare.description.startswith("Diagram of a network, from input to output. dense 100: 100")


MODELS = {
    "mlp": [{"flatten": True}, {"dense": 1024, "activation": "relu"}, {"dense": "classes"}],
    "cnn": [
        {"conv": 32, "kernel": 3, "padding": "same"},
        {"batch_norm": True},
        {"activation": "relu"},
        {"pool": "max"},
        *[{"conv": 128, "kernel": 3, "padding": "same", "activation": "relu"}] * 3,
        {"pool": "max", "size": 16},
        {"flatten": True},
        {"dense": 512, "activation": "relu"},
        {"dropout": 0.55},
        {"dense": "classes"},
    ],
    "tiny": [{"conv": 1, "kernel": 32}, {"flatten": True}, {"dense": "classes"}],
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", ["full", "demo"])
@pytest.mark.parametrize("name", MODELS)
def test_networks_as_they_run_are_legible(name, scale, width):
    network = {"title": name, **layer_table({"name": "sequential", "layers": MODELS[name]}, 100, (3, 32, 32))}
    figure, drawn = build(network, scale, width=width)
    assert_sound(figure)
    assert_apart(figure)
    assert sum(value["parameters"] for value in drawn.values[:-1]) == network["parameters"]
    assert drawn.values[0]["output_shape"] == [3, 32, 32]


def test_mistakes():
    def message(rows, **changes):
        with pytest.raises(RepriseError) as error:
            build(rows, **changes)
        return str(error.value)

    assert message(LENET, network="nets") == "no layer table of network nets; did you mean net?"
    assert message(LENET, mark=["8_dens"]) == "mark: net has no layer 8_dens; did you mean 8_dense?"
    assert message(LENET, names={"8_dens": "F6"}) == "names: net has no layer 8_dens; did you mean 8_dense?"
    nameless = [{key: value for key, value in one.items() if key != "name"} for one in LENET]
    assert message(nameless, mark=["8_dense"]) == "mark: net has no layer 8_dense; make its layer table again"
    assert message([]) == "network net has no layers; make its layer table again"
