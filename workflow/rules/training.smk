# One job trains the runs of a shard that are not finished, in one process on one device, and one evaluates
# them. What has been finished lies in {root}/runs under each run's hash and survives a failed job, which
# loses its output alone: the stamp of the job's first run, set again when the job comes again. No rule makes
# the stamp of a finished run, so neither other shards nor other rules train it a second time.

training = programme.training.jobs
evaluation = programme.evaluation.jobs


rule train:
    """The runs of a shard that are not trained yet."""
    input:
        lambda wildcards: programme.train_inputs(wildcards.run),
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
        lambda wildcards: programme.evaluate_inputs(wildcards.run),
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
