"""Snakemake's own ways of using a workflow: from another folder, as a module, on a cluster that is not there,
after a kill.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from plans import finished_project, plan, said
from project import ROOT, Project, run, runs_of, snakemake

from reprise.errors import RepriseError
from reprise.workflow import slurm
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme
from reprise.workflow.targets import named_targets

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]
FROM_NOTHING = {
    "synthesize": 1, "fetch": 1, "decode": 1, "statistics": 1, "samples": 1, "layers": 1, "train": 4,
    "evaluate": 4, "figure": 2, "table": 1, "statements": 1, "site": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Read only."""
    return finished_project(tmp_path_factory)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# ---- from another folder ----


def test_from_another_folder_results_go_there(made: Project, elsewhere: Path):
    """Settings and reports are those of the Snakefile's folder."""
    assert plan("-s", str(made / "Snakefile")) == {**FROM_NOTHING, "all": 1}
    text = said("-s", str(made / "Snakefile"), "results/demo/statements/mini.csv")
    assert "output: results/demo/statements/mini.html" in text
    shutil.copytree(made / "results", elsewhere / "results")
    assert plan("-s", str(made / "Snakefile")) == {}


def test_the_workflow_of_the_catalog_is_the_same(
    made: Project, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
):
    """It lies in workflow/Snakefile; from the folder above, Snakemake takes the Snakefile there by itself."""
    monkeypatch.chdir(made)
    other = ("-s", "workflow/Snakefile")
    assert plan(*other) == plan() == {}
    assert plan(*other, "--forceall") == plan("--forceall") != {}
    there = ("--directory", str(elsewhere))
    assert plan(*other, *there) == {**FROM_NOTHING, "all": 1}
    figures = plan(*other, "results/demo/figures/all", *there)
    assert figures == plan("results/demo/figures/all", *there)
    assert figures["all_figures"] == 1


def test_a_directory_is_where_results_go(made: Project, elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(made)
    assert plan("--directory", str(elsewhere)) == {**FROM_NOTHING, "all": 1}
    shutil.copytree(made / "results", elsewhere / "results")
    assert plan("--directory", str(elsewhere)) == {}


def test_settings_of_the_folder_go_before_those_of_the_snakefile(made: Project, elsewhere: Path):
    (elsewhere / "config.yaml").write_text("scale: demo\nthreads: 1\nresults: mine\n")
    assert "output: mine/demo/statements/mini.html" in said("-s", str(made / "Snakefile"), settings=())


def test_the_reports_of_the_snakefile_are_found_by_its_jobs(made: Project, elsewhere: Path):
    """A job runs in the folder of the results; relative paths begin there."""
    command = [sys.executable, "-m", "snakemake", "-s", str(made / "Snakefile"), "--cores", "1"]
    target = "results/demo/intermediate/mini/networks.layers.json"
    done = run(elsewhere, [*command, target, "--config", "scale=demo"], made / "src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere / target).read_bytes() == (made / target).read_bytes()


# ---- by a symbolic link ----


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("Snakefile", "{made}/Snakefile"),
        ("Snakefile", "../{nearby}/Snakefile"),
        ("Snakefile", "first.link"),
        ("mine.smk", "{made}/Snakefile"),
        ("workflow/Snakefile", "{made}/Snakefile"),
        ("workflow/Snakefile", "{made}/workflow/Snakefile"),
    ],
)
def test_a_snakefile_reached_by_a_link(made: Project, elsewhere: Path, name: str, target: str):
    """What lies beside the file itself counts; results go to the current folder."""
    (elsewhere.parent / "nearby").symlink_to(made)
    (elsewhere / "first.link").symlink_to(made / "Snakefile")
    link = elsewhere / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target.format(made=made, nearby="nearby"))
    chosen = ("-s", name) if name == "mine.smk" else ()
    assert plan(*chosen) == {**FROM_NOTHING, "all": 1}
    shutil.copytree(made / "results", elsewhere / "results")
    assert plan(*chosen) == {}


def test_a_link_as_a_module(made: Project, elsewhere: Path):
    (elsewhere / "linked").mkdir()
    (elsewhere / "linked/Snakefile").symlink_to(made / "Snakefile")
    module(elsewhere, elsewhere / "linked")
    assert plan(settings=("unused=1",)) == {**FROM_NOTHING, "mine": 1, "everything": 1}


@pytest.mark.parametrize("name", ["Snakefile", "workflow/Snakefile"])
def test_a_copied_snakefile_is_one_line(made: Project, elsewhere: Path, name: str):
    copy = elsewhere / name
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(made / "Snakefile", copy)
    done = snakemake(elsewhere, "-n")
    assert done.returncode != 0
    remedy = "use the Snakefile where it lies: snakemake -s CHECKOUT/Snakefile, or a symbolic link to it"
    assert (
        f"\n{copy}: the rest of the workflow is not beside it (no workflow/rules); {remedy}"
        in done.stdout + done.stderr
    )
    assert not (elsewhere / "results").exists()


