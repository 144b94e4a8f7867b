# Two commands do everything: `make run` serves the example app, `make test` proves the project.
# Each sets up .venv on first use; a second run finds it there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint types floors suite soak soak-isolation soak-mounts soak-coroutines soak-endurance soak-slow faults crashes fuzz format bench conformance map docs clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml src/dewar/version.py
	@$(PYTHON) -c 'import sys; sys.exit("Dewar needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

## make run      serve the example app (HOST=, PORT=, THREADS=)
run: $(STAMP)
	@$(BIN)/dewar run examples.tour:app --bind $${HOST:-127.0.0.1}:$${PORT:-8000} --threads $${THREADS:-16}

## make test     lint, types, floors, then the whole suite
test: lint types floors suite

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

floors: $(STAMP)
	@$(BIN)/lint-imports

suite: $(STAMP)
	@$(BIN)/python -m pytest -n $(JOBS)

## make soak     the long forms of what the suite runs short: the five below, one after the other
soak: soak-isolation soak-mounts soak-coroutines soak-endurance soak-slow

## make soak-isolation   640,000 requests looking for state that crosses
soak-isolation: $(STAMP)
	@$(BIN)/python tests/soak/isolation.py

## make soak-mounts     160,000 requests to apps that are alike and mounted on each other
soak-mounts: $(STAMP)
	@$(BIN)/python tests/soak/mounted.py $(ARGS)

## make soak-coroutines  320,000 requests to coroutine views, streams and others on two servers
soak-coroutines: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python tests/soak/coroutines.py $(ARGS)

## make soak-endurance   1,000,000 requests of every kind: descriptors, threads and memory stay flat
soak-endurance: $(STAMP)
	@$(BIN)/python tests/soak/endurance.py $(ARGS)

## make soak-slow        the p99 beside 700 slow clients, and what 10,000 idle ones cost
soak-slow: $(STAMP)
	@$(BIN)/python tests/soak/slow_clients.py $(ARGS)

## make faults   kill, hang and reload the server under load and count every response (REQUESTS=100000)
faults: $(STAMP)
	@$(BIN)/python tests/soak/faults.py --requests $${REQUESTS:-100000}

## make crashes  kill workers and the server while they accept jobs, and account for each (JOBS=10000)
crashes: $(STAMP)
	@$(BIN)/python tests/soak/crashes.py --jobs $${JOBS:-10000}

## make fuzz     send the wire what nobody would, for SECONDS=600; the suite does it for a few
fuzz: $(STAMP)
	@$(BIN)/python -m fuzz.wire --seconds $${SECONDS:-600} $(ARGS)

## make format   let ruff lay out the code
format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

## make bench    build a venv of peers and print one table of ratios
bench: $(STAMP)
	@$(PYTHON) -m bench

## make conformance   run Flask's and its extensions' published tests on Dewar (ARGS="--fast")
conformance:
	@$(PYTHON) -m conformance $(ARGS)

## make map      draw the map of docs/explanation/architecture.md from the imports
map: $(STAMP)
	@$(BIN)/python tests/architecture/drawing.py

## make docs     check that every documented example runs and every link leads somewhere
docs: $(STAMP)
	@$(BIN)/python -m pytest -q tests/docs

## make clean    remove everything the other commands made
clean:
	rm -rf $(VENV) .bench-venv .scratch .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
