import io
import json
import re

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from reprise import models
from reprise.errors import RepriseError
from reprise.models.pretrained import TransferNetwork
from reprise.progress import progress
from reprise.reports.run import ENGINE, digest
from reprise.training import engine, feed, parts, reporting
from reprise.training.engine import train
from reprise.training.preconditions import parents_first
from reprise.training.seeds import derive
from reprise.training.session import choose_device
from tiny import edit_dataset, everything, record_run, tiny_run, without_records, write_dataset


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": write_dataset(tmp_path_factory.mktemp("data"))}


@pytest.fixture
def go(dirs, tmp_path):
    """Train runs in a fresh cache: history of the last run, and its folder."""

    def go(*runs, cache=tmp_path, **options):
        outcomes = train(runs, dataset_dirs=dirs, cache=cache, device="cpu", **options)
        return outcomes, cache / runs[-1].hash

    return go


def history(folder):
    return pd.read_parquet(folder / "history.parquet")


def weights_equal(one, other):
    one, other = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---- results ----


def test_results_of_a_run(go):
    run = everything()
    (outcome,), folder = go(run)
    document = json.loads((folder / "run.json").read_text())
    meta = document["meta"]
    assert document["run"] == run.hash == digest(document["spec"])
    assert outcome.trained
    assert outcome.meta == meta
    expected = {
        "engine": ENGINE,
        "dtype": "float32",
        "epochs": 5,
        "stopped": "finished",
        "source": "synthetic",
        "parameters": 964,
    }
    expected |= {
        "train_images": 120,
        "validation_images": 30,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    assert expected.items() <= meta.items()
    assert meta["learning_rates"] == [0.02, 0.02, 0.01, 0.01, 0.005]
    assert meta["started"] <= meta["finished"]
    table = history(folder)
    assert list(table.columns) == ["run", "epoch", "split", "loss", "accuracy"]
    assert list(table["split"]) == ["train", "validation"] * 5
    assert list(table["epoch"]) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert set(table["run"]) == {run.hash}
    best = table[table["split"] == "validation"].set_index("epoch")["accuracy"].idxmax()
    assert meta["selected_epoch"] == best
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "history.parquet",
        "run.json",
        "weights.safetensors",
    ]


def test_selected_weights_are_those_of_the_selected_epoch(go, dirs):
    run = everything()
    (outcome,), folder = go(run)
    assert outcome.meta["selected_epoch"] < 5, "choose a run whose best epoch is not its last"
    data = parts.Datasets(dirs, torch.device("cpu")).of(run)
    model = models.build(run.settings.model, 4, (3, 12, 12))
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    _, accuracy = engine.evaluate(model, data.validation, data.preprocess, data.evaluation_batch)
    assert accuracy == history(folder).query("split == 'validation'")["accuracy"].max()


def test_training_values_are_means_over_the_images_of_all_batches(go):
    seen = []
    _, folder = go(tiny_run(training__epochs=1), on_step=lambda epoch, step, loss: seen.append(loss.item()))
    counts = [32, 32, 32, 32, 22]
    expected = sum(loss * count for loss, count in zip(seen, counts, strict=True)) / 150
    assert history(folder)["loss"][0] == pytest.approx(expected, rel=1e-6)


def test_drop_last_leaves_the_partial_batch_out(go):
    steps = []
    go(tiny_run(training__drop_last=True), on_step=lambda epoch, step, loss: steps.append((epoch, step)))
    assert steps == [(epoch, step) for epoch in (1, 2, 3) for step in range(4)]


def test_a_part_held_out_is_not_trained_on(dirs):
    data = parts.Datasets(dirs, torch.device("cpu")).of(everything())
    assert not set(data.train.indices.tolist()) & set(data.validation.indices.tolist())
    assert len(data.train) + len(data.validation) == 150
    assert data.validation_split == "validation"


