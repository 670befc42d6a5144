from reports.suites.data_overview.report import build

__all__ = ["build"]
