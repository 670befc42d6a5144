"""The report of suite=corruptions."""

from reports.suites.corruptions.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "corruptions"
"""The kind of suite that this report can show."""
