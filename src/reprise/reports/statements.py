"""What a report file's statements say: numbers and claims in the report's words, and what measures them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from reprise.reports.values import Selector, Text
from reprise.schema import Strict


class PickedCells(Strict):
    """Cells of which one run is picked."""

    runs: Selector
    pick: Literal["best"] | None = None
    label: Text | None = None
    """For readers."""


AnyStatement = dict[str, Any]
NamedCells = Annotated[Selector | PickedCells, "cells"]
