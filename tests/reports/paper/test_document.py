import ast
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

import reports
from reports.paper import markdown, words
from reports.paper.document import Bullets, Code, Document, Figure, Heading, Paragraph, Table, write_numbers


def rendered(text):
    """What a reader sees of markdown text."""
    return MarkdownIt("commonmark").enable("table").render(text)


def test_a_document_renders_every_kind_of_block_in_order():
    frame = pd.DataFrame({"method": ["A", "B"], "DSC": ["0.912", "–"]})
    document = Document("Title")
    document.add(
        Heading("Part"), Paragraph("Words with `code` and **weight**."), Bullets(("one", "two")),
        Code("make bench", "sh"), Table("scores", "Scores.", frame), Figure("curve", "A curve.", "a falling line"),
    )  # fmt: skip
    html = rendered(markdown.render(document))
    for part in (
        "<h1>Title</h1>", "<h2>Part</h2>", "<code>code</code>", "<strong>weight</strong>", "<li>two</li>",
        '<code class="language-sh">make bench', "<strong>Table 1.</strong> Scores.", "<td>A</td>",
        '<td style="text-align:right">0.912</td>', '<img src="figures/curve.png" alt="a falling line"',
        "<strong>Figure 1.</strong>", 'href="figures/curve.svg"', 'href="tables/scores.csv"',
    ):  # fmt: skip
        assert part in html, part


@pytest.mark.parametrize(
    "text",
    ["a*b*c", "_leading_ and trailing_", "snake_case_name", "<script>", "p < 0.001", "[0.1, 0.2](x)", "a | b",
     "$x$ ~y~ z", "back\\slash", "> 0.5", "- not a list", "# not a heading", "AT&amp;T", "a & b"],
)  # fmt: skip
def test_text_is_shown_literally(text):
    cell = rendered(markdown.table(pd.DataFrame({"x": [text]})))
    paragraph = rendered(markdown.render(Document("T", [Paragraph(text)])))
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<td>{shown}</td>" in cell.replace(' style="text-align:right"', "")
    assert f"<p>{shown}</p>" in paragraph


def test_a_column_stands_to_the_right_only_when_all_of_it_is_numbers():
    text = markdown.table(pd.DataFrame({"a": ["0.1 [0.0, 0.2]", "−0.3", "–", "> 0.5"], "b": ["1", "x", "2", "3"]}))
    rule = text.splitlines()[1].split("|")
    assert rule[1].strip().endswith(":") and not rule[2].strip().endswith(":")


def test_tables_are_written_unrounded_or_as_shown(tmp_path):
    shown = pd.DataFrame({"x": ["0.33", "`code`"]})
    document = Document("T", [Table("a", "", shown, pd.DataFrame({"x": [1 / 3]})), Table("b", "", shown)])
    write_numbers(document, tmp_path)
    assert pd.read_csv(tmp_path / "tables" / "a.csv").x[0] == 1 / 3
    assert pd.read_csv(tmp_path / "tables" / "b.csv").x.tolist() == ["0.33", "code"]


def test_two_tables_of_one_name_are_refused(tmp_path):
    table = Table("same", "", pd.DataFrame({"x": [1]}))
    with pytest.raises(ValueError, match="tables named same"):
        write_numbers(Document("T", [table, table]), tmp_path)


PICTURES = ("samples_", "overview_", "maps_", "strip_", "gallery_", "training_images_")


def test_every_figure_but_pictures_of_cases_brings_its_numbers():
    """A call without data must stand in a module that names pictures of cases; copies of figures bring none."""
    without = []
    for path in sorted(Path(reports.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text())
        texts = [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        pictures = any(text.startswith(PICTURES) for text in texts)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Figure":
                known = [*node.args, *(keyword.arg for keyword in node.keywords)]
                if "figsize" not in known and len(known) < 4 and not pictures:
                    without.append(f"{path.name}:{node.lineno}")
    assert without == []


@pytest.mark.parametrize(
    "seconds, text",
    [(0.0123, "12.3 ms"), (0.5, "0.5 s"), (12.34, "12.3 s"), (59.97, "1 min 00 s"), (200, "3 min 20 s"),
     (7500, "2 h 05 min"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_durations(seconds, text):
    assert words.duration(seconds) == text


def test_numbers_in_words():
    assert words.number(-0.0004) == "0.000" and words.number(float("inf")) == "–"
    assert words.signed(0.012) == "+0.012" and words.signed(-0.0004) == "−0.000" and words.signed(0.0) == "0.000"
    assert words.quantity(1_620_000) == "1.62 M" and words.quantity(812) == "812"
    assert words.listing(["a"]) == "a" and words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.one_line("two\n  lines") == "two lines" and len(words.one_line("x" * 999)) == 300
