"""The report of suite=uncertainty."""

from reports.suites.uncertainty.report import build

__all__ = ["build"]
