"""Seeds derived from what they belong to (data set, case, sigma, ...), never from the order in which things run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Part = str | int | float | bool | None


def seed_for(*parts: Part) -> int:
    """A seed in [0, 2**63) that depends on the parts, their order and their types alone, on every machine alike.

    Numbers are taken as written: 1 and 1.0 and "1" give three different seeds. Raises TypeError for a part that is not
    a string, a Python number or None, since its text could differ from run to run.
    """
    for part in parts:
        if type(part) not in (str, int, float, bool, type(None)):
            raise TypeError(f"a seed is derived from strings and Python numbers, got {part!r} of {type(part).__name__}")
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(*parts: Part) -> torch.Generator:
    """A fresh CPU generator seeded by `seed_for(*parts)`."""
    import torch  # plans need seeds alone

    return torch.Generator().manual_seed(seed_for(*parts))
