# Runs are trained and evaluated in shards: one job, one process, one device, many runs. What a job has finished lies in
# {root}/runs under each run's hash and survives a failed job; the outputs here are stamps in those folders, and say
# that a run is there.

for shard in programme.shards.values():

    rule:
        name:
            f"train_{shard.name}"
        input:
            programme.shard_inputs(shard.name),
        output:
            [str(programme.layout.trained(run)) for run in shard.runs],
        log:
            f"{root}/logs/train_{shard.name}.log",
        benchmark:
            f"{root}/benchmarks/train_{shard.name}.tsv"
        priority: 1  # the longest jobs, which the others wait for, go first
        group:
            shard.name
        conda:
            "../../envs/environment.yaml"
        threads: config["threads"]
        resources:
            gpu=programme.gpu,
        params:
            options=programme.report_options(shard.slug, "data"),
            slug=shard.slug,
            runs=lambda wildcards, output: [Path(stamp).parent.name for stamp in output],
        shell:
            "python -m reprise train {params.slug:q} --runs {params.runs:q} --threads {threads} {params.options:q} 2>&1 | tee -i -- {log:q}"

    rule:
        name:
            f"evaluate_{shard.name}"
        input:
            [str(programme.layout.trained(run)) for run in shard.runs],
        output:
            [str(programme.layout.evaluated(run)) for run in shard.runs],
        log:
            f"{root}/logs/evaluate_{shard.name}.log",
        benchmark:
            f"{root}/benchmarks/evaluate_{shard.name}.tsv"
        priority: 1  # the longest jobs, which the others wait for, go first
        group:
            shard.name
        conda:
            "../../envs/environment.yaml"
        threads: config["threads"]
        resources:
            gpu=programme.gpu,
            runtime=60,
        params:
            options=programme.report_options(shard.slug, "data"),
            slug=shard.slug,
            runs=lambda wildcards, output: [Path(stamp).parent.name for stamp in output],
        shell:
            "python -m reprise evaluate {params.slug:q} --runs {params.runs:q} --threads {threads} {params.options:q} 2>&1 | tee -i -- {log:q}"
