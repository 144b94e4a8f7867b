# The main commands: `make run` serves the example app, `make test` tests the project.
# They create .venv on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test test-all second lint types floors suite soak soak-isolation soak-mounts soak-coroutines soak-endurance soak-slow faults crashes chaos fuzz format bench curves targets counters counters-update flame conformance map docs wheels clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml src/dewar/version.py
	@$(PYTHON) -c 'import sys; sys.exit("Dewar needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ". Choose another one: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

## make run      serve the example app (HOST=, PORT=, THREADS=)
run: $(STAMP)
	@$(BIN)/dewar run examples.tour:app --bind $${HOST:-127.0.0.1}:$${PORT:-8000} --threads $${THREADS:-16}

## make test     check style, types and imports, then run all tests
test: lint types floors second suite

## make test-all run all tests on each Python from 3.11 on that is installed here
test-all: $(STAMP)
	@$(BIN)/python tests/interpreters.py all --jobs $(JOBS) $(ARGS)

## make second   run the tests of framing and isolation on a second Python, if there is one
second: $(STAMP)
	@$(BIN)/python tests/interpreters.py second --jobs $(JOBS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

floors: $(STAMP)
	@$(BIN)/lint-imports

suite: $(STAMP)
	@$(BIN)/python -m pytest -n $(JOBS)

## make soak     run the five long tests below, one after the other
soak: soak-isolation soak-mounts soak-coroutines soak-endurance soak-slow

## make soak-isolation   send 640,000 requests and check that none sees the state of another
soak-isolation: $(STAMP)
	@$(BIN)/python tests/soak/isolation.py

## make soak-mounts      send 160,000 requests to equal apps that are mounted on each other
soak-mounts: $(STAMP)
	@$(BIN)/python tests/soak/mounted.py $(ARGS)

## make soak-coroutines  send 320,000 requests to coroutine views and streams on two servers
soak-coroutines: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python tests/soak/coroutines.py $(ARGS)

## make soak-endurance   send 1,000,000 requests and check that descriptors, threads and memory do not grow
soak-endurance: $(STAMP)
	@$(BIN)/python tests/soak/endurance.py $(ARGS)

## make soak-slow        measure the p99 with 700 slow clients, and the memory of 10,000 idle ones
soak-slow: $(STAMP)
	@$(BIN)/python tests/soak/slow_clients.py $(ARGS)

## make faults   kill, hang and reload the server under load, and count every response (REQUESTS=100000)
faults: $(STAMP)
	@$(BIN)/python tests/soak/faults.py --requests $${REQUESTS:-100000}

## make crashes  kill workers and the server while they accept jobs, and check that none is lost (JOBS=10000)
crashes: $(STAMP)
	@$(BIN)/python tests/soak/crashes.py --jobs $${JOBS:-10000}

## make chaos    have all go wrong that can while jobs are accepted, and account for each (JOBS=20000)
chaos: $(STAMP)
	@$(BIN)/python tests/soak/chaos.py --jobs $$(( $${JOBS:-20000} / 2 )) $(ARGS)

## make fuzz     send random bytes to the HTTP parser (SECONDS=600)
fuzz: $(STAMP)
	@$(BIN)/python -m fuzz.wire --seconds $${SECONDS:-600} $(ARGS)

## make format   format the code with ruff
format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

## make bench    compare Dewar with other frameworks and servers: a table, then the curves
bench: $(STAMP)
	@$(PYTHON) -m bench; status=$$?; $(PYTHON) -m bench.curves && exit $$status

## make curves   measure only the curves, and plot them to docs/figures (ARGS="--quick")
curves: $(STAMP)
	@$(PYTHON) -m bench.curves $(ARGS)

## make targets  measure the ratios that Dewar should reach, and write their page
targets: $(STAMP)
	@$(PYTHON) -m bench --only targets --page docs/reference/targets.md $(ARGS)

## make counters   count what a request costs on each path, beside the figures of the last landing
counters: $(STAMP)
	@$(BIN)/python -m bench.counters $(ARGS)

## make counters-update   take the counters of today as the budget, which the tests compare with
counters-update: $(STAMP)
	@$(BIN)/python -m bench.counters --update

## make flame    measure where a request's microseconds go, and draw it (docs/explanation)
flame: $(STAMP)
	@$(BIN)/python -m bench.flame $(ARGS)

## make conformance   run Flask's and its extensions' published tests on Dewar (ARGS="--fast")
conformance:
	@$(PYTHON) -m conformance $(ARGS)

## make map      draw the maps in docs/explanation from the imports
map: $(STAMP)
	@$(BIN)/python tests/architecture/drawing.py

## make docs     check that all documented examples run and all links work
docs: $(STAMP)
	@$(BIN)/python -m pytest -q tests/docs

## make wheels   build the wheel, which is pure Python, in dist
wheels: $(STAMP)
	@$(BIN)/python -m hatchling build --target wheel --directory dist

## make clean    remove everything that the other commands create
clean:
	rm -rf $(VENV) .venvs .bench-venv .scratch dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
