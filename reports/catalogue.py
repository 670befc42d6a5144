"""Which reports there are, found without loading any."""

import ast
import difflib
from pathlib import Path

FOLDER = Path(__file__).with_name("suites")


def names() -> list[str]:
    """Every report there is: the modules and packages of reports/suites/ that have a `build`, sorted."""
    found = {path.stem: path for path in FOLDER.glob("*.py")}
    found |= {path.parent.name: path for path in FOLDER.glob("*/__init__.py")}
    return sorted(name for name, path in found.items() if name != "__init__" and _builds(path))


def check(name: str) -> None:
    """Nothing where there is a report of this name. Raises ValueError, with the names there are and the nearest one."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{str(name)!r} is no report.{hint} Reports: {', '.join(known)}.")


def _builds(path: Path) -> bool:
    """Whether a module defines or imports `build`, found without running it."""
    named = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            named.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            named |= {alias.asname or alias.name for alias in node.names}
    return "build" in named
