"""What a report comes to in a few sentences and one picture, kept beside it for the index of all reports."""

import json
from pathlib import Path

from reports.paper.document import Animation, Bullets, Document, Figure, Heading, Paragraph

FILE = "outline.json"
MOST_SENTENCES = 4


def write(document: Document, folder: Path) -> None:
    """outline.json: title, headline (the first sentence under each heading of the first section, or the first
    ones where it has one heading, at most four) and picture (name, caption, alt and ending of the first figure, or
    None)."""
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
    parts: list[tuple[str, list[str]]] = []
    heading: str | None = None
    for block in document.blocks:
        if isinstance(block, Heading):
            if block.level == 2 and parts:
                break
            heading = block.text
        elif heading is not None and isinstance(block, Paragraph | Bullets):
            parts.append((heading, [block.text] if isinstance(block, Paragraph) else list(block.items)))
            heading = None
    if len(parts) == 1:
        return parts[0][1][:MOST_SENTENCES]
    # Torn from its heading, a sentence has to say which of them it is about.
    firsts = [text[0] if name in text[0] else f"{name}: {text[0]}" for name, text in parts]
    return firsts[:MOST_SENTENCES]
