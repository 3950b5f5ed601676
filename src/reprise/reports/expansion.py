"""From experiments to runs: every combination of an experiment, in each of its readings, with each seed."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from reprise.errors import RepriseError, nearest
from reprise.extensions import DATASETS
from reprise.reports.cells import Cell, select, selector_of, text
from reprise.reports.combinations import Combination, combinations, count, named
from reprise.reports.experiments import Axis, BuiltIn, Experiment, Shrink
from reprise.reports.mistakes import OWN_MISTAKE, Mistake
from reprise.reports.paths import change, is_place, layer_places, no_layer, overridden
from reprise.reports.report_file import ReportFile
from reprise.reports.run import ENGINE, Run, canonical, prune
from reprise.reports.settings import Settings
from reprise.reports.source import LAYER, OPTION, Source
from reprise.schema import key_path, plain, violations

MOST_RUNS, MOST_TEXT = 10_000, 5_000_000
"""Of a report at one scale: runs, and characters of their settings."""
MOST_WRONG = 2000
"""Mistakes in the settings of cells, after which no more are looked for; mostly they are the same ones."""
LONGEST_CHAIN = 50
"""Experiments that are based on each other, or start from each other's weights."""
WAYS = ("grid", "pointwise", "random", "asha")
"""Keys of an experiment that hold its axes."""
SEEDED = ("split", "init", "order", "augmentation")
"""What a run's seed is for."""


