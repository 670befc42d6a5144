from reports.suites.compare.report import build

__all__ = ["build"]
