"""The site without a browser: what stands on its pages, and what happens to what is missing, hostile or
damaged.
"""

import html
import json
import math
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml

from made_up import all_runs, write_results
from mini import STUDY, convolution, mini
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.records import FILES, digests, write_record
from reprise.reports.layout import Layout
from reprise.reports.report import Report
from reprise.site import charts, write_site
from reprise.site.build import common_settings, embedded, flat, percent, power, prose, sentence
from reprise.site.content import ReportContent, csv_rows

HOSTILE = '<script>alert("1")</script> & <b>bold</b> \'"'
EXPERIMENTS = {
    "base": {"seeds": [0, 1, 2]},
    "wide": {"seeds": [0, 1, 2], "set": {"optimizer": {"name": "adam", "lr": 0.01}}},
    "search": {"asha": {**STUDY, "seed": 3}},
}
SECTIONS = {
    "figures": [
        {
            "id": "figure_01",
            "kind": "curves",
            "caption": "Loss.",
            "series": {"base": "base", "wide": "wide"},
            "metric": "loss",
            "splits": ["train"],
        },
        {
            "id": "figure_02",
            "kind": "curves",
            "caption": "Accuracy.",
            "series": ["wide"],
            "metric": "accuracy",
            "splits": ["validation"],
        },
    ],
    "tables": [
        {
            "id": "table_01",
            "kind": "comparison",
            "caption": "Accuracies.",
            "source": "Table 1",
            "models": [{"label": "Base", "runs": "base"}, {"label": "Wide", "runs": "wide"}],
            "rows": [{"label": "Accuracy", "metric": "accuracy", "reported": {"Base": "0.65"}}],
        }
    ],
    "statements": [
        {
            "number": "base_accuracy",
            "reported": "0.65",
            "measure": "accuracy(base)",
            "source": "Section 2, figure 1",
        },
        {
            "claim": "wide_is_better",
            "says": "wide is better",
            "reading": "On the test images.",
            "holds": "accuracy(wide) > accuracy(base)",
            "source": "Sections 2.1 and 3",
        },
        {"claim": "loss_falls", "holds": "train_loss(base) < 100", "source": "Section 10"},
        {"number": "somewhere", "reported": "1", "measure": "best_epoch(wide)"},
    ],
    "outline": [
        {"section": "Section 1", "title": "Introduction"},
        {"section": "Section 2", "title": "Set-up", "shows": ["figure_01"]},
        {"section": "Section 2.1", "shows": ["table_01"]},
        {"section": "Section 10", "title": "End"},
    ],
    "assumptions": [
        "Batches are whole.",
        {"says": "Wide is twice as wide.", "affects": ["wide"]},
        {"says": "Figures are rounded down.", "affects": ["table_01", "figure_01", "somewhere"]},
        {"says": "Nothing is skipped.", "affects": ["loss_falls"]},
    ],
    "url": "https://example.org/a?b=1&c=2",
}


