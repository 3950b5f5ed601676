"""Reference lines: numbers of the report, and the level of chance, as horizontal lines, each printed beside
the axes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from reprise.errors import RepriseError, nearest
from reprise.publishing.style import INK, SMALL, color
from reprise.reports.figures import Curves, Trials

DOTS = ((0, (1, 1.4)), (0, (1, 3)), (0, (4, 2, 1, 2, 1, 2)))
"""Line styles, one per label."""


@dataclass(frozen=True)
class ReferenceLine:
    """A number as a horizontal line; `printed` stands beside the axes. Without `panel` it belongs to every
    panel.
    """

    value: float
    printed: str
    label: str
    color: str
    dashes: Any
    panel: str | None = None


def read_references(
    spec: Curves | Trials, colors: Mapping[str, str], partial: bool = False
) -> list[ReferenceLine]:
    """The lines of the key `reference` of a figure. `colors`: label → colour of the series drawn; if
    `partial`, the lines of series that are left out go with them.
    """
    entries = [(entry, entry.label or "report") for entry in spec.reference]
    labels = list(dict.fromkeys(label for _, label in entries))
    if len(labels) > len(DOTS):
        raise RepriseError(
            f"{len(labels)} labels of reference lines are more than the {len(DOTS)} that can be told apart; "
            "draw fewer of them"
        )
    found = []
    for entry, label in entries:
        if entry.value is None:
            raise RepriseError(f"reference {entry.statement}: no statement has given it a value")
        printed = entry.value if isinstance(entry.value, str) else f"{entry.value:g}"
        if entry.series is not None and entry.series not in colors:
            if partial:
                continue
            raise RepriseError(
                f"reference {printed}: no series {entry.series!r}{nearest(entry.series, colors)}"
            )
        own = color(entry.color) if entry.color else colors[entry.series] if entry.series else INK
        dashes, value = DOTS[labels.index(label)], float(entry.value)
        if entry.percent:
            printed, value = f"{printed} %", value / 100
        found.append(ReferenceLine(value, printed, label, own, dashes, entry.panel))
    return found


def draw_references(axes: Axes, references: Sequence[ReferenceLine]) -> None:
    """The lines."""
    for reference in references:
        axes.axhline(
            reference.value, color=reference.color, linestyle=reference.dashes, linewidth=1, zorder=1.5
        )


def print_references(axes: Axes, references: Sequence[ReferenceLine]) -> None:
    """The numbers right of the axes, which are laid out, at the height of their lines or as near as there is
    room.
    """
    low, high = axes.get_ylim()
    shown = sorted(
        (reference for reference in references if low <= reference.value <= high),
        key=lambda reference: reference.value,
    )
    to_points = 72 / axes.figure.dpi
    at = [axes.transData.transform((0, reference.value))[1] * to_points for reference in shown]
    for reference, height, place in zip(shown, at, spread(at, SMALL * 1.15), strict=True):
        axes.annotate(
            reference.printed,
            (1, reference.value),
            xycoords=axes.get_yaxis_transform(),
            xytext=(3, place - height),
            textcoords="offset points",
            size=SMALL,
            color=reference.color,
            va="center",
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending `places`, moved as little as needed to stand `gap` apart: neighbours too near share the room
    around their mean.
    """
    groups: list[list[float]] = []

    def span(group: Sequence[float]) -> tuple[float, float]:
        middle, half = sum(group) / len(group), gap * (len(group) - 1) / 2
        return middle - half, middle + half

    for place in places:
        group = [place]
        while groups and span(groups[-1])[1] + gap > span(group)[0]:
            group = groups.pop() + group
        groups.append(group)
    return [span(group)[0] + gap * index for group in groups for index in range(len(group))]
