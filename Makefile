# make bench: set up and run the noise robustness suite on the embedded phantoms
# make test:  set up and run the tests
# make lint:  set up and check style, format and types; changes nothing
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test lint clean

bench: .venv/installed
	$(BIN)/python run_bench.py suite=noise_robustness profile=quick

# Two processes; a file stays in one of them, so that its fixtures are made once, and the longest come first.
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Which files mypy reads stands in pyproject.toml.
lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed anew whenever the list of dependencies changes.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf .venv
