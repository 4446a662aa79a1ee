# Everything a developer or CI runs.  `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
PROTOS := $(wildcard proto/samprasan/v1/*.proto)
READY := .venv/.installed
SMOKE := tests/postgresql tests/kills tests/node/session tests/wire/test_main_job.py tests/wire/test_offline.py
# Every command compiles its modules once, not at each start, and outside the tree: a start takes 0.9 s of a core, not 2.3.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache

# PART chooses a part of the tests (`--part first`); without it a suite runs both.
# $(call suite,NAME,BUDGET,COMMAND) runs a suite and prints what it took beside its budget in seconds on two idle cores.
define suite
	begun=$$(date +%s); $(3); echo "== $(1): $$(($$(date +%s) - begun)) s (budget $(2) s)"
endef
# $(call environment,FOLDER,PYTHON) installs what the tests need for another Python than the one in use.
define environment
	$(BIN)/uv venv --quiet --clear --python $(2) $(1)
	VIRTUAL_ENV=$(1) $(BIN)/uv pip sync --quiet --require-hashes requirements-dev.txt requirements-uv.txt
	VIRTUAL_ENV=$(1) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(1)/.installed
endef
# Debian's own Python, where it is another than the one in use.
DEBIAN := /usr/bin/python3
# Newer ones, with which the long run tries everything, where they are found.
NEWER := 3.12 3.13

.PHONY: help demo test check check-long debian format proto bench docs pins static unit wire sim kills documentation packaging package fuzz rest

help: ## list what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(READY): requirements-uv.txt requirements-dev.txt pyproject.toml
	@begun=$$(date +%s)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements-dev.txt requirements-uv.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)
	echo "== install: $$(($$(date +%s) - begun)) s"

.venv-proto/.installed: $(READY) requirements-proto.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-proto
	$(BIN)/uv pip sync --quiet --python .venv-proto/bin/python --require-hashes requirements-proto.txt
	touch $@

.venv-debian/.installed: $(READY)
	@$(call environment,.venv-debian,$(DEBIAN))

.venv-3.%/.installed: $(READY)
	@$(call environment,.venv-3.$*,3.$*)

.venv-psi/.installed: $(READY) requirements-psi.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-psi
	$(BIN)/uv pip sync --quiet --python .venv-psi/bin/python --require-hashes requirements-psi.txt
	touch $@

demo: $(READY) ## bring up a hub and three nodes, import the samples, show the shared totals
	@$(BIN)/python deploy/local/demo.py

test: ## set up, and run the tests
	@begun=$$(date +%s)
	$(MAKE) --no-print-directory PART="--part first" $(READY) unit fuzz wire sim kills documentation
	echo "== test: $$(($$(date +%s) - begun)) s (budget 360 s)"

check: ## everything that CI runs
	@begun=$$(date +%s)
	$(MAKE) --no-print-directory $(READY) static test rest packaging debian
	echo "== check: $$(($$(date +%s) - begun)) s (budget 720 s)"
	echo "== all checks passed"

check-long: $(READY) ## every suite at full size; writes docs/figures.md (3 hours)
	@test ! -x $(DEBIAN) || $(MAKE) --no-print-directory .venv-debian/.installed
	for each in $(NEWER); do
		! $(BIN)/uv python find $$each > /dev/null 2>&1 || $(MAKE) --no-print-directory .venv-$$each/.installed
	done
	$(BIN)/python deploy/checks/long.py $(SUITES)

static: $(READY) .venv-proto/.installed ## style, types, imports, messages, secrets; no test
	@begun=$$(date +%s)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary & types=$$!
	trap 'kill $$types 2> /dev/null || true' EXIT
	$(BIN)/lint-imports --no-logo | tail -n 1
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/python deploy/checks/generated.py
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline
	wait $$types
	echo "== static: $$(($$(date +%s) - begun)) s (budget 30 s)"

unit: $(READY) ## what mirrors the source, and the rules of the house
	@$(call suite,unit,130,$(PYTEST) -n 2 $(PART) tests/house tests/keys tests/ledger tests/edge tests/client tests/hub tests/node)

fuzz: $(READY) ## bytes that nobody would send
	@$(call suite,fuzzing,20,$(PYTEST) -n 2 $(PART) tests/fuzz)

wire: $(READY) ## real processes over mutual TLS
	@$(call suite,wire,100,$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder $(PART) tests/wire)

sim: $(READY) ## the simulation, its disasters and its enemy
	@$(call suite,simulation,50,$(PYTEST) -n 2 $(PART) tests/sim)

kills: $(READY) ## hub and nodes killed at any moment
	@$(call suite,kills,20,$(PYTEST) -n 2 tests/kills)

documentation: $(READY) ## every documented command
	@$(call suite,docs,40,$(PYTEST) -n 2 $(PART) tests/docs)

rest: $(READY) ## tests that make check adds: PostgreSQL, the demo, more seeds
	@$(call suite,rest,240,$(PYTEST) -n 2 --part rest tests)

packaging: $(READY) ## the tests of make package
	@$(call suite,package,20,$(PYTEST) tests/package)

package: $(READY) ## wheel, sdist, bill of materials into dist/, twice, compared
	@$(BIN)/python deploy/checks/package.py

debian: $(READY) ## sessions, kills, PostgreSQL with Debian's own Python
	@ours=$$($(BIN)/python -c "import sys; print(sys.version)")
	theirs=$$($(DEBIAN) -c "import sys; print(sys.version)" 2> /dev/null || true)
	if [ -z "$$theirs" ] || [ "$$ours" = "$$theirs" ]; then
		echo "== Debian's Python: none, or the one in use"
	else
		$(MAKE) --no-print-directory .venv-debian/.installed
		$(call suite,Debian's Python,60,.venv-debian/bin/python -m pytest -q -n 2 $(SMOKE))
	fi

format: $(READY) ## put code and messages into one form
	@$(BIN)/ruff check --quiet --fix . || true
	$(BIN)/ruff format --quiet .
	$(BIN)/buf format -w

proto: .venv-proto/.installed ## generate code from the messages
	@$(BIN)/python deploy/checks/generated.py --write

bench: $(READY) .venv-psi/.installed ## measure, and print both sides and the ratio
	@$(BIN)/python -m tests.bench

docs: $(READY) ## write the reference pages and the vectors from the code
	@$(BIN)/python docs/generate.py
	$(BIN)/python deploy/checks/vectors.py --write

pins: ## pin every dependency anew, with hashes
	@compile="$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-emit-index-url --no-emit-find-links"
	$$compile --python-version 3.11.2 --extra dev pyproject.toml --output-file requirements-dev.txt
	$$compile --python-version 3.11.2 requirements-proto.in --output-file requirements-proto.txt
	$$compile --python-version 3.11.2 requirements-psi.in --output-file requirements-psi.txt
	$$compile --python-version 3.11.2 requirements-uv.in --output-file requirements-uv.txt
