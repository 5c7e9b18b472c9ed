# Dockyard. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := build/venv
PY := $(VENV)/bin/python
PYTHON ?= python3

BIN := build/bin
CARGO ?= $(firstword $(wildcard $(HOME)/.cargo/bin/cargo) cargo)
TARGET := x86_64-unknown-linux-gnu
RELEASE := services/runtime/target/$(TARGET)/release



.PHONY: bench bench-deps bench-runtime arch rust test-deps deps runtime-build bin up down clean help setup lock proto proto-check fmt lint types unit check test clean-build

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
	$(VENV)/bin/mypy proto/wire services/dockerd/dockerd services/containerd/dockyard services/containerd/containerd services/shim/shim

unit: setup ## Unit tests; no root
	$(VENV)/bin/pytest -q tests/unit

arch: setup ## Import contracts
	$(VENV)/bin/lint-imports --no-cache

check: lint types arch proto-check unit ## The fast half; no root

rust: ## The runtime's own checks: format, clippy, unit tests
	cd services/runtime && $(CARGO) fmt --check
	cd services/runtime && $(CARGO) clippy -q --locked --all-targets -- -D warnings
	cd services/runtime && $(CARGO) test -q --locked

test: check test-deps bin rust ## Everything, from a fresh clone; needs root
	$(VENV)/bin/pytest -q tests

test-deps: deps ## Install what the tests need besides (Debian)
	@missing=(); have() { command -v "$$1" >/dev/null || missing+=("$$2"); }; \
	have docker docker.io; have busybox busybox-static; have docker-registry docker-registry; have skopeo skopeo; \
	have ps procps; have nsenter util-linux; \
	if [ $${#missing[@]} -gt 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"; fi

bench-runtime: setup runtime-build ## The runtime beside Debian's runc and crun; writes BENCHMARKS.md; needs root
	@missing=(); for each in runc crun; do command -v "$$each" >/dev/null || missing+=("$$each"); done; \
	command -v busybox >/dev/null || missing+=(busybox-static); \
	if [ $${#missing[@]} -gt 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"; fi
	$(PY) -m tests.bench.runtime --write BENCHMARKS.md

deps: ## Install the system packages that are missing (Debian)
	@missing=(); have() { command -v "$$1" >/dev/null || missing+=("$$2"); }; \
	have cc gcc; have nft nftables; have iptables iptables; have ip iproute2; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv); \
	ldconfig -p | grep -q libnftables.so.1 || missing+=(libnftables1); \
	[ -x "$(CARGO)" ] || command -v $(CARGO) >/dev/null || missing+=(cargo); \
	if [ $${#missing[@]} -gt 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"; fi

runtime-build: ## Build the native programs, static, into build/bin
	cd services/runtime && RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build -q --release --locked --target $(TARGET)
	mkdir -p $(BIN)
	install -m 755 $(RELEASE)/dockyard-runtime $(RELEASE)/dockyard-init $(BIN)/
	install -m 755 $(RELEASE)/hello build/hello

bin: setup runtime-build ## Everything in build/bin
	$(PY) -m dockyard.launchers $(BIN)

bench-deps: test-deps ## Install Debian's Docker to compare with; its services are not started
	@if ! [ -x /usr/sbin/dockerd ] || ! [ -x /usr/bin/containerd ] || ! [ -x /usr/sbin/runc ]; then \
	  if ! [ -e /usr/sbin/policy-rc.d ]; then \
	    trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
	    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
	  fi; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io containerd runc; \
	fi

bench: bench-deps bin ## Compare with Debian's Docker, write BENCHMARKS.md (ONLY=case,... ROUNDS=n); needs root
	$(PY) -m tests.bench $(if $(ONLY),--only "$(ONLY)") $(if $(ROUNDS),--rounds "$(ROUNDS)")

up: deps bin ## Build, start the stack (ROOT=/some/dir for a separate one), run the hello image
	$(BIN)/dockyard up $(if $(ROOT),--root "$(ROOT)")

down: ## Stop the daemons; containers go on
	$(BIN)/dockyard down $(if $(ROOT),--root "$(ROOT)")

clean: ## Remove the stack: containers, daemons, data
	$(BIN)/dockyard clean $(if $(ROOT),--root "$(ROOT)")
