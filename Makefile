# Two commands matter: `make demo` (set up, run the main job) and `make test` (set up, pass the tests).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Two processes with one thread each use two cores best.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2
# These train tiny networks, which is quick in either precision.
TINY := $(addprefix tests/test_, $(addsuffix .py, checkpoint diagnosis imbalance losses models \
	multilabel_training optimizer preconditions training))

.DEFAULT_GOAL := help
.PHONY: help demo test lab check build site clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,bench,site]"
	touch $@

demo: $(STAMP)  ## set up, then execute lesson 02: real images, a full training run, the before/after table
	$(BIN)/medcourse demo

lab: $(STAMP)  ## set up, then open JupyterLab on the course
	$(BIN)/medcourse lab

check: $(STAMP)  ## the quick gate (under 4 minutes): style, imports, types, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(PYTEST) -m "not slow"

test: check  ## set up, then everything: all tests, and every lesson once by nbval, with its wrong answers inside
	$(PYTEST) -m slow
	$(PYTEST) --other-precision $(TINY)
	$(BIN)/medcourse build --check

build: $(STAMP)  ## make student notebooks and executed solutions from course/source
	$(BIN)/medcourse build
	$(BIN)/python docs/refresh_pages.py
	$(BIN)/python docs/draw_house.py

site: $(STAMP)  ## set up, then write the course as web pages to build/site; a broken link or a missing alt text ends it
	$(BIN)/python -m sphinx -q -W --keep-going -c docs/site -d build/doctrees . build/site
	@echo "open build/site/index.html"

clean:  ## remove the environment and everything built
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
