"""`verify`: cached runs trained once more, and whether they agree."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mini import convolution, mini
from reprise.cli import main
from reprise.data.decode import read_facts
from reprise.evaluation.exchange import entry_of
from reprise.publishing.repetition import compare, difference, seed_scatter
from reprise.reports.report import Report
from reprise.results.cache import FolderCache, add, read_entry
from reprise.results.metrics import classification_metrics, training_metrics
from reprise.training import engine
from tiny import edit_dataset, write_dataset

REPORT = mini(
    convolution(),
    {
        "base": {},
        "child": {"set": {"initial_weights": {"from": "base"}}},
        "study": {
            "seeds": [0],
            "asha": {
                "trials": 2,
                "min_resource": 1,
                "reduction_factor": 2,
                "space": {"lr": {"path": "optimizer.lr", "values": [0.01, 0.001]}},
            },
        },
    },
    labels="fine",
    validation=0.2,
)
REPORT["defaults"]["dataset"]["name"] = "cifar100"  # whose labels are coarse and fine, as those of `tiny`
REPORT["defaults"]["seeds"] = [0, 1, 2]
REPORT["scales"] = {"demo": {"seeds": 3}}
pytestmark = pytest.mark.slow
ASKED = ["--reports", "reports", "--scale", "demo", "--device", "cpu"]
"""Of every verb here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose runs are trained, by one thread, and a cache of them."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "reports").mkdir()
    (folder / "reports/mini.yaml").write_text(yaml.safe_dump(REPORT))
    edit_dataset(write_dataset(folder / "results/demo/data/cifar100"), name="cifar100")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for verb in ("train", "evaluate"):
            main([verb, "mini", "--threads", "1", *ASKED])
        runs = [path for path in (folder / "results/demo/runs").iterdir() if (path / "run.json").exists()]
        add(folder / "cache", [entry_of(path) for path in runs])
    shutil.rmtree(folder / "results/demo/runs")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def base_runs():
    return list(Report("reports/mini.yaml", "demo").runs(Report("reports/mini.yaml", "demo").cells("base")))


def verify(capsys, *words):
    """Exit status, the lines about each run, and what stands on standard error."""
    capsys.readouterr()
    status = 0
    try:
        main(["verify", "cache", *ASKED, *words])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def entries(run):
    cache = FolderCache(Path("cache"))
    return [read_entry(cache, name) for name in cache.names()[run]]


def put(*changed):
    """Entries in the place of those that the cache has of their runs."""
    for entry in changed:
        for path in Path("cache/runs").glob(f"{entry.run.hash}-*"):
            path.unlink()
        add(Path("cache"), [entry])


def with_accuracy(entry, accuracy, **meta):
    """An entry whose network has this test accuracy, in agreement with itself."""
    labels = entry.tested.labels
    right = np.arange(len(labels)) < round(accuracy * len(labels))
    predicted = np.where(right, labels, (labels + 1) % 4)
    made = replace(entry, predicted=predicted, meta={**entry.meta, **meta})
    metrics = classification_metrics(labels, predicted)
    gaps = training_metrics(made.history_table(), made.meta, metrics["accuracy"])
    plain = {"plain_gap": entry.final["plain_train_accuracy"] - metrics["accuracy"]}
    return replace(made, final={**entry.final, **metrics, **gaps, **plain})


# ---- the verb ----


def test_runs_that_are_as_the_cache_says_agree_bit_for_bit(project, capsys):
    status, lines, _ = verify(capsys, "--sample", "2", "--seed", "5")
    assert status == 0
    assert re.fullmatch(r"2 of 8 runs, drawn with --seed 5: about \d+ s here \(.*\)", lines[0])
    assert [re.sub("[0-9a-f]{12}|seed [012]|[0-9]+ s$", "…", line) for line in lines[1:]] == [
        "run … (mini/base, …): about …",
        "run … (mini/base, …): about …",
        "run … (mini/base, …): agrees bit for bit",
        "run … (mini/base, …): agrees bit for bit",
    ]
    assert len({*lines[1:3]}) == 2
    assert not list(Path("results/demo/verify").iterdir())
    assert not Path("results/demo/runs").exists()


