"""The SLURM profile and its page, without a cluster: its keys, what jobs ask for, and the numbers that
docs/cluster.md gives.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reprise.reports.run import datasets
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

ROOT = Path(__file__).parents[2]
PROFILE = "workflow/profiles/slurm"
FAKE = """#!{python}
import json, pathlib, sys
name = pathlib.Path(sys.argv[0]).name
if name == "sacctmgr":
    print("my_account")
elif name == "scontrol":
    print("MinJobAge = 300 sec")
elif name == "sbatch" and "--test-only" not in sys.argv:
    with open({calls!r}, "a") as file:
        print(json.dumps(sys.argv[1:]), file=file)
    sys.exit("refused")
"""
"""SLURM's commands as the plugin needs them: it finds the account, would take every job when it is asked
beforehand, notes every submission, and takes none, so that all attempts come.
"""


def snakemake(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments]
    everything = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    return subprocess.run(command, cwd=ROOT, env=everything, capture_output=True, text=True, timeout=280)


@pytest.mark.workflow
def test_the_profile_is_understood_and_sizes_the_jobs(tmp_path):
    arguments = [
        "--dry-run",
        "--quiet",
        "rules",
        "--directory",
        str(tmp_path),
        "--config",
        "scale=demo",
        "reports=cifar100_superclass",
    ]
    done = snakemake("--workflow-profile", PROFILE, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    # 23 small runs: one job of a million steps, where config.yaml makes one job of each experiment
    assert set(re.findall(r"^train +(\d+)$", done.stdout, re.MULTILINE)) == {"1"}


def options(call: list[str]) -> dict[str, str]:
    """Options of sbatch and their values, however they are joined."""
    found: dict[str, str] = {}
    for word, after in zip(call, [*call[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("-"):
            found[name] = value if equals else after
    return found


@pytest.mark.workflow
def test_jobs_ask_for_what_a_site_writes_into_the_profile(tmp_path):
    profile = tmp_path / "profile"
    shutil.copytree(ROOT / PROFILE, profile)
    for file in profile.iterdir():  # every example takes effect
        file.write_text(re.sub(r"^( *)# ( *[a-z_-]+:( .*)?)$", r"\1\2", file.read_text(), flags=re.MULTILINE))
    site, settings = (
        yaml.safe_load((profile / name).read_text()) for name in ("profile.yaml", "settings.yaml")
    )
    asked = site["default-resources"]
    assert {
        "slurm_partition",
        "slurm_account",
        "gpu_model",
        "constraint",
        "qos",
        "slurm_extra",
    } <= asked.keys()

    bin_folder, calls = tmp_path / "bin", tmp_path / "calls"
    bin_folder.mkdir()
    for name in ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "sacct", "sacctmgr"):
        (bin_folder / name).write_text(FAKE.format(python=sys.executable, calls=str(calls)))
        (bin_folder / name).chmod(0o755)
    data = tmp_path / "results/demo/data"
    for name in (
        "synthetic/cifar10",
        "synthetic/cifar100",
        "archives/cifar10",
        "archives/cifar100",
        "cifar10/dataset",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / f"{name}.json").write_text("{}")
    targets = ["results/demo/data/cifar100/statistics.json", "results/demo/statements/cifar10_asha.md"]
    arguments = ["--directory", str(tmp_path), "--slurm-init-seconds-before-status-checks", "1", *targets]
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    done = snakemake(
        "--workflow-profile",
        str(profile),
        *arguments,
        "--config",
        "scale=demo",
        "reports=cifar10_asha",
        PATH=path,
    )
    assert done.returncode == 1, done.stdout + done.stderr

    submitted = [options(json.loads(line)) for line in calls.read_text().splitlines()]
    training = [call for call in submitted if call["--comment"] == "rule_cifar10_asha_evaluate_train"]
    decoding = [call for call in submitted if call not in training]
    common = {
        "-A": asked["slurm_account"],
        "-C": asked["constraint"],
        "--qos": asked["qos"],
        "--exclude": re.fullmatch(r"'--exclude=(\w+)'", asked["slurm_extra"])[1],
        "-D": str(tmp_path),
    }
    attempts = range(1, 2 + site["retries"])
    assert len(training) == len(decoding) == len(attempts)
    for attempt, train, decode in zip(attempts, training, decoding, strict=True):
        expected = common | {
            "-p": asked["slurm_partition"],
            "--gpus": f"{asked['gpu_model']}:1",
            "--cpus-per-task": str(settings["threads"]),
            "--mem": str(eval(asked["mem_mb"], {"attempt": attempt})),
            "-t": str(eval(asked["runtime"], {"attempt": attempt}) + 60),  # and testing
        }
        assert {name: train.get(name) for name in expected} == expected
        expected = common | {
            "-p": site["set-resources"]["decode"]["slurm_partition"],
            "--gpus": None,
            "--mem": str(4000 * attempt),
            "-t": str(30 * attempt + 10 * attempt),  # decoding and statistics
        }
        assert {name: decode.get(name) for name in expected} == expected


@pytest.mark.slow
def test_the_page_counts_as_its_commands_and_the_programme_do(tmp_path):
    page = (ROOT / "docs/cluster.md").read_text()
    (command,) = re.findall(r"^python - <<'END'.*\n((?:.*\n)*?)END\n", page, re.MULTILINE)
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")  # no data there
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-"],
        input=command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (`\w+`|all) (\|.*\|)$", page, re.MULTILINE)
    assert [f"| {name} {cells}" for name, cells in rows] == done.stdout.splitlines()

    settings = yaml.safe_load((ROOT / PROFILE / "settings.yaml").read_text())
    full, quick = (
        Programme(Config(scale=scale, **settings), ROOT / "workflow/reports") for scale in ("full", "quick")
    )
    counts = {f"`{slug}`": [len(report.runs()), 0] for slug, report in full.reports.items()}
    for shard in full.shards:
        counts[f"`{shard.slug}`"][1] += 1
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    assert {name: [int(cell) for cell in re.findall(r"\d+", cells)[:2]] for name, cells in rows} == counts
    names = {name for report in full.reports.values() for name, _ in datasets(report.runs().values())}
    assert f"# decode {len(names)}, train {counts['all'][1]}\n" in page
    assert f"{counts['all'][1]} that train and test" in page
    assert f"{len(quick.shards)} training jobs\n" in page
