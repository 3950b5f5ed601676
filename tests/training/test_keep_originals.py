"""`training.keep_originals`: an epoch has every training image twice, as it is and augmented (report 3,
section 4).
"""

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from reprise import models
from reprise.data.augment import build_augmentation
from reprise.data.augmentations import OWN_AUGMENTATIONS
from reprise.errors import RepriseError
from reprise.models.pretrained import TransferNetwork
from reprise.training import engine
from reprise.training.engine import train
from reprise.training.parts import Datasets
from reprise.training.seeds import derive
from tiny import everything, tiny_run, write_dataset

STEPS = [{"vertical_flip": 1.0}, {"jitter": {"brightness": 0.3}}]


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


def doubled(**changes):
    return tiny_run(
        **{"augmentation": STEPS, "training__keep_originals": True, "training__epochs": 2, **changes}
    )


def go(run, dirs, cache, **options):
    train([run], dataset_dirs=dirs, cache=cache, device="cpu", **options)
    return pd.read_parquet(cache / run.hash / "history.parquet")


def test_an_epoch_against_one_written_out(dirs, tmp_path):
    """Batches of 70: four of them and one of 20; the images of each are put together one by one."""
    run = doubled(
        training__batch_size=70, preprocess={"normalize": "half"}, optimizer={"name": "sgd", "lr": 0.05}
    )
    torch.manual_seed(derive(0, "init"))
    model = models.build(run.settings.model, 4, (3, 12, 12))
    part = Datasets(dirs, torch.device("cpu")).of(run).train
    expected, correct, loss_sum = [], 0, 0.0
    for epoch in (1, 2):
        order = torch.randperm(
            300, generator=torch.Generator().manual_seed(derive(0, "order", epoch))
        ).tolist()
        generator = torch.Generator().manual_seed(derive(0, "augmentation", epoch))
        correct, loss_sum = 0, 0.0
        for start in range(0, 300, 70):
            places = order[start : start + 70]
            pixels = torch.stack([part.inputs[place % 150] / 255 for place in places])
            changed = build_augmentation(STEPS)(pixels, generator)
            images = torch.stack(
                [changed[at] if place >= 150 else pixels[at] for at, place in enumerate(places)]
            )
            labels = torch.stack([part.labels[place % 150] for place in places])
            logits = model((images - 0.5) / 0.5)
            loss = F.cross_entropy(logits, labels)
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for item in model.parameters():
                    item -= 0.05 * item.grad
            expected.append(loss.item())
            loss_sum += loss.item() * len(places)
            correct += (logits.argmax(1) == labels).sum().item()
    losses = []
    history = go(run, dirs, tmp_path, on_step=lambda epoch, step, loss: losses.append(loss.item()))
    assert len(losses) == 2 * 5
    assert losses == pytest.approx(expected, abs=1e-5)
    last = history.query("split == 'train' and epoch == 2").iloc[0]
    assert last["loss"] == pytest.approx(loss_sum / 300, abs=1e-5)
    assert last["accuracy"] == correct / 300


def test_every_image_stands_twice_in_an_epoch(dirs, tmp_path, monkeypatch):
    """A vertical flip tells the augmented images from the others."""
    seen = []
    monkeypatch.setattr(
        engine,
        "_logits",
        lambda network, images, call=engine._logits: seen.append(images.clone()) or call(network, images),
    )
    run = doubled(augmentation=[{"vertical_flip": 1.0}], training__epochs=1)
    go(run, dirs, tmp_path)
    part = Datasets(dirs, torch.device("cpu")).of(run).train
    originals = part.inputs[part.indices].float().div(255)

    def rows(images):
        return sorted(map(tuple, images.flatten(1).tolist()))

    assert rows(torch.cat(seen)) == rows(torch.cat([originals, originals.flip(2)]))
    assert not torch.equal(torch.cat(seen)[:150], originals), (
        "in a random order, not one half after the other"
    )


@pytest.mark.parametrize("name", OWN_AUGMENTATIONS)
def test_operations_leave_what_they_are_given_alone(name):
    """The originals of a batch are the augmentation's input."""
    values = {
        "crop": 2,
        "resized_crop": {},
        "rotation": 20.0,
        "jitter": {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.3},
    }
    augmentation = build_augmentation([{name: values.get(name, 0.9)}])
    images = torch.rand(20, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    assert not torch.equal(augmentation(images, torch.Generator().manual_seed(0)), before)
    assert torch.equal(images, before)


def test_drop_last_counts_both(dirs, tmp_path):
    steps = []
    go(
        doubled(training__drop_last=True, training__epochs=1),
        dirs,
        tmp_path,
        on_step=lambda epoch, step, loss: steps.append(step),
    )
    assert len(steps) == 300 // 32
    with pytest.raises(RepriseError, match=r"training.batch_size 301 is more than the 300 training images"):
        go(doubled(training__drop_last=True, training__batch_size=301), dirs, tmp_path)


def test_false_is_the_same_as_absent(dirs, tmp_path):
    one, other = (
        go(everything(training__epochs=2, **more), dirs, tmp_path)
        for more in ({}, {"training__keep_originals": False})
    )
    pd.testing.assert_frame_equal(one.drop(columns="run"), other.drop(columns="run"), check_exact=True)


def test_augmented_validation_images_are_all_augmented(dirs, tmp_path):
    """The learning rate is next to nothing, so both see the same network."""
    settings = {
        "split": {"validation": 0.4, "augmented": True},
        "optimizer__lr": 1e-12,
        "training__epochs": 1,
    }
    losses = [
        go(doubled(**settings, training__keep_originals=keep), dirs, tmp_path)["loss"][1]
        for keep in (True, False)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_it_survives_a_resumed_run(dirs, tmp_path):
    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 3:
            raise Stop

    run = everything(training__keep_originals=True, training__epochs=4)
    whole = go(run, dirs, tmp_path / "whole")
    with pytest.raises(Stop):
        go(run, dirs, tmp_path / "stopped", checkpoint_seconds=0, on_step=stop)
    epochs = set()
    resumed = go(run, dirs, tmp_path / "stopped", on_step=lambda epoch, step, loss: epochs.add(epoch))
    assert epochs == {3, 4}
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)


def test_frozen_features_are_not_kept(dirs, tmp_path, monkeypatch):
    """Half of the images change, so every batch goes through the whole network."""
    passes = []
    forward = TransferNetwork.forward
    monkeypatch.setattr(
        TransferNetwork, "forward", lambda self, images: passes.append(len(images)) or forward(self, images)
    )
    model = {"name": "torchvision", "arch": "mobilenet_v3_small", "weights": "random", "trainable": "head"}
    go(doubled(model=model, preprocess={"resize": 32}, training__epochs=1), dirs, tmp_path)
    assert sum(passes) == 2 * 150 + 60


def test_it_needs_an_augmentation(dirs, tmp_path):
    run = doubled(augmentation=[])
    message = (
        rf"^run {run.hash}: training.keep_originals adds augmented images to the original ones; give "
        r"an augmentation or leave it out$"
    )
    with pytest.raises(RepriseError, match=message):
        go(run, dirs, tmp_path)


def test_the_train_images_are_counted_once(dirs, tmp_path):
    run = doubled(training__epochs=1)
    (outcome,) = train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    assert outcome.meta["train_images"] == 150
