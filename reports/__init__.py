"""Reports: tables, figures and words drawn from the records of the result store alone."""

from reports.writing import write

__all__ = ["write"]
