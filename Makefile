# What a person types here: `make demo`, `make test`; `make help` lists the rest.
# Nothing is needed but make and Python 3.11 or newer; the environment is made on first use, in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCK   := requirements-dev.lock
# Programs that people use against the product, apart from what tests us: neither decides the other's versions.
CLIENTS      := .venv-clients
CLIENTS_LOCK := requirements-clients.lock
# Into the environment $(1) install $(2). uv is quicker; pip does as well.
install = if command -v uv >/dev/null; then uv pip install --quiet --python $(1)/bin/python $(2); \
	else $(1)/bin/python -m pip install -qq --disable-pip-version-check $(2); fi
# The tests of a file stay together: they share its lab.
SIDE_BY_SIDE := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test lint rules library clients soak soak-short mutants table-mutants bench wheel extras lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## three nodes and a broker as real processes, a story, its verdict
	@$(BIN)/ucmlab run demo --mode local

test: lint ## everything that a change must pass, in under four minutes
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not library and not clients and not soak"

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

clients: $(READY) ## Ansible, netmiko and schemathesis at work on real labs; `make extras` installs them
	$(BIN)/pytest -m clients tests/integration

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

extras: ## install what some tests can use besides: Mosquitto (Debian, Ubuntu); Ansible, netmiko and schemathesis
	@if command -v mosquitto >/dev/null && command -v mosquitto_pub >/dev/null; then echo "extras: Mosquitto is there"; \
	elif ! command -v apt-get >/dev/null; then echo "extras: skipped, there is no apt-get; install Mosquitto by hand"; \
	elif [ "$$(id -u)" -ne 0 ]; then echo "extras: skipped, not root; run: sudo apt-get install mosquitto mosquitto-clients"; \
	else (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mosquitto mosquitto-clients) \
	|| echo "extras: skipped, apt-get could not install Mosquitto; why stands above"; fi
	@if $(MAKE) --no-print-directory $(CLIENTS)/.ready; then echo "extras: Ansible, netmiko and schemathesis are there"; \
	else echo "extras: skipped, $(CLIENTS_LOCK) could not be installed; why stands above"; fi

lock: ## pin anew what the environments are made of (pyproject.toml names it)
	$(PYTHON) .ci/lock.py dev $(LOCK)
	$(PYTHON) .ci/lock.py clients $(CLIENTS_LOCK)

clean: ## remove what was made here, the environment too
	rm -rf $(VENV) $(CLIENTS) build dist reports rules.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than what it was made from, or the environment is made up to date.
# No build isolation: the lock pins the build's tools too, so the second half of this needs no network.
$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit("ucmlab needs Python 3.11 or newer, this is %d.%d; say make PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "making the environment in $(VENV), which takes about half a minute"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(call install,$(VENV),-r $(LOCK))
	@$(call install,$(VENV),--no-deps --no-build-isolation --editable .)
	@touch $@

$(CLIENTS)/.ready: $(CLIENTS_LOCK)
	@rm -f $@
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(call install,$(CLIENTS),-r $(CLIENTS_LOCK))
	@touch $@
