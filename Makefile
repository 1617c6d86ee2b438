# `make study` and `make test` need nothing but Python 3.11 or newer. A study of your own:
#   make study ARGS="--configfile mine.yaml"
PYTHON ?= python3
ARGS ?=
ENV := .venv
PIP := $(ENV)/bin/python -m pip --disable-pip-version-check

export PATH := $(CURDIR)/$(ENV)/bin:$(PATH)

.PHONY: help env study test test-slurm slurm lint bench sweep regime ablate applications clean

help:
	@echo "make env    the environment, in $(ENV) (the other targets make it too)"
	@echo "make study  the study, into results/, and its report, report.html"
	@echo "make test   every test; a smoke study and the linters are among them"
	@echo "make test-slurm  a study on a SLURM cluster of this one machine (25 minutes); make slurm installs SLURM (root, Debian)"
	@echo "make lint   the linters alone"
	@echo "make bench  the studies of the benchmark, its table and timings (about two hours; resumable)"
	@echo "make sweep  the best learning rate; make regime, make ablate: accuracy by regime, by expansion"
	@echo "make applications  searched orders and maps of positions over seven trainings (over an hour)"
	@echo "make clean  remove the environment and the caches; results stay"

env: $(ENV)/.package

$(ENV)/.requirements: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: $(PYTHON) is not Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	rm -rf $(ENV)
	$(PYTHON) -m venv $(ENV)
	$(PIP) install --quiet --requirement requirements.lock
	touch $@

$(ENV)/.package: $(ENV)/.requirements pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

study: env
	snakemake --cores all $(ARGS)
	snakemake --report report.html $(ARGS)

# Two files of tests at a time: a file's tests share what they made first.
test: env
	python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

test-slurm: env
	python -m pytest -m slurm $(ARGS)

# The daemons are not started: the test starts its own.
slurm:
	apt-get update
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
	  munge slurmctld slurmd slurm-client

lint: env
	python -m pytest tests/test_tooling.py

bench: env
	python -m bench.bench $(ARGS)

sweep: env
	python -m bench.sweep $(ARGS)

regime: env
	python -m bench.regime $(ARGS)

ablate: env
	python -m bench.regime --ablation $(ARGS)

applications: env
	python -m bench.applications $(ARGS)

clean:
	rm -rf $(ENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build lib/*.egg-info
	find lib scripts bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
