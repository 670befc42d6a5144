"""The report of suite=synthetic_training."""

from reports.suites.synthetic_training.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "synthetic_training"
"""The kind of suite that this report can show."""
