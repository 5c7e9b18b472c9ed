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
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' services/runtime/Cargo.toml)

APT_UPDATE := apt-get update -qq
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300
# Programs that only the tests use, unpacked from their packages.
TOOLS := build/tools
export PATH := $(PATH):$(CURDIR)/$(TOOLS)/usr/bin:$(CURDIR)/$(TOOLS)/usr/sbin

# Every verb that has a help text.
.PHONY: chaos $(shell sed -nE 's/^([a-z0-9-]+):.*## .*/\1/p' Makefile)

help: ## List the verbs
	@sed -nE 's/^([a-z0-9-]+):.*## /\1\t/p' Makefile | expand -t 16

setup: $(VENV)/.stamp ## Create build/venv with the pinned packages

$(VENV)/.stamp: requirements-dev.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'python3-venv is missing: `make deps`, as root, installs it' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --require-hashes -r requirements-dev.txt
	printf '../../../../../%s\n' proto services/dockerd services/containerd services/shim \
	  > "$$($(PY) -c 'import site; print(site.getsitepackages()[0])')/dockyard-dev.pth"
	touch $@

UV := build/uv/bin/uv
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-package dockyard-wire --custom-compile-command "make lock"

$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install -q uv

lock: $(UV) ## Pin requirements-dev.in and each member's dependencies with hashes
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) -c requirements-dev.txt --all-extras proto/pyproject.toml -o proto/requirements.txt
	for member in dockerd containerd shim; do \
	  $(COMPILE) -c requirements-dev.txt services/$$member/pyproject.toml -o services/$$member/requirements.txt || exit; done

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

rust-format: ## cargo fmt --check, where rustfmt is installed
	@cd services/runtime && if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --check; \
	  else echo 'rustfmt is not installed: format not checked'; fi

rust: rust-format ## The runtime's own checks: format and clippy where they are installed, unit tests
	@cd services/runtime && if $(CARGO) clippy --version >/dev/null 2>&1; \
	  then $(CARGO) clippy -q --locked --all-targets -- -D warnings; else echo 'clippy is not installed: lints not checked'; fi
	cd services/runtime && $(CARGO) test -q --locked

test: test-deps check bin rust ## Everything, from a fresh clone; needs root
	@# The unit tests ran in `check`, in a process of their own: what they fork must not find gRPC's threads.
	$(VENV)/bin/pytest -q tests --ignore=tests/unit -m "not slow"
	$(MAKE) test-cgroup2

MACHINE_DEPS = @{ command -v debootstrap && command -v slirp4netns; } >/dev/null \
  || { $(APT_UPDATE) && $(APT_INSTALL) debootstrap slirp4netns; }

test-fresh: test-deps setup ## `make up` and friends on a fresh Debian 12 and 13, made by debootstrap; needs root
	$(MACHINE_DEPS)
	$(VENV)/bin/pytest -v tests/fresh

test-compose: test-deps setup ## docker-compose.yml under Debian's real Docker, on a machine made by debootstrap; needs root
	$(MACHINE_DEPS)
	$(VENV)/bin/pytest -v tests/compose

chaos: bin test-deps ## Hundreds of kills under load (CHAOS_KILLS, CHAOS_SEED); needs root
	$(VENV)/bin/pytest -v -s tests/chaos

test-nerdctl: bin test-deps $(TOOLS)/usr/bin/nerdctl ## nerdctl against our containerd; needs root, a Go compiler, CNI plugins
	@[ -x /usr/lib/cni/bridge ] || { $(APT_UPDATE) && $(APT_INSTALL) containernetworking-plugins; }
	$(VENV)/bin/pytest -v tests/integration/ctr/test_nerdctl.py

test-ctr2: bin test-deps $(TOOLS)/usr/bin/ctr2 ## The ctr of containerd 2 against our containerd; needs root, a Go compiler
	$(VENV)/bin/pytest -v tests/integration/ctr/test_ctr2.py

test-buildkit: bin test-deps $(TOOLS)/usr/bin/buildkitd $(TOOLS)/usr/bin/buildctl ## BuildKit with our containerd as its worker; needs root, a Go compiler
	$(VENV)/bin/pytest -v tests/integration/ctr/test_buildkit.py

test-crictl: bin test-deps $(TOOLS)/usr/bin/crictl ## crictl against our containerd, which has no CRI yet; needs root, a Go compiler
	$(VENV)/bin/pytest -v tests/integration/ctr/test_crictl.py

test-containerd2: bin test-deps $(TOOLS)/usr/bin/containerd2 ## Our dockerd and our shim with containerd 2; needs root and a Go compiler
	$(VENV)/bin/pytest -v tests/swap/test_containerd.py tests/integration/containerd_shim/test_containerd2.py

