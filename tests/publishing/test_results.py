"""Reading result tables: what pandas has written comes back, and a damaged file is one line that says what to
do.
"""

import math

import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.files import write_json
from reprise.parquet import read_table
from reprise.publishing.results import EVALUATION, RUN, read_meta, read_tables
from reprise.records import FILES, digests, write_record
from reprise.reports.run import digest

SPEC = {"seeds": {"init": 0}}
A = digest(SPEC)
HISTORY = pd.DataFrame(
    {
        "run": A,
        "epoch": [1, 1, 2, 2],
        "split": ["train", "test"] * 2,
        "loss": [0.9, 0.8, math.nan, math.inf],
        "accuracy": [0.1, 0.2, 0.3, 0.4],
    }
)
FINAL = pd.DataFrame({"run": A, "metric": ["accuracy", "selected_epoch"], "value": [0.4, 2.0]})
PREDICTIONS = pd.DataFrame({"run": A, "image": [1, 0, 2], "label": [3, 1, 1], "predicted": [3, 1, 0]})


def write(folder, *, records=True, **changes):
    """The results of run A, with other tables in the place of some; without `records`, as earlier versions
    wrote them.
    """
    folder = folder / A
    folder.mkdir()
    for name, table in {"history": HISTORY, "final": FINAL, "predictions": PREDICTIONS, **changes}.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    document = {"run": A, "spec": SPEC, "meta": {"device": "cpu", "selected_epoch": 1}}
    if records:
        write_record(folder / RUN, {**document, FILES: digests(folder, ["history.parquet"])})
        write_record(
            folder / EVALUATION, {"run": A, FILES: digests(folder, ["predictions.parquet", "final.parquet"])}
        )
    else:
        write_json(folder / RUN, document)
    return folder


def test_tables_come_back_as_they_were_written(tmp_path):
    write(tmp_path)
    tables = read_tables(tmp_path, [A, "absent", A], class_names={A: ["x", "y"]})
    assert tables.curve(A, "test", "accuracy") == {1: 0.2, 2: 0.4}
    assert tables.curve(A, "test", "loss") == {1: 0.8, 2: math.inf}
    assert math.isnan(tables.curve(A, "train", "loss")[2])
    assert tables.splits(A) == ["test", "train"]
    assert tables.finals(A) == {"accuracy": 0.4, "selected_epoch": 2.0}
    found = tables.predicted(A)
    assert (found.image.tolist(), found.label.tolist(), found.right.tolist()) == (
        [0, 1, 2],
        [1, 3, 1],
        [1.0, 1.0, 0.0],
    )
    assert found.classes == {1: (0.5, 2), 3: (1.0, 1)}
    assert tables.class_names == {A: ["x", "y"]}
    assert read_meta(tmp_path, [A, "absent"]) == {A: {"device": "cpu", "selected_epoch": 1}}


def test_a_run_without_results_has_no_rows(tmp_path):
    (write(tmp_path) / "run.json").unlink()
    tables = read_tables(tmp_path, [A, "b"])
    assert (tables.curve(A, "test", "loss"), tables.finals(A), tables.predicted(A), tables.splits(A)) == (
        None,
        {},
        None,
        [],
    )


def test_only_the_tables_asked_for_are_read(tmp_path):
    (write(tmp_path) / "predictions.parquet").write_text("no table")
    assert read_tables(tmp_path, [A], ["final"]).finals(A)


@pytest.mark.parametrize(
    ("name", "table", "what"),
    [
        ("history", HISTORY.drop(columns="loss"), "loss"),
        ("history", HISTORY.assign(loss="low"), "column loss is of type"),
        ("history", HISTORY.assign(epoch=1.5), "column epoch is of type double"),
        ("final", FINAL.assign(metric=1), "column metric is of type int64"),
        ("final", FINAL.assign(metric=["accuracy", None]), "column metric has empty fields"),
        ("history", HISTORY.assign(accuracy=[0.1, 1.2, 0.3, 0.4]), "accuracy is 1.2"),
        ("history", HISTORY.assign(accuracy=[0.1, None, 0.3, 0.4]), "accuracy is nan"),
        ("history", HISTORY.assign(loss=[math.inf, 0.8, 0.7, 0.6]), "loss is inf"),
        ("history", HISTORY.assign(loss=[-0.1, 0.8, 0.7, 0.6]), "loss is -0.1"),
        ("history", HISTORY.assign(epoch=[0, 0, 1, 1]), "epoch is 0"),
        ("history", HISTORY.assign(run="b"), "has rows of another run"),
        ("final", FINAL.assign(value=[1.273, 2.0]), "accuracy is 1.273"),
        ("final", FINAL.assign(value=[0.4, math.inf]), "selected_epoch is inf"),
        ("predictions", PREDICTIONS.assign(predicted=[3, 1, -1]), "predicted is -1"),
        (
            "predictions",
            PREDICTIONS.assign(label=pd.array([1, None, 2], dtype="Int64")),
            "column label has empty fields",
        ),
    ],
)
def test_a_table_that_is_not_what_it_should_be(tmp_path, name, table, what):
    folder = write(tmp_path, **{name: table})
    with pytest.raises(RepriseError) as error:
        read_tables(tmp_path, [A])
    message = str(error.value)
    assert message.startswith(f"{folder / name}.parquet: ")
    assert what in message
    again = f"; delete the folder {folder} and train the run again"
    assert message.endswith(
        again if name == "history" else f"; delete {folder / 'evaluated.json'} and evaluate the run again"
    )


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all", b"cut"])
def test_a_damaged_file_is_one_line(tmp_path, content, records):
    path = write(tmp_path, records=records) / "history.parquet"
    path.write_bytes(path.read_bytes()[:-20] if content == b"cut" else content)
    with pytest.raises(RepriseError) as error:
        read_tables(tmp_path, [A])
    assert str(error.value).startswith(
        f"{path}: {'damaged' if records else 'not a table of run, epoch, split, loss, accuracy'} ("
    )
    assert "\n" not in str(error.value)


def test_what_the_system_refuses_is_not_called_damage(tmp_path, monkeypatch):
    path = write(tmp_path, records=False) / "history.parquet"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        read_table(path, ("run",), "delete it")
