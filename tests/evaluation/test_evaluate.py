import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)
from torch import nn

from reprise.data.decode import load
from reprise.data.splits import train_validation
from reprise.errors import RepriseError
from reprise.evaluation import evaluate
from reprise.results.metrics import classification_metrics
from reprise.training.engine import train
from reprise.training.parts import Datasets
from tiny import (
    edit_dataset,
    everything,
    record_run,
    tiny_run,
    without_plain,
    without_records,
    write_dataset,
)


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture
def evaluated(dirs, tmp_path):
    """Train and evaluate a run: predictions, final metrics by name, history and folder."""

    def evaluated(run):
        train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
        evaluate([run], dirs, tmp_path, device="cpu")
        folder = tmp_path / run.hash
        predictions, final, history = (
            pd.read_parquet(folder / f"{name}.parquet") for name in ("predictions", "final", "history")
        )
        assert list(final.columns) == ["run", "metric", "value"]
        assert set(final["run"]) == set(predictions["run"]) == {run.hash}
        return predictions, dict(zip(final["metric"], final["value"], strict=True)), history, folder

    return evaluated


def test_predictions_are_those_of_the_selected_weights(evaluated, dirs):
    predictions, final, _, folder = evaluated(tiny_run())
    images, labels = (
        load(dirs["cifar10"]).splits["test"].images,
        load(dirs["cifar10"]).splits["test"].labels[:, 1],
    )
    weights = load_file(folder / "weights.safetensors")
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 4))
    for layer, name in ((plain[0], "0_conv"), (plain[4], "3_dense")):
        layer.load_state_dict({kind: weights[f"{name}.{kind}"] for kind in ("weight", "bias")})
    with torch.no_grad():
        logits = plain(torch.tensor(np.array(images)) / 255)
    assert list(predictions.columns) == ["run", "image", "label", "predicted"]
    assert predictions["image"].tolist() == list(range(60))
    assert predictions["label"].tolist() == labels.tolist()
    assert predictions["predicted"].tolist() == logits.argmax(1).tolist()
    assert final["loss"] == pytest.approx(
        nn.functional.cross_entropy(logits, torch.tensor(labels).long()).item(), abs=1e-6
    )


@pytest.mark.parametrize(
    "run", [tiny_run(training__epochs=8), everything(split__validation="test")], ids=["tiny", "everything"]
)
def test_accuracy_is_the_validation_accuracy_where_the_test_set_validates(evaluated, run):
    _, final, history, folder = evaluated(run)
    epoch = json.loads((folder / "run.json").read_text())["meta"]["selected_epoch"]
    row = history[(history["split"] == "test") & (history["epoch"] == epoch)].iloc[0]
    assert final["accuracy"] == row["accuracy"]
    assert final["loss"] == row["loss"]


def test_metrics(evaluated):
    predictions, final, history, folder = evaluated(everything(training__epochs=2))
    document = json.loads((folder / "run.json").read_text())
    truth, guess = predictions["label"], predictions["predicted"]
    epoch = final["selected_epoch"]
    fitted = history[(history["split"] == "train") & (history["epoch"] == epoch)].iloc[0]
    assert final == pytest.approx(
        {
            "accuracy": (truth == guess).mean(),
            "precision_macro": precision_score(truth, guess, average="macro", zero_division=0),
            "recall_macro": recall_score(truth, guess, average="macro"),
            "f1_macro": f1_score(truth, guess, average="macro"),
            "test_images": 60,
            "loss": final["loss"],
            "selected_epoch": epoch,
            "train_loss": fitted["loss"],
            "train_accuracy": fitted["accuracy"],
            "gap": fitted["accuracy"] - (truth == guess).mean(),
            "plain_train_accuracy": final["plain_train_accuracy"],
            "plain_train_loss": final["plain_train_loss"],
            "plain_gap": final["plain_train_accuracy"] - (truth == guess).mean(),
            "parameters": 964,
            "train_images": document["meta"]["train_images"],
            "validation_images": document["meta"]["validation_images"],
            "parameters.0_conv": 4 * 27 + 4,
            "parameters.1_batch_norm": 8,
            "parameters.5_dense": 100 * 8 + 8,
            "parameters.7_dense": 8 * 4 + 4,
            **{
                f"channel_mean.{name}": document["meta"]["channel_mean"][place]
                for place, name in enumerate(("red", "green", "blue"))
            },
            **{
                f"channel_std.{name}": document["meta"]["channel_std"][place]
                for place, name in enumerate(("red", "green", "blue"))
            },
        }
    )


