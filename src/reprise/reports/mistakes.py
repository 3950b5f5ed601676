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

_WHOSE = re.compile(
    r"^(?P<place>.*?:\d+: )(?:"
    r"experiments\.[^:]*: (?=[a-z_][\w.\[\]*]*: )|experiments: [^:]*: "
    r"|experiments\.[^:]*\.model: (?=no model)"
    r"|(?:[\w.\[\]]+: )?(?:figure|table|statement) [^:]*: )"
)
"""Place, and whose mistake it is: what many have from one line is one mistake."""
_WHICH = re.compile(r"\[\d+\](?=[\w.\[\]]*: )")
_RUN = re.compile(r"\b[0-9a-f]{12}\b")


class Mistakes:
    """Mistakes in the order in which they are found, each as one line, and none twice."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    @property
    def lines(self) -> list[str]:
        return list(self._lines.values())

    def add(self, mistake: RepriseError | str) -> None:
        """Note a mistake, or several that are one error; what follows from one that is noted is none.

        What many experiments or figures take from one line of the file is one mistake.
        """
        if isinstance(mistake, SeveralMistakes):
            for line in mistake.lines:
                self.add(line)
            return
        line = str(mistake)
        if OWN_MISTAKE not in line:
            cause = _WHICH.sub("", _RUN.sub("", _WHOSE.sub(r"\g<place>", line)))
            self._lines.setdefault(cause, line)

    def add_all(self, others: Mistakes) -> None:
        """Note what others have noted."""
        for line in others.lines:
            self._lines.setdefault(line, line)

    @contextlib.contextmanager
    def noting_other_lines(self) -> Iterator[None]:
        """As `noting`, but nothing of lines of the file that are known to be wrong: at another scale the same
        mistake is found again, in other words maybe.
        """
        try:
            yield
        except RepriseError as error:
            known = {_place(line) for line in self.lines}
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
        """Raise what was noted, if anything was."""
        lines = self.lines
        if len(lines) > MOST_SHOWN:
            more = f"{lines[0].split(': ')[0]}: {len(lines) - MOST_SHOWN:,} more mistakes; mend these first"
            lines = [*lines[:MOST_SHOWN], more]
        if len(lines) == 1:
            raise RepriseError(lines[0])
        if lines:
            raise SeveralMistakes(lines)


def _place(line: str) -> str:
    """File and line, with which a mistake begins."""
    return line.partition(": ")[0]
