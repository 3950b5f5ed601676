import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from reprise import files, models
from reprise.errors import RepriseError
from reprise.evaluation import evaluate, export_runs, import_runs
from reprise.evaluation.exchange import import_entries
from reprise.reports.run import digest
from reprise.results.cache import Caches
from reprise.training.engine import train
from reprise.training.results import read_run
from tiny import (
    edit_dataset,
    everything,
    record_run,
    tiny_run,
    without_plain,
    without_records,
    write_dataset,
)

RUNS = [
    tiny_run(),
    everything(),
    tiny_run(training__epochs=40, training__early_stop={"monitor": "loss", "patience": 1}, optimizer__lr=0.5),
]
FILES = [
    "evaluation.json",
    "final.parquet",
    "history.parquet",
    "predictions.parquet",
    "run.json",
    "weights.safetensors",
]


def exported_before(cache, runs, out):
    for run in runs:
        (out / run.hash).mkdir(parents=True)
        for name in FILES:
            shutil.copy(cache / run.hash / name, out / run.hash)
    return out


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture(scope="module")
def cache(dirs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    train(RUNS, dataset_dirs=dirs, cache=folder / "runs", device="cpu")
    evaluate(RUNS, dirs, folder / "runs", device="cpu")
    assert (
        json.loads((folder / "runs" / RUNS[2].hash / "run.json").read_text())["meta"]["stopped"]
        == "early stop"
    )
    return folder / "runs"


@pytest.fixture
def exported(cache, tmp_path):
    """As earlier versions exported runs: a folder for each, with its weights."""
    return exported_before(cache, RUNS, tmp_path / "out")


def test_there_and_back(cache, exported, tmp_path):
    hashes = sorted(run.hash for run in RUNS)
    assert import_runs(exported, tmp_path / "new", synthetic=True) == dict.fromkeys(hashes, "imported")
    for name in hashes:
        assert sorted(path.name for path in (tmp_path / "new" / name).iterdir()) == FILES
        for file in FILES:
            assert (tmp_path / "new" / name / file).read_bytes() == (cache / name / file).read_bytes()


def test_an_export_goes_there_and_back(cache, tmp_path):
    """With weights all files are the same again."""
    hashes = sorted(run.hash for run in RUNS)
    assert export_runs(cache, hashes, tmp_path / "out", weights=True) == dict.fromkeys(hashes, "published")
    caches = Caches([str(tmp_path / "out")], tmp_path / "copies")
    states = import_entries(caches, caches.every(), tmp_path / "new", synthetic=True)
    assert states == dict.fromkeys(hashes, "imported")
    for name in hashes:
        assert sorted(path.name for path in (tmp_path / "new" / name).iterdir()) == FILES
        for file in FILES:
            assert (tmp_path / "new" / name / file).read_bytes() == (cache / name / file).read_bytes()
    assert set(export_runs(tmp_path / "new", hashes, tmp_path / "out").values()) == {"there already"}


def test_two_results_of_one_run_are_compared(cache, tmp_path):
    """Whoever publishes the second one and whoever imports learns whether they agree bit for bit."""
    name = RUNS[0].hash
    export_runs(cache, [name], tmp_path / "shared")
    again, other = tmp_path / "again", tmp_path / "other"
    for folder in (again, other):
        shutil.copytree(cache / name, folder / name)
        edit_meta(seconds=9.0, finished="2030-01-01T00:00:00+00:00", device="mine")(folder / name)
    final("loss", 1.3)(other / name)
    other_prediction_of = pd.read_parquet(other / name / "history.parquet")
    edit_table("history.parquet", put("loss", 1.3, other_prediction_of.index[-1]))(other / name)
    assert export_runs(again, [name], tmp_path / "shared") == {name: "another result"}
    assert [each["same"] for each in json.loads((again / name / "others.json").read_text())] == [True]
    assert export_runs(other, [name], tmp_path / "shared") == {name: "another result"}
    found = json.loads((other / name / "others.json").read_text())
    assert [each["same"] for each in found] == [False, False]
    caches = Caches([str(tmp_path / "shared")], tmp_path / "copies")
    assert import_entries(caches, caches.every(), tmp_path / "new", synthetic=True) == {name: "imported"}
    found = json.loads((tmp_path / "new" / name / "others.json").read_text())
    assert {(each["device"], each["same"]) for each in found} == {("mine", True), ("mine", False)}


def test_of_two_results_the_one_finished_first_is_imported_and_the_other_noted(cache, tmp_path):
    name = RUNS[0].hash
    for day, device in ((2, "later"), (1, "first"), (3, "last")):
        shutil.copytree(cache / name, tmp_path / device / name)
        edit_meta(finished=f"2026-11-0{day}T12:00:00+00:00", device=device)(tmp_path / device / name)
        export_runs(tmp_path / device, [name], tmp_path / "out")
    caches = Caches([str(tmp_path / "out")], tmp_path / "copies")
    assert import_entries(caches, caches.every(), tmp_path / "new", synthetic=True) == {name: "imported"}
    assert read_run(tmp_path / "new" / name)["meta"]["device"] == "first"
    noted = json.loads((tmp_path / "new" / name / "others.json").read_text())
    assert [(other["device"], other["same"]) for other in noted] == [("later", True), ("last", True)]


def test_an_export_says_which_weights_it_lacks(cache, tmp_path, capsys):
    first, second, third = (run.hash for run in RUNS)
    shutil.copytree(cache, tmp_path / "runs")
    (tmp_path / "runs" / second / "weights.safetensors").unlink()
    export_runs(tmp_path / "runs", [first, second, third], tmp_path / "out", weights=True)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "weights" in line)
    assert re.search(f"runs/{second}: its weights were not kept, so it is exported without them", line)
    assert {path.stem for path in (tmp_path / "out/weights").iterdir()} == {first, third}


