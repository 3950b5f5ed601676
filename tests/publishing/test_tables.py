"""Tables: their values against hand-computed ones, and the three formats."""

import csv
import re
from dataclasses import replace

import jsonschema
import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.publishing.measures import Tables
from reprise.publishing.tables import KINDS, mean_and_sd, setting, write_table
from reprise.spec.check import kinds
from reprise.spec.report import Cell
from reprise.spec.run import Run

LAYERS = {
    "basic": {
        "title": "First CNN (part 1)",
        "rows": [
            {"layer": "conv 3×3, 32, same", "kind": "conv", "activation": "relu", "output_shape": [32, 32, 32], "parameters": 896},
            {"layer": "max pool 2×2", "kind": "pool", "activation": None, "output_shape": [32, 16, 16], "parameters": 0},
        ],
        "parameters": 896,
    },
    "mlp": {
        "rows": [{"layer": "dense 20", "kind": "dense", "activation": None, "output_shape": [20], "parameters": 61460}],
        "parameters": 61460,
    },
}


def cell(name, seeds=3, epochs=20, **settings):
    model = {"name": "sequential", "layers": [{"conv": 32, "kernel": 3}, {"dropout": 0.25}, {"conv": 64, "kernel": 3}]}
    optimizer = {"name": "adam", "lr": 1e-3}
    spec = {"model": model, "optimizer": optimizer, "training": {"epochs": epochs, "batch_size": 64}, "note": {"name": name, **settings}}
    return Cell(name, settings, None, tuple(Run({**spec, "seeds": {"init": seed}}) for seed in range(seeds)))


def final(cell, accuracies, epochs):
    rows = []
    for run, accuracy, epoch in zip(cell.runs, accuracies, epochs, strict=True):
        rows += [(run, "accuracy", accuracy), (run, "selected_epoch", float(epoch)), (run, "test_images", 10000.0)]
    return pd.DataFrame(rows, columns=["run", "metric", "value"])


def layers_spec(**changes):
    return {"id": "table_01", "kind": "layers", "caption": "The networks.", "networks": ["basic", "mlp"]} | changes


def settings_spec(**changes):
    rows = [
        {"label": "Optimizer", "setting": "optimizer.name", "reported": "Adam"},
        {"label": "Learning rate", "setting": "optimizer.lr", "reported": "1e-3"},
        {"label": "Filters", "setting": "model.layers.*.conv"},
        {"label": "Accuracy", "metric": "accuracy", "reported": "0.496"},
        {"label": "Best epoch", "metric": "best_epoch"},
    ]
    return {"id": "table_02", "kind": "settings", "caption": "50% & best_model", "runs": "adam", "rows": rows} | changes


def trials_spec(**changes):
    spec = {"id": "table_03", "kind": "trials", "caption": "The random search.", "runs": "search", "metric": "accuracy"}
    return spec | {"reported": {"conv1": 32, "dense": 128}} | changes


def write(folder, spec, cells=(), scale="full", **more):
    stem = folder / "tables" / spec["id"]
    if frames := {name: more.pop(name) for name in ("history", "final") if name in more}:
        more["tables"] = Tables.of(**frames)
    write_table(spec, slug="report", resolve=lambda selector: list(cells), scale=scale, out_stem=stem, **more)
    return {suffix: (stem.parent / f"{spec['id']}.{suffix}").read_text(encoding="utf-8") for suffix in ("csv", "md", "tex")}


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def settings_table(folder, scale="full", **changes):
    adam = cell("adam")
    return write(folder, settings_spec(**changes), [adam], scale, final=final(adam, [0.49, 0.50, 0.51], [4, 5, 9]))


def trials_table(folder, scale="full", **changes):
    found = [
        cell("search", 2, trial=0, conv1=32, dense=128),
        cell("search", 2, trial=1, conv1=16, dense=64),
        cell("search", 1, trial=2, conv1=64, dense=64),
    ]
    accuracies, epochs = ([0.50, 0.52], [0.55, 0.53], [0.40]), ([10, 12], [20, 21], [3])
    table = pd.concat([final(one, *values) for one, *values in zip(found, accuracies, epochs, strict=True)])
    return write(folder, trials_spec(**changes), found, scale, final=table)


# ---- layers ----


