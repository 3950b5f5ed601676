"""Plans correct themselves by what finished runs took, and say what load they saw: on made-up records."""

import json

import pytest
import yaml

from mini import convolution, mini
from reprise.cli import main
from reprise.planning import Agenda, Calibration, describe, experience, load, plan
from reprise.planning import calibration as pacing
from reprise.planning.calibration import Pace
from reprise.planning.experience import RECENT
from reprise.planning.load import Load, describe_load
from reprise.records import write_record
from reprise.reports.layout import Layout
from reprise.reports.report import Report

EPOCHS, BATCH, TRAIN, VALIDATION = 4, 100, 45_000, 5_000
STEP, IMAGE = 0.01, 0.001
EPOCH_S = TRAIN / BATCH * STEP + VALIDATION * IMAGE
"""What the calibration says of an epoch."""
SIZES = {"small": BATCH, "large": 4 * BATCH}


@pytest.fixture
def report(tmp_path):
    experiments = {
        "small": {},
        "large": {"set": {"training.batch_size": SIZES["large"]}},
    }
    document = mini(convolution(), experiments, validation=0.1, epochs=EPOCHS)
    document["defaults"]["training"]["batch_size"] = SIZES["small"]
    document["defaults"]["seeds"] = list(range(40))
    path = tmp_path / "reports/mini.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(document))
    return Report(path)


@pytest.fixture
def where(tmp_path):
    return Layout(tmp_path / "results", "full")


@pytest.fixture
def calibration(where, monkeypatch, report):
    """Paces that are known of both experiments; a machine of two cores that does nothing else."""
    monkeypatch.setattr(
        pacing,
        "measure_pace",
        lambda run, *rest: Pace(STEP * run.settings.training.batch_size / BATCH, IMAGE),
    )
    monkeypatch.setattr(load.os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    monkeypatch.setattr(load.os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    made = Calibration(where.results / "calibration.json", "cpu", 1)
    made.prepare(list(report.runs().values()))
    return made


def finish(report, where, calibration, experiment, *seconds, first=0, weights=True, **meta):
    """Records of runs of an experiment that took so many seconds each, one after the other."""
    for place, took in enumerate(seconds, first):
        run = report.cells(experiment)[0].members[place]
        folder = where.runs / run.hash
        folder.mkdir(parents=True)
        made = {
            "device": calibration._conditions["device"],
            "dtype": "float32",
            "threads": 1,
            "epochs": EPOCHS,
            "seconds": took,
            "finished": f"2026-11-{1 + place // 24:02}T{place % 24:02}:00:00+00:00",
            **meta,
        }
        write_record(
            folder / "run.json", {"run": run.hash, "spec": dict(run.spec), "meta": made, "files": {}}
        )
        if weights:
            (folder / "weights.safetensors").write_bytes(b"")


def factor(where, calibration):
    return experience.experience(where, calibration).factor


EXPECTED_S = EPOCHS * EPOCH_S


@pytest.mark.parametrize("times", [2.0, 0.5, 1.0, 3.3])
def test_a_machine_that_takes_so_many_times_as_long(report, where, calibration, times):
    (before,) = plan([report], where, calibration)
    finish(report, where, calibration, "small", *[times * EXPECTED_S] * 3)
    (after,) = plan([report], where, calibration)
    for old, new in zip(before.rows, after.rows, strict=True):
        assert new.left == old.left - (3 if old.experiment == "small" else 0)
        assert new.seconds / new.left == pytest.approx(times * old.seconds / old.left)
        assert new.expected_seconds / new.left == pytest.approx(times * old.expected_seconds / old.left)
    assert f"the last 3 finished runs here took {times:.2f} times as long as measured" in describe(
        [after], "m"
    )
    assert "corrected" not in describe([before], "m")


def test_each_pace_by_its_own_runs(report, where, calibration):
    finish(report, where, calibration, "small", 2 * EXPECTED_S)
    finish(report, where, calibration, "large", *[4 * EXPECTED_S] * 3)
    found = experience.experience(where, calibration)
    keys = [calibration.key(report.cells(name)[0].members[0]) for name in SIZES]
    assert [found.of(key) for key in keys] == [pytest.approx(2), pytest.approx(4, rel=0.05)]
    assert found.of("of no finished run") == found.factor == pytest.approx(4, rel=0.05)
    (made,) = plan([report], where, calibration)
    assert " (2.00 to " in describe([made], "m")


def test_one_strange_run_changes_little(report, where, calibration):
    """Of seven runs one was slow."""
    finish(report, where, calibration, "small", *[2 * EXPECTED_S] * 6, 9 * EXPECTED_S)
    assert factor(where, calibration) == pytest.approx(2)


def test_a_long_run_says_more_than_short_ones(report, where, calibration):
    finish(report, where, calibration, "small", *[5 * EPOCH_S] * 3, epochs=1)
    finish(report, where, calibration, "small", 2 * EXPECTED_S, first=3)
    assert factor(where, calibration) == pytest.approx(2)


def test_the_last_runs_count(report, where, calibration):
    finish(report, where, calibration, "small", *[1 * EXPECTED_S] * RECENT, *[2 * EXPECTED_S] * RECENT)
    assert factor(where, calibration) == pytest.approx(2)


LEFT_OUT = {
    "another device": {"device": "an abacus"},
    "another precision": {"dtype": "bfloat16"},
    "more threads": {"threads": 64},
    "imported": {"weights": False},
    "a night's sleep": {"seconds": 50 * EXPECTED_S},
    "no epoch": {"epochs": 0},
    "no time": {"seconds": 0},
    "a time that is none": {"seconds": "long"},
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_says_nothing_of_this_machine(report, where, calibration, name):
    finish(report, where, calibration, "small", 3 * EXPECTED_S, **LEFT_OUT[name])
    assert experience.experience(where, calibration) == experience.NO_EXPERIENCE
    finish(report, where, calibration, "small", 2 * EXPECTED_S, first=1)
    assert factor(where, calibration) == pytest.approx(2), "the others count all the same"


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"run": "x", "sha256": "0"})])
def test_damaged_records_are_passed_over(report, where, calibration, content):
    finish(report, where, calibration, "small", 3 * EXPECTED_S, 2 * EXPECTED_S)
    run = report.cells("small")[0].runs[0]
    (where.runs / run / "run.json").write_text(content)
    assert factor(where, calibration) == pytest.approx(2)


