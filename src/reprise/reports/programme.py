"""The whole programme of work: what the workflow makes, from what, in which jobs. Plain data for the rules,
no Snakemake here.
"""

import hashlib
import itertools
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.reports.check import check_size, nearest, read_yaml, validate
from reprise.reports.layout import Layout, stand_in_source
from reprise.reports.report import CHECKED, Report, network_names
from reprise.reports.run import Run, canonical

SUFFIXES = {"figures": (".png", ".svg", ".json"), "tables": (".csv", ".md", ".tex")}


INTERMEDIATES = {
    "figures": {"samples": ".samples.json", "diagram": ".layers.json"},
    "tables": {"layers": ".layers.json"},
}
"""Kinds of figure and table that need a file from a room with torch or from the images."""

CIFAR_IMAGES = 50_000
MOST_RUNS = 100
"""Of a shard of an experiment: Snakemake goes through a rule's files one by one for each that it looks
for.
"""


@dataclass(frozen=True)
class Shard:
    """The runs that one job trains, in one process on one device."""

    name: str
    slug: str
    runs: Mapping[str, Run]

    @property
    def follows(self) -> list[str]:
        """Runs of other shards that must be finished before these."""
        return sorted({run for each in self.runs.values() for run in each.follows if run not in self.runs})

    @property
    def datasets(self) -> list[tuple[str, str]]:
        """Name and source of each data set."""
        return datasets(self.runs.values())

    @property
    def weights(self) -> list[str]:
        """Architectures whose pretrained weights are needed."""
        return sorted({run.pretrained for run in self.runs.values() if run.pretrained})


