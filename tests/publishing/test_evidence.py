"""How much of a report has been run, and results that exist twice."""

import datetime
import json

import pandas as pd
import pytest

from mini import convolution, mini
from reprise.errors import RepriseError
from reprise.files import write_json
from reprise.publishing import Face
from reprise.publishing.evidence import Evidence, Twin, gather, twins
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.statements import jury_of, write_statements
from reprise.records import FILES, digests, write_record
from reprise.reports.layout import OTHERS
from reprise.reports.report import Report

EPYC = {"device": "AMD EPYC", "threads": 1, "seconds": 3600, "finished": "2026-11-28T20:00:00+00:00"}


def evidence(*meta, needed=10):
    names = [f"run{place}" for place in range(needed)]
    return Evidence.of(names, dict(zip(names, meta, strict=False)))


def test_core_hours_are_hours_times_threads():
    later = {**EPYC, "threads": 4, "seconds": 1800.5, "finished": "2026-11-30T20:00:00+00:00"}
    found = evidence(EPYC, later, needed=483)
    assert (found.done, found.needed) == (2, 483)
    assert found.core_hours == {"AMD EPYC": pytest.approx(3 + 2 / 3600)}
    assert (found.first, found.last) == (datetime.date(2026, 11, 28), datetime.date(2026, 11, 30))
    assert found.words() == "2 of 483 runs, 3.0 core-hours (AMD EPYC), 2026-11-28 to 2026-11-30"
    assert found.words("of report 2").startswith("2 of 483 runs of report 2, 3.0 core-hours")


@pytest.mark.parametrize("device", ["NVIDIA H200", "Tesla T4", "AMD Instinct MI300X"])
def test_a_gpu_has_hours_of_its_own_whatever_its_threads(device):
    found = evidence(EPYC, {**EPYC, "device": device, "threads": 16, "seconds": 7200})
    assert (found.core_hours, found.gpu_hours) == ({"AMD EPYC": 1.0}, {device: 2.0})
    assert found.devices == ["AMD EPYC", device]
    assert found.words() == (f"2 of 10 runs, 1.0 core-hours (AMD EPYC), 2.0 GPU-hours ({device}), 2026-11-28")


def test_a_processor_with_graphics_is_a_processor():
    found = evidence({**EPYC, "device": "AMD Ryzen 7 PRO 8840U w/ Radeon 780M Graphics"})
    assert not found.gpu_hours
    assert sum(found.core_hours.values()) == 1


def test_nothing_is_run():
    assert evidence().words() == "0 of 10 runs"
    assert evidence(needed=0) == Evidence(0, 0)


def test_little_is_not_none_and_much_is_readable():
    assert ", less than 0.1 core-hours (AMD EPYC)" in evidence({**EPYC, "seconds": 12.5}).words()
    assert ", 12,345.6 core-hours (AMD EPYC)" in evidence({**EPYC, "seconds": 12345.6 * 3600}).words()


def test_records_of_earlier_versions_lack_much():
    found = evidence({}, {"seconds": 3600.0, "finished": "yesterday"}, {**EPYC, "seconds": -5.0})
    assert found.words() == ("3 of 10 runs, 1.0 core-hours (AMD EPYC, unknown device), 2026-11-28")


def test_days_are_those_in_utc():
    found = evidence({**EPYC, "finished": "2026-11-28T23:30:00-05:00"})
    assert (found.first, found.last) == (datetime.date(2026, 11, 29),) * 2


def test_runs_of_others_do_not_count():
    assert (
        Evidence.of(["a", "a", "b"], {"a": EPYC, "other": EPYC}).words().startswith("1 of 2 runs, 1.0 core")
    )


# ---- from folders ----


@pytest.fixture
def report(tmp_path):
    document = mini(convolution(), {"base": {"seeds": [0, 1, 2]}})
    del document["slug"]
    write_json(tmp_path / "mini.yaml", document)  # JSON is YAML
    return Report(tmp_path / "mini.yaml")


def write(folder, run, accuracy, **meta):
    """The files of a finished and evaluated run."""
    folder = folder / run.hash
    folder.mkdir(parents=True)
    history = {"run": run.hash, "epoch": [1], "split": ["train"], "loss": [1.0], "accuracy": [0.5]}
    pd.DataFrame(history).to_parquet(folder / "history.parquet", index=False)
    final = {"run": run.hash, "metric": ["accuracy", "selected_epoch"], "value": [accuracy, 1.0]}
    pd.DataFrame(final).to_parquet(folder / "final.parquet", index=False)
    images = pd.DataFrame({"run": run.hash, "image": [0], "label": [1], "predicted": [1]})
    images.to_parquet(folder / "predictions.parquet", index=False)
    content = {"run": run.hash, "spec": dict(run.spec), "meta": {**EPYC, **meta}}
    write_record(folder / "run.json", {**content, FILES: digests(folder, ["history.parquet"])})
    files = digests(folder, ["predictions.parquet", "final.parquet"])
    write_record(folder / "evaluation.json", {"run": run.hash, FILES: files})
    return folder


