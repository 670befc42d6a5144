"""Imports go one way, between the rooms and inside them, and are followed through the modules they lead to.

An import inside a function counts for the direction, not for what comes along with a module that is imported.
"""

import ast
import subprocess
import sys
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.kinds.registry import KINDS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("methods", "datasets", "benchmarks", "reports")
HEAVY = ("torch", "mlflow", "hydra", "monai")

# What a room may import, and nothing else of the project.
ALLOWED = {
    "run_bench": ("benchmarks", "reports"),
    "methods": ("methods",),
    "datasets": ("datasets",),
    "benchmarks": ("benchmarks", "methods", "datasets"),
    "reports": ("reports", "benchmarks.store"),
}

# Inside a room a module imports from its own part and from those to the left. "" is the room itself: __init__.py, or a
# module that is in no part of its own.
ORDER = {
    "methods": ("blocks", "sampling", "base", "diffusion", ""),
    "benchmarks": (
        "errors", "console", "seeding", "store", "plan", "testing", "training", "machine", "synthesis", "tuning",
        "executors", "runner", "kinds", "tracking", "nnunetv2", "sharing", "prediction", "",
    ),
    "reports": ("catalogue", "numbers", "paper", "sections", "suites", "writing", "model_card", ""),
}  # fmt: skip


class Imports(NamedTuple):
    """Full names of the modules a file imports, and of what it imports from them."""

    at_once: frozenset[str]  # while the module itself is imported
    later: frozenset[str]  # in functions, and for type checkers alone


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "speed" not in path.parts]
MODULES = {name_of(path): path for path in [ROOT / "run_bench.py", *PATHS]}


@cache
def imports(module: str) -> Imports:
    at_once: set[str] = set()
    later: set[str] = set()

    def visit(node: ast.AST, names: set[str]) -> None:
        for child in ast.iter_child_nodes(node):
            inside = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = later
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inside = later
            elif isinstance(child, ast.Import):
                names |= {alias.name for alias in child.names}
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{module}: relative import"
                names |= {f"{child.module}.{alias.name}" for alias in child.names}
            visit(child, inside)

    visit(ast.parse(MODULES[module].read_text()), at_once)
    return Imports(frozenset(at_once), frozenset(later))


def own(name: str) -> str | None:
    """The module of the project that holds what `name` means; None for those of others."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def neighbours(module: str, later: bool) -> set[str]:
    """The project's modules that a module names in its imports."""
    names = imports(module)
    return {found for name in (names.at_once | names.later if later else names.at_once) if (found := own(name))}


