PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_WORKERS ?= 2

.PHONY: help setup run test unit check lint types imports fmt cov schema clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "notifier needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "this Python has no venv: on Debian, apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/pip.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox,dev]'
	@touch $@

setup: $(VENV)/dev.stamp ## Make the virtual environment with everything for development

run: $(VENV)/run.stamp ## Run the sandbox: Redis, Postgres, a local Teams and the daemon (ARGS="--rate 5")
	@$(BIN)/notifier sandbox $(ARGS)

test: setup ## Run all tests; they start their own Redis and Postgres (ARGS="-k claim")
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)

unit: setup ## Run the tests without servers
	$(BIN)/python -m pytest tests/unit $(ARGS)

check: lint types imports ## Check style, types and layers
	$(BIN)/notifier cards check

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

fmt: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

cov: setup ## Measure coverage by branch
	$(BIN)/coverage run -m pytest tests
	$(BIN)/coverage combine && $(BIN)/coverage report

schema: setup ## Write the contract with producers into docs/
	$(BIN)/notifier schema --write docs

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
