# `make train`, `make test` and `make benchmark` set everything up by themselves in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyTorch comes by pip, which may be told of a build for CPUs, and the rest by uv, in a fifth of the
# time. Modules are compiled when they are imported: most never are, and all take a minute.
QUIETLY := --quiet --disable-pip-version-check --no-compile
# Some containers tell Python not to keep what it compiles: then every process of the tests would
# compile PyTorch's modules anew, and importing them takes more than twice as long.
unexport PYTHONDONTWRITEBYTECODE

# A file is tested by one process; those with slow tests come first.
SHARED := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: train test lint types unit coverage docs benchmark install clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eanet needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(QUIETLY) -c constraints.txt uv torch
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@

train: install
	$(BIN)/eanet train digits --epochs 30

test: lint types docs unit

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	$(BIN)/mypy

unit: install
	$(BIN)/pytest $(SHARED)

# The same tests, and which lines they run; takes half as long again.
coverage: install
	$(BIN)/pytest $(SHARED) --cov --cov-report=term

# The documentation as a site, in ./site; open it with: .venv/bin/python -m http.server -d site
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

# Keras' backends, each in an environment of its own; its PyTorch backend is in .venv.
benchmark: install .venv-benchmark/tensorflow-cpu/installed .venv-benchmark/jax/installed
	$(BIN)/python -m benchmarks.compare $(ARGS)

.venv-benchmark/%/installed: benchmarks/constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install $(QUIETLY) -c $< keras $*
	touch $@

clean:
	rm -rf site .cache $(VENV) .venv-benchmark .venv-versions .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