def test_normalisation_by_the_training_part_alone(dirs):
    data = parts.Datasets(dirs, torch.device("cpu")).of(everything())
    pixels = data.train.inputs[data.train.indices].double() / 255
    torch.testing.assert_close(data.preprocess.mean.flatten(), pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(data.preprocess.std.flatten(), pixels.std((0, 2, 3), correction=0).float())


def test_classes_and_labels(dirs):
    datasets = parts.Datasets(dirs, torch.device("cpu"))
    two = datasets.of(
        tiny_run(
            dataset={
                "name": "cifar10",
                "labels": "fine",
                "classes": ["blue", "red"],
                "per_class": 5,
                "source": "synthetic",
            }
        )
    )
    assert two.classes == ("blue", "red")
    assert two.train.truth.bincount().tolist() == [5, 5]
    coarse = datasets.of(tiny_run(dataset__labels="coarse"))
    assert coarse.classes == ("warm", "cold")
    assert len(coarse.train) == 150


# ---- seeds ----


def test_one_seed_gives_one_result(go, tmp_path):
    run = everything()
    _, one = go(run, cache=tmp_path / "one")
    _, two = go(tiny_run(), run, cache=tmp_path / "two")  # whatever was trained before in the same process
    pd.testing.assert_frame_equal(history(one), history(two), check_exact=True)
    assert weights_equal(one, two)


@pytest.mark.parametrize("seed", ["split", "init", "order", "augmentation"])
def test_each_seed_matters(go, seed):
    _, one = go(everything())
    _, two = go(everything(**{f"seeds__{seed}": 1}))
    assert not history(one)["loss"].equals(history(two)["loss"])


def test_streams_are_independent():
    seeds = {
        derive(seed, purpose, epoch)
        for seed in range(20)
        for purpose in ("order", "augmentation", "dropout")
        for epoch in range(20)
    }
    assert len(seeds) == 1200
    assert derive(0, "order", 1) == 1545196177657846902, (
        "the derivation of seeds is part of what ENGINE stands for"
    )


def test_the_callers_random_state_and_settings_stay(go):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = []
    go(
        tiny_run(training__epochs=1),
        threads=2,
        exact_threads=True,
        on_step=lambda epoch, step, loss: threads.append(torch.get_num_threads()),
    )
    assert set(threads) == {2}
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == 1
    assert not torch.are_deterministic_algorithms_enabled()


# ---- early stop, schedules ----


def test_early_stop(go):
    (outcome,), folder = go(
        tiny_run(
            training__epochs=50, training__early_stop={"monitor": "accuracy", "patience": 3, "min_epochs": 5}
        )
    )
    values = history(folder).query("split == 'test'")["accuracy"].tolist()
    assert outcome.meta["stopped"] == "early stop"
    assert 5 <= len(values) == outcome.meta["epochs"] < 50
    assert values.index(max(values)) == len(values) - 4


def test_plateau_follows_the_validation_loss(go):
    run = tiny_run(
        optimizer__lr=0.5, schedule={"name": "plateau", "factor": 0.1, "patience": 0}, training__epochs=8
    )
    (outcome,), folder = go(run)
    losses = history(folder).query("split == 'test'")["loss"].tolist()
    rate, best, expected = 0.5, float("inf"), []
    for loss in losses:
        expected.append(rate)
        rate, best = (rate, loss) if loss < best * (1 - 1e-4) else (rate * 0.1, best)
    assert len(set(expected)) > 1, "choose a run whose loss rises"
    assert outcome.meta["learning_rates"] == pytest.approx(expected)


# ---- a list of runs ----


def test_data_is_loaded_once(go, monkeypatch):
    loads = []
    monkeypatch.setattr(parts, "load", lambda *folder, load=parts.load: loads.append(folder) or load(*folder))
    go(tiny_run(), everything(), tiny_run(seeds__init=1))
    assert len(loads) == 1


def test_finished_runs_are_skipped_and_reported(go):
    run, told = tiny_run(), []
    go(run)
    outcomes, _ = go(tiny_run(seeds__init=1), run, run, on_finished=lambda run: told.append(run.hash))
    assert [(outcome.run.hash, outcome.trained) for outcome in outcomes] == [
        (tiny_run(seeds__init=1).hash, True),
        (run.hash, False),
    ]
    assert told == [outcome.run.hash for outcome in outcomes]


@pytest.mark.parametrize("damage", ["", "{", '{"run": "x"}', '{"run": 1, "spec": {}, "meta": {}}'])
def test_a_damaged_result_is_made_again(go, damage):
    _, folder = go(tiny_run())
    expected = history(folder)
    (folder / "run.json").write_text(damage)
    (folder / "final.parquet").write_text("an older evaluation")
    (outcome,), _ = go(tiny_run())
    assert outcome.trained
    pd.testing.assert_frame_equal(history(folder), expected)
    assert not (folder / "final.parquet").exists()


def truncated(path):
    path.write_bytes(path.read_bytes()[:-50])


def of_another_run(path):
    save_file(load_file(path), path, {"run": "0" * 12})


@pytest.mark.parametrize(
    ("damage", "file", "reason"),
    [
        (truncated, "history.parquet", r"damaged \(its content does not match its record\)"),
        (truncated, "weights.safetensors", r"damaged \(its content does not match its record\)"),
        (of_another_run, "weights.safetensors", r"damaged \(its content does not match its record\)"),
        (lambda path: path.unlink(), "weights.safetensors", "not found"),
    ],
)
def test_a_damaged_file_of_a_result_is_made_again(go, capsys, damage, file, reason):
    run = tiny_run()
    _, folder = go(run)
    expected = history(folder)
    damage(folder / file)
    capsys.readouterr()
    (outcome,), _ = go(run)
    assert outcome.trained
    pd.testing.assert_frame_equal(history(folder), expected)
    lines = [line for line in capsys.readouterr().err.splitlines() if "starts again" in line]
    assert len(lines) == 1
    assert re.match(rf"reprise: run {run.hash} starts again \(.*{file}: {reason}\)$", lines[0])


def other_loss(path):
    table = history(path.parent)
    table.loc[1, "loss"] = 0.01
    table.to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("damage", "file", "reason"),
    [
        (truncated, "history.parquet", "not a table"),
        (other_loss, "history.parquet", "has losses that are too small for their accuracies"),
        (truncated, "weights.safetensors", "not safetensors"),
        (of_another_run, "weights.safetensors", "is of run 000000000000"),
        (lambda path: path.unlink(), "weights.safetensors", "not found"),
    ],
)
def test_a_result_without_a_record_that_cannot_be_read_is_made_again(go, capsys, damage, file, reason):
    run = tiny_run()
    _, folder = go(run)
    expected = history(folder)
    without_records(folder)
    damage(folder / file)
    capsys.readouterr()
    (outcome,), _ = go(run)
    assert outcome.trained
    pd.testing.assert_frame_equal(history(folder), expected)
    lines = [line for line in capsys.readouterr().err.splitlines() if "starts again" in line]
    assert len(lines) == 1
    assert re.match(rf"reprise: run {run.hash} starts again \(.*{file}: {reason}", lines[0])


