"""What each verb imports, in a process of its own: a demo starts a hundred of them, and a needless import
costs each a second or two.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mini import convolution, mini
from reprise.data.catalog import class_names
from reprise.errors import RepriseError
from reprise.publishing.measures import RESULT_COLUMNS
from reprise.publishing.pretended import named_layers, pretended
from reprise.publishing.results import EVALUATION, RUN
from reprise.records import FILES, digests, write_record
from reprise.reports.figures import OWN_FIGURES as FIGURES
from reprise.reports.report import CHECKED, Report, network_names, report_files
from reprise.reports.tables import OWN_TABLES as TABLES
from reprise.workflow.config import Config, job_environment
from reprise.workflow.programme import INTERMEDIATES
from tiny import write_dataset

FOLDER = Path(__file__).parents[1] / "workflow/reports"
SCALE = "demo"
NETWORKS = {"torch", "torchvision", "timm", "optuna", "sklearn", "safetensors", "tensorflow"}
NEVER = NETWORKS | {
    "seaborn",
    "pandas",
    "jinja2",
    "requests",
    "tqdm",
    "snakemake",
    "scipy.stats",
    "matplotlib.pyplot",
}
"""What no verb that publishes needs."""
PICTURES = {"matplotlib", "PIL"}
VERDICTS = {"metrics", "comparison", "classes", "settings"}
"""Kinds of table that ask SciPy for quantiles."""
BANDS = {"bars"}
"""Kinds of figure that do."""


@pytest.fixture(scope="module")
def reports():
    return [Report(path, SCALE) for path in report_files(FOLDER).values()]


def first(reports, section, kind):
    """The first figure or table of a kind, with its report."""
    return next(
        (report, item) for report in reports for item in getattr(report, section) if item.kind == kind
    )


def imported(folder, *arguments, environment=None):
    """The modules that a command has imported when it ends."""
    code = (
        "import contextlib, json, sys\n"
        "from reprise.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(sys.argv[1:])\n    print('no exit')\n"
        "print(json.dumps(list(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert not done.stderr
    assert "no exit" in lines or {"--help", "--version"} & set(arguments), "the command failed"
    return set(json.loads(lines[-1]))


def publish(folder, *arguments, environment=None):
    options = [
        "--scale",
        SCALE,
        "--results",
        folder,
        *(() if "--reports" in arguments else ("--reports", FOLDER)),
    ]
    return imported(folder, *arguments, *options, environment=environment)


def write_results(report, runs, folder):
    """What training and evaluating these runs would leave: every image is classified correctly."""
    specs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    chosen = {run: specs[run] for run in runs}
    tables = pretended(
        chosen,
        {run: class_names(spec) for run, spec in chosen.items()},
        named_layers(report),
    )
    for run, spec in chosen.items():
        for name, columns in RESULT_COLUMNS.items():
            table = getattr(tables, name)
            rows = [row for row in zip(*(table[column] for column in columns), strict=True) if row[0] == run]
            if name == "final":
                rows = [
                    (one, metric, 1.0 if metric == "accuracy" else float(value))
                    for one, metric, value in rows
                ]
            path = folder / SCALE / "runs" / run / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                pa.table({column: [row[place] for row in rows] for place, column in enumerate(columns)}), path
            )
        path = folder / SCALE / "runs" / run
        write_record(
            path / RUN, {"run": run, "spec": spec.spec, "meta": {}, FILES: digests(path, ["history.parquet"])}
        )
        write_record(
            path / EVALUATION, {"run": run, FILES: digests(path, ["predictions.parquet", "final.parquet"])}
        )


def prepared(report, section, item, folder):
    """Results and intermediate files of a figure or table."""
    write_results(report, {run for cell in report.needed(item) for run in cell.runs}, folder)
    verb = INTERMEDIATES[section].get(item.kind, "").split(".")
    return verb[1] if len(verb) > 1 else None


HELP = {"rich", "pygments", "markdown_it", "docstring_parser"}
"""What Cyclopts prints help with, and no verb needs."""


def test_version_and_help_import_next_to_nothing(tmp_path):
    for arguments in (["--version"], ["--help"], ["figure", "--help"]):
        found = imported(tmp_path, *arguments)
        assert not found & (
            NEVER | PICTURES | {"numpy", "yaml", "pydantic", "pyarrow", "reprise.reports.report"}
        )


def test_training_and_evaluation_import_no_library_of_statistics():
    code = "import json, sys, reprise.training, reprise.evaluation; print(json.dumps(list(sys.modules)))"
    found = set(
        json.loads(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        )
    )
    assert "torch" in found
    assert not found & {"sklearn", "scipy", "seaborn", "matplotlib", "torchvision", "timm", "optuna"}


@pytest.mark.parametrize("kind", [kind for kind in FIGURES if kind != "samples"])
def test_figures(reports, tmp_path, kind):
    report, item = first(reports, "figures", kind)
    intermediate = prepared(report, "figures", item, tmp_path)
    if intermediate:
        assert publish(tmp_path, intermediate, report.slug, item.id)
    found = publish(tmp_path, "figure", report.slug, item.id)
    assert not found & (NEVER | HELP)
    assert "scipy" not in found or kind in BANDS
    assert ("pyarrow" in found) == bool(report.needed(item))
    assert {f"reprise.publishing.figures.{kind}", "matplotlib"} <= found
    assert (tmp_path / SCALE / "figures" / report.slug / f"{item.id}.png").stat().st_size > 1000


@pytest.mark.parametrize("kind", TABLES)
def test_tables(reports, tmp_path, kind):
    report, item = first(reports, "tables", kind)
    intermediate = prepared(report, "tables", item, tmp_path)
    if intermediate:
        publish(tmp_path, intermediate, report.slug, item.id)
    found = publish(tmp_path, "table", report.slug, item.id)
    assert not found & (NEVER | PICTURES)
    assert "scipy" not in found or kind in VERDICTS
    assert ("pyarrow" in found) == bool(report.needed(item))
    assert (tmp_path / SCALE / "tables" / report.slug / f"{item.id}.csv").read_text().count("\n") > 1


@pytest.mark.parametrize("slug", ["cifar10_asha", "cifar100_mlp_cnn"])
def test_statements(reports, tmp_path, slug):
    (report,) = (report for report in reports if report.slug == slug)
    write_results(report, report.runs(), tmp_path)
    found = publish(tmp_path, "statements", slug)
    assert not found & (NEVER | PICTURES)
    assert "reproduced" in (tmp_path / SCALE / "statements" / f"{slug}.csv").read_text()


SAMPLES = {
    "plain": {"dataset": "cifar10", "captions": ["fine"], "by": "fine"},
    "transformed": {
        "dataset": "cifar10",
        "captions": ["fine"],
        "transforms": [{"label": "original"}, {"label": "flip", "augmentation": [{"flip": 1.0}]}],
    },
    "sharpened": {
        "dataset": "cifar10",
        "captions": ["fine"],
        "transforms": [{"label": "sharp", "preprocess": {"sharpen": 2.0}}],
    },
}
NEEDS = {"plain": set(), "transformed": {"torch", "tqdm"}, "sharpened": {"torch", "tqdm", "torchvision"}}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(tmp_path, name):
    document = {
        "slug": "mini",
        "title": "Mini",
        "models": {"net": {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]}},
        "defaults": {
            "dataset": {"name": "cifar10", "labels": "label"},
            "split": {"validation": "test"},
            "model": "net",
            "optimizer": {"name": "sgd", "lr": 0.01},
            "training": {"epochs": 1, "batch_size": 32, "select": "last"},
            "seeds": [0],
        },
        "experiments": {"base": {}},
        "figures": [{"id": "figure_01", "kind": "samples", "caption": "Images.", "images": SAMPLES[name]}],
    }
    (tmp_path / "mini.yaml").write_text(json.dumps(document))  # JSON is YAML
    write_dataset(tmp_path / SCALE / "data/cifar10")
    made = publish(tmp_path, "samples", "mini", "figure_01", "--reports", tmp_path)
    assert not made & ((NEVER | {"pyarrow", "matplotlib", "scipy"}) - NEEDS[name])
    assert "PIL" not in made or NEEDS[name]
    drawn = publish(tmp_path, "figure", "mini", "figure_01", "--reports", tmp_path)
    assert not drawn & (NEVER | {"pyarrow", "scipy"})


def test_layer_tables_import_what_builds_their_networks_and_no_more(reports, tmp_path):
    families_seen = []
    for report in reports:
        for item in [*report.tables, *report.figures]:
            families = {
                run.settings.model["name"] for _, run in report.networks(network_names(item)).values()
            }
            if not families or families in families_seen:
                continue
            families_seen.append(families)
            found = publish(tmp_path, "layers", report.slug, item.id)
            assert not found & ((NEVER | {"matplotlib", "pyarrow", "scipy"}) - {"torch", "tqdm"})
            assert (tmp_path / SCALE / "intermediate" / report.slug / f"{item.id}.layers.json").is_file()
    assert {"sequential"} in families_seen


def test_a_job_of_the_workflow_checks_no_report_file_again(tmp_path, monkeypatch):
    """At the scales that the workflow has checked a mistake goes unseen, at another it is found."""
    for name in ("PATH", "REPRISE_DEVICE", "REPRISE_MIRROR", "PYTHONPATH", CHECKED):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what is set is put back
    rates = {"grid": {"lr": {"path": "optimizer.lr", "values": [0.1, 0.2]}}}
    table = {"id": "space", "kind": "space", "caption": "Rates.", "experiment": "rates"}
    document = mini(convolution(), {"rates": rates}, tables=[table])
    (tmp_path / "mini.yaml").write_text(json.dumps(document))
    report = Report(tmp_path / "mini.yaml", SCALE)
    wrong = {**document, "statements": [{"number": "n", "reported": "1", "measure": "accuracy(rate)"}]}
    (tmp_path / "mini.yaml").write_text(json.dumps(wrong))
    job_environment(Config(), Path(__file__).parents[1] / "src", [report])
    publish(tmp_path, "table", "mini", "space", "--reports", tmp_path)
    assert "learning rate" in (tmp_path / SCALE / "tables/mini/space.md").read_text().lower()
    other = "quick" if SCALE != "quick" else "full"
    with pytest.raises(RepriseError, match=r"statements\.n\.measure .*; did you mean rates"):
        Report(tmp_path / "mini.yaml", other)
    assert Report(tmp_path / "mini.yaml", SCALE).statements
