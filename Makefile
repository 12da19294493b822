# Everything that a person runs. `make help` lists it; each target says what it does behind `##`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# What cargo is told everywhere; in continuous integration, that Cargo.lock is as it was committed.
CARGO_FLAGS ?= $(if $(CI),--locked)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## sign a person up in one process that needs no server, and show what happens
	@cargo run --bin waypost -- demo

.PHONY: demo-load
demo-load: ## a minute of mixed life (SECONDS=60) in the Waypost that runs, or in one that it starts
	@source <(scripts/native.sh env) && cargo run --bin waypost -- demo-load --seconds $(or $(SECONDS),60)

.PHONY: run
run: ## keep that process up and print what to try next
	@cargo run --bin waypost -- run

.PHONY: services
services: ## bring up PostgreSQL, Redis and RabbitMQ for the tests (installs them on Debian when root)
	@scripts/services.sh

# What all tests stand on but a broker: that one is theirs alone, and goes with them.
.PHONY: test-servers
test-servers:
	@scripts/services.sh postgres redis rabbitmq-program

.PHONY: test
test: test-servers ## every test, over PostgreSQL, Redis and a RabbitMQ that is thrown away afterwards
	@scripts/with-broker.sh $(MAKE) --no-print-directory run-tests run-faults run-readme

.PHONY: test-faults
test-faults: test-servers ## the faults alone: what each cost in time, and what was sent, received, lost, doubled
	@scripts/with-broker.sh $(MAKE) --no-print-directory run-faults

# The parts of both. Faults load the whole machine: one at a time, when all is compiled. The README's commands come last.
.PHONY: run-tests run-faults run-readme
run-tests:
	source .waypost/services/env && cargo test $(CARGO_FLAGS) --workspace --no-fail-fast -- --skip faults:: --skip readme::
run-faults:
	source .waypost/services/env && cargo test $(CARGO_FLAGS) --workspace --test it --no-fail-fast -- --test-threads 1 --show-output faults::
run-readme:
	source .waypost/services/env && cargo test $(CARGO_FLAGS) --workspace --test it --no-fail-fast -- readme::

.PHONY: test-long
test-long: test-servers ## the faults at full length and size, which take minutes each: what make test passes by
	ulimit -Sn "$$(ulimit -Hn)" && source .waypost/services/env && scripts/with-broker.sh \
		cargo test $(CARGO_FLAGS) --workspace --test it --no-fail-fast -- --ignored --test-threads 1 --show-output

.PHONY: test-rabbitmq
test-rabbitmq: test-servers ## the tests of messaging over RabbitMQ of another Debian suite (SUITE=sid, trixie); for root on Debian
	source .waypost/services/env && scripts/with-rabbitmq.sh $(or $(SUITE),sid) scripts/with-broker.sh \
		cargo test $(CARGO_FLAGS) --workspace --test it --no-fail-fast -- messaging::

.PHONY: test-api
test-api: ## schemathesis against both APIs and their descriptions (SEED=1 for other cases); needs Python 3, no servers
	@scripts/test-api.sh

# These and no others: newer ones may make another site.
MDBOOK := 0.5.4
MERMAID := 0.17.1
.PHONY: guide
guide: ## the guide as a site in target/guide, both languages (installs mdBook and mdbook-mermaid by cargo when these versions are not there)
	@[[ $$(mdbook --version 2>/dev/null) == 'mdbook v$(MDBOOK)' ]] || cargo install mdbook --locked --version '=$(MDBOOK)' --no-default-features --features search
	@[[ $$(mdbook-mermaid --version 2>/dev/null) == 'mdbook-mermaid $(MERMAID)' ]] || cargo install mdbook-mermaid --locked --version '=$(MERMAID)'
	cargo run --quiet --bin guide -- site
	@mkdir target/guide/src/mermaid && touch target/guide/src/mermaid/book.toml
	RUST_LOG=warn mdbook-mermaid install target/guide/src/mermaid && cp target/guide/src/mermaid/mermaid.min.js target/guide/
	for language in en zh; do mdbook build target/guide/src/$$language --dest-dir "$$PWD/target/guide/$$language" || exit 1; done
	@echo "open target/guide/index.html"

.PHONY: check-guide
check-guide: guide ## the site in a headless Chromium (Debian: chromium): every drawing is drawn, English and Chinese are found
	@scripts/check-guide.sh

.PHONY: exercise
exercise: ## say whether an exercise of the guide is done: E=cache-1 A=answer; S=1 judges the guide's own solution
	@cargo run --quiet --bin guide -- exercise $(E) $(if $(A),--answer '$(A)') $(if $(S),--solution)

.PHONY: guide-quotes
guide-quotes: ## write what the guide's pages quote anew from the sources
	@cargo run --quiet --bin guide -- quotes

