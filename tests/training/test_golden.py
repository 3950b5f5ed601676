"""Losses that a change of the code must not move.

To write them anew: REPRISE_UPDATE_GOLDEN=1 python -m pytest tests/training/test_golden.py. Only together with
a higher ENGINE in src/reprise/reports/run.py, because the same settings then give other results.
"""

import os
from pathlib import Path

import pandas as pd
import pytest

from reprise.files import read_json, write_json
from reprise.reports.run import ENGINE
from reprise.training.engine import train
from tiny import everything, tiny_run, write_dataset

GOLDEN = Path(__file__).parents[1] / "golden"
NOTE = (
    "Moving these numbers requires raising ENGINE in src/reprise/reports/run.py; "
    "tests/training/test_golden.py says how to write them."
)
RUNS = {"adam_plain": tiny_run(training__epochs=2), "sgd_everything": everything(training__epochs=2)}


@pytest.mark.parametrize("name", RUNS)
def test_golden_losses(name, tmp_path):
    run, losses = RUNS[name], []
    train(
        [run],
        dataset_dirs={"cifar10": write_dataset(tmp_path / "data")},
        cache=tmp_path,
        device="cpu",
        on_step=lambda epoch, step, loss: losses.append(loss.item()),
    )
    history = pd.read_parquet(tmp_path / run.hash / "history.parquet")
    measured = {
        "losses": losses[:10],
        "loss": history["loss"].tolist(),
        "accuracy": history["accuracy"].tolist(),
    }
    path = GOLDEN / f"{name}.json"
    if os.environ.get("REPRISE_UPDATE_GOLDEN"):
        write_json(path, {"note": NOTE, "engine": ENGINE, "run": run.spec, **measured})
    golden = read_json(path)
    assert golden["run"] == run.spec, "the golden run is another one; write the file anew"
    assert golden["engine"] == ENGINE, "ENGINE was raised; write the file anew"
    for key, values in measured.items():
        assert values == pytest.approx(golden[key], rel=1e-5), f"{key} moved: {NOTE}"
