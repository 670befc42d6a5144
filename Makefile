# make bench: set up and run the noise robustness suite on an embedded phantom, one training of each method
# make test:  set up and run the tests
# make lint:  set up and check style, format and types; changes nothing
PYTHON ?= python3
BIN := .venv/bin
# Modules are compiled when they are first imported: a few of those that are installed.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable

.PHONY: bench test lint clean

bench: .venv/ready
	$(BIN)/python run_bench.py suite=noise_robustness profile=quick datasets=[phantom_glands] seeds=[0]

# Two processes; a file stays in one of them, so that its fixtures are made once, and the longest come first.
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Which files mypy reads stands in pyproject.toml.
lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed anew whenever the list of dependencies changes: what a run needs, and what tests need beside it.
.venv/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[test]'
	touch .venv/ready $@

clean:
	rm -rf .venv
