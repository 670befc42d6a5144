"""A finished report on disk: report.md, report.html, records.csv, tables/ and figures/, all of them or none."""

import contextlib
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER
from benchmarks.store.results import Results
from reports import catalogue
from reports.paper import html, latex, markdown, outline
from reports.paper.document import Document, write_numbers
from reports.sections import browser

STALE_SECONDS = 3600.0


def write(results: Results, folder: Path) -> Path:
    """Draw the report of a suite into `folder`, replacing what is there, and return the path of report.md.

    Everything is drawn beside `folder` and put in its place at the end, so a killed run leaves the former report, and
    whatever else lay in `folder` goes. Raises ValueError for a suite that has no report.
    """
    folder = Path(folder)
    build = _builder(str(results.suite.get("report") or results.suite.get("name")))
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    drawn = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        document = build(results, drawn)
        browser.add(document, results)
        write_records(results, drawn / "records.csv")
        write_document(document, drawn)
        drawn.chmod(0o755)
        _put(drawn, folder)
    finally:
        shutil.rmtree(drawn, ignore_errors=True)
    return folder / "report.md"


def write_document(document: Document, folder: Path) -> None:
    """A document whose figures are drawn in `folder` in all its forms: report.md, report.html, and every table and the
    numbers behind every figure beside them. Raises ValueError when two tables share a name."""
    write_numbers(document, folder)
    latex.write(document, folder)
    outline.write(document, folder)
    (folder / "report.md").write_text(markdown.render(document), encoding="utf-8")
    (folder / "report.html").write_text(html.render(document, folder), encoding="utf-8")


def write_records(results: Results, path: Path) -> None:
    """Every record the report used, in a fixed order of columns and rows."""
    records = results.records
    columns = [*RECORD_COLUMNS, *(name for name in records.columns if name not in RECORD_COLUMNS)]
    records = records.reindex(columns=columns).sort_values([*RECORD_ORDER, "trial"], kind="stable")
    records.to_csv(path, index=False)


def _builder(report: str) -> Callable[[Results, Path], Document]:
    """`build` of the report of this name. Raises ValueError where there is none."""
    catalogue.check(report)
    return importlib.import_module(f"reports.suites.{report}").build


def _put(drawn: Path, folder: Path) -> None:
    """Move the drawn report to its place. A folder with content cannot be replaced in one step, so the former one is
    moved aside first; it comes back should the second step fail."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    former = aside / "former"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, former)
        try:
            os.rename(drawn, folder)
        except OSError:
            if not folder.exists():
                os.rename(former, folder)
                raise
            # Another run put its report here in between, drawn from the same store: its report is as good as ours.
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    """What a killed run left behind; a run still at work is younger than that."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