def test_a_seed_draws_the_same_again_and_without_one_draws_differ(project, capsys):
    def drawn(*words):
        """The run of a sample of one; it is only drawn."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reprise.cli.verification.train_again", lambda *_: True)
            status, lines, _ = verify(capsys, "--sample", "1", *words)
        assert status == 0
        return lines[-1].split()[1]

    seeded = [drawn("--seed", str(seed)) for seed in range(1, 9)]
    assert seeded == [drawn("--seed", str(seed)) for seed in range(1, 9)]
    assert {*seeded} == {*base_runs()}
    assert len({drawn() for _ in range(12)}) > 1  # all are alike once in 200,000


def test_a_forged_entry_is_found_out(project, capsys):
    """Other numbers, in agreement with each other and with the seal."""
    first, second, _ = base_runs()
    (entry,) = entries(first)
    forged = with_accuracy(entry, 0.9)
    assert forged.final["accuracy"] > entry.final["accuracy"]
    put(forged)
    status, lines, err = verify(capsys, "--runs", first, second)
    assert status == 1
    assert re.fullmatch(
        rf"run {first} \(mini/base, seed 0\): DISAGREES: accuracy is 0\.\d+ here, 0\.9\d* there, "
        r"on a processor of the same kind \(.*, torch .*\); test accuracy 0\.\d{4} here, 0\.9000 there",
        lines[3],
    )
    assert lines[4].endswith("(mini/base, seed 1): agrees bit for bit")
    assert err.endswith(
        f"reprise: 1 of 2 runs do not agree with cache; what they gave here: results/demo/verify/{first}\n"
    )
    assert [path.name for path in Path("results/demo/verify").iterdir()] == [first]


def test_what_an_earlier_verification_found_is_trained_again(project, capsys):
    (first, *_) = base_runs()
    (entry,) = entries(first)
    put(with_accuracy(entry, 0.9))
    assert verify(capsys, "--runs", first)[0] == 1
    put(entry)
    kept = Path(f"results/demo/verify/{first}/predictions.parquet")
    predictions = pd.read_parquet(kept)
    predictions.assign(predicted=0).to_parquet(kept)
    assert verify(capsys, "--runs", first)[0] == 0
    assert not kept.exists()


@pytest.mark.parametrize(
    ("meta", "off", "said"),
    [
        ({"device": "Another CPU"}, 0.0, "agrees within the seeds' scatter"),
        ({"torch": "1.0"}, 0.0, "agrees within the seeds' scatter"),
        ({"device": "Another CPU"}, 0.9, "DISAGREES"),
    ],
)
def test_an_entry_of_another_processor_agrees_within_the_seeds_scatter(project, capsys, meta, off, said):
    """Those here have 60 test images, so that their scatter is wide."""
    first, second, third = base_runs()
    (entry,), (other,), (another,) = map(entries, (first, second, third))
    accuracy = entry.final["accuracy"]
    put(with_accuracy(entry, accuracy + off * (1 - accuracy), **meta))
    put(with_accuracy(other, 0.5), with_accuracy(another, 0.55))
    status, lines, _ = verify(capsys, "--runs", first)
    assert status == (said == "DISAGREES")
    here, there, scatter = re.fullmatch(
        rf"run {first} \(mini/base, seed 0\): {said}: (\S+) here, (\S+) there, scatter (\S+?)(?:; .*)?",
        lines[2],
    ).groups()
    assert here == f"{accuracy:.4f}"
    assert (there == here) == (off == 0)
    assert scatter == f"{0.05 / 2**0.5:.4f}"
    assert ("seeds differ by at most 0.1500" in lines[2]) == (said == "DISAGREES")


def test_two_results_of_one_run_are_both_compared(project, capsys):
    (first, *_) = base_runs()
    (entry,) = entries(first)
    forged = with_accuracy(entry, 0.9)
    add(Path("cache"), [forged])
    status, lines, _ = verify(capsys, "--runs", first)
    assert status == 1
    assert f"run {first} (mini/base, seed 0), entry {entry.name}: agrees bit for bit" in lines
    assert any(f"entry {forged.name}: DISAGREES" in line for line in lines)


def test_runs_that_follow_others_and_trials_are_not_drawn_and_it_says_so(project, capsys):
    status, lines, _ = verify(capsys, "--sample", "8")
    assert status == 0
    assert lines[0].startswith("3 of 8 runs")
    assert lines[1] == (
        "no other run can be trained again here: it starts from the weights "
        "of another run (3 runs); it is a trial of a search, which ends by "
        "comparison with other trials (2 runs)"
    )


def test_no_longer_runs_than_asked_for_are_drawn(project, capsys):
    status, lines, err = verify(capsys, "--sample", "1", "--most", "0.000001s")
    assert (status, lines) == (1, [])
    assert err.splitlines()[-1].startswith("reprise: cache cache: none of 8 runs can be trained again here: ")
    assert "it takes longer than --most (3 runs)" in err
    assert verify(capsys, "--sample", "1", "--most", "1h")[0] == 0


def test_a_verification_that_was_stopped_goes_on(project, capsys, monkeypatch):
    """With the same sample."""
    sample = Path("results/demo/verify/sample.json")
    taken, real = [], engine.Step.__call__

    def step(self, places):
        if sample.exists():  # and it is no calibration's
            taken.append(places)
            if len(taken) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
        return real(self, places)

    monkeypatch.setattr(engine.Step, "__call__", step)
    status, _, err = verify(capsys, "--sample", "2")
    assert status == 128 + signal.SIGTERM
    assert err.splitlines()[-1].startswith("reprise: stopped by SIGTERM")
    record = json.loads(sample.read_text())
    status, lines, _ = verify(capsys, "--sample", "2")
    assert status == 0
    assert f"drawn with --seed {record['with_seed']}" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == record["drawn"] * 2
    assert not list(sample.parent.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "base"], "--only names experiments of one report; name that with --report"),
        (["--report", "minni"], "no report minni in reports; did you mean mini?"),
        (["--report", "mini", "--only", "bas"], "no experiment bas; did you mean base?"),
        (["--runs", "0123456789ab"], "no run 0123456789ab of mini at scale demo; list them with"),
        (["--scale", "full"], "cache cache: holds none of the 8 runs that are asked for at scale full"),
    ],
)
def test_mistakes_are_one_line(project, capsys, words, message):
    status, lines, err = verify(capsys, *words)
    assert (status, lines) == (1, [])
    assert err.startswith(f"reprise: {message}" if "experiment" not in message else "reprise: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("given", ["0s", "30", "m", "-5m", "1e3s", "ten minutes"])
def test_a_time_that_is_none_is_refused(project, capsys, given):
    status, _, err = verify(capsys, f"--most={given}")
    assert status == 2
    assert "is not a time such as 1h, 90m, 2h30m" in err


def test_a_cache_that_is_not_there(project, capsys):
    shutil.rmtree("cache")
    assert verify(capsys)[2] == "reprise: cache cache: no such folder; check the place\n"


def test_a_damaged_entry_is_named(project, capsys):
    (first, *_) = base_runs()
    (name,) = FolderCache(Path("cache")).names()[first]
    path = Path(f"cache/runs/{name}.json.xz")
    path.write_bytes(path.read_bytes()[:-40])
    status, lines, err = verify(capsys, "--runs", first)
    assert (status, lines) == (1, [])
    assert re.fullmatch(rf"reprise: cache cache: entry {name}: .*\n", err)


def test_another_data_set_at_hand_is_not_the_one_of_the_cache(project, capsys):
    data = project / "results/demo/data/cifar100"
    splits = {name: {**split, "digest": "1" * 64} for name, split in read_facts(data)["splits"].items()}
    edit_dataset(data, splits=splits)
    (first, *_) = base_runs()
    status, lines, err = verify(capsys, "--runs", first)
    assert (status, lines) == (1, [])
    assert (
        err == f"reprise: run {first}: not trained again: it was trained on other images than those at hand\n"
    )
    shutil.rmtree(data)
    assert "data set cifar100 is not at hand" in verify(capsys, "--runs", first)[2]


# ---- how two results are compared ----


def test_the_scatter_of_seeds_is_never_thought_smaller_than_stated():
    assert seed_scatter([]) == seed_scatter([0.9]) == seed_scatter([0.7, 0.7]) == 0.005
    assert seed_scatter([0.6, 0.7, 0.8]) == pytest.approx(0.1)


def test_the_first_difference_is_named(project):
    (entry,) = entries(base_runs()[0])

    def of(**changes):
        return difference(entry, replace(entry, **changes))

    epoch, split, loss, accuracy = entry.history[2]
    other = [*entry.history[:2], (epoch, split, np.nextafter(loss, 9), accuracy), *entry.history[3:]]
    assert re.fullmatch(rf"{split}.* loss of epoch {epoch} is \S+ here, \S+ there", of(history=other))
    assert of(history=entry.history[:2]) == "2 epochs here, 1 there"
    assert of(final={**entry.final, "loss": 7.0}).startswith("loss is ")
    assert of(predicted=(entry.predicted + 1) % 4) == "60 of 60 predictions of the test images are others"
    lost = replace(entry, final={**entry.final, "loss": np.nan})
    assert compare(lost, lost).words == "agrees bit for bit"
