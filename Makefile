# `make demo` and `make test` need Python ≥ 3.11 and make, nothing else. Plain venv and pip underneath, so
# that your own pip settings (index, cache, certificates) are honoured.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: help demo test lint types docs drill recipes performance clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Tenfold needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (choose one with PYTHON=…)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

# Every extra that pyproject.toml names, so that no test is skipped for a missing one; but not the gigabytes of the
# tools of two export formats.
EXTRAS = $(BIN)/python -c 'import tomllib; print(*(name for name in tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"] if name not in ("litert", "tf")), sep=",")'

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable ".[$$($(EXTRAS))]"
	@touch $@

demo: $(VENV)/.installed  ## Install, then train and compare three small models offline
	$(BIN)/tenfold demo

test: $(VENV)/.installed-dev  ## Install, then run lint, types and every test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m compileall -q tenfold  # the tests start hundreds of processes, and PYTHONDONTWRITEBYTECODE may be set
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.installed-dev  ## Run the linter
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev  ## Run the type checker
	$(BIN)/mypy

docs: $(VENV)/.installed-dev  ## Write the generated pages of docs/ anew
	$(BIN)/python scripts/write_docs.py

drill: $(VENV)/.installed-dev  ## Kill, starve and damage trainings and write docs/reliability.md (minutes)
	$(BIN)/python -m drill

recipes: $(VENV)/.installed  ## Measure every shipped recipe over 3 seeds (hours)
	$(BIN)/python -m benchmarks.recipes

performance: $(VENV)/.installed-dev  ## Measure speed and memory side by side with peers (hours)
	$(BIN)/python -m benchmarks.environments
	$(BIN)/python -m benchmarks
	$(BIN)/python scripts/write_docs.py

clean:  ## Remove the environment and everything made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
