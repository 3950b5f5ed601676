"""The whole programme of work: what the workflow makes, from what, in which jobs. Plain data for the rules,
no Snakemake here.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.files import MOST_JSON, read_bytes
from reprise.folders import tree
from reprise.publishing.partial import narrowed
from reprise.reports.figures import Figure, Samples
from reprise.reports.layout import PAGES, SCALES, STAND_IN, Layout, stand_in_source
from reprise.reports.mistakes import Mistakes
from reprise.reports.report import Report, network_names, report_files
from reprise.reports.run import Run, canonical, datasets, digest
from reprise.reports.scaled import done
from reprise.reports.statements import Statement
from reprise.reports.table_statements import shown_statements
from reprise.reports.tables import SpaceTable, Table
from reprise.results.cache import Caches
from reprise.schema import plain
from reprise.workflow.config import Config
from reprise.workflow.jobs import ShardJob, Stage
from reprise.workflow.presence import Arrays, arrays, date_now, has_archive, has_evaluated, has_trained
from reprise.workflow.shards import Shard, deal

SUFFIXES = {
    "figures": (".png", ".svg", ".json"),
    "tables": (".csv", ".md", ".tex", ".json", ".html"),
    "statements": (".csv", ".md", ".json", ".html"),
}
INTERMEDIATES = {
    "figures": {"samples": ".samples.json", "diagram": ".layers.json"},
    "tables": {"layers": ".layers.json"},
}
"""Kinds of figure and table that need a file from a module with torch or from the images."""


def _near(file: str, files: Iterable[str]) -> str:
    """The file that is nearest, if one is near; there are too many to list."""
    found = nearest(file, files)
    return found if "did you mean" in found else "; a dry run (snakemake -n) lists the files that are missing"


def _as_option(folder: Path) -> str:
    """A folder as an option of a verb, which takes `~` at the beginning for a home folder."""
    return f"./{folder}" if str(folder).startswith("~") else str(folder)


def placed(layout: Layout, place: Callable[[str], str]) -> Layout:
    """A layout of the folders in which Snakemake puts the files of another."""

    def folder(path: Path) -> Path:
        return Path(place(str(path / "file"))).parent

    return Layout(folder(layout.results), layout.scale, folder(layout.data) if layout.data else None)


class Programme:
    """Reports, files and jobs for one configuration."""

    def __init__(
        self,
        config: Config,
        reports_dir: Path | str,
        started: Iterable[tuple[str, str]] = (),
        *,
        caches: Caches | None = None,
        place: Callable[[str], str] = str,
    ) -> None:
        """started: rule (`train` or `evaluate`) and run of each job that this process was started for.
        caches: where runs are looked for before they are trained. Only the process that plans looks there:
        the jobs that it starts come after those that import. place: where Snakemake puts a file that the
        rules name; elsewhere, where this workflow is a module with a prefix.
        """
        self.layout = Layout(Path(config.results), config.scale, Path(config.data) if config.data else None)
        """Files as the rules name them."""
        self.place = place
        self.there = placed(self.layout, place)
        """The same files, where they lie."""
        folder = Path(reports_dir)
        present = report_files(folder)
        self._skip: dict[str, list[str]] = {}
        for entry in config.skip:
            slug, slash, experiment = entry.partition("/")
            if slug not in present or not slash:
                raise RepriseError(f"skip: {entry!r} is not report/experiment{nearest(slug, present)}")
            self._skip.setdefault(slug, []).append(experiment)
        self._settings = {
            "scale": config.scale,
            "results": _as_option(self.there.results),
            "data": _as_option(self.there.data) if self.there.data else "",
        }
        self._images = config.synthetic.model_dump() if config.scale == "demo" else None
        self._settings["reports"] = os.path.relpath(folder)
        self._stand_in = config.stand_in
        self.gpu = 0 if config.device == "cpu" else 1
        """GPUs that a training job asks for."""
        self.reports: dict[str, Report] = {}
        self.broken: dict[str, str] = {}
        """Slug → what is wrong, of reports that cannot be read. The others go on, where none was named."""
        wrong = Mistakes()
        for slug in config.reports or present:
            if slug not in present:
                raise RepriseError(f"no report {slug} in {folder}{nearest(slug, present)}")
            try:
                self.reports[slug] = Report(
                    present[slug], config.scale, self._skip.get(slug, []), config.stand_in
                )
            except RepriseError as error:
                if config.reports or len(present) == 1:
                    raise
                self.broken[slug] = str(error)
                wrong.add(error)
        if not self.reports:
            wrong.raise_all()
        self.shards = deal(self.reports, config.shard)
        runs = {identifier: run for shard in self.shards for identifier, run in shard.runs.items()}
        trained = {run for run in runs if has_trained(self.there, run)}
        evaluated = {run for run in trained if has_evaluated(self.there, run)}
        self.cached = self._cached(runs, trained, caches, config.train) if caches else frozenset()
        """Runs that are not trained here, and that a cache holds: an import keeps what was trained here."""
        at_hand = evaluated | self.cached
        self.train = config.train
        self.missing = frozenset() if self.train else runs.keys() - at_hand
        """Runs that are done without."""
        begun = {rule: {run for name, run in started if name == rule} for rule in ("train", "evaluate")}
        idle = self.cached | self.missing
        self.training = Stage(self.shards, self.layout.trained, trained | idle, begun["train"])
        self.evaluation = Stage(self.shards, self.layout.evaluated, evaluated | idle, begun["evaluate"])
        by_report = [
            Shard(slug, slug, {run: runs[run] for shard in group for run in shard.runs})
            for slug, group in itertools.groupby(self.shards, lambda shard: shard.slug)
        ]
        self.importing = Stage(by_report, self.layout.evaluated, runs.keys() - self.cached, ())
        """What is taken from caches: a job for each report."""
        self.left = [run for run in self.training.jobs if run not in trained]

    @staticmethod
    def _cached(
        runs: Mapping[str, Run], trained: Collection[str], caches: Caches, train: bool
    ) -> frozenset[str]:
        """The runs that a cache holds and that are not trained here; where nothing is to be trained, weights
        do not matter.
        """
        if not train:
            return frozenset(caches.find(caches.holds(runs.keys() - set(trained))))
        return frozenset(caches.spares(runs, trained))

    @property
    def summary(self) -> str:
        """What the caches spare, and what is done without, in one line; nothing where there is neither."""
        if not self.cached and not self.missing:
            return ""
        rest = f"{len(self.missing)} are not run" if self.missing else f"{len(self.left)} to train"
        return f"{len(self.cached)} runs from the cache, {rest}"

    # ---- targets ----

    @property
    def item_ids(self) -> list[str]:
        """Every figure and table, as patterns: a file that no report has is then a file that no rule
        makes.
        """
        reports = self.reports.values()
        ids = {item.id for report in reports for items in (report.figures, report.tables) for item in items}
        return sorted(map(re.escape, ids)) or ["(?!)"]

    def items(self, section: str, slug: str) -> Sequence[Figure | Table]:
        """Figures or tables that can be made: those that need no skipped experiment."""
        report = self.reports[slug]
        items: Sequence[Figure | Table] = report.figures if section == "figures" else report.tables
        return [
            item
            for item in items
            if all(report.active(cell) for cell in report.needed(item)) and self._at_hand(slug, item)
        ]

    def _at_hand(self, slug: str, item: Figure | Table) -> bool:
        """Whether what is neither trained nor fetched leaves enough to make it from."""
        if self.train:
            return True
        report = self.reports[slug]
        if isinstance(item, Samples):
            name = item.images.dataset
            return self._has_samples(slug, item) or self._is_whole(name, report.source(name))
        runs = {run for cell in report.needed(item) for run in cell.runs}
        try:
            narrowed(report, item, runs - self.missing)
        except RepriseError:
            return False
        return True

    def targets(self, section: str, slugs: Sequence[str] | None = None) -> list[str]:
        """Every file of `figures`, `tables` or `statements`."""
        found = []
        for slug in slugs or self.reports:
            if section == "statements":
                stem = self.layout.statements(slug)
                found += [str(stem.with_suffix(suffix)) for suffix in SUFFIXES[section]]
                continue
            place = self.layout.figure if section == "figures" else self.layout.table
            for item in self.items(section, slug):
                found += [f"{place(slug, item.id)}{suffix}" for suffix in SUFFIXES[section]]
        return found

    def published(self, slugs: Sequence[str] | None = None) -> list[str]:
        """Every figure, table and page of statements."""
        return [target for section in SUFFIXES for target in self.targets(section, slugs)]

    @property
    def front_page(self) -> str:
        return str(self.layout.site / "index.html")

    def all_targets(self, slugs: Sequence[str] | None = None) -> list[str]:
        """Everything of the reports: what is published, of all reports together the site, what is left of the
        runs of their experiments, and the data sets' statistics.

        What is left is asked for by itself: not all of it is needed by what is published. A data set that is
        not there, and that nothing is to be made of any more, is not fetched.
        """
        published = self.published(slugs) + ([] if slugs else [self.front_page])
        runs = {
            identifier: run
            for slug in slugs or self.reports
            for identifier, run in self.reports[slug].runs().items()
        }
        stages = (self.importing, self.training, self.evaluation)
        left = [stamp for stage in stages for stamp in stage.stamps(run for run in runs if run in stage.jobs)]
        needed = [run for identifier, run in runs.items() if identifier in self.evaluation.jobs]
        asked = {*datasets(needed), *self._to_show(slugs or self.reports)}
        described = [
            self.layout.dataset(*dataset)
            for dataset in dict.fromkeys([*datasets(runs.values()), *sorted(asked)])
            if dataset in asked or self._is_described(*dataset)
        ]
        return [*published, *left, *(str(folder / "statistics.json") for folder in described)]

    def _to_show(self, slugs: Iterable[str]) -> set[tuple[str, str]]:
        """Name and source of the data sets whose images figures show, and which are still to be picked."""
        return {
            (item.images.dataset, self.reports[slug].source(item.images.dataset))
            for slug in slugs
            for item in self.items("figures", slug)
            if isinstance(item, Samples) and not self._has_samples(slug, item)
        }

    def asked(self, targets: Sequence[str]) -> list[str]:
        """The reports that the `targets` of a command line ask for, in order; all where there are none. What
        belongs to no report in particular, such as the site, asks for all of them, and a data set for none.
        """
        found: set[str] = set()
        for target in targets:
            path = Path(target)
            inside = path.relative_to(self.layout.root).parts if path.is_relative_to(self.layout.root) else ()
            if target in self.reports:
                found.add(target)
            elif path.is_relative_to(self.layout.data_dir):
                continue
            elif inside[:1] == ("runs",):
                found |= {slug for slug, report in self.reports.items() if {*inside} & {*report.runs()}}
            elif named := {*inside[1:2], *(Path(part).stem for part in inside[1:2])} & {*self.reports}:
                found |= named
            else:
                return [*self.reports]
        return [slug for slug in self.reports if slug in found] if targets else [*self.reports]

    def check_targets(self, targets: Iterable[str], rules: Collection[str]) -> None:
        """Raise a `RepriseError` with the nearest that there is for a target that nothing makes, as far as it
        looks like one of this workflow's. rules: the names of all.
        """
        for target in targets:
            path = Path(target)
            if target in rules or path.exists():
                continue
            if len(path.parts) == 1:
                named = [*self.reports, "all", "site", *(f"all_{section}" for section in SUFFIXES)]
                raise RepriseError(f"no target {target}{nearest(target, named)}")
            for scale in SCALES:
                if scale != self.layout.scale and path.is_relative_to(self.layout.results / scale):
                    raise RepriseError(f"{target}: of scale {scale}; add --config scale={scale}")
            root = self.layout.root
            if self.layout.scale != "full" and path.parent.is_relative_to(self.layout.results):
                inside = path.relative_to(self.layout.results)
                if inside.parts[0] in SUFFIXES:
                    raise RepriseError(
                        f"{target}: of scale full, and this is {self.layout.scale}; did you mean "
                        f"{root / inside}?"
                    )
            section = path.relative_to(root).parts[0] if path.is_relative_to(root) else ""
            files = [str(root / section / "all"), *self._files(section)] if section in SUFFIXES else []
            if files and target not in files:
                raise RepriseError(f"{target}: no report of this configuration has it{_near(target, files)}")

    def _files(self, section: str) -> Iterator[str]:
        """Every file of figures, tables or statements that a report has, also where it is not made now."""
        for slug, report in self.reports.items():
            if section == "statements":
                stems = [self.layout.statements(slug).with_suffix("")]
            elif section == "figures":
                stems = [self.layout.figure(slug, item.id) for item in report.figures]
            else:
                stems = [self.layout.table(slug, item.id) for item in report.tables]
            yield from (f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES[section])

    # ---- what is there ----

    def _has_samples(self, slug: str, item: Samples) -> bool:
        return not self.missing_files(self.samples_outputs(slug, item.id))

    def _arrays(self, folder: str) -> Arrays:
        """What there is of the data set with a folder of this name."""
        return arrays(self.there.data_dir / folder, self._images)

    def _is_whole(self, name: str, source: str) -> bool:
        return self._arrays(self.layout.dataset(name, source).name) is Arrays.WHOLE

    def is_whole(self, record: str) -> bool:
        """Whether the arrays of a data set are all there, given its dataset.json as the rules name it."""
        return self._arrays(Path(record).parent.name) is Arrays.WHOLE

    def _has_archive(self, folder: str) -> bool:
        """Whether the archive of a data set is at hand; the demo draws its own."""
        return self.there.scale == "demo" or has_archive(self.there.archives / f"{folder}.json")

    def _is_described(self, name: str, source: str) -> bool:
        """Whether statistics of a data set that nothing is to be made of are asked for."""
        folder = self.layout.dataset(name, source).name
        found = self._arrays(folder)
        return found is Arrays.WHOLE or (found is not Arrays.ABSENT and self._has_archive(folder))

    def decoded(self, targets: Collection[str] = ()) -> str:
        """Regular expression of the data sets that rules may decode: those whose arrays are not all there, or
        whose record is one of the `targets` of the command line.

        No rule makes the others, so neither times that a copy has changed nor edited rules decode them again,
        which would ask for their archives.
        """
        whole = [
            path.parent.name
            for path in sorted(self.there.data_dir.glob("*/dataset.json"))
            if self._arrays(path.parent.name) is Arrays.WHOLE and str(path) not in targets
        ]
        return "".join(f"(?!{re.escape(name)}/)" for name in whole) + "[a-z0-9]+(-stand-in)?"

    def deleted(self, files: Iterable[str]) -> list[str]:
        """What must be made again before a job can read these files, as the rules name them, though Snakemake
        does not see it: stamps of runs of which something was deleted, whether they are there or not, and the
        files behind an incomplete data set.
        """
        found: dict[str, None] = {}
        for file in files:
            if file in self._left:
                found[file] = None
            elif file in self._dataset_records:
                found |= dict.fromkeys(self._behind(Path(file).parent.name))
            elif Path(file).parent == self.layout.weights and not has_archive(Path(self.place(file))):
                found[file] = None
        return list(found)

    @cached_property
    def _left(self) -> frozenset[str]:
        """Stamps of the runs that are left."""
        stages = (self.importing, self.training, self.evaluation)
        return frozenset(stamp for stage in stages for stamp in stage.stamps(stage.jobs))

    @cached_property
    def _dataset_records(self) -> frozenset[str]:
        cells = [report.runs().values() for report in self.reports.values()]
        used = {dataset for runs in cells for dataset in datasets(runs)}
        shown = {
            (item.images.dataset, report.source(item.images.dataset))
            for report in self.reports.values()
            for item in report.figures
            if isinstance(item, Samples)
        }
        return frozenset(str(self.layout.dataset(*dataset) / "dataset.json") for dataset in used | shown)

    def _behind(self, folder: str) -> list[str]:
        """The stamps on the way to a data set that is to be decoded, whose files are not there, or others."""
        arrays = self._arrays(folder)
        if arrays is Arrays.WHOLE:
            return []
        stamp = f"{folder}.json"
        found = [str(self.layout.data_dir / folder / "dataset.json")]
        if arrays is Arrays.OTHER or not has_archive(self.there.archives / stamp):
            found.append(str(self.layout.archives / stamp))
            if self.there.scale == "demo" and (
                arrays is Arrays.OTHER or not has_archive(self.there.synthetic / stamp)
            ):
                found.append(str(self.layout.synthetic / stamp))
            if folder.endswith(STAND_IN):
                source = stand_in_source(folder.removesuffix(STAND_IN), "stand_in")
                found += self._behind(self.layout.dataset(source).name)
        return found

    def date_now(self, files: Iterable[str]) -> None:
        """Of the files, as the rules name them: date those that come from the future now."""
        date_now(Path(self.place(file)) for file in files)

    def missing_files(self, files: Iterable[str]) -> list[str]:
        """Those of the files, as the rules name them, that are not there."""
        return [file for file in files if not Path(self.place(file)).exists()]

    def images_to_read(self, files: Iterable[str], made: Iterable[str]) -> list[str]:
        """Of a job that reads the records of data sets `files` and writes `made`: those that it needs whole,
        because something that it writes is not there or because they can be decoded again without a download.
        """
        files = list(files)
        if self.missing_files(made):
            return files
        return [
            file
            for file in files
            if self._arrays(folder := Path(file).parent.name) in (Arrays.PARTIAL, Arrays.OTHER)
            and self._has_archive(folder)
        ]

    def to_draw_from(self, section: str, slug: str, identifier: str) -> list[str]:
        """The intermediate file of a figure or table where it is not there and can be made."""
        item = self.reports[slug].item(section, identifier)
        if item.kind not in INTERMEDIATES[section]:
            return []
        if isinstance(item, Samples):
            report, name = self.reports[slug], item.images.dataset
            if self._has_samples(slug, item) or not (
                self._is_whole(name, report.source(name))
                or self._has_archive(self.layout.dataset(name, report.source(name)).name)
            ):
                return []
            return [str(self.layout.intermediate(slug, identifier, INTERMEDIATES[section][item.kind]))]
        made = str(self.layout.intermediate(slug, identifier, INTERMEDIATES[section][item.kind]))
        return self.missing_files([made])

    def missing_pages(self) -> list[str]:
        """The pages of the site that it had when it was made and has no more."""
        try:
            pages = read_bytes(self.there.site / PAGES, MOST_JSON).decode().splitlines()
        except (OSError, RepriseError, UnicodeDecodeError):
            return []  # it is not made yet, or by an earlier version
        return [page for page in pages if not (self.there.site / page).exists()]

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
            item.images.dataset for item in report.figures if isinstance(item, Samples)
        }
        names = [name for name in self._stand_in if name in used]
        return [*options, "--stand-in", *names] if names else options

    def publishing_options(self, slug: str) -> list[str]:
        """Options of a verb that draws or judges results."""
        return [*self.report_options(slug), *(() if self.train else ("--partial",))]

    def _without(self, runs: Iterable[str]) -> dict[str, list[str]]:
        """Of the parameters of what is made from runs: those that are done without."""
        missing = sorted(self.missing & set(runs))
        return {"without": missing} if missing else {}

    def stand_in_inputs(self, wildcards: Any) -> list[str]:
        """The data set whose images stand in for those of another."""
        return [str(self.layout.dataset(stand_in_source(wildcards.dataset, "stand_in")) / "dataset.json")]

    def train_inputs(self, run: str) -> list[str]:
        """Data sets, pretrained weights, and the runs of other jobs that come first."""
        job = self.training.jobs[run]
        weights = {member.pretrained for member in job.members if member.pretrained}
        follows = {before for member in job.members for before in member.follows} - set(job.runs)
        return [
            *self._dataset_inputs(job),
            *(str(self.layout.weights / f"{arch}.json") for arch in sorted(weights)),
            *self._imported_first(job),
            *self._stamps_of(self.training, sorted(follows)),
        ]

    def evaluate_inputs(self, run: str) -> list[str]:
        job = self.evaluation.jobs[run]
        return [
            *self._dataset_inputs(job),
            *self._imported_first(job),
            *self._stamps_of(self.training, job.runs),
        ]

    def _imported_first(self, job: ShardJob) -> list[str]:
        """What the job's report takes from caches: then its process, which may be on another machine, finds
        those runs finished and need not know of caches.
        """
        return self.importing.stamps(run for run in job.shard.runs if run in self.importing.jobs)

    def _stamps_of(self, stage: Stage, runs: Iterable[str]) -> list[str]:
        """The files to wait for before these runs are there, from a cache or from a job of the stage."""
        wanted = list(runs)
        return [
            *self.importing.stamps(run for run in wanted if run in self.importing.jobs),
            *stage.stamps(run for run in wanted if run not in self.importing.jobs),
        ]

    def _dataset_inputs(self, job: ShardJob) -> list[str]:
        return [str(self.layout.dataset(*dataset) / "dataset.json") for dataset in datasets(job.members)]

    def subject(self, job: ShardJob) -> str:
        """What a job is about, for its message."""
        cells = map(self.reports[job.shard.slug].cell_of, job.runs)
        experiments = ", ".join(dict.fromkeys(cell.experiment for cell in cells))
        return f"{job.shard.slug}: {len(job.runs)} run{'s' if len(job.runs) > 1 else ''} of {experiments}"

    def _stamps(self, slug: str, item: Figure | Table | Statement) -> list[str]:
        report = self.reports[slug]
        runs = report.runs([cell for cell in report.needed(item) if report.active(cell)])
        return self._stamps_of(self.evaluation, [run for run in runs if run not in self.missing])

    def item_inputs(self, section: str, slug: str, identifier: str) -> list[str]:
        """Results of the runs that a figure or table draws, and its intermediate file."""
        if slug not in self.reports:
            raise RepriseError(f"no report {slug} in this configuration{nearest(slug, self.reports)}")
        item = self.reports[slug].item(section, identifier)
        found = self._stamps(slug, item)
        if self._has_verdicts(item):  # what scatter is typical is a matter of all that is stated
            found = list(dict.fromkeys([*found, *self.statement_inputs(slug)]))
        if item.kind in INTERMEDIATES[section]:
            found.append(str(self.layout.intermediate(slug, identifier, INTERMEDIATES[section][item.kind])))
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
        experiment = plain(report.file.experiments[item.experiment]) if isinstance(item, SpaceTable) else None
        made = {"item": plain(item), "cells": cells, "experiment": experiment, "scale": report.scale}
        made |= self._without(run for runs in cells.values() for run in runs)
        made |= self._done(slug, item)
        if self._has_verdicts(item):
            made["statements"] = digest(self.statement_params(slug))
        return canonical({**made, "names": report.definitions(item)})

    def _done(self, slug: str, *items: Any) -> dict[str, str]:
        """Of the parameters of what is made at a smaller scale: what its face says of that."""
        words = done(self.reports[slug], items)
        return {"done": words} if words else {}

    def _has_verdicts(self, item: Figure | Table) -> bool:
        """Whether it shows verdicts on the report's statements."""
        return isinstance(item, Table) and bool(shown_statements(item))

    def statement_params(self, slug: str) -> str:
        """Canonical JSON of all that decides the verdicts of a report."""
        report = self.reports[slug]
        cells: dict[str, Any] = {}
        names: dict[str, Any] = {}
        for statement in report.statements:
            cells |= {cell.name: [report.active(cell), *cell.runs] for cell in report.needed(statement)}
            names |= report.definitions(statement)
        said = [plain(statement) for statement in report.statements]
        made = {
            "statements": said,
            "about": report.about,
            "follows": report.file.follows,
            "cells": cells,
            "names": names,
        }
        made |= self._without(run for _, *runs in cells.values() for run in runs)
        made |= self._done(slug, *report.statements)
        return canonical({**made, "scale": report.scale})

    def site_options(self) -> list[str]:
        """Words of the verb that makes the site."""
        options = [*self.reports, *self.options("scale", "results", "reports")]
        skipped = [f"{slug}/{name}" for slug, names in self._skip.items() for name in names]
        options += ["--skip", *skipped] if skipped else []
        return [*options, "--stand-in", *self._stand_in] if self._stand_in else options

    def site_params(self) -> str:
        """Canonical JSON of what the site takes from report files itself."""
        said = {
            slug: [
                report.about,
                report.file.url,
                list(map(plain, report.file.outline)),
                sorted(report.runs()),
            ]
            for slug, report in self.reports.items()
        }
        return canonical({"reports": said, "code": self._code("site")})

    def layers_params(self, slug: str, identifier: str) -> str:
        """Canonical JSON of the networks that a layer table or a diagram describes."""
        report = self.reports[slug]
        networks = report.networks(network_names(report.item_with_layers(identifier)))
        shown = {
            name: [title, run.spec["model"], run.spec["dataset"]] for name, (title, run) in networks.items()
        }
        return canonical({"report": slug, "item": identifier, "networks": shown})

    def samples_outputs(self, slug: str, identifier: str) -> list[str]:
        """The sample images of a figure, and their record."""
        suffixes = (INTERMEDIATES["figures"]["samples"], ".samples.npz")
        return [str(self.layout.intermediate(slug, identifier, suffix)) for suffix in suffixes]

    def samples_inputs(self, slug: str, identifier: str) -> list[str]:
        report = self.reports[slug]
        name = report.item("figures", identifier).images.dataset
        return [str(self.layout.dataset(name, report.source(name)) / "dataset.json")]

    def caption(self, section: str, slug: str, identifier: str) -> str:
        """Caption for the workflow's HTML report, which takes it for reStructuredText: one line, with all
        punctuation escaped.
        """
        item = self.reports[slug].item(section, identifier)
        return re.sub(
            r"([^\w\s]|_)",
            r"\\\1",
            " ".join(item.caption.split()),
        )

    def labels(self, section: str, slug: str, identifier: str) -> dict[str, str]:
        """What Snakemake's report lists a figure or table by: its id and its caption.

        One label: of two labels with two values each, the report makes switches, whose four positions must
        all exist.
        """
        caption = " ".join(self.reports[slug].item(section, identifier).caption.split())
        return {section[:-1]: f"{identifier}: {caption}"}

    @property
    def publishing_code(self) -> str:
        """Digest of the code that draws and judges: editing it makes figures again, and never trains."""
        return self._code("publishing")

    @staticmethod
    def _code(room: str) -> str:
        """Digest of the files of a module."""
        found = hashlib.sha256()
        for file in tree(Path(__file__).parent.parent / room):
            found.update(file.read_bytes())
        return found.hexdigest()[:12]
