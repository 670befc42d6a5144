"""The report of action=compare."""

from reports.suites.compare.report import build

__all__ = ["build"]
