"""Report files: `workflow/reports/<slug>.yaml` → experiments, cells and runs.

An experiment is a base run and what is varied in it: nothing, a grid, one value at a time (pointwise), a
random search, or one with successive halving (asha). Each combination is a *cell*; each cell has one run per
seed. A *selector* names cells: `experiment`, `experiment/axis=value,…`, each with `@reading` after it where
an experiment has readings.
"""

import contextlib
import copy
import hashlib
import itertools
import math
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.reports.check import kinds, nearest, read_yaml, schema, validate
from reprise.reports.layout import SCALES, stand_in_source
from reprise.reports.run import ENGINE, Run, canonical, prune

CHECKED = "REPRISE_CHECKED"
"""Environment variable with the stamps of the report files that the workflow has checked: its hundred jobs
need not do that again.
"""
SECTIONS = ("figures", "tables", "statements")
MOST_RUNS, MOST_TEXT = 10_000, 5_000_000
"""Of a report at one scale: runs, and characters of their settings."""
LONGEST_CHAIN = 50
"""Experiments that are based on each other, or start from each other's weights."""
RULES = (
    *(
        "all",
        "all_figures",
        "all_tables",
        "all_statements",
        "synthesize",
        "fetch",
        "fetch_weights",
        "decode",
        "statistics",
    ),
    *("stand_in", "train", "evaluate", "layers", "samples", "figure", "table", "statements"),
)
"""Names that a report cannot have, because a report's slug is a target of its own."""


@dataclass(frozen=True)
class Cell:
    """One configuration of an experiment: its runs differ in nothing but the seed."""

    experiment: str
    settings: Mapping[str, Any]
    """Axis → value (its name, where the report file names values). Empty for an experiment without axes."""
    reading: str | None
    members: tuple[Run, ...] = field(repr=False)

    @cached_property
    def name(self) -> str:
        """The selector of this cell."""
        return _selector(
            self.experiment,
            ",".join(f"{axis}={text(value)}" for axis, value in self.settings.items()),
            self.reading,
        )

    @cached_property
    def runs(self) -> tuple[str, ...]:
        return tuple(run.hash for run in self.members)

    @property
    def specs(self) -> dict[str, Mapping[str, Any]]:
        return {run.hash: run.spec for run in self.members}


def text(value: Any) -> str:
    """A value as selectors write it: plain strings bare, everything else as canonical JSON (1e-4 and 0.0001
    are one).
    """
    return value if isinstance(value, str) else canonical(value)


class Undrawn(RepriseError):
    """A selector names a value that a search could have drawn and, at this scale, did not."""


