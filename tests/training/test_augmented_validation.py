"""`split.augmented`: report 2's code augments the validation images too."""

import json

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file

from reprise import models
from reprise.data.augment import build_augmentation
from reprise.reports.report import Report
from reprise.training import parts
from reprise.training.engine import train
from reprise.training.seeds import derive
from tiny import SPEC, everything, tiny_run, write_dataset

STEPS = [{"flip": 0.5}, {"rotation": 10}, {"erasing": 0.5}]


def run_of(**changes):
    """A run that learns next to nothing, so that what differs between epochs are the images."""
    settings = {
        "split": {"validation": 0.4, "augmented": True},
        "augmentation": STEPS,
        "optimizer__lr": 1e-12,
        "training__epochs": 4,
    }
    return tiny_run(**{**settings, **changes})


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture
def validation(dirs, tmp_path):
    """Train a run in a fresh cache; its validation rows, by epoch."""

    def validation(run, name="cache", **options):
        train([run], dataset_dirs=dirs, cache=tmp_path / name, device="cpu", **options)
        history = pd.read_parquet(tmp_path / name / run.hash / "history.parquet")
        return history[history["split"] != "train"].set_index("epoch")[["loss", "accuracy"]]

    return validation


def test_validation_images_are_drawn_anew_each_epoch(validation, dirs, monkeypatch):
    """Against the drawing written out: one stream of random numbers per epoch, batch after batch, apart from
    the training images'.
    """
    monkeypatch.setattr(parts, "EVALUATION_PIXELS", 25 * 12**2)
    run = run_of(preprocess={"normalize": "half"}, training__epochs=2)
    rows = validation(run)
    torch.manual_seed(derive(0, "init"))
    model = models.build(run.settings.model, 4, (3, 12, 12))
    part = parts.Datasets(dirs, torch.device("cpu")).of(run).validation
    assert len(part) == 60
    for epoch in (1, 2):
        generator = torch.Generator().manual_seed(derive(0, "validation", epoch))
        logits = []
        for start in range(0, 60, 25):
            images = part.inputs[part.indices[start : start + 25]] / 255
            logits.append(model((build_augmentation(STEPS)(images, generator) - 0.5) / 0.5))
        logits = torch.cat(logits)
        assert rows["loss"][epoch] == pytest.approx(F.cross_entropy(logits, part.truth).item(), abs=1e-6)
        assert rows["accuracy"][epoch] == (logits.argmax(1) == part.truth).sum().item() / 60
    assert rows["loss"][1] != pytest.approx(rows["loss"][2], abs=1e-4)


def test_without_it_validation_images_are_clean(validation, dirs):
    augmented, clean = validation(run_of()), validation(run_of(split={"validation": 0.4}))
    assert augmented["loss"].nunique() == 4
    assert augmented["loss"].max() - augmented["loss"].min() > 1e-4
    assert clean["loss"].max() - clean["loss"].min() < 1e-6
    plain = validation(run_of(split={"validation": 0.4}, augmentation=[]))
    pd.testing.assert_frame_equal(clean, plain, atol=1e-6, rtol=0)


def test_without_augmentation_it_changes_nothing(validation):
    one, two = (
        validation(run_of(augmentation=[], split={"validation": 0.4, **more}))
        for more in ({}, {"augmented": True})
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_it_is_repeatable_and_follows_its_seed(validation):
    one, again, other = (
        validation(run_of(), "one"),
        validation(run_of(), "two"),
        validation(run_of(seeds__augmentation=1), "three"),
    )
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert not (one["loss"] == other["loss"]).any()


def test_it_survives_a_resumed_run(validation, tmp_path):
    """With all else that has state or chance, so that one stream out of step would show."""

    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 3:
            raise Stop

    run = everything(split={"validation": 0.2, "augmented": True})
    whole = validation(run, "whole")
    with pytest.raises(Stop):
        validation(run, "stopped", checkpoint_seconds=0, on_step=stop)
    epochs = set()
    resumed = validation(run, "stopped", on_step=lambda epoch, step, loss: epochs.add(epoch))
    assert epochs == {3, 4, 5}
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    one, other = (
        load_file(tmp_path / name / run.hash / "weights.safetensors") for name in ("whole", "stopped")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_jitter_without_settings_is_no_jitter(tmp_path):
    """torchvision's ColorJitter() does nothing; in a report file it is valid, and the run is that without
    it.
    """
    settings = json.loads(
        json.dumps({key: value for key, value in SPEC.items() if key not in ("engine", "seeds")})
    )
    del settings["dataset"]["source"]
    axis = {
        "with": [{"flip": 0.5}, {"jitter": {}}, {"rotation": 10}],
        "without": [{"flip": 0.5}, {"rotation": 10}],
        "alone": [{"jitter": {}}],
    }
    document = {"slug": "tiny", "title": "Tiny", "defaults": {**settings, "seeds": [0]}}
    document["experiments"] = {
        "levels": {"grid": {"level": {"path": "augmentation", "values": {**axis, "none": []}}}}
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document))
    report = Report(tmp_path / "tiny.yaml")
    hashes = {name: report.cells(f"levels/level={name}")[0].runs for name in (*axis, "none")}
    assert hashes["with"] == hashes["without"] != hashes["none"] == hashes["alone"]
    assert tiny_run(augmentation=axis["with"]) == tiny_run(augmentation=axis["without"])
