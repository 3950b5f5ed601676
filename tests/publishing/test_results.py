"""Reading result tables: what pandas has written comes back, and a damaged file is one line that says what to do."""

import math

import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.publishing.results import read_meta, read_tables

HISTORY = pd.DataFrame(
    {
        "run": "a",
        "epoch": [1, 1, 2, 2],
        "split": ["train", "test"] * 2,
        "loss": [0.9, 0.8, math.nan, math.inf],
        "accuracy": [0.1, 0.2, 0.3, 0.4],
    }
)
FINAL = pd.DataFrame({"run": "a", "metric": ["accuracy", "selected_epoch"], "value": [0.4, 2.0]})
PREDICTIONS = pd.DataFrame({"run": "a", "image": [1, 0, 2], "label": [3, 1, 1], "predicted": [3, 1, 0]})


def write(folder, **changes):
    """The results of run a, with other tables in the place of some."""
    folder = folder / "a"
    folder.mkdir()
    (folder / "run.json").write_text('{"run": "a", "meta": {"device": "cpu"}}')
    for name, table in {"history": HISTORY, "final": FINAL, "predictions": PREDICTIONS, **changes}.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def test_tables_come_back_as_they_were_written(tmp_path):
    write(tmp_path)
    tables = read_tables(tmp_path, ["a", "absent", "a"], class_names={"a": ["x", "y"]})
    assert tables.curve("a", "test", "accuracy") == {1: 0.2, 2: 0.4}
    assert tables.curve("a", "test", "loss") == {1: 0.8, 2: math.inf}
    assert math.isnan(tables.curve("a", "train", "loss")[2])
    assert tables.splits("a") == ["test", "train"]
    assert tables.finals("a") == {"accuracy": 0.4, "selected_epoch": 2.0}
    found = tables.predicted("a")
    assert (found.image.tolist(), found.label.tolist(), found.right.tolist()) == ([0, 1, 2], [1, 3, 1], [1.0, 1.0, 0.0])
    assert found.classes == {1: (0.5, 2), 3: (1.0, 1)}
    assert tables.class_names == {"a": ["x", "y"]}
    assert read_meta(tmp_path, ["a", "absent"]) == {"a": {"device": "cpu"}}


def test_a_run_without_results_has_no_rows(tmp_path):
    (write(tmp_path) / "run.json").unlink()
    tables = read_tables(tmp_path, ["a", "b"])
    assert (tables.curve("a", "test", "loss"), tables.finals("a"), tables.predicted("a"), tables.splits("a")) == (None, {}, None, [])


def test_only_the_tables_asked_for_are_read(tmp_path):
    (write(tmp_path) / "predictions.parquet").write_text("no table")
    assert read_tables(tmp_path, ["a"], ["final"]).finals("a")


@pytest.mark.parametrize(
    ("name", "table", "what"),
    [
        ("history", HISTORY.drop(columns="loss"), "loss"),
        ("history", HISTORY.assign(loss="low"), "column loss is of type"),
        ("history", HISTORY.assign(epoch=1.5), "column epoch is of type double"),
        ("final", FINAL.assign(metric=1), "column metric is of type int64"),
        ("final", FINAL.assign(metric=["accuracy", None]), "column metric has empty fields"),
        ("predictions", PREDICTIONS.assign(label=pd.array([1, None, 2], dtype="Int64")), "column label has empty fields"),
    ],
)
def test_a_table_that_is_not_what_it_should_be(tmp_path, name, table, what):
    folder = write(tmp_path, **{name: table})
    with pytest.raises(RepriseError) as error:
        read_tables(tmp_path, ["a"])
    message = str(error.value)
    assert message.startswith(f"{folder / name}.parquet: damaged (")
    assert what in message
    assert message.endswith(f"; delete the folder {folder} and train the run again")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all", b"cut"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = write(tmp_path) / "history.parquet"
    path.write_bytes(path.read_bytes()[:-20] if content == b"cut" else content)
    with pytest.raises(RepriseError) as error:
        read_tables(tmp_path, ["a"])
    assert str(error.value).startswith(f"{path}: damaged (")
    assert "\n" not in str(error.value)