# ---- as a module ----

CONFIG = "reprise: {scale: demo, threads: 1, synthetic: {train: 100, test: 30}}\nother: 1\n"


def module(folder: Path, source: Project, *, names: str = "", prefix: str = "", config: bool = True) -> None:
    """Another workflow, with one rule of its own, that uses this one."""
    (folder / "config.yaml").write_text(CONFIG)
    use = f"use rule * from reprise as {names}" if names else "use rule * from reprise"
    lines = [
        'configfile: "config.yaml"',
        "module reprise:",
        f"    snakefile: {str(source / 'Snakefile')!r}",
        *(['    config: config["reprise"]'] if config else []),
        *([f"    prefix: {prefix!r}"] if prefix else []),
        use,
        "rule mine:",
        '    output: "mine.txt"',
        '    shell: "touch {output}"',
        "rule everything:",
        "    default_target: True",
        f'    input: "mine.txt", rules.{(names or "*").replace("*", "all")}.input',
    ]
    (folder / "Snakefile").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("prefix", ["", "sub", "deep/er"])
@pytest.mark.parametrize("names", ["", "reprise_*", "*_of_reprise"])
def test_as_a_module(made: Project, elsewhere: Path, names: str, prefix: str):
    module(elsewhere, made, names=names, prefix=prefix)
    named = {(names or "*").replace("*", rule): count for rule, count in FROM_NOTHING.items()}
    assert plan(settings=("unused=1",)) == {**named, "mine": 1, "everything": 1}
    root = elsewhere / prefix / "results"
    shutil.copytree(made / "results", root)
    assert plan(settings=("unused=1",)) == {"mine": 1, "everything": 1}
    (run,) = runs_of(made, "base")
    (root / f"demo/runs/{run}/history.parquet").unlink()
    (root / "demo/figures/mini/image.svg").unlink()
    again = {"train": 1, "evaluate": 1, "figure": 2, "statements": 1, "site": 1}
    named = {(names or "*").replace("*", rule): count for rule, count in again.items()}
    assert plan(settings=("unused=1",)) == {**named, "mine": 1, "everything": 1}
    assert f"--results={prefix + '/' if prefix else ''}results " in said("-p", settings=("unused=1",)) + " "


def test_a_module_without_settings_has_its_own(made: Project, elsewhere: Path):
    """Not those of the other workflow, whose keys it does not know."""
    module(elsewhere, made, config=False)
    assert plan(settings=("scale=demo",)) == {**FROM_NOTHING, "mine": 1, "everything": 1}


