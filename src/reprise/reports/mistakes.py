"""All mistakes of a report file, gathered so that they are shown at once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from reprise.errors import RepriseError, SeveralMistakes

OWN_MISTAKE = "has a mistake of its own; mend that first"
"""What an error says about a name whose own lines are wrong: it is a consequence, and not shown."""
MOST_SHOWN = 100
"""Mistakes that are shown at once."""

_WHICH = re.compile(r"\[\d+\]")
_RUN = re.compile(r"\b[0-9a-f]{12}\b")


class Mistake(RepriseError):
    """What is wrong at one place of a report file: `file:line: key path: what is wrong; what to write`.

    place: file and line. path: the key path, as a message shows it. written: the same path with numbers for
    the items of lists, by which mistakes are told apart: what `repeat` makes of one line is one mistake.
    whose: the experiment, configuration or statement that has it, where the path does not say so.
    """

    def __init__(self, place: str, path: str, said: str, *, written: str = "", whose: str = "") -> None:
        owner = f" ({whose})" if whose else ""
        super().__init__(f"{place}: {path}{owner}: {said}")
        self.place, self.path, self.said, self.whose = place, path, said, whose
        self.written = written or path

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """So that it can come from another process."""
        return RepriseError, (str(self),)


class Mistakes:
    """Mistakes, each as one line, and none twice."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], RepriseError] = {}
        self.consequences: list[str] = []
        """Words of errors that follow from what is noted: a section of names that is none."""

    @property
    def lines(self) -> list[str]:
        return [str(found) for found in self._found.values()]

    @property
    def places(self) -> set[str]:
        """Files and lines that are known to be wrong."""
        return {_place(line) for line in self.lines}

    def add(self, mistake: RepriseError | str) -> None:
        """Note a mistake, or several that are one error; what follows from one that is noted is none.

        What several experiments or statements take from one place of the file is one mistake, and nobody's.
        """
        if isinstance(mistake, SeveralMistakes):
            for line in mistake.lines:
                self.add(line)
            return
        found = RepriseError(mistake) if isinstance(mistake, str) else mistake
        if any(words in str(found) for words in (OWN_MISTAKE, *self.consequences)):
            return
        if not isinstance(found, Mistake):
            self._found.setdefault((_RUN.sub("", str(found)),), found)
            return
        cause = (found.place, _WHICH.sub("", found.written), _WHICH.sub("", _RUN.sub("", found.said)))
        known = self._found.setdefault(cause, found)
        if isinstance(known, Mistake) and known.whose != found.whose:
            both = ", ".join(part for part in known.whose.split(", ") if part in found.whose.split(", "))
            self._found[cause] = Mistake(
                known.place, known.path, known.said, written=known.written, whose=both
            )

    def add_all(self, others: Mistakes) -> None:
        """Note what others have noted."""
        for found in others._found.values():
            self.add(found)

    @contextlib.contextmanager
    def noting_other_lines(self) -> Iterator[None]:
        """As `noting`, but nothing of lines of the file that are known to be wrong: at another scale the same
        mistake is found again, in other words maybe.
        """
        try:
            yield
        except RepriseError as error:
            known = self.places
            for line in error.lines if isinstance(error, SeveralMistakes) else [str(error)]:
                if _place(line) not in known:
                    self.add(line)

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note the `RepriseError` that ends what is done, and go on."""
        try:
            yield
        except RepriseError as error:
            self.add(error)

    def raise_all(self) -> None:
        """Raise what was noted, in the order of the file, if anything was."""
        lines = sorted(self.lines, key=_order)
        if len(lines) > MOST_SHOWN:
            more = f"at least {len(lines) - MOST_SHOWN:,} more mistakes; mend these first"
            lines = [*lines[:MOST_SHOWN], f"{_place(lines[0])}: {more}"]
        if len(lines) == 1:
            raise RepriseError(lines[0])
        if lines:
            raise SeveralMistakes(lines)


def _order(line: str) -> tuple[str, int]:
    """File and line number of a mistake, in whose order mistakes are shown."""
    file, _, number = _place(line).rpartition(":")
    return (file, int(number)) if number.isdigit() else (_place(line), 0)


def _place(line: str) -> str:
    """File and line, with which a mistake begins."""
    return line.partition(": ")[0]
