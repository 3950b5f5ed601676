"""On the real archives, where `REPRISE_REAL_DATA` names a folder that holds them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from reprise.data.catalog import OWN_DATASETS
from reprise.data.decode import decode, load
from reprise.data.fetch import fetch_dataset
from reprise.data.statistics import write_statistics

FOLDER = os.environ.get("REPRISE_REAL_DATA")


@pytest.mark.real
@pytest.mark.skipif(not FOLDER, reason="REPRISE_REAL_DATA is not set")
@pytest.mark.parametrize("name", OWN_DATASETS)
def test_fetch_decode_and_published_statistics(name, tmp_path):
    facts = OWN_DATASETS[name]
    if not (Path(FOLDER) / facts.file_name).exists():
        pytest.skip(f"{FOLDER} holds no {facts.file_name}")
    archive = fetch_dataset(name, tmp_path / "archives" / facts.file_name, [str(Path(FOLDER))])
    decode(name, archive, tmp_path / name)
    write_statistics(tmp_path / name)
    statistics = json.loads((tmp_path / name / "statistics.json").read_text())
    tolerance = (
        6e-9 if name.startswith("cifar") else 5e-3
    )  # what is quoted for the others does not say over which images
    np.testing.assert_allclose(statistics["mean"], facts.mean, atol=tolerance)
    np.testing.assert_allclose(statistics["std"], facts.std, atol=tolerance)
    dataset = load(tmp_path / name)
    assert dataset.source == "real"
    for split, expected in facts.splits.items():
        part = dataset.splits[split]
        assert len(part.images) == expected.images
        assert part.digest == (expected.digest or part.digest)
        for column, classes in enumerate(facts.classes.values()):
            assert (np.bincount(part.labels[:, column]) == expected.images / len(classes)).all()
