# What a person types here: `make demo`, `make test`; `make help` lists the rest.
# Nothing is needed but make and Python 3.11 or newer; the environment is made on first use, in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCK   := requirements-dev.lock
# The tests of a file stay together: they share its lab.
SIDE_BY_SIDE := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test lint rules library soak soak-short mutants table-mutants bench wheel extras lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## three nodes and a broker as real processes, a story, its verdict
	@$(BIN)/ucmlab run demo --mode local

test: lint ## everything that a change must pass, in under four minutes
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not library and not soak"

lint: $(READY) ## format, style, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy tests .ci/lock.py

rules: $(READY) ## rules.json: which rule of the rule book is proved by which test, or why by none; prints the rest
	@$(BIN)/python -m tests.rule_coverage

library: $(READY) ## the whole story library in both modes, and real labs at length
	$(BIN)/pytest -n 2 -m library

soak: $(READY) ## the full figures, an hour or two; KEEP=1 writes them to bench/soak-DATE.txt
	UCMLAB_SOAK=full $(BIN)/python -m tests.soak $(if $(KEEP),--keep)

soak-short: $(READY) ## the same, a smaller size of each, in some minutes
	UCMLAB_SOAK=short $(BIN)/python -m tests.soak $(if $(KEEP),--keep)

mutants: table-mutants ## every planted bug: how soon and how often the search finds it, and by whom; table-mutants first
	@$(BIN)/python -m tests.mutants

table-mutants: $(READY) ## every cell of the rules' tables changed, one at a time: what no test notices
	@$(BIN)/python -m tests.table_mutants

bench: $(READY) ## the figures of bench/README.md
	@$(BIN)/ucmlab bench

wheel: $(READY) ## dist/ucmlab-*.whl
	$(BIN)/python -m hatchling build --target wheel

extras: ## install what some tests can use besides: Mosquitto (Debian, Ubuntu)
	@if command -v mosquitto >/dev/null && command -v mosquitto_pub >/dev/null; then echo "extras: Mosquitto is there"; \
	elif ! command -v apt-get >/dev/null; then echo "extras: skipped, there is no apt-get; install Mosquitto by hand"; \
	elif [ "$$(id -u)" -ne 0 ]; then echo "extras: skipped, not root; run: sudo apt-get install mosquitto mosquitto-clients"; \
	else apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mosquitto mosquitto-clients; fi

lock: ## pin anew what the environment is made of (pyproject.toml names it)
	$(PYTHON) .ci/lock.py $(LOCK)

clean: ## remove what was made here, the environment too
	rm -rf $(VENV) build dist reports rules.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than what it was made from, or the environment is made up to date. uv is quicker; pip does as well.
# No build isolation: the lock pins the build's tools too, so the second half of this needs no network.
$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit("ucmlab needs Python 3.11 or newer, this is %d.%d; say make PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "making the environment in $(VENV), which takes about half a minute"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null; \
	then uv pip install --quiet --python $(BIN)/python -r $(LOCK) && uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else $(BIN)/python -m pip install -qq --disable-pip-version-check -r $(LOCK) && $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .; fi
	@touch $@
