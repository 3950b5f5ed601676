"""The axes of an experiment: the baseline value of each, the values tried or the range drawn from, and what
the report says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.publishing.measures import lookup
from reprise.publishing.tables.sheet import Rows, Sources, Table
from reprise.publishing.tables.values import DASH, setting, show
from reprise.reports.check import nearest
from reprise.reports.report import text
from reprise.reports.run import canonical, prune

RANGES = {"uniform": "uniform", "log_uniform": "log-uniform"}
COLUMNS = {"axis": "Setting", "baseline": "Baseline", "values": "Values", "reported": "Report"}


def build(spec: Mapping[str, Any], sources: Sources) -> Table:
    """One row per axis."""
    name, experiment = spec["experiment"], sources.experiment or {}
    axes = _axes(experiment)
    if not axes:
        raise RepriseError(f"experiment {name} has no axes; name a sweep, a grid or a search")
    rows = spec.get("rows") or [{"axis": axis} for axis in axes]
    base = spec.get("base") or (f"{name}/base" if "pointwise" in experiment else None)
    settings = _settings(base, sources)
    lines = []
    for row in rows:
        axis = row["axis"]
        if axis not in axes:
            raise RepriseError(f"rows: experiment {name} has no axis {axis}{nearest(axis, axes)}")
        words = axis.replace("_", " ")
        label = row.get("label", words[:1].upper() + words[1:])
        lines.append((label, _baseline(axes[axis], settings), _values(axes[axis]), row.get("reported", "")))
    data = Rows(list(COLUMNS), lines)
    data = data.without(
        *(
            column
            for column, there in (("baseline", base), ("reported", any(data.column("reported"))))
            if not there
        )
    )
    shown = Rows([COLUMNS[column] for column in data.columns], data.rows)
    return Table(data, {"": shown}, _notes(name, experiment, sources))


def _axes(experiment: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    search = experiment.get("random") or experiment.get("asha") or {}
    return experiment.get("grid") or experiment.get("pointwise") or search.get("space", {})


def _settings(base: str | None, sources: Sources) -> Mapping[str, Any]:
    """The settings of the baseline, without what its seeds change."""
    if base is None:
        return {}
    cells = sources.resolve(base)
    if len(cells) > 1:
        raise RepriseError(f"base: {base} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    return next(iter(cells[0].specs.values()))


def _values(rule: Mapping[str, Any]) -> str:
    for kind, words in RANGES.items():
        if kind in rule:
            low, high = rule[kind]
            return f"{show(low)} to {show(high)}, {words}"
    return ", ".join(
        text(value) if isinstance(rule["values"], Mapping) else show(value) for value in rule["values"]
    )


def _baseline(rule: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The baseline's value on an axis: by name where the axis has a name for it, else the settings that the
    axis changes, as they are.
    """
    values = rule.get("values")
    named = values if isinstance(values, Mapping) else {}
    changes = {
        text(name): {rule["path"]: value} if "path" in rule else value for name, value in named.items()
    }
    same = [
        name
        for name, change in changes.items()
        if all(_is(settings, path, value) for path, value in change.items())
    ]
    if same:
        return max(same, key=lambda name: len(changes[name]))  # an empty change is like anything
    paths = (
        [rule["path"]]
        if "path" in rule
        else dict.fromkeys(path for change in changes.values() for path in change)
    )
    found = [shown for path in paths for shown in setting(settings, path)]
    return ", ".join(dict.fromkeys(found)) or DASH


def _is(settings: Mapping[str, Any], path: str, value: Any) -> bool:
    """Whether the baseline has this value; null and empty ones are those that a run does not have."""
    found, value = lookup(settings, path), prune(value)
    return canonical(found[0]) == canonical(value) if found else value in (None, {}, [])


def _notes(name: str, experiment: Mapping[str, Any], sources: Sources) -> Sequence[str]:
    if "pointwise" in experiment:
        return ["One value at a time is changed from the baseline."]
    return [] if "grid" in experiment else [f"{len(sources.resolve(name))} trials are drawn at random."]
