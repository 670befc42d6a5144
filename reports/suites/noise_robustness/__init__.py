"""The report of suite=noise_robustness."""

from reports.suites.noise_robustness.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "trials"
"""The kind of suite that this report can show."""
