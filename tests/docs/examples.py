"""What a document shows: files, by the name in their first line, and commands."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# (\S+\.(?:py|yaml))\n")


class Command(NamedTuple):
    """What is set before a command, its program, and its words."""

    variables: dict[str, str]
    program: str
    words: list[str]


def blocks(document: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block of a document of the checkout."""
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


def files(document: str) -> dict[str, str]:
    """File name -> content of every block that begins with a file name."""
    return {match[1]: text for _, text in blocks(document) if (match := NAME.match(text))}


def commands(document: str) -> list[Command]:
    """Every command of the document that begins with `python` or `pytest`, in order."""
    found = []
    for _, text in blocks(document):
        for line in text.replace("\\\n", " ").splitlines():
            if not re.match(r"([A-Z_]+=\S+ )*(python|pytest) ", line):
                continue
            words = shlex.split(line, comments=True)
            variables = {}
            while "=" in words[0]:
                name, _, variables[name] = words.pop(0).partition("=")
            found.append(Command(variables, " ".join(words[: 2 if words[0] == "python" else 1]),
                                 words[2 if words[0] == "python" else 1 :]))  # fmt: skip
    return found


def put(document: str, folder: Path) -> None:
    """Write the files of a document below `folder`."""
    for name, text in files(document).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