def test_an_existing_run_is_kept(exported, tmp_path):
    import_runs(exported, tmp_path / "new", synthetic=True)
    name = RUNS[0].hash
    mine = tmp_path / "new" / name / "run.json"
    edit_meta(seconds=1)(mine.parent)
    before = mine.read_text()
    expected = {run.hash: "kept" if run.hash == name else "identical" for run in RUNS}
    assert import_runs(exported, tmp_path / "new", synthetic=True) == expected
    assert mine.read_text() == before


@pytest.mark.parametrize(
    "absent", [["weights.safetensors"], ["evaluation.json", "final.parquet", "predictions.parquet"]]
)
def test_without_weights_or_without_evaluation(exported, tmp_path, absent):
    folder, new = exported / RUNS[0].hash, tmp_path / "new" / RUNS[0].hash
    for file in absent:
        (folder / file).unlink()
    assert import_runs(exported, tmp_path / "new", synthetic=True)[RUNS[0].hash] == "imported"
    assert sorted(path.name for path in new.iterdir()) == sorted(set(FILES) - set(absent))
    assert read_run(new)["meta"] == json.loads((folder / "run.json").read_text())["meta"]


def test_with_neither_weights_nor_evaluation(exported, tmp_path):
    folder = exported / RUNS[0].hash
    for file in ("evaluation.json", "final.parquet", "predictions.parquet", "weights.safetensors"):
        (folder / file).unlink()
    with pytest.raises(
        RepriseError,
        match=r"has neither weights.safetensors nor predictions.parquet, so it is of no use",
    ):
        import_runs(exported, tmp_path / "new", synthetic=True)
    assert not (tmp_path / "new").exists()


def test_runs_of_versions_before_records_get_theirs(cache, exported, tmp_path):
    for run in RUNS:
        without_records(exported / run.hash)
    (exported / RUNS[0].hash / "weights.safetensors").unlink()
    assert set(import_runs(exported, tmp_path / "new", synthetic=True).values()) == {"imported"}
    for run in RUNS[1:]:
        for file in FILES:
            assert (tmp_path / "new" / run.hash / file).read_bytes() == (cache / run.hash / file).read_bytes()
    assert read_run(tmp_path / "new" / RUNS[0].hash)["files"].keys() == {"history.parquet"}
    assert set(import_runs(exported, tmp_path / "new", synthetic=True).values()) == {"identical"}


