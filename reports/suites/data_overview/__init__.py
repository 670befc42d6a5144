"""The report of suite=data_overview."""

from reports.suites.data_overview.report import build

__all__ = ["build"]