def test_a_result_that_may_not_be_read_is_not_made_again(go, monkeypatch):
    run = tiny_run(training__epochs=1)
    _, folder = go(run)

    def refuse(file, algorithm):
        raise PermissionError(13, "Permission denied", file.name)

    write = (folder / "history.parquet").read_bytes()
    (folder / "history.parquet").write_bytes(write)  # a file that this process has not read yet
    monkeypatch.setattr("hashlib.file_digest", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .*history.parquet"):
        go(run)
    assert (folder / "run.json").exists()


def test_a_result_without_a_record_that_may_not_be_read_is_not_made_again(go, monkeypatch):
    run = tiny_run(training__epochs=1)
    _, folder = go(run)
    without_records(folder)

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pyarrow.parquet.ParquetFile", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .*history.parquet"):
        go(run)
    assert (folder / "run.json").exists()


def test_a_result_without_a_record_gets_one(go, capsys):
    run = tiny_run()
    _, folder = go(run)
    expected = (folder / "run.json").read_text()
    without_records(folder)
    capsys.readouterr()
    (outcome,), _ = go(run)
    assert not outcome.trained
    assert (folder / "run.json").read_text() == expected
    says = (
        f"{folder}: of an earlier version, accepted as it is; a record of its content is written, and "
        "checked from now on"
    )
    assert f"reprise: {says}" in capsys.readouterr().err.splitlines()
    go(run)
    assert "earlier version" not in capsys.readouterr().err