@pytest.mark.parametrize("records", [True, False])
def test_runs_of_versions_before_plain_training_images(exported, tmp_path, at_hand, records):
    """They are taken as they are, once and again, and given to others."""
    for run in RUNS:
        without_plain(exported / run.hash)
        if not records:
            without_records(exported / run.hash)
    assert set(import_runs(exported, tmp_path / "new", synthetic=True, **at_hand).values()) == {"imported"}
    export_runs(tmp_path / "new", [run.hash for run in RUNS], tmp_path / "back")
    caches = Caches([str(tmp_path / "back")], tmp_path / "copies")
    again = import_entries(caches, caches.every(), tmp_path / "again", synthetic=True)
    assert set(again.values()) == {"imported"}
    for run in RUNS:
        before, after = (
            pd.read_parquet(folder / run.hash / "final.parquet") for folder in (exported, tmp_path / "again")
        )
        pd.testing.assert_frame_equal(
            after.sort_values("metric", ignore_index=True), before.sort_values("metric", ignore_index=True)
        )


def test_a_damaged_run_is_replaced_by_an_import(cache, exported, tmp_path):
    import_runs(exported, tmp_path / "new", synthetic=True)
    path = tmp_path / "new" / RUNS[0].hash / "history.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    expected = {run.hash: "imported" if run == RUNS[0] else "identical" for run in RUNS}
    assert import_runs(exported, tmp_path / "new", synthetic=True) == expected
    assert path.read_bytes() == (cache / RUNS[0].hash / path.name).read_bytes()


def edit_json(change):
    """Of a run whose records its author has written anew, as if all had been so from the start."""
    return lambda folder: record_run(folder, change)


def foreign_settings(folder):
    """A run called by the hash of its settings, which this version cannot read."""

    def change(document):
        del document["spec"]["training"]["batch_size"]
        document["run"] = digest(document["spec"])

    record_run(folder, change)
    folder.rename(folder.with_name(json.loads((folder / "run.json").read_text())["run"]))


def edit_meta(**values):
    return edit_json(lambda document: document["meta"].update(values))


def edit_table(name, change):
    def damage(folder):
        table = pd.read_parquet(folder / name)
        changed = change(table)
        (table if changed is None else changed).to_parquet(folder / name, index=False)
        record_run(folder)

    return damage


def put(column, value, row=0):
    return lambda table: table.__setitem__(column, table[column].where(table.index != row, value))


def other_prediction(table):
    table.loc[0, "predicted"] = (
        table.loc[0, "label"] + (table.loc[0, "predicted"] == table.loc[0, "label"])
    ) % 4


def final(metric, value):
    def change(table):
        table.loc[table["metric"] == metric, "value"] = value

    return edit_table("final.parquet", change)


