"""The report of action=compare."""

from reports.suites.compare.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "comparison"
"""The kind of suite that this report can show."""
