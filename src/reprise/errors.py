"""The one exception that a user's mistake or a broken input raises."""


class RepriseError(Exception):
    """One line for the user: what is wrong, where, and what to do.

    The command line prints it as `reprise: <message>` without a traceback and exits with status 1, so a
    message names the file (and key path, epoch, line …) and ends with the remedy.
    """
