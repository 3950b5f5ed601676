"""A table as Markdown and as LaTeX."""

import re
from collections.abc import Sequence

import pandas as pd

from reprise.publishing.tables.sheet import Table

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


def markdown(table: Table, caption: str, said: Sequence[str]) -> str:
    """The sentences `said` in bold, the caption, the parts and the notes."""
    blocks = [*(f"**{sentence}**" for sentence in said), caption]
    for title, frame in table.shown.items():
        if title:
            blocks.append(f"**{title}**")
        rule = ["---:" if right else "---" for right in _numeric(frame)]
        lines = [list(frame.columns), rule, *frame.itertuples(index=False)]
        blocks.append("\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines))
    return "\n\n".join([*blocks, *table.notes]) + "\n"


def latex(table: Table, caption: str, said: Sequence[str], label: str) -> str:
    """One `table` environment per part, with booktabs' rules."""
    parts = []
    bold = "".join(rf"\textbf{{{sentence.rstrip('.').translate(LATEX)}.}} " for sentence in said)
    for place, (title, frame) in enumerate(table.shown.items(), 1):
        sentences = [part.rstrip(".") + "." for part in (caption, title, *table.notes) if part]
        text = " ".join(sentence.translate(LATEX) for sentence in sentences)
        escaped = frame.map(lambda cell: str(cell).translate(LATEX)).rename(columns=lambda name: str(name).translate(LATEX))
        parts.append(
            escaped.to_latex(
                index=False,
                escape=False,
                caption=bold + text,
                label=label + (f":{place}" if len(table.shown) > 1 else ""),
                position="htbp",
                column_format=_columns(frame),
            )
        )
    return "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)


def _columns(frame: pd.DataFrame) -> str:
    """LaTeX's formats of the columns; long texts are broken into lines."""
    long = [frame.iloc[:, index].map(lambda cell: len(str(cell))).max() > LONG for index in range(frame.shape[1])]
    width = min(ROOM / 2, ROOM / max(sum(long), 1))
    broken = rf"p{{{width:.2g}\linewidth}}"
    return "".join("r" if right else broken if wide else "l" for right, wide in zip(_numeric(frame), long, strict=True))


def _numeric(frame: pd.DataFrame) -> list[bool]:
    """Whether each column holds only numbers, which stand right; a dash stands for one."""
    pattern = re.compile(r"-?[\d.,]+(e[-+]\d+)?( ± [\d.,]+)?")
    columns = [[str(cell) for cell in frame.iloc[:, index] if str(cell) not in ("", "–")] for index in range(frame.shape[1])]
    return [bool(cells) and all(pattern.fullmatch(cell) for cell in cells) for cells in columns]
