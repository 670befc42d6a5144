"""The report of suite=diffusion_process."""

from reports.suites.diffusion_process.report import build

__all__ = ["SHOWS", "build"]

SHOWS = "trajectories"
"""The kind of suite that this report can show."""