def test_evidence_is_gathered_from_finished_and_evaluated_runs(report, tmp_path):
    first, second, _ = report.runs().values()
    write(tmp_path, first, 0.5)
    (write(tmp_path, second, 0.5) / "final.parquet").unlink()
    found = gather(tmp_path, report.runs())
    assert found.words() == "1 of 3 runs, 1.0 core-hours (AMD EPYC), 2026-11-28"
    (tmp_path / first.hash / "run.json").write_text("{")
    with pytest.raises(RepriseError, match="not valid JSON"):
        gather(tmp_path, report.runs())


OTHER = {"accuracy": 0.5125, "loss": 1.2, "device": "NVIDIA H200", "finished": "2026-11-29", "same": False}


def test_results_that_exist_twice(report, tmp_path, capsys):
    first, second, third = report.runs().values()
    for run, accuracy in ((first, 0.5), (second, 0.6)):
        write(tmp_path, run, accuracy)
    assert twins(report, tmp_path) == []
    write_json(tmp_path / second.hash / OTHERS, [OTHER, {**OTHER, "accuracy": 0.6, "same": True}])
    (tmp_path / third.hash).mkdir()
    write_json(tmp_path / third.hash / OTHERS, [OTHER])  # of which there is no result here
    ours = second.hash, "base, seed 1", 0.6, "AMD EPYC"
    assert twins(report, tmp_path) == [
        Twin(*ours, 0.5125, "NVIDIA H200", False),
        Twin(*ours, 0.6, "NVIDIA H200", True),
    ]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        "[1]",
        json.dumps([{**OTHER, "accuracy": 7}]),
        json.dumps([{**OTHER, "accuracy": True}]),
        json.dumps([{**OTHER, "accuracy": "0.5"}]),
        json.dumps([{**OTHER, "device": None}]),
        json.dumps([OTHER, {"accuracy": 0.5}]),
        "[NaN]",
        "\0",
    ],
)
def test_damaged_further_results_are_one_line_and_left_out(report, tmp_path, capsys, content):
    first, second, _ = report.runs().values()
    for run in (first, second):
        write(tmp_path, run, 0.5)
        write_json(tmp_path / run.hash / OTHERS, [OTHER])
    (tmp_path / first.hash / OTHERS).write_text(content)
    assert [twin.run for twin in twins(report, tmp_path)] == [second.hash]
    said = capsys.readouterr().err
    assert said.startswith(f"reprise: {tmp_path / first.hash / OTHERS}: ")
    assert said.endswith("; further results of this run are left out\n")
    assert said.count("\n") == 1


def test_a_folder_in_place_of_further_results(report, tmp_path, capsys):
    first = next(iter(report.runs().values()))
    (write(tmp_path, first, 0.5) / OTHERS).mkdir()
    assert twins(report, tmp_path) == []
    assert capsys.readouterr().err.count("\n") == 1


# ---- on the page ----


def page(tmp_path, **more):
    write_statements(
        jury_of([], str, Sources(lambda _: [], Tables.of())),
        [],
        Face("mini", "quick"),
        tmp_path / "mini.csv",
        tmp_path / "mini.md",
        {"title": "Mini"},
        **more,
    )
    return (tmp_path / "mini.md").read_text(encoding="utf-8")


def test_the_page_says_how_much_is_run(tmp_path):
    lines = page(tmp_path, evidence=evidence(EPYC, needed=483)).splitlines()
    assert lines[:3] == [
        "# mini: numbers and claims",
        "",
        "Evidence: 1 of 483 runs that these statements need, 1.0 core-hours (AMD EPYC), 2026-11-28.",
    ]
    assert "Evidence" not in page(tmp_path)
    hostile = page(tmp_path, evidence=evidence({**EPYC, "device": "<b>fast</b> `cpu`"}))
    assert "\\<b>fast\\</b> \\`cpu\\`" in hostile


def test_the_page_shows_results_that_exist_twice(tmp_path):
    ours = "0a9b14c4d077", "cnn/lr=0.1, seed 0", 0.5, "AMD EPYC"
    found = [Twin(*ours, 0.5125, "NVIDIA H200 | a", False), Twin(*ours, 0.5, "AMD EPYC", True)]
    table = page(tmp_path, twins=found).split("## Results that exist twice\n\n")[1]
    assert "| 0a9b14c4d077 | cnn/lr=0.1, seed 0 | 0.5000 | AMD EPYC | 0.5125 |" in table
    assert "| 0.5125 | NVIDIA H200 \\| a | differs |" in table
    assert "| 0.5000 | AMD EPYC | the same |" in table
    assert "exist twice" not in page(tmp_path)