.PHONY: test-guide
test-guide: ## the guide's pages, exercises and every command in them, over a Waypost that it starts
	@scripts/services.sh redis-program rabbitmq-program
	cargo build $(CARGO_FLAGS) --workspace --bins --examples
	cargo test $(CARGO_FLAGS) --workspace --test guide --test guide_commands -- --nocapture

.PHONY: check-plans
check-plans: ## what PostgreSQL does for each hot statement over tables of a million rows: a scan or a large sort fails
	@scripts/services.sh postgres
	cargo test $(CARGO_FLAGS) --workspace --test plans -- --nocapture

.PHONY: bench
bench: test-servers ## the services beside their ceilings, in one run; ONLY=reads,relay for some (release build)
	source .waypost/services/env && scripts/with-broker.sh cargo run --release --package bench -- $(if $(ONLY),--only $(ONLY))

.PHONY: build-shares
build-shares: ## a release build of the programs from an empty folder, and which crates take how much of it
	scripts/build-shares.sh

.PHONY: check
check: ## lints, format, documentation and the arrows, between crates and inside them
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package waypost --test jaeger --test plans --test upgrade -- -D warnings
	cargo clippy $(CARGO_FLAGS) --workspace --test guide_commands -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps
	cargo test $(CARGO_FLAGS) --workspace --test arrows

.PHONY: openapi
openapi: ## write the descriptions of both APIs to docs/, as the types of their handlers have them
	cargo run --quiet --bin waypost -- openapi user-api > docs/openapi-user-api.json
	cargo run --quiet --bin waypost -- openapi notification-gateway > docs/openapi-notification-gateway.json

.PHONY: asyncapi
asyncapi: ## write the description of the messages between services to docs/, as their types have it
	cargo run --quiet --bin waypost -- asyncapi > docs/asyncapi.yaml

.PHONY: retention
retention: ## write docs/retention.md, from the tables of the services and the built-in settings
	cargo run --quiet --bin waypost -- prune --explain > docs/retention.md

.PHONY: check-deploy
check-deploy: ## rules and dashboards: read by promtool, then asked over the stack under load, with three faults (Debian: prometheus)
	@scripts/services.sh postgres redis-program rabbitmq-program prometheus-program
	@scripts/check-deploy.sh
	cargo build $(CARGO_FLAGS) --workspace --bins
	@source .waypost/services/env && scripts/with-broker.sh scripts/check-deploy-live.sh

.PHONY: jaeger
jaeger: ## build Jaeger from its Go module into .waypost/bin
	@scripts/jaeger.sh

.PHONY: test-jaeger
test-jaeger: services ## the journey in a real Jaeger: JAEGER_BIN, or the one of make jaeger
	cargo build $(CARGO_FLAGS) --workspace --bins
	source .waypost/services/env && cargo test $(CARGO_FLAGS) --package waypost --test jaeger -- --nocapture

# Another build of what stands on `common`, and of librdkafka: no other target pays for it.
.PHONY: test-kafka
test-kafka: ## the outlet over a real Kafka (from Maven Central; needs Java and Maven): 10,000 events, two kills, lost 0
	@scripts/services.sh postgres
	cargo clippy $(CARGO_FLAGS) --workspace --features kafka --lib --test kafka -- -D warnings
	source .waypost/services/env && libs=$$(scripts/kafka.sh) && WAYPOST_KAFKA_LIBS=$$libs \
		cargo test $(CARGO_FLAGS) --workspace --features kafka --test kafka -- --nocapture --test-threads 1

.PHONY: test-upgrade
test-upgrade: test-servers ## the version in production (deploy/previous, built once into the cache) on the new schema, and beside this one
	cargo build $(CARGO_FLAGS) --workspace --bins
	source .waypost/services/env && WAYPOST_PREVIOUS_BIN=$$(scripts/previous.sh) scripts/with-broker.sh \
		cargo test $(CARGO_FLAGS) --package waypost --test upgrade -- --nocapture

.PHONY: up-native
up-native: services ## the three services and the sandbox as processes, over local PostgreSQL, Redis and RabbitMQ
	cargo build $(CARGO_FLAGS) --workspace --bins
	@scripts/native.sh up

.PHONY: down-native
down-native: ## end what up-native started
	@scripts/native.sh down

.PHONY: up
up: ## the whole stack in containers (docker compose)
	docker compose up --build --detach --wait

.PHONY: down
down: ## stop the containers; their data stays
	docker compose down

# This one and no other: a newer one may judge otherwise, or be somebody else's.
CARGO_DENY := 0.20.2
.PHONY: deny
deny: ## known holes, licences, bans and sources of every dependency (installs cargo-deny when this version is not there)
	@[[ $$(cargo-deny --version 2>/dev/null) == 'cargo-deny $(CARGO_DENY)' ]] || cargo install cargo-deny --locked --version '=$(CARGO_DENY)'
	cargo deny $(CARGO_FLAGS) check advisories licenses bans sources