def test_layers_list_each_network_and_its_parameters(tmp_path):
    files = write(tmp_path, layers_spec(), layers=LAYERS)
    data = rows(files["csv"])
    assert [(row["architecture"], row["position"], row["output_shape"], row["parameters"]) for row in data] == [
        ("First CNN (part 1)", "1", "32 × 32 × 32", "896"),
        ("First CNN (part 1)", "2", "32 × 16 × 16", "0"),
        ("mlp", "1", "20", "61460"),
    ]
    assert "| 1 | conv 3×3, 32, same | relu | 32 × 32 × 32 | 896 |" in files["md"]
    assert "|  | total |  |  | 61,460 |" in files["md"]
    assert files["md"].count("**First CNN (part 1)**") == 1
    assert files["tex"].count(r"\toprule") == 2
    assert r"32 $\times$ 16 $\times$ 16" in files["tex"]


# ---- settings ----


def test_settings_and_measured_values_stand_beside_the_reported(tmp_path):
    files = settings_table(tmp_path)
    data = {row["setting"]: row for row in rows(files["csv"])}
    assert (data["Optimizer"]["value"], data["Optimizer"]["reported"], data["Optimizer"]["n"]) == ("adam", "Adam", "")
    assert data["Learning rate"]["value"] == "0.001"
    assert data["Filters"]["value"] == "32, 64"
    assert float(data["Accuracy"]["value"]) == pytest.approx(0.5)
    assert float(data["Accuracy"]["sd"]) == pytest.approx(0.01)
    assert (data["Accuracy"]["n"], data["Accuracy"]["reported"]) == ("3", "0.496")
    assert "| Accuracy | 0.5000 ± 0.0100 | 0.496 |" in files["md"]
    assert "| Best epoch | 6.0 ± 2.6 |  |" in files["md"]
    assert "± is the standard deviation over 3 seeds." in files["md"]


def test_a_setting_that_differs_between_seeds_is_listed(tmp_path):
    files = settings_table(tmp_path, rows=[{"label": "Seeds", "setting": "seeds.init"}])
    assert rows(files["csv"])[0]["value"] == "0; 1; 2"
    assert "Report" not in files["md"]


def test_paths_of_settings():
    spec = {"model": {"layers": [{"conv": 32}, {"dropout": 0.25}, {"conv": 64}]}, "flag": True}
    assert setting(spec, "model.layers.*.conv") == ["32", "64"]
    assert setting(spec, "model.layers.1.dropout") == ["0.25"]
    assert setting(spec, "flag") == ["true"]


# ---- trials ----


def test_trials_are_ranked_and_winners_marked(tmp_path):
    files = trials_table(tmp_path)
    data = rows(files["csv"])
    assert [(row["rank"], row["trial"], row["conv1"], row["dense"], row["n"]) for row in data] == [
        ("1", "1", "16", "64", "2"),
        ("2", "0", "32", "128", "2"),
        ("3", "2", "64", "64", "1"),
    ]
    assert [float(row["accuracy"]) for row in data] == pytest.approx([0.54, 0.51, 0.40])
    assert float(data[0]["sd"]) == pytest.approx(0.02 / 2**0.5)
    assert [row["winner"] for row in data] == ["True", "False", "False"]
    assert [row["reported_winner"] for row in data] == ["False", "True", "False"]
    lines = files["md"].splitlines()
    assert "| Rank | Trial | Conv1 | Dense | Accuracy | Selected epoch | Winner of |" in lines
    assert "| 1 | 1 | 16 | 64 | 0.5400 ± 0.0141 | 20.5 ± 0.7 | this study |" in lines
    assert "| 3 | 2 | 64 | 64 | 0.4000 | 3 |  |" in lines
    assert [line.rsplit("|", 2)[1].strip() for line in lines if line.startswith("| 2 ")] == ["the report"]


def test_best_values_of_a_split_come_from_the_history(tmp_path):
    one, two = cell("search", 1, conv1=32), cell("search", 1, conv1=16)
    history = pd.DataFrame(
        [
            (run, epoch, "validation", loss, 0.5)
            for run, losses in ((one.runs[0], [2, 1, 3]), (two.runs[0], [2, 0.5, 4]))
            for epoch, loss in enumerate(losses, 1)
        ],
        columns=["run", "epoch", "split", "loss", "accuracy"],
    )
    table = pd.concat([final(one, [0.5], [2]), final(two, [0.5], [2])])
    changes = {"metric": "loss", "split": "validation", "at": "best", "reported": {"conv1": 32}}
    files = write(tmp_path, trials_spec(**changes), [one, two], history=history, final=table)
    assert [(row["conv1"], row["loss"]) for row in rows(files["csv"])] == [("16", "0.5"), ("32", "1.0")]
    assert "| Best validation loss |" in files["md"]


