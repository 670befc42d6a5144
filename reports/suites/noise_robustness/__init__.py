from reports.suites.noise_robustness.report import build

__all__ = ["build"]
