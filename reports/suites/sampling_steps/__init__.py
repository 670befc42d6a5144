"""The report of suite=sampling_steps."""

from reports.suites.sampling_steps.report import build

__all__ = ["build"]