def plain_loop(folder, images, labels, mean, std, side):
    """Accuracy and loss of the weights of `everything` on images (N, 3, H, W), one after the other."""
    grid = ((side - 2) // 2) ** 2
    network = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Dropout2d(0.25)),
        *(nn.Flatten(), nn.Linear(4 * grid, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4)),
    )
    weights = load_file(folder / "weights.safetensors")
    for place, name in ((0, "0_conv"), (2, "1_batch_norm"), (6, "5_dense"), (9, "7_dense")):
        state = {key.removeprefix(f"{name}."): value for key, value in weights.items() if name in key}
        network[place].load_state_dict(state)
    network.eval()
    losses, right = [], 0
    with torch.no_grad():
        for image, label in zip(images, labels, strict=True):
            pixels = torch.tensor(np.array(image))[None] / 255
            if side != pixels.shape[-1]:
                pixels = nn.functional.interpolate(pixels, side, mode="bilinear", antialias=True)
            logits = network((pixels - mean) / std)
            losses.append(nn.functional.cross_entropy(logits, torch.tensor([int(label)])).item())
            right += int(logits.argmax() == label)
    return right / len(images), np.mean(losses)


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({}, 12),
        ({"split__augmented": True}, 12),
        ({"training__keep_originals": True}, 12),
        ({"preprocess": {"normalize": "half", "resize": 16}}, 16),
        ({"split__validation": "test", "training__select": "last"}, 12),
    ],
    ids=["held out", "augmented", "originals", "resized", "test validates"],
)
def test_plain_training_images_are_measured_as_the_test_images_are(evaluated, dirs, changes, side):
    """By a loop over single images without dropout and augmentation; only those count that were trained
    on.
    """
    run = everything(**{"training__epochs": 4, "optimizer__lr": 0.1, **changes})
    _, final, _, folder = evaluated(run)
    stored = load(dirs["cifar10"]).splits["train"]
    trained, _ = train_validation(np.arange(150), run.settings.split.validation, seed=0)
    assert len(trained) == final["train_images"] == (150 if run.settings.split.validation == "test" else 120)
    mean = std = 0.5
    if run.settings.preprocess.normalize == "train":
        pixels = stored.images[trained] / 255
        mean, std = (
            torch.tensor(values(axis=(0, 2, 3), keepdims=True)).float()
            for values in (pixels.mean, pixels.std)
        )
    images, labels = stored.images[trained], stored.labels[trained, 1]
    accuracy, loss = plain_loop(folder, images, labels, mean, std, side)
    assert final["plain_train_accuracy"] == accuracy
    assert final["plain_train_loss"] == pytest.approx(loss, rel=1e-5)
    assert final["plain_gap"] == accuracy - final["accuracy"]
    assert abs(final["train_accuracy"] - accuracy) > 0.05, "the running mean is another number"
    assert abs(final["train_loss"] - loss) > 0.05


def test_metrics_of_plain_training_images_change_no_other(evaluated, dirs, tmp_path, monkeypatch):
    run = everything(training__epochs=1)
    predictions, final, *_, folder = evaluated(run)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[evaluate.__module__], "evaluate_part", lambda *_: (2.0, 0.5))
        (folder / "final.parquet").unlink()
        evaluate([run], dirs, tmp_path, device="cpu")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "predictions.parquet"), predictions)
    again = pd.read_parquet(folder / "final.parquet").set_index("metric")["value"].to_dict()
    plain = {"plain_train_accuracy": 0.5, "plain_train_loss": 2.0, "plain_gap": 0.5 - final["accuracy"]}
    assert again == final | plain


