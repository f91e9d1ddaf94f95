# Two commands do everything: `make repro` (the study) and `make test`. Each first makes the environment that it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := .venv/.installed
PACKAGE := .venv/.package
# One process more than the 2 cores of a small machine: some tests wait for servers, queues and killed processes.
PYTEST := pytest --numprocesses 3 --no-loadscope-reorder
PIP := pip install --disable-pip-version-check --quiet
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# How long OpenMP threads spin for each other before they sleep. The default is as fast on a quiet machine, but up to ten
# times slower on one whose cores are shared; not spinning at all halves the speed of small networks.
export GOMP_SPINCOUNT := 10000

.PHONY: help repro test test-fast coverage check setup lock compare deps docs experiment
.DELETE_ON_ERROR:

help:                   ## show these commands
	@sed -nE 's/^([a-z-]+):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

repro: setup data       ## run every stage whose code, data or parameters changed
	dvc repro

test: setup             ## run the tests
	$(PYTEST)

test-fast: setup        ## run the tests that take little time: without slow ones, and without real dvc commands
	$(PYTEST) -m "not slow" --ignore tests/e2e --ignore tests/fuzz

coverage: setup         ## run the tests and report which lines of the package they reach
	$(PYTEST) --cov --cov-report term:skip-covered

check: setup            ## check style, formatting and types
	ruff check src tests bench tools cluster
	ruff format --check src tests bench tools cluster
	mypy

deps: setup             ## write into dvc.yaml the source files that each stage reaches
	python tools/update_deps.py

docs: setup             ## write the pages and parts of README that follow from code and results
	python tools/write_parameters_page.py
	python tools/update_readme.py

NAME ?=
experiment: setup       ## run experiments/NAME.args, for example: make experiment NAME=faithful
	python tools/run_experiment.py $(NAME)

lock: setup             ## say whether dvc.lock, metrics and plots are those of this code
	@found=$$(dvc repro --dry --allow-missing) && ! echo "$$found" | grep "^Running stage" || \
	  { echo "error: dvc.lock is not of this code; what to do: make repro, then commit dvc.lock, metrics and plots"; exit 1; }

BASE ?= main
compare: setup          ## what differs from BASE in parameters and metrics, as Markdown
	@echo "### Parameters, against $(BASE)"; dvc params diff --md $(BASE)
	@echo "### Metrics, against $(BASE)"; dvc metrics diff --md $(BASE)

setup: $(PACKAGE)       ## make the environment in .venv with the command pre2post, again only when it changed

# Torch comes first and with its own dependencies, so that a GPU machine gets CUDA and another one does not. The rest is
# the complete lock, without asking for more: timm, which nnU-Net's networks ask for but do not use here, would pull
# a torchvision that does not load beside a CPU build of torch.
# Pyradiomics comes last: it exists as source only, and building that needs a C compiler and the numpy of the lock, which
# an isolated build would not see.
$(INSTALLED): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "error: Python 3.11 is needed, found " + sys.version + "; what to do: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(PIP) $$(grep '^torch==' requirements.lock)
	grep -v '^pyradiomics==' requirements.lock | $(PIP) --no-deps -r /dev/stdin
	$(PIP) --no-deps --no-build-isolation $$(grep '^pyradiomics==' requirements.lock)
	cp requirements.lock $@

# The command pre2post, which runs the code of this folder: an edit needs no new installation.
$(PACKAGE): $(INSTALLED) pyproject.toml
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

# The embedded cohort, unless you have put your own cohort here.
data: | setup
	pre2post phantom
