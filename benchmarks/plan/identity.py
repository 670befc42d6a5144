"""Names by content: hashes of what is asked for and of the code that answers."""

import ast
import hashlib
import importlib.util
import json
import sys
import sysconfig
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from benchmarks.store.config import TrialConfig


def digest(content: object) -> str:
    """A short hash of anything JSON can hold; equal content gives equal hashes on every machine."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def code_version(target: type) -> str:
    """Hash of the module of a method and of all it imports, but for the standard library and installed packages.

    Comments, layout, docstrings and annotations do not count: only what can change a result does."""
    return module_version(target.__module__)


@cache
def module_version(module: str) -> str:
    """The same of a module by its name, which is not imported; of one that is not there, that of nothing."""
    own = {"methods", module.partition(".")[0]}  # the latter may be an installed package
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or (top not in own and _installed(top)):
            continue
        spec = spec_of(name)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        tree = _bare(ast.parse(Path(spec.origin).read_text()))
        seen[name] = ast.dump(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), spec.parent or name)
                waiting += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return digest(seen)


@cache
def spec_of(name: str) -> ModuleSpec | None:
    """Where a module lies, found without importing the packages it is in; None for the name of a class or function."""
    above, _, _ = name.rpartition(".")
    if not above:
        return importlib.util.find_spec(name)
    package = spec_of(above)
    places = package.submodule_search_locations if package else None
    return PathFinder.find_spec(name, list(places)) if places else None


@cache
def _installed(package: str) -> bool:
    """Whether a top-level package is part of Python or installed, and not somebody's own code."""
    if package in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return True
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    found = [Path(place).resolve() for place in places if place]
    return not found or any(place.is_relative_to(folder) for place in found for folder in installed)


def _bare(tree: ast.Module) -> ast.Module:
    """A module without docstrings and annotations, which change no result."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [item for item in body if not _is_text(item)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            node.annotation = ast.Constant(None)
    return tree


def _is_text(item: ast.AST) -> bool:
    """Whether a statement is a string and nothing else."""
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def request_key(asked: TrialConfig) -> str:
    """Finds a trial in the store without its data: hash of what was asked for."""
    return digest([asked.method.identity(), asked.dataset.asked(), asked.training.to_json(), asked.seed])
