"""The report of suite=uncertainty."""

from reports.suites.uncertainty.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "uncertainty"
"""The kind of suite that this report can show."""
