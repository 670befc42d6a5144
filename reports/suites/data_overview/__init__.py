"""The report of suite=data_overview."""

from reports.suites.data_overview.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "overview"
"""The kind of suite that this report can show."""