def test_equal_trials_share_a_rank(tmp_path):
    found = [cell("search", 1, conv1=size) for size in (16, 32, 64)]
    table = pd.concat([final(one, [value], [1]) for one, value in zip(found, (0.5, 0.5, 0.4), strict=True)])
    data = rows(write(tmp_path, trials_spec(reported={"conv1": 16}), found, final=table)["csv"])
    assert [(row["rank"], row["winner"]) for row in data] == [("1", "True"), ("1", "True"), ("3", "False")]


# ---- metrics ----


def metrics_spec(*rows, **changes):
    return {"id": "table_04", "kind": "metrics", "caption": "Test accuracies.", "rows": list(rows)} | changes


def row(label="Best", reported="0.52", **measure):
    return {"label": label, "reported": reported, "measure": {"metric": "accuracy", "runs": "cnn"} | measure}


def curves(cell, validation):
    """One epoch of each run, which is selected, with these validation accuracies."""
    rows = [(run, 1, "validation", 1.0, accuracy) for run, accuracy in zip(cell.runs, validation, strict=True)]
    return pd.DataFrame(rows, columns=["run", "epoch", "split", "loss", "accuracy"])


def metrics_table(folder, *rows, scale="full", **more):
    """Two configurations of three seeds; validation prefers the second seed of the second, which is not the best on the test images."""
    found = [cell("cnn", batch_size=64, lr=0.001), cell("cnn", batch_size=128, lr=0.001)]
    table = pd.concat([final(found[0], [0.59, 0.60, 0.61], [1] * 3), final(found[1], [0.49, 0.50, 0.51], [1] * 3)])
    history = pd.concat([curves(found[0], [0.5, 0.5, 0.5]), curves(found[1], [0.5, 0.7, 0.6])])
    cells = {"cnn": found, "cnn/batch_size=64": found[:1]}
    stem = folder / "tables" / "table_04"
    write_table(
        metrics_spec(*rows),
        slug="report",
        resolve=cells.__getitem__,
        scale=scale,
        out_stem=stem,
        tables=Tables.of(history=history, final=table),
        **more,
    )
    return {suffix: (stem.parent / f"table_04.{suffix}").read_text(encoding="utf-8") for suffix in ("csv", "md", "tex")}, found


@pytest.mark.parametrize(
    ("reported", "verdict"), [("0.50", "reproduced"), ("0.5100", "reproduced"), ("0.5200", "differs"), ("0.60", "differs")]
)
def test_the_best_model_stands_beside_what_the_report_says(tmp_path, reported, verdict):
    files, found = metrics_table(tmp_path, row(pick="best", reported=reported))
    (line,) = rows(files["csv"])
    assert (line["configuration"], line["run"]) == (found[1].name, found[1].runs[1])
    assert (line["n"], line["sd"], line["reported"], line["verdict"]) == ("1", "", reported, verdict)
    assert float(line["value"]) == 0.5
    shown = "0.500" if reported == "0.50" or reported == "0.60" else "0.50000"
    assert f"| Best | batch size 128, lr 0.001, seed 1 | {reported} | {shown} | {verdict} |" in files["md"]
    assert "with the best validation accuracy" in files["md"]


def test_means_over_seeds_are_judged_by_the_scatter_of_the_table(tmp_path):
    one = row("Small batches", "0.62", runs="cnn/batch_size=64")
    files, _ = metrics_table(tmp_path, one, {**one, "label": "about", "about": 0.05}, row("Both", "0.55", cells="mean"))
    lines = {line["label"]: line for line in rows(files["csv"])}
    assert [lines[label]["verdict"] for label in ("Small batches", "about", "Both")] == ["reproduced", "reproduced", "reproduced"]
    assert float(lines["Small batches"]["sd"]) == pytest.approx(0.01)
    assert "| Small batches | batch size 64, lr 0.001 | 0.62 | 0.600 ± 0.010 | reproduced |" in files["md"]
    assert "| about | batch size 64, lr 0.001 | about 0.62 | 0.600 ± 0.010 | reproduced |" in files["md"]
    assert "| Both | mean of 2 configurations | 0.55 |" in files["md"]
    assert "± is the standard deviation over the seeds." in files["md"]
    assert "validation" not in files["md"]


