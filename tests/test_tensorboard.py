"""`reprise tensorboard`: event files of finished runs, read back with TensorBoard's own reader."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from made_up import write_results
from mini import STUDY, convolution, mini
from reprise.cli import main
from reprise.publishing.tensorboard import PREFIX, folder_name, hyperparameters
from reprise.records import read_record, write_record
from reprise.reports.layout import Layout
from reprise.reports.report import Report

EXPERIMENTS = {
    "base": {},
    "rates": {"grid": {"lr": {"path": "optimizer.lr", "values": [0.01, 0.02]}}},
    "noisy": {"set": {"augmentation": [{"flip": 0.5}]}},
}
EVENTS = Path("results/demo/tensorboard")
OPTIONS = ["--reports", "reports", "--scale", "demo"]
META = {
    "started": "2026-11-28T22:00:00+00:00",
    "finished": "2026-11-28T23:00:00+00:00",
    "selected_epoch": 2,
    "learning_rates": [0.01, 0.005],
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def report():
    return write_report()


@pytest.fixture
def read():
    """A run's folder → what TensorBoard reads there."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def read(folder):
        found = accumulators.EventAccumulator(str(folder))
        found.Reload()
        return found

    return read


def write_report(slug="mini", experiments=EXPERIMENTS, seeds=(0, 1), **parts):
    document = mini(convolution(), experiments) | {"slug": slug} | parts
    document["defaults"]["seeds"] = list(seeds)
    Path("reports").mkdir(exist_ok=True)
    Path(f"reports/{slug}.yaml").write_text(yaml.safe_dump(document))
    return Report(f"reports/{slug}.yaml", "demo")


def finish(report, runs=None, **meta):
    layout = Layout(Path("results"), "demo")
    write_results(report, layout.runs, report.runs() if runs is None else runs, **{**META, **meta})
    return layout


def status(*words):
    try:
        main(["tensorboard", *words, *OPTIONS])
    except SystemExit as end:
        return end.code
    return 0


def files():
    return {str(file.relative_to(EVENTS)): file.read_bytes() for file in EVENTS.rglob("*") if file.is_file()}


def test_every_epoch_of_every_split(report, read, capsys):
    layout = finish(report)
    assert status("mini") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{EVENTS}: 8 runs; look at them with:",
        f"  tensorboard --logdir {EVENTS}",
    ]
    assert sorted(folder.name for folder in (EVENTS / "mini").iterdir()) == [
        *("base-seed0", "base-seed1", "noisy-seed0", "noisy-seed1"),
        *(f"rates-lr={rate}-seed{seed}" for rate in (0.01, 0.02) for seed in (0, 1)),
    ]
    (run,) = [run for run in report.cells("rates/lr=0.02")[0].members if run.settings.seeds.init == 1]
    history = made_history(layout, run.hash)
    found = read(EVENTS / "mini/rates-lr=0.02-seed1")
    for metric in ("loss", "accuracy"):
        for split in ("train", "test"):
            scalars = found.Scalars(f"{metric}/{split}")
            assert [each.step for each in scalars] == [1, 2]
            expected = [history[epoch, split][metric] for epoch in (1, 2)]
            assert [each.value for each in scalars] == pytest.approx(expected)
    assert [each.value for each in found.Scalars("learning_rate")] == pytest.approx([0.01, 0.005])
    (final,) = found.Scalars("final/accuracy")
    assert final.step == META["selected_epoch"]
    assert found.Scalars("loss/train")[-1].wall_time - found.Scalars("loss/train")[0].wall_time == 1800
    assert not [tag for tag in found.Tags()["scalars"] if tag.startswith("final/parameters.")]


def made_history(layout, run):
    import pyarrow.parquet as pq

    rows = pq.read_table(layout.runs / run / "history.parquet").to_pylist()
    return {(row["epoch"], row["split"]): row for row in rows}


def test_settings_as_text_and_as_hyperparameters(report, read):
    finish(report)
    assert status("mini") == 0
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = read(EVENTS / "mini/rates-lr=0.02-seed0")
    (text,) = found.Tensors("settings")
    said = text.tensor_proto.string_val[0].decode()
    (run,) = [run for run in report.cells("rates/lr=0.02")[0].members if run.settings.seeds.init == 0]
    head, _, settings = said.partition("\n\n")
    assert head == f"**mini**: `rates/lr=0.02`, seed 0; run `{run.hash}`, on AMD EPYC"
    assert yaml.safe_load(settings) == run.spec

    def plugin(name, folder="rates-lr=0.02-seed0"):
        data = read(EVENTS / "mini" / folder).SummaryMetadata(f"_hparams_/{name}").plugin_data
        assert data.plugin_name == "hparams"
        return HParamsPluginData.FromString(data.content)

    start, other = (
        plugin("session_start_info", f"rates-lr=0.02-seed{seed}").session_start_info for seed in (0, 1)
    )
    assert start.hparams["lr"].number_value == 0.02
    assert start.hparams["optimizer.name"].string_value == "adam"
    assert start.hparams["training.batch_size"].number_value == 32
    assert start.group_name == other.group_name == "mini/rates/lr=0.02", "the seeds of one configuration"
    assert start.hparams == other.hparams, "as TensorBoard asks of a group"
    assert plugin("session_end_info").session_end_info.end_time_secs - start.start_time_secs == 3600


