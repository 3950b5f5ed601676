"""What YAML says of a text that it cannot read, in the words of the person who wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reprise.errors import gist, nearest

if TYPE_CHECKING:
    import yaml

COLON = "a text with ': ' in it needs quotes around it"


def yaml_mistake(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """The line, from 1 (0 where none is known), and what is wrong there and what to write instead."""
    problem, context = (getattr(error, name, None) or "" for name in ("problem", "context"))
    mark, start = (getattr(error, name, None) for name in ("problem_mark", "context_mark"))
    if mark is None:  # a character that no YAML may have
        position = getattr(error, "position", 0)
        return text.encode()[:position].count(b"\n") + 1, f"{gist(error).split(':')[0]}; leave it out"
    lines = [*text.splitlines(), ""]
    number, column = mark.line + 1, mark.column
    line = lines[min(mark.line, len(lines) - 1)]
    before, rest = line[:column], line[column:]
    opened = start.line + 1 if start else number

    ended = next((place for place, each in enumerate(lines, 1) if re.match(r"\.\.\.\s*\Z", each)), 0)
    if "document start" in problem and ended and ended < number + 1:
        return ended, "the line ... ends what is read; leave it out"
    directive = next((place for place, each in enumerate(lines, 1) if each.startswith("%")), 0)
    if directive and directive <= number and ("document start" in problem or "directive" in context):
        return directive, "a line that begins with % is no part of a report file; leave it out"
    odd = next((place for place, each in enumerate(lines, 1) if re.match(r"\s*\u00a0", each)), 0)
    if odd:
        return odd, "a no-break space at the beginning; indent with plain spaces"
    if "\t" in line[: len(line) - len(line.lstrip())] or rest.startswith("\t"):
        return number, "a tab; indent with spaces"
    if "block scalar" in context and start:
        value = _alone(lines[start.line], start.column)
        what = f"a value that begins with {value[0]} needs quotes around it: {_quoted(value)}"
        return opened, what
    if "mapping values are not allowed" in problem:
        if ": " in before:
            return number, COLON
        return _key_without_space(lines, mark.line) or (
            number,
            "indented too deep, or the line above it already has a value; line up the keys of one mapping",
        )
    sign = re.search(r"(?:^|[\s\[{,])([*&?!])[^\s]*\s?\Z", before) or re.match(r"()[*&?!]", rest)
    if sign and ("alphabetic" in problem or "mapping keys are not" in problem or "tag" in context):
        value = _alone(line, sign.start(1) if sign[1] else column)
        return number, f"a text that begins with {value[:1]} needs quotes around it: {_quoted(value)}"
    if "mapping keys are not" in problem or "alphabetic" in problem:
        return number, f"{(rest or before).strip()!r} cannot stand here; put the text in quotes"
    if "unexpected ':'" in problem:
        key = re.search(r"[\w.-]+\Z", before)
        named = f"the key {key[0]} has no value" if key else "a colon without a key"
        return (
            number,
            f"{named} in these braces; write {key[0] if key else 'key'}: and a value, or leave it out",
        )
    if "second occurrence" in problem:
        anchor = re.match(r"&\S+", rest)
        return number, f"{anchor[0] if anchor else 'an anchor'} stands twice; rename one of them"
    if "place of a key" in problem:
        return number, f"{problem}; write a text before the colon"
    if "hexdecimal" in problem or "Unicode character" in problem:
        return number, "a backslash in double quotes; put the text in single quotes"
    if problem.startswith("not a value"):
        tag = re.match(r"!\S*", rest)
        return number, f"the value does not fit {tag[0] if tag else 'its tag'}; leave the tag out"
    if "could not find expected ':'" in problem:
        return opened, f"{lines[opened - 1].strip()!r} is no key with a value; write key: value"
    if "expected ',' or" in problem:
        if rest.startswith("[") and opened == number and re.search(r"\w\Z", before):
            value = _quoted(re.split("[,}]", before.rpartition(": ")[2] + rest)[0])
            return number, f"in braces a text with a bracket in it needs quotes around it: {value}"
        if rest.startswith(":") and opened == number:
            return number, COLON
        call = re.search(r": ([a-z_]+\((?:(?!, \w+: )[^}])*)", lines[number - 1])
        if call and "[" in call[1]:
            return number, f"in braces an expression needs quotes around it: {_quoted(call[1].rstrip())}"
        bracket = lines[opened - 1][start.column] if start else "["
        unquoted = re.sub(r"\"[^\"]*\"|'[^']*'", "", lines[opened - 1])
        comment = re.search(r"\s(#\S+)", unquoted)
        if comment:
            what = f"the {bracket} that opens here is not closed, since # begins a comment"
            return opened, f"{what}; put {comment[1].rstrip('}],')} in quotes"
        return opened, f"the {bracket} that opens here is not closed, or a comma is missing in it; mend it"
    if "quoted scalar" in context and "end of stream" in problem:
        return opened, "the quote that opens here is not closed; close it"
    if "unknown escape" in problem:
        return number, "a backslash in double quotes; put the text in single quotes"
    if "expected key" in problem and re.search(r"[:-] \*\w+ \Z", before):
        return number, "a text that begins with * needs quotes around it"
    if "expected key" in problem:
        opening = _line_of_open_quote(lines, mark.line)
        if before.rstrip().endswith(("'", '"')) and opening:
            return opening, "the quote that opens here is closed on a later line; close it here"
        if before.rstrip().endswith(("'", '"')):
            return number, f"{rest.strip()!r} stands after the closing quote; put the whole text in quotes"
        if not before.strip() and rest.startswith("- "):
            return number, "an item of a list among the keys of a mapping; indent it below its key"
        if not before.strip():
            return number, "indented as no line above it; line up the keys of one mapping"
        return number, f"{rest.strip()!r} is too much here; leave it out, or put the text in quotes"
    if "expected '-' indicator" in problem:
        return number, "not an item of the list above it; begin it with '- ', or indent it as the list's key"
    if "undefined alias" in problem:
        alias = re.match(r"\*([\w-]+)", rest)
        name = alias.group(1) if alias else ""
        hint = nearest(name, dict.fromkeys(re.findall(r"(?<!\w)&([\w-]+)", text)))
        hint = hint or "; a text that begins with * needs quotes around it"
        return number, f"undefined alias *{name}{hint}"
    if "another document" in problem:
        return number, "a second document begins here; a report file is one, leave the line --- out"
    if "cannot start any token" in problem:
        return (
            number,
            f"a text that begins with {rest[:1]} needs quotes around it: {_quoted(_alone(rest, 0))}",
        )
    if "constructor for the tag" in problem:
        tag = re.match(r"!\S*", rest)
        name = tag.group(0) if tag else rest.split()[0] if rest.split() else "this"
        return (
            number,
            f"{name} is a YAML tag, and none is known here; leave it out, or put the text in quotes",
        )
    if "sequence entries are not allowed" in problem:
        return number, "a list begins on the line below its key, or stands in brackets: [a, b]"
    if "for merging" in problem:
        return number, "<< takes a mapping that has an anchor, as in <<: *name; write the keys out"
    if "expected node content" in problem:
        return number, f"{rest[:1] or 'nothing'!r} where a value is due; write the value, or put it in quotes"
    if "; " in problem:  # in words of our own
        return number, problem
    shown = rest.strip() or before.strip() or "this line"
    return number, f"{shown[:60]!r} cannot be read as YAML; put the text in quotes, or leave it out"


def _key_without_space(lines: list[str], place: int) -> tuple[int, str] | None:
    """The line above which is no key and value because there is no space after its colon."""
    above = next((number for number in range(place - 1, -1, -1) if lines[number].strip()), None)
    if above is None or not re.match(r"\s*(- )?[\w.-]+:\S", lines[above]):
        return None
    return above + 1, f"{lines[above].strip()!r} has no space after its colon; write key: value"


def _alone(line: str, column: int) -> str:
    """The value that begins at that column, without the braces and brackets that close around it."""
    value = line[column:].strip()
    for opening, closing in ("{}", "[]"):
        while value.endswith(closing) and value.count(closing) > value.count(opening):
            value = value[:-1].rstrip()
    return value


def _line_of_open_quote(lines: list[str], place: int) -> int:
    """The line, from 1, of a key above that one whose text in double quotes has no end on it; 0 where none
    has.
    """
    for number in range(place - 1, -1, -1):
        value = re.search(r':\s+"((?:[^"\\]|\\.)*)\Z', lines[number])
        if value and lines[number].count('"') % 2:
            return number + 1
    return 0


def _quoted(value: str) -> str:
    """A value in the quotes that it needs."""
    value = re.sub(r"\s+#.*", "", value)[:60]
    return f'"{value}"' if '"' not in value else "'" + value.replace("'", "''") + "'"
