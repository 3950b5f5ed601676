"""Read YAML strictly: bounded, without silent duplicates; and find the line of a key path for an error."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError, gist
from reprise.files import read_bytes
from reprise.folders import listing, tree
from reprise.reports.mistakes import Mistakes
from reprise.reports.yaml_mistakes import yaml_mistake

if TYPE_CHECKING:
    import yaml


MOST_BYTES = 1 << 22
"""Of a YAML file."""
MOST_VALUES, MOST_ITEMS, DEEPEST = 50_000, 1000, 50
"""In a YAML file: values, those that an alias repeats counted each time; items of one list; lists and
mappings inside each other.
"""
LONGEST_NUMBER = 100
"""Characters of a number."""


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a folder, in order; none where it cannot be read."""
    try:
        return [path for path in listing(folder) if path.suffix == ".yaml"]
    except OSError:
        return []


def is_misnamed(path: Path) -> bool:
    """Whether a file is YAML by a suffix that report files do not have, such as .yml or .YAML."""
    return path.suffix != ".yaml" and path.suffix.lower() in (".yaml", ".yml")


def other_files(folder: Path) -> list[Path]:
    """Files of a folder that look as if they were to be read, and are not."""
    try:
        return [path for path in listing(folder) if is_misnamed(path) and not path.is_dir()]
    except OSError:
        return []


def files_below(folder: Path) -> list[Path]:
    """YAML files in the folders of a folder, which are not read."""
    try:
        inner = [path for path in listing(folder) if path.is_dir() and not path.is_symlink()]
        return [file for each in inner for file in tree(each) if file.suffix.lower() in (".yaml", ".yml")]
    except OSError:
        return []


def located(path: Path | str, line: int) -> str:
    """File and line, where editors jump to; the file alone where the line is not known."""
    return f"{path}:{line}" if line else str(path)


