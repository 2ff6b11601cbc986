# Everything a newcomer needs: `make demo`, `make serve` and `make test`. Needs Python 3.11+, make and the package registry.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := requirements/constraints.txt

.PHONY: help demo serve test lint format bench lock wheels clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml sdk/pyproject.toml requirements/dev.txt $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Homefire needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): a minute or two, the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint $(CONSTRAINTS) --requirement requirements/dev.txt --editable . --editable ./sdk
	@touch $@

demo: $(STAMP) ## start a server with a fresh data folder and run the founding example against it
	$(BIN)/python examples/demo.py

serve: $(STAMP) ## leave a development server running with the example's rules
	$(BIN)/homefire serve --dev --data homefire-data \
	  --rules examples/blog/firestore.rules.json --storage-rules examples/blog/storage.rules

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest

lint: $(STAMP) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy baas rules sdk/homefire

format: $(STAMP) ## bring the code into the common form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure; see docs/performance.md
	$(BIN)/python -m bench

lock: ## refresh the pinned versions
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile --quiet --upgrade --strip-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file $(CONSTRAINTS) \
	  pyproject.toml sdk/pyproject.toml requirements/dev.txt
	rm -rf $(VENV)-lock

wheels: $(STAMP) ## build both distributions into dist/
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python -m build --wheel --outdir dist sdk

clean: ## remove what make made
	rm -rf $(VENV) $(VENV)-lock dist build .mypy_cache .ruff_cache .pytest_cache
