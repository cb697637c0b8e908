# `make search` and `make test` do all set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := runs/quickstart

.PHONY: help setup search test lint nightly docs pictures clean

help:            ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(READY)  ## a virtual environment with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

search: $(READY) ## the main job on embedded data: search, Pareto picture, exported and proven winner (about 4 minutes on 2 idle cores)
	$(BIN)/segsearch search studies/quickstart.yaml --out $(RUN)
	$(BIN)/segsearch export $(RUN) --out $(RUN)/winner

test: lint       ## style, types, tests
	$(BIN)/pytest -n 2 --dist worksteal --durations 30

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

nightly: $(READY) ## the long tests too
	$(BIN)/pytest -n 2 --dist worksteal -m 'nightly or not nightly'

docs: $(READY)   ## the site of docs/, in site/; fails on a warning
	$(BIN)/zensical build --strict

pictures: search ## the pictures of README and docs, made anew
	cp $(RUN)/pareto.png docs/quickstart.png
	$(BIN)/python -m segsearch.data.contact_sheet docs/streets.png

clean:           ## what was built; runs/ stays
	rm -rf $(VENV) dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