class Expansion:
    """The cells of every experiment of a report at one scale, as `cells`.

    known: the report has been expanded before, so that its settings need not be checked again.
    image_source: data set → where its images come from (`real`, `synthetic` or `stand-in`).

    What does not fit is a `RepriseError` with file, line and key path.
    """

    def __init__(
        self, file: ReportFile, source: Source, scale: str, image_source: Any, *, known: bool
    ) -> None:
        self.cells: dict[str, list[Cell]] = {}
        self.network_runs: dict[str, Run] = {}
        """Name of a model → the first run that trains it."""
        self._file, self._source, self._scale = file, source, scale
        self._shrink = file.scales.at(scale)
        self._image_source, self._known = image_source, known
        self._models = {name: prune(plain(network)) for name, network in file.models.items()}
        self._defaults = plain(file.defaults)
        self._parts: set[str] = set()
        self._length = self._wrong = 0
        self._changes: dict[str, dict[tuple[Any, ...], tuple[str, Any]]] = {}
        """Experiment → what `_given` says of it."""
        for name in getattr(self._shrink, "experiments", {}):
            with source.mistakes.noting():
                self._check_experiment(name, ("scales", scale, "experiments", name))
        for name in file.experiments:
            try:
                self.expand(name)
            except RepriseError as error:
                source.mistakes.add(error)
                source.lost.add(("experiments", name))

    @property
    def spaces(self) -> dict[str, dict[str, list[Any]]]:
        """Experiment → axis → the values that its search can draw, or that this scale has left out."""
        found: dict[str, dict[str, list[Any]]] = {}
        for name, experiment in self._file.experiments.items():
            if experiment.random or experiment.asha or self.rule(name).only:
                found[name] = {axis: list(rule.values or ()) for axis, rule in experiment.axes.items()}
        return found

    def untrained(self, name: str) -> dict[str, Run]:
        """The first run of each experiment → one that would train a model which none trains, as that run
        trains its own.
        """
        model = copy.deepcopy(self._models[name])
        model.pop("title", None)
        _take_names(model)
        first = [cells[0].members[0] for cells in self.cells.values() if cells]
        return {run.hash: Run({**run.spec, "model": model}) for run in first}

    def rule(self, name: str) -> Shrink:
        """How an experiment shrinks at this scale."""
        return self._shrink.of(name) if hasattr(self._shrink, "of") else self._shrink

    @property
    def _enough(self) -> bool:
        """Whether the settings of the runs so far are more than a report may have, or what is wrong with them
        more than anybody reads.
        """
        return self._length > MOST_TEXT or self._wrong > MOST_WRONG

    # ---- an experiment ----

    def expand(self, name: str, via: tuple[str, ...] = ()) -> list[Cell]:
        """The cells of an experiment; `via`: the experiments that start from its weights."""
        if name in self.cells:
            return self.cells[name]
        if self._enough:  # its mistakes are found once the others are mended
            raise RepriseError(f"{name} {OWN_MISTAKE}")
        self._source.check_name("experiments", name)
        where = ("experiments", name)
        self._check_chain(where, via)
        if name in via:
            self._fail(where, f"initial weights go round in a circle: {' → '.join([*via, name])}; break it")
        links = self._chain(name)
        chain = [self._file.experiments[link] for link in links]
        experiment, rule = chain[-1], self.rule(name)
        settings = {
            key: value
            for key, value in copy.deepcopy(self._defaults).items()
            if key not in ("seeds", "fixed_seeds")
        }
        for link in links:
            self._change(settings, self._file.experiments[link].set, ("experiments", link, "set"))
        readings = self._readings(chain)
        seeds = next((link.seeds for link in reversed(chain) if link.seeds), self._file.defaults.seeds)[
            : rule.seeds
        ]
        if experiment.asha and len(seeds) > 1:
            what = "a trial of a study is one run; give the experiment one seed, or make the seed an axis"
            self._fail((*where, "seeds"), what)
        there = sum(len(cell.members) for cells in self.cells.values() for cell in cells)
        self._check_number(where, there + len(readings) * len(seeds) * count(experiment, rule.trials))

        cells: list[Cell] = []
        for reading, meaning in readings.items():
            at = (*where, "readings", reading)
            read = copy.deepcopy(settings)
            self._change(read, {path: value for path, value in meaning.items() if "=" not in path}, at)
            varied = self._with_values(
                experiment, {key: value for key, value in meaning.items() if "=" in key}, at
            )
            cells += self._cells_of(name, varied, read, seeds, reading, via)
        self.cells[name] = cells
        if rule.only:
            own = getattr(self._shrink, "experiments", {}).get(name)
            at = ("scales", self._scale, *(("experiments", name) if own and own.only else ()), "only")
            kept = {
                cell.name
                for place, conditions in enumerate(rule.only)
                for reading in readings
                for cell in self._select(selector_of(name, conditions, reading), (*at, place))
            }
            self.cells[name] = [cell for cell in cells if cell.name in kept]
        return self.cells[name]

    def _cells_of(
        self,
        name: str,
        experiment: Experiment,
        settings: dict[str, Any],
        seeds: Sequence[int],
        reading: str | None,
        via: tuple[str, ...],
    ) -> list[Cell]:
        """A cell for each combination, in one reading."""
        where, rule, study = ("experiments", name), self.rule(name), experiment.asha
        cells: list[Cell] = []
        before = None
        sound = True
        for shown, changes in self._combinations(name, experiment, rule.trials):
            cell = copy.deepcopy(settings)
            trial = None
            if study:
                rungs = {"min_resource": study.min_resource, "reduction_factor": study.reduction_factor}
                trial = {"trial": shown["trial"], "after": before, **rungs}
            try:
                self._change(cell, changes, where)
                network = cell.get("model")
                self._scale_down(cell, name, rule)
                members, layers = self._members(cell, seeds, where, (*via, name), trial)
            except RepriseError as error:  # the other cells may have mistakes of their own
                self._source.mistakes.add(error)
                sound = False
                if self._enough:
                    break
                continue
            before = members[-1].hash
            included = experiment.random is not None and shown["trial"] < len(experiment.random.include)
            title = "" if experiment.axes else experiment.title or ""
            labels = _labels(experiment, shown)
            cells.append(Cell(name, shown, reading, members, layers, included, title, labels))
            if isinstance(network, str):
                self.network_runs.setdefault(network, members[0])
        if not sound:  # and what starts from it need not try again
            self._source.lost.add(("experiments", name))
            raise RepriseError(f"{name} {OWN_MISTAKE}")
        if study and self._scale == "full" and not self._known:
            longest = max(cell.members[0].spec["training"]["epochs"] for cell in cells)
            if study.min_resource >= longest:
                what = f"trials have {longest} epochs, so none is judged before its last; give fewer"
                self._source.note((*where, "asha", "min_resource"), what)
        return cells

    def _combinations(self, name: str, experiment: Experiment, trials: int | None) -> list[Combination]:
        def fail(parts: Sequence[Any], what: str) -> NoReturn:
            self._fail(("experiments", name, *parts), what)

        return combinations(experiment, trials, fail)

    def _scale_down(self, cell: dict[str, Any], name: str, rule: Shrink) -> None:
        """What a smaller scale changes in the settings of a cell: for all experiments, then for its own."""
        own = getattr(self._shrink, "experiments", {}).get(name)
        self._change(cell, self._shrink.set, ("scales", self._scale, "set"))
        if own:
            self._change(cell, own.set, ("scales", self._scale, "experiments", name, "set"))
        training = cell.get("training")
        if (
            isinstance(training, dict) and type(training.get("epochs")) is int
        ):  # else the check of settings speaks
            training["epochs"] = rule.epochs.of(training["epochs"])
        if isinstance(rule, BuiltIn) and rule.images:
            _take_fewer(cell.get("dataset"), rule.images)

    def _chain(self, name: str, via: tuple[str, ...] = ()) -> list[str]:
        """The names of the experiment and of those it is based on, the oldest first."""
        where = ("experiments", name, "base")
        if name in via:
            self._fail(where, f"goes round in a circle: {' → '.join([*via, name])}; break it")
        experiment = self._file.experiments[name]
        if experiment.base is None:
            return [name]
        self._check_chain(where, via)
        self._check_experiment(experiment.base, where)
        return [*self._chain(experiment.base, (*via, name)), name]

    def _readings(self, chain: Sequence[Experiment]) -> dict[str | None, dict[str, Any]]:
        """Reading → what it changes: the experiment's own, or the nearest of those it is based on."""
        given = next((link.readings for link in reversed(chain) if link.readings), None)
        if given is None:
            return {None: {}}
        # axes are not inherited, so neither are other meanings of their values
        own = bool(chain[-1].readings)
        return {
            name: {path: value for path, value in meaning.items() if own or "=" not in path}
            for name, meaning in given.items()
        }

    def _with_values(
        self, experiment: Experiment, values: Mapping[str, Any], where: tuple[Any, ...]
    ) -> Experiment:
        """The experiment with the axis values that a reading puts in the place of its own."""
        if not values:
            return experiment
        kind = "grid" if experiment.grid else "pointwise"
        axes: dict[str, Axis] = dict(experiment.grid or experiment.pointwise or {})
        for key, value in values.items():
            axis, _, name = key.partition("=")
            known = axes[axis].values if axis in axes else None
            if not isinstance(known, dict) or name not in named(known):
                places = [
                    f"{axis}={name}"
                    for axis, rule in axes.items()
                    if isinstance(rule.values, dict)
                    for name in named(rule.values)
                ]
                what = f"no such value of a grid or pointwise axis with named values{nearest(key, places)}"
                self._fail((*where, key), what)
            axes[axis] = axes[axis].model_copy(update={"values": {**named(known), name: value}})
        return experiment.model_copy(update={kind: axes})

    # ---- runs ----

    def _members(
        self,
        settings: dict[str, Any],
        seeds: Sequence[int],
        where: tuple[Any, ...],
        via: tuple[str, ...],
        trial: Mapping[str, Any] | None,
    ) -> tuple[tuple[Run, ...], dict[str, str]]:
        """The runs of a cell, and layer's name → its module's name."""
        if isinstance(settings.get("model"), str):
            if settings["model"] not in self._models:
                hint = nearest(settings["model"], self._models)
                self._fail(self.giver(where[1], ["model"], settings), f"no model {settings['model']}{hint}")
            settings["model"] = copy.deepcopy(self._models[settings["model"]])
        steps = settings.get("augmentation")
        settings = prune(settings)
        self._check_settings({**settings, "augmentation": steps} if steps else settings, where)
        settings["model"].pop("title", None)
        layers = _take_names(settings["model"])
        settings["dataset"]["source"] = self._image_source(settings["dataset"]["name"])
        weights = settings.pop("initial_weights", None)
        shared = {"engine": ENGINE, **({"study": prune(trial)} if trial else {})}
        fixed = self._defaults.get("fixed_seeds") or {}
        runs = []
        for seed in [settings.pop("seed")] if "seed" in settings else seeds:
            spec = {**shared, **settings, "seeds": {use: fixed.get(use, seed) for use in SEEDED}}
            if weights:
                at = self.giver(where[1], ["initial_weights", "from"])
                parent, theirs = self._parent(weights["from"], seed, at, via)
                drop = self._modules(weights.get("drop", ()), layers, theirs, where[1])
                spec["initial_weights"] = prune({"run": parent.hash, "drop": drop})
            runs.append(Run(spec))
        return tuple(runs), layers

    def _check_settings(self, settings: dict[str, Any], where: tuple[Any, ...]) -> None:
        """The settings of a cell against their model."""
        if self._known:
            return
        self._length += len(canonical(settings))
        if self._length > MOST_TEXT:
            what = (
                f"the settings of all runs have more than {MOST_TEXT:,} characters; shorten them or "
                "leave runs out"
            )
            self._fail(where, what)
        try:
            _SETTINGS.validate_python(settings)
        except ValidationError as error:
            found, doubtful = violations(error, settings), self._source.doubtful
            self._wrong += len(found)
            own = [each for each in found if not each[0] or each[0][0] not in doubtful]
            for parts, what in own:
                whose = f"experiment {where[1]}"
                self._source.mistakes.add(self.mistake(where[1], parts, what, whose, settings))
            raise RepriseError(f"{where[1]} {OWN_MISTAKE}") from None

    def _parent(
        self, selector: str, seed: int, where: tuple[Any, ...], via: tuple[str, ...]
    ) -> tuple[Run, Mapping[str, str]]:
        """The run whose weights are loaded (of the same seed, or the only one; else a `RepriseError`), and
        layer's name → its module's name.
        """
        name = selector.partition("@")[0].partition("/")[0]
        self._check_experiment(name, where)
        self.expand(name, via)
        cells = self._select(selector, where)
        if len(cells) > 1:
            self._fail(where, f"{selector} names {len(cells)} cells; name one, e.g. {cells[0].name}")
        members = {run.hash: run for run in cells[0].members}
        fixed = self._defaults.get("fixed_seeds") or {}
        use = next((use for use in SEEDED if fixed.get(use) is None), SEEDED[0])
        seeds = {getattr(run.settings.seeds, use): run for run in members.values()}
        if seed not in seeds and len(members) > 1:
            known = ", ".join(map(str, seeds))
            what = f"{cells[0].name} has no run of seed {seed}, only of {known}"
            self._fail(where, f"{what}; give both the same seeds, or {cells[0].experiment} a single one")
        return seeds.get(seed) or next(iter(members.values())), cells[0].layers

    def _modules(
        self, names: Sequence[str], layers: Mapping[str, str], theirs: Mapping[str, str], experiment: str
    ) -> list[str]:
        """Layers of a network, or of that of the run it starts from (`theirs`), as their modules are called;
        other names are beginnings of parameters' names.
        """
        known = {**theirs, **layers}
        for name in names:
            if is_place(name) and known and name not in (*known, *known.values()):
                self._fail(self.giver(experiment, ["initial_weights", "drop"]), no_layer(name, layers))
        return [known.get(name, name) for name in names]

    def _select(self, selector: str, where: tuple[Any, ...]) -> list[Cell]:
        self._source.check_name("experiments", selector.partition("@")[0].partition("/")[0])
        try:
            return select(selector, self.cells, self.spaces, self._scale)
        except RepriseError as error:
            self._fail(where, str(error))

    # ---- errors ----

    def mistake(
        self, name: str, setting: Sequence[Any] | None, said: str, whose: str = "", settings: Any = None
    ) -> Mistake:
        """What is wrong with a setting of an experiment, as an error: its place is what gives the setting.

        setting: its key path; None where it is not known. whose: the experiment or configuration. settings:
        those of the cell, where they are known.
        """
        where = ("experiments", name) if setting is None else self.giver(name, setting, settings)
        setting = setting or []
        where = self._in_model(where)
        what = OPTION.sub("", LAYER.sub(r"\3: ", said)).removeprefix(f"{key_path(setting)}: ")
        named = where[0] == "models" and setting[:1] == ["model"]
        if what.startswith("unknown key") and where[-2:-1] == ("values",):
            where = (*where[:-2], "path")
        elif what.startswith("unknown key") and where[2:4] == ("asha", "space"):
            where = (*where[:5], "path")
        elif where[2:4] == ("asha", "space") and (drawn := _NOT.fullmatch(what)):
            what = f"{drawn[1]}, and not every value drawn is one; list the values: values: […]"
        elif setting and not named and not _dotted(where).endswith(_dotted(setting)):
            what = f"{key_path(setting)}: {what}"
        said_already = [f"experiment {name}"] if where[:2] == ("experiments", name) else []
        said_already += [f"scale {where[1]}"] if where[0] == "scales" else []
        owners = [part for part in whose.split(", ") if part not in said_already]
        return self._source.mistake(where, what, ", ".join(owners))

    def _in_model(self, where: tuple[Any, ...]) -> tuple[Any, ...]:
        """A key path that goes on behind the name of a network, in that network."""
        value: Any = self._source.document
        for depth, part in enumerate(where):
            value = value[part] if _has(value, part) else None
            if isinstance(value, str) and value in self._file.models and depth < len(where) - 1:
                return ("models", value, *where[depth + 1 :])
        return where

    def giver(self, name: str, setting: Sequence[Any], settings: Any = None) -> tuple[Any, ...]:
        """Key path in the file of what gives an experiment a setting: of all that do, the last.

        settings: those of the cell that the setting stands in, where they are known.
        """
        if name not in self._changes:
            self._changes[name] = dict(self._given(name))
        first = str(setting[0]) if setting else ""
        changes = [
            (where, path, value)
            for where, (path, value) in self._changes[name].items()
            if not setting or path.partition(".")[0] == first
        ]
        for where, path, value in changes:
            rest = _below(path, setting, settings)
            if rest is not None and (rest or settings is None or value == _at(setting, settings)):
                return (*where, *rest)
        for where, path, value in changes:  # a part of it: taken away, changed, or of what is no setting
            parts = [int(part) if part.isdigit() else part for part in path.split(".")]
            if parts[: len(setting)] != list(setting):
                continue
            changed = len(setting) > 1 and settings is not None and value == _at(parts, settings)
            if value is None or changed or (setting and first not in self._defaults):
                return where
        model = self._defaults.get("model")
        if setting[:1] == ["model"] and len(setting) > 1 and isinstance(model, str):
            return ("models", model, *setting[1:])
        there = setting[:1] and setting[0] in self._defaults
        return ("defaults", *setting) if there else ("experiments", name, *setting)

    def _given(self, name: str) -> Iterator[tuple[tuple[Any, ...], tuple[str, Any]]]:
        """Key path in the file of each change that makes an experiment, with the setting's path and value;
        the last change comes first.
        """
        for at in (("scales", self._scale, "experiments", name), ("scales", self._scale)):
            rule = self._shrink if len(at) == 2 else getattr(self._shrink, "experiments", {}).get(name)
            yield from (
                ((*at, "set", path), (path, value)) for path, value in (rule.set if rule else {}).items()
            )
        experiment, here = self._file.experiments[name], ("experiments", name)
        kind = next((kind for kind in WAYS if getattr(experiment, kind)), "")
        space = (kind, "space") if kind in ("random", "asha") else (kind,)
        for axis, rule in experiment.axes.items():
            values = rule.values or ()
            for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
                at = (*here, *space, axis, "values", key)
                if rule.path:
                    yield at, (rule.path, value)
                elif isinstance(value, Mapping):
                    yield from (((*at, path), (path, each)) for path, each in value.items())
            if rule.values is None and rule.path:
                yield (*here, *space, axis), (rule.path, DRAWN)
        chain = [name]
        while base := self._file.experiments[chain[-1]].base:
            chain.append(base)
        for link in chain:
            for reading, meaning in (self._file.experiments[link].readings or {}).items():
                for path, value in meaning.items():
                    yield ("experiments", link, "readings", reading, path), (path, value)
        for link in chain:
            for path, value in self._file.experiments[link].set.items():
                yield ("experiments", link, "set", path), (path, value)

    def _fail(self, where: Sequence[Any], what: str) -> NoReturn:
        self._source.fail(where, what)

    def _change(self, settings: dict[str, Any], changes: Mapping[str, Any], where: tuple[Any, ...]) -> None:
        if not self._known and (pair := overridden(changes)):
            self._fail((*where, pair[0]), f"{pair[1]} takes its place; leave one of the two out")
        for path, value in changes.items():
            try:
                change(settings, {path: value}, lambda name: self._model(name, where))
            except Mistake:
                raise
            except RepriseError as error:
                if path.partition(".")[0] in self._source.doubtful:
                    raise RepriseError(f"{path} {OWN_MISTAKE}") from None
                self._fail((*where, path), str(error))

    def _model(self, name: str, where: tuple[Any, ...]) -> dict[str, Any]:
        if name not in self._models:
            at = self.giver(where[1], ["model"]) if where[0] == "experiments" else where
            self._fail(at, f"no model {name}{nearest(name, self._models)}")
        return self._models[name]

    def _check_experiment(self, name: str, where: tuple[Any, ...]) -> None:
        self._source.check_name("experiments", name)
        if name not in self._file.experiments:
            self._fail(where, f"no experiment {name}{nearest(name, self._file.experiments)}")

    def _check_chain(self, where: tuple[Any, ...], via: tuple[str, ...]) -> None:
        if len(via) > LONGEST_CHAIN:
            self._fail(
                where, f"more than {LONGEST_CHAIN} experiments start from each other; shorten the chain"
            )

    def _check_number(self, where: tuple[Any, ...], runs: int) -> None:
        if runs > MOST_RUNS:
            self._fail(where, f"{runs:,} runs, of at most {MOST_RUNS:,} in a report; leave some out")


