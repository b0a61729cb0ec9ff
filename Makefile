# The two commands that matter: `make demo` and `make test`.

CARGO ?= cargo
PYTHON = .venv/bin/python

.PHONY: help demo test fuzz bench venv check check-lander fmt clippy doc deny core-dependencies

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build taskgraft and watch it add jobs to a running push, on this machine
	$(CARGO) run --profile demo --locked --package taskgraft -- demo

# A test that hangs is a test that fails: `cargo test` names those that have run for over a minute.
BOUNDED = --config 'target."cfg(unix)".runner = ["timeout", "--foreground", "--verbose", "--kill-after=10", "1800"]'

test: venv check-lander demo ## set up what the tests need and run all of them, the demo among them
	.ci/commands-page --check
	$(CARGO) $(BOUNDED) test --locked --workspace
	@echo "make test: all of it passed; nothing was left running"

FUZZ_SECONDS ?= 60
fuzz: ## run each fuzz target for a minute, all at once (`make fuzz FUZZ_SECONDS=600`); a case that fails names its seed
	TASKGRAFT_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test --locked --workspace --lib --quiet fuzz -- --nocapture --test-threads 8

bench: venv ## measure: whole processes, minimum, median and ratios
	bench/run

venv: ## the Python packages of tests/requirements.txt in .venv, zstd and RabbitMQ
	@tests/setup

check: fmt clippy doc deny core-dependencies ## formatting, lints, documentation, licences

check-lander: venv ## the committed artifacts of examples/lander are what the reference package makes
	$(PYTHON) examples/lander/remake.py --check

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

deny: venv ## licences, sources and banned crates; advisories too where their database can be had
	.ci/deny

core-dependencies: ## taskgraft-core depends on nothing that does I/O
	.ci/core-dependencies
