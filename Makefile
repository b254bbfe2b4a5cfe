# What can be done with this checkout. `make` alone lists it. Needs: a POSIX shell and Python 3.11 or newer.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --quiet
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV ?= uv
UV_LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --all-extras --group build
TEST ?= tests
TEST_FLAGS ?= --numprocesses 2

.PHONY: help install dev demo up test check system-packages lock crash fuzz corpus corpus-mutations bench-dicom bench-storage bench-deid tamper conformance screenshots clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the virtual environment and install the exchange into it
dev: $(VENV)/.installed-dev ## the same, with what its developers and tests need

demo: install ## run the whole main job over real sockets in a fresh home, narrated
	@$(VENV)/bin/consilium demo

up: export CONSILIUM_HOME ?= $(CURDIR)/.home
up: install ## start the exchange in ./.home (or CONSILIUM_HOME) and stay up
	@exec $(VENV)/bin/consilium up

test: system-packages dev ## install what the tests need, system packages too, and run all of them
	@$(PY) -m pytest $(TEST_FLAGS) $(TEST)

check: dev ## format, lint, types, import contracts and house rules, without changing anything
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q tests/house_rules

system-packages: ## install the programs that the tests run, by name, where they are missing
	@.ci/system-packages

lock: ## write both requirement locks anew (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: run  python3 -m pip install uv  and try again." >&2; exit 1; }
	$(UV_LOCK) pyproject.toml -o requirements.lock
	$(UV_LOCK) --group dev pyproject.toml -o requirements-dev.lock

crash: export CONSILIUM_CRASH_POINTS ?= 500
crash: export CONSILIUM_SYSCALL_POINTS ?= all
crash: export CONSILIUM_CRASH_REPORT ?= $(CURDIR)/.crash.jsonl
crash: system-packages dev ## kill at 500 moments and at every system call of the intake; make each call fail
	@rm -f $(CONSILIUM_CRASH_REPORT)
	@$(PY) -m pytest -s $(TEST_FLAGS) tests/functional/test_crash.py tests/functional/test_syscalls.py
	@$(PY) -m tests.fakes.strace_report $(CONSILIUM_CRASH_REPORT) docs/reliability.md

fuzz: dev ## throw a million mutated conversations (FUZZ_INPUTS, FUZZ_SEED) at the DICOM node
	@$(PY) -m tests.fuzz.dicom --inputs $${FUZZ_INPUTS:-1000000} --seed $${FUZZ_SEED:-1}

corpus: system-packages dev ## plant a corpus of 240 objects, de-identify it with the command, print the score (CORPUS=folder)
	@$(PY) -W ignore -m tests.corpus make $${CORPUS:-.corpus}/in --pydicom
	@$(PY) -W ignore -m tests.corpus deidentify $${CORPUS:-.corpus}/in $${CORPUS:-.corpus}/out
	@$(PY) -W ignore -m tests.corpus score $${CORPUS:-.corpus}/in $${CORPUS:-.corpus}/out $${CORPUS:-.corpus}/score.json

corpus-mutations: system-packages dev ## drop one rule of de-identification at a time: the corpus' judge must object to each
	@$(PY) -W ignore -m tests.corpus.mutate

bench-dicom: system-packages dev ## measure the DICOM node beside Orthanc and storescp (BENCH="--quick", "--only ct --write")
	@$(PY) -m tests.benchmarks.dicom $(BENCH)

bench-storage: dev ## measure sealed storage beside the bare work (BENCH="--quick", "--only cipher --write")
	@$(PY) -m tests.benchmarks.storage $(BENCH)

bench-deid: system-packages dev ## measure de-identification beside dicognito, gdcmanon and Orthanc (BENCH="--quick --write")
	@$(PY) -m tests.benchmarks.deid $(BENCH)

tamper: export CONSILIUM_TAMPERINGS ?= all
tamper: dev ## alter sealed objects 200,000 times in every known way, and see each refused; 10 million IVs
	@$(PY) -m pytest -s $(TEST_FLAGS) tests/abuse/test_storage_tamper_campaign.py

conformance: dev ## write docs/conformance.md anew, the conformance statement of the defaults
	@$(VENV)/bin/consilium conformance --defaults --out docs/conformance.md

screenshots: dev ## take a picture of every page into docs/screenshots
	@$(PY) -m tests.functional.screenshots

clean: ## remove the virtual environment and all caches; homes with data stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Consilium needs Python 3.11 or newer, and none was found. Install one (Debian, Ubuntu:" \
		"apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) with $(PYTHON) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make virtual environments. On Debian and" \
		"Ubuntu run: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(VENV)/bin/python requirements.lock pyproject.toml
	@echo "Installing what requirements.lock names, each file checked against its hash …"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PY) -m compileall -q gateway dicom_node storage anonymizer
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "Installing what requirements-dev.lock adds for developers …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
