"""The one exception that a user's mistake or a broken input raises."""

from pathlib import Path


class RepriseError(Exception):
    """One line for the user: what is wrong, where, and what to do.

    The command line prints it as `reprise: <message>` without a traceback and exits with status 1, so a
    message names the file (and key path, epoch, line …) and ends with the remedy.
    """


class DamagedError(RepriseError):
    """A file whose content is not what its record says: `what` is wrong, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what, self.remedy = what, remedy


def file_error(error: OSError, path: Path | str | None = None) -> str:
    """What the system says about a file, as one line; `path` where the error itself names none."""
    where = error.filename or path
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return f"{where}: {reason}; check the path and its permissions" if where else f"{reason}; check the disk and the permissions"
