"""The pages of docs/reference, and config/README.md, made from the code: `make reference`.

What a key, a flag or a setting means stands once, beside what reads it: the docstring below a key of the
models in `reprise.reports`, the help of an option, the comment in config.yaml or in the Makefile. A test
compares the pages with what is made now, so they cannot lag.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter

from reprise.cli.app import GROUPS, VERBS, application
from reprise.data.catalog import OWN_DATASETS, WEIGHTS
from reprise.errors import RepriseError
from reprise.publishing.measures import OWN_METRICS, PATHS
from reprise.publishing.style import COLORS
from reprise.reports.editor import BASE, REPEAT
from reprise.reports.report_file import ReportFile
from reprise.reports.settings import InitialWeights
from reprise.schema import _FORMS as FORMS
from reprise.workflow.config import Config

ROOT = Path(__file__).parents[1]
WIDTH = 110
MADE = "<!-- Made by `make reference` from the code: edit the code, not this page. -->"

GALLERY = ("figures", "tables")
"""Keys of a report file whose kinds the gallery shows, each with its options and a picture."""


# ---- what is said by hand ----

ABOUT_KEYS = """
Every key that a report file may have, what it takes and what it means. How they work together is on [the page
of report files](../report-files.md). An editor that knows YAML schemas shows the same text while you type.
"""
ABOUT_VERBS = """
Every rule of the workflow runs one `python -m reprise <verb>`. You can run each verb without Snakemake, too.
With `--help`, a verb prints what you read here. Put arguments first: an option that takes several values
takes every word after it, up to the next option.
"""
ABOUT_STATUS = """
Exit status: 0, done; 1, a mistake, or something is missing, as one line on standard error says; 2, the
command line cannot be understood; 128 and the signal's number, stopped (run the same command again to go on).
"""
ABOUT_MAKE = """
The Makefile first sets up `.venv` if it is missing. You can set three variables after the target, as in `make
test CORES=8`: `CORES` is the number of processes (default: 2), `VENV` the folder of the environment, and
`PYTHON` the interpreter that makes it.
"""
ABOUT_CONFIGURATION = """
These are the keys of `config.yaml`. You can also write them after `--config` of Snakemake. If you leave a key
out, it has its default.
"""
ABOUT_CONFIG_FOLDER = """
Nothing has to be configured: `snakemake` makes all reports as they are, from data sets that it downloads.
`config.yaml` in this folder is that of the folder above (a symbolic link), so change it there. `snakedeploy
deploy-workflow` copies this folder, and the copy is yours to change. For a first look take `--config
scale=demo`: everything on synthetic data, in minutes, without a download. Each key of `config.yaml` can also
be set on the command line: put `--config`, `key=value` and further ones after the targets. A key that is left
out has its default.
"""
ABOUT_DATA = """
Data sets and pretrained weights come from their official addresses and are verified. If you have the archives
already, name their folder as `mirror`. Report files lie in `workflow/reports` of the repository: to add one
of your own, work in a clone of it, as docs/first-report.md shows.
"""
ABOUT_NETWORKS = """
With `weights: imagenet`, `arch` is {}; with `weights: random` it is any name in `torchvision.models`.
"""
ABOUT_METRICS = """
[The page of statements](../statements.md#metrics) explains each, and says what deviation is assumed where
nothing was trained twice. `at` is {} or, in a statement, an epoch from 1.
"""
OTHER_VARIABLES = {
    "REPRISE_CHECKED": "Set by the workflow for its jobs: reports that need not be checked again.",
    "REPRISE_REAL_DATA": "Tests: a folder with the official archives, for tests on real images.",
    "REPRISE_REAL_SUBSET": "Tests: a folder with small archives of real images.",
    "REPRISE_SLURM": "Tests: start a SLURM cluster on this machine (`make slurm` sets it).",
    "REPRISE_FLIPS": "Tests: how many bits of each file are flipped, one at a time (default: 12).",
    "REPRISE_UPDATE_GOLDEN": "Tests: write the golden losses anew.",
}
"""Variables of the environment that are no option's."""

# ---- Markdown ----


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph, or an item of a list whose lines begin with `first` and `rest`."""
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def item(text: str) -> str:
    return wrapped(text, "- ", "  ")


def sentence(text: str) -> str:
    """With a full stop, and a capital unless it begins with a value, as in `true: …`; fit for Markdown."""
    text = " ".join(text.split())
    parts = re.split("(`[^`]*`)", text)
    text = "".join(part if place % 2 else part.replace("<", r"\<") for place, part in enumerate(parts))
    begins = re.match(r"absent\b|[a-z]+\b(?![:_])", text)
    ends = text.endswith((".", "…", ".)"))
    return (text[0].upper() + text[1:] if begins else text) + ("" if ends else ".")


def anchor(heading: str) -> str:
    """How GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def listed(words: Sequence[str], last: str = "or") -> str:
    *first, final = words or [""]
    between = "; " if any(f" {last} " in word for word in first) else ", "
    before = between.strip() if f" {last} " in "".join(words) else ""
    return f"{between.join(first)}{before} {last} {final}" if first else final


def code(value: Any) -> str:
    """A value as YAML writes it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(code(each).strip('`') for each in value)}]`"
    if isinstance(value, float):
        value = f"{value:.4g}".replace("e-0", "e-")
    return f"`{value}`"


# ---- keys of report files ----


class Keys:
    """The keys of a mapping and of what it holds, from the JSON Schema of its model."""

    def __init__(self) -> None:
        self.schema = TypeAdapter(ReportFile).json_schema(by_alias=True)
        self.definitions: dict[str, Any] = self.schema["$defs"]
        weights = InitialWeights.__name__
        self.definitions[weights] = TypeAdapter(InitialWeights).json_schema(by_alias=True)
        self.chapters: dict[str, list[str]] = {}
        """Key of a report file → the definitions first met below it, which have keys of their own."""
        self.headings: dict[str, str] = {}
        """Definition → the heading under which its keys are listed."""
        top = self.schema["properties"]
        for key in sorted(top, key=lambda key: key in GALLERY):
            self.chapters[key] = []
            self._visit(top[key], "" if key == "defaults" else key, key)
            if key == "defaults":  # the one setting that these do not have
                self._visit({"$ref": weights}, "initial_weights", key)

    def _visit(self, schema: Any, path: str, chapter: str) -> None:
        for name in references(schema):
            definition = self.definitions[name]
            if name in self.headings:
                continue
            if "properties" not in definition:
                self._visit(definition, path, chapter)
                continue
            self.headings[name] = HEADINGS.get(name) or self._heading(name, path)
            self.chapters[chapter].append(name)
            for key, value in definition["properties"].items():
                self._visit(value, f"{path}.{key}".strip("."), chapter)

    def _heading(self, name: str, path: str) -> str:
        title = self.definitions[name].get("title", name)
        if title == name or title == path.rpartition(".")[2]:
            return f"`{path}`"
        if " " not in title:
            return f"`{path}` {title}"
        words = re.sub(r"^(an?|the) ", "", title)
        return _capital(re.sub(r" of kind | without a kind$", " ", words).strip())

    def page_of(self, name: str) -> str:
        return "gallery" if any(name in self.chapters[key] for key in GALLERY) else "keys"

    # ---- one key ----

    def entries(self, name: str, page: str, without: Iterable[str] = ()) -> list[str]:
        """A list item for each key of a definition: what it takes, its default, what it means."""
        definition = self.definitions[name]
        required = definition.get("required", [])
        keys = sorted(definition["properties"].items(), key=lambda entry: entry[0] not in required)
        return [
            item(self.entry(key, value, key in required, page)) for key, value in keys if key not in without
        ]

    def entry(self, key: str, schema: Mapping[str, Any], required: bool, page: str) -> str:
        takes, default = self.takes(schema, page), schema.get("default")
        if required:
            takes += "; required"
        elif default not in (None, [], {}) and not isinstance(default, dict):
            takes += f"; default {code(default)}"
        if "description" not in schema:
            raise RepriseError(f"key {key} has no description; write one below it, in src/reprise")
        said = sentence(schema["description"])
        for words, heading in LINKS.items():
            said = said.replace(words, link(words, "keys", heading, page))
        return f"`{key}` ({takes}). {said}"

    def takes(self, schema: Mapping[str, Any], page: str) -> str:
        return listed(list(dict.fromkeys(self.alternatives(schema, page))))

    def alternatives(self, schema: Mapping[str, Any], page: str) -> list[str]:
        """What a key may have, in words."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in self.headings:
                return self.alternatives(self.definitions[name], page)
            heading = self.headings[name]
            return [link(_short(heading), self.page_of(name), heading, page)]
        for several in ("anyOf", "oneOf"):
            if several in schema:
                parts = [each for one in schema[several] for each in self.alternatives(one, page)]
                needless = {"null", *(["whole number"] if "number" in parts else [])}
                return [part for part in parts if part not in needless]
        if "examples" in schema:
            return [code(each) for each in schema["examples"]]
        if "const" in schema:
            return [code(schema["const"])]
        if "enum" in schema:
            return [code(each) for each in schema["enum"]]
        match schema.get("type"):
            case "null":
                return ["null"]
            case "string":
                return [form(schema.get("pattern", ""), "text")]
            case "integer" | "number":
                return [number(schema)]
            case "boolean":
                return ["true", "false"]
            case "array":
                return [self.several(schema, page)]
            case "object":
                return [self.mapping(schema, page)]
        return ["any value"]

    def several(self, schema: Mapping[str, Any], page: str) -> str:
        if "prefixItems" in schema:
            count, each = f"{len(schema['prefixItems'])} ", self.takes(schema["prefixItems"][0], page)
        else:
            least, most = schema.get("minItems", 0), schema.get("maxItems")
            count = f"{least} " if least == most else f"{least} or more " if least > 1 else ""
            each = self.takes(schema["items"], page)
        plural = re.sub(r"(?<![\[#\w-])((?:whole )?number|text|name|mapping)(?![a-z\]])", r"\1s", each)
        return f"list of {count}{plural}"

    def mapping(self, schema: Mapping[str, Any], page: str) -> str:
        inner = schema.get("additionalProperties")
        for pattern, value in schema.get("patternProperties", {}).items():
            return f"mapping from {form(pattern, 'name')} to {self.takes(value, page)}"
        if isinstance(inner, Mapping) and inner:
            return f"mapping from name to {self.takes(inner, page)}"
        return "mapping"

    # ---- the page ----

    def page(self) -> str:
        """The page of all keys but those of figures and tables, which the gallery has."""
        top, required = self.schema["properties"], self.schema["required"]
        parts = [
            "# Keys of a report file",
            MADE,
            wrapped(ABOUT_KEYS),
            "## At the head of the file",
            "\n".join(item(self.entry(key, value, key in required, "keys")) for key, value in top.items()),
        ]
        for key, members in self.chapters.items():
            if key in GALLERY or not members:
                continue
            headings = [self.headings[name] for name in members]
            if f"`{key}`" not in headings:
                parts += [f"## `{key}`", wrapped(sentence(top[key]["description"]))]
            if key in SHORTER:
                parts.append("\n".join(shorter(key)))
            for name, heading in zip(members, headings, strict=True):
                said = self.definitions[name].get("description")
                parts += [f"{'##' if heading == f'`{key}`' else '###'} {heading}"]
                parts += [wrapped(sentence(said))] if said else []
                parts.append("\n".join(self.entries(name, "keys")))
        return "\n\n".join([*parts, "## Names", *names()]) + "\n"


SHORTER = {
    "models": {"base": BASE},
    "statements": {"repeat": REPEAT},
    "figures": {"base": BASE, "repeat": REPEAT},
    "tables": {"base": BASE, "repeat": REPEAT},
}
"""Key of a report file → keys by which its entries are written in a shorter way."""


def shorter(key: str) -> Iterator[str]:
    """Those keys of every entry, as list items."""
    for name, schema in SHORTER[key].items():
        takes = "name" if schema["type"] == "string" else "list of mappings"
        yield item(f"`{name}` ({takes}). {sentence(schema['description'])}")


HEADINGS = {
    "Defaults": "`defaults`",
    "Scale": "A smaller scale",
    "ActivationLayer": "Layer activation",
    "Series": "Series of curves",
    "SplitLabels": "Labels of splits",
    "Colors": "Colours of a series",
    "Reference": "Reference lines",
    "Images": "Images of samples",
    "Transform": "Transforms of images",
    "Compared": "Models compared",
    "SettingsRow": "Rows of a table of settings",
    "ComparisonRow": "Rows of a comparison",
    "SpaceRow": "Rows of a table of a space",
    "MetricsRow": "Rows of a table of metrics",
    "Axis": "An axis",
    "SearchAxis": "An axis of a search",
}
"""Definitions whose heading is neither their title nor the key at which they are met first."""
LINKS = {
    "one of the metrics": "Metrics",
    "a colour by name": "Colours",
    "A colour": "Colours",
    "The data set": "Data sets",
    "name in torchvision.models": "Pretrained networks",
}
"""Words in descriptions → the heading among the names that they mean."""


def references(schema: Any) -> Iterator[str]:
    """The definitions that a schema names."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def link(words: str, where: str, heading: str, page: str) -> str:
    """A link to a heading of the page `where`, on the page `page`: keys or gallery."""
    place = {"keys": "reference/keys.md", "gallery": "../gallery.md"}[where] if where != page else ""
    return f"[{words}]({place}#{anchor(heading)})"


def form(pattern: str, otherwise: str) -> str:
    """What a text looks like, in words."""
    words = FORMS.get(pattern, "")
    if words.startswith("keys with dots"):
        return "path of a setting"
    return "name" if words.startswith(("letters", "lower-case")) else words or otherwise


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(heading: str) -> str:
    """A heading as a link calls it."""
    if "`" in heading:
        return heading.rpartition("` ")[2].strip("`").rpartition(".")[2]
    kind = re.fullmatch(r"(?:Family|Layer|Figure|Table) (\w+)", heading)
    return kind[1] if kind else heading[0].lower() + heading[1:]


FAR = 1e12
"""A bound that is there for safety, and that nobody means."""


def number(schema: Mapping[str, Any]) -> str:
    """A number and its bounds, in words."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    near = {word: schema[key] for key, word in words.items() if abs(schema.get(key, FAR)) < FAR}
    bounds = [f"{word} {bound:,.12g}" for word, bound in near.items()]
    said = " and ".join(bounds)
    said = re.sub(r"from (\S+) and up to", r"from \1 to", said)
    return f"{'whole number' if schema['type'] == 'integer' else 'number'} {said}".strip()


def names() -> list[str]:
    """Lists of what may be written where a key takes a name that the project knows."""
    datasets = []
    for name, facts in OWN_DATASETS.items():
        kinds = listed(
            [f"`{kind}` ({len(classes)} classes)" for kind, classes in facts.classes.items()], "and"
        )
        sizes = listed([f"{split.images:,} {part}" for part, split in facts.splits.items()], "and")
        size = facts.image_shape[1]
        datasets.append(item(f"`{name}`: {sizes} images of {size} × {size} pixels; labels {kinds}."))
    metrics = []
    for name, metric in OWN_METRICS.items():
        options = [*filter(None, [metric.needs]), *metric.options]
        takes = f"; takes {listed([f'`{key}`' for key in options], 'and')}" if options else ""
        metrics.append(item(f"`{name}`: {metric.words}{takes}."))
    places = listed([code(place) for place in ("selected", "last", "best", *PATHS)])
    return [
        "### Data sets",
        "\n".join(datasets),
        "### Colours",
        wrapped(f"{listed([f'`{name}` ({value})' for name, value in COLORS.items()])}; or `#rrggbb`."),
        "### Pretrained networks",
        wrapped(ABOUT_NETWORKS.format(listed([code(name) for name in WEIGHTS]))),
        "### Metrics",
        wrapped(ABOUT_METRICS.format(places)),
        "\n".join(metrics),
    ]


# ---- the command line ----


class Option:
    """One argument or option of a verb."""

    def __init__(self, argument: Any) -> None:
        parameter = argument.parameter
        self.name: str = argument.names[0]
        self.help: str = parameter.help or ""
        self.variables: tuple[str, ...] = tuple(parameter.env_var or ())
        self.positional: bool = argument.index is not None
        self.required: bool = argument.required
        default = argument.field_info.default
        shown = parameter.show_default is not False and default not in (None, (), False)
        self.default = code(default) if shown and not self.required else ""
        choices = get_args(argument.hint) if get_origin(argument.hint) is Literal else ()
        values = "|".join(choices) or parameter.metavar or _metavar(argument.hint)
        self.usage = self.name if self.positional else " ".join(filter(None, [self.name, values]))

    @property
    def line(self) -> str:
        notes = [
            f"default {self.default}" if self.default else "",
            *(f"also from `{name}`" for name in self.variables),
        ]
        after = "; ".join(filter(None, notes))
        return item(f"`{self.usage}`: {sentence(self.help)}{f' ({_capital(after)}.)' if after else ''}")


def _metavar(hint: Any) -> str:
    return "" if hint is bool else "PATH" if Path in (hint, *get_args(hint)) else "TEXT"


def verbs() -> dict[str, tuple[str, list[Option]]]:
    """Verb → what it does, and what it takes."""
    app = application()
    found = {}
    for verb in VERBS:
        chosen = app
        for word in verb.split():
            chosen = chosen[word]
        arguments = chosen.assemble_argument_collection(parse_docstring=True)
        found[verb] = (chosen.help, [Option(each) for each in arguments if each.show])
    return found


def command_line() -> str:
    """The page of the command line."""
    every = verbs()
    takers: dict[str, list[str]] = {}
    lines: dict[str, Option] = {}
    for verb, (_, options) in every.items():
        for option in options:
            if not option.positional:
                takers.setdefault(option.line, []).append(verb)
                lines[option.line] = option
    shared = [line for line, by in takers.items() if len(by) > 1]
    parts = [
        "# The command line",
        MADE,
        wrapped(ABOUT_VERBS),
        wrapped(ABOUT_STATUS),
        "## Verbs",
    ]
    for verb, (words, options) in every.items():
        group = verb.partition(" ")[0]
        if group in GROUPS and f"### The verbs of {group}" not in parts:
            parts += [f"### The verbs of {group}", GROUPS[group]]
        parts += [f"{'####' if group in GROUPS else '###'} {verb}", wrapped(sentence(words))]
        own = [each.line for each in options if each.line not in shared]
        if own:
            parts.append("\n".join(own))
        if common := [f"`{each.name}`" for each in options if each.line in shared]:
            heading = "Options of several verbs"
            parts.append(wrapped(f"[{heading}](#{anchor(heading)}): {listed(common, 'and')}."))
    parts += ["## Options of several verbs", "\n".join(shared)]
    parts += ["## Variables of the environment", "\n".join(variables(every))]
    parts += [
        "## Targets of make",
        wrapped(ABOUT_MAKE),
        "\n".join(item(f"`{name}`: {sentence(words)}") for name, words in targets().items()),
    ]
    return "\n\n".join(parts) + "\n"


def variables(every: Mapping[str, tuple[str, list[Option]]]) -> list[str]:
    takers: dict[str, str] = {}
    for _, options in every.values():
        for option in options:
            takers |= dict.fromkeys(option.variables, option.name)
    own = [
        item(f"`{name}`: is used if you do not give `{option}`{_quoting(name)}.")
        for name, option in takers.items()
    ]
    return [*own, *(item(f"`{name}`: {words}") for name, words in OTHER_VARIABLES.items())]


def _quoting(name: str) -> str:
    return (
        "; put places with spaces in quotes, as in a shell"
        if name in ("REPRISE_CACHE", "REPRISE_MIRROR")
        else ""
    )


def targets() -> dict[str, str]:
    """Target of the Makefile → the comment above it."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    phony = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    found = {}
    for name in phony:
        place = next(place for place, line in enumerate(lines) if line.startswith(f"{name}:"))
        comment: list[str] = []
        for line in reversed(lines[:place]):
            if line.startswith("# "):
                comment.insert(0, line[2:])
            elif comment or not re.match(r"[A-Z_]+ *[:?]?=", line):
                break
        found[name] = " ".join(comment)
    return found


# ---- the configuration ----


def settings() -> dict[str, str]:
    """Key of config.yaml → the comment above it."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            comment.append(line[2:])
            continue
        if key := re.match(r"(\w+):", line):
            found[key[1]] = " ".join(comment)
        comment = []
    return found


def configuration() -> str:
    """The page of config.yaml."""
    parts = [
        "# Configuration of the workflow",
        MADE,
        wrapped(ABOUT_CONFIGURATION),
        "\n".join(setting_items()),
    ]
    return "\n\n".join(parts) + "\n"


def config_folder() -> str:
    """The README beside config.yaml, which the Snakemake Workflow Catalog shows."""
    parts = ["# Configuration", MADE, wrapped(ABOUT_CONFIG_FOLDER), "## Keys of config.yaml"]
    parts += ["\n".join(setting_items()), "## Data and reports", wrapped(ABOUT_DATA)]
    return "\n\n".join(parts) + "\n"


def setting_items() -> Iterator[str]:
    """A list item for each key of config.yaml."""
    words, given = settings(), yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for name, field in Config.model_fields.items():
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        default = plain_value(field.get_default())
        facts = [listed([code(each) for each in choices]), f"default {as_yaml(default)}"]
        if given[name] != default:
            facts.append(f"in the file {as_yaml(given[name])}")
        yield item(f"`{name}` ({'; '.join(filter(None, facts))}). {sentence(words[name])}")


def plain_value(value: Any) -> Any:
    """A default as YAML could hold it; a mapping without what it has by default."""
    return {} if isinstance(value, BaseModel) else value


def as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    return code(value) if value != "" else '`""`'


# ---- all pages ----


def pages() -> dict[str, str]:
    """Path in the repository → content."""
    return {
        "docs/reference/keys.md": Keys().page(),
        "docs/reference/command-line.md": command_line(),
        "docs/reference/configuration.md": configuration(),
        "config/README.md": config_folder(),
    }


def main() -> None:
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
