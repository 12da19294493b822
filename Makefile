# Everything that a person runs. `make help` lists it; each target says what it does behind `##`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: services
services: ## bring up PostgreSQL, Redis and RabbitMQ for the tests (installs them on Debian when root)
	@scripts/services.sh

.PHONY: test
test: services ## bring up the services, then run every test
	source .waypost/services/env && cargo test --workspace

.PHONY: check
check: ## lints, format, documentation and the arrows between crates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test --workspace --test arrows
