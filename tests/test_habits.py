"""What can be held in the head: short modules, short and simple functions, all of them annotated and documented."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import FIRST

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("methods", "datasets", "benchmarks", "reports", "run_bench.py")
MODULE_LINES, FUNCTION_LINES, COMPLEXITY = 400, 60, 15

# Functions that may be longer or more complex, "path:name", each with the reason why.
EXCEPTIONS: dict[str, str] = {}
# Public functions that need no annotation or docstring, likewise.
BARE: dict[str, str] = {}


class Function(NamedTuple):
    """A function or method of the project. name: "path:Class.name"; public: neither it nor what holds it has a
    leading underscore, and it is no function within a function."""

    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    public: bool

    @property
    def special(self) -> bool:
        return self.node.name.startswith("__") and self.node.name.endswith("__")

    @property
    def lines(self) -> int:
        """From `def` to the last line, docstring and comments included."""
        return self.node.end_lineno - self.node.lineno + 1

    @property
    def annotated(self) -> bool:
        """Every argument but `self` and `cls`, and what is returned."""
        given = self.node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        named = [argument for argument in arguments if argument and argument.arg not in ("self", "cls")]
        return self.node.returns is not None and all(argument.annotation for argument in named)

    @property
    def documented(self) -> bool:
        return ast.get_docstring(self.node) is not None


def sources(root: Path, *rooms: str) -> list[Path]:
    """The modules of those rooms; benchmarks/speed holds tests."""
    found = [path for room in rooms for path in sorted((root / room).rglob("*.py")) if "speed" not in path.parts]
    return found + [root / room for room in rooms if room.endswith(".py")]


def functions(root: Path, *rooms: str) -> Iterator[Function]:
    """All functions of those rooms, however deep they stand."""

    def walk(node: ast.AST, place: str, public: bool, holder: str) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, place, public, holder)
                continue
            name = f"{holder}.{child.name}" if holder else child.name
            if isinstance(child, ast.ClassDef):
                yield from walk(child, place, public and not child.name.startswith("_"), name)
                continue
            found = Function(f"{place}:{name}", child, public)
            yield found._replace(public=public and (found.special or not child.name.startswith("_")))
            yield from walk(child, place, False, name)

    for path in sources(root, *rooms):
        yield from walk(ast.parse(path.read_text()), str(path.relative_to(root)), True, "")


def _relative(path: str | Path) -> str:
    return str(Path(path).resolve().relative_to(ROOT))


def test_no_module_is_longer_than_a_head_can_hold():
    everything = [*sources(ROOT, *ROOMS), *sorted((ROOT / "tests").rglob("*.py"))]
    everything += sorted((ROOT / "benchmarks" / "speed").rglob("*.py"))
    lines = {_relative(path): len(path.read_text().splitlines()) for path in everything}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}


def test_no_function_is_too_long():
    long = {function.name: function.lines for function in functions(ROOT, *ROOMS) if function.lines > FUNCTION_LINES}
    assert {name: lines for name, lines in long.items() if name not in EXCEPTIONS} == {}


def test_no_function_is_too_complex():
    """McCabe's number, as `make lint` takes it."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select=C901"]
    command += [f"--config=lint.mccabe.max-complexity={COMPLEXITY}", "--output-format=json"]
    done = subprocess.run([*command, *ROOMS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    # ruff names the function in backticks, without its class.
    found = {f"{_relative(row['filename'])}:{row['message'].split('`')[1]}" for row in json.loads(done.stdout)}
    stated = {f"{place}:{name.rpartition('.')[2]}" for place, _, name in (key.partition(":") for key in EXCEPTIONS)}
    assert found - stated == set()


@pytest.mark.parametrize("room", ROOMS)
def test_all_public_functions_are_annotated(room):
    public = [function for function in functions(ROOT, room) if function.public]
    bare = {function.name for function in public if not function.annotated} - set(BARE)
    assert bare == set(), f"{1 - len(bare) / len(public):.1%} of {len(public)} are annotated"


@pytest.mark.parametrize("room", ROOMS)
def test_all_public_functions_are_documented(room):
    """`__init__` and its like are described by their class."""
    public = [function for function in functions(ROOT, room) if function.public and not function.special]
    bare = {function.name for function in public if not function.documented} - set(BARE)
    assert bare == set(), f"{1 - len(bare) / len(public):.1%} of {len(public)} are documented"


def test_every_exception_is_of_a_function_that_exists():
    assert set(EXCEPTIONS) | set(BARE) <= {function.name for function in functions(ROOT, *ROOMS)}


def test_the_files_of_tests_that_come_first_are_there():
    assert [name for name in FIRST if not (ROOT / "tests" / name).exists()] == []


def test_a_landing_runs_lint_and_tests():
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert commands.index("make lint") < commands.index("make test")
