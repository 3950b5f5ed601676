import os
import re
import sys
from pathlib import Path

# Snakemake puts the folders of its files, and Python the working folder, before everything else; a random.py
# there must not be taken for Python's own.
beside = str(workflow.current_basedir.get_path_or_uri(secret_free=False))
sys.path.sort(key=lambda place: place in ("", os.getcwd(), workflow.basedir, beside))

from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import DeploymentMethod

from reprise.errors import RepriseError, printable
from reprise.reports.layout import Layout
from reprise.results.cache import Caches
from reprise.workflow.config import (
    as_written,
    cache_places,
    check_checkout,
    check_remote_paths,
    job_environment,
    read_config,
)
from reprise.workflow.programme import Programme

basedir = Path(workflow.basedir)
# The process of a job on a cluster is told what it is for: --target-jobs train:run=… evaluate:run=…
started = [
    job.groups()
    for job in map(re.compile(r"(train|evaluate):run=(\w+)").fullmatch, sys.argv)
    if job and not workflow.is_main_process
]
try:
    settings = read_config(config, as_written(workflow.configfiles, sys.argv))
    deployed = workflow.deployment_settings.deployment_method
    check_checkout(basedir, own_python=DeploymentMethod.CONDA not in deployed)
    layout = Layout(Path(settings.results), settings.scale)
    places = cache_places(settings, basedir) if workflow.is_main_process else []
    programme = Programme(
        settings,
        basedir / "workflow" / "reports",
        started,
        caches=Caches(places, layout.copies),
    )
    job_environment(settings, basedir / "src", programme.reports.values())
except RepriseError as error:
    raise WorkflowError(str(error)) from None
config.update(settings.model_dump())
if workflow.is_main_process:
    for slug, mistakes in programme.broken.items():
        print(mistakes, file=sys.stderr)
        print(
            f"{slug} is left out until that is mended; the others go on",
            file=sys.stderr,
        )
if programme.summary:
    print(programme.summary, file=sys.stderr)

root = str(programme.layout.root)
data = str(programme.layout.data_dir)


def results(stamps):
    """The stamps that a figure, a table or the statements wait for.

    They are those of the jobs that make its runs and, once the runs are there, their own: no reason to make
    it again, since its parameters name its runs. So a changed set of input files must trigger nothing. What
    triggers is known when Snakemake asks for inputs, not yet when it reads the rules.
    """
    triggers = set(workflow.dag_settings.rerun_triggers)
    workflow.dag_settings.rerun_triggers = triggers - {RerunTrigger.INPUT}
    return stamps


wildcard_constraints:
    slug="|".join(programme.reports),
    item="|".join(programme.item_ids),
    dataset="[a-z0-9]+(-stand-in)?",
    arch="[a-z0-9_]+",
