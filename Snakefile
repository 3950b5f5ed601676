"""reprise: rebuild five image-classification reports, every figure, table, number and claim, from raw data.

snakemake results/figures/all --cores 8 --resources gpu=1      # every figure
snakemake cifar100_superclass --cores 8 --resources gpu=1      # one report: figures, tables, verdicts
snakemake --cores 2 --config scale=demo                        # everything on synthetic data, in minutes
snakemake --workflow-profile workflow/profiles/slurm           # everything, on a SLURM cluster
"""

from snakemake.utils import min_version

min_version("9.25")


configfile: "config.yaml"


report: "workflow/captions/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/publishing.smk"


onstart:
    if workflow.non_local_exec:
        try:
            check_remote_paths(settings, basedir, workflow.config_settings.config)
        except RepriseError as error:
            raise WorkflowError(str(error)) from None


onsuccess:
    # Imported here, because a dry run need not wait for it.
    from reprise.publishing.closing import closing

    for line in closing(programme.reports, programme.layout):
        print(printable(line), file=sys.stderr)


onerror:
    print(
        f"some jobs failed: the log that each names says why, under {root}/logs. What is finished is kept: run"
        " the same command again to go on.",
        file=sys.stderr,
    )


rule all:
    """Everything."""
    default_target: True
    input:
        programme.all_targets(),
    localrule: True


rule all_figures:
    """The figures of all reports."""
    input:
        programme.targets("figures"),
    output:
        touch(f"{root}/figures/all"),
    localrule: True


rule all_tables:
    """The tables of all reports."""
    input:
        programme.targets("tables"),
    output:
        touch(f"{root}/tables/all"),
    localrule: True


rule all_statements:
    """The statements of all reports."""
    input:
        programme.targets("statements"),
    output:
        touch(f"{root}/statements/all"),
    localrule: True


for slug in programme.reports:

    rule:
        name:
            slug
        input:
            lambda wildcards, slug=slug: programme.all_targets([slug]),
        localrule: True