def test_seeds_are_pooled_over_the_configurations_of_the_table(tmp_path):
    one, both = row("Small batches", "0.65", runs="cnn/batch_size=64"), row("Both", "0.55", cells="mean")
    alone, _ = metrics_table(tmp_path / "a", one)
    assert rows(alone["csv"])[0]["verdict"] == "reproduced"  # 4.30 · .01 · √(4/3) + .005 = .0547
    beside, _ = metrics_table(tmp_path / "b", one, both)
    assert rows(beside["csv"])[0]["verdict"] == "differs"  # 2.78 · .01 · √(4/3) + .005 = .0371


def test_a_row_without_a_reported_number_has_no_verdict(tmp_path):
    measured = {"label": "Images", "measure": {"metric": "test_images", "runs": "cnn/batch_size=64"}}
    files, _ = metrics_table(tmp_path, measured)
    assert (rows(files["csv"])[0]["verdict"], rows(files["csv"])[0]["reported"]) == ("", "")
    assert "| Images | batch size 64, lr 0.001 |  | 10000 |  |" in files["md"]


def test_a_reading_is_named(tmp_path):
    read = replace(cell("vit"), reading="as_written")
    table = final(read, [0.5] * 3, [1] * 3)
    files = write(tmp_path, metrics_spec(row()), [read], final=table)
    assert "| Best | vit, as written | 0.52 |" in files["md"]


# ---- formats ----


def test_notes_stand_on_the_face_of_every_format(tmp_path):
    files, _ = metrics_table(tmp_path, row(pick="best"), scale="demo", notes=["vgg_16 has random weights", "So has vgg_19."])
    assert files["md"].startswith("**DEMO – synthetic data**\n\n**vgg_16 has random weights**\n\n**So has vgg_19.**\n\nTest accuracies.")
    assert r"\caption{\textbf{DEMO -- synthetic data.} \textbf{vgg\_16 has random weights.} \textbf{So has vgg\_19.} Test" in files["tex"]
    assert rows(files["csv"])[0]["notes"] == "vgg_16 has random weights; So has vgg_19."
    plain, _ = metrics_table(tmp_path, row(pick="best"))
    assert "notes" not in rows(plain["csv"])[0]


def test_long_cells_are_broken_in_latex(tmp_path):
    files, _ = metrics_table(tmp_path, row("x" * 41, runs="cnn/batch_size=64"))
    assert r"\begin{tabular}{p{0.36\linewidth}lrrl}" in files["tex"]
    short, _ = metrics_table(tmp_path, row("x" * 40, runs="cnn/batch_size=64"))
    assert r"\begin{tabular}{llrrl}" in short["tex"]


@pytest.mark.parametrize(
    ("scale", "mark"), [("demo", "DEMO – synthetic data"), ("quick", "QUICK – fewer epochs, seeds or images than the report")]
)
def test_small_scales_say_so_in_every_format(tmp_path, scale, mark):
    for files in (
        settings_table(tmp_path, scale),
        trials_table(tmp_path, scale),
        write(tmp_path, layers_spec(), scale=scale, layers=LAYERS),
    ):
        assert {row["scale"] for row in rows(files["csv"])} == {scale}
        assert files["md"].startswith(f"**{mark}**\n\n")
        captions = re.findall(r"\\caption\{(.*)\}", files["tex"])
        assert captions
        assert all(caption.startswith(rf"\textbf{{{mark.replace('–', '--')}.}} ") for caption in captions)


def test_full_scale_has_no_mark(tmp_path):
    files = settings_table(tmp_path)
    assert {row["scale"] for row in rows(files["csv"])} == {"full"}
    assert not re.search("DEMO|QUICK", files["md"] + files["tex"])


