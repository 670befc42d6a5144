"""Which reports there are, found without loading any."""

import ast
import difflib
from pathlib import Path

FOLDER = Path(__file__).with_name("suites")


def names(kind: str | None = None) -> list[str]:
    """Every report there is, sorted: the modules and packages of reports/suites/ that have a `build`; with a kind of
    suite, those that can show it, which is what a module's `SHOWS` says, or any kind where it says nothing."""
    found = {path.stem: path for path in FOLDER.glob("*.py")}
    found |= {path.parent.name: path for path in FOLDER.glob("*/__init__.py")}
    builds = sorted(name for name, path in found.items() if name != "__init__" and "build" in _defined(path))
    return [name for name in builds if kind is None or _defined(found[name]).get("SHOWS") in (None, kind)]


def check(name: str, kind: str | None = None) -> None:
    """Nothing where there is a report of this name, for suites of that kind. Raises ValueError, with the names there
    are and the nearest one."""
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        what = "is no report" if name not in names() else f"is a report that cannot show a suite of kind {kind}"
        raise ValueError(f"{str(name)!r} {what}.{hint} Reports: {', '.join(known)}.")


def _defined(path: Path) -> dict[str, object]:
    """Names that a module defines or imports, found without running it, with the values of those that are constants."""
    found: dict[str, object] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = None
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: None for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return found
