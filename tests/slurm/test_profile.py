"""The SLURM profile and its page, without a cluster: its keys, and the counts that docs/cluster.md gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reprise.spec.programme import Programme

ROOT = Path(__file__).parents[2]
PROFILE = "workflow/profiles/slurm"


@pytest.mark.workflow
def test_the_profile_is_understood_and_sizes_the_jobs(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", PROFILE, "--dry-run", "--quiet", "rules"]
    arguments = ["--directory", str(tmp_path), "--config", "scale=demo", "reports=cifar100_superclass"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    # 23 small runs: one job of a million steps, where config.yaml makes one job of each experiment
    assert set(re.findall(r"^(train_\w+) ", done.stdout, re.MULTILINE)) == {"train_cifar100_superclass"}


def test_the_page_counts_runs_and_jobs_as_the_programme_does():
    settings = yaml.safe_load((ROOT / PROFILE / "settings.yaml").read_text())
    programme = Programme({"scale": "full", "results": "results"} | settings, ROOT / "workflow/reports")
    counts = {
        slug: [len(report.runs()), sum(shard.slug == slug for shard in programme.shards.values())]
        for slug, report in programme.reports.items()
    }
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    page = (ROOT / "docs/cluster.md").read_text()
    rows = re.findall(r"^\| `?(\w+)`? \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    assert {slug: [int(runs), int(jobs)] for slug, runs, jobs in rows} == counts
    datasets = {name for shard in programme.shards.values() for name, _ in shard.datasets}
    assert f"# {counts['all'][1]} {len(datasets)}\n" in page