def write_report(folder, **sections):
    if "statements" in sections:  # the assumptions above are about others
        sections.setdefault("assumptions", ["Batches are whole."])
    document = mini(convolution(), EXPERIMENTS, validation=0.1, **{**SECTIONS, **sections})
    del document["slug"]
    folder.mkdir(exist_ok=True)
    (folder / "mini.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return Report(folder / "mini.yaml")


def publish(report, results, *, figures=("figure_01",), tables=("table_01",)):
    place = ["--reports", str(report.path.parent), "--results", str(results)]
    for verb, items in (("figure", figures), ("table", tables)):
        for item in items:
            main([verb, "mini", item, "--partial", *place])
    main(["statements", "mini", "--partial", *place])


def built(tmp_path, at_hand=None, **sections):
    """The site of a report of which these runs (all but the search's) are there."""
    report = write_report(tmp_path / "reports", **sections)
    runs = all_runs(report)
    left = [run for run in runs if not runs[run].settings.study]
    write_results(report, tmp_path / "results/runs", left if at_hand is None else at_hand)
    publish(report, tmp_path / "results", figures=("figure_01",) if left else ())
    layout = Layout(tmp_path / "results", "full")
    pages = write_site([report], layout, commit="abc")
    assert pages == len(list(layout.site.rglob("*.html")))
    return report, layout.site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return built(tmp_path_factory.mktemp("site"))[1]


class Words(HTMLParser):
    """What a page says, what elements it has, and its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said, self.scripts, self._script = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._script = tag == "script"

    def handle_endtag(self, tag):
        self._script = False

    def handle_data(self, data):
        (self.scripts if self._script else self.said).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def page(site, name):
    return Words((site / name).read_text())


# ---- what is there ----


def test_each_thing_has_its_page(site):
    found = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {
        "index.html",
        "method.html",
        "runs/index.html",
        "runs/compare.html",
        "mini/index.html",
        "mini/figures/figure_01.html",
        "mini/figures/figure_01.png",
        "mini/figures/figure_01.svg",
        "mini/figures/figure_01.csv",
        "mini/figures/figure_02.html",
        "mini/tables/table_01.csv",
        "mini/tables/table_01.tex",
        "mini/statements/base_accuracy.html",
        "mini/statements/table_01_base_accuracy.html",
        "mini/studies/search.html",
        "assets/site.css",
    } <= found
    assert "mini/figures/figure_02.png" not in found  # it is not drawn
    assert sum(re.fullmatch("runs/[0-9a-f]{12}.html", name) is not None for name in found) == 10


def test_the_front_page_counts_and_chooses(site):
    found = page(site, "index.html")
    assert "6 of 10 runs, 6.0 core-hours (AMD EPYC), 2026-11-28" in found.text
    counts = json.loads((site.parent / "statements/mini.json").read_text())["statements"]
    for verdict in ("reproduced", "differs", "undecided", "contradicted", "not run"):
        number = sum(entry["verdict"] == verdict for entry in counts)
        parts = [attributes for _, attributes in found.tags if attributes.get("data-verdict") == verdict]
        links = [attributes for attributes in parts if "aria-label" in attributes]
        assert [one["aria-label"] for one in links] == ([f"mini: {number} of 5 {verdict}"] if number else [])
    assert len([1 for tag, attributes in found.tags if tag == "tr" and "data-verdict" in attributes]) == 5
    assert "commit abc" in found.text


def test_the_outline_is_the_report_s(site):
    found = page(site, "mini/index.html")
    sections = [attributes["id"] for tag, attributes in found.tags if attributes.get("class") == "section"]
    assert sections == ["in-section-2", "in-section-2-1", "in-section-10", "beyond-it"]
    text = found.text
    assert "Introduction" not in text  # it has nothing to show
    for heading in ("Section 2 · Set-up", "Section 10 · End", "Beyond the outline"):
        assert heading in text
    assert "the report · mini" in text
    assert "Batches are whole." in text
    assert "On the test images." in text


def test_statements_stand_in_the_section_that_they_name(tmp_path):
    report, _ = built(tmp_path)
    content = ReportContent(report, Layout(tmp_path / "results", "full"))
    placed = {part.section: [one.id for one in part.statements] for part in content.outline}
    assert placed == {
        "Section 2": ["base_accuracy"],
        "Section 2.1": ["table_01_base_accuracy", "wide_is_better"],
        "Section 10": ["loss_falls"],
        "Beyond the outline": ["somewhere"],
    }
    assert content.in_order[0].id == "base_accuracy"
    assert [shown.id for shown in content.outline[-1].items] == ["figure_02"]
    (named,) = [one for one in content.statements if one.id == "base_accuracy"]
    assert [shown.id for shown in content.figures_of(named)] == ["figure_01"]
    assert [one.id for one in content.statements_of(content.shown["figure_01"])] == ["base_accuracy"]


def test_without_an_outline_sections_are_those_that_statements_name(tmp_path):
    report, site = built(tmp_path, outline=[])
    content = ReportContent(report, Layout(tmp_path / "results", "full"))
    assert [part.section for part in content.outline] == [
        "Table 1", "Section 2", "Section 2.1", "Section 10", "Figures, tables and other statements",
    ]  # fmt: skip
    assert (site / "mini/index.html").exists()


def test_a_statement_s_page(site):
    found = page(site, "mini/statements/wide_is_better.html")
    assert "What must hold: test accuracy of wide > test accuracy of base." in found.text
    assert "Read as: On the test images." in found.text
    dots = [attributes for _, attributes in found.tags if attributes.get("class") == "dot"]
    assert len(dots) == 6
    assert all(0 <= float(re.search(r"left:([\d.]+)%", dot["style"])[1]) <= 100 for dot in dots)
    assert all((site / "mini/statements" / dot["href"]).resolve().exists() for dot in dots)


def test_assumptions_and_the_statements_that_hang_on_them_are_linked(site):
    hanging = {}
    found = page(site, "mini/index.html")
    number = None
    for _, attributes in found.tags:
        if attributes.get("id", "").startswith("assumption-"):
            number = attributes["id"]
            hanging[number] = set()
        elif attributes.get("id") == "exist-twice" or attributes.get("id") == "to-rebuild":
            number = None
        elif number and "statements/" in attributes.get("href", ""):
            hanging[number].add(attributes["href"].rpartition("/")[2])
    assert hanging == {
        "assumption-1": set(),  # all do, and so none is listed
        "assumption-2": {"wide_is_better.html", "somewhere.html"},
        "assumption-3": {"table_01_base_accuracy.html", "somewhere.html"},
        "assumption-4": {"loss_falls.html"},
    }
    assert "The whole report depends on it." in found.text
    for number, names in hanging.items():
        for path in (site / "mini/statements").iterdir():
            links = [attributes.get("href", "") for _, attributes in Words(path.read_text()).tags]
            assert (f"../../mini/index.html#{number}" in links) == (path.name in names), (number, path)
    one = page(site, "mini/statements/loss_falls.html").text
    assert "Assumption 4 : Nothing is skipped." in one.replace("4:", "4 :")
    assert "1 assumption on which the whole report depends" in one


def test_what_is_not_run_says_so(tmp_path):
    report = write_report(tmp_path / "reports")
    runs = [run for run, settings in all_runs(report).items() if not settings.settings.study]
    few = [run for run in runs if report.cell_of(run).experiment == "base"]
    _, site = built(tmp_path, few)
    assert "Not run yet" in page(site, "mini/statements/wide_is_better.html").text
    assert "Not run yet." in page(site, f"runs/{next(run for run in runs if run not in few)}.html").text
    assert "Not drawn yet" in page(site, "mini/figures/figure_02.html").text


RUNS = {
    "none": [],
    "one": [("base", 0)],
    "some": [("base", 0), ("wide", 1)],
    "all": [(name, seed) for name in ("base", "wide") for seed in range(3)],
}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("none", "Not drawn yet: none of its 6 runs is finished."),
        ("one", "Not drawn yet: 1 of its 6 runs is finished."),
        ("some", "Not drawn yet: 2 of its 6 runs are finished."),
        ("all", "Not drawn yet, though its runs are finished. Make it with: snakemake "),
    ],
)
def test_why_a_figure_or_table_is_not_there(tmp_path, there, said):
    report = write_report(tmp_path / "reports")
    runs = [report.cells(name)[0].runs[seed] for name, seed in RUNS[there]]
    write_results(report, tmp_path / "results/runs", runs)
    layout = Layout(tmp_path / "results", "full")
    write_site([report], layout)
    for path in ("mini/figures/figure_01.html", "mini/index.html"):
        assert said in page(layout.site, path).text
    text = page(layout.site, "mini/index.html").text
    assert said.replace("drawn", "made") in text
    for file in ("/figures/mini/figure_01.png", "/tables/mini/table_01.csv"):
        assert (file in text) == (there == "all")
    assert "runs are missing" not in text


def test_what_is_skipped_is_left_out_and_the_site_says_so(tmp_path):
    report, site = built(tmp_path)
    place = ["--reports", str(report.path.parent), "--results", str(tmp_path / "results"), "--skip", "wide"]
    for path in (tmp_path / "results/figures/mini").iterdir():
        path.unlink()
    main(["site", *place])
    for figure in ("figure_01", "figure_02"):
        text = page(site, f"mini/figures/{figure}.html").text
        assert "Left out: it needs wide, which is skipped." in text


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({}, "Beyond the outline"),
        ({"outline": []}, "Figures, tables and other statements"),
        ({"outline": [], "tables": []}, "Figures and other statements"),
        ({"outline": [], "figures": []}, "Tables and other statements"),
        ({"outline": [], "figures": [], "tables": []}, "Other statements"),
        ({"outline": [], "statements": SECTIONS["statements"][:3]}, "Figures and tables"),
        ({"outline": [], "statements": [], "tables": []}, "All"),
        ({"outline": [], "statements": SECTIONS["statements"][3:], "tables": []}, "All"),
    ],
)
def test_the_heading_over_what_no_section_has(tmp_path, changes, heading):
    report = write_report(tmp_path / "reports", **{"assumptions": ["Batches are whole."], **changes})
    write_results(report, tmp_path / "results/runs", [])
    place = ["--reports", str(report.path.parent), "--results", str(tmp_path / "results")]
    main(["statements", "mini", "--partial", *place])
    content = ReportContent(report, Layout(tmp_path / "results", "full"))
    assert content.outline[-1].section == heading
    assert (heading == "Beyond the outline") == bool(report.file.outline)


def test_no_page_shows_a_placeholder(site):
    for path in site.rglob("*.html"):
        text = Words(path.read_text()).text
        assert not re.search(r"\{[a-z_.]+\}|\bNone\b", text), path
    assert "The findings worth a minute (at most 8) are chosen by a rule." in page(site, "index.html").text


def test_nothing_is_run_nor_published(tmp_path):
    report = write_report(tmp_path / "reports")
    layout = Layout(tmp_path / "results", "full")
    write_site([report], layout)
    assert "No statement has a verdict yet." in page(layout.site, "index.html").text
    assert "Its statements are not judged yet." in page(layout.site, "mini/index.html").text


def test_a_search_is_a_ladder(tmp_path):
    report = write_report(tmp_path / "reports")
    _, site = built(tmp_path, list(all_runs(report)))
    found = page(site, "mini/studies/search.html")
    assert len([1 for _, attributes in found.tags if str(attributes.get("class")).startswith("trial ")]) == 4
    assert "The rungs have saved 0 of 8 epochs (0 %)." in found.text


def test_other_scales_are_told(tmp_path):
    report, site = built(tmp_path)
    quick = tmp_path / "results/quick/statements"
    quick.mkdir(parents=True)
    made = (tmp_path / "results/statements/mini.json").read_bytes()
    (quick / "mini.json").write_bytes(made)
    layout = Layout(tmp_path / "results", "full")
    write_site([report], layout)
    assert "at scale quick" in page(site, "mini/statements/wide_is_better.html").text
    (quick / "mini.json").write_bytes(made[:-40])  # an extra that is damaged is no reason to fail
    write_site([report], layout)
    assert "at scale quick" not in page(site, "mini/statements/wide_is_better.html").text


def test_other_scales_than_full_are_framed(tmp_path):
    report = Report(write_report(tmp_path / "reports").path, "demo")
    layout = Layout(tmp_path / "results", "demo")
    write_site([report], layout)
    for path in layout.site.rglob("*.html"):
        found = Words(path.read_text())
        assert ("body", {"class": "framed"}) in found.tags, path
        assert "DEMO" in found.text
    assert "--config scale=demo" in page(layout.site, "mini/figures/figure_01.html").text


# ---- what could go wrong ----


def test_texts_of_reports_and_data_are_never_markup(tmp_path, monkeypatch):
    """Titles, captions, quotations, labels, names of classes, devices: everything that others write."""
    from reprise.data import catalog

    real = catalog.class_names
    monkeypatch.setattr(catalog, "class_names", lambda run: [HOSTILE, *real(run)[1:]])
    classes = {
        "id": "table_02",
        "kind": "classes",
        "caption": HOSTILE,
        "models": [{"label": HOSTILE, "runs": "base"}],
    }
    statements = [
        {
            "claim": "hostile",
            "says": HOSTILE,
            "source": HOSTILE,
            "reading": HOSTILE,
            "holds": "accuracy(base) > 0",
        },
        {
            "number": "classes",
            "reported": "0.5",
            "says": HOSTILE,
            "measure": 'class_accuracy(base, classes=["dog"])',
        },
    ]
    figures = [{**SECTIONS["figures"][0], "caption": HOSTILE, "series": [{"label": HOSTILE, "runs": "base"}]}]
    report = write_report(
        tmp_path / "reports",
        title=HOSTILE,
        authors=HOSTILE,
        framework=HOSTILE,
        summary=HOSTILE,
        assumptions=[HOSTILE, {"says": HOSTILE, "affects": ["hostile"]}],
        statements=statements,
        figures=figures,
        tables=[classes],
        outline=[{"section": HOSTILE, "title": HOSTILE, "shows": ["figure_01", "table_02"]}],
    )
    runs = [run for run, settings in all_runs(report).items() if not settings.settings.study]
    write_results(report, tmp_path / "results/runs", runs, device=HOSTILE)
    publish(report, tmp_path / "results", tables=["table_02"])
    layout = Layout(tmp_path / "results", "full")
    write_site([report], layout)
    said = 0
    for path in layout.site.rglob("*.html"):
        found = Words(path.read_text())
        assert "b" not in {tag for tag, _ in found.tags if tag == "b"} or "bold" not in found.scripts
        for tag, attributes in found.tags:
            assert tag != "script" or "src" in attributes or attributes.get("type") == "application/json", (
                path
            )
        assert not any("alert(" in script and "</script" in script.lower() for script in found.scripts)
        said += HOSTILE.replace('"', "") in found.text.replace('"', "")
    assert said > 5
    table = Words((tmp_path / "results/tables/mini/table_02.html").read_text())
    statements_page = Words((tmp_path / "results/statements/mini.html").read_text())
    for found in (table, statements_page):
        assert HOSTILE in found.text
        assert "script" not in {tag for tag, _ in found.tags}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("statements/mini.json", lambda content: content.replace(b"reproduced", b"contradicted")),
        ("statements/mini.json", lambda content: content[:100]),
        ("statements/mini.json", lambda content: b"{}"),
        ("tables/mini/table_01.json", lambda content: content[:-30]),
        ("tables/mini/table_01.json", lambda content: b"[]"),
        ("figures/mini/figure_01.json", lambda content: content[:-30]),
        ("figures/mini/figure_01.json", lambda content: b'{"values": 3}'),
    ],
)
def test_a_damaged_file_is_named_and_the_former_site_stays(tmp_path, capsys, name, change):
    report, site = built(tmp_path)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    path = tmp_path / "results" / name
    content = path.read_bytes()
    path.write_bytes(change(content))
    assert path.read_bytes() != content
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["site", "--reports", str(report.path.parent), "--results", str(tmp_path / "results")])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith(f"reprise: {path}")
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_what_an_earlier_site_had_is_deleted_and_what_stays_is_not_touched(tmp_path):
    report, site = built(tmp_path)
    (site / "mini/figures/figure_99.html").write_text("of a figure that is gone")
    (site / "old").mkdir()
    (site / "old/page.html").write_text("of a report that is gone")
    before = (site / "mini/figures/figure_01.html").stat().st_mtime_ns
    write_site([report], Layout(tmp_path / "results", "full"), commit="abc")
    assert not (site / "mini/figures/figure_99.html").exists()
    assert not (site / "old").exists()
    assert (site / "mini/figures/figure_01.html").stat().st_mtime_ns == before


def test_the_verb(tmp_path, capsys):
    report, site = built(tmp_path)
    capsys.readouterr()
    main(["site", "mini", "--reports", str(report.path.parent), "--results", str(tmp_path / "results")])
    assert re.fullmatch(
        rf"{re.escape(str(site / 'index.html'))}: \d+ pages of 1 report\n", capsys.readouterr().out
    )
    assert "How far off could a measured value be?" in page(site, "method.html").text


def test_an_experiment_that_is_skipped_in_one_report_alone(tmp_path):
    report = write_report(tmp_path / "reports")
    (tmp_path / "reports/other.yaml").write_text(report.path.read_text())
    place = ["--reports", str(tmp_path / "reports"), "--results", str(tmp_path / "results")]
    main(["site", *place, "--skip", "mini/search"])
    text = page(tmp_path / "results/site", "mini/index.html").text
    assert "0 of 6 runs" in text
    assert "0 of 10 runs" in page(tmp_path / "results/site", "other/index.html").text


def broken_links(site):
    """Links of all pages that lead to no file."""
    found = []
    for path in site.rglob("*.html"):
        for _, attributes in Words(path.read_text()).tags:
            for link in (attributes.get("href"), attributes.get("src")):
                parts = urlsplit(link or "")
                if (
                    parts.path
                    and not parts.scheme
                    and not (path.parent / unquote(parts.path)).resolve().is_file()
                ):
                    found.append(f"{path.relative_to(site)}: {link}")
    return found


def test_no_link_is_broken(site):
    assert not broken_links(site)


@pytest.mark.parametrize("skipped", ["wide", "search"])
def test_no_link_is_broken_where_experiments_are_skipped(tmp_path, skipped):
    report, site = built(tmp_path)
    main(
        [
            "site",
            "--reports",
            str(report.path.parent),
            "--results",
            str(tmp_path / "results"),
            "--skip",
            skipped,
        ]
    )
    assert not broken_links(site)
    assert (site / "mini/studies/search.html").exists() == (skipped != "search")


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_run_that_diverged_has_a_gap_in_its_curve(tmp_path, lost):
    report = write_report(tmp_path / "reports")
    runs = all_runs(report)
    write_results(report, tmp_path / "results/runs", list(runs))
    (first, *_) = report.cells("base")[0].runs
    folder = tmp_path / "results/runs" / first
    history = pd.read_parquet(folder / "history.parquet")
    history.loc[history["epoch"] == 2, "loss"] = lost
    history.to_parquet(folder / "history.parquet", index=False)
    record = json.loads((folder / "run.json").read_text())
    content = {"run": first, "spec": record["spec"], "meta": {**record["meta"], "stopped": "diverged"}}
    write_record(folder / "run.json", {**content, FILES: digests(folder, ["history.parquet"])})
    publish(report, tmp_path / "results")
    layout = Layout(tmp_path / "results", "full")
    write_site([report], layout)
    for name in (f"runs/{first}.html", "mini/figures/figure_01.html"):
        panels = next(json.loads(text) for text in page(layout.site, name).scripts if text.startswith("[{"))
        curves = [one["runs"].get(first) or one["mean"] for one in panels[0]["series"]]
        assert any(curve[1] is None for curve in curves)


def test_verdicts_of_an_older_report_file_are_refused(tmp_path, capsys):
    report, _ = built(tmp_path)
    write_report(tmp_path / "reports", statements=SECTIONS["statements"][:-1])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["site", "--reports", str(report.path.parent), "--results", str(tmp_path / "results")])
    error = capsys.readouterr().err
    assert "mini.json: is of another version of" in error
    assert error.endswith("make it again: python -m reprise statements mini --partial\n")
    assert error.count("\n") == 1


def test_other_seeds_than_those_of_the_verdicts_break_no_link(tmp_path):
    report, site = built(tmp_path)
    experiments = {**EXPERIMENTS, "base": {"seeds": [7]}}
    document = yaml.safe_load(report.path.read_text()) | {"experiments": experiments}
    report.path.write_text(yaml.safe_dump(document, sort_keys=False))
    write_site([Report(report.path)], Layout(tmp_path / "results", "full"))
    assert not broken_links(site)


def test_the_same_words_are_told_apart(tmp_path):
    said = {"says": "a good accuracy", "reported": "0.65"}
    statements = [{"number": name, "measure": f"accuracy({name})", **said} for name in ("base", "wide")]
    _, site = built(tmp_path, statements=statements)
    for name in ("index.html", "mini/index.html"):
        text = page(site, name).text
        assert "test accuracy of base" in text
        assert "test accuracy of wide" in text


def test_a_number_in_percent_has_its_strip(tmp_path):
    percent = {"number": "percent", "reported": "65", "measure": "100 * accuracy(base)"}
    _, site = built(tmp_path, statements=[percent])
    found = page(site, "mini/statements/percent.html")
    assert {"said", "band"} <= {attributes.get("class") for _, attributes in found.tags}
    dots = [attributes["title"] for _, attributes in found.tags if attributes.get("class") == "dot"]
    assert all(1 < float(dot.split()[0]) <= 100 for dot in dots)


def test_commands_can_be_pasted(tmp_path):
    report = write_report(tmp_path / "reports")
    layout = Layout(tmp_path / "my résults; x", "demo")
    write_site([Report(report.path, "demo")], layout)
    name = next(path.name for path in layout.site.glob("runs/*.html") if len(path.stem) == 12)
    for place in ("index.html", "mini/index.html", "mini/figures/figure_01.html", f"runs/{name}"):
        text = (layout.site / place).read_text()
        (command,) = re.findall(r'<div class="command"><pre tabindex="0"><code>(.*?)</code>', text)
        words = shlex.split(html.unescape(command))
        assert {f"results={layout.results}", str(layout.results)} & {*words}
        assert {"scale=demo", "demo"} & {*words}
        assert "x" not in words


@pytest.mark.parametrize("slug", ["runs", "assets", "site"])
def test_a_report_has_a_name_of_its_own(tmp_path, slug):
    report = write_report(tmp_path)
    report.path.rename(tmp_path / f"{slug}.yaml")
    with pytest.raises(RepriseError, match="choose another name"):
        Report(tmp_path / f"{slug}.yaml")


@pytest.mark.parametrize("key", ["alt", "kind", "notes", "runs", "spec", "values"])
def test_a_figure_s_record_that_lacks_a_key_is_one_line(tmp_path, key):
    report, _ = built(tmp_path)
    path = tmp_path / "results/figures/mini/figure_01.json"
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(RepriseError, match=r"figure_01.json: not what a figure writes"):
        write_site([report], Layout(tmp_path / "results", "full"))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_figure_without_a_picture_is_not_drawn(tmp_path, suffix):
    report, site = built(tmp_path)
    (tmp_path / f"results/figures/mini/figure_01{suffix}").unlink()
    write_site([report], Layout(tmp_path / "results", "full"))
    assert "Not drawn yet" in page(site, "mini/figures/figure_01.html").text
    assert not broken_links(site)


def test_a_run_of_two_reports_is_listed_for_both(tmp_path):
    report = write_report(tmp_path / "reports")
    (tmp_path / "reports/other.yaml").write_text(report.path.read_text())
    layout = Layout(tmp_path / "results", "full")
    write_site([report, Report(tmp_path / "reports/other.yaml")], layout)
    rows = [of["data-report"] for tag, of in page(layout.site, "runs/index.html").tags if "data-report" in of]
    assert set(rows) == {"mini other"}


@pytest.mark.parametrize(
    ("source", "section", "cited"),
    [
        ("Section 2, figures 1 to 2", "Section 2", ["figure_01", "figure_02"]),
        ("Section 2, figs. 1-2", "Section 2", ["figure_01", "figure_02"]),
        ("section 2", "Section 2", []),
        ("Section 2.1.3", "Section 2.1", []),
        ("Section 2.2", "Section 2", []),
        ("Section 20", "Beyond the outline", []),
        ("Section 10b", "Beyond the outline", []),
        ("Table 1", "Section 2.1", ["table_01"]),
        ("Figure 2 and table 1", "Section 2.1", ["figure_02", "table_01"]),
        ("the abstract", "Beyond the outline", []),
    ],
)
def test_what_a_source_names(tmp_path, source, section, cited):
    statement = {"number": "one", "reported": "0.65", "measure": "accuracy(base)", "source": source}
    report, _ = built(tmp_path, statements=[statement])
    content = ReportContent(report, Layout(tmp_path / "results", "full"))
    (one,) = [one for one in content.statements if one.id == "one"]
    assert [part.section for part in content.outline if one in part.statements] == [section]
    assert content.cited(one) == cited


def test_sections_of_any_name_have_addresses_of_their_own(tmp_path):
    names = ["None", "第一章", "第二章", "A b", "A-b", "beyond it"]
    statements = [
        {"number": f"n{place}", "reported": "1", "measure": "accuracy(base)", "source": name}
        for place, name in enumerate([*names, "elsewhere"])
    ]
    report, _ = built(tmp_path, statements=statements, outline=[{"section": name} for name in names])
    content = ReportContent(report, Layout(tmp_path / "results", "full"))
    anchors = [part.anchor for part in content.outline]
    assert len(anchors) == len({*anchors}) == 7


def test_a_report_that_is_skipped_and_is_not_there_is_refused(tmp_path, capsys):
    write_report(tmp_path / "reports")
    with pytest.raises(SystemExit):
        main(["site", "--reports", str(tmp_path / "reports"), "--skip", "mni/search"])
    assert capsys.readouterr().err == (
        f"reprise: skip: no report mni in {tmp_path / 'reports'}; did you mean mini?\n"
    )


# ---- parts ----


def entry(**given):
    empty = dict.fromkeys(("share", "settles", "claimed", "seeds_to_settle", "low", "high"))
    words = {"verdict": "reproduced", "reported": "", "measured": "0.65", "spread": "", "reason": "Why."}
    return {**empty, **words, "about": 0.0, "n": 3, **given}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"reported": "0.66", "spread": "0.01", "low": 0.6, "high": 0.7},
            "The report says 0.66; 3 seeds here gave 0.65 ± 0.01. A number from 0.6000 to 0.7000 would count "
            "as reproduced; this one lies inside.",
        ),
        (
            {"verdict": "differs", "reported": "0.9", "about": 0.1, "n": 1, "low": 0.6, "high": 0.7},
            "The report says about 0.9; 1 seed here gave 0.65. A number from 0.6000 to 0.7000 would count as "
            "reproduced; this one lies outside.",
        ),
        (  # between the ways that trainings come out
            {"verdict": "differs", "reported": "0.5", "low": 0.1, "high": 0.9},
            "The report says 0.5; 3 seeds here gave 0.65. Why.",
        ),
        ({"verdict": "differs", "reported": "0.9"}, "The report says 0.9; 3 seeds here gave 0.65. Why."),
        ({"verdict": "not run"}, "Not run yet: Why."),
        (
            {"share": 1.0},
            "Measured: 0.65. The claim holds: it is true in more than 99.9 % of the draws of new seeds.",
        ),
        ({"verdict": "contradicted", "share": 0.0}, "less than 0.1 % of the draws"),
        (
            {"verdict": "undecided", "share": 0.631, "n": 1},
            "1 seed cannot tell: it is true in 63.1 % of the draws",
        ),
    ],
)
def test_sentences(given, said):
    assert said in sentence(entry(**given))


def test_power_in_words():
    assert power(entry()) == ""
    assert power(entry(reported="1", settles=0.02)) == (
        "These 3 seeds can tell a value from what was found if it is 0.0200 or more away."
    )
    found = power(entry(settles=0.02, claimed=-0.01, seeds_to_settle=12))
    assert found == (
        "3 seeds can settle a difference of 0.0200 or more. The report's own numbers differ by 0.0100. 12 "
        "seeds would settle it."
    )
    assert power(entry(settles=0.02, seeds_to_settle=101)).endswith("More than 100 seeds would be needed.")


def test_nothing_holds_in_all_draws_and_nothing_in_none():
    assert [percent(share) for share in (None, 0.0, 0.0004, 0.5, 0.9996, 1.0)] == [
        "", "less than 0.1 %", "less than 0.1 %", "50.0 %", "more than 99.9 %", "more than 99.9 %",
    ]  # fmt: skip


def test_strips_have_one_axis_for_each_metric():
    row = {"label": "a", "metric": "accuracy", "values": {"run1": 0.5, "run2": 0.7}}
    record = {"measures": [row, {**row, "metric": "loss", "values": {"run1": 2.0}}], "alone": False}
    accuracy, loss = charts.strips(record)
    assert [dot.left for dot in accuracy.rows[0].dots] == [pytest.approx(5.36), pytest.approx(94.64)]
    assert accuracy.rows[0].mean == pytest.approx(50)
    assert accuracy.rows[0].shown == "0.6000 (mean of 2)"
    assert loss.rows[0].shown == "2"
    assert (accuracy.reported, accuracy.low) == (None, None)


def test_a_number_s_strip_has_the_interval_and_what_was_reported():
    row = {"label": "a", "metric": "accuracy", "values": {"run1": 0.5, "run2": 0.7}}
    record = {"measures": [row], "alone": True, "reported": "0.9", "low": 0.4, "high": 0.8}
    (strip,) = charts.strips(record)
    assert (
        strip.low
        < strip.rows[0].dots[0].left
        < strip.rows[0].dots[1].left
        < strip.high
        < strip.reported
        < 100
    )
    assert (strip.left_end, strip.right_end) == ("0.4000", "0.9000")


def test_equal_values_are_a_strip_too():
    row = {"label": "a", "metric": "parameters", "values": {"run1": 1234.0, "run2": 1234.0}}
    (strip,) = charts.strips({"measures": [row] * 20, "alone": False})
    assert all(0 < dot.left < 100 for one in strip.rows for dot in one.dots)
    assert (len(strip.rows), strip.more) == (16, 4)
    zero = {"label": "a", "metric": "gap", "values": {"run1": 0.0}}
    assert charts.strips({"measures": [zero], "alone": False})[0].rows[0].dots[0].left > 0


def test_lists_of_a_figure_s_values_are_rows():
    values = [
        {"label": "a", "epoch": [1, 2], "mean": [0.1, 0.2], "runs": ["r1"]},
        {"label": "b", "epoch": [1], "mean": [0.3]},
    ]
    assert csv_rows(values) == [
        ["label", "epoch", "mean", "runs"],
        ["a", 1, 0.1, "r1"],
        ["a", 2, 0.2, "r1"],
        ["b", "1", "0.3", None],
    ]
    assert csv_rows([{"layer": "conv", "parameters": 3}]) == [["layer", "parameters"], ["conv", 3]]
    assert csv_rows([]) == [[]]


def test_json_in_a_page_cannot_end_its_script():
    text = str(embedded({"a": "</script><script>&"}))
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"a": "</script><script>&"}
    assert json.loads(embedded({"a": [1.5, math.nan, (math.inf, -math.inf)]})) == {
        "a": [1.5, None, [None, None]]
    }


def test_settings_are_compared_by_path():
    spec = {"optimizer": {"lr": 0.1}, "model": {"layers": [{"conv": 4}, {"dense": 10}]}, "seeds": [1, 2]}
    assert flat(spec) == {
        "optimizer.lr": "0.1",
        "model.layers.0.conv": "4",
        "model.layers.1.dense": "10",
        "seeds": "[1, 2]",
    }
    assert common_settings([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}]) == {"a": "1"}
    assert common_settings([]) == {}


def test_a_page_of_docs_under_another_heading():
    html = prose(
        "# Top\n\n[there](statements.md#x), [here](#top), [out](https://example.org) <b>no</b>\n\n"
        "| a |\n|---|\n| b |\n"
    )
    assert '<h2 id="top">Top</h2>' in html
    assert "statements.md" not in html
    assert 'href="#top"' in html
    assert 'href="https://example.org"' in html
    assert "<b>" not in html
    assert "<table>" in html


# ---- in the report file ----


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"outline": [{"section": "A"}, {"section": "A"}]},
            "outline[1]: A stands twice; make the sections differ",
        ),
        (
            {"outline": [{"section": "A", "shows": ["figure_1"]}]},
            "no figure or table figure_1; did you mean figure_01?",
        ),
        (
            {"outline": [{"section": "A", "shows": ["figure_01"]}, {"section": "B", "shows": ["figure_01"]}]},
            "figure_01 stands in two sections; leave it in one",
        ),
        (
            {"outline": [{"section": "A", "show": []}]},
            "outline[0].show: unknown key for a section of the report; did you mean shows?",
        ),
        ({"url": "javascript:alert(1)"}, "does not have the form: an address, https://…"),
        ({"url": 'https://a"onclick='}, "does not have the form: an address, https://…"),
    ],
)
def test_mistakes_are_named(tmp_path, sections, message):
    with pytest.raises(RepriseError) as caught:
        write_report(tmp_path, **sections)
    assert message in str(caught.value)
    assert str(tmp_path / "mini.yaml") in str(caught.value)


def test_the_reports_own_outlines_hold_everything_they_show():
    reports = Path(__file__).parents[2] / "workflow/reports"
    beyond = {"cifar10_architectures": {"readings"}}
    for path in [*reports.glob("*.yaml"), *(folder for folder in reports.iterdir() if folder.is_dir())]:
        report = Report(path)
        shown = {item for part in report.file.outline for item in part.shows}
        every = {item.id for item in [*report.figures, *report.tables]}
        assert every - shown == beyond.get(report.slug, set())
