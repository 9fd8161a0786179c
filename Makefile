# Everything a developer runs. Nothing here but install and uninstall needs root, and nothing a server started by hand.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN  := $(VENV)/bin
ARGS ?=
# Each worker has servers of its own.
# More workers than processors, since tests also wait; with compiled files kept, since each worker imports everything.
WORKERS ?= 4
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS)

# The first Python that is new enough; name another with `make PYTHON=/path/to/python3 …`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help setup run test test-slow unit check lint types imports words cards bandit audit fmt cov fuzz chaos bench bench-backlog bench-templates schema pictures clean install uninstall

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## Make .venv with everything that running, testing and checking need

run: $(VENV)/.run ## Run the sandbox: Redis, Postgres, a local Teams, the daemon (ARGS='--rate 5')
	@exec $(BIN)/notifier sandbox $(ARGS)

test: $(VENV)/.dev ## Run the tests on real Redis and Postgres that they start themselves (ARGS='-k lane')
	$(PYTEST) -m 'not slow' $(ARGS)

test-slow: $(VENV)/.dev ## Run the long tests: chaos, fuzz, the reference engine on Node, a small benchmark
	$(PYTEST) -m slow $(ARGS)

unit: $(VENV)/.dev ## Run the tests without any server
	$(BIN)/python -m pytest -m "not server" tests/unit tests/broker $(ARGS)

check: lint types imports words cards bandit audit ## Check style, types, layers, words, cards and security

lint: $(VENV)/.dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

imports: $(VENV)/.dev ## Check that imports point down the layers
	$(BIN)/lint-imports

words: $(VENV)/.dev ## Check that documents, messages and comments use plain words (ARGS=notifier/web)
	$(BIN)/python .ci/words.py $(ARGS)

cards: $(VENV)/.dev ## Check the card templates with all samples and worst data
	$(BIN)/notifier cards check

bandit: $(VENV)/.dev ## Look for insecure code
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive notifier .ci

audit: $(VENV)/.dev ## Look for known vulnerabilities in the installed packages (needs a network)
	$(BIN)/python .ci/audit.py $(ARGS)

fmt: $(VENV)/.dev ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

cov: $(VENV)/.dev ## Run all tests, report which branches they miss, and fail below 85 %
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=pyproject.toml $(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine
	@$(BIN)/coverage report --format=total --precision=2 | awk '{ \
		print "# HELP teams_notifier_test_coverage_ratio Branch coverage of the tests, as measured by make cov."; \
		print "# TYPE teams_notifier_test_coverage_ratio gauge"; \
		printf "teams_notifier_test_coverage_ratio %.4f\n", $$1 / 100 }' > coverage.prom
	$(BIN)/coverage report

fuzz: $(VENV)/.dev ## Feed decoder, templates, cards, config and tokens a million spoiled inputs (ARGS='--seed 2')
	$(BIN)/python -m tests.fuzz --inputs 1000000 --write $(ARGS)

chaos: $(VENV)/.dev ## Kill and restart everything under load, then count (ARGS='--seed 7 --events 2000 --kills 10')
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/.bench ## Measure the daemon beside a floor, FastStream, taskiq and Celery (ARGS='--only throughput --events 5000')
	$(BIN)/python -m benchmarks $(ARGS)

bench-backlog: $(VENV)/.dev ## Measure memory and waits with up to a million events waiting (minutes)
	$(BIN)/python benchmarks/backlog.py --write $(ARGS)

bench-templates: $(VENV)/.dev ## Measure card templates beside Microsoft's engine (needs Node)
	$(BIN)/python benchmarks/templates.py

schema: $(VENV)/.run ## Write docs/reference/event.schema.json, docs/reference/asyncapi.json and docs/reference/event-types.md
	$(BIN)/notifier schema --write docs/reference

pictures: $(VENV)/.dev ## Take the pictures of the documents from a running sandbox (needs Chromium)
	$(BIN)/python docs/pictures/make.py

# A service cannot see a Python in somebody's home, so the system's comes first.
SYSTEM_PYTHON = $(shell for p in /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 /usr/bin/python3.14 /usr/bin/python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
SERVICE_PYTHON = $(if $(filter file undefined,$(origin PYTHON)),$(or $(SYSTEM_PYTHON),$(PYTHON)),$(PYTHON))
export PREFIX DESTDIR UNITDIR BINDIR KEEP PURGE

install: ## Install as a systemd service, beside earlier versions (root; PREFIX=/opt/notifier, DESTDIR, WHEEL, EXTRAS=otel): docs/how-to/install.md
	@packaging/install.sh '$(SERVICE_PYTHON)' '$(WHEEL)'

uninstall: ## Stop and remove the service; settings and credentials stay unless PURGE=1
	@packaging/uninstall.sh

clean: ## Remove .venv, caches and build results
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.coverage .coverage.* coverage.prom htmlcov dist build
	find notifier tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second `make run` start at once; a changed pyproject.toml installs again.
$(VENV)/.run: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[sandbox,otel,dev]'
	@touch $(VENV)/.run $@

$(VENV)/.bench: pyproject.toml $(VENV)/.dev | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $(VENV)/.run $(VENV)/.dev $@

# Debian splits ensurepip off into python3-venv; pip or virtualenv of the system can replace it.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: notifier needs Python 3.11 or newer and found none on PATH." >&2; \
		echo "      Install it (Debian 12, Ubuntu 24.04: apt install python3 python3-venv) or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	elif $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m virtualenv --version >/dev/null 2>&1; then \
		$(PYTHON) -m virtualenv --quiet $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; \
	else \
		echo "make: $(PYTHON) has neither ensurepip, virtualenv nor pip. Install one of them (Debian: apt install python3-venv)." >&2; \
		exit 1; \
	fi
