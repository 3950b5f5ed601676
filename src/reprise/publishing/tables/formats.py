"""A table as CSV, as Markdown and as LaTeX."""

import csv as csv_files
import io
import math
import re
from collections.abc import Sequence
from typing import Any

from reprise.publishing.tables.sheet import Rows, Table

_GREEK = dict(zip("αβγδεηλμσ", ("alpha", "beta", "gamma", "delta", "epsilon", "eta", "lambda", "mu", "sigma"), strict=True))
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "°": r"\textdegree{}",
        **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
    }
)
"""What LaTeX reads as a command, and signs that not every font has."""
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


def markdown(table: Table, caption: str, said: Sequence[str]) -> str:
    """The sentences `said` in bold, the caption, the parts and the notes."""
    blocks = [*(f"**{sentence}**" for sentence in said), caption]
    for title, shown in table.shown.items():
        if title:
            blocks.append(f"**{title}**")
        rule = ["---:" if right else "---" for right in _numeric(shown)]
        lines = [shown.columns, rule, *shown.rows]
        blocks.append("\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines))
    return "\n\n".join([*blocks, *table.notes]) + "\n"


def latex(table: Table, caption: str, said: Sequence[str], label: str) -> str:
    """One `table` environment per part, with booktabs' rules."""
    parts = []
    bold = "".join(rf"\textbf{{{sentence.rstrip('.').translate(LATEX)}.}} " for sentence in said)
    for place, (title, shown) in enumerate(table.shown.items(), 1):
        sentences = [part.rstrip(".") + "." for part in (caption, title, *table.notes) if part]
        text = " ".join(sentence.translate(LATEX) for sentence in sentences)
        heading, *rows = (" & ".join(str(cell).translate(LATEX) for cell in row) + r" \\" for row in [shown.columns, *shown.rows])
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
    return "".join("r" if right else broken if wide else "l" for right, wide in zip(_numeric(shown), long, strict=True))


def _numeric(shown: Rows) -> list[bool]:
    """Whether each column holds only numbers, which stand right; a dash stands for one."""
    pattern = re.compile(r"-?[\d.,]+(e[-+]\d+)?( ± [\d.,]+)?")
    columns = [[str(row[place]) for row in shown.rows if str(row[place]) not in ("", "–")] for place in range(len(shown.columns))]
    return [bool(cells) and all(pattern.fullmatch(cell) for cell in cells) for cells in columns]
