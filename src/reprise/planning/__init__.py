"""What reports cost before anything starts: runs, epochs, images, minutes on this machine, disk; and
afterwards how good that was.
"""

from reprise.planning.calibration import Calibration
from reprise.planning.description import describe, describe_comparison
from reprise.planning.estimates import compare, plan
from reprise.planning.storage import disk
from reprise.planning.work import work_of

__all__ = ["Calibration", "compare", "describe", "describe_comparison", "disk", "plan", "work_of"]
