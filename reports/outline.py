"""What a report comes to in a few sentences and one picture, kept beside it for the index of all reports."""

import json
from pathlib import Path

from reports.document import Animation, Bullets, Document, Figure, Heading, Paragraph

FILE = "outline.json"
MOST_SENTENCES = 4


def write(document: Document, folder: Path) -> None:
    """outline.json: title, headline (the first text under each heading of the first section, at most four) and picture
    (name, caption, alt and ending of the first figure, or None)."""
    shown = next((block for block in document.blocks if isinstance(block, Figure | Animation)), None)
    picture = None
    if shown is not None:
        endings = ["gif"] if isinstance(shown, Animation) else ["png", "svg"]
        picture = {"name": shown.name, "caption": shown.caption, "alt": shown.alt, "endings": endings}
    content = {"title": document.title, "headline": _headline(document), "picture": picture}
    (folder / FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> dict | None:
    """The outline of the report in `folder`; None where there is no report."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _headline(document: Document) -> list[str]:
    texts: list[str] = []
    waiting = False
    for block in document.blocks:
        if isinstance(block, Heading):
            if block.level == 2 and texts:
                break
            waiting = True
        elif waiting and isinstance(block, Paragraph | Bullets):
            texts.append(block.text if isinstance(block, Paragraph) else block.items[0])
            waiting = False
    return texts[:MOST_SENTENCES]