def test_latex_is_escaped_and_markdown_cells_keep_their_bars(tmp_path):
    label = r"a_b & 5% #1 {x} $y$ ~ ^ \z | c"
    files = settings_table(tmp_path, rows=[{"label": label, "setting": "optimizer.name"}])
    escaped = r"a\_b \& 5\% \#1 \{x\} \$y\$ \textasciitilde{} \textasciicircum{} \textbackslash{}z | c"
    assert rf"{escaped} & adam \\" in files["tex"]
    assert r"\caption{50\% \& best\_model. $\pm$ is the standard deviation over 3 seeds.}" in files["tex"]
    assert r"\label{tab:report:table_02}" in files["tex"]
    assert all(rule in files["tex"] for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert label.replace("|", r"\|") in files["md"]


def test_numbers_stand_right(tmp_path):
    files = trials_table(tmp_path)
    assert r"\begin{tabular}{rrrrrrl}" in files["tex"]
    assert "| ---: | ---: | ---: | ---: | ---: | ---: | --- |" in files["md"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [([0.5], "0.5000"), ([4.0, 4.0], "4 ± 0"), ([4.0, 5.0], "4.5 ± 0.7"), ([1.0, 0.5], "0.7500 ± 0.3536"), ([12.0], "12")],
)
def test_mean_and_sd(values, shown):
    assert mean_and_sd(values) == shown


# ---- errors ----


def message(folder, spec, cells=(), **more):
    with pytest.raises(RepriseError) as error:
        write(folder, spec, cells, **more)
    assert not list(folder.rglob("*.csv"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_errors_name_report_and_table_and_the_nearest(tmp_path):
    adam = cell("adam")
    table = final(adam, [0.5] * 3, [1] * 3)
    assert (
        message(tmp_path, layers_spec(kind="layer")) == "report, table table_01: no kind of table is called 'layer'; did you mean layers?"
    )
    assert "no layer table of network 'basc'; did you mean basic?" in message(tmp_path, layers_spec(networks=["basc"]), layers=LAYERS)
    wrong = settings_spec(rows=[{"label": "Rate", "setting": "optimizer.learning"}])
    assert "the runs have no setting 'optimizer.learning'; did you mean optimizer." in message(tmp_path, wrong, [adam], final=table)
    wrong = settings_spec(rows=[{"label": "Accuracy", "metric": "acuracy"}])
    assert "no metric 'acuracy'; did you mean accuracy?" in message(tmp_path, wrong, [adam], final=table)
    assert "adam names 2 cells; name one, e.g. adam" in message(tmp_path, settings_spec(), [adam, adam], final=table)
    wrong = trials_spec(reported={"conv2": 32})
    assert "the search has no axis conv2; did you mean conv1?" in message(tmp_path, wrong, [cell("search", conv1=32)], final=table)
    assert "scale 'demos' is not known; did you mean demo?" in message(tmp_path, layers_spec(), scale="demos")
    wrong = metrics_spec(row(metric="acuracy"))
    assert "row 'Best': no metric 'acuracy'; did you mean accuracy?" in message(tmp_path, wrong, [adam], final=table)
    wrong = metrics_spec(row())
    assert "row 'Best': cnn names 2 configurations; add cells: mean, max or min, or pick: best" in message(
        tmp_path, wrong, [adam, adam], final=table
    )


def test_missing_runs_are_named(tmp_path):
    adam = cell("adam")
    table = final(adam, [0.5] * 3, [1] * 3)
    words = f"report, table table_02: run {adam.runs[2]} of adam has no accuracy; train and evaluate it first"
    assert message(tmp_path, settings_spec(), [adam], final=table[table.run != adam.runs[2]]) == words
    words = "report, table table_04: row 'Best': adam has no accuracy to measure: not trained, or not that far."
    assert message(tmp_path, metrics_spec(row()), [adam], final=table[:0]) == words
    words = "row 'Best': not every configuration of cnn is trained and evaluated, so the best of them is not known."
    assert words in message(tmp_path, metrics_spec(row(pick="best")), [adam], final=table)


def test_every_kind_has_its_closed_options():
    fragments = kinds("tables")
    assert set(fragments) == set(KINDS)
    items = {
        "layers": layers_spec(),
        "settings": settings_spec(),
        "trials": trials_spec(split="test", at="best"),
        "metrics": metrics_spec(
            {**row(pick="best"), "about": 0.01}, {"label": "x", "measure": {"metric": "loss", "runs": "a", "at": "rise"}}
        ),
    }
    for kind, fragment in fragments.items():
        check = jsonschema.Draft202012Validator(fragment)
        assert not list(check.iter_errors(items[kind]))
        assert list(check.iter_errors({**items[kind], "captin": 1}))
    both = settings_spec(rows=[{"label": "x", "setting": "a", "metric": "accuracy"}])
    assert list(jsonschema.Draft202012Validator(fragments["settings"]).iter_errors(both))
    check = jsonschema.Draft202012Validator(fragments["metrics"])
    for wrong in (
        {**row(), "abuot": 0.1},
        row(pik="best"),
        {**row(), "reported": 0.5},
        {"label": "x"},
        {"label": "x", "measure": {}, "about": 1},
    ):
        assert list(check.iter_errors(metrics_spec(wrong)))
