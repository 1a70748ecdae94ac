# Each target sets up what it needs; what it runs is a command of the packages. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run demo models test lint format gen bench soak lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY)  ## Make .venv from the lock of exact versions (1 to 3 minutes, once)

$(READY): requirements/dev.lock pyproject.toml
	@echo "setup: making $(VENV) with the versions of requirements/dev.lock (TensorFlow is large: 1 to 3 minutes)"
	@$(PYTHON) -m venv $(VENV) || { echo "setup: Python 3.11 with venv is needed (Debian: apt install python3.11 python3.11-venv), or name one: make PYTHON=python3 ..."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "setup: done"

run: $(READY)  ## Train if nothing is published, serve, ask real questions, keep serving until Ctrl-C
	@exec $(BIN)/python -m local run

demo: $(READY)  ## The same, then exit: non-zero where any answer failed
	@exec $(BIN)/python -m local demo

models: $(READY)  ## Train, judge and publish every job into var/models, with a report each
	@jobs=$$($(BIN)/python -m training list) || exit 1; failed=; for job in $$(cut -d: -f1 <<< "$$jobs"); do \
	  $(BIN)/python -m training run $$job --repository var/models || { [ $$? -lt 128 ] || exit 1; failed="$$failed $$job"; }; \
	done; if [ -n "$$failed" ]; then echo "models: not published:$$failed" >&2; exit 1; fi

test: $(READY)  ## The whole test suite
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## Style, types, import contracts, the rules of the wire, and that generated code is up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/python proto/generate.py --check

format: $(READY)  ## Lay the code out
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

gen: $(READY)  ## Generate the Python of proto/
	$(BIN)/python proto/generate.py

bench: $(READY)  ## Measure what the gateway and the model server cost (about 20 minutes)
	@$(BIN)/python -m benchmarks.start
	@$(BIN)/python -m benchmarks.overhead
	@$(BIN)/python -m benchmarks.modelserver.start
	@$(BIN)/python -m benchmarks.modelserver.speed --model small
	@$(BIN)/python -m benchmarks.modelserver.speed --model large
	@$(BIN)/python -m benchmarks.modelserver.copies
	@$(BIN)/python -m benchmarks.modelserver.publish
	@$(BIN)/python -m benchmarks.training.steps
	@$(BIN)/python -m benchmarks.training.streams
	@$(BIN)/python -m benchmarks.training.memory

soak: $(READY)  ## Publish versions for twelve minutes under 32 callers; fails where a call was lost, or memory stayed taken
	@$(BIN)/python -m benchmarks.modelserver.publish --minutes 12 --callers 32

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

lock: $(READY)  ## Resolve the versions anew: one lock for all, and one for each extra that is installed alone
	$(LOCK) --upgrade --all-extras --group dev -o requirements/dev.lock
	$(LOCK) --constraint requirements/dev.lock -o requirements/client.lock
	for extra in gateway modelserver; do $(LOCK) --constraint requirements/dev.lock --extra $$extra -o requirements/$$extra.lock || exit 1; done
	@# A run asks a version through both servers before it publishes it.
	$(LOCK) --constraint requirements/dev.lock --extra training --extra gateway --extra modelserver -o requirements/training.lock

clean:  ## Remove the environment and everything that was made by running (models, keys, certificates, audit)
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
