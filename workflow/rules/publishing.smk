# Figures, tables, statements and the site, from results and small intermediate files. Only `layers`, and `samples` that
# show transforms, import torch. On a cluster they run where Snakemake runs: a few seconds each, less than a
# place in the queue costs.


rule layers:
    """Layer tables of architectures, from the modules themselves."""
    output:
        f"{root}/intermediate/{{slug}}/{{item}}.layers.json",
    log:
        f"{root}/logs/layers_{{slug}}_{{item}}.log",
    benchmark:
        f"{root}/benchmarks/layers_{{slug}}_{{item}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=programme.options("scale", "results", "reports"),
        content=lambda wildcards: programme.layers_params(
            wildcards.slug, wildcards.item
        ),
    shell:
        "python -m reprise layers {wildcards.slug:q} {wildcards.item:q} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule samples:
    """Sample images with their labels, from the arrays."""
    input:
        lambda wildcards: images(
            programme.samples_inputs(wildcards.slug, wildcards.item),
            *programme.samples_outputs(wildcards.slug, wildcards.item),
        ),
    output:
        f"{root}/intermediate/{{slug}}/{{item}}.samples.json",
        f"{root}/intermediate/{{slug}}/{{item}}.samples.npz",
    log:
        f"{root}/logs/samples_{{slug}}_{{item}}.log",
    benchmark:
        f"{root}/benchmarks/samples_{{slug}}_{{item}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=lambda wildcards: programme.report_options(wildcards.slug, "data"),
        content=lambda wildcards: programme.item_params(
            "figures", wildcards.slug, wildcards.item
        ),
    shell:
        "python -m reprise samples {wildcards.slug:q} {wildcards.item:q} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule figure:
    """A figure, with what was drawn as numbers."""
    input:
        lambda wildcards: drawn("figures", wildcards.slug, wildcards.item),
    output:
        png=report(
            f"{root}/figures/{{slug}}/{{item}}.png",
            caption="../captions/figure.rst",
            category="{slug}",
            subcategory="Figures",
            labels=lambda wildcards: programme.labels(
                "figures", wildcards.slug, wildcards.item
            ),
        ),
        svg=f"{root}/figures/{{slug}}/{{item}}.svg",
        json=f"{root}/figures/{{slug}}/{{item}}.json",
    log:
        f"{root}/logs/figure_{{slug}}_{{item}}.log",
    benchmark:
        f"{root}/benchmarks/figure_{{slug}}_{{item}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=lambda wildcards: programme.publishing_options(wildcards.slug),
        content=lambda wildcards: programme.item_params(
            "figures", wildcards.slug, wildcards.item
        ),
        caption=lambda wildcards: programme.caption(
            "figures", wildcards.slug, wildcards.item
        ),
        code=programme.publishing_code,
    shell:
        "python -m reprise figure {wildcards.slug:q} {wildcards.item:q} {params.options:q}"
        " 2>&1 | tee -i -- {log:q}"


rule table:
    """A table, as CSV, Markdown and LaTeX."""
    input:
        lambda wildcards: drawn("tables", wildcards.slug, wildcards.item),
    output:
        html=report(
            f"{root}/tables/{{slug}}/{{item}}.html",
            caption="../captions/table.rst",
            category="{slug}",
            subcategory="Tables",
            labels=lambda wildcards: programme.labels(
                "tables", wildcards.slug, wildcards.item
            ),
        ),
        csv=f"{root}/tables/{{slug}}/{{item}}.csv",
        md=f"{root}/tables/{{slug}}/{{item}}.md",
        tex=f"{root}/tables/{{slug}}/{{item}}.tex",
        json=f"{root}/tables/{{slug}}/{{item}}.json",
    log:
        f"{root}/logs/table_{{slug}}_{{item}}.log",
    benchmark:
        f"{root}/benchmarks/table_{{slug}}_{{item}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=lambda wildcards: programme.publishing_options(wildcards.slug),
        skip=lambda wildcards: programme.skip_arguments(wildcards.slug),
        content=lambda wildcards: programme.item_params(
            "tables", wildcards.slug, wildcards.item
        ),
        caption=lambda wildcards: programme.caption(
            "tables", wildcards.slug, wildcards.item
        ),
        code=programme.publishing_code,
    shell:
        "python -m reprise table {wildcards.slug:q} {wildcards.item:q} {params.options:q} {params.skip:q}"
        " 2>&1 | tee -i -- {log:q}"


rule statements:
    """Numbers and claims of a report, and their verdicts."""
    input:
        lambda wildcards: results(programme.statement_inputs(wildcards.slug)),
    output:
        html=report(
            f"{root}/statements/{{slug}}.html",
            caption="../captions/statements.rst",
            category="{slug}",
            subcategory="Statements",
            labels={"statements": "numbers and claims, with their verdicts"},
        ),
        csv=f"{root}/statements/{{slug}}.csv",
        md=f"{root}/statements/{{slug}}.md",
        json=f"{root}/statements/{{slug}}.json",
    log:
        f"{root}/logs/statements_{{slug}}.log",
    benchmark:
        f"{root}/benchmarks/statements_{{slug}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=lambda wildcards: programme.publishing_options(wildcards.slug),
        skip=lambda wildcards: programme.skip_arguments(wildcards.slug),
        content=lambda wildcards: programme.statement_params(wildcards.slug),
        code=programme.publishing_code,
    shell:
        "python -m reprise statements {wildcards.slug:q} {params.options:q} {params.skip:q}"
        " 2>&1 | tee -i -- {log:q}"


rule site:
    """What the reports said beside what came out, as static pages; the others lie beside the front page."""
    input:
        lambda wildcards: shown(),
    output:
        programme.front_page,
    log:
        f"{root}/logs/site.log",
    benchmark:
        f"{root}/benchmarks/site.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=programme.site_options(),
        content=programme.site_params(),
    shell:
        "python -m reprise site {params.options:q}" " 2>&1 | tee -i -- {log:q}"
