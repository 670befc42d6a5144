"""The report of suite=synthesis."""

from reports.suites.synthesis.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "synthesis"
"""The kind of suite that this report can show."""
