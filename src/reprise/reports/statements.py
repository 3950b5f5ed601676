"""What a report file's statements say: numbers and claims in the report's words, and what measures them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from reprise.reports.base import Selector, Strict


class PickedCells(Strict):
    """Cells of which one run is picked."""

    runs: Selector
    pick: Literal["best"] | None = None


AnyStatement = dict[str, Any]
NamedCells = Annotated[Selector | PickedCells, "cells"]
