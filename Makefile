# The commands that people type. `make run` needs nothing but make: it installs what the machine lacks.

# Where rustup puts cargo, for the shell that has just installed it.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: run test check bench image

run: ## Truegate with its own database and mail inbox; ARGS="--help" shows what else it takes
	@tools/setup run
	@cargo run --locked -- dev $(ARGS)

test: ## every test, on a private PostgreSQL
	@tools/setup test
	cargo test --locked

check: ## formatting and lints
	@tools/setup run
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

bench: ## the speed of the paths that matter; GOTRUE=path/to/binary compares
	@tools/setup bench
	cargo bench --locked

image: ## a container image
	$(or $(shell command -v docker),podman) build --tag truegate .
