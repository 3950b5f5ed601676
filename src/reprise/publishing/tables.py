"""Tables: architectures layer by layer, the settings of a model, measured beside reported values, the trials of a search.

Each as CSV, Markdown and LaTeX.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from reprise.errors import RepriseError
from reprise.files import atomic
from reprise.publishing import MARKS
from reprise.publishing.measures import Measure, Tables, cell_values
from reprise.publishing.statements import Judge, NotRun, check_one_value
from reprise.publishing.verdicts import decimals, judge_number, number
from reprise.spec.check import nearest
from reprise.spec.report import Cell, text

Resolve = Callable[[str], Sequence[Cell]]

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
    }
)
"""What LaTeX reads as a command, and signs that not every font has."""
LONG = 40
"""Characters of a cell that does not fit on one line of a table."""


@dataclass(frozen=True)
class Sources:
    """What tables are made from: see `write_table`."""

    resolve: Resolve
    tables: Tables
    layers: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """`data`: for CSV, numbers as numbers. `shown`: title → cells as text, for readers. `notes`: sentences under the table."""

    data: pd.DataFrame
    shown: Mapping[str, pd.DataFrame]
    notes: Sequence[str] = field(default_factory=tuple)


def write_table(
    spec: Mapping[str, Any],
    *,
    slug: str,
    resolve: Resolve,
    scale: str,
    out_stem: Path,
    tables: Tables | None = None,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write `<out_stem>.csv`, `.md` and `.tex`: all three or none.

    Parameters
    ----------
    spec: a table of a report file (`reprise/spec/publications.schema.yaml`).
    slug: the report.
    resolve: selector → cells, e.g. `Report.cells`.
    scale: `full`, or `quick` or `demo`, which each file says.
    tables: tidy results of the runs.
    layers: name of a network → its layer table (`title` if it has one, `rows`, `parameters`).
    notes: sentences above the table, e.g. that weights are random instead of pretrained.

    Raises `RepriseError` naming report and table for an unknown kind, metric, setting or network, and for missing runs.
    """
    try:
        if spec["kind"] not in KINDS:
            raise RepriseError(f"no kind of table is called {spec['kind']!r}{nearest(spec['kind'], KINDS)}")
        if scale not in MARKS:
            raise RepriseError(f"scale {scale!r} is not known{nearest(scale, MARKS)}")
        table = KINDS[spec["kind"]](spec, Sources(resolve, tables or Tables.of(), layers or {}))
    except RepriseError as error:
        raise RepriseError(f"{slug}, table {spec['id']}: {error}") from None
    caption, label = " ".join(spec["caption"].split()), f"tab:{slug}:{spec['id']}"
    data = table.data.assign(scale=scale, **({"notes": "; ".join(notes)} if notes else {}))
    said = [part for part in (MARKS[scale], *notes) if part]
    contents = {
        "csv": data.to_csv(index=False, lineterminator="\n"),
        "md": _markdown(table, caption, said),
        "tex": _latex(table, caption, said, label),
    }
    folder, stem = out_stem.parent, out_stem.name
    with atomic(folder / f"{stem}.csv") as csv, atomic(folder / f"{stem}.md") as md, atomic(folder / f"{stem}.tex") as tex:
        for path, kind in ((csv, "csv"), (md, "md"), (tex, "tex")):
            path.write_text(contents[kind], encoding="utf-8")


# ---- kinds ----


