# make demo      sets everything up and runs the main job on embedded data
# make test      sets everything up, checks style, layers and types, and runs the fast tests: all but those marked slow or gpu. Of the
#                contract (every method on every tiny case) it runs one case per method and family of tasks.
# make test-all  the same with the slow tests: the contract on every case, long trainings, the rest of the real datasets
# make refusals  writes down which method refuses which tiny case, for which reason; `make test` compares
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Real datasets lie beside the checkout where they are shared; tests that need them say so when they are not there.
DATA_DIR := $(abspath $(CURDIR)/../shared/data)
ifneq ($(wildcard $(DATA_DIR)),)
export GRAPHFORGET_DATA ?= $(DATA_DIR)
endif
WORKERS ?= 2

.PHONY: setup demo test test-all refusals lint docs clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,docs]"
	touch $@

demo: setup
	$(BIN)/graphforget demo

lint: setup
	$(BIN)/ruff check graphforget tests benchmarks docs
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu"

test-all: lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not gpu"

refusals: setup
	$(BIN)/python -m tests.contract.matrix

docs: setup
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build