@pytest.fixture
def hosted(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that git finds here although its address is one of GitHub."""
    repository = tmp_path / "github/somebody/reprise"
    shutil.copytree(made, repository, ignore=shutil.ignore_patterns(".snakemake", "__pycache__"))
    shutil.rmtree(repository / "results")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/github/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    return repository


@pytest.mark.parametrize("path", ["workflow/Snakefile", "Snakefile"])
def test_as_a_module_from_github(hosted: Path, elsewhere: Path, path: str):
    """As snakedeploy writes it, which also copies config/; the jobs find the code."""
    shutil.copytree(ROOT / "config", elsewhere / "config")
    (elsewhere / "workflow").mkdir()
    (elsewhere / "workflow/Snakefile").write_text(
        'configfile: "config/config.yaml"\n'
        "module reprise:\n"
        f'    snakefile: github("somebody/reprise", path="{path}", tag="v1")\n'
        "    config: config\n"
        "use rule * from reprise\n"
    )
    target = "results/demo/intermediate/mini/networks.layers.json"
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = run(elsewhere, [*command, target, "--config", "scale=demo"], hosted / "nothing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((elsewhere / target).read_text())["report"] == "mini"
    (checkout,) = (elsewhere / ".snakemake/checkouts").iterdir()
    assert (checkout / "workflow/reports/mini.yaml").is_file()


def test_a_snakemake_without_the_packages_of_the_project_is_one_line(made: Project, tmp_path: Path):
    """As that of a stranger who comes from the catalog."""
    without = "import sys, snakemake.cli; sys.modules['numpy'] = None; snakemake.cli.main()"
    done = run(made, [sys.executable, "-c", without, "-n"])
    assert done.returncode != 0
    line = next(line for line in (done.stdout + done.stderr).splitlines() if "has no numpy" in line)
    assert line.endswith(f"conda env create --file {made}/envs/environment.yaml")


# ---- targets ----


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mni", "no target mni; did you mean mini?"),
        ("sit", "no target sit; did you mean site?"),
        ("all_figure", "no target all_figure; did you mean all_figures?"),
        ("results/demo/figures/mini/curve.png", "did you mean results/demo/figures/mini/curves.png?"),
        ("results/demo/figures/al", "did you mean results/demo/figures/all?"),
        ("results/demo/tables/mini/network.csv", "did you mean results/demo/tables/mini/networks.csv?"),
        ("results/demo/statements/mini.cvs", "did you mean results/demo/statements/mini.csv?"),
        ("results/quick/statements/mini.csv", "of scale quick; add --config scale=quick"),
        ("results/figures/all", "of scale full, and this is demo; did you mean results/demo/figures/all?"),
    ],
)
def test_a_target_that_nothing_makes(made: Project, target: str, message: str):
    programme = Programme(Config(scale="demo"), made / "workflow/reports")
    with pytest.raises(RepriseError, match=re.escape(message)):
        programme.check_targets([target], {"all", "site", "all_figures", "mini"})


@pytest.mark.parametrize(
    "target",
    [
        "mini",
        "site",
        "results/demo/figures/mini/curves.svg",
        "results/demo/data/stl10/dataset.json",
        "a/b.txt",
    ],
)
def test_other_targets_are_left_to_snakemake(made: Project, target: str):
    programme = Programme(Config(scale="demo"), made / "workflow/reports")
    programme.check_targets([target], {"all", "site", "mini"})


def test_targets_are_those_of_the_command_line():
    command = ["mini", "./a//b", "--cores", "2", "--config", "scale=demo", "x=y"]
    assert named_targets(["/bin/snakemake", *command]) == ["mini", "a/b"]
    assert named_targets(["/lib/snakemake/__main__.py", *command]) == ["mini", "a/b"]
    assert named_targets(["/bin/pytest", *command]) == []


def test_a_misspelt_target_is_one_line(made: Project):
    done = snakemake(made, "mni", "-n")
    assert done.returncode != 0
    assert "\nno target mni; did you mean mini?\n" in done.stdout + done.stderr


def test_decoded_arrays_may_be_asked_for_by_name(made: Project):
    done = snakemake(made, "results/demo/data/cifar10/dataset.json", "-n")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


# ---- SLURM ----


class Resources(dict):
    __getattr__ = dict.get


class Job:
    """As much of Snakemake's job as the plugin looks at."""

    is_local, threads, rule = False, 2, SimpleNamespace(name="train")

    def __init__(self, **asked: object) -> None:
        self.resources = Resources({"mem_mb": 100, "runtime": 10, "gpu": 1, **asked})

    def is_group(self) -> bool:
        return False


def workflow(*jobs: Job) -> SimpleNamespace:
    settings = SimpleNamespace(requeue=False, no_requeue=False, qos=None, reservation=None)
    dag = SimpleNamespace(needrun_jobs=lambda: jobs, get_job_group=lambda job: None)
    return SimpleNamespace(dag=dag, executor_settings=settings)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes SLURM's commands: `sbatch`, which notes its calls in the file that is returned, and sacctmgr."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()

    def make(sbatch: str | None = "exit 0", accounts: str = "mine") -> Path:
        programs = {"sacctmgr": f"echo {accounts}"}
        if sbatch is not None:
            programs["sbatch"] = f'echo "$@" >> {calls}\n{sbatch}'
        for name, script in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        for program in Path("/usr/bin").iterdir():  # all but SLURM's own, where the machine has it
            if not (folder / program.name).exists() and not re.match(
                "s(batch|acct|share|info|control)", program.name
            ):
                (folder / program.name).symlink_to(program)
        monkeypatch.setenv("PATH", str(folder))
        return calls

    return make


def test_what_slurm_takes_is_asked_once_for_each_kind_of_job(cluster: Callable[..., Path]):
    calls = cluster()
    kinds = [Job(slurm_partition="gpu"), Job(slurm_partition="gpu"), Job(gpu=0, slurm_account="mine")]
    slurm.check_cluster(workflow(*kinds))
    first, second = calls.read_text().splitlines()
    assert first.startswith("--test-only --parsable")
    assert " -p gpu -t 10 --mem 100" in first
    assert first.endswith(" --gpus=1 --wrap true")
    assert " -A mine " in second
    assert "--gpus" not in second


@pytest.mark.parametrize("names", [("train", "decode", "figure"), ("figure", "train", "decode")])
def test_the_same_rule_is_named_in_whatever_order_snakemake_has_the_jobs(
    cluster: Callable[..., Path], names: tuple[str, ...]
):
    cluster("echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    jobs = [Job(runtime=minutes) for minutes, _ in enumerate(names, 1)]
    for job, name in zip(jobs, names, strict=True):
        job.rule = SimpleNamespace(name=name)
    with pytest.raises(RepriseError, match="refuse the jobs of decode: invalid partition"):
        slurm.check_cluster(workflow(*jobs))


def test_local_jobs_are_not_asked_about(cluster: Callable[..., Path]):
    calls = cluster()
    local = Job()
    local.is_local = True
    slurm.check_cluster(workflow(local))
    assert not calls.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sbatch: error: invalid partition specified: gpus\nsbatch: error: Batch job submission failed: "
         "Invalid partition name", "refuse the jobs of train: invalid partition specified: gpus; Batch job"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination",
         "would refuse the jobs of train: Batch job submission failed: Invalid account"),
        ("allocation failure: Requested time limit is invalid (missing or exceeds some limit)",
         "would refuse the jobs of train: Requested time limit is invalid"),
        ("sbatch: error: Memory specification can not be satisfied", "Memory specification can not"),
        ("sbatch: error: Invalid generic resource (gres) specification", "Invalid generic resource"),
        ("sbatch: error: Invalid qos specification", "Invalid qos specification; correct profile.yaml"),
        ("", "would refuse the jobs of train: no reason given; correct profile.yaml"),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
         "controller cannot be reached: Batch job submission failed: Unable to contact"),
        ("sbatch: fatal: Could not establish a configuration source", "cannot be reached: Could not"),
    ],
    ids=lambda text: text[-20:],
)  # fmt: skip
def test_what_sbatch_refuses_is_one_line(cluster: Callable[..., Path], words: str, message: str):
    cluster(f"echo {words!r} >&2; exit 1" if "\n" not in words else f"echo '{words}' >&2; exit 1")
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        slurm.check_cluster(workflow(Job()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"slurm_account": "other"}, "The given account other appears to be invalid"),
        ({"slurm_account": "mine other"}, "The given account other appears to be invalid"),
        ({"gpu_model": "a 100"}, "Invalid GPU model format: a 100"),
        ({"slurm_extra": "--mem=3"}, "not allowed in the 'slurm_extra' parameter"),
        ({"nodes": 0}, "'nodes' must be an integer"),
    ],
)
def test_what_the_plugin_refuses_is_one_line(cluster: Callable[..., Path], asked: dict, message: str):
    """In its own thread it would say so to nobody, and Snakemake would wait for ever."""
    calls = cluster()
    with pytest.raises(RepriseError, match=re.escape(message)) as error:
        slurm.check_cluster(workflow(Job(**asked)))
    assert "\n" not in str(error.value)
    assert not calls.exists()