def redraw(folder):
    splits = json.loads((folder / "dataset.json").read_text())["splits"]
    edit_dataset(folder, splits={**splits, "train": {**splits["train"], "digest": "1" * 64}})


def test_runs_on_images_that_were_drawn_anew_are_trained_again(tmp_path, capsys):
    run, folder = tiny_run(training__epochs=1), write_dataset(tmp_path / "data")
    arguments = {"dataset_dirs": {"cifar10": folder}, "cache": tmp_path / "runs", "device": "cpu"}
    (outcome,) = train([run], **arguments)
    assert outcome.meta["data"] == {"train": "0" * 64, "test": "0" * 64}
    redraw(folder)
    capsys.readouterr()
    (outcome,) = train([run], **arguments)
    assert outcome.trained
    assert outcome.meta["data"]["train"] == "1" * 64
    assert (
        f"run {run.hash} starts again (run {run.hash} was trained on other images than"
        in capsys.readouterr().err
    )
    (outcome,) = train([run], **arguments)
    assert not outcome.trained


def test_results_that_do_not_say_their_images_and_results_without_data_stay(tmp_path):
    run, folder = tiny_run(training__epochs=1), write_dataset(tmp_path / "data")
    train([run], dataset_dirs={"cifar10": folder}, cache=tmp_path / "runs", device="cpu")
    for gone in (tmp_path / "nowhere", folder):
        (outcome,) = train([run], dataset_dirs={"cifar10": gone}, cache=tmp_path / "runs", device="cpu")
        assert not outcome.trained
    record_run(tmp_path / "runs" / run.hash, lambda document: document["meta"].pop("data"))
    redraw(folder)
    (outcome,) = train([run], dataset_dirs={"cifar10": folder}, cache=tmp_path / "runs", device="cpu")
    assert not outcome.trained


def test_pretrained_weights_that_are_missing_stop_all_before_any_run(go, tmp_path):
    model = {"name": "torchvision", "arch": "vgg16", "weights": "imagenet"}
    with pytest.raises(
        RepriseError, match=r"vgg16-397923af.pth: not found; run python -m reprise data fetch-weights vgg16"
    ):
        go(tiny_run(), tiny_run(model=model), weights_dir=tmp_path)
    assert not (tmp_path / tiny_run().hash).exists()


def test_what_torch_cannot_train_fails_alone(go, tmp_path, capsys):
    """Batch normalisation of a last batch of one image."""
    layers = [{"flatten": True}, {"dense": 4}, {"batch_norm": True}, {"dense": "classes"}]
    bad, good = tiny_run(model__layers=layers, training__batch_size=149), tiny_run()
    with pytest.raises(
        RepriseError, match=rf"^run {bad.hash}: .*[Ee]xpected more than 1 value per channel when training"
    ) as error:
        go(bad, good)
    assert "\n" not in str(error.value)
    assert (tmp_path / good.hash / "run.json").exists()


def test_a_diverging_run_fails_alone(go, tmp_path, capsys):
    good, bad = tiny_run(), tiny_run(optimizer={"name": "sgd", "lr": 1e30})
    with pytest.raises(
        RepriseError,
        match=rf"run {bad.hash}: the loss became (nan|inf) in epoch 1; lower optimizer.lr \(now 1e\+30\)$",
    ):
        go(bad, good)
    assert not (tmp_path / bad.hash / "run.json").exists()
    assert not (tmp_path / bad.hash / "history.parquet").exists()
    assert (tmp_path / good.hash / "run.json").exists()
    assert f"reprise: run {bad.hash}: the loss became" in capsys.readouterr().err


