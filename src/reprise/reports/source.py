"""Where in the files of a report each value stands, what is written out in them, and what is left out because
it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from reprise.errors import RepriseError, nearest
from reprise.extensions import DATASETS
from reprise.reports.file import (
    MOST_BYTES,
    MOST_VALUES,
    Comment,
    comments_of,
    count_values,
    files_below,
    is_misnamed,
    line_of,
    located,
    other_files,
    read_yaml,
    yaml_files,
)
from reprise.reports.mistakes import OWN_MISTAKE, Mistake, Mistakes
from reprise.schema import Violation, key_path, violations

SECTIONS = ("figures", "tables", "statements")
MOST_REPEATS = 1000
"""Items of a section once they are repeated."""


class Source:
    """The files of one report, and where in them an error is.

    path: a YAML file, or a folder whose YAML files together are the report.
    known: they have been read before, or are our own, so that their bounds need not be looked for.
    """

    def __init__(self, path: Path | str, *, known: bool = False) -> None:
        self.path = Path(path)
        self.mistakes = Mistakes()
        """What is wrong with the files, as far as it is known."""
        self.lost: set[tuple[str, Any]] = set()
        """Section and name of what is left out because of its mistakes: naming it is none."""
        self.lost_settings: set[str] = set()
        """Keys of the defaults in whose place something else stands because of their mistakes."""
        if is_misnamed(self.path):
            raise RepriseError(f"{self.path}: report files end in .yaml; rename it to {self.path.stem}.yaml")
        self.files = yaml_files(self.path) if self.path.is_dir() else [self.path]
        if not self.files:
            raise RepriseError(f"{self.path}: no report files (*.yaml) in this folder; add one")
        self.document: dict[str, Any] = {}
        self._file: dict[str, Path] = {}
        self._comments: list[tuple[Path, Comment]] = []
        self._read(known)
        self._origin: dict[tuple[Any, ...], Sequence[tuple[int, ...]]] = {}
        """Key path of a list that is not as written → where in it each item is written."""
        self._inherited: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        """Key path of what the defaults of its kind give a figure → where they do."""
        self._known_places: dict[tuple[Any, ...], list[Any]] = {}
        """Key path of what a figure or table has from one that is left out → where it is written."""
        self._names: dict[str, dict[int, str]] = {}
        """Section → place of an item in the file → its id."""
        self._written_out = 0  # characters of texts with names filled in
        self._repeat()

    def _read(self, known: bool) -> None:
        """Read the files; where one cannot be read, that of all of them is raised."""
        unreadable = False
        for other in other_files(self.path) if self.path.is_dir() else ():
            self.mistakes.add(f"{located(other, 1)}: not read; rename it to {other.stem}.yaml")
        for other in files_below(self.path) if self.path.is_dir() and not known else ():
            self.mistakes.add(f"{located(other, 1)}: not read; move it up to {self.path}/, or elsewhere")
        for file in self.files:
            try:
                part = read_yaml(file, known=known, mistakes=self.mistakes)
                if part is None:
                    what = "the file is empty; write title:, defaults: and experiments:, see"
                    raise RepriseError(f"{located(file, 1)}: {what} docs/report-files.md")
                if not isinstance(part, dict):
                    what = "no mapping from keys to values; see docs/report-files.md"
                    raise RepriseError(f"{located(file, 1)}: top level: {what}")
            except RepriseError as error:
                self.mistakes.add(error)
                unreadable = True
                continue
            for key in part:
                if key in self._file:
                    place = located(file, line_of(file, [key]))
                    self.mistakes.add(
                        f"{place}: {key}: stands in {self._file[key].name} too; keep one of them"
                    )
                self._file[key] = file
            self.document |= part
            if not known:
                self._comments += [(file, comment) for comment in comments_of(file, part)]
        if unreadable:
            self.mistakes.raise_all()

    @property
    def slug(self) -> str:
        return self.path.stem if self.path.suffix == ".yaml" else self.path.name

    def place(self, parts: Sequence[Any]) -> str:
        """File and line of a value, as an error starts."""
        if not parts and len(self.files) > 1:
            return located(self.files[0], 1)
        written = self._written(parts)
        file = self._file.get(written[0], self.files[0]) if written else self.files[0]
        return located(file, line_of(file, written))

    def key_path(self, parts: Sequence[Any]) -> str:
        """The key path of a value, as an error shows it: figures, tables and statements by their ids."""
        written = self._written(parts)
        if not _is_inside(written):
            return key_path(written) or "top level"
        own = list(parts[:1]) == written[:1]
        name = self._name_of(parts) if own else self._name_in_file(written)
        return key_path([written[0], name or written[1], *written[2:]])

    def _name_in_file(self, written: Sequence[Any]) -> str | None:
        """The id of the figure, table or statement at a key path as it stands in the file."""
        return self._names.get(written[0], {}).get(written[1])

    def _name_of(self, parts: Sequence[Any]) -> str | None:
        """The id of the figure, table or statement at a key path, if it has a sound one of its own."""
        items = self.document.get(parts[0])
        ids = [_id(item) for item in items] if isinstance(items, list) else []
        name = ids[parts[1]] if parts[1] < len(ids) else None
        return name if ids.count(name) == 1 else None

    def at(self, parts: Sequence[Any]) -> str:
        """File, line and key path of a value."""
        return f"{self.place(parts)}: {self.key_path(parts)}"

    def mistake(self, parts: Sequence[Any], said: str, whose: str = "") -> Mistake:
        """What is wrong with the value at a key path, as an error."""
        written = key_path(self._written(parts))
        return Mistake(self.place(parts), self.key_path(parts), said, written=written, whose=whose)

    def mistake_inside(self, parts: Sequence[Any], said: str, whose: str = "", about: str = "") -> Mistake:
        """The same, where the text `about` which it is, or what is `said`, tells which part of the value is
        meant: its key path ends there.
        """
        found, rest = self._inside(parts, said, about)
        return self.mistake(found, rest, whose)

    def fail(self, parts: Sequence[Any], what: str) -> NoReturn:
        """Raise what is wrong with the value at a key path."""
        raise self.mistake(parts, what)

    def note(self, parts: Sequence[Any], what: str) -> None:
        """Note a mistake, as `fail` raises it."""
        self.mistakes.add(self.mistake(parts, what))

    def check_name(self, section: str, name: Any) -> None:
        """Raise what is no mistake of its own, where a name is that of something left out."""
        if isinstance(name, str) and (section, name) in self.lost:
            raise RepriseError(f"{name} {OWN_MISTAKE}")

    def is_lost(self, name: str) -> bool:
        """Whether something of that name is left out."""
        return any(name == lost for _, lost in self.lost)

    def _inside(self, parts: Sequence[Any], said: str, about: str) -> tuple[list[Any], str]:
        """Key path of what an error about the item at `parts` means, and the rest of the error: the key or
        row that it begins with, the word that it offers another for.
        """
        value: Any = self.document
        for part in parts:
            value = value[part] if isinstance(value, dict | list) else None
        found = list(parts)
        while begins := _KEYS.match(said):
            keys = keys_of_error(said)
            inner = value
            for key in keys:
                inner = inner[key] if _holds(inner, key) else _NOTHING
            if inner is _NOTHING:
                break
            found, value = [*found, *keys], inner
            if begins[2]:  # "reference drawn: …"
                break
            said = said[begins.end() :]
        row = _ROW.match(said)
        rows = value.get("rows") if isinstance(value, dict) else None
        for index, each in enumerate(rows if row and isinstance(rows, list) else ()):
            if isinstance(each, dict) and row and each.get("label") == row.group(1):
                found, value, said = [*found, "rows", index], each, said[row.end() :]
                break
        if expression := _EXPRESSION.match(said):
            path = _path_to(expression[1], value)
            if path is not None:
                return [*found, *path], said
            said = said[expression.end() :]  # which a table has made
        wrong = _WRONG.search(said)
        words = [*filter(None, wrong.groups() if wrong else ()), *_QUOTED.findall(said), about]
        paths = (_path_to(word, value) for word in words)
        return [*found, *next((path for path in paths if path is not None), ())], said

    def inherit(self, here: tuple[Any, ...], origin: tuple[Any, ...]) -> None:
        """Note that the value at the key path `here` is written at another."""
        self._inherited[here] = origin

    def bases(self) -> set[str]:
        """Models that others start from."""
        return {there[1] for there in self._inherited.values() if there[0] == "models"}

    def _written(self, parts: Sequence[Any]) -> list[Any]:
        """A key path as it stands in the file: where what is inherited is written, before repetition and the
        flattening of lists.
        """
        for depth in range(len(parts), 0, -1):
            if origin := self._inherited.get(tuple(parts[:depth])):
                return self._written([*origin, *parts[depth:]])
            if known := self._known_places.get(tuple(parts[:depth])):
                return [*known, *parts[depth:]]
        return self._unrepeated(parts)

    def _unrepeated(self, parts: Sequence[Any]) -> list[Any]:
        """A key path before repetition and the flattening of lists."""
        written: list[Any] = []
        for depth, part in enumerate(parts):
            origin = self._origin.get(tuple(parts[:depth]), ())
            written += origin[part] if isinstance(part, int) and part < len(origin) else (part,)
        return written

    def flatten(self, value: list[Any], where: tuple[Any, ...]) -> list[Any]:
        """The items of a list, and in their place those of the lists inside it."""
        flat = list(_flat(value))
        self._origin[where] = [place for place, _ in flat]
        return [item for _, item in flat]

    def _commented(self, parts: Sequence[Any]) -> bool:
        """Whether a comment stands in the place of a value, as in `caption: #1`."""
        written = [*map(str, self._written(parts))]
        return any(
            comment.empty and comment.text and [*map(str, comment.parts)] == written
            for _, comment in self._comments
        )

    def check_empty(self) -> None:
        """Note values that are nothing, or not the whole text, because # begins a comment or because nothing
        is written; but for null where it has a meaning, and for lines that are known to be wrong.
        """
        known = self.mistakes.places
        for file, comment in self._comments:
            parts = comment.parts
            place = located(file, comment.line)
            free = any(key in _NULL_MEANS for key in parts[:-1]) and not re.match(r"#[^\s#]", comment.text)
            if place in known or (comment.empty and free):
                continue
            said = "is empty; write the value after the colon, or leave the key out"
            if comment.empty and comment.text:
                said = "should be a value, not null; # begins a comment, so put the text in quotes, or write "
                said += "the value before it"
            elif not comment.empty:
                word = comment.text.split()[0]
                said = f"ends before {word}, since # begins a comment; put the text in quotes, or a space "
                said += "after the #"
            name = self._name_in_file(parts) if _is_inside(parts) else None
            shown = [parts[0], name, *parts[2:]] if name else parts
            self.mistakes.add(Mistake(place, key_path(shown), said, written=key_path(parts)))

    # ---- repetition ----

    def _repeat(self) -> None:
        """Write out the entries with `repeat`: one for each of its mappings, whose values take the place of
        their `{names}`.
        """
        for section in SECTIONS:
            entries = self.document.get(section)
            if not isinstance(entries, list):
                continue
            written: list[Any] = []
            origin: list[tuple[int, ...]] = []
            ids = [_id(entry) for entry in entries]
            self._names[section] = {at: name for at, name in enumerate(ids) if name and ids.count(name) == 1}
            for index, entry in enumerate(entries):
                made: list[Any] = []
                with self.mistakes.noting():
                    made = self._repeated(entry, (section, index))
                written += made
                origin += [(index,)] * len(made)
                if len(written) > MOST_REPEATS:
                    self.fail((section, index), f"more than {MOST_REPEATS:,} {section}; leave some out")
            self.document[section] = written
            self._origin[section,] = origin

    # ---- what is left out ----

    def drop(self, section: str, wrong: Collection[int]) -> None:
        """Leave items of a list out of the document; lines of the others are found as before."""
        items = self.document[section]
        kept = [index for index in range(len(items)) if index not in wrong]
        origin = self._origin.get((section,)) or [(index,) for index in range(len(items))]
        for index in wrong:
            item = items[index]
            names = [item.get(key) for key in ("id", "number", "claim")] if isinstance(item, dict) else []
            self.lost |= {(section, name) for name in names if isinstance(name, str)}
        self.document[section] = [items[index] for index in kept]
        places = {old: new for new, old in enumerate(kept)}
        for here, there in list(self._inherited.items()):
            if there[:1] == (section,) and there[1] in wrong:
                self._known_places[here] = self._written(there)
                del self._inherited[here]

        def now(path: tuple[Any, ...]) -> tuple[Any, ...]:
            inside = path[:1] == (section,) and len(path) > 1
            return (section, places[path[1]], *path[2:]) if inside else path

        def moved(known: dict[tuple[Any, ...], Any]) -> dict[tuple[Any, ...], Any]:
            gone = [path for path in known if path[:1] == (section,) and path[1:2] and path[1] in wrong]
            return {now(path): value for path, value in known.items() if path not in gone}

        self._origin, self._known_places = moved(self._origin), moved(self._known_places)
        self._inherited = {here: now(there) for here, there in moved(self._inherited).items()}
        self._origin[section,] = [origin[index] for index in kept]

    def leave_out(self, wrong: Iterable[Violation]) -> bool:
        """Leave out of the document what is wrong, or call it what is meant, so that the rest can be checked;
        False where there is no rest.
        """
        items: dict[str, set[int]] = {}
        for parts, what in wrong:
            meant = _MEANT.fullmatch(what)
            if len(parts) == 1 and meant and meant[1] not in self.document:
                self.document[meant[1]] = self.document.pop(parts[0])
                self.inherit((meant[1],), tuple(parts))
                self._file[meant[1]] = self._file[parts[0]]
                continue
            section, name = (*parts, None, None)[:2]
            value = self.document.get(section) if section is not None else None
            if section is None:
                continue
            if isinstance(value, list) and isinstance(name, int):
                items.setdefault(section, set()).add(name)
            elif section == "defaults":
                if not self._mend_defaults(parts):
                    return False
            elif (section, name) in self.lost and section != "models":
                continue
            elif section == "models" and isinstance(value, dict) and name in value:
                self.lose_model(name)
            elif isinstance(value, dict) and name in value and section != "scales":
                self.document[section] = {key: inner for key, inner in value.items() if key != name}
                self.lost.add((section, name))
            else:
                self.document.pop(section, None)
                self.mistakes.consequences += OF_NAMES.get(section, ())
        self.document.setdefault("title", "?")
        for section, indices in items.items():
            self.drop(section, indices)
        return bool(self.document.get("experiments")) and "defaults" in self.document

    def lose_model(self, name: Any) -> None:
        """Let some network stand in the place of one with a mistake, so that its runs can be checked."""
        self.document["models"] = {**self.document["models"], name: NETWORK}
        self.lost.add(("models", name))

    @property
    def doubtful(self) -> set[str]:
        """Keys of the settings that may be others than the file means: what is wrong there is a
        consequence.
        """
        return self.lost_settings | ({"model"} if any(of == "models" for of, _ in self.lost) else set())

    def _mend_defaults(self, parts: Sequence[Any]) -> bool:
        """Put what fits in the place of a wrong default; False where the defaults are none at all."""
        defaults = self.document["defaults"]
        if not isinstance(defaults, dict):
            return False
        models = self.document.get("models")
        fitting = {**FITTING, "model": next(iter(models), NETWORK) if isinstance(models, dict) else NETWORK}
        given = defaults.get("dataset")
        named = given.get("name") if isinstance(given, dict) else None
        if isinstance(named, str) and named in DATASETS:
            fitting["dataset"] = {"name": named, "labels": DATASETS[named].label_kinds[0]}
        if len(parts) == 1:
            self.lost_settings |= fitting.keys() - defaults.keys()
            self.document["defaults"] = {**fitting, **defaults}
            return True
        key = parts[1]
        value, instead = defaults.get(key), fitting.get(key)
        self.lost_settings.add("data" if key == "dataset" and named in DATASETS else key)
        mended = instead
        if isinstance(value, dict) and isinstance(instead, dict):
            kept = {name: inner for name, inner in value.items() if name not in parts[2:3]}
            mended = {**instead, **kept}
            if mended == value or (parts[2:3] == ["name"] and key != "dataset"):
                mended = instead
        others = {name: inner for name, inner in defaults.items() if name != key}
        others = {**{name: inner for name, inner in fitting.items() if name not in others}, **others}
        self.document["defaults"] = others if mended is None else {**others, key: mended}
        return True

    def _repeated(self, entry: Any, where: tuple[Any, ...]) -> list[Any]:
        if not isinstance(entry, dict) or "repeat" not in entry:
            return [entry]
        rows = entry["repeat"]
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self.fail(
                (*where, "repeat"), "is no list of mappings from a name to its value; write one for each item"
            )
        template = {key: value for key, value in entry.items() if key != "repeat"}
        if count_values(template) * len(rows) > MOST_VALUES:
            self.fail((*where, "repeat"), f"makes more than {MOST_VALUES:,} values; shorten it")
        return [self._filled(template, row, (*where, "repeat", index)) for index, row in enumerate(rows)]

    def _filled(self, value: Any, row: Mapping[Any, Any], where: tuple[Any, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(inner, row, where) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner, row, where) for inner in value]
        if not isinstance(value, str):
            return value

        def one(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in row:
                self.fail(where, f"{{{name}}} has no value here{nearest(name, row)}")
            text = str(row[name])
            self._written_out += len(text)
            if self._written_out > MOST_BYTES:
                self.fail(where, f"the texts made have more than {MOST_BYTES:,} characters; shorten them")
            return text

        whole = re.fullmatch(r"\{(\w+)\}", value)
        if whole and whole.group(1) in row:
            return row[whole.group(1)]
        return re.sub(r"\{(\w+)\}", one, value)

    def drop_others(self, section: str, items: Sequence[Any], kept: Mapping[int, Any]) -> None:
        """Leave out the items of a list that are not among those `kept`."""
        if len(kept) < len(items):
            self.drop(section, set(range(len(items))) - kept.keys())

    # ---- checks ----

    def validate(self, value: Any, kind: Any, wrong: list[Violation], where: Sequence[Any] = ()) -> Any:
        """`value` as a `kind` (a model, or a type); where it does not fit, nothing: violations are noted, and
        added to `wrong`.

        where: key path of the value in the file.
        """
        try:
            return _adapter(kind).validate_python(value)
        except ValidationError as error:
            for parts, what in violations(error, value):
                place = [*where, *parts]
                if _NOT_GIVEN in what and self._commented(place):
                    what = f"{what.partition(';')[0]}; # begins a comment, so put the text in quotes"
                self.mistakes.add((self.mistake_inside if _ROW.match(what) else self.mistake)(place, what))
                wrong.append((parts, what))
        except RepriseError as error:  # of a package that a name in the file stands for
            raise RepriseError(f"{self.place(where) if where else self.path}: {error}") from None
        return None


FITTING: dict[str, Any] = {
    "dataset": {"name": "cifar10", "labels": "label"},
    "split": {"validation": 0.2},
    "optimizer": {"name": "adam", "lr": 0.001},
    "training": {"epochs": 100, "batch_size": 32, "select": "last"},
    "seeds": [0, 1, 2],
}
"""Defaults that stand in the place of wrong ones, so that the rest can be checked."""
OF_NAMES = {
    "cells": ("no experiment ",),
    "measures": ("no metric or measure ",),
    "models": ("no model ", "no experiment trains a model "),
}
"""Section that names things → what errors about such a name say."""
NETWORK = {"name": "sequential", "layers": [{"flatten": True}, {"dense": "classes"}]}
"""A network that fits all images."""


_NULL_MEANS = {"set", "readings", "values"}
"""Keys in whose values null takes a setting away."""
_KEYS = re.compile(r"([a-z_]\w*(?:\.\w+|\[\d+\])*)( \w+)?: ")
LAYER = re.compile(r"model \w+: (?:(head): )?layers\[(\d+)\] \((\w+)\): ")
OPTION = re.compile(r"model \w+: (\w+): ")
_MEANT = re.compile(r"unknown key; did you mean (\w+)\?")
_ROW = re.compile(r"row '([^']+)': ")
_WRONG = re.compile(r"(?:'([^']+)'|([^\s']+))(?:; did you mean |; valid: )")
_EXPRESSION = re.compile(r"'([^']+)': column \d+: ")
_QUOTED = re.compile(r"'([^']+)'")
_NOT_GIVEN = ", not null; "
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_NOTHING = object()


def keys_of_error(said: str) -> list[Any]:
    """The key path that an error begins with."""
    layer = LAYER.match(said)
    if layer:
        return ["model", layer[1] or "layers", int(layer[2])]
    option = OPTION.match(said)
    if option:
        return ["model", option[1]]
    begins = _KEYS.match(said)
    keys = re.findall(r"\w+", begins.group(1)) if begins else []
    return [int(key) if key.isdigit() else key for key in keys]


def _is_inside(parts: Sequence[Any]) -> bool:
    """Whether a key path leads to a figure, table or statement, or into one."""
    return len(parts) > 1 and parts[0] in SECTIONS and isinstance(parts[1], int)


def _holds(value: Any, key: Any) -> bool:
    """Whether a mapping or list has that key."""
    if isinstance(value, list):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, dict) and key in value


def _id(item: Any) -> str | None:
    """The id of a figure, table or statement; none where it does not have the form of one."""
    names = [item.get(key) for key in ("id", "number", "claim")] if isinstance(item, dict) else []
    return next((name for name in names if isinstance(name, str) and _NAME.fullmatch(name)), None)


def _path_to(word: str, value: Any) -> list[Any] | None:
    """Where in a value a text or a key stands."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found = [] if isinstance(value, dict) and key == word else _path_to(word, inner)
            if found is not None:
                return [key, *found]
    return [] if value == word or (type(value) in (int, float) and f"{value:g}" == word) else None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _flat(items: Iterable[Any], place: tuple[int, ...] = ()) -> Iterable[tuple[tuple[int, ...], Any]]:
    """Place and item of each that is no list, however deep."""
    for index, item in enumerate(items):
        if isinstance(item, list):
            yield from _flat(item, (*place, index))
        else:
            yield (*place, index), item
