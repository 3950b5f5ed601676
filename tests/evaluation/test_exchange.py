import json
import re
import shutil

import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.evaluation import evaluate, export_runs, import_runs
from reprise.training.engine import train
from tiny import everything, tiny_run, write_dataset

RUNS = [tiny_run(), everything(), tiny_run(training__epochs=40, training__early_stop={"monitor": "loss", "patience": 1}, optimizer__lr=0.5)]
FILES = ["final.parquet", "history.parquet", "predictions.parquet", "run.json", "weights.safetensors"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    dirs = {"cifar10": write_dataset(folder / "data")}
    train(RUNS, dataset_dirs=dirs, cache=folder / "runs", device="cpu")
    evaluate(RUNS, dirs, folder / "runs", device="cpu")
    assert json.loads((folder / "runs" / RUNS[2].hash / "run.json").read_text())["meta"]["stopped"] == "early stop"
    return folder / "runs"


@pytest.fixture
def exported(cache, tmp_path):
    export_runs(cache, [run.hash for run in RUNS], tmp_path / "out")
    return tmp_path / "out"


def test_there_and_back(cache, exported, tmp_path):
    hashes = sorted(run.hash for run in RUNS)
    assert import_runs(exported, tmp_path / "new", synthetic=True) == dict.fromkeys(hashes, "imported")
    for name in hashes:
        assert sorted(path.name for path in (tmp_path / "new" / name).iterdir()) == FILES
        for file in FILES:
            assert (tmp_path / "new" / name / file).read_bytes() == (cache / name / file).read_bytes()


def test_an_existing_run_is_kept(exported, tmp_path):
    import_runs(exported, tmp_path / "new", synthetic=True)
    name = RUNS[0].hash
    mine = tmp_path / "new" / name / "run.json"
    edit_meta(seconds=1)(mine.parent)
    before = mine.read_text()
    expected = {run.hash: "kept" if run.hash == name else "identical" for run in RUNS}
    assert import_runs(exported, tmp_path / "new", synthetic=True) == expected
    assert mine.read_text() == before


def test_without_evaluation_and_weights(exported, tmp_path):
    folder = exported / RUNS[0].hash
    for file in ("final.parquet", "predictions.parquet", "weights.safetensors"):
        (folder / file).unlink()
    assert import_runs(exported, tmp_path / "new", synthetic=True)[RUNS[0].hash] == "imported"
    assert sorted(path.name for path in (tmp_path / "new" / RUNS[0].hash).iterdir()) == ["history.parquet", "run.json"]


def edit_json(change):
    def damage(folder):
        document = json.loads((folder / "run.json").read_text())
        change(document)
        (folder / "run.json").write_text(json.dumps(document))

    return damage


def edit_meta(**values):
    return edit_json(lambda document: document["meta"].update(values))


def edit_table(name, change):
    def damage(folder):
        table = pd.read_parquet(folder / name)
        changed = change(table)
        (table if changed is None else changed).to_parquet(folder / name, index=False)

    return damage


def put(column, value, row=0):
    return lambda table: table.__setitem__(column, table[column].where(table.index != row, value))


def other_prediction(table):
    table.loc[0, "predicted"] = (table.loc[0, "label"] + (table.loc[0, "predicted"] == table.loc[0, "label"])) % 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no exported run (no run.json)"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json: not valid JSON"),
        (lambda folder: (folder / "run.json").write_text("[]"), "run.json: is no run"),
        (edit_json(lambda document: document.update(run="0" * 12)), "run.json: is of run 000000000000, its folder is"),
        (edit_json(lambda document: document["spec"]["optimizer"].update(lr=0.1)), "run.json: its settings are those of run"),
        (edit_meta(epochs=2), "history.parquet: is not 2 epochs of train and test"),
        (edit_json(lambda document: document["meta"].pop("epochs")), "its files do not fit together (KeyError: 'epochs')"),
        (edit_meta(selected_epoch=1), "history.parquet: epoch 3 is the one that best_accuracy selects"),
        (edit_meta(source="real"), "run.json: is for synthetic images and was trained on real ones"),
        (edit_meta(parameters=5), "final.parquet: parameters is 516.0, the predictions"),
        (lambda folder: (folder / "history.parquet").write_bytes(b"PAR1"), "history.parquet: not a table"),
        (lambda folder: (folder / "history.parquet").unlink(), "history.parquet: not found"),
        (edit_table("history.parquet", put("run", "0" * 12)), "history.parquet: has rows of another run"),
        (edit_table("history.parquet", put("loss", float("nan"))), "history.parquet: has values that are not finite"),
        (edit_table("history.parquet", put("accuracy", 1.5)), "history.parquet: has values that are not finite, or accuracies outside"),
        (edit_table("history.parquet", put("split", "validation", 1)), "history.parquet: is not 3 epochs"),
        (edit_table("history.parquet", lambda table: table.drop(columns="loss")), "history.parquet: not a table"),
        (edit_table("history.parquet", put("loss", 9.0, 4)), "final.parquet: train_loss is"),
        (edit_table("history.parquet", put("accuracy", 0.99, 5)), "predictions.parquet: gives accuracy 0.5166"),
        (edit_table("predictions.parquet", other_prediction), "final.parquet: accuracy is"),
        (edit_table("predictions.parquet", put("image", 1)), "predictions.parquet: has two predictions for one image"),
        (edit_table("predictions.parquet", put("run", "0" * 12)), "predictions.parquet: has rows of another run"),
        (lambda folder: (folder / "predictions.parquet").unlink(), "predictions.parquet: not found"),
        (edit_table("final.parquet", put("value", 0.99)), "final.parquet: accuracy is 0.99"),
        (edit_table("final.parquet", lambda table: table[table["metric"] != "gap"]), "final.parquet: gap is None"),
        (lambda folder: (folder / "weights.safetensors").write_bytes(b"no"), "weights.safetensors: not safetensors"),
        (lambda folder: shutil.copy(folder.with_name(RUNS[1].hash) / "weights.safetensors", folder),
         f"weights.safetensors: is of run {RUNS[1].hash}, its folder is {RUNS[0].hash}"),
        (lambda folder: folder.rename(folder.with_name("0" * 12)), "its folder is 000000000000"),
        (lambda folder: folder.rename(folder.with_name("mine")), "its folder is mine"),
    ],
)  # fmt: skip
def test_a_run_that_is_not_what_it_says_stops_the_import(exported, tmp_path, damage, message):
    damage(exported / RUNS[0].hash)
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        import_runs(exported, tmp_path / "new", synthetic=True)
    assert str(exported) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists(), "nothing is imported, of no run"


