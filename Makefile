# Dockyard. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := build/venv
PY := $(VENV)/bin/python
PYTHON ?= python3

.PHONY: help setup lock proto proto-check fmt lint types unit check test clean-build

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.stamp ## Create build/venv with the pinned packages

$(VENV)/.stamp: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --require-hashes -r requirements-dev.txt
	printf '%s\n' $(CURDIR)/proto $(CURDIR)/services/dockerd $(CURDIR)/services/containerd $(CURDIR)/services/shim \
	  > "$$($(PY) -c 'import site; print(site.getsitepackages()[0])')/dockyard-dev.pth"
	touch $@

lock: ## Pin requirements-dev.in with hashes
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements-dev.in -o requirements-dev.txt

proto: setup ## Generate the stubs in proto/wire/gen
	$(PY) proto/generate.py

proto-check: setup ## Fail if the committed stubs are stale
	$(PY) proto/generate.py --check

fmt: setup ## Format
	$(VENV)/bin/ruff format proto services tests

lint: setup ## ruff
	$(VENV)/bin/ruff format --check proto services tests
	$(VENV)/bin/ruff check proto services tests

types: setup ## mypy, strict
	$(VENV)/bin/mypy proto/wire services/dockerd/dockerd

unit: setup ## Unit tests; no root
	$(VENV)/bin/pytest -q tests/unit

check: lint types proto-check unit ## The fast half; no root

test: check ## Everything
