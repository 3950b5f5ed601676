"""What reports cost before anything starts: runs, epochs, images, minutes on this machine, disk; and
afterwards how good that was. Which runs settle most statements in a given time.
"""

from reprise.planning.agenda import Agenda
from reprise.planning.calibration import Calibration
from reprise.planning.description import (
    describe,
    describe_comparison,
    describe_left,
    describe_loads,
    describe_spent,
    describe_step,
    describe_steps,
)
from reprise.planning.estimates import compare, plan
from reprise.planning.priority import AgendaStep, Aim, AimStage, order
from reprise.planning.spending import Budget, InTime, OutOfTime, Spent, Worked, spend
from reprise.planning.storage import disk
from reprise.planning.work import work_of

__all__ = [
    "Agenda",
    "AgendaStep",
    "Aim",
    "AimStage",
    "Budget",
    "Calibration",
    "InTime",
    "OutOfTime",
    "Spent",
    "Worked",
    "compare",
    "describe",
    "describe_comparison",
    "describe_left",
    "describe_loads",
    "describe_spent",
    "describe_step",
    "describe_steps",
    "disk",
    "order",
    "plan",
    "spend",
    "work_of",
]
