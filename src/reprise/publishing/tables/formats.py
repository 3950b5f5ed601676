"""A table as CSV, as Markdown and as LaTeX."""

import csv as csv_files
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reprise.publishing import markup
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import DASH, NOT_RUN


def csv(data: Rows) -> str:
    """A heading, then a line for each row; numbers with all their digits."""
    file = io.StringIO()
    writer = csv_files.writer(file, lineterminator="\n")
    writer.writerow(data.columns)
    writer.writerows([["" if _absent(cell) else cell for cell in row] for row in data.rows])
    return file.getvalue()


def _absent(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def markdown(table: Sheet, caption: str, said: Sequence[str]) -> str:
    """The sentences `said` in bold, the caption, the parts and the notes."""
    blocks = [*(f"**{markup.markdown(sentence)}**" for sentence in said), markup.markdown(caption)]
    for title, shown in table.shown.items():
        if title:
            blocks.append(f"**{markup.markdown(title)}**")
        rule = ["---:" if right else "---" for right in _numeric(shown)]
        heading, *rows = (
            [markup.markdown(str(cell)) for cell in row] for row in [shown.columns, *shown.rows]
        )
        blocks.append("\n".join(map(markup.markdown_row, [heading, rule, *rows])))
    return "\n\n".join([*blocks, *map(markup.markdown, table.notes)]) + "\n"


# ---- LaTeX ----

LINE = 450.0
"""Points of a line that every table fits on: A4 with margins of 2.5 cm."""
PAGE = 560.0
"""Points of a page that a table may fill; a longer one is broken over pages."""


@dataclass(frozen=True)
class Size:
    """A size of type: its command, the line's height and the space beside a column in points, and the width
    of cmr10's em at this size, whose smaller cuts are a little wider.
    """

    command: str
    leading: float
    space: float
    em: float


SIZES = (
    Size("normalsize", 12.0, 6.0, 10.0),
    Size("small", 11.0, 4.0, 9.25),
    Size("footnotesize", 9.5, 3.0, 8.5),
)
_WIDTHS = {
    278: "ijl.,:;!'|[]",
    306: "f",
    333: " -‘’",
    390: "rst()I",
    444: "cez",
    500: "ago/*+0123456789–“”",
    528: "kqvxyJ",
    556: "bdhnpuS",
    625: "LZ",
    700: "BEFPCTR_",
    722: "w",
    778: "ADGHKNOQUVXY±×=<>&−",
    833: "m%",
    917: "M",
    1028: "W…",
}
_WIDTH = {sign: width / 1000 for width, signs in _WIDTHS.items() for sign in signs}
"""Of a sign in cmr10, in em."""


def text_width(text: str, em: float) -> float:
    """Points that a text takes on a line, at most."""
    return em * sum(_WIDTH.get(sign, 0.78) for sign in text)


@dataclass(frozen=True)
class PageLayout:
    """How a table is set: its size, the format of each column, and how high it is, in points. It `fits` on a
    line.
    """

    size: Size
    columns: str
    height: float
    fits: bool


def latex(table: Sheet, caption: str, said: Sequence[str], label: str) -> str:
    """One environment per part, with booktabs' rules: `table`, or `longtable` where it would not fit on a
    page.
    """
    parts = []
    bold = "".join(rf"\textbf{{{markup.latex(sentence.rstrip('.'))}.}} " for sentence in said)
    for place, (title, shown) in enumerate(table.shown.items(), 1):
        layout = layout_of(shown)
        if not layout.fits and title in table.narrow:
            shown = table.narrow[title]
            layout = layout_of(shown)
        sentences = [part.rstrip(".") + "." for part in (caption, title, *table.notes) if part]
        text = " ".join(map(markup.latex, sentences))
        heading, *rows = (
            " & ".join(markup.latex(str(cell)) for cell in row) + r" \\"
            for row in [shown.columns, *shown.rows]
        )
        named = rf"\label{{{label}{f':{place}' if len(table.shown) > 1 else ''}}}"
        head = [r"\toprule", heading, r"\midrule"]
        size = [rf"\{layout.size.command}", rf"\setlength{{\tabcolsep}}{{{layout.size.space:g}pt}}"]
        if layout.height > PAGE:
            lines = [
                *("{", *size),
                rf"\begin{{longtable}}{{{layout.columns}}}",
                rf"\caption{{{bold}{text}}}{named}\\",
                *(*head, r"\endfirsthead", *head, r"\endhead"),
                *(*rows, r"\bottomrule", r"\end{longtable}", "}", ""),
            ]
        else:
            lines = [
                *(r"\begin{table}[htbp]", rf"\caption{{{bold}{text}}}", named, r"\centering", *size),
                *(rf"\begin{{tabular}}{{{layout.columns}}}", *head, *rows, r"\bottomrule"),
                *(r"\end{tabular}", r"\end{table}", ""),
            ]
        parts.append("\n".join(lines))
    return "% Needs \\usepackage{array,booktabs,longtable}\n" + "\n".join(parts)


def layout_of(shown: Rows) -> PageLayout:
    """The largest type at which a table fits on a line and a page: with columns as wide as their texts, or
    else with texts broken at spaces. One that fits on no page has the smallest type.
    """
    unbroken = [found for size in SIZES[:2] if (found := _unbroken(shown, size))]
    broken = [_broken(shown, size) for size in SIZES]
    layouts = unbroken[:1] or [found for found in broken if found.fits] or broken
    return next((layout for layout in layouts if layout.height <= PAGE), layouts[-1])


def _unbroken(shown: Rows, size: Size) -> PageLayout | None:
    widths = [max(text_width(text, size.em) for text in texts) for texts in _texts(shown)]
    if sum(widths) + 2 * size.space * len(widths) > LINE:
        return None
    columns = "".join("r" if right else "l" for right in _numeric(shown))
    return PageLayout(size, columns, size.leading * (len(shown.rows) + 1), True)


def _broken(shown: Rows, size: Size) -> PageLayout:
    """With columns at least as wide as their longest words."""
    texts = _texts(shown)
    room = LINE - 2 * size.space * len(texts)
    least = [
        max(text_width(word, size.em) for text in each for word in text.split() or [""]) for each in texts
    ]
    full = [max(text_width(text, size.em) for text in each) for each in texts]
    widths = _shares(least, full, room)
    lines = [
        max(_lines(text, width, size.em) for text, width in zip(row, widths, strict=True))
        for row in zip(*texts, strict=True)
    ]
    formats = [
        rf">{{\{'raggedleft' if right else 'raggedright'}\arraybackslash}}p{{{width:.0f}pt}}"
        for right, width in zip(_numeric(shown), widths, strict=True)
    ]
    return PageLayout(size, "".join(formats), size.leading * sum(lines), sum(map(math.ceil, least)) <= room)


def _texts(shown: Rows) -> list[list[str]]:
    """The texts of each column, the heading first."""
    rows = [shown.columns, *shown.rows]
    return [[str(row[place]) for row in rows] for place in range(len(shown.columns))]


def _shares(least: Sequence[float], full: Sequence[float], room: float) -> list[float]:
    """The width of each column: what is left beyond the `least` is given to those whose texts are long."""
    widths = [math.ceil(width) for width in least]
    wants = [max(0.0, most - width) for most, width in zip(full, widths, strict=True)]
    left = max(0.0, room - sum(widths))
    total = sum(wants)
    share = min(1.0, left / total) if total else 0.0
    return [math.floor(width + share * want) for width, want in zip(widths, wants, strict=True)]


def _lines(text: str, width: float, em: float) -> int:
    """How many lines a text takes in a column."""
    lines, taken = 1, 0.0
    for word in text.split():
        more = text_width(word if not taken else f" {word}", em)
        if taken and taken + more > width:
            lines, taken = lines + 1, text_width(word, em)
        else:
            taken += more
    return lines


def _numeric(shown: Rows) -> list[bool]:
    """Whether each column holds only numbers, which stand right; a dash and `not run` stand for one."""
    pattern = re.compile(r"-?[\d.,]+(e[-+]\d+)?( ± [\d.,]+)?")
    columns = [
        [str(row[place]) for row in shown.rows if str(row[place]) not in ("", DASH, NOT_RUN)]
        for place in range(len(shown.columns))
    ]
    return [bool(cells) and all(pattern.fullmatch(cell) for cell in cells) for cells in columns]