class Report:
    """One report at one scale, expanded into runs.

    Parameters ---------- path: the report file; its stem is the slug. scale: `full`, `quick` or `demo`. skip:
    experiments left out by the user; what needs them is *not run*. stand_in: data sets in whose place a
    stand-in made from other real images is used; figures, tables and statements say so.

    Raises `RepriseError` for anything that does not fit, naming file, key path and nearest valid key.
    """

    def __init__(
        self, path: Path | str, scale: str = "full", skip: Sequence[str] = (), stand_in: Sequence[str] = ()
    ) -> None:
        self.path = Path(path)
        self.stand_in = frozenset(stand_in)
        if scale not in SCALES:
            raise RepriseError(f"scale {scale!r} is not known{nearest(scale, SCALES)}")
        self.scale = scale
        for name in stand_in:
            stand_in_source(name, "stand_in")
        stamps = os.environ.get(CHECKED, "").split()
        self._checked = bool(stamps) and self.path.is_file() and self.stamp in stamps
        document = read_yaml(path, known=self._checked)
        if not self._checked:
            validate(document, schema("report.schema.yaml"), str(path))
        self.document: dict[str, Any] = document
        self.slug: str = document["slug"]
        if self.slug != self.path.stem:
            self._fail(
                "slug",
                f"{self.slug} is not the file's name; call the file {self.slug}.yaml or change the slug",
            )
        if self.slug in RULES:
            self._fail("slug", f"{self.slug} is a rule of the workflow; choose another name")
        if not self._checked:
            self._check_publications()
        self._shrink = document.get("scales", {}).get(scale, {})
        for name in self._shrink.get("experiments", {}):
            self._known(name, f"scales.{scale}.experiments")
        for name in skip:
            self._known(name, "skip (configuration)")
        skipped_here = {
            name for name, rules in self._shrink.get("experiments", {}).items() if rules.get("skip")
        }
        self.skipped = frozenset(skip) | skipped_here
        self._cells: dict[str, list[Cell]] = {}
        self._selected: dict[str, list[Cell]] = {}
        self._valid: set[str] = set()
        self._length = 0
        self._active: dict[str, bool] = {}
        self._network_runs: dict[str, Run] = {}
        for name in document["experiments"]:
            self._expand(name, ())
        for selector, where in () if self._checked else self._references():
            try:
                self.cells(selector)
            except Undrawn:
                continue
            except RepriseError as error:
                self._fail(where, str(error))

    # ---- what others ask ----

    @property
    def stamp(self) -> str:
        """What is checked: the file's text at a scale, as SHA-256."""
        return hashlib.sha256(f"{self.scale} ".encode() + self.path.read_bytes()).hexdigest()

    @property
    def figures(self) -> list[dict[str, Any]]:
        return self.document.get("figures", [])

    @property
    def tables(self) -> list[dict[str, Any]]:
        return self.document.get("tables", [])

    @property
    def statements(self) -> list[dict[str, Any]]:
        return self.document.get("statements", [])

    @property
    def about(self) -> dict[str, Any]:
        """Title, authors, framework, summary and assumptions, as far as the file gives them."""
        return {
            key: self.document[key]
            for key in ("title", "authors", "framework", "summary", "assumptions")
            if key in self.document
        }

    @property
    def experiments(self) -> list[str]:
        return list(self.document["experiments"])

    def item(self, section: str, identifier: str) -> dict[str, Any]:
        """The figure or table of that id."""
        items = {entry["id"]: entry for entry in self.document.get(section, [])}
        if identifier not in items:
            raise RepriseError(f"{self.path}: {section} has no {identifier}{nearest(identifier, items)}")
        return items[identifier]

    def item_with_layers(self, identifier: str) -> dict[str, Any]:
        """The table of layers or the diagram of that id; a `RepriseError` names what there is."""
        items = {entry["id"]: entry for entry in [*self.tables, *self.figures] if network_names(entry)}
        if identifier not in items:
            raise RepriseError(
                f"{self.path}: no table of layers or diagram {identifier}{nearest(identifier, items)}"
            )
        return items[identifier]

    def cells(self, selector: str) -> list[Cell]:
        """The cells that `selector` names, in the report file's order; at least one."""
        if selector not in self._selected:
            self._selected[selector] = self._select(selector)
        return self._selected[selector]

    def _select(self, selector: str) -> list[Cell]:
        body, _, reading = selector.partition("@")
        name, _, conditions = body.partition("/")
        if name not in self._cells:
            raise RepriseError(f"selector {selector!r}: no experiment {name}{nearest(name, self._cells)}")
        cells = self._cells[name]
        readings = list(dict.fromkeys(cell.reading for cell in cells))
        if reading and reading not in readings:
            raise RepriseError(
                f"selector {selector!r}: no reading {reading}{nearest(reading, filter(None, readings))}"
            )
        found = [cell for cell in cells if cell.reading == (reading or readings[0])]
        if conditions == "base":
            found = [cell for cell in found if not cell.settings]
        elif conditions:
            axes = list(dict.fromkeys(axis for cell in found for axis in cell.settings))
            for condition in conditions.split(","):
                axis, equals, value = condition.partition("=")
                if axis not in axes or not equals:
                    raise RepriseError(
                        f"selector {selector!r}: {name} has no axis {axis}{nearest(axis, axes)}"
                    )
                values = dict.fromkeys(text(cell.settings[axis]) for cell in found if axis in cell.settings)
                found = [
                    cell
                    for cell in found
                    if axis in cell.settings and _normal(text(cell.settings[axis])) == _normal(value)
                ]
                if not found and _normal(value) in self._space(name, axis):
                    raise Undrawn(f"no trial of {name} at scale {self.scale} has {axis} {value}")
                if not found:
                    raise RepriseError(
                        f"selector {selector!r}: {axis} is never {value}{nearest(_normal(value), values)}"
                    )
        if not found:
            raise RepriseError(
                f"selector {selector!r} names nothing in {name}; leave out the part after the slash"
            )
        return found

    def _space(self, experiment: str, axis: str) -> list[str]:
        """The values that a search can draw for an axis, as selectors write them."""
        rule = self.document["experiments"][experiment] or {}
        search = rule.get("random") or rule.get("asha") or {}
        return [_normal(text(value)) for value in search.get("space", {}).get(axis, {}).get("values", ())]

    def all_cells(self, experiment: str) -> list[Cell]:
        """Every cell of an experiment, in all its readings."""
        return self._cells[experiment]

    def active(self, cell: Cell) -> bool:
        """Whether the cell's runs are to be trained (its experiment and those it starts from are not
        skipped).
        """
        if cell.name not in self._active:
            parents = {run.parent for run in cell.members} - {None}
            self._active[cell.name] = cell.experiment not in self.skipped and (
                not parents
                or all(
                    self.active(other)
                    for others in self._cells.values()
                    for other in others
                    if parents & set(other.runs)
                )
            )
        return self._active[cell.name]

    def needed(self, item: Mapping[str, Any]) -> list[Cell]:
        """The cells that a figure, table or statement draws on, as far as this scale has them."""
        found: dict[str, Cell] = {}
        for selector in selectors(item):
            with contextlib.suppress(Undrawn):
                found |= {cell.name: cell for cell in self.cells(selector)}
        return list(found.values())

    def runs(self, cells: Iterator[Cell] | Sequence[Cell] | None = None) -> dict[str, Run]:
        """Hash → run of `cells`, or of all that the report asks for: experiments in their first reading, and
        what is drawn or measured.
        """
        if cells is None:
            first = [cell for name in self._cells for cell in self.cells(name)]
            drawn = [
                cell
                for section in SECTIONS
                for item in self.document.get(section, [])
                for cell in self.needed(item)
            ]
            cells = [cell for cell in [*first, *drawn] if self.active(cell)]
        return {run.hash: run for cell in cells for run in cell.members}

    def networks(self, names: Sequence[str]) -> dict[str, tuple[str, Run]]:
        """Name of a model → its title and the first run that trains it, which gives its classes and, at small
        scales, its width.
        """
        for name in names:
            if name not in self._network_runs:
                raise RepriseError(
                    f"{self.path}: no experiment trains a model {name}{nearest(name, self._network_runs)}"
                )
        return {
            name: (self.document["models"][name].get("title", name), self._network_runs[name])
            for name in names
        }

    def source(self, dataset: str) -> str:
        """Where the images of a data set come from: `real`, `synthetic` (the demo's) or `stand-in`."""
        return "synthetic" if self.scale == "demo" else "stand-in" if dataset in self.stand_in else "real"

    def notes(self, *items: Mapping[str, Any]) -> list[str]:
        """What a figure or table has to say on its face about the runs it draws and the images it shows."""
        specs = [run.spec for item in items for cell in self.needed(item) for run in cell.members]
        shown = [item["images"]["dataset"] for item in items if "images" in item]
        standing_in = sorted(
            {
                name
                for name in [*shown, *(spec["dataset"]["name"] for spec in specs)]
                if self.source(name) == "stand-in"
            }
        )
        random_weights = sorted(
            {spec["model"]["arch"] for spec in specs if spec["model"].get("weights") == "random"}
        )
        weights = f"{', '.join(random_weights)} with random instead of pretrained weights"
        return [
            *(f"a stand-in for {name}, made from other images" for name in standing_in),
            *([weights] if random_weights else []),
        ]

    def cell_of(self, run: str) -> Cell:
        """The first cell that holds the run of that hash."""
        for cells in self._cells.values():
            for cell in cells:
                if run in cell.runs:
                    return cell
        raise RepriseError(
            f"{self.path}: no run {run} at scale {self.scale}; list them with: python -m reprise runs "
            f"{self.slug}"
        )

    # ---- checks ----

    def _fail(self, where: str, what: str) -> None:
        raise RepriseError(f"{self.path}: {where}: {what}")

    def _known(self, experiment: str, where: str) -> None:
        if experiment not in self.document["experiments"]:
            self._fail(
                where, f"no experiment {experiment}{nearest(experiment, self.document['experiments'])}"
            )

    def _check_publications(self) -> None:
        """Figures, tables and statements against the schema of their kind; ids are unique (figures and tables
        share a folder of steps).
        """
        seen: set[str] = set()
        for section in SECTIONS:
            valid = kinds(section)
            if section == "statements":
                seen = set()
            for index, item in enumerate(self.document.get(section, [])):
                kind = item.get("kind")
                if not isinstance(kind, str) or kind not in valid:
                    self._fail(
                        f"{section}[{index}].kind",
                        f"{kind!r} is not a kind of {section[:-1]}{nearest(kind, valid)}",
                    )
                validate(item, valid[kind], str(self.path), (section, index))
                if item["id"] in seen:
                    self._fail(
                        f"{section}[{index}].id",
                        f"{item['id']} stands twice; ids are file names, make them differ",
                    )
                seen.add(item["id"])

    def _references(self) -> Iterator[tuple[str, str]]:
        for section in SECTIONS:
            for index, item in enumerate(self.document.get(section, [])):
                for selector in selectors(item):
                    yield selector, f"{section}[{index}] ({item['id']})"

    # ---- expansion ----

    def _chain(self, name: str, via: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """The experiment and those it is based on, the oldest first."""
        if name in via:
            self._fail(
                f"experiments.{name}.base", f"goes round in a circle: {' → '.join([*via, name])}; break it"
            )
        experiment = self.document["experiments"][name] or {}
        if "base" not in experiment:
            return [experiment]
        self._check_chain(f"experiments.{name}.base", via)
        self._known(experiment["base"], f"experiments.{name}.base")
        return [*self._chain(experiment["base"], (*via, name)), experiment]

    def _check_chain(self, where: str, via: tuple[str, ...]) -> None:
        if len(via) > LONGEST_CHAIN:
            self._fail(
                where, f"more than {LONGEST_CHAIN} experiments start from each other; shorten the chain"
            )

    def _check_number(self, where: str, runs: int) -> None:
        if runs > MOST_RUNS:
            self._fail(where, f"{runs:,} runs, of at most {MOST_RUNS:,} in a report; leave some out")

    def _expand(self, name: str, via: tuple[str, ...]) -> list[Cell]:
        if name in self._cells:
            return self._cells[name]
        where = f"experiments.{name}"
        self._check_chain(where, via)
        if name in via:
            self._fail(where, f"initial weights go round in a circle: {' → '.join([*via, name])}; break it")
        chain = self._chain(name)
        experiment = chain[-1]
        settings = copy.deepcopy(
            {
                key: value
                for key, value in self.document["defaults"].items()
                if key not in ("seeds", "fixed_seeds")
            }
        )
        for link in chain:
            self._apply(settings, link.get("set", {}), f"{where}.set")
        readings = next((link["readings"] for link in reversed(chain) if "readings" in link), {None: {}})
        if (
            "readings" not in experiment
        ):  # axes are not inherited, so neither are other meanings of their values
            readings = {
                name: {path: value for path, value in meaning.items() if "=" not in path}
                for name, meaning in readings.items()
            }
        own = self._shrink.get("experiments", {}).get(name, {})
        rule = {**self._shrink, **own}
        seeds = next(
            (link["seeds"] for link in reversed(chain) if "seeds" in link), self.document["defaults"]["seeds"]
        )
        seeds = seeds[: rule.get("seeds", len(seeds))]

        there = sum(len(cell.members) for others in self._cells.values() for cell in others)
        self._check_number(where, there + len(readings) * len(seeds) * _count(experiment, rule.get("trials")))
        cells: list[Cell] = []
        for reading, meaning in readings.items():
            at = f"{where}.readings.{reading}"
            read = copy.deepcopy(settings)
            self._apply(read, {path: value for path, value in meaning.items() if "=" not in path}, at)
            own_values = {key: value for key, value in meaning.items() if "=" in key}
            study, before = experiment.get("asha"), None
            if study and len(seeds) > 1:
                self._fail(
                    f"{where}.seeds",
                    "a trial of a study is one run; give the experiment one seed, or make the seed an axis",
                )
            for combination, values in self._combinations(
                self._with_values(experiment, own_values, at), where, rule.get("trials")
            ):
                cell = copy.deepcopy(read)
                self._apply(cell, values, where)
                network = cell.get("model")
                for changes in (self._shrink.get("set", {}), own.get("set", {})):
                    self._apply(cell, changes, f"scales.{self.scale}")
                training = cell.get("training")
                if (
                    isinstance(training, dict) and type(training.get("epochs")) is int
                ):  # else the check of the settings says what is wrong
                    training["epochs"] = shrink_epochs(training["epochs"], rule.get("epochs", {}))
                trial = _trial(study, combination["trial"], before) if study else None
                members = self._members(cell, seeds, where, (*via, name), trial)
                before = members[-1].hash
                cells.append(Cell(name, combination, reading, members))
                if isinstance(network, str):
                    self._network_runs.setdefault(network, members[0])
        self._cells[name] = cells
        if "only" in rule:
            kept = {
                cell.name
                for conditions in rule["only"]
                for reading in readings
                for cell in self.cells(_selector(name, conditions, reading))
            }
            self._cells[name] = [cell for cell in cells if cell.name in kept]
            self._selected.clear()  # found among the cells before
        return cells

    def _with_values(
        self, experiment: Mapping[str, Any], values: Mapping[str, Any], where: str
    ) -> Mapping[str, Any]:
        """The experiment with the axis values that a reading puts in the place of its own (`axis=value` →
        value).
        """
        kind = next((kind for kind in ("grid", "pointwise") if kind in experiment), None)
        axes = copy.deepcopy(experiment.get(kind, {}))
        for key, value in values.items():
            axis, _, name = key.partition("=")
            known = axes.get(axis, {}).get("values", {})
            if not isinstance(known, Mapping) or name not in known:
                places = [
                    f"{axis}={name}"
                    for axis, rule in axes.items()
                    if isinstance(rule["values"], Mapping)
                    for name in rule["values"]
                ]
                self._fail(
                    f"{where}.{key}",
                    f"no such value of a grid or pointwise axis with named values{nearest(key, places)}",
                )
            known[name] = value
        return {**experiment, kind: axes} if values and kind else experiment

    def _combinations(
        self, experiment: Mapping[str, Any], where: str, most_trials: int | None
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(axis → named value, path → value) of each cell."""

        if "asha" in experiment:
            return self._sample(experiment["asha"], where)[:most_trials]
        search = experiment.get("random", {})
        axes = experiment.get("grid") or experiment.get("pointwise") or search.get("space", {})
        options = {axis: _options(rule["values"]) for axis, rule in axes.items()}

        def cell(choice: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
            plain = {
                axis: key if isinstance(axes[axis]["values"], Mapping) else options[axis][key]
                for axis, key in choice.items()
            }
            changes: dict[str, Any] = {}
            for axis, key in choice.items():
                value, path = options[axis][key], axes[axis].get("path")
                if not path and not isinstance(value, Mapping):  # a reading's
                    self._fail(
                        f"{where}: {axis}={key}",
                        f"{value!r} is no mapping from paths to values, and the axis has no path",
                    )
                changes |= {path: value} if path else value
            return plain, changes

        if "grid" in experiment:
            return [cell(dict(zip(axes, keys, strict=True))) for keys in itertools.product(*options.values())]
        if "pointwise" in experiment:
            return [({}, {}), *(cell({axis: key}) for axis in axes for key in options[axis])]
        if "random" in experiment:
            drawn = self._draw(search, {axis: list(keys) for axis, keys in options.items()}, where)
            found = []
            for index, choice in enumerate(drawn[:most_trials]):
                settings, values = cell(choice)
                found.append(({"trial": index, **settings}, values))
            return found
        return [({}, {})]

    def _sample(self, search: Mapping[str, Any], where: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(axis → value, path → value) of each trial: independent draws, so that a shorter search has the
        first trials of a longer one.
        """
        generator = random.Random(search.get("seed", 0))
        trials = []
        for index in range(search["trials"]):
            settings: dict[str, Any] = {"trial": index}
            changes: dict[str, Any] = {}
            for axis, rule in search["space"].items():
                place = generator.random()
                if "values" in rule:
                    named = isinstance(rule["values"], Mapping)
                    key = list(rule["values"])[int(place * len(rule["values"]))]
                    settings[axis], value = (text(key), rule["values"][key]) if named else (key, key)
                else:
                    value = settings[axis] = self._drawn(rule, place, f"{where}.asha.space.{axis}")
                changes |= {rule["path"]: value} if "path" in rule else value
            trials.append((settings, changes))
        return trials

    def _drawn(self, rule: Mapping[str, Any], place: float, where: str) -> float:
        """The value at `place`, a share from 0 to 1, of a range; four significant digits, so that it is what
        readers see.
        """
        name = "uniform" if "uniform" in rule else "log_uniform"
        low, high = rule[name]
        if low >= high:
            self._fail(
                f"{where}.{name}", f"{low} is not below {high}; give the smallest and the largest value"
            )
        value = (
            low + place * (high - low)
            if name == "uniform"
            else math.exp(math.log(low) + place * math.log(high / low))
        )
        return float(f"{value:.4g}")

    def _draw(
        self, search: Mapping[str, Any], space: Mapping[str, list[str]], where: str
    ) -> list[dict[str, str]]:
        """The combinations of `include`, then independent uniform draws without repetition."""
        size = 1
        for keys in space.values():
            size *= len(keys)
        if search["trials"] > size:
            self._fail(
                f"{where}.random.trials",
                f"{search['trials']} is more than the {size} combinations of the space",
            )
        drawn: list[dict[str, str]] = []
        for index, given in enumerate(search.get("include", [])):
            at = f"{where}.random.include[{index}]"
            for axis in given:
                if axis not in space:
                    self._fail(f"{at}.{axis}", f"unknown axis{nearest(axis, space)}")
            choice = {}
            for axis, keys in space.items():
                if axis not in given:
                    self._fail(at, f"axis {axis} is missing; give every axis a value")
                if text(given[axis]) not in keys:
                    self._fail(
                        f"{at}.{axis}",
                        f"{given[axis]!r} is not in the space{nearest(text(given[axis]), keys)}",
                    )
                choice[axis] = text(given[axis])
            drawn.append(choice)
        generator = random.Random(search.get("seed", 0))
        seen = {tuple(choice.values()) for choice in drawn}
        while len(drawn) < search["trials"]:
            choice = {axis: keys[int(generator.random() * len(keys))] for axis, keys in space.items()}
            if tuple(choice.values()) not in seen:
                seen.add(tuple(choice.values()))
                drawn.append(choice)
        return drawn[: search["trials"]]

    def _apply(self, settings: dict[str, Any], changes: Mapping[str, Any], where: str) -> None:
        """Replace the value at each path."""
        for path, value in changes.items():
            node: Any = settings
            *parents, last = path.split(".")
            for depth, part in enumerate(parents):
                here = f"{where}: {'.'.join(parents[: depth + 1])}"
                if isinstance(node.get(part) if isinstance(node, Mapping) else None, str) and part == "model":
                    node[part] = copy.deepcopy(self._model(node[part], here))
                if isinstance(node, list):
                    if not re.fullmatch("[0-9]{1,6}", part) or int(part) >= len(node):
                        self._fail(here, f"no element {part}; the list has {len(node)}, counted from 0")
                    node = node[int(part)]
                else:
                    node = node.setdefault(part, {})
                if not isinstance(node, dict | list):
                    self._fail(here, f"{node!r} has no settings inside; shorten the path")
            if isinstance(node, list):
                if not re.fullmatch("[0-9]{1,6}", last) or int(last) >= len(node):
                    self._fail(
                        f"{where}: {path}", f"no element {last}; the list has {len(node)}, counted from 0"
                    )
                node[int(last)] = copy.deepcopy(value)
            else:
                node[last] = copy.deepcopy(value)

    def _model(self, name: str, where: str) -> dict[str, Any]:
        models = self.document.get("models", {})
        if name not in models:
            self._fail(where, f"no model {name}{nearest(name, models)}")
        return models[name]

    def _members(
        self,
        settings: dict[str, Any],
        seeds: Sequence[int],
        where: str,
        via: tuple[str, ...],
        trial: Mapping[str, Any] | None,
    ) -> tuple[Run, ...]:
        if isinstance(settings.get("model"), str):
            settings["model"] = self._model(settings["model"], f"{where}: model")
        settings = prune(settings)
        try:
            self._check_settings(settings, where)
        except RecursionError:  # a YAML alias that contains itself
            self._fail(where, "settings contain themselves; write them out")
        settings["model"].pop("title", None)
        settings["dataset"]["source"] = self.source(settings["dataset"]["name"])
        source = settings.pop("initial_weights", None)
        shared = {"engine": ENGINE, **({"study": prune(trial)} if trial else {})}
        fixed = self.document["defaults"].get("fixed_seeds", {})
        runs = []
        for seed in [settings.pop("seed")] if "seed" in settings else seeds:
            spec = {
                **shared,
                **settings,
                "seeds": {use: fixed.get(use, seed) for use in ("split", "init", "order", "augmentation")},
            }
            if source:
                parent = self._parent(source["from"], seed, where, via)
                spec["initial_weights"] = prune({"run": parent.hash, "drop": source.get("drop")})
            runs.append(Run(spec))
        return tuple(runs)

    def _check_settings(self, settings: Mapping[str, Any], where: str) -> None:
        """The settings of a cell against their schema. Cells differ in few parts, and a part that was right
        once is not looked at again.
        """
        if self._checked:
            return
        definitions = schema("report.schema.yaml")["$defs"]
        parts = {name: canonical([name, value]) for name, value in settings.items()}
        self._length += sum(map(len, parts.values()))
        if self._length > MOST_TEXT:
            self._fail(
                where,
                f"the settings of all runs have more than {MOST_TEXT:,} characters; shorten them or leave "
                "runs out",
            )
        fresh = {name: value for name, value in settings.items() if parts[name] not in self._valid}
        required = [
            name for name in definitions["settings"]["required"] if name in fresh or name not in settings
        ]
        rules = {**definitions["settings"], "required": required, "$defs": definitions}
        validate(fresh, rules, f"{self.path}: {where}")
        self._valid.update(parts.values())

    def _parent(self, selector: str, seed: int, where: str, via: tuple[str, ...]) -> Run:
        name = selector.partition("@")[0].partition("/")[0]
        self._known(name, f"{where}: initial_weights.from")
        self._expand(name, via)
        cells = self.cells(selector)
        if len(cells) > 1:
            self._fail(
                f"{where}: initial_weights.from",
                f"{selector} names {len(cells)} cells; name one, e.g. {cells[0].name}",
            )
        members = cells[0].members
        matching = [run for run in members if run.spec["seeds"]["init"] == seed]
        return matching[0] if matching else members[0]


def _count(experiment: Mapping[str, Any], most_trials: int | None) -> int:
    """Cells of an experiment in one reading."""
    values = [
        len(rule["values"]) for kind in ("grid", "pointwise") for rule in experiment.get(kind, {}).values()
    ]
    if "grid" in experiment:
        return math.prod(values)
    search = experiment.get("random") or experiment.get("asha") or {}
    return min(search.get("trials", 1), most_trials or math.inf) + sum(values)


def _trial(study: Mapping[str, Any], number: int, before: str | None) -> dict[str, Any]:
    """`Run.spec["study"]` of a trial that comes after the run `before`."""
    return {
        "trial": number,
        "after": before,
        "min_resource": study["min_resource"],
        "reduction_factor": study["reduction_factor"],
    }


def _options(values: Sequence[Any] | Mapping[Any, Any]) -> dict[str, Any]:
    """The values of an axis by their names, or by themselves as text."""
    return (
        {text(name): values[name] for name in values}
        if isinstance(values, Mapping)
        else {text(value): value for value in values}
    )


def shrink_epochs(epochs: int, rule: Mapping[str, Any]) -> int:
    """Epochs at a smaller scale: times `factor`, at least `min`, at most `max`, and never more than the
    report's.
    """
    shrunk = max(round(epochs * rule.get("factor", 1)), rule.get("min", 1))
    return min(shrunk, rule.get("max", shrunk), epochs)


def network_names(item: Mapping[str, Any]) -> list[str]:
    """Names of the models whose layers a table or figure shows."""
    return [*item.get("networks", []), *([item["network"]] if "network" in item else [])]


def selectors(item: Any) -> list[str]:
    """Every selector that a figure, table or statement draws on: the values of its keys `runs` and
    `after`.
    """
    if isinstance(item, Mapping):
        found = []
        for key, value in item.items():
            if key in ("runs", "after") and isinstance(value, str):
                found.append(value)
            else:
                found.extend(selectors(value))
        return found
    if isinstance(item, list):
        return [selector for entry in item for selector in selectors(entry)]
    return []


def _selector(experiment: str, conditions: str, reading: str | None) -> str:
    return experiment + (f"/{conditions}" if conditions else "") + (f"@{reading}" if reading else "")


def _normal(value: str) -> str:
    """A selector's value in canonical form: 1e-4 → 0.0001."""
    try:
        return canonical(float(value))
    except ValueError:
        return value
