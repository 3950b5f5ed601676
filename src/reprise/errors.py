"""The one exception that a user's mistake or a broken input raises, and the words for its message."""

import errno
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

LONGEST = 4000
"""Characters of a message; what is longer loses its middle."""
LONGEST_NAME = 200
"""Characters of a word for which one like it is looked for."""

MANY = 9
"""Valid words that are more than these are not worth listing where a shortened one tells which is meant."""
SHORTEST = 3
"""Characters of a word that counts as shortened."""


class RepriseError(Exception):
    """One line for the user: what is wrong, where, and what to do.

    The command line prints it as `reprise: <message>` without a traceback and exits with status 1, so a
    message names the file (and key path, epoch, line …) and ends with the remedy. Names and values from files
    stand in it as `printable` has them.
    """

    def __init__(self, message: str) -> None:
        text = printable(message)
        super().__init__(
            text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
        )


def printable(text: str) -> str:
    """`text` as one line that cannot command a terminal: line breaks, control characters, changes of
    direction and the like as escapes.
    """
    if text.isprintable():
        return text
    kept = (char.isprintable() or unicodedata.category(char) == "Zs" for char in text)
    return "".join(
        char if keep else char.encode("unicode_escape").decode()
        for char, keep in zip(text, kept, strict=True)
    )


def gist(error: BaseException) -> str:
    """What a library's exception says, short enough to stand inside a message; its type where it says
    nothing.
    """
    return " ".join(str(error).split())[:200] or type(error).__name__


class DamagedError(RepriseError):
    """A file whose content is not what its record says: `what` is wrong, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what, self.remedy = what, remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """So that it can come from another process."""
        return type(self), (self.what, self.remedy)


class UnwritableError(RepriseError):
    """A place where the system does not let this user write: `what` cannot be written, and why; then the
    remedy.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; use a folder of your own (--results): copy there what you need, or import the runs"
        )
        self.what = what

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.what,)


class SeveralMistakes(RepriseError):
    """Several mistakes found at once; its message has a line for each, which is one of `lines`."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = [str(RepriseError(line)) for line in lines]
        Exception.__init__(self, "\n".join(self.lines))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        """So that it can come from another process."""
        return type(self), (self.lines,)


def file_error(error: OSError, path: Path | str | None = None) -> str:
    """What the system says about a file, as one line; `path` where the error itself names none."""
    where = error.filename or path
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    if not where:
        return f"{reason}; check the disk and the permissions"
    if error.errno == errno.ENAMETOOLONG:
        return f"{where}: {reason}; use shorter names, or a folder nearer to the root"
    if error.errno == errno.EACCES and (owner := other_owner(where)):
        return f"{where}: {reason}; it belongs to {owner}, who can give you the right to it (chmod)"
    return f"{where}: {reason}; check the path and its permissions"


def other_owner(path: Path | str) -> str:
    """Whom a file or folder, or the nearest folder above it that can be seen, belongs to; empty where that is
    this user.
    """
    place = Path(path)
    for each in (place, *place.parents):
        try:
            owner = each.stat().st_uid
        except OSError:
            continue
        if owner == os.geteuid():
            return ""
        try:
            return each.owner()
        except (KeyError, OSError):
            return f"user {owner}"
    return ""


def nearest(word: Any, valid: Iterable[Any]) -> str:
    """`; did you mean …?` where something valid is near `word`, else `; valid: …`."""
    import difflib

    options = [each for each in dict.fromkeys(map(str, valid)) if each != word]
    short = len(str(word)) <= LONGEST_NAME  # comparing long texts takes long
    plain = {_plain(option): option for option in reversed(options)}
    found = difflib.get_close_matches(_plain(str(word)), plain, n=1, cutoff=0.6) if short else []
    if found:
        also = [option for key, option in plain.items() if _shortened(str(word), key)]
        if len(also) > 1 and _shortened(str(word), found[0]):
            return f"; did you mean {' or '.join(reversed(also))}?"
        return f"; did you mean {plain[found[0]]}?"
    longer = [option for key, option in plain.items() if short and _shortened(str(word), key)]
    if len(longer) == 1 and len(options) > MANY:
        return f"; did you mean {longer[0]}?"
    return f"; valid: {', '.join(options)}" if options else ""


def _shortened(word: str, whole: str) -> bool:
    """Whether a word is the beginning of another, as `acc` of `accuracy`."""
    return len(word) >= SHORTEST and whole != _plain(word) and whole.startswith(_plain(word))


def _plain(word: str) -> str:
    """A word without what people write differently: capitals, and what stands between its parts."""
    return word.lower().replace("-", "_").replace(" ", "_")
