"""What the catalog says of data sets and pretrained weights, against torchvision."""

import hashlib

import pytest
from torchvision import datasets, models

from reprise.data import catalog, fetch
from reprise.data.catalog import OWN_DATASETS, WEIGHTS, weights_facts
from reprise.errors import RepriseError


@pytest.mark.parametrize(
    ("name", "official"),
    [("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100), ("stl10", datasets.STL10)],
)
def test_archives_are_torchvisions(name, official):
    facts = OWN_DATASETS[name]
    assert (facts.urls, facts.file_name, facts.md5) == ((official.url,), official.filename, official.tgz_md5)


def test_members_of_stl10_are_torchvisions():
    official = datasets.STL10.train_list + datasets.STL10.test_list
    assert OWN_DATASETS["stl10"].member_md5 == {
        f"stl10_binary/{name}": md5 for name, md5 in official if not name.startswith("unlabeled")
    }


def test_cinic10_has_the_classes_of_cifar10_and_three_equal_parts():
    """Its authors' README: 270,000 images, 9,000 of each class in each part."""
    facts = OWN_DATASETS["cinic10"]
    assert facts.classes == OWN_DATASETS["cifar10"].classes
    assert {split: each.images for split, each in facts.splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), 90_000
    )


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
        fetch.WeightsFacts(
            **{**vars(facts), "urls": (), "sha256_prefix": hashlib.sha256(content).hexdigest()[:8]}
        ),
    )
    mine = tmp_path / "my download.pth"
    mine.write_bytes(content)
    destination = tmp_path / "weights" / facts.file_name
    assert fetch.fetch_weights("resnet18", destination, [str(mine)]) == destination
    assert destination.read_bytes() == content
    mine.write_bytes(b"weights of another network")
    destination.unlink()
    with pytest.raises(
        RepriseError, match=r"my download.pth: SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{8}…"
    ):
        fetch.fetch_weights("resnet18", destination, [str(mine)])
    assert not destination.exists()
