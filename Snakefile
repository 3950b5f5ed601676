"""reprise: rebuild five image-classification reports, every figure, table, number and claim, from raw data.

snakemake results/figures/all --cores 8 --resources gpu=1      # every figure
snakemake cifar100_superclass --cores 8 --resources gpu=1      # one report: figures, tables, verdicts
snakemake --cores 2 --config scale=demo                        # everything on synthetic data, in minutes
snakemake --workflow-profile workflow/profiles/slurm           # everything, on a SLURM cluster
"""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from snakemake.sourcecache import HostingProviderFile
from snakemake.utils import min_version

min_version("9.25")


# The folder of this Snakefile, which may be a module of another workflow, or be reached by a symbolic link:
# all else lies beside the file itself.
source = workflow.included_stack[-1]
basedir = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
own_file = basedir / source.get_filename()
if isinstance(source, HostingProviderFile):
    # github(…) in a module: Snakemake has cloned the repository and hands out single files; jobs need a folder.
    clone = source.hosted_repo.repo
    commit = clone.commit(source.ref).hexsha
    basedir = Path(f".snakemake/checkouts/{commit[:12]}").absolute()
    if not basedir.exists():
        basedir.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=basedir.parent) as part:
            clone.clone(f"{part}/new", no_checkout=True).git.checkout(commit)
            with suppress(OSError):  # another process was first
                os.rename(f"{part}/new", basedir)
elif own_file.is_symlink():
    basedir = own_file.resolve().parent
if not (basedir / "workflow/rules/common.smk").is_file():
    raise WorkflowError(
        f"{own_file}: the rest of the workflow is not beside it (no workflow/rules); use the Snakefile where "
        "it lies: snakemake -s CHECKOUT/Snakefile, or a symbolic link to it"
    )
# Results go where Snakemake is started, or to its --directory, and a config.yaml there goes before this
# folder's own. A module is told its settings in `config:`, or has those of this folder.
own_config = Path("config.yaml")
if not (workflow.modifier.is_main_snakefile() and own_config.is_file()):
    own_config = basedir / own_config


configfile: str(own_config)


report: str(basedir / "workflow/captions/workflow.rst")


include: str(basedir / "workflow/rules/common.smk")
include: str(basedir / "workflow/rules/data.smk")
include: str(basedir / "workflow/rules/training.smk")
include: str(basedir / "workflow/rules/publishing.smk")


onstart:
    if workflow.non_local_exec:
        try:
            check_remote_paths(settings, basedir, workflow.config_settings.config)
            if workflow.executor_plugin.name == "slurm":
                check_cluster(workflow)
        except RepriseError as error:
            raise WorkflowError(str(error)) from None


onsuccess:
    say_results()


onerror:
    print(
        f"some jobs failed; the log that each of them names says why (under {root}/logs). What is finished is"
        " kept: run the same command again to go on.",
        file=sys.stderr,
    )


rule all:
    """Everything."""
    default_target: True
    input:
        lambda wildcards: needed(programme.all_targets()),
    localrule: True


rule all_figures:
    """The figures of all reports."""
    input:
        lambda wildcards: every("figures"),
    output:
        touch(f"{root}/figures/all"),
    localrule: True


rule all_tables:
    """The tables of all reports."""
    input:
        lambda wildcards: every("tables"),
    output:
        touch(f"{root}/tables/all"),
    localrule: True


rule all_statements:
    """The statements of all reports."""
    input:
        lambda wildcards: every("statements"),
    output:
        touch(f"{root}/statements/all"),
    localrule: True


for slug in programme.reports:

    rule:
        name:
            slug
        input:
            lambda wildcards, slug=slug: needed(programme.all_targets([slug])),
        localrule: True


if workflow.is_main_process and workflow.modifier.is_main_snakefile():
    try:
        programme.check_targets(targets, {made.name for made in workflow.rules})
    except RepriseError as error:
        raise WorkflowError(str(error)) from None
