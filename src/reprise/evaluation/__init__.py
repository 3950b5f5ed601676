"""Predictions of trained runs on the test set, their metrics, and the exchange of finished runs."""

from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.exchange import export_runs, import_runs

__all__ = ["evaluate", "export_runs", "import_runs"]
