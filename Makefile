# Kaireon: everything that is done in a clone. Needs Python >= 3.11 and a package index, nothing else.

PYTHON ?= python3
BIN := .venv/bin
# Each has servers of its own, and takes a file of tests at a time.
TEST_PROCESSES ?= 2
# How k6 is run: see perf/README.md.
K6 = $(or $(SCRIPT),recommend) $(if $(SHAPE),--shape $(SHAPE)) $(if $(RATE),--rate $(RATE)) $(if $(STORE),--store)
BOOTSTRAP := $(PYTHON) services/cli/kaireon_cli/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help setup run reset test test-backends test-faults lint format sbom bench bench-micro bench-k6 bench-compare

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: ## Install everything that uv.lock names into .venv, development tools included
	@$(BOOTSTRAP) all

run: ## Start the whole suite with sample data, here, without Docker; Ctrl-C ends it
	@$(BOOTSTRAP) run
	@exec $(BIN)/kaireon run --until-parent-ends

reset: ## Erase what running has made: databases, keys, secrets
	@$(BOOTSTRAP) run
	@exec $(BIN)/kaireon reset

test: setup ## Run every test, on real servers started for it (TESTS=path narrows it, TEST_PROCESSES=1 runs one at a time)
	@exec $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile $(TESTS)

test-backends: setup ## Run the tests that need programs from beyond the package index, fetched where they are missing
	@exec $(BIN)/pytest -m backends $(TESTS)

test-faults: setup ## Run the tests that break servers and processes at full size
	@exec $(BIN)/pytest -m faults -n $(TEST_PROCESSES) --dist loadfile $(TESTS)

lint: setup ## Check style, types, layers, dependencies and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry tests perf
	@set -e; for member in libs/* services/*; do echo "deptry $$member"; (cd "$$member" && "$(CURDIR)/$(BIN)/deptry" .); done
	$(BIN)/squawk --config libs/storage/squawk.toml libs/storage/kaireon_storage/migrations/*.sql

format: setup ## Rewrite the sources in the one style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

sbom: setup ## Write what each image is installed from, as CycloneDX, to var/sbom
	@mkdir -p var/sbom; set -e; for service in $(notdir $(wildcard services/*)); do \
		$(BIN)/uv export --quiet --frozen --no-dev --format cyclonedx1.5 --package "kaireon-$$service" --extra image -o "var/sbom/$$service.json" > /dev/null; \
	done

bench: setup ## Measure a floor and /recommend against the running stack (make run)
	@exec $(BIN)/python -m perf.bench

bench-micro: setup ## Measure what deciding costs in the process, as ratios; STORE=1 keeps them in perf/baselines
	@exec $(BIN)/python -m perf.micro $(if $(STORE),--store)

bench-k6: setup ## Measure SCRIPT=recommend, respond or decide with k6 at a fixed rate; STORE=1 keeps the run in perf/baselines
	@exec $(BIN)/python -m perf.k6 $(K6)

bench-compare: setup ## The same, and fail where it is worse than the kept run
	@exec $(BIN)/python -m perf.k6 $(K6) --compare
