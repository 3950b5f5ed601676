"""What a kind of figure is given and gives back.

A kind is a function `draw(spec, results, page) -> Drawn`, which `reprise.reports.figures` names beside the
kind's options: it draws on `page`, whose height it sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from reprise.publishing.style import DPI, MARGIN, SMALL, Strip, wrap


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
