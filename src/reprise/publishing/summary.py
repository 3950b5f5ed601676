"""What has been measured of several reports, in one block of Markdown: how much is evidence, how many
statements have which verdict, and the findings worth a minute, which a rule chooses.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import TextWrapper
from typing import TypeVar

from reprise.errors import RepriseError
from reprise.files import atomic, read_bytes
from reprise.publishing import MARKS
from reprise.publishing.evidence import Evidence
from reprise.publishing.markup import markdown, markdown_code, markdown_row
from reprise.publishing.numbers import bound_of
from reprise.publishing.statements import Outcome
from reprise.publishing.verdicts import Verdict

Item = TypeVar("Item")

MOST_FINDINGS = 8
TALLY: dict[str, tuple[Verdict, ...]] = {
    "number": ("reproduced", "differs", "not run"),
    "claim": ("reproduced", "undecided", "contradicted", "not run"),
}
"""Kind of statement → its verdicts, as the tally has them."""
BEGIN = "<!-- summary: begin (make readme) -->"
END = "<!-- summary: end -->"
"""Between these a file has the block that `write_block` replaces."""
WIDEST = 118
"""Characters of a line of a list."""
MOST_PAGE = 1 << 24
"""Bytes of a file that a block is written into."""


def summary(
    outcomes: Mapping[str, Sequence[Outcome]],
    evidence: Mapping[str, Evidence],
    whole: Evidence,
    scale: str,
    most_findings: int = MOST_FINDINGS,
) -> str:
    """The block, without a line break at its end.

    outcomes, evidence: of each report, by its slug. whole: the evidence of all, in which a run that two
    reports share counts once. most_findings: 0 leaves the tally alone.
    """
    lines = [f"> **{MARKS[scale]}.** Only verdicts at scale full judge a report.", ""] if MARKS[scale] else []
    lines += [*_lines(f"Evidence at scale {scale}: {markdown(whole.words())}."), ""]
    lines += [*_tally(outcomes, evidence, whole), ""]
    found = findings([(slug, one) for slug, each in outcomes.items() for one in each], most_findings)
    if found:
        lines += [*_lines(rule(most_findings)), ""]
        lines += [_finding(slug, outcome) for slug, outcome in found]
    elif most_findings:
        lines.append("No statement has a verdict yet.")
    return "\n".join(lines).rstrip("\n")


# ---- the tally ----


def _tally(
    outcomes: Mapping[str, Sequence[Outcome]], evidence: Mapping[str, Evidence], whole: Evidence
) -> list[str]:
    """One row per report, and their sum."""
    verdicts = [(kind, verdict) for kind, all_ in TALLY.items() for verdict in all_]
    heads = ["report", "runs"]
    for kind, (first, *others) in TALLY.items():
        heads += [f"{kind}s: {first}", *others]

    def row(name: str, of: Evidence, found: Counter[tuple[str, Verdict]]) -> str:
        runs = f"{of.done:,} of {of.needed:,}"
        counts = [str(found[which]) if which in found else "–" for which in verdicts]
        return markdown_row([name, runs, *counts])

    lines = [markdown_row(heads), "|---|" + "---:|" * (len(heads) - 1)]
    total: Counter[tuple[str, Verdict]] = Counter()
    for slug, each in outcomes.items():
        found = Counter((one.statement.kind, one.judgement.verdict) for one in each if not one.follows)
        total += found
        lines.append(row(f"`{slug}`", evidence[slug], found))
    if len(outcomes) > 1:
        lines.append(row("**all**", whole, total))
    return lines


# ---- findings ----

_RULE = (
    "The findings worth a minute (at most {most}) are chosen by a rule. First come contradicted claims, "
    "starting with those that hold in the fewest draws. Then come numbers that differ, starting with those "
    "furthest from their interval. Last come reproduced statements on what a network achieves, starting with "
    "those that the seeds settle best for the size of the effect."
)


def rule(most: int = MOST_FINDINGS) -> str:
    """By what rule the findings, at most so many, are chosen."""
    return _RULE.format(most=most)


def findings(outcomes: Sequence[tuple[str, Outcome]], most: int = MOST_FINDINGS) -> list[tuple[str, Outcome]]:
    """The statements worth a reader's minute, of (report, outcome) pairs, as `rule` says; statements that
    others settle are left out.
    """

    def place(pair: tuple[str, Outcome]) -> tuple[int, float] | None:
        judgement = pair[1].judgement
        found = importance(judgement.verdict, judgement.share, judgement.distance, strength(pair[1]))
        return None if pair[1].follows else found

    return worth_a_minute(outcomes, place, most)


def worth_a_minute(
    items: Sequence[Item], place: Callable[[Item], tuple[int, float] | None], most: int = MOST_FINDINGS
) -> list[Item]:
    """The `most` first of the items by their places; those without one are left out. Of equals the first."""
    placed = [(found, item) for item in items if (found := place(item)) is not None]
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])[:most]]


def importance(verdict: str, share: float, distance: float, strength: float) -> tuple[int, float] | None:
    """What statements worth a minute are sorted by; None for others: contradicted claims by the share of
    draws in which they hold; numbers that differ by how many half-widths of its interval the reported one
    lies from its middle; then what is reproduced, by its strength. Not a number is last.
    """
    match verdict:
        case "contradicted":
            return 0, _last_if_nan(share)
        case "differs":
            return 1, _last_if_nan(-distance)
        case "reproduced" if strength > 0:
            return 2, -strength
    return None


def strength(outcome: Outcome) -> float:
    """How large what was measured is beside what its seeds leave open: a claim's difference in units of what
    they settle, a number in units of its interval's half-width; 0 where there is nothing to compare, and of
    numbers that say nothing of what a network achieves (parameters, epochs, images).
    """
    statement, judgement = outcome.statement, outcome.judgement
    if statement.relation is not None:
        return 0.0 if math.isnan(judgement.distance) else judgement.distance
    achieved = [measure.better is not None for measure in statement.value.measures]
    if not (achieved and all(achieved) and 0 < judgement.settles < math.inf):
        return 0.0
    return abs(float(bound_of(statement.reported)[1])) / judgement.settles


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _finding(slug: str, outcome: Outcome) -> str:
    """An item of a list."""
    statement, judgement = outcome.statement, outcome.judgement
    text = markdown(statement.text or statement.id)
    source = f"`{slug}`" + (f", {markdown(statement.source)}" if statement.source else "")
    seeds = f"{judgement.n} seed{'s' * (judgement.n != 1)}"
    if statement.relation is None:
        reported = ("about " if statement.about else "") + statement.reported
        spread = f" ± {judgement.spread}" if judgement.spread else ""
        measured = markdown(f"Reported {reported}, measured {judgement.measured}{spread} ({seeds}).")
        why = f" {markdown(judgement.reason.rstrip('.'))}."
    else:
        reading = f"Read as: {markdown(statement.reading.rstrip('.'))}." if statement.reading else ""
        must = reading or f"What must hold: {markdown_code(statement.expression)}."
        least = judgement.spread
        settled = f", where these seeds can show differences above {least}" if least else ""
        measured = f"{must} Measured: {markdown(judgement.measured + settled)} ({seeds})."
        finite = math.isfinite(judgement.share)
        why = f" It holds in {100 * judgement.share:.1f} % of the draws." if finite else ""
    return _wrapped(
        f"- **{judgement.verdict}**: {text} ({source}). {measured[:1].upper()}{measured[1:]}{why}"
    )


def _lines(text: str) -> list[str]:
    """A paragraph as lines."""
    return _wrapped(text, indent="").split("\n")


_MARKUP = re.compile(r" (?=[-+*=>#|~]|\d+[.)](?: |$))")
"""Spaces before what would be markup if it began a line."""


def _wrapped(text: str, indent: str = "  ") -> str:
    """A paragraph, or an item of a list, over several lines, none of which begins with markup."""
    start, kept = text[: len(indent)], _MARKUP.sub("\0", text[len(indent) :])
    wrap = TextWrapper(
        WIDEST - len(indent), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return start + wrap.fill(kept).replace("\0", " ")


# ---- into a page ----

_MARKER = re.compile(f"^({re.escape(BEGIN)}|{re.escape(END)})[ \t]*(?=\r?$)", re.MULTILINE)
"""A line of its own: what a report says may hold a marker, too, and stands in a row of a table."""


def block_of(text: str, name: str) -> str:
    """What stands between the markers in the text of a page; a page without them, or with several, is a
    `RepriseError` that starts with `name`.
    """
    start, end = _between(text, name)
    return text[start:end].strip("\r\n")


def read_page(path: Path) -> str:
    """The text of a page that has the markers; another file is a `RepriseError`."""
    try:
        text = read_bytes(path, MOST_PAGE).decode("utf-8")
    except ValueError:
        raise RepriseError(f"{path}: is not a text in UTF-8; give a page of Markdown") from None
    _between(text, str(path))
    return text


def write_block(path: Path, block: str) -> None:
    """Put `block` between the markers in a file, whose other text stays what it is. A file without the
    markers, or with several, is a `RepriseError` and stays as it is.
    """
    text = read_page(path)
    start, end = _between(text, str(path))
    break_ = "\r\n" if "\r\n" in text else "\n"
    made = text[:start] + f"\n{block}\n".replace("\n", break_) + text[end:]
    if made != text:
        with atomic(path) as partial:
            partial.write_bytes(made.encode("utf-8"))


def _between(text: str, name: str) -> tuple[int, int]:
    """Where the block starts and ends."""
    found = list(_MARKER.finditer(text))
    counts = [sum(one[1] == marker for one in found) for marker in (BEGIN, END)]
    if [one[1] for one in found] == [BEGIN, END]:
        return found[0].end(), found[1].start()
    raise RepriseError(
        f"{name}: needs the lines {BEGIN} and {END}, once each and in this order, and has "
        f"{counts[0]} of the first and {counts[1]} of the second; write them where the summary shall stand"
    )