def test_an_evaluation_of_an_earlier_version_is_kept_until_it_is_deleted(evaluated, dirs, tmp_path, capsys):
    run = everything(training__epochs=1)
    _, expected, _, folder = evaluated(run)
    without_plain(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    evaluate([run], dirs, tmp_path, device="cpu")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert capsys.readouterr().err == ""
    (folder / "evaluation.json").unlink()
    evaluate([run], dirs, tmp_path, device="cpu")
    assert (folder / "final.parquet").read_bytes() == before["final.parquet"], "without a record, too"
    (folder / "final.parquet").unlink()
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(folder / "final.parquet").set_index("metric")["value"].to_dict()
    assert final == expected


def test_channel_statistics_are_those_of_the_training_part(evaluated, dirs):
    run = everything(training__epochs=1)
    _, final, _, _ = evaluated(run)
    part = Datasets(dirs, torch.device("cpu")).of(run).train
    pixels = part.inputs[part.indices].double() / 255
    for place, name in enumerate(("red", "green", "blue")):
        assert final[f"channel_mean.{name}"] == pytest.approx(pixels[:, place].mean().item(), abs=1e-7)
        assert final[f"channel_std.{name}"] == pytest.approx(
            pixels[:, place].std(correction=0).item(), abs=1e-7
        )


def test_without_own_statistics_there_are_none(evaluated):
    _, final, _, _ = evaluated(tiny_run(preprocess={"normalize": "half"}, training__epochs=1))
    assert not [name for name in final if name.startswith("channel")]


def test_a_result_of_an_older_version_has_no_statistics(evaluated, dirs, tmp_path):
    run = everything(training__epochs=1)
    _, expected, _, folder = evaluated(run)
    (folder / "final.parquet").unlink()
    record_run(
        folder, lambda document: [document["meta"].pop(name) for name in ("channel_mean", "channel_std")]
    )
    evaluate([run], dirs, tmp_path, device="cpu")
    final = pd.read_parquet(folder / "final.parquet").set_index("metric")["value"].to_dict()
    assert final == {name: value for name, value in expected.items() if not name.startswith("channel")}


def test_metrics_by_hand():
    """Two classes of three are predicted; class 2 never, so its precision counts as 0."""
    found = classification_metrics(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]))
    assert found == pytest.approx(
        {
            "accuracy": 0.5,
            "precision_macro": (1 + 1 / 3 + 0) / 3,
            "recall_macro": 0.5,
            "f1_macro": (2 / 3 + 1 / 2) / 3,
            "test_images": 4,
        }
    )


@pytest.mark.parametrize("classes", [1, 2, 10, 100])
@pytest.mark.parametrize("images", [1, 7, 1000])
def test_metrics_are_those_of_scikit_learn(classes, images):
    """Classes without an image, and classes that are never predicted, are among them."""
    generator = np.random.default_rng([classes, images])
    truth, guess = generator.integers(classes, size=(2, images))
    guess = np.where(generator.random(images) < 0.5, truth, guess // 2)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    assert classification_metrics(truth, guess) == pytest.approx(
        {
            "accuracy": accuracy_score(truth, guess),
            "precision_macro": precision,
            "recall_macro": recall,
            "f1_macro": f1,
            "test_images": images,
        },
        rel=1e-14,
    )


def test_test_images_of_a_subset_keep_their_place(evaluated, dirs):
    predictions, final, _, _ = evaluated(tiny_run(dataset__classes=["green", "red"], dataset__per_class=4))
    labels = load(dirs["cifar10"]).splits["test"].labels[:, 1]
    assert final["test_images"] == 8
    assert [{3: 0, 0: 1}[label] for label in labels[predictions["image"]]] == predictions["label"].tolist()


def test_an_evaluation_that_is_there_is_kept(evaluated, dirs, tmp_path):
    run = tiny_run()
    *_, folder = evaluated(run)
    before = (folder / "final.parquet").stat().st_mtime_ns
    evaluate([run], dirs, tmp_path, device="cpu")
    assert (folder / "final.parquet").stat().st_mtime_ns == before
    (folder / "predictions.parquet").unlink()
    evaluate([run], dirs, tmp_path, device="cpu")
    assert (folder / "predictions.parquet").exists()


@pytest.mark.parametrize("name", ["predictions.parquet", "final.parquet"])
def test_a_damaged_evaluation_is_made_again(evaluated, dirs, tmp_path, capsys, name):
    *_, folder = evaluated(tiny_run())
    expected = (folder / name).read_bytes()
    (folder / name).write_bytes(expected[:-100])
    capsys.readouterr()
    evaluate([tiny_run()], dirs, tmp_path, device="cpu")
    assert (folder / name).read_bytes() == expected
    says = (
        f"run {folder.name} is evaluated again ({folder / name}: damaged (its content does not match its "
        "record))"
    )
    assert f"reprise: {says}" in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"run": 1}'])
