"""What was published on images from label maps: context, since neither data nor definitions are those of our tables."""

from functools import lru_cache
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from reports.paper import words
from reports.paper.document import Block, Bullets, Paragraph, Table

FILE = Path(__file__).with_name("published_synthesis.yaml")


@lru_cache(maxsize=1)
def load() -> dict:
    """The content of published_synthesis.yaml."""
    return OmegaConf.to_container(OmegaConf.load(FILE))


def quality() -> list[Block]:
    """Published image quality, and why it is no target."""
    found = load()["quality"]
    frame = pd.DataFrame(found["rows"], columns=found["columns"])
    caption = f"Context only: image quality as printed in {found['source']}. {found['note']}"
    return [Table("published_quality", caption, frame.astype(str), frame), Bullets(tuple(found["caveats"]))]


def segmentation() -> list[Block]:
    """Published scores of segmenters trained or tested on synthetic images, and what they cannot be compared by."""
    blocks: list[Block] = []
    for key in ("trained_on_synthetic", "tested_on_synthetic"):
        found = load()[key]
        frame = pd.DataFrame(found["rows"], columns=found["columns"])
        shown = frame.map(lambda value: words.NOTHING if value is None else str(value))
        caption = f"Context only: {found['what']}, as printed in {found['source']}."
        blocks += [Table(f"published_{key}", caption, shown, frame), Paragraph(found["note"])]
    return blocks
