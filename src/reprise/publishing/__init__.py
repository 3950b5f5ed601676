"""Figures, tables, statements and their verdicts, made from tidy results; no torch in this room."""

MARKS = {"full": "", "quick": "QUICK – fewer epochs, seeds or images than the report", "demo": "DEMO – synthetic data"}
"""What every figure and table says on its face at each scale."""
