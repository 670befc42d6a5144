"""README.md: its example of a method works, and its commands are understood."""

import os
import re
import subprocess
import sys

import pytest

import run_bench
from tests.docs.examples import ROOT, commands, files

README = "README.md"
SUITES = [command.words for command in commands(README) if command.program == "python run_bench.py"]


@pytest.mark.parametrize("words", SUITES, ids=" ".join)
def test_its_commands_are_understood(words, tmp_path, monkeypatch):
    """Every key is known and every value can be used, as far as that is seen without data."""
    (tmp_path / "my_package.py").write_text(files(README)["my_package.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config, kind = run_bench.checked(words)
    assert config.suite.name and kind.name


def test_its_method_passes_the_contract_tests(tmp_path):
    (tmp_path / "my_package.py").write_text(files(README)["my_package.py"])
    script = [sys.executable, "-m", "pytest", "tests/contract", "--method", "my_package.MyMethod"]
    place = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*script, "-p", "no:cacheprovider"], cwd=ROOT, env=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 10


def test_every_file_it_links_is_there():
    links = re.findall(r"\]\(([^)\s:]+)\)", (ROOT / README).read_text())
    assert links and all((ROOT / link.partition("#")[0]).exists() for link in links)
