"""The report of suite=diffusion_process."""

from reports.suites.diffusion_process.report import build

__all__ = ["build"]