def test_the_same_bytes_each_time(report, read):
    finish(report)
    assert status("mini") == 0
    first, stamps = files(), {file: file.stat().st_mtime_ns for file in EVENTS.rglob("*")}
    assert status() == 0
    assert {file: file.stat().st_mtime_ns for file in EVENTS.rglob("*")} == stamps, "nothing is written again"
    for file in EVENTS.rglob(f"{PREFIX}*"):
        file.write_bytes(file.read_bytes()[:-1])
    assert status() == 0
    assert files() == first, "cut files are made again"


def test_runs_that_are_gone_go(report, read):
    layout = finish(report)
    assert status("mini") == 0
    (EVENTS / "mini/base-seed0/notes.txt").write_text("mine")
    for seed in (0, 1):
        run = report.cells("base")[0].runs[seed]
        (layout.runs / run / "run.json").unlink()
    assert status("mini") == 0
    assert {name for name in files() if "base" in name} == {"mini/base-seed0/notes.txt"}
    assert not (EVENTS / "mini/base-seed1").exists()
    assert len(files()) == 7


def test_a_run_that_is_trained_again_replaces_its_file(report, read):
    layout = finish(report)
    assert status("mini") == 0
    before = files()
    run = report.cells("base")[0].runs[0]
    record = read_record(layout.runs / run / "run.json", "")
    record["meta"]["finished"] = "2026-11-29T01:00:00+00:00"
    write_record(layout.runs / run / "run.json", record)
    assert status("mini") == 0
    assert files().keys() == before.keys()
    assert [name for name in before if files()[name] != before[name]] == [f"mini/base-seed0/{PREFIX}{run}"]


def test_several_reports_and_what_is_finished_of_them(report, read, capsys):
    other = write_report("other", {"base": {"set": {"optimizer.lr": 0.5}}}, seeds=[3])
    write_report("empty", {"base": {"set": {"optimizer.lr": 0.7}}})
    finish(report, [report.cells("base")[0].runs[1]])
    finish(other)
    assert status() == 0
    assert f"{EVENTS}: 2 runs; " in capsys.readouterr().out
    assert sorted(str(folder.relative_to(EVENTS)) for folder in EVENTS.glob("*/*")) == [
        "mini/base-seed1",
        "other/base-seed3",
    ]


def test_trials_of_a_study(read):
    report = write_report(experiments={"search": {"seeds": [0], "asha": STUDY}})
    finish(report)
    assert status("mini") == 0
    names = sorted(folder.name for folder in (EVENTS / "mini").iterdir())
    assert len(names) == STUDY["trials"]
    for number, (name, cell) in enumerate(zip(names, report.cells("search"), strict=True)):
        assert name == f"search-trial={number}-lr={cell.settings['lr']}-seed0"


def test_a_record_without_times_and_rates(report, read):
    """As runs of earlier versions have it."""
    finish(report, started=None, finished="", learning_rates=None, selected_epoch=None)
    for file in Path("results/demo/runs").glob("*/run.json"):
        record = read_record(file, "")
        record["meta"] = {key: value for key, value in record["meta"].items() if value is not None}
        write_record(file, record)
    assert status("mini") == 0
    found = read(EVENTS / "mini/base-seed0")
    assert [each.step for each in found.Scalars("loss/train")] == [1, 2]
    assert "learning_rate" not in found.Tags()["scalars"]


def test_nothing_is_finished(report, read, capsys):
    assert status("mini") == 1
    said = capsys.readouterr().err
    assert said == "reprise: results/demo/runs: no finished run of mini at scale demo; train some first\n"
    assert not EVENTS.exists()


def test_a_damaged_history_is_one_line(report, read, capsys):
    layout = finish(report)
    (layout.runs / report.cells("base")[0].runs[0] / "history.parquet").write_bytes(b"")
    assert status("mini") == 1
    assert "history.parquet: damaged" in capsys.readouterr().err


# ---- without tensorboard ----


def test_without_tensorboard_one_line_says_what_to_install(report, capsys, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    finish(report)
    assert status("mini") == 1
    assert capsys.readouterr().err == (
        "reprise: event files are written by tensorboard, which is not installed; install it with: pip "
        "install tensorboard\n"
    )
    assert not EVENTS.exists()


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("base", "base-seed0"),
        ("rates/lr=0.01", "rates-lr=0.01-seed0"),
        ("grid/lr=1e-05,batch_size=64", "grid-lr=1e-05-batch_size=64-seed0"),
        ("cnn/depth=two@as_written", "cnn-depth=two@as_written-seed0"),
        ("a/x=$(rm -r /)", "a-x=_rm_-r_-_-seed0"),
        ("a/x=größe b", "a-x=gr_e_b-seed0"),
        ("a/x=..", "a-x=..-seed0"),
        ("a" * 500, "a" * 150 + "-seed0"),
    ],
)
def test_names_of_folders(cell, name):
    assert folder_name(cell, 0) == name


def test_hyperparameters_leave_out_seeds_and_long_lists(report):
    cell = report.cells("noisy")[0]
    found = hyperparameters(cell, cell.members[0].spec)
    assert found["augmentation"] == '[{"flip":0.5}]'
    assert found["training.epochs"] == 2
    assert not [name for name in found if name.startswith(("seeds", "engine"))]
    assert all(isinstance(value, str | bool | int | float) for value in found.values())
    deep = {**cell.members[0].spec, "model": {"layers": [{"dense": 10}] * 100, "width": 0.5}}
    assert "model.layers" not in hyperparameters(cell, deep)
    assert hyperparameters(cell, deep)["model.width"] == 0.5
    assert json.dumps(found)
