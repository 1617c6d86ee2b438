# `make study` and `make test` need only Python 3.11 or newer. To run your own study:
#   make study ARGS="--configfile mine.yaml"
PYTHON ?= python3
ARGS ?=
ENV := .venv
PIP := $(ENV)/bin/python -m pip --disable-pip-version-check

export PATH := $(CURDIR)/$(ENV)/bin:$(PATH)

.PHONY: help env study test check test-slurm slurm lint docs bench bench-pretrained speed sweep \
  regime ablate applications published clean

help:
	@echo "make env           install everything into $(ENV); the other targets do this first"
	@echo "make study         run the study and its report into results/"
	@echo "make check         linters, types and unit tests, no study (3 minutes)"
	@echo "make test          all tests, including a smoke study (15 minutes on 2 cores)"
	@echo "make lint          linters and types only"
	@echo "make docs          build the documentation into build/docs"
	@echo "make slurm         install SLURM (root, Debian); make test-slurm runs a study on it (30 minutes)"
	@echo "make bench         the table of studies: other seeds, texts, windows, batches, schedules (hours)"
	@echo "                   it can be resumed; ARGS=\"--only steps64\" measures one row, --list lists them"
	@echo "make bench-pretrained  its rows of a pretrained model of 135 million parameters (hours)"
	@echo "make speed         the speed of gradients and replays, on the finished default study"
	@echo "make sweep         find the best learning rate"
	@echo "make regime        accuracy by training regime; make ablate: by part of the estimators"
	@echo "make applications  searched orders and position maps in 12 trainings (hours)"
	@echo "make published     the experiments of the published study in small"
	@echo "make clean         remove the environment and caches, and keep the results"

env: $(ENV)/.package

$(ENV)/.requirements: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: $(PYTHON) is not Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	rm -rf $(ENV)
	$(PYTHON) -m venv $(ENV)
	@echo "installing requirements.lock into $(ENV); this takes some minutes"
	$(PIP) install --quiet --requirement requirements.lock
	touch $@

$(ENV)/.package: $(ENV)/.requirements pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

study: env
	python -m trainorder.workflow.make_study $(ARGS)

# Two test files run at a time: tests of one file share their fixtures.
TWO_FILES := --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: env
	python -m pytest $(TWO_FILES) $(ARGS)

test-slurm: env
	python -m pytest -m slurm $(ARGS)

# This does not start the daemons: the tests start their own.
slurm:
	apt-get update
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
	  munge slurmctld slurmd slurm-client

lint: env
	python -m pytest tests/test_tooling.py

# Everything but the tests that run a study or take more than a few seconds.
check: env
	python -m pytest $(TWO_FILES) -m "not slurm and not study and not slow" $(ARGS)

# Offline, with warnings as errors.
docs: env
	python -m sphinx -W --keep-going -n -q docs build/docs

bench: env
	python -m bench.bench $(ARGS)

bench-pretrained: env
	python -m bench.pretrained_rows $(ARGS)

speed: env
	python -m bench.speed

sweep: env
	python -m bench.sweep $(ARGS)

regime: env
	python -m bench.regime $(ARGS)

ablate: env
	python -m bench.regime --ablation $(ARGS)

applications: env
	python -m bench.applications $(ARGS)

published: env
	python -m bench.published $(ARGS)

clean:
	rm -rf $(ENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build lib/*.egg-info
	find lib scripts bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