def test_an_evaluation_whose_record_is_damaged_is_made_again(evaluated, dirs, tmp_path, content):
    *_, folder = evaluated(tiny_run())
    expected = (folder / "evaluation.json").read_bytes()
    (folder / "evaluation.json").write_bytes(content)
    evaluate([tiny_run()], dirs, tmp_path, device="cpu")
    assert (folder / "evaluation.json").read_bytes() == expected


def test_an_evaluation_without_a_record_gets_one(evaluated, dirs, tmp_path):
    *_, folder = evaluated(tiny_run())
    expected = {
        name: (folder / name).read_bytes() for name in ("run.json", "evaluation.json", "final.parquet")
    }
    without_records(folder)
    evaluate([tiny_run()], dirs, tmp_path, device="cpu")
    assert {name: (folder / name).read_bytes() for name in expected} == expected


def test_an_evaluation_without_a_record_that_does_not_fit_its_run_is_made_again(
    evaluated, dirs, tmp_path, capsys
):
    *_, folder = evaluated(tiny_run())
    without_records(folder)
    expected = (folder / "final.parquet").read_bytes()
    table = pd.read_parquet(folder / "final.parquet")
    table.loc[table["metric"] == "accuracy", "value"] = 0.75
    table.to_parquet(folder / "final.parquet", index=False)
    evaluate([tiny_run()], dirs, tmp_path, device="cpu")
    assert (folder / "final.parquet").read_bytes() == expected
    assert "is evaluated again (" in capsys.readouterr().err


def test_nothing_to_do_prints_nothing(evaluated, dirs, tmp_path, capsys):
    evaluated(tiny_run())
    capsys.readouterr()
    evaluate([tiny_run()], dirs, tmp_path, device="cpu")
    assert capsys.readouterr().err == ""


def test_other_images_than_those_of_the_training(dirs, tmp_path):
    run = tiny_run(training__epochs=1)
    train([run], dataset_dirs=dirs, cache=tmp_path / "runs", device="cpu")
    shutil.copytree(dirs["cifar10"], tmp_path / "data")
    splits = json.loads((tmp_path / "data/dataset.json").read_text())["splits"]
    edit_dataset(tmp_path / "data", splits={**splits, "test": {**splits["test"], "digest": "1" * 64}})
    with pytest.raises(
        RepriseError, match=f"run {run.hash} was trained on other images than those in .*data; train it again"
    ):
        evaluate([run], {"cifar10": tmp_path / "data"}, tmp_path / "runs", device="cpu")


def test_mistakes(dirs, tmp_path):
    run = tiny_run(training__epochs=1)
    with pytest.raises(RepriseError, match=f"run {run.hash}: no result in .*; train it first"):
        evaluate([run], dirs, tmp_path, device="cpu")
    train([run], dataset_dirs=dirs, cache=tmp_path, device="cpu")
    path = tmp_path / run.hash / "weights.safetensors"
    save_file({"other": torch.zeros(1)}, path, {"run": run.hash})
    with pytest.raises(
        RepriseError,
        match=r"weights.safetensors: damaged \(its content does not match its record\); delete the run's "
        r"folder",
    ):
        evaluate([run], dirs, tmp_path, device="cpu")
    record_run(path.parent)
    with pytest.raises(RepriseError, match=r"weights.safetensors: does not fit the run's network"):
        evaluate([run], dirs, tmp_path, device="cpu")
    save_file({"other": torch.zeros(1)}, path, {"run": "0" * 12})
    record_run(path.parent)
    with pytest.raises(
        RepriseError, match=rf"weights.safetensors: is of run 000000000000, its folder is {run.hash}"
    ):
        evaluate([run], dirs, tmp_path, device="cpu")
    path.unlink()
    with pytest.raises(
        RepriseError, match=r"weights.safetensors: not found; the run's weights were not kept"
    ):
        evaluate([run], dirs, tmp_path, device="cpu")
    assert not (tmp_path / run.hash / "final.parquet").exists()
