"""Real CIFAR-100 from a mirror through the whole workflow, on few images. REPRISE_REAL_DATA names a folder
with cifar-100-python.tar.gz.
"""

import copy
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import REPORT, new_project, run

pytestmark = [pytest.mark.real, pytest.mark.workflow]


def archives(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set")
    return Path(os.environ[variable])


def snakemake(project: Path, mirror: Path):
    settings = ["scale=quick", "threads=1", f"mirror=[{mirror}]"]
    return run(project, [sys.executable, "-m", "snakemake", "--cores", "2", "--config", *settings])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose only report trains on fifty images of each of the twenty superclasses."""
    project = new_project(tmp_path)
    report = copy.deepcopy(REPORT)
    report["defaults"]["dataset"] = {"name": "cifar100", "labels": "coarse", "per_class": 100}
    report["defaults"]["training"]["epochs"] = 10
    report["models"]["net"]["layers"][0]["conv"] = 16
    report["figures"][1]["images"] = {"dataset": "cifar100", "captions": ["coarse", "fine"]}
    report["statements"] = [
        {
            "claim": "learns",
            "says": "Real images are learned beyond chance",
            "holds": "accuracy(base) > 2 * chance(base)",
        }
    ]
    (project / "workflow/reports/mini.yaml").write_text(yaml.safe_dump(report, sort_keys=False))
    return project


def test_from_archive_to_verdict(project: Path):
    done = snakemake(project, archives("REPRISE_REAL_DATA"))
    assert done.returncode == 0, done.stdout + done.stderr
    statements = pd.read_csv(project / "results/quick/statements/mini.csv").set_index("id")
    assert statements.loc["learns", "verdict"] == "reproduced", statements.to_string()
    assert "QUICK" in (project / "results/quick/tables/mini/networks.md").read_text()
    mean = yaml.safe_load((project / "results/data/cifar100/statistics.json").read_text())["mean"]
    assert mean == pytest.approx([0.50707516, 0.48654887, 0.44091784], abs=5e-7)


def test_a_subset_of_the_archive_is_refused(project: Path):
    done = snakemake(project, archives("REPRISE_REAL_SUBSET"))
    assert done.returncode != 0
    output = done.stdout + done.stderr
    (line,) = {line for line in output.splitlines() if line.startswith("reprise: ")}
    assert "cifar-100-python.tar.gz" in line
    assert "Traceback" not in output
    assert not list((project / "results/data/archives").glob("*.tar.gz"))
