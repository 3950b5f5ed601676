"""Texts of report files in the formats that are published: what they say stays text, and is never markup."""

import re
import unicodedata
from collections.abc import Sequence

_GREEK = dict(
    zip(
        "αβγδεηλμσ",
        ("alpha", "beta", "gamma", "delta", "epsilon", "eta", "lambda", "mu", "sigma"),
        strict=True,
    )
)
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\char34{}",
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "°": r"\textdegree{}",
        "·": r"$\cdot$",
        "→": r"$\to$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
        **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
    }
)
"""What LaTeX reads as a command, and signs that not every font has."""
_MARKDOWN = re.compile(
    r"[`*\[]|\\(?=[!-/:-@\[-`{-~])"  # code, emphasis, links; a backslash that would escape
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, but not in the middle of a name
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)|~(?=~)|\$"  # HTML, entities, strikethrough; formulas on some pages
)
_BLOCK = re.compile(r"^(?:[#>]|[-+=](?=[\s=-]|$)|\d+(?=[.)](?:\s|$)))")
"""What makes of a line a heading, quotation, rule or list."""


_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of the text that follows."""


def one_line(text: str) -> str:
    """`text` on one line, without control characters, halves of characters, and what turns the direction of
    others.
    """
    kept = (char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs"))
    return " ".join(_TURNS.sub("", "".join(kept)).split())


def latex(text: str) -> str:
    """For a paragraph, a caption, or a cell of a table."""
    shown = one_line(text)
    ahead, rest = (
        (f"{{{shown[0]}}}", shown[1:]) if shown[:1] in ("[", "*") else ("", shown)
    )  # after `\\` these would be its arguments
    return ahead + rest.translate(_LATEX)


def markdown(text: str) -> str:
    """For a paragraph, or what stands in one. Bars are left: only in tables do they mean something (see
    `markdown_row`).
    """
    escaped = _MARKDOWN.sub(lambda found: f"\\{found[0]}", one_line(text))
    return _BLOCK.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", escaped)


def markdown_code(text: str) -> str:
    """As code, in more backticks than it holds itself."""
    shown = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown}{room}{fence}"


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a table, of cells that are Markdown already."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
