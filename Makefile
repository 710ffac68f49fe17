# The two commands: `make run` serves on this machine, `make test` runs everything that is tested.
# Both install what they need; nothing has to be set up before.

SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/apus/target
CARGO := cargo
BIN := $(CARGO_TARGET_DIR)/release

.PHONY: run test build setup setup-swift check unit certify third-party oracle crash swift-tests bench-first \
	reports readme

# Serves accounts and containers from ./apus-data until interrupted.
run: setup
	$(CARGO) build --release --package apus
	$(BIN)/apus serve $(ARGS)

# With the tests, whose build shares what it can with the binaries only when both are asked for.
build: setup
	$(CARGO) build --release --workspace --all-targets

# A C compiler is all that the Rust build needs beside Rust.
setup:
	@scripts/setup.sh

# Real Swift, its client and its tests, in a folder of their own.
setup-swift: setup
	@python3 tests/swift/python_env.py

# Everything, in the order in which a defect shows soonest.
test: check unit certify third-party oracle crash swift-tests
	@echo "all tests passed"

# Form, lints and documentation, as errors.
check: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	scripts/readme_tables.py --check
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --quiet

# Unit, integration and documentation tests of every crate; those that need Swift find it.
unit: build setup-swift
	APUS_SWIFT_PYTHON="$$(python3 tests/swift/python_env.py)/venv/bin/python" \
		$(CARGO) test --release --workspace

# The conformance suite by its command line, against the reports that are checked in.
certify: build
	scripts/certify.sh check

reports: build
	scripts/certify.sh write

# An engine from elsewhere: built on what is published, certified, and served.
third-party: build
	scripts/third_party.sh check

# A longer differential run than the one in `unit`; more with OPERATIONS=200000 SEED=…
OPERATIONS ?= 40000
SEED ?= $(shell date +%s)
oracle: build setup-swift
	APUS_SWIFT_PYTHON="$$(python3 tests/swift/python_env.py)/venv/bin/python" \
		$(BIN)/broker-oracle --engine memory --engine sqlite --operations $(OPERATIONS) --seed $(SEED)

# kill -9 while 32 connections write.
ROUNDS ?= 200
crash: build
	$(BIN)/broker-crash --rounds $(ROUNDS) --durability process --seed $(SEED)
	$(BIN)/broker-crash --rounds $(ROUNDS) --durability disk --seed $(SEED)

# Swift's own functional tests, the shared-files test and the tour, on real Swift over Apus.
swift-tests: build setup-swift
	python3 tests/swift/shared_files.py --apus $(BIN)/apus
	examples/real-swift/run.sh --once --apus $(BIN)/apus
	python3 tests/swift/functional.py --apus $(BIN)/apus

# First figures beside stock Swift, measured in turns on this machine.
bench-first: build setup-swift
	APUS_SWIFT_ENV="$$(python3 tests/swift/python_env.py)" \
		$(BIN)/broker-bench --json $(CARGO_TARGET_DIR)/bench-first.json $(ARGS)

# The table of engines in README.md, from the reports.
readme:
	scripts/readme_tables.py

