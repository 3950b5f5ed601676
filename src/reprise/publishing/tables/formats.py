"""A table as CSV, as Markdown and as LaTeX."""

import csv as csv_files
import io
import math
import re
from collections.abc import Sequence
from typing import Any

from reprise.publishing import markup
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.publishing.tables.values import DASH, NOT_RUN

LONG = 40
"""Characters of a cell that does not fit on one line of a table."""
ROOM = 0.72
"""Share of the line that columns with long cells have together, half of it at most each."""


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


def latex(table: Sheet, caption: str, said: Sequence[str], label: str) -> str:
    """One `table` environment per part, with booktabs' rules."""
    parts = []
    bold = "".join(rf"\textbf{{{markup.latex(sentence.rstrip('.'))}.}} " for sentence in said)
    for place, (title, shown) in enumerate(table.shown.items(), 1):
        sentences = [part.rstrip(".") + "." for part in (caption, title, *table.notes) if part]
        text = " ".join(map(markup.latex, sentences))
        heading, *rows = (
            " & ".join(markup.latex(str(cell)) for cell in row) + r" \\"
            for row in [shown.columns, *shown.rows]
        )
        lines = [
            r"\begin{table}[htbp]",
            rf"\caption{{{bold}{text}}}",
            rf"\label{{{label}{f':{place}' if len(table.shown) > 1 else ''}}}",
            rf"\begin{{tabular}}{{{_columns(shown)}}}",
            *(r"\toprule", heading, r"\midrule", *rows, r"\bottomrule"),
            *(r"\end{tabular}", r"\end{table}", ""),
        ]
        parts.append("\n".join(lines))
    return "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)


def _columns(shown: Rows) -> str:
    """LaTeX's formats of the columns; long texts are broken into lines."""
    long = [any(len(str(row[place])) > LONG for row in shown.rows) for place in range(len(shown.columns))]
    width = min(ROOM / 2, ROOM / max(sum(long), 1))
    broken = rf"p{{{width:.2g}\linewidth}}"
    return "".join(
        "r" if right else broken if wide else "l" for right, wide in zip(_numeric(shown), long, strict=True)
    )


def _numeric(shown: Rows) -> list[bool]:
    """Whether each column holds only numbers, which stand right; a dash and `not run` stand for one."""
    pattern = re.compile(r"-?[\d.,]+(e[-+]\d+)?( ± [\d.,]+)?")
    columns = [
        [str(row[place]) for row in shown.rows if str(row[place]) not in ("", DASH, NOT_RUN)]
        for place in range(len(shown.columns))
    ]
    return [bool(cells) and all(pattern.fullmatch(cell) for cell in cells) for cells in columns]
