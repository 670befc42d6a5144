from reports.suites.uncertainty.report import build

__all__ = ["build"]
