"""What open statements still need, by made-up results."""

import pytest
import yaml

from mini import STUDY, convolution, mini
from reprise.planning.priority import chance
from reprise.planning.standing import UNKNOWN, standings
from reprise.publishing.measures import Tables
from reprise.reports.report import Report

REPORT = mini(
    convolution(),
    {
        "base": {},
        "better": {"set": {"optimizer.lr": 0.01}},
        "near": {"set": {"optimizer.lr": 0.002}},
        "study": {"seeds": [0], "asha": STUDY},
        "far": {"set": {"dataset": {"name": "cifar100", "labels": "fine"}}},
    },
    cells={"winner": {"runs": "study", "pick": "best"}},
    statements=[
        {"number": "base", "reported": "0.500", "measure": "accuracy(base)"},
        {"number": "recall", "reported": "0.500", "measure": "recall_macro(base)"},
        {"number": "better", "reported": "0.510", "measure": "accuracy(better)"},
        {"number": "near", "reported": "0.5005", "measure": "accuracy(near)"},
        {"number": "size", "reported": "5000", "measure": "parameters(base)"},
        {"claim": "helps", "holds": "accuracy(better) > accuracy(base)"},
        {"claim": "hardly", "holds": "accuracy(near) > accuracy(base)"},
        {"claim": "unknown", "holds": "loss(better) < loss(base)"},
        {"claim": "chain", "holds": "accuracy(base) < accuracy(near) < accuracy(better)"},
        {"claim": "steadier", "holds": "spread(accuracy(base)) > spread(accuracy(better))"},
        {"number": "won", "reported": "0.52", "measure": "accuracy(winner)"},
        {"number": "elsewhere", "reported": "0.1", "measure": "accuracy(far)"},
        {
            "claim": "read",
            "holds": "accuracy(base) > 0.3",
            "also": [{"reading": "of all", "holds": "accuracy(far) > 0.3"}],
        },
    ],
    follows={"recall": "base"},
)
REPORT["defaults"]["seeds"] = [0, 1, 2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "mini.yaml"
    path.write_text(yaml.safe_dump(REPORT, sort_keys=False))
    return Report(path)


def hashes(report, *selectors):
    return [run for selector in selectors for cell in report.cells(selector) for run in cell.runs]


def stand(report, results=None, obstacle=lambda cells: ""):
    """Statement → how it stands, with these accuracies by run."""
    rows = [
        (run, metric, value)
        for run, accuracy in (results or {}).items()
        for metric, value in {
            "accuracy": accuracy,
            "loss": 1.0,
            "parameters": 5000,
            "selected_epoch": 1,
            "test_images": 1000,
        }.items()
    ]
    columns = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    tables = Tables.of(final=dict(zip(("run", "metric", "value"), columns, strict=True)))
    found = standings(report, tables, {*(results or {})}, obstacle)
    return {one.name.removeprefix("mini: "): one for one in found}


def stages(standing):
    return [(stage.runs, stage.share) for stage in standing.aim.stages]


def test_what_is_not_run_needs_the_first_seeds(report):
    found = stand(report)
    base, better, near = (hashes(report, name) for name in ("base", "better", "near"))
    assert "recall" not in found  # it follows from another
    assert stages(found["base"]) == stages(found["size"]) == [({base[0]}, 1.0)]
    assert stages(found["unknown"]) == [({base[0], better[0]}, UNKNOWN)]
    assert stages(found["won"]) == [({*hashes(report, "study")}, 1.0)]
    assert stages(found["steadier"]) == [({*base[:2], *better[:2]}, UNKNOWN)]
    assert stages(found["read"])[0][0] == {base[0]}  # the first reading counts
    assert not any(one.settled for one in found.values())
    assert near[0] in stages(found["chain"])[0][0]


def test_the_numbers_of_the_report_say_how_many_seeds_a_claim_needs(report):
    """.010 is claimed. One seed of each, which scatter by .005 as is stated, leaves 2.4 · .005 · √2 = .0170
    open: (.0170 / .010)² = 2.88 seeds would just settle it.
    """
    found = stand(report)
    base, better = hashes(report, "base"), hashes(report, "better")
    runs, shares = zip(*stages(found["helps"]), strict=True)
    assert runs == tuple({*base[:seeds], *better[:seeds]} for seeds in (1, 2, 3))
    assert shares == pytest.approx([chance(seeds, 2.88) for seeds in (1, 2, 3)], abs=1e-3)
    assert found["helps"].aim.hopeful
    assert not found["hardly"].aim.hopeful  # .0005 is claimed
    assert not found["chain"].aim.hopeful  # of which that is a part


def test_an_undecided_claim_gets_more_seeds_as_long_as_they_can_decide_it(report):
    base, better = hashes(report, "base"), hashes(report, "better")
    results = {base[0]: 0.500, better[0]: 0.512}
    found = stand(report, results)
    assert found["base"].settled
    helps = found["helps"]
    assert helps.judgement.verdict == "undecided"
    needed = helps.judgement.seeds
    assert 2 <= needed <= 4
    assert stages(helps) == [({*base[:n], *better[:n]}, chance(n, needed)) for n in (2, 3)]

    every = dict(zip([*base, *better], [0.500, 0.500, 0.500, 0.501, 0.501, 0.501], strict=True))
    helps = stand(report, every)["helps"]
    assert (helps.aim, helps.exhausted) == (None, True)
    assert helps.why.endswith("seeds would be enough")

    decided = dict(zip([*base, *better], [0.500, 0.501, 0.502, 0.540, 0.541, 0.542], strict=True))
    assert stand(report, decided)["helps"].settled


def test_seeds_that_are_there_count_first(report):
    base, better = hashes(report, "base"), hashes(report, "better")
    found = stand(report, {base[2]: 0.500, better[1]: 0.501})["unknown"]
    assert found.judgement.verdict == "undecided"
    found = stand(report, {base[2]: 0.500})["unknown"]
    assert stages(found) == [({base[2], better[0]}, UNKNOWN)]


def test_what_cannot_be_trained_here_says_why(report):
    def no_cifar100(cells):
        kinds = {run.settings.dataset.name for cell in cells for run in cell.members}
        return "cifar100 is not here" if "cifar100" in kinds else ""

    found = stand(report, obstacle=no_cifar100)
    assert (found["elsewhere"].aim, found["elsewhere"].why) == (None, "cifar100 is not here")
    assert {name for name, one in found.items() if one.aim is None} == {"elsewhere"}
    there = stand(report, dict.fromkeys(hashes(report, "far"), 0.1), no_cifar100)
    assert there["elsewhere"].settled
