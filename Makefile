# `make help` lists what there is. Everything is set up on first use; nothing is installed outside this folder.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin
READY := .venv/.ready
SOURCE ?= demo
ON_BOTH_CORES := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Images often switch this on. Every step is a process that would compile its libraries anew: a sixth of a small step's
# processor time, most of the start of an Airflow task.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version): set PYTHON=/path/to/python3.11"; exit 2; }
	@echo "fetching uv $(UV_VERSION) into .uv"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv from uv.lock (6.6 GB, most of it torch with CUDA)"
	@$(UV) sync --frozen --python $(PYTHON)
	@touch $(READY)

setup: $(READY) ## the virtual environment, as uv.lock says

demo: $(READY) ## a shop's log of our own making, from lines to profiles; or yours: make demo LOG=path SOURCE=name-or-toml
	@$(BIN)/throughline demo $(if $(LOG),--log "$(LOG)" --source "$(SOURCE)") $(if $(NIGHTS),--nights "$(NIGHTS)")

test: $(READY) ## all tests, those with a real Airflow, Spark and PostgreSQL included
	@$(BIN)/pytest $(ON_BOTH_CORES)

lint: $(READY) ## format, lint, types, imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint ## what CI runs first: lint and the fast tests
	@$(BIN)/pytest $(ON_BOTH_CORES) -m "not end_to_end and not slow"

format: $(READY) ## write the code as `make check` wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The second word of `make bench data` is the benchmark, no target of its own.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
BENCH ?= $(or $(word 2,$(MAKECMDGOALS)),data)
$(eval $(or $(word 2,$(MAKECMDGOALS)),data): ; @:)
endif

bench: $(READY) ## make bench data|nights: the data steps; planted|taobao|movielens|baselines: the models; rectools: beside RecTools; scoring, training: memory by users; OPTIONS=--quick tries it out
	@$(BIN)/python -m tests.bench.$(BENCH) $(OPTIONS)

up: $(READY) ## Airflow in the background: scheduler, triggerer, DAG processor, web UI; on this machine only
	@$(BIN)/throughline up

down: $(READY) ## stop Airflow and the embedded PostgreSQL; data stays
	@$(BIN)/throughline down

.PHONY: help setup demo test lint check format bench up down