def refused(folder, tmp_path, message, **options):
    """Nothing is imported, of no run, and one line says why."""
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        import_runs(folder, tmp_path / "new", synthetic=True, **options)
    assert str(folder) in str(error.value)
    assert (
        str(error.value).endswith("; get this run again from its source")
        or "holds no exported run" in message
    )
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists(), "nothing is imported, of no run"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no exported run (no run.json)"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json: damaged (not valid JSON"),
        (lambda folder: (folder / "run.json").write_text("[]"), "run.json: damaged (not a record)"),
        (lambda folder: (folder / "run.json").write_text("{}"), "run.json: is not the record of a run"),
        (
            lambda folder: (folder / "evaluation.json").write_text("{}"),
            "evaluation.json: damaged (its content does not match",
        ),
        (
            edit_json(lambda document: document.update(run="0" * 12)),
            "run.json: is of run 000000000000, its folder is",
        ),
        (
            edit_json(lambda document: document["spec"]["optimizer"].update(lr=0.1)),
            "run.json: its settings are those of run",
        ),
        (
            edit_json(lambda document: document["spec"]["optimizer"].update(lr=float("nan"))),
            "run.json: its settings are not valid",
        ),
        (
            foreign_settings,
            "run.json: training: key batch_size is missing (found: epochs, select)",
        ),
        (edit_meta(epochs=2), "history.parquet: is not 2 epochs of train and test"),
        (edit_meta(epochs="3"), "history.parquet: does not fit run.json"),
        (edit_meta(validation_images=59), "history.parquet: has accuracies that are not shares of 59 images"),
        (
            edit_json(lambda document: document["meta"].pop("epochs")),
            "history.parquet: does not fit run.json (KeyError: 'epochs')",
        ),
        (edit_meta(selected_epoch=1), "history.parquet: epoch 3 is the one that best_accuracy selects"),
        (edit_meta(source="real"), "run.json: is for synthetic images and was trained on real ones"),
        (edit_meta(parameters=5), "final.parquet: parameters is 516.0, the predictions"),
        (edit_meta(parameters=None), "its files do not fit together (TypeError"),
        (lambda folder: (folder / "history.parquet").unlink(), "history.parquet: not found"),
        (edit_table("history.parquet", put("run", "0" * 12)), "history.parquet: has rows of another run"),
        (edit_table("history.parquet", put("loss", float("nan"))), "history.parquet: loss is nan"),
        (
            edit_table("history.parquet", put("loss", float("nan"), 5)),
            "history.parquet: has values that are not finite",
        ),
        (edit_table("history.parquet", put("loss", -1.0, 4)), "history.parquet: loss is -1.0"),
        (
            edit_table("history.parquet", put("loss", 0.1, 3)),
            "history.parquet: has losses that are too small for their accuracies",
        ),
        (
            edit_table("history.parquet", put("accuracy", 1.5)),
            "history.parquet: accuracy is 1.5, which is not from 0 to 1",
        ),
        (edit_table("history.parquet", put("accuracy", float("nan"))), "history.parquet: accuracy is nan"),
        (
            edit_table("history.parquet", put("accuracy", 0.31, 1)),
            "history.parquet: has accuracies that are not shares of 60 images",
        ),
        (edit_table("history.parquet", put("split", "validation", 1)), "history.parquet: is not 3 epochs"),
        (edit_table("history.parquet", put("epoch", 0)), "history.parquet: epoch is 0"),
        (
            edit_table("history.parquet", lambda table: table.drop(columns="loss")),
            "history.parquet: not a table",
        ),
        (
            edit_table("history.parquet", lambda table: table.astype({"loss": str})),
            "accuracy (column loss is of type",
        ),
        (edit_table("history.parquet", put("loss", 9.0, 4)), "final.parquet: train_loss is"),
        (edit_table("history.parquet", put("loss", 9.0, 5)), "final.parquet: loss is"),
        (
            edit_table("history.parquet", put("accuracy", 59 / 60, 5)),
            "predictions.parquet: gives accuracy 0.5166",
        ),
        (edit_table("predictions.parquet", other_prediction), "final.parquet: accuracy is"),
        (
            edit_table("predictions.parquet", put("image", 1)),
            "predictions.parquet: has two predictions for one image",
        ),
        (edit_table("predictions.parquet", put("label", -1)), "predictions.parquet: label is -1"),
        (
            edit_table("predictions.parquet", put("run", "0" * 12)),
            "predictions.parquet: has rows of another run",
        ),
        (
            edit_table("predictions.parquet", lambda table: table.head(0)),
            "predictions.parquet: has rows of another run",
        ),
        (lambda folder: (folder / "predictions.parquet").unlink(), "predictions.parquet: not found"),
        (edit_table("final.parquet", put("value", 0.99)), "final.parquet: accuracy is 0.99"),
        (final("accuracy", 1.273), "final.parquet: accuracy is 1.273"),
        (final("loss", 0.5), "final.parquet: loss is 0.5, the history says"),
        (final("loss", 0.1), "final.parquet: loss is 0.1, which is impossible at an accuracy of 0.516"),
        (final("loss", float("nan")), "final.parquet: loss is nan, which is impossible"),
        (final("gap", float("inf")), "final.parquet: gap is inf"),
        (final("plain_train_accuracy", 1.5), "final.parquet: plain_train_accuracy is 1.5"),
        (final("plain_train_accuracy", -0.5), "final.parquet: plain_train_accuracy is -0.5"),
        (final("plain_train_accuracy", float("nan")), "final.parquet: plain_train_accuracy is nan"),
        (
            final("plain_train_accuracy", 0.505),
            "final.parquet: plain_train_accuracy is 0.505, which is not a share of 150 training images",
        ),
        (
            final("plain_train_accuracy", 0.02),
            "final.parquet: plain_gap is -0.09000000000000002, the two accuracies give -0.49666",
        ),
        (final("plain_gap", 0.25), "final.parquet: plain_gap is 0.25, the two accuracies give -0.09"),
        (final("plain_gap", float("nan")), "final.parquet: plain_gap is nan"),
        (final("plain_train_loss", -1.0), "final.parquet: plain_train_loss is -1.0"),
        (final("plain_train_loss", 0.01), "final.parquet: plain_train_loss is 0.01, which is impossible at"),
        (
            final("plain_train_loss", float("nan")),
            "final.parquet: plain_train_loss is nan, which is impossible",
        ),
        *(
            (
                edit_table("final.parquet", lambda table, name=name: table[table["metric"] != name]),
                f"final.parquet: lacks {name}, which is measured with others that it has",
            )
            for name in ("plain_train_accuracy", "plain_train_loss", "plain_gap")
        ),
        (
            edit_table("final.parquet", lambda table: table[table["metric"] != "gap"]),
            "final.parquet: gap is None",
        ),
        (
            edit_table("final.parquet", lambda table: table[table["metric"] != "loss"]),
            "final.parquet: loss is None",
        ),
        (
            edit_table("final.parquet", lambda table: pd.concat([table, table.head(1)])),
            "final.parquet: has a metric twice",
        ),
        (edit_table("final.parquet", put("metric", "luck", 5)), "final.parquet: "),
        (
            lambda folder: (
                shutil.copy(folder.with_name(RUNS[1].hash) / "weights.safetensors", folder)
                and record_run(folder)
            ),
            f"weights.safetensors: is of run {RUNS[1].hash}, its folder is {RUNS[0].hash}",
        ),
        (lambda folder: folder.rename(folder.with_name("0" * 12)), "its folder is 000000000000"),
    ],
)
def test_a_run_that_is_not_what_it_says_stops_the_import(exported, tmp_path, damage, message):
    damage(exported / RUNS[0].hash)
    refused(exported, tmp_path, message)


