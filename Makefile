# Two commands are all a newcomer needs: `make demo` and `make test`. Everything else is below.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test setup check bench bench-peers soak test-spark lock clean test-tools docs

VENV := .venv
BIN := $(VENV)/bin
STAMP := .make
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/' | sed 's/^/  make /'

demo: setup ## watch Seattle's fire and medical calls arrive, on this machine only
	$(BIN)/tocsin demo

JOBS := 2
test: setup test-tools $(STAMP)/swift ## everything that proves it works, with real servers and a real browser (JOBS=2 processes, a file of tests at a time)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

setup: $(STAMP)/core $(STAMP)/console $(STAMP)/kernels ## virtual environment in .venv and the console, nothing else

check: setup $(STAMP)/test ## style, types, architecture and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd console && npm run --silent check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/architecture

bench: setup $(STAMP)/bench ## the figures of docs/benchmarks, on this machine
	$(BIN)/python -m bench.hot
	$(BIN)/python -m bench.pipeline
	$(BIN)/python -m bench.archive --quick

LIMIT := 20
RESULT := docs/benchmarks/peers-$(shell date +%F)
bench-peers: setup $(STAMP)/bench ## beside bytewax, Pathway, Node-RED, Flink and Spark as well (3 GB into .peers, an hour or two): a page with pictures
	sh scripts/bench_peers.sh || echo "those that are missing will be rows that say why"
	$(BIN)/python -m bench.hot --peers all --jobs plots --batches 1000 --limit $(LIMIT) --no-install --no-own --out $(RESULT).json
	$(BIN)/python -m bench.plot $(RESULT).json
	$(BIN)/python -m bench.report $(RESULT).json

soak: setup test-tools $(STAMP)/swift ## the long tests
	$(BIN)/python -m pytest -m soak --override-ini addopts=""

test-spark: setup test-tools $(STAMP)/swift $(STAMP)/spark ## the tests that need Spark (half a gigabyte more, and Java)
	@sh scripts/need.sh java
	$(BIN)/python -m pytest -m spark tests/spark --override-ini addopts=""

docs: setup ## write the generated pages
	$(BIN)/python scripts/make_docs.py

lock: ## pin requirements/*.in again
	sh scripts/lock.sh

clean: ## remove everything that the other targets made
	rm -rf $(VENV) $(STAMP) console/node_modules console/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .peers .servers

# ---- steps, each done once until its inputs change ----
$(BIN)/python:
	@sh scripts/need.sh python
	@"$$(sh scripts/need.sh python --print)" -m venv $(VENV)

$(STAMP)/core: $(BIN)/python requirements/build.lock requirements/core.lock pyproject.toml
	@mkdir -p $(STAMP)
	@echo "Installing Python packages (locked, with hashes) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/build.lock
	@$(BIN)/pip install --quiet --require-hashes -r requirements/core.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(STAMP)/test: $(STAMP)/core requirements/test.lock
	@echo "Installing what the tests need ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/test.lock
	@touch $@

$(STAMP)/swift: $(BIN)/python requirements/swift.lock
	@mkdir -p $(STAMP)
	@echo "Installing the storage server that tests of the archive's mirror talk to ..."
	@rm -rf .servers/swift
	@"$$(sh scripts/need.sh python --print)" -m venv .servers/swift
	@.servers/swift/bin/pip install --quiet --require-hashes -r requirements/swift.lock
	@touch $@

$(STAMP)/spark: $(STAMP)/test requirements/spark.lock
	@echo "Installing PySpark (half a gigabyte) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/spark.lock
	@touch $@

$(STAMP)/bench: $(STAMP)/core requirements/bench.lock
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

$(STAMP)/console: console/package.json console/package-lock.json $(shell find console/src console/public console/index.html -type f 2>/dev/null)
	@mkdir -p $(STAMP)
	@sh scripts/need.sh node
	@echo "Building the console ..."
	@cd console && npm ci --silent --no-audit --no-fund --ignore-scripts && npm run --silent build
	@touch $@

$(STAMP)/kernels: $(STAMP)/core $(wildcard tocsin/correlate/*.py tocsin/correlate/kernels/*.py tocsin/archive/*_kernel.py tocsin/archive/compiled.py)
	@echo "Compiling the correlation kernels (once) ..."
	@$(BIN)/tocsin warm-up
	@touch $@

test-tools: $(STAMP)/test
	@sh scripts/need.sh test
