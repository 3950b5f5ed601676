"""A look at a SLURM cluster before anything is submitted.

Snakemake's plugin submits in another thread, where what it refuses itself is never heard of: Snakemake would
wait for ever. What `sbatch` refuses, each job would fail of, three times over.
"""

import logging
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, printable

PROFILE = "profile.yaml"
ANSWER_S = 90
"""What SLURM's commands are given to answer; they give up on a controller by themselves after some 30 s."""


def check_cluster(workflow: Any) -> None:
    """Raise a `RepriseError` unless the jobs of Snakemake's `workflow` could be submitted: `sbatch` is there,
    its controller answers, and it takes what each kind of job asks for (`sbatch --test-only`).
    """
    if shutil.which("sbatch") is None:
        raise RepriseError(
            "no sbatch on PATH: this is not a login node of a SLURM cluster, or its module is not loaded; go "
            "to one, load it, or leave out --workflow-profile to work on this machine"
        )
    for call, rules in _calls(workflow).items():
        _try(rules, call)


def _calls(workflow: Any) -> dict[str, str]:
    """Every different command with which the plugin would submit a job → the rules of the first such job."""
    try:
        from snakemake_executor_plugin_slurm.accounts import validate_account
        from snakemake_executor_plugin_slurm.submit_string import get_submit_command
        from snakemake_executor_plugin_slurm.utils import set_gres_string
        from snakemake_executor_plugin_slurm.validation import validate_slurm_extra
    except ImportError:  # of another version, in which they have other names
        return {}
    from snakemake_interface_common.exceptions import WorkflowError

    calls: dict[str, str] = {}
    accounts: set[str] = set()
    for job in _jobs(workflow):
        rules = _rules(job)
        asked = job.resources.get
        try:
            validate_slurm_extra(job)
            given = [each for each in re.split(r"[,\s]+", str(asked("slurm_account") or "")) if each]
            for account in given:
                if account not in accounts and shutil.which("sacctmgr"):
                    validate_account(account, logging.getLogger(__name__))
                accounts.add(account)
            partition = asked("slurm_partition")
            parts = {
                "run_uuid": "reprise_test",
                "slurm_logfile": os.devnull,
                "comment_str": "test",
                "account": f"-A {shlex.quote(given[0])}" if given else "",
                "partition": f"-p {shlex.quote(str(partition))}" if partition else "",
                "workdir": Path.cwd(),
            }
            call = get_submit_command(job, parts, settings=workflow.executor_settings)
            call += set_gres_string(job)
        except WorkflowError as error:
            raise _refused(rules, str(error)) from None
        calls.setdefault(call, rules)
    return calls


def _jobs(workflow: Any) -> Iterable[Any]:
    """The jobs that are to be submitted; those of a group are one. Snakemake has them in no order: by the
    names of their rules, so that the same is said each time.
    """
    dag = workflow.dag
    jobs = dict.fromkeys(dag.get_job_group(job) or job for job in dag.needrun_jobs() if not job.is_local)
    return sorted(jobs, key=_rules)


def _rules(job: Any) -> str:
    """The rules of a job, or of all the jobs of a group."""
    return "_".join(sorted({one.rule.name for one in job})) if job.is_group() else str(job.rule.name)


def _try(rules: str, call: str) -> None:
    command = call.replace("sbatch ", "sbatch --test-only ", 1) + " --wrap true"
    try:
        done = subprocess.run(
            command,
            shell=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(f"sbatch --test-only has not answered for {ANSWER_S} s") from None
    if done.returncode != 0:
        words = done.stderr or done.stdout
        if re.search(r"contact|connect|configuration source|communicat|timed out", words, re.IGNORECASE):
            raise _unreachable(_gist(words))
        raise _refused(rules, words)


def _refused(rules: str, words: str) -> RepriseError:
    return RepriseError(
        f"SLURM would refuse the jobs of {rules}: {_gist(words)}; correct {PROFILE} in the folder of the "
        "profile (docs/cluster.md), and give the command again"
    )


def _unreachable(words: str) -> RepriseError:
    return RepriseError(
        f"SLURM's controller cannot be reached: {words}; try `scontrol ping`, and give the command again "
        "once it answers"
    )


def _gist(words: str) -> str:
    """What SLURM says, on one line."""
    lines = (
        re.sub(r"^(sbatch: )?(error: |fatal: |allocation failure: )*", "", line)
        for line in words.splitlines()
    )
    return (
        printable("; ".join(dict.fromkeys(filter(None, map(str.strip, lines))))[-400:]) or "no reason given"
    )
