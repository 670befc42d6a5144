"""Tables as LaTeX: what `\\input` takes in a document that loads booktabs, graphicx and longtable."""

import re
import unicodedata
from pathlib import Path

import pandas as pd

from reports.paper.document import Document, Table, numeric, spans, text_of

LONG = 40
"""Rows from which a table may break across pages."""
WIDE_TEXT = 45
"""Letters from which a column of words is set in lines."""
SYMBOLS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\u2212": "$-$", "\u00b1": r"$\pm$", "\u00d7": r"$\times$",
    "\u2265": r"$\geq$", "\u2264": r"$\leq$", "\u2260": r"$\neq$", "\u2248": r"$\approx$", "\u221e": r"$\infty$",
    "\u00b7": r"$\cdot$", "\u2192": r"$\rightarrow$", "\u00b5": r"$\mu$", "\u00b0": r"$^\circ$", "\u00b2": "$^2$",
    "\u00b3": "$^3$", "\u2013": "--", "\u2014": "---", "\u2026": r"\ldots{}", "\u201c": "``", "\u201d": "''",
    "\u2018": "`", "\u2019": "'", "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip


def write(document: Document, folder: Path) -> None:
    """Every table as tables/NAME.tex."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for table in document.tables:
        (folder / "tables" / f"{table.name}.tex").write_text(render(table), encoding="utf-8")


def render(table: Table) -> str:
    """A table environment with caption and label, made narrower where it is wider than the page; a longtable from
    `LONG` rows on."""
    rows = [[inline(text_of(cell)) for cell in row] for row in table.frame.astype(object).to_numpy()]
    # Headings may repeat or be empty, which Styler refuses of labels: columns are numbered and named when shown.
    frame = pd.DataFrame(rows, columns=range(table.frame.shape[1]))
    style = frame.style.hide(axis="index").format_index(lambda k: inline(str(table.frame.columns[k])), axis="columns")
    long = len(frame) >= LONG
    text = style.to_latex(
        hrules=True,
        column_format=_columns(table),
        caption=inline(table.caption) or None,
        label=f"tab:{table.name}",
        environment="longtable" if long else None,
        position=None if long else "htbp",
        position_float=None if long else "centering",
    )
    packages = "booktabs, longtable" if long else "booktabs, graphicx"
    if long:
        again = rf"\multicolumn{{{frame.shape[1]}}}{{l}}{{Table \thetable{{}}, continued}} \\"
        text = re.sub(r"^\\caption\[\].*$", lambda _: again, text, flags=re.MULTILINE)
        text = f"{{\\scriptsize\\setlength{{\\tabcolsep}}{{3pt}}\n{text.rstrip()}\n}}\n"
    else:
        begin, end = "\\begin{tabular}", "\\end{tabular}"
        fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
        text = text.replace(begin, f"{fit}\n{begin}").replace(end, f"{end}}}")
    return f"% Needs the packages {packages}.\n{text}"


def inline(text: str) -> str:
    """Escape everything but `code` and **strong**."""
    write = {"text": "{}", "code": "\\texttt{{{}}}", "strong": "\\textbf{{{}}}"}
    return "".join(write[kind].format(_escape(part)) for kind, part in spans(text.replace("\n", " ")))


def _columns(table: Table) -> str:
    """Numbers to the right, words to the left, long texts in lines."""
    columns = table.frame.astype(object).to_numpy().T
    widest = [max((len(text_of(cell)) for cell in column), default=0) for column in columns]
    return "".join(
        "r" if right else "p{6cm}" if width > WIDE_TEXT else "l" for right, width in zip(numeric(table.frame), widest)
    )


def _escape(text: str) -> str:
    return "".join(SYMBOLS.get(letter) or _greek(letter) for letter in text)


def _greek(letter: str) -> str:
    """\\sigma for its letter; capitals that look like Latin ones have no command in LaTeX and need none here."""
    match = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(letter, ""))
    if not match:
        return letter
    return f"$\\{match[2].lower() if match[1] == 'SMALL' else match[2].capitalize()}$"