TABLES = [name for name in FILES if name.endswith(".parquet")]


@pytest.mark.parametrize("name", [*TABLES, "weights.safetensors"])
@pytest.mark.parametrize("kind", ["cut", "empty", "flipped", "foreign"])
def test_a_damaged_file_stops_the_import(exported, tmp_path, name, kind):
    path = exported / RUNS[0].hash / name
    content = path.read_bytes()
    flipped = bytes(
        [*content[: len(content) // 2], content[len(content) // 2] ^ 1, *content[len(content) // 2 + 1 :]]
    )
    path.write_bytes({"cut": content[:-1], "empty": b"", "flipped": flipped, "foreign": b"PAR1" * 9}[kind])
    refused(exported, tmp_path, f"{name}: damaged (its content does not match its record)")


@pytest.mark.parametrize("name", [*TABLES, "weights.safetensors"])
@pytest.mark.parametrize("kind", ["cut", "empty", "foreign"])
def test_a_damaged_file_without_a_record_stops_the_import(exported, tmp_path, name, kind):
    path = exported / RUNS[0].hash / name
    without_records(path.parent)
    path.write_bytes({"cut": path.read_bytes()[:-1], "empty": b"", "foreign": b"PAR1" * 9}[kind])
    refused(exported, tmp_path, f"{name}: not {'a table' if name in TABLES else 'safetensors'}")


# ---- with the network and the images ----


@pytest.fixture
def at_hand(dirs):
    """What the command line gives: the network of a run, and the data set."""

    def network(run):
        return models.build(run.settings.model, 4, (3, 12, 12))

    return {"network_of": network, "dataset_of": lambda name, source: dirs[name]}


def test_there_and_back_with_network_and_images(exported, tmp_path, at_hand):
    assert set(import_runs(exported, tmp_path / "new", synthetic=True, **at_hand).values()) == {"imported"}


def test_a_run_trained_in_bfloat16_is_evaluated_in_float32_and_taken(dirs, tmp_path, at_hand):
    runs = [tiny_run(optimizer__lr=lr) for lr in (1e-6, 0.01)]
    train(runs, dataset_dirs=dirs, cache=tmp_path / "gpu", device="cpu", precision="bfloat16")
    evaluate(runs, dirs, tmp_path / "gpu", device="cpu")
    exported_before(tmp_path / "gpu", runs, tmp_path / "out")
    states = import_runs(tmp_path / "out", tmp_path / "mine", synthetic=True, **at_hand)
    assert set(states.values()) == {"imported"}


def test_other_images_than_those_at_hand_are_not_compared(exported, tmp_path, at_hand):
    """Another draw of synthetic images says nothing about the run."""
    other = write_dataset(tmp_path / "other", train=20, test=10)
    edit_dataset(
        other,
        splits={"train": {"images": 20, "digest": "1" * 64}, "test": {"images": 10, "digest": "1" * 64}},
    )
    dataset_of = {"dataset_of": lambda name, source: other}
    assert set(
        import_runs(exported, tmp_path / "new", synthetic=True, **{**at_hand, **dataset_of}).values()
    ) == {"imported"}


def edit_weights(change):
    def damage(folder):
        weights = load_file(folder / "weights.safetensors")
        change(weights)
        save_file(weights, folder / "weights.safetensors", {"run": folder.name})
        record_run(folder)

    return damage


def scaled_loss(factor):
    def change(table):
        table.loc[table["metric"] == "loss", "value"] *= factor

    return edit_table("final.parquet", change)


def shuffled(*columns):
    """The rows of these columns belong to other images: all metrics stay."""
    return edit_table(
        "predictions.parquet",
        lambda table: table.assign(**{name: np.roll(table[name], 7) for name in columns}),
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            edit_weights(lambda weights: weights.update({"0_conv.bias": torch.zeros(5)})),
            "weights.safetensors: 0_conv.bias is float32 (5,), in the run's network it is float32 (4,)",
        ),
        (
            edit_weights(lambda weights: weights.update({"0_conv.bias": weights["0_conv.bias"].double()})),
            "weights.safetensors: 0_conv.bias is float64 (4,), in the run's network it is float32 (4,)",
        ),
        (
            edit_weights(lambda weights: weights.pop("0_conv.bias")),
            "weights.safetensors: 0_conv.bias is absent, in the run's network",
        ),
        (
            edit_weights(lambda weights: weights.update(extra=torch.zeros(1))),
            "weights.safetensors: extra is float32 (1,), in the run's",
        ),
        (
            edit_weights(
                lambda weights: weights.update({"3_dense.weight": weights["3_dense.weight"].flip(0)})
            ),
            "predictions.parquet: the weights do not predict what it says, for image ",
        ),
        (
            edit_weights(
                lambda weights: weights.update({name: value * math.nan for name, value in weights.items()})
            ),
            "weights.safetensors: gives values that are not finite, though the loss is ",
        ),
        (
            edit_weights(
                lambda weights: weights.update({name: value * math.inf for name, value in weights.items()})
            ),
            "weights.safetensors: gives values that are not finite, though the loss is ",
        ),
        (
            edit_weights(
                lambda weights: weights.update({name: value * 0 for name, value in weights.items()})
            ),
            "predictions.parquet: the weights do not predict what it says, for image ",
        ),
        (
            edit_weights(
                lambda weights: weights.update(
                    {name: value.flip(0) * 1e-6 for name, value in weights.items()}
                )
            ),
            "predictions.parquet: the weights do not predict what it says, for image ",
        ),
        (scaled_loss(0.95), "final.parquet: loss is "),
        (scaled_loss(1.05), "final.parquet: loss is "),
        (
            shuffled("label", "predicted"),
            "predictions.parquet: its images and labels are not those of the test images at hand",
        ),
        (
            lambda folder: (
                edit_json(lambda document: document["meta"].update(parameters=515))(folder),
                final("parameters", 515)(folder),
            ),
            "run.json: says that its network has 515 parameters; it has 516",
        ),
        (
            final("parameters.0_conv", 111),
            "final.parquet: its numbers of parameters are not those of the run's network",
        ),
        (
            lambda folder: (
                without_plain(folder),
                edit_json(lambda document: document["meta"].update(train_images=149))(folder),
                final("train_images", 149)(folder),
            ),
            "run.json: says train_images 149, the data set at hand gives 150",
        ),
        (edit_meta(channel_mean=[0.1, 0.2, 0.3]), "final.parquet: channel_mean.red is None"),
    ],
)
def test_what_network_and_images_say_otherwise(exported, tmp_path, at_hand, damage, message):
    damage(exported / RUNS[0].hash)
    refused(exported, tmp_path, message, **at_hand)


