# Spack Warehouse. `make help` lists the targets; each works as the first command of a fresh clone.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= tests/data/pages
WAREHOUSE ?= warehouse
SITE ?= $(WAREHOUSE)/site
CONFIG ?= examples/coverage.yaml
DEMO ?= spack-warehouse-demo

.DEFAULT_GOAL := help
.PHONY: help warehouse report scheduled site shell demo test test-slow test-spark lint format bench readme docs lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  SOURCE=DIR      what to build from: a folder of cache pages, such as a checkout of cache.spack.io"
	@echo "                  (now: $(SOURCE))"
	@echo "  WAREHOUSE=DIR   the folder to build (now: $(WAREHOUSE))"
	@echo "  CONFIG=FILE     what make scheduled does (now: $(CONFIG))"

warehouse: $(VENV)/runtime ## Build the warehouse from SOURCE
	$(BIN)/spack-warehouse build "$(SOURCE)" --warehouse "$(WAREHOUSE)"

report: $(VENV)/runtime ## Export the reports of the warehouse to WAREHOUSE/reports
	$(BIN)/spack-warehouse report --warehouse "$(WAREHOUSE)"

scheduled: $(VENV)/runtime ## Build, check, judge and report as CONFIG says
	$(BIN)/spack-warehouse run --config "$(CONFIG)"

site: $(VENV)/runtime $(VENV)/wasm ## Write the warehouse as a site to SITE, with its data and, where there is npm, a page to ask in SQL
	$(BIN)/spack-warehouse site --warehouse "$(WAREHOUSE)" --out "$(SITE)" \
	  $$([ -d $(VENV)/duckdb-wasm/node_modules ] && echo --wasm $(VENV)/duckdb-wasm)

shell: $(VENV)/runtime ## Open the DuckDB shell on the warehouse, read-only
	$(BIN)/spack-warehouse shell --warehouse "$(WAREHOUSE)"

demo: $(VENV)/runtime ## Build a warehouse and its site from invented pages, and open or print where it is
	$(BIN)/spack-warehouse demo --out "$(DEMO)"

test: $(VENV)/dev $(VENV)/oldest $(VENV)/newer $(VENV)/wasm ## Run the tests, in five minutes on two processors
	$(BIN)/python -m pytest -n auto -m "not slow and not spark"

test-slow: $(VENV)/dev $(VENV)/oldest $(VENV)/newer $(VENV)/wasm ## Run the long tests: kills, readers beside builds, all random input
	$(BIN)/python -m pytest -n auto -m "slow and not spark" --hypothesis-profile=full
	$(MAKE) --no-print-directory test-spark

test-spark: $(VENV)/dev $(VENV)/spark ## Run the SQL on Spark, in two processes, against DuckDB's answers; skipped without Java
	PYTHONPATH=$(VENV)/spark-lib $(BIN)/python -m pytest -m spark -o junit_family=xunit1 --junit-xml=$(VENV)/spark.xml

lint: $(VENV)/dev ## Check style, types, SQL and the order of stages; writes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql

format: $(VENV)/dev ## Format the Python and SQL code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar sql

bench: $(VENV)/dev ## Measure against other ways of reading pages; writes bench/RESULTS.md
	$(BIN)/python -m bench

readme: $(VENV)/dev ## Renew the answers and the data dictionary in README.md and docs/
	$(BIN)/python -m tests.readme

docs: $(VENV)/docs ## Make a site of docs/ in .venv/docs-site
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=$(VENV)/docs-lib $(BIN)/python -m mkdocs build

lock: $(VENV)/dev ## Renew the pinned requirements from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	for name in runtime dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --python-version 3.11 --extra install $$([ $$name = dev ] && echo --extra dev) pyproject.toml -o requirements/$$name.txt; \
	done
	for name in pyspark:spark mkdocs-material:docs; do \
	  echo $${name%:*} | $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --python-version 3.11 - -o requirements/$${name#*:}.txt; \
	done

clean: ## Remove what builds, tests and installation left
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf spack-warehouse-demo
	rm -rf warehouse/.builds warehouse/.current warehouse/.lock warehouse/.run.lock warehouse/reports warehouse/notification.json
	rm -f warehouse/spec_stacks warehouse/pages warehouse/dependencies warehouse/rejects warehouse/warehouse.duckdb

# Each set of packages is installed once per change of its lock; the mark is written last, so that
# an interrupted installation is done again.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINNED := $(PIP) --require-hashes
INSTALL := $(PIP) --no-deps --no-build-isolation --editable .

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements/runtime.txt | $(BIN)/python
	$(PINNED) -r requirements/runtime.txt
	$(INSTALL)
	touch $@

$(VENV)/dev: requirements/dev.txt | $(BIN)/python
	$(PINNED) -r requirements/dev.txt
	$(INSTALL)
	touch $@

# Spark is beside the packages of the tests, which it would weigh down. It has to be built, with setuptools of the lock.
# It is 450 MB: where Spark cannot run nothing is fetched, and the tests are skipped, as where it cannot be had.
$(VENV)/spark: requirements/spark.txt | $(VENV)/dev
	fault=$$($(BIN)/python -m tests.sparkrun); if [ -n "$$fault" ]; then echo "The tests on Spark are skipped: $$fault" >&2; \
	elif timeout 900 $(PINNED) --no-build-isolation --target $(VENV)/spark-lib --upgrade -r requirements/spark.txt; then touch $@; \
	else rm -rf $(VENV)/spark-lib; echo "The tests on Spark are skipped: PySpark cannot be had here" >&2; fi

# So is MkDocs, whose packages need not fit those of the project.
$(VENV)/docs: requirements/docs.txt | $(BIN)/python
	$(PINNED) --target $(VENV)/docs-lib --upgrade -r requirements/docs.txt
	touch $@

# The oldest DuckDB whose shell must open a warehouse, beside the one that builds it.
$(VENV)/oldest: requirements/oldest-duckdb.txt | $(BIN)/python
	$(PINNED) --no-warn-conflicts --target $(VENV)/oldest-duckdb --upgrade -r requirements/oldest-duckdb.txt
	touch $@

# The newest DuckDB for which there are extensions, to read a published catalogue and Delta tables with.
$(VENV)/newer: requirements/newer-duckdb.txt | $(BIN)/python
	$(PINNED) --no-warn-conflicts --target $(VENV)/newer-duckdb --upgrade -r requirements/newer-duckdb.txt
	touch $@

# The engine of the page to ask in SQL, by npm, which checks its integrity. Without npm the page is left out.
$(VENV)/wasm: requirements/duckdb-wasm/package-lock.json | $(BIN)/python
	rm -rf $(VENV)/duckdb-wasm && cp -r requirements/duckdb-wasm $(VENV)/duckdb-wasm
	cd $(VENV)/duckdb-wasm && { command -v npm >/dev/null && timeout 600 npm ci --silent || \
	{ rm -rf node_modules; echo "npm cannot be had or fetches nothing here: the page to ask in SQL is left out" >&2; }; }
	if [ -d $(VENV)/duckdb-wasm/node_modules ]; then touch $@; fi
