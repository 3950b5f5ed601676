"""Layers are called by their rows in the layer table, whatever a network's list holds."""

import pytest
from test_editor_schema import ROOT

from reprise.models import build_untrained
from reprise.models.layers import describe
from reprise.reports.paths import layer_places
from reprise.reports.report import report_files
from reprise.reports.report_file import read_report
from reprise.reports.source import Source
from reprise.schema import plain

HEAD = [{"flatten": True}, {"dense": 5}, {"dense": "classes"}]
LISTS = {
    "plain": [{"conv": 4}, {"pool": "max"}, *HEAD],
    "activations of their own": [
        *({"conv": 4}, {"activation": "relu"}, {"pool": "avg"}, {"activation": "tanh"}),
        *({"batch_norm": True}, {"activation": "relu"}, *HEAD[:2], {"activation": "sigmoid"}, HEAD[2]),
    ],
    "two activations": [{"conv": 4, "activation": "relu"}, {"activation": "tanh"}, {"dropout2d": 0.1}, *HEAD],
    "switched off": [{"conv": 4}, {"batch_norm": False}, {"activation": "relu"}, {"dropout": 0.0}, *HEAD],
    "an activation first": [{"activation": "tanh"}, {"activation": "relu"}, {"conv": 4}, *HEAD],
}


def check(network):
    """Every row of the table is called by its number and kind."""
    rows = describe(build_untrained(network, 10, (3, 32, 32)), (3, 32, 32))
    called = {module: name for name, module in layer_places(network).items() if name[0].isdigit()}
    assert [called.get(row["name"]) for row in rows] == [
        f"{place}_{row['activation'] if row['kind'] == 'activation' else row['kind']}"
        for place, row in enumerate(rows, 1)
    ]


@pytest.mark.parametrize("name", LISTS)
def test_rows_of_the_table(name):
    check({"name": "sequential", "layers": LISTS[name]})


def test_rows_of_the_networks_of_the_reports():
    for path in report_files(ROOT / "workflow/reports").values():
        for network in read_report(Source(path)).models.values():
            if network.name == "sequential":
                spec = plain(network)
                spec.pop("title", None)
                unnamed = [{key: layer[key] for key in layer if key != "name"} for layer in spec["layers"]]
                check({**spec, "layers": unnamed})