def test_several_failures_are_all_named(go):
    bad = [tiny_run(optimizer={"name": "sgd", "lr": rate}) for rate in (1e30, 1e29)]
    with pytest.raises(RepriseError, match=re.escape(f"; 2 of 3 runs failed: {bad[0].hash}, {bad[1].hash}")):
        go(*bad, tiny_run())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training__batch_size": 151, "training__drop_last": True},
            "training.batch_size 151 is more than the 150 training images",
        ),
        ({"optimizer__name": "adma"}, "no optimiser adma; did you mean adam?"),
        ({"schedule": {"name": "stp"}}, "no schedule stp; did you mean step?"),
        ({"augmentation": [{"filp": 0.5}]}, "unknown augmentation 'filp'; did you mean flip?"),
        (
            {"preprocess": {"normalize": "hlf"}},
            "preprocess.normalize: 'hlf' is not valid; did you mean half?",
        ),
        (
            {"training__select": "best"},
            "training.select: 'best' is not valid; did you mean best_accuracy or best_loss?",
        ),
        ({"model": {"name": "sequentail"}}, "did you mean sequential?"),
    ],
)
def test_mistakes_are_one_line(go, changes, message):
    run = tiny_run(**changes)
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        go(run)
    assert str(error.value).startswith(f"run {run.hash}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset__source": "real"}, "holds synthetic images, the run is for real ones"),
        ({"dataset__name": "cifar100"}, "data set cifar100: its folder is not given; known: cifar10"),
    ],
)
def test_data_that_is_not_there_stops_all_before_any_run(go, tmp_path, changes, message):
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        go(tiny_run(), tiny_run(**changes))
    assert "\n" not in str(error.value)
    assert not (tmp_path / tiny_run().hash / "run.json").exists()


def test_unknown_device():
    with pytest.raises(RepriseError, match="device 'gpu' is not known; valid: auto, cpu, cuda"):
        choose_device("gpu")
    with pytest.raises(RepriseError, match="device 'cuda:99': torch sees"):
        choose_device("cuda:99")


def test_the_log_has_plain_lines(go, capsys):
    run = everything()
    go(run)
    begins, line, *_ = capsys.readouterr().err.splitlines()
    assert begins == f"run {run.hash} (1/1) begins"
    number = r"\d+\.\d+"
    values = f"train loss {number} accuracy {number} validation loss {number} accuracy {number}"
    assert re.fullmatch(rf"run {run.hash} \(1/1\) epoch 1/5 {values} {number} s", line)


def test_the_log_sums_up_each_run_and_says_how_much_is_left(go, capsys):
    runs = [tiny_run(seeds__init=seed) for seed in range(4)]
    go(*runs[:2])
    capsys.readouterr()
    outcomes, folder = go(*runs)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "reprise: 2 of 4 runs were there already"
    done = [line for line in lines if " done: " in line]
    best = outcomes[3].meta["selected_epoch"]
    accuracy = history(folder).query(f"split == 'test' and epoch == {best}")["accuracy"].iloc[0]
    assert re.fullmatch(
        rf"run {runs[2].hash} \(3/4\) done: accuracy 0\.\d+ at epoch \d, 3 epochs, \d+ s; about \d+ s left",
        done[0],
    )
    assert re.fullmatch(
        rf"run {runs[3].hash} \(4/4\) done: accuracy {accuracy:.3f} at epoch {best}, 3 epochs, \d+ s", done[1]
    )
    assert len(done) == 2
    go(*runs)
    assert capsys.readouterr().err == "reprise: 4 of 4 runs were there already\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_one_bar_over_all_epochs(go, monkeypatch):
    screen, bars = Terminal(), []
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(reporting, "progress", lambda **options: bars.append(progress(**options)) or bars[0])
    early = tiny_run(training__epochs=50, training__early_stop={"monitor": "accuracy", "patience": 2})
    go(tiny_run())
    bars.clear()
    (_, stopped, _), _ = go(tiny_run(), early, tiny_run(seeds__init=1))
    assert bars[0].n == bars[0].total == 3 + stopped.meta["epochs"], (
        "the first run was there already, the second stopped early"
    )
    assert f"run {early.hash} (2/3) epoch" in screen.getvalue()


# ---- initial weights ----


LINEAR = [{"flatten": True}, {"dense": "classes"}]


def child(parent, **changes):
    return tiny_run(
        **{"initial_weights": {"run": parent.hash}, "optimizer__lr": 1e-9, "training__epochs": 1, **changes}
    )


