# `make help` lists the targets. The first use sets everything up; nothing is installed outside this folder.
SHELL := /bin/bash
PYTHON ?= python3
UV_PIN := .ci/uv.txt
UV := .uv/bin/uv
BIN := .venv/bin
READY := .venv/.ready
SOURCE ?= demo
ON_BOTH_CORES := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Images often set this. Then every process compiles its libraries again, which takes a sixth of a small step's processor
# time and most of the start of an Airflow task.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version): set PYTHON=/path/to/python3.11"; exit 2; }
	@echo "fetching $$(grep -o '^uv==[^ ]*' $(UV_PIN)) into .uv"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(UV_PIN)

$(READY): pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv from uv.lock (6.7 GB, most of it torch with CUDA)"
	@# pyspark again: a checkout of before has pyspark-client, whose removal takes files of pyspark with it
	@$(UV) sync --frozen --python $(PYTHON) --reinstall-package pyspark
	@touch $(READY)

setup: $(READY) ## install the virtual environment from uv.lock

demo: $(READY) ## run the pipeline on a made-up log; on yours: make demo LOG=path SOURCE=name-or-toml
	@$(BIN)/throughline demo $(if $(LOG),--log "$(LOG)" --source "$(SOURCE)") $(if $(NIGHTS),--nights "$(NIGHTS)")

test: $(READY) ## run all tests, also those with a real Airflow, Spark and PostgreSQL
	@$(BIN)/pytest $(ON_BOTH_CORES) --durations 30

lint: $(READY) ## check format, lint, types and imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint ## run lint and the fast tests, as CI does first
	@$(BIN)/pytest $(ON_BOTH_CORES) -m "not end_to_end and not slow"

format: $(READY) ## format the code and fix what ruff can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The second word of `make bench data` names the benchmark and is not a target.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
BENCH ?= $(or $(word 2,$(MAKECMDGOALS)),data)
$(eval $(or $(word 2,$(MAKECMDGOALS)),data): ; @:)
endif

bench: $(READY) ## make bench data|nights: data steps; query: analysts' queries; planted|taobao|movielens|baselines|boosting|published|published_items: models; gpu: a GPU; rectools: RecTools; scoring|training: memory; shapes: uneven logs; cluster|workers_of_spark: two workers, S3; erasure: 100 people; growth: 56 nights; OPTIONS=--quick
	@$(BIN)/python -m tests.bench.$(BENCH) $(OPTIONS)

chaos: $(READY) ## break nights at a few points and compare with an undisturbed twin; at all points: OPTIONS=--all
	@$(BIN)/python -m tests.bench.chaos $(OPTIONS)

up: $(READY) ## start Airflow in the background, on this machine only
	@$(BIN)/throughline up

down: $(READY) ## stop Airflow, the Spark engine and the local PostgreSQL; data stays
	@$(BIN)/throughline down

.PHONY: help setup demo test lint check format bench chaos up down