test-cli-original: bench-deps setup ## The table of docker commands on Debian's real Docker, to see that it tells the truth; needs root
	DOCKYARD_TRY=original $(VENV)/bin/pytest -q tests/e2e/cli

test-compose-v2: bin test-deps $(TOOLS)/usr/bin/compose2 ## Compose v2 against our dockerd; needs root, a Go compiler
	$(VENV)/bin/pytest -v tests/clients/test_compose_v2.py

# The archive's own checksum.
DOCKERODE := dockerode@5.0.1
DOCKERODE_SUM := sha512-avsq/xk4YPIrn0CgleX5bjT9Y8IT1p9PxrNQ++RBQ2WEyFfHCTDsT9kmyxz+H/axnjAwg8wJWEIuPGOUuNupiA==

test-dockerode: bin test-deps build/node/$(DOCKERODE) ## Node's dockerode against our dockerd; needs root
	$(VENV)/bin/pytest -v tests/clients/test_dockerode.py

build/node/$(DOCKERODE):
	@command -v npm >/dev/null || { $(APT_UPDATE) && $(APT_INSTALL) nodejs npm; }
	@mkdir -p build/node && cd build/node && echo '{"private": true}' > package.json && \
	npm install --silent --no-audit --no-fund --ignore-scripts $(DOCKERODE) && \
	grep -qF '"$(DOCKERODE_SUM)"' package-lock.json || { echo 'dockerode has another checksum'; exit 1; }
	@touch $@

test-databases: bin test-deps ## testcontainers with Postgres and Redis from Debian's packages; needs root
	$(VENV)/bin/pytest -v tests/clients/test_databases.py

# Programs that no Debian package has, or none that is new enough: module, version, the module's own checksum, package in it.
MODULE_nerdctl := github.com/containerd/nerdctl/v2 v2.0.3 h1:hdbDSsFHFNehQEbUortBTXpYUOY13bQmLAvtNHBthc8= ./cmd/nerdctl
MODULE_ctr2 := github.com/containerd/containerd/v2 v2.2.1 h1:TpyxcY4AL5A+07dxETevunVS5zxqzuq7ZqJXknM11yk= ./cmd/ctr
MODULE_compose2 := github.com/docker/compose/v2 v2.40.3 h1:XeYkQu1svDtyfZPv5nTwFryQ25ZJMkIlc4pz9HalMPI= ./cmd
MODULE_containerd2 := github.com/containerd/containerd/v2 v2.2.1 h1:TpyxcY4AL5A+07dxETevunVS5zxqzuq7ZqJXknM11yk= ./cmd/containerd
MODULE_crictl := sigs.k8s.io/cri-tools v1.34.0 h1:KqL9EJ+WgHtz1HR1exezm91n+o8O2uMLs/eHzHJHAWw= ./cmd/crictl
MODULE_buildkitd := github.com/moby/buildkit v0.24.0 h1:qYfTl7W1SIJzWDIDCcPT8FboHIZCYfi++wvySi3eyFE= ./cmd/buildkitd
MODULE_buildctl := github.com/moby/buildkit v0.24.0 h1:qYfTl7W1SIJzWDIDCcPT8FboHIZCYfi++wvySi3eyFE= ./cmd/buildctl

$(foreach program,nerdctl ctr2 compose2 containerd2 crictl buildkitd buildctl,$(TOOLS)/usr/bin/$(program)): $(TOOLS)/usr/bin/%:
	@command -v go >/dev/null || { echo 'a Go compiler is needed to build $*'; exit 1; }
	@set -- $(MODULE_$*) && found=$$(GONOSUMDB='*' go mod download -json "$$1@$$2") && \
	field() { printf '%s\n' "$$found" | sed -n "s/.*\"$$1\": \"\(.*\)\".*/\1/p"; }; \
	[ "$$(field Sum)" = "$$3" ] || { echo "$$1 has another checksum: $$(field Sum)"; exit 1; }; \
	cd "$$(field Dir)" && GONOSUMDB='*' GOFLAGS=-mod=mod CGO_ENABLED=0 go build -buildvcs=false -o $(CURDIR)/$@ "$$4"

