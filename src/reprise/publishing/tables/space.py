"""The axes of an experiment: the baseline value of each, the values tried or the range drawn from, and what
the report says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.publishing.measures import lookup
from reprise.publishing.sources import Sources
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import DASH, setting, show
from reprise.publishing.words import plain, written
from reprise.reports.experiments import Axis, Experiment, SearchAxis
from reprise.reports.report import text
from reprise.reports.run import canonical, prune
from reprise.reports.tables import SpaceRow, SpaceTable

RANGES = {"uniform": "uniform", "log_uniform": "log-uniform"}
SPACE_COLUMNS = {"axis": "Setting", "baseline": "Baseline", "values": "Values", "reported": "Reported"}


def build(spec: SpaceTable, sources: Sources) -> Sheet:
    """One row per axis."""
    name, experiment = spec.experiment, sources.experiment
    axes = experiment.axes if experiment else {}
    if experiment is None or not axes:
        raise RepriseError(f"experiment {name} has no axes; name a sweep, a grid or a search")
    rows = spec.rows or [SpaceRow(axis=axis) for axis in axes]
    base = spec.base or (f"{name}/base" if experiment.pointwise else None)
    settings = _settings(base, sources)
    lines = []
    for row in rows:
        axis = row.axis
        if axis not in axes:
            raise RepriseError(f"rows: experiment {name} has no axis {axis}{nearest(axis, axes)}")
        words = written(axis)
        label = row.label or words[:1].upper() + words[1:]
        lines.append((label, _baseline(axes[axis], settings), _values(axes[axis]), row.reported or ""))
    data = Rows(list(SPACE_COLUMNS), lines)
    data = data.without(
        *(
            column
            for column, there in (("baseline", base), ("reported", any(data.column("reported"))))
            if not there
        )
    )
    shown = Rows([SPACE_COLUMNS[column] for column in data.columns], data.rows)
    return Sheet(data, {"": shown}, _notes(name, experiment, sources))


def _settings(base: str | None, sources: Sources) -> Mapping[str, Any]:
    """The settings of the baseline, without what its seeds change."""
    if base is None:
        return {}
    cells = sources.named(base)
    if len(cells) > 1:
        raise RepriseError(f"base: {base} names {len(cells)} cells; name one, e.g. {cells[0].name}")
    return next(iter(cells[0].specs.values()))


def _values(rule: Axis | SearchAxis) -> str:
    for kind, words in RANGES.items():
        ends = getattr(rule, kind, None)
        if ends:
            return f"{show(ends[0])} to {show(ends[1])}, {words}"
    return ", ".join(_label(rule, value) for value in rule.values or ())


def _label(rule: Axis | SearchAxis, value: Any) -> str:
    """A value, or a value's name, on an axis."""
    labels = {text(name): label for name, label in rule.labels.items()}
    return labels.get(text(value)) or plain(value)


def _baseline(rule: Axis | SearchAxis, settings: Mapping[str, Any]) -> str:
    """The baseline's value on an axis: by name where the axis has a name for it, else the settings that the
    axis changes, as they are.
    """
    named = rule.values if isinstance(rule.values, Mapping) else {}
    changes = {text(name): {rule.path: value} if rule.path else value for name, value in named.items()}
    same = [
        name
        for name, change in changes.items()
        if all(_is(settings, path, value) for path, value in change.items())
    ]
    if same:
        return _label(
            rule, max(same, key=lambda name: len(changes[name]))
        )  # an empty change is like anything
    paths = (
        [rule.path] if rule.path else dict.fromkeys(path for change in changes.values() for path in change)
    )
    found = [shown for path in paths for shown in setting(settings, path)]
    return ", ".join(dict.fromkeys(found)) or DASH


def _is(settings: Mapping[str, Any], path: str, value: Any) -> bool:
    """Whether the baseline has this value; null and empty ones are those that a run does not have."""
    found, value = lookup(settings, path), prune(value)
    return canonical(found[0]) == canonical(value) if found else value in (None, {}, [])


def _notes(name: str, experiment: Experiment, sources: Sources) -> Sequence[str]:
    if experiment.pointwise:
        return ["One value at a time is changed from the baseline."]
    return [] if experiment.grid else [f"{len(sources.named(name))} trials are drawn at random."]
