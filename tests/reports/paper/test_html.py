"""The page as text: what stands in it, that nothing in it is fetched, and what the browser of cases holds."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from matplotlib.figure import Figure as Drawing
from PIL import Image

from reports import write
from reports.paper import html, style
from reports.paper.document import Animation, Browser, Bullets, Code, Document, Figure, Heading, Links, Paragraph, Table
from reports.sections import browser
from tests.reports.conftest import Fabricator


class Reader(HTMLParser):
    """Elements with their attributes, and ids."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.elements if name == tag]


def drawn(folder, name="curve"):
    figure = Drawing(figsize=(2, 1))
    figure.add_subplot().plot([0, 1])
    style.save(figure, folder, name)
    return name


def animated(folder, name="noise"):
    (folder / "figures").mkdir(exist_ok=True)
    frames = [Image.new("RGB", (32, 24), color) for color in ("red", "blue")]
    frames[0].save(folder / "figures" / f"{name}.gif", save_all=True, append_images=frames[1:], duration=50, loop=0)
    return name


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a report."""
    folder = tmp_path_factory.mktemp("html")
    fabricate = Fabricator(folder / "runs")
    for dataset in ("phantom_glands", "camus"):
        for method in ("ldseg", "resunet"):
            fabricate.trial(method, dataset, sigmas=(0, 0.2), cases=6, steps=(2,), size=(24, 32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.paper.style.DPI", 40)
        return write(fabricate.results(), folder / "report").parent


@pytest.fixture
def folder(written):
    return written


def test_every_kind_of_block_is_shown_in_order(tmp_path):
    frame = pd.DataFrame({"method": ["A", "B"], "DSC": ["0.912 [0.9, 0.95]", "–"]})
    document = Document("Title")
    document.add(
        Paragraph("Words with `code` and **weight**."), Heading("Part"), Bullets(("one", "two")),
        Code("make bench", "sh"), Table("scores", "Scores.", frame), Heading("Deeper", 3),
        Figure(drawn(tmp_path), "A curve.", "a falling line", pd.DataFrame({"x": [1]})),
        Animation(animated(tmp_path), "Noise.", "from red to blue"), Links((("On", "../on/report.html"),)),
    )  # fmt: skip
    page = html.render(document, tmp_path)
    parts = (
        "<h1>Title</h1>", "<p>Words with <code>code</code> and <strong>weight</strong>.</p>",
        '<h2 id="part">Part</h2>', "<li>two</li>", "<pre><code>make bench</code></pre>", "<b>Table 1.</b> Scores.",
        'download="scores.csv"', 'download="scores.tex"', '<td class="sticky">A</td>',
        '<td class="right" data-sort="0.91200000000000003">0.912 <span class="interval">[0.9, 0.95]</span></td>',
        '<td class="right" data-sort="">–</td>', '<h3 id="deeper">Deeper</h3>', 'alt="a falling line"',
        "<b>Figure 1.</b> A curve.", 'href="figures/curve.svg"', 'download="curve.csv"', 'alt="from red to blue"',
        "<b>Figure 2.</b> Noise.", '<a href="../on/report.html">On</a>',
    )  # fmt: skip
    places = [page.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


HOSTILE = ("<script>alert(1)</script>", 'a" onload="x', "a & b", "don't", "{{ 7 * 7 }}", "</style>")


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_literally_wherever_it_stands(text, tmp_path):
    name = drawn(tmp_path)
    case = browser.Case("data", text, (text,), ((b"x",),), (b"y",), {text: (browser.Cell((b"z",), text),)})
    document = Document(text, [Heading(text), Paragraph(text), Bullets((text,)), Code(text), Figure(name, text, text)])
    document.add(Table("t", text, pd.DataFrame({text: [text]})), Links(((text, text),)), Browser("", ("",), (case,)))
    page = html.render(document, tmp_path)
    read = Reader(page)
    # The page's own script and the data of the cases; the page's own style.
    assert (len(read.all("script")), len(read.all("style"))) == (2, 1)
    assert not any("onload" in attrs for _, attrs in read.elements)
    assert read.all("img")[0]["alt"] == text
    shown = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    escaped = str(escape(text))
    assert shown.count(escaped) > 8 and (text == escaped or text not in shown)
    kept = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert kept["cases"][0]["name"] == text


def test_nothing_is_fetched_and_only_the_page_s_own_script_may_run(folder):
    page = (folder / "report.html").read_text()
    read = Reader(page)
    assert all(attrs["src"].startswith("data:image/") for attrs in read.all("img"))
    assert not any(read.all(tag) for tag in ("iframe", "object", "embed", "base"))
    assert [attrs["href"] for attrs in read.all("link")] == ["data:,"]
    assert not any("src" in attrs for attrs in read.all("script")) and "@import" not in page and "url(" not in page
    policy = next(attrs["content"] for attrs in read.all("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in policy and re.search(r"script-src 'sha256-[\w+/]{43}='", policy)


def test_every_link_leads_somewhere(folder):
    read = Reader((folder / "report.html").read_text())
    anchors = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(anchors) == len(set(anchors))
    for link in (attrs["href"] for attrs in read.all("a")):
        if not link.startswith("data:"):
            assert link[1:] in anchors if link[0] == "#" else (folder / link).is_file(), link
    for _, attrs in read.elements:
        assert all(name in anchors for name in attrs.get("aria-labelledby", "").split())


def test_headings_of_one_text_have_anchors_of_their_own():
    page = html.render(Document("T", [Heading("Same"), Heading("Same"), Heading("σ = 0.2"), Heading("!")]), None)
    assert re.findall(r'<h2 id="([^"]+)"', page) == ["same", "same-2", "σ-0-2", "section"]


def test_no_line_ends_within_a_number_and_its_sign():
    text = html.inline("p < 0.001 at σ = 0.2, 95 % of a < b")
    assert text == "p\u00a0&lt;\u00a00.001 at σ\u00a0=\u00a00.2, 95\u00a0% of a &lt; b"


def test_pictures_are_smaller_than_their_files_and_curves_lose_nothing(folder):
    sources = [attrs["src"] for attrs in Reader((folder / "report.html").read_text()).all("img")]
    shown = [base64.b64decode(source.split(",")[1]) for source in sources if source.startswith("data:image/webp")]
    curves = np.asarray(Image.open(folder / "figures" / "dsc_by_sigma.png").convert("RGB"))
    found = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in shown]
    assert any(it.shape == curves.shape and (it == curves).all() for it in found)
    files = list((folder / "figures").glob("*.png"))
    assert len(shown) == len(files) and sum(map(len, shown)) < 0.7 * sum(path.stat().st_size for path in files)


def test_the_page_holds_what_the_files_of_numbers_hold(folder):
    links = [attrs for attrs in Reader((folder / "report.html").read_text()).all("a") if "download" in attrs]
    held = {attrs["download"]: base64.b64decode(attrs["href"].split("base64,")[1]).decode() for attrs in links}
    files = [
        *(folder / "tables").glob("*.csv"),
        *(folder / "tables").glob("*.tex"),
        *(folder / "figures").glob("*.csv"),
    ]
    assert len(files) > 10 and {path.name for path in files} < set(held)
    for path in files:
        assert held[path.name] == path.read_text(), path
    assert held["cases_camus.csv"].startswith("case,group,mean,LDSeg (2 steps),Res-UNet\n")


def test_a_toned_table_says_in_words_what_its_colours_say(tmp_path):
    frame = pd.DataFrame({"method": ["A"], "B": ["+0.02 better"]})
    tones = pd.DataFrame({"method": [""], "B": ["better"]})
    page = html.render(Document("T", [Table("t", "T.", frame, tones=tones)]), tmp_path)
    assert 'class="right tone-better"' in page and '+0.02 <span class="interval">better</span>' in page
