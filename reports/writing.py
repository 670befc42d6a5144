"""A finished report on disk: report.md, report.html, records.csv, tables/ and figures/, all of them or none."""

import contextlib
import ctypes
import errno
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.store import sums
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER
from benchmarks.store.results import Results
from reports import catalogue
from reports.numbers.curves import CLASS_MEAN, method_order
from reports.paper import html, latex, markdown, outline
from reports.paper.document import Bullets, Document, Paragraph, write_numbers
from reports.sections import browser

STALE_SECONDS = 3600.0
KILLED_SECONDS = 60.0
"""Seconds after which a report that was moved aside for a moment is known to have been left there by a killed run."""
FORMER = "former"
AT_FDCWD, EXCHANGE = -100, 2
"""Of renameat2: paths are relative to the working directory; the two change places."""


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
        _tell_missing(document, results)
        browser.add(document, results)
        document.methods, document.classes = _filtered_by(results)
        write_records(results, drawn / "records.csv")
        write_document(document, drawn)
        _add_sums(drawn)
        drawn.chmod(0o755)
        _put(drawn, folder)
    finally:
        shutil.rmtree(drawn, ignore_errors=True)
    return folder / "report.md"


def _add_sums(drawn: Path) -> None:
    """Write the SHA-256 of every file beside it, by which action=verify finds a report that was damaged."""
    for folder in sorted({path.parent for path in drawn.rglob("*") if path.is_file()}):
        sums.add(folder, {path.name: sums.sha256(path) for path in sorted(folder.iterdir()) if path.is_file()})
        (folder / f".{sums.NAME}.lock").unlink(missing_ok=True)


def _filtered_by(results: Results) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the methods, and of the classes where a data set has several, as the report's tables have them."""
    titles = {trial.config.method.name: trial.label for trial in results.trials}
    methods = dict.fromkeys(titles.get(name, name) for name in method_order(results))
    several = [trial.config.dataset.class_names for trial in results.trials if trial.config.dataset.classes > 2]
    classes = dict.fromkeys(name for names in several for name in names)
    return tuple(methods), (*classes, "pooled", CLASS_MEAN) if classes else ()


def _tell_missing(document: Document, results: Results) -> None:
    """Say before anything else what was asked for and is not in the report."""
    if results.missing:
        document.blocks[:0] = [
            Paragraph(
                "**Not in this report**, though it was asked for (the command without `action=report` makes it):"
            ),
            Bullets(tuple(results.missing)),
        ]


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


def link(latest: Path, folder: Path) -> None:
    """Let the path `latest` lead to a report in a folder beside it, in one step. A report that lies there itself, of a
    version that named none, becomes NAME-former. Does nothing where the file system knows no links."""
    if latest == folder:
        return
    place = Path(tempfile.mkdtemp(prefix=f".{latest.name}-", dir=latest.parent))
    try:
        os.symlink(folder.name, place / "link")
        if latest.is_dir() and not latest.is_symlink():
            os.rename(latest, _free(latest.with_name(f"{latest.name}-former")))
        os.replace(place / "link", latest)
    except PermissionError:
        return
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _free(path: Path) -> Path:
    """This path, or with a number where something lies there."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _put(drawn: Path, folder: Path) -> None:
    """Move the drawn report to its place, so that at any moment the former or the new one stands there."""
    try:
        os.rename(drawn, folder)  # nothing there yet, or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(drawn, folder):
            _replace(drawn, folder)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change their places in one step (Linux: renameat2). False where that cannot be done."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0


def _replace(drawn: Path, folder: Path) -> None:
    """The same in two steps, where there is no exchange: the former report is moved aside first, and comes back
    should the second step fail, or from `_remove_stale` where the run was killed in between."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, aside / FORMER)
        try:
            os.rename(drawn, folder)
        except OSError:
            if not folder.exists():
                os.rename(aside / FORMER, folder)
                raise
            # Another run put its report here in between, drawn from the same store: its report is as good as ours.
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    """What a killed run left behind; a run still at work is younger than that. A former report that it had moved aside
    comes back."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(OSError):
            age = time.time() - left.stat().st_mtime
            if age > KILLED_SECONDS and (left / FORMER).is_dir() and not folder.exists():
                os.rename(left / FORMER, folder)
            if age > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