def datasets(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and source of each data set that the runs train on."""
    return sorted({(run.spec["dataset"]["name"], run.spec["dataset"]["source"]) for run in runs})


class Programme:
    """Reports, files and jobs for one configuration (see config.yaml for its keys)."""

    def __init__(self, config: Mapping[str, Any], reports_dir: Path | str) -> None:
        self.layout = Layout(
            Path(config["results"]), config["scale"], Path(config["data"]) if config.get("data") else None
        )
        folder = Path(reports_dir)
        present = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        wanted = as_list(config.get("reports")) or list(present)
        skip: dict[str, list[str]] = {}
        for entry in as_list(config.get("skip")):
            slug, slash, experiment = entry.partition("/")
            if slug not in present or not slash:
                raise RepriseError(f"skip: {entry!r} is not report/experiment{nearest(slug, present)}")
            skip.setdefault(slug, []).append(experiment)
        stand_in = as_list(config.get("stand_in"))
        self._settings = {key: config.get(key) for key in ("scale", "results", "data")}
        self._settings["reports"] = os.path.relpath(folder)
        self._stand_in = stand_in
        self.gpu = 0 if config.get("device") == "cpu" else 1
        """GPUs that a training job asks for."""
        self._skip = skip
        self._stamp: dict[str, str] = {}
        self.reports: dict[str, Report] = {}
        for slug in wanted:
            if slug not in present:
                raise RepriseError(f"no report {slug} in {folder}{nearest(slug, present)}")
            self.reports[slug] = Report(present[slug], config["scale"], skip.get(slug, []), stand_in)
        self.shards = self._shards(config.get("shard", "experiment"))

    def _shards(self, size: str | int) -> dict[str, Shard]:
        """Each run in one shard.

        With `experiment`, runs of an experiment that the same figures, tables and statements need are trained
        together, so asking for one figure trains what it draws (but at most `MOST_RUNS`). With `report`, a
        report is one shard; with a number, shards of at most that many optimiser steps (but a run is not
        divided). Runs that start from the weights of others then have shards of their own. A study is never
        divided, because its trials wait for each other.
        """
        shards: dict[str, Shard] = {}
        placed: set[str] = set()
        for slug, report in self.reports.items():
            every = report.runs()
            runs = {identifier: run for identifier, run in every.items() if identifier not in placed}
            placed |= runs.keys()
            for name, part in (
                self._by_demand(report, runs) if size == "experiment" else by_size(report, runs, every, size)
            ):
                numbered = (name if number == 1 else f"{name}__{number}" for number in itertools.count(1))
                free = next(candidate for candidate in numbered if candidate not in shards)
                shards[free] = Shard(free, slug, part)
        return shards

    def _by_demand(self, report: Report, runs: Mapping[str, Run]) -> Iterator[tuple[str, dict[str, Run]]]:
        """Names and runs of the shards of experiments."""
        demand = self._demand(report)
        groups: dict[tuple[str, ...], dict[str, Run]] = {}
        for identifier, run in runs.items():
            experiment = report.cell_of(identifier).experiment
            key = (experiment, *(() if "study" in run.spec else demand.get(identifier, ())))
            groups.setdefault(key, {})[identifier] = run
        for (experiment, *_), group in groups.items():
            name, items = (
                "_".join(re.sub(r"\W", "_", part) for part in (report.slug, experiment)),
                list(group.items()),
            )
            most = len(items) if any("study" in run.spec for run in group.values()) else MOST_RUNS
            for start in range(0, len(items), most):
                yield name, dict(items[start : start + most])

    @staticmethod
    def _demand(report: Report) -> dict[str, tuple[str, ...]]:
        """Run → ids of the figures, tables and statements that need it."""
        demand: dict[str, tuple[str, ...]] = {}
        for item in [*report.figures, *report.tables, *report.statements]:
            for cell in report.needed(item):
                for run in cell.runs:
                    demand[run] = (*demand.get(run, ()), item["id"])
        return demand

    # ---- targets ----

    @property
    def item_ids(self) -> list[str]:
        """Every figure and table, as patterns: a file that no report has is then a file that no rule
        makes.
        """
        ids = {item["id"] for report in self.reports.values() for item in [*report.figures, *report.tables]}
        return sorted(map(re.escape, ids)) or ["(?!)"]

    def items(self, section: str, slug: str) -> list[dict[str, Any]]:
        """Figures or tables that can be made: those that need no skipped experiment."""
        report = self.reports[slug]
        items = report.figures if section == "figures" else report.tables
        return [item for item in items if all(report.active(cell) for cell in report.needed(item))]

    def targets(self, section: str, slugs: Sequence[str] | None = None) -> list[str]:
        """Every file of `figures`, `tables` or `statements`."""
        found = []
        for slug in slugs or self.reports:
            if section == "statements":
                found += [
                    str(self.layout.statements(slug)),
                    str(self.layout.statements(slug).with_suffix(".md")),
                ]
                continue
            place = self.layout.figure if section == "figures" else self.layout.table
            for item in self.items(section, slug):
                found += [f"{place(slug, item['id'])}{suffix}" for suffix in SUFFIXES[section]]
        return found

    def all_targets(self, slugs: Sequence[str] | None = None) -> list[str]:
        """Everything of the reports: what is published, every run of their experiments, and the data sets'
        statistics.
        """
        published = [
            target
            for section in ("figures", "tables", "statements")
            for target in self.targets(section, slugs)
        ]
        runs = {
            identifier: run
            for slug in slugs or self.reports
            for identifier, run in self.reports[slug].runs().items()
        }
        judged = {stamp for slug in slugs or self.reports for stamp in self.statement_inputs(slug)}
        return [
            *published,
            *(
                stamp for stamp in map(self._evaluated, runs) if stamp not in judged
            ),  # the statements ask for the others
            *(str(self.layout.dataset(*dataset) / "statistics.json") for dataset in datasets(runs.values())),
        ]

    # ---- inputs and parameters of the rules ----

    def archive_inputs(self, wildcards: Any) -> list[str]:
        """The demo fetches from archives that the project draws first."""
        return (
            [str(self.layout.synthetic / f"{wildcards.dataset}.json")] if self.layout.scale == "demo" else []
        )

    def options(self, *names: str) -> list[str]:
        """Settings as options of the command line, those that are set; with `=`, since a folder's name can
        begin with `-`.
        """
        return [f"--{name}={self._settings[name]}" for name in names if self._settings[name]]

    def report_options(self, slug: str, *more: str) -> list[str]:
        """Options of a verb that reads a report, and `more`; only one that uses a stand-in hears of it, so
        that other files stay as they are.
        """
        options = self.options("scale", "results", "reports", *more)
        if not self._stand_in:
            return options
        report = self.reports[slug]
        cells = [cell for name in report.experiments for cell in report.all_cells(name)]
        used = {name for name, _ in datasets(report.runs(cells).values())} | {
            item["images"]["dataset"] for item in report.figures if "images" in item
        }
        names = [name for name in self._stand_in if name in used]
        return [*options, "--stand-in", *names] if names else options

    def stand_in_inputs(self, wildcards: Any) -> list[str]:
        """The data set whose images stand in for those of another."""
        return [str(self.layout.dataset(stand_in_source(wildcards.dataset, "stand_in")) / "dataset.json")]

    def shard_inputs(self, name: str) -> list[str]:
        shard = self.shards[name]
        return [
            *(str(self.layout.dataset(*dataset) / "dataset.json") for dataset in shard.datasets),
            *(str(self.layout.weights / f"{arch}.json") for arch in shard.weights),
            *(str(self.layout.trained(run)) for run in shard.follows),
        ]

    def _stamps(self, slug: str, item: Mapping[str, Any]) -> list[str]:
        report = self.reports[slug]
        runs = report.runs([cell for cell in report.needed(item) if report.active(cell)])
        return [self._evaluated(run) for run in runs]

    def _evaluated(self, run: str) -> str:
        """The stamp that all of a run's results are there; many items ask for it."""
        if run not in self._stamp:
            self._stamp[run] = str(self.layout.evaluated(run))
        return self._stamp[run]

    def item_inputs(self, section: str, slug: str, identifier: str) -> list[str]:
        """Results of the runs that a figure or table draws, and its intermediate file."""
        if slug not in self.reports:
            raise RepriseError(f"no report {slug} in this configuration{nearest(slug, self.reports)}")
        item = self.reports[slug].item(section, identifier)
        found = self._stamps(slug, item)
        if item["kind"] in INTERMEDIATES[section]:
            found.append(
                str(self.layout.intermediate(slug, identifier, INTERMEDIATES[section][item["kind"]]))
            )
        return found

    def statement_inputs(self, slug: str) -> list[str]:
        found = [stamp for item in self.reports[slug].statements for stamp in self._stamps(slug, item)]
        return list(dict.fromkeys(found))

    def skip_arguments(self, slug: str) -> list[str]:
        """Arguments for the experiments of a report that the configuration leaves out."""
        return ["--skip", *self._skip[slug]] if slug in self._skip else []

    def item_params(self, section: str, slug: str, identifier: str) -> str:
        """Canonical JSON of all that decides how an item looks; Snakemake compares it, so key order never
        matters.
        """
        report = self.reports[slug]
        item = report.item(section, identifier)
        cells = {cell.name: list(cell.runs) for cell in report.needed(item)}
        experiment = report.document["experiments"].get(item.get("experiment"))
        return canonical({"item": item, "cells": cells, "experiment": experiment, "scale": report.scale})

    def statement_params(self, slug: str) -> str:
        report = self.reports[slug]
        cells = {
            cell.name: [report.active(cell), *cell.runs]
            for item in report.statements
            for cell in report.needed(item)
        }
        return canonical(
            {"statements": report.statements, "about": report.about, "cells": cells, "scale": report.scale}
        )

    def layers_params(self, slug: str, identifier: str) -> str:
        """Canonical JSON of the networks that a layer table or a diagram describes."""
        report = self.reports[slug]
        networks = report.networks(network_names(report.item_with_layers(identifier)))
        shown = {
            name: [title, run.spec["model"], run.spec["dataset"]] for name, (title, run) in networks.items()
        }
        return canonical({"report": slug, "item": identifier, "networks": shown})

    def samples_inputs(self, slug: str, identifier: str) -> list[str]:
        report = self.reports[slug]
        name = report.item("figures", identifier)["images"]["dataset"]
        return [str(self.layout.dataset(name, report.source(name)) / "dataset.json")]

    def caption(self, section: str, slug: str, identifier: str) -> str:
        """Caption for the workflow's HTML report, which takes it for reStructuredText: one line, with all
        punctuation escaped.
        """
        item = self.reports[slug].item(section, identifier)
        return re.sub(
            r"([^\w\s]|_)",
            r"\\\1",
            " ".join(str(item.get("caption") or item.get("title") or identifier).split()),
        )

    @property
    def publishing_code(self) -> str:
        """Digest of the code that draws and judges: editing it makes figures again, and never trains."""
        folder = Path(__file__).parent.parent / "publishing"
        digest = hashlib.sha256()
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


def by_size(
    report: Report, runs: Mapping[str, Run], every: Mapping[str, Run], size: str | int
) -> Iterator[tuple[str, dict[str, Run]]]:
    """Names and runs of the shards of a whole report, or of at most `size` optimiser steps; `every` run tells
    whose weights come first.
    """

    def generation(run: Run) -> int:
        return 1 + generation(every[run.parent]) if run.parent in every else 0

    generations: dict[int, dict[str, Run]] = {}
    for identifier, run in runs.items():
        generations.setdefault(generation(run), {})[identifier] = run
    for group in generations.values():
        for part in divided(report, group, math.inf if size == "report" else size):
            yield report.slug, part


def divided(report: Report, runs: Mapping[str, Run], steps: float) -> Iterator[dict[str, Run]]:
    """`runs` in their order, in parts of at most `steps` optimiser steps; a run that is longer alone, and a
    study, stay whole.
    """
    units: dict[str, dict[str, Run]] = {}
    for identifier, run in runs.items():
        units.setdefault(report.cell_of(identifier).experiment if "study" in run.spec else identifier, {})[
            identifier
        ] = run
    part: dict[str, Run] = {}
    taken = 0
    for unit in units.values():
        asked = optimiser_steps(unit.values())
        if part and taken + asked > steps:
            yield part
            part, taken = {}, 0
        part |= unit
        taken += asked
    yield part


def optimiser_steps(runs: Iterable[Run]) -> int:
    """Steps of all epochs, as if every data set had the 50,000 images of CIFAR: CINIC-10 has nearly twice as
    many, STL-10 a tenth.

    Only `reprise.data` knows sizes, which this room does not import; to tell minutes from hours it is near
    enough.
    """

    def steps(training: Mapping[str, Any]) -> int:
        images = 2 * CIFAR_IMAGES if training.get("keep_originals") else CIFAR_IMAGES
        return training["epochs"] * images // training["batch_size"]

    return sum(steps(run.spec["training"]) for run in runs)


def complete(config: dict[str, Any], schema_file: Path) -> None:
    """Check the workflow's configuration against its schema and fill in the defaults."""
    rules, source = read_yaml(schema_file), "config.yaml or --config"
    check_size(config, source)
    whole = {
        key: int(value) for key, value in config.items() if isinstance(value, float) and value.is_integer()
    }  # --config shard=1e5
    config |= whole
    validate(config, rules, source)
    for key, rule in rules["properties"].items():
        config.setdefault(key, rule["default"])


def check_paths(config: dict[str, Any], checkout: Path) -> None:
    """Raise a `RepriseError` for folders that Snakemake or the jobs cannot use, before anything is made.

    `~` becomes the home folder, as Snakemake takes it.
    """
    folders = {}
    for key in ("results", "data"):
        try:
            config[key] = str(Path(config[key]).expanduser()) if config[key].startswith("~") else config[key]
        except RuntimeError:
            raise RepriseError(f"{key}: {config[key]!r}: no such home folder; write the path out") from None
        folders[key] = config[key]
    folders["the folder of the Snakefile"] = str(checkout)
    for name, path in folders.items():
        if set("{}") & set(path):
            raise RepriseError(
                f"{name}: {path!r}: Snakemake takes braces in a path for wildcards; use a folder without them"
            )
        if "://" in path:
            raise RepriseError(f"{name}: {path!r} is a URL; give a folder")
        if any("\ud800" <= letter <= "\udfff" for letter in path):  # how Python writes bytes that are none
            raise RepriseError(f"{name}: {path!r}: the name is not UTF-8; rename the folder")
    for place in as_list(config.get("mirror")):
        try:
            os.fsencode(place)
        except UnicodeEncodeError:
            raise RepriseError(f"mirror: {place!r}: no name that a system can have; mend it") from None
    if not Path(config["results"]).parts:
        raise RepriseError(
            f"results: {config['results']!r}: results need a folder of their own; leave it out, or name one"
        )
    for name, path in (("the folder of the Snakefile", str(checkout)), ("Python", sys.executable)):
        if os.pathsep in path:
            raise RepriseError(
                f"{name}: {path!r}: jobs cannot search a path that holds {os.pathsep!r}; move it to a "
                "folder without"
            )


def check_remote_paths(config: Mapping[str, Any], checkout: Path) -> None:
    """Raise a `RepriseError` for paths that cannot go to a cluster: Snakemake quotes its jobs' commands as
    Python would, not as a shell.
    """
    paths = [
        ("results", config["results"]),
        ("data", config["data"]),
        *(("mirror", place) for place in as_list(config["mirror"])),
    ]
    for name, path in (*paths, ("the folder of the Snakefile", str(checkout)), ("Python", sys.executable)):
        if found := re.search(r"[^\w./+,=@~:-]", path):
            raise RepriseError(
                f"{name}: {path!r}: a path that holds {found[0]!r} cannot go to a cluster's jobs; rename "
                "the folder"
            )


def as_list(value: str | Sequence[str] | None) -> list[str]:
    """A setting that may be one name or several."""
    return [value] if isinstance(value, str) and value else list(value or [])


def job_environment(config: Mapping[str, Any], source: Path, reports: Iterable[Report]) -> None:
    """Set the environment of the jobs, which `reports` are checked for.

    They run this Python and the code in `source`, also where no environment is active (`--sdm conda` puts its
    own Python first). Device and mirrors go with them as variables, because they do not change results: as
    parameters of the rules they would make everything again.
    """
    os.environ["REPRISE_DEVICE"] = config.get("device", "auto")
    os.environ["REPRISE_MIRROR"] = shlex.join(as_list(config.get("mirror")))
    os.environ[CHECKED] = " ".join(report.stamp for report in reports)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["PYTHONPATH"] = str(source)
