# Xinliu: `make` prints what there is. Each target does its own set-up.
PYTHON ?= python3
VENV := .venv
# Processes that share the tests: they mostly wait for servers, so one more than there are processors, 4 at most.
TESTERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
BIN := $(VENV)/bin
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help setup check test nightly demo up down status bench lock format docs

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## install the locked packages into .venv

$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"making .venv: Python {v[0]}.{v[1]} is not supported; run make PYTHON=python3.12 (3.11 to 3.13)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync -q --require-hashes --compile-bytecode requirements.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -q --no-build-isolation --no-deps -e .
	@touch $@

check: setup ## lint, format, types, import contracts, contract and docs not stale
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/pyrefly check --output-format=min-text --summary=none
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python -m schemas check
	@$(BIN)/python -m deploy.reference check

test: setup ## all tests, against a real broker and a real engine that they start themselves
	@$(BIN)/python -m pytest -m "not nightly" -n $(TESTERS) --dist loadfile --no-loadscope-reorder

nightly: setup ## the long runs: kill -9 under load, large files, more examples
	@XINLIU_NIGHTLY=1 $(BIN)/python -m pytest -m nightly -s

demo: setup ## the main job from files to a verified store, in a stack of its own, then stop everything
	@$(BIN)/python -m deploy.demo

up: setup ## start the local stack: Kafka, ClickHouse, the lanes
	@$(BIN)/python -m deploy.local up

down: setup ## stop it; the data stays in XINLIU_HOME (.xinliu)
	@$(BIN)/python -m deploy.local down

status: setup ## how the stack is
	@$(BIN)/xinliu status

bench: setup ## events per CPU-second of the lanes, rows per second of the store and of the readers (EVENTS=1000000)
	@$(BIN)/python -m tests.bench --events $(or $(EVENTS),1000000)
	@$(BIN)/python -m tests.bench.readers
	@$(BIN)/python -m tests.bench.cases

lock: setup ## renew requirements.txt from pyproject.toml
	@$(BIN)/uv lock -q && $(BIN)/uv export -q --format requirements.txt --no-emit-project --no-header --all-groups > requirements.txt; rm -f uv.lock

format: setup ## format the code
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

docs: setup ## renew the published schemas and the reference pages
	@$(BIN)/python -m schemas write
	@$(BIN)/python -m deploy.reference write
