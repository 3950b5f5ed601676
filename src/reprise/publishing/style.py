"""How every picture looks: sizes, fonts, colours, text that is measured before it is set, and the strip that
marks a small scale.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.typing import RcKeyType

from reprise.errors import RepriseError
from reprise.publishing import Face

WIDTHS = {"column": 3.5, "wide": 7.0}
"""Inches: one column of a two-column page, and the whole page."""
DPI = 200
SMALL = 7.0
"""Points: ticks, legends, captions within a figure."""
MARGIN = 0.06
"""Inches between the figure's edge and what stands in it."""
INK = "#222222"
LEADING = 1.25
"""Distance between two lines of text over the size of the font."""

COLORS = {
    "blue": "#0173b2",
    "orange": "#de8f05",
    "green": "#029e73",
    "vermillion": "#d55e00",
    "purple": "#cc78bc",
    "brown": "#ca9161",
    "pink": "#fbafe4",
    "grey": "#949494",
    "yellow": "#ece133",
    "sky": "#56b4e9",
}
"""Seaborn's colour-blind palette, in its order."""
PALETTE = (
    *(COLORS[name] for name in ("blue", "vermillion", "green")),
    *("#6a4fd8", "#5c3d00", "#e62253", "#637e99", "#882255"),  # violet, brown, crimson, slate, wine
)
"""The colours of series. Each has a contrast of 3:1 to white at least, which WCAG 2.2 (1.4.11) asks of lines;
the palette's other colours are fainter. Any two are told apart without red or green cones, too.
"""
CONTEXT = "#767676"
"""What others are compared with, or is not looked at: a baseline in every panel, trials that lost."""
LEAST_SPAN = {"accuracy": 0.1, "gap": 0.1, "loss": 0.5}
"""Values of a metric that differ by less do not fill an axis, which would magnify nothing."""

STRIPS = {"full": "#e8e8e8", "quick": "#bfe0f7", "demo": "#ffd34d"}
"""Colour of the strip above a figure of each scale."""

RC: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    # the first comes with matplotlib, so every machine sets the same text; in an SVG, whose text stays text,
    # the others stand in for it where it is not installed, those of the same width first
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Bitstream Vera Sans", "Arial", "Helvetica"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#666666",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.6,
    "lines.markeredgewidth": 0.9,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.7,
    "legend.borderpad": 0.1,
    "legend.labelspacing": 0.4,
    "figure.constrained_layout.h_pad": MARGIN,
    "figure.constrained_layout.w_pad": MARGIN,
    "image.composite_image": False,  # in an SVG every image keeps its own pixels
    "text.parse_math": False,  # a `$` in a label is a dollar
    "savefig.dpi": DPI,
    "svg.fonttype": "none",  # text is found, selected and read aloud
    "svg.hashsalt": "reprise",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib settings, whatever the user's own are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def color(value: str) -> str:
    """Hex code of a name in `COLORS`, or of anything that matplotlib takes for a colour."""
    value = COLORS.get(value, value)
    if not is_color_like(value):
        raise RepriseError(f"colour {value!r} is unknown; write #rrggbb or one of {', '.join(COLORS)}")
    return to_hex(value)


def widened(low: float, high: float, metric: str) -> tuple[float, float]:
    """The limits, moved apart about their middle where values of the metric would be magnified that hardly
    differ.
    """
    short = LEAST_SPAN.get(metric, 0.0) - (high - low)
    return (low - short / 2, high + short / 2) if short > 0 else (low, high)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of one line of text, in inches."""
    font = FontProperties(family=RC["font.sans-serif"][0], size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def wrap(text: str, width: float, size: float, weight: str = "normal") -> str:
    """`text` broken into lines of at most `width` inches, between words, or within a word that is wider than
    a line.
    """
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if text_width(longer, size, weight) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while text_width(line, size, weight) > width and len(line) > 1:
                fits = next(
                    n
                    for n in range(len(line) - 1, 0, -1)
                    if n == 1 or text_width(line[:n], size, weight) <= width
                )
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line)
    return "\n".join(lines)


@dataclass(frozen=True)
class Strip:
    """The coloured band above a figure that says its scale (bold) and the notes."""

    heading: str
    notes: str
    background: str

    @property
    def height(self) -> float:
        """Inches; 0 where there is nothing to say."""
        lines = sum(len(text.split("\n")) for text in (self.heading, self.notes) if text)
        return lines * SMALL * LEADING / 72 + 2 * MARGIN if lines else 0.0

    def draw(self, figure: Figure) -> None:
        """Fill the top `height` inches of the figure."""
        if not self.height:
            return
        width, total = figure.get_size_inches()
        share = self.height / total
        figure.add_artist(
            Rectangle(
                (0, 1 - share),
                1,
                share,
                transform=figure.transFigure,
                facecolor=self.background,
                edgecolor="none",
                zorder=-1,
            )
        )
        y = total - MARGIN
        for text, weight in ((self.heading, "bold"), (self.notes, "normal")):
            if not text:
                continue
            figure.text(
                MARGIN / width,
                y / total,
                text,
                size=SMALL,
                weight=weight,
                va="top",
                ha="left",
                color="black",
                linespacing=LEADING,
                in_layout=False,
            )
            y -= len(text.split("\n")) * SMALL * LEADING / 72


def strip(face: Face, width: float) -> Strip:
    """The strip of a figure with this face, `width` inches wide."""
    room = width - 2 * MARGIN
    return Strip(
        heading=wrap(face.mark, room, SMALL, "bold"),
        notes="\n".join(wrap(note, room, SMALL) for note in face.notes),
        background=STRIPS[face.scale],
    )
