# make help lists the targets; demo and test set up what they need, once.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := demo

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow faults lint bench lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	@echo "setting up .venv (once; about 2 GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)  ## make 200,000 demo messages, scan them with Ray, say where the report lies
	@rm -rf $(DEMO)
	$(BIN)/drugscan demo --messages 200000 --out $(DEMO) --format desktop --format telethon --format tdl --format fourcat
	$(BIN)/drugscan scan $(DEMO)/exports --corpus $(DEMO)/corpus

test: $(READY) lint  ## set up if needed, lint, and run all tests
	$(BIN)/python -m pytest

test-slow: $(READY)  ## scale tests (minutes)
	$(BIN)/python -m pytest -m slow

faults: $(READY)  ## kill, remove, fill up and break things; write the table of docs/reliability.md (about 15 minutes)
	DRUGSCAN_FAULTS_TABLE=docs/reliability.md $(BIN)/python -m pytest -m faults tests/faults

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

bench: $(READY)  ## messages per second, beside what one would write by hand
	$(BIN)/python benchmarks/end_to_end.py

lock:  ## resolve the dependencies again into requirements.lock (one command: they must agree)
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -U pip
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 -e '.[train,bench,cluster,test]'
	.venv-lock/bin/python -m pip freeze --all --exclude-editable | grep -v "^pip==" | sed -E 's/^torch==([0-9.]+).*/torch==\1/' > requirements.lock
	rm -rf .venv-lock

clean:  ## remove the environment, the demo and caches
	rm -rf .venv $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
