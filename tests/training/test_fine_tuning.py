"""Pretrained networks in the engine: report 2's frozen backbones in training mode, and large images made
batch by batch.
"""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from reprise import models
from reprise.data.augment import Preprocess
from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.training import feed, parts
from reprise.training.engine import train
from reprise.training.seeds import derive
from tiny import tiny_run, write_dataset

MODEL = {
    "name": "torchvision",
    "arch": "mobilenet_v3_small",
    "weights": "random",
    "trainable": "head",
    "frozen_mode": "train",
}


def fine_tuning(**changes):
    preprocess = {"normalize": "imagenet", "resize": 36, "crop": 32}
    return tiny_run(
        **{
            "model": MODEL,
            "preprocess": preprocess,
            "split__validation": 0.2,
            "training__epochs": 2,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"), train=60, test=20)}


def history(folder):
    return pd.read_parquet(folder / "history.parquet")


@pytest.fixture(scope="module")
def trained(dirs, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    train([fine_tuning()], dataset_dirs=dirs, cache=cache, device="cpu")
    return cache


def test_only_the_head_and_the_running_statistics_change(trained):
    run = fine_tuning()
    torch.manual_seed(derive(0, "init"))
    fresh = models.build(MODEL, 4, (3, 32, 32))
    saved = load_file(trained / run.hash / "weights.safetensors")
    changed = {name for name, value in fresh.state_dict().items() if not torch.equal(value, saved[name])}
    assert changed == {name for name, _ in fresh.named_buffers()} | {
        "head.0_dense.weight",
        "head.0_dense.bias",
    }


def test_features_that_change_are_not_kept(dirs, tmp_path, monkeypatch):
    monkeypatch.setattr(
        feed, "compute_features", lambda *arguments: pytest.fail("features of a network that changes")
    )
    train([fine_tuning(training__epochs=1)], dataset_dirs=dirs, cache=tmp_path, device="cpu")


def test_the_test_set_is_evaluated_with_the_saved_statistics(dirs, tmp_path):
    run = fine_tuning(split__validation="test")
    train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(tmp_path / run.hash / "final.parquet").set_index("metric")["value"]
    rows = history(tmp_path / run.hash).query("split == 'test'").set_index("epoch")
    assert final["loss"] == rows["loss"][final["selected_epoch"]]
    assert final["accuracy"] == rows["accuracy"][final["selected_epoch"]]


def test_a_resumed_run_equals_one_that_never_stopped(dirs, trained, tmp_path):
    class Stop(BaseException):
        pass

    def stop(epoch, step, loss):
        if epoch == 2:
            raise Stop

    run = fine_tuning()
    with pytest.raises(Stop):
        train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu", checkpoint_seconds=0, on_step=stop)
    epochs = set()
    train(
        [run],
        dataset_dirs=dirs,
        cache=tmp_path,
        device="cpu",
        on_step=lambda epoch, step, loss: epochs.add(epoch),
    )
    assert epochs == {2}
    pd.testing.assert_frame_equal(history(tmp_path / run.hash), history(trained / run.hash), check_exact=True)
    ours, theirs = (load_file(cache / run.hash / "weights.safetensors") for cache in (tmp_path, trained))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_all_layers_train_as_written(dirs, tmp_path):
    run = fine_tuning(model={**MODEL, "trainable": "all", "frozen_mode": None}, training__epochs=1)
    train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    torch.manual_seed(derive(0, "init"))
    fresh = models.build(run.settings.model, 4, (3, 32, 32))
    saved = load_file(tmp_path / run.hash / "weights.safetensors")
    assert all(not torch.equal(value, saved[name]) for name, value in fresh.state_dict().items())


def test_a_batch_too_small_for_batch_normalisation_is_one_line(dirs, tmp_path):
    run = fine_tuning(training__batch_size=47)  # 48 images to train on
    with pytest.raises(
        RepriseError,
        match=rf"^run {run.hash}: a batch of 1 does not fit the network \(.+\); set training.drop_last or",
    ):
        train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")


# ---- memory ----


@pytest.mark.parametrize(("side", "images"), [(12, 7281), (32, 1024), (96, 113), (224, 20), (384, 16)])
def test_evaluation_batches_shrink_with_the_image(dirs, side, images):
    run = fine_tuning(preprocess={"resize": side})
    assert parts.Datasets(dirs, torch.device("cpu")).of(run).evaluation_batch == images


def test_large_images_are_made_batch_by_batch(dirs, tmp_path, monkeypatch):
    """What stays on the device is uint8 at the stored size; preprocessed images never outnumber a batch."""
    sizes, resident = [], []
    monkeypatch.setattr(parts, "EVALUATION_PIXELS", 12 * 64**2)
    monkeypatch.setattr(parts, "EVALUATION_IMAGES", 1)
    pixels, upload = Preprocess.pixels, parts.Datasets._upload
    monkeypatch.setattr(
        Preprocess, "pixels", lambda self, images: sizes.append(tuple(images.shape)) or pixels(self, images)
    )
    monkeypatch.setattr(
        parts.Datasets, "_upload", lambda *arguments: resident.append(upload(*arguments)) or resident[-1]
    )
    model = {
        "name": "sequential",
        "layers": [{"pool": "avg", "size": 64}, {"flatten": True}, {"dense": "classes"}],
    }
    run = fine_tuning(
        model=model, preprocess={"resize": 72, "crop": 64}, training__batch_size=10, training__epochs=1
    )
    train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    evaluate([run], dirs, tmp_path, device="cpu")
    assert [(part.inputs.dtype, tuple(part.inputs.shape[1:])) for part in resident] == 4 * [
        (torch.uint8, (3, 12, 12))
    ]
    assert max(count for count, *_ in sizes) == 12
    assert sum(count for count, *_ in sizes if count > 1) == 48 + 12 + 20 + 48
