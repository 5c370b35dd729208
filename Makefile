# Two commands matter: `make demo` (set up, run the main job) and `make test` (set up, pass the tests).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lab check build clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,bench]"
	touch $@

demo: $(STAMP)  ## set up, then execute lesson 02: real images, a full training run, the before/after table
	$(BIN)/medcourse demo

lab: $(STAMP)  ## set up, then open JupyterLab on the course
	$(BIN)/medcourse lab

check: $(STAMP)  ## the quick gate (under 3 minutes): style, imports, types, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not slow"

test: check  ## set up, then everything: all tests, and every lesson once by nbval, with its wrong answers inside
	$(BIN)/pytest -q -m slow
	$(BIN)/medcourse build --check

build: $(STAMP)  ## make student notebooks and executed solutions from course/source
	$(BIN)/medcourse build
	$(BIN)/python docs/refresh_pages.py

clean:  ## remove the environment and everything built
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
