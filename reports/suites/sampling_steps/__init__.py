"""The report of suite=sampling_steps."""

from reports.suites.sampling_steps.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "trials"
"""The kind of suite that this report can show."""
