"""Test accuracy of each class in percent, a column per model, with its mean and standard deviation over the
classes.

Each beside what the report says, with the verdict on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.publishing.expressions import Value
from reprise.publishing.judging import Judge
from reprise.publishing.measures import Measure, NotRun
from reprise.publishing.sources import Sources
from reprise.publishing.tables.models import ComparedModel, check_labels, find_models, lay_out, notes
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import ELSEWHERE, measured
from reprise.reports.table_statements import OVER_CLASSES, shown_statements
from reprise.reports.tables import ClassTable

TITLES = {"mean": "Mean", "deviation": "Standard deviation"}
"""Of the rows after the classes."""


def build(spec: ClassTable, sources: Sources) -> Sheet:
    """One row per class, in the order of the labels, then mean and standard deviation."""
    models = find_models(spec, sources)
    classes = _classes(models, sources)
    # another table's name stands here only until the report file is read
    names, reported = spec.names, {} if isinstance(spec.reported, str) else spec.reported
    _known(names, classes, "names")
    check_labels(reported, models, "reported")
    for label, values in reported.items():
        _known(values, [*classes, *OVER_CLASSES], f"reported: {label}", names)
    stated = shown_statements(spec)
    wanted: dict[str, tuple[str, tuple[str, ...]]] = {name: ("class_accuracy", (name,)) for name in classes}
    wanted |= {row: (metric, ()) for row, (metric, _) in OVER_CLASSES.items()}
    measures = {
        (row, model.label): Measure(metric, model.selector, classes=labels, pick=model.pick)
        for row, (metric, labels) in wanted.items()
        for model in models
    }
    judge = Judge(measures.values(), sources.named, sources.tables)
    titles = {**{name: names.get(name, name) for name in classes}, **TITLES}
    data, entries, verdicts = [], {}, {}
    for (row, label), measure in measures.items():
        printed = reported.get(label, {}).get(row, "")
        statement = stated.get((label, row)) if printed else None
        try:
            found = measured(judge, Value({measure: 100.0}), sources, printed, statement)
        except NotRun as missing:
            raise RepriseError(f"model {label!r}: {missing}") from None
        entries[row, label] = found.text, found.report
        verdicts[label, row] = found.verdict
        model = next(model for model in models if model.label == label)
        data.append(
            (
                row,
                label,
                model.configuration,
                model.run,
                found.value,
                found.sd,
                found.n,
                printed,
                found.verdict,
            )
        )
    columns = ["class", "model", "configuration", "run", "percent", "sd", "n", "reported", "verdict"]
    rows = Rows(columns, data)
    said = [
        "Test accuracy in percent; the standard deviation is taken over the classes (n in the denominator)."
    ]
    if any(place in stated and not verdict for place, verdict in verdicts.items()):
        said.append(ELSEWHERE)
    said += notes(models, any(sd is not None for sd in rows.column("sd")), any(rows.column("verdict")))
    return Sheet(rows, {"": lay_out(titles, [model.label for model in models], entries, "Class")}, said)


def _classes(models: Sequence[ComparedModel], sources: Sources) -> Sequence[str]:
    """The classes that all models learn, in the order of the labels."""
    known = sources.tables.class_names
    found = {}
    for model in models:
        cells = sources.named(model.selector)
        for run in model.runs or [run for cell in cells for run in cell.runs]:
            if run not in known:
                raise RepriseError(
                    f"run {run} of {model.selector} has no class names; give those of its data set"
                )
            found[model.label] = tuple(known[run])
    first, *others = found
    for label in others:
        if found[label] != found[first]:
            raise RepriseError(
                f"models {first!r} and {label!r} learn different classes; give each a table of its own"
            )
    return found[first]


def _known(
    names: Mapping[str, Any], valid: Sequence[str], where: str, called: Mapping[str, str] | None = None
) -> None:
    """Raise a `RepriseError` for a name that is not valid. called: class → the report's name for it."""
    for name in names:
        if name not in valid:
            if meant := [one for one, given in (called or {}).items() if given == name]:
                raise RepriseError(f"{where}: write {meant[0]}, which names calls {name}")
            raise RepriseError(f"{where}: no class {name!r}{nearest(name, valid)}")