def _decoded(path: Path | str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark."""
    return read_bytes(path, MOST_BYTES).decode("utf-8-sig")


SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "int": (r"[-+]?(?:0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "merge": (r"<<", "<"),
}
"""What a value without quotes can be beside a text, and its first letters: as YAML 1.2 has it, so that `no`,
`on`, `12:30` and dates are texts, and 1e-3 and -.5 are numbers.
"""


@cache
def _loader() -> type[yaml.SafeLoader]:
    """YAML with the values of `SCALARS`, 64-bit integers, and without silently dropped duplicate keys.

    What can be read and is surely not meant is noted in `noted`, line and words.
    """
    import yaml  # which --help need not wait for

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.noted: list[tuple[int, str]] = []

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (
                ValueError,
                LookupError,
                TypeError,
            ) as error:  # what a tag makes of a value that is not like it
                raise yaml.constructor.ConstructorError(
                    None, None, f"not a value ({gist(error)})", node.start_mark
                ) from None

    tags = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "str", "seq")}
    Loader.yaml_constructors = {
        tag: made for tag, made in Loader.yaml_constructors.items() if tag is None or tag in tags
    }
    Loader.yaml_implicit_resolvers = {}
    for name, (pattern, first) in SCALARS.items():
        letters = ["" if letter == "\0" else letter for letter in first]
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})\\Z"), letters)
    Loader.add_constructor("tag:yaml.org,2002:float", _number)
    Loader.add_constructor("tag:yaml.org,2002:int", _integer)
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    return Loader


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Hashable, Any]:
    import yaml

    seen: dict[Any, int] = {}
    twice: list[tuple[int, str]] = []
    _join_parentheses(node)
    _join_decimals(loader, node)
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a list or mapping in the place of a key", key_node.start_mark
            )
        if key in seen:
            twice.append((line, f"key {key!r} stands twice, on line {seen[key]} too; keep one of them"))
        seen[key] = line
    if len(twice) > 1:  # mostly an item without its dash
        twice = [(twice[0][0], f"{twice[0][1]}, or write - before it if another item begins here")]
    loader.noted += twice
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _join_parentheses(node: yaml.MappingNode) -> None:
    """Make numbers in parentheses in braces, `{betas: (0.9, 0.999)}`, one text again, of which the comma has
    made a text and a key: what stands in its place is said of all of it.
    """
    if not node.flow_style:
        return
    pairs: list[tuple[Any, Any]] = []
    for key, value in node.value:
        before = pairs[-1][1].value if pairs else None
        begun = isinstance(before, str) and re.fullmatch(r"\([-+\d.eE, ]+", before)
        if begun and value.value == "" and re.fullmatch(r"[-+\d.eE]+\)?", str(key.value)):
            pairs[-1][1].value = f"{before}, {key.value}"
            continue
        pairs.append((key, value))
    node.value = pairs


def _join_decimals(loader: Any, node: yaml.MappingNode) -> None:
    """Note decimal commas, which end a value in braces: `{lr: 0,001}` is `lr: 0` and a key `001`."""
    pairs: list[tuple[Any, Any]] = []
    for key, value in node.value:
        before = pairs[-1][1] if node.flow_style and pairs else None
        rest = re.fullmatch(r"\d+(e-?\d+)?", str(key.value)) and value.value == ""
        if before is not None and rest and re.fullmatch(r"-?\d+", str(before.value)):
            point, tag = f"{before.value}.{key.value}", "float"
            what = f"a comma ends a value in braces; write {point} with a point"
            if re.fullmatch(r"[1-9]\d{0,2},\d{3}", f"{before.value},{key.value}"):
                point, tag = f"{before.value}{key.value}", "int"
                what += f", or {point} if the comma parts thousands"
            loader.noted.append((key.start_mark.line + 1, what))
            before.value, before.tag = point, f"tag:yaml.org,2002:{tag}"
            continue
        pairs.append((key, value))
    node.value = pairs


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    import yaml

    short = len(node.value) <= LONGEST_NUMBER
    value = float(yaml.SafeLoader.construct_yaml_float(loader, node)) if short else math.inf
    if not math.isfinite(value):
        loader.noted.append((node.start_mark.line + 1, _no_number(node)))
        return 1  # which fits where a whole number or any is due
    return value


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    line, digits = node.start_mark.line + 1, node.value.replace("_", "").lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
        what = f"{node.value} begins with 0, which some read as octal; write {int(digits[:20])}, or put it in"
        loader.noted.append((line, f"{what} quotes"))
    value = int(digits, 16 if digits.startswith("0x") else 10) if len(digits) <= LONGEST_NUMBER else 2**64
    value = -value if node.value.startswith("-") else value
    if not -(2**63) <= value < 2**63:
        loader.noted.append((line, _no_number(node)))
        return 1
    return value


def _no_number(node: yaml.ScalarNode) -> str:
    shown = node.value if len(node.value) <= LONGEST_NUMBER else f"{node.value[:20]}…"
    what = "no finite number" if re.search("inf|nan", shown, re.IGNORECASE) else "too large or too long"
    return f"{shown} is {what}; write a number such as 1"


def read_yaml(path: Path | str, *, known: bool = False, mistakes: Mistakes | None = None) -> Any:
    """The YAML document at `path`; unreadable, malformed and boundless files are a `RepriseError` with the
    line.

    known: the file has been read before, or is our own, so that its bounds need not be looked for.
    mistakes: where to note what is wrong with a document that can be read all the same (a key that stands
    twice); without it, that is an error, too.
    """
    import yaml

    text = ""
    try:
        text = _decoded(path)
        if not known:
            _check_bounds(text)
        loader: Any = _loader()(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except OSError as error:
        raise RepriseError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        raise RepriseError(f"{located(path, line)}: not UTF-8 text; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        line, what = yaml_mistake(error, text)
        raise RepriseError(f"{located(path, line)}: {what}") from None
    found = Mistakes() if mistakes is None else mistakes
    for line, what in loader.noted:
        found.add(f"{located(path, line)}: {what}")
    if mistakes is None:
        found.raise_all()
    return document


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""Commands to a terminal, what turns the direction of a text, and what no XML can hold."""


def _check_bounds(text: str) -> None:
    """Raise a `YAMLError` for what would take the loader, or whoever goes through the document, too deep or
    too long.
    """
    import yaml

    sizes: dict[str | None, int] = {}
    open_: list[list[Any]] = [["", 0, 0, MOST_VALUES]]  # anchor, values so far, items so far and at most
    for event in yaml.parse(text, Loader=_loader()):
        size = 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(
                [
                    event.anchor,
                    1,
                    0,
                    MOST_ITEMS if isinstance(event, yaml.SequenceStartEvent) else MOST_VALUES,
                ]
            )
            if len(open_) > DEEPEST:
                raise _unbounded(
                    event, f"more than {DEEPEST} lists and mappings inside each other; flatten it"
                )
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size, *_ = open_.pop()
            sizes[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
            if _CONTROL.search(event.value):
                raise _unbounded(event, "a control character in a text; leave it out")
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, *_ in open_):
                raise _unbounded(event, f"*{event.anchor} contains itself; write it out")
            size = sizes.get(event.anchor, 1)
        else:
            continue
        open_[-1][1] += size
        open_[-1][2] += 1
        if open_[-1][1] > MOST_VALUES:
            raise _unbounded(event, f"more than {MOST_VALUES:,} values, with what aliases repeat; shorten it")
        if open_[-1][2] > open_[-1][3]:
            raise _unbounded(event, f"more than {MOST_ITEMS:,} items in a list; shorten it")


def check_size(value: Any, source: str) -> None:
    """Raise a `RepriseError` for a value that another reader has made, with more in it than `read_yaml` would
    let through.
    """
    if count_values(value) > MOST_VALUES:
        raise RepriseError(
            f"{source}: more than {MOST_VALUES:,} values, with what aliases repeat; shorten it"
        )


def count_values(value: Any) -> int:
    """Values in `value`, itself included; of more than `MOST_VALUES` no more are counted."""
    waiting, count = [value], 0
    while waiting and count <= MOST_VALUES:
        count += 1
        inner = waiting.pop()
        waiting += (
            list(inner.values())
            if isinstance(inner, Mapping)
            else inner
            if isinstance(inner, list | tuple)
            else ()
        )
    return count


def _unbounded(event: yaml.Event, problem: str) -> yaml.YAMLError:
    import yaml

    mark: Any = event.start_mark  # the stubs forget that libyaml's marks are good for errors, too
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


@cache
def _tree(path: Path, _: int) -> yaml.Node | None:
    """The document's nodes with their marks; nothing where the file cannot be read any more."""
    import yaml

    try:
        return yaml.compose(_decoded(path), Loader=_loader())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None


@cache
def _children(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Key → its node and that of its value; of a key that stands twice, the last."""
    return {key.value: (key, value) for key, value in node.value if isinstance(key.value, str)}


@dataclass(frozen=True)
class Comment:
    """What stands behind a value on its line and begins with #, of a value to which it may belong."""

    parts: tuple[Any, ...]
    """Key path of the value in the file."""
    line: int
    text: str
    """The comment; empty where nothing follows."""
    empty: bool
    """Whether the value is nothing without it."""


_LOST_REST = re.compile(r"[^\s:,\[{-][ \t]+#\d")
"""What tells that a file may have a text that goes on behind a `#`, as in `Table #3`."""


def comments_of(path: Path, document: Any) -> list[Comment]:
    """Of each value that is empty, and of each text without quotes that may go on (`Table #3`), the comment
    behind it.
    """
    import yaml

    root = None
    with contextlib.suppress(OSError, UnicodeDecodeError):  # it may have changed since it was read
        text = _decoded(path)
        if _has_null(document) or _LOST_REST.search(text):
            root = _tree(path, path.stat().st_mtime_ns)
    if root is None:
        return []
    lines = [*text.splitlines(), ""]
    found: list[Comment] = []
    seen: set[int] = set()

    def visit(node: yaml.Node, parts: tuple[Any, ...], mark: Any) -> None:
        if id(node) in seen:  # an alias
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    visit(value, (*parts, key.value), key.end_mark)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                visit(item, (*parts, index), item.start_mark)
        elif isinstance(node, yaml.ScalarNode) and not node.style:
            if node.value == "":
                behind = re.match(r"\s*:?\s*(#.*)?", lines[mark.line][mark.column :])
                comment = (behind[1] if behind else "") or ""
                found.append(Comment(parts, mark.line + 1, comment, True))
            elif node.tag == "tag:yaml.org,2002:str":
                rest = re.match(r"\s+(#\d.*)", lines[node.end_mark.line][node.end_mark.column :])
                if rest:
                    found.append(Comment(parts, node.start_mark.line + 1, rest[1], False))

    visit(root, (), root.start_mark)
    return found


def _has_null(value: Any) -> bool:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if inner is None:
            return True
        waiting += inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
    return False


def line_of(path: Path, parts: Sequence[Any]) -> int:
    """The line, from 1, on which the value at the key path `parts` begins, or the deepest part of it there
    is.

    0 where the file cannot be read any more.
    """
    import yaml

    node = _tree(path, path.stat().st_mtime_ns if path.exists() else 0)
    if node is None:
        return 0
    line = 1
    for part in parts:
        if isinstance(node, yaml.MappingNode):
            found = _children(node).get(str(part))
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