def test_permuted_predictions(exported, tmp_path, at_hand):
    """Of two images with the same label, so that accuracy, precision, recall and F1 stay."""

    def swap(table):
        same = table[table["label"] == table.loc[0, "label"]]
        other = same[same["predicted"] != table.loc[0, "predicted"]].index[0]
        table.loc[[0, other], "predicted"] = table.loc[[other, 0], "predicted"].to_numpy()

    edit_table("predictions.parquet", swap)(exported / RUNS[0].hash)
    refused(
        exported,
        tmp_path,
        "predictions.parquet: the weights do not predict what it says, for image 0 to begin with",
        **at_hand,
    )


def test_a_network_that_cannot_be_built(exported, tmp_path):
    def network(run):
        raise TypeError("no\nnetwork")

    refused(exported, tmp_path, "run.json: its network cannot be built (no network)", network_of=network)


def test_runs_of_the_other_source_are_refused(exported, tmp_path):
    with pytest.raises(
        RepriseError, match="is of synthetic images, this scale is for real ones; import it with --scale demo"
    ):
        import_runs(exported, tmp_path / "new", synthetic=False)
    assert not (tmp_path / "new").exists()


def test_a_refused_entry_is_named_by_its_run_and_not_by_a_folder_that_is_gone(cache, tmp_path):
    name = RUNS[0].hash
    export_runs(cache, [name], tmp_path / "out")
    caches = Caches([str(tmp_path / "out")], tmp_path / "copies")
    with pytest.raises(RepriseError, match=f"^run {name}: is of synthetic images"):
        import_entries(caches, caches.every(), tmp_path / "new", synthetic=False)

    def network_of(run):
        raise ValueError("none")

    with pytest.raises(RepriseError, match=f"^run {name}/run.json: its network cannot be built"):
        import_entries(caches, caches.every(), tmp_path / "new", synthetic=True, network_of=network_of)
    assert not (tmp_path / "new").exists()


