"""`reprise run`: a whole report without Snakemake."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from made_up import all_runs, write_results
from mini import STUDY, convolution, mini
from reprise.cli import main
from reprise.cli import run as verb
from reprise.cli.common import stamp_evaluated, stamp_trained
from reprise.cli.exchange import finished_runs
from reprise.cli.options import ReportsOptions, TrainingOptions
from reprise.publishing.closing import closing, tally
from reprise.publishing.statement_records import FORMAT
from reprise.records import write_record
from reprise.reports.layout import Layout
from reprise.reports.report import Report
from reprise.training import engine, session

CURVES = {"kind": "curves", "metric": "accuracy", "splits": ["train", "test"]}
FIGURES = [
    {**CURVES, "id": "curves", "caption": "Accuracy.", "series": {"base": "base", "fast": "fast"}},
    {**CURVES, "id": "tuning", "caption": "Tuning.", "series": {"tuned": "tuned"}},
    {
        "id": "image",
        "kind": "samples",
        "caption": "One.",
        "images": {"dataset": "cifar10", "captions": ["label"]},
    },
]
TABLES = [
    {"id": "network", "kind": "layers", "caption": "The network.", "networks": ["net"]},
    {"id": "rates", "kind": "trials", "caption": "Rates.", "runs": "rates", "metric": "accuracy"},
]
STATEMENTS = [
    {"number": "accuracy", "says": "Accuracy", "reported": "0.5", "measure": "accuracy(base)"},
    {"number": "size", "says": "Parameters", "reported": "9122", "measure": "parameters(base)"},
    {"claim": "tuning", "says": "Tuning helps", "holds": "accuracy(tuned) > accuracy(base)"},
]
EXPERIMENTS = {
    "base": {},
    "fast": {"set": {"optimizer.lr": 0.01}},
    "tuned": {"set": {"initial_weights": {"from": "base", "drop": ["3_dense"]}}},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.001, 0.02]}}},
}
OPTIONS = ["--reports", "reports", "--scale", "demo"]
COMPUTE = ["--device", "cpu", "--threads", "1"]
RESULTS = Path("results/demo")


def write_report(seeds=(0,), experiments=EXPERIMENTS, **parts):
    document = mini(convolution(), experiments, figures=FIGURES, tables=TABLES, statements=STATEMENTS) | parts
    document["defaults"]["seeds"] = list(seeds)
    document["defaults"]["training"]["batch_size"] = 100
    Path("reports").mkdir(exist_ok=True)
    Path("reports/mini.yaml").write_text(yaml.safe_dump(document))
    return Report("reports/mini.yaml", "demo")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status(*words, report="mini"):
    try:
        main(["run", report, *OPTIONS, *COMPUTE, *words])
    except SystemExit as end:
        return end.code
    return 0


def files():
    """What there is, and when it was made."""
    return {path: path.stat().st_mtime_ns for path in RESULTS.rglob("*") if path.is_file()}


def finished(report, runs, **meta):
    """Made-up results of these runs, with the stamps that say so."""
    layout = Layout(Path("results"), report.scale)
    write_results(report, layout.runs, runs, **meta)
    for run in runs:
        stamp_trained(run, layout)
        stamp_evaluated(run, layout)


@pytest.fixture
def nothing_is_trained(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("something is trained or evaluated")

    monkeypatch.setattr(verb, "train_runs", refuse)
    monkeypatch.setattr(verb, "provide_data", lambda report, runs, *rest: runs and refuse())


@pytest.fixture
def no_pictures(monkeypatch):
    """What needs images is left out."""
    monkeypatch.setattr(sys.modules[__name__], "FIGURES", FIGURES[:2])


# ---- what is left out ----


@pytest.mark.parametrize("skipped", ["fast", "rates", "base", "tuned"])
def test_every_verb_leaves_out_what_is_skipped_however_finished_it_is(capsys, skipped):
    report = write_report()
    finished(report, report.runs())
    without = Report("reports/mini.yaml", "demo", [skipped])
    gone = {*report.runs()} - {*without.runs()}
    options = [*OPTIONS, "--skip", skipped]
    main(["runs", "mini", *options])
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {*without.runs()}
    chosen = ReportsOptions(reports=Path("reports"), skip=(skipped,))  # of export and publish
    assert {*finished_runs(["mini"], chosen, Layout(Path("results"), "demo"))} == {*without.runs()}
    main(["tensorboard", "mini", *options])
    assert f": {len(without.runs())} run" in capsys.readouterr().out
    main(["summary", "mini", *options])
    assert f"| {len(without.runs())} of {len(without.runs())} |" in capsys.readouterr().out
    main(["statements", "mini", *options])
    written = json.loads((RESULTS / "statements/mini.json").read_text())["statements"]
    assert not gone & {run for one in written if one["verdict"] != "not run" for run in one["runs"]}
    with pytest.raises(SystemExit):
        main(["train", "mini", "--only", skipped, *options, *COMPUTE])
    assert f"selector '{skipped}' is skipped at scale demo" in capsys.readouterr().err


# ---- a report with mistakes ----

IMAGES = {"dataset": "cifar10", "captions": ["label"]}
UNFLATTENED = [{"conv": 4}, {"pool": "max"}, {"dense": 8}, {"dense": "classes"}]
WIDER = {
    "model": {"name": "sequential", "layers": convolution(9)},
    "initial_weights": {"from": "base"},
}
WRONG_CLAIM = {"claim": "high", "holds": "accuracy(base) > 70"}
WRONG = {
    "a share beside percent": ({"statements": [WRONG_CLAIM]}, "70 stands in"),
    "percent of what is measured": (
        {"statements": [{"number": "n", "reported": "54.2", "measure": "accuracy(base)"}]},
        "is reported, and what is measured lies between 0 and 1",
    ),
    "a line beyond the axis": (
        {"figures": [{**FIGURES[0], "reference": [{"value": 54, "label": "them"}]}]},
        "reference: 54 is no share",
    ),
    "a split that runs do not have": (
        {"figures": [{**FIGURES[0], "splits": ["train", "validation"]}]},
        "validation",
    ),
    "a class that is not there": (
        {"figures": [{**FIGURES[2], "images": {**IMAGES, "by": "label", "classes": ["otter"]}}]},
        "cifar10 has no class 'otter'",
    ),
    "a layer that is not there": (
        {"statements": [{"number": "n", "reported": "3", "measure": 'parameters(base, layer="7_dense")'}]},
        "7_dense",
    ),
    "a network that does not fit": (
        {"models": {"net": {"name": "sequential", "layers": UNFLATTENED}}},
        "dense",
    ),
    "weights that do not fit": (
        {"experiments": {**EXPERIMENTS, "tuned": {"set": WIDER}}},
        "initial_weights: 0_conv.weight is",
    ),
    "a part that the data set does not have": (
        {"experiments": {**EXPERIMENTS, "base": {"set": {"split.validation": "official"}}}},
        "cifar10 has no validation part of its own",
    ),
}


def mistakes(capsys, do):
    """What a command ends with, and its lines about the report, whatever scale they are found at."""
    code = 0
    try:
        do()
    except SystemExit as end:
        code = end.code
    lines = capsys.readouterr().err.replace(" (scale demo)", "").splitlines()
    return code, [line for line in lines if "mini.yaml:" in line]


@pytest.mark.parametrize("parts", WRONG, ids=lambda name: name.replace(" ", "_"))
def test_what_check_refuses_is_refused_before_anything_is_done(capsys, nothing_is_trained, parts):
    changes, said = WRONG[parts]
    write_report(**changes)
    code, lines = mistakes(capsys, lambda: main(["run", "mini", *OPTIONS, *COMPUTE]))
    assert code == 1
    assert any(said in line for line in lines), lines
    assert not RESULTS.exists()
    assert mistakes(capsys, lambda: main(["check", "reports/mini.yaml"])) == (1, lines)


def test_all_mistakes_are_named_also_those_of_a_file_that_cannot_be_read_whole(capsys, nothing_is_trained):
    write_report()
    text = Path("reports/mini.yaml").read_text()
    document = yaml.safe_load(text)
    document["statements"] += [WRONG_CLAIM, {"claim": "gone", "holds": "accuracy(absent) > 0.1"}]
    document["figures"][0]["reference"] = [{"value": 54, "label": "them"}]
    Path("reports/mini.yaml").write_text(yaml.safe_dump(document))
    code, lines = mistakes(capsys, lambda: main(["run", "mini", *OPTIONS, *COMPUTE]))
    assert (code, len(lines)) == (1, 3)
    for said in ("70 stands in", "absent", "54 is no share"):
        assert any(said in line for line in lines), lines
    assert not RESULTS.exists()


# ---- from nothing to everything ----


def test_a_whole_report_from_nothing(capsys, monkeypatch):
    """It needs neither Snakemake nor, without a search, Optuna; the second time nothing is left to do."""
    for module in [name for name in sys.modules if name.partition(".")[0] in ("snakemake", "optuna")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("snakemake", "optuna"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    report = write_report()
    assert status() == 0
    said = capsys.readouterr()
    last = said.out.splitlines()[-1]
    assert re.fullmatch(
        r"results are in results/demo \(DEMO – synthetic data\): numbers: \d reproduced(, \d differs?)?; "
        r"claims: \d reproduced(, \d \w+)*",
        last,
    ), last
    assert "mini at scale demo: 4 of 4 runs, 4 to train, 4 to evaluate" in said.err
    for item in ("figures/mini/curves.png", "figures/mini/tuning.svg", "figures/mini/image.png"):
        assert (RESULTS / item).stat().st_size > 1000
    for item in (
        "tables/mini/network.csv",
        "tables/mini/rates.md",
        "statements/mini.md",
        "statements/mini.html",
    ):
        assert (RESULTS / item).is_file()
    verdicts = [
        one["verdict"] for one in json.loads((RESULTS / "statements/mini.json").read_text())["statements"]
    ]
    assert "not run" not in verdicts
    assert len({*report.runs()}) == len(list(RESULTS.glob("runs/*/evaluated.json"))) == 4

    before = files()
    assert status() == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == last
    assert "4 of 4 runs, 0 to train, 0 to evaluate" in said.err
    kept = [
        path
        for path in before
        if path.is_relative_to(RESULTS / "runs") or path.is_relative_to(RESULTS / "data")
    ]
    assert {path: before[path] for path in kept} == {path: files()[path] for path in kept}

    # whoever deletes a stamp has that step done again, and that alone
    (run,) = report.cells("base")[0].runs
    (RESULTS / "runs" / run / "evaluated.json").unlink()
    assert status() == 0
    assert "0 to train, 1 to evaluate" in capsys.readouterr().err
    assert (RESULTS / "runs" / run / "evaluated.json").is_file()


def test_it_goes_on_where_it_was_stopped(capsys, monkeypatch):
    """In the second run; the first is not trained again."""
    monkeypatch.setattr(sys.modules[__name__], "FIGURES", FIGURES[:1])
    report = write_report()
    train, seen = engine.train_run, []

    def stop(run, *rest):
        if len(seen) == 1:
            raise session.Interrupted(2)
        seen.append(run.hash)
        return train(run, *rest)

    monkeypatch.setattr(engine, "train_run", stop)
    assert status() == 130
    assert "results are in" not in capsys.readouterr().out
    assert not list(RESULTS.glob("figures/mini/*"))
    (first,) = seen
    before = (RESULTS / "runs" / first / "run.json").stat().st_mtime_ns
    monkeypatch.setattr(engine, "train_run", train)
    assert status() == 0
    said = capsys.readouterr()
    assert "4 of 4 runs, 3 to train, 4 to evaluate" in said.err
    assert said.out.splitlines()[-1].startswith("results are in results/demo")
    assert (RESULTS / "runs" / first / "run.json").stat().st_mtime_ns == before
    assert len(list(RESULTS.glob("runs/*/evaluated.json"))) == len(report.runs())


def test_one_run_that_fails_does_not_keep_the_others(capsys, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "FIGURES", FIGURES[:2])
    wild = {"set": {"optimizer": {"name": "sgd", "lr": 1.0e30}}}
    report = write_report(experiments={**EXPERIMENTS, "fast": wild})
    assert status() == 1
    said = capsys.readouterr()
    (failed,) = report.cells("fast")[0].runs
    assert said.err.splitlines()[-1].startswith(f"reprise: run {failed}: the loss became")
    assert said.out.splitlines()[-1].startswith(
        "results are in results/demo (DEMO – synthetic data): numbers: "
    )
    assert (RESULTS / "figures/mini/tuning.png").is_file()
    assert "1 of 2 configurations" in (RESULTS / "figures/mini/curves.json").read_text(), (
        "it says what is missing"
    )


# ---- with made-up results ----


@pytest.mark.parametrize("name", ["mini", "reports/mini.yaml"])
def test_finished_runs_are_neither_trained_nor_evaluated(capsys, nothing_is_trained, no_pictures, name):
    report = write_report(seeds=[0, 1, 2])
    finished(report, report.runs())
    assert status(report=name) == 0
    assert "12 of 12 runs, 0 to train, 0 to evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "seeds"), [(1, "seed 0 of 3"), (2, "seeds 0 and 1 of 3")])
def test_the_first_seeds_alone(capsys, nothing_is_trained, no_pictures, count, seeds):
    """Though the others are there, too."""
    report = write_report(seeds=[0, 1, 2])
    finished(report, report.runs())
    assert status("--seeds", str(count)) == 0
    said = capsys.readouterr()
    alone = "first seed alone" if count == 1 else "first 2 seeds alone"
    assert f"results are in results/demo (DEMO – synthetic data; {alone}): " in said.out
    assert f"{4 * count} of 12 runs" in said.err
    for item in ("figures/mini/curves.json", "tables/mini/rates.md", "statements/mini.md"):
        assert seeds in (RESULTS / item).read_text(), item
    statements = json.loads((RESULTS / "statements/mini.json").read_text())
    assert [one["rests_on"] for one in statements["statements"]] == [seeds] * 3
    assert statements["evidence"]["done"] < statements["evidence"]["needed"]


@pytest.mark.parametrize("count", ["3", "4", "10000"])
def test_as_many_seeds_as_there_are_is_all(capsys, nothing_is_trained, no_pictures, count):
    report = write_report(seeds=[0, 1, 2])
    finished(report, report.runs())
    assert status("--seeds", count) == 0
    assert "alone" not in capsys.readouterr().out
    assert " of 3" not in (RESULTS / "figures/mini/curves.json").read_text()


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "one", "10001"])
def test_numbers_of_seeds_that_are_none(capsys, count):
    write_report()
    assert status("--seeds", count) == 2
    assert f"run: --seeds: {count!r} is not a whole number from 1 to 10,000" in capsys.readouterr().err


def test_the_first_seeds_bring_along_what_they_follow():
    """All trials of a study before a trial, and the run whose weights a run starts from."""
    report = write_report(
        seeds=[5, 6, 7], experiments={**EXPERIMENTS, "study": {"seeds": [0], "asha": STUDY}}
    )
    runs = all_runs(report)
    chosen = verb.first_seeds(report, runs, 1)
    assert len(chosen) == 4 + STUDY["trials"]
    assert {run.settings.seeds.init for run in chosen.values()} == {0, 5}
    for run in chosen.values():
        assert set(run.follows) <= chosen.keys()


def test_what_is_skipped_is_left_out(capsys, nothing_is_trained, no_pictures):
    report = write_report()
    finished(report, [run for run, each in report.runs().items() if not each.parent])
    assert status("--skip", "tuned") == 0
    said = capsys.readouterr()
    assert "tuning is left out: it needs tuned, which is skipped" in said.err
    assert "claims: 0 reproduced, 1 not run" in said.out
    assert not list(RESULTS.glob("figures/mini/tuning.*"))


def test_a_damaged_result_is_one_line_and_the_others_are_made(capsys, nothing_is_trained, no_pictures):
    report = write_report()
    finished(report, report.runs())
    (run,) = report.cells("tuned")[0].runs
    (RESULTS / "runs" / run / "history.parquet").write_bytes(b"")
    assert status() == 1
    said = capsys.readouterr()
    assert f"runs/{run}/history.parquet: damaged" in said.err.splitlines()[-1]
    assert (RESULTS / "figures/mini/curves.png").is_file()


def test_options_of_training_reach_the_engine(monkeypatch):
    write_report()
    told = []

    class Asked(BaseException):
        pass

    def train(report, runs, layout, training):
        told.append(training)
        raise Asked

    monkeypatch.setattr(verb, "train_runs", train)
    monkeypatch.setattr(verb, "provide_data", lambda *rest: None)
    with pytest.raises(Asked):
        status("--precision", "bfloat16", "--cuda-graphs", "off", "--exact-threads")
    assert told == [
        TrainingOptions(device="cpu", threads=1, precision="bfloat16", cuda_graphs="off", exact_threads=True)
    ]


# ---- data ----


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], ["synthesize", "fetch", "decode", "statistics"]),
        (["synthetic/cifar10.json"], ["fetch", "decode", "statistics"]),
        (["cifar10/dataset.json"], []),
    ],
)
def test_data_of_the_demo(monkeypatch, there, expected):
    done = follow(monkeypatch, there)
    verb.provide("cifar10", "synthetic", verb.ResultsAndDataOptions(scale="demo"), ())
    assert done == [(step, "cifar10") for step in expected]


def test_data_of_a_stand_in_come_from_another_set(monkeypatch):
    done = follow(monkeypatch, [])
    verb.provide("cinic10", "stand-in", verb.ResultsAndDataOptions(scale="demo"), ())
    assert done == [
        *((step, "cifar10") for step in ("fetch", "decode", "statistics")),
        ("stand_in", "cinic10"),
        *((step, "cinic10-stand-in") for step in ("decode", "statistics")),
    ]


def follow(monkeypatch, there):
    """What is done to data sets, of which these files are there."""
    done = []
    for file in there:
        path = RESULTS / "data" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    for step in ("synthesize", "fetch", "stand_in", "decode", "statistics"):
        monkeypatch.setattr(verb.sets, step, lambda name, step=step, **options: done.append((step, name)))
    return done


def test_data_that_cannot_be_had_is_one_line_before_anything_is_trained(capsys, monkeypatch):
    write_report()
    monkeypatch.setattr(verb, "train_runs", lambda *rest: pytest.fail("trained"))
    monkeypatch.setattr("reprise.data.fetch.fetch_dataset", refuse_fetch)
    with pytest.raises(SystemExit) as end:
        main(["run", "mini", "--reports", "reports", *COMPUTE])
    assert end.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == "reprise: cifar10: no source gives it"


def refuse_fetch(name, *rest, **options):
    from reprise.errors import RepriseError

    raise RepriseError(f"{name}: no source gives it")


# ---- the last lines ----


def judged(layout, slug, *verdicts):
    """A document of statements; each is (kind, verdict, what it follows)."""
    statements = [
        {"kind": kind, "verdict": verdict, "follows": follows} for kind, verdict, follows in verdicts
    ]
    write_record(layout.statements(slug).with_suffix(".json"), {"format": FORMAT, "statements": statements})


def several(kind, **counts):
    return [(kind, verdict.replace("_", " "), "") for verdict, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (several("number", reproduced=3, differs=2), "numbers: 3 reproduced, 2 differ"),
        (several("number", reproduced=1, differs=1), "numbers: 1 reproduced, 1 differs"),
        (several("number", not_run=4), "numbers: 0 reproduced, 4 not run"),
        (several("claim", reproduced=2), "claims: 2 reproduced"),
        (
            several("claim", contradicted=1, undecided=2, reproduced=1, not_run=1),
            "claims: 1 reproduced, 2 undecided, 1 contradicted, 1 not run",
        ),
        (
            [*several("claim", undecided=1), *several("number", differs=2)],
            "numbers: 0 reproduced, 2 differ; claims: 0 reproduced, 1 undecided",
        ),
        ([("number", "differs", "other"), ("number", "reproduced", "")], "numbers: 1 reproduced"),
        ([], "no statements"),
    ],
)
def test_the_last_line(verdicts, said):
    layout = Layout(Path("results"), "full")
    judged(layout, "one", *verdicts)
    assert closing(["one"], layout) == [
        "verdicts one by one: results/statements/one.md",
        f"results are in results: {said}",
    ]


def test_several_reports_have_a_line_each():
    layout = Layout(Path("out"), "quick")
    judged(layout, "one", *several("number", reproduced=1, differs=1))
    judged(layout, "two", *several("number", differs=1), *several("claim", reproduced=1))
    assert closing(["one", "two", "of which nothing is judged"], layout, ["a note"]) == [
        "out/quick/statements/one.md: numbers: 1 reproduced, 1 differs",
        "out/quick/statements/two.md: numbers: 0 reproduced, 1 differs; claims: 1 reproduced",
        "results are in out/quick (QUICK – real data; a note): numbers: 1 reproduced, 2 differ; claims: 1 "
        "reproduced",
    ]


def test_nothing_is_judged():
    assert closing(["one"], Layout(Path("results"), "full")) == ["results are in results"]


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', '{"format": 99, "sha256": "x"}'])
def test_a_damaged_document_is_a_line(content):
    layout = Layout(Path("results"), "full")
    judged(layout, "two", *several("number", reproduced=1))
    file = layout.statements("one").with_suffix(".json")
    file.write_text(content)
    first, *_, last = closing(["one", "two"], layout)
    assert first.startswith(f"{file}: ")
    assert last == "results are in results: numbers: 1 reproduced"


def test_counts_of_no_kind():
    from collections import Counter

    assert tally(Counter()) == "no statements"
