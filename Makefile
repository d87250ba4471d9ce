# What can be done here? `make` or `make help` lists it. CI runs what a person runs.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The oldest Python that is promised: what Debian 12 calls python3 is 3.11.2.
OLDEST ?= /usr/bin/python3
CONSTRAINTS ?= constraints.txt
READY  := $(VENV)/.ready
RUNS   := $(VENV)/.runs
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# Tests that start processes, unpack files or read times: there one Python differs from the next.
ON_OLDEST := tests/domain tests/settings tests/packaging tests/storage/test_migrate.py \
	tests/platforms/test_fields.py tests/platforms/test_schemes.py tests/cli/commands/test_serve.py \
	tests/hard/test_boundaries.py tests/hard/test_rolling_upgrade.py

# Where our code leans on what libraries do: the database's drivers and the web server's insides.
ON_LOWEST := tests/packaging/test_private_names.py tests/packaging/test_bounds.py \
	tests/server/test_gunicorn_insides.py tests/storage/test_database.py tests/storage/test_timeouts.py \
	tests/storage/test_pipeline.py tests/storage/test_failures.py

# A worker keeps to the files it began with: what the tests of a module share is made once.
PYTEST := $(BIN)/python -m pytest -n 2 -q
# Counting lines takes as long again, so that it is asked for, as CI does.
QUICK  := $(PYTEST) --dist worksteal -m 'not hard' $(if $(COVERAGE),--cov --cov-report=term)

# Compiled once, whatever the environment says: hundreds of the tests' processes import the same.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test quick hard clients oldest lowest sdk payloads check format bench wheel clean

help: ## List these tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment with everything in it

$(READY): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[postgres,test]'
	@touch $@ $(RUNS)

# Only what runs: no type checker, no PostgreSQL to test with.
$(RUNS): pyproject.toml $(CONSTRAINTS)
	@echo "Making $(VENV) with what Vouch runs with: about a minute the first time …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint $(CONSTRAINTS) --editable .
	@touch $@

demo: $(RUNS) ## Everything on this machine, no account needed (ONCE=1: exit by itself)
	$(BIN)/vouch demo $(if $(ONCE),--once)

serve: $(RUNS) ## The service with config/vouch.toml
	$(BIN)/vouch serve

test: setup ## Every test, on SQLite and PostgreSQL: the hard ones, then the rest (COVERAGE=1: count)
	@hard=0; \
	$(PYTEST) -m hard || { hard=1; export FAILED_BEFORE="$$FAILED_BEFORE the hard tests;"; }; \
	$(QUICK) && exit $$hard

quick: setup ## The tests without the hard ones (COVERAGE=1: count what they run)
	$(QUICK)

hard: setup ## Only the hard ones: real processes, real kills
	$(PYTEST) -m hard

clients: setup ## Only the clients: generated from the OpenAPI document, compiled and used
	$(BIN)/python -m pytest -n 2 -q tests/clients

oldest: ## The demo and a part of the tests on the oldest Python that is promised (OLDEST=...)
	$(OLDEST) --version
	$(MAKE) setup demo ONCE=1 PYTHON=$(OLDEST) VENV=.venv-oldest
	.venv-oldest/bin/python -m pytest -n 2 -q $(ON_OLDEST)

lowest: ## The demo and a part of the tests with the lowest versions of what we depend on
	$(MAKE) setup demo ONCE=1 VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt
	.venv-lowest/bin/python -m pytest -n 2 -q $(ON_LOWEST)

sdk: setup ## The platforms' own SDKs, fetched into a temporary folder, read our examples
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python -m pip install --quiet --target "$$folder" --requirement tests/sdk/sdks.txt && \
	VOUCH_SDKS="$$folder" $(BIN)/python -m pytest -q tests/sdk

payloads: setup ## Payloads that others publish, fetched, through the intake (RECORD=1: record)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python -m tests.payloads.fetching "$$folder" && \
	VOUCH_PAYLOADS="$$folder" VOUCH_RECORD=$(RECORD) $(BIN)/python -m pytest -q tests/payloads

check: setup ## Format, lint, types and the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Put everything into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## How fast is the intake? (DATABASE=postgresql://… for PostgreSQL)
	$(BIN)/python -m bench.intake $(if $(DATABASE),--database $(DATABASE))

wheel: setup ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove what was built
	rm -rf $(VENV) .venv-oldest .venv-lowest build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
