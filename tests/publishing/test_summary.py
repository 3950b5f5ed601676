"""The summary of several reports: what is counted, which findings are chosen, and how a page gets it."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from drawing import judge_statements
from test_statements import NAMES, make_tables, resolve

from reprise.errors import RepriseError
from reprise.publishing import statements
from reprise.publishing.evidence import Evidence
from reprise.publishing.expressions import Expressions, Value
from reprise.publishing.results import read_tables
from reprise.publishing.statements import CheckedStatement, Outcome
from reprise.publishing.summary import (
    BEGIN,
    END,
    MOST_FINDINGS,
    block_of,
    findings,
    strength,
    summary,
    write_block,
)
from reprise.publishing.verdicts import Judgement
from reprise.reports.report import Report

ROOT = Path(__file__).parents[2]
EXPRESSIONS = Expressions(NAMES)


def evidence(done, needed, hours, gpu_hours=0.0):
    return Evidence(done, needed, {"cpu": hours}, {"gpu": gpu_hours} if gpu_hours else {})


def outcome(name, verdict, *, kind="claim", measure="accuracy(high)", follows="", text="", **judgement):
    statement = CheckedStatement(
        name,
        kind,
        text or f"“{name}”",
        "",
        "",
        "accuracy(high) > accuracy(low)",
        reported="0.5" if kind == "number" else "",
        value=EXPRESSIONS.value(measure, "") if kind == "number" else Value({}),
        relation=EXPRESSIONS.relation("accuracy(high) > accuracy(low)", "") if kind == "claim" else None,
    )
    return Outcome(statement, Judgement(verdict, "because.", n=3, **judgement), follows=follows)


def chosen(*outcomes, most=MOST_FINDINGS):
    return [one.statement.id for _, one in findings([("report", one) for one in outcomes], most)]


def test_findings_are_contradicted_claims_then_numbers_that_differ_then_what_is_reproduced():
    assert chosen(
        outcome("idle", "not run"),
        outcome("strong", "reproduced", distance=9.0),
        outcome("open", "undecided", distance=0.1),
        outcome("far", "differs", kind="number", distance=3.0, settles=0.01),
        outcome("false", "contradicted", share=0.02),
        outcome("sharp", "reproduced", kind="number", settles=0.05),  # 0.5 is ten times that
        outcome("weak", "reproduced", distance=1.1),
        outcome("falser", "contradicted", share=0.0),
        outcome("lost", "differs", kind="number", distance=math.inf),
    ) == ["falser", "false", "lost", "far", "sharp", "strong", "weak"]


def test_of_equals_the_first_is_chosen_and_no_more_than_are_asked_for():
    same = [outcome(f"same_{place}", "contradicted", share=0.0) for place in range(12)]
    assert chosen(*same) == [f"same_{place}" for place in range(MOST_FINDINGS)]
    assert chosen(*same, most=2) == ["same_0", "same_1"]


def test_what_another_statement_settles_is_no_finding():
    assert chosen(outcome("one", "contradicted", share=0.0, follows="other")) == []


@pytest.mark.parametrize(
    "measure", ["parameters(high)", "accuracy(high) - parameters(high)", "setting(high, path='x')"]
)
def test_a_number_that_no_training_achieves_is_no_finding(measure):
    assert chosen(outcome("one", "reproduced", kind="number", measure=measure, settles=0.01)) == []


def test_a_claim_without_anything_to_compare_is_no_finding():
    assert strength(outcome("one", "reproduced", share=1.0)) == 0


def test_distance_says_how_far_a_statement_is_from_another_verdict():
    """Of a number more than 1 where it differs, of a claim more than 1 where the seeds settle it."""
    tables = make_tables()
    numbers = [
        {"number": "n", "says": "-", "reported": f"{value / 1000:.3f}", "measure": "acc(high)"}
        for value in range(470, 531, 2)
    ]
    claims = [
        {"claim": "c", "says": "-", "holds": [f"acc(high) - acc(low) > {value / 1000:.3f}"]}
        for value in range(70, 131, 2)
    ]
    judged = [one.judgement for one in judge_statements(numbers, "r", resolve, tables, NAMES)]
    assert [one.distance > 1 for one in judged] == [one.verdict == "differs" for one in judged]
    assert {one.verdict for one in judged} == {"differs", "reproduced"}
    assert min(one.distance for one in judged) < 0.2
    judged = [one.judgement for one in judge_statements(claims, "r", resolve, tables, NAMES)]
    settled = [one.verdict != "undecided" for one in judged]
    assert {one.verdict for one in judged} == {"contradicted", "undecided", "reproduced"}
    # the draws' ends are not quite as far from their middle: nothing is asked of what lies between
    assert all(one.distance > 0.9 for one, sure in zip(judged, settled, strict=True) if sure)
    assert all(one.distance < 1.1 for one, sure in zip(judged, settled, strict=True) if not sure)


# ---- the block ----


def test_the_tally_counts_each_verdict_of_each_kind_and_no_statement_that_another_settles():
    block = summary(
        {
            "first": [
                outcome("a", "reproduced", kind="number", settles=0.1),
                outcome("b", "reproduced", kind="number", settles=0.1, follows="a"),
                outcome("c", "differs", kind="number", distance=2.0),
                outcome("d", "undecided"),
            ],
            "second": [
                outcome("e", "contradicted", share=0.0),
                outcome("f", "not run"),
                outcome("g", "not run", kind="number"),
            ],
        },
        {"first": evidence(3, 12, 1.25), "second": evidence(2, 5, 0.5)},
        evidence(4, 16, 1.5),
        "full",
    )
    rows = [line for line in block.splitlines() if line.startswith(("| `", "| **"))]
    assert rows[:3] == [
        "| `first` | 3 of 12 | 1 | 1 | – | – | 1 | – | – |",
        "| `second` | 2 of 5 | – | – | 1 | – | – | 1 | 1 |",
        "| **all** | 4 of 16 | 1 | 1 | 1 | – | 1 | 1 | 1 |",
    ]
    assert block.splitlines()[0] == "Evidence at scale full: 4 of 16 runs, 1.5 core-hours (cpu)."
    found = [line for line in block.splitlines() if line.startswith("- **")]
    assert [line.split("“")[1][0] for line in found] == ["e", "c", "a"]


def test_the_tally_alone():
    parts = {"one": [outcome("a", "contradicted", share=0.0)]}, {"one": evidence(1, 3, 0)}, evidence(1, 3, 0)
    alone = summary(*parts, "full", 0)
    assert "contradicted**" not in alone
    assert alone.splitlines()[-1].startswith("| `one` |")
    assert "- **contradicted**" in summary(*parts, "full")


@pytest.mark.parametrize("sign", ["- a", "+ a", "* a", "> a", "# a", "1. a", "12) a", "= a", "~~~", "| a"])
def test_no_line_of_a_finding_is_wide_or_begins_with_markup(sign):
    for width in range(60, 110):
        text = f"“{'x' * width} {sign} {'word ' * 60}”"
        block = summary(
            {"one": [outcome("a", "contradicted", share=0.0, text=text)]},
            {"one": evidence(1, 3, 0)},
            evidence(1, 3, 0),
            "full",
        )
        first, *others = block[block.index("- **contradicted**") :].splitlines()
        assert len(others) > 2
        assert all(len(line) <= 120 for line in (first, *others))
        assert not any(line.strip().startswith(sign) for line in others)


def test_one_report_needs_no_sum_and_without_verdicts_there_are_no_findings():
    block = summary({"one": [outcome("a", "not run")]}, {"one": evidence(0, 3, 0)}, evidence(0, 3, 0), "full")
    assert "**all**" not in block
    assert block.endswith("No statement has a verdict yet.")


def test_another_scale_stands_on_its_face():
    block = summary({"one": []}, {"one": evidence(1, 3, 0)}, evidence(1, 3, 0), "demo")
    assert block.startswith("> **DEMO – synthetic data.**")


def test_what_a_report_says_stays_text_and_ends_no_block(tmp_path):
    said = f"a | b `c` {END}\n\n# d"
    block = summary(
        {"one": [outcome("a", "contradicted", share=0.0, text=said)]},
        {"one": evidence(1, 3, 0)},
        evidence(1, 3, 0),
        "full",
    )
    item = block[block.index("- **contradicted**") :]
    assert r"a | b \`c\` \<!-- summary: end --> # d" in " ".join(item.split())
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    for _ in range(2):
        write_block(page, block)
        assert block_of(page.read_text(), "page") == block


# ---- into a page ----


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_what_stands_between_the_markers_is_replaced(tmp_path, end):
    page = tmp_path / "page.md"
    before, after = f"# {END}{end}{BEGIN} ", f"{END}{end}\ttext  {end}no end of line"
    page.write_bytes(f"{before}{end}old{end}{after}".encode())
    for block in ("one\n\ntwo – three", "one"):
        write_block(page, block)
        made = page.read_bytes().decode()
        assert made == before + f"\n{block}\n".replace("\n", end) + after
        assert block_of(made, "page").replace("\r\n", "\n") == block


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing", "has 0 of the first and 0 of the second"),
        (f"{BEGIN} {END}", "has 0 of the first and 0 of the second"),
        (BEGIN, "has 1 of the first and 0 of the second"),
        (f"{END}\n{BEGIN}", "has 1 of the first and 1 of the second"),
        (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", "has 2 of the first and 2 of the second"),
        (f"{BEGIN}\n{BEGIN}\n{END}", "has 2 of the first and 1 of the second"),
    ],
)
def test_a_page_without_its_markers_stays_as_it_is(tmp_path, text, found):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(RepriseError, match=f"page.md: needs the lines.*{found}; write them where") as error:
        write_block(page, "block")
    assert "\n" not in str(error.value)
    assert page.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["page.md"]


def test_a_page_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "page.md").write_bytes(b"\xff\xfe")
    with pytest.raises(RepriseError, match=r"page\.md: is not a text in UTF-8"):
        write_block(tmp_path / "page.md", "block")


# ---- README ----


@pytest.mark.slow
def test_the_pages_say_what_the_evidence_gives(tmp_path):
    """The tally, the findings, and the verdict beside README's picture; nothing of it needs torch."""
    make = (
        "import sys; from reprise.cli import main\n"
        f"main(['summary', '--results', {str(tmp_path)!r}, *sys.argv[1:]])\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-m", "reprise", "import", "results/evidence", "--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for page, options in (("README.md", ["--findings", "0"]), ("docs/results.md", [])):
        done = subprocess.run(
            [sys.executable, "-c", make, *options], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        written = block_of((ROOT / page).read_text(), page)
        assert written == done.stdout.rstrip("\n"), f"{page} is not what the evidence gives; run: make readme"
    asked = re.search(r"<!-- verdict: (\S+) (\S+) -->\n((?:.+\n)+)", (ROOT / "README.md").read_text())
    report = Report(ROOT / "workflow/reports" / asked[1])
    (statement,) = [one for one in report.statements if one.id == asked[2]]
    cells = [run for cell in report.needed(statement) for run in cell.runs]
    tables = read_tables(tmp_path / "runs", cells, ("history", "final", "predictions"))
    (judged,) = statements.judge_statements([statement], report.where, report.cells, tables, report.names)
    said = " ".join(asked[3].split())
    assert statement.says in said
    assert said.endswith(f"The verdict: **{judged.judgement.verdict}**.")
