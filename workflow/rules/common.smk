import os
import re
import sys

# Snakemake puts the folders of its files, and Python the working folder, before everything else; a random.py
# there must not be taken for Python's own.
beside = str(workflow.current_basedir.get_path_or_uri(secret_free=False))
sys.path.sort(key=lambda place: place in ("", os.getcwd(), workflow.basedir, beside))
# The code beside this Snakefile, as in the jobs: the environment may have that of another checkout.
sys.path.insert(0, str(basedir / "src"))

from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import DeploymentMethod

try:
    from reprise.errors import RepriseError, printable
    from reprise.reports.layout import Layout
    from reprise.results.cache import Caches
    from reprise.workflow.config import (
        as_written,
        cache_places,
        check_checkout,
        check_folders,
        check_remote_paths,
        job_environment,
        read_config,
    )
    from reprise.workflow.ending import when_nothing_was_to_be_done
    from reprise.workflow.programme import Programme
    from reprise.workflow.slurm import check_cluster
    from reprise.workflow.targets import named_targets
except ModuleNotFoundError as error:
    if (error.name or "").startswith("reprise"):
        raise
    raise WorkflowError(
        f"the Python that runs Snakemake ({sys.executable}) has no {error.name}; run Snakemake in the project's"
        f" environment: conda env create --file {basedir / 'envs/environment.yaml'}"
    ) from None

# The process of a job on a cluster is told what it is for: --target-jobs train:run=… evaluate:run=…, with
# other words around the names of rules where this workflow is a module that was given them.
started = [
    job.groups()
    for job in map(
        re.compile(r"\w*?(train|evaluate)\w*:run=([0-9a-f]{12})").fullmatch, sys.argv
    )
    if job and not workflow.is_main_process
]
modifier = workflow.modifier
targets = named_targets(sys.argv) if workflow.is_main_process else []
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
        place=lambda path: str(modifier.modify_path(path)),
    )
    check_folders(programme.there)
    job_environment(settings, basedir / "src", programme.reports.values())
except RepriseError as error:
    raise WorkflowError(str(error)) from None
config.update(settings.model_dump())
if workflow.is_main_process:
    for slug, mistakes in programme.broken.items():
        print(mistakes, file=sys.stderr)
        print(
            f"{slug} is left out until you correct that; the others go on",
            file=sys.stderr,
        )
if programme.summary:
    print(programme.summary, file=sys.stderr)

root = str(programme.layout.root)
data = str(programme.layout.data_dir)


def again(files):
    """Have these files made, as --forcerun does, whoever needs them. By itself Snakemake does not miss what
    was deleted behind a file that is there.
    """
    if workflow.is_main_process:
        workflow.dag.forcefiles.update(map(programme.place, files))


def needed(files):
    """Input files of a job, and what was deleted behind them."""
    again(programme.deleted(files))
    programme.date_now(files)
    return files


def every(section):
    """The figures, tables or statements of all reports; the file that stands for them goes with any."""
    files = programme.targets(section)
    if programme.missing_files(files):
        again([f"{root}/{section}/all"])
    return needed(files)


def archive(dataset):
    """What a data set is decoded from; not again where its arrays are there, however old."""
    stamp = f"{data}/archives/{dataset}.json"
    return (
        ancient(stamp)
        if programme.is_whole(f"{data}/{dataset}/dataset.json")
        else stamp
    )


def images(files, *made):
    """The records of data sets that a job reads to write `made`. Verified arrays are as good as new, however
    late a copy has dated them.
    """
    needed(programme.images_to_read(files, made))
    programme.date_now(files)
    return [ancient(file) if programme.is_whole(file) else file for file in files]


def results(stamps):
    """The stamps that a figure, a table or the statements wait for.

    They are those of the jobs that make its runs and, once the runs are there, their own: no reason to make
    it again, since its parameters name its runs. So a changed set of input files must trigger nothing. What
    triggers is known when Snakemake asks for inputs, not yet when it reads the rules.
    """
    triggers = set(workflow.dag_settings.rerun_triggers)
    workflow.dag_settings.rerun_triggers = triggers - {RerunTrigger.INPUT}
    return needed(stamps)


def drawn(section, slug, item):
    """What a figure or table is made from."""
    again(programme.to_draw_from(section, slug, item))
    return results(programme.item_inputs(section, slug, item))


def shown():
    """What the site shows; its front page goes with any other page."""
    if programme.missing_pages():
        again([programme.front_page])
    return needed(programme.published())


def say_results():
    """Where the results lie, and the verdicts on the reports that were asked for, counted."""
    # Imported here, because a dry run need not wait for it.
    from reprise.publishing.closing import closing

    for line in closing(programme.asked(targets), programme.layout):
        print(printable(line), file=sys.stderr)


if workflow.modifier.is_main_snakefile():
    when_nothing_was_to_be_done(workflow, say_results)


wildcard_constraints:
    slug="|".join(programme.reports),
    item="|".join(programme.item_ids),
    dataset="[a-z0-9]+(-stand-in)?",
    arch="[a-z0-9_]+",