def test_another_device_may_predict_a_few_images_differently(exported, tmp_path):
    """One image of 60 in the history of the run whose test set validates; its best epoch stays the best."""
    folder = exported / RUNS[0].hash
    history = pd.read_parquet(folder / "history.parquet")
    edit_table("history.parquet", put("accuracy", history["accuracy"][5] + 1 / 60, 5))(folder)
    assert import_runs(exported, tmp_path / "new", synthetic=True)[RUNS[0].hash] == "imported"


def test_what_killed_processes_have_left_does_not_travel(cache, tmp_path):
    """From neither folder; the next process that writes there removes it."""
    shutil.copytree(cache, tmp_path / "runs")
    name = RUNS[0].hash
    left = f".{{}}.{files._host()}-4194305-1.abcdefgh.partial"
    (tmp_path / "runs" / name / f"{left.format('run.json')}.json").write_text("half")
    (tmp_path / "runs" / name / "checkpoint.pt").write_bytes(b"half")
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / f"{left.format(name + '-12345678.json.xz')}.xz").write_text("half")
    export_runs(tmp_path / "runs", [name], tmp_path / "out", weights=True)
    found = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(str(path.parent) for path in found) == [".", "runs", "tests", "weights"]
    assert len((tmp_path / "out" / "SHA256SUMS").read_text().splitlines()) == 3
    caches = Caches([str(tmp_path / "out")], tmp_path / "copies")
    import_entries(caches, caches.every(), tmp_path / "new", synthetic=True)
    assert sorted(path.name for path in (tmp_path / "new" / name).iterdir()) == FILES


