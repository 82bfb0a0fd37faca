# Two commands on a fresh machine: `make demo` and `make test`. Both need Python 3.11+, make and a
# package index; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip would compile one file after the other. A few files of packages are for other Pythons: no error.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
COMPILE := $(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
DEMO ?= demo

.PHONY: demo test test-fast check format models settings constraints clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    simulate a small DESI release, find and explain its odd spectra   ($(DEMO)/)"
	@echo "make test    the whole test suite"
	@echo "make check   format, lint, types, layer contracts"
	@echo "make settings  docs/settings.md anew, from infra/settings.py"
	@echo "make models  train the shipped models anew (two hours on two cores)"

# torch first and pinned: resolved together with the rest, pip may pick another build of several GB.
$(VENV)/application: pyproject.toml constraints.txt
	@echo "Making the environment in $(VENV) (about two minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) --editable ".[s3,http]"
	@$(COMPILE)
	@touch $@

$(VENV)/development: $(VENV)/application
	@$(PIP) --editable ".[s3,http,polars,specutils,spender,test]"
	@$(COMPILE)
	@touch $@

demo: $(VENV)/application
	@$(BIN)/whyspec demo --directory $(DEMO)

# Three processes on two cores: tests wait for Ray, servers and other processes a third of their time. Threads of
# one process would wait for those of others. Bytecode is kept, also where the user keeps none: a hundred processes
# would compile the same modules.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile

test: $(VENV)/development
	$(PYTEST)

test-fast: $(VENV)/development
	$(PYTEST) -m "not slow"

check: $(VENV)/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

models: $(VENV)/application
	$(BIN)/python -P -m flows.training.shipped_models "$${RR_TEMPLATE_DIR:?set RR_TEMPLATE_DIR to a directory of redrock templates}" \
		--sky "$${SKY_FIBRES:?set SKY_FIBRES to a directory of SDSS sky fibres (spec-*.fits)}" -o models/pretrained --jobs 2

settings: $(VENV)/application
	@$(BIN)/whyspec settings --page > docs/settings.md

constraints: $(VENV)/development
	@sed '/^[^#]/,$$d' constraints.txt > constraints.new
	@$(BIN)/pip freeze --exclude-editable | grep -viE '^(pip|setuptools|whyspec)' | sed 's/+cpu//' >> constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