def test_a_controller_that_does_not_answer(cluster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    cluster("exec sleep 60")
    monkeypatch.setattr(slurm, "ANSWER_S", 0.5)
    began = time.monotonic()
    with pytest.raises(
        RepriseError, match="controller cannot be reached: sbatch --test-only has not answered"
    ):
        slurm.check_cluster(workflow(Job()))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("there", [True, False], ids=["refused", "no sbatch"])
def test_snakemake_ends_before_it_submits(
    cluster: Callable[..., Path], made: Project, elsewhere: Path, there: bool
):
    calls = cluster("echo 'sbatch: error: invalid partition specified: x' >&2; exit 1" if there else None)
    command = [sys.executable, "-m", "snakemake", "-s", str(made / "Snakefile"), "--config", "scale=demo"]
    profile = ["--workflow-profile", str(made / "workflow/profiles/slurm")]
    done = subprocess.run(
        [*command, *profile],
        env={**os.environ, "PYTHONPATH": str(made / "src")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1
    expected = (
        "would refuse the jobs of decode_statistics: invalid partition specified: x"
        if there
        else "no sbatch on PATH"
    )
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (elsewhere / "results").exists()
    if there:
        assert "--test-only" in calls.read_text()


# ---- after kill -9 ----


@pytest.mark.slow
def test_after_a_kill_the_folder_is_unlocked_first(made: Project, tmp_path: Path):
    """The order that the docs give, and what Snakemake says in between."""
    project = Path(shutil.copytree(made, tmp_path / "project"))
    root, (run,) = project / "results/demo", runs_of(project, "rates/lr=0.02")
    shutil.rmtree(root / f"runs/{run}")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "scale=demo", "threads=1"]
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    with subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not list((project / ".snakemake/incomplete").rglob("*")):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    locked = snakemake(project)
    assert locked.returncode != 0
    assert "--unlock" in locked.stdout + locked.stderr
    assert snakemake(project, "--unlock").returncode == 0
    done = snakemake(project, "--rerun-incomplete")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / f"runs/{run}/evaluated.json").read_bytes() == (
        made / f"results/demo/runs/{run}/evaluated.json"
    ).read_bytes()
