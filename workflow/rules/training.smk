# Runs are trained and evaluated in shards: one job, one process, one device, many runs. What a job has finished lies in
# {root}/runs under each run's hash and survives a failed job; the outputs here are stamps that say a run is there.

for shard in programme.shards.values():

    rule:
        name:
            f"train_{shard.name}"
        input:
            programme.shard_inputs(shard.name),
        output:
            [f"{root}/trained/{run}.json" for run in shard.runs],
        log:
            f"{root}/logs/train_{shard.name}.log",
        benchmark:
            f"{root}/benchmarks/train_{shard.name}.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: config["threads"]
        resources:
            gpu=1,
            mem_mb=8000,
            runtime="12h",
        params:
            options=programme.options,
            runs=" ".join(shard.runs),
            slug=shard.slug,
            device=config["device"],
        shell:
            "python -m reprise train {params.slug} --runs {params.runs} --device {params.device} --threads {threads} {params.options} 2>&1 | tee -i {log}"

    rule:
        name:
            f"evaluate_{shard.name}"
        input:
            [f"{root}/trained/{run}.json" for run in shard.runs],
        output:
            [f"{root}/evaluated/{run}.json" for run in shard.runs],
        log:
            f"{root}/logs/evaluate_{shard.name}.log",
        benchmark:
            f"{root}/benchmarks/evaluate_{shard.name}.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: config["threads"]
        resources:
            gpu=1,
            mem_mb=8000,
            runtime="1h",
        params:
            options=programme.options,
            runs=" ".join(shard.runs),
            slug=shard.slug,
            device=config["device"],
        shell:
            "python -m reprise evaluate {params.slug} --runs {params.runs} --device {params.device} --threads {threads} {params.options} 2>&1 | tee -i {log}"