@cache
def brought_along(module: str) -> frozenset[str]:
    """Every name imported when a module is: its own, those of the packages around it, and theirs in turn."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        around = current.rpartition(".")[0]
        waiting += neighbours(current, later=False) | ({around} & set(MODULES))
    return frozenset(chain(seen, *(imports(name).at_once for name in seen)))


def within(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")


def room(module: str) -> str:
    return module.partition(".")[0]


def part(module: str) -> str:
    """The part of its room that a module belongs to."""
    name = module.split(".")[1] if "." in module else ""
    return name if name in ORDER[room(module)] else ""


@pytest.mark.parametrize("top", ALLOWED)
def test_a_room_imports_only_from_the_rooms_below_it(top):
    wrong = {
        (module, name)
        for module in MODULES
        if room(module) == top
        for name in imports(module).at_once | imports(module).later
        if room(name) in (*ROOMS, "run_bench", "tests") and not any(within(name, below) for below in ALLOWED[top])
    }
    assert wrong == set()


@pytest.mark.parametrize("top", ORDER)
def test_inside_a_room_imports_go_one_way(top):
    order = ORDER[top]
    wrong = {
        (module, found)
        for module in MODULES
        if room(module) == top
        for found in neighbours(module, later=True)
        if room(found) == top and order.index(part(found)) > order.index(part(module))
    }
    assert wrong == set()


@pytest.mark.parametrize("top", ORDER)
def test_the_order_of_a_room_names_all_of_its_parts(top):
    """Only the methods themselves stand beside the parts of their room."""
    entries = {path for path in (ROOT / top).iterdir() if path.is_dir() or path.suffix == ".py"}
    found = {path.stem for path in entries} - {"__init__", "__pycache__", "speed"}
    if top == "methods":
        found &= set(ORDER[top])
    assert found == set(ORDER[top]) - {""}


def test_no_modules_import_each_other_in_a_circle():
    def reached(module: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(neighbours(module, later=False) - {module})
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += neighbours(current, later=False)
        return seen

    assert {module for module in MODULES if module in reached(module)} == set()


@pytest.mark.parametrize("top", ["reports", "benchmarks.store"])
def test_importing_what_draws_reports_imports_nothing_heavy(top):
    wrong = {
        (module, name)
        for module in MODULES
        if within(module, top)
        for name in brought_along(module)
        if name.partition(".")[0] in HEAVY
    }
    assert wrong == set()


@pytest.mark.parametrize(
    "top",
    ["benchmarks.kinds.registry", "benchmarks.plan.naming", "benchmarks.plan.catalogue",
     *sorted({f"benchmarks.kinds.{place.partition('.')[0]}" for place in KINDS.values()})],
)  # fmt: skip
def test_what_is_planned_listed_or_refused_needs_neither_networks_nor_tables_nor_readers_of_medical_files(top):
    libraries = ("torch", "monai", "lightning_fabric", "mlflow", "nibabel", "pydicom", "scipy", "skimage", "matplotlib",
                 "pandas", "pyarrow")  # fmt: skip
    assert not {name for name in brought_along(top) if name.partition(".")[0] in libraries}


def test_importing_what_draws_reports_imports_nothing_heavy_through_other_packages_either():
    modules = [module for module in MODULES if within(module, "reports") or within(module, "benchmarks.store")]
    code = f"import sys, {', '.join(modules)}; print(*({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("top", ["methods", "datasets", "reports"])
def test_methods_data_sets_and_reports_know_nothing_of_mlflow_and_hydra(top):
    wrong = {
        (module, name)
        for module in MODULES
        if room(module) == top
        for name in brought_along(module) | imports(module).later
        if name.partition(".")[0] in ("mlflow", "hydra")
    }
    assert wrong == set()


def test_methods_and_data_sets_do_not_meet_through_other_modules():
    for top, other in (("methods", "datasets"), ("datasets", "methods")):
        for module in MODULES:
            if room(module) == top:
                assert not {name for name in brought_along(module) if room(name) == other}, module


# What the standard library has from Python 3.11 on, where pyproject.toml promises 3.10.
NEWER = frozenset(
    {"tomllib", "asyncio.TaskGroup", "contextlib.chdir", "datetime.UTC", "enum.StrEnum", "enum.member", "enum.verify"}
    | {"hashlib.file_digest", "itertools.batched", "inspect.getmembers_static", "operator.call", "warnings.deprecated"}
    | {f"typing.{name}" for name in ("Self", "Never", "LiteralString", "NotRequired", "Required", "TypeVarTuple",
       "Unpack", "assert_never", "assert_type", "dataclass_transform", "override", "reveal_type", "TypeAliasType")}
)  # fmt: skip


def test_nothing_is_imported_that_the_oldest_python_lacks():
    used = {
        (path.stem, name)
        for top in (*ROOMS, "run_bench.py")
        for path in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))
        for name in newer(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10)))
    }
    assert used == set()


def newer(tree: ast.Module) -> set[str]:
    """What a module imports, or takes from a module that it imported, of NEWER."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found & NEWER


def test_what_the_oldest_python_lacks_is_seen_where_it_is_imported():
    text = "import enum\nfrom typing import Self\nclass A(enum.StrEnum): ..."
    assert newer(ast.parse(text)) == {"typing.Self", "enum.StrEnum"}
