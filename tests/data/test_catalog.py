"""What the catalog says of pretrained weights, against torchvision."""

import hashlib

import pytest
from torchvision import models

from reprise.data import catalog, fetch
from reprise.data.catalog import WEIGHTS, weights_facts
from reprise.errors import RepriseError


@pytest.mark.parametrize("arch", WEIGHTS)
def test_weights_are_torchvisions(arch):
    facts, official = weights_facts(arch), models.get_model_weights(arch).IMAGENET1K_V1
    assert facts.urls == (official.url,)
    assert official.url.endswith(f"/{facts.file_name}")
    assert facts.file_name == f"{arch}-{facts.sha256_prefix}.pth"
    assert len(facts.sha256_prefix) == 8
    megabytes = official.meta["_file_size"] * 2**20 / 1e6  # torchvision counts in 2**20 bytes
    assert 1.5 * megabytes < facts.max_bytes / 1e6 < 3 * megabytes


def test_report_2s_weights_are_listed():
    assert {"mobilenet_v3_small", "efficientnet_v2_s", "resnet18"} <= set(WEIGHTS)


def test_a_local_file_with_any_name_serves_as_the_mirror(tmp_path, monkeypatch):
    content = b"weights of resnet18"
    facts = weights_facts("resnet18")
    monkeypatch.setitem(
        catalog.WEIGHTS,
        "resnet18",
        fetch.WeightsFacts(**{**vars(facts), "urls": (), "sha256_prefix": hashlib.sha256(content).hexdigest()[:8]}),
    )
    mine = tmp_path / "my download.pth"
    mine.write_bytes(content)
    destination = tmp_path / "weights" / facts.file_name
    assert fetch.fetch_weights("resnet18", destination, [str(mine)]) == destination
    assert destination.read_bytes() == content
    mine.write_bytes(b"weights of another network")
    destination.unlink()
    with pytest.raises(RepriseError, match=r"my download.pth: SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{8}…"):
        fetch.fetch_weights("resnet18", destination, [str(mine)])
    assert not destination.exists()
