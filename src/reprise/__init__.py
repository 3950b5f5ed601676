"""Rebuild published image-classification reports: runs, figures, tables and verdicts from raw data."""

__version__ = "0.1.0"
