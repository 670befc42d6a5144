"""Tables as LaTeX."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from reports import write
from reports.paper import latex
from reports.paper.document import Table

AWKWARD = 'σ − 2² ± 3 % a_b & c # $x$ {y} ~ ^ \\ < > | " “q” … – × ≥ Δ µ ° **b_c** `d_e&f`'


def test_a_table_has_caption_label_and_rules_with_numbers_to_the_right():
    frame = pd.DataFrame({"method": ["A & B", "C"], "DSC, %": ["0.912 [0.9, 0.95]", "–"]})
    text = latex.render(Table("scores", "Scores of `a_b` at σ = 0.2.", frame))
    assert [line for line in text.splitlines() if not line.startswith("\\resizebox")] == [
        "% Needs the packages booktabs, graphicx.",
        r"\begin{table}[htbp]",
        r"\centering",
        r"\caption{Scores of \texttt{a\_b} at $\sigma$ = 0.2.}",
        r"\label{tab:scores}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"method & DSC, \% \\",
        r"\midrule",
        r"A \& B & 0.912 [0.9, 0.95] \\",
        r"C & -- \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def test_every_awkward_letter_is_escaped():
    text = latex.inline(AWKWARD)
    assert text.isascii() or set(re.findall(r"[^\x00-\x7F]", text)) == set()
    assert text.startswith(r"$\sigma$ $-$ 2$^2$ $\pm$ 3 \% a\_b \& c \# \$x\$ \{y\}")
    assert text.endswith(r"$\Delta$ $\mu$ $^\circ$ \textbf{b\_c} \texttt{d\_e\&f}")


def test_a_long_table_breaks_across_pages_and_long_words_across_lines():
    frame = pd.DataFrame({"note": ["word " * 20] * 60, "x": ["1"] * 60})
    text = latex.render(Table("long", "Long.", frame))
    assert r"\begin{longtable}{p{6cm}r}" in text and text.count(r"\caption") == 1 and r"\thetable{}, continued" in text
    assert r"\end{longtable}" in text and "resizebox" not in text and r"\label{tab:long}" in text


NOTHING = pd.DataFrame({"a": []})
NAMELESS = pd.DataFrame({"": ["1", None]})
TWINS = pd.DataFrame([["1", "2"]], columns=["a", "a"])


@pytest.mark.parametrize("frame", [NOTHING, NAMELESS, TWINS])
def test_empty_tables_and_headings_and_equal_headings_are_rendered(frame):
    text = latex.render(Table("t", "T.", frame))
    assert text.count(r"\\") == 1 + len(frame) and r"\begin{tabular}" in text


def test_every_table_of_a_report_is_written_and_compiles(fabricate, tmp_path):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "camus", sigmas=(0, 0.1, 0.2), cases=6, samples=False)
    fabricate.trial(
        "unet", "camus", status="failed", reason="100 % of $memory_used & more\nthan {there} is", records=False
    )
    folder = tmp_path / "report"
    write(fabricate.results(), folder)
    names = sorted(path.stem for path in (folder / "tables").glob("*.tex"))
    assert names == sorted(path.stem for path in (folder / "tables").glob("*.csv")) and len(names) > 5
    (folder / "tables" / "awkward.tex").write_text(
        latex.render(Table("awkward", AWKWARD, pd.DataFrame({AWKWARD: [AWKWARD] * 2})))
    )
    (folder / "tables" / "long.tex").write_text(latex.render(Table("long", "L.", pd.DataFrame({"x": ["1", "–"] * 60}))))
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not there: what was written is not compiled")
    included = "\n".join(rf"\input{{tables/{name}}}\clearpage" for name in [*names, "awkward", "long"])
    packages = "\n".join(rf"\usepackage{{{name}}}" for name in ("booktabs", "graphicx", "longtable"))
    # T1 has the straight double quotation mark.
    encoding = "\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}"
    main = f"\\documentclass{{article}}\n{encoding}\n{packages}\n\\begin{{document}}\n{included}\n\\end{{document}}\n"
    (folder / "main.tex").write_text(main)
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"], cwd=folder,
                          capture_output=True, text=True, errors="replace", timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "main.pdf").exists() and "Missing character" not in done.stdout