def test_a_link_is_refused(exported, tmp_path):
    path = exported / RUNS[0].hash / "weights.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepriseError, match=r"weights.safetensors: is a link"):
        import_runs(exported, tmp_path / "new", synthetic=True)


def test_a_folder_that_is_a_link_to_another_run_is_not_written_to(cache, exported, tmp_path):
    import_runs(exported, tmp_path / "new", synthetic=True)
    linked, other = (tmp_path / "new" / run.hash for run in RUNS[:2])
    shutil.rmtree(linked)
    linked.symlink_to(other)
    with pytest.raises(RepriseError, match=r"a link to .*, which is not this run's; delete the link"):
        import_runs(exported, tmp_path / "new", synthetic=True)
    for file in FILES:
        assert (other / file).read_bytes() == (cache / other.name / file).read_bytes()


def test_a_run_cut_short_is_refused(exported, tmp_path):
    """The first two of three epochs, with everything else made to agree."""
    folder = exported / RUNS[0].hash
    for file in ("final.parquet", "predictions.parquet"):
        (folder / file).unlink()
    edit_table("history.parquet", lambda table: table[table["epoch"] <= 2])(folder)
    edit_meta(epochs=2, selected_epoch=2)(folder)
    with pytest.raises(RepriseError, match="ends after 2 of 3 epochs without a rule that stops it there"):
        import_runs(exported, tmp_path / "new", synthetic=True)


@pytest.mark.parametrize("name", ["{run} (copy)", "{run}.bak", "old", "mine", "Kopie von {run}", "{run}-2"])
def test_folders_beside_the_runs_are_left_out(exported, tmp_path, name, capsys):
    """Copies that somebody kept, in a folder that the user may not tidy up."""
    name = name.format(run=RUNS[0].hash)
    if name == "old":
        (exported / name).mkdir()
    else:
        shutil.copytree(exported / RUNS[0].hash, exported / name)
    states = import_runs(exported, tmp_path / "new", synthetic=True)
    assert set(states) == {run.hash for run in RUNS}
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(states)
    assert f"{exported}: left out, because no run has such a name: {name}" in capsys.readouterr().err


def test_a_run_in_a_folder_of_another_name_alone(exported, tmp_path):
    (exported / RUNS[0].hash).rename(tmp_path / "mine")
    shutil.rmtree(exported)
    exported.mkdir()
    (tmp_path / "mine").rename(exported / "mine")
    refused(exported, tmp_path, "its folder is mine")


def test_empty_folders_and_missing_runs(cache, tmp_path):
    with pytest.raises(RepriseError, match="holds no exported run; give the folder that export wrote"):
        import_runs(tmp_path, tmp_path / "new", synthetic=True)
    with pytest.raises(RepriseError, match=r"run 000000000000: no result in .*; train it first"):
        export_runs(cache, [RUNS[0].hash, "0" * 12], tmp_path / "out")
    for path in (f"../{cache.name}/{RUNS[0].hash}", f"{RUNS[0].hash}/", f"./{RUNS[0].hash}", "..", ".", ""):
        with pytest.raises(RepriseError, match=f"^run {path}: no result in .*; train it first"):
            export_runs(cache, [path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_refuses_a_damaged_run(cache, tmp_path):
    shutil.copytree(cache, tmp_path / "runs")
    edit_table("final.parquet", put("value", 0.99))(tmp_path / "runs" / RUNS[1].hash)
    with pytest.raises(RepriseError, match=r"final.parquet: accuracy is 0.99"):
        export_runs(tmp_path / "runs", [run.hash for run in RUNS], tmp_path / "out")
    assert not (tmp_path / "out").exists()
