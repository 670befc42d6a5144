"""The report of suite=accuracy."""

from reports.suites.accuracy.report import build

__all__ = ["build"]