test-deps: deps ## Install what the tests need besides (Debian)
	@missing=(); have() { command -v "$$1" >/dev/null || missing+=("$$2"); }; \
	have busybox busybox-static; have skopeo skopeo; have ps procps; have nsenter util-linux; have curl curl; have openssl openssl; have strace strace; \
	if [ $${#missing[@]} -gt 0 ]; then $(APT_UPDATE) && $(APT_INSTALL) "$${missing[@]}"; fi
	@# Only their programs: as installed packages they would start services of their own.
	@need() { command -v "$$1" >/dev/null && return; mkdir -p $(TOOLS) && cd $(TOOLS) || exit; \
	  [ -n "$$(apt-cache show "$$2" $$3 2>/dev/null)" ] || $(APT_UPDATE); \
	  [ -n "$$(apt-cache show "$$2" 2>/dev/null)" ] || set -- "$$1" "$$3"; \
	  apt-get download -qq "$$2" && dpkg -x "$$2"_*.deb . && rm "$$2"_*.deb; }; \
	(need docker docker-cli docker.io) && (need docker-registry docker-registry) && (need ctr containerd) && (need runc runc) && \
	(need dockerd docker.io docker.io) && (need containerd containerd) && (need containerd-shim-runc-v2 containerd)
	@# What dockerd is linked with.
	@ldconfig -p | grep -q libdevmapper.so.1.02.1 || { $(APT_UPDATE) && $(APT_INSTALL) libdevmapper1.02.1; }

deps: compiler ## Install the system packages that are missing (Debian)
	@missing=(); have() { command -v "$$1" >/dev/null || missing+=("$$2"); }; \
	have nft nftables; have iptables iptables; have ip iproute2; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv); \
	ldconfig -p | grep -q libnftables.so.1 || missing+=(libnftables1); \
	if [ $${#missing[@]} -gt 0 ]; then $(APT_UPDATE) && $(APT_INSTALL) "$${missing[@]}"; fi

compiler: ## Install a C linker and a Rust compiler if they are missing or too old (Debian)
	@missing=(); command -v cc >/dev/null || missing+=(gcc); \
	echo '#include <stdio.h>' | cc -xc -fsyntax-only - 2>/dev/null || missing+=(libc6-dev); \
	if [ $${#missing[@]} -gt 0 ]; then $(APT_UPDATE) && $(APT_INSTALL) "$${missing[@]}"; fi
	@# Debian 12 has a recent compiler under another name.
	@recent() { printf '%s\n' $(RUST_VERSION) "$$1" | sort -CV; }; \
	recent "$$($(CARGO) --version 2>/dev/null | cut -d' ' -f2)" || { $(APT_UPDATE) && \
	  if recent "$$(apt-cache show --no-all-versions rustc 2>/dev/null | sed -n 's/^Version: \([0-9.]*\).*/\1/p')"; \
	  then $(APT_INSTALL) cargo; else $(APT_INSTALL) cargo-web; fi; }

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

test-docker-py: bench-deps bin ## docker-py's own integration tests, of 6.1.3 and 5.0.3, on ours and on Debian's Docker; needs root
	$(PY) -m tests.docker_py

bench-runtime: deps setup runtime-build ## The runtime beside Debian's runc and crun, writes BENCHMARKS.md; needs root
	@missing=(); for each in runc crun; do command -v "$$each" >/dev/null || missing+=("$$each"); done; \
	command -v busybox >/dev/null || missing+=(busybox-static); \
	if [ $${#missing[@]} -gt 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"; fi
	$(PY) -m tests.bench.runtime --write BENCHMARKS.md

test-cgroup2: deps setup runtime-build ## The runtime on a host with cgroup v2 alone: a User-Mode Linux kernel; needs root
	@command -v linux.uml >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends user-mode-linux; }
	$(PY) -m tests.cgroup2.boot

fuzz-runtime: ## Damage config.json and state.json for a minute (FOR=seconds) and have the runtime read them
	cd services/runtime && $(CARGO) run -q --release --locked -p fuzz -- $(or $(FOR),60)

conformance: deps setup runtime-build ## crun's and runc's own tests, from Debian's source packages, on our runtime and on theirs; needs root
	@missing=(); have() { command -v "$$1" >/dev/null || missing+=("$$2"); }; \
	have crun crun; have runc runc; have bats bats; have gawk gawk; have jq jq; have script bsdutils; have busybox busybox-static; \
	have ps procps; have nsenter util-linux; have dpkg-source dpkg-dev; have newuidmap uidmap; \
	echo '#include <seccomp.h>' | cc -xc -fsyntax-only - 2>/dev/null || missing+=(libseccomp-dev); \
	if [ $${#missing[@]} -gt 0 ]; then $(APT_UPDATE) && $(APT_INSTALL) "$${missing[@]}"; fi
	$(PY) -m tests.runtime.conformance

# Pinned here: nothing else needs it.
SCHEMATHESIS := schemathesis==4.32.5

build/fuzz/bin/schemathesis:
	$(PYTHON) -m venv build/fuzz
	build/fuzz/bin/pip install -q '$(SCHEMATHESIS)'

fuzz-api: test-deps bin build/fuzz/bin/schemathesis ## schemathesis on our own OpenAPI document for five minutes (FOR=seconds, SEED=n); needs root
	$(PY) -m tests.fuzz.api build/fuzz/bin/schemathesis --seconds $(or $(FOR),300) $(if $(SEED),--seed "$(SEED)")