def test_runs_whose_pace_is_not_known_cost_no_measurement(report, where, calibration, monkeypatch):
    finish(report, where, calibration, "small", 2 * EXPECTED_S)
    other = Calibration(where.results / "other.json", "cpu", 1)
    monkeypatch.setattr(pacing, "measure_pace", lambda *rest: pytest.fail("measured"))
    assert experience.experience(where, other) == experience.NO_EXPERIENCE


def test_what_is_next_is_priced_by_it_too(report, where, calibration):
    run = report.cells("large")[0].members[0]
    before = Agenda([report], where, calibration, lambda run: "").prices.price(run)
    finish(report, where, calibration, "large", *[2 * EXPECTED_S] * 3, first=1)
    after = Agenda([report], where, calibration, lambda run: "").prices.price(run)
    ratio = 2 * EPOCH_S / before.epoch
    assert after.epoch - 1 == pytest.approx((before.epoch - 1) * factor(where, calibration)), ratio


# ---- load ----


@pytest.mark.parametrize(
    ("now", "measured", "threads", "said"),
    [
        (0.1, [0.2], 1, "load: 0.2 when the paces were measured, 0.1 now, on 2 cores"),
        (
            3.9,
            [0.3],
            1,
            "load: 0.3 .*, 3.9 now, on 2 cores; other work keeps this machine busy, so runs take lon",
        ),
        (
            0.2,
            [3.9],
            1,
            "load: 3.9 .*, 0.2 now, .*; other work slowed the measurement: delete file to measure",
        ),
        (2.5, [3.0], 1, "load: 3.0 .*, 2.5 now, .*; other work kept this machine busy then, and still does"),
        (0.2, [0.5, 3.9], 1, "load: 0.5 to 3.9 when .*; other work slowed the measurement"),
        (0.2, [0.51, 0.52], 1, "load: 0.5 when"),
        (1.2, [0.0], 2, "load: 0.0 .*, 1.2 now, .*; other work keeps this machine busy, so"),
        (1.2, [0.0], 1, "load: 0.0 when the paces were measured, 1.2 now, on 2 cores$"),
        (0.4, [], 1, "load: unknown when the paces were measured, 0.4 now, on 2 cores$"),
        (None, [None], 1, "load: unknown when the paces were measured, unknown now, on 2 cores$"),
    ],
)
def test_load_in_words(now, measured, threads, said):
    import re

    assert re.match(said, describe_load(Load(now, 2), measured, threads, "file"))


def test_one_core():
    assert describe_load(Load(0.0, 1), [0.0], 1, "file").endswith("on 1 core")


def test_a_system_that_does_not_say(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(load.os, "getloadavg", refuse)
    assert Load.now().average is None


def test_the_plan_says_what_load_it_saw(report, where, calibration, capsys, monkeypatch):
    """The paces were measured on an idle machine; now it is busy."""
    monkeypatch.setattr(load.os, "getloadavg", lambda: (3.9, 0.0, 0.0))
    options = ["--device", "cpu", "--threads", "1", "--reports", str(report.path.parent)]
    finish(report, where, calibration, "small", 2 * EXPECTED_S)
    main(["plan", "mini", "--results", str(where.results), *options])
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0].startswith("load: 0.0 when the paces were measured, 3.9 now, on 2 cores; other work")
    assert last[1] == "times are corrected: the finished run here took 2.00 times as long as measured"


def test_paces_of_earlier_versions_have_no_load(report, where, calibration):
    for entry in calibration._known.values():
        del entry["load"]
    assert calibration.load_seen(report.runs().values()).startswith("load: unknown when")
