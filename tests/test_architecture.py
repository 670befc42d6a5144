"""Imports go one way: run_bench -> benchmarks -> methods, datasets; reports -> what the store holds."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("methods", "datasets", "benchmarks", "reports")
ALLOWED = {
    "methods": {"methods"},
    "datasets": {"datasets"},
    "benchmarks": {"benchmarks", "methods", "datasets"},
    "reports": {"reports", "benchmarks.store", "reports.numbers.statistics"},
}
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "speed" not in path.parts]


def imported(path: Path) -> set[str]:
    """Full names of the modules a file imports, and of what it imports from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_the_rooms_below_it(path):
    room = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        if name.partition(".")[0] in (*ROOMS, "run_bench", "tests"):
            assert any(name == top or name.startswith(f"{top}.") for top in ALLOWED[room]), f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_methods_data_sets_and_reports_know_nothing_of_mlflow_and_hydra(path):
    room = path.relative_to(ROOT).parts[0]
    if room != "benchmarks":
        assert not any(name.partition(".")[0] in ("mlflow", "hydra") for name in imported(path))


def test_the_store_and_statistics_that_reports_may_use_import_nothing_heavy():
    for module in ("store", "statistics"):
        for name in imported(ROOT / "benchmarks" / f"{module}.py"):
            assert name.partition(".")[0] not in ("torch", "mlflow", "methods", "datasets"), f"{module} imports {name}"
