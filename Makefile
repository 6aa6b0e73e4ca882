# One door: `make` alone lists the targets. Each does its own set-up, once.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
export PYTHON
# Tests run in as many processes.
PYTEST_WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready
# It wants versions of its own of what we use too.
SPID := .venv-spid-sp-test/.ready
# Not for every kind of machine, and needed for this alone.
ATHERIS := .venv/.atheris
AXE := $(if $(wildcard tests/browser/package-lock.json),tests/browser/node_modules/.ready)
PROVIDER := tests/interop/provider/node_modules/.ready

.PHONY: help setup demo test lint type bench interop fuzz docs lock clean debian-demo debian-test

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: debian-test $(READY) $(AXE) $(SPID) $(PROVIDER) ## Install everything: Debian packages, .venv, what the browser tests need

demo: debian-demo $(READY) ## Two cities, two services and the broker between them, on this machine
	$(BIN)/broker demo

test: setup lint type ## All checks: lint, types, imports, and every test
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile

lint: $(READY) ## Style, mistakes, and which package may import which
	$(BIN)/ruff check broker tests scripts
	$(BIN)/ruff format --check broker tests scripts
	$(BIN)/lint-imports --no-logo

type: $(READY) ## Types, strictly
	$(BIN)/mypy

bench: debian-test $(READY) ## Logins a second, latency, CPU and memory; options in BENCH="--logins 500 --workers 1,2"
	$(BIN)/python -m tests.bench $(BENCH)

interop: debian-test $(READY) $(SPID) $(PROVIDER) ## The four protocol pairs, and mod_auth_mellon, mod_auth_openidc, SimpleSAMLphp, oidc-provider as real peers
	$(BIN)/broker demo --check --port $${PORT:-18080} --dir var/interop
	$(BIN)/pytest tests/interop

fuzz: debian-test $(READY) $(ATHERIS) ## Coverage-guided fuzzing of every parser, then new random examples; SECONDS=600 ROUNDS=3
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600)
	@for round in $$(seq $(or $(ROUNDS),3)); do \
		$(BIN)/pytest -q -n $(PYTEST_WORKERS) -m "hypothesis and not browser" || exit 1; \
	done

docs: $(READY) ## Write the generated pages of docs/reference anew, and check every link
	$(BIN)/python scripts/docs.py --write

lock: $(READY) ## Resolve the dependencies of pyproject.toml into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra dev --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock
	$(BIN)/uv pip compile tests/interop/spid/requirements.in --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		--output-file tests/interop/spid/requirements.lock
	$(BIN)/uv pip compile tests/fuzz/requirements.in --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		--output-file tests/fuzz/requirements.lock

clean: ## Remove what was made here: .venv, caches, the demo's data
	rm -rf .venv .venv-spid-sp-test .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var tests/browser/node_modules \
		tests/interop/provider/node_modules

debian-demo:
	@scripts/install-debian-packages demo

debian-test:
	@scripts/install-debian-packages test

# The order matters: Debian's python3-venv first.
$(READY): requirements.lock pyproject.toml | debian-demo
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(ATHERIS): tests/fuzz/requirements.lock | $(READY)
	$(BIN)/pip install --quiet --require-hashes -r $<
	@touch $@

$(SPID): tests/interop/spid/requirements.lock | debian-test
	$(PYTHON) -m venv .venv-spid-sp-test
	.venv-spid-sp-test/bin/pip install --quiet --require-hashes -r $<
	@touch $@

$(AXE) $(PROVIDER): %/node_modules/.ready: %/package-lock.json | debian-test
	cd $* && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@
