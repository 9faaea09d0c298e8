# Everything is installed into .venv; everything a run makes goes below OPINION_HOME (default var/).
PYTHON ?= $(firstword $(shell command -v python3.11) python3)
OPINION_HOME ?= $(CURDIR)/var
export OPINION_HOME
export PIP_CONSTRAINT = $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1
CONF = --properties-file spark_conf/local/spark-defaults.conf
INPUTS = setup.py constraints.txt pyproject.toml spark_conf/local/find-spark-home

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## The environment only: Java where it is missing, .venv with pinned packages

demo: .venv/.installed ## Set up, then load, train and score real reviews, and show yesterday's complaints
	.venv/bin/python jobs/demo.py

test: .venv/.installed-dev ## Set up what is missing, then lint, types and all tests (under 25 minutes)
	@$(MAKE) --no-print-directory lint
	.venv/bin/pytest

test-fast: .venv/.installed-dev ## Lint, types and the tests that start no Spark (under 3 minutes)
	@$(MAKE) --no-print-directory lint
	.venv/bin/pytest -m "not spark and not slow"

lint: .venv/.installed-dev ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/.installed-dev ## The champion beside the linear model, on LABELLED=folder of train, valid and test.csv
	.venv/bin/python benchmarks/baseline.py --labelled $(or $(LABELLED),../shared/data/labelled)

sql: .venv/.installed ## An analyst's query: make sql Q="select * from opinion.scoring_run"
	@.venv/bin/spark-sql $(CONF) --hiveconf hive.cli.print.header=true -e "$(Q)"

clean: ## Remove .venv and caches, but nothing below OPINION_HOME
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.installed: $(INPUTS)
	@command -v java >/dev/null || { \
	  echo "java is missing: installing Debian's openjdk-17-jre-headless"; \
	  as=; [ "$$(id -u)" = 0 ] || as=sudo; \
	  $$as apt-get update -q && $$as apt-get install -y -q --no-install-recommends openjdk-17-jre-headless; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "error: Python 3.11 is needed; name it with make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e .[demo]
	@# PySpark's scripts look for it with the first python3 on the PATH; ours with this environment's.
	cp spark_conf/local/find-spark-home .venv/bin/find-spark-home
	@touch $@

.venv/.installed-dev: .venv/.installed
	.venv/bin/pip install -q -e .[demo,dev]
	@touch $@

.PHONY: help setup demo test test-fast lint bench sql clean
.DEFAULT_GOAL := help
