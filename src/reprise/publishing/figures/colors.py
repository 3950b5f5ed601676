"""A colour for each configuration of a report, the same in all of its figures.

Series of two figures that share a run show the same configuration. Those of one figure differ; beyond that,
every colour gets as few meanings as the palette allows.
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reprise.errors import RepriseError
from reprise.publishing import Resolve
from reprise.publishing.figures.curves import PanelSeries, parts
from reprise.publishing.sources import Sources
from reprise.publishing.style import PALETTE
from reprise.reports.figures import Curves, Figure


@dataclass
class _Meaning:
    """What has one colour: runs, and the figures that show them, each with the label of its series."""

    runs: set[str]
    labels: dict[str, str] = field(default_factory=dict)


def series_colors(figures: Sequence[Figure], resolve: Resolve) -> dict[str, dict[str, str]]:
    """Id of a figure of curves → label of a series → colour. `resolve`: selector → cells with all their runs.

    A figure whose cells this scale does not have, or that cannot be drawn, is left out: drawing it says why.
    """
    meanings: list[_Meaning] = []
    for figure in figures:
        if isinstance(figure, Curves):
            with contextlib.suppress(RepriseError):
                _find(figure, parts(figure, Sources(resolve)), meanings)
    colors: list[str] = []
    for meaning in meanings:
        beside = {
            color
            for color, other in zip(colors, meanings, strict=False)
            if other.labels.keys() & meaning.labels.keys()
        }
        uses = Counter(colors)
        free = [color for color in PALETTE if color not in beside] or PALETTE
        colors.append(min(free, key=lambda color: uses[color]))
    return {
        figure.id: {
            meaning.labels[figure.id]: color
            for color, meaning in zip(colors, meanings, strict=True)
            if figure.id in meaning.labels
        }
        for figure in figures
    }


def _find(figure: Curves, drawn: Sequence[PanelSeries], meanings: list[_Meaning]) -> None:
    """Give each series of the figure its meaning: an earlier one with which it shares a run, and which no
    other series of the figure has, or a new one.
    """
    runs: dict[str, set[str]] = {}
    for part in drawn:
        if not part.entry.everywhere:
            runs.setdefault(part.label, set()).update(part.cell.runs)
    for label, own in runs.items():
        known = (one for one in meanings if one.runs & own and figure.id not in one.labels)
        meaning = next(known, None)
        if meaning is None:
            meaning = _Meaning(set())
            meanings.append(meaning)
        meaning.runs |= own
        meaning.labels[figure.id] = label