def test_runs_of_the_other_source_are_refused(exported, tmp_path):
    with pytest.raises(RepriseError, match="is of synthetic images, this scale is for real ones; import it with --scale demo"):
        import_runs(exported, tmp_path / "new", synthetic=False)
    assert not (tmp_path / "new").exists()


def test_another_device_may_predict_a_few_images_differently(exported, tmp_path):
    """One image of 60 in the history of the run whose test set validates; its best epoch stays the best."""
    folder = exported / RUNS[0].hash
    history = pd.read_parquet(folder / "history.parquet")
    edit_table("history.parquet", put("accuracy", history["accuracy"][5] + 1 / 60, 5))(folder)
    assert import_runs(exported, tmp_path / "new", synthetic=True)[RUNS[0].hash] == "imported"


def test_a_link_is_refused(exported, tmp_path):
    path = exported / RUNS[0].hash / "weights.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepriseError, match=r"weights.safetensors: is a link"):
        import_runs(exported, tmp_path / "new", synthetic=True)


def test_a_run_cut_short_is_refused(exported, tmp_path):
    """The first two of three epochs, with everything else made to agree."""
    folder = exported / RUNS[0].hash
    for file in ("final.parquet", "predictions.parquet"):
        (folder / file).unlink()
    edit_table("history.parquet", lambda table: table[table["epoch"] <= 2])(folder)
    edit_meta(epochs=2, selected_epoch=2)(folder)
    with pytest.raises(RepriseError, match="ends after 2 of 3 epochs without a rule that stops it there"):
        import_runs(exported, tmp_path / "new", synthetic=True)


def test_empty_folders_and_missing_runs(cache, tmp_path):
    with pytest.raises(RepriseError, match="holds no exported run; give the folder that export wrote"):
        import_runs(tmp_path, tmp_path / "new", synthetic=True)
    with pytest.raises(RepriseError, match=r"run 000000000000: no result in .*; train it first"):
        export_runs(cache, [RUNS[0].hash, "0" * 12], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_refuses_a_damaged_run(cache, tmp_path):
    shutil.copytree(cache, tmp_path / "runs")
    edit_table("final.parquet", put("value", 0.99))(tmp_path / "runs" / RUNS[1].hash)
    with pytest.raises(RepriseError, match=r"final.parquet: accuracy is 0.99"):
        export_runs(tmp_path / "runs", [run.hash for run in RUNS], tmp_path / "out")
    assert not (tmp_path / "out").exists()