def _layers(spec: Mapping[str, Any], sources: Sources) -> Table:
    """Each network of `networks`, layer by layer, with the sum of its parameters."""
    rows, shown = [], {}
    for name in spec["networks"]:
        if name not in sources.layers:
            raise RepriseError(f"no layer table of network {name!r}{nearest(name, sources.layers) or '; make it first'}")
        network = sources.layers[name]
        title = network.get("title") or name
        lines = []
        for position, row in enumerate(network["rows"], 1):
            shape = " × ".join(str(size) for size in row["output_shape"])
            activation = row["activation"] or ""
            rows.append((title, position, row["layer"], row["kind"], activation, shape, row["parameters"]))
            lines.append((str(position), row["layer"], activation, shape, f"{row['parameters']:,}"))
        lines.append(("", "total", "", "", f"{network['parameters']:,}"))
        shown[title] = pd.DataFrame(lines, columns=["", "Layer", "Activation", "Output shape", "Parameters"])
    columns = ["architecture", "position", "layer", "kind", "activation", "output_shape", "parameters"]
    return Table(pd.DataFrame(rows, columns=columns), shown, ["Output shapes are channels × height × width."])


def _settings(spec: Mapping[str, Any], sources: Sources) -> Table:
    """Settings of one cell's runs and metrics measured in them, beside what the report says."""
    cells = sources.resolve(spec["runs"])
    if len(cells) != 1:
        raise RepriseError(f"{spec['runs']} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    cell = cells[0]
    rows, lines = [], []
    for row in spec["rows"]:
        reported = str(row.get("reported", ""))
        if "setting" in row:
            value = "; ".join(dict.fromkeys(", ".join(setting(one, row["setting"])) for one in cell.specs.values()))
            rows.append((row["label"], value, None, None, reported))
        else:
            values = cell_values(Measure.of(row, spec["runs"]), sources.tables, cell)
            value = mean_and_sd(values)
            rows.append((row["label"], fmean(values), _sd(values), len(values), reported))
        lines.append((row["label"], value, reported))
    shown = pd.DataFrame(lines, columns=["Setting", "Value", "Report"])
    if not any(reported for *_, reported in lines):
        shown = shown.drop(columns="Report")
    data = pd.DataFrame(rows, columns=["setting", "value", "sd", "n", "reported"]).astype({"n": "Int64"})
    return Table(data, {"": shown}, _about_seeds(len(cell.runs)))


def _trials(spec: Mapping[str, Any], sources: Sources) -> Table:
    """A search's trials, the best first; the best and the report's winner are marked."""
    measure, epoch = Measure.of(spec, spec["runs"]), Measure("best_epoch", spec["runs"])
    cells = sources.resolve(spec["runs"])
    axes = list(dict.fromkeys(axis for cell in cells for axis in cell.settings))
    reported = spec.get("reported")
    for axis in reported or {}:
        if axis not in axes:
            raise RepriseError(f"reported: the search has no axis {axis}{nearest(axis, axes)}")
    rows = []
    for cell in cells:
        values, epochs = cell_values(measure, sources.tables, cell), cell_values(epoch, sources.tables, cell)
        same = reported is not None and all(text(cell.settings.get(axis)) == text(value) for axis, value in reported.items())
        rows.append({**cell.settings, "values": values, "mean": fmean(values), "epochs": epochs, "report": same})
    sign = 1 if "loss" in measure.metric else -1
    rows.sort(key=lambda row: (math.isnan(row["mean"]), sign * row["mean"]))
    best = rows[0]["mean"]
    where = [name for name in (spec.get("at"), spec.get("split")) if name]
    headings = [name.replace("_", " ") for name in ("rank", *axes, " ".join([*where, measure.metric]), "selected epoch", "winner of")]
    data, lines = [], []
    for row in rows:
        winner = row["mean"] == best
        rank = 1 + sum(sign * other["mean"] < sign * row["mean"] for other in rows)
        settings = {axis: row.get(axis) for axis in axes}
        values, epochs = row["values"], row["epochs"]
        numbers = {measure.metric: row["mean"], "sd": _sd(values), "n": len(values), "selected_epoch": fmean(epochs)}
        data.append({"rank": rank, **settings, **numbers, "winner": winner, "reported_winner": row["report"]})
        marks = " and ".join(name for name, holds in (("this study", winner), ("the report", row["report"])) if holds)
        lines.append([str(rank), *(_value(value) for value in settings.values()), mean_and_sd(values), mean_and_sd(epochs), marks])
    titles = [heading[:1].upper() + heading[1:] for heading in headings]
    return Table(pd.DataFrame(data), {"": pd.DataFrame(lines, columns=titles)}, _about_seeds(max(len(row["values"]) for row in rows)))


@dataclass(frozen=True)
class Row:
    """A row of a table of metrics: a measure and what the report says of it."""

    label: str
    measure: Measure
    reported: str
    about: float


def parse_rows(spec: Mapping[str, Any], resolve: Resolve) -> list[Row]:
    """The checked rows of a table of metrics; a mistake is a `RepriseError` that names the row."""
    rows = []
    for row in spec["rows"]:
        where = f"row {row['label']!r}"
        measure = Measure.parse(row["measure"], where)
        check_one_value(measure, resolve(measure.runs), where)
        rows.append(Row(row["label"], measure, row.get("reported", ""), float(row.get("about", 0.0))))
    return rows


def _metrics(spec: Mapping[str, Any], sources: Sources) -> Table:
    """Measures, one per row, beside what the report says, with the verdict on it. Seeds are pooled over the configurations of the table."""
    rows = parse_rows(spec, sources.resolve)
    judge = Judge([row.measure for row in rows], sources.resolve, sources.tables)
    data, lines, picks = [], [], False
    for row in rows:
        cells, run = sources.resolve(row.measure.runs), None
        try:
            estimate = judge.measured(row.measure)
            if row.measure.pick:
                cell, run = judge.picked(row.measure)
                cells, picks = [cell], True
        except NotRun as missing:
            raise RepriseError(f"row {row.label!r}: {missing}") from None
        verdict = judge_number(row.reported, estimate, row.about).verdict if row.reported else ""
        scatters = row.measure.noise.deviation > 0
        sd = estimate.scatter if scatters and math.isfinite(estimate.scatter) else None
        digits = decimals(row.reported) + 1 if row.reported else None if scatters else 0
        measured = number(estimate.value, digits) + ("" if sd is None else f" ± {number(sd, digits)}")
        names = " ".join(cell.name for cell in cells)
        data.append((row.label, names, run, estimate.value, sd, estimate.n, row.reported, verdict))
        reported = f"about {row.reported}" if row.about else row.reported
        lines.append((row.label, _configuration(row.measure, cells, run), reported, measured, verdict))
    columns = ["label", "configuration", "run", "value", "sd", "n", "reported", "verdict"]
    shown = pd.DataFrame(lines, columns=["", "Configuration", "Report", "Measured", "Verdict"])
    notes = ["± is the standard deviation over the seeds."] if any(sd is not None for *_, sd, _, _, _ in data) else []
    if picks:
        notes.append("A configuration with a seed is the run, of all that were trained for it, with the best validation accuracy.")
    return Table(pd.DataFrame(data, columns=columns), {"": shown}, notes)


def _configuration(measure: Measure, cells: Sequence[Cell], run: str | None) -> str:
    """The configuration that a row measures, and the seed where one run was picked, in words."""
    if len(cells) > 1:
        return f"{measure.cells} of {len(cells)} configurations"
    cell = cells[0]
    settings = [f"{axis.replace('_', ' ')} {_value(value)}" for axis, value in cell.settings.items()] or [cell.experiment.replace("_", " ")]
    reading = [cell.reading.replace("_", " ")] if cell.reading else []
    seed = [f"seed {cell.specs[run]['seeds']['init']}"] if run else []
    return ", ".join([*settings, *reading, *seed])


KINDS: dict[str, Callable[[Mapping[str, Any], Sources], Table]] = {
    "layers": _layers,
    "settings": _settings,
    "trials": _trials,
    "metrics": _metrics,
}


# ---- values ----


def setting(spec: Mapping[str, Any], path: str) -> list[str]:
    """Values at a path of a run's spec, as text: dots between keys, `*` for every element of a list that goes on as the path does.

    A path that leads nowhere is a `RepriseError` that names the nearest one.
    """
    nodes: list[Any] = [spec]
    for part in path.split("."):
        found = []
        for node in nodes:
            if isinstance(node, list):
                found += node if part == "*" else [node[int(part)]] if part.isdecimal() and int(part) < len(node) else []
            elif isinstance(node, Mapping) and part in node:
                found.append(node[part])
        nodes = found
    if not nodes:
        raise RepriseError(f"the runs have no setting {path!r}{nearest(path, dict.fromkeys(_paths(spec)))}")
    return [_value(node) for node in nodes]


def _paths(node: Any, path: str = "") -> list[str]:
    """Every path of a nested mapping, with `*` for the elements of lists."""
    if isinstance(node, Mapping):
        return [found for key, value in node.items() for found in _paths(value, f"{path}.{key}" if path else str(key))]
    if isinstance(node, list) and node:
        return [found for value in node for found in _paths(value, f"{path}.*")]
    return [path]


def _value(value: Any) -> str:
    """A setting as readers write it."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else text(value)


def _sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def mean_and_sd(values: Sequence[float]) -> str:
    """`0.4961 ± 0.0023`; counts (all values whole) without needless decimals; one value alone without ±."""
    whole = all(float(value).is_integer() for value in values) and any(abs(value) > 1 for value in values)
    digits = (0 if len(set(values)) == 1 else 1) if whole else 4
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"


def _about_seeds(n: int) -> list[str]:
    return [f"± is the standard deviation over {n} seeds."] if n > 1 else []


# ---- formats ----


def _markdown(table: Table, caption: str, said: Sequence[str]) -> str:
    blocks = [*(f"**{sentence}**" for sentence in said), caption]
    for title, frame in table.shown.items():
        if title:
            blocks.append(f"**{title}**")
        rule = ["---:" if right else "---" for right in _numeric(frame)]
        lines = [list(frame.columns), rule, *frame.itertuples(index=False)]
        blocks.append("\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines))
    return "\n\n".join([*blocks, *table.notes]) + "\n"


def _latex(table: Table, caption: str, said: Sequence[str], label: str) -> str:
    """One `table` environment per part, with booktabs' rules."""
    parts = []
    bold = "".join(rf"\textbf{{{sentence.rstrip('.').translate(LATEX)}.}} " for sentence in said)
    for place, (title, frame) in enumerate(table.shown.items(), 1):
        sentences = [part.rstrip(".") + "." for part in (caption, title, *table.notes) if part]
        text = " ".join(sentence.translate(LATEX) for sentence in sentences)
        escaped = frame.map(lambda cell: str(cell).translate(LATEX)).rename(columns=lambda name: str(name).translate(LATEX))
        parts.append(
            escaped.to_latex(
                index=False,
                escape=False,
                caption=bold + text,
                label=label + (f":{place}" if len(table.shown) > 1 else ""),
                position="htbp",
                column_format="".join(_column(frame.iloc[:, index], right) for index, right in enumerate(_numeric(frame))),
            )
        )
    return "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)


def _column(cells: pd.Series, right: bool) -> str:
    """LaTeX's format of a column; long texts are broken into lines."""
    return "r" if right else r"p{0.36\linewidth}" if cells.map(lambda cell: len(str(cell))).max() > LONG else "l"


def _numeric(frame: pd.DataFrame) -> list[bool]:
    """Whether each column holds only numbers, which stand right."""
    pattern = re.compile(r"-?[\d.,]+( ± [\d.,]+)?")
    columns = [[str(cell) for cell in frame.iloc[:, index] if str(cell)] for index in range(frame.shape[1])]
    return [bool(cells) and all(pattern.fullmatch(cell) for cell in cells) for cells in columns]
