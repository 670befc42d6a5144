"""The report of suite=accuracy."""

from reports.suites.accuracy.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "trials"
"""The kind of suite that this report can show."""
