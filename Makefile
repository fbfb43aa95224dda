# Two commands for a new user: `make quickstart` and `make test`. Both need only Python 3.11 or newer with pip and venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: help quickstart test lint types unit reproduce bench docs clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

quickstart: $(READY)  ## install into .venv, run the first experiment, print its table
	@if [ -f results/quickstart/run.json ]; then \
	  echo "== quickstart: continuing results/quickstart =="; \
	  $(BIN)/bandits resume results/quickstart --report || $(BIN)/bandits run quickstart --report; \
	else \
	  echo "== quickstart: half a minute on two cores =="; \
	  $(BIN)/bandits run quickstart --report --out results/quickstart; \
	fi

test: lint types unit  ## install into .venv, then lint, types and all tests

lint: $(READY_DEV)
	@echo "== lint =="
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY_DEV)
	@echo "== types =="
	$(BIN)/mypy

unit: $(READY_DEV)
	@echo "== tests =="
	$(BIN)/python -m pytest

reproduce: $(READY_DEV)  ## run the long experiments (some hours on two cores)
	$(BIN)/bandits run chapelle_li --report
	$(BIN)/bandits run nonstationary --report
	$(BIN)/bandits run collaborative --report
	$(BIN)/bandits run collaborative_faults --report
	$(BIN)/bandits run gosine --report
	$(BIN)/bandits run side_observations --report
	$(BIN)/bandits run linear_contextual --report
	$(BIN)/bandits run classification --report
	$(BIN)/bandits run learning_to_relax --report
	$(BIN)/bandits run heat_equation --report
	$(BIN)/bandits run misspecified_linear --report
	for study in meta_lora psld stsl inverse_problems cps; do $(BIN)/bandits run $$study --full --report || exit 1; done

bench: $(READY)  ## nanoseconds per run-step beside the floor, on this machine
	$(BIN)/bandits bench

docs: $(READY)  ## write docs/reference/ from the docstrings
	$(BIN)/python docs/make_reference.py

clean:  ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "== creating $(VENV) =="
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "== installing bandits =="
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(READY_DEV): $(READY)
	@echo "== installing what the tests need =="
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,neural]'
	@touch $@