def _take_fewer(dataset: Any, images: int) -> None:
    """Use about so many images of each part of a data set, the same number of each class."""
    if not isinstance(dataset, dict) or dataset.get("name") not in DATASETS:
        return  # the check of settings speaks
    known = DATASETS[dataset["name"]].classes.get(dataset.get("labels"), ())
    count = len(dataset.get("classes") or known)
    if count:
        fewer = max(images // count, 1)
        given = dataset.get("per_class")
        dataset["per_class"] = min(fewer, given) if type(given) is int else fewer


def _labels(experiment: Experiment, settings: Mapping[str, Any]) -> dict[str, str]:
    """Axis → the report file's words for its value in a cell, where it has some."""
    found = {}
    for axis, rule in experiment.axes.items():
        words = {text(value): label for value, label in rule.labels.items()}
        if axis in settings and text(settings[axis]) in words:
            found[axis] = words[text(settings[axis])]
    return found


def _below(path: str, setting: Sequence[Any], settings: Any) -> list[Any] | None:
    """What of the key path `setting` is left after a path of a `set`; None where it does not lead there."""
    parts = path.split(".")
    if len(parts) > len(setting):
        return None
    for part, key in zip(parts, setting, strict=False):
        inner = settings[key] if _has(settings, key) else None
        named = isinstance(key, int) and isinstance(inner, Mapping) and inner.get("name") == part
        if not (part == str(key) or named or (part == "*" and isinstance(key, int))):
            return None
        settings = inner
    return list(setting[len(parts) :])


def _at(setting: Sequence[Any], settings: Any) -> Any:
    """The value at a key path; nothing where there is none."""
    for key in setting:
        settings = settings[key] if _has(settings, key) else None
    return settings


def _dotted(parts: Sequence[Any]) -> str:
    """A key path as `set` has it."""
    return ".".join(map(str, parts))


def _has(node: Any, key: Any) -> bool:
    return key in node if isinstance(node, Mapping) else isinstance(node, list) and key < len(node)


class _Drawn:
    """A value that a search draws, which is any."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


DRAWN = _Drawn()
_NOT = re.compile(r"(should be [^,;]*), not [^;]*(;.*)?")
_SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)


def _take_names(model: dict[str, Any]) -> dict[str, str]:
    """Take the names out of a network's layers, which change nothing; name → what the module is called."""
    found = layer_places(model)
    for key in ("layers", "head"):
        for layer in model[key] if isinstance(model.get(key), list) else ():
            layer.pop("name", None)
    return found
