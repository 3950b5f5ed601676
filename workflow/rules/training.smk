# One job trains the runs of a shard that are not finished, in one process on one device, and one evaluates
# them. What has been finished lies in {root}/runs under each run's hash and survives a failed job, which
# loses its output alone: the stamp of the job's first run, set again when the job comes again. No rule makes
# the stamp of a finished run, so neither other shards nor other rules train it a second time. What a run cache
# holds is imported first, and is in no job that trains.

training = programme.training.jobs
evaluation = programme.evaluation.jobs
importing = programme.importing.jobs


rule import_runs:
    """The runs of a report that run caches hold: verified, and not trained."""
    output:
        str(programme.layout.evaluated("{run}")),
    log:
        f"{root}/logs/import_{{run}}.log",
    benchmark:
        f"{root}/benchmarks/import_{{run}}.tsv"
    wildcard_constraints:
        run=programme.importing.pattern,
    priority: 2  # takes seconds, and what is to be trained may wait for it
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        options=programme.options("scale", "results", "data"),
        places=places,
        runs=lambda wildcards, output: importing[wildcards.run].runs,
        subject=lambda wildcards, output: programme.subject(importing[wildcards.run]),
    message:
        "{rule} {params.subject}; log: {log}"
    shell:
        "python -m reprise import {params.places:q} --runs {params.runs:q} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule train:
    """The runs of a shard that are not trained yet."""
    input:
        lambda wildcards: needed(programme.train_inputs(wildcards.run)),
    output:
        str(programme.layout.trained("{run}")),
    log:
        f"{root}/logs/train_{{run}}.log",
    benchmark:
        f"{root}/benchmarks/train_{{run}}.tsv"
    wildcard_constraints:
        run=programme.training.pattern,
    priority: 1  # the longest jobs, which the others wait for, go first
    group:
        lambda wildcards: training[wildcards.run].shard.name
    conda:
        "../../envs/environment.yaml"
    threads: settings.threads
    resources:
        gpu=programme.gpu,
    params:
        options=lambda wildcards: programme.report_options(
            training[wildcards.run].shard.slug, "data"
        ),
        slug=lambda wildcards: training[wildcards.run].shard.slug,
        runs=lambda wildcards, output: training[wildcards.run].runs,
        subject=lambda wildcards, output: programme.subject(training[wildcards.run]),
    message:
        "{rule} {params.subject}; log: {log}"
    shell:
        "python -m reprise train {params.slug:q} --runs {params.runs:q} --threads {threads} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule evaluate:
    """The runs of a shard that are not tested yet: metrics and predictions."""
    input:
        lambda wildcards: needed(programme.evaluate_inputs(wildcards.run)),
    output:
        str(programme.layout.evaluated("{run}")),
    log:
        f"{root}/logs/evaluate_{{run}}.log",
    benchmark:
        f"{root}/benchmarks/evaluate_{{run}}.tsv"
    wildcard_constraints:
        run=programme.evaluation.pattern,
    priority: 1
    group:
        lambda wildcards: evaluation[wildcards.run].shard.name
    conda:
        "../../envs/environment.yaml"
    threads: settings.threads
    resources:
        gpu=programme.gpu,
        runtime=60,
    params:
        options=lambda wildcards: programme.report_options(
            evaluation[wildcards.run].shard.slug, "data"
        ),
        slug=lambda wildcards: evaluation[wildcards.run].shard.slug,
        runs=lambda wildcards, output: evaluation[wildcards.run].runs,
        subject=lambda wildcards, output: programme.subject(evaluation[wildcards.run]),
    message:
        "{rule} {params.subject}; log: {log}"
    shell:
        "python -m reprise evaluate {params.slug:q} --runs {params.runs:q} --threads {threads} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"
