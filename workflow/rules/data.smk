# From archives to arrays and statistics. Downloads are local rules: compute nodes often have no network.


rule synthesize:
    """The demo's stand-in for a data set, in the official archive format."""
    output:
        f"{data}/synthetic/{{dataset}}.json",
    log:
        f"{root}/logs/synthesize_{{dataset}}.log",
    benchmark:
        f"{root}/benchmarks/synthesize_{{dataset}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=programme.options("results"),
        images=[f"--{split}={count}" for split, count in config["synthetic"].items()],
    shell:
        "python -m reprise data synthesize {wildcards.dataset:q} {params.images:q} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule fetch:
    """An archive from a mirror or its official address, verified."""
    input:
        programme.archive_inputs,
    output:
        f"{data}/archives/{{dataset}}.json",
    log:
        f"{root}/logs/fetch_{{dataset}}.log",
    benchmark:
        f"{root}/benchmarks/fetch_{{dataset}}.tsv"
    wildcard_constraints:
        dataset="[a-z0-9]+",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        options=programme.options("scale", "results", "data"),
    shell:
        "python -m reprise data fetch {wildcards.dataset:q} {params.options:q} 2>&1 | tee -i -- {log:q}"


rule stand_in:
    """A stand-in for a data set, made from the real images of another."""
    input:
        programme.stand_in_inputs,
    output:
        f"{data}/archives/{{dataset}}-stand-in.json",
    log:
        f"{root}/logs/stand_in_{{dataset}}.log",
    benchmark:
        f"{root}/benchmarks/stand_in_{{dataset}}.tsv"
    wildcard_constraints:
        dataset="[a-z0-9]+",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        options=programme.options("scale", "results", "data"),
    shell:
        "python -m reprise data stand-in {wildcards.dataset:q} {params.options:q} 2>&1 | tee -i -- {log:q}"


rule fetch_weights:
    """Pretrained weights, verified."""
    output:
        f"{data}/weights/{{arch}}.json",
    log:
        f"{root}/logs/fetch_weights_{{arch}}.log",
    benchmark:
        f"{root}/benchmarks/fetch_weights_{{arch}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        options=programme.options("scale", "results", "data"),
    shell:
        "python -m reprise data fetch-weights {wildcards.arch:q} {params.options:q} 2>&1 | tee -i -- {log:q}"


# Arrays that are there are source files, like finished runs: no rule makes them.
rule decode:
    """Memory-mapped arrays of images and labels; dataset.json is written last."""
    input:
        lambda wildcards: archive(wildcards.dataset),
    output:
        f"{data}/{{dataset}}/dataset.json",
    log:
        f"{root}/logs/decode_{{dataset}}.log",
    benchmark:
        f"{root}/benchmarks/decode_{{dataset}}.tsv"
    wildcard_constraints:
        dataset=programme.decoded(targets),
    group:
        "arrays"
    conda:
        "../../envs/environment.yaml"
    threads: 3
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        options=programme.options("scale", "results", "data"),
    shell:
        "python -m reprise data decode {wildcards.dataset:q} {params.options:q} 2>&1 | tee -i -- {log:q}"


rule statistics:
    """Mean and standard deviation of each channel over the training images."""
    input:
        lambda wildcards: images(
            [f"{data}/{wildcards.dataset}/dataset.json"],
            f"{data}/{wildcards.dataset}/statistics.json",
        ),
    output:
        f"{data}/{{dataset}}/statistics.json",
    log:
        f"{root}/logs/statistics_{{dataset}}.log",
    benchmark:
        f"{root}/benchmarks/statistics_{{dataset}}.tsv"
    group:
        "arrays"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        options=programme.options("scale", "results", "data"),
    shell:
        "python -m reprise data statistics {wildcards.dataset:q} {params.options:q} 2>&1 | tee -i -- {log:q}"
