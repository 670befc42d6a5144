"""The report of suite=shift."""

from reports.suites.shift.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "shift"
"""The kind of suite that this report can show."""
