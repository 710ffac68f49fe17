# The two commands: `make run` serves on this machine, `make test` runs everything that is tested.
# Both install what they need; nothing has to be set up before.

SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/apus/target
CARGO := cargo
# With every engine: RocksDB, which is C++, is built once per machine by scripts/rocksdb.sh and linked from there.
ROCKSDB := --config $(shell scripts/rocksdb.sh --path)
CARGO_ALL := $(CARGO) $(ROCKSDB)
FEATURES := --features apus/rocksdb
BIN := $(CARGO_TARGET_DIR)/release

.PHONY: run test build setup rocksdb setup-swift check unit certify third-party oracle full crash convert \
	swift-tests bench bench-quick bench-engines reports mutants readme wire wire-reports

# Serves accounts and containers from ./apus-data until interrupted. ENGINE=rocksdb takes ten minutes more the
# first time; without it nothing of RocksDB is built.
ENGINE ?= sqlite
run: setup $(filter rocksdb,$(ENGINE))
	$(if $(filter rocksdb,$(ENGINE)),$(CARGO_ALL) build --release --package apus --features rocksdb,$(CARGO) build --release --package apus)
	$(BIN)/apus serve --engine $(ENGINE) $(ARGS)

# With the tests, whose build shares what it can with the binaries only when both are asked for.
build: setup rocksdb
	$(CARGO_ALL) build --release --workspace --all-targets $(FEATURES)

# A C compiler is all that the Rust build needs beside Rust.
setup:
	@scripts/setup.sh

# The C++ library, once per machine.
rocksdb: setup
	@scripts/rocksdb.sh

# Real Swift, its client and its tests, in a folder of their own.
setup-swift: setup
	@python3 tests/swift/python_env.py

# Everything, in the order in which a defect shows soonest.
test: check unit certify third-party wire oracle full crash convert swift-tests
	@echo "all tests passed"

# Form, lints and documentation, as errors.
check: setup rocksdb
	$(CARGO) fmt --all --check
	# After the word clippy, or it is not passed on.
	$(CARGO) clippy $(ROCKSDB) --release --workspace --all-targets $(FEATURES) -- -D warnings
	scripts/readme_tables.py --check
	RUSTDOCFLAGS="-D warnings" $(CARGO_ALL) doc --release --workspace $(FEATURES) --no-deps --quiet

# Unit, integration and documentation tests of every crate; those that need Swift find it.
unit: build setup-swift
	APUS_SWIFT_PYTHON="$$(python3 tests/swift/python_env.py)/venv/bin/python" \
		$(CARGO_ALL) test --release --workspace $(FEATURES)

# The conformance suite by its command line, against the reports that are checked in.
certify: build
	scripts/certify.sh check

reports: build
	scripts/certify.sh write

# An engine from elsewhere: built on what is published, certified, and served.
third-party: build
	scripts/third_party.sh check

# The same suite over HTTP: against stock Swift, then against Apus on each engine.
WIRE_ENGINES ?= memory sqlite sled rocksdb
wire: build setup-swift
	scripts/certify_wire.sh check $(WIRE_ENGINES)

wire-reports: build setup-swift
	scripts/certify_wire.sh write $(WIRE_ENGINES)

# Engines with one flaw each: which case notices, and the kill rate in conformance/mutants.json.
mutants: setup
	APUS_BLESS=1 $(CARGO) test --release --package broker-conformance --test mutants

# A longer differential run than the one in `unit`; more, and other histories, with OPERATIONS=200000 SEED=…
OPERATIONS ?= 40000
ORACLE_ENGINES ?= memory sqlite rocksdb sled
SEED ?= 20261125
oracle: build setup-swift
	APUS_SWIFT_PYTHON="$$(python3 tests/swift/python_env.py)/venv/bin/python" \
		$(BIN)/broker-oracle $(addprefix --engine ,$(ORACLE_ENGINES)) --operations $(OPERATIONS) --seed $(SEED)

# What a full device does to each engine.
full: build
	scripts/full.sh $(CARGO_ALL) test --release --workspace $(FEATURES)

# kill -9, and cuts of the power, while 32 connections write: every engine that is compiled in, at every
# durability that it has. ROUNDS=200 for a long run.
ROUNDS ?= 40
crash: build
	scripts/crash.sh $(BIN) $(ROUNDS) $(SEED)

# Stores from engine to engine with kill -9 on the way, and back to Swift. The full journey:
# make convert ARGS="--rows 5000000 --small 1000 --engines sqlite,rocksdb,sled,sqlite --kills 10"
convert: build setup-swift
	python3 tests/swift/convert_check.py --apus $(BIN)/apus $(ARGS)

# Swift's own functional tests, the shared-files test and the tour, on real Swift over Apus.
SWIFT_ENGINES ?= sqlite rocksdb sled
swift-tests: build setup-swift
	python3 tests/swift/shared_files.py --apus $(BIN)/apus
	examples/real-swift/run.sh --once --apus $(BIN)/apus
	for engine in $(SWIFT_ENGINES); do \
		python3 tests/swift/functional.py --apus $(BIN)/apus --engine $$engine || exit 1; \
	done

# Beside stock Swift, Swift's brokers, bare servers and bare stores, in turns on this machine, and as things grow:
# about an hour, or four minutes. docs/performance.md gets the tables and the plots.
bench: build setup-swift
	APUS_SWIFT_ENV="$$(python3 tests/swift/python_env.py)" \
		$(BIN)/broker-bench --json $(CARGO_TARGET_DIR)/bench.json --document docs/performance.md $(ARGS)
	APUS_SWIFT_PYTHON="$$(python3 tests/swift/python_env.py)/venv/bin/python" \
		$(BIN)/engine-bench --json $(CARGO_TARGET_DIR)/bench-brokers.json --document docs/performance.md brokers
	$(BIN)/engine-bench --json $(CARGO_TARGET_DIR)/bench-growth.json --document docs/performance.md growth
	python3 tests/swift/convert_check.py --apus $(BIN)/apus --rows 1000000 --small 1000 --kills 0 \
		--engines sqlite,rocksdb,sled,sqlite --document docs/performance.md
	$(CARGO_ALL) bench --workspace $(FEATURES) --bench rules

bench-quick: build setup-swift
	APUS_SWIFT_ENV="$$(python3 tests/swift/python_env.py)" \
		$(BIN)/broker-bench --rounds 2 --seconds 0.5 --rows 100000 --json $(CARGO_TARGET_DIR)/bench-quick.json $(ARGS)

# Engines without a server: pages behind a million deletions, a device of 100,000 containers, rates.
bench-engines: build
	$(BIN)/engine-bench head
	$(BIN)/engine-bench stores --engine rocksdb
	$(BIN)/engine-bench rates

# The table of engines in README.md, from the reports.
readme:
	scripts/readme_tables.py

