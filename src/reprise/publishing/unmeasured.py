"""Results of versions that did not measure yet what is asked for."""

from reprise.errors import RepriseError
from reprise.publishing.statements import NotRun


class NotMeasured(NotRun, RepriseError):
    """A run has a result without the metric: a statement is not run, a figure or table is refused in one
    line.
    """
