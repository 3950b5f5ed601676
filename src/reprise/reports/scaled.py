"""What was done, at a smaller scale, of what a report did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reprise.reports.report import Cell, Report, network_names


def done(report: Report, items: Iterable[Any]) -> str:
    """What the runs of these figures, tables or statements have, of what they have at scale `full`: `8 of 100
    epochs · 1 of 3 seeds`. Nothing at that scale, or where nothing is less.
    """
    if report.scale == "full":
        return ""
    shown = list(items)
    whole = report.at_full
    here, there = (
        list({cell.name: cell for item in shown for cell in one.needed(item)}.values())
        for one in (report, whole)
    )
    names = [name for item in shown for name in network_names(item)]
    networks = [run.spec["model"] for _, run in report.networks(names).values()]
    trials = all("trial" in cell.settings for cell in there)
    parts = [
        _of(_epochs(here), _epochs(there), "epochs"),
        _of(_seeds(here), _seeds(there), "seeds"),
        _of([len(here)], [len(there)], "trials" if trials else "configurations"),
        _images(here, there),
        _widths([*networks, *(run.spec["model"] for cell in here for run in cell.members)]),
    ]
    return " · ".join(filter(None, parts))


def _epochs(cells: Sequence[Cell]) -> list[int]:
    return [run.settings.training.epochs for cell in cells for run in cell.members]


def _seeds(cells: Sequence[Cell]) -> list[int]:
    return [len(cell.members) for cell in cells]


def _of(here: Sequence[int], there: Sequence[int], what: str) -> str:
    """`8 of 100 epochs`, `2 to 6 of 50 to 100 epochs`; nothing where as many are done."""
    if not here or not there or (min(here), max(here)) == (min(there), max(there)):
        return ""
    noun = what.removesuffix("s") if {*there} == {1} else what
    return f"{_range(here)} of {_range(there)} {noun}"


def _range(counts: Sequence[float]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _images(here: Sequence[Cell], there: Sequence[Cell]) -> str:
    """How many images of each class are used, where those are fewer."""
    fewer, known = (
        {run.settings.dataset.per_class for cell in cells for run in cell.members} for cells in (here, there)
    )
    counts = [count for count in fewer - known if count]
    if not counts:
        return ""
    some = "" if len(counts) == len(fewer) else " in some runs"
    return f"{_range(counts)} images of each class{some}"


def _widths(networks: Iterable[Any]) -> str:
    """How narrow the networks are, as shares of the report's."""
    widths = {float(network.get("width") or 1) for network in networks}
    narrow = sorted(widths - {1.0})
    if not narrow:
        return ""
    shares = f"{narrow[0]:g}" if len(narrow) == 1 else f"{narrow[0]:g} to {narrow[-1]:g}"
    return f"{'' if len(narrow) == len(widths) else 'some '}networks {shares} as wide"
