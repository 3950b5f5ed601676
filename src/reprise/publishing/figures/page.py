"""What a kind of figure is given and gives back.

A kind is a function `draw(spec, results, page) -> Drawn`, which `reprise.reports.figures` names beside the
kind's options: it draws on `page`, whose height it sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from reprise.errors import RepriseError, nearest
from reprise.publishing import Resolve
from reprise.publishing.measures import Measure, Tables, cell_values
from reprise.publishing.style import DPI, MARGIN, SMALL, Strip, wrap
from reprise.reports.figures import Measured
from reprise.reports.report import Cell


@dataclass(frozen=True)
class Results:
    """What figures are drawn from.

    resolve: selector → cells.
    tables: tidy results of the runs; `predictions` and class names only for kinds that show classes.
    images: the `.npz` of sample images that the data room wrote for this figure.
    layers: name of a network → its layer table (`title`, `rows`, `parameters`; see `reprise.models.layers`).
    meta: run hash → `meta` of its run.json.
    """

    resolve: Resolve
    tables: Tables = field(default_factory=Tables.of)
    images: Path | None = None
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meta: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def splits(self, cell: Cell) -> dict[str, list[str]]:
        """Run → the splits of its history, for the cell's runs; one without a history is a `RepriseError`."""
        found = {run: self.tables.splits(run) for run in cell.runs}
        _check(cell, "history", found)
        return found

    def curves(self, cell: Cell, split: str, column: str) -> dict[str, dict[int, float]]:
        """Run → epoch, in order → `loss` or `accuracy`, of the cell's runs that have the split.

        A run without a history, or a split that no run has, is a `RepriseError`.
        """
        splits = self.splits(cell)
        found = {
            run: self.tables.curve(run, split, column) or {} for run in cell.runs if split in splits[run]
        }
        if not found:
            known = sorted({name for names in splits.values() for name in names})
            raise RepriseError(f"{cell.name} has no history of split {split!r}{nearest(split, known)}")
        return found

    def selected(self, cell: Cell) -> dict[str, float]:
        """Run → the epoch whose weights it kept, for the cell's runs; one without final metrics is a
        `RepriseError`.
        """
        finals = {run: self.tables.finals(run) for run in cell.runs}
        _check(cell, "final", finals)
        return {run: values["selected_epoch"] for run, values in finals.items() if "selected_epoch" in values}

    def values(self, spec: Measured, cell: Cell) -> list[float]:
        """What the keys `metric`, `split` and `at` of a figure measure in the cell, one value per run."""
        return cell_values(Measure.of(spec, cell.name), self.tables, cell)


@dataclass
class Page:
    """The figure that a kind draws on: `width` inches wide, as high as the kind asks for, under the strip
    that marks the scale.
    """

    figure: Figure
    width: float
    strip: Strip

    def set_height(self, body: float, foot: float = 0) -> None:
        """Make room for `body` inches under the strip, of which the axes leave the lowest `foot` free. A
        whole number of pixels, so that images fall on them.
        """
        height = round((body + self.strip.height) * DPI) / DPI
        self.figure.set_size_inches(self.width, height)
        engine = self.figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.set(rect=(0, foot / height, 1, 1 - (foot + self.strip.height) / height))

    def lay_out(self) -> None:
        """Find the place of the axes, which else is found when the figure is drawn."""
        engine = self.figure.get_layout_engine()
        if engine is not None:
            engine.execute(self.figure)

    def legend(self, groups: Sequence[Sequence[Artist]]) -> float:
        """Put a legend under everything, in as few rows as fit, a column per group where that takes no more.
        Returns its height in inches.

        Long labels wrap.
        """
        handles = [handle for group in groups for handle in group]
        for handle in handles:
            handle.set_label(wrap(str(handle.get_label()), self.width - 2 * MARGIN - 0.5, SMALL))
        for rows in range(1, len(handles) + 1):
            arrangements = [(handles, -(-len(handles) // rows))]
            if rows == max(len(group) for group in groups):
                arrangements.insert(
                    0, ([handle for group in groups for handle in _padded(group, rows)], len(groups))
                )
            for entries, columns in arrangements:
                legend = self.figure.legend(handles=entries, loc="outside lower center", ncols=columns)
                box = legend.get_window_extent().transformed(self.figure.dpi_scale_trans.inverted())
                if box.width <= self.width - 2 * MARGIN or columns == 1:
                    return box.height
                legend.remove()
        return 0.0


def _check(cell: Cell, table: str, found: Mapping[str, Any]) -> None:
    """Raise a `RepriseError` where one of the cell's runs has found nothing in a table."""
    missing = [run for run in cell.runs if not found[run]]
    if missing:
        raise RepriseError(
            f"run {missing[0]} of {cell.name} has no {table} ({len(missing)} of its {len(cell.runs)} runs "
            "are missing); "
            "train and evaluate it first"
        )


def _padded(group: Sequence[Artist], rows: int) -> list[Artist]:
    """The group and empty handles, `rows` in all."""
    return [*group, *(Line2D([], [], linestyle="none", label=" ") for _ in range(rows - len(group)))]


@dataclass(frozen=True)
class Drawn:
    """What a kind says of the figure that it has drawn.

    description: what the picture shows, in words, for those who cannot see it.
    runs: hashes of all runs in it.
    values: the numbers drawn, JSON-ready.
    """

    description: str
    runs: Sequence[str] = ()
    values: list[dict[str, Any]] = field(default_factory=list)
