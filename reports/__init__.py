"""Reports: tables, figures and words drawn from the records of the result store alone.

numbers: statistics, curves, comparisons. paper: what a report consists of, and how it is rendered. sections: what
several reports share. suites: one report each, a module or a package with `build(results, folder) -> Document`.
writing: a report on disk. Each imports only from those before it. catalogue: which reports there are. Importing this
package loads no library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.catalogue import check, names

if TYPE_CHECKING:
    from benchmarks.store.results import Results

__all__ = ["check", "link", "names", "write"]


def write(results: Results, folder: Path) -> Path:
    """Draw the report of a suite into `folder`, replacing what is there, and return the path of report.md.

    Which report: `results.suite["report"]`, else the one named like the suite. Raises ValueError where there is none.
    """
    # Drawing libraries take a second to load, which commands that draw nothing need not spend.
    from reports import writing

    return writing.write(results, folder)


def link(latest: Path, folder: Path) -> None:
    """Let the path `latest` lead to the report in `folder` beside it, see `reports.writing.link`."""
    from reports import writing

    writing.link(latest, folder)