def test_initial_weights_are_the_parents_selected_ones(go):
    parent = tiny_run()
    run = child(parent)
    outcomes, folder = go(run, parent)  # in the wrong order
    assert [outcome.run.hash for outcome in outcomes] == [parent.hash, run.hash]
    best = history(folder.parent / parent.hash).query("split == 'test'")["accuracy"].max()
    assert history(folder)["accuracy"].iloc[-1] == best


def test_dropped_weights_stay_as_initialised(go):
    parent = tiny_run()
    run = child(parent, initial_weights={"run": parent.hash, "drop": ["3_dense"]}, dataset__labels="coarse")
    _, folder = go(parent, run)
    ours, theirs = (load_file(path / "weights.safetensors") for path in (folder, folder.parent / parent.hash))
    torch.testing.assert_close(ours["0_conv.weight"], theirs["0_conv.weight"], atol=1e-6, rtol=0)
    assert ours["3_dense.weight"].shape == (2, 100)
    torch.manual_seed(derive(0, "init"))
    fresh = models.build(run.settings.model, 2, (3, 12, 12)).state_dict()
    torch.testing.assert_close(ours["3_dense.weight"], fresh["3_dense.weight"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset__labels": "coarse"},
            "3_dense.weight is (4, 100) in run {parent} and (2, 100) in this run",
        ),
        ({"model__layers": LINEAR}, "1_dense.weight is absent in run {parent} and (4, 432) in this run"),
        (
            {"model__layers": LINEAR, "initial_weights__drop": ["1_"]},
            "0_conv.bias is (4,) in run {parent} and absent in this run",
        ),
    ],
)
def test_initial_weights_that_do_not_fit(go, changes, message):
    parent = tiny_run()
    with pytest.raises(RepriseError, match=re.escape(message.format(parent=parent.hash))):
        go(parent, child(parent, **changes))


def test_initial_weights_that_are_missing(go, tmp_path):
    parent = tiny_run()
    with pytest.raises(
        RepriseError, match=f"follows run {parent.hash}, which has no result in .*; train it first"
    ):
        go(child(parent))
    go(parent)
    (tmp_path / parent.hash / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(
        RepriseError, match=r"weights.safetensors: damaged .*; delete the run's folder and train it again"
    ):
        go(child(parent))


def test_parents_first_keeps_the_order_otherwise():
    a, b = tiny_run(), tiny_run(seeds__init=1)
    c = child(b)
    d = child(c)
    assert [run.hash for run in parents_first([d, a, b, a])] == [d.hash, a.hash, b.hash]
    assert [run.hash for run in parents_first([d, c, a, b])] == [run.hash for run in (b, c, d, a)]


# ---- frozen networks ----


def frozen_run(**changes):
    head = [{"dense": 8, "activation": "relu"}, {"dropout": 0.5}, {"dense": "classes"}]
    model = {
        "name": "torchvision",
        "arch": "mobilenet_v3_small",
        "weights": "random",
        "trainable": "head",
        "head": head,
    }
    return tiny_run(**{"model": model, "preprocess": {"normalize": "imagenet", "resize": 32}, **changes})


def test_features_of_a_frozen_network_are_computed_once(go, tmp_path, monkeypatch):
    passes = []
    forward = TransferNetwork.forward
    monkeypatch.setattr(
        TransferNetwork, "forward", lambda self, images: passes.append(len(images)) or forward(self, images)
    )
    _, cached = go(frozen_run(), cache=tmp_path / "cached")
    assert not passes
    monkeypatch.setattr(TransferNetwork, "frozen_features", None)
    _, whole = go(frozen_run(), cache=tmp_path / "whole")
    assert sum(passes) == 3 * (150 + 60)
    pd.testing.assert_frame_equal(history(cached), history(whole), atol=1e-6, rtol=0)
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (cached, whole))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-6, rtol=0)


def test_augmented_images_go_through_the_whole_network(go, monkeypatch):
    monkeypatch.setattr(
        feed, "compute_features", lambda *arguments: pytest.fail("features of images that change")
    )
    (outcome,), _ = go(frozen_run(augmentation=[{"flip": 0.5}], training__epochs=1))
    assert outcome.trained
