"""Models that a table compares: the cells or picked runs that `models` names, and their measured values
beside the reported ones.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprise.errors import RepriseError, nearest
from reprise.publishing.measures import best_run
from reprise.publishing.sources import Sources
from reprise.publishing.tables.sheet import Rows
from reprise.publishing.tables.values import NOT_RUN
from reprise.publishing.words import configuration
from reprise.reports.report import Cell
from reprise.reports.tables import ClassTable, ComparisonTable

JUDGED = "The verdict on a reported number is in brackets after it."


@dataclass(frozen=True)
class ComparedModel:
    """One configuration with all its seeds, or the one run that `pick` took of `among` runs that `selector`
    names; no cell where it is not known which, because runs are missing.
    """

    label: str
    selector: str
    pick: str | None
    cell: Cell | None
    run: str | None
    among: int

    @property
    def runs(self) -> Sequence[str]:
        return [self.run] if self.run else self.cell.runs if self.cell else []

    @property
    def specs(self) -> list[Mapping[str, Any]]:
        """The settings of its runs."""
        return [self.cell.specs[run] for run in self.runs] if self.cell else []

    @property
    def configuration(self) -> str:
        """The selector of its cell, in tables."""
        return self.cell.name if self.cell else NOT_RUN


def find_models(spec: ComparisonTable | ClassTable, sources: Sources) -> list[ComparedModel]:
    """The models of a table, in its order; a label that stands twice, or a model that is not one, is a
    `RepriseError` that names it.
    """
    models: list[ComparedModel] = []
    for entry in spec.models:
        label, selector, pick = entry.label, entry.runs, entry.pick
        if label in [model.label for model in models]:
            raise RepriseError(
                f"model {label!r} stands twice; reported values are found by the label, make them differ"
            )
        cells = sources.named(selector)
        if not pick and len(cells) > 1:
            raise RepriseError(
                f"model {label!r}: {selector} names {len(cells)} configurations; name one, or pick the best "
                "run under cells"
            )
        cell: Cell | None = cells[0]
        run = None
        if pick:
            found = best_run(cells, sources.tables)
            if found is None and not sources.whole:
                raise RepriseError(
                    f"model {label!r}: not every configuration of {selector} is trained and evaluated; do "
                    "that first"
                )
            cell, run = found or (None, None)
        models.append(ComparedModel(label, selector, pick, cell, run, sum(len(each.runs) for each in cells)))
    return models


def check_labels(reported: Iterable[str], models: Sequence[ComparedModel], where: str) -> None:
    """Whether what is reported is reported of a model of the table."""
    labels = [model.label for model in models]
    for label in reported:
        if label not in labels:
            raise RepriseError(f"{where}: no model has the label {label!r}{nearest(label, labels)}")


def lay_out(
    lines: Mapping[str, str],
    columns: Iterable[str],
    entries: Mapping[tuple[str, str], tuple[str, str]],
    corner: str = "",
    best: Collection[tuple[str, str]] = (),
) -> Rows:
    """(line, column) → (value, report) as a table, lines under their titles; a column of which something is
    reported has a second one. `best`: the (line, column) pairs of the best values.
    """
    headings, marked = [corner], []
    cells: list[Sequence[str]] = [list(lines.values())]
    for column in columns:
        values, reports = zip(*(entries[line, column] for line in lines), strict=True)
        marked += [(place, len(headings)) for place, line in enumerate(lines) if (line, column) in best]
        headings.append(column)
        cells.append(values)
        if any(reports):
            headings.append(f"{column}, reported")
            cells.append(reports)
    return Rows(headings, list(zip(*cells, strict=True)), marked)


def best_of(values: Mapping[Any, float], better: str | None) -> set[Any]:
    """The keys of the largest values, or of the smallest where they are `better`; none where neither is, or
    fewer than two are finite.
    """
    finite = {key: value for key, value in values.items() if math.isfinite(value)}
    if better is None or len(finite) < 2:
        return set()
    first = (max if better == "larger" else min)(finite.values())
    return {key for key, value in finite.items() if value == first}


def notes(models: Sequence[ComparedModel], spread: bool, judged: bool) -> list[str]:
    """What readers of such a table must know."""
    said = [
        f"{model.label}: {configuration(model.cell, model.run)}, the run with the best validation accuracy "
        f"of {model.among}."
        for model in models
        if model.cell and model.run
    ]
    if spread:
        said.append("± is the standard deviation over the seeds.")
    if judged:
        said.append(JUDGED)
    return said
